//! The isolation forest itself: trees of random splits over a few columns.

use super::Settings;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;
use std::collections::BTreeSet;

/// Trees over rows of views.
#[derive(Debug, Clone, PartialEq)]
pub struct Forest {
    trees: Vec<Vec<Node>>,
    views: usize,
    /// The number of splits to be expected of a row of one sample: `c` in the paper.
    expected: f64,
}

/// A node; the first of a tree is its root.
#[derive(Debug, Clone, PartialEq)]
enum Node {
    Split {
        view: usize,
        /// What is at most this goes left.
        at: f64,
        left: usize,
        right: usize,
        /// By how much the way that is still to be expected gets shorter to the left and to the right.
        gains: [f64; 2],
    },
    Leaf {
        /// Splits to be expected to tell its rows apart.
        more: f64,
    },
}

/// Mean number of splits of an unsuccessful search in a binary tree of `rows`: `c(n)` in the paper, with its
/// approximation of the harmonic numbers by `ln(i) + γ`.
fn expected(rows: usize) -> f64 {
    const EULER: f64 = 0.577_215_664_901_532_9;
    match rows {
        0 | 1 => 0.0,
        2 => 1.0,
        n => {
            let before = (n - 1) as f64;
            2.0 * (before.ln() + EULER) - 2.0 * before / n as f64
        }
    }
}

impl Forest {
    /// Grows trees on rows drawn from `rows`; `views` gives the columns of one, all finite. Each tree has a random
    /// stream of its own, so that the forest does not depend on the number of threads.
    pub fn fit(
        rows: &[usize],
        width: usize,
        views: &(dyn Fn(usize) -> Vec<f64> + Sync),
        settings: &Settings,
        stream: u32,
    ) -> Self {
        let sample = settings.sample.min(rows.len());
        // The height at which the paper stops: beyond it only the usual is told apart.
        let height = sample.max(2).ilog2() + u32::from(!sample.max(2).is_power_of_two());
        let grow = |tree: usize| {
            let mut rng = ChaCha8Rng::seed_from_u64(settings.seed);
            rng.set_stream(u64::from(stream) << 32 | tree as u64);
            let drawn: Vec<Vec<f64>> =
                draw(rows.len(), sample, &mut rng).into_iter().map(|at| views(rows[at])).collect();
            let mut nodes = Vec::new();
            grow(&drawn, (0..sample).collect(), width, height, &mut rng, &mut nodes);
            nodes
        };
        let trees = (0..settings.trees).into_par_iter().map(grow).collect();
        Self { trees, views: width, expected: expected(sample) }
    }

    /// The score of the paper.
    pub fn score(&self, views: &[f64]) -> f64 {
        let walk = |tree: &Vec<Node>| self.walk(tree, views, &mut |_, _| {});
        let mean = self.trees.iter().map(walk).sum::<f64>() / self.trees.len().max(1) as f64;
        if self.expected > 0.0 { (-mean / self.expected).exp2() } else { 0.5 }
    }

    /// What each view adds to `log2(2 · score)`.
    pub fn contributions(&self, views: &[f64]) -> Vec<f64> {
        let mut gains = vec![0.0; self.views];
        for tree in &self.trees {
            self.walk(tree, views, &mut |view, gain| gains[view] += gain);
        }
        let whole = self.trees.len().max(1) as f64 * if self.expected > 0.0 { self.expected } else { 1.0 };
        gains.iter_mut().for_each(|gain| *gain /= whole);
        gains
    }

    /// The length of the way of a row through one tree; `each` is told of every split passed.
    fn walk(&self, tree: &[Node], views: &[f64], each: &mut dyn FnMut(usize, f64)) -> f64 {
        let (mut at, mut depth) = (0, 0.0);
        loop {
            match tree.get(at) {
                Some(Node::Split { view, at: split, left, right, gains }) => {
                    let goes_right = views[*view] > *split;
                    each(*view, gains[usize::from(goes_right)]);
                    at = if goes_right { *right } else { *left };
                    depth += 1.0;
                }
                Some(Node::Leaf { more }) => return depth + more,
                None => return depth,
            }
        }
    }
}

/// Adds the tree of `members` to `nodes` and gives the number of its root.
fn grow(
    drawn: &[Vec<f64>],
    members: Vec<usize>,
    width: usize,
    height: u32,
    rng: &mut ChaCha8Rng,
    nodes: &mut Vec<Node>,
) -> usize {
    let number = nodes.len();
    let more = expected(members.len());
    nodes.push(Node::Leaf { more });
    if height == 0 || members.len() < 2 {
        return number;
    }
    let range = |view: usize| {
        members.iter().fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), &row| {
            (low.min(drawn[row][view]), high.max(drawn[row][view]))
        })
    };
    // A view in which all are the same parts nothing.
    let parting: Vec<(usize, (f64, f64))> =
        (0..width).map(|view| (view, range(view))).filter(|(_, (low, high))| low < high).collect();
    if parting.is_empty() {
        return number;
    }
    let (view, (low, high)) = parting[rng.random_range(0..parting.len())];
    // At most the split goes left: the lowest always does, and the highest never, as the draw leaves 1 out.
    let at = (low + rng.random::<f64>() * (high - low)).clamp(low, high.next_down());
    let (left, right): (Vec<usize>, Vec<usize>) = members.into_iter().partition(|&row| drawn[row][view] <= at);
    let gains = [&left, &right].map(|side| more - 1.0 - expected(side.len()));
    let left = grow(drawn, left, width, height - 1, rng, nodes);
    let right = grow(drawn, right, width, height - 1, rng, nodes);
    nodes[number] = Node::Split { view, at, left, right, gains };
    number
}

/// `wanted` different numbers below `all`, ascending: Floyd's sampling, uniform over all sets.
fn draw(all: usize, wanted: usize, rng: &mut ChaCha8Rng) -> Vec<usize> {
    let mut chosen = BTreeSet::new();
    for last in all - wanted..all {
        let at = rng.random_range(0..=last);
        if !chosen.insert(at) {
            chosen.insert(last);
        }
    }
    chosen.into_iter().collect()
}
