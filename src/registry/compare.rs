//! Two versions side by side, as far as their stored tests allow it.

use super::{FROZEN, METRICS, Registry, files};
use crate::error::Result;
use crate::risk::Target;
use crate::risk::bootstrap::Estimate;
use crate::risk::evaluate::{Evaluation, Slice};

/// What the tests of two versions say of each other.
#[derive(Debug, Clone, PartialEq)]
pub struct Comparison {
    /// Whether both were tested on the same rows: as many orders of the same time and outcomes of the same input
    /// files. On other rows, measures differ also because the rows do.
    pub same_rows: bool,
    /// Measures that both have: name, the first version's, the second's.
    pub measures: Vec<(&'static str, Estimate, Estimate)>,
    /// What both were tested on.
    pub tests: [Slice; 2],
}

impl Registry {
    /// Compares two versions by the measures stored with them; `None` where one has none that can be read.
    ///
    /// # Errors
    /// As for a version's card.
    pub fn compare(&self, target: Target, first: &str, second: &str) -> Result<Option<Comparison>> {
        let evaluation = |version: &str| -> Result<_> {
            let (dir, manifest) = self.manifest(target, version)?;
            let bytes = files::read(&dir.join(METRICS))?.unwrap_or_default();
            Ok((serde_json::from_slice::<Evaluation>(&bytes).ok(), manifest))
        };
        let ((mut a, of_a), (b, of_b)) = (evaluation(first)?, evaluation(second)?);
        // One that went on learning from the other has tested both on what it learnt from.
        if of_b.learned.as_ref().is_some_and(|learned| learned.from == first) {
            let (dir, _) = self.manifest(target, second)?;
            let bytes = files::read(&dir.join(FROZEN))?.unwrap_or_default();
            a = serde_json::from_slice(&bytes).ok().or(a);
        }
        let (data_a, data_b) = (of_a.data_hashes, of_b.data_hashes);
        let (Some(a), Some(b)) = (a, b) else { return Ok(None) };
        let slice = |slice: &Slice| (slice.rows, slice.positives, slice.from, slice.to);
        let measures = vec![
            ("average precision", a.metrics.average_precision, b.metrics.average_precision),
            ("ROC AUC", a.metrics.roc_auc, b.metrics.roc_auc),
            ("precision at the top", a.metrics.precision_at_k, b.metrics.precision_at_k),
            ("Brier score", a.metrics.brier, b.metrics.brier),
            ("log loss", a.metrics.log_loss, b.metrics.log_loss),
        ];
        let same_rows = slice(&a.test) == slice(&b.test) && data_a == data_b;
        Ok(Some(Comparison { same_rows, measures, tests: [a.test, b.test] }))
    }
}
