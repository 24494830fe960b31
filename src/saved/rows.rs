//! Rows of a table, in memory or still in a file.

use super::damaged;
use crate::error::{Error, Result};
use polars::prelude::{Column, DataFrame, DataType};
use rayon::prelude::*;
use std::fmt;
use std::sync::{Arc, OnceLock};

/// Reads a column, by its number, from where it was saved.
type Read = Box<dyn Fn(usize) -> Result<Column> + Send + Sync>;

/// Rows that never change. Columns of a file are read, and checked, when somebody asks for them: most of a long history is
/// never asked for again, and little of it for its texts. Clones share them.
#[derive(Clone)]
pub struct Rows {
    height: usize,
    held: Arc<Held>,
}

struct Held {
    /// No rows, with all columns.
    none: DataFrame,
    columns: Vec<OnceLock<Column>>,
    /// `None` where they never were in a file.
    read: Option<Read>,
}

impl From<DataFrame> for Rows {
    fn from(rows: DataFrame) -> Self {
        let (height, none) = (rows.height(), rows.clear());
        let columns = rows.into_columns().into_iter().map(OnceLock::from).collect();
        Self { height, held: Arc::new(Held { none, columns, read: None }) }
    }
}

impl Rows {
    /// So many rows with the columns of `none`, each of which `read` gives by its number.
    pub fn in_file(
        height: usize,
        none: DataFrame,
        read: impl Fn(usize) -> Result<Column> + Send + Sync + 'static,
    ) -> Self {
        let columns = (0..none.width()).map(|_| OnceLock::new()).collect();
        Self { height, held: Arc::new(Held { none, columns, read: Some(Box::new(read)) }) }
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
        let columns = match wanted.iter().all(|nth| self.held.columns[*nth].get().is_some()) {
            true => wanted.into_iter().map(|nth| self.column(nth)).collect::<Result<_>>()?,
            // They are checked, which takes a while.
            false => wanted.into_par_iter().map(|nth| self.column(nth)).collect::<Result<_>>()?,
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

    fn column(&self, nth: usize) -> Result<Column> {
        let (Some(place), Some(none)) = (self.held.columns.get(nth), self.held.none.columns().get(nth)) else {
            return Err(damaged());
        };
        if let Some(column) = place.get() {
            return Ok(column.clone());
        }
        // Two who ask at once may both read, the same column.
        let column = self.held.read.as_ref().ok_or_else(damaged)?(nth)?;
        match column.len() == self.height && column.field() == none.field() {
            true => Ok(place.get_or_init(|| column).clone()),
            false => Err(damaged()),
        }
    }
}

impl fmt::Debug for Rows {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let read = self.held.columns.iter().filter(|column| column.get().is_some()).count();
        f.debug_struct("Rows").field("height", &self.height).field("read", &read).finish_non_exhaustive()
    }
}
