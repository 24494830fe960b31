//! Where the files of a source land.

use crate::config::{Format, Source};
use crate::error::{Error, Result};
use crate::ingest::discover::{format_of, has_wildcard, is_hidden, is_unfinished, listed, name_below};
use std::io;
use std::path::{Path, PathBuf};

/// True for names that are no data whatever the source says: hidden, half-written, or a mark.
pub(super) fn is_never_data(name: &str) -> bool {
    is_hidden(name) || is_unfinished(name)
}

/// Where the files of a source land, as the disk is now: a folder that is not there yet may turn out to be a file.
#[derive(Debug)]
pub(super) enum Place {
    /// All in one folder, so that a name tells whether a file belongs to the source.
    Folder { folder: PathBuf, names: Names },
    /// In several folders: only a listing tells.
    Nested,
}

/// Which names in a folder belong to a source.
#[derive(Debug)]
pub(super) enum Names {
    One(String),
    All,
    Like(glob::Pattern),
}

impl Place {
    /// Where the path of a source points now.
    ///
    /// # Errors
    /// [`Error::Usage`] when the path is no valid glob.
    pub(super) fn of(name: &str, source: &Source, base_dir: &Path) -> Result<Self> {
        let full = base_dir.join(&source.path);
        if full.is_dir() {
            return Ok(Self::Folder { folder: full, names: Names::All });
        }
        let (Some(folder), Some(last)) = (full.parent(), full.file_name()) else { return Ok(Self::Nested) };
        let last = last.to_string_lossy();
        if full.is_file() || !has_wildcard(&full.to_string_lossy()) {
            return Ok(Self::Folder { folder: folder.to_owned(), names: Names::One(last.into_owned()) });
        }
        let wrong = |e: glob::PatternError| Error::Usage {
            message: format!("source `{name}`: `{}` is not a valid glob: {e}", source.path),
            hint: Some("`*` and `?` stand for any characters, `[ab]` for one of several, `**` for folders".to_owned()),
        };
        glob::Pattern::new(&full.to_string_lossy()).map_err(wrong)?;
        if has_wildcard(&folder.to_string_lossy()) {
            return Ok(Self::Nested);
        }
        let names = Names::Like(glob::Pattern::new(&last).map_err(wrong)?);
        Ok(Self::Folder { folder: folder.to_owned(), names })
    }
}

impl Names {
    /// True when a file of this name belongs to the source.
    pub(super) fn have(&self, name: &str, format: Option<Format>) -> bool {
        match self {
            Self::One(one) => one == name && !is_never_data(name),
            // As in a batch run: in a folder, names of no known format are left alone.
            Self::All => (format.is_some() || format_of(Path::new(name)).is_some()) && !is_never_data(name),
            Self::Like(pattern) => {
                pattern.matches(name) && !is_unfinished(name) && (is_hidden(pattern.as_str()) || !is_hidden(name))
            }
        }
    }
}

/// The names of a source's files below the folder they are named from, and their paths; in no order.
///
/// # Errors
/// [`Error::Environment`] on a folder that cannot be listed; one that does not exist has no files.
pub(super) fn list(place: &Place, name: &str, source: &Source, base_dir: &Path) -> Result<Vec<(String, PathBuf)>> {
    let Place::Folder { folder, names } = place else {
        let found = listed(name, source, base_dir)?;
        let named = found.paths.into_iter().map(|path| (name_below(&found.root, &path), path));
        return Ok(named.filter(|(_, path)| !is_never_data(&last_of(path))).collect());
    };
    let entries = match std::fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(e) if matches!(e.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => return Ok(Vec::new()),
        Err(e) => return Err(Error::io("list", folder)(e)),
    };
    let mut found = Vec::new();
    for entry in entries {
        let entry = entry.map_err(Error::io("list", folder))?;
        let name = entry.file_name().to_string_lossy().into_owned();
        // No question to the disk here: whether it is a file is seen when its size is looked at.
        if names.have(&name, source.format) {
            found.push((name, entry.path()));
        }
    }
    Ok(found)
}

fn last_of(path: &Path) -> String {
    path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
}
