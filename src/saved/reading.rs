//! What was written: checked, and taken out column by column.

use super::in_file::ColumnFile;
use super::{Cell, ENTRY, Frozen, Grown, HASH, HERE, MAGIC, Paged, REBUILD, VERSION, damaged, gap_at, is_sum, refused};
use crate::error::{Error, Result};
use rayon::prelude::*;
use std::path::Path;
use std::sync::Arc;

/// The sections of what [`super::whole`] gave for the same `whose`, checked.
///
/// # Errors
/// [`Error::InputRefused`] for bytes that are no state, are damaged, are of another version or somebody else's, each with what
/// to do.
pub fn open<'a>(bytes: &'a [u8], whose: &[u8; HASH]) -> Result<Vec<Reader<'a>>> {
    let sections = unchecked(bytes, whose)?;
    match sections.par_iter().all(|(section, sum)| is_sum(section, sum)) {
        true => Ok(sections.into_iter().map(|(bytes, _)| Reader::of(bytes)).collect()),
        false => Err(damaged()),
    }
}

/// The sections that a header names, with the sum that each should have: the header alone is checked.
fn unchecked<'a>(bytes: &'a [u8], whose: &[u8; HASH]) -> Result<Vec<(&'a [u8], &'a [u8])>> {
    let mut head = Reader::of(bytes);
    let entries = entries(&mut head, whose)?;
    let mut sections = Vec::with_capacity(entries.len());
    for (length, sum) in entries {
        sections.push((head.take(length)?, sum));
    }
    head.finish()?;
    Ok(sections)
}

/// The length of each section, and the sum that it should have, of a header that is checked; the first section follows.
pub(super) fn entries<'a>(head: &mut Reader<'a>, whose: &[u8; HASH]) -> Result<Vec<(usize, &'a [u8])>> {
    if head.take(MAGIC.len()).ok() != Some(MAGIC.as_slice()) {
        return Err(refused("is no state of this program", "is it another file of that name?"));
    }
    let version: u32 = head.one()?;
    if version != VERSION {
        return Err(refused(&format!("has version {version}, this program reads version {VERSION}"), REBUILD));
    }
    let (owner, count) = (head.take(HASH)?, head.one::<u64>()?);
    let count = usize::try_from(count).map_err(|_| damaged())?;
    let entries = head.take(count.checked_mul(ENTRY).ok_or_else(damaged)?)?;
    let hashed = &head.bytes[..head.at];
    if blake3::hash(hashed).as_bytes() != head.take(HASH)? {
        return Err(damaged());
    }
    if owner != whose {
        return Err(refused("was made by other settings or another version of the program", REBUILD));
    }
    head.align()?;
    let split = |entry: &'a [u8]| {
        let (length, sum) = entry.split_at(8);
        usize::try_from(u64::get(length)).map(|length| (length, sum)).map_err(|_| damaged())
    };
    entries.chunks_exact(ENTRY).map(split).collect()
}

/// A state, and the files of columns that it points to.
pub struct Files<'p> {
    state: Vec<u8>,
    columns: Vec<(&'p str, &'p Path)>,
}

impl<'p> Files<'p> {
    /// Reads a state. `columns` are the files that [`super::Columns::files`] named, by these names.
    ///
    /// # Errors
    /// [`Error::Environment`] when it cannot be read.
    pub fn read(state: &Path, columns: Vec<(&'p str, &'p Path)>) -> Result<Self> {
        Ok(Self { state: std::fs::read(state).map_err(Error::io("read", state))?, columns })
    }

    /// The sections of the state. Frozen columns are read, and checked, one by one where a section points to them: much of a
    /// file may be of no use any more.
    ///
    /// # Errors
    /// As [`open`], and [`Error::Environment`] when a file of columns cannot be read.
    pub fn open(&self, whose: &[u8; HASH]) -> Result<Vec<Reader<'_>>> {
        let mut sections = open(&self.state, whose)?;
        if sections.is_empty() {
            return Err(damaged());
        }
        let open = |name: &String| {
            let (_, path) = self.columns.iter().find(|(known, _)| known == name).ok_or_else(damaged)?;
            ColumnFile::open(name, path, whose)
        };
        let columns = sections.remove(0).texts()?.iter().map(open).collect::<Result<Vec<_>>>()?;
        let columns = Arc::new(columns);
        sections.iter_mut().for_each(|section| section.columns = Arc::clone(&columns));
        Ok(sections)
    }
}

/// What of a section has not been read yet.
#[derive(Debug, Clone)]
pub struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
    columns: Arc<Vec<ColumnFile>>,
}

impl<'a> Reader<'a> {
    pub(super) fn of(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0, columns: Arc::default() }
    }

    /// How many bytes were read.
    pub(super) fn at(&self) -> usize {
        self.at
    }

    /// A value that [`super::Section::one`] wrote.
    ///
    /// # Errors
    /// [`Error::InputRefused`] if there is none; so of the others.
    pub fn one<C: Cell>(&mut self) -> Result<C> {
        self.take(C::WIDTH).map(C::get)
    }

    /// A column that [`super::Section::column`] wrote.
    ///
    /// # Errors
    /// As [`Self::one`].
    pub fn column<C: Cell>(&mut self) -> Result<Vec<C>> {
        Ok(self.cells()?.collect())
    }

    /// As [`Self::column`], cell by cell.
    ///
    /// # Errors
    /// As [`Self::one`].
    pub fn cells<C: Cell>(&mut self) -> Result<impl ExactSizeIterator<Item = C> + use<'a, C>> {
        Ok(self.begin_column(C::WIDTH)?.chunks_exact(C::WIDTH).map(C::get))
    }

    /// A column that [`super::Section::frozen`] wrote.
    ///
    /// # Errors
    /// As [`Self::one`], and [`Error::Environment`] when the file that has it cannot be read.
    pub fn frozen<T: bytemuck::Pod + Cell>(&mut self) -> Result<Frozen<T>> {
        self.align()?;
        let (file, nth): (u64, u64) = (self.one()?, self.one()?);
        if file == HERE {
            let rows = usize::try_from(nth).map_err(|_| damaged())?;
            let bytes = self.take(rows.checked_mul(T::WIDTH).ok_or_else(damaged)?)?;
            self.align()?;
            return Ok(bytes.chunks_exact(T::WIDTH).map(T::get).collect::<Vec<_>>().into());
        }
        let file = usize::try_from(file).ok().and_then(|file| self.columns.get(file)).ok_or_else(damaged)?;
        file.column(nth)
    }

    /// Rows that [`super::Section::grown`] wrote.
    ///
    /// # Errors
    /// As [`Self::one`].
    pub fn grown<T: bytemuck::Pod + Cell>(&mut self) -> Result<Grown<T>> {
        let count = self.one::<u64>()?;
        Ok(Grown::of((0..count).map(|_| self.frozen()).collect::<Result<_>>()?))
    }

    /// Rows that [`super::Section::paged`] wrote.
    ///
    /// # Errors
    /// As [`Self::one`].
    pub fn paged<T: bytemuck::Pod + Cell>(&mut self) -> Result<Paged<T>> {
        let count = self.one::<u64>()?;
        Paged::of((0..count).map(|_| self.frozen()).collect::<Result<_>>()?).ok_or_else(damaged)
    }

    /// What [`super::Section::bytes`] wrote.
    ///
    /// # Errors
    /// As [`Self::one`].
    pub fn bytes(&mut self) -> Result<&'a [u8]> {
        self.begin_column(1)
    }

    /// What [`super::Section::texts`] wrote.
    ///
    /// # Errors
    /// As [`Self::one`].
    pub fn texts(&mut self) -> Result<Vec<String>> {
        let count = self.one::<u64>()?;
        (0..count).map(|_| Ok(String::from_utf8_lossy(self.bytes()?).into_owned())).collect()
    }

    /// Makes sure that everything was read.
    ///
    /// # Errors
    /// [`Error::InputRefused`] if something is left: the section is not what was expected.
    pub fn finish(mut self) -> Result<()> {
        if self.at < self.bytes.len() {
            self.align()?;
        }
        if self.at == self.bytes.len() { Ok(()) } else { Err(damaged()) }
    }

    fn begin_column(&mut self, width: usize) -> Result<&'a [u8]> {
        let length = usize::try_from(self.one::<u64>()?).map_err(|_| damaged())?;
        self.align()?;
        self.take(length.checked_mul(width).ok_or_else(damaged)?)
    }

    fn align(&mut self) -> Result<()> {
        self.take(gap_at(self.at)).map(drop)
    }

    fn take(&mut self, bytes: usize) -> Result<&'a [u8]> {
        let end = self.at.checked_add(bytes).ok_or_else(damaged)?;
        let taken = self.bytes.get(self.at..end).ok_or_else(damaged)?;
        self.at = end;
        Ok(taken)
    }
}
