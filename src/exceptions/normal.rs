//! Quantiles of the normal distribution, for service levels.

/// The value that a standard normal variable does not exceed with probability `p`, for `p` in 0.5 to 0.999.
///
/// Rational approximation PPND7 of Wichura, M. J. (1988), Algorithm AS 241, Applied Statistics 37: about seven digits.
pub(super) fn quantile(p: f64) -> f64 {
    let q = p - 0.5;
    if q.abs() <= 0.425 {
        let r = 0.180_625 - q * q;
        let above = ((59.109_374_72 * r + 159.291_132_02) * r + 50.434_271_938) * r + 3.387_132_717_9;
        let below = ((67.187_563_6 * r + 78.757_757_664) * r + 17.895_169_469) * r + 1.0;
        return q * above / below;
    }
    let tail = if q < 0.0 { p } else { 1.0 - p };
    let r = (-tail.ln()).sqrt() - 1.6;
    let above = ((0.170_238_211_03 * r + 1.306_728_481_6) * r + 2.756_815_39) * r + 1.423_437_277_7;
    let below = (0.120_211_329_75 * r + 0.737_001_642_5) * r + 1.0;
    let value = above / below;
    if q < 0.0 { -value } else { value }
}

#[cfg(test)]
mod tests {
    use super::quantile;

    #[test]
    fn quantiles_are_those_of_python_s_normal_distribution() {
        // statistics.NormalDist().inv_cdf(p)
        for (p, expected) in [
            (0.5, 0.0),
            (0.8, 0.841_621_233_572_914_4),
            (0.9, 1.281_551_565_544_601),
            (0.95, 1.644_853_626_951_472_2),
            (0.99, 2.326_347_874_040_841),
            (0.999, 3.090_232_306_167_813),
        ] {
            assert!((quantile(p) - expected).abs() < 1e-6, "{p}: {}", quantile(p));
        }
    }
}
