//! What needs somebody: targets that were missed, and the orders to look at first.

use super::{absent, or_dash, section as wrap, table};
use crate::report::data::{Data, QUEUE_SHOWN, Queued};
use crate::report::figures::{self, FEW};
use crate::report::words::{Currency, Foreign, count, counted, heading, minute, percent, value};
use std::collections::BTreeSet;

/// Reasons of an order that are seen at once; the strongest come first.
const REASONS_SHOWN: usize = 3;

/// Missed targets and the head of the review queue.
pub(super) fn section(data: &Data, currency: &Currency) -> String {
    let body = missed(data, currency) + &queue(data, currency);
    wrap("action", "What needs action", "", &body)
}

/// What the scorecard says was missed.
fn missed_of_scorecard(data: &Data, currency: &Currency) -> String {
    let rows: Vec<Vec<String>> = data
        .scorecard
        .iter()
        .filter(|held| held.is_missed())
        .map(|held| {
            let unit = held.unit.as_ref().map_or("", Foreign::raw);
            let shown = |v: Option<f64>| v.map_or_else(|| "–".to_owned(), |v| value(unit, v, currency));
            let channel = if held.channel.raw() == "all" { "the whole".to_owned() } else { held.channel.to_string() };
            let until = held.period_end.as_ref().map(|day| format!(" to {}", day.cut(10))).unwrap_or_default();
            vec![
                format!("<b>{}</b>", heading(&held.kpi)),
                channel,
                format!("{}{until}", held.window.spaced()),
                format!("<b class=\"bad\">{}</b>", shown(held.value)),
                format!("{}\u{a0}{}", held.op, shown(held.target)),
                held.room.map_or_else(|| "–".to_owned(), |room| count(-room)),
                held.denominator.map_or_else(|| "–".to_owned(), count),
            ]
        })
        .collect();
    if rows.is_empty() {
        let sentence = match data.scorecard.iter().any(|held| held.required && held.mature == Some(true)) {
            true => "No target was missed; <a href=\"#scorecard\">the scorecard</a> has how much room is left.",
            false => "No target could be held against a window that late events no longer move.",
        };
        return format!("<h3>Missed targets</h3>\n{}", absent(sentence));
    }
    let headings = ["KPI", "Channel", "Window", "#Value", "#Asked", "#Too many", "#Over"];
    format!("<h3>Missed targets</h3>\n{}", table("narrow", &headings, &rows))
}

fn missed(data: &Data, currency: &Currency) -> String {
    if !data.scorecard.is_empty() {
        return missed_of_scorecard(data, currency);
    }
    let rows: Vec<Vec<String>> = figures::missed(&data.kpis)
        .into_iter()
        .filter_map(|row| {
            let (now, target) = (row.value?, row.target?);
            let known = data.meanings.of(row.kpi.raw()).more_is_better;
            let sign = figures::target_sign(&figures::months(&data.kpis, row.kpi.raw()), known);
            let unit = row.unit.raw();
            let interval = match (row.lower, row.upper) {
                (Some(lower), Some(upper)) => {
                    format!("{} to {}", value(unit, lower, currency), value(unit, upper, currency))
                }
                _ => "–".to_owned(),
            };
            Some(vec![
                format!("<b>{}</b>", heading(&row.kpi)),
                row.month.to_string(),
                format!("<b class=\"bad\">{}</b>", value(unit, now, currency)),
                format!("{sign}{}", value(unit, target, currency)),
                interval,
                row.denominator.map_or_else(
                    || "–".to_owned(),
                    |n| if n < FEW { format!("{} <b class=\"few\">few</b>", count(n)) } else { count(n) },
                ),
            ])
        })
        .collect();
    if rows.is_empty() {
        let sentence = match data.kpis.iter().any(|row| row.target.is_some() && row.mature) {
            true => "No target was missed in the latest mature month.",
            false => "No target was held against a mature month.",
        };
        return format!("<h3>Missed targets</h3>\n{}", absent(sentence));
    }
    let headings = ["KPI", "Month", "#Value", "#Target", "#95 % interval", "#Over"];
    format!("<h3>Missed targets</h3>\n{}", table("narrow", &headings, &rows))
}

fn queue(data: &Data, currency: &Currency) -> String {
    let days: BTreeSet<&str> = data.queue.iter().filter_map(|q| q.queue_date.as_ref()).map(Foreign::raw).collect();
    // A day that is the same in every row stands in the heading.
    let one_day = data.queue.first().and_then(|q| q.queue_date.as_ref()).filter(|_| days.len() == 1);
    let of_day = one_day.map(|day| format!(", {}", day.cut(10))).unwrap_or_default();
    let title = format!("<h3>Orders to review first{of_day}</h3>\n");
    if data.queue.is_empty() {
        let sentence = match data.tables.contains_key("review_queue") {
            true => "The review queue is empty.",
            false => "There is no review queue: this run published no <code>review_queue</code> table.",
        };
        return format!("{title}{}", absent(sentence));
    }
    // A column that no row fills would only take room.
    let scored = data.queue.iter().any(|q| q.fraud_probability.is_some());
    let lossy = data.queue.iter().any(|q| q.expected_loss.is_some());
    let mut headings = if one_day.is_some() { Vec::new() } else { vec!["Day"] };
    headings.extend(["#Rank", "Order", "#Placed, UTC", "#Amount", "Action"]);
    if scored {
        headings.push("#Fraud");
    }
    if lossy {
        headings.push("#Expected loss");
    }
    headings.push("Why");
    let shown = Shown { day: one_day.is_none(), fraud: scored, loss: lossy };
    let rows: Vec<Vec<String>> = data.queue.iter().map(|q| queue_row(q, shown, currency)).collect();
    let total = data.tables.get("review_queue").copied().unwrap_or(0) as i64;
    let rest = if total > data.queue.len() as i64 {
        format!(
            "<p class=\"note\">The first {QUEUE_SHOWN} of {}, newest day first. \
             All of them are in <code>review_queue</code>.</p>\n",
            counted(total, "order")
        )
    } else {
        String::new()
    };
    format!("{title}{}{rest}", table("queue", &headings, &rows))
}

/// Which of the columns are there that not every queue fills.
#[derive(Debug, Clone, Copy)]
struct Shown {
    day: bool,
    fraud: bool,
    loss: bool,
}

fn queue_row(q: &Queued, shown: Shown, currency: &Currency) -> Vec<String> {
    let money = |minor: Option<i64>| minor.map_or_else(|| "–".to_owned(), |m| currency.minor(m));
    let day = q.queue_date.as_ref().map(|d| d.cut(10));
    // A short id must not break; a long one may.
    let long = q.order_id.raw().chars().count() > 20;
    let mut row = Vec::new();
    if shown.day {
        row.push(format!("<span class=\"day\">{}</span>", or_dash(day.as_ref())));
    }
    row.extend([
        q.rank.map_or_else(|| "–".to_owned(), count),
        format!("<code class=\"{}\">{}</code>", if long { "id long" } else { "id" }, q.order_id),
        q.placed_at.as_ref().map_or_else(|| "–".to_owned(), minute),
        money(q.amount),
        q.action.as_ref().map_or_else(|| "–".to_owned(), badge),
    ]);
    if shown.fraud {
        row.push(q.fraud_probability.map_or_else(|| "–".to_owned(), percent));
    }
    let items = |texts: &Option<Vec<Option<Foreign>>>| texts.iter().flatten().flatten().cloned().collect::<Vec<_>>();
    let reasons: Vec<String> = items(&q.reasons).iter().map(|text| format!("<li>{text}</li>")).collect();
    let (first, rest) = reasons.split_at(reasons.len().min(REASONS_SHOWN));
    let rest = match rest.len() {
        0 => String::new(),
        n => format!("<details><summary>{n} more</summary><ul>{}</ul></details>", rest.concat()),
    };
    let rules: String =
        items(&q.rule_hits).iter().map(|rule| format!("<span class=\"rule\">{}</span> ", rule.spaced())).collect();
    let why = match (reasons.is_empty(), rules.is_empty()) {
        (true, true) => "–".to_owned(),
        (true, false) => rules,
        (false, _) => format!("<ul>{}</ul>{rest}{rules}", first.concat()),
    };
    if shown.loss {
        row.push(money(q.expected_loss));
    }
    row.push(why);
    row
}

/// An action as a small label. An action that is not known here gets no colour of its own.
pub(super) fn badge(action: &Foreign) -> String {
    let class = match action.raw() {
        "hold" => "hold",
        "review" => "review",
        "approve" => "approve",
        _ => "other",
    };
    format!("<span class=\"badge {class}\">{action}</span>")
}
