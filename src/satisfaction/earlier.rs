//! What was answered before on orders that share something: a customer, a seller, a carrier.

use super::answers::Answers;
use polars::prelude::StringChunked;
use std::collections::HashMap;

/// How many answers the whole shop's mean is worth where few are known: with as many of its own, half of a seller's
/// difference is believed.
const PRIOR_ANSWERS: f64 = 10.0;

/// Earlier answers by key, ready to be asked at any instant.
pub(super) struct Earlier {
    /// Number of each order's key; `None` where it has none.
    of_order: Vec<Option<u32>>,
    /// Where the answers of each key begin; the whole shop's stand behind the last.
    begin: Vec<usize>,
    /// When each was received, in order within a key.
    at: Vec<i64>,
    /// Sum of points up to and with each, within a key.
    sum: Vec<f64>,
}

impl Earlier {
    pub(super) fn new(keys: &StringChunked, answers: &Answers) -> Self {
        let mut numbers: HashMap<&str, u32> = HashMap::new();
        let of_order: Vec<Option<u32>> = keys
            .iter()
            .map(|key| {
                let key = key.filter(|key| !key.trim().is_empty())?;
                let next = numbers.len() as u32;
                Some(*numbers.entry(key).or_insert(next))
            })
            .collect();
        let shop = numbers.len() as u32;
        let mut rows: Vec<(u32, i64, u32, f64)> = Vec::with_capacity(2 * answers.all.len());
        for answer in &answers.all {
            rows.push((shop, answer.at, answer.order, answer.points));
            rows.extend(of_order[answer.order as usize].map(|key| (key, answer.at, answer.order, answer.points)));
        }
        // Numbers of keys and rows of orders follow the input; sums must not: within a key and instant by points.
        rows.sort_by(|a, b| (a.0, a.1).cmp(&(b.0, b.1)).then(a.3.total_cmp(&b.3)));
        let mut begin = vec![0; shop as usize + 2];
        let (mut at, mut sum) = (Vec::with_capacity(rows.len()), Vec::with_capacity(rows.len()));
        let mut running = 0.0;
        for (place, (key, when, _, points)) in rows.iter().enumerate() {
            if place == 0 || rows[place - 1].0 != *key {
                running = 0.0;
            }
            running += points;
            at.push(*when);
            sum.push(running);
            begin[*key as usize + 1] = place + 1;
        }
        for key in 1..begin.len() {
            begin[key] = begin[key].max(begin[key - 1]);
        }
        Self { of_order, begin, at, sum }
    }

    /// Count and sum of a key's answers before an instant.
    fn before(&self, key: usize, instant: i64) -> (f64, f64) {
        let (from, to) = (self.begin[key], self.begin[key + 1]);
        let count = self.at[from..to].partition_point(|&at| at < instant);
        if count == 0 { (0.0, 0.0) } else { (count as f64, self.sum[from + count - 1]) }
    }

    /// How many points the answers before `instant` on orders with the key of `order` lie above the whole shop's mean of
    /// then, as if [`PRIOR_ANSWERS`] more had been right on it; 0 while nobody has answered, NaN where the order has no key.
    pub(super) fn above_shop(&self, order: usize, instant: i64) -> f64 {
        let Some(key) = self.of_order[order] else { return f64::NAN };
        let (all, total) = self.before(self.begin.len() - 2, instant);
        let (count, sum) = self.before(key as usize, instant);
        if all == 0.0 { 0.0 } else { (sum - count * total / all) / (count + PRIOR_ANSWERS) }
    }
}

#[cfg(test)]
mod tests {
    use super::super::answers::Answer;
    use super::*;

    #[test]
    fn only_answers_before_the_instant_count_and_few_of_them_lean_on_the_shop() {
        let keys: StringChunked = [Some("a"), Some("b"), None, Some("a")].into_iter().collect();
        let answer = |order, at, points| Answer { order, at, points };
        let answers = Answers::sorted(vec![answer(0, 10, 0.0), answer(1, 20, 100.0), answer(2, 30, 50.0)], 4);
        let earlier = Earlier::new(&keys, &answers);
        assert!(earlier.above_shop(3, 10) == 0.0 && earlier.above_shop(2, 99).is_nan());
        // One answer of 0 so far, which is the shop's mean; then 0 against 50; then 100 against 50.
        assert_eq!(earlier.above_shop(3, 11), 0.0);
        assert_eq!(earlier.above_shop(3, 21), -50.0 / 11.0);
        assert_eq!(earlier.above_shop(1, 31), 50.0 / 11.0);
    }
}
