//! Which row stands for each key, by little memory: where a key names its order, the rows of that order are few enough to be
//! looked through, and only other keys need a table of their own.

use super::by_group::ByGroup;
use super::groups::Group;
use crate::contract::input::Table;
use crate::error::Result;
use crate::features::kernel::Noted;
use crate::saved::{Grown, Paged, Reader, Section, damaged};

/// Whether a row was written by the clock, and when.
pub(super) type Version = (bool, Option<i64>);

/// A version as two numbers.
fn packed((is_written, at): Version) -> [u64; 2] {
    [u64::from(is_written) | u64::from(at.is_some()) << 1, at.unwrap_or_default() as u64]
}

fn unpacked([flags, at]: [u64; 2]) -> Version {
    (flags & 1 == 1, (flags & 2 == 2).then_some(at as i64))
}

/// Where a row was read: the number of its file, and its place among the rows that this gives.
pub(super) type Place = (u32, u32);

fn as_one((file, row): Place) -> u64 {
    u64::from(file) << 32 | u64::from(row)
}

/// Rows of an order that are looked through at most; what comes after them is entered by its key.
const FEW: usize = 64;

/// What is known of every row of a table that was taken in, by its place in it.
#[derive(Default)]
pub(super) struct Standing {
    /// Half the hash of each row's key: enough to tell the rows of one order apart.
    keys: Grown<u64>,
    /// The file of each above its row.
    places: Paged<u64>,
    /// See [`packed`]; empty where the table has no column that says so: all rows have been written then.
    versions: Grown<[u64; 2]>,
    /// The row that stands for a key which names no order, or one of very many rows, and its group.
    elsewhere: Noted,
}

impl Standing {
    /// The row that stands for a key, and its group.
    pub(super) fn find(&self, contract: &Table, key: u128, group: Group, rows: &ByGroup) -> Option<(Group, u32)> {
        if is_within_order(contract) {
            let mut looked = 0;
            let few = rows.of(group).take(FEW).inspect(|_| looked += 1);
            let found = few.into_iter().find(|at| self.keys.get(*at as usize) == Some(key as u64));
            // A row moves to the front only as others go, so that what was among the few stays there.
            if found.is_some() || looked < FEW {
                return found.map(|at| (group, at));
            }
        }
        self.elsewhere.get(key).map(|found| ((found >> 32) as u32, found as u32))
    }

    /// Version and place of a row.
    pub(super) fn of_row(&self, at: u32) -> (Version, Place) {
        let at = at as usize;
        let place = self.places.get(at).unwrap_or_default();
        (self.versions.get(at).map_or((true, None), unpacked), ((place >> 32) as u32, place as u32))
    }

    /// A row was read once more, elsewhere, and is as it was.
    pub(super) fn read_again(&mut self, at: u32, place: Place) {
        self.places.replace(at as usize, as_one(place));
    }

    /// Enters the next row, which stands for its key from now on; `rows` do not have it yet.
    ///
    /// # Errors
    /// As [`Noted::insert`].
    pub(super) fn push(
        &mut self,
        contract: &Table,
        key: u128,
        (group, rows): (Group, &ByGroup),
        (version, place): (Version, Place),
    ) -> Result<()> {
        if !is_within_order(contract) || rows.of(group).nth(FEW - 1).is_some() {
            self.elsewhere.insert(key, u64::from(group) << 32 | self.keys.len() as u64)?;
        }
        self.keys.push(key as u64);
        self.places.push(as_one(place));
        if contract.version.is_some() {
            self.versions.push(packed(version));
        }
        Ok(())
    }

    /// Appends all of it.
    pub(super) fn save_into(&mut self, to: &mut Section) {
        to.grown(&mut self.keys);
        to.paged(&mut self.places);
        to.grown(&mut self.versions);
        self.elsewhere.save_into(to);
    }

    /// What [`Self::save_into`] wrote.
    ///
    /// # Errors
    /// [`crate::error::Error::InputRefused`] for bytes that are nothing of the kind.
    pub(super) fn read(from: &mut Reader<'_>) -> Result<Self> {
        let (keys, places) = (from.grown()?, from.paged::<u64>()?);
        let versions = from.grown()?;
        let elsewhere = Noted::read(from)?;
        let lengths_fit = places.len() == keys.len()
            && [0, keys.len()].contains(&versions.len())
            && elsewhere.iter().all(|found| (found as u32 as usize) < keys.len());
        if !lengths_fit {
            return Err(damaged());
        }
        Ok(Self { keys, places, versions, elsewhere })
    }

    /// Makes room for so many rows.
    pub(super) fn reserve(&mut self, contract: &Table, rows: usize) {
        self.keys.reserve(rows);
        match is_within_order(contract) {
            true if contract.version.is_some() => self.versions.reserve(rows),
            true => {}
            false => self.elsewhere.reserve(rows),
        }
    }
}

/// Whether rows with one key are always of one order.
fn is_within_order(contract: &Table) -> bool {
    contract.key.contains(&"order_id")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contract::input::table;
    use crate::saved;
    use proptest::prelude::*;
    use std::collections::HashMap;

    proptest! {
        /// Rows of one order, few and very many of them, replace one another as if each key were looked up in a table.
        #[test]
        fn the_row_that_stands_for_a_key_is_the_last_that_was_entered(
            steps in prop::collection::vec((0_u32..3, 0_u64..150), 0..600),
            by_order in any::<bool>(),
        ) {
            let contract = table(if by_order { "order_events" } else { "tickets" }).unwrap();
            let (mut standing, mut rows) = (Standing::default(), ByGroup::default());
            let mut known = HashMap::new();
            for (at, (group, of_group)) in (0..).zip(steps) {
                // A key names its order, or moves from one to another.
                let key = if by_order { u128::from(group) << 64 | u128::from(of_group) } else { u128::from(of_group) };
                let found = standing.find(contract, key, group, &rows);
                prop_assert_eq!(found, known.get(&key).copied());
                if let Some((of, before)) = found {
                    rows.remove(of, before);
                }
                standing.push(contract, key, (group, &rows), ((true, None), (7, at))).unwrap();
                rows.push(group, at);
                known.insert(key, (group, at));
                prop_assert_eq!(standing.of_row(at), ((true, None), (7, at)));
                standing.read_again(at, (8, at));
                prop_assert_eq!(standing.of_row(at), ((true, None), (8, at)));
                if at % 100 == 99 {
                    let mut section = Section::default();
                    rows.save_into(&mut section);
                    standing.save_into(&mut section);
                    let bytes = saved::whole(&[0; 32], vec![section]);
                    let mut reader = saved::open(&bytes, &[0; 32]).unwrap().remove(0);
                    rows = ByGroup::read(&mut reader, at as usize + 1).unwrap();
                    standing = Standing::read(&mut reader).unwrap();
                    prop_assert!(reader.finish().is_ok());
                }
            }
        }
    }
}
