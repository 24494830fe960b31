//! Which columns say what the engine is told, and hashes of them.

use crate::config::FeatureSpec;
use crate::contract::input::table;
use crate::error::{Error, Result};
use crate::features::events;
use foldhash::quality::FixedState;
use polars::prelude::{DataFrame, DataType};
use std::hash::BuildHasher;

pub(super) const HASH: FixedState = FixedState::with_seed(0);

/// What of rows of other tables is told: whose they are, when they came, and what can be added up over them. What becomes of
/// a return or a ticket later changes nothing of that.
pub(super) fn told_of(name: &str, specs: &[FeatureSpec]) -> Vec<&'static str> {
    let mut columns = vec!["order_id", "customer_id", "known_at"];
    columns.extend(table(name).map(|contract| contract.clock));
    if name == "tickets" {
        columns.push("kind");
    }
    let counted = specs.iter().filter(|spec| events::table_of(spec.events) == name);
    columns.extend(counted.filter_map(|spec| spec.value).map(|value| value.name));
    columns.sort_unstable();
    columns.dedup();
    columns
}

/// Instants at which something that features count becomes known, but for spans after them.
pub const TOLD_AT: &[&str] = &[
    "placed_at",
    "delivered_at",
    "fraud_known_at",
    "requested_at",
    "opened_at",
    "received_at",
    "decided_at",
    "known_at",
];

/// What of orders, or of their lines, is told of their placement. A parcel that gets a carrier changes nothing of it.
pub(super) fn read_of(table: &str, specs: &[FeatureSpec]) -> Vec<&'static str> {
    let mut columns = vec![if table == "orders" { "placed_at" } else { "line" }];
    for spec in specs {
        let entities = [Some(spec.entity), spec.with, spec.other].into_iter().flatten();
        columns.extend(entities.filter(|e| e.of_line == (table == "order_items")).map(|e| e.column));
        columns.extend(spec.value.filter(|_| spec.events.is_placement()).map(|value| value.name));
    }
    columns.sort_unstable();
    columns.dedup();
    columns
}

/// A hash of some columns of each row; a column that the frame lacks is as if null everywhere.
///
/// # Errors
/// [`Error::Frames`] only for defects.
pub fn row_hashes(frame: &DataFrame, columns: &[&str]) -> Result<Vec<u64>> {
    let stage = || Error::frames("rows that were told");
    let mut hashes = vec![0_u64; frame.height()];
    for (place, column) in columns.iter().enumerate().filter_map(|(n, c)| Some((n, frame.column(c).ok()?))) {
        let column = column.to_physical_repr();
        let mut add = |row: usize, hash: u64| {
            hashes[row] = HASH.hash_one((hashes[row], place as u64, hash));
        };
        match column.dtype() {
            DataType::String => {
                let texts = column.str().map_err(stage())?;
                texts.iter().enumerate().for_each(|(row, text)| add(row, HASH.hash_one(text)));
            }
            DataType::Float64 => {
                let numbers = column.f64().map_err(stage())?;
                numbers.iter().enumerate().for_each(|(row, n)| add(row, HASH.hash_one(n.map(f64::to_bits))));
            }
            _ => {
                let ints = column.cast(&DataType::Int64).map_err(stage())?;
                let ints = ints.i64().map_err(stage())?;
                ints.iter().enumerate().for_each(|(row, int)| add(row, HASH.hash_one(int)));
            }
        }
    }
    Ok(hashes)
}
