//! A copy of a trained model that goes on learning, and what it was worth on each example before it learnt from it.

use linfa::dataset::DatasetBase;
use ndarray::Array1;
use serde::{Deserialize, Serialize};

use super::Ftrl;
use super::search::{BATCH, rows_of};
use crate::error::{Error, Result};
use crate::features::matrix::Matrix;
use crate::risk::evaluate::{MeasureSettings, Slice, TestMetrics, measure};
use crate::risk::model::{Learner, Model};
use crate::risk::split::MIN_LATER_OUTCOMES;
use crate::risk::train::slice;

/// Share of examples that can be reviewed: what "at k" means, as in training.
const REVIEW_SHARE: f64 = 0.01;

/// What a copy has learnt so far. Equal examples in equal order give equal bits, in whatever parts they came.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LearningCopy {
    /// Rates and sums.
    state: Ftrl,
    /// Examples since it was copied.
    pub examples: u64,
    /// Those of them whose label is yes.
    pub positives: u64,
    /// `placed_at` of the latest order it has learnt from, UTC microseconds.
    pub placed_to: Option<i64>,
}

/// An example as it was scored before it was learnt from, by the copy and by the model it was copied from.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Tested {
    /// When the order was placed, UTC microseconds.
    pub placed_at: i64,
    /// Its label.
    pub label: bool,
    /// The copy's probability, calibrated as the model was.
    pub learning: f64,
    /// The model's probability.
    pub frozen: f64,
}

/// Both measured on the same examples.
#[derive(Debug, Clone, PartialEq)]
pub struct Tests {
    /// The examples.
    pub slice: Slice,
    /// What the copy was worth.
    pub learning: TestMetrics,
    /// What the model it was copied from was worth.
    pub frozen: TestMetrics,
    /// What to know before trusting these.
    pub warnings: Vec<String>,
}

impl LearningCopy {
    /// A copy that has learnt nothing yet; `None` of a model of another family.
    pub fn of(model: &Model) -> Option<Self> {
        let Learner::Ftrl { state, .. } = &model.learner else { return None };
        Some(Self { state: state.clone(), examples: 0, positives: 0, placed_to: None })
    }

    /// The model with what was learnt in the place of what it had; preparation and calibration are as trained.
    pub fn model(&self, base: &Model) -> Model {
        let learner = match &base.learner {
            Learner::Ftrl { prepare, .. } => Learner::Ftrl { prepare: prepare.clone(), state: self.state.clone() },
            other => other.clone(),
        };
        Model { learner, ..base.clone() }
    }

    /// Whether it can be a copy of `base`; a file that was tampered with may hold another.
    pub fn fits(&self, base: &Model) -> bool {
        matches!(&base.learner, Learner::Ftrl { state, .. } if state.columns() == self.state.columns()
            && state.rates() == self.state.rates())
            && self.state.is_coherent()
    }

    /// Learns from examples in their order, each once and with the weight of one: the trainer thins and weighs so that
    /// odds stay true, and so what comes later needs no weight.
    ///
    /// # Errors
    /// [`Error::Model`] when the features are not the model's, or the model is none of this family.
    pub fn learn(&mut self, base: &Model, matrix: &Matrix, placed_at: &[i64], labels: &[bool]) -> Result<Vec<Tested>> {
        let refuse = |what: &str| Error::Model {
            message: format!("the `{}` model cannot go on learning: {what}", base.target),
            hint: Some(format!("train again: `ordersight train PIPELINE --target {} --family ftrl`", base.target)),
        };
        let Learner::Ftrl { prepare, .. } = &base.learner else { return Err(refuse("it is of another family")) };
        let frozen = base.probabilities(matrix)?;
        let rows: Vec<usize> = (0..matrix.rows()).collect();
        let mut learning = Vec::with_capacity(rows.len());
        for batch in rows.chunks(BATCH) {
            let labels: Array1<bool> = batch.iter().map(|&row| labels[row]).collect();
            let dataset = DatasetBase::new(rows_of(prepare, matrix, batch), labels);
            learning.extend(self.state.learn(&dataset).map_err(|error| refuse(&error.to_string()))?);
        }
        self.examples += rows.len() as u64;
        self.positives += labels.iter().filter(|&&label| label).count() as u64;
        self.placed_to = self.placed_to.max(placed_at.iter().copied().max());
        let tested = rows.into_iter().map(|row| Tested {
            placed_at: placed_at[row],
            label: labels[row],
            learning: base.calibration.probability(learning[row]),
            frozen: frozen[row],
        });
        Ok(tested.collect())
    }
}

impl Tests {
    /// Measures both on examples of which each was scored before it was learnt from; `train_base_rate` is what the log loss
    /// is held against.
    pub fn of(tested: &[Tested], train_base_rate: f64, seed: u64) -> Self {
        let labels: Vec<bool> = tested.iter().map(|tested| tested.label).collect();
        let placed_at: Vec<i64> = tested.iter().map(|tested| tested.placed_at).collect();
        let k = ((REVIEW_SHARE * tested.len() as f64).round() as usize).max(1);
        let settings = MeasureSettings { values: None, k, train_base_rate, seed };
        let of = |pick: &dyn Fn(&Tested) -> f64| {
            let probabilities: Vec<f64> = tested.iter().map(pick).collect();
            measure(&probabilities, &labels, settings)
        };
        let slice = slice(&(0..tested.len()).collect::<Vec<_>>(), &labels, &placed_at);
        let fewest = slice.positives.min(slice.rows - slice.positives);
        let mut warnings = Vec::new();
        if fewest < MIN_LATER_OUTCOMES {
            warnings.push(format!(
                "{} of the {} examples are positive: fewer than {MIN_LATER_OUTCOMES} of one outcome say next to nothing \
                 about what it is worth",
                slice.positives, slice.rows
            ));
        }
        Self { learning: of(&|tested| tested.learning), frozen: of(&|tested| tested.frozen), slice, warnings }
    }
}
