//! Accepted tables that grow with every file, for a stream: what a batch accepts of all files so far, without reading the
//! earlier ones again, and by order.
//!
//! A table whose rows come one by one from the rows of a source (a column map, or plain SQL over one source) takes in the
//! rows of the new files alone. What is made of several rows together (groups, joins) is made anew of all files. A row that
//! points to an order which has not come yet waits for it. Of further exchange rates only the rows are taken in again whose
//! money is worth something else by them.

mod by_group;
mod converted;
mod groups;
mod marked;
mod pieces;
mod rerated;
mod saved;
mod standing;
mod table;
mod waiting;

use super::accept::{Checker, Placements, key_hashes};
use super::cache::TypedFile;
use super::fx::Rates;
use super::{mapping, together};
use crate::config::{Pipeline, TableMap, is_row_by_row};
use crate::contract::input::{TABLES, Table};
use crate::error::{Error, Result};
pub use groups::Group;
use groups::Groups;
use pieces::Pieces;
use polars::prelude::*;
use rayon::prelude::*;
use rerated::Rerated;
pub use saved::SavedTables;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use table::GrowingTable;
use waiting::Waiting;

/// Files by source.
type Files = BTreeMap<String, Vec<TypedFile>>;

/// Tables of which scores and decisions of an order read what was not known when it was placed. Features of an order never
/// change, and what comes of it later is told in its own tables.
const DECIDED_ON: [&str; 3] = ["orders", "order_items", "review_decisions"];

/// What further files have changed.
#[derive(Debug, Default)]
pub struct Changed {
    /// Groups of which any row is new, another or gone; in any order, some of them more than once.
    pub groups: Vec<Group>,
    /// Those of them that are to be decided on anew if they were scored before.
    pub decided_on: Vec<Group>,
}

/// Beside each row that [`Growing::of_groups_but`] gives: the place of its group among those that were asked for.
pub const PLACE: &str = "_place";

/// Beside each row that [`Growing::of_groups_but`] gives: its number in its table, the same [as long as rows
/// last](Growing::rows_last).
pub const ROW: &str = "_row";

/// Columns by table that are let go of once their rows are accepted.
pub type Unread = BTreeMap<&'static str, Vec<&'static str>>;

/// Accepted tables so far.
pub struct Growing<'a> {
    pipeline: &'a Pipeline,
    wanted: &'static [&'static str],
    unread: Unread,
    rates: Rates,
    /// Whether orders were looked at: before, nothing can point to them.
    has_orders: bool,
    groups: Groups,
    tables: BTreeMap<&'static str, GrowingTable>,
    /// Tables whose files have been looked at.
    looked: BTreeSet<&'static str>,
    /// Files so far, by source, in the order of their names.
    files: Files,
    /// Names of files, in the order in which their rows were taken in.
    names: Vec<PathBuf>,
    /// When the newest order was placed that did not come from the future, and those that did.
    newest: Option<i64>,
    later: BTreeSet<i64>,
}

impl<'a> Growing<'a> {
    /// Nothing yet; of the tables only those named are kept, without the columns that nobody will read.
    pub fn new(pipeline: &'a Pipeline, wanted: &'static [&'static str], unread: Unread) -> Self {
        Self {
            pipeline,
            wanted,
            unread,
            rates: Rates::none(&pipeline.raw.money.base, pipeline.base_exponent),
            has_orders: false,
            groups: Groups::default(),
            tables: BTreeMap::new(),
            looked: BTreeSet::new(),
            files: Files::new(),
            names: Vec::new(),
            newest: None,
            later: BTreeSet::new(),
        }
    }

    /// Takes in further files and says what has changed by them. `as_of` is the clock by which one version of a row replaces
    /// another.
    ///
    /// # Errors
    /// [`Error::Config`] when mappings do not fit the data.
    pub fn take(&mut self, new: &Files, as_of: i64) -> Result<Changed> {
        for (source, files) in new {
            let all = self.files.entry(source.clone()).or_default();
            all.extend(files.iter().map(TypedFile::laid_down));
            all.sort_by(|a, b| Path::new(&a.name).cmp(Path::new(&b.name)));
        }
        let mut all = Changed::default();
        let rerated = self.rerate(new, as_of)?;
        for contract in TABLES.iter().filter(|t| self.wanted.contains(&t.name)) {
            let Some(mapping) = self.pipeline.raw.tables.get(contract.name) else { continue };
            let of_orders = contract.of_order && contract.name != "orders";
            if of_orders && !self.has_orders {
                continue;
            }
            if !is_fed(&self.files, mapping) {
                self.lay_out(contract, mapping)?;
                continue;
            }
            let mut changed = Vec::new();
            // Files that came before the first order were not looked at then.
            let first = self.looked.insert(contract.name);
            if is_row_by_row(mapping) {
                let anew = !first && !self.take_again((contract, mapping), &rerated, as_of, &mut changed)?;
                let before = if anew { self.tables.remove(contract.name) } else { None };
                if before.is_some() {
                    // It takes as long as reading everything: whoever wonders about a slow epoch finds the reason.
                    tracing::info!(table = contract.name, "other exchange rates change most of it: read again whole");
                    self.tables.entry(contract.name).or_default().set_made_anew();
                }
                let files = if first || anew { self.files.clone() } else { new.clone() };
                self.grow(contract, mapping, &files, as_of, &mut changed)?;
                self.lay_out(contract, mapping)?;
                if let Some(before) = before {
                    changed.extend(before.differing(&self.tables[contract.name])?);
                }
            } else if !matches!(rerated, Rerated::Nothing) || first || of_orders || is_in(new, mapping) {
                let whole = self.whole(contract, mapping, as_of)?.drop_many(unread_of(&self.unread, contract));
                let mut table = GrowingTable::of(whole, &mut self.groups)?;
                table.set_made_anew();
                let before = self.tables.insert(contract.name, table).unwrap_or_default();
                changed.extend(before.differing(&self.tables[contract.name])?);
            }
            changed.dedup();
            if contract.name == "orders" {
                self.place(&changed, as_of)?;
            }
            if DECIDED_ON.contains(&contract.name) {
                all.decided_on.extend(&changed);
            }
            all.groups.extend(changed);
        }
        Ok(all)
    }

    /// A table that is mapped, and of which no sound row has come yet, is one without rows: nothing changes when they come.
    fn lay_out(&mut self, contract: &'static Table, mapping: &TableMap) -> Result<()> {
        let table = self.tables.entry(contract.name).or_default();
        if table.frame.is_none()
            && let Some(nothing) = mapping::nothing_yet(contract, mapping)?
        {
            table.frame = Some(Pieces::of(nothing.drop_many(unread_of(&self.unread, contract))));
        }
        Ok(())
    }

    /// Brings the times of orders up to date. An order that is made of several rows can fall away with a further one.
    fn place(&mut self, changed: &[Group], as_of: i64) -> Result<()> {
        let Some(table) = self.tables.get("orders") else { return Ok(()) };
        let is_grown = self.pipeline.raw.tables.get("orders").is_some_and(is_row_by_row);
        let of: Vec<Group> = if is_grown { changed.to_vec() } else { self.groups.all().collect() };
        let placed = table.placed(&of)?;
        let times = || placed.iter().map(|(_, at)| *at);
        self.newest = self.newest.max(times().filter(|at| *at <= as_of).max());
        self.later.extend(times().filter(|at| *at > as_of));
        if !is_grown {
            self.groups.forget_orders();
        }
        placed.into_iter().for_each(|(group, at)| self.groups.place(group, at));
        self.has_orders = true;
        Ok(())
    }

    /// A table of all files.
    fn whole(&self, contract: &'static Table, mapping: &TableMap, as_of: i64) -> Result<DataFrame> {
        let is_of_others = contract.name != "orders" && self.has_orders;
        let orders = is_of_others.then_some(&self.groups as &dyn Placements);
        let mut checker = Checker::new(contract, orders, &self.rates, as_of, true);
        mapping::each_part(self.pipeline, contract, mapping, &self.files, &mut |part| checker.part(part).map(drop))?;
        Ok(checker.finish()?.accepted)
    }

    /// The rows of new files, and those that waited for their orders.
    fn grow(
        &mut self,
        contract: &'static Table,
        mapping: &TableMap,
        new: &Files,
        as_of: i64,
        changed: &mut Vec<Group>,
    ) -> Result<()> {
        let waiting = match self.has_orders {
            true => self.tables.entry(contract.name).or_default().waiting(&self.groups)?,
            false => Vec::new(),
        };
        self.accept(contract, waiting, as_of, changed)?;
        for source in mapping.sources() {
            let files = new.get(&source).map_or(&[][..], Vec::as_slice);
            let rows = files.iter().map(|file| file.findings.typed as usize).sum();
            self.tables.entry(contract.name).or_default().reserve(contract, rows);
            if contract.name == "orders" {
                self.groups.reserve(rows);
            }
            let batches = together::batches(files.iter().enumerate());
            let first = self.names.len() as u32;
            let firsts = batches.iter().scan(first, |next, b| Some(std::mem::replace(next, *next + b.len() as u32)));
            let numbered: Vec<_> = firsts.zip(&batches).collect();
            self.names.extend(batches.iter().flatten().map(|(_, file)| PathBuf::from(&file.name)));
            let pipeline = self.pipeline;
            let map = |(first, files): &(u32, &Vec<(usize, &TypedFile)>)| {
                let files = files.iter().map(|(_, file)| (*file).clone()).collect();
                waiting::mapped(pipeline, (contract, mapping), &source, files, *first)
            };
            let map_some = |some: &[_]| some.par_iter().map(map).collect::<Result<Vec<_>>>();
            // What comes next is mapped while this is accepted.
            let mut rest = numbered.chunks(rayon::current_num_threads());
            let mut mapped = rest.next().map(map_some).transpose()?;
            while let Some(parts) = mapped {
                let parts = parts.into_iter().flatten().collect();
                let (next, accepted) = rayon::join(
                    || rest.next().map(map_some).transpose(),
                    || self.accept(contract, parts, as_of, changed),
                );
                accepted?;
                mapped = next?;
            }
        }
        Ok(())
    }

    /// Takes in the sound rows of some parts in their order.
    fn accept(
        &mut self,
        contract: &'static Table,
        parts: Vec<Waiting>,
        as_of: i64,
        changed: &mut Vec<Group>,
    ) -> Result<()> {
        let table = self.tables.entry(contract.name).or_default();
        for part in parts.into_iter().filter(|part| part.frame.height() > 0) {
            table.accept(
                (contract, &self.unread),
                part,
                &self.rates,
                (&self.names, as_of),
                &mut self.groups,
                changed,
            )?;
        }
        table.put_together()
    }

    /// The number of an order's group, if it or a row that names it has come.
    pub fn group(&self, order: &str) -> Option<Group> {
        self.groups.of(order)
    }

    /// [`Self::group`] of many.
    pub fn groups_of(&self, orders: &StringChunked) -> Vec<Option<Group>> {
        self.groups.of_all(orders)
    }

    /// When the order of a group was placed, UTC microseconds; `None` while it has not come.
    pub fn placed_at(&self, group: Group) -> Option<i64> {
        self.groups.placed(group)
    }

    /// Every group there is.
    pub fn groups(&self) -> impl Iterator<Item = Group> {
        self.groups.all()
    }

    /// The tables of some groups, rows in the order of the groups; tables that have no file yet are absent.
    ///
    /// # Errors
    /// [`Error::Frames`] only for defects.
    pub fn of_groups(&self, groups: &[Group]) -> Result<BTreeMap<&'static str, DataFrame>> {
        self.tables.par_iter().map(|(name, table)| Ok((*name, table.of_groups(groups)?))).collect()
    }

    /// As [`Self::of_groups`], with the columns of orders that are `kept` alone beyond the first `whole` groups, and so of their
    /// lines where [their rows last](Self::rows_last); the others are null. Other tables than these are in the order in which
    /// their rows came. Every row has its [`PLACE`] and its [`ROW`].
    ///
    /// # Errors
    /// As [`Self::of_groups`].
    pub fn of_groups_but(
        &self,
        groups: &[Group],
        whole: usize,
        kept: &[&str],
    ) -> Result<BTreeMap<&'static str, DataFrame>> {
        let of_table = |(name, table): (&&'static str, &GrowingTable)| {
            let rows = match *name {
                "orders" => table.of_groups_but(groups, whole, kept),
                "order_items" if self.rows_last(name) => table.of_groups_but(groups, whole, kept),
                "order_items" => table.of_groups_but(groups, groups.len(), kept),
                _ => table.of_groups_as_they_came(groups),
            };
            Ok((*name, rows?))
        };
        self.tables.par_iter().map(of_table).collect()
    }

    /// Has what is there now as what [`Self::of_groups_as_marked`] gives later.
    pub fn mark(&mut self) {
        self.tables.values_mut().for_each(GrowingTable::mark);
    }

    /// The hashes of the keys of rows of a table that have been replaced since [`Self::mark`] was called last, with their groups.
    ///
    /// # Errors
    /// As [`Self::of_groups`].
    pub fn keys_replaced(&self, contract: &Table) -> Result<Vec<(u128, Group)>> {
        let Some(table) = self.tables.get(contract.name) else { return Ok(Vec::new()) };
        let (groups, rows) = table.replaced(contract)?;
        match groups.is_empty() {
            true => Ok(Vec::new()),
            false => Ok(key_hashes(contract, &rows)?.into_iter().zip(groups).collect()),
        }
    }

    /// The tables of some groups as they were when [`Self::mark`] was called last, with [`PLACE`] and [`ROW`] beside each row;
    /// `None` where a table was made anew since.
    ///
    /// # Errors
    /// As [`Self::of_groups`].
    pub fn of_groups_as_marked(&self, groups: &[Group]) -> Result<Option<BTreeMap<&'static str, DataFrame>>> {
        let of_table = |(name, table): (&&'static str, &GrowingTable)| {
            Ok(table.of_groups_as_marked(groups)?.map(|rows| (*name, rows)))
        };
        self.tables.par_iter().map(of_table).collect()
    }

    /// Whether each row of a table has one number for as long as it is there.
    pub fn rows_last(&self, name: &str) -> bool {
        self.tables.get(name).is_some_and(|table| !table.is_made_anew)
    }

    /// The numbers of the rows of a group in a table.
    pub fn row_numbers(&self, name: &str, group: Group) -> impl Iterator<Item = u32> {
        self.tables.get(name).into_iter().flat_map(move |table| table.rows.of(group))
    }

    /// When the newest order was placed that is not from after `end`, UTC microseconds.
    pub fn newest(&self, end: i64) -> Option<i64> {
        self.newest.max(self.later.range(..=end).next_back().copied())
    }

    /// How many orders there are.
    pub fn orders(&self) -> usize {
        self.groups.orders()
    }

    /// Every file so far, by source, in the order of their names.
    pub fn files(&self) -> &Files {
        &self.files
    }
}

/// The columns of a table that are let go of.
fn unread_of<'u>(unread: &'u Unread, table: &Table) -> impl Iterator<Item = &'static str> + use<'u> {
    unread.get(table.name).into_iter().flatten().copied()
}

/// Whether any of these files is of a source of the table.
fn is_in(files: &Files, mapping: &TableMap) -> bool {
    mapping.sources().iter().any(|source| files.get(source).is_some_and(|files| !files.is_empty()))
}

fn is_fed(files: &Files, mapping: &TableMap) -> bool {
    mapping.sources().iter().all(|source| files.get(source).is_some_and(|files| !files.is_empty()))
}

fn frames() -> impl FnOnce(PolarsError) -> Error {
    Error::frames("accepted rows")
}
