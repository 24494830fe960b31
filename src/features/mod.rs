//! Features of an order placed at T, made only from facts known strictly before T.
//!
//! ```text
//! tables ─┬─ order_facts, basket ──────────── facts of the order and its lines themselves ─┐
//!         ├─ labels ─┐                                                                      ├─ matrix
//!         └──────────┴─ events ─ engine ─ kernel ── what their entities did before ─────────┘
//! ```
//!
//! [`labels`] says what became of orders and when that was known, [`engine`] counts what is declared, `describe` has the
//! words. Orders placed in the same instant see nothing of one another, so the order of input never matters.

mod basket;
mod chinese;
mod describe;
pub mod engine;
mod events;
mod following;
pub mod kernel;
pub mod labels;
pub mod matrix;
mod order_facts;
pub(crate) mod tables;
#[cfg(test)]
mod tests;

pub use describe::{Described, FeatureNote, FeatureUnit, note, note_in};
pub use following::{Following, Replaced, Step, Sub, TOLD_AT, row_hashes};

use crate::config::FeatureSpec;
use crate::error::{Error, Result};
use chrono_tz::Tz;
use engine::{Engine, Level, Units};
use events::Settled;
use labels::Outcomes;
use matrix::Matrix;
use polars::prelude::DataFrame;
use rayon::prelude::*;
use std::collections::BTreeMap;
use tables::Tables;

/// A named column of features.
type Feature = (String, Vec<f64>);

/// Features of every order, in the order of the `orders` table.
#[derive(Debug, Clone)]
pub struct Features {
    /// The values; NaN where a feature has none.
    pub matrix: Matrix,
    /// When each order was placed, UTC microseconds.
    pub placed_at: Vec<i64>,
    /// What is known of fraud.
    pub fraud: Outcomes,
    /// What is known of returns.
    pub returned: Outcomes,
    /// Features of every line, where lines are what is returned.
    pub lines: Option<LineFeatures>,
    /// Every feature there could be, with what is missing for those that are not.
    pub described: Vec<Described>,
}

impl Features {
    /// Takes the values out, of lines where lines are what is returned: theirs have their order's too.
    pub fn take_values(&mut self) -> Matrix {
        let of_orders = std::mem::take(&mut self.matrix);
        match &mut self.lines {
            Some(lines) => std::mem::take(&mut lines.matrix),
            None => of_orders,
        }
    }
}

/// Features of every order line, in the order of the `order_items` table.
#[derive(Debug, Clone)]
pub struct LineFeatures {
    /// The order's features, then the line's own.
    pub matrix: Matrix,
    /// The row of each line's order.
    pub order: Vec<u32>,
    /// When each was placed, UTC microseconds.
    pub placed_at: Vec<i64>,
    /// What is known of returns.
    pub returned: Outcomes,
}

/// What the features depend on beside the tables and their declarations.
#[derive(Debug, Clone, Copy)]
pub struct Terms {
    /// Zone of hours and weekdays.
    pub zone: Tz,
    /// The run's clock: what becomes known later is not known.
    pub as_of: i64,
    /// Time after which an order with no fraud known counts as legitimate, microseconds.
    pub fraud_matures_after: i64,
    /// Time after delivery within which a return counts, microseconds.
    pub return_window: i64,
    /// Time after placement at which an order that was never delivered counts as not returned, microseconds.
    pub undelivered_after: i64,
    /// Time after placement at which an order that was delivered by then counts as not returned unless a return is known,
    /// microseconds; `None`: once the window has passed.
    pub return_matures_after: Option<i64>,
    /// What is returned or kept.
    pub return_unit: Level,
}

/// When orders were placed (UTC microseconds) and what is known of fraud, without computing anything else.
///
/// # Errors
/// [`crate::error::Error::Frames`] only for defects.
pub fn known_frauds(tables: &BTreeMap<&'static str, DataFrame>, terms: &Terms) -> Result<(Vec<i64>, Outcomes)> {
    let tables = Tables::new(tables)?;
    let outcomes = labels::fraud(&tables, terms)?;
    Ok((tables.placed_at, outcomes))
}

/// When orders were placed (UTC microseconds) and what is known of their returns, without computing anything else.
///
/// # Errors
/// [`crate::error::Error::Frames`] only for defects.
pub fn known_returns(tables: &BTreeMap<&'static str, DataFrame>, terms: &Terms) -> Result<(Vec<i64>, Outcomes)> {
    let tables = Tables::new(tables)?;
    let outcomes = labels::returned(&tables, terms)?;
    Ok((tables.placed_at, outcomes))
}

/// What became of orders and lines, as far as it is known.
struct Known {
    order_of_line: Vec<u32>,
    fraud: Outcomes,
    returned: Outcomes,
    lines_returned: Option<Outcomes>,
}

impl Known {
    fn of(tables: &Tables, terms: &Terms) -> Result<Self> {
        let order_of_line = tables.order_rows("order_items")?;
        let has_lines = tables.has("order_items", "order_id");
        let lines_returned = || has_lines.then(|| labels::lines_returned(tables, terms, order_of_line)).transpose();
        let of_orders = || Ok((labels::fraud(tables, terms)?, labels::returned(tables, terms)?));
        let (lines_returned, of_orders) = rayon::join(lines_returned, of_orders);
        let (fraud, returned) = of_orders?;
        Ok(Self { fraud, returned, lines_returned: lines_returned?, order_of_line: order_of_line.to_vec() })
    }

    fn settled(&self) -> Settled<'_> {
        Settled { fraud: &self.fraud, returned: &self.returned, lines_returned: self.lines_returned.as_ref() }
    }
}

/// Declared features that the tables can feed, and what is missing for the others.
fn possible<'s>(
    specs: &'s [FeatureSpec],
    tables: &Tables,
    known: &Known,
) -> (Vec<FeatureSpec>, Vec<(&'s FeatureSpec, Vec<String>)>) {
    let (mut possible, mut absent) = (Vec::new(), Vec::new());
    for spec in specs {
        match events::missing(spec, tables, &known.settled()) {
            missing if missing.is_empty() => possible.push(spec.clone()),
            missing => absent.push((spec, missing)),
        }
    }
    (possible, absent)
}

/// What the engine answered, by declared feature: who has it, one value each.
type Windows = Vec<Option<(Level, Vec<f64>)>>;

/// Computes every feature that the tables can feed.
///
/// # Errors
/// [`crate::error::Error::Frames`] only for defects.
pub fn build(tables: &BTreeMap<&'static str, DataFrame>, specs: &[FeatureSpec], terms: &Terms) -> Result<Features> {
    let tables = Tables::new(tables)?;
    let known = Known::of(&tables, terms)?;
    let (possible, absent) = possible(specs, &tables, &known);
    let mut engine = Engine::new(&possible, Units { returns: terms.return_unit })?;
    let order_of_line = known.order_of_line.clone();
    let mut facts =
        events::facts(&possible, &tables, &known.settled(), order_of_line, engine.keys(), &mut events::All)?;
    let mut windows: Windows = vec![None; possible.len()];
    engine.finish(&mut facts, &mut |feature, level, values| {
        windows[feature] = Some((level, values));
        Ok(())
    })?;
    drop(facts);
    let own = own(&tables, &known.order_of_line, terms)?;
    let mut features = together(&tables, known, own, &possible, windows, terms)?;
    features.described.extend(absent.into_iter().map(|(spec, missing)| describe::window(spec, missing)));
    Ok(features)
}

/// Features of the orders in `tables` that were logged when each was scored, with what is known of their outcomes by now.
///
/// # Errors
/// [`crate::error::Error::Frames`] only for defects.
pub fn of_log(
    tables: &BTreeMap<&'static str, DataFrame>,
    matrix: Matrix,
    specs: &[FeatureSpec],
    terms: &Terms,
) -> Result<Features> {
    let tables = Tables::new(tables)?;
    let Known { fraud, returned, .. } = Known::of(&tables, terms)?;
    let is_there = |name: &str| matrix.names.iter().any(|known| known == name);
    let declared = specs.iter().filter(|spec| is_there(&spec.name)).map(|spec| describe::window(spec, Vec::new()));
    let own = matrix.names.iter().filter(|name| !specs.iter().any(|spec| spec.name == **name));
    let described = own.map(|name| describe::fact(name)).chain(declared).collect();
    Ok(Features { matrix, placed_at: tables.placed_at.clone(), fraud, returned, lines: None, described })
}

/// Facts of the orders in `tables` themselves and of their lines taken together.
fn own(tables: &Tables, order_of_line: &[u32], terms: &Terms) -> Result<Vec<Feature>> {
    let mut own = order_facts::columns(tables, terms)?;
    own.extend(basket::of_orders(tables, order_of_line)?);
    Ok(own)
}

/// Facts of the orders and lines in `tables` and what the engine answered of them, put together.
fn together(
    tables: &Tables,
    known: Known,
    own: Vec<Feature>,
    possible: &[FeatureSpec],
    windows: Windows,
    terms: &Terms,
) -> Result<Features> {
    let Known { order_of_line, fraud, returned, lines_returned } = known;
    let mut matrix = Matrix::default();
    let mut described = Vec::new();
    for (name, column) in own {
        described.push(describe::fact(&name));
        matrix.push(name, column);
    }
    let orders = tables.orders();
    let (mut of_lines, mut over_lines) = (Matrix::default(), Vec::new());
    let over = |(level, values): &(Level, Vec<f64>)| match level {
        Level::Order => None,
        Level::Line => Some(basket::over_lines(values, &order_of_line, orders)),
    };
    let over: Vec<_> = windows.par_iter().map(|window| window.as_ref().and_then(over)).collect();
    for ((spec, window), over) in possible.iter().zip(windows).zip(over) {
        let Some((level, values)) = window else { continue };
        described.push(describe::window(spec, Vec::new()));
        match level {
            Level::Order => matrix.push(spec.name.clone(), values),
            Level::Line => {
                for (over, values) in ["max", "mean"].iter().zip(over.into_iter().flatten()) {
                    let name = format!("basket_{over}_{}", spec.name);
                    described.push(describe::over_lines(over, spec));
                    over_lines.push(name.clone());
                    matrix.push(name, values);
                }
                of_lines.push(spec.name.clone(), values);
            }
        }
    }
    let lines = match (terms.return_unit, lines_returned) {
        (Level::Line, Some(returned)) => {
            let own = basket::of_lines(tables, &order_of_line)?;
            described.extend(own.iter().map(|(name, _)| describe::fact(name)));
            if order_of_line.contains(&tables::NO_ROW) {
                return Err(Error::Invariant("an order line without its order came to the features".to_owned()));
            }
            let rows: Vec<usize> = order_of_line.iter().map(|&order| order as usize).collect();
            let mut whole = Matrix::default();
            // Each line has its own; what they come to over the basket says the same again.
            for (name, column) in
                matrix.names.iter().zip(&matrix.columns).filter(|(name, _)| !over_lines.contains(name))
            {
                whole.push(name.clone(), rows.iter().map(|&row| column[row]).collect());
            }
            own.into_iter().for_each(|(name, values)| whole.push(name, values));
            of_lines.names.into_iter().zip(of_lines.columns).for_each(|(name, values)| whole.push(name, values));
            let placed_at = rows.iter().map(|&row| tables.placed_at[row]).collect();
            Some(LineFeatures { matrix: whole, order: order_of_line, placed_at, returned })
        }
        _ => None,
    };
    Ok(Features { matrix, placed_at: tables.placed_at.clone(), fraud, returned, lines, described })
}
