//! What follows the door: returns, tickets, chargebacks, feedback, and how content the customer truly is.

use super::catalog::CATEGORIES;
use super::dice::{Dice, days, hours, logistic};
use super::journey::Journey;
use super::order::{Fraud, Line, Placed, Shop};
use super::places::{CHANNELS, COUNTRIES, customs};
use super::words::Tone;

/// A line sent back. `None` means that it never comes to that.
pub(super) struct Return {
    /// Line number in the order, from 1.
    pub(super) line: usize,
    pub(super) exchange: bool,
    pub(super) requested_at: i64,
    pub(super) reason: &'static str,
    pub(super) approved_at: Option<i64>,
    pub(super) rejected_at: Option<i64>,
    pub(super) received_at: Option<i64>,
    pub(super) refunded_at: Option<i64>,
    pub(super) replacement_shipped_at: Option<i64>,
    pub(super) replacement_received_at: Option<i64>,
    /// Minor units of the order's currency.
    pub(super) amount: i64,
    pub(super) quantity: i64,
}

impl Return {
    /// The end of the case.
    pub(super) fn closed_at(&self) -> Option<i64> {
        self.rejected_at.or(if self.exchange { self.replacement_received_at } else { self.refunded_at })
    }
}

/// A contact, dispute, claim or chargeback.
pub(super) struct Ticket {
    pub(super) kind: &'static str,
    pub(super) opened_at: i64,
    pub(super) first_reply_at: Option<i64>,
    pub(super) solved_at: Option<i64>,
    pub(super) last_solved_at: Option<i64>,
    pub(super) channel: &'static str,
    pub(super) topic: &'static str,
    pub(super) agent_language: &'static str,
    /// What came out of it, known when it is solved.
    pub(super) outcome: &'static str,
    /// Minor units of the order's currency, where money is asked for.
    pub(super) amount: Option<i64>,
}

/// A rating, or a survey that nobody answered.
pub(super) struct Feedback {
    pub(super) received_at: i64,
    pub(super) scale: &'static str,
    pub(super) score: Option<u32>,
    pub(super) tone: Option<Tone>,
    pub(super) replied_at: Option<i64>,
    pub(super) offered_at: Option<i64>,
}

/// All that follows an order.
#[derive(Default)]
pub(super) struct Aftermath {
    pub(super) returns: Vec<Return>,
    pub(super) tickets: Vec<Ticket>,
    pub(super) feedback: Vec<Feedback>,
    /// How content the customer is, 0–100.
    pub(super) satisfaction: f64,
    /// When fraud comes to be known; `None` for honest orders and for fraud that stays hidden.
    pub(super) fraud_known_at: Option<i64>,
    oversold: bool,
}

impl Shop {
    /// Lives through all that follows.
    pub(super) fn aftermath(&self, order: &Placed, way: &Journey, dice: &mut Dice) -> Aftermath {
        let mut after = Aftermath::default();
        self.unmask(order, way, &mut after, dice);
        if let Some(delivered) = way.delivered_at {
            let oversold = order.lines.iter().map(|l| self.catalog.skus[l.sku].oversold_share).fold(0.0, f64::max);
            after.oversold = dice.chance(oversold);
            if matches!(order.fraud, Fraud::None | Fraud::Friendly) {
                for line in 0..order.lines.len() {
                    self.maybe_return(order, way, delivered, line, &mut after, dice);
                }
            }
        }
        if matches!(order.fraud, Fraud::None | Fraud::Friendly) {
            complaints(order, way, &mut after, dice);
        }
        after.satisfaction = satisfaction(order, way, &after, dice);
        feedback(order, way, &mut after, dice);
        after
    }

    /// When and how fraud comes to light: at the desk, by the cardholder's bank weeks later, or never.
    fn unmask(&self, order: &Placed, way: &Journey, after: &mut Aftermath, dice: &mut Dice) {
        if order.fraud == Fraud::None {
            return;
        }
        if way.cancel_reason == "suspected_fraud" {
            after.fraud_known_at = way.cancelled_at.map(|c| c + hours(dice.wait(30.0)));
            return;
        }
        // Not paid, or called off: no harm done and nothing to find.
        let Some(paid) = way.paid_at.filter(|_| way.cancelled_at.is_none()) else { return };
        let (since, wait) = match order.fraud {
            Fraud::Friendly => (way.delivered_at.unwrap_or(way.promised_delivery_at), dice.spread(30.0, 0.45)),
            _ => (paid, dice.spread(32.0, 0.55)),
        };
        let hidden = dice.chance(if order.fraud == Fraud::Friendly { 0.02 } else { 0.06 });
        if hidden {
            return;
        }
        let known = since + days(wait.min(118.0));
        after.fraud_known_at = Some(known);
        let topic = if order.fraud == Fraud::Friendly { "not_received" } else { "unauthorised" };
        let mut ticket = ticket("chargeback", known, topic, order, dice);
        ticket.channel = "bank";
        ticket.amount = Some(order.amount);
        ticket.solved_at = Some(known + days(dice.between(12.0, 55.0)));
        ticket.last_solved_at = ticket.solved_at;
        let won = if order.fraud == Fraud::Friendly { 0.3 } else { 0.08 };
        ticket.outcome = if dice.chance(won) { "seller_won" } else { "buyer_won" };
        after.tickets.push(ticket);
    }

    fn maybe_return(
        &self,
        order: &Placed,
        way: &Journey,
        delivered: i64,
        index: usize,
        after: &mut Aftermath,
        dice: &mut Dice,
    ) {
        let line = &order.lines[index];
        let sku = &self.catalog.skus[line.sku];
        let category = &CATEGORIES[sku.category];
        let is_last = index + 1 == order.lines.len();
        let price = self.fx.to_euros(order.currency, line.unit_price).max(1.0);
        let discounted = f64::from(u8::from(order.discount > 0));
        let logit = category.returns
            + sku.misfit
            + order.traits.returns
            + COUNTRIES[order.ship].returns
            + CHANNELS[order.channel].returns
            + 0.33 * (price / 40.0).ln().clamp(-1.5, 2.0)
            - 0.3 * discounted
            + if way.late_days() > 0.0 { 0.35 + (0.08 * way.late_days()).min(0.7) } else { 0.0 }
            + if order.traits.method > 0.74 && order.method == "invoice" { 0.35 } else { 0.0 };
        let (chance, cause) = if way.wrong_item && is_last {
            (0.68, "wrong_item")
        } else if way.damaged && is_last {
            (0.62, "damaged")
        } else if after.oversold && is_last {
            (0.45, "not_as_described")
        } else if line.several_sizes {
            // One of the sizes is meant to go back.
            (0.55 + 0.2 * logistic(logit), "size")
        } else {
            (logistic(logit), "")
        };
        if !dice.chance(chance) {
            return;
        }
        let reason = match (cause, dice.unit()) {
            ("", u) if way.late_days() > 2.0 && u < 0.35 => "late",
            ("", u) if !category.sizes.is_empty() && u < 0.58 => "size",
            ("", u) if u < 0.80 => "changed_mind",
            ("", u) if u < 0.90 => "not_as_described",
            ("", _) => "defective",
            (cause, _) => cause,
        };
        let case = self.return_case(order, delivered, index, line, reason, dice);
        after.returns.push(case);
    }

    fn return_case(
        &self,
        order: &Placed,
        delivered: i64,
        index: usize,
        line: &Line,
        reason: &'static str,
        dice: &mut Dice,
    ) -> Return {
        let quantity = if line.quantity > 1 && dice.chance(0.4) { 1 } else { line.quantity };
        let goods: i64 = order.lines.iter().map(|l| l.quantity * l.unit_price).sum();
        let gross = quantity * line.unit_price;
        let amount = gross
            - i64::try_from(i128::from(order.discount) * i128::from(gross) / i128::from(goods.max(1))).unwrap_or(0);
        let quick = matches!(reason, "wrong_item" | "damaged");
        let requested_at = delivered + days(dice.spread(if quick { 1.6 } else { 6.0 }, 0.75).clamp(0.05, 44.0));
        let exchange = dice.chance(if matches!(reason, "size" | "wrong_item" | "defective") { 0.26 } else { 0.03 });
        let answer = requested_at + hours(dice.spread(11.0, 1.0).min(200.0));
        let mut case = Return {
            line: index + 1,
            exchange,
            requested_at,
            reason,
            approved_at: None,
            rejected_at: None,
            received_at: None,
            refunded_at: None,
            replacement_shipped_at: None,
            replacement_received_at: None,
            amount,
            quantity,
        };
        if dice.chance(if quick { 0.01 } else { 0.045 }) {
            case.rejected_at = Some(answer);
            return case;
        }
        case.approved_at = Some(answer);
        // One in twenty never sends it after all.
        if dice.chance(0.05) {
            return case;
        }
        let back = if customs(order.warehouse, order.ship) { 13.0 } else { 5.5 };
        let received = answer + days(dice.spread(back, 0.4));
        case.received_at = Some(received);
        if exchange {
            let sent = received + days(dice.spread(1.8, 0.6));
            case.replacement_shipped_at = Some(sent);
            case.replacement_received_at = Some(sent + days(dice.spread(4.0, 0.5)));
        } else if dice.chance(0.985) {
            case.refunded_at = Some(received + days(dice.spread(2.6, 0.7)));
        }
        case
    }
}

fn ticket(kind: &'static str, opened_at: i64, topic: &'static str, order: &Placed, dice: &mut Dice) -> Ticket {
    let channel = match (kind, dice.unit()) {
        ("claim" | "dispute", _) => "marketplace",
        (_, u) if u < 0.34 => "chat",
        (_, u) if u < 0.80 => "email",
        (_, u) if u < 0.88 => "phone",
        _ => "marketplace",
    };
    let staffed = matches!(order.traits.language, "en" | "de" | "fr" | "es" | "it" | "pl" | "zh");
    let agent_language = if dice.chance(if staffed { 0.965 } else { 0.80 }) { order.traits.language } else { "en" };
    let mut ticket = Ticket {
        kind,
        opened_at,
        first_reply_at: None,
        solved_at: None,
        last_solved_at: None,
        channel,
        topic,
        agent_language,
        outcome: "",
        amount: None,
    };
    if kind == "chargeback" {
        return ticket;
    }
    // One in fifty falls through.
    if dice.chance(0.02) {
        return ticket;
    }
    let reply = match channel {
        "chat" => hours(dice.spread(0.018, 0.8)),
        "phone" => hours(dice.spread(0.03, 0.7)),
        _ => hours(dice.spread(8.5, 0.95).min(240.0)),
    };
    ticket.first_reply_at = Some(opened_at + reply);
    let solving = if kind == "contact" { hours(dice.spread(7.0, 1.3)) } else { days(dice.spread(6.0, 0.6)) };
    let solved = opened_at + reply + solving;
    ticket.solved_at = Some(solved);
    let reopened = if dice.chance(0.09) { days(dice.spread(2.0, 0.8)) } else { 0 };
    ticket.last_solved_at = Some(solved + reopened);
    ticket.outcome = match (kind, dice.unit()) {
        ("contact", _) => "solved",
        ("claim", u) if u < 0.66 => "accepted",
        ("claim", _) => "denied",
        (_, u) if u < 0.22 => "withdrawn",
        (_, u) if u < 0.64 => "buyer_won",
        _ => "seller_won",
    };
    ticket
}

/// Letters, claims and disputes over what went wrong.
fn complaints(order: &Placed, way: &Journey, after: &mut Aftermath, dice: &mut Dice) {
    let mut write = |dice: &mut Dice, chance: f64, kind, at: i64, topic| {
        if !dice.chance((chance * if kind == "contact" { order.traits.contact } else { 1.0 }).min(0.95)) {
            return;
        }
        let mut ticket = ticket(kind, at, topic, order, dice);
        if kind != "contact" {
            ticket.amount = Some(order.amount);
        }
        after.tickets.push(ticket);
    };
    write(dice, 0.022, "contact", order.at + hours(dice_hours(order, 14.0)), "invoice");
    if let Some(cancelled) = way.cancelled_at {
        if way.cancelled_by == "seller" || way.cancel_reason == "suspected_fraud" {
            write(dice, 0.35, "contact", cancelled + hours(6.0), "cancellation");
            write(dice, 0.05, "dispute", cancelled + days(4.0), "cancellation");
        }
        return;
    }
    if way.lost || (way.shipped_at.is_some() && way.delivered_at.is_none()) {
        let asked = way.promised_delivery_at + days(dice.between(0.5, 5.0));
        write(dice, 0.75, "contact", asked, "where_is_my_order");
        let claimed = asked + days(dice.between(4.0, 12.0));
        write(dice, 0.55, "claim", claimed, "not_received");
        return;
    }
    let Some(delivered) = way.delivered_at else { return };
    if way.late_days() > 0.3 {
        let asked = way.promised_delivery_at + days(way.late_days() * dice.between(0.1, 0.95));
        write(dice, (0.14 + 0.05 * way.late_days()).min(0.6), "contact", asked, "where_is_my_order");
        if way.late_days() > 5.0 {
            write(dice, 0.12, "claim", way.promised_delivery_at + days(way.late_days() * 0.97), "late");
        }
    } else {
        write(dice, 0.018, "contact", way.shipped_at.unwrap_or(order.at) + hours(30.0), "where_is_my_order");
    }
    let found = delivered + hours(dice.between(1.0, 60.0));
    if way.damaged {
        write(dice, 0.55, "contact", found, "damaged");
        write(dice, 0.30, "claim", found + days(2.5), "damaged");
    }
    if way.wrong_item {
        write(dice, 0.60, "contact", found, "wrong_item");
        write(dice, 0.22, "claim", found + days(3.0), "wrong_item");
    }
    if after.oversold {
        write(dice, 0.22, "contact", found, "not_as_described");
        write(dice, 0.16, "dispute", found + days(4.0), "not_as_described");
    }
    let waiting = after.returns.first().map(|r| (r.requested_at, r.closed_at()));
    if let Some((requested, closed)) = waiting {
        write(dice, 0.14, "contact", requested + hours(20.0), "return_question");
        if closed.is_none_or(|c| c > requested + days(21.0)) {
            write(dice, 0.40, "contact", requested + days(17.0), "refund_status");
        }
    }
}

/// Hours after the order that hang on its number only, so that a thing asked for early costs no draw.
fn dice_hours(order: &Placed, span: f64) -> f64 {
    0.5 + (order.number % 97) as f64 / 97.0 * span
}

/// How content the customer is: their mood, less what went wrong.
fn satisfaction(order: &Placed, way: &Journey, after: &Aftermath, dice: &mut Dice) -> f64 {
    let mut score = 84.0 + 16.0 * order.traits.mood + 7.0 * dice.normal();
    let late = way.late_days();
    if late > 0.0 {
        score -= 9.0 + (3.2 * late).min(34.0);
    } else if let Some(delivered) = way.delivered_at {
        let early = (way.promised_delivery_at - delivered) as f64 / days(1.0) as f64;
        score += early.min(4.0);
    }
    let sorrows = [
        (way.lost || (way.shipped_at.is_some() && way.delivered_at.is_none() && way.cancelled_at.is_none()), 52.0),
        (way.damaged, 38.0),
        (way.wrong_item, 36.0),
        (after.oversold, 30.0),
        (way.short, 18.0),
        (way.cancelled_at.is_some() && way.cancelled_by != "buyer", 38.0),
        (!after.returns.is_empty(), 8.0),
        (after.returns.iter().any(|r| r.rejected_at.is_some()), 22.0),
        (after.tickets.iter().any(|t| t.first_reply_at.is_none_or(|r| r > t.opened_at + hours(30.0))), 9.0),
        (customs(order.warehouse, order.ship) && order.duty == 0 && order.euros > 150.0, 7.0),
    ];
    score -= sorrows.iter().filter(|(happened, _)| *happened).map(|(_, cost)| cost).sum::<f64>();
    score.clamp(0.0, 100.0)
}

/// Ratings and surveys: those who have something to say write sooner.
fn feedback(order: &Placed, way: &Journey, after: &mut Aftermath, dice: &mut Dice) {
    if order.fraud == Fraud::Ring || order.fraud == Fraud::Takeover {
        return;
    }
    let end = match (way.delivered_at, way.cancelled_at, way.lost) {
        (Some(delivered), ..) => delivered,
        (_, Some(cancelled), _) if way.cancelled_by != "buyer" && way.cancel_reason != "payment_overdue" => cancelled,
        (_, None, true) => way.promised_delivery_at + days(9.0),
        _ => return,
    };
    let felt = (after.satisfaction + 6.0 * dice.normal()).clamp(0.0, 100.0);
    let tone = match () {
        () if felt >= 68.0 => Tone::Good,
        () if way.lost => Tone::Missing,
        () if way.damaged => Tone::Damaged,
        () if way.wrong_item => Tone::Wrong,
        () if way.cancelled_at.is_some() => Tone::Cancelled,
        () if after.oversold => Tone::Oversold,
        () if way.late_days() > 0.5 => Tone::Late,
        () => Tone::Middling,
    };
    let upset = if felt < 50.0 { 2.1 } else { 1.0 };
    if dice.chance((CHANNELS[order.channel].rating_share * upset).min(0.8)) {
        let offered_at = dice.chance(0.5).then(|| end + days(1.0));
        let received_at = offered_at.unwrap_or(end) + days(dice.spread(2.2, 0.8).min(40.0));
        let score = match felt {
            f if f >= 78.0 => 5,
            f if f >= 63.0 => 4,
            f if f >= 47.0 => 3,
            f if f >= 31.0 => 2,
            _ => 1,
        };
        let answered = dice.chance(if score <= 2 { 0.55 } else { 0.06 });
        after.feedback.push(Feedback {
            received_at,
            scale: "stars5",
            score: Some(score),
            tone: dice.chance(0.62).then_some(tone),
            replied_at: answered.then(|| received_at + hours(dice.spread(20.0, 0.9))),
            offered_at,
        });
    }
    // The shop asks one in nine itself; most do not answer, and that row says so with no score.
    if dice.chance(0.11) {
        let offered = end + days(2.0);
        let answered = dice.chance((0.30 * upset).min(0.6));
        let nps = dice.chance(0.35);
        let score = if nps { (felt / 9.2).round().min(10.0) } else { (1.0 + felt / 23.0).round().min(5.0) };
        after.feedback.push(Feedback {
            received_at: if answered { offered + hours(dice.spread(16.0, 1.0)) } else { offered },
            scale: if nps { "nps11" } else { "csat5" },
            score: answered.then_some(score as u32),
            tone: (answered && dice.chance(0.2)).then_some(tone),
            replied_at: None,
            offered_at: Some(offered),
        });
    }
}
