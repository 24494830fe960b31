//! `evaluate`: folds that roll forward over a generated shop, tables that readers open, and cuts as they are asked for.

use crate::harness::{finish, ordersight, python, root};
use crate::tiny::{every_file, query};
use polars::prelude::{ParquetReader, SerReader};
use serde_json::Value;
use std::fs::File;
use std::path::Path;
use std::process::Command;
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
        let file = shop.path().join(format!("two/evaluation/{table}/target=fraud/part-0.parquet"));
        assert_eq!(ParquetReader::new(File::open(file).unwrap()).finish().unwrap().height(), rows, "{table}");
    }
    money_saved_is_what_the_costs_make_of_the_counts(&shop.path().join("two"), &found);
    // The same at one thread, to the byte.
    evaluate(shop.path(), "one", "1", 0, &["--folds", "3"]);
    let [one, two] = ["one", "two"].map(|out| every_file(&shop.path().join(out).join("evaluation")));
    assert_eq!(one.keys().collect::<Vec<_>>(), two.keys().collect::<Vec<_>>());
    assert!(one.len() == 7, "{:?}", one.keys());
    for (file, bytes) in one {
        assert!(bytes == two[&file], "{file} depends on the number of threads");
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

/// The demo's costs: 4.00 a look, a fee of 20.00, a quarter of the amount as margin.
fn money_saved_is_what_the_costs_make_of_the_counts(out: &Path, found: &Value) {
    let money = &found["money"];
    let policies = money["policies"].as_array().unwrap();
    let names: Vec<&str> = policies.iter().map(|policy| at(&policy["policy"])).collect();
    let expected = [
        "none",
        "random",
        "largest_first",
        "random_at_capacity",
        "largest_first_at_capacity",
        "rules",
        "model",
        "rules_and_model",
    ];
    assert_eq!(names, expected);
    for policy in policies {
        let number = |key: &str| policy[key].as_f64().unwrap();
        let saved = &policy["saved"];
        let value = saved["value"].as_f64().unwrap();
        assert!((number("review_cost") - 400.0 * number("looked")).abs() < 1e-3, "{policy}");
        assert!(
            (value - number("loss_avoided") + number("review_cost") + number("margin_lost")).abs() < 1e-3,
            "{policy}"
        );
        assert!(saved["lower"].as_f64().unwrap() <= value && value <= saved["upper"].as_f64().unwrap(), "{policy}");
    }
    let of = |name: &str, key: &str| policies[names.iter().position(|n| *n == name).unwrap()][key].as_f64().unwrap();
    assert_eq!(of("random", "looked"), of("rules_and_model", "looked"), "the same number of looks");
    assert_eq!(of("largest_first", "looked"), of("rules_and_model", "looked"));
    // Another implementation, from the orders tested one by one.
    if let Some(python) = python() {
        let check = root().join("tests/reference/money_saved.py");
        let costs = ["400", "2000", "0.25", "40"];
        let done = Command::new(python).arg(check).arg(out).args(costs).output().unwrap();
        let said = String::from_utf8(done.stdout).unwrap();
        assert!(done.status.success(), "{said}\n{}", String::from_utf8_lossy(&done.stderr));
        assert_eq!(said, "8 policies, every number equal\n");
    }
    // The sums of the published days, asked as anybody would.
    let days = query(
        out,
        "SELECT policy, SUM(saved) AS saved, SUM(looked) AS looked, SUM(orders) AS orders FROM money_saved \
         WHERE grain = 'day' GROUP BY policy ORDER BY policy",
    );
    let whole = query(out, "SELECT policy, saved, looked, orders FROM money_saved WHERE grain = 'all' ORDER BY policy");
    assert_eq!((days.len(), whole.len()), (8, 8));
    for (days, whole) in days.iter().zip(&whole) {
        assert_eq!((&days["policy"], &days["orders"]), (&whole["policy"], &whole["orders"]));
        for key in ["saved", "looked"] {
            assert!((days[key].as_f64().unwrap() - whole[key].as_f64().unwrap()).abs() < 1e-3, "{days} {whole}");
        }
    }
}
