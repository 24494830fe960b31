//! What orders looked like when a model was made, kept with it: what its drift is measured from.

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::bins::{Edges, Shift};
use crate::features::matrix::Matrix;
use crate::risk::split::Split;
use crate::types::time::DAY;

/// Layout of a reference. A higher one is not read: it may mean something else by the same names.
pub const REFERENCE_FORMAT: u32 = 1;

/// Most rows a sample is cut and counted on, evenly spaced in time: chance then moves no index by more than 0.0001.
const MAX_ROWS: usize = 200_000;

/// Counts by bin of the samples a model was made from.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Reference {
    /// See [`REFERENCE_FORMAT`].
    pub format: u32,
    /// Each feature, in the model's order.
    pub features: Vec<Binned>,
    /// The probability. Only the test slice has it: of orders it learnt from, a model is surer than of any others.
    pub score: Binned,
}

/// One number in two samples.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Binned {
    /// Its name.
    pub name: String,
    /// Where it is cut.
    pub edges: Edges,
    /// Rows by bin of what was learnt from, that is of the training and the calibration slice.
    pub learnt: Vec<u64>,
    /// Rows by bin of the test slice, on which the model was shown to be worth what its card says.
    pub tested: Vec<u64>,
    /// How far single weeks of these slices lay from the whole that drift is measured from: the largest index among
    /// them, less what chance is expected to give. A rate that every order of a country shares moves from week to week
    /// for all of them at once, however many there are.
    pub usual: f64,
}

/// Rows of slices as far as they are counted.
struct Sample {
    /// At most [`MAX_ROWS`] rows, evenly spaced.
    rows: Vec<usize>,
    /// The week of each, from the first of its slice on; `None` in what is left over at the end of a slice, which has not
    /// all days of a week.
    weeks: Vec<Option<usize>>,
}

impl Sample {
    fn of(slices: &[&[usize]], placed_at: &[i64]) -> Self {
        const WEEK: i64 = 7 * DAY;
        let (mut rows, mut weeks) = (Vec::new(), Vec::new());
        let all: usize = slices.iter().map(|slice| slice.len()).sum();
        let step = all.div_ceil(MAX_ROWS).max(1);
        let mut before = 0;
        for slice in slices {
            let times = || slice.iter().map(|&row| placed_at[row]);
            let (first, last) = (times().min().unwrap_or(0), times().max().unwrap_or(0));
            // Half a day short of a week is a week: the last order of a slice comes before its end.
            let whole = (last - first + DAY / 2) / WEEK;
            for &row in slice.iter().step_by(step) {
                let week = (placed_at[row] - first) / WEEK;
                rows.push(row);
                weeks.push((week < whole).then_some(before + week as usize));
            }
            before += whole as usize;
        }
        Self { rows, weeks }
    }

    /// The largest index of a week against a whole.
    fn usual(&self, edges: &Edges, values: &[f64], whole: &[u64]) -> f64 {
        let mut weeks = vec![vec![0_u64; edges.bins()]; self.weeks.iter().flatten().max().map_or(0, |last| last + 1)];
        for (week, &value) in self.weeks.iter().zip(values) {
            if let Some(week) = week {
                weeks[*week][edges.bin(value)] += 1;
            }
        }
        // Of few rows chance expects so much that nothing is left: small weeks need no bound of their own.
        let beyond = |week: &Vec<u64>| Shift::between(whole, week).map_or(0.0, |shift| shift.psi - shift.expected);
        weeks.iter().map(beyond).fold(0.0, f64::max)
    }
}

impl Binned {
    fn of(name: &str, learnt: (&Sample, &[f64]), tested: (&Sample, &[f64])) -> Self {
        let measured_from = if learnt.1.is_empty() { tested.1 } else { learnt.1 };
        let edges = Edges::of(measured_from);
        let whole = edges.count(measured_from.iter().copied());
        let usual = |(sample, values): (&Sample, &[f64])| sample.usual(&edges, values, &whole);
        Self {
            name: name.to_owned(),
            learnt: edges.count(learnt.1.iter().copied()),
            tested: edges.count(tested.1.iter().copied()),
            usual: usual(learnt).max(usual(tested)),
            edges,
        }
    }

    /// Share of rows without a value in a sample of this number, such as `learnt`; `None` without rows.
    pub fn missing(&self, sample: &[u64]) -> Option<f64> {
        let rows: u64 = sample.iter().sum();
        let missing = sample.last().copied().unwrap_or(0);
        (rows > 0).then(|| missing as f64 / rows as f64)
    }
}

impl Reference {
    /// Counts the features of what was learnt from and of the test slice, and the probabilities of the test slice.
    pub(crate) fn of(matrix: &Matrix, placed_at: &[i64], parts: &Split, probabilities: &[f64]) -> Self {
        let learnt = Sample::of(&[&parts.train, &parts.calibrate], placed_at);
        let tested = Sample::of(&[&parts.test], placed_at);
        let features = matrix.names.par_iter().zip(&matrix.columns).map(|(name, column)| {
            let values = |sample: &Sample| -> Vec<f64> { sample.rows.iter().map(|&row| column[row]).collect() };
            Binned::of(name, (&learnt, &values(&learnt)), (&tested, &values(&tested)))
        });
        let none = Sample { rows: Vec::new(), weeks: Vec::new() };
        // Probabilities are given by place in the test slice, and are thinned as its rows are.
        let step = parts.test.len().div_ceil(MAX_ROWS).max(1);
        let scores: Vec<f64> = probabilities.iter().copied().step_by(step).collect();
        Self {
            format: REFERENCE_FORMAT,
            features: features.collect(),
            score: Binned::of("score", (&none, &[]), (&tested, &scores)),
        }
    }

    /// Reads a reference and says what is wrong with it, if anything.
    ///
    /// # Errors
    /// Words for whoever runs the monitor.
    pub fn read(bytes: &[u8]) -> Result<Self, String> {
        #[derive(Deserialize)]
        struct Format {
            format: u32,
        }
        let unreadable = |error: serde_json::Error| format!("its reference cannot be read ({error})");
        let Format { format } = serde_json::from_slice(bytes).map_err(unreadable)?;
        if format > REFERENCE_FORMAT {
            return Err(format!("its reference has format {format}, this program reads up to {REFERENCE_FORMAT}"));
        }
        let read: Self = serde_json::from_slice(bytes).map_err(unreadable)?;
        let whole = |one: &Binned| {
            let bins = one.edges.bins();
            one.edges.is_coherent() && one.learnt.len() == bins && one.tested.len() == bins
        };
        if read.features.iter().all(whole) && whole(&read.score) {
            return Ok(read);
        }
        Err("its reference is damaged: counts and bins do not agree".to_owned())
    }
}
