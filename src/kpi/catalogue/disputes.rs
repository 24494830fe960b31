//! Disputes, chargebacks and fraud.

use super::every;
use crate::kpi::measure::Subject::{Orders, Tickets};
use crate::kpi::measure::{Measure, Unit};
use polars::prelude::*;

/// Days after an order until its chargebacks are in: banks give cardholders about four months.
const CHARGEBACKS_MATURE: i64 = 120;
/// Days after an order until its disputes are in.
const DISPUTES_MATURE: i64 = 90;

pub(super) fn entries() -> Vec<Measure> {
    let mut all = cases();
    all.extend(unresolved());
    all
}

/// What eBay judges sellers by, over the last three complete calendar months where they hold 400 transactions, else over the
/// last twelve: the window is a matter of the target, see `pipelines/targets/ebay.toml`. Sources: eBay help, Defects («Defect
/// rate is the number of seller-canceled transactions plus the number of cases closed without seller resolution divided by
/// the total number of transactions»); eBay seller center, Defect removal («We don't count more than one defect per
/// transaction»). eBay also takes off what its own faults or carriers at large caused, which no input tells.
fn unresolved() -> [Measure; 2] {
    let rate = |id, meaning, hit, needs| {
        Measure::share(Orders, id, meaning, hit, every()).needs(needs).matures(DISPUTES_MATURE).less_is_better()
    };
    [
        rate(
            "transaction_defect_rate",
            "distinct orders that the seller cancelled for reasons of his own, or with a claim or dispute closed without \
             seller resolution / orders",
            col("failed_by_seller").or(col("unresolved")),
            &[
                "orders.cancelled_by=seller|orders.cancel_reason=stockout",
                "tickets.kind=claim|tickets.kind=dispute",
                "tickets.outcome",
                "tickets.order_id",
            ],
        ),
        rate(
            "unresolved_case_rate",
            "orders with a claim or dispute closed without seller resolution: decided against the seller by somebody else; \
             open, withdrawn, denied and accepted ones are none / orders",
            col("unresolved"),
            &["tickets.kind=claim|tickets.kind=dispute", "tickets.outcome", "tickets.order_id"],
        ),
    ]
}

fn cases() -> Vec<Measure> {
    let fraud = || col("fraud").fill_null(lit(false));
    let rate = |m: Measure, needs, days| m.needs(needs).matures(days).less_is_better();
    vec![
        rate(
            Measure::share(
                Orders,
                "dispute_rate",
                "orders with a dispute that the buyer did not withdraw / orders",
                col("disputed"),
                every(),
            ),
            &["tickets.kind=dispute", "tickets.order_id"],
            DISPUTES_MATURE,
        ),
        Measure::time(
            Tickets,
            "dispute_cycle_time",
            "dispute opened to solved for good",
            "disputed_at",
            "last_solved_at",
        )
        .needs(&["tickets.kind=dispute", "tickets.last_solved_at"])
        .by("opened_at")
        .matures(60)
        .less_is_better(),
        Measure::share(
            Tickets,
            "dispute_loss_rate",
            "disputes decided for the buyer / disputes decided; withdrawn and open ones are neither",
            col("lost"),
            col("disputed_at").is_not_null().and(col("decided")),
        )
        .needs(&["tickets.kind=dispute", "tickets.outcome"])
        .by("opened_at")
        .matures(60)
        .less_is_better(),
        rate(
            Measure::share(
                Orders,
                "chargeback_rate",
                "orders with a chargeback / orders",
                col("charged_back"),
                every(),
            ),
            &["tickets.kind=chargeback", "tickets.order_id"],
            CHARGEBACKS_MATURE,
        ),
        rate(
            Measure::ratio(
                Orders,
                "chargeback_value_rate",
                "amount charged back, of an order no more than its own / amount of orders",
                col("charged_back_amount"),
                col("amount"),
            ),
            &["tickets.kind=chargeback", "tickets.order_id", "orders.amount"],
            CHARGEBACKS_MATURE,
        ),
        rate(
            Measure::share(Orders, "fraud_rate", "orders confirmed to be fraud / orders", fraud(), every()),
            &["orders.fraud"],
            CHARGEBACKS_MATURE,
        ),
        rate(
            Measure::ratio(
                Orders,
                "fraud_rate_bps",
                "amount of orders confirmed to be fraud / amount of orders, in hundredths of a percent",
                when(fraud()).then(col("amount")).otherwise(lit(0_i64)),
                col("amount"),
            )
            .unit(Unit::BasisPoints),
            &["orders.fraud", "orders.amount"],
            CHARGEBACKS_MATURE,
        ),
    ]
}
