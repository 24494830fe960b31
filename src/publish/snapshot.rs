//! The read side: which files are live, through the newest commit record, while a writer may be at work.

use super::disk;
use super::layout::record_name;
use super::record::{PartitionColumn, Record, sequence};
use crate::contract::output::{COMMITS_DIR, STAGING_DIR};
use crate::error::{Error, Result};
use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Tries before a reader gives up on an output folder that changes faster than it can be read.
const ATTEMPTS: usize = 100;

/// Pause between two tries; with [`ATTEMPTS`] a reader waits about two seconds for a file that should be there.
const PAUSE: Duration = Duration::from_millis(20);

/// The published state at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot {
    /// Number of the commit that made it.
    pub seq: u64,
    /// The run that made it.
    pub run_id: String,
    /// The tables by name.
    pub tables: BTreeMap<String, LiveTable>,
}

/// A published table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LiveTable {
    /// The column that stands in folder names and not in the files, if the table has one.
    pub partition: Option<PartitionColumn>,
    /// Its files, by path. Never empty.
    pub files: Vec<LiveFile>,
}

/// A published file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LiveFile {
    /// Where it stands now: in place, or still in the staging folder of a commit that is being finished.
    pub path: PathBuf,
    /// Value of the partition column; `None` when it is null or there is no such column.
    pub partition: Option<String>,
    /// Rows in it.
    pub rows: u64,
    /// Its length.
    pub size_in_bytes: u64,
    /// BLAKE3 hash of its bytes, in hex.
    pub blake3: String,
}

impl Snapshot {
    /// True when `other` has the same contents in the tables named, wherever the files stand; all tables if none is named.
    pub fn same_contents(&self, other: &Self, tables: &[&str]) -> bool {
        let contents = |snapshot: &Self| -> Vec<(String, Option<String>, String)> {
            let wanted =
                snapshot.tables.iter().filter(|(name, _)| tables.is_empty() || tables.contains(&name.as_str()));
            wanted
                .flat_map(|(name, table)| {
                    table.files.iter().map(|f| (name.clone(), f.partition.clone(), f.blake3.clone()))
                })
                .collect()
        };
        contents(self) == contents(other)
    }
}

/// The live files below the output folder `out`; `None` when nothing was ever published there.
///
/// The paths are right when this returns. A writer that finishes a commit just then may move or replace them: use
/// [`read`] to be sure of what was read. Fails with [`Error::Environment`] when a file the record names is gone for good.
pub fn snapshot(out: &Path) -> Result<Option<Snapshot>> {
    let mut missing = None;
    for attempt in 0..ATTEMPTS {
        if attempt > 0 {
            std::thread::sleep(PAUSE);
        }
        let Some(record) = newest(out)? else { return Ok(None) };
        match resolve(out, &record)? {
            Ok(snapshot) => return Ok(Some(snapshot)),
            Err(path) => missing = Some(path),
        }
    }
    let path = missing.unwrap_or_else(|| out.to_owned());
    let source = io::Error::new(io::ErrorKind::NotFound, "a commit record names it, but it is not there; run again");
    Err(Error::Environment { action: "read", path, source })
}

/// Runs `reader` over a snapshot and gives its answer only if everything it read was of that snapshot.
///
/// When a writer changed one of `tables` meanwhile (all of them if none is named), or moved a file away under the reader,
/// `reader` runs again over the newer state; so it must have no effect of its own. `None` when nothing was ever published.
pub fn read<T>(out: &Path, tables: &[&str], mut reader: impl FnMut(&Snapshot) -> Result<T>) -> Result<Option<T>> {
    let Some(mut before) = snapshot(out)? else { return Ok(None) };
    let mut last = None;
    for _ in 0..ATTEMPTS {
        let answer = reader(&before);
        let Some(after) = snapshot(out)? else { return Ok(None) };
        let settled = match &answer {
            Ok(_) => before.same_contents(&after, tables),
            // A moved file is an error although the contents are the same.
            Err(_) => before == after,
        };
        if settled {
            return answer.map(Some);
        }
        last = answer.err();
        before = after;
    }
    let busy = || io::Error::new(io::ErrorKind::WouldBlock, "it is published to faster than it can be read");
    Err(last.unwrap_or_else(|| Error::Environment { action: "read", path: out.to_owned(), source: busy() }))
}

/// The newest record. A record that vanishes between listing and reading was pruned, so there is a newer one.
fn newest(out: &Path) -> Result<Option<Record>> {
    let mut error = None;
    for _ in 0..ATTEMPTS {
        let Some(seq) = sequence(out)?.last().copied() else { return Ok(None) };
        match Record::read(&out.join(COMMITS_DIR).join(record_name(seq))) {
            Ok(record) => return Ok(Some(record)),
            Err(Error::Environment { source, action, path }) if source.kind() == io::ErrorKind::NotFound => {
                error = Some(Error::Environment { action, path, source });
            }
            Err(other) => return Err(other),
        }
    }
    error.map_or(Ok(None), Err)
}

/// Finds every file of a record, or names one that is not there (the inner error).
fn resolve(out: &Path, record: &Record) -> Result<Result<Snapshot, PathBuf>> {
    let staging = out.join(STAGING_DIR).join(&record.staging);
    let unfinished = staging.is_dir();
    let mut tables: BTreeMap<String, LiveTable> = BTreeMap::new();
    // State is for the next run alone; whoever reads the output may not even look into its folder.
    for file in record.files.iter().filter(|file| !file.is_state()) {
        let staged = staging.join(record.staged_path(&file.path));
        let placed = out.join(&file.path);
        // The staged one first: until it is moved, an older file stands in its place.
        let path = if file.staged && unfinished && disk::length(&staged)?.is_some() {
            staged
        } else if disk::length(&placed)? == Some(file.size_in_bytes) {
            placed
        } else {
            return Ok(Err(placed));
        };
        // A document beside the tables is none.
        if !file.path.ends_with(".parquet") {
            continue;
        }
        let table = tables
            .entry(file.table.clone())
            .or_insert_with(|| LiveTable { partition: record.partitions.get(&file.table).cloned(), files: Vec::new() });
        table.files.push(LiveFile {
            path,
            partition: file.partition.clone(),
            rows: file.rows,
            size_in_bytes: file.size_in_bytes,
            blake3: file.blake3.clone(),
        });
    }
    Ok(Ok(Snapshot { seq: record.seq, run_id: record.run_id.clone(), tables }))
}
