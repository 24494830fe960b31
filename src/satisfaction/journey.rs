//! What happened to every order, as columns: stages, events, contacts, returns. The ground of factors and facts.

use crate::error::Result;
use crate::features::kernel::NO_VALUE;
use crate::features::tables::{NO_ROW, Tables};
use crate::types::time::local_day;
use chrono_tz::Tz;

/// Events that are kept of an order, each with its earliest occurrence.
pub const EVENTS: [&str; 10] = [
    "first_scan",
    "customs_arrived",
    "customs_cleared",
    "exception_delay",
    "exception_damage",
    "exception_lost",
    "exception_address",
    "stockout",
    "wrong_item",
    "at_local_post",
];

/// A ticket on an order. Times are UTC microseconds, [`NO_VALUE`] where there is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ticket {
    /// Row of the order.
    pub order: u32,
    /// When the shop came to know of it.
    pub known: i64,
    /// When it was opened.
    pub opened: i64,
    /// First reply.
    pub replied: i64,
    /// First time solved.
    pub solved: i64,
    /// Last time solved, as far as that is known: the first, where nothing tells of a later one.
    pub last_solved: i64,
    /// A dispute, claim or chargeback, and not a plain contact.
    pub is_complaint: bool,
    /// A chargeback, which nobody replies to.
    pub is_chargeback: bool,
    /// It says that the goods were not as they should be: see [`is_about_goods`].
    pub is_about_goods: bool,
    /// Whether it was answered in the customer's language; `None` where that is not known.
    pub language_matched: Option<bool>,
}

impl Ticket {
    /// Solved and opened again.
    pub fn is_reopened(&self) -> bool {
        self.solved != NO_VALUE && self.last_solved > self.solved
    }
}

/// A return of an order. Times are UTC microseconds, [`NO_VALUE`] where there is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Return {
    /// Row of the order.
    pub order: u32,
    /// When the shop came to know of the request.
    pub known: i64,
    /// When it was requested.
    pub requested: i64,
    /// When it was approved or rejected, whichever came first.
    pub answered: i64,
    /// When the goods were back.
    pub received: i64,
    /// When the money or the replacement went out.
    pub settled: i64,
    /// When it was rejected or closed.
    pub ended: i64,
    /// It says that the goods were not as they should be: see [`is_about_goods`].
    pub is_about_goods: bool,
}

impl Return {
    /// Neither settled, rejected nor closed.
    pub fn is_open(&self) -> bool {
        self.settled == NO_VALUE && self.ended == NO_VALUE
    }
}

/// Whether a reason or topic says that the goods were not as they should be.
pub fn is_about_goods(word: &str) -> bool {
    let word = word.trim().to_lowercase().replace([' ', '-'], "_");
    matches!(word.as_str(), "not_as_described" | "damaged" | "damage" | "defective" | "wrong_item" | "counterfeit")
}

/// Orders by row, and what happened to each.
#[derive(Debug, Clone)]
pub struct Journeys {
    /// Zone of days.
    pub zone: Tz,
    /// The run's clock, UTC microseconds; everything here was known then.
    pub as_of: i64,
    /// When each was placed.
    pub placed: Vec<i64>,
    /// Whether each was cancelled, as far as the input tells.
    pub cancelled: Vec<bool>,
    /// Stages and promises by name; absent where the input has no such column.
    stages: Vec<(&'static str, Vec<i64>)>,
    /// When each event of [`EVENTS`] first happened, and when that was known; `None` without events.
    pub events: Option<Vec<[Vec<i64>; 2]>>,
    /// Tickets by order, then time; `None` without tickets on orders.
    pub tickets: Option<Grouped<Ticket>>,
    /// Returns by order, then time; `None` without returns.
    pub returns: Option<Grouped<Return>>,
    /// Whether tickets and returns tell why.
    pub tells_reasons: bool,
    /// Whether tickets tell of first replies; solutions; languages of both sides.
    pub tickets_tell: [bool; 3],
}

/// Rows by order.
#[derive(Debug, Clone, Default)]
pub struct Grouped<T> {
    rows: Vec<T>,
    begin: Vec<u32>,
}

impl<T> Grouped<T> {
    fn new(rows: Vec<T>, orders: usize, order: impl Fn(&T) -> u32) -> Self {
        let mut begin = vec![0u32; orders + 1];
        for row in &rows {
            begin[order(row) as usize + 1] += 1;
        }
        for at in 0..orders {
            begin[at + 1] += begin[at];
        }
        Self { rows, begin }
    }

    /// The rows of an order.
    pub fn of(&self, order: usize) -> &[T] {
        &self.rows[self.begin[order] as usize..self.begin[order + 1] as usize]
    }
}

const STAGES: [&str; 8] = [
    "paid_at",
    "approved_at",
    "shipped_at",
    "delivered_at",
    "promised_ship_at",
    "promised_delivery_at",
    "completed_at",
    "cancelled_at",
];

impl Journeys {
    /// Reads them from tables as they were known at `as_of`.
    ///
    /// # Errors
    /// [`crate::error::Error::Frames`] only for defects.
    pub(crate) fn new(tables: &Tables, zone: Tz, as_of: i64) -> Result<Self> {
        let orders = tables.orders();
        let mut stages = Vec::new();
        for name in STAGES {
            stages.extend(tables.ints("orders", name)?.map(|times| (name, times)));
        }
        let tell = |table: &str, column: &str| tables.has(table, column);
        Ok(Self {
            zone,
            as_of,
            placed: tables.placed_at.clone(),
            cancelled: cancelled(tables)?,
            stages,
            events: events(tables)?,
            tickets: tickets(tables)?.map(|rows| Grouped::new(rows, orders, |t: &Ticket| t.order)),
            returns: returns(tables)?.map(|rows| Grouped::new(rows, orders, |r: &Return| r.order)),
            tells_reasons: tell("returns", "reason") || tell("tickets", "topic"),
            tickets_tell: [
                tell("tickets", "first_reply_at"),
                tell("tickets", "solved_at"),
                tell("tickets", "language") && tell("tickets", "agent_language"),
            ],
        })
    }

    /// Number of orders.
    pub fn orders(&self) -> usize {
        self.placed.len()
    }

    /// Whether the input has a stage or promise.
    pub fn has(&self, stage: &str) -> bool {
        self.stages.iter().any(|(name, _)| *name == stage)
    }

    /// When an order reached a stage, or what it was promised; `None` where it did not or that is not known.
    pub fn at(&self, stage: &str, order: usize) -> Option<i64> {
        let (_, times) = self.stages.iter().find(|(name, _)| *name == stage)?;
        times.get(order).copied().filter(|&at| at != NO_VALUE)
    }

    /// Calendar day of an instant in the pipeline's zone, days since 1970-01-01.
    pub fn day(&self, at: i64) -> i32 {
        local_day(at, self.zone).unwrap_or_default()
    }

    /// When an event of [`EVENTS`] first happened to an order and when that was known.
    pub fn event(&self, name: &str, order: usize) -> Option<(i64, i64)> {
        let at = EVENTS.iter().position(|known| *known == name)?;
        let [happened, known] = &self.events.as_ref()?[at];
        (happened[order] != NO_VALUE).then_some((happened[order], known[order]))
    }
}

/// Cancelled by whoever: a time of it, a name for who did it, or the order's status says so.
fn cancelled(tables: &Tables) -> Result<Vec<bool>> {
    let mut cancelled = vec![false; tables.orders()];
    for (row, at) in tables.ints("orders", "cancelled_at")?.unwrap_or_default().into_iter().enumerate() {
        cancelled[row] |= at != NO_VALUE;
    }
    for (row, by) in tables.texts("orders", "cancelled_by")?.unwrap_or_default().into_iter().enumerate() {
        cancelled[row] |= by.is_some();
    }
    if let Some(status) = tables.text_column("orders", "status")? {
        for (row, status) in status.iter().enumerate() {
            let said = |word: &str| status.is_some_and(|s| s.eq_ignore_ascii_case(word));
            cancelled[row] |= said("cancelled") || said("canceled");
        }
    }
    Ok(cancelled)
}

fn events(tables: &Tables) -> Result<Option<Vec<[Vec<i64>; 2]>>> {
    let Some(names) = tables.text_column("order_events", "event")? else { return Ok(None) };
    let order = tables.order_rows_once("order_events")?;
    let happened = tables.ints("order_events", "occurred_at")?.unwrap_or_default();
    let known = tables.first_of("order_events", &["known_at", "occurred_at"])?;
    let none = || vec![NO_VALUE; tables.orders()];
    let mut first: Vec<[Vec<i64>; 2]> = EVENTS.iter().map(|_| [none(), none()]).collect();
    for (row, name) in names.iter().enumerate() {
        let Some(at) = name.and_then(|name| EVENTS.iter().position(|known| *known == name)) else { continue };
        if order[row] == NO_ROW || happened[row] == NO_VALUE {
            continue;
        }
        let order = order[row] as usize;
        let [when, heard] = &mut first[at];
        if when[order] == NO_VALUE || (happened[row], known[row]) < (when[order], heard[order]) {
            (when[order], heard[order]) = (happened[row], known[row]);
        }
    }
    Ok(Some(first))
}

/// A time column of a table, or as many times that never were.
fn times(tables: &Tables, table: &str, name: &str) -> Result<Vec<i64>> {
    Ok(tables.ints(table, name)?.unwrap_or_else(|| vec![NO_VALUE; tables.frame(table).height()]))
}

fn tickets(tables: &Tables) -> Result<Option<Vec<Ticket>>> {
    if !tables.has("tickets", "order_id") {
        return Ok(None);
    }
    let order = tables.order_rows("tickets")?;
    let known = tables.first_of("tickets", &["known_at", "opened_at"])?;
    let column = |name: &str| times(tables, "tickets", name);
    let (opened, replied, solved) = (column("opened_at")?, column("first_reply_at")?, column("solved_at")?);
    let last_solved = tables.first_of("tickets", &["last_solved_at", "solved_at"])?;
    let texts = |name: &str| tables.texts("tickets", name);
    let (kind, topic, asked, told) = (texts("kind")?, texts("topic")?, texts("language")?, texts("agent_language")?);
    let word = |column: &Option<Vec<Option<String>>>, row: usize| column.as_ref().and_then(|c| c[row].clone());
    let mut rows: Vec<Ticket> = (0..order.len())
        .filter(|&row| order[row] != NO_ROW)
        .map(|row| {
            let kind = word(&kind, row);
            let kind = kind.as_deref().unwrap_or("contact");
            Ticket {
                order: order[row],
                known: known[row],
                opened: opened[row],
                replied: replied[row],
                solved: solved[row],
                last_solved: last_solved[row],
                is_complaint: matches!(kind, "dispute" | "claim" | "chargeback"),
                is_chargeback: kind == "chargeback",
                is_about_goods: word(&topic, row).is_some_and(|t| is_about_goods(&t)),
                language_matched: word(&asked, row).zip(word(&told, row)).map(|(a, b)| a.eq_ignore_ascii_case(&b)),
            }
        })
        .collect();
    rows.sort_by_key(|t| (t.order, t.opened, t.known, t.replied, t.solved, t.last_solved));
    Ok(Some(rows))
}

fn returns(tables: &Tables) -> Result<Option<Vec<Return>>> {
    if !tables.has("returns", "requested_at") {
        return Ok(None);
    }
    let order = tables.order_rows("returns")?;
    let requested = times(tables, "returns", "requested_at")?;
    let known = tables.first_of("returns", &["known_at", "requested_at"])?;
    let either = |names: [&str; 2]| -> Result<Vec<i64>> {
        let (a, b) = (times(tables, "returns", names[0])?, times(tables, "returns", names[1])?);
        let sooner = |(a, b): (i64, i64)| [a, b].into_iter().filter(|&at| at != NO_VALUE).min().unwrap_or(NO_VALUE);
        Ok(a.into_iter().zip(b).map(sooner).collect())
    };
    let answered = either(["approved_at", "rejected_at"])?;
    let settled = either(["refunded_at", "replacement_shipped_at"])?;
    let ended = either(["rejected_at", "closed_at"])?;
    let received = times(tables, "returns", "received_at")?;
    let reason = tables.texts("returns", "reason")?;
    let mut rows: Vec<Return> = (0..order.len())
        .filter(|&row| order[row] != NO_ROW)
        .map(|row| Return {
            order: order[row],
            known: known[row],
            requested: requested[row],
            answered: answered[row],
            received: received[row],
            settled: settled[row],
            ended: ended[row],
            is_about_goods: reason.as_ref().and_then(|r| r[row].as_deref()).is_some_and(is_about_goods),
        })
        .collect();
    rows.sort_by_key(|r| (r.order, r.requested, r.known, r.answered, r.received, r.settled));
    Ok(Some(rows))
}
