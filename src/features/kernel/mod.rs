//! The feature kernel: point-in-time aggregates of entities, exact, and one for batch and micro-batch.
//!
//! An event of an entity *happened* at one instant and was *known* at another. A query of the same entity at T sees events
//! known strictly before T that happened in `[T − delay − span, T − delay)`, or before `T − delay` over the whole life. So
//! nothing that becomes known at or after T can change an answer for T, and rows of one instant see nothing of one another.
//!
//! [`Declarations`] say what is computed; a [`State`] takes [`Events`] and answers [`Queries`] in [`State::step`]; a batch is
//! one step on an empty state. Everything is an integer until the last division, so that neither the order of rows, the cut
//! into steps nor the number of threads can show. [`State::expire`] bounds the state.
//!
//! Keys become numbers once, in an [`Interner`] that states share. [`State::mark_entities`], [`Interner::keep`] and
//! [`State::rename`] forget keys of which nothing is left. `saved` has keys and states as bytes. States of shards of
//! keys become one by [`State::merge`], and what was told wrongly is [exchanged](State::exchange).
//!
//! Cost: a step sorts what it is given and walks, once a window, over the events its queries' entities have retained. In
//! a batch that is a constant for each row, however heavy its key. In small steps an entity with many events is walked over
//! once, and from then on costs what is new and what leaves its windows (`heavy`).
//!
//! Inside: `sort` and `run` bring rows into the order of entity and time, `copied` those of a few entities, `answer` shares
//! out entities, `sweep`, `glide` and `walk` answer one entity in one window, `apart` does so where its events lie in several
//! runs, `others` numbers what distinct counts count, `life` keeps totals, `pairs` what was ever counted as distinct.
//!
//! [`Noted`] is a table of its own: numbers under names that are hashes, saved by what came.

mod answer;
mod apart;
mod columns;
mod copied;
mod declare;
mod exchange;
mod glide;
mod heavy;
mod interner;
mod life;
mod merge;
mod noted;
mod others;
mod pairs;
mod run;
mod saved;
mod sort;
mod state;
mod sweep;
mod tally;
mod walk;

#[cfg(test)]
mod exchange_tests;
#[cfg(test)]
mod heavy_tests;
#[cfg(test)]
mod merge_tests;
#[cfg(test)]
mod naive;
#[cfg(test)]
mod refusal_tests;
#[cfg(test)]
mod tests;

pub use columns::{Column, Values};
pub use declare::{Aggregate, Declaration, Declarations, Delay, Window};
pub use interner::Interner;
pub use noted::Noted;
pub use run::{Events, Queries, SortedQueries};
pub use state::State;

/// The number of a key that is null: no entity, no other key.
pub const NO_KEY: u32 = u32::MAX;

/// A value that is null. No amount is as low.
pub const NO_VALUE: i64 = i64::MIN;
