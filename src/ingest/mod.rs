//! From files to accepted tables, in two steps.
//!
//! First every file becomes typed, row-numbered Parquet in the cache, read record by record so that what is wrong is seen.
//! Then tables are made from typed files by column map or SQL, and checked: keys, references, order of time, money.
//! Whatever is refused on the way is in [`Ingested::rejected`], and the counts must add up.

mod accept;
mod again;
mod at_hand;
mod cache;
mod contiguous;
pub(crate) mod discover;
mod fx;
mod growing;
mod mapping;
mod personal;
mod plan;
mod profile;
mod read;
mod record;
mod together;
mod typed;
mod value;

pub use accept::key_hashes;
pub use again::{KeptFile, accepted_again, kept, kept_file};
pub use cache::{TypedFile, create_private};
pub use growing::{Group, Growing, PLACE, ROW, SavedTables, Unread};
pub use personal::PersonalKey;
pub use profile::{ColumnProfile, TableProfile, profile};
pub use typed::ValueCounts;

use crate::config::{Format, Pipeline};
use crate::contract::input::{TABLES, Table};
use crate::error::{Error, Result};
use crate::memory;
use crate::quarantine::{Reason, Rejected, Tallies, Tally};
use discover::SourceFile;
use fx::Rates;
use polars::prelude::DataFrame;
use rayon::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// What stands for the name of a source where a line of standard input names none.
pub const STDIN: &str = "stdin";

/// What is shown of a record in which personal values may be anywhere.
const WITHHELD: &str = "[withheld: personal columns cannot be told apart in a broken record]";

/// What came in.
#[derive(Debug)]
pub struct Ingested {
    /// Accepted tables by their contract names; a table that is not mapped is absent.
    pub tables: BTreeMap<&'static str, DataFrame>,
    /// Every refused row, sorted.
    pub rejected: Vec<Rejected>,
    /// Every file that was read, by source.
    pub files: BTreeMap<String, Vec<TypedFile>>,
    /// Rows of each source: read, typed (as accepted), refused while typing.
    pub sources: Tallies,
    /// Rows of each table: mapped, accepted, refused by the contract, superseded.
    pub table_rows: Tallies,
    /// Values that a stated rule had to decide.
    pub counts: ValueCounts,
}

/// Reads everything a pipeline names.
///
/// `cache` is the folder of typed copies. Of rows with one key the latest
/// written by `as_of` stands. A table that `wanted` does not name is checked and counted all the same, but its
/// rows are not kept: memory is for what is computed on. `tick` is called with the name of each file and table as it is done.
///
/// # Errors
/// [`Error::Config`] when mappings do not fit the data, [`Error::InputRefused`] when a file or column is missing.
/// Too many refused rows are not an error here: see [`Ingested::check_limit`].
pub fn ingest(
    pipeline: &Pipeline,
    cache: &Path,
    key: &PersonalKey,
    as_of: i64,
    wanted: &dyn Fn(&str) -> bool,
    tick: &(dyn Fn(&str) + Sync),
) -> Result<Ingested> {
    let typist = Typist::new(pipeline, cache, key)?;
    let mut files = BTreeMap::new();
    for plan in &typist.plans {
        let found = discover::files(&plan.name, &plan.source, &pipeline.base_dir)?;
        let typed: Vec<TypedFile> = found
            .par_iter()
            .map(|file| {
                let typed = cache::typed(file, plan, pipeline.zone.name(), key, cache, None)?;
                tick(&format!("{} {}", plan.name, file.name));
                Ok(typed)
            })
            .collect::<Result<_>>()?;
        files.insert(plan.name.clone(), typed);
    }
    typist.columns_are_there(&files)?;
    typist.accepted(files, as_of, wanted, tick)
}

/// Makes typed copies of source files, and tables of these.
pub struct Typist<'a> {
    pipeline: &'a Pipeline,
    cache: &'a Path,
    key: &'a PersonalKey,
    plans: Vec<plan::SourcePlan>,
    /// Sources of which typed rows are kept at hand.
    keeps: BTreeSet<String>,
    room: at_hand::Room,
}

impl<'a> Typist<'a> {
    /// For the sources that a pipeline's tables use; `cache` is the folder of typed copies.
    ///
    /// # Errors
    /// [`Error::Config`] with every column whose type cannot be decided, [`Error::Environment`] for the folder.
    pub fn new(pipeline: &'a Pipeline, cache: &'a Path, key: &'a PersonalKey) -> Result<Self> {
        let plans = plan::plan(pipeline)?;
        create_private(cache)?;
        let room = at_hand::Room::within(memory::limit_in_bytes());
        Ok(Self { pipeline, cache, key, plans, keeps: BTreeSet::new(), room })
    }

    /// The same, which keeps the rows that it types for these tables at hand, with the file, until that is
    /// [laid down](TypedFile::laid_down); not more than a gigabyte at a time, and a sixteenth of the memory.
    #[must_use]
    pub fn keeping(mut self, tables: &[&str]) -> Self {
        let mappings = self.pipeline.raw.tables.iter().filter(|(table, _)| tables.contains(&table.as_str()));
        self.keeps = mappings.flat_map(|(_, mapping)| mapping.sources()).collect();
        self
    }

    /// The sources that any table uses.
    pub fn sources(&self) -> impl Iterator<Item = &str> {
        self.plans.iter().map(|plan| plan.name.as_str())
    }

    /// The typed copy of one file of a source, made if it is not there.
    ///
    /// # Errors
    /// [`Error::InputRefused`] when the file as a whole cannot be used,
    /// [`Error::Environment`] when it cannot be read or its copy not be written.
    pub fn typed(&self, source: &str, name: &str, path: &Path, format: Format) -> Result<TypedFile> {
        let plan = self.plans.iter().find(|plan| plan.name == source);
        let plan = plan.ok_or_else(|| Error::Invariant(format!("no table uses the source `{source}`")))?;
        let file = SourceFile { path: path.to_owned(), name: name.to_owned(), format };
        let room = self.keeps.contains(source).then_some(&self.room);
        cache::typed(&file, plan, self.pipeline.zone.name(), self.key, self.cache, room)
    }

    /// Typed copies that an earlier process made.
    ///
    /// # Errors
    /// [`Error::Usage`] when one is gone.
    pub fn kept(&self, source: &str, copies: &[KeptFile]) -> Result<Vec<TypedFile>> {
        let folder = self.cache.join(source);
        copies.iter().map(|copy| again::typed_again(&folder, copy)).collect()
    }

    /// Whether some record of every source has each column that is needed. A stream is young at first: it says so and goes on.
    ///
    /// # Errors
    /// [`Error::InputRefused`] for the first column that no record has.
    pub fn columns_are_there(&self, files: &BTreeMap<String, Vec<TypedFile>>) -> Result<()> {
        self.plans.iter().try_for_each(|plan| columns_are_there(plan, files.get(&plan.name).map_or(&[], Vec::as_slice)))
    }

    /// A line of standard input that is no record of any source, as quarantine shows it: where any source holds personal
    /// data, it may hold some too.
    pub fn refused_line(&self, file: &str, row: u64, reason: Reason, detail: &str, raw: &str) -> Rejected {
        let raw_record = match self.plans.iter().any(plan::SourcePlan::has_personal) {
            true => WITHHELD.to_owned(),
            false => typed::shorten(raw),
        };
        Rejected {
            source: STDIN.to_owned(),
            file: file.to_owned(),
            row,
            table: None,
            column: None,
            reason,
            detail: detail.to_owned(),
            order_id: None,
            raw_record,
        }
    }

    /// The tables that files give, checked. A source without a file feeds no table yet.
    ///
    /// # Errors
    /// As [`ingest`].
    pub fn accepted(
        &self,
        files: BTreeMap<String, Vec<TypedFile>>,
        as_of: i64,
        wanted: &dyn Fn(&str) -> bool,
        tick: &(dyn Fn(&str) + Sync),
    ) -> Result<Ingested> {
        let mut ingested = Ingested {
            tables: BTreeMap::new(),
            rejected: Vec::new(),
            sources: BTreeMap::new(),
            table_rows: BTreeMap::new(),
            counts: ValueCounts::default(),
            files,
        };
        for (name, typed) in &ingested.files {
            let tally = ingested.sources.entry(name.clone()).or_default();
            for file in typed {
                tally.read += file.findings.read;
                tally.accepted += file.findings.typed;
                tally.quarantined += file.findings.rejected.len() as u64;
                ingested.counts.add(file.findings.counts);
                ingested.rejected.extend(file.findings.rejected.iter().cloned());
            }
        }
        let mut refused = BTreeMap::new();
        accept_all(self.pipeline, &ingested.files, as_of, wanted, &mut |table, accepted, rows, source| {
            refused.insert(table.name, (table, rows, source));
            ingested.table_rows.insert(table.name.to_owned(), accepted.tally);
            if wanted(table.name) {
                ingested.tables.insert(table.name, accepted.accepted);
            }
            tick(table.name);
            Ok(())
        })?;
        for (table, rows, source) in refused.into_values() {
            let rejected = record::rejected(table, rows, source.as_deref(), &ingested.files, &self.plans)?;
            ingested.rejected.extend(rejected);
        }
        ingested.rejected.sort();
        ingested.check_balance()?;
        Ok(ingested)
    }
}

/// From how many rows on the pieces that a table was made of leave memory worth giving back.
const MANY_ROWS: u64 = 1_000_000;

/// Takes a table that was checked: what was accepted, what was refused, and the source of its rows.
type TakeTable<'a> =
    &'a mut dyn FnMut(&'static Table, accept::Checked, Vec<record::Refused>, Option<String>) -> Result<()>;

/// Makes the contract's tables of typed files and checks them, one after the other.
fn accept_all(
    pipeline: &Pipeline,
    files: &BTreeMap<String, Vec<TypedFile>>,
    as_of: i64,
    wanted: &dyn Fn(&str) -> bool,
    take: TakeTable<'_>,
) -> Result<()> {
    let mut rates = Rates::none(&pipeline.raw.money.base, pipeline.base_exponent);
    let mut orders = None;
    // Rates first, since all money needs them; then orders, which the others point to.
    let rest = TABLES.iter().filter(|t| t.name != "fx_rates");
    for table in TABLES.iter().filter(|t| t.name == "fx_rates").chain(rest) {
        let Some(mapping) = pipeline.raw.tables.get(table.name) else { continue };
        // Nothing can point to orders before there are any.
        if table.of_order && table.name != "orders" && orders.is_none() {
            continue;
        }
        // In a stream a source may be empty still: its table is mapped and has no rows.
        if !mapping.sources().iter().all(|source| files.get(source).is_some_and(|files| !files.is_empty())) {
            if let Some(accepted) = mapping::nothing_yet(table, mapping)?.filter(|_| table.name != "orders") {
                let nothing = accept::Checked { accepted, tally: Tally::default() };
                take(table, nothing, Vec::new(), mapping.source.clone())?;
            }
            continue;
        }
        let needed = wanted(table.name) || ["orders", "fx_rates"].contains(&table.name);
        let mut checker =
            accept::Checker::new(table, orders.as_ref().map(|o| o as &dyn accept::Placements), &rates, as_of, needed);
        let (mut refused, mut source) = (Vec::new(), None);
        mapping::each_part(pipeline, table, mapping, files, &mut |part| {
            let faults = checker.part(part)?;
            refused.extend(record::refused(table, part, faults)?);
            source.clone_from(&part.source);
            Ok(())
        })?;
        let checked = checker.finish()?;
        if checked.tally.read >= MANY_ROWS {
            crate::memory::give_back();
        }
        if table.name == "fx_rates" {
            rates = Rates::of(&pipeline.raw.money.base, pipeline.base_exponent, &checked.accepted)?;
        } else if table.name == "orders" {
            orders = Some(order_times(&checked.accepted)?);
        }
        take(table, checked, refused, source)?;
    }
    Ok(())
}

/// Where records name their columns, a file without one may be a file of orders that had none; a whole source without it
/// is a mapping that names it wrongly.
fn columns_are_there(plan: &plan::SourcePlan, files: &[TypedFile]) -> Result<()> {
    let with_records = || files.iter().filter(|f| f.findings.typed > 0);
    let missing = plan
        .needed
        .iter()
        .find(|name| with_records().count() > 0 && with_records().all(|f| f.findings.absent.contains(name)));
    match missing {
        None => Ok(()),
        Some(name) => Err(Error::InputRefused {
            message: format!("source `{}`: no record has a `{name}`", plan.name),
            hint: Some(
                "check the spelling in the column map; a column that is not exported must not be mapped".to_owned(),
            ),
        }),
    }
}

fn order_times(orders: &DataFrame) -> Result<accept::Orders> {
    let stage = "indexing orders";
    let ids = orders.column("order_id").and_then(|c| c.str().cloned()).map_err(Error::frames(stage))?;
    let times = orders.column("placed_at").map(|c| c.to_physical_repr()).map_err(Error::frames(stage))?;
    let times = times.i64().map_err(Error::frames(stage))?;
    let mut placed = accept::Orders::default();
    for (id, at) in ids.iter().zip(times.iter()).filter_map(|(id, at)| Some((id?, at?))) {
        placed.place(id, at)?;
    }
    Ok(placed)
}

impl Ingested {
    /// Tables that were accepted elsewhere; nothing is counted of them here.
    pub fn of_tables(tables: BTreeMap<&'static str, DataFrame>) -> Self {
        Self {
            tables,
            rejected: Vec::new(),
            files: BTreeMap::new(),
            sources: BTreeMap::new(),
            table_rows: BTreeMap::new(),
            counts: ValueCounts::default(),
        }
    }

    /// The identity of ingest: nothing is lost.
    fn check_balance(&self) -> Result<()> {
        for (name, tally) in self.sources.iter().chain(&self.table_rows) {
            if !tally.balances() {
                return Err(Error::Invariant(format!(
                    "`{name}`: {} rows read, but {} accepted + {} quarantined + {} superseded",
                    tally.read, tally.accepted, tally.quarantined, tally.superseded
                )));
            }
        }
        let counted: u64 = self.sources.values().chain(self.table_rows.values()).map(|t| t.quarantined).sum();
        if counted != self.rejected.len() as u64 {
            return Err(Error::Invariant(format!(
                "{counted} rows were refused and {} stand in quarantine",
                self.rejected.len()
            )));
        }
        Ok(())
    }

    /// Rows refused of each source or table, over the rows it could have given.
    fn refused_by(&self) -> BTreeMap<&str, Tally> {
        let mut by: BTreeMap<&str, Tally> = BTreeMap::new();
        for (name, tally) in &self.sources {
            by.insert(name, Tally { read: tally.read, ..Tally::default() });
        }
        for row in &self.rejected {
            let whole = self.table_rows.get(row.table.as_deref().unwrap_or_default()).map_or(0, |t| t.read);
            by.entry(&row.source).or_insert(Tally { read: whole, ..Tally::default() }).quarantined += 1;
        }
        by
    }

    /// Counts rows that were refused before they were any source's.
    pub fn refuse(&mut self, rejected: &[Rejected]) {
        for row in rejected {
            let tally = self.sources.entry(row.source.clone()).or_default();
            (tally.read, tally.quarantined) = (tally.read + 1, tally.quarantined + 1);
        }
        self.rejected.extend_from_slice(rejected);
        self.rejected.sort();
    }

    /// Refuses the whole input if a source or table lost more than `max_share` of its rows.
    ///
    /// # Errors
    /// [`Error::InputRefused`] that names the worst source, its commonest reasons and an example of each.
    pub fn check_limit(&self, max_share: f64) -> Result<()> {
        let mut over: Vec<(&str, Tally)> =
            self.refused_by().into_iter().filter(|(_, t)| t.quarantined_share() > max_share).collect();
        over.sort_by(|a, b| b.1.quarantined_share().total_cmp(&a.1.quarantined_share()));
        let Some((name, tally)) = over.first() else { return Ok(()) };
        let mut reasons: BTreeMap<_, (u64, &Rejected)> = BTreeMap::new();
        for row in self.rejected.iter().filter(|r| r.source == **name) {
            reasons.entry(row.reason).or_insert((0, row)).0 += 1;
        }
        let mut reasons: Vec<_> = reasons.into_iter().collect();
        reasons.sort_by_key(|(reason, (count, _))| (std::cmp::Reverse(*count), *reason));
        let list: String = reasons
            .iter()
            .take(5)
            .map(|(reason, (count, row))| {
                let column = row.column.as_ref().map(|c| format!(", column `{c}`")).unwrap_or_default();
                format!(
                    "\n  {count} × {reason}, first in {} row {}{column}: {}; {}",
                    row.file,
                    row.row,
                    row.detail,
                    reason.hint()
                )
            })
            .collect();
        Err(Error::InputRefused {
            message: format!(
                "{} of {} rows of `{name}` were quarantined ({:.1} %), the limit is {:.1} %:{list}\nthis is over the limit",
                tally.quarantined,
                tally.read,
                100.0 * tally.quarantined_share(),
                100.0 * max_share
            ),
            hint: Some(
                "`ordersight check` shows all of it; raise `quarantine.max_share` only if these rows are expected"
                    .to_owned(),
            ),
        })
    }
}
