//! Word from the operating system that something changed in a folder.
//!
//! It makes the stream quick and decides nothing: word gets lost, and network folders send none. Linux only so far; elsewhere,
//! and where the system refuses, there is no word and the landing polls.

use std::collections::BTreeMap;
use std::path::Path;

/// Names remembered between two looks at most: beyond that, listing all is no dearer.
const MAX_NAMES: usize = 100_000;

/// A folder that is watched.
pub(super) type FolderId = i32;

/// What happened since the last look.
#[derive(Debug, Default)]
pub(super) struct News {
    /// Files that came, went, or were closed after writing, by folder and name; true when the last of it was that they got this
    /// name by a rename.
    pub(super) names: BTreeMap<FolderId, BTreeMap<String, bool>>,
    /// Something happened that names do not tell: word was lost, or a folder came or went.
    pub(super) look_everywhere: bool,
}

impl News {
    pub(super) fn is_empty(&self) -> bool {
        self.names.is_empty() && !self.look_everywhere
    }

    #[cfg_attr(not(target_os = "linux"), expect(dead_code, reason = "no word comes there"))]
    fn note(&mut self, folder: FolderId, name: String, by_rename: bool) {
        let names = self.names.entry(folder).or_default();
        names.insert(name, by_rename);
        if names.len() > MAX_NAMES {
            self.look_everywhere = true;
            self.names.clear();
        }
    }
}

#[cfg(target_os = "linux")]
pub(super) use linux::Watch;

#[cfg(target_os = "linux")]
mod linux {
    use super::super::place::is_never_data;
    use super::{FolderId, News, Path};
    use crate::ingest::discover::DONE;
    use inotify::{EventMask, Inotify, WatchMask};
    use std::io;

    /// Bytes of word read at a time: some hundred names.
    const BUFFER_IN_BYTES: usize = 16_384;

    /// Watches folders by inotify.
    #[derive(Debug)]
    pub(in crate::intake) struct Watch {
        /// None where the system gives no watch, or once it failed.
        inotify: Option<Inotify>,
        news: News,
    }

    impl Watch {
        pub(in crate::intake) fn new() -> Self {
            Self { inotify: Inotify::init().ok(), news: News::default() }
        }

        /// Watches a folder; the same folder keeps its number. None when it cannot be watched.
        pub(in crate::intake) fn add(&mut self, folder: &Path) -> Option<FolderId> {
            // Not every write: a file that grows for an hour is looked at when it is closed or stays still.
            let wanted = WatchMask::CREATE
                | WatchMask::MOVED_TO
                | WatchMask::CLOSE_WRITE
                | WatchMask::MOVED_FROM
                | WatchMask::DELETE
                | WatchMask::DELETE_SELF
                | WatchMask::MOVE_SELF
                | WatchMask::ONLYDIR;
            let watch = self.inotify.as_ref()?.watches().add(folder, wanted).ok()?;
            Some(watch.get_watch_descriptor_id())
        }

        /// True when something happened that nobody asked for yet.
        pub(in crate::intake) fn has_news(&mut self) -> bool {
            self.collect();
            !self.news.is_empty()
        }

        /// What happened since the last call.
        pub(in crate::intake) fn take(&mut self) -> News {
            self.collect();
            std::mem::take(&mut self.news)
        }

        fn collect(&mut self) {
            let mut buffer = [0_u8; BUFFER_IN_BYTES];
            while let Some(inotify) = &mut self.inotify {
                match inotify.read_events(&mut buffer) {
                    Ok(events) => events.for_each(|event| note(&mut self.news, &event)),
                    Err(e) if e.kind() == io::ErrorKind::WouldBlock => return,
                    Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                    Err(_) => {
                        self.inotify = None;
                        self.news.look_everywhere = true;
                    }
                }
            }
        }
    }

    fn note(news: &mut News, event: &inotify::Event<&std::ffi::OsStr>) {
        let of_folder = EventMask::Q_OVERFLOW
            | EventMask::IGNORED
            | EventMask::DELETE_SELF
            | EventMask::MOVE_SELF
            | EventMask::UNMOUNT
            | EventMask::ISDIR;
        if event.mask.intersects(of_folder) {
            news.look_everywhere = true;
        } else if let Some(name) = event.name {
            let name = name.to_string_lossy();
            if name.ends_with(DONE) || !is_never_data(&name) {
                news.note(
                    event.wd.get_watch_descriptor_id(),
                    name.into_owned(),
                    event.mask.contains(EventMask::MOVED_TO),
                );
            }
        }
    }
}

/// Gives no word.
#[cfg(not(target_os = "linux"))]
#[derive(Debug)]
pub(super) struct Watch;

#[cfg(not(target_os = "linux"))]
impl Watch {
    pub(super) fn new() -> Self {
        Self
    }

    pub(super) fn add(&mut self, _folder: &Path) -> Option<FolderId> {
        None
    }

    pub(super) fn has_news(&mut self) -> bool {
        false
    }

    pub(super) fn take(&mut self) -> News {
        News::default()
    }
}
