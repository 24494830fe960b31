//! What is to be counted, worked out once: which sums of which rows every measure needs.

use super::Clock;
use super::days::looked_up;
use crate::kpi::facts::{Availability, micros};
use crate::kpi::measure::{Measure, Shape, Subject};
use crate::kpi::periods::{Grain, Periods};
use crate::kpi::segment::segment_columns;
use crate::types::time::SECOND;
use polars::prelude::*;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Choices about what is counted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// Over which periods.
    pub grains: Vec<Grain>,
    /// Values of a segment with fewer orders than this are counted together as `other`; 0 or 1: every value by itself.
    ///
    /// Of segments that do not split orders (such as `sku`) the rows of what they split are counted instead.
    pub min_segment_orders: u64,
    /// How many durations on one clock are kept whole, so that their quantiles are exact. Beyond it they are counted in
    /// buckets ([`crate::kpi::sketch`]), and every quantile of that clock says its error.
    pub exact_durations: u64,
}

impl Default for Settings {
    fn default() -> Self {
        Self { grains: Grain::DEFAULT.to_vec(), min_segment_orders: 0, exact_durations: EXACT_DURATIONS }
    }
}

/// Four bytes each (eight where they are finer than seconds): less than a GiB. Ten million orders with fifteen stages stay
/// below it. More would be exact for longer and take more memory.
const EXACT_DURATIONS: u64 = 200_000_000;

/// What is to be counted.
#[derive(Debug)]
pub struct Plan<'a> {
    pub(super) clock: Clock,
    pub(super) periods: Periods,
    pub(super) settings: Settings,
    /// `all` and the segments asked for.
    pub(super) segments: Vec<Arc<str>>,
    pub(super) subjects: Vec<SubjectPlan<'a>>,
    pub(super) computed: Vec<String>,
    pub(super) not_computable: Vec<(String, Vec<String>)>,
}

/// Everything about the rows of one subject.
#[derive(Debug)]
pub(super) struct SubjectPlan<'a> {
    pub(super) subject: Subject,
    /// The columns that segments are made of.
    pub(super) columns: Vec<String>,
    /// Instants whose calendar days are asked for; see [`super::days`].
    pub(super) instants: Vec<String>,
    /// By what rows are counted: places of columns.
    pub(super) keys: Vec<Vec<usize>>,
    /// Segments that split these rows.
    pub(super) splits: Vec<Split>,
    pub(super) groups: Vec<Group<'a>>,
}

/// A segment. Rows are counted only by segments that no other has all columns of; the cells of the others are put together
/// from theirs, as sums over carriers are sums over channels and carriers added up.
#[derive(Debug)]
pub(super) struct Split {
    /// Place in [`Plan::segments`].
    pub(super) segment: usize,
    /// Place in [`SubjectPlan::keys`] of what it is counted by.
    pub(super) key: usize,
    /// Which of the key's columns its values are made of, in the order in which they are named; none for `all`.
    pub(super) parts: Vec<usize>,
}

/// Measures of one subject on one clock.
#[derive(Debug)]
pub(super) struct Group<'a> {
    /// The instant column that decides the period.
    pub(super) basis: &'a str,
    /// What rows add, each once however many measures use it.
    pub(super) summands: Vec<Expr>,
    /// Durations whose quantiles are asked: microseconds, null where there is none.
    pub(super) spans: Vec<Expr>,
    pub(super) entries: Vec<Entry<'a>>,
}

/// A measure and the summands it is made of.
#[derive(Debug)]
pub(super) struct Entry<'a> {
    pub(super) measure: &'a Measure,
    pub(super) sums: Sums,
}

/// Places of summands.
#[derive(Debug, Clone, Copy)]
pub(super) enum Sums {
    /// One sum over another; for totals below is how many rows had a value.
    Quotient { above: usize, below: usize },
    /// Durations: whole seconds and the microseconds over them (a sum of microseconds alone could overflow), how many
    /// passed, are open and began.
    Span { span: usize, seconds: usize, micros: usize, passed: usize, open: usize, begun: usize },
}

impl<'a> Plan<'a> {
    /// Plans to count `measures` by `segments`; what the input cannot feed is left out and named.
    pub fn new(
        measures: &'a [Measure],
        segments: &[String],
        available: &Availability,
        clock: Clock,
        settings: Settings,
    ) -> Self {
        let (mut computed, mut not_computable) = (Vec::new(), Vec::new());
        let mut subjects: BTreeMap<Subject, BTreeMap<&str, Group<'a>>> = BTreeMap::new();
        for measure in measures {
            let missing = available.missing(measure.needs);
            if !missing.is_empty() {
                not_computable.push((measure.name(), missing));
                continue;
            }
            // What is counted by article has the id of what is counted by order.
            if measure.subject.part().is_none() {
                computed.push(measure.id.to_owned());
            }
            let group = subjects.entry(measure.subject).or_default().entry(measure.basis);
            group.or_insert_with(|| Group::new(measure.basis)).add(measure);
        }
        let segments: Vec<Arc<str>> =
            std::iter::once("all").chain(segments.iter().map(String::as_str)).map(Arc::from).collect();
        let subjects = subjects.into_iter().map(|(subject, groups)| {
            let made_of = segments
                .iter()
                .enumerate()
                .filter_map(|(at, segment)| Some((at, segment_columns(segment, subject, available)?)));
            let mut groups: Vec<Group<'a>> = groups.into_values().collect();
            let mut instants = Vec::new();
            for summand in groups.iter_mut().flat_map(|group| &mut group.summands) {
                *summand = looked_up(summand, clock.zone, &mut instants);
            }
            SubjectPlan { instants, ..SubjectPlan::new(subject, &made_of.collect::<Vec<_>>(), groups) }
        });
        Self {
            clock,
            periods: Periods::new(&settings.grains, clock.as_of, clock.zone),
            subjects: subjects.collect(),
            settings,
            segments,
            computed,
            not_computable,
        }
    }
}

impl<'a> SubjectPlan<'a> {
    /// `segments` are places in [`Plan::segments`] with the columns they are made of.
    fn new(subject: Subject, segments: &[(usize, Vec<&str>)], groups: Vec<Group<'a>>) -> Self {
        let mut columns: Vec<String> = Vec::new();
        let mut places: Vec<Vec<usize>> = Vec::with_capacity(segments.len());
        for (_, names) in segments {
            let place = |name: &&str| {
                columns.iter().position(|column| column == name).unwrap_or_else(|| {
                    columns.push((*name).to_owned());
                    columns.len() - 1
                })
            };
            places.push(names.iter().map(place).collect());
        }
        let within = |small: &[usize], large: &[usize]| small.iter().all(|column| large.contains(column));
        let is_key = |(at, own): &(usize, &Vec<usize>)| {
            // Of two segments of the same columns the first is counted.
            let makes_up = |(other, large): (usize, &Vec<usize>)| {
                other != *at && within(own, large) && (!within(large, own) || other < *at)
            };
            !places.iter().enumerate().any(makes_up)
        };
        let keys: Vec<Vec<usize>> = places.iter().enumerate().filter(is_key).map(|(_, key)| key.clone()).collect();
        let split = |((segment, _), own): (&(usize, Vec<&str>), &Vec<usize>)| {
            // That with the fewest columns has the fewest cells, as a rule.
            let of = keys.iter().enumerate().filter(|(_, key)| within(own, key)).min_by_key(|(_, key)| key.len());
            let (key, of) = of?;
            let parts = own.iter().filter_map(|column| of.iter().position(|c| c == column)).collect();
            Some(Split { segment: *segment, key, parts })
        };
        let splits = segments.iter().zip(&places).filter_map(split).collect();
        Self { subject, columns, instants: Vec::new(), keys, splits, groups }
    }
}

impl<'a> Group<'a> {
    fn new(basis: &'a str) -> Self {
        Self { basis, summands: Vec::new(), spans: Vec::new(), entries: Vec::new() }
    }

    fn add(&mut self, measure: &'a Measure) {
        let sums = match &measure.shape {
            // How many rows had a value: a sum over none of them is unknown, not zero.
            Shape::Total(sum) => {
                Sums::Quotient { above: self.summand(sum.clone()), below: self.summand(sum.clone().is_not_null()) }
            }
            Shape::Proportion { hit, trial } => Sums::Quotient {
                above: self.summand(hit.clone().and(trial.clone())),
                below: self.summand(trial.clone()),
            },
            Shape::Ratio { above, below } => {
                Sums::Quotient { above: self.summand(above.clone()), below: self.summand(below.clone()) }
            }
            Shape::Duration { from, to, ended } => {
                let length = micros(to) - micros(from);
                let length = when(length.clone().gt_eq(lit(0))).then(length).otherwise(lit(NULL)).cast(DataType::Int64);
                let begun = col(*from).is_not_null();
                let open = begun.clone().and(col(*to).is_null()).and(ended.clone().not());
                Sums::Span {
                    seconds: self.summand(length.clone().floor_div(lit(SECOND))),
                    micros: self.summand(length.clone() % lit(SECOND)),
                    passed: self.summand(length.clone().is_not_null()),
                    open: self.summand(open),
                    begun: self.summand(begun),
                    span: place(&mut self.spans, length),
                }
            }
        };
        self.entries.push(Entry { measure, sums });
    }

    fn summand(&mut self, expr: Expr) -> usize {
        place(&mut self.summands, expr)
    }
}

/// Where an expression stands, added if it is new.
fn place(known: &mut Vec<Expr>, expr: Expr) -> usize {
    known.iter().position(|e| *e == expr).unwrap_or_else(|| {
        known.push(expr);
        known.len() - 1
    })
}
