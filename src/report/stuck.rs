//! What is stuck, as the page shows it: counts by kind, and the first rows of the work list.

use super::data::Source;
use super::words::Foreign;
use crate::error::Result;
use serde::Deserialize;

/// Rows of the work list on the page.
pub(super) const STUCK_SHOWN: usize = 15;

/// Open exceptions.
#[derive(Debug)]
pub(super) struct Stuck {
    /// By kind, the most urgent kinds first.
    pub(super) kinds: Vec<StuckKind>,
    /// The first of the work list.
    pub(super) first: Vec<StuckOrder>,
}

/// Exceptions of one kind.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct StuckKind {
    pub(super) kind: Foreign,
    pub(super) open: i64,
    pub(super) critical: i64,
    pub(super) high: i64,
    pub(super) value: Option<i64>,
    pub(super) oldest_hours: Option<f64>,
}

/// One exception.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct StuckOrder {
    pub(super) rank: i64,
    pub(super) order_id: Option<Foreign>,
    pub(super) reference: Option<Foreign>,
    pub(super) kind: Foreign,
    pub(super) severity: Foreign,
    pub(super) age_hours: Option<f64>,
    pub(super) value_at_risk: Option<i64>,
    pub(super) detail: Foreign,
    pub(super) suggested_action: Foreign,
}

/// Reads open exceptions; `None` where no run has looked for any.
pub(super) fn load(source: &Source<'_>) -> Result<Option<Stuck>> {
    if !source.has("exceptions") {
        return Ok(None);
    }
    let kinds = "SELECT kind, COUNT(*) AS open, SUM(CASE WHEN severity = 'critical' THEN 1 ELSE 0 END) AS critical, \
                 SUM(CASE WHEN severity = 'high' THEN 1 ELSE 0 END) AS high, SUM(value_at_risk) AS value, \
                 MAX(age_hours) AS oldest_hours FROM exceptions GROUP BY kind \
                 ORDER BY critical DESC, high DESC, open DESC, kind";
    let first = format!(
        "SELECT \"rank\", order_id, reference, kind, severity, age_hours, value_at_risk, detail, suggested_action \
         FROM exceptions ORDER BY \"rank\" LIMIT {STUCK_SHOWN}"
    );
    Ok(Some(Stuck { kinds: source.rows("exceptions", kinds)?, first: source.rows("exceptions", &first)? }))
}
