//! Hashes of files, each made once while the file stays as it is.

use std::collections::HashMap;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// What a hash is valid for: a file of another length or time of change may hold other bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stamp {
    pub(super) size_in_bytes: u64,
    pub(super) changed_at: SystemTime,
}

impl Stamp {
    /// The stamp of a file; `None` when there is no regular file.
    pub(super) fn of(metadata: &std::fs::Metadata) -> io::Result<Option<Self>> {
        if !metadata.is_file() {
            return Ok(None);
        }
        Ok(Some(Self { size_in_bytes: metadata.len(), changed_at: metadata.modified()? }))
    }
}

/// What came of hashing a file.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Hashed {
    /// BLAKE3 of its bytes, hexadecimal.
    As(String),
    /// It is not, or not any more, what the stamp says.
    Changed,
    /// It is gone.
    Gone,
    /// The system does not let it be read.
    Unreadable(String),
}

/// Hashes by path.
#[derive(Debug, Default)]
pub(super) struct Hashes {
    known: HashMap<PathBuf, (Stamp, String)>,
    /// Files read from end to end so far.
    pub(super) made: u64,
}

impl Hashes {
    /// The hash of a file that was read as `stamp` says.
    pub(super) fn known(&self, path: &Path, stamp: Stamp) -> Option<&str> {
        self.known.get(path).filter(|(known, _)| *known == stamp).map(|(_, hash)| hash.as_str())
    }

    /// Takes note of the hash of a file that somebody else read while it was what `stamp` says.
    pub(super) fn know(&mut self, path: &Path, stamp: Stamp, hash: &str) {
        self.known.insert(path.to_owned(), (stamp, hash.to_owned()));
    }

    /// The hash of the file at `path` as long as it is what `stamp` says, before and after it was read.
    pub(super) fn of(&mut self, path: &Path, stamp: Stamp) -> Hashed {
        if let Some(hash) = self.known(path, stamp) {
            return Hashed::As(hash.to_owned());
        }
        match hash(path, stamp) {
            Ok(Some(hash)) => {
                self.made += 1;
                self.known.insert(path.to_owned(), (stamp, hash.clone()));
                Hashed::As(hash)
            }
            Ok(None) => Hashed::Changed,
            Err(error) if error.kind() == io::ErrorKind::NotFound => Hashed::Gone,
            Err(error) => Hashed::Unreadable(error.to_string()),
        }
    }

    /// Forgets a file that is gone.
    pub(super) fn forget(&mut self, path: &Path) {
        self.known.remove(path);
    }
}

fn hash(path: &Path, stamp: Stamp) -> io::Result<Option<String>> {
    let file = File::open(path)?;
    if Stamp::of(&file.metadata()?)? != Some(stamp) {
        return Ok(None);
    }
    let mut hasher = blake3::Hasher::new();
    hasher.update_reader(&file)?;
    // By its name and not by its handle: a file renamed over this one while it was read is another file.
    if Stamp::of(&std::fs::metadata(path)?)? != Some(stamp) {
        return Ok(None);
    }
    Ok(Some(hasher.finalize().to_hex().to_string()))
}
