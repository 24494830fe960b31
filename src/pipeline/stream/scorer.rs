//! The models in service between epochs, read again only when others are put in service.

use crate::config::Pipeline;
use crate::error::{Error, Result};
use crate::features::Features;
use crate::ingest::Ingested;
use crate::pipeline::challengers::Challengers;
use crate::pipeline::scores::{Scores, decide_orders};
use crate::pipeline::scoring::{self, Champion, Examples};
use crate::registry::Registry;
use crate::risk::Target;

/// Versions in service: champions, then challengers.
type Versions = [Option<String>; 4];

/// Models by the versions they are of.
#[derive(Default)]
pub(super) struct Scorer {
    held: Option<(Versions, [Champion; 2], Challengers)>,
}

impl Scorer {
    /// Whether a few days can be scored by themselves. Where a model of fraud is asked for and there is none yet, the most
    /// unusual orders are looked for among all.
    ///
    /// # Errors
    /// [`Error::Environment`] when the registry cannot be read.
    pub(super) fn can_score(&self, pipeline: &Pipeline, registry: &Registry) -> Result<bool> {
        let asked = pipeline.raw.risk.fraud.is_some();
        Ok(!asked || registry.champion_version(Target::Fraud)?.is_some())
    }

    /// Scores orders by their features and decides on them.
    ///
    /// # Errors
    /// [`Error::Model`] when a model is missing or does not fit.
    pub(super) fn score(
        &mut self,
        pipeline: &Pipeline,
        ingested: &Ingested,
        features: &Features,
        registry: &Registry,
        as_of: i64,
    ) -> Result<Scores> {
        let [fraud, returned] = Target::ALL;
        let versions: Versions = [
            registry.champion_version(fraud)?,
            registry.champion_version(returned)?,
            registry.challenger_version(fraud)?,
            registry.challenger_version(returned)?,
        ];
        let held = self.held.take().filter(|(of, ..)| *of == versions);
        let ([fraud, returned], challengers) = match held {
            // What tells of an outcome may have come with a later file.
            Some((_, champions, challengers)) if champions.iter().all(std::result::Result::is_ok) => {
                (champions, challengers)
            }
            _ => {
                let one = |target| scoring::champion(pipeline, target, ingested, registry, as_of);
                ([one(fraud)?, one(returned)?], Challengers::new(pipeline, ingested, registry)?)
            }
        };
        let fraud = scoring::score(fraud, &Examples::of(Target::Fraud, features))?;
        let returned = scoring::score(returned, &Examples::of(Target::Return, features))?;
        let mut scores = decide_orders(pipeline, ingested, features, &fraud, &returned, as_of)?;
        for column in challengers.score(features)?.columns(features) {
            scores.order_scores.with_column(column).map_err(Error::frames("challengers"))?;
        }
        self.held = Some((versions, [fraud.into_champion(), returned.into_champion()], challengers));
        Ok(scores)
    }
}
