//! `ordersight review export` and `ordersight review import`.

use super::args::{Cli, ReviewAction, ReviewExportArgs, ReviewImportArgs};
use super::summary::count;
use super::{DONE, DONE_BUT, instant_of, now_micros, to_stderr, to_stdout};
use crate::error::{Error, Result};
use crate::pipeline::{ImportOptions, Imported, SheetFormat, export, import};
use std::fmt::Write as _;
use std::fs::OpenOptions;
use std::io::{BufWriter, Write};
use std::path::Path;

/// Bad rows that are shown; the rest are counted.
const SHOWN: usize = 50;

pub(super) fn run(cli: &Cli, action: &ReviewAction) -> Result<u8> {
    match action {
        ReviewAction::Export(args) => export_queue(cli, args),
        ReviewAction::Import(args) => import_decisions(cli, args),
    }
}

fn export_queue(cli: &Cli, args: &ReviewExportArgs) -> Result<u8> {
    let by_name = args.to.as_deref().and_then(SheetFormat::of);
    let format = args.format.map(SheetFormat::from).or(by_name).unwrap_or(SheetFormat::Csv);
    // Whole or not at all: a file that is there may be one that somebody has worked in for a day.
    let mut bytes = Vec::new();
    let exported = export(&args.out, format, &mut bytes)?;
    match &args.to {
        None => {
            let mut stdout = std::io::stdout().lock();
            match stdout.write_all(&bytes).and_then(|()| stdout.flush()) {
                Err(e) if e.kind() != std::io::ErrorKind::BrokenPipe => {
                    return Err(Error::io("write", Path::new("standard output"))(e));
                }
                _ => {}
            }
        }
        Some(path) => {
            let file = OpenOptions::new().write(true).create_new(true).open(path).map_err(|e| match e.kind() {
                std::io::ErrorKind::AlreadyExists => Error::Usage {
                    message: format!("`{}` is there already, and may have decisions in it", path.display()),
                    hint: Some("import it and move it away, or write to another file".to_owned()),
                },
                _ => Error::io("write", path)(e),
            })?;
            let mut file = BufWriter::new(file);
            file.write_all(&bytes).and_then(|()| file.flush()).map_err(Error::io("write", path))?;
        }
    }
    if !cli.quiet {
        let to = args.to.as_ref().map(|path| format!(" in {}", path.display())).unwrap_or_default();
        let back = args.to.as_ref().map_or_else(|| "FILE".to_owned(), |path| path.display().to_string());
        to_stderr(&format!(
            "{} orders to look at{to}\n\
             fill in `decision` (fraud, legit, unsure), `decided_at`, `reviewer` and `note`, then: ordersight review import {back} --out {}\n",
            count(exported.orders as u64),
            args.out.display()
        ));
    }
    Ok(DONE)
}

fn import_decisions(cli: &Cli, args: &ReviewImportArgs) -> Result<u8> {
    if !args.out.is_dir() {
        return Err(Error::usage(format!("there is no folder `{}`", args.out.display())));
    }
    if !(0.0..=1.0).contains(&args.max_share) {
        return Err(Error::usage(format!("--max-share must be between 0 and 1, got {}", args.max_share)));
    }
    let decided_at = instant_of("--decided-at", args.decided_at.as_deref())?;
    let zone = match args.zone.as_deref() {
        None => None,
        Some(name) => Some(name.parse().map_err(|_| Error::Usage {
            message: format!("--zone `{name}` is not an IANA time zone"),
            hint: Some("write it as Europe/Berlin or Asia/Shanghai".to_owned()),
        })?),
    };
    let options = ImportOptions { decided_at, zone, max_share: args.max_share, now: now_micros() };
    let done = import(&args.file, &args.out, &options)?;
    if cli.json {
        let text = serde_json::to_string_pretty(&done).map_err(|e| Error::Invariant(format!("summary: {e}")))?;
        to_stdout(&format!("{text}\n"))?;
    } else if !cli.quiet {
        to_stderr(&words(&done, &args.out));
    }
    Ok(if done.refused.is_empty() { DONE } else { DONE_BUT })
}

fn words(done: &Imported, out: &Path) -> String {
    let by: Vec<String> = done.by_decision.iter().map(|(word, n)| format!("{} {word}", count(*n))).collect();
    let by = if by.is_empty() { String::new() } else { format!(" ({})", by.join(", ")) };
    let mut text = format!(
        "{} rows = {} decisions taken in{by} + {} known before + {} still open + {} that cannot be used\n",
        count(done.rows),
        count(done.taken),
        count(done.known_before),
        count(done.open),
        count(done.refused.len() as u64)
    );
    for refused in done.refused.iter().take(SHOWN) {
        let _ = writeln!(text, "  row {}: {}", refused.row, refused.reason);
    }
    if done.refused.len() > SHOWN {
        let _ = writeln!(text, "  and {} more", done.refused.len() - SHOWN);
    }
    if !done.contradictions.is_empty() {
        let _ = writeln!(
            text,
            "decided otherwise before, and the later decision is the label from its time on: {}",
            done.contradictions.join(", ")
        );
    }
    if let Some(newest) = &done.newest {
        let _ = writeln!(
            text,
            "kept in {}\nthe next `ordersight run PIPELINE --out {}` takes them out of the queue,\n\
             the next `ordersight train PIPELINE --target fraud --out {}` learns from them,\n\
             if their clock (--as-of, time.as_of) is {newest} or later",
            done.kept_in.display(),
            out.display(),
            out.display()
        );
    }
    text
}
