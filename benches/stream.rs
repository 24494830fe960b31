//! A stream measured: how many orders a second it takes in, how long from a landed file to readable scores, and how long a
//! start takes that goes on from what was there.
//!
//! `cargo bench --bench stream -- ORDERS [TOGETHER [PER_SECOND SECONDS]] [TABLE,TABLE…]` makes a shop of ORDERS orders with
//! their lines, events, returns, tickets and feedback, trains `boosted` models, lands TOGETHER (20,000 if not given) orders at
//! a time with everything that happened since, and follows them until the scores of all are readable, as of the shop's end.
//! Then the stream is started again to look at the whole shop, and once more with nothing to do. With PER_SECOND, a second's
//! orders land once a second for SECONDS seconds, and the time from each landing to the commit that has its orders is measured.
//! With names of tables, only these land. `RUST_LOG=ordersight=debug` tells how long each stage of each epoch takes.
#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a bench prints its figures and stops at the first error"
)]

use ordersight::config::Pipeline;
use ordersight::contract::output::COMMITS_DIR;
use ordersight::intake::Stop;
use ordersight::pipeline::{Clock, StreamOptions, TrainOptions, stream, train};
use ordersight::publish::snapshot;
use ordersight::risk::Target;
use ordersight::synthetic::{ShopSpec, generate};
use polars::prelude::*;
use std::collections::HashMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::{Duration, Instant};

fn main() {
    tracing_subscriber::fmt().with_env_filter(tracing_subscriber::EnvFilter::from_default_env()).init();
    let numbers: Vec<u64> = std::env::args().skip(1).filter_map(|a| a.parse().ok()).collect();
    let at = |place: usize, default: u64| numbers.get(place).copied().unwrap_or(default);
    let (orders, of_file) = (at(0, 100_000), at(1, 20_000));
    let named: Vec<String> = std::env::args().skip(1).filter(|a| a.starts_with("orders")).collect();
    let lands = |table: &str| named.is_empty() || named.iter().any(|names| names.split(',').any(|name| name == table));
    let folder = tempfile::tempdir().unwrap();
    let input = folder.path().join("input");
    let shop = generate(&ShopSpec { orders, days: 120, dirty_share: 0.0, ..ShopSpec::default() }, &input, &mut |_| {})
        .unwrap();
    let whole = pipeline(&input, None, &[]);
    let clock = Clock { as_of: shop.end, started_at: 0 };
    let models = folder.path().join("models");
    let training = TrainOptions {
        out: folder.path().join("training"),
        models: models.clone(),
        clock,
        secret: None,
        family: Some(ordersight::risk::Family::Boosted),
        seed: 1,
    };
    train(&whole, &[Target::Fraud, Target::Return], &training, &|_| {}).unwrap();

    let land = folder.path().join("land");
    let files = cut(&input, &land, of_file);
    for (table, _, _) in TABLES.iter().filter(|(table, _, _)| !lands(table)) {
        for file in std::fs::read_dir(&land).unwrap().map(|file| file.unwrap().path()) {
            let is_of_table =
                file.file_stem().and_then(|stem| stem.to_str()).is_some_and(|s| s.ends_with(&format!("-{table}")));
            if is_of_table {
                std::fs::remove_file(file).unwrap();
            }
        }
    }
    let sets = ["stream.refresh=\"9d\"", "stream.stable_for=\"0s\"", "stream.epoch_files=6"];
    let lines = pipeline(&input, Some(&land), &sets);
    let out = folder.path().join("out");
    let options = |once: bool| StreamOptions {
        out: out.clone(),
        models: models.clone(),
        as_of: Some(shop.end),
        secret: None,
        once,
        lines: None,
        replayed: false,
        now: || chrono::Utc::now().timestamp_micros(),
    };
    println!("{orders} orders in {files} landings");
    let (begun, stop, processor) = (Instant::now(), Stop::manual(), processor_seconds());
    std::thread::scope(|scope| {
        let (stopping, options) = (stop.clone(), options(false));
        let lines = &lines;
        scope.spawn(move || stream(lines, options, &stopping, &|_| {}).unwrap());
        let (mut first, mut readable) = (None, Readable::default());
        let took = loop {
            let (now, done) = (begun.elapsed().as_secs_f64(), readable.look(&out));
            if done > 0 {
                first.get_or_insert((now, done));
            }
            if done >= orders {
                break now;
            }
            std::thread::sleep(Duration::from_millis(50));
        };
        println!("scored and published   {took:>8.2} s {:>9.0} orders/s", orders as f64 / took);
        if let Some((since, done)) = first.filter(|(_, done)| *done < orders) {
            // Nothing is done beside the first epoch but to read what landed with it.
            println!("from the second epoch on            {:>9.0} orders/s", (orders - done) as f64 / (took - since));
        }
        let micros = (processor_seconds() - processor) * 1e6 / orders as f64;
        println!("processor time                      {micros:>9.1} µs an order");
        println!("peak memory            {:>8.0} MiB", peak_memory_mib());
        stop.set();
    });
    for what in ["the whole shop, once  ", "started again         "] {
        let begun = Instant::now();
        stream(&lines, options(true), &Stop::manual(), &|_| {}).unwrap();
        println!("{what} {:>8.2} s", begun.elapsed().as_secs_f64());
    }
    println!("peak memory            {:>8.0} MiB", peak_memory_mib());

    if let (Some(per_second), Some(seconds)) = (numbers.get(2), numbers.get(3)) {
        delays(&input, folder.path(), *per_second, *seconds, options(false));
    }
}

/// The demo's pipeline over files as they lie in a folder, or over the shop as it was made.
fn pipeline(input: &Path, landing: Option<&Path>, sets: &[&str]) -> Pipeline {
    let text = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("pipelines/demo.toml")).unwrap();
    let mut text = text;
    for (table, ending, _) in TABLES {
        let Some(folder) = landing else { continue };
        let of_demo = format!("${{ORDERSIGHT_DEMO_DATA:-../out/demo/input}}/{table}.{ending}");
        assert!(text.contains(&of_demo), "{of_demo}");
        text = text.replace(&of_demo, &folder.join(format!("*-{table}.{ending}")).display().to_string());
    }
    let data = input.display().to_string();
    let sets: Vec<String> = sets.iter().map(|set| (*set).to_owned()).collect();
    let base = Path::new(env!("CARGO_MANIFEST_DIR")).join("pipelines");
    Pipeline::parse(&text, "demo.toml", &base, &sets, &|_| Some(data.clone())).unwrap()
}

/// Rows of scores that can be read: looked for when there is another commit, so that asking takes little from what is measured.
#[derive(Default)]
struct Readable {
    commits: Vec<OsString>,
    rows: u64,
}

impl Readable {
    fn look(&mut self, out: &Path) -> u64 {
        let entries = std::fs::read_dir(out.join(COMMITS_DIR)).into_iter().flatten().flatten();
        let mut commits: Vec<OsString> = entries.map(|entry| entry.file_name()).collect();
        commits.sort();
        if commits != self.commits {
            self.commits = commits;
            let found = snapshot(out).ok().flatten().and_then(|s| s.tables.get("order_scores").cloned());
            self.rows = found.map_or(0, |table| table.files.iter().map(|file| file.rows).sum());
        }
        self.rows
    }
}

/// Tables that land, how their files end, and the column of their time; lines come with their orders.
const TABLES: [(&str, &str, &str); 6] = [
    ("orders", "csv", "placed_at"),
    ("order_items", "parquet", ""),
    ("order_events", "parquet", "occurred_at"),
    ("returns", "csv", "requested_at"),
    ("feedback", "csv", "received_at"),
    ("tickets", "ndjson", "opened_at"),
];

/// Cuts a shop into what lands together: so many orders, and everything that happened up to the last of them. How many there
/// are; what happens after the last order comes with it.
fn cut(input: &Path, land: &Path, of_file: u64) -> u64 {
    std::fs::create_dir_all(land).unwrap();
    let mut cuts: Vec<String> = Vec::new();
    let mut of_order: HashMap<String, usize> = HashMap::new();
    let mut times: Vec<(String, String)> =
        csv_rows(&input.join("orders.csv")).map(|record| (record[1].to_owned(), record[0].to_owned())).collect();
    times.sort();
    for (number, (at, id)) in times.into_iter().enumerate() {
        let cut = number / of_file as usize;
        cuts.resize(cut + 1, String::new());
        cuts[cut] = at;
        of_order.insert(id, cut);
    }
    let last = cuts.len() - 1;
    let by_time = |at: &str| cuts.partition_point(|end| end.as_str() < at).min(last);
    for (table, ending, clock) in TABLES {
        let path = input.join(format!("{table}.{ending}"));
        let to = |cut: usize| land.join(format!("t{cut:06}-{table}.{ending}"));
        match ending {
            "csv" => {
                let mut reader = csv::Reader::from_path(&path).unwrap();
                let header = reader.headers().unwrap().clone();
                let column = header.iter().position(|name| name == clock).unwrap();
                let mut parts: Vec<Vec<csv::StringRecord>> = vec![Vec::new(); cuts.len()];
                for record in reader.records().map(Result::unwrap) {
                    let cut = if table == "orders" { of_order[&record[0]] } else { by_time(&record[column]) };
                    parts[cut].push(record);
                }
                for (cut, part) in parts.iter().enumerate().filter(|(_, part)| !part.is_empty()) {
                    let mut writer = csv::Writer::from_path(to(cut)).unwrap();
                    writer.write_record(&header).unwrap();
                    part.iter().for_each(|record| writer.write_record(record).unwrap());
                    writer.flush().unwrap();
                }
            }
            "ndjson" => {
                let mut parts: Vec<String> = vec![String::new(); cuts.len()];
                for line in std::fs::read_to_string(&path).unwrap().lines() {
                    let at = line.split(&format!("\"{clock}\":\"")).nth(1).unwrap().split('"').next().unwrap();
                    let part = &mut parts[by_time(at)];
                    part.push_str(line);
                    part.push('\n');
                }
                for (cut, part) in parts.iter().enumerate().filter(|(_, part)| !part.is_empty()) {
                    std::fs::write(to(cut), part).unwrap();
                }
            }
            _ => {
                let frame = ParquetReader::new(std::fs::File::open(&path).unwrap()).finish().unwrap();
                let mut parts: Vec<Vec<IdxSize>> = vec![Vec::new(); cuts.len()];
                let ids = frame.column("order_id").unwrap().str().unwrap();
                let ends: Vec<i64> = cuts.iter().map(|end| parse_instant(end)).collect();
                let clock = (!clock.is_empty()).then(|| frame.column(clock).unwrap().to_physical_repr());
                for row in 0..frame.height() {
                    let cut = match &clock {
                        None => of_order[ids.get(row).unwrap()],
                        Some(clock) => {
                            let at = clock.i64().unwrap().get(row).unwrap_or(0);
                            ends.partition_point(|end| *end < at).min(last)
                        }
                    };
                    parts[cut].push(row as IdxSize);
                }
                for (cut, part) in parts.into_iter().enumerate().filter(|(_, part)| !part.is_empty()) {
                    let mut rows = frame.take(&IdxCa::from_vec("rows".into(), part)).unwrap();
                    ParquetWriter::new(std::fs::File::create(to(cut)).unwrap()).finish(&mut rows).unwrap();
                }
            }
        }
    }
    cuts.len() as u64
}

fn csv_rows(path: &Path) -> impl Iterator<Item = csv::StringRecord> {
    csv::Reader::from_path(path).unwrap().into_records().map(Result::unwrap)
}

fn parse_instant(text: &str) -> i64 {
    chrono::DateTime::parse_from_rfc3339(text).unwrap().timestamp_micros()
}

/// Files of a second's orders, landing once a second: from landing to commit.
fn delays(input: &Path, folder: &Path, per_second: u64, seconds: u64, options: StreamOptions) {
    let (cuts, land, out) = (folder.join("cuts"), folder.join("live"), folder.join("live-out"));
    cut(input, &cuts, per_second);
    std::fs::create_dir_all(&land).unwrap();
    let sets = ["stream.refresh=\"10s\"", "stream.stable_for=\"0s\"", "stream.epoch=\"200ms\""];
    let live = pipeline(input, Some(&land), &sets);
    let stop = Stop::manual();
    let landed: Mutex<Vec<Instant>> = Mutex::new(Vec::new());
    let mut waits: Vec<Duration> = Vec::new();
    std::thread::scope(|scope| {
        let options = StreamOptions { out: out.clone(), as_of: None, ..options };
        let (live, stopping) = (&live, stop.clone());
        scope.spawn(move || stream(live, options, &stopping, &|_| {}).unwrap());
        let (landing, cuts) = (&landed, &cuts);
        scope.spawn(move || {
            for number in 0..seconds {
                // Orders come last, so that a landing is complete when they are there.
                for (table, ending, _) in TABLES.iter().rev() {
                    let name = format!("t{number:06}-{table}.{ending}");
                    let from: PathBuf = cuts.join(&name);
                    if from.exists() {
                        std::fs::rename(from, land.join(&name)).unwrap();
                    }
                }
                landing.lock().unwrap().push(Instant::now());
                std::thread::sleep(Duration::from_secs(1));
            }
        });
        let until = Instant::now() + Duration::from_secs(seconds + 30);
        let mut readable = Readable::default();
        while (waits.len() as u64) < seconds && Instant::now() < until {
            let rows = readable.look(&out);
            let landed = landed.lock().unwrap().clone();
            while (waits.len() as u64) < rows / per_second && waits.len() < landed.len() {
                waits.push(landed[waits.len()].elapsed());
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        stop.set();
    });
    waits.sort();
    let at =
        |share: f64| waits.get(((waits.len() as f64 - 1.0) * share) as usize).map_or(f64::NAN, Duration::as_secs_f64);
    println!(
        "{per_second} orders/s for {seconds} s: from landing to readable p50 {:.2} s, p99 {:.2} s, longest {:.2} s ({} files)",
        at(0.5),
        at(0.99),
        at(1.0),
        waits.len()
    );
}

/// Processor time of all threads so far, in the ticks of a hundredth of a second that Linux counts.
fn processor_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    // Behind the name in parentheses the state is the third field, user and system time are the 14th and 15th.
    let fields = stat.rsplit(')').next().unwrap_or_default().split_whitespace().skip(11).take(2);
    fields.map(|ticks| ticks.parse::<f64>().unwrap_or(f64::NAN)).sum::<f64>() / 100.0
}

fn peak_memory_mib() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("VmHWM:"));
    let kib = line.and_then(|line| line.split_whitespace().nth(1)).and_then(|kib| kib.parse::<f64>().ok());
    kib.map_or(f64::NAN, |kib| kib / 1024.0)
}
