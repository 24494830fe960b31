//! The orders (or lines) tested, one by one: what every measure of an evaluation is made of.

use super::{Facts, Tested};
use crate::error::{Error, Result};
use crate::features::Features;
use crate::ingest::Ingested;
use crate::pipeline::replay::{AsPlaced, effect_name};
use crate::risk::Target;
use polars::prelude::*;

/// One row an order tested, or a line: ids, when it was placed and on which calendar day, amount of the order, fold,
/// probability, outcome, and the strongest effect of the acting rules it matches.
pub(super) fn rows(
    target: Target,
    ingested: &Ingested,
    features: &Features,
    facts: &Facts,
    tested: &Tested,
    placed: Option<&AsPlaced>,
) -> Result<DataFrame> {
    let stage = || Error::frames("evaluation");
    let none = DataFrame::empty();
    let table = |name: &str| ingested.tables.get(name).unwrap_or(&none);
    let index = |rows: Vec<usize>| IdxCa::from_vec("rows".into(), rows.into_iter().map(|r| r as IdxSize).collect());
    let of_orders = index(tested.rows.iter().map(|&row| facts.order[row]).collect());
    let orders = table("orders").select(["order_id", "placed_at", "amount"]).map_err(stage())?;
    let orders = orders.take(&of_orders).map_err(stage())?;
    let lines = (target == Target::Return).then_some(features.lines.as_ref()).flatten();
    let line = match lines {
        Some(_) => {
            let lines = table("order_items").column("line").map_err(stage())?;
            lines.take(&index(tested.rows.clone())).map_err(stage())?
        }
        None => Column::full_null("line".into(), orders.height(), &DataType::String),
    };
    let day = Column::new("placed_date".into(), tested.rows.iter().map(|&row| facts.days[row]).collect::<Vec<_>>());
    let rule = |&row: &usize| placed.and_then(|placed| placed.effect(facts.order[row])).map(effect_name);
    let mut columns = vec![Column::new_scalar(
        "target".into(),
        Scalar::from(PlSmallStr::from_static(target.name())),
        orders.height(),
    )];
    columns.extend(orders.columns().iter().cloned());
    columns.insert(2, line);
    columns.extend([
        day.cast(&DataType::Date).map_err(stage())?,
        Column::new("fold".into(), tested.fold.iter().map(|&fold| fold as i64).collect::<Vec<_>>()),
        Column::new("probability".into(), tested.probabilities.clone()),
        Column::new("positive".into(), tested.labels.clone()),
        Column::new("rule_effect".into(), tested.rows.iter().map(rule).collect::<Vec<Option<&str>>>()),
    ]);
    DataFrame::new_infer_height(columns).map_err(stage())
}
