//! One row per order with everything that KPIs ask of it.

use crate::error::{Error, Result};
use crate::types::time::DAY;
use polars::prelude::*;
use std::collections::{BTreeMap, BTreeSet};

/// Days within which a second order makes a customer a repeat customer.
pub const REPEAT_DAYS: i64 = 90;

/// Which tables and columns the input supplies, as `table` and `table.column`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Availability(BTreeSet<String>);

impl Availability {
    /// What the accepted tables hold.
    pub fn of(tables: &BTreeMap<&'static str, DataFrame>) -> Self {
        let mut names = BTreeSet::new();
        for (table, frame) in tables {
            names.insert((*table).to_owned());
            names.extend(frame.get_column_names().iter().map(|c| format!("{table}.{c}")));
        }
        // Units of an order can be summed from its lines.
        if names.contains("order_items.quantity") {
            names.insert("orders.units".to_owned());
        }
        // Who cancelled is often known for one side only; a side that never occurs is unknown, not innocent.
        if let Some(by) = tables.get("orders").and_then(|o| o.column("cancelled_by").ok()).and_then(|c| c.str().ok()) {
            names.extend(by.iter().flatten().map(|who| format!("orders.cancelled_by={who}")).collect::<BTreeSet<_>>());
        }
        Self(names)
    }

    /// Whether it is there.
    pub fn has(&self, name: &str) -> bool {
        self.0.contains(name)
    }

    /// Those of `needs` that are missing. Alternatives are written `a|b`.
    pub fn missing(&self, needs: &[&str]) -> Vec<String> {
        needs.iter().filter(|n| !n.split('|').any(|one| self.has(one))).map(|n| n.replace('|', " or ")).collect()
    }
}

/// The frames that measures count, one per subject.
#[derive(Debug, Clone)]
pub struct Facts {
    /// One row per order: the order's own columns and `cancelled`, `defect`, `first_order`, `returned`, `returned_units`,
    /// `returned_amount`, as far as the input has what they need.
    pub orders: DataFrame,
    /// One row per customer: the columns of the first order and `repeated`.
    pub customers: DataFrame,
    /// One row per feedback: its own columns and the columns of its order.
    pub feedback: Option<DataFrame>,
    /// What the input supplies.
    pub available: Availability,
}

impl Facts {
    /// Puts facts together from tables as they are known at the run's clock.
    ///
    /// `return_window` is in microseconds.
    ///
    /// # Errors
    /// [`Error::Frames`] only for defects.
    pub fn new(tables: &BTreeMap<&'static str, DataFrame>, return_window: i64) -> Result<Self> {
        let stage = || Error::frames("order facts");
        let available = Availability::of(tables);
        let orders = tables.get("orders").cloned().unwrap_or_default();
        let mut facts = orders.clone().lazy().with_column(cancelled(&available).alias("cancelled"));
        if !available.has("orders.cancelled_at") {
            // Definitions ask when an order was cancelled only to refine; without the column they go by whether.
            facts = facts.with_column(lit(NULL).cast(orders_instant()).alias("cancelled_at"));
        }
        let per_order = |facts: LazyFrame, right: LazyFrame| facts.left_join(right, col("order_id"), col("order_id"));
        if !orders.get_column_names().iter().any(|c| c.as_str() == "units")
            && let Some(items) = tables.get("order_items").filter(|_| available.has("order_items.quantity"))
        {
            let units = items.clone().lazy().group_by([col("order_id")]).agg([col("quantity").sum().alias("units")]);
            facts = per_order(facts, units);
        }
        if let Some(defects) = defects(tables, &available)? {
            facts = per_order(facts, defects).with_column(col("defect").fill_null(lit(false)));
        }
        if let Some(returns) = tables.get("returns").filter(|_| available.has("orders.delivered_at")) {
            let sum = |name: &str, to: &str| {
                let column =
                    if available.has(&format!("returns.{name}")) { col(name) } else { lit(NULL).cast(DataType::Int64) };
                column.sum().alias(to)
            };
            let delivered = orders.clone().lazy().select([col("order_id"), col("delivered_at")]);
            let within = returns
                .clone()
                .lazy()
                .inner_join(delivered, col("order_id"), col("order_id"))
                .filter(micros("requested_at").lt_eq(micros("delivered_at") + lit(return_window)))
                .group_by([col("order_id")])
                .agg([
                    lit(true).first().alias("returned"),
                    sum("quantity", "returned_units"),
                    sum("amount", "returned_amount"),
                ]);
            facts = per_order(facts, within).with_columns([
                col("returned").fill_null(lit(false)),
                col("returned_units").fill_null(lit(0)),
                col("returned_amount").fill_null(lit(0)),
            ]);
        }
        let firsts =
            orders.clone().lazy().group_by([col("customer_id")]).agg([col("placed_at").min().alias("first_at")]);
        let facts = facts
            .left_join(firsts, col("customer_id"), col("customer_id"))
            .with_column(col("placed_at").eq(col("first_at")).alias("first_order"))
            .collect()
            .map_err(stage())?;
        let customers = customers(&facts)?;
        let feedback = match tables.get("feedback") {
            Some(feedback) => Some(
                feedback
                    .clone()
                    .lazy()
                    .join(
                        facts.clone().lazy(),
                        [if available.has("feedback.order_id") { col("order_id") } else { lit("") }],
                        [col("order_id")],
                        JoinArgs::new(JoinType::Left).with_suffix(Some("_of_order".into())),
                    )
                    .collect()
                    .map_err(stage())?,
            ),
            None => None,
        };
        Ok(Self { orders: facts, customers, feedback, available })
    }
}

fn orders_instant() -> DataType {
    DataType::Datetime(TimeUnit::Microseconds, Some(TimeZone::UTC))
}

/// An instant column as integer microseconds.
pub fn micros(name: &str) -> Expr {
    col(name).to_physical()
}

/// Cancelled by whoever: a time of it, a name for who did it, or the order's status says so.
fn cancelled(available: &Availability) -> Expr {
    let mut any = lit(false);
    for column in ["cancelled_at", "cancelled_by"] {
        if available.has(&format!("orders.{column}")) {
            any = any.or(col(column).is_not_null());
        }
    }
    if available.has("orders.status") {
        let status = col("status").str().to_lowercase();
        any = any.or(status.clone().eq(lit("cancelled")).or(status.eq(lit("canceled"))).fill_null(lit(false)));
    }
    any
}

/// Orders with at least one defect: a union, so that an order with three complaints is one defective order.
fn defects(tables: &BTreeMap<&'static str, DataFrame>, available: &Availability) -> Result<Option<LazyFrame>> {
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
        let denied = if available.has("tickets.outcome") {
            col("outcome").str().to_lowercase().eq(lit("denied")).fill_null(lit(false))
        } else {
            lit(false)
        };
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

/// One row per customer: the first order, and whether another followed within [`REPEAT_DAYS`].
fn customers(facts: &DataFrame) -> Result<DataFrame> {
    let later = col("placed_at").gt(col("first_at"));
    let soon = micros("placed_at").lt_eq(micros("first_at") + lit(REPEAT_DAYS * DAY));
    let repeats =
        facts.clone().lazy().group_by([col("customer_id")]).agg([later.and(soon).any(true).alias("repeated")]);
    facts
        .clone()
        .lazy()
        .filter(col("first_order"))
        // Two first orders in one instant: the smaller id stands for both, so that the segment does not depend on order.
        .sort(["customer_id", "order_id"], SortMultipleOptions::default())
        .unique_stable(Some(cols(["customer_id"])), UniqueKeepStrategy::First)
        .left_join(repeats, col("customer_id"), col("customer_id"))
        .collect()
        .map_err(Error::frames("customer facts"))
}
