//! The tables of satisfaction as frames.

use super::predicted::Predicted;
use crate::error::{Error, Result};
use crate::features::tables::Tables;
use crate::risk::bootstrap::Estimate;
use crate::satisfaction::answers::Answers;
use crate::satisfaction::drivers::{Driver, Drivers};
use crate::satisfaction::factors::{FACTORS, Points};
use crate::satisfaction::held_out::HeldOut;
use polars::prelude::*;

const STAGE: &str = "satisfaction of orders";

/// Rows of `order_satisfaction`: one an order.
pub(super) fn order_rows(
    tables: &Tables,
    days: &[i32],
    points: &[Points],
    answers: &Answers,
    predicted: &Predicted,
) -> Result<DataFrame> {
    let stage = || Error::frames(STAGE);
    let rows = 0..points.len();
    let measured: Vec<Option<f64>> = rows.clone().map(|order| answers.mean(order)).collect();
    let guess = |order: usize| predicted.each[order].filter(|_| measured[order].is_none());
    let why = |order: usize| match (measured[order], guess(order)) {
        (None, None) => Some(predicted.absent_because.as_deref().unwrap_or("not delivered, and nobody answered")),
        _ => None,
    };
    let source = |order: usize| match (measured[order], guess(order)) {
        (Some(_), _) => Some("measured"),
        (None, Some(_)) => Some("predicted"),
        (None, None) => None,
    };
    let text = |name: &str, of: &dyn Fn(usize) -> Option<&'static str>| {
        let column: StringChunked = rows.clone().map(of).collect();
        column.with_name(name.into()).into_column()
    };
    let mut columns = vec![
        Column::new("placed_date".into(), days).cast(&DataType::Date).map_err(stage())?,
        tables.frame("orders").column("order_id").map_err(stage())?.clone(),
        Column::new(
            "score".into(),
            rows.clone().map(|o| measured[o].or_else(|| guess(o).map(|p| p.score))).collect::<Vec<_>>(),
        ),
        text("source", &source),
        Column::new("support".into(), rows.clone().map(|o| answers.of(o).len() as i64).collect::<Vec<_>>()),
        Column::new("low_probability".into(), rows.clone().map(|o| guess(o).map(|p| p.low)).collect::<Vec<_>>()),
    ];
    // The last factor is the measured feedback, which is the score itself.
    for (factor, name) in FACTORS.iter().enumerate().filter(|(_, name)| **name != "feedback") {
        let column = rows.clone().map(|o| points[o][factor].map(i64::from)).collect::<Vec<_>>();
        columns.push(Column::new((*name).into(), column));
    }
    let why: StringChunked = rows.clone().map(why).collect();
    columns.push(why.with_name("null_reason".into()).into_column());
    DataFrame::new_infer_height(columns).map_err(stage())
}

/// Rows of `satisfaction_model`; none when nothing could be tested.
pub(super) fn test_rows(test: Option<&HeldOut>) -> Result<DataFrame> {
    let mut rows: Vec<(&str, &str, Estimate)> = Vec::new();
    for errors in test.iter().flat_map(|test| &test.errors) {
        for (measure, estimate) in [
            ("mae", errors.mae),
            ("rmse", errors.rmse),
            ("rank_correlation", errors.rank_correlation),
            ("auc_low", errors.auc_low),
            ("bias", errors.bias),
        ] {
            rows.push((measure, errors.predictor, estimate));
        }
    }
    let number = |name: &str, pick: fn(&Estimate) -> Option<f64>| {
        Column::new(name.into(), rows.iter().map(|r| pick(&r.2)).collect::<Vec<_>>())
    };
    let of_test = |pick: fn(&HeldOut) -> i64| vec![test.map_or(0, pick); rows.len()];
    let stage = || Error::frames("satisfaction model");
    let instant = DataType::Datetime(TimeUnit::Microseconds, Some(TimeZone::UTC));
    let columns = vec![
        Column::new("measure".into(), rows.iter().map(|r| r.0).collect::<Vec<_>>()),
        Column::new("predictor".into(), rows.iter().map(|r| r.1).collect::<Vec<_>>()),
        number("value", |e| e.value),
        number("lower", |e| e.lower),
        number("upper", |e| e.upper),
        Column::new("trained_on".into(), of_test(|t| t.trained_on as i64)),
        Column::new("tested_on".into(), of_test(|t| t.tested_on as i64)),
        Column::new("tested_from".into(), of_test(|t| t.from)).cast(&instant).map_err(stage())?,
    ];
    DataFrame::new_infer_height(columns).map_err(stage())
}

/// Rows of `satisfaction_drivers`; none when there were too few answers.
pub(super) fn driver_rows(found: Option<&Drivers>) -> Result<DataFrame> {
    let all = found.map_or(&[][..], |found| &found.drivers);
    let per_unit = |d: &Driver| d.coefficient.map(|c| c.value / d.deviation);
    let columns = vec![
        Column::new("rank".into(), (1..=all.len() as i64).collect::<Vec<_>>()),
        Column::new("fact".into(), all.iter().map(|d| d.fact.as_str()).collect::<Vec<_>>()),
        Column::new("coefficient".into(), all.iter().map(|d| d.coefficient.map(|c| c.value)).collect::<Vec<_>>()),
        Column::new("lower".into(), all.iter().map(|d| d.coefficient.map(|c| c.lower)).collect::<Vec<_>>()),
        Column::new("upper".into(), all.iter().map(|d| d.coefficient.map(|c| c.upper)).collect::<Vec<_>>()),
        Column::new("per_unit".into(), all.iter().map(per_unit).collect::<Vec<_>>()),
        Column::new("unit".into(), all.iter().map(|d| d.unit).collect::<Vec<_>>()),
        Column::new("mean".into(), all.iter().map(|d| d.mean).collect::<Vec<_>>()),
        Column::new("deviation".into(), all.iter().map(|d| d.deviation).collect::<Vec<_>>()),
        Column::new("orders".into(), all.iter().map(|d| d.orders as i64).collect::<Vec<_>>()),
        Column::new("answers".into(), vec![found.map_or(0, |f| f.answers as i64); all.len()]),
        Column::new("r_squared".into(), vec![found.map_or(0.0, |f| f.r_squared); all.len()]),
        Column::new("words".into(), all.iter().map(|d| d.words.as_str()).collect::<Vec<_>>()),
    ];
    DataFrame::new_infer_height(columns).map_err(Error::frames("satisfaction drivers"))
}
