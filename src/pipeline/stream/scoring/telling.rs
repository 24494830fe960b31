//! The engine is told of what is new, and of what has become known.

use super::places::numbers;
use super::{Scoring, Stepped};
use crate::contract::feature::EventKind;
use crate::contract::input::{Kind, table};
use crate::error::Result;
use crate::features::{Features, Following, Replaced, Step, Sub, TOLD_AT, labels};
use crate::ingest::{Group, Ingested, PLACE};
use crate::pipeline::as_of::known_at;
use crate::pipeline::desk;
use crate::pipeline::scores::ints;
use crate::pipeline::training::feature_terms;
use foldhash::quality::FixedState;
use polars::prelude::*;
use std::collections::{BTreeMap, HashSet};
use std::path::Path;

/// What is read of an order that was told, and of its lines, beside the times at which something becomes known: what they are
/// called, and what became of them.
const OUTCOMES: &[&str] = &["order_id", "line", "fraud"];

/// The table of order lines.
pub(super) const LINES: &str = "order_items";

/// Groups that ask nothing and are told of at a time: more than an epoch touches.
const TOLD_AT_ONCE: usize = 1 << 18;

impl Scoring<'_> {
    /// Tells the engine of any number of groups, some of which were placed anew; features of the orders that asked, and their
    /// groups. Others are told some at a time, so that their tables are never held whole, and the last of them with those that
    /// ask. `None` where it is to be told of everything anew.
    pub(super) fn tell_all(
        &mut self,
        out: &Path,
        (touched, anew): (&[Group], &[Group]),
        clocks: (i64, Option<i64>),
        stepped: &mut Stepped,
    ) -> Result<Option<(Box<Features>, Vec<Group>)>> {
        let (asking, others): (Vec<Group>, Vec<Group>) =
            touched.iter().copied().partition(|group| self.asks(*group, clocks.0));
        let (before, last) = others.split_at(others.len().saturating_sub(TOLD_AT_ONCE));
        for some in before.chunks(TOLD_AT_ONCE) {
            if self.tell(out, &[], (some, anew), clocks, stepped)?.is_none() {
                return Ok(None);
            }
        }
        let features = self.tell(out, &asking, (last, anew), clocks, stepped)?;
        Ok(features.map(|features| (features, asking)))
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
    ) -> Result<Option<Box<Features>>> {
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
        let all = self.growing.of_groups_but(&order, whole, &kept_columns)?;
        let gathered = self.gathered(out, all.clone(), &order, as_of)?;
        if let Some(before) = before {
            self.late(&gathered, asking.len(), before, stepped)?;
        }
        let numbers = &gathered.orders;
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
        let is_here = |group: &Group| [asking, others].iter().any(|all| all.binary_search(group).is_ok());
        let replaced = self.replaced.iter().filter(|(_, group)| is_here(group)).map(|(row, group)| (*row, *group));
        let replaced: Replaced = replaced.collect();
        let sub = Sub { gone: &gone, asking: asking.len(), whole, replaced: &replaced, ..gathered.sub(lines_last) };
        let terms = feature_terms(self.pipeline, as_of);
        // Everything was entered when it came: what is made anew changes nothing of that.
        let enters = before.is_some() || self.steps == 0;
        let features = &self.pipeline.features;
        let (mut following, mut agenda) = (std::mem::take(&mut self.following), std::mem::take(&mut self.agenda));
        let enter = || -> Result<()> {
            if enters {
                let awaited = self.awaited(order.len(), &all, as_of)?;
                order.iter().zip(awaited).for_each(|(group, at)| agenda.enter(*group, at));
            }
            Ok(())
        };
        let (step, entered) = rayon::join(|| following.step(&sub, features, &terms), enter);
        (self.following, self.agenda) = (following, agenda);
        entered?;
        let mut step = step?;
        // Placements first, then what became of other orders.
        for _ in 0..2 {
            if let Step::Wrong(groups) = &step {
                if !self.correct(out, groups, as_of)? {
                    return Ok(None);
                }
                step = self.following.step(&sub, features, &terms)?;
            }
        }
        match step {
            Step::Features(features) => Ok(Some(features)),
            Step::Anew => Ok(None),
            Step::Wrong(_) => {
                self.following = Following::default();
                Ok(None)
            }
        }
    }

    /// Tables as known at the clock, the desk's decisions among them.
    pub(super) fn known(
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
}
