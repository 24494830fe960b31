//! What came later than the stream waits for.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Counts of what came late. It is counted in KPIs like everything else; scores that were given stay as they are.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Ledger {
    /// Rows that came after the watermark had passed their time, by table.
    pub(super) rows: BTreeMap<String, u64>,
}

impl Ledger {
    /// Late rows of all tables.
    pub(super) fn total(&self) -> u64 {
        self.rows.values().sum()
    }
}
