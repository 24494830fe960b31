//! How micro-batches are cut and when they are late: section `[stream]` of the pipeline file.

use crate::types::time::parse_span;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// Micro-batches: how they are cut, how long orders wait for what is late, how often the whole shop is told anew. Spans
/// are `500ms`, `10s`, `5m`, `36h` or `10d`.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Stream {
    /// How long arrivals are gathered before they are computed on. Less shows sooner, more costs less.
    #[schemars(regex(pattern = r"^[0-9]{1,5}(ms|s|m|h|d)$"))]
    pub epoch: String,
    /// Files of one epoch at most.
    #[schemars(range(min = 1))]
    pub epoch_files: u32,
    /// Lines of standard input of one epoch at most.
    #[schemars(range(min = 1))]
    pub epoch_lines: u32,
    /// Bytes of files of one epoch, about: what bounds the memory of an epoch.
    #[schemars(range(min = 1))]
    pub epoch_bytes: u64,
    /// An order waits until the watermark has passed it: the newest order seen, less this. Within this bound any order of
    /// arrival gives what one batch gives. `0s`: it is scored at once, on what is known.
    #[schemars(regex(pattern = r"^[0-9]{1,5}(ms|s|m|h|d)$"))]
    pub lateness: String,
    /// How long after an order is scored one that was placed before it can still come with features of its own time. One
    /// that comes later yet has everything counted anew, once, which takes as long as a start without a checkpoint.
    #[schemars(regex(pattern = r"^[0-9]{1,5}(ms|s|m|h|d)$"))]
    pub remember: String,
    /// How often KPIs, satisfaction, exceptions, customers and the monitor are told anew, at most. They look at the whole
    /// shop and cost more the larger it is, so they are computed beside the epochs and published with a later one; scores do
    /// not wait for them. `0s`: again and again, with rests of four times what the last look took. While more
    /// is waiting than an epoch takes, that comes first, for ten minutes at most.
    #[schemars(regex(pattern = r"^[0-9]{1,5}(ms|s|m|h|d)$"))]
    pub refresh: String,
    /// What is held is written down (a checkpoint, from which a start goes on) when so many rows of any table have come since
    /// the last time; four times as many while more is waiting than an epoch takes. Fewer: a start after a kill takes less, and
    /// more is written beside the epochs.
    #[schemars(range(min = 1))]
    pub checkpoint_rows: u64,
    /// A file has landed whole when it has not changed for so long; one with a `.done` beside it has at once.
    #[schemars(regex(pattern = r"^[0-9]{1,5}(ms|s|m|h|d)$"))]
    pub stable_for: String,
    /// Where `/metrics` (Prometheus), `/healthz` and `/ready` answer, on this machine only: `127.0.0.1:9187`. Left out,
    /// nothing listens.
    #[schemars(regex(pattern = r"^[0-9a-fA-F.:\[\]]+:[0-9]{1,5}$"))]
    pub listen: Option<String>,
}

impl Default for Stream {
    fn default() -> Self {
        Self {
            epoch: "1s".to_owned(),
            epoch_files: 256,
            epoch_lines: 200_000,
            epoch_bytes: 256 << 20,
            lateness: "0s".to_owned(),
            remember: "30d".to_owned(),
            refresh: "0s".to_owned(),
            checkpoint_rows: 1_250_000,
            stable_for: "2s".to_owned(),
            listen: None,
        }
    }
}

/// A span of the section, in microseconds; the schema has checked it.
pub fn stream_span(text: &str) -> i64 {
    match text.strip_suffix("ms").map(str::parse::<i64>) {
        Some(milliseconds) => milliseconds.unwrap_or_default() * 1_000,
        None => parse_span(text).unwrap_or_default(),
    }
}

/// The same as a duration.
pub fn stream_duration(text: &str) -> Duration {
    Duration::from_micros(stream_span(text).unsigned_abs())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_go_from_milliseconds_to_days() {
        let spans = ["500ms", "10s", "5m", "36h", "10d"].map(stream_span);
        assert_eq!(spans, [500_000, 10_000_000, 300_000_000, 129_600_000_000, 864_000_000_000]);
    }
}
