//! A run that is being written: its files, before they count.

use super::layout::{begun_by, file_path, is_appended, staged_path, staging_name};
use super::made::MadeFile;
use super::parquet::{FileOptions, Packing, encode};
use super::parts::{Encoded, Prepared, encoded, files_of, partition_of};
use super::record::{FileEntry, PartitionColumn, Record};
use super::{Inner, commit, disk, fault::Step, parallel};
use crate::contract::output::{EVALUATION_DIR, OutputTable, STAGING_DIR, STATE_DIR};
use crate::error::{Error, Result};
use polars::prelude::{DataFrame, ParquetReader, SerReader};
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;

/// Commits for which a file stays that has no rows any more: at one a second, a minute.
const EMPTY_FOR: u64 = 60;

/// Rows of a file of a table that only grows, beyond which another one is begun.
const FULL_ROWS: u64 = 2_000;

/// What a commit takes the place of; everything else stays as it was published.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Replaces {
    /// Everything that a run publishes, except the tables that only grow (`runs`).
    Run,
    /// What the last evaluation of this target published.
    Evaluation(String),
    /// Tables and partitions that are written again; partitions that are not stay, as they do for
    /// [`Staging::write_partitions`].
    Epoch,
}

impl Replaces {
    /// Whether a file that was published before goes, if it is not published again. `whole` are the tables of which
    /// everything was written.
    fn takes(&self, old: &FileEntry, whole: &BTreeSet<&'static str>) -> bool {
        let of_evaluation = old.path.split('/').next() == Some(EVALUATION_DIR);
        match self {
            Self::Run => !of_evaluation && !crate::contract::output::output(&old.table).is_some_and(is_appended),
            Self::Evaluation(target) => of_evaluation && old.partition.as_ref() == Some(target),
            Self::Epoch => old.is_state() || whole.contains(old.table.as_str()),
        }
    }
}

/// The output of one run, written beside what is published. Dropped without [`commit`](Self::commit), it leaves no trace.
#[derive(Debug)]
pub struct Staging {
    inner: Arc<Inner>,
    previous: Option<Record>,
    replaces: Replaces,
    seq: u64,
    run_id: String,
    name: String,
    folder: PathBuf,
    metadata: BTreeMap<String, String>,
    /// Tables that were written, and those of which everything was.
    tables: BTreeSet<&'static str>,
    whole: BTreeSet<&'static str>,
    /// State files of the last commit that stay as they are.
    kept_state: BTreeSet<String>,
    /// Files of tables that only grow whose time is over.
    forgotten: BTreeSet<String>,
    /// Partitions that were told anew, by table.
    retold: BTreeSet<(String, String)>,
    partitions: BTreeMap<String, PartitionColumn>,
    files: Vec<FileEntry>,
    committed: bool,
}

/// What a commit did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Published {
    /// Number of the commit, from 1.
    pub seq: u64,
    /// Rows by table.
    pub rows: BTreeMap<String, u64>,
    /// Files that are new or changed.
    pub files_written: usize,
    /// Files that were the same as before, byte for byte, and were left alone.
    pub files_kept: usize,
    /// Files that are no longer part of the output.
    pub files_retired: usize,
    /// Bytes of the files of this run, kept ones included.
    pub size_in_bytes: u64,
    /// Bytes of all state that goes on from here.
    pub state_bytes: u64,
}

impl Staging {
    pub(super) fn new(
        inner: Arc<Inner>,
        previous: Option<Record>,
        replaces: Replaces,
        run_id: &str,
        metadata: BTreeMap<String, String>,
    ) -> Result<Self> {
        let seq = previous.as_ref().map_or(1, |r| r.seq + 1);
        let name = staging_name(seq, run_id);
        let folder = inner.out.join(STAGING_DIR).join(&name);
        disk::create_folder(&folder)?;
        Ok(Self {
            inner,
            previous,
            replaces,
            seq,
            run_id: run_id.to_owned(),
            name,
            folder,
            metadata,
            tables: BTreeSet::new(),
            whole: BTreeSet::new(),
            kept_state: BTreeSet::new(),
            forgotten: BTreeSet::new(),
            retold: BTreeSet::new(),
            partitions: BTreeMap::new(),
            files: Vec::new(),
            committed: false,
        })
    }

    /// Writes all rows of `table`: sorted, one file a partition, which is encoded in parallel.
    ///
    /// The partition column must be in the frame as a date or a text; it goes into folder names and not into the files. A
    /// frame without rows still makes one file, so that readers find the table and its columns: see
    /// [`PartitionType::of_nothing`] for where it stands. A file that equals the published one is not written again.
    /// Each table is written at most once a run.
    pub fn write(&mut self, table: &OutputTable, frame: &DataFrame) -> Result<()> {
        self.write_parts(table, frame, Packing::Small)?;
        self.whole.extend(crate::contract::output::output(table.name).map(|known| known.name));
        Ok(())
    }

    /// As [`write`](Self::write) for the partitions that `frame` has rows of; those published before and not among them
    /// stay as they are. Without any row nothing is written, unless the table was never published. Whoever writes partitions
    /// one by one writes them often: they are compressed the [quick](Packing::Quick) way.
    ///
    /// # Errors
    /// As [`write`](Self::write).
    pub fn write_partitions(&mut self, table: &OutputTable, frame: &DataFrame) -> Result<()> {
        let before = self.previous.iter().flat_map(|r| &r.files).any(|f| f.table == table.name);
        if frame.height() == 0 && before {
            return Ok(());
        }
        self.write_parts(table, frame, Packing::Quick)
    }

    /// Adds to what the files say that are written from now on; the same in equal runs.
    pub fn tell(&mut self, key: &str, value: String) {
        self.metadata.insert(key.to_owned(), value);
    }

    /// Says that partitions of a table were told anew: those of which nothing is written go.
    pub fn retell_partitions(&mut self, table: &OutputTable, partitions: impl Iterator<Item = String>) {
        self.retold.extend(partitions.map(|value| (table.name.to_owned(), value)));
    }

    /// Writes one file of what the next run or epoch goes on from; it counts with the commit. `name` is that of the file
    /// below [`STATE_DIR`], with `/`; it is not in the output and readers never meet it.
    ///
    /// # Errors
    /// [`Error::Environment`] when it cannot be written.
    pub fn write_state(&mut self, name: &str, bytes: &[u8]) -> Result<()> {
        let entry = self.stage(STATE_DIR, None, format!("{STATE_DIR}/{name}"), hashed(bytes), 0)?;
        self.files.push(entry);
        Ok(())
    }

    /// Takes over a file that was made before: it counts with the commit, as one of [`Self::write_state`] does, and is gone if
    /// that fails.
    ///
    /// # Errors
    /// [`Error::Environment`] when it cannot be moved.
    pub fn adopt_state(&mut self, name: &str, made: &MadeFile) -> Result<()> {
        self.inner.faults.check(Step::WriteFile)?;
        let path = format!("{STATE_DIR}/{name}");
        let to = self.folder.join(staged_path(&path));
        std::fs::rename(&made.path, &to).map_err(Error::io("move", &made.path))?;
        self.files.push(FileEntry {
            table: STATE_DIR.to_owned(),
            partition: None,
            path,
            size_in_bytes: made.size_in_bytes,
            rows: 0,
            blake3: made.blake3.clone(),
            staged: true,
            emptied_at: None,
            content: None,
        });
        Ok(())
    }

    /// Says that a state file of the last commit stays; one that is neither written again nor kept goes.
    pub fn keep_state(&mut self, name: &str) {
        self.kept_state.insert(format!("{STATE_DIR}/{name}"));
    }

    /// Writes a table that was encoded before, all of it.
    ///
    /// # Errors
    /// As [`write`](Self::write).
    pub fn write_prepared(&mut self, prepared: &Prepared) -> Result<()> {
        let name = self.begin_table(prepared.table)?;
        for file in &prepared.files {
            let entry = self.stage_encoded(prepared.table, file)?;
            self.files.push(entry);
        }
        self.partitions.extend(prepared.partition.clone().map(|column| (name.to_owned(), column)));
        self.whole.insert(name);
        Ok(())
    }

    fn begin_table(&mut self, table: &OutputTable) -> Result<&'static str> {
        let known = crate::contract::output::output(table.name)
            .ok_or_else(|| Error::Invariant(format!("`{}` is not an output table", table.name)))?;
        if !self.tables.insert(known.name) {
            return Err(Error::Invariant(format!("table `{}` was written twice in one run", table.name)));
        }
        Ok(known.name)
    }

    fn write_parts(&mut self, table: &OutputTable, frame: &DataFrame, packing: Packing) -> Result<()> {
        let name = self.begin_table(table)?;
        let (parts, rows) = files_of(table, frame)?;
        let threads = rayon::current_num_threads();
        let files = parallel::map(&parts.parts, threads, |part| {
            self.stage_encoded(table, &encoded(table, &rows, part, (&self.metadata, packing))?)
        })?;
        self.files.extend(files);
        self.partitions.extend(partition_of(table, &parts).map(|column| (name.to_owned(), column)));
        Ok(())
    }

    /// Stages a file. One whose rows an epoch tells again as they were published stays, and tells of the run that told
    /// them first.
    fn stage_encoded(&self, table: &OutputTable, file: &Encoded) -> Result<FileEntry> {
        let path = file_path(table, file.partition.as_deref(), self.seq);
        if self.replaces == Replaces::Epoch
            && let Some(old) = self.previous.as_ref().and_then(|previous| previous.file(&path))
            && old.content.as_ref() == Some(&file.content)
            && disk::is_there(&self.inner.out.join(&path), old.size_in_bytes)
        {
            return Ok(FileEntry { staged: false, ..old.clone() });
        }
        let entry =
            self.stage(table.name, file.partition.clone(), path, (&file.bytes, file.blake3.clone()), file.rows)?;
        Ok(FileEntry { content: Some(file.content.clone()), ..entry })
    }

    /// Writes the evaluation's own document of a target, `evaluation/TARGET.json`, which is no table.
    pub fn write_document(&mut self, target: &str, bytes: &[u8]) -> Result<()> {
        let path = format!("{EVALUATION_DIR}/{target}.json");
        let entry = self.stage(EVALUATION_DIR, Some(target.to_owned()), path, hashed(bytes), 0)?;
        self.files.push(entry);
        Ok(())
    }

    /// Adds rows to a table that only grows. Small commits do not leave a small file each: rows join the newest file until
    /// it has [`FULL_ROWS`], and a rename replaces it, so that no reader ever meets a row twice.
    ///
    /// # Errors
    /// As [`write`](Self::write); [`Error::Frames`] when the newest file cannot be read.
    pub fn append(&mut self, table: &OutputTable, frame: &DataFrame) -> Result<()> {
        let stage = || Error::frames(format!("writing `{}`", table.name));
        let Some(newest) = self.grown(table).pop().filter(|f| f.rows < FULL_ROWS) else {
            return self.write_parts(table, frame, Packing::Small);
        };
        let path = self.inner.out.join(&newest.path);
        let file = std::fs::File::open(&path).map_err(Error::io("read", &path))?;
        let mut rows = ParquetReader::new(file).finish().map_err(stage())?;
        if rows.schema() != frame.schema() {
            return self.write_parts(table, frame, Packing::Small);
        }
        rows.vstack_mut(frame).map_err(stage())?;
        let options = FileOptions { sorted_by: table.sort, bloom: table.bloom, packing: Packing::Small };
        let bytes = encode(&rows, options, &self.metadata)?;
        let entry = self.stage(table.name, None, newest.path.clone(), hashed(&bytes), rows.height() as u64)?;
        self.files.push(entry);
        Ok(())
    }

    /// Lets go of the files of a table that only grows whose rows are all from before an instant (UTC microseconds) by this
    /// column. The newest file stays, so that readers still find the table. Comes after what is added.
    ///
    /// # Errors
    /// [`Error::Environment`] and [`Error::Frames`] when a file cannot be read.
    pub fn forget(&mut self, table: &OutputTable, column: &str, before: i64) -> Result<()> {
        let stage = || Error::frames(format!("retention of `{}`", table.name));
        let mut files = self.grown(table);
        let begins_another = self.files.iter().any(|f| f.table == table.name && files.iter().all(|g| g.path != f.path));
        if !begins_another {
            files.pop();
        }
        let paths: Vec<String> = files.into_iter().filter(|file| file.rows > 0).map(|file| file.path.clone()).collect();
        for path in paths {
            let place = self.inner.out.join(&path);
            let file = std::fs::File::open(&place).map_err(Error::io("read", &place))?;
            let reader = ParquetReader::new(file).with_columns(Some(vec![column.to_owned()]));
            let times = reader.finish().and_then(|f| f.column(column).map(|c| c.to_physical_repr())).map_err(stage())?;
            if times.i64().map_err(stage())?.iter().flatten().max().is_some_and(|newest| newest >= before) {
                // Those after it are newer yet.
                break;
            }
            self.forgotten.insert(path);
        }
        Ok(())
    }

    /// The published files of a table that only grows, the newest last.
    fn grown(&self, table: &OutputTable) -> Vec<&FileEntry> {
        let files = self.previous.iter().flat_map(|r| &r.files);
        let mut files: Vec<&FileEntry> = files.filter(|f| f.table == table.name && f.emptied_at.is_none()).collect();
        files.sort_by_key(|file| begun_by(&file.path));
        files
    }

    /// A file that holds no row any more, in the place of one that is no longer part of the output.
    ///
    /// Whoever listed the folder before opens it still: a stream publishes every few seconds, and readers by plain glob
    /// must not run into a file that is gone. It is removed [`EMPTY_FOR`] commits later.
    fn emptied(&self, old: &FileEntry) -> Result<FileEntry> {
        let path = self.inner.out.join(&old.path);
        let stage = || Error::frames(format!("emptying `{}`", old.path));
        let file = std::fs::File::open(&path).map_err(Error::io("read", &path))?;
        let nothing = ParquetReader::new(file).with_slice(Some((0, 0))).finish().map_err(stage())?;
        let bytes = encode(&nothing.clear(), FileOptions::default(), &self.metadata)?;
        let entry = self.stage(&old.table, old.partition.clone(), old.path.clone(), hashed(&bytes), 0)?;
        Ok(FileEntry { emptied_at: Some(self.seq), ..entry })
    }

    fn stage(
        &self,
        table: &str,
        partition: Option<String>,
        path: String,
        (bytes, blake3): (&[u8], String),
        rows: u64,
    ) -> Result<FileEntry> {
        self.inner.faults.check(Step::WriteFile)?;
        let kept = disk::holds(&self.inner.out.join(&path), bytes)?;
        if !kept {
            disk::write(&self.folder.join(staged_path(&path)), bytes)?;
        }
        Ok(FileEntry {
            table: table.to_owned(),
            partition,
            path,
            size_in_bytes: bytes.len() as u64,
            rows,
            blake3,
            staged: !kept,
            emptied_at: None,
            content: None,
        })
    }

    /// Rows written so far, by table.
    pub fn rows(&self) -> BTreeMap<String, u64> {
        let mut rows = BTreeMap::new();
        for file in self.files.iter().filter(|file| !file.is_state()) {
            *rows.entry(file.table.clone()).or_insert(0) += file.rows;
        }
        rows
    }

    /// Publishes the run: it takes the place of what it [`Replaces`], and everything else stays published.
    ///
    /// On an error before the commit record has its name, what was published is untouched. On an error after it, the run
    /// counts, readers through [`snapshot`](super::snapshot) see all of it, and the next start moves the rest into place.
    pub fn commit(mut self) -> Result<Published> {
        let rows = self.rows();
        let size_in_bytes = self.files.iter().map(|f| f.size_in_bytes).sum();
        // State is no output.
        let output = || self.files.iter().filter(|f| !f.is_state());
        let files_kept = output().filter(|f| !f.staged).count();
        let files_written = output().count() - files_kept;
        let live: BTreeSet<String> = self.files.iter().map(|f| f.path.clone()).collect();
        let written: BTreeSet<String> = self.files.iter().filter(|f| f.rows > 0).map(|f| f.table.clone()).collect();
        let mut files = std::mem::take(&mut self.files);
        let mut retire = Vec::new();
        let mut partitions = std::mem::take(&mut self.partitions);
        let previous = self.previous.take();
        for (previous, old) in previous.iter().flat_map(|r| r.files.iter().map(move |old| (r, old))) {
            if live.contains(&old.path) {
                continue;
            }
            let mut goes = self.replaces.takes(old, &self.whole) && !self.kept_state.contains(&old.path);
            goes |= self.forgotten.contains(&old.path);
            let partition = old.partition.as_ref().map(|value| (old.table.clone(), value.clone()));
            goes |= old.rows > 0 && partition.is_some_and(|partition| self.retold.contains(&partition));
            if self.replaces == Replaces::Epoch && !old.is_state() {
                // The empty file of a table without rows goes with its first rows.
                goes |= old.rows == 0 && old.emptied_at.is_none() && written.contains(&old.table);
                match (goes, old.emptied_at) {
                    (_, Some(since)) if self.seq.saturating_sub(since) < EMPTY_FOR => goes = false,
                    (_, Some(_)) => goes = true,
                    (true, None) => {
                        files.push(self.emptied(old)?);
                        continue;
                    }
                    (false, None) => {}
                }
            }
            if goes {
                retire.push(old.path.clone());
                continue;
            }
            files.push(FileEntry { staged: false, ..old.clone() });
            if let (false, Some(column)) = (partitions.contains_key(&old.table), previous.partitions.get(&old.table)) {
                partitions.insert(old.table.clone(), column.clone());
            }
        }
        let state_bytes = files.iter().filter(|file| file.is_state()).map(|file| file.size_in_bytes).sum();
        let state = format!("{STATE_DIR}/");
        let files_retired = retire.iter().filter(|path| !path.starts_with(&state)).count();
        let record = Record::new(self.seq, self.run_id.clone(), self.name.clone(), partitions, files, retire);
        let done = commit::commit(&self.inner.out, &record, &self.inner.faults);
        // The record on disk decides whether the run counts, not whether the rest of the work went well.
        self.committed = commit::is_published(&self.inner.out, self.seq);
        done?;
        Ok(Published { seq: self.seq, rows, files_written, files_kept, files_retired, size_in_bytes, state_bytes })
    }
}

impl Drop for Staging {
    fn drop(&mut self) {
        // Frees the space at once, which matters most when the disk is full. If it fails, the next start does it.
        if !self.committed && !self.inner.faults.stopped() {
            let _ = disk::remove_folder(&self.folder);
        }
    }
}

/// Bytes of a file, with the hash of them.
fn hashed(bytes: &[u8]) -> (&[u8], String) {
    (bytes, blake3::hash(bytes).to_hex().to_string())
}
