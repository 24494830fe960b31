//! The models in service and what they say of each order.

use super::training::{family_of, feature_terms};
use crate::config::Pipeline;
use crate::error::{Error, Result};
use crate::features::labels::Outcomes;
use crate::features::matrix::Matrix;
use crate::features::{self, Features};
use crate::ingest::Ingested;
use crate::registry::{Registered, Registry};
use crate::risk::Target;
use crate::risk::train::TrainSettings;

/// What a target's model learns from and scores: orders, or lines where lines are what is returned.
pub(super) struct Examples<'a> {
    pub(super) matrix: &'a Matrix,
    /// When each was placed, UTC microseconds.
    pub(super) placed_at: &'a [i64],
    pub(super) outcomes: &'a Outcomes,
}

impl<'a> Examples<'a> {
    pub(super) fn of(target: Target, features: &'a Features) -> Self {
        let Features { matrix, placed_at, fraud, returned, lines, .. } = features;
        match (target, lines) {
            (Target::Fraud, _) => Self { matrix, placed_at, outcomes: fraud },
            (Target::Return, None) => Self { matrix, placed_at, outcomes: returned },
            (Target::Return, Some(lines)) => {
                Self { matrix: &lines.matrix, placed_at: &lines.placed_at, outcomes: &lines.returned }
            }
        }
    }
}

/// A target's scores, or why there are none.
pub(super) enum Scored {
    /// Not asked for, or impossible; the words go into the output beside the null probability.
    Absent(String),
    /// One probability an order, or a line.
    Present {
        /// The model that gave them.
        model: Box<Registered>,
        /// Probabilities in the order of `orders`, or of `order_items`.
        probabilities: Vec<f64>,
    },
}

impl Scored {
    pub(super) fn probability(&self, at: usize) -> Option<f64> {
        match self {
            Self::Absent(_) => None,
            Self::Present { probabilities, .. } => probabilities.get(at).copied(),
        }
    }

    /// The model, to score again with.
    pub(super) fn into_champion(self) -> Champion {
        match self {
            Self::Absent(why) => Err(why),
            Self::Present { model, .. } => Ok(model),
        }
    }

    /// The model's version, if there is one.
    pub(super) fn version(&self) -> Option<&str> {
        match self {
            Self::Absent(_) => None,
            Self::Present { model, .. } => Some(&model.version),
        }
    }

    /// Why there is no probability.
    pub(super) fn absence(&self) -> Option<&str> {
        match self {
            Self::Absent(why) => Some(why),
            Self::Present { .. } => None,
        }
    }
}

/// What an input says about a target: the words why it has no labels, or `None` if it has some.
pub(super) fn no_labels(target: Target, ingested: &Ingested) -> Option<String> {
    let has = |t: &str, c: &str| ingested.tables.get(t).is_some_and(|f| f.get_column_index(c).is_some());
    match target {
        Target::Fraud if has("orders", "fraud") || has("tickets", "kind") || has("review_decisions", "decision") => {
            None
        }
        Target::Fraud => Some(
            "no fraud labels: none of `orders.fraud`, `tickets.kind` and `review_decisions` is supplied".to_owned(),
        ),
        Target::Return if has("returns", "requested_at") && has("orders", "delivered_at") => None,
        Target::Return => {
            Some("no return labels: `returns` and `orders.delivered_at` are not both supplied".to_owned())
        }
    }
}

/// A model in service, or the words why none is needed.
pub(super) type Champion = Result<Box<Registered>, String>;

/// The model in service for a target, or why none is needed.
///
/// While too few frauds are known for certain a model cannot be trained, and none is needed either: the most unusual
/// orders are looked at instead, unless `risk.fraud.cold_start` is off. The trainer's own cut says what is too few, so
/// that a shop is asked for a model from the first night on which it can have one, and not before.
///
/// # Errors
/// [`Error::Model`] when the data has labels enough and no model was trained, or the model cannot be read.
pub(super) fn champion(
    pipeline: &Pipeline,
    target: Target,
    ingested: &Ingested,
    registry: &Registry,
    as_of: i64,
) -> Result<Champion> {
    let asked = match target {
        Target::Fraud => pipeline.raw.risk.fraud.is_some(),
        Target::Return => pipeline.raw.risk.returns.is_some(),
    };
    if !asked {
        return Ok(Err(format!("not asked for: the pipeline has no [risk.{target}]")));
    }
    if let Some(why) = no_labels(target, ingested) {
        return Ok(Err(why));
    }
    let Some(model) = registry.champion(target)? else {
        if target == Target::Fraud && pipeline.raw.risk.fraud.as_ref().is_some_and(|fraud| fraud.cold_start) {
            let (placed_at, known) = features::known_frauds(&ingested.tables, &feature_terms(pipeline, as_of))?;
            let (mature, frauds) = label_counts(&known);
            if frauds == 0 {
                return Ok(Err(format!(
                    "no fraud is known for certain yet: {mature} labels are mature, none says yes"
                )));
            }
            let settings = TrainSettings::new(family_of(pipeline, target), 0, as_of);
            let enough = settings.enough(target, &placed_at, &known.ripe_labels(), known.ripe_at());
            if let Err(Error::Model { message, .. }) = enough {
                return Ok(Err(format!("no model yet: {message}")));
            }
        }
        return Err(Error::Model {
            message: format!("there is no {target} model in `{}`", registry.dir().display()),
            hint: Some(format!(
                "run `ordersight train {} --target {target}`, or leave out [risk.{target}] to go on without",
                pipeline.file
            )),
        });
    };
    Ok(Ok(Box::new(model)))
}

/// Scores every order, or line, with the model in service.
///
/// # Errors
/// [`Error::Model`] when the model does not fit the features.
pub(super) fn score(champion: Champion, examples: &Examples) -> Result<Scored> {
    Ok(match champion {
        Err(why) => Scored::Absent(why),
        Ok(model) => Scored::Present { probabilities: model.model.probabilities(examples.matrix)?, model },
    })
}

/// How many orders or lines have a mature label, and how many of them say yes.
pub(super) fn label_counts(outcomes: &Outcomes) -> (u64, u64) {
    let labels = outcomes.ripe_labels();
    let mature = labels.iter().flatten().count() as u64;
    (mature, labels.iter().filter(|l| **l == Some(true)).count() as u64)
}
