//! What a stream has taken so far and how far it has come: the offsets, which count with the outputs they led to.
//!
//! Each epoch adds what it took, in the same commit as the tables: whatever is killed when, each file and line has counted in
//! the epoch that names it, or has not counted at all. Additions are put together with those before them while these are no
//! more than [`TIMES`] as long, so that a journal of many epochs is in few files and none is written again each time.

mod ledger;

use super::checkpoint::{Checkpoint, Written as WrittenCheckpoint};
use super::publishing::{StateFile, StateFiles};
use crate::config::Pipeline;
use crate::error::{Error, Result};
use crate::health::Learned;
use crate::ingest::{Ingested, KeptFile, kept_file};
use crate::intake::{Failures, TakenFile};
use crate::publish::{CommittedFile, MadeFile, Publisher, Staging};
use crate::quarantine::Rejected;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::time::{SystemTime, UNIX_EPOCH};

/// Version of the shape.
const VERSION: u32 = 1;

/// A state file of the journal is put together with the next one unless it has more than so many times its entries: each
/// entry is written again once for every such multiple alone.
const TIMES: usize = 2;

/// Folder of the state files of a stream, below the state folder.
pub(in crate::pipeline) const FOLDER: &str = "stream";

/// A file that counted, and the typed copy of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Taken {
    /// The epoch in which it counted.
    pub(super) epoch: u64,
    /// What it was; lines of standard input are files of their own making.
    pub(super) file: TakenFile,
    /// Its typed copy in the cache.
    pub(super) typed: KeptFile,
    /// When it was changed last, nanoseconds since 1970: as long as that stays, a start need not read it to know it again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) changed_at: Option<i64>,
}

/// How far a stream has come, but for the files.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Progress {
    /// Shape of the journal.
    version: u32,
    /// Name of the pipeline.
    pipeline: String,
    /// Hash of what decides how files become tables: with other settings the typed copies would mean something else.
    mapping: String,
    /// Epochs so far.
    pub(super) epoch: u64,
    /// Everything placed before has been waited for; UTC microseconds.
    pub(super) watermark: Option<i64>,
    /// The clock of the tables that tell of the whole shop; UTC microseconds.
    pub(super) refreshed: Option<i64>,
    /// Lines of standard input taken.
    pub(super) lines: u64,
    /// Files that could not be read.
    pub(super) failures: Failures,
    /// Whether a stream made it, whose files may be gone since.
    #[serde(default)]
    streamed: bool,
    /// Rows that came after the watermark had passed their time, by table.
    #[serde(default)]
    pub(super) late: BTreeMap<String, u64>,
    /// The run that last told the whole shop anew.
    #[serde(default)]
    pub(super) run_id: Option<String>,
    /// Lines of standard input that were refused.
    #[serde(default)]
    pub(super) lines_refused: u64,
    /// The epoch in which anything came, or the watermark moved, for the last time; and the one of which the tables that
    /// tell of the whole shop tell.
    #[serde(default)]
    pub(super) changed: u64,
    #[serde(default)]
    pub(super) told: u64,
    /// Hash of the features that were logged with every score.
    #[serde(default)]
    pub(super) features: String,
    /// What a start takes up.
    #[serde(default)]
    pub(super) checkpoint: Option<Checkpoint>,
}

/// How far a stream has come, for those who ask.
#[derive(Debug, Clone, Default)]
pub(super) struct Offsets {
    pub(super) epoch: u64,
    pub(super) watermark: Option<i64>,
    pub(super) files_taken: u64,
    pub(super) files_set_aside: u64,
    pub(super) lines_taken: u64,
    pub(super) lines_refused: u64,
    pub(super) rows_late: u64,
    /// What models have learnt.
    pub(super) learned: Vec<Learned>,
}

/// The journal.
#[derive(Debug, Clone)]
pub(in crate::pipeline) struct Journal {
    pub(super) progress: Progress,
    taken: Vec<Taken>,
    known: BTreeSet<TakenFile>,
    /// Lines of standard input that are no records, all of them: the sources have them no more.
    refused: Vec<Rejected>,
    /// The watermark that the epoch in hand began with.
    before: Option<i64>,
    /// State files that hold it, in order, and how many files and refused lines these have.
    parts: Vec<Part>,
    written: (usize, usize),
    /// State that goes with it, by name below the state folder: what is new, or `None` for what stays.
    beside: BTreeMap<String, Option<Vec<u8>>>,
    /// What models have learnt, for the status.
    learned: Vec<Learned>,
    /// Files of the checkpoint that no commit has yet.
    made: BTreeMap<String, MadeFile>,
}

/// A state file of the journal: its name below the state folder, and the first files and refused lines in it.
#[derive(Debug, Clone)]
struct Part {
    name: String,
    taken: usize,
    refused: usize,
}

#[derive(Serialize, Deserialize)]
struct Written {
    /// How far the stream had come when it was written.
    progress: Progress,
    /// The files that counted since the state file before it.
    taken: Vec<Taken>,
    /// Refused lines, likewise.
    #[serde(default)]
    refused: Vec<Rejected>,
}

impl Journal {
    /// The journal that the last commit left; an empty one if there is none.
    ///
    /// # Errors
    /// [`Error::Usage`] when it is another pipeline's, or sources and tables have changed since; [`Error::Environment`]
    /// when it cannot be read.
    pub(super) fn read(publisher: &Publisher, pipeline: &Pipeline) -> Result<Self> {
        let mut journal = Self::new(pipeline)?;
        let prefix = format!("{FOLDER}/journal-");
        for (name, CommittedFile { path, .. }) in
            publisher.state()?.into_iter().filter(|(name, _)| name.starts_with(&prefix))
        {
            let bytes = std::fs::read(&path).map_err(Error::io("read", &path))?;
            let written: Written = serde_json::from_slice(&bytes).map_err(|e| damaged(&path, &e.to_string()))?;
            if written.progress.version > VERSION {
                return Err(damaged(&path, "written by a later version"));
            }
            journal.is_ours(&written.progress)?;
            journal.progress = written.progress;
            journal.parts.push(Part { name, taken: journal.taken.len(), refused: journal.refused.len() });
            journal.known.extend(written.taken.iter().map(|taken| taken.file.clone()));
            journal.taken.extend(written.taken);
            journal.refused.extend(written.refused);
            journal.written = (journal.taken.len(), journal.refused.len());
        }
        Ok(journal)
    }

    /// Nothing taken yet.
    ///
    /// # Errors
    /// [`Error::Invariant`] only for defects.
    pub(super) fn new(pipeline: &Pipeline) -> Result<Self> {
        let progress = Progress {
            version: VERSION,
            pipeline: pipeline.raw.name.clone(),
            mapping: mapping(pipeline)?,
            features: declared_features(pipeline),
            ..Progress::default()
        };
        Ok(Self {
            progress,
            taken: Vec::new(),
            known: BTreeSet::new(),
            refused: Vec::new(),
            before: None,
            parts: Vec::new(),
            written: (0, 0),
            beside: BTreeMap::new(),
            learned: Vec::new(),
            made: BTreeMap::new(),
        })
    }

    /// The journal of a batch run that read everything there was: a stream goes on from it.
    ///
    /// # Errors
    /// [`Error::Invariant`] only for defects.
    pub(in crate::pipeline) fn of_run(
        pipeline: &Pipeline,
        ingested: &Ingested,
        run_id: &str,
        as_of: i64,
    ) -> Result<Self> {
        let mut journal = Self::new(pipeline)?;
        journal.begin();
        journal.progress.streamed = false;
        let progress = &mut journal.progress;
        (progress.watermark, progress.refreshed) = (Some(as_of), Some(as_of));
        progress.run_id = Some(run_id.to_owned());
        for (source, files) in &ingested.files {
            for typed in files {
                let file = TakenFile {
                    source: source.clone(),
                    name: typed.name.clone(),
                    size_in_bytes: typed.size_in_bytes(),
                    content_hash: typed.content_hash.clone(),
                };
                journal.take(file, kept_file(typed), None);
            }
        }
        Ok(journal)
    }

    fn is_ours(&self, found: &Progress) -> Result<()> {
        let what = if found.pipeline != self.progress.pipeline {
            format!("the state here is that of the pipeline `{}`, not of `{}`", found.pipeline, self.progress.pipeline)
        } else if found.mapping != self.progress.mapping {
            "zone, currency, sources or tables of the pipeline have changed since the state here was made".to_owned()
        } else {
            return Ok(());
        };
        Err(Error::Usage {
            message: what,
            hint: Some(
                "`ordersight run` reads everything anew and leaves a state to go on from; or name another --out"
                    .to_owned(),
            ),
        })
    }

    /// Whether a file has counted.
    pub(super) fn has(&self, file: &TakenFile) -> bool {
        self.known.contains(file)
    }

    /// Every file that has counted, in the order of taking.
    pub(super) fn taken(&self) -> &[Taken] {
        &self.taken
    }

    /// Begins an epoch.
    pub(super) fn begin(&mut self) {
        self.progress.epoch += 1;
        self.progress.streamed = true;
        self.before = self.progress.watermark;
    }

    /// Adds a file to the epoch that is being made.
    pub(super) fn take(&mut self, file: TakenFile, typed: KeptFile, changed_at: Option<SystemTime>) {
        self.known.insert(file.clone());
        let changed_at = changed_at.and_then(|at| at.duration_since(UNIX_EPOCH).ok());
        let changed_at = changed_at.and_then(|since| i64::try_from(since.as_nanos()).ok());
        self.taken.push(Taken { epoch: self.progress.epoch, file, typed, changed_at });
    }

    /// Notes the look at the whole shop that the commit in hand publishes.
    pub(super) fn told(&mut self, run_id: &str, as_of: i64, epoch: u64) {
        self.progress.run_id = Some(run_id.to_owned());
        (self.progress.refreshed, self.progress.told) = (Some(as_of), epoch);
    }

    /// Says what goes with it into the next commits, and what that tells.
    pub(super) fn goes_with(&mut self, beside: BTreeMap<String, Option<Vec<u8>>>, learned: Vec<Learned>) {
        (self.beside, self.learned) = (beside, learned);
    }

    /// Enters a checkpoint that was written meanwhile: it counts with the next commit.
    pub(super) fn checkpointed(&mut self, (checkpoint, made): WrittenCheckpoint) {
        (self.progress.checkpoint, self.made) = (Some(checkpoint), made);
    }

    /// Adds a line that is no record to the epoch that is being made.
    pub(super) fn refuse(&mut self, line: Rejected) {
        self.progress.lines_refused += 1;
        self.refused.push(line);
    }

    /// Every line that was refused, in the order of taking.
    pub(super) fn refused(&self) -> &[Rejected] {
        &self.refused
    }

    /// How far the stream has come.
    pub(super) fn offsets(&self) -> Offsets {
        let progress = &self.progress;
        Offsets {
            epoch: progress.epoch,
            watermark: progress.watermark,
            files_taken: self.taken.len() as u64,
            files_set_aside: progress.failures.set_aside().count() as u64,
            lines_taken: progress.lines,
            lines_refused: progress.lines_refused,
            rows_late: progress.late.values().sum(),
            learned: self.learned.clone(),
        }
    }

    /// The journal of the epoch that is being made, as its commit has to have it.
    ///
    /// # Errors
    /// [`Error::Invariant`] only for defects.
    pub(super) fn state(&mut self) -> Result<StateFiles> {
        let epoch = self.progress.epoch;
        // An epoch without any file is an entry too: its progress.
        let entries = |(taken, refused): (usize, usize), until: (usize, usize)| until.0 - taken + until.1 - refused + 1;
        let end = (self.taken.len(), self.refused.len());
        let mut first = self.written;
        while let Some(last) = self.parts.last() {
            let begin = (last.taken, last.refused);
            if entries(begin, first) > TIMES * entries(first, end) {
                break;
            }
            first = begin;
            self.parts.pop();
        }
        let written = Written {
            progress: self.progress.clone(),
            taken: self.taken[first.0..].to_vec(),
            refused: self.refused[first.1..].to_vec(),
        };
        let bytes = serde_json::to_vec(&written).map_err(|e| Error::Invariant(format!("the journal: {e}")))?;
        let name = format!("{FOLDER}/journal-{epoch:010}.json");
        let mut state: StateFiles = self.parts.iter().map(|part| (part.name.clone(), StateFile::Stays)).collect();
        state.insert(name.clone(), StateFile::New(bytes));
        self.parts.push(Part { name, taken: first.0, refused: first.1 });
        self.written = end;
        for (name, bytes) in &mut self.beside {
            state.insert(name.clone(), bytes.take().map_or(StateFile::Stays, StateFile::New));
        }
        for name in self.progress.checkpoint.iter().flat_map(Checkpoint::files) {
            state.insert(name.clone(), self.made.remove(name).map_or(StateFile::Stays, StateFile::Made));
        }
        Ok(state)
    }

    /// Writes the journal into a commit.
    ///
    /// # Errors
    /// [`Error::Environment`] when it cannot be written.
    pub(in crate::pipeline) fn write(&mut self, staging: &mut Staging) -> Result<()> {
        super::publishing::add(staging, None, self.state()?)
    }
}

/// The typed copies that a stream goes on from, as source and name without ending; none where the last commit was a run's,
/// which can be made again from its sources.
///
/// # Errors
/// [`Error::Environment`] when the journal cannot be read.
pub(in crate::pipeline) fn copies_in_use(publisher: &Publisher) -> Result<BTreeSet<(String, String)>> {
    let prefix = format!("{FOLDER}/journal-");
    let (mut copies, mut streamed) = (BTreeSet::new(), false);
    for (_, CommittedFile { path, .. }) in publisher.state()?.into_iter().filter(|(name, _)| name.starts_with(&prefix))
    {
        let bytes = std::fs::read(&path).map_err(Error::io("read", &path))?;
        let written: Written = serde_json::from_slice(&bytes).map_err(|e| damaged(&path, &e.to_string()))?;
        streamed = written.progress.streamed;
        copies.extend(written.taken.into_iter().map(|taken| (taken.file.source, taken.typed.typed)));
    }
    Ok(if streamed { copies } else { BTreeSet::new() })
}

/// A hash of the features that orders are scored by; those of lines are logged by line.
pub(super) fn declared_features(pipeline: &Pipeline) -> String {
    let unit = pipeline.raw.risk.returns.as_ref().map(|returns| returns.unit);
    blake3::hash(format!("{:?} {unit:?}", pipeline.features).as_bytes()).to_hex().to_string()
}

/// A hash of what decides how files become tables.
pub(super) fn mapping(pipeline: &Pipeline) -> Result<String> {
    let raw = &pipeline.raw;
    // Where files land may change: they are known by their names below it.
    let sources: Vec<_> = raw.sources.iter().map(|(name, source)| (name, &source.columns, source.format)).collect();
    let text = serde_json::to_vec(&(&raw.time.zone, &raw.money, sources, &raw.tables));
    Ok(blake3::hash(&text.map_err(|e| Error::Invariant(format!("the settings: {e}")))?).to_hex().to_string())
}

fn damaged(path: &std::path::Path, what: &str) -> Error {
    let source = std::io::Error::new(std::io::ErrorKind::InvalidData, format!("not a journal of this program: {what}"));
    Error::Environment { action: "read", path: PathBuf::from(path), source }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pipeline() -> Pipeline {
        let text = "name = \"shop\"\n[sources.o]\npath = \"o/*.csv\"\n[tables.orders]\nsource = \"o\"\n\
                    columns = { order_id = \"id\", placed_at = \"at\", customer_id = \"c\", amount = \"a\" }\n";
        Pipeline::parse(text, "shop.toml", std::path::Path::new("."), &[], &|_| None).unwrap()
    }

    fn taken(number: usize) -> (TakenFile, KeptFile) {
        let (name, content_hash) = (format!("{number:05}.csv"), format!("{number:x}"));
        let file = TakenFile { source: "o".to_owned(), name, size_in_bytes: 1, content_hash: content_hash.clone() };
        let typed = KeptFile { name: file.name.clone(), typed: content_hash.clone(), content_hash };
        (file, typed)
    }

    #[test]
    fn a_journal_of_many_epochs_is_in_few_files_writes_little_and_is_read_as_it_was() {
        let pipeline = pipeline();
        let out = tempfile::tempdir().unwrap();
        super::super::prepare(out.path()).unwrap();
        let publisher = Publisher::open(out.path()).unwrap();
        let mut journal = Journal::new(&pipeline).unwrap();
        let (mut files, mut written) = (0, 0);
        for epoch in 1..=120 {
            journal.begin();
            for _ in 0..[0, 1, 3, 1, 40, 2][epoch % 6] {
                let (file, typed) = taken(files);
                journal.take(file, typed, None);
                files += 1;
            }
            let state = journal.state().unwrap();
            assert!(state.len() <= 12, "{} files after {epoch} epochs", state.len());
            let length = |file: &StateFile| if let StateFile::New(bytes) = file { bytes.len() } else { 0 };
            written += state.values().map(length).sum::<usize>();
            let replaces = crate::publish::Replaces::Epoch;
            let mut staging = publisher.begin_replacing(replaces, &epoch.to_string(), BTreeMap::new()).unwrap();
            super::super::publishing::add(&mut staging, None, state).unwrap();
            staging.commit().unwrap();
            if epoch % 7 == 0 {
                // Whoever starts again goes on with the same.
                let read = Journal::read(&publisher, &pipeline).unwrap();
                assert_eq!((&read.progress, &read.taken), (&journal.progress, &journal.taken));
                journal = read;
            }
        }
        assert!(journal.has(&taken(files - 1).0) && !journal.has(&taken(files).0));
        let once = serde_json::to_vec(&journal.taken).unwrap().len();
        assert!(written < 20 * once, "{} times over", written / once);
    }
}
