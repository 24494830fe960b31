//! What a review desk sees of scores: some orders a day, and what they saved.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

/// One scored order with its outcome, as the desk meets it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Scored {
    /// Calendar day it was placed.
    pub day: i32,
    /// Calibrated probability.
    pub probability: f64,
    /// Its outcome.
    pub positive: bool,
    /// The customer, by any number of his own; `None` is a customer nobody knows, and so one of his own.
    pub customer: Option<u32>,
    /// What finding it positive is worth, minor units; its amount.
    pub value: f64,
}

/// What a look costs and saves, minor units.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LookCosts {
    /// Of looking at one order.
    pub review: f64,
    /// Saved beside the value when a positive is found.
    pub fee: f64,
}

/// One day at the desk.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct Day {
    /// Days since 1970-01-01.
    pub day: i32,
    /// Orders placed.
    pub rows: usize,
    /// Positives among them.
    pub positives: usize,
    /// Positives among the `k` top orders.
    pub found: usize,
    /// Orders looked at: `k`, or all there are.
    pub looked: usize,
    /// Customers with a positive among the `k` top customers; found ones are left out on later days.
    pub customers_found: usize,
    /// Value of the positives.
    pub value: f64,
    /// Of those among the `k` top orders by expected value.
    pub value_found: f64,
    /// Orders worth a look by expected cost, at most `k`.
    pub worth_a_look: usize,
    /// Saved by looking at them, minor units.
    pub saved: f64,
    /// Saved by looking at as many of the largest orders.
    pub saved_largest: f64,
    /// Saved on average by looking at as many orders drawn at random.
    pub saved_random: f64,
}

/// Follows the desk day by day, with room for `k` orders a day.
///
/// Rows are in time order; between equal scores the earlier comes first. Card precision is the book's (Le Borgne and
/// others, Reproducible Machine Learning for Credit Card Fraud Detection, 2022): customers by their highest score of the
/// day; one who was found is blocked and not looked at again.
pub fn by_day(rows: &[Scored], k: usize, costs: LookCosts) -> Vec<Day> {
    let mut days: BTreeMap<i32, Vec<usize>> = BTreeMap::new();
    for (at, row) in rows.iter().enumerate() {
        days.entry(row.day).or_default().push(at);
    }
    let mut blocked = BTreeSet::new();
    days.into_iter().map(|(day, members)| one_day(day, &members, rows, k, costs, &mut blocked)).collect()
}

fn one_day(
    day: i32,
    members: &[usize],
    rows: &[Scored],
    k: usize,
    costs: LookCosts,
    blocked: &mut BTreeSet<u32>,
) -> Day {
    let gain = |row: &Scored| if row.positive { row.value + costs.fee } else { 0.0 };
    let expected = |row: &Scored| row.probability * (row.value + costs.fee);
    let by = |key: &dyn Fn(&Scored) -> f64| {
        let mut order = members.to_vec();
        order.sort_by(|&a, &b| key(&rows[b]).total_cmp(&key(&rows[a])));
        order
    };
    let by_probability = by(&|row| row.probability);
    let by_expected = by(&expected);
    let looked = k.min(members.len());
    let value_of = |list: &[usize]| list.iter().filter(|&&at| rows[at].positive).map(|&at| rows[at].value).sum::<f64>();
    let worth = by_expected[..looked].iter().take_while(|&&at| expected(&rows[at]) > costs.review).count();
    let spent = worth as f64 * costs.review;
    let gained = |list: &[usize]| list.iter().map(|&at| gain(&rows[at])).sum::<f64>();
    Day {
        day,
        rows: members.len(),
        positives: members.iter().filter(|&&at| rows[at].positive).count(),
        found: by_probability[..looked].iter().filter(|&&at| rows[at].positive).count(),
        looked,
        customers_found: customers_found(&by_probability, rows, k, blocked),
        value: value_of(members),
        value_found: value_of(&by_expected[..looked]),
        worth_a_look: worth,
        saved: gained(&by_expected[..worth]) - spent,
        saved_largest: gained(&by(&|row| row.value)[..worth]) - spent,
        saved_random: gained(members) * worth as f64 / members.len() as f64 - spent,
    }
}

/// Customers among the `k` top ones that have a positive order on the day; they are blocked from then on.
fn customers_found(by_probability: &[usize], rows: &[Scored], k: usize, blocked: &mut BTreeSet<u32>) -> usize {
    let (mut top, mut looked) = (BTreeSet::new(), 0);
    let mut unknown_found = 0;
    for &at in by_probability {
        let fresh = match rows[at].customer {
            Some(customer) => !blocked.contains(&customer) && !top.contains(&customer),
            None => true,
        };
        if !fresh {
            continue;
        }
        if looked == k {
            break;
        }
        looked += 1;
        match rows[at].customer {
            Some(customer) => {
                top.insert(customer);
            }
            None => unknown_found += usize::from(rows[at].positive),
        }
    }
    let positive = |at: &&usize| rows[**at].positive;
    let found: BTreeSet<u32> = by_probability
        .iter()
        .filter(positive)
        .filter_map(|&at| rows[at].customer)
        .filter(|c| top.contains(c))
        .collect();
    blocked.extend(&found);
    found.len() + unknown_found
}

#[cfg(test)]
mod tests {
    use super::*;

    const COSTS: LookCosts = LookCosts { review: 4.0, fee: 10.0 };

    fn row(day: i32, probability: f64, positive: bool, customer: u32, value: f64) -> Scored {
        Scored { day, probability, positive, customer: Some(customer), value }
    }

    #[test]
    fn customers_count_once_a_day_and_found_ones_are_not_looked_at_again() {
        let rows = [
            row(1, 0.9, false, 1, 1.0),
            row(1, 0.8, true, 2, 1.0),
            row(1, 0.7, false, 2, 1.0),
            row(1, 0.1, true, 1, 1.0), // below the top, but its customer is among them
            row(1, 0.6, true, 3, 1.0), // the third customer
            row(2, 0.9, true, 2, 1.0), // blocked since day 1
            row(2, 0.5, true, 3, 1.0),
            row(2, 0.4, false, 4, 1.0),
        ];
        let days = by_day(&rows, 2, COSTS);
        assert_eq!(days.iter().map(|day| day.customers_found).collect::<Vec<_>>(), [2, 1]);
        assert_eq!(days.iter().map(|day| (day.found, day.looked)).collect::<Vec<_>>(), [(1, 2), (2, 2)]);
    }

    #[test]
    fn money_saved_counts_looks_that_are_worth_it_and_what_the_same_number_saves_otherwise() {
        let rows = [
            row(1, 0.5, true, 1, 90.0),  // expected 50: looked at, saves 100
            row(1, 0.5, false, 2, 30.0), // expected 20: looked at, saves nothing
            row(1, 0.02, true, 3, 40.0), // expected 1: not worth 4
            row(1, 0.001, false, 4, 500.0),
        ];
        let day = by_day(&rows, 3, COSTS)[0];
        assert_eq!((day.worth_a_look, day.saved), (2, 100.0 - 8.0));
        assert_eq!(day.saved_largest, 100.0 - 8.0);
        assert_eq!(day.saved_random, (100.0 + 50.0) * 2.0 / 4.0 - 8.0);
        assert_eq!((day.value, day.value_found), (130.0, 130.0));
    }
}
