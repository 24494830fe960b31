//! From probabilities and rules to what happens with an order, by what it costs.
//!
//! Rules come first: allow, then hold, then review. Else the cheapest course wins: letting a fraud pass costs the
//! amount and a fee, looking costs a reviewer's time, stopping a good order costs its margin. Where the desk cannot
//! look at all of a day's orders, the most expensive are looked at and the rest pass. Of what the model would then
//! have looked at or stopped, the control share passes untouched.

mod control;
mod measures;
pub mod replay;
pub mod saved;
mod unusual;

pub use control::ControlDraw;
pub use measures::{ReturnMeasure, measure_of};
pub use unusual::add_unusual;

use crate::config::{Effect, Language};
use std::collections::BTreeMap;

/// What happens with an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Action {
    /// It passes.
    Approve,
    /// A person looks, the order goes on meanwhile.
    Review,
    /// It is stopped until a person has decided.
    Hold,
}

impl Action {
    /// Its name in the output.
    pub fn name(self) -> &'static str {
        match self {
            Self::Approve => "approve",
            Self::Review => "review",
            Self::Hold => "hold",
        }
    }

    /// What the desk reads of it.
    pub fn words(self, language: Language) -> &'static str {
        match (language, self) {
            (Language::En, action) => action.name(),
            (Language::Zh, Self::Approve) => "放行",
            (Language::Zh, Self::Review) => "人工审核",
            (Language::Zh, Self::Hold) => "拦截",
        }
    }
}

/// Costs in minor units of the base currency, and the desk's capacity.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Costs {
    /// Of looking at one order.
    pub review: f64,
    /// Lost beside the amount when a fraud passes.
    pub chargeback_fee: f64,
    /// Of a return.
    pub returned: f64,
    /// Share of the amount that is lost when a good order is refused.
    pub margin_share: f64,
    /// Orders the desk can look at in a day; `None` is all.
    pub capacity_per_day: Option<u32>,
}

/// What is known of an order when it is decided on.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Case {
    /// Calendar day it was placed, in the pipeline's zone.
    pub day: i32,
    /// Amount in minor units.
    pub amount: i64,
    /// Probability of fraud; `None` without a model.
    pub fraud: Option<f64>,
    /// Probability of a return; `None` without a model.
    pub returned: Option<f64>,
    /// The strongest effect of the rules it matches: allow before hold before review.
    pub rule: Option<Effect>,
    /// Whether the control draw has it.
    pub drawn: bool,
    /// Its place among all orders by id: decides between what is otherwise equal.
    pub place: u32,
}

/// What was decided.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Verdict {
    /// What happens.
    pub action: Action,
    /// Expected loss if nothing is done, minor units; `None` when neither risk has a probability.
    pub expected_loss: Option<i64>,
    /// What looking at it is expected to save, minor units; orders a rule stops without a probability count their
    /// amount.
    pub priority: i64,
    /// Whether the model alone would have it looked at or stopped; `None` without a model.
    pub fraud_flag: Option<bool>,
    /// Whether it passes as part of the control share; `None` where that is no question: nothing would have been done
    /// about it, or a rule decided.
    pub control: Option<bool>,
}

/// The rule that wins among those an order matches.
pub fn strongest(effects: impl Iterator<Item = Effect>) -> Option<Effect> {
    let rank = |e: &Effect| match e {
        Effect::Approve => 0,
        Effect::Hold => 1,
        Effect::Review => 2,
    };
    effects.min_by_key(rank)
}

/// Decides on orders, whatever the order they come in.
pub fn decide(cases: &[Case], costs: &Costs) -> Vec<Verdict> {
    let mut verdicts: Vec<Verdict> = cases.iter().map(|case| alone(case, costs)).collect();
    if let Some(capacity) = costs.capacity_per_day {
        within_capacity(cases, &mut verdicts, capacity);
    }
    // Last, so that the control share is drawn from exactly what would have been acted on. The desk's places it frees
    // stay free: filling them would make what is done with one order depend on the draw of another.
    for (verdict, case) in verdicts.iter_mut().zip(cases) {
        verdict.control = (verdict.action != Action::Approve && case.rule.is_none()).then_some(case.drawn);
        if verdict.control == Some(true) {
            verdict.action = Action::Approve;
        }
    }
    verdicts
}

/// Lets pass what is beyond the desk's capacity on the day it was placed.
fn within_capacity(cases: &[Case], verdicts: &mut [Verdict], capacity: u32) {
    for list in for_the_desk(cases, verdicts) {
        for &at in list.iter().skip(capacity as usize) {
            // A stopped order stays stopped: only a person may let it go.
            if verdicts[at].action == Action::Review {
                verdicts[at].action = Action::Approve;
                verdicts[at].fraud_flag = verdicts[at].fraud_flag.map(|_| false);
            }
        }
    }
}

/// Which orders a person looks at, by what was decided: of those of a day that are not let pass as many as the desk can,
/// in its order. What is held beyond that stays stopped and nobody has looked.
pub fn looked_at(cases: &[Case], verdicts: &[Verdict], capacity_per_day: Option<u32>) -> Vec<bool> {
    let mut looked = vec![false; cases.len()];
    for list in for_the_desk(cases, verdicts) {
        let capacity = capacity_per_day.map_or(list.len(), |capacity| capacity as usize);
        list.into_iter().take(capacity).for_each(|at| looked[at] = true);
    }
    looked
}

/// The orders that are not let pass, day by day: what must not go on comes first, then what a rule asks for, then what
/// saves most.
fn for_the_desk(cases: &[Case], verdicts: &[Verdict]) -> Vec<Vec<usize>> {
    let mut by_day: BTreeMap<i32, Vec<usize>> = BTreeMap::new();
    for (at, case) in cases.iter().enumerate() {
        if verdicts[at].action != Action::Approve {
            by_day.entry(case.day).or_default().push(at);
        }
    }
    for list in by_day.values_mut() {
        list.sort_by_key(|&at| {
            let ruled = cases[at].rule.is_some();
            (std::cmp::Reverse((verdicts[at].action, ruled, verdicts[at].priority)), cases[at].place)
        });
    }
    by_day.into_values().collect()
}

fn alone(case: &Case, costs: &Costs) -> Verdict {
    let amount = case.amount as f64;
    let fraud_loss = case.fraud.map(|p| p * (amount + costs.chargeback_fee));
    let return_loss = case.returned.map(|p| p * costs.returned);
    let by_model = case.fraud.zip(fraud_loss).map(|(p, loss)| {
        let refused = (1.0 - p) * amount * costs.margin_share;
        if loss <= costs.review {
            Action::Approve
        } else if loss > refused + costs.review {
            Action::Hold
        } else {
            Action::Review
        }
    });
    let action = match case.rule {
        Some(Effect::Approve) => Action::Approve,
        Some(Effect::Hold) => Action::Hold,
        Some(Effect::Review) => by_model.map_or(Action::Review, |m| m.max(Action::Review)),
        None => by_model.unwrap_or(Action::Approve),
    };
    let expected_loss = match (fraud_loss, return_loss) {
        (None, None) => None,
        (a, b) => Some((a.unwrap_or(0.0) + b.unwrap_or(0.0)).round() as i64),
    };
    let saved = fraud_loss.map_or(if action == Action::Approve { 0.0 } else { amount }, |loss| loss - costs.review);
    Verdict {
        action,
        expected_loss,
        priority: saved.round() as i64,
        fraud_flag: by_model.map(|m| m != Action::Approve),
        control: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const COSTS: Costs =
        Costs { review: 400.0, chargeback_fee: 2_000.0, returned: 1_200.0, margin_share: 0.2, capacity_per_day: None };

    fn case(amount: i64, fraud: Option<f64>, rule: Option<Effect>) -> Case {
        Case { day: 0, amount, fraud, returned: None, rule, drawn: false, place: 0 }
    }

    #[test]
    fn the_cheapest_course_wins() {
        let cases = [
            case(10_000, Some(0.02), None), // 240 lost if it passes, less than a look
            case(10_000, Some(0.10), None), // 1,200 lost; refusing a good order loses 1,800
            case(10_000, Some(0.60), None), // 7,200 lost against 800 and a look
        ];
        let actions: Vec<Action> = decide(&cases, &COSTS).iter().map(|v| v.action).collect();
        assert_eq!(actions, [Action::Approve, Action::Review, Action::Hold]);
        assert_eq!(decide(&cases, &COSTS)[1].expected_loss, Some(1_200));
        assert_eq!(decide(&cases, &COSTS)[1].priority, 800);
    }

    #[test]
    fn rules_come_first_allow_before_hold_before_review() {
        assert_eq!(strongest([Effect::Review, Effect::Hold].into_iter()), Some(Effect::Hold));
        assert_eq!(strongest([Effect::Hold, Effect::Approve].into_iter()), Some(Effect::Approve));
        let verdicts = decide(
            &[
                case(10_000, Some(0.9), Some(Effect::Approve)),
                case(10_000, Some(0.0), Some(Effect::Hold)),
                case(10_000, Some(0.9), Some(Effect::Review)),
                case(10_000, None, Some(Effect::Review)),
                case(10_000, None, None),
            ],
            &COSTS,
        );
        let actions: Vec<Action> = verdicts.iter().map(|v| v.action).collect();
        assert_eq!(actions, [Action::Approve, Action::Hold, Action::Hold, Action::Review, Action::Approve]);
        assert_eq!((verdicts[3].fraud_flag, verdicts[3].expected_loss, verdicts[3].priority), (None, None, 10_000));
    }

    #[test]
    fn beyond_the_desks_capacity_reviews_pass_and_holds_stay() {
        let costs = Costs { capacity_per_day: Some(2), ..COSTS };
        let cases = [
            case(10_000, Some(0.10), None),
            case(10_000, Some(0.12), None),
            case(10_000, Some(0.70), None),
            case(10_000, Some(0.80), None),
            case(10_000, Some(0.90), None),
        ];
        let actions: Vec<Action> = decide(&cases, &costs).iter().map(|v| v.action).collect();
        assert_eq!(actions, [Action::Approve, Action::Approve, Action::Hold, Action::Hold, Action::Hold]);
    }

    #[test]
    fn equal_orders_are_looked_at_by_their_place_and_not_by_their_row() {
        let costs = Costs { capacity_per_day: Some(1), ..COSTS };
        let at = |place| Case { place, ..case(10_000, Some(0.10), None) };
        let looked = |cases: &[Case]| -> Vec<u32> {
            let verdicts = decide(cases, &costs);
            cases.iter().zip(&verdicts).filter(|(_, v)| v.action == Action::Review).map(|(c, _)| c.place).collect()
        };
        assert_eq!(looked(&[at(2), at(0), at(1)]), [0]);
        assert_eq!(looked(&[at(0), at(1), at(2)]), [0]);
    }

    #[test]
    fn the_control_share_passes_what_the_model_alone_would_have_acted_on() {
        let drawn = |case: Case| Case { drawn: true, ..case };
        let cases = [
            drawn(case(10_000, Some(0.90), None)),
            drawn(case(10_000, Some(0.01), None)),
            drawn(case(10_000, Some(0.90), Some(Effect::Hold))),
            drawn(case(10_000, Some(0.90), Some(Effect::Review))),
            case(10_000, Some(0.90), None),
            drawn(case(10_000, None, None)),
        ];
        let verdicts = decide(&cases, &COSTS);
        let found: Vec<(Action, Option<bool>)> = verdicts.iter().map(|v| (v.action, v.control)).collect();
        let expected = [
            (Action::Approve, Some(true)),
            (Action::Approve, None),
            (Action::Hold, None),
            (Action::Hold, None),
            (Action::Hold, Some(false)),
            (Action::Approve, None),
        ];
        assert_eq!(found, expected);
        assert_eq!(verdicts[0].fraud_flag, Some(true), "it stays flagged: that is what is measured");
    }
}
