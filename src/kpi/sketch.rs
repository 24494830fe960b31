//! Durations counted in buckets, for quantiles of more of them than memory should hold.
//!
//! A bucket holds durations that share their highest eight binary digits, so that its width is at most 1/128 of any of
//! them. Counts of buckets are integers and add up: sketches of parts give the sketch of the whole, to the bit and in any
//! order of merging, which sketches of centroids (t-digest) do not. The idea is that of DDSketch (Masson, Rim, Lee: A fast
//! and fully-mergeable quantile sketch with relative-error guarantees, VLDB 2019); buckets by binary digits instead of
//! logarithms keep them free of floating point and so the same on every machine.

/// Binary digits kept after the highest.
const DIGITS: u32 = 7;

/// The relative error of a quantile taken from buckets is at most this: half a bucket's width over its beginning.
pub const RELATIVE_ERROR: f64 = 1.0 / 256.0;

/// The bucket of a duration in microseconds. Durations are not negative; those below 128 µs have a bucket each.
pub fn bucket(micros: i64) -> u16 {
    let value = micros.max(0) as u64;
    let digits = u64::BITS - value.leading_zeros();
    let shift = digits.saturating_sub(DIGITS + 1);
    // `shift` is at most 55 and the digits kept are below 256: at most 55 * 128 + 255.
    (u64::from(shift << DIGITS) + (value >> shift)) as u16
}

/// The middle of a bucket in microseconds: what stands for every duration in it.
pub fn middle(bucket: u16) -> f64 {
    let bucket = u64::from(bucket);
    let below = 1_u64 << (DIGITS + 1);
    if bucket < below {
        return bucket as f64;
    }
    let shift = (bucket >> DIGITS) - 1;
    let digits = bucket - (shift << DIGITS);
    let width = 1_u64 << shift;
    (digits << shift) as f64 + (width - 1) as f64 / 2.0
}

/// The value at `rank` (from 0) among durations counted in `buckets`, ordered by bucket; `None` past the last.
pub fn at_rank(buckets: &[(u16, u64)], rank: u64) -> Option<f64> {
    let mut seen = 0;
    for (bucket, count) in buckets {
        seen += count;
        if rank < seen {
            return Some(middle(*bucket));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn buckets_rise_with_durations_and_meet_without_gaps() {
        let mut before = 0;
        for exponent in 2..62 {
            for offset in [-1_i64, 0, 1] {
                let at = bucket((1_i64 << exponent) + offset);
                assert!(at >= before && at - before <= 129, "{exponent} {offset}: {before} {at}");
                before = at;
            }
        }
        assert_eq!(bucket(0), 0);
        assert_eq!(bucket(-5), 0);
        assert!(bucket(i64::MAX) < u16::MAX);
    }

    proptest! {
        #[test]
        fn the_middle_of_a_bucket_is_within_the_stated_error(micros in prop_oneof![0_i64..1 << 12, 0_i64..1 << 40, 0..i64::MAX]) {
            let middle = middle(bucket(micros));
            prop_assert!((middle - micros as f64).abs() <= micros as f64 * RELATIVE_ERROR * (1.0 + 1e-12), "{middle}");
        }

        #[test]
        fn a_longer_duration_never_has_a_smaller_bucket(a in 0..i64::MAX, b in 0..i64::MAX) {
            prop_assert_eq!(bucket(a.min(b)) <= bucket(a.max(b)), true);
        }
    }
}
