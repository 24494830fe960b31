//! Intervals around estimates.

/// The 97.5 % point of the standard normal distribution: two-sided 95 %.
pub const Z95: f64 = 1.959_963_984_540_054;

/// The 95 % Wilson score interval of a proportion, or `None` when nothing was counted.
///
/// `hits` of `trials`; both ends lie in `[0, 1]` and the interval holds `hits / trials`.
/// Source: Wilson, E. B. (1927), Probable inference, the law of succession, and statistical inference.
pub fn wilson95(hits: i64, trials: i64) -> Option<(f64, f64)> {
    wilson(hits, trials, Z95)
}

/// As [`wilson95`], `z` standard normal deviations wide to either side.
pub fn wilson(hits: i64, trials: i64, z: f64) -> Option<(f64, f64)> {
    if trials <= 0 || hits < 0 || hits > trials {
        return None;
    }
    let (n, p) = (trials as f64, hits as f64 / trials as f64);
    let z2 = z * z;
    let centre = (p + z2 / (2.0 * n)) / (1.0 + z2 / n);
    let half = z / (1.0 + z2 / n) * (p * (1.0 - p) / n + z2 / (4.0 * n * n)).sqrt();
    // At the ends rounding could push the bound past the estimate itself.
    Some(((centre - half).clamp(0.0, p), (centre + half).clamp(p, 1.0)))
}

/// The point that a standard normal number exceeds with probability `tail`, for tails up to 0.15.
///
/// Bisection of the upper tail in Laplace's continued fraction, which is good to 12 digits from the point 1 on; a tail
/// of 0 or less has the point 12, beyond which nothing is told apart.
pub fn normal_upper(tail: f64) -> f64 {
    let (mut low, mut high) = (1.0, 12.0);
    for _ in 0..60 {
        let middle = 0.5 * (low + high);
        if upper_tail(middle) > tail {
            low = middle;
        } else {
            high = middle;
        }
    }
    0.5 * (low + high)
}

/// Chance that a standard normal number exceeds `z`, for `z` of at least 1.
fn upper_tail(z: f64) -> f64 {
    let fraction = (1..=200).rev().fold(z, |below, term| z + f64::from(term) / below);
    (-0.5 * z * z).exp() / ((2.0 * std::f64::consts::PI).sqrt() * fraction)
}

#[cfg(test)]
mod tests {
    use super::{normal_upper, wilson, wilson95};

    #[test]
    fn wilson_agrees_with_statsmodels_proportion_confint() {
        // statsmodels.stats.proportion.proportion_confint(8, 10, method="wilson")
        let (lower, upper) = wilson95(8, 10).unwrap();
        assert!((lower - 0.490_162_47).abs() < 1e-8 && (upper - 0.943_317_8).abs() < 1e-7, "{lower} {upper}");
        assert_eq!(wilson95(0, 0), None);
        assert_eq!(wilson95(0, 5).unwrap().0, 0.0);
        assert_eq!(wilson95(5, 5).unwrap().1, 1.0);
        assert_eq!(wilson(8, 10, normal_upper(0.025)).map(|(l, _)| (l * 1e9) as i64), Some((lower * 1e9) as i64));
    }

    #[test]
    fn normal_points_agree_with_scipy() {
        // scipy.stats.norm.isf
        let expected = [
            (0.15, 1.036_433_389_493_789_7),
            (0.025, 1.959_963_984_540_054),
            (1e-3, 3.090_232_306_167_813_7),
            (1e-6, 4.753_424_308_822_899),
            (1e-9, 5.997_807_015_007_687),
        ];
        for (tail, z) in expected {
            assert!((normal_upper(tail) - z).abs() < 1e-9, "{tail}: {}", normal_upper(tail));
        }
    }
}
