//! Risk: what the models said, what was flagged and what became of it.

use super::action::badge;
use super::{absent, or_dash, section as wrap, table};
use crate::report::data::{Data, ModelUse, Risk, RiskDay, SCORE_BINS, Target};
use crate::report::svg::{self, Axis, Bar, Label};
use crate::report::words::{Currency, Foreign, count, counted, percent};
use crate::types::time::days_since_epoch;

/// Days of flags on the page: two months show a burst beside its usual level.
const DAYS_SHOWN: i32 = 60;

/// Models, distributions, flags by day and actions.
pub(super) fn section(data: &Data, currency: &Currency) -> String {
    let Some(risk) = &data.risk else {
        let sentence = match data.tables.contains_key("order_scores") {
            true => "No order was scored: <code>order_scores</code> is empty.",
            false => "This run published no <code>order_scores</code> table.",
        };
        return wrap("risk", "Risk", "", &absent(sentence));
    };
    let mut body = models(risk);
    body.push_str(&actions(risk, currency));
    let mut charts = String::new();
    for (name, class, target) in [("Fraud", "fraud", &risk.fraud), ("Return", "return", &risk.returns)] {
        charts.push_str(&distribution(name, class, target));
    }
    for (name, class, target) in [("Fraud", "fraud", &risk.fraud), ("Return", "return", &risk.returns)] {
        if target.models.iter().any(|used| used.scored > 0 || used.flagged > 0) {
            let of = |day: &RiskDay| if class == "fraud" { day.fraud } else { day.returns };
            charts.push_str(&flags(&format!("{name} flags by day"), class, risk, of));
        }
    }
    if !charts.is_empty() {
        body.push_str(&format!("<div class=\"charts\">\n{charts}</div>\n"));
    }
    let mut lead = format!("{} scored. ", counted(risk.scored_rows, "order"));
    lead.push_str("A probability that is not there has its reason; rules act without one.");
    let flagged = data.run.as_ref().map(|run| (run.flagged_fraud, run.flagged_return));
    if let Some((Some(fraud), Some(returns))) = flagged {
        lead.push_str(&format!(" Flagged: {} for fraud, {} for return.", count(fraud), count(returns)));
    }
    wrap("risk", "Risk", &lead, &body)
}

fn models(risk: &Risk) -> String {
    let rows: Vec<Vec<String>> = [("Fraud", &risk.fraud), ("Return", &risk.returns)]
        .into_iter()
        .flat_map(|(name, target)| target.models.iter().map(move |used| model_row(name, used)))
        .collect();
    if rows.is_empty() {
        return absent("These scores carry no probabilities.");
    }
    let headings = ["Of", "Model", "#Orders", "#With probability", "#Flagged", "Why there is none"];
    format!("<h3>Models</h3>\n{}", table("narrow", &headings, &rows))
}

fn model_row(name: &str, used: &ModelUse) -> Vec<String> {
    let flagged = match used.scored {
        0 if used.flagged == 0 => "–".to_owned(),
        _ => format!(
            "{} <span class=\"small\">{}</span>",
            count(used.flagged),
            percent(used.flagged as f64 / used.orders.max(1) as f64)
        ),
    };
    let reason = match (&used.reason, used.scored < used.orders) {
        (Some(reason), _) => reason.prose(),
        (None, true) => "no reason was given".to_owned(),
        (None, false) => String::new(),
    };
    let model = used.model.as_ref().map_or_else(|| "none".to_owned(), |model| format!("<code>{model}</code>"));
    vec![name.to_owned(), model, count(used.orders), count(used.scored), flagged, reason]
}

fn actions(risk: &Risk, currency: &Currency) -> String {
    let total: i64 = risk.actions.iter().map(|a| a.orders).sum();
    if total == 0 {
        return String::new();
    }
    let money = |minor: Option<i64>| minor.map_or_else(|| "–".to_owned(), |m| currency.minor(m));
    let mut actions: Vec<_> = risk.actions.iter().collect();
    // What needs somebody first, what nobody need look at last.
    actions.sort_by_key(|a| match a.action.as_ref().map(Foreign::raw) {
        Some("hold") => 0,
        Some("review") => 1,
        Some("approve") => 3,
        _ => 2,
    });
    let rows: Vec<Vec<String>> = actions
        .into_iter()
        .map(|action| {
            vec![
                action.action.as_ref().map_or_else(|| or_dash(None), badge),
                count(action.orders),
                percent(action.orders as f64 / total as f64),
                money(action.amount),
                money(action.expected_loss),
            ]
        })
        .collect();
    let headings = ["Action", "#Orders", "#Share", "#Amount", "#Expected loss"];
    format!("<h3>Actions</h3>\n{}", table("narrow", &headings, &rows))
}

fn distribution(name: &str, class: &str, target: &Target) -> String {
    let scored: i64 = target.bins.iter().sum();
    if scored == 0 {
        return String::new();
    }
    let edge = |bin: usize| (bin * 100) / SCORE_BINS;
    let bars: Vec<Bar> = target
        .bins
        .iter()
        .zip(0_i32..)
        .enumerate()
        .map(|(bin, (orders, at))| {
            let note = format!("{} to {} %: {}", edge(bin), edge(bin + 1), counted(*orders, "order"));
            Bar { at, value: *orders as f64, note }
        })
        .collect();
    let label = |at: i32| Label {
        at,
        text: format!("{}–{} %", edge(at as usize), edge(at as usize + 1)),
        below: String::new(),
    };
    let labels: Vec<Label> = [0, 5, 10, 15, SCORE_BINS as i32 - 1].into_iter().map(label).collect();
    let tick = |v: f64| Currency::short(v);
    let svg = svg::log_bars(&format!("{name} probability of orders"), class, &bars, &labels, &tick);
    format!(
        "<figure><figcaption><b>{name} probability</b><span class=\"small\">{}, logarithmic scale</span>\
         </figcaption>{svg}</figure>\n",
        counted(scored, "order")
    )
}

fn flags(title: &str, class: &str, risk: &Risk, of: impl Fn(&RiskDay) -> i64) -> String {
    let days: Vec<(i32, &RiskDay)> = risk.days.iter().filter_map(|day| Some((number(day)?, day))).collect();
    let Some(last) = days.iter().map(|(at, _)| *at).max() else { return String::new() };
    let shown: Vec<(i32, &RiskDay)> = days.into_iter().filter(|(at, _)| *at > last - DAYS_SHOWN).collect();
    let flagged: i64 = shown.iter().map(|(_, day)| of(day)).sum();
    if flagged == 0 {
        let ever: i64 = risk.days.iter().map(&of).sum();
        let when = if ever == 0 { "in any day".to_owned() } else { format!("in the last {DAYS_SHOWN} days") };
        return format!(
            "<figure><figcaption><b>{title}</b></figcaption>{}</figure>\n",
            absent(&format!("No order was flagged {when}."))
        );
    }
    let bars: Vec<Bar> = shown
        .iter()
        .map(|(at, day)| Bar {
            at: *at,
            value: of(day) as f64,
            note: format!("{}: {} flagged of {}", day.day, count(of(day)), counted(day.orders, "order")),
        })
        .collect();
    let first = shown.first().map_or(last, |(at, _)| *at);
    let step = svg::label_step(last - first + 1, &[1, 2, 7, 14, 28]).max(1);
    let labels: Vec<Label> = (first..=last)
        .rev()
        .step_by(step as usize)
        .filter_map(|at| {
            let day = crate::types::time::date_of(at)?.to_string();
            Some(Label { at, text: day.get(5..)?.to_owned(), below: String::new() })
        })
        .collect();
    let axis = Axis { tick: &|v| Currency::short(v), from_zero: true, ceiling: None, whole: true };
    let svg = svg::bars(title, class, &bars, &labels, &axis);
    let until = shown.last().map(|(_, day)| day.day.to_string()).unwrap_or_default();
    format!(
        "<figure><figcaption><b>{title}</b><span class=\"small\">{} until {until}</span></figcaption>{svg}</figure>\n",
        count(flagged)
    )
}

/// The day as a number, so that days without orders leave a gap.
fn number(day: &RiskDay) -> Option<i32> {
    day.day.raw().parse().ok().map(days_since_epoch)
}
