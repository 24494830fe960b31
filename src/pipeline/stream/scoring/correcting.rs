//! What the engine was told wrongly: it is taken back, and what is so now is told in its place.

use super::Scoring;
use super::telling::LINES;
use crate::error::Result;
use crate::features::Following;
use crate::ingest::Group;
use crate::pipeline::training::feature_terms;
use std::path::Path;
use std::time::Instant;

/// Groups that are corrected at a time: their tables are held twice, as they were and as they are.
const AT_ONCE: usize = 1 << 16;

impl Scoring<'_> {
    /// Tells the engine of groups of which it was told what is not so any more. `false` where everything has to be told anew,
    /// and the engine has forgotten everything.
    pub(super) fn correct(&mut self, out: &Path, groups: &[Group], as_of: i64) -> Result<bool> {
        let begun = Instant::now();
        for some in groups.chunks(AT_ONCE) {
            if !self.correct_some(out, some, as_of)? {
                self.following = Following::default();
                return Ok(false);
            }
        }
        let (orders, seconds) = (groups.len(), begun.elapsed().as_secs_f64());
        tracing::debug!(orders, seconds, "what was told of these was taken back, and told as it is now");
        Ok(true)
    }

    fn correct_some(&mut self, out: &Path, groups: &[Group], as_of: i64) -> Result<bool> {
        let Some(before) = self.growing.of_groups_as_marked(groups)? else { return Ok(false) };
        let before = self.gathered(out, before, groups, as_of)?;
        if before.orders.len() < groups.len() {
            return Ok(false);
        }
        let now = self.growing.of_groups_but(groups, groups.len(), &[])?;
        let now = self.gathered(out, now, groups, as_of)?;
        let lines_last = self.growing.rows_last(LINES);
        let terms = feature_terms(self.pipeline, as_of);
        self.following.correct(&before.sub(lines_last), &now.sub(lines_last), &terms)
    }
}
