//! Sections in the making, and the files that they become.

use super::frozen::Place;
use super::{ALIGNED, Cell, Frozen, Grown, HASH, HERE, MAGIC, Paged, Sum, Summing, VERSION, gap_at};
use rayon::prelude::*;
use std::collections::BTreeSet;
use std::sync::Arc;

/// Columns of fewer bytes are copied: a page or two need no sharing.
pub(super) const SHARED_IN_BYTES: usize = 4_096;
/// Columns of as many bytes have a block of their own.
const LONG_IN_BYTES: usize = 1 << 20;

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

    /// Appends rows of which few change; pages of them that were saved before, and have not changed, are not written again.
    pub fn paged<T: bytemuck::Pod + Cell + Sync>(&mut self, rows: &mut Paged<T>) {
        let pages = rows.freeze();
        self.one(pages.len() as u64);
        pages.iter().for_each(|page| self.frozen(page));
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

    /// Its length, and the sum over its bytes.
    fn summed(&self) -> (u64, Sum) {
        let (mut length, mut summing) = (0, Summing::default());
        let Ok(()) = self.each_part(&mut |part| {
            length += part.len() as u64;
            summing.add(part);
            Ok::<(), std::convert::Infallible>(())
        });
        (length, summing.sum())
    }

    /// How many bytes it has.
    pub fn size_in_bytes(&self) -> u64 {
        let mut length = 0;
        let Ok(()) = self.each_part(&mut |part| {
            length += part.len() as u64;
            Ok::<(), std::convert::Infallible>(())
        });
        length
    }
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
/// [`super::open`] of another refuses.
pub fn header(whose: &[u8; HASH], sections: &mut [Section]) -> Vec<u8> {
    for section in sections.iter_mut() {
        section.align();
    }
    let mut header = MAGIC.to_vec();
    header.extend_from_slice(&VERSION.to_le_bytes());
    header.extend_from_slice(whose);
    header.extend_from_slice(&(sections.len() as u64).to_le_bytes());
    for (length, sum) in sections.par_iter().map(Section::summed).collect::<Vec<_>>() {
        header.extend_from_slice(&length.to_le_bytes());
        header.extend_from_slice(&sum);
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
