//! Checkpoints: what a stream holds, on the disk, so that a start reads it and has not to count everything again.
//!
//! A checkpoint is what scores are given from, as it was when an epoch had been made. It is written beside the epochs that
//! follow, counts with the commit of one of them, and is named by the journal. A start takes it up and then the files that
//! came after it; without one, or with one that other settings made, it takes all files, which gives the same and takes
//! longer. Rows never change once they are accepted, so that only what is looked up is written again each time.

use super::journal::Journal;
use super::pool::{pool, readers};
use super::published;
use super::scoring::{Scoring, Taken, unread};
use crate::config::Pipeline;
use crate::contract::output::STATE_DIR;
use crate::error::{Error, Result};
use crate::ingest::{PersonalKey, TypedFile, create_private};
use crate::pipeline::chain::Stopwatch;
use crate::pipeline::training::feature_terms;
use crate::publish::{MadeFile, Publisher};
use crate::saved::{self, Rows};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, Sender, channel};

/// Files of columns at most.
const MOST_FILES: usize = 24;

/// A checkpoint, as the journal names it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Checkpoint {
    /// The epoch after which it was made.
    pub(super) epoch: u64,
    /// Typed rows of all files by then.
    pub(super) rows: u64,
    /// Its state files: what is looked up, columns of it that are shared with checkpoints before, and rows.
    state: String,
    columns: Vec<String>,
    row_files: Vec<String>,
}

impl Checkpoint {
    /// All of its files.
    pub(super) fn files(&self) -> impl Iterator<Item = &String> {
        std::iter::once(&self.state).chain(&self.columns).chain(&self.row_files)
    }
}

/// A checkpoint on the disk, with the files of it that no commit has yet.
pub(super) type Written = (Checkpoint, BTreeMap<String, MadeFile>);

/// What is to be written.
struct Making {
    checkpoint: Checkpoint,
    sections: Vec<saved::Section>,
    /// Rows that are not saved yet, by the state file that they are to be in.
    rows: Vec<(String, Rows)>,
    /// Files of columns that need not be written again.
    kept: BTreeSet<String>,
}

/// Writes checkpoints on a thread of its own, one at a time.
pub(super) struct Checkpoints {
    /// The state folder.
    state: PathBuf,
    ask: Sender<Making>,
    done: Receiver<Result<Written>>,
    is_at_work: bool,
    /// Rows by which the last one was begun: one that could not be written is not tried again at every epoch.
    tried: u64,
    /// One that was written, and that nobody has taken yet.
    written: Option<Written>,
}

impl Checkpoints {
    /// Starts the thread, which ends when this is dropped. What an earlier process did not bring to an end is gone then.
    ///
    /// # Errors
    /// [`Error::Environment`] when the folder cannot be made, and as [`pool`].
    pub(super) fn start<'scope>(
        scope: &'scope std::thread::Scope<'scope, '_>,
        pipeline: &Pipeline,
        key: &PersonalKey,
        out: &Path,
    ) -> Result<Self> {
        let (ask, asked) = channel::<Making>();
        let (tell, done) = channel();
        let (folder, whose) = (Folder::of(out)?, whose(pipeline, key)?);
        let pool = pool("checkpoint")?;
        scope.spawn(move || {
            for making in asked {
                if tell.send(pool.install(|| folder.write(&whose, making))).is_err() {
                    break;
                }
            }
        });
        Ok(Self { state: out.join(STATE_DIR), ask, done, is_at_work: false, tried: 0, written: None })
    }

    /// Whether so much has come that a checkpoint is to be made, and none is being written.
    pub(super) fn is_due(&self, last: Option<&Checkpoint>, rows: u64, enough: u64) -> bool {
        let new = rows.saturating_sub(last.map_or(0, |last| last.rows).max(self.tried));
        !self.is_at_work && self.written.is_none() && new >= enough
    }

    /// Begins to write what is held after an epoch by which `rows` had come; `last` is the checkpoint that the last commit
    /// has.
    ///
    /// # Errors
    /// [`Error::Invariant`] only for defects.
    pub(super) fn begin(
        &mut self,
        scoring: &mut Scoring<'_>,
        last: Option<&Checkpoint>,
        (epoch, rows): (u64, u64),
    ) -> Result<()> {
        let saved = scoring.save(&format!("{epoch:010}"));
        let there: BTreeSet<&String> = last.iter().flat_map(|last| last.files()).collect();
        let named: Vec<(String, Rows)> = saved.rows.into_iter().map(|(name, rows)| (rows_file(&name), rows)).collect();
        let state = format!("{}/checkpoint-{epoch:010}", super::journal::FOLDER);
        let row_files = named.iter().map(|(file, _)| file.clone()).collect();
        let new = named.into_iter().filter(|(file, _)| !there.contains(file)).collect();
        let kept = last.map(|last| self.worth_keeping(&last.columns, &saved.sections)).unwrap_or_default();
        // Which files of columns it has is seen when it is written.
        let checkpoint = Checkpoint { epoch, rows, state, row_files, columns: Vec::new() };
        let making = Making { checkpoint, sections: saved.sections, rows: new, kept };
        self.ask.send(making).map_err(|_| broke_off())?;
        (self.is_at_work, self.tried) = (true, rows);
        Ok(())
    }

    /// Lets go of the checkpoint that is being written.
    pub(super) fn give_up(&mut self) {
        let written = self.take(true).map(|(_, made)| made).unwrap_or_default();
        written.into_values().for_each(MadeFile::discard);
    }

    /// Files of columns, unless they are many, or most of what is in them is of no use any more: then all is written again.
    fn worth_keeping(&self, files: &[String], sections: &[saved::Section]) -> BTreeSet<String> {
        let kept: BTreeSet<String> = files.iter().cloned().collect();
        let size = |file: &String| std::fs::metadata(self.state.join(file)).map_or(0, |found| found.len());
        let used = saved::Columns::kept_in_bytes(sections, &kept);
        match kept.len() < MOST_FILES && kept.iter().map(size).sum::<u64>() <= 2 * used {
            true => kept,
            false => BTreeSet::new(),
        }
    }

    /// Whether one is being written.
    pub(super) fn is_at_work(&mut self) -> bool {
        self.look(false);
        self.is_at_work
    }

    /// Whether a checkpoint waits for a commit.
    pub(super) fn is_written(&mut self) -> bool {
        self.look(false);
        self.written.is_some()
    }

    /// The checkpoint that was written, if one was meanwhile; waits for one that is being written where asked to.
    pub(super) fn take(&mut self, waits: bool) -> Option<Written> {
        self.look(waits);
        self.written.take()
    }

    /// One that could not be written is passed over: the next start takes longer, and that is all.
    fn look(&mut self, waits: bool) {
        if !self.is_at_work {
            return;
        }
        let written = match waits {
            true => self.done.recv().unwrap_or_else(|_| Err(broke_off())),
            false => match self.done.try_recv() {
                Ok(written) => written,
                Err(_) => return,
            },
        };
        self.is_at_work = false;
        match written {
            Ok(written) => self.written = Some(written),
            Err(error) => tracing::warn!(%error, "no checkpoint was made; a start will take longer"),
        }
    }
}

fn broke_off() -> Error {
    Error::Invariant("writing a checkpoint broke off".to_owned())
}

/// Where checkpoints are written before they count.
struct Folder {
    path: PathBuf,
    /// The state folder, to which a commit moves their files.
    state: PathBuf,
}

impl Folder {
    fn of(out: &Path) -> Result<Self> {
        let state = out.join(STATE_DIR);
        let folder = Self { path: state.join("stream-checkpoint"), state };
        folder.clear()?;
        create_private(&folder.path)?;
        Ok(folder)
    }

    fn clear(&self) -> Result<()> {
        match std::fs::remove_dir_all(&self.path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(Error::io("remove", &self.path)(error)),
            _ => Ok(()),
        }
    }

    /// Writes a checkpoint; of one that cannot be written nothing is left, since the disk may be full.
    fn write(&self, whose: &[u8; 32], making: Making) -> Result<Written> {
        let mut made = BTreeMap::new();
        match self.write_all(whose, making, &mut made) {
            Ok(checkpoint) => Ok((checkpoint, made)),
            Err(error) => {
                made.into_values().for_each(MadeFile::discard);
                Err(error)
            }
        }
    }

    fn write_all(
        &self,
        whose: &[u8; 32],
        Making { mut checkpoint, mut sections, rows, kept }: Making,
        made: &mut BTreeMap<String, MadeFile>,
    ) -> Result<Checkpoint> {
        for (file, rows) in &rows {
            self.make(made, file, &|path| MadeFile::of_rows(path, &rows.all()?))?;
        }
        let of_columns = format!("{}/columns-{:010}", super::journal::FOLDER, checkpoint.epoch);
        let mut columns = saved::Columns::separate(&mut sections, &kept, &of_columns);
        checkpoint.columns.clone_from(&columns.files);
        let sections_of = |mut sections: Vec<saved::Section>| {
            let header = saved::header(whose, &mut sections);
            move |path: &Path| {
                MadeFile::of_head(path, &header, |file| {
                    sections.iter().try_for_each(|section| section.each_part(&mut |part| file.write_all(part)))
                })
            }
        };
        if !columns.sections.is_empty() {
            self.make(made, &of_columns, &sections_of(std::mem::take(&mut columns.sections)))?;
        }
        self.make(made, &checkpoint.state, &sections_of(sections))?;
        columns.are_written();
        for (file, rows) in &rows {
            made.get(file).map_or(Ok(()), |made| made.has(rows, self.state.join(file)))?;
        }
        Ok(checkpoint)
    }

    /// Makes a file; of one that cannot be written nothing is left.
    fn make(
        &self,
        made: &mut BTreeMap<String, MadeFile>,
        file: &str,
        make: &dyn Fn(&Path) -> Result<MadeFile>,
    ) -> Result<()> {
        let path = self.place(file);
        let one = make(&path).inspect_err(|_| {
            let _ = std::fs::remove_file(&path);
        })?;
        made.insert(file.to_owned(), one);
        Ok(())
    }

    /// Where a state file is written first. No two checkpoints have one of a name, and one may still be waiting for its commit
    /// when the next is written.
    fn place(&self, file: &str) -> PathBuf {
        self.path.join(file.rsplit('/').next().unwrap_or_default())
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // What is left is dropped by the next start.
        let _ = self.clear();
    }
}

fn rows_file(name: &str) -> String {
    format!("{}/rows-{name}", super::journal::FOLDER)
}

/// A hash of everything that a checkpoint depends on, but for the files that were taken. Another build of the program may
/// count something in another way, so that its first start takes everything anew.
fn whose(pipeline: &Pipeline, key: &PersonalKey) -> Result<[u8; 32]> {
    let mut hasher = blake3::Hasher::new();
    hasher.update(env!("CARGO_PKG_VERSION").as_bytes());
    // Where it cannot be read, the version has to do.
    let program = std::env::current_exe().and_then(std::fs::File::open);
    let _ = program.and_then(|program| hasher.update_reader(program).map(drop));
    hasher.update(super::journal::mapping(pipeline)?.as_bytes());
    hasher.update(super::journal::declared_features(pipeline).as_bytes());
    hasher.update(format!("{:?} {:?}", feature_terms(pipeline, 0), unread(pipeline)).as_bytes());
    hasher.update(key.fingerprint().as_bytes());
    Ok(*hasher.finalize().as_bytes())
}

/// What the last checkpoint holds, with the files that came after it and with what was `logged`; `None` where there is none, or
/// it cannot be used, which is said.
pub(super) fn take_up<'a>(
    pipeline: &'a Pipeline,
    key: &PersonalKey,
    (publisher, journal): (&Publisher, &Journal),
    (files, end): (&Taken, i64),
    logged: impl FnOnce() -> Result<Vec<published::OfDay>> + Send,
) -> Option<Scoring<'a>> {
    let checkpoint = journal.progress.checkpoint.as_ref()?;
    let late: BTreeSet<(&str, &str, &str)> = journal
        .taken()
        .iter()
        .filter(|taken| taken.epoch > checkpoint.epoch)
        .map(|taken| (taken.file.source.as_str(), taken.typed.name.as_str(), taken.typed.content_hash.as_str()))
        .collect();
    let (mut before, mut after) = (BTreeMap::new(), BTreeMap::new());
    for (source, files) in files {
        let is_late =
            |file: &TypedFile| late.contains(&(source.as_str(), file.name.as_str(), file.content_hash.as_str()));
        let (of_after, of_before): (Vec<_>, Vec<_>) = files.iter().cloned().partition(is_late);
        before.insert(source.clone(), of_before);
        after.insert(source.clone(), of_after);
    }
    after.retain(|_, files| !files.is_empty());
    match load(pipeline, key, publisher, checkpoint, (&before, &after, end), logged) {
        Ok(scoring) => {
            let (epoch, files) = (checkpoint.epoch, after.values().map(Vec::len).sum::<usize>());
            tracing::info!(epoch, files_after = files, "taken up from the checkpoint");
            Some(scoring)
        }
        Err(error) => {
            tracing::warn!(%error, "the checkpoint cannot be used; everything is taken anew, which takes longer");
            None
        }
    }
}

fn load<'a>(
    pipeline: &'a Pipeline,
    key: &PersonalKey,
    publisher: &Publisher,
    checkpoint: &Checkpoint,
    files: (&Taken, &Taken, i64),
    logged: impl FnOnce() -> Result<Vec<published::OfDay>> + Send,
) -> Result<Scoring<'a>> {
    let state = publisher.state()?;
    let find = |file: &str| {
        let gone = || Error::Usage { message: format!("`{file}` is no longer in the state"), hint: None };
        state.get(file).ok_or_else(gone)
    };
    let mut stages = Stopwatch::default();
    let columns = checkpoint.columns.iter().map(|name| Ok((name.as_str(), find(name)?.path.as_path())));
    let columns = columns.collect::<Result<Vec<_>>>()?;
    let held = saved::Files::read(&find(&checkpoint.state)?.path, columns)?;
    let whose = whose(pipeline, key)?;
    let sections = stages.time("checked", || held.open(&whose))?;
    let rows = |(name, height): (String, usize)| Ok((name.clone(), find(&rows_file(&name))?.rows(height)?));
    let rows = Scoring::rows_of(&sections)?.into_iter().map(rows).collect::<Result<BTreeMap<_, _>>>()?;
    let pool = readers("start")?;
    stages.time("held", || pool.install(|| Scoring::load(pipeline, files, &sections, &rows, logged)))
}

/// Whether a checkpoint has lost a file, as one does whose rows turned out to be damaged: what is begun again does without.
pub(super) fn is_spoilt(publisher: &Publisher, checkpoint: Option<&Checkpoint>) -> bool {
    let Some((checkpoint, state)) = checkpoint.zip(publisher.state().ok()) else { return false };
    // One that no commit has yet has lost nothing.
    checkpoint.files().filter_map(|file| state.get(file)).any(|file| !file.path.exists())
}
