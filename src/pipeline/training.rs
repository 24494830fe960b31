//! From a pipeline's history to a registered model.

use super::inputs::{Clock, read};
use super::scoring::{Examples, no_labels};
use super::segments;
use crate::config::{self, Pipeline, ReturnUnit, did_you_mean};
use crate::error::{Error, Result};
use crate::features::engine::Level;
use crate::features::matrix::Matrix;
use crate::features::{self, Terms};
use crate::registry::{Provenance, Registry};
use crate::risk::evaluate::Evaluation;
use crate::risk::segments::{by_segment, warning};
use crate::risk::train::{TrainSettings, train_and_test};
use crate::risk::{Family, Target};
use crate::types::time::parse_span;
use std::borrow::Cow;
use std::path::PathBuf;

/// What a training needs beside its pipeline.
#[derive(Debug)]
pub struct TrainOptions {
    /// Folder of the typed copies of the sources and of the key of personal hashes.
    pub out: PathBuf,
    /// The model registry.
    pub models: PathBuf,
    /// The clock: labels known later do not exist.
    pub clock: Clock,
    /// Secret for personal hashes.
    pub secret: Option<String>,
    /// How models learn; `None` leaves it to the pipeline.
    pub family: Option<Family>,
    /// Seed of every draw.
    pub seed: u64,
}

/// A trained and registered model.
#[derive(Debug)]
pub struct TrainedTarget {
    /// What it predicts.
    pub target: Target,
    /// What it scores: `order` or `line`.
    pub unit: &'static str,
    /// Its version, now in service.
    pub version: String,
    /// What it is worth.
    pub evaluation: Evaluation,
}

/// What features and labels depend on.
pub(super) fn feature_terms(pipeline: &Pipeline, as_of: i64) -> Terms {
    let fraud = pipeline.raw.risk.fraud.clone().unwrap_or_default();
    let returned = pipeline.raw.risk.returns.clone().unwrap_or_default();
    // The configuration has checked both spans.
    Terms {
        zone: pipeline.zone,
        as_of,
        fraud_matures_after: parse_span(&fraud.label.matures_after).unwrap_or_default(),
        return_window: parse_span(&returned.window).unwrap_or_default(),
        undelivered_after: parse_span(&returned.undelivered_after).unwrap_or_default(),
        return_matures_after: returned.matures_after.as_deref().and_then(parse_span),
        return_unit: match returned.unit {
            ReturnUnit::Order => Level::Order,
            ReturnUnit::Line => Level::Line,
        },
    }
}

/// Trains models of `targets` on everything known at the clock and puts them in service.
///
/// # Errors
/// [`Error::Model`] when there are no labels or too few; what ingest refuses is refused here too.
pub fn train(
    pipeline: &Pipeline,
    targets: &[Target],
    options: &TrainOptions,
    tick: &(dyn Fn(&str) + Sync),
) -> Result<Vec<TrainedTarget>> {
    let key = super::personal_key(&options.out, options.secret.as_deref())?;
    let inputs = read(pipeline, &options.out, &key, options.clock.as_of, tick)?;
    for &target in targets {
        if let Some(why) = no_labels(target, &inputs.ingested) {
            return Err(Error::Model {
                message: format!("a {target} model cannot be trained: {why}"),
                hint: Some("map the labels, or let the rules of the pipeline decide".to_owned()),
            });
        }
    }
    tick("features");
    let features =
        features::build(&inputs.ingested.tables, &pipeline.features, &feature_terms(pipeline, options.clock.as_of))?;
    let registry = Registry::open(&options.models);
    let mut trained = Vec::new();
    for &target in targets {
        let Examples { matrix, placed_at, outcomes } = Examples::of(target, &features);
        let family = options.family.unwrap_or_else(|| family_of(pipeline, target));
        let settings = TrainSettings::new(family, options.seed, options.clock.as_of);
        let labels = outcomes.ripe_labels();
        let history = (placed_at, labels.as_slice(), outcomes.ripe_at());
        let about = beforehand(family, labels.iter().flatten().count(), matrix.width());
        tick(&format!("{target} model{about}"));
        let told = |what: &str| tick(&format!("{target} model{about}: {what}"));
        let matrix = learnable(pipeline, target, matrix)?;
        let (mut result, tested) = train_and_test(target, &matrix, history, &settings, &told)?;
        let order_of: Vec<usize> = match (target, &features.lines) {
            (Target::Return, Some(lines)) => tested.rows.iter().map(|&row| lines.order[row] as usize).collect(),
            _ => tested.rows,
        };
        let orders = inputs.ingested.tables.get("orders").cloned().unwrap_or_default();
        let segments = segments::of_rows(pipeline, &orders, &order_of)?;
        let found = by_segment(&tested.probabilities, &tested.labels, &segments);
        result.evaluation.warnings.extend(warning(&found));
        result.evaluation.by_segment = found;
        let provenance = Provenance {
            pipeline: pipeline.raw.name.clone(),
            unit: unit_of(pipeline, target).to_owned(),
            label_rule: label_rule(pipeline, target),
            seed: options.seed,
            as_of: options.clock.as_of,
            data_hashes: inputs.hashes.clone(),
        };
        let version = registry.register(&result, &provenance, true)?;
        trained.push(TrainedTarget { target, unit: unit_of(pipeline, target), version, evaluation: result.evaluation });
    }
    Ok(trained)
}

/// `, at most about 3 min`, where a training is long enough for people to want to know; empty for short ones.
fn beforehand(family: Family, rows: usize, features: usize) -> String {
    match family.seconds_at_most(rows, features) {
        seconds if seconds < 20.0 => String::new(),
        seconds if seconds < 90.0 => format!(", at most about {:.0} s", (seconds / 10.0).ceil() * 10.0),
        seconds => format!(", at most about {:.0} min", (seconds / 60.0).ceil()),
    }
}

/// The features with those that the pipeline keeps from the model emptied: a model has no use for them then, and scores
/// feature tables that hold them.
///
/// # Errors
/// [`Error::Usage`] for a name that no feature has.
pub(super) fn learnable<'a>(pipeline: &Pipeline, target: Target, matrix: &'a Matrix) -> Result<Cow<'a, Matrix>> {
    let without = match target {
        Target::Fraud => pipeline.raw.risk.fraud.as_ref().map(|risk| &risk.without),
        Target::Return => pipeline.raw.risk.returns.as_ref().map(|risk| &risk.without),
    };
    let mut found = Cow::Borrowed(matrix);
    for pattern in without.into_iter().flatten() {
        let glob = glob::Pattern::new(pattern)
            .map_err(|error| Error::usage(format!("`risk.{target}.without`: `{pattern}`: {error}")))?;
        let places: Vec<usize> = (0..matrix.width()).filter(|&at| glob.matches(&matrix.names[at])).collect();
        if places.is_empty() {
            return Err(Error::Usage {
                message: format!("`risk.{target}.without`: no feature is called `{pattern}`"),
                hint: did_you_mean(pattern, matrix.names.iter().map(String::as_str)),
            });
        }
        for at in places {
            found.to_mut().columns[at].fill(f64::NAN);
        }
    }
    Ok(found)
}

/// What a target's scores and labels are of: `order` or `line`.
pub(super) fn unit_of(pipeline: &Pipeline, target: Target) -> &'static str {
    match (target, pipeline.raw.risk.returns.as_ref().map(|risk| risk.unit)) {
        (Target::Return, Some(ReturnUnit::Line)) => "line",
        _ => "order",
    }
}

/// The family the pipeline asks for.
pub(super) fn family_of(pipeline: &Pipeline, target: Target) -> Family {
    let asked = match target {
        Target::Fraud => pipeline.raw.risk.fraud.as_ref().map(|risk| risk.family),
        Target::Return => pipeline.raw.risk.returns.as_ref().map(|risk| risk.family),
    };
    match asked.unwrap_or_default() {
        config::Family::Logistic => Family::Logistic,
        config::Family::Ftrl => Family::Ftrl,
        config::Family::Boosted => Family::Boosted,
        config::Family::Blend => Family::Blend,
    }
}

fn label_rule(pipeline: &Pipeline, target: Target) -> String {
    match target {
        Target::Fraud => {
            let after = pipeline.raw.risk.fraud.clone().unwrap_or_default().label.matures_after;
            format!(
                "fraud: the label column, a chargeback or a reviewer's latest decision, from the time it was known; \
                 legitimate: cleared, or none of these within {after} of placement"
            )
        }
        Target::Return => {
            let settings = pipeline.raw.risk.returns.clone().unwrap_or_default();
            let (window, undelivered) = (settings.window, settings.undelivered_after);
            let passed = match settings.matures_after {
                Some(after) => format!("delivered, and none known {after} after placement"),
                None => "that time has passed without one".to_owned(),
            };
            let unit = match settings.unit {
                ReturnUnit::Order => "order",
                ReturnUnit::Line => "order line",
            };
            format!(
                "{unit} returned: a return requested within {window} after delivery; kept: {passed}, or nothing was \
                 delivered within {undelivered} after placement"
            )
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_trainings_say_so_beforehand_and_short_ones_do_not() {
        assert_eq!(beforehand(Family::Boosted, 2_000, 40), "");
        assert_eq!(beforehand(Family::Ftrl, 1_000_000, 50), ", at most about 30 s");
        assert_eq!(beforehand(Family::Boosted, 2_000_000, 40), ", at most about 5 min");
        let at_most = |family: Family| family.seconds_at_most(500_000, 60);
        assert!(at_most(Family::Ftrl) < at_most(Family::Logistic) && at_most(Family::Boosted) < at_most(Family::Blend));
    }
}
