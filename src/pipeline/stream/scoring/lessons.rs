//! What can be learnt from orders that were scored: their labels once they are ripe, and the features that were logged.

use super::{Scoring, ids};
use crate::error::Result;
use crate::features::matrix::Matrix;
use crate::features::{known_frauds, known_returns};
use crate::ingest::Group;
use crate::pipeline::training::feature_terms;
use crate::risk::Target;
use crate::risk::model::Model;
use std::path::Path;

/// Orders whose tables are looked at together: it bounds memory and changes nothing else.
const TOGETHER: usize = 50_000;

/// What is known of the label of an order that was scored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::pipeline::stream) struct Lesson {
    pub(in crate::pipeline::stream) group: Group,
    pub(in crate::pipeline::stream) order_id: String,
    /// UTC microseconds.
    pub(in crate::pipeline::stream) placed_at: i64,
    /// When the label was ripe, UTC microseconds, and what it said then; `None` as long as it is not.
    pub(in crate::pipeline::stream) ripe: Option<(i64, bool)>,
}

impl Scoring<'_> {
    /// The orders scored so far.
    pub(in crate::pipeline::stream) fn all_scored(&self) -> Vec<Group> {
        self.log.all().collect()
    }

    /// Whether an order was scored.
    pub(in crate::pipeline::stream) fn is_scored(&self, group: Group) -> bool {
        self.log.day_of(group).is_some()
    }

    /// Whether files of the last step told anything of an order.
    pub(in crate::pipeline::stream) fn is_changed(&self, group: Group) -> bool {
        self.changed_before.binary_search(&group).is_ok()
    }

    /// What is known at the clock of the labels of some orders.
    ///
    /// # Errors
    /// [`Error::Frames`] only for defects.
    pub(in crate::pipeline::stream) fn lessons(
        &self,
        target: Target,
        out: &Path,
        groups: &[Group],
        as_of: i64,
    ) -> Result<Vec<Lesson>> {
        let terms = feature_terms(self.pipeline, as_of);
        let mut lessons = Vec::new();
        for groups in groups.chunks(TOGETHER) {
            let tables = self.known(out, self.growing.of_groups(groups)?, as_of)?;
            let Some(orders) = tables.get("orders").filter(|orders| orders.height() > 0) else { continue };
            let (placed_at, outcomes) = match target {
                Target::Fraud => known_frauds(&tables, &terms)?,
                Target::Return => known_returns(&tables, &terms)?,
            };
            let numbers = self.numbers_of(orders)?;
            for (row, (id, group)) in ids(orders)?.iter().zip(numbers).enumerate() {
                let ripe = outcomes.when_ripe(row);
                let order_id = id.unwrap_or_default().to_owned();
                lessons.push(Lesson { group, order_id, placed_at: placed_at[row], ripe });
            }
        }
        Ok(lessons)
    }

    /// The logged features of some orders in their order, as a model reads them.
    ///
    /// # Errors
    /// [`Error::Model`] when the log never had one of its features, [`Error::Invariant`] for an order that was not scored.
    pub(in crate::pipeline::stream) fn logged_features(
        &self,
        out: &Path,
        groups: &[Group],
        model: &Model,
    ) -> Result<Matrix> {
        let tables = self.growing.of_groups(groups)?;
        let found = self.find(&tables)?;
        if model.features.iter().any(|name| !found.names().contains(name)) {
            model.require_features(found.names())?;
        }
        found.matrix(out, &model.features)
    }
}
