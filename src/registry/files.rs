//! The few ways the registry touches the disk: whole or not at all, synced before it counts.

use std::fs::{self, File};
use std::io::{ErrorKind, Write};
use std::path::Path;

use crate::error::{Error, Result};

/// The bytes of a file; `None` when it is not there.
pub(super) fn read(path: &Path) -> Result<Option<Vec<u8>>> {
    match fs::read(path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Error::io("read", path)(error)),
    }
}

/// Names of the visible folders in `dir`, sorted; none when `dir` is not there.
pub(super) fn folders(dir: &Path) -> Result<Vec<String>> {
    let entries = match fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(Error::io("read", dir)(error)),
    };
    let mut names = Vec::new();
    for entry in entries {
        let entry = entry.map_err(Error::io("read", dir))?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if !name.starts_with('.') && entry.path().is_dir() {
            names.push(name);
        }
    }
    names.sort();
    Ok(names)
}

/// Writes a folder of files under a hidden name, syncs it and renames it to `name`.
pub(super) fn write_folder(parent: &Path, name: &str, contents: &[(&str, Vec<u8>)]) -> Result<()> {
    let staging = parent.join(format!(".{name}"));
    // What an earlier attempt left behind was never part of the registry.
    match fs::remove_dir_all(&staging) {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(Error::io("clear", &staging)(error)),
        _ => {}
    }
    fs::create_dir_all(&staging).map_err(Error::io("create", &staging))?;
    for (file, bytes) in contents {
        write_synced(&staging.join(file), bytes)?;
    }
    sync_dir(&staging)?;
    let path = parent.join(name);
    fs::rename(&staging, &path).map_err(Error::io("create", &path))?;
    sync_dir(parent)
}

/// Replaces a file in one step: readers see the old bytes or the new ones.
pub(super) fn replace(dir: &Path, name: &str, bytes: &[u8]) -> Result<()> {
    let staging = dir.join(format!(".{name}"));
    write_synced(&staging, bytes)?;
    let path = dir.join(name);
    fs::rename(&staging, &path).map_err(Error::io("write", &path))?;
    sync_dir(dir)
}

/// Adds to the end of a file, which comes into being with its first bytes.
pub(super) fn append(dir: &Path, name: &str, bytes: &[u8]) -> Result<()> {
    let path = dir.join(name);
    let write = || -> std::io::Result<()> {
        let mut file = File::options().create(true).append(true).open(&path)?;
        file.write_all(bytes)?;
        file.sync_all()
    };
    write().map_err(Error::io("write", &path))?;
    sync_dir(dir)
}

/// Removes a file if it is there.
pub(super) fn remove(path: &Path) -> Result<()> {
    match fs::remove_file(path) {
        Ok(()) => path.parent().map_or(Ok(()), sync_dir),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        Err(error) => Err(Error::io("remove", path)(error)),
    }
}

fn write_synced(path: &Path, bytes: &[u8]) -> Result<()> {
    let write = || -> std::io::Result<()> {
        let mut file = File::create(path)?;
        file.write_all(bytes)?;
        file.sync_all()
    };
    write().map_err(Error::io("write", path))
}

/// Makes renames in `dir` last. Folders cannot be opened for this on Windows, which orders them itself.
fn sync_dir(dir: &Path) -> Result<()> {
    if cfg!(unix) { File::open(dir).and_then(|dir| dir.sync_all()).map_err(Error::io("sync", dir)) } else { Ok(()) }
}
