//! Columns that are shared and not copied: between who uses them and a checkpoint that is being written. Each knows the file that
//! has it.

use super::Cell;
use std::ops::{Deref, Range};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// Where a column was saved: a file, and the place among its columns.
pub(super) type Place = (String, u64);

/// A column that is not changed while others look at it: clones share it.
#[derive(Debug, Clone)]
pub struct Frozen<T> {
    cells: Arc<Vec<T>>,
    /// Where it was saved last; shared by clones, so that what a checkpoint writes is known to who goes on with it.
    saved: Arc<Saved>,
}

/// Where a column was saved last.
#[derive(Debug, Default)]
struct Saved {
    /// Whether it was: columns are edited row by row, and mostly nobody has saved them.
    is: AtomicBool,
    place: Mutex<Option<Place>>,
}

impl<T: bytemuck::Pod> Frozen<T> {
    /// The column to be changed: a copy, where others look at it.
    pub fn edit(&mut self) -> &mut Vec<T> {
        // Whoever writes it down writes it as it was.
        if Arc::strong_count(&self.saved) > 1 || self.saved.is.load(Ordering::Acquire) {
            self.saved = Arc::default();
        }
        Arc::make_mut(&mut self.cells)
    }

    /// Where it was saved last.
    pub(super) fn place(&self) -> Option<Place> {
        self.saved.place.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Says where it was saved now.
    pub(super) fn is_saved(&self, place: Place) {
        *self.saved.place.lock().unwrap_or_else(PoisonError::into_inner) = Some(place);
        self.saved.is.store(true, Ordering::Release);
    }
}

impl<T: bytemuck::Pod> Deref for Frozen<T> {
    type Target = [T];
    fn deref(&self) -> &[T] {
        &self.cells
    }
}

impl<T> From<Arc<Vec<T>>> for Frozen<T> {
    fn from(cells: Arc<Vec<T>>) -> Self {
        Self { cells, saved: Arc::default() }
    }
}

impl<T> From<Vec<T>> for Frozen<T> {
    fn from(own: Vec<T>) -> Self {
        Self::from(Arc::new(own))
    }
}

impl<T> Default for Frozen<T> {
    fn default() -> Self {
        Self::from(Vec::new())
    }
}

impl<T: bytemuck::Pod + PartialEq> PartialEq for Frozen<T> {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}

impl<T: bytemuck::Pod + Eq> Eq for Frozen<T> {}

/// Small pieces of a [`Grown`] at most, and how many times the next is in the one before it at least: a row is moved once for
/// every level alone.
const MOST: usize = 8;
const TIMES: usize = 4;

/// Bytes from which on a piece stays as it is: whoever saves waits for what is moved, and has to write it again.
const LARGE_IN_BYTES: usize = 8 << 20;

/// Rows that nothing but further rows are added to: what was saved of them need not be saved again.
#[derive(Debug, Clone)]
pub struct Grown<T> {
    /// Rows that were saved, each piece with the number of its first row.
    pieces: Vec<(usize, Frozen<T>)>,
    /// How many these are: every look at a row asks.
    frozen: usize,
    /// Those after them.
    rest: Vec<T>,
}

impl<T> From<Vec<T>> for Grown<T> {
    fn from(rest: Vec<T>) -> Self {
        Self { pieces: Vec::new(), frozen: 0, rest }
    }
}

impl<T> Default for Grown<T> {
    fn default() -> Self {
        Self::from(Vec::new())
    }
}

impl<T: bytemuck::Pod + Cell> Grown<T> {
    /// How many rows there are.
    pub fn len(&self) -> usize {
        self.frozen + self.rest.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// A row.
    pub fn get(&self, at: usize) -> Option<T> {
        match at.checked_sub(self.frozen) {
            Some(at) => self.rest.get(at).copied(),
            None => {
                let (first, piece) = self.piece_of(at)?;
                piece.get(at - first).copied()
            }
        }
    }

    /// The piece that has a row, with the number of its first one.
    fn piece_of(&self, at: usize) -> Option<&(usize, Frozen<T>)> {
        self.pieces[..self.pieces.partition_point(|(first, _)| *first <= at)].last()
    }

    /// Rows that were added in one call, such as the bytes of a key.
    pub fn slice(&self, rows: Range<usize>) -> Option<&[T]> {
        let frozen = self.frozen;
        if rows.start >= frozen {
            return self.rest.get(rows.start - frozen..rows.end.checked_sub(frozen)?);
        }
        let (first, piece) = self.piece_of(rows.start)?;
        piece.get(rows.start - first..rows.end.checked_sub(*first)?)
    }

    /// Adds rows that are asked for together.
    pub fn extend(&mut self, rows: &[T]) {
        self.rest.extend_from_slice(rows);
    }

    /// Every row.
    pub fn iter(&self) -> impl Iterator<Item = T> {
        self.pieces.iter().flat_map(|(_, piece)| piece.iter()).chain(&self.rest).copied()
    }

    /// Adds a row.
    pub fn push(&mut self, row: T) {
        self.rest.push(row);
    }

    /// Makes room for so many rows more.
    pub fn reserve(&mut self, rows: usize) {
        self.rest.reserve(rows);
    }

    /// All rows in few pieces that can be shared.
    pub(super) fn freeze(&mut self) -> impl ExactSizeIterator<Item = &Frozen<T>> {
        if !self.rest.is_empty() {
            let first = self.frozen;
            self.frozen += self.rest.len();
            self.pieces.push((first, std::mem::take(&mut self.rest).into()));
        }
        let large = self.pieces.iter().take_while(|(_, piece)| size_of_val(&piece[..]) >= LARGE_IN_BYTES).count();
        while let [.., (_, before), (_, last)] = &self.pieces[large..]
            && (before.len() < TIMES * last.len() || self.pieces.len() - large > MOST)
        {
            let (Some((_, last)), Some((first, before))) = (self.pieces.pop(), self.pieces.pop()) else { break };
            self.pieces.push((first, [&before[..], &last[..]].concat().into()));
        }
        self.pieces.iter().map(|(_, piece)| piece)
    }

    pub(super) fn of(pieces: Vec<Frozen<T>>) -> Self {
        let mut frozen = 0;
        let place = |piece: Frozen<T>| {
            let first = frozen;
            frozen += piece.len();
            (first, piece)
        };
        let pieces = pieces.into_iter().map(place).collect();
        Self { pieces, frozen, rest: Vec::new() }
    }
}
