//! The mean of a logistic regression and of boosted trees, in log-odds.
//!
//! The two err in different ways: a line gets sums of many weak facts right that trees have to build step by step, trees
//! get what matters only together. Where neither is much better, their mean ranks better than both. Equal shares: a share
//! that is chosen is one more thing to choose wrongly.
//!
//! Both parts are learnt, and later learnt once more, as they would be alone; the mean is then calibrated as any score is.
//! Contributions of features to the mean are the means of their contributions to the parts.

use super::boosted::fit::{BoostError, Growth};
use super::boosted::search;
use super::logistic::FitError;
use super::model::Learner;
use super::penalty;
use super::task::{Chosen, Learnt, Task};
use crate::error::{Error, Result};

/// Why one of the parts could not be fitted.
#[derive(Debug, thiserror::Error)]
pub(super) enum BlendError {
    #[error(transparent)]
    Line(#[from] FitError),
    #[error(transparent)]
    Trees(#[from] BoostError),
    #[error("the parts are of other families than expected")]
    Parts,
}

/// Learns both parts and puts them together.
///
/// # Errors
/// [`Error::Model`] when one of the parts cannot be learnt.
pub(super) fn learn(task: &Task<'_>) -> Result<Learnt> {
    let part = |at: usize, learn: &dyn Fn(&Task<'_>) -> Result<Learnt>| {
        let tick = |what: &str| (task.tick)(&format!("part {at} of 2: {what}"));
        let history = (task.placed_at, task.labels, task.known_at);
        learn(&Task::new(task.target, task.matrix, history, task.parts, task.settings, &tick))
    };
    let (line, trees) = (part(1, &penalty::learn)?, part(2, &search::learn)?);
    let (Chosen::Penalty(penalty), Chosen::Growth(growth)) = (line.chosen, trees.chosen) else {
        return Err(Error::Invariant("a blend was made of other families than its own".to_owned()));
    };
    let learner = together(line.model.learner, trees.model.learner)
        .ok_or_else(|| task.refusal(&BlendError::Parts.to_string()))?;
    let (model, _) = task.calibrated(learner)?.map_err(|error| task.refusal(&error.to_string()))?;
    Ok(Learnt {
        model,
        settings: line.settings.into_iter().chain(trees.settings).collect(),
        chosen: Chosen::Both(penalty, growth),
        tried: line.tried.into_iter().chain(trees.tried).collect(),
        fitted_rows: trees.fitted_rows,
    })
}

/// Fits both parts as chosen to other rows, at most `max_rows` of them.
///
/// # Errors
/// What one of the fits refuses.
pub(super) fn refit(
    task: &Task<'_>,
    rows: &[usize],
    (penalty, growth): (f64, Growth),
    max_rows: usize,
) -> std::result::Result<Learner, BlendError> {
    let line = penalty::refit(task, rows, penalty, max_rows)?;
    let trees = search::refit(task, rows, growth, max_rows)?;
    together(line, trees).ok_or(BlendError::Parts)
}

fn together(line: Learner, trees: Learner) -> Option<Learner> {
    match (line, trees) {
        (Learner::Logistic { prepare, linear }, Learner::Boosted { forest, .. }) => {
            Some(Learner::Blend { prepare, linear, forest })
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use rand::{Rng, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    use crate::features::matrix::Matrix;
    use crate::risk::train::{TrainSettings, Trained, train};
    use crate::risk::{Family, Label, Target, sigmoid};
    use crate::types::time::DAY;

    /// Orders over 200 days: ten weak facts add up, and two matter together.
    fn history(rows: usize) -> (Matrix, Vec<i64>, Vec<Label>, Vec<i64>) {
        let mut rng = ChaCha8Rng::seed_from_u64(29);
        let mut matrix = Matrix::default();
        for column in 0..12 {
            matrix.push(format!("f{column}"), (0..rows).map(|_| rng.random::<f64>() * 2.0 - 1.0).collect());
        }
        let odds = |row: usize| {
            let sum: f64 = (0..10).map(|column| 0.35 * matrix.value(row, column)).sum();
            sum - 1.0 + if matrix.value(row, 10) * matrix.value(row, 11) > 0.0 { 0.8 } else { -0.8 }
        };
        let labels = (0..rows).map(|row| Some(rng.random::<f64>() < sigmoid(odds(row)))).collect();
        let placed: Vec<i64> = (0..rows).map(|row| row as i64 * (200 * DAY / rows as i64)).collect();
        let known = placed.iter().map(|time| time + 5 * DAY).collect();
        (matrix, placed, labels, known)
    }

    #[test]
    fn it_is_the_mean_of_what_both_families_learn_alone_and_its_contributions_add_up() {
        let (matrix, placed, labels, known) = history(6_000);
        let trained = |family| {
            let settings = TrainSettings::new(family, 3, 206 * DAY);
            train(Target::Fraud, &matrix, &placed, &labels, &known, &settings).unwrap()
        };
        let blend = trained(Family::Blend);
        let (line, trees) = (trained(Family::Logistic), trained(Family::Boosted));
        let raw = |trained: &Trained| trained.model.raw_scores(&matrix).unwrap();
        let parts = raw(&line).into_iter().zip(raw(&trees));
        assert_eq!(raw(&blend), parts.map(|(line, trees)| f64::midpoint(line, trees)).collect::<Vec<_>>());
        let auc = |trained: &Trained| trained.evaluation.metrics.roc_auc.value.unwrap();
        assert!(auc(&blend) > auc(&line).min(auc(&trees)) && auc(&line) > 0.6 && auc(&trees) > 0.6);
        assert!(blend.evaluation.metrics.ece_mass_10 < 0.04, "{:?}", blend.evaluation.metrics);
        let settings = &blend.evaluation.settings;
        assert!(settings.contains_key("penalty") && settings.contains_key("trees"), "{settings:?}");
        let some = matrix.take(&(0..200).collect::<Vec<_>>());
        let probabilities = blend.model.probabilities(&some).unwrap();
        for (row, probability) in probabilities.iter().enumerate() {
            let added: f64 = blend.model.contributions(&some.row(row)).iter().map(|c| c.contribution).sum();
            let log_odds = (probability / (1.0 - probability)).ln();
            assert!((blend.model.base_log_odds() + added - log_odds).abs() < 1e-9);
            assert_eq!(blend.model.probabilities(&some.take(&[row])).unwrap()[0].to_bits(), probability.to_bits());
        }
        let back = serde_json::from_str(&serde_json::to_string(&blend.model).unwrap()).unwrap();
        assert_eq!(blend.model, back);
    }

    #[test]
    fn labels_after_the_clock_teach_nothing_and_threads_do_not_show() {
        let (matrix, placed, labels, known) = history(4_000);
        let settings = TrainSettings::new(Family::Blend, 3, 120 * DAY);
        let late = known.iter().map(|known| *known > 120 * DAY);
        let changed: Vec<Label> =
            labels.iter().zip(late).map(|(label, late)| if late { Some(true) } else { *label }).collect();
        let train = |labels: &[Label], threads: usize| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| train(Target::Fraud, &matrix, &placed, labels, &known, &settings)).unwrap()
        };
        assert_eq!(train(&labels, 1), train(&changed, 3));
    }
}
