//! Features of small shops, worked out by hand.

use super::*;
use crate::config::{Pipeline, built_in_features};
use crate::types::time::{DAY, HOUR};
use polars::prelude::*;

pub(super) const TERMS: Terms = Terms {
    zone: chrono_tz::UTC,
    as_of: 400 * DAY,
    fraud_matures_after: 10 * DAY,
    return_window: 30 * DAY,
    undelivered_after: 90 * DAY,
    return_matures_after: None,
    return_unit: Level::Order,
};

pub(super) fn instants(name: &str, times: &[Option<i64>]) -> Column {
    let utc = DataType::Datetime(TimeUnit::Microseconds, Some(polars::prelude::TimeZone::UTC));
    Column::new(name.into(), times).cast(&utc).unwrap()
}

pub(super) fn frame(columns: Vec<Column>) -> DataFrame {
    DataFrame::new_infer_height(columns).unwrap()
}

/// The declared features, in the grammar of a pipeline file.
pub(super) fn declared(text: &str) -> Vec<FeatureSpec> {
    let file = format!(
        "name = \"t\"\nsources.s = {{ path = \"s.csv\" }}\ntables.orders = {{ sql = \"SELECT * FROM s\" }}\n\
         features.catalogue = \"none\"\n{text}"
    );
    Pipeline::parse(&file, "t.toml", ".".as_ref(), &[], &|_| None).unwrap().features
}

fn column(matrix: &Matrix, name: &str) -> Vec<Option<f64>> {
    let at = matrix.names.iter().position(|n| n == name).unwrap_or_else(|| panic!("no {name}: {:?}", matrix.names));
    matrix.column(at).iter().map(|value| (!value.is_nan()).then_some(*value)).collect()
}

/// Orders of one channel by the day they were placed and, of frauds, the day they came to light; honest ones are
/// trusted to be so after ten days.
fn frauds(orders: &[(i64, Option<i64>)], as_of_day: i64) -> Features {
    let days = |days: Vec<Option<i64>>| days.into_iter().map(|day| day.map(|d| d * DAY)).collect::<Vec<_>>();
    let ids: Vec<String> = (0..orders.len()).map(|n| format!("o{n}")).collect();
    let frame = frame(vec![
        Column::new("order_id".into(), &ids),
        Column::new("customer_id".into(), &ids),
        Column::new("channel".into(), vec!["web"; orders.len()]),
        Column::new("amount".into(), vec![100_i64; orders.len()]),
        instants("placed_at", &days(orders.iter().map(|(placed, _)| Some(*placed)).collect())),
        Column::new("fraud".into(), orders.iter().map(|(_, known)| known.map(|_| true)).collect::<Vec<_>>()),
        instants("fraud_known_at", &days(orders.iter().map(|(_, known)| *known).collect())),
    ]);
    let terms = Terms { as_of: as_of_day * DAY, ..TERMS };
    build(&BTreeMap::from([("orders", frame)]), &built_in_features(), &terms).unwrap()
}

#[test]
fn a_category_s_rate_is_over_ripe_orders_whatever_was_known_of_the_others() {
    // The fraud of day 0 is known on day 2. On day 5 nothing is ripe; on day 13 the orders of days 0 and 1 are; on
    // day 30 all four earlier ones.
    let orders = [(0, Some(2)), (1, None), (5, None), (13, None), (30, None)];
    let rates = column(&frauds(&orders, 40).matrix, "channel_fraud_rate_lifetime");
    assert_eq!(rates, [None, None, None, Some(0.5), Some(0.25)]);
}

#[test]
fn a_fraud_that_comes_to_light_late_changes_nothing_before_it_does() {
    let orders = [(0, Some(2)), (1, Some(25)), (5, None), (13, None), (30, None)];
    let rates = column(&frauds(&orders, 40).matrix, "channel_fraud_rate_lifetime");
    assert_eq!(rates[3..], [Some(0.5), Some(0.5)]);
}

#[test]
fn a_shop_of_which_nothing_is_known_yet_has_the_features_of_an_old_one() {
    let (young, old) = (frauds(&[(0, None), (1, None)], 2), frauds(&[(0, Some(3)), (1, None)], 40));
    assert_eq!(young.matrix.names, old.matrix.names);
    assert!(column(&young.matrix, "channel_fraud_rate_lifetime").iter().all(Option::is_none));
}

/// Five orders of two customers on two devices, hours after the first; the third has no device.
fn orders() -> DataFrame {
    let hours = [0, 10, 20, 30, 30];
    frame(vec![
        Column::new("order_id".into(), ["a", "b", "c", "d", "e"]),
        instants("placed_at", &hours.map(|h| Some(h * HOUR))),
        Column::new("customer_id".into(), ["x", "y", "x", "x", "y"]),
        Column::new("device_id".into(), [Some("1"), Some("1"), None, Some("2"), Some("1")]),
        Column::new("amount".into(), [100_i64, 300, 200, 900, 600]),
        instants("delivered_at", &[Some(15 * HOUR), None, Some(25 * HOUR), None, None]),
    ])
}

#[test]
fn every_aggregate_is_what_it_says_of_orders() {
    let specs = declared(
        r#"
        [[features.declare]]
        entity = "customer"
        value = "amount"
        aggregates = ["count", "sum", "mean", "max", "ratio", "since_last"]
        windows = ["24h", "lifetime"]
        [[features.declare]]
        entity = "device"
        other = "customer"
        aggregates = ["distinct", "share"]
        [[features.declare]]
        entity = "customer+device"
        aggregates = ["first_use", "count"]
        [[features.declare]]
        entity = "device"
        aggregates = ["count"]
        windows = ["24h"]
        delay = "10h"
        what = "settled"
        "#,
    );
    let features = build(&BTreeMap::from([("orders", orders())]), &specs, &TERMS).unwrap();
    let of = |name: &str| column(&features.matrix, name);
    let n = |values: [f64; 5]| values.map(Some);
    assert_eq!(of("customer_order_count_lifetime"), n([0.0, 0.0, 1.0, 2.0, 1.0]));
    assert_eq!(of("customer_order_count_24h"), n([0.0, 0.0, 1.0, 1.0, 1.0]));
    assert_eq!(of("customer_amount_sum_24h"), n([0.0, 0.0, 100.0, 200.0, 300.0]));
    assert_eq!(of("customer_amount_mean_lifetime"), [None, None, Some(100.0), Some(150.0), Some(300.0)]);
    assert_eq!(of("customer_amount_max_lifetime"), [None, None, Some(100.0), Some(200.0), Some(300.0)]);
    assert_eq!(of("customer_amount_ratio_lifetime"), [None, None, Some(2.0), Some(6.0), Some(2.0)]);
    assert_eq!(of("customer_order_since_last_24h"), [None, None, Some(20.0), Some(10.0), Some(20.0)]);
    assert_eq!(of("device_customer_distinct_lifetime"), [Some(0.0), Some(1.0), None, Some(0.0), Some(2.0)]);
    // Of the shop's orders before it, those on its device: none of one, one of one, none known, none and two of three.
    assert_eq!(of("device_order_share_lifetime"), [None, Some(1.0), None, Some(0.0), Some(2.0 / 3.0)]);
    assert_eq!(of("customer_device_first_use_lifetime"), [None, None, None, Some(1.0), Some(0.0)]);
    assert_eq!(of("customer_device_order_count_lifetime"), [Some(0.0), Some(0.0), None, Some(0.0), Some(1.0)]);
    // Orders of the 24 hours that end ten hours before: of `e` both, `b` at hour 10 included and hour 20 not.
    assert_eq!(of("settled_count_24h"), [Some(0.0), Some(0.0), None, Some(0.0), Some(2.0)]);
}

#[test]
fn what_happens_to_lines_counts_for_lines_and_over_baskets() {
    let items = frame(vec![
        Column::new("order_id".into(), ["a", "a", "b", "e", "e"]),
        Column::new("line".into(), ["1", "2", "1", "1", "2"]),
        Column::new("sku".into(), ["shoe", "sock", "shoe", "shoe", "hat"]),
        Column::new("unit_price".into(), [80_i64, 20, 300, 200, 400]),
    ]);
    // The shoe of `a` went back, known at hour 28; the sock was kept, certain thirty hours after delivery.
    let returns = frame(vec![
        Column::new("return_id".into(), ["r"]),
        Column::new("order_id".into(), ["a"]),
        Column::new("line".into(), ["1"]),
        instants("requested_at", &[Some(27 * HOUR)]),
        instants("known_at", &[Some(28 * HOUR)]),
    ]);
    let specs = declared(
        r#"
        [[features.declare]]
        entity = "sku"
        value = "unit_price"
        aggregates = ["count", "ratio"]
        [[features.declare]]
        entity = "sku"
        events = "return"
        aggregates = ["count", "rate"]
        prior = 0.5
        weight = 2
        [[features.declare]]
        entity = "customer"
        events = "return"
        aggregates = ["count"]
        "#,
    );
    let tables = BTreeMap::from([("orders", orders()), ("order_items", items), ("returns", returns)]);
    let terms = Terms { return_window: 14 * HOUR, return_unit: Level::Line, ..TERMS };
    let features = build(&tables, &specs, &terms).unwrap();
    let lines = features.lines.unwrap();
    let of = |name: &str| column(&lines.matrix, name);
    assert_eq!(lines.order, [0, 0, 1, 4, 4]);
    assert_eq!(of("sku_line_count_lifetime"), [0.0, 0.0, 1.0, 2.0, 0.0].map(Some));
    assert_eq!(of("sku_unit_price_ratio_lifetime"), [None, None, Some(3.75), Some(200.0 / 190.0), None]);
    // At hour 30 the shoe of `a` is known to be back and ripe since hour 29; the one of `b` was never delivered.
    assert_eq!(of("sku_return_count_lifetime"), [0.0, 0.0, 0.0, 1.0, 0.0].map(Some));
    assert_eq!(of("sku_return_rate_lifetime"), [0.5, 0.5, 0.5, 2.0 / 3.0, 0.5].map(Some));
    assert_eq!(of("line_cost_share"), [0.8, 0.2, 1.0, 1.0 / 3.0, 2.0 / 3.0].map(Some));
    assert_eq!(of("amount"), [100.0, 100.0, 300.0, 600.0, 600.0].map(Some), "the order's own come with each line");
    let over = |name: &str| column(&features.matrix, name);
    assert_eq!(over("basket_max_sku_line_count_lifetime"), [Some(0.0), Some(1.0), None, None, Some(2.0)]);
    assert_eq!(over("basket_mean_sku_line_count_lifetime"), [Some(0.0), Some(1.0), None, None, Some(1.0)]);
    assert_eq!(over("customer_return_count_lifetime"), [0.0, 0.0, 0.0, 1.0, 0.0].map(Some), "one line of `x` is back");
    let labels: Vec<_> = lines.returned.known.iter().map(|outcome| outcome.label()).collect();
    assert_eq!(labels, [Some(true), Some(false), Some(false), Some(false), Some(false)]);
}

/// Hats of one order each day, and the days on which each of them arrived.
fn hats(delivered: &[Option<i64>]) -> BTreeMap<&'static str, DataFrame> {
    let ids: Vec<String> = (0..delivered.len()).map(|n| format!("o{n}")).collect();
    let days = |days: Vec<Option<i64>>| days.into_iter().map(|day| day.map(|d| d * DAY)).collect::<Vec<_>>();
    let orders = frame(vec![
        Column::new("order_id".into(), &ids),
        instants("placed_at", &days((0..delivered.len() as i64).map(Some).collect())),
        Column::new("customer_id".into(), &ids),
        Column::new("amount".into(), vec![100_i64; ids.len()]),
        instants("delivered_at", &days(delivered.to_vec())),
    ]);
    let items = frame(vec![
        Column::new("order_id".into(), &ids),
        Column::new("line".into(), vec!["1"; ids.len()]),
        Column::new("sku".into(), vec!["hat"; ids.len()]),
    ]);
    BTreeMap::from([("orders", orders), ("order_items", items)])
}

#[test]
fn deliveries_are_of_the_day_of_the_order_and_known_when_they_come() {
    let specs = declared(
        r#"
        [[features.declare]]
        entity = "sku"
        events = "delivery"
        aggregates = ["count", "rate"]
        windows = ["3d"]
        delay = "24h"
        weight = 0
        "#,
    );
    let mut tables = hats(&[Some(2), Some(7), None, Some(5), None, None]);
    let of = |tables: &BTreeMap<&'static str, DataFrame>, name: &str| {
        column(&build(tables, &specs, &TERMS).unwrap().matrix, &format!("basket_max_sku_delivery_{name}_3d"))
    };
    // A window holds the orders of the days T−4 to T−2, and knows of deliveries up to T−1: on day 2 the first hat is not
    // there yet, on day 5 those of days 1 and 2 are missing and the one of day 3 comes that very day.
    let n = |values: [f64; 6]| values.map(Some);
    assert_eq!(of(&tables, "count"), n([0.0, 0.0, 0.0, 1.0, 1.0, 0.0]));
    let thirds = [None, None, Some(0.0), Some(0.5), Some(1.0 / 3.0), Some(0.0)];
    assert_eq!(of(&tables, "rate"), thirds);
    // A line with a day of its own comes on that, not with its order's last parcel.
    let own = [Some(2), Some(4), None, Some(4), None, None].map(|day| day.map(|day| day * DAY));
    let items = tables.get_mut("order_items").unwrap();
    items.with_column(instants("delivered_at", &own)).unwrap();
    assert_eq!(of(&tables, "count"), n([0.0, 0.0, 0.0, 1.0, 1.0, 2.0]));
}

#[test]
fn with_a_time_of_its_own_for_ripeness_what_was_delivered_counts_as_kept_until_a_return_is_known() {
    // The first never came, the second came late and went back, the third did not.
    let mut tables = hats(&[None, Some(60), Some(4)]);
    let returns = frame(vec![
        Column::new("return_id".into(), ["r"]),
        Column::new("order_id".into(), ["o1"]),
        instants("requested_at", &[Some(61 * DAY)]),
        instants("known_at", &[Some(61 * DAY)]),
    ]);
    tables.insert("returns", returns);
    let ripe = |return_matures_after: Option<i64>, as_of: i64| {
        let terms = Terms { return_matures_after, as_of: as_of * DAY, ..TERMS };
        let returned = build(&tables, &[], &terms).unwrap().returned;
        (returned.ripe_at().iter().map(|at| at / DAY).collect::<Vec<_>>(), returned.ripe_labels())
    };
    let (yes, no) = (Some(true), Some(false));
    assert_eq!(ripe(None, 400), (vec![90, 90, 34], vec![no, yes, no]));
    assert_eq!(ripe(Some(30 * DAY), 400), (vec![90, 60, 32], vec![no, yes, no]));
    assert_eq!(ripe(Some(30 * DAY), 60).1, [None, Some(false), no], "kept, as far as is known");
}

#[test]
fn what_the_input_cannot_feed_is_named_with_what_is_missing() {
    let features = build(&BTreeMap::from([("orders", orders())]), &built_in_features(), &TERMS).unwrap();
    let find = |name: &str| features.described.iter().find(|feature| feature.name == name).unwrap();
    assert_eq!(find("ip_order_count_24h").missing, ["orders.ip"]);
    assert_eq!(find("network_order_count_24h").missing, ["orders.ip"]);
    assert_eq!(find("payment_customer_distinct_lifetime").missing, ["orders.payment_id"]);
    assert_eq!(find("customer_dispute_count_lifetime").missing, ["tickets.kind"]);
    assert_eq!(find("sku_line_count_30d").missing, ["order_items.sku", "order_items.order_id"]);
    let there = find("device_customer_distinct_30d");
    assert_eq!(
        (there.missing.len(), there.note.label.as_str()),
        (0, "different customers with this device in 30 days")
    );
    let computed = features.described.iter().filter(|feature| feature.missing.is_empty()).count();
    assert_eq!(computed, features.matrix.width());
    assert!(features.described.iter().all(|f| !f.note.label.is_empty() && !f.null.is_empty()));
}

/// One customer's orders by day, and what the desk said of them: order, word, day, reviewer.
fn reviewed(placed: &[i64], said: &[(usize, &str, i64)], chargeback: Option<(usize, i64)>, as_of_day: i64) -> Features {
    let ids: Vec<String> = (0..placed.len()).map(|n| format!("o{n}")).collect();
    let orders = frame(vec![
        Column::new("order_id".into(), &ids),
        Column::new("customer_id".into(), vec!["c"; placed.len()]),
        Column::new("amount".into(), vec![100_i64; placed.len()]),
        instants("placed_at", &placed.iter().map(|day| Some(day * DAY)).collect::<Vec<_>>()),
    ]);
    let known: Vec<_> = said.iter().filter(|(.., day)| *day <= as_of_day).collect();
    let decisions = frame(vec![
        Column::new("order_id".into(), known.iter().map(|(order, ..)| ids[*order].as_str()).collect::<Vec<_>>()),
        Column::new("decision".into(), known.iter().map(|(_, word, _)| *word).collect::<Vec<_>>()),
        instants("decided_at", &known.iter().map(|(.., day)| Some(day * DAY)).collect::<Vec<_>>()),
    ]);
    let mut tables = BTreeMap::from([("orders", orders), ("review_decisions", decisions)]);
    if let Some((order, day)) = chargeback.filter(|(_, day)| *day <= as_of_day) {
        let tickets = frame(vec![
            Column::new("ticket_id".into(), ["t"]),
            Column::new("order_id".into(), [ids[order].as_str()]),
            Column::new("kind".into(), ["chargeback"]),
            instants("opened_at", &[Some(day * DAY)]),
        ]);
        tables.insert("tickets", tickets);
    }
    let terms = Terms { as_of: as_of_day * DAY, ..TERMS };
    let text = "[[features.declare]]\nentity = \"customer\"\nevents = \"fraud\"\naggregates = [\"count\", \"rate\"]\n\
                windows = [\"lifetime\"]\nweight = 0.0\n";
    build(&tables, &declared(text), &terms).unwrap()
}

#[test]
fn the_desk_s_latest_decision_counts_from_its_time_on_and_before_it_the_one_before() {
    use labels::Outcome;
    // Order 0 is fraud on day 2, legitimate on day 5 (says another reviewer), fraud again on day 9.
    let said = [(0, "fraud", 2), (0, "legit", 5), (0, "unsure", 6), (0, "fraud", 9)];
    let placed = [0, 2, 3, 5, 6, 9, 10, 30];
    let found = reviewed(&placed, &said, None, 31);
    let counts = |features: &Features| column(&features.matrix, "customer_fraud_count_lifetime");
    let expected = [0, 0, 1, 1, 0, 0, 1, 1].map(|n| Some(f64::from(n)));
    assert_eq!(counts(&found), expected, "known strictly before each");
    for (as_of, outcome) in [
        (1, Outcome::Unknown),
        (2, Outcome::Yes(2 * DAY)),
        (5, Outcome::No(5 * DAY)),
        (8, Outcome::No(5 * DAY)),
        (9, Outcome::Yes(9 * DAY)),
    ] {
        let then = reviewed(&placed, &said, None, as_of);
        assert_eq!(then.fraud.known[0], outcome, "as of day {as_of}");
        // What is decided later changes nothing of what stood before.
        let orders = placed.iter().filter(|&&day| day <= as_of).count();
        assert_eq!(counts(&then)[..orders], expected[..orders], "as of day {as_of}");
    }
    // Rates look at ripe orders: on day 30 all but the last, and one of them is fraud.
    assert_eq!(column(&found.matrix, "customer_fraud_rate_lifetime")[7], Some(1.0 / 7.0));
    let taken_back = reviewed(&placed, &said[..2], None, 31);
    assert_eq!(column(&taken_back.matrix, "customer_fraud_rate_lifetime")[7], Some(0.0));
    assert_eq!(taken_back.fraud.ripe_labels()[0], Some(false), "and it is learnt from as legitimate");
}

#[test]
fn the_desk_takes_nothing_back_of_what_the_bank_says() {
    use labels::Outcome;
    let said = [(0, "fraud", 2), (0, "legit", 5)];
    let of = |chargeback| reviewed(&[0, 3, 6, 8], &said, Some((0, chargeback)), 31);
    let counts = |features: &Features| column(&features.matrix, "customer_fraud_count_lifetime");
    // The bank before the second reviewer: fraud from the first one on.
    assert_eq!(of(4).fraud.known[0], Outcome::Yes(2 * DAY));
    assert_eq!(counts(&of(4)), [0.0, 1.0, 1.0, 1.0].map(Some));
    // After: fraud, then legitimate, then fraud by the bank's word.
    assert_eq!(of(7).fraud.known[0], Outcome::Yes(7 * DAY));
    assert_eq!(counts(&of(7)), [0.0, 1.0, 0.0, 1.0].map(Some));
    // Of two at one instant fraud counts, whichever row comes first.
    for said in [[(0, "fraud", 2), (0, "legit", 2)], [(0, "legit", 2), (0, "fraud", 2)]] {
        assert_eq!(reviewed(&[0], &said, None, 31).fraud.known[0], Outcome::Yes(2 * DAY));
    }
}

#[test]
fn rules_know_the_facts_of_orders_that_features_have() {
    let mut of_orders: Vec<&str> = describe::fact_names().filter(|name| !name.starts_with("line_")).collect();
    let mut of_rules = crate::config::ORDER_FACTS.to_vec();
    of_orders.sort_unstable();
    of_rules.sort_unstable();
    assert_eq!(of_orders, of_rules);
}

#[test]
fn the_label_of_an_order_when_it_was_ripe_is_the_same_at_every_later_clock() {
    // What the desk and the bank say before, on and after that day.
    let ripe = TERMS.fraud_matures_after / DAY;
    let histories: [&[(usize, &str, i64)]; 5] = [
        &[],
        &[(0, "fraud", 2), (0, "legit", 5), (0, "fraud", ripe + 3)],
        &[(0, "fraud", 2), (0, "legit", ripe + 2)],
        &[(0, "fraud", ripe)],
        &[(0, "fraud", ripe + 1), (0, "legit", ripe + 4)],
    ];
    let mut seen = [0, 0];
    for said in histories {
        for chargeback in [None, Some((0, 4)), Some((0, ripe)), Some((0, ripe + 1))] {
            let at = |day: i64| reviewed(&[0], said, chargeback, day).fraud;
            assert_eq!(at(ripe - 1).when_ripe(0), None);
            let then = at(ripe).ripe_labels()[0].unwrap();
            seen[usize::from(then)] += 1;
            for day in ripe..ripe + 8 {
                assert_eq!(at(day).when_ripe(0), Some((ripe * DAY, then)), "{said:?} {chargeback:?} day {day}");
            }
        }
    }
    assert!(seen.iter().all(|&count| count > 4), "{seen:?}");
}
