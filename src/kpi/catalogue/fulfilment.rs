//! Fulfilment quality: promises kept, orders called off, and what went wrong on the way.

use super::{DAMAGED, NOT_AS_DESCRIBED, Terms, WRONG_ITEM, every, known, local_day};
use crate::kpi::facts::micros;
use crate::kpi::measure::Measure;
use crate::kpi::measure::Subject::Orders;
use polars::prelude::*;

const CANCEL: &str = "orders.cancelled_at|orders.cancelled_by|orders.status";

/// Days after an order was placed until errors on its way, and complaints of them, are in.
const ERRORS_MATURE: i64 = 45;

pub(super) fn entries(terms: &Terms) -> Vec<Measure> {
    let mut all = promises(terms);
    all.extend(cancels());
    all.extend(errors(terms));
    all
}

fn promises(terms: &Terms) -> Vec<Measure> {
    let shipped = || known("shipped_at");
    // An order cancelled before its promise was never due; one cancelled after the promise, unshipped, was late first.
    let cancelled_in_time = col("cancelled")
        .and(shipped().not())
        .and(col("cancelled_at").gt(col("promised_ship_at")).fill_null(lit(false)).not());
    let due = micros("promised_ship_at").lt_eq(lit(terms.as_of)).and(cancelled_in_time.not());
    // On the instant of the promise it can still be kept.
    let unshipped_past_it = shipped().not().and(micros("promised_ship_at").lt(lit(terms.as_of)));
    let late = col("shipped_at").gt(col("promised_ship_at")).fill_null(lit(false)).or(unshipped_past_it);
    let zone = terms.zone;
    let promise = move || local_day(col("promised_delivery_at"), zone);
    let today = local_day(lit(terms.as_of).cast(DataType::Datetime(TimeUnit::Microseconds, Some(TimeZone::UTC))), zone);
    let stands = || col("cancelled").not();
    let passed = move || promise().lt(today.clone());
    let kept = || local_day(col("delivered_at"), zone).lt_eq(promise()).fill_null(lit(false));
    // A parcel whose way was made up after the door is late by the marketplaces' rule, as nobody could follow it.
    let told_late = || col("tracked_at").gt(col("delivered_at")).fill_null(lit(false));
    let on_time = || kept().and(told_late().not());
    let sound = ["damaged", "wrong_item", "document_problem"].iter().fold(lit(true), |all, m| all.and(col(*m).not()));
    // Of a delivered order it must be known whether it was whole; one past its promise is not perfect whatever is in it.
    let told_whole = known("delivered_at").not().or(known("in_full"));
    let perfect = on_time().and(col("in_full").fill_null(lit(false))).and(sound);
    vec![
        Measure::share(
            Orders,
            "late_shipment_rate",
            "shipped after the promise, or unshipped past it / orders due to ship",
            late,
            due,
        )
        .needs(&["orders.promised_ship_at", "orders.shipped_at"])
        .by("promised_ship_at")
        .less_is_better(),
        Measure::share(
            Orders,
            "on_time_delivery_rate",
            "delivered on or before the promised day / orders whose promised day has passed, not cancelled; late are also \
             those not delivered and those whose first scan came to be known only after delivery",
            on_time(),
            passed().and(stands()),
        )
        .needs(&["orders.promised_delivery_at", "orders.delivered_at"])
        .by("promised_delivery_at")
        .matures(7)
        .more_is_better(),
        Measure::share(
            Orders,
            "valid_tracking_rate",
            "shipped orders with at least one scan of a carrier / shipped orders",
            col("scanned"),
            shipped(),
        )
        .needs(&["orders.shipped_at", "orders.promised_delivery_at", "order_events.event=first_scan"])
        .by("promised_delivery_at")
        .matures(14)
        .more_is_better(),
        Measure::ratio(
            Orders,
            "fill_rate",
            "units shipped, of a line no more than were ordered / units ordered, over lines of shipped orders",
            when(shipped()).then(col("shipped_units")).otherwise(lit(0_i64)),
            when(shipped()).then(col("known_units")).otherwise(lit(0_i64)),
        )
        .needs(&["orders.shipped_at", "order_items.quantity", "order_items.shipped_quantity"])
        .by("shipped_at")
        .more_is_better(),
        Measure::share(
            Orders,
            "perfect_order_rate",
            "all lines in full, on the promised day, no damage, wrong item or document problem / orders delivered or past \
             their promised day, not cancelled",
            perfect,
            known("delivered_at").or(passed()).and(stands()).and(told_whole),
        )
        .needs(&[
            "orders.promised_delivery_at",
            "orders.delivered_at",
            "order_items.quantity",
            "order_items.shipped_quantity",
            DAMAGED,
            WRONG_ITEM,
        ])
        .by("promised_delivery_at")
        .matures(30)
        .more_is_better(),
        Measure::share(
            Orders,
            "order_defect_rate",
            "distinct orders with a 1 or 2 star feedback, a claim not denied or a chargeback / orders",
            col("defect"),
            every(),
        )
        .needs(&["feedback.score|tickets.kind"])
        .matures(90)
        .less_is_better(),
    ]
}

fn cancels() -> Vec<Measure> {
    let by = |who: &'static str| col("cancelled_by").eq(lit(who)).fill_null(lit(false));
    let rate = |id, meaning, hit| Measure::share(Orders, id, meaning, hit, every()).matures(7).less_is_better();
    vec![
        rate("cancel_rate", "orders cancelled by anyone / orders", col("cancelled")).needs(&[CANCEL]),
        rate("buyer_cancel_rate", "orders cancelled by the buyer / orders", by("buyer"))
            .needs(&["orders.cancelled_by=buyer"]),
        rate(
            "pre_fulfilment_cancel_rate",
            "orders cancelled by the seller before shipping / orders",
            by("seller").and(known("shipped_at").not()),
        )
        .needs(&["orders.cancelled_by=seller", "orders.shipped_at"]),
    ]
}

/// Errors by stage: an order counts once, whoever tells of it: an event, the reason of a return or of a cancellation, the
/// topic of a ticket.
fn errors(terms: &Terms) -> Vec<Measure> {
    let rate = |id, meaning, mark: &str, trial: Expr, needs| {
        Measure::share(Orders, id, meaning, col(mark), trial).needs(needs).matures(ERRORS_MATURE).less_is_better()
    };
    let shipped = || known("shipped_at");
    vec![
        rate(
            "wrong_item_rate",
            "orders with a wrong article in them, by event, return reason or ticket topic / shipped orders",
            "wrong_item",
            shipped(),
            &["orders.shipped_at", WRONG_ITEM],
        ),
        rate(
            "damage_rate",
            "orders damaged, by event, return reason or ticket topic / shipped orders",
            "damaged",
            shipped(),
            &["orders.shipped_at", DAMAGED],
        ),
        rate(
            "lost_rate",
            "orders reported lost, by event, return reason or ticket topic / shipped orders",
            "lost",
            shipped(),
            &["orders.shipped_at", "order_events.event=exception_lost|returns.reason=lost|tickets.topic=lost"],
        ),
        rate(
            "stockout_rate",
            "orders with an article out of stock, by event, ticket topic or reason of cancellation / orders",
            "stockout",
            every(),
            &["order_events.event=stockout|orders.cancel_reason=stockout|tickets.topic=stockout"],
        ),
        rate(
            "address_problem_rate",
            "orders with a problem of the address, by event, ticket topic or reason of cancellation / shipped orders",
            "address_problem",
            shipped(),
            &[
                "orders.shipped_at",
                "order_events.event=exception_address|orders.cancel_reason=address_problem|tickets.topic=address_problem",
            ],
        ),
        rate(
            "not_as_described_rate",
            "orders not as described, by return reason or ticket topic / delivered orders",
            "not_as_described",
            every(),
            &["orders.delivered_at", NOT_AS_DESCRIBED],
        )
        .by("delivered_at")
        .matures(terms.returns_mature()),
    ]
}
