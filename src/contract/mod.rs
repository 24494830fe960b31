//! The words outsiders hold on to: input tables, what features are made of, kinds of exceptions,
//! output tables, the output's reserved folders.

pub mod exception;
pub mod feature;
pub mod input;
pub mod output;
pub mod segment;

/// Version of the layout and columns of the output tables, written into every file's metadata.
pub const SCHEMA_VERSION: &str = "1";
