//! One model over one period: what it scored, what was flagged, and what became of it.

use crate::risk::metrics::{Binning, calibration_error, reliability};
use crate::types::interval::wilson95;

/// A scored order (or line) as the monitor looks at it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Judged {
    /// The probability it was given.
    pub probability: f64,
    /// Whether the model flagged it; `None` where nothing is flagged by this model.
    pub flagged: Option<bool>,
    /// Whether it was stopped or looked at, by the model or by a rule; `None` where this is not decided.
    pub acted: Option<bool>,
    /// Whether it was flagged and passed untouched as part of the control share.
    pub control: bool,
    /// What became of it, once that is ripe whatever it is.
    pub label: Option<bool>,
    /// What the desk decided, be it ripe or not: fraud or not.
    pub decided: Option<bool>,
}

/// So many of so many, with the 95 % Wilson interval.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Rate {
    /// How often it was so.
    pub hits: i64,
    /// Of how many.
    pub of: i64,
}

impl Rate {
    fn of(labels: impl Iterator<Item = bool>) -> Self {
        labels.fold(Self::default(), |rate, hit| Self { hits: rate.hits + i64::from(hit), of: rate.of + 1 })
    }

    /// The share; `None` of nothing.
    pub fn share(self) -> Option<f64> {
        (self.of > 0).then(|| self.hits as f64 / self.of as f64)
    }

    /// Its 95 % Wilson interval; `None` of nothing.
    pub fn interval(self) -> Option<(f64, f64)> {
        wilson95(self.hits, self.of)
    }
}

/// What is said of a model in a period.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Performance {
    /// Rows scored.
    pub scored: i64,
    /// Flagged among those that could be.
    pub flagged: Rate,
    /// Stopped or looked at among those that were decided on.
    pub acted: Rate,
    /// Positive among flagged rows that are ripe.
    pub precision: Rate,
    /// Flagged rows that are not ripe yet.
    pub flagged_not_mature: i64,
    /// Positive among flagged rows that passed untouched and are ripe: nobody's choice stands between this and the truth.
    pub control: Rate,
    /// Called positive by the desk among flagged rows that it decided on. It comes soon, and is the desk's word only.
    pub desk: Rate,
    /// Positive among ripe rows.
    pub observed: Rate,
    /// Mean probability of the ripe rows.
    pub predicted: Option<f64>,
    /// Calibration error of the ripe rows over ten bins of equal mass.
    pub calibration_error: Option<f64>,
}

impl Performance {
    /// Sums up rows.
    pub fn of(rows: &[Judged]) -> Self {
        let flagged = || rows.iter().filter(|row| row.flagged == Some(true));
        let ripe = || rows.iter().filter_map(|row| row.label.map(|label| (row.probability, label)));
        // Sorted, so that sums have the same bits whatever the order of rows.
        let mut pairs: Vec<(f64, bool)> = ripe().collect();
        pairs.sort_unstable_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
        let (probabilities, labels): (Vec<f64>, Vec<bool>) = pairs.into_iter().unzip();
        let mean = |sum: f64| (!labels.is_empty()).then(|| sum / labels.len() as f64);
        Self {
            scored: rows.len() as i64,
            flagged: Rate::of(rows.iter().filter_map(|row| row.flagged)),
            acted: Rate::of(rows.iter().filter_map(|row| row.acted)),
            precision: Rate::of(flagged().filter_map(|row| row.label)),
            flagged_not_mature: flagged().filter(|row| row.label.is_none()).count() as i64,
            control: Rate::of(flagged().filter(|row| row.control).filter_map(|row| row.label)),
            desk: Rate::of(flagged().filter_map(|row| row.decided)),
            observed: Rate::of(labels.iter().copied()),
            predicted: mean(probabilities.iter().sum()),
            calibration_error: (!labels.is_empty())
                .then(|| calibration_error(&reliability(&probabilities, &labels, 10, Binning::EqualMass))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_period_is_counted_by_hand() {
        let row = |probability, flagged, acted, control, label, decided| Judged {
            probability,
            flagged: Some(flagged),
            acted: Some(acted),
            control,
            label,
            decided,
        };
        let rows = [
            row(0.9, true, true, false, Some(true), Some(true)),
            row(0.8, true, true, false, Some(false), Some(false)),
            row(0.7, true, false, true, Some(true), None),
            row(0.6, true, false, true, None, None),
            row(0.5, true, true, false, None, Some(false)),
            row(0.2, false, true, false, Some(true), Some(true)),
            row(0.1, false, false, false, Some(false), None),
        ];
        let found = Performance::of(&rows);
        let rate = |hits, of| Rate { hits, of };
        assert_eq!((found.scored, found.flagged, found.acted), (7, rate(5, 7), rate(4, 7)));
        assert_eq!((found.precision, found.flagged_not_mature), (rate(2, 3), 2));
        assert_eq!((found.control, found.desk), (rate(1, 1), rate(1, 3)));
        assert_eq!(found.observed, rate(3, 5));
        assert!((found.predicted.unwrap() - 0.54).abs() < 1e-12);
        // Each in a bin of its own: (.1 + .8 + .3 + .8 + .1) / 5.
        assert!((found.calibration_error.unwrap() - 0.42).abs() < 1e-12);
        let none = Performance::of(&[]);
        assert_eq!(none, Performance::default());
        assert_eq!((none.precision.share(), none.observed.interval()), (None, None));
    }
}
