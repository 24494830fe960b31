//! Instants are UTC microseconds; civil time exists only at the edges and in a named zone.

use chrono::{DateTime, Datelike, NaiveDate, NaiveDateTime, TimeZone, Utc};
use chrono_tz::Tz;

/// Microseconds in a second.
pub const SECOND: i64 = 1_000_000;
/// Microseconds of a minute.
pub const MINUTE: i64 = 60 * SECOND;
/// Microseconds in an hour.
pub const HOUR: i64 = 3_600 * SECOND;
/// Microseconds in a day of 24 hours. Calendar days of a zone can be 23 or 25 hours long.
pub const DAY: i64 = 24 * HOUR;

/// What had to be done to place a civil time on the time line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Resolution {
    /// The civil time happened exactly once.
    Unique,
    /// It happened twice (clocks went back); the first was taken.
    Folded,
    /// It never happened (clocks went forward); it was moved forward by the length of the gap.
    Skipped,
}

/// The instant of a civil time in `zone`, as UTC microseconds.
///
/// A time that occurs twice is the first of the two; a time that does not exist is read with the offset in force before
/// the gap, which moves it forward by the gap (the rule of RFC 5545). Both are counted by ingest.
pub fn resolve_local(local: NaiveDateTime, zone: Tz) -> (i64, Resolution) {
    use chrono::offset::LocalResult;
    match zone.from_local_datetime(&local) {
        LocalResult::Single(t) => (t.timestamp_micros(), Resolution::Unique),
        LocalResult::Ambiguous(first, _) => (first.timestamp_micros(), Resolution::Folded),
        LocalResult::None => {
            // Every gap known to the zone database is shorter than a day and a half, and none follows another that soon.
            let before = local - chrono::Duration::hours(36);
            let shifted = match zone.from_local_datetime(&before) {
                LocalResult::Single(t) | LocalResult::Ambiguous(t, _) => t.timestamp_micros() + 36 * HOUR,
                LocalResult::None => local.and_utc().timestamp_micros(),
            };
            (shifted, Resolution::Skipped)
        }
    }
}

/// The calendar day of an instant in `zone`, as days since 1970-01-01 (the Arrow `date32`).
pub fn local_day(micros: i64, zone: Tz) -> Option<i32> {
    let day = DateTime::<Utc>::from_timestamp_micros(micros)?.with_timezone(&zone).date_naive();
    Some(days_since_epoch(day))
}

/// Days since 1970-01-01.
pub fn days_since_epoch(day: NaiveDate) -> i32 {
    day.num_days_from_ce() - 719_163
}

/// The date of a day count since 1970-01-01.
pub fn date_of(days: i32) -> Option<NaiveDate> {
    NaiveDate::from_num_days_from_ce_opt(days.checked_add(719_163)?)
}

/// The first instant of a calendar day in `zone`: midnight, or the end of the gap where midnight is skipped.
pub fn day_start(day: NaiveDate, zone: Tz) -> i64 {
    let midnight = day.and_time(chrono::NaiveTime::MIN);
    let (instant, _) = resolve_local(midnight, zone);
    instant
}

/// Reads an RFC 3339 instant such as `2018-10-18T00:00:00Z`.
pub fn parse_instant(text: &str) -> Option<i64> {
    DateTime::parse_from_rfc3339(text.trim()).ok().map(|t| t.timestamp_micros())
}

/// Reads a span such as `10s`, `5m`, `36h` or `90d`, in microseconds.
pub fn parse_span(text: &str) -> Option<i64> {
    let unit = match text.chars().last()? {
        's' => SECOND,
        'm' => MINUTE,
        'h' => HOUR,
        'd' => DAY,
        _ => return None,
    };
    text[..text.len() - 1].parse::<u32>().ok().map(|n| i64::from(n) * unit)
}

/// A span as names have it: `24h`, `7d`, `90s`. One day is `24h`: it is not a calendar day.
pub fn span_label(span: i64) -> String {
    match span {
        span if span > DAY && span % DAY == 0 => format!("{}d", span / DAY),
        span if span % HOUR == 0 => format!("{}h", span / HOUR),
        span if span % SECOND == 0 => format!("{}s", span / SECOND),
        span => format!("{span}us"),
    }
}

/// Writes an instant as RFC 3339 in UTC, to the second where nothing finer is needed.
pub fn format_instant(micros: i64) -> String {
    match DateTime::<Utc>::from_timestamp_micros(micros) {
        Some(t) => t.to_rfc3339_opts(chrono::SecondsFormat::AutoSi, true),
        None => format!("{micros} µs"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn local(text: &str) -> NaiveDateTime {
        NaiveDateTime::parse_from_str(text, "%Y-%m-%d %H:%M:%S").unwrap()
    }

    #[test]
    fn a_local_time_in_a_gap_moves_forward_by_the_gap_and_a_fold_is_its_first() {
        let berlin: Tz = "Europe/Berlin".parse().unwrap();
        let (gap, how) = resolve_local(local("2024-03-31 02:30:00"), berlin);
        assert_eq!((format_instant(gap).as_str(), how), ("2024-03-31T01:30:00Z", Resolution::Skipped));
        let (fold, how) = resolve_local(local("2024-10-27 02:30:00"), berlin);
        assert_eq!((format_instant(fold).as_str(), how), ("2024-10-27T00:30:00Z", Resolution::Folded));
        let (plain, how) = resolve_local(local("2024-07-01 12:00:00"), berlin);
        assert_eq!((format_instant(plain).as_str(), how), ("2024-07-01T10:00:00Z", Resolution::Unique));
    }

    #[test]
    fn a_day_whose_midnight_is_skipped_begins_at_one() {
        // São Paulo moved its clocks forward at midnight on 2017-10-15.
        let zone: Tz = "America/Sao_Paulo".parse().unwrap();
        let start = day_start(NaiveDate::from_ymd_opt(2017, 10, 15).unwrap(), zone);
        assert_eq!(format_instant(start), "2017-10-15T03:00:00Z");
        assert_eq!(local_day(start, zone).and_then(date_of), NaiveDate::from_ymd_opt(2017, 10, 15));
        assert_eq!(local_day(start - 1, zone).and_then(date_of), NaiveDate::from_ymd_opt(2017, 10, 14));
    }
}
