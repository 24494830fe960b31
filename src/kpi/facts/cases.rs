//! Returns, tickets and feedback as rows of their own, with the columns of their order that KPIs are split by.

use super::order_rows::ORDER;
use super::{instant_type, nulls, says, word};
use polars::prelude::*;

/// One row per return.
///
/// `done_at` is when the customer had what they wanted: the refund, or the replacement in their hands; `answered_at` the
/// approval or refusal, whichever came first; `refund_due_since` and `replacement_due_since` are its arrival back, for
/// the one kind or the other; `finished` says that nothing more will come. The order's money keeps its name, the
/// return's is `return_amount`.
pub(super) fn returns(table: &DataFrame) -> LazyFrame {
    let exchanged = col("kind").eq(lit("exchange")).fill_null(lit(false));
    let refunded_first = coalesce(&[col("refunded_at"), col("replacement_received_at")]);
    let replaced_first = coalesce(&[col("replacement_received_at"), col("refunded_at")]);
    let done = when(exchanged.clone()).then(replaced_first).otherwise(refunded_first);
    let rejected = col("rejected_at");
    let answered = when(rejected.clone().is_null().or(col("approved_at").lt_eq(rejected.clone())))
        .then(col("approved_at"))
        .otherwise(rejected);
    nulls(table, "returns")
        .rename(["amount", "quantity", "currency"], ["return_amount", "return_quantity", "return_currency"], true)
        .with_columns([
            done.alias("done_at"),
            answered.alias("answered_at"),
            when(exchanged.clone()).then(lit(NULL)).otherwise(col("received_at")).alias("refund_due_since"),
            when(exchanged.clone()).then(col("received_at")).otherwise(lit(NULL)).alias("replacement_due_since"),
            exchanged.alias("exchange"),
        ])
        .with_column(
            col("rejected_at")
                .is_not_null()
                .or(col("closed_at").is_not_null())
                .or(col("done_at").is_not_null())
                .alias("finished"),
        )
}

/// Outcomes of a dispute that the seller lost, and those that say it was decided; in lower case with `_` for blanks.
const LOST: &[&str] = &["buyer_won", "accepted", "lost", "refunded", "granted"];
const WON: &[&str] = &["seller_won", "denied", "won", "rejected"];
const WITHDRAWN: &[&str] = &["withdrawn", "cancelled_by_buyer", "withdrawn_by_buyer"];
/// Outcomes of a claim or dispute that somebody else had to decide, against the seller. Who accepted or refunded by himself
/// resolved it, so these words of [`LOST`] are not among them.
const UNRESOLVED: &[&str] = &["buyer_won", "lost", "granted", "closed_without_seller_resolution"];

/// One row per ticket.
///
/// `asked_at` is the opening of a ticket that waits for an answer of the shop (every kind but a chargeback, which a bank
/// opens), `disputed_at` that of a dispute; null for other kinds. `lost`, `decided` and `withdrawn` tell of the outcome,
/// `spoken` and `answered_in` are languages without their region. The ticket's own channel is `ticket_channel`, its
/// money `ticket_amount`.
pub(super) fn tickets(table: &DataFrame) -> LazyFrame {
    let null = || lit(NULL).cast(instant_type());
    let is = |kind: &'static str| col("kind").eq(lit(kind)).fill_null(lit(false));
    let language = |name: &str| word(name).str().splitn(lit("_"), 2).struct_().field_by_name("field_0");
    let came_out = |words: &[&str]| says(table, "outcome", words);
    let decided: Vec<&str> = LOST.iter().chain(WON).copied().collect();
    nulls(table, "tickets")
        .rename(
            ["channel", "amount", "currency", "customer_id"],
            ["ticket_channel", "ticket_amount", "ticket_currency", "ticket_customer_id"],
            true,
        )
        .with_columns([
            when(is("chargeback")).then(null()).otherwise(col("opened_at")).alias("asked_at"),
            when(is("dispute")).then(col("opened_at")).otherwise(null()).alias("disputed_at"),
            came_out(LOST).alias("lost"),
            came_out(&decided).alias("decided"),
            came_out(WITHDRAWN).alias("withdrawn"),
            language("language").alias("spoken"),
            language("agent_language").alias("answered_in"),
        ])
}

/// What tickets add to their orders, by [`ORDER`]: `contacts`, `disputed` (a dispute that was not withdrawn), `unresolved` (a
/// claim or dispute decided against the seller), `charged_back` and `charged_back_amount`, null where a chargeback says no
/// amount.
pub(super) fn of_orders(table: &DataFrame) -> LazyFrame {
    let is = |kind: &'static str| col("kind").eq(lit(kind)).fill_null(lit(false));
    let unpriced = is("chargeback").and(col("ticket_amount").is_null()).any(true);
    tickets(table)
        .filter(col(ORDER).is_not_null())
        .with_columns([
            is("contact").cast(DataType::Int64).alias("contacts"),
            is("dispute").and(col("withdrawn").not()).alias("disputed"),
            is("claim").or(is("dispute")).and(says(table, "outcome", UNRESOLVED)).alias("unresolved"),
            is("chargeback").alias("charged_back"),
            when(is("chargeback")).then(col("ticket_amount")).otherwise(lit(0_i64)).alias("charged_back_amount"),
        ])
        .group_by([col(ORDER)])
        .agg([
            col("contacts").sum(),
            col("disputed").any(true),
            col("unresolved").any(true),
            col("charged_back").any(true),
            col("charged_back_amount").sum(),
            unpriced.alias("charged_back_unpriced"),
        ])
}
