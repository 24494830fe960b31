//! A table cut into files, and these encoded: before there is a commit to put them into, or within one.

use super::layout::PartitionType;
use super::order::order;
use super::parallel;
use super::parquet::{FileOptions, Packing, encode};
use super::picked::rows_of;
use super::record::PartitionColumn;
use crate::contract::output::OutputTable;
use crate::error::{Error, Result};
use crate::types::time::date_of;
use polars::prelude::{DataFrame, DataType, IdxCa, IdxSize, IntoColumn, StringChunked, StringChunkedBuilder};
use std::collections::BTreeMap;

/// A whole table in files that are written with a later commit.
#[derive(Debug)]
pub struct Prepared {
    pub(super) table: &'static OutputTable,
    pub(super) partition: Option<PartitionColumn>,
    pub(super) files: Vec<Encoded>,
}

/// The bytes of a file.
#[derive(Debug)]
pub(super) struct Encoded {
    pub(super) partition: Option<String>,
    pub(super) bytes: Vec<u8>,
    pub(super) rows: u64,
    /// A hash of its rows: all of it but what tells of the run.
    pub(super) content: String,
    /// A hash of all of it.
    pub(super) blake3: String,
}

impl Prepared {
    /// Encodes all rows of a table on so many threads, as [`super::Staging::write`] does; `metadata` is what each file tells of
    /// the run.
    ///
    /// # Errors
    /// [`Error::Frames`] and [`Error::Invariant`] only for defects.
    pub fn new(
        table: &'static OutputTable,
        frame: &DataFrame,
        metadata: &BTreeMap<String, String>,
        threads: usize,
    ) -> Result<Self> {
        let (parts, rows) = files_of(table, frame)?;
        let files =
            parallel::map(&parts.parts, threads, |part| encoded(table, &rows, part, (metadata, Packing::Small)))?;
        Ok(Self { table, partition: partition_of(table, &parts), files })
    }
}

/// A table cut into files, and its rows as they stand in these.
pub(super) fn files_of(table: &OutputTable, frame: &DataFrame) -> Result<(Parts, DataFrame)> {
    let parts = split(table, frame)?;
    let rows = match table.partition {
        Some(column) => frame.drop(column).map_err(Error::frames(format!("writing `{}`", table.name)))?,
        None => frame.clone(),
    };
    Ok((parts, rows))
}

pub(super) fn partition_of(table: &OutputTable, parts: &Parts) -> Option<PartitionColumn> {
    table.partition.zip(parts.kind).map(|(name, kind)| PartitionColumn { name: name.to_owned(), kind })
}

/// One file of a table.
pub(super) fn encoded(
    table: &OutputTable,
    frame: &DataFrame,
    part: &Part,
    (metadata, packing): (&BTreeMap<String, String>, Packing),
) -> Result<Encoded> {
    let rows = match &part.rows {
        // What comes in the order of the files, as large tables do, is not held twice.
        Some(rows) => match run_of(rows) {
            Some(first) => frame.slice(i64::from(first), rows.len()),
            None => rows_of(frame, rows).map_err(Error::frames(format!("writing `{}`", table.name)))?,
        },
        None => frame.clone(),
    };
    let options = FileOptions { sorted_by: table.sort, bloom: table.bloom, packing };
    let bytes = encode(&rows, options, metadata)?;
    let (content, blake3) = hashes(&rows, &bytes);
    Ok(Encoded { partition: part.value.clone(), rows: rows.height() as u64, bytes, content, blake3 })
}

/// The first of rows that follow one another.
fn run_of(rows: &IdxCa) -> Option<IdxSize> {
    let mut rows = rows.iter();
    let first = rows.next()??;
    (first + 1..).zip(rows).all(|(next, row)| row == Some(next)).then_some(first)
}

/// A hash of a Parquet file but for its footer, which tells of the run, and of the columns, which only the footer names; and
/// one of the whole file. What they share is gone through once.
fn hashes(rows: &DataFrame, bytes: &[u8]) -> (String, String) {
    // A file ends with its footer, the footer's length in four bytes, and the mark of the format.
    let length = bytes.len().checked_sub(8).and_then(|at| bytes.get(at..at + 4)?.try_into().ok());
    let footer = length.map_or(0, u32::from_le_bytes) as usize + 8;
    let (data, footer) = bytes.split_at(bytes.len().saturating_sub(footer));
    let mut content = blake3::Hasher::new();
    content.update(data);
    let mut whole = content.clone();
    whole.update(footer);
    for (name, kind) in rows.schema().iter() {
        content.update(name.as_bytes()).update(b"\0").update(kind.to_string().as_bytes()).update(b"\n");
    }
    (content.finalize().to_hex().to_string(), whole.finalize().to_hex().to_string())
}

/// The rows of one file.
pub(super) struct Part {
    /// Partition value; `None` for null, or without a partition column.
    pub(super) value: Option<String>,
    /// Row numbers in the order of the file; `None` for the frame as it is.
    pub(super) rows: Option<IdxCa>,
}

pub(super) struct Parts {
    pub(super) kind: Option<PartitionType>,
    pub(super) parts: Vec<Part>,
}

/// Sorts by partition and sort columns, and cuts where the partition changes.
///
/// Only the key columns are sorted, with a row number; each file then gathers its own rows, so that a wide frame is never
/// held twice. Rows with equal keys keep their order.
pub(super) fn split(table: &OutputTable, frame: &DataFrame) -> Result<Parts> {
    let stage = || format!("sorting `{}`", table.name);
    let values = table.partition.map(|column| partition_values(table, frame, column)).transpose()?;
    let kind = values.as_ref().map(|(kind, _)| *kind);
    let values = values.map(|(_, values)| values);
    if frame.height() == 0 {
        let value = kind.map(|kind| kind.of_nothing().to_owned());
        return Ok(Parts { kind, parts: vec![Part { value, rows: None }] });
    }
    let sort: Vec<&str> = table.sort.iter().copied().filter(|name| frame.get_column_index(name).is_some()).collect();
    let mut keys = frame.select(sort.iter().copied()).map_err(Error::frames(stage()))?;
    let mut by: Vec<&str> = sort;
    if let (Some(column), Some(values)) = (table.partition, &values) {
        keys.with_column(values.clone().with_name(column.into()).into_column()).map_err(Error::frames(stage()))?;
        by.retain(|name| *name != column);
        by.insert(0, column);
    }
    if by.is_empty() {
        return Ok(Parts { kind, parts: vec![Part { value: None, rows: None }] });
    }
    let keys = keys.select(by).map_err(Error::frames(stage()))?;
    let rows = order(&keys)?;
    let Some(values) = values else {
        return Ok(Parts { kind, parts: vec![Part { value: None, rows: Some(IdxCa::from_vec("rows".into(), rows)) }] });
    };
    let values: Vec<Option<&str>> = values.iter().collect();
    let of_partition = rows.chunk_by(|a, b| values[*a as usize] == values[*b as usize]);
    let parts = of_partition
        .map(|rows| Part {
            value: values[rows[0] as usize].map(str::to_owned),
            rows: Some(IdxCa::from_vec("rows".into(), rows.to_vec())),
        })
        .collect();
    Ok(Parts { kind, parts })
}

/// The partition column as text (an ISO date sorts as its day), and its type. Empty texts become null: see `layout`.
fn partition_values(table: &OutputTable, frame: &DataFrame, column: &str) -> Result<(PartitionType, StringChunked)> {
    let missing =
        |what: String| Error::Invariant(format!("table `{}`: partition column `{column}` {what}", table.name));
    let series = frame.column(column).map_err(|_| missing("is not in the frame".to_owned()))?;
    let stage = || format!("partitioning `{}`", table.name);
    match series.dtype() {
        DataType::Date => {
            let days = series.date().map_err(Error::frames(stage()))?;
            let mut texts = StringChunkedBuilder::new(column.into(), days.len());
            // Mostly a day follows itself.
            let mut last: Option<(i32, Option<String>)> = None;
            for day in days.physical().iter() {
                last = day.map(|day| match last.take() {
                    Some((before, text)) if before == day => (before, text),
                    _ => (day, date_of(day).map(|date| date.to_string())),
                });
                texts.append_option(last.as_ref().and_then(|(_, text)| text.as_deref()));
            }
            Ok((PartitionType::Date, texts.finish()))
        }
        DataType::String => {
            let texts = series.str().map_err(Error::frames(stage()))?;
            Ok((PartitionType::Text, texts.iter().map(|text| text.filter(|t| !t.is_empty())).collect()))
        }
        other => Err(missing(format!("must be a date or a text, got {other}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_in_their_order_are_told_from_others() {
        let run = |rows: &[IdxSize]| run_of(&IdxCa::from_vec("rows".into(), rows.to_vec()));
        assert_eq!((run(&[4, 5, 6]), run(&[0]), run(&[])), (Some(4), Some(0), None));
        assert_eq!((run(&[4, 6]), run(&[5, 4])), (None, None));
    }

    #[test]
    fn a_table_in_the_order_of_its_files_is_written_as_one_in_any_other_is() {
        let table = crate::contract::output::output("kpi").unwrap();
        let grains = ["day", "day", "day", "month", "month"];
        let frame = |order: &[usize]| {
            let pick = |of: &[&'static str]| order.iter().map(|row| of[*row]).collect::<Vec<_>>();
            let numbers: Vec<i64> = order.iter().map(|row| *row as i64).collect();
            let columns = vec![
                polars::prelude::Column::new("grain".into(), pick(&grains)),
                polars::prelude::Column::new("kpi".into(), pick(&["a", "b", "c", "a", "a text of some length"])),
                polars::prelude::Column::new("numerator".into(), numbers),
            ];
            DataFrame::new(order.len(), columns).unwrap()
        };
        let bytes = |order: &[usize]| {
            let prepared = Prepared::new(table, &frame(order), &BTreeMap::new(), 1).unwrap();
            prepared.files.into_iter().map(|file| (file.partition, file.bytes)).collect::<Vec<_>>()
        };
        assert_eq!(bytes(&[0, 1, 2, 3, 4]), bytes(&[4, 1, 3, 0, 2]));
    }
}
