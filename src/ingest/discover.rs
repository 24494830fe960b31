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

/// Ends of names that writers give to what is not whole yet, and the mark beside a whole file.
const UNFINISHED: &[&str] = &[".tmp", ".part", ".partial", ".crdownload", DONE];

/// End of the name of an empty file that says: the file of this name without the end is complete.
pub(crate) const DONE: &str = ".done";

/// True for names of what is not whole yet and of marks, which are no data whatever format the source says it has.
pub(crate) fn is_unfinished(name: &str) -> bool {
    let lower = name.to_ascii_lowercase();
    UNFINISHED.iter().any(|end| lower.ends_with(end))
}

/// True for names that listings leave out unless they are asked for.
pub(crate) fn is_hidden(name: &str) -> bool {
    name.starts_with(['.', '_'])
}

/// What stands on disk where a source points to.
#[derive(Debug)]
pub(crate) struct Listed {
    /// The folder that names are relative to.
    pub root: PathBuf,
    /// Files, in no order; empty when there is none yet.
    pub paths: Vec<PathBuf>,
}

/// Finds the files of a source, in the order of their names.
///
/// # Errors
/// [`Error::InputRefused`] when there is none or a format cannot be told; [`Error::Environment`] on a folder that cannot be listed.
pub(super) fn files(name: &str, source: &Source, base_dir: &Path) -> Result<Vec<SourceFile>> {
    let Listed { root, mut paths } = listed(name, source, base_dir)?;
    if paths.is_empty() {
        return Err(Error::InputRefused {
            message: format!("source `{name}`: no file at `{}`", base_dir.join(&source.path).display()),
            hint: Some("paths are relative to the pipeline file; `${VAR}` may point elsewhere".to_owned()),
        });
    }
    paths.sort();
    paths
        .into_iter()
        .map(|path| {
            let format = source.format.or_else(|| format_of(&path)).ok_or_else(|| Error::InputRefused {
                message: format!("source `{name}`: the format of `{}` cannot be told from its name", path.display()),
                hint: Some("set `format` to csv, ndjson or parquet".to_owned()),
            })?;
            let name = name_below(&root, &path);
            Ok(SourceFile { path, name, format })
        })
        .collect()
}

/// Lists the files of a source; that there is none is for the caller to judge.
///
/// # Errors
/// [`Error::InputRefused`] when the path is no valid glob; [`Error::Environment`] on a folder that cannot be listed.
pub(crate) fn listed(name: &str, source: &Source, base_dir: &Path) -> Result<Listed> {
    let full = base_dir.join(&source.path);
    if full.is_file() {
        return Ok(Listed { root: full.parent().map(Path::to_owned).unwrap_or_default(), paths: vec![full] });
    }
    if full.is_dir() {
        let mut paths = Vec::new();
        for entry in std::fs::read_dir(&full).map_err(Error::io("list", &full))? {
            let path = entry.map_err(Error::io("list", &full))?.path();
            let name = path.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
            let is_data = !is_hidden(&name) && !is_unfinished(&name);
            if path.is_file() && is_data && (source.format.is_some() || format_of(&path).is_some()) {
                paths.push(path);
            }
        }
        return Ok(Listed { root: full, paths });
    }
    let pattern = full.to_string_lossy().into_owned();
    let matches = glob::glob(&pattern).map_err(|e| Error::InputRefused {
        message: format!("source `{name}`: `{pattern}` is not a valid glob: {e}"),
        hint: None,
    })?;
    let means_hidden = source.path.rsplit('/').next().is_some_and(is_hidden);
    let is_data = |path: &PathBuf| {
        let name = path.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
        path.is_file() && !is_unfinished(&name) && (means_hidden || !is_hidden(&name))
    };
    let paths = matches.filter_map(|m| m.ok()).filter(is_data).collect();
    let root = full.components().take_while(|c| !has_wildcard(&c.as_os_str().to_string_lossy())).collect();
    Ok(Listed { root, paths })
}

/// True when a part of a path is a pattern and not a name.
pub(crate) fn has_wildcard(part: &str) -> bool {
    part.contains(['*', '?', '['])
}

/// The name of a file in quarantine and in inputs: relative to the folder of its source, with `/`.
pub(crate) fn name_below(root: &Path, path: &Path) -> String {
    let relative = path.strip_prefix(root).unwrap_or(path);
    relative.components().map(|c| c.as_os_str().to_string_lossy()).collect::<Vec<_>>().join("/")
}

/// The format that a file's name tells.
pub(crate) fn format_of(path: &Path) -> Option<Format> {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_whole_yet_is_no_data_even_where_the_source_names_the_format() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["a.csv", "b.dat", "b.dat.done", "c.csv.tmp", "d.csv.PART", "_hidden.csv", ".e.csv"] {
            std::fs::write(folder.path().join(name), "id\n1\n").unwrap();
        }
        let names = |path: &str| {
            let text = format!("path = \"{path}\"\nformat = \"csv\"");
            let source: Source = toml::from_str(&text).unwrap();
            let found = files("s", &source, folder.path()).unwrap();
            found.into_iter().map(|file| file.name).collect::<Vec<_>>()
        };
        assert_eq!(names("."), ["a.csv", "b.dat"]);
        assert_eq!(names("*.*"), ["a.csv", "b.dat"]);
        assert_eq!(names("_*.csv"), ["_hidden.csv"]);
        assert_eq!(names("c.csv.tmp"), ["c.csv.tmp"], "who names a file means it");
    }
}
