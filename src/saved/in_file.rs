//! Columns in a file of their own: each is read when somebody asks for it.

use super::reading::{Reader, entries};
use super::{Cell, ENTRY, Frozen, HASH, HERE, MAGIC, Sum, Summing, damaged, gap_at};
use crate::error::{Error, Result};
use crate::memory::Reading;
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};

/// What comes before the entries of a header: its magic, the version, whose it is, and how many entries there are.
const BEFORE: usize = MAGIC.len() + size_of::<u32>() + HASH + size_of::<u64>();

/// What comes before the cells of a column: that they follow, and how many they are.
const FOLLOW: usize = 2 * size_of::<u64>();

/// A file of columns.
#[derive(Debug)]
pub(super) struct ColumnFile {
    name: String,
    path: PathBuf,
    file: Reading,
    /// Where each column is, with the sum that it should have.
    columns: Vec<(Range<u64>, Sum)>,
}

impl ColumnFile {
    /// Opens it; its header alone is read and checked.
    ///
    /// # Errors
    /// As [`super::open`], and [`Error::Environment`] when it cannot be read.
    pub(super) fn open(name: &str, path: &Path, whose: &[u8; HASH]) -> Result<Self> {
        let file = Reading::open(path).map_err(Error::io("read", path))?;
        let (head, length) = header(&file).map_err(Error::io("read", path))?;
        let mut reader = Reader::of(&head);
        let mut columns = Vec::new();
        let entries = entries(&mut reader, whose)?;
        let mut at = reader.at() as u64;
        for (length, sum) in entries {
            let end = at.checked_add(length as u64).ok_or_else(damaged)?;
            columns.push((at..end, sum.try_into().map_err(|_| damaged())?));
            at = end;
        }
        match at == length {
            true => Ok(Self { name: name.to_owned(), path: path.to_owned(), file, columns }),
            false => Err(damaged()),
        }
    }

    /// One of its columns, checked.
    ///
    /// # Errors
    /// [`Error::InputRefused`] if it is damaged or there is none, [`Error::Environment`] when it cannot be read.
    pub(super) fn column<T: bytemuck::Pod + Cell>(&self, nth: u64) -> Result<Frozen<T>> {
        let column = usize::try_from(nth).ok().and_then(|nth| self.columns.get(nth));
        let (range, sum) = column.ok_or_else(damaged)?;
        let length = usize::try_from(range.end - range.start).map_err(|_| damaged())?;
        let most = length.checked_sub(FOLLOW).ok_or_else(damaged)?;
        let mut cells = vec![T::zeroed(); most / T::WIDTH];
        let (mut first, mut rest) = ([0; FOLLOW], bytemuck::cast_slice_mut::<T, u8>(&mut cells));
        let mut to_fill = &mut first[..];
        let mut summing = Summing::default();
        let mut take = |mut piece: &[u8]| {
            summing.add(piece);
            while !piece.is_empty() {
                if to_fill.is_empty() {
                    to_fill = std::mem::take(&mut rest);
                }
                let (now, later) = piece.split_at(piece.len().min(to_fill.len()));
                let (to, left) = std::mem::take(&mut to_fill).split_at_mut(now.len());
                to.copy_from_slice(now);
                (to_fill, piece) = (left, if now.is_empty() { &[] } else { later });
            }
        };
        self.file.read(range.clone(), &mut take).map_err(Error::io("read", &self.path))?;
        let mut first = Reader::of(&first);
        let (here, rows): (u64, u64) = (first.one()?, first.one()?);
        let rows = usize::try_from(rows).map_err(|_| damaged())?;
        // What is left only fills it up.
        let fits = rows.checked_mul(T::WIDTH).is_some_and(|bytes| bytes + gap_at(bytes) == most);
        if summing.sum() != *sum || here != HERE || !fits {
            return Err(damaged());
        }
        cells.truncate(rows);
        let column = Frozen::from(cells);
        column.is_saved((self.name.clone(), nth));
        Ok(column)
    }
}

/// The header of a file, or more than it, and the length of the file.
fn header(file: &Reading) -> io::Result<(Vec<u8>, u64)> {
    let length = file.length()?;
    let mut head = Vec::new();
    let read = |head: &mut Vec<u8>, bytes: usize| {
        let missing = head.len() as u64..length.min(bytes as u64);
        file.read(missing, &mut |piece| head.extend_from_slice(piece))
    };
    read(&mut head, BEFORE)?;
    let Some(count) = head.last_chunk::<{ size_of::<u64>() }>().filter(|_| head.starts_with(MAGIC)) else {
        return Ok((head, length));
    };
    let entries = usize::try_from(u64::from_le_bytes(*count)).ok().and_then(|count| count.checked_mul(ENTRY));
    let end = entries.and_then(|entries| entries.checked_add(BEFORE + HASH)).unwrap_or(usize::MAX);
    read(&mut head, end.saturating_add(gap_at(end)))?;
    Ok((head, length))
}
