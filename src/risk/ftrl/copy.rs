//! A copy of a trained model that goes on learning, and what it was worth on examples it had not learnt from.
//!
//! An example is tested as it would have been scored when its order was placed: by the copy as it stood at the beginning of
//! that day (UTC), with the labels that were ripe by then. A copy that is asked when the label ripens, weeks later, would know
//! of those weeks, and look better than it ever was. So the weights of the days for which labels are waited are kept.

use linfa::dataset::DatasetBase;
use ndarray::{Array1, Array2};
use serde::{Deserialize, Serialize};

use super::search::{BATCH, rows_of};
use super::{Ftrl, FtrlError};
use crate::error::{Error, Result};
use crate::features::matrix::Matrix;
use crate::risk::evaluate::{MeasureSettings, Slice, TestMetrics, measure};
use crate::risk::logistic::Linear;
use crate::risk::model::{Learner, Model};
use crate::risk::split::MIN_LATER_OUTCOMES;
use crate::risk::train::slice;
use crate::types::time::DAY;

/// Share of examples that can be reviewed: what "at k" means, as in training.
const REVIEW_SHARE: f64 = 0.01;

/// Days whose weights are kept. An order that waits longer for its label is tested by the model that was copied.
const DAYS: i64 = 180;

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
    /// Those of them that tell what it is worth, see [`Tested`].
    pub tested: u64,
    /// `placed_at` of the latest order it has learnt from, UTC microseconds.
    pub placed_to: Option<i64>,
    /// The day on which the latest label was ripe, as days since 1970-01-01.
    day: Option<i64>,
    /// Weights of days on which they were others than before; kept apart, since they change once a day.
    #[serde(skip)]
    days: Vec<Standing>,
}

/// How a copy stood from the beginning of a day on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Standing {
    /// Days since 1970-01-01.
    day: i64,
    linear: Linear,
}

/// What is learnt from: rows of a table of features in the order in which they are, one entry each.
#[derive(Debug, Clone, Copy)]
pub struct Lessons<'a> {
    /// The features.
    pub matrix: &'a Matrix,
    /// When orders were placed, UTC microseconds.
    pub placed_at: &'a [i64],
    /// When labels were ripe, UTC microseconds; rising.
    pub ripe_at: &'a [i64],
    /// The labels.
    pub labels: &'a [bool],
}

/// An example as it would have been scored when its order was placed, by the copy of then and by the model it is of.
#[derive(Debug, Clone, Copy, PartialEq)]
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
        Some(Self {
            state: state.clone(),
            examples: 0,
            positives: 0,
            tested: 0,
            placed_to: None,
            day: None,
            days: Vec::new(),
        })
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
        let Learner::Ftrl { state, .. } = &base.learner else { return false };
        let (columns, rates) = (state.columns(), state.rates());
        self.state.columns() == columns
            && self.state.rates() == rates
            && self.state.is_coherent()
            && self.days.iter().all(|standing| standing.linear.coefficients.len() == columns)
    }

    /// How it stood on the days for which it is asked.
    pub fn days(&self) -> &[Standing] {
        &self.days
    }

    /// The same with days that were kept apart.
    #[must_use]
    pub fn with_days(self, days: Vec<Standing>) -> Self {
        Self { days, ..self }
    }

    /// Learns from examples in their order, each once and with the weight of one: the trainer thins and weighs so that
    /// odds stay true, and so what comes later needs no weight. Those placed after `tested_after` (UTC microseconds) tell what
    /// it is worth: the model was made of what was known by then.
    ///
    /// # Errors
    /// [`Error::Model`] when the features are not the model's, or the model is none of this family.
    pub fn learn(&mut self, base: &Model, lessons: Lessons<'_>, tested_after: i64) -> Result<Vec<Tested>> {
        let refuse = |what: &str| Error::Model {
            message: format!("the `{}` model cannot go on learning: {what}", base.target),
            hint: Some(format!("train again: `ordersight train PIPELINE --target {} --family ftrl`", base.target)),
        };
        let Learner::Ftrl { prepare, .. } = &base.learner else { return Err(refuse("it is of another family")) };
        let Lessons { matrix, placed_at, ripe_at, labels } = lessons;
        let frozen = base.probabilities(matrix)?;
        let rows: Vec<usize> = (0..matrix.rows()).collect();
        let mut tested = Vec::new();
        for of_day in rows.chunk_by(|&a, &b| day_of(ripe_at[a]) == day_of(ripe_at[b])) {
            self.begin_day(day_of(ripe_at[of_day[0]]));
            for batch in of_day.chunks(BATCH) {
                let x = rows_of(prepare, matrix, batch);
                for (at, &row) in batch.iter().enumerate().filter(|(_, row)| placed_at[**row] > tested_after) {
                    let learning = match self.stood_at(placed_at[row]) {
                        Some(linear) => base.calibration.probability(raw_of(linear, &x, at)),
                        None => frozen[row],
                    };
                    tested.push(Tested {
                        placed_at: placed_at[row],
                        label: labels[row],
                        learning,
                        frozen: frozen[row],
                    });
                }
                let labels: Array1<bool> = batch.iter().map(|&row| labels[row]).collect();
                let learnt: std::result::Result<(), FtrlError> = self.state.learn(&DatasetBase::new(x, labels));
                learnt.map_err(|error| refuse(&error.to_string()))?;
            }
        }
        self.examples += rows.len() as u64;
        self.positives += labels.iter().filter(|&&label| label).count() as u64;
        self.tested += tested.len() as u64;
        self.placed_to = self.placed_to.max(placed_at.iter().copied().max());
        Ok(tested)
    }

    /// Notes how it stands once a label is ripe on a later day than any before: so it has stood since the day after that.
    fn begin_day(&mut self, day: i64) {
        if let Some(before) = self.day.filter(|before| *before < day) {
            self.days.push(Standing { day: before + 1, linear: self.state.linear() });
            self.days.retain(|standing| standing.day > day - DAYS);
        }
        self.day = self.day.max(Some(day));
    }

    /// The weights with which an order placed then would have been scored; `None` for those of the model that was copied.
    fn stood_at(&self, placed_at: i64) -> Option<&Linear> {
        let later = self.days.partition_point(|standing| standing.day <= day_of(placed_at));
        later.checked_sub(1).map(|at| &self.days[at].linear)
    }
}

fn day_of(at: i64) -> i64 {
    at.div_euclid(DAY)
}

fn raw_of(linear: &Linear, x: &Array2<f64>, row: usize) -> f64 {
    x.row(row).iter().zip(&linear.coefficients).fold(linear.intercept, |sum, (x, w)| sum + x * w)
}

impl Tests {
    /// Measures both; `None` without an example. The log loss is held against `train_base_rate`.
    pub fn of(tested: &[Tested], train_base_rate: f64, seed: u64) -> Option<Self> {
        if tested.is_empty() {
            return None;
        }
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
        Some(Self { learning: of(&|tested| tested.learning), frozen: of(&|tested| tested.frozen), slice, warnings })
    }
}
