//! Window features of orders and lines: what is declared, counted by the kernel and put together.
//!
//! A feature is a formula over terms; a term is one column of a kernel state; a state is one entity over one kind of event.
//! A term that several features need (the shop's own rate, a count that a share and a first use look at) is computed once.
//! Features come out one by one as soon as their terms are there, and terms go as soon as nobody needs them, so that what is
//! held beside the input is a state's columns and not all of them.

mod facts;
mod formula;
mod keys;
mod plan;
mod saved;
#[cfg(test)]
mod tests;

pub use facts::{Facts, Grid, Happenings, Level, Phase, Stream};
pub use keys::Keys;
pub use plan::Units;

use super::kernel::{Events, NO_KEY, NO_VALUE, Queries, SortedQueries, State, Values};
use crate::config::FeatureSpec;
use crate::contract::feature::STANDING;
use crate::error::{Error, Result};
use facts::by_rows;
use plan::{Plan, StatePlan};
use std::borrow::Cow;
use std::ops::Range;

/// Takes a feature: its place among the declared ones, who has it, one value a row that asks (NaN is null).
pub type Sink<'a> = dyn FnMut(usize, Level, Vec<f64>) -> Result<()> + 'a;

/// Declared features and what was seen so far.
#[derive(Debug, Clone)]
pub struct Engine {
    plan: Plan,
    states: Vec<State>,
    keys: Keys,
}

impl Engine {
    /// Nothing seen yet.
    ///
    /// # Errors
    /// [`Error::Invariant`] for features that no configuration lets pass.
    pub fn new(specs: &[FeatureSpec], units: Units) -> Result<Self> {
        let plan = Plan::new(specs, units)?;
        let states = plan.states.iter().map(|state| State::new(state.declarations.clone())).collect();
        Ok(Self { plan, states, keys: Keys::default() })
    }

    /// Numbers of keys, for [`Facts`].
    pub fn keys(&mut self) -> &mut Keys {
        &mut self.keys
    }

    /// Takes in events, then answers the rows that ask from everything seen so far.
    ///
    /// # Errors
    /// What `each` returns; [`Error::InputRefused`] if a sum leaves the 64 bits.
    pub fn step(&mut self, facts: &Facts, each: &mut Sink) -> Result<()> {
        let mut terms = Terms::new(&self.plan);
        for states in self.plan.by_queries() {
            self.step_states(states, facts, Afterwards::Keep, &mut terms, each)?;
        }
        Ok(())
    }

    /// As [`Self::step`], when no other will come: nothing is kept of what no feature waits for any more, be it of states or
    /// of the keys and events of `facts`.
    ///
    /// # Errors
    /// As [`Self::step`].
    pub fn finish(mut self, facts: &mut Facts, each: &mut Sink) -> Result<()> {
        self.step_and_drop(facts, Afterwards::Drop, each)
    }

    /// As [`Self::step`], then as [`Self::expire`], for a long history at once: what no later query can reach goes state by
    /// state, and keys and events of `facts` go as soon as no state will read them. So the history is held once, and not
    /// again in every state.
    ///
    /// # Errors
    /// As [`Self::step`] and [`Self::expire`].
    pub fn step_and_expire(&mut self, facts: &mut Facts, before: i64, each: &mut Sink) -> Result<()> {
        self.step_and_drop(facts, Afterwards::Expire(before), each)?;
        self.expire(before)
    }

    fn step_and_drop(&mut self, facts: &mut Facts, afterwards: Afterwards, each: &mut Sink) -> Result<()> {
        let mut terms = Terms::new(&self.plan);
        for states in self.plan.by_queries() {
            let end = states.end;
            self.step_states(states, facts, afterwards, &mut terms, each)?;
            StatePlan::drop_unread(&self.plan.states[end..], facts);
        }
        Ok(())
    }

    /// A step of states that are asked for the same entities.
    fn step_states(
        &mut self,
        states: Range<usize>,
        facts: &Facts,
        afterwards: Afterwards,
        terms: &mut Terms,
        each: &mut Sink,
    ) -> Result<()> {
        let (level, who) = (self.plan.states[states.start].level, self.plan.states[states.start].who);
        let grid = facts.grid(level);
        let by_row = facts.keys_of(level, who, &mut self.keys)?.ok_or_else(|| absent("keys"))?;
        let (entity, at);
        let queries = match &grid.asking {
            None => Queries { entity: &by_row, at: &grid.placed_at },
            Some(rows) => {
                (entity, at) = (by_rows(&by_row, rows, NO_KEY), by_rows(&grid.placed_at, rows, 0));
                Queries { entity: &entity, at: &at }
            }
        };
        let queries = SortedQueries::new(queries)?;
        for (plan, state) in self.plan.states[states.clone()].iter().zip(&mut self.states[states]) {
            let mut arrived = |declaration: usize, values: Values| {
                terms.take(&self.plan, plan.terms[declaration], values, facts, each)
            };
            step(plan, state, facts, &by_row, &queries, &mut self.keys, &mut arrived)?;
            match afterwards {
                Afterwards::Keep => {}
                Afterwards::Expire(before) => state.expire(before),
                Afterwards::Drop => *state = State::new(plan.declarations.clone()),
            }
        }
        Ok(())
    }
}

/// What becomes of a state that has answered.
#[derive(Clone, Copy)]
enum Afterwards {
    Keep,
    /// What a query from here on can reach.
    Expire(i64),
    Drop,
}

/// Terms that wait for others of a feature.
struct Terms {
    here: Vec<Option<Values>>,
    /// How many features still want each.
    needed: Vec<usize>,
    /// The terms of each feature.
    wanted: Vec<Vec<usize>>,
    /// Features that have not been handed over.
    open: Vec<usize>,
}

impl Terms {
    fn new(plan: &Plan) -> Self {
        let wanted: Vec<Vec<usize>> = plan.formulas.iter().map(|(_, formula)| formula.terms()).collect();
        let mut needed = vec![0; plan.terms];
        wanted.iter().flatten().for_each(|&term| needed[term] += 1);
        Self { here: vec![None; plan.terms], needed, open: (0..wanted.len()).collect(), wanted }
    }

    /// Hands over the features that have waited for this one only, and forgets terms that no other feature wants.
    fn take(&mut self, plan: &Plan, term: usize, values: Values, facts: &Facts, each: &mut Sink) -> Result<()> {
        self.here[term] = Some(values);
        let ready = |feature: &usize| self.wanted[*feature].iter().all(|&term| self.here[term].is_some());
        let (done, waiting): (Vec<usize>, Vec<usize>) = self.open.iter().partition(|feature| ready(feature));
        self.open = waiting;
        for feature in done {
            let (level, formula) = &plan.formulas[feature];
            each(feature, *level, formula.values(&self.here, facts.grid(*level)))?;
            for &term in &self.wanted[feature] {
                self.needed[term] -= 1;
                if self.needed[term] == 0 {
                    self.here[term] = None;
                }
            }
        }
        Ok(())
    }
}

fn absent(what: &str) -> Error {
    Error::Invariant(format!("no {what} for a feature that was found computable"))
}

/// One state; `asking` is the entity of every row that could ask.
fn step(
    plan: &StatePlan,
    state: &mut State,
    facts: &Facts,
    asking: &[u32],
    queries: &SortedQueries,
    keys: &mut Keys,
    each: &mut dyn FnMut(usize, Values) -> Result<()>,
) -> Result<()> {
    let none = Happenings::default();
    let (happened, rows) = match facts.events.get(&plan.stream) {
        Some(happened) => (happened, facts.grid(plan.stream.level)),
        None => (&none, &Grid::default()),
    };
    // What happens to the asking rows themselves has their keys: the same slice, so that it is sorted once.
    let same_level = plan.stream.level == plan.level;
    let by_row = if same_level { None } else { facts.keys_of(plan.stream.level, plan.who, keys)? };
    let by_row = Cow::Borrowed(by_row.as_deref().unwrap_or(asking));
    // Events of their own, such as a ticket about no order, can be there where no order is.
    let is_nothing = rows.placed_at.is_empty() && happened.rows.is_none();
    let entity = if is_nothing { Cow::Owned(Vec::new()) } else { happened.keys(plan.who.0, by_row) };
    let other = match plan.other {
        Some(other) if !is_nothing => {
            let by_row = facts.keys_of(plan.stream.level, (other, None), keys)?;
            let by_row = by_row.or_else(|| rows.placed_at.is_empty().then(|| Cow::Owned(Vec::new())));
            Some(happened.keys(other, by_row.ok_or_else(|| absent("other keys"))?))
        }
        Some(_) => Some(Cow::Owned(Vec::new())),
        None => None,
    };
    let happened_at: Cow<[i64]> = match (&happened.happened_at, &happened.rows) {
        (Some(at), _) => Cow::Borrowed(at),
        (None, None) => Cow::Borrowed(&rows.placed_at),
        (None, Some(at)) => Cow::Owned(by_rows(&rows.placed_at, at, NO_VALUE)),
    };
    let value: Option<Cow<[i64]>> = match plan.value {
        Some(value) => Some(match (happened.values.get(value.name), rows.values.get(value.name), &happened.rows) {
            (Some(own), ..) => Cow::Borrowed(own),
            (None, Some(of_rows), None) => Cow::Borrowed(of_rows),
            (None, Some(of_rows), Some(at)) => Cow::Owned(by_rows(of_rows, at, NO_VALUE)),
            // Where nothing is ever taken back it need not be said that everything stands.
            (None, None, _) if value.name == STANDING.name => Cow::Owned(vec![1; happened_at.len()]),
            (None, None, _) => Cow::Owned(vec![NO_VALUE; happened_at.len()]),
        }),
        None => None,
    };
    let events = Events {
        entity: &entity,
        happened_at: &happened_at,
        known_at: happened.known_at.as_deref(),
        value: value.as_deref(),
        other: other.as_deref(),
        label: None,
    };
    state.step_sorted(&events, queries, each)
}
