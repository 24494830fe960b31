//! State as bytes: little-endian columns in sections, which are written and read side by side.
//!
//! `magic (8) · version u32 · hash of whose it is (32) · sections u64 · length u64 and BLAKE3 (32) of each · BLAKE3 of all of
//! that (32) · the sections`. What a section holds is up to the owner, who puts columns into a [`Section`] and takes them out
//! of a [`Reader`] in the same order: every column is its length (u64) and its values.

use crate::error::{Error, Result};
use rayon::prelude::*;

const MAGIC: &[u8; 8] = b"ordstate";
/// Goes up with every change of the layout or of a meaning.
const VERSION: u32 = 2;
const HASH: usize = 32;
/// A section in the header: its length and its hash.
const ENTRY: usize = 8 + HASH;

fn refused(why: &str, hint: &str) -> Error {
    Error::InputRefused { message: format!("the saved state {why}"), hint: Some(hint.to_owned()) }
}

const REBUILD: &str = "move the state away and run over the whole history: it is rebuilt from the accepted tables";

/// Bytes that cannot have been written for what they are read as.
pub fn damaged() -> Error {
    refused("is damaged or cut short", REBUILD)
}

/// A value of fixed width in a column.
pub trait Cell: Sized + Send {
    /// Its bytes.
    const WIDTH: usize;
    /// Writes it into as many bytes.
    fn put(&self, to: &mut [u8]);
    /// What [`Self::put`] wrote.
    fn get(from: &[u8]) -> Self;
}

macro_rules! cells {
    ($($number:ty),*) => {$(
        impl Cell for $number {
            const WIDTH: usize = size_of::<$number>();
            fn put(&self, to: &mut [u8]) {
                to.copy_from_slice(&self.to_le_bytes());
            }
            fn get(from: &[u8]) -> Self {
                let mut bytes = [0; size_of::<$number>()];
                bytes.copy_from_slice(from);
                Self::from_le_bytes(bytes)
            }
        }
    )*};
}
cells!(u8, i8, u32, i32, u64, i64, i128, u128);

impl Cell for bool {
    const WIDTH: usize = 1;
    fn put(&self, to: &mut [u8]) {
        u8::from(*self).put(to);
    }
    fn get(from: &[u8]) -> Self {
        u8::get(from) != 0
    }
}

/// A part of a state in the making.
#[derive(Debug, Clone, Default)]
pub struct Section {
    bytes: Vec<u8>,
}

impl Section {
    /// Appends a value.
    pub fn one(&mut self, cell: impl Cell) {
        self.fill(std::iter::once(cell));
    }

    /// Appends a column.
    pub fn column<C: Cell>(&mut self, cells: impl ExactSizeIterator<Item = C>) {
        self.one(cells.len() as u64);
        self.fill(cells);
    }

    /// Appends a column of bytes.
    pub fn bytes(&mut self, bytes: &[u8]) {
        self.one(bytes.len() as u64);
        self.bytes.extend_from_slice(bytes);
    }

    /// Appends texts.
    pub fn texts<'t>(&mut self, texts: impl ExactSizeIterator<Item = &'t str>) {
        self.one(texts.len() as u64);
        texts.for_each(|text| self.bytes(text.as_bytes()));
    }

    fn fill<C: Cell>(&mut self, cells: impl ExactSizeIterator<Item = C>) {
        let start = self.bytes.len();
        self.bytes.resize(start + cells.len() * C::WIDTH, 0);
        self.bytes[start..].chunks_exact_mut(C::WIDTH).zip(cells).for_each(|(to, cell)| cell.put(to));
    }

    /// Its bytes so far.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }
}

/// The header over some sections, which come right after it. `whose` is a hash of everything that they depend on, and
/// [`open`] of another refuses.
pub fn header(whose: &[u8; HASH], sections: &[Section]) -> Vec<u8> {
    let mut header = Section { bytes: MAGIC.to_vec() };
    header.one(VERSION);
    header.bytes.extend_from_slice(whose);
    header.one(sections.len() as u64);
    let hashes: Vec<blake3::Hash> = sections.par_iter().map(|section| blake3::hash(&section.bytes)).collect();
    for (section, hash) in sections.iter().zip(hashes) {
        header.one(section.bytes.len() as u64);
        header.bytes.extend_from_slice(hash.as_bytes());
    }
    let hash = blake3::hash(&header.bytes);
    header.bytes.extend_from_slice(hash.as_bytes());
    header.bytes
}

/// Sections and the [`header`] over them in one piece.
pub fn whole(whose: &[u8; HASH], sections: &[Section]) -> Vec<u8> {
    let mut whole = header(whose, sections);
    sections.iter().for_each(|section| whole.extend_from_slice(&section.bytes));
    whole
}

/// The sections of what [`whole`] gave for the same `whose`, checked.
///
/// # Errors
/// [`Error::InputRefused`] for bytes that are no state, are damaged, are of another version or somebody else's, each with what
/// to do.
pub fn open<'a>(bytes: &'a [u8], whose: &[u8; HASH]) -> Result<Vec<Reader<'a>>> {
    let mut head = Reader { rest: bytes };
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
    let hashed = &bytes[..bytes.len() - head.rest.len()];
    if blake3::hash(hashed).as_bytes() != head.take(HASH)? {
        return Err(damaged());
    }
    if owner != whose {
        return Err(refused("was made by other settings or another version of the program", REBUILD));
    }
    let mut sections = Vec::with_capacity(count);
    for entry in entries.chunks_exact(ENTRY) {
        let (length, hash) = entry.split_at(8);
        let length = usize::try_from(u64::get(length)).map_err(|_| damaged())?;
        sections.push((head.take(length)?, hash));
    }
    head.finish()?;
    match sections.par_iter().all(|(section, hash)| blake3::hash(section).as_bytes() == *hash) {
        true => Ok(sections.into_iter().map(|(rest, _)| Reader { rest }).collect()),
        false => Err(damaged()),
    }
}

/// What of a section has not been read yet.
#[derive(Debug, Clone)]
pub struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    /// A value that [`Section::one`] wrote.
    ///
    /// # Errors
    /// [`Error::InputRefused`] if there is none; so of the others.
    pub fn one<C: Cell>(&mut self) -> Result<C> {
        self.take(C::WIDTH).map(C::get)
    }

    /// A column that [`Section::column`] wrote.
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
        let length = self.length()?.checked_mul(C::WIDTH).ok_or_else(damaged)?;
        Ok(self.take(length)?.chunks_exact(C::WIDTH).map(C::get))
    }

    /// What [`Section::bytes`] wrote.
    ///
    /// # Errors
    /// As [`Self::one`].
    pub fn bytes(&mut self) -> Result<&'a [u8]> {
        let length = self.length()?;
        self.take(length)
    }

    /// What [`Section::texts`] wrote.
    ///
    /// # Errors
    /// As [`Self::one`].
    pub fn texts(&mut self) -> Result<Vec<String>> {
        let count = self.length()?;
        let one = |_| Ok(String::from_utf8_lossy(self.bytes()?).into_owned());
        (0..count).map(one).collect()
    }

    /// Makes sure that everything was read.
    ///
    /// # Errors
    /// [`Error::InputRefused`] if something is left: the section is not what was expected.
    pub fn finish(self) -> Result<()> {
        if self.rest.is_empty() { Ok(()) } else { Err(damaged()) }
    }

    fn length(&mut self) -> Result<usize> {
        usize::try_from(self.one::<u64>()?).map_err(|_| damaged())
    }

    fn take(&mut self, bytes: usize) -> Result<&'a [u8]> {
        let (taken, rest) = self.rest.split_at_checked(bytes).ok_or_else(damaged)?;
        self.rest = rest;
        Ok(taken)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OURS: [u8; HASH] = [7; HASH];

    fn sections() -> Vec<Section> {
        let (mut numbers, mut texts) = (Section::default(), Section::default());
        numbers.one(-5_i64);
        numbers.column([1_u32, u32::MAX].into_iter());
        numbers.column([i128::MIN, 3].into_iter());
        numbers.column([true, false, true].into_iter());
        texts.texts(["", "an order", "订单"].into_iter());
        texts.bytes(&[1, 2]);
        vec![numbers, Section::default(), texts]
    }

    #[test]
    fn columns_come_back_as_they_were() {
        let bytes = whole(&OURS, &sections());
        let mut read = open(&bytes, &OURS).unwrap();
        assert_eq!(read.len(), 3);
        assert_eq!(read[0].one::<i64>().unwrap(), -5);
        assert_eq!(read[0].column::<u32>().unwrap(), [1, u32::MAX]);
        assert_eq!(read[0].column::<i128>().unwrap(), [i128::MIN, 3]);
        assert!(read[0].clone().finish().is_err(), "a column is left");
        assert_eq!(read[0].column::<bool>().unwrap(), [true, false, true]);
        assert!(read[0].one::<u8>().is_err(), "nothing is left");
        assert_eq!(read[2].texts().unwrap(), ["", "an order", "订单"]);
        assert_eq!(read[2].bytes().unwrap(), [1, 2]);
        assert!(read.into_iter().all(|section| section.finish().is_ok()));
    }

    #[test]
    fn whatever_is_not_what_was_written_is_refused_and_says_so() {
        let bytes = whole(&OURS, &sections());
        let says = |bytes: &[u8], whose: &[u8; HASH]| {
            let error = open(bytes, whose).err().unwrap();
            assert!(error.hint().is_some());
            error.to_string()
        };
        for at in 12..bytes.len() {
            let mut flipped = bytes.clone();
            flipped[at] ^= 1;
            assert!(says(&flipped, &OURS).contains("damaged or cut short"), "byte {at}");
        }
        for length in 8..bytes.len() {
            assert!(says(&bytes[..length], &OURS).contains("damaged or cut short"), "{length} bytes");
        }
        let mut newer = bytes.clone();
        newer[8] = 9;
        assert!(says(&newer, &OURS).contains("has version 9, this program reads version 2"));
        assert!(says(b"PAR1", &OURS).contains("no state of this program"));
        assert!(says(&bytes, &[8; HASH]).contains("other settings"));
    }
}
