//! What is stuck now, order by order and kind by kind, in the order in which it should be worked on; and stock against
//! open demand.
//!
//! ```text
//! accepted tables, as known at the clock ─ shop, events ─┬─ before_shipping ─┐
//!                                                        ├─ stock ───────────┤
//!                                                        ├─ road (lanes) ────┼─ findings ─ ranked ─ table
//!                                                        ├─ cases, returns ──┤
//!                                                        └─ prices ──────────┘
//! ```
//!
//! An exception begins at the instant `since` and is listed while nothing that was known at the clock ends it. A limit is
//! passed when more than its span is over; a promised day when it has ended in the zone. Work is ordered by severity, then
//! by value at risk, then by age. Severity is that of the kind, one step higher where the value at risk is high.

mod before_shipping;
mod cases;
mod columns;
mod events;
mod kind;
mod lanes;
mod normal;
mod prices;
mod ranked;
mod returns;
mod road;
mod shop;
mod stock;
#[cfg(test)]
mod tests;
mod words;

pub use kind::{meaning, missing};

use crate::config::{Exceptions, Inventory, Language};
use crate::contract::exception::ExceptionKind;
use crate::error::Result;
use crate::kpi::Availability;
use chrono_tz::Tz;
use polars::prelude::DataFrame;
use std::collections::{BTreeMap, BTreeSet};

/// How urgent an exception is by itself, most urgent first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Now: a deadline of hours, or something that must not happen.
    Critical,
    /// Today: a promise is broken or somebody is waiting.
    High,
    /// This week: it will break a promise if nobody looks.
    Medium,
    /// When there is time.
    Low,
}

impl Severity {
    /// Its name in the output.
    pub fn name(self) -> &'static str {
        match self {
            Self::Critical => "critical",
            Self::High => "high",
            Self::Medium => "medium",
            Self::Low => "low",
        }
    }

    fn raised(self) -> Self {
        match self {
            Self::Critical | Self::High => Self::Critical,
            Self::Medium => Self::High,
            Self::Low => Self::Medium,
        }
    }
}

/// Clock, calendar, money and settings of a search.
#[derive(Debug, Clone, Copy)]
pub struct Terms<'a> {
    /// The run's clock, UTC microseconds.
    pub as_of: i64,
    /// Zone of promised days and of `detected_date`.
    pub zone: Tz,
    /// Base currency of amounts.
    pub currency: &'a str,
    /// Its decimals.
    pub exponent: u32,
    /// What counts as an exception.
    pub settings: &'a Exceptions,
    /// How stock is held against demand.
    pub inventory: &'a Inventory,
    /// Language of details and suggested actions.
    pub language: Language,
}

/// What was found.
#[derive(Debug)]
pub struct Found {
    /// The rows of `exceptions`, `detected_date` included.
    pub exceptions: DataFrame,
    /// The rows of `inventory_position`; none if the input has no stock, lines or shipping times.
    pub inventory: Option<DataFrame>,
    /// Rows and value at risk in minor units, by kind that was looked for.
    pub counts: BTreeMap<&'static str, (u64, i64)>,
    /// Exceptions that began before the look-back, by kind: counted here and nowhere else.
    pub left_out: BTreeMap<&'static str, u64>,
    /// What could not be looked for, with what is missing.
    pub not_computable: Vec<(String, Vec<String>)>,
}

/// Kinds that are wanted, each with what the input lacks for it; and the table of stock.
pub fn needs(available: &Availability, settings: &Exceptions) -> Vec<(&'static str, &'static str, Vec<String>)> {
    let kinds = wanted(settings).map(|kind| (kind.name(), meaning(kind), missing(kind, available, settings)));
    let stock = ("inventory_position", "stock against open demand, days of cover, reorder hint");
    kinds.chain([(stock.0, stock.1, available.missing(stock::NEEDS))]).collect()
}

fn wanted(settings: &Exceptions) -> impl Iterator<Item = ExceptionKind> {
    ExceptionKind::ALL.into_iter().filter(|kind| !settings.without.contains(kind))
}

/// Finds what is stuck, in tables as they were known at the run's clock.
///
/// # Errors
/// [`crate::error::Error::Frames`] only for defects.
pub fn find(tables: &BTreeMap<&'static str, DataFrame>, terms: Terms<'_>) -> Result<Found> {
    let available = Availability::of(tables);
    let mut not_computable = Vec::new();
    let mut asked = BTreeSet::new();
    for kind in wanted(terms.settings) {
        let missing = missing(kind, &available, terms.settings);
        if missing.is_empty() {
            asked.insert(kind);
        } else {
            not_computable.push((kind.name().to_owned(), missing));
        }
    }
    let no_stock = available.missing(stock::NEEDS);
    let counts_supplied = no_stock.is_empty();
    if !counts_supplied {
        not_computable.push(("inventory_position".to_owned(), no_stock));
    }
    let mut shop = shop::Shop::new(tables, terms, asked.clone())?;
    let events = events::Events::of(&shop)?;
    if asked.contains(&ExceptionKind::NoCarrierScan) && !events.know_carriers {
        asked.remove(&ExceptionKind::NoCarrierScan);
        let scans = vec!["carrier scans among order_events.event".to_owned()];
        not_computable.push((ExceptionKind::NoCarrierScan.name().to_owned(), scans));
    }
    before_shipping::find(&mut shop)?;
    let inventory = stock::find(&mut shop, &events, counts_supplied)?;
    road::find(&mut shop, &events);
    let (returns, tickets) = (returns::Returns::of(&shop)?, cases::Tickets::of(&shop)?);
    cases::mishaps(&mut shop, &events, &tickets, &returns);
    cases::disputes(&mut shop, &tickets);
    returns::find(&mut shop, &returns);
    prices::find(&mut shop)?;
    let ranked = ranked::rank(&mut shop);
    let mut counts: BTreeMap<&'static str, (u64, i64)> = asked.iter().map(|kind| (kind.name(), (0, 0))).collect();
    for finding in &ranked {
        let (rows, value) = counts.entry(finding.kind.name()).or_default();
        *rows += 1;
        *value = value.saturating_add(finding.value_at_risk);
    }
    Ok(Found {
        exceptions: ranked::frame(&shop, &ranked)?,
        inventory,
        counts,
        left_out: shop.left_out.iter().map(|(kind, n)| (kind.name(), *n)).collect(),
        not_computable,
    })
}
