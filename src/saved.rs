//! State as bytes: little-endian columns in sections, which are written and read side by side.
//!
//! `magic (8) · version u32 · hash of whose it is (32) · sections u64 · length u64 and BLAKE3 (32) of each · BLAKE3 of all of
//! that (32) · the sections`. What a section holds is up to the owner, who puts columns into a [`Section`] and takes them out
//! of a [`Reader`] in the same order: every column is its length (u64) and its values. Columns begin at multiples of 16 bytes,
//! so that those of a mapped file are read where they are: see [`Frozen`].

mod frozen;
#[cfg(test)]
mod tests;

use crate::error::{Error, Result};
use crate::memory::Mapped;
use frozen::Place;
pub use frozen::{Frozen, Grown};
use rayon::prelude::*;
use std::collections::BTreeSet;
use std::ops::Range;
use std::path::Path;
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

impl<const N: usize> Cell for [u64; N] {
    const WIDTH: usize = 8 * N;
    fn put(&self, to: &mut [u8]) {
        to.chunks_exact_mut(8).zip(self).for_each(|(to, number)| number.put(to));
    }
    fn get(from: &[u8]) -> Self {
        let mut cells = from.chunks_exact(8).map(u64::get);
        std::array::from_fn(|_| cells.next().unwrap_or_default())
    }
}

impl Cell for bool {
    const WIDTH: usize = 1;
    fn put(&self, to: &mut [u8]) {
        u8::from(*self).put(to);
    }
    fn get(from: &[u8]) -> Self {
        u8::get(from) != 0
    }
}

/// A frozen column of any kind.
trait Column: Send + Sync {
    fn bytes(&self) -> &[u8];
    fn rows(&self) -> u64;
    fn place(&self) -> Option<Place>;
    fn is_saved(&self, place: Place);
}

impl<T: bytemuck::Pod + Send + Sync> Column for Frozen<T> {
    fn bytes(&self) -> &[u8] {
        bytemuck::cast_slice(self)
    }
    fn rows(&self) -> u64 {
        self.len() as u64
    }
    fn place(&self) -> Option<Place> {
        self.place()
    }
    fn is_saved(&self, place: Place) {
        self.is_saved(place);
    }
}

/// A part of a state in the making.
#[derive(Clone, Default)]
pub struct Section {
    parts: Vec<Part>,
    /// Bytes after them.
    rest: Vec<u8>,
    /// Bytes so far, modulo [`ALIGNED`]: columns begin at multiples of it.
    length: usize,
}

#[derive(Clone)]
enum Part {
    Own(Vec<u8>),
    /// A column that is shared, and where it is in other files if it is: the number of the file, and of the column in it.
    Column(Arc<dyn Column>, Option<[u64; 2]>),
}

/// In the place of a file: the column follows.
const HERE: u64 = u64::MAX;

impl Section {
    /// Appends a value.
    pub fn one(&mut self, cell: impl Cell) {
        self.fill(std::iter::once(cell));
    }

    /// Appends a column.
    pub fn column<C: Cell>(&mut self, cells: impl ExactSizeIterator<Item = C>) {
        self.one(cells.len() as u64);
        self.align();
        self.fill(cells);
    }

    /// Appends a column that is shared and not copied.
    pub fn frozen<T: bytemuck::Pod + Cell + Sync>(&mut self, column: &Frozen<T>) {
        self.align();
        // Numbers are saved with their lowest byte first.
        if cfg!(target_endian = "big") || column.len() * T::WIDTH < SHARED_IN_BYTES {
            self.one(HERE);
            self.one(column.len() as u64);
            self.fill(column.iter().copied());
            return self.align();
        }
        self.put_rest_away();
        self.parts.push(Part::Column(Arc::new(column.clone()), None));
    }

    /// Appends rows that only grow; what was saved of them before is not written again.
    pub fn grown<T: bytemuck::Pod + Cell + Sync>(&mut self, rows: &mut Grown<T>) {
        let pieces = rows.freeze();
        self.one(pieces.len() as u64);
        pieces.for_each(|piece| self.frozen(piece));
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

    fn align(&mut self) {
        self.fill(std::iter::repeat_n(0_u8, gap_at(self.length)));
    }

    fn fill<C: Cell>(&mut self, cells: impl ExactSizeIterator<Item = C>) {
        let length = cells.len() * C::WIDTH;
        self.length = (self.length + length) % ALIGNED;
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
        self.put_rest_away();
        self.parts.push(Part::Own(bytes));
    }

    fn put_rest_away(&mut self) {
        if !self.rest.is_empty() {
            self.parts.push(Part::Own(std::mem::take(&mut self.rest)));
        }
    }

    /// Hands out its bytes, part by part. Parts between columns keep their distance from multiples of [`ALIGNED`].
    pub fn each_part<E>(&self, each: &mut dyn FnMut(&[u8]) -> Result<(), E>) -> Result<(), E> {
        for part in &self.parts {
            match part {
                Part::Own(bytes) => each(bytes)?,
                Part::Column(_, Some(place)) => {
                    each(&place[0].to_le_bytes())?;
                    each(&place[1].to_le_bytes())?;
                }
                Part::Column(column, None) => {
                    each(&HERE.to_le_bytes())?;
                    each(&column.rows().to_le_bytes())?;
                    let bytes = column.bytes();
                    each(bytes)?;
                    each(&[0; ALIGNED][..gap_at(bytes.len())])?;
                }
            }
        }
        each(&self.rest)
    }

    /// Its length, and the hash of its bytes.
    fn hashed(&self) -> (u64, blake3::Hash) {
        let (mut length, mut hasher) = (0, blake3::Hasher::new());
        let Ok(()) = self.each_part(&mut |part| {
            length += part.len() as u64;
            hasher.update(part);
            Ok::<(), std::convert::Infallible>(())
        });
        (length, hasher.finalize())
    }

    /// How many bytes it has.
    pub fn size_in_bytes(&self) -> u64 {
        self.hashed().0
    }
}

/// How many bytes are missing to where a column may begin.
fn gap_at(length: usize) -> usize {
    length.next_multiple_of(ALIGNED) - length
}

/// Frozen columns of a state that go into a file of their own.
#[derive(Default)]
pub struct Columns {
    /// The sections of that file.
    pub sections: Vec<Section>,
    /// Files that the state points to, that file among them if there are any such columns.
    pub files: Vec<String>,
    new: Vec<Arc<dyn Column>>,
    file: String,
}

impl Columns {
    /// Has frozen columns of a state in files of their own: those that are in one of the files `kept` stay there, others go
    /// into the file `new`. The state begins with a section that names the files.
    pub fn separate(state: &mut Vec<Section>, kept: &BTreeSet<String>, new: &str) -> Self {
        let mut columns = Self { file: new.to_owned(), ..Self::default() };
        for part in state.iter_mut().flat_map(|section| &mut section.parts) {
            let Part::Column(column, place) = part else { continue };
            let known = column.place().filter(|(file, _)| kept.contains(file));
            let (file, nth) = known.unwrap_or_else(|| {
                let mut section = Section::default();
                section.parts.push(Part::Column(Arc::clone(column), None));
                columns.sections.push(section);
                columns.new.push(Arc::clone(column));
                (new.to_owned(), columns.sections.len() as u64 - 1)
            });
            let at = columns.files.iter().position(|known| *known == file).unwrap_or_else(|| {
                columns.files.push(file);
                columns.files.len() - 1
            });
            *place = Some([at as u64, nth]);
        }
        let mut first = Section::default();
        first.texts(columns.files.iter().map(String::as_str));
        state.insert(0, first);
        columns
    }

    /// Bytes of the columns that stay where they are.
    pub fn kept_in_bytes(state: &[Section], kept: &BTreeSet<String>) -> u64 {
        let of_section = |section: &Section| -> u64 {
            let columns = section.parts.iter().filter_map(|part| match part {
                Part::Column(column, _) => Some(column),
                Part::Own(_) => None,
            });
            let is_kept = |column: &&Arc<dyn Column>| column.place().is_some_and(|(file, _)| kept.contains(&file));
            columns.filter(is_kept).map(|column| column.bytes().len() as u64).sum()
        };
        state.iter().map(of_section).sum()
    }

    /// Says that the file was written: those who go on with its columns know where they are.
    pub fn are_written(self) {
        for (column, nth) in self.new.into_iter().zip(0..) {
            column.is_saved((self.file.clone(), nth));
        }
    }
}

/// The header over some sections, which come right after it. `whose` is a hash of everything that they depend on, and
/// [`open`] of another refuses.
pub fn header(whose: &[u8; HASH], sections: &mut [Section]) -> Vec<u8> {
    for section in sections.iter_mut() {
        section.align();
    }
    let mut header = MAGIC.to_vec();
    header.extend_from_slice(&VERSION.to_le_bytes());
    header.extend_from_slice(whose);
    header.extend_from_slice(&(sections.len() as u64).to_le_bytes());
    for (length, hash) in sections.par_iter().map(Section::hashed).collect::<Vec<_>>() {
        header.extend_from_slice(&length.to_le_bytes());
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
    for section in &sections {
        let Ok(()) = section.each_part(&mut |part| {
            whole.extend_from_slice(part);
            Ok::<(), std::convert::Infallible>(())
        });
    }
    whole
}

/// The sections of what [`whole`] gave for the same `whose`, checked.
///
/// # Errors
/// [`Error::InputRefused`] for bytes that are no state, are damaged, are of another version or somebody else's, each with what
/// to do.
pub fn open<'a>(bytes: &'a [u8], whose: &[u8; HASH]) -> Result<Vec<Reader<'a>>> {
    let mut head = Reader { bytes, at: 0, columns: Arc::default() };
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
        true => Ok(sections.into_iter().map(|(bytes, _)| Reader { bytes, at: 0, columns: Arc::default() }).collect()),
        false => Err(damaged()),
    }
}

/// A state and the files of columns that it points to, mapped.
pub struct Files {
    state: Mapped,
    columns: Vec<(String, Mapped)>,
}

impl Files {
    /// Maps a state, and the files that [`Columns::files`] named by these names.
    ///
    /// # Errors
    /// [`Error::Environment`] when one cannot be read.
    pub fn map<'p>(state: &Path, columns: impl Iterator<Item = (&'p str, &'p Path)>) -> Result<Self> {
        let map = |path: &Path| Mapped::of(path).map_err(Error::io("read", path));
        let columns = columns.map(|(name, path)| Ok((name.to_owned(), map(path)?))).collect::<Result<_>>()?;
        Ok(Self { state: map(state)?, columns })
    }

    /// The sections of the state; frozen columns stay in their files.
    ///
    /// # Errors
    /// As [`open`].
    pub fn open(&self, whose: &[u8; HASH]) -> Result<Vec<Reader<'_>>> {
        let of_file = |(name, file): &'_ (String, Mapped)| -> Result<_> {
            let bytes = open(file, whose)?.into_iter().map(|section| section.bytes.as_ptr_range());
            let start = file.as_ptr() as usize;
            let ranges = bytes.map(|range| range.start as usize - start..range.end as usize - start).collect();
            Ok((name.clone(), file.clone(), ranges))
        };
        let mut sections = open(&self.state, whose)?;
        if sections.is_empty() {
            return Err(damaged());
        }
        let find = |name: &String| self.columns.iter().find(|(known, _)| known == name).ok_or_else(damaged);
        let names = sections.remove(0).texts()?;
        let columns = names.iter().map(|name| of_file(find(name)?)).collect::<Result<Vec<_>>>()?;
        let columns = Arc::new(columns);
        sections.iter_mut().for_each(|section| section.columns = Arc::clone(&columns));
        Ok(sections)
    }
}

/// Files of columns: the name of each, and where each column is in it.
type Mappings = Vec<(String, Mapped, Vec<Range<usize>>)>;

/// What of a section has not been read yet.
#[derive(Debug, Clone)]
pub struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
    columns: Arc<Mappings>,
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

    /// A column that [`Section::frozen`] wrote; it stays in the file where it has one of its own.
    ///
    /// # Errors
    /// As [`Self::one`].
    pub fn frozen<T: bytemuck::Pod + Cell>(&mut self) -> Result<Frozen<T>> {
        self.align()?;
        let (file, nth): (u64, u64) = (self.one()?, self.one()?);
        if file == HERE {
            let rows = usize::try_from(nth).map_err(|_| damaged())?;
            let bytes = self.take(rows.checked_mul(T::WIDTH).ok_or_else(damaged)?)?;
            self.align()?;
            return Ok(bytes.chunks_exact(T::WIDTH).map(T::get).collect::<Vec<_>>().into());
        }
        let found = usize::try_from(file).ok().and_then(|file| self.columns.get(file)).zip(usize::try_from(nth).ok());
        let ((name, file, ranges), at) = found.ok_or_else(damaged)?;
        let range = ranges.get(at).cloned().ok_or_else(damaged)?;
        let mut column = Reader { bytes: &file[range.clone()], at: 0, columns: Arc::default() };
        let (here, rows): (u64, u64) = (column.one()?, column.one()?);
        let length = usize::try_from(rows).ok().and_then(|rows| rows.checked_mul(T::WIDTH)).ok_or_else(damaged)?;
        column.take(length)?;
        if here != HERE {
            return Err(damaged());
        }
        let start = range.start + 2 * size_of::<u64>();
        if cfg!(target_endian = "little") {
            return Frozen::mapped(file, start..start + length, (name.clone(), nth)).ok_or_else(damaged);
        }
        let cells = file[start..start + length].chunks_exact(T::WIDTH);
        Ok(cells.map(T::get).collect::<Vec<_>>().into())
    }

    /// Rows that [`Section::grown`] wrote.
    ///
    /// # Errors
    /// As [`Self::one`].
    pub fn grown<T: bytemuck::Pod + Cell>(&mut self) -> Result<Grown<T>> {
        let count = self.one::<u64>()?;
        Ok(Grown::of((0..count).map(|_| self.frozen()).collect::<Result<_>>()?))
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
