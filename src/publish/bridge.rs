//! From a polars frame to an arrow-rs record batch and back, through the Arrow C data interface.
//!
//! The only unsafe code of the crate beside [`crate::memory`] and the reading of rows that a hash vouches for. Both libraries hold their buffers in reference-counted
//! memory, so that numbers are not copied; strings are, once, from polars' views to plain ones.

use crate::error::{Error, Result};
use arrow::array::{Array, ArrayRef, RecordBatch, RecordBatchOptions, make_array};
use arrow::compute::{CastOptions, cast_with_options};
use arrow::datatypes::{DataType, Field, Fields, Schema, TimeUnit};
use arrow::ffi::{FFI_ArrowArray, FFI_ArrowSchema, from_ffi, to_ffi};
use polars::prelude::{ArrowField, Column, CompatLevel, DataFrame, IntoColumn, IntoSeries, Series, StringChunked};
use polars_arrow::array::Utf8ViewArray;
use polars_arrow::ffi::{
    ArrowArray, ArrowSchema, export_array_to_c, export_field_to_c, import_array_from_c, import_field_from_c,
};
use std::sync::Arc;

/// UTC as an offset: arrow-rs knows zones by name only with a second copy of the zone database. Parquet stores neither, just
/// that instants are adjusted to UTC.
const UTC: &str = "+00:00";

/// The rows of `frame` as one record batch of plain types: see [`plain`] for what becomes what.
///
/// Fails when a column's type has no plain form (durations, untyped nulls) or a value does not fit it.
pub(super) fn record_batch(frame: &DataFrame) -> Result<RecordBatch> {
    let mut fields = Vec::with_capacity(frame.width());
    let mut arrays = Vec::with_capacity(frame.width());
    for column in frame.columns() {
        let array = plain_array(column)?;
        fields.push(Field::new(column.name().as_str(), array.data_type().clone(), true));
        arrays.push(array);
    }
    RecordBatch::try_new(Arc::new(Schema::new(fields)), arrays).map_err(failed("building a record batch"))
}

/// The rows of `frame` as one record batch, columns as polars holds them; texts of many buffers in one.
///
/// # Errors
/// [`Error::Parquet`] only for defects.
pub(super) fn held(frame: &DataFrame) -> Result<RecordBatch> {
    let mut fields = Vec::with_capacity(frame.width());
    let mut arrays = Vec::with_capacity(frame.width());
    for column in frame.columns() {
        let series = column.as_materialized_series().rechunk();
        let series = match series.str() {
            Ok(texts) => gathered(texts).into_series(),
            Err(_) => series,
        };
        let array = import(&series, CompatLevel::newest())?;
        fields.push(Field::new(column.name().as_str(), array.data_type().clone(), true));
        arrays.push(array);
    }
    let rows = RecordBatchOptions::new().with_row_count(Some(frame.height()));
    RecordBatch::try_new_with_options(Arc::new(Schema::new(fields)), arrays, &rows).map_err(failed("rows of a state"))
}

/// Texts without the rest of the pages that they point into; words that many rows share are there once.
fn gathered(texts: &StringChunked) -> StringChunked {
    let chunk = |views: &Utf8ViewArray| match views.total_buffer_len() > 2 * views.total_bytes_len() {
        true => views.clone().gc(),
        false => views.clone(),
    };
    StringChunked::from_chunk_iter(texts.name().clone(), texts.downcast_iter().map(chunk))
}

/// The rows of a record batch as a frame, numbers and texts where they are: of one that [`held`] gave, or of plain types.
///
/// # Errors
/// [`Error::Parquet`] and [`Error::Frames`] for a batch of other types.
pub(crate) fn frame_of(batch: &RecordBatch) -> Result<DataFrame> {
    let stage = || Error::frames("rows of a state");
    let mut columns = Vec::with_capacity(batch.num_columns());
    for (field, array) in batch.schema().fields().iter().zip(batch.columns()) {
        let (array, schema) = to_ffi(&array.to_data()).map_err(failed(format!("column `{}`", field.name())))?;
        // SAFETY: as in `import`, the other way round: the same `#[repr(C)]` structs, each moved, and the array comes with
        // the very schema that it was exported with.
        let (of, array) = unsafe {
            let array = std::mem::transmute::<FFI_ArrowArray, ArrowArray>(array);
            let schema = std::mem::transmute::<FFI_ArrowSchema, ArrowSchema>(schema);
            let of = import_field_from_c(&schema).map_err(stage())?;
            let array = import_array_from_c(array, of.dtype.clone()).map_err(stage())?;
            (of, array)
        };
        let of = ArrowField::new(field.name().as_str().into(), of.dtype, true);
        columns.push(Series::try_from((&of, array)).map_err(stage())?.into_column());
    }
    DataFrame::new(batch.num_rows(), columns).map_err(stage())
}

fn plain_array(column: &Column) -> Result<ArrayRef> {
    let series = column.as_materialized_series().rechunk();
    // A slice of a list column still holds every value of the whole; without this, each row group would carry them all.
    let series = series.trim_lists_to_normalized_offsets().unwrap_or(series);
    // Plain strings, not views: a view column holds on to every buffer it was ever gathered from, thousands at times, and
    // all of them would be handed over with every file.
    let array = import(&series, CompatLevel::oldest())?;
    let target = plain(array.data_type()).ok_or_else(|| {
        Error::Invariant(format!("column `{}` has type {}, which no output may have", column.name(), column.dtype()))
    })?;
    // An overflow is an error here, not a null: nothing may vanish on the way out.
    let strict = CastOptions { safe: false, ..CastOptions::default() };
    if &target == array.data_type() {
        return Ok(array);
    }
    cast_with_options(&array, &target, &strict).map_err(failed(format!("column `{}`", column.name())))
}

/// Hands one column of one chunk over. The array keeps polars' memory alive until arrow-rs releases it.
fn import(series: &Series, level: CompatLevel) -> Result<ArrayRef> {
    let field = series.field().to_arrow(level);
    let array = export_array_to_c(series.to_arrow(0, level));
    let schema = export_field_to_c(&field);
    // SAFETY: the types on both sides are the `#[repr(C)]` structs that the Arrow C data interface fixes, and each is
    // moved, so that its release callback runs once. The array was exported with the very field exported beside it.
    let data = unsafe {
        let array = std::mem::transmute::<ArrowArray, FFI_ArrowArray>(array);
        let schema = std::mem::transmute::<ArrowSchema, FFI_ArrowSchema>(schema);
        from_ffi(array, &schema)
    };
    data.map(make_array).map_err(failed(format!("column `{}`", series.name())))
}

/// The type every reader knows in place of `from`; `None` when there is none.
///
/// String views, large and categorical strings → string; large lists → list; any timestamp → microseconds UTC (a
/// timestamp without a zone is one in UTC: instants inside ordersight are); unsigned integers → `Int64`, because Spark and
/// the JVM have no unsigned types; half floats → `Float32`.
fn plain(from: &DataType) -> Option<DataType> {
    Some(match from {
        DataType::Boolean | DataType::Date32 => from.clone(),
        DataType::Int8 | DataType::Int16 | DataType::Int32 | DataType::Int64 => from.clone(),
        DataType::Float32 | DataType::Float64 => from.clone(),
        DataType::Float16 => DataType::Float32,
        DataType::UInt8 | DataType::UInt16 | DataType::UInt32 | DataType::UInt64 => DataType::Int64,
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => DataType::Utf8,
        DataType::Dictionary(_, values) => plain(values)?,
        DataType::Binary | DataType::LargeBinary | DataType::BinaryView => DataType::Binary,
        DataType::Date64 => DataType::Date32,
        DataType::Timestamp(_, _) => DataType::Timestamp(TimeUnit::Microsecond, Some(UTC.into())),
        DataType::List(item) | DataType::LargeList(item) | DataType::FixedSizeList(item, _) => {
            // "element" is the name the Parquet format asks for.
            DataType::List(Arc::new(Field::new("element", plain(item.data_type())?, true)))
        }
        DataType::Struct(fields) => DataType::Struct(
            fields
                .iter()
                .map(|f| Some(Field::new(f.name(), plain(f.data_type())?, true)))
                .collect::<Option<Fields>>()?,
        ),
        _ => return None,
    })
}

pub(super) fn failed(stage: impl Into<String>) -> impl FnOnce(arrow::error::ArrowError) -> Error {
    let stage = stage.into();
    move |source| Error::Parquet { stage, source: source.into() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use polars::prelude::*;

    #[test]
    fn every_frame_type_becomes_the_plain_type_that_all_readers_know() {
        let texts = Series::new("s".into(), [Some("a"), None, Some("a string longer than twelve bytes")]);
        let frame = DataFrame::new(
            3,
            vec![
                texts.clone().into_column(),
                Series::new("u".into(), [1u32, 2, u32::MAX]).into_column(),
                Int64Chunked::new("naive".into(), [1i64, 2, 3])
                    .into_datetime(polars::prelude::TimeUnit::Milliseconds, None)
                    .into_series()
                    .into_column(),
                Int64Chunked::new("local".into(), [1i64, 2, 3])
                    .into_datetime(
                        polars::prelude::TimeUnit::Microseconds,
                        TimeZone::opt_try_new(Some("Asia/Tokyo")).unwrap(),
                    )
                    .into_series()
                    .into_column(),
                Int32Chunked::new("day".into(), [1, 2, 3]).into_date().into_series().into_column(),
                Series::new("list".into(), [Some(texts.clone()), None, Some(texts.slice(2, 1))]).into_column(),
                StructChunked::from_series(
                    "pair".into(),
                    3,
                    [texts.clone(), Series::new("n".into(), [1.5, 2.5, 3.5])].iter(),
                )
                .unwrap()
                .into_series()
                .into_column(),
            ],
        )
        .unwrap();
        // A slice, so that offsets are in play.
        let batch = record_batch(&frame.slice(1, 2)).unwrap();
        let types: Vec<String> =
            batch.schema().fields().iter().map(|f| format!("{} {}", f.name(), f.data_type())).collect();
        assert_eq!(
            types,
            [
                "s Utf8",
                "u Int64",
                "naive Timestamp(µs, \"+00:00\")",
                "local Timestamp(µs, \"+00:00\")",
                "day Date32",
                "list List(Utf8, field: 'element')",
                "pair Struct(\"s\": Utf8, \"n\": Float64)",
            ]
        );
        let text = batch.column(0).as_any().downcast_ref::<arrow::array::StringArray>().unwrap();
        assert_eq!(text.iter().collect::<Vec<_>>(), [None, Some("a string longer than twelve bytes")]);
        let naive = batch.column(2).as_any().downcast_ref::<arrow::array::TimestampMicrosecondArray>().unwrap();
        assert_eq!(naive.values().to_vec(), [2_000, 3_000]);
    }

    #[test]
    fn a_column_without_a_type_is_refused_by_name() {
        let frame = DataFrame::new(
            2,
            vec![Series::full_null("reason".into(), 2, &polars::prelude::DataType::Null).into_column()],
        )
        .unwrap();
        let error = record_batch(&frame).unwrap_err().to_string();
        assert!(error.contains("`reason`"), "{error}");
    }
}
