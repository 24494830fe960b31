//! Typed files become the contract's tables, by column map or by SQL.

use super::cache::TypedFile;
use super::personal;
use super::together::{self, Rows};
use crate::config::{ORIGIN, Pipeline, TableMap, origin_source, with_origin};
use crate::contract::input::{Kind, Personal, Table};
use crate::error::{Error, Problem, Result};
use polars::prelude::*;
use polars::sql::SQLContext;
use std::collections::{BTreeMap, BTreeSet};

/// A row's origin is one integer, so that SQL can carry it: file number and record number.
pub(super) const ROW_BITS: u32 = 40;

/// File number (in the order of names) and record number of an origin.
pub(super) fn split_origin(origin: i64) -> (usize, u64) {
    ((origin >> ROW_BITS) as usize, (origin & ((1 << ROW_BITS) - 1)) as u64)
}

/// A table as a mapping made it, not yet checked.
pub(super) struct Mapped {
    /// Contract columns with the contract's types, and `_origin` (null where a row has no single origin).
    pub(super) frame: DataFrame,
    /// The source whose rows the origins name.
    pub(super) source: Option<String>,
}

/// Rows that are mapped and checked at a time where a mapping goes row by row.
const PART_ROWS: usize = 500_000;

/// A frame over all files of a source.
fn scan(files: &[TypedFile]) -> Result<LazyFrame> {
    let batches = together::batches(files.iter().enumerate());
    let mut parts = batches.iter().map(|files| together::rows(files).map(Rows::lazy)).collect::<Result<Vec<_>>>()?;
    match parts.len() {
        1 => Ok(parts.remove(0)),
        // Files of one source may have gained a column over the years; where it is needed ingest has already refused.
        _ => concat_lf_diagonal(parts, UnionArgs { rechunk: false, ..Default::default() })
            .map_err(Error::frames("reading typed files")),
    }
}

/// Runs a table's mapping and hands over its rows part by part; at least one part, if need be without rows.
///
/// # Errors
/// [`Error::Config`] when SQL fails or gives columns the contract does not know or cannot use; what `take` gives.
pub(super) fn each_part(
    pipeline: &Pipeline,
    table: &'static Table,
    mapping: &TableMap,
    sources: &BTreeMap<String, Vec<TypedFile>>,
    take: &mut dyn FnMut(&Mapped) -> Result<()>,
) -> Result<()> {
    match (&mapping.source, &mapping.sql) {
        (Some(source), _) => {
            let files = files_of(sources, source)?;
            let rows = |file: &TypedFile| file.findings.typed as usize;
            let last = files.iter().rposition(|f| rows(f) > 0).unwrap_or(0);
            let with_rows = files.iter().enumerate().filter(|(n, f)| rows(f) > 0 || *n == last);
            for files in together::batches(with_rows) {
                let mut hand_over = |frame: PolarsResult<DataFrame>| {
                    let frame = frame.map_err(Error::frames(format!("mapping `{}`", table.name)))?;
                    let frame = typed_columns(pipeline, table, frame, false)?;
                    take(&Mapped { frame, source: Some(source.clone()) })
                };
                match together::rows(&files)? {
                    Rows::Held(frame) => hand_over(renamed(&frame, &mapped_columns(table, mapping)))?,
                    Rows::Scanned(whole) => {
                        let columns = mapped_columns(table, mapping);
                        let columns = columns.iter().map(|(name, from)| col(from.as_str()).alias(name.as_str()));
                        let whole = (*whole).select(columns.collect::<Vec<_>>());
                        let height: usize = files.iter().map(|(_, file)| rows(file)).sum();
                        for first in (0..height).step_by(PART_ROWS) {
                            hand_over(collect(whole.clone().slice(first as i64, PART_ROWS as IdxSize)))?;
                        }
                    }
                }
            }
            Ok(())
        }
        (None, Some(sql)) => {
            let names: BTreeSet<&str> = sources.keys().map(String::as_str).collect();
            let mut context = SQLContext::new();
            for name in crate::config::tables_of(sql) {
                context.register(&name, scan(files_of(sources, &name)?)?);
            }
            let found = context.execute(&with_origin(sql, &names)).and_then(collect).map_err(|e| match e {
                PolarsError::IO { .. } => Error::frames(format!("mapping `{}`", table.name))(e),
                other => sql_problem(pipeline, table, &other),
            })?;
            let frame = typed_columns(pipeline, table, found, true)?;
            take(&Mapped { frame, source: origin_source(sql, &names) })
        }
        (None, None) => Err(Error::Invariant(format!("table `{}` has no mapping", table.name))),
    }
}

fn collect(lazy: LazyFrame) -> PolarsResult<DataFrame> {
    lazy.collect_with_engine(Engine::Streaming).map(|r| r.unwrap_single())
}

fn files_of<'a>(sources: &'a BTreeMap<String, Vec<TypedFile>>, name: &str) -> Result<&'a [TypedFile]> {
    sources.get(name).map(Vec::as_slice).ok_or_else(|| Error::Invariant(format!("source `{name}` was not read")))
}

fn sql_problem(pipeline: &Pipeline, table: &Table, error: &PolarsError) -> Error {
    Error::Config {
        file: pipeline.file.clone(),
        problems: vec![sql_advice(Problem::new(
            format!("tables.{}.sql", table.name),
            without_values(&error.to_string()),
        ))],
    }
}

/// The first line of what polars said, which is what is wrong, without the values it quotes: they may be personal.
fn without_values(message: &str) -> String {
    let line = message.lines().next().unwrap_or_default();
    let said = line.split_once(" values: [").and_then(|(said, _)| said.rsplit_once(" for "));
    said.map_or(line, |(said, _)| said).to_owned()
}

fn sql_advice(problem: Problem) -> Problem {
    if problem.message.starts_with("conversion from") {
        return problem.hint(
            "declare the column's type under [sources.NAME.columns] instead of a cast; bad rows are then quarantined",
        );
    }
    problem
}

/// The columns of a table by column map, and what each is in the source.
fn mapped_columns(table: &Table, mapping: &TableMap) -> Vec<(String, String)> {
    let mut columns: Vec<(String, String)> =
        mapping.columns.iter().map(|(contract, from)| (contract.clone(), from.clone())).collect();
    for (contract, from) in &mapping.columns {
        if let Some((part, suffix)) = part_of(table, contract) {
            columns.push((part.to_owned(), format!("{from}__{suffix}")));
        }
    }
    columns.push((ORIGIN.to_owned(), ORIGIN.to_owned()));
    columns
}

/// The same columns of a frame.
fn renamed(frame: &DataFrame, columns: &[(String, String)]) -> PolarsResult<DataFrame> {
    let one = |(name, from): &(String, String)| Ok(frame.column(from)?.clone().with_name(name.as_str().into()));
    DataFrame::new(frame.height(), columns.iter().map(one).collect::<PolarsResult<Vec<_>>>()?)
}

/// A table without rows, with the columns that a column map will give; `None` for SQL, whose columns nobody knows before it
/// has run.
///
/// # Errors
/// [`Error::Frames`] only for defects.
pub(super) fn nothing_yet(table: &Table, mapping: &TableMap) -> Result<Option<DataFrame>> {
    if mapping.sql.is_some() {
        return Ok(None);
    }
    let own = mapping.columns.keys().filter_map(|name| Some((name.as_str(), dtype(table.kind_of(name)?))));
    let parts = mapping.columns.keys().filter_map(|name| Some((part_of(table, name)?.0, DataType::String)));
    let columns = own.chain(parts).map(|(name, dtype)| Column::new_empty(name.into(), &dtype)).collect();
    DataFrame::new(0, columns).map(Some).map_err(Error::frames("a table that has not come yet"))
}

/// The derived column that holds the part of a personal column that features may use, and its suffix in typed files.
fn part_of(table: &Table, contract: &str) -> Option<(&'static str, &'static str)> {
    let Some(Kind::Personal(kind)) = table.kind_of(contract) else { return None };
    let suffix = personal::part_suffix(kind)?;
    match kind {
        Personal::Email => Some(("email_domain", suffix)),
        Personal::Ip => Some(("ip_network", suffix)),
        Personal::Phone | Personal::Address | Personal::Payment => None,
    }
}

/// The polars type of a kind of column.
pub(super) fn dtype(kind: Kind) -> DataType {
    match kind {
        Kind::Id | Kind::Text | Kind::Word(_) | Kind::Country | Kind::Currency | Kind::Personal(_) => DataType::String,
        Kind::Money | Kind::Count | Kind::Rate => DataType::Int64,
        Kind::Number => DataType::Float64,
        Kind::Flag => DataType::Boolean,
        Kind::Instant => instant(),
    }
}

/// UTC microseconds.
pub(super) fn instant() -> DataType {
    DataType::Datetime(TimeUnit::Microseconds, Some(TimeZone::UTC))
}

/// Brings every column to the contract's type without changing a value, or says why that cannot be.
fn typed_columns(pipeline: &Pipeline, table: &Table, frame: DataFrame, from_sql: bool) -> Result<DataFrame> {
    let mut problems = Vec::new();
    let key = format!("tables.{}.sql", table.name);
    let mut columns = Vec::new();
    for column in frame.columns() {
        let name = column.name().as_str();
        let derived = ["email_domain", "ip_network"].contains(&name) && table.name == "orders";
        let (Some(kind), false) = (table.kind_of(name), name == ORIGIN) else {
            if name == ORIGIN {
                columns.push(column.cast(&DataType::Int64).map_err(Error::frames("origin"))?);
            } else if derived {
                columns.push(column.clone());
            } else if from_sql {
                let names = table.columns.iter().map(|c| c.name);
                let mut problem =
                    Problem::new(&key, format!("the result column `{name}` is not a column of `{}`", table.name));
                problem.hint = crate::config::did_you_mean(name, names);
                problems.push(problem);
            }
            continue;
        };
        match conform(column, kind) {
            Some(conformed) => columns.push(conformed),
            None => problems.push(
                Problem::new(
                    &key,
                    format!("the result column `{name}` is {}, where {} is needed", column.dtype(), dtype(kind)),
                )
                .hint("declare the type of its source column under [sources.NAME.columns]"),
            ),
        }
        if let (Kind::Personal(_), true, Ok(text)) = (kind, from_sql, column.str())
            && text.iter().flatten().any(|t| !personal::is_hash(t))
        {
            problems.push(Problem::new(&key, format!("`{name}` is personal and comes out of SQL in clear")).hint(
                "declare its source column as email, phone, ip, address or payment, so that it is hashed at the door",
            ));
        }
    }
    for required in table.columns.iter().filter(|c| c.required) {
        if !columns.iter().any(|c| c.name() == required.name)
            && !problems.iter().any(|p| p.message.contains(required.name))
        {
            problems.push(Problem::new(
                &key,
                format!("the required column `{}` is missing from the result", required.name),
            ));
        }
    }
    if !problems.is_empty() {
        return Err(Error::Config { file: pipeline.file.clone(), problems });
    }
    if !columns.iter().any(|c| c.name() == ORIGIN) {
        columns.push(Column::full_null(ORIGIN.into(), frame.height(), &DataType::Int64));
    }
    DataFrame::new(frame.height(), columns).map_err(Error::frames("mapping"))
}

/// A column in the contract's type if that loses nothing.
fn conform(column: &Column, kind: Kind) -> Option<Column> {
    let (from, to) = (column.dtype(), dtype(kind));
    if *from == to {
        return Some(column.clone());
    }
    let fits = match kind {
        // A whole number is a fine identifier; a float is not, it would print as `17850.0`.
        Kind::Id | Kind::Text | Kind::Word(_) | Kind::Country | Kind::Currency => {
            from.is_integer() || matches!(from, DataType::Boolean)
        }
        Kind::Money | Kind::Count | Kind::Rate => from.is_integer(),
        Kind::Number => from.is_numeric() || matches!(from, DataType::Boolean),
        Kind::Instant => matches!(from, DataType::Datetime(_, Some(_))),
        Kind::Flag => false,
        Kind::Personal(_) => false,
    } || matches!(from, DataType::Null);
    if fits { column.strict_cast(&to).ok() } else { None }
}
