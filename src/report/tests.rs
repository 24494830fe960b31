//! Whole reports over small outputs, published as a run publishes them.

use super::*;
use crate::contract::output::output;
use crate::publish::Publisher;
use crate::query::answer;
use polars::prelude::*;
use std::collections::BTreeMap;

fn text(name: &str, values: &[Option<&str>]) -> Column {
    Series::new(name.into(), values).into_column()
}

fn instants(name: &str, days: &[i32]) -> Column {
    let micros = days.iter().map(|day| i64::from(*day) * 86_400_000_000).collect();
    Int64Chunked::from_vec(name.into(), micros)
        .into_datetime(TimeUnit::Microseconds, Some(TimeZone::UTC))
        .into_series()
        .into_column()
}

fn days(name: &str, days: &[i32]) -> Column {
    Int32Chunked::from_slice(name.into(), days).into_date().into_series().into_column()
}

fn lists(name: &str, values: &[&[&str]]) -> Column {
    let lists: Vec<Series> = values.iter().map(|v| Series::new("".into(), *v)).collect();
    Series::new(name.into(), lists).into_column()
}

/// Rows of `kpi`: id, unit, month's first day, segment value, hits, trials, target, whether more is better, mature.
type KpiLine<'a> = (&'a str, &'a str, i32, Option<&'a str>, i64, i64, Option<f64>, bool, bool);

fn kpi(lines: &[KpiLine<'_>]) -> DataFrame {
    let interval = |l: &KpiLine<'_>| (l.1 == "share").then(|| crate::types::interval::wilson95(l.4, l.5)).flatten();
    let value = |l: &KpiLine<'_>| if matches!(l.1, "count" | "money") { l.4 as f64 } else { l.4 as f64 / l.5 as f64 };
    let of = |f: &dyn Fn(&KpiLine<'_>) -> Option<f64>| lines.iter().map(f).collect::<Vec<_>>();
    let starts: Vec<i32> = lines.iter().map(|l| l.2).collect();
    let breach: Vec<Option<bool>> =
        lines.iter().map(|l| l.6.map(|t| if l.7 { value(l) < t } else { value(l) > t })).collect();
    let columns = vec![
        Series::new("grain".into(), vec!["month"; lines.len()]).into_column(),
        days("period_start", &starts),
        Series::new("basis".into(), vec!["placed_at"; lines.len()]).into_column(),
        Series::new("segment".into(), lines.iter().map(|l| l.3.map_or("all", |_| "carrier")).collect::<Vec<_>>())
            .into_column(),
        Series::new("segment_value".into(), lines.iter().map(|l| l.3.unwrap_or("all")).collect::<Vec<_>>())
            .into_column(),
        Series::new("kpi".into(), lines.iter().map(|l| l.0).collect::<Vec<_>>()).into_column(),
        Series::new("numerator".into(), lines.iter().map(|l| l.4).collect::<Vec<_>>()).into_column(),
        Series::new(
            "denominator".into(),
            lines.iter().map(|l| (!matches!(l.1, "count" | "money")).then_some(l.5)).collect::<Vec<_>>(),
        )
        .into_column(),
        Series::new("value".into(), of(&|l| Some(value(l)))).into_column(),
        Series::new("lower".into(), of(&|l| interval(l).map(|i| i.0))).into_column(),
        Series::new("upper".into(), of(&|l| interval(l).map(|i| i.1))).into_column(),
        Series::new("unit".into(), lines.iter().map(|l| l.1).collect::<Vec<_>>()).into_column(),
        Series::new("target".into(), of(&|l| l.6)).into_column(),
        Series::new("breach".into(), breach).into_column(),
        Series::new("mature".into(), lines.iter().map(|l| l.8).collect::<Vec<_>>()).into_column(),
        Series::new("targets_version".into(), lines.iter().map(|l| l.6.map(|_| "2024-09-25")).collect::<Vec<_>>())
            .into_column(),
    ];
    DataFrame::new(lines.len(), columns).unwrap()
}

/// First days of March to June 2018.
const MONTHS: [i32; 4] = [17_591, 17_622, 17_652, 17_683];

/// A name that would break out of the page if it could.
const EVIL: &str = "<script>alert('x')</script> & \"co\"";

fn shop_kpis(months: &[i32]) -> DataFrame {
    let mut lines: Vec<KpiLine<'_>> = Vec::new();
    for (n, month) in months.iter().enumerate() {
        let (m, n) = (*month, n as i64);
        let mature = n < 3;
        lines.push(("orders", "count", m, None, 5_100 + 900 * n, 0, None, true, mature));
        lines.push(("gross_sales", "money", m, None, 612_345 + 81_000 * n, 0, None, true, mature));
        lines.push(("on_time_delivery_rate", "share", m, None, 4_600 - 60 * n, 5_000, Some(0.9), true, mature));
        lines.push(("late_shipment_rate", "share", m, None, 150 + 20 * n, 5_000, Some(0.04), false, mature));
        lines.push(("order_defect_rate", "share", m, None, 30 + n, 5_000, Some(0.01), false, n < 1));
        lines.push(("return_rate_orders", "share", m, None, 400 - 9 * n, 4_800, None, false, n < 2));
        lines.push(("click_to_door_p50", "hours", m, None, 980_000 + 31_000 * n, 4_900, None, false, mature));
        for (carrier, hits, trials) in [
            (EVIL, 600, 1_000),
            ("a very long carrier name, by road and rail, of the north-western provinces", 3_990, 4_000),
            ("rare", 1, 7),
        ] {
            lines.push(("on_time_delivery_rate", "share", m, Some(carrier), hits, trials, None, true, mature));
        }
    }
    kpi(&lines)
}

fn stars(months: &[i32]) -> DataFrame {
    let lines: Vec<KpiLine<'_>> = months
        .iter()
        .zip(0..)
        .map(|(m, n)| ("star_mean", "stars", *m, None, 9_300 - 50 * n, 2_300, None, true, true))
        .collect();
    kpi(&lines)
}

fn scores(days_back: i32) -> DataFrame {
    let n = 40 * days_back as usize;
    let of = |i: usize| 17_683 - (i as i32 % days_back);
    let placed: Vec<i32> = (0..n).map(of).collect();
    let fraud = |i: usize| ((i * 7_919) % 997) as f64 / 997.0;
    let flagged = |i: usize| fraud(i).powi(6) > 0.6;
    let columns = vec![
        Series::new("order_id".into(), (0..n).map(|i| format!("o{i:05}")).collect::<Vec<_>>()).into_column(),
        instants("placed_at", &placed),
        days("placed_date", &placed),
        Series::new("amount".into(), (0..n).map(|i| 1_000 + (i as i64 * 37) % 90_000).collect::<Vec<_>>())
            .into_column(),
        Series::new("fraud_probability".into(), (0..n).map(|i| fraud(i).powi(6)).collect::<Vec<_>>()).into_column(),
        Series::new("fraud_flag".into(), (0..n).map(flagged).collect::<Vec<_>>()).into_column(),
        text("fraud_null_reason", &vec![None; n]),
        text("fraud_model", &vec![Some("fraud-logistic-0003"); n]),
        Series::new("return_probability".into(), vec![None::<f64>; n]).into_column(),
        Series::new("return_flag".into(), vec![None::<bool>; n]).into_column(),
        text("return_null_reason", &vec![Some("no labels: table `returns` is not supplied"); n]),
        text("return_model", &vec![None; n]),
        Series::new(
            "action".into(),
            (0..n)
                .map(|i| {
                    if flagged(i) {
                        "hold"
                    } else if i % 11 == 0 {
                        "review"
                    } else {
                        "approve"
                    }
                })
                .collect::<Vec<_>>(),
        )
        .into_column(),
        Series::new("expected_loss".into(), (0..n).map(|i| (fraud(i).powi(6) * 9_000.0) as i64).collect::<Vec<_>>())
            .into_column(),
    ];
    DataFrame::new(n, columns).unwrap()
}

fn queue() -> DataFrame {
    let n = 18;
    let reasons: Vec<&[&str]> = (0..n)
        .map(|i| match i % 3 {
            0 => &["amount is 6.2 times the customer's usual", "first order from this device", EVIL][..],
            1 => &["ship country differs from the payment country"][..],
            _ => &[][..],
        })
        .collect();
    let rules: Vec<&[&str]> =
        (0..n).map(|i| if i % 2 == 0 { &["velocity_device_1h", "billing_differs"][..] } else { &[][..] }).collect();
    let columns = vec![
        days("queue_date", &vec![17_683; n]),
        Series::new("rank".into(), (1..=n as i64).collect::<Vec<_>>()).into_column(),
        Series::new(
            "order_id".into(),
            (0..n).map(|i| format!("{i:02}e481f51cbdc54678b7cc49136f2d6af7")).collect::<Vec<_>>(),
        )
        .into_column(),
        text("customer_id", &vec![Some("c1"); n]),
        instants("placed_at", &vec![17_683; n]),
        Series::new("amount".into(), (0..n).map(|i| 912_345 - 1_111 * i as i64).collect::<Vec<_>>()).into_column(),
        text("action", &(0..n).map(|i| Some(if i < 4 { "hold" } else { "review" })).collect::<Vec<_>>()),
        Series::new("priority".into(), vec![1.0; n]).into_column(),
        Series::new(
            "fraud_probability".into(),
            (0..n).map(|i| (i % 5 != 4).then_some(0.93 - 0.04 * i as f64)).collect::<Vec<_>>(),
        )
        .into_column(),
        Series::new("expected_loss".into(), (0..n).map(|i| 640_000 - 21_000 * i as i64).collect::<Vec<_>>())
            .into_column(),
        lists("reasons", &reasons),
        lists("rule_hits", &rules),
    ];
    DataFrame::new(n, columns).unwrap()
}

fn quarantine() -> DataFrame {
    let n = 5;
    let reason = ["not_a_date", "not_a_date", "negative", "orphan", "not_money"];
    let columns = vec![
        text("source", &[Some("raw_orders"), Some("raw_orders"), Some("raw_orders"), Some("it's"), None]),
        text("file", &[Some("orders.csv"); 5]),
        Series::new("row".into(), [4_118_i64, 12, 7, 0, 3]).into_column(),
        text("table", &[Some("orders"), None, Some("orders"), Some("returns"), None]),
        text("column", &[Some("shipped_at"), Some("shipped_at"), Some("amount"), None, Some("amount")]),
        text("reason", &reason.map(Some)),
        text(
            "detail",
            &[
                Some("`31/02/2024` is not a date (format `%d/%m/%Y`)"),
                Some("`soon` is not a date"),
                Some("-3.00"),
                None,
                Some(EVIL),
            ],
        ),
        text("hint", &[Some("add the format to `formats` of the column, or correct the export"); 5]),
        text("order_id", &[None; 5]),
        text("raw_record", &[Some("{\"order_id\":\"o1\",\"email\":\"***\",\"shipped_at\":\"31/02/2024\"}"); 5]),
        text("run_id", &[Some("r"); 5]),
    ];
    DataFrame::new(n, columns).unwrap()
}

fn exceptions() -> DataFrame {
    let n = 17;
    let columns = vec![
        days("detected_date", &vec![17_690; n]),
        Series::new("rank".into(), (1..=n as i64).collect::<Vec<_>>()).into_column(),
        text("order_id", &(0..n).map(|i| Some(if i == 1 { EVIL } else { "o1" })).collect::<Vec<_>>()),
        text("kind", &(0..n).map(|i| Some(if i < 5 { "lost" } else { "stuck_in_customs" })).collect::<Vec<_>>()),
        text("reference", &vec![None; n]),
        instants("since", &vec![17_690; n]),
        Series::new("age_hours".into(), vec![240.0; n]).into_column(),
        text("severity", &(0..n).map(|i| Some(if i < 2 { "critical" } else { "high" })).collect::<Vec<_>>()),
        Series::new("value_at_risk".into(), vec![12_345_i64; n]).into_column(),
        text("detail", &vec![Some("no news for 10 days since `first_scan` <b>"); n]),
        text("suggested_action", &vec![Some("open a search with the carrier"); n]),
        text("carrier", &vec![Some("dhl"); n]),
    ];
    DataFrame::new(n, columns).unwrap()
}

/// Name, then rows read, accepted, quarantined and superseded.
type TallyLine<'a> = (&'a str, i64, i64, i64, i64);

fn tallies(name: &str, rows: &[TallyLine<'_>]) -> Column {
    let number = |name: &str, f: &dyn Fn(&TallyLine<'_>) -> i64| {
        Series::new(name.into(), rows.iter().map(f).collect::<Vec<_>>())
    };
    let parts = [
        Series::new("name".into(), rows.iter().map(|r| r.0).collect::<Vec<_>>()),
        number("read", &|r| r.1),
        number("accepted", &|r| r.2),
        number("quarantined", &|r| r.3),
        number("superseded", &|r| r.4),
    ];
    let rows = StructChunked::from_series("".into(), rows.len(), parts.iter()).unwrap().into_series();
    Series::new(name.into(), [rows]).into_column()
}

fn run(read: i64) -> DataFrame {
    let stages = [Series::new("stage".into(), ["ingest", "kpi"]), Series::new("seconds".into(), [3.21, 0.4])];
    let stages = StructChunked::from_series("".into(), 2, stages.iter()).unwrap().into_series();
    let columns = vec![
        text("run_id", &[Some("3f9c2a71d0b84e55")]),
        text("pipeline", &[Some("North & South")]),
        instants("as_of", &[17_700]),
        instants("started_at", &[20_000]),
        Series::new("seconds".into(), [4.7]).into_column(),
        Series::new("peak_memory_mib".into(), [412.0]).into_column(),
        Series::new("orders".into(), [24_600_i64]).into_column(),
        Series::new("quarantined_rows".into(), [5_i64]).into_column(),
        Series::new("rows_read".into(), [read]).into_column(),
        Series::new("rows_accepted".into(), [24_600_i64]).into_column(),
        Series::new("rows_superseded".into(), [95_i64]).into_column(),
        text("currency", &[Some("BRL")]),
        text("version", &[Some("0.1.0")]),
        Series::new("stages".into(), [stages]).into_column(),
        tallies("sources", &[("raw_orders", 20_000, 19_900, 5, 95), ("raw_feedback", 4_700, 4_700, 0, 0)]),
        tallies("tables", &[("orders", 20_000, 19_900, 5, 95)]),
    ];
    DataFrame::new(1, columns).unwrap()
}

fn publish(out: &Path, frames: &[(&str, DataFrame)]) {
    let publisher = Publisher::open(out).unwrap();
    let mut staging = publisher.begin("3f9c2a71d0b84e55", BTreeMap::new()).unwrap();
    for (name, frame) in frames {
        staging.write(output(name).unwrap(), frame).unwrap();
    }
    staging.commit().unwrap();
}

fn whole_shop() -> Vec<(&'static str, DataFrame)> {
    vec![
        ("runs", run(24_700)),
        ("kpi", shop_kpis(&MONTHS)),
        ("satisfaction", stars(&MONTHS)),
        ("order_scores", scores(75)),
        ("review_queue", queue()),
        ("quarantine", quarantine()),
        ("exceptions", exceptions()),
    ]
}

fn written(out: &Path) -> String {
    let html = fs::read_to_string(write(out).unwrap()).unwrap();
    // Every opened element is closed: the page is small enough for that to be a test of it.
    for tag in [
        "section", "table", "tr", "td", "th", "svg", "g", "figure", "div", "details", "p", "ul", "article", "b",
        "span", "code",
    ] {
        let opened = html.matches(&format!("<{tag}>")).count() + html.matches(&format!("<{tag} ")).count();
        assert_eq!(opened, html.matches(&format!("</{tag}>")).count(), "<{tag}>");
    }
    assert!(!html.contains("NaN") && !html.contains("Some("));
    html
}

#[test]
fn the_report_tells_what_was_published() {
    let out = tempfile::tempdir().unwrap();
    publish(out.path(), &whole_shop());
    let html = written(out.path());
    for expected in [
        "<h1>North &amp; South</h1>",
        "as of <b>2018-06-18\u{a0}00:00 UTC</b>",
        "24,600 accepted + 5 quarantined + 95 superseded",
        "<b>On-time delivery rate</b></td><td>May 2018</td><td class=\"n\"><b class=\"bad\">89.6\u{a0}%</b></td>\
             <td class=\"n\">≥\u{a0}90.0\u{a0}%</td>",
        "The first 15 of 18\u{a0}orders",
        "9,123.45\u{a0}BRL",
        "<li>first order from this device</li>",
        "<span class=\"rule\">velocity device 1h</span>",
        "Mar 2018 to May 2018",
        "17\u{a0}open exceptions at the run&#39;s clock",
        "<b>lost</b></td><td class=\"n\">5</td><td class=\"n\"><b class=\"bad\">2</b></td><td class=\"n\">3</td>\
             <td class=\"n\">617.25\u{a0}BRL</td><td class=\"n\">10.0\u{a0}days</td>",
        "since <code>first_scan</code> &lt;b&gt;<br><span class=\"small\">open a search with the carrier</span>",
        "The first 15 of 17. All of them are in <code>exceptions</code>",
        "&lt;script&gt;alert(&#39;x&#39;)&lt;/script&gt; &amp; &quot;co&quot;",
        "no labels: table <code>returns</code> is not supplied",
        "<code>fraud-logistic-0003</code>",
        "3,000\u{a0}orders scored",
        "For example <code>orders.csv</code>, row 12, column <code>shipped_at</code>: <code>soon</code> is not a date",
        "<b>2\u{a0}rows</b>",
        "The run took 4.7\u{a0}s and at most 412\u{a0}MiB of memory: ingest 3.2\u{a0}s · kpi 0.4\u{a0}s.",
    ] {
        assert!(html.contains(expected), "{expected}");
    }
    assert!(!html.contains("<script"), "text from data must not become markup");
    for loading in ["http://", "https://", "src=", "@import", "url("] {
        assert!(!html.contains(loading), "the page loads nothing: {loading}");
    }
}

/// A target that was missed, the same one still moving, an aim, and one that cannot be held.
fn scorecard() -> DataFrame {
    let columns = vec![
        text("channel", &[Some("amazon"), Some("amazon"), Some("all"), Some("all")]),
        text("pack", &[Some("amazon"), Some("amazon"), Some("service"), Some(EVIL)]),
        text("kpi", &["late_shipment_rate", "late_shipment_rate", "csat", "language_match_rate"].map(Some)),
        text("level", &[None, None, Some("top rated"), None]),
        Series::new("required".into(), [true, true, false, true]).into_column(),
        text("window", &[Some("trailing_30d"), Some("trailing_30d"), Some("month"), Some("month")]),
        days("period_end", &[17_690, 17_697, 17_682, 17_682]),
        Series::new("numerator".into(), [Some(75_i64), Some(60), Some(80), None]).into_column(),
        Series::new("denominator".into(), [Some(1_000_i64), Some(1_000), Some(100), None]).into_column(),
        Series::new("value".into(), [Some(0.075), Some(0.06), Some(0.8), None]).into_column(),
        Series::new("lower".into(), [Some(0.0603), Some(0.0469), Some(0.711), None]).into_column(),
        Series::new("upper".into(), [Some(0.0930), Some(0.0765), Some(0.867), None]).into_column(),
        text("unit", &[Some("share"), Some("share"), Some("share"), None]),
        text("op", &[Some("<"), Some("<"), Some(">="), Some(">=")]),
        Series::new("target".into(), [0.04, 0.04, 0.9, 0.95]).into_column(),
        Series::new("breach".into(), [Some(true), Some(true), Some(true), None]).into_column(),
        Series::new("room".into(), [Some(-36_i64), Some(-21), Some(-10), None]).into_column(),
        Series::new("before_value".into(), [Some(0.05), None, None, None]).into_column(),
        text("trend", &[Some("worse"), None, Some("no_clear_change"), None]),
        Series::new("mature".into(), [Some(true), Some(false), Some(true), None]).into_column(),
        text("null_reason", &[None, None, None, Some("missing `tickets.language`")]),
        text("source", &[Some("help page 200370550"), Some("help page 200370550"), Some("us"), Some("us")]),
        days("checked", &[20_780; 4]),
    ];
    DataFrame::new(4, columns).unwrap()
}

#[test]
fn the_scorecard_says_what_was_missed_by_how_many_and_what_cannot_be_held() {
    let out = tempfile::tempdir().unwrap();
    let mut tables = whole_shop();
    tables.push(("scorecard", scorecard()));
    publish(out.path(), &tables);
    let html = written(out.path());
    for expected in [
        // Of the whole shop nothing is missed: the one target beyond its limit is an aim.
        "<h3>The whole shop</h3>",
        "<h3>amazon <b class=\"bad\">1\u{a0}target missed</b></h3>",
        "<td>Late shipment rate</td><td>trailing 30d<br><span class=\"small\">to 2018-06-08</span></td>\
         <td class=\"n\">7.5\u{a0}%</td>",
        "<b class=\"bad\">36 too many</b>",
        "<b class=\"bad\">beyond, still moving</b>",
        "<td>not reached</td>",
        "<b class=\"bad\">worse</b><br><span class=\"small\">from 5.0\u{a0}%</span>",
        "<li>Language match rate: missing <code>tickets.language</code></li>",
        "Late shipment rate: help page 200370550, read 2026-11-23",
        "<b><span class=\"sign\" aria-label=\"look here\">!</span> 1\u{a0}target</b><span>missed on the scorecard</span>",
        "<td>amazon</td><td>trailing 30d to 2018-06-08</td>",
    ] {
        assert!(html.contains(expected), "{expected}");
    }
    assert!(!html.contains("<script"));
}

#[test]
fn equal_tables_give_equal_bytes_wherever_they_stand() {
    let (one, two) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    for out in [one.path(), two.path()] {
        publish(out, &whole_shop());
    }
    assert_eq!(written(one.path()), written(two.path()));
    assert_eq!(written(one.path()), written(one.path()));
    let left: Vec<_> =
        fs::read_dir(one.path()).unwrap().filter_map(|e| e.unwrap().file_name().into_string().ok()).collect();
    assert!(!left.iter().any(|name| name.ends_with(".tmp")), "{left:?}");
}

#[test]
fn what_is_absent_or_empty_is_said_in_words() {
    let out = tempfile::tempdir().unwrap();
    publish(out.path(), &[("runs", run(24_700))]);
    let html = written(out.path());
    for sentence in [
        "There are no KPIs by month",
        "no <code>order_scores</code> table",
        "no <code>review_queue</code> table",
        "no <code>exceptions</code> table",
        "no <code>quarantine</code> table",
    ] {
        assert!(html.contains(sentence), "{sentence}");
    }
    let empty: Vec<(&str, DataFrame)> = whole_shop()
        .into_iter()
        .filter(|(name, _)| *name != "runs")
        .map(|(name, frame)| (name, frame.clear()))
        .collect();
    let out = tempfile::tempdir().unwrap();
    publish(out.path(), &empty);
    let html = written(out.path());
    for sentence in [
        "No row was refused.",
        "The review queue is empty.",
        "Nothing is stuck, as far as this input can tell.",
        "<code>order_scores</code> is empty",
        "There is no <code>runs</code> table",
    ] {
        assert!(html.contains(sentence), "{sentence}");
    }
}

#[test]
fn one_month_alone_is_shown_without_a_comparison() {
    let out = tempfile::tempdir().unwrap();
    publish(
        out.path(),
        &[("runs", run(24_700)), ("kpi", shop_kpis(&MONTHS[..1])), ("satisfaction", stars(&MONTHS[..1]))],
    );
    let html = written(out.path());
    assert!(html.contains("no month before to compare") && html.contains(">Mar 2018 · whole"));
}

#[test]
fn rows_that_do_not_add_up_are_an_alarm() {
    let out = tempfile::tempdir().unwrap();
    publish(out.path(), &[("runs", run(24_701))]);
    assert!(written(out.path()).contains("the rows do not add up"));
}

#[test]
fn the_queries_on_the_page_can_be_asked() {
    let out = tempfile::tempdir().unwrap();
    publish(out.path(), &whole_shop());
    for (what, sql) in page::QUERIES {
        assert!(answer(out.path(), sql).unwrap().height() > 0, "{what}");
    }
}

#[test]
fn nothing_published_is_a_usage_error_with_advice() {
    let out = tempfile::tempdir().unwrap();
    let error = write(out.path()).unwrap_err();
    assert_eq!((error.exit_code(), error.hint().is_some()), (2, true));
    assert!(!out.path().join(REPORT_FILE).exists());
}
