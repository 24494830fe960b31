//! How sure a measured number is: percentile bootstrap over rows, or over blocks of rows that belong together.
//!
//! Orders of one customer, or of one day, go wrong together: drawing them one by one would take them for more evidence than
//! they are. [`blocked`] draws whole blocks (the cluster bootstrap; Field and Welsh 2007).
//!
//! Rows are sorted once; a replicate draws how often each rank counts and measures under those weights. Each replicate
//! has its own random stream, so the numbers do not depend on how many threads compute them.

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::metrics::{Binning, Ranked, Ranking, bins_of, brier_of, log_loss_of, mean_loss};
use super::prepare::quantile;

/// A measured number with its 95 % percentile bootstrap interval.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Estimate {
    /// The number on the rows themselves; `None` when it is not defined on them, such as a recall without positives.
    pub value: Option<f64>,
    /// The 2.5 % point over replicates in which it is defined.
    pub lower: Option<f64>,
    /// The 97.5 % point.
    pub upper: Option<f64>,
}

/// All measures that have an interval.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Estimates {
    /// See [`Ranking::average_precision`].
    pub average_precision: Estimate,
    /// See [`Ranking::roc_auc`].
    pub roc_auc: Estimate,
    /// See [`Ranking::recall_at_fpr`].
    pub recall_at_fpr: Estimate,
    /// See [`Ranking::precision_at_k`].
    pub precision_at_k: Estimate,
    /// See [`Ranking::value_recall_at_k`].
    pub value_recall_at_k: Estimate,
    /// Mean squared error of the probabilities.
    pub brier: Estimate,
    /// Mean log loss of the probabilities.
    pub log_loss: Estimate,
}

/// One replicate: the ranking, Brier score and log loss.
type Replicate = (Ranking, f64, f64);

/// Measures `probabilities` against `labels`, with `replicates` bootstrap draws seeded by `seed`.
pub fn estimate(
    probabilities: &[f64],
    labels: &[bool],
    values: Option<&[f64]>,
    k: usize,
    replicates: u64,
    seed: u64,
) -> Estimates {
    let ranked = Ranked::new(probabilities, labels, values);
    let rows = ranked.rows();
    let losses: Vec<(f64, f64)> =
        probabilities.iter().zip(labels).map(|(&p, &y)| (brier_of(p, y), log_loss_of(p, y))).collect();
    let point =
        (ranked.measure(k), mean_loss(probabilities, labels, brier_of), mean_loss(probabilities, labels, log_loss_of));
    let draws: Vec<Replicate> = (0..if rows == 0 { 0 } else { replicates })
        .into_par_iter()
        .map(|stream| replicate(&ranked, &losses, k, seed, stream))
        .collect();
    let of = |pick: fn(&Replicate) -> Option<f64>| interval(pick(&point), draws.iter().filter_map(pick).collect());
    Estimates {
        average_precision: of(|r| r.0.average_precision),
        roc_auc: of(|r| r.0.roc_auc),
        recall_at_fpr: of(|r| r.0.recall_at_fpr),
        precision_at_k: of(|r| r.0.precision_at_k),
        value_recall_at_k: of(|r| r.0.value_recall_at_k),
        brier: of(|r| Some(r.1)),
        log_loss: of(|r| Some(r.2)),
    }
}

/// Draws as many rows as there are, with replacement. Ranks and losses are drawn apart: their intervals are stated one
/// by one, and rank `i` and row `i` are different rows.
fn replicate(ranked: &Ranked, losses: &[(f64, f64)], k: usize, seed: u64, stream: u64) -> Replicate {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    rng.set_stream(stream);
    let rows = losses.len();
    let mut counts = vec![0u32; rows];
    let (mut brier, mut log_loss) = (0.0, 0.0);
    for _ in 0..rows {
        let drawn = rng.random_range(0..rows);
        counts[drawn] += 1;
        brier += losses[drawn].0;
        log_loss += losses[drawn].1;
    }
    (ranked.measure_weighted(k, |rank| f64::from(counts[rank])), brier / rows as f64, log_loss / rows as f64)
}

/// Measures under which rows were drawn by blocks.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Blocked {
    /// Share of positives.
    pub base_rate: Estimate,
    /// See [`Ranking::average_precision`].
    pub average_precision: Estimate,
    /// See [`Ranking::roc_auc`].
    pub roc_auc: Estimate,
    /// See [`Ranking::recall_at_fpr`].
    pub recall_at_fpr: Estimate,
    /// Mean squared error of the probabilities.
    pub brier: Estimate,
    /// Expected calibration error over 10 bins of equal mass. Its interval is the basic bootstrap's, mirrored at the
    /// value, since resampling biases this measure upward by as much as chance biases the value itself; in a small segment
    /// chance can be most of it, and the value is its own upper end.
    pub calibration_error: Estimate,
}

/// Measures `probabilities` against `labels`, drawing blocks: `blocks` has one number a row, equal for rows that belong
/// together, from 0 without holes.
pub fn blocked(probabilities: &[f64], labels: &[bool], blocks: &[u32], replicates: u64, seed: u64) -> Blocked {
    let ranked = Ranked::new(probabilities, labels, None);
    let bins = bins_of(probabilities, 10, Binning::EqualMass);
    let number = blocks.iter().max().map_or(0, |most| *most as usize + 1);
    let measure = |weights: &[f64]| {
        let weight = |row: usize| weights[blocks[row] as usize];
        let ranking = ranked.measure_weighted(1, |rank| weight(ranked.row(rank)));
        let (mut all, mut positives, mut brier, mut error) = (0.0, 0.0, 0.0, 0.0);
        let mut sums = vec![0.0; bins.iter().max().map_or(0, |most| most + 1)];
        for (row, (&p, &label)) in probabilities.iter().zip(labels).enumerate() {
            let w = weight(row);
            all += w;
            positives += w * f64::from(u8::from(label));
            brier += w * brier_of(p, label);
            sums[bins[row]] += w * (p - f64::from(u8::from(label)));
        }
        for sum in sums {
            error += f64::abs(sum);
        }
        let mean = |sum: f64| (all > 0.0).then(|| sum / all);
        (ranking, mean(positives), mean(brier), mean(error))
    };
    type Measured = (Ranking, Option<f64>, Option<f64>, Option<f64>);
    let point = measure(&vec![1.0; number]);
    let draws: Vec<Measured> = (0..if number == 0 { 0 } else { replicates })
        .into_par_iter()
        .map(|stream| measure(&draw(number, seed, stream)))
        .collect();
    let of = |pick: fn(&Measured) -> Option<f64>| interval(pick(&point), draws.iter().filter_map(pick).collect());
    let error = of(|m| m.3);
    let mirrored = |end: Option<f64>, least: f64| Some((2.0 * error.value? - end?).max(least));
    Blocked {
        base_rate: of(|m| m.1),
        average_precision: of(|m| m.0.average_precision),
        roc_auc: of(|m| m.0.roc_auc),
        recall_at_fpr: of(|m| m.0.recall_at_fpr),
        brier: of(|m| m.2),
        calibration_error: Estimate {
            lower: mirrored(error.upper, 0.0),
            upper: mirrored(error.lower, error.value.unwrap_or(0.0)),
            ..error
        },
    }
}

/// A number made of days, such as a mean over them or a share of sums, drawing days.
pub fn over_days<T: Sync>(
    days: &[T],
    replicates: u64,
    seed: u64,
    measure: impl Fn(&mut dyn Iterator<Item = (f64, &T)>) -> Option<f64> + Sync,
) -> Estimate {
    let value = measure(&mut days.iter().map(|day| (1.0, day)));
    let draws = (0..if days.is_empty() { 0 } else { replicates }).into_par_iter().filter_map(|stream| {
        let weights = draw(days.len(), seed, stream);
        measure(&mut weights.into_iter().zip(days))
    });
    interval(value, draws.collect())
}

/// How often each of `number` blocks is drawn when as many are drawn with replacement.
fn draw(number: usize, seed: u64, stream: u64) -> Vec<f64> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    rng.set_stream(stream);
    let mut weights = vec![0.0; number];
    for _ in 0..number {
        weights[rng.random_range(0..number)] += 1.0;
    }
    weights
}

fn interval(value: Option<f64>, mut draws: Vec<f64>) -> Estimate {
    draws.sort_unstable_by(f64::total_cmp);
    let end = |share: f64| (value.is_some() && !draws.is_empty()).then(|| quantile(&draws, share));
    Estimate { value, lower: end(0.025), upper: end(0.975) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scores(rows: usize) -> (Vec<f64>, Vec<bool>) {
        let mut rng = ChaCha8Rng::seed_from_u64(5);
        (0..rows)
            .map(|_| {
                let p: f64 = rng.random();
                (p, rng.random::<f64>() < p)
            })
            .unzip()
    }

    #[test]
    fn the_interval_of_a_mean_has_the_width_theory_gives() {
        let (p, y) = scores(4_000);
        let found = estimate(&p, &y, None, 40, 400, 1).brier;
        let losses: Vec<f64> = p.iter().zip(&y).map(|(&p, &y)| brier_of(p, y)).collect();
        let mean = losses.iter().sum::<f64>() / 4_000.0;
        let deviation = (losses.iter().map(|l| (l - mean).powi(2)).sum::<f64>() / 4_000.0).sqrt();
        let expected = 2.0 * 1.96 * deviation / 4_000f64.sqrt();
        let width = found.upper.unwrap() - found.lower.unwrap();
        assert!((width / expected - 1.0).abs() < 0.15, "{width} where {expected} was expected");
        assert!(found.lower.unwrap() < mean && mean < found.upper.unwrap());
    }

    #[test]
    fn the_same_seed_gives_the_same_interval_and_another_seed_another() {
        let (p, y) = scores(300);
        assert_eq!(estimate(&p, &y, None, 10, 50, 9), estimate(&p, &y, None, 10, 50, 9));
        assert_ne!(estimate(&p, &y, None, 10, 50, 9).roc_auc, estimate(&p, &y, None, 10, 50, 10).roc_auc);
    }

    #[test]
    fn blocks_of_equal_rows_are_one_row_each_and_widen_the_interval() {
        let (p, y) = scores(400);
        let alone: Vec<u32> = (0..400).collect();
        let (p_5, y_5): (Vec<f64>, Vec<bool>) = p.iter().zip(&y).flat_map(|(&p, &y)| [(p, y); 5]).unzip();
        let fives: Vec<u32> = (0..2_000).map(|row| row / 5).collect();
        let (once, repeated) = (blocked(&p, &y, &alone, 60, 3), blocked(&p_5, &y_5, &fives, 60, 3));
        let near = |a: Option<f64>, b: Option<f64>| assert!((a.unwrap() - b.unwrap()).abs() < 1e-9, "{a:?} {b:?}");
        for (a, b) in [(once.brier, repeated.brier), (once.roc_auc, repeated.roc_auc)] {
            near(a.value, b.value);
            near(a.lower, b.lower);
            near(a.upper, b.upper);
        }
        let rows: Vec<u32> = (0..2_000).collect();
        let width = |found: Blocked| found.brier.upper.unwrap() - found.brier.lower.unwrap();
        assert!(width(repeated) > 1.7 * width(blocked(&p_5, &y_5, &rows, 60, 3)));
    }

    #[test]
    fn a_mean_over_days_lies_within_its_interval_and_equal_days_have_none() {
        let mean = |days: &mut dyn Iterator<Item = (f64, &f64)>| {
            let (sum, weight) = days.fold((0.0, 0.0), |(sum, all), (w, day)| (sum + w * day, all + w));
            (weight > 0.0).then(|| sum / weight)
        };
        let found = over_days(&[0.2, 0.4, 0.3, 0.5, 0.1], 200, 1, mean);
        assert!((found.value.unwrap() - 0.3).abs() < 1e-12);
        assert!(found.lower.unwrap() < 0.3 && 0.3 < found.upper.unwrap());
        let flat = over_days(&[0.5; 4], 50, 1, mean);
        assert_eq!((flat.lower, flat.upper), (Some(0.5), Some(0.5)));
        assert_eq!(over_days(&[], 50, 1, mean), Estimate::default());
    }

    #[test]
    fn no_rows_have_no_estimate() {
        let none = estimate(&[], &[], None, 10, 50, 9);
        assert_eq!(none.roc_auc, Estimate::default());
    }
}
