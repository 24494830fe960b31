//! What is unusual about an order, for the time before there are labels: no probability, and no claim that it is fraud.
//!
//! ```text
//! earlier orders ─ surprise (how rare is a value as high) ─ views (few kinds of unusualness) ─┬─ forest ─ score, reasons
//! the order ──────────────────────────────────────────────────────────────────────────────────┘
//! ```
//!
//! An isolation forest (Liu, Ting and Zhou, "Isolation Forest", ICDM 2008) parts a sample of earlier orders at random
//! until each stands alone; an order that soon stands alone is unusual. On some hundred features as they are it does
//! poorly here: most say nothing of fraud and take most of the splits, many say the same as another, and what is rare
//! in one order of a thousand is the same in all 256 rows of a sample, so that no split ever sees it. Therefore
//! features become a handful of [`views`] first, each how surprising an order is in one respect, in bits, from all
//! earlier orders.
//!
//! **Missing values** surprise nobody: a missing feature counts as a usual one. So does whatever at least half of the
//! earlier orders have.

pub mod days;
pub mod forest;
pub mod surprise;
#[cfg(test)]
mod tests;
pub mod views;

use crate::config::FeatureSpec;
use crate::features::matrix::Matrix;
use crate::risk::sample::every_nth;
use forest::Forest;
use views::{Facet, Views};

/// How a forest is grown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settings {
    /// Number of trees; beyond 100 the paper sees no gain.
    pub trees: usize,
    /// Rows a tree is grown on; few are enough to stand out from, and hide less of what is unusual.
    pub sample: usize,
    /// Seed of every draw.
    pub seed: u64,
}

impl Settings {
    /// The paper's: 100 trees on 256 rows each.
    pub fn new(seed: u64) -> Self {
        Self { trees: 100, sample: 256, seed }
    }
}

/// Fewest earlier orders for a score: one sample of the paper. With fewer, everything is new and nothing unusual.
pub const LEAST_HISTORY: usize = 256;

/// Earlier orders that are looked at, evenly spaced, where there are more: twice what all trees draw together. More
/// would tell one in a million from one in 50,000, which changes no queue.
const MOST_HISTORY: usize = 50_000;

/// What is usual, learnt from earlier orders, and what stands out from it.
#[derive(Debug, Clone, PartialEq)]
pub struct Isolation {
    views: Views,
    forest: Forest,
}

/// One respect in which an order is unusual.
#[derive(Debug, Clone, PartialEq)]
pub struct Respect {
    /// Number of the feature that stands out most in this respect.
    pub feature: usize,
    /// Its value.
    pub value: f64,
    /// Its median over earlier orders; of a yes or no, the share of yes.
    pub usual: f64,
    /// What this respect adds to `log2(2 · score)`. Over all respects it adds up, see [`Isolation::respects`].
    pub contribution: f64,
}

impl Isolation {
    /// Learns from `history`, rows of `matrix` in an order that does not depend on chance. `None` with fewer than
    /// [`LEAST_HISTORY`] rows or where no feature says anything. `stream` sets forests of one seed apart.
    pub fn fit(matrix: &Matrix, history: &[usize], facets: &[Facet], settings: &Settings, stream: u32) -> Option<Self> {
        if history.len() < LEAST_HISTORY || facets.is_empty() {
            return None;
        }
        let rows = every_nth(history, MOST_HISTORY);
        let views = Views::fit(matrix, &rows, facets);
        let forest = Forest::fit(&rows, views.width(), &|row| views.of(matrix, row), settings, stream);
        Some(Self { views, forest })
    }

    /// The anomaly score of the paper: `2^(-E(h)/c)` in `(0, 1)`, where `E(h)` is the mean number of splits after which
    /// the order stands alone and `c` what is to be expected of any. 0.5 is what is to be expected, more is unusual. It
    /// ranks orders; it is no probability of anything.
    pub fn score(&self, matrix: &Matrix, row: usize) -> f64 {
        self.forest.score(&self.views.of(matrix, row))
    }

    /// The respects that make an order unusual, strongest first; those without a feature that surprises are left out.
    ///
    /// A split on a view shortens or lengthens the way that is still to be expected. These differences, averaged over
    /// the trees and divided by `c`, add up over all views to `1 - E(h)/c = log2(2 · score)`.
    pub fn respects(&self, matrix: &Matrix, row: usize) -> Vec<Respect> {
        let views = self.views.of(matrix, row);
        let gains = self.forest.contributions(&views).into_iter().enumerate();
        let mut respects: Vec<Respect> = gains
            .filter(|(_, gain)| *gain > 0.0)
            .filter_map(|(view, contribution)| {
                let (feature, value, usual) = self.views.leading(matrix, row, view)?;
                Some(Respect { feature, value, usual, contribution })
            })
            .collect();
        respects.sort_by(|a, b| b.contribution.total_cmp(&a.contribution));
        respects
    }

    /// What each view adds to `log2(2 · score)`, whether it raises it or not.
    pub fn contributions(&self, matrix: &Matrix, row: usize) -> Vec<f64> {
        self.forest.contributions(&self.views.of(matrix, row))
    }
}

/// The features of `matrix` that can be unusual, and in which respect.
pub fn facets(matrix: &Matrix, declared: &[FeatureSpec]) -> Vec<Facet> {
    views::facets(&matrix.names, declared)
}
