//! Features of orders as they come: the engine kept between steps, and told only what it was not told before.
//!
//! What the engine has been told at a clock is what a batch at that clock tells it, whatever the cut into steps: placements
//! of the orders that have been scored, outcomes and rows of other tables that are known. Most steps only add to it. When a
//! step takes something back or changes it (a corrected amount, a row that is gone), nothing can be subtracted from the
//! engine, and it is made anew of everything: [`Following::step`] says so. So the features of an order never depend on how
//! its past came in.

mod keys;
mod saved;
#[cfg(test)]
mod tests;
mod told;

use super::engine::{Engine, Level, Stream, Units};
use super::events::{self, Fresh, Kept, KeptKeys};
use super::kernel::{NO_KEY, Noted};
use super::tables::Tables;
use super::{Features, Known, Terms, Windows, own, possible, together};
use crate::config::FeatureSpec;
use crate::contract::input::table;
use crate::error::{Error, Result};
use foldhash::quality::FixedState;
use keys::{OF_ORDER, ToldKeys};
use polars::prelude::{DataFrame, DataType};
use rayon::prelude::*;
use std::collections::BTreeMap;
use std::hash::BuildHasher;
use std::ops::Range;
use told::ToldOrders;

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
    /// How many of them have all their columns. Of the others, which [`Following::keeps`] and of whose placement nothing has
    /// changed, only what says what became of them need be there.
    pub whole: usize,
    /// A number for each row of `returns`, `tickets` and `feedback`, the same in every step, by table.
    pub rows: &'a BTreeMap<&'static str, Vec<u128>>,
    /// The row of each row's order, [`Self::NO_ROW`] if it has none of these, by table; of tables that are not named it is
    /// looked for by its id.
    pub order_rows: &'a BTreeMap<&'static str, Vec<u32>>,
    /// A number for each line, the same in every step. Given these, so it is with lines beyond those of the first `whole`
    /// orders, which [`Following::keeps_line`]. `None` where lines are read whole.
    pub line_rows: Option<&'a [u32]>,
}

impl Sub<'_> {
    /// The row of no order.
    pub const NO_ROW: u32 = super::tables::NO_ROW;
}

/// The engine and what it was told.
#[derive(Default)]
pub struct Following {
    /// The features that the tables can feed so far.
    possible: Vec<FeatureSpec>,
    engine: Option<Engine>,
    /// What was told of orders.
    orders: ToldOrders,
    /// By row of other tables: a hash of what was told of it, or that it was there and nothing counts it.
    rows: Noted,
    /// The keys of orders as the engine numbers them, and those of lines with the numbers of their orders as [`OF_ORDER`].
    keys: ToldKeys,
    line_keys: ToldKeys,
    /// The earliest time that can still be asked for.
    horizon: i64,
}

/// What came of a step.
pub enum Step {
    /// Features of the orders that asked, in their order.
    Features(Box<Features>),
    /// What had been told was taken back or changed, or other features can be fed now: to be made anew of everything.
    Anew,
}

impl Following {
    /// Tells the engine what is new in `sub` and answers the orders that ask.
    ///
    /// `sub` has every order of which anything is new or has become known since the last step. After [`Step::Anew`], or an
    /// error, the engine is empty and `sub` has to be everything.
    ///
    /// # Errors
    /// [`Error::InputRefused`] beyond 2³² − 1 keys, [`Error::Frames`] only for defects.
    pub fn step(&mut self, sub: &Sub<'_>, declared: &[FeatureSpec], terms: &Terms) -> Result<Step> {
        let tables = Tables::new(sub.tables)?.knowing(sub.order_rows);
        let known = Known::of(&tables, terms)?;
        let (possible_now, _) = possible(declared, &tables, &known);
        let mut engine = match self.engine.take() {
            Some(engine) if possible_now == self.possible => engine,
            Some(_) => return Ok(self.forget()),
            None => {
                *self = Self { possible: possible_now, ..Self::default() };
                Engine::new(&self.possible, Units { returns: terms.return_unit })?
            }
        };
        if sub.gone.iter().any(|order| self.orders.content(*order).is_some()) {
            return Ok(self.forget());
        }
        // What was placed before the horizon cannot be asked exactly any more.
        if tables.placed_at.iter().take(sub.asking).any(|at| *at < self.horizon) {
            return Ok(self.forget());
        }
        let specs = self.possible.clone();
        let mut telling = Telling::new(self, sub, &tables, &known.order_of_line)?;
        let order_of_line = known.order_of_line.clone();
        let mut facts = events::facts(&specs, &tables, &known.settled(), order_of_line, engine.keys(), &mut telling)?;
        if telling.is_changed() {
            return Ok(self.forget());
        }
        telling.note_the_rest()?;
        self.keys.keep(&sub.orders[..sub.whole], &facts.orders.keys);
        match sub.line_rows {
            Some(rows) => self.keep_lines(sub, rows, &known.order_of_line, &facts.lines.keys)?,
            None => self.line_keys = ToldKeys::default(),
        }
        let lines_asking = known.order_of_line.iter().take_while(|order| (**order as usize) < sub.asking).count();
        facts.orders.asking = Some((0..sub.asking as u32).collect());
        facts.lines.asking = Some((0..lines_asking as u32).collect());
        let mut windows: Windows = vec![None; specs.len()];
        let mut take = |feature: usize, level, values| {
            windows[feature] = Some((level, values));
            Ok(())
        };
        let asked = first_orders(sub, lines_asking);
        let rows_asked = first_rows(sub, lines_asking);
        let tables = Tables::new(&asked)?.knowing(&rows_asked);
        let of_asked = || -> Result<_> {
            // Outcomes of orders that are asked now are looked at by nobody: they were placed a moment ago.
            let known = Known::of(&tables, terms)?;
            let own = own(&tables, &known.order_of_line, terms)?;
            Ok((known, own))
        };
        let (stepped, of_asked) = rayon::join(|| engine.step(&facts, &mut take), of_asked);
        stepped?;
        self.engine = Some(engine);
        let (known, own) = of_asked?;
        Ok(Step::Features(Box::new(together(&tables, known, own, &specs, windows, terms)?)))
    }

    /// Lets go of what no order placed at or after `before` can reach. One that comes later all the same makes the engine
    /// start anew. Keys of orders of which something is `awaited` stay, so that these need not be read again for them.
    ///
    /// # Errors
    /// As [`Engine::expire`].
    pub fn expire(&mut self, before: i64, awaited: impl Fn(u32) -> bool + Sync) -> Result<()> {
        if let Some(engine) = &mut self.engine {
            let names = engine.expire_but(before, |live| {
                self.keys.mark_live(live, |order, _| awaited(order));
                self.line_keys.mark_live(live, |_, keys| awaited(keys[0]));
            })?;
            self.keys.rename(&names);
            self.line_keys.rename(&names);
            self.horizon = self.horizon.max(before);
        }
        Ok(())
    }

    /// Whether a row of another table was there in an earlier step.
    pub fn knows(&self, row: u128) -> bool {
        self.rows.get(row).is_some()
    }

    /// Whether of an order that was told nothing need be read again for what becomes known of it.
    pub fn keeps(&self, order: u32) -> bool {
        self.keys.has(order) && self.orders.content(order).is_some()
    }

    /// Whether of a line whose order was told nothing need be read again.
    pub fn keeps_line(&self, line: u32) -> bool {
        self.line_keys.has(line)
    }

    /// Keeps the keys of the lines that were read.
    fn keep_lines(
        &mut self,
        sub: &Sub<'_>,
        rows: &[u32],
        order_of_line: &[u32],
        keys: &BTreeMap<&'static str, Vec<u32>>,
    ) -> Result<()> {
        let read = lines_of_first(order_of_line, sub.whole);
        let order = |row: &u32| sub.orders.get(*row as usize).copied().unwrap_or(NO_KEY);
        let mut keys: BTreeMap<&'static str, Vec<u32>> =
            keys.iter().map(|(entity, column)| (*entity, column[..read].to_vec())).collect();
        keys.insert(OF_ORDER, order_of_line[..read].iter().map(order).collect());
        let rows = rows.get(..read).ok_or_else(|| Error::Invariant("lines without numbers".to_owned()))?;
        self.line_keys.keep(rows, &keys);
        Ok(())
    }

    /// Orders that were told, and events that are kept.
    pub fn size(&self) -> (usize, usize) {
        (self.orders.len(), self.engine.as_ref().map_or(0, |engine| engine.size().1))
    }

    fn forget(&mut self) -> Step {
        *self = Self::default();
        Step::Anew
    }
}

/// The tables of the orders that ask alone.
fn first_orders(sub: &Sub<'_>, lines: usize) -> BTreeMap<&'static str, DataFrame> {
    let rows = |name: &str, all: usize| match name {
        "orders" => sub.asking,
        "order_items" => lines,
        _ => all,
    };
    sub.tables.iter().map(|(name, frame)| (*name, frame.slice(0, rows(name, frame.height())))).collect()
}

/// [`Sub::order_rows`] of [`first_orders`].
fn first_rows(sub: &Sub<'_>, lines: usize) -> BTreeMap<&'static str, Vec<u32>> {
    let asked = |row: &u32| if (*row as usize) < sub.asking { *row } else { Sub::NO_ROW };
    let of_table = |(name, rows): (&&'static str, &Vec<u32>)| {
        let rows = if *name == "order_items" { &rows[..lines.min(rows.len())] } else { rows };
        (*name, rows.iter().map(asked).collect())
    };
    sub.order_rows.iter().map(of_table).collect()
}

/// How many lines the first orders have; lines are in the order of their orders.
fn lines_of_first(order_of_line: &[u32], orders: usize) -> usize {
    order_of_line.iter().rposition(|order| (*order as usize) < orders).map_or(0, |last| last + 1)
}

/// What of a step is told.
struct Telling<'f> {
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
    /// Hashes of outcomes that were told before, order by order, and whether each was found again.
    before: Vec<(u64, bool)>,
    /// Those of each order.
    of_order: Vec<Range<usize>>,
    /// Hashes of rows of other tables.
    contents: BTreeMap<&'static str, Vec<u64>>,
    changed: bool,
}

const HASH: FixedState = FixedState::with_seed(0);

/// In the place of a hash: a row that no feature counts.
const NOT_COUNTED: u64 = 0;

impl<'f> Telling<'f> {
    fn new(following: &'f mut Following, sub: &Sub<'f>, tables: &Tables, order_of_line: &[u32]) -> Result<Self> {
        let specs = &following.possible;
        let placements = ["order_items", "orders"].map(|name| (name, read_of(name, specs)));
        let told = placements.into_iter().chain(sub.rows.keys().map(|name| (*name, told_of(name, specs))));
        let told: Vec<_> = told.collect();
        let is_whole = |order: &u32| (*order as usize) < sub.whole;
        let lines_whole = lines_of_first(order_of_line, sub.whole);
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
        let lines = names.map(|names| super::tables::values(&names).map(hash).collect()).unwrap_or_default();
        let (mut placed, mut before, mut of_order, mut changed) = (Vec::new(), Vec::new(), Vec::new(), false);
        for (row, order) in sub.orders.iter().enumerate() {
            let (first, content) = (before.len(), of_orders.get(row));
            match (following.orders.content(*order), content) {
                (None, Some(content)) => {
                    placed.push(row as u32);
                    following.orders.place(*order, *content);
                }
                (told, content) => {
                    // One that was not read has to have been told.
                    changed |= told.is_none() || content.is_some_and(|content| told != Some(*content));
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
            changed,
        })
    }

    /// Notes the rows that nothing counts: they have come all the same.
    fn note_the_rest(&mut self) -> Result<()> {
        for row in self.rows.values().flatten().copied() {
            if self.following.rows.get(row).is_none() {
                self.following.rows.insert(row, NOT_COUNTED)?;
            }
        }
        Ok(())
    }

    /// Whether anything that was told before is not so any more.
    fn is_changed(&self) -> bool {
        self.changed || self.before.iter().any(|(_, is_found)| !is_found)
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
        self.changed |= before.is_some_and(|before| before != content);
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
        let told = HASH.hash_one((of_stream(stream), sign, line, at));
        let mut before = self.before[range.clone()].iter_mut();
        if let Some((_, is_found)) = before.find(|(before, is_found)| !is_found && *before == told) {
            *is_found = true;
            return false;
        }
        self.following.orders.push(*number, told);
        true
    }
}

/// What of rows of other tables is told: whose they are, when they came, and what can be added up over them. What becomes of
/// a return or a ticket later changes nothing of that.
fn told_of(name: &str, specs: &[FeatureSpec]) -> Vec<&'static str> {
    let mut columns = vec!["order_id", "customer_id", "known_at"];
    columns.extend(table(name).map(|contract| contract.clock));
    if name == "tickets" {
        columns.push("kind");
    }
    let counted = specs.iter().filter(|spec| events::table_of(spec.events) == name);
    columns.extend(counted.filter_map(|spec| spec.value).map(|value| value.name));
    columns.sort_unstable();
    columns.dedup();
    columns
}

/// Instants at which something that features count becomes known, but for spans after them.
pub const TOLD_AT: &[&str] = &[
    "placed_at",
    "delivered_at",
    "fraud_known_at",
    "requested_at",
    "opened_at",
    "received_at",
    "decided_at",
    "known_at",
];

/// What of orders, or of their lines, is told of their placement. A parcel that gets a carrier changes nothing of it.
fn read_of(table: &str, specs: &[FeatureSpec]) -> Vec<&'static str> {
    let mut columns = vec![if table == "orders" { "placed_at" } else { "line" }];
    for spec in specs {
        let entities = [Some(spec.entity), spec.with, spec.other].into_iter().flatten();
        columns.extend(entities.filter(|e| e.of_line == (table == "order_items")).map(|e| e.column));
        columns.extend(spec.value.filter(|_| spec.events.is_placement()).map(|value| value.name));
    }
    columns.sort_unstable();
    columns.dedup();
    columns
}

/// A hash of some columns of each row; a column that the frame lacks is as if null everywhere.
///
/// # Errors
/// [`Error::Frames`] only for defects.
pub fn row_hashes(frame: &DataFrame, columns: &[&str]) -> Result<Vec<u64>> {
    let stage = || Error::frames("rows that were told");
    let mut hashes = vec![0_u64; frame.height()];
    for (place, column) in columns.iter().enumerate().filter_map(|(n, c)| Some((n, frame.column(c).ok()?))) {
        let column = column.to_physical_repr();
        let mut add = |row: usize, hash: u64| {
            hashes[row] = HASH.hash_one((hashes[row], place as u64, hash));
        };
        match column.dtype() {
            DataType::String => {
                let texts = column.str().map_err(stage())?;
                texts.iter().enumerate().for_each(|(row, text)| add(row, HASH.hash_one(text)));
            }
            DataType::Float64 => {
                let numbers = column.f64().map_err(stage())?;
                numbers.iter().enumerate().for_each(|(row, n)| add(row, HASH.hash_one(n.map(f64::to_bits))));
            }
            _ => {
                let ints = column.cast(&DataType::Int64).map_err(stage())?;
                let ints = ints.i64().map_err(stage())?;
                ints.iter().enumerate().for_each(|(row, int)| add(row, HASH.hash_one(int)));
            }
        }
    }
    Ok(hashes)
}

/// A number for each stream of outcomes.
fn of_stream(stream: Stream) -> u8 {
    (stream.kind as u8) << 3 | (stream.phase as u8) << 1 | stream.level as u8
}
