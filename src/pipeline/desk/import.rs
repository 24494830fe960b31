//! Decisions that come back from the desk: checked row by row, and kept beside the output.

use super::sheet::{self, unguarded};
use super::store::{self, Kept};
use super::{DECISIONS, TO_FILL_IN};
use crate::config::did_you_mean;
use crate::error::{Error, Result};
use crate::publish::Publisher;
use crate::query::answer;
use crate::types::time::{format_instant, parse_instant, resolve_local};
use chrono::NaiveDateTime;
use chrono_tz::Tz;
use serde::Serialize;
use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};

/// Bad rows that an error names; the rest are counted.
const NAMED: usize = 50;

/// How a desk's file is to be read.
#[derive(Debug, Clone, Copy)]
pub struct ImportOptions {
    /// When rows without a `decided_at` of their own were decided, UTC microseconds; `None`: each must have one.
    pub decided_at: Option<i64>,
    /// Zone of times that name none; `None`: each must name its offset.
    pub zone: Option<Tz>,
    /// Largest share of bad rows, of those that are not simply left empty; above it nothing is taken in.
    pub max_share: f64,
    /// The present: no decision comes from later. UTC microseconds.
    pub now: i64,
}

/// A row that could not be used.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RefusedRow {
    /// Its number; the first after a header is 1.
    pub row: u64,
    /// What is wrong and what is allowed.
    pub reason: String,
}

/// What became of a desk's file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Imported {
    /// Rows in the file: open, taken in, known before, or refused.
    pub rows: u64,
    /// Rows that nobody has decided yet.
    pub open: u64,
    /// Decisions taken in.
    pub taken: u64,
    /// Decisions that were kept already: importing a file twice adds nothing.
    pub known_before: u64,
    /// Decisions taken in by what was decided.
    pub by_decision: BTreeMap<String, u64>,
    /// Orders of which the file says `fraud` and an earlier decision `legit`, or the other way round.
    pub contradictions: Vec<String>,
    /// Bad rows.
    pub refused: Vec<RefusedRow>,
    /// The newest decision in the file, RFC 3339: runs as of later know them all.
    pub newest: Option<String>,
    /// Where decisions are kept.
    pub kept_in: PathBuf,
}

/// Reads a file that came out of [`super::export`] and was filled in, or any other with its columns, and keeps the
/// decisions beside the output. The next run or training with the same output folder takes them in as labels.
///
/// # Errors
/// [`Error::InputRefused`] when too many rows are bad (all of them are named) or the file cannot be read; nothing is
/// kept then. [`Error::Usage`] when nothing was published in `out`.
pub fn import(file: &Path, out: &Path, options: &ImportOptions) -> Result<Imported> {
    let rows = sheet::read(
        file,
        &["order_id", TO_FILL_IN[0], TO_FILL_IN[1], TO_FILL_IN[2], TO_FILL_IN[3]],
        &["order_id", "decision"],
    )?;
    let placed = placed(out)?;
    // The lock keeps two imports, and an import and a run, from seeing half of one another.
    let _publisher = Publisher::open(out)?;
    let mut known: HashMap<_, String> = HashMap::new();
    let mut words: HashMap<String, Vec<String>> = HashMap::new();
    for kept in store::kept(out)? {
        words.entry(kept.order_id.clone()).or_default().push(kept.decision.clone());
        known.insert(kept.key(), kept.decision);
    }
    let mut imported = Imported {
        rows: rows.len() as u64,
        open: 0,
        taken: 0,
        known_before: 0,
        by_decision: BTreeMap::new(),
        contradictions: Vec::new(),
        refused: Vec::new(),
        newest: None,
        kept_in: store::path(out),
    };
    let (mut more, mut newest) = (Vec::new(), i64::MIN);
    for (row, cells) in rows {
        let kept = match cells.and_then(|cells| decision(&cells, &placed, options)) {
            Ok(Some(kept)) => kept,
            Ok(None) => {
                imported.open += 1;
                continue;
            }
            Err(reason) => {
                imported.refused.push(RefusedRow { row, reason });
                continue;
            }
        };
        match known.get(&kept.key()) {
            Some(before) if *before == kept.decision => imported.known_before += 1,
            Some(before) => {
                let reason = format!(
                    "order `{}`: the same reviewer said `{before}` at the same instant; a correction has its own time",
                    kept.order_id
                );
                imported.refused.push(RefusedRow { row, reason });
                continue;
            }
            None => {
                let said = words.entry(kept.order_id.clone()).or_default();
                let opposite = match kept.decision.as_str() {
                    "fraud" => Some("legit"),
                    "legit" => Some("fraud"),
                    _ => None,
                };
                if opposite.is_some_and(|opposite| said.iter().any(|word| word == opposite)) {
                    imported.contradictions.push(kept.order_id.clone());
                }
                said.push(kept.decision.clone());
                known.insert(kept.key(), kept.decision.clone());
                *imported.by_decision.entry(kept.decision.clone()).or_default() += 1;
                more.push(kept.clone());
            }
        }
        newest = newest.max(kept.at());
    }
    imported.contradictions.sort();
    imported.contradictions.dedup();
    within_limit(file, &imported, options.max_share)?;
    imported.taken = more.len() as u64;
    imported.newest = (newest > i64::MIN).then(|| format_instant(newest));
    if !more.is_empty() {
        store::append(out, &more)?;
    }
    Ok(imported)
}

/// When each published order was placed.
fn placed(out: &Path) -> Result<HashMap<String, i64>> {
    let stage = || Error::frames("reading order_scores");
    let scores = answer(out, "SELECT order_id, placed_at FROM order_scores")?;
    let ids = scores.column("order_id").and_then(|c| c.str().cloned()).map_err(stage())?;
    let times = scores.column("placed_at").map(|c| c.to_physical_repr()).map_err(stage())?;
    let times = times.i64().map_err(stage())?;
    Ok(ids.iter().zip(times.iter()).filter_map(|(id, at)| Some((id?.to_owned(), at?))).collect())
}

/// A row's decision; `None` while there is none, and why not where it cannot be used.
fn decision(
    cells: &BTreeMap<&'static str, String>,
    placed: &HashMap<String, i64>,
    options: &ImportOptions,
) -> Result<Option<Kept>, String> {
    let cell = |name: &str| cells.get(name).map(String::as_str);
    let id = cell("order_id");
    let Some(word) = cell("decision") else {
        return match (cell("decided_at"), id) {
            (None, _) => Ok(None),
            (Some(_), id) => Err(format!("{} has a `decided_at` and no `decision`", order(id))),
        };
    };
    let id = id.ok_or_else(|| "`order_id` is empty".to_owned())?;
    let id = if placed.contains_key(id) { id } else { unguarded(id) };
    let Some(&placed_at) = placed.get(id) else {
        return Err(format!("no published order has the id `{}`; spreadsheets drop leading zeros", shown(id)));
    };
    let said = word.to_lowercase();
    if !DECISIONS.contains(&said.as_str()) {
        let near = did_you_mean(&said, DECISIONS).map(|near| format!(" ({near})")).unwrap_or_default();
        return Err(format!(
            "order `{id}`: `decision` must be one of fraud, legit, unsure, found `{}`{near}",
            shown(word)
        ));
    }
    let decided_at = match (cell("decided_at"), options.decided_at) {
        (Some(text), _) => time(text, options.zone).map_err(|why| format!("order `{id}`: {why}"))?,
        (None, Some(at)) => at,
        (None, None) => {
            return Err(format!("order `{id}`: `decided_at` is empty; fill it in, or give --decided-at for such rows"));
        }
    };
    if decided_at < placed_at {
        let (decided, placed) = (format_instant(decided_at), format_instant(placed_at));
        return Err(format!("order `{id}` was placed at {placed}, after its `decided_at` {decided}"));
    }
    if decided_at > options.now {
        return Err(format!("order `{id}`: `decided_at` {} is in the future", format_instant(decided_at)));
    }
    let text = |name: &str| cell(name).map(|text| unguarded(text).to_owned());
    Ok(Some(Kept {
        order_id: id.to_owned(),
        decision: said,
        decided_at: format_instant(decided_at),
        reviewer: text("reviewer"),
        note: text("note"),
    }))
}

fn order(id: Option<&str>) -> String {
    id.map_or_else(|| "a row without `order_id`".to_owned(), |id| format!("order `{}`", shown(id)))
}

/// What a cell holds, as far as it may be shown: not whole sentences, and nobody's address.
fn shown(text: &str) -> String {
    match text.contains('@') {
        true => "…@…".to_owned(),
        false if text.chars().count() > 40 => format!("{}…", text.chars().take(40).collect::<String>()),
        false => text.to_owned(),
    }
}

fn time(text: &str, zone: Option<Tz>) -> Result<i64, String> {
    if let Some(at) = parse_instant(text) {
        return Ok(at);
    }
    const CIVIL: [&str; 4] = ["%Y-%m-%d %H:%M:%S", "%Y-%m-%d %H:%M", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%dT%H:%M"];
    let civil = CIVIL.iter().find_map(|format| NaiveDateTime::parse_from_str(text, format).ok());
    match (civil, zone) {
        (Some(civil), Some(zone)) => Ok(resolve_local(civil, zone).0),
        (Some(_), None) => Err(format!("`decided_at` `{}` names no offset; give --zone for such times", shown(text))),
        (None, _) => Err(format!(
            "`decided_at` `{}` is not an instant such as 2025-03-01T14:30:00Z or 2025-03-01 14:30",
            shown(text)
        )),
    }
}

/// Refuses the file when more of it is bad than is allowed.
fn within_limit(file: &Path, imported: &Imported, max_share: f64) -> Result<()> {
    let (bad, filled) = (imported.refused.len() as u64, imported.rows - imported.open);
    if bad == 0 || bad as f64 <= max_share * filled as f64 {
        return Ok(());
    }
    let named: String =
        imported.refused.iter().take(NAMED).map(|r| format!("\n  row {}: {}", r.row, r.reason)).collect();
    let more = match bad as usize {
        bad if bad > NAMED => format!("\n  and {} more", bad - NAMED),
        _ => String::new(),
    };
    Err(Error::InputRefused {
        message: format!(
            "{bad} of {filled} filled rows of `{}` cannot be used ({:.1} %), the limit is {:.1} %:{named}{more}\nno \
             decision was taken in",
            file.display(),
            100.0 * bad as f64 / filled as f64,
            100.0 * max_share
        ),
        hint: Some("mend the rows and import the file again; --max-share allows more".to_owned()),
    })
}
