//! `evaluate`: folds that roll forward over a generated shop, tables that readers open, and cuts as they are asked for.

use crate::harness::{finish, ordersight};
use polars::prelude::{ParquetReader, SerReader};
use serde_json::Value;
use std::fs::File;
use std::path::Path;
use tempfile::TempDir;

/// A shop of a year, whose good orders are known after a month.
fn shop() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let input = folder.path().join("input").display().to_string();
    let done = finish(&mut ordersight(&["generate", "--orders", "30000", "--seed", "5", "--out", &input]));
    assert_eq!(done.code, 0, "{}", done.stderr);
    folder
}

/// `ordersight evaluate` on the shop; what it printed as JSON.
fn evaluate(shop: &Path, out: &str, threads: &str, code: i32, more: &[&str]) -> (Value, String) {
    let out = shop.join(out).display().to_string();
    let mut command = ordersight(&["evaluate", "pipelines/demo.toml", "--target", "fraud", "--out", &out, "--json"]);
    command.args(["--set", "risk.fraud.label.matures_after=30d"]).args(more);
    command.env("ORDERSIGHT_DEMO_DATA", shop.join("input")).env("RAYON_NUM_THREADS", threads);
    let done = finish(&mut command);
    assert_eq!(done.code, code, "{more:?}\n{}", done.stderr);
    (serde_json::from_str(&done.stdout).unwrap_or(Value::Null), done.stderr)
}

fn at(value: &Value) -> &str {
    value.as_str().unwrap()
}

#[test]
fn folds_roll_forward_with_intervals_and_readers_open_the_tables() {
    let shop = shop();
    let (found, _) = evaluate(shop.path(), "two", "2", 0, &["--folds", "3"]);
    let folds = found["folds"].as_array().unwrap();
    assert!(!folds.is_empty(), "{found:#}");
    for fold in folds {
        let slices = ["train", "calibrate", "test"].map(|slice| (at(&fold[slice]["from"]), at(&fold[slice]["to"])));
        assert!(slices.windows(2).all(|pair| pair[0].1 < pair[1].0), "slices follow one another: {slices:?}");
    }
    for (one, next) in folds.iter().zip(&folds[1..]) {
        assert!(at(&one["test"]["to"]) < at(&next["test"]["from"]), "no order is tested twice");
    }
    let measures = found["measures"].as_array().unwrap();
    let overall = |name: &str| {
        let of = |m: &&Value| m["segment"] == "all" && m["measure"] == name;
        measures.iter().find(of).unwrap_or_else(|| panic!("{name} is missing")).clone()
    };
    for (name, drawn_by) in [
        ("average_precision", "customer"),
        ("roc_auc", "customer"),
        ("recall_at_1pct_fpr", "customer"),
        ("brier", "customer"),
        ("calibration_error", "customer"),
        ("precision_at_k_per_day", "day"),
        ("card_precision_at_k_per_day", "day"),
        ("value_recall_at_k_per_day", "day"),
        ("money_saved", "day"),
    ] {
        let measure = overall(name);
        let number = |key: &str| measure[key].as_f64().unwrap();
        assert!(number("lower") <= number("value") && number("value") <= number("upper"), "{measure}");
        assert_eq!(measure["drawn_by"], drawn_by, "{name}");
    }
    assert!(overall("roc_auc")["lower"].as_f64() > Some(0.5), "{:?}", overall("roc_auc"));
    assert!(measures.iter().any(|m| m["segment"] == "channel"), "the pipeline's segments are measured");
    for (table, rows) in [("measures", measures.len()), ("folds", folds.len())] {
        let file = File::open(shop.path().join(format!("two/evaluation/{table}.parquet"))).unwrap();
        assert_eq!(ParquetReader::new(file).finish().unwrap().height(), rows, "{table}");
    }
    // The same at one thread, to the byte.
    evaluate(shop.path(), "one", "1", 0, &["--folds", "3"]);
    for file in ["measures.parquet", "reliability.parquet", "days.parquet", "folds.parquet", "evaluation.json"] {
        let bytes = |out: &str| std::fs::read(shop.path().join(out).join("evaluation").join(file)).unwrap();
        assert!(bytes("one") == bytes("two"), "{file} depends on the number of threads");
    }

    // Cuts as asked for, and customers known before left out.
    let cuts = ["--train-until", "2025-07-01T00:00:00Z", "--calibrate-until", "2025-09-01T00:00:00Z"];
    let rest = ["--test-until", "2025-11-15T00:00:00Z", "--leave-out-known", "10d"];
    let (given, _) = evaluate(shop.path(), "given", "2", 0, &[&cuts[..], &rest[..]].concat());
    let fold = &given["folds"][0];
    assert!(at(&fold["train"]["to"]) < "2025-07-01" && at(&fold["calibrate"]["from"]) >= "2025-07-01", "{fold}");
    assert!(at(&fold["calibrate"]["to"]) < "2025-09-01" && at(&fold["test"]["to"]) < "2025-11-15", "{fold}");
    assert!(at(&fold["test"]["from"]) >= "2025-10-01", "labels need a month: {fold}");
    let [rows, left_out] = ["rows", "left_out"].map(|key| given[key].as_u64().unwrap());
    assert!(left_out > 0, "some customers were known before");
    assert_eq!(rows + left_out, fold["test"]["rows"].as_u64().unwrap());

    // What cannot be asked for is said before anything is read, and what cannot be learnt names the counts.
    let (_, said) = evaluate(shop.path(), "given", "2", 2, &cuts[..2]);
    assert!(said.contains("go together"), "{said}");
    let early = ["--train-until", "2025-01-02T00:00:00Z", "--calibrate-until", "2025-01-03T00:00:00Z"];
    let (_, said) = evaluate(shop.path(), "given", "2", 4, &[&early[..], &rest[..2]].concat());
    assert!(said.contains("positive labels in the training"), "{said}");
}
