//! Where tables go as soon as they are computed, so that no run holds all of them at once.

use crate::contract::output::{OutputTable, output};
use crate::error::{Error, Result};
use crate::publish::{Prepared, Staging};
use polars::prelude::DataFrame;
use std::collections::BTreeMap;

/// Takes tables, each whole and once.
pub(super) trait Outlet {
    /// Whether a table is wanted; one that is not need not be made.
    fn wants(&self, table: &str) -> bool;

    /// Takes a table.
    ///
    /// # Errors
    /// As [`Staging::write`].
    fn put(&mut self, table: &str, frame: &DataFrame) -> Result<()>;

    /// What the files of the tables from now on say of the run.
    fn say(&mut self, key: &str, value: String);
}

/// Into the commit that is being made.
impl Outlet for Staging {
    fn wants(&self, _: &str) -> bool {
        true
    }

    fn put(&mut self, table: &str, frame: &DataFrame) -> Result<()> {
        self.write(named(table)?, frame)
    }

    fn say(&mut self, key: &str, value: String) {
        self.tell(key, value);
    }
}

/// Encoded, for a commit that is made later.
pub(super) struct Encoded {
    metadata: BTreeMap<String, String>,
    threads: usize,
    leaves_out: &'static [&'static str],
    pub(super) tables: Vec<Prepared>,
}

impl Encoded {
    /// On so many threads; some tables are left out.
    pub(super) fn new(metadata: BTreeMap<String, String>, threads: usize, leaves_out: &'static [&'static str]) -> Self {
        Self { metadata, threads, leaves_out, tables: Vec::new() }
    }
}

impl Outlet for Encoded {
    fn wants(&self, table: &str) -> bool {
        !self.leaves_out.contains(&table)
    }

    fn put(&mut self, table: &str, frame: &DataFrame) -> Result<()> {
        if self.wants(table) {
            self.tables.push(Prepared::new(named(table)?, frame, &self.metadata, self.threads)?);
        }
        Ok(())
    }

    fn say(&mut self, key: &str, value: String) {
        self.metadata.insert(key.to_owned(), value);
    }
}

/// An output table by its name.
///
/// # Errors
/// [`Error::Invariant`] only for defects.
pub(super) fn named(name: &str) -> Result<&'static OutputTable> {
    output(name).ok_or_else(|| Error::Invariant(format!("`{name}` is not an output table")))
}
