//! What a customer's orders are to each other.

use super::micros;
use crate::error::{Error, Result};
use crate::types::time::DAY;
use polars::prelude::*;

/// Days within which a second order makes a customer a repeat customer.
pub const REPEAT_DAYS: i64 = 90;

/// One row per customer: `customer_id`, `first_at`, `first_order_id`, and `repeated`, whether another order followed within
/// [`REPEAT_DAYS`]. It needs three columns of all orders; everything else that KPIs ask can be asked of a part of them.
#[derive(Debug, Clone)]
pub struct History(pub(super) DataFrame);

impl History {
    /// The history of all customers of these orders.
    ///
    /// # Errors
    /// [`Error::Frames`] only for defects.
    pub fn of(orders: &DataFrame) -> Result<Self> {
        let narrow = orders.clone().lazy().select([col("customer_id"), col("order_id"), col("placed_at")]);
        let firsts = narrow.clone().group_by([col("customer_id")]).agg([col("placed_at").min().alias("first_at")]);
        let later = col("placed_at").gt(col("first_at"));
        let soon = micros("placed_at").lt_eq(micros("first_at") + lit(REPEAT_DAYS * DAY));
        // Two first orders in one instant: the smaller id stands for both, so that no order of rows shows.
        let first = when(col("placed_at").eq(col("first_at"))).then(col("order_id")).otherwise(lit(NULL));
        let history = narrow
            .left_join(firsts, col("customer_id"), col("customer_id"))
            .with_columns([later.and(soon).alias("repeated"), first.alias("first_order_id")])
            .group_by([col("customer_id")])
            .agg([col("first_at").first(), col("first_order_id").min(), col("repeated").any(true)])
            .collect()
            .map_err(Error::frames("customer history"))?;
        Ok(Self(history))
    }
}
