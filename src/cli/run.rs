//! `ordersight run` and `ordersight clean`.

use super::args::{Cli, OutArgs, PipelineArgs, RunArgs};
use super::progress::Progress;
use super::{DONE, DONE_BUT, instant, memory, now_micros, summary, to_stderr, to_stdout};
use crate::config::Pipeline;
use crate::contract::output::{CACHE_DIR, STAGING_DIR};
use crate::error::{Error, Result};
use crate::pipeline::{Clock, RunOptions, Summary};
use crate::publish::Publisher;
use std::path::PathBuf;

pub(super) fn run(cli: &Cli, args: &RunArgs) -> Result<u8> {
    let started_at = now_micros();
    let pipeline = Pipeline::load(&args.common.pipeline, &args.common.sets)?;
    let options = RunOptions {
        out: out_dir(&pipeline, &args.common),
        models: args.models.clone(),
        clock: Clock::new(&pipeline, instant(args.common.as_of.as_deref())?, started_at),
        secret: secret(args.common.pii_key_file.as_ref())?,
    };
    memory::limit(&args.common, &options.out)?;
    let progress = Progress::new(cli);
    let done = crate::pipeline::run(&pipeline, &options, &|message| progress.tick(message));
    progress.done();
    memory::tell();
    let summary = done?;
    tell(cli, &summary)?;
    Ok(if summary.failed_on.is_empty() { DONE } else { DONE_BUT })
}

/// Prints a summary where it belongs: JSON on standard output, words on standard error.
pub(super) fn tell(cli: &Cli, done: &Summary) -> Result<()> {
    if cli.json {
        let text = serde_json::to_string_pretty(done).map_err(|e| Error::Invariant(format!("summary: {e}")))?;
        to_stdout(&format!("{text}\n"))?;
    } else if !cli.quiet {
        to_stderr(&summary::words(done));
    }
    Ok(())
}

/// Where results go: the command line, else the pipeline file, else `out/NAME` in the working folder.
pub(super) fn out_dir(pipeline: &Pipeline, args: &PipelineArgs) -> PathBuf {
    args.out
        .clone()
        .or_else(|| pipeline.raw.output.dir.as_ref().map(|dir| pipeline.base_dir.join(dir)))
        .unwrap_or_else(|| PathBuf::from("out").join(&pipeline.raw.name))
}

/// The secret of personal hashes, from a file or the environment.
pub(super) fn secret(file: Option<&PathBuf>) -> Result<Option<String>> {
    match file {
        Some(path) => {
            let text = std::fs::read_to_string(path).map_err(Error::io("read", path))?;
            if text.trim().is_empty() {
                return Err(Error::usage(format!("the key file `{}` is empty", path.display())));
            }
            Ok(Some(text))
        }
        None => Ok(std::env::var("ORDERSIGHT_PII_KEY").ok().filter(|k| !k.trim().is_empty())),
    }
}

pub(super) fn clean(args: &OutArgs) -> Result<u8> {
    if !args.out.is_dir() {
        return Err(Error::usage(format!("there is no folder `{}`", args.out.display())));
    }
    // Opening takes the lock and finishes or drops what a killed run left, which is all that staging can hold.
    let publisher = Publisher::open(&args.out)?;
    let staging = args.out.join(STAGING_DIR);
    if staging.is_dir() {
        std::fs::remove_dir_all(&staging).map_err(Error::io("remove", &staging))?;
    }
    // What landed for a stream may be gone, and these copies are all that is left of it.
    let in_use = crate::pipeline::copies_in_use(&publisher)?;
    let cache = args.out.join(CACHE_DIR);
    if in_use.is_empty() && cache.is_dir() {
        std::fs::remove_dir_all(&cache).map_err(Error::io("remove", &cache))?;
    }
    for folder in entries_of(&cache)? {
        let source = folder.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        for file in entries_of(&folder)? {
            let stem = file.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
            if !in_use.contains(&(source.clone(), stem)) {
                std::fs::remove_file(&file).map_err(Error::io("remove", &file))?;
            }
        }
    }
    Ok(DONE)
}

/// What is in a folder; nothing if there is none.
fn entries_of(folder: &std::path::Path) -> Result<Vec<PathBuf>> {
    if !folder.is_dir() {
        return Ok(Vec::new());
    }
    let entries = std::fs::read_dir(folder).map_err(Error::io("list", folder))?;
    entries.map(|entry| entry.map(|entry| entry.path()).map_err(Error::io("list", folder))).collect()
}
