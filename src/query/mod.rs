//! `ordersight query`: SQL over the output tables, each by its name, through the newest commit.
//!
//! The answer is collected first and written afterwards, so that a run that publishes meanwhile costs a second look and
//! never mixes two states. Nothing here writes to the output folder.

mod cell;
mod explain;
mod render;
mod tables;

use crate::error::{Error, Result};
use crate::publish::{Snapshot, read};
use polars::prelude::{
    DataFrame, DataType, Engine, IntoLazy, LazyFrame, NonExistent, PolarsResult, TimeZone, col, lit,
};
use polars::sql::{SQLContext, extract_table_identifiers};
use std::io::Write;
use std::path::Path;

/// How an answer is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// For people: aligned columns, long texts and long answers cut, with a note that says so.
    Table,
    /// CSV with a header. A null is an empty field; lists and structs are JSON.
    Csv,
    /// NDJSON, one object a line, as our own ingest and `jq` read it. Days are `2018-10-18`, instants RFC 3339 in UTC; a
    /// number JSON does not have (not-a-number, infinity) is null.
    Json,
    /// A Parquet file, as the published ones are written.
    Parquet,
}

impl Format {
    /// All formats with their names on the command line.
    pub const NAMES: [(&'static str, Self); 4] =
        [("table", Self::Table), ("csv", Self::Csv), ("json", Self::Json), ("parquet", Self::Parquet)];
}

/// Answers `sql` from the output folder `out` and writes the answer to `sink`.
///
/// Fails with [`Error::Usage`] when nothing was published there or the SQL cannot be answered (a wrong name comes back with
/// what there is), and with [`Error::Environment`] when the disk or the sink fails. A sink that is closed early, as by
/// `| head`, is no error.
pub fn query(out: &Path, sql: &str, format: Format, sink: &mut dyn Write) -> Result<()> {
    write(answer(out, sql)?, format, sink)
}

/// Writes a frame as [`query`] writes its answer.
///
/// # Errors
/// [`Error::Environment`] when the sink fails; one that is closed early is no error.
pub fn write(frame: DataFrame, format: Format, sink: &mut dyn Write) -> Result<()> {
    let written = match format {
        Format::Table => render::table(&frame, sink),
        Format::Csv => render::csv(&frame, sink),
        Format::Json => render::json(&frame, sink),
        Format::Parquet => sink.write_all(&parquet(frame)?),
    };
    match written.and_then(|()| sink.flush()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
            Err(Error::io("write", Path::new("standard output"))(error))
        }
        _ => Ok(()),
    }
}

/// The answer to `sql` as a frame: what [`query`] writes.
pub fn answer(out: &Path, sql: &str) -> Result<DataFrame> {
    // `DATE '2018-10-18'` is plain SQL; that polars means to do it otherwise inside is not the asker's business.
    polars::error::set_warning_function(|message, _| tracing::debug!("{message}"));
    let named = extract_table_identifiers(sql, false, true).map_err(|error| explain::syntax(&error))?;
    let names: Vec<&str> = named.iter().map(String::as_str).collect();
    read(out, &names, |snapshot| run(out, snapshot, sql, &names))?.ok_or_else(|| Error::Usage {
        message: format!("nothing was published in `{}`", out.display()),
        hint: Some("run `ordersight run PIPELINE --out DIR` first, or name the folder of an earlier run".to_owned()),
    })
}

fn run(out: &Path, snapshot: &Snapshot, sql: &str, names: &[&str]) -> Result<DataFrame> {
    let mut context = SQLContext::new();
    // A statement that names no table, such as `SHOW TABLES`, is about all of them.
    for (name, table) in snapshot.tables.iter().filter(|(name, _)| names.is_empty() || names.contains(&name.as_str())) {
        let lazy = tables::scan(out, name, table)?;
        context.register(name, with_zone(lazy, true, None).map_err(Error::frames(format!("reading `{name}`")))?);
    }
    let answer = context.execute(sql).and_then(|lazy| lazy.collect_with_engine(Engine::Streaming));
    // One lazy frame has one result; only `collect_all` gives several.
    let answer = answer.map(|result| result.unwrap_single());
    let zoned = answer.and_then(|frame| with_zone(frame.lazy(), false, Some(TimeZone::UTC))?.collect());
    zoned.map_err(|error| explain::failure(out, snapshot, names, error))
}

/// Takes the zone off instants that have one, or gives it to those that have none.
///
/// Every instant we publish is UTC, but polars refuses to compare one that says so with `TIMESTAMP '2025-12-01 00:00:00'`,
/// which is how SQL writes it. So SQL sees instants without a zone, and answers have it again.
fn with_zone(mut lazy: LazyFrame, zoned: bool, to: Option<TimeZone>) -> PolarsResult<LazyFrame> {
    let schema = lazy.collect_schema()?;
    let instants =
        schema.iter().filter(|(_, kind)| matches!(kind, DataType::Datetime(_, zone) if zone.is_some() == zoned));
    let changed: Vec<_> = instants
        .map(|(name, _)| col(name.clone()).dt().replace_time_zone(to.clone(), lit("raise"), NonExistent::Raise))
        .collect();
    Ok(if changed.is_empty() { lazy } else { lazy.with_columns(changed) })
}

/// An untyped null column (`SELECT NULL`) has no Parquet type; as text it is null all the same.
fn parquet(frame: DataFrame) -> Result<Vec<u8>> {
    let untyped = frame.columns().iter().filter(|c| c.dtype() == &DataType::Null).map(|c| c.name().clone());
    let casts: Vec<_> = untyped.map(|name| polars::prelude::col(name).cast(DataType::String)).collect();
    let frame = match casts.is_empty() {
        true => frame,
        false => frame.lazy().with_columns(casts).collect().map_err(Error::frames("writing the answer"))?,
    };
    crate::publish::parquet::encode(&frame, Default::default(), &Default::default())
}

#[cfg(test)]
mod tests;
