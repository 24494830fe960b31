//! Decisions kept beside the output, and how a run takes them in.

use super::DECISIONS;
use crate::contract::output::STATE_DIR;
use crate::error::{Error, Result};
use crate::ingest::{Ingested, create_private};
use crate::types::time::parse_instant;
use polars::prelude::*;
use serde::{Deserialize, Serialize};
use std::collections::HashSet;
use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};

/// One JSON object a line, oldest import first. Lines are only ever added.
const FILE: &str = "review_decisions.ndjson";

/// The contract's table that decisions become rows of.
const TABLE: &str = "review_decisions";

/// A decision as it is kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Kept {
    pub(super) order_id: String,
    pub(super) decision: String,
    /// RFC 3339.
    pub(super) decided_at: String,
    #[serde(default)]
    pub(super) reviewer: Option<String>,
    #[serde(default)]
    pub(super) note: Option<String>,
}

impl Kept {
    /// When it was decided, UTC microseconds.
    pub(super) fn at(&self) -> i64 {
        // Checked when it was read.
        parse_instant(&self.decided_at).unwrap_or_default()
    }

    /// The contract's key of a decision.
    pub(super) fn key(&self) -> (String, Option<String>, i64) {
        (self.order_id.clone(), self.reviewer.clone(), self.at())
    }
}

/// Where decisions of an output folder are kept.
pub(super) fn path(out: &Path) -> PathBuf {
    out.join(STATE_DIR).join(FILE)
}

fn bytes(out: &Path) -> Result<Vec<u8>> {
    let path = path(out);
    match std::fs::read(&path) {
        Ok(bytes) => Ok(bytes),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(Error::io("read", &path)(error)),
    }
}

fn parse(out: &Path, bytes: &[u8]) -> Result<Vec<Kept>> {
    let lines = bytes.split(|b| *b == b'\n').enumerate().filter(|(_, line)| !line.trim_ascii().is_empty());
    let read = |(number, line): (usize, &[u8])| {
        let refused = |what: String| Error::InputRefused {
            message: format!("{} line {} is not a decision: {what}", path(out).display(), number + 1),
            hint: Some("take the line out, and import the file it came from again".to_owned()),
        };
        let kept: Kept = serde_json::from_slice(line).map_err(|e| refused(e.to_string()))?;
        if !DECISIONS.contains(&kept.decision.as_str()) {
            return Err(refused(format!("`decision` must be one of {}", DECISIONS.join(", "))));
        }
        if parse_instant(&kept.decided_at).is_none() {
            return Err(refused("`decided_at` is not an RFC 3339 instant".to_owned()));
        }
        Ok(kept)
    };
    lines.map(read).collect()
}

/// Every kept decision, oldest import first.
///
/// # Errors
/// [`Error::InputRefused`] for a line that is no decision: somebody else wrote into the file.
pub(super) fn kept(out: &Path) -> Result<Vec<Kept>> {
    parse(out, &bytes(out)?)
}

/// Adds decisions. A reader, or a crash at any moment, meets the file with all of them or with none.
pub(super) fn append(out: &Path, more: &[Kept]) -> Result<()> {
    let (path, folder) = (path(out), out.join(STATE_DIR));
    create_private(&folder)?;
    let mut text = bytes(out)?;
    if text.last().is_some_and(|last| *last != b'\n') {
        text.push(b'\n');
    }
    for kept in more {
        serde_json::to_writer(&mut text, kept).map_err(|e| Error::Invariant(format!("a decision: {e}")))?;
        text.push(b'\n');
    }
    let new = folder.join(format!("{FILE}.new"));
    let written = File::create(&new).and_then(|mut file| file.write_all(&text).and_then(|()| file.sync_all()));
    if let Err(error) = written {
        // On a full disk what was begun is in the way of everybody else; if it stays, the next import writes over it.
        let _ = std::fs::remove_file(&new);
        return Err(Error::io("write", &new)(error));
    }
    std::fs::rename(&new, &path).map_err(Error::io("write", &path))?;
    File::open(&folder).and_then(|folder| folder.sync_all()).map_err(Error::io("sync", &folder))
}

/// A hash of the kept decisions of an output folder, `None` if there are none, and the orders they are about.
///
/// # Errors
/// As [`take_in`].
pub(in crate::pipeline) fn decided(out: &Path) -> Result<(Option<String>, Vec<String>)> {
    let bytes = bytes(out)?;
    if bytes.is_empty() {
        return Ok((None, Vec::new()));
    }
    let orders = parse(out, &bytes)?.into_iter().map(|kept| kept.order_id).collect();
    Ok((Some(blake3::hash(&bytes).to_hex().to_string()), orders))
}

/// Adds the kept decisions of an output folder to the rows of `review_decisions`, and gives the hash of what was added.
///
/// Only of orders that came in: the others wait for theirs. A decision that the mapped table has too, by the contract's
/// key, is not added twice. `None` when nothing is kept.
///
/// # Errors
/// [`Error::InputRefused`] for a kept line that is no decision.
pub(in crate::pipeline) fn take_in(out: &Path, ingested: &mut Ingested) -> Result<Option<(String, String)>> {
    let stage = || Error::frames("taking in review decisions");
    let bytes = bytes(out)?;
    let kept = parse(out, &bytes)?;
    if kept.is_empty() {
        return Ok(None);
    }
    let hash = (format!("review_desk/{FILE}"), blake3::hash(&bytes).to_hex().to_string());
    let Some(orders) = ingested.tables.get("orders") else { return Ok(Some(hash)) };
    let orders = orders.column("order_id").and_then(|c| c.str().cloned()).map_err(stage())?;
    let orders: HashSet<&str> = orders.iter().flatten().collect();
    let mapped = match ingested.tables.get(TABLE).filter(|table| table.height() > 0) {
        Some(table) => Some(with_reviewer(table).map_err(stage())?),
        None => None,
    };
    let mut seen = match &mapped {
        Some(table) => keys(table).map_err(stage())?,
        None => HashSet::new(),
    };
    let added: Vec<&Kept> =
        kept.iter().filter(|k| orders.contains(k.order_id.as_str()) && seen.insert(k.key())).collect();
    let frame = frame(&added).map_err(stage())?;
    let tally = ingested.table_rows.entry(TABLE.to_owned()).or_default();
    tally.read += added.len() as u64;
    tally.accepted += added.len() as u64;
    let whole = match mapped {
        Some(table) => table.vstack(&frame).map_err(stage())?,
        None => frame,
    };
    if whole.height() > 0 {
        ingested.tables.insert(TABLE, whole);
    }
    Ok(Some(hash))
}

/// The columns of a mapped table in our order; nobody's name where it maps none.
fn with_reviewer(table: &DataFrame) -> PolarsResult<DataFrame> {
    let mut table = table.clone();
    if table.get_column_index("reviewer").is_none() {
        table.with_column(Column::full_null("reviewer".into(), table.height(), &DataType::String))?;
    }
    table.select(["order_id", "decision", "decided_at", "reviewer"])
}

fn keys(table: &DataFrame) -> PolarsResult<HashSet<(String, Option<String>, i64)>> {
    let times = table.column("decided_at")?.to_physical_repr();
    let rows = table.column("order_id")?.str()?.iter().zip(table.column("reviewer")?.str()?.iter());
    let rows = rows.zip(times.i64()?.iter());
    Ok(rows
        .map(|((order, reviewer), at)| {
            (order.unwrap_or_default().to_owned(), reviewer.map(str::to_owned), at.unwrap_or_default())
        })
        .collect())
}

fn frame(decisions: &[&Kept]) -> PolarsResult<DataFrame> {
    let instant = DataType::Datetime(TimeUnit::Microseconds, Some(TimeZone::UTC));
    let text = |name: &str, pick: &dyn Fn(&Kept) -> Option<String>| {
        Column::new(name.into(), decisions.iter().map(|kept| pick(kept)).collect::<Vec<Option<String>>>())
    };
    let times = Column::new("decided_at".into(), decisions.iter().map(|kept| kept.at()).collect::<Vec<i64>>());
    DataFrame::new(
        decisions.len(),
        vec![
            text("order_id", &|k| Some(k.order_id.clone())),
            text("decision", &|k| Some(k.decision.clone())),
            times.cast(&instant)?,
            text("reviewer", &|k| k.reviewer.clone()),
        ],
    )
}
