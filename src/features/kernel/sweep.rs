//! One entity's queries and its events in a lane: what is common to the two ways of walking over them.
//!
//! Where all events enter in the order in which they happened, as nearly everywhere, `glide` is quick; `walk` is general.

use super::NO_VALUE;
use super::apart::Change;
use super::columns::Sink;
use super::declare::Lane;
use super::glide::{Stretches, glide};
use super::others::{Named, Others};
use super::pairs::Pair;
use super::run::Rows;
use super::walk::{Cursor, Walk, put_answers};
use std::ops::Range;

/// Running totals of a lane, as they stand before the division.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Totals {
    /// Sum of the values; 2⁶⁴ of any size fit.
    pub(super) sum: i128,
    /// Latest happening of all that ever entered. If any event is in the window, this one is: it leaves last.
    pub(super) last: i64,
    /// Greatest value over the whole life; windows have a queue for it.
    pub(super) max: i64,
    pub(super) count: u32,
    pub(super) valued: u32,
    pub(super) hits: u32,
}

impl Default for Totals {
    fn default() -> Self {
        Self { sum: 0, last: i64::MIN, max: NO_VALUE, count: 0, valued: 0, hits: 0 }
    }
}

impl Totals {
    pub(super) fn add(&mut self, lane: &Lane, run: &Rows<'_>, at: usize) {
        self.count += 1;
        self.last = self.last.max(run.happened[at]);
        if lane.needs.value() {
            let value = run.value(at);
            if value != NO_VALUE {
                self.sum += i128::from(value);
                self.valued += 1;
                self.max = self.max.max(value);
            }
        }
        if lane.needs.hits {
            self.hits += u32::from(run.label[at]);
        }
    }

    /// Adds a stretch of events in the order in which they happened.
    pub(super) fn add_all(&mut self, lane: &Lane, run: &Rows<'_>, rows: Range<usize>) {
        let Some(last) = run.happened[rows.clone()].last() else { return };
        self.count += rows.len() as u32;
        self.last = self.last.max(*last);
        if lane.needs.value() {
            for &value in &run.value[rows.clone()] {
                // No value is less than any.
                self.max = self.max.max(value);
                self.sum += i128::from(if value == NO_VALUE { 0 } else { value });
                self.valued += u32::from(value != NO_VALUE);
            }
        }
        if lane.needs.hits {
            self.hits += run.label[rows].iter().filter(|label| **label).count() as u32;
        }
    }

    pub(super) fn remove(&mut self, lane: &Lane, run: &Rows<'_>, at: usize) {
        self.count -= 1;
        if lane.needs.value() {
            let value = run.value(at);
            if value != NO_VALUE {
                self.sum -= i128::from(value);
                self.valued -= 1;
            }
        }
        if lane.needs.hits {
            self.hits -= u32::from(run.label[at]);
        }
    }
}

/// Buffers of a thread, so that no row and no entity allocates.
#[derive(Default)]
pub(super) struct Scratch {
    pub(super) cursor: Cursor,
    pub(super) stretches: Stretches,
    /// Other keys of an entity that brings some from before.
    named: Named,
    pub(super) changes: Vec<Change>,
}

/// What an entity brings into a lane from before its events: totals over the whole life.
#[derive(Default, Clone, Copy)]
pub(super) struct Before<'a> {
    pub(super) totals: Totals,
    /// Other keys already counted, sorted.
    pub(super) others: &'a [Pair],
}

/// An entity's queries, sorted by T, and where its answers go.
#[derive(Clone, Copy)]
pub(super) struct Asked<'a> {
    pub(super) at: &'a [i64],
    pub(super) rows: &'a [u32],
    /// One for each output of the lane.
    pub(super) sinks: &'a [Sink],
    /// Events that entered a lifetime lane before this are in [`Before`] already.
    pub(super) horizon: i64,
}

impl Asked<'_> {
    /// The first `count` queries and the rest.
    pub(super) fn split_at(self, count: usize) -> (Self, Self) {
        let ((early, late), (first, rest)) = (self.at.split_at(count), self.rows.split_at(count));
        (Self { at: early, rows: first, ..self }, Self { at: late, rows: rest, ..self })
    }
}

/// Answers one entity's queries in a lane. `false` if a sum left the 64 bits.
pub(super) fn sweep(
    lane: &Lane,
    run: &Rows<'_>,
    events: Range<usize>,
    before: Before,
    others: Others,
    asked: Asked,
    scratch: &mut Scratch,
) -> bool {
    let mut named = std::mem::take(&mut scratch.named);
    let others = if before.others.is_empty() { others } else { named.only(before, &run.other[events.clone()]) };
    let walk = Walk { lane, run, events: events.clone(), others, horizon: asked.horizon };
    let (first, last) = (asked.at.first().copied().unwrap_or(i64::MIN), asked.at.last().copied().unwrap_or(i64::MIN));
    let is_late = scratch.cursor.find_late(&walk, first..last);
    let fits = if !is_late && scratch.stretches.measure(lane.needs, run, events.clone()) {
        glide(lane, run, events, before, others, asked, scratch)
    } else {
        scratch.cursor.begin(&walk, before);
        walk.go(asked, &mut scratch.cursor)
    };
    scratch.named = named;
    fits
}

/// Answers an entity's queries in a lane where no event of it can be seen: what it had before is all there is. `false` if a sum
/// left the 64 bits.
pub(super) fn blank(lane: &Lane, before: Before, asked: Asked) -> bool {
    let different = before.others.len() as u32;
    let mut queries = asked.rows.iter().copied().zip(asked.at.iter().copied());
    queries.all(|query| put_answers((lane, asked.sinks), query, &before.totals, different, None))
}

/// A sum as a number: by way of 64 bits, which nearly every sum fits and a processor converts itself.
pub(super) fn real(sum: i128) -> f64 {
    #[cold]
    #[inline(never)]
    fn wide(sum: i128) -> f64 {
        sum as f64
    }
    i64::try_from(sum).map_or_else(|_| wide(sum), |sum| sum as f64)
}

/// `(hits + prior · weight) / (events + weight)`, NaN where both are 0.
pub(super) fn smoothed(hits: u32, events: u32, prior: f64, weight: f64) -> f64 {
    let share = (f64::from(hits) + prior * weight) / (f64::from(events) + weight);
    if share.is_nan() { f64::NAN } else { share }
}
