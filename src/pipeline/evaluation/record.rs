//! What an evaluation says.

use crate::pipeline::replay::RuleReplay;
use crate::risk::Target;
use crate::risk::bootstrap::Estimate;
use crate::risk::calibrate::CalibrationChoice;
use crate::risk::daily::Day;
use crate::risk::evaluate::{Settings, Slice};
use crate::risk::metrics::ReliabilityBin;
use crate::risk::segments::SegmentCalibration;
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

/// What ways of choosing orders saved on those tested; see [`crate::decision::saved`] for the formula. Amounts are minor
/// units.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct MoneySaved {
    /// Cost of a look.
    pub review_cost: f64,
    /// Lost beside the amount when a fraud passes.
    pub chargeback_fee: f64,
    /// Share of the amount that is lost when a good order is stopped.
    pub margin_share: f64,
    /// Share of the frauds looked at that the desk is taken to stop.
    pub reviewer_finds: f64,
    /// Share of the good orders looked at that the desk is taken to stop.
    pub reviewer_refuses: f64,
    /// Orders tested.
    pub orders: usize,
    /// Frauds among them.
    pub frauds: usize,
    /// What these cost if all pass, fees included.
    pub fraud_loss: f64,
    /// By policy, over all days.
    pub policies: Vec<PolicySaved>,
    /// By day and policy; `evaluation/money_saved` has them, the document has not.
    #[serde(skip)]
    pub days: Vec<PolicyDay>,
}

/// One policy over all days tested. Numbers of orders are means over draws where chance decides.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PolicySaved {
    /// Its name; see [`crate::decision::saved::Policy`].
    pub policy: &'static str,
    /// Orders looked at.
    pub looked: f64,
    /// Orders held at which nobody could look.
    pub held_unseen: f64,
    /// Frauds stopped.
    pub frauds_stopped: f64,
    /// Good orders stopped.
    pub good_stopped: f64,
    /// Amounts and fees of the frauds stopped.
    pub loss_avoided: f64,
    /// Cost of the looks.
    pub review_cost: f64,
    /// Margin of the good orders stopped.
    pub margin_lost: f64,
    /// `loss_avoided − review_cost − margin_lost`, with its 95 % bootstrap interval over days.
    pub saved: Estimate,
    /// What it saves more than as many looks at random, on the same days.
    pub more_than_random: Estimate,
    /// What it saves more than as many looks at the largest orders, on the same days.
    pub more_than_largest_first: Estimate,
}

/// One policy on one day.
#[derive(Debug, Clone, PartialEq)]
pub struct PolicyDay {
    /// Days since 1970-01-01.
    pub day: i32,
    /// Its name.
    pub policy: &'static str,
    /// Orders placed.
    pub orders: usize,
    /// Frauds among them.
    pub frauds: usize,
    /// See [`PolicySaved::looked`].
    pub looked: f64,
    /// See [`PolicySaved::held_unseen`].
    pub held_unseen: f64,
    /// See [`PolicySaved::frauds_stopped`].
    pub frauds_stopped: f64,
    /// See [`PolicySaved::good_stopped`].
    pub good_stopped: f64,
    /// See [`PolicySaved::loss_avoided`].
    pub loss_avoided: f64,
    /// See [`PolicySaved::review_cost`].
    pub review_cost: f64,
    /// See [`PolicySaved::margin_lost`].
    pub margin_lost: f64,
    /// `loss_avoided − review_cost − margin_lost`.
    pub saved: f64,
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
    /// What probabilities are worth within the pipeline's segments, those too small to tell left out.
    pub by_segment: Vec<SegmentCalibration>,
    /// The desk, day by day.
    pub days: Vec<Day>,
    /// Money saved by policy; `None` for returns, and where no order was tested on.
    pub money: Option<MoneySaved>,
    /// The rules on history, where that was asked for.
    pub rules: Option<RuleReplay>,
    /// What a reader should know.
    pub notes: Vec<String>,
}

impl Evaluated {
    /// A measure over all rows.
    pub fn overall(&self, measure: &str) -> Option<&Measure> {
        self.measures.iter().find(|found| found.segment == "all" && found.measure == measure)
    }
}
