//! Feature columns: what the kernel gives back, one row a query.

use super::NO_VALUE;
use super::declare::Aggregate;
use super::sort::PART_ROWS;
use rayon::prelude::*;
use std::sync::atomic::{AtomicI64, AtomicU32, AtomicU64, Ordering::Relaxed};

/// A feature of every query, in the order of the queries.
#[derive(Debug, Clone, PartialEq)]
pub struct Column {
    /// `{what}_{agg}_{window}`.
    pub name: String,
    /// The values.
    pub values: Values,
}

impl Column {
    /// A column that has not been filled.
    pub(super) fn empty(name: String) -> Self {
        Self { name, values: Values::Count(Vec::new()) }
    }
}

/// Values of a feature. A row is null where [`Values::get`] says so.
#[derive(Debug, Clone)]
pub enum Values {
    /// Counts; `u32::MAX` is null.
    Count(Vec<u32>),
    /// Minor units (sum, max) or microseconds (since last); [`NO_VALUE`] is null.
    Integer(Vec<i64>),
    /// Means and rates; NaN is null.
    Real(Vec<f64>),
}

impl Values {
    /// Number of rows.
    pub fn len(&self) -> usize {
        match self {
            Self::Count(values) => values.len(),
            Self::Integer(values) => values.len(),
            Self::Real(values) => values.len(),
        }
    }

    /// Whether there are no rows.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// One value as models take it; `None` is null.
    pub fn get(&self, row: usize) -> Option<f64> {
        match self {
            Self::Count(values) => values.get(row).filter(|&&v| v != NO_COUNT).map(|&v| f64::from(v)),
            Self::Integer(values) => values.get(row).filter(|&&v| v != NO_VALUE).map(|&v| v as f64),
            Self::Real(values) => values.get(row).copied().filter(|v| !v.is_nan()),
        }
    }

    /// All values as models take them; NaN is null.
    pub fn reals(&self) -> Vec<f64> {
        fn each<T: Sync>(values: &[T], real: impl Fn(&T) -> f64 + Sync + Send) -> Vec<f64> {
            values.par_iter().with_min_len(PART_ROWS).map(real).collect()
        }
        match self {
            Self::Count(values) => each(values, |&v| if v == NO_COUNT { f64::NAN } else { f64::from(v) }),
            Self::Integer(values) => each(values, |&v| if v == NO_VALUE { f64::NAN } else { v as f64 }),
            Self::Real(values) => each(values, |&v| if v.is_nan() { f64::NAN } else { v }),
        }
    }
}

/// Equal to the bit: null equals null.
impl PartialEq for Values {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Count(a), Self::Count(b)) => a == b,
            (Self::Integer(a), Self::Integer(b)) => a == b,
            (Self::Real(a), Self::Real(b)) => {
                a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a.to_bits() == b.to_bits())
            }
            _ => false,
        }
    }
}

/// The null of a count.
const NO_COUNT: u32 = u32::MAX;

/// A place that one thread fills while others fill others. Relaxed stores cost what plain ones do.
pub(super) trait Slot: Send + Sync {
    /// What it holds.
    type Value: Copy + Send + Sync;
    fn empty() -> Self;
    fn set(&self, value: Self::Value);
    fn get(&self) -> Self::Value;
    fn into_inner(self) -> Self::Value;
}

macro_rules! slots {
    ($($atomic:ty, $value:ty, $null:expr);*) => {$(
        impl Slot for $atomic {
            type Value = $value;
            fn empty() -> Self {
                Self::new($null)
            }
            fn set(&self, value: $value) {
                self.store(value, Relaxed);
            }
            fn get(&self) -> $value {
                self.load(Relaxed)
            }
            fn into_inner(self) -> $value {
                Self::into_inner(self)
            }
        }
    )*};
}
slots!(AtomicU32, u32, NO_COUNT; AtomicI64, i64, NO_VALUE);

/// A real number in a slot.
pub(super) struct AtomicReal(AtomicU64);

impl Slot for AtomicReal {
    type Value = f64;
    fn empty() -> Self {
        Self(AtomicU64::new(f64::NAN.to_bits()))
    }
    fn set(&self, value: f64) {
        self.0.store(value.to_bits(), Relaxed);
    }
    fn get(&self) -> f64 {
        f64::from_bits(self.0.load(Relaxed))
    }
    fn into_inner(self) -> f64 {
        f64::from_bits(self.0.into_inner())
    }
}

/// A column that is being filled, in the order of the sort's slots.
pub(super) enum Sink {
    Count(Vec<AtomicU32>),
    Integer(Vec<AtomicI64>),
    Real(Vec<AtomicReal>),
}

impl Sink {
    /// All null.
    pub(super) fn new(aggregate: Aggregate, slots: usize) -> Self {
        match aggregate {
            Aggregate::Count | Aggregate::Distinct => Self::Count(empty(slots)),
            Aggregate::Sum | Aggregate::Max | Aggregate::SinceLast => Self::Integer(empty(slots)),
            Aggregate::Mean | Aggregate::Rate { .. } => Self::Real(empty(slots)),
        }
    }

    /// The column in the order of the rows, whose slots these are; `None`: every row is its own.
    pub(super) fn finish(self, slots: Option<&[u32]>, spare: &mut Spare) -> Values {
        match self {
            Self::Count(cells) => Values::Count(in_rows(cells, slots, &mut spare.counts)),
            Self::Integer(cells) => Values::Integer(in_rows(cells, slots, &mut spare.integers)),
            Self::Real(cells) => Values::Real(in_rows(cells, slots, &mut spare.reals)),
        }
    }
}

/// From which size on a finished column's memory is kept for the next: what is smaller the C library keeps by itself, and
/// kept twice it would be held in vain.
const KEPT_IN_BYTES: usize = 32 << 20;

/// Memory of columns already finished, for those to come: fresh memory costs as much as the work done in it.
#[derive(Default)]
pub(super) struct Spare {
    counts: Vec<u32>,
    integers: Vec<i64>,
    reals: Vec<f64>,
}

fn empty<S: Slot>(slots: usize) -> Vec<S> {
    (0..slots).into_par_iter().with_min_len(PART_ROWS).map(|_| S::empty()).collect()
}

fn in_rows<S: Slot>(cells: Vec<S>, slots: Option<&[u32]>, spare: &mut Vec<S::Value>) -> Vec<S::Value> {
    let Some(slots) = slots else { return cells.into_iter().map(S::into_inner).collect() };
    let null = S::empty().get();
    let mut rows = std::mem::take(spare);
    // A row without an entity has no slot.
    slots
        .par_iter()
        .with_min_len(PART_ROWS)
        .map(|&slot| cells.get(slot as usize).map_or(null, S::get))
        .collect_into_vec(&mut rows);
    if size_of_val(cells.as_slice()) >= KEPT_IN_BYTES {
        *spare = cells.into_iter().map(S::into_inner).collect();
    }
    rows
}
