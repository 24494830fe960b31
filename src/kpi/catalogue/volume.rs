//! Volume and value: how much is bought, and by whom.

use super::{Terms, every};
use crate::kpi::facts::{REPEAT_DAYS, micros};
use crate::kpi::measure::Subject::{Customers, Orders};
use crate::kpi::measure::{Measure, Unit};
use crate::types::time::DAY;
use polars::prelude::*;

pub(super) fn entries(terms: &Terms) -> Vec<Measure> {
    let old_enough = micros("first_at").lt_eq(lit(terms.as_of - REPEAT_DAYS * DAY));
    vec![
        Measure::total(Orders, "orders", "orders placed", lit(1)).needs(&["orders"]).more_is_better(),
        Measure::total(Orders, "units", "units ordered", col("units")).needs(&["orders.units"]).more_is_better(),
        Measure::total(
            Orders,
            "gross_sales",
            "sum of order amounts, before cancellations and returns",
            col("amount"),
        )
        .needs(&["orders.amount"])
        .unit(Unit::Money)
        .more_is_better(),
        Measure::ratio(Orders, "average_order_value", "gross sales / orders", col("amount"), lit(1))
            .needs(&["orders.amount"])
            .unit(Unit::Money)
            .more_is_better(),
        Measure::share(
            Orders,
            "new_customer_share",
            "orders that are their customer's first / orders",
            col("first_order"),
            every(),
        )
        .needs(&["orders.customer_id"]),
        Measure::share(
            Customers,
            "repeat_purchase_rate",
            "customers with another order within 90 d of their first / customers whose first order is at least 90 d old",
            col("repeated"),
            old_enough,
        )
        .needs(&["orders.customer_id"])
        .by("first_at")
        .matures(REPEAT_DAYS)
        .more_is_better(),
    ]
}
