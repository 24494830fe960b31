//! What is kept for ever: totals over the whole life of every entity.

use super::NO_KEY;
use super::declare::Lane;
use super::run::Run;
use super::state::renamed;
use super::sweep::{Before, Totals};

/// Totals of a lifetime lane up to the horizon; empty for a window.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Life {
    /// By entity; entities beyond the end have none.
    pub(super) totals: Vec<Totals>,
    /// Entity and other key, each pair once, sorted.
    pub(super) others: Vec<(u32, u32)>,
}

impl Life {
    pub(super) fn before(&self, entity: u32) -> Before<'_> {
        let start = self.others.partition_point(|&(owner, _)| owner < entity);
        let length = self.others[start..].partition_point(|&(owner, _)| owner == entity);
        Before {
            totals: self.totals.get(entity as usize).copied().unwrap_or_default(),
            others: &self.others[start..start + length],
        }
    }

    /// Takes in the events that entered the lane in `[from, to)`.
    pub(super) fn take(&mut self, lane: &Lane, run: &Run, from: i64, to: i64) {
        let mut pairs = Vec::new();
        for at in 0..run.len() {
            if !(from..to).contains(&lane.enters(run.happened[at], run.known(at))) {
                continue;
            }
            let entity = run.entity[at] as usize;
            self.reach(entity + 1);
            self.totals[entity].add(lane, run, at);
            if lane.needs.distinct && run.other[at] != NO_KEY {
                pairs.push((run.entity[at], run.other[at]));
            }
        }
        if !pairs.is_empty() {
            self.others.append(&mut pairs);
            self.sort();
        }
    }

    /// Entities of which there are totals. Pairs of others are only of these.
    pub(super) fn entities(&self) -> impl Iterator<Item = u32> {
        (0..).zip(&self.totals).filter(|(_, totals)| totals.count > 0).map(|(entity, _)| entity)
    }

    /// Adds what is known of other events.
    pub(super) fn join(&mut self, other: Self) {
        self.reach(other.totals.len());
        self.totals.iter_mut().zip(&other.totals).for_each(|(totals, other)| totals.join(other));
        if !other.others.is_empty() {
            self.others.extend(other.others);
            self.sort();
        }
    }

    fn reach(&mut self, entities: usize) {
        if self.totals.len() < entities {
            self.totals.resize(entities, Totals::default());
        }
    }

    /// Gives keys new numbers; those without one go.
    pub(super) fn rename(&mut self, entities: &[u32], others: &[u32]) {
        let before = std::mem::take(&mut self.totals);
        for (entity, totals) in (0..).zip(&before).filter(|(_, totals)| totals.count > 0) {
            let entity = renamed(entities, entity);
            if entity != NO_KEY {
                self.reach(entity as usize + 1);
                self.totals[entity as usize].join(totals);
            }
        }
        self.others
            .iter_mut()
            .for_each(|(owner, id)| (*owner, *id) = (renamed(entities, *owner), renamed(others, *id)));
        self.others.retain(|&(owner, id)| owner != NO_KEY && id != NO_KEY);
        self.sort();
    }

    fn sort(&mut self) {
        // Sorted stretches, nearly: a merge sort takes them as they are.
        self.others.sort();
        self.others.dedup();
    }
}
