//! Instants as they would be if only working time passed, so that durations between them are working time.

use super::calendar::Calendar;
use crate::error::{Error, Result};
use polars::prelude::*;
use std::collections::BTreeMap;

/// Columns that [`in_working_time`] adds: table, its name, and the instants it stands between.
const WORKED: [(&str, &str, &str, &str); 2] = [
    ("tickets", "replied_in_working_time", "opened_at", "first_reply_at"),
    ("orders", "shipped_in_working_time", "approved_at", "shipped_at"),
];

/// Adds to tickets `replied_in_working_time`, as long after `opened_at` as there was working time until the first reply,
/// and to orders `shipped_in_working_time`, likewise from `approved_at` to `shipped_at`; null where either end is. Tables
/// without both columns stay as they are.
///
/// # Errors
/// [`Error::Frames`] only for defects.
pub fn in_working_time(tables: &mut BTreeMap<&'static str, DataFrame>, calendar: &Calendar) -> Result<()> {
    let stage = || Error::frames("working time");
    for (table, name, from, to) in WORKED {
        let Some(frame) = tables.get_mut(table) else { continue };
        let micros = |frame: &DataFrame, column: &str| {
            let column = frame.column(column).ok()?.cast(&DataType::Int64).ok()?;
            column.i64().ok().cloned()
        };
        let (Some(begun), Some(ended)) = (micros(frame, from), micros(frame, to)) else { continue };
        let worked: Int64Chunked = begun
            .iter()
            .zip(ended.iter())
            .map(|ends| ends.0.zip(ends.1).map(|(from, to)| from + calendar.business_duration(from, to)))
            .collect();
        let utc = DataType::Datetime(TimeUnit::Microseconds, Some(TimeZone::UTC));
        let column = worked.with_name(name.into()).into_column().cast(&utc).map_err(stage())?;
        frame.with_column(column).map_err(stage())?;
    }
    Ok(())
}
