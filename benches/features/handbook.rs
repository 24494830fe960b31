//! The kernel against DuckDB: public payments, the twelve window features of the handbook's protocol.
//!
//! Both sides are whole processes that read the same Parquet and write Parquet with the same compression; they take turns.
//! Then the kernel's steps alone against DuckDB's query alone, each with its columns in memory.

use crate::median;
use std::path::Path;
use std::process::Command;
use std::time::Instant;

/// Runs of each side as a whole.
const ROUNDS: usize = 5;

/// Turns of each side in memory, and DuckDB's rounds in each.
const TURNS: usize = 3;
const DUCKDB_ROUNDS: &str = "2";

/// Seconds from start to end, and what the process printed.
fn run(command: &mut Command) -> (f64, String) {
    let begun = Instant::now();
    let done = command.output().unwrap();
    let seconds = begun.elapsed().as_secs_f64();
    assert!(done.status.success(), "{command:?}: {}", String::from_utf8_lossy(&done.stderr));
    (seconds, String::from_utf8_lossy(&done.stdout).trim().to_owned())
}

fn ours(args: &[&str]) -> (f64, String) {
    run(Command::new(std::env::current_exe().unwrap()).args(args))
}

fn duckdb(args: &[&str]) -> (f64, String) {
    let python = std::env::var("ORDERSIGHT_PYTHON").unwrap_or_else(|_| "python3".to_owned());
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/reference/window_bench.py");
    run(Command::new(python).arg(script).args(args))
}

fn figure(printed: &str) -> f64 {
    printed.parse().unwrap_or_else(|_| panic!("`{printed}` is no figure"))
}

/// Compares the two over the handbook's transactions, a CSV.
pub(crate) fn compare(csv: &Path) {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).display().to_string();
    let (payments, our_features, their_features) =
        (path("payments.parquet"), path("ours.parquet"), path("duckdb.parquet"));
    duckdb(&["prepare", &csv.display().to_string(), &payments]);

    let (mut our_seconds, mut their_seconds) = (Vec::new(), Vec::new());
    let (mut our_memory, mut their_memory) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        for (seconds, memory, (taken, printed)) in [
            (&mut our_seconds, &mut our_memory, ours(&["window", &payments, &our_features])),
            (&mut their_seconds, &mut their_memory, duckdb(&["whole", &payments, &their_features])),
        ] {
            seconds.push(taken);
            memory.push(figure(&printed));
        }
    }
    println!("equal to DuckDB's: {}", duckdb(&["compare", &our_features, &their_features]).1);
    println!("{:<34} {:>12} {:>12} {:>8}", "median", "ordersight", "DuckDB", "ratio");
    line("Parquet to Parquet, whole process", "s", median(our_seconds), median(their_seconds));
    line("  its peak memory", "MiB", median(our_memory), median(their_memory));

    let (mut kernel, mut query) = (Vec::new(), Vec::new());
    for _ in 0..TURNS {
        kernel.push(figure(&ours(&["kernel", &payments]).1));
        query.push(figure(&duckdb(&["query", &payments, DUCKDB_ROUNDS]).1));
    }
    line("in memory, columns to columns", "s", median(kernel), median(query));
}

fn line(what: &str, unit: &str, ours: f64, theirs: f64) {
    let places = if unit == "s" { 3 } else { 0 };
    println!("{what:<34} {ours:>8.places$} {unit:<3} {theirs:>8.places$} {unit:<3} {:>8.1}", theirs / ours);
}
