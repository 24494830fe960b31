//! State files that are made before the commit they count with, beside everything else: they can be large.

use crate::error::{Error, Result};
use crate::memory::Writing;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// A file on the disk that waits for [`Staging::adopt_state`](super::Staging::adopt_state).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MadeFile {
    pub(super) path: PathBuf,
    pub(super) size_in_bytes: u64,
    pub(super) blake3: String,
}

impl MadeFile {
    /// Writes `head`, which has to tell by a hash what comes after it, and then what `fill` puts into the file: it is known by
    /// its head, and gigabytes are not hashed twice. The folder must be there.
    ///
    /// # Errors
    /// [`Error::Environment`] when the file cannot be written.
    pub fn of_head(path: &Path, head: &[u8], fill: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> Result<Self> {
        let mut file = Writing::create(path)?;
        file.write_all(head).and_then(|()| fill(&mut file)).map_err(Error::io("write", path))?;
        let size_in_bytes = file.finish(path)?;
        Ok(Self { path: path.to_owned(), size_in_bytes, blake3: blake3::hash(head).to_hex().to_string() })
    }

    /// Removes it: no commit will have it.
    pub fn discard(self) {
        let _ = std::fs::remove_file(self.path);
    }
}

/// A state file of a commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommittedFile {
    /// Where it stands.
    pub path: PathBuf,
    pub(super) size_in_bytes: u64,
    pub(super) blake3: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_comes_after_a_head_is_one_file_with_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("bytes");
        let fill = |file: &mut dyn Write| file.write_all(b"b").and_then(|()| file.write_all(b"cd"));
        let made = MadeFile::of_head(&path, b"a", fill).unwrap();
        assert_eq!((std::fs::read(&path).unwrap(), made.size_in_bytes), (b"abcd".to_vec(), 4));
        assert_eq!(made.blake3, blake3::hash(b"a").to_hex().to_string());
        assert!(MadeFile::of_head(&folder.path().join("nowhere/bytes"), b"a", fill).is_err());
    }
}
