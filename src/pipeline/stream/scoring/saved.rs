//! Everything that scores are given from, between two processes. What was logged of scored orders is not among it: that is
//! published.

use super::{READ, Scoring, unread};
use crate::config::Pipeline;
use crate::error::Result;
use crate::features::Following;
use crate::ingest::{Growing, SavedTables, TypedFile};
use crate::pipeline::stream::agenda::Agenda;
use crate::pipeline::training::feature_terms;
use crate::saved::{Reader, Rows, Section, damaged};
use std::collections::BTreeMap;

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

    /// What [`Self::save`] gave when these files had been taken, without any log: see [`Self::restore`].
    ///
    /// # Errors
    /// As [`Growing::load`].
    pub(in crate::pipeline::stream) fn load(
        pipeline: &'a Pipeline,
        files: (&BTreeMap<String, Vec<TypedFile>>, i64),
        sections: &[Reader<'_>],
        rows: &BTreeMap<String, Rows>,
    ) -> Result<Self> {
        let [first, agenda, ..] = sections else { return Err(damaged()) };
        let mut first = first.clone();
        let decided = first.texts()?.into_iter().next();
        let kept = first.one::<u64>()? as usize;
        let (following, tables) = Self::parts(sections)?;
        let terms = feature_terms(pipeline, files.1);
        let (growing, (following, agenda)) = rayon::join(
            || Growing::load(pipeline, (READ, unread(pipeline)), files, tables, rows),
            || {
                let following = || Following::load(&pipeline.features, &terms, following);
                rayon::join(following, || Agenda::read(agenda.clone()))
            },
        );
        let (growing, following, agenda) = (growing?, following?, agenda?);
        Ok(Self { growing, following, agenda, decided, kept, ..Self::new(pipeline) })
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
