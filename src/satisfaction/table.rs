//! The index as rows of the `satisfaction` table, by period and segment.

use super::factors::{FACTORS, Points};
use super::index::{Cell, Index, K, Scored, Spread, Variance, index, variance};
use crate::error::{Error, Result};
use crate::types::time::{DAY, date_of, day_start};
use chrono::{Datelike, Days, Months, NaiveDate};
use chrono_tz::Tz;
use polars::prelude::*;
use std::collections::BTreeMap;

/// Days after which tickets, returns and answers on orders of a period hardly come any more: 30 days to arrive and as many for
/// a return.
const MATURES_AFTER_DAYS: i64 = 60;

/// The rows by id, in words; all in points of 0 to 100, more being better.
pub const MEANINGS: [(&str, &str); 1 + K] = [
    ("satisfaction_index", "mean of the factors that the data can feed, by the pipeline's weights"),
    ("satisfaction_speed", "delivery promises kept and time from order to delivery"),
    ("satisfaction_transparency", "shipments that can be tracked, and tickets answered within 48 h"),
    ("satisfaction_ease", "few contacts and reopenings, returns answered and settled in time"),
    ("satisfaction_service", "quick replies and solutions, in the customer's language"),
    ("satisfaction_product", "goods as described, undamaged and kept"),
    ("satisfaction_feedback", "answers on orders, stars, csat, nps and ces on one scale"),
];

/// A way to split orders, such as by `channel`.
#[derive(Debug, Clone)]
pub struct Segment {
    /// Its name in the output.
    pub name: String,
    /// The value of each order, as a place in [`Self::values`].
    pub of_order: Vec<u32>,
    /// The values.
    pub values: Vec<String>,
}

/// What the index is made from.
#[derive(Debug)]
pub struct Orders<'a> {
    /// Calendar day on which each was placed, in the pipeline's zone, days since 1970-01-01.
    pub placed_day: &'a [i32],
    /// Factors of each.
    pub points: &'a [Points],
    /// Ways to split them; the whole need not be among them.
    pub segments: &'a [Segment],
    /// Periods that are asked for; those of [`GRAINS`] among them are counted.
    pub grains: &'a [String],
    /// Weights of the factors, in the order of [`FACTORS`].
    pub weights: [f64; K],
    /// Zone of days.
    pub zone: Tz,
    /// The run's clock.
    pub as_of: i64,
}

/// Periods of the index. A day of a single segment would be little but the whole's: days are for the whole.
pub const GRAINS: [&str; 4] = ["day", "week", "month", "all"];

/// First day of the period of a day; `None` for the whole time.
fn start(grain: &str, day: i32) -> Option<i32> {
    match grain {
        "day" => Some(day),
        // 1970-01-01 was a Thursday; weeks begin on Mondays.
        "week" => Some(day - (day + 3).rem_euclid(7)),
        "month" => date_of(day).map(|date| day - date.day0() as i32),
        _ => None,
    }
}

/// Cells by grain and first day, then value of the segment.
type Cells = BTreeMap<(&'static str, Option<i32>), BTreeMap<u32, Cell>>;

fn cells(orders: &Orders<'_>, grains: &[&'static str], value: impl Fn(usize) -> u32) -> Cells {
    let mut cells = Cells::new();
    for grain in grains {
        for (order, points) in orders.points.iter().enumerate() {
            let period = (*grain, start(grain, orders.placed_day[order]));
            cells.entry(period).or_default().entry(value(order)).or_default().add(points);
        }
    }
    cells
}

/// The rows: `satisfaction_index` and `satisfaction_FACTOR`, with the columns of the `kpi` table.
///
/// `numerator` is the sum of whole points of the orders that have the factor and `denominator` their number: their quotient is
/// the raw mean, `value` the mean drawn toward the whole. The index has no numerator; its denominator is the number of orders
/// with any factor.
///
/// # Errors
/// [`Error::Frames`] only for defects.
pub fn rows(orders: &Orders<'_>) -> Result<DataFrame> {
    let mut rows = Rows { last: orders.placed_day.iter().max().copied(), ..Rows::default() };
    // The whole time is always counted: how segments vary is learnt from it.
    let wanted = |grain: &&str| *grain == "all" || orders.grains.iter().any(|asked| asked == grain);
    let grains: Vec<&'static str> = GRAINS.into_iter().filter(wanted).collect();
    let is_wanted = |grain: &str| orders.grains.iter().any(|asked| asked == grain);
    let mut spread = Spread::default();
    orders.points.iter().for_each(|points| spread.add(points));
    let whole = cells(orders, &grains, |_| 0);
    let of_whole = |period: &(&'static str, Option<i32>)| whole.get(period).and_then(|values| values.get(&0));
    for (period, values) in whole.iter().filter(|((grain, _), _)| is_wanted(grain)) {
        for cell in values.values() {
            let found = index(cell, cell, None, &spread, &orders.weights);
            rows.push(orders, *period, "all", "all", cell, &found);
        }
    }
    for segment in orders.segments {
        let of_segments: Vec<&'static str> = grains.iter().copied().filter(|grain| *grain != "day").collect();
        let split = cells(orders, &of_segments, |order| segment.of_order[order]);
        let Some(all) = split.get(&("all", None)) else { continue };
        let variances: [Variance; K] = std::array::from_fn(|factor| variance(factor, all.values(), &spread));
        for (period, values) in split.iter().filter(|((grain, _), _)| is_wanted(grain)) {
            let Some(whole) = of_whole(period) else { continue };
            for (value, cell) in values {
                let found = index(cell, whole, Some(&variances), &spread, &orders.weights);
                rows.push(orders, *period, &segment.name, &segment.values[*value as usize], cell, &found);
            }
        }
    }
    rows.into_frame()
}

/// Output rows by column.
#[derive(Default)]
struct Rows {
    last: Option<i32>,
    grain: Vec<&'static str>,
    period_start: Vec<Option<i32>>,
    segment: Vec<String>,
    segment_value: Vec<String>,
    kpi: Vec<String>,
    numerator: Vec<Option<i64>>,
    denominator: Vec<i64>,
    scored: Vec<Scored>,
    mature: Vec<bool>,
}

impl Rows {
    fn push(
        &mut self,
        orders: &Orders<'_>,
        (grain, start): (&'static str, Option<i32>),
        segment: &str,
        value: &str,
        cell: &Cell,
        found: &Index,
    ) {
        let mature = self.mature(orders, grain, start);
        let factors = found.factors.iter().enumerate().map(|(factor, scored)| {
            (format!("satisfaction_{}", FACTORS[factor]), Some(cell.sum(factor)), cell.count(factor), *scored)
        });
        let whole = ("satisfaction_index".to_owned(), None, cell.orders(), found.index);
        for (id, numerator, denominator, scored) in factors.chain([whole]) {
            let Some(scored) = scored else { continue };
            self.grain.push(grain);
            self.period_start.push(start);
            self.segment.push(segment.to_owned());
            self.segment_value.push(value.to_owned());
            self.kpi.push(id);
            self.numerator.push(numerator);
            self.denominator.push(denominator);
            self.scored.push(scored);
            self.mature.push(mature);
        }
    }

    /// Whether late events can no longer move a period much.
    fn mature(&self, orders: &Orders<'_>, grain: &str, start: Option<i32>) -> bool {
        let first = start.or(self.last).and_then(date_of);
        let end = first.and_then(|first| match grain {
            "week" => first.checked_add_days(Days::new(7)),
            "month" => first.checked_add_months(Months::new(1)),
            _ => first.checked_add_days(Days::new(1)),
        });
        end.is_some_and(|end: NaiveDate| day_start(end, orders.zone) + MATURES_AFTER_DAYS * DAY <= orders.as_of)
    }

    fn into_frame(self) -> Result<DataFrame> {
        let stage = || Error::frames("satisfaction index");
        let height = self.grain.len();
        let starts = Column::new("period_start".into(), self.period_start).cast(&DataType::Date).map_err(stage())?;
        let constant =
            |name: &str, text: &str| Column::new_scalar(name.into(), Scalar::from(PlSmallStr::from_str(text)), height);
        let number = |name: &str, pick: fn(&Scored) -> f64| {
            Column::new(name.into(), self.scored.iter().map(pick).collect::<Vec<_>>())
        };
        let columns = vec![
            Column::new("grain".into(), self.grain),
            starts,
            constant("basis", "placed_at"),
            Column::new("segment".into(), self.segment),
            Column::new("segment_value".into(), self.segment_value),
            Column::new("kpi".into(), self.kpi),
            Column::new("numerator".into(), self.numerator),
            Column::new("denominator".into(), self.denominator),
            number("value", |s| s.value),
            number("lower", |s| s.lower),
            number("upper", |s| s.upper),
            constant("unit", "score"),
            Column::new("mature".into(), self.mature),
        ];
        DataFrame::new_infer_height(columns).map_err(stage())
    }
}
