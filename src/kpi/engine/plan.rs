//! What is to be counted, worked out once: which sums of which rows every measure needs.

use super::Clock;
use crate::kpi::facts::{Availability, micros};
use crate::kpi::measure::{Measure, Shape, Subject};
use crate::kpi::periods::{Grain, Periods};
use crate::kpi::segment::segment_value;
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
    /// Segments that split these rows: index into [`Plan::segments`], the value of a row; none for `all`.
    pub(super) splits: Vec<(usize, Option<Expr>)>,
    pub(super) groups: Vec<Group<'a>>,
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
            let value = |(at, segment): (usize, &Arc<str>)| {
                let value = segment_value(segment, subject, available)?;
                Some((at, (&**segment != "all").then_some(value)))
            };
            let splits = segments.iter().enumerate().filter_map(value).collect();
            SubjectPlan { subject, splits, groups: groups.into_values().collect() }
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
