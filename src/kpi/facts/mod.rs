//! Rows with everything that KPIs ask of them, from tables as they are known at the run's clock.

mod availability;
mod cases;
mod events;
mod evidence;
mod history;
mod lines;
mod order_rows;
mod orders;
mod parts;
mod words;

pub use availability::Availability;
pub use evidence::{MARKS, Mark};
pub use history::{History, REPEAT_DAYS};

use self::order_rows::{ORDER, with_order_rows};
use super::Terms;
use super::measure::Subject;
use crate::contract::input::{Kind, table};
use crate::contract::segment;
use crate::error::{Error, Result};
use polars::prelude::*;
use std::collections::{BTreeMap, BTreeSet};

type Tables = BTreeMap<&'static str, DataFrame>;

/// The frames that measures count, one per subject.
#[derive(Debug, Clone)]
pub struct Facts {
    /// One row per order: the order's own times, money, counts and ids, the columns that KPIs are split by, and, as far as
    /// the input has what they need:
    ///
    /// - `cancelled`, `first_at` and `first_order` of its customer, `paid_since` (paid, else approved), `defect`,
    ///   `failed_by_seller` (cancelled by the seller for reasons of his own);
    /// - of lines: `units`, `shipped_units`, `known_units`, `in_full`; of events: `customs_arrived_at`,
    ///   `customs_cleared_at`, `local_post_at`, `scanned`, `tracked_at`;
    /// - of returns: `returned`, `returned_units`, `returned_amount`, `exchanged`;
    /// - of tickets: `contacts`, `disputed`, `unresolved`, `charged_back`, `charged_back_amount`;
    /// - of all of them together the [`MARKS`]: `damaged`, `lost` and so on.
    pub orders: DataFrame,
    /// One row per customer: the columns of the first order and `repeated`.
    pub customers: DataFrame,
    /// One row per feedback: its own columns and the columns of its order.
    pub feedback: Option<DataFrame>,
    /// One row per return: its own columns, `done_at`, `answered_at`, `finished`, `as_of`, and what its order is split by.
    pub returns: Option<DataFrame>,
    /// One row per ticket: its own columns, `asked_at`, `disputed_at`, `lost`, `decided`, `as_of`, and what its order is
    /// split by, null where it has none.
    pub tickets: Option<DataFrame>,
    /// Orders that wait at the run's clock, with `as_of` and `waits_to_ship` and `waits_at_customs`, the instants since
    /// when they do; null where they do not.
    pub open_orders: DataFrame,
    /// One row per order and article; only where KPIs are split by `sku`.
    pub skus: Option<DataFrame>,
    /// One row per order and category; only where KPIs are split by `category`.
    pub categories: Option<DataFrame>,
    /// What the input supplies.
    pub available: Availability,
}

impl Facts {
    /// Puts facts together from tables as they are known at the run's clock, with the columns that `segments` ask for.
    ///
    /// # Errors
    /// [`Error::Frames`] only for defects.
    pub fn new(tables: &BTreeMap<&'static str, DataFrame>, terms: &Terms, segments: &[String]) -> Result<Self> {
        let orders = tables.get("orders").cloned().unwrap_or_default();
        Self::of_part(tables, &Availability::of(tables), &History::of(&orders)?, terms, segments)
    }

    /// Facts of a part of the orders: `tables` hold these orders and the rows that belong to them (a row without an order
    /// belongs to any one part); `available` and `history` are those of the whole.
    ///
    /// # Errors
    /// [`Error::Frames`] only for defects.
    pub fn of_part(
        tables: &BTreeMap<&'static str, DataFrame>,
        available: &Availability,
        history: &History,
        terms: &Terms,
        segments: &[String],
    ) -> Result<Self> {
        let stage = || Error::frames("order facts");
        let tables = &with_order_rows(tables)?;
        let orders = orders::orders(tables, available, history, terms, segments)?;
        let split = |name: &str| segments.iter().any(|s| segment::parts(s).any(|p| p == name));
        let part = |name: &'static str| match split(name) {
            true => parts::parts(tables, &orders, available, terms, name),
            false => Ok(None),
        };
        let customers = orders.clone().lazy().filter(col("opens_customer")).collect().map_err(stage())?;
        let of_order = |rows: LazyFrame, all: bool| {
            let rows = rows.with_column(instant(terms.as_of).alias("as_of"));
            beside(rows.collect().map_err(stage())?, &orders, all, segments).map(Some)
        };
        Ok(Self {
            feedback: match tables.get("feedback") {
                Some(t) => of_order(nulls(t, "feedback"), true)?,
                None => None,
            },
            returns: match tables.get("returns") {
                Some(t) => of_order(cases::returns(t), false)?,
                None => None,
            },
            tickets: match tables.get("tickets") {
                Some(t) => of_order(cases::tickets(t), false)?,
                None => None,
            },
            open_orders: open_orders(&orders, terms).collect().map_err(stage())?,
            skus: part("sku")?,
            categories: part("category")?,
            customers,
            available: available.clone(),
            orders,
        })
    }

    /// The rows that measures of a subject count; `None` where the input or the segments give none.
    pub fn frame(&self, subject: Subject) -> Option<&DataFrame> {
        match subject {
            Subject::Orders => Some(&self.orders),
            Subject::Customers => Some(&self.customers),
            Subject::Feedback => self.feedback.as_ref(),
            Subject::Returns => self.returns.as_ref(),
            Subject::Tickets => self.tickets.as_ref(),
            Subject::OpenOrders => Some(&self.open_orders),
            Subject::Skus => self.skus.as_ref(),
            Subject::Categories => self.categories.as_ref(),
        }
    }

    /// Whether an order or a part of it has a mark, by whoever tells of it.
    fn mark(mark: &Mark, schema: &Schema) -> Expr {
        let told = [format!("told_{}", mark.name), format!("returned_{}", mark.name)];
        told.iter().filter(|t| schema.contains(t)).fold(lit(false), |any, t| any.or(orders::no(t)))
    }
}

/// Rows that belong to orders, with columns of their order: all of them, or those that KPIs are split by. A column that
/// both have is the row's own.
fn beside(mut rows: DataFrame, orders: &DataFrame, all: bool, segments: &[String]) -> Result<DataFrame> {
    let stage = || Error::frames("facts beside those of orders");
    let split = |name: &str| segments.iter().any(|s| segment::parts(s).any(|p| p == name));
    let names = orders.get_column_names().into_iter().map(|c| c.as_str());
    let wanted = names.filter(|c| rows.get_column_index(c).is_none() && (all || split(c)));
    let wanted: Vec<&str> = wanted.collect();
    let of = rows.column(ORDER).and_then(|c| c.idx().cloned()).map_err(stage())?;
    let taken = orders.select(wanted).and_then(|orders| orders.take(&of)).map_err(stage())?;
    rows.hstack_mut(taken.columns()).map_err(stage())?;
    rows.drop_in_place(ORDER).map_err(stage())?;
    rows.rechunk_mut();
    Ok(rows)
}

/// Orders that wait at the run's clock.
fn open_orders(orders: &DataFrame, terms: &Terms) -> LazyFrame {
    let has = |name: &str| orders.get_column_index(name).is_some();
    let none = |name: &str| if has(name) { col(name).is_null() } else { lit(true) };
    let still = col("cancelled").not().and(none("delivered_at"));
    let null = || lit(NULL).cast(instant_type());
    let to_ship = if has("shipped_at") {
        when(still.clone().and(none("shipped_at"))).then(col("paid_since")).otherwise(null())
    } else {
        null()
    };
    let at_customs = if has("customs_arrived_at") {
        when(still.and(none("customs_cleared_at"))).then(col("customs_arrived_at")).otherwise(null())
    } else {
        null()
    };
    // Without a column in it the question would cut up frames of a few rows wrongly.
    let asks = [&to_ship, &at_customs].iter().any(|e| e.into_iter().any(|part| matches!(part, Expr::Column(_))));
    let all = orders.clone().lazy().with_columns([
        to_ship.alias("waits_to_ship"),
        at_customs.alias("waits_at_customs"),
        instant(terms.as_of).alias("as_of"),
    ]);
    let waits = col("waits_to_ship").is_not_null().or(col("waits_at_customs").is_not_null());
    if asks { all.filter(waits) } else { all.limit(0) }
}

/// A table with every column of the contract; those it does not have are null.
fn nulls(frame: &DataFrame, name: &str) -> LazyFrame {
    let columns = table(name).map(|t| t.columns).unwrap_or_default();
    let absent = columns.iter().filter(|c| frame.get_column_index(c.name).is_none());
    let nulls: Vec<Expr> = absent.map(|c| lit(NULL).cast(of_kind(c.kind)).alias(c.name)).collect();
    frame.clone().lazy().with_columns(nulls)
}

/// The type of accepted values of a kind.
fn of_kind(kind: Kind) -> DataType {
    match kind {
        Kind::Instant => instant_type(),
        Kind::Money | Kind::Count | Kind::Rate => DataType::Int64,
        Kind::Number => DataType::Float64,
        Kind::Flag => DataType::Boolean,
        Kind::Id | Kind::Text | Kind::Word(_) | Kind::Country | Kind::Currency | Kind::Personal(_) => DataType::String,
    }
}

fn instant_type() -> DataType {
    DataType::Datetime(TimeUnit::Microseconds, Some(TimeZone::UTC))
}

/// One instant for every row.
fn instant(micros: i64) -> Expr {
    lit(micros).cast(instant_type())
}

/// An instant column as integer microseconds.
pub fn micros(name: &str) -> Expr {
    col(name).to_physical()
}

/// Whether a column says one of these words, in whatever case and with blanks or hyphens for `_`; false where it is null or
/// not there.
///
/// A column of words has few different ones: each is looked at once, and rows are compared with those that say it.
pub(super) fn says(frame: &DataFrame, column: &str, words: &[&str]) -> Expr {
    let Some(texts) = frame.column(column).ok().and_then(|c| c.str().ok()) else { return lit(false) };
    let mut known = BTreeSet::new();
    let mut last = "";
    for text in texts.iter().flatten() {
        if text != last {
            known.insert(text);
            last = text;
        }
    }
    let saying = known.into_iter().filter(|text| words.contains(&plain(text).as_str()));
    saying.fold(lit(false), |any, text| any.or(col(column).eq(lit(text)))).fill_null(lit(false))
}

/// A word in lower case with `_` for blanks and hyphens.
pub(super) fn plain(text: &str) -> String {
    text.trim().to_lowercase().chars().map(|c| if c == ' ' || c == '-' { '_' } else { c }).collect()
}

/// A column of words in lower case with `_` for blanks and hyphens, so that `Not as described` is `not_as_described`.
pub(super) fn word(name: &str) -> Expr {
    let under = |text: Expr, from: &'static str| text.str().replace_all(lit(from), lit("_"), true);
    under(under(col(name).str().strip_chars(lit(NULL)).str().to_lowercase(), " "), "-")
}
