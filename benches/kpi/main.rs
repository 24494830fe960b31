//! The KPI engine measured: the full catalogue over more and more synthetic orders, and ten KPIs against DuckDB.
//!
//! `cargo bench --bench kpi -- [ORDERS…]`, one million if none is given. A shop of so many orders is generated and made
//! typed Parquet, in order of `order_id`, once; it stays in `ORDERSIGHT_BENCH_DIR` (a temporary folder if not set). Then,
//! each in a process of its own: every KPI and satisfaction measure by four segments and all grains, from Parquet to the
//! rows of the table; and ten KPIs by the same segments, by day, week, month and all, by us and by DuckDB in turns, with
//! equal rows. What came out stands in `benches/README.md`.
#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a bench prints its figures and stops at the first error"
)]

mod parts;

use ordersight::kpi::catalogue::catalogue;
use ordersight::kpi::{Availability, Clock, Grain, Measure, Settings, Terms, Whole, count_each};
use ordersight::synthetic::{ShopSpec, generate};
use ordersight::types::time::{DAY, parse_instant};
use polars::prelude::*;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

/// The day on which the shop is exported.
const AS_OF: &str = "2026-01-22T00:00:00Z";
const SEGMENTS: [&str; 4] = ["channel", "ship_country", "carrier", "channel+carrier"];
const TEN: [&str; 10] = [
    "orders",
    "gross_sales",
    "average_order_value",
    "cancel_rate",
    "pre_fulfilment_cancel_rate",
    "order_defect_rate",
    "click_to_door",
    "late_shipment_rate",
    "return_rate_orders",
    "return_rate_revenue",
];
/// Turns of each side.
const ROUNDS: usize = 3;
/// Columns that KPIs ask for. Others of the typed tables, and there are as many, are not read.
const COLUMNS: [(&str, &[&str]); 6] = [
    (
        "orders",
        &[
            "order_id",
            "placed_at",
            "customer_id",
            "amount",
            "units",
            "status",
            "paid_at",
            "approved_at",
            "promised_ship_at",
            "shipped_at",
            "promised_delivery_at",
            "delivered_at",
            "cancelled_at",
            "cancelled_by",
            "cancel_reason",
            "fraud",
            "fraud_known_at",
            "channel",
            "ship_country",
            "carrier",
        ],
    ),
    ("order_items", &["order_id", "line", "quantity", "shipped_quantity"]),
    ("order_events", &["order_id", "event", "occurred_at", "known_at", "detail"]),
    (
        "returns",
        &[
            "return_id",
            "order_id",
            "line",
            "kind",
            "requested_at",
            "reason",
            "approved_at",
            "rejected_at",
            "received_at",
            "refunded_at",
            "replacement_shipped_at",
            "replacement_received_at",
            "closed_at",
            "amount",
            "quantity",
        ],
    ),
    (
        "tickets",
        &[
            "ticket_id",
            "order_id",
            "kind",
            "opened_at",
            "first_reply_at",
            "solved_at",
            "last_solved_at",
            "topic",
            "language",
            "agent_language",
            "outcome",
            "amount",
        ],
    ),
    ("feedback", &["feedback_id", "order_id", "received_at", "scale", "score", "replied_at", "response_offered_at"]),
];
/// Columns that the ten ask for.
const OF_TEN: [(&str, &[&str]); 4] = [
    (
        "orders",
        &[
            "order_id",
            "placed_at",
            "customer_id",
            "amount",
            "status",
            "promised_ship_at",
            "shipped_at",
            "delivered_at",
            "cancelled_at",
            "cancelled_by",
            "channel",
            "ship_country",
            "carrier",
        ],
    ),
    ("returns", &["order_id", "requested_at", "amount"]),
    ("tickets", &["order_id", "kind", "outcome"]),
    ("feedback", &["order_id", "scale", "score"]),
];

fn main() {
    // Cargo itself passes `--bench`.
    let args: Vec<String> = std::env::args().skip(1).filter(|arg| !arg.starts_with("--")).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    match args.as_slice() {
        // What the bench starts as processes of their own, so that time and memory are those of one thing.
        ["whole", typed] => whole(Path::new(typed), None),
        // Only by hand: to compare what two versions count.
        ["whole", typed, out] => whole(Path::new(typed), Some(Path::new(out))),
        ["ten", typed, out] => ten(Path::new(typed), Path::new(out)),
        [] => bench(1_000_000),
        orders => orders.iter().for_each(|orders| bench(orders.parse().unwrap())),
    }
}

fn bench(orders: u64) {
    let temporary = tempfile::tempdir().unwrap();
    let folder = std::env::var_os("ORDERSIGHT_BENCH_DIR").map_or(temporary.path().to_owned(), PathBuf::from);
    let typed = typed(&folder, orders);
    let typed = typed.display().to_string();
    println!("{orders} orders");
    print!("{}", ours(&["whole", &typed]).1);

    let path = |name: &str| folder.join(format!("{name}_{orders}.parquet")).display().to_string();
    let (our_rows, their_rows) = (path("ours"), path("theirs"));
    // Seconds, processor seconds and MiB of each turn.
    let (mut our_turns, mut their_turns) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        our_turns.push(turn(ours(&["ten", &typed, &our_rows])));
        their_turns.push(turn(duckdb(&["ten", &typed, AS_OF, &their_rows])));
    }
    println!("ten KPIs, median of {ROUNDS}, equal {}", duckdb(&["compare", &our_rows, &their_rows]).1.trim());
    for (who, turns) in [("ours", our_turns), ("DuckDB", their_turns)] {
        let of = |figure: usize| median(turns.iter().map(|turn| turn[figure]).collect());
        println!("  {who:<8} {:>8.2} s, processor {:>8.2} s, peak {:>6.0} MiB", of(0), of(1), of(2));
    }
}

/// How long a process took, and what it printed: its peak memory and processor time.
fn turn((seconds, printed): (f64, String)) -> [f64; 3] {
    let figures: Vec<f64> = printed.split_whitespace().map(|figure| figure.parse().unwrap()).collect();
    [seconds, figures[1], figures[0]]
}

/// The shop of so many orders as typed Parquet, made if it is not there.
fn typed(folder: &Path, orders: u64) -> PathBuf {
    let typed = folder.join(format!("typed_{orders}"));
    if !typed.join("feedback.parquet").is_file() {
        let shop = folder.join(format!("shop_{orders}"));
        let spec = ShopSpec { orders, seed: 1, ..ShopSpec::default() };
        generate(&spec, &shop, &mut |_| {}).unwrap();
        duckdb(&["prepare", &shop.display().to_string(), &typed.display().to_string()]);
        std::fs::remove_dir_all(&shop).unwrap();
    }
    typed
}

/// Seconds from start to end, and what the process printed.
fn run(command: &mut Command) -> (f64, String) {
    let begun = Instant::now();
    let done = command.output().unwrap();
    let seconds = begun.elapsed().as_secs_f64();
    assert!(done.status.success(), "{command:?}: {}", String::from_utf8_lossy(&done.stderr));
    (seconds, String::from_utf8_lossy(&done.stdout).into_owned())
}

fn ours(args: &[&str]) -> (f64, String) {
    run(Command::new(std::env::current_exe().unwrap()).args(args))
}

fn duckdb(args: &[&str]) -> (f64, String) {
    let python = std::env::var("ORDERSIGHT_PYTHON").unwrap_or_else(|_| "python3".to_owned());
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/reference/kpi_bench.py");
    run(Command::new(python).arg(script).args(args))
}

fn terms() -> Terms {
    Terms { as_of: parse_instant(AS_OF).unwrap(), zone: "Europe/Berlin".parse().unwrap(), return_window: 30 * DAY }
}

/// Every measure there is.
fn whole(typed: &Path, out: Option<&Path>) {
    let (begun, processor) = (Instant::now(), processor_seconds());
    let (kpis, satisfaction) = (catalogue(&terms()), ordersight::satisfaction::catalogue());
    let counted = counted(typed, &COLUMNS, &[&kpis, &satisfaction], &Settings::default());
    let (seconds, processor) = (begun.elapsed().as_secs_f64(), processor_seconds() - processor);
    let measures: usize = counted.iter().map(|(_, measures)| measures).sum();
    let rows: usize = counted.iter().map(|(frame, _)| frame.height()).sum();
    println!(
        "  {measures} measures, {rows} rows {seconds:>8.2} s, processor {processor:.2} s, peak {:.0} MiB",
        peak_memory_mib()
    );
    for (mut frame, name) in counted.into_iter().map(|(frame, _)| frame).zip(["kpi.parquet", "satisfaction.parquet"]) {
        let Some(out) = out else { continue };
        ParquetWriter::new(std::fs::File::create(out.join(name)).unwrap()).finish(&mut frame).unwrap();
    }
}

/// The ten KPIs that DuckDB counts too.
fn ten(typed: &Path, out: &Path) {
    let chosen: Vec<Measure> = catalogue(&terms()).into_iter().filter(|m| TEN.contains(&m.id)).collect();
    assert_eq!(chosen.len(), TEN.len());
    let grains = vec![Grain::Day, Grain::Week, Grain::Month, Grain::All];
    let counted = counted(typed, &OF_TEN, &[&chosen], &Settings { grains, ..Settings::default() });
    let (mut frame, _) = counted.into_iter().next().unwrap();
    ParquetWriter::new(std::fs::File::create(out).unwrap()).finish(&mut frame).unwrap();
    println!("{} {}", peak_memory_mib(), processor_seconds());
}

/// Counts from typed Parquet: rows and how many measures had any, by list.
fn counted(typed: &Path, asked: &parts::Asked, lists: &[&[Measure]], settings: &Settings) -> Vec<(DataFrame, usize)> {
    let terms = terms();
    let clock = Clock { as_of: terms.as_of, zone: terms.zone, base_exponent: 2 };
    let begun = Instant::now();
    let trace = |what: &str| {
        if std::env::var_os("ORDERSIGHT_BENCH_TRACE").is_some() {
            let (seconds, processor) = (begun.elapsed().as_secs_f64(), processor_seconds());
            println!("  {what}: {seconds:.2} s, {processor:.2} s processor, {:.0} MiB", peak_memory_mib());
        }
    };
    let (parts, history) = parts::Parts::of(typed, asked);
    trace("history");
    // A part has every kind of event there is.
    let available = Availability::of(&parts.part(0));
    trace("availability");
    let each = (0..parts.len()).map(|at| {
        let tables = parts.part(at);
        trace("part");
        Ok(tables)
    });
    let whole = Whole { available: &available, history: &history };
    let counted =
        count_each(each, whole, lists, &SEGMENTS.map(str::to_owned), None, (&terms, clock), settings).unwrap();
    trace("counted");
    counted.into_iter().map(|counted| (counted.frame, counted.computed.len())).collect()
}

/// The greatest resident memory of this process so far, MiB. Not `getrusage`: what that calls the greatest is handed down
/// by the process that started this one.
fn peak_memory_mib() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("VmHWM:"));
    let kib = line.and_then(|line| line.split_whitespace().nth(1)).and_then(|kib| kib.parse::<f64>().ok());
    kib.map_or(f64::NAN, |kib| kib / 1024.0)
}

/// Processor time of this process so far on all its threads, seconds: what a busy machine lengthens least.
fn processor_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    // After the name in brackets, which may hold anything; user and system time are the 14th and 15th field, in hundredths.
    let rest = stat.rsplit(')').next().unwrap_or_default();
    let ticks = rest.split_whitespace().skip(11).take(2).filter_map(|ticks| ticks.parse::<f64>().ok());
    ticks.sum::<f64>() / 100.0
}

/// The middle one of an odd number.
fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures[figures.len() / 2]
}
