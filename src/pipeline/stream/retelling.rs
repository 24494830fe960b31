//! The whole shop told anew: KPIs, satisfaction, exceptions, customers, the monitor. It costs more the larger the shop is, and
//! scores do not wait for it: it is computed beside the epochs, of what one of them had, and published with a later one.

use super::pool::pool;
use super::scoring::Scoring;
use super::{StreamOptions, clock};
use crate::config::Pipeline;
use crate::contract::output::CACHE_DIR;
use crate::error::{Error, Result};
use crate::ingest::{Ingested, PersonalKey, TypedFile, Typist};
use crate::pipeline::chain::{About, Computed, Models, SCORES, Stopwatch};
use crate::pipeline::inputs::{COMPUTED_ON, Inputs, known};
use crate::pipeline::outlet::{Encoded, named};
use crate::pipeline::summary::{Summary, peak_memory_mib};
use crate::pipeline::{follow, training};
use crate::publish::{Prepared, Staging};
use crate::quarantine::Rejected;
use crate::registry::Registry;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, TryRecvError, channel};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

/// The share of its time that a stream looks at the whole shop at most, as rests of so many times what the last look took.
const RESTS: u32 = 4;

/// How old the last look may become while more is waiting than an epoch takes.
const PATIENCE: Duration = Duration::from_secs(600);

/// Times that features are looked for again which are not where they were: an order has moved to another day.
const TRIES: u32 = 3;

/// Whether scores are written with what is told of the whole shop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ScoresToo {
    Yes,
    /// Newer ones are published.
    No,
}

/// Scores so far, which epochs add to and a look at the whole shop reads.
pub(super) type Shared<'a> = Arc<RwLock<Scoring<'a>>>;

/// What the whole shop is told of.
pub(super) struct Job<'a> {
    /// Every file that counted, by source.
    pub(super) files: BTreeMap<String, Vec<TypedFile>>,
    /// Lines that were no records.
    pub(super) refused: Vec<Rejected>,
    /// The clock by which one version of a row replaces another.
    pub(super) end: i64,
    /// The watermark.
    pub(super) as_of: i64,
    /// The epoch in which anything came for the last time.
    pub(super) epoch: u64,
    /// Scores; none where lines are scored, which are counted anew.
    pub(super) scoring: Option<Shared<'a>>,
}

/// What was told, to be published.
pub(super) struct Retold {
    computed: Computed,
    inputs: Inputs,
    tables: Vec<Prepared>,
    stages: Stopwatch,
    pub(super) run_id: String,
    pub(super) metadata: BTreeMap<String, String>,
    pub(super) as_of: i64,
    pub(super) epoch: u64,
}

/// All tables of all files.
///
/// # Errors
/// As [`Typist::accepted`].
pub(super) fn whole(
    typist: &Typist<'_>,
    files: &BTreeMap<String, Vec<TypedFile>>,
    refused: &[Rejected],
    end: i64,
    tick: &(dyn Fn(&str) + Sync),
) -> Result<Ingested> {
    if let Err(error) = typist.columns_are_there(files) {
        tracing::warn!(%error, "so far");
    }
    let mut ingested = typist.accepted(files.clone(), end, &|table| COMPUTED_ON.contains(&table), tick)?;
    ingested.refuse(refused);
    Ok(ingested)
}

/// Tells the whole shop anew. Scores are left out beside the epochs: newer ones will be published by then.
///
/// # Errors
/// Every kind of [`Error`].
pub(super) fn retell(
    pipeline: &Pipeline,
    options: &StreamOptions,
    typist: &Typist<'_>,
    (job, scores): (&Job<'_>, ScoresToo),
    (mut stages, tick): (Stopwatch, &(dyn Fn(&str) + Sync)),
) -> Result<Retold> {
    let as_of = job.as_of;
    let ingested = stages.time("accept", || whole(typist, &job.files, &job.refused, job.end, tick))?;
    let inputs = known(&options.out, ingested, as_of)?;
    let registry = Registry::open(&options.models);
    let models = Models::new(pipeline, &inputs, &registry, as_of)?;
    let terms = training::feature_terms(pipeline, as_of);
    let features = || match &job.scoring {
        Some(scoring) => {
            // Epochs go on while what is published is read, and may move an order to another day meanwhile.
            let mut tries = 0;
            let matrix = loop {
                let found = scoring.read().unwrap_or_else(PoisonError::into_inner).find(&inputs.ingested.tables)?;
                match found.matrix(&options.out, found.names()) {
                    Err(Error::Usage { .. }) if tries < TRIES => tries += 1,
                    matrix => break matrix?,
                }
            };
            crate::features::of_log(&inputs.ingested.tables, matrix, &pipeline.features, &terms)
        }
        None => crate::features::build(&inputs.ingested.tables, &pipeline.features, &terms),
    };
    let run_id = models.run_id(pipeline, &inputs.hashes, as_of);
    let metadata = models.metadata(pipeline, &run_id, as_of);
    let mut encoded = match scores {
        ScoresToo::Yes => Encoded::new(metadata.clone(), rayon::current_num_threads(), &[]),
        ScoresToo::No => Encoded::new(metadata.clone(), 1, SCORES),
    };
    let about = (run_id.as_str(), as_of);
    let computed = Computed::new(pipeline, &inputs, models, about, features, &mut encoded, (&mut stages, tick))?;
    let tables = encoded.tables;
    Ok(Retold { computed, inputs, tables, stages, run_id, metadata, as_of, epoch: job.epoch })
}

impl Retold {
    /// Adds everything to a commit.
    ///
    /// # Errors
    /// As [`Staging::write`].
    pub(super) fn write(self, pipeline: &Pipeline, options: &StreamOptions, staging: &mut Staging) -> Result<Summary> {
        let Self { computed, inputs, tables, mut stages, run_id, as_of, .. } = self;
        stages.time("write", || tables.iter().try_for_each(|table| staging.write_prepared(table)))?;
        let clock = clock(as_of, (options.now)());
        let about = About { run_id: run_id.clone(), clock, out: &options.out };
        let mut summary = computed.summary(pipeline, &inputs, about);
        summary.stages = std::mem::take(&mut stages.stages);
        summary.peak_memory_mib = peak_memory_mib();
        summary.finished_at = clock.started_at;
        summary.started_at = clock.started_at - stages.begun.elapsed().as_micros() as i64;
        staging.append(named("runs")?, &summary.frame()?)?;
        // Before the commit, so that whatever is published can be followed back to its rows.
        follow::keep(&options.out, &run_id, pipeline, &inputs.ingested, as_of)?;
        Ok(summary)
    }
}

/// Looks at the whole shop on a thread of its own.
pub(super) struct Retelling<'a> {
    ask: Sender<Job<'a>>,
    told: Receiver<Result<Retold>>,
    give_up: Arc<AtomicBool>,
    /// When the look in hand was begun.
    begun: Option<Instant>,
    ready: Option<Result<Retold>>,
    pace: Pace,
}

/// How often there is a look.
struct Pace {
    started: Instant,
    /// When the last look ended, and how long it took.
    last: Option<(Instant, Duration)>,
}

/// Whether a look can wait until a stream has caught up: it would take half of the processors from the epochs, and be out of
/// date before it is published.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum CanWait {
    /// More is waiting, and there was a look before.
    Yes,
    No,
}

impl Pace {
    /// Whether a look may begin `now` if one is wanted `every` so often.
    fn allows(&self, now: Instant, every: Duration, can_wait: CanWait) -> bool {
        let since = |at| now.saturating_duration_since(at);
        let is_rested = self.last.is_none_or(|(at, took)| since(at) >= every.max(took * RESTS));
        let is_old = since(self.last.map_or(self.started, |(at, _)| at)) >= PATIENCE;
        is_rested && (can_wait == CanWait::No || is_old)
    }
}

impl<'a> Retelling<'a> {
    /// Starts the thread, which ends when this is dropped.
    ///
    /// # Errors
    /// As [`pool`].
    pub(super) fn start<'scope>(
        scope: &'scope std::thread::Scope<'scope, '_>,
        pipeline: &'scope Pipeline,
        options: &'scope StreamOptions,
        key: &'scope PersonalKey,
    ) -> Result<Self>
    where
        'a: 'scope,
    {
        let (ask, asked) = channel::<Job<'a>>();
        let (tell, told) = channel();
        let give_up = Arc::new(AtomicBool::new(false));
        let gives_up = Arc::clone(&give_up);
        let pool = pool("look")?;
        scope.spawn(move || {
            for job in asked {
                let stages = Stopwatch::giving_up(Arc::clone(&gives_up));
                let cache = options.out.join(CACHE_DIR);
                let look =
                    |typist: Typist<'_>| retell(pipeline, options, &typist, (&job, ScoresToo::No), (stages, &|_| {}));
                let retold = Typist::new(pipeline, &cache, key).and_then(|typist| pool.install(|| look(typist)));
                drop(job);
                if tell.send(retold).is_err() {
                    break;
                }
            }
        });
        Ok(Self { ask, told, give_up, begun: None, ready: None, pace: Pace { started: Instant::now(), last: None } })
    }

    /// Whether it is time for a look: the last one is long enough ago, and none is in hand.
    pub(super) fn is_due(&self, every: Duration, can_wait: CanWait) -> bool {
        self.begun.is_none() && self.pace.allows(Instant::now(), every, can_wait)
    }

    /// Begins a look.
    pub(super) fn begin(&mut self, job: Job<'a>) {
        if self.ask.send(job).is_ok() {
            self.begun = Some(Instant::now());
        }
    }

    /// Whether a look has come to its end that nobody has taken.
    pub(super) fn is_ready(&mut self) -> bool {
        if self.begun.is_some() && self.ready.is_none() {
            self.ready = match self.told.try_recv() {
                Ok(retold) => Some(retold),
                Err(TryRecvError::Empty) => None,
                Err(TryRecvError::Disconnected) => {
                    Some(Err(Error::Invariant("the look at the whole shop broke off".to_owned())))
                }
            };
        }
        self.ready.is_some()
    }

    /// What the look told, if it has ended.
    ///
    /// # Errors
    /// Those of [`retell`].
    pub(super) fn take(&mut self) -> Result<Option<Retold>> {
        if !self.is_ready() {
            return Ok(None);
        }
        if let Some(begun) = self.begun.take() {
            self.ended(begun);
        }
        self.ready.take().transpose()
    }

    /// Notes a look that ended now.
    pub(super) fn ended(&mut self, begun: Instant) {
        self.pace.last = Some((Instant::now(), begun.elapsed()));
    }

    /// Gives up the look in hand, if there is one.
    pub(super) fn give_up(&mut self) {
        if self.begun.take().is_some() && self.ready.take().is_none() {
            self.give_up.store(true, Ordering::Relaxed);
            let _ = self.told.recv();
            self.give_up.store(false, Ordering::Relaxed);
        }
    }
}

impl Drop for Retelling<'_> {
    fn drop(&mut self) {
        self.give_up.store(true, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_look_takes_a_fifth_of_the_time_at_most_and_waits_while_more_is_waiting() {
        let (every, started) = (Duration::from_secs(60), Instant::now());
        let after = |seconds| started + Duration::from_secs(seconds);
        let allows = |last: Option<(u64, u64)>, now, can_wait| {
            let last = last.map(|(ended, took)| (after(ended), Duration::from_secs(took)));
            Pace { started, last }.allows(after(now), every, can_wait)
        };
        assert!(allows(None, 0, CanWait::No), "the first one at once");
        assert!(!allows(None, 599, CanWait::Yes) && allows(None, 600, CanWait::Yes), "a start amid a backlog");
        assert!(!allows(Some((100, 5)), 159, CanWait::No) && allows(Some((100, 5)), 160, CanWait::No), "as set");
        assert!(!allows(Some((100, 30)), 219, CanWait::No) && allows(Some((100, 30)), 220, CanWait::No), "rested");
        assert!(!allows(Some((100, 5)), 699, CanWait::Yes) && allows(Some((100, 5)), 700, CanWait::Yes));
        assert!(!allows(Some((100, 200)), 899, CanWait::Yes) && allows(Some((100, 200)), 900, CanWait::Yes));
    }
}
