//! When something about an order becomes known by the passing of time alone.

use crate::ingest::Group;
use std::collections::BTreeMap;

/// Nothing is awaited of a group.
const NEVER: i64 = i64::MAX;

/// Groups by the next instant at which they are to be looked at.
#[derive(Default)]
pub(super) struct Agenda {
    due: BTreeMap<i64, Vec<Group>>,
    /// The next instant of each group; what else stands of it in `due` has been replaced since.
    next: Vec<i64>,
}

impl Agenda {
    /// Looks at a group at this instant (UTC microseconds) and not at the one it was entered for before.
    pub(super) fn enter(&mut self, group: Group, at: Option<i64>) {
        let (place, at) = (group as usize, at.unwrap_or(NEVER));
        if place >= self.next.len() {
            self.next.resize(place + 1, NEVER);
        }
        if std::mem::replace(&mut self.next[place], at) != at && at != NEVER {
            self.due.entry(at).or_default().push(group);
        }
    }

    /// Takes out the groups that are to be looked at up to this instant.
    pub(super) fn take(&mut self, until: i64) -> Vec<Group> {
        let later = self.due.split_off(&until.saturating_add(1));
        let mut groups = Vec::new();
        for (at, due) in std::mem::replace(&mut self.due, later) {
            for group in due {
                let next = &mut self.next[group as usize];
                if *next == at {
                    *next = NEVER;
                    groups.push(group);
                }
            }
        }
        groups
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_group_is_looked_at_once_at_the_instant_it_was_entered_for_last() {
        let mut agenda = Agenda::default();
        for (group, at) in [(0, Some(5)), (1, Some(5)), (0, Some(9)), (2, None), (3, Some(7)), (3, None), (1, Some(5))]
        {
            agenda.enter(group, at);
        }
        assert!(agenda.take(4).is_empty());
        assert_eq!(agenda.take(5), [1]);
        assert!(agenda.take(8).is_empty());
        agenda.enter(1, Some(9));
        assert_eq!(agenda.take(20), [0, 1]);
        assert!(agenda.take(i64::MAX).is_empty());
    }
}
