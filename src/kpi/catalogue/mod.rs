//! The KPIs, one entry each, one file a family. Definitions, clocks and maturities follow the marketplace standards named
//! with them.

mod backlog;
mod disputes;
mod fulfilment;
mod parts;
mod returns;
mod service;
mod speed;
mod volume;

use super::measure::Measure;
use crate::contract::segment;
use crate::types::time::DAY;
use chrono_tz::Tz;
use polars::prelude::*;

/// What the definitions depend on.
#[derive(Debug, Clone, Copy)]
pub struct Terms {
    /// The run's clock, UTC microseconds.
    pub as_of: i64,
    /// Zone of days.
    pub zone: Tz,
    /// Time after delivery within which a return counts, microseconds.
    pub return_window: i64,
}

impl Terms {
    /// Days after delivery until the returns of an order are in: the window, and fifteen days for late entries.
    fn returns_mature(&self) -> i64 {
        self.return_window / DAY + 15
    }
}

/// Every KPI of orders, customers, returns and tickets.
pub fn catalogue(terms: &Terms) -> Vec<Measure> {
    let mut all = volume::entries(terms);
    all.extend(speed::entries());
    all.extend(fulfilment::entries(terms));
    all.extend(backlog::entries());
    all.extend(returns::entries(terms));
    all.extend(disputes::entries());
    all.extend(service::entries(terms));
    all
}

/// The KPIs that are also counted by what is in the order, for those of `sku` and `category` that segments name. Their ids
/// are those of [`catalogue`].
pub fn by_part(terms: &Terms, segments: &[String]) -> Vec<Measure> {
    let names = |part: &str| segments.iter().any(|s| segment::parts(s).any(|p| p == part));
    parts::SUBJECTS
        .into_iter()
        .filter(|subject| subject.part().is_some_and(names))
        .flat_map(|subject| parts::entries(terms, subject))
        .collect()
}

/// The calendar day of an instant in the pipeline's zone.
pub(in crate::kpi) fn local_day(expr: Expr, zone: Tz) -> Expr {
    expr.dt().convert_time_zone(zone_name(zone)).dt().date()
}

/// A zone as polars names it.
fn zone_name(zone: Tz) -> TimeZone {
    // Names of the zone database are never refused.
    TimeZone::opt_try_new(Some(zone.name())).ok().flatten().unwrap_or(TimeZone::UTC)
}

/// Whether a row is there: every row.
fn every() -> Expr {
    lit(true)
}

/// Whether an instant is known.
fn known(name: &str) -> Expr {
    col(name).is_not_null()
}

/// One where it holds, else nought: for sums that count.
fn one_where(holds: Expr) -> Expr {
    when(holds).then(lit(1_i64)).otherwise(lit(0_i64))
}

// What it takes to know of an error at all: one source whose words tell of it, see `facts::MARKS`.
const WRONG_ITEM: &str = "order_events.event=wrong_item|returns.reason=wrong_item|tickets.topic=wrong_item";
const DAMAGED: &str = "order_events.event=exception_damage|returns.reason=damaged|tickets.topic=damaged";
const NOT_AS_DESCRIBED: &str = "returns.reason=not_as_described|tickets.topic=not_as_described";
