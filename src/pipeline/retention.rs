//! What is let go of by `[output.keep]`: old rows of the tables that only grow.

use super::outlet::named;
use crate::config::Pipeline;
use crate::error::Result;
use crate::publish::Staging;
use crate::types::time::parse_span;

/// Lets go of old rows with the commit that is being made. Rows of `runs` are as old as the wall clock `now` says, late rows
/// as the watermark `as_of` says; UTC microseconds.
///
/// # Errors
/// As [`Staging::forget`].
pub(super) fn let_go(pipeline: &Pipeline, staging: &mut Staging, (as_of, now): (i64, i64)) -> Result<()> {
    let keep = &pipeline.raw.output.keep;
    let of = [("runs", "started_at", &keep.runs, now), ("late_rows", "watermark", &keep.late_rows, as_of)];
    for (table, column, span, clock) in of {
        // The schema has checked it.
        if let Some(span) = span.as_deref().and_then(parse_span) {
            staging.forget(named(table)?, column, clock.saturating_sub(span))?;
        }
    }
    Ok(())
}
