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

use super::thresholds::{MISSING, thresholds};
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

/// Rows that go down all ways side by side.
const BLOCK: usize = 256;

/// All ways down all trees.
#[derive(Debug, Clone)]
pub(super) struct Ways {
    /// The raw score when no feature is told.
    pub(super) average: f64,
    /// Log-odds of a leaf and the end of its steps, which begin where those of the leaf before end.
    leaves: Vec<(f64, usize)>,
    steps: Vec<Step>,
    /// The thresholds of each feature.
    edges: Vec<Vec<f64>>,
}

/// What one feature asks for on the way to one leaf; its splits on that way are joined.
#[derive(Debug, Clone, Copy)]
struct Step {
    feature: usize,
    /// The least code that passes, and that from which none passes any more.
    from: u8,
    below: u8,
    /// Whether a missing value passes.
    missing: bool,
    /// Share of the training that passes.
    share: f64,
}

impl Ways {
    /// The ways of whole trees, no feature of which has more thresholds than codes can tell apart.
    pub(super) fn new(base: f64, trees: &[Tree]) -> Self {
        let mut ways = Self { average: base, leaves: Vec::new(), steps: Vec::new(), edges: thresholds(trees) };
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
            let feature = tree.feature[split] as usize;
            let mut step = Step { feature, from: 0, below: MISSING, missing: true, share: 1.0 };
            let known = way.iter().position(|known| known.feature == step.feature);
            if let Some(known) = known {
                step = way[known];
            }
            let saved = step;
            let threshold = code(&self.edges[feature], tree.below[split]);
            if side {
                step.below = threshold.min(step.below);
            } else {
                step.from = threshold.max(step.from);
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

    /// The log-odds that each feature added to the raw score of each row, against [`Self::average`], one value a feature.
    ///
    /// The average and all of a row come to its raw score, to rounding.
    pub(super) fn contributions(&self, rows: &[Vec<f64>]) -> Vec<Vec<f64>> {
        rows.chunks(BLOCK).flat_map(|rows| self.of_block(rows)).collect()
    }

    /// Leaf by leaf for all rows of a block: what a leaf gives depends only on which of its steps let a row pass, so few
    /// values are worked out, and most rows look theirs up.
    fn of_block(&self, rows: &[Vec<f64>]) -> Vec<Vec<f64>> {
        let width = rows.first().map_or(0, Vec::len);
        let codes = |(feature, edges): (usize, &Vec<f64>)| -> [u8; BLOCK] {
            std::array::from_fn(|row| rows.get(row).map_or(0, |values| code(edges, values[feature])))
        };
        let codes: Vec<[u8; BLOCK]> = self.edges.iter().enumerate().map(codes).collect();
        let mut sums = vec![[0.0; BLOCK]; self.edges.len()];
        let mut known = Known::default();
        let mut begin = 0;
        for &(value, end) in &self.leaves {
            let steps = &self.steps[begin..end];
            begin = end;
            let mut passed = [0_u16; BLOCK];
            for (bit, step) in steps.iter().enumerate() {
                // Of all codes one comparison tells: what is less wraps around to more.
                let (from, width, missing) = (step.from, step.below.saturating_sub(step.from), u8::from(step.missing));
                passed.iter_mut().zip(&codes[step.feature]).for_each(|(passed, code)| {
                    let passes = u8::from(code.wrapping_sub(from) < width) | u8::from(*code == MISSING) & missing;
                    *passed |= u16::from(passes) << bit;
                });
            }
            known.forget();
            let mut places = [0_u16; BLOCK];
            for (place, passed) in places.iter_mut().zip(passed).take(rows.len()) {
                *place = known.place(passed, || of_leaf(steps, value, passed));
            }
            for (bit, step) in steps.iter().enumerate() {
                let sums = sums[step.feature].iter_mut().zip(places).take(rows.len());
                sums.for_each(|(sum, place)| *sum += known.values[usize::from(place)][bit]);
            }
        }
        let of_row = |row: usize| {
            let mut values: Vec<f64> = sums.iter().map(|sums| sums[row]).collect();
            values.resize(width, 0.0);
            values
        };
        (0..rows.len()).map(of_row).collect()
    }
}

/// How many thresholds are at or below a value.
fn code(edges: &[f64], value: f64) -> u8 {
    if value.is_nan() { MISSING } else { edges.partition_point(|edge| *edge <= value) as u8 }
}

/// What a leaf gives to each of its steps, by which of them let a row pass.
struct Known {
    /// Place in `values`, plus one.
    places: Vec<u16>,
    passed: Vec<u16>,
    values: Vec<[f64; MAX_DEPTH]>,
}

impl Default for Known {
    fn default() -> Self {
        Self { places: vec![0; 1 << MAX_DEPTH], passed: Vec::new(), values: Vec::new() }
    }
}

impl Known {
    fn forget(&mut self) {
        self.passed.drain(..).for_each(|passed| self.places[usize::from(passed)] = 0);
        self.values.clear();
    }

    /// Where the values for what passed stand.
    fn place(&mut self, passed: u16, work_out: impl FnOnce() -> [f64; MAX_DEPTH]) -> u16 {
        let place = &mut self.places[usize::from(passed)];
        if *place == 0 {
            self.passed.push(passed);
            self.values.push(work_out());
            *place = self.values.len() as u16;
        }
        *place - 1
    }
}

/// The values of one leaf for the steps that a row passed, as bits. The five points of the rule go side by side.
fn of_leaf(steps: &[Step], value: f64, passed: u16) -> [f64; MAX_DEPTH] {
    let passes = |bit: usize| if passed >> bit & 1 == 1 { 1.0 } else { 0.0 };
    let factors = |bit: usize| RULE.map(|(t, _)| passes(bit) * t + steps[bit].share * (1.0 - t));
    // `before[i]` is the product of the factors of the steps before `i`, `after` of those after it.
    let mut before = [[1.0; RULE.len()]; MAX_DEPTH + 1];
    for bit in 0..steps.len() {
        before[bit + 1] = times(before[bit], factors(bit));
    }
    let (mut after, mut values) = ([1.0; RULE.len()], [0.0; MAX_DEPTH]);
    for (bit, step) in steps.iter().enumerate().rev() {
        let others = times(before[bit], after);
        let integral: f64 = others.iter().zip(RULE).map(|(product, (_, weight))| product * weight).sum();
        values[bit] = value * (passes(bit) - step.share) * integral;
        after = times(after, factors(bit));
    }
    values
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
