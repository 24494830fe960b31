//! What a stream says of itself.

use crate::error::{Error, Result};
use serde::{Deserialize, Serialize};
use std::fs::File;
use std::io::{self, Write};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

/// What the loop is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// It reads its state and finishes what an earlier process left.
    #[default]
    Starting,
    /// It waits for files and lines.
    Waiting,
    /// An epoch is in hand.
    Working,
    /// It was asked to stop and finishes the epoch in hand.
    Stopping,
    /// It has ended as asked.
    Stopped,
    /// It has ended with an error.
    Failed,
}

impl State {
    /// All states in the order a stream meets them.
    pub const ALL: [Self; 6] =
        [Self::Starting, Self::Waiting, Self::Working, Self::Stopping, Self::Stopped, Self::Failed];

    /// Its name in the status file and in metrics.
    pub fn name(self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::Waiting => "waiting",
            Self::Working => "working",
            Self::Stopping => "stopping",
            Self::Stopped => "stopped",
            Self::Failed => "failed",
        }
    }

    /// True once no more comes of the process that said so.
    pub fn has_ended(self) -> bool {
        matches!(self, Self::Stopped | Self::Failed)
    }
}

/// What the copy of a model has learnt in a stream.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Learned {
    /// What it predicts: `fraud` or `return`.
    pub target: String,
    /// The version it is a copy of.
    pub version: String,
    /// Labels it has learnt from.
    pub examples: u64,
    /// Those of them that say yes.
    pub positives: u64,
    /// Orders that wait for their label.
    pub waiting: u64,
    /// The watermark up to which it has learnt; null before its first step.
    pub until: Option<i64>,
}

/// How a stream is at one moment. All instants are UTC microseconds; counts are over the life of the stream's state, across
/// restarts, unless they say what is there now.
///
/// Members that a reader does not know are passed over and missing ones have their defaults, so that a newer program can read
/// an older file and the other way round.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Status {
    /// Version of the program.
    pub version: String,
    /// Process that runs the stream, on the machine that holds the output's lock.
    pub pid: u32,
    /// Name of the pipeline.
    pub pipeline: String,
    /// What the loop is doing.
    pub state: State,
    /// Number of the last epoch that was committed; 0 before the first.
    pub epoch: u64,
    /// Everything up to here is taken to have arrived: the newest time seen, less the lateness. Null before the first row.
    pub watermark: Option<i64>,
    /// The clock of the last epoch; null before the first.
    pub as_of: Option<i64>,
    /// Clock less watermark when this was written, in seconds; null without a watermark. Large while history is caught up.
    pub lag_seconds: Option<f64>,
    /// When the process started.
    pub started_at: i64,
    /// Last sign of life of the loop. Whoever sees it far back may call the stream stuck.
    pub beat_at: i64,
    /// When the last epoch was committed, by this process or an earlier one; null before the first.
    pub committed_at: Option<i64>,
    /// True when a look since the start found nothing left to take: what had piled up is done.
    pub caught_up: bool,
    /// Wall-clock seconds of the last epoch, from taking its input to its commit; null before this process's first.
    pub last_epoch_seconds: Option<f64>,
    /// Files taken.
    pub files_taken: u64,
    /// Complete files that wait now.
    pub files_waiting: u64,
    /// Files that are there now and not complete yet.
    pub files_growing: u64,
    /// Files set aside now because they could not be read.
    pub files_set_aside: u64,
    /// Lines taken of standard input.
    pub lines_taken: u64,
    /// Lines of standard input that wait now.
    pub lines_waiting: u64,
    /// Lines of standard input that were no records.
    pub lines_refused: u64,
    /// Rows that passed every check.
    pub rows_accepted: u64,
    /// Rows in quarantine.
    pub rows_quarantined: u64,
    /// Rows that came later than the lateness allows.
    pub rows_late: u64,
    /// Orders that wait now for the watermark to pass them.
    pub orders_waiting: u64,
    /// Orders scored.
    pub orders_scored: u64,
    /// Size of the state on disk now, in bytes.
    pub state_bytes: u64,
    /// Data files written by all epochs.
    pub published_files: u64,
    /// Models that go on learning in the shadow; none where there is none of the family `ftrl`.
    pub learning: Vec<Learned>,
    /// Peak resident memory of the process in MiB; null where the system does not tell.
    pub peak_memory_mib: Option<f64>,
    /// The last thing that went wrong, whether or not it ended the stream; null when nothing did since the start.
    pub last_error: Option<String>,
}

/// Keeps the temporary names of writers in one process apart.
static WRITTEN: AtomicU64 = AtomicU64::new(0);

impl Status {
    /// Writes the status so that a reader sees the old or the new one, whole. It need not survive a power cut, so nothing is
    /// synced.
    ///
    /// # Errors
    /// [`Error::Environment`].
    pub fn write(&self, path: &Path) -> Result<()> {
        let mut text = serde_json::to_vec_pretty(self).map_err(|e| Error::Invariant(format!("status: {e}")))?;
        text.push(b'\n');
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let turn = WRITTEN.fetch_add(1, Ordering::Relaxed);
        let temporary = path.with_file_name(format!(".{name}.{}-{turn}.tmp", std::process::id()));
        let written = File::create(&temporary).and_then(|mut file| file.write_all(&text));
        written.and_then(|()| std::fs::rename(&temporary, path)).map_err(|e| {
            // A half-written file is of no use to anybody; that it stays changes nothing.
            let _ = std::fs::remove_file(&temporary);
            Error::io("write", path)(e)
        })
    }

    /// Reads a status.
    ///
    /// # Errors
    /// [`Error::Usage`] when there is none or the file is no status; [`Error::Environment`] when it cannot be read.
    pub fn read(path: &Path) -> Result<Self> {
        let text = match std::fs::read(path) {
            Ok(text) => text,
            Err(e) if e.kind() == io::ErrorKind::NotFound => {
                return Err(Error::Usage {
                    message: format!("there is no status of a stream at `{}`", path.display()),
                    hint: Some("`ordersight stream PIPELINE` starts one; `--out` says where it writes".to_owned()),
                });
            }
            Err(e) => return Err(Error::io("read", path)(e)),
        };
        serde_json::from_slice(&text).map_err(|e| Error::Usage {
            message: format!("`{}` is not the status of a stream: {e}", path.display()),
            hint: Some("a running stream writes it anew".to_owned()),
        })
    }

    /// Clock less watermark at `now`, in seconds; null without a watermark. Below zero where times lie in the future.
    pub fn lag_seconds_at(&self, now: i64) -> Option<f64> {
        self.watermark.map(|watermark| seconds(now.saturating_sub(watermark)))
    }

    /// Whether outputs are there to be read: an epoch was committed, or a start found nothing to take.
    pub fn is_ready(&self) -> bool {
        let running = matches!(self.state, State::Waiting | State::Working | State::Stopping);
        running && (self.committed_at.is_some() || self.caught_up)
    }

    /// Seconds since the loop's last sign of life, at `now`.
    pub fn silent_seconds(&self, now: i64) -> f64 {
        seconds(now.saturating_sub(self.beat_at).max(0))
    }
}

/// Microseconds as seconds.
pub(super) fn seconds(micros: i64) -> f64 {
    micros as f64 / 1e6
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::types::time::parse_instant;
    use proptest::prelude::*;

    /// A stream in good health, at twelve.
    pub(in super::super) fn well() -> Status {
        let at = |text: &str| parse_instant(text).unwrap();
        Status {
            version: "0.1.0".into(),
            pid: 4242,
            pipeline: "shop".into(),
            state: State::Waiting,
            epoch: 12,
            watermark: Some(at("2026-03-01T11:59:30Z")),
            as_of: Some(at("2026-03-01T11:59:30Z")),
            lag_seconds: Some(30.0),
            started_at: at("2026-03-01T09:00:00Z"),
            beat_at: at("2026-03-01T12:00:00Z"),
            committed_at: Some(at("2026-03-01T11:59:58Z")),
            caught_up: true,
            last_epoch_seconds: Some(0.84),
            files_taken: 305,
            files_growing: 1,
            files_set_aside: 2,
            lines_taken: 1_200,
            lines_refused: 3,
            rows_accepted: 1_234_567,
            rows_quarantined: 89,
            rows_late: 4,
            orders_waiting: 17,
            orders_scored: 54_321,
            state_bytes: 3 << 20,
            published_files: 77,
            peak_memory_mib: Some(412.5),
            ..Status::default()
        }
    }

    #[test]
    fn a_status_is_read_as_it_was_written_and_a_missing_one_says_how_to_start() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("status.json");
        let error = Status::read(&path).unwrap_err();
        assert_eq!(error.exit_code(), 2);
        assert!(error.hint().unwrap().contains("ordersight stream"), "{error}");
        well().write(&path).unwrap();
        assert_eq!(Status::read(&path).unwrap(), well());
        std::fs::write(&path, "{\"epoch\": 3, \"of a later version\": [1]}").unwrap();
        assert_eq!(Status::read(&path).unwrap(), Status { epoch: 3, ..Status::default() });
        std::fs::write(&path, "{").unwrap();
        assert_eq!(Status::read(&path).unwrap_err().exit_code(), 2);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "no temporary file stays");
    }

    #[test]
    fn a_reader_never_sees_a_torn_status() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("status.json");
        let status = |epoch: u64| {
            // Lengths differ from one to the next, so that a torn file would not parse.
            Status { epoch, last_error: Some("x".repeat((epoch % 7 * 900) as usize)), ..well() }
        };
        status(0).write(&path).unwrap();
        std::thread::scope(|scope| {
            for writer in 0..2_u64 {
                let (path, status) = (&path, &status);
                scope.spawn(move || (0..500).for_each(|n| status(n * 2 + writer).write(path).unwrap()));
            }
            for _ in 0..1_500 {
                let seen = Status::read(&path).unwrap();
                assert_eq!(seen, status(seen.epoch));
            }
        });
    }

    #[test]
    fn a_stream_is_ready_after_its_first_commit_or_with_nothing_to_take() {
        let ready = |state, committed_at, caught_up| Status { state, committed_at, caught_up, ..well() }.is_ready();
        assert!(ready(State::Waiting, Some(1), false) && ready(State::Working, None, true));
        assert!(!ready(State::Working, None, false) && !ready(State::Starting, Some(1), true));
        assert!(!ready(State::Stopped, Some(1), true) && !ready(State::Failed, Some(1), true));
    }

    proptest! {
        #[test]
        fn any_status_survives_its_file(
            epoch: u64, watermark: Option<i64>, seconds in prop::option::of(-1e12..1e12_f64), name in ".*",
            state in 0..6_usize,
        ) {
            let status = Status {
                epoch, watermark, lag_seconds: seconds, pipeline: name, state: State::ALL[state], ..well()
            };
            let text = serde_json::to_string(&status).unwrap();
            let named = format!("\"state\":\"{}\"", status.state.name());
            prop_assert!(text.contains(&named), "{}", text);
            prop_assert_eq!(serde_json::from_str::<Status>(&text).unwrap(), status);
        }
    }
}
