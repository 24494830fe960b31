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
/// to these.
///
/// # Errors
/// What reading a part gives, [`States::add`] and [`States::finish`].
pub fn count_each(
    parts: impl Iterator<Item = Result<BTreeMap<&'static str, DataFrame>>>,
    whole: Whole<'_>,
    lists: &[&[Measure]],
    segments: &[String],
    targets: Option<&TargetPack>,
    (terms, clock): (&Terms, Clock),
    settings: &Settings,
) -> Result<Vec<Counted>> {
    let plans: Vec<Plan<'_>> =
        lists.iter().map(|list| Plan::new(list, segments, whole.available, clock, settings.clone())).collect();
    let mut states: Vec<States> = plans.iter().map(States::new).collect();
    for tables in parts {
        let facts = Facts::of_part(&tables?, whole.available, whole.history, terms, segments)?;
        for (plan, states) in plans.iter().zip(&mut states) {
            states.add(plan, &facts)?;
        }
    }
    plans.iter().zip(states).map(|(plan, states)| states.finish(plan, targets)).collect()
}

/// Tables dealt to parts.
#[derive(Debug)]
pub struct Shards<'t> {
    tables: &'t BTreeMap<&'static str, DataFrame>,
    parts: usize,
    /// Of each table the rows of each part, in their order; empty if there is one part.
    rows: BTreeMap<&'static str, Vec<Vec<IdxSize>>>,
}

impl<'t> Shards<'t> {
    /// Deals tables by a hash of `order_id` to so many parts, at least one. Rows that name no order are in the first.
    ///
    /// # Errors
    /// [`Error::Frames`] only for defects.
    pub fn new(tables: &'t BTreeMap<&'static str, DataFrame>, parts: usize) -> Result<Self> {
        let parts = parts.max(1);
        let mut shards = Self { tables, parts, rows: BTreeMap::new() };
        if parts == 1 {
            return Ok(shards);
        }
        for (name, frame) in tables.iter().filter(|(name, _)| TABLES.contains(name)) {
            let mut rows = vec![Vec::with_capacity(frame.height() / parts + frame.height() / parts / 16); parts];
            match frame.column("order_id") {
                Ok(ids) => {
                    let ids = ids.str().map_err(Error::frames("parts of orders"))?;
                    for (row, id) in (0..).zip(ids.iter()) {
                        rows[id.map_or(0, |id| dealt(id, parts))].push(row);
                    }
                }
                Err(_) => rows[0].extend(0..frame.height() as IdxSize),
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
            let rows = IdxCa::from_slice("rows".into(), rows.get(part).map_or(&[], Vec::as_slice));
            Ok((*name, frame.take(&rows).map_err(Error::frames("parts of orders"))?))
        };
        self.tables.iter().filter(|(name, _)| TABLES.contains(name)).map(of_part).collect()
    }
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
        let ids: Vec<String> = (0..1000).map(|n| format!("order-{n}")).collect();
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
