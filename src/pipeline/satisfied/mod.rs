//! Satisfaction of orders and segments put together: the tables `order_satisfaction`, `satisfaction_model`,
//! `satisfaction_drivers` and the index in `satisfaction`.

mod frames;
mod predicted;

use super::profiled::profiled;
use super::scoring::Scored;
use crate::config::{Language, Pipeline};
use crate::error::{Error, Result};
use crate::exceptions::Found;
use crate::features::kernel::NO_VALUE;
use crate::features::tables::Tables;
use crate::risk::bootstrap::Estimate;
use crate::satisfaction::answers::Answers;
use crate::satisfaction::drivers::{Drivers, drivers};
use crate::satisfaction::factors;
use crate::satisfaction::facts::facts;
use crate::satisfaction::journey::Journeys;
use crate::satisfaction::split::segments;
use crate::satisfaction::table::{self, MEANINGS};
use frames::{driver_rows, order_rows, test_rows};
use polars::prelude::*;
use predicted::predict;
use serde::Serialize;
use std::collections::BTreeMap;

/// Everything about satisfaction that is not counted by the KPI engine.
pub(super) struct Satisfied {
    /// Rows of `satisfaction`: the index and its factors.
    pub(super) index: DataFrame,
    /// The `order_satisfaction` table.
    pub(super) orders: DataFrame,
    /// The `customer_profile` table.
    pub(super) customers: DataFrame,
    /// The `satisfaction_model` table; without rows when nothing could be tested.
    pub(super) model: DataFrame,
    /// The `satisfaction_drivers` table; without rows when there were too few answers.
    pub(super) drivers: DataFrame,
    /// In short, for the summary.
    pub(super) state: SatisfactionState,
    /// The index and the factors that the input feeds, by id.
    pub(super) computed: Vec<String>,
    /// Factors that the input cannot feed, with what is missing.
    pub(super) not_computable: Vec<(String, Vec<String>)>,
}

/// Satisfaction of orders in short.
#[derive(Debug, Clone, Serialize)]
pub struct SatisfactionState {
    /// Orders with an answer.
    pub measured: u64,
    /// Orders whose satisfaction was predicted.
    pub predicted: u64,
    /// Why none was; null when some were.
    pub absent_because: Option<String>,
    /// Answered orders the prediction learnt from.
    pub trained_on: u64,
    /// Mean absolute error on later orders, points of 0 to 100, with its 95 % interval; null when it could not be tested.
    pub mae: Option<Estimate>,
    /// Root mean squared error on them.
    pub rmse: Option<Estimate>,
    /// The same of predicting the mean for everyone.
    pub rmse_of_mean: Option<Estimate>,
    /// Rank correlation on them.
    pub rank_correlation: Option<Estimate>,
    /// Area under the ROC curve for low answers (1 or 2 stars) on them.
    pub auc_low: Option<Estimate>,
    /// Orders tested on.
    pub tested_on: u64,
    /// Strongest facts in words.
    pub drivers: Vec<String>,
}

/// Computes it all from tables as they were known at `as_of`. `days` has the calendar day on which each order was placed, `stuck`
/// the exceptions that customers are told of.
///
/// # Errors
/// [`Error::Frames`] only for defects.
pub(super) fn satisfied(
    pipeline: &Pipeline,
    tables: &BTreeMap<&'static str, DataFrame>,
    days: &[i32],
    fraud: &Scored,
    stuck: &Found,
    as_of: i64,
) -> Result<Satisfied> {
    let read = Tables::new(tables)?;
    let journeys = Journeys::new(&read, pipeline.zone, as_of)?;
    let answers = Answers::new(&read)?;
    let points = factors::of_orders(&journeys, &answers);
    let kpi = &pipeline.raw.kpi;
    let segments = segments(&read, &journeys, &kpi.segments, kpi.min_segment_orders)?;
    let index = table::rows(&table::Orders {
        placed_day: days,
        points: &points,
        segments: &segments,
        grains: &kpi.grains,
        weights: pipeline.raw.satisfaction.weights.in_order(),
        zone: pipeline.zone,
        as_of,
    })?;
    let (fed, starved): (Vec<_>, Vec<_>) =
        index_needs(&journeys, &answers).into_iter().partition(|(_, missing)| missing.is_empty());
    let computed = fed.into_iter().map(|(id, _)| id.to_owned()).collect();
    let not_computable = starved.into_iter().map(|(id, missing)| (id.to_owned(), missing)).collect();
    let predicted = predict(pipeline, &read, &journeys, &answers)?;
    let found = associations(&read, &journeys, &answers, pipeline.raw.report.language)?;
    let mut state = predicted.state(&answers, journeys.orders());
    state.drivers = found.iter().flat_map(|f| &f.drivers).take(5).map(|d| d.words.clone()).collect();
    Ok(Satisfied {
        customers: profiled(pipeline, &read, &journeys, &answers, fraud, stuck)?,
        index,
        orders: order_rows(&read, days, &points, &answers, &predicted)?,
        model: test_rows(predicted.test.as_ref())?,
        drivers: driver_rows(found.as_ref())?,
        state,
        computed,
        not_computable,
    })
}

/// The index and its factors by id, with what is missing for them.
fn index_needs(journeys: &Journeys, answers: &Answers) -> Vec<(&'static str, Vec<String>)> {
    let missing = factors::missing(journeys, answers);
    let none = missing.iter().all(Option::is_some);
    let index = if none { vec!["what any factor needs".to_owned()] } else { Vec::new() };
    let of_factors = missing.map(|missing| missing.map(str::to_owned).into_iter().collect());
    MEANINGS.iter().map(|(id, _)| *id).zip(std::iter::once(index).chain(of_factors)).collect()
}

/// The same with what each means, for tables that are only looked at.
pub(super) fn index_measures(
    pipeline: &Pipeline,
    tables: &BTreeMap<&'static str, DataFrame>,
    as_of: i64,
) -> Result<Vec<(String, String, Vec<String>)>> {
    let read = Tables::new(tables)?;
    let needs = index_needs(&Journeys::new(&read, pipeline.zone, as_of)?, &Answers::new(&read)?);
    let with_words = needs.into_iter().zip(MEANINGS);
    Ok(with_words.map(|((id, missing), (_, words))| (id.to_owned(), words.to_owned(), missing)).collect())
}

impl Satisfied {
    /// The prediction's held-out error in a line, for the metadata of files; `None` when it could not be tested.
    pub(super) fn error_in_short(&self) -> Option<String> {
        let interval = |e: Estimate| {
            let [value, lower, upper] = [e.value?, e.lower?, e.upper?];
            Some(format!("{value:.3} ({lower:.3} to {upper:.3})"))
        };
        let state = &self.state;
        Some(format!(
            "held out: mae {}, rmse {} against {} of the mean, rank correlation {}, auc of low answers {}; tested on {} later \
             orders",
            interval(state.mae?)?,
            interval(state.rmse?)?,
            interval(state.rmse_of_mean?)?,
            state.rank_correlation.and_then(interval).unwrap_or_else(|| "not defined".to_owned()),
            state.auc_low.and_then(interval).unwrap_or_else(|| "not defined".to_owned()),
            state.tested_on
        ))
    }
}

/// The measures that were counted, with the index below them. Columns that only one of them has are null in the other.
pub(super) fn with_index(counted: &DataFrame, index: &DataFrame) -> Result<DataFrame> {
    concat_lf_diagonal([counted.clone().lazy(), index.clone().lazy()], UnionArgs::default())
        .and_then(LazyFrame::collect)
        .map_err(Error::frames("satisfaction index"))
}

fn associations(
    tables: &Tables,
    journeys: &Journeys,
    answers: &Answers,
    language: Language,
) -> Result<Option<Drivers>> {
    if !answers.supplied {
        return Ok(None);
    }
    let firsts: Vec<_> = (0..journeys.orders()).map(|order| answers.of(order).first()).collect();
    let at: Vec<i64> = firsts.iter().map(|first| first.map_or(NO_VALUE, |f| f.at)).collect();
    let facts = facts(tables, journeys, answers, &at, false)?;
    let ids = tables.texts("orders", "order_id")?.unwrap_or_default();
    let mut rows: Vec<usize> = (0..journeys.orders()).filter(|&order| at[order] != NO_VALUE).collect();
    // Sums of floats depend on their order.
    rows.sort_by(|a, b| ids[*a].cmp(&ids[*b]));
    let points: Vec<f64> = rows.iter().filter_map(|&row| firsts[row].map(|f| f.points)).collect();
    Ok(drivers(&facts, &rows, &points, language))
}
