//! What an epoch computed is scored and published on a thread of its own, while the next epoch is taken in. Commits keep the
//! order of epochs: one is in hand at most, and it is waited for before the next begins.

use super::StreamOptions;
use super::journal::Offsets;
use super::pool::pool;
use super::retelling::Retold;
use super::scorer::Scorer;
use super::telling::Figures;
use crate::config::Pipeline;
use crate::contract::output::output;
use crate::error::{Error, Result};
use crate::features::Features;
use crate::ingest::Ingested;
use crate::pipeline::chain::{SCORES, Stopwatch};
use crate::pipeline::follow;
use crate::pipeline::outlet::named;
use crate::pipeline::retention;
use crate::pipeline::scores::logged;
use crate::publish::{MadeFile, Publisher, Replaces, Staging};
use crate::registry::Registry;
use crate::types::time::date_of;
use polars::prelude::DataFrame;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Instant;

/// What publishes; one at a time has it.
pub(super) struct Publication {
    pub(super) publisher: Publisher,
    registry: Registry,
    scorer: Scorer,
}

/// A state file of a commit.
pub(super) enum StateFile {
    /// As it is in the last commit.
    Stays,
    /// These bytes.
    New(Vec<u8>),
    /// One that was written before.
    Made(MadeFile),
}

/// State files of a commit, by name below the state folder.
pub(super) type StateFiles = BTreeMap<String, StateFile>;

/// What an epoch has to publish.
pub(super) struct Work {
    pub(super) run_id: String,
    pub(super) metadata: BTreeMap<String, String>,
    /// The watermark.
    pub(super) as_of: i64,
    /// Tables and logged features of the orders that are to be decided on.
    pub(super) days: Option<(Ingested, Features)>,
    /// Days of which all logged features are among them, and the mark of the log then.
    pub(super) logged: (BTreeSet<i32>, u64),
    /// What was told of the whole shop.
    pub(super) retold: Option<Retold>,
    /// The ledger of what came late.
    pub(super) late: Option<DataFrame>,
    pub(super) state: StateFiles,
    pub(super) offsets: Offsets,
    pub(super) figures: Figures,
    /// When the epoch began.
    pub(super) begun: Instant,
}

/// What an epoch published.
pub(super) struct Made {
    /// What `fail_on` found, where the whole shop was looked at.
    pub(super) failed_on: Option<Vec<String>>,
    /// How far the stream has come by it.
    pub(super) offsets: Offsets,
    pub(super) figures: Figures,
    /// Days whose logged features are published with it, and the mark of the log then.
    pub(super) logged: (BTreeSet<i32>, u64),
}

impl Publication {
    pub(super) fn new(publisher: Publisher, options: &StreamOptions) -> Self {
        Self { publisher, registry: Registry::open(&options.models), scorer: Scorer::default() }
    }

    /// As [`Scorer::can_score`].
    ///
    /// # Errors
    /// As there.
    pub(super) fn can_score(&self, pipeline: &Pipeline) -> Result<bool> {
        self.scorer.can_score(pipeline, &self.registry)
    }

    /// Scores what is to be decided on, and publishes it with everything else in one commit.
    fn publish(&mut self, pipeline: &Pipeline, options: &StreamOptions, work: Work) -> Result<Made> {
        let mut stages = Stopwatch::again_and_again();
        let mut staging = self.publisher.begin_replacing(Replaces::Epoch, &work.run_id, work.metadata)?;
        // A day that lost its last order has none any more.
        for table in SCORES {
            let days = work.logged.0.iter().filter_map(|day| date_of(*day)).map(|day| day.to_string());
            staging.retell_partitions(named(table)?, days);
        }
        if let Some((ingested, mut features)) = work.days {
            let score = || self.scorer.score(pipeline, &ingested, &features, &self.registry, work.as_of);
            let scores = stages.time("risk", score)?;
            stages.time("write", || {
                staging.write_partitions(named("order_scores")?, &scores.order_scores)?;
                let values = features.take_values();
                staging.write_partitions(named("order_features")?, &logged(pipeline, &ingested, &features, values)?)
            })?;
        }
        let mut failed_on = None;
        if let Some(retold) = work.retold {
            let write = || retold.write(pipeline, options, &mut staging);
            failed_on = Some(stages.time("retold", write)?.failed_on);
        }
        add(&mut staging, work.late.as_ref(), work.state)?;
        retention::let_go(pipeline, &mut staging, (work.as_of, (options.now)()))?;
        let published = stages.time("commit", || staging.commit())?;
        if failed_on.is_some() {
            follow::keep_only(&options.out, &work.run_id);
        }
        let figures = work.figures.of(&published, work.begun);
        Ok(Made { failed_on, offsets: work.offsets, figures, logged: work.logged })
    }
}

/// Adds the ledger and the state to a commit.
///
/// # Errors
/// [`Error::Environment`] when they cannot be written.
pub(super) fn add(staging: &mut Staging, late: Option<&DataFrame>, state: StateFiles) -> Result<()> {
    if let (Some(table), Some(late)) = (output("late_rows"), late) {
        staging.append(table, late)?;
    }
    for (name, file) in state {
        match file {
            StateFile::Stays => staging.keep_state(&name),
            StateFile::New(bytes) => staging.write_state(&name, &bytes)?,
            StateFile::Made(made) => staging.adopt_state(&name, &made)?,
        }
    }
    Ok(())
}

/// Publishes on a thread of its own.
pub(super) struct Publishing {
    ask: Sender<(Publication, Work)>,
    done: Receiver<(Publication, Result<Made>)>,
    /// What publishes, as long as nothing is in hand.
    here: Option<Publication>,
}

impl Publishing {
    /// Starts the thread, which ends when this is dropped.
    ///
    /// # Errors
    /// As [`pool`].
    pub(super) fn start<'scope>(
        scope: &'scope std::thread::Scope<'scope, '_>,
        pipeline: &'scope Pipeline,
        options: &'scope StreamOptions,
        publisher: Publisher,
    ) -> Result<Self> {
        let (ask, asked) = channel::<(Publication, Work)>();
        let (tell, done) = channel();
        let pool = pool("publish")?;
        scope.spawn(move || {
            for (mut publication, work) in asked {
                let made = pool.install(|| publication.publish(pipeline, options, work));
                if tell.send((publication, made)).is_err() {
                    break;
                }
            }
        });
        Ok(Self { ask, done, here: Some(Publication::new(publisher, options)) })
    }

    /// Whether something is in hand.
    pub(super) fn is_at_work(&self) -> bool {
        self.here.is_none()
    }

    /// What publishes, for what is published at once.
    ///
    /// # Errors
    /// [`Error::Invariant`] while something is in hand: it has to be settled before.
    pub(super) fn here(&mut self) -> Result<&mut Publication> {
        self.here.as_mut().ok_or_else(|| Error::Invariant("an epoch was published before the last one".to_owned()))
    }

    /// Begins to publish.
    ///
    /// # Errors
    /// As [`Self::here`].
    pub(super) fn begin(&mut self, work: Work) -> Result<()> {
        self.here()?;
        if let Some(publication) = self.here.take() {
            self.ask.send((publication, work)).map_err(|_| broke_off())?;
        }
        Ok(())
    }

    /// Waits for what is in hand, if anything is.
    ///
    /// # Errors
    /// Those of publishing; then nothing of it counts.
    pub(super) fn settle(&mut self) -> Result<Option<Made>> {
        if self.here.is_some() {
            return Ok(None);
        }
        let (publication, made) = self.done.recv().map_err(|_| broke_off())?;
        self.here = Some(publication);
        made.map(Some)
    }
}

fn broke_off() -> Error {
    Error::Invariant("publishing broke off".to_owned())
}
