//! One Parquet file from one frame: compressed, indexed, and the same bytes for the same rows.

use super::bridge::record_batch;
use crate::error::{Error, Result};
use parquet::arrow::ArrowSchemaConverter;
use parquet::arrow::arrow_writer::{ArrowWriter, ArrowWriterOptions};
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::metadata::{KeyValue, SortingColumn};
use parquet::file::properties::{EnabledStatistics, WriterProperties, WriterPropertiesBuilder};
use parquet::schema::types::{ColumnPath, SchemaDescriptor};
use polars::prelude::{Column, DataFrame};
use std::collections::BTreeMap;

/// Rows of a row group. Large enough to compress well, small enough that a reader who wants one order skips most of a
/// file; it also bounds the memory of writing, because a frame is handed over one row group at a time.
const ROW_GROUP_ROWS: usize = 128 * 1024;

/// Level 3 of zstd: past it, writing slows down much faster than files shrink.
const ZSTD_LEVEL: i32 = 3;

/// Level 1 where a file is short: the larger tables of level 3 have to be made for each of its columns and find little. Days of
/// 3,000 orders are compressed in a third of the time and are 2 to 3 % longer; hundreds of thousands of rows of KPIs would be 9 %.
const ZSTD_LEVEL_OF_SHORT: i32 = 1;

/// Rows up to which a file is short.
const SHORT: usize = ROW_GROUP_ROWS / 4;

/// Chance that a Bloom filter says "maybe" to an id that is not there.
const BLOOM_FALSE_POSITIVES: f64 = 0.01;

/// Rows that a column is judged by.
const SAMPLE_ROWS: usize = 256;

/// Names the writer in every file. No version: a new release must not change the bytes of unchanged rows.
const CREATED_BY: &str = "ordersight";

/// How the pages of a file are compressed. Every reader of Parquet knows both ways.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Packing {
    /// For files that stay: zstd.
    #[default]
    Small,
    /// For files that are likely to be written again soon, as the days are that a stream is in: Snappy, and numbers as they are
    /// instead of by dictionary. Files are a sixth to two fifths longer by it, and a stream takes a tenth more orders a second.
    Quick,
}

/// What a file should have beside its rows.
#[derive(Debug, Clone, Copy, Default)]
pub struct FileOptions<'a> {
    /// Columns the rows are already sorted by, ascending and nulls first; names that are not in the frame are skipped.
    pub sorted_by: &'a [&'a str],
    /// Columns that get a Bloom filter; names that are not in the frame are skipped.
    pub bloom: &'a [&'a str],
    /// How its pages are compressed.
    pub packing: Packing,
}

/// The bytes of a Parquet file with the rows of `frame` in their order.
///
/// Pages compressed by `options.packing`, page index, Bloom filters, `metadata` as key-value pairs, row groups of at most
/// 128 Ki rows. The embedded Arrow schema is left out on purpose: the types are plain (see `bridge`), so that the Parquet types
/// alone say everything, and thousands of small files stay small. Equal frames and metadata give equal bytes.
pub fn encode(frame: &DataFrame, options: FileOptions<'_>, metadata: &BTreeMap<String, String>) -> Result<Vec<u8>> {
    let first = record_batch(&frame.slice(0, ROW_GROUP_ROWS))?;
    let descriptor = ArrowSchemaConverter::new()
        .with_coerce_types(true)
        .convert(&first.schema())
        .map_err(Error::parquet("describing the columns of a file"))?;
    let compression = compression(options.packing, frame.height())?;
    let mut properties = properties(&descriptor, options, metadata, compression);
    let is_plain = |column: &Column| {
        // Looking each number up takes longer than compressing it.
        (options.packing == Packing::Quick && column.dtype().is_float()) || is_mostly_distinct(column)
    };
    for column in frame.columns().iter().filter(|column| is_plain(column)) {
        properties = properties.set_column_dictionary_enabled(ColumnPath::from(vec![column.name().to_string()]), false);
    }
    let writer_options = ArrowWriterOptions::new().with_properties(properties.build()).with_skip_arrow_metadata(true);
    let mut writer = ArrowWriter::try_new_with_options(Vec::new(), first.schema(), writer_options)
        .map_err(Error::parquet("starting a file"))?;
    writer.write(&first).map_err(Error::parquet("writing rows"))?;
    let mut offset = ROW_GROUP_ROWS;
    while offset < frame.height() {
        let batch = record_batch(&frame.slice(offset as i64, ROW_GROUP_ROWS))?;
        writer.write(&batch).map_err(Error::parquet("writing rows"))?;
        offset += ROW_GROUP_ROWS;
    }
    writer.into_inner().map_err(Error::parquet("finishing a file"))
}

fn compression(packing: Packing, rows: usize) -> Result<Compression> {
    let level = if rows <= SHORT { ZSTD_LEVEL_OF_SHORT } else { ZSTD_LEVEL };
    match packing {
        Packing::Small => {
            ZstdLevel::try_new(level).map(Compression::ZSTD).map_err(Error::parquet("setting compression"))
        }
        Packing::Quick => Ok(Compression::SNAPPY),
    }
}

fn properties(
    descriptor: &SchemaDescriptor,
    options: FileOptions<'_>,
    metadata: &BTreeMap<String, String>,
    compression: Compression,
) -> WriterPropertiesBuilder {
    // A file counts its leaf columns: a list of structs before a column moves that column's number.
    let leaf = |name: &str| {
        descriptor.columns().iter().position(|c| matches!(c.path().parts(), [only] if only.as_str() == name))
    };
    let sorting: Vec<SortingColumn> = options
        .sorted_by
        .iter()
        .filter_map(|name| leaf(name))
        .map(|index| SortingColumn { column_idx: index as i32, descending: false, nulls_first: true })
        .collect();
    let pairs: Vec<KeyValue> = metadata.iter().map(|(k, v)| KeyValue::new(k.clone(), v.clone())).collect();
    let mut builder = WriterProperties::builder()
        .set_created_by(CREATED_BY.to_owned())
        .set_compression(compression)
        .set_statistics_enabled(EnabledStatistics::Page)
        .set_max_row_group_row_count(Some(ROW_GROUP_ROWS))
        .set_coerce_types(true)
        .set_sorting_columns((!sorting.is_empty()).then_some(sorting))
        .set_key_value_metadata((!pairs.is_empty()).then_some(pairs));
    for name in options.bloom.iter().filter(|name| leaf(name).is_some()) {
        let column = ColumnPath::from(vec![(*name).to_owned()]);
        // Sized for a full row group while writing, folded to what the values need before it is stored.
        builder = builder
            .set_column_bloom_filter_enabled(column.clone(), true)
            .set_column_bloom_filter_fpp(column, BLOOM_FALSE_POSITIVES);
    }
    builder
}

/// Whether a dictionary of a column's numbers or texts would be about as long as the column: half of a sample are different ones.
/// To look each up takes longer than to compress them.
fn is_mostly_distinct(column: &Column) -> bool {
    fn is_so<T: Ord>(sample: impl Iterator<Item = T>) -> bool {
        let mut sample: Vec<T> = sample.collect();
        let all = sample.len();
        sample.sort_unstable();
        sample.dedup();
        all >= SAMPLE_ROWS / 4 && 2 * sample.len() > all
    }
    let rows = (0..column.len()).step_by((column.len() / SAMPLE_ROWS).max(1));
    match (column.f64(), column.str()) {
        (Ok(numbers), _) => is_so(rows.filter_map(|row| numbers.get(row)).map(f64::to_bits)),
        (_, Ok(texts)) => is_so(rows.filter_map(|row| texts.get(row))),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use parquet::file::reader::{FileReader, SerializedFileReader};
    use parquet::file::serialized_reader::ReadOptionsBuilder;
    use polars::prelude::*;
    use std::io::Write;

    fn frame(rows: i64) -> DataFrame {
        let ids: Vec<String> = (0..rows).map(|i| format!("order-{i:07}")).collect();
        let reasons = Series::new("reason".into(), ["late"]);
        let lists: Vec<Option<Series>> = (0..rows).map(|i| (i % 3 != 0).then(|| reasons.clone())).collect();
        DataFrame::new(
            rows as usize,
            vec![
                Series::new("reasons".into(), lists).into_column(),
                Series::new("order_id".into(), ids).into_column(),
                Series::new("amount".into(), (0..rows).collect::<Vec<_>>()).into_column(),
            ],
        )
        .unwrap()
    }

    fn options() -> FileOptions<'static> {
        FileOptions { sorted_by: &["order_id", "line"], bloom: &["order_id", "customer_id"], ..FileOptions::default() }
    }

    #[test]
    fn a_file_has_page_index_bloom_filter_sort_order_and_metadata() {
        let metadata = BTreeMap::from([("run_id".to_owned(), "abc".to_owned())]);
        let bytes = encode(&frame(200_000), options(), &metadata).unwrap();
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(&bytes).unwrap();
        let options = ReadOptionsBuilder::new().with_page_index().build();
        let reader = SerializedFileReader::new_with_options(file, options).unwrap();
        let meta = reader.metadata();
        assert_eq!(meta.num_row_groups(), 2);
        assert_eq!(meta.file_metadata().created_by(), Some("ordersight"));
        assert_eq!(meta.file_metadata().key_value_metadata().map(|m| m.len()), Some(1));
        assert!(meta.column_index().is_some() && meta.offset_index().is_some());
        // Leaf 0 is the list's element, leaf 1 is `order_id`.
        let sorted = meta.row_group(0).sorting_columns().unwrap();
        assert_eq!(sorted.iter().map(|s| s.column_idx).collect::<Vec<_>>(), [1]);
        let blooms: Vec<bool> = meta.row_group(0).columns().iter().map(|c| c.bloom_filter_offset().is_some()).collect();
        assert_eq!(blooms, [false, true, false]);
    }

    #[test]
    fn equal_frames_are_equal_bytes_however_they_are_chunked() {
        let whole = frame(1_000);
        let mut chunked = whole.slice(0, 400);
        chunked.vstack_mut(&whole.slice(400, 600)).unwrap();
        let metadata = BTreeMap::new();
        assert_eq!(encode(&whole, options(), &metadata).unwrap(), encode(&chunked, options(), &metadata).unwrap());
    }

    #[test]
    fn what_hardly_repeats_gets_no_dictionary_and_everything_is_compressed() {
        let numbers = |of: &dyn Fn(i64) -> f64| (0..10_000).map(of).collect::<Vec<_>>();
        let texts = |of: &dyn Fn(i64) -> i64| (0..10_000).map(|n| format!("text {}", of(n))).collect::<Vec<_>>();
        let frame = df!(
            "few" => numbers(&|n| (n % 20) as f64),
            "many" => numbers(&|n| (n as f64).sqrt()),
            "names" => texts(&|n| n % 20),
            "ids" => texts(&|n| n),
        );
        let frame = frame.unwrap();
        for packing in [Packing::Small, Packing::Quick] {
            let options = FileOptions { packing, ..FileOptions::default() };
            let mut file = tempfile::tempfile().unwrap();
            file.write_all(&encode(&frame, options, &BTreeMap::new()).unwrap()).unwrap();
            let reader = SerializedFileReader::new(file.try_clone().unwrap()).unwrap();
            let columns = reader.metadata().row_group(0).columns();
            let with: Vec<bool> = columns.iter().map(|c| c.dictionary_page_offset().is_some()).collect();
            assert_eq!(with, [packing == Packing::Small, false, true, false]);
            let is_so = |c: Compression| match packing {
                Packing::Small => matches!(c, Compression::ZSTD(_)),
                Packing::Quick => c == Compression::SNAPPY,
            };
            assert!(columns.iter().all(|c| is_so(c.compression())));
            assert!(ParquetReader::new(file).finish().unwrap().equals(&frame));
        }
    }

    #[test]
    fn a_small_file_has_a_small_bloom_filter() {
        let bytes = encode(&frame(10), options(), &BTreeMap::new()).unwrap();
        assert!(bytes.len() < 4_096, "{} bytes", bytes.len());
    }
}
