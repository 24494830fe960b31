//! Evaluations and desk imports that are killed, or meet a full disk: the state before or the state after, and none between.

use crate::exit_codes::SmallDisk;
use crate::harness::{finish, ordersight};
use crate::tiny::{every_file, published, query};
use ordersight::publish::{FAIL_AT, Step};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

const SIGKILL: i32 = 9;
const SIGABRT: i32 = 6;

/// Orders of which a rule has the desk look at those above 100.00; no model.
const PIPELINE: &str = r#"name = "small"
[time]
as_of = "2025-06-01T00:00:00Z"
[sources.orders]
path = "orders.csv"
[tables.orders]
source = "orders"
columns = { order_id = "id", placed_at = "at", customer_id = "who", amount = "amount", fraud = "fraud" }
[[decision.rules]]
name = "large"
when = "amount >= 10000"
effect = "review"
reason = "above 100.00"
"#;

/// A folder with the pipeline and its orders.
fn write_shop(folder: &Path, orders: usize) {
    std::fs::create_dir_all(folder).unwrap();
    std::fs::write(folder.join("pipeline.toml"), PIPELINE).unwrap();
    let mut text = "id,at,who,amount,fraud\n".to_owned();
    for n in 0..orders {
        let _ = writeln!(
            text,
            "o{n},2025-01-{:02}T10:00:00Z,c{},{}.00,{}",
            1 + n % 28,
            n % 97,
            50 + n % 100,
            if n % 50 == 0 { "yes" } else { "no" }
        );
    }
    std::fs::write(folder.join("orders.csv"), text).unwrap();
}

fn command(folder: &Path, args: &[&str]) -> Command {
    let mut command = ordersight(args);
    command.args(["--out", "out"]).current_dir(folder);
    command
}

fn done(folder: &Path, args: &[&str]) {
    let done = finish(&mut command(folder, args));
    assert_eq!(done.code, 0, "{args:?} {}", done.stderr);
}

const RUN: &[&str] = &["run", "pipeline.toml"];
/// Two evaluations that differ in every file.
const EVALUATIONS: [&[&str]; 2] = [
    &["evaluate", "pipeline.toml", "--target", "fraud", "--rules"],
    &["evaluate", "pipeline.toml", "--target", "fraud", "--rules", "--as-of", "2025-01-20T00:00:00Z"],
];

/// The files below `OUT/evaluation`.
fn evaluation(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    every_file(&folder.join("out/evaluation"))
}

#[test]
fn an_evaluation_stopped_at_any_step_counts_wholly_or_not_at_all() {
    let shop = tempfile::tempdir().unwrap();
    let shop = shop.path();
    write_shop(shop, 300);
    done(shop, RUN);
    let calm = EVALUATIONS.map(|args| {
        done(shop, args);
        (evaluation(shop), query(&shop.join("out"), "SELECT * FROM rule_replay"))
    });
    assert_ne!(calm[0].1, calm[1].1);
    let scores = query(&shop.join("out"), "SELECT * FROM order_scores ORDER BY order_id");
    let mut state = 1;
    for (step, time) in Step::ALL.into_iter().flat_map(|step| match step {
        Step::WriteFile | Step::MoveFile => vec![(step, 1), (step, 2)],
        // Both have the same tables, and the folder has seen fewer commits than are kept.
        Step::RetireFile | Step::PruneRecords => Vec::new(),
        _ => vec![(step, 1)],
    }) {
        let (at, next) = (format!("{}:{time}", step.name()), 1 - state);
        let stopped = command(shop, EVALUATIONS[next]).env(FAIL_AT, &at).output().unwrap().status;
        assert_eq!(stopped.signal(), Some(SIGABRT), "{at} is reached");
        let expected = if step <= Step::PublishRecord { state } else { next };
        assert_eq!(query(&shop.join("out"), "SELECT * FROM rule_replay"), calm[expected].1, "stopped at {at}");
        assert_eq!(query(&shop.join("out"), "SELECT * FROM order_scores ORDER BY order_id"), scores, "stopped at {at}");
        done(shop, EVALUATIONS[next]);
        assert_eq!(evaluation(shop), calm[next].0, "stopped at {at} and done again");
        assert!(every_file(&shop.join("out/_staging")).is_empty(), "stopped at {at}");
        state = next;
    }
}

/// A desk's file with a decision on each of so many orders.
fn decisions(orders: usize, hour: u32) -> String {
    let mut text = "order_id,decision,decided_at,reviewer\n".to_owned();
    for n in 0..orders {
        let _ = writeln!(text, "o{n},{},2025-03-01T{hour:02}:00:00Z,eve", if n % 3 == 0 { "fraud" } else { "legit" });
    }
    text
}

#[test]
fn an_import_killed_at_any_moment_has_taken_in_all_decisions_or_none() {
    const ORDERS: usize = 20_000;
    const KILLS: u32 = 12;
    let shop = tempfile::tempdir().unwrap();
    let shop = shop.path();
    write_shop(shop, ORDERS);
    done(shop, RUN);
    let import = |name: &str| ["review", "import", name].map(str::to_owned);
    let kept = || std::fs::read(shop.join("out/_state/review_decisions.ndjson")).unwrap_or_default();
    std::fs::write(shop.join("first.csv"), decisions(ORDERS, 8)).unwrap();
    let begun = Instant::now();
    done(shop, &import("first.csv").each_ref().map(String::as_str));
    let whole = begun.elapsed();
    let (mut alive, mut before) = (0, kept());
    assert_eq!(before.iter().filter(|b| **b == b'\n').count(), ORDERS);
    for kill in 0..KILLS {
        std::fs::write(shop.join("next.csv"), decisions(ORDERS, 9 + kill)).unwrap();
        let args = import("next.csv");
        let args = args.each_ref().map(String::as_str);
        let mut child = command(shop, &args).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        std::thread::sleep(
            whole.mul_f64(1.1 * (f64::from(kill) + 0.5) / f64::from(KILLS)).max(Duration::from_millis(1)),
        );
        child.kill().unwrap();
        let status = child.wait().unwrap();
        assert!(status.success() || status.signal() == Some(SIGKILL), "{status}");
        alive += u32::from(!status.success());
        let found = kept();
        let more = found.strip_prefix(before.as_slice()).expect("what was kept stays as it was");
        let lines = more.iter().filter(|b| **b == b'\n').count();
        assert!(lines == 0 || lines == ORDERS, "killed import {kill} left {lines} of {ORDERS} decisions");
        // Done again it is as if never killed, and a third time adds nothing.
        done(shop, &args);
        let again = kept();
        assert_eq!(again.iter().filter(|b| **b == b'\n').count(), ORDERS * (kill as usize + 2));
        before = again;
    }
    eprintln!("an import takes {whole:?}; {alive} of {KILLS} were alive when killed");
    assert!(alive >= KILLS / 3, "only {alive} of {KILLS} imports were alive when killed");
}

#[test]
fn on_a_full_disk_evaluations_and_imports_are_5_and_leave_what_was_there() {
    let folder = tempfile::tempdir().unwrap();
    let Some(disk) = SmallDisk::new(&folder.path().join("disk"), 4 << 10) else { return };
    let shop = disk.0.join("shop");
    write_shop(&shop, 2_000);
    std::fs::write(shop.join("first.csv"), decisions(200, 8)).unwrap();
    std::fs::write(shop.join("next.csv"), decisions(2_000, 9)).unwrap();
    done(&shop, RUN);
    // Decisions first: they are labels, and more of them give more tables.
    done(&shop, &["review", "import", "first.csv"]);
    done(&shop, EVALUATIONS[0]);
    let state = || (published(&shop.join("out")), every_file(&shop.join("out/_state")));
    for args in [EVALUATIONS[1], &["review", "import", "next.csv"]] {
        let (before, mut refused) = (state(), 0);
        for left in [0, 4, 12, 24, 64, 128, 512] {
            disk.leave(left);
            let done = finish(&mut command(&shop, args));
            if done.code == 0 {
                break;
            }
            refused += 1;
            assert_eq!(done.code, 5, "{args:?}, {left} KiB left: {}", done.stderr);
            assert!(done.stderr.contains("No space left on device"), "{left} KiB left: {}", done.stderr);
            assert!(done.stderr.contains("\nhint: free some space"), "{left} KiB left: {}", done.stderr);
            let mut now = state();
            now.0.retain(|name, _| !name.starts_with("_staging"));
            assert!(now == before, "{args:?}, {left} KiB left: {:?}", now.0.keys().chain(now.1.keys()));
        }
        assert!(refused >= 1, "{args:?}: the disk was never full");
        // With space again it is done, and back to where it was for the next.
        disk.leave(2_048);
        done(&shop, args);
        assert!(state() != before, "{args:?}");
        if args[0] == "evaluate" {
            done(&shop, EVALUATIONS[0]);
            let evaluated = state();
            let files = |state: &(BTreeMap<String, Vec<u8>>, _)| -> BTreeMap<String, Vec<u8>> {
                let files = state.0.iter().filter(|(name, _)| !name.starts_with("_commits"));
                files.map(|(name, bytes)| (name.clone(), bytes.clone())).collect()
            };
            let (evaluated, before) = (files(&evaluated), files(&before));
            let names = |files: &BTreeMap<String, Vec<u8>>| files.keys().cloned().collect::<Vec<_>>();
            assert_eq!(names(&evaluated), names(&before));
            assert!(evaluated == before);
        }
    }
}
