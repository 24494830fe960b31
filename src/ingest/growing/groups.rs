//! Numbers of orders, with everything that belongs to them; a row that names no order is a group of its own.

use std::collections::HashMap;

/// The number of an order and of the rows that name it, or of a single row that names none.
pub type Group = u32;

/// Groups by the orders they are of.
#[derive(Default)]
pub(super) struct Groups {
    by_order: HashMap<String, Group>,
    count: u32,
}

impl Groups {
    /// The group of a row that names this order, or none.
    pub(super) fn number(&mut self, order: Option<&str>) -> Group {
        if let Some(group) = order.and_then(|order| self.by_order.get(order)) {
            return *group;
        }
        let group = self.count;
        self.count += 1;
        if let Some(order) = order {
            self.by_order.insert(order.to_owned(), group);
        }
        group
    }

    pub(super) fn of(&self, order: &str) -> Option<Group> {
        self.by_order.get(order).copied()
    }

    pub(super) fn all(&self) -> impl Iterator<Item = Group> + use<> {
        0..self.count
    }
}
