//! `ordersight stream`.

use super::args::{Cli, StreamArgs};
use super::progress::Progress;
use super::{DONE, DONE_BUT, instant, memory, now_micros, run, to_stderr, to_stdout};
use crate::config::Pipeline;
use crate::error::{Error, Result};
use crate::health::{self, Writer};
use crate::intake::{Lines, LinesSettings, Stop};
use crate::pipeline::{StreamOptions, Streamed};
use crate::types::time::format_instant;
use std::collections::BTreeSet;
use std::path::Path;

pub(super) fn run(cli: &Cli, args: &StreamArgs) -> Result<u8> {
    let pipeline = Pipeline::load(&args.common.pipeline, &args.common.sets)?;
    let out = run::out_dir(&pipeline, &args.common);
    if args.status {
        return status(cli, &out);
    }
    let sources: BTreeSet<String> = pipeline.raw.tables.values().flat_map(crate::config::TableMap::sources).collect();
    memory::limit(&args.common, &out)?;
    let options = StreamOptions {
        out,
        models: args.models.clone(),
        as_of: instant(args.common.as_of.as_deref())?.or(pipeline.as_of),
        secret: run::secret(args.common.pii_key_file.as_ref())?,
        once: args.once,
        lines: args.stdin.then(|| Lines::start(std::io::stdin(), &sources, LinesSettings::default())).transpose()?,
        replayed: args.replayed,
        now: now_micros,
    };
    let stop = Stop::new_for_signals()?;
    let progress = Progress::new(cli);
    let done = crate::pipeline::stream(&pipeline, options, &stop, &|message| progress.tick(message));
    progress.done();
    memory::tell();
    let done = done?;
    if cli.json {
        let text = serde_json::to_string_pretty(&done).map_err(|e| Error::Invariant(format!("summary: {e}")))?;
        to_stdout(&format!("{text}\n"))?;
    } else if !cli.quiet {
        to_stderr(&words(&done));
    }
    Ok(if done.failed_on.is_empty() { DONE } else { DONE_BUT })
}

/// Prints how the stream is that writes to an output folder.
fn status(cli: &Cli, out: &Path) -> Result<u8> {
    let status = crate::pipeline::status(out)?;
    let text = match cli.json {
        true => serde_json::to_string_pretty(&status).map_err(|e| Error::Invariant(format!("status: {e}")))? + "\n",
        false => health::words(&status, Writer::of(&status, out), now_micros()),
    };
    to_stdout(&text)?;
    Ok(DONE)
}

fn words(done: &Streamed) -> String {
    let Streamed { epochs, epoch, files, lines, watermark, set_aside, failed_on } = done;
    let watermark = watermark.map_or_else(|| "none yet".to_owned(), format_instant);
    let mut words = format!("{epochs} epochs ({epoch} in all), {files} files, {lines} lines; watermark {watermark}\n");
    for (file, why) in set_aside {
        words.push_str(&format!("set aside: {file}: {why}\n"));
    }
    for why in failed_on {
        words.push_str(&format!("exit code 1: {why}\n"));
    }
    words
}
