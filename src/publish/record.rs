//! Commit records: `_commits/SEQ.json`, each the full list of live files after its run.
//!
//! A full list, not a difference: a reader needs the newest record and nothing else, and old ones can be dropped without
//! a checkpoint. Three thousand files are under a megabyte of JSON, read once a query.

use super::layout::{PartitionType, record_seq, staged_path};
use crate::contract::output::{COMMITS_DIR, STATE_DIR};
use crate::error::{Error, Result};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::io;
use std::path::Path;

/// Version of this file's shape. In the first, staged files stood as they stand in the output.
const VERSION: u32 = 2;

/// What a run published.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Record {
    /// Shape of the record.
    pub(super) version: u32,
    /// Number of the commit, from 1.
    pub(super) seq: u64,
    /// The run it belongs to.
    pub(super) run_id: String,
    /// Folder below the staging folder that holds the staged files until they are moved.
    pub(super) staging: String,
    /// Files to remove: live before, not any more. Paths below the output folder, with `/`.
    pub(super) retire: Vec<String>,
    /// The partition column of each table that has one.
    pub(super) partitions: BTreeMap<String, PartitionColumn>,
    /// Every live file after this commit, by path.
    pub(super) files: Vec<FileEntry>,
}

/// A partition column, which stands in folder names and not in files.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PartitionColumn {
    /// Its name.
    pub name: String,
    /// Its type.
    #[serde(rename = "type")]
    pub kind: PartitionType,
}

/// One published file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct FileEntry {
    /// The output table.
    pub(super) table: String,
    /// Value of the partition column; `None` when it is null or the table has no such column.
    pub(super) partition: Option<String>,
    /// Path below the output folder, with `/`.
    pub(super) path: String,
    /// Length of the file.
    pub(super) size_in_bytes: u64,
    /// Rows in it.
    pub(super) rows: u64,
    /// BLAKE3 hash of its bytes, in hex; of a state file whose head has hashes of the rest, of that head.
    pub(super) blake3: String,
    /// True when this run wrote it, so that it comes from the staging folder; false when it stood there already.
    pub(super) staged: bool,
    /// The commit since which it has been kept without rows, for readers that listed it before; `None` for others.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) emptied_at: Option<u64>,
    /// A hash of its rows, whatever run told them; `None` where they are told anew each time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) content: Option<String>,
}

impl FileEntry {
    /// Whether it is state that a run or epoch hands to the next, and no part of the output.
    pub(super) fn is_state(&self) -> bool {
        self.table == STATE_DIR
    }
}

impl Record {
    /// A record of the present shape.
    pub(super) fn new(
        seq: u64,
        run_id: String,
        staging: String,
        partitions: BTreeMap<String, PartitionColumn>,
        mut files: Vec<FileEntry>,
        retire: Vec<String>,
    ) -> Self {
        files.sort_by(|a, b| a.path.cmp(&b.path));
        Self { version: VERSION, seq, run_id, staging, retire, partitions, files }
    }

    /// The live file of this path.
    pub(super) fn file(&self, path: &str) -> Option<&FileEntry> {
        self.files.binary_search_by(|file| file.path.as_str().cmp(path)).ok().and_then(|at| self.files.get(at))
    }

    /// The files that come from the staging folder.
    pub(super) fn staged(&self) -> impl Iterator<Item = &FileEntry> {
        self.files.iter().filter(|f| f.staged)
    }

    /// Path of such a file below the run's staging folder.
    pub(super) fn staged_path(&self, path: &str) -> String {
        if self.version < 2 { path.to_owned() } else { staged_path(path) }
    }

    /// As the bytes of its file.
    pub(super) fn to_json(&self) -> Result<Vec<u8>> {
        let mut bytes = serde_json::to_vec_pretty(self).map_err(|e| Error::Invariant(format!("commit record: {e}")))?;
        bytes.push(b'\n');
        Ok(bytes)
    }

    /// Reads a record's file. A shape from a later version is refused rather than half understood.
    pub(super) fn read(path: &Path) -> Result<Self> {
        let bytes = std::fs::read(path).map_err(Error::io("read", path))?;
        let invalid = |message: String| Error::io("read", path)(io::Error::new(io::ErrorKind::InvalidData, message));
        let record: Self = serde_json::from_slice(&bytes).map_err(|e| invalid(format!("not a commit record: {e}")))?;
        if record.version > VERSION {
            return Err(invalid(format!("written by a later version (shape {}, known {VERSION})", record.version)));
        }
        Ok(record)
    }
}

/// The numbers of the published records below the output folder `out`, in order; empty before the first run.
pub(super) fn sequence(out: &Path) -> Result<Vec<u64>> {
    let folder = out.join(COMMITS_DIR);
    let mut numbers: Vec<u64> = super::disk::names(&folder)?.iter().filter_map(|name| record_seq(name)).collect();
    numbers.sort_unstable();
    Ok(numbers)
}
