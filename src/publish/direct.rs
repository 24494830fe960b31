//! Large files that nobody reads until a process starts again, written past the memory that the system keeps files in.
//!
//! What is in such a file is held in memory already. To copy it into the system's memory first takes that memory from whoever
//! needs it, and where the machine is a guest whose host gives memory page by page it takes most of the time of writing: for
//! 1.5 GB 5.4 s of a processor here, and 0.2 s without (`dd bs=4M count=375 conv=fdatasync`, with `oflag=direct`).

use crate::error::{Error, Result};
use crate::memory::let_go;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::Path;

/// What is written at a time.
const AT_ONCE: usize = 4 << 20;

/// A multiple of what disks want addresses, places and lengths to be multiples of.
const ALIGNED: usize = 4_096;

/// Bytes after which what a file system without direct writing took is put on the disk, so that a commit which syncs a few
/// small files meanwhile does not have to wait for all of a large one.
const SYNC_EVERY: u64 = 32 << 20;

/// A file that is put on the disk bit by bit.
pub(super) struct Direct {
    file: File,
    /// The same file, opened for writing past the system's memory; `None` where the file system cannot.
    past: Option<File>,
    /// Of all of it, unless something else tells what is in it.
    hasher: Option<blake3::Hasher>,
    /// What is written next begins at `start`, and `filled` bytes of it are there.
    buffer: Vec<u8>,
    start: usize,
    filled: usize,
    written: u64,
    synced: u64,
}

impl Direct {
    /// # Errors
    /// [`Error::Environment`] when it cannot be made.
    pub(super) fn create(path: &Path, hasher: Option<blake3::Hasher>) -> Result<Self> {
        let file = File::create(path).map_err(Error::io("write", path))?;
        let buffer = vec![0; AT_ONCE + ALIGNED];
        let start = buffer.as_ptr().align_offset(ALIGNED).min(ALIGNED);
        let past = past_memory(path).ok();
        Ok(Self { file, past, hasher, buffer, start, filled: 0, written: 0, synced: 0 })
    }

    /// How many bytes it has, and their hash, if it was asked for.
    ///
    /// # Errors
    /// [`Error::Environment`] when the last of them cannot be written.
    pub(super) fn finish(mut self, path: &Path) -> Result<(u64, String)> {
        let whole = self.filled - self.filled % ALIGNED;
        self.put(0..whole).and_then(|()| self.put_by_memory(whole..self.filled)).map_err(Error::io("write", path))?;
        self.file.sync_all().map_err(Error::io("sync", path))?;
        let_go(&self.file, 0..self.written);
        let hash = self.hasher.map(|hasher| hasher.finalize().to_hex().to_string());
        Ok((self.written, hash.unwrap_or_default()))
    }

    /// Writes some of the buffer, aligned and of an aligned length.
    fn put(&mut self, bytes: std::ops::Range<usize>) -> io::Result<()> {
        let part = &self.buffer[self.start + bytes.start..self.start + bytes.end];
        if part.is_empty() {
            return Ok(());
        }
        if let Some(past) = &self.past {
            match write_at(past, part, self.written) {
                // There are file systems that let it be opened so and then do not take it.
                Err(error) if error.kind() == io::ErrorKind::InvalidInput => self.past = None,
                done => {
                    done?;
                    self.written += part.len() as u64;
                    return Ok(());
                }
            }
        }
        self.put_by_memory(bytes)
    }

    fn put_by_memory(&mut self, bytes: std::ops::Range<usize>) -> io::Result<()> {
        let part = &self.buffer[self.start + bytes.start..self.start + bytes.end];
        write_at(&self.file, part, self.written)?;
        self.written += part.len() as u64;
        if self.written - self.synced >= SYNC_EVERY {
            self.file.sync_data()?;
            let_go(&self.file, self.synced..self.written);
            self.synced = self.written;
        }
        Ok(())
    }
}

impl Write for Direct {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let some = &bytes[..bytes.len().min(AT_ONCE - self.filled)];
        let place = self.start + self.filled;
        self.buffer[place..place + some.len()].copy_from_slice(some);
        if let Some(hasher) = &mut self.hasher {
            hasher.update(some);
        }
        self.filled += some.len();
        if self.filled == AT_ONCE {
            self.put(0..AT_ONCE)?;
            self.filled = 0;
        }
        Ok(some.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(unix)]
fn write_at(file: &File, bytes: &[u8], at: u64) -> io::Result<()> {
    std::os::unix::fs::FileExt::write_all_at(file, bytes, at)
}

#[cfg(not(unix))]
fn write_at(mut file: &File, bytes: &[u8], at: u64) -> io::Result<()> {
    io::Seek::seek(&mut file, io::SeekFrom::Start(at))?;
    file.write_all(bytes)
}

#[cfg(target_os = "linux")]
fn past_memory(path: &Path) -> io::Result<File> {
    use std::os::unix::fs::OpenOptionsExt;
    OpenOptions::new().write(true).custom_flags(libc::O_DIRECT).open(path)
}

#[cfg(not(target_os = "linux"))]
fn past_memory(_: &Path) -> io::Result<File> {
    Err(io::ErrorKind::Unsupported.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_has_what_was_written_into_it_in_whatever_pieces() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        let bytes: Vec<u8> = (0..3 * AT_ONCE as u32 + 5_000).map(|n| (n * 7 + n / 251) as u8).collect();
        for length in [0, 1, ALIGNED - 1, ALIGNED, ALIGNED + 1, AT_ONCE, AT_ONCE + ALIGNED, bytes.len()] {
            for (past, piece) in [(true, 1 << 30), (true, 70_001), (false, AT_ONCE + 9)] {
                let mut file = Direct::create(&path, Some(blake3::Hasher::new())).unwrap();
                if !past {
                    file.past = None;
                }
                bytes[..length].chunks(piece).for_each(|piece| file.write_all(piece).unwrap());
                let found = file.finish(&path).unwrap();
                assert_eq!(found, (length as u64, blake3::hash(&bytes[..length]).to_hex().to_string()));
                assert!(std::fs::read(&path).unwrap() == bytes[..length], "{length} bytes, {past}");
            }
        }
    }
}
