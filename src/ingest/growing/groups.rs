//! Numbers of orders, with everything that belongs to them; a row that names no order is a group of its own.

use crate::ingest::accept::Placements;
use foldhash::quality::RandomState;
use std::collections::HashMap;

/// The number of an order and of the rows that name it, or of a single row that names none.
pub type Group = u32;

/// A group of which no order was accepted.
const NOT_PLACED: i64 = i64::MIN;

/// Groups by the orders they are of.
#[derive(Default)]
pub(super) struct Groups {
    by_order: HashMap<Box<str>, Group, RandomState>,
    /// When the order of each group was placed, UTC microseconds.
    placed: Vec<i64>,
    /// How many of them have an order.
    orders: usize,
}

impl Groups {
    /// The group of a row that names this order, or none.
    pub(super) fn number(&mut self, order: Option<&str>) -> Group {
        if let Some(group) = order.and_then(|order| self.by_order.get(order)) {
            return *group;
        }
        let group = self.placed.len() as u32;
        self.placed.push(NOT_PLACED);
        if let Some(order) = order {
            self.by_order.insert(order.into(), group);
        }
        group
    }

    /// Makes room for so many orders.
    pub(super) fn reserve(&mut self, orders: usize) {
        self.by_order.reserve(orders);
    }

    pub(super) fn of(&self, order: &str) -> Option<Group> {
        self.by_order.get(order).copied()
    }

    pub(super) fn all(&self) -> impl Iterator<Item = Group> + use<> {
        0..self.placed.len() as u32
    }

    /// When the order of a group was placed; `None` where none was accepted.
    pub(super) fn placed(&self, group: Group) -> Option<i64> {
        self.placed.get(group as usize).copied().filter(|at| *at != NOT_PLACED)
    }

    /// Enters an accepted order.
    pub(super) fn place(&mut self, group: Group, at: i64) {
        let Some(placed) = self.placed.get_mut(group as usize) else { return };
        self.orders += usize::from(*placed == NOT_PLACED);
        *placed = at;
    }

    /// No order is accepted any more.
    pub(super) fn forget_orders(&mut self) {
        self.placed.fill(NOT_PLACED);
        self.orders = 0;
    }

    /// How many orders were accepted.
    pub(super) fn orders(&self) -> usize {
        self.orders
    }
}

impl Placements for Groups {
    fn placed_at(&self, order: &str) -> Option<i64> {
        self.placed(self.of(order)?)
    }
}
