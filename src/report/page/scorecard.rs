//! The scorecard: each channel's KPIs against what is asked of them, with the room that is left.

use super::{section as wrap, table};
use crate::report::data::{Data, Held};
use crate::report::words::{Currency, Foreign, count, counted, heading, percent, value};
use std::collections::BTreeSet;

/// Every target with what was reached; nothing at all where no targets are set.
pub(super) fn section(data: &Data, currency: &Currency) -> String {
    if data.scorecard.is_empty() {
        return String::new();
    }
    let lead = "Each target over the window it is judged in: up to the run's clock, where late events can still move the \
                figure, and over the latest window of the same length that they no longer move much. Only that one can \
                be missed. Room is how many more defects may come until the limit is passed, at the same number of cases; \
                a change is named only where chance does not explain it.";
    let mut body = String::new();
    let channels: BTreeSet<(bool, &Foreign)> =
        data.scorecard.iter().map(|h| (h.channel.raw() != "all", &h.channel)).collect();
    for (_, channel) in channels {
        let of_channel: Vec<&Held> = data.scorecard.iter().filter(|h| h.channel == *channel).collect();
        let missed = of_channel.iter().filter(|h| h.is_missed()).count() as i64;
        let verdict = match missed {
            0 => String::new(),
            n => format!(" <b class=\"bad\">{} missed</b>", counted(n, "target")),
        };
        let title = if channel.raw() == "all" { "The whole shop".to_owned() } else { channel.to_string() };
        body.push_str(&format!("<h3>{title}{verdict}</h3>\n"));
        let rows: Vec<Vec<String>> =
            of_channel.iter().filter(|h| h.value.is_some()).map(|h| row(h, currency)).collect();
        if !rows.is_empty() {
            let headings = ["KPI", "Over", "#Reached", "#Counts", "#Asked", "State", "#Room", "Trend"];
            body.push_str(&table("narrow", &headings, &rows));
        }
        let silent: BTreeSet<String> = of_channel
            .iter()
            .filter_map(|h| Some(format!("<li>{}: {}</li>", heading(&h.kpi), h.null_reason.as_ref()?.prose())))
            .collect();
        if !silent.is_empty() {
            body.push_str(&format!("<p class=\"note\">Not held:</p>\n<ul>{}</ul>\n", Vec::from_iter(silent).concat()));
        }
    }
    wrap("scorecard", "Scorecard", lead, &(body + &sources(data)))
}

fn row(held: &Held, currency: &Currency) -> Vec<String> {
    let unit = held.unit.as_ref().map_or("", Foreign::raw);
    let shown = |v: Option<f64>| v.map_or_else(|| "–".to_owned(), |v| value(unit, v, currency));
    let level =
        held.level.as_ref().map(|level| format!("<br><span class=\"small\">{level}</span>")).unwrap_or_default();
    let until = held.period_end.as_ref().map(|day| format!("<br><span class=\"small\">to {}</span>", day.cut(10)));
    let state = match (held.breach, held.mature, held.required) {
        (Some(true), Some(true), true) => "<b class=\"bad\">missed</b>",
        (Some(true), _, true) => "<b class=\"bad\">beyond, still moving</b>",
        (Some(true), ..) => "not reached",
        (Some(false), Some(true), _) => "<b class=\"good\">met</b>",
        (Some(false), ..) => "met, still moving",
        (None, ..) => "–",
    };
    let room = match held.room {
        Some(room) if room < 0 => format!("<b class=\"bad\">{} too many</b>", count(-room)),
        Some(room) => count(room),
        None => "–".to_owned(),
    };
    let trend = match held.trend.as_ref().map(Foreign::raw) {
        Some("better") => "<b class=\"good\">better</b>",
        Some("worse") => "<b class=\"bad\">worse</b>",
        Some(_) => "no clear change",
        None => "–",
    };
    let before =
        held.before_value.map(|v| format!("<br><span class=\"small\">from {}</span>", value(unit, v, currency)));
    let counts = match (held.numerator, held.denominator, held.lower, held.upper) {
        (Some(hits), Some(trials), Some(low), Some(high)) => format!(
            "{} of {}<br><span class=\"small\">{} to {}</span>",
            count(hits),
            count(trials),
            percent(low),
            percent(high)
        ),
        (_, Some(trials), ..) => format!("over {}", count(trials)),
        _ => "–".to_owned(),
    };
    vec![
        format!("{}{level}", heading(&held.kpi)),
        format!("{}{}", held.window.spaced(), until.unwrap_or_default()),
        shown(held.value),
        counts,
        format!("{}\u{a0}{}", held.op, shown(held.target)),
        state.to_owned(),
        room,
        format!("{trend}{}", before.unwrap_or_default()),
    ]
}

/// Where the figures are from, once each.
fn sources(data: &Data) -> String {
    let mut lines = BTreeSet::new();
    for held in &data.scorecard {
        let version = held.targets_version.as_ref().map(|v| format!(" (version {v})")).unwrap_or_default();
        let Some(source) = &held.source else { continue };
        let checked = held.checked.as_ref().map(|day| format!(", read {}", day.cut(10))).unwrap_or_default();
        lines.insert(format!(
            "<li><code>{}</code>{version}, {}: {source}{checked}</li>",
            held.pack,
            heading(&held.kpi)
        ));
    }
    format!(
        "<details><summary>Where the figures are from</summary><ul>{}</ul></details>\n",
        Vec::from_iter(lines).concat()
    )
}
