//! Working time of the shop: what the pipeline file says of it, put beside the times of orders and tickets.

use crate::config::Pipeline;
use crate::error::Result;
use crate::kpi::calendar::{Calendar, Holidays, WorkingWeek};
use crate::kpi::in_working_time;
use crate::types::time::DAY;
use polars::prelude::DataFrame;
use std::borrow::Cow;
use std::collections::BTreeMap;

type Tables = BTreeMap<&'static str, DataFrame>;

/// The tables with the ends of stages in working time, if the pipeline has a calendar; else as they are.
///
/// # Errors
/// [`crate::error::Error::Frames`] only for defects.
pub(super) fn added<'t>(pipeline: &Pipeline, tables: &'t Tables, as_of: i64) -> Result<Cow<'t, Tables>> {
    let Some(time) = &pipeline.calendar else { return Ok(Cow::Borrowed(tables)) };
    let week = WorkingWeek { weekend: time.weekend.clone(), hours: time.hours };
    let mut holidays = Holidays::default();
    for (country, day, _) in &time.holidays {
        holidays.insert(country, *day);
    }
    // No order of an older shop than this is still being worked on, and nothing known ends after the clock.
    let calendar = Calendar::new(&week, &holidays, &time.country, pipeline.zone, as_of - YEARS * 366 * DAY, as_of);
    let mut tables = tables.clone();
    in_working_time(&mut tables, &calendar)?;
    Ok(Cow::Owned(tables))
}

/// Years before the clock for which days are laid out.
const YEARS: i64 = 60;
