//! Isotonic regression: the rising steps that lie closest to what was observed.
//!
//! Pool adjacent violators (Ayer and others 1955; Barlow and others 1972): scores in rising order, ties first made one,
//! then neighbours pooled as long as the share of positives falls. It assumes nothing about the shape but that a higher
//! score is not a lower risk, and so needs more rows than two parameters do.

use serde::{Deserialize, Serialize};

use super::calibrate::Platt;

/// Share of the probability that comes from the Platt line beneath.
///
/// Steps give many scores one probability, which would throw away their ranking, and give the lowest a probability of 0,
/// whose log-odds cannot be explained. A fiftieth keeps scores apart and moves no probability by more than 0.02.
const PLATT_SHARE: f64 = 0.02;

/// A rising curve through points, on a Platt line that keeps scores apart.
///
/// Between two points the curve is a straight line in the raw score, as in scikit-learn; outside it is level. (Steps
/// would put the jump at an arbitrary place between two scores that were seen.)
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Isotonic {
    /// Raw scores of the points, strictly rising.
    raw: Vec<f64>,
    /// Share of positives at each point, never falling.
    share: Vec<f64>,
    /// The line that orders what the curve holds level.
    platt: Platt,
}

/// A block of pooled rows.
#[derive(Debug, Clone, Copy)]
struct Block {
    first: f64,
    last: f64,
    rows: f64,
    positives: f64,
}

impl Block {
    fn share(&self) -> f64 {
        self.positives / self.rows
    }
}

impl Isotonic {
    /// Fits to the raw scores and outcomes of a slice the scorer has not seen; `platt` is the line fitted to the same.
    ///
    /// `None` without rows or with a score that is not finite.
    pub fn fit(raw: &[f64], labels: &[bool], platt: Platt) -> Option<Self> {
        if raw.is_empty() || raw.iter().any(|raw| !raw.is_finite()) {
            return None;
        }
        let blocks = pool(raw, labels);
        let ends = |block: &Block| [(block.first, block.share()), (block.last, block.share())];
        let mut points: Vec<(f64, f64)> = blocks.iter().flat_map(ends).collect();
        points.dedup_by(|next, kept| next.0 == kept.0);
        let (raw, share) = points.into_iter().unzip();
        Some(Self { raw, share, platt })
    }

    /// The share of positives that the curve has at a raw score, without the Platt line.
    pub fn share(&self, raw: f64) -> f64 {
        let above = self.raw.partition_point(|&point| point <= raw);
        let (Some(&next), Some(&next_share)) = (self.raw.get(above), self.share.get(above)) else {
            return self.share.last().copied().unwrap_or(0.0);
        };
        let Some(below) = above.checked_sub(1) else { return next_share };
        let (point, share) = (self.raw[below], self.share[below]);
        share + (next_share - share) * ((raw - point) / (next - point))
    }

    /// The calibrated probability of a raw score.
    pub fn probability(&self, raw: f64) -> f64 {
        PLATT_SHARE.mul_add(self.platt.probability(raw), (1.0 - PLATT_SHARE) * self.share(raw))
    }

    /// The Platt line beneath.
    pub fn platt(&self) -> Platt {
        self.platt
    }

    /// Whether the points can be a fit; a file that was tampered with may hold others.
    pub fn is_coherent(&self) -> bool {
        let share_is_fine = |share: &f64| (0.0..=1.0).contains(share);
        !self.raw.is_empty()
            && self.raw.len() == self.share.len()
            && self.raw.iter().all(|raw| raw.is_finite())
            && self.share.iter().all(share_is_fine)
            && self.raw.windows(2).all(|pair| pair[0] < pair[1])
            && self.share.windows(2).all(|pair| pair[0] <= pair[1])
    }
}

/// Pools ties, then neighbours that fall.
fn pool(raw: &[f64], labels: &[bool]) -> Vec<Block> {
    let mut order: Vec<usize> = (0..raw.len().min(labels.len())).collect();
    order.sort_by(|&a, &b| raw[a].total_cmp(&raw[b]));
    let mut blocks: Vec<Block> = Vec::new();
    let mut at = 0;
    while at < order.len() {
        let score = raw[order[at]];
        let mut block = Block { first: score, last: score, rows: 0.0, positives: 0.0 };
        while at < order.len() && raw[order[at]] == score {
            block.rows += 1.0;
            block.positives += f64::from(u8::from(labels[order[at]]));
            at += 1;
        }
        while let Some(before) = blocks.pop_if(|before| before.share() >= block.share()) {
            block.first = before.first;
            block.rows += before.rows;
            block.positives += before.positives;
        }
        blocks.push(block);
    }
    blocks
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINE: Platt = Platt { slope: 1.0, offset: 0.0 };

    /// Ties, a run that falls, and both extremes.
    const RAW: [f64; 16] = [-3.0, -2.5, -2.5, -2.0, -1.5, -1.0, -1.0, -1.0, -0.5, 0.0, 0.25, 0.5, 1.0, 1.0, 2.0, 3.0];
    const LABELS: [u8; 16] = [0, 0, 1, 0, 0, 0, 1, 0, 1, 0, 1, 0, 1, 1, 0, 1];

    /// Raw scores and scikit-learn's prediction there.
    const EXPECTED: [(f64, f64); 14] = [
        (-9.0, 0.0),
        (-3.0, 0.0),
        (-2.75, 0.125),
        (-2.5, 0.25),
        (-1.2, 0.3),
        (-0.75, 0.416_666_666_666_666_63),
        (-0.5, 0.5),
        (-0.1, 0.5),
        (0.3, 0.5),
        (0.75, 0.583_333_333_333_333_3),
        (1.0, 0.666_666_666_666_666_6),
        (1.7, 0.666_666_666_666_666_6),
        (2.6, 0.866_666_666_666_666_7),
        (9.0, 1.0),
    ];

    fn labels() -> Vec<bool> {
        LABELS.iter().map(|&label| label == 1).collect()
    }

    #[test]
    fn the_curve_agrees_with_scikit_learn() {
        let curve = Isotonic::fit(&RAW, &labels(), LINE).unwrap();
        // IsotonicRegression(out_of_bounds="clip").fit(raw, y).predict(at): tests/reference/metrics.py
        for (at, expected) in EXPECTED {
            let found = curve.share(at);
            assert!((found - expected).abs() < 1e-12, "{found} at {at} is not {expected}");
        }
        assert!(curve.is_coherent());
    }

    #[test]
    fn higher_scores_keep_higher_probabilities_within_a_step_and_beyond_the_ends() {
        let curve = Isotonic::fit(&RAW, &labels(), LINE).unwrap();
        let p: Vec<f64> = (-80..80).map(|at| curve.probability(f64::from(at) * 0.1)).collect();
        assert!(p.windows(2).all(|pair| pair[0] < pair[1]) && p[0] > 0.0 && p[159] < 1.0, "{p:?}");
    }

    #[test]
    fn the_order_of_rows_changes_nothing_and_a_score_that_is_no_number_is_refused() {
        let turned: Vec<f64> = RAW.iter().rev().copied().collect();
        let turned_labels: Vec<bool> = labels().into_iter().rev().collect();
        assert_eq!(Isotonic::fit(&turned, &turned_labels, LINE), Isotonic::fit(&RAW, &labels(), LINE));
        assert_eq!(Isotonic::fit(&[0.0, f64::NAN], &[true, false], LINE), None);
        assert_eq!(Isotonic::fit(&[], &[], LINE), None);
    }
}
