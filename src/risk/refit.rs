//! Once a family has chosen: probabilities from scores of later orders, then a last fit to all that is known.
//!
//! 1. **Calibration** takes scores of orders that are later than all their scorer was fitted to: those of the calibration
//!    slice, and those of two stretches within the training slice, each scored by a fit to what lies before it. One slice
//!    alone is one season: a shop whose returns move between 44 and 49 % from month to month would have the level of its
//!    last month taken for the next.
//! 2. **The last fit** takes the training and the calibration slice together, with the settings chosen. Frauds change; the
//!    newest orders say most about the next ones.

use super::calibrate::{self, CalibrationChoice};
use super::model::{Learner, Model};
use super::task::{Chosen, STRETCHES, Task};
use super::{blend, boosted, ftrl, penalty};
use crate::error::Result;

/// Most rows of a fit that is there for calibration alone.
const TRIAL_ROWS: usize = 200_000;

/// Calibrates a model and fits it again.
///
/// # Errors
/// [`crate::error::Error::Model`] when scores do not rank later orders.
pub(super) fn finish(task: &Task<'_>, model: &mut Model, chosen: Chosen) -> Result<CalibrationChoice> {
    let (mut raw, mut labels) = (Vec::new(), Vec::new());
    for (at, cuts) in STRETCHES.into_iter().enumerate() {
        (task.tick)(&format!("calibration, fit {} of {}", at + 1, STRETCHES.len() + 1));
        let Some(stretch) = task.stretch(cuts) else { continue };
        // A stretch that cannot be fitted is one voice fewer and no more.
        let Ok(learner) = fit(task, &stretch.fitted, chosen, TRIAL_ROWS.min(task.settings.max_rows)) else { continue };
        let trial = Model { learner, ..model.clone() };
        raw.extend(trial.raw_scores(&task.matrix.take(&stretch.watched))?);
        labels.extend(task.truth(&stretch.watched));
    }
    raw.extend(model.raw_scores(&task.calibrate)?);
    labels.extend_from_slice(&task.calibrate_labels);
    let (calibration, choice) = calibrate::choose(&raw, &labels).map_err(|error| task.refusal(&error.to_string()))?;
    model.calibration = calibration;
    (task.tick)(&format!("last fit, {0} of {0}", STRETCHES.len() + 1));
    let all: Vec<usize> = task.parts.train.iter().chain(&task.parts.calibrate).copied().collect();
    // Where it fails, which the same settings did not do on fewer rows, the model before it stands.
    if let Ok(learner) = fit(task, &all, chosen, task.settings.max_rows) {
        model.learner = learner;
    }
    Ok(choice)
}

/// Why a fit failed does not matter here.
struct Failed;

fn fit(task: &Task<'_>, rows: &[usize], chosen: Chosen, max_rows: usize) -> std::result::Result<Learner, Failed> {
    match chosen {
        Chosen::Penalty(penalty) => penalty::refit(task, rows, penalty, max_rows).map_err(|_| Failed),
        Chosen::Rates(rates) => ftrl::search::refit(task, rows, rates, max_rows).map_err(|_| Failed),
        Chosen::Both(penalty, growth) => blend::refit(task, rows, (penalty, growth), max_rows).map_err(|_| Failed),
        Chosen::Growth(growth) => boosted::search::refit(task, rows, growth, max_rows).map_err(|_| Failed),
    }
}
