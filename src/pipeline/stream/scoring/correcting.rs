//! What the engine was told wrongly: it is taken back, and what is so now is told in its place.

use super::Scoring;
use super::gathered::Gathered;
use super::telling::LINES;
use crate::error::Result;
use crate::features::Following;
use crate::ingest::Group;
use crate::pipeline::training::feature_terms;
use foldhash::quality::FixedState;
use std::collections::HashSet;
use std::path::Path;
use std::time::Instant;

/// Groups that are corrected at a time: their tables are held twice, as they were and as they are, and their events by state.
const AT_ONCE: usize = 1 << 15;

/// The share of what was told, as one of so many, beyond which telling everything anew is as quick.
const A_SHARE: usize = 4;

type Groups = HashSet<Group, FixedState>;

impl Scoring<'_> {
    /// Tells the engine of groups of which it was told what is not so any more. `false` where everything has to be told anew,
    /// and the engine has forgotten everything.
    pub(super) fn correct(&mut self, out: &Path, groups: &[Group], as_of: i64) -> Result<bool> {
        let (begun, told) = (Instant::now(), self.following.size().0);
        let mut done = Groups::default();
        let mut is_corrected = groups.len() <= AT_ONCE || groups.len() < told / A_SHARE;
        for some in groups.chunks(AT_ONCE) {
            is_corrected = is_corrected && self.correct_some(out, some, &mut done, as_of)?;
        }
        if !is_corrected {
            self.following = Following::default();
            return Ok(false);
        }
        let (orders, seconds) = (done.len(), begun.elapsed().as_secs_f64());
        tracing::debug!(orders, seconds, "what was told of these was taken back, and told as it is now");
        Ok(true)
    }

    fn correct_some(&mut self, out: &Path, groups: &[Group], done: &mut Groups, as_of: i64) -> Result<bool> {
        let groups = groups.iter().copied().filter(|group| !done.contains(group)).collect();
        let (groups, now) = self.with_whose_rows_they_have(out, groups, done, as_of)?;
        done.extend(&groups);
        let Some(before) = self.growing.of_groups_as_marked(&groups)? else { return Ok(false) };
        let before = self.gathered(out, before, &groups, as_of)?;
        // Rows that are of no order are groups too.
        if before.orders.len() < groups.iter().filter(|group| self.following.has_told(**group)).count() {
            return Ok(false);
        }
        let lines_last = self.growing.rows_last(LINES);
        let terms = feature_terms(self.pipeline, as_of);
        self.following.correct(&before.sub(lines_last), &now.sub(lines_last), &terms)
    }

    /// Groups, and those of which rows were that are theirs now, such as a ticket that turns out to be about another order; with
    /// everything that belongs to them now.
    fn with_whose_rows_they_have(
        &self,
        out: &Path,
        mut groups: Vec<Group>,
        done: &Groups,
        as_of: i64,
    ) -> Result<(Vec<Group>, Gathered)> {
        let mut these: Groups = groups.iter().copied().collect();
        loop {
            let now = self.growing.of_groups_but(&groups, groups.len(), &[])?;
            let now = self.gathered(out, now, &groups, as_of)?;
            let before = now.rows.values().flatten().filter_map(|row| self.replaced.get(row));
            let others: Vec<Group> = before.copied().filter(|of| !done.contains(of) && these.insert(*of)).collect();
            if others.is_empty() {
                return Ok((groups, now));
            }
            groups.extend(others);
        }
    }
}
