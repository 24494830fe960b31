//! How sure a measured number is: percentile bootstrap over rows.
//!
//! Rows are sorted once; a replicate draws how often each rank counts and measures under those weights. Each replicate
//! has its own random stream, so the numbers do not depend on how many threads compute them.

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::metrics::{Ranked, Ranking, brier_of, log_loss_of, mean_loss};
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
    fn no_rows_have_no_estimate() {
        let none = estimate(&[], &[], None, 10, 50, 9);
        assert_eq!(none.roc_auc, Estimate::default());
    }
}
