//! To which orders of a step the rows of its tables belong, by their places: ids need not be looked for.

use super::telling::LINES;
use crate::error::{Error, Result};
use crate::features::Sub;
use crate::ingest::{Group, PLACE, ROW};
use polars::prelude::*;
use std::collections::BTreeMap;

/// Where the rows of a step's tables belong, as these are known at the clock.
pub(super) struct Places {
    /// The group of each order.
    pub(super) orders: Vec<Group>,
    /// The row of each row's order, by table; [`Sub::NO_ROW`] where that is not there.
    pub(super) rows: BTreeMap<&'static str, Vec<u32>>,
    /// The number of each line in its table.
    pub(super) lines: Vec<u32>,
}

impl Places {
    /// Takes them out of tables that [`Growing::of_groups_but`](crate::ingest::Growing::of_groups_but) gave of these groups,
    /// some of whose rows may have been left out since.
    ///
    /// # Errors
    /// [`Error::Frames`] only for defects.
    pub(super) fn take_out(tables: &mut BTreeMap<&'static str, DataFrame>, groups: &[Group]) -> Result<Self> {
        let (mut places, mut lines) = (BTreeMap::new(), Vec::new());
        for (name, frame) in tables {
            if let Some(of_rows) = numbers(frame, PLACE)? {
                places.insert(*name, of_rows);
            }
            if let Some(rows) = numbers(frame, ROW)?.filter(|_| *name == LINES) {
                lines = rows;
            }
            *frame = frame.drop_many([PLACE, ROW]);
        }
        let of_orders = places.remove("orders").unwrap_or_default();
        let mut rows_of = vec![Sub::NO_ROW; groups.len()];
        for (row, place) in (0..).zip(&of_orders) {
            rows_of[*place as usize] = row;
        }
        let rows = places.into_iter().map(|(name, of_rows)| {
            let rows = of_rows.into_iter().map(|place| rows_of[place as usize]);
            (name, rows.collect())
        });
        let rows = rows.collect();
        let orders = of_orders.into_iter().map(|place| groups[place as usize]).collect();
        Ok(Self { orders, rows, lines })
    }
}

/// A column of numbers; `None` where there is none, as in a table that was put together anew.
pub(super) fn numbers(frame: &DataFrame, name: &str) -> Result<Option<Vec<u32>>> {
    let stage = || Error::frames("places of a step's rows");
    if frame.get_column_index(name).is_none() {
        return Ok(None);
    }
    let column = frame.column(name).and_then(Column::u32).map_err(stage())?;
    Ok(Some(column.iter().map(|number| number.unwrap_or(Sub::NO_ROW)).collect()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_belong_to_the_orders_that_are_left() {
        let orders = df!("order_id" => ["a", "c"], PLACE => [0_u32, 2], ROW => [7_u32, 9]).unwrap();
        let lines = df!("line" => ["1", "2", "1", "1"], PLACE => [0_u32, 0, 1, 2], ROW => [3_u32, 4, 5, 6]).unwrap();
        let decisions = df!("order_id" => ["c"]).unwrap();
        let mut tables = BTreeMap::from([("orders", orders), ("order_items", lines), ("review_decisions", decisions)]);
        let places = Places::take_out(&mut tables, &[40, 50, 60]).unwrap();
        assert_eq!(places.orders, [40, 60]);
        assert_eq!(places.rows, BTreeMap::from([("order_items", vec![0, 0, Sub::NO_ROW, 1])]));
        assert_eq!(places.lines, [3, 4, 5, 6]);
        assert!(tables.values().all(|frame| frame.width() == 1));
    }
}
