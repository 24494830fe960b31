//! Logistic regression of linfa behind linfa's traits, with its edges rounded off.
//!
//! - linfa-logistic calls the **majority** class positive, so its coefficients and probabilities are those of "not
//!   fraud" where fraud is rare: its labels are read and the signs turned here.
//! - Its gradient tolerance is on the *sum* of losses. A fixed one cannot be reached with many rows, where rounding
//!   ends in "search direction must be a descent direction": it is scaled by the number of rows here, and a failed
//!   solve is tried again, looser first and then in short legs that keep the last good point.
//! - It reports an exhausted iteration limit as success: the gradient is checked here.
//! - It ignores row weights: see [`super::sample`] for how imbalance is met.

use linfa::dataset::DatasetBase;
use linfa::traits::{Fit, PredictInplace};
use linfa_logistic::LogisticRegression;
use ndarray::{Array1, Array2};
use serde::{Deserialize, Serialize};

use super::sigmoid;

/// Per-row gradient norms asked of the solver, tried in order; the first is well below what a metric can show.
const TOLERANCES: [f64; 3] = [1e-6, 1e-5, 1e-4];
/// Per-row gradient norm up to which a solution is accepted.
const ACCEPTED_GRADIENT: f64 = 1e-3;
/// Iterations of one solve; standardised features need some twenty to sixty.
const MAX_ITERATIONS: u64 = 300;
/// Iterations of one leg, and how many legs, once the solver has failed.
const LEGS: (u64, usize) = (4, 60);

/// Why a fit failed.
#[derive(Debug, thiserror::Error)]
pub enum FitError {
    /// linfa refused the data.
    #[error("linfa: {0}")]
    Linfa(#[from] linfa::Error),
    /// The solver of linfa-logistic failed, in every way it was tried.
    #[error("the solver failed: {0}")]
    Solver(String),
    /// The solver stopped too far from the optimum.
    #[error("the solver stopped at a gradient of {gradient:.1e} per row, {ACCEPTED_GRADIENT:.0e} is allowed")]
    NotConverged {
        /// Norm of the gradient per row.
        gradient: f64,
    },
}

/// How to fit a logistic regression with an L2 penalty.
#[derive(Debug, Clone, PartialEq)]
pub struct LogisticFamily {
    /// Weight of `|coefficients|²/2` against the *sum* of log losses; the inverse of scikit-learn's `C`.
    pub alpha: f64,
    /// Where to start, such as the solution for another penalty. `None` starts from the base rate.
    pub start: Option<Linear>,
}

/// A linear score: the log-odds of the label being true.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Linear {
    /// Log-odds where every column is 0, which is the average row.
    pub intercept: f64,
    /// Log-odds by which one unit of each column moves the score.
    pub coefficients: Vec<f64>,
}

impl Linear {
    /// The raw score of one row, summed in column order so that it never depends on what it is computed beside.
    pub fn raw<'a>(&self, row: impl IntoIterator<Item = &'a f64>) -> f64 {
        row.into_iter().zip(&self.coefficients).fold(self.intercept, |sum, (x, c)| sum + x * c)
    }

    fn negated(&self) -> Self {
        Self { intercept: -self.intercept, coefficients: self.coefficients.iter().map(|c| -c).collect() }
    }

    fn to_array(&self) -> Array1<f64> {
        self.coefficients.iter().copied().chain([self.intercept]).collect()
    }
}

impl PredictInplace<Array2<f64>, Array1<f64>> for Linear {
    fn predict_inplace(&self, x: &Array2<f64>, y: &mut Array1<f64>) {
        for (row, out) in x.rows().into_iter().zip(y.iter_mut()) {
            *out = self.raw(row);
        }
    }

    fn default_target(&self, x: &Array2<f64>) -> Array1<f64> {
        Array1::zeros(x.nrows())
    }
}

impl Fit<Array2<f64>, Array1<bool>, FitError> for LogisticFamily {
    type Object = Linear;

    /// Fits to finite records with both labels present; anything else is an error of linfa, passed on.
    fn fit(&self, dataset: &DatasetBase<Array2<f64>, Array1<bool>>) -> Result<Linear, FitError> {
        let rows = dataset.records().nrows().max(1) as f64;
        let start = self.start.clone().unwrap_or_else(|| base_rate(dataset));
        let mut failure = String::new();
        let mut solved = None;
        for tolerance in TOLERANCES {
            match solve(dataset, self.alpha, &start, tolerance * rows, MAX_ITERATIONS) {
                Ok(linear) => {
                    solved = Some(linear);
                    break;
                }
                Err(error) => failure = error,
            }
        }
        let linear = match solved {
            Some(linear) => linear,
            None => self.in_legs(dataset, start).ok_or(FitError::Solver(failure))?,
        };
        let gradient = gradient_norm(dataset, &linear, self.alpha) / rows;
        // Written so that a NaN is refused too.
        if gradient <= ACCEPTED_GRADIENT { Ok(linear) } else { Err(FitError::NotConverged { gradient }) }
    }
}

impl LogisticFamily {
    /// Solves in legs of a few iterations from the last good point; `None` when not even one leg got anywhere.
    fn in_legs(&self, dataset: &DatasetBase<Array2<f64>, Array1<bool>>, start: Linear) -> Option<Linear> {
        let tolerance = TOLERANCES[2] * dataset.records().nrows() as f64;
        let (mut iterations, legs) = LEGS;
        let mut best = None;
        let mut from = start;
        for _ in 0..legs {
            match solve(dataset, self.alpha, &from, tolerance, iterations) {
                Ok(linear) if linear == from => return Some(linear),
                Ok(linear) => {
                    from = linear.clone();
                    best = Some(linear);
                }
                Err(_) if iterations > 1 => iterations /= 2,
                Err(_) => break,
            }
        }
        best
    }
}

/// One solve by linfa-logistic, turned so that positive scores mean `true`.
fn solve(
    dataset: &DatasetBase<Array2<f64>, Array1<bool>>,
    alpha: f64,
    start: &Linear,
    gradient_tolerance: f64,
    max_iterations: u64,
) -> Result<Linear, String> {
    let start = if majority(dataset.targets()) { start.clone() } else { start.negated() };
    let fitted = LogisticRegression::default()
        .alpha(alpha)
        .gradient_tolerance(gradient_tolerance)
        .max_iterations(max_iterations)
        .initial_params(start.to_array())
        .fit(dataset)
        .map_err(|error| error.to_string())?;
    let linear = Linear { intercept: fitted.intercept(), coefficients: fitted.params().to_vec() };
    Ok(if fitted.labels().pos.class { linear } else { linear.negated() })
}

/// The label that linfa-logistic will call positive: the more frequent one, the first seen where both are equal.
fn majority(labels: &Array1<bool>) -> bool {
    let positives = labels.iter().filter(|&&label| label).count();
    match (2 * positives).cmp(&labels.len()) {
        std::cmp::Ordering::Greater => true,
        std::cmp::Ordering::Less => false,
        std::cmp::Ordering::Equal => labels.first().copied().unwrap_or(false),
    }
}

/// The score that gives every row the base rate.
fn base_rate(dataset: &DatasetBase<Array2<f64>, Array1<bool>>) -> Linear {
    let labels = dataset.targets();
    let positives = labels.iter().filter(|&&label| label).count() as f64;
    let negatives = labels.len() as f64 - positives;
    Linear {
        intercept: ((positives + 0.5) / (negatives + 0.5)).ln(),
        coefficients: vec![0.0; dataset.records().ncols()],
    }
}

/// Norm of the gradient of the penalised sum of log losses.
fn gradient_norm(dataset: &DatasetBase<Array2<f64>, Array1<bool>>, linear: &Linear, alpha: f64) -> f64 {
    let x = dataset.records();
    let mut score = Array1::from_elem(x.nrows(), linear.intercept);
    for (column, &c) in x.columns().into_iter().zip(&linear.coefficients) {
        score.scaled_add(c, &column);
    }
    let residual: Array1<f64> =
        score.iter().zip(dataset.targets()).map(|(&s, &y)| sigmoid(s) - f64::from(u8::from(y))).collect();
    let slopes =
        x.columns().into_iter().zip(&linear.coefficients).map(|(column, &c)| column.dot(&residual) + alpha * c);
    slopes.map(|g| g * g).sum::<f64>().sqrt().hypot(residual.sum())
}

#[cfg(test)]
mod tests {
    use linfa::traits::Predict;
    use ndarray::array;

    use super::*;

    fn dataset() -> DatasetBase<Array2<f64>, Array1<bool>> {
        let x = array![
            [0.5, -1.2],
            [1.5, 0.3],
            [-0.7, 0.8],
            [2.2, -0.4],
            [-1.1, -0.9],
            [0.1, 1.7],
            [1.9, 1.1],
            [-0.3, 0.2]
        ];
        DatasetBase::new(x, array![false, true, false, true, false, false, false, false])
    }

    #[test]
    fn coefficients_agree_with_scikit_learn_although_the_positive_class_is_the_minority() {
        let linear = LogisticFamily { alpha: 0.5, start: None }.fit(&dataset()).unwrap();
        // sklearn 1.9: LogisticRegression(C=2.0, tol=1e-12, max_iter=10000).fit(x, y), intercept_ and coef_
        let expected = [-2.208_887_89, 1.304_224_64, -0.436_814_08];
        let found = [linear.intercept, linear.coefficients[0], linear.coefficients[1]];
        for (found, expected) in found.iter().zip(expected) {
            assert!((found - expected).abs() < 1e-4, "{linear:?}");
        }
    }

    #[test]
    fn swapping_the_labels_turns_every_sign() {
        let family = LogisticFamily { alpha: 0.5, start: None };
        let linear = family.fit(&dataset()).unwrap();
        let swapped = dataset().map_targets(|label| !label);
        let turned = family.fit(&swapped).unwrap();
        assert!((linear.intercept + turned.intercept).abs() < 1e-4);
        assert!((linear.coefficients[0] + turned.coefficients[0]).abs() < 1e-4);
    }

    #[test]
    fn a_raw_score_is_the_same_alone_and_among_others() {
        let linear = Linear { intercept: 0.1, coefficients: vec![0.3, -0.7] };
        let data = dataset();
        let all = linear.predict(data.records());
        for (row, &score) in data.records().rows().into_iter().zip(&all) {
            assert_eq!(linear.raw(row).to_bits(), score.to_bits());
        }
    }

    #[test]
    fn separable_labels_are_held_by_the_penalty() {
        let x = Array2::from_shape_fn((400, 1), |(row, _)| row as f64 / 100.0 - 2.0);
        let labels = x.column(0).iter().map(|&v| v > 0.0).collect::<Array1<bool>>();
        let linear = LogisticFamily { alpha: 1.0, start: None }.fit(&DatasetBase::new(x, labels)).unwrap();
        assert!(linear.coefficients[0] > 1.0 && linear.coefficients[0] < 50.0, "{linear:?}");
    }

    #[test]
    fn short_legs_reach_the_same_solution_when_the_solver_has_to_be_helped() {
        let family = LogisticFamily { alpha: 0.5, start: None };
        let (whole, legs) =
            (family.fit(&dataset()).unwrap(), family.in_legs(&dataset(), base_rate(&dataset())).unwrap());
        assert!((whole.intercept - legs.intercept).abs() < 1e-2, "{whole:?} {legs:?}");
        assert!((whole.coefficients[0] - legs.coefficients[0]).abs() < 1e-2, "{whole:?} {legs:?}");
    }

    #[test]
    fn one_class_only_is_an_error_and_not_a_model() {
        let data = DatasetBase::new(array![[1.0], [2.0]], array![true, true]);
        assert!(matches!(LogisticFamily { alpha: 1.0, start: None }.fit(&data), Err(FitError::Solver(_))));
    }
}
