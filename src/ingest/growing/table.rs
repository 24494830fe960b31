//! One table that grows: its rows by group, and which of them stand.

use super::by_group::ByGroup;
use super::converted::Converted;
use super::groups::{Group, Groups};
use super::marked::Marked;
use super::pieces::Pieces;
use super::standing::{Standing, Version};
use super::waiting::Waiting;
use super::{PLACE, ROW, Unread, frames, unread_of};
use crate::config::ORIGIN;
use crate::contract::input::Table;
use crate::error::Result;
use crate::features::row_hashes;
use crate::ingest::accept::{self, Found, Placements, key_hashes, versions};
use crate::ingest::fx::Rates;
use crate::quarantine::Reason;
use polars::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

/// A table that grows.
#[derive(Default)]
pub(super) struct GrowingTable {
    /// Accepted rows, those that another has replaced included.
    pub(super) frame: Option<Pieces>,
    /// The rows of each group that nothing has replaced.
    pub(super) rows: ByGroup,
    /// Which row stands for each key; not needed where the table is made anew.
    pub(super) standing: Standing,
    /// Rows that wait for their order.
    pub(super) orphans: Vec<Waiting>,
    /// Accepted rows that come after those of `frame`.
    pub(super) fresh: Vec<DataFrame>,
    /// What other rates can change of its rows.
    pub(super) converted: Converted,
    /// Whether its rows were made, and numbered, anew.
    pub(super) is_made_anew: bool,
    /// What it was before.
    pub(super) marked: Marked,
}

impl GrowingTable {
    /// A table that was made as a whole.
    pub(super) fn of(frame: DataFrame, groups: &mut Groups) -> Result<Self> {
        let mut rows = ByGroup::default();
        for (at, group) in (0..).zip(numbered(&frame, groups)?) {
            rows.push(group, at);
        }
        Ok(Self { frame: Some(Pieces::of(frame)), rows, ..Self::default() })
    }

    /// Takes out the rows whose orders have come since; the others wait on.
    pub(super) fn waiting(&mut self, orders: &dyn Placements) -> Result<Vec<Waiting>> {
        let mut ready = Vec::new();
        for part in std::mem::take(&mut self.orphans) {
            let ids = part.frame.column("order_id").and_then(|c| c.str().cloned()).map_err(frames())?;
            let placed = orders.placed_at(&ids);
            let has_come: Vec<bool> = ids.iter().zip(placed).map(|(id, at)| id.is_none() || at.is_some()).collect();
            let pick = |come: bool| -> Result<Option<Waiting>> {
                let at: Vec<IdxSize> =
                    (0..).zip(&has_come).filter(|(_, has)| **has == come).map(|(at, _)| at).collect();
                if at.is_empty() {
                    return Ok(None);
                }
                part.take(at).map(Some)
            };
            if !has_come.contains(&true) {
                self.orphans.push(part);
                continue;
            }
            ready.extend(pick(true)?);
            self.orphans.extend(pick(false)?);
        }
        Ok(ready)
    }

    /// Takes in the sound rows of a part, without the columns that nobody will read, and says of which groups.
    pub(super) fn accept(
        &mut self,
        (contract, unread): (&'static Table, &Unread),
        part: Waiting,
        rates: &Rates,
        (names, as_of): (&[PathBuf], i64),
        groups: &mut Groups,
        changed: &mut Vec<Group>,
    ) -> Result<()> {
        let mut frame = part.frame.clone();
        let orders = (contract.name != "orders").then_some(&*groups as &dyn Placements);
        let Found { faults, priced } = accept::check(contract, &mut frame, orders, rates)?;
        if let Some(priced) = priced {
            self.converted.note(&priced, &part.places, rates);
        }
        let orphans: Vec<IdxSize> =
            faults.iter().filter(|(_, fault)| fault.1 == Reason::Orphan).map(|(at, _)| *at as IdxSize).collect();
        if !orphans.is_empty() {
            self.orphans.push(part.take(orphans)?);
        }
        // The order in which a batch reads: files by name, of one name as they came, then rows.
        let reading = |(file, row): (u32, u32)| (names.get(file as usize), file, row);
        let fresh: usize = self.fresh.iter().map(DataFrame::height).sum();
        let first = (self.height() + fresh) as u32;
        let mut kept: Vec<IdxSize> = Vec::new();
        let (keys, numbers) = rayon::join(|| key_hashes(contract, &frame), || numbered_but(&frame, &faults, groups));
        let (keys, numbers) = (keys?, numbers?);
        let by_clock = |version: Option<i64>| (version.is_none_or(|v| v <= as_of), version);
        let versions: Vec<_> = versions(contract, &frame)?.into_iter().map(by_clock).collect();
        let frame = frame.drop_many(unread_of(unread, contract).chain([ORIGIN]));
        let same = self.same_as_before(contract, &frame, (&keys, &versions, &numbers))?;
        for (at, (key, version)) in keys.into_iter().zip(versions).enumerate() {
            let Some(group) = numbers[at] else { continue };
            let place = part.places[at];
            if let Some((of, standing)) = self.standing.find(contract, key, group, &self.rows) {
                let (before, its_place) = self.standing.of_row(standing);
                if (version, reading(place)) < (before, reading(its_place)) {
                    continue;
                }
                if same.get(&at) == Some(&standing) {
                    self.standing.read_again(standing, place);
                    continue;
                }
                self.rows.remove(of, standing);
                self.marked.replaced(of, standing);
                changed.push(of);
            }
            self.standing.push(contract, key, (group, &self.rows), (version, place))?;
            self.rows.push(group, first + kept.len() as u32);
            changed.push(group);
            kept.push(at as IdxSize);
        }
        if kept.is_empty() && (self.frame.is_some() || !self.fresh.is_empty()) {
            return Ok(());
        }
        let rows = match kept.len() == frame.height() {
            true => frame,
            false => frame.take(&IdxCa::from_vec("rows".into(), kept)).map_err(frames())?,
        };
        self.fresh.push(rows);
        Ok(())
    }

    /// Rows that come again as they were, as in exports that overlap: the number of the row that stands for the key of each,
    /// where both have the same group, version and values. Of `frame` the key, the version and the group of each row are given.
    fn same_as_before(
        &self,
        contract: &Table,
        frame: &DataFrame,
        (keys, versions, numbers): (&[u128], &[Version], &[Option<Group>]),
    ) -> Result<BTreeMap<usize, u32>> {
        let standing = |at: usize| {
            let group = numbers[at]?;
            let (of, standing) = self.standing.find(contract, keys[at], group, &self.rows)?;
            (of == group && self.standing.of_row(standing).0 == versions[at]).then_some((at, standing))
        };
        let again: Vec<(usize, u32)> = (0..keys.len()).filter_map(standing).collect();
        let mut same = BTreeMap::new();
        let mut compare = |rows: std::ops::Range<usize>, take: &dyn Fn(Vec<IdxSize>) -> Result<DataFrame>| {
            let some: Vec<(usize, u32)> =
                again.iter().copied().filter(|(_, standing)| rows.contains(&(*standing as usize))).collect();
            if some.is_empty() {
                return Ok(());
            }
            let before = take(some.iter().map(|(_, standing)| *standing - rows.start as u32).collect())?;
            let now = IdxCa::from_vec("rows".into(), some.iter().map(|(at, _)| *at as IdxSize).collect());
            let is_same = equal_rows(&before, &frame.take(&now).map_err(frames())?)?;
            same.extend(some.into_iter().zip(is_same).filter(|(_, is_same)| *is_same).map(|(row, _)| row));
            Ok(())
        };
        let mut first = self.height();
        if let Some(held) = &self.frame {
            compare(0..first, &|rows| held.take(&rows))?;
        }
        for fresh in &self.fresh {
            let next = first + fresh.height();
            compare(first..next, &|rows| fresh.take(&IdxCa::from_vec("rows".into(), rows)).map_err(frames()))?;
            first = next;
        }
        Ok(same)
    }

    /// Accepted rows, those that another has replaced included.
    pub(super) fn height(&self) -> usize {
        self.frame.as_ref().map_or(0, Pieces::height)
    }

    /// Makes room for so many rows.
    pub(super) fn reserve(&mut self, contract: &Table, rows: usize) {
        self.standing.reserve(contract, rows);
    }

    /// Puts the rows that were accepted to those before.
    pub(super) fn put_together(&mut self) -> Result<()> {
        let mut fresh = std::mem::take(&mut self.fresh).into_iter();
        let Some(mut rows) = fresh.next() else { return Ok(()) };
        for more in fresh {
            rows.vstack_mut_owned(more).map_err(frames())?;
        }
        self.frame.get_or_insert_default().push(rows)
    }

    /// The rows of some groups, in the order of these.
    pub(super) fn of_groups(&self, groups: &[Group]) -> Result<DataFrame> {
        let Some(frame) = &self.frame else { return Ok(DataFrame::empty()) };
        frame.take(&self.rows_of(groups))
    }

    /// The rows of some groups in the order of these, beside each its [`PLACE`] and [`ROW`]; those beyond the first `whole`
    /// with the columns that are `kept`, the others null.
    pub(super) fn of_groups_but(&self, groups: &[Group], whole: usize, kept: &[&str]) -> Result<DataFrame> {
        let Some(frame) = &self.frame else { return Ok(DataFrame::empty()) };
        let (places, rows): (Vec<u32>, Vec<IdxSize>) = self.places_and_rows(groups).unzip();
        let (first, others) = rows.split_at(places.partition_point(|place| (*place as usize) < whole));
        let mut all = frame.take(first)?;
        if !others.is_empty() {
            let mut some = frame.take_wanted(others, &|name, _| kept.contains(&name))?;
            for (place, column) in all.columns().iter().enumerate() {
                if some.get_column_index(column.name()).is_none() {
                    let nulls = Column::full_null(column.name().clone(), some.height(), column.dtype());
                    some.insert_column(place, nulls).map_err(frames())?;
                }
            }
            all.vstack_mut_owned(some).map_err(frames())?;
        }
        beside(all, places, rows)
    }

    /// The rows of some groups in the order in which they came, which is quicker where they came in quite another one; beside
    /// each its [`PLACE`] and [`ROW`].
    pub(super) fn of_groups_as_they_came(&self, groups: &[Group]) -> Result<DataFrame> {
        let Some(frame) = &self.frame else { return Ok(DataFrame::empty()) };
        let mut found: Vec<(u32, IdxSize)> = self.places_and_rows(groups).collect();
        found.sort_unstable_by_key(|(_, row)| *row);
        let (places, rows): (Vec<u32>, Vec<IdxSize>) = found.into_iter().unzip();
        beside(frame.take(&rows)?, places, rows)
    }

    /// The rows of each of some groups, with its place among these.
    fn places_and_rows(&self, groups: &[Group]) -> impl Iterator<Item = (u32, IdxSize)> {
        (0..).zip(groups).flat_map(|(place, group)| self.rows.of(*group).map(move |row| (place, row)))
    }

    /// Says that its rows were made, and numbered, anew.
    pub(super) fn set_made_anew(&mut self) {
        self.is_made_anew = true;
        self.marked.is_lost = true;
    }

    /// Has what is there now as what was there before; see [`Marked`].
    pub(super) fn mark(&mut self) {
        self.marked = Marked::at(self.height());
    }

    /// The keys of the rows that stood at the mark and have been replaced since, with their groups.
    pub(super) fn replaced(&self, contract: &Table) -> Result<(Vec<Group>, DataFrame)> {
        let Some(frame) = &self.frame else { return Ok(Default::default()) };
        let (groups, rows): (_, Vec<IdxSize>) = self.marked.all_replaced().unzip();
        Ok((groups, frame.take_wanted(&rows, &|name, _| contract.key.contains(&name))?))
    }

    /// The rows of some groups as they stood at the mark, in the order of the groups, with [`PLACE`] and [`ROW`]; `None` where they
    /// are not here any more.
    pub(super) fn of_groups_as_marked(&self, groups: &[Group]) -> Result<Option<DataFrame>> {
        if self.marked.is_lost {
            return Ok(None);
        }
        let Some(frame) = &self.frame else { return Ok(Some(DataFrame::empty())) };
        let replaced = self.marked.by_group();
        let of = |(place, group): (u32, &Group)| {
            let standing = self.rows.of(*group).filter(|row| self.marked.has(*row));
            let mut rows: Vec<(u32, IdxSize)> = standing.chain(replaced.of(*group)).map(|row| (place, row)).collect();
            rows.sort_unstable();
            rows
        };
        let (places, rows): (Vec<u32>, Vec<IdxSize>) = (0..).zip(groups).flat_map(of).unzip();
        beside(frame.take(&rows)?, places, rows).map(Some)
    }

    fn rows_of(&self, groups: &[Group]) -> Vec<IdxSize> {
        groups.iter().flat_map(|group| self.rows.of(*group)).collect()
    }

    /// Groups whose rows are not the same in another state of the table.
    pub(super) fn differing(&self, other: &Self) -> Result<Vec<Group>> {
        let (ours, theirs) = (self.contents()?, other.contents()?);
        let gone = ours.keys().filter(|group| !theirs.contains_key(group));
        let new = theirs.iter().filter(|(group, content)| ours.get(group) != Some(content)).map(|(group, _)| group);
        Ok(gone.chain(new).copied().collect())
    }

    /// A hash of all rows of each group, whatever their order.
    fn contents(&self) -> Result<BTreeMap<Group, u64>> {
        let Some(frame) = &self.frame else { return Ok(BTreeMap::new()) };
        let frame = frame.whole()?;
        let all: Vec<&str> = frame.get_column_names().into_iter().map(|name| name.as_str()).collect();
        let hashes = row_hashes(&frame, &all)?;
        let of = |group: Group| self.rows.of(group).fold(0_u64, |sum, row| sum.wrapping_add(hashes[row as usize]));
        Ok(self.rows.groups().map(|group| (group, of(group))).collect())
    }

    /// When the orders of some groups were placed, UTC microseconds.
    pub(super) fn placed(&self, groups: &[Group]) -> Result<Vec<(Group, i64)>> {
        let Some(frame) = &self.frame else { return Ok(Vec::new()) };
        let rows = groups.iter().flat_map(|group| self.rows.of(*group).map(|row| (*group, row)));
        let (groups, rows): (Vec<Group>, Vec<IdxSize>) = rows.unzip();
        let times = frame.numbers("placed_at", &rows)?;
        Ok(groups.into_iter().zip(times).filter_map(|(group, at)| Some((group, at?))).collect())
    }
}

/// Whether each row of two frames has the same values, by a hash of them; a column that one of them lacks is as if null.
fn equal_rows(one: &DataFrame, other: &DataFrame) -> Result<Vec<bool>> {
    let names = one.get_column_names().into_iter().chain(other.get_column_names());
    let names: Vec<&str> = names.map(|name| name.as_str()).collect::<BTreeSet<_>>().into_iter().collect();
    let (one, other) = rayon::join(|| row_hashes(one, &names), || row_hashes(other, &names));
    Ok(one?.into_iter().zip(other?).map(|(one, other)| one == other).collect())
}

/// Rows with their numbers.
fn beside(mut rows: DataFrame, places: Vec<u32>, numbers: Vec<IdxSize>) -> Result<DataFrame> {
    for (name, column) in [(PLACE, places), (ROW, numbers)] {
        rows.with_column(Column::new(name.into(), column)).map_err(frames())?;
    }
    Ok(rows)
}

/// The group of each row.
fn numbered(frame: &DataFrame, groups: &mut Groups) -> Result<Vec<Group>> {
    Ok(numbered_but(frame, &BTreeMap::new(), groups)?.into_iter().flatten().collect())
}

/// The group of each row without a fault.
fn numbered_but(
    frame: &DataFrame,
    faults: &BTreeMap<usize, accept::Fault>,
    groups: &mut Groups,
) -> Result<Vec<Option<Group>>> {
    let taken: Vec<bool> = (0..frame.height()).map(|at| !faults.contains_key(&at)).collect();
    match frame.get_column_index("order_id") {
        Some(_) => {
            let ids = frame.column("order_id").and_then(Column::str).map_err(frames())?;
            groups.number(&ids.iter().collect::<Vec<_>>(), &taken)
        }
        None => groups.number(&vec![None; frame.height()], &taken),
    }
}
