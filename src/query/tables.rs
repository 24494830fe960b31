//! Published tables as lazy frames, with the partition column back in its place.

use crate::contract::output::output;
use crate::error::{Error, Result};
use crate::publish::{LiveTable, PartitionType, is_appended};
use polars::io::HiveOptions;
use polars::prelude::{DataType, Field, LazyFrame, PlRefPath, ScanArgsParquet, Schema, col};
use std::path::Path;
use std::sync::Arc;

/// Scans the live files of a table. Filters on the partition column skip the files of other partitions.
pub(super) fn scan(out: &Path, name: &str, table: &LiveTable) -> Result<LazyFrame> {
    let stage = || format!("reading `{name}`");
    let mut columns = Vec::new();
    if let Some(partition) = &table.partition {
        let kind = match partition.kind {
            PartitionType::Date => DataType::Date,
            PartitionType::Text => DataType::String,
        };
        columns.push(Field::new(partition.name.as_str().into(), kind));
    }
    // polars looks for `name=value` in the whole path, so that an output below such a folder gets columns it never had.
    let foreign = foreign_keys(out, table);
    columns.extend(foreign.iter().map(|key| Field::new(key.as_str().into(), DataType::String)));
    let hive_options = HiveOptions {
        enabled: Some(table.partition.is_some()),
        hive_start_idx: 0,
        // polars refuses a schema where there is nothing to read by it.
        schema: table.partition.is_some().then(|| Arc::new(Schema::from_iter(columns))),
        try_parse_dates: true,
    };
    let args = ScanArgsParquet {
        hive_options,
        glob: false,
        // Only tables that grow hold files of older versions, which may know fewer columns.
        allow_missing_columns: output(name).is_some_and(is_appended),
        ..ScanArgsParquet::default()
    };
    // The newest file first: its columns are the table's.
    let newest_first = table.files.iter().rev().map(|f| PlRefPath::try_from_path(&f.path));
    let paths: Result<Vec<PlRefPath>, _> = match output(name).is_some_and(is_appended) {
        true => newest_first.collect(),
        false => table.files.iter().map(|f| PlRefPath::try_from_path(&f.path)).collect(),
    };
    let paths = paths.map_err(Error::frames(stage()))?;
    let lazy = LazyFrame::scan_parquet_files(paths.into(), args).map_err(Error::frames(stage()))?;
    let keep: Vec<_> = foreign.iter().map(|key| col(key.as_str())).collect();
    Ok(if keep.is_empty() || table.partition.is_none() { lazy } else { lazy.drop(polars::prelude::cols(foreign)) })
}

/// The `name` of each `name=value` folder above the output folder, which polars would take for a partition.
fn foreign_keys(out: &Path, table: &LiveTable) -> Vec<String> {
    let own = table.partition.as_ref().map(|p| p.name.as_str());
    let parts = out.components().filter_map(|c| c.as_os_str().to_str()?.split_once('='));
    let mut keys: Vec<String> = Vec::new();
    for (key, value) in parts {
        if Some(key) != own && !value.contains('=') && !keys.iter().any(|k| k == key) {
            keys.push(key.to_owned());
        }
    }
    keys
}
