//! What the page shows, read from the published tables into plain structs.
//!
//! A table that is absent or empty, and a column that an older run did not write, are no error: the field stays empty
//! and the page says so.

use super::figures::{self, Segment};
use super::stuck::{self, Stuck};
use super::watched::Watched;
use super::words::{Foreign, Meanings, Month};
use crate::error::{Error, Result};
use crate::publish::Snapshot;
use crate::query::{Format, answer, query};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer};
use std::collections::BTreeMap;
use std::path::Path;

/// Rows of the review queue on the page.
pub(super) const QUEUE_SHOWN: usize = 15;

/// Pairs of source and reason on the page; each costs a look into the table for its example.
pub(super) const REASONS_SHOWN: usize = 40;

/// Bars of a score distribution; with 20, a bar is five percentage points wide.
pub(super) const SCORE_BINS: usize = 20;

/// Everything the page shows.
#[derive(Debug)]
pub(super) struct Data {
    /// The run that published what is shown.
    pub(super) run_id: Foreign,
    /// Its row in `runs`, if there is one.
    pub(super) run: Option<Run>,
    /// Rows of each published table.
    pub(super) tables: BTreeMap<String, u64>,
    /// The head of the review queue, newest day first.
    pub(super) queue: Vec<Queued>,
    /// Open exceptions; none where no run has looked for any.
    pub(super) stuck: Option<Stuck>,
    /// KPIs and satisfaction of the whole by month, in the order of their ids.
    pub(super) kpis: Vec<KpiRow>,
    /// What is known of each KPI.
    pub(super) meanings: Meanings,
    /// The worst segments of a few KPIs.
    pub(super) worst: Vec<Worst>,
    /// What each channel's KPIs are held against; empty without targets, and in outputs older than the table.
    pub(super) scorecard: Vec<Held>,
    /// What goes with answers, strongest first.
    pub(super) drivers: Vec<DriverRow>,
    /// How far predicted satisfaction was off.
    pub(super) satisfaction_model: Vec<ModelError>,
    /// The customers to see to first.
    pub(super) waiting: Vec<Waiting>,
    /// Scores, if orders were scored.
    pub(super) risk: Option<Risk>,
    /// What the monitor said of the models in service.
    pub(super) watched: Watched,
    /// Refused rows by source and reason, most frequent first.
    pub(super) refused: Vec<Refused>,
    /// Pairs of source and reason beyond those.
    pub(super) refused_more: u64,
}

/// Drivers on the page.
const DRIVERS_SHOWN: usize = 8;

/// Customers on the page.
const WAITING_SHOWN: usize = 10;

/// A fact that goes with answers.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct DriverRow {
    pub(super) words: Foreign,
    pub(super) answers: i64,
    pub(super) r_squared: f64,
}

/// A measure of one way to predict satisfaction.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct ModelError {
    pub(super) measure: Foreign,
    pub(super) predictor: Foreign,
    pub(super) value: Option<f64>,
    pub(super) lower: Option<f64>,
    pub(super) upper: Option<f64>,
    pub(super) trained_on: i64,
    pub(super) tested_on: i64,
}

/// A customer who waits for something.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Waiting {
    pub(super) service_rank: i64,
    pub(super) customer_id: Foreign,
    pub(super) tier: Option<Foreign>,
    pub(super) service_reasons: Option<Vec<Option<Foreign>>>,
    pub(super) satisfaction_last: Option<f64>,
    pub(super) service_priority: i64,
}

/// A run as `runs` has it. What an older version did not write is `None`.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Run {
    pub(super) run_id: Option<Foreign>,
    pub(super) pipeline: Option<Foreign>,
    pub(super) as_of: Option<Foreign>,
    pub(super) started_at: Option<Foreign>,
    pub(super) seconds: Option<f64>,
    pub(super) peak_memory_mib: Option<f64>,
    pub(super) orders: Option<i64>,
    pub(super) quarantined_rows: Option<i64>,
    pub(super) rows_read: Option<i64>,
    pub(super) rows_accepted: Option<i64>,
    pub(super) rows_superseded: Option<i64>,
    pub(super) flagged_fraud: Option<i64>,
    pub(super) flagged_return: Option<i64>,
    pub(super) currency: Option<Foreign>,
    pub(super) version: Option<Foreign>,
    pub(super) stages: Option<Vec<Stage>>,
    pub(super) sources: Option<Vec<Tally>>,
    pub(super) tables: Option<Vec<Tally>>,
}

/// How long a stage took.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Stage {
    pub(super) stage: Foreign,
    pub(super) seconds: Option<f64>,
}

/// What became of the rows of a source or table.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Tally {
    pub(super) name: Foreign,
    pub(super) read: i64,
    pub(super) accepted: i64,
    pub(super) quarantined: i64,
    pub(super) superseded: i64,
}

impl Tally {
    /// Whether every row is accounted for.
    pub(super) fn balances(&self) -> bool {
        self.read == self.accepted + self.quarantined + self.superseded
    }
}

/// An order in the review queue.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Queued {
    pub(super) queue_date: Option<Foreign>,
    pub(super) rank: Option<i64>,
    pub(super) order_id: Foreign,
    pub(super) placed_at: Option<Foreign>,
    pub(super) amount: Option<i64>,
    pub(super) action: Option<Foreign>,
    pub(super) fraud_probability: Option<f64>,
    pub(super) expected_loss: Option<i64>,
    pub(super) reasons: Option<Vec<Option<Foreign>>>,
    pub(super) rule_hits: Option<Vec<Option<Foreign>>>,
}

/// A KPI of the whole in one month.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct KpiRow {
    pub(super) kpi: Foreign,
    #[serde(rename = "period_start", deserialize_with = "month")]
    pub(super) month: Month,
    pub(super) unit: Foreign,
    pub(super) numerator: Option<i64>,
    pub(super) denominator: Option<i64>,
    pub(super) value: Option<f64>,
    pub(super) lower: Option<f64>,
    pub(super) upper: Option<f64>,
    pub(super) target: Option<f64>,
    pub(super) breach: Option<bool>,
    pub(super) mature: bool,
    pub(super) targets_version: Option<Foreign>,
}

/// A target, and what was reached over one window.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Held {
    pub(super) channel: Foreign,
    pub(super) pack: Foreign,
    pub(super) targets_version: Option<Foreign>,
    pub(super) kpi: Foreign,
    pub(super) level: Option<Foreign>,
    pub(super) required: bool,
    pub(super) window: Foreign,
    pub(super) period_end: Option<Foreign>,
    pub(super) numerator: Option<i64>,
    pub(super) denominator: Option<i64>,
    pub(super) value: Option<f64>,
    pub(super) lower: Option<f64>,
    pub(super) upper: Option<f64>,
    pub(super) unit: Option<Foreign>,
    pub(super) op: Foreign,
    pub(super) target: Option<f64>,
    pub(super) breach: Option<bool>,
    pub(super) room: Option<i64>,
    pub(super) before_value: Option<f64>,
    pub(super) trend: Option<Foreign>,
    pub(super) mature: Option<bool>,
    pub(super) null_reason: Option<Foreign>,
    pub(super) source: Option<Foreign>,
    pub(super) checked: Option<Foreign>,
}

impl Held {
    /// Whether it counts as missed: required, beyond the limit, and no longer moving.
    pub(super) fn is_missed(&self) -> bool {
        self.required && self.breach == Some(true) && self.mature == Some(true)
    }
}

/// The worst segments of a KPI over its last mature months.
#[derive(Debug)]
pub(super) struct Worst {
    pub(super) kpi: Foreign,
    pub(super) more_is_better: bool,
    pub(super) first: Month,
    pub(super) last: Month,
    /// Hits and trials of the whole over the same months.
    pub(super) whole: (i64, i64),
    /// Those worse than the whole, worst first.
    pub(super) segments: Vec<Segment>,
    /// How many segments there were.
    pub(super) of: usize,
}

/// What the scores came to.
#[derive(Debug, Default)]
pub(super) struct Risk {
    pub(super) scored_rows: i64,
    pub(super) days: Vec<RiskDay>,
    pub(super) actions: Vec<Action>,
    pub(super) fraud: Target,
    pub(super) returns: Target,
}

/// Flags of one day.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct RiskDay {
    pub(super) day: Foreign,
    pub(super) orders: i64,
    pub(super) fraud: i64,
    #[serde(rename = "return")]
    pub(super) returns: i64,
}

/// How many orders got an action.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Action {
    pub(super) action: Option<Foreign>,
    pub(super) orders: i64,
    pub(super) amount: Option<i64>,
    pub(super) expected_loss: Option<i64>,
}

/// One of the two things that are predicted.
#[derive(Debug, Default)]
pub(super) struct Target {
    /// By model version, and by reason where there is no probability.
    pub(super) models: Vec<ModelUse>,
    /// Orders by bar of [`SCORE_BINS`].
    pub(super) bins: [i64; SCORE_BINS],
}

/// Orders that one model saw, or that none did.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct ModelUse {
    pub(super) model: Option<Foreign>,
    pub(super) reason: Option<Foreign>,
    pub(super) orders: i64,
    pub(super) scored: i64,
    pub(super) flagged: i64,
}

/// Refused rows of one source for one reason.
#[derive(Debug, Clone)]
pub(super) struct Refused {
    pub(super) source: Option<Foreign>,
    pub(super) reason: Option<Foreign>,
    pub(super) rows: i64,
    pub(super) example: Option<Example>,
}

/// One refused row; personal values were masked when it was written.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Example {
    pub(super) file: Option<Foreign>,
    pub(super) row: Option<i64>,
    pub(super) table: Option<Foreign>,
    pub(super) column: Option<Foreign>,
    pub(super) detail: Option<Foreign>,
    pub(super) hint: Option<Foreign>,
    pub(super) raw_record: Option<Foreign>,
}

fn month<'de, D: Deserializer<'de>>(from: D) -> Result<Month, D::Error> {
    let day = String::deserialize(from)?;
    Month::of_day(&day).ok_or_else(|| serde::de::Error::custom(format!("`{day}` is not a day")))
}

/// Reads everything from the published state `snapshot` of the output folder `out`.
pub(super) fn load(out: &Path, snapshot: &Snapshot) -> Result<Data> {
    let tables: BTreeMap<String, u64> =
        snapshot.tables.iter().map(|(name, table)| (name.clone(), table.files.iter().map(|f| f.rows).sum())).collect();
    let source = Source { out, tables: &tables };
    let meanings = Meanings::new();
    let mut kpis = Vec::new();
    for table in ["kpi", "satisfaction"] {
        kpis.extend(source.monthly(table)?);
    }
    let worst = source.worst(&kpis, &meanings)?;
    let run = source.rows("runs", "SELECT * FROM runs ORDER BY started_at DESC LIMIT 1")?.pop();
    let queue = format!("SELECT * FROM review_queue ORDER BY queue_date DESC, \"rank\" LIMIT {QUEUE_SHOWN}");
    let queue = source.rows("review_queue", &queue)?;
    let stuck = stuck::load(&source)?;
    let (refused, refused_more) = source.refused()?;
    let risk = source.risk()?;
    let watched = Watched::load(&source)?;
    let scorecard = "SELECT * FROM scorecard ORDER BY CASE WHEN channel = 'all' THEN 0 ELSE 1 END, channel, pack, kpi, \
                     required DESC, level, window, mature DESC";
    let scorecard = source.rows("scorecard", scorecard)?;
    let drivers = format!(
        "SELECT words, answers, r_squared FROM satisfaction_drivers WHERE coefficient IS NOT NULL \
         AND (lower > 0 OR upper < 0) ORDER BY \"rank\" LIMIT {DRIVERS_SHOWN}"
    );
    let drivers = source.rows("satisfaction_drivers", &drivers)?;
    let satisfaction_model =
        source.rows("satisfaction_model", "SELECT * FROM satisfaction_model ORDER BY measure, predictor")?;
    let waiting = format!(
        "SELECT service_rank, customer_id, tier, service_reasons, satisfaction_last, service_priority \
         FROM customer_profile WHERE service_priority > 0 ORDER BY service_rank LIMIT {WAITING_SHOWN}"
    );
    let waiting = source.rows("customer_profile", &waiting)?;
    let run_id = Foreign::from(snapshot.run_id.as_str());
    Ok(Data {
        run_id,
        run,
        queue,
        stuck,
        kpis,
        meanings,
        worst,
        scorecard,
        drivers,
        satisfaction_model,
        waiting,
        risk,
        watched,
        refused,
        refused_more,
        tables,
    })
}

/// The published tables as they are asked.
pub(super) struct Source<'a> {
    out: &'a Path,
    tables: &'a BTreeMap<String, u64>,
}

impl Source<'_> {
    /// Whether a table was published, with rows or without.
    pub(super) fn has(&self, table: &str) -> bool {
        self.tables.contains_key(table)
    }

    /// The answer to `sql`, which asks `table`; nothing when that is absent or empty.
    pub(super) fn rows<T: DeserializeOwned>(&self, table: &str, sql: &str) -> Result<Vec<T>> {
        if self.tables.get(table).copied().unwrap_or(0) == 0 {
            return Ok(Vec::new());
        }
        let mut lines = Vec::new();
        query(self.out, sql, Format::Json, &mut lines)?;
        let rows = serde_json::Deserializer::from_slice(&lines).into_iter::<T>();
        rows.map(|row| row.map_err(|e| Error::Invariant(format!("report: table `{table}` is not as expected: {e}"))))
            .collect()
    }

    fn monthly(&self, table: &str) -> Result<Vec<KpiRow>> {
        let sql = format!(
            "SELECT kpi, period_start, unit, numerator, denominator, value, lower, upper, target, breach, mature, \
             targets_version FROM {table} WHERE grain = 'month' AND segment = 'all' AND period_start IS NOT NULL \
             ORDER BY kpi, period_start"
        );
        self.rows(table, &sql)
    }

    fn worst(&self, kpis: &[KpiRow], meanings: &Meanings) -> Result<Vec<Worst>> {
        let mut worst = Vec::new();
        for window in figures::worst_windows(kpis, meanings) {
            let sql = format!(
                "SELECT segment, segment_value, SUM(numerator) AS hits, SUM(denominator) AS trials FROM kpi \
                 WHERE grain = 'month' AND segment <> 'all' AND kpi = {} \
                 AND period_start >= DATE '{}' AND period_start <= DATE '{}' \
                 GROUP BY segment, segment_value ORDER BY segment, segment_value",
                quoted(window.kpi.raw()),
                window.first.first_day(),
                window.last.first_day(),
            );
            let all: Vec<Segment> = self.rows("kpi", &sql)?;
            let of = all.len();
            let segments = figures::worst_first(all, window.whole, window.more_is_better);
            if !segments.is_empty() {
                let (kpi, more_is_better, whole) = (window.kpi, window.more_is_better, window.whole);
                worst.push(Worst { kpi, more_is_better, first: window.first, last: window.last, whole, segments, of });
            }
        }
        Ok(worst)
    }

    fn risk(&self) -> Result<Option<Risk>> {
        let scored_rows = self.tables.get("order_scores").copied().unwrap_or(0);
        if scored_rows == 0 {
            return Ok(None);
        }
        let first = answer(self.out, "SELECT * FROM order_scores LIMIT 1")?;
        let has = |column: &str| first.get_column_index(column).is_some();
        let flags = |column: &'static str| {
            if has(column) { format!("SUM(CASE WHEN {column} THEN 1 ELSE 0 END)") } else { "SUM(0)".to_owned() }
        };
        let days = format!(
            "SELECT placed_date AS day, COUNT(*) AS orders, {} AS fraud, {} AS \"return\" FROM order_scores \
             WHERE placed_date IS NOT NULL GROUP BY placed_date ORDER BY day",
            flags("fraud_flag"),
            flags("return_flag")
        );
        let mut risk = Risk {
            scored_rows: i64::try_from(scored_rows).unwrap_or(i64::MAX),
            days: self.rows("order_scores", &days)?,
            ..Risk::default()
        };
        if has("action") {
            let sum = |c: &'static str| if has(c) { format!("SUM({c}) AS {c}") } else { format!("SUM(0) AS {c}") };
            let (amount, loss) = (sum("amount"), sum("expected_loss"));
            let actions = format!(
                "SELECT action, COUNT(*) AS orders, {amount}, {loss} FROM order_scores GROUP BY action ORDER BY action"
            );
            risk.actions = self.rows("order_scores", &actions)?;
        }
        for (name, target) in [("fraud", &mut risk.fraud), ("return", &mut risk.returns)] {
            if has(&format!("{name}_probability")) {
                *target = self.target(name, has)?;
            }
        }
        Ok(Some(risk))
    }

    fn target(&self, name: &str, has: impl Fn(&str) -> bool) -> Result<Target> {
        #[derive(Deserialize)]
        struct Bin {
            bin: i64,
            orders: i64,
        }
        let text = |column: String| if has(&column) { column } else { "CAST(NULL AS VARCHAR)".to_owned() };
        let flag = format!("{name}_flag");
        let flagged = if has(&flag) { format!("CASE WHEN {flag} THEN 1 ELSE 0 END") } else { "0".to_owned() };
        let models = format!(
            "SELECT model, reason, COUNT(*) AS orders, SUM(scored) AS scored, SUM(flagged) AS flagged FROM (\
             SELECT {} AS model, {} AS reason, CASE WHEN {name}_probability IS NULL THEN 0 ELSE 1 END AS scored, \
             {flagged} AS flagged FROM order_scores) AS s GROUP BY model, reason ORDER BY model, reason",
            text(format!("{name}_model")),
            text(format!("{name}_null_reason")),
        );
        let bins = format!(
            "SELECT bin, COUNT(*) AS orders FROM (\
             SELECT CAST(FLOOR({name}_probability * {SCORE_BINS}) AS BIGINT) AS bin FROM order_scores \
             WHERE {name}_probability IS NOT NULL) AS s GROUP BY bin ORDER BY bin"
        );
        let mut target = Target { models: self.rows("order_scores", &models)?, ..Target::default() };
        for Bin { bin, orders } in self.rows::<Bin>("order_scores", &bins)? {
            // A probability of exactly 1 belongs to the last bar.
            let at = usize::try_from(bin).unwrap_or(0).min(SCORE_BINS - 1);
            target.bins[at] += orders;
        }
        Ok(target)
    }

    fn refused(&self) -> Result<(Vec<Refused>, u64)> {
        #[derive(Deserialize)]
        struct Group {
            source: Option<Foreign>,
            reason: Option<Foreign>,
            rows: i64,
        }
        let sql = "SELECT source, reason, COUNT(*) AS \"rows\" FROM quarantine GROUP BY source, reason \
                   ORDER BY \"rows\" DESC, source, reason";
        let mut groups: Vec<Group> = self.rows("quarantine", sql)?;
        let more = groups.len().saturating_sub(REASONS_SHOWN) as u64;
        groups.truncate(REASONS_SHOWN);
        let mut refused = Vec::with_capacity(groups.len());
        for Group { source, reason, rows } in groups {
            let is = |column: &str, value: &Option<Foreign>| match value {
                Some(value) => format!("{column} = {}", quoted(value.raw())),
                None => format!("{column} IS NULL"),
            };
            let sql = format!(
                "SELECT * FROM quarantine WHERE {} AND {} ORDER BY file, \"row\", \"column\" LIMIT 1",
                is("source", &source),
                is("reason", &reason)
            );
            let example = self.rows("quarantine", &sql)?.pop();
            refused.push(Refused { source, reason, rows, example });
        }
        Ok((refused, more))
    }
}

/// A text as an SQL literal.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}
