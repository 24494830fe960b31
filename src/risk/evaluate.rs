//! What a model is worth on orders it has not seen, as it goes into `metrics.json` and the model card.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::bootstrap::{Estimate, estimate};
use super::calibrate::CalibrationChoice;
use super::metrics::{Binning, ReliabilityBin, calibration_error, reliability};
use super::segments::SegmentCalibration;
use super::split::SplitReport;

/// Bootstrap replicates: enough for two digits of a 95 % end, and a second or two per 100,000 rows.
pub const REPLICATES: u64 = 300;

/// One time slice of the labelled orders.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Slice {
    /// Rows in the slice.
    pub rows: usize,
    /// Rows whose label is true.
    pub positives: usize,
    /// `positives / rows`.
    pub base_rate: f64,
    /// `placed_at` of the first row.
    #[serde(with = "instant")]
    pub from: i64,
    /// `placed_at` of the last row.
    #[serde(with = "instant")]
    pub to: i64,
}

/// Everything measured on the test slice. Probabilities are calibrated; intervals are 95 % percentile bootstrap.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TestMetrics {
    /// Average precision; a score without knowledge has the base rate.
    pub average_precision: Estimate,
    /// ROC AUC; a score without knowledge has 0.5.
    pub roc_auc: Estimate,
    /// Share of positives found where 1 % of negatives are flagged.
    pub recall_at_1pct_fpr: Estimate,
    /// The number of rows that `precision_at_k` and `value_recall_at_k` look at: the review budget.
    pub k: usize,
    /// Share of positives among the `k` top rows.
    pub precision_at_k: Estimate,
    /// Share of the positives' value among the `k` top rows; `None` where no value feature was named.
    pub value_recall_at_k: Option<Estimate>,
    /// Mean squared error of the probability.
    pub brier: Estimate,
    /// Mean log loss of the probability.
    pub log_loss: Estimate,
    /// Log loss of giving every row the training base rate: what the model has to stay under.
    pub log_loss_of_base_rate: f64,
    /// Expected calibration error over 10 bins of equal mass. Errors of calibration have no interval: resampling biases
    /// them upward.
    pub ece_mass_10: f64,
    /// Over 15 bins of equal mass.
    pub ece_mass_15: f64,
    /// Over 10 bins of equal width.
    pub ece_width_10: f64,
    /// Over 15 bins of equal width.
    pub ece_width_15: f64,
    /// Reliability diagram over 10 bins of equal mass.
    pub reliability: Vec<ReliabilityBin>,
}

/// How a model was made and what it is worth.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Evaluation {
    /// What was learnt from; thinned rows count.
    pub train: Slice,
    /// What the penalty or the number of trees, where there is one, and the calibration were chosen on.
    pub calibrate: Slice,
    /// What was measured on.
    pub test: Slice,
    /// How the slices were cut.
    pub split: SplitReport,
    /// Rows the fit used of the training slice.
    pub fitted_rows: usize,
    /// What was chosen: `penalty` of [`super::penalty`], the rates of [`super::ftrl`] or the growth of
    /// [`super::boosted`].
    pub settings: Settings,
    /// What it was chosen from, in the order tried.
    pub tried: Vec<Tried>,
    /// How scores became probabilities.
    #[serde(default)]
    pub calibration: CalibrationChoice,
    /// The measures of the test slice.
    pub metrics: TestMetrics,
    /// What probabilities of the test slice are worth within the pipeline's segments, those too small to tell left out.
    #[serde(default)]
    pub by_segment: Vec<SegmentCalibration>,
    /// What a reader should know before trusting the numbers.
    pub warnings: Vec<String>,
}

/// Settings of a family by name.
pub type Settings = BTreeMap<String, f64>;

/// One entry of a choice.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Tried {
    /// The settings tried.
    pub settings: Settings,
    /// What they lost on rows they were not fitted on: the log loss that the family chooses by, comparable within one
    /// training only. `None` when they could not be tried.
    pub log_loss: Option<f64>,
}

/// What [`measure`] needs to know beside scores and outcomes.
#[derive(Debug, Clone, Copy)]
pub struct MeasureSettings<'a> {
    /// What finding a positive row is worth, one a row.
    pub values: Option<&'a [f64]>,
    /// Rows that can be looked at.
    pub k: usize,
    /// Base rate of the training slice.
    pub train_base_rate: f64,
    /// Seed of the bootstrap.
    pub seed: u64,
}

/// Measures calibrated probabilities against outcomes.
pub fn measure(probabilities: &[f64], labels: &[bool], settings: MeasureSettings<'_>) -> TestMetrics {
    let MeasureSettings { values, k, train_base_rate, seed } = settings;
    let found = estimate(probabilities, labels, values, k, REPLICATES, seed);
    let error = |bins, binning| calibration_error(&reliability(probabilities, labels, bins, binning));
    let constant = vec![train_base_rate; labels.len()];
    TestMetrics {
        average_precision: found.average_precision,
        roc_auc: found.roc_auc,
        recall_at_1pct_fpr: found.recall_at_fpr,
        k,
        precision_at_k: found.precision_at_k,
        value_recall_at_k: values.map(|_| found.value_recall_at_k),
        brier: found.brier,
        log_loss: found.log_loss,
        log_loss_of_base_rate: super::metrics::mean_loss(&constant, labels, super::metrics::log_loss_of),
        ece_mass_10: error(10, Binning::EqualMass),
        ece_mass_15: error(15, Binning::EqualMass),
        ece_width_10: error(10, Binning::EqualWidth),
        ece_width_15: error(15, Binning::EqualWidth),
        reliability: reliability(probabilities, labels, 10, Binning::EqualMass),
    }
}

/// Instants as RFC 3339 text in JSON, exact to the microsecond.
mod instant {
    use serde::de::Error as _;
    use serde::{Deserialize, Deserializer, Serializer};

    use crate::types::time::{format_instant, parse_instant};

    pub(super) fn serialize<S: Serializer>(micros: &i64, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&format_instant(*micros))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<i64, D::Error> {
        let text = String::deserialize(deserializer)?;
        parse_instant(&text).ok_or_else(|| D::Error::custom(format!("`{text}` is not an RFC 3339 instant")))
    }
}
