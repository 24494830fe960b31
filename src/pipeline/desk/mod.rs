//! The review desk: the queue goes out as a file to work in, and comes back with decisions that become labels.
//!
//! ```text
//! review_queue ─ export ─ a file ─ people ─ import ─ _state/review_decisions.ndjson ─ next run or training
//! ```

mod export;
mod import;
mod sheet;
mod store;

pub use export::{Exported, export};
pub use import::{ImportOptions, Imported, RefusedRow, import};
pub use sheet::SheetFormat;
pub(super) use store::{decided, take_in};

/// The columns a reviewer fills in.
const TO_FILL_IN: [&str; 4] = ["decision", "decided_at", "reviewer", "note"];

/// What a reviewer can decide, as in the contract's `review_decisions`.
const DECISIONS: [&str; 3] = ["fraud", "legit", "unsure"];
