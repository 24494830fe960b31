//! Features of an order placed at T, made only from facts known strictly before T.
//!
//! [`columns`] reads frames into slices, [`order_facts`] looks at the order itself, [`history`] at what its customer,
//! device, payment and other entities had done before, [`labels`] says what became of orders and when that was known.
//! Orders placed in the same instant see nothing of one another, so the order of input never matters.

mod columns;
mod history;
pub mod kernel;
pub mod labels;
pub mod matrix;
mod order_facts;
mod text;

pub use text::{FeatureNote, FeatureUnit, note};

use crate::error::Result;
use chrono_tz::Tz;
use columns::Orders;
use labels::Outcomes;
use matrix::Matrix;
use polars::prelude::DataFrame;
use std::collections::BTreeMap;

/// Features of every order, in the order of the `orders` table.
#[derive(Debug, Clone)]
pub struct Features {
    /// The values; NaN where a feature has none.
    pub matrix: Matrix,
    /// When each order was placed, UTC microseconds.
    pub placed_at: Vec<i64>,
    /// What is known of fraud.
    pub fraud: Outcomes,
    /// What is known of returns.
    pub returned: Outcomes,
}

/// What the features depend on beside the tables.
#[derive(Debug, Clone, Copy)]
pub struct Terms {
    /// Zone of hours and weekdays.
    pub zone: Tz,
    /// The run's clock: what becomes known later is not known.
    pub as_of: i64,
    /// Time after which an order with no fraud known counts as legitimate, microseconds.
    pub fraud_matures_after: i64,
    /// Time after delivery within which a return counts, microseconds.
    pub return_window: i64,
}

/// Computes every feature that the tables can feed.
///
/// # Errors
/// [`crate::error::Error::Frames`] only for defects.
pub fn build(tables: &BTreeMap<&'static str, DataFrame>, terms: &Terms) -> Result<Features> {
    let orders = Orders::read(tables)?;
    let fraud = labels::fraud(&orders, tables, terms)?;
    let returned = labels::returned(&orders, tables, terms)?;
    let mut columns = order_facts::columns(&orders, tables, terms)?;
    columns.extend(history::columns(&orders, &fraud, &returned));
    let rows = orders.placed_at.len();
    let mut values = Vec::with_capacity(rows * columns.len());
    for row in 0..rows {
        values.extend(columns.iter().map(|(_, column)| column[row]));
    }
    let matrix = Matrix { names: columns.into_iter().map(|(name, _)| name).collect(), values };
    Ok(Features { matrix, placed_at: orders.placed_at, fraud, returned })
}
