//! `ordersight demo` and `ordersight generate`.

use super::args::{Cli, DemoArgs, GenerateArgs};
use super::progress::Progress;
use super::summary::count;
use super::{DONE, now_micros, run as batch, to_stderr, to_stdout, train};
use crate::config::Pipeline;
use crate::error::{Error, Result};
use crate::pipeline::{Clock, RunOptions, TrainOptions};
use crate::risk::Target;
use crate::synthetic::{ShopSpec, ShopSummary};
use crate::types::time::format_instant;
use std::path::Path;

/// Orders that gave both models enough labels with every seed from 1 to 10: at least 16 frauds to calibrate on, 10 are
/// needed.
const ENOUGH: u64 = 50_000;

/// The pipeline of the demo: the same file that a reader finds in the repository.
const PIPELINE: &str = include_str!("../../pipelines/demo.toml");

pub(super) fn generate(cli: &Cli, args: &GenerateArgs) -> Result<u8> {
    let spec = ShopSpec { orders: args.orders, seed: args.seed, days: args.days, dirty_share: args.dirty_share };
    let progress = Progress::new(cli);
    let made = make(&spec, &args.out, &progress);
    progress.done();
    let made = made?;
    if cli.json {
        let rows: serde_json::Map<String, serde_json::Value> =
            made.tables.iter().map(|t| (t.name.to_owned(), t.rows.into())).collect();
        let summary = serde_json::json!({ "rows": rows, "as_of": format_instant(made.end), "frauds": made.frauds, "returns": made.returns });
        to_stdout(&format!("{summary:#}\n"))?;
    } else if !cli.quiet {
        for table in &made.tables {
            to_stderr(&format!("{:<14} {:>12} rows  {}\n", table.name, count(table.rows), table.path.display()));
        }
    }
    Ok(DONE)
}

fn make(spec: &ShopSpec, out: &Path, progress: &Progress) -> Result<ShopSummary> {
    crate::synthetic::generate(spec, out, &mut |orders| progress.tick(&format!("{} orders made", count(orders))))
}

pub(super) fn run(cli: &Cli, args: &DemoArgs) -> Result<u8> {
    let started_at = now_micros();
    let progress = Progress::new(cli);
    let out = std::path::absolute(&args.out).map_err(Error::io("find", &args.out))?;
    let input = out.join("input");
    let models = out.join("models");
    let spec = ShopSpec { orders: args.orders, seed: args.seed, ..ShopSpec::default() };
    let shop = make(&spec, &input, &progress)?;
    let data = input.display().to_string();
    let lookup = |name: &str| match name {
        "ORDERSIGHT_DEMO_DATA" => Some(data.clone()),
        other => std::env::var(other).ok(),
    };
    let mut pipeline = Pipeline::parse(PIPELINE, "pipelines/demo.toml", Path::new("."), &[], &lookup)?;
    // The day after the last order: some orders are on the road and some can still be stopped, as on any morning.
    let clock = Clock { as_of: shop.end, started_at };
    let secret = batch::secret(None)?;
    let training = TrainOptions {
        out: out.clone(),
        models: models.clone(),
        clock,
        secret: secret.clone(),
        family: None,
        seed: args.seed,
    };
    let (mut trained, mut untrained) = (Vec::new(), Vec::new());
    for target in Target::ALL {
        match crate::pipeline::train(&pipeline, &[target], &training, &|m| progress.tick(m)) {
            Ok(models) => trained.extend(models),
            // Few orders are the one reason why a generated shop cannot be learnt from; the rest of the job goes on.
            Err(Error::Model { message, .. }) => {
                untrained.push(message);
                match target {
                    Target::Fraud => pipeline.raw.risk.fraud = None,
                    Target::Return => pipeline.raw.risk.returns = None,
                }
            }
            Err(other) => return Err(other),
        }
    }
    let options = RunOptions { out: out.clone(), models, clock, secret };
    let summary = crate::pipeline::run(&pipeline, &options, &|m| progress.tick(m))?;
    let report = crate::report::write(&out)?;
    progress.done();
    if !cli.quiet && !cli.json {
        for target in &trained {
            to_stderr(&train::words(target));
        }
        for message in &untrained {
            let enough = ENOUGH.max(args.orders.saturating_mul(2));
            to_stderr(&format!(
                "{message}\n  a shop of {} orders has too few; with `--orders {enough}` there is a model too\n",
                args.orders
            ));
        }
        to_stderr("\n");
    }
    batch::tell(cli, &summary)?;
    if !cli.json && !cli.quiet {
        to_stdout(&where_to_look(&args.out, &report))?;
    }
    Ok(DONE)
}

fn where_to_look(out: &Path, report: &Path) -> String {
    let out = out.display();
    format!(
        "\nreport    {}\ntables    {out}/kpi, {out}/order_scores, {out}/review_queue, {out}/quarantine, …\n\
         input     {out}/input (made up; the truth is in truth.parquet)\nmodels    {out}/models\n\ntry\n  \
         ordersight query \"SELECT period_start, value, target, breach FROM kpi WHERE kpi = 'on_time_delivery_rate' AND grain = 'month' AND segment = 'all' ORDER BY period_start\" --out {out}\n  \
         ordersight query \"SELECT rank, order_id, action, fraud_probability, reasons FROM review_queue ORDER BY rank LIMIT 10\" --out {out}\n  \
         ordersight query \"SELECT source, reason, COUNT(*) AS n FROM quarantine GROUP BY source, reason ORDER BY n DESC\" --out {out}\n",
        report.display()
    )
}
