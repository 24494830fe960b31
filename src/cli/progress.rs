//! What is being done, on a terminal only.

use super::args::Cli;
use indicatif::{ProgressBar, ProgressStyle};
use std::io::IsTerminal;
use std::time::Duration;

/// A line at the foot of the terminal; nothing where there is no terminal.
pub(super) struct Progress(ProgressBar);

impl Progress {
    pub(super) fn new(cli: &Cli) -> Self {
        if cli.quiet || !std::io::stderr().is_terminal() {
            return Self(ProgressBar::hidden());
        }
        let bar = ProgressBar::new_spinner();
        if let Ok(style) = ProgressStyle::with_template("{spinner} {elapsed:>4} {wide_msg}") {
            bar.set_style(style);
        }
        bar.enable_steady_tick(Duration::from_millis(120));
        Self(bar)
    }

    pub(super) fn tick(&self, message: &str) {
        tracing::info!("{message}");
        self.0.set_message(message.to_owned());
    }

    pub(super) fn done(&self) {
        self.0.finish_and_clear();
    }
}
