//! From states to rows: periods are merged from slots, sums become rates, durations quantiles.

use super::Counted;
use super::cells::{PANEL, Panel, add_checked};
use super::plan::{Entry, Group, Plan, Sums};
use super::rows::{Label, Place, Row, Rows};
use super::spans::QUANTILES;
use super::states::{GroupStates, States};
use crate::config::TargetPack;
use crate::error::Result;
use crate::kpi::measure::{Measure, Shape, Unit};
use crate::kpi::periods::Grain;
use crate::types::time::SECOND;
use rayon::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::Arc;

impl States {
    /// The rows of everything that was counted, held against `targets`.
    ///
    /// # Errors
    /// [`crate::error::Error::InputRefused`] if a sum does not fit 64 bits, [`crate::error::Error::Frames`] only for defects.
    pub fn finish(self, plan: &Plan<'_>, targets: Option<&TargetPack>) -> Result<Counted> {
        let states = self.fold(plan)?;
        let mut output =
            Output { plan, targets, rows: Rows::default(), counted: BTreeSet::new(), latest: BTreeMap::new() };
        for (subject, states) in plan.subjects.iter().zip(&states.subjects) {
            for (group, of_group) in subject.groups.iter().zip(&states.groups) {
                for (split, (segment, _)) in subject.splits.iter().enumerate() {
                    output.segment(group, of_group, split, *segment, &states.names[split].list)?;
                }
            }
        }
        output.counted(plan)
    }
}

/// A period of a segment value.
struct Period {
    grain: Grain,
    first: Option<i32>,
    /// When it is over.
    end: Option<i64>,
    value: u32,
    /// Which cells, by their place in the order of values and slots.
    cells: Range<usize>,
}

struct Output<'p> {
    plan: &'p Plan<'p>,
    targets: Option<&'p TargetPack>,
    rows: Rows<'p>,
    /// Measures with at least one row.
    counted: BTreeSet<&'p str>,
    /// Of each KPI with a target: first day, value and target of the latest mature month of the whole, and whether it
    /// misses.
    latest: BTreeMap<Arc<str>, (Option<i32>, f64, f64, bool)>,
}

impl<'p> Output<'p> {
    fn segment(
        &mut self,
        group: &'p Group<'p>,
        states: &GroupStates,
        split: usize,
        segment: usize,
        names: &[Arc<str>],
    ) -> Result<()> {
        let keys = &states.cells[split].keys;
        let mut order: Vec<u32> = (0..keys.len() as u32).collect();
        order.sort_unstable_by_key(|cell| {
            let (slot, value) = keys[*cell as usize];
            (&names[value as usize], slot)
        });
        let periods = self.periods(&order, keys, states.last);
        let ranges: Vec<Range<usize>> = periods.iter().map(|period| period.cells.clone()).collect();
        let quantiles: Vec<Vec<Option<[f64; 2]>>> = (0..group.spans.len())
            .into_par_iter()
            .map(|span| states.spans.quantiles(split, span, &order, &ranges))
            .collect();
        let error = states.spans.error();
        let labels: Vec<Vec<u32>> = group.entries.iter().map(|entry| self.labels(group, entry, error)).collect();
        let value_texts: Vec<u32> = names.iter().map(|name| self.rows.text(name)).collect();
        let grain_texts: BTreeMap<Grain, u32> =
            self.plan.periods.grains().iter().map(|grain| (*grain, self.rows.text(&grain.name()))).collect();
        let segment_text = self.rows.text(&self.plan.segments[segment]);
        let mut sums = vec![0_i64; states.panels.len() * PANEL];
        let mut counted = vec![false; group.entries.len()];
        for (at, period) in periods.iter().enumerate() {
            summed(&states.panels, split, &order[period.cells.clone()], &mut sums)?;
            let place = self.rows.place(Place {
                grain: grain_texts.get(&period.grain).copied().unwrap_or_default(),
                period_start: period.first,
                segment: segment_text,
                segment_value: value_texts[period.value as usize],
            });
            for ((entry, labels), counted) in group.entries.iter().zip(&labels).zip(&mut counted) {
                let row = Row {
                    place,
                    label: labels[0],
                    numerator: i64::MIN,
                    denominator: i64::MIN,
                    value: 0.0,
                    mature: self.plan.periods.is_mature(period.end, entry.measure.matures_after_days),
                };
                let before = self.rows.rows.len();
                match entry.sums {
                    Sums::Quotient { above, below } => self.quotient(entry.measure, sums[above], sums[below], row),
                    Sums::Span { span, .. } => self.span(entry, labels, &sums, quantiles[span][at], row),
                }
                *counted |= self.rows.rows.len() > before;
            }
        }
        let counted = group.entries.iter().zip(counted).filter(|(_, counted)| *counted);
        self.counted.extend(counted.map(|(entry, _)| entry.measure.id));
        Ok(())
    }

    /// All periods of all values, each value by all grains.
    fn periods(&self, order: &[u32], keys: &[(i32, u32)], last: Option<i32>) -> Vec<Period> {
        let mut periods = Vec::new();
        let mut ends: BTreeMap<(Grain, Option<i32>), Option<i64>> = BTreeMap::new();
        let mut begin = 0;
        while begin < order.len() {
            let value = keys[order[begin] as usize].1;
            let of_value = order[begin..].iter().take_while(|cell| keys[**cell as usize].1 == value);
            let slots: Vec<i32> = of_value.map(|cell| keys[*cell as usize].0).collect();
            for grain in self.plan.periods.grains() {
                for (first, range) in self.plan.periods.cut(*grain, &slots) {
                    let end = *ends
                        .entry((*grain, first))
                        .or_insert_with(|| self.plan.periods.end(*grain, first, last.unwrap_or_default()));
                    let cells = begin + range.start..begin + range.end;
                    periods.push(Period { grain: *grain, first, end, value, cells });
                }
            }
            begin += slots.len();
        }
        periods
    }

    fn labels(&mut self, group: &Group<'_>, entry: &Entry<'p>, error: Option<f64>) -> Vec<u32> {
        let measure = entry.measure;
        let mut label = |id: &str, unit: Unit, proportion: bool, quantile_error: Option<f64>| {
            let target = self.targets.and_then(|pack| Some((pack.of(id)?, self.rows.text(&pack.version))));
            let (kpi, basis) = (self.rows.text(id), self.rows.text(group.basis));
            let unit = self.rows.text(unit.name());
            self.rows.label(Label { kpi, basis, unit, target, proportion, quantile_error })
        };
        match entry.sums {
            Sums::Quotient { .. } => {
                vec![label(measure.id, measure.unit, matches!(measure.shape, Shape::Proportion { .. }), None)]
            }
            Sums::Span { .. } => {
                let of = |suffix: &str| format!("{}_{suffix}", measure.id);
                vec![
                    label(&of("p50"), measure.unit, false, error),
                    label(&of("p90"), measure.unit, false, error),
                    label(&of("mean"), measure.unit, false, None),
                    label(&of("open_share"), Unit::Share, true, None),
                ]
            }
        }
    }

    fn quotient(&mut self, measure: &'p Measure, above: i64, below: i64, row: Row) {
        if below == 0 {
            return;
        }
        let below = (!matches!(measure.shape, Shape::Total(_))).then_some(below);
        let value = measure.unit.of_sums(above, below, self.plan.clock.base_exponent);
        self.push(Row { numerator: above, denominator: below.unwrap_or(i64::MIN), value, ..row });
    }

    /// Quantiles, mean and the share still open.
    fn span(&mut self, entry: &Entry<'p>, labels: &[u32], sums: &[i64], quantiles: Option<[f64; 2]>, row: Row) {
        let Sums::Span { seconds, micros, passed, open, begun, .. } = entry.sums else { return };
        let (measure, passed) = (entry.measure, sums[passed]);
        if passed > 0 {
            let row = Row { denominator: passed, ..row };
            for (at, seconds) in quantiles.into_iter().flatten().enumerate().take(QUANTILES.len()) {
                self.push(Row { label: labels[at], value: measure.unit.of_seconds(seconds), ..row });
            }
            // Whole seconds: the numerator is exact, and exports carry no finer times.
            let total = i128::from(sums[seconds]) * i128::from(SECOND) + i128::from(sums[micros]);
            let mean = total as f64 / passed as f64 / SECOND as f64;
            let numerator = i64::try_from(total / i128::from(SECOND)).unwrap_or(i64::MIN);
            self.push(Row { label: labels[2], numerator, value: measure.unit.of_seconds(mean), ..row });
        }
        let (open, begun) = (sums[open], sums[begun]);
        if begun > 0 {
            let value = open as f64 / begun as f64;
            self.push(Row { label: labels[3], numerator: open, denominator: begun, value, ..row });
        }
    }

    fn push(&mut self, row: Row) {
        let (label, place) = (&self.rows.labels[row.label as usize], &self.rows.places[row.place as usize]);
        if let (Some((target, _)), true) = (label.target, row.mature)
            && &**self.rows.name(place.grain) == "month"
            && &**self.rows.name(place.segment) == "all"
        {
            let missed = target.op.breached(row.value, target.value);
            let latest = (place.period_start, row.value, target.value, missed);
            let known = self.latest.entry(Arc::clone(self.rows.name(label.kpi))).or_insert(latest);
            if latest.0 >= known.0 {
                *known = latest;
            }
        }
        self.rows.rows.push(row);
    }

    fn counted(self, plan: &Plan<'_>) -> Result<Counted> {
        // The columns may be there and still hold nothing to count, such as answers on a scale nobody was asked on.
        let (computed, empty): (Vec<String>, Vec<String>) =
            plan.computed.iter().cloned().partition(|id| self.counted.contains(id.as_str()));
        let mut not_computable = plan.not_computable.clone();
        not_computable.extend(empty.into_iter().map(|id| (id, vec!["rows to count".to_owned()])));
        let missed = self.latest.iter().filter(|(_, latest)| latest.3);
        let missed = missed.map(|(kpi, (_, value, target, _))| (kpi.to_string(), *value, *target)).collect();
        Ok(Counted { frame: self.rows.into_frame()?, computed, not_computable, missed })
    }
}

/// Adds cells up.
fn summed(panels: &[Panel], split: usize, cells: &[u32], sums: &mut [i64]) -> Result<()> {
    for (panel, sums) in panels.iter().zip(sums.chunks_exact_mut(PANEL)) {
        let mut sum = [0; PANEL];
        for cell in cells {
            add_checked(&mut sum, &panel.sums[split][*cell as usize])?;
        }
        sums.copy_from_slice(&sum);
    }
    Ok(())
}
