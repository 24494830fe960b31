//! Models in service are watched: what drifts is named, what does not is left in peace, and the numbers are right.

use crate::harness::{expect, finish, ordersight, python, root};
use crate::shop::{Records, copy, generate};
use std::path::Path;
use std::process::Command;
use tempfile::TempDir;

/// Trained when autumn began, run before the sales of November.
const TRAINED: &str = "2025-09-08T00:00:00Z";
const RUN: &str = "2025-10-27T00:00:00Z";
/// What is injected begins here, two whole weeks before the run.
const DRIFTS: &str = "2025-10-12T22:00:00Z";
const MATURES: [&str; 2] = ["--set", "risk.fraud.label.matures_after=30d"];

/// A shop of ten months, with models of its first eight.
struct Watched(TempDir);

impl Watched {
    fn new() -> Self {
        let shop = Self(tempfile::tempdir().unwrap());
        generate(24_000, 2, 365, 0.0, &shop.path("input"));
        for target in ["fraud", "return"] {
            shop.train(target, &[]);
        }
        shop
    }

    fn train(&self, target: &str, more: &[&str]) {
        let (out, models) = (self.name("out"), self.name("models"));
        let args = ["train", "pipelines/demo.toml", "--target", target, "--as-of", TRAINED, "--out", &out, "--models"];
        let mut train = ordersight(&[&args[..], &[&models], &MATURES, more].concat());
        let done = finish(train.env("ORDERSIGHT_DEMO_DATA", self.path("input")));
        assert_eq!(done.code, 0, "{}", done.stderr);
    }

    fn path(&self, name: &str) -> std::path::PathBuf {
        self.0.path().join(name)
    }

    fn name(&self, name: &str) -> String {
        self.path(name).display().to_string()
    }

    fn run(&self, code: i32, input: &Path, out: &str, more: &[&str]) -> serde_json::Value {
        let (out, models) = (self.name(out), self.name("models"));
        let args = ["run", "pipelines/demo.toml", "--as-of", RUN, "--out", &out, "--models", &models, "--json"];
        let mut run = ordersight(&[&args[..], &MATURES, more].concat());
        let done = finish(run.env("ORDERSIGHT_DEMO_DATA", input));
        assert_eq!(done.code, code, "{}", done.stderr);
        serde_json::from_str(&done.stdout).unwrap()
    }

    fn ask(&self, out: &str, sql: &str) -> Vec<serde_json::Value> {
        let done = expect(0, &["query", sql, "--out", &self.name(out), "--format", "json"]);
        done.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

/// Amounts three times as high, and no device for every second order, from a moment on.
fn drifting(input: &Path) {
    let mut orders = Records::read(&input.join("orders.csv"));
    let [placed, amount, device] = ["placed_at", "amount", "device_id"].map(|name| orders.column(name));
    for (number, row) in orders.rows.iter_mut().enumerate() {
        if row[placed].as_str() >= DRIFTS {
            let dear: f64 = row[amount].parse::<f64>().unwrap() * 3.0;
            row[amount] = format!("{dear:.0}");
            if number % 2 == 0 {
                row[device].clear();
            }
        }
    }
    orders.write();
}

#[test]
fn drift_is_named_and_ends_the_run_with_1_where_asked_for_and_a_steady_shop_has_no_alarm() {
    let shop = Watched::new();
    let fail_on = ["--set", "kpi.fail_on=[\"monitor\"]"];
    let steady = shop.run(0, &shop.path("input"), "steady", &fail_on);
    assert_eq!(steady["failed_on"], serde_json::json!([]));
    let alarms = shop.ask("steady", "SELECT feature, alert_text FROM model_monitor WHERE alert = 'alert' AND current");
    assert_eq!(alarms, Vec::<serde_json::Value>::new());
    let [score] = &shop.ask(
        "steady",
        "SELECT scored, flagged_mature, flagged_positive, flagged_not_mature, flagged, mature, positive, \
         observed_lower, predicted_share, observed_upper \
         FROM model_monitor WHERE target = 'return' AND grain = 'all' AND feature = 'score'",
    )[..] else {
        panic!("one row of the whole time")
    };
    let number = |name: &str| score[name].as_f64().unwrap();
    assert!(number("mature") > 500.0 && number("scored") > number("mature"), "{score}");
    assert_eq!(number("flagged_mature") + number("flagged_not_mature"), number("flagged"), "{score}");
    assert!(number("flagged_positive") * number("mature") > number("positive") * number("flagged_mature"), "{score}");

    let changed = shop.path("changed");
    copy(&shop.path("input"), &changed);
    drifting(&changed);
    let drifted = shop.run(1, &changed, "drifted", &fail_on);
    let said = drifted["failed_on"][0].as_str().unwrap();
    assert!(said.ends_with("alarms of models in service"), "{said}");
    assert_eq!(said.split(' ').next().unwrap().parse::<usize>().unwrap(), {
        let monitor = drifted["monitor"].as_array().unwrap();
        monitor.iter().filter(|line| line.as_str().unwrap().starts_with("alert: ")).count()
    });
    let alarms = shop.ask(
        "drifted",
        "SELECT DISTINCT feature, period_start FROM model_monitor WHERE alert = 'alert' AND target = 'fraud' \
         AND feature IN ('amount', 'device_order_count_lifetime') ORDER BY feature, period_start",
    );
    let expected = ["2025-10-13", "2025-10-20"];
    let weeks = |feature: &str| -> Vec<&str> {
        alarms.iter().filter(|a| a["feature"] == feature).map(|a| a["period_start"].as_str().unwrap()).collect()
    };
    assert_eq!((weeks("amount"), weeks("device_order_count_lifetime")), (expected.to_vec(), expected.to_vec()));

    // The former champion in the shadow of a new one is watched beside it, and its alarms are not those of the service.
    let models = shop.name("models");
    shop.train("fraud", &["--seed", "2"]);
    let [former] = &shop.ask("steady", "SELECT DISTINCT model FROM model_monitor WHERE target = 'fraud'")[..] else {
        panic!("one model")
    };
    expect(0, &["models", "challenge", "fraud", former["model"].as_str().unwrap(), "--models", &models]);
    shop.run(0, &shop.path("input"), "both", &fail_on);
    let roles =
        shop.ask("both", "SELECT role, COUNT(DISTINCT model) AS n FROM model_monitor GROUP BY role ORDER BY role");
    assert_eq!(
        roles,
        [serde_json::json!({"role": "challenger", "n": 1}), serde_json::json!({"role": "champion", "n": 2})]
    );

    // Counted again by another program.
    let Some(python) = python() else { return };
    for out in ["steady", "drifted", "both"] {
        let script = root().join("tests/reference/monitor.py");
        let counted = Command::new(&python).arg(script).args([shop.name(out), models.clone()]).output().unwrap();
        let said = String::from_utf8_lossy(&counted.stdout);
        assert!(counted.status.success(), "{said}\n{}", String::from_utf8_lossy(&counted.stderr));
        assert!(said.ends_with("numbers, 0 differ\n"), "{said}");
    }
}

#[test]
fn a_model_without_a_reference_is_watched_for_what_is_possible_and_that_is_said() {
    let shop = Watched::new();
    for entry in glob::glob(&format!("{}/*/v*/reference.json", shop.name("models"))).unwrap() {
        std::fs::remove_file(entry.unwrap()).unwrap();
    }
    let summary = shop.run(0, &shop.path("input"), "out", &["--set", "kpi.fail_on=[\"monitor\"]"]);
    let said: Vec<&str> = summary["monitor"].as_array().unwrap().iter().map(|line| line.as_str().unwrap()).collect();
    assert_eq!(said.len(), 2, "{said:?}");
    let expected = "is watched without PSI: it was registered without a reference; train again to have one";
    assert!(said.iter().all(|line| line.ends_with(expected)), "{said:?}");
    let rows = shop.ask(
        "out",
        "SELECT COUNT(*) AS n, COUNT(psi) AS psi, COUNT(missing_share) AS missing, COUNT(observed_share) AS observed \
         FROM model_monitor",
    );
    let number = |name: &str| rows[0][name].as_i64().unwrap();
    assert_eq!((number("psi"), number("missing")), (0, number("n")));
    assert!(number("observed") > 5, "{}", rows[0]);
}
