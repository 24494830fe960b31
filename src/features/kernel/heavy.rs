//! Entities with many events in small steps: walks that go on where they stopped.
//!
//! A walk over all that is kept of an entity costs as much as there is, however few rows a step brings. So where a step is
//! small and an entity has much, its events are kept a second time, with a [`Cursor`] for each lane: a later step costs what it
//! adds, what leaves, and a search. Rows that happened before others cost a move of those after them; a T before the latest
//! one a whole walk, as does the first step after a load, a merge or an expiry, which forget it. No answer depends on it. Where
//! events are only counted they are not kept again: a [`Tally`] for each lane does, and an expiry changes nothing of it.

use super::NO_KEY;
use super::copied::Copied;
use super::declare::{Lane, Needs};
use super::life::Life;
use super::others::Others;
use super::pairs::Pair;
use super::run::{Places, Run, rows_of};
use super::state::renamed;
use super::sweep::{Asked, Before};
use super::tally::Tally;
use super::walk::{Cursor, Walk};
use rayon::prelude::*;
use std::collections::{BTreeMap, HashMap};
use std::ops::Range;

/// From how many events on an entity is kept here: a walk over fewer takes less than the rest of a step. Lower it, and more
/// events are kept twice. To keep entities with a few hundred, once they were walked over again and again, took the handbook's
/// payments 1.4 times as long: a walk over so many is quicker than what going on where it stopped costs.
const MANY: usize = 1_024;

/// Entities that were asked in small steps.
#[derive(Debug, Clone)]
pub(super) struct Heavies {
    /// From how many events on; tests take other figures.
    pub(super) from: usize,
    entities: BTreeMap<u32, Heavy>,
}

impl Default for Heavies {
    fn default() -> Self {
        Self { from: MANY, entities: BTreeMap::new() }
    }
}

/// What a walk needs of the state.
#[derive(Clone, Copy)]
pub(super) struct Kept<'a> {
    pub(super) lanes: &'a [Lane],
    pub(super) lives: &'a [Life],
    pub(super) horizon: i64,
}

impl Heavies {
    pub(super) fn clear(&mut self) {
        self.entities.clear();
    }

    pub(super) fn has(&self, entity: u32) -> bool {
        self.entities.contains_key(&entity)
    }

    /// Forgets an entity whose lifetime totals change.
    pub(super) fn forget(&mut self, entity: u32) {
        self.entities.remove(&entity);
    }

    /// Lets go of what no query from `before` on needs: the walks, which begin with totals that change when the horizon moves,
    /// and of what only counts the times that are over, be it asked again or not.
    pub(super) fn expire(&mut self, before: i64) {
        self.entities.retain(|_, heavy| match heavy {
            Heavy::Counted(tallies) => {
                tallies.iter_mut().for_each(|tally| tally.pass(before));
                true
            }
            Heavy::Walked(_) => false,
        });
    }

    /// Gives entities new numbers, by their old ones; those without one are forgotten, and all walks.
    pub(super) fn rename(&mut self, entities: &[u32]) {
        let before = std::mem::take(&mut self.entities).into_iter();
        let before = before.filter(|(_, heavy)| matches!(heavy, Heavy::Counted(_)));
        let before: Vec<_> = before.map(|(entity, heavy)| (renamed(entities, entity), heavy)).collect();
        let named = before.iter().filter(|(entity, _)| *entity != NO_KEY).count();
        self.entities.extend(before.into_iter().filter(|(entity, _)| *entity != NO_KEY));
        // Two that become one have more events than either.
        if self.entities.len() < named {
            self.clear();
        }
    }

    /// Forgets counts of entities that are asked of an earlier T than before: they only go forwards. Queries are sorted by
    /// entity and T.
    pub(super) fn forget_behind(&mut self, entity: &[u32], at: &[i64]) {
        let mut start = 0;
        self.entities.retain(|&of, heavy| {
            let Heavy::Counted(tallies) = heavy else { return true };
            let queries = rows_of(entity, of, start);
            start = queries.end;
            let first = at[queries].first();
            first.is_none_or(|first| tallies.iter().all(|tally| tally.at <= *first))
        });
    }

    /// Takes in what is to be retained of a step.
    pub(super) fn take(&mut self, kept: Kept, run: &Run) {
        let mut start = 0;
        for (&entity, heavy) in &mut self.entities {
            let rows = rows_of(&run.entity, entity, start);
            start = rows.end;
            if !rows.is_empty() {
                heavy.take(kept, run, rows);
            }
        }
    }

    /// Sees to it that those of the asked entities that have much are here.
    pub(super) fn gather(&mut self, kept: Kept, runs: &[Run], asked: &Places<'_>) {
        let much = |at: &usize| asked.events(*at) >= self.from && !self.has(asked.entities[*at]);
        let new: Vec<usize> = (0..asked.entities.len()).filter(much).collect();
        let one = |&at: &usize| (asked.entities[at], Heavy::new(kept, runs, asked, at));
        let made: Vec<_> = new.par_iter().map(one).collect();
        self.entities.extend(made);
    }

    /// Those that are asked: entity by query, sorted.
    pub(super) fn asked(&mut self, entity: &[u32]) -> Vec<HeavyGroup<'_>> {
        let mut start = 0;
        let group = |(&of, heavy)| {
            let queries = rows_of(entity, of, start);
            start = queries.end;
            HeavyGroup { entity: of, queries, heavy }
        };
        self.entities.iter_mut().map(group).filter(|group| !group.queries.is_empty()).collect()
    }
}

/// Queries of an entity that is kept here.
pub(super) struct HeavyGroup<'a> {
    pub(super) entity: u32,
    pub(super) queries: Range<usize>,
    pub(super) heavy: &'a mut Heavy,
}

/// One entity.
#[derive(Debug, Clone)]
pub(super) enum Heavy {
    /// By lane, where all of them only count.
    Counted(Vec<Tally>),
    Walked(Box<Walked>),
}

impl Heavy {
    fn new(kept: Kept, runs: &[Run], asked: &Places<'_>, place: usize) -> Self {
        let entity = asked.entities[place];
        if kept.lanes.iter().any(|lane| lane.needs != Needs::default()) {
            return Self::Walked(Box::new(Walked::new(kept, runs, entity)));
        }
        let begun = |(lane, life): (&Lane, &Life)| {
            let mut tally = Tally::new(life.columns().before(entity).totals.count);
            let of_runs = runs.iter().zip(asked.of_entity(place));
            of_runs.for_each(|(run, rows)| tally.take(lane, &run.rows(), rows, kept.horizon));
            tally
        };
        Self::Counted(kept.lanes.iter().zip(kept.lives).map(begun).collect())
    }

    /// Takes in new events.
    fn take(&mut self, kept: Kept, new: &Run, rows: Range<usize>) {
        match self {
            Self::Counted(tallies) => {
                let lanes = kept.lanes.iter().zip(tallies);
                lanes.for_each(|(lane, tally)| tally.take(lane, &new.rows(), rows.clone(), kept.horizon));
            }
            Self::Walked(walked) => walked.take(kept, new, rows),
        }
    }

    /// Answers queries in a lane. `false` if a sum left the 64 bits.
    pub(super) fn answer(&mut self, number: usize, lane: &Lane, before: Before, asked: Asked) -> bool {
        match self {
            Self::Counted(tallies) => {
                if let Some(tally) = tallies.get_mut(number) {
                    tally.answer(lane, asked);
                }
                true
            }
            Self::Walked(walked) => walked.answer(number, lane, before, asked),
        }
    }
}

/// One entity with a walk for each lane.
#[derive(Debug, Clone)]
pub(super) struct Walked {
    /// Its events; other keys by their numbers in `names`.
    run: Run,
    /// Small numbers of other keys.
    names: HashMap<u32, u32>,
    /// By lane.
    cursors: Vec<Cursor>,
}

fn number(names: &mut HashMap<u32, u32>, other: u32) -> u32 {
    if other == NO_KEY {
        return NO_KEY;
    }
    let next = names.len() as u32;
    *names.entry(other).or_insert(next)
}

impl Walked {
    fn new(kept: Kept, runs: &[Run], entity: u32) -> Self {
        let mut run = Copied::of(runs, &Places::of(runs, &[entity]), |_| true).of_one(entity);
        let mut names = HashMap::new();
        for life in kept.lives {
            life.columns().before(entity).others.iter().for_each(|&[_, other]| _ = number(&mut names, other));
        }
        run.other.edit().iter_mut().for_each(|other| *other = number(&mut names, *other));
        let mut walked = Self { run, names, cursors: Vec::new() };
        let begun = |(lane, life): (_, &Life)| walked.begin(lane, life.columns().before(entity), kept.horizon);
        walked.cursors = kept.lanes.iter().zip(kept.lives).map(begun).collect();
        walked
    }

    fn begin(&self, lane: &Lane, before: Before, horizon: i64) -> Cursor {
        let named = |[_, other]: &Pair| self.names.get(other).copied().unwrap_or(NO_KEY);
        let earlier: Vec<u32> = before.others.iter().map(named).collect();
        let others = Others { local: &self.run.other, before: &earlier, names: self.names.len() };
        let walk = Walk { lane, run: &self.run.rows(), events: 0..self.run.len(), others, horizon };
        let mut cursor = Cursor::default();
        // Later questions come too.
        cursor.find_late(&walk, i64::MIN..i64::MAX);
        cursor.begin(&walk, before);
        cursor
    }

    /// Puts new events among the old ones.
    fn take(&mut self, kept: Kept, new: &Run, rows: Range<usize>) {
        let (length, count) = (self.run.len(), rows.len());
        let begins = new.happened[rows.start];
        let first = self.run.happened.partition_point(|&happened| happened <= begins);
        self.run.append(new, rows);
        for other in self.run.other.edit().iter_mut().skip(length) {
            *other = number(&mut self.names, *other);
        }
        let mut moved: Vec<u32> = (first as u32..(length + count) as u32).collect();
        if first < length {
            let mut order = moved.clone();
            // Two sorted stretches: a merge sort takes them as they are, and leaves the old ones before equal new ones.
            order.sort_by_key(|&row| self.run.happened[row as usize]);
            self.run.reorder_from(first, &order);
            for (place, &row) in (first as u32..).zip(&order) {
                moved[row as usize - first] = place;
            }
        }
        let others = Others { local: &self.run.other, before: &[], names: self.names.len() };
        for (lane, cursor) in kept.lanes.iter().zip(&mut self.cursors) {
            let walk = Walk { lane, run: &self.run.rows(), events: 0..length + count, others, horizon: kept.horizon };
            cursor.insert(&walk, first, &moved, (length..length + count).map(|row| moved[row - first] as usize));
        }
    }

    /// As [`Heavy::answer`].
    fn answer(&mut self, number: usize, lane: &Lane, before: Before, asked: Asked) -> bool {
        let Some(at) = self.cursors.get(number).map(|cursor| cursor.at) else { return true };
        // What is asked of an earlier T than the latest needs a walk of its own.
        let back = asked.at.partition_point(|&asked| asked < at);
        let (earlier, later) = asked.split_at(back);
        let mut fresh = if back > 0 { self.begin(lane, before, asked.horizon) } else { Cursor::default() };
        let others = Others { local: &self.run.other, before: &[], names: self.names.len() };
        let walk = Walk { lane, run: &self.run.rows(), events: 0..self.run.len(), others, horizon: asked.horizon };
        let fits = walk.go(earlier, &mut fresh);
        walk.go(later, &mut self.cursors[number]) && fits
    }
}
