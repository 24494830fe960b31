//! One forest a day: what is unusual on a day is told by the orders before it.

use super::{Isolation, Respect, Settings, facets};
use crate::config::FeatureSpec;
use crate::features::matrix::Matrix;
use rayon::prelude::*;

/// Scores of orders, and the forests that gave them.
#[derive(Debug, Clone)]
pub struct Unusual {
    /// The score of each order; `None` for days that were not asked for or had too few orders before them.
    pub scores: Vec<Option<f64>>,
    /// The days' forests, by day.
    forests: Vec<(i32, Isolation)>,
}

/// The orders to score.
#[derive(Debug, Clone, Copy)]
pub struct Orders<'a> {
    /// Their features.
    pub matrix: &'a Matrix,
    /// The calendar day each was placed on.
    pub days: &'a [i32],
    /// Their rows in the order they were placed, equal times by something that is not chance.
    pub sequence: &'a [usize],
}

/// Scores the orders placed from the day `first` on, each day's by a forest fitted on all orders of earlier days.
///
/// So a score depends on nothing that was placed on the day itself or later, and features reach no further than the
/// order itself: what comes later changes no score, and an order has the same one in every run that scores it, as
/// long as the rows of its past are the same.
pub fn unusual(orders: &Orders, declared: &[FeatureSpec], first: i32, settings: &Settings) -> Unusual {
    let facets = facets(orders.matrix, declared);
    let mut by_day = orders.sequence.to_vec();
    by_day.sort_by_key(|&row| orders.days[row]);
    let begin = by_day.partition_point(|&row| orders.days[row] < first);
    let mut starts = Vec::new();
    for at in begin..by_day.len() {
        if at == begin || orders.days[by_day[at]] != orders.days[by_day[at - 1]] {
            starts.push(at);
        }
    }
    let of_day = |number: usize| {
        let from = starts[number];
        let to = starts.get(number + 1).copied().unwrap_or(by_day.len());
        let day = orders.days[by_day[from]];
        let forest = Isolation::fit(orders.matrix, &by_day[..from], &facets, settings, day.cast_unsigned())?;
        let scores: Vec<f64> = by_day[from..to].iter().map(|&row| forest.score(orders.matrix, row)).collect();
        Some((from, scores, (day, forest)))
    };
    let found: Vec<_> = (0..starts.len()).into_par_iter().filter_map(of_day).collect();
    let mut scored = Unusual::nothing(orders.days.len());
    for (from, scores, forest) in found {
        for (at, score) in scores.into_iter().enumerate() {
            scored.scores[by_day[from + at]] = Some(score);
        }
        scored.forests.push(forest);
    }
    scored
}

impl Unusual {
    /// No score of any of so many orders.
    pub fn nothing(orders: usize) -> Self {
        Self { scores: vec![None; orders], forests: Vec::new() }
    }

    /// In which respects an order is unusual, strongest first; none for one without a score.
    pub fn respects(&self, orders: &Orders, row: usize) -> Vec<Respect> {
        let day = orders.days[row];
        match self.forests.binary_search_by_key(&day, |(day, _)| *day) {
            Ok(at) if self.scores[row].is_some() => self.forests[at].1.respects(orders.matrix, row),
            _ => Vec::new(),
        }
    }
}
