//! Boosted trees that score and explain.

use linfa::traits::PredictInplace;
use ndarray::Array1;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::contributions::Ways;
use super::fit::Rows;
use super::flat::Flat;
use super::thresholds::MAX_THRESHOLDS;
use super::tree::{BrokenTree, Tree};

/// Rows that one task scores.
const TASK_ROWS: usize = 4_096;

/// Trees whose leaves add up to the log-odds of the label being true.
///
/// JSON holds the trees to the bit; what scoring and explaining need beside them is made when a forest is read, which
/// refuses trees that are not whole.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(try_from = "Kept", into = "Kept")]
pub struct Forest {
    kept: Kept,
    flat: Flat,
    ways: Ways,
}

/// What of a forest goes into a file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Kept {
    /// Number of features.
    features: usize,
    /// Log-odds before the first tree.
    base: f64,
    /// Trees in the order they were grown, which is the order they are added in.
    trees: Vec<Tree>,
}

impl PartialEq for Forest {
    fn eq(&self, other: &Self) -> bool {
        self.kept == other.kept
    }
}

impl TryFrom<Kept> for Forest {
    type Error = BrokenTree;

    fn try_from(kept: Kept) -> Result<Self, BrokenTree> {
        kept.trees.iter().try_for_each(|tree| tree.check(kept.features))?;
        if !kept.base.is_finite() {
            return Err(BrokenTree("the score without trees is not finite"));
        }
        let flat = Flat::new(kept.base, &kept.trees).ok_or(BrokenTree("there are too many thresholds"))?;
        let ways = Ways::new(kept.base, &kept.trees);
        Ok(Self { kept, flat, ways })
    }
}

impl From<Forest> for Kept {
    fn from(forest: Forest) -> Self {
        forest.kept
    }
}

impl Forest {
    /// A forest over so many features.
    ///
    /// # Errors
    /// [`BrokenTree`] when a tree is not whole or too deep, or when a feature has more than 254 thresholds.
    pub fn new(features: usize, base: f64, trees: Vec<Tree>) -> Result<Self, BrokenTree> {
        const { assert!(MAX_THRESHOLDS >= super::bins::MAX_EDGES) };
        Self::try_from(Kept { features, base, trees })
    }

    /// Number of features.
    pub fn features(&self) -> usize {
        self.kept.features
    }

    /// The trees, in the order they are added.
    pub fn trees(&self) -> &[Tree] {
        &self.kept.trees
    }

    /// Log-odds before the first tree.
    pub fn base(&self) -> f64 {
        self.kept.base
    }

    /// Log-odds when nothing is known of a row: the average over the training, as the leaves' covers count it.
    pub fn average(&self) -> f64 {
        self.ways.average
    }

    /// The same trees with all log-odds moved by `shift`, to undo what a selection of rows did to the odds.
    ///
    /// # Errors
    /// [`BrokenTree`] when the result is not finite.
    pub fn shifted(self, shift: f64) -> Result<Self, BrokenTree> {
        let Kept { features, base, trees } = self.kept;
        Self::new(features, base + shift, trees)
    }

    /// The log-odds of rows `first..first + out.len()` of `columns`, which has one column a feature.
    pub fn raw(&self, columns: &[Vec<f64>], first: usize, out: &mut [f64]) {
        self.flat.predict(columns, first, out);
    }

    /// The log-odds of all rows of `columns`, on all threads.
    pub fn raw_scores(&self, columns: &[Vec<f64>]) -> Vec<f64> {
        let mut out = vec![0.0; columns.first().map_or(0, Vec::len)];
        let tasks = out.par_chunks_mut(TASK_ROWS).enumerate();
        tasks.for_each(|(task, out)| self.raw(columns, task * TASK_ROWS, out));
        out
    }

    /// The log-odds each feature added to the score of each row, against [`Self::average`]: exact Shapley values.
    ///
    /// A row has one value a feature. The average and all of them come to the row's log-odds, to rounding.
    pub fn contributions(&self, rows: &[Vec<f64>]) -> Vec<Vec<f64>> {
        self.ways.contributions(rows)
    }
}

impl PredictInplace<Rows<'_>, Array1<f64>> for Forest {
    fn predict_inplace(&self, x: &Rows<'_>, y: &mut Array1<f64>) {
        for (score, out) in self.raw_scores(&x.matrix.take(x.rows).columns).into_iter().zip(y) {
            *out = score;
        }
    }

    fn default_target(&self, x: &Rows<'_>) -> Array1<f64> {
        Array1::zeros(x.rows.len())
    }
}
