//! Periods: calendar days, weeks and months of a zone, the whole, and windows that end with the run's clock.

use crate::types::time::{DAY, date_of, day_start, local_day};
use chrono::{Datelike, Days, Months, NaiveDate};
use chrono_tz::Tz;
use std::borrow::Cow;
use std::ops::Range;

/// What the rows of an output table are counted over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Grain {
    /// A calendar day.
    Day,
    /// A week from Monday to Sunday.
    Week,
    /// A calendar month.
    Month,
    /// Everything there is; its rows have no `period_start`.
    All,
    /// So many days, the last of them the day of the run's clock: the windows by which marketplaces judge a seller.
    ///
    /// The day of the clock is the one that was still running in the last instant before it, so that a clock set to
    /// midnight ends the window with the day that is over.
    Trailing(u16),
}

impl Grain {
    /// What is counted unless a pipeline says otherwise. The windows are those of Amazon's performance page: 7 and 30 days
    /// for most rates, 10 for late shipment, 14 for delivery on time, 60 for order defects.
    pub const DEFAULT: [Self; 9] = [
        Self::Day,
        Self::Week,
        Self::Month,
        Self::All,
        Self::Trailing(7),
        Self::Trailing(10),
        Self::Trailing(14),
        Self::Trailing(30),
        Self::Trailing(60),
    ];

    /// Days of the longest window that can be asked for.
    pub const LONGEST: u16 = 999;

    /// Its name in the output, such as `month` or `trailing_30d`.
    pub fn name(self) -> Cow<'static, str> {
        match self {
            Self::Day => "day".into(),
            Self::Week => "week".into(),
            Self::Month => "month".into(),
            Self::All => "all".into(),
            Self::Trailing(days) => format!("trailing_{days}d").into(),
        }
    }

    /// Reads a name; `None` if there is no such grain.
    pub fn parse(name: &str) -> Option<Self> {
        match name {
            "day" => Some(Self::Day),
            "week" => Some(Self::Week),
            "month" => Some(Self::Month),
            "all" => Some(Self::All),
            _ => {
                let days = name.strip_prefix("trailing_")?.strip_suffix('d')?.parse::<u16>().ok()?;
                (1..=Self::LONGEST).contains(&days).then_some(Self::Trailing(days))
            }
        }
    }

    /// The first day of the calendar period that `day` lies in; `None` of the whole and of windows.
    pub fn first_day(self, day: i32) -> Option<i32> {
        match self {
            Self::Day => Some(day),
            // 1970-01-01 was a Thursday.
            Self::Week => Some(day - (day + 3).rem_euclid(7)),
            Self::Month => Some(date_of(day).map_or(day, |date| day - date.day0() as i32)),
            Self::All | Self::Trailing(_) => None,
        }
    }
}

/// The periods of a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Periods {
    grains: Vec<Grain>,
    zone: Tz,
    as_of: i64,
    /// The last day of trailing windows.
    today: i32,
}

impl Periods {
    /// Periods of these grains (each once, in the order given) as of `as_of` (UTC microseconds), cut in `zone`.
    pub fn new(grains: &[Grain], as_of: i64, zone: Tz) -> Self {
        let mut once = Vec::with_capacity(grains.len());
        for grain in grains {
            if !once.contains(grain) {
                once.push(*grain);
            }
        }
        Self { grains: once, zone, as_of, today: local_day(as_of.saturating_sub(1), zone).unwrap_or(0) }
    }

    /// The grains, each once.
    pub fn grains(&self) -> &[Grain] {
        &self.grains
    }

    /// The first day of the slot that `day` lies in: the longest run of days that no period of these grains cuts.
    ///
    /// Partial results are kept by slot. With days among the grains a slot is a day; without them memory is spared.
    pub fn slot(&self, day: i32) -> i32 {
        let mut slot = i32::MIN;
        for grain in &self.grains {
            let begins = match grain {
                Grain::All => continue,
                Grain::Trailing(days) => {
                    let first = self.first_of(*days);
                    // Before the window, in it, after it.
                    [self.today + 1, first].into_iter().find(|edge| *edge <= day).unwrap_or(i32::MIN)
                }
                calendar => calendar.first_day(day).unwrap_or(i32::MIN),
            };
            slot = slot.max(begins);
        }
        slot
    }

    /// Cuts slots, given in order, into the periods of a grain: first day (none of the whole) and which slots.
    ///
    /// A period without slots is not given.
    pub fn cut(&self, grain: Grain, slots: &[i32]) -> Vec<(Option<i32>, Range<usize>)> {
        match grain {
            Grain::All if slots.is_empty() => Vec::new(),
            Grain::All => vec![(None, 0..slots.len())],
            Grain::Trailing(days) => {
                let first = self.first_of(days);
                let inside = slots.partition_point(|s| *s < first)..slots.partition_point(|s| *s <= self.today);
                if inside.is_empty() { Vec::new() } else { vec![(Some(first), inside)] }
            }
            calendar => {
                let mut periods: Vec<(Option<i32>, Range<usize>)> = Vec::new();
                for (at, slot) in slots.iter().enumerate() {
                    let first = calendar.first_day(*slot);
                    match periods.last_mut() {
                        Some((last, range)) if *last == first => range.end = at + 1,
                        _ => periods.push((first, at..at + 1)),
                    }
                }
                periods
            }
        }
    }

    /// The first day (none of the whole) of the period of a grain that `day` lies in; `None` where it lies in none.
    pub fn period_of(&self, grain: Grain, day: i32) -> Option<Option<i32>> {
        match grain {
            Grain::Trailing(days) => {
                let first = self.first_of(days);
                (first..=self.today).contains(&day).then_some(Some(first))
            }
            calendar => Some(calendar.first_day(day)),
        }
    }

    /// When a period is over, UTC microseconds. `last` is the last day on which anything was counted: where the whole ends.
    ///
    /// A trailing window is over at the run's clock, and so its figures are mature only where nothing has to be waited for.
    pub fn end(&self, grain: Grain, first: Option<i32>, last: i32) -> Option<i64> {
        if let Grain::Trailing(_) = grain {
            return Some(self.as_of);
        }
        let first = date_of(first.unwrap_or(last))?;
        let next: NaiveDate = match grain {
            Grain::Week => first.checked_add_days(Days::new(7))?,
            Grain::Month => first.with_day(1)?.checked_add_months(Months::new(1))?,
            _ => first.checked_add_days(Days::new(1))?,
        };
        Some(day_start(next, self.zone))
    }

    /// Whether late events can no longer move a period much that was over at `end`: `days` lie between it and the clock.
    pub fn is_mature(&self, end: Option<i64>, days: i64) -> bool {
        end.is_some_and(|end| end.saturating_add(days * DAY) <= self.as_of)
    }

    fn first_of(&self, days: u16) -> i32 {
        self.today - i32::from(days) + 1
    }
}

/// Calendar days of a zone, looked up fast for many instants.
///
/// The offset from UTC is asked once for every day of UTC in the range; only days in which it changes are asked by instant.
#[derive(Debug)]
pub struct LocalDays {
    zone: Tz,
    first: i64,
    /// Of each day of UTC: the offset in microseconds, `None` if it changes within.
    offsets: Vec<Option<i64>>,
}

/// Days of UTC whose offsets are kept at most, about 110 years; instants outside are asked one by one.
const MOST_OFFSETS: i64 = 40_000;

impl LocalDays {
    /// For instants from `from` to `to`, UTC microseconds. Others are answered too, more slowly.
    pub fn new(zone: Tz, from: i64, to: i64) -> Self {
        let first = from.div_euclid(DAY);
        let days = (to.div_euclid(DAY) - first + 1).clamp(0, MOST_OFFSETS);
        let offset = |instant: i64| -> Option<i64> {
            use chrono::Offset;
            let at = chrono::DateTime::from_timestamp_micros(instant)?.with_timezone(&zone);
            Some(i64::from(at.offset().fix().local_minus_utc()) * 1_000_000)
        };
        let offsets = (first..first + days)
            .map(|day| {
                let [begin, end] = [offset(day * DAY)?, offset(day * DAY + DAY - 1)?];
                (begin == end).then_some(begin)
            })
            .collect();
        Self { zone, first, offsets }
    }

    /// The calendar day of an instant, as days since 1970-01-01; `None` for instants outside the calendar.
    pub fn day(&self, instant: i64) -> Option<i32> {
        let known = usize::try_from(instant.div_euclid(DAY) - self.first).ok().and_then(|at| self.offsets.get(at));
        match known {
            Some(Some(offset)) => i32::try_from((instant + offset).div_euclid(DAY)).ok(),
            _ => local_day(instant, self.zone),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::time::{HOUR, days_since_epoch, parse_instant};
    use proptest::prelude::*;

    fn day(text: &str) -> i32 {
        days_since_epoch(text.parse().unwrap())
    }

    #[test]
    fn a_window_ends_with_the_day_of_the_clock_and_a_clock_at_midnight_with_the_day_before() {
        let zone: Tz = "America/Sao_Paulo".parse().unwrap();
        let window = |as_of: &str| {
            let periods = Periods::new(&[Grain::Trailing(7)], parse_instant(as_of).unwrap(), zone);
            let days: Vec<i32> = (day("2018-10-01")..day("2018-10-31")).collect();
            periods.cut(Grain::Trailing(7), &days).into_iter().map(|(first, range)| (first, days[range.end - 1])).next()
        };
        // 03:00 UTC is midnight in São Paulo.
        assert_eq!(window("2018-10-18T03:00:00Z"), Some((Some(day("2018-10-11")), day("2018-10-17"))));
        assert_eq!(window("2018-10-18T03:00:01Z"), Some((Some(day("2018-10-12")), day("2018-10-18"))));
    }

    #[test]
    fn the_days_on_which_clocks_change_are_days_like_others() {
        let zone: Tz = "Europe/Berlin".parse().unwrap();
        let days = LocalDays::new(
            zone,
            parse_instant("2024-03-30T00:00:00Z").unwrap(),
            parse_instant("2024-04-02T00:00:00Z").unwrap(),
        );
        let of = |text: &str| days.day(parse_instant(text).unwrap()).unwrap();
        assert_eq!(of("2024-03-30T22:59:59Z"), day("2024-03-30"));
        assert_eq!(of("2024-03-30T23:00:00Z"), day("2024-03-31"));
        // The 31st has 23 hours.
        assert_eq!(of("2024-03-31T21:59:59Z"), day("2024-03-31"));
        assert_eq!(of("2024-03-31T22:00:00Z"), day("2024-04-01"));
    }

    #[test]
    fn a_period_matures_so_many_days_after_its_last_midnight_in_the_zone() {
        let zone: Tz = "Europe/Berlin".parse().unwrap();
        // April 2024 ends at 22:00 UTC.
        let at = |as_of: &str, grain, first: Option<&str>| {
            let periods = Periods::new(&Grain::DEFAULT, parse_instant(as_of).unwrap(), zone);
            periods.is_mature(periods.end(grain, first.map(day), day("2024-04-30")), 7)
        };
        assert!(at("2024-05-07T22:00:00Z", Grain::Month, Some("2024-04-01")));
        assert!(!at("2024-05-07T21:59:59Z", Grain::Month, Some("2024-04-01")));
        assert!(at("2024-05-07T22:00:00Z", Grain::All, None));
        assert!(!at("2024-05-07T22:00:00Z", Grain::Week, Some("2024-04-29")));
        assert!(!at("2024-05-07T22:00:00Z", Grain::Trailing(30), Some("2024-04-08")));
    }

    #[test]
    fn the_defaults_of_a_pipeline_file_are_those_of_the_engine() {
        let (written, engine) = (crate::config::Kpi::default(), crate::kpi::Settings::default());
        assert_eq!(written.grains, engine.grains.iter().map(|grain| grain.name()).collect::<Vec<_>>());
        assert_eq!(
            (written.min_segment_orders, written.exact_durations),
            (engine.min_segment_orders, engine.exact_durations)
        );
    }

    #[test]
    fn names_are_read_back() {
        for grain in Grain::DEFAULT {
            assert_eq!(Grain::parse(&grain.name()), Some(grain));
        }
        for wrong in ["", "year", "trailing_0d", "trailing_1000d", "trailing_7", "trailing_-7d", "Day"] {
            assert_eq!(Grain::parse(wrong), None, "{wrong}");
        }
    }

    fn grains() -> impl Strategy<Value = Vec<Grain>> {
        proptest::sample::subsequence(Grain::DEFAULT.to_vec(), 0..=9)
    }

    proptest! {
        #[test]
        fn every_period_is_made_of_whole_slots(grains in grains(), days in proptest::collection::btree_set(19_000_i32..19_400, 1..60), as_of in 19_000_i64..19_400) {
            let periods = Periods::new(&grains, as_of * DAY + 5 * HOUR, Tz::Europe__Berlin);
            let mut slots: Vec<i32> = days.iter().map(|day| periods.slot(*day)).collect();
            slots.dedup();
            for grain in &grains {
                for (first, range) in periods.cut(*grain, &slots) {
                    let by_slot: Vec<i32> = days.iter().copied().filter(|d| slots[range.clone()].contains(&periods.slot(*d))).collect();
                    let by_day: Vec<i32> = days.iter().copied().filter(|day| match grain {
                        Grain::All => true,
                        Grain::Trailing(n) => (periods.today - i32::from(*n) + 1..=periods.today).contains(day),
                        calendar => calendar.first_day(*day) == first,
                    }).collect();
                    prop_assert!(by_day.iter().all(|day| periods.period_of(*grain, *day) == Some(first)), "{:?}", grain);
                    prop_assert_eq!(by_slot, by_day, "{:?}", grain);
                }
            }
        }

        #[test]
        fn days_looked_up_fast_are_the_days_of_the_zone(instant in 0_i64..2_500_000_000, zone in prop_oneof![
            Just(Tz::Europe__Berlin), Just(Tz::America__Sao_Paulo), Just(Tz::America__St_Johns), Just(Tz::Pacific__Apia), Just(Tz::Asia__Kolkata)
        ]) {
            let micros = instant * 1_000_000;
            let days = LocalDays::new(zone, micros - 400 * DAY, micros + DAY);
            prop_assert_eq!(days.day(micros), local_day(micros, zone));
        }
    }
}
