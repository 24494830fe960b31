//! What came later than was waited for.

use super::gathered::Gathered;
use super::{Scoring, Stepped, ids};
use crate::contract::input::table;
use crate::error::Result;
use crate::pipeline::scores::ints;

/// A row that came after the watermark had passed its time.
pub(in crate::pipeline::stream) struct LateRow {
    pub(in crate::pipeline::stream) table: &'static str,
    pub(in crate::pipeline::stream) order_id: Option<String>,
    /// When it was to be known, UTC microseconds.
    pub(in crate::pipeline::stream) at: i64,
}

impl Scoring<'_> {
    /// Counts what is older than the watermark was, and new.
    pub(super) fn late(
        &self,
        Gathered { tables, rows, .. }: &Gathered,
        asking: usize,
        before: i64,
        stepped: &mut Stepped,
    ) -> Result<()> {
        for (name, frame) in
            tables.iter().filter(|(name, frame)| frame.height() > 0 && (**name == "orders" || rows.contains_key(*name)))
        {
            let Some(contract) = table(name) else { continue };
            let ids = ids(frame)?;
            // Of orders, those that ask are new.
            let frame = if rows.contains_key(name) { frame } else { &frame.slice(0, asking) };
            // What becomes known after it happened is late by when it was known.
            let known = match frame.get_column_index("known_at") {
                Some(_) => ints(frame, "known_at")?,
                None => Vec::new(),
            };
            for (row, happened) in ints(frame, contract.clock)?.into_iter().enumerate() {
                let at = happened.max(known.get(row).copied().flatten());
                let is_new = || rows.get(name).is_none_or(|rows| !self.following.knows(rows[row]));
                if let Some(at) = at.filter(|at| *at < before && is_new()) {
                    stepped.late.push(LateRow { table: name, order_id: ids.get(row).map(str::to_owned), at });
                }
            }
        }
        Ok(())
    }
}
