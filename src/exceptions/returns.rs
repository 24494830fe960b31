//! Returns that wait for the shop.

use super::Severity;
use super::cases::is_urgent;
use super::columns::{Ints, Texts};
use super::shop::{Finding, Shop};
use super::words::{instant, said};
use crate::contract::exception::ExceptionKind as Kind;
use crate::error::Result;

/// The columns of `returns`.
pub(super) struct Returns {
    pub(super) rows: usize,
    pub(super) id: Texts,
    pub(super) order: Texts,
    pub(super) reason: Texts,
    pub(super) requested_at: Ints,
    pub(super) known_at: Ints,
    kind: Texts,
    approved_at: Ints,
    rejected_at: Ints,
    received_at: Ints,
    refunded_at: Ints,
    replacement_shipped_at: Ints,
    closed_at: Ints,
    amount: Ints,
}

impl Returns {
    pub(super) fn of(shop: &Shop<'_>) -> Result<Self> {
        let table = shop.source("returns");
        Ok(Self {
            rows: table.rows(),
            id: table.texts("return_id")?,
            order: table.texts("order_id")?,
            reason: table.texts("reason")?,
            requested_at: table.ints("requested_at")?,
            known_at: table.ints("known_at")?,
            kind: table.texts("kind")?,
            approved_at: table.ints("approved_at")?,
            rejected_at: table.ints("rejected_at")?,
            received_at: table.ints("received_at")?,
            refunded_at: table.ints("refunded_at")?,
            replacement_shipped_at: table.ints("replacement_shipped_at")?,
            closed_at: table.ints("closed_at")?,
            amount: table.ints("amount")?,
        })
    }

    /// Refused, refunded, replaced or closed.
    pub(super) fn is_settled(&self, row: usize) -> bool {
        [&self.rejected_at, &self.refunded_at, &self.replacement_shipped_at, &self.closed_at]
            .iter()
            .any(|column| column.get(row).is_some())
    }

    fn is_exchange(&self, row: usize) -> bool {
        self.kind.get(row) == Some("exchange")
    }

    /// The step that is the shop's to take, and since when it waits.
    fn step(&self, row: usize) -> Option<(Next, i64)> {
        if self.is_settled(row) {
            return None;
        }
        match (self.received_at.get(row), self.approved_at.get(row)) {
            // Whether it was paid back can only be said where that is supplied.
            (Some(received), _) if self.refunded_at.is_supplied() || self.closed_at.is_supplied() => {
                Some((Next::Settle, received))
            }
            (None, None) if self.approved_at.is_supplied() => self.requested_at.get(row).map(|at| (Next::Answer, at)),
            // Approved and not sent back yet: the customer's turn.
            _ => None,
        }
    }
}

/// What the shop has to do next.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Next {
    Answer,
    Settle,
}

/// Notes returns that wait, and those that come first.
pub(super) fn find(shop: &mut Shop<'_>, returns: &Returns) {
    for at_row in 0..returns.rows {
        let Some(row) = shop.row_of(returns.order.get(at_row)) else { continue };
        let Some((next, from)) = returns.step(at_row) else { continue };
        let value_at_risk = returns.amount.get(at_row).unwrap_or_else(|| shop.amount(row));
        let known_at = returns.known_at.get(at_row).unwrap_or(from);
        let (waited, language) = (shop.as_of() - from, shop.terms.language);
        let settle = match returns.is_exchange(at_row) {
            true => shop.say("replaced", "补发"),
            false => shop.say("refunded", "退款"),
        };
        let reason = returns.reason.get(at_row).map(|r| said!(language, ", reason `{r}`", "，原因 `{r}`"));
        let (reason, at, after) = (reason.unwrap_or_default(), instant(from), shop.span(waited));
        let value = shop.currency.amount(value_at_risk);
        let state = match next {
            Next::Answer => said!(
                language,
                "requested {at}{reason}, not answered after {after}",
                "{at} 申请退货{reason}，{after}后仍未答复"
            ),
            Next::Settle => said!(
                language,
                "received {at}{reason}, {value} not {settle} after {after}",
                "{at} 收到退货{reason}，{after}后 {value} 仍未{settle}"
            ),
        };
        let urgent = returns.reason.get(at_row).is_some_and(is_urgent);
        let first = match () {
            () if value_at_risk >= shop.high_value => Some(said!(language, "high value, {value}", "高价值，{value}")),
            () if urgent => Some(shop.say("the customer has nothing usable", "客户手中没有可用的商品").to_owned()),
            () if returns.is_exchange(at_row) => {
                Some(shop.say("the customer waits for a replacement", "客户在等换货").to_owned())
            }
            () => None,
        };
        let limit = match next {
            Next::Answer => shop.limits.return_answer,
            Next::Settle => shop.limits.return_refund,
        };
        let action = match (next, returns.is_exchange(at_row)) {
            (Next::Answer, _) => shop.say(
                "answer the return: approve it with a label, or say why not",
                "答复退货：同意并提供面单，或说明不同意的理由",
            ),
            (Next::Settle, false) => shop.say("check the goods and pay the refund", "验货并退款"),
            (Next::Settle, true) => shop.say("check the goods and send the replacement", "验货并寄出换货"),
        };
        let mut notes = Vec::new();
        if let Some(first) = first {
            notes.push((
                Kind::ReturnPriority,
                from,
                Severity::High,
                said!(language, "{first}; {state}", "{first}；{state}"),
            ));
        }
        if waited > limit {
            let most = shop.span(limit);
            let limits = match limit > 0 {
                true => said!(language, "; the limit is {most}", "；时限 {most}"),
                false => String::new(),
            };
            notes.push((Kind::ReturnWaiting, from + limit, Severity::Medium, state + &limits));
        }
        for (kind, since, severity, detail) in notes {
            shop.add(Finding {
                kind,
                order: Some(row),
                reference: returns.id.get(at_row).map(str::to_owned),
                customer: None,
                since,
                known_at: since.max(known_at),
                severity,
                value_at_risk,
                detail,
                action,
            });
        }
    }
}
