//! Large blocks laid aside in files: what a program holds beyond its limit, so that the system can write it out and give the
//! memory to others, where it otherwise could only kill the program.
//!
//! Each block is a file of its own that has no name any more, mapped into memory. It goes with the block, and with the process
//! however that ends. Its space on the disk is taken before it is used: a disk that is full is told then, and the block is
//! memory like any other; nobody is killed for writing to it.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::ptr::null_mut;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// The blocks of the program that lie in files.
pub(super) static ASIDE: Aside = Aside::new();

/// Blocks in files of one folder. What it needs itself is small, and never comes back to it.
pub(super) struct Aside {
    blocks: Mutex<Blocks>,
    /// How many there are, to be seen without the lock: where there is none, no block that goes has to be looked for.
    count: AtomicUsize,
}

struct Blocks {
    folder: Option<PathBuf>,
    /// Sizes by address.
    sizes: BTreeMap<usize, usize>,
    /// Files made so far.
    made: u64,
    /// Sum of the sizes, and the most that it ever was.
    bytes: usize,
    most: usize,
}

impl Aside {
    const fn new() -> Self {
        let blocks = Blocks { folder: None, sizes: BTreeMap::new(), made: 0, bytes: 0, most: 0 };
        Self { blocks: Mutex::new(blocks), count: AtomicUsize::new(0) }
    }

    fn blocks(&self) -> MutexGuard<'_, Blocks> {
        self.blocks.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts files into this folder from now on.
    pub(super) fn put_into(&self, folder: &Path) {
        self.blocks().folder = Some(folder.to_owned());
    }

    /// A block of so many bytes, all zero; null where it cannot be had.
    pub(super) fn take(&self, size: usize) -> *mut u8 {
        let mut blocks = self.blocks();
        let Some(folder) = &blocks.folder else { return null_mut() };
        let path = folder.join(format!("aside-{}-{}", std::process::id(), blocks.made));
        blocks.made += 1;
        let memory = nameless(&path).map_or(null_mut(), |file| mapped(&file, size));
        if !memory.is_null() {
            blocks.sizes.insert(memory.addr(), size);
            blocks.bytes += size;
            blocks.most = blocks.most.max(blocks.bytes);
            self.count.fetch_add(1, Ordering::Release);
        }
        memory
    }

    /// Whether a block lies in a file.
    pub(super) fn has(&self, memory: *mut u8) -> bool {
        self.count.load(Ordering::Acquire) > 0 && self.blocks().sizes.contains_key(&memory.addr())
    }

    /// Lets go of a block, if it lies in a file.
    pub(super) fn free(&self, memory: *mut u8) -> bool {
        if self.count.load(Ordering::Acquire) == 0 {
            return false;
        }
        let mut blocks = self.blocks();
        let Some(size) = blocks.sizes.remove(&memory.addr()) else { return false };
        blocks.bytes -= size;
        self.count.fetch_sub(1, Ordering::Release);
        // While the lock is held: the address may be the next one's at once.
        unmapped(memory, size);
        true
    }

    /// The most bytes that ever lay in files at a time.
    pub(super) fn most(&self) -> usize {
        self.blocks().most
    }
}

/// A new file for the owner alone, whose name is gone already.
#[cfg(target_os = "linux")]
fn nameless(path: &Path) -> std::io::Result<File> {
    use std::os::unix::fs::OpenOptionsExt;
    let file = File::options().read(true).write(true).create_new(true).mode(0o600).open(path)?;
    std::fs::remove_file(path)?;
    Ok(file)
}

#[cfg(not(target_os = "linux"))]
fn nameless(_: &Path) -> std::io::Result<File> {
    Err(std::io::ErrorKind::Unsupported.into())
}

/// So many bytes of a file that has none yet.
#[cfg(target_os = "linux")]
fn mapped(file: &File, size: usize) -> *mut u8 {
    use std::os::fd::AsRawFd;
    let Ok(length) = libc::off_t::try_from(size) else { return null_mut() };
    // SAFETY: the file is open, and nobody else knows it.
    if unsafe { libc::fallocate(file.as_raw_fd(), 0, 0, length) } != 0 {
        return null_mut();
    }
    let access = libc::PROT_READ | libc::PROT_WRITE;
    // SAFETY: a new mapping, wherever there is room; the file may be closed and has all its bytes.
    let memory = unsafe { libc::mmap(null_mut(), size, access, libc::MAP_SHARED, file.as_raw_fd(), 0) };
    if memory == libc::MAP_FAILED {
        return null_mut();
    }
    // Where the file system has large pages this saves most of the faults.
    // SAFETY: the mapping is ours, and the advice changes no contents.
    unsafe { libc::madvise(memory, size, libc::MADV_HUGEPAGE) };
    memory.cast()
}

#[cfg(not(target_os = "linux"))]
fn mapped(_: &File, _: usize) -> *mut u8 {
    null_mut()
}

#[cfg(target_os = "linux")]
fn unmapped(memory: *mut u8, size: usize) {
    // SAFETY: mapped above with this size, and whoever had it gave it back.
    unsafe { libc::munmap(memory.cast(), size) };
}

#[cfg(not(target_os = "linux"))]
fn unmapped(_: *mut u8, _: usize) {}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    const MIB: usize = 1 << 20;

    #[test]
    fn a_block_in_a_file_is_memory_until_it_is_let_go_of_and_leaves_nothing_behind() {
        let folder = tempfile::tempdir().unwrap();
        let aside = Aside::new();
        assert!(aside.take(MIB).is_null(), "nobody said where");
        aside.put_into(folder.path());
        let blocks: Vec<*mut u8> = (1..=3).map(|mib| aside.take(mib * MIB)).collect();
        for (memory, size) in blocks.iter().zip((1..).map(|mib| mib * MIB)) {
            assert!(!memory.is_null() && memory.addr().is_multiple_of(4096) && aside.has(*memory));
            // SAFETY: `size` bytes that are ours, zero from the file.
            let bytes = unsafe { std::slice::from_raw_parts_mut(*memory, size) };
            assert!(bytes.iter().all(|byte| *byte == 0));
            bytes.fill(7);
        }
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "files have no names");
        assert!(!aside.free(null_mut()) && aside.free(blocks[1]) && !aside.free(blocks[1]));
        // SAFETY: the other blocks are still ours.
        unsafe { assert_eq!((*blocks[0], *blocks[2].add(3 * MIB - 1)), (7, 7)) };
        assert!(aside.free(blocks[0]) && aside.free(blocks[2]) && !aside.has(blocks[2]));
        assert_eq!((aside.most(), aside.blocks().bytes), (6 * MIB, 0));
    }

    #[test]
    fn where_no_file_can_be_there_is_no_block() {
        let aside = Aside::new();
        let folder = tempfile::tempdir().unwrap();
        aside.put_into(&folder.path().join("gone"));
        assert!(aside.take(MIB).is_null());
        aside.put_into(folder.path());
        assert!(aside.take(1 << 60).is_null(), "no disk has so much");
        assert_eq!((aside.most(), std::fs::read_dir(folder.path()).unwrap().count()), (0, 0));
    }
}
