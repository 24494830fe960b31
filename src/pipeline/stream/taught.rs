//! What copies have learnt, on disk: state files of the stream's output, in the commit of the epoch they are of.
//!
//! ```text
//! _state/stream/learning-fraud.json             what was learnt, from what and until when
//! _state/stream/learning-fraud-days.json        how the copy stood on the days of orders that wait for their label
//! _state/stream/learning-fraud-0000000003.json  how examples would have been scored when they were placed, 1,000 a file
//! ```

use super::journal::FOLDER;
use crate::contract::output::STATE_DIR;
use crate::error::{Error, Result};
use crate::publish::{CommittedFile, Publisher};
use crate::registry::LearntUntil;
use crate::risk::Target;
use crate::risk::ftrl::copy::{LearningCopy, Standing, Tested};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::Duration;

/// Version of the shape.
const FORMAT: u32 = 1;

/// Examples of a file: the newest is written again with each epoch that learns, some sixty kilobytes at most.
const OF_A_FILE: u64 = 1_000;

/// Files of examples that stay: what a copy was worth is told by its latest 50,000.
const FILES: u64 = 50;

/// What a copy has learnt so far.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Saved {
    pub(super) format: u32,
    /// The version it was copied from.
    pub(super) version: String,
    /// What it learnt.
    pub(super) copy: LearningCopy,
    /// Orders placed up to here were learnt from in training, UTC microseconds.
    pub(super) placed_after: i64,
    /// Labels ripe up to here were learnt from by copies before it, UTC microseconds.
    pub(super) ripe_after: Option<i64>,
    /// Orders placed after this tell what it is worth, UTC microseconds.
    pub(super) tested_after: i64,
    /// The watermark up to which it has learnt, UTC microseconds.
    pub(super) until: i64,
    /// Orders that count as learnt from although they would wait by what is known of them now.
    pub(super) early: BTreeSet<String>,
}

impl Saved {
    pub(super) fn new(version: String, copy: LearningCopy, learnt: LearntUntil) -> Self {
        let LearntUntil { placed_at: placed_after, ripe_at: ripe_after, made_at: tested_after } = learnt;
        let until = ripe_after.unwrap_or(i64::MIN);
        let early = BTreeSet::new();
        Self { format: FORMAT, version, copy, placed_after, ripe_after, tested_after, until, early }
    }
}

/// How a copy stood from day to day.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct Days {
    version: String,
    days: Vec<Standing>,
}

/// What a state file of learning holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    Main,
    Days,
    Examples(u64),
}

/// Examples of one file, the first of them being `number × OF_A_FILE` after the copy began.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct Examples {
    version: String,
    /// `placed_at`, label, probability of the copy, probability of the model it is of.
    rows: Vec<(i64, bool, f64, f64)>,
}

/// State files of the copies between commits.
#[derive(Default)]
pub(super) struct Files {
    /// By name; `None` for those that stay as the last commit has them.
    files: BTreeMap<String, Option<Vec<u8>>>,
    /// The newest file of examples of a target, by its number.
    newest: BTreeMap<Target, (u64, Examples)>,
    /// The last of the days that were written.
    days: BTreeMap<Target, Option<Standing>>,
}

impl Files {
    /// The files of the last commit, and what they say copies have learnt.
    ///
    /// # Errors
    /// [`Error::Environment`] when they cannot be read or are of a later version.
    pub(super) fn read(publisher: &Publisher) -> Result<(Self, BTreeMap<Target, Saved>)> {
        let (mut files, mut saved, mut days) = (Self::default(), BTreeMap::<_, Saved>::new(), BTreeMap::new());
        for (name, CommittedFile { path, .. }) in publisher.state()? {
            let Some((target, part)) = parts_of(&name) else { continue };
            files.files.insert(name, None);
            match part {
                Part::Main => drop(saved.insert(target, of_this_format(read_json(&path)?, &path)?)),
                Part::Days => drop(days.insert(target, read_json::<Days>(&path)?)),
                // In the order of their names the last is the newest.
                Part::Examples(number) => drop(files.newest.insert(target, (number, read_json(&path)?))),
            }
        }
        for (target, saved) in &mut saved {
            let of_it = days.remove(target).filter(|days| days.version == saved.version).unwrap_or_default();
            files.days.insert(*target, of_it.days.last().cloned());
            saved.copy = saved.copy.clone().with_days(of_it.days);
        }
        Ok((files, saved))
    }

    /// Forgets what was written of a target.
    pub(super) fn drop_of(&mut self, target: Target) {
        self.files.retain(|name, _| parts_of(name).is_none_or(|(of, _)| of != target));
        self.newest.remove(&target);
        self.days.remove(&target);
    }

    /// Writes what a copy has learnt.
    ///
    /// # Errors
    /// [`Error::Invariant`] only for defects.
    pub(super) fn save(&mut self, target: Target, saved: &Saved) -> Result<()> {
        self.files.insert(main_name(target), Some(json(saved)?));
        let days = saved.copy.days();
        if self.days.get(&target).is_none_or(|last| last.as_ref() != days.last()) {
            let all = Days { version: saved.version.clone(), days: days.to_vec() };
            self.files.insert(days_name(target), Some(json(&all)?));
            self.days.insert(target, days.last().cloned());
        }
        Ok(())
    }

    /// Adds examples in the order in which they were learnt from.
    ///
    /// # Errors
    /// [`Error::Invariant`] only for defects.
    pub(super) fn tested(&mut self, target: Target, version: &str, tested: Vec<Tested>) -> Result<()> {
        let (mut number, mut examples) = self.newest.remove(&target).unwrap_or_default();
        examples.version = version.to_owned();
        for Tested { placed_at, label, learning, frozen } in tested {
            if examples.rows.len() as u64 == OF_A_FILE {
                self.files.insert(name_of(target, number), Some(json(&examples)?));
                number += 1;
                examples.rows.clear();
            }
            examples.rows.push((placed_at, label, learning, frozen));
        }
        if !examples.rows.is_empty() {
            self.files.insert(name_of(target, number), Some(json(&examples)?));
            let oldest = number.saturating_sub(FILES - 1);
            self.files.retain(|name, _| match parts_of(name) {
                Some((of, Part::Examples(number))) => of != target || number >= oldest,
                _ => true,
            });
            self.newest.insert(target, (number, examples));
        }
        Ok(())
    }

    /// What goes into the next commit: by name the bytes, or `None` for what stays.
    pub(super) fn take(&mut self) -> BTreeMap<String, Option<Vec<u8>>> {
        self.files.iter_mut().map(|(name, bytes)| (name.clone(), bytes.take())).collect()
    }
}

/// What the stream of an output folder has learnt, and how the latest examples were scored before.
///
/// # Errors
/// [`Error::Usage`] when nothing was learnt there, [`Error::Environment`] when it cannot be read.
pub(super) fn read(out: &Path, target: Target) -> Result<(Saved, Vec<Tested>)> {
    let folder = out.join(STATE_DIR);
    let main = folder.join(main_name(target));
    if !main.is_file() {
        return Err(Error::Usage {
            message: format!("no stream has learnt anything about {target} in `{}`", out.display()),
            hint: Some(
                "`ordersight stream` does where the challenger, or else the champion, is of the family `ftrl` and orders, \
                 not lines, are scored"
                    .to_owned(),
            ),
        });
    }
    // A stream at work moves files into place one by one: what does not belong together yet does in a moment.
    for _ in 0..100 {
        let saved: Saved = of_this_format(read_json(&main)?, &main)?;
        if let Some(tested) = examples_of(&folder, target, &saved)? {
            return Ok((saved, tested));
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    Err(damaged(&main, "its examples are not there"))
}

fn examples_of(folder: &Path, target: Target, saved: &Saved) -> Result<Option<Vec<Tested>>> {
    let all = saved.copy.tested;
    let (last, mut tested) = (all.saturating_sub(1) / OF_A_FILE, Vec::new());
    for number in last.saturating_sub(FILES - 1)..=last {
        let wanted = (all - number * OF_A_FILE).min(OF_A_FILE) as usize;
        let path = folder.join(name_of(target, number));
        if wanted == 0 {
            break;
        }
        let examples: Examples = match path.is_file() {
            true => read_json(&path)?,
            false => return Ok(None),
        };
        if examples.version != saved.version || examples.rows.len() < wanted {
            return Ok(None);
        }
        tested.extend(examples.rows.into_iter().take(wanted).map(|(placed_at, label, learning, frozen)| Tested {
            placed_at,
            label,
            learning,
            frozen,
        }));
    }
    Ok(Some(tested))
}

fn main_name(target: Target) -> String {
    format!("{FOLDER}/learning-{target}.json")
}

fn days_name(target: Target) -> String {
    format!("{FOLDER}/learning-{target}-days.json")
}

fn name_of(target: Target, number: u64) -> String {
    format!("{FOLDER}/learning-{target}-{number:010}.json")
}

/// What a state file is of, by its name below the state folder; `None` for files of others.
fn parts_of(name: &str) -> Option<(Target, Part)> {
    let name = name.strip_prefix(FOLDER)?.strip_prefix("/learning-")?.strip_suffix(".json")?;
    let (target, part) = match name.split_once('-') {
        Some((target, "days")) => (target, Part::Days),
        Some((target, number)) => (target, Part::Examples(number.parse().ok()?)),
        None => (name, Part::Main),
    };
    Some((Target::ALL.into_iter().find(|known| known.name() == target)?, part))
}

fn json(value: &impl Serialize) -> Result<Vec<u8>> {
    serde_json::to_vec(value).map_err(|error| Error::Invariant(format!("what was learnt: {error}")))
}

fn read_json<T: DeserializeOwned>(path: &Path) -> Result<T> {
    let bytes = std::fs::read(path).map_err(Error::io("read", path))?;
    serde_json::from_slice(&bytes).map_err(|error| damaged(path, &error.to_string()))
}

fn of_this_format(saved: Saved, path: &Path) -> Result<Saved> {
    if saved.format > FORMAT { Err(damaged(path, "written by a later version")) } else { Ok(saved) }
}

fn damaged(path: &Path, what: &str) -> Error {
    let source = std::io::Error::new(std::io::ErrorKind::InvalidData, format!("not what a stream has learnt: {what}"));
    Error::Environment { action: "read", path: path.to_owned(), source }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_say_what_files_are_of() {
        assert_eq!(parts_of(&main_name(Target::Return)), Some((Target::Return, Part::Main)));
        assert_eq!(parts_of(&days_name(Target::Fraud)), Some((Target::Fraud, Part::Days)));
        assert_eq!(parts_of(&name_of(Target::Fraud, 12)), Some((Target::Fraud, Part::Examples(12))));
        for other in ["stream/journal-0000000001.json", "stream/learning-x.json", "stream/learning-fraud-x.json"] {
            assert_eq!(parts_of(other), None, "{other}");
        }
    }

    #[test]
    fn files_of_examples_do_not_depend_on_the_parts_they_came_in_and_old_ones_go() {
        let all: Vec<Tested> = (0..OF_A_FILE * (FILES + 2) + 7)
            .map(|n| Tested { placed_at: n as i64, label: n % 9 == 0, learning: 1.0 / (n + 1) as f64, frozen: 0.5 })
            .collect();
        let after = |sizes: &[usize]| {
            let (mut files, mut kept, mut at, mut turn) = (Files::default(), BTreeMap::new(), 0, 0);
            while at < all.len() {
                let until = (at + sizes[turn % sizes.len()]).min(all.len());
                files.tested(Target::Fraud, "v0001-00000000", all[at..until].to_vec()).unwrap();
                let now = files.take();
                kept.retain(|name, _| now.contains_key(name));
                kept.extend(now.into_iter().filter_map(|(name, bytes)| Some((name, bytes?))));
                (at, turn) = (until, turn + 1);
            }
            kept
        };
        let at_once = after(&[all.len()]);
        assert_eq!(at_once.len() as u64, FILES);
        assert!(at_once == after(&[17]) && at_once == after(&[1_000, 3, 1_700]));
    }
}
