//! Scores of new orders, given once: features are counted when an order has been waited for, and logged.
//!
//! Only what came and what has become known is looked at. Days on which anything is new are decided again, since orders of
//! one day share the desk's capacity; the probabilities of orders scored before stay.

mod lessons;
mod logged;
mod places;
mod read;
mod saved;

pub(super) use lessons::Lesson;
pub(super) use read::{READ, unread};
pub(super) use saved::Taken;

use super::agenda::Agenda;
use super::log::Log;
use crate::config::Pipeline;
use crate::contract::feature::EventKind;
use crate::contract::input::{Kind, table};
use crate::error::{Error, Result};
use crate::features::{Following, Step, Sub, TOLD_AT, labels};
use crate::ingest::{Group, Growing, Ingested, PLACE, TypedFile, key_hashes};
use crate::pipeline::as_of::known_at;
use crate::pipeline::desk;
use crate::pipeline::training::feature_terms;
use crate::types::time::local_day;
use foldhash::quality::FixedState;
use places::{Places, numbers};
use polars::prelude::*;
use rayon::prelude::*;
use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::path::Path;
use std::time::Instant;

/// What is read of an order that was told, and of its lines, beside the times at which something becomes known: what they are
/// called, and what became of them.
const OUTCOMES: &[&str] = &["order_id", "line", "fraud"];

/// The table of order lines.
const LINES: &str = "order_items";

/// Tables whose rows are events of their own.
const EVENTS: [&str; 3] = ["returns", "tickets", "feedback"];

/// Groups that ask nothing and are told of at a time: more than an epoch touches.
const TOLD_AT_ONCE: usize = 1 << 18;

/// How many times the events that were kept by the last expiry the engine holds before it lets go again of what nothing can
/// reach any more, and the events that it holds in any case: expiry looks at all of them. While a checkpoint is written what
/// it changes would have to be copied first, so that it waits for the end of that, or until there are as many more.
const EXPIRE_AT_TIMES: usize = 2;
const EXPIRE_ANYWAY_AT_TIMES: usize = 3;
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

/// A row that came after the watermark had passed its time.
pub(super) struct LateRow {
    pub(super) table: &'static str,
    pub(super) order_id: Option<String>,
    /// When it was to be known, UTC microseconds.
    pub(super) at: i64,
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
        let features = match self.tell_all(out, (&touched, &decided_on), (as_of, before), &mut stepped)? {
            (Step::Features(features), asking) => Some((features, asking)),
            (Step::Anew, _) => {
                let everything: Vec<Group> = self.growing.groups().collect();
                // It takes as long as a start: whoever wonders about a slow epoch finds the reason.
                tracing::info!(
                    groups = everything.len(),
                    "what orders had been counted by was corrected, or other features can be fed: counted anew"
                );
                match self.tell_all(out, (&everything, &[]), (as_of, None), &mut stepped)? {
                    (Step::Features(features), asking) => Some((features, asking)),
                    (Step::Anew, _) => None,
                }
            }
        };
        let Some((features, asking)) = features else {
            return Err(Error::Invariant("features were made anew, and still are not what was told".to_owned()));
        };
        stepped.scored = asking.len() as u64;
        self.enter(out, &features, &asking, &mut stepped)?;
        stepped.asked = asking.into_iter().zip(features.placed_at.iter().copied()).collect();
        stepped.touched = touched;
        self.steps += 1;
        self.expire(as_of, is_shared)?;
        Ok(stepped)
    }

    /// Keeps the engine within a multiple of what it needs.
    fn expire(&mut self, as_of: i64, is_shared: bool) -> Result<()> {
        let times = if is_shared { EXPIRE_ANYWAY_AT_TIMES } else { EXPIRE_AT_TIMES };
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

    /// Tells the engine of any number of groups, some of which were placed anew; the groups of the orders that asked. Others
    /// are told some at a time, so that their tables are never held whole, and the last of them with those that ask.
    fn tell_all(
        &mut self,
        out: &Path,
        (touched, anew): (&[Group], &[Group]),
        clocks: (i64, Option<i64>),
        stepped: &mut Stepped,
    ) -> Result<(Step, Vec<Group>)> {
        let (asking, others): (Vec<Group>, Vec<Group>) =
            touched.iter().copied().partition(|group| self.asks(*group, clocks.0));
        let (before, last) = others.split_at(others.len().saturating_sub(TOLD_AT_ONCE));
        for some in before.chunks(TOLD_AT_ONCE) {
            if let again @ Step::Anew = self.tell(out, &[], (some, anew), clocks, stepped)? {
                return Ok((again, Vec::new()));
            }
        }
        Ok((self.tell(out, &asking, (last, anew), clocks, stepped)?, asking))
    }

    /// Whether a group has an order from before the clock that was not scored.
    fn asks(&self, group: Group, as_of: i64) -> bool {
        self.log.day_of(group).is_none() && self.growing.placed_at(group).is_some_and(|at| at <= as_of)
    }

    /// Tells the engine of groups that ask, in their order, and of others, some of which were placed anew (ascending).
    fn tell(
        &mut self,
        out: &Path,
        asking: &[Group],
        (others, anew): (&[Group], &[Group]),
        (as_of, before): (i64, Option<i64>),
        stepped: &mut Stepped,
    ) -> Result<Step> {
        // Of an order that was told, and is as it was then, nothing is read again but what happened to it.
        let lines_last = self.growing.rows_last(LINES);
        let is_kept = |group: &Group| {
            let mut lines = self.growing.row_numbers(LINES, *group).filter(|_| lines_last);
            self.following.keeps(*group)
                && anew.binary_search(group).is_err()
                && lines.all(|line| self.following.keeps_line(line))
        };
        let (kept, read): (Vec<Group>, Vec<Group>) = others.iter().partition(|group| is_kept(group));
        tracing::debug!(asking = asking.len(), read = read.len(), kept = kept.len(), "orders told of");
        let order: Vec<Group> = asking.iter().chain(&read).chain(&kept).copied().collect();
        let whole = asking.len() + read.len();
        let kept_columns = [TOLD_AT, OUTCOMES].concat();
        let tables = self.growing.of_groups_but(&order, whole, &kept_columns)?;
        let all = tables.clone();
        let mut tables = self.known(out, tables, as_of)?;
        let Places { orders: numbers, rows: order_rows, lines } = Places::take_out(&mut tables, &order)?;
        let hashes = |name: &&'static str| {
            let (frame, contract) = (tables.get(name)?, table(name)?);
            Some(key_hashes(contract, frame).map(|hashes| (*name, hashes)))
        };
        let rows: BTreeMap<&'static str, Vec<u128>> = EVENTS.par_iter().filter_map(hashes).collect::<Result<_>>()?;
        if let Some(before) = before {
            self.late(&tables, &rows, asking.len(), before, stepped)?;
        }
        // Fallen away, or placed later than the clock by a correction; those that wait were never told of.
        let gone: Vec<Group> = match numbers.len() == order.len() {
            true => Vec::new(),
            false => {
                let there: HashSet<Group, FixedState> = numbers.iter().copied().collect();
                order.iter().copied().filter(|group| !there.contains(group)).collect()
            }
        };
        let whole = match gone.is_empty() {
            true => whole,
            false => numbers.iter().take_while(|group| kept.binary_search(group).is_err()).count(),
        };
        let sub = Sub {
            tables: &tables,
            orders: &numbers,
            gone: &gone,
            asking: asking.len(),
            whole,
            rows: &rows,
            order_rows: &order_rows,
            line_rows: lines_last.then_some(&lines),
        };
        let terms = feature_terms(self.pipeline, as_of);
        // Everything was entered when it came: what is made anew changes nothing of that.
        let enters = before.is_some() || self.steps == 0;
        let (mut following, mut agenda) = (std::mem::take(&mut self.following), std::mem::take(&mut self.agenda));
        let enter = || -> Result<()> {
            if enters {
                let awaited = self.awaited(order.len(), &all, as_of)?;
                order.iter().zip(awaited).for_each(|(group, at)| agenda.enter(*group, at));
            }
            Ok(())
        };
        let (step, entered) = rayon::join(|| following.step(&sub, &self.pipeline.features, &terms), enter);
        (self.following, self.agenda) = (following, agenda);
        entered?;
        step
    }

    /// Tables as known at the clock, the desk's decisions among them.
    fn known(
        &self,
        out: &Path,
        tables: BTreeMap<&'static str, DataFrame>,
        as_of: i64,
    ) -> Result<BTreeMap<&'static str, DataFrame>> {
        let mut ingested = Ingested::of_tables(tables);
        desk::take_in(out, &mut ingested)?;
        known_at(&mut ingested.tables, as_of)?;
        Ok(ingested.tables)
    }

    fn numbers_of(&self, orders: &DataFrame) -> Result<Vec<Group>> {
        let groups = self.growing.groups_of(&ids(orders)?);
        Ok(groups.into_iter().map(|group| group.unwrap_or(Group::MAX)).collect())
    }

    /// When something of each group becomes known next; `i64::MAX` where nothing is awaited.
    fn awaited(&self, groups: usize, tables: &BTreeMap<&'static str, DataFrame>, as_of: i64) -> Result<Vec<i64>> {
        let terms = feature_terms(self.pipeline, as_of);
        // That a parcel came tells something where deliveries are counted, and of what was asked back before it came; else it
        // only sets when the outcome is settled, which is foreseen.
        let counts_deliveries = self.pipeline.features.iter().any(|spec| spec.events == EventKind::Delivery);
        let mut delivery_tells = vec![counts_deliveries; groups];
        let returned = tables.get("returns").map(|frame| numbers(frame, PLACE)).transpose()?.flatten();
        returned.into_iter().flatten().for_each(|place| delivery_tells[place as usize] = true);
        let mut next = vec![i64::MAX; groups];
        let mut ahead = |place: u32, at: i64| {
            if at > as_of {
                let known = &mut next[place as usize];
                *known = at.min(*known);
            }
        };
        for (name, frame) in tables {
            let Some(contract) = table(name) else { continue };
            let places = numbers(frame, PLACE)?.unwrap_or_default();
            for column in contract.columns.iter().filter(|c| c.kind == Kind::Instant && TOLD_AT.contains(&c.name)) {
                if frame.get_column_index(column.name).is_some() {
                    let is_delivery = column.name == "delivered_at";
                    for (place, at) in places.iter().zip(ints(frame, column.name)?) {
                        if !is_delivery || delivery_tells[*place as usize] {
                            at.into_iter().for_each(|at| ahead(*place, at));
                        }
                    }
                }
            }
            if *name == "orders" {
                let delivered = match frame.get_column_index("delivered_at") {
                    Some(_) => ints(frame, "delivered_at")?,
                    None => vec![None; frame.height()],
                };
                for ((place, placed), delivered) in places.iter().zip(ints(frame, "placed_at")?).zip(delivered) {
                    let Some(placed) = placed else { continue };
                    labels::settled_at(placed, delivered, &terms).for_each(|at| ahead(*place, at));
                }
            }
        }
        Ok(next)
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

    /// Counts what is older than the watermark was, and new.
    fn late(
        &self,
        tables: &BTreeMap<&'static str, DataFrame>,
        rows: &BTreeMap<&'static str, Vec<u128>>,
        asking: usize,
        before: i64,
        stepped: &mut Stepped,
    ) -> Result<()> {
        for (name, frame) in
            tables.iter().filter(|(name, frame)| frame.height() > 0 && (**name == "orders" || rows.contains_key(*name)))
        {
            let Some(contract) = table(name) else { continue };
            let ids = ids(frame)?;
            // Of orders, those that ask are new.
            let frame = if rows.contains_key(name) { frame } else { &frame.slice(0, asking) };
            // What becomes known after it happened is late by when it was known.
            let known = match frame.get_column_index("known_at") {
                Some(_) => ints(frame, "known_at")?,
                None => Vec::new(),
            };
            for (row, happened) in ints(frame, contract.clock)?.into_iter().enumerate() {
                let at = happened.max(known.get(row).copied().flatten());
                let is_new = || rows.get(name).is_none_or(|rows| !self.following.knows(rows[row]));
                if let Some(at) = at.filter(|at| *at < before && is_new()) {
                    stepped.late.push(LateRow { table: name, order_id: ids.get(row).map(str::to_owned), at });
                }
            }
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

fn ints(frame: &DataFrame, name: &str) -> Result<Vec<Option<i64>>> {
    crate::pipeline::scores::ints(frame, name)
}
