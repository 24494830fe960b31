//! The checks between a mapped table and an accepted one: what the contract requires of rows, keys and references.

mod keys;

pub use keys::key_hashes;
pub(super) use keys::versions;

use super::contiguous::contiguous;
use super::fx::Rates;
use super::mapping::Mapped;
use super::personal::mask_if_personal;
use crate::config::ORIGIN;
use crate::contract::input::{self, Kind, Table};
use crate::error::{Error, Result};
use crate::features::kernel::Interner;
use crate::quarantine::{Reason, Tally};
use crate::types::money::{Currencies, code};
use crate::types::time::format_instant;
use keys::Keys;
use polars::prelude::*;
use rayon::prelude::*;
use std::borrow::Cow;
use std::collections::BTreeMap;

/// Why a mapped row was refused: its column, the reason, and what was found.
pub(super) type Fault = (&'static str, Reason, String);

/// A checked table.
pub(super) struct Checked {
    /// Rows that may be used, in the order the mapping gave them; without `_origin`. Empty if rows are not kept.
    pub(super) accepted: DataFrame,
    /// How the rows add up.
    pub(super) tally: Tally,
}

/// Accepted orders, for what points to them: their ids, in one buffer, and when each was placed.
#[derive(Default)]
pub(super) struct Orders {
    ids: Interner,
    placed: Vec<i64>,
}

impl Orders {
    /// Enters an order that was not entered before.
    ///
    /// # Errors
    /// As [`Interner::intern`].
    pub(super) fn place(&mut self, id: &str, at: i64) -> Result<()> {
        if self.ids.intern(id.as_bytes())? as usize == self.placed.len() {
            self.placed.push(at);
        }
        Ok(())
    }
}

/// Which orders were accepted, and when they were placed.
pub(super) trait Placements: Sync {
    /// When each of these orders was placed, UTC microseconds; `None` for what is no accepted order. Many are looked up in a
    /// fraction of the time of one after the other: see [`Interner::find_all`].
    fn placed_at(&self, orders: &StringChunked) -> Vec<Option<i64>>;
}

impl Placements for Orders {
    fn placed_at(&self, orders: &StringChunked) -> Vec<Option<i64>> {
        let found = self.ids.find_all(orders.iter());
        found.into_iter().map(|id| self.placed.get(id as usize).copied()).collect()
    }
}

/// Rows that are put into blocks together: of so many each column is one that can be laid aside.
const TOGETHER: usize = 1 << 20;

/// Accepted rows of some parts, and which of these parts' rows they are.
struct Held {
    frame: DataFrame,
    parts: Vec<Part>,
}

/// A part that was checked.
struct Part {
    /// The position of its first row in the whole table.
    first: u64,
    /// How many rows it had.
    rows: usize,
    /// Those of them that were refused, sorted.
    refused: Vec<usize>,
}

impl Part {
    /// The positions of its sound rows in the whole table.
    fn sound(&self) -> impl Iterator<Item = u64> {
        (0..self.rows).filter(|at| self.refused.binary_search(at).is_err()).map(|at| self.first + at as u64)
    }
}

/// Checks a mapped table part by part, so that only accepted rows are ever held whole.
pub(super) struct Checker<'a> {
    table: &'static Table,
    /// `None` while orders themselves are checked.
    orders: Option<&'a dyn Placements>,
    rates: &'a Rates,
    as_of: i64,
    keep_rows: bool,
    keys: Keys,
    tally: Tally,
    /// Accepted rows; all but the last lie in few large blocks.
    held: Vec<Held>,
}

impl<'a> Checker<'a> {
    pub(super) fn new(
        table: &'static Table,
        orders: Option<&'a dyn Placements>,
        rates: &'a Rates,
        as_of: i64,
        keep_rows: bool,
    ) -> Self {
        Self {
            table,
            orders,
            rates,
            as_of,
            keep_rows,
            keys: Keys::default(),
            tally: Tally::default(),
            held: Vec::new(),
        }
    }

    /// Checks every row of the next part; gives the refused ones by their position in it.
    ///
    /// # Errors
    /// [`Error::Frames`] only for defects: no input can cause one.
    pub(super) fn part(&mut self, mapped: &Mapped) -> Result<BTreeMap<usize, Fault>> {
        let mut frame = mapped.frame.clone();
        let Found { faults, .. } = check(self.table, &mut frame, self.orders, self.rates)?;
        let first = self.tally.read;
        self.keys.see(self.table, &frame, &faults, first, self.as_of)?;
        self.tally.read += frame.height() as u64;
        self.tally.quarantined += faults.len() as u64;
        if self.keep_rows {
            let stage = || Error::frames("accepting rows");
            let sound = |at: &usize| !faults.contains_key(at);
            let keep: BooleanChunked = (0..frame.height()).map(|at| Some(sound(&at))).collect();
            let accepted = frame.filter(&keep).map_err(stage())?.drop(ORIGIN).map_err(stage())?;
            let refused = faults.keys().copied().collect();
            self.hold(accepted, Part { first, rows: frame.height(), refused })?;
        }
        Ok(faults)
    }

    /// Keeps the rows of a part, so many together that they are worth a block.
    fn hold(&mut self, rows: DataFrame, part: Part) -> Result<()> {
        match self.held.last_mut() {
            Some(last) if last.frame.height() + rows.height() <= TOGETHER => {
                last.frame.vstack_mut_owned(rows).map_err(Error::frames("accepting rows"))?;
                last.parts.push(part);
            }
            last => {
                last.map_or(Ok(()), |last| contiguous(&mut last.frame))?;
                self.held.push(Held { frame: rows, parts: vec![part] });
            }
        }
        Ok(())
    }

    /// Puts the parts together, without the rows that later ones replaced.
    ///
    /// # Errors
    /// [`Error::Frames`] only for defects.
    pub(super) fn finish(mut self) -> Result<Checked> {
        let stage = || Error::frames("accepting rows");
        let (accepted, replaced) = self.keys.finish();
        (self.tally.accepted, self.tally.superseded) = (accepted, replaced.len() as u64);
        let mut accepted: Option<DataFrame> = None;
        for Held { mut frame, parts } in self.held {
            if !replaced.is_empty() {
                let stands = |at: u64| replaced.binary_search(&at).is_err();
                let keep: BooleanChunked = parts.iter().flat_map(Part::sound).map(|at| Some(stands(at))).collect();
                frame = frame.filter(&keep).map_err(stage())?;
            }
            match &mut accepted {
                None => accepted = Some(frame),
                Some(whole) => {
                    whole.vstack_mut_owned(frame).map_err(stage())?;
                }
            }
        }
        let mut accepted = accepted.unwrap_or_default();
        contiguous(&mut accepted)?;
        if self.keep_rows && accepted.height() as u64 != self.tally.accepted {
            let (rows, keys) = (accepted.height(), self.tally.accepted);
            return Err(Error::Invariant(format!("`{}`: {rows} rows kept for {keys} keys", self.table.name)));
        }
        Ok(Checked { accepted, tally: self.tally })
    }
}

/// What was found of some rows.
pub(super) struct Found {
    /// Faults by row.
    pub(super) faults: BTreeMap<usize, Fault>,
    /// By what money was converted; `None` where a table has none that could be.
    pub(super) priced: Option<Priced>,
}

/// The currency of each row, and the instant at whose rate its money is converted.
pub(super) struct Priced {
    pub(super) codes: StringChunked,
    pub(super) times: Vec<Option<i64>>,
}

/// Checks rows by what the contract says of each, and brings words and money to the contract's form.
///
/// # Errors
/// [`Error::Frames`] only for defects: no input can cause one.
pub(super) fn check(
    table: &'static Table,
    frame: &mut DataFrame,
    orders: Option<&dyn Placements>,
    rates: &Rates,
) -> Result<Found> {
    let mut faults = BTreeMap::new();
    let of_values = present(table, frame).into_par_iter().map(|column| {
        let mut of_column = BTreeMap::new();
        values(frame, column.name, column.kind, column.required, &mut of_column).map(|()| of_column)
    });
    of_values.collect::<Result<Vec<_>>>()?.into_iter().for_each(|found| add(&mut faults, found));
    for &(earlier, later) in table.order_of_time {
        time_order(frame, earlier, later, &mut faults)?;
    }
    let placed = match orders {
        Some(orders) if has(frame, "order_id") => {
            let ids = frame.column("order_id").and_then(Column::str).map_err(Error::frames("checking references"))?;
            Some(orders.placed_at(ids))
        }
        _ => None,
    };
    if table.of_order
        && let Some(placed) = &placed
    {
        orphans(frame, placed, &mut faults)?;
    }
    let priced = convert(table, frame, placed, rates, &mut faults)?;
    Ok(Found { faults, priced })
}

/// The rows that are accepted by the second of two states of the rates alone, or with other money. `None` where a row is
/// accepted by the first alone.
///
/// # Errors
/// As [`check`].
pub(super) fn differing(
    table: &'static Table,
    frame: &DataFrame,
    orders: Option<&dyn Placements>,
    rates: [&Rates; 2],
) -> Result<Option<Vec<IdxSize>>> {
    let by = |rates: &Rates| {
        let mut by_these = frame.clone();
        check(table, &mut by_these, orders, rates).map(|found| (found.faults, by_these))
    };
    let ((faults, before), (faults_now, now)) = (by(rates[0])?, by(rates[1])?);
    if faults_now.keys().any(|at| !faults.contains_key(at)) {
        return Ok(None);
    }
    let is_sound_now = |at: usize| faults.contains_key(&at) && !faults_now.contains_key(&at);
    let mut differs: Vec<bool> = (0..frame.height()).map(is_sound_now).collect();
    for column in present(table, frame).into_iter().filter(|column| column.kind == Kind::Money) {
        let of = |frame: &DataFrame| frame.column(column.name).and_then(|c| c.i64().cloned());
        let [before, now] = [of(&before), of(&now)].map(|found| found.map_err(Error::frames("converting money again")));
        for (differs, (before, now)) in differs.iter_mut().zip(before?.iter().zip(now?.iter())) {
            *differs |= before != now;
        }
    }
    Ok(Some((0..).zip(differs).filter(|(_, differs)| *differs).map(|(at, _)| at).collect()))
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

/// Of several faults of a row the first that was found counts.
fn add(faults: &mut BTreeMap<usize, Fault>, found: BTreeMap<usize, Fault>) {
    for (at, fault) in found {
        faults.entry(at).or_insert(fault);
    }
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
            // Mostly they are written as the contract writes them.
            let is_known = |v: &str| words.contains(&v) || words.contains(&v.to_lowercase().as_str());
            for (at, value) in values.iter().enumerate() {
                if let Some(value) = value.filter(|v| !is_known(v)) {
                    fault(faults, at, name, Reason::UnknownWord, || {
                        format!("`{}` is not one of {}", mask_if_personal(value), words.join(", "))
                    });
                }
            }
        }
        Kind::Currency => {
            let values = column.str().map_err(Error::frames("checking values"))?;
            let mut known = Currencies::default();
            for (at, value) in values.iter().enumerate() {
                if let Some(value) = value.filter(|v| known.exponent(v).is_err()) {
                    fault(faults, at, name, Reason::UnknownCurrency, || {
                        format!("`{}` is not an ISO 4217 currency", mask_if_personal(value))
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

/// `placed` says when the order of each row was placed.
fn orphans(frame: &DataFrame, placed: &[Option<i64>], faults: &mut BTreeMap<usize, Fault>) -> Result<()> {
    let ids = frame.column("order_id").and_then(Column::str).map_err(Error::frames("checking references"))?;
    for (at, (id, _)) in ids.iter().zip(placed).enumerate().filter(|(_, (_, placed))| placed.is_none()) {
        if let Some(id) = id {
            fault(faults, at, "order_id", Reason::Orphan, || {
                format!("no accepted order has the id `{}`", mask_if_personal(id))
            });
        }
    }
    Ok(())
}

/// A word in lower case.
fn lower(word: &str) -> Cow<'_, str> {
    match word.bytes().all(|b| b.is_ascii() && !b.is_ascii_uppercase()) {
        true => Cow::Borrowed(word),
        false => Cow::Owned(word.to_lowercase()),
    }
}

/// Lower-cases words and currencies' case, and converts money to the base currency at the rate in force at the row's time, or
/// where it has none at that of its order.
fn convert(
    table: &Table,
    frame: &mut DataFrame,
    placed: Option<Vec<Option<i64>>>,
    rates: &Rates,
    faults: &mut BTreeMap<usize, Fault>,
) -> Result<Option<Priced>> {
    let stage = "converting money";
    let texts = present(table, frame).into_par_iter().map(|column| -> Result<Option<Column>> {
        let change: fn(&str) -> Cow<'_, str> = match column.kind {
            Kind::Word(_) => lower,
            Kind::Currency => code,
            // Such columns split KPIs and stand in outputs: an e-mail address that slipped into one must not.
            Kind::Text | Kind::Country if table.name == "orders" => {
                |v| Cow::Borrowed(if v.contains('@') { mask_if_personal(v) } else { v })
            }
            _ => return Ok(None),
        };
        let text = frame.column(column.name).and_then(Column::str).map_err(Error::frames(stage))?;
        if text.iter().flatten().all(|v| change(v) == v) {
            return Ok(None);
        }
        let changed: StringChunked = text.iter().map(|v| v.map(change)).collect();
        Ok(Some(changed.with_name(column.name.into()).into_column()))
    });
    for changed in texts.collect::<Result<Vec<_>>>()?.into_iter().flatten() {
        frame.with_column(changed).map_err(Error::frames(stage))?;
    }
    if !has(frame, "currency") || table.name == "fx_rates" {
        return Ok(None);
    }
    let codes = frame.column("currency").and_then(|c| c.str().cloned()).map_err(Error::frames(stage))?;
    let times: Vec<Option<i64>> = if table.clock.is_empty() {
        placed.unwrap_or_else(|| vec![None; frame.height()])
    } else {
        micros(frame, table.clock)?.iter().collect()
    };
    let money = present(table, frame).into_par_iter().filter(|c| c.kind == Kind::Money).map(|column| -> Result<_> {
        let mut faults = BTreeMap::new();
        let amounts = frame.column(column.name).and_then(|c| c.i64().cloned()).map_err(Error::frames(stage))?;
        let mut converted = Vec::with_capacity(amounts.len());
        for (at, ((amount, code), time)) in amounts.iter().zip(codes.iter()).zip(&times).enumerate() {
            let value = match (amount, code, time) {
                (Some(amount), Some(code), Some(time)) => match rates.to_base(amount, code, *time) {
                    Ok(value) => Some(value),
                    Err(reason) => {
                        fault(&mut faults, at, column.name, reason, || {
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
        Ok((Int64Chunked::from_iter_options(column.name.into(), converted.into_iter()).into_column(), faults))
    });
    for (converted, found) in money.collect::<Result<Vec<_>>>()? {
        add(faults, found);
        frame.with_column(converted).map_err(Error::frames(stage))?;
    }
    Ok(Some(Priced { codes, times }))
}
