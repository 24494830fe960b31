//! A wish to stop, from a signal or from a test.

use crate::error::{Error, Result};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// How long a wait sleeps at a stretch: a signal handler can set a flag, and wakes nobody.
const SLICE: Duration = Duration::from_millis(20);

/// Whether the stream is asked to stop after the epoch in hand. Clones share one answer.
#[derive(Debug, Clone, Default)]
pub struct Stop {
    set: Arc<AtomicBool>,
}

impl Stop {
    /// Is set by SIGTERM and SIGINT. A second one of either ends the process at once with 143 or 130, which is safe: a killed
    /// stream takes up where its last commit ended.
    ///
    /// # Errors
    /// [`Error::Environment`] when the system lets no handler be set.
    pub fn new_for_signals() -> Result<Self> {
        let stop = Self::default();
        for signal in [signal_hook::consts::SIGTERM, signal_hook::consts::SIGINT] {
            // The order matters: the check for a second signal must run before the flag is set by the first.
            signal_hook::flag::register_conditional_shutdown(signal, 128 + signal, stop.set.clone())
                .and_then(|_| signal_hook::flag::register(signal, stop.set.clone()))
                .map_err(Error::io("handle signals of", Path::new("this process")))?;
        }
        Ok(stop)
    }

    /// Is set by [`Stop::set`] only; for tests and for callers that have a rule of their own.
    pub fn manual() -> Self {
        Self::default()
    }

    /// Asks to stop.
    pub fn set(&self) {
        self.set.store(true, Ordering::SeqCst);
    }

    /// True once it was asked.
    pub fn is_set(&self) -> bool {
        self.set.load(Ordering::SeqCst)
    }

    /// Waits until asked to stop, at most so long; true when asked.
    pub fn wait(&self, at_most: Duration) -> bool {
        let start = Instant::now();
        while !self.is_set() {
            let left = at_most.saturating_sub(start.elapsed());
            if left.is_zero() {
                return false;
            }
            std::thread::sleep(left.min(SLICE));
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wait_ends_when_asked_to_stop_and_otherwise_in_time() {
        let stop = Stop::manual();
        assert!(!stop.wait(Duration::ZERO) && !stop.wait(Duration::from_millis(30)));
        let other = stop.clone();
        let setter = std::thread::spawn(move || other.set());
        assert!(stop.wait(Duration::from_secs(60)) && stop.is_set());
        setter.join().unwrap();
    }

    /// Sends the signal to this very process: with the handler in place it sets the flag and ends nothing.
    #[test]
    #[cfg(unix)]
    fn the_first_signal_sets_the_flag_and_the_process_lives() {
        let stop = Stop::new_for_signals().unwrap();
        assert!(!stop.is_set());
        signal_hook::low_level::raise(signal_hook::consts::SIGTERM).unwrap();
        assert!(stop.wait(Duration::from_secs(10)));
    }

    /// Runs the test below in a process of its own, which two signals end.
    #[test]
    #[cfg(unix)]
    fn a_second_signal_ends_the_process_at_once_with_the_code_of_the_signal() {
        for (signal, code) in [(signal_hook::consts::SIGTERM, 143), (signal_hook::consts::SIGINT, 130)] {
            let child = std::process::Command::new(std::env::current_exe().unwrap())
                .args(["--exact", "intake::stop::tests::signals_itself_twice", "--ignored"])
                .env("ORDERSIGHT_TEST_SIGNAL", signal.to_string())
                .output()
                .unwrap();
            assert_eq!(child.status.code(), Some(code), "{child:?}");
        }
    }

    #[test]
    #[cfg(unix)]
    #[ignore = "ends its process; run by the test above"]
    fn signals_itself_twice() {
        let signal = std::env::var("ORDERSIGHT_TEST_SIGNAL").unwrap().parse().unwrap();
        let stop = Stop::new_for_signals().unwrap();
        signal_hook::low_level::raise(signal).unwrap();
        assert!(stop.wait(Duration::from_secs(10)));
        signal_hook::low_level::raise(signal).unwrap();
        std::thread::sleep(Duration::from_secs(10));
    }
}
