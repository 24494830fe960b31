//! What became of an order or a line, and when that was known: "not yet" is not "no".

use super::Terms;
use super::kernel::NO_VALUE;
use super::tables::{NO_ROW, Tables, some, values};
use crate::error::Result;
use foldhash::fast::RandomState;
use std::collections::{BTreeMap, HashMap};

/// What became of every order (or line), as far as it is known at the run's clock.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcomes {
    /// What is known of each.
    pub known: Vec<Outcome>,
    /// What was taken for known once and taken back since, in the order of rows and times. Whoever asks of a time in between
    /// must find it still.
    pub withdrawn: Vec<Withdrawn>,
    /// When each is ripe: certain either way, whatever the outcome. UTC microseconds; the far future if never.
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

    /// When a row was ripe, and what was known of it at that instant; `None` while it is not.
    ///
    /// What became known later does not count: the answer of a ripe row is the same at every later clock, so that whoever
    /// takes each label once takes the same one however seldom it looks.
    pub fn when_ripe(&self, row: usize) -> Option<(i64, bool)> {
        let (outcome, ripe) = (self.known.get(row)?, *self.ripe_at.get(row)?);
        if ripe > self.as_of {
            return None;
        }
        let happened = outcome.happened().is_some_and(|at| at <= ripe);
        let taken_back_since = self.withdrawn_of(row).iter().any(|w| w.from <= ripe && ripe < w.until);
        outcome.label().map(|_| (ripe, happened || taken_back_since))
    }

    /// When each was ripe, UTC microseconds.
    pub fn ripe_at(&self) -> &[i64] {
        &self.ripe_at
    }

    /// The times in which an order counted as one to which it happened, and which were taken back.
    pub(super) fn withdrawn_of(&self, row: usize) -> &[Withdrawn] {
        let at = |row: usize| self.withdrawn.partition_point(|withdrawn| (withdrawn.row as usize) < row);
        &self.withdrawn[at(row)..at(row + 1)]
    }

    /// Whether the input has what tells of outcomes at all. Which features there are depends on this and not on whether
    /// anything has become known so far: a young shop is scored by the models of an old one.
    pub(super) fn are_supplied(&self) -> bool {
        self.supplied
    }

    /// When each was ripe as far as that is past at the run's clock; [`NO_VALUE`] if it is not.
    pub(super) fn ripened(&self) -> impl Iterator<Item = i64> + '_ {
        self.ripe_at.iter().map(|&ripe| if ripe <= self.as_of { ripe } else { NO_VALUE })
    }

    fn unknown(rows: usize, as_of: i64) -> Self {
        Self {
            known: vec![Outcome::Unknown; rows],
            withdrawn: Vec::new(),
            ripe_at: vec![i64::MAX; rows],
            as_of,
            supplied: false,
        }
    }
}

/// A time in which an order counted as one to which it happened. Instants are UTC microseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Withdrawn {
    /// The order.
    pub row: u32,
    /// From when on it was known.
    pub from: i64,
    /// From when on it was known to be wrong; later than `from`.
    pub until: i64,
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

/// Fraud: the label column or a chargeback, from when it was known; or a reviewer's decision, until another one says
/// otherwise.
///
/// Of an order's decisions `fraud` and `legit` the latest counts from its time on, and before it the one before; `unsure`
/// leaves the one before. Of two at one instant `fraud` counts. What the desk says takes nothing back of what the label
/// column or the bank says.
///
/// An order without any of them is legitimate once `fraud_matures_after` has passed; a decision `legit` says so at once.
/// Everything is [`Outcome::Unknown`] when the input has none of the three.
pub(super) fn fraud(tables: &Tables, terms: &Terms) -> Result<Outcomes> {
    let flags = tables.flags("orders", "fraud")?;
    let told = flags.is_some() || tables.has("tickets", "kind") || tables.has("review_decisions", "decision");
    if !told {
        return Ok(Outcomes::unknown(tables.orders(), terms.as_of));
    }
    let known = tables.ints("orders", "fraud_known_at")?;
    let chargebacks = earliest(tables, "tickets", Some(("kind", "chargeback")), &["known_at", "opened_at"])?;
    let mut withdrawn = Vec::new();
    let decisions = decisions(tables, terms.as_of)?;
    let mut outcomes = Vec::with_capacity(tables.orders());
    for (at, placed) in tables.placed_at.iter().enumerate() {
        let ripe = placed.saturating_add(terms.fraud_matures_after);
        let flag = flags.as_ref().and_then(|f| f[at]);
        let flag_known = known.as_ref().and_then(|k| some(k[at]));
        // A fraud with no date of discovery counts as discovered when it would have matured, never earlier.
        let flagged = (flag == Some(true)).then(|| flag_known.unwrap_or(ripe));
        let told = [flagged, some(chargebacks[at])].into_iter().flatten().min().filter(|&at| at <= terms.as_of);
        let desk = decisions.get(&(at as u32)).map_or(&[][..], Vec::as_slice);
        let mut refused = None;
        for &(time, says_fraud) in desk {
            match (refused, says_fraud) {
                (None, true) => refused = Some(time),
                // From what the bank has told on there is nothing to take back.
                (Some(from), false) if told.is_none_or(|told| time < told) => {
                    withdrawn.push(Withdrawn { row: at as u32, from, until: time });
                    refused = None;
                }
                _ => {}
            }
        }
        let passed = desk.iter().rev().take_while(|(_, says_fraud)| !says_fraud).last().map(|(time, _)| *time);
        let cleared = (flag == Some(false)).then(|| flag_known.unwrap_or(ripe));
        // Cleared late is legitimate from the day on which silence would have said so.
        let no = [cleared, passed].into_iter().flatten().min().map_or(ripe, |at| at.min(ripe));
        outcomes.push(match [told, refused].into_iter().flatten().min() {
            Some(at) => Outcome::Yes(at),
            None if no <= terms.as_of => Outcome::No(no),
            None => Outcome::Unknown,
        });
    }
    let ripe_at = tables.placed_at.iter().map(|at| at.saturating_add(terms.fraud_matures_after)).collect();
    Ok(Outcomes { known: outcomes, withdrawn, ripe_at, as_of: terms.as_of, supplied: true })
}

/// The instants at which the passing of time alone may settle what became of an order, UTC microseconds; what is known of it
/// by rows settles it when these become known.
pub fn settled_at(placed: i64, delivered: Option<i64>, terms: &Terms) -> impl Iterator<Item = i64> + use<> {
    [placed.saturating_add(terms.fraud_matures_after), return_ripe_at(placed, delivered, terms)].into_iter()
}

/// When it is certain whether an order was returned, UTC microseconds.
fn return_ripe_at(placed: i64, delivered: Option<i64>, terms: &Terms) -> i64 {
    // What is delivered later than anybody waits was settled before: the past is not told anew.
    let given_up = placed.saturating_add(terms.undelivered_after);
    match (delivered.filter(|at| *at <= given_up), terms.return_matures_after) {
        (None, _) => given_up,
        (Some(delivered), None) => delivered.saturating_add(terms.return_window),
        (Some(delivered), Some(after)) => placed.saturating_add(after).max(delivered),
    }
}

/// What the desk said of orders by their row: when, and whether it said fraud; by rising times, one an instant. What is
/// said after `as_of` is not known yet.
fn decisions(tables: &Tables, as_of: i64) -> Result<BTreeMap<u32, Vec<(i64, bool)>>> {
    let mut said: BTreeMap<u32, BTreeMap<i64, bool>> = BTreeMap::new();
    if !tables.has("review_decisions", "decision") {
        return Ok(BTreeMap::new());
    }
    let [fraud, legit] = ["fraud", "legit"].map(|word| tables.says("review_decisions", "decision", word));
    let (fraud, legit) = (fraud?, legit?);
    let times = tables.first_of("review_decisions", &["decided_at"])?;
    for (row, (&order, &time)) in tables.order_rows("review_decisions")?.iter().zip(&times).enumerate() {
        if order != NO_ROW && time != NO_VALUE && time <= as_of && (fraud[row] || legit[row]) {
            *said.entry(order).or_default().entry(time).or_default() |= fraud[row];
        }
    }
    Ok(said.into_iter().map(|(order, said)| (order, said.into_iter().collect())).collect())
}

/// When orders were asked back and when that was known, the earliest of each; [`NO_VALUE`] where they were not.
struct Requests {
    requested: Vec<i64>,
    known: Vec<i64>,
}

/// Returns of orders: one requested before the window after delivery ends. Nothing of it is returned if it was not delivered
/// within `undelivered_after`. Where `return_matures_after` is given, what was delivered counts as kept from then on (from its
/// delivery on, if that is later) as long as no return is known.
///
/// Everything is [`Outcome::Unknown`] when the input has no `returns` or no `delivered_at`.
pub(super) fn returned(tables: &Tables, terms: &Terms) -> Result<Outcomes> {
    let requests = Requests {
        requested: earliest(tables, "returns", None, &["requested_at"])?,
        known: earliest(tables, "returns", None, &["known_at", "requested_at"])?,
    };
    outcomes(tables, terms, tables.orders(), &|row| row, &requests)
}

/// Returns of order lines, as of orders; a return that names no line is of all its order's lines. `order` is each line's.
pub(super) fn lines_returned(tables: &Tables, terms: &Terms, order: &[u32]) -> Result<Outcomes> {
    let of_order = tables.order_rows("returns")?;
    let named = lines_named(tables, of_order, order)?;
    let names = |row: usize| named.as_ref().map_or(Named::Nothing, |named| named[row]);
    let earliest = |times: &[&str]| -> Result<Vec<i64>> {
        let times = tables.first_of("returns", times)?;
        let (mut of_orders, mut of_lines) = (vec![NO_VALUE; tables.orders()], vec![NO_VALUE; order.len()]);
        for (row, &time) in times.iter().enumerate() {
            match names(row) {
                Named::Line(line) => sooner(&mut of_lines, line as usize, time),
                Named::Nothing if of_order[row] != NO_ROW => sooner(&mut of_orders, of_order[row] as usize, time),
                Named::Nothing | Named::Unknown => {}
            }
        }
        for (line, &order) in order.iter().enumerate().filter(|(_, order)| **order != NO_ROW) {
            sooner(&mut of_lines, line, of_orders[order as usize]);
        }
        Ok(of_lines)
    };
    let requests =
        Requests { requested: earliest(&["requested_at"])?, known: earliest(&["known_at", "requested_at"])? };
    outcomes(tables, terms, order.len(), &|line| order[line] as usize, &requests)
}

/// What a return names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Named {
    Nothing,
    /// A row of the lines.
    Line(u32),
    /// A line that the order does not have.
    Unknown,
}

/// The line that each return names; `None` if returns have no such column. Of lines of one name the last counts.
fn lines_named(tables: &Tables, of_order: &[u32], order: &[u32]) -> Result<Option<Vec<Named>>> {
    let (lines, named) = (tables.text_column("order_items", "line")?, tables.text_column("returns", "line")?);
    let Some(named) = named else { return Ok(None) };
    let mut asked: HashMap<(u32, &str), Option<u32>, RandomState> = HashMap::default();
    let mut is_asked = vec![false; tables.orders()];
    for (&order, name) in of_order.iter().zip(values(&named)) {
        if let (Some(name), Some(is_asked)) = (name, is_asked.get_mut(order as usize)) {
            *is_asked = true;
            asked.insert((order, name), None);
        }
    }
    let lines = lines.as_ref().map(|lines| values(lines).zip(order).enumerate());
    for (row, (name, &order)) in lines.into_iter().flatten() {
        if is_asked.get(order as usize) == Some(&true)
            && let Some(line) = name.and_then(|name| asked.get_mut(&(order, name)))
        {
            *line = Some(row as u32);
        }
    }
    let find = |(&order, name): (&u32, Option<&str>)| match name {
        None => Named::Nothing,
        Some(name) => asked.get(&(order, name)).copied().flatten().map_or(Named::Unknown, Named::Line),
    };
    Ok(Some(of_order.iter().zip(values(&named)).map(find).collect()))
}

fn outcomes(
    tables: &Tables,
    terms: &Terms,
    rows: usize,
    order: &dyn Fn(usize) -> usize,
    requests: &Requests,
) -> Result<Outcomes> {
    let delivered = match tables.ints("orders", "delivered_at")? {
        Some(delivered) if tables.has("returns", "requested_at") => delivered,
        _ => return Ok(Outcomes::unknown(rows, terms.as_of)),
    };
    let (mut known, mut ripe_at) = (Vec::with_capacity(rows), Vec::with_capacity(rows));
    for row in 0..rows {
        let (Some(&placed), Some(&delivered)) = (tables.placed_at.get(order(row)), delivered.get(order(row))) else {
            known.push(Outcome::Unknown);
            ripe_at.push(i64::MAX);
            continue;
        };
        let closes = some(delivered).map(|delivered| delivered.saturating_add(terms.return_window));
        let ripe = return_ripe_at(placed, some(delivered), terms);
        let (requested, told) = (some(requests.requested[row]), some(requests.known[row]));
        known.push(match (requested, told, some(delivered).zip(closes)) {
            // A request can come before the parcel does; that it falls within the window is known once there is one.
            (Some(requested), Some(told), Some((delivered, closes))) if requested <= closes && told <= terms.as_of => {
                Outcome::Yes(told.max(delivered))
            }
            _ if ripe <= terms.as_of => Outcome::No(ripe),
            _ => Outcome::Unknown,
        });
        ripe_at.push(ripe);
    }
    Ok(Outcomes { known, withdrawn: Vec::new(), ripe_at, as_of: terms.as_of, supplied: true })
}

/// The earliest time of each order's rows that say a word in a column (all rows without one); the time is the first of
/// `times` that has a value.
fn earliest(tables: &Tables, table: &str, word: Option<(&str, &str)>, times: &[&str]) -> Result<Vec<i64>> {
    let mut found = vec![NO_VALUE; tables.orders()];
    let said = word.map(|(column, word)| tables.says(table, column, word)).transpose()?;
    let orders = tables.order_rows(table)?;
    for (row, time) in tables.first_of(table, times)?.into_iter().enumerate() {
        if orders[row] != NO_ROW && said.as_ref().is_none_or(|said| said[row]) {
            sooner(&mut found, orders[row] as usize, time);
        }
    }
    Ok(found)
}

fn sooner(times: &mut [i64], at: usize, time: i64) {
    if time != NO_VALUE && (times[at] == NO_VALUE || time < times[at]) {
        times[at] = time;
    }
}
