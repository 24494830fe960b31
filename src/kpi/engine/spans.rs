//! Durations of rows, kept whole or counted in buckets, and the quantiles of periods from them.

use super::by_cell::{ByCell, between, interpolated};
use crate::kpi::sketch;
use crate::types::time::SECOND;
use rayon::prelude::*;
use std::borrow::Cow;
use std::ops::Range;

/// The quantiles that are published.
pub(super) const QUANTILES: [f64; 2] = [0.5, 0.9];

/// A segment's periods: the cells of its key in the segment's order, and the ranges of them that are periods.
pub(super) type Asked<'c> = (&'c [u32], Vec<Range<usize>>);

/// The [`QUANTILES`] in seconds of each period, `None` where it has no duration.
pub(super) type Quantiles = Vec<Option<[f64; 2]>>;

/// Durations of a group's rows.
#[derive(Debug, Clone)]
pub(super) enum Spans {
    /// Every one of them; how many there are.
    Whole(Vec<Chunk>, u64),
    /// By key, by span: cell and bucket (see [`key`]) with how many, in order. Counts add up, so that parts merged in
    /// any order give the same.
    Buckets(Vec<Vec<Counts>>),
}

/// Keys in order, each with how many.
type Counts = Vec<(u64, u64)>;

/// Durations of some rows; rows without any are left out.
#[derive(Debug, Clone)]
pub(super) struct Chunk {
    /// By key of segments: the cell of each row.
    pub(super) cells: Vec<Vec<u32>>,
    /// By span.
    pub(super) lengths: Vec<Lengths>,
}

/// Durations by row.
#[derive(Debug, Clone)]
pub(super) enum Lengths {
    /// Whole seconds, as nearly all exports have them; [`u32::MAX`] is none.
    Seconds(Vec<u32>),
    /// Microseconds; [`i64::MIN`] is none.
    Micros(Vec<i64>),
}

impl Lengths {
    /// The narrowest that holds these, given in microseconds.
    pub(super) fn of(micros: &[Option<i64>]) -> Self {
        let second = |micros: i64| {
            let whole = (micros % SECOND == 0).then_some(micros / SECOND)?;
            u32::try_from(whole).ok().filter(|s| *s != u32::MAX)
        };
        let seconds: Option<Vec<u32>> = micros.iter().map(|m| m.map_or(Some(u32::MAX), second)).collect();
        match seconds {
            Some(seconds) => Self::Seconds(seconds),
            None => Self::Micros(micros.iter().map(|m| m.unwrap_or(i64::MIN)).collect()),
        }
    }

    fn len(&self) -> usize {
        match self {
            Self::Seconds(all) => all.len(),
            Self::Micros(all) => all.len(),
        }
    }

    /// Microseconds of a row.
    fn micros(&self, row: usize) -> Option<i64> {
        match self {
            Self::Seconds(all) => (all[row] != u32::MAX).then(|| i64::from(all[row]) * SECOND),
            Self::Micros(all) => (all[row] != i64::MIN).then_some(all[row]),
        }
    }

    fn count(&self) -> u64 {
        let some = match self {
            Self::Seconds(all) => all.iter().filter(|s| **s != u32::MAX).count(),
            Self::Micros(all) => all.iter().filter(|m| **m != i64::MIN).count(),
        };
        some as u64
    }
}

impl Spans {
    pub(super) fn none() -> Self {
        Self::Whole(Vec::new(), 0)
    }

    /// Adds rows. Beyond `exact` durations all are counted in buckets: that depends on how many there are and not on how
    /// they came, since whatever has more than `exact` in a part has it in the whole.
    pub(super) fn add(&mut self, chunk: Chunk, exact: u64) {
        let count = chunk.lengths.iter().map(Lengths::count).sum::<u64>();
        if count == 0 {
            return;
        }
        match self {
            Self::Whole(chunks, all) => {
                chunks.push(chunk);
                *all += count;
                if *all > exact {
                    *self = Self::Buckets(counted(chunks));
                }
            }
            Self::Buckets(all) => add_counts(all, counted(&[chunk])),
        }
    }

    /// Adds those of another state; `moved` says by key where its cells went.
    pub(super) fn merge(&mut self, other: Self, moved: &[Vec<u32>], exact: u64) {
        match other {
            Self::Whole(chunks, _) => {
                for mut chunk in chunks {
                    for (cells, moved) in chunk.cells.iter_mut().zip(moved) {
                        cells.iter_mut().for_each(|cell| *cell = moved[*cell as usize]);
                    }
                    self.add(chunk, exact);
                }
            }
            Self::Buckets(mut others) => {
                for (counts, moved) in others.iter_mut().zip(moved) {
                    for counts in counts.iter_mut() {
                        for (key, _) in counts.iter_mut() {
                            *key = self::key(moved[cell_of(*key)], *key as u16);
                        }
                        *counts = summed(std::mem::take(counts));
                    }
                }
                if let Self::Whole(chunks, _) = self {
                    *self = Self::Buckets(counted(chunks));
                }
                if let Self::Buckets(all) = self {
                    add_counts(all, others);
                }
            }
        }
    }

    /// The largest relative error of a quantile; `None` if quantiles are exact.
    pub(super) fn error(&self) -> Option<f64> {
        matches!(self, Self::Buckets(_)).then_some(sketch::RELATIVE_ERROR)
    }

    /// The [`QUANTILES`] in seconds of periods of segments that are made of one key's cells, and `None` where a period has no
    /// duration.
    pub(super) fn quantiles(&self, key: usize, span: usize, asked: &[Asked<'_>]) -> Vec<Quantiles> {
        let each = |of: &mut dyn FnMut(&Asked<'_>) -> Quantiles| asked.iter().map(of).collect();
        match self {
            Self::Whole(chunks, _) => {
                let all_seconds = chunks.iter().all(|c| matches!(c.lengths[span], Lengths::Seconds(_)));
                if all_seconds {
                    let seconds = ByCell::of(chunks, key, u32::MAX, |chunk| match &chunk.lengths[span] {
                        Lengths::Seconds(all) => Cow::Borrowed(&all[..]),
                        Lengths::Micros(_) => Cow::default(),
                    });
                    each(&mut |asked| seconds.quantiles(asked, |seconds| seconds as f64))
                } else {
                    let micros = ByCell::of(chunks, key, i64::MIN, |chunk| {
                        let all = &chunk.lengths[span];
                        (0..all.len()).map(|row| all.micros(row).unwrap_or(i64::MIN)).collect()
                    });
                    each(&mut |asked| micros.quantiles(asked, |micros| micros as f64 / SECOND as f64))
                }
            }
            Self::Buckets(all) => each(&mut |(order, periods)| sketched(&all[key][span], order, periods)),
        }
    }
}

fn key(cell: u32, bucket: u16) -> u64 {
    u64::from(cell) << 16 | u64::from(bucket)
}

fn cell_of(key: u64) -> usize {
    (key >> 16) as usize
}

/// Durations in buckets, by key and span.
fn counted(chunks: &[Chunk]) -> Vec<Vec<Counts>> {
    let Some(first) = chunks.first() else { return Vec::new() };
    let (segments, spans) = (first.cells.len(), first.lengths.len());
    let one = |segment: usize, span: usize| -> Counts {
        let keys = chunks.iter().flat_map(|chunk| {
            let (cells, lengths) = (&chunk.cells[segment], &chunk.lengths[span]);
            (0..lengths.len()).filter_map(|row| Some((key(cells[row], sketch::bucket(lengths.micros(row)?)), 1)))
        });
        summed(keys.collect())
    };
    (0..segments).map(|segment| (0..spans).into_par_iter().map(|span| one(segment, span)).collect()).collect()
}

/// Sorts by key and adds the counts of equal keys up.
fn summed(mut counts: Counts) -> Counts {
    counts.sort_unstable_by_key(|(key, _)| *key);
    counts.dedup_by(|next, kept| {
        let same = next.0 == kept.0;
        if same {
            kept.1 += next.1;
        }
        same
    });
    counts
}

fn add_counts(all: &mut Vec<Vec<Counts>>, others: Vec<Vec<Counts>>) {
    if all.is_empty() {
        *all = others;
        return;
    }
    for (all, others) in all.iter_mut().zip(others) {
        all.par_iter_mut().zip(others).for_each(|(all, others)| {
            // Two runs in order, one behind the other: the sort merges them.
            all.extend(others);
            all.sort_by_key(|(key, _)| *key);
            *all = summed(std::mem::take(all));
        });
    }
}

/// Quantiles of durations counted in buckets.
fn sketched(counts: &Counts, order: &[u32], periods: &[Range<usize>]) -> Quantiles {
    let mut buckets: Vec<(u16, u64)> = Vec::new();
    periods
        .iter()
        .map(|period| {
            buckets.clear();
            for cell in &order[period.clone()] {
                let first = counts.partition_point(|(k, _)| *k < key(*cell, 0));
                let of_cell = counts[first..].iter().take_while(|(k, _)| cell_of(*k) == *cell as usize);
                buckets.extend(of_cell.map(|(key, count)| (*key as u16, *count)));
            }
            buckets.sort_unstable();
            let n = buckets.iter().map(|(_, count)| count).sum::<u64>();
            (n > 0).then(|| {
                QUANTILES.map(|quantile| {
                    let (low, high, share) = between(n as usize, quantile);
                    let at = |rank: usize| sketch::at_rank(&buckets, rank as u64).unwrap_or(0.0) / SECOND as f64;
                    interpolated(at(low), at(high), share)
                })
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn chunk(rows: &[(u32, Option<i64>)]) -> Chunk {
        let lengths: Vec<Option<i64>> = rows.iter().map(|r| r.1).collect();
        Chunk { cells: vec![rows.iter().map(|r| r.0).collect()], lengths: vec![Lengths::of(&lengths)] }
    }

    #[test]
    fn quantiles_lie_between_neighbours_as_numpy_has_them() {
        // numpy.quantile([1, 2, 4, 8], [.5, .9]) is [3.0, 6.8].
        let rows: Vec<(u32, Option<i64>)> = [4, 1, 8, 2].iter().map(|s| (0, Some(s * SECOND))).collect();
        let mut spans = Spans::none();
        spans.add(chunk(&rows), 100);
        let found = spans.quantiles(0, 0, &[(&[0], std::iter::once(0..1).collect())]);
        let [Some([p50, p90])] = found[0][..] else { panic!("{found:?}") };
        assert!(p50 == 3.0 && (p90 - 6.8).abs() < 1e-12, "{p50} {p90}");
        assert_eq!(spans.error(), None);
    }

    proptest! {
        #[test]
        fn buckets_are_within_the_error_they_state_and_the_same_in_any_order(
            rows in proptest::collection::vec((0_u32..3, proptest::option::weighted(0.9, 0_i64..1 << 44)), 1..300),
            cut in 0_usize..300,
        ) {
            let cut = cut.min(rows.len());
            let (mut whole, mut forth, mut back) = (Spans::none(), Spans::none(), Spans::none());
            whole.add(chunk(&rows), u64::MAX);
            forth.add(chunk(&rows[..cut]), 0);
            forth.add(chunk(&rows[cut..]), 0);
            let mut other = Spans::none();
            other.add(chunk(&rows[..cut]), 1_000);
            back.add(chunk(&rows[cut..]), 0);
            back.merge(other, &[vec![0, 1, 2]], 0);
            let ask = |spans: &Spans| spans.quantiles(0, 0, &[(&[2, 0, 1], vec![0..1, 1..2, 2..3, 0..3, 1..3, 0..0])]).remove(0);
            let (exact, forth, back) = (ask(&whole), ask(&forth), ask(&back));
            prop_assert_eq!(&forth, &back);
            for (exact, sketched) in exact.iter().zip(&forth) {
                prop_assert_eq!(exact.is_some(), sketched.is_some());
                for (exact, sketched) in exact.iter().flatten().zip(sketched.iter().flatten()) {
                    prop_assert!((exact - sketched).abs() <= exact * sketch::RELATIVE_ERROR * (1.0 + 1e-9), "{exact} {sketched}");
                }
            }
        }
    }
}
