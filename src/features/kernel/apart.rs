//! An entity's answers in a lane whose totals add up, out of several runs: no event is moved, and most are looked at once.
//!
//! The first question is answered from all that it sees, each later one from what changed since. A small step asks of much at
//! nearly one instant, so that little does.

use super::declare::Lane;
use super::run::Rows;
use super::sweep::{Asked, Totals};
use super::walk::put_answers;
use std::ops::Range;

/// An event that questions after the first see and earlier ones do not, or the other way round.
#[derive(Debug, Clone, Copy)]
pub(super) struct Change {
    /// Questions after this instant.
    after: i64,
    /// Which run it is of.
    run: usize,
    row: usize,
    enters: bool,
}

/// Answers one entity's queries from its rows of each run and what it had before. `false` if a sum left the 64 bits.
pub(super) fn add_up<'r>(
    lane: &Lane,
    runs: impl Iterator<Item = (&'r Rows<'r>, Range<usize>)> + Clone,
    before: Totals,
    asked: Asked,
    changes: &mut Vec<Change>,
) -> bool {
    let (Some(&first), Some(&last)) = (asked.at.first(), asked.at.last()) else { return true };
    let span = Questions { lane, first, last, horizon: asked.horizon };
    let mut totals = before;
    changes.clear();
    for (number, (run, rows)) in runs.clone().enumerate().filter(|(_, (_, rows))| !rows.is_empty()) {
        match run.known.is_empty() {
            true => span.punctual(number, run, rows, &mut totals, changes),
            false => span.any(number, run, rows, &mut totals, changes),
        }
    }
    changes.sort_unstable_by_key(|change| change.after);
    let mut changes = changes.iter().peekable();
    let mut fits = true;
    for (&at, &row) in asked.at.iter().zip(asked.rows) {
        while let Some(change) = changes.next_if(|change| change.after < at) {
            let Some((run, _)) = runs.clone().nth(change.run) else { continue };
            match change.enters {
                true => totals.add(lane, run, change.row),
                false => totals.remove(lane, run, change.row),
            }
        }
        fits &= put_answers((lane, asked.sinks), (row, at), &totals, 0, None);
    }
    fits
}

/// An entity's questions in a lane, from the first to the last.
struct Questions<'a> {
    lane: &'a Lane,
    first: i64,
    last: i64,
    horizon: i64,
}

impl Questions<'_> {
    /// Events that were all known when they happened: those that enter or leave are stretches, and the others are not looked at.
    fn punctual(&self, number: usize, run: &Rows, rows: Range<usize>, totals: &mut Totals, changes: &mut Vec<Change>) {
        let lane = self.lane;
        let happened = &run.happened[rows.clone()];
        let begin = |before: i64| rows.start + happened.partition_point(|&happened| happened < before);
        let enter = begin(self.first.saturating_sub(lane.delay))..begin(self.last.saturating_sub(lane.delay));
        let leave = match lane.span {
            Some(_) => begin(lane.floor(self.first))..begin(lane.floor(self.last)),
            // What entered before the horizon is in the totals it begins with.
            None => {
                let begins = begin(self.horizon.saturating_sub(lane.delay));
                begins..begins
            }
        };
        totals.add_all(lane, run, leave.start.min(enter.start)..enter.start);
        let change = |row: usize, enters: bool| Change {
            after: self.after(run.happened[row], enters),
            run: number,
            row,
            enters,
        };
        changes.extend((enter.start.max(leave.start)..enter.end).map(|row| change(row, true)));
        changes.extend(leave.map(|row| change(row, false)));
    }

    /// Events of which any may have been known late.
    fn any(&self, number: usize, run: &Rows, rows: Range<usize>, totals: &mut Totals, changes: &mut Vec<Change>) {
        let lane = self.lane;
        for row in rows {
            let happened = run.happened[row];
            let enters = lane.enters(happened, run.known(row));
            let mut change = |after: i64, enters: bool| changes.push(Change { after, run: number, row, enters });
            if lane.span.is_some() {
                let leaves = self.after(happened, false);
                if enters >= leaves || leaves < self.first || enters >= self.last {
                    continue;
                }
                if leaves < self.last {
                    change(leaves, false);
                }
            } else if enters < self.horizon {
                continue;
            }
            if enters < self.first {
                totals.add(lane, run, row);
            } else if enters < self.last {
                change(enters, true);
            }
        }
    }

    /// After which instant an event that was known when it happened is seen, or is not seen any more.
    fn after(&self, happened: i64, enters: bool) -> i64 {
        let enters_after = happened.saturating_add(self.lane.delay);
        if enters { enters_after } else { enters_after.saturating_add(self.lane.span.unwrap_or(i64::MAX)) }
    }
}
