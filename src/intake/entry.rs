//! A file in a landing folder, and when it is whole.

use super::hashes::Stamp;
use std::path::PathBuf;
use std::time::{Duration, Instant, SystemTime};

/// A file that did not change for so long, by the clock of its file system, is whole at first sight: a backlog need not wait
/// for a second look. Clocks of file servers are wrong by seconds, not by a minute.
const OLD_ENOUGH: Duration = Duration::from_secs(60);
/// The same where files may take long to grow: so many times [`LandingSettings::stable_for`].
const OLD_ENOUGH_TIMES: u32 = 10;

/// A file that was seen.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) path: PathBuf,
    pub(super) stamp: Stamp,
    /// First look that saw it as it is.
    pub(super) unchanged_since: Instant,
    /// It got its name by a rename: whoever does that is done writing.
    pub(super) by_rename: bool,
    /// It was seen to change: its clock alone is no proof any more.
    pub(super) grew: bool,
    /// Number of the listing that saw it last.
    pub(super) listing: u64,
}

/// The clocks of a look. The wall clock is compared with times of files; waiting goes by the steady one.
#[derive(Debug, Clone, Copy)]
pub(super) struct Now {
    pub(super) wall: SystemTime,
    pub(super) steady: Instant,
}

impl Entry {
    /// True when nothing says that it still grows.
    pub(super) fn is_complete(&self, now: Now, stable_for: Duration) -> bool {
        let still = now.steady.saturating_duration_since(self.unchanged_since);
        // A time of change in the future says nothing.
        let age = now.wall.duration_since(self.stamp.changed_at).unwrap_or_default();
        self.by_rename
            || still >= stable_for
            || (!self.grew && age >= OLD_ENOUGH.max(stable_for.saturating_mul(OLD_ENOUGH_TIMES)))
    }
}
