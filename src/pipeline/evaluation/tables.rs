//! The files of an evaluation: tables for queries, one JSON document for everything else.

use super::{EvaluateOptions, Evaluated, Fold, MoneySaved};
use crate::config::Pipeline;
use crate::contract::SCHEMA_VERSION;
use crate::contract::output::output;
use crate::error::{Error, Result};
use crate::pipeline::replay::RuleReplay;
use crate::publish::{Publisher, Replaces};
use crate::risk::Target;
use crate::risk::evaluate::Slice;
use crate::types::time::format_instant;
use polars::prelude::*;
use std::collections::BTreeMap;

/// Publishes the tables of a target's evaluation and its document, in one commit that leaves all else as it is.
///
/// # Errors
/// [`Error::Environment`] when the disk fails: what was published before stands.
pub(super) fn publish(
    evaluated: &Evaluated,
    scores: DataFrame,
    publisher: &Publisher,
    inputs: &BTreeMap<String, String>,
    pipeline: &Pipeline,
    options: &EvaluateOptions,
) -> Result<()> {
    let target = evaluated.target.name();
    let json = serde_json::to_string_pretty(evaluated).map_err(|e| Error::Invariant(format!("evaluation: {e}")))?;
    let as_of = format_instant(options.clock.as_of);
    let mut hasher = blake3::Hasher::new();
    for part in inputs.iter().flat_map(|(file, hash)| [file, hash]).chain([&pipeline.fingerprint, &as_of, &json]) {
        hasher.update(part.as_bytes()).update(b"\n");
    }
    let id = format!("evaluation-{target}-{}", &hasher.finalize().to_hex()[..16]);
    let metadata = BTreeMap::from([
        ("run_id".to_owned(), id.clone()),
        ("schema_version".to_owned(), SCHEMA_VERSION.to_owned()),
        ("pipeline".to_owned(), evaluated.pipeline.clone()),
        ("target".to_owned(), target.to_owned()),
        ("family".to_owned(), evaluated.family.to_owned()),
        ("as_of".to_owned(), as_of),
        ("currency".to_owned(), evaluated.currency.clone()),
    ]);
    let mut staging = publisher.begin_replacing(Replaces::Evaluation(target.to_owned()), &id, metadata)?;
    let mut tables = vec![
        ("evaluation_measures", measures(evaluated)?),
        ("evaluation_reliability", reliability(evaluated)?),
        ("evaluation_days", days(evaluated)?),
        ("evaluation_folds", folds(evaluated)?),
        ("evaluation_scores", scores),
    ];
    if let Some(money) = &evaluated.money {
        tables.push(("money_saved", money_saved(evaluated, money)?));
    }
    if let Some(rules) = &evaluated.rules {
        tables.push(("rule_replay", rule_replay(evaluated, rules)?));
    }
    for (name, frame) in tables.into_iter().filter(|(_, frame)| frame.height() > 0) {
        let table = output(name).ok_or_else(|| Error::Invariant(format!("`{name}` is not an output table")))?;
        staging.write(table, &frame)?;
    }
    staging.write_document(target, json.as_bytes())?;
    staging.commit()?;
    Ok(())
}

fn text<'a>(name: &str, values: impl Iterator<Item = &'a str>) -> Column {
    Column::new(name.into(), values.collect::<Vec<_>>())
}

fn count(name: &str, values: impl Iterator<Item = usize>) -> Column {
    Column::new(name.into(), values.map(|value| value as i64).collect::<Vec<_>>())
}

fn number(name: &str, values: impl Iterator<Item = Option<f64>>) -> Column {
    Column::new(name.into(), values.collect::<Vec<_>>())
}

fn instant(name: &str, values: impl Iterator<Item = i64>) -> Result<Column> {
    let zoned = DataType::Datetime(TimeUnit::Microseconds, Some(TimeZone::UTC));
    Column::new(name.into(), values.collect::<Vec<_>>()).cast(&zoned).map_err(Error::frames("evaluation"))
}

fn frame(columns: Vec<Column>) -> Result<DataFrame> {
    DataFrame::new_infer_height(columns).map_err(Error::frames("evaluation"))
}

fn measures(evaluated: &Evaluated) -> Result<DataFrame> {
    let all = || evaluated.measures.iter();
    frame(vec![
        text("target", all().map(|_| evaluated.target.name())),
        text("family", all().map(|_| evaluated.family)),
        text("segment", all().map(|m| m.segment.as_str())),
        text("segment_value", all().map(|m| m.segment_value.as_str())),
        text("measure", all().map(|m| m.measure)),
        number("value", all().map(|m| m.estimate.value)),
        number("lower", all().map(|m| m.estimate.lower)),
        number("upper", all().map(|m| m.estimate.upper)),
        text("drawn_by", all().map(|m| m.drawn_by)),
        count("rows", all().map(|m| m.rows)),
        count("positives", all().map(|m| m.positives)),
    ])
}

fn reliability(evaluated: &Evaluated) -> Result<DataFrame> {
    let all = || {
        evaluated
            .reliability
            .iter()
            .flat_map(|diagram| diagram.bins.iter().enumerate().map(move |(bin, found)| (diagram, bin + 1, found)))
    };
    frame(vec![
        text("target", all().map(|_| evaluated.target.name())),
        text("segment", all().map(|(diagram, ..)| diagram.segment.as_str())),
        text("segment_value", all().map(|(diagram, ..)| diagram.segment_value.as_str())),
        count("bin", all().map(|(_, bin, _)| bin)),
        count("rows", all().map(|(.., found)| found.rows)),
        number("predicted", all().map(|(.., found)| Some(found.predicted))),
        number("observed", all().map(|(.., found)| Some(found.observed))),
    ])
}

fn days(evaluated: &Evaluated) -> Result<DataFrame> {
    let all = || evaluated.days.iter();
    let day = Column::new("day".into(), all().map(|d| d.day).collect::<Vec<_>>());
    let fraud = |value: f64| (evaluated.target == Target::Fraud).then_some(value);
    frame(vec![
        text("target", all().map(|_| evaluated.target.name())),
        day.cast(&DataType::Date).map_err(Error::frames("evaluation"))?,
        count("rows", all().map(|d| d.rows)),
        count("positives", all().map(|d| d.positives)),
        count("looked", all().map(|d| d.looked)),
        count("found", all().map(|d| d.found)),
        count("customers_found", all().map(|d| d.customers_found)),
        number("value", all().map(|d| fraud(d.value))),
        number("value_found", all().map(|d| fraud(d.value_found))),
    ])
}

fn folds(evaluated: &Evaluated) -> Result<DataFrame> {
    let all = || evaluated.folds.iter();
    let mut columns = vec![
        text("target", all().map(|_| evaluated.target.name())),
        count("fold", all().map(|f| f.fold)),
        text("calibration", all().map(|f| f.calibration.method.as_str())),
    ];
    for (name, slice) in
        [("train", (|f| &f.train) as fn(&Fold) -> &Slice), ("calibrate", |f| &f.calibrate), ("test", |f| &f.test)]
    {
        columns.push(instant(&format!("{name}_from"), all().map(|f| slice(f).from))?);
        columns.push(instant(&format!("{name}_to"), all().map(|f| slice(f).to))?);
        columns.push(count(&format!("{name}_rows"), all().map(|f| slice(f).rows)));
        columns.push(count(&format!("{name}_positives"), all().map(|f| slice(f).positives)));
    }
    frame(columns)
}

fn dates(name: &str, values: impl Iterator<Item = Option<i32>>) -> Result<Column> {
    let days = Column::new(name.into(), values.collect::<Vec<_>>());
    days.cast(&DataType::Date).map_err(Error::frames("evaluation"))
}

fn maybe<'a>(name: &str, values: impl Iterator<Item = Option<&'a str>>) -> Column {
    Column::new(name.into(), values.collect::<Vec<Option<&str>>>())
}

fn whole(name: &str, values: impl Iterator<Item = i64>) -> Column {
    Column::new(name.into(), values.collect::<Vec<_>>())
}

/// By policy over all days (`grain` is `all`), then by day and policy, without intervals.
fn money_saved(evaluated: &Evaluated, money: &MoneySaved) -> Result<DataFrame> {
    let (all, days) = (|| money.policies.iter(), || money.days.iter());
    macro_rules! both {
        ($name:literal, $field:ident) => {
            number($name, all().map(|p| Some(p.$field)).chain(days().map(|d| Some(d.$field))))
        };
    }
    macro_rules! of_all {
        ($name:literal, $estimate:ident, $end:ident) => {
            number($name, all().map(|p| p.$estimate.$end).chain(days().map(|_| None)))
        };
    }
    let counts = |of_all: usize, of_day: fn(&super::PolicyDay) -> usize| {
        all().map(move |_| of_all).chain(days().map(of_day)).collect::<Vec<_>>().into_iter()
    };
    frame(vec![
        text("target", all().map(|_| evaluated.target.name()).chain(days().map(|_| evaluated.target.name()))),
        text("grain", all().map(|_| "all").chain(days().map(|_| "day"))),
        dates("period_start", all().map(|_| None).chain(days().map(|d| Some(d.day))))?,
        text("policy", all().map(|p| p.policy).chain(days().map(|d| d.policy))),
        count("orders", counts(money.orders, |d| d.orders)),
        count("frauds", counts(money.frauds, |d| d.frauds)),
        both!("looked", looked),
        both!("held_unseen", held_unseen),
        both!("frauds_stopped", frauds_stopped),
        both!("good_stopped", good_stopped),
        both!("loss_avoided", loss_avoided),
        both!("review_cost", review_cost),
        both!("margin_lost", margin_lost),
        number("saved", all().map(|p| p.saved.value).chain(days().map(|d| Some(d.saved)))),
        of_all!("lower", saved, lower),
        of_all!("upper", saved, upper),
        of_all!("more_than_random", more_than_random, value),
        of_all!("more_than_random_lower", more_than_random, lower),
        of_all!("more_than_random_upper", more_than_random, upper),
        of_all!("more_than_largest_first", more_than_largest_first, value),
        of_all!("more_than_largest_first_lower", more_than_largest_first, lower),
        of_all!("more_than_largest_first_upper", more_than_largest_first, upper),
    ])
}

fn rule_replay(evaluated: &Evaluated, rules: &RuleReplay) -> Result<DataFrame> {
    let all = || rules.lines.iter();
    let mature = Column::new("mature".into(), all().map(|l| l.mature).collect::<Vec<_>>());
    let number_of =
        |name: &str, pick: fn(&crate::pipeline::RuleLine) -> u64| whole(name, all().map(|l| pick(l) as i64));
    frame(vec![
        text("target", all().map(|_| evaluated.target.name())),
        text("scope", all().map(|l| l.scope)),
        maybe("rule", all().map(|l| l.rule.as_deref())),
        maybe("effect", all().map(|l| l.effect)),
        maybe("mode", all().map(|l| l.mode)),
        text("grain", all().map(|l| if l.period_start.is_some() { "month" } else { "all" })),
        dates("period_start", all().map(|l| l.period_start))?,
        mature,
        number_of("orders", |l| l.orders),
        number_of("hits", |l| l.hits),
        number_of("decides", |l| l.decides),
        number_of("labelled", |l| l.labelled),
        number_of("frauds", |l| l.frauds),
        number("precision", all().map(|l| l.precision)),
        number("lower", all().map(|l| l.lower)),
        number("upper", all().map(|l| l.upper)),
        whole("fraud_value", all().map(|l| l.fraud_value)),
        whole("good_value", all().map(|l| l.good_value)),
        number("fraud_value_share", all().map(|l| l.fraud_value_share)),
        number_of("tested", |l| l.tested),
        number_of("both", |l| l.both),
        number_of("only_rule", |l| l.only_rule),
        number_of("only_model", |l| l.only_model),
        number("jaccard", all().map(|l| l.jaccard)),
        number_of("frauds_both", |l| l.frauds_both),
        number_of("frauds_only_rule", |l| l.frauds_only_rule),
        number_of("frauds_only_model", |l| l.frauds_only_model),
    ])
}
