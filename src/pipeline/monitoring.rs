//! The table `model_monitor`: champions and challengers watched on the orders they did not learn from.

use super::challengers::{Challengers, Shadows};
use super::review::decided;
use super::scores::{Scores, costs};
use super::scoring::{Examples, Scored};
use crate::config::{MonitorGrain, Pipeline};
use crate::decision::{Action, Case, Verdict, decide};
use crate::error::{Error, Result};
use crate::features::Features;
use crate::ingest::Ingested;
use crate::registry::{Registered, Registry};
use crate::risk::Target;
use crate::risk::monitor::period::Judged;
use crate::risk::monitor::{Finding, Period, Thresholds, Watched, watch};
use crate::types::time::{date_of, days_since_epoch, local_day};
use chrono::{Datelike, Days, Months};
use polars::prelude::*;
use std::collections::BTreeMap;

mod table;
mod words;

/// The models of a run and what they said.
pub(super) struct Service<'a> {
    pub(super) fraud: &'a Scored,
    pub(super) returned: &'a Scored,
    pub(super) challengers: &'a Challengers,
    pub(super) shadows: &'a Shadows,
}

/// What the monitor found.
pub(super) struct Monitored {
    /// The `model_monitor` table.
    pub(super) frame: DataFrame,
    /// What is current, gravest first, then what cannot be watched and why.
    pub(super) words: Vec<String>,
    /// Current alarms of champions.
    pub(super) alarms: usize,
}

/// One model with all that was found of it.
struct Model {
    target: Target,
    role: Role,
    version: String,
    /// Features in the order of [`Finding::feature`].
    names: Vec<String>,
    periods: Vec<Calendar>,
    findings: Vec<Finding>,
    /// Why something of it cannot be watched.
    note: Option<String>,
}

/// What a model is there for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Role {
    Champion,
    Challenger,
}

impl Role {
    fn name(self) -> &'static str {
        match self {
            Self::Champion => "champion",
            Self::Challenger => "challenger",
        }
    }
}

/// A period by the calendar of the pipeline's zone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Calendar {
    grain: &'static str,
    /// Its first day; `None` for the whole time.
    start: Option<i32>,
    /// Whether it lies after what the model learnt from and before the run's clock with all its days, and orders came
    /// up to its end.
    is_whole: bool,
}

/// What was done with one order, or would have been.
#[derive(Debug, Clone, Copy)]
struct Course {
    flagged: Option<bool>,
    acted: Option<bool>,
    control: bool,
}

impl Course {
    fn flag(flagged: Option<bool>) -> Self {
        Self { flagged, acted: None, control: false }
    }

    fn of(verdict: &Verdict) -> Self {
        Self {
            flagged: verdict.fraud_flag,
            acted: Some(verdict.action != Action::Approve),
            control: verdict.control == Some(true),
        }
    }
}

/// Watches the models of a run.
///
/// A model is measured on orders placed after the last one it learnt from, with the scores of this run: features are of
/// what was known when an order was placed, so the same version gave the same score then, unless the input was
/// corrected since. Outcomes are those ripe at the run's clock.
///
/// # Errors
/// [`Error::Model`] when a version's record cannot be read.
pub(super) fn monitor(
    pipeline: &Pipeline,
    ingested: &Ingested,
    features: &Features,
    registry: &Registry,
    service: &Service<'_>,
    scores: &Scores,
    as_of: i64,
) -> Result<Monitored> {
    let desk = desk(ingested)?;
    let mut models = Vec::new();
    for (target, champion) in Target::ALL.into_iter().zip([service.fraud, service.returned]) {
        let examples = Examples::of(target, features);
        let by_desk = if target == Target::Fraud { desk.as_slice() } else { &[] };
        let watcher = Watcher { pipeline, target, examples: &examples, by_desk, registry, as_of };
        if let Scored::Present { model, probabilities } = champion {
            let course = |row: usize| match target {
                Target::Fraud => Course::of(&scores.verdicts[row]),
                Target::Return => Course::flag(scores.return_flags[row]),
            };
            models.push(watcher.watch(Role::Champion, model, probabilities, &course)?);
        }
        if let Some((model, probabilities)) = service.challengers.of(target).zip(service.shadows.of(target)) {
            // What it would have flagged in the champion's place. It acts on nothing.
            let verdicts = match target {
                Target::Fraud => decide(&as_if(&scores.cases, probabilities), &costs(pipeline)),
                Target::Return => Vec::new(),
            };
            let flag_at = pipeline.raw.risk.returns.as_ref().map_or(1.0, |r| r.flag_at);
            let course = |row: usize| match target {
                Target::Fraud => Course::flag(verdicts[row].fraud_flag),
                Target::Return => Course::flag(Some(probabilities[row] >= flag_at)),
            };
            models.push(watcher.watch(Role::Challenger, model, probabilities, &course)?);
        }
    }
    let (words, alarms) = words::words(&models);
    Ok(Monitored { frame: table::frame(&models)?, words, alarms })
}

/// Orders as they would be decided on with other probabilities.
fn as_if(cases: &[Case], probabilities: &[f64]) -> Vec<Case> {
    cases.iter().zip(probabilities).map(|(case, &p)| Case { fraud: Some(p), ..*case }).collect()
}

/// What the desk decided on each order: fraud or not; `None` where it did not say.
fn desk(ingested: &Ingested) -> Result<Vec<Option<bool>>> {
    let stage = || Error::frames("review decisions");
    let orders = ingested.tables.get("orders").cloned().unwrap_or_default();
    let ids = orders.column("order_id").and_then(|c| c.str().cloned()).map_err(stage())?;
    let ids: Vec<String> = ids.iter().map(|id| id.unwrap_or_default().to_owned()).collect();
    let said = decided(&ids, ingested.tables.get("review_decisions"))?;
    let said = said.cast(&DataType::String).map_err(stage())?;
    let word = |word: Option<&str>| match word {
        Some("fraud") => Some(true),
        Some("legit") => Some(false),
        _ => None,
    };
    Ok(said.str().map_err(stage())?.iter().map(word).collect())
}

/// What the models of one target are watched on.
struct Watcher<'a> {
    pipeline: &'a Pipeline,
    target: Target,
    examples: &'a Examples<'a>,
    /// What the desk decided on each row; empty where it decides on other things.
    by_desk: &'a [Option<bool>],
    registry: &'a Registry,
    as_of: i64,
}

impl Watcher<'_> {
    fn watch(
        &self,
        role: Role,
        model: &Registered,
        probabilities: &[f64],
        course: &dyn Fn(usize) -> Course,
    ) -> Result<Model> {
        let watching = self.registry.watching(self.target, &model.version)?;
        let Examples { matrix, placed_at, outcomes } = self.examples;
        // Without a record of what it learnt from no order is known to be new to it.
        let since = watching.learnt_until.unwrap_or(i64::MAX);
        let rows: Vec<usize> = (0..placed_at.len()).filter(|&row| placed_at[row] > since).collect();
        let labels = outcomes.ripe_labels();
        let judge = |&row: &usize| {
            let Course { flagged, acted, control } = course(row);
            let decided = self.by_desk.get(row).copied().flatten();
            Judged { probability: probabilities[row], flagged, acted, control, label: labels[row], decided }
        };
        let judged: Vec<Judged> = rows.iter().map(judge).collect();
        let (periods, calendar) = self.periods(&rows, since);
        let watched = Watched { matrix, rows: &rows, judged: &judged, periods: &periods };
        let findings = watch(&watched, watching.reference.as_ref().ok(), &self.thresholds());
        let note = match (watching.learnt_until, watching.reference, rows.is_empty()) {
            (None, ..) => Some("cannot be watched: its `metrics.json` does not say what it learnt from".to_owned()),
            (_, _, true) => Some("learnt from orders as late as the last: none is left to watch it on".to_owned()),
            (_, Err(why), _) => Some(format!("is watched without PSI: {why}; train again to have one")),
            _ => None,
        };
        Ok(Model {
            target: self.target,
            role,
            version: model.version.clone(),
            names: matrix.names.clone(),
            periods: calendar,
            findings,
            note,
        })
    }

    fn thresholds(&self) -> Thresholds {
        let set = &self.pipeline.raw.monitor;
        Thresholds {
            psi_watch: set.psi_watch,
            psi_alert: set.psi_alert,
            missing_change: set.missing_change,
            calibration_watch: set.calibration_watch,
            calibration_alert: set.calibration_alert,
            min_precision: set.min_precision,
            max_flag_share: set.max_flag_share,
            chance: set.chance,
        }
    }

    /// The whole time and the periods within it, oldest first, with the rows of each.
    fn periods(&self, rows: &[usize], since: i64) -> (Vec<Period>, Vec<Calendar>) {
        let zone = self.pipeline.zone;
        let day = |at: i64| local_day(at, zone).unwrap_or_default();
        let grain = self.pipeline.raw.monitor.grain;
        let mut places: BTreeMap<i32, Vec<usize>> = BTreeMap::new();
        for (place, &row) in rows.iter().enumerate() {
            places.entry(first_day(grain, day(self.examples.placed_at[row]))).or_default().push(place);
        }
        let last = rows.iter().map(|&row| self.examples.placed_at[row]).max().map_or(i32::MIN, day);
        let until = day(self.as_of).min(last.saturating_add(1));
        let whole = Calendar { grain: "all", start: None, is_whole: false };
        let (mut periods, mut calendar) =
            (vec![Period { places: (0..rows.len()).collect(), judged: false }], vec![whole]);
        for (start, places) in places {
            let is_whole = start > day(since) && day_after(grain, start) <= until;
            periods.push(Period { places, judged: is_whole });
            let grain = match grain {
                MonitorGrain::Week => "week",
                MonitorGrain::Month => "month",
            };
            calendar.push(Calendar { grain, start: Some(start), is_whole });
        }
        (periods, calendar)
    }
}

/// First day of the period a day lies in.
fn first_day(grain: MonitorGrain, day: i32) -> i32 {
    match grain {
        // 1970-01-01 was a Thursday.
        MonitorGrain::Week => day - (day + 3).rem_euclid(7),
        MonitorGrain::Month => date_of(day).and_then(|date| date.with_day(1)).map_or(day, days_since_epoch),
    }
}

/// First day after the period that begins on a day.
fn day_after(grain: MonitorGrain, start: i32) -> i32 {
    let next = date_of(start).and_then(|date| match grain {
        MonitorGrain::Week => date.checked_add_days(Days::new(7)),
        MonitorGrain::Month => date.checked_add_months(Months::new(1)),
    });
    next.map_or(i32::MAX, days_since_epoch)
}

#[cfg(test)]
mod tests {
    use super::*;
    use chrono::NaiveDate;

    #[test]
    fn weeks_begin_on_mondays_and_months_on_their_first() {
        let day = |text: &str| days_since_epoch(text.parse::<NaiveDate>().unwrap());
        let cases = [
            (MonitorGrain::Week, "2025-12-28", "2025-12-22", "2025-12-29"),
            (MonitorGrain::Week, "2025-12-29", "2025-12-29", "2026-01-05"),
            (MonitorGrain::Week, "1969-12-28", "1969-12-22", "1969-12-29"),
            (MonitorGrain::Month, "2024-02-29", "2024-02-01", "2024-03-01"),
            (MonitorGrain::Month, "2025-12-31", "2025-12-01", "2026-01-01"),
        ];
        for (grain, within, start, next) in cases {
            assert_eq!(first_day(grain, day(within)), day(start), "{within}");
            assert_eq!(day_after(grain, day(start)), day(next), "{within}");
        }
    }
}
