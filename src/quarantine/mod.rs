//! Rows that were refused: where they stood, why, and what to do. Nothing that was read may be missing from the counts.

mod reason;

pub use reason::Reason;

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// One refused row.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Rejected {
    /// Name of the source in the pipeline; for a row that only a mapping made, the table's name.
    pub source: String,
    /// File, relative to the source's folder.
    pub file: String,
    /// Record number in the file, 1 for the first after the header; 0 where a row has no single origin.
    pub row: u64,
    /// Input table the row was meant for, where the mapping had been reached.
    pub table: Option<String>,
    /// The first offending column.
    pub column: Option<String>,
    /// Why.
    pub reason: Reason,
    /// What was found and what is allowed, in words; never a personal value.
    pub detail: String,
    /// The order the row belongs to, if that could be read.
    pub order_id: Option<String>,
    /// The record as it came, as JSON, personal values masked.
    pub raw_record: String,
}

/// What became of the rows of one source or table.
///
/// The identity `read == accepted + quarantined + superseded` is checked at the end of every run.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tally {
    /// Rows read.
    pub read: u64,
    /// Rows that went on.
    pub accepted: u64,
    /// Rows refused.
    pub quarantined: u64,
    /// Rows replaced by a later row with the same key.
    pub superseded: u64,
}

impl Tally {
    /// Whether every row is accounted for.
    pub fn balances(&self) -> bool {
        self.read == self.accepted + self.quarantined + self.superseded
    }

    /// Share of rows refused, in `[0, 1]`; 0 when nothing was read.
    pub fn quarantined_share(&self) -> f64 {
        if self.read == 0 { 0.0 } else { self.quarantined as f64 / self.read as f64 }
    }
}

/// Tallies by source and by table, in the order of names.
pub type Tallies = BTreeMap<String, Tally>;
