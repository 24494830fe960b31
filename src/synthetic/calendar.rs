//! When people buy and when parcels crawl: weekdays, seasons, sales, holidays, the hours of each country's day.

use super::dice::{About, share, totals};
use super::places::COUNTRIES;
use crate::types::time::{DAY, HOUR, SECOND, date_of};
use chrono::{Datelike, NaiveDate, Weekday};

/// Demand by hour of the local day: a lull at night, a bump at lunch, the peak in the evening.
const LOCAL_HOURS: [f64; 24] = [
    0.55, 0.30, 0.16, 0.10, 0.09, 0.13, 0.28, 0.50, 0.75, 0.95, 1.08, 1.15, 1.22, 1.15, 1.08, 1.05, 1.08, 1.15, 1.28,
    1.50, 1.68, 1.62, 1.30, 0.90,
];

/// Chinese New Year by year, as day of January (32 is the first of February).
const LUNAR_NEW_YEAR: [(i32, u32); 13] = [
    (2015, 50),
    (2016, 39),
    (2017, 28),
    (2018, 47),
    (2019, 36),
    (2020, 25),
    (2021, 43),
    (2022, 32),
    (2023, 22),
    (2024, 41),
    (2025, 29),
    (2026, 48),
    (2027, 37),
];

/// How many orders each day gets, and when in the day.
pub(super) struct Calendar {
    first_day: i32,
    /// Running totals of day weights.
    days: Vec<f64>,
    /// Running totals over the hours of a UTC day.
    hours: Vec<f64>,
    /// For each UTC hour, running totals over countries.
    countries: Vec<Vec<f64>>,
}

impl Calendar {
    pub(super) fn new(seed: u64, first_day: i32, days: u32) -> Self {
        let weight = |i: u32| {
            let day = first_day + i as i32;
            // 30 % growth a year, from the first day on, and a few per cent of weather.
            let growth = 1.0 + 0.30 * f64::from(i) / 365.0;
            let noise = 0.94 + 0.12 * share(seed, About::DayNoise, day as u64);
            growth * noise * demand(day)
        };
        let by_country = |hour: i32| {
            let active = move |offset: i8| LOCAL_HOURS[(hour + i32::from(offset)).rem_euclid(24) as usize];
            totals(COUNTRIES.iter().map(move |c| c.weight * active(c.utc_offset)))
        };
        let countries: Vec<Vec<f64>> = (0..24).map(by_country).collect();
        let hours = totals(countries.iter().map(|c| c.last().copied().unwrap_or(0.0)));
        Self { first_day, days: totals((0..days).map(weight)), hours, countries }
    }

    /// How many of `orders` fall on the `i`-th day; over all days they add up to `orders` exactly.
    pub(super) fn orders_on(&self, i: usize, orders: u64) -> u64 {
        let all = self.days.last().copied().unwrap_or(1.0);
        let until = |i: Option<usize>| match i {
            None => 0,
            Some(i) if i + 1 == self.days.len() => orders,
            Some(i) => ((self.days[i] / all * orders as f64).round() as u64).min(orders),
        };
        until(Some(i)).saturating_sub(until(i.checked_sub(1)))
    }

    /// The instant, to the second, at a share `[0, 1)` of the `i`-th day's demand.
    pub(super) fn instant(&self, i: usize, share: f64) -> i64 {
        let at = share * self.hours[23];
        let hour = self.hours.partition_point(|t| *t <= at).min(23);
        let before = if hour == 0 { 0.0 } else { self.hours[hour - 1] };
        let within = ((at - before) / (self.hours[hour] - before) * 3600.0) as i64;
        (i64::from(self.first_day) + i as i64) * DAY + hour as i64 * HOUR + within.min(3599) * SECOND
    }

    /// Weights of countries at an instant, as running totals: who is awake buys.
    pub(super) fn awake(&self, at: i64) -> &[f64] {
        &self.countries[(at.rem_euclid(DAY) / HOUR) as usize]
    }
}

/// The UTC day of an instant, as days since 1970-01-01.
pub(super) fn day_of(at: i64) -> i32 {
    at.div_euclid(DAY) as i32
}

/// Demand of a day against a plain one.
fn demand(day: i32) -> f64 {
    let Some(date) = date_of(day) else { return 1.0 };
    let weekday = match date.weekday() {
        Weekday::Sun => 1.12,
        Weekday::Mon => 1.04,
        Weekday::Fri => 0.94,
        Weekday::Sat => 0.97,
        _ => 1.0,
    };
    let season = match (date.month(), date.day()) {
        (1, 1..=12) => 1.12,
        (7 | 8, _) => 0.92,
        (11, _) => 1.18,
        (12, 1..=18) => 1.38,
        (12, 24..=26) => 0.62,
        _ => 1.0,
    };
    weekday * season * (1.0 + 1.7 * sale(day))
}

/// How much of a sale day it is, in `[0, 1]`: 11.11, Black Friday to Cyber Monday, 6.18 and a summer sale.
pub(super) fn sale(day: i32) -> f64 {
    let Some(date) = date_of(day) else { return 0.0 };
    // Black Friday is the day after the fourth Thursday of November.
    let thanksgiving = NaiveDate::from_weekday_of_month_opt(date.year(), 11, Weekday::Thu, 4);
    match thanksgiving.map(|t| (date - t).num_days()) {
        Some(1) => return 1.0,
        Some(2 | 3) => return 0.5,
        Some(4) => return 0.9,
        _ => {}
    }
    match (date.month(), date.day()) {
        (11, 11) => 0.95,
        (11, 10 | 12) => 0.3,
        (6, 18) => 0.4,
        (7, 8..=11) => 0.35,
        _ => 0.0,
    }
}

/// By how much carriers slow down around Christmas and the November sales; 1 is a plain day.
pub(super) fn congestion(day: i32) -> f64 {
    match date_of(day).map(|d| (d.month(), d.day())) {
        Some((11, 12..=24)) => 1.10,
        Some((11, 25..=30)) => 1.18,
        Some((12, 1..=10)) => 1.22,
        Some((12, 11..=23)) => 1.34,
        Some((12, _) | (1, 1..=5)) => 1.20,
        _ => 1.0,
    }
}

/// Days from Chinese New Year to `day`, when within a month of it.
fn lunar_distance(day: i32) -> Option<i32> {
    let date = date_of(day)?;
    let (_, new_year) = LUNAR_NEW_YEAR.iter().find(|(year, _)| *year == date.year())?;
    let distance = date.ordinal() as i32 - *new_year as i32;
    (distance.abs() <= 30).then_some(distance)
}

/// The first day from `day` on that a warehouse works: none on Sundays, and Chinese ones not over New Year.
pub(super) fn workday(day: i32, chinese: bool) -> i32 {
    let mut day = day;
    if chinese && let Some(distance @ -2..=7) = lunar_distance(day) {
        day += 8 - distance;
    }
    match date_of(day).map(|d| d.weekday()) {
        Some(Weekday::Sun) => day + 1,
        _ => day,
    }
}

/// By how much everything out of China slows down around its New Year.
pub(super) fn lunar_slowdown(day: i32) -> f64 {
    match lunar_distance(day) {
        Some(-12..=16) => 1.30,
        _ => 1.0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::time::days_since_epoch;

    fn day(y: i32, m: u32, d: u32) -> i32 {
        days_since_epoch(NaiveDate::from_ymd_opt(y, m, d).unwrap())
    }

    #[test]
    fn black_friday_2025_is_the_28th_of_november_and_cyber_monday_is_in_december() {
        let sales: Vec<f64> = (27..=30).map(|d| sale(day(2025, 11, d))).chain([sale(day(2025, 12, 1))]).collect();
        assert_eq!(sales, [0.0, 1.0, 0.5, 0.5, 0.9]);
        assert_eq!(sale(day(2024, 11, 29)), 1.0);
    }

    #[test]
    fn the_orders_of_the_days_add_up_and_stay_on_their_day() {
        let calendar = Calendar::new(1, day(2025, 1, 1), 365);
        assert_eq!((0..365).map(|i| calendar.orders_on(i, 12_345)).sum::<u64>(), 12_345);
        for share in [0.0, 0.37, 0.999_999_999] {
            assert_eq!(day_of(calendar.instant(9, share)), day(2025, 1, 10));
        }
    }

    #[test]
    fn a_chinese_warehouse_rests_over_new_year_and_none_works_on_sunday() {
        assert_eq!(workday(day(2025, 1, 29), true), day(2025, 2, 6));
        assert_eq!(workday(day(2025, 1, 29), false), day(2025, 1, 29));
        assert_eq!(workday(day(2025, 3, 2), false), day(2025, 3, 3));
    }
}
