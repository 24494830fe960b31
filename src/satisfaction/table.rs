//! The index as rows of the `satisfaction` table, by period and segment.

use super::factors::{FACTORS, Points};
use super::index::{Cell, Index, K, Scored, Spread, Variance, index, variance};
use super::split::{self, Segment};
use crate::error::{Error, Result};
use crate::kpi::Grain;
use crate::kpi::periods::Periods;
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

/// What the index is made from.
#[derive(Debug)]
pub struct Orders<'a> {
    /// Calendar day on which each was placed, in the pipeline's zone, days since 1970-01-01.
    pub placed_day: &'a [i32],
    /// Factors of each.
    pub points: &'a [Points],
    /// Ways to split them; the whole need not be among them.
    pub segments: &'a [Segment],
    /// Periods that are asked for, by name; see [`Periods`]. Days are for the whole alone, and weeks for it and for what
    /// splits whole orders: a day of a channel, or a week of an article, would be little but the whole's, and there are many.
    pub grains: &'a [String],
    /// Weights of the factors, in the order of [`FACTORS`].
    pub weights: [f64; K],
    /// Zone of days.
    pub zone: Tz,
    /// The run's clock.
    pub as_of: i64,
}

/// An order, or an article in it: row of the order, number of its value, factors.
type Row = (usize, u32, Points);

/// Cells by period, then value of the segment.
type Cells = BTreeMap<(Grain, Option<i32>), BTreeMap<u32, Cell>>;

impl Orders<'_> {
    fn cells(&self, periods: &Periods, grains: &[Grain], rows: impl Iterator<Item = Row> + Clone) -> Cells {
        let mut cells = Cells::new();
        for grain in grains {
            for (order, value, points) in rows.clone() {
                let Some(first) = periods.period_of(*grain, self.placed_day[order]) else { continue };
                cells.entry((*grain, first)).or_default().entry(value).or_default().add(&points);
            }
        }
        cells
    }

    /// Every order, with its value by a list of them.
    fn rows<'a>(&'a self, values: &'a [u32]) -> impl Iterator<Item = Row> + Clone + 'a {
        self.points.iter().enumerate().map(|(order, points)| (order, values.get(order).copied().unwrap_or(0), *points))
    }
}

/// Everything that segments are drawn toward.
struct Whole {
    cells: Cells,
    spread: Spread,
}

impl Whole {
    fn of(orders: &Orders<'_>, periods: &Periods, grains: &[Grain], rows: impl Iterator<Item = Row> + Clone) -> Self {
        let mut spread = Spread::default();
        rows.clone().for_each(|(_, _, points)| spread.add(&points));
        let cells = orders.cells(periods, grains, rows.map(|(order, _, points)| (order, 0, points)));
        Self { cells, spread }
    }

    fn of_period(&self, period: &(Grain, Option<i32>)) -> Option<&Cell> {
        self.cells.get(period).and_then(|values| values.get(&0))
    }
}

/// The rows: `satisfaction_index` and `satisfaction_FACTOR`, with the columns of the `kpi` table.
///
/// `numerator` is the sum of whole points of the orders that have the factor and `denominator` their number: their quotient is
/// the raw mean, `value` the mean drawn toward the whole. The index has no numerator; its denominator is the number of orders
/// with any factor. Articles are drawn toward the mean over all orders and articles in them, where an order with three
/// articles counts three times; that the three have most of their factors in common is not in its interval.
///
/// # Errors
/// [`Error::Frames`] only for defects.
pub fn rows(orders: &Orders<'_>) -> Result<DataFrame> {
    let asked: Vec<Grain> = orders.grains.iter().filter_map(|grain| Grain::parse(grain)).collect();
    let periods = Periods::new(&asked, orders.as_of, orders.zone);
    let mut rows = Rows { last: orders.placed_day.iter().max().copied(), ..Rows::default() };
    let grains = |without: &[Grain]| {
        let mut grains: Vec<Grain> = asked.iter().copied().filter(|grain| !without.contains(grain)).collect();
        // The whole time is always counted: how segments vary is learnt from it.
        grains.extend((!grains.contains(&Grain::All)).then_some(Grain::All));
        grains
    };
    let whole = Whole::of(orders, &periods, &grains(&[]), orders.rows(&[]));
    for (period, values) in whole.cells.iter().filter(|((grain, _), _)| asked.contains(grain)) {
        for cell in values.values() {
            let found = index(cell, cell, None, &whole.spread, &orders.weights);
            rows.push(&periods, *period, "all", "all", cell, &found);
        }
    }
    for segment in orders.segments {
        match &segment.rows {
            split::Rows::Orders(values) => {
                let cells = orders.cells(&periods, &grains(&[Grain::Day]), orders.rows(values));
                rows.add(orders, &periods, segment, &cells, &whole);
            }
            split::Rows::Articles(articles) => {
                let each =
                    articles.iter().map(|a| (a.order as usize, a.value, a.points(&orders.points[a.order as usize])));
                let grains = grains(&[Grain::Day, Grain::Week]);
                let whole = Whole::of(orders, &periods, &grains, each.clone());
                rows.add(orders, &periods, segment, &orders.cells(&periods, &grains, each), &whole);
            }
        }
    }
    rows.into_frame()
}

/// Output rows by column.
#[derive(Default)]
struct Rows {
    last: Option<i32>,
    grain: Vec<Grain>,
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
    fn add(&mut self, orders: &Orders<'_>, periods: &Periods, segment: &Segment, cells: &Cells, whole: &Whole) {
        let Some(all) = cells.get(&(Grain::All, None)) else { return };
        let variances: [Variance; K] = std::array::from_fn(|factor| variance(factor, all.values(), &whole.spread));
        let is_asked = |grain: Grain| orders.grains.iter().any(|asked| *asked == grain.name());
        for (period, values) in cells.iter().filter(|((grain, _), _)| is_asked(*grain)) {
            let Some(of_whole) = whole.of_period(period) else { continue };
            for (value, cell) in values {
                let found = index(cell, of_whole, Some(&variances), &whole.spread, &orders.weights);
                self.push(periods, *period, &segment.name, &segment.values[*value as usize], cell, &found);
            }
        }
    }

    fn push(
        &mut self,
        periods: &Periods,
        (grain, start): (Grain, Option<i32>),
        segment: &str,
        value: &str,
        cell: &Cell,
        found: &Index,
    ) {
        let end = periods.end(grain, start, self.last.unwrap_or(0));
        let mature = periods.is_mature(end, MATURES_AFTER_DAYS);
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
            Column::new("grain".into(), self.grain.iter().map(|grain| grain.name()).collect::<Vec<_>>()),
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
