//! Feature columns: what the kernel gives back, one row a query.

use super::declare::Aggregate;
use super::NO_VALUE;
use std::sync::atomic::{AtomicI64, AtomicU32, AtomicU64, Ordering::Relaxed};

/// A feature of every query, in the order of the queries.
#[derive(Debug, Clone, PartialEq)]
pub struct Column {
    /// `{what}_{agg}_{window}`.
    pub name: String,
    /// The values.
    pub values: Values,
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

/// A column that is being filled: each row by one thread, rows in no order. Relaxed stores cost what plain ones do.
pub(super) enum Sink {
    Count(Vec<AtomicU32>),
    Integer(Vec<AtomicI64>),
    Real(Vec<AtomicU64>),
}

impl Sink {
    /// All null.
    pub(super) fn new(aggregate: Aggregate, rows: usize) -> Self {
        match aggregate {
            Aggregate::Count | Aggregate::Distinct => Self::Count((0..rows).map(|_| AtomicU32::new(NO_COUNT)).collect()),
            Aggregate::Sum | Aggregate::Max | Aggregate::SinceLast => {
                Self::Integer((0..rows).map(|_| AtomicI64::new(NO_VALUE)).collect())
            }
            Aggregate::Mean | Aggregate::Rate { .. } => {
                Self::Real((0..rows).map(|_| AtomicU64::new(f64::NAN.to_bits())).collect())
            }
        }
    }

    pub(super) fn count(&self, row: u32, value: u32) {
        if let Self::Count(cells) = self {
            cells[row as usize].store(value, Relaxed);
        }
    }

    pub(super) fn integer(&self, row: u32, value: i64) {
        if let Self::Integer(cells) = self {
            cells[row as usize].store(value, Relaxed);
        }
    }

    pub(super) fn real(&self, row: u32, value: f64) {
        if let Self::Real(cells) = self {
            cells[row as usize].store(value.to_bits(), Relaxed);
        }
    }

    pub(super) fn finish(self) -> Values {
        match self {
            Self::Count(cells) => Values::Count(cells.into_iter().map(AtomicU32::into_inner).collect()),
            Self::Integer(cells) => Values::Integer(cells.into_iter().map(AtomicI64::into_inner).collect()),
            Self::Real(cells) => {
                Values::Real(cells.into_iter().map(|cell| f64::from_bits(cell.into_inner())).collect())
            }
        }
    }
}
