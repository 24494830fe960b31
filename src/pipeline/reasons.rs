//! Reasons in words, and as columns.

use super::scoring::Scored;
use crate::config::Pipeline;
use crate::error::{Error, Result};
use crate::features::matrix::Matrix;
use crate::features::{FeatureUnit, note_in};
use crate::risk::reasons::{FeatureText, Reason, Unit, reasons};
use polars::chunked_array::builder::AnonymousOwnedListBuilder;
use polars::prelude::*;
use rayon::prelude::*;
use std::collections::HashMap;

/// Reasons given for a flagged order.
const REASONS: usize = 5;

/// Rows whose reasons are looked for together.
const TOGETHER: usize = 256;

/// The reasons of the rows that are asked for; none for the others. They cost a look at every feature.
pub(super) fn reasons_of(
    pipeline: &Pipeline,
    scored: &Scored,
    matrix: &Matrix,
    rows: usize,
    asked: &(dyn Fn(usize) -> bool + Sync),
) -> Vec<Vec<Reason>> {
    let Scored::Present { model, .. } = scored else { return vec![Vec::new(); rows] };
    let known: HashMap<&str, FeatureText> =
        matrix.names.iter().map(|name| (name.as_str(), words(pipeline, name))).collect();
    let words = |name: &str| known.get(name);
    let asked: Vec<usize> = (0..rows).filter(|row| asked(*row)).collect();
    let of = |some: &[usize]| -> Vec<Vec<Reason>> {
        let rows: Vec<Vec<f64>> = some.iter().map(|row| matrix.row(*row)).collect();
        model.model.contributions_of(&rows).iter().map(|all| reasons(all, REASONS, &words)).collect()
    };
    let found: Vec<Vec<Vec<Reason>>> = asked.par_chunks(TOGETHER).map(of).collect();
    let mut lists = vec![Vec::new(); rows];
    asked.into_iter().zip(found.into_iter().flatten()).for_each(|(row, reasons)| lists[row] = reasons);
    lists
}

/// How to talk of a feature.
pub(super) fn words(pipeline: &Pipeline, feature: &str) -> FeatureText {
    let language = pipeline.raw.report.language;
    let note = note_in(language, feature, &pipeline.features);
    let unit = match note.unit {
        FeatureUnit::Count => Unit::Count,
        FeatureUnit::Money => {
            Unit::Money { currency: pipeline.raw.money.base.clone(), decimals: pipeline.base_exponent as u8 }
        }
        FeatureUnit::Share => Unit::Share,
        FeatureUnit::Flag => Unit::Flag,
        FeatureUnit::Hours => Unit::Hours,
        FeatureUnit::Days => Unit::Days,
        FeatureUnit::Times | FeatureUnit::Number => Unit::Number,
    };
    FeatureText { unit, label: note.label, language }
}

/// A column of lists of reasons; an order without any has an empty list.
pub(super) fn reason_lists(name: &str, lists: &[Vec<Reason>]) -> Result<Column> {
    let stage = || Error::frames("reasons");
    let flat = || lists.iter().flatten();
    let structs = StructChunked::from_columns(
        name.into(),
        flat().count(),
        &[
            Column::new("feature".into(), flat().map(|r| r.feature.as_str()).collect::<Vec<_>>()),
            Column::new("value".into(), flat().map(|r| (!r.value.is_nan()).then_some(r.value)).collect::<Vec<_>>()),
            Column::new("contribution".into(), flat().map(|r| r.contribution).collect::<Vec<_>>()),
            Column::new("text".into(), flat().map(|r| r.text.as_str()).collect::<Vec<_>>()),
        ],
    )
    .map_err(stage())?
    .into_series();
    let mut builder = AnonymousOwnedListBuilder::new(name.into(), lists.len(), Some(structs.dtype().clone()));
    let mut from = 0;
    for list in lists {
        if list.is_empty() {
            builder.append_empty();
        } else {
            builder.append_series(&structs.slice(from, list.len())).map_err(stage())?;
            from += list.len() as i64;
        }
    }
    Ok(builder.finish().into_column())
}

pub(super) fn text_lists<'a>(name: &str, lists: impl Iterator<Item = Vec<&'a str>>) -> Column {
    let mut builder = ListStringChunkedBuilder::new(name.into(), 0, 0);
    for list in lists {
        builder.append_values_iter(list.into_iter());
    }
    builder.finish().into_column()
}
