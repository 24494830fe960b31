//! The columns of `model_monitor`.

use super::words::Current;
use super::{Calendar, Model};
use crate::error::{Error, Result};
use crate::risk::monitor::Finding;
use crate::risk::monitor::period::{Performance, Rate};
use polars::prelude::*;

/// One row of the table before it is cut into columns.
struct Row<'a> {
    model: &'a Model,
    period: &'a Calendar,
    finding: &'a Finding,
    is_current: bool,
}

/// The table: one row per model, period and feature; the score is a feature called `score`, and its rows alone say what
/// became of the orders. What cannot be said is null: counts and shares of labels where none is ripe, indices where the
/// model kept no reference.
pub(super) fn frame(models: &[Model]) -> Result<DataFrame> {
    let stage = || Error::frames("model_monitor");
    let mut rows = Vec::new();
    for model in models {
        let current = Current::of(model);
        rows.extend(model.findings.iter().filter(|finding| finding.rows > 0).map(|finding| Row {
            model,
            period: &model.periods[finding.period],
            finding,
            is_current: current.level(finding).is_some(),
        }));
    }
    let starts = Column::new("period_start".into(), rows.iter().map(|row| row.period.start).collect::<Vec<_>>());
    let text = |name: &str, pick: &dyn Fn(&Row<'_>) -> Option<String>| {
        Column::new(name.into(), rows.iter().map(pick).collect::<Vec<Option<String>>>())
    };
    let flag = |name: &str, pick: &dyn Fn(&Row<'_>) -> Option<bool>| {
        Column::new(name.into(), rows.iter().map(pick).collect::<Vec<_>>())
    };
    let number = |name: &str, pick: &dyn Fn(&Row<'_>) -> Option<f64>| {
        Column::new(name.into(), rows.iter().map(pick).collect::<Vec<_>>())
    };
    let of_score = |name: &str, pick: &dyn Fn(&Performance) -> Option<f64>| {
        number(name, &|row| row.finding.performance.as_ref().and_then(pick))
    };
    let count_of_score = |name: &str, pick: &dyn Fn(&Performance) -> i64| {
        let values: Vec<Option<i64>> = rows.iter().map(|row| row.finding.performance.as_ref().map(pick)).collect();
        Column::new(name.into(), values)
    };
    let gravest = |row: &Row<'_>| row.finding.alerts.first().map(|alert| alert.level.name().to_owned());
    let texts = |row: &Row<'_>| {
        let texts: Vec<&str> = row.finding.alerts.iter().map(|alert| alert.text.as_str()).collect();
        (!texts.is_empty()).then(|| texts.join("; "))
    };
    let mut columns = vec![
        text("target", &|row| Some(row.model.target.to_string())),
        text("model", &|row| Some(row.model.version.clone())),
        text("role", &|row| Some(row.model.role.name().to_owned())),
        text("grain", &|row| Some(row.period.grain.to_owned())),
        starts.cast(&DataType::Date).map_err(stage())?,
        flag("whole", &|row| row.period.start.map(|_| row.period.is_whole)),
        text("feature", &|row| Some(row.finding.feature.map_or("score".to_owned(), |at| row.model.names[at].clone()))),
        Column::new("scored".into(), rows.iter().map(|row| row.finding.rows).collect::<Vec<_>>()),
        number("psi", &|row| row.finding.learnt.or(row.finding.tested).map(|shift| shift.psi)),
        number("psi_expected", &|row| row.finding.learnt.or(row.finding.tested).map(|shift| shift.expected)),
        number("psi_tested", &|row| row.finding.tested.map(|shift| shift.psi)),
        number("psi_tested_expected", &|row| row.finding.tested.map(|shift| shift.expected)),
        number("psi_usual", &|row| row.finding.usual),
        number("missing_share", &|row| row.finding.missing.share()),
        number("missing_share_learnt", &|row| row.finding.missing_learnt),
    ];
    type Pick = fn(&Performance) -> Rate;
    let rates: [(&str, &str, &str, Pick); 6] = [
        ("flagged", "flaggable", "flag", |p| p.flagged),
        ("acted", "decided", "action", |p| p.acted),
        ("flagged_positive", "flagged_mature", "precision", |p| p.precision),
        ("control_positive", "control_mature", "control_precision", |p| p.control),
        ("desk_positive", "desk_decided", "desk_precision", |p| p.desk),
        ("positive", "mature", "observed", |p| p.observed),
    ];
    for (hits, of, name, pick) in rates {
        columns.push(count_of_score(hits, &move |p| pick(p).hits));
        columns.push(count_of_score(of, &move |p| pick(p).of));
        let share = if name.contains("precision") { name.to_owned() } else { format!("{name}_share") };
        columns.push(of_score(&share, &move |p| pick(p).share()));
        // Shares of flags and actions are what was done, not an estimate of anything.
        if !["flag", "action"].contains(&name) {
            columns.push(of_score(&format!("{name}_lower"), &move |p| pick(p).interval().map(|(low, _)| low)));
            columns.push(of_score(&format!("{name}_upper"), &move |p| pick(p).interval().map(|(_, high)| high)));
        }
    }
    columns.extend([
        count_of_score("flagged_not_mature", &|p| p.flagged_not_mature),
        of_score("predicted_share", &|p| p.predicted),
        of_score("calibration_error", &|p| p.calibration_error),
        text("alert", &gravest),
        text("alert_text", &texts),
        flag("current", &|row| (!row.finding.alerts.is_empty()).then_some(row.is_current)),
        text("note", &|row| row.model.note.clone()),
    ]);
    DataFrame::new_infer_height(columns).map_err(stage())
}
