//! The merchant's rules, matched against orders and features.
//!
//! A condition sees one order: its columns and its features. Null never matches, under NOT neither: SQL's third truth
//! value is kept from end to end, not-a-number is null, and so is what is divided by zero.

use crate::config::{Effect, Pipeline, Place, Rule, RuleMode, condition_columns, did_you_mean, pointing_at};
use crate::error::{Error, Problem, Result};
use crate::features::{Described, Features};
use polars::prelude::*;
use std::collections::BTreeSet;

/// For each order, the rules it matches, by their position in the pipeline file.
pub(super) struct Hits {
    by_order: Vec<Vec<usize>>,
}

impl Hits {
    /// Rules that act on an order.
    pub(super) fn of<'a>(&'a self, order: usize, rules: &'a [Rule]) -> impl Iterator<Item = &'a Rule> + 'a {
        self.matched(order, rules).filter(|rule| rule.mode == RuleMode::Act)
    }

    /// Rules in shadow that an order matches.
    pub(super) fn shadows<'a>(&'a self, order: usize, rules: &'a [Rule]) -> impl Iterator<Item = &'a Rule> + 'a {
        self.matched(order, rules).filter(|rule| rule.mode == RuleMode::Shadow)
    }

    /// All rules that an order matches, by their position.
    pub(super) fn places(&self, order: usize) -> &[usize] {
        self.by_order.get(order).map_or(&[], Vec::as_slice)
    }

    fn matched<'a>(&'a self, order: usize, rules: &'a [Rule]) -> impl Iterator<Item = &'a Rule> + 'a {
        self.by_order.get(order).into_iter().flatten().filter_map(|&at| rules.get(at))
    }

    /// Effects of the rules that act on an order.
    pub(super) fn effects<'a>(&'a self, order: usize, rules: &'a [Rule]) -> impl Iterator<Item = Effect> + 'a {
        self.of(order, rules).map(|r| r.effect)
    }

    /// How many orders each rule matches, acting or in shadow.
    pub(super) fn counts(&self, rules: usize) -> Vec<u64> {
        let mut counts = vec![0; rules];
        for &rule in self.by_order.iter().flatten() {
            if let Some(count) = counts.get_mut(rule) {
                *count += 1;
            }
        }
        counts
    }
}

/// Matches every rule.
///
/// # Errors
/// [`Error::Config`] with every rule that needs what the input does not give, or is not a condition.
pub(super) fn matched(pipeline: &Pipeline, orders: &DataFrame, features: &Features) -> Result<Hits> {
    let rules = &pipeline.raw.decision.rules;
    let mut by_order = vec![Vec::new(); orders.height()];
    if rules.is_empty() {
        return Ok(Hits { by_order });
    }
    let frame = facts(rules, orders, features)?;
    let mut problems = Vec::new();
    for (number, rule) in rules.iter().enumerate() {
        let absent = absent(number, rule, &frame, features);
        if !absent.is_empty() {
            problems.extend(absent);
            continue;
        }
        match hits(rule, &frame) {
            Ok(hits) => {
                for (at, hit) in hits.iter().enumerate() {
                    if hit == Some(true) {
                        by_order[at].push(number);
                    }
                }
            }
            Err(said) => problems.push(Problem::new(when(number), format!("rule `{}`: {said}", rule.name))),
        }
    }
    if problems.is_empty() {
        Ok(Hits { by_order })
    } else {
        Err(Error::Config { file: pipeline.file.clone(), problems })
    }
}

fn when(number: usize) -> String {
    format!("decision.rules[{number}].when")
}

/// What the conditions name, and no more: there are more features than rules look at.
fn facts(rules: &[Rule], orders: &DataFrame, features: &Features) -> Result<DataFrame> {
    let stage = || Error::frames("matching rules");
    let named: BTreeSet<String> =
        rules.iter().flat_map(|rule| condition_columns(&rule.when)).map(|column| column.name).collect();
    // A condition that names nothing holds for every order or for none.
    let mut columns = vec![Column::new_scalar("".into(), Scalar::from(0_i32), orders.height())];
    for name in &named {
        // Facts of the order win over a feature of the same name: `amount` stays whole minor units.
        if let Ok(column) = orders.column(name) {
            columns.push(plain(column).map_err(stage())?);
        } else if let Some(at) = features.matrix.names.iter().position(|feature| feature == name) {
            columns.push(known(name, features.matrix.columns[at].iter().map(|v| Some(*v))));
        }
    }
    DataFrame::new(orders.height(), columns).map_err(stage())
}

/// A column as conditions see it: instants as SQL writes them, without a zone (they are UTC); not-a-number as null.
fn plain(column: &Column) -> PolarsResult<Column> {
    match column.dtype() {
        DataType::Datetime(unit, Some(_)) => column.to_physical_repr().cast(&DataType::Datetime(*unit, None)),
        DataType::Float64 => Ok(known(column.name(), column.f64()?.iter())),
        _ => Ok(column.clone()),
    }
}

fn known(name: &str, values: impl Iterator<Item = Option<f64>>) -> Column {
    let values: Float64Chunked = values.map(|value| value.filter(|v| !v.is_nan())).collect();
    values.with_name(name.into()).into_column()
}

/// The orders a condition holds for: `true`, or what is not.
fn hits(rule: &Rule, frame: &DataFrame) -> Result<BooleanChunked, String> {
    let said = |error: PolarsError| error.to_string().lines().next().unwrap_or_default().trim().to_owned();
    let condition = polars::sql::sql_expr(&rule.when).map_err(said)?.map_expr(without_zero_divisors);
    let found = frame.clone().lazy().with_columns([condition.alias("")]).collect().map_err(said)?;
    let column = found.column("").map_err(said)?;
    match column.dtype() {
        DataType::Boolean => column.bool().cloned().map_err(said),
        DataType::Null => Ok(BooleanChunked::full_null("".into(), frame.height())),
        other => Err(pointing_at(
            &rule.when,
            Place::start_of(&rule.when),
            &format!("must be true or false of an order, and is of type {other}"),
        )),
    }
}

/// `a / 0` is infinite and `0 / 0` not a number, and polars takes both for larger than anything: in a condition they
/// are null, as in other SQL engines.
fn without_zero_divisors(expr: Expr) -> Expr {
    use Operator::{FloorDivide, Modulus, RustDivide, TrueDivide};
    match expr {
        Expr::BinaryExpr { left, op: op @ (TrueDivide | RustDivide | FloorDivide | Modulus), right } => {
            let divisor = right.as_ref().clone();
            let right = polars::prelude::when(divisor.clone().neq(lit(0))).then(divisor).otherwise(lit(NULL));
            Expr::BinaryExpr { left, op, right: Arc::new(right) }
        }
        other => other,
    }
}

/// What a condition names and the input does not give.
fn absent(number: usize, rule: &Rule, frame: &DataFrame, features: &Features) -> Vec<Problem> {
    let columns = condition_columns(&rule.when).into_iter();
    let absent = columns.filter(|column| frame.get_column_index(&column.name).is_none());
    absent
        .map(|column| {
            let name = &column.name;
            let missing = features.described.iter().find(|d| d.name == *name).map(missing_of);
            let (said, hint) = match missing {
                Some(missing) => (format!("`{name}` is not computed: {missing}"), None),
                None => {
                    let names = features.matrix.names.iter().map(String::as_str);
                    (format!("neither orders nor features have a column `{name}` here"), did_you_mean(name, names))
                }
            };
            let message = pointing_at(&rule.when, column.place, &format!("rule `{}`: {said}", rule.name));
            let hint = hint.or_else(|| Some("supply what it needs, or leave the rule out".to_owned()));
            Problem { key: when(number), message, hint }
        })
        .collect()
}

fn missing_of(described: &Described) -> String {
    match described.missing.as_slice() {
        [] => "it is of order lines, and a rule looks at whole orders".to_owned(),
        missing => format!("the input lacks {}", missing.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The rows that a condition matches, of `a` = 1, null, 3, not a number; `b` = 0, 0, null, 2; `t` = x, null, y,
    /// null.
    fn rows(condition: &str) -> Vec<usize> {
        let rule = Rule {
            name: "r".to_owned(),
            when: condition.to_owned(),
            effect: Effect::Review,
            mode: RuleMode::Act,
            reason: "because".to_owned(),
        };
        let frame = DataFrame::new(
            4,
            vec![
                Column::new_scalar("".into(), Scalar::from(0_i32), 4),
                known("a", [Some(1.0), None, Some(3.0), Some(f64::NAN)].into_iter()),
                Column::new("b".into(), [Some(0_i64), Some(0), None, Some(2)]),
                Column::new("t".into(), [Some("x"), None, Some("y"), None]),
            ],
        )
        .unwrap();
        hits(&rule, &frame)
            .unwrap()
            .iter()
            .enumerate()
            .filter(|(_, hit)| *hit == Some(true))
            .map(|(at, _)| at)
            .collect()
    }

    #[test]
    fn null_never_matches_unless_it_is_asked_for() {
        for (condition, expected) in [
            ("a > 0", vec![0, 2]),
            ("NOT (a > 100)", vec![0, 2]),
            ("NOT a > 100", vec![0, 2]),
            ("a <> 3", vec![0]),
            ("NOT (a = 3)", vec![0]),
            ("a NOT IN (3, 4)", vec![0]),
            ("NOT (a IN (3, 4))", vec![0]),
            ("a NOT BETWEEN 2 AND 4", vec![0]),
            ("t NOT LIKE 'x%'", vec![2]),
            ("t <> 'x'", vec![2]),
            ("NOT (t = 'x' OR a = 1)", vec![2]),
            ("a IS NULL", vec![1, 3]),
            ("NOT (a IS NULL)", vec![0, 2]),
            ("a > 2 OR t IS NULL", vec![1, 2, 3]),
            ("COALESCE(a, 9) > 2", vec![1, 2, 3]),
        ] {
            assert_eq!(rows(condition), expected, "{condition}");
        }
    }

    #[test]
    fn what_is_divided_by_zero_matches_nothing() {
        for (condition, expected) in [
            ("a / b > 0", vec![]),
            ("NOT (a / b < 5)", vec![]),
            ("b / b >= 1", vec![3]),
            ("MOD(b, b) = 0", vec![3]),
            ("3 / b > 1", vec![3]),
            ("b / 4 > 0.4", vec![3]),
        ] {
            assert_eq!(rows(condition), expected, "{condition}");
        }
    }

    #[test]
    fn a_condition_without_columns_holds_for_all_or_none() {
        assert_eq!((rows("1 = 1"), rows("1 = 2"), rows("TRUE")), (vec![0, 1, 2, 3], vec![], vec![0, 1, 2, 3]));
    }
}
