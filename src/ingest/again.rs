//! The tables of an earlier run once more, from the typed copies it left in the cache.
//!
//! A typed copy is named after the hash of the bytes it was read from and of the plan it was read by, so it is what that run
//! read, whatever became of the sources since.

use super::cache::{Findings, TypedFile};
use super::discover::SourceFile;
use super::{Ingested, accept_all};
use crate::config::{Format, Pipeline};
use crate::error::{Error, Result};
use polars::prelude::DataFrame;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// A typed copy by name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeptFile {
    /// Name of the file it was read from.
    pub name: String,
    /// Hash of that file's bytes.
    pub content_hash: String,
    /// File name of the typed copy in the cache, without its ending.
    pub typed: String,
}

/// The typed copies that an ingest was made of, by source.
pub fn kept(ingested: &Ingested) -> BTreeMap<String, Vec<KeptFile>> {
    ingested.files.iter().map(|(source, files)| (source.clone(), files.iter().map(kept_file).collect())).collect()
}

/// A typed copy by its name.
pub fn kept_file(file: &TypedFile) -> KeptFile {
    KeptFile {
        name: file.name.clone(),
        content_hash: file.content_hash.clone(),
        typed: file.parquet.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default(),
    }
}

/// The accepted tables that an earlier ingest gave, from its typed copies in the folder `cache`.
///
/// # Errors
/// [`Error::Usage`] when a copy is gone; as [`super::ingest`] for the rest.
pub fn accepted_again(
    pipeline: &Pipeline,
    kept: &BTreeMap<String, Vec<KeptFile>>,
    cache: &Path,
    as_of: i64,
    wanted: &dyn Fn(&str) -> bool,
) -> Result<BTreeMap<&'static str, DataFrame>> {
    let mut files = BTreeMap::new();
    for (source, copies) in kept {
        let folder = cache.join(source);
        let typed = copies.iter().map(|copy| typed_again(&folder, copy)).collect::<Result<Vec<_>>>()?;
        files.insert(source.clone(), typed);
    }
    let mut tables = BTreeMap::new();
    accept_all(pipeline, &files, as_of, wanted, &mut |table, checked, _, _| {
        if wanted(table.name) {
            tables.insert(table.name, checked.accepted);
        }
        Ok(())
    })?;
    Ok(tables)
}

pub(super) fn typed_again(folder: &Path, copy: &KeptFile) -> Result<TypedFile> {
    let (parquet, findings) =
        (folder.join(format!("{}.parquet", copy.typed)), folder.join(format!("{}.json", copy.typed)));
    let gone = || Error::Usage {
        message: format!("the typed copy of `{}` is no longer in `{}`", copy.name, folder.display()),
        hint: Some(
            "run the pipeline again: with the same inputs it publishes the same, and the copies are back".to_owned(),
        ),
    };
    let text = match std::fs::read(&findings) {
        Ok(text) => text,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Err(gone()),
        Err(e) => return Err(Error::io("read", &findings)(e)),
    };
    let findings: Findings = serde_json::from_slice(&text).map_err(|_| gone())?;
    if !parquet.is_file() {
        return Err(gone());
    }
    Ok(TypedFile {
        name: copy.name.clone(),
        // Nothing is read from the source again.
        source: SourceFile { path: PathBuf::new(), name: copy.name.clone(), format: Format::Parquet },
        content_hash: copy.content_hash.clone(),
        parquet,
        findings,
        cached: true,
        at_hand: None,
    })
}
