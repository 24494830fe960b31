//! Units of an order's lines.

use super::order_rows::ORDER;
use super::words::ints;
use crate::error::{Error, Result};
use polars::prelude::*;

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

/// By order, from lines that know the rows of their `orders`: over lines of which it is known how much was shipped
/// `shipped_units` (no more than were ordered: too much of one article does not make up for another) and `known_units`;
/// `in_full`, null where it is not known of every line; and `units` if asked for.
pub(super) fn of_orders(items: &DataFrame, orders: usize, units: bool) -> Result<Vec<Column>> {
    let stage = || Error::frames("lines of orders");
    let rows = items.column(ORDER).and_then(|c| c.idx().cloned()).map_err(stage())?;
    let (ordered, shipped) = (ints(items, "quantity")?, ints(items, "shipped_quantity")?);
    let mut sums = vec![Lines::default(); orders];
    let quantities = ordered.downcast_iter().flat_map(|a| a.iter()).zip(shipped.downcast_iter().flat_map(|a| a.iter()));
    for (order, (ordered, shipped)) in rows.downcast_iter().flat_map(|a| a.iter()).zip(quantities) {
        let Some(order) = order else { continue };
        let of_order = &mut sums[*order as usize];
        of_order.any = true;
        // As frames add up: beyond 64 bits it wraps, and what is beyond reason is refused later, with the sums of KPIs.
        of_order.units = of_order.units.wrapping_add(ordered.copied().unwrap_or(0));
        match (ordered, shipped) {
            (Some(ordered), Some(shipped)) => {
                of_order.shipped = of_order.shipped.wrapping_add(*shipped.min(ordered));
                of_order.known = of_order.known.wrapping_add(*ordered);
                of_order.short |= shipped < ordered;
            }
            _ => of_order.unknown = true,
        }
    }
    let ints = |name: &str, of: &dyn Fn(&Lines) -> i64| {
        let all: Int64Chunked = sums.iter().map(|lines| lines.any.then(|| of(lines))).collect();
        all.with_name(name.into()).into_column()
    };
    // One line too short decides, whatever is not known of the others.
    let in_full = |lines: &Lines| if lines.short { Some(false) } else { (lines.any && !lines.unknown).then_some(true) };
    let mut columns = vec![
        ints("shipped_units", &|lines| lines.shipped),
        ints("known_units", &|lines| lines.known),
        sums.iter().map(in_full).collect::<BooleanChunked>().with_name("in_full".into()).into_column(),
    ];
    if units {
        columns.push(ints("units", &|lines| lines.units));
    }
    Ok(columns)
}

/// Sums over the lines of an order.
#[derive(Debug, Clone, Copy, Default)]
struct Lines {
    any: bool,
    units: i64,
    shipped: i64,
    known: i64,
    /// A line of which less was shipped than ordered.
    short: bool,
    /// A line of which either is unknown.
    unknown: bool,
}
