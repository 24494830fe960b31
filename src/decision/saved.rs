//! What ways of choosing orders for the desk would have saved, on orders whose outcome is known.
//!
//! ```text
//! saved = loss avoided − cost of looks − margin lost                 against letting every order pass
//!
//! loss avoided   Σ over frauds that were stopped      (amount + chargeback fee)
//! cost of looks  Σ over orders that were looked at    review cost
//! margin lost    Σ over good orders that were stopped (margin share × amount)
//! ```
//!
//! An order is stopped when it is held and nobody looks, or when the person who looks stops it: a fraud with the
//! probability [`Reviewer::finds`], a good order with [`Reviewer::refuses`]. A perfect reviewer has 1 and 0. Whoever looks
//! does so before the order leaves, and what is let pass is let pass for good: a later run changes nothing. What a
//! customer does who was stopped wrongly, beyond that order, is not counted.
//!
//! Every policy has the same desk: at most so many orders a day.

use super::{Action, Case, Costs, Verdict, decide, looked_at};
use crate::config::Effect;
use std::collections::BTreeMap;

/// A way of choosing orders.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Policy {
    /// Every order passes.
    Nothing,
    /// As many orders a day as [`Self::RulesAndModel`] has looked at, drawn at random: what is told is the mean of draws.
    Random,
    /// As many orders a day as [`Self::RulesAndModel`] has looked at, the largest first.
    LargestFirst,
    /// All the desk can look at in a day, drawn at random.
    RandomAtCapacity,
    /// All the desk can look at in a day, the largest first.
    LargestFirstAtCapacity,
    /// The rules that act, without a model.
    Rules,
    /// The model by expected cost, without rules.
    Model,
    /// What a run does: rules first, then the model.
    RulesAndModel,
}

impl Policy {
    /// All of them, in the order they are shown.
    pub const ALL: [Self; 8] = [
        Self::Nothing,
        Self::Random,
        Self::LargestFirst,
        Self::RandomAtCapacity,
        Self::LargestFirstAtCapacity,
        Self::Rules,
        Self::Model,
        Self::RulesAndModel,
    ];

    /// Its name in the output.
    pub fn name(self) -> &'static str {
        match self {
            Self::Nothing => "none",
            Self::Random => "random",
            Self::LargestFirst => "largest_first",
            Self::RandomAtCapacity => "random_at_capacity",
            Self::LargestFirstAtCapacity => "largest_first_at_capacity",
            Self::Rules => "rules",
            Self::Model => "model",
            Self::RulesAndModel => "rules_and_model",
        }
    }
}

/// An order with its outcome.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Settled {
    /// Calendar day it was placed.
    pub day: i32,
    /// Amount in minor units.
    pub amount: i64,
    /// Whether it was fraud.
    pub fraud: bool,
    /// Probability of fraud from a model that was learnt before.
    pub probability: f64,
    /// The strongest effect of the acting rules it matches.
    pub rule: Option<Effect>,
    /// Its place among all orders by id: decides between what is otherwise equal.
    pub place: u32,
}

/// How good the people at the desk are.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Reviewer {
    /// Share of the frauds they look at that they stop, 0 to 1.
    pub finds: f64,
    /// Share of the good orders they look at that they stop, 0 to 1.
    pub refuses: f64,
}

impl Default for Reviewer {
    /// A perfect one.
    fn default() -> Self {
        Self { finds: 1.0, refuses: 0.0 }
    }
}

/// What a policy did on one day. Amounts are minor units; everything is a mean over draws where chance decides.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Day {
    /// Orders looked at.
    pub looked: f64,
    /// Orders held at which nobody could look.
    pub held_unseen: f64,
    /// Frauds stopped.
    pub frauds_stopped: f64,
    /// Good orders stopped.
    pub good_stopped: f64,
    /// Amounts of the frauds stopped, with the fee of each.
    pub loss_avoided: f64,
    /// Cost of the looks.
    pub review_cost: f64,
    /// Margin of the good orders stopped.
    pub margin_lost: f64,
}

impl Day {
    /// `loss_avoided − review_cost − margin_lost`.
    pub fn saved(&self) -> f64 {
        self.loss_avoided - self.review_cost - self.margin_lost
    }

    /// Adds another day, `weight` times.
    pub fn add(&mut self, weight: f64, other: &Self) {
        self.looked += weight * other.looked;
        self.held_unseen += weight * other.held_unseen;
        self.frauds_stopped += weight * other.frauds_stopped;
        self.good_stopped += weight * other.good_stopped;
        self.loss_avoided += weight * other.loss_avoided;
        self.review_cost += weight * other.review_cost;
        self.margin_lost += weight * other.margin_lost;
    }
}

/// One day under every policy.
#[derive(Debug, Clone, PartialEq)]
pub struct Compared {
    /// Days since 1970-01-01.
    pub day: i32,
    /// Orders placed.
    pub orders: usize,
    /// Frauds among them.
    pub frauds: usize,
    /// What the frauds cost if all pass: their amounts, with the fee of each.
    pub fraud_loss: f64,
    /// By policy, in the order of [`Policy::ALL`].
    pub policies: [Day; Policy::ALL.len()],
}

impl Compared {
    /// The day under one policy.
    pub fn of(&self, policy: Policy) -> &Day {
        &self.policies[policy as usize]
    }
}

/// What becomes of an order under a policy.
#[derive(Debug, Clone, Copy, Default)]
struct Fate {
    /// Probability that a person looks.
    looked: f64,
    /// Held, and nobody looks.
    held_unseen: bool,
}

/// Follows every policy through the days of `orders`; `costs.capacity_per_day` is the desk's.
pub fn compare(orders: &[Settled], costs: &Costs, reviewer: Reviewer) -> Vec<Compared> {
    let (by_model, by_rules, by_both) =
        (decided(orders, costs, 1), decided(orders, costs, 2), decided(orders, costs, 3));
    let mut days: BTreeMap<i32, Vec<usize>> = BTreeMap::new();
    for (at, order) in orders.iter().enumerate() {
        days.entry(order.day).or_default().push(at);
    }
    let one = |(day, mut members): (i32, Vec<usize>)| {
        members.sort_by_key(|&at| (std::cmp::Reverse(orders[at].amount), orders[at].place));
        let capacity = costs.capacity_per_day.map_or(members.len(), |k| (k as usize).min(members.len()));
        let looks = members.iter().filter(|&&at| by_both[at].looked > 0.0).count();
        let drawn = |looks: usize| Fate { looked: looks as f64 / members.len() as f64, held_unseen: false };
        let first = |rank: usize, looks: usize| Fate { looked: f64::from(u8::from(rank < looks)), held_unseen: false };
        let mut policies = [Day::default(); Policy::ALL.len()];
        for policy in Policy::ALL {
            for (rank, &at) in members.iter().enumerate() {
                let fate = match policy {
                    Policy::Nothing => Fate::default(),
                    Policy::Random => drawn(looks),
                    Policy::LargestFirst => first(rank, looks),
                    Policy::RandomAtCapacity => drawn(capacity),
                    Policy::LargestFirstAtCapacity => first(rank, capacity),
                    Policy::Rules => by_rules[at],
                    Policy::Model => by_model[at],
                    Policy::RulesAndModel => by_both[at],
                };
                policies[policy as usize].add(1.0, &outcome(&orders[at], fate, costs, reviewer));
            }
        }
        let frauds = || members.iter().filter(|&&at| orders[at].fraud);
        Compared {
            day,
            orders: members.len(),
            frauds: frauds().count(),
            fraud_loss: frauds().map(|&at| orders[at].amount as f64 + costs.chargeback_fee).sum(),
            policies,
        }
    };
    days.into_iter().map(one).collect()
}

/// The verdicts of the model alone, as a run without rules would give them within the desk's capacity.
pub fn model_alone(orders: &[Settled], costs: &Costs) -> Vec<Verdict> {
    decide(&cases(orders, 1), costs)
}

/// 1 is the model, 2 the rules, 3 both.
fn cases(orders: &[Settled], parts: u8) -> Vec<Case> {
    let case = |order: &Settled| Case {
        day: order.day,
        amount: order.amount,
        fraud: (parts & 1 > 0).then_some(order.probability),
        returned: None,
        rule: order.rule.filter(|_| parts & 2 > 0),
        drawn: false,
        place: order.place,
    };
    orders.iter().map(case).collect()
}

fn decided(orders: &[Settled], costs: &Costs, parts: u8) -> Vec<Fate> {
    let cases = cases(orders, parts);
    let verdicts = decide(&cases, costs);
    let looked = looked_at(&cases, &verdicts, costs.capacity_per_day);
    let fate = |(verdict, looked): (&Verdict, bool)| Fate {
        looked: f64::from(u8::from(looked)),
        held_unseen: verdict.action == Action::Hold && !looked,
    };
    verdicts.iter().zip(looked).map(fate).collect()
}

fn outcome(order: &Settled, fate: Fate, costs: &Costs, reviewer: Reviewer) -> Day {
    let held = f64::from(u8::from(fate.held_unseen));
    let stopped = held + fate.looked * if order.fraud { reviewer.finds } else { reviewer.refuses };
    let (fraud, good) = if order.fraud { (stopped, 0.0) } else { (0.0, stopped) };
    Day {
        looked: fate.looked,
        held_unseen: held,
        frauds_stopped: fraud,
        good_stopped: good,
        loss_avoided: fraud * (order.amount as f64 + costs.chargeback_fee),
        review_cost: fate.looked * costs.review,
        margin_lost: good * order.amount as f64 * costs.margin_share,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const COSTS: Costs =
        Costs { review: 4.0, chargeback_fee: 10.0, returned: 0.0, margin_share: 0.25, capacity_per_day: Some(2) };

    fn order(place: u32, amount: i64, fraud: bool, probability: f64, rule: Option<Effect>) -> Settled {
        Settled { day: 0, amount, fraud, probability, rule, place }
    }

    /// One day, five orders:
    ///
    /// | place | amount | fraud | p | rule | model alone |
    /// |---|---|---|---|---|---|
    /// | 0 | 100 | yes | 0.9 | – | hold: 99 lost if it passes, against 0.1 × 25 + 4 |
    /// | 1 | 400 | no | 0.0 | hold | pass |
    /// | 2 | 200 | yes | 0.1 | – | review: 21 against 4, and 0.9 × 50 + 4 if refused |
    /// | 3 | 80 | no | 0.8 | – | hold: 72 against 0.2 × 20 + 4 |
    /// | 4 | 20 | yes | 0.9 | approve | hold: 27 against 0.1 × 5 + 4 |
    fn day() -> Vec<Settled> {
        vec![
            order(0, 100, true, 0.9, None),
            order(1, 400, false, 0.0, Some(Effect::Hold)),
            order(2, 200, true, 0.1, None),
            order(3, 80, false, 0.8, None),
            order(4, 20, true, 0.9, Some(Effect::Approve)),
        ]
    }

    #[test]
    fn what_each_policy_saves_is_as_counted_by_hand() {
        let found = compare(&day(), &COSTS, Reviewer::default());
        assert_eq!((found.len(), found[0].orders, found[0].frauds), (1, 5, 3));
        assert_eq!(found[0].fraud_loss, 110.0 + 210.0 + 30.0);
        let of = |policy| {
            let day = found[0].of(policy);
            (day.looked, day.held_unseen, day.frauds_stopped, day.good_stopped, day.saved())
        };
        assert_eq!(of(Policy::Nothing), (0.0, 0.0, 0.0, 0.0, 0.0));
        // Holds by what they save: 0 (99 − 4) and 3 (72 − 4) are looked at, 4 stays held and unseen, 2 passes.
        assert_eq!(of(Policy::Model), (2.0, 1.0, 2.0, 0.0, 110.0 + 30.0 - 8.0));
        // 1 is held and looked at: it is good, and goes on.
        assert_eq!(of(Policy::Rules), (1.0, 0.0, 0.0, 0.0, -4.0));
        // Held are 1 (by a rule, first), 0 and 3; 4 is let pass. Looked at are 1 and 0, 3 is stopped wrongly.
        assert_eq!(of(Policy::RulesAndModel), (2.0, 1.0, 1.0, 1.0, 110.0 - 8.0 - 20.0));
        // The two largest: 1 is good, 2 a fraud.
        assert_eq!(of(Policy::LargestFirst), (2.0, 0.0, 1.0, 0.0, 210.0 - 8.0));
        let random = found[0].of(Policy::Random);
        assert!((random.saved() - (350.0 * 0.4 - 8.0)).abs() < 1e-9, "{random:?}");
        assert_eq!(found[0].of(Policy::RandomAtCapacity), random, "here the desk is full");
    }

    #[test]
    fn a_reviewer_who_errs_stops_fewer_frauds_and_some_good_orders() {
        let found = compare(&day(), &COSTS, Reviewer { finds: 0.5, refuses: 0.1 });
        // Of the two looked at 0 is stopped half the time and 3 a tenth of it; 4 is held and unseen.
        let model = found[0].of(Policy::Model);
        assert!((model.saved() - (0.5 * 110.0 + 30.0 - 8.0 - 0.1 * 20.0)).abs() < 1e-9, "{model:?}");
        assert!((model.good_stopped - 0.1).abs() < 1e-9);
    }

    #[test]
    fn days_do_not_share_a_desk_and_the_order_of_rows_does_not_show() {
        let mut orders = day();
        orders.extend(day().into_iter().map(|order| Settled { day: 1, place: order.place + 5, ..order }));
        let there = compare(&orders, &COSTS, Reviewer::default());
        orders.reverse();
        let back = compare(&orders, &COSTS, Reviewer::default());
        assert_eq!(there, back);
        assert_eq!(there[0].policies, there[1].policies);
    }
}
