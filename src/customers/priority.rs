//! Whom service should see to first: what the customer waits for, then what the customer is worth.
//!
//! A customer's priority is the sum of the points of the needs there are (each counted once), and of the tier if there is a
//! need at all: A 10, B 6, C 3. Someone who waits for nothing has 0, however valuable. Equal priorities go by the rank of the
//! customer's most urgent open exception, then by who has waited longest, then by value, then by id.
//!
//! A matter that began longer ago than `customers.waits_for_at_most` is no need any more: nobody waits for a parcel that
//! was due last year, and whoever does will write again. Such matters are counted and shown, and move nobody forward.

use super::Profile;
use crate::config::Language;
use std::cmp::Ordering;

/// Something a customer waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Need {
    /// A ticket without a first reply.
    Reply,
    /// An unsolved dispute or claim.
    Complaint,
    /// An order that has not come by the promised day.
    LateOrder,
    /// A return whose goods came back 14 days ago or more, without money or replacement.
    Refund,
    /// A return request that nobody has answered for 48 hours.
    ReturnAnswer,
    /// A last answer of 1 or 2 stars (25 points or fewer) within the last 30 days.
    Upset,
    /// A ticket that was replied to and is not solved.
    Solution,
}

/// All needs, most urgent first.
pub const NEEDS: [Need; 7] =
    [Need::Reply, Need::Complaint, Need::LateOrder, Need::Refund, Need::ReturnAnswer, Need::Upset, Need::Solution];

impl Need {
    /// What it adds to the priority. All of them and tier A come to 100.
    pub fn points(self) -> i64 {
        match self {
            Self::Reply => 22,
            Self::Complaint => 18,
            Self::LateOrder => 18,
            Self::Refund => 10,
            Self::ReturnAnswer => 8,
            Self::Upset => 8,
            Self::Solution => 6,
        }
    }

    /// In words, with the whole days since when.
    pub fn words(self, days: i64, language: Language) -> String {
        if language == Language::Zh {
            return match self {
                Self::Reply => format!("工单 {days} 天未获回复"),
                Self::Complaint => format!("纠纷或索赔 {days} 天未结案"),
                Self::LateOrder => format!("订单超过承诺送达日 {days} 天"),
                Self::Refund => format!("退货已收到 {days} 天，尚未了结"),
                Self::ReturnAnswer => format!("退货申请 {days} 天未获答复"),
                Self::Upset => format!("{days} 天前的评价很低"),
                Self::Solution => format!("工单 {days} 天未解决"),
            };
        }
        let since = if days == 1 { "1 day".to_owned() } else { format!("{days} days") };
        match self {
            Self::Reply => format!("a ticket has had no reply for {since}"),
            Self::Complaint => format!("a dispute or claim has been open for {since}"),
            Self::LateOrder => format!("an order is {since} past its promise"),
            Self::Refund => format!("returned goods came in {since} ago and are not settled"),
            Self::ReturnAnswer => format!("a return request has had no answer for {since}"),
            Self::Upset => format!("the last answer was low, {since} ago"),
            Self::Solution => format!("a ticket has been open for {since}"),
        }
    }
}

/// Since when each customer waits for each thing.
pub(super) struct Waits {
    since: Vec<[Option<i64>; NEEDS.len()]>,
    /// Matters of each customer that are too old to wait for.
    lapsed: Vec<i64>,
    /// What began before this is too old.
    oldest: i64,
}

impl Waits {
    pub(super) fn new(customers: usize, oldest: i64) -> Self {
        Self { since: vec![[None; NEEDS.len()]; customers], lapsed: vec![0; customers], oldest }
    }

    /// The customer waits since `at`, unless that is too long ago; the earliest that counts is kept.
    pub(super) fn add(&mut self, who: usize, need: Need, at: i64) {
        if at < self.oldest {
            self.lapsed[who] += 1;
            return;
        }
        let since = &mut self.since[who][need as usize];
        *since = Some(since.map_or(at, |earlier| earlier.min(at)));
    }

    /// Writes needs and priority into the profile, whose tier is known.
    pub(super) fn settle(&self, who: usize, profile: &mut Profile) {
        let waits = &self.since[who];
        profile.lapsed_matters = self.lapsed[who];
        profile.needs = NEEDS.into_iter().filter(|need| waits[*need as usize].is_some()).collect();
        profile.since = NEEDS.into_iter().filter_map(|need| waits[need as usize]).collect();
        profile.waiting_since = profile.since.iter().copied().min();
        let worth = match profile.tier {
            _ if profile.needs.is_empty() => 0,
            "A" => 10,
            "B" => 6,
            "C" => 3,
            _ => 0,
        };
        profile.service_priority = worth + profile.needs.iter().map(|need| need.points()).sum::<i64>();
    }
}

/// Who comes first.
pub(super) fn first(a: &Profile, b: &Profile) -> Ordering {
    let since = |p: &Profile| p.waiting_since.unwrap_or(i64::MAX);
    let stuck = |p: &Profile| p.stuck.as_ref().map_or(i64::MAX, |stuck| stuck.rank);
    b.service_priority
        .cmp(&a.service_priority)
        .then(stuck(a).cmp(&stuck(b)))
        .then(since(a).cmp(&since(b)))
        .then(b.monetary.cmp(&a.monetary))
        .then(a.customer_id.cmp(&b.customer_id))
}
