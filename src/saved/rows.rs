//! Rows of a table, in memory or still in a file.

use super::damaged;
use crate::error::Result;
use polars::prelude::DataFrame;
use std::fmt;
use std::sync::{Arc, OnceLock};

/// Reads rows from where they were saved.
type Read = Box<dyn Fn() -> Result<DataFrame> + Send + Sync>;

/// Rows that never change. Those of a file are read, and checked, when somebody asks for them: most of a long history is
/// never asked for again. Clones share them.
#[derive(Clone)]
pub struct Rows {
    height: usize,
    held: Arc<Held>,
}

struct Held {
    there: OnceLock<DataFrame>,
    /// `None` where they never were in a file.
    read: Option<Read>,
}

impl From<DataFrame> for Rows {
    fn from(rows: DataFrame) -> Self {
        Self { height: rows.height(), held: Arc::new(Held { there: rows.into(), read: None }) }
    }
}

impl Rows {
    /// So many rows that `read` gives.
    pub fn in_file(height: usize, read: impl Fn() -> Result<DataFrame> + Send + Sync + 'static) -> Self {
        Self { height, held: Arc::new(Held { there: OnceLock::new(), read: Some(Box::new(read)) }) }
    }

    /// How many they are; nothing is read for it.
    pub fn height(&self) -> usize {
        self.height
    }

    /// Whether [`Self::get`] has them at hand.
    pub fn are_read(&self) -> bool {
        self.held.there.get().is_some()
    }

    /// The rows, read if they were not yet.
    ///
    /// # Errors
    /// Those of reading; [`Error::InputRefused`](crate::error::Error::InputRefused) if these are not as many.
    pub fn get(&self) -> Result<&DataFrame> {
        if let Some(rows) = self.held.there.get() {
            return Ok(rows);
        }
        // Two who ask at once may both read, the same rows.
        let rows = self.held.read.as_ref().ok_or_else(damaged)?()?;
        match rows.height() == self.height {
            true => Ok(self.held.there.get_or_init(|| rows)),
            false => Err(damaged()),
        }
    }
}

impl fmt::Debug for Rows {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rows").field("height", &self.height).field("are_read", &self.are_read()).finish()
    }
}
