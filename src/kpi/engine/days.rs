//! Calendar days of instants, looked up once a column: definitions ask for the same days again and again, and a question of
//! the zone's rules for every row takes longer than all else that is asked of it.

use crate::error::{Error, Result};
use crate::kpi::catalogue::local_day;
use crate::kpi::periods::LocalDays;
use chrono_tz::Tz;
use polars::prelude::*;

/// The expression with a column for every day of an instant column in it; `instants` has the names of these instants.
pub(super) fn looked_up(expr: &Expr, zone: Tz, instants: &mut Vec<String>) -> Expr {
    let mut known = Vec::new();
    for part in expr {
        if let Expr::Column(name) = part {
            known.push((name.clone(), local_day(col(name.clone()), zone)));
        }
    }
    expr.clone().map_expr(|part| match known.iter().find(|(_, day)| *day == part) {
        Some((name, _)) => {
            if !instants.iter().any(|known| known == name.as_str()) {
                instants.push(name.to_string());
            }
            col(column_of(name))
        }
        None => part,
    })
}

fn column_of(instant: &str) -> String {
    format!("_day_of_{instant}")
}

/// Rows with the days of `instants`.
pub(super) fn with_days(frame: &DataFrame, instants: &[String], zone: Tz) -> Result<DataFrame> {
    let stage = || Error::frames("days of KPI rows");
    let mut frame = frame.clone();
    for instant in instants {
        let times = frame.column(instant).and_then(|c| c.to_physical_repr().i64().cloned()).map_err(stage())?;
        let days = LocalDays::new(zone, times.min().unwrap_or(0), times.max().unwrap_or(0));
        let days: Int32Chunked = times.downcast_iter().flat_map(|a| a.iter()).map(|time| days.day(*time?)).collect();
        let days = days.with_name(column_of(instant).into()).into_column().cast(&DataType::Date).map_err(stage())?;
        frame.with_column(days).map_err(stage())?;
    }
    Ok(frame)
}
