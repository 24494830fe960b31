//! Segments: what KPIs can be split by.

use super::input::{Kind, table};

/// Origin → destination of an order: `ship_from` where the input has it, else `warehouse_id`, then `ship_country`.
pub const LANE: &str = "lane";

/// Segments that are no column of `orders`: the lane, and what is in the order.
pub const MADE: [&str; 3] = [LANE, "sku", "category"];

/// The columns of a segment: `channel+carrier` has two.
pub fn parts(segment: &str) -> impl Iterator<Item = &str> {
    segment.split('+').map(str::trim)
}

/// The names KPIs can be split by: columns of `orders` with words in them that are about nobody, and [`MADE`].
pub fn names() -> Vec<&'static str> {
    let words = |kind: Kind| matches!(kind, Kind::Id | Kind::Text | Kind::Word(_) | Kind::Country | Kind::Currency);
    let columns = table("orders").map(|t| t.columns).unwrap_or_default();
    columns.iter().filter(|c| words(c.kind)).map(|c| c.name).chain(MADE).collect()
}
