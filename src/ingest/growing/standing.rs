//! Which row stands for each key, by little memory: where a key names its order, the rows of that order are few enough to be
//! looked through, and only other keys need a table of their own.

use super::by_group::ByGroup;
use super::groups::Group;
use crate::contract::input::Table;
use foldhash::quality::FixedState;
use std::collections::HashMap;

/// Whether a row was written by the clock, and when.
pub(super) type Version = (bool, Option<i64>);

/// Where a row was read: the number of its file, and its place among the rows that this gives.
pub(super) type Place = (u32, u32);

/// Rows of an order that are looked through at most; what comes after them is entered by its key.
const FEW: usize = 64;

/// What is known of every row of a table that was taken in, by its place in it.
#[derive(Default)]
pub(super) struct Standing {
    /// Half the hash of each row's key: enough to tell the rows of one order apart.
    keys: Vec<u64>,
    places: Vec<Place>,
    /// Empty where the table has no column that says so: all rows have been written then.
    versions: Vec<Version>,
    /// The row that stands for a key which names no order, or one of very many rows, and its group.
    elsewhere: HashMap<u128, (Group, u32), FixedState>,
}

impl Standing {
    /// The row that stands for a key, and its group.
    pub(super) fn find(&self, contract: &Table, key: u128, group: Group, rows: &ByGroup) -> Option<(Group, u32)> {
        if is_within_order(contract) {
            let mut looked = 0;
            let few = rows.of(group).take(FEW).inspect(|_| looked += 1);
            let found = few.into_iter().find(|at| self.keys[*at as usize] == key as u64);
            // A row moves to the front only as others go, so that what was among the few stays there.
            if found.is_some() || looked < FEW {
                return found.map(|at| (group, at));
            }
        }
        self.elsewhere.get(&key).copied()
    }

    /// Version and place of a row.
    pub(super) fn read(&self, at: u32) -> (Version, Place) {
        let at = at as usize;
        (self.versions.get(at).copied().unwrap_or((true, None)), self.places[at])
    }

    /// Enters the next row, which stands for its key from now on; `rows` do not have it yet.
    pub(super) fn push(
        &mut self,
        contract: &Table,
        key: u128,
        (group, rows): (Group, &ByGroup),
        (version, place): (Version, Place),
    ) {
        if !is_within_order(contract) || rows.of(group).nth(FEW - 1).is_some() {
            self.elsewhere.insert(key, (group, self.keys.len() as u32));
        }
        self.keys.push(key as u64);
        self.places.push(place);
        if contract.version.is_some() {
            self.versions.push(version);
        }
    }

    /// Makes room for so many rows.
    pub(super) fn reserve(&mut self, contract: &Table, rows: usize) {
        self.keys.reserve(rows);
        self.places.reserve(rows);
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
    use proptest::prelude::*;

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
                standing.push(contract, key, (group, &rows), ((true, None), (7, at)));
                rows.push(group, at);
                known.insert(key, (group, at));
                prop_assert_eq!(standing.read(at), ((true, None), (7, at)));
            }
        }
    }
}
