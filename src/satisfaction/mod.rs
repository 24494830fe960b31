//! How customers felt: what they said, what they would probably have said, and what it goes with.
//!
//! ```text
//! feedback ─┬─ measures ──────────────────────────── counted by the KPI engine
//!           └─ answers ─┬─ factors ─ index ─ table ── satisfaction by segment (split) and period
//! orders ─── journey ───┤            lines ─ articles ┘
//!                       └─ facts ─┬─ predict, held_out ── satisfaction of orders
//!                                 └─ drivers ──────────── what goes with answers
//! ```

pub mod answers;
pub mod articles;
mod chinese;
pub mod drivers;
mod earlier;
pub mod factors;
pub mod facts;
pub mod held_out;
pub mod index;
pub mod journey;
mod least_squares;
mod measures;
pub mod predict;
pub mod split;
pub mod table;
#[cfg(test)]
mod tests;

pub use measures::catalogue;
