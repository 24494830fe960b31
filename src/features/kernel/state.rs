//! The state between steps: keys, events that a window can still reach, totals over the whole life.

use super::NO_KEY;
use super::columns::{Column, Sink, Spare};
use super::declare::{Declaration, Declarations};
use super::interner::Interner;
use super::life::Life;
use super::run::{Events, Queries, Run, rows_of};
use super::sort::Sorted;
use super::sweep::{Asked, Scratch, sweep};
use crate::error::{Error, Result};
use rayon::prelude::*;
use std::borrow::Cow;
use std::ops::Range;
use std::sync::Arc;

/// Events and queries that one task takes on at least: enough to be worth a task, little enough to share out evenly.
const TASK_ROWS: usize = 16_384;

/// Features of one entity over one kind of event, from step to step.
///
/// A batch is one step on an empty state. Any cut into steps gives the same bits, as long as each query comes with or after
/// the events known before it, and no later than [`State::expire`] was told.
#[derive(Debug, Clone)]
pub struct State {
    pub(super) declarations: Declarations,
    pub(super) entities: Interner,
    pub(super) others: Interner,
    pub(super) horizon: i64,
    /// Retained events, each run less than half of the one before: few to look at, and each event is moved a few times.
    pub(super) runs: Vec<Run>,
    /// By lane.
    pub(super) lives: Vec<Life>,
}

/// Queries of an entity and its events.
struct Group {
    entity: u32,
    queries: Range<usize>,
    events: Range<usize>,
}

impl State {
    /// Nothing seen yet.
    pub fn new(declarations: Declarations) -> Self {
        let lives = vec![Life::default(); declarations.lanes.len()];
        let (entities, others) = (Interner::default(), Interner::default());
        Self { declarations, entities, others, horizon: i64::MIN, runs: Vec::new(), lives }
    }

    /// Numbers of entities; valid until [`Self::expire`], which may forget some.
    pub fn entities(&mut self) -> &mut Interner {
        &mut self.entities
    }

    /// Numbers of the other keys that distinct counts count; valid until [`Self::expire`].
    pub fn others(&mut self) -> &mut Interner {
        &mut self.others
    }

    /// What is computed.
    pub fn declarations(&self) -> &Declarations {
        &self.declarations
    }

    /// The earliest T that can still be asked.
    pub fn horizon(&self) -> i64 {
        self.horizon
    }

    /// Number of events kept because a window can still reach them.
    pub fn retained(&self) -> usize {
        self.runs.iter().map(Run::len).sum()
    }

    /// Takes in events, then answers queries from everything seen so far; one column a declaration, one row a query.
    ///
    /// Queries and events come in any order. A query sees what was known strictly before its T, of this step or earlier.
    ///
    /// # Errors
    /// [`Error::Invariant`], with the state as it was: columns of different lengths or missing, unnumbered keys, a T before
    /// the horizon. [`Error::InputRefused`] if a sum leaves the 64 bits.
    pub fn step(&mut self, events: &Events, queries: &Queries) -> Result<Vec<Column>> {
        events.check(self.declarations.needs, self.entities.len(), self.others.len())?;
        queries.check(self.entities.len(), self.horizon)?;
        let entities = self.entities.len();
        let sorted = Sorted::new(events.entity, events.happened_at, entities);
        self.admit(Run::new(events, self.declarations.needs, &sorted));
        // Where every event also asks, once: the rows are the same rows.
        match std::ptr::eq(events.entity, queries.entity) && std::ptr::eq(events.happened_at, queries.at) {
            true => self.answer(&sorted),
            false => {
                drop(sorted);
                self.answer(&Sorted::new(queries.entity, queries.at, entities))
            }
        }
    }

    fn admit(&mut self, mut run: Run) {
        if self.horizon > i64::MIN {
            self.settle(&mut run, i64::MIN, self.horizon);
        }
        if run.len() > 0 {
            self.runs.push(run);
        }
        while let [.., before, last] = self.runs.as_slice()
            && last.len() * 2 >= before.len()
        {
            self.merge_last();
        }
    }

    fn merge_last(&mut self) {
        if let (Some(last), Some(before)) = (self.runs.pop(), self.runs.pop()) {
            self.runs.push(before.merge(&last));
        }
    }

    /// One run of everything retained.
    pub(super) fn compact(&mut self) {
        while self.runs.len() > 1 {
            self.merge_last();
        }
    }

    fn answer(&mut self, queries: &Sorted) -> Result<Vec<Column>> {
        let Sorted { order, entity, time: at, .. } = queries;
        // Many queries: all runs become one. Few: only what their entities need is put together.
        if order.len() >= self.retained() / 8 {
            self.compact();
        }
        let run = match self.runs.as_slice() {
            [] => Cow::Owned(Run::default()),
            [run] => Cow::Borrowed(run),
            runs => Cow::Owned(Run::of_entities(runs, entity.chunk_by(|a, b| a == b).map(|same| same[0]))),
        };
        let mut groups = Vec::new();
        let (mut first, mut start) = (0, 0);
        for same in entity.chunk_by(|a, b| a == b) {
            let events = rows_of(&run.entity, same[0], start);
            start = events.end;
            groups.push(Group { entity: same[0], queries: first..first + same.len(), events });
            first += same.len();
        }
        let sinks: Vec<Sink> =
            self.declarations.all().iter().map(|d| Sink::new(d.aggregate, queries.taken())).collect();
        let one = |scratch: &mut Scratch, group: &Group| {
            let asked = Asked {
                at: &at[group.queries.clone()],
                rows: &order[group.queries.clone()],
                sinks: &sinks,
                horizon: self.horizon,
            };
            let before = |lane: usize| self.lives[lane].before(group.entity);
            sweep(&self.declarations.lanes, &run, group.events.clone(), before, asked, scratch)
        };
        let fits = tasks(&groups)
            .into_par_iter()
            .map_init(Scratch::default, |scratch, task| groups[task].iter().all(|group| one(scratch, group)))
            .reduce(|| true, |a, b| a && b);
        if !fits {
            return Err(Error::InputRefused {
                message: "the amounts of one entity add up to more than 64 bits hold".to_owned(),
                hint: Some("amounts are minor units; check the currency and the decimal sign of the source".to_owned()),
            });
        }
        let (names, mut spare) = (self.declarations.all().iter().map(Declaration::name), Spare::default());
        Ok(names
            .zip(sinks)
            .map(|(name, sink)| Column { name, values: sink.finish(queries.slots.as_deref(), &mut spare) })
            .collect())
    }

    /// Says that no query before `before` will come: what no window can reach any more becomes totals or is forgotten.
    ///
    /// Numbers of keys taken before are void. Going back is ignored.
    ///
    /// # Errors
    /// None in practice; see [`Interner::intern`].
    pub fn expire(&mut self, before: i64) -> Result<()> {
        if before <= self.horizon {
            return Ok(());
        }
        let mut runs = std::mem::take(&mut self.runs);
        for run in &mut runs {
            self.settle(run, self.horizon, before);
        }
        runs.retain(|run| run.len() > 0);
        self.runs = runs;
        self.horizon = before;
        self.compact();
        self.forget_keys()
    }

    /// Takes into the lifetime totals what entered in `[from, to)`, and drops what no query from `to` on can need.
    fn settle(&mut self, run: &mut Run, from: i64, to: i64) {
        let lanes = &self.declarations.lanes;
        for (lane, life) in lanes.iter().zip(&mut self.lives).filter(|(lane, _)| lane.span.is_none()) {
            life.take(lane, run, from, to);
        }
        run.retain(|run, at| {
            lanes.iter().any(|lane| match lane.span {
                Some(_) => run.happened[at] >= lane.floor(to),
                None => lane.enters(run.happened[at], run.known(at)) >= to,
            })
        });
    }

    /// Forgets keys of which nothing is left, once they are a quarter of all.
    fn forget_keys(&mut self) -> Result<()> {
        let mut entities = vec![false; self.entities.len()];
        let mut others = vec![false; self.others.len()];
        for run in &self.runs {
            run.entity.iter().for_each(|&id| entities[id as usize] = true);
            run.other.iter().filter(|&&id| id != NO_KEY).for_each(|&id| others[id as usize] = true);
        }
        for life in &self.lives {
            for (entity, _) in life.totals.iter().enumerate().filter(|(_, totals)| totals.count > 0) {
                entities[entity] = true;
            }
            life.others.iter().for_each(|&(_, id)| others[id as usize] = true);
        }
        let stale = |live: &[bool]| live.iter().filter(|&&live| !live).count() * 4 > live.len();
        if stale(&entities) {
            let renamed = self.entities.keep(&entities)?;
            self.runs
                .iter_mut()
                .flat_map(|run| Arc::make_mut(&mut run.entity))
                .for_each(|id| *id = renamed[*id as usize]);
            self.lives.iter_mut().for_each(|life| life.rename(&renamed));
        }
        if stale(&others) {
            let renamed = self.others.keep(&others)?;
            let named = |id: &mut u32| *id = renamed.get(*id as usize).copied().unwrap_or(NO_KEY);
            self.runs.iter_mut().flat_map(|run| &mut run.other).for_each(named);
            self.lives.iter_mut().flat_map(|life| &mut life.others).for_each(|(_, id)| named(id));
        }
        Ok(())
    }
}

/// Groups in stretches of about [`TASK_ROWS`]. They depend on the data alone, and no result depends on them.
fn tasks(groups: &[Group]) -> Vec<Range<usize>> {
    let (mut tasks, mut first, mut rows) = (Vec::new(), 0, 0);
    for (at, group) in groups.iter().enumerate() {
        rows += group.queries.len() + group.events.len();
        if rows >= TASK_ROWS || at + 1 == groups.len() {
            tasks.push(first..at + 1);
            (first, rows) = (at + 1, 0);
        }
    }
    tasks
}
