//! A tree as it is kept in a model.

use serde::{Deserialize, Serialize};

/// Most splits on one way down. The layout for scoring fills a tree up to its depth, which doubles with each level.
pub const MAX_DEPTH: usize = 10;

/// A decision tree in columns: entry `i` of the first five is split `i`, entry `i` of the last two is leaf `i`.
///
/// Split 0 is the root; a tree without splits is one leaf. A child `c` is split `c` when it is not negative and leaf
/// `-1 - c` otherwise; a split comes before the splits under it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Tree {
    /// The feature a split looks at.
    pub feature: Vec<u32>,
    /// A value below this goes to the left child, any other to the right one.
    pub below: Vec<f64>,
    /// Whether a missing value goes to the left child.
    pub missing_left: Vec<bool>,
    /// Left child of a split.
    pub left: Vec<i32>,
    /// Right child of a split.
    pub right: Vec<i32>,
    /// Log-odds a leaf adds. Whole `f32` values of forust, held in `f64`.
    pub leaf: Vec<f64>,
    /// Sum of second derivatives of the training rows in a leaf: how much of the training it stands for, above 0.
    pub cover: Vec<f64>,
}

/// Why a tree cannot be used.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("a tree is not whole: {0}")]
pub struct BrokenTree(pub &'static str);

impl Tree {
    /// A tree of forust; `threshold` gives the value below which a split's left side lies.
    pub fn from_forust(
        grown: &forust_ml::tree::Tree,
        mut threshold: impl FnMut(usize, f64) -> Option<f64>,
    ) -> Result<Self, BrokenTree> {
        let mut tree = Self::default();
        // Numbers of splits and leaves in forust's order, which has parents first.
        let (mut splits, mut leaves) = (0, 0);
        let mut number = |is_leaf: bool| {
            if is_leaf {
                leaves += 1;
                -leaves
            } else {
                splits += 1;
                splits - 1
            }
        };
        let numbers: Vec<i32> = grown.nodes.iter().map(|node| number(node.is_leaf)).collect();
        for node in &grown.nodes {
            if node.is_leaf {
                tree.leaf.push(f64::from(node.weight_value));
                tree.cover.push(f64::from(node.hessian_sum));
                continue;
            }
            if node.has_missing_branch() {
                return Err(BrokenTree("a split has a third child"));
            }
            let child = |at: usize| numbers.get(at).copied().ok_or(BrokenTree("a child is not there"));
            let feature =
                u32::try_from(node.split_feature).map_err(|_| BrokenTree("a feature's number is too large"))?;
            tree.feature.push(feature);
            let below = threshold(node.split_feature, node.split_value);
            tree.below.push(below.ok_or(BrokenTree("a threshold is not one of the bins"))?);
            tree.missing_left.push(node.missing_node == node.left_child);
            tree.left.push(child(node.left_child)?);
            tree.right.push(child(node.right_child)?);
        }
        Ok(tree)
    }

    /// Checks that it is a tree, over so many features, and can be scored.
    pub fn check(&self, features: usize) -> Result<(), BrokenTree> {
        let (splits, leaves) = (self.feature.len(), self.leaf.len());
        let columns = [self.below.len(), self.missing_left.len(), self.left.len(), self.right.len()];
        if columns != [splits; 4] || self.cover.len() != leaves || leaves != splits + 1 {
            return Err(BrokenTree("its columns are not of one length"));
        }
        if self.feature.iter().any(|&feature| feature as usize >= features) {
            return Err(BrokenTree("it looks at a feature that is not there"));
        }
        if !self.below.iter().chain(&self.leaf).all(|x| x.is_finite()) {
            return Err(BrokenTree("a number is not finite"));
        }
        if !self.cover.iter().all(|cover| cover.is_finite() && *cover > 0.0) {
            return Err(BrokenTree("a leaf stands for nothing"));
        }
        // Each child once and after its parent: then every split and leaf but the root hangs somewhere, and no way
        // down comes back.
        let (mut depth, mut seen) = (vec![0; splits], vec![false; leaves]);
        for split in 0..splits {
            for child in [self.left[split], self.right[split]] {
                match usize::try_from(child) {
                    Ok(below) if below > split && below < splits && depth[below] == 0 => {
                        depth[below] = depth[split] + 1;
                    }
                    Ok(_) => return Err(BrokenTree("a split is not where it belongs")),
                    Err(_) => match seen.get_mut((-1 - child) as usize) {
                        Some(seen) if !*seen => *seen = true,
                        _ => return Err(BrokenTree("a leaf is not where it belongs")),
                    },
                }
            }
        }
        if depth.iter().any(|&depth| depth >= MAX_DEPTH) {
            return Err(BrokenTree("it is too deep"));
        }
        Ok(())
    }

    /// Number of splits on the longest way down; the tree is whole.
    pub fn depth(&self) -> usize {
        let mut depth = vec![1; self.feature.len()];
        for split in 0..depth.len() {
            for child in [self.left[split], self.right[split]] {
                if let Ok(below) = usize::try_from(child) {
                    depth[below] = depth[split] + 1;
                }
            }
        }
        depth.into_iter().max().unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `x0 < 1 ? (x1 < 2 ? a : b) : c`
    fn tree() -> Tree {
        Tree {
            feature: vec![0, 1],
            below: vec![1.0, 2.0],
            missing_left: vec![true, false],
            left: vec![1, -2],
            right: vec![-1, -3],
            leaf: vec![0.3, -0.1, 0.2],
            cover: vec![5.0, 3.0, 2.0],
        }
    }

    #[test]
    fn a_whole_tree_passes_and_has_its_depth() {
        assert_eq!((tree().check(2), tree().depth()), (Ok(()), 2));
        let stump = Tree { leaf: vec![0.5], cover: vec![1.0], ..Tree::default() };
        assert_eq!((stump.check(0), stump.depth()), (Ok(()), 0));
    }

    #[test]
    fn what_is_not_a_tree_is_refused_with_the_reason() {
        let broken = |change: fn(&mut Tree)| {
            let mut tree = tree();
            change(&mut tree);
            tree.check(2).unwrap_err().0
        };
        assert_eq!(broken(|t| t.left[1] = 0), "a split is not where it belongs");
        assert_eq!(broken(|t| t.left[0] = 7), "a split is not where it belongs");
        assert_eq!(broken(|t| t.right[1] = -2), "a leaf is not where it belongs");
        assert_eq!(broken(|t| t.right[1] = i32::MIN), "a leaf is not where it belongs");
        assert_eq!(broken(|t| t.feature[1] = 2), "it looks at a feature that is not there");
        assert_eq!(broken(|t| t.below[0] = f64::NAN), "a number is not finite");
        assert_eq!(broken(|t| t.cover[0] = 0.0), "a leaf stands for nothing");
        assert_eq!(broken(|t| t.leaf.clear()), "its columns are not of one length");
    }
}
