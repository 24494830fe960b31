//! When something about an order becomes known by the passing of time alone.

use crate::error::Result;
use crate::ingest::Group;
use crate::saved::{Paged, Reader, Section};
use std::collections::BTreeMap;

/// Nothing is awaited of a group.
const NEVER: i64 = i64::MAX;

/// Instants (microseconds) that wait together: an epoch mostly takes all of them, and those of the last minute it looks through.
const TOGETHER: i64 = 60_000_000;

/// Groups by the next instant at which they are to be looked at.
#[derive(Default)]
pub(super) struct Agenda {
    /// By the minute, and in no order within one.
    due: BTreeMap<i64, Vec<(i64, Group)>>,
    /// The next instant of each group; what else stands of it in `due` has been replaced since.
    next: Paged<i64>,
}

impl Agenda {
    /// Looks at a group at this instant (UTC microseconds; `i64::MAX`: not any more) and not at the one it was entered for
    /// before.
    pub(super) fn enter(&mut self, group: Group, at: i64) {
        self.next.reach(group as usize + 1, NEVER);
        // Of most nothing is awaited any more: their pages stay as they are.
        if self.next.get(group as usize) == Some(at) {
            return;
        }
        self.next.replace(group as usize, at);
        if at != NEVER {
            self.due.entry(at.div_euclid(TOGETHER)).or_default().push((at, group));
        }
    }

    /// Whether a group is to be looked at again.
    pub(super) fn awaits(&self, group: Group) -> bool {
        self.next.get(group as usize).is_some_and(|at| at != NEVER)
    }

    /// All of it.
    pub(super) fn save(&mut self) -> Section {
        let mut to = Section::default();
        to.paged(&mut self.next);
        to
    }

    /// What [`Self::save`] gave.
    ///
    /// # Errors
    /// [`crate::error::Error::InputRefused`] for a section that is nothing of the kind.
    pub(super) fn read(mut from: Reader<'_>) -> Result<Self> {
        let next = from.paged::<i64>()?;
        from.finish()?;
        let mut due: BTreeMap<i64, Vec<(i64, Group)>> = BTreeMap::new();
        for (group, at) in (0..).zip(next.iter()).filter(|(_, at)| *at != NEVER) {
            due.entry(at.div_euclid(TOGETHER)).or_default().push((at, group));
        }
        Ok(Self { due, next })
    }

    /// Takes out the groups that are to be looked at up to this instant, earliest first.
    pub(super) fn take(&mut self, until: i64) -> Vec<Group> {
        let later = self.due.split_off(&until.div_euclid(TOGETHER).saturating_add(1));
        let mut due: Vec<(i64, Group)> = std::mem::replace(&mut self.due, later).into_values().flatten().collect();
        let rest: Vec<(i64, Group)> = due.extract_if(.., |(at, _)| *at > until).collect();
        if !rest.is_empty() {
            self.due.insert(until.div_euclid(TOGETHER), rest);
        }
        due.sort_unstable();
        due.retain(|&(at, group)| {
            let is_due = self.next.get(group as usize) == Some(at);
            if is_due {
                self.next.replace(group as usize, NEVER);
            }
            is_due
        });
        due.into_iter().map(|(_, group)| group).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::saved;

    #[test]
    fn a_group_is_looked_at_once_at_the_instant_it_was_entered_for_last() {
        let mut agenda = Agenda::default();
        for (group, at) in [(0, 5), (1, 5), (0, 9), (2, NEVER), (3, 7), (3, NEVER), (1, 5)] {
            agenda.enter(group, at);
        }
        assert!(agenda.take(4).is_empty());
        assert_eq!(agenda.take(5), [1]);
        let bytes = saved::whole(&[0; 32], vec![agenda.save()]);
        let mut agenda = Agenda::read(saved::open(&bytes, &[0; 32]).unwrap().remove(0)).unwrap();
        assert!(agenda.take(8).is_empty());
        agenda.enter(1, 9);
        assert_eq!(agenda.take(20), [0, 1]);
        assert!(agenda.take(i64::MAX).is_empty());
    }
}
