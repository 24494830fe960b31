//! The record behind a row that the contract refused: read once more from its file, so that it is shown as it came.

use super::accept::Fault;
use super::cache::TypedFile;
use super::mapping::{Mapped, split_origin};
use super::personal::{MASK, mask_if_personal};
use super::plan::SourcePlan;
use super::read;
use super::typed::{ROW, raw_record};
use crate::config::ORIGIN;
use crate::contract::input::{Kind, Table};
use crate::error::{Error, Result};
use crate::quarantine::Rejected;
use polars::prelude::*;
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// A refused row of a part, before its record was read again.
pub(super) struct Refused {
    origin: Option<i64>,
    fault: Fault,
    order_id: Option<String>,
    /// The row as the mapping made it, where it has no single origin.
    mapped: String,
}

/// Takes down the refused rows of a part.
pub(super) fn refused(table: &Table, part: &Mapped, faults: BTreeMap<usize, Fault>) -> Result<Vec<Refused>> {
    let stage = "collecting quarantined rows";
    let origins = part.frame.column(ORIGIN).and_then(|c| c.i64().cloned()).map_err(Error::frames(stage))?;
    let ids = part.frame.column("order_id").ok().and_then(|c| c.str().ok().cloned());
    let one = |(at, fault): (usize, Fault)| {
        let origin = part.source.as_ref().and(origins.get(at));
        Ok(Refused {
            origin,
            fault,
            order_id: ids.as_ref().and_then(|ids| ids.get(at)).map(|id| mask_if_personal(id).to_owned()),
            mapped: if origin.is_none() { mapped_record(table, &part.frame, at)? } else { String::new() },
        })
    };
    faults.into_iter().map(one).collect()
}

/// Quarantine entries for the refused rows of a table whose rows come from `source`.
pub(super) fn rejected(
    table: &Table,
    refused: Vec<Refused>,
    source: Option<&str>,
    files: &BTreeMap<String, Vec<TypedFile>>,
    plans: &[SourcePlan],
) -> Result<Vec<Rejected>> {
    let source = source.and_then(|name| Some((name, files.get(name)?, plans.iter().find(|p| p.name == *name)?)));
    let found = match source {
        Some((_, files, plan)) => records(refused.iter().filter_map(|r| r.origin), files, plan)?,
        None => BTreeMap::new(),
    };
    let rows = refused.into_iter().map(|row| {
        let (name, file, number, record) = match source.zip(row.origin) {
            Some(((name, files, _), origin)) => {
                let (file, number) = split_origin(origin);
                let file = files.get(file).map(|f| f.name.clone()).unwrap_or_default();
                (name.to_owned(), file, number, found.get(&origin).cloned().unwrap_or_default())
            }
            // A row that several rows made together has no record of its own: it is shown as the mapping made it.
            None => (table.name.to_owned(), String::new(), 0, row.mapped),
        };
        let (column, reason, detail) = row.fault;
        Rejected {
            source: name,
            file,
            row: number,
            table: Some(table.name.to_owned()),
            column: Some(column.to_owned()),
            reason,
            detail,
            order_id: row.order_id,
            raw_record: record,
        }
    });
    Ok(rows.collect())
}

/// Records by origin, as they came.
fn records(
    origins: impl Iterator<Item = i64>,
    files: &[TypedFile],
    plan: &SourcePlan,
) -> Result<BTreeMap<i64, String>> {
    let mut by_file: BTreeMap<usize, BTreeMap<u64, i64>> = BTreeMap::new();
    for origin in origins {
        let (file, row) = split_origin(origin);
        by_file.entry(file).or_default().insert(row, origin);
    }
    let mut records = BTreeMap::new();
    for (number, wanted) in by_file {
        let Some(file) = files.get(number) else { continue };
        // Of a stream the source may be gone by now; its typed copy says what it said.
        if !file.source.path.is_file() {
            records.extend(typed_records(file, &wanted, plan)?);
            continue;
        }
        read::read(&file.source, plan, &mut |chunk| {
            for (at, row) in chunk.rows.iter().enumerate() {
                if let Some(&origin) = wanted.get(row) {
                    records.insert(origin, raw_record(plan, &chunk, at));
                }
            }
            Ok(())
        })?;
    }
    Ok(records)
}

/// Records as their typed copy has them: personal values are hashes there, and are masked all the same.
fn typed_records(file: &TypedFile, wanted: &BTreeMap<u64, i64>, plan: &SourcePlan) -> Result<BTreeMap<i64, String>> {
    let stage = || Error::frames("reading quarantined records");
    let opened = std::fs::File::open(&file.parquet).map_err(Error::io("read", &file.parquet))?;
    let frame = ParquetReader::new(opened).finish().map_err(stage())?;
    let rows = frame.column(ROW).and_then(|c| c.cast(&DataType::Int64)).map_err(stage())?;
    let rows = rows.i64().map_err(stage())?;
    let mut records = BTreeMap::new();
    for (at, row) in rows.iter().enumerate() {
        if let Some(&origin) = row.and_then(|row| wanted.get(&(row as u64))) {
            records.insert(
                origin,
                json(frame.columns().iter().filter(|c| c.name() != ROW), at, |name| plan.is_personal(name))?,
            );
        }
    }
    Ok(records)
}

fn mapped_record(table: &Table, frame: &DataFrame, at: usize) -> Result<String> {
    let personal = |name: &str| matches!(table.kind_of(name), Some(Kind::Personal(_)));
    json(frame.columns().iter().filter(|c| c.name() != ORIGIN), at, personal)
}

fn json<'a>(columns: impl Iterator<Item = &'a Column>, at: usize, personal: impl Fn(&str) -> bool) -> Result<String> {
    let mut record = Map::new();
    for column in columns {
        let value = column.get(at).map_err(Error::frames("reading quarantined records"))?;
        let shown = match value {
            AnyValue::Null => Value::Null,
            _ if personal(column.name()) => Value::from(MASK),
            AnyValue::String(text) => Value::from(mask_if_personal(text)),
            AnyValue::StringOwned(ref text) => Value::from(mask_if_personal(text.as_str())),
            AnyValue::Int64(number) => Value::from(number),
            AnyValue::Boolean(flag) => Value::from(flag),
            AnyValue::Float64(number) => Value::from(number),
            other => Value::from(other.to_string()),
        };
        record.insert(column.name().to_string(), shown);
    }
    Ok(Value::Object(record).to_string())
}
