//! The merchant's rules, matched against orders and features.

use crate::config::{Effect, Pipeline, Rule, did_you_mean};
use crate::error::{Error, Problem, Result};
use crate::features::matrix::Matrix;
use polars::prelude::*;

/// For each order, the rules it matches, by their position in the pipeline file.
pub(super) struct Hits {
    by_order: Vec<Vec<usize>>,
}

impl Hits {
    /// Rules an order matches.
    pub(super) fn of<'a>(&'a self, order: usize, rules: &'a [Rule]) -> impl Iterator<Item = &'a Rule> + 'a {
        self.by_order.get(order).into_iter().flatten().filter_map(|&at| rules.get(at))
    }

    /// Effects of the rules an order matches.
    pub(super) fn effects<'a>(&'a self, order: usize, rules: &'a [Rule]) -> impl Iterator<Item = Effect> + 'a {
        self.of(order, rules).map(|r| r.effect)
    }
}

/// Matches every rule. A condition that is null for an order does not match it.
///
/// # Errors
/// [`Error::Config`] with every rule that names an unknown column or is not a condition.
pub(super) fn matched(pipeline: &Pipeline, orders: &DataFrame, features: &Matrix) -> Result<Hits> {
    let rules = &pipeline.raw.decision.rules;
    let mut by_order = vec![Vec::new(); orders.height()];
    if rules.is_empty() {
        return Ok(Hits { by_order });
    }
    let stage = "matching rules";
    let mut frame = orders.clone();
    for (name, values) in features.names.iter().zip(&features.columns) {
        // Facts of the order win over a feature of the same name: `amount` stays whole minor units.
        if orders.get_column_index(name).is_none() {
            let values: Float64Chunked = values.iter().map(|v| (!v.is_nan()).then_some(*v)).collect();
            frame.with_column(values.with_name(name.as_str().into()).into_column()).map_err(Error::frames(stage))?;
        }
    }
    let names: Vec<String> = frame.get_column_names().iter().map(|n| n.to_string()).collect();
    let mut problems = Vec::new();
    for (number, rule) in rules.iter().enumerate() {
        let found = polars::sql::sql_expr(&rule.when)
            .and_then(|e| frame.clone().lazy().select([e.alias("hit")]).collect())
            .and_then(|f| Ok(f.column("hit")?.bool()?.clone()));
        match found {
            Ok(hits) => {
                for (at, hit) in hits.iter().enumerate() {
                    if hit == Some(true) {
                        by_order[at].push(number);
                    }
                }
            }
            Err(error) => problems.push(problem(number, rule, &error, &names)),
        }
    }
    if problems.is_empty() {
        Ok(Hits { by_order })
    } else {
        Err(Error::Config { file: pipeline.file.clone(), problems })
    }
}

fn problem(number: usize, rule: &Rule, error: &PolarsError, names: &[String]) -> Problem {
    let key = format!("decision.rules[{number}].when");
    match error {
        PolarsError::ColumnNotFound(what) => {
            let what = what.to_string();
            let unknown =
                what.split(['"', '`', '\'']).nth(1).unwrap_or(what.split_whitespace().next().unwrap_or_default());
            let mut problem = Problem::new(
                key,
                format!("rule `{}`: neither orders nor features have a column `{unknown}`", rule.name),
            );
            problem.hint = did_you_mean(unknown, names.iter().map(String::as_str))
                .or_else(|| Some("`ordersight check` lists the features".to_owned()));
            problem
        }
        other => Problem::new(key, format!("rule `{}`: {other}", rule.name)),
    }
}
