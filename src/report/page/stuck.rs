//! What is stuck now: the work list of the operations desk.

use super::{absent, or_dash, section as wrap, table};
use crate::report::data::Data;
use crate::report::stuck::{StuckKind, StuckOrder};
use crate::report::words::{Currency, Foreign, count, counted, value};

/// Open exceptions by kind, and the first rows of the list.
pub(super) fn section(data: &Data, currency: &Currency) -> String {
    let title = "What is stuck now";
    let Some(stuck) = &data.stuck else {
        let sentence = "This run published no <code>exceptions</code> table.";
        return wrap("stuck", title, "", &absent(sentence));
    };
    let open: i64 = stuck.kinds.iter().map(|kind| kind.open).sum();
    if open == 0 {
        return wrap("stuck", title, "", &absent("Nothing is stuck, as far as this input can tell."));
    }
    let lead = format!(
        "{} at the run&#39;s clock, one for each order and kind, in the order of work: severity, value at risk, age. \
         The value at risk is that of the order, return or dispute; an order of two kinds counts in both.",
        counted(open, "open exception")
    );
    let kinds: Vec<Vec<String>> = stuck.kinds.iter().map(|kind| kind_row(kind, currency)).collect();
    let headings = ["Kind", "#Open", "#Critical", "#High", "#Value at risk", "#Oldest"];
    let first: Vec<Vec<String>> = stuck.first.iter().map(|order| order_row(order, currency)).collect();
    let rest = if open > stuck.first.len() as i64 {
        format!(
            "<p class=\"note\">The first {} of {}. All of them are in <code>exceptions</code>.</p>\n",
            stuck.first.len(),
            count(open)
        )
    } else {
        String::new()
    };
    let body = format!(
        "{}<h3>First in line</h3>\n{}{rest}",
        table("narrow", &headings, &kinds),
        table("queue", &["#Rank", "Order", "Kind", "Severity", "#Age", "#At risk", "What, and what to do"], &first)
    );
    wrap("stuck", title, &lead, &body)
}

fn kind_row(kind: &StuckKind, currency: &Currency) -> Vec<String> {
    let some = |n: i64| if n > 0 { format!("<b class=\"bad\">{}</b>", count(n)) } else { count(n) };
    vec![
        format!("<b>{}</b>", kind.kind.spaced()),
        count(kind.open),
        some(kind.critical),
        count(kind.high),
        kind.value.map_or_else(|| "–".to_owned(), |minor| currency.minor(minor)),
        age(kind.oldest_hours),
    ]
}

fn order_row(order: &StuckOrder, currency: &Currency) -> Vec<String> {
    let id = order.order_id.as_ref().or(order.reference.as_ref());
    let long = id.is_some_and(|id| id.raw().chars().count() > 20);
    vec![
        count(order.rank),
        format!("<code class=\"{}\">{}</code>", if long { "id long" } else { "id" }, or_dash(id)),
        order.kind.spaced().to_string(),
        badge(&order.severity),
        age(order.age_hours),
        order.value_at_risk.map_or_else(|| "–".to_owned(), |minor| currency.minor(minor)),
        format!("{}<br><span class=\"small\">{}</span>", order.detail.prose(), order.suggested_action),
    ]
}

fn age(hours: Option<f64>) -> String {
    hours.map_or_else(|| "–".to_owned(), |hours| value("hours", hours, &Currency::of(None)))
}

/// A severity as a small label.
fn badge(severity: &Foreign) -> String {
    let class = match severity.raw() {
        "critical" => "hold",
        "high" => "review",
        _ => "other",
    };
    format!("<span class=\"badge {class}\">{severity}</span>")
}
