//! Learning what goes wrong with orders: from a feature table and mature labels to a calibrated probability with
//! reasons.
//!
//! ```text
//! Matrix + labels ─ split ─┬─ train slice ─ sample ─ logistic, ftrl or boosted ─┐
//!                          ├─ calibrate slice ─ penalty or number of trees, calibration ─ Model ─ probabilities, reasons
//!                          └─ test slice ─ metrics, bootstrap ─ Evaluation
//! ```
//!
//! Everything here is pure: slices and numbers in, numbers out. Clocks and seeds come in as arguments, models are kept
//! on disk by the registry. Time order always: nothing is learnt from an order that is placed after one it is
//! tested on, nor (where the data reaches) from a label that was not yet known then.
//!
//! Families sit behind linfa's traits (`Fit` gives an object with `PredictInplace` of raw log-odds): [`logistic`],
//! trained by the choice of its [`penalty`], [`boosted`] trees, and [`ftrl`], which learns by `FitWith` and can go on at
//! any time; [`Family::Blend`] is the mean of two. Another is a variant of [`Family`] and of
//! [`model::Learner`] and an arm in [`train`].

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

mod blend;
pub mod boosted;
pub mod bootstrap;
pub mod calibrate;
pub mod daily;
pub mod evaluate;
pub mod folds;
pub mod ftrl;
pub mod isolation;
pub mod isotonic;
pub mod logistic;
pub mod metrics;
pub mod model;
pub mod monitor;
pub mod penalty;
pub mod prepare;
pub mod reasons;
mod refit;
pub mod sample;
pub mod segments;
pub mod split;
mod task;
pub mod train;

/// What is known of one row: `None` is "not mature yet", which is not "no" and is never learnt from or tested on.
pub type Label = Option<bool>;

/// What a model predicts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Target {
    /// The order is fraudulent.
    Fraud,
    /// The order (or line) is returned within its window.
    Return,
}

impl Target {
    /// All targets, in the order they are listed.
    pub const ALL: [Self; 2] = [Self::Fraud, Self::Return];

    /// The name used in commands, folders and files.
    pub fn name(self) -> &'static str {
        match self {
            Self::Fraud => "fraud",
            Self::Return => "return",
        }
    }
}

/// How a model learns.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum Family {
    /// Logistic regression on prepared features: readable, and good with few labels.
    #[default]
    Logistic,
    /// Follow the regularised leader: a logistic model that takes orders one by one and can go on learning.
    Ftrl,
    /// Boosted trees: facts that matter together are found by themselves.
    Boosted,
    /// The mean of a logistic regression and of boosted trees, in log-odds.
    Blend,
}

impl Family {
    /// The name used in pipeline files, commands and models.
    pub fn name(self) -> &'static str {
        match self {
            Self::Logistic => "logistic",
            Self::Ftrl => "ftrl",
            Self::Boosted => "boosted",
            Self::Blend => "blend",
        }
    }

    /// Most rows a fit uses when nothing else is asked for.
    pub fn max_rows(self) -> usize {
        match self {
            Self::Logistic => sample::MAX_ROWS,
            Self::Ftrl => ftrl::search::MAX_ROWS,
            // Each part of a blend keeps to its own limit too.
            Self::Boosted | Self::Blend => boosted::search::MAX_ROWS,
        }
    }
}

impl Family {
    /// About how many seconds a training takes at most on two cores, on so many rows of so many features.
    ///
    /// Measured rates of the parts, with every fit at its most rows and all trees: growing usually stops at a third of
    /// them. For telling people beforehand, and for nothing else.
    pub fn seconds_at_most(self, rows: usize, features: usize) -> f64 {
        let cells = |most: usize| (rows.min(most) * features) as f64;
        match self {
            // Four penalties, two fits for calibration, one on all.
            Self::Logistic => 1e-6 * 7.0 * cells(sample::MAX_ROWS),
            // A grid over two folds; each row is prepared once for all of it.
            Self::Ftrl => 1e-7 * (2.0 * cells(200_000) + 4.0 * cells(ftrl::search::MAX_ROWS)),
            Self::Boosted => boosted::search::seconds_at_most(&cells),
            Self::Blend => {
                Self::Logistic.seconds_at_most(rows, features) + Self::Boosted.seconds_at_most(rows, features)
            }
        }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Target {
    type Err = Error;

    /// Reads `fraud` or `return`; anything else is a usage error that names both.
    fn from_str(text: &str) -> Result<Self> {
        Self::ALL.into_iter().find(|target| target.name() == text).ok_or_else(|| Error::Usage {
            message: format!("`{text}` is not a target"),
            hint: Some("targets are `fraud` and `return`".to_owned()),
        })
    }
}

/// The logistic function `1 / (1 + e^-x)`, without overflow at either end.
pub(crate) fn sigmoid(log_odds: f64) -> f64 {
    if log_odds >= 0.0 {
        1.0 / (1.0 + (-log_odds).exp())
    } else {
        let odds = log_odds.exp();
        odds / (1.0 + odds)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_reads_back_from_its_own_name_and_others_are_refused() {
        for target in Target::ALL {
            assert_eq!(target.to_string().parse::<Target>().unwrap(), target);
            assert_eq!(serde_json::to_string(&target).unwrap(), format!("\"{target}\""));
        }
        assert_eq!("refund".parse::<Target>().unwrap_err().exit_code(), 2);
    }

    #[test]
    fn the_logistic_function_stays_in_bounds_at_the_extremes() {
        assert_eq!((sigmoid(0.0), sigmoid(1e4), sigmoid(-1e4)), (0.5, 1.0, 0.0));
    }
}
