//! The state between steps: events that a window can still reach, totals over the whole life.

use super::NO_KEY;
use super::columns::{Column, Values};
use super::declare::Declarations;
use super::heavy::{Heavies, Kept};
use super::life::Life;
use super::run::{Events, Queries, Run, SortedQueries, broken, selected};
use super::sort::Sorted;
use crate::error::Result;

/// Features of one entity over one kind of event, from step to step.
///
/// Entities and other keys are numbers that somebody else gives (an [`Interner`](super::Interner)): several states share
/// them. Any number below [`NO_KEY`] is taken; what is kept by entity is as long as the greatest one.
///
/// A batch is one step on an empty state. Any cut into steps gives the same bits, as long as each query comes with or after
/// the events known before it, and no later than [`State::expire`] was told.
#[derive(Debug, Clone)]
pub struct State {
    pub(super) declarations: Declarations,
    pub(super) horizon: i64,
    /// Retained events, each run shorter than the one before: few to look at, and each event is moved a few times.
    pub(super) runs: Vec<Run>,
    /// By lane.
    pub(super) lives: Vec<Life>,
    /// What makes small steps quick; nothing that is not in the runs.
    pub(super) heavies: Heavies,
}

impl State {
    /// Nothing seen yet.
    pub fn new(declarations: Declarations) -> Self {
        let lives = declarations.lanes.iter().map(|lane| Life::new(lane.needs)).collect();
        Self { declarations, horizon: i64::MIN, runs: Vec::new(), lives, heavies: Heavies::default() }
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
    /// As [`Self::step_each`].
    pub fn step(&mut self, events: &Events, queries: &Queries) -> Result<Vec<Column>> {
        let mut columns: Vec<Column> = self.declarations.all().iter().map(|d| Column::empty(d.name())).collect();
        self.step_each(events, queries, &mut |column, values| {
            columns[column].values = values;
            Ok(())
        })?;
        Ok(columns)
    }

    /// As [`Self::step`], handing over each column as soon as it is complete, with the place of its declaration. Columns of
    /// one window and delay are computed together, and only they are held: what is done with them bounds the memory.
    ///
    /// # Errors
    /// [`Error::Invariant`](crate::error::Error::Invariant), with the state as it was: columns of different lengths or
    /// missing, a T before the horizon. [`Error::InputRefused`](crate::error::Error::InputRefused) if a sum leaves the 64
    /// bits, and any error of `each`; then the events are in the state, and columns may have been handed over.
    pub fn step_each(
        &mut self,
        events: &Events,
        queries: &Queries,
        each: &mut dyn FnMut(usize, Values) -> Result<()>,
    ) -> Result<()> {
        events.check(self.declarations.needs)?;
        queries.check(self.horizon)?;
        let sorted = Sorted::new(events.entity, events.happened_at);
        self.admit(Run::new(events, self.declarations.needs, &sorted));
        // Where every event also asks, once: the rows are the same rows.
        match queries.are_rows_of(events) {
            true => self.answer(&sorted, each),
            false => {
                drop(sorted);
                self.answer(&Sorted::new(queries.entity, queries.at), each)
            }
        }
    }

    /// As [`Self::step_each`], with queries that other states have been asked too.
    ///
    /// # Errors
    /// As [`Self::step_each`].
    pub fn step_sorted(
        &mut self,
        events: &Events,
        queries: &SortedQueries,
        each: &mut dyn FnMut(usize, Values) -> Result<()>,
    ) -> Result<()> {
        events.check(self.declarations.needs)?;
        queries.queries.check(self.horizon)?;
        let run = match queries.queries.are_rows_of(events) {
            true => Run::new(events, self.declarations.needs, &queries.sorted),
            false => Run::new(events, self.declarations.needs, &Sorted::new(events.entity, events.happened_at)),
        };
        self.admit(run);
        self.answer(&queries.sorted, each)
    }

    /// Takes in what another state of the same declarations has seen, such as one of another shard of keys. Its keys are
    /// given the numbers that they have here, by their numbers there. Entities may be in both; then what is known of them
    /// adds up. Both go on from the later horizon.
    ///
    /// # Errors
    /// [`Error::Invariant`](crate::error::Error::Invariant), with the state as it was: other declarations, or a key that is
    /// used and has no number here.
    pub fn merge(&mut self, mut other: Self, entities: &[u32], others: &[u32]) -> Result<()> {
        if self.declarations != other.declarations {
            return Err(broken("states of different declarations do not add up"));
        }
        other.expire(self.horizon);
        if !other.keys_all(|id| renamed(entities, id) != NO_KEY, |id| renamed(others, id) != NO_KEY) {
            return Err(broken("a state to be merged uses keys that were not given a number"));
        }
        self.expire(other.horizon);
        self.heavies.clear();
        other.rename(entities, others);
        other.runs.into_iter().for_each(|run| self.push(run));
        self.lives.iter_mut().zip(other.lives).for_each(|(life, other)| life.join(other));
        Ok(())
    }

    /// Whether all entities and all other keys that are used pass.
    fn keys_all(&self, entity: impl Fn(u32) -> bool, other: impl Fn(u32) -> bool) -> bool {
        self.runs
            .iter()
            .all(|run| run.entity.iter().all(|&id| entity(id)) && run.other.iter().all(|&id| id == NO_KEY || other(id)))
            && self
                .lives
                .iter()
                .all(|life| life.entities().all(&entity) && life.others.iter().all(|&[_, id]| other(id)))
    }

    /// Takes in a run.
    pub(super) fn admit(&mut self, mut run: Run) {
        if self.horizon > i64::MIN {
            let late = |at: &usize| run.known(*at) < self.horizon;
            (0..run.len()).filter(late).for_each(|at| self.heavies.forget(run.entity[at]));
            self.settle(&mut run, i64::MIN, self.horizon);
        }
        let kept = Kept { lanes: &self.declarations.lanes, lives: &self.lives, horizon: self.horizon };
        self.heavies.take(kept, &run);
        self.push(run);
    }

    /// Adds a run, and puts it together with those before it that are no longer than what there is by then: each event is moved
    /// once for every doubling.
    fn push(&mut self, run: Run) {
        if run.len() > 0 {
            self.runs.push(run);
        }
        let (mut first, mut rows) = (self.runs.len(), 0);
        while let Some(before) = first.checked_sub(1)
            && (rows == 0 || rows >= self.runs[before].len())
        {
            (first, rows) = (before, rows + self.runs[before].len());
        }
        self.merge_from(first);
    }

    /// Makes one run of those from `first` on.
    fn merge_from(&mut self, first: usize) {
        if self.runs.len() > first + 1 {
            let merged = Run::merged(self.runs.split_off(first));
            self.runs.push(merged);
        }
    }

    /// One run of everything retained.
    pub(super) fn compact(&mut self) {
        self.merge_from(0);
    }

    /// Says that no query before `before` will come: what no window can reach any more becomes totals or is forgotten.
    /// Going back is ignored.
    pub fn expire(&mut self, before: i64) {
        if before <= self.horizon {
            return;
        }
        self.heavies.expire(before);
        let mut runs = std::mem::take(&mut self.runs);
        for run in &mut runs {
            self.settle(run, self.horizon, before);
        }
        self.horizon = before;
        // Older ones are shorter now, and some of those after them may be no shorter.
        runs.into_iter().for_each(|run| self.push(run));
    }

    /// Takes into the lifetime totals what entered in `[from, to)`, and drops what no query from `to` on can need.
    fn settle(&mut self, run: &mut Run, from: i64, to: i64) {
        let lanes = &self.declarations.lanes;
        for (lane, life) in lanes.iter().zip(&mut self.lives).filter(|(lane, _)| lane.span.is_none()) {
            life.take(lane, run, from, to);
        }
        let (rows, reaches) = (run.rows(), self.reaches_back_to(to));
        let is_kept = |at: usize| reaches(rows.happened[at], rows.known(at));
        run.keep(&selected(run.len(), is_kept));
    }

    /// Whether an event, by its happening and its knowledge, is kept in the runs when the horizon is there.
    pub(super) fn reaches_back_to(&self, horizon: i64) -> impl Fn(i64, i64) -> bool + use<> {
        let lanes = &self.declarations.lanes;
        // Over the whole life the floor is what could not have entered yet, had it been known at once.
        let floor = lanes.iter().map(|lane| lane.floor(horizon)).min().unwrap_or(i64::MAX);
        let known_matters = lanes.iter().any(|lane| lane.span.is_none());
        move |happened, known| (happened >= floor) | (known_matters && known >= horizon)
    }

    /// Marks the entities of which something is kept; the rest can be forgotten by [`Interner::keep`](super::Interner::keep).
    /// Several states may mark the same slice, some of them as [other keys](Self::mark_others). Numbers beyond its end are
    /// passed over.
    pub fn mark_entities(&self, live: &mut [bool]) {
        self.runs.iter().for_each(|run| mark(live, run.entity.iter().copied()));
        self.lives.iter().for_each(|life| mark(live, life.entities()));
    }

    /// As [`Self::mark_entities`], of the other keys that are kept.
    pub fn mark_others(&self, live: &mut [bool]) {
        self.runs.iter().for_each(|run| mark(live, run.other.iter().copied()));
        self.lives.iter().for_each(|life| mark(live, life.others.iter().map(|&[_, id]| id)));
    }

    /// Gives entities and other keys new numbers, by their old ones. What is kept of an entity without a new number (beyond
    /// the end, or [`NO_KEY`]) is dropped, and such another key becomes null: [`Self::mark_entities`] and [`Self::mark_others`] say which have to have one.
    ///
    /// Quick where numbers keep their order, as those of [`Interner::keep`](super::Interner::keep) do.
    pub fn rename(&mut self, entities: &[u32], others: &[u32]) {
        self.heavies.rename(entities);
        self.runs.iter_mut().for_each(|run| run.rename(entities, others));
        self.runs.retain(|run| run.len() > 0);
        self.lives.iter_mut().for_each(|life| life.rename(entities, others));
    }
}

fn mark(live: &mut [bool], ids: impl Iterator<Item = u32>) {
    for id in ids {
        if let Some(live) = live.get_mut(id as usize) {
            *live = true;
        }
    }
}

/// The new number of a key; [`NO_KEY`] if it has none.
pub(super) fn renamed(names: &[u32], id: u32) -> u32 {
    names.get(id as usize).copied().unwrap_or(NO_KEY)
}
