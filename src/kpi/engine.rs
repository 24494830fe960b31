//! Counts any list of measures by period and segment.
//!
//! Sums are integers by day and segment first, so that weeks, months and the whole are merged from the same partial sums;
//! durations are taken whole for each period, so that their quantiles are exact.

use super::catalogue::local_day;
use super::facts::{Facts, micros};
use super::measure::{Measure, Shape, Subject, Unit};
use super::segment::segment_value;
use crate::config::TargetPack;
use crate::error::{Error, Result};
use crate::types::interval::wilson95;
use crate::types::time::{DAY, SECOND, date_of, day_start};
use chrono::{Datelike, Days, Months, NaiveDate};
use chrono_tz::Tz;
use polars::prelude::*;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

/// Clock and calendar of a count.
#[derive(Debug, Clone, Copy)]
pub struct Clock {
    /// The run's clock, UTC microseconds.
    pub as_of: i64,
    /// Zone of days, weeks and months.
    pub zone: Tz,
    /// Decimals of the base currency: how minor units become units in values.
    pub base_exponent: u32,
}

/// The result of a count.
#[derive(Debug)]
pub struct Counted {
    /// The rows of the `kpi` or `satisfaction` table, `grain` included.
    pub frame: DataFrame,
    /// Measures that were computed, by id.
    pub computed: Vec<String>,
    /// Measures that the input cannot feed, with what is missing.
    pub not_computable: Vec<(String, Vec<String>)>,
    /// Targets missed by the latest mature period of the whole, as `kpi value target`.
    pub missed: Vec<(String, f64, f64)>,
}

/// Periods, each merged from the one before.
const GRAINS: [&str; 4] = ["day", "week", "month", "all"];

/// What periods and segments have in common: grain, first day (none for the whole), segment and its value.
type Place = (&'static str, Option<i32>, Arc<str>, Arc<str>);

/// Counts measures over facts.
///
/// # Errors
/// [`Error::Frames`] only for defects.
pub fn count(
    facts: &Facts,
    measures: &[Measure],
    segments: &[String],
    targets: Option<&TargetPack>,
    clock: Clock,
) -> Result<Counted> {
    let mut rows = Rows::default();
    let (mut computed, mut not_computable) = (Vec::new(), Vec::new());
    let mut groups: BTreeMap<(Subject, &str), Vec<&Measure>> = BTreeMap::new();
    for measure in measures {
        let missing = facts.available.missing(measure.needs);
        if missing.is_empty() {
            groups.entry((measure.subject, measure.basis)).or_default().push(measure);
            // What is counted by article has the id of what is counted by order.
            if measure.subject.part().is_none() {
                computed.push(measure.id.to_owned());
            }
        } else {
            not_computable.push((measure.name(), missing));
        }
    }
    for ((subject, basis), measures) in groups {
        let Some(frame) = facts.frame(subject) else { continue };
        let days = frame
            .clone()
            .lazy()
            .filter(col(basis).is_not_null())
            .with_column(local_day(col(basis), clock.zone).to_physical().alias("_day"))
            .with_columns(period_starts())
            .collect()
            .map_err(Error::frames("KPI days"))?;
        let mut group = Group {
            days: &days,
            basis: Arc::from(basis),
            clock,
            targets,
            version: targets.map(|t| Arc::from(t.version.as_str())),
            last: None,
        };
        group.last = days
            .column("_day")
            .and_then(|c| c.i32()?.max().map_or(Ok(None), |d| Ok(Some(d))))
            .map_err(Error::frames("KPI days"))?;
        for segment in std::iter::once("all").chain(segments.iter().map(String::as_str)) {
            let Some(value) = segment_value(segment, subject, &facts.available) else { continue };
            let segment = Arc::from(segment);
            group.sums(&measures, &segment, &value, &mut rows)?;
            group.durations(&measures, &segment, &value, &mut rows)?;
        }
    }
    // The columns may be there and still hold nothing to count, such as answers on a scale that nobody was asked on.
    computed.retain(|id: &String| {
        let has_rows = rows
            .kpi
            .iter()
            .any(|kpi| kpi.strip_prefix(id.as_str()).is_some_and(|rest| rest.is_empty() || rest.starts_with('_')));
        if !has_rows {
            not_computable.push((id.clone(), vec!["rows to count".to_owned()]));
        }
        has_rows
    });
    let missed = rows.missed();
    Ok(Counted { frame: rows.into_frame()?, computed, not_computable, missed })
}

/// First days of the week (Monday) and month of `_day`, as day numbers.
fn period_starts() -> [Expr; 2] {
    let date = col("_day").cast(DataType::Date);
    [
        // 1970-01-01 was a Thursday.
        (col("_day") - ((col("_day") + lit(3)) % lit(7) + lit(7)) % lit(7)).cast(DataType::Int32).alias("_week"),
        (col("_day") - (date.dt().day().cast(DataType::Int32) - lit(1))).cast(DataType::Int32).alias("_month"),
    ]
}

struct Group<'a> {
    days: &'a DataFrame,
    basis: Arc<str>,
    clock: Clock,
    targets: Option<&'a TargetPack>,
    version: Option<Arc<str>>,
    last: Option<i32>,
}

impl Group<'_> {
    /// Sums of counts and ratios: by day first, then merged.
    fn sums(&self, measures: &[&Measure], segment: &Arc<str>, value: &Expr, rows: &mut Rows) -> Result<()> {
        let stage = "KPI sums";
        let counted: Vec<&Measure> =
            measures.iter().copied().filter(|m| !matches!(m.shape, Shape::Duration { .. })).collect();
        if counted.is_empty() {
            return Ok(());
        }
        let names = (0..counted.len()).flat_map(|n| [format!("a{n}"), format!("b{n}")]);
        let values: Vec<Expr> = names.zip(row_values(&counted)).map(|(name, value)| value.alias(name)).collect();
        let daily = self
            .days
            .clone()
            .lazy()
            .with_column(value.clone().alias("_segment"))
            .with_columns(values)
            .group_by([col("_day"), col("_week"), col("_month"), col("_segment")])
            .agg(
                (0..counted.len())
                    .flat_map(|n| [col(format!("a{n}")).sum(), col(format!("b{n}")).sum()])
                    .collect::<Vec<_>>(),
            )
            .sort(["_day", "_segment"], SortMultipleOptions::default())
            .collect()
            .map_err(Error::frames(stage))?;
        let ints = |name: &str| -> Result<Vec<i64>> {
            let column = daily.column(name).and_then(|c| c.cast(&DataType::Int64)).map_err(Error::frames(stage))?;
            Ok(column.i64().map_err(Error::frames(stage))?.iter().map(|v| v.unwrap_or(0)).collect())
        };
        let names = shared(&daily).map_err(Error::frames(stage))?;
        let starts = [ints("_day")?, ints("_week")?, ints("_month")?];
        for (n, measure) in counted.iter().enumerate() {
            let (above, below) = (ints(&format!("a{n}"))?, ints(&format!("b{n}"))?);
            let mut merged: BTreeMap<Place, (i64, i64)> = BTreeMap::new();
            for (at, name) in names.iter().enumerate() {
                for (grain, name_of_grain) in GRAINS.into_iter().enumerate() {
                    let start = starts.get(grain).and_then(|s| s.get(at)).and_then(|d| i32::try_from(*d).ok());
                    let place = (name_of_grain, start, Arc::clone(segment), Arc::clone(name));
                    let sum = merged.entry(place).or_default();
                    sum.0 += above[at];
                    sum.1 += below[at];
                }
            }
            let id = Arc::from(measure.id);
            for (place, (above, below)) in merged {
                self.row(measure, &id, place, above, below, rows);
            }
        }
        Ok(())
    }

    fn row(&self, measure: &Measure, id: &Arc<str>, place: Place, above: i64, below: i64, rows: &mut Rows) {
        let total = matches!(measure.shape, Shape::Total(_));
        if below == 0 {
            return;
        }
        let value = measure.unit.of_sums(above, (!total).then_some(below), self.clock.base_exponent);
        let interval = match measure.shape {
            Shape::Proportion { .. } => wilson95(above, below),
            _ => None,
        };
        rows.push(self, measure, id, place, Some(above), (!total).then_some(below), value, interval);
    }

    /// Durations: quantiles, mean and the share still open; all measures of a grain in one pass over narrow columns.
    fn durations(&self, measures: &[&Measure], segment: &Arc<str>, value: &Expr, rows: &mut Rows) -> Result<()> {
        let stage = || Error::frames("KPI durations");
        let mut columns = vec![value.clone().alias("_segment"), col("_day"), col("_week"), col("_month")];
        let mut sums = Vec::new();
        let mut timed = Vec::new();
        for measure in measures {
            let Shape::Duration { from, to, ended } = &measure.shape else { continue };
            let (from, to) = (*from, *to);
            let n = timed.len();
            let length = micros(to) - micros(from);
            let begun = col(from).is_not_null();
            let open = begun.clone().and(col(to).is_null()).and(ended.clone().not());
            columns.extend([
                when(length.clone().gt_eq(lit(0)))
                    .then(length)
                    .otherwise(lit(NULL))
                    .cast(DataType::Int64)
                    .alias(format!("length{n}")),
                open.fill_null(lit(false)).alias(format!("open{n}")),
                begun.alias(format!("begun{n}")),
            ]);
            let length = || col(format!("length{n}"));
            let seconds = || length().cast(DataType::Float64) / lit(SECOND as f64);
            let count = |name: &str| col(format!("{name}{n}")).sum().cast(DataType::Int64).alias(format!("{name}{n}"));
            sums.extend([
                seconds().quantile(lit(0.5), QuantileMethod::Linear).alias(format!("p50{n}")),
                seconds().quantile(lit(0.9), QuantileMethod::Linear).alias(format!("p90{n}")),
                length().sum().alias(format!("sum{n}")),
                length().count().cast(DataType::Int64).alias(format!("passed{n}")),
                count("open"),
                count("begun"),
            ]);
            timed.push(*measure);
        }
        if timed.is_empty() {
            return Ok(());
        }
        let narrow = self.days.clone().lazy().select(columns).collect().map_err(stage())?;
        for (grain, start) in GRAINS.into_iter().zip(["_day", "_week", "_month", ""]) {
            let start = if start.is_empty() { lit(NULL).cast(DataType::Int32) } else { col(start) };
            let found = narrow
                .clone()
                .lazy()
                .with_column(start.alias("_start"))
                .group_by([col("_start"), col("_segment")])
                .agg(sums.clone())
                .sort(["_start", "_segment"], SortMultipleOptions::default())
                .collect()
                .map_err(stage())?;
            for (n, measure) in timed.iter().enumerate() {
                self.duration_rows(measure, n, grain, segment, &found, rows)?;
            }
        }
        Ok(())
    }

    fn duration_rows(
        &self,
        measure: &Measure,
        n: usize,
        grain: &'static str,
        segment: &Arc<str>,
        found: &DataFrame,
        rows: &mut Rows,
    ) -> Result<()> {
        let stage = || Error::frames("KPI durations");
        let starts = found.column("_start").and_then(|c| c.i32().cloned()).map_err(stage())?;
        let names = shared(found).map_err(stage())?;
        let id = |suffix: &str| Arc::<str>::from(format!("{}_{suffix}", measure.id));
        let ids = [id("p50"), id("p90"), id("mean"), id("open_share")];
        let share_of = Measure { unit: Unit::Share, ..measure.clone() };
        let float = |name: &str| found.column(&format!("{name}{n}")).and_then(|c| c.f64().cloned()).map_err(stage());
        let int = |name: &str| found.column(&format!("{name}{n}")).and_then(|c| c.i64().cloned()).map_err(stage());
        let (p50, p90, sum, passed, open, begun) =
            (float("p50")?, float("p90")?, int("sum")?, int("passed")?, int("open")?, int("begun")?);
        for (at, name) in names.iter().enumerate() {
            let place = || (grain, starts.get(at), Arc::clone(segment), Arc::clone(name));
            let n = passed.get(at).unwrap_or(0);
            if n > 0 {
                for (id, seconds) in [(&ids[0], p50.get(at)), (&ids[1], p90.get(at))] {
                    if let Some(seconds) = seconds {
                        rows.push(self, measure, id, place(), None, Some(n), measure.unit.of_seconds(seconds), None);
                    }
                }
                // Whole seconds: the numerator is exact, and exports carry no finer times.
                let total = sum.get(at).unwrap_or(0);
                let mean = measure.unit.of_seconds(total as f64 / n as f64 / SECOND as f64);
                rows.push(self, measure, &ids[2], place(), Some(total / SECOND), Some(n), mean, None);
            }
            if let (Some(open), Some(begun)) = (open.get(at), begun.get(at).filter(|n| *n > 0)) {
                let share = open as f64 / begun as f64;
                rows.push(self, &share_of, &ids[3], place(), Some(open), Some(begun), share, wilson95(open, begun));
            }
        }
        Ok(())
    }

    /// Whether late events can no longer move a period much: its end and the maturity lie before the run's clock.
    fn mature(&self, grain: &str, start: Option<i32>, days: i64) -> bool {
        let first = start.or(self.last).and_then(date_of);
        let end = first.and_then(|first| match grain {
            "week" => first.checked_add_days(Days::new(7)),
            "month" => first.with_day(1).and_then(|d| d.checked_add_months(Months::new(1))),
            _ => first.checked_add_days(Days::new(1)),
        });
        end.is_some_and(|end: NaiveDate| day_start(end, self.clock.zone) + days * DAY <= self.clock.as_of)
    }
}

/// What each row adds above and below the line, in the order `a0, b0, a1, b1, …`.
fn row_values(measures: &[&Measure]) -> Vec<Expr> {
    let whole = |e: Expr| e.cast(DataType::Int64).fill_null(lit(0_i64));
    let mut values = Vec::with_capacity(2 * measures.len());
    for measure in measures {
        let (above, below) = match &measure.shape {
            // How many rows had a value: a sum over none of them is unknown, not zero.
            Shape::Total(sum) => (whole(sum.clone()), whole(sum.clone().is_not_null())),
            Shape::Proportion { hit, trial } => (whole(hit.clone().and(trial.clone())), whole(trial.clone())),
            Shape::Ratio { above, below } => (whole(above.clone()), whole(below.clone())),
            Shape::Duration { .. } => continue,
        };
        values.extend([above, below]);
    }
    values
}

/// Segment values of a grouped frame; equal ones share their text, since a shop has few and rows are many.
fn shared(frame: &DataFrame) -> PolarsResult<Vec<Arc<str>>> {
    let column = frame.column("_segment")?.str()?;
    let mut known: HashMap<&str, Arc<str>> = HashMap::new();
    let shared = column.iter().map(|name| {
        let name = name.unwrap_or("(none)");
        Arc::clone(known.entry(name).or_insert_with(|| Arc::from(name)))
    });
    Ok(shared.collect())
}

fn texts<'a>(name: &str, values: impl Iterator<Item = Option<&'a str>>) -> Column {
    values.collect::<StringChunked>().with_name(name.into()).into_column()
}

/// Output rows by column.
#[derive(Default)]
struct Rows {
    grain: Vec<&'static str>,
    period_start: Vec<Option<i32>>,
    basis: Vec<Arc<str>>,
    segment: Vec<Arc<str>>,
    segment_value: Vec<Arc<str>>,
    kpi: Vec<Arc<str>>,
    numerator: Vec<Option<i64>>,
    denominator: Vec<Option<i64>>,
    value: Vec<f64>,
    lower: Vec<Option<f64>>,
    upper: Vec<Option<f64>>,
    unit: Vec<&'static str>,
    target: Vec<Option<f64>>,
    breach: Vec<Option<bool>>,
    mature: Vec<bool>,
    targets_version: Vec<Option<Arc<str>>>,
}

impl Rows {
    #[expect(clippy::too_many_arguments, reason = "one argument a column of the row")]
    fn push(
        &mut self,
        group: &Group<'_>,
        measure: &Measure,
        id: &Arc<str>,
        (grain, start, segment, segment_value): Place,
        numerator: Option<i64>,
        denominator: Option<i64>,
        value: f64,
        interval: Option<(f64, f64)>,
    ) {
        let target = group.targets.and_then(|pack| pack.of(id));
        self.mature.push(group.mature(grain, start, measure.matures_after_days));
        self.grain.push(grain);
        self.period_start.push(start);
        self.basis.push(Arc::clone(&group.basis));
        self.segment.push(segment);
        self.segment_value.push(segment_value);
        self.kpi.push(Arc::clone(id));
        self.numerator.push(numerator);
        self.denominator.push(denominator);
        self.value.push(value);
        self.lower.push(interval.map(|i| i.0));
        self.upper.push(interval.map(|i| i.1));
        self.unit.push(measure.unit.name());
        self.target.push(target.map(|t| t.value));
        self.breach.push(target.map(|t| t.op.breached(value, t.value)));
        self.targets_version.push(target.and(group.version.clone()));
    }

    /// KPIs whose latest mature month of the whole misses its target.
    fn missed(&self) -> Vec<(String, f64, f64)> {
        let mut latest: BTreeMap<&str, (Option<i32>, usize)> = BTreeMap::new();
        for at in 0..self.kpi.len() {
            if self.grain[at] == "month" && &*self.segment[at] == "all" && self.mature[at] && self.breach[at].is_some()
            {
                let entry = latest.entry(&self.kpi[at]).or_insert((self.period_start[at], at));
                if self.period_start[at] >= entry.0 {
                    *entry = (self.period_start[at], at);
                }
            }
        }
        latest
            .into_iter()
            .filter(|(_, (_, at))| self.breach[*at] == Some(true))
            .filter_map(|(kpi, (_, at))| Some((kpi.to_owned(), self.value[at], self.target[at]?)))
            .collect()
    }

    fn into_frame(self) -> Result<DataFrame> {
        let starts = Column::new("period_start".into(), self.period_start)
            .cast(&DataType::Date)
            .map_err(Error::frames("KPI rows"))?;
        let columns = vec![
            Column::new("grain".into(), self.grain),
            starts,
            texts("basis", self.basis.iter().map(|t| Some(&**t))),
            texts("segment", self.segment.iter().map(|t| Some(&**t))),
            texts("segment_value", self.segment_value.iter().map(|t| Some(&**t))),
            texts("kpi", self.kpi.iter().map(|t| Some(&**t))),
            Column::new("numerator".into(), self.numerator),
            Column::new("denominator".into(), self.denominator),
            Column::new("value".into(), self.value),
            Column::new("lower".into(), self.lower),
            Column::new("upper".into(), self.upper),
            Column::new("unit".into(), self.unit),
            Column::new("target".into(), self.target),
            Column::new("breach".into(), self.breach),
            Column::new("mature".into(), self.mature),
            texts("targets_version", self.targets_version.iter().map(Option::as_deref)),
        ];
        DataFrame::new_infer_height(columns).map_err(Error::frames("KPI rows"))
    }
}
