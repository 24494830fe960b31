//! Factors, facts and the index of small shops, worked out by hand.

use super::answers::Answers;
use super::factors::{self, FACTORS, Points};
use super::facts::facts;
use super::index::{Cell, K, Spread, Variance, index, variance};
use super::journey::Journeys;
use super::{split, table};
use crate::features::kernel::NO_VALUE;
use crate::features::tables::Tables;
use crate::types::time::{DAY, HOUR};
use polars::prelude::*;
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};

const AS_OF: i64 = 100 * DAY;

fn instants(name: &str, times: Vec<Option<i64>>) -> Column {
    let utc = DataType::Datetime(TimeUnit::Microseconds, Some(polars::prelude::TimeZone::UTC));
    Column::new(name.into(), times).cast(&utc).unwrap()
}

fn frame(columns: Vec<Column>) -> DataFrame {
    DataFrame::new_infer_height(columns).unwrap()
}

/// o1 comes a day late and is damaged, o2 in time with a scan and a return, o3 is open ten days past its promise, o4 was
/// cancelled.
fn shop() -> BTreeMap<&'static str, DataFrame> {
    let d = |days: [Option<i64>; 4]| days.map(|day| day.map(|d| d * DAY)).to_vec();
    let orders = frame(vec![
        Column::new("order_id".into(), ["o1", "o2", "o3", "o4"]),
        Column::new("customer_id".into(), ["a", "b", "c", "d"]),
        Column::new("amount".into(), [1_000_i64; 4]),
        instants("placed_at", d([Some(10), Some(10), Some(80), Some(80)])),
        instants("shipped_at", d([Some(11), Some(11), Some(85), None])),
        instants("delivered_at", d([Some(21), Some(13), None, None])),
        instants("promised_delivery_at", d([Some(20), Some(20), Some(90), Some(90)])),
        instants("cancelled_at", d([None, None, None, Some(81)])),
    ]);
    let events = frame(vec![
        Column::new("order_id".into(), ["o1", "o2", "o2"]),
        Column::new("event".into(), ["exception_damage", "first_scan", "customs_arrived"]),
        instants("occurred_at", vec![Some(20 * DAY), Some(11 * DAY + HOUR), Some(12 * DAY)]),
        instants("known_at", vec![Some(22 * DAY), Some(11 * DAY + HOUR), Some(12 * DAY)]),
    ]);
    let tickets = frame(vec![
        Column::new("ticket_id".into(), ["t1", "t2", "t3"]),
        Column::new("order_id".into(), ["o1", "o1", "o3"]),
        Column::new("kind".into(), ["contact", "chargeback", "contact"]),
        instants("opened_at", vec![Some(22 * DAY), Some(30 * DAY), Some(99 * DAY)]),
        instants("first_reply_at", vec![Some(22 * DAY + 12 * HOUR), None, None]),
        instants("solved_at", vec![Some(23 * DAY), None, None]),
        instants("last_solved_at", vec![Some(26 * DAY), None, None]),
        Column::new("language".into(), [Some("de"), None, Some("fr")]),
        Column::new("agent_language".into(), [Some("en"), None, None::<&str>]),
    ]);
    let returns = frame(vec![
        Column::new("return_id".into(), ["r1"]),
        Column::new("order_id".into(), ["o2"]),
        instants("requested_at", vec![Some(15 * DAY)]),
        instants("approved_at", vec![Some(15 * DAY + 49 * HOUR)]),
        instants("received_at", vec![Some(20 * DAY)]),
        instants("refunded_at", vec![Some(34 * DAY)]),
        Column::new("reason".into(), ["size"]),
    ]);
    let feedback = frame(vec![
        Column::new("feedback_id".into(), ["f1", "f2", "f3"]),
        Column::new("order_id".into(), ["o1", "o1", "o2"]),
        instants("received_at", vec![Some(25 * DAY), Some(24 * DAY), Some(14 * DAY)]),
        Column::new("scale".into(), ["stars5", "nps11", "stars5"]),
        Column::new("score".into(), [Some(1_i64), Some(3), None]),
    ]);
    BTreeMap::from([
        ("orders", orders),
        ("order_events", events),
        ("tickets", tickets),
        ("returns", returns),
        ("feedback", feedback),
    ])
}

fn points_of(tables: &BTreeMap<&'static str, DataFrame>) -> Vec<Points> {
    let tables = Tables::new(tables).unwrap();
    let journeys = Journeys::new(&tables, chrono_tz::UTC, AS_OF).unwrap();
    factors::of_orders(&journeys, &Answers::new(&tables).unwrap())
}

#[test]
fn factors_of_an_order_are_the_means_of_their_parts() {
    let points = points_of(&shop());
    let of = |factor: &str| {
        let at = FACTORS.iter().position(|name| *name == factor).unwrap();
        points.iter().map(|p| p[at]).collect::<Vec<_>>()
    };
    // o1: a day late 90, eleven days under way 100·22/30 = 73.3. o2: both full. o3: ten days late and open. o4: cancelled.
    assert_eq!(of("speed"), [Some(82), Some(100), Some(0), None]);
    // o1: never scanned 0, replied in time 100. o2: scanned. o3: shipped long ago and never scanned; its ticket is a day old.
    assert_eq!(of("transparency"), [Some(50), Some(100), Some(0), None]);
    // o1: a contact and a reopening; the chargeback is no contact. o2: no contact 100, answered an hour too late 0, refunded on
    // the fourteenth day 100. o3: one contact.
    assert_eq!(of("ease"), [Some(33), Some(67), Some(50), Some(100)]);
    // o1: reply after 12 of 48 hours 75, solved after 4 days 100·72/144 = 50, another language 0. o3: nothing can be said yet.
    assert_eq!(of("service"), [Some(42), None, None, None]);
    // o1: damaged 0, kept 100. o2: as described 100, returned 0.
    assert_eq!(of("product"), [Some(50), Some(50), None, None]);
    // o1: one star is 0, three of ten 30. o2: a survey without an answer.
    assert_eq!(of("feedback"), [Some(15), None, None, None]);
}

#[test]
fn a_factor_whose_tables_are_absent_is_no_factor_and_said_so() {
    let mut tables = shop();
    for table in ["order_events", "tickets", "returns", "feedback"] {
        tables.remove(table);
    }
    assert_eq!(points_of(&tables)[0], [Some(82), None, None, None, None, None]);
    let read = Tables::new(&tables).unwrap();
    let journeys = Journeys::new(&read, chrono_tz::UTC, AS_OF).unwrap();
    let missing = factors::missing(&journeys, &Answers::new(&read).unwrap());
    assert_eq!(missing.map(|m| m.is_some()), [false, true, true, true, true, true]);
}

#[test]
fn facts_know_nothing_of_what_came_after_their_moment() {
    let tables = shop();
    let read = Tables::new(&tables).unwrap();
    let journeys = Journeys::new(&read, chrono_tz::UTC, AS_OF).unwrap();
    let answers = Answers::new(&read).unwrap();
    let at = [21 * DAY, 14 * DAY, 95 * DAY, NO_VALUE];
    let facts = facts(&read, &journeys, &answers, &at, true).unwrap();
    let of = |name: &str| facts.iter().find(|f| f.name == name).unwrap().values.clone();
    assert_eq!(of("days_late")[..3], [1.0, 0.0, 5.0]);
    assert_eq!(of("days_early")[..3], [0.0, 7.0, 0.0]);
    assert_eq!(of("not_delivered")[..3], [0.0, 0.0, 1.0]);
    assert_eq!(of("transit_days")[..2], [10.0, 2.0]);
    // The damage came to light a day after delivery, and the tickets later still.
    assert_eq!(of("damage")[..3], [0.0; 3]);
    assert_eq!(of("contacts")[..3], [0.0; 3]);
    // Still in customs two days after it came there.
    assert_eq!(of("customs_days")[..3], [0.0, 2.0, 0.0]);
    assert!(facts.iter().all(|fact| fact.values[3].is_nan()), "no moment, no facts");
}

/// [`shop`] with what is in its orders: a return names the second line of o2, another one no line of o1.
fn shop_of_articles() -> BTreeMap<&'static str, DataFrame> {
    let mut tables = shop();
    let orders = tables.get_mut("orders").unwrap();
    orders.with_column(Column::new("channel".into(), ["web", "app", "web", "web"])).unwrap();
    let lines = [("o1", "1", "hat"), ("o1", "2", "shoe"), ("o2", "1", "shoe"), ("o2", "2", "shoe"), ("o2", "3", "hat")];
    let lines = lines.into_iter().chain([("o3", "1", "hat"), ("gone", "1", "hat")]).collect::<Vec<_>>();
    let items = frame(vec![
        Column::new("order_id".into(), lines.iter().map(|l| l.0).collect::<Vec<_>>()),
        Column::new("line".into(), lines.iter().map(|l| l.1).collect::<Vec<_>>()),
        Column::new("sku".into(), lines.iter().map(|l| l.2).collect::<Vec<_>>()),
    ]);
    let returns = frame(vec![
        Column::new("return_id".into(), ["r1", "r2"]),
        Column::new("order_id".into(), ["o2", "o1"]),
        Column::new("line".into(), [Some("2"), None]),
        instants("requested_at", vec![Some(15 * DAY), Some(22 * DAY)]),
        Column::new("reason".into(), ["size", "damaged"]),
    ]);
    tables.extend([("order_items", items), ("returns", returns)]);
    tables
}

#[test]
fn articles_have_their_own_product_and_windows_end_with_the_clock() {
    let tables = shop_of_articles();
    let read = Tables::new(&tables).unwrap();
    let journeys = Journeys::new(&read, chrono_tz::UTC, AS_OF).unwrap();
    let points = factors::of_orders(&journeys, &Answers::new(&read).unwrap());
    let names = ["channel", "sku", "sku+channel", "category", "sku+category"].map(str::to_owned);
    let segments = split::segments(&read, &journeys, &names, 0).unwrap();
    let there: Vec<&str> = segments.iter().map(|segment| segment.name.as_str()).collect();
    assert_eq!(there, ["channel", "sku", "sku+channel"], "there is no category, and of the parts one alone");
    let grains = ["day", "week", "all", "trailing_7d", "trailing_30d"].map(str::to_owned);
    let counted = table::rows(&table::Orders {
        placed_day: &[10, 10, 80, 80],
        points: &points,
        segments: &segments,
        grains: &grains,
        weights: [1.0; K],
        zone: chrono_tz::UTC,
        as_of: AS_OF,
    });
    let counted = counted.unwrap();
    let text = |name: &str| counted.column(name).unwrap().str().unwrap().clone();
    let [grain, segment, place, kpi] = ["grain", "segment", "segment_value", "kpi"].map(text);
    let of = |asked: [&str; 4]| {
        let here = |at: &usize| [&grain, &segment, &place, &kpi].map(|c| c.get(*at).unwrap()) == asked;
        let rows: Vec<usize> = (0..counted.height()).filter(here).collect();
        let int = |name: &str, at: usize| counted.column(name).unwrap().i64().unwrap().get(at).unwrap();
        let value = |at: usize| counted.column("value").unwrap().f64().unwrap().get(at).unwrap();
        rows.into_iter().map(|at| (int("numerator", at), int("denominator", at), value(at))).collect::<Vec<_>>()
    };
    // o1 came damaged and went back: 0. o2 sent a shoe back: 50.
    assert_eq!(of(["all", "all", "all", "satisfaction_product"]), [(50, 2, 25.0)]);
    // The hats: of o1 damaged and, as far as is known, kept 50; of o2 100. The shoes: of o1 50; of o2, two lines and one
    // article, as described and returned 50. Within 1250 / 2 degrees of freedom = 625, between 16250 − 15625 − 625 = 0: both
    // are the mean of the four, 250 / 4.
    assert_eq!(of(["all", "sku", "hat", "satisfaction_product"]), [(150, 2, 62.5)]);
    assert_eq!(of(["all", "sku", "shoe", "satisfaction_product"]), [(100, 2, 62.5)]);
    assert_eq!(of(["all", "sku+channel", "hat+app", "satisfaction_product"])[0].1, 1);
    // Speed stays with every article of an order: 82 and 100, and the hat's third order 0; the mean of the five is 364 / 5.
    assert_eq!(of(["all", "sku", "hat", "satisfaction_speed"]), [(182, 3, 72.8)]);
    assert_eq!(of(["all", "sku", "shoe", "satisfaction_speed"]), [(182, 2, 72.8)]);
    // The clock stands at the midnight after day 99: thirty days begin with day 70, seven with day 93.
    assert_eq!(of(["trailing_30d", "all", "all", "satisfaction_speed"]), [(0, 1, 0.0)]);
    assert_eq!(of(["trailing_30d", "sku", "hat", "satisfaction_speed"]), [(0, 1, 0.0)]);
    assert_eq!(of(["trailing_30d", "channel", "web", "satisfaction_speed"]), [(0, 1, 0.0)]);
    assert!(grain.iter().flatten().all(|grain| grain != "trailing_7d"), "nothing was ordered in seven days");
    let of_grain = |grain: &str, name: &str| of([grain, name, "hat", "satisfaction_speed"]).len();
    assert_eq!([of_grain("week", "sku"), of_grain("day", "sku")], [0, 0], "articles have no weeks and days");
    assert_eq!(of(["week", "channel", "app", "satisfaction_speed"])[0].1, 1);
    let mature = counted.column("mature").unwrap().bool().unwrap();
    assert!((0..counted.height()).all(|at| grain.get(at) != Some("trailing_30d") || mature.get(at) == Some(false)));
    let starts = counted.column("period_start").unwrap().cast(&DataType::Int32).unwrap();
    let first = (0..counted.height()).find(|at| grain.get(*at) == Some("trailing_30d")).unwrap();
    assert_eq!(starts.i32().unwrap().get(first), Some(70));
}

#[test]
fn every_fact_has_words_of_its_own_in_both_languages() {
    let mut tables = shop();
    let orders = tables.get_mut("orders").unwrap();
    for name in ["paid_at", "approved_at", "promised_ship_at"] {
        orders.with_column(instants(name, vec![None; 4])).unwrap();
    }
    for name in ["units", "item_count", "shipping_fee", "tax_duty", "discount"] {
        orders.with_column(Column::new(name.into(), [1_i64; 4])).unwrap();
    }
    for name in ["seller_id", "carrier", "ship_country", "channel"] {
        orders.with_column(Column::new(name.into(), ["x"; 4])).unwrap();
    }
    let read = Tables::new(&tables).unwrap();
    let journeys = Journeys::new(&read, chrono_tz::UTC, AS_OF).unwrap();
    let facts = facts(&read, &journeys, &Answers::new(&read).unwrap(), &[AS_OF; 4], true).unwrap();
    let chinese: BTreeSet<&str> =
        facts.iter().map(|f| super::chinese::words(&f.name).unwrap_or_else(|| panic!("{}", f.name))).collect();
    let english: BTreeSet<&str> = facts.iter().map(|f| f.words.as_str()).collect();
    assert_eq!((facts.len(), chinese.len(), english.len()), (35, 35, 35));
}

fn points(values: [i32; 2]) -> Points {
    let of = |v: i32| u8::try_from(v).ok();
    [of(values[0]), of(values[1]), None, None, None, None]
}

fn cell(orders: &[[i32; 2]]) -> Cell {
    let mut cell = Cell::default();
    orders.iter().for_each(|o| cell.add(&points(*o)));
    cell
}

/// Two segments; −1 is a factor that an order does not have.
const LEFT: [[i32; 2]; 4] = [[80, 100], [60, 50], [100, -1], [80, 90]];
const RIGHT: [[i32; 2]; 3] = [[40, 60], [20, -1], [30, 40]];

fn two_segments() -> (Cell, Cell, Cell, Spread) {
    let (left, right) = (cell(&LEFT), cell(&RIGHT));
    let (mut whole, mut spread) = (left.clone(), Spread::default());
    whole.merge(&right);
    LEFT.iter().chain(&RIGHT).for_each(|o| spread.add(&points(*o)));
    (left, right, whole, spread)
}

#[test]
fn a_segment_is_drawn_toward_the_whole_by_the_share_of_chance_in_its_difference() {
    let (left, right, whole, spread) = two_segments();
    // First factor: means 80 of four and 30 of three, the whole 410/7. Within: 800 + 200 over 5 degrees of freedom = 200.
    // Between: groups' squares 25600 + 2700 − 410²/7 = 4285.714; less 200, over 7 − 25/7 = 24/7.
    let found: [Variance; K] = std::array::from_fn(|f| variance(f, [&left, &right].into_iter(), &spread));
    let close = |a: f64, b: f64| assert!((a - b).abs() < 1e-9, "{a} is not {b}");
    close(found[0].within, 200.0);
    close(found[0].between, (28_300.0 - 168_100.0 / 7.0 - 200.0) / (24.0 / 7.0));
    let weights = [3.0, 1.0, 1.0, 0.0, 0.0, 0.0];
    let of_left = index(&left, &whole, Some(&found), &spread, &weights);
    let b = found[0].between / (found[0].between + 50.0);
    close(of_left.factors[0].unwrap().value, 410.0 / 7.0 + b * (80.0 - 410.0 / 7.0));
    assert_eq!(of_left.factors[2], None);
    // The third factor is not there: its weight goes to the other two, three to one.
    let [first, second] = [0, 1].map(|f| of_left.factors[f].unwrap().value);
    close(of_left.index.unwrap().value, 0.75 * first + 0.25 * second);
    // The whole is its own mean.
    let of_whole = index(&whole, &whole, None, &spread, &weights);
    close(of_whole.factors[0].unwrap().value, 410.0 / 7.0);
    assert_eq!(index(&Cell::default(), &Cell::default(), None, &spread, &weights).index, None);
}

#[test]
fn a_segment_without_a_factor_takes_the_whole_s_and_is_less_sure_of_it() {
    let (left, right, whole, spread) = two_segments();
    let found: [Variance; K] = std::array::from_fn(|f| variance(f, [&left, &right].into_iter(), &spread));
    let empty = cell(&[[50, -1]]);
    let weights = [1.0; K];
    let of_empty = index(&empty, &whole, Some(&found), &spread, &weights).factors[1].unwrap();
    let of_whole = index(&whole, &whole, None, &spread, &weights).factors[1].unwrap();
    assert!((of_empty.value - of_whole.value).abs() < 1e-9 && of_empty.lower < of_whole.lower);
}

#[test]
fn the_interval_of_the_whole_index_is_that_of_a_mean_of_order_means() {
    // Every order has both factors, so that the index is the mean of one number an order, with its textbook interval.
    let orders = [[80, 100], [60, 50], [100, 90], [80, 90], [40, 60], [20, 30]];
    let (whole, mut spread) = (cell(&orders), Spread::default());
    orders.iter().for_each(|o| spread.add(&points(*o)));
    let found = index(&whole, &whole, None, &spread, &[0.5, 0.5, 0.0, 0.0, 0.0, 0.0]).index.unwrap();
    let each = orders.map(|o| f64::from(o[0] + o[1]) / 2.0);
    let mean = each.iter().sum::<f64>() / 6.0;
    let deviation = (each.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / 5.0).sqrt();
    assert!((found.value - mean).abs() < 1e-9);
    assert!((found.upper - (mean + 1.959_963_984_540_054 * deviation / 6f64.sqrt()).min(100.0)).abs() < 1e-9);
}

proptest! {
    #[test]
    fn cells_of_parts_merge_in_any_order_to_those_of_the_whole(
        orders in prop::collection::vec(prop::array::uniform2(-1..=100i32), 1..60),
        cut in 0..60usize,
    ) {
        let cut = cut.min(orders.len());
        let (mut left, mut right) = (cell(&orders[..cut]), cell(&orders[cut..]));
        let other = left.clone();
        left.merge(&right);
        right.merge(&other);
        prop_assert_eq!(&left, &cell(&orders));
        prop_assert_eq!(&right, &left);
    }
}
