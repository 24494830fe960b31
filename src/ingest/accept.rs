//! The checks between a mapped table and an accepted one: what the contract requires of rows, keys and references.

use super::fx::Rates;
use super::mapping::Mapped;
use crate::config::ORIGIN;
use crate::contract::input::{self, Kind, Table};
use crate::error::{Error, Result};
use crate::quarantine::{Reason, Tally};
use crate::types::money;
use crate::types::time::format_instant;
use polars::prelude::*;
use std::collections::{BTreeMap, HashMap};

/// Why a mapped row was refused: its column, the reason, and what was found.
pub(super) type Fault = (&'static str, Reason, String);

/// A checked table.
pub(super) struct Checked {
    /// Rows that may be used, in the order the mapping gave them; without `_origin`.
    pub(super) accepted: DataFrame,
    /// Refused rows by their position in the mapped frame.
    pub(super) faults: BTreeMap<usize, Fault>,
    /// How the rows add up.
    pub(super) tally: Tally,
}

/// Accepted orders, for what points to them: the order's number to its placement time and currency exponent.
pub(super) type Orders = HashMap<String, i64>;

/// Checks every row of a mapped table. `orders` is `None` while orders themselves are checked.
///
/// # Errors
/// [`Error::Frames`] only for defects: no input can cause one.
pub(super) fn check(table: &Table, mapped: &Mapped, orders: Option<&Orders>, rates: &Rates) -> Result<Checked> {
    let mut frame = mapped.frame.clone();
    let mut faults = BTreeMap::new();
    for column in present(table, &frame) {
        values(&frame, column.name, column.kind, column.required, &mut faults)?;
    }
    for &(earlier, later) in table.order_of_time {
        time_order(&frame, earlier, later, &mut faults)?;
    }
    if table.of_order
        && let Some(orders) = orders
    {
        orphans(&frame, orders, &mut faults)?;
    }
    convert(table, &mut frame, orders, rates, &mut faults)?;
    let superseded = superseded(table, &frame, &faults)?;
    let height = frame.height();
    let keep: BooleanChunked =
        (0..height).map(|at| Some(!faults.contains_key(&at) && !superseded.contains_key(&at))).collect();
    let accepted = frame
        .filter(&keep)
        .map_err(Error::frames("accepting rows"))?
        .drop(ORIGIN)
        .map_err(Error::frames("accepting rows"))?;
    let tally = Tally {
        read: height as u64,
        accepted: accepted.height() as u64,
        quarantined: faults.len() as u64,
        superseded: superseded.len() as u64,
    };
    Ok(Checked { accepted, faults, tally })
}

fn has(frame: &DataFrame, name: &str) -> bool {
    frame.get_column_index(name).is_some()
}

/// The contract's columns that the frame has.
fn present(table: &Table, frame: &DataFrame) -> Vec<&'static input::Column> {
    table.columns.iter().filter(|c| has(frame, c.name)).collect()
}

fn fault(
    faults: &mut BTreeMap<usize, Fault>,
    at: usize,
    column: &'static str,
    reason: Reason,
    detail: impl FnOnce() -> String,
) {
    faults.entry(at).or_insert_with(|| (column, reason, detail()));
}

fn values(
    frame: &DataFrame,
    name: &'static str,
    kind: Kind,
    required: bool,
    faults: &mut BTreeMap<usize, Fault>,
) -> Result<()> {
    let column = frame.column(name).map_err(Error::frames("checking values"))?;
    if required {
        let empty =
            column.str().ok().map(|t| t.iter().map(|v| v.is_none_or(|v| v.trim().is_empty())).collect::<Vec<_>>());
        let missing = empty.unwrap_or_else(|| column.is_null().iter().map(|v| v == Some(true)).collect());
        for (at, _) in missing.iter().enumerate().filter(|(_, m)| **m) {
            fault(faults, at, name, Reason::MissingRequired, || format!("`{name}` is empty"));
        }
    }
    match kind {
        Kind::Money | Kind::Count => {
            let values = column.i64().map_err(Error::frames("checking values"))?;
            for (at, value) in values.iter().enumerate() {
                if let Some(value) = value.filter(|v| *v < 0) {
                    fault(faults, at, name, Reason::Negative, || format!("{value} is negative"));
                }
            }
        }
        Kind::Word(words) => {
            let values = column.str().map_err(Error::frames("checking values"))?;
            for (at, value) in values.iter().enumerate() {
                if let Some(value) = value.filter(|v| !words.contains(&v.to_lowercase().as_str())) {
                    fault(faults, at, name, Reason::UnknownWord, || {
                        format!("`{}` is not one of {}", super::personal::mask_if_personal(value), words.join(", "))
                    });
                }
            }
        }
        Kind::Currency => {
            let values = column.str().map_err(Error::frames("checking values"))?;
            for (at, value) in values.iter().enumerate() {
                if let Some(value) = value.filter(|v| money::exponent(&v.trim().to_ascii_uppercase()).is_err()) {
                    fault(faults, at, name, Reason::UnknownCurrency, || {
                        format!("`{}` is not an ISO 4217 currency", super::personal::mask_if_personal(value))
                    });
                }
            }
        }
        _ => {}
    }
    Ok(())
}

/// Microseconds of an instant column.
fn micros(frame: &DataFrame, name: &str) -> Result<Int64Chunked> {
    let column = frame.column(name).map_err(Error::frames("reading times"))?;
    Ok(column.to_physical_repr().i64().map_err(Error::frames("reading times"))?.clone())
}

fn time_order(
    frame: &DataFrame,
    earlier: &'static str,
    later: &'static str,
    faults: &mut BTreeMap<usize, Fault>,
) -> Result<()> {
    if !has(frame, earlier) || !has(frame, later) {
        return Ok(());
    }
    let (first, second) = (micros(frame, earlier)?, micros(frame, later)?);
    for (at, pair) in first.iter().zip(second.iter()).enumerate() {
        if let (Some(a), Some(b)) = pair
            && b < a
        {
            fault(faults, at, later, Reason::TimeOrder, || {
                format!("`{later}` {} is before `{earlier}` {}", format_instant(b), format_instant(a))
            });
        }
    }
    Ok(())
}

fn orphans(frame: &DataFrame, orders: &Orders, faults: &mut BTreeMap<usize, Fault>) -> Result<()> {
    if !has(frame, "order_id") {
        return Ok(());
    }
    let ids = frame.column("order_id").and_then(|c| c.str().cloned()).map_err(Error::frames("checking references"))?;
    for (at, id) in ids.iter().enumerate() {
        if let Some(id) = id.filter(|id| !orders.contains_key(*id)) {
            fault(faults, at, "order_id", Reason::Orphan, || {
                format!("no accepted order has the id `{}`", super::personal::mask_if_personal(id))
            });
        }
    }
    Ok(())
}

/// Lower-cases words and currencies' case, and converts money to the base currency at the rate in force at the row's time.
fn convert(
    table: &Table,
    frame: &mut DataFrame,
    orders: Option<&Orders>,
    rates: &Rates,
    faults: &mut BTreeMap<usize, Fault>,
) -> Result<()> {
    let stage = "converting money";
    for column in present(table, frame) {
        let change: Option<fn(&str) -> String> = match column.kind {
            Kind::Word(_) => Some(|v| v.to_lowercase()),
            Kind::Currency => Some(|v| v.trim().to_ascii_uppercase()),
            _ => None,
        };
        if let Some(change) = change {
            let text = frame.column(column.name).and_then(|c| c.str().cloned()).map_err(Error::frames(stage))?;
            let changed: StringChunked = text.iter().map(|v| v.map(change)).collect();
            frame.with_column(changed.with_name(column.name.into()).into_column()).map_err(Error::frames(stage))?;
        }
    }
    if !has(frame, "currency") || table.name == "fx_rates" {
        return Ok(());
    }
    let codes = frame.column("currency").and_then(|c| c.str().cloned()).map_err(Error::frames(stage))?;
    let times: Vec<Option<i64>> = if table.clock.is_empty() {
        let ids = frame.column("order_id").and_then(|c| c.str().cloned()).map_err(Error::frames(stage))?;
        ids.iter().map(|id| orders.zip(id).and_then(|(orders, id)| orders.get(id).copied())).collect()
    } else {
        micros(frame, table.clock)?.iter().collect()
    };
    for column in present(table, frame).into_iter().filter(|c| c.kind == Kind::Money) {
        let amounts = frame.column(column.name).and_then(|c| c.i64().cloned()).map_err(Error::frames(stage))?;
        let mut converted = Vec::with_capacity(amounts.len());
        for (at, ((amount, code), time)) in amounts.iter().zip(codes.iter()).zip(&times).enumerate() {
            let value = match (amount, code, time) {
                (Some(amount), Some(code), Some(time)) => match rates.to_base(amount, code, *time) {
                    Ok(value) => Some(value),
                    Err(reason) => {
                        fault(faults, at, column.name, reason, || {
                            format!("no rate of `{code}` to the base currency is in force at {}", format_instant(*time))
                        });
                        None
                    }
                },
                // Without a currency the amount is in the base currency already; without a time the row is refused elsewhere.
                (amount, _, _) => amount,
            };
            converted.push(value);
        }
        let converted = Int64Chunked::from_iter_options(column.name.into(), converted.into_iter());
        frame.with_column(converted.into_column()).map_err(Error::frames(stage))?;
    }
    Ok(())
}

/// Rows replaced by a later row with the same key: by the version column where there is one, else by the order of reading.
fn superseded(table: &Table, frame: &DataFrame, faults: &BTreeMap<usize, Fault>) -> Result<BTreeMap<usize, usize>> {
    let keys: Vec<&Column> = table.key.iter().filter_map(|key| frame.column(key).ok()).collect();
    let texts: Vec<StringChunked> = keys.iter().filter_map(|c| c.str().ok().cloned()).collect();
    let times: Vec<Int64Chunked> = keys
        .iter()
        .filter(|c| !c.dtype().is_string())
        .filter_map(|c| c.to_physical_repr().i64().ok().cloned())
        .collect();
    if texts.len() + times.len() != keys.len() {
        return Err(Error::Invariant(format!("a key of `{}` is neither text nor time", table.name)));
    }
    let versions = match table.version.filter(|v| has(frame, v)) {
        Some(version) => Some(micros(frame, version)?),
        None => None,
    };
    let mut latest: HashMap<u128, usize> = HashMap::with_capacity(frame.height());
    let mut replaced = BTreeMap::new();
    let mut text_parts: Vec<_> = texts.iter().map(|t| t.iter()).collect();
    let mut time_parts: Vec<_> = times.iter().map(|t| t.iter()).collect();
    let mut hasher = blake3::Hasher::new();
    for at in 0..frame.height() {
        hasher.reset();
        for parts in &mut text_parts {
            let part = parts.next().flatten();
            hasher.update(&[u8::from(part.is_some())]);
            hasher.update(&part.map_or(0, str::len).to_le_bytes());
            hasher.update(part.unwrap_or_default().as_bytes());
        }
        for parts in &mut time_parts {
            let part = parts.next().flatten();
            hasher.update(&[u8::from(part.is_some())]);
            hasher.update(&part.unwrap_or_default().to_le_bytes());
        }
        if faults.contains_key(&at) {
            continue;
        }
        // Half of a 256-bit hash: no two keys of any shop collide in it.
        let mut half = [0_u8; 16];
        half.copy_from_slice(&hasher.finalize().as_bytes()[..16]);
        let version = |at: usize| versions.as_ref().and_then(|v| v.get(at));
        latest
            .entry(u128::from_le_bytes(half))
            .and_modify(|kept| {
                let (older, newer) = if version(at) >= version(*kept) { (*kept, at) } else { (at, *kept) };
                replaced.insert(older, newer);
                *kept = newer;
            })
            .or_insert(at);
    }
    Ok(replaced)
}
