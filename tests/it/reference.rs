//! KPIs over public data against DuckDB over the raw files: see `tests/reference/check.py`.

use crate::harness::{datasets, expect, python, root};
use std::process::Command;

/// Runs a shipped pipeline and compares every KPI of it, by day, week and month; the run's summary.
fn agrees(name: &str) -> Option<serde_json::Value> {
    let (datasets, python) = (datasets()?, python()?);
    let out = tempfile::tempdir().unwrap();
    let folder = out.path().display().to_string();
    let done = expect(0, &["run", &format!("pipelines/{name}.toml"), "--out", &folder, "--json"]);
    let check = root().join("tests/reference/check.py");
    let checked = Command::new(python).arg(check).arg(name).arg(datasets).arg(out.path()).output().unwrap();
    let said = String::from_utf8(checked.stdout).unwrap();
    assert!(checked.status.success(), "{said}\n{}", String::from_utf8_lossy(&checked.stderr));
    assert!(said.ends_with(&format!("{name}: every number equal\n")), "{said}");
    serde_json::from_str(&done.stdout).ok()
}

/// Read, accepted, quarantined and superseded rows of a table.
fn tally(summary: &serde_json::Value, table: &str) -> [u64; 4] {
    ["read", "accepted", "quarantined", "superseded"].map(|what| summary["tables"][table][what].as_u64().unwrap())
}

#[test]
fn every_kpi_of_olist_equals_duckdb_and_all_its_8135_orders_are_accounted_for() {
    let Some(summary) = agrees("olist") else { return };
    // Six orders are delivered before they are shipped or the like.
    assert_eq!(tally(&summary, "orders"), [8135, 8129, 6, 0]);
    let [read, accepted, quarantined, superseded] = tally(&summary, "feedback");
    assert_eq!(read, accepted + quarantined + superseded);
    // No label of either kind: said so, and not a number.
    for risk in summary["risk"].as_array().unwrap() {
        assert!(risk["model"].is_null() && risk["absent_because"].as_str().unwrap().contains("labels"), "{risk}");
    }
}

#[test]
fn every_kpi_of_dataco_equals_duckdb() {
    let Some(summary) = agrees("dataco") else { return };
    assert_eq!(tally(&summary, "orders"), [41_763, 41_763, 0, 0]);
}

#[test]
fn every_kpi_of_online_retail_equals_duckdb() {
    let Some(summary) = agrees("online_retail") else { return };
    assert_eq!(tally(&summary, "orders"), [19_959, 19_959, 0, 0]);
}
