//! A status as metrics: the text exposition format of Prometheus, version 0.0.4.

use super::status::{Learned, State, Status, seconds};
use std::fmt::Write;

/// Content type of the format.
pub(super) const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// The metrics of a status at `now` (UTC microseconds). What is not known has no line: a zero would be a claim.
pub fn prometheus(status: &Status, now: i64) -> String {
    let mut page = Page::default();
    page.family("info", "gauge", "The stream's pipeline and program, always 1.");
    let (version, pipeline) = (escaped(&status.version), escaped(&status.pipeline));
    page.sample("info", &format!("{{pipeline=\"{pipeline}\",version=\"{version}\"}}"), 1.0);
    page.family("state", "gauge", "What the loop is doing: 1 for the state it is in.");
    for state in State::ALL {
        let is_it = if status.state == state { 1.0 } else { 0.0 };
        page.sample("state", &format!("{{state=\"{}\"}}", state.name()), is_it);
    }
    let ready = if status.is_ready() { 1.0 } else { 0.0 };
    page.gauge("ready", "1 after the first commit or a start with nothing to take.", Some(ready));
    page.gauge("epoch", "Number of the last epoch committed.", Some(status.epoch as f64));
    page.gauge("watermark_timestamp_seconds", "Time up to which all is taken to have arrived.", time(status.watermark));
    page.gauge("as_of_timestamp_seconds", "Clock of the last epoch.", time(status.as_of));
    page.gauge("lag_seconds", "Clock less watermark.", status.lag_seconds_at(now));
    page.gauge("start_timestamp_seconds", "When the process started.", time(Some(status.started_at)));
    page.gauge("heartbeat_timestamp_seconds", "Last sign of life of the loop.", time(Some(status.beat_at)));
    page.gauge("commit_timestamp_seconds", "When the last epoch was committed.", time(status.committed_at));
    page.gauge("last_epoch_seconds", "Duration of the last epoch.", status.last_epoch_seconds);
    page.counter("files_taken_total", "Files taken.", status.files_taken);
    page.gauge("files_waiting", "Complete files that wait.", Some(status.files_waiting as f64));
    page.gauge("files_growing", "Files not complete yet.", Some(status.files_growing as f64));
    page.gauge("files_set_aside", "Files that could not be read.", Some(status.files_set_aside as f64));
    page.counter("lines_taken_total", "Lines taken of standard input.", status.lines_taken);
    page.gauge("lines_waiting", "Lines of standard input that wait.", Some(status.lines_waiting as f64));
    page.counter("lines_refused_total", "Lines of standard input that were no records.", status.lines_refused);
    page.counter("rows_accepted_total", "Rows that passed every check.", status.rows_accepted);
    page.counter("rows_quarantined_total", "Rows in quarantine.", status.rows_quarantined);
    page.counter("rows_late_total", "Rows later than the lateness allows.", status.rows_late);
    page.gauge("orders_waiting", "Orders that wait for the watermark.", Some(status.orders_waiting as f64));
    page.counter("orders_scored_total", "Orders scored.", status.orders_scored);
    if !status.learning.is_empty() {
        page.family("labels_learned", "gauge", "Labels that the copy of a model has learnt from.");
        for Learned { target, version, examples, .. } in &status.learning {
            let labels = format!("{{target=\"{}\",version=\"{}\"}}", escaped(target), escaped(version));
            page.sample("labels_learned", &labels, *examples as f64);
        }
    }
    page.gauge("state_bytes", "Size of the state on disk.", Some(status.state_bytes as f64));
    page.counter("published_files_total", "Data files written.", status.published_files);
    let peak = status.peak_memory_mib.map(|mib| mib * f64::from(1 << 20));
    page.gauge("peak_memory_bytes", "Peak resident memory of the process.", peak);
    page.text
}

fn time(at: Option<i64>) -> Option<f64> {
    at.map(seconds)
}

/// A label value: backslash, quote and line break are written with a backslash.
fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

#[derive(Default)]
struct Page {
    text: String,
}

impl Page {
    // Writing to a text cannot fail.
    fn family(&mut self, name: &str, kind: &str, help: &str) {
        let _ = writeln!(self.text, "# HELP ordersight_stream_{name} {help}");
        let _ = writeln!(self.text, "# TYPE ordersight_stream_{name} {kind}");
    }

    fn sample(&mut self, name: &str, labels: &str, value: f64) {
        let _ = writeln!(self.text, "ordersight_stream_{name}{labels} {value}");
    }

    fn gauge(&mut self, name: &str, help: &str, value: Option<f64>) {
        if let Some(value) = value {
            self.family(name, "gauge", help);
            self.sample(name, "", value);
        }
    }

    fn counter(&mut self, name: &str, help: &str, value: u64) {
        self.family(name, "counter", help);
        // As an integer: a count must not lose its last digits.
        let _ = writeln!(self.text, "ordersight_stream_{name} {value}");
    }
}

#[cfg(test)]
mod tests {
    use super::super::status::tests::well;
    use super::*;
    use std::collections::BTreeMap;

    /// Reads a page as Prometheus would; panics where it breaks a rule of the format.
    fn read(page: &str) -> BTreeMap<String, f64> {
        assert!(page.ends_with('\n'));
        let (mut samples, mut families) = (BTreeMap::new(), BTreeMap::new());
        for line in page.lines() {
            if let Some(rest) = line.strip_prefix("# TYPE ") {
                let (name, kind) = rest.split_once(' ').unwrap();
                assert!(["gauge", "counter"].contains(&kind), "{line}");
                assert_eq!(name.ends_with("_total"), kind == "counter", "{line}");
                assert!(families.insert(name.to_owned(), kind.to_owned()).is_none(), "twice: {line}");
            } else if !line.starts_with("# HELP ") {
                let (name, value) = line.rsplit_once(' ').unwrap();
                let family = name.split('{').next().unwrap();
                assert!(families.contains_key(family), "no TYPE before {line}");
                assert!(family.chars().all(|c| c.is_ascii_lowercase() || c == '_'), "{line}");
                let name = name.strip_prefix("ordersight_stream_").unwrap();
                assert!(samples.insert(name.to_owned(), value.parse().unwrap()).is_none(), "twice: {line}");
            }
        }
        samples
    }

    #[test]
    fn every_metric_is_in_base_units_and_the_page_keeps_the_format() {
        let status = well();
        let samples = read(&prometheus(&status, status.beat_at + 1_000_000));
        for (name, value) in [
            ("info{pipeline=\"shop\",version=\"0.1.0\"}", 1.0),
            ("state{state=\"waiting\"}", 1.0),
            ("state{state=\"failed\"}", 0.0),
            ("ready", 1.0),
            ("epoch", 12.0),
            ("lag_seconds", 31.0),
            ("watermark_timestamp_seconds", 1_772_366_370.0),
            ("last_epoch_seconds", 0.84),
            ("files_taken_total", 305.0),
            ("files_set_aside", 2.0),
            ("rows_accepted_total", 1_234_567.0),
            ("orders_waiting", 17.0),
            ("state_bytes", 3_145_728.0),
            ("peak_memory_bytes", 432_537_600.0),
        ] {
            assert_eq!(samples.get(name), Some(&value), "{name}");
        }
    }

    #[test]
    fn what_is_not_known_has_no_line_and_odd_names_are_escaped() {
        let status = Status { pipeline: "a\"b\\c\nd".into(), files_taken: u64::MAX, ..Status::default() };
        let page = prometheus(&status, 0);
        let samples = read(&page);
        for absent in ["lag_seconds", "watermark_timestamp_seconds", "last_epoch_seconds", "peak_memory_bytes"] {
            assert!(!samples.contains_key(absent), "{absent}");
        }
        assert!(page.contains(r#"pipeline="a\"b\\c\nd""#), "{page}");
        assert!(page.contains(&format!("files_taken_total {}\n", u64::MAX)), "{page}");
    }
}
