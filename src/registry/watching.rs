//! What a version kept of its training for the monitor.

use super::{METRICS, REFERENCE, Registry, files};
use crate::error::Result;
use crate::risk::Target;
use crate::risk::evaluate::Evaluation;
use crate::risk::monitor::reference::Reference;
use crate::types::time::parse_instant;

/// What drift of a version is measured from, as far as it was kept.
#[derive(Debug, Clone, PartialEq)]
pub struct Watching {
    /// `placed_at` of the last order it learnt from, UTC microseconds; `None` where its record cannot be read.
    pub learnt_until: Option<i64>,
    /// What orders looked like then; the words why that is not there.
    pub reference: std::result::Result<Reference, String>,
}

impl Registry {
    /// Reads what a version kept for the monitor. What is missing or damaged is said and stops nothing: scores do not
    /// depend on it.
    ///
    /// # Errors
    /// As for a version's card.
    pub fn watching(&self, target: Target, version: &str) -> Result<Watching> {
        let (dir, manifest) = self.manifest(target, version)?;
        let evaluation = files::read(&dir.join(METRICS))?.unwrap_or_default();
        let evaluation: Option<Evaluation> = serde_json::from_slice(&evaluation).ok();
        let reference = match files::read(&dir.join(REFERENCE))? {
            Some(bytes) => Reference::read(&bytes),
            None => Err("it was registered without a reference".to_owned()),
        };
        // The last fit takes the calibration slice too; a stream may have gone on from there.
        let since = manifest.learned.and_then(|learned| parse_instant(&learned.placed_to?));
        let learnt_until = evaluation.map(|found| found.calibrate.to.max(found.train.to)).max(since);
        Ok(Watching { learnt_until, reference })
    }
}
