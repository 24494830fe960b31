//! Models on disk: versions that never change, and a pointer to the one in service.
//!
//! ```text
//! models/<target>/champion                   the version in service, one line, replaced by rename
//! models/<target>/champions                  every change of it, one line each, only added to
//! models/<target>/challenger                 the version that scores in its shadow, if any
//! models/<target>/v0003-1f2e3d4c/model.json  the model, to the bit
//!                               manifest.json what it is and how it was made; carries the hash of model.json
//!                               metrics.json  how good it was
//!                               frozen.json   of a version that went on learning: how good the one before was on the same
//!                               reference.json  what orders looked like then, for the monitor
//!                               card.md       the same for people
//!                               retired       present once the version is out of service
//! ```
//!
//! A version is written into a hidden folder, synced and renamed, so it is there whole or not at all. Its name holds a
//! sequence number and the start of a hash over its content; registering the same content again gives the version that
//! is there. No wall clock goes in: two trainings on the same data give the same bytes.

use std::path::{Path, PathBuf};

use crate::error::{Error, Result};
use crate::risk::model::Model;
use crate::risk::train::Trained;
use crate::risk::{Family, Target};

pub mod card;
pub mod compare;
mod files;
mod learned;
pub mod manifest;
mod service;
mod watching;

pub use learned::{GoneOn, LearntUntil};
pub use manifest::{LearnedFrom, Manifest, Provenance};
pub use watching::Watching;

const CHAMPION: &str = "champion";
const RETIRED: &str = "retired";
const MODEL: &str = "model.json";
const MANIFEST: &str = "manifest.json";
const METRICS: &str = "metrics.json";
const FROZEN: &str = "frozen.json";
const CARD: &str = "card.md";
const REFERENCE: &str = "reference.json";

/// A folder of models. Opening it touches nothing; the folder comes into being with the first version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Registry {
    dir: PathBuf,
}

/// A model read back and found whole.
#[derive(Debug, Clone, PartialEq)]
pub struct Registered {
    /// Its version, such as `v0003-1f2e3d4c`.
    pub version: String,
    /// Its record.
    pub manifest: Manifest,
    /// The model.
    pub model: Model,
}

/// One line of a listing.
#[derive(Debug, Clone, PartialEq)]
pub struct Listed {
    /// What it predicts.
    pub target: Target,
    /// Its version.
    pub version: String,
    /// Whether it is the one in service.
    pub champion: bool,
    /// Whether it scores in the shadow of that one.
    pub challenger: bool,
    /// Whether it was taken out of service.
    pub retired: bool,
    /// Its record; `None` when that cannot be read, which `load` explains.
    pub manifest: Option<Manifest>,
}

impl Registry {
    /// The registry in `dir`, which need not exist yet.
    pub fn open(dir: impl Into<PathBuf>) -> Self {
        Self { dir: dir.into() }
    }

    /// The folder.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Stores a trained model and gives its version; with `promote`, also puts it in service.
    ///
    /// # Errors
    /// [`Error::Environment`] when the folder cannot be written.
    pub fn register(&self, trained: &Trained, provenance: &Provenance, promote: bool) -> Result<String> {
        // What people can read is laid out for them; a forest is tens of thousands of numbers.
        let model = match trained.model.learner.family() {
            Family::Logistic | Family::Ftrl => json(&trained.model)?,
            Family::Boosted | Family::Blend => on_one_line(&trained.model)?,
        };
        let manifest = Manifest::new(trained, provenance, &model);
        let card = card::card(&manifest, &trained.evaluation);
        let contents = [
            (MODEL, model),
            (MANIFEST, json(&manifest)?),
            (METRICS, json(&trained.evaluation)?),
            (REFERENCE, on_one_line(&trained.reference)?),
            (CARD, card.into_bytes()),
        ];
        let target = trained.model.target;
        let version = self.store(target, &contents)?;
        if promote {
            self.promote(target, &version)?;
        }
        Ok(version)
    }

    /// Stores the files of a version and gives its name; the same files again are the version that is there.
    fn store(&self, target: Target, contents: &[(&str, Vec<u8>)]) -> Result<String> {
        let suffix = content_name(contents);
        let versions = self.versions(target)?;
        let same = versions.iter().find(|version| version.ends_with(&suffix) && self.holds(target, version, contents));
        if let Some(version) = same {
            return Ok(version.clone());
        }
        let last = versions.iter().filter_map(|version| sequence(version)).max().unwrap_or(0);
        let version = format!("v{:04}-{suffix}", last + 1);
        files::write_folder(&self.target_dir(target), &version, contents)?;
        Ok(version)
    }

    /// Reads one version and checks that it is whole.
    ///
    /// # Errors
    /// [`Error::Model`] when it is missing, does not match its hashes, or is of a newer format.
    pub fn load(&self, target: Target, version: &str) -> Result<Registered> {
        let (dir, manifest) = self.manifest(target, version)?;
        let bytes = files::read(&dir.join(MODEL))?.unwrap_or_default();
        let broken = |what: &str| self.refusal(target, format!("model `{target}` {version} is damaged: {what}"));
        if blake3::hash(&bytes).to_hex().as_str() != manifest.model_blake3 {
            return Err(broken("`model.json` is not the file that was registered"));
        }
        let model: Model = serde_json::from_slice(&bytes)
            .map_err(|error| broken(&format!("`model.json` cannot be read ({error})")))?;
        if manifest::features_hash(&model.features) != manifest.features_blake3 || model.features != manifest.features {
            return Err(broken("its features are not those of `manifest.json`"));
        }
        if model.target != target || manifest.target != target {
            return Err(broken(&format!("it predicts `{}`", model.target)));
        }
        model.require_features(&manifest.features)?;
        Ok(Registered { version: version.to_owned(), manifest, model })
    }

    /// All versions of all targets, oldest first; damaged ones too.
    pub fn list(&self) -> Result<Vec<Listed>> {
        let mut all = Vec::new();
        for target in Target::ALL {
            // A broken pointer must not hide what there is: whoever mends it needs this list.
            let readable = |found: Result<Option<String>>| match found {
                Err(Error::Model { .. }) => Ok(None),
                found => found,
            };
            let champion = readable(self.champion_version(target))?;
            let challenger = readable(self.challenger_version(target))?;
            for version in self.versions(target)? {
                all.push(Listed {
                    target,
                    champion: champion.as_ref() == Some(&version),
                    challenger: challenger.as_ref() == Some(&version),
                    retired: self.target_dir(target).join(&version).join(RETIRED).exists(),
                    manifest: self.manifest(target, &version).ok().map(|(_, manifest)| manifest),
                    version,
                });
            }
        }
        Ok(all)
    }

    /// The card of a version, as it was written.
    pub fn card(&self, target: Target, version: &str) -> Result<String> {
        let (dir, _) = self.manifest(target, version)?;
        let bytes = files::read(&dir.join(CARD))?.unwrap_or_default();
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    fn target_dir(&self, target: Target) -> PathBuf {
        self.dir.join(target.name())
    }

    /// Version names of a target in the order they were registered.
    fn versions(&self, target: Target) -> Result<Vec<String>> {
        let mut names = files::folders(&self.target_dir(target))?;
        names.retain(|name| sequence(name).is_some());
        names.sort_by_key(|name| (sequence(name), name.clone()));
        Ok(names)
    }

    fn holds(&self, target: Target, version: &str, contents: &[(&str, Vec<u8>)]) -> bool {
        let dir = self.target_dir(target).join(version);
        contents.iter().all(|(name, bytes)| matches!(files::read(&dir.join(name)), Ok(Some(found)) if found == *bytes))
    }

    fn manifest(&self, target: Target, version: &str) -> Result<(PathBuf, Manifest)> {
        // The name is checked before it becomes a path.
        let dir = self.target_dir(target).join(version);
        if sequence(version).is_none() || !dir.is_dir() {
            return Err(self.unknown(target, version));
        }
        let bytes = files::read(&dir.join(MANIFEST))?.unwrap_or_default();
        match Manifest::read(&bytes) {
            Ok(manifest) => Ok((dir, manifest)),
            Err(what) => Err(self.refusal(target, format!("model `{target}` {version} cannot be used: {what}"))),
        }
    }

    fn unknown(&self, target: Target, version: &str) -> Error {
        self.refusal(target, format!("there is no model `{target}` {version} in `{}`", self.dir.display()))
    }

    fn refusal(&self, target: Target, message: String) -> Error {
        Error::Model {
            message,
            hint: Some(format!(
                "`ordersight models list` shows what there is; `ordersight train PIPELINE --target {target}` makes a \
                 new one"
            )),
        }
    }
}

/// The sequence number in a version name; `None` for what is not a version name.
fn sequence(version: &str) -> Option<u32> {
    let (number, hash) = version.strip_prefix('v')?.split_once('-')?;
    let digits = number.len() >= 4 && number.bytes().all(|b| b.is_ascii_digit());
    let hex = hash.len() == 8 && hash.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    if digits && hex { number.parse().ok() } else { None }
}

/// The first 8 hex digits of a hash over all files with their names and lengths.
fn content_name(contents: &[(&str, Vec<u8>)]) -> String {
    let mut hasher = blake3::Hasher::new();
    for (name, bytes) in contents {
        hasher.update(format!("{name}\n{}\n", bytes.len()).as_bytes());
        hasher.update(bytes);
    }
    hasher.finalize().to_hex()[..8].to_owned()
}

fn json(value: &impl serde::Serialize) -> Result<Vec<u8>> {
    ended(serde_json::to_vec_pretty(value))
}

fn on_one_line(value: &impl serde::Serialize) -> Result<Vec<u8>> {
    ended(serde_json::to_vec(value))
}

fn ended(written: serde_json::Result<Vec<u8>>) -> Result<Vec<u8>> {
    let mut bytes =
        written.map_err(|error| Error::Invariant(format!("a model's record cannot be written as JSON: {error}")))?;
    bytes.push(b'\n');
    Ok(bytes)
}

#[cfg(test)]
mod tests;
