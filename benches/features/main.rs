//! The feature engine measured: against DuckDB over public payments, and over more and more synthetic orders.
//!
//! `cargo bench --bench features -- handbook TRANSACTIONS_CSV` and `cargo bench --bench features -- scale [ORDERS…]`; what
//! they measure is told in `handbook` and `scale`, what came out in `benches/README.md`.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a bench prints its figures and stops at the first error"
)]

mod handbook;
mod scale;
mod shop;
mod window;

use std::path::Path;

fn main() {
    // Cargo itself passes `--bench`.
    let args: Vec<String> = std::env::args().skip(1).filter(|arg| !arg.starts_with("--")).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    match args.as_slice() {
        ["handbook", csv] => handbook::compare(Path::new(csv)),
        ["scale", orders @ ..] => scale::grow(orders),
        // What the two start as processes of their own, so that time and memory are those of one thing.
        ["window", payments, out] => window::parquet_to_parquet(Path::new(payments), Path::new(out)),
        ["kernel", payments] => window::kernel_alone(Path::new(payments)),
        ["orders", orders] => scale::measure(orders.parse().unwrap()),
        _ => println!("usage: cargo bench --bench features -- handbook TRANSACTIONS_CSV | scale [ORDERS…]"),
    }
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

/// The middle one; of an even number the mean of the two in the middle.
fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    let half = figures.len() / 2;
    match figures.len() {
        0 => f64::NAN,
        n if n % 2 == 1 => figures[half],
        _ => f64::midpoint(figures[half - 1], figures[half]),
    }
}
