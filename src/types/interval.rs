//! Intervals around estimates.

/// The 97.5 % point of the standard normal distribution: two-sided 95 %.
pub const Z95: f64 = 1.959_963_984_540_054;

/// The 95 % Wilson score interval of a proportion, or `None` when nothing was counted.
///
/// `hits` of `trials`; both ends lie in `[0, 1]` and the interval holds `hits / trials`.
/// Source: Wilson, E. B. (1927), Probable inference, the law of succession, and statistical inference.
pub fn wilson95(hits: i64, trials: i64) -> Option<(f64, f64)> {
    if trials <= 0 || hits < 0 || hits > trials {
        return None;
    }
    let (n, p) = (trials as f64, hits as f64 / trials as f64);
    let z2 = Z95 * Z95;
    let centre = (p + z2 / (2.0 * n)) / (1.0 + z2 / n);
    let half = Z95 / (1.0 + z2 / n) * (p * (1.0 - p) / n + z2 / (4.0 * n * n)).sqrt();
    // At the ends rounding could push the bound past the estimate itself.
    Some(((centre - half).clamp(0.0, p), (centre + half).clamp(p, 1.0)))
}

#[cfg(test)]
mod tests {
    use super::wilson95;

    #[test]
    fn wilson_agrees_with_statsmodels_proportion_confint() {
        // statsmodels.stats.proportion.proportion_confint(8, 10, method="wilson")
        let (lower, upper) = wilson95(8, 10).unwrap();
        assert!((lower - 0.490_162_47).abs() < 1e-8 && (upper - 0.943_317_8).abs() < 1e-7, "{lower} {upper}");
        assert_eq!(wilson95(0, 0), None);
        assert_eq!(wilson95(0, 5).unwrap().0, 0.0);
        assert_eq!(wilson95(5, 5).unwrap().1, 1.0);
    }
}
