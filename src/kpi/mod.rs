//! KPIs of fulfilment: what happened to orders, each with its clock, its counts and its maturity.
//!
//! [`facts`] gives one row per order (customer, return, ticket …) with everything a KPI needs; [`catalogue`] is the list
//! of KPIs as data; [`engine`] counts any such list by [`periods`] and segment, part by part. Satisfaction measures use the
//! same engine. [`calendar`] knows working time.

pub mod calendar;
pub mod catalogue;
pub mod engine;
pub mod facts;
pub mod follow;
pub mod measure;
pub mod periods;
pub mod scorecard;
pub mod segment;
pub mod shards;
pub mod sketch;
pub mod waiting;
pub mod working;

pub use catalogue::Terms;
pub use engine::{Clock, Counted, Plan, Settings, States, count};
pub use facts::{Availability, Facts, History};
pub use measure::{Measure, Shape, Subject, Unit};
pub use periods::Grain;
pub use shards::{Whole, count_each, count_in_parts};
pub use waiting::{Waiting, waiting};
pub use working::in_working_time;

#[cfg(test)]
mod by_hand;
