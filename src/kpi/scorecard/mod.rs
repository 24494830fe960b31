//! Scorecards: each channel's KPIs against the targets asked of them, over the window each target is judged in.
//!
//! ```text
//! rows of `kpi` (day, month, …) ─ sums over the window and the window before ─ limit, trend, room ─ `scorecard`
//! ```
//!
//! A target has two rows. One is of the window up to the run's clock: what the marketplace shows today, while late events
//! can still move it. The other is of the latest window of the same length that they no longer move much, and only that one
//! counts as missed. Where both are the same window there is one row.

mod limit;
mod rows;
#[cfg(test)]
mod tests;
mod window;

pub use limit::{Trend, room, trend};

use super::engine::{Clock, Counted};
use super::measure::{Measure, Shape, Unit};
use crate::config::{HeldPack, Target};
use crate::error::Result;
use crate::types::interval::wilson95;
use polars::prelude::DataFrame;
use rows::{Lines, Rows, Sums};
use std::collections::BTreeMap;
use window::{Span, Windows};

/// What was counted, with the measures it was counted by.
#[derive(Debug, Clone, Copy)]
pub struct Measured<'a> {
    /// The rows.
    pub counted: &'a Counted,
    /// The measures.
    pub measures: &'a [Measure],
}

/// The scorecard of a run.
#[derive(Debug)]
pub struct Scorecard {
    /// The rows of the `scorecard` table.
    pub frame: DataFrame,
    /// Required targets that were missed over the latest mature window.
    pub missed: Vec<Missed>,
    /// Required targets beyond their limit over the window up to the run's clock, which can still move.
    pub beyond_so_far: Vec<Missed>,
}

/// A target on the wrong side of its limit.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct Missed {
    /// The value of `orders.channel`; null for the whole shop.
    pub channel: Option<String>,
    /// The pack.
    pub pack: String,
    /// The KPI.
    pub kpi: String,
    /// The window by name.
    pub window: String,
    /// Its last day.
    pub until: String,
    /// What was reached, in the KPI's unit.
    pub value: f64,
    /// On which side of the target it has to be: `<`, `<=`, `>`, `>=`.
    pub op: &'static str,
    /// The target, in the KPI's unit.
    pub target: f64,
    /// How many fewer defects would have met the target; null where the KPI is no proportion of cases.
    pub too_many: Option<i64>,
    /// Cases below the line.
    pub denominator: Option<i64>,
}

/// Holds what was counted against every pack.
///
/// # Errors
/// [`Error::Frames`](crate::error::Error::Frames) only for defects.
pub fn score(held: &[HeldPack], measured: &[Measured<'_>], clock: Clock) -> Result<Scorecard> {
    let sums = Sums::of(held, measured)?;
    let windows = Windows::new(clock);
    let mut lines = Lines::default();
    let (mut missed, mut beyond_so_far) = (Vec::new(), Vec::new());
    for pack in held {
        for target in &pack.pack.targets {
            let card = Card { pack, target, clock };
            let Some(measure) = find(measured, &target.kpi) else {
                lines.push(&card, None, None, Err("there is no KPI of this name".to_owned()));
                continue;
            };
            if let Some(why) = not_computable(measured, measure, target) {
                lines.push(&card, None, None, Err(why));
                continue;
            }
            let Some(rows) = sums.of_place(&target.kpi, pack.channel.as_deref()) else {
                lines.push(&card, None, None, Err(no_rows(&sums, pack, target)));
                continue;
            };
            for span in windows.of(target, measure, rows) {
                let line = card.line(measure, rows, &span, &windows);
                if let Ok(line) = &line
                    && line.breach == Some(true)
                    && target.required
                {
                    let into = if line.mature { &mut missed } else { &mut beyond_so_far };
                    into.push(card.missed(line, &span));
                }
                lines.push(&card, Some(measure), Some(&span), line);
            }
        }
    }
    Ok(Scorecard { frame: lines.into_frame()?, missed, beyond_so_far })
}

/// The measure that publishes a KPI of this id; durations publish several.
pub fn find<'a>(measured: &[Measured<'a>], kpi: &str) -> Option<&'a Measure> {
    measured.iter().flat_map(|m| m.measures).find(|m| m.publishes(kpi))
}

fn not_computable(measured: &[Measured<'_>], measure: &Measure, target: &Target) -> Option<String> {
    let all = measured.iter().flat_map(|m| &m.counted.not_computable);
    let missing = all.into_iter().find(|(id, _)| id == measure.id).map(|(_, missing)| missing.join(", "))?;
    Some(format!("`{}` cannot be computed: missing {missing}", target.kpi))
}

fn no_rows(sums: &Sums, pack: &HeldPack, target: &Target) -> String {
    match &pack.channel {
        Some(_) if !sums.by_channel => {
            "KPIs are not split by channel: add `channel` to `kpi.segments`, and map `orders.channel`".to_owned()
        }
        Some(channel) if !sums.channels.contains(channel) => {
            let known: Vec<&str> = sums.channels.iter().map(String::as_str).collect();
            format!("no order came by channel `{channel}`; there are: {}", known.join(", "))
        }
        _ => format!("nothing to count for `{}`", target.kpi),
    }
}

/// A target and what it is held against.
struct Card<'a> {
    pack: &'a HeldPack,
    target: &'a Target,
    clock: Clock,
}

/// What was found over one window.
struct Line {
    numerator: Option<i64>,
    denominator: Option<i64>,
    value: f64,
    interval: Option<(f64, f64)>,
    breach: Option<bool>,
    room: Option<i64>,
    before: Option<Before>,
    change: Option<f64>,
    change_interval: Option<(f64, f64)>,
    trend: Option<Trend>,
    mature: bool,
}

/// The window before.
#[derive(Debug, Clone, Copy)]
struct Before {
    numerator: Option<i64>,
    denominator: Option<i64>,
    value: f64,
}

impl Card<'_> {
    fn line(&self, measure: &Measure, rows: &Rows, span: &Span, windows: &Windows) -> Result<Line, String> {
        let part = measure.part(&self.target.kpi);
        let now = rows.over(span).ok_or_else(|| match rows.parts_missing(span) {
            Some(grain) => format!("`{grain}` is not among `kpi.grains`, and the window is made of it"),
            None => format!("nothing to count in {}", span.words()),
        })?;
        let value = now.value(measure, part, self.clock)?;
        let mature = windows.is_mature(span, measure.matures_after_days);
        let proportion = is_proportion(measure, part);
        let counts = now.numerator.zip(now.denominator).filter(|_| proportion);
        let breach = match counts {
            Some((hits, trials)) => limit::breached(self.target, hits, trials),
            None => self.target.op.breached(value, self.target.value),
        };
        let earlier = span.before().and_then(|before| rows.over(&before));
        let before = earlier.and_then(|sum| {
            let value = sum.value(measure, part, self.clock).ok()?;
            Some(Before { numerator: sum.numerator, denominator: sum.denominator, value })
        });
        // While late events still move this window, the one before it has seen more of its own: no fair comparison.
        let fair = mature || measure.matures_after_days == 0;
        let compared = counts.zip(before.and_then(|b| b.numerator.zip(b.denominator))).filter(|_| fair);
        let change_interval = compared.and_then(|(now, before)| limit::difference(now, before));
        Ok(Line {
            numerator: now.numerator,
            denominator: now.denominator,
            value,
            interval: counts.and_then(|(hits, trials)| wilson95(hits, trials)),
            breach: Some(breach),
            room: counts.and_then(|(hits, trials)| room(self.target, hits, trials)),
            change: before.map(|b| value - b.value),
            before,
            change_interval,
            trend: change_interval.map(|interval| trend(interval, self.target.op)),
            mature,
        })
    }

    fn missed(&self, line: &Line, span: &Span) -> Missed {
        Missed {
            channel: self.pack.channel.clone(),
            pack: self.pack.name.clone(),
            kpi: self.target.kpi.clone(),
            window: span.name(),
            until: span.last_day(),
            value: line.value,
            op: self.target.op.sign(),
            target: self.target.value,
            too_many: line.room.map(|room| -room),
            denominator: line.denominator,
        }
    }
}

/// Whether a KPI is a share of cases, so that defects can be counted.
fn is_proportion(measure: &Measure, part: &str) -> bool {
    matches!(measure.shape, Shape::Proportion { .. }) && measure.unit == Unit::Share || part == "open_share"
}

/// Rows by KPI and channel; none is the whole shop.
type ByPlace = BTreeMap<(String, Option<String>), Rows>;
