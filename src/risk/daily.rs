//! What a review desk sees of scores: some orders a day, and what is found among them.

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
}

/// Follows the desk day by day, with room for `k` orders a day. `fee` is saved beside the value when a positive is found,
/// minor units.
///
/// Rows are in time order; between equal scores the earlier comes first. Card precision is the book's (Le Borgne and
/// others, Reproducible Machine Learning for Credit Card Fraud Detection, 2022): customers by their highest score of the
/// day; one who was found is blocked and not looked at again.
pub fn by_day(rows: &[Scored], k: usize, fee: f64) -> Vec<Day> {
    let mut days: BTreeMap<i32, Vec<usize>> = BTreeMap::new();
    for (at, row) in rows.iter().enumerate() {
        days.entry(row.day).or_default().push(at);
    }
    let mut blocked = BTreeSet::new();
    days.into_iter().map(|(day, members)| one_day(day, &members, rows, k, fee, &mut blocked)).collect()
}

fn one_day(day: i32, members: &[usize], rows: &[Scored], k: usize, fee: f64, blocked: &mut BTreeSet<u32>) -> Day {
    let expected = |row: &Scored| row.probability * (row.value + fee);
    let by = |key: &dyn Fn(&Scored) -> f64| {
        let mut order = members.to_vec();
        order.sort_by(|&a, &b| key(&rows[b]).total_cmp(&key(&rows[a])));
        order
    };
    let by_probability = by(&|row| row.probability);
    let by_expected = by(&expected);
    let looked = k.min(members.len());
    let value_of = |list: &[usize]| list.iter().filter(|&&at| rows[at].positive).map(|&at| rows[at].value).sum::<f64>();
    Day {
        day,
        rows: members.len(),
        positives: members.iter().filter(|&&at| rows[at].positive).count(),
        found: by_probability[..looked].iter().filter(|&&at| rows[at].positive).count(),
        looked,
        customers_found: customers_found(&by_probability, rows, k, blocked),
        value: value_of(members),
        value_found: value_of(&by_expected[..looked]),
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

    const FEE: f64 = 10.0;

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
        let days = by_day(&rows, 2, FEE);
        assert_eq!(days.iter().map(|day| day.customers_found).collect::<Vec<_>>(), [2, 1]);
        assert_eq!(days.iter().map(|day| (day.found, day.looked)).collect::<Vec<_>>(), [(1, 2), (2, 2)]);
    }

    #[test]
    fn value_is_found_by_what_a_look_is_expected_to_save() {
        let rows = [
            row(1, 0.5, true, 1, 90.0),  // expected 50
            row(1, 0.5, false, 2, 30.0), // expected 20
            row(1, 0.9, true, 3, 2.0),   // the most likely, expected 10.8
            row(1, 0.001, false, 4, 500.0),
        ];
        let day = by_day(&rows, 2, FEE)[0];
        assert_eq!((day.value, day.value_found, day.found, day.looked), (92.0, 90.0, 2, 2));
    }
}
