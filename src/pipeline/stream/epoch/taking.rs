//! What came becomes typed, and is entered into the journal.

use super::Following;
use crate::contract::output::CACHE_DIR;
use crate::error::{Error, Result};
use crate::ingest::{STDIN, TypedFile, kept_file};
use crate::intake::{RefusedLine, TakenFile, Verdict};
use crate::pipeline::stream::take::{Gathered, LINES_FORMAT};
use crate::quarantine::Reason;
use rayon::prelude::*;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// Refused lines that are kept whatever their share: of a handful a few say little.
const A_FEW_LINES: u64 = 1_000;

impl Following<'_> {
    /// Types what came, and enters it into the journal. What cannot be read is tried again some time, or set aside.
    pub(super) fn take(&mut self, gathered: &Gathered, tick: &(dyn Fn(&str) + Sync)) -> Result<()> {
        let (typist, ahead) = (&self.typist, std::mem::take(&mut self.typed));
        let most = self.pipeline.raw.quarantine.max_share;
        let landed = gathered.files.par_iter().map(|file| {
            let typed = match ahead.get(&file.taken) {
                Some(typed) => Ok(typed.clone()),
                None => typist.typed(&file.taken.source, &file.taken.name, &file.path, file.format),
            };
            let typed = typed.and_then(|typed| is_usable(most, &file.taken, &typed).map(|()| typed));
            tick(&format!("{} {}", file.taken.source, file.taken.name));
            (file.taken.clone(), Some(file.arrived_at), typed)
        });
        let mut typed: Vec<(TakenFile, Option<SystemTime>, Result<TypedFile>)> = landed.collect();
        let now = (self.options.now)();
        for (source, records) in &gathered.records {
            match self.lines(source, records)? {
                (file, Ok(of_lines)) => typed.push((file, None, Ok(of_lines))),
                (file, Err(error)) => self.refuse_records(&file, records, &error),
            }
        }
        for unreadable in &gathered.unreadable {
            self.journal.progress.failures.failed(&unreadable.file, &unreadable.why, now);
        }
        for (file, changed_at, typed) in typed {
            match typed {
                // Something else was put in its place while it was read.
                Ok(typed) if typed.content_hash != file.content_hash => {}
                Ok(typed) => {
                    self.journal.progress.failures.succeeded(&file);
                    self.journal.take(file.clone(), kept_file(&typed), changed_at);
                    let files = self.files.entry(file.source.clone()).or_default();
                    let at = files.partition_point(|known| Path::new(&known.name) <= Path::new(&typed.name));
                    files.insert(at, typed.laid_down());
                    self.new.entry(file.source).or_default().push(typed);
                }
                // The machine, not the file.
                Err(error @ (Error::Environment { .. } | Error::Invariant(_))) if !is_gone(&error) => {
                    return Err(error);
                }
                Err(error) => {
                    let verdict = self.journal.progress.failures.failed(&file, &error.to_string(), now);
                    if verdict == Verdict::SetAside {
                        tracing::warn!(source = %file.source, file = %file.name, %error, "set aside");
                    }
                }
            }
        }
        for RefusedLine { line, reason, why, raw } in &gathered.refused {
            tracing::warn!(line, %why, "a line of standard input is no record");
            self.journal.refuse(self.typist.refused_line(STDIN, *line, *reason, why, raw));
        }
        self.journal.progress.lines += gathered.lines;
        self.lines_are_usable()
    }

    /// A producer whose lines are no records is no source of this pipeline: what it says is kept, up to where that would be
    /// without end.
    fn lines_are_usable(&self) -> Result<()> {
        let progress = &self.journal.progress;
        let (refused, taken, most) = (progress.lines_refused, progress.lines, self.pipeline.raw.quarantine.max_share);
        if refused <= A_FEW_LINES || refused as f64 <= most * taken as f64 {
            return Ok(());
        }
        let last = self.journal.refused().last();
        let last = last.map(|r| format!("; the last, line {}: {}", r.row, r.detail)).unwrap_or_default();
        Err(Error::InputRefused {
            message: format!(
                "{refused} of {taken} lines of standard input are no records ({:.1} %), the limit is {:.1} %{last}",
                100.0 * refused as f64 / taken as f64,
                100.0 * most
            ),
            hint: Some("what was published stands; raise `quarantine.max_share` only if these are expected".to_owned()),
        })
    }

    /// Lines cannot be read a second time: where they cannot be used together, each is refused.
    fn refuse_records(&mut self, file: &TakenFile, records: &[u8], error: &Error) {
        tracing::warn!(source = %file.source, %error, "lines of standard input cannot be used");
        for (row, record) in records.split(|b| *b == b'\n').filter(|record| !record.is_empty()).enumerate() {
            let (raw, why) = (String::from_utf8_lossy(record), format!("`{}`: {error}", file.source));
            let number = row as u64 + 1;
            self.journal.refuse(self.typist.refused_line(&file.name, number, Reason::UnreadableFile, &why, &raw));
        }
    }

    /// The records of one source on standard input as a file of their own.
    fn lines(&self, source: &str, records: &[u8]) -> Result<(TakenFile, Result<TypedFile>)> {
        let name = format!("{STDIN}-{:010}", self.journal.progress.epoch);
        let folder = self.options.out.join(CACHE_DIR).join("_lines");
        crate::ingest::create_private(&folder)?;
        let path: PathBuf = folder.join(format!("{source}-{name}"));
        std::fs::write(&path, records).map_err(Error::io("write", &path))?;
        let typed = self.typist.typed(source, &name, &path, LINES_FORMAT);
        let _ = std::fs::remove_file(&path);
        if let Err(error @ (Error::Environment { .. } | Error::Invariant(_))) = typed {
            return Err(error);
        }
        let content_hash = blake3::hash(records).to_hex().to_string();
        let file = TakenFile { source: source.to_owned(), name, size_in_bytes: records.len() as u64, content_hash };
        Ok((file, typed))
    }
}

/// A file of which more rows are refused than the pipeline lets pass is not that source's.
fn is_usable(most: f64, file: &TakenFile, typed: &TypedFile) -> Result<()> {
    let (refused, read) = (typed.findings.rejected.len() as u64, typed.findings.read);
    let first = typed.findings.rejected.first();
    // A line or two of a handful says little.
    if refused > 5 && refused as f64 > most * read as f64 {
        let example = first.map(|r| format!("; first row {}: {}", r.row, r.detail)).unwrap_or_default();
        return Err(Error::InputRefused {
            message: format!("{refused} of {read} rows of `{}` cannot be read{example}", file.name),
            hint: None,
        });
    }
    Ok(())
}

/// Whether an error says that a file went away before it was read.
fn is_gone(error: &Error) -> bool {
    matches!(error, Error::Environment { source, action: "read", .. } if source.kind() == std::io::ErrorKind::NotFound)
}
