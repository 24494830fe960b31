//! What every family is given to learn from, and what it gives back.

use super::calibrate::{CalibrationError, Platt};
use super::evaluate::{Settings, Tried};
use super::metrics::{log_loss_of, mean_loss};
use super::model::{Learner, Model};
use super::split::Split;
use super::train::TrainSettings;
use super::{Label, Target};
use crate::error::{Error, Result};
use crate::features::matrix::Matrix;

/// One training, cut into its slices.
#[derive(Debug)]
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
    /// What it was chosen from.
    pub(super) tried: Vec<Tried>,
    /// Rows of the training slice that were used.
    pub(super) fitted_rows: usize,
}

impl<'a> Task<'a> {
    /// Takes the calibration slice out; the other slices are read where they are.
    pub(super) fn new(
        target: Target,
        matrix: &'a Matrix,
        (placed_at, labels, known_at): (&'a [i64], &'a [Label], &'a [i64]),
        parts: &'a Split,
        settings: &'a TrainSettings,
    ) -> Self {
        let calibrate = matrix.take(&parts.calibrate);
        let calibrate_labels = truth(labels, &parts.calibrate);
        Self { target, matrix, placed_at, labels, known_at, parts, settings, calibrate, calibrate_labels }
    }

    /// The outcomes of rows that have one.
    pub(super) fn truth(&self, rows: &[usize]) -> Vec<bool> {
        truth(self.labels, rows)
    }

    /// Calibrates a learner on the calibration slice and gives the log loss it has there.
    ///
    /// # Errors
    /// The outer error is a defect; the inner one says why there is no calibration.
    pub(super) fn calibrated(&self, learner: Learner) -> Result<Result<(Model, f64), CalibrationError>> {
        let unit = Platt { slope: 1.0, offset: 0.0 };
        let features = self.matrix.names.clone();
        let mut model = Model { target: self.target, features, learner, calibration: unit };
        let raw = model.raw_scores(&self.calibrate)?;
        Ok(Platt::fit(&raw, &self.calibrate_labels).map(|platt| {
            let probabilities: Vec<f64> = raw.iter().map(|&raw| platt.probability(raw)).collect();
            model.calibration = platt;
            (model, mean_loss(&probabilities, &self.calibrate_labels, log_loss_of))
        }))
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
