//! Everything that scores are given from, between two processes. What was logged of scored orders is not among it: that is
//! published.

use super::{READ, Scoring, unread};
use crate::config::Pipeline;
use crate::error::Result;
use crate::features::Following;
use crate::ingest::{Growing, SavedTables, TypedFile};
use crate::pipeline::stream::agenda::Agenda;
use crate::pipeline::stream::published;
use crate::pipeline::training::feature_terms;
use crate::saved::{Reader, Rows, Section, damaged};
use std::collections::BTreeMap;

/// Files by source.
pub(in crate::pipeline::stream) type Taken = BTreeMap<String, Vec<TypedFile>>;

impl<'a> Scoring<'a> {
    /// Everything as it is between two steps; see [`Growing::save`] for `tag`.
    pub(in crate::pipeline::stream) fn save(&mut self, tag: &str) -> SavedTables {
        let (following, agenda, growing) = (&mut self.following, &mut self.agenda, &mut self.growing);
        let (tables, (following, agenda)) =
            rayon::join(|| growing.save(tag), || rayon::join(|| following.save(), || agenda.save()));
        let mut first = Section::default();
        first.texts(self.decided.as_deref().into_iter().collect::<Vec<_>>().into_iter());
        first.one(self.kept as u64);
        first.one(following.len() as u64);
        let sections = [first, agenda].into_iter().chain(following).chain(tables.sections).collect();
        SavedTables { sections, rows: tables.rows }
    }

    /// What [`Self::save`] gave when the files `before` had been taken, and then those that came `after`, with what was
    /// `logged` if anything was: see [`Self::restore`]. Both go on beside what else is read.
    ///
    /// # Errors
    /// As [`Growing::load`] and [`Self::take`], and those of `logged`.
    pub(in crate::pipeline::stream) fn load(
        pipeline: &'a Pipeline,
        (before, after, end): (&Taken, &Taken, i64),
        sections: &[Reader<'_>],
        rows: &BTreeMap<String, Rows>,
        logged: impl FnOnce() -> Result<Vec<published::OfDay>> + Send,
    ) -> Result<Self> {
        let [first, agenda, ..] = sections else { return Err(damaged()) };
        let mut first = first.clone();
        let decided = first.texts()?.into_iter().next();
        let kept = first.one::<u64>()? as usize;
        let (following, tables) = Self::parts(sections)?;
        let terms = feature_terms(pipeline, end);
        let of_tables = || -> Result<Self> {
            let mut growing = Growing::load(pipeline, (READ, unread(pipeline)), (before, end), tables, rows)?;
            // What comes after it may correct what was told.
            growing.mark();
            let mut held = Self { growing, ..Self::new(pipeline) };
            held.take(after, end)?;
            held.restore(logged()?);
            Ok(held)
        };
        let (held, (following, agenda)) = rayon::join(of_tables, || {
            let following = || Following::load(&pipeline.features, &terms, following);
            rayon::join(following, || Agenda::read(agenda.clone()))
        });
        let (held, following, agenda) = (held?, following?, agenda?);
        Ok(Self { following, agenda, decided, kept, ..held })
    }

    /// The names of the rows that sections of [`Self::save`] point to, and how many they are.
    ///
    /// # Errors
    /// As [`Self::load`].
    pub(in crate::pipeline::stream) fn rows_of(sections: &[Reader<'_>]) -> Result<Vec<(String, usize)>> {
        Growing::rows_of(Self::parts(sections)?.1)
    }

    /// The sections of what the engine was told, and those of the tables.
    fn parts<'s, 'r>(sections: &'s [Reader<'r>]) -> Result<(&'s [Reader<'r>], &'s [Reader<'r>])> {
        let [first, _, rest @ ..] = sections else { return Err(damaged()) };
        let mut first = first.clone();
        first.texts()?;
        first.one::<u64>()?;
        let of_following = first.one::<u64>()? as usize;
        first.finish()?;
        rest.split_at_checked(of_following).ok_or_else(damaged)
    }
}
