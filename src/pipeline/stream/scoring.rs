//! Scores of new orders, given once: features are counted when an order has been waited for, and logged.
//!
//! Only what came and what has become known is looked at. Days on which anything is new are decided again, since orders of
//! one day share the desk's capacity; the probabilities of orders scored before stay.

mod correcting;
mod gathered;
mod late;
mod lessons;
mod logged;
mod places;
mod read;
mod saved;
mod telling;

pub(super) use late::LateRow;
pub(super) use lessons::Lesson;
pub(super) use read::{READ, unread};
pub(super) use saved::Taken;

use super::agenda::Agenda;
use super::log::Log;
use crate::config::Pipeline;
use crate::error::{Error, Result};
use crate::features::{Following, Replaced};
use crate::ingest::{Group, Growing, TypedFile};
use crate::pipeline::desk;
use crate::types::time::local_day;
use polars::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::Instant;

/// How many times the events that were kept by the last expiry the engine holds before it lets go again of what nothing can
/// reach any more, and the events that it holds in any case: expiry looks at all of them. It waits, until there are as many
/// more, while a checkpoint is written, since what it changes would have to be copied first, and in the first steps of a
/// process, which is behind when it starts and has to get to what has come since.
const EXPIRE_AT_TIMES: usize = 2;
const EXPIRE_ANYWAY_AT_TIMES: usize = 3;
const FIRST_STEPS: u64 = 3;
const HELD_ANYWAY: usize = 500_000;

/// Orders scored so far, and everything that the next ones need.
pub(super) struct Scoring<'a> {
    pipeline: &'a Pipeline,
    growing: Growing<'a>,
    following: Following,
    /// Groups that files have changed since the last step, in any order.
    changed: Vec<Group>,
    /// Those of them of which what is decided on has changed.
    decided_on: Vec<Group>,
    /// The same as `changed` of the step that is being made: ascending, each once.
    changed_before: Vec<Group>,
    /// Rows of events that others have replaced since the last step, with the groups that they were of.
    replaced: Replaced,
    /// When something about a group becomes known by the passing of time alone.
    agenda: Agenda,
    /// Features of the orders that were scored.
    log: Log,
    /// Hash of what the desk had decided at the last step.
    decided: Option<String>,
    steps: u64,
    /// Events that the engine kept when it last let go of others.
    kept: usize,
}

/// What a step did.
#[derive(Default)]
pub(super) struct Stepped {
    /// Days of which anything is new, as days since 1970-01-01.
    pub(super) days: BTreeSet<i32>,
    /// Orders that were scored.
    pub(super) scored: u64,
    /// What came later than was waited for.
    pub(super) late: Vec<LateRow>,
    /// Orders of which anything was looked at, and those that were scored, with when they were placed (UTC microseconds).
    pub(super) touched: Vec<Group>,
    pub(super) asked: Vec<(Group, i64)>,
}

impl<'a> Scoring<'a> {
    /// Nothing taken yet.
    pub(super) fn new(pipeline: &'a Pipeline) -> Self {
        Self {
            pipeline,
            growing: Growing::new(pipeline, READ, unread(pipeline)),
            following: Following::default(),
            changed: Vec::new(),
            decided_on: Vec::new(),
            changed_before: Vec::new(),
            replaced: Replaced::default(),
            agenda: Agenda::default(),
            log: Log::default(),
            decided: None,
            steps: 0,
            kept: 0,
        }
    }

    /// Takes in further files by source.
    ///
    /// # Errors
    /// As [`Growing::take`].
    pub(super) fn take(&mut self, new: &BTreeMap<String, Vec<TypedFile>>, end: i64) -> Result<()> {
        let changed = self.growing.take(new, end)?;
        self.changed.extend(changed.groups);
        self.decided_on.extend(changed.decided_on);
        Ok(())
    }

    /// When the newest order was placed that is not from after `end`.
    pub(super) fn newest(&self, end: i64) -> Option<i64> {
        self.growing.newest(end)
    }

    /// Orders that wait for the watermark.
    pub(super) fn waiting(&self) -> u64 {
        self.growing.orders().saturating_sub(self.log.orders()) as u64
    }

    /// Orders scored so far.
    pub(super) fn scored(&self) -> u64 {
        self.log.orders() as u64
    }

    /// Scores the orders that the watermark `as_of` has passed and tells the engine what is known by now. `before` is the
    /// watermark of the step before; what is older and new came late. `is_shared`: a checkpoint of this is being written.
    ///
    /// # Errors
    /// As [`Following::step`].
    pub(super) fn step(&mut self, out: &Path, (as_of, before): (i64, Option<i64>), is_shared: bool) -> Result<Stepped> {
        let mut touched = each_once(std::mem::take(&mut self.changed));
        self.changed_before.clone_from(&touched);
        let mut decided_on = std::mem::take(&mut self.decided_on);
        self.decided_anew(out, &mut decided_on)?;
        let decided_on = each_once(decided_on);
        touched.extend(&decided_on);
        let mut stepped = Stepped::default();
        for group in &decided_on {
            stepped.days.extend(self.log.day_of(*group));
        }
        self.moved(out, &mut stepped)?;
        touched.extend(self.agenda.take(as_of));
        let touched = each_once(touched);
        self.replaced = self.events_replaced()?;
        let features = match self.tell_all(out, (&touched, &decided_on), (as_of, before), &mut stepped)? {
            told @ Some(_) => told,
            None => {
                let everything: Vec<Group> = self.growing.groups().collect();
                // It takes as long as a start: whoever wonders about a slow epoch finds the reason.
                tracing::info!(
                    groups = everything.len(),
                    "what orders had been counted by was corrected, or other features can be fed: counted anew"
                );
                self.tell_all(out, (&everything, &[]), (as_of, None), &mut stepped)?
            }
        };
        let Some((features, asking)) = features else {
            return Err(Error::Invariant("features were made anew, and still are not what was told".to_owned()));
        };
        stepped.scored = asking.len() as u64;
        self.enter(out, &features, &asking, &mut stepped)?;
        stepped.asked = asking.into_iter().zip(features.placed_at.iter().copied()).collect();
        stepped.touched = touched;
        self.growing.mark();
        self.steps += 1;
        self.expire(as_of, is_shared)?;
        Ok(stepped)
    }

    /// Keeps the engine within a multiple of what it needs.
    fn expire(&mut self, as_of: i64, is_shared: bool) -> Result<()> {
        let times = if is_shared || self.steps <= FIRST_STEPS { EXPIRE_ANYWAY_AT_TIMES } else { EXPIRE_AT_TIMES };
        let held = self.following.size().1;
        if held > times * self.kept.max(HELD_ANYWAY) {
            let begun = Instant::now();
            let remember = crate::config::stream_span(&self.pipeline.raw.stream.remember);
            self.following.expire(as_of.saturating_sub(remember), |group| self.agenda.awaits(group))?;
            self.kept = self.following.size().1;
            let seconds = begun.elapsed().as_secs_f64();
            tracing::debug!(held, kept = self.kept, seconds, "events that nothing can reach any more are let go of");
        }
        Ok(())
    }

    /// An order that was placed on another day than was told before goes there, with its log.
    fn moved(&mut self, out: &Path, stepped: &mut Stepped) -> Result<()> {
        for group in &self.changed_before {
            let Some(at) = self.growing.placed_at(*group) else { continue };
            let day = local_day(at, self.pipeline.zone).unwrap_or_default();
            let Some(before) = self.log.day_of(*group).filter(|before| *before != day) else { continue };
            self.log.hold(out, [before, day], &self.growing)?;
            self.log.shift(*group, day);
            stepped.days.extend([before, day]);
        }
        Ok(())
    }

    fn numbers_of(&self, orders: &DataFrame) -> Result<Vec<Group>> {
        let groups = self.growing.groups_of(&ids(orders)?);
        Ok(groups.into_iter().map(|group| group.unwrap_or(Group::MAX)).collect())
    }

    /// What the desk has decided since the last step concerns orders of which nothing else is new.
    fn decided_anew(&mut self, out: &Path, touched: &mut Vec<Group>) -> Result<()> {
        let (hash, orders) = desk::decided(out)?;
        if hash != self.decided {
            touched.extend(orders.iter().filter_map(|order| self.growing.group(order)));
            self.decided = hash;
        }
        Ok(())
    }
}

fn each_once(mut groups: Vec<Group>) -> Vec<Group> {
    groups.sort_unstable();
    groups.dedup();
    groups
}

fn ids(frame: &DataFrame) -> Result<StringChunked> {
    frame.column("order_id").and_then(|c| c.str().cloned()).map_err(Error::frames("orders of a step"))
}
