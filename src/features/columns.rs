//! The columns of `orders` that features read, as slices.

use crate::error::{Error, Result};
use polars::prelude::*;
use std::collections::{BTreeMap, HashMap};

/// A column of texts; a null or blank one is no entity.
pub(super) type Texts = Vec<Option<String>>;

/// A column of entities: equal texts have equal numbers, and [`NO_KEY`] is no entity.
pub(super) type Keys = Vec<u32>;

/// What stands for a null or blank text.
pub(super) const NO_KEY: u32 = u32::MAX;

/// Orders by column.
pub(super) struct Orders {
    pub(super) order_id: Vec<String>,
    pub(super) placed_at: Vec<i64>,
    pub(super) amount: Vec<i64>,
    frame: DataFrame,
}

const STAGE: &str = "reading features";

impl Orders {
    pub(super) fn read(tables: &BTreeMap<&'static str, DataFrame>) -> Result<Self> {
        let frame = tables.get("orders").cloned().unwrap_or_default();
        let mut orders = Self { order_id: Vec::new(), placed_at: Vec::new(), amount: Vec::new(), frame };
        // The contract has made sure that these have values.
        orders.order_id =
            orders.texts("order_id")?.unwrap_or_default().into_iter().map(Option::unwrap_or_default).collect();
        orders.placed_at =
            orders.ints("placed_at")?.unwrap_or_default().into_iter().map(Option::unwrap_or_default).collect();
        orders.amount = orders.ints("amount")?.unwrap_or_default().into_iter().map(Option::unwrap_or_default).collect();
        Ok(orders)
    }

    /// A text column; `None` if it is absent.
    pub(super) fn texts(&self, name: &str) -> Result<Option<Texts>> {
        texts(&self.frame, name)
    }

    /// A text column by numbers, which take a fraction of the room; `None` if it is absent.
    pub(super) fn keys(&self, name: &str) -> Result<Option<Keys>> {
        if self.frame.get_column_index(name).is_none() {
            return Ok(None);
        }
        let column = self.frame.column(name).and_then(|c| c.str().cloned()).map_err(Error::frames(STAGE))?;
        let mut numbers: HashMap<&str, u32> = HashMap::new();
        let mut keys = Vec::with_capacity(column.len());
        for text in column.iter() {
            keys.push(match text.filter(|t| !t.trim().is_empty()) {
                Some(text) => {
                    // Frames hold fewer than 2^32 rows, so there is a number for each.
                    let next = numbers.len() as u32;
                    *numbers.entry(text).or_insert(next)
                }
                None => NO_KEY,
            });
        }
        Ok(Some(keys))
    }

    /// An integer, money or instant column; `None` if it is absent.
    pub(super) fn ints(&self, name: &str) -> Result<Option<Vec<Option<i64>>>> {
        ints(&self.frame, name)
    }

    /// Names of the model features that the pipeline maps itself.
    pub(super) fn own_features(&self) -> Vec<String> {
        let mut names: Vec<String> =
            self.frame.get_column_names().iter().filter(|n| n.starts_with("x_")).map(|n| n.to_string()).collect();
        names.sort();
        names
    }

    /// A number column; NaN where it has no value.
    pub(super) fn floats(&self, name: &str) -> Result<Vec<f64>> {
        let column = self.frame.column(name).and_then(|c| c.cast(&DataType::Float64)).map_err(Error::frames(STAGE))?;
        Ok(column.f64().map_err(Error::frames(STAGE))?.iter().map(|v| v.unwrap_or(f64::NAN)).collect())
    }
}

pub(super) fn texts(frame: &DataFrame, name: &str) -> Result<Option<Texts>> {
    if frame.get_column_index(name).is_none() {
        return Ok(None);
    }
    let column = frame.column(name).and_then(|c| c.str().cloned()).map_err(Error::frames(STAGE))?;
    Ok(Some(column.iter().map(|v| v.filter(|t| !t.trim().is_empty()).map(str::to_owned)).collect()))
}

pub(super) fn ints(frame: &DataFrame, name: &str) -> Result<Option<Vec<Option<i64>>>> {
    if frame.get_column_index(name).is_none() {
        return Ok(None);
    }
    let column = frame.column(name).map_err(Error::frames(STAGE))?.to_physical_repr();
    Ok(Some(column.i64().map_err(Error::frames(STAGE))?.iter().collect()))
}
