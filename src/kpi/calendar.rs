//! Working time: how long somebody had who works on working days only.
//!
//! A reply promised within eight hours is not late because a weekend or a holiday lay between. [`Calendar`] knows working
//! days and opening hours of one place, in civil time of its zone, so that a day on which clocks change counts its true
//! 23 or 25 hours where the whole day is open.

use crate::types::time::{date_of, day_start, days_since_epoch, local_day, resolve_local};
use chrono::{Datelike, NaiveDate, NaiveTime, Weekday};
use chrono_tz::Tz;
use std::collections::{BTreeMap, BTreeSet};

/// The holidays of every country, from a file of the pipeline.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Holidays(BTreeMap<String, BTreeSet<i32>>);

impl Holidays {
    /// Adds a holiday of a country (as orders write it, `DE`).
    pub fn insert(&mut self, country: &str, day: NaiveDate) {
        self.0.entry(country.to_owned()).or_default().insert(days_since_epoch(day));
    }

    /// Countries that have any, in order.
    pub fn countries(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    /// Whether a day is a holiday of a country. A country without holidays has none: weekends still count.
    pub fn is_holiday(&self, country: &str, day: NaiveDate) -> bool {
        self.0.get(country).is_some_and(|days| days.contains(&days_since_epoch(day)))
    }
}

/// What a working week looks like.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorkingWeek {
    /// Days on which nobody works.
    pub weekend: Vec<Weekday>,
    /// Opening hours on a working day, civil time; `None`: the whole day, midnight to midnight.
    pub hours: Option<(NaiveTime, NaiveTime)>,
}

impl Default for WorkingWeek {
    /// Monday to Friday, the whole day.
    fn default() -> Self {
        Self { weekend: vec![Weekday::Sat, Weekday::Sun], hours: None }
    }
}

/// Working time of one country, over a range of days that are laid out once.
#[derive(Debug, Clone)]
pub struct Calendar {
    zone: Tz,
    /// The first day laid out, as days since 1970-01-01.
    first: i32,
    /// Of each day: when it opens and closes, UTC microseconds; both the day's start if it is not worked on.
    open: Vec<(i64, i64)>,
    /// Working microseconds before each day, and before the day after the last.
    before: Vec<i64>,
}

/// Days that are laid out at most, about 110 years: instants outside count as the nearest day inside.
const MOST_DAYS: i32 = 40_000;

impl Calendar {
    /// The calendar of a country from the day of `first` to the day of `last` (UTC microseconds).
    ///
    /// Instants outside count as its first or last moment: give the range of the data.
    pub fn new(week: &WorkingWeek, holidays: &Holidays, country: &str, zone: Tz, first: i64, last: i64) -> Self {
        let none = BTreeSet::new();
        let holidays = holidays.0.get(country).unwrap_or(&none);
        let day = |instant| local_day(instant, zone).unwrap_or(0);
        let (first, last) = (day(first.min(last)), day(first.max(last)));
        let days = last.saturating_sub(first).clamp(0, MOST_DAYS - 1) + 1;
        let mut calendar = Self {
            zone,
            first,
            open: Vec::with_capacity(days as usize),
            before: Vec::with_capacity(days as usize + 1),
        };
        let mut worked = 0;
        for day in first..first + days {
            let (opens, closes) = match date_of(day) {
                Some(date) if !week.weekend.contains(&date.weekday()) && !holidays.contains(&day) => {
                    hours(week, date, zone)
                }
                Some(date) => (day_start(date, zone), day_start(date, zone)),
                None => (0, 0),
            };
            calendar.open.push((opens, closes));
            calendar.before.push(worked);
            worked += closes - opens;
        }
        calendar.before.push(worked);
        calendar
    }

    /// Working microseconds from `from` to `to` (UTC microseconds); negative when `to` comes first, as a plain difference
    /// would be. Both ends at one instant, or all of it outside working time, is 0.
    pub fn business_duration(&self, from: i64, to: i64) -> i64 {
        self.worked_before(to) - self.worked_before(from)
    }

    fn worked_before(&self, instant: i64) -> i64 {
        // The day by its length first, then corrected: zones are never a day away from UTC.
        let Some(day) = local_day(instant, self.zone) else { return 0 };
        let Ok(at) = usize::try_from(day - self.first) else { return 0 };
        match self.open.get(at) {
            Some((opens, closes)) => self.before[at] + instant.clamp(*opens, *closes) - opens,
            None => self.before.last().copied().unwrap_or(0),
        }
    }
}

/// When a working day opens and closes.
fn hours(week: &WorkingWeek, date: NaiveDate, zone: Tz) -> (i64, i64) {
    match week.hours {
        Some((opens, closes)) => {
            let at = |time: NaiveTime| resolve_local(date.and_time(time), zone).0;
            (at(opens), at(closes).max(at(opens)))
        }
        None => {
            let start = day_start(date, zone);
            (start, date.succ_opt().map_or(start, |next| day_start(next, zone)))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::time::{DAY, HOUR, parse_instant};
    use proptest::prelude::*;

    fn at(text: &str) -> i64 {
        parse_instant(text).unwrap()
    }

    fn berlin(week: &WorkingWeek) -> Calendar {
        let mut holidays = Holidays::default();
        // Good Friday and Easter Monday of 2024; the clocks went forward on the Sunday between.
        for day in [29, 32] {
            let date = NaiveDate::from_ymd_opt(2024, 3, 1).unwrap() + chrono::Days::new(day - 1);
            holidays.insert("DE", date);
        }
        let zone = "Europe/Berlin".parse().unwrap();
        Calendar::new(week, &holidays, "DE", zone, at("2024-01-01T00:00:00Z"), at("2024-12-31T00:00:00Z"))
    }

    #[test]
    fn weekends_and_holidays_are_no_working_time() {
        let calendar = berlin(&WorkingWeek::default());
        // Thursday 18:00 to Tuesday 09:00 over Easter: six hours of Thursday and nine of Tuesday.
        assert_eq!(
            calendar.business_duration(at("2024-03-28T18:00:00+01:00"), at("2024-04-02T09:00:00+02:00")),
            15 * HOUR
        );
        assert_eq!(calendar.business_duration(at("2024-03-30T10:00:00+01:00"), at("2024-04-01T20:00:00+02:00")), 0);
        assert_eq!(calendar.business_duration(at("2024-03-29T00:00:00+01:00"), at("2024-03-29T00:00:00+01:00")), 0);
        // Backwards is negative.
        assert_eq!(
            calendar.business_duration(at("2024-04-02T09:00:00+02:00"), at("2024-03-28T18:00:00+01:00")),
            -15 * HOUR
        );
    }

    #[test]
    fn opening_hours_are_civil_time_on_both_sides_of_a_change_of_clocks() {
        let clock = |hour| NaiveTime::from_hms_opt(hour, 0, 0).unwrap();
        let week = WorkingWeek { weekend: vec![], hours: Some((clock(9), clock(17))) };
        let calendar = berlin(&week);
        // Saturday 16:00 to Sunday 10:00, the night of 31 March (23 h): an hour each.
        assert_eq!(
            calendar.business_duration(at("2024-03-30T16:00:00+01:00"), at("2024-03-31T10:00:00+02:00")),
            2 * HOUR
        );
        // Open around the clock, that Sunday has 23 hours and 27 October 25.
        let calendar = berlin(&WorkingWeek { weekend: vec![], hours: None });
        assert_eq!(
            calendar.business_duration(at("2024-03-31T00:00:00+01:00"), at("2024-04-01T00:00:00+02:00")),
            23 * HOUR
        );
        assert_eq!(
            calendar.business_duration(at("2024-10-27T00:00:00+02:00"), at("2024-10-28T00:00:00+01:00")),
            25 * HOUR
        );
    }

    #[test]
    fn another_country_has_its_own_holidays() {
        let mut holidays = Holidays::default();
        holidays.insert("FR", NaiveDate::from_ymd_opt(2024, 7, 14).unwrap());
        let week = WorkingWeek { weekend: vec![Weekday::Sat], hours: None };
        let (from, to) = (at("2024-07-14T00:00:00Z"), at("2024-07-15T00:00:00Z"));
        let of = |country| Calendar::new(&week, &holidays, country, Tz::UTC, from, to).business_duration(from, to);
        assert_eq!((of("FR"), of("ES")), (0, DAY));
        assert!(holidays.is_holiday("FR", NaiveDate::from_ymd_opt(2024, 7, 14).unwrap()));
        assert_eq!(holidays.countries().collect::<Vec<_>>(), ["FR"]);
    }

    proptest! {
        #[test]
        fn working_time_is_counted_minute_by_minute(from in 0_i64..400_000, length in 0_i64..20_000) {
            let clock = |hour, minute| NaiveTime::from_hms_opt(hour, minute, 0).unwrap();
            let week = WorkingWeek { weekend: vec![Weekday::Fri, Weekday::Sun], hours: Some((clock(8, 30), clock(18, 0))) };
            let calendar = berlin(&week);
            let zone: Tz = "Europe/Berlin".parse().unwrap();
            let start = at("2024-02-01T00:00:00Z");
            let minute = 60_000_000;
            let (from, to) = (start + from * minute, start + (from + length) * minute);
            let works = |instant: i64| {
                let local = chrono::DateTime::from_timestamp_micros(instant).unwrap().with_timezone(&zone).naive_local();
                let holiday = [(3, 29), (4, 1)].contains(&(local.month(), local.day()));
                !holiday && !week.weekend.contains(&local.weekday())
                    && local.time() >= clock(8, 30) && local.time() < clock(18, 0)
            };
            let naive = (from..to).step_by(minute as usize).filter(|t| works(*t)).count() as i64 * minute;
            // The range given ends with the year; what is asked ends before it.
            prop_assert_eq!(calendar.business_duration(from, to), naive);
        }
    }
}
