//! Numbers of orders, with everything that belongs to them; a row that names no order is a group of its own.

use crate::error::Result;
use crate::features::kernel::{Interner, NO_KEY};
use crate::ingest::accept::Placements;
use crate::saved::{Grown, Paged, Reader, Section, damaged};
use polars::prelude::StringChunked;

/// The number of an order and of the rows that name it, or of a single row that names none.
pub type Group = u32;

/// A group of which no order was accepted.
const NOT_PLACED: i64 = i64::MIN;

/// Groups by the orders they are of.
#[derive(Default)]
pub(super) struct Groups {
    /// The ids of orders, in one buffer.
    ids: Interner,
    /// The group of each id.
    of_id: Grown<Group>,
    /// When the order of each group was placed, UTC microseconds.
    placed: Paged<i64>,
    /// How many of them have an order.
    orders: usize,
}

impl Groups {
    /// The group of each row by the order that it names, or none; those of rows that are not `taken` are not looked for.
    ///
    /// # Errors
    /// As [`Interner::intern`].
    pub(super) fn number(&mut self, orders: &[Option<&str>], taken: &[bool]) -> Result<Vec<Option<Group>>> {
        let named = orders.iter().zip(taken).map(|(order, taken)| order.filter(|_| *taken));
        let ids = self.ids.intern_all(named)?;
        let group = |(id, taken): (u32, &bool)| {
            if !taken {
                return None;
            }
            if id != NO_KEY {
                if let Some(group) = self.of_id.get(id as usize) {
                    return Some(group);
                }
                // Ids are numbered in the order in which they are first seen, as they are here.
                self.of_id.push(self.placed.len() as u32);
            }
            self.placed.push(NOT_PLACED);
            Some(self.placed.len() as u32 - 1)
        };
        Ok(ids.into_iter().zip(taken).map(group).collect())
    }

    /// Makes room for so many orders more.
    pub(super) fn reserve(&mut self, orders: usize) {
        self.ids.reserve(self.ids.len() + orders);
    }

    pub(super) fn of(&self, order: &str) -> Option<Group> {
        self.of_id.get(self.ids.find(order.as_bytes())? as usize)
    }

    /// The group of each of these orders.
    pub(super) fn of_all(&self, orders: &StringChunked) -> Vec<Option<Group>> {
        let found = self.ids.find_all(orders.iter());
        found.into_iter().map(|id| self.of_id.get(id as usize)).collect()
    }

    pub(super) fn all(&self) -> impl Iterator<Item = Group> + use<> {
        0..self.placed.len() as u32
    }

    /// When the order of a group was placed; `None` where none was accepted.
    pub(super) fn placed(&self, group: Group) -> Option<i64> {
        self.placed.get(group as usize).filter(|at| *at != NOT_PLACED)
    }

    /// Enters an accepted order.
    pub(super) fn place(&mut self, group: Group, at: i64) {
        self.orders += usize::from(self.placed.replace(group as usize, at) == Some(NOT_PLACED));
    }

    /// No order is accepted any more.
    pub(super) fn forget_orders(&mut self) {
        (0..self.placed.len()).for_each(|group| _ = self.placed.replace(group, NOT_PLACED));
        self.orders = 0;
    }

    /// All of them.
    pub(super) fn save(&mut self) -> Section {
        let mut to = Section::default();
        self.ids.save_into(&mut to);
        to.grown(&mut self.of_id);
        to.paged(&mut self.placed);
        to
    }

    /// What [`Self::save`] gave.
    ///
    /// # Errors
    /// [`crate::error::Error::InputRefused`] for a section that is nothing of the kind.
    pub(super) fn read(mut from: Reader<'_>) -> Result<Self> {
        let ids = Interner::read(&mut from)?;
        let (of_id, placed) = (from.grown::<Group>()?, from.paged::<i64>()?);
        from.finish()?;
        if of_id.len() != ids.len() || of_id.iter().any(|group| group as usize >= placed.len()) {
            return Err(damaged());
        }
        let orders = placed.iter().filter(|at| *at != NOT_PLACED).count();
        Ok(Self { ids, of_id, placed, orders })
    }

    /// How many orders were accepted.
    pub(super) fn orders(&self) -> usize {
        self.orders
    }
}

impl Placements for Groups {
    fn placed_at(&self, orders: &StringChunked) -> Vec<Option<i64>> {
        self.of_all(orders).into_iter().map(|group| self.placed(group?)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_of_one_order_are_one_group_and_a_row_that_names_none_is_one_of_its_own() {
        let mut groups = Groups::default();
        let first = groups
            .number(&[Some("a"), None, Some("b"), Some("a"), Some("x"), None], &[true, true, true, true, false, false]);
        assert_eq!(first.unwrap(), [Some(0), Some(1), Some(2), Some(0), None, None]);
        let more = groups.number(&[Some("x"), Some("b"), None, Some("c")], &[true; 4]);
        assert_eq!(more.unwrap(), [Some(3), Some(2), Some(4), Some(5)]);
        assert_eq!(groups.all().count(), 6);
        groups.place(2, 7);
        let ids: StringChunked = [Some("b"), None, Some("a"), Some("nobody")].into_iter().collect();
        assert_eq!(groups.of_all(&ids), [Some(2), None, Some(0), None]);
        assert_eq!(groups.placed_at(&ids), [Some(7), None, None, None]);
    }
}
