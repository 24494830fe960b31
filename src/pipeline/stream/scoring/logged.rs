//! Features as they were when orders were scored: entered, taken over from what is published, given to what decides.

use super::{Scoring, Stepped, ids};
use crate::error::{Error, Result};
use crate::features::{self, Features};
use crate::ingest::{Group, Ingested};
use crate::pipeline::stream::log::Found;
use crate::pipeline::stream::published;
use crate::pipeline::training::feature_terms;
use crate::types::time::local_day;
use polars::prelude::*;
use rayon::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

impl Scoring<'_> {
    /// Enters features into the log.
    pub(super) fn enter(
        &mut self,
        out: &Path,
        features: &Features,
        asking: &[Group],
        stepped: &mut Stepped,
    ) -> Result<()> {
        let mut by_day: BTreeMap<i32, (Vec<usize>, Vec<Group>)> = BTreeMap::new();
        for (row, at) in features.placed_at.iter().enumerate() {
            let Some(group) = asking.get(row) else {
                return Err(Error::Invariant("features of an order that did not ask".to_owned()));
            };
            let of_day = by_day.entry(local_day(*at, self.pipeline.zone).unwrap_or_default()).or_default();
            of_day.0.push(row);
            of_day.1.push(*group);
        }
        self.log.hold(out, by_day.keys().copied(), &self.growing)?;
        for (day, (rows, groups)) in by_day {
            stepped.days.insert(day);
            self.log.append(day, &groups, features.matrix.take(&rows));
        }
        Ok(())
    }

    /// Takes over what was logged when orders were scored, where it is published: what would be counted again may know
    /// more. These orders do not ask again.
    pub(in crate::pipeline::stream) fn restore(&mut self, published: Vec<published::OfDay>) {
        let of_day = |day: published::OfDay| {
            let found = self.growing.groups_of(&day.orders).into_iter().flatten();
            // What has moved to another day is there.
            let is_of_day = |at| local_day(at, self.pipeline.zone).unwrap_or_default() == day.day;
            let is_there = |group: &Group| self.growing.placed_at(*group).is_some_and(is_of_day);
            let groups: Vec<Group> = found.filter(is_there).collect();
            (day.day, groups, day.names)
        };
        let days: Vec<_> = published.into_par_iter().map(of_day).collect();
        days.into_iter().for_each(|(day, groups, names)| self.log.enter_published(day, &groups, names));
    }

    /// Puts what was logged when orders were scored over what was counted again.
    ///
    /// # Errors
    /// As [`published::all`].
    pub(in crate::pipeline::stream) fn overlay(&mut self, out: &Path) -> Result<()> {
        for file in published::all(out)? {
            self.log.overlay(&file, &self.growing);
        }
        Ok(())
    }

    /// Reads the log of some days back, which are to be looked at.
    ///
    /// # Errors
    /// As [`Log::hold`].
    pub(in crate::pipeline::stream) fn hold(&mut self, out: &Path, days: &BTreeSet<i32>) -> Result<()> {
        self.log.hold(out, days.iter().copied(), &self.growing)
    }

    /// Counts changes of the log so far: see [`Self::published`].
    pub(in crate::pipeline::stream) fn mark(&self) -> u64 {
        self.log.mark()
    }

    /// Says that a commit has the features of some days, all if none are named, as they were at `mark`.
    pub(in crate::pipeline::stream) fn published(&mut self, days: Option<&BTreeSet<i32>>, mark: u64) {
        self.log.published(days, mark);
    }

    /// The tables of the orders of some days as known at the clock, and their logged features.
    ///
    /// # Errors
    /// [`Error::Frames`] only for defects, and as [`Self::hold`].
    pub(in crate::pipeline::stream) fn of_days(
        &self,
        out: &Path,
        days: &BTreeSet<i32>,
        as_of: i64,
    ) -> Result<(Ingested, Features)> {
        let groups: Vec<Group> = self.log.of_days(days).into_iter().collect();
        let ingested = Ingested::of_tables(self.known(out, self.growing.of_groups(&groups)?, as_of)?);
        let found = self.find(&ingested.tables)?;
        let matrix = found.matrix(out, found.names())?;
        let terms = feature_terms(self.pipeline, as_of);
        let features = features::of_log(&ingested.tables, matrix, &self.pipeline.features, &terms)?;
        Ok((ingested, features))
    }

    /// Where the logged features of the orders in `tables` are, in their order.
    ///
    /// # Errors
    /// [`Error::Invariant`] for an order that was not scored.
    pub(in crate::pipeline::stream) fn find(&self, tables: &BTreeMap<&'static str, DataFrame>) -> Result<Found> {
        let Some(orders) = tables.get("orders").filter(|orders| orders.height() > 0) else {
            return self.log.find(std::iter::empty());
        };
        let (ids, numbers) = (ids(orders)?, self.numbers_of(orders)?);
        self.log.find(numbers.into_iter().zip(ids.iter()))
    }
}
