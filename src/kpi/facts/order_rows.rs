//! Which order each row of a table belongs to. Ids are compared once; what is counted of an order is then put beside it by
//! its row.

use super::{Tables, instant_type};
use crate::error::{Error, Result};
use foldhash::fast::FixedState;
use polars::prelude::*;
use rayon::prelude::*;
use std::collections::HashMap;
use std::sync::OnceLock;

/// The column that [`with_order_rows`] adds.
pub(super) const ORDER: &str = "_order";

/// Rows of orders by id. The hash has a fixed seed, and no order of it shows.
type ById<'i> = HashMap<&'i str, IdxSize, FixedState>;

/// How rows of orders are found.
struct Known<'i> {
    /// Whether the orders stand in the order of their ids.
    sorted: bool,
    /// Where they do not; made when the first is looked for.
    by_id: OnceLock<ById<'i>>,
}

/// Adds to every table that tells of orders `_order`, the row of the order that each row belongs to, null where it names
/// none of these; and to returns `delivered_at`, when their order was.
pub(super) fn with_order_rows(tables: &Tables) -> Result<Tables> {
    let stage = || Error::frames("rows of orders");
    let mut orders = tables.get("orders").cloned().unwrap_or_default();
    // Columns in pieces of different lengths are taken apart wrongly by questions that hold a constant.
    orders.rechunk_mut();
    let ids = orders.column("order_id").and_then(|c| c.str().cloned()).map_err(stage())?;
    let ids: Vec<Option<&str>> = ids.iter().collect();
    let known = Known { sorted: ids.is_sorted(), by_id: OnceLock::new() };
    let others: Vec<(&&'static str, &DataFrame)> = tables.iter().filter(|(name, _)| **name != "orders").collect();
    let with_rows = |(name, frame): (&&'static str, &DataFrame)| {
        let rows = match frame.column("order_id") {
            Ok(of) => rows_of(of.str().map_err(stage())?, &ids, &known),
            Err(_) => IdxCa::full_null(ORDER.into(), frame.height()),
        };
        let mut frame = frame.clone();
        if *name == "returns" {
            let delivered = match orders.column("delivered_at") {
                Ok(delivered) => delivered.take(&rows).map_err(stage())?,
                Err(_) => Column::full_null("delivered_at".into(), frame.height(), &instant_type()),
            };
            frame.with_column(delivered).map_err(stage())?;
        }
        frame.with_column(rows.into_column()).map_err(stage())?;
        // Events are most of the rows, and gone through one by one whatever pieces they come in.
        if *name != "order_events" {
            frame.rechunk_mut();
        }
        Ok((*name, frame))
    };
    let mut tables = others.into_par_iter().map(with_rows).collect::<Result<Tables>>()?;
    tables.insert("orders", orders);
    Ok(tables)
}

/// The row of each id among `ids`.
fn rows_of<'i>(of: &StringChunked, ids: &[Option<&'i str>], known: &Known<'i>) -> IdxCa {
    let (mut at, mut rows) = (0, Vec::with_capacity(of.len()));
    let (mut rises, mut last) = (true, 0);
    for id in of.iter() {
        if let Some(id) = id {
            // Tables mostly come in one order: rows of an order follow one another, and the next order's come next.
            let near = (at..ids.len()).take(2).find(|row| ids[*row] == Some(id));
            let row = match near {
                Some(row) => Some(row as IdxSize),
                None if known.sorted => from(ids, at, id),
                None => known.by_id.get_or_init(|| by_id(ids)).get(id).copied(),
            };
            at = row.map_or(at, |row| row as usize);
            rises &= row.is_some_and(|row| row >= last);
            last = row.unwrap_or(last);
            rows.push(row);
        } else {
            rises = false;
            rows.push(None);
        }
    }
    let mut rows = IdxCa::from_iter_options(ORDER.into(), rows.into_iter());
    if rises {
        // Groups are then runs of rows.
        rows.set_sorted_flag(polars::series::IsSorted::Ascending);
    }
    rows
}

/// The row of an id among ids in order, looked for from a row on in steps that double.
fn from(ids: &[Option<&str>], row: usize, id: &str) -> Option<IdxSize> {
    let id = Some(id);
    let begin = if ids.get(row).is_some_and(|other| *other <= id) { row } else { 0 };
    let mut width = 4;
    while ids.get(begin + width).is_some_and(|other| *other < id) {
        width *= 2;
    }
    let end = ids.len().min(begin + width + 1);
    ids[begin..end].binary_search(&id).ok().map(|at| (begin + at) as IdxSize)
}

/// The row of each id.
fn by_id<'i>(ids: &[Option<&'i str>]) -> ById<'i> {
    (0..).zip(ids).filter_map(|(row, id)| Some(((*id)?, row))).collect()
}

/// What was counted of orders, one row for each and `_order` among its columns, beside them: of `orders` rows each has what
/// belongs to the order, null where nothing was counted.
pub(super) fn beside_orders(counted: &DataFrame, orders: usize) -> Result<DataFrame> {
    let stage = || Error::frames("rows of orders");
    let mut at: Vec<Option<IdxSize>> = vec![None; orders];
    for (row, order) in (0..).zip(counted.column(ORDER).and_then(|c| c.idx().cloned()).map_err(stage())?.iter()) {
        if let Some(order) = order {
            at[order as usize] = Some(row);
        }
    }
    let at = IdxCa::from_iter_options(ORDER.into(), at.into_iter());
    counted.drop(ORDER).and_then(|counted| counted.take(&at)).map_err(stage())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_found_in_whatever_order_orders_and_rows_come() {
        let in_order: Vec<String> = (0..60).map(|n| format!("o{n:02}")).collect();
        let shuffled: Vec<String> = (0..60).map(|n| format!("o{:02}", n * 37 % 60)).collect();
        let of: StringChunked =
            [0, 0, 1, 5, 58, 3, 3, 99, 17, 59, 59, 0].iter().map(|n| (*n != 17).then(|| format!("o{n:02}"))).collect();
        for ids in [in_order, shuffled] {
            let ids: Vec<Option<&str>> = ids.iter().map(|id| Some(id.as_str())).collect();
            let known = Known { sorted: ids.is_sorted(), by_id: OnceLock::new() };
            let found: Vec<Option<IdxSize>> = rows_of(&of, &ids, &known).iter().collect();
            let expected = of.iter().map(|id| id.and_then(|id| ids.iter().position(|other| *other == Some(id))));
            assert_eq!(found, expected.map(|row| row.map(|row| row as IdxSize)).collect::<Vec<_>>());
        }
    }
}
