//! What a step is given to look at.

use foldhash::quality::FixedState;
use polars::prelude::DataFrame;
use std::collections::{BTreeMap, HashMap};

/// Orders by the numbers of rows.
pub type Replaced = HashMap<u128, u32, FixedState>;

/// Orders and everything that belongs to them, as known at the clock, those that ask first.
pub struct Sub<'a> {
    /// The tables; rows of lines are in the order of their orders.
    pub tables: &'a BTreeMap<&'static str, DataFrame>,
    /// The number of each order, the same in every step.
    pub orders: &'a [u32],
    /// Numbers of orders that are not there any more: one that is made of several rows can fall away, and another be placed
    /// after the clock by a correction. Those of which nothing was told do not matter.
    pub gone: &'a [u32],
    /// How many of the orders, from the first on, are asked of: those that have no features yet.
    pub asking: usize,
    /// How many of them have all their columns. Of the others, which [`super::Following::keeps`] and of whose placement
    /// nothing has changed, only what says what became of them need be there.
    pub whole: usize,
    /// A number for each row of `returns`, `tickets` and `feedback`, the same in every step, by table.
    pub rows: &'a BTreeMap<&'static str, Vec<u128>>,
    /// The row of each row's order, [`Self::NO_ROW`] if it has none of these, by table; of tables that are not named it is
    /// looked for by its id.
    pub order_rows: &'a BTreeMap<&'static str, Vec<u32>>,
    /// The numbers of rows that others have replaced since the last step, with the number that each was told under: its order's,
    /// or one of its own where it is of none.
    pub replaced: &'a Replaced,
    /// A number for each line, the same in every step. Given these, so it is with lines beyond those of the first `whole`
    /// orders, which [`super::Following::keeps_line`]. `None` where lines are read whole.
    pub line_rows: Option<&'a [u32]>,
}

impl Sub<'_> {
    /// The row of no order.
    pub const NO_ROW: u32 = crate::features::tables::NO_ROW;

    /// How many lines the orders that ask have; lines are in the order of their orders, which `order_of_line` has.
    pub(super) fn lines_asking(&self, order_of_line: &[u32]) -> usize {
        order_of_line.iter().take_while(|order| (**order as usize) < self.asking).count()
    }

    /// The tables of the orders that ask alone, with so many lines.
    pub(super) fn tables_asking(&self, lines: usize) -> BTreeMap<&'static str, DataFrame> {
        let rows = |name: &str, all: usize| match name {
            "orders" => self.asking,
            "order_items" => lines,
            _ => all,
        };
        self.tables.iter().map(|(name, frame)| (*name, frame.slice(0, rows(name, frame.height())))).collect()
    }

    /// [`Self::order_rows`] of [`Self::tables_asking`].
    pub(super) fn order_rows_asking(&self, lines: usize) -> BTreeMap<&'static str, Vec<u32>> {
        let asked = |row: &u32| if (*row as usize) < self.asking { *row } else { Self::NO_ROW };
        let of_table = |(name, rows): (&&'static str, &Vec<u32>)| {
            let rows = if *name == "order_items" { &rows[..lines.min(rows.len())] } else { rows };
            (*name, rows.iter().map(asked).collect())
        };
        self.order_rows.iter().map(of_table).collect()
    }

    /// How many lines the orders have that were read whole.
    pub(super) fn lines_whole(&self, order_of_line: &[u32]) -> usize {
        order_of_line.iter().rposition(|order| (*order as usize) < self.whole).map_or(0, |last| last + 1)
    }
}
