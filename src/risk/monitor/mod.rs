//! Models watched in service: whether orders still look as they did when a model learnt, and whether it still is right.
//!
//! ```text
//! training ─ Reference (counts by bin) ─┐
//! orders it did not learn from, by week ┴─ Shift of each feature and of the score ─┐
//!                    what became of them ─ Performance ────────────────────────────┴─ alerts
//! ```
//!
//! Only orders placed after the last one a model learnt from are looked at: of its own examples a model is always right.
//!
//! An alert has to pass two thresholds. One is of size: an index, a ratio, a difference that matters. One is of chance: with
//! few orders every measure moves by itself, and with a hundred features a week some do every week. So [`Thresholds::chance`]
//! is what all comparisons of a model may together give of false alarms, and each has its equal part (Bonferroni). Orders
//! are taken as independent, which those of one customer are not; the threshold of size covers that in practice.

pub mod bins;
pub mod period;
pub mod reference;

use rayon::prelude::*;

use crate::features::matrix::Matrix;
use crate::types::interval::{normal_upper, wilson};
use bins::Shift;
use period::{Judged, Performance, Rate};
use reference::{Binned, Reference};

/// How many times as far as any week a model was made from a period has to lie for an alarm.
///
/// Twice: what moves by itself, such as a rate that all orders of a country share, has moved within a training as it
/// does afterwards. Such a feature then says nothing through its index; the score has what matters of it.
const TIMES_USUAL: f64 = 2.0;

/// From where on something is worth a word.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Thresholds {
    /// Population stability index, above what chance is expected to give, that is worth a look.
    pub psi_watch: f64,
    /// The same that is worth an alarm.
    pub psi_alert: f64,
    /// Difference in the share of missing values that is worth an alarm.
    pub missing_change: f64,
    /// How many times the observed rate may be the predicted one, or the other way round, before it is worth a look.
    pub calibration_watch: f64,
    /// The same that is worth an alarm.
    pub calibration_alert: f64,
    /// Precision of flags below which there is an alarm.
    pub min_precision: Option<f64>,
    /// Share of flagged orders above which there is an alarm.
    pub max_flag_share: Option<f64>,
    /// Chance of any false alarm of one model in one run.
    pub chance: f64,
}

/// How grave it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Worth a look.
    Watch,
    /// An alarm.
    Alert,
}

impl Level {
    /// Its name in the output.
    pub fn name(self) -> &'static str {
        match self {
            Self::Watch => "watch",
            Self::Alert => "alert",
        }
    }
}

/// Something to say about a model.
#[derive(Debug, Clone, PartialEq)]
pub struct Alert {
    /// How grave it is.
    pub level: Level,
    /// Whether it is about outcomes, which are ripe long after the orders came.
    pub of_outcomes: bool,
    /// What was found, against what.
    pub text: String,
}

/// Rows of one period.
#[derive(Debug, Clone, PartialEq)]
pub struct Period {
    /// Their places among the watched rows.
    pub places: Vec<usize>,
    /// Whether alarms are raised: half a week has its own weekdays, and so its own features.
    pub judged: bool,
}

/// What is watched: rows a model did not learn from.
#[derive(Debug)]
pub struct Watched<'a> {
    /// Features of all orders (or lines).
    pub matrix: &'a Matrix,
    /// The watched rows of it.
    pub rows: &'a [usize],
    /// What is said of each of them.
    pub judged: &'a [Judged],
    /// Periods over them; one may hold what another holds too.
    pub periods: &'a [Period],
}

/// What the monitor says of one number in one period.
#[derive(Debug, Clone, PartialEq)]
pub struct Finding {
    /// The period, from 0.
    pub period: usize,
    /// The feature; `None` for the score.
    pub feature: Option<usize>,
    /// Rows looked at.
    pub rows: i64,
    /// Against what was learnt from; `None` for the score, and without a reference.
    pub learnt: Option<Shift>,
    /// Against the test slice; `None` without a reference.
    pub tested: Option<Shift>,
    /// The farthest that a week lay of those the model was made from, see [`Binned::usual`].
    pub usual: Option<f64>,
    /// Rows without a value.
    pub missing: Rate,
    /// Share of rows without a value in what was learnt from.
    pub missing_learnt: Option<f64>,
    /// What became of the rows; of the score alone.
    pub performance: Option<Performance>,
    /// Gravest first.
    pub alerts: Vec<Alert>,
}

/// Watches a model: for every period one finding of the score, then one of each feature.
///
/// Without a reference there are no indices; the rest is there.
pub fn watch(watched: &Watched<'_>, reference: Option<&Reference>, thresholds: &Thresholds) -> Vec<Finding> {
    let judged = watched.periods.iter().filter(|period| period.judged).count();
    // Of a feature the index and what is missing; of the score the index, calibration, precision and flags.
    let comparisons = judged * (2 * watched.matrix.width() + 4);
    let tail = thresholds.chance / comparisons.max(1) as f64;
    let features: Vec<Vec<Finding>> = (0..watched.matrix.width())
        .into_par_iter()
        .map(|feature| {
            // By name: a model refuses other features, but a reference is a file of its own.
            let name = &watched.matrix.names[feature];
            let binned = reference.and_then(|r| r.features.iter().find(|binned| binned.name == *name));
            // What no example had, or the pipeline kept from the model, it does not look at now either.
            let binned = binned.filter(|binned| binned.missing(&binned.learnt).is_some_and(|share| share < 1.0));
            let column = watched.matrix.column(feature);
            let find = |at| of_feature(watched, at, (feature, column), binned, (thresholds, tail));
            (0..watched.periods.len()).map(find).collect()
        })
        .collect();
    let mut findings = Vec::with_capacity(watched.periods.len() * (1 + features.len()));
    for at in 0..watched.periods.len() {
        findings.push(of_score(watched, at, reference.map(|r| &r.score), (thresholds, tail)));
        findings.extend(features.iter().map(|periods| periods[at].clone()));
    }
    findings
}

fn of_feature(
    watched: &Watched<'_>,
    at: usize,
    (feature, column): (usize, &[f64]),
    binned: Option<&Binned>,
    (thresholds, tail): (&Thresholds, f64),
) -> Finding {
    let period = &watched.periods[at];
    let values = || period.places.iter().map(|&place| column[watched.rows[place]]);
    let missing = Rate { hits: values().filter(|v| v.is_nan()).count() as i64, of: period.places.len() as i64 };
    let counts = binned.map(|binned| binned.edges.count(values()));
    let against =
        |of: fn(&Binned) -> &Vec<u64>| binned.zip(counts.as_ref()).and_then(|(b, c)| Shift::between(of(b), c));
    let (learnt, tested) = (against(|b| &b.learnt), against(|b| &b.tested));
    let usual = binned.map(|binned| binned.usual);
    let missing_learnt = binned.and_then(|binned| binned.missing(&binned.learnt));
    let mut alerts = Vec::new();
    if period.judged {
        alerts.extend(shifted(learnt, tested, usual.unwrap_or(0.0), (thresholds, tail)));
        let missing_tested = binned.and_then(|binned| binned.missing(&binned.tested));
        alerts.extend(gone(missing, missing_learnt.zip(missing_tested), thresholds, tail));
    }
    alerts.sort_by_key(|alert| std::cmp::Reverse(alert.level));
    let rows = period.places.len() as i64;
    Finding {
        period: at,
        feature: Some(feature),
        rows,
        learnt,
        tested,
        usual,
        missing,
        missing_learnt,
        performance: None,
        alerts,
    }
}

fn of_score(
    watched: &Watched<'_>,
    at: usize,
    binned: Option<&Binned>,
    (thresholds, tail): (&Thresholds, f64),
) -> Finding {
    let period = &watched.periods[at];
    let rows: Vec<Judged> = period.places.iter().map(|&place| watched.judged[place]).collect();
    let tested = binned
        .and_then(|binned| Shift::between(&binned.tested, &binned.edges.count(rows.iter().map(|row| row.probability))));
    let usual = binned.map(|binned| binned.usual);
    let performance = Performance::of(&rows);
    let mut alerts = Vec::new();
    if period.judged {
        alerts.extend(shifted(None, tested, usual.unwrap_or(0.0), (thresholds, tail)));
        alerts.extend(performing(&performance, thresholds, tail));
    }
    alerts.sort_by_key(|alert| std::cmp::Reverse(alert.level));
    Finding {
        period: at,
        feature: None,
        rows: rows.len() as i64,
        learnt: None,
        tested,
        usual,
        missing: Rate { hits: 0, of: rows.len() as i64 },
        missing_learnt: None,
        performance: Some(performance),
        alerts,
    }
}

/// An alarm about an index. A feature has to lie apart from what was learnt and from what was tested on: counts of
/// a customer's life grow while a shop is young, and a model that was tested on grown ones was shown to bear it. And
/// it has to lie [`TIMES_USUAL`] as far as any week did that the model was made from.
fn shifted(
    learnt: Option<Shift>,
    tested: Option<Shift>,
    usual: f64,
    (thresholds, tail): (&Thresholds, f64),
) -> Option<Alert> {
    let level = |shift: Shift| {
        let beyond = if shift.psi > shift.by_chance(tail) { shift.psi - shift.expected } else { 0.0 };
        if beyond >= thresholds.psi_alert {
            Some(Level::Alert)
        } else {
            (beyond >= thresholds.psi_watch).then_some(Level::Watch)
        }
    };
    let measured = learnt.or(tested)?;
    if measured.psi - measured.expected < TIMES_USUAL * usual {
        return None;
    }
    let tested_level = level(tested?)?;
    let level = learnt.map_or(Some(tested_level), |learnt| Some(level(learnt)?.min(tested_level)))?;
    let mut text = format!("PSI {:.2}", measured.psi);
    text += match learnt {
        Some(_) => " from what it learnt from",
        None => " from its test slice",
    };
    if let (Some(_), Some(tested)) = (learnt, tested) {
        text += &format!(", {:.2} from its test slice", tested.psi);
    }
    text += &format!(
        "; chance is expected to give {:.3}, the weeks it was made from lay up to {usual:.2} apart",
        measured.expected
    );
    Some(Alert { level, of_outcomes: false, text })
}

/// An alarm about values that are missing, or no longer are; against what was learnt and what was tested on.
fn gone(now: Rate, then: Option<(f64, f64)>, thresholds: &Thresholds, tail: f64) -> Option<Alert> {
    let (learnt, tested) = then?;
    let (share, (low, high)) = (now.share()?, wilson(now.hits, now.of, normal_upper(tail / 2.0))?);
    let far = |then: f64| (share - then).abs() >= thresholds.missing_change && !(low..=high).contains(&then);
    (far(learnt) && far(tested)).then(|| Alert {
        level: Level::Alert,
        of_outcomes: false,
        text: format!("missing in {:.1} % of orders, {:.1} % in what it learnt from", 100.0 * share, 100.0 * learnt),
    })
}

fn performing(found: &Performance, thresholds: &Thresholds, tail: f64) -> Vec<Alert> {
    let mut alerts = Vec::new();
    let interval = |rate: Rate| wilson(rate.hits, rate.of, normal_upper(tail / 2.0));
    if let (Some(predicted), Some(observed), Some((low, high))) =
        (found.predicted, found.observed.share(), interval(found.observed))
        && !(low..=high).contains(&predicted)
    {
        let times = (observed / predicted).max(predicted / observed);
        let level = if times >= thresholds.calibration_alert {
            Some(Level::Alert)
        } else {
            (times >= thresholds.calibration_watch).then_some(Level::Watch)
        };
        let text = format!(
            "{:.2} % were predicted and {:.2} % came about ({} of {})",
            100.0 * predicted,
            100.0 * observed,
            found.observed.hits,
            found.observed.of
        );
        alerts.extend(level.map(|level| Alert { level, of_outcomes: true, text }));
    }
    if let (Some(least), Some((_, high))) = (thresholds.min_precision, interval(found.precision))
        && high < least
    {
        let Rate { hits, of } = found.precision;
        let text = format!("{hits} of {of} flagged orders were right, at least {:.1} % are wanted", 100.0 * least);
        alerts.push(Alert { level: Level::Alert, of_outcomes: true, text });
    }
    if let (Some(most), Some((low, _))) = (thresholds.max_flag_share, interval(found.flagged))
        && low > most
    {
        let Rate { hits, of } = found.flagged;
        let text = format!("{hits} of {of} orders were flagged, at most {:.1} % are wanted", 100.0 * most);
        alerts.push(Alert { level: Level::Alert, of_outcomes: false, text });
    }
    alerts
}

#[cfg(test)]
mod tests;
