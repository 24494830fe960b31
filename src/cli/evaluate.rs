//! `ordersight evaluate`.

use super::args::{Cli, EvaluateArgs};
use super::progress::Progress;
use super::{DONE, evaluated, instant_of, memory, now_micros, run, to_stderr, to_stdout};
use crate::config::Pipeline;
use crate::decision::saved::Reviewer;
use crate::error::{Error, Result};
use crate::pipeline::{Clock, EvaluateOptions, LeaveOut, Protocol};
use crate::risk::Family;
use crate::types::time::parse_span;

/// Folds when nothing else is asked for.
const FOLDS: u8 = 4;

pub(super) fn run(cli: &Cli, args: &EvaluateArgs) -> Result<u8> {
    let started_at = now_micros();
    let pipeline = Pipeline::load(&args.common.pipeline, &args.common.sets)?;
    let options = EvaluateOptions {
        out: run::out_dir(&pipeline, &args.common),
        clock: Clock::new(&pipeline, instant_of("--as-of", args.common.as_of.as_deref())?, started_at),
        secret: run::secret(args.common.pii_key_file.as_ref())?,
        family: args.family.map(Family::from),
        seed: args.seed,
        protocol: protocol(args)?,
        gap: span("--gap", args.gap.as_deref())?,
        per_day: args.per_day.map(|k| k as usize),
        leave_out: match span("--leave-out-known", args.leave_out_known.as_deref())? {
            None => None,
            Some(after) => {
                let since = instant_of("--known-since", args.known_since.as_deref())?.unwrap_or(i64::MIN);
                Some(LeaveOut { after, since })
            }
        },
        rules: args.rules,
        reviewer: Reviewer {
            finds: share("--reviewer-finds", args.reviewer_finds)?,
            refuses: share("--reviewer-refuses", args.reviewer_refuses)?,
        },
    };
    memory::limit(&args.common, &options.out)?;
    let progress = Progress::new(cli);
    let done = crate::pipeline::evaluate(&pipeline, args.target.into(), &options, &|message| progress.tick(message));
    progress.done();
    memory::tell();
    let found = done?;
    if cli.json {
        let text = serde_json::to_string_pretty(&found).map_err(|e| Error::Invariant(format!("evaluation: {e}")))?;
        to_stdout(&format!("{text}\n"))?;
    } else if !cli.quiet {
        to_stdout(&evaluated::words(&found, pipeline.base_exponent))?;
        to_stderr(&format!("\nwhere     {}/evaluation\n", options.out.display()));
    }
    Ok(DONE)
}

fn protocol(args: &EvaluateArgs) -> Result<Protocol> {
    let at = |name: &str, value: &Option<String>| instant_of(name, value.as_deref());
    let cuts = (
        at("--train-until", &args.train_until)?,
        at("--calibrate-until", &args.calibrate_until)?,
        at("--test-until", &args.test_until)?,
    );
    match cuts {
        (None, None, None) => Ok(Protocol::Rolling(args.folds.unwrap_or(FOLDS).into())),
        (Some(train_until), Some(calibrate_until), Some(test_until)) => Ok(Protocol::Given {
            train_from: at("--train-from", &args.train_from)?,
            train_until,
            calibrate_until,
            test_until,
        }),
        _ => Err(Error::usage("`--train-until`, `--calibrate-until` and `--test-until` go together".to_owned())),
    }
}

fn span(name: &str, text: Option<&str>) -> Result<Option<i64>> {
    text.map(|text| {
        parse_span(text).ok_or_else(|| Error::Usage {
            message: format!("{name} `{text}` is not a span"),
            hint: Some("write it as 7d or 36h".to_owned()),
        })
    })
    .transpose()
}

fn share(name: &str, value: f64) -> Result<f64> {
    match (0.0..=1.0).contains(&value) {
        true => Ok(value),
        false => Err(Error::usage(format!("{name} must be between 0 and 1, got {value}"))),
    }
}
