//! Which segment an order is of.

use crate::config::Pipeline;
use crate::error::{Error, Result};
use crate::risk::segments::Segmented;
use polars::prelude::*;

/// What a segment is called of orders that have no value in its column.
const NONE: &str = "(none)";

/// The value of each row in each of the pipeline's segments, `a+b` for a pair; `order_of` says which order a row is of.
/// A segment whose column is not supplied is left out.
pub(super) fn of_rows(pipeline: &Pipeline, orders: &DataFrame, order_of: &[usize]) -> Result<Vec<Segmented>> {
    let mut found = Vec::new();
    for segment in &pipeline.raw.kpi.segments {
        let parts: Option<Vec<Vec<Option<String>>>> =
            segment.split('+').map(|part| texts(orders, part.trim())).collect::<Result<_>>()?;
        let Some(parts) = parts else { continue };
        let value = |&order: &usize| {
            let of = |part: &Vec<Option<String>>| part.get(order).cloned().flatten().unwrap_or_else(|| NONE.to_owned());
            parts.iter().map(of).collect::<Vec<_>>().join("+")
        };
        found.push((segment.clone(), order_of.iter().map(value).collect()));
    }
    Ok(found)
}

/// The values of a text column, or of any other as text; `None` if it is not there.
pub(super) fn texts(frame: &DataFrame, name: &str) -> Result<Option<Vec<Option<String>>>> {
    let Ok(column) = frame.column(name) else { return Ok(None) };
    let column = column.cast(&DataType::String).map_err(Error::frames("reading orders"))?;
    let values = column.str().map_err(Error::frames("reading orders"))?;
    Ok(Some(values.iter().map(|value| value.map(str::to_owned)).collect()))
}
