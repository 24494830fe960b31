//! The walk of a lane whose events all enter in the order in which they happened: nearly every one.
//!
//! Then a window is a stretch of the entity's events, from `leave` to `enter`. Counts are differences of places and sums are
//! differences of running sums, each found in a loop that does one thing. The general one is in `walk`.

use super::NO_VALUE;
use super::columns::{Sink, Slot};
use super::declare::{Aggregate, Lane, Needs};
use super::others::{Others, put, take};
use super::run::Rows;
use super::sweep::{Asked, Before, Scratch, real, smoothed};
use super::walk::{Cursor, queue};
use std::ops::Range;

/// Running sums over an entity's events, and where its queries stand among them. Places count from its first event.
#[derive(Default)]
pub(super) struct Stretches {
    /// Sum of the values before each place.
    sums: Vec<i64>,
    /// Number of values before each place; empty where every event has one.
    valued: Vec<u32>,
    /// Number of true labels before each place.
    hits: Vec<u32>,
    /// For each query the first place that it does not see yet.
    enter: Vec<u32>,
    /// For each query the first place that it still sees.
    leave: Vec<u32>,
}

impl Stretches {
    /// Prepares running sums. `false` if they might leave 64 bits: then they cannot be used.
    pub(super) fn measure(&mut self, needs: Needs, run: &Rows<'_>, events: Range<usize>) -> bool {
        self.sums.clear();
        self.valued.clear();
        self.hits.clear();
        self.sums.push(0);
        self.hits.push(0);
        if needs.sum {
            let values = &run.value[events.clone()];
            let (mut sum, mut nulls) = (0_i64, false);
            let mut size = 0_u64;
            self.sums.extend(values.iter().map(|&value| {
                nulls |= value == NO_VALUE;
                let value = if value == NO_VALUE { 0 } else { value };
                size = size.saturating_add(value.unsigned_abs());
                sum = sum.wrapping_add(value);
                sum
            }));
            if size > i64::MAX as u64 {
                return false;
            }
            if nulls {
                let running = |n: &mut u32, &value: &i64| {
                    *n += u32::from(value != NO_VALUE);
                    Some(*n)
                };
                self.valued.push(0);
                self.valued.extend(values.iter().scan(0, running));
            }
        }
        if needs.hits {
            let running = |n: &mut u32, &label: &bool| {
                *n += u32::from(label);
                Some(*n)
            };
            self.hits.extend(run.label[events].iter().scan(0, running));
        }
        true
    }

    fn enter(&mut self, happened: &[i64], at: &[i64], delay: i64) {
        let mut place = 0;
        self.enter.clear();
        self.enter.extend(at.iter().map(|at| {
            let end = at.saturating_sub(delay);
            while place < happened.len() && happened[place] < end {
                place += 1;
            }
            place as u32
        }));
    }

    fn leave(&mut self, lane: &Lane, happened: &[i64], asked: Asked) {
        self.leave.clear();
        if lane.span.is_none() {
            // What entered before the horizon is in the totals it begins with.
            let floor = asked.horizon.saturating_sub(lane.delay);
            let first = happened.partition_point(|&happened| happened < floor) as u32;
            self.leave.extend(self.enter.iter().map(|&enter| first.min(enter)));
            return;
        }
        let mut place = 0;
        self.leave.extend(asked.at.iter().map(|&at| {
            let floor = lane.floor(at);
            while place < happened.len() && happened[place] < floor {
                place += 1;
            }
            place as u32
        }));
    }

    /// Each query's stretch: first place seen, first place not seen.
    fn each(&self) -> impl Iterator<Item = (usize, usize)> {
        self.leave.iter().zip(&self.enter).map(|(&leave, &enter)| (leave as usize, enter as usize))
    }

    /// Number of values in a stretch.
    fn valued(&self, (leave, enter): (usize, usize)) -> u32 {
        if self.valued.is_empty() { (enter - leave) as u32 } else { self.valued[enter] - self.valued[leave] }
    }
}

/// Answers one entity's queries in one lane. `false` if a sum left the 64 bits.
pub(super) fn glide(
    lane: &Lane,
    run: &Rows<'_>,
    events: Range<usize>,
    before: Before,
    others: Others,
    asked: Asked,
    scratch: &mut Scratch,
) -> bool {
    let happened = &run.happened[events.clone()];
    scratch.stretches.enter(happened, asked.at, lane.delay);
    scratch.stretches.leave(lane, happened, asked);
    let start = before.totals;
    let mut fits = true;
    for (&(_, aggregate), sink) in lane.outputs.iter().zip(asked.sinks) {
        let places = &scratch.stretches;
        let rows = || asked.rows.iter().map(|&row| row as usize).zip(places.each());
        match (aggregate, sink) {
            (Aggregate::Count, Sink::Count(cells)) => {
                for (row, (leave, enter)) in rows() {
                    cells[row].set(start.count + (enter - leave) as u32);
                }
            }
            (Aggregate::Sum, Sink::Integer(cells)) => {
                for (row, (leave, enter)) in rows() {
                    match i64::try_from(start.sum + i128::from(places.sums[enter] - places.sums[leave])) {
                        Ok(sum) if sum != NO_VALUE => cells[row].set(sum),
                        _ => fits = false,
                    }
                }
            }
            (Aggregate::Mean, Sink::Real(cells)) if start.valued == 0 => {
                for (row, (leave, enter)) in rows() {
                    let valued = places.valued((leave, enter));
                    if valued > 0 {
                        cells[row].set((places.sums[enter] - places.sums[leave]) as f64 / f64::from(valued));
                    }
                }
            }
            (Aggregate::Mean, Sink::Real(cells)) => {
                for (row, (leave, enter)) in rows() {
                    let sum = start.sum + i128::from(places.sums[enter] - places.sums[leave]);
                    cells[row].set(real(sum) / f64::from(start.valued + places.valued((leave, enter))));
                }
            }
            (Aggregate::SinceLast, Sink::Integer(cells)) => {
                for ((row, (leave, enter)), at) in rows().zip(asked.at) {
                    let last = if enter > leave { happened[enter - 1].max(start.last) } else { start.last };
                    if enter > leave || start.count > 0 {
                        cells[row].set(at.saturating_sub(last));
                    }
                }
            }
            (Aggregate::Rate { prior, weight }, Sink::Real(cells)) => {
                for (row, (leave, enter)) in rows() {
                    let hits = start.hits + places.hits[enter] - places.hits[leave];
                    cells[row].set(smoothed(hits, start.count + (enter - leave) as u32, prior, weight));
                }
            }
            (Aggregate::Max, sink) => greatest(run, events.clone(), before, asked, sink, scratch),
            (Aggregate::Distinct, sink) => distinct(others, asked, sink, scratch),
            _ => {}
        }
    }
    fits
}

fn greatest(run: &Rows<'_>, events: Range<usize>, before: Before, asked: Asked, sink: &Sink, scratch: &mut Scratch) {
    let Scratch { cursor: Cursor { greatest, .. }, stretches, .. } = scratch;
    let Sink::Integer(cells) = sink else { return };
    greatest.clear();
    let mut next = 0;
    for (&row, (leave, enter)) in asked.rows.iter().zip(stretches.each()) {
        for place in next.max(leave)..enter {
            queue(greatest, run, events.start + place);
        }
        next = next.max(enter);
        while greatest.front().is_some_and(|&front| front < events.start + leave) {
            greatest.pop_front();
        }
        // `NO_VALUE` is less than any value, and is what a null is.
        let max = greatest.front().map_or(NO_VALUE, |&event| run.value(event));
        cells[row as usize].set(max.max(before.totals.max));
    }
}

fn distinct(others: Others, asked: Asked, sink: &Sink, scratch: &mut Scratch) {
    let Sink::Count(cells) = sink else { return };
    let Scratch { cursor: Cursor { seen, .. }, stretches, .. } = scratch;
    let mut different = others.begin(seen);
    let (mut added, mut removed) = (0, 0);
    for (&row, (leave, enter)) in asked.rows.iter().zip(stretches.each()) {
        while added < enter {
            different += put(seen, others.local[added]);
            added += 1;
        }
        while removed < leave {
            different -= take(seen, others.local[removed]);
            removed += 1;
        }
        cells[row as usize].set(different);
    }
}
