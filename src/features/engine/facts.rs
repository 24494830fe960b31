//! What a step takes: orders and lines that ask, and events that happened to their entities.

use super::keys::Keys;
use crate::contract::feature::{Entity, EventKind};
use crate::error::Result;
use crate::features::kernel::NO_KEY;
use rayon::prelude::*;
use std::borrow::Cow;
use std::collections::BTreeMap;

/// What has features: an order, or a line of one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Level {
    /// An order.
    Order,
    /// A line of an order.
    Line,
}

/// What is known of an outcome, and when.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Phase {
    /// It happened, known when it came to light; of events that are no outcomes, the event itself.
    Happened,
    /// The time in which it comes to light has passed.
    Ripe,
    /// It happened and is ripe: of rates, what is counted above the line.
    RipeHappened,
}

/// One kind of event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Stream {
    /// What happens.
    pub kind: EventKind,
    /// What is known of it.
    pub phase: Phase,
    /// Whether it happens to orders or to lines.
    pub level: Level,
}

/// Orders or lines: those of this step, and those that its events are about.
#[derive(Debug, Clone, Default)]
pub struct Grid {
    /// When each was placed, UTC microseconds.
    pub placed_at: Vec<i64>,
    /// Numbers of keys by the entity's name; [`NO_KEY`] where there is none.
    pub keys: BTreeMap<&'static str, Vec<u32>>,
    /// Values of their own by column.
    pub values: BTreeMap<&'static str, Vec<i64>>,
    /// The rows that ask for features, in the order in which they are answered; `None`: all.
    pub asking: Option<Vec<u32>>,
}

impl Grid {
    /// How many rows ask.
    pub(super) fn rows_asking(&self) -> usize {
        self.asking.as_ref().map_or(self.placed_at.len(), Vec::len)
    }
}

/// Events of one stream.
#[derive(Debug, Clone, Default)]
pub struct Happenings {
    /// When each happened, UTC microseconds; `None`: when its row was placed.
    pub happened_at: Option<Vec<i64>>,
    /// When each was known, UTC microseconds; `None`: when it happened.
    pub known_at: Option<Vec<i64>>,
    /// The row of each in its level's grid, [`NO_KEY`] where it has none; `None`: each row has one event.
    pub rows: Option<Vec<u32>>,
    /// Keys that events bring themselves, by entity; where these are null the row's counts.
    pub keys: BTreeMap<&'static str, Vec<u32>>,
    /// Values by column; those of an event that is its row's placement are the row's.
    pub values: BTreeMap<&'static str, Vec<i64>>,
}

/// Everything that a step takes.
#[derive(Debug, Clone, Default)]
pub struct Facts {
    /// Orders.
    pub orders: Grid,
    /// Lines of orders.
    pub lines: Grid,
    /// The order of each line.
    pub order_of_line: Vec<u32>,
    /// Events.
    pub events: BTreeMap<Stream, Happenings>,
}

/// Rows of a task.
pub(super) const TASK_ROWS: usize = 16_384;

/// A column by other rows; [`NO_KEY`] gives `none`.
pub(super) fn by_rows<T: Copy + Send + Sync>(column: &[T], rows: &[u32], none: T) -> Vec<T> {
    rows.par_iter().with_min_len(TASK_ROWS).map(|&row| column.get(row as usize).copied().unwrap_or(none)).collect()
}

impl Facts {
    pub(super) fn grid(&self, level: Level) -> &Grid {
        match level {
            Level::Order => &self.orders,
            Level::Line => &self.lines,
        }
    }

    /// The keys of an entity by rows of a level; `None` where the input has no such column.
    fn keys_at(&self, level: Level, entity: &Entity) -> Option<Cow<'_, [u32]>> {
        if entity.column.is_empty() {
            return Some(Cow::Owned(vec![0; self.grid(level).placed_at.len()]));
        }
        if level == Level::Line && !entity.of_line {
            return Some(Cow::Owned(by_rows(self.orders.keys.get(entity.name)?, &self.order_of_line, NO_KEY)));
        }
        self.grid(level).keys.get(entity.name).map(|keys| Cow::Borrowed(keys.as_slice()))
    }

    /// The keys of an entity, or of a pair, by rows of a level.
    pub(super) fn keys_of(
        &self,
        level: Level,
        who: (&'static Entity, Option<&'static Entity>),
        keys: &mut Keys,
    ) -> Result<Option<Cow<'_, [u32]>>> {
        let (first, second) = who;
        let Some(first_keys) = self.keys_at(level, first) else { return Ok(None) };
        let Some(second) = second else { return Ok(Some(first_keys)) };
        let Some(second_keys) = self.keys_at(level, second) else { return Ok(None) };
        let name = format!("{}+{}", first.name, second.name);
        keys.pair(name, &first_keys, &second_keys).map(|pair| Some(Cow::Owned(pair)))
    }
}

impl Happenings {
    /// Keys by event, from those by row of the level's grid.
    pub(super) fn keys<'a>(&'a self, entity: &Entity, by_row: Cow<'a, [u32]>) -> Cow<'a, [u32]> {
        let own = self.keys.get(entity.name);
        match (&self.rows, own) {
            (None, None) => by_row,
            (None, Some(own)) => {
                Cow::Owned(own.iter().zip(by_row.iter()).map(|(&own, &row)| prefer(own, row)).collect())
            }
            (Some(rows), None) => Cow::Owned(by_rows(&by_row, rows, NO_KEY)),
            (Some(rows), Some(own)) => {
                let row = |row: u32| by_row.get(row as usize).copied().unwrap_or(NO_KEY);
                Cow::Owned(own.iter().zip(rows).map(|(&own, &at)| prefer(own, row(at))).collect())
            }
        }
    }
}

fn prefer(own: u32, row: u32) -> u32 {
    if own == NO_KEY { row } else { own }
}
