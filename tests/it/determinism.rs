//! Same in, same out: no folder, number of threads or order of rows shows, and nothing looks ahead.

use crate::harness::{data_files, expect, finish};
use crate::shop::{Records, Shop, copy, differing, differing_rows, rows};
use polars::prelude::{DataFrame, IdxCa, NamedFrom, ParquetReader, ParquetWriter, SerReader, SortMultipleOptions};
use rand::seq::SliceRandom;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::fs::File;
use std::path::Path;

/// A day after the last order: some orders wait for review, some are on the road.
const MORNING_AFTER: &str = "2026-01-02T00:00:00Z";

#[test]
fn equal_runs_give_equal_files_in_any_folder_and_on_any_number_of_threads() {
    let shop = Shop::new(2_500, 7, 40, 0.02);
    let first = shop.path("first");
    let summary = shop.run(&shop.input(), &first, MORNING_AFTER);
    let files = data_files(&first);
    for table in [
        "kpi",
        "satisfaction",
        "order_scores",
        "order_features",
        "order_satisfaction",
        "exceptions",
        "inventory_position",
        "review_queue",
        "quarantine",
    ] {
        assert!(summary["published"][table].as_u64().unwrap() > 0, "{table} has rows: {}", summary["published"]);
        assert!(files.keys().any(|name| name.starts_with(table)), "{table} has files");
    }
    assert!(
        summary["risk"].as_array().unwrap().iter().all(|r| r["flagged"].as_u64().unwrap() > 0),
        "{}",
        summary["risk"]
    );

    let again = shop.run(&shop.input(), &first, MORNING_AFTER);
    assert_eq!(differing(&files, &data_files(&first)), Vec::<String>::new(), "run again in the same folder");
    assert_eq!(again["run_id"], summary["run_id"]);
    assert_eq!(again["published_files"], serde_json::json!([1, files.len(), 0]), "only `runs` is new");

    let moved = shop.path("moved");
    copy(&shop.input(), &moved);
    for (what, input, threads) in
        [("one thread", &shop.input(), "1"), ("two threads", &shop.input(), "2"), ("the inputs elsewhere", &moved, "2")]
    {
        let out = shop.path(what);
        let mut command = shop.command(input, &out, MORNING_AFTER);
        crate::shop::summary(command.env("RAYON_NUM_THREADS", threads).env("POLARS_MAX_THREADS", threads));
        assert_eq!(differing(&files, &data_files(&out)), Vec::<String>::new(), "{what}");
    }
}

#[test]
fn memory_beyond_the_limit_lies_in_files_and_does_not_show() {
    let shop = Shop::new(2_500, 9, 40, 0.02);
    let (roomy, narrow) = (shop.path("roomy"), shop.path("narrow"));
    shop.run(&shop.input(), &roomy, MORNING_AFTER);
    let mut command = shop.command(&shop.input(), &narrow, MORNING_AFTER);
    let done = finish(command.env("ORDERSIGHT_LOG", "info").args(["--memory", "1MiB"]));
    assert_eq!(done.code, 0, "{}", done.stderr);
    assert_eq!(differing(&data_files(&roomy), &data_files(&narrow)), Vec::<String>::new());
    if cfg!(target_os = "linux") {
        assert!(done.stderr.contains("lay in files"), "some was beyond it: {}", done.stderr);
    }
    let left: Vec<_> =
        std::fs::read_dir(narrow.join("_cache")).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert!(left.iter().all(|name| !name.to_string_lossy().starts_with("aside")), "{left:?}");
    let mut wrong = shop.command(&shop.input(), &narrow, MORNING_AFTER);
    let done = finish(wrong.env("ORDERSIGHT_MEMORY", "plenty"));
    assert_eq!(done.code, 2);
    assert!(done.stderr.contains("ORDERSIGHT_MEMORY") && done.stderr.contains("8GiB"), "{}", done.stderr);
}

#[test]
fn the_order_of_rows_in_the_inputs_does_not_show() {
    let shop = Shop::new(2_000, 8, 40, 0.02);
    let (first, second, shuffled) = (shop.path("first"), shop.path("second"), shop.path("shuffled"));
    shop.run(&shop.input(), &first, MORNING_AFTER);
    copy(&shop.input(), &shuffled);
    for entry in std::fs::read_dir(&shuffled).unwrap() {
        shuffle(&entry.unwrap().path());
    }
    shop.run(&shuffled, &second, MORNING_AFTER);
    let [mut a, mut b] = [rows(&first), rows(&second)];
    for files in [&mut a, &mut b] {
        for (_, frame) in files.iter_mut().filter(|(name, _)| name.starts_with("quarantine")) {
            *frame = without_place(frame);
        }
    }
    assert_eq!(differing_rows(&a, &b), Vec::<String>::new());
}

/// Quarantined rows without their row number and the id of their run (which the bytes of the inputs decide), sorted.
fn without_place(frame: &DataFrame) -> DataFrame {
    let frame = frame.drop_many(["row", "run_id"]);
    frame
        .sort(["file", "table", "column", "reason", "order_id", "raw_record", "detail"], SortMultipleOptions::default())
        .unwrap()
}

fn shuffle(path: &Path) {
    let mut rng = ChaCha8Rng::seed_from_u64(5);
    match path.extension().unwrap().to_str().unwrap() {
        "csv" => {
            let mut records = Records::read(path);
            records.rows.shuffle(&mut rng);
            records.write();
        }
        "ndjson" => {
            let text = std::fs::read_to_string(path).unwrap();
            let mut lines: Vec<&str> = text.lines().collect();
            lines.shuffle(&mut rng);
            std::fs::write(path, lines.join("\n") + "\n").unwrap();
        }
        _ => {
            let frame = ParquetReader::new(File::open(path).unwrap()).finish().unwrap();
            let mut order: Vec<u32> = (0..frame.height() as u32).collect();
            order.shuffle(&mut rng);
            let mut frame = frame.take(&IdxCa::new("order".into(), order)).unwrap();
            ParquetWriter::new(File::create(path).unwrap()).finish(&mut frame).unwrap();
        }
    }
}

/// A moment in the middle of the shop's hundred days, and a later one.
const THEN: &str = "2025-11-28T00:00:00Z";
const LATER: &str = "2026-01-22T00:00:00Z";

#[test]
fn what_is_known_at_or_after_a_moment_changes_no_feature_and_no_score_of_an_order_before_it() {
    let shop = Shop::new(2_500, 9, 100, 0.0);
    let (as_it_was, otherwise, much_later) = (shop.path("as it was"), shop.path("otherwise"), shop.path("much later"));
    let other_future = shop.path("other future");
    copy(&shop.input(), &other_future);
    let changed = rewrite_the_future(&other_future);
    assert!(changed.iter().all(|(_, n)| *n > 100), "the future must really be another one: {changed:?}");

    let then = shop.run(&shop.input(), &as_it_was, THEN);
    assert!(
        then["tables"]["orders"]["accepted"].as_u64().unwrap() > 2_400
            && then["not_yet"]["orders"].as_u64().unwrap() > 500
    );
    shop.run(&other_future, &otherwise, THEN);
    let [was, other] = [rows(&as_it_was), rows(&otherwise)];
    let apart_from_quarantine = |name: &String| !name.starts_with("quarantine");
    let seen: Vec<String> = differing_rows(&was, &other).into_iter().filter(apart_from_quarantine).collect();
    assert_eq!(seen, Vec::<String>::new(), "a run at {THEN} saw what was known later");

    // The same orders, looked at when much more is known, still have the features they had.
    shop.run(&shop.input(), &much_later, LATER);
    let features = |out: &Path| {
        let sql = format!("SELECT * FROM order_features WHERE placed_at < DATE '{}' ORDER BY order_id", &THEN[..10]);
        let done = expect(0, &["query", &sql, "--out", &out.display().to_string(), "--format", "json"]);
        done.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect::<Vec<serde_json::Value>>()
    };
    let (early, late) = (features(&as_it_was), features(&much_later));
    assert_eq!(early.len(), late.len());
    assert!(early.len() > 1_000, "{}", early.len());
    let mut other_features = std::collections::BTreeMap::new();
    for (early, late) in early.iter().zip(&late) {
        for (name, value) in early.as_object().unwrap() {
            if late[name] != *value {
                let example = || format!("{} has {value} at {THEN} and {} at {LATER}", early["order_id"], late[name]);
                other_features.entry(name.clone()).or_insert_with(example);
            }
        }
    }
    assert_eq!(other_features, std::collections::BTreeMap::new());
}

/// Rewrites everything that was known at or after [`THEN`]; how many values were changed in each file.
fn rewrite_the_future(input: &Path) -> Vec<(&'static str, usize)> {
    let mut rng = ChaCha8Rng::seed_from_u64(6);
    let mut counts = Vec::new();

    let mut orders = Records::read(&input.join("orders.csv"));
    let at = |name: &str| orders.column(name);
    let (placed, customer, amount, device, cancelled) =
        (at("placed_at"), at("customer_id"), at("amount"), at("device_id"), at("cancelled_at"));
    let (fraud, fraud_known, status, updated) = (at("fraud"), at("fraud_known_at"), at("status"), at("updated_at"));
    let about_the_cancelling = [at("cancelled_by"), at("cancel_reason")];
    let later_times: Vec<usize> =
        ["paid_at", "approved_at", "shipped_at", "delivered_at", "completed_at", "cancelled_at", "updated_at"]
            .map(at)
            .into();
    let past: Vec<[String; 2]> = orders
        .rows
        .iter()
        .filter(|r| r[placed].as_str() < THEN)
        .map(|r| [r[customer].clone(), r[device].clone()])
        .collect();
    let mut changed = 0;
    for row in &mut orders.rows {
        if row[placed].as_str() >= THEN {
            // Old customers and their devices order in another way.
            [row[customer], row[device]] = past[rng.random_range(0..past.len())].clone();
            row[amount] = format!("{}.00", rng.random_range(5..900));
            changed += 1;
            continue;
        }
        if row[cancelled].as_str() >= THEN {
            about_the_cancelling.iter().for_each(|&column| row[column].clear());
            row[status] = "delivered".to_owned();
        }
        for &column in &later_times {
            if row[column].as_str() >= THEN {
                // When the row was written is always said: its other times may never come.
                let said = column == updated || rng.random_bool(0.5);
                row[column] = if said { "2026-01-20T10:00:00Z".to_owned() } else { String::new() };
                changed += 1;
            }
        }
        // A fraud that came to light later never does, and other orders turn out to be one.
        let known_later = row[fraud_known].as_str() >= THEN;
        if known_later || (row[fraud].is_empty() && rng.random_bool(0.1)) {
            row[fraud] = if known_later { String::new() } else { "true".to_owned() };
            row[fraud_known] = if known_later { String::new() } else { "2025-12-15T00:00:00Z".to_owned() };
            changed += 1;
        }
    }
    let ids: Vec<String> = orders.rows.iter().map(|r| r[0].clone()).collect();
    orders.write();
    counts.push(("orders", changed));

    let mut returns = Records::read(&input.join("returns.csv"));
    let (order, line, known, requested) = (
        returns.column("order_id"),
        returns.column("line"),
        returns.column("known_at"),
        returns.column("requested_at"),
    );
    let before = returns.rows.len();
    let example = returns.rows[0].clone();
    returns.rows.retain(|row| row[known].as_str() < THEN && row[requested].as_str() < THEN);
    for (number, id) in ids.iter().enumerate().filter(|(n, _)| n % 4 == 0) {
        let mut row: Vec<String> =
            example.iter().map(|v| if v.contains('T') { String::new() } else { v.clone() }).collect();
        row[0] = format!("later-{number}");
        row[order].clone_from(id);
        row[line] = "1".to_owned();
        row[requested] = "2026-01-10T00:00:00Z".to_owned();
        row[known] = "2026-01-10T00:00:00Z".to_owned();
        returns.rows.push(row);
    }
    counts.push(("returns", before.abs_diff(returns.rows.len()) + ids.len() / 4));
    returns.write();

    let tickets = std::fs::read_to_string(input.join("tickets.ndjson")).unwrap();
    let mut kept = String::new();
    let mut changed = 0;
    for text in tickets.lines() {
        let ticket: serde_json::Value = serde_json::from_str(text).unwrap();
        if [&ticket["known_at"], &ticket["opened_at"]].iter().all(|t| t.as_str().unwrap_or_default() < THEN) {
            kept += &format!("{text}\n");
        } else {
            changed += 1;
        }
    }
    std::fs::write(input.join("tickets.ndjson"), kept).unwrap();
    counts.push(("tickets", changed));

    for (file, clock, value) in [
        ("feedback.csv", "received_at", "score"),
        ("fx_rates.csv", "valid_from", "rate_to_base"),
        ("inventory.csv", "as_of", "on_hand"),
    ] {
        let mut records = Records::read(&input.join(file));
        let (clock, value) = (records.column(clock), records.column(value));
        let mut changed = 0;
        for row in records.rows.iter_mut().filter(|row| row[clock].as_str() >= THEN) {
            row[value] = "1".to_owned();
            changed += 1;
        }
        records.write();
        counts.push((file, changed));
    }
    let path = input.join("order_events.parquet");
    let events = ParquetReader::new(File::open(&path).unwrap()).finish().unwrap();
    let known = events.column("known_at").unwrap().to_physical_repr().i64().unwrap().clone();
    let then = ordersight::types::time::parse_instant(THEN).unwrap();
    // Half of what was not known yet never comes to pass.
    let keep = known.iter().map(|at| Some(at.unwrap() < then || rng.random_bool(0.5))).collect();
    let mut kept = events.filter(&keep).unwrap();
    counts.push(("order_events", events.height() - kept.height()));
    ParquetWriter::new(File::create(&path).unwrap()).finish(&mut kept).unwrap();
    counts
}
