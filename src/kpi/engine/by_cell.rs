//! Durations that are there one by one, in order by cell: quantiles of a day are read off, those of longer periods are found
//! in the runs of their cells without putting these together.

use super::cells::NO_CELL;
use super::spans::{Chunk, QUANTILES};
use std::borrow::Cow;
use std::ops::Range;

/// Runs of durations that are shorter than this on average are put together and asked as one: to look for a value in each
/// of them again and again would take longer.
const SHORT_RUN: usize = 64;

/// The durations of a segment, cell after cell in the order that was asked for, in each from short to long.
pub(super) struct ByCell<T> {
    lengths: Vec<T>,
    /// Where each cell begins, and where the last ends.
    begins: Vec<usize>,
}

impl<T: Copy + Ord + Default + Into<i64>> ByCell<T> {
    /// `lengths` gives those of a chunk by row, `none` where there is none; `order` has the segment's cells in order.
    pub(super) fn of<'c>(
        chunks: &'c [Chunk],
        segment: usize,
        order: &[u32],
        none: T,
        lengths: impl Fn(&'c Chunk) -> Cow<'c, [T]>,
    ) -> Self
    where
        T: 'c,
    {
        let mut place = vec![NO_CELL; order.len()];
        for (at, cell) in order.iter().enumerate() {
            place[*cell as usize] = at as u32;
        }
        // First how many each cell has, which says where it begins.
        let mut begins = vec![0_usize; order.len() + 1];
        for chunk in chunks {
            for (cell, length) in chunk.cells[segment].iter().zip(lengths(chunk).iter()) {
                begins[place[*cell as usize] as usize + 1] += usize::from(*length != none);
            }
        }
        for at in 1..begins.len() {
            begins[at] += begins[at - 1];
        }
        let mut next = begins.clone();
        let mut all = vec![T::default(); begins.last().copied().unwrap_or(0)];
        for chunk in chunks {
            for (cell, length) in chunk.cells[segment].iter().zip(lengths(chunk).iter()) {
                if *length != none {
                    let next = &mut next[place[*cell as usize] as usize];
                    all[*next] = *length;
                    *next += 1;
                }
            }
        }
        for cell in begins.windows(2) {
            all[cell[0]..cell[1]].sort_unstable();
        }
        Self { lengths: all, begins }
    }

    /// The [`QUANTILES`] of periods, which are ranges of cells; `seconds` says what a duration is in seconds.
    pub(super) fn quantiles(&self, periods: &[Range<usize>], seconds: impl Fn(i64) -> f64) -> Vec<Option<[f64; 2]>> {
        let mut together = Vec::new();
        let of_period = |period: &Range<usize>| {
            let begins = &self.begins[period.start..=period.end];
            let n = begins[begins.len() - 1] - begins[0];
            (n > 0).then(|| {
                let short = begins.len() > 2 && n < SHORT_RUN * (begins.len() - 1);
                if short {
                    together.clear();
                    together.extend_from_slice(&self.lengths[begins[0]..begins[0] + n]);
                    together.sort_unstable();
                }
                QUANTILES.map(|quantile| {
                    let (low, high, share) = between(n, quantile);
                    let (at, next) = match short {
                        true => (together[low].into(), together[high].into()),
                        false => self.at_ranks(begins, low, high),
                    };
                    interpolated(seconds(at), seconds(next), share)
                })
            })
        };
        periods.iter().map(of_period).collect()
    }

    /// The durations at two ranks, the same or neighbours, among the cells that begin at `begins`.
    fn at_ranks(&self, begins: &[usize], low: usize, high: usize) -> (i64, i64) {
        if let [begin, _] = begins {
            return (self.lengths[begin + low].into(), self.lengths[begin + high].into());
        }
        let runs = || begins.windows(2).map(|run| &self.lengths[run[0]..run[1]]).filter(|run| !run.is_empty());
        let up_to = |most: i64| runs().map(|run| run.partition_point(|length| (*length).into() <= most)).sum::<usize>();
        let mut least = runs().map(|run| run[0].into()).min().unwrap_or_default();
        let mut most = runs().map(|run| run[run.len() - 1].into()).max().unwrap_or_default();
        // The least duration that more than `low` do not exceed: one of them, as it would not be the least otherwise.
        while least < most {
            let middle = least + (most - least) / 2;
            if up_to(middle) > low {
                most = middle;
            } else {
                least = middle + 1;
            }
        }
        if high == low || up_to(least) > high {
            return (least, least);
        }
        let longer = runs().filter_map(|run| run.get(run.partition_point(|length| (*length).into() <= least)));
        (least, longer.map(|length| (*length).into()).min().unwrap_or(least))
    }
}

/// Between which two of `n` ordered values a quantile lies, and how far from the lower: type 7 of Hyndman and Fan (1996),
/// the default of DuckDB's `quantile_cont`, numpy and R.
pub(super) fn between(n: usize, quantile: f64) -> (usize, usize, f64) {
    let at = (n as f64 - 1.0) * quantile;
    let low = (at as usize).min(n - 1);
    (low, (at.ceil() as usize).min(n - 1), at - low as f64)
}

pub(super) fn interpolated(low: f64, high: f64, share: f64) -> f64 {
    if low == high { low } else { share * (high - low) + low }
}
