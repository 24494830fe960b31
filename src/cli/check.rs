//! `ordersight check`.

use super::args::{CheckArgs, Cli};
use super::progress::Progress;
use super::summary::count;
use super::{DONE, DONE_BUT, instant, now_micros, to_stdout};
use crate::config::{Effect, Pipeline, RuleMode, json_schema};
use crate::error::{Error, Result};
use crate::features::Described;
use crate::ingest::{ColumnProfile, create_private};
use crate::kpi::{Measure, Shape};
use crate::pipeline::{Checkup, Clock, checkup};
use comfy_table::{ContentArrangement, Table, presets};
use std::collections::BTreeMap;
use std::fmt::Write;

pub(super) fn run(cli: &Cli, args: &CheckArgs) -> Result<u8> {
    if args.schema {
        to_stdout(&format!("{:#}\n", json_schema()))?;
        return Ok(DONE);
    }
    let Some(path) = &args.pipeline else { return Err(Error::usage("name a pipeline file")) };
    let pipeline = Pipeline::load(path, &args.sets)?;
    let clock = Clock::new(&pipeline, instant(args.as_of.as_deref())?, now_micros());
    // Typed copies go where the system keeps what nobody needs to keep, and are removed at the end.
    let folder = std::env::temp_dir().join(format!("ordersight-check-{}", std::process::id()));
    create_private(&folder)?;
    let progress = Progress::new(cli);
    let found = checkup(&pipeline, &folder, clock, &|message| progress.tick(message));
    progress.done();
    std::fs::remove_dir_all(&folder).map_err(Error::io("remove", &folder))?;
    let found = found?;
    to_stdout(&words(&found, args))?;
    // Last, so that what is wrong with a rule does not hide what the data is worth.
    let refused = found.refusal.is_some();
    found.rules?;
    Ok(if refused { DONE_BUT } else { DONE })
}

fn words(found: &Checkup, args: &CheckArgs) -> String {
    let mut text = String::new();
    let _ = writeln!(
        text,
        "amounts are minor units of the base currency, rates to it are in units of 1e-12, times are UTC\n"
    );
    for (name, tally) in &found.sources {
        let _ = writeln!(
            text,
            "source {name}: {} rows read, {} quarantined while typing",
            count(tally.read),
            count(tally.quarantined)
        );
    }
    for (name, profile) in &found.tables {
        let tally = found.table_rows.get(*name).copied().unwrap_or_default();
        let _ = writeln!(
            text,
            "\ntable {name}: {} rows = {} accepted + {} quarantined + {} superseded",
            count(tally.read),
            count(tally.accepted),
            count(tally.quarantined),
            count(tally.superseded)
        );
        let mut table = Table::new();
        table.load_preset(presets::NOTHING).set_content_arrangement(ContentArrangement::Dynamic);
        table.set_header(["column", "missing", "distinct", "range or common values"]);
        for column in &profile.columns {
            let missing = format!("{:.1} %", 100.0 * column.missing_share);
            table.add_row([column.name.clone(), missing, count(column.distinct as u64), range(column)]);
        }
        let _ = writeln!(text, "{table}");
    }
    if !found.rejected.is_empty() {
        let mut reasons: BTreeMap<_, (u64, &crate::quarantine::Rejected)> = BTreeMap::new();
        for row in &found.rejected {
            reasons.entry((&row.source, &row.column, row.reason)).or_insert((0, row)).0 += 1;
        }
        let _ = writeln!(text, "\nquarantine: {} rows", count(found.rejected.len() as u64));
        for ((source, column, reason), (n, first)) in reasons {
            let column = column.as_ref().map(|c| format!(" `{c}`")).unwrap_or_default();
            let _ = writeln!(
                text,
                "  {n} × {source}{column} {reason}: first {} row {}: {}; {}",
                first.file,
                first.row,
                first.detail,
                reason.hint()
            );
        }
    }
    let (can, cannot): (Vec<_>, Vec<_>) = found.measures.iter().partition(|(_, missing)| missing.is_empty());
    if args.kpis {
        list_kpis(&can, &mut text);
        for (id, meaning, _) in found.index.iter().filter(|(_, _, missing)| missing.is_empty()) {
            let _ = writeln!(text, "  {id}: {meaning}");
        }
    } else {
        let index = found.index.iter().filter(|(_, _, missing)| missing.is_empty()).map(|(id, ..)| id.clone());
        let names: Vec<String> = can.iter().map(|(m, _)| m.name()).chain(index).collect();
        let _ = writeln!(text, "\ncan be computed: {}", names.join(", "));
        let _ = writeln!(text, "  --kpis lists them with meaning, unit, clock, maturity and needs");
    }
    for (measure, missing) in cannot {
        let _ = writeln!(text, "  not {} ({}): missing {}", measure.name(), measure.meaning, missing.join(", "));
    }
    for (id, meaning, missing) in found.index.iter().filter(|(_, _, missing)| !missing.is_empty()) {
        let _ = writeln!(text, "  not {id} ({meaning}): missing {}", missing.join(", "));
    }
    let (can, cannot): (Vec<_>, Vec<_>) = found.exceptions.iter().partition(|(_, _, missing)| missing.is_empty());
    let _ = writeln!(text, "exceptions: {}", can.iter().map(|(name, _, _)| *name).collect::<Vec<_>>().join(", "));
    for (name, meaning, missing) in cannot {
        let _ = writeln!(text, "  not {name} ({meaning}): missing {}", missing.join(", "));
    }
    for (target, why, mature, positive) in &found.targets {
        match why {
            Some(why) => {
                let _ = writeln!(text, "{target}: {why}");
            }
            None => {
                let _ =
                    writeln!(text, "{target}: {} mature labels, {} of them positive", count(*mature), count(*positive));
            }
        }
    }
    let (there, absent): (Vec<_>, Vec<_>) = found.features.iter().partition(|f| f.missing.is_empty());
    let _ = writeln!(text, "\n{} features can be computed, {} cannot", there.len(), absent.len());
    if args.features {
        list_features(&there, &absent, &mut text);
    } else {
        let _ = writeln!(text, "  --features lists them with meaning, unit, null and needs");
    }
    for rule in found.rules.iter().flatten() {
        let effect = match (rule.mode, rule.effect) {
            (RuleMode::Shadow, _) => "in shadow",
            (RuleMode::Act, Effect::Approve) => "approve",
            (RuleMode::Act, Effect::Review) => "review",
            (RuleMode::Act, Effect::Hold) => "hold",
        };
        let _ = writeln!(text, "rule {} ({effect}): matches {} orders", rule.name, count(rule.orders));
    }
    if let Some(refusal) = &found.refusal {
        let _ = writeln!(text, "\na run would refuse this input: {refusal}");
    }
    text
}

/// The catalogue, as far as the input can feed it.
fn list_kpis(can: &[&(Measure, Vec<String>)], text: &mut String) {
    let mut table = Table::new();
    table.load_preset(presets::NOTHING).set_content_arrangement(ContentArrangement::Dynamic);
    table.set_header(["KPI", "meaning", "unit", "counted by", "matures after", "better is", "needs"]);
    for (measure, _) in can {
        let parts = match &measure.shape {
            Shape::Duration { .. } => format!("{}_p50, _p90, _mean, _open_share", measure.name()),
            _ => measure.name(),
        };
        let matures = match measure.matures_after_days {
            // A count of the clock's instant is below nought: final, whatever is left of the period.
            ..=0 => "at once".to_owned(),
            days => format!("{days} d"),
        };
        let better = match measure.more_is_better {
            Some(true) => "more",
            Some(false) => "less",
            None => "neither",
        };
        let needs: Vec<String> = measure.needs.iter().map(|need| need.replace('|', " or ")).collect();
        let (meaning, unit) = (measure.meaning.to_owned(), measure.unit.name().to_owned());
        table.add_row([parts, meaning, unit, measure.basis.to_owned(), matures, better.to_owned(), needs.join(", ")]);
    }
    let _ = writeln!(text, "\n{} KPIs can be computed\n{table}", can.len());
}

fn list_features(there: &[&Described], absent: &[&Described], text: &mut String) {
    let mut table = Table::new();
    table.load_preset(presets::NOTHING).set_content_arrangement(ContentArrangement::Dynamic);
    table.set_header(["feature", "meaning", "unit", "null when", "needs"]);
    for feature in there {
        let unit = feature.note.unit.words();
        table.add_row([&feature.name, &feature.note.label, unit, &feature.null, &feature.needs.join(", ")]);
    }
    let _ = writeln!(text, "{table}");
    let mut by_reason: BTreeMap<String, Vec<&str>> = BTreeMap::new();
    for feature in absent {
        by_reason.entry(feature.missing.join(", ")).or_default().push(&feature.name);
    }
    for (missing, names) in by_reason {
        let _ = writeln!(text, "  not {}: missing {missing}", names.join(", "));
    }
}

fn range(column: &ColumnProfile) -> String {
    match (&column.min, &column.max) {
        (Some(min), Some(max)) => format!("{min} … {max}"),
        _ => column.top.iter().map(|(value, n)| format!("{value} ({n})")).collect::<Vec<_>>().join(", "),
    }
}
