//! What the demo's models are worth on orders later than all they learnt from, against the truth that no source tells.

use crate::harness::expect;
use polars::prelude::{DataFrame, ParquetReader, SerReader};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde_json::Value;
use std::collections::HashMap;
use std::fs::File;
use std::path::Path;

/// Draws of the bootstrap: its 2.5 % point is the fifth.
const REPLICATES: usize = 200;

/// A column of the truth by order.
fn truth(input: &Path, column: &str) -> HashMap<String, bool> {
    let frame: DataFrame = ParquetReader::new(File::open(input.join("truth.parquet")).unwrap()).finish().unwrap();
    let (ids, flags) =
        (frame.column("order_id").unwrap().str().unwrap(), frame.column(column).unwrap().bool().unwrap());
    ids.iter().zip(flags.iter()).map(|(id, flag)| (id.unwrap().to_owned(), flag.unwrap())).collect()
}

/// Average precision: the sum over cut-offs of the recall gained times the precision there; equal scores are one cut-off.
fn average_precision(scored: &[(f64, bool)]) -> f64 {
    let mut sorted = scored.to_vec();
    sorted.sort_by(|a, b| b.0.total_cmp(&a.0));
    let positives = sorted.iter().filter(|(_, hit)| *hit).count() as f64;
    let (mut seen, mut hits, mut counted, mut sum) = (0.0, 0.0, 0.0, 0.0);
    for (at, (score, hit)) in sorted.iter().enumerate() {
        seen += 1.0;
        hits += f64::from(u8::from(*hit));
        if sorted.get(at + 1).is_none_or(|next| next.0 < *score) {
            sum += (hits - counted) / positives * (hits / seen);
            counted = hits;
        }
    }
    sum
}

/// The 2.5 and 97.5 % points of the average precision over draws of orders with replacement.
fn interval(scored: &[(f64, bool)]) -> [f64; 2] {
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    let mut draws: Vec<f64> = (0..REPLICATES)
        .map(|_| {
            average_precision(&scored.iter().map(|_| scored[rng.random_range(0..scored.len())]).collect::<Vec<_>>())
        })
        .collect();
    draws.sort_by(f64::total_cmp);
    [draws[REPLICATES / 40 - 1], draws[REPLICATES - REPLICATES / 40]]
}

/// When the slice began on which a model was measured: later than all it learnt from and was calibrated on.
fn test_slice_begins(models: &Path, target: &str) -> String {
    let version = std::fs::read_to_string(models.join(target).join("champion")).unwrap();
    let metrics = std::fs::read_to_string(models.join(target).join(version.trim()).join("metrics.json")).unwrap();
    let metrics: Value = serde_json::from_str(&metrics).unwrap();
    metrics["test"]["from"].as_str().unwrap().to_owned()
}

#[test]
fn the_demo_finds_frauds_and_returns_far_better_than_chance_among_orders_later_than_all_it_learnt_from() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().display().to_string();
    expect(0, &["demo", "--orders", "50000", "--seed", "1", "--out", &out, "--quiet"]);
    let sql = "SELECT order_id, placed_at, action, fraud_probability, fraud_flag, fraud_reasons, return_probability, \
               return_flag, return_reasons FROM order_scores";
    let answer = expect(0, &["query", sql, "--out", &out, "--format", "json"]).stdout;
    let scores: Vec<Value> = answer.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert!(scores.len() > 49_000, "{} orders", scores.len());

    // Least multiple of the base rate that the lower end of the interval must reach.
    for (target, column, least) in [("fraud", "fraud", 3.0), ("return", "returned", 1.5)] {
        let truth = truth(&folder.path().join("input"), column);
        let from = test_slice_begins(&folder.path().join("models"), target);
        let (mut later, mut flagged) = (Vec::new(), Vec::new());
        for order in &scores {
            let id = order["order_id"].as_str().unwrap();
            let probability = order[format!("{target}_probability")].as_f64().unwrap();
            assert!((0.0..=1.0).contains(&probability), "{id}: {probability}");
            let is_flagged = order[format!("{target}_flag")].as_bool().unwrap();
            let reasons = order[format!("{target}_reasons")].as_array().unwrap();
            assert!(!is_flagged || !reasons.is_empty(), "{id} is flagged without a reason: {order}");
            for reason in reasons {
                let text = reason["text"].as_str().unwrap();
                assert!(!text.is_empty() && reason["contribution"].as_f64().unwrap() > 0.0, "{id}: {reason}");
            }
            if order["placed_at"].as_str().unwrap() >= from.as_str() {
                later.push((probability, truth[id]));
                flagged.extend(is_flagged.then_some(truth[id]));
            }
        }
        let share = |hits: &[bool]| hits.iter().filter(|hit| **hit).count() as f64 / hits.len() as f64;
        let base = share(&later.iter().map(|(_, hit)| *hit).collect::<Vec<_>>());
        let [lower, upper] = interval(&later);
        eprintln!(
            "{target}: {} orders from {from} on, base rate {base:.4}, average precision {:.3} ({lower:.3} to {upper:.3}), \
             that is {:.1} times the base rate; {} flagged, {:.3} of them rightly",
            later.len(),
            average_precision(&later),
            average_precision(&later) / base,
            flagged.len(),
            share(&flagged)
        );
        assert!(lower > least * base, "{target}: {lower:.4} against a base rate of {base:.4}");
        assert!(share(&flagged) > base, "{target}: flags are worth something");
    }
}

#[test]
fn average_precision_is_that_of_scikit_learn() {
    // `average_precision_score([0, 1, 1, 0, 1], [.1, .4, .35, .4, .8])` of scikit-learn 1.9.1.
    let scored = [(0.1, false), (0.4, true), (0.35, true), (0.4, false), (0.8, true)];
    assert!((average_precision(&scored) - 0.805_555_555_555_555_6).abs() < 1e-15, "{}", average_precision(&scored));
}
