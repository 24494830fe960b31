//! Facts taken back, and others told in their place.

use super::input::Input;
use super::plan::StatePlan;
use super::{Engine, Facts, Keys, absent};
use crate::error::Result;
use rayon::prelude::*;
use std::borrow::Cow;

impl Engine {
    /// Takes back the events of `gone`, which were taken in, and takes in those of `new` in their place; nobody asks. `false`: it
    /// cannot be told what is left, and the engine is of no use any more.
    ///
    /// # Errors
    /// [`crate::error::Error::InputRefused`] beyond 2³² − 1 keys.
    pub fn exchange(&mut self, gone: &Facts, new: &Facts) -> Result<bool> {
        let stretches = self.plan.by_queries();
        let by_row = |facts, plan: &StatePlan, keys: &mut Keys| -> Result<_> {
            Facts::keys_of(facts, plan.level, plan.who, keys)?.ok_or_else(|| absent("keys"))
        };
        let mut of_stretch: Vec<[Cow<'_, [u32]>; 2]> = Vec::with_capacity(stretches.len());
        for states in &stretches {
            let plan = &self.plan.states[states.start];
            of_stretch.push([by_row(gone, plan, &mut self.keys)?, by_row(new, plan, &mut self.keys)?]);
        }
        let mut inputs = Vec::with_capacity(self.states.len());
        for (states, [by_row, by_new_row]) in stretches.iter().zip(&of_stretch) {
            for plan in &self.plan.states[states.clone()] {
                let before = Input::of(plan, gone, by_row, &mut self.keys)?;
                inputs.push((before, Input::of(plan, new, by_new_row, &mut self.keys)?));
            }
        }
        let states = self.states.par_iter_mut().zip(&inputs);
        let exact = states.map(|(state, (gone, new))| state.exchange(&gone.events(), &new.events()));
        exact.try_reduce(|| true, |one, other| Ok(one && other))
    }
}
