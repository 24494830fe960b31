//! ordersight: what happened to a shop's orders, how its customers felt, and which orders to look at.
//!
//! ```text
//! sources ─ ingest ─┬─ accepted tables ─┬─ kpi ───────────────┐
//!                   │                   ├─ satisfaction ──────┤
//!                   │                   ├─ exceptions ────────┤
//!                   └─ quarantine       └─ features ─ risk ─ decision ─ publish (Parquet) ─ report, query
//! ```
//!
//! A layer uses only those below it; a test reads the `use crate::` lines.
//!
//! | layer | modules | knows |
//! |---|---|---|
//! | front | [`cli`], [`report`] | arguments, terminal, HTML |
//! | flow | [`pipeline`] | the order of stages |
//! | edges | [`ingest`], [`intake`], [`health`], [`publish`], [`query`], [`registry`], [`synthetic`] | files, formats, arrivals |
//! | compute | [`features`], [`kpi`], [`satisfaction`], [`customers`], [`exceptions`], [`risk`], [`decision`] | frames, slices, numbers: no paths, no clock, no environment |
//! | words | [`contract`], [`config`], [`quarantine`] | names and types |
//! | ground | [`types`], [`error`], [`memory`], [`saved`] | nothing else |
//!
//! # Invariants, each with a test that would notice
//! 1. Nothing is lost: rows read = accepted + quarantined + superseded, every run.
//! 2. No look-ahead: what becomes known at or after T changes no feature of an order placed at T.
//! 3. Sums are exact: money is integer minor units, and partial sums merge in any order.
//! 4. Same in, same out: equal inputs, pipeline, models and `as_of` give byte-identical data files.
//! 5. All or nothing: a killed run leaves the last published state readable, and the next start finishes or drops it.
//! 6. One answer: whatever the cut into micro-batches, and in any order of arrival that is waited for, what is published is
//!    what one batch publishes; killed at any moment and started again is never killed.
//! 7. Rates have counts, times have zones, money has a currency, nulls have a reason.
//!
//! # Absent on purpose
//! A database, a server, a scheduler: runs are started by whatever starts jobs, and Parquet is what they leave. No code
//! reads a clock but the command line and, of a stream, [`intake`] and [`health`]. No personal value passes ingest in clear.

pub mod cli;
pub mod config;
pub mod contract;
pub mod customers;
pub mod decision;
pub mod error;
pub mod exceptions;
pub mod features;
pub mod health;
pub mod ingest;
pub mod intake;
pub mod kpi;
pub mod memory;
pub mod pipeline;
pub mod publish;
pub mod quarantine;
pub mod query;
pub mod registry;
pub mod report;
pub mod risk;
pub mod satisfaction;
pub mod saved;
pub mod synthetic;
pub mod types;

/// Shared by the program, its tests and its benches.
#[global_allocator]
static ALLOCATOR: memory::HugePages = memory::HugePages;
