//! Ground words: instants and zones, money, intervals. They know nothing of files, frames or models.

pub mod interval;
pub mod money;
pub mod time;
