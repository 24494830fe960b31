//! Rows of a table, in memory or still in a file.

use super::damaged;
use crate::error::{Error, Result};
use polars::prelude::{Column, DataFrame, DataType};
use rayon::prelude::*;
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock, PoisonError, RwLock};

/// Reads a column, by its number, from where it was saved.
type Read = Box<dyn Fn(usize) -> Result<Column> + Send + Sync>;

/// Rows that never change. Columns of a file are read, and checked, when somebody asks for them, and are let go of when nobody
/// does any more: most of a long history is never asked for again, and little of it for its texts. Clones share them.
#[derive(Clone)]
pub struct Rows {
    height: usize,
    held: Arc<Held>,
}

struct Held {
    /// No rows, with all columns.
    none: DataFrame,
    columns: Vec<Place>,
    /// Set once they are in a file.
    read: OnceLock<Read>,
}

/// A column, if it is in memory.
#[derive(Default)]
struct Place {
    column: RwLock<Option<Column>>,
    /// Whether anybody has asked for it since [`Rows::let_go`].
    is_used: AtomicBool,
}

impl From<DataFrame> for Rows {
    fn from(rows: DataFrame) -> Self {
        let (height, none) = (rows.height(), rows.clear());
        let place = |column| Place { column: RwLock::new(Some(column)), is_used: AtomicBool::new(true) };
        let columns = rows.into_columns().into_iter().map(place).collect();
        Self { height, held: Arc::new(Held { none, columns, read: OnceLock::new() }) }
    }
}

impl Rows {
    /// So many rows with the columns of `none`, each of which `read` gives by its number.
    pub fn in_file(
        height: usize,
        none: DataFrame,
        read: impl Fn(usize) -> Result<Column> + Send + Sync + 'static,
    ) -> Self {
        let columns = (0..none.width()).map(|_| Place::default()).collect();
        Self { height, held: Arc::new(Held { none, columns, read: OnceLock::from(Box::new(read) as Read) }) }
    }

    /// Says that they are in a file too, of which `read` gives each column by its number.
    pub fn are_saved(&self, read: impl Fn(usize) -> Result<Column> + Send + Sync + 'static) {
        let _ = self.held.read.set(Box::new(read));
    }

    /// Lets go of columns that are in a file, and that nobody has asked for since this was called before.
    pub fn let_go(&self) {
        if self.held.read.get().is_some() {
            let unused = |nth: &usize| !self.held.columns[*nth].is_used.swap(false, Ordering::Relaxed);
            (0..self.held.columns.len()).filter(unused).for_each(|nth| self.forget(nth));
        }
    }

    /// How many they are; nothing is read for it.
    pub fn height(&self) -> usize {
        self.height
    }

    /// The rows, read as far as they were not yet.
    ///
    /// # Errors
    /// Those of reading; [`Error::InputRefused`] if these are not as many, or other columns.
    pub fn all(&self) -> Result<DataFrame> {
        self.wanted(&|_, _| true)
    }

    /// As [`Self::all`], with the columns that are `wanted` by their name and type; of no others anything is read.
    ///
    /// # Errors
    /// As [`Self::all`].
    pub fn wanted(&self, wanted: &dyn Fn(&str, &DataType) -> bool) -> Result<DataFrame> {
        let columns = self.held.none.columns().iter().enumerate();
        let wanted: Vec<usize> =
            columns.filter(|(_, column)| wanted(column.name(), column.dtype())).map(|(nth, _)| nth).collect();
        let there: Option<Vec<Column>> = wanted.iter().map(|nth| self.there(*nth)).collect();
        let columns = match there {
            Some(columns) => columns,
            // They are checked, which takes a while.
            None => wanted.into_par_iter().map(|nth| self.column(nth)).collect::<Result<_>>()?,
        };
        DataFrame::new(self.height, columns).map_err(Error::frames("rows of a state"))
    }

    /// No rows with the columns that are `wanted`; nothing is read for it.
    ///
    /// # Errors
    /// [`Error::Frames`] only for defects.
    pub fn none(&self, wanted: &dyn Fn(&str, &DataType) -> bool) -> Result<DataFrame> {
        let columns = self.held.none.columns().iter().filter(|column| wanted(column.name(), column.dtype()));
        DataFrame::new(0, columns.cloned().collect()).map_err(Error::frames("rows of a state"))
    }

    /// A column, if it is in memory.
    fn there(&self, nth: usize) -> Option<Column> {
        let place = self.held.columns.get(nth)?;
        place.is_used.store(true, Ordering::Relaxed);
        place.column.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn forget(&self, nth: usize) {
        if let Some(place) = self.held.columns.get(nth) {
            *place.column.write().unwrap_or_else(PoisonError::into_inner) = None;
        }
    }

    fn column(&self, nth: usize) -> Result<Column> {
        if let Some(column) = self.there(nth) {
            return Ok(column);
        }
        let (Some(place), Some(none)) = (self.held.columns.get(nth), self.held.none.columns().get(nth)) else {
            return Err(damaged());
        };
        // Two who ask at once may both read, the same column.
        let column = self.held.read.get().ok_or_else(damaged)?(nth)?;
        if column.len() != self.height || column.field() != none.field() {
            return Err(damaged());
        }
        *place.column.write().unwrap_or_else(PoisonError::into_inner) = Some(column.clone());
        Ok(column)
    }
}

impl fmt::Debug for Rows {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let is_in_file = self.held.read.get().is_some();
        f.debug_struct("Rows").field("height", &self.height).field("is_in_file", &is_in_file).finish_non_exhaustive()
    }
}
