//! Rows of the `kpi` table, by column.

use super::cells::Names;
use crate::config::Target;
use crate::error::{Error, Result};
use crate::types::interval::wilson95;
use polars::prelude::*;
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
        let named = |name: &str, pick: &dyn Fn(&Row) -> Option<u32>| -> Result<Column> {
            let at: IdxCa = self.rows.iter().map(pick).collect();
            Ok(texts.take(&at).map_err(stage())?.with_name(name.into()).into_column())
        };
        let floats = |name: &str, pick: &dyn Fn(&Row) -> Option<f64>| {
            self.rows.iter().map(pick).collect::<Float64Chunked>().with_name(name.into()).into_column()
        };
        let ints = |name: &str, pick: &dyn Fn(&Row) -> i64| {
            let some = self.rows.iter().map(|row| Some(pick(row)).filter(|count| *count != i64::MIN));
            some.collect::<Int64Chunked>().with_name(name.into()).into_column()
        };
        let bits = |name: &str, pick: &dyn Fn(&Row) -> Option<bool>| {
            self.rows.iter().map(pick).collect::<BooleanChunked>().with_name(name.into()).into_column()
        };
        let interval = |row: &Row| label(row).proportion.then(|| wilson95(row.numerator, row.denominator)).flatten();
        let starts: Int32Chunked = self.rows.iter().map(|row| place(row).period_start).collect();
        let columns = vec![
            named("grain", &|row| Some(place(row).grain))?,
            starts.with_name("period_start".into()).into_column().cast(&DataType::Date).map_err(stage())?,
            named("basis", &|row| Some(label(row).basis))?,
            named("segment", &|row| Some(place(row).segment))?,
            named("segment_value", &|row| Some(place(row).segment_value))?,
            named("kpi", &|row| Some(label(row).kpi))?,
            ints("numerator", &|row| row.numerator),
            ints("denominator", &|row| row.denominator),
            floats("value", &|row| Some(row.value)),
            floats("lower", &|row| interval(row).map(|i| i.0)),
            floats("upper", &|row| interval(row).map(|i| i.1)),
            named("unit", &|row| Some(label(row).unit))?,
            floats("target", &|row| label(row).target.map(|(target, _)| target.value)),
            bits("breach", &|row| label(row).target.map(|(target, _)| target.op.breached(row.value, target.value))),
            bits("mature", &|row| Some(row.mature)),
            named("targets_version", &|row| label(row).target.map(|(_, version)| version))?,
            floats("quantile_error", &|row| label(row).quantile_error),
        ];
        DataFrame::new_infer_height(columns).map_err(stage())
    }
}
