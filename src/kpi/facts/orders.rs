//! One row per order with everything that KPIs ask of it.

use super::{Availability, Facts, History, Terms, cases, evidence, instant_type, micros, nulls, of_kind, says};
use crate::contract::input::{Kind, table};
use crate::contract::segment::{self, LANE};
use crate::error::{Error, Result};
use crate::kpi::segment::lane_origin;
use polars::prelude::*;
use std::collections::{BTreeMap, BTreeSet};

/// Events that a carrier's scan makes.
const SCANS: [&str; 6] =
    ["first_scan", "customs_arrived", "customs_cleared", "at_local_post", "out_for_delivery", "delivered"];

type Tables = BTreeMap<&'static str, DataFrame>;

/// The facts of orders; see [`super::Facts::orders`] for what is in them.
pub(super) fn orders(
    tables: &Tables,
    available: &Availability,
    history: &History,
    terms: &Terms,
    segments: &[String],
) -> Result<LazyFrame> {
    let orders = tables.get("orders").cloned().unwrap_or_default();
    let mut facts = kept(&orders, available, segments);
    let join = |facts: LazyFrame, right: LazyFrame| facts.left_join(right, col("order_id"), col("order_id"));
    if let Some(items) = tables.get("order_items") {
        facts = join(facts, in_lines(items, !available_units(&orders)));
    }
    if let Some(events) = tables.get("order_events") {
        facts = join(facts, events_of(events)).with_column(col("scanned").fill_null(lit(false)));
    } else {
        facts = facts.with_column(lit(NULL).cast(instant_type()).alias("tracked_at"));
    }
    if let Some(told) = evidence::of_orders(tables, available)? {
        let names = evidence::MARKS.iter().map(|m| (m.name, format!("told_{}", m.name)));
        let (old, new): (Vec<&str>, Vec<String>) = names.unzip();
        facts = join(facts, told.rename(old, new, true));
    }
    if let Some(returns) = tables.get("returns") {
        facts = join(facts, sent_back(returns, &orders, available, terms, &[]));
    }
    if let Some(tickets) = tables.get("tickets").filter(|_| available.has("tickets.order_id")) {
        facts = join(facts, cases::of_orders(tickets)).with_column(charged_back().alias("charged_back_amount"));
    }
    if let Some(defects) = defects(tables, available)? {
        facts = join(facts, defects);
    }
    facts = facts.left_join(history.0.clone().lazy(), col("customer_id"), col("customer_id"));
    let schema = facts.collect_schema().map_err(Error::frames("order facts"))?;
    let marks = evidence::MARKS.iter().map(|m| Facts::mark(m, &schema).alias(m.name));
    let flags = ["defect", "returned", "exchanged", "disputed", "charged_back"];
    let sums = ["returned_units", "returned_amount", "contacts", "charged_back_amount"];
    let there = |name: &&&str| schema.contains(name);
    let mut columns: Vec<Expr> = marks.collect();
    columns.extend(flags.iter().filter(there).map(|name| no(name).alias(*name)));
    columns.extend(sums.iter().filter(there).map(|name| col(*name).fill_null(lit(0_i64)).alias(*name)));
    columns.push(col("placed_at").eq(col("first_at")).alias("first_order"));
    columns.push(col("order_id").eq(col("first_order_id")).alias("opens_customer"));
    Ok(facts.with_columns(columns).drop(cols(["first_order_id"])))
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

/// Units of an order's lines: `units` where the order has none of its own, and, over lines of which it is known how much
/// was shipped, `shipped_units` (no more than were ordered: too much of one article does not make up for another),
/// `known_units`, and `in_full`, null where it is not known of every line.
fn in_lines(items: &DataFrame, units: bool) -> LazyFrame {
    let mut sums = vec![
        col("_shipped").sum().alias("shipped_units"),
        col("_known").sum().alias("known_units"),
        col("_full").all(false).alias("in_full"),
    ];
    if units {
        sums.push(col("quantity").sum().alias("units"));
    }
    shipped_of_line(nulls(items, "order_items"))
        .with_column(col("_shipped").gt_eq(col("_known")).alias("_full"))
        .group_by([col("order_id")])
        .agg(sums)
}

/// Adds `_shipped` and `_known` to lines: units shipped, no more than were ordered, and units ordered; both null where
/// either is unknown.
pub(super) fn shipped_of_line(lines: LazyFrame) -> LazyFrame {
    let known = col("shipped_quantity").is_not_null().and(col("quantity").is_not_null());
    let too_much = col("shipped_quantity").gt(col("quantity"));
    let shipped = when(too_much).then(col("quantity")).otherwise(col("shipped_quantity"));
    lines.with_columns([
        when(known.clone()).then(shipped).otherwise(lit(NULL)).alias("_shipped"),
        when(known).then(col("quantity")).otherwise(lit(NULL)).alias("_known"),
    ])
}

/// Stages of an order that only its events tell of: `customs_arrived_at` the first and `customs_cleared_at` the last time,
/// `local_post_at`, `scanned` by a carrier, and `tracked_at`, when the first scan before the door came to be known.
fn events_of(events: &DataFrame) -> LazyFrame {
    let is = |event: &'static str| col("event").eq(lit(event));
    let at = |event| when(is(event)).then(col("occurred_at")).otherwise(lit(NULL));
    let scan = SCANS.iter().fold(lit(false), |any, event| any.or(is(event)));
    let on_the_way = scan.clone().and(is("delivered").not());
    // Of an order that nobody scanned there is nothing to tell.
    nulls(events, "order_events")
        .filter(scan.clone())
        .select([
            col("order_id"),
            at("customs_arrived").alias("customs_arrived_at"),
            at("customs_cleared").alias("customs_cleared_at"),
            at("at_local_post").alias("local_post_at"),
            when(on_the_way).then(col("known_at")).otherwise(lit(NULL)).alias("tracked_at"),
            scan.alias("scanned"),
        ])
        .group_by([col("order_id")])
        .agg([
            col("customs_arrived_at").min(),
            col("customs_cleared_at").max(),
            col("local_post_at").min(),
            col("tracked_at").min(),
            col("scanned").any(true),
        ])
}

/// What is returned of an order (or of a part of it, by the columns `by`), as far as it was asked for within the window
/// after delivery: `returned`, `returned_units`, `returned_amount`, `exchanged`; and `returned_MARK` by the reasons of all
/// its returns, whenever they came.
pub(super) fn sent_back(
    returns: &DataFrame,
    orders: &DataFrame,
    available: &Availability,
    terms: &Terms,
    by: &[&str],
) -> LazyFrame {
    let marked = evidence::of_returns(returns);
    let joined = if available.has("orders.delivered_at") {
        let delivered = orders.clone().lazy().select([col("order_id"), col("delivered_at")]);
        marked.left_join(delivered, col("order_id"), col("order_id"))
    } else {
        marked.with_column(lit(NULL).cast(instant_type()).alias("delivered_at"))
    };
    let within = micros("requested_at").lt_eq(micros("delivered_at") + lit(terms.return_window)).fill_null(lit(false));
    let counted = |name: &str| when(col("_within")).then(col(name)).otherwise(lit(NULL)).sum();
    let mut sums = vec![
        col("_within").any(true).alias("returned"),
        counted("quantity").alias("returned_units"),
        counted("amount").alias("returned_amount"),
        col("_within").and(col("kind").eq(lit("exchange"))).fill_null(lit(false)).any(true).alias("exchanged"),
    ];
    sums.extend(evidence::MARKS.iter().map(|m| col(m.name).any(true).alias(format!("returned_{}", m.name))));
    let key: Vec<Expr> = std::iter::once(&"order_id").chain(by).map(|c| col(*c)).collect();
    joined.with_column(within.alias("_within")).group_by(key).agg(sums)
}

/// What was charged back of an order: never more than the order, and all of it where a chargeback says no amount.
fn charged_back() -> Expr {
    let whole = no("charged_back_unpriced").or(col("charged_back_amount").gt(col("amount")));
    when(whole).then(col("amount")).otherwise(col("charged_back_amount"))
}

/// Orders with at least one defect: a union, so that an order with three complaints is one defective order.
fn defects(tables: &Tables, available: &Availability) -> Result<Option<LazyFrame>> {
    let mut parts = Vec::new();
    if let Some(feedback) = tables
        .get("feedback")
        .filter(|_| available.missing(&["feedback.order_id", "feedback.score", "feedback.scale"]).is_empty())
    {
        let low = col("scale").eq(lit("stars5")).and(col("score").lt_eq(lit(2)));
        parts.push(feedback.clone().lazy().filter(low).select([col("order_id")]));
    }
    if let Some(tickets) =
        tables.get("tickets").filter(|_| available.missing(&["tickets.order_id", "tickets.kind"]).is_empty())
    {
        let denied = says(tickets, "outcome", &["denied"]);
        let claim = col("kind").eq(lit("claim")).and(denied.not());
        parts
            .push(tickets.clone().lazy().filter(claim.or(col("kind").eq(lit("chargeback")))).select([col("order_id")]));
    }
    if parts.is_empty() {
        return Ok(None);
    }
    let all = concat(parts, UnionArgs::default()).map_err(Error::frames("order defects"))?;
    let known = all.filter(col("order_id").is_not_null());
    Ok(Some(known.group_by([col("order_id")]).agg([lit(true).first().alias("defect")])))
}
