//! From rows of a frame to narrow columns of numbers: what each row adds, its slots, its segment values.

use super::cells::{Column, Names};
use super::days::with_days;
use super::plan::{Plan, SubjectPlan};
use crate::error::{Error, Result};
use crate::kpi::periods::{LocalDays, Periods};
use crate::kpi::segment::NO_VALUE;
use foldhash::fast::FixedState;
use polars::prelude::{Column as FrameColumn, *};
use rayon::prelude::*;
use std::collections::HashMap;

/// Some rows of a subject.
#[derive(Debug)]
pub(super) struct Block {
    /// By column of segments.
    pub(super) values: Vec<Texts>,
    pub(super) groups: Vec<Rows>,
}

/// What a group of measures counts of these rows.
#[derive(Debug)]
pub(super) struct Rows {
    /// The slot of each row, none if it has no time on this clock.
    pub(super) slots: Vec<Option<i32>>,
    /// The last day among them.
    pub(super) last: Option<i32>,
    /// By summand.
    pub(super) columns: Vec<Column>,
    /// By span: microseconds.
    pub(super) spans: Vec<Vec<Option<i64>>>,
}

/// A column of texts, by number of the text.
#[derive(Debug)]
pub(super) struct Texts {
    names: Vec<String>,
    rows: Vec<u32>,
}

impl Texts {
    /// The same by the numbers of `names`, to which new ones are added.
    pub(super) fn numbered(&self, names: &mut Names) -> Vec<u32> {
        let numbers: Vec<u32> = self.names.iter().map(|name| names.number(name)).collect();
        self.rows.iter().map(|row| numbers[*row as usize]).collect()
    }

    fn of(texts: &StringChunked) -> Self {
        let mut known: HashMap<&str, u32, FixedState> = HashMap::default();
        let mut names = Vec::new();
        let mut last: Option<(&str, u32)> = None;
        let rows = texts.downcast_iter().flat_map(|array| array.iter()).map(|text| {
            let text = text.unwrap_or(NO_VALUE);
            match last {
                Some((same, number)) if same == text => number,
                _ => {
                    let number = *known.entry(text).or_insert_with(|| {
                        names.push(text.to_owned());
                        names.len() as u32 - 1
                    });
                    last = Some((text, number));
                    number
                }
            }
        });
        let rows = rows.collect();
        Self { names, rows }
    }
}

/// Evaluates everything about the rows of a subject at once.
pub(super) fn read(frame: &DataFrame, of: &SubjectPlan<'_>, plan: &Plan<'_>) -> Result<Block> {
    let stage = || Error::frames("KPI rows");
    let mut asked = Vec::new();
    asked.extend(of.columns.iter().enumerate().map(|(at, c)| col(c).cast(DataType::String).alias(format!("v{at}"))));
    for (g, group) in of.groups.iter().enumerate() {
        asked.push(col(group.basis).to_physical().cast(DataType::Int64).alias(format!("t{g}")));
        asked.extend(group.summands.iter().enumerate().map(|(k, e)| e.clone().alias(format!("s{g}_{k}"))));
        asked.extend(group.spans.iter().enumerate().map(|(k, e)| e.clone().alias(format!("d{g}_{k}"))));
    }
    let rows = with_days(frame, &of.instants, plan.clock.zone)?.lazy().select(asked).collect().map_err(stage())?;
    let column = |name: &str| rows.column(name).map_err(stage());
    let text = |at: usize| column(&format!("v{at}"))?.str().cloned().map_err(stage());
    let texts = (0..of.columns.len()).map(text).collect::<Result<Vec<StringChunked>>>()?;
    let of_columns = texts.par_iter().map(Texts::of).collect();
    let mut groups = Vec::with_capacity(of.groups.len());
    for (g, group) in of.groups.iter().enumerate() {
        let times = column(&format!("t{g}"))?.i64().cloned().map_err(stage())?;
        let named = |kind: char, n: usize| {
            (0..n).map(|k| column(&format!("{kind}{g}_{k}"))).collect::<Result<Vec<&FrameColumn>>>()
        };
        let (summands, spans) = (named('s', group.summands.len())?, named('d', group.spans.len())?);
        let summands = summands.into_iter().map(summand).collect::<Result<Vec<_>>>()?;
        let spans = spans.into_iter().map(|c| c.i64().cloned().map_err(stage())).collect::<Result<Vec<_>>>()?;
        let (slots, last) = slots(&times, &plan.periods, plan.clock.zone);
        groups.push(Rows {
            slots,
            last,
            columns: summands.par_iter().map(Summand::column).collect(),
            spans: spans.par_iter().map(|s| values(s).collect()).collect(),
        });
    }
    Ok(Block { values: of_columns, groups })
}

/// A column as it was evaluated.
enum Summand {
    Bits(BooleanChunked),
    Ints(Int64Chunked),
}

fn summand(column: &FrameColumn) -> Result<Summand> {
    let stage = || Error::frames("KPI rows");
    if column.dtype() == &DataType::Boolean {
        return Ok(Summand::Bits(column.bool().cloned().map_err(stage())?));
    }
    let ints = column.cast(&DataType::Int64).map_err(stage())?;
    Ok(Summand::Ints(ints.i64().cloned().map_err(stage())?))
}

impl Summand {
    /// Null adds nothing.
    fn column(&self) -> Column {
        match self {
            Self::Bits(bits) => {
                let mut all = Vec::with_capacity(bits.len());
                for array in bits.downcast_iter() {
                    match array.validity() {
                        Some(valid) => {
                            all.extend(
                                array.values().iter().zip(valid.iter()).map(|(bit, valid)| u8::from(bit & valid)),
                            );
                        }
                        None => all.extend(array.values().iter().map(u8::from)),
                    }
                }
                Column::Bits(all)
            }
            Self::Ints(ints) => Column::Ints(values(ints).map(|int| int.unwrap_or(0)).collect()),
        }
    }
}

/// By row, piece after piece: the column's own iterator is called through a pointer for every row.
fn values(ints: &Int64Chunked) -> impl Iterator<Item = Option<i64>> {
    ints.downcast_iter().flat_map(|array| array.iter().map(|value| value.copied()))
}

/// The slot of each row's day in the zone, and the last day.
fn slots(times: &Int64Chunked, periods: &Periods, zone: chrono_tz::Tz) -> (Vec<Option<i32>>, Option<i32>) {
    let (Some(first), Some(last)) = (times.min(), times.max()) else { return (vec![None; times.len()], None) };
    let days = LocalDays::new(zone, first, last);
    let (mut known, mut last_day) = (None, None);
    let slots = values(times).map(|time| {
        let day = days.day(time?)?;
        last_day = last_day.max(Some(day));
        match known {
            Some((same, slot)) if same == day => Some(slot),
            _ => {
                let slot = periods.slot(day);
                known = Some((day, slot));
                Some(slot)
            }
        }
    });
    let slots = slots.collect();
    (slots, last_day)
}
