//! What a target's model is worth on the pipeline's own history: trained again for every fold, measured on what came later.

use super::inputs::{Clock, read};
use super::replay::{self, AsPlaced};
use super::scores::costs;
use super::scoring::{Examples, no_labels};
use super::segments;
use super::training::{family_of, feature_terms, learnable};
use crate::config::Pipeline;
use crate::decision::Costs;
use crate::decision::saved::Reviewer;
use crate::error::{Error, Result};
use crate::features;
use crate::publish::Publisher;
use crate::risk::daily::by_day;
use crate::risk::folds::{maturing, rolling};
use crate::risk::segments::{by_segment, warning};
use crate::risk::split::Cuts;
use crate::risk::train::{TrainSettings, train_and_test};
use crate::risk::{Family, Label, Target};
use crate::types::time::{date_of, day_start};
use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;

mod facts;
mod measured;
mod money;
mod record;
mod scored;
mod tables;

use facts::Facts;
pub use record::{Diagram, Evaluated, Fold, Measure, MoneySaved, PolicyDay, PolicySaved};

/// What an evaluation needs beside its pipeline.
#[derive(Debug)]
pub struct EvaluateOptions {
    /// Output folder: the key of personal hashes and typed copies of sources are kept there, `evaluation/` goes there.
    pub out: PathBuf,
    /// The clock: labels known later do not exist.
    pub clock: Clock,
    /// Secret for personal hashes.
    pub secret: Option<String>,
    /// How models learn; `None` leaves it to the pipeline.
    pub family: Option<Family>,
    /// Seed of every draw.
    pub seed: u64,
    /// Which orders are learnt from and which tested on.
    pub protocol: Protocol,
    /// Time between slices, microseconds; `None` is the time labels take to mature.
    pub gap: Option<i64>,
    /// Orders that can be looked at in a day; `None` is the pipeline's capacity, else one order in a hundred.
    pub per_day: Option<usize>,
    /// Customers to leave out of the test.
    pub leave_out: Option<LeaveOut>,
    /// Whether the rules are replayed over all of history. If they are, a model that cannot be trained is no error.
    pub rules: bool,
    /// How good the people at the desk are taken to be.
    pub reviewer: Reviewer,
}

/// Which orders are learnt from and which tested on. Instants are UTC microseconds, ends exclusive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// So many folds that roll forward over the later half.
    Rolling(usize),
    /// One training with given cuts; calibration begins where training ends, the test a gap after calibration ends.
    Given {
        /// The first instant to learn from; `None` is the beginning.
        train_from: Option<i64>,
        /// End of the training slice.
        train_until: i64,
        /// End of the calibration slice.
        calibrate_until: i64,
        /// End of the test slice.
        test_until: i64,
    },
}

/// Customers with a positive order are not tested on from the day it counts as known: the desk has them already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LeaveOut {
    /// How long after its placement an order's outcome counts as known, microseconds.
    pub after: i64,
    /// Positive orders placed before this instant do not count.
    pub since: i64,
}

/// The test rows of all folds, in time order.
#[derive(Debug, Default)]
struct Tested {
    rows: Vec<usize>,
    probabilities: Vec<f64>,
    labels: Vec<bool>,
    fold: Vec<usize>,
}

/// Trains and measures fold by fold, and publishes `OUT/evaluation`.
///
/// # Errors
/// [`Error::Model`] when there are no labels or no fold has enough of them, unless rules are replayed; [`Error::Config`] for
/// a rule that cannot be matched, [`Error::Usage`] when rules are asked for and there are none; what ingest refuses is
/// refused here too.
pub fn evaluate(
    pipeline: &Pipeline,
    target: Target,
    options: &EvaluateOptions,
    tick: &(dyn Fn(&str) + Sync),
) -> Result<Evaluated> {
    if options.rules {
        replay::can_replay(pipeline, target)?;
    }
    // The lock first, as for a run.
    let publisher = Publisher::open(&options.out)?;
    let key = super::personal_key(&options.out, options.secret.as_deref())?;
    let as_of = options.clock.as_of;
    let inputs = read(pipeline, &options.out, &key, as_of, tick)?;
    let no_labels = no_labels(target, &inputs.ingested);
    if let (Some(why), false) = (&no_labels, options.rules) {
        return Err(Error::Model { message: format!("a {target} model cannot be evaluated: {why}"), hint: None });
    }
    tick("features");
    let features = features::build(&inputs.ingested.tables, &pipeline.features, &feature_terms(pipeline, as_of))?;
    let placed = match target {
        Target::Fraud if !pipeline.raw.decision.rules.is_empty() => {
            Some(AsPlaced::new(pipeline, &inputs.ingested, &features)?)
        }
        _ => None,
    };
    let examples = Examples::of(target, &features);
    let matrix = learnable(pipeline, target, examples.matrix)?;
    let examples = Examples { matrix: &matrix, ..examples };
    let labels = examples.outcomes.ripe_labels();
    let family = options.family.unwrap_or_else(|| family_of(pipeline, target));
    let (folds, tested, mut notes) = match fold_by_fold(target, family, &examples, &labels, options, tick) {
        Err(Error::Model { message, .. }) if options.rules => {
            let why = no_labels.unwrap_or(message);
            (Vec::new(), Tested::default(), vec![format!("rules are replayed without a model: {why}")])
        }
        other => other?,
    };
    tick("measures");
    let facts = Facts::new(pipeline, target, &inputs.ingested, &features)?;
    let all = tested.rows.len();
    let tested = match options.leave_out {
        Some(rule) => leave_out(tested, rule, pipeline, &facts, &examples, &labels),
        None => tested,
    };
    let left_out = all - tested.rows.len();
    if tested.rows.is_empty() && !options.rules {
        return Err(Error::Model { message: format!("no {target} is left to test on"), hint: None });
    }
    let days_tested = tested.rows.iter().map(|&row| facts.days[row]).collect::<std::collections::BTreeSet<_>>().len();
    let per_day = options
        .per_day
        .or_else(|| pipeline.raw.decision.review_capacity_per_day.map(|capacity| capacity as usize))
        .unwrap_or_else(|| (tested.rows.len() / days_tested.max(1)).div_ceil(100).max(1));
    let (measures, reliability) = match tested.rows.is_empty() {
        true => Default::default(),
        false => measured::by_segment(
            &tested,
            &measured::segments(pipeline, &inputs.ingested, &facts, &tested)?,
            &facts,
            options.seed,
            &mut notes,
        ),
    };
    let costs = Costs { capacity_per_day: u32::try_from(per_day).ok(), ..costs(pipeline) };
    let (mut money, mut rules) = (None, None);
    if target == Target::Fraud {
        let history =
            money::History { orders: &inputs.ingested, facts: &facts, labels: &labels, placed: placed.as_ref() };
        (money, rules) = money::decisions(pipeline, &history, &tested, &costs, options)?;
    }
    let segments = segments::of_rows(
        pipeline,
        &inputs.ingested.tables.get("orders").cloned().unwrap_or_default(),
        &tested.rows.iter().map(|&row| facts.order[row]).collect::<Vec<_>>(),
    )?;
    let by_segment = by_segment(&tested.probabilities, &tested.labels, &segments);
    notes.extend(warning(&by_segment));
    let mut evaluated = Evaluated {
        pipeline: pipeline.raw.name.clone(),
        target,
        family: family.name(),
        currency: pipeline.raw.money.base.clone(),
        rows: tested.rows.len(),
        positives: tested.labels.iter().filter(|&&label| label).count(),
        left_out,
        per_day,
        days: by_day(&facts.scored(&tested), per_day, costs.chargeback_fee),
        folds,
        measures,
        reliability,
        by_segment,
        money,
        rules,
        notes,
    };
    if !tested.rows.is_empty() {
        let desk = measured::desk_measures(&evaluated, options.seed);
        evaluated.measures.extend(desk);
    }
    let scores = scored::rows(target, &inputs.ingested, &features, &facts, &tested, placed.as_ref())?;
    tables::publish(&evaluated, scores, &publisher, &inputs.hashes, pipeline, options)?;
    Ok(evaluated)
}

/// Trains every fold; one without enough outcomes is left out with a note, and none at all is an error.
fn fold_by_fold(
    target: Target,
    family: Family,
    examples: &Examples,
    labels: &[Label],
    options: &EvaluateOptions,
    tick: &(dyn Fn(&str) + Sync),
) -> Result<(Vec<Fold>, Tested, Vec<String>)> {
    let (placed_at, known_at, as_of) = (examples.placed_at, examples.outcomes.ripe_at(), options.clock.as_of);
    let plan = match options.protocol {
        Protocol::Rolling(folds) => rolling(placed_at, labels, known_at, as_of, folds, options.gap),
        Protocol::Given { train_from, train_until, calibrate_until, test_until } => {
            let gap = options.gap.unwrap_or_else(|| maturing(placed_at, labels, known_at, as_of));
            vec![Cuts {
                train_from: train_from.unwrap_or(i64::MIN),
                train_until,
                calibrate_from: train_until,
                calibrate_until,
                test_from: calibrate_until.saturating_add(gap),
                test_until,
            }]
        }
    };
    let (mut folds, mut tested, mut notes) = (Vec::new(), Tested::default(), Vec::new());
    let mut refused = None;
    for (at, cuts) in plan.iter().enumerate() {
        let name = format!("fold {} of {}", at + 1, plan.len());
        let settings = TrainSettings { cuts: Some(*cuts), ..TrainSettings::new(family, options.seed, as_of) };
        let note = |what: &str| tick(&format!("{name}: {what}"));
        let result = train_and_test(target, examples.matrix, (placed_at, labels, known_at), &settings, &note);
        let (trained, test) = match result {
            Ok(done) => done,
            Err(Error::Model { message, .. }) => {
                notes.push(format!("{name} was left out: {message}"));
                refused.get_or_insert(message);
                continue;
            }
            Err(other) => return Err(other),
        };
        let fold = at + 1;
        tested.fold.extend(test.rows.iter().map(|_| fold));
        tested.rows.extend(test.rows);
        tested.probabilities.extend(test.probabilities);
        tested.labels.extend(test.labels);
        let evaluation = trained.evaluation;
        folds.push(Fold {
            fold,
            train: evaluation.train,
            calibrate: evaluation.calibrate,
            test: evaluation.test,
            settings: evaluation.settings,
            calibration: evaluation.calibration,
            notes: evaluation.warnings,
        });
    }
    if folds.is_empty() {
        let why = refused.unwrap_or_else(|| "there are no mature labels".to_owned());
        return Err(Error::Model {
            message: format!("no fold can be evaluated: {why}"),
            hint: Some("fewer folds, a shorter `--gap` or other cuts leave more to learn from".to_owned()),
        });
    }
    Ok((folds, tested, notes))
}

/// Drops the rows of customers who were known when the day began.
fn leave_out(
    tested: Tested,
    rule: LeaveOut,
    pipeline: &Pipeline,
    facts: &Facts,
    examples: &Examples,
    labels: &[Label],
) -> Tested {
    let mut first: HashMap<u32, i64> = HashMap::new();
    for (row, &at) in examples.placed_at.iter().enumerate() {
        if labels[row] == Some(true)
            && at >= rule.since
            && let Some(customer) = facts.customer(row)
        {
            first.entry(customer).and_modify(|first| *first = at.min(*first)).or_insert(at);
        }
    }
    let mut begins: BTreeMap<i32, i64> = BTreeMap::new();
    let mut kept = Tested::default();
    for (at, &row) in tested.rows.iter().enumerate() {
        let day = facts.days[row];
        let begin = *begins.entry(day).or_insert_with(|| date_of(day).map_or(0, |date| day_start(date, pipeline.zone)));
        let positive_at = facts.customer(row).and_then(|customer| first.get(&customer));
        if positive_at.is_some_and(|&positive_at| positive_at.saturating_add(rule.after) < begin) {
            continue;
        }
        kept.rows.push(row);
        kept.probabilities.push(tested.probabilities[at]);
        kept.labels.push(tested.labels[at]);
        kept.fold.push(tested.fold[at]);
    }
    kept
}
