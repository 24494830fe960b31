//! The days a target is judged over, and the same number of days before them.

use super::rows::Rows;
use crate::config::{Target, Window};
use crate::kpi::engine::Clock;
use crate::kpi::measure::Measure;
use crate::types::time::{DAY, date_of, day_start, days_since_epoch, local_day};
use chrono::{Datelike, Months, NaiveDate};

/// A window on the calendar.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Span {
    /// The kind of window.
    pub(super) window: Window,
    /// First day, days since 1970-01-01.
    pub(super) start: i32,
    /// Last day.
    pub(super) end: i32,
}

impl Span {
    fn ending(window: Window, end: i32) -> Option<Self> {
        let last = date_of(end)?;
        let start = match window {
            Window::Day => end,
            Window::Week => end - 6,
            Window::Trailing(days) => end - days + 1,
            Window::Month => days_since_epoch(last.with_day(1)?),
            Window::Months { months, .. } => {
                let first = last.with_day(1)?.checked_sub_months(Months::new(u32::try_from(months).ok()? - 1))?;
                days_since_epoch(first)
            }
            Window::All => i32::MIN,
        };
        Some(Self { window, start, end })
    }

    /// The same window before this one; none before everything.
    pub(super) fn before(&self) -> Option<Self> {
        if self.window == Window::All { None } else { Self::ending(self.window, self.start - 1) }
    }

    /// The grain whose rows add up to it, and the grain that has it as one row.
    pub(super) fn grains(&self) -> (&'static str, String) {
        let parts = match self.window {
            Window::Day | Window::Trailing(_) => "day",
            Window::Week => "week",
            Window::Month | Window::Months { .. } => "month",
            Window::All => "all",
        };
        (parts, self.window.name())
    }

    /// The window by name, as it was taken.
    pub(super) fn name(&self) -> String {
        self.window.name()
    }

    /// Its last day as text.
    pub(super) fn last_day(&self) -> String {
        date_of(self.end).map(|d| d.to_string()).unwrap_or_default()
    }

    /// In words for a message.
    pub(super) fn words(&self) -> String {
        match date_of(self.start) {
            Some(first) if self.window != Window::All => format!("{first} to {}", self.last_day()),
            _ => format!("all days to {}", self.last_day()),
        }
    }
}

/// Finds windows by the run's clock.
pub(super) struct Windows {
    clock: Clock,
    /// The day in progress at the run's clock, or the one that just ended with it.
    today: i32,
}

impl Windows {
    pub(super) fn new(clock: Clock) -> Self {
        let today = local_day(clock.as_of - 1, clock.zone).unwrap_or_default();
        Self { clock, today }
    }

    /// Whether late events can no longer move a window much. One that ends with the day of the run's clock is over at the
    /// clock, as trailing windows of the `kpi` table are.
    pub(super) fn is_mature(&self, span: &Span, days: i64) -> bool {
        let at_the_clock = matches!(span.window, Window::Trailing(_)) && span.end == self.today && days == 0;
        at_the_clock || self.mature(span.end, days)
    }

    fn mature(&self, end: i32, days: i64) -> bool {
        let next = end.checked_add(1).and_then(date_of);
        next.is_some_and(|next| day_start(next, self.clock.zone) + days * DAY <= self.clock.as_of)
    }

    /// The windows a target is judged over: up to the run's clock, and the latest mature one where that is another.
    pub(super) fn of(&self, target: &Target, measure: &Measure, rows: &Rows) -> Vec<Span> {
        let days = measure.matures_after_days;
        let mut last_mature = self.today;
        // Maturities are days of 24 hours, so that a change of clocks moves the end by a day at most.
        while last_mature > i32::MIN + 1 && !self.mature(last_mature, days) {
            last_mature -= 1;
        }
        let ends = match target.window {
            Window::All => vec![rows.last_day.unwrap_or(self.today)],
            Window::Trailing(_) if days == 0 => vec![self.today],
            Window::Day | Window::Trailing(_) => vec![self.today, last_mature],
            Window::Week => vec![week_end(self.today), week_end_by(last_mature)],
            Window::Month => {
                // A shop whose export ends some time ago is judged by the latest month that it has.
                let latest = rows.last_month().filter(|last| *last <= last_mature);
                let by_then = month_end_by(last_mature);
                vec![month_end(self.today), latest.map_or(by_then, |last| last.min(by_then))]
            }
            Window::Months { .. } => {
                vec![month_end_by(self.today), month_end_by(self.today.min(last_mature))]
            }
        };
        let mut spans: Vec<Span> =
            ends.into_iter().filter_map(|end| Span::ending(self.settled(target.window, end, rows), end)).collect();
        spans.dedup();
        spans
    }

    /// An evaluation period takes more months where the shorter one holds too few cases.
    fn settled(&self, window: Window, end: i32, rows: &Rows) -> Window {
        let Window::Months { enough, otherwise, .. } = window else { return window };
        let cases = Span::ending(window, end).and_then(|span| rows.over(&span)).and_then(|sum| sum.denominator);
        match cases.unwrap_or(0) >= enough {
            true => window,
            false => Window::Months { months: otherwise, enough: 0, otherwise },
        }
    }
}

/// The Sunday of a day's week.
fn week_end(day: i32) -> i32 {
    // 1970-01-01 was a Thursday.
    day + 6 - (day + 3).rem_euclid(7)
}

/// The latest Sunday on or before a day.
fn week_end_by(day: i32) -> i32 {
    if week_end(day) == day { day } else { week_end(day) - 7 }
}

fn month_first(day: i32) -> Option<NaiveDate> {
    date_of(day)?.with_day(1)
}

/// The last day of a day's month.
pub(super) fn month_end(day: i32) -> i32 {
    let next = month_first(day).and_then(|first| first.checked_add_months(Months::new(1)));
    next.map_or(day, |next| days_since_epoch(next) - 1)
}

/// The latest end of a month on or before a day.
fn month_end_by(day: i32) -> i32 {
    if month_end(day) == day { day } else { month_first(day).map_or(day, |first| days_since_epoch(first) - 1) }
}
