//! Orders dealt to parts with everything that belongs to them, so that facts are made of one part at a time.

use super::Terms;
use super::engine::{Clock, Counted, Plan, Settings, States};
use super::facts::{Availability, Facts, History};
use super::measure::Measure;
use crate::config::TargetPack;
use crate::error::{Error, Result};
use polars::prelude::*;
use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hasher};
use std::ops::Range;
use std::sync::{Mutex, PoisonError};

/// Orders of a part, about. Facts of so many take some hundred megabytes; ten times as many are hardly quicker.
const ORDERS_IN_A_PART: usize = 1 << 18;

/// Tables that facts are made of.
const TABLES: [&str; 6] = ["orders", "order_items", "order_events", "returns", "tickets", "feedback"];

/// Counts lists of measures over tables as they are known at the run's clock, part by part, so that memory is that of the
/// tables, one part and the sums. Each list gives what [`super::count`] gives over the whole.
///
/// # Errors
/// As [`count_each`].
pub fn count_in_parts(
    tables: &BTreeMap<&'static str, DataFrame>,
    lists: &[&[Measure]],
    segments: &[String],
    targets: Option<&TargetPack>,
    (terms, clock): (&Terms, Clock),
    settings: &Settings,
) -> Result<Vec<Counted>> {
    let orders = tables.get("orders").cloned().unwrap_or_default();
    let whole = Whole { available: &Availability::of(tables), history: &History::of(&orders)? };
    let shards = Shards::new(tables, orders.height().div_ceil(ORDERS_IN_A_PART))?;
    let parts = (0..shards.parts).map(|part| shards.part(part));
    count_each(parts, whole, lists, segments, targets, (terms, clock), settings)
}

/// What a part has to know of all orders.
#[derive(Debug, Clone, Copy)]
pub struct Whole<'w> {
    /// What the input supplies.
    pub available: &'w Availability,
    /// What customers' orders are to each other.
    pub history: &'w History,
}

/// Counts lists of measures over parts that are read one after another: the tables of some orders with all rows that belong
/// to these. Two parts are in hand at a time, so that one is read, or made facts of on one processor, while the other is
/// counted; since states merge to the same bits, it does not show which worker took which part.
///
/// # Errors
/// What reading a part gives, [`States::add`] and [`States::finish`].
pub fn count_each(
    parts: impl Iterator<Item = Result<BTreeMap<&'static str, DataFrame>>> + Send,
    whole: Whole<'_>,
    lists: &[&[Measure]],
    segments: &[String],
    targets: Option<&TargetPack>,
    (terms, clock): (&Terms, Clock),
    settings: &Settings,
) -> Result<Vec<Counted>> {
    let plans: Vec<Plan<'_>> =
        lists.iter().map(|list| Plan::new(list, segments, whole.available, clock, settings.clone())).collect();
    let parts = Mutex::new(parts);
    let worker = || -> Result<Vec<States>> {
        let mut states: Vec<States> = plans.iter().map(States::new).collect();
        loop {
            // The lock is held while a part is read, and not while it is counted.
            let part = parts.lock().unwrap_or_else(PoisonError::into_inner).next();
            let Some(tables) = part else { return Ok(states) };
            let facts = Facts::of_part(&tables?, whole.available, whole.history, terms, segments)?;
            for (plan, states) in plans.iter().zip(&mut states) {
                states.add(plan, &facts)?;
            }
        }
    };
    // Not tasks of a pool: one that waits in there for other work could be given the other worker, which waits for its lock.
    let (first, second) = std::thread::scope(|threads| {
        let second = threads.spawn(worker);
        (worker(), second.join())
    });
    let second = second.unwrap_or_else(|panic| std::panic::resume_unwind(panic))?;
    let both = plans.iter().zip(first?.into_iter().zip(second));
    both.map(|(plan, (mut states, others))| {
        states.merge(plan, others)?;
        states.finish(plan, targets)
    })
    .collect()
}

/// Tables dealt to parts.
#[derive(Debug)]
pub struct Shards<'t> {
    tables: &'t BTreeMap<&'static str, DataFrame>,
    parts: usize,
    /// Of each table the rows of each part, in their order; empty if there is one part.
    rows: BTreeMap<&'static str, Vec<Rows>>,
}

/// Rows of a table.
#[derive(Debug, Clone)]
enum Rows {
    /// One after another: nothing has to be copied to have them.
    Run(Range<IdxSize>),
    Scattered(Vec<IdxSize>),
}

impl<'t> Shards<'t> {
    /// Deals tables by `order_id` to so many parts, at least one. Rows that name no order are in the first.
    ///
    /// Orders that stand in the order of their ids, as exports mostly have them, are cut into ranges: the rows of a part
    /// then follow one another, and they are of a few days. Others are dealt by a hash.
    ///
    /// # Errors
    /// [`Error::Frames`] only for defects.
    pub fn new(tables: &'t BTreeMap<&'static str, DataFrame>, parts: usize) -> Result<Self> {
        let parts = parts.max(1);
        let mut shards = Self { tables, parts, rows: BTreeMap::new() };
        if parts == 1 {
            return Ok(shards);
        }
        let texts = |frame: &DataFrame| match frame.column("order_id") {
            Ok(ids) => ids.str().cloned().map(Some).map_err(Error::frames("parts of orders")),
            Err(_) => Ok(None),
        };
        let orders = tables.get("orders").map(texts).transpose()?.flatten().unwrap_or_default();
        let firsts = firsts(&orders, parts);
        for (name, frame) in tables.iter().filter(|(name, _)| TABLES.contains(name)) {
            let mut rows = vec![Rows::Run(0..0); parts];
            let mut last: Option<(&str, usize)> = None;
            let ids = texts(frame)?.unwrap_or_else(|| StringChunked::full_null("order_id".into(), frame.height()));
            for (row, id) in (0..).zip(ids.iter()) {
                let part = match (id, last) {
                    (None, _) => 0,
                    (Some(id), Some((same, part))) if id == same => part,
                    (Some(id), _) => {
                        let part = match &firsts {
                            Some(firsts) => firsts.partition_point(|first| *first <= id),
                            None => dealt(id, parts),
                        };
                        last = Some((id, part));
                        part
                    }
                };
                rows[part].push(row);
            }
            shards.rows.insert(name, rows);
        }
        Ok(shards)
    }

    /// How many parts there are.
    pub fn parts(&self) -> usize {
        self.parts
    }

    /// The tables of a part.
    ///
    /// # Errors
    /// [`Error::Frames`] only for defects.
    pub fn part(&self, part: usize) -> Result<BTreeMap<&'static str, DataFrame>> {
        let of_part = |(name, frame): (&&'static str, &DataFrame)| {
            let Some(rows) = self.rows.get(name) else { return Ok((*name, frame.clone())) };
            let frame = match rows.get(part) {
                Some(Rows::Scattered(rows)) => {
                    let rows = IdxCa::from_slice("rows".into(), rows);
                    frame.take(&rows).map_err(Error::frames("parts of orders"))?
                }
                Some(Rows::Run(rows)) => frame.slice(i64::from(rows.start), rows.len()),
                None => frame.clear(),
            };
            Ok((*name, frame))
        };
        self.tables.iter().filter(|(name, _)| TABLES.contains(name)).map(of_part).collect()
    }
}

impl Rows {
    fn push(&mut self, row: IdxSize) {
        match self {
            Self::Run(rows) if rows.start == rows.end => *rows = row..row + 1,
            Self::Run(rows) if rows.end == row => rows.end += 1,
            Self::Run(rows) => *self = Self::Scattered(rows.clone().chain([row]).collect()),
            Self::Scattered(rows) => rows.push(row),
        }
    }
}

/// Where orders are cut into parts: the first order of each part but the first. `None` if they are not in order, or one
/// has no id.
fn firsts(orders: &StringChunked, parts: usize) -> Option<Vec<&str>> {
    let mut last = "";
    let in_order = orders.iter().all(|id| {
        let rises = id.is_some_and(|id| last <= id);
        last = id.unwrap_or_default();
        rises
    });
    let size = orders.len().div_ceil(parts).max(1);
    in_order.then(|| (1..parts).filter_map(|part| orders.get(part * size)).collect())
}

/// The part of an order. The standard hasher with its fixed keys: the same in every run, though nothing depends on it.
fn dealt(id: &str, parts: usize) -> usize {
    let mut hasher = DefaultHasher::new();
    hasher.write(id.as_bytes());
    (hasher.finish() % parts as u64) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_is_in_one_part_with_its_order() {
        // As numbers they are in order, as texts not.
        let unordered = (0..1000).map(|n| format!("order-{n}")).collect();
        let ordered = (0..1000).map(|n| format!("order-{n:04}")).collect();
        [unordered, ordered].into_iter().for_each(every_row_is_there);
    }

    fn every_row_is_there(ids: Vec<String>) {
        let orders = DataFrame::new_infer_height(vec![Column::new("order_id".into(), &ids)]).unwrap();
        let of_tickets: Vec<Option<&str>> = (0..3000).map(|n| (n % 7 > 0).then(|| ids[n % 1000].as_str())).collect();
        let numbers: Vec<i64> = (0..3000).collect();
        let tickets = DataFrame::new_infer_height(vec![
            Column::new("order_id".into(), &of_tickets),
            Column::new("ticket".into(), &numbers),
        ]);
        let tables = BTreeMap::from([("orders", orders), ("tickets", tickets.unwrap())]);
        let shards = Shards::new(&tables, 4).unwrap();
        let (mut seen, mut orders_seen) = (Vec::new(), 0);
        for part in 0..shards.parts() {
            let tables = shards.part(part).unwrap();
            let text = |table: &str| tables[table].column("order_id").unwrap().str().unwrap().clone();
            let orders = text("orders");
            assert!((200..300).contains(&orders.len()), "{}", orders.len());
            orders_seen += orders.len();
            for id in text("tickets").iter() {
                assert!(id.map_or(part == 0, |id| orders.iter().any(|o| o == Some(id))), "{id:?} in part {part}");
            }
            seen.extend(tables["tickets"].column("ticket").unwrap().i64().unwrap().iter().flatten());
        }
        seen.sort_unstable();
        assert_eq!((seen, orders_seen), (numbers, 1000));
    }
}
