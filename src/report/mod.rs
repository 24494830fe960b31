//! `ordersight report`: one HTML file about what was published, for whoever looks first in the morning.
//!
//! ```text
//! published tables ─ data (SQL into plain structs) ─ figures (which to show) ─ page, svg (HTML) ─ OUT/report.html
//! ```
//!
//! - The file stands alone: no script, no network, charts drawn here; its own policy forbids loading anything.
//! - Equal tables give equal bytes: no clock is read, and times come from `runs`.
//! - Text from data is a [`Foreign`](words::Foreign), which can only be written escaped.
//! - A table that is absent or empty is said to be; it is no error.

mod data;
mod figures;
mod page;
mod stuck;
mod svg;
#[cfg(test)]
mod tests;
mod watched;
mod words;

use crate::error::{Error, Result};
use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};

/// Name of the file in the output folder.
pub const REPORT_FILE: &str = "report.html";

/// Writes the report of the newest published state of the output folder `out` into it, and returns the file's path.
///
/// All figures are of one state, even while a run publishes. The file is replaced whole.
///
/// # Errors
/// [`Error::Usage`] when nothing was published there, [`Error::Environment`] when the disk fails, and
/// [`Error::Invariant`] when a table is not what the contract says.
pub fn write(out: &Path) -> Result<PathBuf> {
    let data = crate::publish::read(out, &[], |snapshot| data::load(out, snapshot))?;
    let data = data.ok_or_else(|| Error::Usage {
        message: format!("nothing was published in `{}`, so there is nothing to report", out.display()),
        hint: Some("run `ordersight run PIPELINE --out DIR` first, or name the folder of an earlier run".to_owned()),
    })?;
    let file = out.join(REPORT_FILE);
    replace(&file, page::render(&data).as_bytes())?;
    Ok(file)
}

/// Puts `bytes` in the place of `file` by a rename, so that nobody ever reads half of them.
fn replace(file: &Path, bytes: &[u8]) -> Result<()> {
    // The process in the name keeps two writers apart; the last rename wins.
    let staged = file.with_extension(format!("html.{}.tmp", std::process::id()));
    let written = File::create(&staged).and_then(|mut f| f.write_all(bytes).and_then(|()| f.sync_all()));
    let placed = written.and_then(|()| fs::rename(&staged, file));
    placed.map_err(|error| {
        // What was there before is untouched; the leftover is dropped if it can be.
        let _ = fs::remove_file(&staged);
        Error::io("write", file)(error)
    })
}
