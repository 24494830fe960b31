//! What a customer's orders are to each other.

use super::instant_type;
use crate::error::{Error, Result};
use crate::features::kernel::{Interner, NO_KEY};
use crate::types::time::DAY;
use polars::prelude::*;

/// Days within which a second order makes a customer a repeat customer.
pub const REPEAT_DAYS: i64 = 90;

/// Of every customer when the first order was placed and which it was, and when the next was. It needs three columns of all
/// orders, a part of them at a time; everything else that KPIs ask can be asked of a part of the orders.
#[derive(Debug, Clone, Default)]
pub struct History {
    customers: Interner,
    /// By customer: UTC microseconds; [`i64::MAX`] as long as no order had a time.
    first_at: Vec<i64>,
    /// By customer: the next instant after `first_at` at which there was an order; [`i64::MAX`] is none.
    next_at: Vec<i64>,
    /// By customer. Of two first orders in one instant the smaller id stands for both, so that no order of rows shows.
    first_order: Vec<PlSmallStr>,
}

impl History {
    /// The history of all customers of these orders.
    ///
    /// # Errors
    /// As [`Self::add`].
    pub fn of(orders: &DataFrame) -> Result<Self> {
        let mut history = Self::default();
        history.add(orders)?;
        Ok(history)
    }

    /// Adds orders: their `customer_id`, `order_id` and `placed_at`. Which come first makes no difference.
    ///
    /// # Errors
    /// [`Error::InputRefused`] beyond 3 · 2³⁰ customers, [`Error::Frames`] only for defects.
    pub fn add(&mut self, orders: &DataFrame) -> Result<()> {
        let Rows { customers, ids, placed } = Rows::of(orders)?;
        let numbers = self.customers.intern_all(customers.iter())?;
        let known = self.customers.len();
        self.first_at.resize(known, i64::MAX);
        self.next_at.resize(known, i64::MAX);
        self.first_order.resize(known, PlSmallStr::EMPTY);
        for ((customer, id), placed) in numbers.into_iter().zip(ids.iter()).zip(placed.iter()) {
            let (Some(id), Some(placed), true) = (id, placed, customer != NO_KEY) else { continue };
            let at = customer as usize;
            let first = self.first_at[at];
            if placed < first {
                // What was the first until now is the earliest of what comes after.
                (self.first_at[at], self.next_at[at]) = (placed, first);
                self.first_order[at] = id.into();
            } else if placed > first {
                self.next_at[at] = self.next_at[at].min(placed);
            } else if id < self.first_order[at].as_str() {
                self.first_order[at] = id.into();
            }
        }
        Ok(())
    }

    /// What it says of orders, by row: `first_at` of the customer, `repeated` (whether another order followed within
    /// [`REPEAT_DAYS`]), `first_order` (whether it is of that instant) and `opens_customer` (whether it stands for the
    /// customer). Null where the customer is not known.
    pub(super) fn columns(&self, orders: &DataFrame) -> Result<Vec<Column>> {
        let Rows { customers, ids, placed } = Rows::of(orders)?;
        let known = |number: u32| (number != NO_KEY).then_some(number as usize);
        let numbers: Vec<Option<usize>> = self.customers.find_all(customers.iter()).into_iter().map(known).collect();
        let first_at = |at: usize| Some(self.first_at[at]).filter(|first| *first != i64::MAX);
        let (placed, ids): (Vec<Option<i64>>, Vec<Option<&str>>) = (placed.iter().collect(), ids.iter().collect());
        let firsts: Int64Chunked = numbers.iter().map(|at| first_at((*at)?)).collect();
        let firsts = firsts.with_name("first_at".into()).into_column().cast(&instant_type());
        Ok(vec![
            firsts.map_err(Error::frames("customer history"))?,
            flags("repeated", &numbers, |_, at| {
                Some(self.next_at[at].saturating_sub(first_at(at)?) <= REPEAT_DAYS * DAY)
            }),
            flags("first_order", &numbers, |row, at| Some(placed[row]? == first_at(at)?)),
            flags("opens_customer", &numbers, |row, at| Some(ids[row]? == self.first_order[at].as_str())),
        ])
    }
}

/// A flag of rows that have a customer.
fn flags(name: &str, numbers: &[Option<usize>], of: impl Fn(usize, usize) -> Option<bool>) -> Column {
    let flags = numbers.iter().enumerate().map(|(row, at)| of(row, (*at)?));
    flags.collect::<BooleanChunked>().with_name(name.into()).into_column()
}

/// The columns of orders that tell of customers.
struct Rows {
    customers: StringChunked,
    ids: StringChunked,
    placed: Int64Chunked,
}

impl Rows {
    fn of(orders: &DataFrame) -> Result<Self> {
        let stage = || Error::frames("customer history");
        let text = |name: &str| orders.column(name).and_then(|c| c.str().cloned()).map_err(stage());
        let placed = orders.column("placed_at").and_then(|c| c.to_physical_repr().i64().cloned());
        Ok(Self { customers: text("customer_id")?, ids: text("order_id")?, placed: placed.map_err(stage())? })
    }
}
