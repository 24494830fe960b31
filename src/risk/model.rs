//! A trained model: feature names, what was learnt, and its calibration.

use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use std::borrow::Cow;

use super::boosted::forest::Forest;
use super::calibrate::Calibration;
use super::ftrl::Ftrl;
use super::logistic::Linear;
use super::prepare::Prepare;
use super::{Family, Target};
use crate::error::{Error, Result};
use crate::features::matrix::Matrix;

/// Rows scored at a time: a few columns of so many stay in the nearest cache.
const BLOCK: usize = 1_024;

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
    pub calibration: Calibration,
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
    /// Follow the regularised leader on prepared features.
    Ftrl {
        /// From features to columns.
        prepare: Prepare,
        /// From columns to log-odds, with what it takes to go on learning.
        state: Ftrl,
    },
    /// Boosted trees on features as they are.
    Boosted {
        /// Mean of each feature over the training rows that have it, in its own unit; 0 where none had it.
        averages: Vec<f64>,
        /// From features to log-odds.
        forest: Forest,
    },
    /// The mean log-odds of both.
    Blend {
        /// From features to columns of the linear part.
        prepare: Prepare,
        /// The linear part.
        linear: Linear,
        /// The trees, on features as they are.
        forest: Forest,
    },
}

/// What one feature did to one score.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Contribution<'a> {
    /// The feature, as the model names it.
    pub feature: &'a str,
    /// Its value in the row, in its own unit; NaN when it was missing.
    pub value: f64,
    /// Its average in training, in its own unit.
    pub average: f64,
    /// Calibrated log-odds it added, against the average order of training; its missing flag is part of it.
    pub contribution: f64,
}

impl Learner {
    /// The family it was learnt by.
    pub fn family(&self) -> Family {
        match self {
            Self::Logistic { .. } => Family::Logistic,
            Self::Ftrl { .. } => Family::Ftrl,
            Self::Boosted { .. } => Family::Boosted,
            Self::Blend { .. } => Family::Blend,
        }
    }

    /// Adds up the raw log-odds, before calibration, of the rows of `matrix` from `first` on, one for each of `out`.
    fn raw(&self, matrix: &Matrix, first: usize, out: &mut [f64]) {
        match self {
            Self::Logistic { prepare, linear } => add_up(prepare, linear, matrix, first, out),
            Self::Ftrl { prepare, state } => add_up(prepare, &state.linear(), matrix, first, out),
            Self::Boosted { forest, .. } => forest.raw(&matrix.columns, first, out),
            Self::Blend { prepare, linear, forest } => {
                let mut trees = vec![0.0; out.len()];
                forest.raw(&matrix.columns, first, &mut trees);
                add_up(prepare, linear, matrix, first, out);
                out.iter_mut().zip(trees).for_each(|(out, trees)| *out = f64::midpoint(*out, trees));
            }
        }
    }

    /// Whether the parts fit each other and the number of features; a file that was tampered with may not.
    fn is_coherent(&self, features: usize) -> bool {
        let prepared = |prepare: &Prepare, columns: usize| {
            prepare.columns.len() == features
                && prepare.width() == columns
                && prepare.columns.iter().all(|column| column.low <= column.high)
        };
        match self {
            Self::Logistic { prepare, linear } => prepared(prepare, linear.coefficients.len()),
            Self::Ftrl { prepare, state } => state.is_coherent() && prepared(prepare, state.columns()),
            Self::Boosted { averages, forest } => averages.len() == features && forest.features() == features,
            Self::Blend { prepare, linear, forest } => {
                prepared(prepare, linear.coefficients.len()) && forest.features() == features
            }
        }
    }
}

/// Adds up a linear score of the rows of `matrix` from `first` on, one for each of `out`.
fn add_up(prepare: &Prepare, linear: &Linear, matrix: &Matrix, first: usize, out: &mut [f64]) {
    out.fill(linear.intercept);
    let mut coefficients = linear.coefficients.iter().copied();
    for (column, values) in prepare.columns.iter().zip(&matrix.columns) {
        column.add_to(out, &values[first..first + out.len()], &mut coefficients);
    }
}

/// Averages of the features, and the log-odds each added to a linear score of one row.
fn linear_parts<'a>(prepare: &Prepare, linear: &Linear, row: &[f64]) -> (Cow<'a, [f64]>, Vec<f64>) {
    let mut all = vec![0.0; row.len()];
    let mut coefficients = linear.coefficients.iter();
    prepare.each(row, |feature, scaled| all[feature] += scaled * coefficients.next().copied().unwrap_or(0.0));
    (prepare.columns.iter().map(|column| column.average).collect(), all)
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
        let mut raw = vec![0.0; matrix.rows()];
        raw.par_chunks_mut(BLOCK).enumerate().for_each(|(at, out)| self.learner.raw(matrix, at * BLOCK, out));
        Ok(raw)
    }

    /// Calibrated log-odds that contributions are counted from: of a row in which every feature is average, or with
    /// trees the average over the training.
    pub fn base_log_odds(&self) -> f64 {
        self.calibration.log_odds(self.base_raw())
    }

    /// The same before calibration.
    fn base_raw(&self) -> f64 {
        match &self.learner {
            Learner::Logistic { linear, .. } => linear.intercept,
            Learner::Ftrl { state, .. } => state.linear().intercept,
            Learner::Boosted { forest, .. } => forest.average(),
            Learner::Blend { linear, forest, .. } => f64::midpoint(linear.intercept, forest.average()),
        }
    }

    /// What each feature did to the score of one row, in feature order: [`Self::contributions_of`] that row.
    pub fn contributions(&self, row: &[f64]) -> Vec<Contribution<'_>> {
        self.contributions_of(&[row.to_vec()]).pop().unwrap_or_default()
    }

    /// What each feature did to the score of each row, in feature order; quicker together than one by one.
    ///
    /// They add up: [`Self::base_log_odds`] plus all contributions is the log-odds of the row's probability (to
    /// rounding). A row has one value a feature, in the model's order.
    pub fn contributions_of<'a>(&'a self, rows: &[Vec<f64>]) -> Vec<Vec<Contribution<'a>>> {
        let parts: Vec<(Cow<'_, [f64]>, Vec<f64>)> = match &self.learner {
            Learner::Logistic { prepare, linear } => {
                rows.iter().map(|row| linear_parts(prepare, linear, row)).collect()
            }
            Learner::Ftrl { prepare, state } => {
                let linear = state.linear();
                rows.iter().map(|row| linear_parts(prepare, &linear, row)).collect()
            }
            Learner::Boosted { averages, forest } => {
                forest.contributions(rows).into_iter().map(|raw| (averages.into(), raw)).collect()
            }
            Learner::Blend { prepare, linear, forest } => {
                let both = rows.iter().zip(forest.contributions(rows));
                let one = |(row, trees): (&Vec<f64>, Vec<f64>)| {
                    let (averages, mut all) = linear_parts(prepare, linear, row);
                    all.iter_mut().zip(trees).for_each(|(one, trees)| *one = f64::midpoint(*one, trees));
                    (averages, all)
                };
                both.map(one).collect()
            }
        };
        let base = self.base_raw();
        let mut all = Vec::with_capacity(rows.len());
        for (row, (averages, raw)) in rows.iter().zip(parts) {
            let slope = self.calibration.slope(base, base + raw.iter().sum::<f64>());
            let named = self.features.iter().zip(row).zip(averages.iter().zip(&raw));
            let one = |((feature, &value), (&average, &raw)): ((&'a String, &f64), (&f64, &f64))| Contribution {
                feature,
                value,
                average,
                contribution: slope * raw,
            };
            all.push(named.map(one).collect());
        }
        all
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
        if !self.learner.is_coherent(self.features.len()) || !self.calibration.is_coherent() {
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
    use super::super::calibrate::Platt;
    use super::super::isotonic::Isotonic;
    use super::*;

    fn names(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    fn model() -> (Model, Matrix) {
        let mut matrix = Matrix::default();
        matrix.push("a", (0..200).map(|i| if i % 5 == 0 { f64::NAN } else { f64::from(i) }).collect());
        matrix.push("b", (0..200).map(|i| (f64::from(i) * 0.7).sin()).collect());
        matrix.push("same", vec![3.0; 200]);
        let prepare = Prepare::fit(&matrix, &(0..200).collect::<Vec<_>>());
        let linear = Linear { intercept: -2.0, coefficients: vec![0.8, 0.5, -1.1] };
        let calibration = Calibration::Platt(Platt { slope: 0.9, offset: 0.05 });
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
            let contributions = model.contributions(&matrix.row(row));
            let sum = model.base_log_odds() + contributions.iter().map(|c| c.contribution).sum::<f64>();
            assert!((sum - (probability / (1.0 - probability)).ln()).abs() < 1e-9);
            assert_eq!((contributions.len(), contributions[2].contribution), (3, 0.0));
            total += sum - model.base_log_odds();
        }
        assert!(total.abs() < 1e-9, "{total}");
    }

    #[test]
    fn contributions_add_up_on_a_calibration_curve_too() {
        let (mut model, matrix) = model();
        let raw = model.raw_scores(&matrix).unwrap();
        let labels: Vec<bool> = raw.iter().map(|raw| raw.sin() > 0.0).collect();
        let line = Platt { slope: 0.9, offset: 0.05 };
        model.calibration = Calibration::Isotonic(Isotonic::fit(&raw, &labels, line).unwrap());
        for (row, probability) in model.probabilities(&matrix).unwrap().iter().enumerate() {
            let added: f64 = model.contributions(&matrix.row(row)).iter().map(|c| c.contribution).sum();
            let log_odds = (probability / (1.0 - probability)).ln();
            assert!((model.base_log_odds() + added - log_odds).abs() < 1e-6, "row {row}");
        }
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
    fn columns_of_many_rows_add_up_to_the_bits_of_one_row_after_the_other() {
        let (model, matrix) = model();
        let rows: Vec<usize> = (0..1_300).map(|at| at * 7 % 200).collect();
        let Learner::Logistic { prepare, linear } = &model.learner else { unreachable!() };
        let one = |&row: &usize| {
            let (mut sum, mut at) = (linear.intercept, 0);
            prepare.each(&matrix.row(row), |_, scaled| {
                sum += scaled * linear.coefficients[at];
                at += 1;
            });
            sum
        };
        assert_eq!(model.raw_scores(&matrix.take(&rows)).unwrap(), rows.iter().map(one).collect::<Vec<_>>());
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
