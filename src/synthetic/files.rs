//! The files of the shop: rows go out as they come, a bounded batch is all that is held.

use super::fx::push_money;
use crate::error::{Error, Result};
use arrow::array::{
    ArrayRef, BooleanBuilder, Float64Builder, Int64Builder, RecordBatch, StringBuilder, TimestampMicrosecondBuilder,
};
use arrow::datatypes::{DataType, Field, Schema, TimeUnit};
use chrono::{DateTime, Datelike, Timelike};
use csv::ByteRecord;
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::errors::ParquetError;
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Rows held before a Parquet batch goes to the encoder.
const BATCH_ROWS: usize = 8192;
/// Rows of a Parquet row group: enough to compress well, few enough to hold while it is open.
const GROUP_ROWS: usize = 100_000;

/// Appends an instant as RFC 3339 in UTC to the second, like [`crate::types::time::format_instant`] but straight into
/// the row: an order has a dozen of them.
pub(super) fn push_instant(out: &mut Vec<u8>, micros: i64) {
    let Some(time) = DateTime::from_timestamp_micros(micros) else { return };
    let mut two = |n: u32, mark: u8| out.extend_from_slice(&[b'0' + (n / 10 % 10) as u8, b'0' + (n % 10) as u8, mark]);
    let year = time.year().unsigned_abs();
    two(year / 100, b'0' + (year / 10 % 10) as u8);
    let last = b'0' + (year % 10) as u8;
    out.extend_from_slice(&[last, b'-']);
    let mut two = |n: u32, mark: u8| out.extend_from_slice(&[b'0' + (n / 10) as u8, b'0' + (n % 10) as u8, mark]);
    two(time.month(), b'-');
    two(time.day(), b'T');
    two(time.hour(), b':');
    two(time.minute(), b':');
    two(time.second(), b'Z');
}

/// A delimited file.
pub(super) struct CsvFile {
    path: PathBuf,
    writer: csv::Writer<BufWriter<File>>,
    row: ByteRecord,
    field: Vec<u8>,
    pub(super) rows: u64,
}

impl CsvFile {
    pub(super) fn create(folder: &Path, name: &str, columns: &[&str]) -> Result<Self> {
        let path = folder.join(name);
        let file = File::create(&path).map_err(Error::io("write", &path))?;
        // Flexible: ragged rows are part of the exercise.
        let writer = csv::WriterBuilder::new().flexible(true).from_writer(BufWriter::with_capacity(1 << 17, file));
        let mut csv = Self { path, writer, row: ByteRecord::new(), field: Vec::new(), rows: 0 };
        csv.writer.write_record(columns).map_err(|e| Error::io("write", &csv.path)(e.into()))?;
        Ok(csv)
    }

    pub(super) fn text(&mut self, text: &str) {
        self.row.push_field(text.as_bytes());
    }

    pub(super) fn instant(&mut self, at: Option<i64>) {
        self.field.clear();
        if let Some(at) = at {
            push_instant(&mut self.field, at);
        }
        self.row.push_field(&self.field);
    }

    pub(super) fn money(&mut self, minor: Option<i64>, exponent: u32) {
        self.field.clear();
        if let Some(minor) = minor {
            push_money(&mut self.field, minor, exponent);
        }
        self.row.push_field(&self.field);
    }

    pub(super) fn count(&mut self, count: Option<i64>) {
        self.money(count, 0);
    }

    /// The row so far, to be spoilt or copied; put it back with [`Self::set_row`].
    pub(super) fn fields(&self) -> Vec<Vec<u8>> {
        self.row.iter().map(<[u8]>::to_vec).collect()
    }

    pub(super) fn set_row(&mut self, fields: &[Vec<u8>]) {
        self.row = ByteRecord::from(fields.to_vec());
    }

    pub(super) fn end_row(&mut self) -> Result<()> {
        self.writer.write_byte_record(&self.row).map_err(|e| Error::io("write", &self.path)(e.into()))?;
        self.row.clear();
        self.rows += 1;
        Ok(())
    }

    pub(super) fn finish(mut self) -> Result<(PathBuf, u64)> {
        self.writer.flush().map_err(Error::io("write", &self.path))?;
        Ok((self.path, self.rows))
    }
}

/// One JSON object a line.
pub(super) struct JsonFile {
    path: PathBuf,
    writer: BufWriter<File>,
    pub(super) rows: u64,
}

impl JsonFile {
    pub(super) fn create(folder: &Path, name: &str) -> Result<Self> {
        let path = folder.join(name);
        let file = File::create(&path).map_err(Error::io("write", &path))?;
        Ok(Self { path, writer: BufWriter::with_capacity(1 << 17, file), rows: 0 })
    }

    /// Writes one line; `cut` breaks it off in the middle, as a crash of the exporting program does.
    pub(super) fn line(&mut self, value: &impl serde::Serialize, cut: bool) -> Result<()> {
        let failed = |path: &Path, e| Err(Error::io("write", path)(e));
        let mut text = match serde_json::to_vec(value) {
            Ok(text) => text,
            Err(e) => return failed(&self.path, e.into()),
        };
        if cut {
            text.truncate(text.len() / 2);
            // Never inside a letter: the file is still UTF-8.
            while std::str::from_utf8(&text).is_err() {
                text.pop();
            }
        }
        text.push(b'\n');
        self.rows += 1;
        self.writer.write_all(&text).or_else(|e| failed(&self.path, e))
    }

    pub(super) fn finish(mut self) -> Result<(PathBuf, u64)> {
        self.writer.flush().map_err(Error::io("write", &self.path))?;
        Ok((self.path, self.rows))
    }
}

/// Types of Parquet columns.
#[derive(Debug, Clone, Copy)]
pub(super) enum As {
    Text,
    Instant,
    Integer,
    Flag,
    Real,
}

enum Column {
    Text(StringBuilder),
    Instant(TimestampMicrosecondBuilder),
    Integer(Int64Builder),
    Flag(BooleanBuilder),
    Real(Float64Builder),
}

/// A value of a Parquet column.
pub(super) enum Value<'a> {
    Text(Option<&'a str>),
    Instant(Option<i64>),
    Integer(Option<i64>),
    Flag(bool),
    Real(f64),
}

/// A Parquet file.
pub(super) struct ParquetFile {
    name: String,
    path: PathBuf,
    schema: Arc<Schema>,
    columns: Vec<Column>,
    held: usize,
    writer: ArrowWriter<File>,
    pub(super) rows: u64,
}

impl ParquetFile {
    pub(super) fn create(folder: &Path, name: &str, columns: &[(&str, As)]) -> Result<Self> {
        let path = folder.join(name);
        let zone: Arc<str> = Arc::from("UTC");
        let field = |(name, kind): &(&str, As)| {
            let data_type = match kind {
                As::Text => DataType::Utf8,
                As::Instant => DataType::Timestamp(TimeUnit::Microsecond, Some(Arc::clone(&zone))),
                As::Integer => DataType::Int64,
                As::Flag => DataType::Boolean,
                As::Real => DataType::Float64,
            };
            Field::new(*name, data_type, true)
        };
        let builder = |(_, kind): &(&str, As)| match kind {
            As::Text => Column::Text(StringBuilder::new()),
            As::Instant => Column::Instant(TimestampMicrosecondBuilder::new().with_timezone(Arc::clone(&zone))),
            As::Integer => Column::Integer(Int64Builder::new()),
            As::Flag => Column::Flag(BooleanBuilder::new()),
            As::Real => Column::Real(Float64Builder::new()),
        };
        let schema = Arc::new(Schema::new(columns.iter().map(field).collect::<Vec<_>>()));
        let file = File::create(&path).map_err(Error::io("write", &path))?;
        let properties = WriterProperties::builder()
            .set_compression(Compression::ZSTD(ZstdLevel::default()))
            .set_max_row_group_row_count(Some(GROUP_ROWS))
            .set_statistics_enabled(EnabledStatistics::Chunk)
            // An order's id stands in few rows: a dictionary of ids only costs time.
            .set_column_dictionary_enabled("order_id".into(), false)
            .set_created_by("ordersight synthetic shop".to_owned())
            .build();
        let writer =
            ArrowWriter::try_new(file, Arc::clone(&schema), Some(properties)).map_err(|e| failed(&path, name, e))?;
        let columns = columns.iter().map(builder).collect();
        Ok(Self { name: name.to_owned(), path, schema, columns, held: 0, writer, rows: 0 })
    }

    /// Appends a row: one value a column, in order, each of the column's type.
    pub(super) fn row(&mut self, values: &[Value<'_>]) -> Result<()> {
        for (column, value) in self.columns.iter_mut().zip(values) {
            match (column, value) {
                (Column::Text(to), Value::Text(v)) => to.append_option(*v),
                (Column::Instant(to), Value::Instant(v)) => to.append_option(*v),
                (Column::Integer(to), Value::Integer(v)) => to.append_option(*v),
                (Column::Flag(to), Value::Flag(v)) => to.append_value(*v),
                (Column::Real(to), Value::Real(v)) => to.append_value(*v),
                _ => return Err(Error::Invariant(format!("a value of another type for a column of `{}`", self.name))),
            }
        }
        self.held += 1;
        self.rows += 1;
        if self.held == BATCH_ROWS { self.flush() } else { Ok(()) }
    }

    fn flush(&mut self) -> Result<()> {
        let arrays = self.columns.iter_mut().map(|c| match c {
            Column::Text(c) => Arc::new(c.finish()) as ArrayRef,
            Column::Instant(c) => Arc::new(c.finish()),
            Column::Integer(c) => Arc::new(c.finish()),
            Column::Flag(c) => Arc::new(c.finish()),
            Column::Real(c) => Arc::new(c.finish()),
        });
        let batch = RecordBatch::try_new(Arc::clone(&self.schema), arrays.collect());
        self.held = 0;
        let written = batch.map_err(ParquetError::from).and_then(|batch| self.writer.write(&batch));
        written.map_err(|e| failed(&self.path, &self.name, e))
    }

    pub(super) fn finish(mut self) -> Result<(PathBuf, u64)> {
        if self.held > 0 {
            self.flush()?;
        }
        self.writer.close().map_err(|e| failed(&self.path, &self.name, e))?;
        Ok((self.path, self.rows))
    }
}

/// A failed write: what the operating system said, where it was that (a full disk must read as one).
fn failed(path: &Path, name: &str, error: ParquetError) -> Error {
    match error {
        ParquetError::External(inner) => match inner.downcast::<std::io::Error>() {
            Ok(io) => Error::io("write", path)(*io),
            Err(other) => Error::parquet(format!("write {name}"))(ParquetError::External(other)),
        },
        other => Error::parquet(format!("write {name}"))(other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::time::{SECOND, format_instant};

    #[test]
    fn instants_are_written_as_the_rest_of_the_program_writes_them() {
        for seconds in [0, 951_782_400, 1_709_164_799, 1_735_689_600, 1_767_225_599, 4_102_444_800] {
            let mut text = Vec::new();
            push_instant(&mut text, seconds * SECOND);
            assert_eq!(String::from_utf8(text).unwrap(), format_instant(seconds * SECOND));
        }
    }
}
