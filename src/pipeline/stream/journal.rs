//! What a stream has taken so far and how far it has come: the offsets, which count with the outputs they led to.
//!
//! A journal is kept whole every [`WHOLE_EVERY`] epochs and as a difference in between, in the same commit as the tables. So
//! whatever is killed when, each file and line has counted in the epoch that names it, or has not counted at all.

use super::publishing::StateFiles;
use super::scoring::LateRow;
use crate::config::Pipeline;
use crate::error::{Error, Result};
use crate::health::Learned;
use crate::ingest::{Ingested, KeptFile, kept_file};
use crate::intake::{Failures, TakenFile};
use crate::publish::{Publisher, Staging};
use crate::quarantine::Rejected;
use crate::types::time::HOUR;
use polars::prelude::*;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

/// Version of the shape.
const VERSION: u32 = 1;

/// Differences between two whole journals: each start reads that many small files at most.
const WHOLE_EVERY: u64 = 64;

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
    /// How many of these the epochs before had.
    refused_before: usize,
    /// The watermark that the epoch in hand began with.
    before: Option<i64>,
    /// State files that hold it, by name below the state folder.
    names: Vec<String>,
    /// State that goes with it, by name below the state folder: what is new, or `None` for what stays.
    beside: BTreeMap<String, Option<Vec<u8>>>,
    /// What models have learnt, for the status.
    learned: Vec<Learned>,
}

#[derive(Serialize, Deserialize)]
struct Written {
    progress: Progress,
    /// All files in a whole journal, those of one epoch in a difference.
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
            journal.refused.extend(written.refused);
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
            features: declared_features(pipeline),
            ..Progress::default()
        };
        Ok(Self {
            progress,
            taken: Vec::new(),
            known: BTreeSet::new(),
            refused: Vec::new(),
            refused_before: 0,
            before: None,
            names: Vec::new(),
            beside: BTreeMap::new(),
            learned: Vec::new(),
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
                journal.take(file, kept_file(typed));
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
        self.refused_before = self.refused.len();
    }

    /// Adds a file to the epoch that is being made.
    pub(super) fn take(&mut self, file: TakenFile, typed: KeptFile) {
        self.known.insert(file.clone());
        self.taken.push(Taken { epoch: self.progress.epoch, file, typed });
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

    /// The rows that the ledger of what came late gets. They move the KPIs like everything else; scores that were given
    /// stay.
    ///
    /// # Errors
    /// [`Error::Frames`] only for defects.
    pub(super) fn late(&mut self, late: &[LateRow]) -> Result<Option<DataFrame>> {
        let Some(watermark) = self.before.filter(|_| !late.is_empty()) else { return Ok(None) };
        let instant = DataType::Datetime(TimeUnit::Microseconds, Some(TimeZone::UTC));
        let stage = || Error::frames("late rows");
        let effect = |row: &LateRow| match row.table {
            "orders" => "scored on what was known when it came; scores of orders placed after it stay as given",
            _ => "counts from now on; scores given since its time stay as given",
        };
        let times = |name: &str, pick: &dyn Fn(&LateRow) -> i64| {
            Column::new(name.into(), late.iter().map(pick).collect::<Vec<i64>>()).cast(&instant).map_err(stage())
        };
        let columns = vec![
            Column::new("epoch".into(), vec![self.progress.epoch as i64; late.len()]),
            Column::new("table".into(), late.iter().map(|row| row.table).collect::<Vec<_>>()),
            Column::new("order_id".into(), late.iter().map(|row| row.order_id.as_deref()).collect::<Vec<_>>()),
            times("at", &|row| row.at)?,
            times("watermark", &|_| watermark)?,
            Column::new(
                "late_hours".into(),
                late.iter().map(|row| (watermark - row.at) as f64 / HOUR as f64).collect::<Vec<_>>(),
            ),
            Column::new("effect".into(), late.iter().map(effect).collect::<Vec<_>>()),
        ];
        for row in late {
            *self.progress.late.entry(row.table.to_owned()).or_default() += 1;
        }
        DataFrame::new(late.len(), columns).map(Some).map_err(stage())
    }

    /// The journal of the epoch that is being made, as its commit has to have it.
    ///
    /// # Errors
    /// [`Error::Invariant`] only for defects.
    pub(super) fn state(&mut self) -> Result<StateFiles> {
        let epoch = self.progress.epoch;
        let whole = epoch % WHOLE_EVERY == 1 || self.names.is_empty();
        let (first, first_refused) = match whole {
            true => (0, 0),
            false => (self.taken.partition_point(|taken| taken.epoch < epoch), self.refused_before),
        };
        let written = Written {
            progress: self.progress.clone(),
            taken: self.taken[first..].to_vec(),
            refused: self.refused[first_refused..].to_vec(),
        };
        let bytes = serde_json::to_vec(&written).map_err(|e| Error::Invariant(format!("the journal: {e}")))?;
        let name = format!("{FOLDER}/journal-{epoch:010}.json");
        if whole {
            self.names.clear();
        }
        let mut state: StateFiles = self.names.iter().map(|name| (name.clone(), None)).collect();
        state.insert(name.clone(), Some(bytes));
        self.names.push(name);
        for (name, bytes) in &mut self.beside {
            state.insert(name.clone(), bytes.take());
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
    for (_, path) in publisher.state()?.into_iter().filter(|(name, _)| name.starts_with(&prefix)) {
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
