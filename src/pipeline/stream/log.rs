//! Features as they were logged when orders were scored, by the day on which an order was placed.
//!
//! They are held for the days in use alone. What is published can be read back to the bit from `order_features`, so days that
//! nobody has looked at for a while are let go of as soon as a commit has them.

use super::published::{ByDay, OfFile};
use crate::error::{Error, Result};
use crate::features::matrix::Matrix;
use crate::ingest::{Group, Growing};
use rayon::prelude::*;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::Path;
use std::sync::Arc;

/// Orders of which the features are held at most, once they are published; some 250 MB of the shipped catalogue.
const HELD: usize = 200_000;

/// A group that was not scored.
const NOWHERE: (i32, u32) = (i32::MIN, 0);

/// What the log has to know of orders.
pub(super) trait Orders {
    /// The group of an order.
    fn group(&self, order: &str) -> Option<Group>;

    /// Whether the order of a group stands: one that is made of several rows can fall away.
    fn is_placed(&self, group: Group) -> bool;
}

impl Orders for Growing<'_> {
    fn group(&self, order: &str) -> Option<Group> {
        Growing::group(self, order)
    }

    fn is_placed(&self, group: Group) -> bool {
        self.placed_at(group).is_some()
    }
}

/// Where the features of each order are, and those of the days in use.
pub(super) struct Log {
    /// The day of the order of each group, and its row there.
    places: Vec<(i32, u32)>,
    /// How many orders are in it.
    orders: usize,
    days: BTreeMap<i32, Day>,
    /// Counts changes and uses.
    clock: u64,
    /// Orders of which the features are held at most.
    bound: usize,
}

impl Default for Log {
    fn default() -> Self {
        Self { places: Vec::new(), orders: 0, days: BTreeMap::new(), clock: 0, bound: HELD }
    }
}

/// The orders of one day.
#[derive(Default)]
struct Day {
    groups: Vec<Group>,
    /// Features that could be fed that day.
    names: Vec<String>,
    /// Their values; `None` where they are to be read from what is published.
    held: Option<Arc<Matrix>>,
    /// When it was changed last, if no commit has that yet, and when it was looked at.
    changed: Option<u64>,
    used: u64,
}

impl Log {
    /// Orders in it.
    pub(super) fn orders(&self) -> usize {
        self.orders
    }

    /// The day of an order, if it was scored.
    pub(super) fn day_of(&self, group: Group) -> Option<i32> {
        self.place(group).map(|(day, _)| day)
    }

    fn place(&self, group: Group) -> Option<(i32, u32)> {
        self.places.get(group as usize).copied().filter(|place| *place != NOWHERE)
    }

    /// The orders in it.
    pub(super) fn all(&self) -> impl Iterator<Item = Group> {
        (0..).zip(&self.places).filter(|(_, place)| **place != NOWHERE).map(|(group, _)| group)
    }

    /// The orders of some days; one that has moved to another day is there.
    pub(super) fn of_days(&self, days: &BTreeSet<i32>) -> BTreeSet<Group> {
        let groups = days.iter().filter_map(|day| self.days.get(day)).flat_map(|day| &day.groups).copied();
        groups.filter(|group| self.day_of(*group).is_some_and(|day| days.contains(&day))).collect()
    }

    /// Enters the features of orders of one day, whose own have to be held: see [`Self::hold`].
    pub(super) fn append(&mut self, day: i32, groups: &[Group], rows: Matrix) {
        self.clock += 1;
        self.enter(day, groups);
        let log = self.days.entry(day).or_default();
        (log.changed, log.used) = (Some(self.clock), self.clock);
        let matrix = Arc::make_mut(log.held.get_or_insert_default());
        matrix.append(rows);
        log.names.clone_from(&matrix.names);
    }

    /// Enters orders of one day whose features are published.
    pub(super) fn enter_published(&mut self, day: i32, groups: &[Group], names: Vec<String>) {
        self.enter(day, groups);
        self.days.entry(day).or_default().names = names;
    }

    fn enter(&mut self, day: i32, groups: &[Group]) {
        let log = self.days.entry(day).or_default();
        for group in groups {
            let place = *group as usize;
            if place >= self.places.len() {
                self.places.resize(place + 1, NOWHERE);
            }
            self.orders += usize::from(self.places[place] == NOWHERE);
            self.places[place] = (day, log.groups.len() as u32);
            log.groups.push(*group);
        }
    }

    /// Moves an order to another day, where both are held.
    pub(super) fn shift(&mut self, group: Group, to: i32) {
        let features = self
            .place(group)
            .and_then(|(day, row)| self.days.get(&day)?.held.as_ref().map(|matrix| matrix.take(&[row as usize])));
        if let Some(features) = features {
            self.append(to, &[group], features);
        }
    }

    /// Reads days back that are not held. What fell away since is not in them and asks anew if it comes again.
    ///
    /// # Errors
    /// [`Error::Environment`] and [`Error::Frames`] when what was published cannot be read, [`Error::Usage`] when an order is
    /// missing there.
    pub(super) fn hold(&mut self, out: &Path, days: impl IntoIterator<Item = i32>, orders: &dyn Orders) -> Result<()> {
        self.clock += 1;
        let mut published = None;
        for day in days {
            let Some(log) = self.days.get_mut(&day) else { continue };
            log.used = self.clock;
            if log.held.is_some() || log.groups.is_empty() {
                continue;
            }
            let published = match &published {
                Some(published) => published,
                None => published.insert(ByDay::of(out)?),
            };
            let file = published.read(day)?;
            let rows = file.orders.iter().enumerate().filter_map(|(row, order)| Some((orders.group(order?)?, row)));
            let rows: HashMap<Group, usize> = rows.collect();
            let at: Vec<Option<usize>> = log.groups.iter().map(|group| rows.get(group).copied()).collect();
            for ((row, group), _) in (0..).zip(&log.groups).zip(&at).filter(|(_, at)| at.is_none()) {
                // Others have moved to another day.
                if self.places.get(*group as usize) == Some(&(day, row)) {
                    if orders.is_placed(*group) {
                        return Err(is_gone(day));
                    }
                    self.places[*group as usize] = NOWHERE;
                    self.orders -= 1;
                }
            }
            let column = |values: &Vec<f64>| at.iter().map(|at| at.map_or(f64::NAN, |at| values[at])).collect();
            let columns = file.matrix.columns.par_iter().map(column).collect();
            log.held = Some(Arc::new(Matrix { names: file.matrix.names, columns }));
        }
        Ok(())
    }

    /// Puts published values over those of orders that were counted again.
    pub(super) fn overlay(&mut self, file: &OfFile, orders: &dyn Orders) {
        self.clock += 1;
        for (row, order) in file.orders.iter().enumerate() {
            let Some((day, at)) = order.and_then(|order| orders.group(order)).and_then(|g| self.place(g)) else {
                continue;
            };
            let Some(log) = self.days.get_mut(&day) else { continue };
            let Some(matrix) = &mut log.held else { continue };
            let matrix = Arc::make_mut(matrix);
            for (name, values) in file.matrix.names.iter().zip(&file.matrix.columns) {
                if let Some(column) = matrix.names.iter().position(|known| known == name) {
                    matrix.columns[column][at as usize] = values[row];
                }
            }
        }
    }

    /// Counts changes so far: see [`Self::published`].
    pub(super) fn mark(&self) -> u64 {
        self.clock
    }

    /// Says that a commit has some days, all if none are named, as they were at `mark`; what is held beyond the bound goes.
    pub(super) fn published(&mut self, days: Option<&BTreeSet<i32>>, mark: u64) {
        for (day, log) in &mut self.days {
            if days.is_none_or(|days| days.contains(day)) && log.changed.is_some_and(|changed| changed <= mark) {
                log.changed = None;
            }
        }
        let rows = |log: &Day| log.held.as_ref().map_or(0, |matrix| matrix.rows());
        let mut held: usize = self.days.values().map(rows).sum();
        let mut clean: Vec<&mut Day> =
            self.days.values_mut().filter(|log| log.changed.is_none() && log.held.is_some()).collect();
        clean.sort_by_key(|log| log.used);
        for log in clean {
            if held <= self.bound {
                break;
            }
            held -= rows(log);
            log.held = None;
        }
    }

    /// Where the features of some orders are, which `ids` names: to be read when the log is not looked at any more.
    ///
    /// # Errors
    /// [`Error::Invariant`] for an order that was not scored.
    pub(super) fn find<'i>(&self, orders: impl Iterator<Item = (Group, Option<&'i str>)>) -> Result<Found> {
        let mut found = Found::default();
        for day in self.days.values() {
            for name in &day.names {
                if !found.names.contains(name) {
                    found.names.push(name.clone());
                }
            }
        }
        for (row, (group, id)) in orders.enumerate() {
            let (day, at) = self
                .place(group)
                .ok_or_else(|| Error::Invariant("an order was not scored before it was looked at".to_owned()))?;
            let of_day = match found.days.get_mut(&day) {
                Some(of_day) => of_day,
                None => {
                    let held = self.days.get(&day).and_then(|log| log.held.clone());
                    found.days.entry(day).or_insert(OfDay { held, ..OfDay::default() })
                }
            };
            of_day.rows.push(row);
            match of_day.held {
                Some(_) => of_day.at.push(at),
                None => of_day.ids.push(id.unwrap_or_default().into()),
            }
            found.orders += 1;
        }
        Ok(found)
    }
}

/// Where the features of some orders are.
#[derive(Default)]
pub(super) struct Found {
    orders: usize,
    /// All features there are.
    names: Vec<String>,
    days: BTreeMap<i32, OfDay>,
}

/// Orders of a day: their places among those asked for, and where their features are: rows of what is held, or ids.
#[derive(Default)]
struct OfDay {
    rows: Vec<usize>,
    held: Option<Arc<Matrix>>,
    at: Vec<u32>,
    ids: Vec<Box<str>>,
}

impl Found {
    /// Every feature that any day had.
    pub(super) fn names(&self) -> &[String] {
        &self.names
    }

    /// The features `names` of the orders in their order. One that could not be fed yet on a day has no value there.
    ///
    /// # Errors
    /// As [`Log::hold`].
    pub(super) fn matrix(&self, out: &Path, names: &[String]) -> Result<Matrix> {
        let mut columns = vec![vec![f64::NAN; self.orders]; names.len()];
        // Most epochs have all their days at hand, and need not look at what is published.
        let reads = self.days.values().any(|of_day| of_day.held.is_none());
        let published = reads.then(|| ByDay::of(out)).transpose()?;
        let days: Vec<(&i32, &OfDay)> = self.days.iter().collect();
        // A few days at a time, so that those read are never held together.
        for days in days.chunks(rayon::current_num_threads()) {
            let read = days
                .par_iter()
                .map(|(day, of_day)| of_day.read(published.as_ref(), **day))
                .collect::<Result<Vec<_>>>()?;
            columns.par_iter_mut().zip(names).enumerate().for_each(|(likely, (column, name))| {
                for ((_, of_day), (matrix, at)) in days.iter().zip(&read) {
                    // Mostly all days have the same features.
                    let is_there = matrix.names.get(likely) == Some(name);
                    let place =
                        is_there.then_some(likely).or_else(|| matrix.names.iter().position(|known| known == name));
                    let Some(place) = place else { continue };
                    let values = matrix.column(place);
                    of_day.rows.iter().zip(at).for_each(|(row, at)| column[*row] = values[*at as usize]);
                }
            });
        }
        Ok(Matrix { names: names.to_vec(), columns })
    }
}

impl OfDay {
    /// The features of the day, and the rows of its orders there.
    fn read(&self, published: Option<&ByDay<'_>>, day: i32) -> Result<(Arc<Matrix>, Vec<u32>)> {
        if let Some(matrix) = &self.held {
            return Ok((Arc::clone(matrix), self.at.clone()));
        }
        let published = published.ok_or_else(|| is_gone(day))?;
        let file = published.read(day)?;
        let rows: HashMap<&str, u32> =
            file.orders.iter().zip(0..).filter_map(|(order, row)| Some((order?, row))).collect();
        let at = self.ids.iter().map(|id| rows.get(&**id).copied()).collect::<Option<Vec<u32>>>();
        Ok((Arc::new(file.matrix), at.ok_or_else(|| is_gone(day))?))
    }
}

fn is_gone(day: i32) -> Error {
    let day = crate::types::time::date_of(day).map_or_else(|| day.to_string(), |day| day.to_string());
    Error::Usage {
        message: format!("features that were logged for orders of {day} are no longer in `order_features`"),
        hint: Some("`ordersight run` tells everything anew and leaves a state to go on from".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contract::output::output;
    use crate::publish::{Publisher, Replaces};
    use polars::prelude::*;

    fn matrix(names: &[&str], values: &[f64]) -> Matrix {
        let mut matrix = Matrix::default();
        names.iter().for_each(|name| matrix.push(*name, values.to_vec()));
        matrix
    }

    /// Publishes orders of a day as groups `first..` with the value of each.
    fn publish(publisher: &Publisher, day: i32, rows: &[(Group, f64)], names: &[&str]) {
        let ids: Vec<String> = rows.iter().map(|(group, _)| format!("o{group}")).collect();
        let mut columns = vec![
            Column::new("placed_date".into(), vec![day; rows.len()]).cast(&DataType::Date).unwrap(),
            Column::new("order_id".into(), ids),
        ];
        for name in names {
            let values: Vec<Option<f64>> = rows.iter().map(|(_, v)| (!v.is_nan()).then_some(*v)).collect();
            columns.push(Column::new((*name).into(), values));
        }
        let mut staging = publisher.begin_replacing(Replaces::Epoch, "epoch", BTreeMap::new()).unwrap();
        let frame = DataFrame::new(rows.len(), columns).unwrap();
        staging.write_partitions(output("order_features").unwrap(), &frame).unwrap();
        staging.commit().unwrap();
    }

    /// Orders by their numbers, but for those that fell away.
    struct Numbered(&'static [Group]);

    impl Orders for Numbered {
        fn group(&self, order: &str) -> Option<Group> {
            order.strip_prefix('o')?.parse().ok()
        }

        fn is_placed(&self, group: Group) -> bool {
            !self.0.contains(&group)
        }
    }

    /// The bits of the features of some orders.
    fn bits(log: &Log, out: &Path, groups: &[Group], names: &[&str]) -> Vec<Vec<u64>> {
        let ids: Vec<String> = groups.iter().map(|group| format!("o{group}")).collect();
        let found = log.find(groups.iter().copied().zip(ids.iter().map(|id| Some(id.as_str())))).unwrap();
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let matrix = found.matrix(out, &names).unwrap();
        matrix.columns.iter().map(|column| column.iter().map(|value| value.to_bits()).collect()).collect()
    }

    #[test]
    fn days_beyond_the_bound_are_let_go_of_once_they_are_published_and_read_back_to_the_bit() {
        let out = tempfile::tempdir().unwrap();
        let publisher = Publisher::open(out.path()).unwrap();
        let mut log = Log { bound: 3, ..Log::default() };
        log.append(1, &[0, 1], matrix(&["a"], &[0.1, f64::NAN]));
        log.append(2, &[2, 3], matrix(&["a", "b"], &[-0.0, 0.3]));
        let whole = bits(&log, out.path(), &[3, 0, 1, 2], &["a", "b"]);
        let is_held = |log: &Log| log.days.values().map(|day| day.held.is_some()).collect::<Vec<_>>();
        // In the order of the file, not of the log.
        publish(&publisher, 1, &[(1, f64::NAN), (0, 0.1)], &["a"]);
        log.published(Some(&BTreeSet::from([2])), 0);
        assert_eq!(is_held(&log), [true, true], "no commit has them yet");
        log.published(Some(&BTreeSet::from([1])), log.mark());
        assert_eq!(is_held(&log), [false, true]);
        assert_eq!(bits(&log, out.path(), &[3, 0, 1, 2], &["a", "b"]), whole);
        // What is added to a day is added to what it has.
        log.hold(out.path(), [1], &Numbered(&[])).unwrap();
        let mark = log.mark();
        log.append(1, &[4], matrix(&["a", "c"], &[0.5]));
        log.published(None, mark);
        assert_eq!(is_held(&log), [true, false], "changed since the mark; the other is the one in excess");
        publish(&publisher, 2, &[(2, -0.0), (3, 0.3)], &["a", "b"]);
        assert_eq!(bits(&log, out.path(), &[3, 0, 1, 2], &["a", "b"]), whole);
        // An order that moves is where it went.
        log.hold(out.path(), [1, 2], &Numbered(&[])).unwrap();
        log.shift(0, 2);
        assert_eq!((log.day_of(0), log.orders()), (Some(2), 5));
        assert_eq!(log.of_days(&BTreeSet::from([2])), BTreeSet::from([0, 2, 3]));
        assert_eq!(bits(&log, out.path(), &[3, 0, 1, 2], &["a", "b"]), whole);
    }

    #[test]
    fn features_that_somebody_took_away_are_told_of() {
        let out = tempfile::tempdir().unwrap();
        let publisher = Publisher::open(out.path()).unwrap();
        publish(&publisher, 1, &[(0, 1.0)], &["a"]);
        let mut log = Log::default();
        log.enter_published(1, &[0, 1], vec!["a".to_owned()]);
        // One that fell away is missed by nobody, and asks anew if it comes again.
        log.hold(out.path(), [1], &Numbered(&[1])).unwrap();
        assert_eq!((log.day_of(0), log.day_of(1), log.orders()), (Some(1), None, 1));
        let mut log = Log::default();
        log.enter_published(1, &[0, 1], vec!["a".to_owned()]);
        let message = log.hold(out.path(), [1], &Numbered(&[])).unwrap_err().to_string();
        assert!(message.contains("1970-01-02") && message.contains("order_features"), "{message}");
    }
}
