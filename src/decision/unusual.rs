//! What the desk looks at while there is no model: beside the rules' hits, the most unusual orders.

use super::{Action, Case, Verdict};
use std::collections::BTreeMap;

/// Where the desk has no stated capacity, the share of a day's scored orders that is put before it. Frauds are seldom
/// more, and a desk that is handed everything looks at nothing.
const SHARE: f64 = 0.02;

/// The score from which an order is unusual at all: that of one which takes as many splits as is to be expected of any.
/// A little above one half: where all orders are the same, rounding must not make them unusual.
const UNUSUAL: f64 = 0.500_001;

/// Fills what the rules left of each day's capacity with the orders of the highest score, one a case; `None` has no
/// score.
///
/// Orders that a rule or a probability decided on are left as they are. Those that are added count their amount as
/// priority, as rules' hits without a probability do.
pub fn add_unusual(cases: &[Case], verdicts: &mut [Verdict], scores: &[Option<f64>], capacity_per_day: Option<u32>) {
    let mut days: BTreeMap<i32, (usize, usize, Vec<usize>)> = BTreeMap::new();
    for (at, (case, verdict)) in cases.iter().zip(verdicts.iter()).enumerate() {
        let (busy, scored, candidates) = days.entry(case.day).or_default();
        *busy += usize::from(verdict.action != Action::Approve);
        let Some(score) = scores.get(at).copied().flatten() else { continue };
        *scored += 1;
        if score > UNUSUAL && case.rule.is_none() && case.fraud.is_none() && verdict.action == Action::Approve {
            candidates.push(at);
        }
    }
    let score = |at: usize| scores[at].unwrap_or_default();
    for (busy, scored, mut candidates) in days.into_values() {
        candidates.sort_by(|&a, &b| score(b).total_cmp(&score(a)).then(cases[a].place.cmp(&cases[b].place)));
        let free = match capacity_per_day {
            Some(capacity) => (capacity as usize).saturating_sub(busy),
            None => (SHARE * scored as f64).ceil() as usize,
        };
        for at in candidates.into_iter().take(free) {
            verdicts[at].action = Action::Review;
            verdicts[at].priority = cases[at].amount;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Effect;

    fn decided(capacity: Option<u32>) -> Vec<Action> {
        let case = |place, rule| Case { day: 0, amount: 100, fraud: None, returned: None, rule, drawn: false, place };
        let cases = [
            case(0, None),
            case(1, Some(Effect::Review)),
            case(2, None),
            case(3, None),
            case(4, Some(Effect::Approve)),
            case(5, None),
        ];
        let scores = [Some(0.6), None, Some(0.7), Some(0.6), Some(0.9), Some(0.4)];
        let action = |case: &Case| if case.rule == Some(Effect::Review) { Action::Review } else { Action::Approve };
        let verdict =
            |case| Verdict { action: action(case), expected_loss: None, priority: 0, fraud_flag: None, control: None };
        let mut verdicts: Vec<Verdict> = cases.iter().map(verdict).collect();
        add_unusual(&cases, &mut verdicts, &scores, capacity);
        verdicts.into_iter().map(|verdict| verdict.action).collect()
    }

    #[test]
    fn what_rules_leave_of_the_capacity_goes_to_the_most_unusual_orders() {
        use Action::{Approve, Review};
        assert_eq!(decided(Some(1)), [Approve, Review, Approve, Approve, Approve, Approve]);
        assert_eq!(decided(Some(3)), [Review, Review, Review, Approve, Approve, Approve]);
        // What a rule lets pass passes, and what is usual is not looked at even by an idle desk.
        assert_eq!(decided(Some(9)), [Review, Review, Review, Review, Approve, Approve]);
    }

    #[test]
    fn a_desk_without_a_stated_capacity_gets_a_small_share() {
        use Action::{Approve, Review};
        assert_eq!(decided(None), [Approve, Review, Review, Approve, Approve, Approve]);
    }
}
