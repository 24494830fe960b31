//! An example by hand for every kind, with the instants before and after which it is one.

mod chinese;
mod examples;

use super::*;
use crate::contract::input::{Kind as Column_, table};
use crate::types::time::{format_instant, parse_instant};
use examples::{Example, example};
use polars::prelude::*;

/// Settings of the examples: the defaults, with what is of high value said (500.00).
fn settings() -> Exceptions {
    Exceptions { high_value: Some(500.0), restricted_destinations: vec!["KP".to_owned()], ..Exceptions::default() }
}

/// `10T08` is 2026-01-10 08:00 UTC, `10T08:30+1` a microsecond after half past.
fn instant(text: &str) -> i64 {
    let (time, more) = text.split_once('+').unwrap_or((text, "0"));
    let (day, hour) = time.split_once('T').unwrap_or((time, "00"));
    let hour = if hour.contains(':') { hour.to_owned() } else { format!("{hour}:00") };
    parse_instant(&format!("2026-01-{day}T{hour}:00Z")).unwrap() + more.parse::<i64>().unwrap()
}

/// A table of the contract from a header and rows of words; `-` is null, `~` a blank in a text.
fn frame(name: &str, text: &str) -> DataFrame {
    let mut lines = text.lines().map(str::trim).filter(|l| !l.is_empty());
    let header: Vec<&str> = lines.next().unwrap().split_whitespace().collect();
    let rows: Vec<Vec<&str>> = lines.map(|line| line.split_whitespace().collect()).collect();
    assert!(rows.iter().all(|row| row.len() == header.len()), "{name}: {rows:?}");
    let column = |(at, column): (usize, &&str)| {
        let cells = || rows.iter().map(move |row| Some(row[at]).filter(|cell| *cell != "-"));
        match table(name).unwrap().kind_of(column).unwrap() {
            Column_::Instant => Column::new((*column).into(), cells().map(|c| c.map(instant)).collect::<Vec<_>>())
                .cast(&DataType::Datetime(TimeUnit::Microseconds, Some(TimeZone::UTC)))
                .unwrap(),
            Column_::Money | Column_::Count => {
                Column::new((*column).into(), cells().map(|c| c.map(|c| c.parse::<i64>().unwrap())).collect::<Vec<_>>())
            }
            _ => Column::new((*column).into(), cells().map(|c| c.map(|c| c.replace('~', " "))).collect::<Vec<_>>()),
        }
    };
    DataFrame::new_infer_height(header.iter().enumerate().map(column).collect()).unwrap()
}

fn tables(texts: &[(&'static str, &str)]) -> BTreeMap<&'static str, DataFrame> {
    texts.iter().map(|(name, text)| (*name, frame(name, text))).collect()
}

fn search(tables: &BTreeMap<&'static str, DataFrame>, settings: &Exceptions, as_of: &str) -> Found {
    search_in(Language::En, tables, settings, as_of)
}

fn search_in(
    language: Language,
    tables: &BTreeMap<&'static str, DataFrame>,
    settings: &Exceptions,
    as_of: &str,
) -> Found {
    let terms = Terms {
        as_of: instant(as_of),
        zone: chrono_tz::Europe::Berlin,
        currency: "EUR",
        exponent: 2,
        settings,
        inventory: &Inventory::default(),
        language,
    };
    find(tables, terms).unwrap()
}

/// Rows of a kind as `order since severity value detail`, in the order of work.
fn rows(found: &Found, kind: ExceptionKind) -> Vec<String> {
    let texts = |name: &str| found.exceptions.column(name).unwrap().str().unwrap().clone();
    let (orders, kinds, severities, details) = (texts("order_id"), texts("kind"), texts("severity"), texts("detail"));
    let since = found.exceptions.column("since").unwrap().to_physical_repr().i64().unwrap().clone();
    let values = found.exceptions.column("value_at_risk").unwrap().i64().unwrap().clone();
    (0..found.exceptions.height())
        .filter(|row| kinds.get(*row) == Some(kind.name()))
        .map(|row| {
            format!(
                "{} {} {} {}: {}",
                orders.get(row).unwrap_or("-"),
                format_instant(since.get(row).unwrap()).replace("2026-01-", "").replace(":00Z", ""),
                severities.get(row).unwrap(),
                values.get(row).unwrap(),
                details.get(row).unwrap()
            )
        })
        .collect()
}

#[test]
fn every_kind_begins_and_ends_where_its_example_says() {
    for kind in ExceptionKind::ALL {
        let Example { tables: texts, at } = example(kind);
        assert!(at.iter().any(|(_, expected)| !expected.is_empty()), "{} is never found", kind.name());
        let tables = tables(texts);
        for (as_of, expected) in at {
            let found = search(&tables, &settings(), as_of);
            assert!(found.counts.contains_key(kind.name()), "{}: {:?}", kind.name(), found.not_computable);
            assert_eq!(rows(&found, kind), *expected, "{} at {as_of}", kind.name());
            let without = Exceptions { without: vec![kind], ..settings() };
            let found = search(&tables, &without, as_of);
            assert_eq!(rows(&found, kind), Vec::<String>::new(), "{} is not wanted", kind.name());
            assert!(!found.counts.contains_key(kind.name()));
        }
    }
}

/// Sixty parcels from W1 to DE that waited 1 to 60 hours between their scan and the door, and two open ones: to DE on the
/// same lane, and to FR, where nothing has ever arrived.
fn lane_shop() -> BTreeMap<&'static str, DataFrame> {
    let mut orders =
        "order_id customer_id placed_at amount warehouse_id ship_country carrier shipped_at delivered_at\n".to_owned();
    let mut events = "order_id event occurred_at\n".to_owned();
    for hours in 1..=60 {
        orders += &format!("p{hours} c 01T08 1000 W1 DE dhl 02T00 {}\n", clock(3 * 24 + hours));
        events += &format!("p{hours} first_scan 03T00\n");
    }
    orders += "open c 01T08 1000 W1 DE dhl 02T00 -\nabroad c 01T08 1000 W1 FR dhl 02T00 -\n";
    events += "open first_scan 10T00\nabroad first_scan 10T00\n";
    tables(&[("orders", &orders), ("order_events", &events)])
}

/// Hours since the first of the month's eve as `03T05`.
fn clock(hours: i64) -> String {
    format!("{:02}T{:02}", hours / 24, hours % 24)
}

#[test]
fn a_parcel_is_held_against_its_own_lane_and_a_lane_without_parcels_borrows_from_a_wider_one() {
    let tables = lane_shop();
    // 95 % of sixty parcels are 57: the 57th shortest wait is 57 hours. Silent since the 10th at 00:00, that is the 12th
    // at 09:00.
    let at = |as_of: &str| rows(&search(&tables, &settings(), as_of), ExceptionKind::StuckInTransit);
    assert_eq!(at("12T09"), Vec::<String>::new());
    assert_eq!(
        at("12T09+1"),
        [
            "abroad 12T09:00 medium 1000: no news for 57 h since `first_scan` 2026-01-10 00:00 UTC; 95 % of 60 parcels \
             (narrower lanes have fewer than 50) took at most 57 h to the next",
            "open 12T09:00 medium 1000: no news for 57 h since `first_scan` 2026-01-10 00:00 UTC; 95 % of 60 parcels \
             from W1 to DE by dhl took at most 57 h to the next"
        ]
    );
    // Where a lane needs more parcels than there are, the setting stands in.
    let strict = Exceptions { lane_min_parcels: 61, stuck_in_transit: "3d".to_owned(), ..settings() };
    let found = search(&tables, &strict, "13T01");
    let rows = rows(&found, ExceptionKind::StuckInTransit);
    assert!(
        rows[0]
            .ends_with("fewer than 61 parcels to learn from, so the limit is `stuck_in_transit`, 3 days to the next"),
        "{rows:?}"
    );
}

#[test]
fn without_events_the_whole_road_is_held_against_the_lane() {
    let mut tables = lane_shop();
    tables.remove("order_events");
    // Shipped on the 2nd, 25 to 84 hours on the road: the 57th is 81 hours.
    let found = search(&tables, &settings(), "05T09+1");
    assert_eq!(
        rows(&found, ExceptionKind::StuckInTransit)[1],
        "open 05T09:00 medium 1000: shipped 2026-01-02 00:00 UTC, not delivered after 3.4 days; 95 % of 60 parcels \
         from W1 to DE by dhl took at most 3.4 days"
    );
    let missing: Vec<&str> = found.not_computable.iter().map(|(kind, _)| kind.as_str()).collect();
    assert!(missing.contains(&"no_carrier_scan") && missing.contains(&"stuck_in_customs"), "{missing:?}");
}

#[test]
fn silence_says_nothing_where_no_carrier_ever_spoke() {
    let orders = "order_id customer_id placed_at amount shipped_at\nA c 01T08 1000 02T00";
    let found = search(
        &tables(&[("orders", orders), ("order_events", "order_id event occurred_at\nA packed 01T20")]),
        &settings(),
        "20T00",
    );
    assert!(found.exceptions.height() == 0, "{}", found.exceptions);
    let why = found.not_computable.iter().find(|(kind, _)| kind == "no_carrier_scan").unwrap();
    assert_eq!(why.1, ["carrier scans among order_events.event"]);
}

#[test]
fn work_is_ordered_by_severity_then_value_then_age() {
    let orders = "order_id customer_id placed_at amount paid_at approved_at promised_ship_at shipped_at
        low      c 01T08 400   -     - -     -
        dear     c 02T08 60000 -     - -     -
        cheap    c 02T08 100   02T09 02T10 05T00 -
        dearer   c 02T08 900   02T09 02T10 05T00 -
        older    c 02T08 900   02T09 02T10 04T00 -";
    let found = search(&tables(&[("orders", orders)]), &settings(), "10T00");
    let order = found.exceptions.column("order_id").unwrap().str().unwrap().clone();
    assert_eq!(order.iter().flatten().collect::<Vec<_>>(), ["older", "dearer", "cheap", "dear", "low"]);
    let ranks = found.exceptions.column("rank").unwrap().i64().unwrap().clone();
    assert_eq!(ranks.iter().flatten().collect::<Vec<_>>(), [1, 2, 3, 4, 5]);
    let ages = found.exceptions.column("age_hours").unwrap().f64().unwrap().clone();
    assert_eq!(ages.get(0), Some(144.0));
}

#[test]
fn what_began_before_the_look_back_is_counted_and_not_listed() {
    let orders = "order_id customer_id placed_at amount paid_at
        A c 01T00 100 -
        B c 05T00 100 -";
    let settings = Exceptions { look_back: "5d".to_owned(), ..settings() };
    let found = search(&tables(&[("orders", orders)]), &settings, "10T00");
    assert_eq!(rows(&found, ExceptionKind::PaymentOverdue).len(), 1);
    assert_eq!(found.left_out, BTreeMap::from([("payment_overdue", 1)]));
}

#[test]
fn news_that_came_late_counts_from_when_it_happened_and_is_detected_when_it_came() {
    let orders = "order_id customer_id placed_at amount\nA c 01T08 1000";
    // Known at 23:30 UTC on the 11th, which is the 12th in Berlin.
    let events = "order_id event occurred_at known_at\nA exception_damage 10T08 11T23:30";
    let found = search(&tables(&[("orders", orders), ("order_events", events)]), &settings(), "12T08");
    let day = found.exceptions.column("detected_date").unwrap().cast(&DataType::String).unwrap();
    assert_eq!(day.str().unwrap().get(0), Some("2026-01-12"));
    assert_eq!(found.exceptions.column("age_hours").unwrap().f64().unwrap().get(0), Some(48.0));
}

#[test]
fn of_high_value_is_what_nineteen_of_twenty_recent_orders_do_not_reach_unless_it_is_said() {
    // Twenty orders of 1.00 to 20.00: 95 % of them do not exceed 19.00, so 19.01 is high and 19.00 is not.
    let mut orders = "order_id customer_id placed_at amount paid_at\n".to_owned();
    (1..=20).for_each(|n| orders += &format!("{n} c 01T00 {} -\n", n * 100));
    let settings = Exceptions { high_value: None, ..settings() };
    let rows = rows(&search(&tables(&[("orders", &orders)]), &settings, "03T00"), ExceptionKind::PaymentOverdue);
    assert!(rows[0].starts_with("20 02T00:00 medium 2000") && rows[1].starts_with("19 02T00:00 low 1900"), "{rows:?}");
}

#[test]
fn what_the_input_cannot_feed_is_named_with_what_is_missing() {
    let tables = tables(&[("orders", "order_id customer_id placed_at amount\nA c 01T08 1000")]);
    let found = search(&tables, &Exceptions::default(), "10T00");
    assert!(found.counts.is_empty() && found.inventory.is_none(), "{:?}", found.counts);
    let missing: BTreeMap<_, _> = found.not_computable.into_iter().collect();
    assert_eq!(missing.len(), ExceptionKind::ALL.len() + 1, "{missing:?}");
    assert_eq!(
        missing["destination_restricted"],
        ["orders.ship_country", "setting exceptions.restricted_destinations"]
    );
    assert_eq!(missing["damaged"], ["order_events.event or tickets.topic or returns.reason"]);
    assert_eq!(missing["inventory_position"], ["inventory.on_hand", "order_items.quantity", "orders.shipped_at"]);
}

#[test]
fn stock_is_held_against_open_demand_and_a_reorder_is_worked_out_by_hand() {
    // The first order lies in the fifth day before the clock: back from it 2, 0, 0, 4 and 2 hats a day. Ten were counted, 4
    // of them left since; 2 wait to be shipped. One order is not paid, one was called off.
    let orders = "order_id customer_id placed_at amount paid_at shipped_at cancelled_at cancelled_by
        A c 16T10 100 16T10 17T00 -     -
        B c 17T12 100 17T12 18T12 -     -
        C c 19T13 100 19T13 -     -     -
        D c 19T14 100 -     -     -     -
        E c 19T15 100 19T15 -     19T16 buyer";
    let items = "order_id line sku quantity
        A 1 hat 2
        B 1 hat 4
        C 1 hat 2
        D 1 hat 9
        E 1 hat 9
        C 2 shoe 1";
    let stock = "sku warehouse_id as_of on_hand\nhat - 17T12 10\nhat - 16T00 99\ncap - 09T11 5";
    let tables = tables(&[("orders", orders), ("order_items", items), ("inventory", stock)]);
    let found = search(&tables, &settings(), "20T12").inventory.unwrap();
    let ints = |name: &str| found.column(name).unwrap().i64().unwrap().iter().collect::<Vec<_>>();
    let floats = |name: &str| found.column(name).unwrap().f64().unwrap().iter().collect::<Vec<_>>();
    let skus: Vec<_> = found.column("sku").unwrap().str().unwrap().iter().flatten().collect::<Vec<_>>();
    // The cap was counted too long ago, and of the shoe there was never a count: what is available is not known.
    assert_eq!(skus, ["cap", "hat", "shoe"]);
    assert_eq!(ints("on_hand"), [Some(5), Some(10), None]);
    assert_eq!(ints("shipped_since"), [Some(0), Some(4), None]);
    assert_eq!(ints("open_demand"), [Some(0), Some(2), Some(1)]);
    assert_eq!(ints("available"), [None, Some(4), None]);
    assert_eq!(ints("demand_days"), [Some(5); 3]);
    assert_eq!(floats("daily_demand"), [Some(0.0), Some(1.6), Some(0.2)]);
    assert_eq!(floats("days_of_cover"), [None, Some(2.5), None]);
    // Daily units 2, 0, 0, 4, 2: mean 1.6, variance (0.16 + 2.56 + 2.56 + 5.76 + 0.16) / 4 = 2.8. Over 14 days
    // 1.6 · 14 + 1.644854 · √2.8 · √14 = 22.4 + 10.2984 = 32.6984; 4 are there.
    let point = floats("reorder_point")[1].unwrap();
    assert!((point - 32.698_4).abs() < 1e-4, "{point}");
    assert_eq!(ints("reorder_units"), [None, Some(29), None]);
}
