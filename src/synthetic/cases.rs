//! Rows of what follows an order: returns, tickets, feedback.

use super::aftermath::{Aftermath, Return, Ticket};
use super::dice::Dice;
use super::fx::{Fx, push_money};
use super::ids::push_id;
use super::order::Placed;
use super::tables::{OF_FEEDBACK, OF_RETURNS, OF_TICKETS, RETURNS, Tables};
use super::words::write_comment;
use crate::error::Result;
use crate::types::time::SECOND;

/// A line of `tickets.ndjson`.
#[derive(serde::Serialize)]
struct TicketLine<'a> {
    ticket_id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    order_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    customer_id: Option<&'a str>,
    kind: &'a str,
    opened_at: String,
    known_at: String,
    first_reply_at: Option<String>,
    solved_at: Option<String>,
    last_solved_at: Option<String>,
    channel: &'a str,
    topic: &'a str,
    language: &'a str,
    agent_language: Option<&'a str>,
    outcome: Option<&'a str>,
    amount: Option<String>,
    currency: Option<&'a str>,
}

impl Tables {
    pub(super) fn write_return(
        &mut self,
        order: &Placed,
        case: &Return,
        i: usize,
        orphaned: bool,
        dirt: &mut Dice,
    ) -> Result<()> {
        let known_at = case.requested_at + heard_after(order);
        if known_at > self.as_of {
            return Ok(());
        }
        let spoilt = self.spoilt(dirt);
        self.count(OF_RETURNS, spoilt, orphaned);
        let stray = spoilt && dirt.chance(0.4);
        let as_of = self.as_of;
        let past = |at: Option<i64>| at.filter(|at| *at <= as_of);
        self.text.clear();
        push_id(&mut self.text, 'R', order.number * 8 + i as u64);
        let row = &mut self.returns;
        row.text(&self.text);
        row.text(if stray { "X000000001" } else { &self.order_id });
        row.count(Some(case.line as i64));
        row.text(if case.exchange { "exchange" } else { "refund" });
        row.instant(Some(case.requested_at));
        row.instant(Some(known_at));
        row.text(case.reason);
        for at in [case.approved_at, case.rejected_at, case.received_at, case.refunded_at] {
            row.instant(past(at));
        }
        row.instant(past(case.replacement_shipped_at));
        row.instant(past(case.replacement_received_at));
        row.instant(past(case.closed_at()));
        row.money(Some(case.amount), order.exponent);
        row.text(Fx::code(order.currency));
        row.count(Some(case.quantity));
        if spoilt && !stray {
            let mut fields = row.fields();
            let (name, text) =
                if dirt.chance(0.5) { ("requested_at", "2025/02/30 at noon") } else { ("quantity", "-1") };
            let at = RETURNS.iter().position(|n| *n == name).unwrap_or(0);
            fields[at] = text.as_bytes().to_vec();
            row.set_row(&fields);
        }
        row.end_row()
    }

    pub(super) fn write_ticket(
        &mut self,
        order: &Placed,
        ticket: &Ticket,
        i: usize,
        orphaned: bool,
        dirt: &mut Dice,
    ) -> Result<()> {
        let known_at = ticket.opened_at + heard_after(order);
        if known_at > self.as_of {
            return Ok(());
        }
        let spoilt = self.spoilt(dirt);
        self.count(OF_TICKETS, spoilt, orphaned);
        let cut = spoilt && dirt.chance(0.5);
        let past = |at: Option<i64>| self.past(at).map(instant_text);
        let mut ticket_id = String::new();
        push_id(&mut ticket_id, 'T', order.number * 8 + i as u64);
        let money = |minor: i64| {
            let mut text = Vec::new();
            push_money(&mut text, minor, order.exponent);
            String::from_utf8(text).unwrap_or_default()
        };
        let line = TicketLine {
            ticket_id,
            order_id: Some(&self.order_id),
            customer_id: Some(&self.customer_id),
            kind: if spoilt && !cut { "quarrel" } else { ticket.kind },
            opened_at: instant_text(ticket.opened_at),
            known_at: instant_text(known_at),
            first_reply_at: past(ticket.first_reply_at),
            solved_at: past(ticket.solved_at),
            last_solved_at: past(ticket.last_solved_at),
            channel: ticket.channel,
            topic: ticket.topic,
            language: order.traits.language,
            agent_language: past(ticket.first_reply_at).map(|_| ticket.agent_language),
            outcome: past(ticket.last_solved_at).map(|_| ticket.outcome),
            amount: ticket.amount.map(money),
            currency: ticket.amount.map(|_| Fx::code(order.currency)),
        };
        self.tickets.line(&line, cut)
    }

    /// A question from someone who has not ordered.
    pub(super) fn write_question(&mut self, number: u64, at: i64, language: &str, dice: &mut Dice) -> Result<()> {
        let reply = at + (20.0 + dice.spread(300.0, 1.2)) as i64 * 60 * SECOND;
        if reply > self.as_of {
            return Ok(());
        }
        let mut ticket_id = String::new();
        push_id(&mut ticket_id, 'Q', number);
        let line = TicketLine {
            ticket_id,
            order_id: None,
            customer_id: None,
            kind: "contact",
            opened_at: instant_text(at),
            known_at: instant_text(at),
            first_reply_at: Some(instant_text(reply)),
            solved_at: Some(instant_text(reply)),
            last_solved_at: Some(instant_text(reply)),
            channel: "email",
            topic: "product_question",
            language,
            agent_language: Some(language),
            outcome: Some("solved"),
            amount: None,
            currency: None,
        };
        self.tickets.line(&line, false)
    }

    pub(super) fn write_feedback(
        &mut self,
        order: &Placed,
        after: &Aftermath,
        orphaned: bool,
        dirt: &mut Dice,
    ) -> Result<()> {
        for (i, feedback) in after.feedback.iter().enumerate() {
            if feedback.received_at > self.as_of {
                continue;
            }
            let spoilt = self.spoilt(dirt);
            self.count(OF_FEEDBACK, spoilt, orphaned);
            let stray = spoilt && dirt.chance(0.4);
            let replied = self.past(feedback.replied_at);
            let row = &mut self.feedback;
            self.text.clear();
            push_id(&mut self.text, 'F', order.number * 2 + i as u64);
            row.text(&self.text);
            row.text(if stray { "X000000002" } else { &self.order_id });
            row.text(&self.customer_id);
            row.instant(Some(feedback.received_at));
            row.text(if spoilt && !stray { "thumbs" } else { feedback.scale });
            row.count(feedback.score.map(i64::from));
            self.text.clear();
            // The words come from the order's number, so that spoiling rows changes no other row.
            let mut words = Dice::new(order.number);
            let tone = feedback.tone;
            let language =
                tone.map_or("", |tone| write_comment(&mut self.text, tone, order.traits.language, &mut words));
            row.text(&self.text);
            row.text(language);
            row.instant(replied);
            row.instant(feedback.offered_at);
            row.end_row()?;
        }
        Ok(())
    }
}

/// Until a return or a ticket stands in the shop's own systems: up to a quarter of an hour.
fn heard_after(order: &Placed) -> i64 {
    (order.number * 37 % 900) as i64 * SECOND
}

fn instant_text(at: i64) -> String {
    let mut text = Vec::with_capacity(20);
    super::files::push_instant(&mut text, at);
    String::from_utf8(text).unwrap_or_default()
}
