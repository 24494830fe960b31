//! Features as they were logged when orders were scored, read back from where they are published.

use crate::error::{Error, Result};
use crate::features::matrix::Matrix;
use crate::publish::LiveFile;
use crate::types::time::{date_of, days_since_epoch};
use polars::prelude::*;
use rayon::prelude::*;
use std::collections::HashMap;
use std::io::ErrorKind;
use std::path::Path;

/// Tries to read a file that a commit moves into place at this moment.
const TRIES: usize = 20;

/// What one file has: its orders, and the features of each.
pub(super) struct OfFile {
    pub(super) orders: StringChunked,
    pub(super) matrix: Matrix,
}

/// Whether anything is published.
///
/// # Errors
/// [`Error::Environment`] when the commit cannot be read.
pub(super) fn is_any(out: &Path) -> Result<bool> {
    Ok(!files(out)?.is_empty())
}

/// Everything that is published, file by file in the order of their paths; nothing where no order was scored yet.
///
/// # Errors
/// [`Error::Environment`] and [`Error::Frames`] when a published file cannot be read.
pub(super) fn all(out: &Path) -> Result<Vec<OfFile>> {
    files(out)?.par_iter().map(|file| read(&file.path)).collect()
}

/// Files that are published, by day.
pub(super) struct ByDay<'o> {
    out: &'o Path,
    files: HashMap<Option<String>, LiveFile>,
}

impl<'o> ByDay<'o> {
    /// # Errors
    /// [`Error::Environment`] when the commit cannot be read.
    pub(super) fn of(out: &'o Path) -> Result<Self> {
        let files = files(out)?.into_iter().map(|file| (file.partition.clone(), file)).collect();
        Ok(Self { out, files })
    }

    /// What is published of one day, as days since 1970-01-01.
    ///
    /// # Errors
    /// As [`all`].
    pub(super) fn read(&self, day: i32) -> Result<OfFile> {
        let value = date_of(day).map(|day| day.to_string());
        let nothing = || OfFile { orders: StringChunked::full_null("order_id".into(), 0), matrix: Matrix::default() };
        let mut found = self.files.get(&value).map(|file| read(&file.path));
        for _ in 0..TRIES {
            match &found {
                // A commit is moving it into place at this moment.
                Some(Err(Error::Environment { source, .. })) if source.kind() == ErrorKind::NotFound => {}
                _ => break,
            }
            found = files(self.out)?.iter().find(|file| file.partition == value).map(|file| read(&file.path));
        }
        found.unwrap_or_else(|| Ok(nothing()))
    }
}

/// The orders of one day that is published.
pub(super) struct OfDay {
    /// Days since 1970-01-01.
    pub(super) day: i32,
    pub(super) orders: StringChunked,
    /// What its features are called.
    pub(super) names: Vec<String>,
}

/// The orders of every day that is published.
///
/// # Errors
/// As [`all`].
pub(super) fn orders(out: &Path) -> Result<Vec<OfDay>> {
    let of_file = |file: &LiveFile| -> Result<Option<OfDay>> {
        let day = file.partition.as_ref().and_then(|day| day.parse().ok()).map(days_since_epoch);
        let Some(day) = day.filter(|_| file.rows > 0) else { return Ok(None) };
        let stage = || Error::frames("logged features");
        let mut reader = open(&file.path)?;
        let schema = reader.schema().map_err(stage())?;
        let is_feature = |field: &&ArrowField| field.dtype == ArrowDataType::Float64;
        let names = schema.iter_values().filter(is_feature).map(|field| field.name.to_string()).collect();
        let mut frame = reader.with_columns(Some(vec!["order_id".to_owned()])).finish().map_err(stage())?;
        frame.rechunk_mut();
        let orders = frame.column("order_id").and_then(|c| c.str().cloned()).map_err(stage())?;
        Ok(Some(OfDay { day, orders, names }))
    };
    files(out)?.par_iter().filter_map(|file| of_file(file).transpose()).collect()
}

fn files(out: &Path) -> Result<Vec<LiveFile>> {
    let snapshot = crate::publish::snapshot(out)?;
    Ok(snapshot.and_then(|mut s| s.tables.remove("order_features")).map_or_else(Vec::new, |table| table.files))
}

fn open(path: &Path) -> Result<ParquetReader<std::fs::File>> {
    let opened = std::fs::File::open(path).map_err(Error::io("read", path))?;
    // Files are read side by side.
    Ok(ParquetReader::new(opened).read_parallel(ParallelStrategy::None))
}

fn read(path: &Path) -> Result<OfFile> {
    let stage = || Error::frames("logged features");
    let mut frame = open(path)?.finish().map_err(stage())?;
    frame.rechunk_mut();
    let orders = frame.column("order_id").and_then(|c| c.str().cloned()).map_err(stage())?;
    let mut matrix = Matrix::default();
    // Ids and times beside them are of other types.
    for column in frame.columns().iter().filter(|column| column.dtype() == &DataType::Float64) {
        let values = column.f64().map_err(stage())?;
        let values = values.iter().map(|value| value.unwrap_or(f64::NAN)).collect();
        matrix.push(column.name().as_str(), values);
    }
    Ok(OfFile { orders, matrix })
}
