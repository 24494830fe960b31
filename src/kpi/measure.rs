//! What a KPI is.

use polars::prelude::{Expr, lit};

/// Whose rows a measure counts.
///
/// Measures of one row stand on that row alone, so a part of the orders with all that belongs to them (and the history
/// of their customers, see [`super::facts::History`]) can be counted by itself and added to the others.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Subject {
    /// One row per order.
    Orders,
    /// One row per customer, with the facts of the first order.
    Customers,
    /// One row per feedback, with the facts of its order.
    Feedback,
    /// One row per return, with the facts of its order.
    Returns,
    /// One row per ticket, with the facts of its order where it has one.
    Tickets,
    /// One row per order that waits at the run's clock: paid and not shipped, or at customs.
    OpenOrders,
    /// One row per order and article in it: an order seen from each of its articles. Only segments with `sku` use it.
    Skus,
    /// One row per order and category in it. Only segments with `category` use it.
    Categories,
}

impl Subject {
    /// The column that a segment must name for this subject to be counted by it, if there is one: an order with three
    /// articles is three rows of [`Self::Skus`], whose sum over all articles is nobody's number.
    pub fn part(self) -> Option<&'static str> {
        match self {
            Self::Skus => Some("sku"),
            Self::Categories => Some("category"),
            Self::Orders | Self::Customers | Self::Feedback | Self::Returns | Self::Tickets | Self::OpenOrders => None,
        }
    }
}

/// The unit of a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// A number of things.
    Count,
    /// A part of a whole, in `[0, 1]`.
    Share,
    /// Units (not minor units) of the base currency.
    Money,
    /// Hours.
    Hours,
    /// Minutes.
    Minutes,
    /// Stars, 1 to 5.
    Stars,
    /// Points from -100 to 100.
    Points,
    /// Hundredths of a percent.
    BasisPoints,
    /// Steps of a survey's own scale, such as 1 to 7.
    Steps,
}

impl Unit {
    /// Its name in the output.
    pub fn name(self) -> &'static str {
        match self {
            Self::Count => "count",
            Self::Share => "share",
            Self::Money => "money",
            Self::Hours => "hours",
            Self::Minutes => "minutes",
            Self::Stars => "stars",
            Self::Points => "points",
            Self::BasisPoints => "basis_points",
            Self::Steps => "steps",
        }
    }

    /// What a sum (`below` is none) or a quotient of sums is in this unit; `base_exponent` decimals has the base
    /// currency, whose minor units money is summed in. `below` is not 0.
    pub fn of_sums(self, above: i64, below: Option<i64>, base_exponent: u32) -> f64 {
        let quotient = |times: f64| times * above as f64 / below.map_or(1.0, |below| below as f64);
        match self {
            Self::Money => quotient(1.0) / 10_f64.powi(base_exponent as i32),
            Self::Points => quotient(100.0),
            Self::BasisPoints => quotient(10_000.0),
            Self::Count | Self::Share | Self::Hours | Self::Minutes | Self::Stars | Self::Steps => quotient(1.0),
        }
    }

    /// What a duration is in this unit: minutes where the measure says so, else hours.
    pub fn of_seconds(self, seconds: f64) -> f64 {
        if self == Self::Minutes { seconds / 60.0 } else { seconds / 3600.0 }
    }
}

/// How a measure is made from rows. Expressions give integers or booleans from the columns of one row; null counts as
/// nothing.
#[derive(Debug, Clone)]
pub enum Shape {
    /// The sum of an integer; the denominator is null.
    Total(Expr),
    /// A proportion: rows that are hits among rows that are trials. Carries a Wilson interval.
    Proportion {
        /// Whether a row is a hit; counted only where it is a trial.
        hit: Expr,
        /// Whether a row is a trial.
        trial: Expr,
    },
    /// One sum over another; no interval.
    Ratio {
        /// What is summed above.
        above: Expr,
        /// What is summed below.
        below: Expr,
    },
    /// Durations between two instants of a row: `_p50`, `_p90`, `_mean` over the rows that have both, in that order of
    /// time, and `_open_share`: rows that began, have not come through and still can, among rows that began.
    Duration {
        /// Column of the beginning.
        from: &'static str,
        /// Column of the end.
        to: &'static str,
        /// Whether a row without an end will never have one, such as a cancelled order or a rejected return.
        ended: Expr,
    },
}

/// A KPI or satisfaction measure.
#[derive(Debug, Clone)]
pub struct Measure {
    /// Its id in the output.
    pub id: &'static str,
    /// What it means, in plain words.
    pub meaning: &'static str,
    /// What it needs, as `table.column`, `table` or `table.column=value`; alternatives are written `a|b`.
    pub needs: &'static [&'static str],
    /// Whose rows it counts.
    pub subject: Subject,
    /// The instant column that decides the period of a row.
    pub basis: &'static str,
    /// How it is made.
    pub shape: Shape,
    /// Unit of its value.
    pub unit: Unit,
    /// Days after the end of a period until late events can no longer move it much.
    pub matures_after_days: i64,
    /// Whether more is better; `None` where neither is.
    pub more_is_better: Option<bool>,
}

/// What the ids of a duration's figures end in.
const PARTS: [&str; 4] = ["p50", "p90", "mean", "open_share"];

impl Measure {
    /// A total of `sum` over rows of a subject. Entries of a catalogue begin with one of these and say the rest after it.
    pub(super) fn total(subject: Subject, id: &'static str, meaning: &'static str, sum: Expr) -> Self {
        Self::new(subject, id, meaning, Shape::Total(sum), Unit::Count)
    }

    /// A share of rows.
    pub(super) fn share(subject: Subject, id: &'static str, meaning: &'static str, hit: Expr, trial: Expr) -> Self {
        Self::new(subject, id, meaning, Shape::Proportion { hit, trial }, Unit::Share)
    }

    /// A quotient of two sums.
    pub(super) fn ratio(subject: Subject, id: &'static str, meaning: &'static str, above: Expr, below: Expr) -> Self {
        Self::new(subject, id, meaning, Shape::Ratio { above, below }, Unit::Share)
    }

    /// The time between two instants, in hours, for rows that can always still come through.
    pub(super) fn time(
        subject: Subject,
        id: &'static str,
        meaning: &'static str,
        from: &'static str,
        to: &'static str,
    ) -> Self {
        Self::new(subject, id, meaning, Shape::Duration { from, to, ended: lit(false) }, Unit::Hours)
    }

    /// How it is called where ids may stand twice: `return_rate_units by sku`.
    pub fn name(&self) -> String {
        self.subject.part().map_or_else(|| self.id.to_owned(), |part| format!("{} by {part}", self.id))
    }

    fn new(subject: Subject, id: &'static str, meaning: &'static str, shape: Shape, unit: Unit) -> Self {
        Self {
            id,
            meaning,
            needs: &[],
            subject,
            basis: "placed_at",
            shape,
            unit,
            matures_after_days: 0,
            more_is_better: None,
        }
    }

    /// What it needs.
    pub(super) fn needs(self, needs: &'static [&'static str]) -> Self {
        Self { needs, ..self }
    }

    /// The clock it counts by, where that is not `placed_at`.
    pub(super) fn by(self, basis: &'static str) -> Self {
        Self { basis, ..self }
    }

    /// Its unit.
    pub(super) fn unit(self, unit: Unit) -> Self {
        Self { unit, ..self }
    }

    /// Days until it is mature.
    pub(super) fn matures(self, days: i64) -> Self {
        Self { matures_after_days: days, ..self }
    }

    /// More of it is better.
    pub(super) fn more_is_better(self) -> Self {
        Self { more_is_better: Some(true), ..self }
    }

    /// Less of it is better.
    pub(super) fn less_is_better(self) -> Self {
        Self { more_is_better: Some(false), ..self }
    }

    /// Which rows of a duration will never come through.
    pub(super) fn never_where(self, ended: Expr) -> Self {
        match self.shape {
            Shape::Duration { from, to, .. } => Self { shape: Shape::Duration { from, to, ended }, ..self },
            Shape::Total(_) | Shape::Proportion { .. } | Shape::Ratio { .. } => self,
        }
    }

    /// Whether a KPI of this id in the output is this measure's; a duration publishes several.
    pub fn publishes(&self, kpi: &str) -> bool {
        match self.shape {
            Shape::Duration { .. } => !self.part(kpi).is_empty(),
            _ => kpi == self.id,
        }
    }

    /// Which figure of a duration a published id is: `p50`, `p90`, `mean` or `open_share`; empty for anything else.
    pub fn part(&self, kpi: &str) -> &'static str {
        let rest = kpi.strip_prefix(self.id).and_then(|rest| rest.strip_prefix('_'));
        match self.shape {
            Shape::Duration { .. } => PARTS.into_iter().find(|part| Some(*part) == rest).unwrap_or_default(),
            _ => "",
        }
    }

    /// The ids under which it is published.
    pub fn published(&self) -> Vec<String> {
        match self.shape {
            Shape::Duration { .. } => PARTS.iter().map(|part| format!("{}_{part}", self.id)).collect(),
            _ => vec![self.id.to_owned()],
        }
    }

    /// The unit of a published figure: the share still open of a duration is no duration.
    pub fn unit_of(&self, kpi: &str) -> Unit {
        if self.part(kpi) == "open_share" { Unit::Share } else { self.unit }
    }
}
