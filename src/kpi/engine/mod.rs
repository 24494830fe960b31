//! Counts any list of measures by period and segment.
//!
//! A [`Plan`] says which sums of which rows every measure needs. [`States`] hold these sums, and the durations of rows, by
//! slot (a day, or more where nothing is asked by day) and value of the finest segments. They are made from any part of the
//! facts and merge in any order to the same bits: sums are integers, durations a set. Weeks, months, trailing windows and
//! the whole, and segments whose columns a finer one has, are put together from them and never counted again.

mod by_cell;
mod cells;
mod days;
mod finish;
mod plan;
mod read;
mod rows;
mod segments;
mod spans;
mod states;
#[cfg(test)]
mod tests;
mod values;

pub use plan::{Plan, Settings};
pub use states::States;

use super::facts::Facts;
use super::measure::Measure;
use crate::config::TargetPack;
use crate::error::Result;
use chrono_tz::Tz;
use polars::prelude::DataFrame;

/// Clock and calendar of a count.
#[derive(Debug, Clone, Copy)]
pub struct Clock {
    /// The run's clock, UTC microseconds.
    pub as_of: i64,
    /// Zone of days, weeks and months.
    pub zone: Tz,
    /// Decimals of the base currency: how minor units become units in values.
    pub base_exponent: u32,
}

/// The result of a count.
#[derive(Debug)]
pub struct Counted {
    /// The rows of the `kpi` or `satisfaction` table, `grain` included.
    ///
    /// `quantile_error` is the largest relative error of a quantile that was taken from buckets; null where the value is
    /// exact, as all values are but quantiles of very many durations.
    pub frame: DataFrame,
    /// Measures that were computed, by id.
    pub computed: Vec<String>,
    /// Measures that the input cannot feed, with what is missing.
    pub not_computable: Vec<(String, Vec<String>)>,
    /// Targets missed by the latest mature month of the whole, as `kpi value target`.
    pub missed: Vec<(String, f64, f64)>,
}

/// Counts measures over facts that are there as a whole, with the usual [`Settings`].
///
/// # Errors
/// As [`States::add`] and [`States::finish`].
pub fn count(
    facts: &Facts,
    measures: &[Measure],
    segments: &[String],
    targets: Option<&TargetPack>,
    clock: Clock,
) -> Result<Counted> {
    let plan = Plan::new(measures, segments, &facts.available, clock, Settings::default());
    let mut states = States::new(&plan);
    states.add(&plan, facts)?;
    states.finish(&plan, targets)
}
