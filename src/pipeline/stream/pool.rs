//! Threads of their own for what goes on beside the epochs.

use crate::error::{Error, Result};
use rayon::{ThreadPool, ThreadPoolBuilder};
use std::path::Path;

/// As many threads as there are processors, for one kind of work alone.
///
/// Who waits for a piece of an epoch in the common pool takes up other pieces meanwhile. None of them must be one of the look
/// at the whole shop or of a checkpoint: the epoch would stand still for as long as that takes.
///
/// # Errors
/// [`Error::Environment`] when the threads cannot be started.
pub(super) fn pool(what: &'static str) -> Result<ThreadPool> {
    threads(what, ThreadPoolBuilder::new())
}

/// Threads that mostly wait for the disk, more of them than processors: it gives more the more is asked of it at a time.
///
/// # Errors
/// As [`pool`].
pub(super) fn readers(what: &'static str) -> Result<ThreadPool> {
    threads(what, ThreadPoolBuilder::new().num_threads(READERS))
}

const READERS: usize = 8;

fn threads(what: &'static str, how: ThreadPoolBuilder) -> Result<ThreadPool> {
    let pool = how.thread_name(move |number| format!("{what}-{number}")).build();
    pool.map_err(|error| Error::io("start threads for", Path::new(what))(std::io::Error::other(error)))
}
