//! A status in words: what `ordersight stream --status` prints.

use super::endpoint::HEARTBEAT_BOUND;
use super::status::{Learned, State, Status, seconds};
use super::writer::Writer;
use crate::types::time::{SECOND, format_instant};
use std::fmt::Write;

/// Says how the stream is at `now` (UTC microseconds): first in a sentence, with what to do if anything, then figure by figure.
///
/// Several lines, each ended.
pub fn words(status: &Status, writer: Writer, now: i64) -> String {
    let mut text = format!("stream `{}`: {}\n", status.pipeline, sentence(status, writer, now));
    let instant = |at: i64| format_instant(at - at.rem_euclid(SECOND));
    let since = |at: i64| format!("{}, {} ago", instant(at), span(seconds((now - at).max(0))));
    let mut line = |name: &str, value: String| {
        // Writing to a text cannot fail.
        let _ = writeln!(text, "  {name:<12}{value}");
    };
    line("epoch", count(status.epoch));
    line("committed", status.committed_at.map_or("nothing yet".to_owned(), since));
    line(
        "watermark",
        match (status.watermark, status.lag_seconds_at(now)) {
            (Some(at), Some(lag)) if lag >= 0.0 => format!("{}, {} behind the clock", instant(at), span(lag)),
            (Some(at), _) => format!("{}, ahead of the clock", instant(at)),
            _ => "none yet: no row was read".to_owned(),
        },
    );
    if let Some(as_of) = status.as_of {
        line("as of", instant(as_of));
    }
    if let Some(took) = status.last_epoch_seconds {
        line("last epoch", format!("took {}", span(took)));
    }
    let files = [
        (status.files_taken, "taken"),
        (status.files_waiting, "waiting"),
        (status.files_growing, "growing"),
        (status.files_set_aside, "set aside"),
    ];
    line("files", listed(&files));
    if status.lines_taken + status.lines_waiting > 0 {
        let lines =
            [(status.lines_taken, "taken"), (status.lines_waiting, "waiting"), (status.lines_refused, "refused")];
        line("lines", listed(&lines));
    }
    let rows =
        [(status.rows_accepted, "accepted"), (status.rows_quarantined, "quarantined"), (status.rows_late, "late")];
    line("rows", listed(&rows));
    line("orders", listed(&[(status.orders_scored, "scored"), (status.orders_waiting, "waiting")]));
    for Learned { target, version, examples, positives, waiting, until } in &status.learning {
        let until = until.map_or_else(String::new, |until| format!(" until {}", instant(until)));
        let counts = [(*examples, "labels learnt from"), (*positives, "of them yes"), (*waiting, "waiting")];
        line("learning", format!("{target} {version}: {}{until}", listed(&counts)));
    }
    line("state", format!("{:.1} MiB on disk", status.state_bytes as f64 / f64::from(1 << 20)));
    line("published", format!("{} files", count(status.published_files)));
    if let Some(memory) = status.peak_memory_mib {
        line("memory", format!("{memory:.0} MiB at most"));
    }
    line("process", format!("{}, version {}, started {}", status.pid, status.version, since(status.started_at)));
    if let Some(error) = &status.last_error {
        line("last error", error.replace('\n', "\n              "));
    }
    text
}

fn sentence(status: &Status, writer: Writer, now: i64) -> String {
    let silent = status.silent_seconds(now);
    let again = "start it again and it takes up where the last epoch ended";
    match (status.state, writer) {
        (State::Stopped, _) => format!("stopped {} ago", span(silent)),
        (State::Failed, _) => format!("failed {} ago; {again}", span(silent)),
        (state, Writer::Gone) => {
            format!("not running: process {} is gone, its last word was `{}`; {again}", status.pid, state.name())
        }
        (state, _) if silent > HEARTBEAT_BOUND.as_secs_f64() => {
            let doubt = if writer == Writer::Alive { "a long epoch, or stuck" } else { "it may be gone" };
            format!("{}, but without a sign of life for {}: {doubt}", state.name(), span(silent))
        }
        (State::Working, _) => format!("working on epoch {}", count(status.epoch + 1)),
        (State::Waiting, _) if status.files_waiting + status.lines_waiting == 0 => "waiting, all is taken".to_owned(),
        (state, _) => state.name().to_owned(),
    }
}

/// Counts with their words; those that are zero are left out, but for the first.
fn listed(counts: &[(u64, &str)]) -> String {
    let shown = counts.iter().enumerate().filter(|(at, (n, _))| *at == 0 || *n > 0);
    shown.map(|(_, (n, word))| format!("{} {word}", count(*n))).collect::<Vec<_>>().join(", ")
}

/// A count with thousands set apart.
fn count(n: u64) -> String {
    let digits = n.to_string();
    let mut text = String::with_capacity(digits.len() * 4 / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Seconds as people say them.
fn span(seconds: f64) -> String {
    const MINUTE: f64 = 60.0;
    const HOUR: f64 = 60.0 * MINUTE;
    const DAY: f64 = 24.0 * HOUR;
    match seconds {
        s if s < 10.0 => format!("{s:.1} s"),
        s if s < 2.0 * MINUTE => format!("{s:.0} s"),
        s if s < 2.0 * HOUR => format!("{:.0} min", s / MINUTE),
        s if s < 2.0 * DAY => format!("{:.0} h", s / HOUR),
        s => format!("{:.0} days", s / DAY),
    }
}

#[cfg(test)]
mod tests {
    use super::super::status::tests::well;
    use super::*;

    #[test]
    fn a_stream_in_good_health_reads_like_this() {
        let status = well();
        assert_eq!(
            words(&status, Writer::Alive, status.beat_at + SECOND),
            "\
stream `shop`: waiting, all is taken
  epoch       12
  committed   2026-03-01T11:59:58Z, 3.0 s ago
  watermark   2026-03-01T11:59:30Z, 31 s behind the clock
  as of       2026-03-01T11:59:30Z
  last epoch  took 0.8 s
  files       305 taken, 1 growing, 2 set aside
  lines       1,200 taken, 3 refused
  rows        1,234,567 accepted, 89 quarantined, 4 late
  orders      54,321 scored, 17 waiting
  state       3.0 MiB on disk
  published   77 files
  memory      412 MiB at most
  process     4242, version 0.1.0, started 2026-03-01T09:00:00Z, 3 h ago
"
        );
    }

    #[test]
    fn the_first_sentence_says_plainly_when_something_is_wrong() {
        let first = |state, writer, after: i64| {
            let status = Status { state, ..well() };
            let text = words(&status, writer, status.beat_at + after * SECOND);
            text.lines().next().unwrap().strip_prefix("stream `shop`: ").unwrap().to_owned()
        };
        assert_eq!(first(State::Working, Writer::Alive, 1), "working on epoch 13");
        assert_eq!(
            first(State::Working, Writer::Gone, 1),
            "not running: process 4242 is gone, its last word was `working`; start it again and it takes up where the last epoch ended"
        );
        assert_eq!(
            first(State::Working, Writer::Alive, 300),
            "working, but without a sign of life for 5 min: a long epoch, or stuck"
        );
        assert_eq!(
            first(State::Waiting, Writer::Unknown, 90),
            "waiting, but without a sign of life for 90 s: it may be gone"
        );
        assert_eq!(first(State::Stopped, Writer::Gone, 7_200), "stopped 2 h ago");
        assert!(first(State::Failed, Writer::Gone, 5).starts_with("failed 5.0 s ago"));
    }

    #[test]
    fn a_stream_that_has_read_nothing_says_so() {
        let status = Status { last_error: Some("disk\nfull".into()), ..Status::default() };
        let text = words(&status, Writer::Alive, 0);
        assert!(text.contains("nothing yet") && text.contains("none yet: no row was read"), "{text}");
        assert!(text.ends_with("  last error  disk\n              full\n"), "{text}");
    }
}
