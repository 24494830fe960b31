//! One table that grows: its rows by group, and which of them stand.

use super::by_group::ByGroup;
use super::converted::Converted;
use super::groups::{Group, Groups};
use super::pieces::Pieces;
use super::standing::Standing;
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
        let first = (self.frame.as_ref().map_or(0, Pieces::height) + fresh) as u32;
        let mut kept: Vec<IdxSize> = Vec::new();
        let mut again: Vec<Again> = Vec::new();
        let (keys, numbers) = rayon::join(|| key_hashes(contract, &frame), || numbered_but(&frame, &faults, groups));
        let (versions, numbers) = (versions(contract, &frame)?, numbers?);
        for (at, (key, version)) in keys?.into_iter().zip(versions).enumerate() {
            let Some(group) = numbers[at] else { continue };
            let (version, place) = ((version.is_none_or(|v| v <= as_of), version), part.places[at]);
            if let Some((of, standing)) = self.standing.find(contract, key, group, &self.rows) {
                let (before, its_place) = self.standing.of_row(standing);
                if (version, reading(place)) < (before, reading(its_place)) {
                    continue;
                }
                self.rows.remove(of, standing);
                match of == group && version == before {
                    true => again.push(Again { group, before: standing, now: kept.len() as IdxSize }),
                    false => changed.extend([of, group]),
                }
            } else {
                changed.push(group);
            }
            self.standing.push(contract, key, (group, &self.rows), (version, place))?;
            self.rows.push(group, first + kept.len() as u32);
            kept.push(at as IdxSize);
        }
        if kept.is_empty() && (self.frame.is_some() || !self.fresh.is_empty()) {
            return Ok(());
        }
        let frame = frame.drop_many(unread_of(unread, contract).chain([ORIGIN]));
        let rows = match kept.len() == frame.height() {
            true => frame,
            false => frame.take(&IdxCa::from_vec("rows".into(), kept)).map_err(frames())?,
        };
        changed.extend(self.others_now(&rows, &again)?);
        self.fresh.push(rows);
        Ok(())
    }

    /// Groups of rows that came again, and are others than before.
    fn others_now(&self, rows: &DataFrame, again: &[Again]) -> Result<Vec<Group>> {
        let held = self.height();
        let (mut others, mut next) = (Vec::new(), held);
        let of_frame = |at: &Again| (at.before as usize) < held;
        if let Some(frame) = self.frame.as_ref().filter(|_| again.iter().any(of_frame)) {
            let some: Vec<&Again> = again.iter().filter(|at| of_frame(at)).collect();
            let before: Vec<IdxSize> = some.iter().map(|at| at.before).collect();
            others.extend(differing(&frame.take(&before)?, rows, &some)?);
        }
        // What comes now can stand twice in it.
        for fresh in self.fresh.iter().chain([rows]) {
            let first = next;
            next += fresh.height();
            let some: Vec<&Again> = again.iter().filter(|at| (first..next).contains(&(at.before as usize))).collect();
            if !some.is_empty() {
                let before = some.iter().map(|at| at.before - first as IdxSize).collect();
                let before = fresh.take(&IdxCa::from_vec("rows".into(), before)).map_err(frames())?;
                others.extend(differing(&before, rows, &some)?);
            }
        }
        Ok(others)
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

/// A row that came again in the same version, as in exports that overlap.
struct Again {
    group: Group,
    /// Its number in the table before, and its place among the rows that come now.
    before: u32,
    now: IdxSize,
}

/// Groups of rows of which those `before` are others than those that came again, in any of their columns.
fn differing(before: &DataFrame, rows: &DataFrame, again: &[&Again]) -> Result<Vec<Group>> {
    let now = IdxCa::from_vec("rows".into(), again.iter().map(|at| at.now).collect());
    let now = rows.take(&now).map_err(frames())?;
    let names: BTreeSet<&str> =
        before.get_column_names().into_iter().chain(now.get_column_names()).map(|name| name.as_str()).collect();
    let names: Vec<&str> = names.into_iter().collect();
    let (before, now) = rayon::join(|| row_hashes(before, &names), || row_hashes(&now, &names));
    let hashes = before?.into_iter().zip(now?);
    Ok(again.iter().zip(hashes).filter(|(_, (before, now))| before != now).map(|(at, _)| at.group).collect())
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
