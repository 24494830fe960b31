//! Follow the regularised leader, proximal (McMahan and others 2013, "Ad click prediction: a view from the trenches",
//! algorithm 1): a logistic regression that takes one row after the other and can go on at any time.
//!
//! Each column keeps two sums, `z` of gradients and `n` of their squares, from which its weight follows; the step of a
//! column becomes smaller with what it has already seen. That is the whole state, so a saved model goes on learning where
//! it stopped, and the same rows in any cut of batches give the same bits.
//!
//! linfa-ftrl has the same update and is what the tests compare with. It is not what learns here: its state is private
//! and cannot be saved and taken up again, it takes one gradient for a whole batch (so that the cut of batches shows), it
//! begins at random weights and holds probabilities in `f32`. Rows come through linfa's `FitWith`, as with its own.

use linfa::dataset::DatasetBase;
use linfa::traits::{FitWith, PredictInplace};
use ndarray::{Array1, Array2};
use serde::{Deserialize, Serialize};

use super::logistic::Linear;
use super::sigmoid;

pub mod copy;
pub mod search;

#[cfg(test)]
mod tests;

/// How fast columns learn, and what holds them back.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rates {
    /// Size of steps; above 0. The step of a column is about `alpha / (beta + √n)`.
    pub alpha: f64,
    /// How much holds back the first steps; above 0.
    pub beta: f64,
    /// Sum of gradients up to which a weight stays 0; 0 or more. Not for the intercept.
    pub l1: f64,
    /// Weight of `|weights|²/2` against the *sum* of log losses; 0 or more. Not for the intercept.
    pub l2: f64,
}

impl Rates {
    fn is_coherent(self) -> bool {
        let Self { alpha, beta, l1, l2 } = self;
        let within = |x: f64| x.is_finite() && x >= 0.0;
        within(alpha) && within(beta) && within(l1) && within(l2) && alpha > 0.0 && beta > 0.0
    }

    /// A column's weight; `root` is `√n`.
    fn weight(self, z: f64, root: f64) -> f64 {
        if z.abs() <= self.l1 {
            return 0.0;
        }
        (self.l1.copysign(z) - z) / ((self.beta + root) / self.alpha + self.l2)
    }

    /// The same without penalties, as for the intercept.
    fn free(self) -> Self {
        Self { l1: 0.0, l2: 0.0, ..self }
    }
}

/// Why nothing was learnt.
#[derive(Debug, thiserror::Error)]
pub enum FtrlError {
    /// linfa refused the data.
    #[error("linfa: {0}")]
    Linfa(#[from] linfa::Error),
    /// A record has no number, or a weight is none.
    #[error("row {0} of the batch holds a value that is not finite")]
    NotFinite(usize),
    /// The records are not those that were learnt from before.
    #[error("the batch has {found} columns, the model has {wanted}")]
    Columns {
        /// Columns of the batch.
        found: usize,
        /// Columns of the model.
        wanted: usize,
    },
    /// Rates that nothing can be learnt with.
    #[error("{0:?} are no rates to learn with")]
    Rates(Rates),
}

/// What was learnt, with all that is needed to go on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ftrl {
    rates: Rates,
    /// Rows learnt from.
    rows: u64,
    /// Sum of gradients of each column, less what its weights were held to; that of the intercept is the last.
    z: Vec<f64>,
    /// Sum of squared gradients of each column; that of the intercept is the last.
    n: Vec<f64>,
}

impl Ftrl {
    /// A model of so many columns that has seen no row and gives all of them `log_odds`.
    ///
    /// Rare positives make a start at even odds expensive: each row until the intercept is where it belongs would push all
    /// weights the same way.
    pub fn new(rates: Rates, columns: usize, log_odds: f64) -> Self {
        let mut z = vec![0.0; columns + 1];
        z[columns] = -log_odds * rates.beta / rates.alpha;
        Self { rates, rows: 0, z, n: vec![0.0; columns + 1] }
    }

    /// Number of columns, the intercept not counted.
    pub fn columns(&self) -> usize {
        self.z.len().saturating_sub(1)
    }

    /// Rows learnt from so far.
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// The rates it learns with.
    pub fn rates(&self) -> Rates {
        self.rates
    }

    /// The log-odds it gives now, as a linear score.
    pub fn linear(&self) -> Linear {
        let (mut coefficients, _) = self.weights_and_roots();
        let intercept = coefficients.pop().unwrap_or(0.0);
        Linear { intercept, coefficients }
    }

    /// Whether it can be a state; a file that was tampered with may hold another.
    pub fn is_coherent(&self) -> bool {
        let finite = self.z.iter().chain(&self.n).all(|x| x.is_finite());
        finite
            && !self.z.is_empty()
            && self.z.len() == self.n.len()
            && self.n.iter().all(|&n| n >= 0.0)
            && self.rates.is_coherent()
    }

    /// Weights and `√n` of all columns, those of the intercept last.
    fn weights_and_roots(&self) -> (Vec<f64>, Vec<f64>) {
        let last = self.columns();
        let both = self.z.iter().zip(&self.n).enumerate().map(|(at, (&z, &n))| {
            let rates = if at == last { self.rates.free() } else { self.rates };
            (rates.weight(z, n.sqrt()), n.sqrt())
        });
        both.unzip()
    }

    /// Takes the rows in one after the other, each with the weights that the one before left.
    fn learn(&mut self, dataset: &DatasetBase<Array2<f64>, Array1<bool>>) -> Result<(), FtrlError> {
        let (x, labels, columns) = (dataset.records(), dataset.targets(), self.columns());
        if !self.rates.is_coherent() {
            return Err(FtrlError::Rates(self.rates));
        }
        if x.ncols() != columns {
            return Err(FtrlError::Columns { found: x.ncols(), wanted: columns });
        }
        let counts = dataset.weights();
        let count = |row: usize| counts.and_then(|counts| counts.get(row)).map_or(1.0, |&count| f64::from(count));
        // All of the batch or nothing: a model that stopped in the middle could not be gone on with.
        let is_whole = |row: usize| x.row(row).iter().all(|x| x.is_finite()) && count(row).is_finite();
        if let Some(row) = (0..x.nrows()).find(|&row| !is_whole(row)) {
            return Err(FtrlError::NotFinite(row));
        }
        let rates = self.rates;
        let (mut weights, mut roots) = self.weights_and_roots();
        for (row, (x, &label)) in x.rows().into_iter().zip(labels).enumerate() {
            let raw = x.iter().zip(&weights).fold(weights[columns], |sum, (x, w)| sum + x * w);
            let error = count(row) * (sigmoid(raw) - f64::from(u8::from(label)));
            let step = |rates: Rates, gradient: f64, z: &mut f64, n: &mut f64, weight: &mut f64, root: &mut f64| {
                *n += gradient * gradient;
                let moved = n.sqrt();
                *z += gradient - (moved - *root) / rates.alpha * *weight;
                *root = moved;
                *weight = rates.weight(*z, moved);
            };
            let sums = self.z.iter_mut().zip(&mut self.n).zip(weights.iter_mut().zip(&mut roots));
            for ((&x, at_one), ((z, n), (weight, root))) in x.iter().map(|x| (x, false)).chain([(&1.0, true)]).zip(sums)
            {
                step(if at_one { rates.free() } else { rates }, error * x, z, n, weight, root);
            }
        }
        self.rows += x.nrows() as u64;
        Ok(())
    }
}

impl<'a> FitWith<'a, Array2<f64>, Array1<bool>, FtrlError> for Rates {
    type ObjectIn = Option<Ftrl>;
    type ObjectOut = Ftrl;

    /// Goes on learning from finite rows in their order; a model that is given keeps its own rates, without one learning
    /// begins at even odds.
    fn fit_with(
        &self,
        model: Option<Ftrl>,
        dataset: &'a DatasetBase<Array2<f64>, Array1<bool>>,
    ) -> Result<Ftrl, FtrlError> {
        let mut model = model.unwrap_or_else(|| Ftrl::new(*self, dataset.records().ncols(), 0.0));
        model.learn(dataset)?;
        Ok(model)
    }
}

impl PredictInplace<Array2<f64>, Array1<f64>> for Ftrl {
    /// Raw log-odds of each row.
    fn predict_inplace(&self, x: &Array2<f64>, y: &mut Array1<f64>) {
        self.linear().predict_inplace(x, y);
    }

    fn default_target(&self, x: &Array2<f64>) -> Array1<f64> {
        Array1::zeros(x.nrows())
    }
}
