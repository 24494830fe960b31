//! The writer lock: one run at a time writes an output folder, and the second is told who holds it.

use crate::contract::output::LOCK_FILE;
use crate::error::{Error, Result};
use crate::types::time::{SECOND, format_instant};
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read, Write};
use std::path::Path;
use std::time::Duration;

/// Tries before the lock counts as held: a process that was just killed, and a child between fork and exec, let go of it
/// within moments.
const ATTEMPTS: usize = 10;

/// Pause between two tries.
const PAUSE: Duration = Duration::from_millis(30);

/// Holds the lock while it lives. The kernel lets go of it when the process ends, however it ends.
///
/// The file itself stays: removing it would let a third writer lock a new file while a second still waits on the old.
#[derive(Debug)]
pub(super) struct Lock {
    _file: File,
}

impl Lock {
    /// Takes the lock of the output folder `out`, or says who has it.
    pub(super) fn acquire(out: &Path) -> Result<Self> {
        let path = out.join(LOCK_FILE);
        let mut file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .read(true)
            .write(true)
            .open(&path)
            .map_err(Error::io("open", &path))?;
        let mut locked = file.try_lock();
        for _ in 1..ATTEMPTS {
            if matches!(locked, Err(TryLockError::WouldBlock)) {
                std::thread::sleep(PAUSE);
                locked = file.try_lock();
            }
        }
        match locked {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut holder = String::new();
                // Best effort: the holder may be writing its name this very moment.
                let _ = file.read_to_string(&mut holder);
                let who = if holder.trim().is_empty() { "another process" } else { holder.trim() };
                let source = io::Error::new(io::ErrorKind::WouldBlock, format!("it is being written by {who}"));
                return Err(Error::Environment { action: "lock", path, source });
            }
            Err(TryLockError::Error(source)) => return Err(Error::Environment { action: "lock", path, source }),
        }
        file.set_len(0).and_then(|()| file.write_all(holder().as_bytes())).map_err(Error::io("write", &path))?;
        Ok(Self { _file: file })
    }
}

/// Who we are, for the message a second writer gets. The wall clock is read for people only: no output depends on it.
fn holder() -> String {
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let host = if host.trim().is_empty() { "this host" } else { host.trim() };
    let now = chrono::Utc::now().timestamp_micros();
    format!("process {} on {host} since {}\n", std::process::id(), format_instant(now - now.rem_euclid(SECOND)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_writer_is_told_who_holds_the_lock_and_gets_it_when_the_first_lets_go() {
        let out = tempfile::tempdir().unwrap();
        let first = Lock::acquire(out.path()).unwrap();
        let error = Lock::acquire(out.path()).unwrap_err();
        assert_eq!(error.exit_code(), 5);
        assert!(error.to_string().contains(&format!("process {}", std::process::id())), "{error}");
        drop(first);
        Lock::acquire(out.path()).unwrap();
    }
}
