//! From a figure back to the rows it was counted from.

use super::catalogue::local_day;
use super::facts::{Facts, micros};
use super::measure::{Measure, Shape};
use super::segment::segment_value;
use crate::error::{Error, Result};
use crate::types::time::format_instant;
use chrono_tz::Tz;
use polars::prelude::*;

/// Which of a measure's rows are asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cut {
    /// First and last day of the period in `zone`, as days since 1970-01-01; none: all days.
    pub days: Option<(i32, i32)>,
    /// Zone of days.
    pub zone: Tz,
    /// The segment as the pipeline names it; `all` is the whole.
    pub segment: String,
    /// What the segment's value must be.
    pub value: SegmentValue,
}

/// A value of a segment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SegmentValue {
    /// This one.
    Is(String),
    /// Any but these: the small ones that were counted together.
    NoneOf(Vec<String>),
}

/// The rows behind a figure.
#[derive(Debug)]
pub struct Followed {
    /// One row per counted row: its ids, `counted_in` (`numerator` or `denominator`: below the line only), what it added
    /// `above` and `below` (for durations `seconds`), the time on the measure's clock, and the facts that decided.
    pub rows: DataFrame,
    /// The sum above the line; none where the figure has none (quantiles).
    pub numerator: Option<i64>,
    /// The sum below the line; for totals how many rows had a value.
    pub denominator: i64,
}

/// Columns by which rows are known, as far as a subject has them.
const IDS: [&str; 8] = ["order_id", "line", "sku", "category", "return_id", "ticket_id", "feedback_id", "customer_id"];

/// Finds the rows that a measure counted for the figure it publishes as `kpi`; `None` where the facts or the segment give
/// none. Rows above the line come first, then the longest durations or the latest on the measure's clock.
///
/// # Errors
/// [`Error::Frames`] only for defects.
pub fn follow(facts: &Facts, measure: &Measure, kpi: &str, cut: &Cut) -> Result<Option<Followed>> {
    let stage = || Error::frames(format!("following `{kpi}`"));
    let Some(frame) = facts.frame(measure.subject) else { return Ok(None) };
    let Some(value) = segment_value(&cut.segment, measure.subject, &facts.available) else { return Ok(None) };
    let mut asked = col(measure.basis).is_not_null();
    if let Some((first, last)) = cut.days {
        let day = || local_day(col(measure.basis), cut.zone).to_physical();
        asked = asked.and(day().gt_eq(lit(first))).and(day().lt_eq(lit(last)));
    }
    asked = match &cut.value {
        SegmentValue::Is(text) => asked.and(value.cast(DataType::String).eq(lit(text.clone()))),
        SegmentValue::NoneOf(texts) => texts
            .iter()
            .fold(asked, |asked, text| asked.and(value.clone().cast(DataType::String).neq(lit(text.clone())))),
    };
    let [above, below] = added(measure, kpi);
    let whole = |e: Expr| e.cast(DataType::Int64).fill_null(lit(0_i64));
    let (above, below) = (whole(above), whole(below));
    let mut shown: Vec<String> =
        IDS.iter().filter(|id| frame.get_column_index(id).is_some()).map(|id| (*id).to_owned()).collect();
    let mut columns: Vec<Expr> = shown.iter().map(col).collect();
    let (is_duration, part) = (matches!(measure.shape, Shape::Duration { .. }), measure.part(kpi));
    let hit = if matches!(part, "p50" | "p90" | "mean") { col("_below").gt(lit(0)) } else { col("_above").neq(lit(0)) };
    for name in std::iter::once(measure.basis.to_owned()).chain(names(measure)) {
        if !shown.contains(&name) && frame.get_column_index(&name).is_some() {
            columns.push(col(name.as_str()));
            shown.push(name);
        }
    }
    let rows = frame
        .clone()
        .lazy()
        .filter(asked)
        .with_columns([above.alias("_above"), below.alias("_below")])
        .filter(col("_above").neq(lit(0)).or(col("_below").neq(lit(0))))
        .with_column(when(hit).then(lit("numerator")).otherwise(lit("denominator")).alias("counted_in"));
    let by_size = is_duration && part != "open_share";
    let order = if by_size { "_above" } else { measure.basis };
    let mut by: Vec<PlSmallStr> = vec!["counted_in".into(), order.into()];
    let mut descending = vec![true, true];
    for id in shown.iter().filter(|id| IDS.contains(&id.as_str())) {
        by.push(id.as_str().into());
        descending.push(false);
    }
    let rows = rows
        .sort(by, SortMultipleOptions::default().with_order_descending_multi(descending).with_nulls_last(true))
        .collect()
        .map_err(stage())?;
    let sum = |name: &str| rows.column(name).and_then(|c| Ok(c.i64()?.sum().unwrap_or(0))).map_err(stage());
    let (numerator, denominator) = (sum("_above")?, sum("_below")?);
    // Times are added up to the microsecond and published in whole seconds.
    let numerator = match part {
        "p50" | "p90" => None,
        "mean" => Some(numerator.div_euclid(crate::types::time::SECOND)),
        _ => Some(numerator),
    };
    let mut ids: Vec<Expr> =
        columns.iter().take(shown.iter().filter(|n| IDS.contains(&n.as_str())).count()).cloned().collect();
    ids.push(col("counted_in"));
    match (&measure.shape, by_size) {
        (_, true) => {
            let seconds = col("_above").cast(DataType::Float64) / lit(crate::types::time::SECOND as f64);
            ids.push(seconds.alias("seconds"));
        }
        (Shape::Total(_), _) => ids.push(col("_above").alias("added")),
        (Shape::Ratio { .. }, _) => ids.extend([col("_above").alias("above"), col("_below").alias("below")]),
        (Shape::Proportion { .. } | Shape::Duration { .. }, _) => {}
    }
    ids.extend(columns.into_iter().skip(shown.iter().filter(|n| IDS.contains(&n.as_str())).count()));
    let rows = rows.lazy().select(ids).collect().map_err(stage())?;
    Ok(Some(Followed { rows, numerator, denominator }))
}

/// What a row adds above and below the line, as the engine counts it.
fn added(measure: &Measure, kpi: &str) -> [Expr; 2] {
    match &measure.shape {
        Shape::Total(sum) => [sum.clone(), sum.clone().is_not_null()],
        Shape::Proportion { hit, trial } => [hit.clone().and(trial.clone()), trial.clone()],
        Shape::Ratio { above, below } => [above.clone(), below.clone()],
        Shape::Duration { from, to, ended } => {
            let begun = || col(*from).is_not_null();
            if measure.part(kpi) == "open_share" {
                return [begun().and(col(*to).is_null()).and(ended.clone().not()), begun()];
            }
            let length = micros(to) - micros(from);
            let passed = length.clone().gt_eq(lit(0));
            [when(passed.clone()).then(length).otherwise(lit(NULL)), passed]
        }
    }
}

/// The columns that decide whether a row counts.
fn names(measure: &Measure) -> Vec<String> {
    let mut names = Vec::new();
    let mut of = |expr: &Expr| {
        for part in expr {
            if let Expr::Column(name) = part
                && !names.iter().any(|known| known == name.as_str())
            {
                names.push(name.to_string());
            }
        }
    };
    match &measure.shape {
        Shape::Total(sum) => of(sum),
        Shape::Proportion { hit, trial } => {
            of(hit);
            of(trial);
        }
        Shape::Ratio { above, below } => {
            of(above);
            of(below);
        }
        Shape::Duration { from, to, ended } => {
            of(&col(*from));
            of(&col(*to));
            of(ended);
        }
    }
    names
}

/// How a figure is made, in words and in the expressions that are computed.
pub fn formula(measure: &Measure, kpi: &str) -> Vec<(&'static str, String)> {
    let line = |what: &'static str, expr: &Expr| (what, readable(&expr.to_string()));
    match &measure.shape {
        Shape::Total(sum) => vec![("value", "the sum over all rows".to_owned()), line("summed", sum)],
        Shape::Proportion { hit, trial } => vec![
            ("value", "rows in the numerator / rows in the denominator".to_owned()),
            line("denominator", trial),
            line("numerator", hit),
        ],
        Shape::Ratio { above, below } => {
            vec![("value", "one sum over the other".to_owned()), line("above", above), line("below", below)]
        }
        Shape::Duration { from, to, ended } => {
            let what = match measure.part(kpi) {
                "p50" => "the median over rows that have both times, interpolated between neighbours",
                "p90" => "the time within which nine of ten rows came through, interpolated between neighbours",
                "mean" => "the mean over rows that have both times",
                _ => "rows that began and still can come through / rows that began",
            };
            vec![("value", what.to_owned()), ("time", format!("from {from} to {to}")), line("ended", ended)]
        }
    }
}

/// An expression as a reader takes it: without the engine's types, instants as instants.
fn readable(text: &str) -> String {
    let mut text = text.replace("dyn int: ", "");
    for (from, to) in [("col(\"", "`"), ("\")", "`"), (".to_physical()", ""), ("[(", "("), (")]", ")")] {
        text = text.replace(from, to);
    }
    for types in [".cast(Datetime('μs', 'UTC'))", ".cast(Int64)"] {
        text = text.replace(types, "");
    }
    let mut out = String::with_capacity(text.len());
    let mut rest = text.as_str();
    while let Some(at) = rest.find(|c: char| c.is_ascii_digit()) {
        out.push_str(&rest[..at]);
        let end = rest[at..].find(|c: char| !c.is_ascii_digit()).map_or(rest.len(), |n| at + n);
        let number = &rest[at..end];
        // Microseconds since 1970 have sixteen digits from 2001 on; no count or amount is that large.
        match number.parse::<i64>() {
            Ok(micros) if number.len() == 16 => out.push_str(&format_instant(micros)),
            _ => out.push_str(number),
        }
        rest = &rest[end..];
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_expression_reads_without_the_types_of_the_engine() {
        let late = col("shipped_at").gt(col("promised_ship_at"));
        let due = micros("promised_ship_at").lt_eq(lit(1_539_820_800_000_000_i64));
        assert_eq!(readable(&late.to_string()), "(`shipped_at`) > (`promised_ship_at`)");
        assert_eq!(readable(&due.to_string()), "(`promised_ship_at`) <= (2018-10-18T00:00:00Z)");
    }
}
