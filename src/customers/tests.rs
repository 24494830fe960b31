//! Profiles of a few customers, worked out by hand.

use super::*;
use crate::types::time::{DAY, HOUR};
use polars::prelude::*;
use std::collections::BTreeMap;

const AS_OF: i64 = 400 * DAY;
const TERMS: Terms = Terms { as_of: AS_OF, window: 365 * DAY, tiers: [0.1, 0.3, 0.6], waits_for_at_most: 120 * DAY };

fn instants(name: &str, times: Vec<Option<i64>>) -> Column {
    let utc = DataType::Datetime(TimeUnit::Microseconds, Some(polars::prelude::TimeZone::UTC));
    Column::new(name.into(), times).cast(&utc).unwrap()
}

fn days(name: &str, days: &[Option<i64>]) -> Column {
    instants(name, days.iter().map(|day| day.map(|d| d * DAY)).collect())
}

fn frame(columns: Vec<Column>) -> DataFrame {
    DataFrame::new_infer_height(columns).unwrap()
}

/// Ann: two orders, the older one outside the window; one open past its promise. Bob: one order, returned, a low answer.
/// Cid: one cancelled order. Dee: one old order, content.
fn orders() -> DataFrame {
    frame(vec![
        Column::new("order_id".into(), ["a1", "a2", "b1", "c1", "d1"]),
        Column::new("customer_id".into(), ["ann", "ann", "bob", "cid", "dee"]),
        Column::new("amount".into(), [5_000_i64, 3_000, 2_000, 9_000, 100]),
        days("placed_at", &[Some(10), Some(380), Some(370), Some(390), Some(36)]),
        days("delivered_at", &[Some(15), None, Some(375), None, Some(40)]),
        days("promised_delivery_at", &[Some(20), Some(398), Some(380), None, None]),
        days("cancelled_at", &[None, None, None, Some(391), None]),
    ])
}

fn profiles_of(more: Vec<(&'static str, DataFrame)>, fraud: &[Option<f64>]) -> Vec<Profile> {
    profiles_by(more, fraud, HashMap::new(), &TERMS)
}

fn profiles_by(
    more: Vec<(&'static str, DataFrame)>,
    fraud: &[Option<f64>],
    stuck: HashMap<String, Stuck>,
    terms: &Terms,
) -> Vec<Profile> {
    let mut all = BTreeMap::from([("orders", orders())]);
    all.extend(more);
    let tables = Tables::new(&all).unwrap();
    let journeys = Journeys::new(&tables, chrono_tz::UTC, AS_OF).unwrap();
    let answers = Answers::new(&tables).unwrap();
    profiles(&tables, &journeys, &answers, fraud, stuck, terms).unwrap()
}

fn of<'a>(profiles: &'a [Profile], who: &str) -> &'a Profile {
    profiles.iter().find(|p| p.customer_id == who).unwrap()
}

#[test]
fn recency_frequency_and_value_count_what_the_window_holds_and_cancelled_orders_do_not() {
    let all = profiles_of(vec![], &[]);
    let rfm = |who: &str| {
        let p = of(&all, who);
        (p.orders, p.cancelled_orders, p.recency_days, p.frequency, p.monetary, p.tier)
    };
    // Days 35 to 400 are the window: the instant 35 d itself is not in it, day 36 is.
    assert_eq!(rfm("ann"), (2, 0, 20, 1, 3_000, "A"));
    assert_eq!(rfm("bob"), (1, 0, 30, 1, 2_000, "B"));
    assert_eq!(rfm("cid"), (1, 1, 10, 0, 0, "D"));
    assert_eq!(rfm("dee"), (1, 0, 364, 1, 100, "C"));
    // Recency: cid, ann, bob, dee; of four, 0, 1, 2 and 3 are better.
    assert_eq!(["cid", "ann", "bob", "dee"].map(|who| of(&all, who).scores[0]), [5, 4, 3, 2]);
    assert_eq!(["ann", "cid"].map(|who| of(&all, who).scores[1]), [5, 2]);
}

#[test]
fn what_the_input_does_not_tell_is_none_and_not_zero() {
    let all = profiles_of(vec![], &[]);
    let ann = of(&all, "ann");
    assert_eq!((ann.returned_orders, ann.tickets, ann.open_tickets, ann.answers), (None, None, None, None));
    assert_eq!((ann.delivered_orders, ann.open_orders, ann.late_orders), (Some(1), Some(1), Some(1)));
    assert_eq!(ann.risk, None);
}

#[test]
fn risk_is_the_highest_of_open_orders_or_that_of_the_last_scored_one() {
    let all = profiles_of(vec![], &[Some(0.9), Some(0.2), Some(0.3), None, Some(0.1)]);
    let risk = |who: &str| of(&all, who).risk.as_ref().map(|r| (r.probability, r.order, r.is_open));
    assert_eq!(risk("ann"), Some((0.2, 1, true)), "the riskier order was delivered long ago");
    assert_eq!((risk("bob"), risk("cid")), (Some((0.3, 2, false)), None));
}

#[test]
fn whoever_waits_comes_first_by_need_then_worth_and_nobody_without_a_need() {
    let feedback = frame(vec![
        Column::new("feedback_id".into(), ["f1", "f2", "f3"]),
        Column::new("order_id".into(), ["b1", "d1", "b1"]),
        days("received_at", &[Some(376), Some(50), Some(374)]),
        Column::new("scale".into(), ["stars5"; 3]),
        Column::new("score".into(), [2_i64, 1, 5]),
    ]);
    let returns = frame(vec![
        Column::new("return_id".into(), ["r1"]),
        Column::new("order_id".into(), ["b1"]),
        days("requested_at", &[Some(377)]),
        days("approved_at", &[Some(378)]),
        days("received_at", &[Some(385)]),
        days("refunded_at", &[None]),
    ]);
    let tickets = frame(vec![
        Column::new("ticket_id".into(), ["t1", "t2", "t3", "t4"]),
        Column::new("order_id".into(), [None, Some("c1"), None, None::<&str>]),
        Column::new("customer_id".into(), [Some("cid"), None, Some("nobody"), Some("dee")]),
        Column::new("kind".into(), ["contact", "claim", "contact", "chargeback"]),
        instants("opened_at", [399 * DAY, 392 * DAY, DAY, DAY].map(Some).to_vec()),
        instants("first_reply_at", vec![None, Some(392 * DAY + HOUR), None, None]),
        instants("solved_at", vec![None; 4]),
    ]);
    let all = profiles_of(vec![("feedback", feedback), ("returns", returns), ("tickets", tickets)], &[]);
    let ranked: Vec<_> = all.iter().map(|p| (p.customer_id.as_str(), p.service_priority, p.service_rank)).collect();
    // cid: no reply 22, claim 18, tier D. ann: a late order 18 and tier A 10. bob: a refund due since day 399 10, upset 8,
    // tier B 6. dee: the low answer is a year old, a chargeback waits for nobody.
    assert_eq!(ranked, [("cid", 40, 1), ("ann", 28, 2), ("bob", 24, 3), ("dee", 0, 4)]);
    assert_eq!(of(&all, "bob").needs, [Need::Refund, Need::Upset]);
    assert_eq!(of(&all, "bob").waiting_since, Some(376 * DAY));
    let cid = of(&all, "cid");
    assert_eq!((cid.tickets, cid.open_tickets, cid.waiting_since), (Some([1, 1, 0]), Some(2), Some(392 * DAY)));
    let bob = of(&all, "bob");
    assert_eq!((bob.returned_orders, bob.open_returns, bob.answers), (Some(1), Some(1), Some(2)));
    assert_eq!((bob.satisfaction_mean, bob.satisfaction_last), (Some(62.5), Some(25.0)));
}

#[test]
fn what_began_too_long_ago_is_counted_and_moves_nobody_forward() {
    let tickets = || {
        frame(vec![
            Column::new("ticket_id".into(), ["t1", "t2", "t3"]),
            Column::new("customer_id".into(), ["dee", "dee", "bob"]),
            Column::new("kind".into(), ["claim", "contact", "claim"]),
            days("opened_at", &[Some(40), Some(200), Some(280)]),
            days("first_reply_at", &[Some(41), None, Some(281)]),
            days("solved_at", &[None; 3]),
        ])
    };
    // Of 400 days 120 count: what began on day 280 still does, a moment before it does not.
    let all = profiles_of(vec![("tickets", tickets())], &[]);
    let ranked = |all: &[Profile]| -> Vec<_> {
        all.iter().map(|p| (p.customer_id.clone(), p.service_priority, p.lapsed_matters, p.waiting_since)).collect()
    };
    assert_eq!(
        ranked(&all)[..2],
        [("ann".to_owned(), 28, 0, Some(398 * DAY)), ("bob".to_owned(), 24, 0, Some(280 * DAY))]
    );
    let dee = of(&all, "dee");
    assert_eq!((dee.service_priority, dee.lapsed_matters, dee.waiting_since), (0, 2, None));
    assert_eq!((dee.open_tickets, dee.needs.len()), (Some(2), 0), "they are open all the same");
    // With a year to wait the complaint of day 40 and the silence of day 200 count: 18 + 22, and tier C.
    let patient = Terms { waits_for_at_most: 365 * DAY, ..TERMS };
    let all = profiles_by(vec![("tickets", tickets())], &[], HashMap::new(), &patient);
    assert_eq!(ranked(&all)[0], ("dee".to_owned(), 43, 0, Some(40 * DAY)));
}

#[test]
fn exceptions_are_counted_by_customer_and_the_most_urgent_decides_between_equals() {
    let rows = [
        (1, Some("dee"), "dispute_deadline", "critical"),
        (2, None, "dispute_deadline", "critical"),
        (3, Some("cid"), "stock_short", "high"),
        (4, Some("dee"), "lost", "high"),
    ];
    let exceptions = frame(vec![
        // In any order of rows: the rank tells.
        Column::new("rank".into(), rows.iter().rev().map(|r| r.0).collect::<Vec<i64>>()),
        Column::new("customer_id".into(), rows.iter().rev().map(|r| r.1).collect::<Vec<_>>()),
        Column::new("kind".into(), rows.iter().rev().map(|r| r.2).collect::<Vec<_>>()),
        Column::new("severity".into(), rows.iter().rev().map(|r| r.3).collect::<Vec<_>>()),
    ]);
    let stuck = by_customer(&exceptions).unwrap();
    let all = profiles_by(vec![], &[], stuck, &TERMS);
    // Ann waits for an order; of the three who wait for nothing, those with something stuck come first.
    let order: Vec<_> = all.iter().map(|p| (p.customer_id.as_str(), p.service_priority)).collect();
    assert_eq!(order, [("ann", 28), ("dee", 0), ("cid", 0), ("bob", 0)]);
    let dee = Stuck { open: 2, rank: 1, kind: "dispute_deadline".to_owned(), severity: "critical".to_owned() };
    assert_eq!((&of(&all, "dee").stuck, &of(&all, "bob").stuck), (&Some(dee), &None));
}

#[test]
fn all_needs_and_the_best_tier_come_to_a_hundred() {
    assert_eq!(NEEDS.iter().map(|need| need.points()).sum::<i64>() + 10, 100);
    assert!(NEEDS.iter().enumerate().all(|(place, need)| *need as usize == place));
}
