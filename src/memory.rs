//! The allocator of the program: the system's, with huge pages for what is large and memory that is used again.
//!
//! The kernel of features writes and reads columns of gigabytes in scattered order. On pages of 4 KiB half of that time goes
//! into page faults and address translation; Linux gives pages of 2 MiB where a program asks for them. Columns follow one
//! another, all of one length: the C library gives large blocks back to the system, and to have them mapped and zeroed anew
//! for each column took a quarter of the processor time of fifty million orders. So a few such blocks are kept.
//! Beyond a limit that the program was given, large blocks lie in files: see [`limit`].
//! Large files that are read once are written and read past the memory that the system keeps files in: see [`Writing`].
//! All other memory is the system allocator's; advice that a system cannot follow it ignores.

mod ahead;
mod anonymous;
mod aside;
mod direct;
mod spare;

pub use ahead::{AHEAD, ask_ahead};
use aside::ASIDE;
pub use direct::{Reading, Writing};
use spare::{SPARES, can_be_kept, class};
use std::alloc::{GlobalAlloc, Layout, System};
use std::ops::Range;
use std::path::Path;

/// From which size on huge pages are asked for: below two of them little of an allocation would get one. A program's small
/// allocations, nearly all, cost one comparison more.
const LARGE_IN_BYTES: usize = 4 << 20;

/// A huge page on x86-64, and on ARM with pages of 4 KiB. Where it is another size the advice covers a little less.
const HUGE_PAGE_IN_BYTES: usize = 2 << 20;

/// [`System`], asking for huge pages under allocations of at least 4 MiB, and keeping a few of these.
#[derive(Debug, Clone, Copy, Default)]
pub struct HugePages;

// SAFETY: small layouts go to `System` as they are. A large one goes there with its size rounded up by `class`, the same at
// each call for it, so `System` always gets back the layout that it gave; and what waits among the spares belongs to nobody
// else until it is taken. A block in a file has whole pages of its own, is known by its address, and never goes to `System`.
// `advise` neither reads, writes nor moves memory. So this keeps what `System` promises.
unsafe impl GlobalAlloc for HugePages {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let given = class(layout);
        let aside = beyond(given, 0);
        if !aside.is_null() {
            return aside;
        }
        let spare = SPARES.take(given);
        if !spare.is_null() {
            return spare;
        }
        release(given);
        // SAFETY: the caller promises what `System` asks for: a layout of a size above zero.
        advised(unsafe { System.alloc(given) }, given.size())
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        let given = class(layout);
        let aside = beyond(given, 0);
        if !aside.is_null() {
            return aside;
        }
        let spare = SPARES.take(given);
        if !spare.is_null() {
            // SAFETY: a spare of this class is at least as long, and nobody else's.
            unsafe { spare.write_bytes(0, layout.size()) };
            return spare;
        }
        release(given);
        // SAFETY: as for `alloc`. Large memory comes zeroed from the system, untouched so far: the advice is not too late.
        advised(unsafe { System.alloc_zeroed(given) }, given.size())
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        let given = class(layout);
        if can_be_kept(given) && ASIDE.free(memory) {
            return;
        }
        if !SPARES.keep(memory, given) {
            // SAFETY: the caller promises that `memory` came from here for `layout`, hence from `System` for `given`.
            unsafe { System.dealloc(memory, given) }
        } else {
            release(given);
        }
    }

    unsafe fn realloc(&self, memory: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        let given = class(layout);
        // SAFETY: the caller promises a size above zero that fits the alignment.
        let wanted = class(unsafe { Layout::from_size_align_unchecked(size, layout.align()) });
        if given == wanted {
            return memory;
        }
        let held = if can_be_kept(given) { given.size() } else { 0 };
        if (held > 0 && ASIDE.has(memory)) || (wanted.size() > given.size() && SPARES.exceeds(wanted, held)) {
            // SAFETY: as below; what is copied is in both blocks, which are different ones.
            return unsafe { self.moved(memory, layout, size) };
        }
        SPARES.resized(given, wanted);
        // SAFETY: as for `dealloc`, and the caller promises a size above zero that fits the alignment.
        advised(unsafe { System.realloc(memory, given, wanted.size()) }, wanted.size())
    }
}

impl HugePages {
    /// A block of another size with the same bytes in place of one that is let go of.
    ///
    /// # Safety
    /// As for [`GlobalAlloc::realloc`].
    unsafe fn moved(&self, memory: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // SAFETY: the caller promises a size above zero that fits the alignment.
        let new = unsafe { self.alloc(Layout::from_size_align_unchecked(size, layout.align())) };
        if !new.is_null() {
            // SAFETY: both blocks have so many bytes, and the new one is nobody else's. The old one came from here.
            unsafe {
                new.copy_from_nonoverlapping(memory, layout.size().min(size));
                self.dealloc(memory, layout);
            }
        }
        new
    }
}

/// A block in a file, zero, if so large a one is more than the program should hold in memory; else null. `held` is what it
/// would take the place of.
fn beyond(given: Layout, held: usize) -> *mut u8 {
    if SPARES.exceeds(given, held) { ASIDE.take(given.size()) } else { std::ptr::null_mut() }
}

/// Says how much memory the program should hold, bytes, and the folder in which large blocks (4 MiB and more) lie in files
/// beyond that.
///
/// A file is mapped into memory and has no name: the system keeps of it in memory what there is room for and writes out the
/// rest, as it would to swap, and it is gone with the block or the process. Without room on the disk, or on a system other
/// than Linux, such blocks are memory like any other. What smaller blocks take is looked at again and again, and large ones
/// have the rest, a quarter of the whole in any case: only where small blocks take more than three quarters is it exceeded for
/// long, and for moments by what is written to between two looks.
pub fn limit(bytes: usize, folder: &Path) {
    ASIDE.put_into(folder);
    SPARES.limit(bytes);
}

/// What [`limit`] was told; all that can be addressed where nobody said anything.
pub fn limit_in_bytes() -> usize {
    SPARES.limit_in_bytes()
}

/// The most bytes of large blocks that ever lay in files at a time.
pub fn most_aside() -> usize {
    ASIDE.most()
}

/// The memory of the machine, or of the container where that may have less, bytes; `None` where nobody says.
pub fn of_machine() -> Option<usize> {
    let read = |path: &str| std::fs::read_to_string(path).ok();
    let number = |text: String| text.split_whitespace().find_map(|word| word.parse::<usize>().ok());
    let machine = read("/proc/meminfo").and_then(|text| number(text)?.checked_mul(1024))?;
    let container = ["/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"];
    let container = container.into_iter().filter_map(read).filter_map(number).min();
    Some(container.map_or(machine, |container| container.min(machine)))
}

/// Gives back to the system what should not be kept any longer, when something of a large class came or went.
fn release(given: Layout) {
    if given.size() >= LARGE_IN_BYTES {
        while let Some((oldest, given)) = SPARES.surplus() {
            // SAFETY: whoever had it gave it back; it came from `System` for this layout, and is nobody's any more.
            unsafe { System.dealloc(oldest, given) }
        }
    }
}

/// The same memory, huge pages asked for if it is large.
fn advised(memory: *mut u8, size: usize) -> *mut u8 {
    if size >= LARGE_IN_BYTES && !memory.is_null() {
        advise(whole_pages(memory.addr(), size), memory);
    }
    memory
}

/// The huge pages that lie entirely in `size` bytes from `start`, as addresses; empty if none does.
fn whole_pages(start: usize, size: usize) -> Range<usize> {
    let down = |address: usize| address - address % HUGE_PAGE_IN_BYTES;
    let first = down(start.saturating_add(HUGE_PAGE_IN_BYTES - 1));
    first..down(start.saturating_add(size)).max(first)
}

#[cfg(target_os = "linux")]
fn advise(pages: Range<usize>, memory: *mut u8) {
    if !pages.is_empty() {
        // SAFETY: the pages lie within an allocation that is ours, and this advice changes no contents. A refusal leaves the
        // memory as it is, hence is not looked at.
        unsafe { libc::madvise(memory.with_addr(pages.start).cast(), pages.len(), libc::MADV_HUGEPAGE) };
    }
}

#[cfg(not(target_os = "linux"))]
fn advise(_: Range<usize>, _: *mut u8) {}

/// Gives freed memory back to the system that the C library keeps between blocks in use.
///
/// It keeps what was freed for whoever comes next, and gives back by itself only the end of its heaps: after a stage that made
/// and dropped millions of small blocks on several threads that can be a third of what a run holds. It takes a tenth of a
/// second for gigabytes. Where the C library is another one nothing happens.
pub fn give_back() {
    // SAFETY: it touches nothing that is in use, and may be called at any time from any thread. Whether anything was given
    // back does not matter.
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    unsafe {
        libc::malloc_trim(0)
    };
}

/// Lets the system use the memory for something else in which it keeps some bytes of a file, which are on the disk. Whoever
/// reads them waits for the disk again.
#[cfg(target_os = "linux")]
pub fn let_go(file: &std::fs::File, bytes: Range<u64>) {
    use std::os::fd::AsRawFd;
    let numbers = [bytes.start, bytes.end.saturating_sub(bytes.start)].map(libc::off64_t::try_from);
    if let [Ok(start), Ok(length)] = numbers {
        // SAFETY: the file is open, and advice changes no contents. Whether it is followed does not matter.
        unsafe { libc::posix_fadvise64(file.as_raw_fd(), start, length, libc::POSIX_FADV_DONTNEED) };
    }
}

/// Other systems are not asked.
#[cfg(not(target_os = "linux"))]
pub fn let_go(_: &std::fs::File, _: Range<u64>) {}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: usize = 1 << 20;

    #[test]
    fn only_whole_pages_inside_the_memory_are_asked_for() {
        assert_eq!(whole_pages(4 * MIB, 4 * MIB), 4 * MIB..8 * MIB);
        assert_eq!(whole_pages(4 * MIB + 16, 4 * MIB), 6 * MIB..8 * MIB);
        assert_eq!(whole_pages(5 * MIB, 5 * MIB - 1), 6 * MIB..8 * MIB);
        assert!(whole_pages(3 * MIB, MIB - 1).is_empty());
        assert!(whole_pages(usize::MAX - MIB, MIB).is_empty());
    }

    #[test]
    fn memory_that_grows_and_shrinks_across_the_border_keeps_its_bytes() {
        grow_and_shrink();
        #[cfg(target_os = "linux")]
        {
            // Of the whole process, for a moment: other tests' blocks may be laid aside too, which none of them notices.
            let folder = tempfile::tempdir().unwrap();
            limit(1, folder.path());
            grow_and_shrink();
            SPARES.limit(usize::MAX);
            assert!(most_aside() >= 80 * MIB, "{}", most_aside());
        }
    }

    fn grow_and_shrink() {
        let sizes = [MIB, 5 * MIB + 3, 4 * MIB, 40 * MIB, 43 * MIB, 35 * MIB, 4 * MIB - 1, 70 * MIB, 9 * MIB, 100];
        for align in [1, 16, 4096, 2 * MIB] {
            let mut layout = Layout::from_size_align(sizes[0], align).unwrap();
            // SAFETY: the size is above zero.
            let mut memory = unsafe { HugePages.alloc_zeroed(layout) };
            let mut kept = layout.size();
            for (at, size) in (1_u8..).zip(sizes) {
                // SAFETY: allocated here with `layout`; the sizes are above zero and fit the alignment.
                memory = unsafe { HugePages.realloc(memory, layout, size) };
                layout = Layout::from_size_align(size, align).unwrap();
                assert!(!memory.is_null() && memory.addr().is_multiple_of(align));
                // SAFETY: `size` bytes are ours. Those up to `kept` are initialised; the rest is before it is read.
                let bytes = unsafe {
                    if size > kept {
                        memory.add(kept).write_bytes(at - 1, size - kept);
                    }
                    std::slice::from_raw_parts_mut(memory, size)
                };
                assert!(bytes.iter().all(|&byte| byte == at - 1), "{size} bytes aligned to {align}");
                bytes.fill(at);
                kept = size;
            }
            // SAFETY: allocated here with `layout`.
            unsafe { HugePages.dealloc(memory, layout) };
        }
    }
}
