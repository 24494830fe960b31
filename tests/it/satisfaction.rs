//! Satisfaction and customers: against DuckDB over the raw files, against the truth, and blind to what came later.

use crate::harness::{python, root};
use crate::shop::Shop;
use polars::prelude::*;
use std::collections::HashMap;
use std::fs::File;
use std::process::Command;

#[test]
fn profiles_factors_and_answers_equal_duckdb_over_the_raw_files() {
    let Some(python) = python() else { return };
    let shop = Shop::new(3_000, 5, 60, 0.0);
    let out = shop.path("out");
    let as_of = "2025-12-28T12:00:00Z";
    shop.run(&shop.input(), &out, as_of);
    let script = root().join("tests/reference/satisfaction.py");
    let done = Command::new(python).arg(script).arg(shop.input()).arg(&out).arg(as_of).output().unwrap();
    let said = String::from_utf8(done.stdout).unwrap();
    assert!(done.status.success(), "{said}\n{}", String::from_utf8_lossy(&done.stderr));
    assert!(said.ends_with("satisfaction and customers: every value equal\n"), "{said}");
}

/// Columns of a published table, all its files.
fn published(folder: &std::path::Path) -> DataFrame {
    let glob = format!("{}/**/*.parquet", folder.display());
    LazyFrame::scan_parquet(PlRefPath::new(&glob), ScanArgsParquet::default()).unwrap().collect().unwrap()
}

#[test]
fn predictions_rank_silent_customers_by_what_they_truly_felt() {
    let shop = Shop::new(12_000, 3, 240, 0.0);
    let out = shop.path("out");
    let summary = shop.run(&shop.input(), &out, "2026-01-22T00:00:00Z");
    let felt = &summary["satisfaction"];
    assert!(felt["absent_because"].is_null() && felt["tested_on"].as_u64().unwrap() > 300, "{felt}");
    let of = |what: &str, end: &str| felt[what][end].as_f64().unwrap();
    assert!(of("rmse", "upper") < of("rmse_of_mean", "value"), "{felt}");
    assert!(of("auc_low", "lower") > 0.6, "{felt}");

    let truth = ParquetReader::new(File::open(shop.input().join("truth.parquet")).unwrap()).finish().unwrap();
    let text = |frame: &DataFrame, name: &str| frame.column(name).unwrap().str().unwrap().clone();
    let number = |frame: &DataFrame, name: &str| frame.column(name).unwrap().f64().unwrap().clone();
    let (ids, score) = (text(&truth, "order_id"), number(&truth, "satisfaction"));
    let truth: HashMap<&str, f64> = ids.iter().zip(score.iter()).filter_map(|(id, v)| Some((id?, v?))).collect();
    let orders = published(&out.join("order_satisfaction"));
    let (ids, source, score) = (text(&orders, "order_id"), text(&orders, "source"), number(&orders, "score"));
    let (mut good, mut bad) = ((0.0, 0.0), (0.0, 0.0));
    for ((id, source), score) in ids.iter().zip(source.iter()).zip(score.iter()) {
        if let (Some(id), Some("predicted"), Some(score)) = (id, source, score) {
            let group = if truth[id] < 50.0 { &mut bad } else { &mut good };
            *group = (group.0 + score, group.1 + 1.0);
        }
    }
    assert!(good.1 > 3_000.0 && bad.1 > 100.0, "{good:?} {bad:?}");
    // Those who truly suffered, and never said so, are predicted to be less content.
    assert!(good.0 / good.1 - bad.0 / bad.1 > 10.0, "{} {}", good.0 / good.1, bad.0 / bad.1);
}
