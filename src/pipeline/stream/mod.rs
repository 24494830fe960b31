//! Micro-batches: the chain of a nightly run, minutes after the fact.
//!
//! ```text
//! landing folders ─┐                                            ┌─ scores of new orders, once
//! standard input ──┴─ take ─ type ─ accept ─ known at watermark ┴─ the whole shop, when due ─ publish
//!                       └─────────────── journal ──────────────────────────────────────────────┘
//! ```
//!
//! An epoch takes what has arrived, computes, and publishes tables, state and journal in one commit: killed before it the
//! epoch did not happen, and its files are taken again; killed after it, the next start finishes it. The clock of an epoch
//! is its watermark: the newest order seen, less what `[stream] lateness` waits for, and never later than `--as-of` or now.
//!
//! A start takes up the last checkpoint of what was held, then the files that came after it ([`checkpoint`]).

mod agenda;
mod ahead;
mod checkpoint;
mod epoch;
mod journal;
mod learned;
mod learning;
mod log;
mod pool;
mod published;
mod publishing;
mod resuming;
mod retelling;
mod scorer;
mod scoring;
mod take;
mod taught;
mod telling;

pub(super) use journal::Journal;
pub use learned::{RegisteredLearning, register_learned};

use super::inputs::Clock;
use crate::config::{Pipeline, stream_duration};
use crate::contract::output::STATE_DIR;
use crate::error::{Error, Result};
use crate::health::Status;
use crate::ingest::create_private;
use crate::intake::{Lines, Stop};
use crate::publish::Publisher;
use ahead::Ahead;
use checkpoint::Checkpoints;
use epoch::{Following, Last};
use publishing::{Made, Publishing};
use retelling::Retelling;
use std::path::{Path, PathBuf};
use std::time::Duration;
use take::{Gathered, Intake};
use telling::Telling;

/// What a stream needs beside its pipeline.
pub struct StreamOptions {
    /// The output folder.
    pub out: PathBuf,
    /// The model registry.
    pub models: PathBuf,
    /// The clock it is given: what comes after it is not known, and once everything is taken the watermark is moved to it.
    pub as_of: Option<i64>,
    /// Secret for personal hashes; none: the key kept in the output folder.
    pub secret: Option<String>,
    /// Take what is there and end.
    pub once: bool,
    /// Lines of several sources, if they are read.
    pub lines: Option<Lines>,
    /// Whether these begin again with the first line after a stop, so that what was taken has to be skipped.
    pub replayed: bool,
    /// Reads the wall clock, UTC microseconds: it bounds the watermark, so that an order from the future does not carry the
    /// whole shop along, and tells people how old things are.
    pub now: fn() -> i64,
}

/// What a stream did.
#[derive(Debug, Clone, serde::Serialize)]
pub struct Streamed {
    /// Epochs that this process made.
    pub epochs: u64,
    /// The last epoch of the output.
    pub epoch: u64,
    /// Files taken by this process.
    pub files: u64,
    /// Lines taken by this process.
    pub lines: u64,
    /// The watermark in the end, UTC microseconds.
    pub watermark: Option<i64>,
    /// Files set aside because they could not be read, with the reason.
    pub set_aside: Vec<(String, String)>,
    /// What `fail_on` of the pipeline found at the last look at the whole shop.
    pub failed_on: Vec<String>,
}

/// Pause before an epoch is tried again that the machine had no room for.
const PAUSE: Duration = Duration::from_secs(5);

/// Where a stream says how it is.
pub fn status_path(out: &Path) -> PathBuf {
    out.join(STATE_DIR).join("stream-status.json")
}

/// Makes the folder of what a stream goes on from.
///
/// # Errors
/// [`Error::Environment`].
pub(super) fn prepare(out: &Path) -> Result<()> {
    create_private(&out.join(STATE_DIR))?;
    create_private(&out.join(STATE_DIR).join(journal::FOLDER))
}

/// Follows the sources of a pipeline until `stop`, or until there is nothing left where it is asked for once.
///
/// # Errors
/// [`Error::Environment`] when another process holds the output or the machine says no; every kind of [`Error`] that a run
/// can end with. What was published stands, and the next start goes on from there.
pub fn stream(
    pipeline: &Pipeline,
    mut options: StreamOptions,
    stop: &Stop,
    tick: &(dyn Fn(&str) + Sync),
) -> Result<Streamed> {
    super::checkup::targets_are_known(pipeline)?;
    let publisher = Publisher::open(&options.out)?;
    prepare(&options.out)?;
    let telling = Telling::new(pipeline, &options)?;
    let followed = follow(pipeline, &mut options, stop, tick, publisher, &telling);
    telling.ended(followed.as_ref().err());
    followed
}

fn follow(
    pipeline: &Pipeline,
    options: &mut StreamOptions,
    stop: &Stop,
    tick: &(dyn Fn(&str) + Sync),
    publisher: Publisher,
    telling: &Telling,
) -> Result<Streamed> {
    let key = super::personal_key(&options.out, options.secret.as_deref())?;
    let cache = options.out.join(crate::contract::output::CACHE_DIR);
    let lines = options.lines.take();
    let options = &*options;
    std::thread::scope(|scope| {
        let retelling = Retelling::start(scope, pipeline, options, &key)?;
        let publishing = Publishing::start(scope, pipeline, options, publisher)?;
        let checkpoints = Checkpoints::start(scope, pipeline, &key, &options.out)?;
        let workers = (publishing, retelling, checkpoints);
        let following = Following::start(pipeline, options, &key, &cache, workers)?;
        let ahead = Ahead::start(scope, pipeline, options, &key);
        go_on(pipeline, options, (following, ahead), lines, stop, (tick, telling))
    })
}

/// Makes epochs.
fn go_on(
    pipeline: &Pipeline,
    options: &StreamOptions,
    (mut following, mut ahead): (Following<'_>, Ahead),
    lines: Option<Lines>,
    stop: &Stop,
    (tick, telling): (&(dyn Fn(&str) + Sync), &Telling),
) -> Result<Streamed> {
    let taken = if options.replayed { following.journal.progress.lines } else { 0 };
    let mut intake = Intake::new(pipeline, lines, (options.once, taken), &following.journal, options.now)?;
    let begun_with = following.committed.clone();
    let mut failed_on = Vec::new();
    let mut tell = |made: Vec<Made>| {
        for made in made {
            if let Some(found) = made.failed_on {
                failed_on = found;
            }
            telling.published(&made.offsets, made.figures);
        }
    };
    let pause = stream_duration(&pipeline.raw.stream.epoch);
    // What the epoch took that is being published while the next is made.
    let mut unsettled = None;
    loop {
        following.typed.clear();
        for (file, typed) in ahead.wait() {
            intake.know(&file, &typed.content_hash);
            following.typed.insert(file.taken(&typed.content_hash), typed);
        }
        let gathered = intake.gather(&following.journal, stop)?;
        telling.looked(&following.committed, &gathered);
        let (files, lines) = (gathered.files.len() as u64, gathered.lines);
        let (gathered_nothing, tries_again) = (gathered.is_empty(), gathered.tries_again);
        let last = match (gathered.drained, options.once) {
            (true, true) => Last::OfAll,
            (true, false) => Last::SoFar,
            (false, _) => Last::No,
        };
        let made = if following.is_due(&gathered, last) {
            tick(&format!("epoch {}: {files} files, {lines} lines", following.journal.progress.epoch + 1));
            telling.working();
            if !gathered.drained {
                begin_ahead(&mut ahead, &mut intake, &following.journal, &gathered)?;
            }
            following.epoch(&gathered, last, &|message| {
                telling.beat();
                tick(message);
            })
        } else {
            following.settle().map(|made| made.into_iter().collect())
        };
        match made {
            Ok(made) => {
                tell(made);
                let is_publishing = following.is_publishing();
                if !is_publishing && !gathered_nothing {
                    telling.took_all(&gathered);
                }
                unsettled = is_publishing.then_some(gathered);
            }
            Err(error) if !options.once && (is_passing(&error) || following.is_spoilt()) => {
                // Nothing of it counted; it is made again when there is room, or without what is damaged.
                telling.failed(&error);
                tracing::warn!(%error, "waiting");
                following = following.again()?;
                intake.give_back(unsettled.take().into_iter().chain([gathered]));
                if stop.wait(PAUSE) {
                    break;
                }
                continue;
            }
            Err(error) => return Err(error),
        }
        // What could not be read is tried again before the end.
        let tried_again = match gathered_nothing {
            true => tries_again,
            false => following.journal.progress.failures.next_try_at().is_some(),
        };
        if stop.is_set() || (options.once && last == Last::OfAll && !tried_again) {
            break;
        }
        if gathered_nothing {
            intake.wait(stop);
        } else if !options.once && gathered_little(files, lines, pipeline) && stop.wait(pause) {
            break;
        }
    }
    tell(following.settle()?.into_iter().collect());
    let (reached, failures) = (&following.committed, &following.journal.progress.failures);
    Ok(Streamed {
        epochs: reached.epoch - begun_with.epoch,
        epoch: reached.epoch,
        files: reached.files_taken - begun_with.files_taken,
        lines: reached.lines_taken - begun_with.lines_taken,
        watermark: reached.watermark,
        set_aside: failures.set_aside().map(|f| (f.file.name.clone(), f.why.clone())).collect(),
        failed_on,
    })
}

/// Begins to type what the epochs after the one in hand are likely to take.
fn begin_ahead(ahead: &mut Ahead, intake: &mut Intake, journal: &Journal, gathered: &Gathered) -> Result<()> {
    while ahead.has_room() {
        let taken = gathered.files.iter().map(|file| (file.taken.source.as_str(), file.taken.name.as_str()));
        let begun = ahead.begun().map(|file| (file.source.as_str(), file.name.as_str()));
        let coming = intake.coming(journal, &taken.chain(begun).collect())?;
        if coming.is_empty() {
            break;
        }
        ahead.begin(coming);
    }
    Ok(())
}

/// Whether so little came that it is worth gathering more before the next epoch.
fn gathered_little(files: u64, lines: u64, pipeline: &Pipeline) -> bool {
    let settings = &pipeline.raw.stream;
    files < u64::from(settings.epoch_files) && lines < u64::from(settings.epoch_lines)
}

/// Whether an error may pass by itself: a disk that is full now need not be full for ever.
fn is_passing(error: &Error) -> bool {
    matches!(error, Error::Environment { source, .. } if source.kind() == std::io::ErrorKind::StorageFull)
}

/// The typed copies, by source and name without ending, that the stream of an output folder goes on from.
///
/// # Errors
/// [`Error::Environment`] when its journal cannot be read.
pub fn copies_in_use(publisher: &Publisher) -> Result<std::collections::BTreeSet<(String, String)>> {
    journal::copies_in_use(publisher)
}

/// The status that the last stream of an output folder left.
///
/// # Errors
/// [`Error::Usage`] when no stream ever wrote to it.
pub fn status(out: &Path) -> Result<Status> {
    Status::read(&status_path(out))
}

/// The clock of an epoch.
fn clock(as_of: i64, now: i64) -> Clock {
    Clock { as_of, started_at: now }
}
