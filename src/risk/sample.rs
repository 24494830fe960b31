//! Which rows a model is fitted on when there are more than it needs.

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// Most rows a fit uses.
///
/// linfa-logistic takes no row weights and its time grows with the rows, while with 1 % positives among so many rows
/// the coefficient of a standardised column has a standard error near 0.02. More rows cost time, fewer cost rare
/// patterns among negatives.
pub const MAX_ROWS: usize = 300_000;

/// Rows to fit on, and what their selection did to the odds.
#[derive(Debug, Clone, PartialEq)]
pub struct Sample {
    /// The chosen rows, in the order they came.
    pub rows: Vec<usize>,
    /// To be added to a fitted intercept so that scores mean the odds of all rows: `ln` of the share of negatives kept
    /// over the share of positives kept; 0 when nothing was left out.
    pub log_odds_shift: f64,
}

/// Thins `rows` (in time order) to at most `max_rows`.
///
/// Positives are kept whole up to half of it, negatives fill the rest. Thinning is even in time: of each of as many
/// stretches as rows are wanted, one is drawn.
pub fn thin(rows: &[usize], labels: &[bool], max_rows: usize, seed: u64) -> Sample {
    if rows.len() <= max_rows {
        return Sample { rows: rows.to_vec(), log_odds_shift: 0.0 };
    }
    let positions = |wanted: bool| -> Vec<usize> { (0..rows.len()).filter(|&at| labels[at] == wanted).collect() };
    let (positives, negatives) = (positions(true), positions(false));
    // Where negatives are the fewer, what they leave over goes to the positives.
    let keep_positives = positives.len().min((max_rows / 2).max(max_rows.saturating_sub(negatives.len())));
    let keep_negatives = negatives.len().min(max_rows - keep_positives);
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut kept = draw_evenly(&positives, keep_positives, &mut rng);
    kept.extend(draw_evenly(&negatives, keep_negatives, &mut rng));
    kept.sort_unstable();
    let share = |kept: usize, all: usize| if all == 0 { 1.0 } else { kept as f64 / all as f64 };
    let shift = share(keep_negatives, negatives.len()) / share(keep_positives, positives.len());
    Sample { rows: kept.into_iter().map(|at| rows[at]).collect(), log_odds_shift: shift.ln() }
}

/// At most `max_rows` of `rows`, evenly spaced.
pub fn every_nth(rows: &[usize], max_rows: usize) -> Vec<usize> {
    let wanted = rows.len().min(max_rows);
    (0..wanted).map(|i| rows[i * rows.len() / wanted]).collect()
}

fn draw_evenly(from: &[usize], wanted: usize, rng: &mut ChaCha8Rng) -> Vec<usize> {
    if wanted >= from.len() {
        return from.to_vec();
    }
    (0..wanted)
        .map(|i| {
            let (begin, end) = (i * from.len() / wanted, (i + 1) * from.len() / wanted);
            from[rng.random_range(begin..end)]
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_rows_are_all_used_and_the_odds_stay() {
        let sample = thin(&[4, 7, 9], &[true, false, false], 3, 1);
        assert_eq!(sample, Sample { rows: vec![4, 7, 9], log_odds_shift: 0.0 });
    }

    #[test]
    fn rare_positives_are_kept_and_negatives_thinned_evenly_in_time() {
        let rows: Vec<usize> = (0..10_000).collect();
        let labels: Vec<bool> = rows.iter().map(|row| row % 100 == 7).collect();
        let sample = thin(&rows, &labels, 1_000, 42);
        assert_eq!((sample.rows.len(), sample.rows.iter().filter(|row| **row % 100 == 7).count()), (1_000, 100));
        assert!((sample.log_odds_shift - (900.0_f64 / 9_900.0).ln()).abs() < 1e-12);
        let first_half = sample.rows.iter().filter(|row| **row < 5_000).count();
        assert!((499..=501).contains(&first_half), "{first_half}");
        assert_eq!(thin(&rows, &labels, 1_000, 42), sample);
    }

    #[test]
    fn frequent_positives_are_thinned_too() {
        let rows: Vec<usize> = (0..1_000).collect();
        let labels: Vec<bool> = rows.iter().map(|row| row % 4 != 0).collect();
        let sample = thin(&rows, &labels, 400, 7);
        let positives = sample.rows.iter().filter(|row| **row % 4 != 0).count();
        assert_eq!((positives, sample.rows.len() - positives), (200, 200));
        assert!((sample.log_odds_shift - ((200.0_f64 / 250.0) / (200.0 / 750.0)).ln()).abs() < 1e-12);
    }
}
