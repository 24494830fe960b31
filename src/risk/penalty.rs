//! How the logistic family learns from a task: one fit a penalty, the best kept.

use linfa::dataset::DatasetBase;
use linfa::traits::Fit;
use ndarray::Array1;

use super::evaluate::{Settings, Tried};
use super::logistic::{FitError, Linear, LogisticFamily};
use super::model::{Learner, Model};
use super::prepare::Prepare;
use super::sample::{MAX_ROWS, every_nth, thin};
use super::task::{Chosen, Learnt, Task};
use crate::error::Result;

/// Penalties tried, strongest first, each fit starting from the one before; the lowest calibrated log loss on the
/// calibration slice wins, and the stronger of equals.
///
/// They are sums over rows: 1 is scikit-learn's default and nothing for 100,000 rows, 1000 holds back a few thousand.
pub const PENALTIES: [f64; 4] = [1_000.0, 100.0, 10.0, 1.0];

/// Learns the preparation and, for every penalty, the coefficients.
///
/// # Errors
/// [`crate::error::Error::Model`] when no feature varies or no penalty gave a model.
pub(super) fn learn(task: &Task<'_>) -> Result<Learnt> {
    let (train, settings) = (&task.parts.train, task.settings);
    let max_rows = settings.max_rows.min(MAX_ROWS);
    let prepare = Prepare::fit(task.matrix, &every_nth(train, max_rows));
    if prepare.width() == 0 {
        return Err(task.refusal("no feature varies in the training slice"));
    }
    let sample = thin(train, &task.truth(train), max_rows, settings.seed);
    let records = prepare.design(task.matrix, &sample.rows);
    let dataset = DatasetBase::new(records, Array1::from(task.truth(&sample.rows)));

    let mut best: Option<(f64, Model)> = None;
    let (mut tried, mut failure) = (Vec::new(), None);
    let (mut start, mut lowest) = (None, f64::INFINITY);
    for (at, penalty) in PENALTIES.into_iter().enumerate() {
        (task.tick)(&format!("logistic fit on {} rows, {} of {}", sample.rows.len(), at + 1, PENALTIES.len()));
        let fitted: std::result::Result<Linear, FitError> =
            LogisticFamily { alpha: penalty, start: start.clone() }.fit(&dataset);
        let judged = match fitted {
            Ok(mut linear) => {
                start = Some(linear.clone());
                linear.intercept += sample.log_odds_shift;
                let learner = Learner::Logistic { prepare: prepare.clone(), linear };
                task.calibrated(learner)?.map_err(|error| error.to_string())
            }
            Err(error) => Err(error.to_string()),
        };
        let log_loss = match judged {
            Ok((model, loss)) => {
                if loss < lowest {
                    lowest = loss;
                    best = Some((penalty, model));
                }
                Some(loss)
            }
            Err(why) => {
                failure.get_or_insert(why);
                None
            }
        };
        tried.push(Tried { settings: chosen(penalty), log_loss });
    }
    match best {
        Some((penalty, model)) => Ok(Learnt {
            model,
            settings: chosen(penalty),
            chosen: Chosen::Penalty(penalty),
            tried,
            fitted_rows: sample.rows.len(),
        }),
        None => Err(task.refusal(&failure.unwrap_or_else(|| "no penalty was tried".to_owned()))),
    }
}

/// Fits as chosen to other rows, at most `max_rows` of them.
///
/// # Errors
/// What the fit refuses.
pub(super) fn refit(
    task: &Task<'_>,
    rows: &[usize],
    penalty: f64,
    max_rows: usize,
) -> std::result::Result<Learner, FitError> {
    let max_rows = max_rows.min(MAX_ROWS);
    let prepare = Prepare::fit(task.matrix, &every_nth(rows, max_rows));
    let sample = thin(rows, &task.truth(rows), max_rows, task.settings.seed);
    let records = prepare.design(task.matrix, &sample.rows);
    let dataset = DatasetBase::new(records, Array1::from(task.truth(&sample.rows)));
    let mut linear: Linear = LogisticFamily { alpha: penalty, start: None }.fit(&dataset)?;
    linear.intercept += sample.log_odds_shift;
    Ok(Learner::Logistic { prepare, linear })
}

fn chosen(penalty: f64) -> Settings {
    Settings::from([("penalty".to_owned(), penalty)])
}
