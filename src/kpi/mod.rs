//! KPIs of fulfilment: what happened to orders, each with its clock, its counts and its maturity.
//!
//! [`facts`] gives one row per order (customer, return, ticket …) with everything a KPI needs; [`catalogue`] is the list
//! of KPIs as data; [`engine`] counts any such list by period and segment. Satisfaction measures use the same engine.

pub mod catalogue;
pub mod engine;
pub mod facts;
pub mod measure;
pub mod segment;

pub use catalogue::Terms;
pub use engine::{Clock, Counted, count};
pub use facts::{Availability, Facts, History};
pub use measure::{Measure, Shape, Subject, Unit};

#[cfg(test)]
mod by_hand;
