//! The satisfaction index: a weighted mean of factors by segment and period, with small segments drawn toward the whole.
//!
//! What is counted are integers per segment and period ([`Cell`]), so that parts merge in any order; everything else is made
//! from them at the end:
//!
//! - A factor of the whole is its mean `m` over the orders that have it.
//! - A factor of a segment is `μ + B (m − μ)` with `μ` the whole's in the same period, `B = τ² / (τ² + σ²/n)`: the normal
//!   empirical-Bayes estimate (Efron and Morris 1975). `σ²` is the variance of single orders within segments, `τ²` that of
//!   the segments' true means, both by the method of moments over the segments of the whole time (unbalanced one-way analysis
//!   of variance; Searle, Casella and McCulloch 1992, 3.6). A segment without an order that has the factor is `μ`.
//! - The index is the mean of factors by their weights. A factor that the whole of the period does not have is left out and
//!   the other weights are scaled up.
//! - Intervals are normal, 95 %, from the posterior variance of the factors, with what factors of one order have in common
//!   counted in; they know nothing of days on which many orders went wrong together.

use super::factors::{FACTORS, Points};
use crate::types::interval::Z95;

/// Number of factors.
pub const K: usize = FACTORS.len();
/// Pairs of factors, a factor with itself included.
const PAIRS: usize = K * (K + 1) / 2;

/// Place of a pair of factors, `a <= b`.
const fn pair(a: usize, b: usize) -> usize {
    a * (2 * K - a + 1) / 2 + b - a
}

/// Counts of one segment in one period. They add up over any parts in any order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cell {
    /// Orders with both factors of each pair.
    both: [u32; PAIRS],
    /// Sum of whole points of each factor.
    sums: [i64; K],
    /// Orders with any factor.
    any: u32,
}

impl Default for Cell {
    fn default() -> Self {
        Self { both: [0; PAIRS], sums: [0; K], any: 0 }
    }
}

impl Cell {
    /// Counts an order.
    pub fn add(&mut self, points: &Points) {
        self.any += u32::from(points.iter().any(Option::is_some));
        for a in 0..K {
            let Some(first) = points[a] else { continue };
            self.sums[a] += i64::from(first);
            for (b, second) in points.iter().enumerate().skip(a) {
                self.both[pair(a, b)] += u32::from(second.is_some());
            }
        }
    }

    /// Adds another part.
    pub fn merge(&mut self, other: &Self) {
        self.both.iter_mut().zip(&other.both).for_each(|(a, b)| *a += b);
        self.sums.iter_mut().zip(&other.sums).for_each(|(a, b)| *a += b);
        self.any += other.any;
    }

    /// Orders with any factor.
    pub fn orders(&self) -> i64 {
        i64::from(self.any)
    }

    /// Orders that have a factor.
    pub fn count(&self, factor: usize) -> i64 {
        i64::from(self.both[pair(factor, factor)])
    }

    /// Sum of its whole points over them.
    pub fn sum(&self, factor: usize) -> i64 {
        self.sums[factor]
    }

    fn mean(&self, factor: usize) -> Option<f64> {
        (self.count(factor) > 0).then(|| self.sum(factor) as f64 / self.count(factor) as f64)
    }
}

/// Sums of squares and products over all orders: how factors vary, and vary together. Integers, so that parts merge.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Spread {
    products: [i64; PAIRS],
    /// Sum of factor `a` over the orders that have `b` too.
    sums: [[i64; K]; K],
    both: [i64; PAIRS],
}

impl Spread {
    /// Counts an order.
    pub fn add(&mut self, points: &Points) {
        for a in 0..K {
            let Some(first) = points[a].map(i64::from) else { continue };
            for (b, second) in points.iter().enumerate() {
                let Some(second) = second.map(i64::from) else { continue };
                self.sums[a][b] += first;
                if a <= b {
                    self.products[pair(a, b)] += first * second;
                    self.both[pair(a, b)] += 1;
                }
            }
        }
    }

    /// Covariance of two factors over the orders that have both; 0 with fewer than two of them.
    fn covariance(&self, a: usize, b: usize) -> f64 {
        let (a, b) = (a.min(b), a.max(b));
        let n = self.both[pair(a, b)];
        if n < 2 {
            return 0.0;
        }
        // n Σxy − Σx Σy in integers: no digits are lost where all orders are nearly alike.
        let n128 = i128::from(n);
        let above =
            n128 * i128::from(self.products[pair(a, b)]) - i128::from(self.sums[a][b]) * i128::from(self.sums[b][a]);
        above as f64 / (n as f64 * (n - 1) as f64)
    }

    /// Sum of squared points of a factor.
    fn squares(&self, factor: usize) -> f64 {
        self.products[pair(factor, factor)] as f64
    }
}

/// How a factor varies within segments and between them.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Variance {
    /// Variance of single orders within a segment.
    pub within: f64,
    /// Variance of the true means of segments; 0 where they differ no more than chance would have it.
    pub between: f64,
}

/// Estimates the variances of a factor from the segments of the whole time, which share all its orders.
///
/// With fewer than two segments there is no between, and no segment to draw anywhere.
pub fn variance<'a>(factor: usize, segments: impl Iterator<Item = &'a Cell> + Clone, spread: &Spread) -> Variance {
    let filled = || segments.clone().filter(|cell| cell.count(factor) > 0);
    let (mut groups, mut n, mut sum, mut squares, mut of_means) = (0.0, 0.0, 0.0, 0.0, 0.0);
    for cell in filled() {
        let (count, total) = (cell.count(factor) as f64, cell.sum(factor) as f64);
        groups += 1.0;
        n += count;
        sum += total;
        squares += count * count;
        of_means += total * total / count;
    }
    if n <= groups {
        return Variance { within: spread.covariance(factor, factor), between: 0.0 };
    }
    let within = ((spread.squares(factor) - of_means) / (n - groups)).max(0.0);
    let scale = n - squares / n;
    let between = if groups < 2.0 || scale <= 0.0 {
        0.0
    } else {
        ((of_means - sum * sum / n - (groups - 1.0) * within) / scale).max(0.0)
    };
    Variance { within, between }
}

/// An estimate with its interval, in points.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Scored {
    /// 0 to 100.
    pub value: f64,
    /// Lower end of the 95 % interval.
    pub lower: f64,
    /// Upper end of it.
    pub upper: f64,
}

impl Scored {
    fn new(value: f64, variance: f64) -> Self {
        let half = Z95 * variance.max(0.0).sqrt();
        Self {
            value,
            lower: (value - half).clamp(0.0, value),
            upper: (value + half).clamp(value, 100.0_f64.max(value)),
        }
    }
}

/// The factors and the index of one segment in one period.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Index {
    /// Each factor; `None` where the whole of the period has no order with it.
    pub factors: [Option<Scored>; K],
    /// Their mean by weight; `None` where no factor with a weight is there.
    pub index: Option<Scored>,
}

/// Factors and index of `cell` in the period of `whole`.
///
/// `variances` of the segment's kind; `None` for the whole itself, which is not drawn anywhere.
pub fn index(
    cell: &Cell,
    whole: &Cell,
    variances: Option<&[Variance; K]>,
    spread: &Spread,
    weights: &[f64; K],
) -> Index {
    let mut estimate = [None; K];
    // The weight of the segment's own orders in each factor.
    let mut own = [0.0; K];
    for factor in 0..K {
        let Some(of_whole) = whole.mean(factor) else { continue };
        let n = cell.count(factor) as f64;
        let all = spread.covariance(factor, factor);
        let of_whole_variance = all / whole.count(factor) as f64;
        estimate[factor] = match (variances, cell.mean(factor)) {
            (None, mean) => {
                own[factor] = 1.0;
                Some((mean.unwrap_or(of_whole), if n > 0.0 { all / n } else { 0.0 }))
            }
            (Some(v), None) => Some((of_whole, v[factor].between + of_whole_variance)),
            (Some(v), Some(mean)) => {
                let Variance { within, between } = v[factor];
                let b = if between > 0.0 { between / (between + within / n) } else { 0.0 };
                own[factor] = b;
                let rest = (1.0 - b) * (1.0 - b) * of_whole_variance;
                Some((of_whole + b * (mean - of_whole), b * within / n + rest))
            }
        };
    }
    let factors = estimate.map(|e| e.map(|(value, variance)| Scored::new(value, variance)));
    let total: f64 = (0..K).filter(|&f| estimate[f].is_some()).map(|f| weights[f]).sum();
    if total <= 0.0 {
        return Index { factors, index: None };
    }
    let share = |factor: usize| weights[factor] / total;
    let (mut value, mut variance) = (0.0, 0.0);
    for a in 0..K {
        let Some((mean, own_variance)) = estimate[a] else { continue };
        value += share(a) * mean;
        variance += share(a) * share(a) * own_variance;
        for b in a + 1..K {
            let both = f64::from(cell.both[pair(a, b)]);
            if both > 0.0 && estimate[b].is_some() {
                let of_means = spread.covariance(a, b) * both / (cell.count(a) as f64 * cell.count(b) as f64);
                variance += 2.0 * share(a) * share(b) * own[a] * own[b] * of_means;
            }
        }
    }
    Index { factors, index: Some(Scored::new(value, variance)) }
}
