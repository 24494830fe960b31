//! Models in service: how right they are on orders they did not learn from, and what drifted.

use super::{absent, section as wrap, table};
use crate::report::data::Data;
use crate::report::watched::{Alarm, WatchedModel};
use crate::report::words::{Foreign, count, percent};

/// Models over the whole time since they learnt, and the alarms of the latest whole period. Nothing where no model is
/// watched: the section on risk says why there is none.
pub(super) fn section(data: &Data) -> String {
    let watched = &data.watched;
    if watched.models.is_empty() {
        return String::new();
    }
    let headings =
        ["Of", "Model", "#Orders", "#Flagged", "#Right of those ripe", "#Came about", "#Predicted", "#PSI", ""];
    let rows: Vec<Vec<String>> = watched.models.iter().map(row).collect();
    let mut body = table("", &headings, &rows);
    body.push_str("<h3>Alarms of the latest whole period</h3>\n");
    body.push_str(&if watched.alarms.is_empty() {
        absent("None: nothing lies farther from training than chance and the usual weeks explain.")
    } else {
        let headings = ["", "Of", "Since", "Feature", "What was found"];
        table("", &headings, &watched.alarms.iter().map(alarm).collect::<Vec<_>>())
    });
    let lead = "Measured on orders placed after the last one a model learnt from, with 95 % intervals; outcomes count once \
                they are ripe whatever they are. <code>model_monitor</code> has every feature and period.";
    wrap("models", "Models in service", lead, &body)
}

fn row(model: &WatchedModel) -> Vec<String> {
    let share = |value: Option<f64>| value.map_or_else(|| "–".to_owned(), percent);
    let interval = |value: Option<f64>, low: Option<f64>, high: Option<f64>| match (value, low, high) {
        (Some(value), Some(low), Some(high)) => {
            format!("{} <span class=\"small\">{} to {}</span>", percent(value), percent(low), percent(high))
        }
        _ => "–".to_owned(),
    };
    let right = format!(
        "{} <span class=\"small\">{} of {}, {} not ripe</span>",
        interval(model.precision, model.precision_lower, model.precision_upper),
        count(model.flagged_positive),
        count(model.flagged_mature),
        count(model.flagged_not_mature)
    );
    let came = format!(
        "{} <span class=\"small\">of {}</span>",
        interval(model.observed_share, model.observed_lower, model.observed_upper),
        count(model.mature)
    );
    vec![
        format!("{}, {}", model.target, model.role),
        format!("<code>{}</code>", model.model),
        count(model.scored),
        count(model.flagged),
        right,
        came,
        share(model.predicted_share),
        model.psi_tested.map_or_else(|| "–".to_owned(), |psi| format!("{psi:.3}")),
        model.note.as_ref().map(Foreign::prose).unwrap_or_default(),
    ]
}

fn alarm(alarm: &Alarm) -> Vec<String> {
    let class = if alarm.alert.raw() == "alert" { " class=\"bad\"" } else { "" };
    vec![
        format!("<b{class}>{}</b>", alarm.alert),
        format!("{}, {}", alarm.target, alarm.role),
        format!("{} of {}", alarm.grain, alarm.period_start),
        format!("<code>{}</code>", alarm.feature),
        alarm.alert_text.prose(),
    ]
}
