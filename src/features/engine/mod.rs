//! Window features of orders and lines: what is declared, counted by the kernel and put together.
//!
//! A feature is a formula over terms; a term is one column of a kernel state; a state is one entity over one kind of event.
//! A term that several features need (the shop's own rate, a count that a share and a first use look at) is computed once.
//! Features come out one by one as soon as their terms are there, and terms go as soon as nobody needs them, so that what is
//! held beside the input is a state's columns and not all of them.

mod exchange;
mod facts;
mod formula;
mod input;
mod keys;
mod plan;
mod saved;
#[cfg(test)]
mod tests;

pub use facts::{Facts, Grid, Happenings, Level, Phase, Stream};
pub use keys::Keys;
pub use plan::Units;
pub use saved::{Live, Renamed};

use super::kernel::{SortedQueries, State, Values};
use crate::config::FeatureSpec;
use crate::error::{Error, Result};
use input::{Asked, Input};
use plan::{Formula, Plan, StatePlan};
use rayon::prelude::*;
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
        let cells = self.plan.formulas.iter().map(|(level, _)| facts.grid(*level).rows_asking());
        if cells.sum::<usize>() <= FEW_CELLS {
            return self.step_side_by_side(facts, each);
        }
        let mut terms = Terms::new(&self.plan);
        for states in self.plan.by_queries() {
            self.step_states(states, facts, Afterwards::Keep, &mut terms, each)?;
        }
        Ok(())
    }

    /// A step in which little is asked: all columns can be held at once, so that states need not wait for one another.
    fn step_side_by_side(&mut self, facts: &Facts, each: &mut Sink) -> Result<()> {
        let stretches = self.plan.by_queries();
        let mut keys_by_row = Vec::with_capacity(stretches.len());
        for states in &stretches {
            let StatePlan { level, who, .. } = self.plan.states[states.start];
            let by_row = facts.keys_of(level, who, &mut self.keys)?.ok_or_else(|| absent("keys"))?;
            keys_by_row.push((facts.grid(level), by_row));
        }
        let asked: Vec<Asked> = keys_by_row.par_iter().map(|(grid, by_row)| Asked::of(grid, by_row)).collect();
        let queries = asked.par_iter().map(|asked| SortedQueries::new(asked.queries()));
        let queries: Vec<SortedQueries> = queries.collect::<Result<_>>()?;
        let (mut inputs, mut of_stretch) = (Vec::new(), Vec::new());
        for (number, states) in stretches.iter().enumerate() {
            for plan in &self.plan.states[states.clone()] {
                inputs.push(Input::of(plan, facts, &keys_by_row[number].1, &mut self.keys)?);
                of_stretch.push(number);
            }
        }
        let answers = self.states.par_iter_mut().zip(&inputs).zip(&of_stretch).map(|((state, input), stretch)| {
            let mut columns = Vec::new();
            state.step_sorted(&input.events(), &queries[*stretch], &mut |declaration, values| {
                columns.push((declaration, values));
                Ok(())
            })?;
            Ok(columns)
        });
        let answers = answers.collect::<Result<Vec<_>>>()?;
        let mut terms: Vec<Option<Values>> = vec![None; self.plan.terms];
        for (plan, columns) in self.plan.states.iter().zip(answers) {
            for (declaration, values) in columns {
                terms[plan.terms[declaration]] = Some(values);
            }
        }
        // All terms are there at once, so that no feature waits for another.
        let feature = |(level, formula): &(Level, Formula)| {
            let is_there = formula.terms().iter().all(|&term| terms[term].is_some());
            is_there.then(|| formula.values(&terms, facts.grid(*level)))
        };
        let features: Vec<Option<Vec<f64>>> = self.plan.formulas.par_iter().map(feature).collect();
        for (feature, (values, (level, _))) in features.into_iter().zip(&self.plan.formulas).enumerate() {
            values.map_or(Ok(()), |values| each(feature, *level, values))?;
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
        self.expire(before).map(drop)
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
        let by_row = facts.keys_of(level, who, &mut self.keys)?.ok_or_else(|| absent("keys"))?;
        let asked = Asked::of(facts.grid(level), &by_row);
        let queries = SortedQueries::new(asked.queries())?;
        for (plan, state) in self.plan.states[states.clone()].iter().zip(&mut self.states[states]) {
            let mut arrived = |declaration: usize, values: Values| {
                terms.take(&self.plan, plan.terms[declaration], values, facts, each)
            };
            let input = Input::of(plan, facts, &by_row, &mut self.keys)?;
            state.step_sorted(&input.events(), &queries, &mut arrived)?;
            match afterwards {
                Afterwards::Keep => {}
                Afterwards::Expire(before) => state.expire(before),
                Afterwards::Drop => *state = State::new(plan.declarations.clone()),
            }
        }
        Ok(())
    }
}

/// Answers up to which all columns of a step are held at once: 128 MiB of features, and their terms.
const FEW_CELLS: usize = 1 << 24;

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
