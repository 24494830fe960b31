//! The commit: one record that makes a run count, then moves that anyone can finish.
//!
//! Before the record has its name, nothing outside the staging folder has changed, and the leftovers are dropped. From that
//! moment the run is published: what is left to do (move staged files into place, remove retired ones, drop the staging
//! folder) follows from the record alone, can be repeated, and is repeated by the next start if this one ends early.

use super::disk;
use super::fault::{Faults, Step};
use super::layout::{record_name, record_seq};
use super::record::{Record, sequence};
use crate::contract::output::{COMMITS_DIR, STAGING_DIR};
use crate::error::{Error, Result};
use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// Records that are kept. Only the newest is needed; the others tell a person what the last runs did.
const KEPT_RECORDS: usize = 10;

/// What a start finds on disk.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Observed {
    /// Staging folder that the newest commit record names.
    newest_staging: Option<String>,
    /// Names in the staging folder.
    staging: Vec<String>,
    /// Names in the folder of commit records.
    records: Vec<String>,
}

/// What a start has to do before anything else.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Recovery {
    /// The newest commit was not finished.
    finish: bool,
    /// Staging folders of runs that never counted.
    drop_staging: Vec<String>,
    /// Commit records that never got their name.
    drop_records: Vec<String>,
}

/// Decides what is left to do. Dropping the staging folder is the last step of a commit, so that the folder's being there
/// is what tells an unfinished commit from a finished one.
fn decide(observed: &Observed) -> Recovery {
    let ours = |name: &&String| Some(*name) == observed.newest_staging.as_ref();
    Recovery {
        finish: observed.staging.iter().any(|name| ours(&name)),
        drop_staging: observed.staging.iter().filter(|name| !ours(name)).cloned().collect(),
        drop_records: observed.records.iter().filter(|name| record_seq(name).is_none()).cloned().collect(),
    }
}

/// Finishes or drops what an earlier run left, and returns the newest commit.
pub(super) fn recover(out: &Path, faults: &Faults) -> Result<Option<Record>> {
    let commits = out.join(COMMITS_DIR);
    let staging = out.join(STAGING_DIR);
    let newest = match sequence(out)?.last() {
        Some(seq) => Some(Record::read(&commits.join(record_name(*seq)))?),
        None => None,
    };
    let recovery = decide(&Observed {
        newest_staging: newest.as_ref().map(|r| r.staging.clone()),
        staging: disk::names(&staging)?,
        records: disk::names(&commits)?,
    });
    for name in &recovery.drop_records {
        disk::remove_file(&commits.join(name))?;
    }
    for name in &recovery.drop_staging {
        disk::remove_folder(&staging.join(name))?;
    }
    if let (true, Some(record)) = (recovery.finish, &newest) {
        tracing::info!(run = %record.run_id, "finishing the commit of a run that was stopped");
        finish(out, record, faults)?;
    }
    Ok(newest)
}

/// Makes the run of `record` count, then finishes it. Its staged files must be written.
pub(super) fn commit(out: &Path, record: &Record, faults: &Faults) -> Result<()> {
    let staging = out.join(STAGING_DIR).join(&record.staging);
    faults.check(Step::SyncStaging)?;
    let paths: Vec<String> = record.staged().map(|file| record.staged_path(&file.path)).collect();
    let folders = folders_above(paths.iter().map(String::as_str));
    let below = paths.iter().map(Path::new).chain(folders.iter().map(PathBuf::as_path));
    let staged: Vec<PathBuf> = below.map(|path| staging.join(path)).chain([out.join(STAGING_DIR)]).collect();
    disk::sync_all(&staged)?;

    let commits = out.join(COMMITS_DIR);
    disk::create_folder(&commits)?;
    let named = commits.join(record_name(record.seq));
    let unnamed = commits.join(format!("{}.tmp", record_name(record.seq)));
    faults.check(Step::WriteRecord)?;
    if let Err(error) = disk::write(&unnamed, &record.to_json()?).and_then(|()| disk::sync(&unnamed)) {
        // As the staging folder: on a full disk what never counted goes at once, else with the next start.
        let _ = disk::remove_file(&unnamed);
        return Err(error);
    }
    faults.check(Step::PublishRecord)?;
    disk::publish_new(&unnamed, &named)?;
    disk::sync_all(&[commits, out.to_owned()])?;
    finish(out, record, faults)
}

/// True once commit `seq` counts.
pub(super) fn is_published(out: &Path, seq: u64) -> bool {
    out.join(COMMITS_DIR).join(record_name(seq)).exists()
}

/// Does what a published record says. Every step may have been done before.
fn finish(out: &Path, record: &Record, faults: &Faults) -> Result<()> {
    let staging = out.join(STAGING_DIR).join(&record.staging);
    for file in record.staged() {
        faults.check(Step::MoveFile)?;
        move_into_place(&staging.join(record.staged_path(&file.path)), &out.join(&file.path))?;
    }
    for path in &record.retire {
        faults.check(Step::RetireFile)?;
        let file = out.join(path);
        disk::remove_file(&file)?;
        // A partition that lost its last file goes too; a folder that still holds something stays.
        if let Some(folder) = file.parent().filter(|_| path.matches('/').count() > 1) {
            let _ = fs::remove_dir(folder);
        }
    }
    faults.check(Step::SyncFolders)?;
    let touched =
        folders_above(record.staged().map(|f| f.path.as_str()).chain(record.retire.iter().map(String::as_str)));
    let touched: Vec<PathBuf> = touched.into_iter().map(|f| out.join(f)).filter(|f| f.is_dir()).collect();
    disk::sync_all(&touched)?;
    faults.check(Step::DropStaging)?;
    disk::remove_folder(&staging)?;
    faults.check(Step::PruneRecords)?;
    let numbers = sequence(out)?;
    for seq in numbers.iter().take(numbers.len().saturating_sub(KEPT_RECORDS)) {
        disk::remove_file(&out.join(COMMITS_DIR).join(record_name(*seq)))?;
    }
    Ok(())
}

/// Renames a staged file over the published one. If it is not staged any more, an earlier attempt moved it.
fn move_into_place(from: &Path, to: &Path) -> Result<()> {
    if let Some(folder) = to.parent() {
        disk::create_folder(folder)?;
    }
    match fs::rename(from, to) {
        Err(error) if error.kind() == io::ErrorKind::NotFound && to.exists() => Ok(()),
        other => other.map_err(Error::io("move into place", to)),
    }
}

/// The folders that hold `paths`, with those above them up to the root they are relative to (the empty path).
fn folders_above<'a>(paths: impl Iterator<Item = &'a str>) -> BTreeSet<PathBuf> {
    paths.flat_map(|path| Path::new(path).ancestors().skip(1).map(Path::to_owned)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(names: &[&str]) -> Vec<String> {
        names.iter().map(|n| (*n).to_owned()).collect()
    }

    #[test]
    fn a_clean_folder_needs_nothing() {
        let observed =
            Observed { newest_staging: Some("2-a".into()), staging: vec![], records: names(&["00000002.json"]) };
        assert_eq!(decide(&observed), Recovery::default());
        assert_eq!(decide(&Observed::default()), Recovery::default());
    }

    #[test]
    fn a_run_that_never_counted_is_dropped_even_if_it_has_the_id_of_one_that_did() {
        let observed = Observed {
            newest_staging: Some("00000002-same".into()),
            staging: names(&["00000003-same"]),
            records: names(&["00000002.json", "00000003.json.tmp"]),
        };
        let expected = Recovery {
            finish: false,
            drop_staging: names(&["00000003-same"]),
            drop_records: names(&["00000003.json.tmp"]),
        };
        assert_eq!(decide(&observed), expected);
    }

    #[test]
    fn a_commit_whose_staging_folder_still_stands_is_finished() {
        let observed = Observed {
            newest_staging: Some("00000002-b".into()),
            staging: names(&["00000001-a", "00000002-b"]),
            records: names(&["00000001.json", "00000002.json"]),
        };
        let expected = Recovery { finish: true, drop_staging: names(&["00000001-a"]), drop_records: vec![] };
        assert_eq!(decide(&observed), expected);
    }

    #[test]
    fn the_folders_of_a_file_reach_up_to_the_output_folder_itself() {
        let folders: Vec<PathBuf> = folders_above(["kpi/grain=day/part-0.parquet"].into_iter()).into_iter().collect();
        assert_eq!(folders, [PathBuf::new(), PathBuf::from("kpi"), PathBuf::from("kpi/grain=day")]);
    }
}
