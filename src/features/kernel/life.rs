//! What is kept for ever: totals over the whole life of every entity.

use super::NO_KEY;
use super::declare::Lane;
use super::run::Run;
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
            if self.totals.len() <= entity {
                self.totals.resize(entity + 1, Totals::default());
            }
            self.totals[entity].add(lane, run, at);
            if lane.needs.distinct && run.other[at] != NO_KEY {
                pairs.push((run.entity[at], run.other[at]));
            }
        }
        if !pairs.is_empty() {
            self.others.append(&mut pairs);
            // Two sorted stretches, nearly: a merge sort takes them as they are.
            self.others.sort();
            self.others.dedup();
        }
    }

    pub(super) fn rename(&mut self, entities: &[u32]) {
        let mut totals = Vec::new();
        for (entity, total) in std::mem::take(&mut self.totals).into_iter().enumerate() {
            // Names keep their order, so places only ever move down.
            if entities[entity] != NO_KEY {
                totals.resize(entities[entity] as usize, Totals::default());
                totals.push(total);
            }
        }
        self.totals = totals;
        self.others.iter_mut().for_each(|(owner, _)| *owner = entities[*owner as usize]);
    }
}
