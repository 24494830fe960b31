//! Readers: a file becomes chunks of columns, record by record, so that every broken record is seen and numbered.

mod csv;
mod json_members;
mod ndjson;
mod parquet;
mod records;
mod text;

use super::discover::SourceFile;
use super::plan::SourcePlan;
use crate::config::Format;
use crate::error::Result;
use crate::quarantine::Reason;
use arrow::array::{ArrayRef, AsArray, StringViewArray};
use arrow::compute::cast;
use arrow::datatypes::DataType;
use arrow::error::ArrowError;

/// Records a chunk holds at most: bounds memory whatever the size of the file.
pub(super) const CHUNK_ROWS: usize = 32_768;

/// Consecutive records of a file, by column.
#[derive(Debug)]
pub(super) struct Chunk {
    /// Columns in the file's order; equal lengths.
    pub(super) columns: Vec<(String, Cells)>,
    /// Record number of each row, from 1.
    pub(super) rows: Vec<u64>,
    /// Records that could not even be split into columns.
    pub(super) broken: Vec<Broken>,
    /// Needed columns that no record so far had, not even as a null; only formats whose records name their columns
    /// can tell.
    pub(super) absent: Vec<String>,
}

/// The values of a column in a chunk.
#[derive(Debug, Clone)]
pub(super) enum Cells {
    /// Text as it came; null only where the format itself has a null.
    Text(StringViewArray),
    /// Typed values of a Parquet file.
    Native(ArrayRef),
}

/// Values of any kind as texts, as polars holds them: whoever takes rows at hand has not to copy them.
///
/// # Errors
/// For what has no text form.
pub(super) fn texts(array: &ArrayRef) -> Result<StringViewArray, ArrowError> {
    let is_text = matches!(array.data_type(), DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View);
    // Decimals and others have no way to views of their own.
    let array = if is_text { array.clone() } else { cast(array, &DataType::Utf8)? };
    Ok(cast(&array, &DataType::Utf8View)?.as_string_view().clone())
}

/// A record that could not be split into columns.
#[derive(Debug)]
pub(super) struct Broken {
    pub(super) row: u64,
    pub(super) reason: Reason,
    pub(super) detail: String,
    /// The record as text; the caller withholds it where personal columns cannot be told apart.
    pub(super) raw: String,
}

/// Receives chunks in order; an error stops the reading.
pub(super) type Sink<'a> = dyn FnMut(Chunk) -> Result<()> + 'a;

/// Reads a whole file chunk by chunk.
///
/// # Errors
/// [`crate::error::Error::InputRefused`] when the file as a whole cannot be used; [`crate::error::Error::Environment`]
/// when it cannot be read. What only spoils single records arrives in [`Chunk::broken`].
pub(super) fn read(file: &SourceFile, plan: &SourcePlan, sink: &mut Sink<'_>) -> Result<()> {
    match file.format {
        Format::Csv => csv::read(file, plan, sink),
        Format::Ndjson => ndjson::read(file, plan, sink),
        Format::Parquet => parquet::read(file, sink),
    }
}
