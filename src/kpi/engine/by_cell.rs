//! Durations that are there one by one, in order by cell: quantiles of a day are read off, those of longer periods are found
//! in the runs of their cells without putting these together.

use super::spans::{Asked, Chunk, QUANTILES, Quantiles};
use std::borrow::Cow;
use std::ops::Range;

/// Runs of durations that are shorter than this on average are put together and asked as one: to look for a value in each
/// of them again and again would take longer.
const SHORT_RUN: usize = 64;

/// Durations, cell after cell, in each from short to long.
pub(super) struct ByCell<T> {
    lengths: Vec<T>,
    /// Where each cell begins, and where the last ends.
    begins: Vec<usize>,
}

impl<T: Copy + Ord + Default + Into<i64>> ByCell<T> {
    /// `lengths` gives those of a chunk by row, `none` where there is none.
    pub(super) fn of<'c>(chunks: &'c [Chunk], key: usize, none: T, lengths: impl Fn(&'c Chunk) -> Cow<'c, [T]>) -> Self
    where
        T: 'c,
    {
        // First how many each cell has, which says where it begins.
        let mut begins: Vec<usize> = vec![0];
        for chunk in chunks {
            for (cell, length) in chunk.cells[key].iter().zip(lengths(chunk).iter()) {
                let after = *cell as usize + 1;
                if after >= begins.len() {
                    begins.resize(after + 1, 0);
                }
                begins[after] += usize::from(*length != none);
            }
        }
        for at in 1..begins.len() {
            begins[at] += begins[at - 1];
        }
        let mut next = begins.clone();
        let mut all = vec![T::default(); begins.last().copied().unwrap_or(0)];
        for chunk in chunks {
            for (cell, length) in chunk.cells[key].iter().zip(lengths(chunk).iter()) {
                if *length != none {
                    let next = &mut next[*cell as usize];
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

    /// The [`QUANTILES`] of a segment's periods; `seconds` says what a duration is in seconds.
    pub(super) fn quantiles(&self, (order, periods): &Asked<'_>, seconds: impl Fn(i64) -> f64) -> Quantiles {
        let of_period = |period: &Range<usize>| {
            let cells = order[period.clone()].iter();
            let runs: Vec<&[T]> = cells.map(|cell| self.run(*cell)).filter(|run| !run.is_empty()).collect();
            let n = runs.iter().map(|run| run.len()).sum::<usize>();
            let short = runs.len() > 1 && n < SHORT_RUN * runs.len();
            let mut together = if short { runs.concat() } else { Vec::new() };
            (n > 0).then(|| {
                QUANTILES.map(|quantile| {
                    let (low, high, share) = between(n, quantile);
                    let (at, next) =
                        if short { selected(&mut together, low, high) } else { at_ranks(&runs, low, high) };
                    interpolated(seconds(at), seconds(next), share)
                })
            })
        };
        periods.iter().map(of_period).collect()
    }

    fn run(&self, cell: u32) -> &[T] {
        let cell = cell as usize;
        match (self.begins.get(cell), self.begins.get(cell + 1)) {
            (Some(begin), Some(end)) => &self.lengths[*begin..*end],
            _ => &[],
        }
    }
}

/// The durations at two ranks, the same or neighbours, of some in any order.
fn selected<T: Copy + Ord + Into<i64>>(lengths: &mut [T], low: usize, high: usize) -> (i64, i64) {
    let (_, at, above) = lengths.select_nth_unstable(low);
    let at = *at;
    let next = if high == low { at } else { above.iter().min().copied().unwrap_or(at) };
    (at.into(), next.into())
}

/// The same among runs in order that are not empty.
fn at_ranks<T: Copy + Ord + Into<i64>>(runs: &[&[T]], low: usize, high: usize) -> (i64, i64) {
    if let [run] = runs {
        return (run[low].into(), run[high].into());
    }
    let mut least = runs.iter().map(|run| run[0].into()).min().unwrap_or_default();
    let mut most = runs.iter().map(|run| run[run.len() - 1].into()).max().unwrap_or_default();
    // Of each run where the first lies that is longer than what was looked for: between these.
    let mut ranges: Vec<Range<usize>> = runs.iter().map(|run| 0..run.len()).collect();
    let mut found = vec![0; runs.len()];
    // The least duration that more than `low` do not exceed: one of them, as it would not be the least otherwise.
    while least < most {
        let middle = least + (most - least) / 2;
        for ((run, range), found) in runs.iter().zip(&ranges).zip(&mut found) {
            *found = range.start + run[range.clone()].partition_point(|length| (*length).into() <= middle);
        }
        let many = found.iter().sum::<usize>() > low;
        (least, most) = if many { (least, middle) } else { (middle + 1, most) };
        for (range, found) in ranges.iter_mut().zip(&found) {
            *range = if many { range.start..*found } else { *found..range.end };
        }
    }
    if high == low {
        return (least, least);
    }
    let (mut up_to, mut next) = (0, None);
    for run in runs {
        let longer = run.partition_point(|length| (*length).into() <= least);
        up_to += longer;
        next = next.into_iter().chain(run.get(longer).copied()).min();
    }
    match next {
        Some(next) if up_to <= high => (least, next.into()),
        _ => (least, least),
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

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn ranks_among_runs_are_those_of_all_put_together(
            runs in proptest::collection::vec(proptest::collection::vec(0_u32..50, 1..12), 1..9),
            at in 0.0_f64..1.0,
        ) {
            let mut runs = runs;
            runs.iter_mut().for_each(|run| run.sort_unstable());
            let mut all = runs.concat();
            all.sort_unstable();
            let (low, high, _) = between(all.len(), at);
            let expected = (i64::from(all[low]), i64::from(all[high]));
            let runs: Vec<&[u32]> = runs.iter().map(Vec::as_slice).collect();
            prop_assert_eq!(at_ranks(&runs, low, high), expected);
            prop_assert_eq!(selected(&mut runs.concat(), low, high), expected);
        }
    }
}
