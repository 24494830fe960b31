//! What an evaluation says.

use crate::risk::Target;
use crate::risk::bootstrap::Estimate;
use crate::risk::calibrate::CalibrationChoice;
use crate::risk::daily::Day;
use crate::risk::evaluate::{Settings, Slice};
use crate::risk::metrics::ReliabilityBin;
use serde::Serialize;

/// One training and the slices it used.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Fold {
    /// From 1.
    pub fold: usize,
    /// Learnt from.
    pub train: Slice,
    /// Calibrated on.
    pub calibrate: Slice,
    /// Tested on, before any customer is left out.
    pub test: Slice,
    /// What the family chose.
    pub settings: Settings,
    /// How scores became probabilities.
    pub calibration: CalibrationChoice,
    /// What a reader should know.
    pub notes: Vec<String>,
}

/// One measure of one segment, with its 95 % bootstrap interval.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Measure {
    /// `all`, `fold`, or what the pipeline splits KPIs by.
    pub segment: String,
    /// The segment's value.
    pub segment_value: String,
    /// Its name.
    pub measure: &'static str,
    /// The number and its interval.
    #[serde(flatten)]
    pub estimate: Estimate,
    /// What was drawn for the interval: `customer` or `day`.
    pub drawn_by: &'static str,
    /// Rows measured on.
    pub rows: usize,
    /// Positives among them.
    pub positives: usize,
}

/// The reliability diagram of one segment.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Diagram {
    /// See [`Measure::segment`].
    pub segment: String,
    /// The segment's value.
    pub segment_value: String,
    /// Bins of equal mass by rising probability.
    pub bins: Vec<ReliabilityBin>,
}

/// Everything measured.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Evaluated {
    /// The pipeline.
    pub pipeline: String,
    /// What is predicted.
    pub target: Target,
    /// Name of the family.
    pub family: &'static str,
    /// Base currency; amounts are in its minor units.
    pub currency: String,
    /// Orders (or lines) tested on.
    pub rows: usize,
    /// Positives among them.
    pub positives: usize,
    /// Rows of the test slices left out because their customer was known already.
    pub left_out: usize,
    /// Orders that can be looked at in a day.
    pub per_day: usize,
    /// The trainings.
    pub folds: Vec<Fold>,
    /// Measures by segment.
    pub measures: Vec<Measure>,
    /// Reliability by segment.
    pub reliability: Vec<Diagram>,
    /// The desk, day by day.
    pub days: Vec<Day>,
    /// What a reader should know.
    pub notes: Vec<String>,
}

impl Evaluated {
    /// A measure over all rows.
    pub fn overall(&self, measure: &str) -> Option<&Measure> {
        self.measures.iter().find(|found| found.segment == "all" && found.measure == measure)
    }
}
