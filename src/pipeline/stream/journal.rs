//! What a stream has taken so far and how far it has come: the offsets, which count with the outputs they led to.
//!
//! A journal is kept whole every [`WHOLE_EVERY`] epochs and as a difference in between, in the same commit as the tables. So
//! whatever is killed when, each file and line has counted in the epoch that names it, or has not counted at all.

use super::late::Ledger;
use crate::config::Pipeline;
use crate::error::{Error, Result};
use crate::ingest::KeptFile;
use crate::intake::{Failures, TakenFile};
use crate::publish::{Publisher, Staging};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::path::PathBuf;

/// Version of the shape.
const VERSION: u32 = 1;

/// Differences between two whole journals: each start reads that many small files at most.
const WHOLE_EVERY: u64 = 64;

/// Folder of the state files of a stream, below the state folder.
pub(super) const FOLDER: &str = "stream";

/// A file that counted, and the typed copy of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Taken {
    /// The epoch in which it counted.
    pub(super) epoch: u64,
    /// What it was; lines of standard input are files of their own making.
    pub(super) file: TakenFile,
    /// Its typed copy in the cache.
    pub(super) typed: KeptFile,
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
    /// What came late.
    pub(super) late: Ledger,
}

/// The journal.
#[derive(Debug, Clone)]
pub(super) struct Journal {
    pub(super) progress: Progress,
    taken: Vec<Taken>,
    known: BTreeSet<TakenFile>,
    /// State files that hold it, by name below the state folder.
    names: Vec<String>,
}

#[derive(Serialize, Deserialize)]
struct Written {
    progress: Progress,
    /// All files in a whole journal, those of one epoch in a difference.
    taken: Vec<Taken>,
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
        for (name, path) in publisher.state()?.into_iter().filter(|(name, _)| name.starts_with(&prefix)) {
            let bytes = std::fs::read(&path).map_err(Error::io("read", &path))?;
            let written: Written = serde_json::from_slice(&bytes).map_err(|e| damaged(&path, &e.to_string()))?;
            if written.progress.version > VERSION {
                return Err(damaged(&path, "written by a later version"));
            }
            journal.is_ours(&written.progress)?;
            journal.progress = written.progress;
            journal.known.extend(written.taken.iter().map(|taken| taken.file.clone()));
            journal.taken.extend(written.taken);
            journal.names.push(name);
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
            ..Progress::default()
        };
        Ok(Self { progress, taken: Vec::new(), known: BTreeSet::new(), names: Vec::new() })
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

    /// Adds a file to the epoch that is being made.
    pub(super) fn take(&mut self, file: TakenFile, typed: KeptFile) {
        self.known.insert(file.clone());
        self.taken.push(Taken { epoch: self.progress.epoch, file, typed });
    }

    /// Writes the journal of the epoch that is being made into its commit.
    ///
    /// # Errors
    /// [`Error::Environment`] when it cannot be written.
    pub(super) fn write(&mut self, staging: &mut Staging) -> Result<()> {
        let epoch = self.progress.epoch;
        let whole = epoch % WHOLE_EVERY == 1 || self.names.is_empty();
        let taken: Vec<Taken> = match whole {
            true => self.taken.clone(),
            false => self.taken.iter().rev().take_while(|taken| taken.epoch == epoch).cloned().collect(),
        };
        let mut written = Written { progress: self.progress.clone(), taken };
        if !whole {
            written.taken.reverse();
        }
        let bytes = serde_json::to_vec(&written).map_err(|e| Error::Invariant(format!("the journal: {e}")))?;
        let name = format!("{FOLDER}/journal-{epoch:010}.json");
        staging.write_state(&name, &bytes)?;
        if whole {
            self.names.clear();
        }
        self.names.iter().for_each(|name| staging.keep_state(name));
        self.names.push(name);
        Ok(())
    }
}

/// A hash of what decides how files become tables.
fn mapping(pipeline: &Pipeline) -> Result<String> {
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
