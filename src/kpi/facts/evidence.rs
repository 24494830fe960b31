//! What went wrong with an order, whoever told of it: the warehouse's or the carrier's event, the reason of a return, the
//! topic of a ticket or the reason of a cancellation. An order that three of them tell of is one order.

use super::order_rows::ORDER;
use super::words::{by_word, texts};
use super::{Availability, Tables, plain, says};
use crate::error::{Error, Result};
use polars::prelude::*;

/// A kind of error that several sources tell of.
#[derive(Debug)]
pub struct Mark {
    /// Its name, and the column of orders that says whether it happened.
    pub name: &'static str,
    /// The event that says so, if there is one.
    event: Option<&'static str>,
    /// Reasons and topics that say so, in lower case with `_` for blanks and hyphens.
    words: &'static [&'static str],
}

impl Mark {
    /// Whether a reason or topic, as the source writes it, says so.
    pub fn is_told_by(&self, text: &str) -> bool {
        self.words.contains(&plain(text).as_str())
    }
}

/// Every mark. A shop whose words differ maps them to the first of each in its pipeline.
pub const MARKS: [Mark; 7] = [
    Mark {
        name: "wrong_item",
        event: Some("wrong_item"),
        words: &["wrong_item", "wrong_article", "wrong_product", "wrong_size_sent", "wrong_color_sent"],
    },
    Mark {
        name: "damaged",
        event: Some("exception_damage"),
        words: &["damaged", "damage", "damaged_in_transit", "arrived_damaged", "broken"],
    },
    Mark { name: "lost", event: Some("exception_lost"), words: &["lost", "lost_in_transit", "parcel_lost"] },
    Mark {
        name: "stockout",
        event: Some("stockout"),
        words: &["stockout", "out_of_stock", "sold_out", "no_inventory", "unavailable"],
    },
    Mark {
        name: "address_problem",
        event: Some("exception_address"),
        words: &["address_problem", "wrong_address", "undeliverable", "undeliverable_address", "address_incomplete"],
    },
    Mark {
        name: "not_as_described",
        event: None,
        words: &["not_as_described", "not_as_pictured", "significantly_not_as_described", "snad"],
    },
    Mark {
        name: "document_problem",
        event: None,
        words: &[
            "document_problem",
            "documents",
            "documents_missing",
            "papers_missing",
            "wrong_invoice",
            "missing_invoice",
        ],
    },
];

/// Columns of free words that tell of marks. The detail of an event tells of documents.
pub(super) const TOLD_IN: [(&str, &str); 4] =
    [("orders", "cancel_reason"), ("order_events", "detail"), ("returns", "reason"), ("tickets", "topic")];

// A row's marks are bits by their place in `MARKS`.
const _: () = assert!(MARKS.len() <= u8::BITS as usize);

fn marks(is: impl Fn(&Mark) -> bool) -> u8 {
    MARKS.iter().enumerate().filter(|(_, mark)| is(mark)).fold(0, |all, (at, _)| all | 1 << at)
}

/// What an event tells of by its kind.
pub(super) fn of_event(event: &str) -> u8 {
    marks(|mark| mark.event == Some(event))
}

/// What an event tells of by its detail. That of a delay at customs names documents; that of damage says how, which is no
/// mark of its own.
pub(super) fn of_detail(detail: &str) -> u8 {
    marks(|mark| mark.name == "document_problem" && mark.is_told_by(detail))
}

/// What a column of reasons or topics tells of, by row.
pub(super) fn of_reasons(reasons: &StringChunked) -> impl Iterator<Item = u8> + '_ {
    by_word(reasons, 0, |reason| marks(|mark| mark.is_told_by(reason)))
}

/// Whether a column of reasons tells of a mark; false where it tells nothing or is not there.
pub(super) fn says_mark(frame: &DataFrame, column: &str, name: &str) -> Expr {
    MARKS.iter().find(|mark| mark.name == name).map_or(lit(false), |mark| says(frame, column, mark.words))
}

/// A column per mark, named after it behind `prefix`; null nowhere.
pub(super) fn columns(prefix: &str, told: &[u8]) -> Vec<Column> {
    let column = |(at, mark): (usize, &Mark)| {
        let bits = told.iter().map(|told| told >> at & 1 == 1);
        BooleanChunked::from_iter_values(format!("{prefix}{}", mark.name).into(), bits).into_column()
    };
    MARKS.iter().enumerate().map(column).collect()
}

/// What events (if there are any, by order), tickets and cancellations tell of orders, by order; `None` where nobody tells
/// of anything.
pub(super) fn of_orders(tables: &Tables, available: &Availability, events: Option<Vec<u8>>) -> Result<Option<Vec<u8>>> {
    let orders = tables.get("orders");
    let tickets = tables.get("tickets").filter(|_| available.has("tickets.order_id"));
    let cancels = orders.filter(|_| available.has("orders.cancel_reason"));
    if events.is_none() && tickets.is_none() && cancels.is_none() {
        return Ok(None);
    }
    let mut told = events.unwrap_or_else(|| vec![0; orders.map_or(0, DataFrame::height)]);
    if let Some(tickets) = tickets {
        let rows = tickets.column(ORDER).and_then(|c| c.idx().cloned()).map_err(Error::frames("evidence of errors"))?;
        for (order, of_ticket) in rows.iter().zip(of_reasons(&texts(tickets, "topic")?)) {
            if let Some(order) = order {
                told[order as usize] |= of_ticket;
            }
        }
    }
    if let Some(orders) = cancels {
        told.iter_mut().zip(of_reasons(&texts(orders, "cancel_reason")?)).for_each(|(told, reason)| *told |= reason);
    }
    Ok(Some(told))
}
