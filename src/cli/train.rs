//! `ordersight train`.

use super::args::{Cli, FamilyArg, TargetArg, TrainArgs};
use super::progress::Progress;
use super::{DONE, instant, memory, now_micros, run, to_stderr, to_stdout};
use crate::config::Pipeline;
use crate::error::Result;
use crate::pipeline::{Clock, TrainOptions, TrainedTarget};
use crate::risk::bootstrap::Estimate;
use crate::risk::{Family, Target};
use std::fmt::Write;

impl From<TargetArg> for Target {
    fn from(target: TargetArg) -> Self {
        match target {
            TargetArg::Fraud => Self::Fraud,
            TargetArg::Return => Self::Return,
        }
    }
}

impl From<FamilyArg> for Family {
    fn from(family: FamilyArg) -> Self {
        match family {
            FamilyArg::Logistic => Self::Logistic,
            FamilyArg::Ftrl => Self::Ftrl,
            FamilyArg::Boosted => Self::Boosted,
            FamilyArg::Blend => Self::Blend,
        }
    }
}

pub(super) fn run(cli: &Cli, args: &TrainArgs) -> Result<u8> {
    let started_at = now_micros();
    let pipeline = Pipeline::load(&args.common.pipeline, &args.common.sets)?;
    let options = TrainOptions {
        out: run::out_dir(&pipeline, &args.common),
        models: args.models.clone(),
        clock: Clock::new(&pipeline, instant(args.common.as_of.as_deref())?, started_at),
        secret: run::secret(args.common.pii_key_file.as_ref())?,
        family: args.family.map(Family::from),
        seed: args.seed,
    };
    memory::limit(&args.common, &options.out)?;
    let progress = Progress::new(cli);
    let trained = crate::pipeline::train(&pipeline, &[args.target.into()], &options, &|message| progress.tick(message));
    progress.done();
    memory::tell();
    for target in trained? {
        if cli.json {
            let metrics = serde_json::json!({
                "target": target.target, "version": target.version, "evaluation": target.evaluation,
            });
            to_stdout(&format!("{metrics:#}\n"))?;
        } else if !cli.quiet {
            to_stderr(&words(&target));
            to_stderr(&format!("\nwhere     {}/{}/{}\n", options.models.display(), target.target, target.version));
            to_stderr(&format!("next      ordersight models show {} {}\n", target.target, target.version));
        }
    }
    Ok(DONE)
}

/// A training in words.
pub(super) fn words(trained: &TrainedTarget) -> String {
    let evaluation = &trained.evaluation;
    let mut text = String::new();
    let _ = writeln!(text, "{} model {} is in service", trained.target, trained.version);
    for (name, slice) in
        [("train", &evaluation.train), ("calibrate", &evaluation.calibrate), ("test", &evaluation.test)]
    {
        let _ = writeln!(
            text,
            "  {name:<10} {:>8} {}s, {:>6} positive ({:.2} %), {} to {}",
            slice.rows,
            trained.unit,
            slice.positives,
            100.0 * slice.base_rate,
            &crate::types::time::format_instant(slice.from)[..10],
            &crate::types::time::format_instant(slice.to)[..10]
        );
    }
    let metrics = &evaluation.metrics;
    let _ = writeln!(text, "  on the later time slice, with 95 % intervals:");
    let _ = writeln!(
        text,
        "  average precision {} (base rate {:.4})",
        estimate(&metrics.average_precision),
        evaluation.test.base_rate
    );
    let _ = writeln!(text, "  ROC AUC           {}", estimate(&metrics.roc_auc));
    let _ = writeln!(text, "  precision at {:<5}{}", metrics.k, estimate(&metrics.precision_at_k));
    let _ = writeln!(text, "  calibration error {:.4}", metrics.ece_mass_10);
    if !evaluation.by_segment.is_empty() {
        let off = evaluation.by_segment.iter().filter(|one| one.is_off).count();
        let _ = writeln!(text, "  by segment        {off} of {} off their interval", evaluation.by_segment.len());
    }
    for warning in &evaluation.warnings {
        let _ = writeln!(text, "  note: {warning}");
    }
    text
}

fn estimate(estimate: &Estimate) -> String {
    let show = |v: Option<f64>| v.map_or_else(|| "–".to_owned(), |v| format!("{v:.3}"));
    format!("{} ({} to {})", show(estimate.value), show(estimate.lower), show(estimate.upper))
}
