//! Events and queries as they come, and runs: events sorted by entity and time, column by column.

use super::declare::Needs;
use super::sort::{Sorted, gather};
use super::state::renamed;
use super::{NO_KEY, NO_VALUE};
use crate::error::{Error, Result};
use crate::memory::ask_ahead;
use crate::saved::Frozen;
use std::ops::Range;

/// Events, column by column, in any order. A column that no declaration reads may be absent.
#[derive(Debug, Clone, Copy, Default)]
pub struct Events<'a> {
    /// Whose event it is; [`NO_KEY`] is nobody's, and the event is dropped.
    pub entity: &'a [u32],
    /// When it happened, UTC microseconds.
    pub happened_at: &'a [i64],
    /// When it was known, UTC microseconds; absent: when it happened.
    pub known_at: Option<&'a [i64]>,
    /// What is summed; [`NO_VALUE`] where it has none.
    pub value: Option<&'a [i64]>,
    /// What distinct counts count; [`NO_KEY`] where it has none.
    pub other: Option<&'a [u32]>,
    /// What rates are shares of.
    pub label: Option<&'a [bool]>,
}

/// Questions: what had been known of an entity strictly before an instant. Any order.
#[derive(Debug, Clone, Copy, Default)]
pub struct Queries<'a> {
    /// The entity; [`NO_KEY`] is none, and every feature is null.
    pub entity: &'a [u32],
    /// T, UTC microseconds.
    pub at: &'a [i64],
}

pub(super) fn broken(what: &str) -> Error {
    Error::Invariant(format!("feature kernel: {what}"))
}

fn countable(rows: usize) -> Result<()> {
    match rows < NO_KEY as usize {
        true => Ok(()),
        false => Err(broken(&format!("a step of {rows} rows; at most 4,294,967,294 are possible"))),
    }
}

impl Events<'_> {
    pub(super) fn check(&self, needs: Needs) -> Result<()> {
        let rows = self.entity.len();
        countable(rows)?;
        let lengths = [
            Some(self.happened_at.len()),
            self.known_at.map(<[_]>::len),
            self.value.map(<[_]>::len),
            self.other.map(<[_]>::len),
            self.label.map(<[_]>::len),
        ];
        if lengths.into_iter().flatten().any(|length| length != rows) {
            return Err(broken("event columns of different lengths"));
        }
        let missing = [
            (needs.value(), self.value.is_none(), "values"),
            (needs.distinct, self.other.is_none(), "other keys"),
            (needs.hits, self.label.is_none(), "labels"),
        ];
        if let Some((.., what)) = missing.into_iter().find(|(needed, absent, _)| rows > 0 && *needed && *absent) {
            return Err(broken(&format!("events without {what}, which a declaration reads")));
        }
        Ok(())
    }
}

/// [`Queries`] in the order of entity and time: states that are asked for the same entities at the same instants share it.
pub struct SortedQueries<'a> {
    pub(super) queries: Queries<'a>,
    pub(super) sorted: Sorted,
}

impl<'a> SortedQueries<'a> {
    /// Sorts them.
    ///
    /// # Errors
    /// [`Error::Invariant`] for columns of different lengths.
    pub fn new(queries: Queries<'a>) -> Result<Self> {
        queries.check(i64::MIN)?;
        Ok(Self { queries, sorted: Sorted::new(queries.entity, queries.at) })
    }
}

impl Queries<'_> {
    /// Whether these are the very rows of the events, which then are sorted alike.
    pub(super) fn are_rows_of(&self, events: &Events) -> bool {
        std::ptr::eq(events.entity, self.entity) && std::ptr::eq(events.happened_at, self.at)
    }

    pub(super) fn check(&self, horizon: i64) -> Result<()> {
        countable(self.entity.len())?;
        if self.at.len() != self.entity.len() {
            return Err(broken("query columns of different lengths"));
        }
        if let Some(at) = self.at.iter().find(|&&at| at < horizon) {
            return Err(broken(&format!("a query at {at} after everything before {horizon} has expired")));
        }
        Ok(())
    }
}

/// Events sorted by entity and happening. Columns that no declaration reads are empty.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Run {
    /// Shared with the sort of queries that are the same rows, with checkpoints and with files.
    pub(super) entity: Frozen<u32>,
    pub(super) happened: Frozen<i64>,
    /// Empty where every event was known when it happened, or before.
    pub(super) known: Frozen<i64>,
    pub(super) value: Frozen<i64>,
    pub(super) other: Frozen<u32>,
    pub(super) label: Vec<bool>,
}

/// The columns of a run, for loops over many of its rows: where a column lies is asked once, and not for each row.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Rows<'r> {
    pub(super) happened: &'r [i64],
    pub(super) known: &'r [i64],
    pub(super) value: &'r [i64],
    pub(super) other: &'r [u32],
    pub(super) label: &'r [bool],
}

impl Rows<'_> {
    /// When an event was known, or its happening if it was known no later.
    pub(super) fn known(&self, at: usize) -> i64 {
        self.known.get(at).copied().unwrap_or(self.happened[at])
    }

    pub(super) fn value(&self, at: usize) -> i64 {
        self.value.get(at).copied().unwrap_or(NO_VALUE)
    }

    /// Asks for a row that is read some steps later.
    pub(super) fn ask_ahead(&self, at: usize) {
        ask_ahead(self.happened, at);
        ask_ahead(self.known, at);
        ask_ahead(self.value, at);
        ask_ahead(self.other, at);
        ask_ahead(self.label, at);
    }
}

impl<'r> Rows<'r> {
    pub(super) fn known_or_happened(&self) -> &'r [i64] {
        if self.known.is_empty() { self.happened } else { self.known }
    }
}

impl Run {
    pub(super) fn rows(&self) -> Rows<'_> {
        Rows {
            happened: &self.happened,
            known: &self.known,
            value: &self.value,
            other: &self.other,
            label: &self.label,
        }
    }

    /// Events as `sorted` says: by entity and happening.
    pub(super) fn new(events: &Events, needs: Needs, sorted: &Sorted) -> Self {
        let late = |known: &&[i64]| known.iter().zip(events.happened_at).any(|(known, happened)| known > happened);
        let known = events.known_at.filter(late).unwrap_or_default();
        let value = events.value.filter(|_| needs.value()).unwrap_or_default();
        let other = events.other.filter(|_| needs.distinct).unwrap_or_default();
        let label = events.label.filter(|_| needs.hits).unwrap_or_default();
        let ((known, value), (other, label)) = rayon::join(
            || (sorted.gather(known), sorted.gather(value)),
            || (sorted.gather(other), sorted.gather(label)),
        );
        let (entity, happened) = (sorted.entity.clone().into(), sorted.time.clone().into());
        Self { entity, happened, known: known.into(), value: value.into(), other: other.into(), label }
    }

    pub(super) fn len(&self) -> usize {
        self.entity.len()
    }

    /// When an event was known, or its happening if it was known no later.
    pub(super) fn known(&self, at: usize) -> i64 {
        self.known.get(at).copied().unwrap_or(self.happened[at])
    }

    /// Appends events of another run; the order has to be restored.
    pub(super) fn append(&mut self, other: &Self, rows: Range<usize>) {
        if self.known.is_empty() && !other.known.is_empty() {
            self.known = self.happened.clone();
        }
        match (self.known.is_empty(), other.known.is_empty()) {
            (_, false) => self.known.edit().extend_from_slice(&other.known[rows.clone()]),
            (false, true) => self.known.edit().extend_from_slice(&other.happened[rows.clone()]),
            (true, true) => {}
        }
        self.entity.edit().extend_from_slice(&other.entity[rows.clone()]);
        self.happened.edit().extend_from_slice(&other.happened[rows.clone()]);
        if !other.value.is_empty() {
            self.value.edit().extend_from_slice(&other.value[rows.clone()]);
        }
        if !other.other.is_empty() {
            self.other.edit().extend_from_slice(&other.other[rows.clone()]);
        }
        self.label.extend_from_slice(other.label.get(rows).unwrap_or_default());
    }

    fn reorder(&self, order: &[u32]) -> Self {
        Self {
            entity: gather(&self.entity, order).into(),
            happened: gather(&self.happened, order).into(),
            known: gather(&self.known, order).into(),
            value: gather(&self.value, order).into(),
            other: gather(&self.other, order).into(),
            label: gather(&self.label, order),
        }
    }

    /// Puts the events from `first` on into an order.
    pub(super) fn reorder_from(&mut self, first: usize, order: &[u32]) {
        put_in_order(self.entity.edit(), first, order);
        put_in_order(self.happened.edit(), first, order);
        put_in_order(self.known.edit(), first, order);
        put_in_order(self.value.edit(), first, order);
        put_in_order(self.other.edit(), first, order);
        put_in_order(&mut self.label, first, order);
    }

    /// Gives keys new numbers; events of entities without one go, other keys without one become null.
    pub(super) fn rename(&mut self, entities: &[u32], others: &[u32]) {
        let named = selected(self.len(), |at| renamed(entities, self.entity[at]) != NO_KEY);
        self.keep(&named);
        self.entity.edit().iter_mut().for_each(|id| *id = renamed(entities, *id));
        self.other.edit().iter_mut().for_each(|id| *id = renamed(others, *id));
        if !self.entity.is_sorted() {
            let mut order: Vec<u32> = (0..self.len() as u32).collect();
            order.sort_by_key(|&at| (self.entity[at as usize], self.happened[at as usize]));
            *self = self.reorder(&order);
        }
    }

    /// Drops all events but these, in their order.
    pub(super) fn keep(&mut self, events: &[u32]) {
        if events.len() < self.len() {
            *self = self.reorder(events);
        }
    }
}

/// Puts the rows of a column from `first` on into an order; an absent (empty) one stays so.
pub(super) fn put_in_order<T: Copy>(column: &mut [T], first: usize, order: &[u32]) {
    if !column.is_empty() {
        let moved: Vec<T> = order.iter().map(|&at| column[at as usize]).collect();
        column[first..].copy_from_slice(&moved);
    }
}

/// The rows of which something is true, ascending. What nobody can guess is not branched on.
pub(super) fn selected(rows: usize, is_true: impl Fn(usize) -> bool) -> Vec<u32> {
    let (mut selected, mut found) = (vec![0; rows], 0);
    for row in 0..rows {
        selected[found] = row as u32;
        found += usize::from(is_true(row));
    }
    selected.truncate(found);
    selected
}

/// Where the events of entities are in runs.
pub(super) struct Places<'a> {
    /// Sorted, each once.
    pub(super) entities: &'a [u32],
    /// By run, then by entity.
    rows: Vec<Vec<Range<u32>>>,
}

impl<'a> Places<'a> {
    pub(super) fn of(runs: &[Run], entities: &'a [u32]) -> Self {
        let of_run = |run: &Run| {
            let (column, mut start) = (&run.entity[..], 0);
            let rows = |&entity: &u32| {
                let rows = rows_of(column, entity, start);
                start = rows.end;
                rows.start as u32..rows.end as u32
            };
            entities.iter().map(rows).collect()
        };
        Self { entities, rows: runs.iter().map(of_run).collect() }
    }

    /// The rows of the entity at a place, by run.
    pub(super) fn of_entity(&self, at: usize) -> impl Iterator<Item = Range<usize>> + Clone {
        self.rows.iter().map(move |rows| rows[at].start as usize..rows[at].end as usize)
    }

    /// The same where there is one run only.
    pub(super) fn only(&self, at: usize) -> Option<Range<usize>> {
        self.of_entity(at).next().filter(|_| self.rows.len() == 1)
    }

    /// How many events of it there are.
    pub(super) fn events(&self, at: usize) -> usize {
        self.of_entity(at).map(|rows| rows.len()).sum()
    }
}

/// The rows of `entity` in a sorted column, none of which is before `start`. Galloping, so that a walk over all entities
/// is linear and a look at one of millions is not.
pub(super) fn rows_of(column: &[u32], entity: u32, start: usize) -> Range<usize> {
    let first = gallop(column, start, |&id| id < entity);
    first..gallop(column, first, |&id| id <= entity)
}

/// The first row from `start` on of which `before` is not true, in a column in which it is true of some and then of none.
pub(super) fn gallop<T>(column: &[T], start: usize, before: impl Fn(&T) -> bool) -> usize {
    let (mut low, mut step) = (start, 1);
    while column.get(low + step - 1).is_some_and(&before) {
        low += step;
        step *= 2;
    }
    let high = (low + step - 1).min(column.len());
    low + column[low..high].partition_point(before)
}
