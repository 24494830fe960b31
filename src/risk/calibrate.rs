//! From a score that ranks to a probability that can be multiplied with money: Platt scaling, or an isotonic curve where
//! it holds on rows that it was not fitted to.
//!
//! Platt's fit is linfa's (Newton's method with Platt's smoothed targets, after Lin, Lin and Weng 2007). Its own prediction
//! computes in `f32`, which cannot tell rare probabilities apart; the fitted line is applied here in `f64`.
//!
//! [`choose`] fits both to one half of the slice in time and takes the Brier score on the other, both ways round: a curve
//! with a hundred steps always fits its own rows better than a line does.

use linfa::ParamGuard;
use linfa::composing::platt_scaling::{PlattParams, platt_newton_method};
use ndarray::ArrayView1;
use serde::{Deserialize, Serialize};

use super::isotonic::Isotonic;
use super::metrics::{brier_of, mean_loss};
use super::sigmoid;

/// Probability = logistic(`slope` × raw + `offset`), with `slope` above 0: calibration never changes the ranking.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Platt {
    /// What one unit of the raw score moves the log-odds.
    pub slope: f64,
    /// Log-odds at a raw score of 0.
    pub offset: f64,
}

/// From raw scores to probabilities.
///
/// In a file a line has `slope` and `offset`, a curve `raw`, `share` and the `platt` line beneath.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Calibration {
    /// A curve through points.
    Isotonic(Isotonic),
    /// A line in log-odds.
    Platt(Platt),
}

impl Calibration {
    /// The name used in records and cards.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Isotonic(_) => "isotonic",
            Self::Platt(_) => "platt",
        }
    }

    /// Calibrated probability of a raw score, in `[0, 1]`. It never falls where the raw score rises.
    pub fn probability(&self, raw: f64) -> f64 {
        match self {
            Self::Isotonic(curve) => curve.probability(raw),
            Self::Platt(line) => line.probability(raw),
        }
    }

    /// Calibrated log-odds of a raw score; finite, since an isotonic probability is held from 0 and 1 by a hair.
    pub fn log_odds(&self, raw: f64) -> f64 {
        match self {
            Self::Isotonic(curve) => {
                let p = curve.probability(raw).clamp(f64::MIN_POSITIVE, 1.0 - f64::EPSILON);
                p.ln() - (-p).ln_1p()
            }
            Self::Platt(line) => line.log_odds(raw),
        }
    }

    /// What contributions to a raw score are multiplied with, so that they add up to calibrated log-odds: on a curve the
    /// slope of the straight way from `base`, where contributions are counted from, to the row's `raw`.
    pub fn slope(&self, base: f64, raw: f64) -> f64 {
        match self {
            Self::Platt(line) => line.slope,
            // On no way at all there is nothing to add up.
            Self::Isotonic(curve) if (raw - base).abs() < 1e-9 => curve.platt().slope,
            Self::Isotonic(_) => (self.log_odds(raw) - self.log_odds(base)) / (raw - base),
        }
    }

    /// Whether it can be a fit; a file that was tampered with may hold what is none.
    pub fn is_coherent(&self) -> bool {
        match self {
            Self::Isotonic(curve) => curve.is_coherent(),
            Self::Platt(line) => line.slope.is_finite() && line.offset.is_finite(),
        }
    }
}

/// Fewest rows of each outcome in each half for an isotonic curve to be tried: with fewer, a step is the accident of a
/// handful of orders.
const MIN_HALF_OUTCOMES: usize = 50;

/// How a calibration was chosen.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct CalibrationChoice {
    /// `platt` or `isotonic`.
    pub method: String,
    /// Brier score of Platt scaling, each half of the slice in time by a fit to the other; `None` where halves are too
    /// small to tell.
    pub brier_platt: Option<f64>,
    /// The same of the isotonic curve.
    pub brier_isotonic: Option<f64>,
}

/// Calibrates on rows in time order and says why so.
///
/// # Errors
/// Those of [`Platt::fit`] on all rows.
pub fn choose(raw: &[f64], labels: &[bool]) -> Result<(Calibration, CalibrationChoice), CalibrationError> {
    let line = Platt::fit(raw, labels)?;
    let losses = crossed(raw, labels);
    let better = losses.is_some_and(|(platt, isotonic)| isotonic < platt);
    let curve = if better { Isotonic::fit(raw, labels, line) } else { None };
    let calibration = curve.map_or(Calibration::Platt(line), Calibration::Isotonic);
    let choice = CalibrationChoice {
        method: calibration.name().to_owned(),
        brier_platt: losses.map(|losses| losses.0),
        brier_isotonic: losses.map(|losses| losses.1),
    };
    Ok((calibration, choice))
}

/// Brier scores of Platt scaling and of the curve over all rows, each half by fits to the other.
fn crossed(raw: &[f64], labels: &[bool]) -> Option<(f64, f64)> {
    let half = labels.len() / 2;
    let ((raw_1, raw_2), (labels_1, labels_2)) = (raw.split_at(half), labels.split_at(half));
    let mut sums = (0.0, 0.0);
    for (fit_raw, fit_labels, raw, labels) in [(raw_1, labels_1, raw_2, labels_2), (raw_2, labels_2, raw_1, labels_1)] {
        let positives = fit_labels.iter().filter(|&&label| label).count();
        if positives.min(fit_labels.len() - positives) < MIN_HALF_OUTCOMES {
            return None;
        }
        let line = Platt::fit(fit_raw, fit_labels).ok()?;
        let curve = Isotonic::fit(fit_raw, fit_labels, line)?;
        let loss = |probability: &dyn Fn(f64) -> f64| {
            let p: Vec<f64> = raw.iter().map(|&raw| probability(raw)).collect();
            mean_loss(&p, labels, brier_of) * labels.len() as f64
        };
        sums.0 += loss(&|raw| line.probability(raw));
        sums.1 += loss(&|raw| curve.probability(raw));
    }
    let rows = labels.len() as f64;
    Some((sums.0 / rows, sums.1 / rows))
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
    use rand::{Rng, SeedableRng};
    use rand_chacha::ChaCha8Rng;

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

    /// Scores with the chance of a positive that `chance` gives them, the same in any order of time.
    fn slice(rows: usize, chance: impl Fn(f64) -> f64) -> (Vec<f64>, Vec<bool>) {
        let mut rng = ChaCha8Rng::seed_from_u64(4);
        let mut row = || {
            let raw = rng.random::<f64>() * 8.0 - 4.0;
            (raw, rng.random::<f64>() < chance(raw))
        };
        (0..rows).map(|_| row()).unzip()
    }

    #[test]
    fn a_line_stays_where_the_line_is_true_and_a_curve_is_taken_where_it_is_not() {
        let (raw, labels) = slice(6_000, sigmoid);
        let (line, choice) = choose(&raw, &labels).unwrap();
        assert!(matches!(line, Calibration::Platt(_)), "{choice:?}");
        assert!(choice.brier_platt < choice.brier_isotonic, "{choice:?}");
        // One kind of order is bad, whatever else is known of it.
        let (raw, labels) = slice(6_000, |raw| if raw > 2.0 { 0.9 } else { 0.02 });
        let (curve, choice) = choose(&raw, &labels).unwrap();
        assert!(matches!(curve, Calibration::Isotonic(_)) && choice.method == "isotonic", "{choice:?}");
        assert!((curve.probability(3.0) - 0.9).abs() < 0.05 && curve.probability(0.0) < 0.05);
        // Few rows are no reason for a curve.
        assert!(matches!(choose(&raw[..200], &labels[..200]).unwrap().0, Calibration::Platt(_)));
    }

    #[test]
    fn files_hold_both_kinds_to_the_bit_and_what_is_no_fit_is_found_out() {
        let (raw, labels) = slice(2_000, |raw| if raw > 2.0 { 0.9 } else { 0.02 });
        let line = Platt::fit(&raw, &labels).unwrap();
        let curve = Isotonic::fit(&raw, &labels, line).unwrap();
        for calibration in [Calibration::Platt(line), Calibration::Isotonic(curve)] {
            let text = serde_json::to_string(&calibration).unwrap();
            assert_eq!(serde_json::from_str::<Calibration>(&text).unwrap(), calibration);
            assert!(calibration.is_coherent());
        }
        let falling = r#"{"raw":[0.0,1.0],"share":[0.5,0.4],"platt":{"slope":1.0,"offset":0.0}}"#;
        assert!(!serde_json::from_str::<Calibration>(falling).unwrap().is_coherent());
        assert_eq!(
            serde_json::to_string(&Calibration::Platt(Platt { slope: 0.5, offset: 0.1 })).unwrap(),
            r#"{"slope":0.5,"offset":0.1}"#
        );
    }
}
