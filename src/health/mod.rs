//! How a stream is: for people, for probes, for Prometheus.
//!
//! The loop keeps one [`Status`] up to date. It goes to a file, which anybody can read at any time and which outlives the process,
//! and, where the pipeline asks for it, to an [`Endpoint`] on loopback. Nothing here changes what the stream does.

mod endpoint;
mod prometheus;
mod status;
mod words;
mod writer;

pub use endpoint::{Endpoint, HEARTBEAT_BOUND};
pub use prometheus::prometheus;
pub use status::{Learned, State, Status};
pub use words::words;
pub use writer::Writer;
