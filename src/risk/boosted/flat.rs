//! Trees laid out for scoring many rows fast, with the bits of forust's own prediction.
//!
//! - **Values become bytes once.** A tree only asks whether a value is below one of the thresholds of its feature, so a
//!   value is replaced by how many of them are at or below it: at most 254, and 255 for missing. A block of rows is a
//!   few kilobytes then and stays in the nearest cache while all trees pass over it.
//! - **No pointers.** A tree is filled up to its depth, so that the children of node `i` are `2i` and `2i + 1` and
//!   every row takes the same number of steps without a branch to predict. The walks of [`LANES`] rows are interleaved:
//!   they wait for memory together.
//! - **Missing without a test.** A node whose missing values go left adds 1 to the byte and to its threshold: 255 wraps
//!   to 0 and all else compares as before.
//! - A row's sum is taken tree after tree in `f64`, as forust does, so blocks and threads cannot show.

use super::thresholds::{MAX_THRESHOLDS, MISSING, thresholds};
use super::tree::{MAX_DEPTH, Tree};

/// Rows that walk a tree side by side.
const LANES: usize = 8;

/// Rows coded at a time, a multiple of [`LANES`].
const BLOCK: usize = 256;

/// Features beside each other in a block; more are coded, a multiple of this at a time, into wider rows.
const STRIDES: [usize; 3] = [64, 256, 4096];

/// A forest ready to score.
#[derive(Debug, Clone)]
pub(super) struct Flat {
    base: f64,
    coded: Vec<Coded>,
    trees: Vec<Place>,
    /// Per tree `2^depth` nodes, the first unused: `column << 16 | add << 8 | threshold`.
    nodes: Vec<u32>,
    /// Per tree `2^depth` leaves.
    leaves: Vec<f64>,
}

/// A feature that trees look at.
#[derive(Debug, Clone)]
struct Coded {
    feature: usize,
    /// Thresholds in use, ascending.
    edges: Vec<f64>,
    /// The same as a search tree in the layout of a forest's: entry 0 is unused, what is filled in is NaN, which no
    /// value reaches.
    search: Vec<f64>,
}

#[derive(Debug, Clone, Copy)]
struct Place {
    depth: usize,
    first: usize,
}

impl Flat {
    /// Lays out whole trees; `None` when a feature has more than [`MAX_THRESHOLDS`] thresholds or the trees look at
    /// more than 4096 features.
    pub(super) fn new(base: f64, trees: &[Tree]) -> Option<Self> {
        let looked_at = thresholds(trees).into_iter().enumerate().filter(|(_, edges)| !edges.is_empty());
        let mut coded: Vec<Coded> =
            looked_at.map(|(feature, edges)| Coded { feature, edges, search: Vec::new() }).collect();
        if coded.len() > STRIDES[2] || coded.iter().any(|coded| coded.edges.len() > MAX_THRESHOLDS) {
            return None;
        }
        coded.iter_mut().for_each(Coded::prepare);
        let mut flat = Self { base, coded, trees: Vec::new(), nodes: Vec::new(), leaves: Vec::new() };
        for tree in trees {
            flat.add(tree);
        }
        Some(flat)
    }

    fn add(&mut self, tree: &Tree) {
        let depth = tree.depth();
        let (first, size) = (self.nodes.len(), 1 << depth);
        self.trees.push(Place { depth, first });
        // A byte is never below 0: a node that is filled in always goes right, and so does its threshold.
        self.nodes.resize(first + size, 0);
        self.leaves.resize(first + size, 0.0);
        let root = if tree.feature.is_empty() { -1 } else { 0 };
        self.place(tree, root, 1, first, size);
    }

    /// Puts a split or leaf of `tree` at the heap position `at` of a tree with room for `size` leaves.
    fn place(&mut self, tree: &Tree, child: i32, at: usize, first: usize, size: usize) {
        match usize::try_from(child) {
            Ok(split) => {
                self.nodes[first + at] = self.node(tree, split);
                self.place(tree, tree.left[split], 2 * at, first, size);
                self.place(tree, tree.right[split], 2 * at + 1, first, size);
            }
            Err(_) => {
                // Wherever a row goes under a leaf that is not at the bottom, it finds that leaf.
                let (mut from, mut to) = (at, at + 1);
                while from < size {
                    (from, to) = (2 * from, 2 * to);
                }
                self.leaves[first + from - size..first + to - size].fill(tree.leaf[(-1 - child) as usize]);
            }
        }
    }

    fn node(&self, tree: &Tree, split: usize) -> u32 {
        let feature = tree.feature[split] as usize;
        let column = self.coded.partition_point(|coded| coded.feature < feature);
        let edges = &self.coded[column].edges;
        // A value is below edge `i` exactly when at most `i` edges are at or below the value.
        let threshold = edges.partition_point(|edge| *edge < tree.below[split]) + 1;
        let add = usize::from(tree.missing_left[split]);
        (column << 16 | add << 8 | (threshold + add)) as u32
    }

    /// The raw scores of rows `first..first + out.len()` of `columns`, one column a feature.
    pub(super) fn predict(&self, columns: &[Vec<f64>], first: usize, out: &mut [f64]) {
        let [narrow, middle, wide] = STRIDES.map(|stride| self.coded.len() <= stride);
        match (narrow, middle, wide) {
            (true, ..) => self.predict_with::<{ STRIDES[0] }>(columns, first, out),
            (_, true, _) => self.predict_with::<{ STRIDES[1] }>(columns, first, out),
            _ => self.predict_with::<{ STRIDES[2] }>(columns, first, out),
        }
    }

    fn predict_with<const STRIDE: usize>(&self, columns: &[Vec<f64>], first: usize, out: &mut [f64]) {
        let mut codes = vec![[0_u8; STRIDE]; BLOCK.min(out.len().next_multiple_of(LANES))];
        for (block, out) in out.chunks_mut(BLOCK).enumerate() {
            let first = first + block * BLOCK;
            for (at, coded) in self.coded.iter().enumerate() {
                let values = &columns[coded.feature][first..first + out.len()];
                let (rows, rest) = codes.as_chunks_mut::<LANES>();
                debug_assert!(rest.is_empty(), "a block has whole groups");
                for (rows, values) in rows.iter_mut().zip(values.chunks(LANES)) {
                    let mut group = [f64::NAN; LANES];
                    group[..values.len()].copy_from_slice(values);
                    rows.iter_mut().zip(coded.codes(&group)).for_each(|(row, code)| row[at] = code);
                }
            }
            // The last group is walked whole; rows past the end have the bytes of an earlier block and are dropped.
            let mut sums = [self.base; BLOCK];
            let groups = out.len().div_ceil(LANES);
            for tree in &self.trees {
                let size = 1 << tree.depth;
                let (nodes, leaves) = (&self.nodes[tree.first..][..size], &self.leaves[tree.first..][..size]);
                let (codes, sums) = (codes.as_chunks::<LANES>().0, sums.as_chunks_mut::<LANES>().0);
                let rows = codes[..groups].iter().zip(sums);
                match tree.depth {
                    0 => rows.for_each(|(_, sums)| sums.iter_mut().for_each(|sum| *sum += leaves[0])),
                    1 => rows.for_each(|(codes, sums)| walk::<2, STRIDE>(nodes, leaves, codes, sums)),
                    2 => rows.for_each(|(codes, sums)| walk::<4, STRIDE>(nodes, leaves, codes, sums)),
                    3 => rows.for_each(|(codes, sums)| walk::<8, STRIDE>(nodes, leaves, codes, sums)),
                    4 => rows.for_each(|(codes, sums)| walk::<16, STRIDE>(nodes, leaves, codes, sums)),
                    5 => rows.for_each(|(codes, sums)| walk::<32, STRIDE>(nodes, leaves, codes, sums)),
                    6 => rows.for_each(|(codes, sums)| walk::<64, STRIDE>(nodes, leaves, codes, sums)),
                    7 => rows.for_each(|(codes, sums)| walk::<128, STRIDE>(nodes, leaves, codes, sums)),
                    8 => rows.for_each(|(codes, sums)| walk::<256, STRIDE>(nodes, leaves, codes, sums)),
                    9 => rows.for_each(|(codes, sums)| walk::<512, STRIDE>(nodes, leaves, codes, sums)),
                    _ => rows.for_each(|(codes, sums)| walk::<{ 1 << MAX_DEPTH }, STRIDE>(nodes, leaves, codes, sums)),
                }
            }
            out.copy_from_slice(&sums[..out.len()]);
        }
    }
}

impl Coded {
    /// Lays out the search tree.
    fn prepare(&mut self) {
        let size = (self.edges.len() + 1).next_power_of_two();
        self.search = vec![f64::NAN; size];
        let levels = size.ilog2();
        for (at, node) in self.search.iter_mut().enumerate().skip(1) {
            // A node at depth d splits 2^(levels - d) ranks in the middle.
            let depth = at.ilog2();
            let span = size >> depth;
            let rank = (at - (1 << depth)) * span + span / 2 - 1;
            debug_assert!(depth < levels);
            *node = self.edges.get(rank).copied().unwrap_or(f64::NAN);
        }
    }

    /// How many edges are at or below each value; [`MISSING`] for NaN.
    #[inline]
    fn codes(&self, values: &[f64; LANES]) -> [u8; LANES] {
        let (search, levels) = (&self.search[..], self.search.len().ilog2());
        let mut at = [1_usize; LANES];
        for _ in 0..levels {
            for (at, x) in at.iter_mut().zip(values) {
                *at = *at << 1 | usize::from(search[*at] <= *x);
            }
        }
        // The ranks of the bottom row, at most 254 by construction.
        std::array::from_fn(|lane| if values[lane].is_nan() { MISSING } else { (at[lane] ^ search.len()) as u8 })
    }
}

/// Walks `LANES` rows down a tree of `SIZE` leaves and adds what they find.
#[inline(always)]
fn walk<const SIZE: usize, const STRIDE: usize>(
    nodes: &[u32],
    leaves: &[f64],
    codes: &[[u8; STRIDE]; LANES],
    sums: &mut [f64; LANES],
) {
    // The masks say what is so anyway, and save the checks.
    let (nodes, leaves) = (&nodes[..SIZE], &leaves[..SIZE]);
    let mut at = [1_usize; LANES];
    for _ in 0..SIZE.ilog2() {
        for (at, codes) in at.iter_mut().zip(codes) {
            let node = nodes[*at & (SIZE - 1)];
            let code = codes[(node >> 16) as usize & (STRIDE - 1)].wrapping_add((node >> 8) as u8);
            *at = *at << 1 | usize::from(code >= node as u8);
        }
    }
    for (at, sum) in at.iter().zip(sums) {
        *sum += leaves[*at & (SIZE - 1)];
    }
}
