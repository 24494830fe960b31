//! Words for files that arrive.

use crate::config::Format;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;
use std::time::SystemTime;

/// A file that was taken: it counts once, by name, size and hash.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct TakenFile {
    /// The source of the pipeline that it belongs to.
    pub source: String,
    /// Its name relative to the folder of the source, with `/`.
    pub name: String,
    /// Length of the file as it stands on disk, packed or not.
    pub size_in_bytes: u64,
    /// BLAKE3 of its bytes as 64 hexadecimal digits; empty for an [`Unreadable`] file.
    pub content_hash: String,
}

/// What a caller says of a file. From a `bool` that says whether it was taken: `true` is [`Standing::Taken`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// It was not taken: it is given.
    New,
    /// It is to be tried again later: it is not given, and asked about at the next look.
    Paused,
    /// It was taken or set aside, for good: it is not asked about again while it stays as it is.
    Taken,
}

impl From<bool> for Standing {
    fn from(taken: bool) -> Self {
        if taken { Self::Taken } else { Self::New }
    }
}

/// A complete file that was not taken yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Arrived {
    /// What it counts as once it is taken.
    pub taken: TakenFile,
    /// Where it is.
    pub path: PathBuf,
    /// How it is read.
    pub format: Format,
    /// When it landed: its time of last change, by the clock of its file system.
    pub arrived_at: SystemTime,
}

/// A complete file that cannot be read or whose format cannot be told. It is told of at every look until the caller says that
/// it is [`Standing::Taken`], as a file set aside is, or the file changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unreadable {
    /// The file; its `content_hash` is empty.
    pub file: TakenFile,
    /// Why it cannot be read.
    pub why: String,
}

/// What a look at the landing folders found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Ready {
    /// Complete files not taken yet, in the order of their names, then of their sources.
    pub files: Vec<Arrived>,
    /// Complete files that cannot be read, in the same order.
    pub unreadable: Vec<Unreadable>,
    /// Files that are there and not complete yet. A run that drains what is there is done when this and
    /// `paused` are zero and `more` is false.
    pub growing: u64,
    /// Files that the caller wants to be asked about again: [`Standing::Paused`].
    pub paused: u64,
    /// True when complete files were left for the next look by the limits of this one.
    pub more: bool,
}
