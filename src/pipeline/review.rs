//! The review queue: what the desk works through today.

use super::reasons::text_lists;
use super::rules::Hits;
use super::scoring::Scored;
use crate::config::{Pipeline, Rule};
use crate::decision::{Action, Verdict};
use crate::error::{Error, Result};
use crate::features::Features;
use crate::features::labels::Outcome;
use crate::risk::reasons::Reason;
use crate::types::time::{local_day, parse_span};
use polars::prelude::*;
use std::collections::HashMap;

/// What the review desk works through today.
pub(super) struct Queue<'a> {
    pub(super) pipeline: &'a Pipeline,
    pub(super) orders: &'a DataFrame,
    pub(super) features: &'a Features,
    pub(super) hits: &'a Hits,
    pub(super) fraud: &'a Scored,
    pub(super) verdicts: &'a [Verdict],
    pub(super) reasons: &'a [Vec<Reason>],
    /// How unusual each order is, where no model says more.
    pub(super) unusual: &'a [Option<f64>],
    pub(super) as_of: i64,
}

impl Queue<'_> {
    /// Orders to look at that can still be stopped: not shipped, delivered, completed or cancelled as far as is
    /// known, placed within `decision.review_within`, and not known to be fraud or legitimate already.
    ///
    /// Holds first, then what a rule asks for, then by what a look is expected to save (without a model, by how
    /// unusual they are), then by order id; at most a day's capacity. What is beyond it comes up on a later day, as
    /// long as it is open: `queue_date` is the day of the run's clock in the pipeline's zone. `reasons` has the
    /// rules' reasons, then the model's, strongest first; `reason_features` the features of the latter, in the same
    /// order.
    pub(super) fn frame(&self) -> Result<DataFrame> {
        let rules: &[Rule] = &self.pipeline.raw.decision.rules;
        let within = parse_span(&self.pipeline.raw.decision.review_within).unwrap_or(i64::MAX);
        let recent = self.features.placed_at.iter().map(|&at| self.as_of.saturating_sub(at) <= within);
        let undecided = self.features.fraud.known.iter().map(|outcome| *outcome == Outcome::Unknown);
        let mut open: Vec<bool> = recent.zip(undecided).map(|(recent, undecided)| recent && undecided).collect();
        for column in ["shipped_at", "delivered_at", "completed_at", "cancelled_at", "cancelled_by"] {
            if let Ok(column) = self.orders.column(column) {
                column.is_not_null().iter().zip(&mut open).for_each(|(gone, open)| *open &= gone != Some(true));
            }
        }
        if let Ok(status) = self.orders.column("status").and_then(|s| s.str().cloned()) {
            let over = |s: &str| {
                ["cancelled", "canceled", "delivered", "shipped", "completed"].contains(&s.to_lowercase().as_str())
            };
            status.iter().zip(&mut open).for_each(|(s, open)| *open &= !s.is_some_and(over));
        }
        let ids =
            self.orders.column("order_id").and_then(|c| c.str().cloned()).map_err(Error::frames("review_queue"))?;
        let mut rows: Vec<usize> =
            (0..open.len()).filter(|&at| open[at] && self.verdicts[at].action != Action::Approve).collect();
        rows.sort_by_key(|&at| {
            let verdict = &self.verdicts[at];
            let ruled = self.hits.of(at, rules).next().is_some();
            // Positive numbers are in the order of their bits.
            let unusual = if ruled { 0 } else { self.unusual[at].map_or(0, f64::to_bits) };
            (
                std::cmp::Reverse((verdict.action, ruled, unusual, verdict.priority)),
                ids.get(at).unwrap_or_default().to_owned(),
            )
        });
        if let Some(capacity) = self.pipeline.raw.decision.review_capacity_per_day {
            rows.truncate(capacity as usize);
        }
        self.columns(&rows)
    }

    fn columns(&self, rows: &[usize]) -> Result<DataFrame> {
        let stage = || Error::frames("review_queue");
        let rules: &[Rule] = &self.pipeline.raw.decision.rules;
        let index = IdxCa::from_vec("rows".into(), rows.iter().map(|&r| r as IdxSize).collect());
        let taken = self
            .orders
            .select(["order_id", "customer_id", "placed_at", "amount"])
            .and_then(|f| f.take(&index))
            .map_err(stage())?;
        let today = local_day(self.as_of, self.pipeline.zone);
        let dates = Column::new("queue_date".into(), vec![today; rows.len()]).cast(&DataType::Date).map_err(stage())?;
        let words = |at: usize| -> Vec<&str> {
            let ruled = self.hits.of(at, rules).map(|r| r.reason.as_str());
            ruled.chain(self.reasons[at].iter().map(|r| r.text.as_str())).collect()
        };
        let features = |at: usize| -> Vec<&str> { self.reasons[at].iter().map(|r| r.feature.as_str()).collect() };
        let language = self.pipeline.raw.report.language;
        let verdicts = || rows.iter().map(|&at| &self.verdicts[at]);
        let mut columns = vec![dates, Column::new("rank".into(), (1..=rows.len() as i64).collect::<Vec<_>>())];
        columns.extend(taken.columns().iter().cloned());
        columns.extend([
            Column::new("action".into(), verdicts().map(|v| v.action.name()).collect::<Vec<_>>()),
            Column::new("action_words".into(), verdicts().map(|v| v.action.words(language)).collect::<Vec<_>>()),
            Column::new("priority".into(), verdicts().map(|v| v.priority).collect::<Vec<_>>()),
            Column::new(
                "fraud_probability".into(),
                rows.iter().map(|&at| self.fraud.probability(at)).collect::<Vec<_>>(),
            ),
            Column::new("unusual_score".into(), rows.iter().map(|&at| self.unusual[at]).collect::<Vec<_>>()),
            Column::new("expected_loss".into(), verdicts().map(|v| v.expected_loss).collect::<Vec<_>>()),
            text_lists("reasons", rows.iter().map(|&at| words(at))),
            text_lists("reason_features", rows.iter().map(|&at| features(at))),
            text_lists("rule_hits", rows.iter().map(|&at| self.hits.of(at, rules).map(|r| r.name.as_str()).collect())),
        ]);
        DataFrame::new_infer_height(columns).map_err(stage())
    }
}

/// The desk's newest word on each order as known at the run's clock, as the column `review_decision`: `fraud`,
/// `legit`, `unsure`; null without one. Whoever acts on `action` looks here first: a stopped order that a person let
/// go keeps the action it was given, and has `legit` here.
pub(super) fn decided(ids: &[String], decisions: Option<&DataFrame>) -> Result<Column> {
    let stage = || Error::frames("review decisions");
    let mut newest: HashMap<&str, (i64, &str)> = HashMap::new();
    let frame = decisions.filter(|frame| frame.height() > 0);
    let columns = frame.map(|frame| -> PolarsResult<_> {
        let times = frame.column("decided_at")?.to_physical_repr().i64()?.clone();
        Ok((frame.column("order_id")?.str()?.clone(), frame.column("decision")?.str()?.clone(), times))
    });
    let columns = columns.transpose().map_err(stage())?;
    if let Some((orders, words, times)) = &columns {
        for ((order, word), time) in orders.iter().zip(words.iter()).zip(times.iter()) {
            let (Some(order), Some(word), Some(time)) = (order, word, time) else { continue };
            // Of two at one instant the graver stands: `fraud` is before `legit`, `legit` before `unsure`.
            let later = |(at, said): &(i64, &str)| (time, std::cmp::Reverse(word)) > (*at, std::cmp::Reverse(*said));
            if newest.get(order).is_none_or(later) {
                newest.insert(order, (time, word));
            }
        }
    }
    let said: Vec<Option<&str>> = ids.iter().map(|id| newest.get(id.as_str()).map(|(_, word)| *word)).collect();
    Ok(Column::new("review_decision".into(), said))
}
