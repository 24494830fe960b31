//! What an order's entities had done before it, strictly before.
//!
//! The simplest correct way: per entity, orders sorted by time, and a walk over them in which orders of one instant are
//! looked at together before any of them is added. Everything is an integer until the last division.

use super::columns::{NO_KEY, Orders};
use super::labels::Outcomes;
use super::order_facts::Feature;
use crate::types::time::{DAY, HOUR};
use rayon::prelude::*;
use std::collections::{BTreeSet, HashSet};

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
    let customers = orders.keys("customer_id").ok().flatten().unwrap_or_default();
    let mut features: Vec<Feature> = ENTITIES
        .par_iter()
        .filter_map(|entity| Some((entity, orders.keys(entity.column).ok().flatten()?)))
        .flat_map_iter(|(entity, keys)| entity_features(entity, &keys, &customers, orders, fraud, returned))
        .collect();
    for (name, column) in [("device", "device_id"), ("ship_address", "ship_address"), ("payment", "payment_id")] {
        if let Some(keys) = orders.keys(column).ok().flatten() {
            features.push((format!("customer_new_{name}"), is_new(&customers, &keys, orders)));
        }
    }
    let rates: Vec<Feature> = CATEGORIES
        .par_iter()
        .filter_map(|(name, column)| Some((name, orders.keys(column).ok().flatten()?)))
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

/// All rows that have a key, those of one key side by side and sorted by time.
fn sorted_rows(keys: &[u32], placed_at: &[i64]) -> Vec<usize> {
    let mut rows: Vec<usize> = (0..keys.len()).filter(|&at| keys[at] != NO_KEY).collect();
    rows.sort_by_key(|&at| (keys[at], placed_at[at]));
    rows
}

/// Rows of each key, sorted by time.
fn by_key<'a>(rows: &'a [usize], keys: &'a [u32]) -> impl Iterator<Item = &'a [usize]> {
    rows.chunk_by(|&a, &b| keys[a] == keys[b])
}

/// The times at which something became known of `rows`, sorted.
fn known_times(rows: &[usize], outcomes: &Outcomes) -> Vec<i64> {
    let mut times: Vec<i64> = rows.iter().filter_map(|&at| outcomes.known[at].happened()).collect();
    times.sort_unstable();
    times
}

fn entity_features(
    entity: &Entity,
    keys: &[u32],
    customers: &[u32],
    orders: &Orders,
    fraud: &Outcomes,
    returned: &Outcomes,
) -> Vec<Feature> {
    let placed = &orders.placed_at;
    let column = || vec![f64::NAN; placed.len()];
    let (mut life, mut day, mut week, mut month) = (column(), column(), column(), column());
    let (mut since, mut mean, mut ratio, mut distinct) = (column(), column(), column(), column());
    let (mut frauds, mut returns, mut return_share) = (column(), column(), column());
    let sorted = sorted_rows(keys, placed);
    for rows in by_key(&sorted, keys) {
        let (fraud_times, return_times) = (known_times(rows, fraud), known_times(rows, returned));
        let mut sum = 0_i128;
        let mut seen: HashSet<u32> = HashSet::new();
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
                let own = seen.contains(&customers[at]);
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
                seen.insert(customers[at]);
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
fn is_new(customers: &[u32], keys: &[u32], orders: &Orders) -> Vec<f64> {
    let placed = &orders.placed_at;
    let mut out = vec![f64::NAN; placed.len()];
    let sorted = sorted_rows(customers, placed);
    for rows in by_key(&sorted, customers) {
        let mut seen: BTreeSet<u32> = BTreeSet::new();
        let mut first = 0;
        while first < rows.len() {
            let end = first + rows[first..].partition_point(|&at| placed[at] <= placed[rows[first]]);
            if first > 0 {
                for &at in &rows[first..end] {
                    if keys[at] != NO_KEY {
                        out[at] = f64::from(u8::from(!seen.contains(&keys[at])));
                    }
                }
            }
            seen.extend(rows[first..end].iter().map(|&at| keys[at]));
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
fn known_rate(keys: &[u32], placed_at: &[i64], outcomes: &Outcomes) -> Vec<f64> {
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
    let by_time = sorted_rows(keys, placed_at);
    for rows in by_key(&by_time, keys) {
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

#[cfg(test)]
mod tests {
    use super::super::{Features, Terms, build};
    use super::*;
    use polars::prelude::*;
    use std::collections::BTreeMap;

    /// Orders of one channel by the day they were placed and, of frauds, the day they came to light; honest ones are
    /// trusted to be so after ten days.
    fn features(orders: &[(i64, Option<i64>)], as_of_day: i64) -> Features {
        let instants = |name: &str, days: Vec<Option<i64>>| {
            let micros: Vec<Option<i64>> = days.into_iter().map(|day| day.map(|d| d * DAY)).collect();
            let utc = DataType::Datetime(TimeUnit::Microseconds, Some(polars::prelude::TimeZone::UTC));
            Column::new(name.into(), micros).cast(&utc).unwrap()
        };
        let ids: Vec<String> = (0..orders.len()).map(|n| format!("o{n}")).collect();
        let frame = DataFrame::new_infer_height(vec![
            Column::new("order_id".into(), &ids),
            Column::new("customer_id".into(), &ids),
            Column::new("channel".into(), vec!["web"; orders.len()]),
            Column::new("amount".into(), vec![100_i64; orders.len()]),
            instants("placed_at", orders.iter().map(|(placed, _)| Some(*placed)).collect()),
            Column::new("fraud".into(), orders.iter().map(|(_, known)| known.map(|_| true)).collect::<Vec<_>>()),
            instants("fraud_known_at", orders.iter().map(|(_, known)| *known).collect()),
        ])
        .unwrap();
        let terms = Terms {
            zone: chrono_tz::UTC,
            as_of: as_of_day * DAY,
            fraud_matures_after: 10 * DAY,
            return_window: 30 * DAY,
        };
        build(&BTreeMap::from([("orders", frame)]), &terms).unwrap()
    }

    fn column(features: &Features, name: &str) -> Vec<f64> {
        let at = features.matrix.names.iter().position(|n| n == name).unwrap();
        (0..features.matrix.rows()).map(|row| features.matrix.row(row)[at]).collect()
    }

    #[test]
    fn a_category_s_rate_is_over_ripe_orders_whatever_was_known_of_the_others() {
        // The fraud of day 0 is known on day 2. On day 5 nothing is ripe; on day 13 the orders of days 0 and 1 are; on
        // day 30 all four earlier ones.
        let orders = [(0, Some(2)), (1, None), (5, None), (13, None), (30, None)];
        let rates = column(&features(&orders, 40), "channel_fraud_rate_lifetime");
        assert!(rates[..3].iter().all(|rate| rate.is_nan()), "{rates:?}");
        assert_eq!(rates[3..], [0.5, 0.25]);
    }

    #[test]
    fn a_fraud_that_comes_to_light_late_changes_nothing_before_it_does() {
        let orders = [(0, Some(2)), (1, Some(25)), (5, None), (13, None), (30, None)];
        let rates = column(&features(&orders, 40), "channel_fraud_rate_lifetime");
        assert_eq!(rates[3..], [0.5, 0.5]);
    }

    #[test]
    fn a_shop_of_which_nothing_is_known_yet_has_the_features_of_an_old_one() {
        let (young, old) = (features(&[(0, None), (1, None)], 2), features(&[(0, Some(3)), (1, None)], 40));
        assert_eq!(young.matrix.names, old.matrix.names);
        assert!(column(&young, "channel_fraud_rate_lifetime").iter().all(|rate| rate.is_nan()));
    }
}
