//! Whether probabilities mean what they say within segments: right on the whole can be too high here and too low there.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::types::interval::{normal_upper, wilson};

/// Chance that any segment is called off although all probabilities are right.
const CHANCE: f64 = 0.05;

/// Fewest outcomes of either kind that probabilities have to predict for a segment: with fewer nothing can be told.
const MIN_EXPECTED: f64 = 5.0;

/// The calibration of one segment.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SegmentCalibration {
    /// What rows are split by, such as `channel` or `channel+carrier`.
    pub segment: String,
    /// Its value.
    pub segment_value: String,
    /// Rows.
    pub rows: usize,
    /// Positives among them.
    pub positives: usize,
    /// Mean probability.
    pub predicted: f64,
    /// Share of positives.
    pub observed: f64,
    /// Lower end of the Wilson interval of `observed`; the intervals of all segments hold together in 95 %, orders taken
    /// as independent.
    pub lower: f64,
    /// Its upper end.
    pub upper: f64,
    /// Whether `predicted` lies outside it.
    pub is_off: bool,
}

/// Rows by a segment: its name, and the value of each row.
pub type Segmented = (String, Vec<String>);

/// Measures every value of every segment that can be told of, in the order of the segments and then of their values.
///
/// One entry a row in `probabilities`, `labels` and in the values of each segment.
pub fn by_segment(probabilities: &[f64], labels: &[bool], segments: &[Segmented]) -> Vec<SegmentCalibration> {
    let mut found = Vec::new();
    for (segment, values) in segments {
        let mut groups: BTreeMap<&str, Vec<(f64, bool)>> = BTreeMap::new();
        for ((&p, &label), value) in probabilities.iter().zip(labels).zip(values) {
            groups.entry(value).or_default().push((p, label));
        }
        for (value, mut rows) in groups {
            // Sums have the same bits then, whatever the order of rows.
            rows.sort_unstable_by(|a, b| a.0.total_cmp(&b.0));
            let expected: f64 = rows.iter().map(|row| row.0).sum();
            if expected < MIN_EXPECTED || rows.len() as f64 - expected < MIN_EXPECTED {
                continue;
            }
            let positives = rows.iter().filter(|row| row.1).count();
            found.push(SegmentCalibration {
                segment: segment.clone(),
                segment_value: value.to_owned(),
                rows: rows.len(),
                positives,
                predicted: expected / rows.len() as f64,
                observed: positives as f64 / rows.len() as f64,
                lower: 0.0,
                upper: 1.0,
                is_off: false,
            });
        }
    }
    // Each has its equal part of the chance to be called off.
    let z = normal_upper(0.5 * CHANCE / found.len().max(1) as f64);
    for one in &mut found {
        let interval = wilson(one.positives as i64, one.rows as i64, z);
        (one.lower, one.upper) = interval.unwrap_or((0.0, 1.0));
        one.is_off = !(one.lower..=one.upper).contains(&one.predicted);
    }
    found
}

impl SegmentCalibration {
    /// `channel app: 1.20 % predicted, 2.40 % came about (1.90 to 3.00 %, 48 of 2000)`.
    pub fn words(&self) -> String {
        format!(
            "{} {}: {:.2} % predicted, {:.2} % came about ({:.2} to {:.2} %, {} of {})",
            self.segment,
            self.segment_value,
            100.0 * self.predicted,
            100.0 * self.observed,
            100.0 * self.lower,
            100.0 * self.upper,
            self.positives,
            self.rows
        )
    }
}

/// One sentence for the warnings of a model; `None` when no segment is off.
pub fn warning(found: &[SegmentCalibration]) -> Option<String> {
    let off: Vec<String> = found.iter().filter(|one| one.is_off).map(SegmentCalibration::words).collect();
    (!off.is_empty()).then(|| {
        format!(
            "probabilities do not mean what they say in {} of {} segments: {}",
            off.len(),
            found.len(),
            off.join("; ")
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_segment_that_is_off_is_told_from_those_that_are_right_and_from_those_too_small_to_tell() {
        let mut rows: Vec<(f64, bool, &str)> = Vec::new();
        // 30 of 300 where 10 % are predicted, 60 of 300 where 10 % are, 4 where 0.4 are expected.
        rows.extend((0..300).map(|row| (0.1, row % 10 == 0, "right")));
        rows.extend((0..300).map(|row| (0.1, row % 5 == 0, "off")));
        rows.extend((0..4).map(|_| (0.1, true, "small")));
        let probabilities: Vec<f64> = rows.iter().map(|row| row.0).collect();
        let labels: Vec<bool> = rows.iter().map(|row| row.1).collect();
        let values: Vec<String> = rows.iter().map(|row| row.2.to_owned()).collect();
        let found = by_segment(&probabilities, &labels, &[("kind".to_owned(), values)]);
        let told: Vec<(&str, usize, usize, bool)> =
            found.iter().map(|one| (one.segment_value.as_str(), one.positives, one.rows, one.is_off)).collect();
        assert_eq!(told, [("off", 60, 300, true), ("right", 30, 300, false)]);
        // statsmodels.stats.proportion.proportion_confint(60, 300, alpha=0.025, method="wilson")
        assert!((found[0].lower - 0.153_368_96).abs() < 1e-6, "{}", found[0].lower);
        assert!((found[0].upper - 0.256_513_32).abs() < 1e-6, "{}", found[0].upper);
        let said = warning(&found).unwrap();
        assert!(said.contains("in 1 of 2 segments: kind off: 10.00 % predicted, 20.00 % came about"), "{said}");
        assert_eq!(warning(&found[1..]), None);
    }

    #[test]
    fn right_probabilities_are_seldom_called_off_however_many_segments_there_are() {
        use rand::{Rng, SeedableRng};
        let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(3);
        let mut alarms = 0;
        for _ in 0..200 {
            let rows: Vec<(f64, bool, usize)> = (0..4_000)
                .map(|row| {
                    let p = 0.3 * rng.random::<f64>();
                    (p, rng.random::<f64>() < p, row % 20)
                })
                .collect();
            let probabilities: Vec<f64> = rows.iter().map(|row| row.0).collect();
            let labels: Vec<bool> = rows.iter().map(|row| row.1).collect();
            let values = rows.iter().map(|row| row.2.to_string()).collect();
            let found = by_segment(&probabilities, &labels, &[("twenty".to_owned(), values)]);
            assert_eq!(found.len(), 20);
            alarms += usize::from(found.iter().any(|one| one.is_off));
        }
        // 10 are due; more than 25 has a chance below one in 10,000.
        assert!(alarms <= 25, "{alarms} of 200");
    }
}
