//! What people say is wrong: parcels damaged, lost or mixed up, and disputes with a deadline.

use super::Severity;
use super::columns::{Ints, Texts};
use super::events::{Events, Mishap};
use super::returns::Returns;
use super::shop::{Finding, Shop};
use super::words::{instant, span};
use crate::contract::exception::ExceptionKind as Kind;
use crate::error::Result;
use crate::kpi::facts::MARKS;
use crate::types::time::DAY;
use std::collections::{BTreeMap, BTreeSet};

/// The columns of `tickets`.
pub(super) struct Tickets {
    rows: usize,
    id: Texts,
    order: Texts,
    customer: Texts,
    kind: Texts,
    topic: Texts,
    outcome: Texts,
    opened_at: Ints,
    known_at: Ints,
    first_reply_at: Ints,
    solved_at: Ints,
    amount: Ints,
}

impl Tickets {
    pub(super) fn of(shop: &Shop<'_>) -> Result<Self> {
        let table = shop.source("tickets");
        Ok(Self {
            rows: table.rows(),
            id: table.texts("ticket_id")?,
            order: table.texts("order_id")?,
            customer: table.texts("customer_id")?,
            kind: table.texts("kind")?,
            topic: table.texts("topic")?,
            outcome: table.texts("outcome")?,
            opened_at: table.ints("opened_at")?,
            known_at: table.ints("known_at")?,
            first_reply_at: table.ints("first_reply_at")?,
            solved_at: table.ints("solved_at")?,
            amount: table.ints("amount")?,
        })
    }

    fn is_open(&self, row: usize) -> bool {
        self.solved_at.get(row).is_none() && self.outcome.get(row).is_none()
    }
}

/// Words of a customer that nothing came, beside those that name a loss.
const NOT_RECEIVED: &[&str] = &["not_received", "never_arrived", "not_delivered"];

/// What a reason or topic says, if it is one of these kinds: by the words that KPIs go by.
fn kind_of(text: &str) -> Option<Kind> {
    let mark = MARKS.iter().find(|mark| mark.is_told_by(text)).map(|mark| mark.name);
    match mark {
        Some("damaged") => Some(Kind::Damaged),
        Some("lost") => Some(Kind::Lost),
        Some("wrong_item") => Some(Kind::WrongItem),
        _ if NOT_RECEIVED.contains(&text.trim().to_lowercase().replace([' ', '-'], "_").as_str()) => Some(Kind::Lost),
        _ => None,
    }
}

/// Whether a customer with this reason has nothing usable.
pub(super) fn is_urgent(reason: &str) -> bool {
    kind_of(reason).is_some() || ["defective", "does_not_work"].contains(&reason.trim().to_lowercase().as_str())
}

/// Who said first that something is wrong, for each order and kind.
#[derive(Default)]
struct Claims(BTreeMap<(usize, Kind), Claim>);

/// When it happened and was known, the case it is told in, and what was said.
type Claim = (i64, i64, Option<String>, String);

impl Claims {
    fn add(&mut self, row: usize, kind: Kind, at: i64, known_at: i64, reference: Option<&str>, said: String) {
        let claim = (at, known_at, reference.map(str::to_owned), said);
        let kept = self.0.entry((row, kind)).or_insert_with(|| claim.clone());
        if claim < *kept {
            *kept = claim;
        }
    }
}

/// Notes parcels that are reported damaged, lost or mixed up, until that is settled.
///
/// What a carrier or warehouse says is settled by a return, by a solved ticket after it, by the order's completion, and a
/// loss by the delivery. What a customer says is open as long as the ticket or return is.
pub(super) fn mishaps(shop: &mut Shop<'_>, events: &Events, tickets: &Tickets, returns: &Returns) {
    let mut claims = Claims::default();
    let affected: BTreeSet<usize> = events.mishaps.iter().map(|mishap| mishap.row).collect();
    let (mut solved, mut returned) = (BTreeMap::new(), BTreeSet::new());
    for at_row in 0..tickets.rows {
        let Some(row) = shop.row_of(tickets.order.get(at_row)) else { continue };
        if let Some(at) = tickets.solved_at.get(at_row).filter(|_| affected.contains(&row)) {
            let latest = solved.entry(row).or_insert(at);
            *latest = at.max(*latest);
        }
        let (Some(topic), Some(opened)) = (tickets.topic.get(at_row), tickets.opened_at.get(at_row)) else { continue };
        if let Some(kind) = kind_of(topic).filter(|_| tickets.is_open(at_row)) {
            let known_at = tickets.known_at.get(at_row).unwrap_or(opened);
            let said = format!("the customer says `{topic}` in a {} of {}", word(tickets, at_row), instant(opened));
            claims.add(row, kind, opened, known_at, tickets.id.get(at_row), said);
        }
    }
    for at_row in 0..returns.rows {
        let Some(row) = shop.row_of(returns.order.get(at_row)) else { continue };
        if affected.contains(&row) {
            returned.insert(row);
        }
        let (Some(reason), Some(asked)) = (returns.reason.get(at_row), returns.requested_at.get(at_row)) else {
            continue;
        };
        if let Some(kind) = kind_of(reason).filter(|_| !returns.is_settled(at_row)) {
            let known_at = returns.known_at.get(at_row).unwrap_or(asked);
            let said = format!("the customer says `{reason}` in a return of {}", instant(asked));
            claims.add(row, kind, asked, known_at, returns.id.get(at_row), said);
        }
    }
    for Mishap { kind, row, at, known_at, detail } in &events.mishaps {
        let row = *row;
        let found = *kind == Kind::Lost && shop.orders.delivered_at.get(row).is_some();
        let answered = returned.contains(&row)
            || solved.get(&row).is_some_and(|solved| solved >= at)
            || shop.orders.completed_at.get(row).is_some()
            || shop.orders.is_cancelled(row);
        if *kind == Kind::StockShort || found || answered {
            continue;
        }
        let who = if *kind == Kind::WrongItem { "reported" } else { "the carrier reported it" };
        let what = detail.as_ref().map(|text| format!(": {text}")).unwrap_or_default();
        claims.add(row, *kind, *at, *known_at, None, format!("{who} {}{what}", instant(*at)));
    }
    for ((row, kind), (since, known_at, reference, said)) in claims.0 {
        let action = match kind {
            Kind::Damaged => "offer a replacement or a refund, and claim the damage from the carrier",
            Kind::Lost => "replace or refund, and claim the loss from the carrier",
            _ => "send the right article with a return label for the wrong one",
        };
        let detail = format!("{said}, not settled after {}", span(shop.as_of() - since));
        let (known_at, value_at_risk) = (known_at.max(since), shop.amount(row));
        shop.add(Finding {
            kind,
            order: Some(row),
            reference,
            customer: None,
            since,
            known_at,
            severity: Severity::High,
            value_at_risk,
            detail,
            action,
        });
    }
}

fn word(tickets: &Tickets, row: usize) -> &str {
    match tickets.kind.get(row) {
        Some(kind @ ("dispute" | "claim" | "chargeback")) => kind,
        _ => "ticket",
    }
}

/// Notes disputes, claims and chargebacks that are open near the end of the time to answer them.
pub(super) fn disputes(shop: &mut Shop<'_>, tickets: &Tickets) {
    for at_row in (0..tickets.rows).filter(|row| tickets.is_open(*row)) {
        let (Some(kind), Some(opened)) = (tickets.kind.get(at_row), tickets.opened_at.get(at_row)) else { continue };
        let answer_within = match kind {
            "dispute" => shop.limits.dispute,
            "claim" => shop.limits.claim,
            "chargeback" => shop.limits.chargeback,
            _ => continue,
        };
        let (deadline, as_of) = (opened + answer_within, shop.as_of());
        let since = opened.max(deadline - shop.limits.near);
        if as_of < since {
            continue;
        }
        if as_of > deadline + shop.limits.lapsed {
            if shop.asks(Kind::DisputeDeadline) {
                *shop.left_out.entry(Kind::DisputeDeadline).or_default() += 1;
            }
            continue;
        }
        let row = shop.row_of(tickets.order.get(at_row));
        let left = match deadline - as_of {
            left if left >= 0 => format!("to be answered by {}, in {}", instant(deadline), span(left)),
            late => format!("was to be answered by {}, {} ago", instant(deadline), span(-late)),
        };
        let (severity, answered, action) = match tickets.first_reply_at.get(at_row) {
            Some(at) => (
                Severity::Medium,
                format!(", answered {} and still open", instant(at)),
                "see that the platform has all evidence, and press for its decision",
            ),
            None => {
                let severity = if deadline - as_of <= DAY { Severity::Critical } else { Severity::High };
                let answered = if tickets.first_reply_at.is_supplied() { ", not answered" } else { "" };
                (severity, answered.to_owned(), "send the evidence (tracking, delivery, messages) or accept and refund")
            }
        };
        let topic = tickets.topic.get(at_row).map(|topic| format!(" over `{topic}`")).unwrap_or_default();
        let amount = tickets.amount.get(at_row).or_else(|| row.map(|row| shop.amount(row))).unwrap_or_default();
        let detail =
            format!("{kind}{topic} of {} opened {}{answered}; {left}", shop.currency.amount(amount), instant(opened));
        shop.add(Finding {
            kind: Kind::DisputeDeadline,
            order: row,
            reference: tickets.id.get(at_row).map(str::to_owned),
            customer: tickets.customer.get(at_row).map(str::to_owned),
            since,
            known_at: since.max(tickets.known_at.get(at_row).unwrap_or(since)),
            severity,
            value_at_risk: amount,
            detail,
            action,
        });
    }
}
