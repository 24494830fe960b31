//! Rows of the `kpi` table, by column.

use super::cells::Names;
use crate::error::{Error, Result};
use polars::prelude::*;
use std::sync::Arc;

/// A row. Texts are numbers of [`Rows::text`].
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Row {
    pub(super) grain: u32,
    pub(super) period_start: Option<i32>,
    pub(super) basis: u32,
    pub(super) segment: u32,
    pub(super) segment_value: u32,
    pub(super) kpi: u32,
    pub(super) numerator: Option<i64>,
    pub(super) denominator: Option<i64>,
    pub(super) value: f64,
    pub(super) interval: Option<(f64, f64)>,
    pub(super) unit: u32,
    pub(super) target: Option<f64>,
    pub(super) breach: Option<bool>,
    pub(super) mature: bool,
    pub(super) targets_version: Option<u32>,
    pub(super) quantile_error: Option<f64>,
}

/// All rows so far. A shop of a few years has millions by day and pair of segments, so they are kept narrow: every text
/// once.
#[derive(Debug, Default)]
pub(super) struct Rows {
    texts: Names,
    rows: Vec<Row>,
}

impl Rows {
    pub(super) fn text(&mut self, text: &str) -> u32 {
        self.texts.number(text)
    }

    pub(super) fn name(&self, text: u32) -> &Arc<str> {
        &self.texts.list[text as usize]
    }

    pub(super) fn push(&mut self, row: Row) {
        self.rows.push(row);
    }

    pub(super) fn into_frame(self) -> Result<DataFrame> {
        let stage = || Error::frames("KPI rows");
        let (texts, rows) = (&self.texts.list, &self.rows);
        let texts: StringChunked = texts.iter().map(|text| Some(&**text)).collect();
        let named = |name: &str, pick: &dyn Fn(&Row) -> Option<u32>| -> Result<Column> {
            let at: IdxCa = rows.iter().map(|row| pick(row).map(IdxSize::from)).collect();
            Ok(texts.take(&at).map_err(stage())?.with_name(name.into()).into_column())
        };
        let floats = |name: &str, pick: &dyn Fn(&Row) -> Option<f64>| {
            rows.iter().map(pick).collect::<Float64Chunked>().with_name(name.into()).into_column()
        };
        let ints = |name: &str, pick: &dyn Fn(&Row) -> Option<i64>| {
            rows.iter().map(pick).collect::<Int64Chunked>().with_name(name.into()).into_column()
        };
        let starts: Int32Chunked = rows.iter().map(|row| row.period_start).collect();
        let breach: BooleanChunked = rows.iter().map(|row| row.breach).collect();
        let mature: BooleanChunked = rows.iter().map(|row| Some(row.mature)).collect();
        let columns = vec![
            named("grain", &|row| Some(row.grain))?,
            starts.with_name("period_start".into()).into_column().cast(&DataType::Date).map_err(stage())?,
            named("basis", &|row| Some(row.basis))?,
            named("segment", &|row| Some(row.segment))?,
            named("segment_value", &|row| Some(row.segment_value))?,
            named("kpi", &|row| Some(row.kpi))?,
            ints("numerator", &|row| row.numerator),
            ints("denominator", &|row| row.denominator),
            floats("value", &|row| Some(row.value)),
            floats("lower", &|row| row.interval.map(|i| i.0)),
            floats("upper", &|row| row.interval.map(|i| i.1)),
            named("unit", &|row| Some(row.unit))?,
            floats("target", &|row| row.target),
            breach.with_name("breach".into()).into_column(),
            mature.with_name("mature".into()).into_column(),
            named("targets_version", &|row| row.targets_version)?,
            floats("quantile_error", &|row| row.quantile_error),
        ];
        DataFrame::new_infer_height(columns).map_err(stage())
    }
}
