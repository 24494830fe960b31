//! A run in words.

use crate::kpi::scorecard::Missed;
use crate::pipeline::{SatisfactionState, Summary};
use crate::types::time::{SECOND, format_instant};
use std::fmt::Write;

/// Lines of the monitor on the terminal; the table has them all.
const MONITOR_SHOWN: usize = 8;

/// The summary an operator reads: what was read, refused, computed, flagged, where it is, what to try next.
pub(super) fn words(run: &Summary) -> String {
    let mut text = String::new();
    let seconds = (run.finished_at - run.started_at) as f64 / SECOND as f64;
    // Writing to a string cannot fail.
    let _ =
        writeln!(text, "{} as of {}: run {} in {seconds:.1} s", run.pipeline, format_instant(run.as_of), run.run_id);
    let _ = writeln!(text, "\nread      {} files, {} unchanged since the last run", run.files, run.files_cached);
    for (name, tally) in &run.sources {
        let _ = writeln!(
            text,
            "  {name:<20} {:>10} rows = {} typed + {} quarantined",
            count(tally.read),
            count(tally.accepted),
            count(tally.quarantined)
        );
    }
    let _ = writeln!(text, "tables");
    for (name, tally) in &run.tables {
        let later = run
            .not_yet
            .get(name)
            .map(|n| format!(", {} of them after the run's clock and left out", count(*n)))
            .unwrap_or_default();
        let _ = writeln!(
            text,
            "  {name:<20} {:>10} rows = {} accepted + {} quarantined + {} superseded{later}",
            count(tally.read),
            count(tally.accepted),
            count(tally.quarantined),
            count(tally.superseded)
        );
    }
    if run.quarantined > 0 {
        let list: Vec<String> = run.reasons.iter().map(|(reason, n)| format!("{n} {reason}")).collect();
        let _ = writeln!(text, "quarantine {} rows: {}", count(run.quarantined), list.join(", "));
    }
    for (n, what) in [
        (run.folded_times, "local times occur twice; the first was taken"),
        (run.skipped_times, "local times do not exist; they were moved past the gap"),
        (run.rounded_amounts, "amounts had digits beyond the minor unit; they were rounded half to even"),
    ] {
        if n > 0 {
            let _ = writeln!(text, "noted     {} {what}", count(n));
        }
    }
    let _ = writeln!(text, "computed  {} measures{}", run.computed.len(), missing(run));
    let same =
        |a: &Missed, b: &Missed| (&a.channel, &a.pack, &a.kpi, &a.window) == (&b.channel, &b.pack, &b.kpi, &b.window);
    for target in &run.missed_targets {
        let _ = writeln!(text, "missed    {}", missed(target));
    }
    // What was missed anyway needs no second line.
    for target in run.beyond_so_far.iter().filter(|t| !run.missed_targets.iter().any(|m| same(m, t))) {
        let _ = writeln!(text, "so far    {}; late events can still move it", missed(target));
    }
    text.push_str(&stuck(run));
    if let Some(felt) = &run.satisfaction {
        satisfaction(&mut text, felt);
    }
    for risk in &run.risk {
        match (&risk.model, &risk.absent_because) {
            (Some(model), _) => {
                let _ = writeln!(
                    text,
                    "{:<9} {} {}s flagged by {model}; {} of {} mature labels say yes",
                    risk.target,
                    count(risk.flagged),
                    risk.unit,
                    count(risk.positives),
                    count(risk.labelled)
                );
            }
            (None, why) => {
                let _ = writeln!(text, "{:<9} no probability: {}", risk.target, why.as_deref().unwrap_or("unknown"));
            }
        }
    }
    for line in run.monitor.iter().take(MONITOR_SHOWN) {
        let _ = writeln!(text, "monitor   {line}");
    }
    if run.monitor.len() > MONITOR_SHOWN {
        let _ = writeln!(text, "monitor   and {} more in `model_monitor`", run.monitor.len() - MONITOR_SHOWN);
    }
    let [approve, review, hold] = run.actions;
    let _ = writeln!(
        text,
        "decided   {} approve, {} review, {} hold; {} of them can still be stopped and are in the review queue",
        count(approve),
        count(review),
        count(hold),
        count(run.review_queue)
    );
    let [written, kept, retired] = run.published_files;
    let _ = writeln!(text, "published {written} files, {kept} unchanged, {retired} retired");
    let stages: Vec<String> = run.stages.iter().map(|s| format!("{} {:.1} s", s.stage, s.seconds)).collect();
    let memory = run.peak_memory_mib.map(|m| format!("; peak memory {m:.0} MiB")).unwrap_or_default();
    let _ = writeln!(text, "stages    {}{memory}", stages.join(", "));
    for reason in &run.failed_on {
        let _ = writeln!(text, "fail_on   {reason}: exit code 1");
    }
    let out = run.out.display();
    let _ = writeln!(text, "\nwhere     {out}");
    let _ = writeln!(text, "next      ordersight report --out {out}");
    let _ =
        writeln!(text, "          ordersight query \"SELECT * FROM review_queue ORDER BY rank LIMIT 20\" --out {out}");
    if run.quarantined > 0 {
        let _ = writeln!(
            text,
            "          ordersight query \"SELECT source, reason, COUNT(*) AS n FROM quarantine GROUP BY source, reason\" --out {out}"
        );
    }
    text
}

/// A target that was missed: who, what, when, and by how many cases.
fn missed(target: &Missed) -> String {
    let Missed { pack, kpi, window, until, value, op, target: limit, .. } = target;
    let channel = target.channel.as_deref().map(|channel| format!("{channel} ")).unwrap_or_default();
    let cases = match (target.too_many, target.denominator) {
        (Some(many), Some(of)) => format!(" ({many} too many of {})", count(of.unsigned_abs())),
        _ => String::new(),
    };
    format!("{channel}{kpi} is {value:.4} over {window} to {until}, `{pack}` asks for {op} {limit}{cases}")
}

fn stuck(run: &Summary) -> String {
    let open: u64 = run.exceptions.values().map(|(n, _)| n).sum();
    let kinds: Vec<String> = run
        .exceptions
        .iter()
        .filter(|(_, (n, _))| *n > 0)
        .map(|(kind, (n, _))| format!("{} {kind}", count(*n)))
        .collect();
    let list = if kinds.is_empty() { String::new() } else { format!(": {}", kinds.join(", ")) };
    let old: u64 = run.exceptions_left_out.values().sum();
    let old =
        if old > 0 { format!("; {} began before the look-back and are not listed", count(old)) } else { String::new() };
    format!("stuck     {} open exceptions{list}{old}\n", count(open))
}

fn missing(run: &Summary) -> String {
    if run.not_computable.is_empty() {
        return String::new();
    }
    let names: Vec<&str> = run.not_computable.keys().map(String::as_str).collect();
    format!("; not computable, `ordersight check` says what is missing: {}", names.join(", "))
}

fn satisfaction(text: &mut String, felt: &SatisfactionState) {
    let orders = format!("{} orders measured, {} predicted", count(felt.measured), count(felt.predicted));
    let worth = match (&felt.absent_because, felt.rmse, felt.rmse_of_mean) {
        (Some(why), ..) => format!("; no prediction: {why}"),
        (None, Some(rmse), Some(mean)) => format!(
            "; on {} later orders it errs by {:.1} points (rmse), the mean by {:.1}",
            count(felt.tested_on),
            rmse.value.unwrap_or(f64::NAN),
            mean.value.unwrap_or(f64::NAN)
        ),
        _ => "; too few matured answers to test it on later orders".to_owned(),
    };
    // Writing to a string cannot fail.
    let _ = writeln!(text, "felt      {orders}{worth}");
    for driver in felt.drivers.iter().take(3) {
        let _ = writeln!(text, "            {driver}");
    }
}

/// A count with thousands set apart: `1,234,567`.
pub(super) fn count(n: u64) -> String {
    let digits = n.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

#[cfg(test)]
mod tests {
    #[test]
    fn thousands_are_set_apart() {
        let shown: Vec<String> = [0, 999, 1_000, 1_234_567].into_iter().map(super::count).collect();
        assert_eq!(shown, ["0", "999", "1,000", "1,234,567"]);
    }
}
