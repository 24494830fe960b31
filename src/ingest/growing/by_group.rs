//! Which rows belong to each group: chains through the rows of a table, so that a group costs two numbers and a row one.

use super::groups::Group;
use crate::error::Result;
use crate::saved::{Paged, Reader, Section, damaged};

/// No row.
const NONE: u32 = u32::MAX;

/// The rows of each group, in the order in which they were entered.
#[derive(Debug, Clone, Default)]
pub(super) struct ByGroup {
    /// The first and the last row of each group, in the upper and the lower half: most groups are of long ago and do not change.
    ends: Paged<u64>,
    /// The row after each, of the same group.
    next: Paged<u32>,
}

fn both(first: u32, last: u32) -> u64 {
    u64::from(first) << 32 | u64::from(last)
}

impl ByGroup {
    /// Enters a row that is in no group yet, after the others of its group.
    pub(super) fn push(&mut self, group: Group, row: u32) {
        self.ends.reach(group as usize + 1, both(NONE, NONE));
        self.next.reach(row as usize + 1, NONE);
        let (first, last) = self.ends_of(group);
        self.next.replace(last as usize, row);
        self.ends.replace(group as usize, both(if last == NONE { row } else { first }, row));
    }

    /// The first and the last row of a group.
    fn ends_of(&self, group: Group) -> (u32, u32) {
        self.ends.get(group as usize).map_or((NONE, NONE), |ends| ((ends >> 32) as u32, ends as u32))
    }

    fn after(&self, row: u32) -> u32 {
        self.next.get(row as usize).unwrap_or(NONE)
    }

    /// Takes a row out of its group, if it is there.
    pub(super) fn remove(&mut self, group: Group, row: u32) {
        let before = self.of(group).take_while(|at| *at != row).last().unwrap_or(NONE);
        let (mut first, mut last) = self.ends_of(group);
        let found = if before == NONE { first } else { self.after(before) };
        if found != row {
            return;
        }
        let after = self.next.replace(row as usize, NONE).unwrap_or(NONE);
        match before {
            NONE => first = after,
            _ => _ = self.next.replace(before as usize, after),
        }
        if last == row {
            last = before;
        }
        self.ends.replace(group as usize, both(first, last));
    }

    /// The rows of a group.
    pub(super) fn of(&self, group: Group) -> impl Iterator<Item = u32> {
        let is_row = |row: &u32| *row != NONE;
        let first = Some(self.ends_of(group).0).filter(is_row);
        std::iter::successors(first, move |row| Some(self.after(*row)).filter(is_row))
    }

    /// Appends all of it.
    pub(super) fn save_into(&mut self, to: &mut Section) {
        to.paged(&mut self.ends);
        to.paged(&mut self.next);
    }

    /// What [`Self::save_into`] wrote, of a table of so many rows.
    ///
    /// # Errors
    /// [`crate::error::Error::InputRefused`] for bytes that are nothing of the kind.
    pub(super) fn read(from: &mut Reader<'_>, height: usize) -> Result<Self> {
        let (ends, next) = (from.paged::<u64>()?, from.paged::<u32>()?);
        let rows = next.len();
        let is_row = |row: u32| row == NONE || (row as usize) < rows;
        let is_whole = rows <= height
            && next.iter().all(is_row)
            && ends.iter().all(|ends| is_row((ends >> 32) as u32) && is_row(ends as u32));
        if is_whole { Ok(Self { ends, next }) } else { Err(damaged()) }
    }

    /// Groups that have rows.
    pub(super) fn groups(&self) -> impl Iterator<Item = Group> {
        (0..).zip(self.ends.iter()).filter(|(_, ends)| (ends >> 32) as u32 != NONE).map(|(group, _)| group)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    proptest! {
        #[test]
        fn rows_are_those_that_were_entered_and_not_taken_out_in_their_order(
            steps in prop::collection::vec((0_u32..5, any::<bool>(), 0_usize..6), 0..60),
        ) {
            let (mut chains, mut known) = (ByGroup::default(), BTreeMap::<Group, Vec<u32>>::new());
            for (row, (group, is_new, which)) in (0..).zip(steps) {
                let rows = known.entry(group).or_default();
                if is_new || rows.is_empty() {
                    chains.push(group, row);
                    rows.push(row);
                } else {
                    let gone = rows.remove(which % rows.len());
                    chains.remove(group, gone);
                    // Whatever is not there cannot go.
                    chains.remove(group, gone);
                }
            }
            known.retain(|_, rows| !rows.is_empty());
            let found: BTreeMap<Group, Vec<u32>> =
                chains.groups().map(|group| (group, chains.of(group).collect())).collect();
            prop_assert_eq!(found, known);
            prop_assert_eq!(chains.of(9).count(), 0);
        }
    }
}
