//! The walk of one entity's queries over its events in a lane, whatever the order in which they were known.
//!
//! An event is seen by the queries with `enters < T ≤ happened + delay + span`, where `enters = max(known, happened + delay)`.
//! So a walk over T adds each event once and takes it out once. Events enter in the order in which they happened: a pointer;
//! but those known later than their delay allows enter in the order in which they were known: a second list. All leave in the
//! order in which they happened: a third pointer.

use super::NO_VALUE;
use super::columns::{Sink, Slot};
use super::declare::{Aggregate, Lane};
use super::others::{Others, put, take};
use super::run::Rows;
use super::sweep::{Asked, Before, Totals, real, smoothed};
use std::collections::VecDeque;
use std::ops::Range;

/// One lane of one entity.
pub(super) struct Walk<'a> {
    pub(super) lane: &'a Lane,
    pub(super) run: &'a Rows<'a>,
    pub(super) events: Range<usize>,
    pub(super) others: Others<'a>,
    /// Events that entered a lifetime lane before this are in [`Before`].
    pub(super) horizon: i64,
}

/// How far a walk has come, and what it has in hand: all that a later T needs.
#[derive(Debug, Clone, Default)]
pub(super) struct Cursor {
    /// The latest T.
    pub(super) at: i64,
    /// The first event that has not happened for it.
    enter: usize,
    /// The first event that its window still reaches.
    leave: usize,
    /// Events that are known late and have not entered, by when they are known.
    pub(super) late: VecDeque<usize>,
    totals: Totals,
    /// Candidates for the greatest value: rows ascending, values descending.
    pub(super) greatest: VecDeque<usize>,
    /// Number of events in the window by local number of their other key.
    pub(super) seen: Vec<u32>,
    different: u32,
}

impl Cursor {
    /// Lists what was known late, for questions from the first of `asked` to its end and no others; the first part of
    /// [`Self::begin`]. What none of them sees is left out, and what the first one sees is in any order. Whether anything was
    /// known late.
    pub(super) fn find_late(&mut self, walk: &Walk, asked: Range<i64>) -> bool {
        let Walk { run, events, .. } = walk;
        self.late.clear();
        if run.known.is_empty() {
            return false;
        }
        let (mut before, mut any) = (0, false);
        for event in events.clone().filter(|&event| !walk.punctual(event)) {
            any = true;
            let known = run.known[event];
            if known < asked.start {
                self.late.push_front(event);
                before += 1;
            } else if known < asked.end {
                self.late.push_back(event);
            }
        }
        if self.late.len() > before + 1 {
            self.late.make_contiguous()[before..].sort_by_key(|&event| run.known[event]);
        }
        any
    }

    /// Stands before the first T.
    pub(super) fn begin(&mut self, walk: &Walk, before: Before) {
        self.at = i64::MIN;
        (self.enter, self.leave) = (walk.events.start, walk.events.start);
        self.totals = before.totals;
        self.greatest.clear();
        self.different = if walk.lane.needs.distinct { walk.others.begin(&mut self.seen) } else { 0 };
    }

    /// Goes on in the same events after some were put among them: each row from `first` on is now the one that `moved` tells,
    /// the new ones are those given.
    pub(super) fn insert(&mut self, walk: &Walk, first: usize, moved: &[u32], new: impl Iterator<Item = usize>) {
        for row in self.greatest.iter_mut().chain(&mut self.late).filter(|row| **row >= first) {
            *row = moved[*row - first] as usize;
        }
        let (lane, run) = (walk.lane, walk.run);
        let (end, floor) = (self.at.saturating_sub(lane.delay), lane.floor(self.at));
        self.enter = run.happened.partition_point(|&happened| happened < end);
        if lane.span.is_some() {
            self.leave = run.happened.partition_point(|&happened| happened < floor);
        }
        self.seen.resize(walk.others.names.max(self.seen.len()), 0);
        let waiting = self.late.len();
        for event in new {
            let known = run.known(event);
            if lane.enters(run.happened[event], known) < self.at {
                if walk.reaches(event, floor) {
                    self.add(walk, event);
                }
            } else if !walk.punctual(event) {
                self.late.push_back(event);
            }
        }
        // Only what stands behind the earliest of them moves, and all at once.
        if let Some(first) = self.late.iter().skip(waiting).map(|&late| run.known(late)).min() {
            let late = self.late.make_contiguous();
            let place = late[..waiting].partition_point(|&late| run.known(late) <= first);
            late[place..].sort_by_key(|&late| run.known(late));
        }
    }

    fn add(&mut self, walk: &Walk, event: usize) {
        let (lane, run) = (walk.lane, walk.run);
        self.totals.add(lane, run, event);
        if lane.needs.max && lane.span.is_some() {
            queue(&mut self.greatest, run, event);
        }
        if lane.needs.distinct {
            self.different += put(&mut self.seen, walk.others.local[event - walk.events.start]);
        }
    }
}

impl Walk<'_> {
    /// Whether an event enters by its happening alone.
    fn punctual(&self, event: usize) -> bool {
        self.run.known(event) <= self.run.happened[event].saturating_add(self.lane.delay)
    }

    /// Whether an event that has entered counts: in the window, or over the whole life not in what it began with.
    fn reaches(&self, event: usize, floor: i64) -> bool {
        let happened = self.run.happened[event];
        match self.lane.span {
            Some(_) => happened >= floor,
            None => self.lane.enters(happened, self.run.known(event)) >= self.horizon,
        }
    }

    /// Answers queries, none of which is before where the cursor is. `false` if a sum left the 64 bits.
    pub(super) fn go(&self, asked: Asked, cursor: &mut Cursor) -> bool {
        let Self { lane, run, events, .. } = self;
        let happened = &run.happened[..events.end];
        let mut fits = true;
        for (&at, &row) in asked.at.iter().zip(asked.rows) {
            let floor = lane.floor(at);
            if lane.span.is_some() {
                while cursor.leave < events.end && happened[cursor.leave] < floor {
                    let event = cursor.leave;
                    // In the window since an earlier query? Then out.
                    if if self.punctual(event) { event < cursor.enter } else { run.known(event) < cursor.at } {
                        cursor.totals.remove(lane, run, event);
                        if lane.needs.distinct {
                            cursor.different -= take(&mut cursor.seen, self.others.local[event - events.start]);
                        }
                    }
                    cursor.leave += 1;
                }
                while cursor.greatest.front().is_some_and(|&front| front < cursor.leave) {
                    cursor.greatest.pop_front();
                }
            }
            let end = at.saturating_sub(lane.delay);
            while cursor.enter < events.end && happened[cursor.enter] < end {
                if self.punctual(cursor.enter) && self.reaches(cursor.enter, floor) {
                    cursor.add(self, cursor.enter);
                }
                cursor.enter += 1;
            }
            while let Some(event) = cursor.late.pop_front_if(|&mut event| run.known(event) < at) {
                if self.reaches(event, floor) {
                    cursor.add(self, event);
                }
            }
            cursor.at = at;
            let max = if lane.span.is_some() { cursor.greatest.front().map(|&e| run.value(e)) } else { None };
            fits &= put_answers((lane, asked.sinks), (row, at), &cursor.totals, cursor.different, max);
        }
        fits
    }
}

/// Puts the answers of a lane to one query: from totals, the number of different other keys, and the greatest value where that
/// is not the totals'. `false` if a sum left the 64 bits.
pub(super) fn put_answers(
    (lane, sinks): (&Lane, &[Sink]),
    (row, at): (u32, i64),
    totals: &Totals,
    different: u32,
    max: Option<i64>,
) -> bool {
    let max = max.unwrap_or(totals.max);
    let mut fits = true;
    for (&(_, aggregate), sink) in lane.outputs.iter().zip(sinks) {
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
                cells[row].set(real(totals.sum) / f64::from(totals.valued));
            }
            (Aggregate::Rate { prior, weight }, Sink::Real(cells)) => {
                cells[row].set(smoothed(totals.hits, totals.count, prior, weight));
            }
            _ => {}
        }
    }
    fits
}

/// Takes an event into the queue of greatest values, wherever its row stands among those already in it.
pub(super) fn queue(greatest: &mut VecDeque<usize>, run: &Rows<'_>, event: usize) {
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
