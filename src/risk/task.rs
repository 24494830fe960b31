//! What every family is given to learn from, and what it gives back.

use super::boosted::fit::Growth;
use super::calibrate::{Calibration, CalibrationError, Platt};
use super::evaluate::{Settings, Tried};
use super::ftrl::Rates;
use super::metrics::{log_loss_of, mean_loss};
use super::model::{Learner, Model};
use super::split::{MIN_LATER_OUTCOMES, MIN_TRAIN_OUTCOMES, Split};
use super::train::TrainSettings;
use super::{Label, Target};
use crate::error::{Error, Result};
use crate::features::matrix::Matrix;

/// One training, cut into its slices.
pub(super) struct Task<'a> {
    /// What to predict.
    pub(super) target: Target,
    /// The features of all orders.
    pub(super) matrix: &'a Matrix,
    /// When each order was placed, UTC microseconds.
    pub(super) placed_at: &'a [i64],
    /// What is known of each order.
    pub(super) labels: &'a [Label],
    /// Since when, UTC microseconds.
    pub(super) known_at: &'a [i64],
    /// How the orders were cut in time.
    pub(super) parts: &'a Split,
    /// How to train.
    pub(super) settings: &'a TrainSettings,
    /// Told what is being done, as `words, 2 of 8` where there are several of a kind.
    pub(super) tick: &'a (dyn Fn(&str) + Sync),
    /// The features of the calibration slice.
    pub(super) calibrate: Matrix,
    /// Its outcomes.
    pub(super) calibrate_labels: Vec<bool>,
}

/// What a family learnt from a task.
#[derive(Debug)]
pub(super) struct Learnt {
    /// The calibrated model.
    pub(super) model: Model,
    /// What was chosen.
    pub(super) settings: Settings,
    /// The same, to fit again with.
    pub(super) chosen: Chosen,
    /// What it was chosen from.
    pub(super) tried: Vec<Tried>,
    /// Rows of the training slice that were used.
    pub(super) fitted_rows: usize,
}

/// What a family chose.
#[derive(Debug, Clone, Copy)]
pub(super) enum Chosen {
    /// The penalty of a logistic regression.
    Penalty(f64),
    /// The rates of follow-the-regularised-leader.
    Rates(Rates),
    /// How trees are grown, and how many.
    Growth(Growth),
    /// Those of a logistic regression and of trees.
    Both(f64, Growth),
}

/// Rows to fit on, and later rows to see how that went.
#[derive(Debug)]
pub(super) struct Stretch {
    /// Rows to fit on, in time order.
    pub(super) fitted: Vec<usize>,
    /// Later rows, in time order.
    pub(super) watched: Vec<usize>,
}

/// Where the training slice is cut for trials within it, as shares of it: fitted up to the first of a pair, watched from
/// there up to the second.
pub(super) const STRETCHES: [(f64, f64); 2] = [(0.6, 0.8), (0.8, 1.0)];

impl<'a> Task<'a> {
    /// Takes the calibration slice out; the other slices are read where they are.
    pub(super) fn new(
        target: Target,
        matrix: &'a Matrix,
        (placed_at, labels, known_at): (&'a [i64], &'a [Label], &'a [i64]),
        parts: &'a Split,
        settings: &'a TrainSettings,
        tick: &'a (dyn Fn(&str) + Sync),
    ) -> Self {
        let calibrate = matrix.take(&parts.calibrate);
        let calibrate_labels = truth(labels, &parts.calibrate);
        Self { target, matrix, placed_at, labels, known_at, parts, settings, tick, calibrate, calibrate_labels }
    }

    /// The outcomes of rows that have one.
    pub(super) fn truth(&self, rows: &[usize]) -> Vec<bool> {
        truth(self.labels, rows)
    }

    /// Puts a Platt line on a learner, from the calibration slice, and gives the log loss it has there. What a family
    /// compares its candidates by; the model that is kept is calibrated by [`super::calibrate::choose`].
    ///
    /// # Errors
    /// The outer error is a defect; the inner one says why there is no calibration.
    pub(super) fn calibrated(&self, learner: Learner) -> Result<Result<(Model, f64), CalibrationError>> {
        let unit = Calibration::Platt(Platt { slope: 1.0, offset: 0.0 });
        let features = self.matrix.names.clone();
        let mut model = Model { target: self.target, features, learner, calibration: unit };
        let raw = model.raw_scores(&self.calibrate)?;
        Ok(Platt::fit(&raw, &self.calibrate_labels).map(|platt| {
            let probabilities: Vec<f64> = raw.iter().map(|&raw| platt.probability(raw)).collect();
            model.calibration = Calibration::Platt(platt);
            (model, mean_loss(&probabilities, &self.calibrate_labels, log_loss_of))
        }))
    }

    /// A trial within the training slice, with its gap; `None` when it has too few outcomes to tell anything.
    pub(super) fn stretch(&self, (cut, end): (f64, f64)) -> Option<Stretch> {
        let train = &self.parts.train;
        let at = |share: f64| train.get((share * train.len() as f64) as usize).map(|&row| self.placed_at[row]);
        let (cut, end) = (at(cut)?, at(end).unwrap_or(i64::MAX));
        let (report, placed) = (&self.parts.report, |row: usize| self.placed_at[row]);
        // As between slices: a gap, and behind it the stragglers left out, unless the gap had to be shortened.
        let short = report.gap_micros < report.wanted_gap_micros;
        let known = |row: usize| short || self.known_at[row] <= cut;
        let before = |&row: &usize| placed(row) < cut.saturating_sub(report.gap_micros) && known(row);
        let fitted: Vec<usize> = train.iter().copied().filter(before).collect();
        let watched: Vec<usize> = train.iter().copied().filter(|&row| (cut..end).contains(&placed(row))).collect();
        let enough = |rows: &[usize], least: usize| {
            let positives = self.truth(rows).into_iter().filter(|&label| label).count();
            positives >= least && rows.len() - positives >= least
        };
        let whole = enough(&fitted, MIN_TRAIN_OUTCOMES) && enough(&watched, MIN_LATER_OUTCOMES);
        whole.then_some(Stretch { fitted, watched })
    }

    /// The refusal of a target that cannot be learnt.
    pub(super) fn refusal(&self, why: &str) -> Error {
        refusal(self.target, why)
    }
}

/// The refusal of a target that cannot be learnt.
pub(super) fn refusal(target: Target, why: &str) -> Error {
    Error::Model {
        message: format!("`{target}` cannot be learnt: {why}"),
        hint: Some("`ordersight check PIPELINE` says which features and labels the inputs feed".to_owned()),
    }
}

fn truth(labels: &[Label], rows: &[usize]) -> Vec<bool> {
    rows.iter().map(|&row| labels[row] == Some(true)).collect()
}
