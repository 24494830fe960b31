//! Several runs as one.

use super::run::Run;
use super::sort::PART_ROWS;
use rayon::prelude::*;

impl Run {
    /// Runs as one, of equal rows those of earlier runs first; linear.
    ///
    /// All of them in one go: one after the other, what is merged first would be moved once for each that it is merged with.
    /// The first run should be the longest.
    pub(super) fn merged(runs: Vec<Self>) -> Self {
        let mut runs: Vec<Self> = runs.into_iter().filter(|run| run.len() > 0).collect();
        if runs.len() < 2 {
            return runs.pop().unwrap_or_default();
        }
        let later = runs.split_off(1);
        let first = runs.pop().unwrap_or_default();
        match later.len() {
            1 => first.and(&later[0], |at| at),
            _ => {
                let (rows, order) = in_a_row(&later);
                drop(later);
                first.and(&rows, |at| order[at] as usize)
            }
        }
    }

    /// This run and rows that `nth` puts into the order of a run, as one.
    fn and(self, other: &Self, nth: impl Fn(usize) -> usize) -> Self {
        let (left, right) = (self.len(), other.len());
        let (a, b) = (self.rows(), other.rows());
        let keys = (&self.entity[..], &other.entity[..]);
        // Rows of the other one are numbered after those of this one.
        let mut order = Vec::with_capacity(left + right);
        merge_by(
            (left, |at| (keys.0[at], a.happened[at])),
            (right, |at| (keys.1[nth(at)], b.happened[nth(at)])),
            |is_first, at, of_other| order.push(if is_first { at } else { left + nth(of_other.min(right - 1)) } as u32),
        );
        let rows: Order = (&order, left);
        let known = || both(rows, a.known_or_happened(), b.known_or_happened());
        Self {
            entity: both(rows, keys.0, keys.1).into(),
            happened: both(rows, a.happened, b.happened).into(),
            known: if a.known.is_empty() && b.known.is_empty() { Vec::new() } else { known() }.into(),
            value: both(rows, a.value, b.value).into(),
            other: both(rows, a.other, b.other).into(),
            label: both(rows, a.label, b.label),
        }
    }
}

/// Goes through two sorted sequences of so many keys as through one, the first one's before equal ones of the second, and
/// says of each whether it is of the first, with the places where both are.
///
/// Whose turn it is nobody can guess, a processor neither: so nothing branches on it.
fn merge_by<K: Ord>(
    (left, of_left): (usize, impl Fn(usize) -> K),
    (right, of_right): (usize, impl Fn(usize) -> K),
    mut next: impl FnMut(bool, usize, usize),
) {
    let (mut at, mut of_other) = (0, 0);
    while at < left && of_other < right {
        let is_first = of_left(at) <= of_right(of_other);
        next(is_first, at, of_other);
        at += usize::from(is_first);
        of_other += usize::from(!is_first);
    }
    (at..left).for_each(|at| next(true, at, of_other));
    (of_other..right).for_each(|of_other| next(false, at, of_other));
}

/// Runs one behind the other, and the order that makes them one run.
fn in_a_row(runs: &[Run]) -> (Run, Vec<u32>) {
    fn joined<'r, T: Copy + 'r>(runs: &'r [Run], column: impl Fn(&'r Run) -> &'r [T]) -> Vec<T> {
        runs.iter().map(column).collect::<Vec<_>>().concat()
    }
    let are_late = runs.iter().any(|run| !run.known.is_empty());
    let rows = Run {
        entity: joined(runs, |run| &run.entity[..]).into(),
        happened: joined(runs, |run| &run.happened[..]).into(),
        known: if are_late { joined(runs, |run| run.rows().known_or_happened()) } else { Vec::new() }.into(),
        value: joined(runs, |run| &run.value[..]).into(),
        other: joined(runs, |run| &run.other[..]).into(),
        label: joined(runs, |run| &run.label[..]),
    };
    let ends: Vec<usize> = runs
        .iter()
        .scan(0, |end, run| {
            *end += run.len();
            Some(*end)
        })
        .collect();
    let key = |row: usize| (rows.entity[row], rows.happened[row]);
    // The shortest first, which are the last.
    let mut order: Vec<u32> = Vec::new();
    for (nth, end) in ends.iter().enumerate().rev() {
        let start = if nth == 0 { 0 } else { ends[nth - 1] };
        let mut merged = Vec::with_capacity(end - start + order.len());
        merge_by(
            (end - start, |at| key(start + at)),
            (order.len(), |at| key(order[at] as usize)),
            |is_first, at, of_other| {
                let later = order.get(of_other).copied().unwrap_or_default();
                merged.push(if is_first { (start + at) as u32 } else { later });
            },
        );
        order = merged;
    }
    (rows, order)
}

/// An order of rows, and from which number on they are those of a second run.
type Order<'a> = (&'a [u32], usize);

/// A column of two runs in an order; an absent (empty) one stays so, and it is absent from both.
fn both<T: Copy + Send + Sync>((order, second): Order, a: &[T], b: &[T]) -> Vec<T> {
    if a.is_empty() && b.is_empty() {
        return Vec::new();
    }
    // Looked up in both, as above.
    let at = |&row: &u32| {
        let row = row as usize;
        let (of_a, of_b) = (a[row.min(second - 1)], b[row.saturating_sub(second)]);
        if row < second { of_a } else { of_b }
    };
    order.par_iter().with_min_len(PART_ROWS).map(at).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// A run of these events, which are told apart by their values.
    fn run(mut events: Vec<(u32, i64)>, first: i64, is_late: bool) -> Run {
        events.sort_unstable();
        let (entity, happened): (Vec<u32>, Vec<i64>) = events.iter().copied().unzip();
        let known = if is_late { happened.iter().map(|at| at + 3).collect() } else { Vec::new() };
        let value: Vec<i64> = (first..).take(events.len()).collect();
        let other: Vec<u32> = value.iter().map(|value| *value as u32 + 1).collect();
        let label = value.iter().map(|value| value % 3 == 0).collect();
        let (entity, happened, known) = (entity.into(), happened.into(), known.into());
        Run { entity, happened, known, value: value.into(), other: other.into(), label }
    }

    proptest! {
        #[test]
        fn runs_merged_at_once_are_all_their_events_in_order_those_of_earlier_runs_first(
            runs in prop::collection::vec((prop::collection::vec((0..4_u32, 0..5_i64), 0..12), any::<bool>()), 0..7),
        ) {
            let runs: Vec<Run> =
                (0..).zip(runs).map(|(nth, (events, is_late))| run(events, nth * 100, is_late)).collect();
            let mut rows: Vec<_> = runs
                .iter()
                .flat_map(|run| {
                    let rows = run.rows();
                    (0..run.len()).map(move |at| {
                        (run.entity[at], rows.happened[at], rows.known(at), rows.value[at], rows.other[at], rows.label[at])
                    })
                })
                .collect();
            // Stable: of equal entities and times those of earlier runs stay first.
            rows.sort_by_key(|row| (row.0, row.1));
            let is_late = runs.iter().any(|run| !run.known.is_empty());
            let merged = Run::merged(runs);
            let found: Vec<_> = (0..merged.len())
                .map(|at| {
                    let rows = merged.rows();
                    (merged.entity[at], rows.happened[at], rows.known(at), rows.value[at], rows.other[at], rows.label[at])
                })
                .collect();
            prop_assert_eq!(found, rows);
            prop_assert_eq!(merged.known.is_empty(), !is_late);
        }
    }
}
