//! Typed files as frames. Small ones are read together at once: each scan of a file costs threads that are woken and put to
//! sleep again, which a shop of hourly files would wait for more than for its rows.

use super::cache::TypedFile;
use super::mapping::ROW_BITS;
use super::typed::ROW;
use crate::config::ORIGIN;
use crate::error::{Error, Result};
use polars::functions::concat_df_diagonal;
use polars::prelude::*;
use rayon::prelude::*;
use std::fs::File;

/// Rows of a file that is small.
const SMALL: usize = 50_000;

/// Rows that are held together at most.
pub(super) const TOGETHER: usize = 500_000;

fn stage() -> impl FnOnce(PolarsError) -> Error {
    Error::frames("reading typed files")
}

/// Files of a source in their order, with their numbers: a large one by itself, small ones that follow each other together.
pub(super) fn batches<'a>(files: impl Iterator<Item = (usize, &'a TypedFile)>) -> Vec<Vec<(usize, &'a TypedFile)>> {
    let rows = |file: &TypedFile| file.findings.typed as usize;
    let (mut batches, mut held): (Vec<Vec<_>>, usize) = (Vec::new(), 0);
    for (number, file) in files {
        held += rows(file);
        match batches.last_mut() {
            Some(last) if held <= TOGETHER && rows(file) <= SMALL => last.push((number, file)),
            _ => {
                batches.push(vec![(number, file)]);
                held = if rows(file) <= SMALL { rows(file) } else { TOGETHER };
            }
        }
    }
    batches
}

/// Rows of such files, each with its origin.
pub(super) enum Rows {
    /// In memory: what is done to them needs no engine and its threads.
    Held(DataFrame),
    Scanned(Box<LazyFrame>),
}

impl Rows {
    pub(super) fn lazy(self) -> LazyFrame {
        match self {
            Self::Held(frame) => frame.lazy(),
            Self::Scanned(frame) => *frame,
        }
    }
}

/// The rows of such files. A column that a file lacks is null there.
///
/// # Errors
/// [`Error::Frames`] and [`Error::Environment`] when a typed file cannot be read.
pub(super) fn rows(files: &[(usize, &TypedFile)]) -> Result<Rows> {
    match files {
        [(number, file)] if file.findings.typed as usize > SMALL && file.at_hand.is_none() => {
            scan(*number, file).map(|frame| Rows::Scanned(Box::new(frame)))
        }
        [(number, file)] => read(*number, file).map(Rows::Held),
        files => {
            let frames = files.par_iter().map(|(number, file)| read(*number, file)).collect::<Result<Vec<_>>>()?;
            let mut whole = concat_df_diagonal(&frames).map_err(stage())?;
            whole.rechunk_mut();
            Ok(Rows::Held(whole))
        }
    }
}

fn scan(number: usize, file: &TypedFile) -> Result<LazyFrame> {
    let path = PlRefPath::try_from_path(&file.parquet).map_err(stage())?;
    let whole = LazyFrame::scan_parquet(path, ScanArgsParquet::default()).map_err(stage())?;
    Ok(whole.with_column((col(ROW) + lit(offset(number))).alias(ORIGIN)).drop(cols([ROW])))
}

fn read(number: usize, file: &TypedFile) -> Result<DataFrame> {
    let mut frame = match &file.at_hand {
        Some(rows) => rows.frame.clone(),
        None => {
            let opened = File::open(&file.parquet).map_err(Error::io("read", &file.parquet))?;
            ParquetReader::new(opened).read_parallel(ParallelStrategy::None).finish().map_err(stage())?
        }
    };
    let rows = frame.drop_in_place(ROW).and_then(|rows| rows.cast(&DataType::Int64)).map_err(stage())?;
    let origins = rows.i64().map_err(stage())?.apply_values(|row| row + offset(number));
    frame.with_column(origins.with_name(ORIGIN.into()).into_column()).map_err(stage())?;
    Ok(frame)
}

/// What is added to the row numbers of a file.
fn offset(number: usize) -> i64 {
    (number as i64) << ROW_BITS
}
