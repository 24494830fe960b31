//! Rules on history: what each would have matched, how much of it was fraud, and what the model flagged of it.
//!
//! Nothing here learns, so all of history counts; where a model is compared, only orders that it scored without having
//! seen them.

use super::strongest;
use crate::config::Effect;
use std::collections::{BTreeMap, BTreeSet};

/// A rule, as far as it matters here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ruling {
    /// What it does.
    pub effect: Effect,
    /// Whether it does it; else it is in shadow.
    pub acts: bool,
}

/// An order of history.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Past<'a> {
    /// The period it is counted in, any number that sorts; such as the first day of its month.
    pub period: i32,
    /// Amount in minor units.
    pub amount: i64,
    /// Whether it was fraud; `None` while that is not mature.
    pub fraud: Option<bool>,
    /// Whether the model alone would have had it looked at or stopped; `None` where it was not tested on.
    pub flagged: Option<bool>,
    /// The rules it matches, by position, rising.
    pub hits: &'a [usize],
}

/// What a line of a replay is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// One rule, by position: whatever it matches, overruled or not.
    Rule(usize),
    /// Orders on which the acting rules have this effect in the end: allow first, then hold, then review.
    Effect(Effect),
    /// Orders that the acting rules hold or have looked at in the end.
    Acting,
    /// As [`Self::Acting`], if the rules in shadow acted too.
    WithShadows,
}

/// What was counted. Values are sums of amounts, minor units.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Orders of the period.
    pub orders: u64,
    /// Of those, orders whose label is mature.
    pub orders_labelled: u64,
    /// Frauds among all labelled orders of the period.
    pub frauds_in_all: u64,
    /// Their value.
    pub fraud_value_in_all: i128,
    /// Orders matched.
    pub hits: u64,
    /// Matched orders on which it decides: no acting rule is stronger. For a rule in shadow: on which something else would
    /// happen if it acted.
    pub decides: u64,
    /// Matched orders whose label is mature.
    pub labelled: u64,
    /// Of those, frauds.
    pub frauds: u64,
    /// Value of those frauds.
    pub fraud_value: i128,
    /// Value of the labelled hits that were no fraud.
    pub good_value: i128,
    /// Labelled orders that the model was tested on.
    pub tested: u64,
    /// Of those, matched and flagged by the model.
    pub both: u64,
    /// Matched alone.
    pub only_rule: u64,
    /// Flagged alone.
    pub only_model: u64,
    /// Frauds matched and flagged.
    pub frauds_both: u64,
    /// Frauds matched alone: what the model misses.
    pub frauds_only_rule: u64,
    /// Frauds flagged alone.
    pub frauds_only_model: u64,
}

impl Counts {
    /// Share of labelled hits that were fraud; `None` without any.
    pub fn precision(&self) -> Option<f64> {
        (self.labelled > 0).then(|| self.frauds as f64 / self.labelled as f64)
    }

    /// Share of the value of all labelled frauds that is matched; `None` where there is none.
    pub fn fraud_value_share(&self) -> Option<f64> {
        (self.fraud_value_in_all > 0).then(|| self.fraud_value as f64 / self.fraud_value_in_all as f64)
    }

    /// Orders matched and flagged over orders matched or flagged (Jaccard 1901); `None` without any.
    pub fn jaccard(&self) -> Option<f64> {
        let either = self.both + self.only_rule + self.only_model;
        (either > 0).then(|| self.both as f64 / either as f64)
    }

    fn take(&mut self, order: &Past, is_hit: bool, decides: bool) {
        let fraud = order.fraud == Some(true);
        self.orders += 1;
        self.orders_labelled += u64::from(order.fraud.is_some());
        self.frauds_in_all += u64::from(fraud);
        self.fraud_value_in_all += if fraud { i128::from(order.amount) } else { 0 };
        self.decides += u64::from(decides);
        if is_hit {
            self.hits += 1;
            match order.fraud {
                Some(true) => self.fraud_value += i128::from(order.amount),
                Some(false) => self.good_value += i128::from(order.amount),
                None => {}
            }
            self.labelled += u64::from(order.fraud.is_some());
            self.frauds += u64::from(fraud);
        }
        let (Some(flagged), Some(_)) = (order.flagged, order.fraud) else { return };
        self.tested += 1;
        let place = match (is_hit, flagged) {
            (true, true) => Some((&mut self.both, &mut self.frauds_both)),
            (true, false) => Some((&mut self.only_rule, &mut self.frauds_only_rule)),
            (false, true) => Some((&mut self.only_model, &mut self.frauds_only_model)),
            (false, false) => None,
        };
        if let Some((orders, frauds)) = place {
            *orders += 1;
            *frauds += u64::from(fraud);
        }
    }
}

/// One line of a replay.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Line {
    /// What it is about.
    pub scope: Scope,
    /// The period; `None` is all of history.
    pub period: Option<i32>,
    /// What was counted.
    pub counts: Counts,
}

/// Something odd about the rules. Rules are named by position.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Finding {
    /// It matches no order of history.
    NeverMatches(usize),
    /// It matches every one.
    AlwaysMatches(usize),
    /// It acts and matches, and on each order it matches a stronger rule decides.
    NeverDecides(usize),
    /// Two rules of one effect match exactly the same orders.
    Same(usize, usize),
    /// One allows what the other stops or has looked at. A rule in shadow counts as if it acted.
    Contradict {
        /// The rule that allows, and wins.
        allows: usize,
        /// The rule that holds or asks for a look.
        stops: usize,
        /// Orders that match both.
        orders: u64,
        /// Of those, labelled ones.
        labelled: u64,
        /// Of those, frauds.
        frauds: u64,
    },
}

/// Replays `rules` over `orders`: lines by scope, for all of history and by period, and what is odd.
pub fn replay(rules: &[Ruling], orders: &[Past]) -> (Vec<Line>, Vec<Finding>) {
    let scopes: Vec<Scope> = (0..rules.len())
        .map(Scope::Rule)
        .chain([Effect::Approve, Effect::Hold, Effect::Review].map(Scope::Effect))
        .chain([Scope::Acting])
        .chain(rules.iter().any(|rule| !rule.acts).then_some(Scope::WithShadows))
        .collect();
    let mut all = vec![Counts::default(); scopes.len()];
    let mut periods: BTreeMap<i32, Vec<Counts>> = BTreeMap::new();
    for order in orders {
        let acting = strongest(order.hits.iter().filter(|&&at| rules[at].acts).map(|&at| rules[at].effect));
        let with_shadows = strongest(order.hits.iter().map(|&at| rules[at].effect));
        let of_period = periods.entry(order.period).or_insert_with(|| vec![Counts::default(); scopes.len()]);
        for (place, scope) in scopes.iter().enumerate() {
            let stops = |effect: Option<Effect>| matches!(effect, Some(Effect::Hold | Effect::Review));
            let (is_hit, decides) = match *scope {
                Scope::Rule(at) => {
                    let (is_hit, effect) = (order.hits.contains(&at), rules[at].effect);
                    let wins = strongest(acting.into_iter().chain([effect])) == Some(effect);
                    (is_hit, is_hit && wins && (rules[at].acts || acting != Some(effect)))
                }
                Scope::Effect(effect) => (acting == Some(effect), acting == Some(effect)),
                Scope::Acting => (stops(acting), stops(acting)),
                Scope::WithShadows => (stops(with_shadows), stops(with_shadows)),
            };
            all[place].take(order, is_hit, decides);
            of_period[place].take(order, is_hit, decides);
        }
    }
    let findings = findings(rules, orders, &all);
    let mut lines = Vec::with_capacity(scopes.len() * (periods.len() + 1));
    for (place, &scope) in scopes.iter().enumerate() {
        lines.push(Line { scope, period: None, counts: all[place] });
        lines.extend(periods.iter().map(|(&period, counts)| Line {
            scope,
            period: Some(period),
            counts: counts[place],
        }));
    }
    (lines, findings)
}

fn findings(rules: &[Ruling], orders: &[Past], counts: &[Counts]) -> Vec<Finding> {
    let mut found = Vec::new();
    for (at, (rule, counts)) in rules.iter().zip(counts).enumerate() {
        if counts.hits == 0 {
            found.push(Finding::NeverMatches(at));
        } else if counts.hits == counts.orders {
            found.push(Finding::AlwaysMatches(at));
        }
        if rule.acts && counts.hits > 0 && counts.decides == 0 {
            found.push(Finding::NeverDecides(at));
        }
    }
    // Orders that match two rules, by the pair; labelled ones and frauds among them.
    let mut pairs: BTreeMap<(usize, usize), (u64, u64, u64)> = BTreeMap::new();
    for order in orders {
        for (nth, &one) in order.hits.iter().enumerate() {
            for &other in &order.hits[nth + 1..] {
                let (both, labelled, frauds) = pairs.entry((one, other)).or_default();
                *both += 1;
                *labelled += u64::from(order.fraud.is_some());
                *frauds += u64::from(order.fraud == Some(true));
            }
        }
    }
    let mut same = BTreeSet::new();
    for (&(one, other), &(both, labelled, frauds)) in &pairs {
        match (rules[one].effect, rules[other].effect) {
            (a, b) if a == b && both == counts[one].hits && both == counts[other].hits => {
                same.insert((one, other));
            }
            (a, b) if a == b => {}
            (Effect::Approve, _) => {
                found.push(Finding::Contradict { allows: one, stops: other, orders: both, labelled, frauds });
            }
            (_, Effect::Approve) => {
                found.push(Finding::Contradict { allows: other, stops: one, orders: both, labelled, frauds });
            }
            // Held and looked at is held: nothing is said against anything.
            _ => {}
        }
    }
    found.extend(same.into_iter().map(|(one, other)| Finding::Same(one, other)));
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALLOW: usize = 0;
    const HOLD: usize = 1;
    const REVIEW: usize = 2;
    const SHADOW: usize = 3;

    const RULES: [Ruling; 4] = [
        Ruling { effect: Effect::Approve, acts: true },
        Ruling { effect: Effect::Hold, acts: true },
        Ruling { effect: Effect::Review, acts: true },
        Ruling { effect: Effect::Hold, acts: false },
    ];

    fn past(period: i32, amount: i64, fraud: Option<bool>, flagged: Option<bool>, hits: &[usize]) -> Past<'_> {
        Past { period, amount, fraud, flagged, hits }
    }

    /// Seven orders of two months.
    fn history() -> Vec<Past<'static>> {
        vec![
            past(1, 100, Some(true), None, &[HOLD, REVIEW]),
            past(1, 50, Some(false), None, &[ALLOW, HOLD]),
            past(1, 70, Some(true), Some(true), &[]),
            past(2, 30, Some(true), Some(true), &[REVIEW, SHADOW]),
            past(2, 10, Some(false), Some(false), &[REVIEW]),
            past(2, 90, Some(true), Some(false), &[SHADOW]),
            past(2, 60, None, None, &[HOLD]),
        ]
    }

    fn line(scope: Scope, period: Option<i32>) -> Counts {
        let (lines, _) = replay(&RULES, &history());
        lines.into_iter().find(|line| line.scope == scope && line.period == period).unwrap().counts
    }

    #[test]
    fn a_rule_counts_what_it_matches_and_what_became_of_it() {
        let hold = line(Scope::Rule(HOLD), None);
        let expected = Counts {
            orders: 7,
            orders_labelled: 6,
            frauds_in_all: 4,
            fraud_value_in_all: 100 + 70 + 30 + 90,
            hits: 3,
            decides: 2,
            labelled: 2,
            frauds: 1,
            fraud_value: 100,
            good_value: 50,
            tested: 4,
            only_model: 2,
            frauds_only_model: 2,
            ..Counts::default()
        };
        assert_eq!(hold, expected);
        assert_eq!((hold.precision(), hold.fraud_value_share()), (Some(0.5), Some(100.0 / 290.0)));
        let review = line(Scope::Rule(REVIEW), None);
        assert_eq!((review.hits, review.decides, review.both, review.only_rule, review.only_model), (3, 2, 1, 1, 1));
        assert_eq!((review.frauds_both, review.frauds_only_rule, review.frauds_only_model), (1, 0, 1));
        assert_eq!(review.jaccard(), Some(1.0 / 3.0));
    }

    #[test]
    fn allow_comes_first_then_hold_then_review_and_shadows_change_nothing() {
        let hits = |scope| line(scope, None).hits;
        assert_eq!(hits(Scope::Effect(Effect::Approve)), 1);
        assert_eq!(hits(Scope::Effect(Effect::Hold)), 2);
        assert_eq!(hits(Scope::Effect(Effect::Review)), 2);
        assert_eq!((hits(Scope::Acting), hits(Scope::WithShadows)), (4, 5));
        // In shadow it would stop one order more and turn a look into a hold.
        assert_eq!(line(Scope::Rule(SHADOW), None).decides, 2);
    }

    #[test]
    fn periods_add_up_to_all_of_history() {
        let (lines, _) = replay(&RULES, &history());
        for whole in lines.iter().filter(|line| line.period.is_none()) {
            let of = |pick: fn(&Counts) -> u64| {
                let parts = lines.iter().filter(|line| line.scope == whole.scope && line.period.is_some());
                (parts.map(|line| pick(&line.counts)).sum::<u64>(), pick(&whole.counts))
            };
            for (parts, all) in [of(|c| c.orders), of(|c| c.hits), of(|c| c.decides), of(|c| c.frauds), of(|c| c.both)]
            {
                assert_eq!(parts, all, "{:?}", whole.scope);
            }
        }
        assert_eq!(line(Scope::Rule(SHADOW), Some(1)).precision(), None, "no hit has no precision");
    }

    #[test]
    fn what_is_odd_about_rules_is_found() {
        let (_, found) = replay(&RULES, &history());
        let contradiction = Finding::Contradict { allows: ALLOW, stops: HOLD, orders: 1, labelled: 1, frauds: 0 };
        assert_eq!(found, [contradiction]);
        let rules = [RULES[ALLOW], RULES[HOLD], RULES[HOLD], RULES[REVIEW], RULES[REVIEW]];
        let orders = [past(0, 1, None, None, &[0, 1, 2]), past(0, 1, None, None, &[0, 3])];
        let (_, found) = replay(&rules, &orders);
        let contradict = |stops| Finding::Contradict { allows: 0, stops, orders: 1, labelled: 0, frauds: 0 };
        let expected = [
            Finding::AlwaysMatches(0),
            Finding::NeverDecides(1),
            Finding::NeverDecides(2),
            Finding::NeverDecides(3),
            Finding::NeverMatches(4),
            contradict(1),
            contradict(2),
            contradict(3),
            Finding::Same(1, 2),
        ];
        assert_eq!(found, expected);
    }
}
