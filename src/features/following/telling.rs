//! What of a step the engine is told: what it was not told before.

use super::columns::HASH;
use super::contents::Contents;
use super::keys::OF_ORDER;
use super::told::Told;
use super::{Following, Sub};
use crate::error::Result;
use crate::features::engine::{Level, Stream};
use crate::features::events::{Fresh, Kept, KeptKeys};
use crate::features::kernel::NO_KEY;
use crate::features::tables::Tables;
use foldhash::quality::FixedState;
use std::collections::HashSet;
use std::hash::BuildHasher;
use std::ops::Range;

/// What of a step is told.
pub(super) struct Telling<'f> {
    following: &'f mut Following,
    sub: &'f Sub<'f>,
    lines_whole: usize,
    /// Orders and lines whose placement is new.
    placed: Vec<u32>,
    placed_lines: Vec<u32>,
    order_of_line: Vec<u32>,
    contents: Contents,
    /// Outcomes that were told before, order by order, and whether each was found again.
    before: Vec<(Told, bool)>,
    /// Those of each order.
    of_order: Vec<Range<usize>>,
    /// Orders that are placed otherwise than was told.
    placed_anew: Vec<u32>,
    /// Rows of other tables that are others than was told, with the rows of their orders.
    rows_anew: Vec<u32>,
    /// Rows that have been replaced since the last step, and of which nothing else was told than is now.
    as_before: HashSet<u128, FixedState>,
    /// What this has noted, to be undone: orders with their last outcome before, rows with what was noted before.
    pushed: Vec<(u32, u32)>,
    noted: Vec<(u128, Option<u64>)>,
    moved_before: Option<i64>,
}

/// In the place of a hash: a row that no feature counts.
pub(super) const NOT_COUNTED: u64 = 0;

/// The hash of a row that is counted.
pub(super) fn counted(content: u64) -> u64 {
    content.max(NOT_COUNTED + 1)
}

/// What is not so any more of what was told.
pub(super) enum Wrong {
    Nothing,
    /// Something of these orders.
    Orders(Vec<u32>),
    /// Something that is of no order here.
    Elsewhere,
}

impl<'f> Telling<'f> {
    pub(super) fn new(
        following: &'f mut Following,
        sub: &'f Sub<'f>,
        tables: &Tables,
        order_of_line: &[u32],
    ) -> Result<Self> {
        let contents = Contents::of(&following.possible, sub, tables, order_of_line)?;
        let (mut placed, mut before, mut of_order, mut placed_anew) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        for (row, order) in (0_u32..).zip(sub.orders) {
            let (first, content) = (before.len(), contents.orders.get(row as usize));
            match (following.orders.content(*order), content) {
                (None, Some(content)) => {
                    placed.push(row);
                    following.orders.place(*order, *content);
                }
                (told, content) => {
                    // One that was not read has to have been told.
                    let is_other = content.is_some_and(|content| told != Some(*content));
                    if told.is_none() || is_other {
                        placed_anew.push(row);
                    }
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
            moved_before: following.moved,
            following,
            sub,
            lines_whole: sub.lines_whole(order_of_line),
            placed,
            placed_lines,
            order_of_line: order_of_line.to_vec(),
            contents,
            before,
            of_order,
            placed_anew,
            rows_anew: Vec::new(),
            as_before: HashSet::default(),
            pushed: Vec::new(),
            noted: Vec::new(),
        })
    }

    /// Notes the rows that nothing counts: they have come all the same.
    pub(super) fn note_the_rest(&mut self) -> Result<()> {
        for row in self.sub.rows.values().flatten().copied() {
            if self.following.rows.get(row).is_none() {
                self.following.rows.insert(row, NOT_COUNTED)?;
            }
        }
        Ok(())
    }

    /// Of rows that were told, and that others have replaced, the orders that they were of, where they are told otherwise now, or
    /// not at all: one that was opened after the clock by now, or is of a kind that nobody counts.
    fn replaced(&self) -> Vec<u32> {
        let is_told = |row: u128| self.following.rows.get(row).is_some_and(|noted| noted != NOT_COUNTED);
        let replaced = self.sub.replaced.iter().filter(|(row, _)| !self.as_before.contains(*row) && is_told(**row));
        replaced.map(|(_, order)| *order).collect()
    }

    /// What is not so any more of the placements that were told; some orders are not there any more. Known before anything is
    /// read of what became of orders.
    pub(super) fn misplaced(&self, gone: &[u32]) -> Wrong {
        let gone: Vec<u32> = gone.iter().copied().filter(|order| self.following.has_told(*order)).collect();
        self.wrong_of(gone, &self.placed_anew, "placements that were told are not so any more")
    }

    /// What is not so any more of outcomes and rows that were told.
    pub(super) fn wrong(&self) -> Wrong {
        let is_other = |range: &Range<usize>| self.before[range.clone()].iter().any(|(_, is_found)| !is_found);
        let outcomes = (0_u32..).zip(&self.of_order).filter(|(_, range)| is_other(range)).map(|(row, _)| row);
        let rows: Vec<u32> = outcomes.chain(self.rows_anew.iter().copied()).collect();
        self.wrong_of(self.replaced(), &rows, "outcomes or rows that were told are not so any more")
    }

    /// Orders of which something is not so, and more of them by their rows here; none of the latter is one that nobody told of.
    fn wrong_of(&self, mut orders: Vec<u32>, rows: &[u32], what: &str) -> Wrong {
        let told = |row: &u32| {
            let order = self.sub.orders.get(*row as usize).copied()?;
            self.following.has_told(order).then_some(order)
        };
        let Some(more) = rows.iter().map(told).collect::<Option<Vec<u32>>>() else { return Wrong::Elsewhere };
        orders.extend(more);
        if orders.is_empty() {
            return Wrong::Nothing;
        }
        orders.sort_unstable();
        orders.dedup();
        tracing::debug!(orders = orders.len(), "{what}");
        Wrong::Orders(orders)
    }

    /// Leaves what was told as if this had not been begun.
    pub(super) fn undo(self) -> Result<()> {
        let Self { following, sub, placed, pushed, noted, moved_before, .. } = self;
        for (order, last) in pushed.into_iter().rev() {
            following.orders.go_back(order, last);
        }
        placed.iter().for_each(|row| following.orders.forget(sub.orders[*row as usize]));
        for (row, before) in noted.into_iter().rev() {
            following.rows.insert(row, before.unwrap_or(NOT_COUNTED))?;
        }
        following.moved = moved_before;
        Ok(())
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
        let (read, rest) = (self.sub.whole, &self.sub.orders[self.sub.whole..]);
        let lines = self.sub.line_rows.map(|rows| {
            let rest = rows.get(self.lines_whole..).unwrap_or_default();
            let mut keys = self.following.line_keys.of(rest);
            keys.remove(OF_ORDER);
            KeptKeys { read: self.lines_whole, keys }
        });
        (!rest.is_empty()).then(|| Kept { orders: KeptKeys { read, keys: self.following.keys.of(rest) }, lines })
    }

    fn row(&mut self, table: &'static str, row: usize) -> Result<bool> {
        let number = self.sub.rows.get(table).and_then(|rows| rows.get(row));
        let content = self.contents.rows.get(table).and_then(|contents| contents.get(row));
        let (Some(number), Some(content)) = (number, content) else { return Ok(false) };
        let content = counted(*content);
        let noted = self.following.rows.insert(*number, content)?;
        if noted != Some(content) {
            self.noted.push((*number, noted));
        }
        let before = noted.filter(|before| *before != NOT_COUNTED);
        let is_replaced = self.sub.replaced.contains_key(number);
        if before.is_some_and(|before| before != content) {
            let of_order = self.sub.order_rows.get(table).and_then(|rows| rows.get(row));
            let of_order = of_order.copied().unwrap_or(Sub::NO_ROW);
            // What one is of that is of no order is known where it has been replaced.
            if of_order != Sub::NO_ROW || !is_replaced {
                self.rows_anew.push(of_order);
            }
        } else if is_replaced {
            self.as_before.insert(*number);
        }
        Ok(before.is_none())
    }

    fn outcome(&mut self, stream: Stream, row: usize, at: i64, sign: i64) -> bool {
        let (order, line) = match stream.level {
            Level::Order => (row as u32, 0),
            Level::Line => (
                self.order_of_line.get(row).copied().unwrap_or(NO_KEY),
                self.contents.lines.get(row).copied().unwrap_or(1),
            ),
        };
        let (Some(number), Some(range)) = (self.sub.orders.get(order as usize), self.of_order.get(order as usize))
        else {
            return false;
        };
        let told = Told { what: what(stream, sign, line), at };
        let before = &mut self.before[range.clone()];
        let find = |is: &dyn Fn(&Told) -> bool| before.iter().position(|(told, is_found)| !is_found && is(told));
        // The same, or the same known at another time: whoever asks from then on sees no difference.
        let found = find(&|before| *before == told).or_else(|| find(&|before| before.what == told.what));
        let Some(found) = found else {
            if let Some(last) = self.following.orders.push(*number, told) {
                self.pushed.push((*number, last));
            }
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

/// A hash of what an outcome is one of: its stream, whether it adds or takes back, and the hash of its line's name, 0 for a whole
/// order's.
pub(super) fn what(stream: Stream, sign: i64, line: u32) -> u32 {
    let of_stream = (stream.kind as u8) << 3 | (stream.phase as u8) << 1 | stream.level as u8;
    HASH.hash_one((of_stream, sign, line)) as u32
}
