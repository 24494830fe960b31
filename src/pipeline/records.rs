//! What other tables say of orders, a line a record: the facts behind a flag such as "has a defect".

use crate::error::{Error, Result};
use crate::kpi::Measure;
use polars::prelude::*;
use std::collections::BTreeMap;

/// Tables with records of orders, and what of a record is told: words and times, no free text.
const TOLD: [(&str, &[&str]); 4] = [
    ("order_events", &["event", "occurred_at"]),
    ("returns", &["kind", "reason", "requested_at", "closed_at", "quantity"]),
    ("tickets", &["kind", "topic", "opened_at", "outcome"]),
    ("feedback", &["scale", "score", "received_at"]),
];

/// Adds to rows with an `order_id` a list `records`: what the tables that a measure needs say of each order.
///
/// Rows stay in their order; a measure that needs orders alone gets no such column. An order without a record has null.
///
/// # Errors
/// [`Error::Frames`] only for defects.
pub(super) fn beside(
    rows: DataFrame,
    tables: &BTreeMap<&'static str, DataFrame>,
    measure: &Measure,
) -> Result<DataFrame> {
    let stage = || Error::frames("records of orders");
    if rows.get_column_index("order_id").is_none() {
        return Ok(rows);
    }
    let needed = |table: &str| {
        let mut needs = measure.needs.iter().flat_map(|need| need.split('|'));
        needs.any(|need| need == table || need.strip_prefix(table).is_some_and(|rest| rest.starts_with('.')))
    };
    let ids = rows.clone().lazy().select([col("order_id")]).unique(None, UniqueKeepStrategy::Any);
    let mut told = Vec::new();
    for (name, columns) in TOLD.iter().filter(|(name, _)| needed(name)) {
        let Some(table) = tables.get(name).filter(|t| t.get_column_index("order_id").is_some()) else { continue };
        let mut words = vec![lit(*name)];
        for column in columns.iter().filter(|c| table.get_column_index(c).is_some()) {
            let is_time = matches!(table.column(column).map(|c| c.dtype().clone()), Ok(DataType::Datetime(..)));
            let text = if is_time {
                col(*column).dt().to_string("%Y-%m-%dT%H:%MZ")
            } else {
                col(*column).cast(DataType::String)
            };
            // A bare number says nothing.
            words.push(if *column == "quantity" { concat_str([text, lit("units")], " ", false) } else { text });
        }
        let lines = table.clone().lazy().select([col("order_id"), concat_str(words, " ", true).alias("records")]);
        told.push(lines.inner_join(ids.clone(), col("order_id"), col("order_id")));
    }
    if told.is_empty() {
        return Ok(rows);
    }
    let lists = concat(told, UnionArgs::default())
        .map_err(stage())?
        .sort(["order_id", "records"], SortMultipleOptions::default())
        .group_by_stable([col("order_id")])
        .agg([col("records")]);
    let mut join = JoinArgs::new(JoinType::Left);
    join.maintain_order = MaintainOrderJoin::Left;
    rows.lazy().join(lists, [col("order_id")], [col("order_id")], join).collect().map_err(stage())
}
