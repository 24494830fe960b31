//! Partial results: integer sums and durations by slot and segment value, which merge in any order to the same bits.

use super::cells::{Cells, NO_CELL, Names, Panel};
use super::plan::{Group, Plan, SubjectPlan};
use super::read::{Block, read};
use super::spans::{Chunk, Lengths, Spans};
use crate::error::Result;
use crate::kpi::facts::Facts;
use crate::kpi::measure::Subject;
use polars::prelude::DataFrame;
use rayon::prelude::*;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Rows of a part that are evaluated at a time: a hundred columns of them take some hundred megabytes.
const BLOCK_ROWS: usize = 1 << 18;

/// What was counted of some part of the facts.
#[derive(Debug)]
pub struct States {
    pub(super) subjects: Vec<SubjectStates>,
}

/// Of one subject, by segment.
#[derive(Debug, Default)]
pub(super) struct SubjectStates {
    pub(super) names: Vec<Names>,
    /// Rows of each value, whether or not any measure counts them.
    pub(super) rows: Vec<Vec<u64>>,
    pub(super) groups: Vec<GroupStates>,
}

/// Of the measures of one clock.
#[derive(Debug)]
pub(super) struct GroupStates {
    /// The last day with a row.
    pub(super) last: Option<i32>,
    /// By segment.
    pub(super) cells: Vec<Cells>,
    pub(super) panels: Vec<Panel>,
    pub(super) spans: Spans,
}

impl States {
    /// Nothing counted yet.
    pub fn new(plan: &Plan<'_>) -> Self {
        Self { subjects: plan.subjects.iter().map(SubjectStates::new).collect() }
    }

    /// Counts a part of the facts. Which rows are in which part makes no difference to what comes out in the end.
    ///
    /// # Errors
    /// [`crate::error::Error::InputRefused`] if a sum does not fit 64 bits, [`crate::error::Error::Frames`] only for defects.
    pub fn add(&mut self, plan: &Plan<'_>, facts: &Facts) -> Result<()> {
        for (states, of) in self.subjects.iter_mut().zip(&plan.subjects) {
            let Some(frame) = facts.frame(of.subject) else { continue };
            states.add(plan, of, frame)?;
        }
        Ok(())
    }

    /// Adds what was counted of another part, by the same plan.
    ///
    /// # Errors
    /// [`crate::error::Error::InputRefused`] if a sum does not fit 64 bits.
    pub fn merge(&mut self, plan: &Plan<'_>, other: Self) -> Result<()> {
        for (states, other) in self.subjects.iter_mut().zip(other.subjects) {
            states.merge(other, plan.settings.exact_durations, &|_, name| name.clone())?;
        }
        Ok(())
    }

    /// Counts values with few orders together, as `other`; see [`super::Settings::min_segment_orders`].
    pub(super) fn fold(mut self, plan: &Plan<'_>) -> Result<Self> {
        let least = plan.settings.min_segment_orders;
        if least < 2 {
            return Ok(self);
        }
        let orders = plan.subjects.iter().position(|s| s.subject == Subject::Orders);
        let mut of_orders: BTreeMap<usize, BTreeMap<Arc<str>, u64>> = BTreeMap::new();
        if let Some(at) = orders {
            for ((segment, _), (names, rows)) in
                plan.subjects[at].splits.iter().zip(self.subjects[at].names.iter().zip(&self.subjects[at].rows))
            {
                of_orders.insert(*segment, names.list.iter().cloned().zip(rows.iter().copied()).collect());
            }
        }
        let other: Arc<str> = Arc::from("other");
        for (states, of) in self.subjects.iter_mut().zip(&plan.subjects) {
            let all = std::mem::replace(states, SubjectStates::new(of));
            let small: Vec<Vec<bool>> = (all.names.iter().zip(&all.rows).zip(&of.splits))
                .map(|((names, rows), (segment, value))| {
                    let known = of_orders.get(segment);
                    let count =
                        |(name, rows): (&Arc<str>, &u64)| known.map_or(*rows, |k| k.get(name).copied().unwrap_or(0));
                    names.list.iter().zip(rows).map(|pair| value.is_some() && count(pair) < least).collect()
                })
                .collect();
            let numbered: Vec<Names> = all.names.clone();
            states.merge(all, plan.settings.exact_durations, &|split, name| {
                let at = numbered[split].list.iter().position(|n| n == name);
                if at.is_some_and(|at| small[split][at]) { Arc::clone(&other) } else { Arc::clone(name) }
            })?;
        }
        Ok(self)
    }
}

impl SubjectStates {
    fn new(plan: &SubjectPlan<'_>) -> Self {
        let splits = plan.splits.len();
        Self {
            names: vec![Names::default(); splits],
            rows: vec![Vec::new(); splits],
            groups: plan.groups.iter().map(|group| GroupStates::new(group, splits)).collect(),
        }
    }

    fn add(&mut self, plan: &Plan<'_>, of: &SubjectPlan<'_>, frame: &DataFrame) -> Result<()> {
        for start in (0..frame.height()).step_by(BLOCK_ROWS) {
            let block = read(&frame.slice(start as i64, BLOCK_ROWS), of, plan)?;
            let values: Vec<Vec<u32>> =
                self.names.iter_mut().zip(&block.values).map(|(names, values)| values.numbered(names)).collect();
            for ((rows, names), values) in self.rows.iter_mut().zip(&self.names).zip(&values) {
                rows.resize(names.list.len(), 0);
                values.iter().for_each(|value| rows[*value as usize] += 1);
            }
            self.add_block(plan, block, &values)?;
        }
        Ok(())
    }

    fn add_block(&mut self, plan: &Plan<'_>, block: Block, values: &[Vec<u32>]) -> Result<()> {
        let exact = plan.settings.exact_durations;
        // Which cell each row is in: by group, by segment.
        let cells: Vec<Vec<Vec<u32>>> = (self.groups.par_iter_mut().zip(&block.groups))
            .map(|(group, rows)| {
                group.last = group.last.max(rows.last);
                group
                    .cells
                    .par_iter_mut()
                    .zip(values)
                    .map(|(cells, values)| cells_of(cells, &rows.slots, values))
                    .collect()
            })
            .collect();
        let sizes: Vec<Vec<usize>> =
            self.groups.iter().map(|g| g.cells.iter().map(|c| c.keys.len()).collect()).collect();
        let mut work: Vec<_> = (self.groups.iter_mut().zip(&block.groups).zip(cells.iter().zip(&sizes)))
            .flat_map(|((group, rows), (cells, sizes))| group.panels.iter_mut().map(move |p| (p, rows, cells, sizes)))
            .collect();
        work.par_iter_mut().try_for_each(|(panel, rows, cells, sizes)| panel.add(&rows.columns, cells, sizes))?;
        drop(work);
        for ((group, rows), cells) in self.groups.iter_mut().zip(block.groups).zip(cells) {
            if !rows.spans.is_empty() && !cells.is_empty() {
                group.spans.add(chunk(&rows.slots, &rows.spans, &cells), exact);
            }
        }
        Ok(())
    }

    /// Adds another state; `name` says what a value of a segment is called from now on.
    fn merge(&mut self, other: Self, exact: u64, name: &dyn Fn(usize, &Arc<str>) -> Arc<str>) -> Result<()> {
        let mut values = Vec::with_capacity(self.names.len());
        for (split, ((names, others), (rows, other_rows))) in
            self.names.iter_mut().zip(&other.names).zip(self.rows.iter_mut().zip(&other.rows)).enumerate()
        {
            let moved: Vec<u32> = others.list.iter().map(|other| names.number(&name(split, other))).collect();
            rows.resize(names.list.len(), 0);
            for (value, count) in moved.iter().zip(other_rows) {
                rows[*value as usize] += count;
            }
            values.push(moved);
        }
        for (group, other) in self.groups.iter_mut().zip(other.groups) {
            group.last = group.last.max(other.last);
            let moved: Vec<Vec<u32>> = (group.cells.iter_mut().zip(&other.cells).zip(&values))
                .map(|((cells, others), values)| {
                    others.keys.iter().map(|(slot, value)| cells.number(*slot, values[*value as usize])).collect()
                })
                .collect();
            let sizes: Vec<usize> = group.cells.iter().map(|c| c.keys.len()).collect();
            for (panel, other) in group.panels.iter_mut().zip(&other.panels) {
                panel.merge(other, &moved, &sizes)?;
            }
            group.spans.merge(other.spans, &moved, exact);
        }
        Ok(())
    }
}

impl GroupStates {
    fn new(group: &Group<'_>, splits: usize) -> Self {
        let summands = group.summands.len();
        Self {
            last: None,
            cells: vec![Cells::default(); splits],
            panels: (0..summands)
                .step_by(super::cells::PANEL)
                .map(|first| Panel::new(first, summands, splits))
                .collect(),
            spans: Spans::none(),
        }
    }
}

/// The cell of each row; new cells are numbered.
fn cells_of(cells: &mut Cells, slots: &[Option<i32>], values: &[u32]) -> Vec<u32> {
    let mut last = None;
    let each = slots.iter().zip(values).map(|(slot, value)| {
        let Some(slot) = *slot else { return NO_CELL };
        // Rows often come in the order of time, and `all` has one value.
        match last {
            Some((key, cell)) if key == (slot, *value) => cell,
            _ => {
                let cell = cells.number(slot, *value);
                last = Some(((slot, *value), cell));
                cell
            }
        }
    });
    each.collect()
}

/// The rows that are in a cell and have any duration.
fn chunk(slots: &[Option<i32>], spans: &[Vec<Option<i64>>], cells: &[Vec<u32>]) -> Chunk {
    let rows: Vec<u32> = (0..slots.len())
        .filter(|row| slots[*row].is_some() && spans.iter().any(|span| span[*row].is_some()))
        .map(|row| row as u32)
        .collect();
    let picked = |span: &Vec<Option<i64>>| {
        let lengths: Vec<Option<i64>> = rows.iter().map(|row| span[*row as usize]).collect();
        Lengths::of(&lengths)
    };
    Chunk {
        cells: cells.par_iter().map(|cells| rows.iter().map(|row| cells[*row as usize]).collect()).collect(),
        lengths: spans.par_iter().map(picked).collect(),
    }
}
