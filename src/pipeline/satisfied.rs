//! Satisfaction with single orders, where customers said something.

use crate::error::{Error, Result};
use polars::prelude::*;
use std::collections::BTreeMap;

/// One row per order with at least one answer: the mean of its answers on a scale of 0 to 100.
///
/// Each scale is stretched over 0 to 100: stars and csat by `(x-1)/4`, nps by `x/10`, ces by `(x-1)/6`. `None` without
/// feedback on orders.
///
/// # Errors
/// [`Error::Frames`] only for defects.
pub(super) fn measured(tables: &BTreeMap<&'static str, DataFrame>, days: &[i32]) -> Result<Option<DataFrame>> {
    let (Some(feedback), Some(orders)) = (tables.get("feedback"), tables.get("orders")) else { return Ok(None) };
    if ["order_id", "scale", "score"].iter().any(|c| feedback.get_column_index(c).is_none()) {
        return Ok(None);
    }
    let stage = "satisfaction of orders";
    let score = || col("score").cast(DataType::Float64);
    let stretch = |scale: &'static str, low: f64, span: f64| {
        (col("scale").eq(lit(scale)), (score() - lit(low)) / lit(span) * lit(100.0))
    };
    let [stars, csat, nps, ces] = [
        stretch("stars5", 1.0, 4.0),
        stretch("csat5", 1.0, 4.0),
        stretch("nps11", 0.0, 10.0),
        stretch("ces7", 1.0, 6.0),
    ];
    let points = when(stars.0)
        .then(stars.1)
        .when(csat.0)
        .then(csat.1)
        .when(nps.0)
        .then(nps.1)
        .when(ces.0)
        .then(ces.1)
        .otherwise(lit(NULL));
    let dates = Column::new("placed_date".into(), days).cast(&DataType::Date).map_err(Error::frames(stage))?;
    let mut placed = orders.select(["order_id"]).map_err(Error::frames(stage))?;
    placed.with_column(dates).map_err(Error::frames(stage))?;
    let scored = feedback
        .clone()
        .lazy()
        .with_column(points.alias("points"))
        .filter(col("points").is_not_null().and(col("order_id").is_not_null()))
        // Sums of floats depend on their order: sort, so that equal inputs give equal bits.
        .sort(["order_id", "feedback_id"], SortMultipleOptions::default())
        .group_by_stable([col("order_id")])
        .agg([col("points").mean().alias("score"), len().cast(DataType::Int64).alias("support")])
        .with_column(lit("measured").alias("source"))
        .inner_join(placed.lazy(), col("order_id"), col("order_id"))
        .select([col("placed_date"), col("order_id"), col("score"), col("source"), col("support")])
        .collect()
        .map_err(Error::frames(stage))?;
    Ok(Some(scored))
}
