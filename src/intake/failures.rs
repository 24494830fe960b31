//! Files that could not be read: tried a few times, then set aside so that the rest goes on.

use super::file::TakenFile;
use crate::types::time::SECOND;
use serde::{Deserialize, Serialize};

/// Tries a file gets. What passes by itself (a share that was away for a moment) has passed by the third; what is broken stays so.
pub const TRIES: u32 = 3;

/// Pause after the first failure, in microseconds; each one after is [`PAUSE_GROWS`] times as long.
const FIRST_PAUSE: i64 = SECOND;
/// See [`FIRST_PAUSE`]: with three tries a file is set aside after six seconds at the earliest.
const PAUSE_GROWS: i64 = 5;
/// No pause is longer than this, in microseconds.
const LONGEST_PAUSE: i64 = 300 * SECOND;
/// Characters kept of a reason: it stands in state files and in the status.
const REASON_KEPT: usize = 1_000;

/// What becomes of a file that failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It is tried again after a pause.
    Retry,
    /// It had its tries and counts as done with.
    SetAside,
}

/// What is known of a file that failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// The file: the same name with other content is another file and starts afresh.
    pub file: TakenFile,
    /// How often it failed, from 1.
    pub tries: u32,
    /// What was said the last time.
    pub why: String,
    /// When it failed the last time, UTC microseconds.
    pub failed_at: i64,
    /// When it may be tried again, UTC microseconds; null once it is set aside.
    pub next_try_at: Option<i64>,
}

/// All files that failed and did not succeed since. Pure state: the loop keeps it with its commits and passes the clock in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Failures {
    /// Tries a file gets, at least one.
    tries: u32,
    /// Sorted by file.
    files: Vec<Failure>,
}

impl Default for Failures {
    fn default() -> Self {
        Self::limited(TRIES)
    }
}

impl Failures {
    /// No failures so far; a file will get so many tries, at least one.
    pub fn limited(tries: u32) -> Self {
        Self { tries: tries.max(1), files: Vec::new() }
    }

    fn place(&self, file: &TakenFile) -> Result<usize, usize> {
        self.files.binary_search_by(|f| f.file.cmp(file))
    }

    /// Notes that reading `file` failed at `now` (UTC microseconds), and says what becomes of it.
    pub fn failed(&mut self, file: &TakenFile, why: &str, now: i64) -> Verdict {
        let at = self.place(file).unwrap_or_else(|at| {
            let new = Failure { file: file.clone(), tries: 0, why: String::new(), failed_at: now, next_try_at: None };
            self.files.insert(at, new);
            at
        });
        let failure = &mut self.files[at];
        failure.tries = failure.tries.saturating_add(1);
        failure.why = why.chars().take(REASON_KEPT).collect();
        failure.failed_at = now;
        if failure.tries >= self.tries {
            failure.next_try_at = None;
            return Verdict::SetAside;
        }
        let pause = FIRST_PAUSE.saturating_mul(PAUSE_GROWS.saturating_pow(failure.tries - 1)).min(LONGEST_PAUSE);
        failure.next_try_at = Some(now.saturating_add(pause));
        Verdict::Retry
    }

    /// True unless the file is set aside or in its pause at `now`. With `i64::MAX` only the first counts.
    pub fn may_try(&self, file: &TakenFile, now: i64) -> bool {
        match self.place(file) {
            Ok(at) => self.files[at].next_try_at.is_some_and(|next| now >= next),
            Err(_) => true,
        }
    }

    /// True when the file had its tries.
    pub fn is_set_aside(&self, file: &TakenFile) -> bool {
        self.place(file).is_ok_and(|at| self.files[at].next_try_at.is_none())
    }

    /// Files that had their tries, sorted by source and name.
    pub fn set_aside(&self) -> impl Iterator<Item = &Failure> {
        self.files.iter().filter(|f| f.next_try_at.is_none())
    }

    /// Files that failed and are tried again, sorted by source and name.
    pub fn waiting(&self) -> impl Iterator<Item = &Failure> {
        self.files.iter().filter(|f| f.next_try_at.is_some())
    }

    /// When the next pause ends, UTC microseconds; `None` when nothing is to be tried again.
    pub fn next_try_at(&self) -> Option<i64> {
        self.files.iter().filter_map(|f| f.next_try_at).min()
    }

    /// Forgets the file: it was read.
    pub fn succeeded(&mut self, file: &TakenFile) {
        if let Ok(at) = self.place(file) {
            self.files.remove(at);
        }
    }

    /// Forgets files that `is_there` does not know any more; a state that lives for years must not grow with what is long gone.
    pub fn keep(&mut self, is_there: impl Fn(&TakenFile) -> bool) {
        self.files.retain(|f| is_there(&f.file));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn file(name: &str, hash: &str) -> TakenFile {
        TakenFile { source: "s".into(), name: name.into(), size_in_bytes: 1, content_hash: hash.into() }
    }

    #[test]
    fn a_file_is_tried_three_times_with_growing_pauses_and_then_set_aside_with_its_reason() {
        let (mut failures, bad) = (Failures::default(), file("a", "1"));
        assert!(failures.may_try(&bad, 0));
        assert_eq!(failures.failed(&bad, "one", 0), Verdict::Retry);
        assert_eq!((failures.may_try(&bad, SECOND - 1), failures.may_try(&bad, SECOND)), (false, true));
        assert_eq!(failures.next_try_at(), Some(SECOND));
        assert_eq!(failures.failed(&bad, "two", SECOND), Verdict::Retry);
        assert_eq!((failures.may_try(&bad, 5 * SECOND), failures.may_try(&bad, 6 * SECOND)), (false, true));
        assert_eq!(failures.failed(&bad, "three", 6 * SECOND), Verdict::SetAside);
        assert!(!failures.may_try(&bad, i64::MAX) && failures.is_set_aside(&bad));
        assert_eq!(failures.set_aside().map(|f| (f.why.as_str(), f.tries)).collect::<Vec<_>>(), [("three", 3)]);
        assert_eq!((failures.waiting().count(), failures.next_try_at()), (0, None));
    }

    #[test]
    fn other_content_under_the_name_starts_afresh_and_a_success_forgets() {
        let mut failures = Failures::limited(1);
        assert_eq!(failures.failed(&file("a", "1"), &"x".repeat(5_000), 0), Verdict::SetAside);
        assert_eq!(failures.set_aside().next().unwrap().why.len(), REASON_KEPT);
        assert!(failures.may_try(&file("a", "2"), 0));
        failures.succeeded(&file("a", "1"));
        assert_eq!(failures, Failures::limited(1));
    }

    proptest! {
        /// Whatever fails and succeeds in whatever order: no file is tried more often than allowed, and what is written to disk
        /// and read again is the same.
        #[test]
        fn tries_are_bounded_and_the_state_survives_json(
            steps in prop::collection::vec((0..5_u8, any::<bool>(), 0..400_i64), 0..200),
            tries in 1..5_u32,
        ) {
            let mut failures = Failures::limited(tries);
            let (mut now, mut counted) = (0_i64, std::collections::BTreeMap::<u8, u32>::new());
            for (name, fails, seconds) in steps {
                now += seconds * SECOND;
                let file = file(&name.to_string(), "h");
                if !failures.may_try(&file, now) {
                    continue;
                }
                if fails {
                    let count = counted.entry(name).or_default();
                    *count += 1;
                    prop_assert_eq!(failures.failed(&file, "no", now) == Verdict::SetAside, *count == tries);
                } else {
                    failures.succeeded(&file);
                    counted.remove(&name);
                }
                let again: Failures = serde_json::from_str(&serde_json::to_string(&failures).unwrap()).unwrap();
                prop_assert_eq!(&again, &failures);
            }
            prop_assert!(counted.values().all(|&count| count <= tries));
            let set_aside = counted.values().filter(|&&count| count == tries).count();
            prop_assert_eq!(failures.set_aside().count(), set_aside);
        }
    }
}
