//! Files read ahead of being given: by whoever reads them anyway, so that they need not be read once more to be known.

use super::entry::{Entry, Now};
use super::file::TakenFile;
use super::hashes::Stamp;
use super::landing::{Landed, Landing};
use crate::config::Format;
use crate::error::Result;
use crate::ingest::discover::format_of;
use std::path::PathBuf;
use std::time::{Instant, SystemTime};

/// A complete file that was not read yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Coming {
    /// The source of the pipeline that it belongs to.
    pub source: String,
    /// Its name relative to the folder of the source, with `/`.
    pub name: String,
    /// Where it is.
    pub path: PathBuf,
    /// How it is read.
    pub format: Format,
    pub(super) stamp: Stamp,
}

impl Coming {
    /// What it counts as, once it was read.
    pub fn taken(&self, content_hash: &str) -> TakenFile {
        TakenFile {
            source: self.source.clone(),
            name: self.name.clone(),
            size_in_bytes: self.stamp.size_in_bytes,
            content_hash: content_hash.to_owned(),
        }
    }

    /// Whether the file is what it was when it was seen. Who asks before and after reading it knows what was read.
    pub fn stands(&self) -> bool {
        matches!(std::fs::metadata(&self.path).and_then(|found| Stamp::of(&found)), Ok(Some(stamp)) if stamp == self.stamp)
    }
}

impl Landing {
    /// What [`Self::ready`] is likely to give, within the same limits, and nothing of it is read: for whoever reads it ahead of
    /// being given it, and tells by [`Self::know`].
    ///
    /// `may_come` is asked whether a file is wanted. The hash of one that nobody read yet is empty.
    ///
    /// # Errors
    /// As [`Self::ready`].
    pub fn coming(
        &mut self,
        may_come: &dyn Fn(&TakenFile) -> bool,
        max_files: usize,
        max_bytes: u64,
    ) -> Result<Vec<Coming>> {
        let now = Now { wall: SystemTime::now(), steady: Instant::now() };
        self.look(now)?;
        let (mut coming, mut bytes) = (Vec::new(), 0_u64);
        for key in &self.open {
            let landed = &self.sources[key.1];
            let Some(entry) = landed.files.get(&key.0).filter(|_| self.is_complete(key, now)) else { continue };
            let Some(format) = landed.source.format.or_else(|| format_of(&entry.path)) else { continue };
            let (source, name, path, stamp) = (landed.name.clone(), key.0.clone(), entry.path.clone(), entry.stamp);
            let content_hash = self.known(landed, key, entry).unwrap_or_default().to_owned();
            let file = TakenFile { source, name, size_in_bytes: stamp.size_in_bytes, content_hash };
            if !may_come(&file) {
                continue;
            }
            bytes = bytes.saturating_add(stamp.size_in_bytes);
            if coming.len() >= max_files.max(1) || (!coming.is_empty() && bytes > max_bytes) {
                break;
            }
            coming.push(Coming { source: file.source, name: file.name, path, format, stamp });
        }
        Ok(coming)
    }

    /// Takes note of the hash of a file that was read, and [stood](Coming::stands) before and after that.
    pub fn know(&mut self, file: &Coming, content_hash: &str) {
        self.hashes.know(&file.path, file.stamp, content_hash);
    }

    /// The hash of a file as it was seen last, if anybody read it as that.
    pub(super) fn known<'s>(&'s self, landed: &Landed, key: &(String, usize), entry: &Entry) -> Option<&'s str> {
        let remembered = self.remembered.get(&(landed.name.clone(), key.0.clone()));
        let remembered = remembered.filter(|(stamp, _)| *stamp == entry.stamp).map(|(_, hash)| hash.as_str());
        remembered.or_else(|| self.hashes.known(&entry.path, entry.stamp))
    }
}
