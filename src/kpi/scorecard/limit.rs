//! Limits and changes of proportions, exactly where counts are whole.

use crate::config::{Direction, Target};
use crate::types::interval::wilson95;

/// Which way a KPI went since the window before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trend {
    /// The whole interval of the change lies on the good side.
    Better,
    /// It lies on the bad side.
    Worse,
    /// It holds zero: chance explains the change.
    NoClearChange,
}

impl Trend {
    /// Its name in the output.
    pub fn name(self) -> &'static str {
        match self {
            Self::Better => "better",
            Self::Worse => "worse",
            Self::NoClearChange => "no_clear_change",
        }
    }
}

/// Defects that may still come until the target is missed, the cases below the line as they are; below zero how many
/// there are too many.
///
/// For a ceiling the defects are the cases above the line, for a floor (`>=`, as in on-time delivery) those below the line
/// that are not above it. The target is taken as the decimal it was written as, so that `0.035` of 2,000 is exactly 70.
/// `None` when nothing was counted.
pub fn room(target: &Target, hits: i64, trials: i64) -> Option<i64> {
    if trials <= 0 {
        return None;
    }
    let (limit, scale) = decimal(target.value)?;
    let all = i128::from(trials).checked_mul(limit)?;
    let (floor, ceiling) = (all.div_euclid(scale), -(-all).div_euclid(scale));
    let left = match target.op {
        // The largest number of cases above the line that meets the target, less those that are there.
        Direction::AtMost => floor - i128::from(hits),
        Direction::Below => ceiling - 1 - i128::from(hits),
        // The cases above the line, less the smallest number that meets the target.
        Direction::AtLeast => i128::from(hits) - ceiling,
        Direction::Above => i128::from(hits) - floor - 1,
    };
    let misses = if target.op.is_ceiling() { hits } else { trials - hits };
    let left = left.max(i128::from(target.tolerated.saturating_sub(misses)).min(i128::from(trials - misses)));
    i64::try_from(left).ok()
}

/// Whether a proportion misses its target, defects that are tolerated whatever the rate left aside.
pub(super) fn breached(target: &Target, hits: i64, trials: i64) -> bool {
    room(target, hits, trials).is_some_and(|room| room < 0)
}

/// A number as whole over a power of ten, from the shortest decimal that stands for it.
fn decimal(value: f64) -> Option<(i128, i128)> {
    let text = format!("{value}");
    let (whole, rest) = text.split_once('.').unwrap_or((&text, ""));
    let scale = 10_i128.checked_pow(u32::try_from(rest.len()).ok()?)?;
    format!("{whole}{rest}").parse().ok().map(|digits| (digits, scale))
}

/// The 95 % interval of a difference of two proportions, now less before; `None` when one of them has no cases.
///
/// Newcombe, R. G. (1998), Interval estimation for the difference between independent proportions, method 10: from the
/// Wilson intervals of both.
pub(super) fn difference(now: (i64, i64), before: (i64, i64)) -> Option<(f64, f64)> {
    let (low, high) = wilson95(now.0, now.1)?;
    let (low_before, high_before) = wilson95(before.0, before.1)?;
    let (p, q) = (now.0 as f64 / now.1 as f64, before.0 as f64 / before.1 as f64);
    let apart = |a: f64, b: f64| a.mul_add(a, b * b).sqrt();
    Some((p - q - apart(p - low, high_before - q), p - q + apart(high - p, q - low_before)))
}

/// Which way a change went, by its interval and the good side of the target.
pub fn trend((low, high): (f64, f64), op: Direction) -> Trend {
    match (high < 0.0, low > 0.0) {
        (true, _) if op.is_ceiling() => Trend::Better,
        (_, true) if op.is_ceiling() => Trend::Worse,
        (true, _) => Trend::Worse,
        (_, true) => Trend::Better,
        (false, false) => Trend::NoClearChange,
    }
}
