//! Windows, limits and changes by hand.

use super::*;
use crate::config::{Direction, TargetPack, Window};
use crate::kpi::catalogue::{Terms, catalogue};
use crate::types::time::{days_since_epoch, parse_instant};
use polars::prelude::*;
use proptest::prelude::*;

fn target(kpi: &str, op: Direction, value: f64, window: Window) -> Target {
    Target {
        kpi: kpi.to_owned(),
        op,
        value,
        window,
        required: true,
        level: None,
        tolerated: 0,
        source: None,
        checked: None,
        note: None,
    }
}

fn held(channel: Option<&str>, targets: Vec<Target>) -> HeldPack {
    HeldPack {
        channel: channel.map(str::to_owned),
        name: "mine".to_owned(),
        pack: TargetPack {
            version: "1".to_owned(),
            source: "us".to_owned(),
            channel: None,
            targets,
            text: String::new(),
        },
    }
}

/// Grain, first day, channel (none: the whole), KPI, above, below.
type Row<'a> = (&'a str, &'a str, Option<&'a str>, &'a str, i64, i64);

fn counted(rows: &[Row<'_>]) -> DataFrame {
    let text = |name: &str, pick: &dyn Fn(&Row<'_>) -> String| {
        Column::new(name.into(), rows.iter().map(pick).collect::<Vec<String>>())
    };
    let starts = rows.iter().map(|r| days_since_epoch(r.1.parse().unwrap())).collect::<Vec<_>>();
    let columns = vec![
        text("grain", &|r| r.0.to_owned()),
        Column::new("period_start".into(), starts).cast(&DataType::Date).unwrap(),
        text("segment", &|r| if r.2.is_some() { "channel" } else { "all" }.to_owned()),
        text("segment_value", &|r| r.2.unwrap_or("all").to_owned()),
        text("kpi", &|r| r.3.to_owned()),
        Column::new("numerator".into(), rows.iter().map(|r| r.4).collect::<Vec<_>>()),
        Column::new("denominator".into(), rows.iter().map(|r| r.5).collect::<Vec<_>>()),
        Column::new("value".into(), rows.iter().map(|r| r.4 as f64 / r.5 as f64).collect::<Vec<_>>()),
    ];
    DataFrame::new(rows.len(), columns).unwrap()
}

fn card(held: &[HeldPack], rows: &[Row<'_>], as_of: &str, missing: &[(&str, &str)]) -> Scorecard {
    let zone = "Europe/Berlin".parse().unwrap();
    let as_of = parse_instant(as_of).unwrap();
    let clock = Clock { as_of, zone, base_exponent: 2 };
    let measures = catalogue(&Terms { as_of, zone, return_window: 0 });
    let counted = Counted {
        frame: counted(rows),
        computed: Vec::new(),
        not_computable: missing.iter().map(|(id, what)| ((*id).to_owned(), vec![(*what).to_owned()])).collect(),
        missed: Vec::new(),
    };
    score(held, &[Measured { counted: &counted, measures: &measures }], clock).unwrap()
}

/// The named columns of a scorecard, one text a row.
fn shown(card: &Scorecard, columns: &[&str]) -> Vec<String> {
    let cell = |column: &Column, at: usize| match column.get(at).unwrap() {
        AnyValue::Null => "-".to_owned(),
        AnyValue::Float64(v) => format!("{v:.4}"),
        AnyValue::Date(day) => crate::types::time::date_of(day).unwrap().to_string(),
        other => other.str_value().into_owned(),
    };
    (0..card.frame.height())
        .map(|at| columns.iter().map(|c| cell(card.frame.column(c).unwrap(), at)).collect::<Vec<_>>().join(" "))
        .collect()
}

#[test]
fn defects_until_the_limit_are_exact() {
    use Direction::{Above, AtLeast, AtMost, Below};
    for (op, value, hits, trials, left) in [
        // 1 % of 1,000 is 10: below it are 9.
        (Below, 0.01, 0, 1_000, 9),
        (AtMost, 0.01, 0, 1_000, 10),
        (Below, 0.01, 10, 1_000, -1),
        // 0.035 · 2,000 is 70.00000000000001 in floating point.
        (Below, 0.035, 69, 2_000, 0),
        (Below, 0.035, 70, 2_000, -1),
        (AtMost, 0.035, 70, 2_000, 0),
        (AtMost, 0.029, 29, 1_000, 0),
        // Of 100 deliveries 90 must be on time: of 91 one may still turn out late.
        (AtLeast, 0.9, 90, 100, 0),
        (AtLeast, 0.9, 91, 100, 1),
        (AtLeast, 0.95, 0, 3, -3),
        (AtLeast, 1.0, 5, 5, 0),
        (Above, 0.5, 6, 10, 0),
        (Above, 0.5, 5, 10, -1),
        (AtMost, 1.0, 4, 10, 6),
        (AtMost, 0.0, 0, 10, 0),
    ] {
        let target = target("x", op, value, Window::Month);
        assert_eq!(room(&target, hits, trials), Some(left), "{hits} of {trials} {op:?} {value}");
        let as_published = op.breached(hits as f64 / trials as f64, value);
        assert_eq!(limit::breached(&target, hits, trials), as_published, "{hits} of {trials} {op:?} {value}");
    }
    assert_eq!(room(&target("x", Below, 0.01, Window::Month), 0, 0), None);
}

#[test]
fn tolerated_defects_are_no_breach_whatever_the_rate() {
    let target = Target { tolerated: 4, ..target("x", Direction::AtMost, 0.02, Window::Month) };
    let left = |hits, trials| (room(&target, hits, trials), limit::breached(&target, hits, trials));
    assert_eq!(left(3, 10), (Some(1), false));
    assert_eq!(left(4, 10), (Some(0), false));
    assert_eq!(left(5, 10), (Some(-1), true));
    // 2 % of 1,000 are 20, which is more than is tolerated anyway.
    assert_eq!(left(3, 1_000), (Some(17), false));
}

proptest! {
    #[test]
    fn one_more_defect_than_the_room_misses_the_target_and_the_room_does_not(
        thousandths in 0_i64..=1_000, trials in 1_i64..500, share in 0.0_f64..=1.0, op in 0_usize..4, tolerated in 0_i64..6,
    ) {
        let op = [Direction::Below, Direction::AtMost, Direction::Above, Direction::AtLeast][op];
        let hits = (share * trials as f64) as i64;
        let target = Target { tolerated, ..target("x", op, thousandths as f64 / 1000.0, Window::Month) };
        // By counting: with d more defects the cases above the line are more (ceiling) or fewer (floor).
        let meets = |d: i64| {
            let (above, defects) = if op.is_ceiling() { (hits + d, hits + d) } else { (hits - d, trials - hits + d) };
            let (left, right) = (above * 1000, thousandths * trials);
            let rate = match op {
                Direction::Below => left < right,
                Direction::AtMost => left <= right,
                Direction::Above => left > right,
                Direction::AtLeast => left >= right,
            };
            rate || defects <= tolerated.min(trials)
        };
        let found = room(&target, hits, trials).unwrap();
        prop_assert!(meets(found) || found < -trials, "{found}");
        prop_assert!(!meets(found + 1), "{found}");
    }
}

#[test]
fn a_change_has_newcombes_interval() {
    // Newcombe 1998, table II, contrast (a), method 10: 56/70 less 48/80 is 0.2, from 0.0524 to 0.3339.
    let (low, high) = limit::difference((56, 70), (48, 80)).unwrap();
    assert!((low - 0.0524).abs() < 5e-5 && (high - 0.3339).abs() < 5e-5, "{low} {high}");
    // Contrast (h): 10/10 less 0/10 is 1, from 0.6075 to 1.
    let (low, high) = limit::difference((10, 10), (0, 10)).unwrap();
    assert!((low - 0.6075).abs() < 5e-5 && (high - 1.0).abs() < 1e-12, "{low} {high}");
    assert_eq!(limit::difference((0, 0), (1, 2)), None);
    assert_eq!(trend((0.01, 0.02), Direction::Below), Trend::Worse);
    assert_eq!(trend((0.01, 0.02), Direction::AtLeast), Trend::Better);
    assert_eq!(trend((-0.02, -0.01), Direction::AtLeast), Trend::Worse);
    assert_eq!(trend((-0.01, 0.02), Direction::Below), Trend::NoClearChange);
}

#[test]
fn a_trailing_window_ends_with_the_day_of_the_clock_and_is_held_again_over_the_latest_mature_days() {
    let rows = [
        // Days by the promised day of delivery; the KPI matures seven days later.
        ("day", "2024-05-03", Some("amazon"), "on_time_delivery_rate", 10, 10),
        ("day", "2024-05-10", Some("amazon"), "on_time_delivery_rate", 90, 100),
        ("day", "2024-05-11", Some("amazon"), "on_time_delivery_rate", 50, 60),
        ("day", "2024-05-24", Some("amazon"), "on_time_delivery_rate", 40, 40),
        ("day", "2024-05-31", Some("amazon"), "on_time_delivery_rate", 8, 10),
        ("day", "2024-05-31", Some("ebay"), "on_time_delivery_rate", 1, 10),
        ("day", "2024-05-31", None, "on_time_delivery_rate", 9, 20),
    ];
    let pack =
        held(Some("amazon"), vec![target("on_time_delivery_rate", Direction::AtLeast, 0.9, Window::Trailing(14))]);
    // Midnight in Berlin: the 31st has just ended.
    let card = card(&[pack], &rows, "2024-05-31T22:00:00Z", &[]);
    let columns = [
        "period_start",
        "period_end",
        "numerator",
        "denominator",
        "breach",
        "room",
        "before_numerator",
        "before_denominator",
        "mature",
    ];
    assert_eq!(
        shown(&card, &columns),
        [
            // The 18th to the 31st: 48 of 50; 45 would do. Before it, the 4th to the 17th: 140 of 160.
            "2024-05-18 2024-05-31 48 50 false 3 140 160 false",
            // The 11th to the 24th: 90 of 100 meets 90 % exactly. Before it, from 27 April on: 100 of 110.
            "2024-05-11 2024-05-24 90 100 false 0 100 110 true",
        ]
    );
    assert_eq!(shown(&card, &["trend", "change"]), ["- 0.0850", "no_clear_change -0.0091"]);
    assert!(card.missed.is_empty() && card.beyond_so_far.is_empty());
}

#[test]
fn a_missed_target_says_by_how_many_and_an_aim_never_counts() {
    let rows = [
        ("month", "2024-03-01", None, "late_shipment_rate", 10, 1_000),
        ("month", "2024-04-01", None, "late_shipment_rate", 80, 1_000),
        ("month", "2024-05-01", None, "late_shipment_rate", 90, 1_000),
    ];
    let strict = target("late_shipment_rate", Direction::Below, 0.04, Window::Month);
    let aim = Target { required: false, level: Some("top rated".to_owned()), ..strict.clone() };
    // In the middle of May: April is the latest whole month.
    let card = card(&[held(None, vec![strict, aim])], &rows, "2024-05-15T10:00:00Z", &[]);
    let columns = ["level", "period_start", "value", "room", "trend", "mature"];
    let expected = ["2024-05-01 0.0900 -51 no_clear_change false", "2024-04-01 0.0800 -41 worse true"];
    let expected: Vec<String> =
        ["-", "top rated"].iter().flat_map(|level| expected.iter().map(move |row| format!("{level} {row}"))).collect();
    assert_eq!(shown(&card, &columns), expected);
    assert_eq!(
        card.missed,
        [Missed {
            channel: None,
            pack: "mine".to_owned(),
            kpi: "late_shipment_rate".to_owned(),
            window: "month".to_owned(),
            until: "2024-04-30".to_owned(),
            value: 0.08,
            op: "<",
            target: 0.04,
            too_many: Some(41),
            denominator: Some(1_000),
        }]
    );
    assert_eq!(card.beyond_so_far.len(), 1);
}

#[test]
fn an_evaluation_period_takes_a_year_where_three_months_hold_too_few_cases() {
    let month = |month: u32, below| -> (String, i64) { (format!("2024-{month:02}-01"), below) };
    let months: Vec<(String, i64)> = (1..=6).map(|n| month(n, 100)).collect();
    let rows: Vec<Row<'_>> =
        months.iter().map(|(first, below)| ("month", first.as_str(), None, "cancel_rate", 1, *below)).collect();
    let period = |enough| {
        let window = Window::Months { months: 3, enough, otherwise: 12 };
        let pack = held(None, vec![target("cancel_rate", Direction::AtMost, 0.02, window)]);
        // A week into July: June has had the seven days in which cancellations come.
        let card = card(&[pack], &rows, "2024-07-08T00:00:00Z", &[]);
        shown(&card, &["window", "period_start", "period_end", "numerator", "denominator", "mature"])
    };
    assert_eq!(period(300), ["months_3 2024-04-01 2024-06-30 3 300 true"]);
    assert_eq!(period(301), ["months_12 2023-07-01 2024-06-30 6 600 true"]);
}

#[test]
fn what_cannot_be_held_says_why() {
    let rows = [
        ("month", "2024-04-01", Some("web"), "orders", 5, 1),
        ("day", "2024-04-01", Some("web"), "cancel_rate", 0, 5),
        ("month", "2024-04-01", Some("app"), "cancel_rate", 0, 5),
    ];
    let targets = || {
        ["order_defect_rate", "no_such_rate", "cancel_rate", "late_shipment_rate"]
            .map(|kpi| target(kpi, Direction::Below, 0.01, Window::Trailing(30)))
            .to_vec()
    };
    let missing = [("order_defect_rate", "feedback.score or tickets.kind")];
    let reasons = |channel| {
        let card = card(&[held(channel, targets())], &rows, "2024-05-15T10:00:00Z", &missing);
        assert!(card.missed.is_empty());
        shown(&card, &["breach", "null_reason"])
    };
    let [odr, none] = [
        "- `order_defect_rate` cannot be computed: missing feedback.score or tickets.kind",
        "- there is no KPI of this name",
    ];
    let not_there = "- no order came by channel `shop`; there are: app, web";
    assert_eq!(reasons(Some("shop")), [odr, none, not_there, not_there]);
    let rest = ["- nothing to count for `late_shipment_rate`"];
    let nothing = ["- nothing to count in 2024-04-16 to 2024-05-15", "- nothing to count in 2024-04-08 to 2024-05-07"];
    assert_eq!(reasons(Some("web")), [&[odr, none][..], &nothing, &rest].concat());
    // Days are what a trailing window is made of.
    let no_days = "- `day` is not among `kpi.grains`, and the window is made of it";
    assert_eq!(reasons(Some("app")), [&[odr, none][..], &[no_days; 2], &rest].concat());
}
