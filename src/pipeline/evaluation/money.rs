//! What the decisions were worth on the orders tested: money saved by policy, and the rules on history.

use super::{EvaluateOptions, Facts, MoneySaved, PolicyDay, PolicySaved, Tested};
use crate::config::Pipeline;
use crate::decision::Costs;
use crate::decision::saved::{Compared, Day, Policy, Reviewer, Settled, compare, model_alone};
use crate::error::{Error, Result};
use crate::ingest::Ingested;
use crate::pipeline::replay::{AsPlaced, Known, RuleReplay, replayed};
use crate::pipeline::scores::{ints, places, texts};
use crate::risk::Label;
use crate::risk::bootstrap::over_days;
use crate::risk::evaluate::REPLICATES;

/// All orders, and what is known of them.
pub(super) struct History<'a> {
    pub(super) orders: &'a Ingested,
    pub(super) facts: &'a Facts,
    pub(super) labels: &'a [Label],
    /// The rules' hits; `None` without rules.
    pub(super) placed: Option<&'a AsPlaced>,
}

/// Money saved on the orders tested (`None` where none was), and the rules replayed if that was asked for.
pub(super) fn decisions(
    pipeline: &Pipeline,
    history: &History,
    tested: &Tested,
    costs: &Costs,
    options: &EvaluateOptions,
) -> Result<(Option<MoneySaved>, Option<RuleReplay>)> {
    let orders =
        history.orders.tables.get("orders").ok_or_else(|| Error::Invariant("no orders are evaluated".to_owned()))?;
    let amounts: Vec<i64> = ints(orders, "amount")?.into_iter().map(|amount| amount.unwrap_or(0).max(0)).collect();
    let places = places(&texts(orders, "order_id")?);
    let settled: Vec<Settled> = tested
        .rows
        .iter()
        .zip(tested.probabilities.iter().zip(&tested.labels))
        .map(|(&row, (&probability, &fraud))| Settled {
            day: history.facts.days[row],
            amount: amounts[row],
            fraud,
            probability,
            rule: history.placed.and_then(|placed| placed.effect(row)),
            place: places[row],
        })
        .collect();
    let money = (!settled.is_empty()).then(|| saved(&settled, costs, options, history.placed));
    let rules = match history.placed.filter(|_| options.rules) {
        None => None,
        Some(placed) => {
            let mut flagged = vec![None; history.labels.len()];
            for (&row, verdict) in tested.rows.iter().zip(model_alone(&settled, costs)) {
                flagged[row] = verdict.fraud_flag;
            }
            let known =
                Known { days: &history.facts.days, amounts: &amounts, labels: history.labels, flagged: &flagged };
            Some(replayed(pipeline, placed, &known)?)
        }
    };
    Ok((money, rules))
}

/// Every policy on the same orders; intervals draw days.
fn saved(settled: &[Settled], costs: &Costs, options: &EvaluateOptions, placed: Option<&AsPlaced>) -> MoneySaved {
    let days = compare(settled, costs, options.reviewer);
    // Without a rule that acts, `rules` is `none`, and both together are the model.
    let with_rules = placed.is_some_and(AsPlaced::any_acts);
    let shown = |policy: &Policy| with_rules || !matches!(policy, Policy::Rules | Policy::RulesAndModel);
    let policies: Vec<Policy> = Policy::ALL.into_iter().filter(shown).collect();
    // The sum of what one policy saves, over what another does.
    let sum = |policy: Policy, over: Policy| {
        over_days(&days, REPLICATES, options.seed, |drawn| {
            Some(drawn.map(|(weight, day)| weight * (day.of(policy).saved() - day.of(over).saved())).sum())
        })
    };
    let told = |policy: Policy| {
        let mut whole = Day::default();
        days.iter().for_each(|day| whole.add(1.0, day.of(policy)));
        PolicySaved {
            policy: policy.name(),
            looked: whole.looked,
            held_unseen: whole.held_unseen,
            frauds_stopped: whole.frauds_stopped,
            good_stopped: whole.good_stopped,
            loss_avoided: whole.loss_avoided,
            review_cost: whole.review_cost,
            margin_lost: whole.margin_lost,
            saved: sum(policy, Policy::Nothing),
            more_than_random: sum(policy, Policy::Random),
            more_than_largest_first: sum(policy, Policy::LargestFirst),
        }
    };
    let Reviewer { finds, refuses } = options.reviewer;
    MoneySaved {
        review_cost: costs.review,
        chargeback_fee: costs.chargeback_fee,
        margin_share: costs.margin_share,
        reviewer_finds: finds,
        reviewer_refuses: refuses,
        orders: days.iter().map(|day| day.orders).sum(),
        frauds: days.iter().map(|day| day.frauds).sum(),
        fraud_loss: days.iter().map(|day| day.fraud_loss).sum(),
        policies: policies.iter().map(|&policy| told(policy)).collect(),
        days: days.iter().flat_map(|day| policies.iter().map(|&policy| by_day(day, policy))).collect(),
    }
}

fn by_day(day: &Compared, policy: Policy) -> PolicyDay {
    let of = day.of(policy);
    PolicyDay {
        day: day.day,
        policy: policy.name(),
        orders: day.orders,
        frauds: day.frauds,
        looked: of.looked,
        held_unseen: of.held_unseen,
        frauds_stopped: of.frauds_stopped,
        good_stopped: of.good_stopped,
        loss_avoided: of.loss_avoided,
        review_cost: of.review_cost,
        margin_lost: of.margin_lost,
        saved: of.saved(),
    }
}
