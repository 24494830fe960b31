//! `ordersight evaluate`.

use super::args::{Cli, EvaluateArgs};
use super::progress::Progress;
use super::{DONE, instant_of, now_micros, run, to_stderr, to_stdout};
use crate::config::Pipeline;
use crate::error::{Error, Result};
use crate::pipeline::{Clock, EvaluateOptions, Evaluated, LeaveOut, Measure, Protocol};
use crate::risk::Family;
use crate::types::time::{format_instant, parse_span};
use std::fmt::Write as _;

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
    };
    let progress = Progress::new(cli);
    let done = crate::pipeline::evaluate(&pipeline, args.target.into(), &options, &|message| progress.tick(message));
    progress.done();
    let evaluated = done?;
    if cli.json {
        let text =
            serde_json::to_string_pretty(&evaluated).map_err(|e| Error::Invariant(format!("evaluation: {e}")))?;
        to_stdout(&format!("{text}\n"))?;
    } else if !cli.quiet {
        to_stdout(&words(&evaluated))?;
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

/// An evaluation in words.
fn words(evaluated: &Evaluated) -> String {
    let mut text = String::new();
    let day = |at: i64| format_instant(at)[..10].to_owned();
    let Evaluated { target, family, rows, positives, left_out, per_day, .. } = evaluated;
    let _ = writeln!(text, "{target} by {family}: {positives} positives among {rows} tested");
    if *left_out > 0 {
        let _ = writeln!(text, "  {left_out} rows of customers known before were left out");
    }
    for fold in &evaluated.folds {
        let _ = writeln!(
            text,
            "  fold {:<2} train {} to {} ({}), calibrate to {} ({}, {}), test {} to {} ({})",
            fold.fold,
            day(fold.train.from),
            day(fold.train.to),
            fold.train.rows,
            day(fold.calibrate.to),
            fold.calibrate.rows,
            fold.calibration.method,
            day(fold.test.from),
            day(fold.test.to),
            fold.test.rows
        );
        for note in &fold.notes {
            let _ = writeln!(text, "          note: {note}");
        }
    }
    let _ = writeln!(text, "\n  95 % intervals, customers or days drawn with replacement; {per_day} looks a day");
    let mut segment = ("", "");
    for measure in &evaluated.measures {
        let next = (measure.segment.as_str(), measure.segment_value.as_str());
        if next.0 == "all" || WORTH_SHOWING.contains(&measure.measure) {
            if next != segment && next.0 != "all" {
                let _ = writeln!(text, "  {} {} ({} of {})", next.0, next.1, measure.positives, measure.rows);
            }
            segment = next;
            let _ = writeln!(text, "    {}", line(measure, evaluated));
        }
    }
    for note in &evaluated.notes {
        let _ = writeln!(text, "  note: {note}");
    }
    text
}

/// What is shown of a segment; the tables have the rest.
const WORTH_SHOWING: [&str; 3] = ["average_precision", "roc_auc", "calibration_error"];

fn line(measure: &Measure, evaluated: &Evaluated) -> String {
    let money = measure.measure.starts_with("money");
    let show = |value: Option<f64>| match value {
        None => "–".to_owned(),
        Some(value) if money => format!("{value:.0}"),
        Some(value) => format!("{value:.4}"),
    };
    let unit = if money { format!(" (minor units of {})", evaluated.currency) } else { String::new() };
    let found = &measure.estimate;
    let interval = format!("{} to {}", show(found.lower), show(found.upper));
    format!("{:<30} {:>9}  {interval}, by {}{unit}", measure.measure, show(found.value), measure.drawn_by)
}
