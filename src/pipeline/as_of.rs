//! Tables as they were known at the run's clock.

use crate::contract::input::{Kind, Table, table};
use crate::error::{Error, Result};
use polars::prelude::*;
use rayon::prelude::*;
use std::collections::{BTreeMap, HashSet};

/// Times that lie in the future by their nature: a promise is known when it is made.
const PROMISES: &[&str] = &["promised_ship_at", "promised_delivery_at"];

/// Drops rows that had not happened (or were not known) at `as_of`, and blanks times that had not come.
///
/// Returns how many rows of each table were left out. A row counts from the later of its own clock and its `known_at`.
///
/// # Errors
/// [`Error::Frames`] only for defects.
pub(super) fn known_at(
    tables: &mut BTreeMap<&'static str, DataFrame>,
    as_of: i64,
) -> Result<BTreeMap<&'static str, u64>> {
    let look_back = |(name, frame): (&&'static str, &mut DataFrame)| {
        let Some(contract) = table(name) else { return Ok((*name, 0)) };
        let before = frame.height();
        *frame = known(contract, frame, as_of)?;
        Ok((*name, (before - frame.height()) as u64))
    };
    let mut later = tables.par_iter_mut().map(look_back).collect::<Result<BTreeMap<_, _>>>()?;
    later.retain(|_, rows| *rows > 0);
    if later.contains_key("orders")
        && let (Some(orders), Some(lines)) = (tables.get("orders"), tables.get("order_items"))
    {
        let (known, before) = (of_orders(lines, orders)?, lines.height());
        later.insert("order_items", (before - known.height()) as u64);
        tables.insert("order_items", known);
    }
    Ok(later)
}

/// Lines have no clock of their own: they come with their order.
fn of_orders(lines: &DataFrame, orders: &DataFrame) -> Result<DataFrame> {
    let stage = || Error::frames("looking back to the run's clock");
    let ids = |frame: &DataFrame| frame.column("order_id").and_then(|c| c.str().cloned()).map_err(stage());
    let (orders, of_lines) = (ids(orders)?, ids(lines)?);
    let known: HashSet<&str> = orders.iter().flatten().collect();
    let keep: BooleanChunked = of_lines.iter().map(|id| Some(id.is_some_and(|id| known.contains(id)))).collect();
    lines.filter(&keep).map_err(stage())
}

/// What of an order is told only after it was placed, beside the instants that lie after it.
const TOLD_LATER: &[&str] = &["status", "cancelled_by", "cancel_reason", "fraud"];

/// Columns of orders that can hold what was not known when the order was placed.
pub(super) fn may_come_later(column: &str) -> bool {
    let kind = table("orders").and_then(|orders| orders.kind_of(column));
    TOLD_LATER.contains(&column)
        || (kind == Some(Kind::Instant)
            && !PROMISES.contains(&column)
            && !["placed_at", "account_created_at"].contains(&column))
}

/// Orders as they stood when each was placed: what [`may_come_later`] is null unless it lies before.
///
/// # Errors
/// [`Error::Frames`] only for defects.
pub(super) fn when_placed(orders: &DataFrame) -> Result<DataFrame> {
    let names: Vec<&str> =
        orders.get_column_names().into_iter().map(|n| n.as_str()).filter(|n| may_come_later(n)).collect();
    let blanked = names.into_iter().map(|name| {
        let known = match TOLD_LATER.contains(&name) {
            true => lit(false),
            false => col(name).to_physical().lt_eq(col("placed_at").to_physical()),
        };
        when(known).then(col(name)).otherwise(lit(NULL)).alias(name)
    });
    let lazy = orders.clone().lazy().with_columns(blanked.collect::<Vec<_>>());
    lazy.collect().map_err(Error::frames("looking back to when orders were placed"))
}

fn known(contract: &Table, frame: &DataFrame, as_of: i64) -> Result<DataFrame> {
    let stage = || Error::frames("looking back to the run's clock");
    let mut frame = frame.clone();
    for clock in [contract.clock, "known_at"] {
        if let Some(later) = later(&frame, clock, as_of)? {
            frame = frame.filter(&!later).map_err(stage())?;
        }
    }
    let times = contract.columns.iter().filter(|c| c.kind == Kind::Instant && !PROMISES.contains(&c.name));
    let times = times.filter_map(|c| Some(later(&frame, c.name, as_of).transpose()?.map(|later| (c.name, later))));
    let times: Vec<(&str, BooleanChunked)> = times.collect::<Result<_>>()?;
    let mut blanked: Vec<(&str, BooleanChunked)> = Vec::new();
    // Who cancelled is known when it is known that someone did; likewise a fraud, and how a ticket ended.
    for (name, clock, facts) in [
        ("orders", "cancelled_at", &["cancelled_by", "cancel_reason"][..]),
        ("orders", "fraud_known_at", &["fraud"][..]),
        ("tickets", "solved_at", &["outcome"][..]),
    ] {
        let of_clock = times.iter().find(|(time, _)| contract.name == name && *time == clock);
        blanked.extend(of_clock.into_iter().flat_map(|(_, later)| facts.iter().map(|fact| (*fact, later.clone()))));
    }
    // A row that tells of a time after the clock was written after it, and so was its status.
    if contract.name == "orders" {
        let written_later = times.iter().map(|(_, later)| later.clone()).reduce(|any, later| any | later);
        blanked.extend(written_later.map(|later| ("status", later)));
    }
    for (name, later) in blanked.into_iter().chain(times) {
        blank(&mut frame, name, &later).map_err(stage())?;
    }
    Ok(frame)
}

/// Rows in which a column tells of a time after the clock; `None` where no row does, which is what mostly is, and where there
/// is no such column.
fn later(frame: &DataFrame, name: &str, as_of: i64) -> Result<Option<BooleanChunked>> {
    let stage = || Error::frames("looking back to the run's clock");
    let Ok(column) = frame.column(name) else { return Ok(None) };
    let times = column.to_physical_repr().cast(&DataType::Int64).map_err(stage())?;
    let times = times.i64().map_err(stage())?;
    match times.max().is_some_and(|latest| latest > as_of) {
        true => times.gt(as_of).fill_null_with_values(false).map(Some).map_err(stage()),
        false => Ok(None),
    }
}

/// Makes a column null in some rows; nothing where the frame lacks it.
fn blank(frame: &mut DataFrame, name: &str, rows: &BooleanChunked) -> PolarsResult<()> {
    let Ok(column) = frame.column(name) else { return Ok(()) };
    let nulls = Series::full_null(column.name().clone(), column.len(), column.dtype());
    let blanked = nulls.zip_with(rows, column.as_materialized_series())?;
    frame.with_column(blanked.into_column()).map(|_| ())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_comes_later_is_left_out_and_what_is_told_of_it_is_blank() {
        let orders = df!(
            "order_id" => ["a", "b", "c", "d"],
            "placed_at" => [1_i64, 2, 9, 3],
            "cancelled_at" => [Some(9_i64), None, Some(9), Some(5)],
            "cancelled_by" => [Some("buyer"), Some("seller"), None, Some("buyer")],
            "fraud_known_at" => [Some(4_i64), None, None, Some(6)],
            "fraud" => [Some(true), Some(false), None, Some(true)],
            "status" => ["cancelled", "delivered", "cancelled", "cancelled"],
            "promised_delivery_at" => [Some(90_i64), None, None, None],
        );
        let lines = df!("order_id" => ["a", "c", "c", "d"], "line" => ["1", "1", "2", "1"]);
        let mut tables = BTreeMap::from([("orders", orders.unwrap()), ("order_items", lines.unwrap())]);
        let later = known_at(&mut tables, 5).unwrap();
        assert_eq!(later, BTreeMap::from([("orders", 1), ("order_items", 2)]));
        let expected = df!(
            "order_id" => ["a", "b", "d"],
            "placed_at" => [1_i64, 2, 3],
            "cancelled_at" => [None, None, Some(5_i64)],
            // Who cancelled is told where nobody says when.
            "cancelled_by" => [None, Some("seller"), Some("buyer")],
            "fraud_known_at" => [Some(4_i64), None, None],
            "fraud" => [Some(true), Some(false), None],
            "status" => [None, Some("delivered"), None],
            "promised_delivery_at" => [Some(90_i64), None, None],
        );
        assert!(tables["orders"].equals_missing(&expected.unwrap()), "{}", tables["orders"]);
        let lines =
            tables["order_items"].column("order_id").unwrap().str().unwrap().iter().flatten().collect::<Vec<_>>();
        assert_eq!(lines, ["a", "d"]);
        // With everything known nothing is changed.
        let before = tables.clone();
        assert!(known_at(&mut tables, 90).unwrap().is_empty());
        assert!(tables.iter().all(|(name, frame)| frame.equals_missing(&before[name])));
    }
}
