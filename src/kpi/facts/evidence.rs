//! What went wrong with an order, whoever told of it: the warehouse's or the carrier's event, the reason of a return, the
//! topic of a ticket or the reason of a cancellation. An order that three of them tell of is one order.

use super::{Availability, nulls, plain, says};
use crate::error::Result;
use polars::prelude::*;
use std::collections::BTreeMap;

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

/// One row per return with a column per mark, null nowhere.
pub(super) fn of_returns(returns: &DataFrame) -> LazyFrame {
    let marks: Vec<Expr> = MARKS.iter().map(|m| says(returns, "reason", m.words).alias(m.name)).collect();
    nulls(returns, "returns").with_columns(marks)
}

/// Orders with what events, tickets and cancellations tell of them: one row per order of which anything is told, a column
/// per mark.
pub(super) fn of_orders(
    tables: &BTreeMap<&'static str, DataFrame>,
    available: &Availability,
) -> Result<Option<LazyFrame>> {
    let mut parts = Vec::new();
    let mut add = |frame: LazyFrame, mark: &dyn Fn(&Mark) -> Expr| {
        let marks: Vec<Expr> = MARKS.iter().map(|m| mark(m).alias(m.name)).collect();
        let has_column = |mark: &Expr| mark.into_iter().any(|part| matches!(part, Expr::Column(_)));
        let tells: Vec<&str> =
            MARKS.iter().zip(&marks).filter(|(_, mark)| has_column(mark)).map(|(m, _)| m.name).collect();
        let any = tells.iter().fold(lit(false), |any, name| any.or(col(*name)));
        let all: Vec<Expr> = std::iter::once(col("order_id")).chain(marks).collect();
        let told = frame.filter(col("order_id").is_not_null()).select(all);
        // Where no word tells of anything the question has no column in it, and frames of a few rows are cut up by it wrongly.
        parts.push(if tells.is_empty() { told.limit(0) } else { told.filter(any) });
    };
    if let Some(events) = tables.get("order_events") {
        add(nulls(events, "order_events"), &|mark| {
            let event = mark.event.map_or(lit(false), |event| col("event").eq(lit(event)));
            // The detail of a delay at customs; that of damage says how, which is no mark of its own.
            if mark.name == "document_problem" { event.or(says(events, "detail", mark.words)) } else { event }
        });
    }
    if let Some(tickets) = tables.get("tickets").filter(|_| available.has("tickets.order_id")) {
        add(nulls(tickets, "tickets"), &|mark| says(tickets, "topic", mark.words));
    }
    if let Some(orders) = tables.get("orders").filter(|_| available.has("orders.cancel_reason")) {
        add(orders.clone().lazy(), &|mark| says(orders, "cancel_reason", mark.words));
    }
    if parts.is_empty() {
        return Ok(None);
    }
    let all = concat(parts, UnionArgs::default()).map_err(crate::error::Error::frames("evidence of errors"))?;
    Ok(Some(all.group_by([col("order_id")]).agg(any_marks())))
}

/// Each mark, whether any row has it.
pub(super) fn any_marks() -> Vec<Expr> {
    MARKS.iter().map(|m| col(m.name).any(true).alias(m.name)).collect()
}
