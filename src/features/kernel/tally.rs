//! How many events are in a window, where nothing else is asked of an entity: two clocks instead of a walk.
//!
//! An event is counted by the queries with `enters < T ≤ leaves`, where `leaves = happened + delay + span`. So their number at T
//! is how many entered before T less how many left before it, and which ones these were does not matter: what is known late
//! stands in no order with what happened, and nothing has to be put among the events of before. Times that have not come wait
//! by stretches of time, unsorted until their stretch comes.

use super::declare::Lane;
use super::run::Rows;
use super::sweep::{Asked, Totals};
use super::walk::put_answers;
use std::collections::BTreeMap;
use std::ops::Range;

/// A stretch is 2³⁴ µs, some five hours: few to look among, and little to sort at a time.
const STRETCH_BITS: u32 = 34;

/// Events of one entity in a lane that only counts.
#[derive(Debug, Clone)]
pub(super) struct Tally {
    /// The latest T.
    pub(super) at: i64,
    /// Number of events that it sees.
    count: u32,
    /// When events enter, and when they leave, that have not done so before the latest T.
    entering: Times,
    leaving: Times,
}

impl Tally {
    /// Before the first T, with the events that are in the totals of the whole life.
    pub(super) fn new(count: u32) -> Self {
        Self { at: i64::MIN, count, entering: Times::default(), leaving: Times::default() }
    }

    /// Takes in events. Those that entered a lifetime lane before `horizon` are in the totals.
    pub(super) fn take(&mut self, lane: &Lane, run: &Rows<'_>, rows: Range<usize>, horizon: i64) {
        for row in rows {
            let (happened, enters) = (run.happened[row], lane.enters(run.happened[row], run.known(row)));
            let is_seen = match lane.span {
                Some(span) => {
                    let leaves = happened.saturating_add(lane.delay).saturating_add(span);
                    let is_seen = enters < leaves && self.at <= leaves;
                    if is_seen {
                        self.leaving.push(leaves);
                    }
                    is_seen
                }
                None => enters >= horizon,
            };
            match is_seen {
                true if enters < self.at => self.count += 1,
                true => self.entering.push(enters),
                false => {}
            }
        }
    }

    /// Goes on to a T that nobody asks of; no query before it will come.
    pub(super) fn pass(&mut self, at: i64) {
        if at > self.at {
            let (entered, left) = (self.entering.before(at).len(), self.leaving.before(at).len());
            self.count = self.count + entered as u32 - left as u32;
            self.at = at;
        }
    }

    /// Answers queries, none of which is before the latest T.
    pub(super) fn answer(&mut self, lane: &Lane, asked: Asked) {
        let Some(&last) = asked.at.last() else { return };
        let (entering, leaving) = (self.entering.before(last), self.leaving.before(last));
        let (mut entered, mut left) = (0, 0);
        for (&at, &row) in asked.at.iter().zip(asked.rows) {
            entered += entering[entered..].iter().take_while(|enters| **enters < at).count();
            left += leaving[left..].iter().take_while(|leaves| **leaves < at).count();
            // What has left has entered before.
            let totals = Totals { count: self.count + entered as u32 - left as u32, ..Totals::default() };
            put_answers((lane, asked.sinks), (row, at), &totals, 0, None);
        }
        self.count = self.count + entered as u32 - left as u32;
        self.at = last;
    }
}

/// Times to come, each as often as it was put in.
#[derive(Debug, Clone, Default)]
struct Times {
    stretches: BTreeMap<i64, Vec<i64>>,
}

impl Times {
    fn push(&mut self, at: i64) {
        self.stretches.entry(at >> STRETCH_BITS).or_default().push(at);
    }

    /// Takes out the times before another, sorted.
    fn before(&mut self, end: i64) -> Vec<i64> {
        let last = end >> STRETCH_BITS;
        let later = self.stretches.split_off(&last);
        let mut times = std::mem::replace(&mut self.stretches, later).into_values().flatten().collect::<Vec<i64>>();
        if let Some(of_last) = self.stretches.get_mut(&last) {
            times.extend(of_last.extract_if(.., |at| *at < end));
            if of_last.is_empty() {
                self.stretches.remove(&last);
            }
        }
        times.sort_unstable();
        times
    }
}

#[cfg(test)]
mod tests {
    use super::super::columns::{Sink, Spare, Values};
    use super::super::{Aggregate, Declaration, Declarations, Window};
    use super::*;
    use proptest::prelude::*;

    /// Instants near one another and many stretches apart.
    fn instant() -> impl Strategy<Value = i64> {
        prop_oneof![0..50_i64, -20 * DAY..20 * DAY, (-400..400_i64).prop_map(|stretch| stretch << STRETCH_BITS)]
    }

    const DAY: i64 = 24 * 3_600 * 1_000_000;

    proptest! {
        #[test]
        fn what_is_counted_over_many_stretches_is_what_lies_in_the_window(
            events in prop::collection::vec((instant(), instant(), 0..3_usize), 0..60),
            queries in prop::collection::vec(prop::collection::vec(instant(), 0..8), 3),
            span in prop_oneof![Just(None), prop_oneof![1..40_i64, 1..30 * DAY].prop_map(Some)],
            delay in prop_oneof![Just(0), 0..3 * DAY],
            horizon in prop_oneof![Just(i64::MIN), instant()],
            passes: bool,
        ) {
            let window = span.map_or(Window::Lifetime, Window::Span);
            let declared = Declaration::new("counted", Aggregate::Count, window).delayed(delay);
            let declared = Declarations::new(vec![declared]).unwrap();
            let lane = &declared.lanes[0];
            let mut asked: Vec<i64> = queries.iter().flatten().copied().collect();
            asked.sort_unstable();
            let mut tally = Tally::new(7);
            let mut first = 0;
            for (step, queries) in queries.iter().enumerate() {
                let new: Vec<_> = events.iter().filter(|(.., of)| *of == step).collect();
                let happened: Vec<i64> = new.iter().map(|(happened, ..)| *happened).collect();
                let known: Vec<i64> = new.iter().map(|(_, known, _)| *known).collect();
                let rows = Rows { happened: &happened, known: &known, value: &[], other: &[], label: &[] };
                tally.take(lane, &rows, 0..new.len(), horizon);
                if let Some(next) = asked.get(first).filter(|_| passes) {
                    tally.pass(*next);
                }
                let at = &asked[first..first + queries.len()];
                first += queries.len();
                let sinks = [Sink::new(Aggregate::Count, at.len())];
                let rows: Vec<u32> = (0..at.len() as u32).collect();
                tally.answer(lane, Asked { at, rows: &rows, sinks: &sinks, horizon });
                let [sink] = sinks;
                let seen = at.iter().map(|at| {
                    let counts = |(happened, known, of): &&(i64, i64, usize)| {
                        let enters = lane.enters(*happened, *known);
                        let reaches = if span.is_some() { *happened >= lane.floor(*at) } else { enters >= horizon };
                        *of <= step && enters < *at && reaches
                    };
                    7 + events.iter().filter(counts).count() as u32
                });
                prop_assert_eq!(sink.finish(None, &mut Spare::default()), Values::Count(seen.collect()));
            }
        }
    }
}
