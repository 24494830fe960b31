//! Other keys that were ever counted: what distinct counts over the whole life need.

use super::NO_KEY;
use super::run::gallop;
use super::state::renamed;
use crate::memory::ask_ahead;
use crate::saved::Frozen;

/// Entities by the sixteen: where each sixteen begin is kept, and what is left is looked for among a few pairs.
const ENTITIES_BITS: u32 = 4;

/// Entity and other key.
pub(super) type Pair = [u32; 2];

/// Each pair once, sorted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Pairs {
    /// Shared with checkpoints and with files: they change when the horizon moves, and at no other time, nearly.
    pairs: Frozen<Pair>,
    /// The first pair of every sixteen entities, up to the last one that has any.
    starts: Vec<usize>,
}

impl From<Vec<Pair>> for Pairs {
    /// Pairs in any order; quick where they are sorted, nearly.
    fn from(mut pairs: Vec<Pair>) -> Self {
        // A merge sort takes sorted stretches as they are.
        pairs.sort();
        pairs.dedup();
        pairs.shrink_to_fit();
        Self::sorted(pairs.into())
    }
}

impl Pairs {
    /// Of pairs that are sorted, each once.
    fn sorted(pairs: Frozen<Pair>) -> Self {
        let mut starts = Vec::with_capacity(pairs.last().map_or(0, |[owner, _]| (owner >> ENTITIES_BITS) as usize + 1));
        for (at, [owner, _]) in pairs.iter().enumerate() {
            let sixteen = (owner >> ENTITIES_BITS) as usize;
            if starts.len() <= sixteen {
                starts.resize(sixteen + 1, at);
            }
        }
        Self { pairs, starts }
    }

    /// What was [`Self::saved`], unless these are no such pairs.
    pub(super) fn of_saved(pairs: Frozen<Pair>) -> Option<Self> {
        pairs.is_sorted().then(|| Self::sorted(pairs))
    }

    /// All pairs, sorted.
    pub(super) fn saved(&self) -> &Frozen<Pair> {
        &self.pairs
    }

    /// Those of an entity, sorted.
    pub(super) fn of(&self, entity: u32) -> &[Pair] {
        let sixteen = (entity >> ENTITIES_BITS) as usize;
        let Some(&start) = self.starts.get(sixteen) else { return &[] };
        let end = self.starts.get(sixteen + 1).copied().unwrap_or(self.pairs.len());
        let near = &self.pairs[start..end];
        let first = near.partition_point(|&[owner, _]| owner < entity);
        let length = near[first..].partition_point(|&[owner, _]| owner == entity);
        &near[first..first + length]
    }

    /// Asks for those of an entity some entities before it is looked at.
    pub(super) fn ask_ahead(&self, entity: u32) {
        // Where they begin is waited for: there are few such numbers.
        if let Some(&start) = self.starts.get((entity >> ENTITIES_BITS) as usize) {
            ask_ahead(&self.pairs, start);
        }
    }

    /// Every pair.
    pub(super) fn iter(&self) -> std::slice::Iter<'_, Pair> {
        self.pairs.iter()
    }

    /// Adds pairs, in any order. Where all of them are there nothing changes, and what was saved stays so.
    pub(super) fn add(&mut self, mut more: Vec<Pair>) {
        // Sorted by their entities already, mostly.
        more.sort();
        more.dedup();
        let (before, mut next) = (&self.pairs[..], 0);
        // Where each goes among those that are there.
        let mut places = Vec::with_capacity(more.len());
        more.retain(|pair| {
            next = gallop(before, next, |known| known < pair);
            let is_new = before.get(next) != Some(pair);
            places.extend(is_new.then_some(next));
            is_new
        });
        if more.is_empty() {
            return;
        }
        let mut pairs = Vec::with_capacity(before.len() + more.len());
        let mut copied = 0;
        for (pair, place) in more.into_iter().zip(places) {
            pairs.extend_from_slice(&before[copied..place]);
            pairs.push(pair);
            copied = place;
        }
        pairs.extend_from_slice(&before[copied..]);
        *self = Self::sorted(pairs.into());
    }

    /// Forgets those of some entities, which ascend.
    pub(super) fn forget(&mut self, entities: &[u32]) {
        if entities.iter().any(|entity| !self.of(*entity).is_empty()) {
            let is_left = |[owner, _]: &&Pair| entities.binary_search(owner).is_err();
            *self = Self::sorted(self.pairs.iter().filter(is_left).copied().collect::<Vec<_>>().into());
        }
    }

    /// With new numbers of keys, by the old ones; pairs with one that has none go.
    pub(super) fn renamed(mut self, entities: &[u32], others: &[u32]) -> Self {
        let mut pairs = std::mem::take(self.pairs.edit());
        pairs.iter_mut().for_each(|[owner, id]| (*owner, *id) = (renamed(entities, *owner), renamed(others, *id)));
        pairs.retain(|&[owner, id]| owner != NO_KEY && id != NO_KEY);
        pairs.into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    #[test]
    fn the_other_keys_of_an_entity_are_its_own_however_many_there_are() {
        let sizes = [1, 100, 0, 8, 9, 3];
        let pairs = (0..).zip(sizes).flat_map(|(entity, size)| (0..size).map(move |other| [entity, other]));
        let pairs = Pairs::from(pairs.collect::<Vec<_>>());
        assert_eq!((0..8).map(|entity| pairs.of(entity).len()).collect::<Vec<_>>(), [1, 100, 0, 8, 9, 3, 0, 0]);
        assert!(Pairs::default().of(0).is_empty());
    }

    proptest! {
        #[test]
        fn pairs_are_those_that_were_added(
            added in prop::collection::vec(prop::collection::vec([0..90_u32, 0..6_u32], 0..40), 0..4),
            entities in prop::collection::vec(prop_oneof![0..120_u32, Just(NO_KEY)], 0..90),
        ) {
            let mut pairs = Pairs::default();
            added.iter().for_each(|more| pairs.add(more.clone()));
            let expected: BTreeSet<Pair> = added.into_iter().flatten().collect();
            prop_assert!(pairs.iter().eq(&expected));
            // As entities are given new numbers, two of them one perhaps, and another key goes.
            let moved: BTreeSet<_> = expected
                .iter()
                .filter_map(|[owner, id]| Some([*entities.get(*owner as usize)?, *id]))
                .filter(|[owner, id]| *owner != NO_KEY && *id < 5)
                .collect();
            let new = pairs.clone().renamed(&entities, &[0, 1, 2, 3, 4]);
            for (pairs, expected) in [(pairs, expected), (new, moved)] {
                for entity in 0..130 {
                    let of: Vec<_> = expected.range([entity, 0]..=[entity, u32::MAX]).copied().collect();
                    prop_assert_eq!(pairs.of(entity), of);
                    pairs.ask_ahead(entity);
                }
            }
        }
    }
}
