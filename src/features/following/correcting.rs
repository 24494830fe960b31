//! What was told wrongly of orders is taken back, and what is so is told in its place.

use super::contents::Contents;
use super::telling::{NOT_COUNTED, Telling, Wrong, counted, what};
use super::{Following, Replaced, Sub, Terms};
use crate::contract::feature::{EventKind, STANDING};
use crate::error::Result;
use crate::features::Known;
use crate::features::engine::{Facts, Level, Stream};
use crate::features::events::{self, Fresh};
use crate::features::tables::Tables;
use std::collections::BTreeMap;

impl Following {
    /// Takes back what was told of some orders and tells what is so now; nobody asks. `before` is what was told: these orders
    /// with all that belongs to them as of the last step, each whole. `now` has those of them that are still there. `false`: what
    /// was told is not what it is said to have been, or it cannot be told what is left without it. Then everything is forgotten,
    /// to be made anew.
    ///
    /// # Errors
    /// As [`Self::step`].
    pub fn correct(&mut self, before: &Sub<'_>, now: &Sub<'_>, terms: &Terms) -> Result<bool> {
        // What has been replaced is among what was told.
        let nothing = Replaced::default();
        let is_corrected = self.exchange(before, &Sub { gone: &[], replaced: &nothing, ..*now }, terms)?;
        if !is_corrected {
            self.forget();
        }
        Ok(is_corrected)
    }

    fn exchange(&mut self, before: &Sub<'_>, now: &Sub<'_>, terms: &Terms) -> Result<bool> {
        let Some(mut engine) = self.engine.take() else { return Ok(false) };
        let specs = self.possible.clone();
        let Some(gone) = self.told_of(before, terms, |tables, known, taking| {
            let order_of_line = known.order_of_line.clone();
            events::facts(&specs, tables, &known.settled(), order_of_line, engine.keys(), taking)
        })?
        else {
            return Ok(false);
        };
        let tables = Tables::new(now.tables)?.knowing(now.order_rows);
        let known = Known::of(&tables, terms)?;
        let order_of_line = known.order_of_line.clone();
        let mut telling = Telling::new(self, now, &tables, &order_of_line)?;
        if !matches!(telling.misplaced(&[]), Wrong::Nothing) {
            return Ok(false);
        }
        let facts =
            events::facts(&specs, &tables, &known.settled(), order_of_line.clone(), engine.keys(), &mut telling)?;
        if !matches!(telling.wrong(), Wrong::Nothing) {
            return Ok(false);
        }
        telling.note_the_rest()?;
        self.keep_keys(now, &order_of_line, &facts)?;
        let is_exact = engine.exchange(&gone, &facts)?;
        self.engine = Some(engine);
        Ok(is_exact)
    }

    /// The events that were told of orders, which are forgotten; `None` where they cannot be these.
    fn told_of(
        &mut self,
        before: &Sub<'_>,
        terms: &Terms,
        facts: impl FnOnce(&Tables, &Known, &mut TakingBack<'_>) -> Result<Facts>,
    ) -> Result<Option<Facts>> {
        let tables = Tables::new(before.tables)?.knowing(before.order_rows);
        let known = Known::of(&tables, terms)?;
        let contents = Contents::of(&self.possible, before, &tables, &known.order_of_line)?;
        let told = |(order, content): (&u32, &u64)| self.orders.content(*order) == Some(*content);
        if !before.orders.iter().zip(&contents.orders).all(told) {
            return Ok(None);
        }
        let mut taking =
            TakingBack { following: self, sub: before, contents: &contents, told: Vec::new(), is_other: false };
        let mut facts = facts(&tables, &known, &mut taking)?;
        let TakingBack { told, is_other, .. } = taking;
        if is_other || !self.outcomes_of(before, &known.order_of_line, &contents.lines, &mut facts) {
            return Ok(None);
        }
        for row in told {
            self.rows.insert(row, NOT_COUNTED)?;
        }
        before.orders.iter().for_each(|order| self.orders.forget(*order));
        Ok(Some(facts))
    }

    /// Adds the outcomes that were told of orders, each known when it was told to be. `false` if it is not known what one was.
    fn outcomes_of(&self, before: &Sub<'_>, order_of_line: &[u32], lines: &[u32], facts: &mut Facts) -> bool {
        let mut lines_of: Vec<Vec<u32>> = vec![Vec::new(); before.orders.len()];
        for (line, order) in (0..).zip(order_of_line) {
            if let Some(of_order) = lines_of.get_mut(*order as usize) {
                of_order.push(line);
            }
        }
        let has_outcomes =
            |stream: &&Stream| matches!(stream.kind, EventKind::Fraud | EventKind::Return | EventKind::Delivery);
        let streams: Vec<Stream> = facts.events.keys().filter(has_outcomes).copied().collect();
        for ((row, order), lines_of) in (0..).zip(before.orders).zip(&lines_of) {
            if self.orders.of(*order).next().is_none() {
                continue;
            }
            // What each could be one of; several lines of one name cannot be told apart.
            let mut could_be: BTreeMap<u32, Option<(Stream, u32, i64)>> = BTreeMap::new();
            for (stream, sign) in streams.iter().flat_map(|stream| [1, -1].map(|sign| (*stream, sign))) {
                let mut one = |at: u32, line: u32| {
                    let outcome = Some((stream, at, sign));
                    could_be.entry(what(stream, sign, line)).and_modify(|one| *one = None).or_insert(outcome);
                };
                match stream.level {
                    Level::Order => one(row, 0),
                    Level::Line => {
                        lines_of.iter().for_each(|line| one(*line, lines.get(*line as usize).copied().unwrap_or(1)))
                    }
                }
            }
            for told in self.orders.of(*order) {
                let Some(Some((stream, at, sign))) = could_be.get(&told.what).copied() else { return false };
                let Some(events) = facts.events.get_mut(&stream) else { return false };
                events.rows.get_or_insert_default().push(at);
                events.known_at.get_or_insert_default().push(told.at);
                if stream.kind == EventKind::Fraud {
                    events.values.entry(STANDING.name).or_default().push(sign);
                }
            }
        }
        true
    }
}

/// What was told: every placement, rows that were counted as they are, and no outcomes, which have been noted themselves.
struct TakingBack<'f> {
    following: &'f Following,
    sub: &'f Sub<'f>,
    contents: &'f Contents,
    /// The rows that were counted.
    told: Vec<u128>,
    /// Whether one of them was counted as another than it is.
    is_other: bool,
}

impl Fresh for TakingBack<'_> {
    fn placed(&self, _: Level) -> Option<Vec<u32>> {
        None
    }

    fn row(&mut self, table: &'static str, row: usize) -> Result<bool> {
        let number = self.sub.rows.get(table).and_then(|rows| rows.get(row));
        let content = self.contents.rows.get(table).and_then(|contents| contents.get(row));
        let (Some(number), Some(content)) = (number, content) else { return Ok(false) };
        let Some(noted) = self.following.rows.get(*number).filter(|noted| *noted != NOT_COUNTED) else {
            return Ok(false);
        };
        self.is_other |= noted != counted(*content);
        self.told.push(*number);
        Ok(true)
    }

    fn outcome(&mut self, _: Stream, _: usize, _: i64, _: i64) -> bool {
        false
    }
}
