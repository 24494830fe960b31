//! Gradient boosted trees: forust's growing behind linfa's traits, our own bins before it and our own layout behind it.
//!
//! ```text
//! values ─ bins ─ fit (forust) ─ trees ─┬─ flat ─ raw scores of many rows
//!          search ─ growth, stop ───────┘└─ contributions ─ reasons for one row
//! ```

pub mod bins;
mod contributions;
pub mod fit;
mod flat;
pub mod forest;
pub mod search;
mod thresholds;
pub mod tree;

#[cfg(test)]
mod tests;
