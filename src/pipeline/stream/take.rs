//! What an epoch takes: files that have landed whole, lines of standard input.

use super::journal::Journal;
use crate::config::{Format, Pipeline, stream_duration};
use crate::error::Result;
use crate::intake::{
    Arrived, Coming, Landing, LandingSettings, Lines, Ready, RefusedLine, Standing, Stop, TakenFile, Unreadable,
};
use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

/// How long lines are waited for in one look.
const LINES_WAIT: Duration = Duration::from_millis(20);

/// The longest that a stream asked for once waits for files that still grow, in spans of `stable_for`.
const PATIENCE: u32 = 10;

/// What is at least waited for: a file that cannot be read has had its tries by then.
const LEAST_PATIENCE: Duration = Duration::from_secs(20);

/// Where everything comes from.
pub(super) struct Intake {
    landing: Landing,
    lines: Option<Lines>,
    once: bool,
    max_files: usize,
    max_bytes: u64,
    max_lines: usize,
    /// Until when files that grow are waited for.
    patience: Instant,
    now: fn() -> i64,
    /// What an epoch took that could not be published.
    given_back: Option<Gathered>,
}

/// What came since the last epoch.
#[derive(Default)]
pub(super) struct Gathered {
    pub(super) files: Vec<Arrived>,
    pub(super) unreadable: Vec<Unreadable>,
    /// Records by source, NDJSON.
    pub(super) records: BTreeMap<String, Vec<u8>>,
    /// Lines of standard input, those that are no records included.
    pub(super) lines: u64,
    pub(super) refused: Vec<RefusedLine>,
    /// Lines that were read and are left for a later epoch.
    pub(super) lines_left: u64,
    /// Files that have not landed whole.
    pub(super) growing: u64,
    /// Whether a file is there that could not be read and is tried again soon.
    pub(super) tries_again: bool,
    /// Whether nothing else is there now. Of lines that is known only once none has come for a while.
    pub(super) drained: bool,
    /// Whether more is there already than it took.
    pub(super) is_behind: bool,
}

impl Gathered {
    /// Whether there is nothing in it.
    pub(super) fn is_empty(&self) -> bool {
        self.files.is_empty() && self.unreadable.is_empty() && self.lines == 0
    }
}

impl Intake {
    /// # Errors
    /// As [`Landing::new`].
    pub(super) fn new(
        pipeline: &Pipeline,
        mut lines: Option<Lines>,
        (once, taken): (bool, u64),
        journal: &Journal,
        now: fn() -> i64,
    ) -> Result<Self> {
        let settings = &pipeline.raw.stream;
        let stable_for = stream_duration(&settings.stable_for);
        let used: std::collections::BTreeSet<String> =
            pipeline.raw.tables.values().flat_map(crate::config::TableMap::sources).collect();
        let sources = pipeline.raw.sources.iter().filter(|(name, _)| used.contains(*name));
        let sources = sources.map(|(name, source)| (name.clone(), source.clone())).collect();
        let poll = stable_for.clamp(Duration::from_millis(50), Duration::from_secs(1));
        let mut landing = Landing::new(&sources, &pipeline.base_dir, LandingSettings { stable_for, poll })?;
        for taken in journal.taken() {
            taken.changed_at.into_iter().for_each(|at| landing.remember(&taken.file, at));
        }
        if let Some(lines) = &mut lines {
            lines.skip(taken);
        }
        Ok(Self {
            landing,
            lines,
            once,
            max_files: settings.epoch_files as usize,
            max_bytes: settings.epoch_bytes,
            max_lines: settings.epoch_lines as usize,
            patience: Instant::now() + (stable_for * PATIENCE).max(LEAST_PATIENCE),
            now,
            given_back: None,
        })
    }

    /// Takes what is there, within the bounds of an epoch.
    ///
    /// # Errors
    /// [`crate::error::Error::Environment`] when a folder cannot be read.
    pub(super) fn gather(&mut self, journal: &Journal, stop: &Stop) -> Result<Gathered> {
        if let Some(mut gathered) = self.given_back.take() {
            // Some of it may have been published after all.
            gathered.files.retain(|file| !journal.has(&file.taken));
            return Ok(gathered);
        }
        let now = (self.now)();
        let mut ready = self.look(journal, now)?;
        // Once means: what is there. What is landing at this moment is there, and so is what is tried again in a moment.
        while self.once && ready.files.is_empty() && self.is_worth_waiting(&ready) && !stop.is_set() {
            self.landing.wait(stop);
            ready = self.look(journal, (self.now)())?;
        }
        let mut gathered = Gathered {
            drained: !ready.more,
            is_behind: ready.more,
            growing: ready.growing,
            tries_again: ready.paused > 0 && Instant::now() < self.patience,
            files: ready.files,
            unreadable: ready.unreadable,
            ..Gathered::default()
        };
        if let Some(lines) = &mut self.lines {
            // A stream asked for once reads its input to the end.
            let wait = if self.once && gathered.files.is_empty() { Duration::from_secs(1) } else { LINES_WAIT };
            let batch = lines.take(self.max_lines, wait);
            if let Some(why) = &batch.broken {
                tracing::warn!(%why, "standard input");
            }
            gathered.drained &= batch.ended || (!self.once && batch.lines == 0);
            gathered.lines_left = lines.held().lines as u64;
            gathered.is_behind |= gathered.lines_left > 0;
            let has_ended = batch.ended;
            (gathered.records, gathered.lines, gathered.refused) = (batch.by_source, batch.lines, batch.refused);
            if has_ended {
                self.lines = None;
            }
        }
        Ok(gathered)
    }

    /// What an epoch that comes next will find, as far as it is there, beside what is in hand already by source and name.
    ///
    /// # Errors
    /// As [`Self::gather`].
    pub(super) fn coming(&mut self, journal: &Journal, in_hand: &BTreeSet<(&str, &str)>) -> Result<Vec<Coming>> {
        let now = (self.now)();
        let may_come = |file: &TakenFile| {
            let is_in_hand = in_hand.contains(&(file.source.as_str(), file.name.as_str()));
            // One that nobody knows by its bytes is looked at again when it is taken; one that cannot be opened stands by its name.
            !is_in_hand && standing(journal, file, now) == Standing::New
        };
        self.landing.coming(&may_come, self.max_files, self.max_bytes)
    }

    /// Takes note of a file that was typed before it is taken: it need not be read again to be known.
    pub(super) fn know(&mut self, file: &Coming, content_hash: &str) {
        self.landing.know(file, content_hash);
    }

    /// Files that are whole and may be tried now.
    fn look(&mut self, journal: &Journal, now: i64) -> Result<Ready> {
        let standing = |file: &TakenFile| standing(journal, file, now);
        self.landing.ready(&standing, self.max_files, self.max_bytes)
    }

    fn is_worth_waiting(&self, ready: &Ready) -> bool {
        ready.unreadable.is_empty() && ready.paused + ready.growing > 0 && Instant::now() < self.patience
    }

    /// Puts back what epochs took that did not come about; lines cannot be read twice.
    pub(super) fn give_back(&mut self, epochs: impl Iterator<Item = Gathered>) {
        self.given_back = epochs.reduce(|mut all, later| {
            all.files.extend(later.files);
            all.unreadable.extend(later.unreadable);
            // Of lines the last has all: an epoch that has any is published before the next is made.
            Gathered { files: all.files, unreadable: all.unreadable, ..later }
        });
    }

    /// Waits until something may have arrived.
    pub(super) fn wait(&self, stop: &Stop) {
        // Reading lines waits by itself, as long as any can come.
        if self.lines.is_none() {
            self.landing.wait(stop);
        }
    }
}

/// Whether a file was taken before, and whether it may be tried now.
fn standing(journal: &Journal, file: &TakenFile, now: i64) -> Standing {
    let failures = &journal.progress.failures;
    if journal.has(file) || failures.is_set_aside(file) {
        Standing::Taken
    } else if failures.may_try(file, now) {
        Standing::New
    } else {
        Standing::Paused
    }
}

/// Lines are NDJSON, whatever the files of their source are.
pub(super) const LINES_FORMAT: Format = Format::Ndjson;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::intake::LinesSettings;

    #[test]
    fn lines_beyond_an_epoch_are_left_for_the_next_and_counted() {
        let text = "name = \"shop\"\n[sources.o]\npath = \"o/*.csv\"\n[tables.orders]\nsource = \"o\"\n\
                    columns = { order_id = \"id\", placed_at = \"at\", customer_id = \"c\", amount = \"a\" }\n";
        let folder = tempfile::tempdir().unwrap();
        let sets = ["stream.epoch_lines=2".to_owned()];
        let pipeline = Pipeline::parse(text, "shop.toml", folder.path(), &sets, &|_| None).unwrap();
        let lines = "{\"source\":\"o\",\"id\":1,\"at\":1}\n".repeat(5);
        let sources = BTreeSet::from(["o".to_owned()]);
        let lines = Lines::start(std::io::Cursor::new(lines), &sources, LinesSettings::default()).unwrap();
        let journal = Journal::new(&pipeline).unwrap();
        let mut intake = Intake::new(&pipeline, Some(lines), (true, 0), &journal, || 0).unwrap();
        // All five are read in one go and handed over together.
        let mut left = || {
            let gathered = intake.gather(&journal, &Stop::manual()).unwrap();
            (gathered.lines, gathered.lines_left, gathered.drained, gathered.is_behind)
        };
        assert_eq!([left(), left(), left()], [(2, 3, false, true), (2, 1, false, true), (1, 0, true, false)]);
    }
}
