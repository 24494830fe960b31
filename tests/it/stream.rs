//! Micro-batches: whatever the cut, the order of arrival or the moment of a kill, what is published is what one batch publishes.

use crate::exit_codes::SmallDisk;
use crate::harness::{Done, finish, ordersight, root};
use crate::shop::{Shop, differing_rows, generate, rows};
use crate::tiny::query;
use ordersight::publish::{FAIL_AT, Step};
use polars::prelude::DataFrame;
use rand::seq::SliceRandom;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::collections::BTreeMap;
use std::io::Write;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

pub(crate) const CLOCK: &str = "2026-01-20T00:00:00Z";

/// A shop whose tables arrive day by day in one folder.
pub(crate) struct Landing {
    pub(crate) shop: Shop,
    pub(crate) folder: PathBuf,
    /// The registry: that of the shop, unless a test has its own.
    pub(crate) models: PathBuf,
}

impl Landing {
    /// Lines, events, stock and rates come first, as they are: lines then wait for their orders.
    pub(crate) fn new(orders: u32, seed: u32, days: u32) -> Self {
        let shop = Shop::with_models();
        let models = shop.models().to_owned();
        let (input, folder) = (shop.input(), shop.path("land"));
        generate(orders, seed, days, 0.01, &input);
        std::fs::create_dir_all(&folder).unwrap();
        for name in ["order_items.parquet", "order_events.parquet", "inventory.csv", "fx_rates.csv"] {
            std::fs::copy(input.join(name), folder.join(format!("0000-{name}"))).unwrap();
        }
        for (name, clock) in [("orders", "placed_at"), ("returns", "requested_at"), ("feedback", "received_at")] {
            let text = std::fs::read_to_string(input.join(format!("{name}.csv"))).unwrap();
            let mut reader = csv::ReaderBuilder::new().flexible(true).from_reader(text.as_bytes());
            let column = reader.headers().unwrap().iter().position(|header| header == clock).unwrap();
            let header = reader.headers().unwrap().clone();
            let mut by_day: BTreeMap<String, Vec<csv::StringRecord>> = BTreeMap::new();
            for record in reader.records().map(Result::unwrap) {
                by_day.entry(day(record.get(column).unwrap_or_default())).or_default().push(record);
            }
            for (day, records) in by_day {
                let path = folder.join(format!("{day}-{name}.csv"));
                let mut writer = csv::WriterBuilder::new().flexible(true).from_path(path).unwrap();
                writer.write_record(&header).unwrap();
                records.iter().for_each(|record| writer.write_record(record).unwrap());
                writer.flush().unwrap();
            }
        }
        let mut by_day: BTreeMap<String, String> = BTreeMap::new();
        for line in std::fs::read_to_string(input.join("tickets.ndjson")).unwrap().lines() {
            let at = line.split("\"opened_at\":\"").nth(1).unwrap_or_default();
            let text = by_day.entry(day(at)).or_default();
            text.push_str(line);
            text.push('\n');
        }
        for (day, text) in by_day {
            std::fs::write(folder.join(format!("{day}-tickets.ndjson")), text).unwrap();
        }
        let landing = Self { shop, folder, models };
        landing.write_pipeline(&landing.folder, "landing.toml");
        landing
    }

    /// The demo's pipeline over what lands in a folder.
    pub(crate) fn write_pipeline(&self, folder: &Path, name: &str) {
        let mut text = std::fs::read_to_string(root().join("pipelines/demo.toml")).unwrap();
        for file in ["orders.csv", "returns.csv", "feedback.csv", "tickets.ndjson", "inventory.csv", "fx_rates.csv"]
            .into_iter()
            .chain(["order_items.parquet", "order_events.parquet"])
        {
            let old = format!("${{ORDERSIGHT_DEMO_DATA:-../out/demo/input}}/{file}");
            assert!(text.contains(&old), "{file}");
            text = text.replace(&old, &format!("{}/*-{file}", folder.display()));
        }
        let targets = root().join("pipelines/targets");
        text = text.replace("targets/", &format!("{}/", targets.display()));
        std::fs::write(self.shop.path(name), text).unwrap();
    }

    pub(crate) fn command(&self, verb: &str, out: &Path, sets: &[&str]) -> Command {
        self.command_on("landing.toml", verb, out, sets)
    }

    fn command_on(&self, pipeline: &str, verb: &str, out: &Path, sets: &[&str]) -> Command {
        self.command_at(pipeline, verb, out, sets, CLOCK)
    }

    pub(crate) fn command_at(&self, pipeline: &str, verb: &str, out: &Path, sets: &[&str], clock: &str) -> Command {
        let pipeline = self.shop.path(pipeline).display().to_string();
        let models = self.models.display().to_string();
        let mut command = ordersight(&[verb, &pipeline, "--out", &out.display().to_string(), "--models", &models]);
        command.args([
            "--as-of",
            clock,
            "--set",
            "risk.fraud.label.matures_after=30d",
            "--set",
            "stream.stable_for=0s",
        ]);
        for set in sets {
            command.args(["--set", set]);
        }
        if verb == "stream" {
            // Every start takes up what the one before wrote down, but the first after a run.
            command.args(["--once", "--set", "stream.checkpoint_rows=1"]);
        }
        command.env("ORDERSIGHT_PII_KEY", "the same for all");
        command
    }

    pub(crate) fn batch(&self) -> BTreeMap<String, DataFrame> {
        let out = self.shop.path("batch");
        done(&mut self.command("run", &out, &[]));
        told(&out)
    }
}

/// The day that a time begins with; what is none is of the first.
fn day(time: &str) -> String {
    let day: String = time.chars().take(10).collect();
    let is_day = day.len() == 10
        && day.chars().enumerate().all(|(n, c)| if [4, 7].contains(&n) { c == '-' } else { c.is_ascii_digit() });
    if is_day { day } else { "0001".to_owned() }
}

pub(crate) fn done(command: &mut Command) -> Done {
    let done = finish(command);
    assert!([0, 1].contains(&done.code), "{command:?}\n{}\n{}", done.stdout, done.stderr);
    done
}

/// The rows of everything that is told of the shop; what names the run or tells of the stream itself is left out.
pub(crate) fn told(out: &Path) -> BTreeMap<String, DataFrame> {
    let mut rows = rows(out);
    rows.retain(|name, frame| {
        frame.height() > 0 && !["quarantine", "late_rows"].iter().any(|own| name.starts_with(own))
    });
    rows
}

/// Facts are told on their day: three days is more than any of them is late.
pub(crate) const WAITS: &[&str] = &["stream.lateness=3d", "stream.refresh=9d"];

#[test]
fn whatever_the_cut_a_stream_publishes_what_a_batch_does() {
    let landing = Landing::new(2_500, 5, 40);
    let batch = landing.batch();
    assert!(batch.len() > 100 && batch.keys().any(|name| name.starts_with("order_scores")), "{}", batch.len());
    for (name, sets) in [
        ("all at once", &["stream.epoch_files=9999"][..]),
        ("a few files an epoch", &["stream.epoch_files=6", WAITS[0], WAITS[1]]),
        ("every epoch tells the whole shop", &["stream.epoch_files=40", WAITS[0]]),
    ] {
        let out = landing.shop.path(name);
        done(&mut landing.command("stream", &out, sets));
        assert_eq!(differing_rows(&batch, &told(&out)), Vec::<String>::new(), "{name}");
    }
}

#[test]
fn files_in_any_order_give_the_same_when_they_are_waited_for_and_what_is_not_waited_for_stands_in_a_ledger() {
    let landing = Landing::new(600, 6, 20);
    let mixed = landing.shop.path("mixed");
    std::fs::create_dir_all(&mixed).unwrap();
    let mut names: Vec<String> = std::fs::read_dir(&landing.folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names.shuffle(&mut ChaCha8Rng::seed_from_u64(3));
    for (number, name) in names.iter().enumerate() {
        std::fs::copy(landing.folder.join(name), mixed.join(format!("{number:04}-{name}"))).unwrap();
    }
    landing.write_pipeline(&mixed, "mixed.toml");
    let (batch, waited, hurried) = (landing.shop.path("b"), landing.shop.path("w"), landing.shop.path("h"));
    done(&mut landing.command_on("mixed.toml", "run", &batch, &[]));
    let sets = ["stream.epoch_files=5", "stream.lateness=400d", "stream.refresh=9d"];
    done(&mut landing.command_on("mixed.toml", "stream", &waited, &sets));
    assert_eq!(differing_rows(&told(&batch), &told(&waited)), Vec::<String>::new());
    assert_eq!(query(&waited, "SELECT * FROM runs").len(), 1, "told anew once, in the end");

    done(&mut landing.command_on("mixed.toml", "stream", &hurried, &["stream.epoch_files=5", "stream.refresh=9d"]));
    let late = query(&hurried, "SELECT \"table\", COUNT(*) AS n FROM late_rows GROUP BY \"table\" ORDER BY \"table\"");
    assert!(late.len() >= 2 && late.iter().all(|row| row["n"].as_u64().unwrap() > 0), "{late:?}");
    // KPIs are corrected whatever came late; only scores keep what was known.
    let kpis = |out: &Path| {
        let mut rows = told(out);
        rows.retain(|name, _| {
            name.starts_with("kpi") || name.starts_with("satisfaction/") || name.starts_with("exceptions")
        });
        rows
    };
    assert_eq!(differing_rows(&kpis(&batch), &kpis(&hurried)), Vec::<String>::new());
}

#[test]
fn a_stream_goes_on_from_what_a_batch_has_read() {
    let landing = Landing::new(600, 7, 20);
    let batch = landing.batch();
    let half = landing.shop.path("half");
    std::fs::create_dir_all(&half).unwrap();
    landing.write_pipeline(&half, "half.toml");
    let mut names: Vec<PathBuf> =
        std::fs::read_dir(&landing.folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    names.sort();
    let out = landing.shop.path("on");
    for (verb, names) in [("run", &names[..names.len() / 2]), ("stream", &names[names.len() / 2..])] {
        for path in names {
            std::fs::copy(path, half.join(path.file_name().unwrap())).unwrap();
        }
        // A run's clock is where its files end.
        let last = names.last().unwrap().file_name().unwrap().to_string_lossy().into_owned();
        let clock = if verb == "run" { format!("{}T00:00:00Z", &last[..10]) } else { CLOCK.to_owned() };
        done(&mut landing.command_at("half.toml", verb, &out, &["stream.epoch_files=8"], &clock));
    }
    let differing = differing_rows(&batch, &told(&out));
    assert_eq!(differing, Vec::<String>::new());
}

/// Kills of one stream before it is let go to its end.
const KILLS_A_STREAM: u32 = 10;

/// How many streams are killed: ORDERSIGHT_KILLS asks for more than the suite has time for.
fn kills() -> u32 {
    std::env::var("ORDERSIGHT_KILLS").ok().and_then(|kills| kills.parse().ok()).unwrap_or(KILLS_A_STREAM)
}

#[test]
fn a_reader_that_polls_every_table_never_errs_and_sees_nothing_go() {
    let Some(python) = crate::harness::python() else { return };
    let landing = Landing::new(1_500, 9, 30);
    let (out, stop) = (landing.shop.path("out"), landing.shop.path("stop"));
    let script = root().join("tests/reference/polling.py");
    let poller = Command::new(python).arg(script).args([&out, &stop]).stdout(Stdio::piped()).spawn().unwrap();
    done(&mut landing.command("stream", &out, &["stream.epoch_files=4", "stream.refresh=1s"]));
    std::fs::write(stop, "").unwrap();
    let found = poller.wait_with_output().unwrap();
    let text = String::from_utf8_lossy(&found.stdout);
    eprintln!("{text}");
    assert!(found.status.success(), "{text}");
    let said: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert!(said["answers"].as_u64() > Some(50), "{text}");
    assert!(said["rows"]["order_scores"].as_u64() > Some(1_000), "{text}");
}

#[test]
fn a_stream_killed_at_any_moment_and_started_again_is_as_if_never_killed() {
    // The long form goes over some fifty epochs.
    let (days, files) = if kills() > KILLS_A_STREAM { (40, 3) } else { (20, 4) };
    let landing = Landing::new(25 * days, 8, days);
    let sets = [&format!("stream.epoch_files={files}"), WAITS[0], "stream.refresh=2s"];
    let calm = landing.shop.path("calm");
    let begun = Instant::now();
    done(&mut landing.command("stream", &calm, &sets));
    let (whole, calm) = (begun.elapsed(), told(&calm));
    let mut rng = ChaCha8Rng::seed_from_u64(15);
    let (mut alive, kills) = (0, kills());
    for round in 0..kills.div_ceil(KILLS_A_STREAM) {
        let out = landing.shop.path(&format!("out-{round}"));
        for _ in 0..KILLS_A_STREAM.min(kills - round * KILLS_A_STREAM) {
            let mut child =
                landing.command("stream", &out, &sets).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
            std::thread::sleep(whole.mul_f64(0.05 + 0.3 * rng.random::<f64>()));
            child.kill().unwrap();
            alive += u32::from(!child.wait().unwrap().success());
        }
        done(&mut landing.command("stream", &out, &sets));
        assert_eq!(differing_rows(&calm, &told(&out)), Vec::<String>::new(), "round {round}");
    }
    eprintln!("{alive} of {kills} were alive when killed");
    assert!(alive > 2 * kills / 5, "only {alive} of {kills} were alive when killed");

    // Stopped at every step of a commit, early and late in the stream.
    let out = landing.shop.path("steps");
    for step in Step::ALL {
        for time in [1, 7] {
            let at = format!("{}:{time}", step.name());
            let stopped = landing.command("stream", &out, &sets).env(FAIL_AT, &at).output().unwrap().status;
            assert!(stopped.signal() == Some(6) || stopped.success(), "{at}: {stopped}");
        }
    }
    done(&mut landing.command("stream", &out, &sets));
    assert_eq!(differing_rows(&calm, &told(&out)), Vec::<String>::new());
    let twice = "SELECT order_id FROM order_scores GROUP BY order_id HAVING COUNT(*) > 1";
    assert_eq!(query(&out, twice), Vec::<serde_json::Value>::new());
}

/// The files of the state of a stream whose names begin so.
fn state_files(out: &Path, begin: &str) -> Vec<PathBuf> {
    let folder = std::fs::read_dir(out.join("_state/stream")).unwrap().map(|entry| entry.unwrap().path());
    folder.filter(|path| path.file_name().unwrap().to_string_lossy().starts_with(begin)).collect()
}

#[test]
fn a_start_takes_up_the_checkpoint_and_without_one_that_it_can_use_takes_everything_anew() {
    let landing = Landing::new(400, 4, 16);
    let kept = landing.shop.path("kept");
    std::fs::create_dir(&kept).unwrap();
    let mut files: Vec<PathBuf> =
        std::fs::read_dir(&landing.folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    let late = files.split_off(files.len() * 2 / 3);
    let home = |path: &PathBuf| kept.join(path.file_name().unwrap());
    late.iter().for_each(|path| std::fs::rename(path, home(path)).unwrap());
    let sets = ["stream.epoch_files=8", WAITS[0], WAITS[1]];
    let begun = landing.shop.path("begun");
    let said = |out: &Path, sets: &[&str]| {
        let mut command = landing.command("stream", out, sets);
        done(command.env("ORDERSIGHT_LOG", "ordersight=info")).stderr
    };
    let first = said(&begun, &sets);
    assert!(!first.contains("checkpoint"), "{first}");
    late.iter().for_each(|path| std::fs::rename(home(path), path).unwrap());
    let calm = landing.batch();
    let took_up = |said: &str| said.contains("taken up from the checkpoint");
    let copy = |name: &str| {
        let out = landing.shop.path(name);
        assert!(
            Command::new("cp").args(["-r".as_ref(), begun.as_os_str(), out.as_os_str()]).status().unwrap().success()
        );
        out
    };
    assert_eq!(state_files(&begun, "checkpoint-").len(), 1);
    assert!(state_files(&begun, "rows-").len() >= 4);
    assert!(!begun.join("_state/stream-checkpoint").exists(), "what checkpoints are written in goes with the process");

    let out = copy("taken-up");
    let text = said(&out, &sets);
    assert!(took_up(&text), "{text}");
    assert_eq!(differing_rows(&calm, &told(&out)), Vec::<String>::new());
    // Files of checkpoints before are gone, and what is there is what the journal names.
    assert_eq!(state_files(&out, "checkpoint-").len(), 1);

    // A flipped bit, rows that are not there, another program's bytes: nothing of it is believed.
    type Spoil<'s> = (&'s str, &'s str, &'s dyn Fn(&Path));
    let spoil: [Spoil<'_>; 3] = [
        ("flipped", "checkpoint-", &|path| {
            let mut bytes = std::fs::read(path).unwrap();
            let middle = bytes.len() / 2;
            bytes[middle] ^= 4;
            std::fs::write(path, bytes).unwrap();
        }),
        ("cut", "rows-orders-", &|path| {
            let bytes = std::fs::read(path).unwrap();
            std::fs::write(path, &bytes[..bytes.len() / 2]).unwrap();
        }),
        ("gone", "rows-order_items-", &|path| std::fs::remove_file(path).unwrap()),
    ];
    for (name, begin, spoil) in spoil {
        let out = copy(name);
        spoil(&state_files(&out, begin)[0]);
        let text = said(&out, &sets);
        assert!(text.contains("the checkpoint cannot be used") && !took_up(&text), "{name}: {text}");
        assert_eq!(differing_rows(&calm, &told(&out)), Vec::<String>::new(), "{name}");
        let again = said(&out, &sets);
        assert!(took_up(&again), "{name}: there is a new one\n{text}\n{again}");
    }

    // Labels that ripen later: what was told is not what would be told now.
    let out = copy("others");
    let text = said(&out, &[&sets[..], &["risk.fraud.label.matures_after=20d"]].concat());
    assert!(text.contains("made by other settings") && !took_up(&text), "{text}");
}

/// Orders of a handful of columns that land in a folder.
pub(crate) const TINY: &str = r#"name = "tiny"
[time]
as_of = "2025-02-01T00:00:00Z"
[sources.orders]
path = "land"
format = "csv"
[tables.orders]
source = "orders"
columns = { order_id = "id", placed_at = "at", customer_id = "who", amount = "amount" }
[stream]
stable_for = "0s"
epoch = "100ms"
checkpoint_rows = 1
"#;

pub(crate) fn tiny() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir_all(folder.path().join("land")).unwrap();
    std::fs::write(folder.path().join("tiny.toml"), TINY).unwrap();
    folder
}

pub(crate) fn land(folder: &Path, name: &str, orders: std::ops::Range<u32>) {
    let mut text = "id,at,who,amount\n".to_owned();
    for n in orders {
        text.push_str(&format!("o{n},2025-01-{:02}T10:00:00Z,c{},{}.00\n", 1 + n % 28, n % 7, 10 + n));
    }
    std::fs::write(folder.join("land").join(name), text).unwrap();
}

pub(crate) fn stream(folder: &Path, more: &[&str]) -> Command {
    let mut command = ordersight(&["stream", "tiny.toml", "--out", "out"]);
    command.args(more).current_dir(folder);
    command
}

fn orders(folder: &Path) -> u64 {
    query(&folder.join("out"), "SELECT COUNT(*) AS n FROM order_scores")[0]["n"].as_u64().unwrap()
}

#[test]
fn the_whole_shop_is_told_beside_the_epochs_of_a_stream_that_goes_on() {
    let folder = tiny();
    land(folder.path(), "1.csv", 0..20);
    let mut child = stream(folder.path(), &[]).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let out = folder.path().join("out");
    let count = |table: &str| {
        let there = out.join(table).is_dir();
        let sql = format!("SELECT COUNT(*) AS n FROM {table}");
        if there { query(&out, &sql)[0]["n"].as_u64().unwrap() } else { 0 }
    };
    let wait_for = |table: &str, rows: u64| {
        let until = Instant::now() + Duration::from_secs(60);
        while count(table) < rows {
            assert!(Instant::now() < until, "{table} has {} rows, not {rows}", count(table));
            std::thread::sleep(Duration::from_millis(50));
        }
    };
    // The first epoch tells everything; what comes later is told by a look beside the epochs.
    wait_for("order_satisfaction", 20);
    for (name, orders) in [("2.csv", 20..30), ("3.csv", 30..35)] {
        let last = u64::from(orders.end);
        land(folder.path(), name, orders);
        wait_for("order_scores", last);
        wait_for("order_satisfaction", last);
    }
    assert!(count("runs") >= 3);
    Command::new("kill").arg(child.id().to_string()).status().unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(0));
    // What it left is what a batch tells, but for features of orders that came later than others placed after them.
    let batch = folder.path().join("batch");
    let mut command = ordersight(&["run", "tiny.toml", "--out", "batch"]);
    assert_eq!(finish(command.current_dir(folder.path())).code, 0);
    let [batch, out] = [batch, out].map(|out| {
        let mut rows = told(&out);
        rows.retain(|name, _| !name.starts_with("order_features"));
        rows
    });
    assert!(batch.keys().any(|name| name.starts_with("kpi")));
    assert_eq!(differing_rows(&batch, &out), Vec::<String>::new());
}

#[test]
fn a_file_that_cannot_be_read_is_set_aside_and_the_rest_goes_on() {
    let folder = tiny();
    land(folder.path(), "1.csv", 0..20);
    std::fs::write(folder.path().join("land/2.csv"), "nothing,of,the,kind\n1,2,3,4\n").unwrap();
    std::fs::write(folder.path().join("land/3.csv.part"), "id,at").unwrap();
    land(folder.path(), "4.csv", 20..30);
    let done = finish(&mut stream(folder.path(), &["--once"]));
    assert_eq!(done.code, 0, "{}", done.stderr);
    assert!(done.stderr.contains("set aside: 2.csv"), "{}", done.stderr);
    assert_eq!(orders(folder.path()), 30);
    let status = finish(&mut stream(folder.path(), &["--status"]));
    assert!(status.stdout.contains("aside"), "{}", status.stdout);
    // The same files again add nothing; a good one in place of the bad counts.
    land(folder.path(), "2.csv", 30..35);
    assert_eq!(finish(&mut stream(folder.path(), &["--once"])).code, 0);
    assert_eq!(orders(folder.path()), 35);
}

#[test]
fn a_second_stream_is_refused_and_a_signal_ends_the_first_after_its_epoch() {
    let folder = tiny();
    land(folder.path(), "1.csv", 0..20);
    let mut first = stream(folder.path(), &[]).stderr(Stdio::null()).spawn().unwrap();
    let until = Instant::now() + Duration::from_secs(30);
    while !folder.path().join("out/order_scores").is_dir() {
        assert!(Instant::now() < until, "nothing was published");
        std::thread::sleep(Duration::from_millis(50));
    }
    let second = finish(&mut stream(folder.path(), &["--once"]));
    assert_eq!(second.code, 5, "{}", second.stderr);
    assert!(second.stderr.contains(&format!("process {}", first.id())), "{}", second.stderr);
    land(folder.path(), "2.csv", 20..25);
    while orders(folder.path()) < 25 {
        assert!(Instant::now() < until, "what landed later was not taken");
        std::thread::sleep(Duration::from_millis(50));
    }
    let signalled = Command::new("kill").args(["-TERM", &first.id().to_string()]).status().unwrap();
    assert!(signalled.success());
    assert_eq!(first.wait().unwrap().code(), Some(0));
}

#[test]
fn lines_of_standard_input_count_once_also_when_they_are_replayed() {
    let folder = tiny();
    let lines: Vec<String> = (0..40)
        .map(|n| format!(r#"{{"source":"orders","id":"o{n}","at":"2025-01-05T10:00:00Z","who":"c","amount":"5.00"}}"#))
        .collect();
    let feed = |lines: &[String], more: &[&str]| {
        let mut child = stream(folder.path(), &[&["--once", "--stdin"], more].concat())
            .stdin(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let text = lines.join("\n") + "\n{\"source\":\"nobody\"}\n";
        child.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
        let done = child.wait_with_output().unwrap();
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    };
    feed(&lines[..25], &[]);
    assert_eq!(orders(folder.path()), 25);
    feed(&lines, &["--replayed"]);
    // Line 26 of the first input was no record; of the second it is an order that was skipped.
    assert_eq!(orders(folder.path()), 39);
    feed(&lines[25..26], &[]);
    assert_eq!(orders(folder.path()), 40);
}

#[test]
fn a_line_that_is_no_record_stands_in_quarantine_with_its_number_and_its_reason() {
    let folder = tiny();
    let feed = |text: &str| {
        let mut command = stream(folder.path(), &["--once", "--stdin"]);
        let mut child = command.stdin(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        child.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
        let done = child.wait_with_output().unwrap();
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    };
    let line =
        |n: u32, at: &str| format!(r#"{{"source":"orders","id":"o{n}","at":"{at}","who":"c","amount":"5.00"}}"#) + "\n";
    let good = line(1, "2025-01-05T10:00:00Z");
    feed(&format!("{good}[1]\n{{\"source\":\"nobody\"}}\n{}", line(2, "yesterday")));
    // Nobody's record at all: that an epoch has nothing else is no reason to lose it.
    feed("{\"a\":\n");
    feed(&line(3, "2025-01-06T10:00:00Z"));
    let found = query(
        &folder.path().join("out"),
        "SELECT source, file, \"row\", reason, raw_record FROM quarantine ORDER BY file, reason, \"row\"",
    );
    let found: Vec<[String; 4]> = found
        .iter()
        .map(|row| ["source", "file", "row", "reason"].map(|name| row[name].to_string().replace('"', "")))
        .collect();
    let expected = [
        ["stdin", "stdin", "2", "not_an_object"],
        ["stdin", "stdin", "1", "not_json"],
        ["stdin", "stdin", "3", "unknown_source"],
        ["orders", "stdin-0000000001", "2", "not_a_date"],
    ];
    assert_eq!(found, expected.map(|row| row.map(str::to_owned)));
    assert_eq!(orders(folder.path()), 2);
    let status = std::fs::read_to_string(folder.path().join("out/_state/stream-status.json")).unwrap();
    let status: serde_json::Value = serde_json::from_str(&status).unwrap();
    assert_eq!((&status["lines_refused"], &status["rows_quarantined"]), (&3.into(), &4.into()));
    assert!(status["state_bytes"].as_u64() > Some(0));
}

#[test]
fn a_producer_whose_lines_are_no_records_is_refused_once_they_are_many() {
    let folder = tiny();
    let feed = |text: String| {
        let mut command = stream(folder.path(), &["--once", "--stdin"]);
        let mut child = command.stdin(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        child.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
        let done = child.wait_with_output().unwrap();
        (done.status.code(), String::from_utf8_lossy(&done.stderr).into_owned())
    };
    let line = |n: u32| {
        format!(r#"{{"source":"orders","id":"o{n}","at":"2025-01-05T10:00:00Z","who":"c","amount":"5.00"}}"#) + "\n"
    };
    let (code, said) = feed(line(1) + &"GET / HTTP/1.1\n".repeat(1_000));
    assert_eq!(code, Some(0), "{said}");
    let (code, said) = feed(line(2) + "GET / HTTP/1.1\n");
    assert_eq!(code, Some(3), "{said}");
    assert!(said.contains("1001 of 1003 lines") && said.contains("the limit is 5.0 %"), "{said}");
    assert_eq!(orders(folder.path()), 1, "nothing of that epoch counts");
    let refused = query(&folder.path().join("out"), "SELECT COUNT(*) AS n FROM quarantine");
    assert_eq!(refused[0]["n"].as_u64(), Some(1_000));
}

#[test]
fn a_column_that_no_record_has_yet_is_no_reason_to_refuse_the_first_lines() {
    let folder = tiny();
    let pipeline = TINY.replace("amount = \"amount\"", "amount = \"amount\", channel = \"via\"");
    std::fs::write(folder.path().join("tiny.toml"), pipeline).unwrap();
    let mut child =
        stream(folder.path(), &["--once", "--stdin"]).stdin(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let text =
        "{\"source\":\"orders\",\"id\":\"o1\",\"at\":\"2025-01-05T10:00:00Z\",\"who\":\"c\",\"amount\":\"5.00\"}\n";
    child.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    let done = child.wait_with_output().unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    assert_eq!(orders(folder.path()), 1);
}

#[test]
fn a_full_disk_ends_a_stream_cleanly_and_it_goes_on_when_there_is_room() {
    let folder = tiny();
    let Some(disk) = SmallDisk::new(&folder.path().join("disk"), 8 << 10) else { return };
    land(folder.path(), "1.csv", 0..2_000);
    let out = disk.0.join("out");
    let run = |code: i32| {
        let mut command = ordersight(&["stream", "tiny.toml", "--once", "--out", &out.display().to_string()]);
        let done = finish(command.current_dir(folder.path()));
        assert_eq!(done.code, code, "{}", done.stderr);
    };
    for left in [0, 40, 200] {
        disk.leave(left);
        run(5);
    }
    disk.leave(7_000);
    run(0);
    assert_eq!(query(&out, "SELECT COUNT(*) AS n FROM order_scores")[0]["n"], 2_000);
}
