//! Features of orders as they come: the engine kept between steps, and told only what it was not told before.
//!
//! What the engine has been told at a clock is what a batch at that clock tells it, whatever the cut into steps: placements
//! of the orders that have been scored, outcomes and rows of other tables that are known. Most steps only add to it. When
//! something of what was told is not so any more (a corrected amount, a row that is gone), [`Following::step`] says of which
//! orders; given what was told of these, [`Following::correct`] takes it back and tells what is so now. Where that cannot be
//! done the engine is made anew of everything. So the features of an order never depend on how its past came in.

mod columns;
mod contents;
mod correcting;
#[cfg(test)]
mod correcting_tests;
mod keys;
mod saved;
mod sub;
mod telling;
#[cfg(test)]
mod tests;
mod told;

pub use columns::{TOLD_AT, row_hashes};
pub use sub::{Replaced, Sub};

use super::engine::{Engine, Facts, Units};
use super::events;
use super::kernel::{NO_KEY, Noted};
use super::tables::Tables;
use super::{Features, Known, Terms, Windows, own, possible, together};
use crate::config::FeatureSpec;
use crate::error::{Error, Result};
use keys::{OF_ORDER, ToldKeys};
use std::collections::BTreeMap;
use telling::{Telling, Wrong};
use told::ToldOrders;

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
    /// The last instant at which it is seen that an outcome is counted as known at another time than it is by now, UTC
    /// microseconds: orders placed later see no difference.
    moved: Option<i64>,
}

/// What came of a step.
pub enum Step {
    /// Features of the orders that asked, in their order.
    Features(Box<Features>),
    /// Something that was told of these orders, or of rows of no order by [their numbers](Sub::replaced), is not so any more.
    /// Nothing was told yet: the step can be made once more after [`Following::correct`], and may say so again of others, whose
    /// placement stands.
    Wrong(Vec<u32>),
    /// Something else was told that is not so, or other features can be fed now: to be made anew of everything.
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
        // What was placed before the horizon cannot be asked exactly any more.
        if tables.placed_at.iter().take(sub.asking).any(|at| *at < self.horizon) {
            return Ok(self.forget());
        }
        let specs = self.possible.clone();
        let mut telling = Telling::new(self, sub, &tables, &known.order_of_line)?;
        let wrong = telling.misplaced(sub.gone);
        if !matches!(wrong, Wrong::Nothing) {
            telling.undo()?;
            return Ok(self.wrong(engine, wrong));
        }
        let order_of_line = known.order_of_line.clone();
        let mut facts = events::facts(&specs, &tables, &known.settled(), order_of_line, engine.keys(), &mut telling)?;
        let wrong = telling.wrong();
        if !matches!(wrong, Wrong::Nothing) {
            telling.undo()?;
            return Ok(self.wrong(engine, wrong));
        }
        telling.note_the_rest()?;
        if tables.placed_at.iter().take(sub.asking).any(|at| self.moved.is_some_and(|moved| *at <= moved)) {
            return Ok(self.forget());
        }
        self.keep_keys(sub, &known.order_of_line, &facts)?;
        let lines_asking = sub.lines_asking(&known.order_of_line);
        facts.orders.asking = Some((0..sub.asking as u32).collect());
        facts.lines.asking = Some((0..lines_asking as u32).collect());
        let mut windows: Windows = vec![None; specs.len()];
        let mut take = |feature: usize, level, values| {
            windows[feature] = Some((level, values));
            Ok(())
        };
        let asked = sub.tables_asking(lines_asking);
        let rows_asked = sub.order_rows_asking(lines_asking);
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

    /// Whether an order was told.
    pub fn has_told(&self, order: u32) -> bool {
        self.orders.content(order).is_some()
    }

    /// Whether a row of another table was there in an earlier step.
    pub fn knows(&self, row: u128) -> bool {
        self.rows.get(row).is_some()
    }

    /// Whether of an order that was told nothing need be read again for what becomes known of it.
    pub fn keeps(&self, order: u32) -> bool {
        self.keys.has(order) && self.has_told(order)
    }

    /// Whether of a line whose order was told nothing need be read again.
    pub fn keeps_line(&self, line: u32) -> bool {
        self.line_keys.has(line)
    }

    /// Keeps the keys of the orders and lines that were read.
    fn keep_keys(&mut self, sub: &Sub<'_>, order_of_line: &[u32], facts: &Facts) -> Result<()> {
        self.keys.keep(&sub.orders[..sub.whole], &facts.orders.keys);
        match sub.line_rows {
            Some(rows) => self.keep_lines(sub, rows, order_of_line, &facts.lines.keys)?,
            None => self.line_keys = ToldKeys::default(),
        }
        Ok(())
    }

    /// Keeps the keys of the lines that were read.
    fn keep_lines(
        &mut self,
        sub: &Sub<'_>,
        rows: &[u32],
        order_of_line: &[u32],
        keys: &BTreeMap<&'static str, Vec<u32>>,
    ) -> Result<()> {
        let read = sub.lines_whole(order_of_line);
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

    /// Nothing is told in a step in which something is not so any more.
    fn wrong(&mut self, engine: Engine, wrong: Wrong) -> Step {
        match wrong {
            Wrong::Orders(orders) => {
                self.engine = Some(engine);
                Step::Wrong(orders)
            }
            Wrong::Nothing | Wrong::Elsewhere => self.forget(),
        }
    }

    /// Forgets everything.
    fn forget(&mut self) -> Step {
        *self = Self::default();
        Step::Anew
    }
}
