//! Whether the process that wrote a status still runs.

use super::status::Status;
use crate::contract::output::LOCK_FILE;
use std::fs::{File, TryLockError};
use std::path::Path;

/// The process that wrote a status.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Writer {
    /// It runs.
    Alive,
    /// It is gone, whatever its last word was.
    Gone,
    /// Nothing here can tell: it may run on another machine.
    Unknown,
}

impl Writer {
    /// Looks for the writer of the status of the output folder `out`, by the folder's lock and by the process number.
    ///
    /// The lock goes first: the kernel frees it when its holder ends, while numbers are given again. Trying it takes it for a
    /// moment, which a writer that starts just then waits out.
    pub fn of(status: &Status, out: &Path) -> Self {
        let by_lock = File::open(out.join(LOCK_FILE)).map(|file| match file.try_lock_shared() {
            Ok(()) => Self::Gone,
            Err(TryLockError::WouldBlock) => Self::Alive,
            Err(TryLockError::Error(_)) => Self::Unknown,
        });
        match by_lock {
            Ok(Self::Gone) => Self::Gone,
            Ok(Self::Alive) => Self::Alive,
            _ => Self::by_pid(status.pid),
        }
    }

    /// Looks for a process of this number on this machine.
    fn by_pid(pid: u32) -> Self {
        let processes = Path::new("/proc");
        match (processes.join("self").exists(), processes.join(pid.to_string()).exists()) {
            (true, true) => Self::Alive,
            (true, false) => Self::Gone,
            (false, _) => Self::Unknown,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_free_lock_or_a_number_that_nobody_has_says_that_the_writer_is_gone() {
        let out = tempfile::tempdir().unwrap();
        let own = Status { pid: std::process::id(), ..Status::default() };
        let nobody = Status { pid: u32::MAX, ..Status::default() };
        if cfg!(target_os = "linux") {
            assert_eq!((Writer::of(&own, out.path()), Writer::of(&nobody, out.path())), (Writer::Alive, Writer::Gone));
        }
        let lock = File::create(out.path().join(LOCK_FILE)).unwrap();
        lock.lock().unwrap();
        assert_eq!(Writer::of(&nobody, out.path()), Writer::Alive);
        lock.unlock().unwrap();
        assert_eq!(Writer::of(&own, out.path()), Writer::Gone);
    }
}
