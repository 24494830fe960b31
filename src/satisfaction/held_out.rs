//! What predictions are worth on orders the model has not seen: later ones.
//!
//! Orders are cut in time: the model for the test learns from what was answered before the cut, and is tested on orders
//! delivered after it. Only orders delivered long enough ago count, so that slow answers are in. Intervals are percentile
//! bootstraps over days of delivery: what went wrong on a day went wrong together.

use super::answers::LOW_POINTS;
use super::predict::{MIN_ANSWERS, Prediction, Predictor};
use crate::features::matrix::Matrix;
use crate::risk::bootstrap::{Estimate, over_days};
use crate::risk::logistic::FitError;
use crate::risk::metrics::Ranked;

/// Share of the matured orders that are tested on: the latest.
const TEST_SHARE: f64 = 0.25;
/// Bootstrap draws.
const REPLICATES: u64 = 300;
/// Seed of them.
const SEED: u64 = 1;
/// Least orders to test on.
const MIN_TEST: usize = 50;

/// An order with an answer after its delivery.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Example {
    /// Row of the order.
    pub row: usize,
    /// When it was delivered, UTC microseconds.
    pub delivered: i64,
    /// Calendar day of that.
    pub day: i32,
    /// When the first answer was received.
    pub answered: i64,
    /// Mean points of the answers.
    pub points: f64,
}

/// The errors of one way to predict.
#[derive(Debug, Clone, PartialEq)]
pub struct Errors {
    /// `model`, `mean` (every order the mean), `late_only` (the mean of late and of timely orders), `median` (every order the median).
    pub predictor: &'static str,
    /// Mean absolute error, points.
    pub mae: Estimate,
    /// Root of the mean squared error, points.
    pub rmse: Estimate,
    /// Spearman's rank correlation; no value where all predictions are equal.
    pub rank_correlation: Estimate,
    /// Area under the ROC curve for low answers; no value without both kinds.
    pub auc_low: Estimate,
    /// Mean of prediction less answer, points.
    pub bias: Estimate,
}

/// A test on later orders.
#[derive(Debug, Clone, PartialEq)]
pub struct HeldOut {
    /// Orders the tested model learnt from.
    pub trained_on: usize,
    /// Orders it was tested on.
    pub tested_on: usize,
    /// First instant of the test, UTC microseconds.
    pub from: i64,
    /// The model, then what it is held against.
    pub errors: Vec<Errors>,
}

/// Tests on the later part of `examples`, which are in order of delivery and matured. `late` says of each row whether its
/// promise was broken; `None` where that is not known.
///
/// `None` when there is too little to learn from or to test on.
///
/// # Errors
/// [`FitError`] when the model for the test cannot be solved.
pub fn held_out(matrix: &Matrix, examples: &[Example], late: &[Option<bool>]) -> Result<Option<HeldOut>, FitError> {
    let cut = ((1.0 - TEST_SHARE) * examples.len() as f64) as usize;
    let Some(from) = examples.get(cut).map(|e| e.delivered) else { return Ok(None) };
    let test: Vec<&Example> = examples.iter().filter(|e| e.delivered >= from).collect();
    let train: Vec<&Example> = examples.iter().filter(|e| e.delivered < from && e.answered < from).collect();
    if train.len() < MIN_ANSWERS || test.len() < MIN_TEST {
        return Ok(None);
    }
    let mut points = vec![f64::NAN; matrix.rows()];
    train.iter().for_each(|e| points[e.row] = e.points);
    let rows: Vec<usize> = train.iter().map(|e| e.row).collect();
    let model = Predictor::fit(matrix, &points, &rows)?;
    let tested: Vec<usize> = test.iter().map(|e| e.row).collect();
    let predicted = model.predict(matrix, &tested);
    let mean_of = |keep: &dyn Fn(&Example) -> bool| {
        let (sum, n) = train.iter().filter(|e| keep(e)).fold((0.0, 0.0), |(s, n), e| (s + e.points, n + 1.0));
        (n > 0.0).then(|| sum / n)
    };
    let mean = mean_of(&|_| true).unwrap_or_default();
    let by_late = |state: Option<bool>| mean_of(&|e| late[e.row] == state).unwrap_or(mean);
    let (kept, broken, unknown) = (by_late(Some(false)), by_late(Some(true)), by_late(None));
    let late_only = |e: &&Example| match late[e.row] {
        Some(true) => broken,
        Some(false) => kept,
        None => unknown,
    };
    let mut sorted: Vec<f64> = train.iter().map(|e| e.points).collect();
    sorted.sort_unstable_by(f64::total_cmp);
    let median = sorted[sorted.len() / 2];
    let errors = vec![
        measure("model", &test, &predicted),
        measure("mean", &test, &flat(test.iter().map(|_| mean))),
        measure("late_only", &test, &flat(test.iter().map(late_only))),
        measure("median", &test, &flat(test.iter().map(|_| median))),
    ];
    Ok(Some(HeldOut { trained_on: model.orders, tested_on: test.len(), from, errors }))
}

/// Predictions of a score alone: a lower one is more likely a low answer.
fn flat(scores: impl Iterator<Item = f64>) -> Vec<Prediction> {
    scores.map(|score| Prediction { score, low: 1.0 - score / 100.0 }).collect()
}

fn measure(predictor: &'static str, test: &[&Example], predicted: &[Prediction]) -> Errors {
    let mut days: Vec<(i32, Vec<usize>)> = Vec::new();
    for (at, example) in test.iter().enumerate() {
        match days.last_mut() {
            Some((day, rows)) if *day == example.day => rows.push(at),
            _ => days.push((example.day, vec![at])),
        }
    }
    let truth: Vec<f64> = test.iter().map(|e| e.points).collect();
    let scores: Vec<f64> = predicted.iter().map(|p| p.score).collect();
    let lows: Vec<f64> = predicted.iter().map(|p| p.low).collect();
    let labels: Vec<bool> = truth.iter().map(|&points| points <= LOW_POINTS).collect();
    let mean_of = |value: &(dyn Fn(usize) -> f64 + Sync)| {
        over_days(&days, REPLICATES, SEED, |drawn| {
            let (mut sum, mut all) = (0.0, 0.0);
            for (weight, (_, rows)) in drawn {
                for &row in rows.iter().filter(|_| weight > 0.0) {
                    sum += weight * value(row);
                    all += weight;
                }
            }
            (all > 0.0).then(|| sum / all)
        })
    };
    let weights = |drawn: &mut dyn Iterator<Item = (f64, &(i32, Vec<usize>))>| {
        let mut weights = vec![0.0; truth.len()];
        for (weight, (_, rows)) in drawn {
            rows.iter().for_each(|&row| weights[row] = weight);
        }
        weights
    };
    let square = mean_of(&|row| (scores[row] - truth[row]).powi(2));
    let ranked = Ranked::new(&lows, &labels, None);
    let (by_truth, by_score) = (order_of(&truth), order_of(&scores));
    Errors {
        predictor,
        mae: mean_of(&|row| (scores[row] - truth[row]).abs()),
        rmse: Estimate {
            value: square.value.map(f64::sqrt),
            lower: square.lower.map(f64::sqrt),
            upper: square.upper.map(f64::sqrt),
        },
        rank_correlation: over_days(&days, REPLICATES, SEED, |drawn| {
            let weights = weights(drawn);
            let (a, b) = (mid_ranks(&truth, &by_truth, &weights), mid_ranks(&scores, &by_score, &weights));
            correlation(&a, &b, &weights)
        }),
        auc_low: over_days(&days, REPLICATES, SEED, |drawn| {
            let weights = weights(drawn);
            ranked.measure_weighted(1, |rank| weights[ranked.row(rank)]).roc_auc
        }),
        bias: mean_of(&|row| scores[row] - truth[row]),
    }
}

/// Rows by rising value.
fn order_of(values: &[f64]) -> Vec<usize> {
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_unstable_by(|&a, &b| values[a].total_cmp(&values[b]).then(a.cmp(&b)));
    order
}

/// Ranks where each row counts as often as its weight says; equal values share the middle of theirs.
fn mid_ranks(values: &[f64], order: &[usize], weights: &[f64]) -> Vec<f64> {
    let mut ranks = vec![0.0; values.len()];
    let (mut begin, mut passed) = (0, 0.0);
    while begin < order.len() {
        let value = values[order[begin]];
        let end = begin + order[begin..].iter().take_while(|&&row| values[row] == value).count();
        let weight: f64 = order[begin..end].iter().map(|&row| weights[row]).sum();
        order[begin..end].iter().for_each(|&row| ranks[row] = passed + (weight + 1.0) / 2.0);
        passed += weight;
        begin = end;
    }
    ranks
}

/// Pearson's correlation under weights; `None` where one side does not vary.
fn correlation(a: &[f64], b: &[f64], weights: &[f64]) -> Option<f64> {
    let all: f64 = weights.iter().sum();
    let mean = |values: &[f64]| values.iter().zip(weights).map(|(v, w)| v * w).sum::<f64>() / all;
    let (of_a, of_b) = (mean(a), mean(b));
    let (mut ab, mut aa, mut bb) = (0.0, 0.0, 0.0);
    for ((a, b), w) in a.iter().zip(b).zip(weights) {
        ab += w * (a - of_a) * (b - of_b);
        aa += w * (a - of_a) * (a - of_a);
        bb += w * (b - of_b) * (b - of_b);
    }
    (aa > 0.0 && bb > 0.0).then(|| ab / (aa * bb).sqrt())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rank_correlation_agrees_with_scipy_and_a_weight_of_two_is_a_row_twice() {
        let (a, b) = ([100.0, 75.0, 100.0, 0.0, 25.0, 100.0], [80.0, 70.0, 70.0, 30.0, 45.0, 90.0]);
        let of = |a: &[f64], b: &[f64], w: &[f64]| {
            correlation(&mid_ranks(a, &order_of(a), w), &mid_ranks(b, &order_of(b), w), w).unwrap()
        };
        // scipy.stats.spearmanr(a, b).statistic
        assert!((of(&a, &b, &[1.0; 6]) - 0.893_259_60).abs() < 1e-8, "{}", of(&a, &b, &[1.0; 6]));
        let doubled =
            of(&[100.0, 75.0, 100.0, 0.0, 25.0, 100.0, 0.0], &[80.0, 70.0, 70.0, 30.0, 45.0, 90.0, 30.0], &[1.0; 7]);
        assert!((of(&a, &b, &[1.0, 1.0, 1.0, 2.0, 1.0, 1.0]) - doubled).abs() < 1e-12);
        assert_eq!(correlation(&[1.0, 1.0], &[1.0, 2.0], &[1.0, 1.0]), None);
    }

    #[test]
    fn the_test_learns_only_from_what_was_answered_before_it() {
        // One fact tells all; the answers of the newest training orders come after the cut, and are wrong on purpose.
        let mut matrix = Matrix::default();
        matrix.push("bad", (0..1_000).map(|i| f64::from(i % 2)).collect());
        let example = |row: usize| Example {
            row,
            delivered: row as i64,
            day: (row / 20) as i32,
            answered: if (600..750).contains(&row) { 5_000 } else { row as i64 },
            points: if (row % 2 == 1) == (600..750).contains(&row) { 100.0 } else { 0.0 },
        };
        let examples: Vec<Example> = (0..1_000).map(example).collect();
        let found = held_out(&matrix, &examples, &vec![None; 1_000]).unwrap().unwrap();
        assert_eq!((found.trained_on, found.tested_on, found.from), (600, 250, 750));
        assert_eq!(
            found.errors.iter().map(|e| e.predictor).collect::<Vec<_>>(),
            ["model", "mean", "late_only", "median"]
        );
        let model = &found.errors[0];
        assert_eq!((model.auc_low.value, model.rank_correlation.value.map(|r| r > 0.99)), (Some(1.0), Some(true)));
        assert!(model.mae.value.unwrap() < 10.0 && found.errors[1].mae.value == Some(50.0));
        assert!(held_out(&matrix, &examples[..200], &vec![None; 1_000]).unwrap().is_none());
    }
}
