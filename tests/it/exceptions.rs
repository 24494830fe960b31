//! What is stuck, as it is published: against DuckDB over the raw files, and as people meet it.

use crate::harness::{datasets, expect, python, root};
use crate::shop::Shop;
use crate::tiny::{Tiny, query};
use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

/// Compares a run's exceptions with those that `tests/reference/exceptions.py` finds in the raw files; rows by kind.
fn agrees(name: &str, input: &Path, out: &Path, as_of: &str) -> Option<BTreeMap<String, u64>> {
    let script = root().join("tests/reference/exceptions.py");
    let checked = Command::new(python()?).arg(script).arg(name).args([input, out]).arg(as_of).output().unwrap();
    let said = String::from_utf8(checked.stdout).unwrap();
    assert!(checked.status.success(), "{said}\n{}", String::from_utf8_lossy(&checked.stderr));
    assert!(said.ends_with(&format!("{name}: every row equal\n")), "{said}");
    let counted = said.lines().filter_map(|line| line.strip_suffix(" rows")?.split_once(": "));
    Some(counted.map(|(kind, n)| (kind.to_owned(), n.parse().unwrap())).collect())
}

#[test]
fn exceptions_and_stock_of_a_shop_in_business_equal_duckdb() {
    let shop = Shop::new(6_000, 12, 90, 0.0);
    let (out, as_of) = (shop.path("out"), "2025-12-27T12:00:00Z");
    let summary = shop.run(&shop.input(), &out, as_of);
    let Some(rows) = agrees("demo", &shop.input(), &out, as_of) else { return };
    assert_eq!(rows.len(), 10, "{rows:?}");
    for (kind, n) in &rows {
        assert!(*n > 0, "{kind} is compared and never found: {rows:?}");
        if kind != "inventory_position" {
            assert_eq!(summary["exceptions"][kind][0].as_u64(), Some(*n), "{kind}");
        }
    }
    let listed: u64 = summary["exceptions"].as_object().unwrap().values().map(|n| n[0].as_u64().unwrap()).sum();
    assert_eq!(summary["published"]["exceptions"], listed);

    // One row an order and kind, ranks without a gap, and whoever explains an order says what is stuck with it.
    let twice = "SELECT order_id, kind, COUNT(*) AS n FROM exceptions WHERE order_id IS NOT NULL GROUP BY order_id, kind HAVING COUNT(*) > 1";
    assert_eq!(query(&out, twice).len(), 0);
    let ranks =
        query(&out, "SELECT MIN(\"rank\") AS a, MAX(\"rank\") AS b, COUNT(DISTINCT \"rank\") AS n FROM exceptions");
    assert_eq!((&ranks[0]["a"], &ranks[0]["b"], &ranks[0]["n"]), (&1.into(), &listed.into(), &listed.into()));
    let first = &query(
        &out,
        "SELECT order_id, kind, severity, detail FROM exceptions WHERE order_id IS NOT NULL ORDER BY \"rank\" LIMIT 1",
    )[0];
    let said = expect(0, &["explain", first["order_id"].as_str().unwrap(), "--out", out.to_str().unwrap()]).stdout;
    let line = format!(
        "{} ({}): {}",
        first["kind"].as_str().unwrap(),
        first["severity"].as_str().unwrap(),
        first["detail"].as_str().unwrap()
    );
    assert!(said.contains("open exceptions") && said.contains(&line), "{line}\n{said}");
}

#[test]
fn exceptions_of_olist_equal_duckdb() {
    let Some(datasets) = datasets() else { return };
    let out = tempfile::tempdir().unwrap();
    let folder = out.path().display().to_string();
    let as_of = "2018-08-01T00:00:00Z";
    expect(0, &["run", "pipelines/olist.toml", "--out", &folder, "--as-of", as_of, "--json"]);
    let Some(rows) = agrees("olist", &datasets, out.path(), as_of) else { return };
    assert_eq!(rows.len(), 3, "{rows:?}");
    assert!(rows.values().all(|n| *n > 0), "{rows:?}");
}

/// A shop of two orders: one is late to ship, the other is fine.
const ORDERS: &str = "order_id,placed_at,customer_id,amount,promised_ship_at,shipped_at,ship_country\n\
    A,2024-12-28T00:00:00Z,c,10.00,2024-12-30T00:00:00Z,,DE\n\
    B,2024-12-28T00:00:00Z,d,20.00,2024-12-30T00:00:00Z,2024-12-29T00:00:00Z,KP\n";

fn pipeline(settings: &str) -> String {
    format!(
        r#"name = "tiny"
[time]
as_of = "2025-01-01T00:00:00Z"
[sources.orders]
path = "orders.csv"
[tables.orders]
source = "orders"
[tables.orders.columns]
order_id = "order_id"
placed_at = "placed_at"
customer_id = "customer_id"
amount = "amount"
promised_ship_at = "promised_ship_at"
shipped_at = "shipped_at"
ship_country = "ship_country"
[exceptions]
{settings}
"#
    )
}

#[test]
fn settings_say_what_is_looked_for_and_check_says_what_cannot_be() {
    let tiny = Tiny::new(&pipeline("restricted_destinations = [\"kp\"]"), &[("orders.csv", ORDERS)]);
    let said = tiny.command(0, "check", &[]).stdout;
    assert!(
        said.contains("exceptions: address_incomplete, destination_restricted, not_shipped_by_promise\n"),
        "{said}"
    );
    assert!(
        said.contains("  not payment_overdue (placed, and not paid within the limit): missing orders.paid_at\n"),
        "{said}"
    );
    let said = tiny.run(0, &[]).stderr;
    let said = format!("{said}{}", tiny.run(0, &[]).stdout);
    assert!(
        said.contains("stuck     2 open exceptions: 1 destination_restricted, 1 not_shipped_by_promise\n"),
        "{said}"
    );
    let sql = "SELECT order_id, kind, severity, value_at_risk FROM exceptions ORDER BY \"rank\"";
    assert_eq!(tiny.csv(sql), "B,destination_restricted,critical,2000\nA,not_shipped_by_promise,high,1000\n");
    let sql = "SELECT detected_date, since FROM exceptions WHERE kind = 'not_shipped_by_promise'";
    assert!(tiny.csv(sql).starts_with("2024-12-30,2024-12-30T00:00:00"), "{}", tiny.csv(sql));

    tiny.run(0, &["--set", "report.language=zh"]);
    assert_eq!(
        tiny.csv("SELECT kind, severity, detail, suggested_action FROM exceptions ORDER BY \"rank\" LIMIT 1"),
        "destination_restricted,critical,已于 2024-12-29 00:00 UTC 发往 kp，该目的地在受限名单上,请承运商追回包裹，并通知出口管制负责人\n"
    );

    tiny.run(0, &["--set", "exceptions.without=[\"not_shipped_by_promise\"]"]);
    assert_eq!(tiny.csv("SELECT kind FROM exceptions"), "destination_restricted\n");
}

#[test]
fn mistakes_in_the_settings_are_said_with_what_is_allowed() {
    let wrong = "without = [\"loost\"]\npayment_overdue = \"a day\"\nlane_quantile = 2\n\
                 address_needs = [\"ship_contry\"]\nrestricted_destinations = [\" \"]\nlook_bak = \"3d\"\n[inventory]\nservice_level = 1";
    let said = Tiny::new(&pipeline(wrong), &[("orders.csv", ORDERS)]).run(2, &[]).stderr;
    for expected in [
        "`exceptions.address_needs`: `ship_contry` is not a column of `orders` (did you mean `ship_country`?)",
        "`exceptions.lane_quantile`: must be a number from 0.5 to 0.999, found `2`",
        "`exceptions.look_bak`: there is no such setting; allowed are `address_needs`,",
        "(did you mean `look_back`?)",
        "`exceptions.payment_overdue`: must be a span such as `30d` or `36h`, found `a day`",
        "`exceptions.restricted_destinations`: holds an empty text, which is no country",
        "`exceptions.without[0]`: must be one of `payment_overdue`, `audit_overdue`,",
        "found `loost` (did you mean `lost`?)",
        "`inventory.service_level`: must be a number from 0.5 to 0.999, found `1`",
    ] {
        assert!(said.contains(expected), "{expected}\n{said}");
    }
}
