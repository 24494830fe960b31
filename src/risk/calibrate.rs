//! Platt scaling: from a score that ranks to a probability that can be multiplied with money.
//!
//! The fit is linfa's (Newton's method with Platt's smoothed targets, after Lin, Lin and Weng 2007). Its own prediction
//! computes in `f32`, which cannot tell rare probabilities apart; the fitted line is applied here in `f64`.

use linfa::ParamGuard;
use linfa::composing::platt_scaling::{PlattParams, platt_newton_method};
use ndarray::ArrayView1;
use serde::{Deserialize, Serialize};

use super::sigmoid;

/// Probability = logistic(`slope` × raw + `offset`), with `slope` above 0: calibration never changes the ranking.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Platt {
    /// What one unit of the raw score moves the log-odds.
    pub slope: f64,
    /// Log-odds at a raw score of 0.
    pub offset: f64,
}

/// Why no calibration could be learnt.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum CalibrationError {
    /// The slice lacks one of the two outcomes.
    #[error("the calibration slice holds {positives} positives among {rows} rows; both outcomes are needed")]
    OneOutcome {
        /// Positives in the slice.
        positives: usize,
        /// Rows in the slice.
        rows: usize,
    },
    /// Newton's method failed.
    #[error("calibration failed: {0}")]
    Newton(String),
    /// What was learnt on the training slice does not hold on the next one.
    #[error(
        "the score does not rank the calibration slice (slope {slope:.3}): what was learnt does not hold in later data"
    )]
    NoRanking {
        /// The fitted slope, which is not above 0.
        slope: f64,
    },
}

impl Platt {
    /// Fits to the raw scores and outcomes of a slice the scorer has not seen.
    pub fn fit(raw: &[f64], labels: &[bool]) -> Result<Self, CalibrationError> {
        let positives = labels.iter().filter(|&&label| label).count();
        if positives == 0 || positives == labels.len() {
            return Err(CalibrationError::OneOutcome { positives, rows: labels.len() });
        }
        let params = PlattParams::<f64, ()>::default();
        let newton = |error: linfa::composing::PlattError| CalibrationError::Newton(error.to_string());
        let params = params.check().map_err(newton)?;
        let (a, b) = platt_newton_method(ArrayView1::from(raw), ArrayView1::from(labels), &params).map_err(newton)?;
        // linfa's form is 1 / (1 + exp(a x + b)).
        let (slope, offset) = (-a, -b);
        if slope.is_finite() && offset.is_finite() && slope > 0.0 {
            Ok(Self { slope, offset })
        } else {
            Err(CalibrationError::NoRanking { slope })
        }
    }

    /// Calibrated log-odds of a raw score.
    pub fn log_odds(&self, raw: f64) -> f64 {
        self.slope * raw + self.offset
    }

    /// Calibrated probability of a raw score, in `[0, 1]`.
    pub fn probability(&self, raw: f64) -> f64 {
        sigmoid(self.log_odds(raw))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fit_agrees_with_scikit_learn() {
        let raw = [-4.0, -3.5, -3.0, -2.5, -2.0, -1.5, -1.0, -0.5, 0.0, 0.5, 1.0, 1.5];
        let labels = [0, 0, 0, 1, 0, 0, 1, 0, 0, 1, 1, 1].map(|label| label == 1);
        let platt = Platt::fit(&raw, &labels).unwrap();
        // sklearn 1.9: sklearn.calibration._SigmoidCalibration().fit(raw, labels), -a_ and -b_
        assert!((platt.slope - 0.556_468_8).abs() < 1e-4 && (platt.offset - 0.311_901_8).abs() < 1e-4, "{platt:?}");
    }

    #[test]
    fn scores_that_rank_backwards_are_refused() {
        let raw = [3.0, 2.0, 1.0, -1.0, -2.0, -3.0];
        let labels = [false, false, true, false, true, true];
        assert!(matches!(Platt::fit(&raw, &labels), Err(CalibrationError::NoRanking { .. })));
        assert!(matches!(Platt::fit(&raw, &[true; 6]), Err(CalibrationError::OneOutcome { positives: 6, rows: 6 })));
    }

    #[test]
    fn probabilities_rise_with_the_score_and_stay_apart_where_they_are_rare() {
        let platt = Platt { slope: 0.9, offset: -1.0 };
        let p: Vec<f64> = [-30.0, -29.9, 0.0, 20.0].map(|raw| platt.probability(raw)).to_vec();
        assert!(p.windows(2).all(|pair| pair[0] < pair[1]) && p[0] > 0.0 && p[3] < 1.0, "{p:?}");
    }
}
