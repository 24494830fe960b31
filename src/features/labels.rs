//! What became of an order, and when that was known: "not yet" is not "no".

use super::Terms;
use super::columns::{Orders, ints, texts};
use crate::error::{Error, Result};
use polars::prelude::DataFrame;
use std::collections::{BTreeMap, HashMap};

/// What became of every order, as far as it is known at the run's clock.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcomes {
    /// What is known of each order.
    pub known: Vec<Outcome>,
    /// When each order is ripe: certain either way, whatever the outcome. UTC microseconds; the far future if never.
    ripe_at: Vec<i64>,
    as_of: i64,
    /// Whether the input has what tells of them, be it of no order yet.
    supplied: bool,
}

impl Outcomes {
    /// Labels to learn from: those of ripe orders.
    ///
    /// A fraud is often known within days and its absence only after months. Taking each label as soon as it is known
    /// would fill the newest weeks with frauds alone, so both outcomes wait for the same day.
    pub fn ripe_labels(&self) -> Vec<Option<bool>> {
        self.known.iter().zip(&self.ripe_at).map(|(o, &ripe)| o.label().filter(|_| ripe <= self.as_of)).collect()
    }

    /// When each order was ripe, UTC microseconds.
    pub fn ripe_at(&self) -> &[i64] {
        &self.ripe_at
    }

    /// Whether the input has what tells of outcomes at all. Which features there are depends on this and not on whether
    /// anything has become known so far: a young shop is scored by the models of an old one.
    pub(super) fn are_supplied(&self) -> bool {
        self.supplied
    }

    fn unknown(orders: usize, as_of: i64) -> Self {
        Self { known: vec![Outcome::Unknown; orders], ripe_at: vec![i64::MAX; orders], as_of, supplied: false }
    }
}

/// What is known of an order at the run's clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// Nothing can be said yet, or ever.
    Unknown,
    /// It happened, and this was known from the instant on.
    Yes(i64),
    /// It did not happen, and this was certain from the instant on.
    No(i64),
}

impl Outcome {
    /// The label for training; `None` while it is not mature.
    pub fn label(self) -> Option<bool> {
        match self {
            Self::Unknown => None,
            Self::Yes(_) => Some(true),
            Self::No(_) => Some(false),
        }
    }

    /// When it was known that it happened.
    pub(super) fn happened(self) -> Option<i64> {
        match self {
            Self::Yes(at) => Some(at),
            Self::Unknown | Self::No(_) => None,
        }
    }
}

/// Fraud: the label column, a chargeback, or a reviewer's decision, whichever was known first.
///
/// An order without any of them is legitimate once `fraud_matures_after` has passed; a decision `legit` says so at once.
/// Everything is [`Outcome::Unknown`] when the input has none of the three.
pub(super) fn fraud(orders: &Orders, tables: &BTreeMap<&'static str, DataFrame>, terms: &Terms) -> Result<Outcomes> {
    let flags = match tables.get("orders").filter(|o| o.get_column_index("fraud").is_some()) {
        Some(frame) => {
            let column =
                frame.column("fraud").and_then(|c| c.bool().cloned()).map_err(Error::frames("fraud labels"))?;
            Some(column.iter().collect::<Vec<_>>())
        }
        None => None,
    };
    let known = orders.ints("fraud_known_at")?;
    let chargebacks = match tables.get("tickets").filter(|t| t.get_column_index("kind").is_some()) {
        Some(tickets) => Some(earliest(tickets, "kind", "chargeback", &["known_at", "opened_at"])?),
        None => None,
    };
    let decided =
        |what| tables.get("review_decisions").map(|d| earliest(d, "decision", what, &["decided_at"])).transpose();
    let (refused, passed) = (decided("fraud")?, decided("legit")?);
    if flags.is_none() && chargebacks.is_none() && refused.is_none() {
        return Ok(Outcomes::unknown(orders.placed_at.len(), terms.as_of));
    }
    let outcomes = orders.order_id.iter().enumerate().map(|(at, id)| {
        let ripe = orders.placed_at[at].saturating_add(terms.fraud_matures_after);
        let flag = flags.as_ref().and_then(|f| f[at]);
        let flag_known = known.as_ref().and_then(|k| k[at]);
        let find = |map: &Option<HashMap<String, i64>>| map.as_ref().and_then(|m| m.get(id)).copied();
        // A fraud with no date of discovery counts as discovered when it would have matured, never earlier.
        let flagged = (flag == Some(true)).then(|| flag_known.unwrap_or(ripe));
        let yes = [flagged, find(&chargebacks), find(&refused)].into_iter().flatten().min();
        let cleared = (flag == Some(false)).then(|| flag_known.unwrap_or(ripe));
        // Cleared late is legitimate from the day on which silence would have said so.
        let no = [cleared, find(&passed)].into_iter().flatten().min().map_or(ripe, |at| at.min(ripe));
        match yes {
            Some(at) if at <= terms.as_of => Outcome::Yes(at),
            _ if no <= terms.as_of => Outcome::No(no),
            _ => Outcome::Unknown,
        }
    });
    let ripe_at = orders.placed_at.iter().map(|at| at.saturating_add(terms.fraud_matures_after)).collect();
    Ok(Outcomes { known: outcomes.collect(), ripe_at, as_of: terms.as_of, supplied: true })
}

/// Returns: one requested before the window after delivery ends. An order that was never delivered has no outcome.
///
/// Everything is [`Outcome::Unknown`] when the input has no `returns` or no `delivered_at`.
pub(super) fn returned(orders: &Orders, tables: &BTreeMap<&'static str, DataFrame>, terms: &Terms) -> Result<Outcomes> {
    let (Some(returns), Some(delivered)) = (tables.get("returns"), orders.ints("delivered_at")?) else {
        return Ok(Outcomes::unknown(orders.placed_at.len(), terms.as_of));
    };
    let requests = earliest(returns, "", "", &["requested_at"])?;
    let known = earliest(returns, "", "", &["known_at", "requested_at"])?;
    let closes = |delivered: Option<i64>| delivered.map_or(i64::MAX, |d| d.saturating_add(terms.return_window));
    let ripe_at = delivered.iter().map(|&d| closes(d)).collect();
    let outcomes = orders.order_id.iter().zip(delivered).map(|(id, delivered)| {
        let Some(delivered) = delivered else { return Outcome::Unknown };
        let closes = closes(Some(delivered));
        match (requests.get(id), known.get(id)) {
            // A request can come before the parcel does; that it falls within the window is known once there is one.
            (Some(&requested), Some(&known)) if requested <= closes && known <= terms.as_of => {
                Outcome::Yes(known.max(delivered))
            }
            _ if closes <= terms.as_of => Outcome::No(closes),
            _ => Outcome::Unknown,
        }
    });
    Ok(Outcomes { known: outcomes.collect(), ripe_at, as_of: terms.as_of, supplied: true })
}

/// The earliest time of each order's rows whose `column` is `word` (all rows if `column` is empty); the time is the first
/// of `times` that has a value.
fn earliest(frame: &DataFrame, column: &str, word: &str, times: &[&str]) -> Result<HashMap<String, i64>> {
    let ids = texts(frame, "order_id")?.unwrap_or_default();
    let words = if column.is_empty() { None } else { texts(frame, column)? };
    let mut columns = Vec::new();
    for time in times {
        columns.extend(ints(frame, time)?);
    }
    let mut found: HashMap<String, i64> = HashMap::new();
    for (at, id) in ids.into_iter().enumerate() {
        let fits = words.as_ref().is_none_or(|w| w[at].as_deref() == Some(word));
        if let (Some(id), true, Some(time)) = (id, fits, columns.iter().find_map(|c| c[at])) {
            found.entry(id).and_modify(|t| *t = time.min(*t)).or_insert(time);
        }
    }
    Ok(found)
}
