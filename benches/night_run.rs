//! The whole night run on a synthetic shop: rows per second of each stage, and peak memory.
//!
//! `cargo bench --bench night_run -- 200000` makes a shop of that many orders, trains both models and runs the demo's
//! pipeline twice: with everything to read, and with the typed copies of the first run in place.
#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a bench prints its figures and stops at the first error"
)]

use ordersight::config::Pipeline;
use ordersight::pipeline::{Clock, RunOptions, Summary, TrainOptions, run, train};
use ordersight::risk::Target;
use ordersight::synthetic::{ShopSpec, generate};
use std::path::Path;
use std::time::Instant;

fn main() {
    // Cargo itself passes `--bench`.
    let orders = std::env::args().skip(1).find_map(|a| a.parse().ok()).unwrap_or(100_000);
    let folder = tempfile::tempdir().unwrap();
    let input = folder.path().join("input");
    let begun = Instant::now();
    let shop = generate(&ShopSpec { orders, ..ShopSpec::default() }, &input, &mut |_| {}).unwrap();
    let rows: u64 = shop.tables.iter().map(|t| t.rows).sum();
    println!("{orders} orders, {rows} rows in {} tables", shop.tables.len());
    line("generate", begun.elapsed().as_secs_f64(), rows);

    let text = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("pipelines/demo.toml")).unwrap();
    let data = input.display().to_string();
    let pipeline = Pipeline::parse(&text, "demo.toml", Path::new("."), &[], &|_| Some(data.clone())).unwrap();
    let clock = Clock { as_of: shop.end, started_at: 0 };
    let (out, models) = (folder.path().join("out"), folder.path().join("models"));
    let begun = Instant::now();
    // Trained in a folder of their own, so that the first run finds nothing read already.
    let training = TrainOptions {
        out: folder.path().join("training"),
        models: models.clone(),
        clock,
        secret: None,
        family: None,
        seed: 1,
    };
    train(&pipeline, &Target::ALL, &training, &|_| {}).unwrap();
    line("train both models", begun.elapsed().as_secs_f64(), orders);
    for name in ["first run", "second run, files unchanged"] {
        let options = RunOptions { out: out.clone(), models: models.clone(), clock, secret: None };
        let begun = Instant::now();
        let summary = run(&pipeline, &options, &|_| {}).unwrap();
        line(name, begun.elapsed().as_secs_f64(), orders);
        stages(&summary, rows, orders);
    }
}

fn stages(summary: &Summary, rows: u64, orders: u64) {
    for stage in &summary.stages {
        let counted = if stage.stage == "ingest" { rows } else { orders };
        line(&format!("  {}", stage.stage), stage.seconds, counted);
    }
    println!("  peak memory so far {:.0} MiB", summary.peak_memory_mib.unwrap_or(f64::NAN));
}

fn line(name: &str, seconds: f64, rows: u64) {
    println!("{name:<30} {seconds:>8.2} s {:>12.0} rows/s", rows as f64 / seconds);
}
