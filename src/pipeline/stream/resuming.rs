//! What a stream goes on from: the last checkpoint, what was logged, and the files since.

use super::journal::Journal;
use super::scoring::Scoring;
use super::{StreamOptions, checkpoint, published};
use crate::config::Pipeline;
use crate::error::{Error, Result};
use crate::ingest::{PersonalKey, TypedFile};
use crate::pipeline::chain::Stopwatch;
use crate::publish::Publisher;
use std::collections::BTreeMap;

/// What scores are given from, as the last commit left it. `declared_anew` where other features are declared than were logged.
///
/// # Errors
/// As [`Scoring::take`] and [`Scoring::step`].
pub(super) fn held<'a>(
    pipeline: &'a Pipeline,
    (options, key): (&StreamOptions, &PersonalKey),
    (publisher, journal): (&Publisher, &mut Journal),
    (files, declared_anew): (&BTreeMap<String, Vec<TypedFile>>, bool),
) -> Result<Scoring<'a>> {
    let tried = |journal: &mut Journal| tried(pipeline, (options, key), (publisher, journal), (files, declared_anew));
    match tried(journal) {
        // Rows are read when they are first looked at, and what is damaged is found then.
        Err(error) if checkpoint::is_spoilt(publisher, journal.progress.checkpoint.as_ref()) => {
            tracing::warn!(%error, "the checkpoint cannot be used; everything is taken anew, which takes longer");
            journal.progress.checkpoint = None;
            tried(journal)
        }
        held => held,
    }
}

fn tried<'a>(
    pipeline: &'a Pipeline,
    (options, key): (&StreamOptions, &PersonalKey),
    (publisher, journal): (&Publisher, &mut Journal),
    (files, declared_anew): (&BTreeMap<String, Vec<TypedFile>>, bool),
) -> Result<Scoring<'a>> {
    let (end, out) = (options.as_of.unwrap_or((options.now)()), options.out.as_path());
    let watermark = journal.progress.watermark;
    let mut stages = Stopwatch::default();
    std::thread::scope(|scope| {
        // Read beside what is taken up.
        let is_logged = watermark.is_some() && !declared_anew;
        let read = move || if is_logged { published::orders(out) } else { Ok(Vec::new()) };
        let mut at_work = Some(scope.spawn(read));
        let broke_off = |_| Error::Invariant("reading what was logged broke off".to_owned());
        let mut logged = || at_work.take().map_or_else(read, |at_work| at_work.join().map_err(broke_off)?);
        let at = (publisher, &*journal);
        let take_up = || Ok(checkpoint::take_up(pipeline, key, at, (files, end), &mut logged));
        let mut scoring = match stages.time("checkpoint", take_up)? {
            Some(held) => held,
            None => {
                // The next one is whole: nothing of one that cannot be used is relied upon.
                journal.progress.checkpoint = None;
                let mut nothing = Scoring::new(pipeline);
                stages.time("accept", || nothing.take(files, end))?;
                stages.time("restore", || logged().map(|logged| nothing.restore(logged)))?;
                nothing
            }
        };
        let Some(watermark) = watermark else { return Ok(scoring) };
        stages.time("features", || scoring.step(out, (watermark, None), false))?;
        if declared_anew {
            stages.time("restore", || scoring.overlay(out))?;
        }
        Ok(scoring)
    })
}
