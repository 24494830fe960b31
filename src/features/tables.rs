//! The accepted tables as features read them: columns as slices, keys as numbers, rows that know their order.

use super::engine::Keys;
use super::kernel::{NO_KEY, NO_VALUE};
use crate::contract::feature::Entity;
use crate::error::{Error, Result};
use foldhash::fast::RandomState;
use polars::prelude::*;
use std::collections::{BTreeMap, HashMap};
use std::sync::OnceLock;

/// A column of texts; a null or blank one is no value.
pub(crate) type Texts = Vec<Option<String>>;

/// The row of an order that is none.
pub(crate) const NO_ROW: u32 = NO_KEY;

const STAGE: &str = "reading features";

/// Accepted tables by name, as they were known at the run's clock.
pub(crate) struct Tables<'a> {
    all: &'a BTreeMap<&'static str, DataFrame>,
    none: DataFrame,
    /// Rows of orders by id, once somebody has asked for that.
    by_id: OnceLock<HashMap<&'a str, u32, RandomState>>,
    /// The row of each row's order, by table, once somebody has asked for them.
    order_rows: BTreeMap<&'static str, OnceLock<Vec<u32>>>,
    /// When each order was placed, UTC microseconds.
    pub(crate) placed_at: Vec<i64>,
    /// Amount of each order, minor units.
    pub(crate) amount: Vec<i64>,
}

impl<'a> Tables<'a> {
    pub(crate) fn new(all: &'a BTreeMap<&'static str, DataFrame>) -> Result<Self> {
        let mut tables = Self {
            all,
            none: DataFrame::empty(),
            by_id: OnceLock::new(),
            order_rows: all.keys().map(|name| (*name, OnceLock::new())).collect(),
            placed_at: Vec::new(),
            amount: Vec::new(),
        };
        // The contract has made sure that these have values.
        let known = |column: Option<Vec<i64>>| column.unwrap_or_default();
        tables.placed_at = known(tables.ints("orders", "placed_at")?);
        tables.amount = known(tables.ints("orders", "amount")?);
        Ok(tables)
    }

    /// Takes what is known already of the rows of orders to which rows of tables belong: none of these is looked for by its id.
    pub(crate) fn knowing(mut self, order_rows: &BTreeMap<&'static str, Vec<u32>>) -> Self {
        let known = order_rows.iter().filter(|(name, rows)| rows.len() == self.frame(name).height());
        let known: BTreeMap<_, _> = known.map(|(name, rows)| (*name, OnceLock::from(rows.clone()))).collect();
        self.order_rows.extend(known);
        self
    }

    /// Number of orders.
    pub(crate) fn orders(&self) -> usize {
        self.placed_at.len()
    }

    /// A table; an empty frame if it is absent.
    pub(crate) fn frame(&self, table: &str) -> &DataFrame {
        self.all.get(table).unwrap_or(&self.none)
    }

    /// Whether a column was supplied.
    pub(crate) fn has(&self, table: &str, column: &str) -> bool {
        self.frame(table).get_column_index(column).is_some()
    }

    /// A text column; `None` if it is absent.
    pub(crate) fn texts(&self, table: &str, name: &str) -> Result<Option<Texts>> {
        let owned = |column: StringChunked| values(&column).map(|value| value.map(str::to_owned)).collect();
        Ok(self.text_column(table, name)?.map(owned))
    }

    pub(crate) fn text_column(&self, table: &str, name: &str) -> Result<Option<StringChunked>> {
        if !self.has(table, name) {
            return Ok(None);
        }
        self.frame(table).column(name).and_then(|c| c.str().cloned()).map(Some).map_err(Error::frames(STAGE))
    }

    /// Whether each row has one of the words in a column; no row has, if it is absent.
    pub(crate) fn says(&self, table: &str, name: &str, word: &str) -> Result<Vec<bool>> {
        match self.text_column(table, name)? {
            Some(column) => Ok(column.iter().map(|v| v == Some(word)).collect()),
            None => Ok(vec![false; self.frame(table).height()]),
        }
    }

    /// An integer, money or instant column, [`NO_VALUE`] where it is null; `None` if it is absent.
    pub(crate) fn ints(&self, table: &str, name: &str) -> Result<Option<Vec<i64>>> {
        if !self.has(table, name) {
            return Ok(None);
        }
        let column = self.frame(table).column(name).map_err(Error::frames(STAGE))?.to_physical_repr();
        let column = column.i64().map_err(Error::frames(STAGE))?;
        Ok(Some(column.iter().map(|v| v.unwrap_or(NO_VALUE)).collect()))
    }

    /// The first of several instants that a row has; [`NO_VALUE`] where it has none of them.
    pub(crate) fn first_of(&self, table: &str, names: &[&str]) -> Result<Vec<i64>> {
        let mut first = vec![NO_VALUE; self.frame(table).height()];
        for name in names {
            for (first, at) in first.iter_mut().zip(self.ints(table, name)?.unwrap_or_default()) {
                if *first == NO_VALUE {
                    *first = at;
                }
            }
        }
        Ok(first)
    }

    /// A yes-or-no column; `None` if it is absent.
    pub(crate) fn flags(&self, table: &str, name: &str) -> Result<Option<Vec<Option<bool>>>> {
        if !self.has(table, name) {
            return Ok(None);
        }
        let column = self.frame(table).column(name).and_then(|c| c.bool().cloned()).map_err(Error::frames(STAGE))?;
        Ok(Some(column.iter().collect()))
    }

    /// A number column; NaN where it has no value.
    pub(crate) fn floats(&self, table: &str, name: &str) -> Result<Vec<f64>> {
        let column = self.frame(table).column(name).and_then(|c| c.cast(&DataType::Float64));
        let column = column.map_err(Error::frames(STAGE))?;
        Ok(column.f64().map_err(Error::frames(STAGE))?.iter().map(|v| v.unwrap_or(f64::NAN)).collect())
    }

    /// Names of the model features that the pipeline maps itself, sorted.
    pub(crate) fn own_features(&self, table: &str) -> Vec<String> {
        let names = self.frame(table).get_column_names().into_iter();
        let mut names: Vec<String> = names.filter(|n| n.starts_with("x_")).map(|n| n.to_string()).collect();
        names.sort();
        names
    }

    /// Numbers of an entity's keys in a table; none where they are null or blank. `None` if the column is absent.
    pub(crate) fn keys(&self, table: &str, entity: &'static Entity, keys: &mut Keys) -> Result<Option<Vec<u32>>> {
        match self.text_column(table, entity.column)? {
            Some(column) => keys.number(entity, values(&column)).map(Some),
            None => Ok(None),
        }
    }

    /// The row of each row's order; [`NO_ROW`] where it has none. Found once and kept.
    pub(crate) fn order_rows(&self, table: &str) -> Result<&[u32]> {
        let Some(known) = self.order_rows.get(table) else { return Ok(&[]) };
        if let Some(rows) = known.get() {
            return Ok(rows);
        }
        let rows = self.order_rows_once(table)?;
        Ok(known.get_or_init(|| rows))
    }

    /// As [`Self::order_rows`], of a table that is too long for them to be kept.
    pub(crate) fn order_rows_once(&self, table: &str) -> Result<Vec<u32>> {
        match self.text_column(table, "order_id")? {
            Some(ids) => {
                let by_id = self.by_id()?;
                let row = |id: Option<&str>| id.and_then(|id| by_id.get(id)).copied().unwrap_or(NO_ROW);
                Ok(ids.iter().map(row).collect())
            }
            None => Ok(vec![NO_ROW; self.frame(table).height()]),
        }
    }

    fn by_id(&self) -> Result<&HashMap<&'a str, u32, RandomState>> {
        if let Some(rows) = self.by_id.get() {
            return Ok(rows);
        }
        let mut rows = HashMap::default();
        if let Some(orders) = self.all.get("orders").filter(|orders| orders.get_column_index("order_id").is_some()) {
            let ids = orders.column("order_id").and_then(Column::str).map_err(Error::frames(STAGE))?;
            rows.reserve(ids.len());
            rows.extend(ids.iter().enumerate().filter_map(|(row, id)| Some((id?, row as u32))));
        }
        Ok(self.by_id.get_or_init(|| rows))
    }
}

/// The values of a text column; a blank one is none.
pub(crate) fn values(column: &StringChunked) -> impl Iterator<Item = Option<&str>> {
    column.iter().map(|value| value.filter(|text| !is_blank(text)))
}

/// Nearly all texts begin with what is no space, and need not be looked through.
fn is_blank(text: &str) -> bool {
    !text.bytes().next().is_some_and(|first| first.is_ascii_graphic()) && text.trim().is_empty()
}

/// A value, if it is one.
pub(crate) fn some(value: i64) -> Option<i64> {
    (value != NO_VALUE).then_some(value)
}

/// A value as models take it.
pub(crate) fn float(value: i64) -> f64 {
    some(value).map_or(f64::NAN, |value| value as f64)
}
