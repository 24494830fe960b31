//! What a KPI is.

use polars::prelude::Expr;

/// Whose rows a measure counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Subject {
    /// One row per order.
    Orders,
    /// One row per customer, with the facts of the first order.
    Customers,
    /// One row per feedback, with the facts of its order.
    Feedback,
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
    /// Stars, 1 to 5.
    Stars,
    /// Points from -100 to 100.
    Points,
}

impl Unit {
    /// Its name in the output.
    pub fn name(self) -> &'static str {
        match self {
            Self::Count => "count",
            Self::Share => "share",
            Self::Money => "money",
            Self::Hours => "hours",
            Self::Stars => "stars",
            Self::Points => "points",
        }
    }
}

/// How a measure is made from rows. Expressions give integers or booleans; null counts as nothing.
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
    /// Durations between two instants of a row: `_p50`, `_p90`, `_mean` and `_open_share`.
    Duration {
        /// Column of the beginning.
        from: &'static str,
        /// Column of the end.
        to: &'static str,
    },
}

/// A KPI or satisfaction measure.
#[derive(Debug, Clone)]
pub struct Measure {
    /// Its id in the output.
    pub id: &'static str,
    /// What it means, in plain words.
    pub meaning: &'static str,
    /// What it needs, as `table.column` or `table`.
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
