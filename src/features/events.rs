//! What happened, out of the accepted tables: the orders and lines that ask, and the events that features count.

use super::engine::{Facts, Grid, Happenings, Keys, Level, Phase, Stream};
use super::kernel::NO_VALUE;
use super::labels::Outcomes;
use super::tables::{NO_ROW, Tables};
use crate::config::FeatureSpec;
use crate::contract::feature::{EventKind, STANDING};
use crate::error::{Error, Result};
use std::collections::BTreeMap;

/// The column of lines that says when each arrived.
const LINE_DELIVERED: &str = "delivered_at";

/// What became of orders, and of their lines where there are lines.
pub(super) struct Settled<'a> {
    pub(super) fraud: &'a Outcomes,
    pub(super) returned: &'a Outcomes,
    pub(super) lines_returned: Option<&'a Outcomes>,
}

/// What an input lacks for a feature: columns with their tables; nothing if it can be computed.
pub(super) fn missing(spec: &FeatureSpec, tables: &Tables, settled: &Settled) -> Vec<String> {
    let mut missing = Vec::new();
    for entity in [Some(spec.entity), spec.with, spec.other].into_iter().flatten() {
        let table = if entity.of_line { "order_items" } else { "orders" };
        if !entity.column.is_empty() && !tables.has(table, entity.column) {
            missing.push(entity.needs.to_owned());
        }
    }
    let table = table_of(spec.events);
    if let Some(value) = spec.value
        && !tables.has(table, value.name)
    {
        missing.push(format!("{table}.{}", value.name));
    }
    let (needs, there) = match spec.events {
        EventKind::Order => ("", true),
        EventKind::Line => ("order_items.order_id", tables.has("order_items", "order_id")),
        EventKind::Fraud => {
            ("one of orders.fraud, tickets.kind, review_decisions.decision", settled.fraud.are_supplied())
        }
        EventKind::Return => ("returns.requested_at and orders.delivered_at", settled.returned.are_supplied()),
        EventKind::Delivery => {
            let of_line = tables.has("order_items", LINE_DELIVERED) && spec.is_of_line();
            ("orders.delivered_at", of_line || tables.has("orders", "delivered_at"))
        }
        EventKind::ReturnRequest => ("returns.requested_at", tables.has("returns", "requested_at")),
        EventKind::Contact | EventKind::Dispute | EventKind::Claim | EventKind::Chargeback => {
            ("tickets.kind", tables.has("tickets", "kind"))
        }
        EventKind::Feedback => ("feedback.score", tables.has("feedback", "score")),
    };
    if !there {
        missing.push(needs.to_owned());
    }
    missing
}

/// The table that tells of a kind of event.
pub(super) fn table_of(events: EventKind) -> &'static str {
    match events {
        EventKind::Order | EventKind::Fraud | EventKind::Return | EventKind::Delivery => "orders",
        EventKind::Line => "order_items",
        EventKind::ReturnRequest => "returns",
        EventKind::Contact | EventKind::Dispute | EventKind::Claim | EventKind::Chargeback => "tickets",
        EventKind::Feedback => "feedback",
    }
}

/// What of the tables is taken for an event: in a batch everything, in a stream what was not told before.
pub(super) trait Fresh {
    /// The rows whose placement is an event; `None`: all.
    fn placed(&self, level: Level) -> Option<Vec<u32>>;
    /// Orders whose keys have numbers already, and need not be read; none in a batch.
    fn kept(&self) -> Option<Kept> {
        None
    }
    /// Whether a row of a table of its own is.
    ///
    /// # Errors
    /// [`Error::InputRefused`] for more rows than can be told apart.
    fn row(&mut self, table: &'static str, row: usize) -> Result<bool>;
    /// Whether an outcome of a row is: when it was told, and whether it adds (1) or takes back (-1).
    fn outcome(&mut self, stream: Stream, row: usize, at: i64, sign: i64) -> bool;
}

/// Orders whose keys have numbers already, and their lines if these have.
pub(super) struct Kept {
    pub(super) orders: KeptKeys,
    pub(super) lines: Option<KeptKeys>,
}

/// Keys that have numbers already.
pub(super) struct KeptKeys {
    /// How many rows come before them.
    pub(super) read: usize,
    /// Their keys, by entity.
    pub(super) keys: BTreeMap<&'static str, Vec<u32>>,
}

/// Everything.
pub(super) struct All;

impl Fresh for All {
    fn placed(&self, _: Level) -> Option<Vec<u32>> {
        None
    }

    fn row(&mut self, _: &'static str, _: usize) -> Result<bool> {
        Ok(true)
    }

    fn outcome(&mut self, _: Stream, _: usize, _: i64, _: i64) -> bool {
        true
    }
}

/// Reads what the features need and nothing else. `order_of_line` is empty without lines.
pub(super) fn facts(
    specs: &[FeatureSpec],
    tables: &Tables,
    settled: &Settled,
    order_of_line: Vec<u32>,
    keys: &mut Keys,
    fresh: &mut dyn Fresh,
) -> Result<Facts> {
    let mut facts = Facts { order_of_line, ..Facts::default() };
    facts.orders.placed_at.clone_from(&tables.placed_at);
    facts.lines.placed_at = facts.order_of_line.iter().map(|&row| at(&tables.placed_at, row)).collect();
    let mut kinds = BTreeMap::new();
    read_keys(specs, tables, fresh.kept(), keys, &mut facts)?;
    for spec in specs {
        if let Some(value) = spec.value
            && spec.events.is_placement()
        {
            let grid = if spec.events == EventKind::Line { &mut facts.lines } else { &mut facts.orders };
            read_value(value.name, table_of(spec.events), tables, grid)?;
        }
        kinds.insert(spec.events, ());
    }
    for kind in kinds.into_keys() {
        match kind {
            EventKind::Order => {
                let rows = fresh.placed(Level::Order);
                facts.events.insert(happened(kind, Level::Order), Happenings { rows, ..Happenings::default() });
            }
            EventKind::Line => {
                let rows = fresh.placed(Level::Line);
                facts.events.insert(happened(kind, Level::Line), Happenings { rows, ..Happenings::default() });
            }
            EventKind::Fraud => {
                outcomes(kind, Level::Order, settled.fraud, None, &mut facts, fresh);
                let lines = std::mem::take(&mut facts.order_of_line);
                outcomes(kind, Level::Line, settled.fraud, Some(&lines), &mut facts, fresh);
                facts.order_of_line = lines;
            }
            EventKind::Return => {
                outcomes(kind, Level::Order, settled.returned, None, &mut facts, fresh);
                if let Some(returned) = settled.lines_returned {
                    outcomes(kind, Level::Line, returned, None, &mut facts, fresh);
                }
            }
            EventKind::Delivery => {
                let of_orders = tables.ints("orders", "delivered_at")?;
                // A line that tells of its own parcel; else it comes with its order's.
                let of_lines = match (tables.ints("order_items", LINE_DELIVERED)?, &of_orders) {
                    (None, Some(of_orders)) => {
                        Some(facts.order_of_line.iter().map(|&row| at(of_orders, row)).collect())
                    }
                    (of_lines, _) => of_lines,
                };
                for (level, delivered) in [(Level::Order, of_orders), (Level::Line, of_lines)] {
                    deliveries(level, &delivered.unwrap_or_default(), &mut facts, fresh);
                }
            }
            EventKind::ReturnRequest => {
                let events = rows_of(kind, "requested_at", None, tables, keys, fresh)?;
                facts.events.insert(happened(kind, Level::Order), events);
            }
            EventKind::Contact | EventKind::Dispute | EventKind::Claim | EventKind::Chargeback => {
                let of_kind = tables.says("tickets", "kind", kind.name())?;
                let events = rows_of(kind, "opened_at", Some(&of_kind), tables, keys, fresh)?;
                facts.events.insert(happened(kind, Level::Order), events);
            }
            EventKind::Feedback => {
                // A survey that nobody answered is no feedback.
                let answered = tables.ints("feedback", "score")?.unwrap_or_default();
                let answered: Vec<bool> = answered.into_iter().map(|score| score != NO_VALUE).collect();
                let events = rows_of(kind, "received_at", Some(&answered), tables, keys, fresh)?;
                facts.events.insert(happened(kind, Level::Order), events);
            }
        }
    }
    Ok(facts)
}

fn happened(kind: EventKind, level: Level) -> Stream {
    Stream { kind, phase: Phase::Happened, level }
}

fn at(column: &[i64], row: u32) -> i64 {
    column.get(row as usize).copied().unwrap_or(NO_VALUE)
}

/// The keys of every entity that features name.
fn read_keys(
    specs: &[FeatureSpec],
    tables: &Tables,
    kept: Option<Kept>,
    keys: &mut Keys,
    facts: &mut Facts,
) -> Result<()> {
    let of_level = |of_line: bool| match &kept {
        Some(Kept { lines, .. }) if of_line => lines.as_ref(),
        Some(Kept { orders, .. }) => Some(orders),
        None => None,
    };
    let mut columns = BTreeMap::new();
    for entity in specs.iter().flat_map(|spec| [Some(spec.entity), spec.with, spec.other]).flatten() {
        let table = if entity.of_line { "order_items" } else { "orders" };
        if !entity.column.is_empty()
            && let Some(column) = tables.text_column(table, entity.column)?
        {
            let column = match of_level(entity.of_line) {
                Some(kept) => column.slice(0, kept.read),
                None => column,
            };
            columns.insert(entity.name, (entity, column));
        }
    }
    let columns: Vec<_> = columns.into_values().collect();
    for ((entity, _), mut numbers) in columns.iter().zip(keys.number_all(&columns)?) {
        if let Some(kept) = of_level(entity.of_line) {
            let kept = kept.keys.get(entity.name).ok_or_else(|| Error::Invariant("orders without keys".to_owned()))?;
            numbers.extend(kept);
        }
        let grid = if entity.of_line { &mut facts.lines } else { &mut facts.orders };
        grid.keys.insert(entity.name, numbers);
    }
    Ok(())
}

fn read_value(name: &'static str, table: &str, tables: &Tables, grid: &mut Grid) -> Result<()> {
    if !grid.values.contains_key(name)
        && let Some(values) = tables.ints(table, name)?
    {
        grid.values.insert(name, values);
    }
    Ok(())
}

/// The three streams of deliveries. Each is of the placement, known when the parcel came; that it was placed is known at
/// once, so that what has not come yet counts in rates from then on.
fn deliveries(level: Level, delivered: &[i64], facts: &mut Facts, fresh: &mut dyn Fresh) {
    let stream = |phase: Phase| Stream { kind: EventKind::Delivery, phase, level };
    for phase in [Phase::Happened, Phase::RipeHappened] {
        let mut is_fresh = |row: &u32| {
            let known = at(delivered, *row);
            known != NO_VALUE && fresh.outcome(stream(phase), *row as usize, known, 1)
        };
        let rows: Vec<u32> = (0..delivered.len() as u32).filter(&mut is_fresh).collect();
        let known = rows.iter().map(|&row| at(delivered, row)).collect();
        let events = Happenings { rows: Some(rows), known_at: Some(known), ..Happenings::default() };
        facts.events.insert(stream(phase), events);
    }
    let rows = fresh.placed(level);
    facts.events.insert(stream(Phase::Ripe), Happenings { rows, ..Happenings::default() });
}

/// The three streams of an outcome; `orders` says which order's outcome a line has, if it has none of its own.
///
/// What was taken back is an event when it became known and another, of the opposite sign, when it was taken back.
fn outcomes(
    kind: EventKind,
    level: Level,
    outcomes: &Outcomes,
    orders: Option<&[u32]>,
    facts: &mut Facts,
    fresh: &mut dyn Fresh,
) {
    let rows = orders.map_or(outcomes.known.len(), <[u32]>::len);
    let outcome = |row: usize| orders.map_or(Some(row), |orders| (orders[row] != NO_ROW).then(|| orders[row] as usize));
    let ripe: Vec<i64> = outcomes.ripened().collect();
    let mut streams = [Phase::Happened, Phase::Ripe, Phase::RipeHappened].map(|phase| (phase, Standing::default()));
    let mut push = |stream: usize, row: usize, time: Option<i64>, sign: i64| {
        let (phase, events): &mut (Phase, Standing) = &mut streams[stream];
        if let Some(time) = time.filter(|&at| fresh.outcome(Stream { kind, phase: *phase, level }, row, at, sign)) {
            events.push(row, time, sign);
        }
    };
    for row in 0..rows {
        let Some(at) = outcome(row) else { continue };
        let ripe = (ripe[at] != NO_VALUE).then_some(ripe[at]);
        let mut happened = |time: i64, sign: i64| {
            push(0, row, Some(time), sign);
            push(2, row, ripe.map(|ripe| time.max(ripe)), sign);
        };
        for withdrawn in outcomes.withdrawn_of(at) {
            happened(withdrawn.from, 1);
            happened(withdrawn.until, -1);
        }
        if let Some(time) = outcomes.known[at].happened() {
            happened(time, 1);
        }
        push(1, row, ripe, 1);
    }
    for (phase, events) in streams {
        let mut happenings =
            Happenings { rows: Some(events.rows), known_at: Some(events.times), ..Happenings::default() };
        if kind == EventKind::Fraud {
            happenings.values.insert(STANDING.name, events.signs);
        }
        facts.events.insert(Stream { kind, phase, level }, happenings);
    }
}

/// Events that add to what stands or take from it.
#[derive(Default)]
struct Standing {
    rows: Vec<u32>,
    times: Vec<i64>,
    signs: Vec<i64>,
}

impl Standing {
    fn push(&mut self, row: usize, time: i64, sign: i64) {
        self.rows.push(row as u32);
        self.times.push(time);
        self.signs.push(sign);
    }
}

/// The rows of a table of its own as events, those that `keep` wants.
fn rows_of(
    kind: EventKind,
    clock: &str,
    keep: Option<&[bool]>,
    tables: &Tables,
    keys: &mut Keys,
    fresh: &mut dyn Fresh,
) -> Result<Happenings> {
    let table = table_of(kind);
    let mut kept = Vec::new();
    for row in (0..tables.frame(table).height()).filter(|&row| keep.is_none_or(|keep| keep[row])) {
        if fresh.row(table, row)? {
            kept.push(row);
        }
    }
    fn pick<T: Copy>(column: &[T], kept: &[usize]) -> Vec<T> {
        kept.iter().map(|&row| column[row]).collect()
    }
    let mut events = Happenings {
        happened_at: Some(pick(&tables.first_of(table, &[clock])?, &kept)),
        known_at: Some(pick(&tables.first_of(table, &["known_at", clock])?, &kept)),
        rows: Some(pick(tables.order_rows(table)?, &kept)),
        ..Happenings::default()
    };
    if let Some(customer) = crate::contract::feature::entity("customer")
        && let Some(numbers) = tables.keys(table, customer, keys)?
    {
        events.keys.insert(customer.name, pick(&numbers, &kept));
    }
    for value in kind.values() {
        if let Some(values) = tables.ints(table, value.name)? {
            events.values.insert(value.name, pick(&values, &kept));
        }
    }
    Ok(events)
}
