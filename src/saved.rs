//! State as bytes: little-endian columns in sections, which are written and read side by side.
//!
//! `magic (8) · version u32 · hash of whose it is (32) · sections u64 · length u64 and BLAKE3 (32) of each · BLAKE3 of all of
//! that (32) · the sections`. What a section holds is up to the owner, who puts columns into a [`Section`] and takes them out
//! of a [`Reader`] in the same order: every column is its length (u64) and its values. Columns begin at multiples of 16 bytes,
//! so that those of a mapped file are read where they are: see [`Frozen`].

use crate::error::{Error, Result};
use crate::memory::Mapped;
use rayon::prelude::*;
use std::ops::{Deref, Range};
use std::sync::Arc;

const MAGIC: &[u8; 8] = b"ordstate";
/// Goes up with every change of the layout or of a meaning.
const VERSION: u32 = 2;
const HASH: usize = 32;
/// Columns begin at multiples of this.
const ALIGNED: usize = 16;
/// Columns of fewer bytes are copied: a page or two need no sharing.
const SHARED_IN_BYTES: usize = 4_096;
/// Columns of as many bytes have a block of their own.
const LONG_IN_BYTES: usize = 1 << 20;
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

/// A column that is not changed while others look at it: clones share it, and one that was saved lies in the file.
#[derive(Debug, Clone)]
pub struct Frozen<T> {
    own: Arc<Vec<T>>,
    /// Where it is, as long as it is in a file.
    mapped: Option<(Mapped, Range<usize>)>,
}

impl<T: bytemuck::Pod> Frozen<T> {
    /// The column to be changed: a copy, where others look at it.
    pub fn edit(&mut self) -> &mut Vec<T> {
        if self.mapped.is_some() {
            *self = Self::from(self.to_vec());
        }
        Arc::make_mut(&mut self.own)
    }
}

impl<T: bytemuck::Pod> Deref for Frozen<T> {
    type Target = [T];
    fn deref(&self) -> &[T] {
        match &self.mapped {
            None => &self.own,
            // That these bytes are such a column was seen when it was made.
            Some((file, range)) => bytemuck::try_cast_slice(&file[range.clone()]).unwrap_or_default(),
        }
    }
}

impl<T> From<Arc<Vec<T>>> for Frozen<T> {
    fn from(own: Arc<Vec<T>>) -> Self {
        Self { own, mapped: None }
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

/// A frozen column as its bytes.
struct AsBytes<T>(Frozen<T>);

impl<T: bytemuck::Pod> AsRef<[u8]> for AsBytes<T> {
    fn as_ref(&self) -> &[u8] {
        bytemuck::cast_slice(&self.0)
    }
}

/// Bytes that others look at too.
type Shared = Arc<dyn AsRef<[u8]> + Send + Sync>;

/// A part of a state in the making.
#[derive(Clone, Default)]
pub struct Section {
    /// Bytes of its own, each followed by a column that is shared, and those after the last of them.
    parts: Vec<(Vec<u8>, Shared)>,
    rest: Vec<u8>,
    length: usize,
}

impl Section {
    /// Appends a value.
    pub fn one(&mut self, cell: impl Cell) {
        self.fill(std::iter::once(cell));
    }

    /// Appends a column.
    pub fn column<C: Cell>(&mut self, cells: impl ExactSizeIterator<Item = C>) {
        self.begin_column(cells.len());
        self.fill(cells);
    }

    /// Appends a column that is shared and not copied.
    pub fn frozen<T: bytemuck::Pod + Cell + Sync>(&mut self, column: &Frozen<T>) {
        // Numbers are saved with their lowest byte first.
        if cfg!(target_endian = "big") || column.len() * T::WIDTH < SHARED_IN_BYTES {
            return self.column(column.iter().copied());
        }
        self.begin_column(column.len());
        self.length += column.len() * T::WIDTH;
        self.parts.push((std::mem::take(&mut self.rest), Arc::new(AsBytes(column.clone()))));
    }

    /// Appends a column of bytes.
    pub fn bytes(&mut self, bytes: &[u8]) {
        self.column(bytes.iter().copied());
    }

    /// Appends texts.
    pub fn texts<'t>(&mut self, texts: impl ExactSizeIterator<Item = &'t str>) {
        self.one(texts.len() as u64);
        texts.for_each(|text| self.bytes(text.as_bytes()));
    }

    fn begin_column(&mut self, length: usize) {
        self.one(length as u64);
        self.align();
    }

    fn align(&mut self) {
        let gap = gap_at(self.length);
        self.fill(std::iter::repeat_n(0_u8, gap));
    }

    fn fill<C: Cell>(&mut self, cells: impl ExactSizeIterator<Item = C>) {
        let length = cells.len() * C::WIDTH;
        self.length += length;
        let put = |to: &mut [u8]| to.chunks_exact_mut(C::WIDTH).zip(cells).for_each(|(to, cell)| cell.put(to));
        if length < LONG_IN_BYTES {
            let start = self.rest.len();
            self.rest.resize(start + length, 0);
            put(&mut self.rest[start..]);
            return;
        }
        // In a block of its own, so that nothing is moved when the next comes.
        let mut bytes = vec![0; length];
        put(&mut bytes);
        self.parts.push((std::mem::take(&mut self.rest), Arc::new(bytes)));
    }

    /// Its bytes, part by part.
    pub fn parts(&self) -> impl Iterator<Item = &[u8]> {
        let shared = self.parts.iter().flat_map(|(own, shared)| [own.as_slice(), (**shared).as_ref()]);
        shared.chain([self.rest.as_slice()])
    }

    /// How many bytes it has.
    pub fn size_in_bytes(&self) -> usize {
        self.length
    }

    fn hash(&self) -> blake3::Hash {
        let mut hasher = blake3::Hasher::new();
        self.parts().for_each(|part| {
            hasher.update(part);
        });
        hasher.finalize()
    }
}

/// How many bytes are missing to where a column may begin.
fn gap_at(length: usize) -> usize {
    length.next_multiple_of(ALIGNED) - length
}

/// The header over some sections, which come right after it. `whose` is a hash of everything that they depend on, and
/// [`open`] of another refuses.
pub fn header(whose: &[u8; HASH], sections: &mut [Section]) -> Vec<u8> {
    sections.iter_mut().for_each(Section::align);
    let mut header = MAGIC.to_vec();
    header.extend_from_slice(&VERSION.to_le_bytes());
    header.extend_from_slice(whose);
    header.extend_from_slice(&(sections.len() as u64).to_le_bytes());
    let hashes: Vec<blake3::Hash> = sections.par_iter().map(Section::hash).collect();
    for (section, hash) in sections.iter().zip(hashes) {
        header.extend_from_slice(&(section.length as u64).to_le_bytes());
        header.extend_from_slice(hash.as_bytes());
    }
    let hash = blake3::hash(&header);
    header.extend_from_slice(hash.as_bytes());
    header.resize(header.len() + gap_at(header.len()), 0);
    header
}

/// Sections and the [`header`] over them in one piece.
pub fn whole(whose: &[u8; HASH], mut sections: Vec<Section>) -> Vec<u8> {
    let mut whole = header(whose, &mut sections);
    sections.iter().flat_map(Section::parts).for_each(|part| whole.extend_from_slice(part));
    whole
}

/// The sections of what [`whole`] gave for the same `whose`, checked.
///
/// # Errors
/// [`Error::InputRefused`] for bytes that are no state, are damaged, are of another version or somebody else's, each with what
/// to do.
pub fn open<'a>(bytes: &'a [u8], whose: &[u8; HASH]) -> Result<Vec<Reader<'a>>> {
    let mut head = Reader { bytes, at: 0, file: None };
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
    let hashed = &bytes[..head.at];
    if blake3::hash(hashed).as_bytes() != head.take(HASH)? {
        return Err(damaged());
    }
    if owner != whose {
        return Err(refused("was made by other settings or another version of the program", REBUILD));
    }
    head.align()?;
    let mut sections = Vec::with_capacity(count);
    for entry in entries.chunks_exact(ENTRY) {
        let (length, hash) = entry.split_at(8);
        let length = usize::try_from(u64::get(length)).map_err(|_| damaged())?;
        sections.push((head.take(length)?, hash));
    }
    head.finish()?;
    match sections.par_iter().all(|(section, hash)| blake3::hash(section).as_bytes() == *hash) {
        true => Ok(sections.into_iter().map(|(bytes, _)| Reader { bytes, at: 0, file: None }).collect()),
        false => Err(damaged()),
    }
}

/// As [`open`], of a mapped file: frozen columns stay in it.
///
/// # Errors
/// As there.
pub fn open_file<'a>(file: &'a Mapped, whose: &[u8; HASH]) -> Result<Vec<Reader<'a>>> {
    let mut sections = open(file, whose)?;
    sections.iter_mut().for_each(|section| section.file = Some(file));
    Ok(sections)
}

/// What of a section has not been read yet.
#[derive(Debug, Clone)]
pub struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
    /// The file that the bytes are of.
    file: Option<&'a Mapped>,
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
        Ok(self.begin_column(C::WIDTH)?.chunks_exact(C::WIDTH).map(C::get))
    }

    /// A column that [`Section::frozen`] or [`Section::column`] wrote; it stays in the file where there is one.
    ///
    /// # Errors
    /// As [`Self::one`].
    pub fn frozen<T: bytemuck::Pod + Cell>(&mut self) -> Result<Frozen<T>> {
        let bytes = self.begin_column(T::WIDTH)?;
        let is_as_held = cfg!(target_endian = "little") && bytemuck::try_cast_slice::<u8, T>(bytes).is_ok();
        Ok(match self.file {
            Some(file) if is_as_held && bytes.len() >= SHARED_IN_BYTES => {
                let start = bytes.as_ptr() as usize - file.as_ptr() as usize;
                Frozen { own: Arc::default(), mapped: Some((file.clone(), start..start + bytes.len())) }
            }
            _ => bytes.chunks_exact(T::WIDTH).map(T::get).collect::<Vec<_>>().into(),
        })
    }

    /// What [`Section::bytes`] wrote.
    ///
    /// # Errors
    /// As [`Self::one`].
    pub fn bytes(&mut self) -> Result<&'a [u8]> {
        self.begin_column(1)
    }

    /// What [`Section::texts`] wrote.
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

#[cfg(test)]
mod tests {
    use super::*;

    const OURS: [u8; HASH] = [7; HASH];
    /// Rows of a column that is shared.
    const LONG: u32 = (SHARED_IN_BYTES / 4) as u32 + 7;

    fn sections() -> Vec<Section> {
        let (mut numbers, mut texts) = (Section::default(), Section::default());
        numbers.one(-5_i64);
        numbers.column([1_u32, u32::MAX].into_iter());
        numbers.column([i128::MIN, 3].into_iter());
        numbers.column([true, false, true].into_iter());
        numbers.frozen(&Frozen::from(vec![5_i64, 6]));
        numbers.frozen(&Frozen::from((0..LONG).collect::<Vec<u32>>()));
        texts.texts(["", "an order", "订单"].into_iter());
        texts.bytes(&[1, 2]);
        vec![numbers, Section::default(), texts]
    }

    #[test]
    fn columns_come_back_as_they_were() {
        let bytes = whole(&OURS, sections());
        let mut read = open(&bytes, &OURS).unwrap();
        assert_eq!(read.len(), 3);
        assert_eq!(read[0].one::<i64>().unwrap(), -5);
        assert_eq!(read[0].column::<u32>().unwrap(), [1, u32::MAX]);
        assert_eq!(read[0].column::<i128>().unwrap(), [i128::MIN, 3]);
        assert!(read[0].clone().finish().is_err(), "a column is left");
        assert_eq!(read[0].column::<bool>().unwrap(), [true, false, true]);
        assert_eq!(read[0].column::<i64>().unwrap(), [5, 6]);
        assert!(read[0].frozen::<u32>().unwrap().iter().copied().eq(0..LONG));
        assert!(read[0].one::<u8>().is_err(), "nothing is left");
        assert_eq!(read[2].texts().unwrap(), ["", "an order", "订单"]);
        assert_eq!(read[2].bytes().unwrap(), [1, 2]);
        assert!(read.into_iter().all(|section| section.finish().is_ok()));
    }

    #[test]
    fn frozen_columns_stay_in_the_file_until_they_are_changed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state");
        std::fs::write(&path, whole(&OURS, sections())).unwrap();
        let file = Mapped::of(&path).unwrap();
        let mut section = open_file(&file, &OURS).unwrap().remove(0);
        section.one::<i64>().unwrap();
        section.column::<u32>().unwrap();
        section.column::<i128>().unwrap();
        section.column::<bool>().unwrap();
        let short = section.frozen::<i64>().unwrap();
        let mut long = section.frozen::<u32>().unwrap();
        assert!(section.finish().is_ok());
        assert_eq!((&*short, short.mapped.is_none()), (&[5, 6][..], true));
        // The file is gone, and what looks at it stays.
        drop(file);
        std::fs::remove_file(&path).unwrap();
        let before = long.clone();
        assert!(long.mapped.is_some() && long == before && long.len() == LONG as usize);
        // Saved once more, it is the same bytes.
        let again = |column: &Frozen<u32>| {
            let mut section = Section::default();
            section.frozen(column);
            whole(&OURS, vec![section])
        };
        let bytes = again(&long);
        long.edit()[3] = 9;
        assert_eq!((long[3], before[3], long.mapped.is_some()), (9, 3, false));
        assert!(bytes == again(&before) && bytes != again(&long));
        let mut shared = long.clone();
        shared.edit().push(1);
        assert_eq!((shared.len(), long.len()), (LONG as usize + 1, LONG as usize));
    }

    #[test]
    fn whatever_is_not_what_was_written_is_refused_and_says_so() {
        let bytes = whole(&OURS, sections());
        // What only fills the header up.
        let end = 8 + 4 + HASH + 8 + 3 * ENTRY + HASH;
        let is_gap = |at: usize| (end..end.next_multiple_of(ALIGNED)).contains(&at);
        let says = |bytes: &[u8], whose: &[u8; HASH]| {
            let error = open(bytes, whose).err().unwrap();
            assert!(error.hint().is_some());
            error.to_string()
        };
        for at in (12..400).chain((400..bytes.len()).step_by(997)).filter(|at| !is_gap(*at)) {
            let mut flipped = bytes.clone();
            flipped[at] ^= 1;
            assert!(says(&flipped, &OURS).contains("damaged or cut short"), "byte {at}");
        }
        for length in (8..400).chain((400..bytes.len()).step_by(997)) {
            assert!(says(&bytes[..length], &OURS).contains("damaged or cut short"), "{length} bytes");
        }
        let mut newer = bytes.clone();
        newer[8] = 9;
        assert!(says(&newer, &OURS).contains("has version 9, this program reads version 2"));
        assert!(says(b"PAR1", &OURS).contains("no state of this program"));
        assert!(says(&bytes, &[8; HASH]).contains("other settings"));
    }
}
