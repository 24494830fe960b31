//! State as bytes: little-endian columns.
//!
//! `magic (8) · version u32 · hash of the declarations (32) · horizon i64 · entity keys · other keys · one run · totals of each
//! lane · BLAKE3 of all of that (32)`; every column is its length (u64) and its values.

use super::NO_KEY;
use super::declare::Declarations;
use super::interner::Interner;
use super::life::Life;
use super::run::Run;
use super::state::State;
use super::sweep::Totals;
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

/// A value of fixed width in a column.
trait Cell: Sized {
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

/// What has not been read yet.
struct Rest<'a>(&'a [u8]);

impl<'a> Rest<'a> {
    fn take(&mut self, bytes: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(bytes)?;
        self.0 = rest;
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

impl State {
    /// The state as bytes. Events are put into one run on the way, which changes no answer.
    pub fn save(&mut self) -> Vec<u8> {
        self.compact();
        let mut to = Vec::new();
        to.extend_from_slice(MAGIC);
        VERSION.put(&mut to);
        to.extend_from_slice(&self.declarations.hash());
        self.horizon.put(&mut to);
        for keys in [&self.entities, &self.others] {
            let (ends, bytes) = keys.parts();
            put(&mut to, ends.iter().copied());
            put(&mut to, bytes.iter().copied());
        }
        let none = Run::default();
        let run = self.runs.first().unwrap_or(&none);
        put(&mut to, run.entity.iter().copied());
        put(&mut to, run.happened.iter().copied());
        put(&mut to, run.known.iter().copied());
        put(&mut to, run.value.iter().copied());
        put(&mut to, run.other.iter().copied());
        put(&mut to, run.label.iter().map(|&label| u8::from(label)));
        for life in &self.lives {
            put(&mut to, life.totals.iter().map(|t| t.sum));
            put(&mut to, life.totals.iter().map(|t| t.last));
            put(&mut to, life.totals.iter().map(|t| t.max));
            put(&mut to, life.totals.iter().map(|t| t.count));
            put(&mut to, life.totals.iter().map(|t| t.valued));
            put(&mut to, life.totals.iter().map(|t| t.hits));
            put(&mut to, life.others.iter().map(|&(entity, _)| entity));
            put(&mut to, life.others.iter().map(|&(_, other)| other));
        }
        let hash = blake3::hash(&to);
        to.extend_from_slice(hash.as_bytes());
        to
    }

    /// A state that [`Self::save`] wrote for the same declarations.
    ///
    /// # Errors
    /// [`Error::InputRefused`] for bytes that are no state, are damaged, are of another version or of other declarations,
    /// each with what to do.
    pub fn load(declarations: Declarations, bytes: &[u8]) -> Result<Self> {
        let mut rest = Rest(bytes);
        if rest.take(MAGIC.len()) != Some(MAGIC.as_slice()) {
            return Err(refused("is no feature state", "is it another file of that name?"));
        }
        let version: u32 = rest.one().ok_or_else(damaged)?;
        if version != VERSION {
            return Err(refused(&format!("has version {version}, this program reads version {VERSION}"), REBUILD));
        }
        let body = bytes.len().checked_sub(HASH).ok_or_else(damaged)?;
        let (body, hash) = bytes.split_at(body);
        if blake3::hash(body).as_bytes() != hash {
            return Err(damaged());
        }
        if rest.take(HASH) != Some(declarations.hash().as_slice()) {
            return Err(refused("was made for other feature declarations than the pipeline's", REBUILD));
        }
        rest.0 = &rest.0[..rest.0.len() - HASH];
        let state = Self::read(declarations, &mut rest).filter(|_| rest.0.is_empty());
        state.filter(State::is_whole).ok_or_else(damaged)
    }

    fn read(declarations: Declarations, rest: &mut Rest) -> Option<Self> {
        let horizon = rest.one()?;
        let entities = Interner::from_parts(&rest.column()?, &rest.column::<u8>()?)?;
        let others = Interner::from_parts(&rest.column()?, &rest.column::<u8>()?)?;
        let run = Run {
            entity: Arc::new(rest.column()?),
            happened: Arc::new(rest.column()?),
            known: rest.column()?,
            value: rest.column()?,
            other: rest.column()?,
            label: rest.column::<u8>()?.into_iter().map(|label| label != 0).collect(),
        };
        let runs = if run.len() > 0 { vec![run] } else { Vec::new() };
        let lives = declarations.lanes.iter().map(|_| read_life(rest)).collect::<Option<_>>()?;
        Some(Self { declarations, entities, others, horizon, runs, lives })
    }

    /// Whether the columns fit together; what the checksum cannot know is what another program meant.
    fn is_whole(&self) -> bool {
        let (entities, others, needs) = (self.entities.len(), self.others.len(), self.declarations.needs);
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
                life.totals.len() <= entities && life.others.is_sorted() && life.others.iter().all(pair_fits)
            })
    }
}

fn damaged() -> Error {
    refused("is damaged or cut short", REBUILD)
}

fn read_life(rest: &mut Rest) -> Option<Life> {
    let (sum, last, max) = (rest.column::<i128>()?, rest.column::<i64>()?, rest.column::<i64>()?);
    let (count, valued, hits) = (rest.column::<u32>()?, rest.column::<u32>()?, rest.column::<u32>()?);
    let (entity, other) = (rest.column::<u32>()?, rest.column::<u32>()?);
    let lengths = [last.len(), max.len(), count.len(), valued.len(), hits.len()];
    if lengths != [sum.len(); 5] || entity.len() != other.len() {
        return None;
    }
    let total = |at: usize| Totals {
        sum: sum[at],
        last: last[at],
        max: max[at],
        count: count[at],
        valued: valued[at],
        hits: hits[at],
    };
    Some(Life { totals: (0..sum.len()).map(total).collect(), others: entity.into_iter().zip(other).collect() })
}
