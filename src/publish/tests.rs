//! Whole runs against a folder: crashes at every step, readers beside a writer, full disks.

mod epochs;

use super::fault::{Faults, Step};
use super::record::Record;
use super::*;
use crate::contract::output::{OutputTable, output};
use crate::error::Error;
use polars::prelude::*;
use std::fs;
use std::process::Command;

/// Scores of a few orders: days from 1970-01-01 with the order's number, and an amount that tells versions apart.
fn scores(orders: &[(i32, u32)], amount: i64) -> DataFrame {
    let reason = |text: &str| {
        let feature = Series::new("feature".into(), [text, "amount"]);
        let contribution = Series::new("contribution".into(), [0.5, -0.25]);
        StructChunked::from_series("reasons".into(), 2, [feature, contribution].iter()).unwrap().into_series()
    };
    let ids: Vec<String> = orders.iter().map(|(_, n)| format!("o{n:04}")).collect();
    let days: Vec<i32> = orders.iter().map(|(day, _)| *day).collect();
    let instants: Vec<i64> = orders.iter().map(|(day, n)| i64::from(*day) * 86_400_000_000 + i64::from(*n)).collect();
    let reasons: Vec<Option<Series>> =
        orders.iter().map(|(_, n)| (n % 2 == 0).then(|| reason("customer_order_count_30d"))).collect();
    DataFrame::new(
        orders.len(),
        vec![
            Series::new("order_id".into(), ids).into_column(),
            Int64Chunked::from_vec("placed_at".into(), instants)
                .into_datetime(TimeUnit::Microseconds, Some(TimeZone::UTC))
                .into_series()
                .into_column(),
            Int32Chunked::from_vec("placed_date".into(), days).into_date().into_series().into_column(),
            Series::new("amount".into(), vec![amount; orders.len()]).into_column(),
            if orders.is_empty() {
                Series::new("fraud_reasons".into(), vec![Some(reason("x"))]).clear().into_column()
            } else {
                Series::new("fraud_reasons".into(), reasons).into_column()
            },
        ],
    )
    .unwrap()
}

fn kpi(value: f64) -> DataFrame {
    DataFrame::new(
        2,
        vec![
            Series::new("grain".into(), ["month", "day"]).into_column(),
            Series::new("kpi".into(), ["orders", "orders"]).into_column(),
            Series::new("value".into(), [value, value]).into_column(),
        ],
    )
    .unwrap()
}

fn table(name: &str) -> &'static OutputTable {
    output(name).unwrap()
}

/// One of two versions of a run: the second drops a day, adds one, changes one and leaves one as it is.
fn run(publisher: &Publisher, version: i64) -> Result<Published> {
    let metadata = BTreeMap::from([("pipeline".to_owned(), "test".to_owned())]);
    let mut staging = publisher.begin(&format!("run-{version}"), metadata)?;
    let orders: &[(i32, u32)] =
        if version == 1 { &[(2, 5), (1, 4), (1, 2), (0, 1)] } else { &[(3, 7), (2, 5), (2, 6), (1, 4), (1, 2)] };
    staging.write(table("order_scores"), &scores(orders, 100))?;
    staging.write(table("kpi"), &kpi(version as f64))?;
    let run = DataFrame::new(1, vec![Series::new("run_id".into(), [version]).into_column()]).unwrap();
    staging.write(table("runs"), &run)?;
    staging.commit()
}

/// An evaluation of a target, with or without rules replayed.
fn evaluation(publisher: &Publisher, target: &str, value: f64, with_rules: bool) -> Result<Published> {
    let replaces = Replaces::Evaluation(target.to_owned());
    let mut staging = publisher.begin_replacing(replaces, &format!("evaluation-{target}"), BTreeMap::new())?;
    let columns = vec![Column::new("target".into(), [target]), Column::new("value".into(), [value])];
    let frame = DataFrame::new(1, columns).unwrap();
    staging.write(table("evaluation_measures"), &frame)?;
    if with_rules {
        staging.write(table("rule_replay"), &frame)?;
    }
    staging.write_document(target, b"{}")?;
    staging.commit()
}

/// Every file below `out` with its bytes, but for the lock.
fn tree(out: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut files = BTreeMap::new();
    let mut folders = vec![out.to_owned()];
    while let Some(folder) = folders.pop() {
        for name in disk::names(&folder).unwrap() {
            let path = folder.join(name);
            if path.is_dir() {
                folders.push(path);
            } else if !path.ends_with("_lock") {
                files.insert(path.strip_prefix(out).unwrap().display().to_string(), fs::read(&path).unwrap());
            }
        }
    }
    files
}

fn paths(out: &Path) -> Vec<String> {
    tree(out).into_keys().collect()
}

#[test]
fn a_run_replaces_the_last_one_and_touches_only_what_changed() {
    let out = tempfile::tempdir().unwrap();
    let publisher = Publisher::open(out.path()).unwrap();
    let first = run(&publisher, 1).unwrap();
    assert_eq!((first.files_written, first.files_kept, first.files_retired), (6, 0, 0));
    assert_eq!(first.rows, BTreeMap::from([("kpi".into(), 2), ("order_scores".into(), 4), ("runs".into(), 1)]));
    let second = run(&publisher, 2).unwrap();
    // Written: days 2 and 3, both grains of `kpi`, and `runs`. Kept: day 1. Retired: day 0.
    assert_eq!((second.files_written, second.files_kept, second.files_retired), (5, 1, 1));
    assert_eq!(
        paths(out.path()),
        [
            "_commits/00000001.json",
            "_commits/00000002.json",
            "kpi/grain=day/part-0.parquet",
            "kpi/grain=month/part-0.parquet",
            "order_scores/placed_date=1970-01-02/part-0.parquet",
            "order_scores/placed_date=1970-01-03/part-0.parquet",
            "order_scores/placed_date=1970-01-04/part-0.parquet",
            "runs/run-000001.parquet",
            "runs/run-000002.parquet",
        ]
    );
    assert!(!out.path().join("order_scores/placed_date=1970-01-01").exists());
    let snapshot = snapshot(out.path()).unwrap().unwrap();
    assert_eq!((snapshot.seq, snapshot.run_id.as_str()), (2, "run-2"));
    assert_eq!(snapshot.tables["runs"].files.len(), 2);
    assert_eq!(snapshot.tables["order_scores"].partition.as_ref().unwrap().kind, PartitionType::Date);
}

#[test]
fn an_evaluation_replaces_the_last_one_of_its_target_and_nothing_else_does() {
    let out = tempfile::tempdir().unwrap();
    let publisher = Publisher::open(out.path()).unwrap();
    evaluation(&publisher, "return", 1.0, false).unwrap();
    evaluation(&publisher, "fraud", 1.0, true).unwrap();
    run(&publisher, 1).unwrap();
    run(&publisher, 2).unwrap();
    let again = evaluation(&publisher, "fraud", 2.0, false).unwrap();
    assert_eq!((again.files_written, again.files_kept, again.files_retired), (1, 1, 1), "the document is the same");
    let evaluated = |paths: Vec<String>| paths.into_iter().filter(|p| p.starts_with("evaluation")).collect::<Vec<_>>();
    let expected = [
        "evaluation/fraud.json",
        "evaluation/measures/target=fraud/part-0.parquet",
        "evaluation/measures/target=return/part-0.parquet",
        "evaluation/return.json",
    ];
    assert_eq!(evaluated(paths(out.path())), expected);
    let found = snapshot(out.path()).unwrap().unwrap();
    let tables: Vec<(&str, usize)> =
        found.tables.iter().map(|(name, table)| (name.as_str(), table.files.len())).collect();
    assert_eq!(tables, [("evaluation_measures", 2), ("kpi", 2), ("order_scores", 3), ("runs", 2)]);
    let partitions = found.tables.values().map(|table| table.partition.as_ref().map(|p| p.name.as_str()));
    assert_eq!(partitions.collect::<Vec<_>>(), [Some("target"), Some("grain"), Some("placed_date"), None]);
}

#[test]
fn the_same_run_again_leaves_every_data_file_alone() {
    let (out, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    run(&Publisher::open(out.path()).unwrap(), 1).unwrap();
    let again = run(&Publisher::open(out.path()).unwrap(), 1).unwrap();
    assert_eq!((again.files_written, again.files_kept), (1, 5));
    run(&Publisher::open(other.path()).unwrap(), 1).unwrap();
    let data = |out: &Path| {
        tree(out).into_iter().filter(|(p, _)| !p.starts_with("runs") && !p.starts_with('_')).collect::<Vec<_>>()
    };
    assert_eq!(data(out.path()), data(other.path()));
}

/// Leaves a folder as a run stopped at `step` leaves it, and says whether the step was met.
fn stopped_at(out: &Path, step: Step, n: u64) -> bool {
    run(&Publisher::open(out).unwrap(), 1).unwrap();
    let publisher = Publisher::open_with(out, Faults::error_at(step, n)).unwrap();
    run(&publisher, 2).is_err()
}

#[test]
fn a_run_stopped_at_any_step_is_dropped_or_finished_by_the_next_start() {
    let before = tempfile::tempdir().unwrap();
    run(&Publisher::open(before.path()).unwrap(), 1).unwrap();
    let after = tempfile::tempdir().unwrap();
    run(&Publisher::open(after.path()).unwrap(), 1).unwrap();
    run(&Publisher::open(after.path()).unwrap(), 2).unwrap();
    for step in Step::ALL {
        let mut met = 0;
        for n in 1.. {
            let out = tempfile::tempdir().unwrap();
            if !stopped_at(out.path(), step, n) {
                break;
            }
            met += 1;
            // A reader sees all of one run, even before anyone tidies up.
            let seen = snapshot(out.path()).unwrap().unwrap();
            for file in seen.tables.values().flat_map(|t| &t.files) {
                let hash = blake3::hash(&fs::read(&file.path).unwrap()).to_hex().to_string();
                assert_eq!(hash, file.blake3, "{step:?} {n}");
            }
            let publisher = Publisher::open(out.path()).unwrap();
            let counted = step > Step::PublishRecord;
            let expected = if counted { &after } else { &before };
            assert_eq!(seen.seq, if counted { 2 } else { 1 }, "{step:?} {n}");
            assert_eq!(tree(out.path()), tree(expected.path()), "{step:?} {n}");
            if !counted {
                run(&publisher, 2).unwrap();
                assert_eq!(tree(out.path()), tree(after.path()), "{step:?} {n}");
            }
        }
        let expected = match step {
            Step::WriteFile => 6,
            Step::MoveFile => 5,
            _ => 1,
        };
        assert_eq!(met, expected, "{step:?}");
    }
}

#[test]
fn a_start_that_is_stopped_while_it_finishes_a_commit_is_finished_by_the_next() {
    let after = tempfile::tempdir().unwrap();
    run(&Publisher::open(after.path()).unwrap(), 1).unwrap();
    run(&Publisher::open(after.path()).unwrap(), 2).unwrap();
    for step in [Step::MoveFile, Step::RetireFile, Step::SyncFolders, Step::DropStaging, Step::PruneRecords] {
        let out = tempfile::tempdir().unwrap();
        assert!(stopped_at(out.path(), Step::MoveFile, 3));
        assert!(Publisher::open_with(out.path(), Faults::error_at(step, 1)).is_err(), "{step:?}");
        Publisher::open(out.path()).unwrap();
        assert_eq!(tree(out.path()), tree(after.path()), "{step:?}");
    }
}

#[test]
fn a_commit_whose_record_has_the_first_shape_is_seen_and_finished_as_it_was_staged() {
    let (out, after) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    run(&Publisher::open(after.path()).unwrap(), 1).unwrap();
    run(&Publisher::open(after.path()).unwrap(), 2).unwrap();
    assert!(stopped_at(out.path(), Step::MoveFile, 1));
    let path = out.path().join("_commits/00000002.json");
    let mut record = Record::read(&path).unwrap();
    let staging = out.path().join("_staging").join(&record.staging);
    for file in record.staged() {
        let first = staging.join(&file.path);
        disk::create_folder(first.parent().unwrap()).unwrap();
        fs::rename(staging.join(record.staged_path(&file.path)), first).unwrap();
    }
    record.version = 1;
    fs::write(&path, record.to_json().unwrap()).unwrap();
    let seen = snapshot(out.path()).unwrap().unwrap();
    assert!(seen.tables.values().flat_map(|table| &table.files).any(|file| file.path.starts_with(&staging)));
    Publisher::open(out.path()).unwrap();
    let data = |out: &Path| tree(out).into_iter().filter(|(p, _)| !p.starts_with("_commits")).collect::<Vec<_>>();
    assert_eq!(data(out.path()), data(after.path()));
}

/// Folder for the run of a child process; without it, the test below that plays the child does nothing.
const CHILD_OUT: &str = "ORDERSIGHT_TEST_CHILD_OUT";

#[test]
fn child_process_that_publishes_until_its_fail_point() {
    if let Ok(out) = std::env::var(CHILD_OUT) {
        run(&Publisher::open(Path::new(&out)).unwrap(), 2).unwrap();
    }
}

#[test]
fn a_process_that_aborts_at_any_step_holds_no_lock_and_is_dropped_or_finished() {
    let after = tempfile::tempdir().unwrap();
    run(&Publisher::open(after.path()).unwrap(), 1).unwrap();
    run(&Publisher::open(after.path()).unwrap(), 2).unwrap();
    for step in Step::ALL {
        let out = tempfile::tempdir().unwrap();
        run(&Publisher::open(out.path()).unwrap(), 1).unwrap();
        let before = tree(out.path());
        let child = Command::new(std::env::current_exe().unwrap())
            .args(["child_process_that_publishes_until_its_fail_point", "--test-threads=1"])
            .env(CHILD_OUT, out.path())
            .env(FAIL_AT, step.name())
            .output()
            .unwrap();
        assert!(!child.status.success(), "{step:?} was not met");
        Publisher::open(out.path()).unwrap();
        let expected = if step > Step::PublishRecord { tree(after.path()) } else { before };
        assert_eq!(tree(out.path()), expected, "{step:?}");
    }
}

#[test]
fn readers_beside_a_writer_never_see_a_broken_or_mixed_state() {
    let out = tempfile::tempdir().unwrap();
    let publisher = Publisher::open(out.path()).unwrap();
    run(&publisher, 1).unwrap();
    let done = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        let reader = || {
            let mut seen = 0;
            while !done.load(std::sync::atomic::Ordering::SeqCst) || seen == 0 {
                let days = read(out.path(), &[], |snapshot| {
                    for file in snapshot.tables.values().flat_map(|t| &t.files) {
                        let bytes = fs::read(&file.path).map_err(Error::io("read", &file.path))?;
                        // The name may have changed hands, but never to half a file.
                        assert_eq!(&bytes[bytes.len() - 4..], b"PAR1");
                    }
                    let days = snapshot.tables["order_scores"].files.iter();
                    Ok(days.map(|f| f.partition.clone().unwrap()[8..].to_owned()).collect::<Vec<_>>())
                });
                let days = days.unwrap().unwrap();
                assert!(days == ["01", "02", "03"] || days == ["02", "03", "04"], "{days:?}");
                seen += 1;
            }
            seen
        };
        let readers = [scope.spawn(reader), scope.spawn(reader)];
        for round in 0..40 {
            run(&publisher, 1 + (round + 1) % 2).unwrap();
        }
        done.store(true, std::sync::atomic::Ordering::SeqCst);
        assert!(readers.into_iter().all(|r| r.join().unwrap() > 0));
    });
    assert_eq!(disk::names(&out.path().join("_commits")).unwrap().len(), 10);
}

#[test]
fn a_table_without_rows_is_one_file_without_rows_under_a_value_of_the_right_type() {
    let out = tempfile::tempdir().unwrap();
    let publisher = Publisher::open(out.path()).unwrap();
    let mut staging = publisher.begin("empty", BTreeMap::new()).unwrap();
    staging.write(table("order_scores"), &scores(&[], 0)).unwrap();
    staging.write(table("kpi"), &kpi(1.0).clear()).unwrap();
    staging.commit().unwrap();
    assert_eq!(
        paths(out.path())[1..],
        ["kpi/grain=none/part-0.parquet", "order_scores/placed_date=1970-01-01/part-0.parquet"]
    );
    assert_eq!(snapshot(out.path()).unwrap().unwrap().tables["kpi"].files[0].rows, 0);
    // The next run takes its place.
    run(&publisher, 2).unwrap();
    assert!(!out.path().join("kpi/grain=none").exists());
}

#[test]
fn rows_are_sorted_and_nulls_have_their_own_partition() {
    let out = tempfile::tempdir().unwrap();
    let frame = DataFrame::new(
        5,
        vec![
            Series::new("source".into(), [Some("b"), None, Some("a/b"), Some(""), Some("b")]).into_column(),
            Series::new("file".into(), ["f"; 5]).into_column(),
            Series::new("row".into(), [9i64, 8, 7, 6, 5]).into_column(),
        ],
    )
    .unwrap();
    let publisher = Publisher::open(out.path()).unwrap();
    let mut staging = publisher.begin("r", BTreeMap::new()).unwrap();
    staging.write(table("quarantine"), &frame).unwrap();
    assert!(matches!(staging.write(table("quarantine"), &frame), Err(Error::Invariant(_))));
    staging.commit().unwrap();
    let snapshot = snapshot(out.path()).unwrap().unwrap();
    let rows: Vec<(Option<&str>, Vec<i64>)> = snapshot.tables["quarantine"]
        .files
        .iter()
        .map(|file| {
            let frame = ParquetReader::new(fs::File::open(&file.path).unwrap()).finish().unwrap();
            assert_eq!(frame.get_column_names(), ["file", "row"]);
            (file.partition.as_deref(), frame.column("row").unwrap().i64().unwrap().into_no_null_iter().collect())
        })
        .collect();
    assert_eq!(rows, [(None, vec![6, 8]), (Some("a/b"), vec![7]), (Some("b"), vec![5, 9])]);
}

#[test]
fn a_run_that_is_given_up_leaves_no_trace() {
    let out = tempfile::tempdir().unwrap();
    let publisher = Publisher::open(out.path()).unwrap();
    run(&publisher, 1).unwrap();
    let before = tree(out.path());
    let mut staging = publisher.begin("given-up", BTreeMap::new()).unwrap();
    staging.write(table("kpi"), &kpi(9.0)).unwrap();
    drop(staging);
    assert_eq!(tree(out.path()), before);
    assert!(disk::names(&out.path().join("_staging")).unwrap().is_empty());
}

#[test]
fn a_folder_that_cannot_be_made_is_an_error_of_the_environment() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    fs::write(&file, "x").unwrap();
    let error = Publisher::open(&file.join("out")).unwrap_err();
    assert!(matches!(error, Error::Environment { .. }), "{error}");
    assert_eq!(error.exit_code(), 5);
    assert_eq!(snapshot(&folder.path().join("nothing")).unwrap(), None);
}

/// A small file system of its own, gone at the end of the test.
struct SmallDisk(tempfile::TempDir);

impl SmallDisk {
    fn mount() -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=128k", "tmpfs"])
            .arg(folder.path())
            .output()
            .is_ok_and(|o| o.status.success());
        mounted.then_some(Self(folder))
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(self.0.path()).output();
    }
}

#[test]
fn a_full_disk_is_an_error_of_the_environment_and_leaves_the_published_state() {
    let Some(disk) = SmallDisk::mount() else {
        eprintln!("skipped: mounting a small file system needs rights this test does not have");
        return;
    };
    let out = disk.0.path();
    let publisher = Publisher::open(out).unwrap();
    run(&publisher, 1).unwrap();
    let before = tree(out);
    let orders: Vec<(i32, u32)> = (0..60).map(|n| (n as i32, n)).collect();
    let mut staging = publisher.begin("large", BTreeMap::new()).unwrap();
    let error = staging.write(table("order_scores"), &scores(&orders, 1)).unwrap_err();
    assert!(matches!(error, Error::Environment { .. }), "{error}");
    assert_eq!(error.exit_code(), 5);
    assert!(error.hint().unwrap().contains("free some space"));
    drop(staging);
    assert_eq!(tree(out), before);
    run(&publisher, 1).unwrap();
}

#[test]
#[ignore = "a measurement: run by name"]
fn three_thousand_small_files_are_published_in_seconds() {
    let out = tempfile::tempdir_in(".").unwrap();
    let publisher = Publisher::open(out.path()).unwrap();
    let orders: Vec<(i32, u32)> = (0..300_000).map(|n| (n as i32 % 3_000, n)).collect();
    for amount in [1, 2, 2] {
        let frame = scores(&orders, amount);
        let start = std::time::Instant::now();
        let mut staging = publisher.begin("large", BTreeMap::new()).unwrap();
        staging.write(table("order_scores"), &frame).unwrap();
        let written = start.elapsed();
        let published = staging.commit().unwrap();
        eprintln!("write {written:?}, commit {:?}: {published:?}", start.elapsed() - written);
    }
    let start = std::time::Instant::now();
    snapshot(out.path()).unwrap();
    eprintln!("snapshot {:?}", start.elapsed());
}
