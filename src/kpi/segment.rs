//! The value of a segment for a row.

use super::facts::Availability;
use super::measure::Subject;
use crate::contract::segment::{LANE, parts};
use polars::prelude::*;

/// The column a lane begins with. It is one for all orders of an input, so that a lane means one thing.
pub(super) fn lane_origin(available: &Availability) -> Option<&'static str> {
    ["ship_from", "warehouse_id"].into_iter().find(|c| available.has(&format!("orders.{c}")))
}

/// The expression of a segment's value over the rows of a subject; `None` if the input lacks a column of it, or if the
/// subject cannot be split so. `all` is the whole. A row without a value is of `(none)`.
pub fn segment_value(segment: &str, subject: Subject, available: &Availability) -> Option<Expr> {
    if segment == "all" {
        return subject.part().is_none().then(|| lit("all"));
    }
    let mut values = Vec::new();
    for part in parts(segment) {
        let there = match part {
            LANE => lane_origin(available).is_some() && available.has("orders.ship_country"),
            "sku" | "category" => subject.part() == Some(part) && available.has(&format!("order_items.{part}")),
            part => available.has(&format!("orders.{part}")),
        };
        if !there {
            return None;
        }
        values.push(col(part).fill_null(lit("(none)")));
    }
    let whole = subject.part().is_none_or(|own| parts(segment).any(|p| p == own));
    whole.then(|| concat_str(values, "+", false))
}
