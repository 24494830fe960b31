//! Bins of one number, and how far two samples of it lie apart: the population stability index.

use serde::{Deserialize, Serialize};

use crate::types::interval::normal_upper;

/// Bins that a sample is cut into, as far as its values allow: the usual ten.
const BINS: usize = 10;

/// What is added to every count of a bin: keeps the logarithm of an empty bin finite and, at half an order, moves
/// nothing else (Jeffreys' prior of a share).
const ADDED: f64 = 0.5;

/// Where one number is cut. Values up to and including the first edge are in the first bin, values above the last edge
/// in the last but one; the last bin holds rows without a value.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Edges(Vec<f64>);

impl Edges {
    /// Cuts a sample into about ten bins of equal mass. A value that alone has a tenth of the rows is a bin of its own,
    /// so that a rare other value beside it is seen. NaN is no value.
    pub fn of(values: &[f64]) -> Self {
        let mut sorted: Vec<f64> = values.iter().copied().filter(|v| !v.is_nan()).collect();
        sorted.sort_unstable_by(f64::total_cmp);
        let enough = sorted.len().div_ceil(BINS).max(1);
        let mut edges: Vec<f64> = Vec::new();
        let mut filled = 0;
        let mut last_is_heavy = false;
        let mut before: Option<f64> = None;
        for run in sorted.chunk_by(|a, b| a == b) {
            let value = run[0];
            last_is_heavy = run.len() >= enough;
            if last_is_heavy && (filled > 0 || before.is_none()) {
                edges.push(before.unwrap_or_else(|| value.next_down()));
                filled = 0;
            }
            filled += run.len();
            if filled >= enough {
                edges.push(value);
                filled = 0;
            }
            before = Some(value);
        }
        // The highest bin is open, unless a value of its own stands there: then something above it is news.
        if edges.last() == before.as_ref() && !last_is_heavy {
            edges.pop();
        }
        Self(edges)
    }

    /// Number of bins, that of missing values included.
    pub fn bins(&self) -> usize {
        self.0.len() + 2
    }

    /// The bin of a value.
    pub fn bin(&self, value: f64) -> usize {
        if value.is_nan() { self.0.len() + 1 } else { self.0.partition_point(|edge| *edge < value) }
    }

    /// Counts values by bin.
    pub fn count(&self, values: impl Iterator<Item = f64>) -> Vec<u64> {
        let mut counts = vec![0; self.bins()];
        for value in values {
            counts[self.bin(value)] += 1;
        }
        counts
    }

    /// Whether the edges rise; a file that was tampered with may not have them so.
    pub(super) fn is_coherent(&self) -> bool {
        self.0.windows(2).all(|pair| pair[0] < pair[1])
    }
}

/// How far a sample lies from its reference.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Shift {
    /// Population stability index, 0 for equal shares: the sum over bins of (q − p) ln(q / p), p and q the shares of the
    /// reference and of the sample, each count raised by a half.
    pub psi: f64,
    /// What it is on average when nothing changed: (bins − 1)(1/n + 1/m) for samples of n and m rows (Yurdakul 2018,
    /// Statistical properties of the population stability index). Small samples have a high index by chance alone.
    pub expected: f64,
    /// Bins that hold a row of either sample.
    pub bins: usize,
    /// 1/n + 1/m.
    spread: f64,
}

impl Shift {
    /// Compares counts of the same bins; `None` when either sample has no row.
    pub fn between(reference: &[u64], sample: &[u64]) -> Option<Self> {
        let (n, m) = (reference.iter().sum::<u64>() as f64, sample.iter().sum::<u64>() as f64);
        if n == 0.0 || m == 0.0 {
            return None;
        }
        let held = || reference.iter().zip(sample).filter(|(r, s)| **r + **s > 0);
        let bins = held().count();
        let more = ADDED * bins as f64;
        let psi = held()
            .map(|(&r, &s)| {
                let (p, q) = ((r as f64 + ADDED) / (n + more), (s as f64 + ADDED) / (m + more));
                (q - p) * (q / p).ln()
            })
            .sum();
        let spread = 1.0 / n + 1.0 / m;
        Some(Self { psi, expected: (bins - 1) as f64 * spread, bins, spread })
    }

    /// The index that is exceeded with probability `tail` when nothing changed and rows are independent.
    ///
    /// Without change the index is distributed as `spread` times chi-squared with bins − 1 degrees of freedom; its upper
    /// point is that of Wilson and Hilferty (1931), which far out is a little too high: on the safe side.
    pub fn by_chance(&self, tail: f64) -> f64 {
        let freedom = (self.bins.max(2) - 1) as f64;
        let part = 2.0 / (9.0 * freedom);
        self.spread * freedom * (1.0 - part + normal_upper(tail) * part.sqrt()).powi(3)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::{Rng, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    fn close(found: f64, expected: f64) {
        assert!((found - expected).abs() < 1e-12, "{found} is not {expected}");
    }

    #[test]
    fn the_index_of_fixed_counts_agrees_with_numpy() {
        // p = (r + .5) / (r + .5).sum(), q alike; ((q - p) * np.log(q / p)).sum()
        let cases: [(&[u64], &[u64], f64, f64); 4] = [
            (&[100, 100, 100, 100], &[100, 100, 100, 100], 0.0, 0.015),
            (&[100, 100, 100, 100], &[40, 30, 20, 10], 0.217_994_213_152_747_58, 0.0375),
            (&[500, 0, 500], &[0, 10, 90], 3.061_842_461_104_240_5, 0.022),
            (&[9_000, 900, 100, 0], &[85, 10, 4, 1], 0.139_815_160_650_292_42, 0.0303),
        ];
        for (reference, sample, psi, expected) in cases {
            let shift = Shift::between(reference, sample).unwrap();
            close(shift.psi, psi);
            close(shift.expected, expected);
        }
        assert_eq!(Shift::between(&[1, 2], &[0, 0]), None);
        assert_eq!(Shift::between(&[0, 0], &[1, 2]), None);
    }

    #[test]
    fn values_are_cut_where_each_tenth_ends_and_heavy_values_stand_alone() {
        let hundred: Vec<f64> = (1..=100).map(f64::from).collect();
        assert_eq!(Edges::of(&hundred).0, [10.0, 20.0, 30.0, 40.0, 50.0, 60.0, 70.0, 80.0, 90.0]);
        // Three zeros among ones: both are seen, and so is whatever was never there.
        let flags: Vec<f64> = (0..100).map(|row| f64::from(u8::from(row >= 3))).collect();
        let edges = Edges::of(&flags);
        assert_eq!(edges.0, [0.0, 1.0]);
        assert_eq!(edges.count([0.0, 1.0, 1.0, 2.0, f64::NAN].into_iter()), [1, 2, 1, 1]);
        // A number that never varied: lower, equal, higher, missing.
        let same = Edges::of(&[5.0; 30]);
        assert_eq!(same.count([4.9, 5.0, 5.1, f64::NAN, f64::INFINITY].into_iter()), [1, 1, 2, 1]);
        // Nothing but missing values: any value at all is the first bin.
        assert_eq!(Edges::of(&[f64::NAN; 4]).count([1.0, f64::NAN].into_iter()), [1, 1]);
    }

    #[test]
    fn without_change_the_index_averages_its_expectation_and_seldom_passes_its_limit() {
        let mut rng = ChaCha8Rng::seed_from_u64(4);
        let mut draw = |rows: usize| -> Vec<f64> { (0..rows).map(|_| rng.random::<f64>().powi(3)).collect() };
        let (mut ratio, mut beyond) = (0.0, 0);
        const TRIALS: usize = 2_000;
        for _ in 0..TRIALS {
            let reference = draw(2_000);
            let edges = Edges::of(&reference);
            let counts = edges.count(reference.into_iter());
            let shift = Shift::between(&counts, &edges.count(draw(300).into_iter())).unwrap();
            assert_eq!(shift.bins, 10);
            ratio += shift.psi / shift.expected / TRIALS as f64;
            beyond += usize::from(shift.psi > shift.by_chance(0.01));
        }
        assert!((ratio - 1.0).abs() < 0.05, "{ratio}");
        // 20 are due; the chance of more than 40 is below 1 in 10,000.
        assert!((5..=40).contains(&beyond), "{beyond} of {TRIALS}");
    }

    #[test]
    fn the_limit_agrees_with_scipy_where_that_can_be_told() {
        // scipy.stats.chi2.isf(1e-4, 9) is 33.7199; ours may be higher by two in a hundred, never lower.
        let shift = Shift::between(&[100; 10], &[100; 10]).unwrap();
        let limit = shift.by_chance(1e-4) / (1.0 / 500.0);
        assert!((33.71..34.4).contains(&limit), "{limit}");
    }
}
