//! What an order's entities had done before it, strictly before.
//!
//! The simplest correct way: per entity, orders sorted by time, and a walk over them in which orders of one instant are
//! looked at together before any of them is added. Everything is an integer until the last division.

use super::columns::{Orders, Texts};
use super::labels::Outcomes;
use super::order_facts::Feature;
use crate::types::time::{DAY, HOUR};
use rayon::prelude::*;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

/// An entity: its name in features and its column. Devices, cards and the like are shared by customers, hence `distinct`.
struct Entity {
    name: &'static str,
    column: &'static str,
    /// Number of different customers seen on it.
    distinct_customers: bool,
    /// Counts in windows and amounts, not only over the whole life.
    windows: bool,
}

const ENTITIES: &[Entity] = &[
    Entity { name: "customer", column: "customer_id", distinct_customers: false, windows: true },
    Entity { name: "device", column: "device_id", distinct_customers: true, windows: true },
    Entity { name: "payment", column: "payment_id", distinct_customers: true, windows: true },
    Entity { name: "ip", column: "ip", distinct_customers: true, windows: true },
    Entity { name: "network", column: "ip_network", distinct_customers: true, windows: false },
    Entity { name: "email", column: "email", distinct_customers: true, windows: false },
    Entity { name: "phone", column: "phone", distinct_customers: true, windows: false },
    Entity { name: "ship_address", column: "ship_address", distinct_customers: true, windows: true },
];

/// Categories whose known rates of fraud and return tell something of the next order. Only what is settled when an order is
/// placed: a carrier is often chosen later.
const CATEGORIES: &[(&str, &str)] = &[
    ("channel", "channel"),
    ("ship_country", "ship_country"),
    ("seller", "seller_id"),
    ("payment_method", "payment_method"),
    ("email_domain", "email_domain"),
];

/// Orders of the whole shop that a category's rate is mixed with, so that ten orders do not make a rate of one.
const PRIOR_ORDERS: f64 = 50.0;

pub(super) fn columns(orders: &Orders, fraud: &Outcomes, returned: &Outcomes) -> Vec<Feature> {
    let customers = orders.texts("customer_id").ok().flatten().unwrap_or_default();
    let mut features: Vec<Feature> = ENTITIES
        .par_iter()
        .filter_map(|entity| Some((entity, orders.texts(entity.column).ok().flatten()?)))
        .flat_map_iter(|(entity, keys)| entity_features(entity, &keys, &customers, orders, fraud, returned))
        .collect();
    for (name, column) in [("device", "device_id"), ("ship_address", "ship_address"), ("payment", "payment_id")] {
        if let Some(keys) = orders.texts(column).ok().flatten() {
            features.push((format!("customer_new_{name}"), is_new(&customers, &keys, orders)));
        }
    }
    let rates: Vec<Feature> = CATEGORIES
        .par_iter()
        .filter_map(|(name, column)| Some((name, orders.texts(column).ok().flatten()?)))
        .flat_map_iter(|(name, keys)| {
            [("fraud", fraud), ("return", returned)]
                .into_iter()
                .filter(|(_, outcomes)| outcomes.are_supplied())
                .map(move |(what, outcomes)| {
                    (format!("{name}_{what}_rate_lifetime"), known_rate(&keys, &orders.placed_at, outcomes))
                })
                .collect::<Vec<_>>()
        })
        .collect();
    features.extend(rates);
    features
}

/// Rows of each key, sorted by time; keys in a fixed order.
fn by_key<'a>(keys: &'a Texts, placed_at: &[i64]) -> BTreeMap<&'a str, Vec<usize>> {
    let mut rows: HashMap<&str, Vec<usize>> = HashMap::new();
    for (at, key) in keys.iter().enumerate() {
        if let Some(key) = key {
            rows.entry(key).or_default().push(at);
        }
    }
    let mut rows: BTreeMap<&str, Vec<usize>> = rows.into_iter().collect();
    rows.values_mut().for_each(|list| list.sort_by_key(|&at| placed_at[at]));
    rows
}

/// The times at which something became known of `rows`, sorted.
fn known_times(rows: &[usize], outcomes: &Outcomes) -> Vec<i64> {
    let mut times: Vec<i64> = rows.iter().filter_map(|&at| outcomes.known[at].happened()).collect();
    times.sort_unstable();
    times
}

fn entity_features(
    entity: &Entity,
    keys: &Texts,
    customers: &Texts,
    orders: &Orders,
    fraud: &Outcomes,
    returned: &Outcomes,
) -> Vec<Feature> {
    let placed = &orders.placed_at;
    let column = || vec![f64::NAN; placed.len()];
    let (mut life, mut day, mut week, mut month) = (column(), column(), column(), column());
    let (mut since, mut mean, mut ratio, mut distinct) = (column(), column(), column(), column());
    let (mut frauds, mut returns, mut return_share) = (column(), column(), column());
    for rows in by_key(keys, placed).values() {
        let (fraud_times, return_times) = (known_times(rows, fraud), known_times(rows, returned));
        let mut sum = 0_i128;
        let mut seen: HashSet<&str> = HashSet::new();
        let mut starts = [0_usize; 3];
        let mut first = 0;
        while first < rows.len() {
            let now = placed[rows[first]];
            let end = first + rows[first..].partition_point(|&at| placed[at] <= now);
            for (start, window) in starts.iter_mut().zip([24 * HOUR, 7 * DAY, 30 * DAY]) {
                while placed[rows[*start]] < now - window {
                    *start += 1;
                }
            }
            for &at in &rows[first..end] {
                life[at] = first as f64;
                [day[at], week[at], month[at]] = starts.map(|start| (first - start) as f64);
                if first > 0 {
                    since[at] = (now - placed[rows[first - 1]]) as f64 / HOUR as f64;
                    mean[at] = sum as f64 / first as f64;
                    if sum > 0 {
                        ratio[at] = orders.amount[at] as f64 * first as f64 / sum as f64;
                    }
                }
                let own = customers[at].as_deref().is_some_and(|c| seen.contains(c));
                distinct[at] = (seen.len() - usize::from(own)) as f64;
                frauds[at] = fraud_times.partition_point(|&t| t < now) as f64;
                let back = return_times.partition_point(|&t| t < now);
                returns[at] = back as f64;
                if first > 0 {
                    return_share[at] = back as f64 / first as f64;
                }
            }
            for &at in &rows[first..end] {
                sum += i128::from(orders.amount[at]);
                seen.extend(customers[at].as_deref());
            }
            first = end;
        }
    }
    let name = entity.name;
    let mut features = vec![(format!("{name}_order_count_lifetime"), life)];
    if entity.windows {
        features.push((format!("{name}_order_count_24h"), day));
        features.push((format!("{name}_order_count_7d"), week));
        features.push((format!("{name}_order_count_30d"), month));
        features.push((format!("{name}_hours_since_last"), since));
    }
    if entity.distinct_customers {
        features.push((format!("{name}_customer_distinct_lifetime"), distinct));
    } else {
        features.push((format!("{name}_amount_mean_lifetime"), mean));
        features.push((format!("{name}_amount_ratio_lifetime"), ratio));
        if returned.are_supplied() {
            features.push((format!("{name}_return_count_lifetime"), returns));
            features.push((format!("{name}_return_rate_lifetime"), return_share));
        }
    }
    if fraud.are_supplied() {
        features.push((format!("{name}_fraud_count_lifetime"), frauds));
    }
    features
}

/// 1 where a customer with earlier orders uses a device, address or card for the first time, 0 where not, NaN without
/// earlier orders: a first order is new in everything, and that is not news.
fn is_new(customers: &Texts, keys: &Texts, orders: &Orders) -> Vec<f64> {
    let placed = &orders.placed_at;
    let mut out = vec![f64::NAN; placed.len()];
    for rows in by_key(customers, placed).values() {
        let mut seen: BTreeSet<&str> = BTreeSet::new();
        let mut first = 0;
        while first < rows.len() {
            let end = first + rows[first..].partition_point(|&at| placed[at] <= placed[rows[first]]);
            if first > 0 {
                for &at in &rows[first..end] {
                    if let Some(key) = keys[at].as_deref() {
                        out[at] = f64::from(u8::from(!seen.contains(key)));
                    }
                }
            }
            seen.extend(rows[first..end].iter().filter_map(|&at| keys[at].as_deref()));
            first = end;
        }
    }
    out
}

/// Share of the orders ripe before T of which it was known before T that it happened, of the category, mixed with the
/// whole shop's share.
///
/// Ripe ones on both sides: a fraud is known in days and its absence in months, so that a share of all that is known
/// would be one of frauds alone for the first months. When an order is ripe does not depend on its outcome; one that comes
/// to light only then counts as no until it does.
fn known_rate(keys: &Texts, placed_at: &[i64], outcomes: &Outcomes) -> Vec<f64> {
    let ripe_at = outcomes.ripe_at();
    let sorted = |mut times: Vec<i64>| {
        times.sort_unstable();
        times
    };
    let ripe = |rows: &[usize]| sorted(rows.iter().map(|&at| ripe_at[at]).collect());
    let happened = |at: usize| outcomes.known[at].happened().map(|known| known.max(ripe_at[at]));
    let yes = |rows: &[usize]| sorted(rows.iter().filter_map(|&at| happened(at)).collect());
    let everything: Vec<usize> = (0..placed_at.len()).collect();
    let (all_ripe, all_yes) = (ripe(&everything), yes(&everything));
    let before = |times: &[i64], now: i64| times.partition_point(|&t| t < now) as f64;
    let mut out = vec![f64::NAN; placed_at.len()];
    for rows in by_key(keys, placed_at).values() {
        let (ripe, yes) = (ripe(rows), yes(rows));
        for &at in rows {
            let now = placed_at[at];
            let whole = before(&all_ripe, now);
            if whole > 0.0 {
                let prior = before(&all_yes, now) / whole;
                out[at] = (before(&yes, now) + PRIOR_ORDERS * prior) / (before(&ripe, now) + PRIOR_ORDERS);
            }
        }
    }
    out
}
