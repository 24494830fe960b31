//! Other keys of an entity by small numbers, so that distinct counts are arrays.

use super::NO_KEY;
use super::sweep::Before;

/// Other keys of entities, numbered from 0 for each: what is counted by them is short.
#[derive(Default)]
pub(super) struct Named {
    /// Other keys of the latest entity, sorted: a key's place is its local number.
    names: Vec<u32>,
    /// Local numbers by event, entity after entity; `NO_KEY` where it has no other key.
    local: Vec<u32>,
    /// By entity: how many events, how many names.
    sizes: Vec<(usize, usize)>,
    /// Local numbers of those from before the events.
    before: Vec<u32>,
}

impl Named {
    /// Numbers the other keys of one more entity's events.
    pub(super) fn add(&mut self, others: &[u32]) {
        self.names.clear();
        self.add_after(others);
    }

    fn add_after(&mut self, others: &[u32]) {
        self.names.extend(others.iter().filter(|&&other| other != NO_KEY));
        self.names.sort_unstable();
        self.names.dedup();
        self.local.extend(others.iter().map(|&other| number(&self.names, other)));
        self.sizes.push((others.len(), self.names.len()));
    }

    /// Only one entity, which brings other keys from before its events.
    pub(super) fn only(&mut self, before: Before, others: &[u32]) -> Others<'_> {
        self.names.clear();
        self.local.clear();
        self.names.extend(before.others.iter().map(|&[_, other]| other));
        self.add_after(others);
        self.before.clear();
        self.before.extend(before.others.iter().map(|&[_, other]| number(&self.names, other)));
        Others { local: &self.local, before: &self.before, names: self.names.len() }
    }

    /// Each entity's, in the order of their coming.
    pub(super) fn groups(&self) -> impl Iterator<Item = Others<'_>> {
        let mut rest = self.local.as_slice();
        self.sizes.iter().map(move |&(events, names)| {
            let (local, after) = rest.split_at(events);
            rest = after;
            Others { local, before: &[], names }
        })
    }
}

/// Local numbers of an entity's other keys.
#[derive(Default, Clone, Copy)]
pub(super) struct Others<'a> {
    /// By event, from the entity's first; `NO_KEY` where it has no other key.
    pub(super) local: &'a [u32],
    /// Those from before the events.
    pub(super) before: &'a [u32],
    /// How many different ones there are.
    pub(super) names: usize,
}

impl Others<'_> {
    /// Counts those from before the events; how many there are.
    pub(super) fn begin(&self, seen: &mut Vec<u32>) -> u32 {
        seen.clear();
        seen.resize(self.names, 0);
        self.before.iter().map(|&local| put(seen, local)).sum()
    }
}

fn number(names: &[u32], other: u32) -> u32 {
    names.binary_search(&other).map_or(NO_KEY, |at| at as u32)
}

/// One more of a local number; 1 if it is the first.
pub(super) fn put(seen: &mut [u32], local: u32) -> u32 {
    if local == NO_KEY {
        return 0;
    }
    let n = &mut seen[local as usize];
    *n += 1;
    u32::from(*n == 1)
}

/// One less of a local number; 1 if it was the last.
pub(super) fn take(seen: &mut [u32], local: u32) -> u32 {
    if local == NO_KEY {
        return 0;
    }
    let n = &mut seen[local as usize];
    *n -= 1;
    u32::from(*n == 0)
}
