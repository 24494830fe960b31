//! Which files a source has.

use crate::config::{Format, Source};
use crate::error::{Error, Result};
use std::path::{Path, PathBuf};

/// A file of a source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct SourceFile {
    /// Where it is.
    pub path: PathBuf,
    /// Its name in quarantine and in the run's inputs: relative to the source's folder, with `/`.
    pub name: String,
    /// How it is read.
    pub format: Format,
}

/// Extensions that unpack while reading.
const PACKED: &[&str] = &["gz", "zst"];

/// Finds the files of a source, in the order of their names.
///
/// # Errors
/// [`Error::InputRefused`] when there is none or a format cannot be told; [`Error::Environment`] on a folder that cannot be listed.
pub(super) fn files(name: &str, source: &Source, base_dir: &Path) -> Result<Vec<SourceFile>> {
    let full = base_dir.join(&source.path);
    let refused = |message: String, hint: Option<&str>| Error::InputRefused { message, hint: hint.map(str::to_owned) };
    let (root, mut paths) = if full.is_file() {
        (full.parent().map(Path::to_owned).unwrap_or_default(), vec![full.clone()])
    } else if full.is_dir() {
        let mut paths = Vec::new();
        for entry in std::fs::read_dir(&full).map_err(Error::io("list", &full))? {
            let path = entry.map_err(Error::io("list", &full))?.path();
            let hidden = path.file_name().is_some_and(|n| n.to_string_lossy().starts_with(['.', '_']));
            if path.is_file() && !hidden && (source.format.is_some() || format_of(&path).is_some()) {
                paths.push(path);
            }
        }
        (full.clone(), paths)
    } else {
        let pattern = full.to_string_lossy().into_owned();
        let matches = glob::glob(&pattern)
            .map_err(|e| refused(format!("source `{name}`: `{pattern}` is not a valid glob: {e}"), None))?;
        let paths: Vec<PathBuf> = matches.filter_map(|m| m.ok()).filter(|p| p.is_file()).collect();
        let fixed: PathBuf =
            full.components().take_while(|c| !c.as_os_str().to_string_lossy().contains(['*', '?', '['])).collect();
        (fixed, paths)
    };
    if paths.is_empty() {
        return Err(refused(
            format!("source `{name}`: no file at `{}`", full.display()),
            Some("paths are relative to the pipeline file; `${VAR}` may point elsewhere"),
        ));
    }
    paths.sort();
    paths
        .into_iter()
        .map(|path| {
            let format = source.format.or_else(|| format_of(&path)).ok_or_else(|| {
                refused(
                    format!("source `{name}`: the format of `{}` cannot be told from its name", path.display()),
                    Some("set `format` to csv, ndjson or parquet"),
                )
            })?;
            let relative = path.strip_prefix(&root).unwrap_or(&path);
            let name = relative.components().map(|c| c.as_os_str().to_string_lossy()).collect::<Vec<_>>().join("/");
            Ok(SourceFile { path, name, format })
        })
        .collect()
}

fn format_of(path: &Path) -> Option<Format> {
    let name = path.file_name()?.to_string_lossy().to_lowercase();
    let mut parts: Vec<&str> = name.split('.').collect();
    if parts.last().is_some_and(|last| PACKED.contains(last)) {
        parts.pop();
    }
    match *parts.last()? {
        "csv" | "tsv" | "txt" => Some(Format::Csv),
        "ndjson" | "jsonl" | "json" => Some(Format::Ndjson),
        "parquet" | "pq" => Some(Format::Parquet),
        _ => None,
    }
}
