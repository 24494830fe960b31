//! What a shopper feels of an order, in points of 0 to 100: six factors, each with what it is made of.
//!
//! | factor | parts, each 0 to 100 points | counted for |
//! |---|---|---|
//! | speed | promise: 100 on or before the promised day, [`POINTS_PER_LATE_DAY`] less for each day after it | promised orders, not cancelled, delivered or past the promise |
//! | | cycle: 100 up to [`QUICK_DAYS`] days from placed to delivered, 0 from [`SLOW_DAYS`] on | delivered orders |
//! | transparency | tracking: a scan of the carrier is known | orders shipped at least [`REPLY_HOURS`] h ago |
//! | | replies: tickets answered within [`REPLY_HOURS`] h | tickets that are answered or older than that |
//! | ease | effort: 100 / (1 + contacts + reopenings) | all orders |
//! | | return answered within [`REPLY_HOURS`] h; settled within [`SETTLE_DAYS`] days of the goods' arrival | returns that are so or older than that |
//! | service | reply: 100 at once, 0 from [`REPLY_HOURS`] h on | as above |
//! | | resolution: 100 up to 24 h, 0 from [`SOLVE_DAYS`] days on | tickets that are solved or older than that |
//! | | language: answered in the customer's | tickets where both are known |
//! | product | as described: no damage, wrong item or goods not as described | delivered orders |
//! | | kept: no return requested | delivered orders |
//! | feedback | the mean of the answers | orders with an answer |
//!
//! A factor is the mean of the parts that an order has, in whole points; none where it has none of them. Chargebacks are no
//! tickets here: nobody can reply to one.

use super::answers::Answers;
use super::journey::{Journeys, Return, Ticket};
use crate::features::kernel::NO_VALUE;
use crate::types::time::{DAY, HOUR};

/// The factors by name, in the order of weights and columns.
pub const FACTORS: [&str; 6] = ["speed", "transparency", "ease", "service", "product", "feedback"];

/// Points that each day after the promised one costs: nothing is left after ten.
pub const POINTS_PER_LATE_DAY: i32 = 10;
/// Days from placed to delivered up to which nobody complains about speed.
pub const QUICK_DAYS: f64 = 3.0;
/// Days from which it cannot get worse; between both it falls evenly. A month is what cross-border post may take.
pub const SLOW_DAYS: f64 = 33.0;
/// Hours within which an answer or a scan is in time: the marketplaces' own limit.
pub const REPLY_HOURS: i64 = 48;
/// Days from the goods' arrival within which a return is to be settled: the European Union's limit for refunds (Directive
/// 2011/83/EU, article 13).
pub const SETTLE_DAYS: i64 = 14;
/// Days from which a ticket is as good as never solved.
pub const SOLVE_DAYS: i64 = 7;

/// Points of one order, one a factor.
pub type Points = [Option<u8>; FACTORS.len()];

/// Mean of parts, so far.
#[derive(Default)]
struct Mean {
    sum: f64,
    parts: u32,
}

impl Mean {
    fn add(&mut self, points: f64) {
        self.sum += points.clamp(0.0, 100.0);
        self.parts += 1;
    }

    fn add_if(&mut self, counts: bool, good: bool) {
        if counts {
            self.add(if good { 100.0 } else { 0.0 });
        }
    }

    fn points(self) -> Option<u8> {
        // At most 100, so that the cast is exact.
        (self.parts > 0).then(|| (self.sum / f64::from(self.parts)).round() as u8)
    }
}

/// The factors of every order.
pub fn of_orders(journeys: &Journeys, answers: &Answers) -> Vec<Points> {
    (0..journeys.orders()).map(|order| of_order(journeys, answers, order)).collect()
}

fn of_order(journeys: &Journeys, answers: &Answers, order: usize) -> Points {
    let tickets = journeys.tickets.as_ref().map_or(&[][..], |t| t.of(order));
    let tickets: Vec<&Ticket> = tickets.iter().filter(|t| !t.is_chargeback).collect();
    let returns = journeys.returns.as_ref().map_or(&[][..], |r| r.of(order));
    [
        speed(journeys, order),
        transparency(journeys, order, &tickets),
        ease(journeys, &tickets, returns),
        service(journeys, &tickets),
        product(journeys, order, returns),
        answers.mean(order).map(|points| points.round() as u8),
    ]
}

/// What each factor lacks: names of columns of which at least one is needed, if none of them is there.
pub fn missing(journeys: &Journeys, answers: &Answers) -> [Option<&'static str>; FACTORS.len()] {
    let lacks = |there: bool, what: &'static str| (!there).then_some(what);
    let delivered = journeys.has("delivered_at");
    let tickets = journeys.tickets.is_some();
    let [replies, solutions, languages] = journeys.tickets_tell.map(|tells| tells && tickets);
    let tracked = journeys.events.is_some() && journeys.has("shipped_at");
    let goods = journeys.events.is_some() || journeys.returns.is_some() || (tickets && journeys.tells_reasons);
    [
        lacks(delivered, "orders.delivered_at"),
        lacks(tracked || replies, "order_events with orders.shipped_at, or tickets.first_reply_at"),
        lacks(tickets || journeys.returns.is_some(), "tickets.order_id or returns"),
        lacks(replies || solutions || languages, "tickets.first_reply_at, tickets.solved_at or tickets.agent_language"),
        lacks(delivered && goods, "orders.delivered_at with order_events, returns or tickets.topic"),
        lacks(answers.supplied, "feedback.order_id, feedback.scale and feedback.score"),
    ]
}

/// How far `at` is on the way from `best` (100 points) to `worst` (0 points).
fn falling(at: f64, best: f64, worst: f64) -> f64 {
    100.0 * ((worst - at) / (worst - best)).clamp(0.0, 1.0)
}

fn speed(journeys: &Journeys, order: usize) -> Option<u8> {
    if !journeys.has("delivered_at") {
        return None;
    }
    let mut mean = Mean::default();
    let delivered = journeys.at("delivered_at", order);
    if let Some(promised) = journeys.at("promised_delivery_at", order)
        && !journeys.cancelled[order]
    {
        let late = journeys.day(delivered.unwrap_or(journeys.as_of)) - journeys.day(promised);
        if delivered.is_some() || late > 0 {
            mean.add(f64::from(100 - (late.clamp(0, 100) * POINTS_PER_LATE_DAY).min(100)));
        }
    }
    if let Some(delivered) = delivered {
        mean.add(falling((delivered - journeys.placed[order]) as f64 / DAY as f64, QUICK_DAYS, SLOW_DAYS));
    }
    mean.points()
}

/// Whether something asked for at `from` was done within the limit; `None` while it can still be.
fn in_time(from: i64, done: i64, limit: i64, as_of: i64) -> Option<bool> {
    match done {
        NO_VALUE => (from.saturating_add(limit) < as_of).then_some(false),
        done => Some(done - from <= limit),
    }
}

fn transparency(journeys: &Journeys, order: usize, tickets: &[&Ticket]) -> Option<u8> {
    let mut mean = Mean::default();
    if journeys.events.is_some()
        && let Some(shipped) = journeys.at("shipped_at", order)
    {
        let scans = ["first_scan", "customs_arrived", "customs_cleared", "at_local_post"];
        let scanned = scans.iter().any(|event| journeys.event(event, order).is_some());
        mean.add_if(scanned || shipped + REPLY_HOURS * HOUR <= journeys.as_of, scanned);
    }
    if journeys.tickets_tell[0] {
        for ticket in tickets {
            let good = in_time(ticket.opened, ticket.replied, REPLY_HOURS * HOUR, journeys.as_of);
            mean.add_if(good.is_some(), good == Some(true));
        }
    }
    mean.points()
}

fn ease(journeys: &Journeys, tickets: &[&Ticket], returns: &[Return]) -> Option<u8> {
    let mut mean = Mean::default();
    if journeys.tickets.is_some() {
        let reopened = tickets.iter().filter(|t| t.is_reopened()).count();
        mean.add(100.0 / (1 + tickets.len() + reopened) as f64);
    }
    for case in returns {
        let answered = in_time(case.requested, case.answered, REPLY_HOURS * HOUR, journeys.as_of);
        mean.add_if(answered.is_some(), answered == Some(true));
        if case.received != NO_VALUE {
            let settled = in_time(case.received, case.settled, SETTLE_DAYS * DAY, journeys.as_of);
            mean.add_if(settled.is_some(), settled == Some(true));
        }
    }
    mean.points()
}

fn service(journeys: &Journeys, tickets: &[&Ticket]) -> Option<u8> {
    let mut mean = Mean::default();
    let [replies, solutions, languages] = journeys.tickets_tell;
    // Points by the hours something took; an open case is worth nothing once it cannot be worth anything any more.
    let by_hours = |mean: &mut Mean, from: i64, done: i64, best: i64, worst: i64| {
        if done != NO_VALUE {
            mean.add(falling((done - from) as f64 / HOUR as f64, best as f64, worst as f64));
        } else if from.saturating_add(worst * HOUR) <= journeys.as_of {
            mean.add(0.0);
        }
    };
    for ticket in tickets {
        if replies {
            by_hours(&mut mean, ticket.opened, ticket.replied, 0, REPLY_HOURS);
        }
        if solutions {
            by_hours(&mut mean, ticket.opened, ticket.last_solved, 24, SOLVE_DAYS * 24);
        }
        if languages {
            mean.add_if(ticket.language_matched.is_some(), ticket.language_matched == Some(true));
        }
    }
    mean.points()
}

fn product(journeys: &Journeys, order: usize, returns: &[Return]) -> Option<u8> {
    let kept = journeys.returns.is_some().then_some(returns.is_empty());
    product_of(journeys, order, returns.iter().any(|r| r.is_about_goods), kept)
}

/// Points of the product of an order, or of an article in it, of whose returns is known whether they are about the goods and
/// whether there are none (`kept`; `None` where returns do not tell).
pub(super) fn product_of(journeys: &Journeys, order: usize, sent_back_bad: bool, kept: Option<bool>) -> Option<u8> {
    journeys.at("delivered_at", order)?;
    let tickets = journeys.tickets.as_ref().map_or(&[][..], |t| t.of(order));
    let mut mean = Mean::default();
    if journeys.events.is_some() || journeys.tells_reasons {
        let event = |name: &str| journeys.event(name, order).is_some();
        let wrong = event("exception_damage")
            || event("wrong_item")
            || sent_back_bad
            || tickets.iter().any(|t| t.is_about_goods);
        mean.add_if(true, !wrong);
    }
    mean.add_if(kept.is_some(), kept == Some(true));
    mean.points()
}
