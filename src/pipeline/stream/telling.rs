//! How a stream says how it is: a status file beside its state, and by setting an endpoint for probes and Prometheus.

use super::journal::Offsets;
use super::take::Gathered;
use super::{StreamOptions, status_path};
use crate::config::Pipeline;
use crate::error::{Error, Result};
use crate::health::{Endpoint, State, Status};
use crate::pipeline::summary::peak_memory_mib;
use crate::publish::Published;
use crate::types::time::SECOND;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

/// The status of a stream, told wherever it is asked for.
pub(super) struct Telling {
    path: PathBuf,
    now: fn() -> i64,
    status: Arc<Mutex<Status>>,
    last_look: AtomicI64,
    _endpoint: Option<Endpoint>,
}

/// What an epoch has to tell.
pub(super) struct Figures {
    pub(super) as_of: i64,
    pub(super) seconds: f64,
    pub(super) rows_accepted: u64,
    pub(super) rows_quarantined: u64,
    pub(super) orders_scored: u64,
    pub(super) orders_waiting: u64,
    pub(super) published_files: u64,
    pub(super) state_bytes: u64,
}

impl Figures {
    /// With what the commit was.
    pub(super) fn of(self, published: &Published, begun: Instant) -> Self {
        Self {
            seconds: begun.elapsed().as_secs_f64(),
            published_files: published.files_written as u64,
            state_bytes: published.state_bytes,
            ..self
        }
    }
}

impl Telling {
    /// # Errors
    /// [`Error::Usage`] for an address that is not this machine's own, [`Error::Environment`] when it is taken.
    pub(super) fn new(pipeline: &Pipeline, options: &StreamOptions) -> Result<Self> {
        let now = (options.now)();
        let status = Status {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            pid: std::process::id(),
            pipeline: pipeline.raw.name.clone(),
            started_at: now,
            ..Status::default()
        };
        let status = Arc::new(Mutex::new(status));
        let endpoint = match &pipeline.raw.stream.listen {
            None => None,
            Some(listen) => {
                let address: SocketAddr = listen.parse().map_err(|_| Error::Usage {
                    message: format!("`stream.listen`: `{listen}` is not an address with a port"),
                    hint: Some("write it as 127.0.0.1:9187".to_owned()),
                })?;
                Some(Endpoint::start(address, Arc::clone(&status))?)
            }
        };
        let telling = Self {
            path: status_path(&options.out),
            now: options.now,
            status,
            last_look: AtomicI64::new(0),
            _endpoint: endpoint,
        };
        telling.change(|status| status.state = State::Starting);
        Ok(telling)
    }

    /// The status file is for people: that it cannot be written is no reason to stop.
    fn change(&self, change: impl FnOnce(&mut Status)) {
        let mut status = self.status.lock().unwrap_or_else(PoisonError::into_inner);
        change(&mut status);
        status.beat_at = (self.now)();
        status.lag_seconds = status.lag_seconds_at(status.beat_at);
        if let Err(error) = status.write(&self.path) {
            tracing::debug!(%error, "the status file");
        }
    }

    /// Says what was found at a look at everything that arrives; `offsets` are those of the last commit.
    pub(super) fn looked(&self, offsets: &Offsets, gathered: &Gathered) {
        let now = (self.now)();
        let before = self.last_look.swap(now, Ordering::Relaxed);
        let nothing = gathered.is_empty() && now - before < SECOND;
        // Looks at nothing come twenty times a second; a sign of life once a second will do.
        if nothing {
            self.last_look.store(before, Ordering::Relaxed);
            return;
        }
        self.change(|status| {
            status.state = State::Waiting;
            status.caught_up |= gathered.drained && gathered.is_empty();
            status.files_waiting = gathered.files.len() as u64;
            status.files_growing = gathered.growing;
            status.lines_waiting = gathered.lines + gathered.lines_left;
            of_offsets(status, offsets);
        });
    }

    /// Says that everything is published that the last look took.
    pub(super) fn took_all(&self, gathered: &Gathered) {
        self.change(|status| {
            (status.files_waiting, status.lines_waiting) = (0, gathered.lines_left);
            status.caught_up |= gathered.drained;
        });
    }

    /// A sign of life: long epochs are no standstill.
    pub(super) fn beat(&self) {
        let mut status = self.status.lock().unwrap_or_else(PoisonError::into_inner);
        status.beat_at = (self.now)();
    }

    pub(super) fn working(&self) {
        self.change(|status| status.state = State::Working);
    }

    pub(super) fn published(&self, offsets: &Offsets, figures: Figures) {
        let now = (self.now)();
        self.change(|status| {
            of_offsets(status, offsets);
            status.as_of = Some(figures.as_of);
            status.committed_at = Some(now);
            status.last_epoch_seconds = Some(figures.seconds);
            status.rows_accepted = figures.rows_accepted;
            status.rows_quarantined = figures.rows_quarantined;
            status.orders_scored = figures.orders_scored;
            status.orders_waiting = figures.orders_waiting;
            status.published_files += figures.published_files;
            status.state_bytes = figures.state_bytes;
            status.peak_memory_mib = peak_memory_mib();
            status.last_error = None;
        });
    }

    pub(super) fn failed(&self, error: &Error) {
        self.change(|status| status.last_error = Some(error.to_string()));
    }

    /// Says how it ended.
    pub(super) fn ended(&self, error: Option<&Error>) {
        self.change(|status| {
            status.state = if error.is_some() { State::Failed } else { State::Stopped };
            status.last_error = error.map(ToString::to_string);
        });
    }
}

fn of_offsets(status: &mut Status, offsets: &Offsets) {
    status.epoch = offsets.epoch;
    status.watermark = offsets.watermark;
    status.files_taken = offsets.files_taken;
    status.files_set_aside = offsets.files_set_aside;
    status.lines_taken = offsets.lines_taken;
    status.lines_refused = offsets.lines_refused;
    status.rows_late = offsets.rows_late;
    status.learning.clone_from(&offsets.learned);
}
