//! Which rows belong to each group: chains through the rows of a table, so that a group costs two numbers and a row one.

use super::groups::Group;
use crate::error::Result;
use crate::saved::{Reader, Section, damaged};

/// No row.
const NONE: u32 = u32::MAX;

/// The rows of each group, in the order in which they were entered.
#[derive(Debug, Clone, Default)]
pub(super) struct ByGroup {
    /// The first and the last row of each group.
    ends: Vec<(u32, u32)>,
    /// The row after each, of the same group.
    next: Vec<u32>,
}

impl ByGroup {
    /// Enters a row that is in no group yet, after the others of its group.
    pub(super) fn push(&mut self, group: Group, row: u32) {
        let (place, at) = (group as usize, row as usize);
        if place >= self.ends.len() {
            self.ends.resize(place + 1, (NONE, NONE));
        }
        if at >= self.next.len() {
            self.next.resize(at + 1, NONE);
        }
        let (first, last) = self.ends[place];
        match last {
            NONE => self.ends[place] = (row, row),
            _ => {
                self.next[last as usize] = row;
                self.ends[place] = (first, row);
            }
        }
    }

    /// Takes a row out of its group, if it is there.
    pub(super) fn remove(&mut self, group: Group, row: u32) {
        let before = self.of(group).take_while(|at| *at != row).last().unwrap_or(NONE);
        let Some((first, last)) = self.ends.get(group as usize).copied() else { return };
        let found = if before == NONE { first } else { self.next[before as usize] };
        if found != row {
            return;
        }
        let after = std::mem::replace(&mut self.next[row as usize], NONE);
        match before {
            NONE => self.ends[group as usize].0 = after,
            _ => self.next[before as usize] = after,
        }
        if last == row {
            self.ends[group as usize].1 = before;
        }
    }

    /// The rows of a group.
    pub(super) fn of(&self, group: Group) -> impl Iterator<Item = u32> {
        let first = self.ends.get(group as usize).map_or(NONE, |(first, _)| *first);
        let is_row = |row: &u32| *row != NONE;
        std::iter::successors(Some(first).filter(is_row), move |row| Some(self.next[*row as usize]).filter(is_row))
    }

    /// Appends all of it.
    pub(super) fn save_into(&self, to: &mut Section) {
        to.column(self.ends.iter().map(|(first, _)| *first));
        to.column(self.ends.iter().map(|(_, last)| *last));
        to.column(self.next.iter().copied());
    }

    /// What [`Self::save_into`] wrote, of a table of so many rows.
    ///
    /// # Errors
    /// [`crate::error::Error::InputRefused`] for bytes that are nothing of the kind.
    pub(super) fn read(from: &mut Reader<'_>, height: usize) -> Result<Self> {
        let (first, last, next) = (from.cells::<u32>()?, from.cells::<u32>()?, from.column::<u32>()?);
        let is_row = |row: &u32| *row == NONE || (*row as usize) < next.len();
        let lengths_fit = first.len() == last.len() && next.len() <= height;
        let ends: Vec<(u32, u32)> = first.zip(last).collect();
        match lengths_fit && next.iter().all(is_row) && ends.iter().all(|(a, b)| is_row(a) && is_row(b)) {
            true => Ok(Self { ends, next }),
            false => Err(damaged()),
        }
    }

    /// Groups that have rows.
    pub(super) fn groups(&self) -> impl Iterator<Item = Group> {
        (0..).zip(&self.ends).filter(|(_, (first, _))| *first != NONE).map(|(group, _)| group)
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
