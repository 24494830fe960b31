//! How the family `ftrl` learns from a task.
//!
//! 1. **Rates** ([`grid`]): all entries learn from the first part of the training slice, once and in time order, and are
//!    compared on the next, for two folds that roll forward inside the slice with the same gap for labels; the lowest mean
//!    log loss (after a Platt line, as calibration follows) wins, and the earlier of equals. A history too short for such
//!    folds is learnt from whole and compared on the calibration slice.
//! 2. **One pass** over the training slice in time order. Where rows are thinned, each that is kept counts for those it
//!    stands for: no odds have to be moved afterwards, and what is learnt later from all rows goes on from true odds.
//! 3. Calibration and the last pass, as for any family: see [`crate::risk::refit`].
//!
//! Missing values, tails and scales are met as for the logistic family, see [`crate::risk::prepare`].

use linfa::dataset::DatasetBase;
use linfa::traits::{FitWith, PredictInplace};
use ndarray::{Array1, Array2};
use rayon::prelude::*;

use super::{Ftrl, FtrlError, Rates};
use crate::error::Result;
use crate::features::matrix::Matrix;
use crate::risk::calibrate::Platt;
use crate::risk::evaluate::{Settings, Tried};
use crate::risk::metrics::{log_loss_of, mean_loss};
use crate::risk::model::Learner;
use crate::risk::prepare::Prepare;
use crate::risk::sample::{every_nth, thin};
use crate::risk::task::{Chosen, Learnt, STRETCHES, Stretch, Task};

/// Most rows of a pass: two million by 60 columns take about two seconds on two cores.
pub const MAX_ROWS: usize = 2_000_000;

/// Most rows of one pass, and of one comparison, of the search.
const SEARCH_ROWS: usize = 200_000;

/// Most rows that the preparation is learnt from.
const PREPARE_ROWS: usize = 300_000;

/// Rows of a batch. It bounds memory and changes nothing else.
pub(super) const BATCH: usize = 8_192;

/// Sizes of steps tried, the middle ones first.
const ALPHAS: [f64; 4] = [0.1, 0.3, 0.03, 1.0];
/// What holds back the first steps.
const BETAS: [f64; 2] = [1.0, 10.0];
/// Sums of gradients up to which a weight stays 0.
const L1S: [f64; 2] = [0.0, 10.0];
/// Penalties on squared weights.
const L2S: [f64; 2] = [0.0, 100.0];

/// What is tried.
pub fn grid() -> Vec<Rates> {
    let mut grid = Vec::new();
    for alpha in ALPHAS {
        for beta in BETAS {
            for l1 in L1S {
                grid.extend(L2S.map(|l2| Rates { alpha, beta, l1, l2 }));
            }
        }
    }
    grid
}

/// Searches the rates and learns.
///
/// # Errors
/// [`crate::error::Error::Model`] when no feature varies or what was learnt does not rank the calibration slice.
pub(in crate::risk) fn learn(task: &Task<'_>) -> Result<Learnt> {
    let (train, settings, grid) = (&task.parts.train, task.settings, grid());
    let mut folds: Vec<Stretch> = STRETCHES.iter().filter_map(|&cuts| task.stretch(cuts)).collect();
    if folds.is_empty() {
        folds.push(Stretch { fitted: train.clone(), watched: task.parts.calibrate.clone() });
    }
    let passes = folds.len() + 1;
    let mut losses = vec![Some(0.0); grid.len()];
    for (at, fold) in folds.iter().enumerate() {
        (task.tick)(&format!("{} rates, pass {} of {passes}", grid.len(), at + 1));
        for (sum, loss) in losses.iter_mut().zip(compare(task, fold, &grid)) {
            *sum = sum.zip(loss).map(|(sum, loss)| sum + loss / folds.len() as f64);
        }
    }
    let mut best = 0;
    for (at, loss) in losses.iter().enumerate().filter_map(|(at, loss)| Some((at, (*loss)?))) {
        if losses[best].is_none_or(|least| loss < least) {
            best = at;
        }
    }
    let rates = grid[best];
    let fitted_rows = train.len().min(settings.max_rows);
    (task.tick)(&format!("pass over {fitted_rows} rows, {passes} of {passes}"));
    let refuse = |error: &dyn std::error::Error| task.refusal(&error.to_string());
    let learner = refit(task, train, rates, settings.max_rows).map_err(|error| refuse(&error))?;
    if matches!(&learner, Learner::Ftrl { prepare, .. } if prepare.width() == 0) {
        return Err(task.refusal("no feature varies in the training slice"));
    }
    let (model, _) = task.calibrated(learner)?.map_err(|error| refuse(&error))?;
    let tried = grid.iter().zip(losses).map(|(&rates, log_loss)| Tried { settings: named(rates), log_loss }).collect();
    Ok(Learnt { model, settings: named(rates), chosen: Chosen::Rates(rates), tried, fitted_rows })
}

/// Learns with given rates from rows in time order, at most `max_rows` of them.
///
/// # Errors
/// What learning refuses.
pub(in crate::risk) fn refit(
    task: &Task<'_>,
    rows: &[usize],
    rates: Rates,
    max_rows: usize,
) -> std::result::Result<Learner, FtrlError> {
    let (prepare, mut learnt) = pass(task, rows, &[rates], max_rows)?;
    // One entry of the grid is one state.
    let state = learnt.pop().ok_or(FtrlError::Rates(rates))?;
    Ok(Learner::Ftrl { prepare, state })
}

/// Log losses of all rates on the later part of a fold.
fn compare(task: &Task<'_>, Stretch { fitted, watched }: &Stretch, grid: &[Rates]) -> Vec<Option<f64>> {
    let Ok((prepare, learnt)) = pass(task, fitted, grid, SEARCH_ROWS.min(task.settings.max_rows)) else {
        return vec![None; grid.len()];
    };
    let watched = every_nth(watched, SEARCH_ROWS);
    let labels = task.truth(&watched);
    let mut scores = vec![Vec::with_capacity(watched.len()); grid.len()];
    for batch in watched.chunks(BATCH) {
        let records = rows_of(&prepare, task.matrix, batch);
        scores.par_iter_mut().zip(&learnt).for_each(|(scores, model)| {
            let mut raw = model.default_target(&records);
            model.predict_inplace(&records, &mut raw);
            scores.extend(raw);
        });
    }
    let loss = |raw: &Vec<f64>| {
        let line = Platt::fit(raw, &labels).ok()?;
        let probabilities: Vec<f64> = raw.iter().map(|&raw| line.probability(raw)).collect();
        Some(mean_loss(&probabilities, &labels, log_loss_of))
    };
    scores.par_iter().map(loss).collect()
}

/// One pass over rows in time order with all `grid` at once, since preparing a row costs more than learning from it.
fn pass(
    task: &Task<'_>,
    rows: &[usize],
    grid: &[Rates],
    max_rows: usize,
) -> std::result::Result<(Prepare, Vec<Ftrl>), FtrlError> {
    let labels = task.truth(rows);
    let prepare = Prepare::fit(task.matrix, &every_nth(rows, PREPARE_ROWS));
    let positives = labels.iter().filter(|&&label| label).count() as f64;
    let log_odds = ((positives + 0.5) / (labels.len() as f64 - positives + 0.5)).ln();
    let mut learnt: Vec<Ftrl> = grid.iter().map(|&rates| Ftrl::new(rates, prepare.width(), log_odds)).collect();
    let sample = thin(rows, &labels, max_rows, task.settings.seed);
    let negative = (-sample.log_odds_shift).exp() as f32;
    for batch in sample.rows.chunks(BATCH) {
        let labels = Array1::from(task.truth(batch));
        let counts = labels.mapv(|label| if label { 1.0 } else { negative });
        let dataset = DatasetBase::new(rows_of(&prepare, task.matrix, batch), labels).with_weights(counts);
        let next = learnt.into_par_iter().map(|model| model.rates().fit_with(Some(model), &dataset));
        learnt = next.collect::<std::result::Result<_, _>>()?;
    }
    Ok((prepare, learnt))
}

/// Rows as the family learns from them, one after the other in memory.
pub(super) fn rows_of(prepare: &Prepare, matrix: &Matrix, rows: &[usize]) -> Array2<f64> {
    let width = prepare.width();
    let mut values = vec![0.0; rows.len() * width];
    values.par_chunks_mut(width.max(1)).zip(rows).for_each(|(out, &row)| {
        let scaled = prepare.columns.iter().zip(&matrix.columns).flat_map(|(column, raw)| column.scaled(raw[row]));
        out.iter_mut().zip(scaled.flatten()).for_each(|(out, scaled)| *out = scaled);
    });
    // The lengths agree by construction; an empty table stands for what cannot happen rather than a panic.
    Array2::from_shape_vec((rows.len(), width), values).unwrap_or_else(|_| Array2::zeros((0, width)))
}

fn named(Rates { alpha, beta, l1, l2 }: Rates) -> Settings {
    let all = [("alpha", alpha), ("beta", beta), ("l1", l1), ("l2", l2)];
    all.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}
