//! One row per order with everything that KPIs ask of it.

use super::order_rows::{ORDER, beside_orders};
use super::words::texts;
use super::{Availability, Facts, History, Tables, Terms};
use super::{cases, events, evidence, instant_type, lines, micros, nulls, of_kind, says};
use crate::contract::input::{Kind, table};
use crate::contract::segment::{self, LANE};
use crate::error::{Error, Result};
use crate::kpi::segment::lane_origin;
use polars::prelude::*;
use std::collections::BTreeSet;

/// The facts of orders; see [`super::Facts::orders`] for what is in them. Tables know the rows of their orders.
pub(super) fn orders(
    tables: &Tables,
    available: &Availability,
    history: &History,
    terms: &Terms,
    segments: &[String],
) -> Result<DataFrame> {
    let stage = || Error::frames("order facts");
    let orders = tables.get("orders").cloned().unwrap_or_default();
    let height = orders.height();
    let mut facts = kept(&orders, available, segments).collect().map_err(stage())?;
    let beside = |facts: &mut DataFrame, columns: &[Column]| facts.hstack_mut(columns).map(|_| ()).map_err(stage());
    let counted = |facts: &mut DataFrame, counted: LazyFrame| {
        beside(facts, beside_orders(&counted.collect().map_err(stage())?, height)?.columns())
    };
    if let Some(items) = tables.get("order_items") {
        beside(&mut facts, &lines::of_orders(items, height, !available_units(&orders))?)?;
    }
    let mut told = None;
    if let Some(table) = tables.get("order_events") {
        let of_events = events::of_orders(table, height)?;
        beside(&mut facts, &of_events.columns)?;
        told = Some(of_events.told);
    } else {
        beside(&mut facts, &[Column::full_null("tracked_at".into(), height, &instant_type())])?;
    }
    if let Some(told) = evidence::of_orders(tables, available, told)? {
        beside(&mut facts, &evidence::columns("told_", &told))?;
    }
    if let Some(returns) = tables.get("returns") {
        counted(&mut facts, sent_back(returns, terms, &[ORDER])?)?;
    }
    if let Some(tickets) = tables.get("tickets").filter(|_| available.has("tickets.order_id")) {
        counted(&mut facts, cases::of_orders(tickets))?;
    }
    if let Some(defects) = defects(tables, available, height)? {
        beside(&mut facts, &[defects])?;
    }
    beside(&mut facts, &history.columns(&orders)?)?;
    let schema = facts.schema().clone();
    let marks = evidence::MARKS.iter().map(|m| Facts::mark(m, &schema).alias(m.name));
    let flags = ["returned", "exchanged", "disputed", "unresolved", "charged_back"];
    let sums = ["returned_units", "returned_amount", "contacts"];
    let there = |name: &&&str| schema.contains(name);
    let mut columns: Vec<Expr> = marks.collect();
    columns.extend(flags.iter().filter(there).map(|name| no(name).alias(*name)));
    columns.extend(sums.iter().filter(there).map(|name| col(*name).fill_null(lit(0_i64)).alias(*name)));
    if schema.contains("charged_back_amount") {
        columns.push(charged_back().fill_null(lit(0_i64)).alias("charged_back_amount"));
    }
    // What is put beside comes in pieces of different lengths, which a question that holds a constant takes apart wrongly.
    facts.rechunk_mut();
    let mut facts = facts.lazy().with_columns(columns).collect().map_err(stage())?;
    facts.rechunk_mut();
    Ok(facts)
}

/// A flag that is false where nothing is known.
pub(super) fn no(name: &str) -> Expr {
    col(name).fill_null(lit(false))
}

fn available_units(orders: &DataFrame) -> bool {
    orders.get_column_index("units").is_some()
}

/// The columns of orders that facts keep: times, money, counts and labels, ids, and what KPIs are split by.
fn kept(orders: &DataFrame, available: &Availability, segments: &[String]) -> LazyFrame {
    let split: BTreeSet<&str> = segments.iter().flat_map(|s| segment::parts(s)).collect();
    let contract = table("orders").map(|t| t.columns).unwrap_or_default();
    let mut columns: Vec<Expr> = contract
        .iter()
        .filter(|c| orders.get_column_index(c.name).is_some())
        .filter(|c| {
            matches!(c.kind, Kind::Instant | Kind::Money | Kind::Count | Kind::Flag)
                || ["order_id", "customer_id", "cancelled_by"].contains(&c.name)
                || split.contains(c.name)
        })
        .map(|c| col(c.name))
        .collect();
    // Made of the calendar where the shop has one, and no column of the contract.
    columns.extend(available.has("orders.shipped_in_working_time").then(|| col("shipped_in_working_time")));
    columns.push(cancelled(orders, available).alias("cancelled"));
    columns.push(failed_by_seller(orders, available).alias("failed_by_seller"));
    // Definitions ask when an order was cancelled, or by whom, only to refine: without the column they go by whether.
    for (name, kind) in [("cancelled_at", Kind::Instant), ("cancelled_by", Kind::Text)] {
        if !available.has(&format!("orders.{name}")) {
            columns.push(lit(NULL).cast(of_kind(kind)).alias(name));
        }
    }
    // Money is known to have come in when it came, or when somebody who looks at that let the order pass.
    let paid: Vec<Expr> =
        ["paid_at", "approved_at"].iter().filter(|c| available.has(&format!("orders.{c}"))).map(|c| col(*c)).collect();
    let paid = if paid.is_empty() { lit(NULL).cast(instant_type()) } else { coalesce(&paid) };
    columns.push(paid.alias("paid_since"));
    if let Some(origin) =
        lane_origin(available).filter(|_| split.contains(LANE) && available.has("orders.ship_country"))
    {
        let end = |name: &str| col(name).fill_null(lit("(none)"));
        columns.push(concat_str([end(origin), end("ship_country")], " → ", false).alias(LANE));
    }
    orders.clone().lazy().select(columns)
}

/// Cancelled by whoever: a time of it, a name for who did it, or the order's status says so.
fn cancelled(orders: &DataFrame, available: &Availability) -> Expr {
    let mut any = lit(false);
    for column in ["cancelled_at", "cancelled_by"] {
        if available.has(&format!("orders.{column}")) {
            any = any.or(col(column).is_not_null());
        }
    }
    any.or(says(orders, "status", &["cancelled", "canceled"]))
}

/// Reasons of a cancellation that lie with the buyer, whoever pressed the button: no payment came, or the buyer asked for it.
const BUYERS_REASONS: &[&str] = &[
    "payment_overdue",
    "payment_expired",
    "unpaid",
    "not_paid",
    "buyer_request",
    "buyer_requested",
    "buyer_asked",
    "requested_by_buyer",
    "customer_request",
];

/// Cancelled by the seller for reasons of his own, before or after shipping: what eBay counts as a defect. Where nobody says
/// who cancelled, an empty shelf is the seller's. A problem of the address, an unpaid order and a buyer's wish are not.
fn failed_by_seller(orders: &DataFrame, available: &Availability) -> Expr {
    let told = |column: &str| available.has(&format!("orders.{column}"));
    let stockout = evidence::says_mark(orders, "cancel_reason", "stockout");
    let unnamed = if told("cancelled_by") { col("cancelled_by").is_null() } else { lit(true) };
    let by_seller = if told("cancelled_by") { col("cancelled_by").eq(lit("seller")) } else { lit(false) };
    let excused = says(orders, "cancel_reason", BUYERS_REASONS).or(evidence::says_mark(
        orders,
        "cancel_reason",
        "address_problem",
    ));
    let of_his_own = by_seller.fill_null(lit(false)).and(excused.not());
    of_his_own.or(unnamed.and(cancelled(orders, available)).and(stockout))
}

/// What is returned of an order (by [`ORDER`]) or of a part of it (by other columns), as far as it was asked for within the
/// window after delivery: `returned`, `returned_units`, `returned_amount`, `exchanged`; and `returned_MARK` by the reasons
/// of all its returns, whenever they came.
pub(super) fn sent_back(returns: &DataFrame, terms: &Terms, by: &[&str]) -> Result<LazyFrame> {
    let told: Vec<u8> = evidence::of_reasons(&texts(returns, "reason")?).collect();
    let mut marked = returns.clone();
    for mark in evidence::columns("", &told) {
        marked.with_column(mark).map_err(Error::frames("returns of orders"))?;
    }
    let marked = nulls(&marked, "returns");
    let within = micros("requested_at").lt_eq(micros("delivered_at") + lit(terms.return_window)).fill_null(lit(false));
    let counted = |name: &str| when(col("_within")).then(col(name)).otherwise(lit(NULL)).sum();
    let mut sums = vec![
        col("_within").any(true).alias("returned"),
        counted("quantity").alias("returned_units"),
        counted("amount").alias("returned_amount"),
        col("_within").and(col("kind").eq(lit("exchange"))).fill_null(lit(false)).any(true).alias("exchanged"),
    ];
    sums.extend(evidence::MARKS.iter().map(|m| col(m.name).any(true).alias(format!("returned_{}", m.name))));
    Ok(marked.with_column(within.alias("_within")).group_by(by.iter().map(|c| col(*c)).collect::<Vec<_>>()).agg(sums))
}

/// What was charged back of an order: never more than the order, and all of it where a chargeback says no amount.
fn charged_back() -> Expr {
    let whole = no("charged_back_unpriced").or(col("charged_back_amount").gt(col("amount")));
    when(whole).then(col("amount")).otherwise(col("charged_back_amount"))
}

/// Orders with at least one defect, `defect` by order: an order with three complaints is one defective order.
fn defects(tables: &Tables, available: &Availability, orders: usize) -> Result<Option<Column>> {
    let stage = || Error::frames("order defects");
    let mut asked = Vec::new();
    if let Some(feedback) = tables
        .get("feedback")
        .filter(|_| available.missing(&["feedback.order_id", "feedback.score", "feedback.scale"]).is_empty())
    {
        asked.push((feedback, col("scale").eq(lit("stars5")).and(col("score").lt_eq(lit(2)))));
    }
    if let Some(tickets) =
        tables.get("tickets").filter(|_| available.missing(&["tickets.order_id", "tickets.kind"]).is_empty())
    {
        let denied = says(tickets, "outcome", &["denied"]);
        let claim = col("kind").eq(lit("claim")).and(denied.not());
        asked.push((tickets, claim.or(col("kind").eq(lit("chargeback")))));
    }
    if asked.is_empty() {
        return Ok(None);
    }
    let mut defective = vec![false; orders];
    for (table, defect) in asked {
        let rows = table.clone().lazy().filter(defect).select([col(ORDER)]).collect().map_err(stage())?;
        let rows = rows.column(ORDER).and_then(|c| c.idx().cloned()).map_err(stage())?;
        rows.iter().flatten().for_each(|order| defective[order as usize] = true);
    }
    Ok(Some(Column::new("defect".into(), defective)))
}
