//! From declared features to what the kernel counts: terms, each computed once, and formulas over them.

use super::facts::{Facts, Level, Phase, Stream};
use crate::config::FeatureSpec;
use crate::contract::feature::{AggregateKind, Entity, EventKind, EventValue, STANDING, entity};
use crate::error::{Error, Problem, Result};
use crate::features::kernel::{Aggregate, Declaration, Declarations, Window};
use std::cmp::Reverse;
use std::ops::Range;

/// Whose events a state holds.
pub(super) type Who = (&'static Entity, Option<&'static Entity>);

/// One column of the kernel.
#[derive(Debug, Clone, PartialEq)]
struct Term {
    who: Who,
    level: Level,
    stream: Stream,
    aggregate: Aggregate,
    value: Option<&'static EventValue>,
    other: Option<&'static Entity>,
    span: Option<i64>,
    delay: i64,
}

/// A kernel state: one entity, one kind of event, at most one value and one other entity.
#[derive(Debug, Clone)]
pub(super) struct StatePlan {
    pub(super) who: Who,
    /// Whether orders or lines ask.
    pub(super) level: Level,
    pub(super) stream: Stream,
    pub(super) value: Option<&'static EventValue>,
    pub(super) other: Option<&'static Entity>,
    pub(super) declarations: Declarations,
    /// The term of each declaration.
    pub(super) terms: Vec<usize>,
}

impl StatePlan {
    /// Whether it looks at the keys of this entity.
    fn reads(&self, entity: &str) -> bool {
        [Some(self.who.0), self.who.1, self.other].into_iter().flatten().any(|read| read.name == entity)
    }

    /// Drops from a step's facts what none of these states reads.
    pub(super) fn drop_unread(states: &[Self], facts: &mut Facts) {
        for grid in [&mut facts.orders, &mut facts.lines] {
            grid.keys.retain(|entity, _| states.iter().any(|state| state.reads(entity)));
            // A ratio's own value is that of its mean's state.
            grid.values
                .retain(|name, _| states.iter().any(|state| state.value.is_some_and(|value| value.name == *name)));
        }
        facts.events.retain(|stream, _| states.iter().any(|state| state.stream == *stream));
    }
}

/// What a feature makes of terms.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Formula {
    /// The term as it is.
    Term(usize),
    /// Microseconds as hours.
    Hours(usize),
    /// The row's own value over the mean.
    Ratio { own: &'static str, mean: usize },
    /// `(happened + weight · prior) / (ripe + weight)`.
    Rate { happened: usize, ripe: usize, prior: Prior, weight: f64 },
    /// Part of the whole shop's.
    Share { own: usize, shop: usize },
    /// Whether the pair is new while its first entity is not.
    FirstUse { pair: usize, first: usize },
}

/// What a rate is mixed with.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Prior {
    Fixed(f64),
    /// The whole shop's rate at the time.
    Shop {
        happened: usize,
        ripe: usize,
    },
}

impl Formula {
    /// The terms it is made of.
    pub(super) fn terms(&self) -> Vec<usize> {
        match *self {
            Self::Term(term) | Self::Hours(term) | Self::Ratio { mean: term, .. } => vec![term],
            Self::Share { own, shop } => vec![own, shop],
            Self::FirstUse { pair, first } => vec![pair, first],
            Self::Rate { happened, ripe, prior: Prior::Fixed(_), .. } => vec![happened, ripe],
            Self::Rate { happened, ripe, prior: Prior::Shop { happened: of_shop, ripe: shop }, .. } => {
                vec![happened, ripe, of_shop, shop]
            }
        }
    }
}

/// Everything to compute.
#[derive(Debug, Clone)]
pub(super) struct Plan {
    pub(super) states: Vec<StatePlan>,
    /// Number of terms.
    pub(super) terms: usize,
    /// By feature, in the order of their declarations: who asks, and what is made of the terms.
    pub(super) formulas: Vec<(Level, Formula)>,
}

/// The level of outcomes that entities of orders look at: the unit in which the outcome is settled.
#[derive(Debug, Clone, Copy)]
pub struct Units {
    /// Whether returns are of orders or of lines.
    pub returns: Level,
}

impl Plan {
    pub(super) fn new(specs: &[FeatureSpec], units: Units) -> Result<Self> {
        let mut terms = Terms(Vec::new());
        let formulas: Vec<(Level, Formula)> = specs.iter().map(|spec| formula(spec, units, &mut terms)).collect();
        let states = states(&terms.0)?;
        Ok(Self { states, terms: terms.0.len(), formulas })
    }
}

impl Plan {
    /// States in stretches that are asked for the same entities.
    pub(super) fn by_queries(&self) -> Vec<Range<usize>> {
        let mut end = 0;
        let same = |a: &StatePlan, b: &StatePlan| (a.level, a.who) == (b.level, b.who);
        let stretch = |states: &[StatePlan]| {
            let start = end;
            end += states.len();
            start..end
        };
        self.states.chunk_by(same).map(stretch).collect()
    }
}

struct Terms(Vec<Term>);

impl Terms {
    fn of(&mut self, term: Term) -> usize {
        match self.0.iter().position(|known| *known == term) {
            Some(at) => at,
            None => {
                self.0.push(term);
                self.0.len() - 1
            }
        }
    }
}

fn shop() -> Who {
    // The catalogue of entities has it.
    (entity("shop").unwrap_or(&crate::contract::feature::ENTITIES[0]), None)
}

fn formula(spec: &FeatureSpec, units: Units, terms: &mut Terms) -> (Level, Formula) {
    let level = if spec.is_of_line() { Level::Line } else { Level::Order };
    let events_at = match spec.events {
        EventKind::Line => Level::Line,
        EventKind::Return if level == Level::Order => units.returns,
        EventKind::Order => Level::Order,
        _ => level,
    };
    let term = |who: Who, phase: Phase, aggregate: Aggregate| {
        // A fraud can be taken back: both are events, and their sum is what stands.
        let stands = spec.events == EventKind::Fraud && phase != Phase::Ripe && aggregate == Aggregate::Count;
        Term {
            who,
            level,
            stream: Stream { kind: spec.events, phase, level: events_at },
            aggregate: if stands { Aggregate::Sum } else { aggregate },
            value: if stands { Some(&STANDING) } else { spec.value },
            other: spec.other,
            span: spec.span,
            delay: spec.delay,
        }
    };
    let who: Who = (spec.entity, spec.with);
    let mut of = |who: Who, phase: Phase, aggregate: Aggregate| terms.of(term(who, phase, aggregate));
    let formula = match spec.aggregate {
        AggregateKind::Count => Formula::Term(of(who, Phase::Happened, Aggregate::Count)),
        AggregateKind::Sum => Formula::Term(of(who, Phase::Happened, Aggregate::Sum)),
        AggregateKind::Mean => Formula::Term(of(who, Phase::Happened, Aggregate::Mean)),
        AggregateKind::Max => Formula::Term(of(who, Phase::Happened, Aggregate::Max)),
        AggregateKind::Distinct => Formula::Term(of(who, Phase::Happened, Aggregate::Distinct)),
        AggregateKind::SinceLast => Formula::Hours(of(who, Phase::Happened, Aggregate::SinceLast)),
        AggregateKind::Ratio => Formula::Ratio {
            own: spec.value.map_or("", |value| value.name),
            mean: of(who, Phase::Happened, Aggregate::Mean),
        },
        AggregateKind::Share => Formula::Share {
            own: of(who, Phase::Happened, Aggregate::Count),
            shop: of(shop(), Phase::Happened, Aggregate::Count),
        },
        AggregateKind::FirstUse => Formula::FirstUse {
            pair: of(who, Phase::Happened, Aggregate::Count),
            first: of((spec.entity, None), Phase::Happened, Aggregate::Count),
        },
        AggregateKind::Rate => Formula::Rate {
            happened: of(who, Phase::RipeHappened, Aggregate::Count),
            ripe: of(who, Phase::Ripe, Aggregate::Count),
            prior: match spec.prior {
                Some(prior) => Prior::Fixed(prior),
                None if spec.weight == 0.0 => Prior::Fixed(0.0),
                None => Prior::Shop {
                    happened: of(shop(), Phase::RipeHappened, Aggregate::Count),
                    ripe: of(shop(), Phase::Ripe, Aggregate::Count),
                },
            },
            weight: spec.weight,
        },
    };
    (level, formula)
}

/// As few states as there are values and others to keep apart.
fn states(terms: &[Term]) -> Result<Vec<StatePlan>> {
    let mut groups: Vec<(Vec<usize>, &Term)> = Vec::new();
    let mut order: Vec<usize> = (0..terms.len()).collect();
    // Terms with most to say come first; those that count alone then go with any of their events.
    order.sort_by_key(|&at| (terms[at].value.is_none() && terms[at].other.is_none(), at));
    let mut members: Vec<(Option<&'static EventValue>, Option<&'static Entity>)> = Vec::new();
    for at in order {
        let term = &terms[at];
        let same = |other: &Term| (other.who, other.level, other.stream) == (term.who, term.level, term.stream);
        let free = |held: (Option<&EventValue>, Option<&Entity>)| {
            (term.value.is_none() || held.0.is_none_or(|v| Some(v) == term.value))
                && (term.other.is_none() || held.1.is_none_or(|o| Some(o) == term.other))
        };
        let group = groups.iter().zip(&members).position(|((_, first), held)| same(first) && free(*held));
        match group {
            Some(group) => {
                groups[group].0.push(at);
                members[group] = (members[group].0.or(term.value), members[group].1.or(term.other));
            }
            None => {
                groups.push((vec![at], term));
                members.push((term.value, term.other));
            }
        }
    }
    let mut groups: Vec<_> = groups.into_iter().zip(members).collect();
    // What formulas wait for comes soon after one another: the whole shop first, then entity by entity, all of lines before
    // all of orders, so that columns of lines can go.
    groups.sort_by_key(|((_, first), _)| {
        let (entity, with) = first.who;
        (Reverse(first.level), !entity.column.is_empty(), entity.name, with.map(|with| with.name), first.stream)
    });
    let plan = |((terms_of, first), (value, other)): ((Vec<usize>, &Term), _)| {
        let declared = terms_of.iter().map(|&at| declaration(at, &terms[at])).collect();
        Ok(StatePlan {
            who: first.who,
            level: first.level,
            stream: first.stream,
            value,
            other,
            declarations: Declarations::new(declared).map_err(defect)?,
            terms: terms_of,
        })
    };
    groups.into_iter().map(plan).collect()
}

/// Named by whose and what it is of, so that the hash of a state's declarations changes with either.
fn declaration(at: usize, term: &Term) -> Declaration {
    let whose = term.who.1.map_or(String::new(), |with| format!("+{}", with.name));
    let of = term.value.map(|value| value.name).or(term.other.map(|other| other.name)).unwrap_or("-");
    let what = format!("{}{whose} {:?} {of} {at}", term.who.0.name, term.stream);
    let window = term.span.map_or(Window::Lifetime, Window::Span);
    Declaration::new(what, term.aggregate, window).delayed(term.delay)
}

fn defect(problems: Vec<Problem>) -> Error {
    Error::Invariant(format!("features that the configuration has checked: {problems:?}"))
}
