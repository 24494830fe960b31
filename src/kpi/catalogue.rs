//! The KPIs, one entry each. Definitions, clocks and maturities follow the marketplace standards named with them.

use super::facts::{REPEAT_DAYS, micros};
use super::measure::{Measure, Shape, Subject, Unit};
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

/// The calendar day of an instant in the pipeline's zone.
pub(super) fn local_day(expr: Expr, zone: Tz) -> Expr {
    expr.dt().convert_time_zone(zone_name(zone)).dt().date()
}

/// A zone as polars names it.
fn zone_name(zone: Tz) -> TimeZone {
    // Names of the zone database are never refused.
    TimeZone::opt_try_new(Some(zone.name())).ok().flatten().unwrap_or(TimeZone::UTC)
}

/// Every KPI.
pub fn catalogue(terms: &Terms) -> Vec<Measure> {
    let mut all = volume(terms);
    all.extend(speed());
    all.extend(quality(terms));
    all.extend(returns(terms));
    all
}

#[expect(clippy::too_many_arguments, reason = "one argument a field of the entry")]
fn orders(
    id: &'static str,
    meaning: &'static str,
    needs: &'static [&'static str],
    basis: &'static str,
    shape: Shape,
    unit: Unit,
    matures_after_days: i64,
    more_is_better: Option<bool>,
) -> Measure {
    Measure { id, meaning, needs, subject: Subject::Orders, basis, shape, unit, matures_after_days, more_is_better }
}

fn volume(terms: &Terms) -> Vec<Measure> {
    let old_enough = micros("first_at").lt_eq(lit(terms.as_of - REPEAT_DAYS * DAY));
    vec![
        orders("orders", "orders placed", &["orders"], "placed_at", Shape::Total(lit(1)), Unit::Count, 0, Some(true)),
        orders(
            "units",
            "units ordered",
            &["orders.units"],
            "placed_at",
            Shape::Total(col("units")),
            Unit::Count,
            0,
            Some(true),
        ),
        orders(
            "gross_sales",
            "sum of order amounts, before cancellations and returns",
            &["orders.amount"],
            "placed_at",
            Shape::Total(col("amount")),
            Unit::Money,
            0,
            Some(true),
        ),
        orders(
            "average_order_value",
            "gross sales / orders",
            &["orders.amount"],
            "placed_at",
            Shape::Ratio { above: col("amount"), below: lit(1) },
            Unit::Money,
            0,
            Some(true),
        ),
        orders(
            "new_customer_share",
            "orders that are their customer's first / orders",
            &["orders.customer_id"],
            "placed_at",
            Shape::Proportion { hit: col("first_order"), trial: lit(true) },
            Unit::Share,
            0,
            None,
        ),
        Measure {
            subject: Subject::Customers,
            ..orders(
                "repeat_purchase_rate",
                "customers with another order within 90 d of their first / customers whose first order is at least 90 d old",
                &["orders.customer_id"],
                "first_at",
                Shape::Proportion { hit: col("repeated"), trial: old_enough },
                Unit::Share,
                REPEAT_DAYS,
                Some(true),
            )
        },
    ]
}

fn speed() -> Vec<Measure> {
    let stage = |id, meaning, needs, from, to| {
        orders(id, meaning, needs, "placed_at", Shape::Duration { from, to }, Unit::Hours, 30, Some(false))
    };
    vec![
        stage("time_to_pay", "placed to paid", &["orders.paid_at"], "placed_at", "paid_at"),
        stage("review_time", "paid to approved", &["orders.paid_at", "orders.approved_at"], "paid_at", "approved_at"),
        stage(
            "processing_time",
            "approved to shipped",
            &["orders.approved_at", "orders.shipped_at"],
            "approved_at",
            "shipped_at",
        ),
        stage(
            "transit_time",
            "shipped to delivered",
            &["orders.shipped_at", "orders.delivered_at"],
            "shipped_at",
            "delivered_at",
        ),
        stage(
            "order_cycle_time",
            "paid to delivered",
            &["orders.paid_at", "orders.delivered_at"],
            "paid_at",
            "delivered_at",
        ),
        stage("click_to_door", "placed to delivered", &["orders.delivered_at"], "placed_at", "delivered_at"),
    ]
}

const CANCEL: &str = "orders.cancelled_at|orders.cancelled_by|orders.status";

fn quality(terms: &Terms) -> Vec<Measure> {
    let shipped_at_all = || col("shipped_at").is_not_null();
    // An order cancelled before its promise was never due; one cancelled after the promise, unshipped, was late first.
    let cancelled_in_time = col("cancelled")
        .and(shipped_at_all().not())
        .and(col("cancelled_at").gt(col("promised_ship_at")).fill_null(lit(false)).not());
    let due = micros("promised_ship_at").lt_eq(lit(terms.as_of)).and(cancelled_in_time.not());
    let late = col("shipped_at").gt(col("promised_ship_at")).fill_null(lit(true));
    let zone = terms.zone;
    let promise = move || local_day(col("promised_delivery_at"), zone);
    let today = local_day(lit(terms.as_of).cast(DataType::Datetime(TimeUnit::Microseconds, Some(TimeZone::UTC))), zone);
    let passed = promise().lt(today).and(col("cancelled").not());
    let kept = local_day(col("delivered_at"), zone).lt_eq(promise()).fill_null(lit(false));
    let by = |who: &'static str| col("cancelled_by").eq(lit(who)).fill_null(lit(false));
    vec![
        orders(
            "late_shipment_rate",
            "shipped after the promise, or unshipped past it / orders due to ship",
            &["orders.promised_ship_at", "orders.shipped_at"],
            "promised_ship_at",
            Shape::Proportion { hit: late, trial: due },
            Unit::Share,
            0,
            Some(false),
        ),
        orders(
            "on_time_delivery_rate",
            "delivered on or before the promised day / orders whose promised day has passed, not cancelled; undelivered is late",
            &["orders.promised_delivery_at", "orders.delivered_at"],
            "promised_delivery_at",
            Shape::Proportion { hit: kept, trial: passed },
            Unit::Share,
            7,
            Some(true),
        ),
        orders(
            "cancel_rate",
            "orders cancelled by anyone / orders",
            &[CANCEL],
            "placed_at",
            Shape::Proportion { hit: col("cancelled"), trial: lit(true) },
            Unit::Share,
            7,
            Some(false),
        ),
        orders(
            "buyer_cancel_rate",
            "orders cancelled by the buyer / orders",
            &["orders.cancelled_by=buyer"],
            "placed_at",
            Shape::Proportion { hit: by("buyer"), trial: lit(true) },
            Unit::Share,
            7,
            Some(false),
        ),
        orders(
            "pre_fulfilment_cancel_rate",
            "orders cancelled by the seller before shipping / orders",
            &["orders.cancelled_by=seller", "orders.shipped_at"],
            "placed_at",
            Shape::Proportion { hit: by("seller").and(shipped_at_all().not()), trial: lit(true) },
            Unit::Share,
            7,
            Some(false),
        ),
        orders(
            "order_defect_rate",
            "distinct orders with a 1 or 2 star feedback, a claim not denied or a chargeback / orders",
            &["feedback.score|tickets.kind"],
            "placed_at",
            Shape::Proportion { hit: col("defect"), trial: lit(true) },
            Unit::Share,
            90,
            Some(false),
        ),
    ]
}

fn returns(terms: &Terms) -> Vec<Measure> {
    let days = terms.return_window / DAY + 15;
    vec![
        orders(
            "return_rate_orders",
            "orders with a return requested within the window after delivery / delivered orders",
            &["returns", "orders.delivered_at"],
            "delivered_at",
            Shape::Proportion { hit: col("returned"), trial: lit(true) },
            Unit::Share,
            days,
            Some(false),
        ),
        orders(
            "return_rate_units",
            "units returned within the window / units delivered",
            &["returns.quantity", "orders.units", "orders.delivered_at"],
            "delivered_at",
            Shape::Ratio { above: col("returned_units"), below: col("units") },
            Unit::Share,
            days,
            Some(false),
        ),
        orders(
            "return_rate_revenue",
            "amount returned within the window / amount of delivered orders",
            &["returns.amount", "orders.delivered_at"],
            "delivered_at",
            Shape::Ratio { above: col("returned_amount"), below: col("amount") },
            Unit::Share,
            days,
            Some(false),
        ),
    ]
}
