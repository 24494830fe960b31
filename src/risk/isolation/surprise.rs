//! How rare values as high as one are, in bits.

/// What is as common as this surprises nobody: what half of all orders have, or more. One bit.
const USUAL_BITS: f64 = 1.0;

/// Values closer than this are kept as one. A hundredth of a bit is less than a seventh of a percent of the share.
const STEP_BITS: f64 = 0.01;

/// `-log2` of the share of earlier orders with a value at least as high, less one bit, and never below nothing.
///
/// A value between two that were seen counts as the lower; one beyond all as half an order in all earlier ones.
#[derive(Debug, Clone, PartialEq)]
pub struct Surprise {
    /// Values seen, ascending, as far as they tell more than the one before.
    values: Vec<f64>,
    /// Bits of each.
    bits: Vec<f64>,
    /// Bits of anything above the highest.
    beyond: f64,
    highest: f64,
    /// The median of the values that are not missing; NaN without any.
    pub median: f64,
}

impl Surprise {
    /// Learns from values; NaN is missing, counts as an order and surprises nobody.
    pub fn fit(values: impl Iterator<Item = f64>) -> Self {
        let mut rows = 0_usize;
        let mut sorted: Vec<f64> = values.inspect(|_| rows += 1).filter(|x| !x.is_nan()).collect();
        sorted.sort_unstable_by(f64::total_cmp);
        let bits = |at_least: usize| {
            let share = (at_least as f64 + 0.5) / (rows as f64 + 0.5);
            (-share.log2() - USUAL_BITS).max(0.0)
        };
        let mut table = Self {
            values: Vec::new(),
            bits: Vec::new(),
            beyond: bits(0),
            highest: sorted.last().copied().unwrap_or(f64::INFINITY),
            median: sorted.get(sorted.len() / 2).copied().unwrap_or(f64::NAN),
        };
        for (at, &value) in sorted.iter().enumerate() {
            if at > 0 && sorted[at - 1] == value {
                continue;
            }
            let found = bits(sorted.len() - at);
            if table.bits.last().is_none_or(|last| found - last >= STEP_BITS) {
                table.values.push(value);
                table.bits.push(found);
            }
        }
        table
    }

    /// The bits of a value; none if it is missing.
    pub fn bits(&self, value: f64) -> f64 {
        if value.is_nan() {
            return 0.0;
        }
        if value > self.highest {
            return self.beyond;
        }
        match self.values.partition_point(|seen| *seen <= value) {
            0 => 0.0,
            after => self.bits[after - 1],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bits_are_the_share_of_orders_with_at_least_the_value_less_the_one_bit_of_the_usual() {
        // 96 times 0, twice 1, once 5, once missing.
        let values = (0..96).map(|_| 0.0).chain([1.0, 1.0, 5.0, f64::NAN]);
        let table = Surprise::fit(values);
        let of = |at_least: f64| -((at_least + 0.5) / 100.5_f64).log2() - 1.0;
        assert_eq!(table.bits(0.0), 0.0);
        for (value, at_least) in [(1.0, 3.0), (4.9, 3.0), (5.0, 1.0), (5.1, 0.0), (f64::INFINITY, 0.0)] {
            assert!((table.bits(value) - of(at_least)).abs() < 1e-12, "{value}");
        }
        assert_eq!((table.bits(-1.0), table.bits(f64::NAN), table.median), (0.0, 0.0, 0.0));
    }

    #[test]
    fn what_nobody_ever_had_a_value_of_surprises_nobody() {
        let table = Surprise::fit([f64::NAN; 20].into_iter());
        assert_eq!((table.bits(f64::NAN), table.bits(3.0)), (0.0, 0.0));
    }

    #[test]
    fn thinned_values_stay_within_a_hundredth_of_a_bit_and_rise() {
        let table = Surprise::fit((0..40_000).map(|at| f64::from(at).sqrt()));
        assert!(table.values.len() < 1_600, "{}", table.values.len());
        let mut last = 0.0;
        for at in 0..40_000_u32 {
            let (found, share) = (table.bits(f64::from(at).sqrt()), f64::from(40_000 - at) / 40_000.0);
            assert!(found >= last && (found - (-share.log2() - 1.0).max(0.0)).abs() < 0.7);
            if share > 0.01 {
                assert!((found - (-share.log2() - 1.0).max(0.0)).abs() < 0.02, "{at}");
            }
            last = found;
        }
    }
}
