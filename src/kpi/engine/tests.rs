//! The engine against a slow and obvious count, and against itself in parts.

use super::{Clock, Counted, Plan, Settings, States};
use crate::kpi::Terms;
use crate::kpi::facts::Facts;
use crate::kpi::measure::{Measure, Shape, Subject, Unit};
use crate::kpi::periods::Grain;
use crate::kpi::sketch::RELATIVE_ERROR;
use crate::types::interval::wilson95;
use crate::types::time::{DAY, HOUR, SECOND, local_day};
use chrono_tz::Tz;
use polars::prelude::*;
use proptest::prelude::*;
use rand::seq::SliceRandom;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::collections::BTreeMap;

/// The last days of 2023 in Berlin; the night of 29 October has an hour twice.
const BEGIN: i64 = 1_698_000_000 * SECOND;
const ZONE: Tz = Tz::Europe__Berlin;
const AS_OF: i64 = BEGIN + 75 * DAY;

/// An order as the naive count sees it.
#[derive(Debug, Clone)]
struct Order {
    placed: i64,
    promised: Option<i64>,
    shipped: Option<i64>,
    amount: Option<i64>,
    channel: Option<&'static str>,
    carrier: &'static str,
    cancelled: bool,
}

fn orders(count: usize, seed: u64) -> Vec<Order> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let fine = rng.random_bool(0.3);
    let order = |_| {
        let placed = BEGIN + rng.random_range(0..80 * 24 * 3600) * SECOND;
        // Now and then an end before the beginning, and times finer than seconds.
        let shipped =
            placed + rng.random_range(-3..200 * HOUR / SECOND) * SECOND + i64::from(fine) * rng.random_range(0..SECOND);
        Order {
            placed,
            promised: rng.random_bool(0.8).then(|| placed + rng.random_range(0..9 * 24) * HOUR),
            shipped: rng.random_bool(0.7).then_some(shipped),
            amount: rng.random_bool(0.9).then(|| rng.random_range(-500..90_000)),
            channel: *[None, Some("web"), Some("app"), Some("shop")].get(rng.random_range(0..4)).unwrap(),
            carrier: ["DHL", "UPS"][usize::from(rng.random_bool(0.1))],
            cancelled: rng.random_bool(0.1),
        }
    };
    (0..count).map(order).collect()
}

fn facts(orders: &[Order]) -> Facts {
    let instants = |name: &str, pick: &dyn Fn(&Order) -> Option<i64>| {
        let micros: Int64Chunked = orders.iter().map(pick).collect();
        micros
            .with_name(name.into())
            .into_column()
            .cast(&DataType::Datetime(TimeUnit::Microseconds, Some(polars::prelude::TimeZone::UTC)))
            .unwrap()
    };
    let ids: Vec<String> = (0..orders.len()).map(|n| format!("o{n}")).collect();
    let frame = DataFrame::new_infer_height(vec![
        Column::new("order_id".into(), &ids),
        Column::new("customer_id".into(), &ids),
        instants("placed_at", &|o| Some(o.placed)),
        instants("promised_ship_at", &|o| o.promised),
        instants("shipped_at", &|o| o.shipped),
        instants("cancelled_at", &|o| o.cancelled.then_some(o.placed)),
        Column::new("amount".into(), orders.iter().map(|o| o.amount).collect::<Vec<_>>()),
        Column::new("channel".into(), orders.iter().map(|o| o.channel).collect::<Vec<_>>()),
        Column::new("carrier".into(), orders.iter().map(|o| o.carrier).collect::<Vec<_>>()),
    ]);
    let terms = Terms { as_of: AS_OF, zone: ZONE, return_window: 30 * DAY };
    Facts::new(&BTreeMap::from([("orders", frame.unwrap())]), &terms, &segments()).unwrap()
}

/// A part of the facts of orders.
fn part(facts: &Facts, rows: &[IdxSize]) -> Facts {
    let rows = IdxCa::from_slice("rows".into(), rows);
    Facts { orders: facts.orders.take(&rows).unwrap(), customers: facts.customers.clear(), ..facts.clone() }
}

fn measures() -> Vec<Measure> {
    let entry = |id, basis, shape, unit, needs| Measure {
        id,
        meaning: "",
        needs,
        subject: Subject::Orders,
        basis,
        shape,
        unit,
        matures_after_days: 3,
        more_is_better: None,
    };
    let late = col("shipped_at").gt(col("promised_ship_at"));
    vec![
        entry("orders", "placed_at", Shape::Total(lit(1)), Unit::Count, &["orders"]),
        entry("sales", "placed_at", Shape::Total(col("amount")), Unit::Money, &["orders.amount"]),
        entry(
            "basket",
            "placed_at",
            Shape::Ratio { above: col("amount"), below: lit(1) },
            Unit::Money,
            &["orders.amount"],
        ),
        entry(
            "late",
            "promised_ship_at",
            Shape::Proportion { hit: late, trial: col("cancelled").not() },
            Unit::Share,
            &["orders"],
        ),
        entry(
            "handling",
            "placed_at",
            Shape::Duration { from: "placed_at", to: "shipped_at", ended: col("cancelled") },
            Unit::Hours,
            &["orders"],
        ),
        entry(
            "lead",
            "promised_ship_at",
            Shape::Duration { from: "placed_at", to: "promised_ship_at", ended: col("cancelled") },
            Unit::Hours,
            &["orders"],
        ),
    ]
}

const CLOCK: Clock = Clock { as_of: AS_OF, zone: ZONE, base_exponent: 2 };

fn segments() -> Vec<String> {
    ["channel", "carrier", "channel+carrier", "no_such_column"].map(str::to_owned).to_vec()
}

fn whole(facts: &Facts, settings: &Settings) -> Counted {
    let (measures, segments) = (measures(), segments());
    let plan = Plan::new(&measures, &segments, &facts.available, CLOCK, settings.clone());
    let mut states = States::new(&plan);
    states.add(&plan, facts).unwrap();
    states.finish(&plan, None).unwrap()
}

/// Orders dealt at random to so many parts, whose states are merged at random.
fn in_parts(facts: &Facts, settings: &Settings, parts: usize, seed: u64) -> Counted {
    let (measures, segments) = (measures(), segments());
    let plan = Plan::new(&measures, &segments, &facts.available, CLOCK, settings.clone());
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut rows: Vec<IdxSize> = (0..facts.orders.height() as IdxSize).collect();
    rows.shuffle(&mut rng);
    let mut dealt = vec![Vec::new(); parts];
    rows.into_iter().for_each(|row| dealt[rng.random_range(0..parts)].push(row));
    let mut states: Vec<States> = dealt
        .iter()
        .map(|rows| {
            let mut states = States::new(&plan);
            states.add(&plan, &part(facts, rows)).unwrap();
            states
        })
        .collect();
    while states.len() > 1 {
        let other = states.swap_remove(rng.random_range(0..states.len()));
        let at = rng.random_range(0..states.len());
        states[at].merge(&plan, other).unwrap();
    }
    states.pop().unwrap().finish(&plan, None).unwrap()
}

fn small_limit() -> Settings {
    Settings { exact_durations: 100, ..Settings::default() }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 8, ..ProptestConfig::default() })]

    #[test]
    fn parts_merged_in_any_order_give_the_bits_of_the_whole(seed in any::<u64>(), fold in 0_u64..40) {
        let facts = facts(&orders(600, seed));
        for settings in [Settings::default(), Settings { min_segment_orders: fold, ..small_limit() }] {
            let expected = whole(&facts, &settings);
            for parts in [1, 7, 100] {
                let found = in_parts(&facts, &settings, parts, seed ^ parts as u64);
                prop_assert!(expected.frame.equals_missing(&found.frame), "{parts} parts");
                prop_assert_eq!((&expected.computed, &expected.not_computable), (&found.computed, &found.not_computable));
            }
        }
    }

    #[test]
    fn every_figure_is_that_of_a_slow_and_obvious_count(seed in any::<u64>()) {
        let orders = orders(400, seed);
        let found = rows(&whole(&facts(&orders), &Settings::default()).frame);
        prop_assert_eq!(found, naive(&orders));
    }

    #[test]
    fn quantiles_from_buckets_are_within_their_error_and_everything_else_is_exact(seed in any::<u64>()) {
        let facts = facts(&orders(700, seed));
        let (exact, sketched) = (rows(&whole(&facts, &Settings::default()).frame), whole(&facts, &small_limit()).frame);
        let errors = sketched.column("quantile_error").unwrap().f64().unwrap().clone();
        let names = sketched.column("kpi").unwrap().str().unwrap().clone();
        for (name, error) in names.iter().zip(errors.iter()) {
            let is_quantile = name.unwrap().ends_with("_p50") || name.unwrap().ends_with("_p90");
            prop_assert_eq!(error, is_quantile.then_some(RELATIVE_ERROR));
        }
        let sketched = rows(&sketched);
        prop_assert_eq!(exact.len(), sketched.len());
        for ((key, exact), (other, sketched)) in exact.iter().zip(&sketched) {
            prop_assert_eq!(key, other);
            if key.0.ends_with("_p50") || key.0.ends_with("_p90") {
                let (exact, sketched) = (f64::from_bits(exact.2), f64::from_bits(sketched.2));
                prop_assert!((exact - sketched).abs() <= exact.abs() * RELATIVE_ERROR * (1.0 + 1e-9), "{key:?}: {exact} {sketched}");
            } else {
                prop_assert_eq!(exact, sketched, "{:?}", key);
            }
        }
    }

    #[test]
    fn rows_of_a_grain_do_not_depend_on_which_others_are_asked(seed in any::<u64>(), asked in proptest::sample::subsequence(Grain::DEFAULT.to_vec(), 1..9)) {
        let facts = facts(&orders(300, seed));
        let all = rows(&whole(&facts, &Settings::default()).frame);
        let some = rows(&whole(&facts, &Settings { grains: asked.clone(), ..Settings::default() }).frame);
        let kept = |grain: &str| asked.iter().any(|asked| asked.name() == grain);
        let expected: Figures = all.into_iter().filter(|(key, _)| kept(&key.1)).collect();
        prop_assert_eq!(some, expected);
    }
}

#[test]
fn values_with_few_orders_are_counted_together_as_other() {
    let mut orders = orders(200, 7);
    for (at, order) in orders.iter_mut().enumerate() {
        order.channel = Some(if at < 150 {
            "web"
        } else if at < 170 {
            "app"
        } else {
            "shop"
        });
    }
    let folded = rows(&whole(&facts(&orders), &Settings { min_segment_orders: 100, ..Settings::default() }).frame);
    orders.iter_mut().filter(|o| o.channel != Some("web")).for_each(|o| o.channel = Some("other"));
    let renamed = rows(&whole(&facts(&orders), &Settings::default()).frame);
    let of = |figures: Figures| -> Figures { figures.into_iter().filter(|(key, _)| key.3 == "channel").collect() };
    assert_eq!(of(folded), of(renamed));
}

#[test]
fn a_sum_beyond_64_bits_refuses_the_input_instead_of_wrapping() {
    let mut orders = orders(3, 1);
    orders.iter_mut().for_each(|o| (o.amount, o.placed) = (Some(i64::MAX / 2), BEGIN));
    let facts = facts(&orders);
    let (measures, segments) = (measures(), segments());
    let plan = Plan::new(&measures, &segments, &facts.available, CLOCK, Settings::default());
    let refused = States::new(&plan).add(&plan, &facts).unwrap_err();
    assert_eq!(refused.exit_code(), 3, "{refused}");
    // Two of them still fit.
    States::new(&plan).add(&plan, &part(&facts, &[0, 1])).unwrap();
}

/// KPI, grain, first day, segment and value.
type Key = (String, String, Option<i32>, String, String);
/// Numerator, denominator, bits of the value and of the interval, whether it is mature.
type Figure = (Option<i64>, Option<i64>, u64, Option<(u64, u64)>, bool);
type Figures = BTreeMap<Key, Figure>;

fn rows(frame: &DataFrame) -> Figures {
    let text = |name: &str| -> Vec<String> {
        frame.column(name).unwrap().str().unwrap().iter().map(|t| t.unwrap().to_owned()).collect()
    };
    let int = |name: &str| frame.column(name).unwrap().i64().unwrap().iter().collect::<Vec<_>>();
    let float = |name: &str| frame.column(name).unwrap().f64().unwrap().iter().collect::<Vec<_>>();
    let starts = frame.column("period_start").unwrap().to_physical_repr();
    let starts: Vec<Option<i32>> = starts.i32().unwrap().iter().collect();
    let mature: Vec<Option<bool>> = frame.column("mature").unwrap().bool().unwrap().iter().collect();
    let (kpis, grains, segments, values) = (text("kpi"), text("grain"), text("segment"), text("segment_value"));
    let (numerators, denominators) = (int("numerator"), int("denominator"));
    let (figures, lower, upper) = (float("value"), float("lower"), float("upper"));
    let all: Vec<(Key, Figure)> = (0..frame.height())
        .map(|at| {
            let key = (kpis[at].clone(), grains[at].clone(), starts[at], segments[at].clone(), values[at].clone());
            let interval = lower[at].zip(upper[at]).map(|(l, u)| (l.to_bits(), u.to_bits()));
            (key, (numerators[at], denominators[at], figures[at].unwrap().to_bits(), interval, mature[at].unwrap()))
        })
        .collect();
    let figures: Figures = all.iter().cloned().collect();
    assert_eq!(figures.len(), all.len(), "no row twice");
    figures
}

/// Every period a day lies in.
fn periods_of(day: i32) -> Vec<(String, Option<i32>)> {
    let week = (0..7).map(|back| day - back).find(|d| (d + 3).rem_euclid(7) == 0);
    let month = (0..31).map(|back| day - back).find(|d| {
        use chrono::Datelike;
        crate::types::time::date_of(*d).unwrap().day() == 1
    });
    let mut periods = vec![
        ("day".to_owned(), Some(day)),
        ("week".to_owned(), week),
        ("month".to_owned(), month),
        ("all".to_owned(), None),
    ];
    let today = local_day(AS_OF - 1, ZONE).unwrap();
    for days in [7, 10, 14, 30, 60] {
        if day <= today && day > today - days {
            periods.push((format!("trailing_{days}d"), Some(today - days + 1)));
        }
    }
    periods
}

fn naive(orders: &[Order]) -> Figures {
    /// Whether it is the second clock's, and the grain, start, segment and value.
    type Group = (bool, String, Option<i32>, String, String);
    let mut groups: BTreeMap<Group, Vec<&Order>> = BTreeMap::new();
    let mut last = [i32::MIN; 2];
    for order in orders {
        for (by_promise, clock) in [(false, Some(order.placed)), (true, order.promised)] {
            let Some(day) = clock.and_then(|clock| local_day(clock, ZONE)) else { continue };
            last[usize::from(by_promise)] = last[usize::from(by_promise)].max(day);
            let channel = order.channel.unwrap_or("(none)");
            let pair = format!("{channel}+{}", order.carrier);
            for (segment, value) in
                [("all", "all"), ("channel", channel), ("carrier", order.carrier), ("channel+carrier", &pair)]
            {
                for (grain, first) in periods_of(day) {
                    groups
                        .entry((by_promise, grain, first, segment.to_owned(), value.to_owned()))
                        .or_default()
                        .push(order);
                }
            }
        }
    }
    let mut figures = Figures::new();
    for ((by_promise, grain, first, segment, value), orders) in groups {
        let length = match grain.as_str() {
            "week" => 7,
            "month" => (27..=31).find(|n| periods_of(first.unwrap() + n)[2].1 != first).unwrap(),
            _ => 1,
        };
        let end = match grain.starts_with("trailing") {
            true => AS_OF,
            false => crate::types::time::day_start(
                crate::types::time::date_of(first.unwrap_or(last[usize::from(by_promise)]) + length).unwrap(),
                ZONE,
            ),
        };
        let mature = end + 3 * DAY <= AS_OF;
        let mut put =
            |kpi: &str, above: Option<i64>, below: Option<i64>, value_of: f64, interval: Option<(f64, f64)>| {
                let key = (kpi.to_owned(), grain.clone(), first, segment.clone(), value.clone());
                let interval = interval.map(|(l, u)| (l.to_bits(), u.to_bits()));
                figures.insert(key, (above, below, value_of.to_bits(), interval, mature));
            };
        let mut span = |id: &str, from: &dyn Fn(&Order) -> Option<i64>, to: &dyn Fn(&Order) -> Option<i64>| {
            let mut lengths: Vec<i64> =
                orders.iter().filter_map(|o| Some(to(o)? - from(o)?)).filter(|length| *length >= 0).collect();
            lengths.sort_unstable();
            let n = lengths.len();
            if n > 0 {
                for (name, share) in [("p50", 0.5), ("p90", 0.9)] {
                    let at = (n - 1) as f64 * share;
                    let seconds = |at: f64| lengths[at as usize] as f64 / 1e6;
                    let (low, high) = (seconds(at.floor()), seconds(at.ceil()));
                    let quantile = if low == high { low } else { (at - at.floor()) * (high - low) + low };
                    put(&format!("{id}_{name}"), None, Some(n as i64), quantile / 3600.0, None);
                }
                let sum: i64 = lengths.iter().sum();
                put(
                    &format!("{id}_mean"),
                    Some(sum / SECOND),
                    Some(n as i64),
                    sum as f64 / n as f64 / 1e6 / 3600.0,
                    None,
                );
            }
            let begun = orders.iter().filter(|o| from(o).is_some()).count() as i64;
            let open = orders.iter().filter(|o| from(o).is_some() && to(o).is_none() && !o.cancelled).count() as i64;
            if begun > 0 {
                put(
                    &format!("{id}_open_share"),
                    Some(open),
                    Some(begun),
                    open as f64 / begun as f64,
                    wilson95(open, begun),
                );
            }
        };
        if by_promise {
            span("lead", &|o| Some(o.placed), &|o| o.promised);
            let due = orders.iter().filter(|o| !o.cancelled).count() as i64;
            let late =
                orders.iter().filter(|o| !o.cancelled && o.shipped.is_some_and(|s| s > o.promised.unwrap())).count()
                    as i64;
            if due > 0 {
                put("late", Some(late), Some(due), late as f64 / due as f64, wilson95(late, due));
            }
        } else {
            span("handling", &|o| Some(o.placed), &|o| o.shipped);
            let n = orders.len() as i64;
            let sum: i64 = orders.iter().filter_map(|o| o.amount).sum();
            put("orders", Some(n), None, n as f64, None);
            put("basket", Some(sum), Some(n), sum as f64 / n as f64 / 100.0, None);
            if orders.iter().any(|o| o.amount.is_some()) {
                put("sales", Some(sum), None, sum as f64 / 100.0, None);
            }
        }
    }
    figures
}
