//! Rows of the `kpi` table, by column.

use super::cells::Names;
use crate::config::Target;
use crate::error::{Error, Result};
use crate::types::interval::wilson95;
use polars::prelude::*;
use rayon::prelude::*;
use std::sync::Arc;

/// What rows of one period and segment value have in common. Texts are numbers of [`Rows::text`].
#[derive(Debug, Clone, Copy)]
pub(super) struct Place {
    pub(super) grain: u32,
    pub(super) period_start: Option<i32>,
    pub(super) segment: u32,
    pub(super) segment_value: u32,
}

/// What rows of one figure have in common.
#[derive(Debug, Clone)]
pub(super) struct Label<'p> {
    pub(super) kpi: u32,
    pub(super) basis: u32,
    pub(super) unit: u32,
    /// What it is held against, and the version of the pack.
    pub(super) target: Option<(&'p Target, u32)>,
    /// Whether numerator and denominator are a proportion, which has an interval.
    pub(super) proportion: bool,
    pub(super) quantile_error: Option<f64>,
}

/// A row, by the numbers of its place and label.
#[derive(Debug, Clone, Copy)]
pub(super) struct Row {
    pub(super) place: u32,
    pub(super) label: u32,
    /// [`i64::MIN`] is none.
    pub(super) numerator: i64,
    /// [`i64::MIN`] is none.
    pub(super) denominator: i64,
    pub(super) value: f64,
    pub(super) mature: bool,
}

/// How a column of the table is made of rows.
enum Pick<'r> {
    /// The number of a text.
    Text(&'r (dyn Fn(&Row) -> Option<u32> + Sync)),
    Day(&'r (dyn Fn(&Row) -> Option<i32> + Sync)),
    /// [`i64::MIN`] is none.
    Int(&'r (dyn Fn(&Row) -> i64 + Sync)),
    Float(&'r (dyn Fn(&Row) -> Option<f64> + Sync)),
    Bit(&'r (dyn Fn(&Row) -> Option<bool> + Sync)),
}

/// All rows so far. A shop of a few years has millions by day and pair of segments, so they are kept narrow: every text,
/// place and label once, and what follows from the counts is worked out at the end.
#[derive(Debug, Default)]
pub(super) struct Rows<'p> {
    texts: Names,
    pub(super) places: Vec<Place>,
    pub(super) labels: Vec<Label<'p>>,
    pub(super) rows: Vec<Row>,
}

impl<'p> Rows<'p> {
    pub(super) fn text(&mut self, text: &str) -> u32 {
        self.texts.number(text)
    }

    pub(super) fn name(&self, text: u32) -> &Arc<str> {
        &self.texts.list[text as usize]
    }

    pub(super) fn place(&mut self, place: Place) -> u32 {
        self.places.push(place);
        self.places.len() as u32 - 1
    }

    pub(super) fn label(&mut self, label: Label<'p>) -> u32 {
        self.labels.push(label);
        self.labels.len() as u32 - 1
    }

    pub(super) fn into_frame(self) -> Result<DataFrame> {
        let stage = || Error::frames("KPI rows");
        let texts: StringChunked = self.texts.list.iter().map(|text| Some(&**text)).collect();
        let (places, labels) = (&self.places, &self.labels);
        let (place, label) = (|row: &Row| &places[row.place as usize], |row: &Row| &labels[row.label as usize]);
        let interval = |row: &Row| label(row).proportion.then(|| wilson95(row.numerator, row.denominator)).flatten();
        let breach = |row: &Row| label(row).target.map(|(target, _)| target.op.breached(row.value, target.value));
        let columns: [(&str, Pick<'_>); 17] = [
            ("grain", Pick::Text(&|row| Some(place(row).grain))),
            ("period_start", Pick::Day(&|row| place(row).period_start)),
            ("basis", Pick::Text(&|row| Some(label(row).basis))),
            ("segment", Pick::Text(&|row| Some(place(row).segment))),
            ("segment_value", Pick::Text(&|row| Some(place(row).segment_value))),
            ("kpi", Pick::Text(&|row| Some(label(row).kpi))),
            ("numerator", Pick::Int(&|row| row.numerator)),
            ("denominator", Pick::Int(&|row| row.denominator)),
            ("value", Pick::Float(&|row| Some(row.value))),
            ("lower", Pick::Float(&|row| interval(row).map(|i| i.0))),
            ("upper", Pick::Float(&|row| interval(row).map(|i| i.1))),
            ("unit", Pick::Text(&|row| Some(label(row).unit))),
            ("target", Pick::Float(&|row| label(row).target.map(|(target, _)| target.value))),
            ("breach", Pick::Bit(&breach)),
            ("mature", Pick::Bit(&|row| Some(row.mature))),
            ("targets_version", Pick::Text(&|row| label(row).target.map(|(_, version)| version))),
            ("quantile_error", Pick::Float(&|row| label(row).quantile_error)),
        ];
        let column = |(name, pick): &(&str, Pick<'_>)| {
            let rows = self.rows.iter();
            let column = match pick {
                Pick::Text(pick) => texts.take(&rows.map(*pick).collect::<IdxCa>()).map_err(stage())?.into_column(),
                Pick::Day(pick) => {
                    let days = rows.map(*pick).collect::<Int32Chunked>().into_column();
                    days.cast(&DataType::Date).map_err(stage())?
                }
                Pick::Int(pick) => {
                    let some = rows.map(|row| Some(pick(row)).filter(|count| *count != i64::MIN));
                    some.collect::<Int64Chunked>().into_column()
                }
                Pick::Float(pick) => rows.map(*pick).collect::<Float64Chunked>().into_column(),
                Pick::Bit(pick) => rows.map(*pick).collect::<BooleanChunked>().into_column(),
            };
            Ok(column.with_name((*name).into()))
        };
        let columns = columns.par_iter().map(column).collect::<Result<Vec<_>>>()?;
        DataFrame::new_infer_height(columns).map_err(stage())
    }
}
