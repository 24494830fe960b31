//! Killed at any moment and run again is never killed, and whoever reads meanwhile sees one whole run.

use crate::harness::{Done, data_files, finish, ordersight};
use crate::shop::{Shop, differing};
use ordersight::publish::{FAIL_AT, Step, read, snapshot};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Two clocks: their runs differ in every file, and the earlier one lacks ten days of partitions, so that going there
/// retires files.
const CLOCKS: [&str; 2] = ["2026-01-02T00:00:00Z", "2025-12-22T00:00:00Z"];
const SIGKILL: i32 = 9;
const SIGABRT: i32 = 6;
const KILLS: u32 = 20;

/// What a run of each clock publishes when nothing disturbs it.
struct Undisturbed {
    files: [BTreeMap<String, Vec<u8>>; 2],
}

impl Undisturbed {
    /// Which clock's run a reader sees, by the hash of each file except those of `runs`; none if it is a mixture.
    fn which(&self, hashes: &BTreeMap<String, String>) -> Option<usize> {
        let hashed = |files: &BTreeMap<String, Vec<u8>>| -> BTreeMap<String, String> {
            files.iter().map(|(name, bytes)| (name.clone(), blake3::hash(bytes).to_hex().to_string())).collect()
        };
        self.files.iter().position(|files| hashed(files) == *hashes)
    }
}

/// The published state through the commit records, every byte of it read and hashed.
fn look(out: &Path) -> BTreeMap<String, String> {
    let seen = read(out, &[], |snapshot| {
        let mut hashes = BTreeMap::new();
        for (table, live) in snapshot.tables.iter().filter(|(table, _)| *table != "runs") {
            for file in &live.files {
                let bytes = std::fs::read(&file.path).map_err(ordersight::error::Error::io("read", &file.path))?;
                let hash = blake3::hash(&bytes).to_hex().to_string();
                // An error, not a panic: a writer may have replaced the file since the snapshot, and then `read` looks again;
                // if nothing was replaced, the error comes out and fails the test.
                if (bytes.len() as u64, &hash) != (file.size_in_bytes, &file.blake3) {
                    let what = format!("{} is not the file its record names", file.path.display());
                    return Err(ordersight::error::Error::Invariant(what));
                }
                let folder = match (&live.partition, &file.partition) {
                    (Some(column), Some(value)) => format!("{table}/{}={value}", column.name),
                    _ => table.clone(),
                };
                hashes.insert(format!("{folder}/part-0.parquet"), hash);
            }
        }
        Ok(hashes)
    });
    seen.unwrap().unwrap()
}

/// Every Parquet file of a plain glob that can be opened is whole.
fn glob(out: &Path, known: &BTreeSet<String>) -> u64 {
    let mut seen = 0;
    for path in glob::glob(&format!("{}/order_scores/*/*.parquet", out.display())).unwrap() {
        // Retired between the listing and the opening.
        let Ok(bytes) = path.map_err(drop).and_then(|path| std::fs::read(path).map_err(drop)) else { continue };
        assert!(known.contains(&blake3::hash(&bytes).to_hex().to_string()), "a file of no run: {} bytes", bytes.len());
        seen += 1;
    }
    seen
}

/// One answer over two tables, as `ordersight query` gives it.
fn ask(out: &Path) -> String {
    let sql = "SELECT 'scores' AS what, COUNT(*) AS n, MIN(scored_at) AS at FROM order_scores UNION ALL \
               SELECT 'features' AS what, COUNT(*) AS n, MAX(placed_at) AS at FROM order_features \
               ORDER BY what";
    let Done { code, stdout, stderr } =
        finish(&mut ordersight(&["query", sql, "--out", &out.display().to_string(), "--format", "csv"]));
    assert_eq!(code, 0, "{stderr}");
    stdout
}

/// Runs the program for a clock and kills it after a while; whether it was still alive.
fn killed(shop: &Shop, out: &Path, clock: &str, after: Duration) -> bool {
    let mut child =
        shop.command(&shop.input(), out, clock).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    std::thread::sleep(after);
    child.kill().unwrap();
    let status = child.wait().unwrap();
    assert!(status.success() || status.signal() == Some(SIGKILL), "{status}");
    !status.success()
}

/// Nothing of a killed run is left beside what is published.
fn assert_tidy(out: &Path) {
    let names = |folder: &str| -> Vec<String> {
        std::fs::read_dir(out.join(folder)).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect()
    };
    assert_eq!(names("_staging"), Vec::<String>::new());
    assert!(names("_commits").iter().all(|name| name.ends_with(".json")), "{:?}", names("_commits"));
    let live = snapshot(out).unwrap().unwrap();
    let live: BTreeSet<PathBuf> = live.tables.values().flat_map(|t| t.files.iter().map(|f| f.path.clone())).collect();
    let found = glob::glob(&format!("{}/[!_]*/**/*.parquet", out.display())).unwrap();
    assert_eq!(
        found.map(Result::unwrap).collect::<BTreeSet<_>>(),
        live,
        "every file is live and every live one is there"
    );
}

#[test]
fn a_run_killed_at_any_moment_and_run_again_is_as_if_never_killed_and_no_reader_sees_a_part_of_it() {
    let shop = Shop::new(1_500, 13, 24, 0.01);
    let out = shop.path("out");
    let undisturbed = Undisturbed {
        files: CLOCKS.map(|clock| {
            let calm = shop.path(&format!("calm {clock}"));
            shop.run(&shop.input(), &calm, clock);
            data_files(&calm)
        }),
    };
    let known: BTreeSet<String> =
        undisturbed.files.iter().flat_map(|f| f.values()).map(|b| blake3::hash(b).to_hex().to_string()).collect();
    shop.run(&shop.input(), &out, CLOCKS[0]);
    let mut answers = BTreeSet::from([ask(&out)]);
    shop.run(&shop.input(), &out, CLOCKS[1]);
    answers.insert(ask(&out));
    assert_eq!(answers.len(), 2, "the two states can be told apart: {answers:?}");

    let done = AtomicBool::new(false);
    let [looks, globs, questions] = [AtomicU64::new(0), AtomicU64::new(0), AtomicU64::new(0)];
    let going = || !done.load(Ordering::Relaxed);
    std::thread::scope(|scope| {
        // The readers end with the scope, also when the test fails.
        let _end = Finally(&done);
        scope.spawn(|| {
            while going() {
                let seen = look(&out);
                assert!(undisturbed.which(&seen).is_some(), "a reader saw a mixture of runs: {} files", seen.len());
                looks.fetch_add(1, Ordering::Relaxed);
                globs.fetch_add(glob(&out, &known), Ordering::Relaxed);
                std::thread::sleep(Duration::from_millis(20));
            }
        });
        scope.spawn(|| {
            while going() {
                let answer = ask(&out);
                assert!(answers.contains(&answer), "a query saw a mixture of runs: {answer}");
                questions.fetch_add(1, Ordering::Relaxed);
                std::thread::sleep(Duration::from_millis(100));
            }
        });
        let mut state = 1;
        state = killed_at_random(&shop, &out, &undisturbed, state);
        stopped_at_every_step(&shop, &out, &undisturbed, state);
    });
    let [looks, globs, questions] = [&looks, &globs, &questions].map(|n| n.load(Ordering::Relaxed));
    eprintln!("readers: {looks} looks at every byte, {globs} files by glob, {questions} queries");
    assert!(looks > 20 && globs > 1_000 && questions > 20, "{looks} {globs} {questions}");
}

/// Ends the readers' loops when dropped.
struct Finally<'a>(&'a AtomicBool);

impl Drop for Finally<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Twenty kills, spread over the time a run takes; which state is published in the end.
fn killed_at_random(shop: &Shop, out: &Path, undisturbed: &Undisturbed, mut state: usize) -> usize {
    let mut rng = ChaCha8Rng::seed_from_u64(14);
    let begun = Instant::now();
    shop.run(&shop.input(), out, CLOCKS[state]);
    let whole = begun.elapsed();
    let (mut alive, mut counted) = (0, 0);
    for kill in 0..KILLS {
        let next = 1 - state;
        if kill % 3 == 0 {
            // Now and then from scratch, so that typing the sources is interrupted too.
            std::fs::remove_dir_all(out.join("_cache")).unwrap();
        }
        // A little beyond the end: what is left then takes longer the busier the machine is.
        let moment = whole.mul_f64(1.15 * (f64::from(kill) + rng.random::<f64>()) / f64::from(KILLS));
        alive += u32::from(killed(shop, out, CLOCKS[next], moment));
        let seen = undisturbed.which(&look(out));
        assert!(seen.is_some(), "killed after {moment:?}");
        counted += u32::from(seen == Some(next));
        shop.run(&shop.input(), out, CLOCKS[next]);
        assert_eq!(
            differing(&undisturbed.files[next], &data_files(out)),
            Vec::<String>::new(),
            "killed after {moment:?}"
        );
        assert_tidy(out);
        state = next;
    }
    eprintln!("a run takes {whole:?}; {alive} of {KILLS} were alive when killed, {counted} had already counted");
    assert!(alive >= KILLS / 2, "only {alive} of {KILLS} runs were alive when killed");
    state
}

/// Stops at every step of publishing: before the commit record has its name the old state stands, from then on the new.
fn stopped_at_every_step(shop: &Shop, out: &Path, undisturbed: &Undisturbed, mut state: usize) {
    let points = Step::ALL.into_iter().flat_map(|step| match step {
        Step::WriteFile | Step::MoveFile => vec![(step, 1), (step, 40)],
        Step::RetireFile => vec![(step, 1), (step, 9)],
        _ => vec![(step, 1)],
    });
    for (step, time) in points {
        if step == Step::RetireFile && state == 1 {
            // Only the earlier clock's run retires files.
            shop.run(&shop.input(), out, CLOCKS[0]);
            state = 0;
        }
        let (at, next) = (format!("{}:{time}", step.name()), 1 - state);
        let stopped = shop.command(&shop.input(), out, CLOCKS[next]).env(FAIL_AT, &at).output().unwrap().status;
        assert_eq!(stopped.signal(), Some(SIGABRT), "{at} is reached");
        let expected = if step <= Step::PublishRecord { state } else { next };
        assert_eq!(undisturbed.which(&look(out)), Some(expected), "stopped at {at}");
        shop.run(&shop.input(), out, CLOCKS[next]);
        assert_eq!(differing(&undisturbed.files[next], &data_files(out)), Vec::<String>::new(), "stopped at {at}");
        assert_tidy(out);
        state = next;
    }
}
