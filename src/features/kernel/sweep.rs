//! The walk of one entity's queries over its events, window by window.
//!
//! In a lane (a window and a delay) an event is seen by the queries with `enters < T ≤ happened + delay + span`, where
//! `enters = max(known, happened + delay)`. So a walk over T adds each event once and takes it out once. Events enter in the
//! order in which they happened: a pointer; but those known later than their delay allows enter in the order in which they
//! were known: a second list. All leave in the order in which they happened: a third pointer. Where the second list is
//! empty, as nearly everywhere, `glide` is quicker.

use super::columns::{Sink, Slot};
use super::declare::{Aggregate, Lane};
use super::glide::{Stretches, glide, put, take};
use super::run::Run;
use super::{NO_KEY, NO_VALUE};
use std::collections::VecDeque;
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
    pub(super) fn add(&mut self, lane: &Lane, run: &Run, at: usize) {
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

    fn remove(&mut self, lane: &Lane, run: &Run, at: usize) {
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
    /// Candidates for the greatest value: rows ascending, values descending.
    pub(super) greatest: VecDeque<usize>,
    /// Number of events in the window by local number of their other key.
    pub(super) seen: Vec<u32>,
    /// Other keys of the entity, sorted: a key's place is its local number.
    names: Vec<u32>,
    /// Local numbers of the entity's events; `NO_KEY` where they have no other key.
    pub(super) local: Vec<u32>,
    /// Events of the entity that were known late, by when they were known.
    late: Vec<usize>,
    pub(super) stretches: Stretches,
}

/// What an entity brings into a lane from before its events: totals over the whole life.
#[derive(Default, Clone, Copy)]
pub(super) struct Before<'a> {
    pub(super) totals: Totals,
    /// Other keys already counted, sorted.
    pub(super) others: &'a [(u32, u32)],
}

/// An entity's queries, sorted by T, and where its answers go.
#[derive(Clone, Copy)]
pub(super) struct Asked<'a> {
    pub(super) at: &'a [i64],
    pub(super) rows: &'a [u32],
    pub(super) sinks: &'a [Sink],
    /// Events that entered a lifetime lane before this are in [`Before`] already.
    pub(super) horizon: i64,
}

/// Answers one entity's queries in all lanes. `false` if a sum left the 64 bits.
pub(super) fn sweep<'a>(
    lanes: &[Lane],
    run: &Run,
    events: Range<usize>,
    before: impl Fn(usize) -> Before<'a>,
    asked: Asked,
    scratch: &mut Scratch,
) -> bool {
    if lanes.iter().any(|lane| lane.needs.distinct) {
        scratch.name_others(run, events.clone(), (0..lanes.len()).flat_map(|at| before(at).others));
    }
    let summable = scratch.stretches.measure(run, events.clone());
    let mut fits = true;
    let mut delay = None;
    for (at, lane) in lanes.iter().enumerate() {
        if delay.replace(lane.delay) != Some(lane.delay) {
            scratch.find_late(run, events.clone(), lane.delay);
            scratch.stretches.enter(&run.happened[events.clone()], asked.at, lane.delay);
        }
        fits &= if scratch.late.is_empty() && summable {
            glide(lane, run, events.clone(), before(at), &asked, scratch)
        } else {
            Walk { lane, run, events: events.clone(), asked }.go(before(at), scratch)
        };
    }
    fits
}

impl Scratch {
    fn find_late(&mut self, run: &Run, events: Range<usize>, delay: i64) {
        self.late.clear();
        if !run.known.is_empty() {
            self.late.extend(events.filter(|&row| run.known[row] > run.happened[row].saturating_add(delay)));
            self.late.sort_by_key(|&row| run.known[row]);
        }
    }

    /// Counts the other keys from before the events; how many there are.
    pub(super) fn begin_distinct(&mut self, before: Before) -> u32 {
        self.seen.clear();
        self.seen.resize(self.names.len(), 0);
        before
            .others
            .iter()
            .map(|(_, other)| self.names.binary_search(other).map_or(0, |at| put(&mut self.seen, at as u32)))
            .sum()
    }

    fn name_others<'a>(&mut self, run: &Run, events: Range<usize>, before: impl Iterator<Item = &'a (u32, u32)>) {
        let others = &run.other[events];
        self.names.clear();
        self.names.extend(before.map(|&(_, other)| other));
        self.names.extend(others.iter().filter(|&&other| other != NO_KEY));
        self.names.sort_unstable();
        self.names.dedup();
        self.local.clear();
        self.local.extend(others.iter().map(|other| self.names.binary_search(other).map_or(NO_KEY, |at| at as u32)));
    }
}

/// One lane of one entity.
struct Walk<'a> {
    lane: &'a Lane,
    run: &'a Run,
    events: Range<usize>,
    asked: Asked<'a>,
}

impl Walk<'_> {
    fn go(&self, before: Before, scratch: &mut Scratch) -> bool {
        let Self { lane, run, events, asked } = self;
        let (happened, needs) = (&run.happened[..events.end], lane.needs);
        let mut different = if needs.distinct { scratch.begin_distinct(before) } else { 0 };
        let Scratch { greatest, seen, local, late, .. } = scratch;
        let punctual = |row: usize| run.known(row) <= happened[row].saturating_add(lane.delay);
        let mut totals = before.totals;
        greatest.clear();
        let (mut enter, mut leave, mut next_late) = (events.start, events.start, 0);
        let mut previous = i64::MIN;
        let mut fits = true;
        for (&at, &row) in asked.at.iter().zip(asked.rows) {
            let floor = lane.floor(at);
            if lane.span.is_some() {
                while leave < events.end && happened[leave] < floor {
                    // In the window since an earlier query? Then out.
                    if if punctual(leave) { leave < enter } else { run.known(leave) < previous } {
                        totals.remove(lane, run, leave);
                        if needs.distinct {
                            different -= take(seen, local[leave - events.start]);
                        }
                    }
                    leave += 1;
                }
                while greatest.front().is_some_and(|&front| front < leave) {
                    greatest.pop_front();
                }
            }
            let mut add = |event: usize| {
                totals.add(lane, run, event);
                if needs.max && lane.span.is_some() {
                    queue(greatest, run, event);
                }
                if needs.distinct {
                    different += put(seen, local[event - events.start]);
                }
            };
            let end = at.saturating_sub(lane.delay);
            // Over the whole life, what entered before the horizon is in the totals it began with.
            let first = if lane.span.is_some() { floor } else { asked.horizon.saturating_sub(lane.delay) };
            while enter < events.end && happened[enter] < end {
                if happened[enter] >= first && punctual(enter) {
                    add(enter);
                }
                enter += 1;
            }
            while let Some(&event) = late.get(next_late).filter(|&&event| run.known(event) < at) {
                if if lane.span.is_some() { happened[event] >= floor } else { run.known(event) >= asked.horizon } {
                    add(event);
                }
                next_late += 1;
            }
            previous = at;
            let max = if lane.span.is_some() { greatest.front().map(|&e| run.value(e)) } else { None };
            fits &= self.answer(row, at, &totals, max.unwrap_or(totals.max), different);
        }
        fits
    }

    fn answer(&self, row: u32, at: i64, totals: &Totals, max: i64, different: u32) -> bool {
        let mut fits = true;
        for &(column, aggregate) in &self.lane.outputs {
            let sink = &self.asked.sinks[column];
            let row = row as usize;
            match (aggregate, sink) {
                (Aggregate::Count, Sink::Count(cells)) => cells[row].set(totals.count),
                (Aggregate::Distinct, Sink::Count(cells)) => cells[row].set(different),
                (Aggregate::Sum, Sink::Integer(cells)) => match i64::try_from(totals.sum) {
                    Ok(sum) if sum != NO_VALUE => cells[row].set(sum),
                    _ => fits = false,
                },
                (Aggregate::Max, Sink::Integer(cells)) if totals.valued > 0 => cells[row].set(max),
                (Aggregate::SinceLast, Sink::Integer(cells)) if totals.count > 0 => {
                    cells[row].set(at.saturating_sub(totals.last));
                }
                (Aggregate::Mean, Sink::Real(cells)) if totals.valued > 0 => {
                    cells[row].set(totals.sum as f64 / f64::from(totals.valued));
                }
                (Aggregate::Rate { prior, weight }, Sink::Real(cells)) => {
                    cells[row].set(smoothed(totals.hits, totals.count, prior, weight));
                }
                _ => {}
            }
        }
        fits
    }
}

/// `(hits + prior · weight) / (events + weight)`, NaN where both are 0.
pub(super) fn smoothed(hits: u32, events: u32, prior: f64, weight: f64) -> f64 {
    let share = (f64::from(hits) + prior * weight) / (f64::from(events) + weight);
    if share.is_nan() { f64::NAN } else { share }
}

/// Takes an event into the queue of greatest values, wherever its row stands among those already in it.
pub(super) fn queue(greatest: &mut VecDeque<usize>, run: &Run, event: usize) {
    let value = run.value(event);
    if value == NO_VALUE {
        return;
    }
    // Later rows leave later: one of them that is as great makes this one needless for ever.
    let mut place = greatest.len();
    if greatest.back().is_some_and(|&last| last > event) {
        place = greatest.partition_point(|&row| row < event);
        if greatest.get(place).is_some_and(|&later| run.value(later) >= value) {
            return;
        }
    }
    // And this one makes earlier ones needless that are not greater.
    let mut kept = place;
    while kept > 0 && run.value(greatest[kept - 1]) <= value {
        kept -= 1;
    }
    if place == greatest.len() {
        greatest.truncate(kept);
        greatest.push_back(event);
    } else {
        greatest.drain(kept..place);
        greatest.insert(kept, event);
    }
}
