//! The ledger of rows that came after the watermark had passed their time.

use super::Journal;
use crate::error::{Error, Result};
use crate::pipeline::stream::scoring::LateRow;
use crate::types::time::HOUR;
use polars::prelude::*;

impl Journal {
    /// The rows that the ledger of what came late gets. They move the KPIs like everything else; scores that were given
    /// stay.
    ///
    /// # Errors
    /// [`Error::Frames`] only for defects.
    pub(in crate::pipeline::stream) fn late(&mut self, late: &[LateRow]) -> Result<Option<DataFrame>> {
        let Some(watermark) = self.before.filter(|_| !late.is_empty()) else { return Ok(None) };
        let instant = DataType::Datetime(TimeUnit::Microseconds, Some(TimeZone::UTC));
        let stage = || Error::frames("late rows");
        let effect = |row: &LateRow| match row.table {
            "orders" => "scored on what was known when it came; scores of orders placed after it stay as given",
            _ => "counts from now on; scores given since its time stay as given",
        };
        let times = |name: &str, pick: &dyn Fn(&LateRow) -> i64| {
            Column::new(name.into(), late.iter().map(pick).collect::<Vec<i64>>()).cast(&instant).map_err(stage())
        };
        let columns = vec![
            Column::new("epoch".into(), vec![self.progress.epoch as i64; late.len()]),
            Column::new("table".into(), late.iter().map(|row| row.table).collect::<Vec<_>>()),
            Column::new("order_id".into(), late.iter().map(|row| row.order_id.as_deref()).collect::<Vec<_>>()),
            times("at", &|row| row.at)?,
            times("watermark", &|_| watermark)?,
            Column::new(
                "late_hours".into(),
                late.iter().map(|row| (watermark - row.at) as f64 / HOUR as f64).collect::<Vec<_>>(),
            ),
            Column::new("effect".into(), late.iter().map(effect).collect::<Vec<_>>()),
        ];
        for row in late {
            *self.progress.late.entry(row.table.to_owned()).or_default() += 1;
        }
        DataFrame::new(late.len(), columns).map(Some).map_err(stage())
    }
}
