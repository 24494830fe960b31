//! State as bytes: little-endian columns behind a header that tells whose they are.
//!
//! `magic (8) · version u32 · hash of what is declared (32) · body · BLAKE3 of all of that (32)`. [`Writer`] and [`Reader`] know
//! this frame; the body is what the owner of keys and states puts there and reads back in the same order: keys by
//! [`Interner::save_into`], states by [`State::save_into`]. Every column is its length (u64) and its values.

use super::NO_KEY;
use super::declare::{Declarations, Needs};
use super::interner::Interner;
use super::life::Life;
use super::run::Run;
use super::state::State;
use crate::error::{Error, Result};
use std::sync::Arc;

const MAGIC: &[u8; 8] = b"ordsfeat";
/// Goes up with every change of the layout or of a meaning.
const VERSION: u32 = 1;
const HASH: usize = 32;

fn refused(why: &str, hint: &str) -> Error {
    Error::InputRefused { message: format!("the feature state {why}"), hint: Some(hint.to_owned()) }
}

const REBUILD: &str = "move the state away and run over the whole history: it is rebuilt from the accepted tables";

fn damaged() -> Error {
    refused("is damaged or cut short", REBUILD)
}

/// A value of fixed width in a column.
pub(super) trait Cell: Sized {
    const WIDTH: usize;
    fn put(&self, to: &mut Vec<u8>);
    fn get(from: &[u8]) -> Option<Self>;
}

macro_rules! cells {
    ($($number:ty),*) => {$(
        impl Cell for $number {
            const WIDTH: usize = size_of::<$number>();
            fn put(&self, to: &mut Vec<u8>) {
                to.extend_from_slice(&self.to_le_bytes());
            }
            fn get(from: &[u8]) -> Option<Self> {
                Some(Self::from_le_bytes(from.try_into().ok()?))
            }
        }
    )*};
}
cells!(u8, u32, u64, i64, i128);

fn put<C: Cell>(to: &mut Vec<u8>, column: impl ExactSizeIterator<Item = C>) {
    (column.len() as u64).put(to);
    to.reserve(column.len() * C::WIDTH);
    column.for_each(|cell| cell.put(to));
}

/// Bytes of state in the making.
#[derive(Debug, Clone)]
pub struct Writer {
    bytes: Vec<u8>,
}

impl Writer {
    /// Begins with the header. `declared` is a hash of everything that the body depends on, such as of every
    /// [`Declarations::hash`] in order; a [`Reader`] of another refuses.
    pub fn new(declared: &[u8; HASH]) -> Self {
        let mut bytes = MAGIC.to_vec();
        VERSION.put(&mut bytes);
        bytes.extend_from_slice(declared);
        Self { bytes }
    }

    /// The end of the body, for [`Interner::save_into`] and [`State::save_into`].
    pub fn body(&mut self) -> &mut Vec<u8> {
        &mut self.bytes
    }

    /// Appends a column of bytes of the owner's; [`Reader::bytes`] gives it back.
    pub fn bytes(&mut self, column: &[u8]) {
        put(&mut self.bytes, column.iter().copied());
    }

    /// Ends with the checksum.
    pub fn finish(mut self) -> Vec<u8> {
        let hash = blake3::hash(&self.bytes);
        self.bytes.extend_from_slice(hash.as_bytes());
        self.bytes
    }
}

/// A body that has not been read yet.
#[derive(Debug, Clone)]
pub struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    /// Checks header and checksum of what a [`Writer`] of the same `declared` made.
    ///
    /// # Errors
    /// [`Error::InputRefused`] for bytes that are no state, are damaged, are of another version or of other declarations,
    /// each with what to do.
    pub fn open(bytes: &'a [u8], declared: &[u8; HASH]) -> Result<Self> {
        let mut reader = Self { rest: bytes };
        if reader.take(MAGIC.len()) != Some(MAGIC.as_slice()) {
            return Err(refused("is no feature state", "is it another file of that name?"));
        }
        let version: u32 = reader.one().ok_or_else(damaged)?;
        if version != VERSION {
            return Err(refused(&format!("has version {version}, this program reads version {VERSION}"), REBUILD));
        }
        let body = bytes.len().checked_sub(HASH).ok_or_else(damaged)?;
        let (body, hash) = bytes.split_at(body);
        if blake3::hash(body).as_bytes() != hash {
            return Err(damaged());
        }
        if reader.take(HASH) != Some(declared.as_slice()) {
            return Err(refused("was made for other feature declarations than the pipeline's", REBUILD));
        }
        let rest = reader.rest.len().checked_sub(HASH).ok_or_else(damaged)?;
        Ok(Self { rest: &reader.rest[..rest] })
    }

    /// A column that [`Writer::bytes`] wrote.
    ///
    /// # Errors
    /// [`Error::InputRefused`] if there is none.
    pub fn bytes(&mut self) -> Result<&'a [u8]> {
        let length = self.one::<u64>().and_then(|length| usize::try_from(length).ok());
        length.and_then(|length| self.take(length)).ok_or_else(damaged)
    }

    /// Makes sure that everything was read.
    ///
    /// # Errors
    /// [`Error::InputRefused`] if something is left: the body is not what was expected.
    pub fn finish(self) -> Result<()> {
        if self.rest.is_empty() { Ok(()) } else { Err(damaged()) }
    }

    fn take(&mut self, bytes: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.rest.split_at_checked(bytes)?;
        self.rest = rest;
        Some(taken)
    }

    fn one<C: Cell>(&mut self) -> Option<C> {
        C::get(self.take(C::WIDTH)?)
    }

    fn column<C: Cell>(&mut self) -> Option<Vec<C>> {
        let length = usize::try_from(self.one::<u64>()?).ok()?;
        self.take(length.checked_mul(C::WIDTH)?)?.chunks_exact(C::WIDTH).map(C::get).collect()
    }
}

impl Interner {
    /// Appends all keys in the order of their numbers.
    pub fn save_into(&self, to: &mut Vec<u8>) {
        let (ends, bytes) = self.parts();
        put(to, ends.iter().copied());
        put(to, bytes.iter().copied());
    }

    /// The keys that [`Self::save_into`] wrote, with the same numbers.
    ///
    /// # Errors
    /// [`Error::InputRefused`] for bytes that are no such keys.
    pub fn read(from: &mut Reader) -> Result<Self> {
        let ends: Vec<u64> = from.column().ok_or_else(damaged)?;
        Self::from_parts(&ends, from.bytes()?).ok_or_else(damaged)
    }
}

impl State {
    /// Appends the state. Events are put into one run on the way, which changes no answer.
    pub fn save_into(&mut self, to: &mut Vec<u8>) {
        self.compact();
        self.horizon.put(to);
        let none = Run::default();
        let run = self.runs.first().unwrap_or(&none);
        put(to, run.entity.iter().copied());
        put(to, run.happened.iter().copied());
        put(to, run.known.iter().copied());
        put(to, run.value.iter().copied());
        put(to, run.other.iter().copied());
        put(to, run.label.iter().map(|&label| u8::from(label)));
        for life in &self.lives {
            put(to, life.count.iter().copied());
            put(to, life.last.iter().copied());
            put(to, life.valued.iter().copied());
            put(to, life.sum.iter().copied());
            put(to, life.max.iter().copied());
            put(to, life.hits.iter().copied());
            put(to, life.others.iter().map(|&(entity, _)| entity));
            put(to, life.others.iter().map(|&(_, other)| other));
        }
    }

    /// The state that [`Self::save_into`] wrote for the same declarations, over keys of which there are so many.
    ///
    /// # Errors
    /// [`Error::InputRefused`] for bytes that are no such state or that name a key which is not there.
    pub fn read(declarations: Declarations, entities: usize, others: usize, from: &mut Reader) -> Result<Self> {
        let state = Self::read_columns(declarations, from);
        state.filter(|state| state.is_whole(entities, others)).ok_or_else(damaged)
    }

    fn read_columns(declarations: Declarations, from: &mut Reader) -> Option<Self> {
        let mut state = Self::new(declarations);
        state.horizon = from.one()?;
        let run = Run {
            entity: Arc::new(from.column()?),
            happened: Arc::new(from.column()?),
            known: from.column()?,
            value: from.column()?,
            other: from.column()?,
            label: from.column::<u8>()?.into_iter().map(|label| label != 0).collect(),
        };
        if run.len() > 0 {
            state.runs.push(run);
        }
        for life in &mut state.lives {
            *life = read_life(life.needs, from)?;
        }
        Some(state)
    }

    /// Whether the columns fit together; what the checksum cannot know is what another program meant.
    fn is_whole(&self, entities: usize, others: usize) -> bool {
        let needs = self.declarations.needs;
        let of = |length: usize, rows: usize, needed: bool| if needed { length == rows } else { length == 0 };
        let run_fits = |run: &Run| {
            let rows = run.len();
            run.happened.len() == rows
                && [0, rows].contains(&run.known.len())
                && of(run.value.len(), rows, needs.value())
                && of(run.other.len(), rows, needs.distinct)
                && of(run.label.len(), rows, needs.hits)
                && (0..rows).is_sorted_by_key(|at| (run.entity[at], run.happened[at]))
                && run.entity.iter().all(|&id| (id as usize) < entities)
                && run.other.iter().all(|&id| id == NO_KEY || (id as usize) < others)
        };
        let pair_fits = |&(entity, other): &(u32, u32)| (entity as usize) < entities && (other as usize) < others;
        self.runs.iter().all(run_fits)
            && self.lives.iter().all(|life| {
                life.count.len() <= entities && life.others.is_sorted() && life.others.iter().all(pair_fits)
            })
    }
}

fn read_life(needs: Needs, from: &mut Reader) -> Option<Life> {
    let mut life = Life {
        needs,
        count: from.column()?,
        last: from.column()?,
        valued: from.column()?,
        sum: from.column()?,
        max: from.column()?,
        hits: from.column()?,
        others: Vec::new(),
    };
    let (entity, other) = (from.column::<u32>()?, from.column::<u32>()?);
    let is_whole = life.is_whole() && entity.len() == other.len();
    life.others = entity.into_iter().zip(other).collect();
    is_whole.then_some(life)
}
