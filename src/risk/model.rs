//! A trained model: feature names, what was learnt, and its calibration.

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::Target;
use super::calibrate::Platt;
use super::logistic::Linear;
use super::prepare::Prepare;
use crate::error::{Error, Result};
use crate::features::matrix::Matrix;

/// A model that scores feature tables. Its JSON holds it to the bit.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Model {
    /// What it predicts.
    pub target: Target,
    /// Its features, in order; a table to score must have the same ones in the same order.
    pub features: Vec<String>,
    /// What was learnt.
    pub learner: Learner,
    /// From raw scores to probabilities.
    pub calibration: Platt,
}

/// What a family learnt. A new family is a new variant.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "family", rename_all = "snake_case")]
pub enum Learner {
    /// Logistic regression on prepared features.
    Logistic {
        /// From features to columns.
        prepare: Prepare,
        /// From columns to log-odds.
        linear: Linear,
    },
}

/// What one feature did to one score.
#[derive(Debug, Clone, PartialEq)]
pub struct Contribution {
    /// The feature.
    pub feature: String,
    /// Its value in the row, in its own unit; NaN when it was missing.
    pub value: f64,
    /// Its average in training, in its own unit.
    pub average: f64,
    /// Calibrated log-odds it added, against the average order of training; its missing flag is part of it.
    pub contribution: f64,
}

impl Learner {
    /// The family's name, as in the pipeline file.
    pub fn family(&self) -> &'static str {
        match self {
            Self::Logistic { .. } => "logistic",
        }
    }

    /// Raw log-odds of one row, before calibration.
    fn raw(&self, row: &[f64]) -> f64 {
        match self {
            Self::Logistic { prepare, linear } => {
                let mut sum = linear.intercept;
                let mut coefficients = linear.coefficients.iter();
                prepare.each(row, |_, scaled| sum += coefficients.next().map_or(0.0, |c| scaled * c));
                sum
            }
        }
    }

    /// Whether the parts fit each other and the number of features; a file that was tampered with may not.
    fn is_coherent(&self, features: usize) -> bool {
        match self {
            Self::Logistic { prepare, linear } => {
                prepare.columns.len() == features
                    && prepare.width() == linear.coefficients.len()
                    && prepare.columns.iter().all(|column| column.low <= column.high)
            }
        }
    }
}

impl Model {
    /// The calibrated probability of each row.
    ///
    /// A row's probability has the same bits whatever rows it is scored beside.
    ///
    /// # Errors
    /// [`Error::Model`] when the names of `matrix` are not exactly the model's, with the first difference.
    pub fn probabilities(&self, matrix: &Matrix) -> Result<Vec<f64>> {
        let raw = self.raw_scores(matrix)?;
        Ok(raw.into_iter().map(|raw| self.calibration.probability(raw)).collect())
    }

    /// The raw log-odds of each row, before calibration; errors as [`Self::probabilities`].
    pub fn raw_scores(&self, matrix: &Matrix) -> Result<Vec<f64>> {
        self.require_features(&matrix.names)?;
        Ok(matrix.values.par_chunks_exact(matrix.names.len().max(1)).map(|row| self.learner.raw(row)).collect())
    }

    /// Calibrated log-odds of a row in which every feature is average: what contributions are counted from.
    pub fn base_log_odds(&self) -> f64 {
        match &self.learner {
            Learner::Logistic { linear, .. } => self.calibration.log_odds(linear.intercept),
        }
    }

    /// What each feature did to the score of one row, in feature order.
    ///
    /// They add up: [`Self::base_log_odds`] plus all contributions is the log-odds of the row's probability (to
    /// rounding). `row` has one value a feature, in the model's order.
    pub fn contributions(&self, row: &[f64]) -> Vec<Contribution> {
        match &self.learner {
            Learner::Logistic { prepare, linear } => {
                let named = self.features.iter().zip(row).zip(&prepare.columns);
                let mut all: Vec<Contribution> = named
                    .map(|((feature, &value), column)| Contribution {
                        feature: feature.clone(),
                        value,
                        average: column.average,
                        contribution: 0.0,
                    })
                    .collect();
                let mut coefficients = linear.coefficients.iter();
                prepare.each(row, |feature, scaled| {
                    let coefficient = coefficients.next().copied().unwrap_or(0.0);
                    if let Some(one) = all.get_mut(feature) {
                        one.contribution += self.calibration.slope * scaled * coefficient;
                    }
                });
                all
            }
        }
    }

    /// Refuses feature names that are not exactly the model's.
    pub fn require_features(&self, names: &[String]) -> Result<()> {
        let refuse = |what: String| {
            let hint = format!("train again on these features: `ordersight train PIPELINE --target {}`", self.target);
            Err(Error::Model {
                message: format!("the `{}` model does not fit these features: {what}", self.target),
                hint: Some(hint),
            })
        };
        if !self.learner.is_coherent(self.features.len()) {
            return refuse("its own parts do not agree".to_owned());
        }
        if let Some(at) = self.features.iter().zip(names).position(|(wanted, found)| wanted != found) {
            return refuse(format!(
                "feature {} is `{}`, the model has `{}` there",
                at + 1,
                names[at],
                self.features[at]
            ));
        }
        match (self.features.get(names.len()), names.get(self.features.len())) {
            (Some(missing), _) => refuse(format!("`{missing}` is missing")),
            (_, Some(extra)) => refuse(format!("`{extra}` is not among the model's")),
            (None, None) => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    fn model() -> (Model, Matrix) {
        let values = (0..200).flat_map(|i| {
            let x = f64::from(i);
            [if i % 5 == 0 { f64::NAN } else { x }, (x * 0.7).sin(), 3.0]
        });
        let matrix = Matrix { names: names(&["a", "b", "same"]), values: values.collect() };
        let prepare = Prepare::fit(&matrix, &(0..200).collect::<Vec<_>>());
        let linear = Linear { intercept: -2.0, coefficients: vec![0.8, 0.5, -1.1] };
        let calibration = Platt { slope: 0.9, offset: 0.05 };
        (
            Model {
                target: Target::Fraud,
                features: matrix.names.clone(),
                learner: Learner::Logistic { prepare, linear },
                calibration,
            },
            matrix,
        )
    }

    #[test]
    fn contributions_and_the_base_add_up_to_the_log_odds_and_average_to_nothing() {
        let (model, matrix) = model();
        let probabilities = model.probabilities(&matrix).unwrap();
        let mut total = 0.0;
        for (row, probability) in probabilities.iter().enumerate() {
            let contributions = model.contributions(matrix.row(row));
            let sum = model.base_log_odds() + contributions.iter().map(|c| c.contribution).sum::<f64>();
            assert!((sum - (probability / (1.0 - probability)).ln()).abs() < 1e-9);
            assert_eq!((contributions.len(), contributions[2].contribution), (3, 0.0));
            total += sum - model.base_log_odds();
        }
        assert!(total.abs() < 1e-9, "{total}");
    }

    #[test]
    fn a_row_scores_the_same_bits_alone_and_among_others() {
        let (model, matrix) = model();
        let all = model.probabilities(&matrix).unwrap();
        for (row, probability) in all.iter().enumerate() {
            assert_eq!(model.probabilities(&matrix.take(&[row])).unwrap()[0].to_bits(), probability.to_bits());
        }
    }

    #[test]
    fn json_holds_a_model_to_the_bit() {
        let (model, matrix) = model();
        let back: Model = serde_json::from_str(&serde_json::to_string_pretty(&model).unwrap()).unwrap();
        assert_eq!(back, model);
        assert_eq!(back.probabilities(&matrix).unwrap(), model.probabilities(&matrix).unwrap());
    }

    #[test]
    fn features_that_are_not_the_models_are_refused_with_the_first_difference() {
        let (model, _) = model();
        let message = |found: &[&str]| model.require_features(&names(found)).unwrap_err().to_string();
        assert!(message(&["a", "same", "b"]).ends_with("feature 2 is `same`, the model has `b` there"));
        assert!(message(&["a", "b"]).ends_with("`same` is missing"));
        assert!(message(&["a", "b", "same", "new"]).ends_with("`new` is not among the model's"));
        assert!(model.require_features(&names(&["a", "b", "same"])).is_ok());
    }
}
