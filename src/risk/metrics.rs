//! How good scores are, in `f64`, with ties treated as ties: no number depends on the order of rows.
//!
//! Written here because linfa's ROC AUC is wrong with ties and sums in `f32`. The tests hold scikit-learn's numbers.

use serde::{Deserialize, Serialize};

use super::prepare::quantile;

/// False-positive rate at which recall is reported.
pub const FALSE_POSITIVE_RATE: f64 = 0.01;

/// Rows sorted by falling score, ready to be measured under any weights.
#[derive(Debug, Clone)]
pub struct Ranked {
    /// Rows in rank order.
    order: Vec<usize>,
    /// Outcomes in rank order.
    labels: Vec<bool>,
    /// What each row is worth, in rank order; 1 where no values were given.
    values: Vec<f64>,
    /// One past the last row of each group of equal scores.
    group_ends: Vec<usize>,
}

/// Measures of ranking; `None` where one of the outcomes (or any value) is absent.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Ranking {
    /// Area under the precision-recall steps: sum of precision × gain in recall over distinct scores.
    pub average_precision: Option<f64>,
    /// Chance that a positive scores above a negative, ties counting half.
    pub roc_auc: Option<f64>,
    /// Largest share of positives reached with at most [`FALSE_POSITIVE_RATE`] of negatives, at a threshold on the
    /// score.
    pub recall_at_fpr: Option<f64>,
    /// Share of positives among the `k` top rows; of a tied group at the edge, its expected share.
    pub precision_at_k: Option<f64>,
    /// Share of the positives' value that stands in the `k` top rows.
    pub value_recall_at_k: Option<f64>,
}

impl Ranked {
    /// Sorts rows by falling score; `values` (one a row, not negative) is what finding a positive row is worth.
    pub fn new(scores: &[f64], labels: &[bool], values: Option<&[f64]>) -> Self {
        let mut order: Vec<usize> = (0..scores.len().min(labels.len())).collect();
        order.sort_by(|&a, &b| scores[b].total_cmp(&scores[a]));
        let mut group_ends: Vec<usize> =
            (1..order.len()).filter(|&at| scores[order[at]] < scores[order[at - 1]]).collect();
        group_ends.extend((!order.is_empty()).then_some(order.len()));
        Self {
            labels: order.iter().map(|&row| labels[row]).collect(),
            values: order.iter().map(|&row| values.map_or(1.0, |values| values[row])).collect(),
            group_ends,
            order,
        }
    }

    /// The row at a rank.
    pub fn row(&self, rank: usize) -> usize {
        self.order[rank]
    }

    /// Number of rows.
    pub fn rows(&self) -> usize {
        self.labels.len()
    }

    /// All measures with every row counted once; `k` is the number of rows that can be looked at.
    pub fn measure(&self, k: usize) -> Ranking {
        self.measure_weighted(k, |_| 1.0)
    }

    /// All measures with each row, by rank, counted `weight` times.
    pub fn measure_weighted(&self, k: usize, weight: impl Fn(usize) -> f64) -> Ranking {
        let (mut positives, mut negatives, mut value) = (0.0, 0.0, 0.0);
        for (rank, &label) in self.labels.iter().enumerate() {
            let w = weight(rank);
            if label {
                positives += w;
                value += w * self.values[rank];
            } else {
                negatives += w;
            }
        }
        let budget = (k as f64).min(positives + negatives);
        let (mut hits, mut misses, mut found_in_budget, mut value_in_budget) = (0.0, 0.0, 0.0, 0.0);
        let (mut precision_sum, mut area, mut best_recall) = (0.0, 0.0, 0.0);
        let mut begin = 0;
        for &end in &self.group_ends {
            let (mut p, mut n, mut v) = (0.0, 0.0, 0.0);
            for rank in begin..end {
                let w = weight(rank);
                if self.labels[rank] {
                    p += w;
                    v += w * self.values[rank];
                } else {
                    n += w;
                }
            }
            begin = end;
            if p + n == 0.0 {
                continue;
            }
            let taken = (budget - hits - misses).clamp(0.0, p + n) / (p + n);
            found_in_budget += taken * p;
            value_in_budget += taken * v;
            area += n * (hits + 0.5 * p);
            hits += p;
            misses += n;
            precision_sum += p * hits / (hits + misses);
            if misses <= FALSE_POSITIVE_RATE * negatives {
                best_recall = hits;
            }
        }
        let over = |numerator: f64, denominator: f64| (denominator > 0.0).then(|| numerator / denominator);
        let both = positives > 0.0 && negatives > 0.0;
        Ranking {
            average_precision: over(precision_sum, positives),
            roc_auc: over(area, positives * negatives),
            recall_at_fpr: over(best_recall, positives).filter(|_| both),
            precision_at_k: over(found_in_budget, budget),
            value_recall_at_k: over(value_in_budget, value),
        }
    }
}

/// Squared error of one probability: the Brier score is its mean.
pub fn brier_of(probability: f64, label: bool) -> f64 {
    let miss = probability - f64::from(u8::from(label));
    miss * miss
}

/// Log loss of one probability, which is held away from 0 and 1 by the machine epsilon, as scikit-learn does.
pub fn log_loss_of(probability: f64, label: bool) -> f64 {
    let p = probability.clamp(f64::EPSILON, 1.0 - f64::EPSILON);
    if label { -p.ln() } else { -(1.0 - p).ln() }
}

/// Mean of a loss over rows; 0 for none.
pub fn mean_loss(probabilities: &[f64], labels: &[bool], loss: fn(f64, bool) -> f64) -> f64 {
    let sum: f64 = probabilities.iter().zip(labels).map(|(&p, &label)| loss(p, label)).sum();
    if labels.is_empty() { 0.0 } else { sum / labels.len() as f64 }
}

/// How probabilities are put into bins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Binning {
    /// Bins of equal width over `[0, 1]`.
    EqualWidth,
    /// Bins between quantiles of the probabilities; equal probabilities share a bin, so there may be fewer.
    EqualMass,
}

/// One bin of a reliability diagram.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ReliabilityBin {
    /// Rows in the bin, at least 1.
    pub rows: usize,
    /// Mean predicted probability.
    pub predicted: f64,
    /// Share of positives.
    pub observed: f64,
}

/// The reliability diagram: bins with rows, by rising probability. A probability on an edge belongs to the lower bin.
pub fn reliability(probabilities: &[f64], labels: &[bool], bins: usize, binning: Binning) -> Vec<ReliabilityBin> {
    let bins = bins.max(1);
    let of = bins_of(probabilities, bins, binning);
    let mut sums = vec![(0usize, 0.0, 0usize); bins];
    for ((&p, &label), &bin) in probabilities.iter().zip(labels).zip(&of) {
        let bin = &mut sums[bin];
        bin.0 += 1;
        bin.1 += p;
        bin.2 += usize::from(label);
    }
    let filled = sums.into_iter().filter(|bin| bin.0 > 0);
    filled
        .map(|(rows, predicted, positives)| {
            let n = rows as f64;
            ReliabilityBin { rows, predicted: predicted / n, observed: positives as f64 / n }
        })
        .collect()
}

/// The bin of each probability, from 0. One on an edge belongs to the lower bin.
pub fn bins_of(probabilities: &[f64], bins: usize, binning: Binning) -> Vec<usize> {
    let bins = bins.max(1);
    let inner = 1..bins;
    let step = 1.0 / bins as f64;
    let edges: Vec<f64> = match binning {
        Binning::EqualWidth => inner.map(|i| i as f64 * step).collect(),
        Binning::EqualMass => {
            let mut sorted = probabilities.to_vec();
            sorted.sort_unstable_by(f64::total_cmp);
            inner.map(|i| quantile(&sorted, i as f64 * step)).collect()
        }
    };
    probabilities.iter().map(|&p| edges.partition_point(|&edge| edge < p)).collect()
}

/// Expected calibration error: mean distance of predicted and observed over the bins, weighted by rows; 0 for no rows.
pub fn calibration_error(bins: &[ReliabilityBin]) -> f64 {
    let rows: usize = bins.iter().map(|bin| bin.rows).sum();
    let sum: f64 = bins.iter().map(|bin| bin.rows as f64 * (bin.predicted - bin.observed).abs()).sum();
    if rows == 0 { 0.0 } else { sum / rows as f64 }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Ties, both extremes and a positive near the bottom.
    const SCORES: [f64; 20] =
        [0.0, 1.0, 0.9, 0.9, 0.9, 0.5, 0.5, 0.5, 0.5, 0.2, 0.2, 0.7, 0.05, 0.05, 0.05, 0.05, 0.3, 0.3, 0.8, 1e-9];
    const LABELS: [u8; 20] = [0, 1, 1, 0, 1, 0, 1, 0, 0, 1, 0, 0, 0, 0, 0, 1, 0, 0, 1, 0];

    fn labels() -> Vec<bool> {
        LABELS.iter().map(|&label| label == 1).collect()
    }

    fn close(found: f64, expected: f64) {
        assert!((found - expected).abs() < 1e-12, "{found} is not {expected}");
    }

    #[test]
    fn ranking_measures_agree_with_scikit_learn() {
        let ranking = Ranked::new(&SCORES, &labels(), None).measure(4);
        // sklearn.metrics: average_precision_score(y, s), roc_auc_score(y, s), max of tpr where fpr <= 0.01 in
        // roc_curve(y, s)
        close(ranking.average_precision.unwrap(), 0.659_637_188_208_616_7);
        close(ranking.roc_auc.unwrap(), 0.752_747_252_747_252_7);
        close(ranking.recall_at_fpr.unwrap(), 0.142_857_142_857_142_85);
        // By hand: the top score is a hit, then three tied rows hold two.
        close(ranking.precision_at_k.unwrap(), 3.0 / 4.0);
        close(ranking.value_recall_at_k.unwrap(), 3.0 / 7.0);
    }

    #[test]
    fn extremes_agree_with_scikit_learn() {
        // (average precision, ROC AUC, recall at 1 % false positives, Brier, log loss): tests/reference/metrics.py
        let even = [0.35; 20];
        let sorted = [0.0, 0.1, 0.2, 0.9, 1.0];
        let cases: [(&[f64], Vec<bool>, [f64; 5]); 3] = [
            (&even, labels(), [0.35, 0.5, 0.0, 0.2275, 0.647_446_639_034_632_4]),
            (&sorted, vec![false, false, false, true, true], [1.0, 1.0, 1.0, 0.012, 0.086_772_916_525_972_55]),
            (&sorted, vec![true, true, false, false, false], [0.325, 0.0, 0.0, 0.732, 15.383_124_103_107_32]),
        ];
        for (scores, labels, [average_precision, auc, recall, brier, loss]) in cases {
            let ranking = Ranked::new(scores, &labels, None).measure(1);
            close(ranking.average_precision.unwrap(), average_precision);
            close(ranking.roc_auc.unwrap(), auc);
            close(ranking.recall_at_fpr.unwrap(), recall);
            close(mean_loss(scores, &labels, brier_of), brier);
            close(mean_loss(scores, &labels, log_loss_of), loss);
        }
    }

    #[test]
    fn losses_agree_with_scikit_learn() {
        // sklearn.metrics: brier_score_loss(y, s), log_loss(y, s), log_loss([1, 0], [0.0, 1.0])
        close(mean_loss(&SCORES, &labels(), brier_of), 0.206_5);
        close(mean_loss(&SCORES, &labels(), log_loss_of), 0.620_427_735_576_602);
        close(mean_loss(&[0.0, 1.0], &[true, false], log_loss_of), 36.043_653_389_117_15);
    }

    #[test]
    fn calibration_bins_agree_with_scikit_learn() {
        // sklearn.calibration.calibration_curve(y, s, n_bins=bins, strategy=...), weighted by the rows of each bin
        let cases = [
            (Binning::EqualWidth, 5, 0.209_999_999_949_999_96, vec![8, 2, 4, 2, 4]),
            (Binning::EqualWidth, 10, 0.229_999_999_949_999_98, vec![6, 2, 2, 4, 1, 1, 3, 1]),
            (Binning::EqualMass, 5, 0.209_999_999_949_999_96, vec![6, 2, 6, 2, 4]),
            (Binning::EqualMass, 10, 0.210_000_000_050_000_02, vec![2, 4, 2, 2, 4, 2, 3, 1]),
        ];
        for (binning, bins, error, rows) in cases {
            let curve = reliability(&SCORES, &labels(), bins, binning);
            close(calibration_error(&curve), error);
            assert_eq!(curve.iter().map(|bin| bin.rows).collect::<Vec<_>>(), rows, "{binning:?} {bins}");
        }
    }

    #[test]
    fn the_order_of_rows_changes_nothing() {
        let reversed: Vec<f64> = SCORES.iter().rev().copied().collect();
        let reversed_labels: Vec<bool> = labels().into_iter().rev().collect();
        assert_eq!(
            Ranked::new(&reversed, &reversed_labels, None).measure(3),
            Ranked::new(&SCORES, &labels(), None).measure(3)
        );
    }

    #[test]
    fn weights_mean_repeated_rows() {
        let weights: Vec<usize> = (0..20).map(|rank| rank % 3).collect();
        let ranked = Ranked::new(&SCORES, &labels(), None);
        let mut order: Vec<usize> = (0..20).collect();
        order.sort_by(|&a, &b| SCORES[b].total_cmp(&SCORES[a]));
        let repeated: Vec<usize> = (0..20).flat_map(|rank| vec![order[rank]; weights[rank]]).collect();
        let scores: Vec<f64> = repeated.iter().map(|&row| SCORES[row]).collect();
        let again: Vec<bool> = repeated.iter().map(|&row| labels()[row]).collect();
        assert_eq!(
            ranked.measure_weighted(5, |rank| weights[rank] as f64),
            Ranked::new(&scores, &again, None).measure(5)
        );
    }

    #[test]
    fn value_recall_counts_what_positives_are_worth_and_one_outcome_alone_has_no_ranking() {
        let ranked = Ranked::new(&[0.9, 0.8, 0.1], &[true, false, true], Some(&[30.0, 500.0, 10.0]));
        close(ranked.measure(1).value_recall_at_k.unwrap(), 0.75);
        let negatives = Ranked::new(&[0.9, 0.8], &[false, false], None).measure(1);
        assert_eq!((negatives.average_precision, negatives.roc_auc, negatives.recall_at_fpr), (None, None, None));
        assert_eq!(Ranked::new(&[], &[], None).measure(5).precision_at_k, None);
    }
}
