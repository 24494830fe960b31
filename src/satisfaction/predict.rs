//! The satisfaction of orders nobody answered for, predicted from what was known when they were delivered.
//!
//! Satisfaction is in steps, most of it in the highest, so that a straight line would leave the scale. One logistic regression
//! of linfa a step gives the probability of being above it (Frank and Hall 2001, a simple approach to ordinal
//! classification); the expected score is the width of the steps times these probabilities. That holds for stars to the
//! step; answers on finer scales count as the nearest step.
//!
//! It is learnt from orders with an answer after their delivery, and so says what such customers would have answered:
//! whoever stays silent may feel otherwise, which no answer can show.

use super::facts::Fact;
use crate::features::matrix::Matrix;
use crate::risk::logistic::{FitError, Linear, LogisticFamily};
use crate::risk::prepare::Prepare;
use crate::risk::sample::every_nth;
use crate::risk::sigmoid;
use linfa::dataset::DatasetBase;
use linfa::traits::Fit;
use ndarray::Array1;

/// Points between the steps: four boundaries between five stars.
const STEPS: [f64; 4] = [12.5, 37.5, 62.5, 87.5];
/// Points from one step to the next.
const WIDTH: f64 = 25.0;
/// Least answers to learn from.
pub const MIN_ANSWERS: usize = 200;
/// Most orders of a fit, evenly spaced in time: with some thirty columns more of them move nothing that could be seen.
const MAX_ROWS: usize = 40_000;
/// Penalty on squared coefficients of standardised columns, against the sum of log losses.
const PENALTY: f64 = 10.0;

/// What one step learnt.
#[derive(Debug, Clone, PartialEq)]
enum Step {
    /// All training orders were on one side of it: their share above, with one order's worth of doubt.
    Always(f64),
    /// From columns to log-odds of being above it.
    Learnt(Linear),
}

/// A fitted model of satisfaction.
#[derive(Debug, Clone, PartialEq)]
pub struct Predictor {
    prepare: Prepare,
    steps: Vec<Step>,
    /// Orders it learnt from.
    pub orders: usize,
}

/// A prediction for one order.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Prediction {
    /// Expected score, 0 to 100.
    pub score: f64,
    /// Probability of a low answer: 1 or 2 stars of five.
    pub low: f64,
}

/// Facts as a table to learn from.
pub fn matrix(facts: Vec<Fact>) -> Matrix {
    let mut matrix = Matrix::default();
    for fact in facts {
        matrix.push(fact.name, fact.values);
    }
    matrix
}

impl Predictor {
    /// Learns from `rows` of `matrix` in time order, and the `points` of all its rows.
    ///
    /// # Errors
    /// [`FitError`] when linfa cannot solve it.
    pub fn fit(matrix: &Matrix, points: &[f64], rows: &[usize]) -> Result<Self, FitError> {
        let rows = every_nth(rows, MAX_ROWS);
        let prepare = Prepare::fit(matrix, &rows);
        let design = prepare.design(matrix, &rows);
        let mut steps = Vec::with_capacity(STEPS.len());
        let mut start = None;
        for step in STEPS {
            let above: Array1<bool> = rows.iter().map(|&row| points[row] > step).collect();
            let count = above.iter().filter(|&&above| above).count();
            if count == 0 || count == rows.len() || prepare.width() == 0 {
                steps.push(Step::Always((count as f64 + 0.5) / (rows.len() as f64 + 1.0)));
                continue;
            }
            // The solution of the step before is near.
            let family = LogisticFamily { alpha: PENALTY, start: start.take() };
            let linear = family.fit(&DatasetBase::new(design.clone(), above))?;
            start = Some(linear.clone());
            steps.push(Step::Learnt(linear));
        }
        Ok(Self { prepare, steps, orders: rows.len() })
    }

    /// Predicts for rows of a table with the same columns.
    pub fn predict(&self, matrix: &Matrix, rows: &[usize]) -> Vec<Prediction> {
        let mut columns = Vec::with_capacity(self.prepare.width());
        rows.iter()
            .map(|&row| {
                columns.clear();
                self.prepare.each(&matrix.row(row), |_, scaled| columns.push(scaled));
                let above = |step: &Step| match step {
                    Step::Always(share) => *share,
                    Step::Learnt(linear) => sigmoid(linear.raw(&columns)),
                };
                let score = self.steps.iter().map(|step| WIDTH * above(step)).sum::<f64>();
                // Above the second boundary is above two stars.
                let low = 1.0 - self.steps.get(1).map_or(1.0, above);
                Prediction { score: score.clamp(0.0, 100.0), low }
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::{Rng, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    /// Stars that fall with a fact: the chance of being above each step is logistic in it.
    fn shop(orders: usize) -> (Matrix, Vec<f64>, Vec<f64>) {
        let mut rng = ChaCha8Rng::seed_from_u64(7);
        let late: Vec<f64> = (0..orders).map(|_| rng.random::<f64>() * 4.0).collect();
        let expected = |late: f64| [3.0, 2.0, 1.0, 0.0].map(|base| sigmoid(base - late)).iter().sum::<f64>() * 25.0;
        let points = late.iter().map(|&late| {
            let u: f64 = rng.random();
            let steps = [3.0, 2.0, 1.0, 0.0].iter().filter(|&&base| u < sigmoid(base - late)).count();
            25.0 * steps as f64
        });
        let points = points.collect();
        let mut matrix = Matrix::default();
        let truth = late.iter().map(|&late| expected(late)).collect();
        matrix.push("late", late);
        (matrix, points, truth)
    }

    #[test]
    fn expected_scores_come_near_the_truth_they_were_drawn_from() {
        let (matrix, points, truth) = shop(6_000);
        let rows: Vec<usize> = (0..6_000).collect();
        let found = Predictor::fit(&matrix, &points, &rows).unwrap().predict(&matrix, &rows);
        let worst = found.iter().zip(&truth).map(|(p, t)| (p.score - t).abs()).fold(0.0, f64::max);
        assert!(worst < 3.0, "{worst}");
        let low = found.iter().map(|p| p.low).sum::<f64>() / 6_000.0;
        let seen = points.iter().filter(|&&p| p <= 25.0).count() as f64 / 6_000.0;
        assert!((low - seen).abs() < 0.005, "{low} where {seen} was seen");
    }

    #[test]
    fn a_step_that_all_orders_share_is_no_failure() {
        let mut matrix = Matrix::default();
        matrix.push("x", (0..300).map(f64::from).collect());
        let rows: Vec<usize> = (0..300).collect();
        let found = Predictor::fit(&matrix, &[100.0; 300], &rows).unwrap().predict(&matrix, &[0, 299]);
        assert!(found.iter().all(|p| p.score > 99.5 && p.low < 0.01), "{found:?}");
    }
}
