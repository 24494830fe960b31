//! Fail points: places where a crash test stops a run for good.

use crate::error::{Error, Result};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// Environment variable that names the step at which the process aborts: `move-file`, or `move-file:3` for the third time.
///
/// Read by [`Publisher::open`](super::Publisher::open) only. It exists for crash tests.
pub const FAIL_AT: &str = "ORDERSIGHT_FAIL_AT";

/// A step of publishing; a crash test stops just before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Step {
    /// Writing one file into the staging folder.
    WriteFile,
    /// Making the staged files safe against a power cut.
    SyncStaging,
    /// Writing the commit record under its temporary name.
    WriteRecord,
    /// Giving the commit record its name: the moment the run counts.
    PublishRecord,
    /// Moving one staged file into place.
    MoveFile,
    /// Removing one file that the run replaces by nothing.
    RetireFile,
    /// Making the moves safe against a power cut.
    SyncFolders,
    /// Removing the staging folder: afterwards nothing is left to finish.
    DropStaging,
    /// Removing commit records that are too old to matter.
    PruneRecords,
}

impl Step {
    /// All steps in the order a run meets them.
    pub const ALL: [Self; 9] = [
        Self::WriteFile,
        Self::SyncStaging,
        Self::WriteRecord,
        Self::PublishRecord,
        Self::MoveFile,
        Self::RetireFile,
        Self::SyncFolders,
        Self::DropStaging,
        Self::PruneRecords,
    ];

    /// Its name in [`FAIL_AT`].
    pub fn name(self) -> &'static str {
        match self {
            Self::WriteFile => "write-file",
            Self::SyncStaging => "sync-staging",
            Self::WriteRecord => "write-record",
            Self::PublishRecord => "publish-record",
            Self::MoveFile => "move-file",
            Self::RetireFile => "retire-file",
            Self::SyncFolders => "sync-folders",
            Self::DropStaging => "drop-staging",
            Self::PruneRecords => "prune-records",
        }
    }
}

/// What happens at a fail point.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stop {
    /// The process ends at once, as if it had been killed.
    Abort,
    /// An error comes back and the disk stays as it is; for tests inside one process.
    #[cfg_attr(not(test), expect(dead_code, reason = "tests stop without ending their own process"))]
    Error,
}

/// The fail point that is set, if any.
#[derive(Debug, Default)]
pub(super) struct Faults {
    at: Option<(Step, Stop)>,
    /// How many times the step may still pass.
    left: AtomicU64,
    stopped: AtomicBool,
}

impl Faults {
    /// Reads `step` or `step:n`; `None` and the empty text set nothing.
    pub(super) fn parse(text: Option<&str>) -> Result<Self> {
        let Some(text) = text.filter(|t| !t.is_empty()) else { return Ok(Self::default()) };
        let (name, n) = text.split_once(':').unwrap_or((text, "1"));
        let step = Step::ALL.into_iter().find(|s| s.name() == name);
        match (step, n.parse::<u64>()) {
            (Some(step), Ok(n)) if n > 0 => {
                Ok(Self { at: Some((step, Stop::Abort)), left: AtomicU64::new(n), stopped: AtomicBool::new(false) })
            }
            _ => {
                let names: Vec<&str> = Step::ALL.iter().map(|s| s.name()).collect();
                let known = names.join(", ");
                Err(Error::usage(format!("`{FAIL_AT}` must be one of {known}, with `:n` from 1, got `{text}`")))
            }
        }
    }

    /// Stops with an error at the `n`-th time of `step`.
    #[cfg(test)]
    pub(super) fn error_at(step: Step, n: u64) -> Self {
        Self { at: Some((step, Stop::Error)), left: AtomicU64::new(n), stopped: AtomicBool::new(false) }
    }

    /// Passes, or stops here. Once stopped by an error, every later step is an error too: a dead process does nothing.
    pub(super) fn check(&self, step: Step) -> Result<()> {
        if let Some((at, stop)) = self.at {
            let here =
                at == step && self.left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |n| n.checked_sub(1)) == Ok(1);
            if here && stop == Stop::Abort {
                std::process::abort();
            }
            if here {
                self.stopped.store(true, Ordering::SeqCst);
            }
            if self.stopped() {
                return Err(Error::Invariant(format!("stopped at fail point `{}`", step.name())));
            }
        }
        Ok(())
    }

    /// True once a fail point has stopped the run: from then on nothing may tidy up either.
    pub(super) fn stopped(&self) -> bool {
        self.stopped.load(Ordering::SeqCst)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wrong_fail_point_lists_the_right_ones() {
        let error = Faults::parse(Some("move-fiel")).unwrap_err();
        assert_eq!(error.exit_code(), 2);
        assert!(error.to_string().contains("move-file, retire-file"), "{error}");
        assert!(Faults::parse(Some("move-file:0")).is_err());
        assert!(Faults::parse(Some("move-file:2")).is_ok());
        assert!(Faults::parse(Some("")).is_ok());
    }

    #[test]
    fn a_fail_point_stops_at_the_nth_time_and_from_then_on() {
        let faults = Faults::error_at(Step::MoveFile, 2);
        assert!(faults.check(Step::MoveFile).is_ok());
        assert!(faults.check(Step::RetireFile).is_ok());
        assert!(faults.check(Step::MoveFile).is_err());
        assert!(faults.check(Step::RetireFile).is_err());
    }
}
