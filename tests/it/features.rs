//! Features as they are published: against DuckDB over public data, per order and per line, with and without keys.

use crate::harness::{datasets, expect, python, root};
use crate::tiny::Tiny;
use std::process::Command;

/// Trains and runs a shipped pipeline and compares the features it publishes with what `tests/reference/raw_features.py`
/// makes of the raw file; how many figures were compared.
fn compared(name: &str, target: &str, rows: usize) -> Option<u64> {
    let (datasets, python) = (datasets()?, python()?);
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).display().to_string();
    let (file, out, models) = (format!("pipelines/{name}.toml"), path("out"), path("models"));
    expect(
        0,
        &["train", &file, "--target", target, "--family", "logistic", "--out", &out, "--models", &models, "--quiet"],
    );
    expect(0, &["run", &file, "--out", &out, "--models", &models, "--quiet"]);
    let sql = "SELECT COUNT(*) FROM order_scores";
    let counted = expect(0, &["query", sql, "--out", &out, "--format", "csv"]).stdout;
    assert_eq!(counted.lines().last(), Some(rows.to_string().as_str()), "a row for each order or line");
    let script = root().join("tests/reference/raw_features.py");
    let checked = Command::new(python).arg(script).arg(name).arg(datasets).arg(&out).output().unwrap();
    let said = String::from_utf8(checked.stdout).unwrap();
    assert!(checked.status.success(), "{said}\n{}", String::from_utf8_lossy(&checked.stderr));
    Some(said.lines().last()?.strip_suffix(" figures equal")?.parse().unwrap())
}

#[test]
fn features_of_first_orders_with_shared_devices_equal_duckdb() {
    let Some(figures) = compared("fraudecom", "fraud", 51_689) else { return };
    assert!(figures > 1_000_000, "{figures}");
}

#[test]
fn features_of_order_lines_with_delayed_return_rates_equal_duckdb() {
    let Some(figures) = compared("bads_returns", "return", 65_748) else { return };
    assert!(figures > 2_000_000, "{figures}");
}

#[test]
fn features_of_all_payments_of_the_handbook_equal_duckdb() {
    let Some(figures) = compared("fraud_handbook", "fraud", 1_754_155) else { return };
    assert!(figures > 1_754_155 * 40, "{figures}");
}

/// Orders of one device on the hour, some of them without a device in the words of the export.
const UNKNOWN_DEVICES: &str = "order_id,placed_at,customer_id,amount,device\n\
    1,2024-05-01T00:00:00Z,a,1.00,D1\n2,2024-05-01T01:00:00Z,b,1.00,unknown\n3,2024-05-01T02:00:00Z,c,1.00,\n\
    4,2024-05-01T03:00:00Z,d,1.00,D1\n5,2024-05-01T04:00:00Z,e,1.00,unknown\n6,2024-05-01T05:00:00Z,f,1.00,0\n";

#[test]
fn a_placeholder_declared_null_is_no_device_and_so_has_no_past() {
    let tiny = Tiny::new(
        r#"name = "tiny"
        [time]
        as_of = "2025-01-01T00:00:00Z"
        [sources.orders]
        path = "orders.csv"
        columns.device = { type = "text", null = ["", "0", "unknown"] }
        [tables.orders]
        source = "orders"
        columns = { order_id = "order_id", placed_at = "placed_at", customer_id = "customer_id", amount = "amount", device_id = "device" }
        [features]
        catalogue = "none"
        declare = [{ entity = "device", aggregates = ["count"] }, { entity = "shop", aggregates = ["count"] }]
        "#,
        &[("orders.csv", UNKNOWN_DEVICES)],
    );
    tiny.run(0, &[]);
    let sql = "SELECT device_order_count_lifetime, shop_order_count_lifetime FROM order_features ORDER BY order_id";
    assert_eq!(tiny.csv(sql), "0.0,0.0\n,1.0\n,2.0\n1.0,3.0\n,4.0\n,5.0\n");
}

#[test]
fn where_lines_are_what_is_returned_there_is_a_row_for_each_line_with_its_order_s_decision() {
    let tiny = Tiny::new(
        r#"name = "tiny"
        [time]
        as_of = "2025-01-01T00:00:00Z"
        [money]
        base = "EUR"
        [sources.orders]
        path = "orders.csv"
        [tables.orders]
        source = "orders"
        columns = { order_id = "order_id", placed_at = "placed_at", customer_id = "customer_id", amount = "amount" }
        [sources.lines]
        path = "lines.csv"
        columns.price = { type = "money", currency = "EUR" }
        [tables.order_items]
        source = "lines"
        columns = { order_id = "order_id", line = "line", sku = "sku", unit_price = "price", quantity = "quantity" }
        [risk.return]
        unit = "line"
        [[decision.rules]]
        name = "dear"
        when = "amount >= 5000"
        effect = "review"
        reason = "fifty or more"
        "#,
        &[
            (
                "orders.csv",
                "order_id,placed_at,customer_id,amount\n1,2024-05-01T00:00:00Z,a,60.00\n2,2024-05-02T00:00:00Z,b,5.00\n",
            ),
            (
                "lines.csv",
                "order_id,line,sku,price,quantity\n2,1,sock,5.00,1\n1,1,shoe,20.00,2\n1,2,sock,20.00,1\n9,1,hat,1.00,1\n",
            ),
        ],
    );
    let summary = tiny.summary(&["--set", "quarantine.max_share=0.5"]);
    assert_eq!(summary["tables"]["order_items"]["quarantined"], 1, "the hat's order is nowhere");
    let sql = "SELECT order_id, line, amount, action, return_null_reason IS NOT NULL AS why FROM order_scores ORDER BY order_id, line";
    assert_eq!(tiny.csv(sql), "1,1,4000,review,true\n1,2,2000,review,true\n2,1,500,approve,true\n");
    let sql = "SELECT order_id, line, amount, line_unit_price, sku_line_count_30d FROM order_features ORDER BY order_id, line";
    assert_eq!(tiny.csv(sql), "1,1,6000.0,2000.0,0.0\n1,2,6000.0,2000.0,0.0\n2,1,500.0,500.0,1.0\n");
    assert_eq!(tiny.query("SELECT order_id FROM review_queue").len(), 0, "placed long ago");
}
