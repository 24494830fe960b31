//! The value of a segment for a row.

use super::facts::Availability;
use super::measure::Subject;
use crate::contract::segment::{LANE, parts};
use polars::prelude::*;

/// The column a lane begins with. It is one for all orders of an input, so that a lane means one thing.
pub(super) fn lane_origin(available: &Availability) -> Option<&'static str> {
    ["ship_from", "warehouse_id"].into_iter().find(|c| available.has(&format!("orders.{c}")))
}

/// The columns whose values make up a segment's value over the rows of a subject, none of the whole (`all`); `None` if the
/// input lacks one, or if the subject cannot be split so.
pub(super) fn segment_columns<'s>(
    segment: &'s str,
    subject: Subject,
    available: &Availability,
) -> Option<Vec<&'s str>> {
    if segment == "all" {
        return subject.part().is_none().then(Vec::new);
    }
    let there = |part: &&str| match *part {
        LANE => lane_origin(available).is_some() && available.has("orders.ship_country"),
        "sku" | "category" => subject.part() == Some(*part) && available.has(&format!("order_items.{part}")),
        part => available.has(&format!("orders.{part}")),
    };
    let columns: Vec<&str> = parts(segment).collect();
    let whole = subject.part().is_none_or(|own| columns.contains(&own));
    (whole && columns.iter().all(there)).then_some(columns)
}

/// What stands between the columns' values in a segment's.
pub(super) const BETWEEN: &str = "+";

/// What a row has that has no value of a column.
pub(super) const NO_VALUE: &str = "(none)";

/// The expression of a segment's value over the rows of a subject; `None` as for [`segment_columns`]. `all` is the whole.
pub fn segment_value(segment: &str, subject: Subject, available: &Availability) -> Option<Expr> {
    let columns = segment_columns(segment, subject, available)?;
    if columns.is_empty() {
        return Some(lit("all"));
    }
    let values: Vec<Expr> = columns.into_iter().map(|column| col(column).fill_null(lit(NO_VALUE))).collect();
    Some(concat_str(values, BETWEEN, false))
}
