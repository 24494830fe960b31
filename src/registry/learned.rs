//! Versions that a stream made of another one, by going on learning.

use super::manifest::{LearnedFrom, Manifest};
use super::{CARD, FROZEN, MANIFEST, METRICS, MODEL, REFERENCE, Registered, Registry, card, files, json};
use crate::error::{Error, Result};
use crate::risk::Target;
use crate::risk::evaluate::Evaluation;
use crate::risk::ftrl::copy::{LearningCopy, Tested, Tests};
use crate::types::time::{format_instant, parse_instant};

/// What a copy of a version has learnt. Instants are UTC microseconds.
#[derive(Debug, Clone, Copy)]
pub struct GoneOn<'a> {
    /// What was learnt.
    pub copy: &'a LearningCopy,
    /// The latest examples, each as it would have been scored when its order was placed.
    pub tested: &'a [Tested],
    /// Orders placed up to here were learnt from in training.
    pub placed_after: i64,
    /// Labels ripe up to here were learnt from by copies before it.
    pub ripe_after: Option<i64>,
    /// Labels ripe up to here were learnt from.
    pub until: i64,
}

/// What a version has learnt from, so that whoever goes on with it takes no example twice. Instants are UTC microseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LearntUntil {
    /// Orders placed up to here were learnt from in training.
    pub placed_at: i64,
    /// Of later ones, those whose label was ripe up to here; `None` where it has not gone on learning.
    pub ripe_at: Option<i64>,
    /// Nothing in it was known only after this: what is placed later tells what it is worth.
    pub made_at: i64,
}

/// The record of a training with the tests of what was learnt since.
fn measured(evaluation: Evaluation, tests: Option<&Tests>) -> Evaluation {
    let Some(tests) = tests else {
        let unknown =
            "how good it is was measured before it went on learning: no order placed since has a ripe label yet";
        return Evaluation { warnings: [evaluation.warnings, vec![unknown.to_owned()]].concat(), ..evaluation };
    };
    Evaluation {
        test: tests.slice.clone(),
        metrics: tests.learning.clone(),
        by_segment: Vec::new(),
        warnings: tests.warnings.clone(),
        ..evaluation
    }
}

impl Registry {
    /// Stores what a copy of `base` has learnt as a version of its own, has it challenge, and gives it and its tests, where there
    /// are any.
    ///
    /// # Errors
    /// [`Error::Model`] when the measures of `base` cannot be read or the copy is none of it; [`Error::Environment`] when the
    /// folder cannot be written.
    pub fn register_learned(&self, base: &Registered, gone_on: &GoneOn<'_>) -> Result<(String, Option<Tests>)> {
        let target = base.model.target;
        let dir = self.target_dir(target).join(&base.version);
        let refuse = |what: &str| self.refusal(target, format!("model `{target}` {}: {what}", base.version));
        if !gone_on.copy.fits(&base.model) {
            return Err(refuse("what was learnt is not of it"));
        }
        let evaluation = files::read(&dir.join(METRICS))?.unwrap_or_default();
        let evaluation: Evaluation =
            serde_json::from_slice(&evaluation).map_err(|_| refuse("its `metrics.json` cannot be read"))?;
        let tests = Tests::of(gone_on.tested, evaluation.train.base_rate, base.manifest.seed);
        let evaluation = measured(evaluation, tests.as_ref());
        let model = json(&gone_on.copy.model(&base.model))?;
        let manifest = Manifest {
            created_as_of: format_instant(gone_on.until),
            model_blake3: blake3::hash(&model).to_hex().to_string(),
            learned: Some(LearnedFrom {
                from: base.version.clone(),
                examples: gone_on.copy.examples,
                positives: gone_on.copy.positives,
                placed_after: format_instant(gone_on.placed_after),
                placed_to: gone_on.copy.placed_to.map(format_instant),
                ripe_after: gone_on.ripe_after.map(format_instant),
                until: format_instant(gone_on.until),
            }),
            ..base.manifest.clone()
        };
        let frozen = tests.as_ref().map(|tests| Evaluation { metrics: tests.frozen.clone(), ..evaluation.clone() });
        let card = card::card_of_learned(&manifest, &evaluation, frozen.as_ref());
        let mut contents = vec![
            (MODEL, model),
            (MANIFEST, json(&manifest)?),
            (METRICS, json(&evaluation)?),
            (CARD, card.into_bytes()),
        ];
        if let Some(frozen) = frozen {
            contents.push((FROZEN, json(&frozen)?));
        }
        // What orders looked like is as it was when the model was trained: drift is measured from there.
        contents.extend(files::read(&dir.join(REFERENCE))?.map(|reference| (REFERENCE, reference)));
        let version = self.store(target, &contents)?;
        if self.champion_version(target)?.as_ref() != Some(&version) {
            self.challenge(target, Some(&version))?;
        }
        Ok((version, tests))
    }

    /// The family of a version, without reading the model.
    ///
    /// # Errors
    /// As for a version's card.
    pub fn family(&self, target: Target, version: &str) -> Result<String> {
        self.manifest(target, version).map(|(_, manifest)| manifest.family)
    }

    /// What a version has learnt from.
    ///
    /// # Errors
    /// [`Error::Model`] when its record cannot be read.
    pub fn learnt_until(&self, base: &Registered) -> Result<LearntUntil> {
        let target = base.model.target;
        let unreadable = || self.refusal(target, format!("the record of `{target}` {} cannot be read", base.version));
        let instant = |text: &str| parse_instant(text).ok_or_else(unreadable);
        if let Some(learned) = &base.manifest.learned {
            let until = instant(&learned.until)?;
            return Ok(LearntUntil {
                placed_at: instant(&learned.placed_after)?,
                ripe_at: Some(until),
                made_at: until,
            });
        }
        let (dir, _) = self.manifest(target, &base.version)?;
        let evaluation = files::read(&dir.join(METRICS))?.unwrap_or_default();
        let as_of = instant(&base.manifest.created_as_of)?;
        Ok(match serde_json::from_slice::<Evaluation>(&evaluation) {
            Ok(Evaluation { train, calibrate, test, .. }) => {
                LearntUntil { placed_at: calibrate.to.max(train.to), ripe_at: None, made_at: test.from - 1 }
            }
            // Without its measures: nothing placed after the clock of a training was in it.
            Err(_) => LearntUntil { placed_at: as_of, ripe_at: None, made_at: as_of },
        })
    }

    /// The refusal of a model that cannot go on learning.
    pub fn not_learning(&self, target: Target, version: &str) -> Error {
        self.refusal(target, format!("`{target}` {version} is not of the family `ftrl`, its record says it is"))
    }
}
