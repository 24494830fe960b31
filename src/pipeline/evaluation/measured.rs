//! Measures by segment with intervals by customer, and of the desk with intervals by day.

use super::super::segments::of_rows;
use super::{Diagram, Evaluated, Facts, Measure, Tested};
use crate::config::Pipeline;
use crate::error::Result;
use crate::ingest::Ingested;
use crate::risk::Target;
use crate::risk::bootstrap::{Blocked, Estimate, blocked, over_days};
use crate::risk::daily::Day;
use crate::risk::evaluate::REPLICATES;
use crate::risk::metrics::{Binning, reliability};
use crate::risk::split::MIN_LATER_OUTCOMES;
use std::collections::{BTreeMap, HashMap};

/// Segment, its value, and the places of its rows among the tested.
pub(super) type Segment = (String, String, Vec<usize>);

pub(super) fn segments(
    pipeline: &Pipeline,
    ingested: &Ingested,
    facts: &Facts,
    tested: &Tested,
) -> Result<Vec<Segment>> {
    let mut found = vec![("all".to_owned(), "all".to_owned(), (0..tested.rows.len()).collect())];
    let folds = tested.fold.iter().map(|fold| format!("{fold:02}")).collect::<Vec<_>>();
    if folds.first() != folds.last() {
        found.extend(grouped("fold", &folds));
    }
    let orders = ingested.tables.get("orders").cloned().unwrap_or_default();
    let order_of: Vec<usize> = tested.rows.iter().map(|&row| facts.order[row]).collect();
    for (segment, values) in of_rows(pipeline, &orders, &order_of)? {
        found.extend(grouped(&segment, &values));
    }
    Ok(found)
}

fn grouped(segment: &str, values: &[String]) -> Vec<Segment> {
    let mut groups: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    for (at, value) in values.iter().enumerate() {
        groups.entry(value).or_default().push(at);
    }
    groups.into_iter().map(|(value, places)| (segment.to_owned(), value.to_owned(), places)).collect()
}

/// Measures every segment that has enough of both outcomes.
pub(super) fn by_segment(
    tested: &Tested,
    segments: &[Segment],
    facts: &Facts,
    seed: u64,
    notes: &mut Vec<String>,
) -> (Vec<Measure>, Vec<Diagram>) {
    let (mut measures, mut diagrams, mut small) = (Vec::new(), Vec::new(), BTreeMap::new());
    for (segment, value, places) in segments {
        let probabilities: Vec<f64> = places.iter().map(|&at| tested.probabilities[at]).collect();
        let labels: Vec<bool> = places.iter().map(|&at| tested.labels[at]).collect();
        let positives = labels.iter().filter(|&&label| label).count();
        if segment != "all" && positives.min(labels.len() - positives) < MIN_LATER_OUTCOMES {
            *small.entry(segment).or_insert(0_usize) += 1;
            continue;
        }
        let blocks = dense(places.iter().map(|&at| facts.customer(tested.rows[at])));
        let found = blocked(&probabilities, &labels, &blocks, REPLICATES, seed);
        let measure = |(name, estimate): (&'static str, Estimate)| Measure {
            segment: segment.clone(),
            segment_value: value.clone(),
            measure: name,
            estimate,
            drawn_by: "customer",
            rows: labels.len(),
            positives,
        };
        measures.extend(named(&found).into_iter().map(measure));
        diagrams.push(Diagram {
            segment: segment.clone(),
            segment_value: value.clone(),
            bins: reliability(&probabilities, &labels, 10, Binning::EqualMass),
        });
    }
    for (segment, count) in small {
        notes.push(format!(
            "{count} values of `{segment}` are not measured: fewer than {MIN_LATER_OUTCOMES} orders of an outcome"
        ));
    }
    (measures, diagrams)
}

fn named(found: &Blocked) -> [(&'static str, Estimate); 6] {
    [
        ("base_rate", found.base_rate),
        ("average_precision", found.average_precision),
        ("roc_auc", found.roc_auc),
        ("recall_at_1pct_fpr", found.recall_at_fpr),
        ("brier", found.brier),
        ("calibration_error", found.calibration_error),
    ]
}

/// Numbers blocks from 0 without holes; a row without a customer is a block of its own.
fn dense(customers: impl Iterator<Item = Option<u32>>) -> Vec<u32> {
    let (mut numbers, mut next) = (HashMap::new(), 0_u32);
    let mut number = |customer: Option<u32>| {
        let known = customer.and_then(|customer| numbers.get(&customer).copied());
        known.unwrap_or_else(|| {
            let fresh = next;
            next += 1;
            numbers.extend(customer.map(|customer| (customer, fresh)));
            fresh
        })
    };
    customers.map(&mut number).collect()
}

/// What the desk sees of the scores over the days.
pub(super) fn desk_measures(evaluated: &Evaluated, seed: u64) -> Vec<Measure> {
    type Pick = fn(&Day) -> f64;
    let days = &evaluated.days;
    // Sums of one thing over sums of another; `mean_over` is the mean over days of their shares.
    let ratio = |over: Pick, under: Pick| {
        over_days(days, REPLICATES, seed, |drawn| {
            let (a, b) = drawn.fold((0.0, 0.0), |(a, b), (w, day)| (a + w * over(day), b + w * under(day)));
            (b > 0.0).then(|| a / b)
        })
    };
    let k = evaluated.per_day as f64;
    let cards = over_days(days, REPLICATES, seed, |drawn| {
        let (a, b) = drawn.fold((0.0, 0.0), |(a, b), (w, day)| (a + w * day.customers_found as f64 / k, b + w));
        (b > 0.0).then(|| a / b)
    });
    let mut found = vec![
        ("precision_at_k_per_day", ratio(|day| day.found as f64, |day| day.looked as f64)),
        ("card_precision_at_k_per_day", cards),
    ];
    // What a look at a likely return saves is not known: it changes nothing about the order yet.
    if evaluated.target == Target::Fraud {
        found.push(("value_recall_at_k_per_day", ratio(|day| day.value_found, |day| day.value)));
    }
    let saved = |policy: &str| evaluated.money.as_ref()?.policies.iter().find(|p| p.policy == policy).map(|p| p.saved);
    for (name, policy) in
        [("money_saved", "model"), ("money_saved_largest_first", "largest_first"), ("money_saved_at_random", "random")]
    {
        found.extend(saved(policy).map(|estimate| (name, estimate)));
    }
    let measure = |(name, estimate): (&'static str, Estimate)| Measure {
        segment: "all".to_owned(),
        segment_value: "all".to_owned(),
        measure: name,
        estimate,
        drawn_by: "day",
        rows: evaluated.rows,
        positives: evaluated.positives,
    };
    found.into_iter().map(measure).collect()
}
