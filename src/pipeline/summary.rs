//! What a run did: for the terminal, for machines, and for the `runs` table.

use super::satisfied::SatisfactionState;
use crate::error::{Error, Result};
use crate::kpi::scorecard::Missed;
use crate::quarantine::{Tallies, Tally};
use crate::types::time::SECOND;
use polars::prelude::*;
use serde::Serialize;
use std::collections::BTreeMap;
use std::path::PathBuf;

/// A stage of a run and how long it took.
#[derive(Debug, Clone, Serialize)]
pub struct Stage {
    /// Its name.
    pub stage: &'static str,
    /// Wall-clock seconds.
    pub seconds: f64,
}

/// What became of a risk target.
#[derive(Debug, Clone, Serialize)]
pub struct TargetState {
    /// `fraud` or `return`.
    pub target: String,
    /// What has a score and a label: `order` or `line`.
    pub unit: &'static str,
    /// The model that scored; null without one.
    pub model: Option<String>,
    /// Why there are no probabilities; null when there are.
    pub absent_because: Option<String>,
    /// Orders, or lines, flagged.
    pub flagged: u64,
    /// Orders, or lines, whose label is mature.
    pub labelled: u64,
    /// Of them, those where it happened.
    pub positives: u64,
}

/// The summary of a run.
#[derive(Debug, Clone, Serialize)]
pub struct Summary {
    /// Derived from inputs, pipeline, models and clock: equal runs have equal ids.
    pub run_id: String,
    /// Name of the pipeline.
    pub pipeline: String,
    /// Base currency.
    pub currency: String,
    /// The run's clock, UTC microseconds.
    pub as_of: i64,
    /// When it was started, UTC microseconds.
    pub started_at: i64,
    /// When it had published, UTC microseconds.
    pub finished_at: i64,
    /// Peak resident memory of the process in MiB; null where the system does not tell.
    pub peak_memory_mib: Option<f64>,
    /// Files read and how many of them were unchanged since an earlier run.
    pub files: u64,
    /// Files whose typed copy was already there.
    pub files_cached: u64,
    /// Rows by source.
    pub sources: Tallies,
    /// Rows by table.
    pub tables: Tallies,
    /// Accepted rows that lie after the run's clock, by table.
    pub not_yet: BTreeMap<String, u64>,
    /// Rows in quarantine.
    pub quarantined: u64,
    /// Quarantined rows by reason.
    pub reasons: BTreeMap<String, u64>,
    /// Civil times that occur twice; civil times that do not exist; amounts rounded.
    pub folded_times: u64,
    /// See `folded_times`.
    pub skipped_times: u64,
    /// See `folded_times`.
    pub rounded_amounts: u64,
    /// Measures computed.
    pub computed: Vec<String>,
    /// Measures that could not be, with what is missing.
    pub not_computable: BTreeMap<String, Vec<String>>,
    /// Open exceptions by kind: rows, and value at risk in minor units. A kind that was not looked for is absent.
    pub exceptions: BTreeMap<String, (u64, i64)>,
    /// Exceptions that began before the look-back and are not listed, by kind.
    pub exceptions_left_out: BTreeMap<String, u64>,
    /// Required targets missed over the latest window that late events can no longer move much.
    pub missed_targets: Vec<Missed>,
    /// Required targets beyond their limit over the window up to the run's clock, which can still move.
    pub beyond_so_far: Vec<Missed>,
    /// Satisfaction of orders, measured and predicted.
    pub satisfaction: Option<SatisfactionState>,
    /// What the monitor says of models in the latest whole period, gravest first, then what it cannot watch and why.
    pub monitor: Vec<String>,
    /// Risk targets.
    pub risk: Vec<TargetState>,
    /// Orders by action: approve, review, hold.
    pub actions: [u64; 3],
    /// Orders in the review queue.
    pub review_queue: u64,
    /// Rows published by table.
    pub published: BTreeMap<String, u64>,
    /// Files written, kept as they were, and retired.
    pub published_files: [u64; 3],
    /// Stages in order.
    pub stages: Vec<Stage>,
    /// The output folder.
    pub out: PathBuf,
    /// What `fail_on` of the pipeline found: the run is done, and the exit code is 1.
    pub failed_on: Vec<String>,
}

impl Summary {
    /// The run as one row of the `runs` table.
    ///
    /// # Errors
    /// [`Error::Frames`] only for defects.
    pub fn frame(&self) -> Result<DataFrame> {
        let stage = || Error::frames("runs");
        let instant = DataType::Datetime(TimeUnit::Microseconds, Some(TimeZone::UTC));
        let time = |name: &str, at: i64| Column::new(name.into(), [at]).cast(&instant).map_err(stage());
        let int = |name: &str, value: u64| Column::new(name.into(), [value as i64]);
        let text = |name: &str, value: Option<&str>| Column::new(name.into(), [value]);
        let model = |target: &str| self.risk.iter().find(|r| r.target == target).and_then(|r| r.model.as_deref());
        let flagged = |target: &str| self.risk.iter().find(|r| r.target == target).map_or(0, |r| r.flagged);
        let sum = |pick: fn(&Tally) -> u64| self.sources.values().map(pick).sum::<u64>();
        let superseded = self.tables.values().map(|t| t.superseded).sum::<u64>();
        let columns = vec![
            text("run_id", Some(&self.run_id)),
            text("pipeline", Some(&self.pipeline)),
            text("currency", Some(&self.currency)),
            time("as_of", self.as_of)?,
            time("started_at", self.started_at)?,
            time("finished_at", self.finished_at)?,
            Column::new("seconds".into(), [(self.finished_at - self.started_at) as f64 / SECOND as f64]),
            Column::new("peak_memory_mib".into(), [self.peak_memory_mib]),
            int("orders", self.tables.get("orders").map_or(0, |t| t.accepted)),
            int("rows_read", sum(|t| t.read)),
            int("rows_accepted", sum(|t| t.read) - self.quarantined.min(sum(|t| t.read)) - superseded),
            int("quarantined_rows", self.quarantined),
            int("rows_superseded", superseded),
            int("flagged_fraud", flagged("fraud")),
            int("flagged_return", flagged("return")),
            text("fraud_model", model("fraud")),
            text("return_model", model("return")),
            one_list(
                "stages",
                vec![
                    Column::new("stage".into(), self.stages.iter().map(|s| s.stage).collect::<Vec<_>>()),
                    Column::new("seconds".into(), self.stages.iter().map(|s| s.seconds).collect::<Vec<_>>()),
                ],
            )?,
            one_list("sources", tally_columns(&self.sources))?,
            one_list("tables", tally_columns(&self.tables))?,
            text("version", Some(env!("CARGO_PKG_VERSION"))),
        ];
        DataFrame::new_infer_height(columns).map_err(stage())
    }
}

fn tally_columns(tallies: &Tallies) -> Vec<Column> {
    let column = |name: &str, pick: fn(&Tally) -> u64| {
        Column::new(name.into(), tallies.values().map(|t| pick(t) as i64).collect::<Vec<_>>())
    };
    vec![
        Column::new("name".into(), tallies.keys().map(String::as_str).collect::<Vec<_>>()),
        column("read", |t| t.read),
        column("accepted", |t| t.accepted),
        column("quarantined", |t| t.quarantined),
        column("superseded", |t| t.superseded),
    ]
}

/// A column of one row that holds a list of structs.
fn one_list(name: &str, fields: Vec<Column>) -> Result<Column> {
    let height = fields.first().map_or(0, Column::len);
    let structs = StructChunked::from_columns(name.into(), height, &fields).map_err(Error::frames("runs"))?;
    let list = structs.into_series().implode().map_err(Error::frames("runs"))?;
    Ok(list.with_name(name.into()).into_column())
}

/// Peak resident memory of this process in MiB, where the system tells.
pub(super) fn peak_memory_mib() -> Option<f64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|l| l.starts_with("VmHWM:"))?;
    line.split_whitespace().nth(1)?.parse::<f64>().ok().map(|kib| kib / 1024.0)
}
