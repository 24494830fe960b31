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

use super::kernel::{Events, NO_VALUE, Queries, State, Values};
use crate::config::FeatureSpec;
use crate::error::{Error, Result};
use facts::by_rows;
use plan::{Plan, StatePlan};
use std::borrow::Cow;

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
        let mut terms: Vec<Option<Values>> = vec![None; self.plan.terms];
        let mut needed = vec![0_usize; self.plan.terms];
        let wanted: Vec<Vec<usize>> = self.plan.formulas.iter().map(|(_, formula)| formula.terms()).collect();
        wanted.iter().flatten().for_each(|&term| needed[term] += 1);
        let mut open: Vec<usize> = (0..wanted.len()).collect();
        for (plan, state) in self.plan.states.iter().zip(&mut self.states) {
            let mut arrived = |declaration: usize, values: Values| {
                terms[plan.terms[declaration]] = Some(values);
                let ready = |feature: &usize| wanted[*feature].iter().all(|&term| terms[term].is_some());
                let (done, waiting): (Vec<usize>, Vec<usize>) = open.iter().partition(|feature| ready(feature));
                open = waiting;
                for feature in done {
                    let (level, formula) = &self.plan.formulas[feature];
                    each(feature, *level, formula.values(&terms, facts.grid(*level)))?;
                    for &term in &wanted[feature] {
                        needed[term] -= 1;
                        if needed[term] == 0 {
                            terms[term] = None;
                        }
                    }
                }
                Ok(())
            };
            answer(plan, state, facts, &mut self.keys, &mut arrived)?;
        }
        Ok(())
    }
}

fn answer(
    plan: &StatePlan,
    state: &mut State,
    facts: &Facts,
    keys: &mut Keys,
    each: &mut dyn FnMut(usize, Values) -> Result<()>,
) -> Result<()> {
    let absent = |what: &str| Error::Invariant(format!("no {what} for a feature that was found computable"));
    let grid = facts.grid(plan.level);
    let asking = facts.keys_of(plan.level, plan.who, keys)?.ok_or_else(|| absent("keys"))?;
    let none = Happenings::default();
    let (happened, rows) = match facts.events.get(&plan.stream) {
        Some(happened) => (happened, facts.grid(plan.stream.level)),
        None => (&none, &Grid::default()),
    };
    // What happens to the asking rows themselves has their keys: the same slice, so that it is sorted once.
    let same_level = plan.stream.level == plan.level;
    let by_row = if same_level { None } else { facts.keys_of(plan.stream.level, plan.who, keys)? };
    let by_row = match &by_row {
        Some(by_row) => Cow::Borrowed(by_row.as_ref()),
        None => Cow::Borrowed(asking.as_ref()),
    };
    let entity = if rows.placed_at.is_empty() { Cow::Owned(Vec::new()) } else { happened.keys(plan.who.0, by_row) };
    let other = match plan.other {
        Some(other) if !rows.placed_at.is_empty() => {
            let by_row = facts.keys_of(plan.stream.level, (other, None), keys)?.ok_or_else(|| absent("other keys"))?;
            Some(happened.keys(other, by_row))
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
    match &grid.asking {
        None => state.step_each(&events, &Queries { entity: &asking, at: &grid.placed_at }, each),
        Some(rows) => {
            let entity = by_rows(&asking, rows, super::kernel::NO_KEY);
            let at = by_rows(&grid.placed_at, rows, 0);
            state.step_each(&events, &Queries { entity: &entity, at: &at }, each)
        }
    }
}
