//! What is computed: windows, delays and aggregates, declared once for batch and micro-batch.

use crate::error::Problem;
use crate::types::time::{DAY, HOUR, SECOND};
use std::collections::BTreeMap;

/// How far back events count, before the delay.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Window {
    /// This many microseconds, at least one: `[T − delay − span, T − delay)`.
    Span(i64),
    /// Everything that happened before `T − delay`.
    Lifetime,
}

impl Window {
    /// As it stands at the end of a feature's name: `24h`, `7d`, `lifetime`. One day is `24h`: it is not a calendar day.
    pub fn label(self) -> String {
        match self {
            Self::Lifetime => "lifetime".to_owned(),
            Self::Span(span) if span > DAY && span % DAY == 0 => format!("{}d", span / DAY),
            Self::Span(span) if span % HOUR == 0 => format!("{}h", span / HOUR),
            Self::Span(span) if span % SECOND == 0 => format!("{}s", span / SECOND),
            Self::Span(span) => format!("{span}us"),
        }
    }
}

/// How long before T a window ends, microseconds, never negative: the time in which facts are not trusted to be complete.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Delay(pub i64);

/// What is made of the events in a window.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Aggregate {
    /// Number of events; 0 when there are none.
    Count,
    /// Sum of the values, exact; 0 when there are none.
    Sum,
    /// Exact sum over number of values, divided once, in the end; null without a value.
    Mean,
    /// Greatest value; null without a value.
    Max,
    /// Microseconds from the latest event's happening to T; null without an event.
    SinceLast,
    /// Number of different other keys, exact; events without one do not count.
    Distinct,
    /// Smoothed share of events whose label is true: `(hits + prior · weight) / (events + weight)`; null only where both
    /// the events and the weight are 0.
    Rate {
        /// The share to be assumed without any event, 0 to 1.
        prior: f64,
        /// How many events the prior is worth, at least 0.
        weight: f64,
    },
}

impl Aggregate {
    /// As it stands in a feature's name.
    pub fn word(self) -> &'static str {
        match self {
            Self::Count => "count",
            Self::Sum => "sum",
            Self::Mean => "mean",
            Self::Max => "max",
            Self::SinceLast => "since_last",
            Self::Distinct => "distinct",
            Self::Rate { .. } => "rate",
        }
    }
}

/// One feature of an entity.
#[derive(Debug, Clone, PartialEq)]
pub struct Declaration {
    /// Entity and what is aggregated, such as `customer_order` or `device_customer`.
    pub what: String,
    /// What is made of the events.
    pub aggregate: Aggregate,
    /// How far back.
    pub window: Window,
    /// How long before T the window ends.
    pub delay: Delay,
}

impl Declaration {
    /// A feature whose window ends at T.
    pub fn new(what: impl Into<String>, aggregate: Aggregate, window: Window) -> Self {
        Self { what: what.into(), aggregate, window, delay: Delay(0) }
    }

    /// The same with a window that ends `delay` microseconds before T.
    #[must_use]
    pub fn delayed(mut self, delay: i64) -> Self {
        self.delay = Delay(delay);
        self
    }

    /// `{what}_{agg}_{window}`.
    pub fn name(&self) -> String {
        format!("{}_{}_{}", self.what, self.aggregate.word(), self.window.label())
    }
}

/// Declarations of one entity and one kind of event, checked; columns come out in their order.
#[derive(Debug, Clone, PartialEq)]
pub struct Declarations {
    all: Vec<Declaration>,
    pub(super) lanes: Vec<Lane>,
    pub(super) needs: Needs,
}

impl Declarations {
    /// Checks the declarations.
    ///
    /// # Errors
    /// Every problem: names that occur twice, spans below 1, negative delays, priors outside 0 to 1, negative weights.
    pub fn new(all: Vec<Declaration>) -> Result<Self, Vec<Problem>> {
        let mut problems = Vec::new();
        let mut names: Vec<String> = all.iter().map(Declaration::name).collect();
        for (declaration, name) in all.iter().zip(&names) {
            let mut wrong = |message: String| problems.push(Problem::new(name.clone(), message));
            if let Window::Span(span @ ..=0) = declaration.window {
                wrong(format!("a window must span at least 1 µs, got {span}"));
            }
            if declaration.delay.0 < 0 {
                wrong(format!("a delay must not be negative, got {} µs", declaration.delay.0));
            }
            if let Aggregate::Rate { prior, weight } = declaration.aggregate {
                if !(0.0..=1.0).contains(&prior) {
                    wrong(format!("a prior must be between 0 and 1, got {prior}"));
                }
                if !(weight >= 0.0 && weight.is_finite()) {
                    wrong(format!("a weight must be a number of at least 0, got {weight}"));
                }
            }
        }
        names.sort_unstable();
        for pair in names.windows(2).filter(|pair| pair[0] == pair[1]) {
            problems.push(Problem::new(pair[0].clone(), "a feature is declared once, this one is declared again"));
        }
        if !problems.is_empty() {
            return Err(problems);
        }
        let lanes = lanes(&all);
        let needs = lanes.iter().fold(Needs::default(), |needs, lane| needs.or(lane.needs));
        Ok(Self { all, lanes, needs })
    }

    /// The declarations in the order of their columns.
    pub fn all(&self) -> &[Declaration] {
        &self.all
    }

    /// A hash of everything that state depends on; a state of other declarations has another.
    pub fn hash(&self) -> [u8; 32] {
        let mut hasher = blake3::Hasher::new();
        for declaration in &self.all {
            hasher.update(declaration.name().as_bytes()).update(&[0]);
            hasher.update(
                &match declaration.window {
                    Window::Lifetime => 0,
                    Window::Span(span) => span,
                }
                .to_le_bytes(),
            );
            hasher.update(&declaration.delay.0.to_le_bytes());
            if let Aggregate::Rate { prior, weight } = declaration.aggregate {
                hasher.update(&prior.to_bits().to_le_bytes()).update(&weight.to_bits().to_le_bytes());
            }
        }
        *hasher.finalize().as_bytes()
    }
}

/// Which facts of events the aggregates read; what none of them reads is not kept.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Needs {
    pub(super) sum: bool,
    pub(super) max: bool,
    pub(super) distinct: bool,
    pub(super) hits: bool,
    /// Read of every event; kept of totals where something asks for the latest.
    pub(super) last: bool,
}

impl Needs {
    fn of(aggregate: Aggregate) -> Self {
        Self {
            sum: matches!(aggregate, Aggregate::Sum | Aggregate::Mean),
            max: aggregate == Aggregate::Max,
            distinct: aggregate == Aggregate::Distinct,
            hits: matches!(aggregate, Aggregate::Rate { .. }),
            last: aggregate == Aggregate::SinceLast,
        }
    }

    fn or(self, other: Self) -> Self {
        Self {
            sum: self.sum || other.sum,
            max: self.max || other.max,
            distinct: self.distinct || other.distinct,
            hits: self.hits || other.hits,
            last: self.last || other.last,
        }
    }

    pub(super) fn value(self) -> bool {
        self.sum || self.max
    }
}

/// Declarations that look at the same events: one window and one delay.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Lane {
    /// Microseconds; `None` over the whole life.
    pub(super) span: Option<i64>,
    pub(super) delay: i64,
    pub(super) needs: Needs,
    /// Columns and what goes into them.
    pub(super) outputs: Vec<(usize, Aggregate)>,
}

impl Lane {
    /// From when on queries see an event: those with `T >` this.
    pub(super) fn enters(&self, happened: i64, known: i64) -> i64 {
        known.max(happened.saturating_add(self.delay))
    }

    /// Whether what several lots of events give is what each gives, added up: a maximum is not once some of them leave, nor is
    /// a number of different keys.
    pub(super) fn adds_up(&self) -> bool {
        !self.needs.distinct && (!self.needs.max || self.span.is_none())
    }

    /// The earliest happening that is in the window of T (or later, over the whole life: in no sum yet).
    pub(super) fn floor(&self, at: i64) -> i64 {
        at.saturating_sub(self.delay).saturating_sub(self.span.unwrap_or(0))
    }
}

/// By delay first: lanes of one delay see events enter alike.
fn lanes(all: &[Declaration]) -> Vec<Lane> {
    let mut lanes: BTreeMap<(Delay, Window), Lane> = BTreeMap::new();
    for (column, declaration) in all.iter().enumerate() {
        let lane = lanes.entry((declaration.delay, declaration.window)).or_insert_with(|| Lane {
            span: match declaration.window {
                Window::Span(span) => Some(span),
                Window::Lifetime => None,
            },
            delay: declaration.delay.0,
            needs: Needs::default(),
            outputs: Vec::new(),
        });
        lane.needs = lane.needs.or(Needs::of(declaration.aggregate));
        lane.outputs.push((column, declaration.aggregate));
    }
    lanes.into_values().collect()
}
