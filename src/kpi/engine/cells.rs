//! Sums by slot and segment value, side by side.

use crate::error::{Error, Result};
use std::collections::{BTreeMap, HashMap};
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::Arc;

/// A row that is in no cell.
pub(super) const NO_CELL: u32 = u32::MAX;

/// Summands of one panel: two cache lines, added by a few vector instructions.
pub(super) const PANEL: usize = 16;

/// One row of a panel.
pub(super) type Lane = [i64; PANEL];

/// Hashes keys that are numbers already: one multiplication spreads them. No order of it ever shows.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Spread(u64);

impl Hasher for Spread {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.write_u64(u64::from(*byte));
        }
    }

    fn write_u64(&mut self, value: u64) {
        // 2⁶⁴ divided by the golden ratio, made odd. The fold brings the well mixed high half to where tables look.
        let product = u128::from(self.0 ^ value) * 0x9E37_79B9_7F4A_7C15;
        self.0 = (product as u64) ^ (product >> 64) as u64;
    }
}

pub(super) type Numbers<T> = HashMap<u64, T, BuildHasherDefault<Spread>>;

/// The values of a segment, numbered as they come. The numbers never show: output is sorted by name.
#[derive(Debug, Default, Clone)]
pub(super) struct Names {
    pub(super) list: Vec<Arc<str>>,
    index: HashMap<Arc<str>, u32>,
}

impl Names {
    pub(super) fn number(&mut self, name: &str) -> u32 {
        if let Some(number) = self.index.get(name) {
            return *number;
        }
        let name: Arc<str> = Arc::from(name);
        let number = self.list.len() as u32;
        self.list.push(Arc::clone(&name));
        self.index.insert(name, number);
        number
    }
}

/// Which pairs of numbers there are, each with a number of its own.
#[derive(Debug, Clone)]
pub(super) struct Pairs<T> {
    /// By number.
    pub(super) keys: Vec<(T, u32)>,
    index: Numbers<u32>,
}

/// Cells are pairs of slot and value.
pub(super) type Cells = Pairs<i32>;

impl<T> Default for Pairs<T> {
    fn default() -> Self {
        Self { keys: Vec::new(), index: Numbers::default() }
    }
}

impl<T: Copy + Into<i64>> Pairs<T> {
    pub(super) fn number(&mut self, first: T, second: u32) -> u32 {
        let key = (first.into() as u64) << 32 | u64::from(second);
        let next = self.keys.len() as u32;
        let number = *self.index.entry(key).or_insert(next);
        if number == next {
            self.keys.push((first, second));
        }
        number
    }
}

/// What a row adds.
#[derive(Debug)]
pub(super) enum Column {
    /// 0 or 1.
    Bits(Vec<u8>),
    /// Integers; nothing is 0.
    Ints(Vec<i64>),
}

impl Column {
    /// The largest sum that as many rows could give, without sign.
    pub(super) fn bound(&self) -> u128 {
        match self {
            Self::Bits(bits) => bits.len() as u128,
            Self::Ints(ints) => {
                let most = ints.iter().map(|v| v.unsigned_abs()).max().unwrap_or(0);
                u128::from(most) * ints.len() as u128
            }
        }
    }
}

/// Up to [`PANEL`] summands of a group with their sums by cell, for every key.
#[derive(Debug, Clone)]
pub(super) struct Panel {
    /// The first of the summands.
    pub(super) first: usize,
    /// How many.
    pub(super) width: usize,
    /// By key, by cell.
    pub(super) sums: Vec<Vec<Lane>>,
    /// What no sum so far can exceed.
    bound: u128,
}

/// Rows that are turned round at a time: with [`PANEL`] sums each they stay in the cache next to the processor.
const ROWS: usize = 256;

impl Panel {
    pub(super) fn new(first: usize, summands: usize, keys: usize) -> Self {
        Self { first, width: PANEL.min(summands - first), sums: vec![Vec::new(); keys], bound: 0 }
    }

    /// Adds rows; `cells` says by key which cell each is in, `sizes` how many cells there are by now.
    pub(super) fn add(&mut self, columns: &[Column], cells: &[Vec<u32>], sizes: &[usize]) -> Result<()> {
        let columns = &columns[self.first..self.first + self.width];
        let most = columns.iter().map(Column::bound).max().unwrap_or(0);
        self.bound = self.bound.saturating_add(most);
        let safe = self.bound <= i64::MAX as u128;
        for (sums, size) in self.sums.iter_mut().zip(sizes) {
            sums.resize(*size, [0; PANEL]);
        }
        let rows = cells.first().map_or(0, Vec::len);
        let mut turned = [[0_i64; PANEL]; ROWS];
        for start in (0..rows).step_by(ROWS) {
            let end = rows.min(start + ROWS);
            for (at, column) in columns.iter().enumerate() {
                match column {
                    Column::Bits(bits) => {
                        for (row, bit) in turned.iter_mut().zip(&bits[start..end]) {
                            row[at] = i64::from(*bit);
                        }
                    }
                    Column::Ints(ints) => {
                        for (row, int) in turned.iter_mut().zip(&ints[start..end]) {
                            row[at] = *int;
                        }
                    }
                }
            }
            for (sums, cells) in self.sums.iter_mut().zip(cells) {
                for (row, cell) in turned.iter().zip(&cells[start..end]) {
                    if *cell == NO_CELL {
                        continue;
                    }
                    let sum = &mut sums[*cell as usize];
                    if safe {
                        // No sum can overflow: see `bound`.
                        for (sum, value) in sum.iter_mut().zip(row) {
                            *sum = sum.wrapping_add(*value);
                        }
                    } else {
                        add_checked(sum, row)?;
                    }
                }
            }
        }
        Ok(())
    }

    /// Refuses sums that do not fit over all values of a slot, as soon as there are such and not only when segments and
    /// periods are put together. `cells` are those of the first key: each has every row that has a slot.
    pub(super) fn fits(&self, cells: &Cells) -> Result<()> {
        let (Some(sums), true) = (self.sums.first(), self.bound > i64::MAX as u128) else { return Ok(()) };
        let mut slots: BTreeMap<i32, Lane> = BTreeMap::new();
        for ((slot, _), sum) in cells.keys.iter().zip(sums) {
            add_checked(slots.entry(*slot).or_insert([0; PANEL]), sum)?;
        }
        Ok(())
    }

    /// Adds the sums of another panel; `moved` says by key where its cells went, `sizes` how many cells there are.
    pub(super) fn merge(&mut self, other: &Self, moved: &[Vec<u32>], sizes: &[usize]) -> Result<()> {
        self.bound = self.bound.saturating_add(other.bound);
        for (((sums, others), moved), size) in self.sums.iter_mut().zip(&other.sums).zip(moved).zip(sizes) {
            sums.resize(*size, [0; PANEL]);
            for (lane, cell) in others.iter().zip(moved) {
                add_checked(&mut sums[*cell as usize], lane)?;
            }
        }
        Ok(())
    }
}

/// Adds, or says that the sum is beyond what 64 bits hold.
pub(super) fn add_checked(sum: &mut Lane, value: &Lane) -> Result<()> {
    for (sum, value) in sum.iter_mut().zip(value) {
        *sum = sum.checked_add(*value).ok_or_else(|| Error::InputRefused {
            message: "the sum of a KPI does not fit 64 bits: amounts or durations of the input are beyond reason"
                .to_owned(),
            hint: Some("`ordersight check PIPELINE` shows the range of every column".to_owned()),
        })?;
    }
    Ok(())
}
