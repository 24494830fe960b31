//! Publishing: what a run computed becomes the state that readers see, all of it or nothing.
//!
//! ```text
//! frame ─ sort, cut by partition ─ bridge ─ Parquet bytes ─ OUT/_staging/SEQ-RUN/…     (write)
//!        sync ─ OUT/_commits/SEQ.json gets its name ─ move into place ─ retire ─ drop   (commit)
//! ```
//!
//! - The commit record is the moment a run counts. Before it, a crash costs the run and nothing else; after it, the next
//!   [`Publisher::open`] finishes the moves.
//! - Files are replaced by rename: a plain glob meets each file whole, old or new. [`snapshot`] and [`read`] see one run.
//! - One writer at a time; the kernel frees the lock of a killed one.
//! - Equal frames give equal files, and a file that did not change is not touched.

mod bridge;
mod commit;
mod disk;
mod fault;
mod layout;
mod lock;
mod made;
mod order;
mod parallel;
pub mod parquet;
mod parts;
mod picked;
mod record;
mod row_file;
mod snapshot;
mod staging;
#[cfg(test)]
mod tests;

pub(crate) use bridge::frame_of;
pub use fault::{FAIL_AT, Step};
pub use layout::{PartitionType, is_appended};
pub use made::{CommittedFile, MadeFile};
pub use parts::Prepared;
pub use record::PartitionColumn;
pub use snapshot::{LiveFile, LiveTable, Snapshot, read, snapshot};
pub use staging::{Published, Replaces, Staging};

use crate::contract::output::STATE_DIR;
use crate::error::Result;
use fault::Faults;
use lock::Lock;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The one writer of an output folder; holds its lock while it, or a [`Staging`] of it, lives.
#[derive(Debug)]
pub struct Publisher {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    out: PathBuf,
    faults: Faults,
    _lock: Lock,
}

impl Publisher {
    /// Creates the output folder if need be, takes its lock, and finishes or drops what an earlier run left.
    ///
    /// Fails with [`Error::Environment`](crate::error::Error::Environment) when another process holds the lock (the
    /// message says which) or the folder cannot be written, and with `Error::Usage` when [`FAIL_AT`] names no step.
    pub fn open(out: &Path) -> Result<Self> {
        let fail_at = std::env::var(FAIL_AT).ok();
        Self::open_with(out, Faults::parse(fail_at.as_deref())?)
    }

    fn open_with(out: &Path, faults: Faults) -> Result<Self> {
        disk::create_folder(out)?;
        let lock = Lock::acquire(out)?;
        commit::recover(out, &faults)?;
        Ok(Self { inner: Arc::new(Inner { out: out.to_owned(), faults, _lock: lock }) })
    }

    /// Begins a run. `metadata` goes into every file of it, so nothing in it may differ between equal runs.
    ///
    /// One at a time: beginning again drops what an earlier [`Staging`] wrote and did not commit. If the last commit could
    /// not be finished, that is done first.
    pub fn begin(&self, run_id: &str, metadata: BTreeMap<String, String>) -> Result<Staging> {
        self.begin_replacing(Replaces::Run, run_id, metadata)
    }

    /// The state files of the last commit by their names below [`STATE_DIR`].
    ///
    /// # Errors
    /// [`Error::Environment`](crate::error::Error::Environment) when the commit cannot be read.
    pub fn state(&self) -> Result<BTreeMap<String, CommittedFile>> {
        let record = commit::recover(&self.inner.out, &self.inner.faults)?;
        let files = record.into_iter().flat_map(|record| record.files).filter(record::FileEntry::is_state);
        Ok(files
            .filter_map(|file| {
                let name = file.path.strip_prefix(STATE_DIR)?.trim_start_matches('/').to_owned();
                let path = self.inner.out.join(&file.path);
                Some((name, CommittedFile { path, size_in_bytes: file.size_in_bytes, blake3: file.blake3 }))
            })
            .collect())
    }

    /// As [`begin`](Self::begin), for what takes the place of something else than the last run.
    pub fn begin_replacing(
        &self,
        replaces: Replaces,
        run_id: &str,
        metadata: BTreeMap<String, String>,
    ) -> Result<Staging> {
        let previous = commit::recover(&self.inner.out, &self.inner.faults)?;
        Staging::new(Arc::clone(&self.inner), previous, replaces, run_id, metadata)
    }
}
