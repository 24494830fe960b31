//! Features as they were logged when orders were scored, read back from where they are published.

use crate::error::{Error, Result};
use crate::features::matrix::Matrix;
use polars::prelude::*;
use rayon::prelude::*;
use std::path::Path;

/// What one file has: its orders, and the features of each.
pub(super) struct OfFile {
    pub(super) orders: StringChunked,
    pub(super) matrix: Matrix,
}

/// Everything that is published, file by file in the order of their paths; nothing where no order was scored yet.
///
/// # Errors
/// [`Error::Environment`] and [`Error::Frames`] when a published file cannot be read.
pub(super) fn published(out: &Path) -> Result<Vec<OfFile>> {
    let Some(snapshot) = crate::publish::snapshot(out)? else { return Ok(Vec::new()) };
    let files = snapshot.tables.get("order_features").map_or(&[][..], |table| &table.files);
    files.par_iter().map(|file| read(&file.path)).collect()
}

fn read(path: &Path) -> Result<OfFile> {
    let stage = || Error::frames("logged features");
    let opened = std::fs::File::open(path).map_err(Error::io("read", path))?;
    // Files are read side by side.
    let mut frame = ParquetReader::new(opened).read_parallel(ParallelStrategy::None).finish().map_err(stage())?;
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
