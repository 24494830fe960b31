//! Intake of a stream: what arrives, each thing once.
//!
//! ```text
//! folders ─ Watch (word of change) ─ Landing: listed, complete, hashed ─ Ready ─┐
//!                                     Failures: bounded tries, then set aside   ├─ the epoch loop
//! standard input ─ reader thread ─ bounded queue ─ Lines ─ LineBatch ───────────┘
//! SIGTERM, SIGINT ─ Stop
//! ```
//!
//! - Nothing here decides what counts as taken: the loop commits that together with its outputs and answers
//!   [`Landing::ready`] when asked. So a kill at any moment loses nothing and counts nothing twice.
//! - A file that is still growing waits; one that cannot be read is told of and never stops the others.
//! - Word from the operating system makes the stream quick, polling makes it sure: network folders send no word.
//! - Files that come next may be read ahead of being given ([`Landing::coming`]), and are known by that.
//! - Memory is bounded: a producer that is faster than the stream is made to wait.

mod coming;
mod entry;
mod failures;
mod file;
mod hashes;
mod landing;
mod line;
mod lines;
mod place;
mod queue;
mod stop;
#[cfg(test)]
mod tests;
mod watch;

pub use coming::Coming;
pub use failures::{Failure, Failures, TRIES, Verdict};
pub use file::{Arrived, Ready, Standing, TakenFile, Unreadable};
pub use landing::{Landing, LandingSettings};
pub use line::MAX_LINE_BYTES;
pub use lines::{LineBatch, Lines, LinesSettings, RefusedLine};
pub use queue::Held;
pub use stop::Stop;
