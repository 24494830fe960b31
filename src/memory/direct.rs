//! Large files that are written once and read once, when a process starts again: past the memory that the system keeps files
//! in.
//!
//! What is in such a file is held in memory already. To copy it into the system's memory first takes that memory from whoever
//! needs it, and where the machine is a guest whose host gives memory page by page it takes most of the time of writing: for
//! 1.5 GB 5.4 s of a processor here, and 0.2 s without (`dd bs=4M count=375 conv=fdatasync`, with `oflag=direct`). So it is with
//! reading: 2.3 GB take 5.5 s and 0.2 s (`dd of=/dev/null`, with `iflag=direct`).

use super::let_go;
use crate::error::{Error, Result};
use std::cell::RefCell;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::ops::Range;
use std::path::Path;
#[cfg(not(unix))]
use std::sync::{Mutex, PoisonError};

/// What is read or written at a time.
const AT_ONCE: usize = 4 << 20;

/// A multiple of what disks want addresses, places and lengths to be multiples of.
const ALIGNED: usize = 4_096;

/// Bytes after which what a file system without direct writing took is put on the disk, so that a commit which syncs a few
/// small files meanwhile does not have to wait for all of a large one.
const SYNC_EVERY: u64 = 32 << 20;

/// A file that is put on the disk bit by bit.
pub struct Writing {
    file: File,
    /// The same file, opened for writing past the system's memory; `None` where the file system cannot.
    past: Option<File>,
    /// What is written next begins at `start`, and `filled` bytes of it are there.
    buffer: Vec<u8>,
    start: usize,
    filled: usize,
    written: u64,
    synced: u64,
}

impl Writing {
    /// # Errors
    /// [`Error::Environment`] when it cannot be made.
    pub fn create(path: &Path) -> Result<Self> {
        let file = File::create(path).map_err(Error::io("write", path))?;
        let (buffer, start) = buffer();
        let past = past_memory(OpenOptions::new().write(true), path).ok();
        Ok(Self { file, past, buffer, start, filled: 0, written: 0, synced: 0 })
    }

    /// How many bytes it has so far.
    pub fn written(&self) -> u64 {
        self.written + self.filled as u64
    }

    /// Puts the last of them on the disk; how many they are.
    ///
    /// # Errors
    /// [`Error::Environment`] when the last of them cannot be written.
    pub fn finish(mut self, path: &Path) -> Result<u64> {
        let whole = self.filled - self.filled % ALIGNED;
        self.put(0..whole).and_then(|()| self.put_by_memory(whole..self.filled)).map_err(Error::io("write", path))?;
        self.file.sync_all().map_err(Error::io("sync", path))?;
        let_go(&self.file, 0..self.written);
        Ok(self.written)
    }

    /// Writes some of the buffer, aligned and of an aligned length.
    fn put(&mut self, bytes: Range<usize>) -> io::Result<()> {
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

    fn put_by_memory(&mut self, bytes: Range<usize>) -> io::Result<()> {
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

impl Write for Writing {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let some = &bytes[..bytes.len().min(AT_ONCE - self.filled)];
        let place = self.start + self.filled;
        self.buffer[place..place + some.len()].copy_from_slice(some);
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

/// A file whose bytes are asked for once, in any order and by any number of threads. It can be read as long as this is there,
/// even if it has gone from its folder.
#[derive(Debug)]
pub struct Reading(File);

thread_local! {
    /// What a thread reads into, and where in it; made when it first reads.
    static BUFFER: RefCell<(Vec<u8>, usize)> = const { RefCell::new((Vec::new(), 0)) };
}

impl Reading {
    /// # Errors
    /// Those of the system.
    pub fn open(path: &Path) -> io::Result<Self> {
        // There are file systems that let it be opened so and then do not give it.
        let past = past_memory(OpenOptions::new().read(true), path).ok().map(Self);
        let past = past.filter(|past| past.read(0..past.length().unwrap_or_default().min(1), &mut |_| ()).is_ok());
        past.map_or_else(|| File::open(path).map(Self), Ok)
    }

    /// How many bytes it has.
    ///
    /// # Errors
    /// Those of the system.
    pub fn length(&self) -> io::Result<u64> {
        self.0.metadata().map(|found| found.len())
    }

    /// Hands out some bytes, piece by piece in their order.
    ///
    /// # Errors
    /// Those of the system; [`io::ErrorKind::UnexpectedEof`] where the file has not so many. `each` must not read any file so.
    pub fn read(&self, bytes: Range<u64>, each: &mut dyn FnMut(&[u8])) -> io::Result<()> {
        BUFFER.with_borrow_mut(|(memory, start)| {
            if memory.is_empty() {
                (*memory, *start) = buffer();
            }
            let mut at = bytes.start;
            while at < bytes.end {
                let from = at - at % ALIGNED as u64;
                let wanted = (bytes.end - from).next_multiple_of(ALIGNED as u64).min(AT_ONCE as u64) as usize;
                let got = self.read_some(&mut memory[*start..*start + wanted], from)?;
                let until = (from + got as u64).min(bytes.end);
                if until <= at {
                    return Err(io::ErrorKind::UnexpectedEof.into());
                }
                each(&memory[*start + (at - from) as usize..*start + (until - from) as usize]);
                at = until;
            }
            Ok(())
        })
    }

    fn read_some(&self, into: &mut [u8], at: u64) -> io::Result<usize> {
        loop {
            match read_at(&self.0, into, at) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => (),
                read => return read,
            }
        }
    }
}

/// Room for what is read or written at a time, and where in it an aligned block begins.
fn buffer() -> (Vec<u8>, usize) {
    let buffer = vec![0; AT_ONCE + ALIGNED];
    let start = buffer.as_ptr().align_offset(ALIGNED).min(ALIGNED);
    (buffer, start)
}

#[cfg(unix)]
fn read_at(file: &File, into: &mut [u8], at: u64) -> io::Result<usize> {
    std::os::unix::fs::FileExt::read_at(file, into, at)
}

#[cfg(not(unix))]
fn read_at(file: &File, into: &mut [u8], at: u64) -> io::Result<usize> {
    // One position is shared by all threads.
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    let _lock = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    let mut file = file;
    io::Seek::seek(&mut file, io::SeekFrom::Start(at))?;
    io::Read::read(&mut file, into)
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
fn past_memory(how: &mut OpenOptions, path: &Path) -> io::Result<File> {
    use std::os::unix::fs::OpenOptionsExt;
    how.custom_flags(libc::O_DIRECT).open(path)
}

#[cfg(not(target_os = "linux"))]
fn past_memory(_: &mut OpenOptions, _: &Path) -> io::Result<File> {
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
                let mut file = Writing::create(&path).unwrap();
                if !past {
                    file.past = None;
                }
                bytes[..length].chunks(piece).for_each(|piece| file.write_all(piece).unwrap());
                assert_eq!((file.written(), file.finish(&path).unwrap()), (length as u64, length as u64));
                assert!(std::fs::read(&path).unwrap() == bytes[..length], "{length} bytes, {past}");
            }
        }
    }
    #[test]
    fn any_bytes_of_a_file_are_read_as_they_are_and_beyond_its_end_there_are_none() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        let bytes: Vec<u8> = (0..2 * AT_ONCE as u32 + 4_100).map(|n| (n * 5 + n / 253) as u8).collect();
        std::fs::write(&path, &bytes).unwrap();
        let files = [Reading::open(&path).unwrap(), Reading(File::open(&path).unwrap())];
        // What is open can be read without its name.
        std::fs::remove_file(&path).unwrap();
        let end = bytes.len();
        for file in files {
            assert_eq!(file.length().unwrap(), end as u64);
            let ranges =
                [0..0, 0..1, 4_095..4_097, 1..end, 4_096..8_192, AT_ONCE - 1..AT_ONCE + 1, end - 3..end, end..end];
            for range in ranges {
                let mut read = Vec::new();
                let asked = range.start as u64..range.end as u64;
                file.read(asked, &mut |piece| read.extend_from_slice(piece)).unwrap();
                assert!(read == bytes[range.clone()], "{range:?}");
            }
            for beyond in [end as u64 - 1..end as u64 + 1, end as u64 + 9_000..end as u64 + 9_001] {
                let error = file.read(beyond, &mut |_| ()).unwrap_err();
                assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
            }
        }
    }
}
