//! What of a step the engine is told: what it was not told before.

use super::columns::{HASH, read_of, row_hashes, told_of};
use super::keys::OF_ORDER;
use super::told::Told;
use super::{Following, Sub};
use crate::error::Result;
use crate::features::engine::{Level, Stream};
use crate::features::events::{Fresh, Kept, KeptKeys};
use crate::features::kernel::NO_KEY;
use crate::features::tables::Tables;
use rayon::prelude::*;
use std::collections::BTreeMap;
use std::hash::BuildHasher;
use std::ops::Range;

/// What of a step is told.
pub(super) struct Telling<'f> {
    following: &'f mut Following,
    orders: &'f [u32],
    /// How many of them were read.
    whole: usize,
    lines_whole: usize,
    rows: &'f BTreeMap<&'static str, Vec<u128>>,
    line_rows: Option<&'f [u32]>,
    /// Orders and lines whose placement is new.
    placed: Vec<u32>,
    placed_lines: Vec<u32>,
    order_of_line: Vec<u32>,
    /// A hash of each line's name.
    lines: Vec<u32>,
    /// Outcomes that were told before, order by order, and whether each was found again.
    before: Vec<(Told, bool)>,
    /// Those of each order.
    of_order: Vec<Range<usize>>,
    /// Hashes of rows of other tables.
    contents: BTreeMap<&'static str, Vec<u64>>,
    /// Orders that are placed otherwise than was told, and rows of other tables that are others than was told.
    placed_anew: u64,
    rows_anew: u64,
}

/// In the place of a hash: a row that no feature counts.
const NOT_COUNTED: u64 = 0;

impl<'f> Telling<'f> {
    pub(super) fn new(
        following: &'f mut Following,
        sub: &Sub<'f>,
        tables: &Tables,
        order_of_line: &[u32],
    ) -> Result<Self> {
        let specs = &following.possible;
        let placements = ["order_items", "orders"].map(|name| (name, read_of(name, specs)));
        let told = placements.into_iter().chain(sub.rows.keys().map(|name| (*name, told_of(name, specs))));
        let told: Vec<_> = told.collect();
        let is_whole = |order: &u32| (*order as usize) < sub.whole;
        let lines_whole = sub.lines_whole(order_of_line);
        let hash = |(name, columns): &(&'static str, Vec<&str>)| {
            let frame = tables.frame(name);
            let rows = match *name {
                "orders" => row_hashes(&frame.slice(0, sub.whole), columns),
                "order_items" => row_hashes(&frame.slice(0, lines_whole), columns),
                _ => row_hashes(frame, columns),
            };
            Ok((*name, rows?))
        };
        let mut contents: BTreeMap<_, _> = told.par_iter().map(hash).collect::<Result<_>>()?;
        let mut contents_of = |name: &str| contents.remove(name).unwrap_or_default();
        let (line_contents, mut of_orders) = (contents_of("order_items"), contents_of("orders"));
        for (order, content) in order_of_line.iter().zip(line_contents).filter(|(order, _)| is_whole(order)) {
            // In any order of lines.
            let hash = &mut of_orders[*order as usize];
            *hash = hash.wrapping_add(HASH.hash_one(content));
        }
        let hash = |name: Option<&str>| HASH.hash_one(name) as u32 | 1;
        let names = tables.text_column("order_items", "line")?;
        let lines = names.map(|names| crate::features::tables::values(&names).map(hash).collect()).unwrap_or_default();
        let (mut placed, mut before, mut of_order, mut placed_anew) = (Vec::new(), Vec::new(), Vec::new(), 0);
        for (row, order) in sub.orders.iter().enumerate() {
            let (first, content) = (before.len(), of_orders.get(row));
            match (following.orders.content(*order), content) {
                (None, Some(content)) => {
                    placed.push(row as u32);
                    following.orders.place(*order, *content);
                }
                (told, content) => {
                    // One that was not read has to have been told.
                    let is_other = content.is_some_and(|content| told != Some(*content));
                    placed_anew += u64::from(told.is_none() || is_other);
                    before.extend(following.orders.of(*order).map(|told| (told, false)));
                }
            }
            of_order.push(first..before.len());
        }
        let is_placed: Vec<bool> = {
            let mut is = vec![false; sub.orders.len()];
            placed.iter().for_each(|row| is[*row as usize] = true);
            is
        };
        let placed_lines = (0..order_of_line.len() as u32)
            .filter(|line| is_placed.get(order_of_line[*line as usize] as usize).copied().unwrap_or(false))
            .collect();
        Ok(Self {
            following,
            orders: sub.orders,
            whole: sub.whole,
            lines_whole,
            rows: sub.rows,
            line_rows: sub.line_rows,
            placed,
            placed_lines,
            order_of_line: order_of_line.to_vec(),
            lines,
            before,
            of_order,
            contents,
            placed_anew,
            rows_anew: 0,
        })
    }

    /// Notes the rows that nothing counts: they have come all the same.
    pub(super) fn note_the_rest(&mut self) -> Result<()> {
        for row in self.rows.values().flatten().copied() {
            if self.following.rows.get(row).is_none() {
                self.following.rows.insert(row, NOT_COUNTED)?;
            }
        }
        Ok(())
    }

    /// Whether anything that was told before is not so any more.
    pub(super) fn is_changed(&self) -> bool {
        let outcomes = self.before.iter().filter(|(_, is_found)| !is_found).count() as u64;
        let (orders, rows) = (self.placed_anew, self.rows_anew);
        if orders + rows + outcomes > 0 {
            tracing::debug!(orders, rows, outcomes, "what was told of these is not so any more");
        }
        orders + rows + outcomes > 0
    }
}

impl Fresh for Telling<'_> {
    fn placed(&self, level: Level) -> Option<Vec<u32>> {
        Some(match level {
            Level::Order => self.placed.clone(),
            Level::Line => self.placed_lines.clone(),
        })
    }

    fn kept(&self) -> Option<Kept> {
        let (read, rest) = (self.whole, &self.orders[self.whole..]);
        let lines = self.line_rows.map(|rows| {
            let rest = rows.get(self.lines_whole..).unwrap_or_default();
            let mut keys = self.following.line_keys.of(rest);
            keys.remove(OF_ORDER);
            KeptKeys { read: self.lines_whole, keys }
        });
        (!rest.is_empty()).then(|| Kept { orders: KeptKeys { read, keys: self.following.keys.of(rest) }, lines })
    }

    fn row(&mut self, table: &'static str, row: usize) -> Result<bool> {
        let number = self.rows.get(table).and_then(|rows| rows.get(row));
        let content = self.contents.get(table).and_then(|contents| contents.get(row));
        let (Some(number), Some(content)) = (number, content) else { return Ok(false) };
        let content = (*content).max(NOT_COUNTED + 1);
        let before = self.following.rows.insert(*number, content)?.filter(|before| *before != NOT_COUNTED);
        self.rows_anew += u64::from(before.is_some_and(|before| before != content));
        Ok(before.is_none())
    }

    fn outcome(&mut self, stream: Stream, row: usize, at: i64, sign: i64) -> bool {
        let (order, line) = match stream.level {
            Level::Order => (row as u32, 0),
            Level::Line => {
                (self.order_of_line.get(row).copied().unwrap_or(NO_KEY), self.lines.get(row).copied().unwrap_or(1))
            }
        };
        let (Some(number), Some(range)) = (self.orders.get(order as usize), self.of_order.get(order as usize)) else {
            return false;
        };
        let told = Told { what: HASH.hash_one((of_stream(stream), sign, line)) as u32, at };
        let before = &mut self.before[range.clone()];
        let find = |is: &dyn Fn(&Told) -> bool| before.iter().position(|(told, is_found)| !is_found && is(told));
        // The same, or the same known at another time: whoever asks from then on sees no difference.
        let found = find(&|before| *before == told).or_else(|| find(&|before| before.what == told.what));
        let Some(found) = found else {
            self.following.orders.push(*number, told);
            return true;
        };
        let (was, is_found) = &mut before[found];
        *is_found = true;
        if was.at != at {
            self.following.moved = self.following.moved.max(Some(at.max(was.at)));
        }
        false
    }
}

/// A number for each stream of outcomes.
fn of_stream(stream: Stream) -> u8 {
    (stream.kind as u8) << 3 | (stream.phase as u8) << 1 | stream.level as u8
}
