//! Some groups with all that belongs to them, as known at a clock: what a step of the engine is given to look at.

use super::Scoring;
use super::places::Places;
use crate::contract::input::table;
use crate::error::Result;
use crate::features::{Replaced, Sub};
use crate::ingest::{Group, key_hashes};
use polars::prelude::DataFrame;
use rayon::prelude::*;
use std::collections::BTreeMap;
use std::path::Path;

/// Tables whose rows are events of their own.
const EVENTS: [&str; 3] = ["returns", "tickets", "feedback"];

/// Tables, and where their rows belong.
pub(super) struct Gathered {
    pub(super) tables: BTreeMap<&'static str, DataFrame>,
    /// The group of each order.
    pub(super) orders: Vec<Group>,
    /// A number for each row of the tables whose rows are events.
    pub(super) rows: BTreeMap<&'static str, Vec<u128>>,
    order_rows: BTreeMap<&'static str, Vec<u32>>,
    lines: Vec<u32>,
    /// Nothing.
    replaced: Replaced,
}

impl Gathered {
    /// As a step is given it: nobody asks, every order has all its columns, and none is gone. `lines_last`: whether lines have
    /// one number for as long as they are there.
    pub(super) fn sub(&self, lines_last: bool) -> Sub<'_> {
        Sub {
            tables: &self.tables,
            orders: &self.orders,
            gone: &[],
            asking: 0,
            whole: self.orders.len(),
            rows: &self.rows,
            order_rows: &self.order_rows,
            replaced: &self.replaced,
            line_rows: lines_last.then_some(&self.lines),
        }
    }
}

impl Scoring<'_> {
    /// The rows of events that others have replaced since the last step, with the groups that they were of.
    pub(super) fn events_replaced(&self) -> Result<Replaced> {
        let contracts = EVENTS.iter().filter_map(|name| table(name));
        let replaced = contracts.map(|contract| self.growing.keys_replaced(contract));
        Ok(replaced.collect::<Result<Vec<_>>>()?.into_iter().flatten().collect())
    }

    /// What tables of some groups say that is known at the clock.
    pub(super) fn gathered(
        &self,
        out: &Path,
        tables: BTreeMap<&'static str, DataFrame>,
        groups: &[Group],
        as_of: i64,
    ) -> Result<Gathered> {
        let mut tables = self.known(out, tables, as_of)?;
        let Places { orders, rows: order_rows, lines } = Places::take_out(&mut tables, groups)?;
        let hashes = |name: &&'static str| {
            let (frame, contract) = (tables.get(name)?, table(name)?);
            Some(key_hashes(contract, frame).map(|hashes| (*name, hashes)))
        };
        let rows = EVENTS.par_iter().filter_map(hashes).collect::<Result<_>>()?;
        Ok(Gathered { tables, orders, rows, order_rows, lines, replaced: Replaced::default() })
    }
}
