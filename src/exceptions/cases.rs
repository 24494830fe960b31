//! What people say is wrong: parcels damaged, lost or mixed up, and disputes with a deadline.

use super::Severity;
use super::columns::{Ints, Texts};
use super::events::{Events, Mishap};
use super::returns::Returns;
use super::shop::{Finding, Shop};
use super::words::{instant, said};
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
            let (case, at) = (case(shop, tickets.kind.get(at_row)), instant(opened));
            let said = said!(
                shop.terms.language,
                "the customer says `{topic}` in a {case} of {at}",
                "客户在 {at} 的{case}中说 `{topic}`"
            );
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
            let at = instant(asked);
            let said = said!(
                shop.terms.language,
                "the customer says `{reason}` in a return of {at}",
                "客户在 {at} 的退货中说 `{reason}`"
            );
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
        let who = match kind {
            Kind::WrongItem => shop.say("reported", "已"),
            _ => shop.say("the carrier reported it", "承运商"),
        };
        let (language, when) = (shop.terms.language, instant(*at));
        let what = detail.as_ref().map(|text| said!(language, ": {text}", "：{text}")).unwrap_or_default();
        let said = said!(language, "{who} {when}{what}", "{who}于 {when} 报告{what}");
        claims.add(row, *kind, *at, *known_at, None, said);
    }
    for ((row, kind), (since, known_at, reference, said)) in claims.0 {
        let action = match kind {
            Kind::Damaged => shop.say(
                "offer a replacement or a refund, and claim the damage from the carrier",
                "提供补发或退款，并就破损向承运商索赔",
            ),
            Kind::Lost => {
                shop.say("replace or refund, and claim the loss from the carrier", "补发或退款，并就丢失向承运商索赔")
            }
            _ => shop.say(
                "send the right article with a return label for the wrong one",
                "寄出正确商品，并为错发的商品提供退货面单",
            ),
        };
        let after = shop.span(shop.as_of() - since);
        let detail = said!(shop.terms.language, "{said}, not settled after {after}", "{said}，{after}后仍未解决");
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

/// A kind of ticket in words.
fn case(shop: &Shop<'_>, kind: Option<&str>) -> &'static str {
    match kind {
        Some("dispute") => shop.say("dispute", "纠纷"),
        Some("claim") => shop.say("claim", "索赔"),
        Some("chargeback") => shop.say("chargeback", "拒付"),
        _ => shop.say("ticket", "工单"),
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
        let (language, until) = (shop.terms.language, instant(deadline));
        let (is_late, apart) = (as_of > deadline, shop.span((deadline - as_of).abs()));
        let left = match is_late {
            false => said!(language, "to be answered by {until}, in {apart}", "须在 {until} 前答复，还有 {apart}"),
            true => said!(language, "was to be answered by {until}, {apart} ago", "应在 {until} 前答复，已过 {apart}"),
        };
        let (severity, answered, action) = match tickets.first_reply_at.get(at_row).map(instant) {
            Some(at) => (
                Severity::Medium,
                said!(language, ", answered {at} and still open", "，已于 {at} 答复，仍未结案"),
                shop.say(
                    "see that the platform has all evidence, and press for its decision",
                    "确认平台已收到全部证据，并催促其裁定",
                ),
            ),
            None => {
                let severity = if deadline - as_of <= DAY { Severity::Critical } else { Severity::High };
                let answered = match tickets.first_reply_at.is_supplied() {
                    true => shop.say(", not answered", "，尚未答复"),
                    false => "",
                };
                let action = shop.say(
                    "send the evidence (tracking, delivery, messages) or accept and refund",
                    "提交证据（物流、签收、沟通记录），或接受并退款",
                );
                (severity, answered.to_owned(), action)
            }
        };
        let topic = tickets.topic.get(at_row).map(|topic| said!(language, " over `{topic}`", "（`{topic}`）"));
        let topic = topic.unwrap_or_default();
        let amount = tickets.amount.get(at_row).or_else(|| row.map(|row| shop.amount(row))).unwrap_or_default();
        let (value, at, kind) = (shop.currency.amount(amount), instant(opened), case(shop, Some(kind)));
        let detail = said!(
            language,
            "{kind}{topic} of {value} opened {at}{answered}; {left}",
            "{kind}{topic}，金额 {value}，{at} 提出{answered}；{left}"
        );
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
