//! The rules on history: matched against orders as they stood when they were placed, and told in words.

use super::as_of::{may_come_later, when_placed};
use super::rules::{Hits, matched};
use crate::config::{Effect, Pipeline, RuleMode, condition_columns};
use crate::decision::replay::{Finding, Line, Past, Ruling, Scope, replay};
use crate::decision::strongest;
use crate::error::{Error, Result};
use crate::features::Features;
use crate::ingest::Ingested;
use crate::risk::{Label, Target};
use crate::types::interval::wilson95;
use crate::types::time::{date_of, days_since_epoch};
use chrono::Datelike;
use serde::Serialize;

/// What the rules did on history.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RuleReplay {
    /// Orders of history.
    pub orders: u64,
    /// Of those, orders whose label is mature.
    pub labelled: u64,
    /// Of those, frauds.
    pub frauds: u64,
    /// Labelled orders on which rules and model are compared: those that a model was tested on.
    pub tested: u64,
    /// By scope; all of history first, then by month.
    pub lines: Vec<RuleLine>,
    /// What is odd about the rules.
    pub findings: Vec<String>,
}

/// One line of `rule_replay`. Values are minor units of the base currency.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RuleLine {
    /// `rule`; `effect`: orders on which the acting rules have it in the end; `acting`: orders that the acting rules hold or
    /// have looked at in the end; `with_shadows`: the same if the rules in shadow acted too.
    pub scope: &'static str,
    /// The rule; `None` for other scopes.
    pub rule: Option<String>,
    /// `approve`, `hold` or `review`; `None` for the scopes of all rules.
    pub effect: Option<&'static str>,
    /// `act` or `shadow`; `None` for other scopes than `rule`.
    pub mode: Option<&'static str>,
    /// First day of the month; `None` is all of history.
    pub period_start: Option<i32>,
    /// Whether every order of the period has a mature label.
    pub mature: bool,
    /// Orders of the period.
    pub orders: u64,
    /// Orders matched.
    pub hits: u64,
    /// Matched orders on which the rule decides; of one in shadow, on which it would change what happens.
    pub decides: u64,
    /// Matched orders with a mature label.
    pub labelled: u64,
    /// Frauds among them.
    pub frauds: u64,
    /// `frauds / labelled`; `None` where nothing matched is labelled.
    pub precision: Option<f64>,
    /// Lower end of its 95 % Wilson interval.
    pub lower: Option<f64>,
    /// Upper end.
    pub upper: Option<f64>,
    /// Value of the frauds matched: caught by a rule that holds or has them looked at, let pass by one that approves.
    pub fraud_value: i64,
    /// Value of the labelled orders matched that were good: held or looked at wrongly, or rightly let pass.
    pub good_value: i64,
    /// Recall of value: `fraud_value` over the value of all labelled frauds of the period; `None` where there is none.
    pub fraud_value_share: Option<f64>,
    /// Labelled orders that a model was tested on.
    pub tested: u64,
    /// Of those, orders that match and that the model alone would have had looked at or stopped.
    pub both: u64,
    /// Orders that match and that the model lets pass.
    pub only_rule: u64,
    /// Orders that the model flags alone.
    pub only_model: u64,
    /// `both / (both + only_rule + only_model)`; `None` without any of them.
    pub jaccard: Option<f64>,
    /// Frauds among `both`.
    pub frauds_both: u64,
    /// Frauds among `only_rule`.
    pub frauds_only_rule: u64,
    /// Frauds among `only_model`.
    pub frauds_only_model: u64,
}

/// Whether there is something to replay.
///
/// # Errors
/// [`Error::Usage`] for another target than fraud, and without rules.
pub(super) fn can_replay(pipeline: &Pipeline, target: Target) -> Result<()> {
    if target != Target::Fraud {
        return Err(Error::Usage {
            message: format!("rules are about fraud and not about `{target}`"),
            hint: Some("replay them with --target fraud".to_owned()),
        });
    }
    if pipeline.raw.decision.rules.is_empty() {
        return Err(Error::usage(format!("{} has no [[decision.rules]] to replay", pipeline.file)));
    }
    Ok(())
}

/// The rules' hits on orders as they stood when they were placed.
pub(super) struct AsPlaced {
    hits: Hits,
    rulings: Vec<Ruling>,
    /// What a reader should know of conditions over later facts.
    notes: Vec<String>,
}

impl AsPlaced {
    /// Matches every rule.
    ///
    /// # Errors
    /// As [`matched`].
    pub(super) fn new(pipeline: &Pipeline, ingested: &Ingested, features: &Features) -> Result<Self> {
        let orders = ingested.tables.get("orders").cloned().unwrap_or_default();
        let hits = matched(pipeline, &when_placed(&orders)?, features)?;
        let rules = &pipeline.raw.decision.rules;
        let mut notes = Vec::new();
        for rule in rules {
            let mut later: Vec<String> = condition_columns(&rule.when)
                .into_iter()
                .filter(|column| may_come_later(&column.name))
                .map(|column| format!("`{}`", column.name))
                .collect();
            later.sort();
            later.dedup();
            if !later.is_empty() {
                notes.push(format!(
                    "rule `{}` looks at {}, which an order has only later: it is matched as the order stood when it was \
                     placed, so with null unless that was before",
                    rule.name,
                    later.join(", ")
                ));
            }
        }
        let ruling = |rule: &crate::config::Rule| Ruling { effect: rule.effect, acts: rule.mode == RuleMode::Act };
        Ok(Self { hits, rulings: rules.iter().map(ruling).collect(), notes })
    }

    /// The strongest effect of the rules that act on an order.
    pub(super) fn effect(&self, order: usize) -> Option<Effect> {
        let acting = self.hits.places(order).iter().filter_map(|&at| self.rulings.get(at)).filter(|rule| rule.acts);
        strongest(acting.map(|rule| rule.effect))
    }

    /// Whether any rule acts.
    pub(super) fn any_acts(&self) -> bool {
        self.rulings.iter().any(|rule| rule.acts)
    }
}

/// What is known of each order beside the rules it matches.
pub(super) struct Known<'a> {
    /// Calendar day it was placed.
    pub(super) days: &'a [i32],
    /// Amount in minor units.
    pub(super) amounts: &'a [i64],
    /// Mature labels.
    pub(super) labels: &'a [Label],
    /// Whether the model alone would have it looked at or stopped; `None` where it was not tested on.
    pub(super) flagged: &'a [Option<bool>],
}

/// Replays the rules over all orders.
///
/// # Errors
/// [`Error::InputRefused`] when a sum of amounts leaves 64 bits.
pub(super) fn replayed(pipeline: &Pipeline, placed: &AsPlaced, known: &Known) -> Result<RuleReplay> {
    let past: Vec<Past> = (0..known.days.len())
        .map(|at| Past {
            period: month_of(known.days[at]),
            amount: known.amounts[at],
            fraud: known.labels[at],
            flagged: known.flagged[at],
            hits: placed.hits.places(at),
        })
        .collect();
    let (lines, findings) = replay(&placed.rulings, &past);
    let rules = &pipeline.raw.decision.rules;
    let name = |at: usize| rules.get(at).map_or("", |rule| rule.name.as_str());
    let mut told = placed.notes.clone();
    told.extend(findings.into_iter().map(|finding| words(finding, &name, &placed.rulings)));
    let whole = lines.first().map(|line| line.counts).unwrap_or_default();
    Ok(RuleReplay {
        orders: whole.orders,
        labelled: whole.orders_labelled,
        frauds: whole.frauds_in_all,
        tested: whole.tested,
        lines: lines.iter().map(|line| told_line(line, &name, &placed.rulings)).collect::<Result<_>>()?,
        findings: told,
    })
}

fn month_of(day: i32) -> i32 {
    date_of(day).and_then(|date| date.with_day(1)).map_or(day, days_since_epoch)
}

/// The word of an effect, as in the pipeline file.
pub(super) fn effect_name(effect: Effect) -> &'static str {
    match effect {
        Effect::Approve => "approve",
        Effect::Hold => "hold",
        Effect::Review => "review",
    }
}

fn told_line<'a>(line: &Line, name: &dyn Fn(usize) -> &'a str, rulings: &[Ruling]) -> Result<RuleLine> {
    let Line { scope, period, counts } = line;
    let (scope, rule, effect, mode) = match *scope {
        Scope::Rule(at) => {
            let mode = rulings.get(at).map(|rule| if rule.acts { "act" } else { "shadow" });
            ("rule", Some(name(at).to_owned()), rulings.get(at).map(|rule| effect_name(rule.effect)), mode)
        }
        Scope::Effect(effect) => ("effect", None, Some(effect_name(effect)), None),
        Scope::Acting => ("acting", None, None, None),
        Scope::WithShadows => ("with_shadows", None, None, None),
    };
    let money = |sum: i128| {
        i64::try_from(sum).map_err(|_| Error::InputRefused {
            message: "the amounts of orders that rules match add up to more than 64 bits hold".to_owned(),
            hint: None,
        })
    };
    let interval = wilson95(counts.frauds as i64, counts.labelled as i64);
    Ok(RuleLine {
        scope,
        rule,
        effect,
        mode,
        period_start: *period,
        mature: counts.orders == counts.orders_labelled,
        orders: counts.orders,
        hits: counts.hits,
        decides: counts.decides,
        labelled: counts.labelled,
        frauds: counts.frauds,
        precision: counts.precision(),
        lower: interval.map(|(lower, _)| lower),
        upper: interval.map(|(_, upper)| upper),
        fraud_value: money(counts.fraud_value)?,
        good_value: money(counts.good_value)?,
        fraud_value_share: counts.fraud_value_share(),
        tested: counts.tested,
        both: counts.both,
        only_rule: counts.only_rule,
        only_model: counts.only_model,
        jaccard: counts.jaccard(),
        frauds_both: counts.frauds_both,
        frauds_only_rule: counts.frauds_only_rule,
        frauds_only_model: counts.frauds_only_model,
    })
}

fn words<'a>(finding: Finding, name: &dyn Fn(usize) -> &'a str, rulings: &[Ruling]) -> String {
    match finding {
        Finding::NeverMatches(at) => format!("rule `{}` matches no order of history", name(at)),
        Finding::AlwaysMatches(at) => format!("rule `{}` matches every order of history", name(at)),
        Finding::NeverDecides(at) => {
            format!("rule `{}` never decides: on every order it matches a stronger rule does", name(at))
        }
        Finding::Same(one, other) => {
            format!("rules `{}` and `{}` match the same orders and do the same", name(one), name(other))
        }
        Finding::Contradict { allows, stops, orders, labelled, frauds } => {
            let would = match rulings.get(stops).map(|rule| rule.effect) {
                Some(Effect::Hold) => "stop",
                _ => "have looked at",
            };
            let shadow = match [allows, stops].iter().all(|&at| rulings.get(at).is_some_and(|rule| rule.acts)) {
                true => "",
                false => ", if both acted",
            };
            format!(
                "rules `{}` and `{}` contradict each other: the first lets pass {orders} orders that the second would \
                 {would}{shadow}; {frauds} of {labelled} labelled ones were fraud",
                name(allows),
                name(stops)
            )
        }
    }
}
