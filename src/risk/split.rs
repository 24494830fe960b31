//! Train, calibrate and test slices in time order.
//!
//! Orders are cut by `placed_at`, so that the slices hold the wanted shares of the rows that remain once a gap is left
//! open before each cut. The gap is as long as labels take to mature: a model trained when the calibration slice began
//! could not have known the labels of the weeks before. Both outcomes are left out of the gap alike. Leaving out only
//! what was not known yet would keep the frauds of those weeks (a chargeback is known in days) and lose their good
//! orders (good only after 90 days), and so teach a wrong rate.

use serde::{Deserialize, Serialize};

use super::{Label, Target};
use crate::error::{Error, Result};
use crate::types::time::DAY;

/// Fewest rows of each outcome in the training slice.
///
/// Below some 25 the coefficients of even a handful of features are noise.
pub const MIN_TRAIN_OUTCOMES: usize = 25;
/// Fewest rows of each outcome in the calibration and in the test slice: two calibration parameters need about as many,
/// and intervals of a test on fewer say nothing.
pub const MIN_LATER_OUTCOMES: usize = 10;
/// Share of negatives whose label is known within the gap that is taken from the data.
const GAP_COVERS: f64 = 0.95;
/// One gap takes at most this share of the labelled time span, so that both leave half of it to learn from.
pub(super) const MAX_GAP_SHARE: f64 = 0.25;

/// Where slices begin and end when that is given and not found: instants in UTC microseconds, ends exclusive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cuts {
    /// The first instant to learn from.
    pub train_from: i64,
    /// End of the training slice.
    pub train_until: i64,
    /// Begin of the calibration slice.
    pub calibrate_from: i64,
    /// End of the calibration slice.
    pub calibrate_until: i64,
    /// Begin of the test slice.
    pub test_from: i64,
    /// End of the test slice.
    pub test_until: i64,
}

/// How to split.
#[derive(Debug, Clone, PartialEq)]
pub struct SplitSettings {
    /// Labels known after this instant (UTC microseconds) do not exist yet.
    pub as_of: i64,
    /// Shares of rows in the training, calibration and test slice; they need not sum to 1.
    pub shares: [f64; 3],
    /// Least gap before each cut, in microseconds; the time that labels take, where longer, replaces it.
    pub gap: i64,
    /// Whether to refuse when the labelled time is too short for the whole gap. Otherwise the gap is shortened to a
    /// quarter of the span and the split says so in its note.
    pub refuse_short_gap: bool,
}

/// Row indices by slice, each in time order, and where the cuts are.
#[derive(Debug, Clone, PartialEq)]
pub struct Split {
    /// Rows to fit on.
    pub train: Vec<usize>,
    /// Rows to choose the penalty and to calibrate on.
    pub calibrate: Vec<usize>,
    /// Rows to measure on.
    pub test: Vec<usize>,
    /// What was decided.
    pub report: SplitReport,
}

/// What a split did, for the record.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SplitReport {
    /// Rows with a mature label.
    pub labelled: usize,
    /// Labelled rows in the gaps, or with a label that came later than its slice allows.
    pub set_aside: usize,
    /// The gap left before each cut, in microseconds.
    pub gap_micros: i64,
    /// The gap that labels would need, in microseconds.
    pub wanted_gap_micros: i64,
    /// What a reader of the evaluation should know.
    pub note: Option<String>,
}

/// Splits the rows whose label is known at `settings.as_of`.
///
/// # Errors
/// [`Error::Model`] when a slice would have too few rows of an outcome, with the numbers found.
pub fn split(
    target: Target,
    placed_at: &[i64],
    labels: &[Label],
    known_at: &[i64],
    settings: &SplitSettings,
) -> Result<Split> {
    let mut rows: Vec<usize> = (0..placed_at.len())
        .filter(|&row| labels[row].is_some() && known_at[row] <= settings.as_of && placed_at[row] <= settings.as_of)
        .collect();
    rows.sort_by_key(|&row| (placed_at[row], row));
    let times: Vec<i64> = rows.iter().map(|&row| placed_at[row]).collect();

    let wanted_gap = settings.gap.max(maturing_time(&rows, placed_at, labels, known_at)).max(0);
    let span = times.last().zip(times.first()).map_or(0, |(last, first)| last.saturating_sub(*first));
    let longest = (span as f64 * MAX_GAP_SHARE) as i64;
    let short = wanted_gap > longest;
    let note = short.then(|| {
        format!(
            "labels take {} to be known but only {} of labelled orders are there: the gap between slices is {}, so \
             later slices were scored by a model that knew its labels earlier than it could in service",
            days(wanted_gap),
            days(span),
            days(longest)
        )
    });
    if short && settings.refuse_short_gap {
        return Err(Error::Model {
            message: format!(
                "{} of labelled orders are too few to train `{target}`: labels take {} to be known",
                days(span),
                days(wanted_gap)
            ),
            hint: Some("train again when more time has passed, or allow a shorter gap".to_owned()),
        });
    }
    let gap = wanted_gap.min(longest);
    let [calibrate_from, test_from] = cuts(&times, settings.shares, gap);

    // With the whole gap, a label that still was not known at the next cut is a straggler and is left out alone. With a
    // shortened gap this would drop good orders only: see the module's head.
    let known_by = |row: usize, cut: i64| short || known_at[row] <= cut;
    let slice = |from: i64, to: i64, cut: i64| -> Vec<usize> {
        let (begin, end) = (times.partition_point(|&t| t < from), times.partition_point(|&t| t < to));
        rows[begin..end.max(begin)].iter().copied().filter(|&row| known_by(row, cut)).collect()
    };
    let train = slice(i64::MIN, calibrate_from.saturating_sub(gap), calibrate_from);
    let calibrate = slice(calibrate_from, test_from.saturating_sub(gap), test_from);
    let test = slice(test_from, i64::MAX, i64::MAX);
    require_outcomes(target, labels, &rows, [&train, &calibrate, &test])?;
    let report = SplitReport {
        labelled: rows.len(),
        set_aside: rows.len() - train.len() - calibrate.len() - test.len(),
        gap_micros: gap,
        wanted_gap_micros: wanted_gap,
        note,
    };
    Ok(Split { train, calibrate, test, report })
}

/// Splits at given cuts the rows whose label is known at `as_of`.
///
/// Nothing is left out but what lies between the slices: the caller answers for the gaps, and the note says how many
/// labels to learn from were not known yet when the test slice began.
///
/// # Errors
/// [`Error::Model`] when the cuts do not follow one another or a slice has too few rows of an outcome.
pub fn split_at(
    target: Target,
    placed_at: &[i64],
    labels: &[Label],
    known_at: &[i64],
    as_of: i64,
    cuts: &Cuts,
) -> Result<Split> {
    let Cuts { train_from, train_until, calibrate_from, calibrate_until, test_from, test_until } = *cuts;
    if [train_from, train_until, calibrate_from, calibrate_until, test_from, test_until]
        .windows(2)
        .any(|at| at[0] > at[1])
    {
        return Err(Error::Model {
            message: "the cuts do not follow one another: training, calibration and test are later each".to_owned(),
            hint: None,
        });
    }
    let mut rows: Vec<usize> =
        (0..placed_at.len()).filter(|&row| labels[row].is_some() && known_at[row] <= as_of).collect();
    rows.sort_by_key(|&row| (placed_at[row], row));
    let slice = |from: i64, until: i64| -> Vec<usize> {
        rows.iter().copied().filter(|&row| (from..until).contains(&placed_at[row])).collect()
    };
    let train = slice(train_from, train_until);
    let calibrate = slice(calibrate_from, calibrate_until);
    let test = slice(test_from, test_until);
    require_outcomes(target, labels, &rows, [&train, &calibrate, &test])?;
    let late = train.iter().chain(&calibrate).filter(|&&row| known_at[row] > test_from).count();
    let note = (late > 0).then(|| {
        format!(
            "{late} of {} labels learnt from were not yet known when the test slice began: in service they would be \
             missing",
            train.len() + calibrate.len()
        )
    });
    let report = SplitReport {
        labelled: rows.len(),
        set_aside: rows.len() - train.len() - calibrate.len() - test.len(),
        gap_micros: test_from.saturating_sub(calibrate_until),
        wanted_gap_micros: maturing_time(&rows, placed_at, labels, known_at),
        note,
    };
    Ok(Split { train, calibrate, test, report })
}

/// How long it takes until all but a few good orders are known to be good. Good ones, because their label needs the
/// whole wait, where a bad end may be known at once.
pub(super) fn maturing_time(rows: &[usize], placed_at: &[i64], labels: &[Label], known_at: &[i64]) -> i64 {
    let negatives = rows.iter().filter(|&&row| labels[row] == Some(false));
    let mut waits: Vec<i64> = negatives.map(|&row| known_at[row].saturating_sub(placed_at[row]).max(0)).collect();
    waits.sort_unstable();
    let at = (waits.len() as f64 * GAP_COVERS).ceil() as usize;
    waits.get(at.saturating_sub(1)).copied().unwrap_or(0)
}

/// The instants at which the calibration and the test slice begin.
fn cuts(times: &[i64], shares: [f64; 3], gap: i64) -> [i64; 2] {
    let rows_before = |t: i64| times.partition_point(|&time| time < t);
    // Where the calibration slice ends, for a given begin: the first row from which it has its share against the test.
    let calibrate_end = |begin: i64| {
        let first = rows_before(begin);
        let enough = |at: usize| {
            let (calibrate, test) = (at - first, times.len() - rows_before(times[at].saturating_add(gap)));
            calibrate as f64 * shares[2] >= test as f64 * shares[1]
        };
        first_index(first, times.len(), enough).map_or(i64::MAX, |at| times[at])
    };
    let train_enough = |at: usize| {
        let begin = times[at].saturating_add(gap);
        let end = calibrate_end(begin);
        let (first, last) = (rows_before(begin), rows_before(end));
        let later = last.saturating_sub(first) + (times.len() - rows_before(end.saturating_add(gap)));
        at as f64 * (shares[1] + shares[2]) >= later as f64 * shares[0]
    };
    let train_end = first_index(0, times.len(), train_enough).map_or(i64::MAX, |at| times[at]);
    let calibrate_from = train_end.saturating_add(gap);
    [calibrate_from, calibrate_end(calibrate_from).saturating_add(gap)]
}

/// The first index in `from..to` from which a monotone condition holds.
fn first_index(from: usize, to: usize, holds: impl Fn(usize) -> bool) -> Option<usize> {
    let (mut low, mut high) = (from, to);
    while low < high {
        let middle = low + (high - low) / 2;
        if holds(middle) { high = middle } else { low = middle + 1 }
    }
    (low < to).then_some(low)
}

fn require_outcomes(target: Target, labels: &[Label], all: &[usize], slices: [&[usize]; 3]) -> Result<()> {
    let count = |rows: &[usize], wanted: bool| rows.iter().filter(|&&row| labels[row] == Some(wanted)).count();
    for (wanted, word) in [(true, "positive"), (false, "negative")] {
        let found = slices.map(|rows| count(rows, wanted));
        let least = [MIN_TRAIN_OUTCOMES, MIN_LATER_OUTCOMES, MIN_LATER_OUTCOMES];
        if found.iter().zip(least).any(|(found, least)| *found < least) {
            return Err(Error::Model {
                message: format!(
                    "not enough labels to learn `{target}`: {} {word} labels in the training, {} in the calibration \
                     and {} in the test slice; at least {}, {} and {} are needed ({} mature labels in all, {} of them \
                     {word})",
                    found[0],
                    found[1],
                    found[2],
                    least[0],
                    least[1],
                    least[2],
                    all.len(),
                    count(all, wanted)
                ),
                hint: Some(
                    "map more history or more label sources (`orders.fraud`, chargeback tickets, review decisions, \
                     returns), or run without this target: rules still act"
                        .to_owned(),
                ),
            });
        }
    }
    Ok(())
}

fn days(micros: i64) -> String {
    format!("{:.1} d", micros as f64 / DAY as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(as_of: i64) -> SplitSettings {
        SplitSettings { as_of, shares: [0.60, 0.15, 0.25], gap: 0, refuse_short_gap: false }
    }

    /// One order an hour for so many days; every tenth is positive.
    fn history(days: i64, wait: i64) -> (Vec<i64>, Vec<Label>, Vec<i64>) {
        let placed: Vec<i64> = (0..days * 24).map(|hour| hour * DAY / 24).collect();
        let labels = (0..placed.len()).map(|row| Some(row % 10 == 3)).collect();
        let known = placed.iter().map(|t| t + wait).collect();
        (placed, labels, known)
    }

    #[test]
    fn labels_known_at_once_are_cut_by_the_shares() {
        let (placed, labels, known) = history(100, 0);
        let split = split(Target::Fraud, &placed, &labels, &known, &settings(i64::MAX)).unwrap();
        assert_eq!([split.train.len(), split.calibrate.len(), split.test.len()], [1_440, 360, 600]);
        assert_eq!(split.report, SplitReport { labelled: 2_400, ..SplitReport::default() });
    }

    #[test]
    fn no_training_label_was_known_later_than_the_next_slice_begins() {
        let (placed, labels, known) = history(100, 10 * DAY);
        let split = split(Target::Fraud, &placed, &labels, &known, &settings(i64::MAX)).unwrap();
        for (earlier, later) in [(&split.train, &split.calibrate), (&split.calibrate, &split.test)] {
            let begins = placed[later[0]];
            assert!(earlier.iter().all(|&row| known[row] <= begins));
        }
        let shares = [&split.train, &split.calibrate, &split.test].map(|rows| rows.len() as f64 / 80.0 / 24.0);
        for (share, wanted) in shares.iter().zip([0.60, 0.15, 0.25]) {
            assert!((share - wanted).abs() < 0.02, "{shares:?}");
        }
        assert_eq!(split.report.note, None);
    }

    #[test]
    fn a_gap_keeps_the_rate_of_positives_although_they_are_known_early() {
        let (placed, labels, mut known) = history(200, 40 * DAY);
        for row in 0..placed.len() {
            if labels[row] == Some(true) {
                known[row] = placed[row] + DAY;
            }
        }
        let split = split(Target::Fraud, &placed, &labels, &known, &settings(i64::MAX)).unwrap();
        for rows in [&split.train, &split.calibrate, &split.test] {
            let positives = rows.iter().filter(|&&row| labels[row] == Some(true)).count();
            assert!((positives as f64 / rows.len() as f64 - 0.1).abs() < 0.005);
        }
    }

    #[test]
    fn what_is_not_known_at_the_clock_does_not_exist() {
        let (placed, labels, known) = history(100, 10 * DAY);
        let split = split(Target::Fraud, &placed, &labels, &known, &settings(60 * DAY)).unwrap();
        assert!(split.test.iter().all(|&row| known[row] <= 60 * DAY));
        assert_eq!(split.report.labelled, 50 * 24 + 1);
    }

    #[test]
    fn a_history_too_short_for_the_gap_says_so_or_is_refused() {
        let (placed, labels, known) = history(100, 90 * DAY);
        let mut wanted = settings(i64::MAX);
        let shortened = split(Target::Return, &placed, &labels, &known, &wanted).unwrap();
        assert!(shortened.report.note.unwrap().contains("90.0 d"));
        wanted.refuse_short_gap = true;
        assert_eq!(split(Target::Return, &placed, &labels, &known, &wanted).unwrap_err().exit_code(), 4);
    }

    #[test]
    fn too_few_positives_are_refused_with_their_numbers() {
        let (placed, mut labels, known) = history(100, 0);
        for (row, label) in labels.iter_mut().enumerate() {
            *label = if row % 3 == 0 { None } else { Some(row % 240 == 1) };
        }
        let error = split(Target::Fraud, &placed, &labels, &known, &settings(i64::MAX)).unwrap_err();
        assert_eq!(
            error.to_string(),
            "not enough labels to learn `fraud`: 6 positive labels in the training, 2 in the calibration and 2 in \
             the test slice; at least 25, 10 and 10 are needed (1600 mature labels in all, 10 of them positive)"
        );
        assert!(split(Target::Fraud, &[], &[], &[], &settings(0)).is_err());
    }
}
