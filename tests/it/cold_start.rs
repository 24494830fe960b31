//! The first day: no labels, and yet a queue that is worth the desk's time.

use crate::harness::{finish, ordersight, root};
use crate::shop::generate;
use crate::tiny::{PIPELINE, Tiny, query};
use polars::prelude::{ParquetReader, SerReader};
use serde_json::Value;
use std::collections::{BTreeMap, HashMap};
use std::path::Path;

/// The demo's pipeline as a shop has it that keeps no labels: no fraud columns, no tickets, no models.
fn unlabelled() -> String {
    let text = std::fs::read_to_string(root().join("pipelines/demo.toml")).unwrap();
    let mut kept = String::new();
    let mut skip = false;
    for line in text.lines().filter(|line| !line.starts_with("fraud")) {
        if line.starts_with('[') {
            skip = ["[sources.tickets", "[tables.tickets", "[risk.return"].iter().any(|gone| line.starts_with(gone));
        }
        if !skip {
            kept += line;
            kept.push('\n');
        }
    }
    kept
}

fn run(folder: &Path, out: &Path, more: &[&str]) -> Value {
    let pipeline = folder.join("cold.toml");
    std::fs::write(&pipeline, unlabelled()).unwrap();
    let (pipeline, out) = (pipeline.display().to_string(), out.display().to_string());
    let args = ["run", &pipeline, "--out", &out, "--models", "none", "--as-of", "2026-01-01T00:00:00Z", "--json"];
    let set = ["--set", "decision.review_capacity_per_day=200", "--set", "kpi.segments=[]"];
    let mut command = ordersight(&[&args[..], &set, more].concat());
    let done = finish(command.env("ORDERSIGHT_DEMO_DATA", folder.join("input")));
    assert_eq!(done.code, 0, "{}", done.stderr);
    serde_json::from_str(&done.stdout).unwrap()
}

fn truth(folder: &Path) -> HashMap<String, bool> {
    let file = std::fs::File::open(folder.join("input/truth.parquet")).unwrap();
    let frame = ParquetReader::new(file).finish().unwrap();
    let (ids, frauds) = (frame.column("order_id").unwrap(), frame.column("fraud").unwrap());
    let ids = ids.str().unwrap().iter().map(|id| id.unwrap().to_owned());
    ids.zip(frauds.bool().unwrap().iter().map(|fraud| fraud == Some(true))).collect()
}

#[test]
fn without_a_label_the_top_200_of_a_day_hold_several_times_as_many_frauds_as_chance() {
    let folder = tempfile::tempdir().unwrap();
    generate(60_000, 1, 24, 0.004, &folder.path().join("input"));
    let out = folder.path().join("out");
    let summary = run(folder.path(), &out, &[]);
    assert_eq!(summary["review_queue"], 200);
    let truth = truth(folder.path());
    let mut days: BTreeMap<String, Vec<bool>> = BTreeMap::new();
    for row in query(
        &out,
        "SELECT order_id, placed_date FROM order_scores WHERE unusual_score IS NOT NULL \
         ORDER BY unusual_score DESC, order_id",
    ) {
        let fraud = truth[row["order_id"].as_str().unwrap()];
        days.entry(row["placed_date"].as_str().unwrap().to_owned()).or_default().push(fraud);
    }
    let (mut found, mut looked, mut frauds, mut orders) = (0, 0, 0, 0);
    // After a first week, in which nobody knows yet what is usual.
    for (_, day) in days.iter().filter(|(date, day)| date.as_str() >= "2025-12-15" && day.len() > 1_000) {
        let yes = |orders: &[bool]| orders.iter().filter(|fraud| **fraud).count();
        found += yes(&day[..200]);
        looked += 200;
        frauds += yes(day);
        orders += day.len();
    }
    assert!(looked >= 2_000, "{looked}");
    let lift = found as f64 / looked as f64 / (frauds as f64 / orders as f64);
    // Five shops of 91 days and 250,000 orders have 6.05 (5.68 to 6.41 by days); this one is short and young and has
    // 4.86.
    assert!(lift >= 4.5, "{found} of {looked} against {frauds} of {orders}: {lift:.2}");

    // Every order that is looked at for it says why, in words, and nobody calls it a probability.
    let queue =
        query(&out, "SELECT fraud_probability, unusual_score, rule_hits, reasons FROM review_queue ORDER BY rank");
    for row in &queue {
        assert!(row["fraud_probability"].is_null(), "{row}");
        let unusual = row["reasons"].as_array().unwrap().iter().any(|r| r.as_str().unwrap().starts_with("unusual: "));
        assert!(unusual || !row["rule_hits"].as_array().unwrap().is_empty(), "{row}");
    }
    let scores: Vec<f64> = queue
        .iter()
        .filter(|row| row["rule_hits"].as_array().unwrap().is_empty())
        .map(|row| row["unusual_score"].as_f64().unwrap())
        .collect();
    assert!(scores.len() > 50 && scores.is_sorted_by(|a, b| a >= b) && scores.iter().all(|s| *s > 0.5 && *s < 1.0));

    // The same in Chinese; what a rule says is the shop's own words.
    let chinese = folder.path().join("zh");
    run(folder.path(), &chinese, &["--set", "report.language=zh"]);
    let rows = query(&chinese, "SELECT action, action_words, reasons FROM review_queue");
    let said: Vec<&str> =
        rows.iter().flat_map(|row| row["reasons"].as_array().unwrap()).filter_map(Value::as_str).collect();
    assert!(
        said.iter().any(|reason| reason.starts_with("异常：订单金额 ")) && !said.iter().any(|r| r.contains("unusual"))
    );
    assert!(rows.iter().all(|row| row["action"] != "review" || row["action_words"] == "人工审核"));

    // Switched off, only the rules speak.
    let off = folder.path().join("off");
    run(folder.path(), &off, &["--set", "risk.fraud.cold_start=false"]);
    assert!(query(&off, "SELECT order_id FROM order_scores WHERE unusual_score IS NOT NULL LIMIT 1").is_empty());
    let ruled = query(&off, "SELECT rule_hits FROM review_queue");
    assert!(ruled.iter().all(|row| !row["rule_hits"].as_array().unwrap().is_empty()) && ruled.len() < 200);
}

/// Labels are mapped, and the orders are of last week.
#[test]
fn labels_that_are_not_mature_yet_need_no_model_and_say_so() {
    let pipeline = PIPELINE.replace("amount = \"amount\" }", "amount = \"amount\", fraud = \"fraud\" }");
    let orders: String = (0..20)
        .map(|at| format!("O{at},2024-12-{:02}T10:00:00Z,C{at},10.00,{}\n", 10 + at % 20, at % 7 == 0))
        .collect();
    let orders = format!("order_id,placed_at,customer_id,amount,fraud\n{orders}");
    let tiny = Tiny::new(&format!("{pipeline}[risk.fraud]\n"), &[("orders.csv", &orders)]);
    tiny.run(0, &[]);
    assert_eq!(
        tiny.query("SELECT DISTINCT fraud_null_reason, fraud_probability, unusual_score FROM order_scores"),
        [serde_json::json!({
            "fraud_null_reason": "no fraud is known for certain yet: 0 labels are mature, none says yes",
            "fraud_probability": null,
            // Twenty orders are too few a past to be unusual against.
            "unusual_score": null,
        })]
    );
    let refused = tiny.run(4, &["--set", "risk.fraud.cold_start=false"]).stderr;
    assert!(refused.starts_with("error: there is no fraud model in `models`\nhint: "), "{refused}");
}

/// A young shop: frauds are known, and too few of them to learn from.
#[test]
fn a_shop_with_too_few_frauds_to_learn_from_goes_on_without_a_model_until_it_has_enough() {
    let pipeline = PIPELINE.replace("amount = \"amount\" }", "amount = \"amount\", fraud = \"fraud\" }")
        + "[risk.fraud]\nlabel = { matures_after = \"24h\" }\n";
    let orders = |every: usize| {
        let row = |at: usize| {
            let (day, hour) = (1 + at / 24 % 28, at % 24);
            let month = 6 + at / (24 * 28);
            format!("O{at},2024-{month:02}-{day:02}T{hour:02}:00:00Z,C{},10.00,{}\n", at % 90, at % every == 5)
        };
        let rows: String = (0..2_000).map(row).collect();
        format!("order_id,placed_at,customer_id,amount,fraud\n{rows}")
    };
    let tiny = Tiny::new(&pipeline, &[("orders.csv", &orders(100))]);
    tiny.run(0, &[]);
    let found = tiny.query("SELECT fraud_null_reason AS why, COUNT(*) AS n FROM order_scores GROUP BY why");
    let why = found[0]["why"].as_str().unwrap();
    assert!(found.len() == 1 && found[0]["n"] == 2_000, "{found:?}");
    assert!(why.starts_with("no model yet: not enough labels to learn `fraud`: ") && why.contains("positive"), "{why}");
    assert!(why.ends_with("(2000 mature labels in all, 20 of them positive)"), "{why}");
    // As soon as the trainer would have enough, a run without a model is a mistake.
    let tiny = Tiny::new(&pipeline, &[("orders.csv", &orders(20))]);
    let refused = tiny.run(4, &[]).stderr;
    assert!(refused.starts_with("error: there is no fraud model in `models`\nhint: "), "{refused}");
}
