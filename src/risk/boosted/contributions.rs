//! What each feature did to the score of one row: exact Shapley values of the trees.
//!
//! The game is that of TreeSHAP (Lundberg et al. 2020, "From local explanations to global understanding with
//! explainable AI for trees", path-dependent form): a feature that is not told goes both ways, by the share of the
//! training that went there. So values add up to the raw score less the average one.
//!
//! They are computed leaf by leaf. On the way to a leaf, feature `i` either lets the row pass (`o = 1`) or not
//! (`o = 0`), and lets the share `z` of the training pass. By Owen's multilinear extension the Shapley value of `i` at
//! a leaf of value `v` over `d` features is
//!
//! ```text
//! v (o_i − z_i) ∫₀¹ Π_{j≠i} (o_j t + z_j (1 − t)) dt
//! ```
//!
//! whose integrand is a polynomial in `t` of degree `d − 1`: Gauss and Legendre's rule of five points is exact up to
//! degree 9, which is why a tree has at most ten levels. All terms of a product are at least 0, so nothing cancels.

use super::tree::{MAX_DEPTH, Tree};

/// Points in `[0, 1]` and weights of the five-point Gauss–Legendre rule.
const RULE: [(f64, f64); 5] = [
    (0.046_910_077_030_668_004, 0.118_463_442_528_094_54),
    (0.230_765_344_947_158_45, 0.239_314_335_249_683_24),
    (0.5, 0.284_444_444_444_444_44),
    (0.769_234_655_052_841_6, 0.239_314_335_249_683_24),
    (0.953_089_922_969_332, 0.118_463_442_528_094_54),
];

const _: () = assert!(MAX_DEPTH <= 2 * RULE.len(), "more features on a way down need more points");

/// All ways down all trees.
#[derive(Debug, Clone)]
pub(super) struct Ways {
    /// The raw score when no feature is told.
    pub(super) average: f64,
    /// Log-odds of a leaf and the end of its steps, which begin where those of the leaf before end.
    leaves: Vec<(f64, usize)>,
    steps: Vec<Step>,
}

/// What one feature asks for on the way to one leaf; its splits on that way are joined.
#[derive(Debug, Clone, Copy)]
struct Step {
    feature: usize,
    /// Least value that passes; minus infinity for any.
    from: f64,
    /// Value from which none passes; infinity for any.
    below: f64,
    /// Whether a missing value passes.
    missing: bool,
    /// Share of the training that passes.
    share: f64,
}

impl Step {
    fn lets_pass(&self, x: f64) -> bool {
        if x.is_nan() { self.missing } else { x >= self.from && (x < self.below || self.below == f64::INFINITY) }
    }
}

impl Ways {
    /// The ways of whole trees.
    pub(super) fn new(base: f64, trees: &[Tree]) -> Self {
        let mut ways = Self { average: base, leaves: Vec::new(), steps: Vec::new() };
        for tree in trees {
            let covers = covers(tree);
            let root = if tree.feature.is_empty() { -1 } else { 0 };
            ways.go(tree, &covers, root, &mut Vec::new());
        }
        let mut begin = 0;
        for &(value, end) in &ways.leaves {
            ways.average += value * ways.steps[begin..end].iter().map(|step| step.share).product::<f64>();
            begin = end;
        }
        ways
    }

    fn go(&mut self, tree: &Tree, covers: &[f64], child: i32, way: &mut Vec<Step>) {
        let Ok(split) = usize::try_from(child) else {
            self.steps.extend_from_slice(way);
            self.leaves.push((tree.leaf[(-1 - child) as usize], self.steps.len()));
            return;
        };
        for (below, side) in [(tree.left[split], true), (tree.right[split], false)] {
            let cover = |child: i32| match usize::try_from(child) {
                Ok(split) => covers[split],
                Err(_) => tree.cover[(-1 - child) as usize],
            };
            let mut step = Step {
                feature: tree.feature[split] as usize,
                from: f64::NEG_INFINITY,
                below: f64::INFINITY,
                missing: true,
                share: 1.0,
            };
            let known = way.iter().position(|known| known.feature == step.feature);
            if let Some(known) = known {
                step = way[known];
            }
            let saved = step;
            if side {
                step.below = tree.below[split].min(step.below);
            } else {
                step.from = tree.below[split].max(step.from);
            }
            step.missing &= tree.missing_left[split] == side;
            step.share *= cover(below) / covers[split];
            match known {
                Some(known) => {
                    way[known] = step;
                    self.go(tree, covers, below, way);
                    way[known] = saved;
                }
                None => {
                    way.push(step);
                    self.go(tree, covers, below, way);
                    way.pop();
                }
            }
        }
    }

    /// The log-odds that each feature added to the raw score of `row`, against [`Self::average`].
    ///
    /// The average and all of them come to the raw score, to rounding.
    pub(super) fn contributions(&self, row: &[f64]) -> Vec<f64> {
        let mut all = vec![0.0; row.len()];
        let mut begin = 0;
        for &(value, end) in &self.leaves {
            add_leaf(&self.steps[begin..end], value, row, &mut all);
            begin = end;
        }
        all
    }
}

/// Adds the values of one leaf. The five points of the rule go side by side.
fn add_leaf(steps: &[Step], value: f64, row: &[f64], all: &mut [f64]) {
    let told = |step: &Step| step.lets_pass(row[step.feature]);
    let factors = |step: &Step| {
        let passes = if told(step) { 1.0 } else { 0.0 };
        RULE.map(|(t, _)| passes * t + step.share * (1.0 - t))
    };
    // `before[i]` is the product of the factors of the steps before `i`, `after` of those after it.
    let mut before = [[1.0; RULE.len()]; MAX_DEPTH + 1];
    for (at, step) in steps.iter().enumerate() {
        before[at + 1] = times(before[at], factors(step));
    }
    let mut after = [1.0; RULE.len()];
    for (at, step) in steps.iter().enumerate().rev() {
        let others = times(before[at], after);
        let integral: f64 = others.iter().zip(RULE).map(|(product, (_, weight))| product * weight).sum();
        let passes = if told(step) { 1.0 } else { 0.0 };
        all[step.feature] += value * (passes - step.share) * integral;
        after = times(after, factors(step));
    }
}

fn times(a: [f64; RULE.len()], b: [f64; RULE.len()]) -> [f64; RULE.len()] {
    std::array::from_fn(|i| a[i] * b[i])
}

/// Cover of each split: the sum over the leaves under it.
fn covers(tree: &Tree) -> Vec<f64> {
    let mut covers = vec![0.0; tree.feature.len()];
    for split in (0..covers.len()).rev() {
        for child in [tree.left[split], tree.right[split]] {
            covers[split] += match usize::try_from(child) {
                Ok(below) => covers[below],
                Err(_) => tree.cover[(-1 - child) as usize],
            };
        }
    }
    covers
}
