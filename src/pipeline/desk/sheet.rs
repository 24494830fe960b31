//! Files that come back from a desk, as rows of text: CSV as spreadsheets write it, NDJSON, Parquet.

use crate::config::did_you_mean;
use crate::error::{Error, Result};
use crate::types::time::format_instant;
use polars::prelude::*;
use std::collections::BTreeMap;
use std::path::Path;

/// Formats of a desk's files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SheetFormat {
    /// CSV with a header.
    Csv,
    /// One JSON object a line.
    Ndjson,
    /// Parquet.
    Parquet,
}

impl SheetFormat {
    /// The format that a file's name tells: `.csv`, `.ndjson` or `.jsonl`, `.parquet`.
    pub fn of(path: &Path) -> Option<Self> {
        match path.extension()?.to_str()?.to_lowercase().as_str() {
            "csv" => Some(Self::Csv),
            "ndjson" | "jsonl" | "json" => Some(Self::Ndjson),
            "parquet" => Some(Self::Parquet),
            _ => None,
        }
    }
}

/// What a spreadsheet takes for the start of a formula.
const FORMULA: [char; 6] = ['=', '+', '-', '@', '\t', '\r'];

/// A text that no spreadsheet runs: ids come from outside, and a desk opens the file with all its rights. Numbers stay.
pub(super) fn guarded(text: &str) -> String {
    let is_formula = text.starts_with(FORMULA) && text.parse::<f64>().is_err();
    if is_formula { format!("'{text}") } else { text.to_owned() }
}

/// The text without the guard that [`guarded`] gave it.
pub(super) fn unguarded(text: &str) -> &str {
    text.strip_prefix('\'').filter(|rest| rest.starts_with(FORMULA)).unwrap_or(text)
}

/// A row of a desk's file: its number (the first after a header is 1) and the columns that were asked for, or what is
/// wrong with it.
pub(super) type SheetRow = (u64, Result<BTreeMap<&'static str, String>, String>);

/// Reads the columns `wanted` of a file; empty cells are left out. `required` ones must be there.
///
/// # Errors
/// [`Error::Usage`] for a file that is not there or of no known format, [`Error::InputRefused`] for one that cannot
/// be read at all or lacks a required column.
pub(super) fn read(path: &Path, wanted: &[&'static str], required: &[&str]) -> Result<Vec<SheetRow>> {
    let Some(format) = SheetFormat::of(path) else {
        return Err(Error::Usage {
            message: format!("`{}` is neither CSV, NDJSON nor Parquet by its name", path.display()),
            hint: Some("name it .csv, .ndjson or .parquet".to_owned()),
        });
    };
    let bytes = std::fs::read(path).map_err(|e| match e.kind() {
        std::io::ErrorKind::NotFound => Error::usage(format!("there is no file `{}`", path.display())),
        _ => Error::io("read", path)(e),
    })?;
    let file = Sheet { path, wanted, required };
    match format {
        SheetFormat::Csv => file.csv(&bytes),
        SheetFormat::Ndjson => file.ndjson(&bytes),
        SheetFormat::Parquet => file.parquet(bytes),
    }
}

struct Sheet<'a> {
    path: &'a Path,
    wanted: &'a [&'static str],
    required: &'a [&'a str],
}

impl Sheet<'_> {
    fn refused(&self, what: &str, hint: Option<String>) -> Error {
        Error::InputRefused { message: format!("`{}` {what}; no decision was taken in", self.path.display()), hint }
    }

    /// The wanted columns' positions among the file's.
    fn positions(&self, names: &[String]) -> Result<Vec<(&'static str, usize)>> {
        let plain: Vec<String> = names.iter().map(|name| name.trim().to_lowercase()).collect();
        if let Some(missing) = self.required.iter().find(|name| !plain.iter().any(|n| n == *name)) {
            let hint = did_you_mean(missing, names.iter().map(String::as_str))
                .unwrap_or_else(|| format!("its columns are {}", names.join(", ")));
            return Err(self.refused(&format!("has no column `{missing}`"), Some(hint)));
        }
        let find = |name: &&'static str| plain.iter().position(|n| n == name).map(|at| (*name, at));
        Ok(self.wanted.iter().filter_map(find).collect())
    }

    fn csv(&self, bytes: &[u8]) -> Result<Vec<SheetRow>> {
        let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
        let header = bytes.split(|b| *b == b'\n').next().unwrap_or_default();
        let count = |mark: &u8| header.iter().filter(|b| *b == mark).count();
        // Spreadsheets write what their language has: `;` where the comma is for decimals.
        let delimiter = [b',', b';', b'\t'].into_iter().max_by_key(|mark| (count(mark), *mark == b',')).unwrap_or(b',');
        let mut reader =
            csv::ReaderBuilder::new().delimiter(delimiter).flexible(true).has_headers(false).from_reader(bytes);
        let mut records = reader.byte_records();
        let header = match records.next() {
            Some(Ok(header)) => header,
            Some(Err(error)) => return Err(self.refused(&format!("cannot be read: {error}"), None)),
            None => return Err(self.refused("is empty: not even a header row", None)),
        };
        let names: Vec<String> = header.iter().map(|name| String::from_utf8_lossy(name).into_owned()).collect();
        let positions = self.positions(&names)?;
        let mut rows = Vec::new();
        for (number, record) in (1..).zip(records) {
            let row = match record {
                Err(error) => Err(format!("cannot be read: {error}")),
                // Spreadsheets leave lines of nothing but marks behind.
                Ok(record) if record.iter().all(|cell| cell.trim_ascii().is_empty()) => continue,
                Ok(record) if record.len() != names.len() => {
                    Err(format!("has {} fields, the header has {}", record.len(), names.len()))
                }
                Ok(record) => {
                    let mut cells = BTreeMap::new();
                    let mut wrong = None;
                    for (name, at) in &positions {
                        match std::str::from_utf8(record.get(*at).unwrap_or_default()) {
                            Ok(text) if text.trim().is_empty() => {}
                            Ok(text) => drop(cells.insert(*name, text.trim().to_owned())),
                            Err(_) => wrong = Some(format!("`{name}` is not UTF-8 text: save the file as UTF-8")),
                        }
                    }
                    wrong.map_or(Ok(cells), Err)
                }
            };
            rows.push((number, row));
        }
        Ok(rows)
    }

    fn ndjson(&self, bytes: &[u8]) -> Result<Vec<SheetRow>> {
        let text = String::from_utf8_lossy(bytes);
        let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
        let (mut rows, mut seen) = (Vec::new(), BTreeMap::new());
        for (number, line) in (1..).zip(text.lines().filter(|line| !line.trim().is_empty())) {
            let row = match serde_json::from_str::<serde_json::Map<String, serde_json::Value>>(line) {
                Err(error) => Err(format!("is no JSON object: {error}")),
                Ok(object) => {
                    seen.extend(object.keys().map(|name| (name.clone(), ())));
                    let cell = |name: &&'static str| match object.get(*name)? {
                        serde_json::Value::Null => None,
                        serde_json::Value::String(text) if text.trim().is_empty() => None,
                        serde_json::Value::String(text) => Some((*name, text.trim().to_owned())),
                        other => Some((*name, other.to_string())),
                    };
                    Ok(self.wanted.iter().filter_map(cell).collect())
                }
            };
            rows.push((number, row));
        }
        // A key that no record has is a file of something else.
        if rows.iter().any(|(_, row): &SheetRow| row.is_ok()) {
            self.positions(&seen.into_keys().collect::<Vec<_>>())?;
        }
        Ok(rows)
    }

    fn parquet(&self, bytes: Vec<u8>) -> Result<Vec<SheetRow>> {
        let frame = ParquetReader::new(std::io::Cursor::new(bytes))
            .finish()
            .map_err(|e| self.refused(&format!("is not a Parquet file that can be read: {e}"), None))?;
        let names: Vec<String> = frame.get_column_names().iter().map(ToString::to_string).collect();
        let mut rows: Vec<BTreeMap<&'static str, String>> = vec![BTreeMap::new(); frame.height()];
        for (name, at) in self.positions(&names)? {
            let texts = texts(&frame.columns()[at])
                .map_err(|e| self.refused(&format!("has a column `{name}` that is no text: {e}"), None))?;
            for (row, text) in rows.iter_mut().zip(texts) {
                if let Some(text) = text.filter(|text| !text.trim().is_empty()) {
                    row.insert(name, text.trim().to_owned());
                }
            }
        }
        Ok((1..).zip(rows.into_iter().map(Ok)).collect())
    }
}

/// Values as texts; instants as RFC 3339. An instant without a zone is UTC, as Parquet's are.
fn texts(column: &Column) -> PolarsResult<Vec<Option<String>>> {
    if let DataType::Datetime(..) = column.dtype() {
        let micros = column.cast(&DataType::Datetime(TimeUnit::Microseconds, None))?.to_physical_repr();
        return Ok(micros.i64()?.iter().map(|at| at.map(format_instant)).collect());
    }
    Ok(column.cast(&DataType::String)?.str()?.iter().map(|text| text.map(str::to_owned)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_text_of_ours_is_a_formula_in_a_spreadsheet_and_each_comes_back_as_it_was() {
        for text in ["=1+1", "+49 30", "-x", "@sum", "plain", "'quoted", "-12.50", "o-1"] {
            assert_eq!(unguarded(&guarded(text)), text);
        }
        assert_eq!([guarded("=1+1"), guarded("-12.50"), guarded("o-1")], ["'=1+1", "-12.50", "o-1"]);
    }
}
