//! Returns and exchanges: how many, on three bases that give three numbers, and how long each stage of one takes.

use super::{Terms, every};
use crate::kpi::facts::micros;
use crate::kpi::measure::Measure;
use crate::kpi::measure::Subject::{Orders, Returns};
use crate::types::time::HOUR;
use polars::prelude::*;

/// Days after a return was asked for until most are through.
const STAGES_MATURE: i64 = 45;

/// Time within which a request is to be answered, by the marketplaces' rule.
const ANSWER_WITHIN: i64 = 48 * HOUR;

pub(super) fn entries(terms: &Terms) -> Vec<Measure> {
    let mut all = rates(terms);
    all.extend(stages(terms));
    all
}

fn rates(terms: &Terms) -> Vec<Measure> {
    let of_delivered =
        |m: Measure, needs| m.needs(needs).by("delivered_at").matures(terms.returns_mature()).less_is_better();
    vec![
        of_delivered(
            Measure::share(
                Orders,
                "return_rate_orders",
                "orders with a return requested within the window after delivery / delivered orders",
                col("returned"),
                every(),
            ),
            &["returns", "orders.delivered_at"],
        ),
        of_delivered(
            Measure::ratio(
                Orders,
                "return_rate_units",
                "units returned within the window / units delivered",
                col("returned_units"),
                col("units"),
            ),
            &["returns.quantity", "orders.units", "orders.delivered_at"],
        ),
        of_delivered(
            Measure::ratio(
                Orders,
                "return_rate_revenue",
                "amount returned within the window / amount of delivered orders",
                col("returned_amount"),
                col("amount"),
            ),
            &["returns.amount", "orders.delivered_at"],
        ),
        of_delivered(
            Measure::share(
                Orders,
                "exchange_rate",
                "orders with an exchange requested within the window after delivery / delivered orders",
                col("exchanged"),
                every(),
            ),
            &["returns.kind=exchange", "orders.delivered_at"],
        ),
    ]
}

fn stages(terms: &Terms) -> Vec<Measure> {
    let stage = |id, meaning, from, to, needs| {
        // A return that was refused, closed or is done will pass no further stage.
        Measure::time(Returns, id, meaning, from, to)
            .never_where(col("finished"))
            .needs(needs)
            .by("requested_at")
            .matures(STAGES_MATURE)
            .less_is_better()
    };
    let in_time = (micros("answered_at") - micros("requested_at")).lt_eq(lit(ANSWER_WITHIN)).fill_null(lit(false));
    let old_enough = micros("requested_at").lt_eq(lit(terms.as_of - ANSWER_WITHIN));
    vec![
        stage(
            "return_cycle_time",
            "requested to refunded, or to the replacement received",
            "requested_at",
            "done_at",
            &["returns.refunded_at|returns.replacement_received_at"],
        ),
        stage("return_approval_time", "requested to approved", "requested_at", "approved_at", &["returns.approved_at"]),
        stage(
            "return_transit_time",
            "approved to received back",
            "approved_at",
            "received_at",
            &["returns.approved_at", "returns.received_at"],
        ),
        stage(
            "refund_time",
            "received back to refunded, of returns that are no exchange",
            "refund_due_since",
            "refunded_at",
            &["returns.received_at", "returns.refunded_at"],
        ),
        stage(
            "replacement_time",
            "received back to the replacement shipped, of exchanges",
            "replacement_due_since",
            "replacement_shipped_at",
            &["returns.kind=exchange", "returns.received_at", "returns.replacement_shipped_at"],
        ),
        Measure::share(
            Returns,
            "return_response_48h_rate",
            "requests approved or refused within 48 h / requests at least 48 h old",
            in_time,
            old_enough,
        )
        .needs(&["returns.approved_at|returns.rejected_at"])
        .by("requested_at")
        .matures(2)
        .more_is_better(),
    ]
}
