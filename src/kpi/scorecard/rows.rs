//! Reading what was counted, and writing the table.

use super::window::Span;
use super::{ByPlace, Card, Line, Measured};
use crate::config::{HeldPack, checked_day};
use crate::error::{Error, Result};
use crate::kpi::engine::Clock;
use crate::kpi::measure::{Measure, Shape};
use polars::prelude::*;
use std::collections::{BTreeMap, BTreeSet};

/// A row of what was counted, or several added up.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Sum {
    pub(super) numerator: Option<i64>,
    pub(super) denominator: Option<i64>,
    /// The value of a single row; `None` where rows were added up.
    single: Option<f64>,
}

impl Sum {
    /// The value in the KPI's unit: the row's own, else from the sums.
    pub(super) fn value(&self, measure: &Measure, part: &str, clock: Clock) -> Result<f64, String> {
        if let Some(value) = self.single {
            return Ok(value);
        }
        let unit = measure.unit;
        match (part, &measure.shape, self.numerator, self.denominator) {
            ("p50" | "p90", ..) => {
                Err("a quantile of several days is not the days' own added up; choose a window that \
                                        is a grain of `kpi`"
                    .to_owned())
            }
            // Durations have whole seconds above the line.
            ("mean", _, Some(above), Some(below)) if below != 0 => Ok(unit.of_seconds(above as f64 / below as f64)),
            ("open_share", _, Some(above), Some(below)) if below != 0 => Ok(above as f64 / below as f64),
            (_, Shape::Total(_), Some(above), _) => Ok(unit.of_sums(above, None, clock.base_exponent)),
            (_, _, Some(above), Some(below)) if below != 0 => Ok(unit.of_sums(above, Some(below), clock.base_exponent)),
            _ => Err("its rows have no counts to add up".to_owned()),
        }
    }
}

/// The rows of one KPI and channel: by grain, by first day.
#[derive(Debug, Default)]
pub(super) struct Rows {
    grains: BTreeMap<String, BTreeMap<i32, Sum>>,
    /// The last day that has a row.
    pub(super) last_day: Option<i32>,
}

impl Rows {
    /// What was counted over a span: the one row that has it, else the rows of its parts added up.
    pub(super) fn over(&self, span: &Span) -> Option<Sum> {
        let (parts, whole) = span.grains();
        if let Some(row) = self.grains.get(&whole).and_then(|rows| rows.get(&span.start)) {
            return Some(*row);
        }
        let mut rows = self.grains.get(parts)?.range(span.start..=span.end).map(|(_, row)| *row);
        let first = rows.next()?;
        let add = |a: Option<i64>, b: Option<i64>| a.zip(b).and_then(|(a, b)| a.checked_add(b));
        Some(rows.fold(first, |sum, row| Sum {
            numerator: add(sum.numerator, row.numerator),
            denominator: add(sum.denominator, row.denominator),
            single: None,
        }))
    }

    /// The grain that a span is made of, where nothing at all was counted by it.
    pub(super) fn parts_missing(&self, span: &Span) -> Option<&'static str> {
        let (parts, _) = span.grains();
        (!self.grains.contains_key(parts)).then_some(parts)
    }

    /// The last day of the latest month that has a row.
    pub(super) fn last_month(&self) -> Option<i32> {
        let first = *self.grains.get("month")?.keys().next_back()?;
        Some(super::window::month_end(first))
    }
}

/// Everything that targets ask for.
#[derive(Debug)]
pub(super) struct Sums {
    places: ByPlace,
    /// Whether KPIs are split by channel at all.
    pub(super) by_channel: bool,
    /// The channels there are.
    pub(super) channels: BTreeSet<String>,
}

impl Sums {
    /// Takes from what was counted the KPIs that some target names, for the whole and by channel.
    pub(super) fn of(held: &[HeldPack], measured: &[Measured<'_>]) -> Result<Self> {
        let stage = || Error::frames("scorecard");
        let kpis: BTreeSet<&str> = held.iter().flat_map(|h| &h.pack.targets).map(|t| t.kpi.as_str()).collect();
        let mut sums = Self { places: ByPlace::new(), by_channel: false, channels: BTreeSet::new() };
        for frame in measured.iter().map(|m| &m.counted.frame) {
            let text = |name: &str| frame.column(name).and_then(|c| c.str().cloned()).map_err(stage());
            let int = |name: &str| frame.column(name).and_then(|c| c.i64().cloned()).map_err(stage());
            let (grain, segment, channel, kpi) =
                (text("grain")?, text("segment")?, text("segment_value")?, text("kpi")?);
            let starts = frame.column("period_start").map(|c| c.to_physical_repr()).map_err(stage())?;
            let starts = starts.i32().map_err(stage())?;
            let (numerator, denominator) = (int("numerator")?, int("denominator")?);
            let value = frame.column("value").and_then(|c| c.f64().cloned()).map_err(stage())?;
            for at in 0..frame.height() {
                let (Some(segment), Some(kpi)) = (segment.get(at), kpi.get(at)) else { continue };
                if !["all", "channel"].contains(&segment) {
                    continue;
                }
                let channel = channel.get(at).filter(|_| segment == "channel").map(str::to_owned);
                sums.by_channel |= channel.is_some();
                if let Some(channel) = &channel
                    && !sums.channels.contains(channel)
                {
                    sums.channels.insert(channel.clone());
                }
                let (Some(grain), true) = (grain.get(at), kpis.contains(kpi)) else { continue };
                let rows = sums.places.entry((kpi.to_owned(), channel)).or_default();
                // The whole has no first day.
                let start = starts.get(at).unwrap_or(i32::MIN);
                if grain == "day" {
                    rows.last_day = rows.last_day.max(Some(start));
                }
                let row = Sum { numerator: numerator.get(at), denominator: denominator.get(at), single: value.get(at) };
                rows.grains.entry(grain.to_owned()).or_default().insert(start, row);
            }
        }
        Ok(sums)
    }

    /// The rows of a KPI for the whole or a channel.
    pub(super) fn of_place(&self, kpi: &str, channel: Option<&str>) -> Option<&Rows> {
        self.places.get(&(kpi.to_owned(), channel.map(str::to_owned)))
    }
}

/// The table by column.
#[derive(Default)]
pub(super) struct Lines {
    texts: BTreeMap<&'static str, Vec<Option<String>>>,
    ints: BTreeMap<&'static str, Vec<Option<i64>>>,
    floats: BTreeMap<&'static str, Vec<Option<f64>>>,
    days: BTreeMap<&'static str, Vec<Option<i32>>>,
    flags: BTreeMap<&'static str, Vec<Option<bool>>>,
}

/// The columns in their order, each with the first letter of its type: text, int, float, day, or yes and no.
const COLUMNS: &[(&str, char)] = &[
    ("channel", 't'),
    ("pack", 't'),
    ("targets_version", 't'),
    ("kpi", 't'),
    ("level", 't'),
    ("required", 'y'),
    ("window", 't'),
    ("period_start", 'd'),
    ("period_end", 'd'),
    ("basis", 't'),
    ("numerator", 'i'),
    ("denominator", 'i'),
    ("value", 'f'),
    ("lower", 'f'),
    ("upper", 'f'),
    ("unit", 't'),
    ("op", 't'),
    ("target", 'f'),
    ("breach", 'y'),
    ("room", 'i'),
    ("tolerated", 'i'),
    ("before_numerator", 'i'),
    ("before_denominator", 'i'),
    ("before_value", 'f'),
    ("change", 'f'),
    ("change_lower", 'f'),
    ("change_upper", 'f'),
    ("trend", 't'),
    ("mature", 'y'),
    ("null_reason", 't'),
    ("note", 't'),
    ("source", 't'),
    ("checked", 'd'),
];

impl Lines {
    /// Adds a row: what was found, or why nothing was.
    pub(super) fn push(
        &mut self,
        card: &Card<'_>,
        measure: Option<&Measure>,
        span: Option<&Span>,
        line: Result<Line, String>,
    ) {
        let (pack, target) = (card.pack, card.target);
        let found = line.as_ref().ok();
        let mut text = |name, value: Option<String>| self.texts.entry(name).or_default().push(value);
        // The whole shop stands as `all`, as it does in `kpi`.
        text("channel", Some(pack.channel.clone().unwrap_or_else(|| "all".to_owned())));
        text("pack", Some(pack.name.clone()));
        text("targets_version", Some(pack.pack.version.clone()));
        text("kpi", Some(target.kpi.clone()));
        text("level", target.level.clone());
        text("window", Some(span.map_or_else(|| target.window.name(), Span::name)));
        text("basis", measure.map(|m| m.basis.to_owned()));
        text("unit", measure.map(|m| m.unit_of(&target.kpi).name().to_owned()));
        text("op", Some(target.op.sign().to_owned()));
        text("trend", found.and_then(|l| l.trend).map(|t| t.name().to_owned()));
        text("null_reason", line.as_ref().err().cloned());
        text("note", target.note.clone());
        text("source", Some(target.source.clone().unwrap_or_else(|| pack.pack.source.clone())));
        let mut int = |name, value: Option<i64>| self.ints.entry(name).or_default().push(value);
        int("numerator", found.and_then(|l| l.numerator));
        int("denominator", found.and_then(|l| l.denominator));
        int("room", found.and_then(|l| l.room));
        int("tolerated", Some(target.tolerated));
        int("before_numerator", found.and_then(|l| l.before).and_then(|b| b.numerator));
        int("before_denominator", found.and_then(|l| l.before).and_then(|b| b.denominator));
        let mut float = |name, value: Option<f64>| self.floats.entry(name).or_default().push(value);
        float("value", found.map(|l| l.value));
        float("lower", found.and_then(|l| l.interval).map(|i| i.0));
        float("upper", found.and_then(|l| l.interval).map(|i| i.1));
        float("target", Some(target.value));
        float("before_value", found.and_then(|l| l.before).map(|b| b.value));
        float("change", found.and_then(|l| l.change));
        float("change_lower", found.and_then(|l| l.change_interval).map(|i| i.0));
        float("change_upper", found.and_then(|l| l.change_interval).map(|i| i.1));
        let mut day = |name, value: Option<i32>| self.days.entry(name).or_default().push(value);
        day("period_start", span.map(|s| s.start).filter(|start| *start > i32::MIN));
        day("period_end", span.map(|s| s.end));
        day("checked", checked_day(target));
        let mut flag = |name, value: Option<bool>| self.flags.entry(name).or_default().push(value);
        flag("required", Some(target.required));
        flag("breach", found.and_then(|l| l.breach));
        flag("mature", found.map(|l| l.mature));
    }

    /// The table; its columns are there without rows too.
    pub(super) fn into_frame(mut self) -> Result<DataFrame> {
        let mut columns = Vec::with_capacity(COLUMNS.len());
        for (name, kind) in COLUMNS.iter().copied() {
            let column = match kind {
                't' => Column::new(name.into(), self.texts.remove(name).unwrap_or_default()),
                'i' => Column::new(name.into(), self.ints.remove(name).unwrap_or_default()),
                'f' => Column::new(name.into(), self.floats.remove(name).unwrap_or_default()),
                'y' => Column::new(name.into(), self.flags.remove(name).unwrap_or_default()),
                _ => Column::new(name.into(), self.days.remove(name).unwrap_or_default())
                    .cast(&DataType::Date)
                    .map_err(Error::frames("scorecard"))?,
            };
            columns.push(column);
        }
        DataFrame::new_infer_height(columns).map_err(Error::frames("scorecard"))
    }
}
