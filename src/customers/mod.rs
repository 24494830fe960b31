//! Customers one by one: how recent, frequent and valuable, what they sent back and disputed, how they felt, what they wait
//! for now.
//!
//! Everything is as known at the run's clock. A customer is a `customer_id`; nothing else about the person is read.

mod priority;
mod rank;
mod stuck;
#[cfg(test)]
mod tests;

pub use priority::{NEEDS, Need};
pub use stuck::{Stuck, by_customer};

use crate::error::Result;
use crate::features::kernel::NO_VALUE;
use crate::features::tables::{NO_ROW, Tables};
use crate::satisfaction::answers::{Answer, Answers};
use crate::satisfaction::journey::Journeys;
use crate::types::time::{DAY, HOUR};
use std::collections::HashMap;

/// What profiles depend on beside the tables.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Terms {
    /// The run's clock, UTC microseconds.
    pub as_of: i64,
    /// Time before it in which orders count for frequency, value and tier, microseconds.
    pub window: i64,
    /// Shares of customers, from the most valuable down, where tiers A, B and C end.
    pub tiers: [f64; 3],
    /// Age from which a matter no longer counts as waiting, microseconds.
    pub waits_for_at_most: i64,
}

/// Current fraud risk of a customer.
#[derive(Debug, Clone, PartialEq)]
pub struct Risk {
    /// The probability.
    pub probability: f64,
    /// Row of the order it is of.
    pub order: u32,
    /// It is the highest of the open orders; if not, the last scored order's.
    pub is_open: bool,
}

/// One customer. Counts are over everything known; `None` means that the input does not tell.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Profile {
    /// Who.
    pub customer_id: String,
    /// Orders placed.
    pub orders: i64,
    /// Of them cancelled by anyone.
    pub cancelled_orders: i64,
    /// First order, UTC microseconds.
    pub first_order_at: i64,
    /// Last order.
    pub last_order_at: i64,
    /// Whole days since it.
    pub recency_days: i64,
    /// Orders in the window, not cancelled.
    pub frequency: i64,
    /// Their amounts, minor units of the base currency.
    pub monetary: i64,
    /// 1 (worst fifth) to 5 (best fifth) of recency, frequency and value: see [`rank::fifth`].
    pub scores: [i64; 3],
    /// `A` to `D` by value: see [`rank::tier`].
    pub tier: &'static str,
    /// Orders delivered.
    pub delivered_orders: Option<i64>,
    /// Orders with a return request.
    pub returned_orders: Option<i64>,
    /// Requests that are neither settled nor rejected.
    pub open_returns: Option<i64>,
    /// Tickets that are plain contacts; disputes and claims; chargebacks.
    pub tickets: Option<[i64; 3]>,
    /// Tickets not solved yet, chargebacks apart.
    pub open_tickets: Option<i64>,
    /// Answers.
    pub answers: Option<i64>,
    /// Mean of all answers, 0 to 100.
    pub satisfaction_mean: Option<f64>,
    /// The last answer.
    pub satisfaction_last: Option<f64>,
    /// When it was received.
    pub satisfaction_last_at: Option<i64>,
    /// Orders neither delivered, completed nor cancelled.
    pub open_orders: Option<i64>,
    /// Of them past the promised day.
    pub late_orders: Option<i64>,
    /// Current fraud risk; `None` without a scored order.
    pub risk: Option<Risk>,
    /// What the customer waits for, most urgent first.
    pub needs: Vec<Need>,
    /// Since when for each of them, UTC microseconds.
    pub since: Vec<i64>,
    /// The earliest of these; `None` without needs.
    pub waiting_since: Option<i64>,
    /// Matters that began too long ago to count as waiting.
    pub lapsed_matters: i64,
    /// Open exceptions; `None` where there are none.
    pub stuck: Option<Stuck>,
    /// 0 to 100, see [`priority`].
    pub service_priority: i64,
    /// 1 is the first to be served.
    pub service_rank: i64,
}

/// Profiles of all customers, in the order in which service should see to them.
///
/// `fraud` has the fraud probability of each order, where it was scored; `stuck` the open exceptions by customer.
///
/// # Errors
/// [`crate::error::Error::Frames`] only for defects.
pub(crate) fn profiles(
    tables: &Tables,
    journeys: &Journeys,
    answers: &Answers,
    fraud: &[Option<f64>],
    mut stuck: HashMap<String, Stuck>,
    terms: &Terms,
) -> Result<Vec<Profile>> {
    let people = People::new(tables)?;
    let mut profiles: Vec<Profile> = people.ids.iter().map(|id| Profile::named(id)).collect();
    let mut waits = priority::Waits::new(profiles.len(), terms.as_of.saturating_sub(terms.waits_for_at_most));
    for (who, orders) in people.orders.iter().enumerate() {
        let profile = &mut profiles[who];
        of_orders(profile, tables, journeys, orders, terms);
        of_returns(profile, journeys, orders, &mut waits, who);
        of_answers(profile, answers, orders, &mut waits, who, terms.as_of);
        of_open_orders(profile, journeys, orders, fraud, &mut waits, who);
    }
    of_tickets(&mut profiles, tables, &people, &mut waits)?;
    let by = |of: &dyn Fn(&Profile) -> i64| profiles.iter().map(of).collect::<Vec<_>>();
    let recency = rank::fifths(&by(&|p| p.last_order_at));
    let frequency = rank::fifths(&by(&|p| p.frequency));
    let monetary = by(&|p| p.monetary);
    let (values, tiers) = (rank::fifths(&monetary), rank::tiers(&monetary, &terms.tiers));
    for (who, profile) in profiles.iter_mut().enumerate() {
        profile.scores = [recency[who], frequency[who], values[who]];
        profile.tier = tiers[who];
        profile.stuck = stuck.remove(&profile.customer_id);
        waits.settle(who, profile);
    }
    profiles.sort_by(priority::first);
    for (rank, profile) in profiles.iter_mut().enumerate() {
        profile.service_rank = rank as i64 + 1;
    }
    Ok(profiles)
}

/// Customers by number, with the rows of their orders by time, then id.
struct People {
    ids: Vec<String>,
    number: HashMap<String, u32>,
    orders: Vec<Vec<u32>>,
    of_order: Vec<u32>,
}

impl People {
    fn new(tables: &Tables) -> Result<Self> {
        let customers = tables.text_column("orders", "customer_id")?.unwrap_or_default();
        let ids = tables.text_column("orders", "order_id")?.unwrap_or_default();
        let mut people = Self { ids: Vec::new(), number: HashMap::new(), orders: Vec::new(), of_order: Vec::new() };
        for (row, id) in customers.iter().enumerate() {
            let id = id.unwrap_or_default();
            let who = match people.number.get(id) {
                Some(&who) => who,
                None => {
                    let who = people.ids.len() as u32;
                    people.ids.push(id.to_owned());
                    people.number.insert(id.to_owned(), who);
                    people.orders.push(Vec::new());
                    who
                }
            };
            people.orders[who as usize].push(row as u32);
            people.of_order.push(who);
        }
        for orders in &mut people.orders {
            orders.sort_by_key(|&row| (tables.placed_at[row as usize], ids.get(row as usize).unwrap_or_default()));
        }
        Ok(people)
    }
}

impl Profile {
    fn named(id: &str) -> Self {
        Self { customer_id: id.to_owned(), tier: "D", ..Self::default() }
    }
}

fn of_orders(profile: &mut Profile, tables: &Tables, journeys: &Journeys, orders: &[u32], terms: &Terms) {
    let placed = |row: &u32| journeys.placed[*row as usize];
    profile.orders = orders.len() as i64;
    profile.first_order_at = orders.first().map_or(NO_VALUE, placed);
    profile.last_order_at = orders.last().map_or(NO_VALUE, placed);
    profile.recency_days = (terms.as_of - profile.last_order_at).max(0) / DAY;
    for &row in orders {
        let order = row as usize;
        if journeys.cancelled[order] {
            profile.cancelled_orders += 1;
        } else if placed(&row) > terms.as_of - terms.window {
            profile.frequency += 1;
            // What does not fit 64 bits is no value of a customer.
            profile.monetary = profile.monetary.saturating_add(tables.amount[order]);
        }
    }
    profile.delivered_orders = journeys
        .has("delivered_at")
        .then(|| orders.iter().filter(|&&row| journeys.at("delivered_at", row as usize).is_some()).count() as i64);
}

fn of_returns(profile: &mut Profile, journeys: &Journeys, orders: &[u32], waits: &mut priority::Waits, who: usize) {
    let Some(returns) = &journeys.returns else { return };
    let of = |row: &&u32| !returns.of(**row as usize).is_empty();
    profile.returned_orders = Some(orders.iter().filter(of).count() as i64);
    let open: Vec<_> = orders.iter().flat_map(|&row| returns.of(row as usize)).filter(|case| case.is_open()).collect();
    profile.open_returns = Some(open.len() as i64);
    for case in open {
        if case.answered == NO_VALUE && case.requested + 48 * HOUR < journeys.as_of {
            waits.add(who, Need::ReturnAnswer, case.requested);
        } else if case.received != NO_VALUE && case.received + 14 * DAY < journeys.as_of {
            waits.add(who, Need::Refund, case.received);
        }
    }
}

fn of_answers(
    profile: &mut Profile,
    answers: &Answers,
    orders: &[u32],
    waits: &mut priority::Waits,
    who: usize,
    as_of: i64,
) {
    if !answers.supplied {
        return;
    }
    let mut all: Vec<Answer> = orders.iter().flat_map(|&row| answers.of(row as usize)).copied().collect();
    // Orders come by time and id, answers within each by time and id: equal times keep that order.
    all.sort_by_key(|answer| answer.at);
    profile.answers = Some(all.len() as i64);
    profile.satisfaction_mean = crate::satisfaction::answers::mean(&all);
    if let Some(last) = all.last() {
        profile.satisfaction_last = Some(last.points);
        profile.satisfaction_last_at = Some(last.at);
        if last.points <= crate::satisfaction::answers::LOW_POINTS && last.at + 30 * DAY > as_of {
            waits.add(who, Need::Upset, last.at);
        }
    }
}

fn of_open_orders(
    profile: &mut Profile,
    journeys: &Journeys,
    orders: &[u32],
    fraud: &[Option<f64>],
    waits: &mut priority::Waits,
    who: usize,
) {
    let told = journeys.has("delivered_at") || journeys.has("completed_at");
    let is_open = |row: u32| {
        let order = row as usize;
        let ended = ["delivered_at", "completed_at"].iter().any(|stage| journeys.at(stage, order).is_some());
        told && !ended && !journeys.cancelled[order]
    };
    let open: Vec<u32> = orders.iter().copied().filter(|&row| is_open(row)).collect();
    if told {
        profile.open_orders = Some(open.len() as i64);
    }
    if told && journeys.has("promised_delivery_at") {
        let today = journeys.day(journeys.as_of);
        let promised = |row: &u32| journeys.at("promised_delivery_at", *row as usize);
        let late: Vec<i64> = open.iter().filter_map(promised).filter(|&at| journeys.day(at) < today).collect();
        profile.late_orders = Some(late.len() as i64);
        late.iter().for_each(|&at| waits.add(who, Need::LateOrder, at));
    }
    let scored = |row: &u32| fraud.get(*row as usize).copied().flatten().map(|p| (*row, p));
    let highest = open.iter().filter_map(scored).reduce(|a, b| if b.1 > a.1 { b } else { a });
    let last = || orders.iter().rev().find_map(scored);
    let found = highest.map(|found| (found, true)).or_else(|| last().map(|found| (found, false)));
    profile.risk = found.map(|((order, probability), is_open)| Risk { probability, order, is_open });
}

/// Tickets name a customer, or an order and so its customer.
fn of_tickets(profiles: &mut [Profile], tables: &Tables, people: &People, waits: &mut priority::Waits) -> Result<()> {
    if !tables.has("tickets", "opened_at")
        || !(tables.has("tickets", "customer_id") || tables.has("tickets", "order_id"))
    {
        return Ok(());
    }
    for profile in profiles.iter_mut() {
        (profile.tickets, profile.open_tickets) = (Some([0; 3]), tables.has("tickets", "solved_at").then_some(0));
    }
    let of_order = tables.order_rows("tickets")?;
    let named = tables.texts("tickets", "customer_id")?;
    let kinds = tables.texts("tickets", "kind")?;
    let times = |name: &str| tables.ints("tickets", name);
    let (opened, replied, solved) =
        (times("opened_at")?.unwrap_or_default(), times("first_reply_at")?, times("solved_at")?);
    for (row, &order) in of_order.iter().enumerate() {
        let name = named.as_ref().and_then(|named| named[row].as_deref());
        let who = match (order, name) {
            (NO_ROW, Some(name)) => people.number.get(name).copied(),
            (NO_ROW, None) => None,
            (order, _) => people.of_order.get(order as usize).copied(),
        };
        let Some(who) = who.map(|who| who as usize) else { continue };
        let kind = match kinds.as_ref().and_then(|k| k[row].as_deref()) {
            Some("dispute" | "claim") => 1,
            Some("chargeback") => 2,
            _ => 0,
        };
        if let Some(tickets) = &mut profiles[who].tickets {
            tickets[kind] += 1;
        }
        let unsolved = solved.as_ref().is_some_and(|solved| solved[row] == NO_VALUE);
        let silent = replied.as_ref().is_some_and(|replied| replied[row] == NO_VALUE);
        if kind == 2 {
            continue;
        }
        if unsolved && let Some(open) = &mut profiles[who].open_tickets {
            *open += 1;
        }
        match (kind, unsolved, silent) {
            (1, true, _) => waits.add(who, Need::Complaint, opened[row]),
            (_, _, true) if unsolved || solved.is_none() => waits.add(who, Need::Reply, opened[row]),
            (_, true, false) => waits.add(who, Need::Solution, opened[row]),
            _ => {}
        }
    }
    Ok(())
}
