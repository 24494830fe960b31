//! What a model version is and how it was made.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::risk::calibrate::Calibration;
use crate::risk::model::{Learner, Model};
use crate::risk::train::Trained;
use crate::risk::{Family, Target};
use crate::types::time::format_instant;

/// Newest layout of a version's files that this program knows. A higher one is refused: it may mean something else by the
/// same names. Format 2 has all that 1 has, and may hold an isotonic curve or the families `ftrl` and `blend`,
/// which programs of format 1 do not know; what they do know is still written as 1.
pub const FORMAT: u32 = 2;

/// linfa and its logistic regression, which are released together; a test holds it against the lock file.
pub const LINFA_VERSION: &str = "0.8.1";

/// The grower of boosted trees; a test holds it against the lock file.
pub const FORUST_VERSION: &str = "0.8.0";

/// What the caller knows about a training that the model does not.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Provenance {
    /// The pipeline's name.
    pub pipeline: String,
    /// What it scores: `order` or `line`.
    pub unit: String,
    /// What a label is and when it counts, in one sentence.
    pub label_rule: String,
    /// Seed of the training.
    pub seed: u64,
    /// Clock of the training, as UTC microseconds.
    pub as_of: i64,
    /// Content hash of each input, by table or source name.
    pub data_hashes: BTreeMap<String, String>,
}

/// The record of a version. Field order is file order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// The lowest format that holds all of it, see [`FORMAT`].
    pub format: u32,
    /// What it predicts.
    pub target: Target,
    /// The family of the learner.
    pub family: String,
    /// The pipeline it was trained with.
    pub pipeline: String,
    /// What it scores: `order` or `line`.
    #[serde(default = "order")]
    pub unit: String,
    /// What a label is and when it counts.
    pub label_rule: String,
    /// The clock of the training; a version has no other date.
    pub created_as_of: String,
    /// `placed_at` of the first training row.
    pub trained_from: String,
    /// `placed_at` of the last training row.
    pub trained_to: String,
    /// Seed of the training.
    pub seed: u64,
    /// Versions of what took part.
    pub libraries: BTreeMap<String, String>,
    /// Content hash of each input.
    pub data_hashes: BTreeMap<String, String>,
    /// BLAKE3 of `model.json`.
    pub model_blake3: String,
    /// See [`features_hash`].
    pub features_blake3: String,
    /// Features in order.
    pub features: Vec<String>,
    /// What it learnt in a stream after its training; `None` of a version as it was trained. Programs that do not know of it
    /// score the version all the same, so the format is not raised.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub learned: Option<LearnedFrom>,
}

/// How a version came out of another one by going on learning. Instants are RFC 3339, exact to the microsecond.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LearnedFrom {
    /// The version it was copied from.
    pub from: String,
    /// Labels it learnt from since.
    pub examples: u64,
    /// Those of them that say yes.
    pub positives: u64,
    /// Orders placed up to here were learnt from in the training that all began with.
    pub placed_after: String,
    /// `placed_at` of the latest order it learnt from since.
    pub placed_to: Option<String>,
    /// Labels ripe up to here were learnt from by `from`, where that had gone on learning too.
    pub ripe_after: Option<String>,
    /// The watermark of the stream: labels ripe up to here were learnt from.
    pub until: String,
}

impl Manifest {
    /// The record of a training whose model is written as `model_json`.
    pub fn new(trained: &Trained, provenance: &Provenance, model_json: &[u8]) -> Self {
        let model = &trained.model;
        let learnt_by: &[(&str, &str)] = match model.learner.family() {
            Family::Logistic => &[("linfa-logistic", LINFA_VERSION)],
            Family::Ftrl => &[],
            Family::Boosted => &[("forust-ml", FORUST_VERSION)],
            Family::Blend => &[("linfa-logistic", LINFA_VERSION), ("forust-ml", FORUST_VERSION)],
        };
        let always = [("ordersight", env!("CARGO_PKG_VERSION")), ("linfa", LINFA_VERSION)];
        let libraries = always.iter().chain(learnt_by).map(|&(name, version)| (name.to_owned(), version.to_owned()));
        Self {
            format: format_of(model),
            target: model.target,
            family: model.learner.family().name().to_owned(),
            pipeline: provenance.pipeline.clone(),
            unit: provenance.unit.clone(),
            label_rule: provenance.label_rule.clone(),
            created_as_of: format_instant(provenance.as_of),
            trained_from: format_instant(trained.evaluation.train.from),
            trained_to: format_instant(trained.evaluation.train.to),
            seed: provenance.seed,
            libraries: libraries.collect(),
            data_hashes: provenance.data_hashes.clone(),
            model_blake3: blake3::hash(model_json).to_hex().to_string(),
            features_blake3: features_hash(&model.features),
            features: model.features.clone(),
            learned: None,
        }
    }

    /// Reads a manifest, or says what is wrong with it. The format is looked at first: a newer file may have other
    /// fields.
    pub fn read(bytes: &[u8]) -> Result<Self, String> {
        #[derive(Deserialize)]
        struct Format {
            format: u32,
        }
        let unreadable = |error: serde_json::Error| format!("its `manifest.json` cannot be read ({error})");
        let Format { format } = serde_json::from_slice(bytes).map_err(unreadable)?;
        if format > FORMAT {
            return Err(format!("it has format {format}, this program reads up to {FORMAT}; use a newer ordersight"));
        }
        serde_json::from_slice(bytes).map_err(unreadable)
    }
}

/// What models scored before they said so.
fn order() -> String {
    "order".to_owned()
}

/// The lowest format that holds a model.
fn format_of(model: &Model) -> u32 {
    match (&model.learner, &model.calibration) {
        (Learner::Logistic { .. } | Learner::Boosted { .. }, Calibration::Platt(_)) => 1,
        (Learner::Ftrl { .. } | Learner::Blend { .. }, _) | (_, Calibration::Isotonic(_)) => 2,
    }
}

/// BLAKE3 over feature names in order, each ended by a line feed.
pub fn features_hash(features: &[String]) -> String {
    let mut hasher = blake3::Hasher::new();
    for feature in features {
        hasher.update(feature.as_bytes()).update(b"\n");
    }
    hasher.finalize().to_hex().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_versions_of_libraries_are_those_in_the_lock_file() {
        let lock = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.lock")).unwrap();
        let linfa = ["linfa", "linfa-logistic", "linfa-preprocessing"].map(|name| (name, LINFA_VERSION));
        for (name, version) in linfa.into_iter().chain([("forust-ml", FORUST_VERSION)]) {
            assert!(lock.contains(&format!("name = \"{name}\"\nversion = \"{version}\"")), "{name}");
        }
    }

    #[test]
    fn the_feature_hash_tells_order_and_boundaries_apart() {
        let hash = |names: &[&str]| features_hash(&names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>());
        assert_ne!(hash(&["a", "b"]), hash(&["b", "a"]));
        assert_ne!(hash(&["ab"]), hash(&["a", "b"]));
    }
}
