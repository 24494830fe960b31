//! Events of the few entities that a small step asks of, put together out of all runs.

use super::NO_VALUE;
use super::run::{Places, Rows, Run, put_in_order};
use crate::memory::AHEAD;
use std::cell::RefCell;

/// What a thread keeps for its next step at most, bytes: to be given fresh memory for each of dozens of states costs as much as
/// to fill it.
const SPARE_IN_BYTES: usize = 32 << 20;

thread_local! {
    static SPARE: RefCell<Columns> = RefCell::default();
}

/// Events by entity, and by happening within one. Columns that no run has are empty.
pub(super) struct Copied(Columns);

#[derive(Default)]
struct Columns {
    happened: Vec<i64>,
    known: Vec<i64>,
    value: Vec<i64>,
    other: Vec<u32>,
    label: Vec<bool>,
}

impl Copied {
    /// The events of entities that `wanted` wants out of several runs, which say where they are.
    pub(super) fn of(runs: &[Run], places: &Places<'_>, wanted: impl Fn(u32) -> bool) -> Self {
        let of_runs: Vec<Rows> = runs.iter().map(Run::rows).collect();
        let has = |column: &dyn Fn(&Rows) -> bool| of_runs.iter().any(column);
        let (has_known, has_value) = (has(&|run| !run.known.is_empty()), has(&|run| !run.value.is_empty()));
        let mut to = SPARE.take();
        to.clear();
        let each_rows = |at| of_runs.iter().zip(places.of_entity(at)).filter(|(_, rows)| !rows.is_empty());
        let wanted: Vec<usize> = (0..places.entities.len()).filter(|at| wanted(places.entities[*at])).collect();
        for (nth, &at) in wanted.iter().enumerate() {
            if let Some(next) = wanted.get(nth + AHEAD) {
                each_rows(*next).for_each(|(run, rows)| run.ask_ahead(rows.start));
            }
            let first = to.happened.len();
            for (run, rows) in each_rows(at) {
                to.happened.extend_from_slice(&run.happened[rows.clone()]);
                if has_known {
                    to.known.extend_from_slice(&run.known_or_happened()[rows.clone()]);
                }
                if has_value {
                    match run.value.get(rows.clone()) {
                        Some(values) => to.value.extend_from_slice(values),
                        None => to.value.resize(to.happened.len(), NO_VALUE),
                    }
                }
                to.other.extend_from_slice(run.other.get(rows.clone()).unwrap_or_default());
                to.label.extend_from_slice(run.label.get(rows).unwrap_or_default());
            }
            // The stretches of two runs follow one another as a rule: what comes later happened later.
            if !to.happened[first..].is_sorted() {
                to.sort_from(first);
            }
        }
        Self(to)
    }

    pub(super) fn rows(&self) -> Rows<'_> {
        let Columns { happened, known, value, other, label } = &self.0;
        Rows { happened, known, value, other, label }
    }

    /// As a run, of events that are all of one entity.
    pub(super) fn of_one(&self, entity: u32) -> Run {
        let Columns { happened, known, value, other, label } = &self.0;
        Run {
            entity: vec![entity; happened.len()].into(),
            happened: happened.clone().into(),
            known: known.clone().into(),
            value: value.clone().into(),
            other: other.clone().into(),
            label: label.clone(),
        }
    }
}

impl Drop for Copied {
    /// The thread has its memory back.
    fn drop(&mut self) {
        if self.0.size_in_bytes() <= SPARE_IN_BYTES {
            SPARE.set(std::mem::take(&mut self.0));
        }
    }
}

impl Columns {
    fn clear(&mut self) {
        self.happened.clear();
        self.known.clear();
        self.value.clear();
        self.other.clear();
        self.label.clear();
    }

    fn size_in_bytes(&self) -> usize {
        8 * (self.happened.capacity() + self.known.capacity() + self.value.capacity())
            + 4 * self.other.capacity()
            + self.label.capacity()
    }

    /// Puts the rows from `first` on in the order of their happening.
    fn sort_from(&mut self, first: usize) {
        let happened = &self.happened;
        let mut order: Vec<u32> = (first as u32..happened.len() as u32).collect();
        // Sorted stretches in a row: a merge sort takes them as they are.
        order.sort_by_key(|&row| happened[row as usize]);
        put_in_order(&mut self.happened, first, &order);
        put_in_order(&mut self.known, first, &order);
        put_in_order(&mut self.value, first, &order);
        put_in_order(&mut self.other, first, &order);
        put_in_order(&mut self.label, first, &order);
    }
}
