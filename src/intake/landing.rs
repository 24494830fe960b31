//! Landing folders: which files are there, complete, and not taken yet.

use super::entry::{Entry, Now};
use super::file::{Arrived, Ready, Standing, TakenFile, Unreadable};
use super::hashes::{Hashed, Hashes, Stamp};
use super::place::{Names, Place, list};
use super::stop::Stop;
use super::watch::{FolderId, News, Watch};
use crate::config::Source;
use crate::error::Result;
use crate::ingest::discover::{DONE, format_of};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

/// How long a wait sleeps before it asks again for word and for the wish to stop.
const SLICE: Duration = Duration::from_millis(10);

/// Where word comes of every change, listing everything takes at most one part in so many of the time.
const LISTING_SHARE: u32 = 20;
/// The same where no word comes, and listing is all there is.
const LISTING_SHARE_ALONE: u32 = 4;

/// How landing folders are looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LandingSettings {
    /// How long a file must stay as it is, over two looks, to be complete. Zero: files come by rename, and what is there is
    /// complete.
    pub stable_for: Duration,
    /// Time between two looks when no word of a change comes.
    pub poll: Duration,
}

/// Watches the folders of all sources.
#[derive(Debug)]
pub struct Landing {
    base_dir: PathBuf,
    settings: LandingSettings,
    /// In the order of their names.
    pub(super) sources: Vec<Landed>,
    /// Files that are not known to be taken: by name, then by number of the source.
    pub(super) open: BTreeSet<(String, usize)>,
    pub(super) hashes: Hashes,
    /// What an earlier process knew of files, by source and name.
    pub(super) remembered: HashMap<(String, String), (Stamp, String)>,
    watch: Mutex<Watch>,
    /// When everything was listed last, and how long that took.
    listed: Option<(Instant, Duration)>,
    /// When the next growing file may be complete.
    due: Option<Instant>,
    /// Questions to the disk about single files so far.
    pub(super) stats: u64,
}

/// The files of one source.
#[derive(Debug)]
pub(super) struct Landed {
    pub(super) name: String,
    pub(super) source: Source,
    /// Its one folder, if it has one that is watched.
    watched: Option<(FolderId, PathBuf, Names)>,
    pub(super) files: BTreeMap<String, Entry>,
}

impl Landing {
    /// Watches where the sources of a pipeline land. No file needs to be there yet, nor any folder.
    ///
    /// # Errors
    /// [`Error::Usage`] when a path is no valid glob.
    pub fn new(sources: &BTreeMap<String, Source>, base_dir: &Path, settings: LandingSettings) -> Result<Self> {
        let mut landed = Vec::new();
        for (name, source) in sources {
            Place::of(name, source, base_dir)?;
            let (name, source) = (name.clone(), source.clone());
            landed.push(Landed { name, source, watched: None, files: BTreeMap::new() });
        }
        Ok(Self {
            base_dir: base_dir.to_owned(),
            settings,
            sources: landed,
            open: BTreeSet::new(),
            hashes: Hashes::default(),
            remembered: HashMap::new(),
            watch: Mutex::new(Watch::new()),
            listed: None,
            due: None,
            stats: 0,
        })
    }

    /// Says what was known of a file that was taken before, and when it had been changed last (nanoseconds since 1970): as long
    /// as its size and that time stay, it is not read to know it again.
    pub fn remember(&mut self, file: &TakenFile, changed_at: i64) {
        let Ok(since) = u64::try_from(changed_at) else { return };
        let stamp = Stamp {
            size_in_bytes: file.size_in_bytes,
            changed_at: SystemTime::UNIX_EPOCH + Duration::from_nanos(since),
        };
        self.remembered.insert((file.source.clone(), file.name.clone()), (stamp, file.content_hash.clone()));
    }

    /// Complete files that were not taken yet, in the order of their names over all sources: at most `max_files` and about
    /// `max_bytes`, but at least one if there is one. What is given and not taken is given again by the next look.
    ///
    /// `standing` says of a file whether it was taken, as a `bool` or, for files that wait for another try, as a [`Standing`].
    /// It is also asked about unreadable files. `true` and [`Standing::Taken`] are for good: it is not asked again.
    ///
    /// # Errors
    /// [`Error::Environment`] on a folder that exists and cannot be listed.
    pub fn ready<S: Into<Standing>>(
        &mut self,
        standing: &dyn Fn(&TakenFile) -> S,
        max_files: usize,
        max_bytes: u64,
    ) -> Result<Ready> {
        let now = Now { wall: SystemTime::now(), steady: Instant::now() };
        self.ready_at(now, standing, max_files, max_bytes)
    }

    pub(super) fn ready_at<S: Into<Standing>>(
        &mut self,
        now: Now,
        standing: &dyn Fn(&TakenFile) -> S,
        max_files: usize,
        max_bytes: u64,
    ) -> Result<Ready> {
        self.look(now)?;
        let (mut ready, mut bytes, mut full) = (Ready::default(), 0_u64, false);
        self.due = None;
        for key in self.open.iter().cloned().collect::<Vec<_>>() {
            if !self.is_complete(&key, now) {
                ready.growing += 1;
                self.is_due(&key, now);
                continue;
            }
            // Beyond the limits it only matters whether there is one more.
            if full && ready.more {
                continue;
            }
            let Some(found) = self.hashed(&key, now) else {
                if self.sources[key.1].files.contains_key(&key.0) {
                    ready.growing += 1;
                    self.is_due(&key, now);
                }
                continue;
            };
            let file = match &found {
                Ok(arrived) => &arrived.taken,
                Err(unreadable) => &unreadable.file,
            };
            match (standing(file).into(), found) {
                (Standing::Taken, _) => drop(self.open.remove(&key)),
                (Standing::Paused, _) => ready.paused += 1,
                (Standing::New, Err(unreadable)) => ready.unreadable.push(unreadable),
                (Standing::New, Ok(arrived)) => {
                    let with_it = bytes.saturating_add(arrived.taken.size_in_bytes);
                    full = full || ready.files.len() >= max_files.max(1);
                    full = full || (!ready.files.is_empty() && with_it > max_bytes);
                    if full {
                        ready.more = true;
                    } else {
                        bytes = with_it;
                        ready.files.push(arrived);
                    }
                }
            }
        }
        Ok(ready)
    }

    /// Notes when a growing file may be complete.
    fn is_due(&mut self, key: &(String, usize), now: Now) {
        if let Some(entry) = self.sources[key.1].files.get(&key.0) {
            // Not at once: one that changes under every look must not keep a core busy.
            let due = (entry.unchanged_since + self.settings.stable_for).max(now.steady + SLICE);
            self.due = Some(self.due.map_or(due, |first| first.min(due)));
        }
    }

    /// Returns when something may have arrived or a growing file may be complete, when `stop` is set, or after the poll interval.
    pub fn wait(&self, stop: &Stop) {
        let mut until = Instant::now() + self.settings.poll;
        if let Some(due) = self.due {
            until = until.min(due);
        }
        // Where no word comes the listing is all there is, and it is due by its own clock.
        if let Some((at, took)) = self.listed.filter(|_| !self.all_watched()) {
            until = until.min(at + self.rest(took));
        }
        while !stop.is_set() && !self.watch().has_news() {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return;
            }
            std::thread::sleep(left.min(SLICE));
        }
    }

    fn watch(&self) -> MutexGuard<'_, Watch> {
        self.watch.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn all_watched(&self) -> bool {
        self.sources.iter().all(|s| s.watched.is_some())
    }

    /// Time between two listings of which the last took so long.
    fn rest(&self, took: Duration) -> Duration {
        let share = if self.all_watched() { LISTING_SHARE } else { LISTING_SHARE_ALONE };
        self.settings.poll.max(took * share)
    }

    /// Looks at what there is word of, and at everything now and then.
    pub(super) fn look(&mut self, now: Now) -> Result<()> {
        let news = self.watch().take();
        let rested = self.listed.is_some_and(|(at, took)| now.steady.saturating_duration_since(at) < self.rest(took));
        if rested && !news.look_everywhere {
            self.look_at(&news, now);
            return Ok(());
        }
        // Word that was taken is lost if this fails, so that the next look must be at everything again.
        self.listed = None;
        let start = Instant::now();
        self.look_everywhere(&news, now)?;
        self.listed = Some((now.steady, start.elapsed()));
        Ok(())
    }

    fn look_at(&mut self, news: &News, now: Now) {
        for at in 0..self.sources.len() {
            let landed = &self.sources[at];
            let Some((id, folder, names)) = &landed.watched else { continue };
            let Some(changed) = news.names.get(id) else { continue };
            let ours = changed.iter().filter(|(name, _)| names.have(name, landed.source.format));
            let seen: Vec<_> = ours.map(|(name, by_rename)| (name.clone(), folder.join(name), *by_rename)).collect();
            for (name, path, by_rename) in seen {
                self.see(at, name, path, by_rename, now);
            }
        }
    }

    fn look_everywhere(&mut self, news: &News, now: Now) -> Result<()> {
        for at in 0..self.sources.len() {
            let landed = &self.sources[at];
            let place = Place::of(&landed.name, &landed.source, &self.base_dir)?;
            let folder = match &place {
                Place::Folder { folder, .. } => Some(folder.clone()),
                Place::Nested => None,
            };
            // Watched before it is listed: what comes in between is then seen twice and never missed.
            let id = folder.as_deref().and_then(|folder| self.watch().add(folder));
            let renamed = id.and_then(|id| news.names.get(&id));
            let found = list(&place, &landed.name, &landed.source, &self.base_dir)?;
            self.sources[at].watched = match (id, place) {
                (Some(id), Place::Folder { folder, names }) => Some((id, folder, names)),
                _ => None,
            };
            let listing = self.sources[at].files.values().map(|e| e.listing).max().unwrap_or(0) + 1;
            for (name, path) in found {
                let by_rename = renamed.and_then(|names| names.get(&name)).is_some_and(|&by_rename| by_rename);
                self.see(at, name.clone(), path, by_rename, now);
                if let Some(entry) = self.sources[at].files.get_mut(&name) {
                    entry.listing = listing;
                }
            }
            let gone: Vec<String> =
                self.sources[at].files.iter().filter(|(_, e)| e.listing != listing).map(|(n, _)| n.clone()).collect();
            gone.iter().for_each(|name| self.forget(at, name));
        }
        Ok(())
    }

    /// Takes note of a file as it is now. One that the system tells nothing of counts as absent, as in a batch run.
    fn see(&mut self, at: usize, name: String, path: PathBuf, by_rename: bool, now: Now) {
        self.stats += 1;
        let Ok(Some(stamp)) = std::fs::metadata(&path).and_then(|metadata| Stamp::of(&metadata)) else {
            self.forget(at, &name);
            return;
        };
        let files = &mut self.sources[at].files;
        match files.get_mut(&name) {
            Some(entry) if entry.stamp == stamp => entry.by_rename |= by_rename,
            Some(entry) => {
                (entry.stamp, entry.unchanged_since) = (stamp, now.steady);
                (entry.by_rename, entry.grew) = (by_rename, true);
                self.open.insert((name, at));
            }
            None => {
                let unchanged_since = now.steady;
                let entry = Entry { path, stamp, unchanged_since, by_rename, grew: false, listing: 0 };
                files.insert(name.clone(), entry);
                self.open.insert((name, at));
            }
        }
    }

    fn forget(&mut self, at: usize, name: &str) {
        if let Some(entry) = self.sources[at].files.remove(name) {
            self.hashes.forget(&entry.path);
            self.open.remove(&(name.to_owned(), at));
        }
    }

    /// True when the file is whole as it was seen last; that it still is what it was is seen when it is hashed.
    pub(super) fn is_complete(&self, key: &(String, usize), now: Now) -> bool {
        self.sources[key.1].files.get(&key.0).is_some_and(|entry| {
            entry.is_complete(now, self.settings.stable_for) || {
                let mut mark = OsString::from(&entry.path);
                mark.push(DONE);
                Path::new(&mark).exists()
            }
        })
    }

    /// The file by its content; `None` when it changed or vanished meanwhile.
    fn hashed(&mut self, key: &(String, usize), now: Now) -> Option<Result<Arrived, Unreadable>> {
        let landed = &self.sources[key.1];
        let entry = landed.files.get(&key.0)?;
        let mut taken = TakenFile {
            source: landed.name.clone(),
            name: key.0.clone(),
            size_in_bytes: entry.stamp.size_in_bytes,
            content_hash: String::new(),
        };
        let Some(format) = landed.source.format.or_else(|| format_of(&entry.path)) else {
            let why = "its format cannot be told from its name; set `format` of the source to csv, ndjson or parquet";
            return Some(Err(Unreadable { file: taken, why: why.to_owned() }));
        };
        if let Some(hash) = self.known(landed, key, entry) {
            taken.content_hash = hash.to_owned();
            let (path, arrived_at) = (entry.path.clone(), entry.stamp.changed_at);
            return Some(Ok(Arrived { taken, path, format, arrived_at }));
        }
        match self.hashes.of(&entry.path, entry.stamp) {
            Hashed::As(hash) => {
                taken.content_hash = hash;
                let (path, arrived_at) = (entry.path.clone(), entry.stamp.changed_at);
                Some(Ok(Arrived { taken, path, format, arrived_at }))
            }
            Hashed::Unreadable(why) => Some(Err(Unreadable { file: taken, why })),
            Hashed::Changed => {
                let path = entry.path.clone();
                self.see(key.1, key.0.clone(), path, false, now);
                None
            }
            Hashed::Gone => {
                self.forget(key.1, &key.0);
                None
            }
        }
    }
}
