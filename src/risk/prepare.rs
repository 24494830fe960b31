//! From features as they are to columns a linear model can use; every number needed is learnt from training rows only.
//!
//! Per feature, in this order, and the same way when fitting and when scoring:
//!
//! 1. **Missing**: the median of the training rows stands in, and a 0/1 column says so where it matters
//!    ([`MIN_FLAG_SHARE`]), so that "no history" can weigh otherwise than "typical history".
//! 2. **Clip**: to the 0.1 and 99.9 percentiles of training, each moved out by half their distance ([`WIDEN`]), so that
//!    one wild value cannot explode a score. Features with few distinct values ([`FEW_DISTINCT`]) are clipped to the
//!    range seen instead: a count whose 99.9th percentile is 1 says most just when it is 7.
//! 3. **Heavy tails**: `sign(x) ln(1 + |x|)` where the training values between those percentiles are skewed beyond
//!    [`HEAVY_SKEW`] and leave `[-1, 1]`: a share has no tail to draw in.
//! 4. **Standardise** with linfa-preprocessing's `LinearScaler` (zero mean, unit deviation), so that one penalty is
//!    fair to all columns and an average order has no contributions. Its numbers are kept here and applied row by row:
//!    scoring one order or a million then gives the same bits. A spread below 1/50 of the range counts as 1/50
//!    ([`MIN_SPREAD`]).
//!
//! A feature without two distinct values is neutral: it stays in the model's list and adds nothing.

use linfa::DatasetBase;
use linfa::traits::Fit;
use linfa_preprocessing::linear_scaling::LinearScaler;
use ndarray::{Array2, ShapeBuilder};
use serde::{Deserialize, Serialize};

use crate::features::matrix::Matrix;

/// Up to so many distinct training values a feature is clipped to its range and not to percentiles.
///
/// Counts and flags stay below, money and times above. Higher values protect less against wild values, lower ones cut
/// the rare bursts that fraud shows in.
pub const FEW_DISTINCT: usize = 1_000;

/// How far clipping lets values pass the percentiles, as a share of the distance between the percentiles.
///
/// Fraud sits in the outermost thousandth more than anywhere: on the fraud handbook's transactions, clipping right at
/// the percentiles costs 0.004 of average precision against not clipping, and this much gains 0.004.
pub const WIDEN: f64 = 0.5;

/// Skewness from which a feature is taken as heavy-tailed: that of an exponential distribution.
pub const HEAVY_SKEW: f64 = 2.0;

/// Least share of missing (and of present) training rows for a missing-flag column.
///
/// Below one in a thousand the flag of a handful of rows would learn those rows.
pub const MIN_FLAG_SHARE: f64 = 0.001;

/// Least standard deviation of a column, as a share of its range.
///
/// A 0/1 column that is 1 in one row of 10,000 would otherwise stand at 100 deviations there and escape the penalty.
pub const MIN_SPREAD: f64 = 0.02;

/// Fitted preprocessing of a feature table.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Prepare {
    /// One entry a feature, in the order of the features.
    pub columns: Vec<Column>,
}

/// What was learnt of one feature. All numbers are finite, so that JSON holds them exactly.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Column {
    /// Mean of the clipped training values, in the feature's own unit: what reasons call the average.
    pub average: f64,
    /// What stands in for a missing value: the training median.
    pub fill: f64,
    /// Smallest value passed on.
    pub low: f64,
    /// Largest value passed on.
    pub high: f64,
    /// Whether `sign(x) ln(1 + |x|)` follows.
    pub signed_log: bool,
    /// How the value becomes a column; `None` for a feature that never varied.
    pub value: Option<Scale>,
    /// How "is missing" (1) or "is there" (0) becomes a column; `None` where there is no such column.
    pub missing: Option<Scale>,
}

/// A linear scaling: `(x − center) × factor`.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Scale {
    /// Mean of training.
    pub center: f64,
    /// Inverse of the standard deviation of training (or of its floor).
    pub factor: f64,
}

impl Scale {
    fn apply(self, x: f64) -> f64 {
        (x - self.center) * self.factor
    }
}

impl Column {
    /// Missing filled, clipped, tails drawn in; not yet scaled. Infinities count as the far end.
    fn tame(&self, x: f64) -> f64 {
        let x = if x.is_nan() { self.fill } else { x.clamp(self.low, self.high) };
        if self.signed_log { x.abs().ln_1p().copysign(x) } else { x }
    }

    /// The scaled columns of one value: that of the value and that of the flag, where the model has them.
    pub fn scaled(&self, x: f64) -> [Option<f64>; 2] {
        [
            self.value.map(|scale| scale.apply(self.tame(x))),
            self.missing.map(|scale| scale.apply(f64::from(u8::from(x.is_nan())))),
        ]
    }

    /// Adds to each of `sums` what the scaled columns of its value come to under the next `coefficients`, first that of
    /// the value, then that of the flag: [`Self::scaled`] for a run of rows at once.
    pub fn add_to(&self, sums: &mut [f64], values: &[f64], mut coefficients: impl Iterator<Item = f64>) {
        if let Some(scale) = self.value {
            let c = coefficients.next().unwrap_or(0.0);
            sums.iter_mut().zip(values).for_each(|(sum, &x)| *sum += scale.apply(self.tame(x)) * c);
        }
        if let Some(scale) = self.missing {
            let c = coefficients.next().unwrap_or(0.0);
            sums.iter_mut().zip(values).for_each(|(sum, x)| *sum += scale.apply(f64::from(u8::from(x.is_nan()))) * c);
        }
    }

    /// How many columns of the design this feature has: 0, 1 or 2.
    pub fn width(&self) -> usize {
        usize::from(self.value.is_some()) + usize::from(self.missing.is_some())
    }
}

impl Prepare {
    /// Learns from the given rows of `matrix`; a matrix without rows gives a preparation in which all is neutral.
    pub fn fit(matrix: &Matrix, rows: &[usize]) -> Self {
        let columns = (0..matrix.width()).map(|feature| fit_column(matrix, rows, feature)).collect();
        Self { columns }
    }

    /// Number of columns of the design.
    pub fn width(&self) -> usize {
        self.columns.iter().map(Column::width).sum()
    }

    /// The design: `rows` of `matrix`, scaled, in column-major order.
    ///
    /// Column-major because linfa-logistic multiplies with the transpose in every step, which then runs along memory.
    pub fn design(&self, matrix: &Matrix, rows: &[usize]) -> Array2<f64> {
        let mut values = Vec::with_capacity(rows.len() * self.width());
        for (column, raw) in self.columns.iter().zip(&matrix.columns) {
            for slot in 0..2 {
                if [column.value.is_some(), column.missing.is_some()][slot] {
                    let scaled = |&row: &usize| column.scaled(raw[row])[slot];
                    values.extend(rows.iter().filter_map(scaled));
                }
            }
        }
        column_major(rows.len(), self.width(), values)
    }

    /// Calls `visit` with the feature's index and scaled value for every design column of one row, in design order.
    pub fn each(&self, row: &[f64], mut visit: impl FnMut(usize, f64)) {
        for (feature, (column, &x)) in self.columns.iter().zip(row).enumerate() {
            for scaled in column.scaled(x).into_iter().flatten() {
                visit(feature, scaled);
            }
        }
    }
}

/// Wraps values that were written column after column.
fn column_major(rows: usize, columns: usize, values: Vec<f64>) -> Array2<f64> {
    // The lengths agree by construction; an empty table stands for what cannot happen rather than a panic.
    Array2::from_shape_vec((rows, columns).f(), values).unwrap_or_else(|_| Array2::zeros((0, columns)))
}

fn fit_column(matrix: &Matrix, rows: &[usize], feature: usize) -> Column {
    let raw = matrix.column(feature);
    let all: Vec<f64> = rows.iter().map(|&row| raw[row]).collect();
    let mut sorted: Vec<f64> = all.iter().copied().filter(|x| x.is_finite()).collect();
    sorted.sort_unstable_by(f64::total_cmp);
    let mut column =
        Column { average: 0.0, fill: 0.0, low: 0.0, high: 0.0, signed_log: false, value: None, missing: None };
    let (Some(&first), Some(&last)) = (sorted.first(), sorted.last()) else { return column };

    let distinct = 1 + sorted.windows(2).filter(|pair| pair[0] < pair[1]).count();
    let (mut bulk_low, mut bulk_high) = (first, last);
    if distinct > FEW_DISTINCT {
        (bulk_low, bulk_high) = (quantile(&sorted, 0.001), quantile(&sorted, 0.999));
    }
    let room = WIDEN * (bulk_high - bulk_low);
    (column.low, column.high) = ((bulk_low - room).max(first), (bulk_high + room).min(last));
    column.fill = quantile(&sorted, 0.5);
    column.average = mean_and_skew(sorted.iter().map(|x| x.clamp(column.low, column.high)), sorted.len()).0;
    let (_, skew) = mean_and_skew(sorted.iter().map(|x| x.clamp(bulk_low, bulk_high)), sorted.len());
    column.signed_log = distinct > 2 && skew.abs() > HEAVY_SKEW && column.low.abs().max(column.high.abs()) > 1.0;

    if column.low < column.high {
        let (from, to) = (column.tame(column.low), column.tame(column.high));
        column.value = Some(standard_scale(all.iter().map(|&x| column.tame(x)).collect(), to - from));
    }
    let missing = all.iter().filter(|x| x.is_nan()).count();
    let share = missing as f64 / all.len() as f64;
    if (MIN_FLAG_SHARE..=1.0 - MIN_FLAG_SHARE).contains(&share) {
        column.missing = Some(standard_scale(all.iter().map(|x| f64::from(u8::from(x.is_nan()))).collect(), 1.0));
    }
    column
}

/// Centre and factor as linfa-preprocessing finds them, with the floor on the spread.
fn standard_scale(values: Vec<f64>, range: f64) -> Scale {
    let dataset = DatasetBase::from(column_major(values.len(), 1, values));
    match LinearScaler::standard().fit(&dataset) {
        Ok(scaler) => Scale { center: scaler.offsets()[0], factor: scaler.scales()[0].min(1.0 / (MIN_SPREAD * range)) },
        // Only for no rows at all, where any scale will do.
        Err(_) => Scale { center: 0.0, factor: 1.0 },
    }
}

/// Mean and (population) skewness.
fn mean_and_skew(values: impl Iterator<Item = f64> + Clone, count: usize) -> (f64, f64) {
    let n = count as f64;
    let mean = values.clone().sum::<f64>() / n;
    let (square, cube) = values.fold((0.0, 0.0), |(square, cube), x| {
        let d = x - mean;
        (square + d * d, cube + d * d * d)
    });
    let deviation = (square / n).sqrt();
    let skew = if deviation > 0.0 { cube / n / (deviation * deviation * deviation) } else { 0.0 };
    (mean, skew)
}

/// The quantile at `share` of sorted values, linear between neighbours (numpy's default); 0 for none.
pub(crate) fn quantile(sorted: &[f64], share: f64) -> f64 {
    let Some(last) = sorted.len().checked_sub(1) else { return 0.0 };
    let at = share * last as f64;
    let below = at.floor();
    let index = below as usize;
    let (a, b) = (sorted[index.min(last)], sorted[(index + 1).min(last)]);
    a + (b - a) * (at - below)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matrix(columns: &[(&str, Vec<f64>)]) -> (Matrix, Vec<usize>) {
        let mut matrix = Matrix::default();
        for (name, column) in columns {
            matrix.push(*name, column.clone());
        }
        let rows = (0..matrix.rows()).collect();
        (matrix, rows)
    }

    #[test]
    fn missing_values_take_the_median_and_raise_a_flag() {
        let (matrix, rows) = matrix(&[("gap", vec![1.0, f64::NAN, 3.0, 2.0])]);
        let prepare = Prepare::fit(&matrix, &rows);
        assert_eq!((prepare.columns[0].fill, prepare.width()), (2.0, 2));
        let design = prepare.design(&matrix, &rows);
        // Mean 2 and deviation sqrt(1/2) after filling; the flag has mean 1/4 and deviation sqrt(3)/4.
        let (a, b) = (2f64.sqrt(), 3f64.sqrt());
        let expected = [[-a, -1.0 / b], [0.0, 3.0 / b], [a, -1.0 / b], [0.0, -1.0 / b]];
        for (row, expected) in expected.iter().enumerate() {
            for slot in 0..2 {
                assert!((design[[row, slot]] - expected[slot]).abs() < 1e-12, "{design}");
            }
        }
    }

    #[test]
    fn a_constant_and_an_empty_feature_are_neutral() {
        let (matrix, rows) = matrix(&[("same", vec![5.0; 3]), ("none", vec![f64::NAN; 3]), ("x", vec![0.0, 1.0, 0.0])]);
        let prepare = Prepare::fit(&matrix, &rows);
        assert_eq!(prepare.columns.iter().map(Column::width).collect::<Vec<_>>(), [0, 0, 1]);
    }

    #[test]
    fn a_wild_value_scores_no_further_out_than_the_bounds_and_does_not_move_them() {
        let amounts: Vec<f64> = (0..4_999).map(f64::from).chain([1e9]).collect();
        let (matrix, rows) = matrix(&[("amount", amounts)]);
        let column = Prepare::fit(&matrix, &rows).columns.remove(0);
        assert_eq!(column.scaled(1e300), column.scaled(column.high));
        assert_eq!(column.scaled(f64::INFINITY), column.scaled(column.high));
        // low, high = numpy.percentile(numpy.r_[numpy.arange(4999.), 1e9], [0.1, 99.9]); high + (high - low) / 2
        assert_eq!((column.low, column.signed_log), (0.0, false));
        assert!((column.high - 7_488.502).abs() < 1e-9, "{column:?}");
    }

    #[test]
    fn a_skewed_share_is_left_as_it_is() {
        let (matrix, rows) = matrix(&[("rate", (0..3_000).map(|i| (f64::from(i) / 3_000.0).powi(9)).collect())]);
        assert!(!Prepare::fit(&matrix, &rows).columns[0].signed_log);
    }

    #[test]
    fn rare_bursts_of_a_count_are_kept_and_its_tail_is_drawn_in() {
        let mut counts = vec![0.0; 9_990];
        counts.extend([1.0, 2.0, 3.0, 5.0, 7.0, 9.0, 12.0, 20.0, 30.0, 40.0]);
        let (matrix, rows) = matrix(&[("count", counts)]);
        let column = Prepare::fit(&matrix, &rows).columns.remove(0);
        assert!(column.signed_log);
        let at = |x: f64| column.scaled(x)[0].unwrap();
        assert!(at(7.0) > at(2.0) && at(40.0) == at(1e9));
        assert!(at(40.0) < 60.0, "the floor on the spread bounds how far out a rare value stands: {}", at(40.0));
    }

    #[test]
    fn json_holds_a_preparation_to_the_bit() {
        let (matrix, rows) = matrix(&[("x", (0..2_000).map(|i| (f64::from(i) * 0.37).sin() / 3.0).collect())]);
        let prepare = Prepare::fit(&matrix, &rows);
        let back: Prepare = serde_json::from_str(&serde_json::to_string(&prepare).unwrap()).unwrap();
        assert_eq!(back, prepare);
    }
}
