//! Models that score in the shadow of those in service: written down, and without effect.

use super::scoring::{Examples, no_labels};
use crate::config::Pipeline;
use crate::error::{Error, Result};
use crate::features::Features;
use crate::ingest::Ingested;
use crate::registry::{Registered, Registry};
use crate::risk::Target;
use polars::prelude::*;

/// The challengers of both targets.
pub(super) struct Challengers([Option<Box<Registered>>; 2]);

impl Challengers {
    /// Those that the registry names, of targets that are asked for and have labels.
    ///
    /// # Errors
    /// [`Error::Model`] for one that cannot be read: a shadow that is silently missing would be taken for a quiet one.
    pub(super) fn new(pipeline: &Pipeline, ingested: &Ingested, registry: &Registry) -> Result<Self> {
        let one = |target| {
            let asked = match target {
                Target::Fraud => pipeline.raw.risk.fraud.is_some(),
                Target::Return => pipeline.raw.risk.returns.is_some(),
            };
            match asked && no_labels(target, ingested).is_none() {
                true => registry.challenger(target).map(|found| found.map(Box::new)).map_err(|e| hinted(target, e)),
                false => Ok(None),
            }
        };
        Ok(Self([one(Target::Fraud)?, one(Target::Return)?]))
    }

    /// The version of each that there is, by the name of its target.
    pub(super) fn versions(&self) -> impl Iterator<Item = (Target, &str)> {
        let models = Target::ALL.into_iter().zip(&self.0);
        models.filter_map(|(target, model)| model.as_ref().map(|model| (target, model.version.as_str())))
    }

    /// The challenger of a target.
    pub(super) fn of(&self, target: Target) -> Option<&Registered> {
        let mut models = Target::ALL.into_iter().zip(&self.0);
        models.find_map(|(found, model)| model.as_deref().filter(|_| found == target))
    }

    /// The probabilities each gives, one an order, or a line.
    ///
    /// # Errors
    /// [`Error::Model`] when one does not fit the features.
    pub(super) fn score(&self, features: &Features) -> Result<Shadows> {
        let one = |target: Target| match self.of(target) {
            None => Ok(None),
            Some(model) => {
                let scored = model.model.probabilities(Examples::of(target, features).matrix);
                scored.map(Some).map_err(|error| hinted(target, error))
            }
        };
        Ok(Shadows([one(Target::Fraud)?, one(Target::Return)?]))
    }
}

/// What challengers say of each order, or line.
pub(super) struct Shadows([Option<Vec<f64>>; 2]);

impl Shadows {
    /// The probabilities of a target's challenger.
    pub(super) fn of(&self, target: Target) -> Option<&[f64]> {
        let mut found = Target::ALL.into_iter().zip(&self.0);
        found.find_map(|(found, scored)| scored.as_deref().filter(|_| found == target))
    }

    /// The same as columns of `order_scores`: `fraud_challenger_probability`, `return_challenger_probability`.
    pub(super) fn columns(&self, features: &Features) -> Vec<Column> {
        let orders = features.placed_at.len();
        let rows = features.lines.as_ref().map_or(orders, |lines| lines.order.len());
        let column = |target: Target| {
            let name = format!("{target}_challenger_probability");
            let Some(scored) = self.of(target) else {
                return Column::full_null(name.as_str().into(), rows, &DataType::Float64);
            };
            // A line has the probability of its order where the order is what is scored.
            let by_row = match &features.lines {
                Some(lines) if scored.len() == orders && target == Target::Fraud => {
                    lines.order.iter().map(|&order| scored[order as usize]).collect()
                }
                _ => scored.to_vec(),
            };
            Column::new(name.as_str().into(), by_row)
        };
        Target::ALL.into_iter().map(column).collect()
    }
}

/// The same refusal, with the way out that a challenger has.
pub(super) fn hinted(target: Target, error: Error) -> Error {
    match error {
        Error::Model { message, .. } => Error::Model {
            message: format!("the challenger: {message}"),
            hint: Some(format!("`ordersight models challenge {target} none` goes on without it")),
        },
        other => other,
    }
}
