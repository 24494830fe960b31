//! Files as memory: read where they are looked at, and given back to the system where they are not.

use std::fs::File;
use std::io;
use std::ops::Deref;
use std::path::Path;
use std::sync::Arc;

/// A file of ours that nobody changes: it is replaced by another of its name, and goes with the last who looks at it.
#[derive(Debug, Clone)]
pub struct Mapped(Arc<memmap2::Mmap>);

impl Mapped {
    /// Maps a file. Whoever cuts it short meanwhile ends the process, as a disk that fails does.
    ///
    /// # Errors
    /// Those of the system.
    pub fn of(path: &Path) -> io::Result<Self> {
        let file = File::open(path)?;
        // SAFETY: the bytes must not change while they are mapped. Published state files are written once, by a process that
        // holds the lock of the output, and replaced by rename.
        let map = unsafe { memmap2::Mmap::map(&file) }?;
        Ok(Self(Arc::new(map)))
    }
}

impl Deref for Mapped {
    type Target = [u8];
    fn deref(&self) -> &[u8] {
        &self.0
    }
}

impl AsRef<[u8]> for Mapped {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}
