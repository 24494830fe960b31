//! What is published is read by the tools people have, with one call each, and says of itself what the contract promises.

use crate::harness::{data_files, expect, python, root};
use crate::shop::Shop;
use ordersight::contract::output::{OUTPUTS, output};
use parquet::file::metadata::ParquetMetaData;
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::file::serialized_reader::ReadOptionsBuilder;
use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

/// `tests/reference/readers.py` over an output folder; `None` where there is no Python with the readers.
fn readers(out: &Path) -> Option<String> {
    let done = Command::new(python()?).arg(root().join("tests/reference/readers.py")).arg(out).output().unwrap();
    let said = String::from_utf8(done.stdout).unwrap();
    assert!(done.status.success(), "{said}\n{}", String::from_utf8_lossy(&done.stderr));
    Some(said)
}

#[test]
fn duckdb_polars_and_pyarrow_read_every_table_and_join_them_as_the_contract_says() {
    let shop = Shop::new(2_500, 11, 40, 0.02);
    let out = shop.path("out");
    let summary = shop.run(&shop.input(), &out, "2026-01-02T00:00:00Z");
    every_file_says_what_it_is(&out, &summary);
    let Some(said) = readers(&out) else { return };
    for (table, rows) in summary["published"].as_object().unwrap() {
        assert!(said.contains(&format!("{table}: {rows} rows")), "{table} has {rows} rows\n{said}");
    }
    // What came late is told of streams alone.
    let tables = OUTPUTS.iter().filter(|table| table.name != "late_rows").count();
    assert!(said.contains(&format!("{tables} tables, all as the contract says")), "{said}");
}

#[test]
fn tables_without_rows_are_read_as_well_as_any() {
    let out = tempfile::tempdir().unwrap();
    // The clean sample: nothing is quarantined.
    let done = expect(0, &["run", "data-samples/shop.toml", "--out", &out.path().display().to_string(), "--json"]);
    let summary: serde_json::Value = serde_json::from_str(&done.stdout).unwrap();
    let empty: Vec<&str> =
        summary["published"].as_object().unwrap().iter().filter(|(_, n)| **n == 0).map(|(t, _)| t.as_str()).collect();
    assert!(empty.contains(&"quarantine"), "{}", summary["published"]);
    every_file_says_what_it_is(out.path(), &summary);
    readers(out.path());
}

/// Every file has a page index, Bloom filters on the ids the table names, zstd, a sort order, and tells its run.
fn every_file_says_what_it_is(out: &Path, summary: &serde_json::Value) {
    let files = data_files(out);
    assert!(files.len() > 5, "{:?}", files.keys());
    for name in files.into_keys() {
        let table = output(name.split('/').next().unwrap()).unwrap();
        let metadata = metadata(&out.join(&name));
        let told: BTreeMap<&str, Option<&str>> = metadata
            .file_metadata()
            .key_value_metadata()
            .into_iter()
            .flatten()
            .map(|pair| (pair.key.as_str(), pair.value.as_deref()))
            .collect();
        for key in ["run_id", "pipeline", "currency"] {
            assert_eq!(told[key], summary[key].as_str(), "{name}: {key}");
        }
        assert!(
            told["schema_version"].is_some() && told["as_of"].is_some_and(|t| t.ends_with('Z')),
            "{name}: {told:?}"
        );
        for risk in summary["risk"].as_array().unwrap() {
            let key = format!("{}_model", risk["target"].as_str().unwrap());
            assert_eq!(told.get(key.as_str()).copied().flatten(), risk["model"].as_str(), "{name}: {key}");
        }
        for group in metadata.row_groups() {
            for column in group.columns().iter().filter(|_| group.num_rows() > 0) {
                let path = column.column_path().string();
                assert!(column.offset_index_offset().is_some(), "{name}: no page index of `{path}`");
                assert!(matches!(column.compression(), parquet::basic::Compression::ZSTD(_)), "{name}: `{path}`");
                let filtered = table.bloom.contains(&path.as_str());
                assert_eq!(column.bloom_filter_offset().is_some(), filtered, "{name}: Bloom filter of `{path}`");
            }
            let sorted = group.sorting_columns().map_or(0, Vec::len);
            assert_eq!(sorted > 0, !table.sort.is_empty(), "{name}: sort order");
        }
    }
}

fn metadata(path: &Path) -> ParquetMetaData {
    let options = ReadOptionsBuilder::new().with_page_index().build();
    let reader = SerializedFileReader::new_with_options(std::fs::File::open(path).unwrap(), options).unwrap();
    let metadata = reader.metadata().clone();
    let indexed = metadata.column_index().is_some() && metadata.offset_index().is_some();
    assert!(indexed || metadata.num_row_groups() == 0, "{}: no page index", path.display());
    metadata
}
