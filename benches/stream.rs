//! A stream measured: how many orders a second it takes in, how long from a landed file to readable scores, and how long a
//! start takes that goes on from what was there.
//!
//! `cargo bench --bench stream -- ORDERS [FILE_ORDERS [PER_SECOND SECONDS]]` makes a shop of ORDERS orders with their lines,
//! trains `boosted` models, lands the orders in files of FILE_ORDERS (20,000 if not given) and streams them as of the shop's
//! end; `refresh` is so long that the whole shop is told once, in the end, which is timed apart. Then the stream is started
//! once more with nothing new. With PER_SECOND, files of a second's orders land once a second for SECONDS seconds, and the
//! time from each landing to the commit that has its orders is measured.
#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a bench prints its figures and stops at the first error"
)]

use ordersight::config::Pipeline;
use ordersight::intake::Stop;
use ordersight::pipeline::{Clock, StreamOptions, TrainOptions, stream, train};
use ordersight::publish::snapshot;
use ordersight::risk::Target;
use ordersight::synthetic::{ShopSpec, generate};
use std::io::{BufRead, BufReader, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::{Duration, Instant};

fn main() {
    // RUST_LOG=ordersight=debug tells how long each stage of each epoch takes.
    tracing_subscriber::fmt().with_env_filter(tracing_subscriber::EnvFilter::from_default_env()).init();
    let numbers: Vec<u64> = std::env::args().skip(1).filter_map(|a| a.parse().ok()).collect();
    let at = |place: usize, default: u64| numbers.get(place).copied().unwrap_or(default);
    let (orders, of_file) = (at(0, 100_000), at(1, 20_000));
    let folder = tempfile::tempdir().unwrap();
    let input = folder.path().join("input");
    let shop = generate(&ShopSpec { orders, dirty_share: 0.0, ..ShopSpec::default() }, &input, &mut |_| {}).unwrap();
    let whole = pipeline(&input, "orders.csv", &input, &[]);
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
    let files = cut(&input.join("orders.csv"), &land, of_file);
    let lines = pipeline(
        &input,
        "*.csv",
        &land,
        &["stream.refresh=\"9d\"", "stream.stable_for=\"0s\"", "stream.epoch_files=1"],
    );
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
    println!("{orders} orders in {files} files");
    let seen: Mutex<Vec<(String, Instant)>> = Mutex::new(Vec::new());
    let begun = Instant::now();
    let tick = |message: &str| {
        if message.starts_with("epoch") || message == "KPIs" {
            seen.lock().unwrap().push((message.to_owned(), Instant::now()));
        }
    };
    stream(&lines, options(true), &Stop::manual(), &tick).unwrap();
    let ended = begun.elapsed();
    // What comes from the look at the whole shop on is not of the epochs.
    let marks = seen.into_inner().unwrap();
    let told = marks.iter().rfind(|(message, _)| message == "KPIs").map_or(ended, |(_, at)| at.duration_since(begun));
    println!(
        "scored and published   {:>8.2} s {:>9.0} orders/s",
        told.as_secs_f64(),
        orders as f64 / told.as_secs_f64()
    );
    println!("the whole shop, once   {:>8.2} s", (ended - told).as_secs_f64());
    println!("peak memory            {:>8.0} MiB", peak_memory_mib());
    let begun = Instant::now();
    stream(&lines, options(true), &Stop::manual(), &|_| {}).unwrap();
    println!("started again          {:>8.2} s", begun.elapsed().as_secs_f64());

    if let (Some(per_second), Some(seconds)) = (numbers.get(2), numbers.get(3)) {
        delays(&input, folder.path(), *per_second, *seconds, options(false));
    }
}

/// The demo's pipeline over a shop's orders, as they lie in a folder, and its lines. What comes with a parcel is left out.
fn pipeline(input: &Path, orders: &str, folder: &Path, sets: &[&str]) -> Pipeline {
    let text = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("pipelines/demo.toml")).unwrap();
    let text = text
        .replace("${ORDERSIGHT_DEMO_DATA:-../out/demo/input}/orders.csv", &folder.join(orders).display().to_string());
    let data = input.display().to_string();
    let sets: Vec<String> = sets.iter().map(|set| (*set).to_owned()).collect();
    let base = Path::new(env!("CARGO_MANIFEST_DIR")).join("pipelines");
    Pipeline::parse(&text, "demo.toml", &base, &sets, &|_| Some(data.clone())).unwrap()
}

/// Cuts a CSV file into files of so many records; how many there are.
fn cut(orders: &Path, land: &Path, of_file: u64) -> u64 {
    std::fs::create_dir_all(land).unwrap();
    let mut lines = BufReader::new(std::fs::File::open(orders).unwrap()).lines();
    let header = lines.next().unwrap().unwrap();
    let (mut number, mut held, mut writer) = (0, of_file, None);
    for line in lines {
        if held == of_file {
            let path = land.join(format!("{number:06}.csv"));
            let mut file = BufWriter::new(std::fs::File::create(path).unwrap());
            writeln!(file, "{header}").unwrap();
            (number, held, writer) = (number + 1, 0, Some(file));
        }
        writeln!(writer.as_mut().unwrap(), "{}", line.unwrap()).unwrap();
        held += 1;
    }
    number
}

/// Files of a second's orders, landing once a second: from landing to commit.
fn delays(input: &Path, folder: &Path, per_second: u64, seconds: u64, options: StreamOptions) {
    let (cuts, land, out) = (folder.join("cuts"), folder.join("live"), folder.join("live-out"));
    cut(&input.join("orders.csv"), &cuts, per_second);
    std::fs::create_dir_all(&land).unwrap();
    let sets = ["stream.refresh=\"9d\"", "stream.stable_for=\"0s\"", "stream.epoch=\"200ms\""];
    let live = pipeline(input, "*.csv", &land, &sets);
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
                let name = format!("{number:06}.csv");
                let from: PathBuf = cuts.join(&name);
                if !from.exists() {
                    break;
                }
                std::fs::rename(from, land.join(&name)).unwrap();
                landing.lock().unwrap().push(Instant::now());
                std::thread::sleep(Duration::from_secs(1));
            }
        });
        let until = Instant::now() + Duration::from_secs(seconds + 30);
        while (waits.len() as u64) < seconds && Instant::now() < until {
            // Orders that anybody can read by now, by the commit.
            let found = snapshot(&out).ok().flatten().and_then(|s| s.tables.get("order_scores").cloned());
            let rows: u64 = found.map_or(0, |table| table.files.iter().map(|file| file.rows).sum());
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

fn peak_memory_mib() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("VmHWM:"));
    let kib = line.and_then(|line| line.split_whitespace().nth(1)).and_then(|kib| kib.parse::<f64>().ok());
    kib.map_or(f64::NAN, |kib| kib / 1024.0)
}
