//! What is being done and how long it may take, on a terminal only.

use super::args::Cli;
use indicatif::{ProgressBar, ProgressStyle};
use std::io::IsTerminal;
use std::sync::Mutex;
use std::time::{Duration, Instant};

/// Least share of the work, and least time, that an estimate is made from.
const LEAST_SHARE: f64 = 0.05;
const LEAST_SECONDS: f64 = 3.0;

/// A line at the foot of the terminal; nothing where there is no terminal.
pub(super) struct Progress {
    bar: ProgressBar,
    /// When the counted work began: the first message with `N of M` in it.
    begun: Mutex<Option<Instant>>,
}

impl Progress {
    pub(super) fn new(cli: &Cli) -> Self {
        let begun = Mutex::new(None);
        if cli.quiet || !std::io::stderr().is_terminal() {
            return Self { bar: ProgressBar::hidden(), begun };
        }
        let bar = ProgressBar::new_spinner();
        if let Ok(style) = ProgressStyle::with_template("{spinner} {elapsed:>4} {wide_msg}") {
            bar.set_style(style);
        }
        bar.enable_steady_tick(Duration::from_millis(120));
        Self { bar, begun }
    }

    /// Shows a message, with an estimate of what is left where it counts its work, as `fold 3 of 8: fit 2 of 9`.
    pub(super) fn tick(&self, message: &str) {
        tracing::info!("{message}");
        let left = self.begun.lock().ok().and_then(|mut begun| match share_done(message) {
            // Something else is done now: the next count begins anew.
            None => {
                *begun = None;
                None
            }
            Some(done) => left(begun.get_or_insert_with(Instant::now).elapsed().as_secs_f64(), done),
        });
        let left = left.map(|left| format!(", {left}")).unwrap_or_default();
        self.bar.set_message(format!("{message}{left}"));
    }

    pub(super) fn done(&self) {
        self.bar.finish_and_clear();
    }
}

/// Share of the work done before what a message tells of: each `N of M` is a part of the one before it.
fn share_done(message: &str) -> Option<f64> {
    let words: Vec<&str> = message.split([' ', ':', ',']).filter(|word| !word.is_empty()).collect();
    let (mut share, mut part, mut counted) = (0.0, 1.0, false);
    for at in 1..words.len().saturating_sub(1) {
        let numbers = (words[at - 1].parse::<u32>(), words[at], words[at + 1].parse::<u32>());
        if let (Ok(now), "of", Ok(all)) = numbers
            && (1..=all).contains(&now)
        {
            part /= f64::from(all);
            share += part * f64::from(now - 1);
            counted = true;
        }
    }
    counted.then_some(share)
}

/// `about 40 s left`, once enough is done to tell.
fn left(elapsed_seconds: f64, share_done: f64) -> Option<String> {
    if share_done < LEAST_SHARE || elapsed_seconds < LEAST_SECONDS {
        return None;
    }
    let seconds = elapsed_seconds * (1.0 - share_done) / share_done;
    Some(if seconds < 90.0 {
        format!("about {:.0} s left", (seconds / 5.0).ceil() * 5.0)
    } else {
        format!("about {:.0} min left", (seconds / 60.0).ceil())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_within_counts_are_parts_of_the_work() {
        assert_eq!(share_done("features"), None);
        assert_eq!(share_done("fold 1 of 4"), Some(0.0));
        assert_eq!(share_done("fold 3 of 4: search of the shape of trees, fit 6 of 10"), Some(0.5 + 0.25 * 0.5));
        assert_eq!(share_done("3 of the 4 files, 5 of 2"), None);
    }

    #[test]
    fn what_is_left_is_told_once_there_is_something_to_tell_it_from() {
        assert_eq!(left(10.0, 0.0), None);
        assert_eq!(left(1.0, 0.5), None);
        assert_eq!(left(40.0, 0.5).as_deref(), Some("about 40 s left"));
        assert_eq!(left(100.0, 0.25).as_deref(), Some("about 5 min left"));
    }
}
