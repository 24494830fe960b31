//! From values to a few numbered bins: all that a histogram learner sees of a feature.
//!
//! forust cuts at equal shares of the rows. That is blind where it matters here: half of a count is 0 and takes half of
//! the cuts with it, and the outermost 1/255 of the rows, where fraud sits, is one bin. So values are numbered here and
//! forust is given the numbers, of which it then cuts between any two:
//!
//! 1. a value that fills a bin's share alone has a bin of its own, and the others share what is left evenly (the idea
//!    of LightGBM's `FindBin`);
//! 2. the outermost bin at either end is halved again and again ([`TAIL_EDGES`]);
//! 3. edges lie midway between two values seen, so that a threshold does not hang on one row.

/// Most edges of a feature: bins are counted in a byte, of which one value stands for "missing".
pub const MAX_EDGES: usize = 254;

/// Edges kept for each tail. Eight halvings of 1/255 of the rows come down to one row in 65,000.
const TAIL_EDGES: usize = 8;

/// Rows below which a tail is not halved further: fewer teach only themselves.
const LEAST_TAIL_ROWS: usize = 20;

/// Edges of one feature, ascending; the number of a value is how many edges are at or below it.
///
/// The first edge is the smallest finite number, so that finite values have a number of at least 1 and "below the
/// smallest value seen" is a threshold like any other: trees part missing from present values by it.
#[derive(Debug, Clone, PartialEq)]
pub struct Bins {
    edges: Vec<f64>,
}

impl Bins {
    /// Learns the edges from values; those that are not finite are left out.
    pub fn fit(values: impl Iterator<Item = f64>) -> Self {
        let mut sorted: Vec<f64> = values.filter(|x| x.is_finite()).collect();
        sorted.sort_unstable_by(f64::total_cmp);
        let mut distinct: Vec<(f64, usize)> = Vec::new();
        for &x in &sorted {
            match distinct.last_mut() {
                Some((value, count)) if *value == x => *count += 1,
                _ => distinct.push((x, 1)),
            }
        }
        let mut starts = if distinct.len() < MAX_EDGES {
            (1..distinct.len()).collect()
        } else {
            even_shares(&distinct, sorted.len(), MAX_EDGES - 1 - 2 * TAIL_EDGES)
        };
        if distinct.len() >= MAX_EDGES {
            halve_tails(&distinct, &mut starts);
        }
        let edges = starts.iter().map(|&at| midway(distinct[at - 1].0, distinct[at].0));
        Self { edges: std::iter::once(f64::MIN).chain(edges).collect() }
    }

    /// The number of a value, in `1..=MAX_EDGES`; `None` for NaN. What is infinite counts as the far end.
    pub fn number(&self, x: f64) -> Option<usize> {
        (!x.is_nan()).then(|| self.edges.partition_point(|edge| *edge <= x).max(1))
    }

    /// The threshold that has exactly the values of numbers below `number` under it; `None` for a number that is not
    /// in `1..=MAX_EDGES`, which no split has.
    pub fn below(&self, number: usize) -> Option<f64> {
        self.edges.get(number.checked_sub(1)?).copied()
    }
}

/// Where bins begin, as indices of `distinct` after the first, when `bins` bins share the rows as evenly as heavy
/// values let them.
fn even_shares(distinct: &[(f64, usize)], rows: usize, bins: usize) -> Vec<usize> {
    let heavy = |count: usize| count * bins >= rows;
    let (heavy_values, heavy_rows) =
        distinct.iter().filter(|(_, count)| heavy(*count)).fold((0, 0), |(n, sum), (_, count)| (n + 1, sum + count));
    let (mut bins_left, mut rows_left) = (bins.saturating_sub(heavy_values).max(1), rows - heavy_rows);
    let mut starts = Vec::with_capacity(bins);
    let mut held = 0;
    for (at, &(_, count)) in distinct.iter().enumerate() {
        let full = held * bins_left >= rows_left && held > 0;
        let after_heavy = at > 0 && heavy(distinct[at - 1].1);
        if at > 0 && (full || after_heavy || heavy(count)) {
            starts.push(at);
            if !after_heavy {
                rows_left -= held;
                bins_left = bins_left.saturating_sub(1).max(1);
            }
            held = 0;
        }
        if !heavy(count) {
            held += count;
        }
    }
    // A light value between two heavy ones takes a bin out of turn: what is too many is dropped evenly.
    let wanted = starts.len().min(bins - 1);
    (0..wanted).map(|i| starts[i * starts.len() / wanted]).collect()
}

/// Adds starts that halve the last and the first bin by rows, up to [`TAIL_EDGES`] at each end.
fn halve_tails(distinct: &[(f64, usize)], starts: &mut Vec<usize>) {
    let rows = |from: usize, to: usize| distinct[from..to].iter().map(|(_, count)| count).sum::<usize>();
    let (first, last) = (starts.first().copied().unwrap_or(0), starts.last().copied().unwrap_or(0));
    // The start that leaves about half of the rows of `from..to` on either side.
    let half = |from: usize, to: usize| {
        let (all, mut below) = (rows(from, to), 0);
        (from + 1..to).find(|&at| {
            below += distinct[at - 1].1;
            2 * below >= all
        })
    };
    let (mut from, mut to) = (last, first);
    for _ in 0..TAIL_EDGES {
        if let Some(at) = half(from, distinct.len()).filter(|&at| rows(at, distinct.len()) >= LEAST_TAIL_ROWS) {
            starts.push(at);
            from = at;
        }
        if let Some(at) = half(0, to).filter(|&at| rows(0, at) >= LEAST_TAIL_ROWS) {
            starts.push(at);
            to = at;
        }
    }
    starts.sort_unstable();
    starts.dedup();
}

/// A number above `a` and at most `b`, half way where there is one.
fn midway(a: f64, b: f64) -> f64 {
    let middle = a / 2.0 + b / 2.0;
    if a < middle && middle <= b { middle } else { b }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_values_have_a_bin_each_and_edges_lie_midway() {
        let bins = Bins::fit([3.0, 0.0, 1.0, f64::NAN, 1.0, f64::INFINITY].into_iter());
        assert_eq!(bins.edges, [f64::MIN, 0.5, 2.0]);
        let numbers = [f64::NEG_INFINITY, -9.0, 0.49, 0.5, 1.0, 2.0, 1e300, f64::INFINITY, f64::NAN];
        let expected = [1, 1, 1, 2, 2, 3, 3, 3].map(Some).into_iter().chain([None]).collect::<Vec<_>>();
        assert_eq!(numbers.map(|x| bins.number(x)).to_vec(), expected);
    }

    #[test]
    fn a_number_is_below_another_exactly_when_the_value_is_below_its_threshold() {
        let values = || (0..5_000).map(|i: i32| (f64::from(i) * 0.37).sin().powi(3) * 100.0);
        let bins = Bins::fit(values());
        for number in 1..=bins.edges.len() {
            let below = bins.below(number).unwrap();
            for x in values().chain([below, below.next_down(), below.next_up()]).filter(|x| x.is_finite()) {
                assert_eq!(bins.number(x).unwrap() < number, x < below, "{x} {below}");
            }
        }
        assert_eq!((bins.below(0), bins.below(bins.edges.len() + 1)), (None, None));
    }

    #[test]
    fn a_heavy_value_does_not_take_the_cuts_of_the_others() {
        let bins = Bins::fit((0..20_000).map(|i| if i % 10 != 0 { 0.0 } else { f64::from(i) }));
        assert!((230..=MAX_EDGES).contains(&bins.edges.len()), "{}", bins.edges.len());
        assert!(bins.edges[1] < 100.0 && bins.number(0.0) == Some(1), "{:?}", &bins.edges[..3]);
    }

    #[test]
    fn the_tails_are_told_apart_down_to_a_few_rows() {
        let bins = Bins::fit((0..100_000).map(f64::from));
        assert!(bins.edges.len() <= MAX_EDGES && bins.edges.len() > 240, "{}", bins.edges.len());
        let last = bins.edges[bins.edges.len() - 1];
        assert!(last > 99_950.0 && last <= 99_980.0, "{last}");
        assert!(bins.edges[1] < 50.0 && bins.edges[1] >= 19.0, "{}", bins.edges[1]);
    }

    #[test]
    fn nothing_and_neighbouring_numbers_are_no_trouble() {
        assert_eq!(Bins::fit(std::iter::empty()).edges, [f64::MIN]);
        let next = 1.0_f64.next_up();
        assert_eq!(Bins::fit([1.0, next].into_iter()).edges, [f64::MIN, next]);
        assert_eq!(Bins::fit([-0.0, 0.0].into_iter()).edges, [f64::MIN]);
        assert_eq!(Bins::fit([f64::MIN, f64::MAX].into_iter()).edges, [f64::MIN, 0.0]);
    }
}
