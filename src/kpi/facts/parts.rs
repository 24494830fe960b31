//! An order seen from each of its articles or categories.

use super::lines::shipped_of_line;
use super::orders::sent_back;
use super::{Availability, Facts, Terms, evidence};
use crate::error::{Error, Result};
use polars::prelude::*;
use std::collections::BTreeMap;

/// Columns of an order that its parts have of their own.
const OWN: [&str; 8] =
    ["units", "amount", "shipped_units", "known_units", "returned", "returned_units", "returned_amount", "exchanged"];

/// One row per order and value of `part` (`sku` or `category`) in it: the columns of the order, where `units`,
/// `amount` (goods only: quantity times price), `shipped_units`, `known_units`, `returned`, `returned_units`,
/// `returned_amount`, `exchanged` and what the reasons of returns tell of are those of the part. What a ticket or an event
/// tells of names no line and stays with every part of its order.
///
/// A return that names no line of its order cannot be laid to an article and counts for none.
pub(super) fn parts(
    tables: &BTreeMap<&'static str, DataFrame>,
    orders: &DataFrame,
    available: &Availability,
    terms: &Terms,
    part: &'static str,
) -> Result<Option<DataFrame>> {
    let stage = || Error::frames("facts of articles");
    let Some(items) = tables.get("order_items").filter(|_| available.has(&format!("order_items.{part}"))) else {
        return Ok(None);
    };
    let key = || [col("order_id"), col(part)];
    let named = super::nulls(items, "order_items").with_column(col(part).fill_null(lit("(none)")));
    let mut lines = shipped_of_line(named.clone())
        .with_column((col("quantity") * col("unit_price")).alias("_value"))
        .group_by(key())
        .agg([
            col("quantity").sum().alias("units"),
            col("_value").sum().alias("amount"),
            col("_shipped").sum().alias("shipped_units"),
            col("_known").sum().alias("known_units"),
        ]);
    if let Some(returns) = tables.get("returns").filter(|_| available.has("returns.line")) {
        let of_line = named.select([col("order_id"), col("line"), col(part)]);
        let on = || [col("order_id"), col("line")];
        let returns = returns
            .clone()
            .lazy()
            .join(of_line, on(), on(), JoinArgs::new(JoinType::Inner))
            .collect()
            .map_err(stage())?;
        let back = sent_back(&returns, terms, &["order_id", part])?;
        lines = lines.join(back, key(), key(), JoinArgs::new(JoinType::Left));
    }
    let back: Vec<String> = evidence::MARKS.iter().map(|m| format!("returned_{}", m.name)).collect();
    let made: Vec<&str> = evidence::MARKS.iter().map(|m| m.name).collect();
    let of_order = orders.get_column_names().into_iter().map(|c| c.as_str());
    let of_order: Vec<Expr> =
        of_order.filter(|c| !OWN.contains(c) && !made.contains(c) && !back.iter().any(|b| b == c)).map(col).collect();
    let mut facts = orders.clone().lazy().select(of_order).inner_join(lines, col("order_id"), col("order_id"));
    let schema = facts.collect_schema().map_err(stage())?;
    let marks = evidence::MARKS.iter().map(|m| Facts::mark(m, &schema).alias(m.name));
    let flags = ["returned", "exchanged"].into_iter().map(|f| (f, lit(false)));
    let sums = ["returned_units", "returned_amount"].into_iter().map(|s| (s, lit(0_i64)));
    let filled = flags.chain(sums).filter(|(c, _)| schema.contains(c)).map(|(c, no)| col(c).fill_null(no).alias(c));
    facts.with_columns(marks.chain(filled).collect::<Vec<_>>()).collect().map(Some).map_err(stage())
}
