//! What every run needs first: a clock, a key for personal data, accepted tables as known at the clock.

use crate::config::Pipeline;
use crate::contract::output::{CACHE_DIR, STATE_DIR};
use crate::error::{Error, Result};
use crate::ingest::{Ingested, PersonalKey, create_private, ingest};
use std::collections::BTreeMap;
use std::path::Path;

/// The clock of a run: the instant it takes for now, and the instant it was started.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Clock {
    /// The run's clock: command line, else pipeline file, else the start. UTC microseconds.
    pub as_of: i64,
    /// When the process started; stands in `runs` only.
    pub started_at: i64,
}

impl Clock {
    /// The clock of a run that was started at `started_at`.
    pub fn new(pipeline: &Pipeline, given: Option<i64>, started_at: i64) -> Self {
        Self { as_of: given.or(pipeline.as_of).unwrap_or(started_at), started_at }
    }
}

/// The key of personal hashes: from a secret that the caller has, else the one kept beside the state.
///
/// # Errors
/// [`Error::Environment`] if the key can be neither read nor made.
pub fn personal_key(out: &Path, secret: Option<&str>) -> Result<PersonalKey> {
    match secret {
        Some(secret) => Ok(PersonalKey::from_secret(secret)),
        None => {
            let state = out.join(STATE_DIR);
            create_private(&state)?;
            PersonalKey::kept_at(&state.join("personal.key"))
        }
    }
}

/// The tables that KPIs, satisfaction, exceptions and features read today.
pub(super) const COMPUTED_ON: &[&str] =
    &["orders", "order_items", "order_events", "returns", "tickets", "feedback", "inventory", "review_decisions"];

/// Accepted tables at the run's clock.
pub(super) struct Inputs {
    /// What came in; its tables hold only what was known at the clock.
    pub(super) ingested: Ingested,
    /// Accepted rows that had not happened yet, by table.
    pub(super) later: BTreeMap<&'static str, u64>,
    /// Content hash of every input file, by `source/file`.
    pub(super) hashes: BTreeMap<String, String>,
}

pub(super) fn read(
    pipeline: &Pipeline,
    out: &Path,
    key: &PersonalKey,
    as_of: i64,
    tick: &(dyn Fn(&str) + Sync),
) -> Result<Inputs> {
    let ingested = ingest(pipeline, &out.join(CACHE_DIR), key, as_of, &|table| COMPUTED_ON.contains(&table), tick)?;
    ingested.check_limit(pipeline.raw.quarantine.max_share)?;
    if ingested.tables.get("orders").is_none_or(|o| o.height() == 0) {
        return Err(Error::InputRefused {
            message: "no order was accepted".to_owned(),
            hint: Some("`ordersight check PIPELINE` shows what became of the rows".to_owned()),
        });
    }
    known(out, ingested, as_of)
}

/// What was known at the clock of everything that came in.
///
/// # Errors
/// [`Error::InputRefused`] for a kept decision that is none.
pub(super) fn known(out: &Path, mut ingested: Ingested, as_of: i64) -> Result<Inputs> {
    // What the desk decided on what was published here before: facts like any other, known from when they were decided.
    let decided = super::desk::take_in(out, &mut ingested)?;
    let later = super::as_of::known_at(&mut ingested.tables, as_of)?;
    let hashes = ingested
        .files
        .iter()
        .flat_map(|(source, files)| files.iter().map(move |f| (format!("{source}/{}", f.name), f.content_hash.clone())))
        .chain(decided)
        .collect();
    Ok(Inputs { ingested, later, hashes })
}
