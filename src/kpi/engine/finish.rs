//! From states to rows: periods are merged from slots, sums become rates, durations quantiles.

use super::Counted;
use super::cells::{PANEL, Panel, add_checked};
use super::plan::{Entry, Group, Plan, Split, Sums};
use super::rows::{Label, Place, Row, Rows};
use super::segments::{Segment, segments};
use super::spans::{Asked, QUANTILES, Quantiles, Spans};
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
        let segments = segments(&self, plan);
        let mut output =
            Output { plan, targets, rows: Rows::default(), counted: BTreeSet::new(), latest: BTreeMap::new() };
        for ((subject, states), segments) in plan.subjects.iter().zip(self.subjects).zip(&segments) {
            for (group, mut of_group) in subject.groups.iter().zip(states.groups) {
                let cut = |(split, segment): (&Split, &Segment)| {
                    output.cut(segment, &of_group.cells[split.key].keys, of_group.last)
                };
                let cuts: Vec<Cut> = subject.splits.iter().zip(segments).map(cut).collect();
                let quantiles = quantiles(group, &of_group, &subject.splits, &cuts);
                let error = of_group.spans.error();
                // Nobody asks for them any more, and rows take their place.
                of_group.spans = Spans::none();
                for (((split, segment), cut), quantiles) in
                    subject.splits.iter().zip(segments).zip(&cuts).zip(&quantiles)
                {
                    output.segment(group, &of_group, split, segment, cut, (quantiles, error))?;
                }
            }
        }
        output.counted(plan)
    }
}

/// A segment cut into periods.
struct Cut {
    /// The cells of its key.
    order: Vec<u32>,
    periods: Vec<Period>,
}

/// A period of a segment value.
struct Period {
    grain: Grain,
    first: Option<i32>,
    /// When it is over.
    end: Option<i64>,
    /// Place of its name.
    value: u32,
    /// Which cells, as places in [`Cut::order`].
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
    /// Rows of one segment.
    fn segment(
        &mut self,
        group: &'p Group<'p>,
        states: &GroupStates,
        split: &Split,
        segment: &Segment,
        cut: &Cut,
        (quantiles, error): (&[Quantiles], Option<f64>),
    ) -> Result<()> {
        let labels: Vec<Vec<u32>> = group.entries.iter().map(|entry| self.labels(group, entry, error)).collect();
        let value_texts: Vec<u32> = segment.names.iter().map(|name| self.rows.text(name)).collect();
        let grain_texts: BTreeMap<Grain, u32> =
            self.plan.periods.grains().iter().map(|grain| (*grain, self.rows.text(&grain.name()))).collect();
        let segment_text = self.rows.text(&self.plan.segments[split.segment]);
        let mut sums = vec![0_i64; states.panels.len() * PANEL];
        let mut counted = vec![false; group.entries.len()];
        for (at, period) in cut.periods.iter().enumerate() {
            summed(&states.panels, split.key, &cut.order[period.cells.clone()], &mut sums)?;
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

    /// The cells of a key in the order of a segment's values and of slots, and all periods of all values, each value by all
    /// grains.
    fn cut(&self, segment: &Segment, keys: &[(i32, u32)], last: Option<i32>) -> Cut {
        let name = |cell: u32| segment.name_of[keys[cell as usize].1 as usize];
        let mut order: Vec<u32> = (0..keys.len() as u32).collect();
        // Cells of one value and slot, as a segment has that is put together from a finer one, stand in any order: they are
        // added up.
        order.sort_unstable_by_key(|cell| (name(*cell), keys[*cell as usize].0));
        let mut periods = Vec::new();
        let mut ends: BTreeMap<(Grain, Option<i32>), Option<i64>> = BTreeMap::new();
        let mut begin = 0;
        while begin < order.len() {
            let value = name(order[begin]);
            let of_value = order[begin..].iter().take_while(|cell| name(**cell) == value);
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
        Cut { order, periods }
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

/// Quantiles by segment, span and period.
fn quantiles(group: &Group<'_>, states: &GroupStates, splits: &[Split], cuts: &[Cut]) -> Vec<Vec<Quantiles>> {
    let mut of_segments = vec![Vec::with_capacity(group.spans.len()); splits.len()];
    let keys = splits.iter().map(|split| split.key).max().map_or(0, |last| last + 1);
    for key in 0..keys {
        let asked: Vec<usize> = (0..splits.len()).filter(|at| splits[*at].key == key).collect();
        let ask = |at: &usize| -> Asked<'_> {
            let ranges = cuts[*at].periods.iter().map(|period| period.cells.clone()).collect();
            (&cuts[*at].order, ranges)
        };
        let orders: Vec<Asked<'_>> = asked.iter().map(ask).collect();
        let spans: Vec<_> =
            (0..group.spans.len()).into_par_iter().map(|span| states.spans.quantiles(key, span, &orders)).collect();
        for of_span in spans {
            asked.iter().zip(of_span).for_each(|(at, found)| of_segments[*at].push(found));
        }
    }
    of_segments
}

/// Adds cells up.
fn summed(panels: &[Panel], key: usize, cells: &[u32], sums: &mut [i64]) -> Result<()> {
    for (panel, sums) in panels.iter().zip(sums.chunks_exact_mut(PANEL)) {
        let mut sum = [0; PANEL];
        for cell in cells {
            add_checked(&mut sum, &panel.sums[key][*cell as usize])?;
        }
        sums.copy_from_slice(&sum);
    }
    Ok(())
}
