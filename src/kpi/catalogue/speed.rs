//! Speed by stage, by the day the order was placed: over orders that passed the stage, with the share still in it.

use crate::kpi::measure::Measure;
use crate::kpi::measure::Subject::Orders;
use polars::prelude::col;

/// Days until most orders of a day are through all stages.
const MATURE: i64 = 30;

pub(super) fn entries() -> Vec<Measure> {
    let stage = |id, meaning, needs, from, to| {
        Measure::time(Orders, id, meaning, from, to)
            .never_where(col("cancelled"))
            .needs(needs)
            .matures(MATURE)
            .less_is_better()
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
            "processing_working_time",
            "approved to shipped in working time, by the shop's `[calendar]`",
            &["orders.approved_at", "orders.shipped_at", "orders.shipped_in_working_time"],
            "approved_at",
            "shipped_in_working_time",
        ),
        stage(
            "transit_time",
            "shipped to delivered",
            &["orders.shipped_at", "orders.delivered_at"],
            "shipped_at",
            "delivered_at",
        ),
        stage(
            "customs_time",
            "first arrival at customs to last clearance",
            &["order_events.event=customs_arrived", "order_events.event=customs_cleared"],
            "customs_arrived_at",
            "customs_cleared_at",
        ),
        stage(
            "last_mile_time",
            "first arrival at the local post to delivered",
            &["order_events.event=at_local_post", "orders.delivered_at"],
            "local_post_at",
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
