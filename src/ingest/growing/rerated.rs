//! Further exchange rates: rows whose money is worth something else by them are taken in again, and no others.

use super::table::GrowingTable;
use super::waiting::{Waiting, mapped};
use super::{Files, Group, Growing, is_fed, is_in};
use crate::config::TableMap;
use crate::contract::input::{Table, table};
use crate::error::Result;
use crate::ingest::accept::{self, Placements};
use crate::ingest::cache::TypedFile;
use crate::ingest::fx::Rates;
use rayon::prelude::*;
use std::collections::BTreeMap;
use std::path::Path;

/// What further rates change.
pub(super) enum Rerated {
    /// The money of no row.
    Nothing,
    /// Money of each of these currencies from an instant on, and what the rates were before.
    From(BTreeMap<String, i64>, Rates),
    /// Possibly that of any row.
    Everything,
}

/// A file, its number and its source.
type Numbered = (u32, String, TypedFile);

impl Growing<'_> {
    /// Brings the rates up to date, and says what they change of the rows so far.
    pub(super) fn rerate(&mut self, new: &Files, as_of: i64) -> Result<Rerated> {
        let mapping = self.pipeline.raw.tables.get("fx_rates").filter(|m| is_in(new, m) && is_fed(&self.files, m));
        let (Some(mapping), Some(contract)) = (mapping, table("fx_rates")) else { return Ok(Rerated::Nothing) };
        let checked = self.whole(contract, mapping, as_of)?;
        let rates = Rates::of(&self.pipeline.raw.money.base, self.pipeline.base_exponent, &checked)?;
        let before = std::mem::replace(&mut self.rates, rates);
        Ok(match before.differing_from(&self.rates) {
            Some(from) if from.is_empty() => Rerated::Nothing,
            Some(from) => Rerated::From(from, before),
            None => Rerated::Everything,
        })
    }

    /// Takes in again what the rates change of a table whose rows come one by one. `false` where the table is to be made anew:
    /// a row falls away, not every file can be told from others, or it would be most rows, of which those before would be held
    /// beside them.
    pub(super) fn take_again(
        &mut self,
        (contract, mapping): (&'static Table, &TableMap),
        rerated: &Rerated,
        as_of: i64,
        changed: &mut Vec<Group>,
    ) -> Result<bool> {
        let (from, before) = match rerated {
            Rerated::Nothing => return Ok(true),
            Rerated::From(from, before) => (from, before),
            Rerated::Everything => return Ok(false),
        };
        let Some(table) = self.tables.get(contract.name) else { return Ok(true) };
        let Some(files) = self.worth_something_else(table, mapping, from) else { return Ok(false) };
        let mut taken = 0;
        for some in files.chunks(rayon::current_num_threads()) {
            let differing = |(number, source, file): &Numbered| -> Result<Option<Vec<Waiting>>> {
                let parts = mapped(self.pipeline, (contract, mapping), source, vec![file.clone()], *number)?;
                let orders = (contract.name != "orders").then_some(&self.groups as &dyn Placements);
                let differing = |part: Waiting| {
                    let rows = accept::differing(contract, &part.frame, orders, [before, &self.rates])?;
                    rows.map(|rows| part.take(rows)).transpose()
                };
                parts.into_iter().map(differing).collect()
            };
            let parts: Option<Vec<_>> = some.par_iter().map(differing).collect::<Result<_>>()?;
            let Some(parts) = parts else { return Ok(false) };
            let parts: Vec<Waiting> = parts.into_iter().flatten().collect();
            taken += parts.iter().map(|part| part.frame.height()).sum::<usize>();
            self.accept(contract, parts, as_of, changed)?;
        }
        if taken > 0 {
            let (table, files) = (contract.name, files.len());
            tracing::debug!(table, files, rows = taken, "taken in again at other exchange rates");
        }
        Ok(true)
    }

    /// The files of a table with money in these currencies from these instants on, unless they have most rows of the table or
    /// there are several of one name.
    fn worth_something_else(
        &self,
        table: &GrowingTable,
        mapping: &TableMap,
        from: &BTreeMap<String, i64>,
    ) -> Option<Vec<Numbered>> {
        let sources = mapping.sources();
        let of_source = |source| self.files.get(source).into_iter().flatten().map(move |file| (source, file));
        let mut named: BTreeMap<&Path, Vec<(&String, &TypedFile)>> = BTreeMap::new();
        for (source, file) in sources.iter().flat_map(of_source) {
            named.entry(Path::new(&file.name)).or_default().push((source, file));
        }
        let numbered = |number: u32| {
            let name = self.names.get(number as usize)?;
            let [(source, file)] = named.get(name.as_path())?[..] else { return None };
            Some((number, source.clone(), file.clone()))
        };
        let files: Vec<Numbered> = table.converted.files(from).into_iter().map(numbered).collect::<Option<_>>()?;
        let rows: usize = files.iter().map(|(_, _, file)| file.findings.typed as usize).sum();
        (rows <= table.height() / 2).then_some(files)
    }
}
