//! Partial results: integer sums and durations by slot and segment value, which merge in any order to the same bits.

use super::cells::{Cells, NO_CELL, Names, Panel};
use super::plan::{Group, Plan, SubjectPlan};
use super::read::{Block, read};
use super::spans::{Chunk, Lengths, Spans};
use super::values::Values;
use crate::error::Result;
use crate::kpi::facts::Facts;
use polars::prelude::DataFrame;
use rayon::prelude::*;

/// Rows of a part that are evaluated at a time: a hundred columns of them take some hundred megabytes.
const BLOCK_ROWS: usize = 1 << 18;

/// What was counted of some part of the facts.
#[derive(Debug)]
pub struct States {
    pub(super) subjects: Vec<SubjectStates>,
}

/// Of one subject.
#[derive(Debug)]
pub(super) struct SubjectStates {
    /// By column: its values.
    pub(super) columns: Vec<Names>,
    /// By key.
    pub(super) values: Vec<Values>,
    /// By key: rows of each value, whether or not any measure counts them.
    pub(super) rows: Vec<Vec<u64>>,
    pub(super) groups: Vec<GroupStates>,
}

/// Of the measures of one clock.
#[derive(Debug)]
pub(super) struct GroupStates {
    /// The last day with a row.
    pub(super) last: Option<i32>,
    /// By key.
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
            states.merge(other, plan.settings.exact_durations)?;
        }
        Ok(())
    }
}

impl SubjectStates {
    fn new(plan: &SubjectPlan<'_>) -> Self {
        Self {
            columns: vec![Names::default(); plan.columns.len()],
            values: plan.keys.iter().map(|key| Values::new(key)).collect(),
            rows: vec![Vec::new(); plan.keys.len()],
            groups: plan.groups.iter().map(|group| GroupStates::new(group, plan.keys.len())).collect(),
        }
    }

    fn add(&mut self, plan: &Plan<'_>, of: &SubjectPlan<'_>, frame: &DataFrame) -> Result<()> {
        for start in (0..frame.height()).step_by(BLOCK_ROWS) {
            let frame = frame.slice(start as i64, BLOCK_ROWS);
            let block = read(&frame, of, plan)?;
            let columns: Vec<Vec<u32>> =
                self.columns.iter_mut().zip(&block.values).map(|(names, texts)| texts.numbered(names)).collect();
            let values: Vec<Vec<u32>> =
                self.values.par_iter_mut().map(|values| values.of_rows(&columns, frame.height())).collect();
            for ((rows, kinds), values) in self.rows.iter_mut().zip(&self.values).zip(&values) {
                rows.resize(kinds.len(&self.columns), 0);
                values.iter().for_each(|value| rows[*value as usize] += 1);
            }
            self.add_block(plan, block, &values)?;
        }
        if of.splits.iter().any(|split| split.parts.is_empty()) {
            for group in &self.groups {
                let Some(cells) = group.cells.first() else { continue };
                group.panels.iter().try_for_each(|panel| panel.fits(cells))?;
            }
        }
        Ok(())
    }

    fn add_block(&mut self, plan: &Plan<'_>, block: Block, values: &[Vec<u32>]) -> Result<()> {
        let exact = plan.settings.exact_durations;
        // Which cell each row is in: by group, by key.
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

    /// Adds another state.
    fn merge(&mut self, other: Self, exact: u64) -> Result<()> {
        let moved = |(names, others): (&mut Names, &Names)| others.list.iter().map(|name| names.number(name)).collect();
        let columns: Vec<Vec<u32>> = self.columns.iter_mut().zip(&other.columns).map(moved).collect();
        let mut values = Vec::with_capacity(self.values.len());
        for ((own, others), (rows, other_rows)) in
            self.values.iter_mut().zip(&other.values).zip(self.rows.iter_mut().zip(&other.rows))
        {
            let moved = own.merge(others, other_rows.len(), &columns);
            rows.resize(own.len(&self.columns), 0);
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
    fn new(group: &Group<'_>, keys: usize) -> Self {
        let summands = group.summands.len();
        Self {
            last: None,
            cells: vec![Cells::default(); keys],
            panels: (0..summands).step_by(super::cells::PANEL).map(|first| Panel::new(first, summands, keys)).collect(),
            spans: Spans::none(),
        }
    }
}

/// The cell of each row; new cells are numbered.
fn cells_of(cells: &mut Cells, slots: &[Option<i32>], values: &[u32]) -> Vec<u32> {
    let mut last = None;
    let each = slots.iter().zip(values).map(|(slot, value)| {
        let Some(slot) = *slot else { return NO_CELL };
        // Rows often come in the order of time.
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
