//! A cross-border shop that never was: every input table, of any size, from a seed, with the truth beside it.
//!
//! The shop is lived through order by order in the order they are placed. `order` says who buys what at which price,
//! `rings` turns a few orders into fraud, `journey` takes the parcel to the door, `aftermath` tells of returns,
//! letters and ratings; `tables` then writes down what is known on the day of the export and no more. So a fraud whose
//! chargeback is still to come stands in the files as an order like any other, and only `truth.parquet` knows.
//!
//! Memory: people are hashed from their number, articles are few; four bytes for each newcomer are all that grows,
//! and one batch for each file is all that waits. Draws come from one seeded stream, so one seed gives the same bytes
//! on one platform whatever the number of threads. Dirt has a stream of its own: a dirtier export is of the same shop.
//!
//! No mailbox, phone line, network, card or address in it belongs to anyone: mail domains end in `.example`, networks
//! are private or kept for documentation.

mod aftermath;
mod calendar;
mod cases;
mod catalog;
mod dice;
mod dirt;
mod files;
mod fx;
mod ids;
mod journey;
mod ledgers;
mod order;
mod people;
mod places;
mod rings;
mod tables;
mod words;

use crate::error::{Error, Result};
use crate::types::time::{DAY, days_since_epoch};
use chrono::NaiveDate;
use dice::{About, Dice, hash};
use std::path::{Path, PathBuf};

/// Days between the last order and the export: most of what was on the road has arrived, and returns have begun.
const EXPORT_AFTER_DAYS: i64 = 21;

/// What shop to make.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ShopSpec {
    /// Number of orders; at least 1.
    pub orders: u64,
    /// Seed of all chance.
    pub seed: u64,
    /// Days of trade, 1 to 3,650, ending with 2025-12-31 UTC.
    pub days: u32,
    /// Share of rows of `orders.csv` that are spoilt, in `[0, 0.5]`; the other tables get a few.
    pub dirty_share: f64,
}

impl Default for ShopSpec {
    fn default() -> Self {
        Self { orders: 50_000, seed: 1, days: 365, dirty_share: 0.004 }
    }
}

/// A file of the shop.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WrittenTable {
    /// Name of the contract's table, or `truth`.
    pub name: &'static str,
    /// The file.
    pub path: PathBuf,
    /// All data rows in it, the bad ones included.
    pub rows: u64,
    /// Rows that are bad in themselves and must be refused.
    pub dirty_rows: u64,
    /// Sound rows that must be refused because the order they point to is.
    pub orphaned_rows: u64,
    /// Rows that a later state of the same key replaces.
    pub superseded_rows: u64,
}

/// What was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShopSummary {
    /// All files.
    pub tables: Vec<WrittenTable>,
    /// First instant of trade.
    pub start: i64,
    /// End of trade, exclusive.
    pub end: i64,
    /// The instant of the export: the clock for a run over it.
    pub as_of: i64,
    /// Orders that truly are fraud, known or not.
    pub frauds: u64,
    /// Orders of which something is sent back, by the export or later.
    pub returns: u64,
}

/// Makes a shop and writes its tables into the folder `out`, which is made where it is missing; files of the same names
/// are replaced. `progress` is told now and then how many orders are written.
///
/// Errors: a specification out of range, or a folder that cannot be written.
pub fn generate(spec: &ShopSpec, out: &Path, progress: &mut dyn FnMut(u64)) -> Result<ShopSummary> {
    if spec.orders == 0 || !(1..=3650).contains(&spec.days) || !(0.0..=0.5).contains(&spec.dirty_share) {
        return Err(Error::usage(format!(
            "a shop needs at least 1 order, 1 to 3650 days and a dirty share of 0 to 0.5, got {} orders, {} days, {}",
            spec.orders, spec.days, spec.dirty_share
        )));
    }
    std::fs::create_dir_all(out).map_err(Error::io("create", out))?;
    let last = NaiveDate::from_ymd_opt(2026, 1, 1).map_or(0, days_since_epoch);
    let first_day = last - spec.days as i32;
    let (start, end) = (i64::from(first_day) * DAY, i64::from(last) * DAY);
    let as_of = end + EXPORT_AFTER_DAYS * DAY;
    let last_day = last + EXPORT_AFTER_DAYS as i32 - 1;

    let mut dice = Dice::new(spec.seed);
    let mut dirt = Dice::new(hash(spec.seed, About::Stock, u64::MAX));
    let rate_days = fx::LEAD_DAYS + (last_day - first_day + 2) as usize;
    let mut shop = order::Shop {
        calendar: calendar::Calendar::new(spec.seed, first_day, spec.days),
        catalog: catalog::Catalog::new(spec.seed, spec.orders),
        fx: fx::Fx::new(&mut dice, rate_days),
        people: people::People::new(spec.seed, start, spec.orders),
        rings: rings::Rings::default(),
    };
    let mut tables = tables::Tables::create(out, as_of, spec.dirty_share)?;
    let (mut number, mut frauds, mut returns) = (0, 0, 0);
    for day in 0..spec.days as usize {
        let count = shop.calendar.orders_on(day, spec.orders);
        let mut passed = 0.0;
        for i in 0..count {
            // The next of `count - i` uniform draws in ascending order: sorted times without a list to sort.
            passed += (1.0 - passed) * (1.0 - (1.0 - dice.unit()).powf(1.0 / (count - i) as f64));
            let at = shop.calendar.instant(day, passed);
            number += 1;
            let order = shop.take_order(number, at, &mut dice);
            let way = shop.journey(&order, &mut dice);
            let after = shop.aftermath(&order, &way, &mut dice);
            if dice.chance(0.008) {
                tables.write_question(number, at, order.traits.language, &mut dice)?;
            }
            let spoil = dirt.chance(spec.dirty_share).then(|| dirt.pick(&dirt::KINDS));
            tables.write(&shop, &order, &way, &after, spoil, &mut dirt)?;
            frauds += u64::from(order.fraud != order::Fraud::None);
            returns += u64::from(!after.returns.is_empty());
            if number % 4096 == 0 {
                progress(number);
            }
        }
    }
    progress(number);
    let tables = tables.finish(out, &shop, first_day, last_day, &mut dirt)?;
    Ok(ShopSummary { tables, start, end, as_of, frauds, returns })
}

#[cfg(test)]
mod tests;
