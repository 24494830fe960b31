//! The queue between the thread that reads standard input and the loop that takes lines: bounded in lines and in bytes.

use crate::quarantine::Reason;
use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// A line that was read.
#[derive(Debug)]
pub(super) struct Item {
    /// Its number in the input, from 1.
    pub(super) line: u64,
    pub(super) content: Content,
}

/// What a line turned out to be.
#[derive(Debug)]
pub(super) enum Content {
    /// A record of the source of this number.
    Record { source: usize, record: Vec<u8> },
    /// Nothing but white space.
    Blank,
    /// No record, and why.
    Refused { reason: Reason, why: String, raw: String },
}

impl Content {
    /// Bytes it counts for.
    pub(super) fn bytes(&self) -> usize {
        match self {
            Self::Record { record, .. } => record.len(),
            Self::Blank => 0,
            Self::Refused { why, raw, .. } => why.len() + raw.len(),
        }
    }
}

/// How much a queue holds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Held {
    /// Lines that wait now.
    pub lines: usize,
    /// Their bytes.
    pub bytes: usize,
    /// Most lines that ever waited.
    pub most_lines: usize,
    /// Most bytes that ever waited.
    pub most_bytes: usize,
}

#[derive(Debug, Default)]
pub(super) struct State {
    pub(super) items: VecDeque<Item>,
    pub(super) held: Held,
    /// No more comes.
    pub(super) ended: bool,
    /// Why it ended, where that was no end of the input.
    pub(super) broken: Option<String>,
    /// Nobody takes any more.
    closed: bool,
}

#[derive(Debug)]
pub(super) struct Queue {
    max_lines: usize,
    max_bytes: usize,
    state: Mutex<State>,
    some: Condvar,
    room: Condvar,
}

impl Queue {
    pub(super) fn new(max_lines: usize, max_bytes: usize) -> Self {
        let (state, some, room) = (Mutex::default(), Condvar::new(), Condvar::new());
        Self { max_lines: max_lines.max(1), max_bytes, state, some, room }
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds lines in order, waiting for room; false when nobody takes any more. A single line beyond the bound of bytes passes
    /// once it is alone.
    pub(super) fn push(&self, items: impl Iterator<Item = Item>) -> bool {
        let mut state = self.lock();
        for item in items {
            let bytes = item.content.bytes();
            while !state.closed
                && (state.held.lines >= self.max_lines
                    || (state.held.lines > 0 && state.held.bytes + bytes > self.max_bytes))
            {
                self.some.notify_one();
                state = self.room.wait(state).unwrap_or_else(PoisonError::into_inner);
            }
            if state.closed {
                return false;
            }
            state.items.push_back(item);
            let held = &mut state.held;
            (held.lines, held.bytes) = (held.lines + 1, held.bytes + bytes);
            (held.most_lines, held.most_bytes) = (held.most_lines.max(held.lines), held.most_bytes.max(held.bytes));
        }
        self.some.notify_one();
        true
    }

    /// Takes the next line of a locked queue.
    pub(super) fn pop(&self, state: &mut State) -> Option<Item> {
        let item = state.items.pop_front()?;
        state.held.lines -= 1;
        state.held.bytes -= item.content.bytes();
        Some(item)
    }

    /// Tells the reader that there is room again.
    pub(super) fn has_room(&self) {
        self.room.notify_one();
    }

    /// Waits for lines or the end, at most so long.
    pub(super) fn wait<'a>(&self, state: MutexGuard<'a, State>, at_most: Duration) -> MutexGuard<'a, State> {
        self.some.wait_timeout(state, at_most).unwrap_or_else(PoisonError::into_inner).0
    }

    /// No more comes.
    pub(super) fn end(&self, broken: Option<String>) {
        let mut state = self.lock();
        state.ended = true;
        state.broken = state.broken.take().or(broken);
        self.some.notify_all();
    }

    /// Nobody takes any more: lets go of what waits, and of the reader.
    pub(super) fn close(&self) {
        let mut state = self.lock();
        state.closed = true;
        state.items.clear();
        self.room.notify_all();
    }
}
