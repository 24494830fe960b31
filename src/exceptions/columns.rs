//! Accepted tables by row and column, as far as they are supplied.

use crate::error::{Error, Result};
use polars::prelude::*;
use std::collections::BTreeMap;

const STAGE: &str = "reading what may be stuck";

/// A table that may be absent.
#[derive(Clone, Copy)]
pub(super) struct Source<'a>(Option<&'a DataFrame>);

impl<'a> Source<'a> {
    pub(super) fn of(tables: &'a BTreeMap<&'static str, DataFrame>, name: &str) -> Self {
        Self(tables.get(name))
    }

    pub(super) fn rows(self) -> usize {
        self.0.map_or(0, DataFrame::height)
    }

    fn column(self, name: &str) -> Option<&'a Column> {
        self.0.and_then(|frame| frame.column(name).ok())
    }

    /// An integer, money or instant column.
    pub(super) fn ints(self, name: &str) -> Result<Ints> {
        let Some(column) = self.column(name) else { return Ok(Ints(None)) };
        let physical = column.to_physical_repr();
        let values = physical.i64().map_err(Error::frames(STAGE))?;
        Ok(Ints(Some(values.rechunk().into_owned())))
    }

    /// A text column.
    pub(super) fn texts(self, name: &str) -> Result<Texts> {
        let Some(column) = self.column(name) else { return Ok(Texts(None)) };
        let values = column.str().map_err(Error::frames(STAGE))?;
        Ok(Texts(Some(values.rechunk().into_owned())))
    }

    /// A text column that every row has a value in, for as long as the table lives.
    pub(super) fn ids(self, name: &str) -> Result<Option<&'a StringChunked>> {
        self.column(name).map(|column| column.str().map_err(Error::frames(STAGE))).transpose()
    }
}

/// Integers by row; none in an absent column.
pub(super) struct Ints(Option<Int64Chunked>);

impl Ints {
    pub(super) fn get(&self, row: usize) -> Option<i64> {
        self.0.as_ref().and_then(|column| column.get(row))
    }

    pub(super) fn is_supplied(&self) -> bool {
        self.0.is_some()
    }
}

/// Texts by row; none in an absent column, and a blank one is none.
pub(super) struct Texts(Option<StringChunked>);

impl Texts {
    pub(super) fn get(&self, row: usize) -> Option<&str> {
        self.0.as_ref().and_then(|column| column.get(row)).filter(|text| !text.trim().is_empty())
    }

    pub(super) fn is_supplied(&self) -> bool {
        self.0.is_some()
    }
}
