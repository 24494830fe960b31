//! Which published row is asked for, and what there is where it is not.

use super::Asked;
use crate::config::did_you_mean;
use crate::contract::segment;
use crate::error::{Error, Result};
use crate::kpi::{Grain, Measure};
use crate::query::answer;
use crate::types::time::{date_of, days_since_epoch};
use chrono::{Datelike, Days, Months, NaiveDate, Weekday};
use polars::prelude::*;
use std::path::Path;

/// The row of the `kpi` or `satisfaction` table that is asked for.
pub(super) struct Published {
    row: DataFrame,
    /// The table it stands in.
    pub(super) table: &'static str,
}

impl Published {
    /// A column as it is; none where it is null.
    pub(super) fn text(&self, column: &str) -> Option<String> {
        match self.row.column(column).ok()?.get(0).ok()? {
            AnyValue::Null => None,
            AnyValue::Date(day) => date_of(day).map(|d| d.to_string()),
            other => Some(other.str_value().into_owned()),
        }
    }

    /// A column as it is; none where it is null.
    pub(super) fn int(&self, column: &str) -> Option<i64> {
        self.row.column(column).ok()?.get(0).ok()?.extract::<i64>()
    }

    /// A column as it is; none where it is null.
    pub(super) fn float(&self, column: &str) -> Option<f64> {
        self.row.column(column).ok()?.get(0).ok()?.extract::<f64>()
    }
}

/// `carrier=DHL` as the segment and its value.
pub(super) fn read_segment(asked: Option<&str>, segments: &[String]) -> Result<(String, String)> {
    let Some(asked) = asked.filter(|asked| *asked != "all") else { return Ok(("all".to_owned(), "all".to_owned())) };
    let there = || match segments {
        [] => "the pipeline splits by none".to_owned(),
        some => format!("the pipeline splits by {}", some.join(", ")),
    };
    let (name, value) = asked.split_once('=').ok_or_else(|| Error::Usage {
        message: format!("--segment `{asked}` does not say a value; {}", there()),
        hint: Some("write it as carrier=DHL, or channel+carrier=web+DHL for a pair".to_owned()),
    })?;
    let same = |s: &&String| segment::parts(s).eq(segment::parts(name));
    let known = segments.iter().find(same).ok_or_else(|| Error::Usage {
        message: format!("KPIs are not split by `{name}`; {}", there()),
        hint: did_you_mean(name, segments.iter().map(String::as_str)),
    })?;
    Ok((known.clone(), value.to_owned()))
}

fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

/// The published row that is asked for.
pub(super) fn find(out: &Path, asked: &Asked, segment: &str, value: &str, of_kpi: &[&Measure]) -> Result<Published> {
    let place = format!("kpi = {} AND segment = {}", quoted(&asked.kpi), quoted(segment));
    let of_value = format!("{place} AND segment_value = {}", quoted(value));
    let (period, order) = match &asked.period {
        None => ("grain = 'month' AND mature".to_owned(), " ORDER BY period_start DESC LIMIT 1"),
        Some(period) => (read_period(period)?, ""),
    };
    for table in ["kpi", "satisfaction"] {
        let row = answer(out, &format!("SELECT * FROM {table} WHERE {of_value} AND {period}{order}"))?;
        if row.height() == 1 {
            return Ok(Published { row, table });
        }
    }
    // What there is instead.
    let list = |sql: &str, column: &str| -> Result<Vec<String>> {
        let mut found = Vec::new();
        for table in ["kpi", "satisfaction"] {
            let rows = answer(out, &sql.replace("FROM it", &format!("FROM {table}")))?;
            let texts =
                rows.column(column).and_then(|c| c.cast(&DataType::String)).map_err(Error::frames("explain"))?;
            found.extend(texts.str().map_err(Error::frames("explain"))?.iter().flatten().map(str::to_owned));
        }
        Ok(found)
    };
    let known = list(
        &format!(
            "SELECT segment_value, SUM(denominator) AS cases FROM it WHERE {place} GROUP BY segment_value \
             ORDER BY cases DESC, segment_value"
        ),
        "segment_value",
    )?;
    if !known.iter().any(|known| known == value) {
        let about = of_kpi.first().map_or("", |m| m.meaning);
        let message = match known.is_empty() {
            true => format!("`{}` ({about}) was not published for `{segment}`", asked.kpi),
            false => {
                let shown: Vec<&str> = known.iter().take(20).map(String::as_str).collect();
                let more = if known.len() > shown.len() { ", …" } else { "" };
                format!("`{}` has no `{segment}` = `{value}`; there are: {}{more}", asked.kpi, shown.join(", "))
            }
        };
        let hint = did_you_mean(value, known.iter().map(String::as_str))
            .or_else(|| known.is_empty().then(|| "`ordersight check` says what is missing for it".to_owned()));
        return Err(Error::Usage { message, hint });
    }
    let months = list(
        &format!("SELECT period_start FROM it WHERE {of_value} AND grain = 'month' ORDER BY period_start"),
        "period_start",
    )?;
    let months: Vec<&str> = months.iter().filter_map(|m| m.get(..7)).collect();
    let there = match (months.first(), months.last()) {
        (Some(first), Some(last)) => format!("; it has months from {first} to {last}"),
        _ => String::new(),
    };
    let what = asked.period.as_deref().map_or_else(|| "a mature month".to_owned(), |p| format!("the period `{p}`"));
    Err(Error::Usage {
        message: format!("`{}` was not counted over {what}{there}", asked.kpi),
        hint: Some(
            "periods are 2018-05, 2018-05-03, 2018-W18, trailing_30d or all, as far as `kpi.grains` has them"
                .to_owned(),
        ),
    })
}

/// A period as a condition on the table.
fn read_period(text: &str) -> Result<String> {
    let wrong = || Error::Usage {
        message: format!("--period `{text}` is not a period"),
        hint: Some(
            "write a month as 2018-05, a day as 2018-05-03, a week as 2018-W18, else trailing_30d or all".to_owned(),
        ),
    };
    match Grain::parse(text) {
        Some(grain @ (Grain::All | Grain::Trailing(_))) => return Ok(format!("grain = '{}'", grain.name())),
        Some(_) => return Err(wrong()),
        None => {}
    }
    let (grain, first) = if let Some((year, week)) = text.split_once("-W") {
        let (year, week) = (year.parse().map_err(|_| wrong())?, week.parse().map_err(|_| wrong())?);
        ("week", NaiveDate::from_isoywd_opt(year, week, Weekday::Mon).ok_or_else(wrong)?)
    } else if text.len() == 7 {
        ("month", format!("{text}-01").parse().map_err(|_| wrong())?)
    } else {
        ("day", text.parse().map_err(|_| wrong())?)
    };
    Ok(format!("grain = '{grain}' AND period_start = DATE '{first}'"))
}

/// The days of a period by its first.
pub(super) fn days_of(grain: &str, first: NaiveDate) -> Option<(i32, i32)> {
    let next = match Grain::parse(grain)? {
        Grain::All => return None,
        Grain::Day => first.checked_add_days(Days::new(1)),
        Grain::Week => first.checked_add_days(Days::new(7)),
        Grain::Month => first.with_day(1)?.checked_add_months(Months::new(1)),
        Grain::Trailing(days) => first.checked_add_days(Days::new(u64::from(days))),
    };
    Some((days_since_epoch(first), days_since_epoch(next?) - 1))
}

/// The values of a segment that were counted by themselves.
pub(super) fn values_of(out: &Path, table: &str, segment: &str) -> Result<Vec<String>> {
    let sql = format!("SELECT DISTINCT segment_value FROM {table} WHERE segment = {}", quoted(segment));
    let rows = answer(out, &sql)?;
    let texts = rows.column("segment_value").and_then(|c| c.str().cloned()).map_err(Error::frames("explain"))?;
    Ok(texts.iter().flatten().filter(|v| *v != "other").map(str::to_owned).collect())
}
