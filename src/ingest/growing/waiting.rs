//! Mapped rows that are not accepted yet, each with its place in what a batch reads.

use super::{Files, frames};
use crate::config::{ORIGIN, Pipeline, TableMap};
use crate::contract::input::Table;
use crate::error::Result;
use crate::ingest::cache::TypedFile;
use crate::ingest::mapping::{self, Mapped, split_origin};
use polars::prelude::*;

/// Mapped rows, and for each the number of its file and its place among the rows that this gives.
#[derive(Clone)]
pub(super) struct Waiting {
    pub(super) frame: DataFrame,
    pub(super) places: Vec<(u32, u32)>,
}

impl Waiting {
    /// The rows at these places of the frame.
    pub(super) fn take(&self, at: Vec<IdxSize>) -> Result<Self> {
        let places = at.iter().map(|at| self.places[*at as usize]).collect();
        let frame = self.frame.take(&IdxCa::from_vec("rows".into(), at)).map_err(frames())?;
        Ok(Self { frame, places })
    }
}

/// The rows that files of one source give, in their order; `first` is the number of the first file. They are mapped together,
/// since each mapping by itself costs as much as that of thousands of rows.
///
/// # Errors
/// As [`mapping::each_part`].
pub(super) fn mapped(
    pipeline: &Pipeline,
    (contract, map): (&'static Table, &TableMap),
    source: &str,
    files: Vec<TypedFile>,
    first: u32,
) -> Result<Vec<Waiting>> {
    let mut counts = vec![0_u32; files.len()];
    let only = Files::from([(source.to_owned(), files)]);
    let mut parts = Vec::new();
    let mut is_traced = true;
    mapping::each_part(pipeline, contract, map, &only, &mut |part: &Mapped| {
        let origins = part.frame.column(ORIGIN).map_err(frames())?;
        let origins = origins.i64().map_err(frames())?;
        let mut place = |origin: Option<i64>| {
            let file = match counts.len() {
                1 => 0,
                _ => origin.map(|origin| split_origin(origin).0)?,
            };
            let count = counts.get_mut(file)?;
            Some((first + file as u32, std::mem::replace(count, *count + 1)))
        };
        match origins.iter().map(&mut place).collect::<Option<Vec<_>>>() {
            Some(places) => parts.push(Waiting { frame: part.frame.clone(), places }),
            None => is_traced = false,
        }
        Ok(())
    })?;
    if is_traced {
        return Ok(parts);
    }
    // SQL that hides where a row comes from: each file by itself then.
    let files = only.into_values().flatten();
    let by_file =
        files.zip(first..).map(|(file, number)| mapped(pipeline, (contract, map), source, vec![file], number));
    Ok(by_file.collect::<Result<Vec<_>>>()?.into_iter().flatten().collect())
}
