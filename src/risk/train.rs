//! From features and labels to a model and what it is worth.

use super::boosted::search;
use super::evaluate::{Evaluation, MeasureSettings, Slice, measure};
use super::model::Model;
use super::monitor::reference::Reference;
use super::split::{Cuts, SplitSettings, split, split_at};
use super::task::{Learnt, Task, refusal};
use super::{Family, Label, Target, blend, ftrl, penalty, refit};
use crate::error::{Error, Result};
use crate::features::matrix::Matrix;
use crate::types::interval::wilson95;

/// How to train.
#[derive(Debug, Clone, PartialEq)]
pub struct TrainSettings {
    /// How the model learns.
    pub family: Family,
    /// Seed of every draw.
    pub seed: u64,
    /// The clock: labels known after it (UTC microseconds) do not exist.
    pub as_of: i64,
    /// Where slices begin and end; `None` finds cuts by `shares` and `gap`.
    pub cuts: Option<Cuts>,
    /// Shares of the training, calibration and test slice.
    pub shares: [f64; 3],
    /// Least gap between slices in microseconds; it is raised to the time labels take.
    pub gap: i64,
    /// Whether to refuse a history too short for the whole gap (see [`SplitSettings::refuse_short_gap`]).
    pub refuse_short_gap: bool,
    /// Share of test rows that can be reviewed: what "at k" means.
    pub review_share: f64,
    /// The feature that says what finding a positive order is worth, such as the amount; absent or missing values count
    /// 0.
    pub value_feature: Option<String>,
    /// Most rows of a fit, see [`Family::max_rows`].
    pub max_rows: usize,
}

impl TrainSettings {
    /// The usual settings: slices of 60, 15 and 25 %, 1 % reviewed, value from the feature `amount` if there is one.
    pub fn new(family: Family, seed: u64, as_of: i64) -> Self {
        Self {
            family,
            seed,
            as_of,
            cuts: None,
            shares: [0.60, 0.15, 0.25],
            gap: 0,
            refuse_short_gap: false,
            review_share: 0.01,
            value_feature: Some("amount".to_owned()),
            max_rows: family.max_rows(),
        }
    }

    /// Whether there is enough to learn from, as [`train`] would cut it without given cuts.
    ///
    /// # Errors
    /// [`Error::Model`] when a slice would have too few rows of an outcome, with the numbers found.
    pub fn enough(&self, target: Target, placed_at: &[i64], labels: &[Label], known_at: &[i64]) -> Result<()> {
        split(target, placed_at, labels, known_at, &self.split_settings()).map(|_| ())
    }

    fn split_settings(&self) -> SplitSettings {
        let Self { as_of, shares, gap, refuse_short_gap, .. } = *self;
        SplitSettings { as_of, shares, gap, refuse_short_gap }
    }
}

/// A trained model with its record.
#[derive(Debug, Clone, PartialEq)]
pub struct Trained {
    /// The model.
    pub model: Model,
    /// How it was made and what it is worth.
    pub evaluation: Evaluation,
    /// What its drift is measured from.
    pub reference: Reference,
}

/// The test slice as the model scored it.
#[derive(Debug, Clone, PartialEq)]
pub struct Tested {
    /// Its rows, in time order.
    pub rows: Vec<usize>,
    /// Their calibrated probabilities.
    pub probabilities: Vec<f64>,
    /// Their outcomes.
    pub labels: Vec<bool>,
}

/// Trains, calibrates and measures a model of `target`.
///
/// One entry a row of `matrix` in `placed_at` (UTC microseconds), `labels` and `label_known_at` (UTC microseconds; any
/// value where the label is `None`). Equal arguments give equal results, to the bit.
///
/// # Errors
/// [`Error::Model`] when there are too few labels or nothing could be learnt; [`Error::Invariant`] when lengths differ.
pub fn train(
    target: Target,
    matrix: &Matrix,
    placed_at: &[i64],
    labels: &[Label],
    label_known_at: &[i64],
    settings: &TrainSettings,
) -> Result<Trained> {
    train_and_test(target, matrix, (placed_at, labels, label_known_at), settings, &|_| ()).map(|(trained, _)| trained)
}

/// As [`train`], with the scores of the test slice; `tick` is told of every fit, as `words, 2 of 8`.
///
/// # Errors
/// As [`train`].
pub fn train_and_test(
    target: Target,
    matrix: &Matrix,
    (placed_at, labels, label_known_at): (&[i64], &[Label], &[i64]),
    settings: &TrainSettings,
    tick: &(dyn Fn(&str) + Sync),
) -> Result<(Trained, Tested)> {
    if matrix.names.is_empty() {
        return Err(refusal(target, "there are no features"));
    }
    let rows = matrix.rows();
    if [placed_at.len(), labels.len(), label_known_at.len()] != [rows; 3] {
        return Err(Error::Invariant(format!(
            "training got {rows} rows, {} times, {} labels and {} label times",
            placed_at.len(),
            labels.len(),
            label_known_at.len()
        )));
    }
    let parts = match &settings.cuts {
        Some(cuts) => split_at(target, placed_at, labels, label_known_at, settings.as_of, cuts)?,
        None => split(target, placed_at, labels, label_known_at, &settings.split_settings())?,
    };
    let task = Task::new(target, matrix, (placed_at, labels, label_known_at), &parts, settings, tick);
    let Learnt { mut model, settings: chosen_settings, chosen, tried, fitted_rows } = match settings.family {
        Family::Logistic => penalty::learn(&task)?,
        Family::Ftrl => ftrl::search::learn(&task)?,
        Family::Boosted => search::learn(&task)?,
        Family::Blend => blend::learn(&task)?,
    };

    let calibrated = refit::finish(&task, &mut model, chosen)?;
    tick("measures on the test slice");

    let train_slice = slice(&parts.train, &task.truth(&parts.train), placed_at);
    let calibrate_slice = slice(&parts.calibrate, &task.calibrate_labels, placed_at);
    let test_labels = task.truth(&parts.test);
    let probabilities = model.probabilities(&matrix.take(&parts.test))?;
    let values = settings.value_feature.as_ref().and_then(|name| matrix.names.iter().position(|found| found == name));
    let values: Option<Vec<f64>> = values.map(|feature| {
        let value =
            |&row: &usize| Some(matrix.value(row, feature)).filter(|v| v.is_finite() && *v > 0.0).unwrap_or(0.0);
        parts.test.iter().map(value).collect()
    });
    let k = ((settings.review_share * parts.test.len() as f64).round() as usize).max(1);
    let metrics = measure(
        &probabilities,
        &test_labels,
        MeasureSettings { values: values.as_deref(), k, train_base_rate: train_slice.base_rate, seed: settings.seed },
    );
    let reference = Reference::of(matrix, placed_at, &parts, &probabilities);
    let mut warnings: Vec<String> = parts.report.note.iter().cloned().collect();
    let test_slice = slice(&parts.test, &test_labels, placed_at);
    warnings.extend(drift(&calibrate_slice, &test_slice));
    if metrics.log_loss.value.is_none_or(|loss| loss >= metrics.log_loss_of_base_rate) {
        warnings.push("on the test slice the model is no better than giving every order the base rate".to_owned());
    }
    let evaluation = Evaluation {
        train: train_slice,
        calibrate: calibrate_slice,
        test: test_slice,
        split: parts.report,
        fitted_rows,
        settings: chosen_settings,
        tried,
        calibration: calibrated,
        metrics,
        by_segment: Vec::new(),
        warnings,
    };
    let tested = Tested { rows: parts.test, probabilities, labels: test_labels };
    Ok((Trained { model, evaluation, reference }, tested))
}

pub(super) fn slice(rows: &[usize], labels: &[bool], placed_at: &[i64]) -> Slice {
    let positives = labels.iter().filter(|&&label| label).count();
    let times = rows.iter().map(|&row| placed_at[row]);
    Slice {
        rows: rows.len(),
        positives,
        base_rate: if rows.is_empty() { 0.0 } else { positives as f64 / rows.len() as f64 },
        from: times.clone().min().unwrap_or(0),
        to: times.max().unwrap_or(0),
    }
}

/// Says so when the rate of positives moved between calibration and test by more than chance.
fn drift(calibrate: &Slice, test: &Slice) -> Option<String> {
    let interval = |slice: &Slice| wilson95(i64::try_from(slice.positives).ok()?, i64::try_from(slice.rows).ok()?);
    let ((low, high), (test_low, test_high)) = (interval(calibrate)?, interval(test)?);
    (test_low > high || test_high < low).then(|| {
        format!(
            "the rate of positives moved from {:.2} % in the calibration to {:.2} % in the test slice: probabilities \
             lag behind",
            100.0 * calibrate.base_rate,
            100.0 * test.base_rate
        )
    })
}

#[cfg(test)]
mod tests {
    use rand::{Rng, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    use super::super::sigmoid;
    use super::*;
    use crate::types::time::DAY;

    /// Orders over 200 days whose log-odds are −3 + 1.5 a + 0.8 when b is missing; noise and amount say nothing.
    fn history(rows: usize) -> (Matrix, Vec<i64>, Vec<Label>, Vec<i64>) {
        let mut rng = ChaCha8Rng::seed_from_u64(11);
        let mut columns = vec![Vec::new(); 4];
        let (mut placed, mut labels, mut known) = (Vec::new(), Vec::new(), Vec::new());
        for row in 0..rows {
            let a: f64 = rng.random::<f64>() * 4.0 - 2.0;
            let b = if rng.random::<f64>() < 0.2 { f64::NAN } else { rng.random::<f64>() };
            let amount = (rng.random::<f64>() * 8.0).exp();
            for (column, value) in columns.iter_mut().zip([a, b, amount, rng.random::<f64>()]) {
                column.push(value);
            }
            let odds = -3.0 + 1.5 * a + if b.is_nan() { 0.8 } else { 0.0 };
            let time = row as i64 * (200 * DAY / rows as i64);
            placed.push(time);
            labels.push((row % 13 != 0).then(|| rng.random::<f64>() < sigmoid(odds)));
            known.push(time + 5 * DAY);
        }
        let names = ["a", "b", "amount", "noise"].map(str::to_owned).to_vec();
        (Matrix { names, columns }, placed, labels, known)
    }

    #[test]
    fn a_known_relation_is_found_calibrated_and_measured() {
        let (matrix, placed, labels, known) = history(20_000);
        let settings = TrainSettings::new(Family::Logistic, 3, 206 * DAY);
        let trained = train(Target::Fraud, &matrix, &placed, &labels, &known, &settings).unwrap();
        let metrics = &trained.evaluation.metrics;
        let auc = metrics.roc_auc;
        assert!(auc.value.unwrap() > 0.80 && auc.lower < auc.value && auc.value < auc.upper, "{auc:?}");
        assert!(metrics.average_precision.lower.unwrap() > 2.0 * trained.evaluation.test.base_rate);
        assert!(metrics.ece_mass_10 < 0.02, "{metrics:?}");
        assert_eq!(trained.evaluation.warnings, Vec::<String>::new());
        // Feature a: 1.5 per unit.
        let at = |a: f64| trained.model.contributions(&[a, 0.5, 50.0, 0.5])[0].contribution;
        assert!(((at(1.0) - at(0.0)) - 1.5).abs() < 0.2, "{}", at(1.0) - at(0.0));
        let missing = |b: f64| trained.model.contributions(&[0.0, b, 50.0, 0.5])[1].contribution;
        assert!((missing(f64::NAN) - missing(0.5) - 0.8).abs() < 0.25);
    }

    #[test]
    fn the_same_arguments_give_the_same_model_and_record() {
        let (matrix, placed, labels, known) = history(4_000);
        let mut settings = TrainSettings::new(Family::Logistic, 3, 206 * DAY);
        settings.max_rows = 1_500;
        let train = || train(Target::Return, &matrix, &placed, &labels, &known, &settings).unwrap();
        let (first, second) = (train(), train());
        assert_eq!(serde_json::to_string(&first.model).unwrap(), serde_json::to_string(&second.model).unwrap());
        assert_eq!(first.evaluation, second.evaluation);
    }

    #[test]
    fn thinning_negatives_leaves_probabilities_where_they_were() {
        let (matrix, placed, labels, known) = history(20_000);
        let mut settings = TrainSettings::new(Family::Logistic, 3, 206 * DAY);
        let whole = train(Target::Fraud, &matrix, &placed, &labels, &known, &settings).unwrap();
        settings.max_rows = 4_000;
        let thinned = train(Target::Fraud, &matrix, &placed, &labels, &known, &settings).unwrap();
        assert!(thinned.evaluation.fitted_rows <= 4_000 && whole.evaluation.fitted_rows > 10_000);
        // Before calibration, so that calibration cannot have mended it.
        let mean = |trained: &Trained| {
            let raw = trained.model.raw_scores(&matrix).unwrap();
            raw.iter().map(|&raw| sigmoid(raw)).sum::<f64>() / raw.len() as f64
        };
        assert!((mean(&whole) / mean(&thinned) - 1.0).abs() < 0.05, "{} {}", mean(&whole), mean(&thinned));
    }

    #[test]
    fn labels_after_the_clock_and_their_absence_teach_nothing() {
        let (matrix, placed, labels, known) = history(8_000);
        let settings = TrainSettings::new(Family::Logistic, 3, 120 * DAY);
        let before = train(Target::Fraud, &matrix, &placed, &labels, &known, &settings).unwrap();
        let changed: Vec<Label> = labels
            .iter()
            .zip(&known)
            .map(|(label, known)| if *known > 120 * DAY { Some(true) } else { *label })
            .collect();
        let after = train(Target::Fraud, &matrix, &placed, &changed, &known, &settings).unwrap();
        assert_eq!(before, after);
    }

    #[test]
    fn nothing_to_learn_from_is_a_model_error() {
        let (mut matrix, placed, labels, known) = history(4_000);
        let settings = TrainSettings::new(Family::Logistic, 3, 206 * DAY);
        let none: Vec<Label> = vec![None; labels.len()];
        let code = |result: Result<Trained>| result.unwrap_err().exit_code();
        assert_eq!(code(train(Target::Fraud, &matrix, &placed, &none, &known, &settings)), 4);
        matrix.columns.iter_mut().for_each(|column| column.fill(1.0));
        assert_eq!(code(train(Target::Fraud, &matrix, &placed, &labels, &known, &settings)), 4);
        assert_eq!(code(train(Target::Fraud, &Matrix::default(), &placed, &labels, &known, &settings)), 4);
    }
}
