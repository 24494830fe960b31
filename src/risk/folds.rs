//! Folds that roll forward in time, each as a training at that time would have been.
//!
//! ```text
//! fold 1   train ······ gap · calibrate · gap | test |
//! fold 2   train ············· gap · calibrate · gap | test |
//! fold 3   train ···················· gap · calibrate · gap | test |
//! ```
//!
//! The test windows follow one another without a hole over the later half of the labelled orders, with equal numbers of
//! them, so that every order of that half is scored once, by a model that was learnt from what was known before.

use super::Label;
use super::split::{Cuts, MAX_GAP_SHARE, maturing_time};

/// Share of the labelled orders before the first test window.
const BEFORE_FIRST: f64 = 0.5;

/// Share of what lies before a test window that is calibrated on.
const CALIBRATE_SHARE: f64 = 0.2;

/// The cuts of `folds` folds over the rows whose label is known at `as_of`; none when there are no such rows.
///
/// The gap is the time that labels take to mature, or `gap` if that is given; it is at most a quarter of the labelled time.
pub fn rolling(
    placed_at: &[i64],
    labels: &[Label],
    known_at: &[i64],
    as_of: i64,
    folds: usize,
    gap: Option<i64>,
) -> Vec<Cuts> {
    let mut rows: Vec<usize> =
        (0..placed_at.len()).filter(|&row| labels[row].is_some() && known_at[row] <= as_of).collect();
    rows.sort_by_key(|&row| (placed_at[row], row));
    let times: Vec<i64> = rows.iter().map(|&row| placed_at[row]).collect();
    let (Some(&first), Some(&last)) = (times.first(), times.last()) else { return Vec::new() };
    let longest = (last.saturating_sub(first) as f64 * MAX_GAP_SHARE) as i64;
    let gap = gap.unwrap_or_else(|| maturing_time(&rows, placed_at, labels, known_at)).clamp(0, longest);
    let begin = (times.len() as f64 * BEFORE_FIRST) as usize;
    let at = |fold: usize| begin + (times.len() - begin) * fold / folds.max(1);
    let cut = |fold: usize| times.get(at(fold)).copied().unwrap_or_else(|| last.saturating_add(1));
    let fold = |fold: usize| {
        let (test_from, test_until) = (cut(fold), cut(fold + 1));
        let calibrate_until = test_from.saturating_sub(gap);
        let before = times.partition_point(|&time| time < calibrate_until);
        let calibrate_from = times[((before as f64 * (1.0 - CALIBRATE_SHARE)) as usize).min(times.len() - 1)];
        Cuts {
            train_from: i64::MIN,
            train_until: calibrate_from.saturating_sub(gap),
            calibrate_from,
            calibrate_until: calibrate_until.max(calibrate_from),
            test_from,
            test_until,
        }
    };
    (0..folds).map(fold).filter(|cuts| cuts.test_from < cuts.test_until).collect()
}

/// How long labels known at `as_of` took until all but a few good orders were known to be good, microseconds.
pub fn maturing(placed_at: &[i64], labels: &[Label], known_at: &[i64], as_of: i64) -> i64 {
    let rows: Vec<usize> =
        (0..placed_at.len()).filter(|&row| labels[row].is_some() && known_at[row] <= as_of).collect();
    maturing_time(&rows, placed_at, labels, known_at)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::time::DAY;

    #[test]
    fn test_windows_cover_the_later_half_once_and_labels_are_mature_when_they_begin() {
        let placed: Vec<i64> = (0..1_000).map(|at| at * DAY / 5).collect();
        let labels: Vec<Label> = (0..1_000).map(|at| Some(at % 9 == 0)).collect();
        let known: Vec<i64> = placed.iter().map(|at| at + 10 * DAY).collect();
        let folds = rolling(&placed, &labels, &known, i64::MAX, 4, None);
        assert_eq!(folds.len(), 4);
        assert_eq!((folds[0].test_from, folds[3].test_until), (100 * DAY, placed[999] + 1));
        for (fold, next) in folds.iter().zip(&folds[1..]) {
            assert_eq!(fold.test_until, next.test_from);
        }
        for fold in &folds {
            assert_eq!(
                (fold.test_from - fold.calibrate_until, fold.calibrate_from - fold.train_until),
                (10 * DAY, 10 * DAY)
            );
            assert!(fold.train_until < fold.calibrate_from && fold.calibrate_from < fold.calibrate_until);
        }
    }

    #[test]
    fn without_labels_there_are_no_folds() {
        assert_eq!(rolling(&[1, 2], &[None, None], &[1, 2], 9, 3, None), Vec::new());
    }
}
