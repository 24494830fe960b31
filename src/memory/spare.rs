//! Large blocks that nobody uses at the moment.

use super::anonymous::Anonymous;
use std::alloc::Layout;
use std::ptr::null_mut;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// From which size on blocks are kept: what is smaller the C library keeps by itself. It keeps blocks up to 32 MiB too, but
/// gives back the end of its heap whenever that is free, as the columns of a step are after it.
const KEPT_IN_BYTES: usize = 4 << 20;

/// Alignment of what is kept. There is no large memory of a greater one.
const ALIGN: usize = 16;

/// How many blocks are kept at most: columns of three kinds of values and of several numbers of rows take turns.
const PLACES: usize = 256;

/// How much is kept at most: a share of the large blocks that were in use at most, or this where that is less. Blocks in use
/// and kept together are no more than were in use once, or little more: what grows all the time uses nearly as much as it ever
/// did, and wants a few blocks to take turns all the same.
const SHARE: usize = 4;
const ALWAYS_IN_BYTES: usize = 128 << 20;
const LITTLE: usize = 16;

/// How much is asked for in large blocks between two looks at how much memory other blocks take, bytes.
const LOOK_EVERY: usize = 64 << 20;

/// The share of the limit that large blocks have in any case: where small ones take all of it, to lay each large one aside as
/// well would make the program slow for nothing.
const LEAST: usize = 4;

/// From which size on blocks mostly last, as columns of what a stream holds do, and the share of the limit that is left to those
/// below: they come and go with each step, and to lay them aside costs the most.
const LASTING_IN_BYTES: usize = 32 << 20;
const LEFT: usize = 8;

/// How fast it is forgotten that smaller blocks once took more: a sixteenth at each look. A block that nobody has written to is
/// in no memory yet, and looks as if others took less.
const FORGOTTEN: usize = 16;

/// The blocks of the program.
pub(super) static SPARES: Spares = Spares::new();

/// What the system is asked for where the program asks for `layout`: large sizes are rounded up, by an eighth at most, so
/// that columns of nearly one length are of one size. Pages that nobody touches take no memory.
pub(super) fn class(layout: Layout) -> Layout {
    if layout.size() < KEPT_IN_BYTES || layout.align() > ALIGN {
        return layout;
    }
    let step = 1 << (layout.size().ilog2() - 3);
    let size = layout.size().checked_next_multiple_of(step);
    size.and_then(|size| Layout::from_size_align(size, ALIGN).ok()).unwrap_or(layout)
}

/// Whether a block is one of those that are kept, and counted.
pub(super) fn can_be_kept(given: Layout) -> bool {
    given.size() >= KEPT_IN_BYTES && given.align() == ALIGN
}

/// A few blocks for the next who want blocks of their sizes.
pub(super) struct Spares {
    kept: Mutex<Kept>,
    /// How much memory may be in use before large blocks are laid aside.
    limit: AtomicUsize,
    /// How much there is in all.
    anonymous: Anonymous,
}

struct Kept {
    /// The first `count` are blocks and their sizes, the oldest first.
    blocks: [(*mut u8, usize); PLACES],
    count: usize,
    /// Sum of the sizes.
    bytes: usize,
    /// Size of the large blocks in use.
    used: usize,
    /// The most that ever was.
    most: usize,
    /// What all other memory takes, as far as it is known.
    others: usize,
    /// How much was asked for since that was looked at.
    asked: usize,
}

// SAFETY: the pointers are to memory that nobody else knows of; whose it was does not matter.
unsafe impl Send for Kept {}

impl Kept {
    fn remove(&mut self, at: usize) -> (*mut u8, usize) {
        let block = self.blocks[at];
        self.blocks.copy_within(at + 1..self.count, at);
        self.count -= 1;
        self.bytes -= block.1;
        block
    }

    /// Takes note of how much memory there is in all, large blocks and others.
    fn look(&mut self, all: usize) {
        let others = all.saturating_sub(self.used).saturating_sub(self.bytes);
        self.others = others.max(self.others - self.others / FORGOTTEN);
    }

    /// How much of large blocks may be in use within a limit of all memory.
    fn room(&self, limit: usize) -> usize {
        limit.saturating_sub(self.others).max(limit / LEAST)
    }
}

impl Spares {
    const fn new() -> Self {
        let kept =
            Kept { blocks: [(null_mut(), 0); PLACES], count: 0, bytes: 0, used: 0, most: 0, others: 0, asked: 0 };
        Self { kept: Mutex::new(kept), limit: AtomicUsize::new(usize::MAX), anonymous: Anonymous::new() }
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sets how much memory may be in use, large blocks and, where that can be asked, all others.
    pub(super) fn limit(&self, bytes: usize) {
        self.anonymous.open();
        self.limit.store(bytes, Ordering::Relaxed);
    }

    /// What was set.
    pub(super) fn limit_in_bytes(&self) -> usize {
        self.limit.load(Ordering::Relaxed)
    }

    /// Whether a block more would be more than may be in use, one of `held` bytes in its place set aside.
    pub(super) fn exceeds(&self, given: Layout, held: usize) -> bool {
        let limit = self.limit.load(Ordering::Relaxed);
        if limit == usize::MAX || !can_be_kept(given) {
            return false;
        }
        let mut kept = self.kept();
        kept.asked = kept.asked.saturating_add(given.size());
        if kept.asked >= LOOK_EVERY {
            kept.asked = 0;
            if let Some(all) = self.anonymous.bytes() {
                kept.look(all);
            }
        }
        let left = if given.size() >= LASTING_IN_BYTES { limit / LEFT } else { 0 };
        kept.used.saturating_sub(held).saturating_add(given.size()) > kept.room(limit).saturating_sub(left)
    }

    /// A block of exactly this class; null if there is none, and then the system gives one and [`Self::surplus`] has to be
    /// asked before.
    pub(super) fn take(&self, given: Layout) -> *mut u8 {
        if !can_be_kept(given) {
            return null_mut();
        }
        let mut kept = self.kept();
        kept.used = kept.used.saturating_add(given.size());
        kept.most = kept.most.max(kept.used);
        let count = kept.count;
        match kept.blocks[..count].iter().rposition(|&(_, size)| size == given.size()) {
            Some(at) => kept.remove(at).0,
            None => null_mut(),
        }
    }

    /// Keeps a block that is no longer used, if it is of a class for that; [`Self::surplus`] has to be asked afterwards.
    pub(super) fn keep(&self, memory: *mut u8, given: Layout) -> bool {
        if !can_be_kept(given) {
            return false;
        }
        let mut kept = self.kept();
        kept.used = kept.used.saturating_sub(given.size());
        let count = kept.count;
        if count == PLACES {
            return false;
        }
        kept.blocks[count] = (memory, given.size());
        kept.count += 1;
        kept.bytes += given.size();
        true
    }

    /// The oldest block, if there is more than should be kept: for the system. One place is always left free.
    pub(super) fn surplus(&self) -> Option<(*mut u8, Layout)> {
        let mut kept = self.kept();
        let limit = self.limit.load(Ordering::Relaxed);
        let at_most = (kept.most / SHARE).max(ALWAYS_IN_BYTES).min((kept.most - kept.used).max(kept.most / LITTLE));
        let at_most = at_most.min(kept.room(limit).saturating_sub(kept.used));
        if kept.count == 0 || (kept.bytes <= at_most && kept.count < PLACES) {
            return None;
        }
        let (memory, size) = kept.remove(0);
        Layout::from_size_align(size, ALIGN).ok().map(|given| (memory, given))
    }

    /// A block in use got another size.
    pub(super) fn resized(&self, given: Layout, wanted: Layout) {
        if can_be_kept(given) || can_be_kept(wanted) {
            let size = |layout| if can_be_kept(layout) { layout.size() } else { 0 };
            let mut kept = self.kept();
            kept.used = kept.used.saturating_add(size(wanted)).saturating_sub(size(given));
            kept.most = kept.most.max(kept.used);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: usize = 1 << 20;

    fn large(mib: usize) -> Layout {
        class(Layout::from_size_align(mib * MIB, 8).unwrap())
    }

    /// Memory that is never looked at.
    fn at(address: usize) -> *mut u8 {
        null_mut::<u8>().wrapping_add(address)
    }

    #[test]
    fn sizes_are_rounded_by_an_eighth_at_most_and_to_themselves() {
        for size in [4 * MIB, 5 * MIB - 1, 32 * MIB, 33 * MIB + 1, 63 * MIB, 200_000_000, 400_000_004] {
            let given = class(Layout::from_size_align(size, 8).unwrap());
            assert!(given.size() >= size && given.size() - size <= size / 8, "{size}");
            assert_eq!(class(given), given);
        }
        for layout in [Layout::from_size_align(4 * MIB - 1, 8), Layout::from_size_align(64 * MIB, 4096)] {
            assert_eq!(class(layout.clone().unwrap()), layout.unwrap());
        }
    }

    /// Takes a block of so many MiB as the system would give it.
    fn given(spares: &Spares, mib: usize) {
        assert_eq!(spares.take(large(mib)), null_mut());
    }

    #[test]
    fn a_block_goes_to_the_next_of_its_class_and_to_nobody_else() {
        let spares = Spares::new();
        [40, 40, 33, 400].iter().for_each(|&mib| given(&spares, mib));
        assert!(!spares.keep(at(1), Layout::from_size_align(MIB, 8).unwrap()), "small ones are the system's");
        assert!(spares.keep(at(1), large(40)) && spares.keep(at(2), large(40)) && spares.keep(at(3), large(33)));
        assert_eq!(spares.surplus(), None);
        assert_eq!(spares.take(large(50)), null_mut());
        assert_eq!([spares.take(large(40)), spares.take(large(40))], [at(2), at(1)], "the newest first");
        assert_eq!([spares.take(large(40)), spares.take(large(35))], [null_mut(), at(3)]);
    }

    #[test]
    fn beyond_the_limit_a_block_more_is_too_much_and_none_is_kept() {
        // Without a look at the memory of the process, which is that of all tests.
        let spares = Spares::new();
        assert!(!spares.exceeds(large(4096), 0), "none is set");
        spares.limit.store(100 * MIB, Ordering::Relaxed);
        given(&spares, 40);
        given(&spares, 40);
        let small = Layout::from_size_align(MIB, 8).unwrap();
        assert_eq!([large(20), large(24), small].map(|layout| spares.exceeds(layout, 0)), [false, true, false]);
        assert!(!spares.exceeds(large(44), 40 * MIB), "in place of one of the two");
        assert!(spares.exceeds(large(48), 40 * MIB), "an eighth is left to smaller ones");
        assert!(spares.keep(at(1), large(40)));
        assert_eq!(spares.surplus(), None, "80 in use and kept");
        given(&spares, 64);
        assert_eq!(spares.surplus().map(|(memory, _)| memory), Some(at(1)));
    }

    #[test]
    fn what_other_memory_takes_is_not_there_for_large_blocks() {
        let spares = Spares::new();
        spares.limit.store(400 * MIB, Ordering::Relaxed);
        given(&spares, 40);
        let room = |all: usize| {
            let mut kept = spares.kept();
            kept.look(all * MIB);
            kept.room(400 * MIB) / MIB
        };
        assert_eq!(room(200), 240, "160 are others'");
        assert_eq!(room(40), 250, "a little of it is forgotten");
        assert_eq!(room(30), 259, "large blocks that are not all in memory");
        assert_eq!(room(900), 100, "a quarter in any case");
        assert!(!spares.exceeds(large(30), 0) && spares.exceeds(large(40), 0));
        let others = spares.kept().others;
        for _ in 0..400 {
            room(40);
        }
        assert!(spares.kept().others < FORGOTTEN && others > 800 * MIB);
    }

    #[test]
    fn no_more_is_kept_than_was_in_use_once_and_a_share_of_that() {
        let spares = Spares::new();
        (1..=5).for_each(|_| given(&spares, 40));
        for address in 1..=5 {
            assert!(spares.keep(at(address), large(40)));
        }
        // 200 MiB were in use; 128 are kept: three of 40.
        let first = [spares.surplus(), spares.surplus(), spares.surplus()];
        assert_eq!(first.map(|block| block.map(|(memory, _)| memory)), [Some(at(1)), Some(at(2)), None]);
        // Another size, of which there is none: as much as was in use once, and no more.
        given(&spares, 64);
        assert_eq!(spares.surplus(), None, "120 and 64 of 200");
        given(&spares, 32);
        assert_eq!(spares.surplus().map(|(memory, _)| memory), Some(at(3)), "120, 64 and 32 are much more");
        assert_eq!(spares.surplus(), None);
        // Where much was in use, places are what there is too little of.
        (0..PLACES).for_each(|_| given(&spares, 32));
        given(&spares, 65_536);
        assert_eq!(spares.surplus(), None, "80 beside all that ever was in use are little");
        (0..2).for_each(|_| assert!(!spares.take(large(40)).is_null()));
        for address in 1..PLACES {
            assert!(spares.keep(at(address), large(32)));
            assert_eq!(spares.surplus(), None, "{address}");
        }
        assert!(spares.keep(at(99), large(32)), "the last place");
        assert_eq!(spares.surplus().map(|(memory, given)| (memory, given.size())), Some((at(1), 32 * MIB)));
        assert_eq!(spares.surplus(), None);
    }
}
