//! One epoch: what was taken becomes tables, scores and figures, in one commit.

mod taking;

use super::StreamOptions;
use super::ahead::Typed;
use super::checkpoint::{self, Checkpoints};
use super::journal::{Journal, Offsets, declared_features};
use super::learning::Learning;
use super::published;
use super::publishing::{Made, Publishing, Work, add};
use super::resuming;
use super::retelling::{CanWait, Job, Retelling, ScoresToo, Shared, retell, whole};
use super::scoring::{LateRow, READ, Scoring, Stepped};
use super::take::Gathered;
use super::telling::Figures;
use crate::config::{Pipeline, ReturnUnit, stream_duration, stream_span};
use crate::contract::SCHEMA_VERSION;
use crate::error::{Error, Result};
use crate::ingest::{KeptFile, PersonalKey, TypedFile, Typist};
use crate::pipeline::chain::Stopwatch;
use crate::pipeline::follow;
use crate::pipeline::retention;
use crate::publish::Replaces;
use crate::registry::Registry;
use crate::types::time::SECOND;
use polars::prelude::*;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::Instant;

/// How many times the rows of the setting come between two checkpoints while more is waiting.
const CATCHING_UP: u64 = 4;

/// Whether anything comes after an epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Last {
    /// More is there already.
    No,
    /// Nothing is there now.
    SoFar,
    /// Nothing will come: the stream ends.
    OfAll,
}

/// A stream between epochs.
pub(super) struct Following<'a> {
    pipeline: &'a Pipeline,
    options: &'a StreamOptions,
    key: &'a PersonalKey,
    cache: &'a Path,
    typist: Typist<'a>,
    publishing: Publishing,
    pub(super) journal: Journal,
    /// How far the last commit has come.
    pub(super) committed: Offsets,
    /// Every file that counted, by source, in the order in which a batch reads them.
    files: BTreeMap<String, Vec<TypedFile>>,
    /// Files of the epoch that is being made.
    new: BTreeMap<String, Vec<TypedFile>>,
    /// Files that were typed before the epoch that takes them was begun.
    pub(super) typed: Typed,
    /// Scores of orders, once each; `None` where lines are scored: these are told anew with the whole shop.
    scoring: Option<Shared<'a>>,
    /// Models that go on learning in the shadow, and where they are.
    learning: Learning,
    registry: Registry,
    /// Looks at the whole shop beside the epochs.
    retelling: Retelling<'a>,
    checkpoints: Checkpoints,
    /// Other features are declared than were logged: all orders are to be told of with these.
    declared_anew: bool,
}

impl<'a> Following<'a> {
    /// Takes up what the last commit left.
    ///
    /// # Errors
    /// As [`Journal::read`]; [`Error::Usage`] when a typed copy that it names is gone.
    pub(super) fn start(
        pipeline: &'a Pipeline,
        options: &'a StreamOptions,
        key: &'a PersonalKey,
        cache: &'a Path,
        (mut publishing, retelling, checkpoints): (Publishing, Retelling<'a>, Checkpoints),
    ) -> Result<Self> {
        let typist = Typist::new(pipeline, cache, key)?.keeping(READ);
        let mut journal = Journal::read(&publishing.here()?.publisher, pipeline)?;
        let mut copies: BTreeMap<&str, Vec<KeptFile>> = BTreeMap::new();
        for taken in journal.taken() {
            copies.entry(&taken.file.source).or_default().push(taken.typed.clone());
        }
        let mut files = BTreeMap::new();
        for (source, copies) in copies {
            let mut typed = typist.kept(source, &copies)?;
            in_reading_order(&mut typed);
            files.insert(source.to_owned(), typed);
        }
        let by_line = pipeline.raw.risk.returns.as_ref().is_some_and(|r| r.unit == ReturnUnit::Line);
        let declared_anew = journal.progress.features != declared_features(pipeline);
        let mut scoring = (!by_line).then(|| Scoring::new(pipeline));
        if let (Some(scoring), false) = (&mut scoring, files.is_empty()) {
            let publisher = &publishing.here()?.publisher;
            *scoring = resuming::held(pipeline, (options, key), (publisher, &mut journal), (&files, declared_anew))?;
        }
        let at = (options.out.as_path(), journal.progress.watermark);
        let registry = Registry::open(&options.models);
        let publisher = &publishing.here()?.publisher;
        let mut learning = Learning::resume(publisher, scoring.as_ref(), (pipeline, &registry), at)?;
        journal.goes_with(learning.files(), learning.told());
        let (committed, new) = (journal.offsets(), BTreeMap::new());
        let scoring = scoring.map(|scoring| Arc::new(RwLock::new(scoring)));
        Ok(Self {
            pipeline,
            options,
            key,
            cache,
            typist,
            publishing,
            journal,
            committed,
            files,
            new,
            typed: Typed::new(),
            scoring,
            learning,
            registry,
            retelling,
            checkpoints,
            declared_anew,
        })
    }

    /// Whether an epoch failed on rows of the checkpoint that are damaged, which [`Self::again`] does without.
    pub(super) fn is_spoilt(&mut self) -> bool {
        // Whatever came of it, the last commit tells.
        let _ = self.publishing.settle();
        let checkpoint = self.journal.progress.checkpoint.as_ref();
        self.publishing.here().is_ok_and(|here| checkpoint::is_spoilt(&here.publisher, checkpoint))
    }

    /// Starts anew from the last commit, after an epoch that failed.
    ///
    /// # Errors
    /// As [`Self::start`].
    pub(super) fn again(mut self) -> Result<Self> {
        self.retelling.give_up();
        // Whatever came of it, the last commit tells.
        let _ = self.publishing.settle();
        // One that is being written may be of an epoch that did not count.
        self.checkpoints.give_up();
        let workers = (self.publishing, self.retelling, self.checkpoints);
        Self::start(self.pipeline, self.options, self.key, self.cache, workers)
    }

    /// Whether an epoch is being published.
    pub(super) fn is_publishing(&self) -> bool {
        self.publishing.is_at_work()
    }

    /// Waits for the epoch that is being published, if any is.
    ///
    /// # Errors
    /// Every kind of [`Error`]; then nothing of it counts, and `self` is to be started again.
    pub(super) fn settle(&mut self) -> Result<Option<Made>> {
        let made = self.publishing.settle()?;
        if let Some(made) = &made {
            self.committed = made.offsets.clone();
            if let Some(scoring) = &self.scoring {
                let (days, mark) = &made.logged;
                writing(scoring).published(Some(days), *mark);
            }
        }
        Ok(made)
    }

    /// Whether an epoch has anything to do: something came, or the clock has to be moved to where it was told to end.
    pub(super) fn is_due(&mut self, gathered: &Gathered, last: Last) -> bool {
        let told = self.retelling.is_ready();
        let progress = &self.journal.progress;
        let closes = last != Last::No && !self.files.is_empty();
        // Where no order is from before the end there is no watermark to be moved.
        let has_order = |end| self.scoring.as_ref().is_none_or(|scoring| reading(scoring).newest(end).is_some());
        let behind = self.options.as_of.is_some_and(|end| progress.watermark < Some(end) && has_order(end));
        let stale = progress.told < progress.changed && (last == Last::OfAll || self.retelling_is_due(gathered));
        // A checkpoint that nothing else comes after is worth a commit of its own.
        let is_written = !self.options.once && self.checkpoints.is_written();
        !gathered.is_empty() || told || is_written || (closes && (behind || stale || self.declared_anew))
    }

    /// Whoever asks for everything once looks at it in the end; who has to catch up, when that is done, if there was a look
    /// before.
    fn retelling_is_due(&self, gathered: &Gathered) -> bool {
        let was_told = self.journal.progress.run_id.is_some();
        let can_wait = if gathered.is_behind && was_told { CanWait::Yes } else { CanWait::No };
        !self.options.once && self.retelling.is_due(stream_duration(&self.pipeline.raw.stream.refresh), can_wait)
    }

    /// Makes one epoch; what was published meanwhile, be it of this epoch or of the one before. Where more has come already,
    /// this one is still being published when the next begins.
    ///
    /// # Errors
    /// Every kind of [`Error`]; then nothing counts of it and of what was being published, and `self` is to be started
    /// again.
    pub(super) fn epoch(&mut self, gathered: &Gathered, last: Last, tick: &(dyn Fn(&str) + Sync)) -> Result<Vec<Made>> {
        let begun = Instant::now();
        let mut stages = Stopwatch::again_and_again();
        let end = self.options.as_of.unwrap_or((self.options.now)());
        self.journal.begin();
        stages.time("ingest", || self.take(gathered, tick))?;
        let new = std::mem::take(&mut self.new);
        if let Some(scoring) = &self.scoring {
            stages.time("accept", || writing(scoring).take(&new, end))?;
        }
        // Rows that were at hand are taken in.
        drop(new);
        let Some(as_of) = stages.time("accept", || self.watermark(last, end))? else {
            return self.commit_journal();
        };
        let before = self.journal.progress.watermark.replace(as_of);
        if !gathered.is_empty() || before != Some(as_of) {
            self.journal.progress.changed = self.journal.progress.epoch;
        }
        tick("features");
        let out = &self.options.out;
        let stepped = match &self.scoring {
            Some(scoring) => {
                let is_shared = self.checkpoints.is_at_work();
                Some(stages.time("features", || writing(scoring).step(out, (as_of, before), is_shared))?)
            }
            None => None,
        };
        if let (Some(scoring), Some(stepped)) = (&self.scoring, &stepped) {
            let (learning, from) = (&mut self.learning, (self.pipeline, &self.registry));
            stages.time("learn", || learning.step(&reading(scoring), stepped, from, (out, as_of)))?;
            self.journal.goes_with(self.learning.files(), self.learning.told());
        }
        // Every order waits still.
        if self.scoring.as_ref().is_some_and(|scoring| reading(scoring).scored() == 0) {
            return self.commit_journal();
        }
        let mut made: Vec<Made> = self.settle()?.into_iter().collect();
        let is_fast = stepped.is_some() && self.publishing.here()?.can_score(self.pipeline)?;
        // Scores that no journal tells of are not gone on from: the first epoch leaves nothing of them.
        let is_foreign = self.committed.epoch == 0 && published::is_any(out)?;
        let scores_alone = is_fast && last != Last::OfAll && !self.declared_anew && !is_foreign;
        match &stepped {
            Some(stepped) if scores_alone => {
                let work = self.work(stepped, as_of, begun, &mut stages)?;
                self.publishing.begin(work)?;
                // Lines cannot be read twice if publishing fails; and who waits for nothing can wait for this.
                if last != Last::No || gathered.lines > 0 {
                    made.extend(self.settle()?);
                }
                if self.journal.progress.told < self.journal.progress.changed && self.retelling_is_due(gathered) {
                    let job = self.job(end, as_of);
                    self.retelling.begin(job);
                }
                stages.time("checkpoint", || self.checkpoint(last))?;
            }
            _ => {
                self.retelling.give_up();
                let late = stepped.as_ref().map_or(&[][..], |stepped| &stepped.late);
                let looked = Instant::now();
                made.push(self.refresh(end, as_of, stages.giving_back(), begun, late, tick)?);
                self.retelling.ended(looked);
            }
        };
        Ok(made)
    }

    /// Begins to write down what is held, where so much has come that this is worth it. Who has to catch up has better things
    /// to do, and would have to after a kill too.
    fn checkpoint(&mut self, last: Last) -> Result<()> {
        let Some(scoring) = &self.scoring else { return Ok(()) };
        let enough = self.pipeline.raw.stream.checkpoint_rows;
        let enough = if last == Last::No { enough.saturating_mul(CATCHING_UP) } else { enough };
        let progress = &self.journal.progress;
        let rows = self.files.values().flatten().map(|file| file.findings.typed).sum();
        if !self.checkpoints.is_due(progress.checkpoint.as_ref(), rows, enough) {
            return Ok(());
        }
        self.checkpoints.begin(&mut writing(scoring), progress.checkpoint.as_ref(), (progress.epoch, rows))
    }

    /// What the whole shop is to be told of now.
    fn job(&self, end: i64, as_of: i64) -> Job<'a> {
        let (files, refused) = (self.files.clone(), self.journal.refused().to_vec());
        Job { files, refused, end, as_of, epoch: self.journal.progress.changed, scoring: self.scoring.clone() }
    }

    /// Everything placed before has been waited for; `None` before the first order.
    fn watermark(&self, last: Last, end: i64) -> Result<Option<i64>> {
        let newest = match &self.scoring {
            Some(scoring) => reading(scoring).newest(end),
            None => whole(&self.typist, &self.files, &[], end, &|_| {})?
                .tables
                .get("orders")
                .map(|o| newest_by(o, end))
                .transpose()?
                .flatten(),
        };
        let reached = newest.map(|at| at.saturating_sub(stream_span(&self.pipeline.raw.stream.lateness)));
        // All that will come by the clock it was given has come.
        let closes = last != Last::No && self.options.as_of.is_some() && newest.is_some();
        let reached = if closes { Some(end) } else { reached };
        Ok(reached.max(self.journal.progress.watermark))
    }

    /// What there is to publish: scores of new orders, days that are to be decided again, and the look at the whole shop if
    /// one has ended.
    fn work(&mut self, stepped: &Stepped, as_of: i64, begun: Instant, stages: &mut Stopwatch) -> Result<Work> {
        let pipeline = self.pipeline;
        let Some(scoring) = self.scoring.as_deref() else {
            return Err(Error::Invariant("orders were scored that are not followed".to_owned()));
        };
        let retold = self.retelling.take()?;
        let run_id = retold.as_ref().map(|retold| retold.run_id.clone()).or(self.journal.progress.run_id.clone());
        // Of the scores of this epoch; what was told of the whole shop names its own clock.
        let metadata = BTreeMap::from([
            ("pipeline".to_owned(), pipeline.raw.name.clone()),
            ("schema_version".to_owned(), SCHEMA_VERSION.to_owned()),
            ("epoch".to_owned(), self.journal.progress.epoch.to_string()),
            ("currency".to_owned(), pipeline.raw.money.base.clone()),
        ]);
        let mut days = None;
        if !stepped.days.is_empty() {
            let of_days = || {
                writing(scoring).hold(&self.options.out, &stepped.days)?;
                reading(scoring).of_days(&self.options.out, &stepped.days, as_of)
            };
            days = Some(stages.time("days", of_days)?).filter(|(_, features)| !features.placed_at.is_empty());
        }
        let scored = (reading(scoring).scored(), reading(scoring).waiting());
        if let Some(retold) = &retold {
            self.journal.told(&retold.run_id, retold.as_of, retold.epoch);
        }
        // The epoch that it is of was settled before.
        if let Some(written) = self.checkpoints.take(false) {
            self.journal.checkpointed(written);
        }
        let late = self.journal.late(&stepped.late)?;
        Ok(Work {
            run_id: run_id.unwrap_or_else(|| "stream".to_owned()),
            metadata,
            as_of,
            days,
            logged: (stepped.days.clone(), reading(scoring).mark()),
            retold,
            late,
            state: self.journal.state()?,
            offsets: self.journal.offsets(),
            figures: self.figures(as_of, scored),
            begun,
        })
    }

    /// What an epoch has to tell, but for its commit.
    fn figures(&self, as_of: i64, (orders_scored, orders_waiting): (u64, u64)) -> Figures {
        let all = || self.files.values().flatten();
        Figures {
            as_of,
            seconds: 0.0,
            rows_accepted: all().map(|file| file.findings.typed).sum(),
            rows_quarantined: all().map(|file| file.findings.rejected.len() as u64).sum::<u64>()
                + self.journal.progress.lines_refused,
            orders_scored,
            orders_waiting,
            published_files: 0,
            state_bytes: 0,
        }
    }

    /// Tells the whole shop anew, now.
    fn refresh(
        &mut self,
        end: i64,
        as_of: i64,
        stages: Stopwatch,
        begun: Instant,
        late: &[LateRow],
        tick: &(dyn Fn(&str) + Sync),
    ) -> Result<Made> {
        let (pipeline, options) = (self.pipeline, self.options);
        let retold = retell(pipeline, options, &self.typist, (&self.job(end, as_of), ScoresToo::Yes), (stages, tick))?;
        let run_id = retold.run_id.clone();
        let publisher = &self.publishing.here()?.publisher;
        let mut staging = publisher.begin_replacing(Replaces::Epoch, &run_id, retold.metadata.clone())?;
        let summary = retold.write(pipeline, options, &mut staging)?;
        self.journal.progress.features = declared_features(pipeline);
        // This takes its time anyway, and who takes everything once a while starts often.
        self.checkpoint(Last::OfAll)?;
        if let Some(written) = self.checkpoints.take(true) {
            self.journal.checkpointed(written);
        }
        self.journal.told(&run_id, as_of, self.journal.progress.changed);
        let late = self.journal.late(late)?;
        add(&mut staging, late.as_ref(), self.journal.state()?)?;
        retention::let_go(pipeline, &mut staging, (as_of, (options.now)()))?;
        let scored = summary.tables.get("orders").map_or(0, |t| t.accepted);
        let scored = self.scoring.as_ref().map_or((scored, 0), |s| (reading(s).scored(), reading(s).waiting()));
        let published = staging.commit()?;
        follow::keep_only(&options.out, &run_id);
        self.committed = self.journal.offsets();
        self.declared_anew = false;
        if let Some(scoring) = &self.scoring {
            let mut scoring = writing(scoring);
            let mark = scoring.mark();
            scoring.published(None, mark);
        }
        let figures = self.figures(as_of, scored).of(&published, begun);
        let (offsets, logged) = (self.committed.clone(), Default::default());
        Ok(Made { failed_on: Some(summary.failed_on), offsets, figures, logged })
    }

    /// Publishes that files were taken which gave no order yet.
    fn commit_journal(&mut self) -> Result<Vec<Made>> {
        let made = self.settle()?.into_iter().collect();
        let id = format!("epoch-{}", self.journal.progress.epoch);
        let publisher = &self.publishing.here()?.publisher;
        let mut staging = publisher.begin_replacing(Replaces::Epoch, &id, BTreeMap::new())?;
        self.journal.write(&mut staging)?;
        staging.commit()?;
        self.committed = self.journal.offsets();
        Ok(made)
    }
}

fn writing<'s, 'a>(scoring: &'s RwLock<Scoring<'a>>) -> RwLockWriteGuard<'s, Scoring<'a>> {
    scoring.write().unwrap_or_else(PoisonError::into_inner)
}

fn reading<'s, 'a>(scoring: &'s RwLock<Scoring<'a>>) -> RwLockReadGuard<'s, Scoring<'a>> {
    scoring.read().unwrap_or_else(PoisonError::into_inner)
}

/// As a batch reads them: by name; of one name as they came.
fn in_reading_order(files: &mut [TypedFile]) {
    files.sort_by(|a, b| Path::new(&a.name).cmp(Path::new(&b.name)));
}

/// When the newest order was placed that is not from after `end`.
fn newest_by(orders: &DataFrame, end: i64) -> Result<Option<i64>> {
    let stage = || Error::frames("the watermark");
    let times = orders.column("placed_at").map(|c| c.to_physical_repr()).map_err(stage())?;
    let times = times.i64().map_err(stage())?;
    // A clock that runs a little ahead somewhere is no order from the future.
    let latest = end.saturating_add(SECOND);
    Ok(times.iter().flatten().filter(|at| *at <= latest).max().map(|at| at.min(end)))
}
