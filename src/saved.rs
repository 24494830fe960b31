//! State as bytes: little-endian columns in sections, which are written and read side by side.
//!
//! `magic (8) · version u32 · hash of whose it is (32) · sections u64 · length u64 and XXH3 (16) of each · BLAKE3 of all of that
//! (32) · the sections`. The sums over sections are there for disks that fail, and gigabytes of them are written by the minute;
//! what a state is known by is the hash of its header. What a section holds is up to the owner, who puts columns into a
//! [`Section`] and takes them out of a [`Reader`] in the same order: every column is its length (u64) and its values. Columns
//! begin at multiples of 16 bytes, and large ones can be shared and lie in files of their own: see [`Frozen`].

mod frozen;
mod in_file;
mod paged;
mod reading;
mod rows;
#[cfg(test)]
mod tests;
mod writing;

use crate::error::Error;
pub use frozen::{Frozen, Grown};
pub use paged::Paged;
pub use reading::{Files, Reader, open};
pub use rows::Rows;
pub use writing::{Columns, Section, header, whole};

const MAGIC: &[u8; 8] = b"ordstate";
/// Goes up with every change of the layout or of a meaning.
const VERSION: u32 = 4;
const HASH: usize = 32;
/// Columns begin at multiples of this.
const ALIGNED: usize = 16;
/// In the place of a file: the column follows.
const HERE: u64 = u64::MAX;
/// The sum over a section: bytes that were damaged have another one.
pub type Sum = [u8; SUM];
/// Its length, bytes.
pub const SUM: usize = 16;
/// A section in the header: its length and its sum.
const ENTRY: usize = 8 + SUM;

/// The sum over bytes that come in any number of parts.
#[derive(Default)]
pub struct Summing(xxhash_rust::xxh3::Xxh3);

impl Summing {
    /// Goes on with a part.
    pub fn add(&mut self, part: &[u8]) {
        self.0.update(part);
    }

    /// The sum over all parts.
    pub fn sum(&self) -> Sum {
        self.0.digest128().to_le_bytes()
    }
}

/// Whether bytes have the sum that they should have.
fn is_sum(bytes: &[u8], sum: &[u8]) -> bool {
    xxhash_rust::xxh3::xxh3_128(bytes).to_le_bytes() == sum
}

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

impl<C: Cell + Default, const N: usize> Cell for [C; N] {
    const WIDTH: usize = C::WIDTH * N;
    fn put(&self, to: &mut [u8]) {
        to.chunks_exact_mut(C::WIDTH).zip(self).for_each(|(to, number)| number.put(to));
    }
    fn get(from: &[u8]) -> Self {
        let mut cells = from.chunks_exact(C::WIDTH).map(C::get);
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

/// How many bytes are missing to where a column may begin.
fn gap_at(length: usize) -> usize {
    length.next_multiple_of(ALIGNED) - length
}
