//! Events taken back, and others told in their place: what was told was wrong.
//!
//! Afterwards a state answers as if it had only been told the others. Events go out of their runs, and of the totals of a
//! lifetime what can be subtracted is. The latest happening, the greatest value and that another key was ever seen cannot: where
//! what is taken back may be what they come from, and what is told instead does not say the same, the state is of no use.

use super::declare::Lane;
use super::life::Life;
use super::run::{Events, Rows, Run, rows_of, selected};
use super::sort::Sorted;
use super::state::State;
use super::sweep::Totals;
use super::{NO_KEY, NO_VALUE};
use crate::error::Result;
use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};

/// All that is told of an event: entity, happening, knowledge, value, other key, label. One that is known before it happened is
/// the same as one known when it did.
type Whole = (u32, i64, i64, i64, u32, bool);

fn whole(entity: u32, rows: &Rows<'_>, at: usize) -> Whole {
    let happened = rows.happened[at];
    let other = rows.other.get(at).copied().unwrap_or(NO_KEY);
    let label = rows.label.get(at).copied().unwrap_or_default();
    (entity, happened, rows.known(at).max(happened), rows.value(at), other, label)
}

impl State {
    /// Takes back events that were taken in, and takes in others in their place. `false`: it cannot be told what is left, and the
    /// state is of no use any more.
    ///
    /// # Errors
    /// [`Error::Invariant`](crate::error::Error::Invariant), with the state as it was: columns of different lengths or missing.
    pub fn exchange(&mut self, gone: &Events, new: &Events) -> Result<bool> {
        let needs = self.declarations.needs;
        gone.check(needs)?;
        new.check(needs)?;
        let run = |events: &Events| Run::new(events, needs, &Sorted::new(events.entity, events.happened_at));
        let (mut gone, mut new) = (run(gone), run(new));
        // Most states do not look at what was corrected, and need not be looked through.
        let [of_gone, of_new] = differing(&gone, &new);
        gone.keep(&of_gone);
        new.keep(&of_new);
        if gone.len() > 0 && !self.take_back(&gone, &new) {
            return Ok(false);
        }
        if new.len() > 0 {
            self.admit(new);
        }
        Ok(true)
    }

    fn take_back(&mut self, gone: &Run, new: &Run) -> bool {
        gone.entity.chunk_by(|a, b| a == b).for_each(|same| self.heavies.forget(same[0]));
        let horizon = self.horizon;
        let lives = self.declarations.lanes.iter().zip(&mut self.lives).filter(|(lane, _)| lane.span.is_none());
        for (lane, life) in lives {
            if !life.give_back(lane, gone, new, horizon) {
                return false;
            }
        }
        let rows = gone.rows();
        let is_kept = self.reaches_back_to(horizon);
        let kept = (0..gone.len()).filter(|at| is_kept(rows.happened[*at], rows.known(*at)));
        let mut wanted: Vec<Whole> = kept.map(|at| whole(gone.entity[at], &rows, at)).collect();
        for run in &mut self.runs {
            wanted = run.take_out(&wanted);
        }
        self.runs.retain(|run| run.len() > 0);
        wanted.is_empty()
    }
}

/// The rows of two runs, ascending, that the other does not have, as often as each has them.
fn differing(one: &Run, other: &Run) -> [Vec<u32>; 2] {
    let in_order = |run: &Run| {
        let rows = run.rows();
        let mut all: Vec<(Whole, u32)> =
            (0..run.len()).map(|at| (whole(run.entity[at], &rows, at), at as u32)).collect();
        all.sort_unstable();
        all
    };
    let (ours, theirs) = (in_order(one), in_order(other));
    let (mut of_one, mut of_other) = (Vec::new(), Vec::new());
    let (mut at, mut there) = (0, 0);
    while at < ours.len() || there < theirs.len() {
        let order = match (ours.get(at), theirs.get(there)) {
            (Some((a, _)), Some((b, _))) => a.cmp(b),
            (Some(_), None) => Ordering::Less,
            _ => Ordering::Greater,
        };
        if order.is_lt() {
            of_one.push(ours[at].1);
        } else if order.is_gt() {
            of_other.push(theirs[there].1);
        }
        at += usize::from(order.is_le());
        there += usize::from(order.is_ge());
    }
    of_one.sort_unstable();
    of_other.sort_unstable();
    [of_one, of_other]
}

impl Run {
    /// Drops events, which come by entity and happening; those that it does not have.
    fn take_out(&mut self, wanted: &[Whole]) -> Vec<Whole> {
        let (mut found, mut missing) = (Vec::new(), Vec::new());
        let rows = self.rows();
        let mut start = 0;
        for same in wanted.chunk_by(|a, b| (a.0, a.1) == (b.0, b.1)) {
            let (entity, at, ..) = same[0];
            let of_entity = rows_of(&self.entity, entity, start);
            start = of_entity.start;
            let times = &rows.happened[of_entity.clone()];
            let first = of_entity.start + times.partition_point(|happened| *happened < at);
            let end = of_entity.start + times.partition_point(|happened| *happened <= at);
            let mut open: BTreeMap<Whole, u32> = BTreeMap::new();
            same.iter().for_each(|event| *open.entry(*event).or_default() += 1);
            for row in first..end {
                if let Some(left) = open.get_mut(&whole(entity, &rows, row)).filter(|left| **left > 0) {
                    *left -= 1;
                    found.push(row as u32);
                }
            }
            missing.extend(open.into_iter().flat_map(|(event, left)| (0..left).map(move |_| event)));
        }
        self.drop_rows(&found);
        missing
    }

    /// Drops some rows, ascending, where they lie: a run is long, and few of its rows are wrong.
    fn drop_rows(&mut self, rows: &[u32]) {
        fn of<T: Copy>(column: &mut Vec<T>, rows: &[u32]) {
            let Some(first) = rows.first().filter(|_| !column.is_empty()) else { return };
            let mut end = *first as usize;
            for (nth, row) in rows.iter().enumerate() {
                let next = rows.get(nth + 1).map_or(column.len(), |next| *next as usize);
                let stretch = *row as usize + 1..next;
                let length = stretch.len();
                column.copy_within(stretch, end);
                end += length;
            }
            column.truncate(end);
        }
        if rows.is_empty() {
            return;
        }
        of(self.entity.edit(), rows);
        of(self.happened.edit(), rows);
        // An absent column stays what it is, wherever it lies.
        let is_there = |length: usize| length > 0;
        is_there(self.known.len()).then(|| of(self.known.edit(), rows));
        is_there(self.value.len()).then(|| of(self.value.edit(), rows));
        is_there(self.other.len()).then(|| of(self.other.edit(), rows));
        of(&mut self.label, rows);
    }
}

impl Life {
    /// Subtracts what entered the lane before `horizon`. `false` where it cannot be told what is left, even with `new` in its
    /// place.
    fn give_back(&mut self, lane: &Lane, gone: &Run, new: &Run, horizon: i64) -> bool {
        let (rows, instead) = (gone.rows(), new.rows());
        let entered = |rows: &Rows<'_>, at: usize| lane.enters(rows.happened[at], rows.known(at)) < horizon;
        let (mut emptied, mut start) = (Vec::new(), 0);
        let gone_before = selected(gone.len(), |at| entered(&rows, at));
        for of_one in gone_before.chunk_by(|a, b| gone.entity[*a as usize] == gone.entity[*b as usize]) {
            let entity = gone.entity[of_one[0] as usize];
            let mut totals = Totals::default();
            of_one.iter().for_each(|at| totals.add(lane, &rows, *at as usize));
            let of_new = rows_of(&new.entity, entity, start);
            start = of_new.end;
            let of_new: Vec<usize> = of_new.filter(|at| entered(&instead, *at)).collect();
            let mut told_instead = Totals::default();
            of_new.iter().for_each(|at| told_instead.add(lane, &instead, *at));
            let before = self.columns().before(entity).totals;
            let Some(left) = without(lane, &before, &totals, &told_instead) else { return false };
            self.put(entity, &left);
            if left.count == 0 {
                emptied.push(entity);
            } else if lane.needs.distinct {
                let others: BTreeSet<u32> = of_new.iter().map(|at| instead.other[*at]).collect();
                let mut others_gone = of_one.iter().map(|at| rows.other[*at as usize]);
                if others_gone.any(|other| other != NO_KEY && !others.contains(&other)) {
                    return false;
                }
            }
        }
        if lane.needs.distinct {
            self.others.forget(&emptied);
        }
        true
    }
}

/// What is left of totals before without some of them, which may go on being so great as they were where that is told `instead`.
/// `None`: it cannot be told.
fn without(lane: &Lane, before: &Totals, gone: &Totals, instead: &Totals) -> Option<Totals> {
    let count = before.count.checked_sub(gone.count)?;
    if count == 0 {
        return Some(Totals::default());
    }
    let needs = lane.needs;
    let fewer = |needed: bool, before: u32, gone: u32| if needed { before.checked_sub(gone) } else { Some(before) };
    let valued = fewer(needs.value(), before.valued, gone.valued)?;
    if needs.last && gone.last >= before.last && instead.last < before.last {
        return None;
    }
    let max = match needs.max && gone.max >= before.max && gone.valued > 0 {
        true if valued == 0 => NO_VALUE,
        true if instead.valued == 0 || instead.max < before.max => return None,
        _ => before.max,
    };
    let sum = if needs.sum { before.sum - gone.sum } else { before.sum };
    Some(Totals { sum, last: before.last, max, count, valued, hits: fewer(needs.hits, before.hits, gone.hits)? })
}
