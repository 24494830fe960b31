//! Accepted tables between two processes: what is looked up is saved as columns, and rows as they are held.

use super::by_group::ByGroup;
use super::converted::Converted;
use super::groups::Groups;
use super::pieces::Pieces;
use super::standing::Standing;
use super::table::GrowingTable;
use super::waiting::Waiting;
use super::{Files, Growing, Unread, is_fed};
use crate::config::Pipeline;
use crate::contract::input::table;
use crate::error::Result;
use crate::ingest::fx::Rates;
use crate::saved::{Reader, Rows, Section, damaged};
use rayon::prelude::*;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// What [`Growing::save`] gives.
pub struct SavedTables {
    /// Everything but the rows.
    pub sections: Vec<Section>,
    /// Rows by the name under which the sections point to them. One name means the same rows for ever, so that what was
    /// written under it need not be written again.
    pub rows: Vec<(String, Rows)>,
}

impl<'a> Growing<'a> {
    /// Everything that was taken in. What has no name yet gets one that begins with its table and `tag`, which no two saves
    /// may share. Of rows that were saved before, what nobody has asked for since is let go of.
    pub fn save(&mut self, tag: &str) -> SavedTables {
        let (mut rows, mut heads) = (Vec::new(), Vec::new());
        for (name, table) in &mut self.tables {
            heads.push(table.save_rows(&format!("{name}-{tag}"), &mut rows));
        }
        let mut first = Section::default();
        first.one(self.has_orders);
        first.one(self.newest.is_some());
        first.one(self.newest.unwrap_or_default());
        first.column(self.later.iter().copied().collect::<Vec<_>>().into_iter());
        first.texts(self.looked.iter().copied().collect::<Vec<_>>().into_iter());
        first.texts(self.names.iter().map(|name| name.to_str().unwrap_or_default()));
        first.texts(self.tables.keys().copied());
        let tables: Vec<&mut GrowingTable> = self.tables.values_mut().collect();
        let of_tables = || {
            let tables = heads.into_par_iter().zip(tables);
            tables.map(|(head, table)| table.save_after(head)).collect::<Vec<_>>()
        };
        let groups = &mut self.groups;
        let (groups, tables) = rayon::join(|| groups.save(), of_tables);
        SavedTables { sections: [first, groups].into_iter().chain(tables).collect(), rows }
    }

    /// What [`Self::save`] gave when these files had been taken in, for a pipeline of the same settings. `rows` are those that
    /// the sections point to.
    ///
    /// # Errors
    /// [`crate::error::Error::InputRefused`] for sections that are not of this kind, or point to rows that are not there.
    pub fn load(
        pipeline: &'a Pipeline,
        (wanted, unread): (&'static [&'static str], Unread),
        (files, as_of): (&Files, i64),
        sections: &[Reader<'_>],
        rows: &BTreeMap<String, Rows>,
    ) -> Result<Self> {
        let mut growing = Self::new(pipeline, wanted, unread);
        let [first, groups, of_tables @ ..] = sections else { return Err(damaged()) };
        let mut first = first.clone();
        growing.has_orders = first.one()?;
        let (has_newest, newest): (bool, i64) = (first.one()?, first.one()?);
        growing.newest = has_newest.then_some(newest);
        growing.later = first.column()?.into_iter().collect();
        let known = |name: &String| table(name).map(|contract| contract.name).ok_or_else(damaged);
        growing.looked = first.texts()?.iter().map(known).collect::<Result<_>>()?;
        growing.names = first.texts()?.into_iter().map(PathBuf::from).collect();
        let names = first.texts()?.iter().map(known).collect::<Result<Vec<_>>>()?;
        first.finish()?;
        if names.len() != of_tables.len() {
            return Err(damaged());
        }
        let read = |section: &Reader<'_>| GrowingTable::read(section.clone(), rows);
        let read_all = || of_tables.par_iter().map(read).collect::<Result<Vec<_>>>();
        let (groups, tables) = rayon::join(|| Groups::read(groups.clone()), read_all);
        (growing.groups, growing.tables) = (groups?, names.into_iter().zip(tables?).collect());
        for (source, files) in files {
            let all = growing.files.entry(source.clone()).or_default();
            all.extend(files.iter().cloned());
            all.sort_by(|a, b| Path::new(&a.name).cmp(Path::new(&b.name)));
        }
        let rates = pipeline.raw.tables.get("fx_rates").filter(|mapping| is_fed(&growing.files, mapping));
        if let (Some(mapping), Some(contract)) = (rates, table("fx_rates")) {
            let checked = growing.whole(contract, mapping, as_of)?;
            growing.rates = Rates::of(&pipeline.raw.money.base, pipeline.base_exponent, &checked)?;
        }
        Ok(growing)
    }

    /// The names of the rows that sections of [`Self::save`] point to, and how many they are.
    ///
    /// # Errors
    /// As [`Self::load`].
    pub fn rows_of(sections: &[Reader<'_>]) -> Result<Vec<(String, usize)>> {
        let mut names = Vec::new();
        for section in sections.iter().skip(2) {
            names.extend(GrowingTable::read_names(&mut section.clone())?.into_iter().flatten());
        }
        Ok(names)
    }
}

impl GrowingTable {
    /// Adds the rows, by name, and begins the section of the table with these names: of the rows themselves, then of those
    /// that wait.
    fn save_rows(&mut self, prefix: &str, rows: &mut Vec<(String, Rows)>) -> Section {
        let mut count = 0;
        let mut name = || {
            count += 1;
            format!("{prefix}-{count}")
        };
        let first = rows.len();
        if let Some(pieces) = &mut self.frame {
            pieces.let_go();
            rows.extend(pieces.named(&mut name).map(|(name, rows)| (name, rows.clone())));
        }
        let waiting = rows.len();
        rows.extend(self.orphans.iter().map(|part| (name(), part.frame.clone().into())));
        let mut to = Section::default();
        to.one(self.frame.is_some());
        for some in [&rows[first..waiting], &rows[waiting..]] {
            to.texts(some.iter().map(|(name, _)| name.as_str()));
            to.column(some.iter().map(|(_, rows)| rows.height() as u64));
        }
        to
    }

    fn read_names(from: &mut Reader<'_>) -> Result<[Vec<(String, usize)>; 2]> {
        from.one::<bool>()?;
        let mut named = || {
            let (names, heights) = (from.texts()?, from.column::<u64>()?);
            match names.len() == heights.len() {
                true => Ok(names.into_iter().zip(heights.into_iter().map(|rows| rows as usize)).collect()),
                false => Err(damaged()),
            }
        };
        Ok([named()?, named()?])
    }

    /// Everything else, after the names.
    fn save_after(&mut self, mut to: Section) -> Section {
        for part in &self.orphans {
            to.column(part.places.iter().map(|(file, _)| *file));
            to.column(part.places.iter().map(|(_, row)| *row));
        }
        self.rows.save_into(&mut to);
        self.standing.save_into(&mut to);
        self.converted.save_into(&mut to);
        to
    }

    fn read(mut from: Reader<'_>, rows: &BTreeMap<String, Rows>) -> Result<Self> {
        let has_frame: bool = from.clone().one()?;
        let [names, waiting] = Self::read_names(&mut from)?;
        let find = |name: &String| rows.get(name).cloned().ok_or_else(damaged);
        let pieces = names.iter().map(|(name, _)| Ok((name.clone(), find(name)?))).collect::<Result<Vec<_>>>()?;
        let pieces = Pieces::of_saved(pieces);
        let mut orphans = Vec::with_capacity(waiting.len());
        for (name, _) in &waiting {
            let (frame, files, rows) = (find(name)?.all()?, from.cells()?, from.cells()?);
            if files.len() != frame.height() || rows.len() != frame.height() {
                return Err(damaged());
            }
            orphans.push(Waiting { frame, places: files.zip(rows).collect() });
        }
        let by_group = ByGroup::read(&mut from, pieces.height())?;
        let standing = Standing::read(&mut from)?;
        let converted = Converted::read(&mut from)?;
        from.finish()?;
        let frame = has_frame.then_some(pieces);
        Ok(Self { frame, rows: by_group, standing, converted, orphans, ..Self::default() })
    }
}
