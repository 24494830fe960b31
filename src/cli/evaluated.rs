//! What an evaluation says on the terminal.

use super::summary::count;
use crate::pipeline::{Evaluated, Measure, MoneySaved, RuleLine, RuleReplay};
use crate::risk::bootstrap::Estimate;
use crate::types::time::format_instant;
use std::fmt::Write as _;

/// An evaluation in words.
pub(super) fn words(evaluated: &Evaluated, exponent: u32) -> String {
    let mut text = String::new();
    let day = |at: i64| format_instant(at)[..10].to_owned();
    let Evaluated { target, family, rows, positives, left_out, per_day, .. } = evaluated;
    match rows {
        0 => {
            let _ = writeln!(text, "{target}: no model was tested");
        }
        _ => {
            let _ = writeln!(text, "{target} by {family}: {positives} positives among {rows} tested");
        }
    }
    if *left_out > 0 {
        let _ = writeln!(text, "  {left_out} rows of customers known before were left out");
    }
    for fold in &evaluated.folds {
        let _ = writeln!(
            text,
            "  fold {:<2} train {} to {} ({}), calibrate to {} ({}, {}), test {} to {} ({})",
            fold.fold,
            day(fold.train.from),
            day(fold.train.to),
            fold.train.rows,
            day(fold.calibrate.to),
            fold.calibrate.rows,
            fold.calibration.method,
            day(fold.test.from),
            day(fold.test.to),
            fold.test.rows
        );
        for note in &fold.notes {
            let _ = writeln!(text, "          note: {note}");
        }
    }
    if !evaluated.measures.is_empty() {
        let _ = writeln!(text, "\n  95 % intervals, customers or days drawn with replacement; {per_day} looks a day");
    }
    let mut segment = ("", "");
    for measure in &evaluated.measures {
        let next = (measure.segment.as_str(), measure.segment_value.as_str());
        if next.0 == "all" || WORTH_SHOWING.contains(&measure.measure) {
            if next != segment && next.0 != "all" {
                let _ = writeln!(text, "  {} {} ({} of {})", next.0, next.1, measure.positives, measure.rows);
            }
            segment = next;
            let _ = writeln!(text, "    {}", line(measure, evaluated));
        }
    }
    if !evaluated.by_segment.is_empty() {
        let off = evaluated.by_segment.iter().filter(|one| one.is_off).count();
        let _ = writeln!(text, "\n  probabilities are off in {off} of {} segments", evaluated.by_segment.len());
    }
    for note in &evaluated.notes {
        let _ = writeln!(text, "  note: {note}");
    }
    let money = Money { currency: &evaluated.currency, unit: 10_f64.powi(exponent as i32) };
    if let Some(saved) = &evaluated.money {
        saved_words(&mut text, saved, evaluated, &money);
    }
    if let Some(rules) = &evaluated.rules {
        rule_words(&mut text, rules, &money);
    }
    text
}

/// What is shown of a segment; the tables have the rest.
const WORTH_SHOWING: [&str; 3] = ["average_precision", "roc_auc", "calibration_error"];

fn line(measure: &Measure, evaluated: &Evaluated) -> String {
    let money = measure.measure.starts_with("money");
    let show = |value: Option<f64>| match value {
        None => "–".to_owned(),
        Some(value) if money => format!("{value:.0}"),
        Some(value) => format!("{value:.4}"),
    };
    let unit = if money { format!(" (minor units of {})", evaluated.currency) } else { String::new() };
    let found = &measure.estimate;
    let interval = format!("{} to {}", show(found.lower), show(found.upper));
    format!("{:<30} {:>9}  {interval}, by {}{unit}", measure.measure, show(found.value), measure.drawn_by)
}

/// How amounts are shown: whole units of the currency.
struct Money<'a> {
    currency: &'a str,
    /// Minor units in one.
    unit: f64,
}

impl Money<'_> {
    fn whole(&self, minor: f64) -> String {
        let units = (minor / self.unit).round();
        format!("{}{}", if units < 0.0 { "-" } else { "" }, count(units.abs() as u64))
    }

    fn estimate(&self, found: &Estimate) -> String {
        let show = |value: Option<f64>| value.map_or_else(|| "–".to_owned(), |value| self.whole(value));
        format!("{:>9}  {:>19}", show(found.value), format!("{} to {}", show(found.lower), show(found.upper)))
    }
}

fn saved_words(text: &mut String, saved: &MoneySaved, evaluated: &Evaluated, money: &Money) {
    let exact = |minor: f64| format!("{:.2}", minor / money.unit);
    let days = saved.days.iter().map(|day| day.day).collect::<std::collections::BTreeSet<_>>().len();
    let _ = writeln!(
        text,
        "\nMoney saved, {}: {} orders of {days} days, {} frauds that cost {} if all pass; at most {} looks a day",
        money.currency,
        count(saved.orders as u64),
        count(saved.frauds as u64),
        money.whole(saved.fraud_loss),
        evaluated.per_day
    );
    let _ = writeln!(
        text,
        "  = frauds stopped (amount + fee {}) - looks ({} each) - good orders stopped ({:.0} % of the amount)",
        exact(saved.chargeback_fee),
        exact(saved.review_cost),
        100.0 * saved.margin_share
    );
    let reviewer = match (saved.reviewer_finds, saved.reviewer_refuses) {
        (1.0, 0.0) => "whoever looks is taken never to err".to_owned(),
        (finds, refuses) => format!(
            "whoever looks is taken to stop {:.0} % of the frauds and {:.0} % of the good orders",
            100.0 * finds,
            100.0 * refuses
        ),
    };
    let _ = writeln!(
        text,
        "  {reviewer}; random, largest_first: as many looks each day as the last line has\n  \
         frauds, good: orders stopped; avoided: amounts and fees of those frauds; cost: of looks; margin: of those good orders\n"
    );
    let _ = writeln!(
        text,
        "  {:<26} {:>7} {:>7} {:>7} {:>9} {:>8} {:>8} {:>9}  {:>19}  {:>9}  {:>19}",
        "policy",
        "looks",
        "frauds",
        "good",
        "avoided",
        "cost",
        "margin",
        "saved",
        "95 % by day",
        "over",
        "largest first"
    );
    let whole = |number: f64| count(number.round() as u64);
    for policy in &saved.policies {
        let _ = writeln!(
            text,
            "  {:<26} {:>7} {:>7} {:>7} {:>9} {:>8} {:>8} {}  {}",
            policy.policy,
            whole(policy.looked),
            whole(policy.frauds_stopped),
            whole(policy.good_stopped),
            money.whole(policy.loss_avoided),
            money.whole(policy.review_cost),
            money.whole(policy.margin_lost),
            money.estimate(&policy.saved),
            money.estimate(&policy.more_than_largest_first)
        );
    }
    if let Some(held) = saved.policies.iter().map(|p| p.held_unseen).reduce(f64::max).filter(|held| *held > 0.0) {
        let _ = writeln!(text, "  held without anybody to look at them: up to {} orders", whole(held));
    }
}

fn rule_words(text: &mut String, rules: &RuleReplay, money: &Money) {
    let _ = writeln!(
        text,
        "\nRules on history: {} orders as they stood when placed, {} labelled, {} frauds; beside the model on {}",
        count(rules.orders),
        count(rules.labelled),
        count(rules.frauds),
        count(rules.tested)
    );
    let _ = writeln!(
        text,
        "  {:<34} {:>8} {:>8} {:>8} {:>7} {:>22} {:>9} {:>9} {:>7} {:>6} {:>6} {:>6} {:>7}",
        "",
        "hits",
        "decides",
        "labelled",
        "frauds",
        "precision",
        "fraud",
        "good",
        "recall",
        "both",
        "rule",
        "model",
        "jaccard"
    );
    for line in rules.lines.iter().filter(|line| line.period_start.is_none()) {
        let share =
            |value: Option<f64>| value.map_or_else(|| "–".to_owned(), |value| format!("{:.1} %", 100.0 * value));
        let precision = match (line.lower, line.upper) {
            (Some(lower), Some(upper)) => {
                format!("{} ({:.1} to {:.1})", share(line.precision), 100.0 * lower, 100.0 * upper)
            }
            _ => "–".to_owned(),
        };
        let _ = writeln!(
            text,
            "  {:<34} {:>8} {:>8} {:>8} {:>7} {:>22} {:>9} {:>9} {:>7} {:>6} {:>6} {:>6} {:>7}",
            subject(line),
            count(line.hits),
            count(line.decides),
            count(line.labelled),
            count(line.frauds),
            precision,
            money.whole(line.fraud_value as f64),
            money.whole(line.good_value as f64),
            share(line.fraud_value_share),
            count(line.both),
            count(line.only_rule),
            count(line.only_model),
            line.jaccard.map_or_else(|| "–".to_owned(), |value| format!("{value:.2}"))
        );
    }
    let _ = writeln!(
        text,
        "  fraud, good: {} of the labelled hits; recall: of the value of all frauds; both, rule, model: orders that both \
         flag, or one of them alone; by month: `rule_replay`",
        money.currency
    );
    for finding in &rules.findings {
        let _ = writeln!(text, "  note: {finding}");
    }
}

fn subject(line: &RuleLine) -> String {
    match (line.scope, &line.rule, line.effect) {
        ("rule", Some(rule), Some(effect)) if line.mode == Some("shadow") => format!("{rule} ({effect}, shadow)"),
        ("rule", Some(rule), Some(effect)) => format!("{rule} ({effect})"),
        ("effect", _, Some(effect)) => format!("in the end: {effect}"),
        ("with_shadows", ..) => "hold or review, shadows acting".to_owned(),
        _ => "in the end: hold or review".to_owned(),
    }
}
