//! What a run was made of, kept beside its output.

use crate::config::{Pipeline, RawPipeline};
use crate::contract::output::STATE_DIR;
use crate::error::{Error, Result};
use crate::ingest::{Ingested, KeptFile, create_private, kept};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Folder of the state with what the published run was made of.
const FOLDER: &str = "made_of";

/// What a run was made of.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct MadeOf {
    /// The run's clock.
    pub(super) as_of: i64,
    /// The program that made it: another one may define a KPI otherwise.
    pub(super) version: String,
    /// The pipeline file as it was named.
    pub(super) file: String,
    /// The folder that relative paths start from.
    pub(super) base_dir: PathBuf,
    /// The settings, variables expanded.
    pub(super) settings: RawPipeline,
    /// The typed copies, by source.
    pub(super) sources: BTreeMap<String, Vec<KeptFile>>,
}

/// Keeps what a run is made of, before it is published.
pub(in crate::pipeline) fn keep(
    out: &Path,
    run_id: &str,
    pipeline: &Pipeline,
    ingested: &Ingested,
    as_of: i64,
) -> Result<()> {
    let mut settings = pipeline.raw.clone();
    // Targets do not move a count, and their packs may be gone when somebody asks.
    settings.kpi.targets = None;
    let made_of = MadeOf {
        as_of,
        version: env!("CARGO_PKG_VERSION").to_owned(),
        file: pipeline.file.clone(),
        base_dir: std::path::absolute(&pipeline.base_dir).unwrap_or_else(|_| pipeline.base_dir.clone()),
        settings,
        sources: kept(ingested),
    };
    let folder = out.join(STATE_DIR).join(FOLDER);
    create_private(&out.join(STATE_DIR))?;
    create_private(&folder)?;
    let text = serde_json::to_vec(&made_of).map_err(|e| Error::Invariant(format!("what a run is made of: {e}")))?;
    let (path, new) = (folder.join(format!("{run_id}.json")), folder.join("new"));
    std::fs::write(&new, text).map_err(Error::io("write", &new))?;
    std::fs::rename(&new, &path).map_err(Error::io("write", &path))
}

/// Drops what was kept of runs that are no longer published. What cannot be dropped does no harm, and the run is published.
pub(in crate::pipeline) fn keep_only(out: &Path, run_id: &str) {
    let own = format!("{run_id}.json");
    let Ok(entries) = std::fs::read_dir(out.join(STATE_DIR).join(FOLDER)) else { return };
    for entry in entries.flatten().filter(|entry| entry.file_name().to_string_lossy() != own) {
        if let Err(error) = std::fs::remove_file(entry.path()) {
            tracing::debug!(path = %entry.path().display(), %error, "left over");
        }
    }
}

/// What the published run was made of.
///
/// # Errors
/// [`Error::Usage`] when it is not kept.
pub(super) fn made_of(out: &Path, run_id: &str) -> Result<MadeOf> {
    let path = out.join(STATE_DIR).join(FOLDER).join(format!("{run_id}.json"));
    let old = |what: &str| Error::Usage {
        message: format!("what run {run_id} was made of {what} in `{}`", path.display()),
        hint: Some(
            "run the pipeline again: with the same inputs it publishes the same, and can then be followed".to_owned(),
        ),
    };
    match std::fs::read(&path) {
        Ok(bytes) => serde_json::from_slice(&bytes).map_err(|_| old("was written by another version")),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Err(old("is not kept")),
        Err(e) => Err(Error::io("read", &path)(e)),
    }
}
