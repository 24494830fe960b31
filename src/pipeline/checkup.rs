//! `ordersight check`: what the inputs are worth before anything is computed from them.

use super::inputs::Clock;
use super::scoring::{Examples, label_counts, no_labels};
use super::training::feature_terms;
use crate::config::{Effect, Pipeline, Rule, RuleMode, did_you_mean};
use crate::contract::input::{Kind, table};
use crate::error::{Error, Problem, Result};
use crate::exceptions;
use crate::features::{self, Described, Features};
use crate::ingest::{Ingested, PersonalKey, TableProfile, ValueCounts, ingest, profile};
use crate::kpi::{Availability, Measure, catalogue};
use crate::quarantine::{Rejected, Tallies};
use crate::risk::Target;
use crate::satisfaction;
use crate::types::time::parse_span;
use std::collections::BTreeMap;
use std::path::Path;

/// What was found.
#[derive(Debug)]
pub struct Checkup {
    /// Accepted tables in figures.
    pub tables: BTreeMap<&'static str, TableProfile>,
    /// Rows by source.
    pub sources: Tallies,
    /// Rows by table.
    pub table_rows: Tallies,
    /// Values a stated rule decided.
    pub counts: ValueCounts,
    /// Refused rows.
    pub rejected: Vec<Rejected>,
    /// Why a run would refuse the input as a whole, if it would.
    pub refusal: Option<String>,
    /// Every KPI and satisfaction measure, with what is missing for it.
    pub measures: Vec<(Measure, Vec<String>)>,
    /// The satisfaction index and its factors: id, meaning, and what is missing for it.
    pub index: Vec<(String, String, Vec<String>)>,
    /// Every kind of exception that is wanted, and the table of stock: name, meaning, and what is missing for it.
    pub exceptions: Vec<(&'static str, &'static str, Vec<String>)>,
    /// Every feature in words, with what is missing for it.
    pub features: Vec<Described>,
    /// Risk targets: name, why there are no labels, mature labels, positive ones.
    pub targets: Vec<(String, Option<String>, u64, u64)>,
    /// The rules with how many of the accepted orders each would match, or what is wrong with them.
    pub rules: Result<Vec<RuleCheck>>,
}

/// A rule and what it would do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuleCheck {
    /// Its name.
    pub name: String,
    /// What it does with an order.
    pub effect: Effect,
    /// Whether it does it.
    pub mode: RuleMode,
    /// Orders it matches.
    pub orders: u64,
}

/// Reads everything a pipeline names and says what it is worth. Nothing is written but the folder of typed copies, which
/// the caller throws away.
///
/// # Errors
/// As [`ingest`].
pub fn checkup(pipeline: &Pipeline, cache: &Path, clock: Clock, tick: &(dyn Fn(&str) + Sync)) -> Result<Checkup> {
    targets_are_known(pipeline)?;
    // Hashes are compared within one run only, so any key will do.
    let mut ingested = ingest(pipeline, cache, &PersonalKey::from_secret("check"), clock.as_of, &|_| true, tick)?;
    let refusal = ingested.check_limit(pipeline.raw.quarantine.max_share).err().map(|e| e.to_string());
    let mut tables = BTreeMap::new();
    for (name, frame) in &ingested.tables {
        let personal = |column: &str| {
            matches!(table(name).and_then(|t| t.kind_of(column)), Some(Kind::Personal(_))) || column == "ip_network"
        };
        tables.insert(*name, profile(frame, &personal)?);
    }
    let available = Availability::of(&*super::working_time::added(pipeline, &ingested.tables, clock.as_of)?);
    super::as_of::known_at(&mut ingested.tables, clock.as_of)?;
    let features = features::build(&ingested.tables, &pipeline.features, &feature_terms(pipeline, clock.as_of))?;
    let index = super::satisfied::index_measures(pipeline, &ingested.tables, clock.as_of)?;
    let rules = rules(pipeline, &ingested, &features);
    let targets = Target::ALL
        .into_iter()
        .map(|target| {
            let (mature, positive) = label_counts(Examples::of(target, &features).outcomes);
            (target.to_string(), no_labels(target, &ingested), mature, positive)
        })
        .collect();
    Ok(Checkup {
        tables,
        measures: every_measure(pipeline, clock.as_of)
            .into_iter()
            .map(|m| {
                let missing = available.missing(m.needs);
                (m, missing)
            })
            .collect(),
        index,
        exceptions: exceptions::needs(&available, &pipeline.raw.exceptions),
        features: features.described,
        targets,
        rules,
        refusal,
        sources: ingested.sources,
        table_rows: ingested.table_rows,
        counts: ingested.counts,
        rejected: ingested.rejected,
    })
}

fn rules(pipeline: &Pipeline, ingested: &Ingested, features: &Features) -> Result<Vec<RuleCheck>> {
    let rules = &pipeline.raw.decision.rules;
    let orders = ingested.tables.get("orders").cloned().unwrap_or_default();
    let counts = super::rules::matched(pipeline, &orders, features)?.counts(rules.len());
    let check = |(rule, orders): (&Rule, u64)| RuleCheck {
        name: rule.name.clone(),
        effect: rule.effect,
        mode: rule.mode,
        orders,
    };
    Ok(rules.iter().zip(counts).map(check).collect())
}

/// Every KPI and satisfaction measure of a pipeline.
pub(super) fn every_measure(pipeline: &Pipeline, as_of: i64) -> Vec<Measure> {
    let return_window = parse_span(&pipeline.raw.kpi.return_window).unwrap_or_default();
    let terms = catalogue::Terms { as_of, zone: pipeline.zone, return_window };
    let mut all = catalogue::catalogue(&terms);
    all.extend(catalogue::by_part(&terms, &pipeline.raw.kpi.segments));
    all.extend(satisfaction::catalogue());
    all
}

/// Refuses targets of KPIs that do not exist: a typing error in a pack must not pass for a target that is met.
///
/// # Errors
/// [`Error::Config`] with every such target.
pub(super) fn targets_are_known(pipeline: &Pipeline) -> Result<()> {
    let mut known: Vec<String> = every_measure(pipeline, 0).iter().flat_map(Measure::published).collect();
    known.sort();
    known.dedup();
    let mut problems = Vec::new();
    for held in &pipeline.packs {
        for target in held.pack.targets.iter().filter(|target| !known.contains(&target.kpi)) {
            let key =
                held.channel.as_ref().map_or("kpi.targets".to_owned(), |channel| format!("kpi.targets.{channel}"));
            let message = format!("in pack `{}`: there is no KPI `{}`", held.name, target.kpi);
            let mut problem = Problem::new(key, message);
            problem.hint = did_you_mean(&target.kpi, known.iter().map(String::as_str))
                .or_else(|| Some("`ordersight check --kpis` lists them".to_owned()));
            problems.push(problem);
        }
    }
    if problems.is_empty() { Ok(()) } else { Err(Error::Config { file: pipeline.file.clone(), problems }) }
}
