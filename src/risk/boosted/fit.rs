//! forust behind linfa's traits, with its edges rounded off.
//!
//! - It is given numbers of bins instead of values (see [`super::bins`]), and NaN for missing; the thresholds of its
//!   trees are translated back.
//! - Histograms are built row by row over tiles of columns: two fifths less work than column by column on a million
//!   rows, and the order of addition does not depend on threads either way.
//! - It knows weights, but rows are thinned as for the other families: see [`crate::risk::sample`].
//! - When it stops early it keeps the trees after the best one; they are dropped here.

use forust_ml::errors::ForustError;
use forust_ml::gradientbooster::{GradientBooster, GrowPolicy};
use forust_ml::metric::Metric;
use linfa::dataset::{DatasetBase, Records};
use linfa::traits::Fit;
use ndarray::Array1;
use rayon::prelude::*;

use super::bins::Bins;
use super::forest::Forest;
use super::tree::{BrokenTree, Tree};
use crate::features::matrix::Matrix;
use crate::risk::sample::every_nth;

/// Rows the bins are learnt from, evenly spaced. More would not move a threshold visibly.
const BIN_ROWS: usize = 200_000;

/// Some rows of a feature table, without a copy: what a forest is fitted on.
#[derive(Debug, Clone, Copy)]
pub struct Rows<'a> {
    /// The features.
    pub matrix: &'a Matrix,
    /// The rows, in the order they count.
    pub rows: &'a [usize],
}

impl Records for Rows<'_> {
    type Elem = f64;

    fn nsamples(&self) -> usize {
        self.rows.len()
    }

    fn nfeatures(&self) -> usize {
        self.matrix.width()
    }
}

/// Why a fit failed.
#[derive(Debug, thiserror::Error)]
pub enum BoostError {
    /// linfa refused the data.
    #[error("linfa: {0}")]
    Linfa(#[from] linfa::Error),
    /// forust refused the data or the settings.
    #[error("forust: {0}")]
    Forust(#[from] ForustError),
    /// A tree could not be translated.
    #[error(transparent)]
    Tree(#[from] BrokenTree),
    /// There is nothing to tell apart.
    #[error("the rows have one outcome only")]
    OneOutcome,
}

/// How trees are grown.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Growth {
    /// Most splits on one way down, at most [`super::tree::MAX_DEPTH`].
    pub depth: usize,
    /// How much of a tree's advice is taken.
    pub learning_rate: f32,
    /// Least sum of second derivatives in a leaf: with rare positives about the expected number of them.
    pub least_leaf_weight: f32,
    /// Penalty on squared log-odds of leaves.
    pub l2: f32,
    /// Share of the features that a tree may look at.
    pub feature_share: f64,
    /// Most trees.
    pub trees: usize,
}

/// Rows that say when to stop: as many trees are kept as lose least on them.
#[derive(Debug, Clone, Copy)]
pub struct Watch<'a> {
    /// The rows, which are not fitted on.
    pub rows: Rows<'a>,
    /// Their outcomes.
    pub labels: &'a [bool],
    /// What a negative row counts against a positive one: less than 1 where negatives were thinned for the fit.
    pub negative_weight: f64,
    /// Trees without an improvement after which growing ends.
    pub patience: usize,
}

/// A family of boosted trees, ready to fit.
#[derive(Debug, Clone, Copy)]
pub struct BoostedFamily<'a> {
    /// How trees are grown.
    pub growth: Growth,
    /// What stops growing before [`Growth::trees`]; `None` grows all.
    pub watch: Option<Watch<'a>>,
    /// Seed of the draw of features.
    pub seed: u64,
}

/// A fitted forest.
#[derive(Debug, Clone, PartialEq)]
pub struct Grown {
    /// The trees.
    pub forest: Forest,
    /// Weighted log loss on the watched rows with these trees; `None` when none were watched.
    pub log_loss: Option<f64>,
}

impl Fit<Rows<'_>, Array1<bool>, BoostError> for BoostedFamily<'_> {
    type Object = Grown;

    /// Fits to rows with both outcomes; NaN is "missing".
    fn fit(&self, dataset: &DatasetBase<Rows<'_>, Array1<bool>>) -> Result<Grown, BoostError> {
        let (rows, labels) = (dataset.records(), dataset.targets());
        let positives = labels.iter().filter(|&&label| label).count();
        if positives == 0 || positives == labels.len() {
            return Err(BoostError::OneOutcome);
        }
        let bins = learn_bins(*rows);
        let booster = self.grow(*rows, &bins, labels.iter().copied())?;
        let kept = booster.prediction_iteration.unwrap_or(booster.trees.len());
        let translate = |tree| Tree::from_forust(tree, |feature, number| bins.get(feature)?.below(number as usize));
        let trees = booster.trees.iter().take(kept).map(translate).collect::<Result<Vec<_>, _>>()?;
        let log_loss = booster.evaluation_history.as_ref().and_then(|history| {
            (0..history.rows).map(|tree| *history.get(tree, 0)).filter(|loss| !loss.is_nan()).min_by(f64::total_cmp)
        });
        Ok(Grown { forest: Forest::new(rows.nfeatures(), booster.base_score, trees)?, log_loss })
    }
}

impl BoostedFamily<'_> {
    /// Grows forust's own trees, over numbers of bins.
    fn grow(
        &self,
        rows: Rows<'_>,
        bins: &[Bins],
        labels: impl Iterator<Item = bool>,
    ) -> Result<GradientBooster, BoostError> {
        let Growth { depth, learning_rate, least_leaf_weight, l2, feature_share, trees } = self.growth;
        let mut booster = GradientBooster::default();
        booster.iterations = trees;
        booster.learning_rate = learning_rate;
        booster.max_depth = depth.min(super::tree::MAX_DEPTH);
        booster.l2 = l2;
        booster.min_leaf_weight = least_leaf_weight;
        // One more than there are numbers: each is cut off from the next.
        booster.nbins = super::bins::MAX_EDGES as u16 + 1;
        booster.colsample_bytree = feature_share;
        booster.seed = self.seed;
        booster.grow_policy = GrowPolicy::DepthWise;
        booster.initialize_base_score = true;
        booster.tiled_histograms = true;
        booster.evaluation_metric = self.watch.map(|_| Metric::LogLoss);
        booster.early_stopping_rounds = self.watch.map(|watch| watch.patience);
        let outcome = |label: bool| f64::from(u8::from(label));
        let numbers = numbered(rows, bins);
        let truth: Vec<f64> = labels.map(outcome).collect();
        let matrix = forust_ml::Matrix::new(&numbers, rows.nsamples(), rows.nfeatures());
        let weights = vec![1.0; truth.len()];
        match self.watch {
            None => booster.fit(&matrix, &truth, &weights, None)?,
            Some(watch) => {
                let watched = numbered(watch.rows, bins);
                let watched = forust_ml::Matrix::new(&watched, watch.rows.nsamples(), watch.rows.nfeatures());
                let outcomes: Vec<f64> = watch.labels.iter().map(|&label| outcome(label)).collect();
                let weigh = |&label: &bool| if label { 1.0 } else { watch.negative_weight };
                let weights_watched: Vec<f64> = watch.labels.iter().map(weigh).collect();
                booster.fit(&matrix, &truth, &weights, Some(vec![(watched, &outcomes, &weights_watched)]))?;
            }
        }
        Ok(booster)
    }
}

/// The bins of every feature.
fn learn_bins(rows: Rows<'_>) -> Vec<Bins> {
    let sample = every_nth(rows.rows, BIN_ROWS);
    rows.matrix.columns.par_iter().map(|column| Bins::fit(sample.iter().map(|&row| column[row]))).collect()
}

/// The numbers of all values, column after column, NaN where there is no value.
fn numbered(rows: Rows<'_>, bins: &[Bins]) -> Vec<f64> {
    let mut numbers = vec![f64::NAN; rows.nsamples() * bins.len()];
    let columns = numbers.par_chunks_mut(rows.nsamples().max(1)).zip(&rows.matrix.columns).zip(bins);
    columns.for_each(|((numbers, column), bins)| {
        for (number, &row) in numbers.iter_mut().zip(rows.rows) {
            *number = bins.number(column[row]).map_or(f64::NAN, |number| number as f64);
        }
    });
    numbers
}
