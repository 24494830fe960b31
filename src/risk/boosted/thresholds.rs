//! Thresholds of trees, and values as codes: a tree only asks whether a value is below one of the thresholds of its feature, so
//! that how many of them are at or below it says all of it, in a byte.

use super::tree::Tree;

/// Most distinct thresholds of one feature.
pub(super) const MAX_THRESHOLDS: usize = 254;

/// The code of a missing value; of others it is at most [`MAX_THRESHOLDS`].
pub(super) const MISSING: u8 = 255;

/// The thresholds of each feature, ascending, up to the last feature that trees look at; empty for one that they do not.
pub(super) fn thresholds(trees: &[Tree]) -> Vec<Vec<f64>> {
    let mut of: Vec<Vec<f64>> = Vec::new();
    for (feature, below) in trees.iter().flat_map(|tree| tree.feature.iter().zip(&tree.below)) {
        let feature = *feature as usize;
        of.resize(of.len().max(feature + 1), Vec::new());
        of[feature].push(*below);
    }
    for edges in &mut of {
        edges.sort_unstable_by(f64::total_cmp);
        edges.dedup();
    }
    of
}
