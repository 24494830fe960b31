//! The queue as a file that a desk can work in.

use super::TO_FILL_IN;
use super::sheet::{SheetFormat, guarded};
use crate::error::{Error, Result};
use crate::query::{self, Format, answer};
use crate::types::money;
use polars::prelude::*;
use std::io::Write;
use std::path::Path;

/// Columns of the queue that are minor units; in the file they are amounts with decimals.
const MONEY: [&str; 3] = ["amount", "priority", "expected_loss"];

/// What was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Exported {
    /// Orders in the file.
    pub orders: usize,
}

/// Writes the published review queue of `out`: one row an order, reasons joined in words, amounts with decimals and
/// their currency, and the empty columns `decision`, `decided_at`, `reviewer` and `note`.
///
/// In CSV a text that a spreadsheet would take for a formula is given an apostrophe, which `import` takes away.
///
/// # Errors
/// [`Error::Usage`] when nothing was published there, [`Error::Environment`] when the sink fails.
pub fn export(out: &Path, format: SheetFormat, sink: &mut dyn Write) -> Result<Exported> {
    let queue = answer(out, "SELECT * FROM review_queue ORDER BY queue_date, rank")?;
    let currency = currency(out)?;
    let frame = sheet(&queue, &currency, format)?;
    let orders = frame.height();
    let format = match format {
        SheetFormat::Csv => Format::Csv,
        SheetFormat::Ndjson => Format::Json,
        SheetFormat::Parquet => Format::Parquet,
    };
    query::write(frame, format, sink)?;
    Ok(Exported { orders })
}

/// The base currency of the newest run.
fn currency(out: &Path) -> Result<String> {
    let runs = answer(out, "SELECT currency FROM runs ORDER BY finished_at DESC LIMIT 1")?;
    let column = runs.column("currency").and_then(|c| c.str().cloned()).map_err(Error::frames("review export"))?;
    Ok(column.get(0).unwrap_or_default().to_owned())
}

fn sheet(queue: &DataFrame, currency: &str, format: SheetFormat) -> Result<DataFrame> {
    let stage = || Error::frames("review export");
    let exponent = money::exponent(currency).unwrap_or(2);
    let mut columns = Vec::new();
    for column in queue.columns() {
        let name = column.name().as_str();
        if MONEY.contains(&name) {
            let minor = column.cast(&DataType::Int64).map_err(stage())?;
            let minor = minor.i64().map_err(stage())?;
            let texts: Vec<Option<String>> = minor.iter().map(|m| m.map(|m| decimal(m, exponent))).collect();
            columns.push(Column::new(name.into(), texts));
            if name == "amount" {
                columns.push(Column::new_scalar(
                    "currency".into(),
                    Scalar::from(PlSmallStr::from_str(currency)),
                    queue.height(),
                ));
            }
        } else if matches!(column.dtype(), DataType::List(_)) {
            // Names stand close together, sentences need a stronger mark.
            let mark = if name == "reasons" { "; " } else { ", " };
            columns.push(joined(column, mark)?);
        } else {
            columns.push(column.clone());
        }
    }
    columns.extend(TO_FILL_IN.map(|name| Column::full_null(name.into(), queue.height(), &DataType::String)));
    if format == SheetFormat::Csv {
        for column in &mut columns {
            if let Ok(texts) = column.str() {
                let texts: StringChunked = texts.iter().map(|text| text.map(guarded)).collect();
                *column = texts.with_name(column.name().clone()).into_column();
            }
        }
    }
    DataFrame::new(queue.height(), columns).map_err(stage())
}

fn joined(column: &Column, mark: &str) -> Result<Column> {
    let stage = || Error::frames("review export");
    let lists = column.list().map_err(stage())?;
    let mut texts = Vec::with_capacity(lists.len());
    for at in 0..lists.len() {
        let text = match lists.get_as_series(at) {
            Some(list) => {
                let list = list.cast(&DataType::String).map_err(stage())?;
                list.str().map_err(stage())?.iter().flatten().collect::<Vec<_>>().join(mark)
            }
            None => String::new(),
        };
        texts.push(text);
    }
    Ok(Column::new(column.name().clone(), texts))
}

/// Minor units with their decimals: 1990 is `19.90` of a currency with two.
fn decimal(minor: i64, exponent: u32) -> String {
    let (sign, minor) = (if minor < 0 { "-" } else { "" }, minor.unsigned_abs());
    let unit = 10_u64.pow(exponent);
    match exponent {
        0 => format!("{sign}{minor}"),
        _ => format!("{sign}{}.{:0width$}", minor / unit, minor % unit, width = exponent as usize),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_have_the_decimals_of_their_currency() {
        let found = [decimal(1_990, 2), decimal(-5, 2), decimal(700, 0), decimal(1, 3), decimal(i64::MIN, 2)];
        assert_eq!(found, ["19.90", "-0.05", "700", "0.001", "-92233720368547758.08"]);
    }
}
