//! Fifths and tiers by a stated rule: what counts is the share of customers who are strictly better, so that equals are
//! always in one class.

/// How many are strictly greater than each value.
fn better(values: &[i64]) -> Vec<usize> {
    let mut sorted = values.to_vec();
    sorted.sort_unstable();
    values.iter().map(|value| sorted.len() - sorted.partition_point(|other| other <= value)).collect()
}

/// The class of a value: 5 when less than a fifth of all are better, 4 when less than two fifths are, down to 1.
pub(super) fn fifth(better: usize, all: usize) -> i64 {
    5 - (5 * better / all.max(1)) as i64
}

/// The class of each value, highest values best.
pub(super) fn fifths(values: &[i64]) -> Vec<i64> {
    better(values).into_iter().map(|better| fifth(better, values.len())).collect()
}

/// The tier of a value: the first whose end the share of better ones has not reached. Who bought nothing is `D`.
pub(super) fn tier(value: i64, better: usize, all: usize, ends: &[f64; 3]) -> &'static str {
    let share = better as f64 / all.max(1) as f64;
    let reached = ends.iter().filter(|&&end| share >= end).count();
    if value > 0 { ["A", "B", "C", "D"][reached] } else { "D" }
}

/// The tier of each value.
pub(super) fn tiers(values: &[i64], ends: &[f64; 3]) -> Vec<&'static str> {
    let better = better(values);
    values.iter().zip(better).map(|(&value, better)| tier(value, better, values.len(), ends)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equals_share_a_class_and_the_classes_follow_the_share_of_better_ones() {
        let values = [100, 90, 90, 70, 60, 50, 40, 30, 20, 0];
        assert_eq!(fifths(&values), [5, 5, 5, 4, 3, 3, 2, 2, 1, 1]);
        // Better than each: 0, 1, 1, 3, 4, 5, 6, 7, 8, 9 of ten; tiers end at 1, 3 and 6 of ten.
        assert_eq!(tiers(&values, &[0.1, 0.3, 0.6]), ["A", "B", "B", "C", "C", "C", "D", "D", "D", "D"]);
        assert_eq!(tiers(&[0, 0], &[0.1, 0.3, 0.6]), ["D", "D"], "the best of nothing is not valuable");
        assert_eq!(fifths(&[7; 4]), [5; 4]);
        assert!(fifths(&[]).is_empty());
    }
}
