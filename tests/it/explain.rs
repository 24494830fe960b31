//! A figure that nobody trusts is followed back to the orders behind it.

use crate::harness::{Done, datasets, expect, finish, ordersight, python, root};
use crate::shop::Shop;
use crate::tiny::{PIPELINE, Tiny, query};
use ordersight::pipeline::{Asked, behind};
use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

/// Orders around the edges of May in Berlin.
const ORDERS: &str = "\
order_id,placed_at,customer_id,amount,promised_ship_at,shipped_at,carrier
in_time,2024-05-01T08:00:00Z,C1,1.00,2024-05-10T12:00:00Z,2024-05-09T12:00:00Z,DHL
a_day_late,2024-05-01T09:00:00Z,C2,1.00,2024-05-10T12:00:00Z,2024-05-11T12:00:00Z,DHL
never_shipped,2024-05-02T08:00:00Z,C3,1.00,2024-05-20T12:00:00Z,,UPS
last_second_of_may,2024-05-02T09:00:00Z,C4,1.00,2024-05-31T21:59:59Z,2024-05-31T12:00:00Z,DHL
first_second_of_june,2024-05-02T10:00:00Z,C5,1.00,2024-05-31T22:00:00Z,2024-06-04T12:00:00Z,DHL
";

fn pipeline() -> String {
    PIPELINE
        .replace("[time]\n", "[time]\nzone = \"Europe/Berlin\"\n")
        .replace(
            "amount = \"amount\" }",
            "amount = \"amount\", promised_ship_at = \"promised_ship_at\", shipped_at = \"shipped_at\", carrier = \"carrier\" }",
        )
        + "[kpi]\nsegments = [\"carrier\"]\n"
}

fn explain(out: &Path, more: &[&str]) -> Done {
    finish(ordersight(&["explain", "kpi"]).args(more).args(["--out", out.to_str().unwrap()]))
}

/// Ids by where they were counted, from the answer as CSV.
fn counted(out: &Path, more: &[&str]) -> BTreeMap<String, Vec<String>> {
    let done = explain(out, &[more, &["--format", "csv"]].concat());
    assert_eq!(done.code, 0, "{more:?}: {}", done.stderr);
    let mut reader = csv::Reader::from_reader(done.stdout.as_bytes());
    let headers = reader.headers().unwrap().clone();
    let at = |name: &str| headers.iter().position(|h| h == name).unwrap();
    let mut ids: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for record in reader.records() {
        let record = record.unwrap();
        ids.entry(record[at("counted_in")].to_owned()).or_default().push(record[at("order_id")].to_owned());
    }
    ids.values_mut().for_each(|ids| ids.sort());
    ids
}

fn parts(above: &[&str], below: &[&str]) -> BTreeMap<String, Vec<String>> {
    [("numerator", above), ("denominator", below)]
        .into_iter()
        .filter(|(_, ids)| !ids.is_empty())
        .map(|(part, ids)| (part.to_owned(), ids.iter().map(|id| (*id).to_owned()).collect()))
        .collect()
}

#[test]
fn the_orders_behind_a_figure_are_those_that_were_counted() {
    let tiny = Tiny::new(&pipeline(), &[("orders.csv", ORDERS)]);
    tiny.run(0, &[]);
    let may = |more: &[&str]| counted(&tiny.out(), &[&["late_shipment_rate", "--period", "2024-05"], more].concat());
    assert_eq!(may(&[]), parts(&["a_day_late", "never_shipped"], &["in_time", "last_second_of_may"]));
    assert_eq!(may(&["--segment", "carrier=DHL"]), parts(&["a_day_late"], &["in_time", "last_second_of_may"]));
    assert_eq!(may(&["--segment", "carrier=UPS"]), parts(&["never_shipped"], &[]));
    let of = |period: &str| counted(&tiny.out(), &["late_shipment_rate", "--period", period]);
    assert_eq!(of("2024-05-31"), parts(&[], &["last_second_of_may"]));
    assert_eq!(of("2024-06"), parts(&["first_second_of_june"], &[]));
    // The week from Monday 27 May to Sunday 2 June.
    assert_eq!(of("2024-W22"), parts(&["first_second_of_june"], &["last_second_of_may"]));
    assert_eq!(of("all").values().map(Vec::len).sum::<usize>(), 5);

    let told = explain(&tiny.out(), &["late_shipment_rate", "--period", "2024-05", "--limit", "1"]).stdout;
    for line in [
        "late_shipment_rate: shipped after the promise, or unshipped past it / orders due to ship\n",
        "  counted by   promised_ship_at, in days of Europe/Berlin\n",
        "  matures      with the end of the period\n",
        "  needs        orders.promised_ship_at, orders.shipped_at\n",
        "  period       month, 2024-05-01 to 2024-05-31, mature\n",
        "  segment      all (the whole)\n",
        "  value        0.5 (share) = 2 / 4, 95 % from 0.150039 to 0.849961\n",
        "counted again from what it read, the counts are equal\n",
        "2 rows in the numerator, the first 1 of them (--limit shows more, --format csv all)\n",
        "2 rows in the denominator only, the first 1 of them (--limit shows more, --format csv all)\n",
    ] {
        assert!(told.contains(line), "{line}\n{told}");
    }
}

#[test]
fn a_figure_can_be_followed_whatever_became_of_the_sources_until_the_copies_are_cleaned() {
    let tiny = Tiny::new(&pipeline(), &[("orders.csv", ORDERS)]);
    tiny.run(0, &[]);
    let late = || counted(&tiny.out(), &["late_shipment_rate", "--period", "2024-06"]);
    let expected = parts(&["first_second_of_june"], &[]);
    // The next export has other times, and the pipeline file is gone.
    tiny.write("orders.csv", ORDERS.replace("2024-06-04", "2024-05-04"));
    std::fs::remove_file(tiny.path("pipeline.toml")).unwrap();
    assert_eq!(late(), expected);
    let before = crate::tiny::every_file(&tiny.out());
    late();
    assert_eq!(crate::tiny::every_file(&tiny.out()), before, "explaining writes nothing");
    expect(0, &["clean", "--out", tiny.out().to_str().unwrap()]);
    let done = explain(&tiny.out(), &["late_shipment_rate", "--period", "2024-06"]);
    assert_eq!(done.code, 2);
    assert!(done.stderr.starts_with("error: the typed copy of `orders.csv` is no longer in `"), "{}", done.stderr);
    // With the export as it is now, another run is published, and that is what is followed from then on.
    tiny.write("pipeline.toml", pipeline());
    tiny.run(0, &[]);
    assert_eq!(late(), parts(&[], &["first_second_of_june"]));
    assert_eq!(std::fs::read_dir(tiny.path("out/_state/made_of")).unwrap().count(), 1);
}

#[test]
fn what_cannot_be_followed_says_what_there_is() {
    let tiny = Tiny::new(&pipeline(), &[("orders.csv", ORDERS)]);
    tiny.run(0, &[]);
    let said = |more: &[&str]| {
        let done = explain(&tiny.out(), more);
        assert_eq!(done.code, 2, "{more:?}");
        done.stderr
    };
    let late = "late_shipment_rate";
    assert!(said(&["late_shipment_rat"]).ends_with("hint: did you mean `late_shipment_rate`?\n"));
    assert_eq!(
        said(&[late, "--segment", "carrier=DPD"]),
        "error: `late_shipment_rate` has no `carrier` = `DPD`; there are: DHL, UPS\nhint: did you mean `DHL`?\n"
    );
    assert!(
        said(&[late, "--segment", "channel=web"])
            .contains("KPIs are not split by `channel`; the pipeline splits by carrier")
    );
    assert!(said(&[late, "--segment", "carrier"]).contains("does not say a value"));
    assert!(said(&[late, "--period", "May"]).contains("--period `May` is not a period"));
    assert!(said(&[late, "--period", "2024-07"]).contains(
        "`late_shipment_rate` was not counted over the period `2024-07`; it has months from 2024-05 to 2024-06"
    ));
    assert!(said(&["return_rate_orders"]).contains("was not published for `all`"));
    let done = finish(&mut ordersight(&["explain", "order", "late", "--out", tiny.out().to_str().unwrap()]));
    assert_eq!(done.code, 2);
    // An order may be called kpi.
    tiny.write("orders.csv", ORDERS.replace("in_time", "kpi"));
    tiny.run(0, &[]);
    assert!(expect(0, &["explain", "kpi", "--out", tiny.out().to_str().unwrap()]).stdout.starts_with("order_id"));
}

#[test]
fn every_kind_of_figure_of_a_shop_can_be_followed_and_has_as_many_rows_as_it_counts() {
    // Older than the 90 days after which a customer is asked whether they came back: before, that figure has no rows.
    let shop = Shop::new(2_000, 13, 120, 0.02);
    let out = shop.path("out");
    shop.run(&shop.input(), &out, "2026-01-02T00:00:00Z");
    // One of every shape and subject.
    let kpis = [
        "gross_sales",
        "order_defect_rate",
        "perfect_order_rate",
        "return_rate_revenue",
        "click_to_door_p90",
        "click_to_door_mean",
        "transit_time_open_share",
        "repeat_purchase_rate",
        "backlog",
        "return_response_48h_rate",
        "return_cycle_time_p50",
        "language_match_rate",
        "csat",
        "nps",
    ];
    let names = kpis.map(|kpi| format!("'{kpi}'")).join(", ");
    let mut followed = std::collections::BTreeSet::new();
    for table in ["kpi", "satisfaction"] {
        // Over everything, and by channel over a month: the last, or the first for what takes 90 days to be counted.
        let sql = format!(
            "SELECT kpi, grain, numerator, denominator, lower FROM {table} WHERE kpi IN ({names}) AND \
             ((grain = 'all' AND segment = 'all') OR (grain = 'month' AND segment = 'channel' AND \
             segment_value = 'amazon' AND ((kpi <> 'repeat_purchase_rate' AND period_start = DATE '2025-12-01') OR \
             (kpi = 'repeat_purchase_rate' AND period_start = DATE '2025-09-01'))))"
        );
        for row in query(&out, &sql) {
            let kpi = row["kpi"].as_str().unwrap();
            let by_channel = row["grain"] == "month";
            let month = if kpi == "repeat_purchase_rate" { "2025-09" } else { "2025-12" };
            let asked = Asked {
                kpi: kpi.to_owned(),
                period: Some(if by_channel { month } else { "all" }.to_owned()),
                segment: by_channel.then(|| "channel=amazon".to_owned()),
            };
            // That the sums are those published is what it refuses to go on without.
            let found = behind(&out, &asked).unwrap_or_else(|error| panic!("{asked:?}: {error}"));
            followed.insert((kpi.to_owned(), by_channel));
            // A proportion has one row for each case.
            if !row["lower"].is_null() {
                let parts = found.rows.column("counted_in").unwrap();
                let above = parts.str().unwrap().iter().filter(|part| *part == Some("numerator")).count();
                assert_eq!(found.rows.height() as i64, row["denominator"].as_i64().unwrap(), "{asked:?}");
                assert_eq!(above as i64, row["numerator"].as_i64().unwrap(), "{asked:?}");
            }
        }
    }
    let missing: Vec<&str> = kpis.into_iter().filter(|kpi| !followed.contains(&((*kpi).to_owned(), false))).collect();
    assert_eq!(missing, Vec::<&str>::new());
    assert!(followed.len() > 20, "{followed:?}");
}

#[test]
fn the_late_orders_of_olist_are_those_that_duckdb_finds_in_the_raw_files() {
    let (Some(data), Some(python)) = (datasets(), python()) else { return };
    let out = tempfile::tempdir().unwrap();
    expect(0, &["run", "pipelines/olist.toml", "--out", out.path().to_str().unwrap(), "--quiet"]);
    let script = root().join("tests/reference/late_orders.py");
    for (period, state) in [("2018-05", "SP"), ("2018-02", "RJ")] {
        let done = Command::new(&python).arg(&script).arg(&data).args([period, state]).output().unwrap();
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
        let mut expected: Vec<String> = String::from_utf8(done.stdout).unwrap().lines().map(str::to_owned).collect();
        expected.sort();
        let segment = format!("ship_region={state}");
        let found = counted(out.path(), &["late_shipment_rate", "--period", period, "--segment", &segment]);
        assert!(expected.len() > 10, "{expected:?}");
        assert_eq!(found["numerator"], expected, "{period} {state}");
    }
}
