//! The days before there are labels: how unusual orders are, and why.

use super::reasons::words;
use super::scoring::Scored;
use crate::config::Pipeline;
use crate::features::Features;
use crate::risk::isolation::Settings;
use crate::risk::isolation::days::{Orders, Unusual, unusual};
use crate::risk::reasons::{Reason, unusual_reason};
use crate::types::time::{local_day, parse_span};
use rayon::prelude::*;

/// Seed of the forests: every run draws the same.
const SEED: u64 = 1;

/// Reasons given for an unusual order.
const REASONS: usize = 5;

/// How unusual orders are, where there is no model of fraud.
pub(super) struct ColdStart<'a> {
    pipeline: &'a Pipeline,
    orders: Orders<'a>,
    unusual: Unusual,
}

/// The rows of orders in the order they were placed, equal times by their place among the ids.
pub(super) fn sequence(features: &Features, places: &[u32]) -> Vec<usize> {
    let mut sequence: Vec<usize> = (0..features.placed_at.len()).collect();
    sequence.sort_unstable_by_key(|&row| (features.placed_at[row], places[row]));
    sequence
}

impl<'a> ColdStart<'a> {
    /// Scores the orders that can be put before the desk: those placed within `decision.review_within`. Nothing is
    /// scored where fraud is not asked for, a model scores it, or `risk.fraud.cold_start` is off.
    pub(super) fn new(
        pipeline: &'a Pipeline,
        features: &'a Features,
        fraud: &Scored,
        days: &'a [i32],
        sequence: &'a [usize],
        as_of: i64,
    ) -> Self {
        let orders = Orders { matrix: &features.matrix, days, sequence };
        let asked = pipeline.raw.risk.fraud.as_ref().is_some_and(|fraud| fraud.cold_start);
        let unusual = if asked && fraud.absence().is_some() {
            let within = parse_span(&pipeline.raw.decision.review_within).unwrap_or(i64::MAX);
            let first = local_day(as_of.saturating_sub(within), pipeline.zone).unwrap_or(i32::MIN);
            unusual(&orders, &pipeline.features, first, &Settings::new(SEED))
        } else {
            Unusual::nothing(days.len())
        };
        Self { pipeline, orders, unusual }
    }

    /// How unusual each order is, `(0, 1)`; 0.5 is what is to be expected. `None` where it was not asked or cannot be
    /// said.
    pub(super) fn scores(&self) -> &[Option<f64>] {
        &self.unusual.scores
    }

    /// Why the orders that are asked for are unusual; none for the others.
    pub(super) fn reasons(&self, asked: &(dyn Fn(usize) -> bool + Sync)) -> Vec<Vec<Reason>> {
        let reason = |respect: crate::risk::isolation::Respect| {
            let feature = self.orders.matrix.names.get(respect.feature).cloned().unwrap_or_default();
            let text = words(self.pipeline, &feature);
            unusual_reason(feature, &respect, &text)
        };
        let of = |row: usize| match asked(row) {
            true => self.unusual.respects(&self.orders, row).into_iter().take(REASONS).map(reason).collect(),
            false => Vec::new(),
        };
        (0..self.unusual.scores.len()).into_par_iter().map(of).collect()
    }
}
