//! What a table's columns hold: the material of `ordersight check`.

use super::personal::mask_if_personal;
use crate::error::{Error, Result};
use polars::prelude::*;

/// A table in figures.
#[derive(Debug, Clone, PartialEq)]
pub struct TableProfile {
    /// Its rows.
    pub rows: usize,
    /// Its columns.
    pub columns: Vec<ColumnProfile>,
}

/// A column in figures.
#[derive(Debug, Clone, PartialEq)]
pub struct ColumnProfile {
    /// Its name.
    pub name: String,
    /// Share of rows without a value, in `[0, 1]`; 0 for a table without rows.
    pub missing_share: f64,
    /// Different values.
    pub distinct: usize,
    /// Smallest value, as text; `None` for texts, hashes and columns without values.
    pub min: Option<String>,
    /// Largest value, as text.
    pub max: Option<String>,
    /// The commonest values and their counts, commonest first; empty for personal columns and near-unique ones.
    pub top: Vec<(String, usize)>,
}

/// How many common values are shown.
const TOP: usize = 3;

/// Profiles a table. `personal` tells columns whose values must not be shown even as hashes.
///
/// # Errors
/// [`Error::Frames`] only for defects.
pub fn profile(frame: &DataFrame, personal: &dyn Fn(&str) -> bool) -> Result<TableProfile> {
    let stage = "profiling";
    let rows = frame.height();
    let mut columns = Vec::with_capacity(frame.width());
    for column in frame.columns() {
        let distinct =
            column.n_unique().map_err(Error::frames(stage))? - usize::from(column.null_count() > 0 && rows > 0);
        let text = column.dtype().is_string();
        let bound = |expr: Expr| -> Result<Option<String>> {
            let one = frame.clone().lazy().select([expr]).collect().map_err(Error::frames(stage))?;
            let value = one.columns()[0].get(0).map_err(Error::frames(stage))?;
            Ok((!value.is_null()).then(|| value.str_value().to_string()))
        };
        let (min, max) = if text || rows == 0 {
            (None, None)
        } else {
            let name = column.name().as_str();
            (bound(col(name).min())?, bound(col(name).max())?)
        };
        let common = text && !personal(column.name()) && distinct * 2 <= rows.max(1);
        columns.push(ColumnProfile {
            name: column.name().to_string(),
            missing_share: if rows == 0 { 0.0 } else { column.null_count() as f64 / rows as f64 },
            distinct,
            min,
            max,
            top: if common { top(column)? } else { Vec::new() },
        });
    }
    Ok(TableProfile { rows, columns })
}

fn top(column: &Column) -> Result<Vec<(String, usize)>> {
    let mut counts = std::collections::BTreeMap::new();
    for value in column.str().map_err(Error::frames("profiling"))?.iter().flatten() {
        *counts.entry(mask_if_personal(value)).or_insert(0_usize) += 1;
    }
    let mut counts: Vec<(String, usize)> = counts.into_iter().map(|(v, n)| (v.to_owned(), n)).collect();
    counts.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
    counts.truncate(TOP);
    Ok(counts)
}
