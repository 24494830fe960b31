//! Which operational facts go with how customers answered: associations, not causes.
//!
//! A linear regression of the first answer on an order (0 to 100 points) on the facts known when it was given, all at once: a
//! coefficient says what goes with a fact among orders that are alike in the others. Long tails are cut at the 99th
//! percentile, so that one lost parcel does not decide; a missing value counts as the median.

use super::chinese;
use super::facts::{Fact, TOTAL_DAYS};
use super::least_squares::{fit, moments};
use crate::config::Language;
use crate::risk::prepare::quantile;
use crate::types::interval::Z95;

/// Least answers for a table of drivers.
pub const MIN_ANSWERS: usize = 200;
/// Least orders on either side of a yes-or-no fact, and least that differ from the most frequent value of any other.
pub const MIN_DIFFERING: usize = 20;

/// A fact and what goes with it.
#[derive(Debug, Clone, PartialEq)]
pub struct Driver {
    /// Name of the fact.
    pub fact: String,
    /// Unit of the fact.
    pub unit: &'static str,
    /// Orders with an answer that have it.
    pub orders: usize,
    /// Its mean over all orders with an answer, after tails were cut.
    pub mean: f64,
    /// Its standard deviation.
    pub deviation: f64,
    /// Points that go with one standard deviation more; `None` for a fact that others already tell.
    pub coefficient: Option<Estimated>,
    /// In words.
    pub words: String,
}

/// A coefficient with its 95 % interval, in points for one standard deviation.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Estimated {
    /// The coefficient.
    pub value: f64,
    /// Lower end.
    pub lower: f64,
    /// Upper end.
    pub upper: f64,
}

/// The drivers of the whole, strongest first.
#[derive(Debug, Clone, PartialEq)]
pub struct Drivers {
    /// Answers they are learnt from.
    pub answers: usize,
    /// Share of the variance of answers that goes with the facts.
    pub r_squared: f64,
    /// One a fact that varies.
    pub drivers: Vec<Driver>,
}

/// Regresses `points` on facts, both over the same `rows`; what is found is worded in `language`.
///
/// `None` with fewer than [`MIN_ANSWERS`] answers or without a fact that varies.
pub fn drivers(facts: &[Fact], rows: &[usize], points: &[f64], language: Language) -> Option<Drivers> {
    if rows.len() < MIN_ANSWERS {
        return None;
    }
    let mut used = Vec::new();
    let mut columns = Vec::new();
    // Beside its stages the total would only turn their signs.
    let has_stages = facts.iter().any(|fact| fact.name == "transit_days");
    for fact in facts.iter().filter(|fact| !(has_stages && fact.name == TOTAL_DAYS)) {
        let values: Vec<f64> = rows.iter().map(|&row| fact.values[row]).collect();
        let there = values.iter().filter(|v| v.is_finite()).count();
        if let Some(column) = tamed(values, fact.unit) {
            used.push((fact, there, moments(&column)));
            columns.push(column);
        }
    }
    let fitted = fit(&columns, points)?;
    let mut drivers: Vec<Driver> = used
        .into_iter()
        .zip(fitted.coefficients)
        .map(|((fact, orders, (mean, deviation)), coefficient)| {
            let estimated = coefficient.map(|(value, error)| Estimated {
                value,
                lower: value - Z95 * error,
                upper: value + Z95 * error,
            });
            let words = words(fact, deviation, estimated, language);
            Driver { fact: fact.name.clone(), unit: fact.unit, orders, mean, deviation, coefficient: estimated, words }
        })
        .collect();
    let strength = |driver: &Driver| driver.coefficient.map_or(-1.0, |c| c.value.abs());
    drivers.sort_by(|a, b| strength(b).total_cmp(&strength(a)).then(a.fact.cmp(&b.fact)));
    Some(Drivers { answers: rows.len(), r_squared: fitted.r_squared, drivers })
}

/// Missing values filled, tails cut; `None` where too little differs.
fn tamed(mut values: Vec<f64>, unit: &str) -> Option<Vec<f64>> {
    let mut sorted: Vec<f64> = values.iter().copied().filter(|v| v.is_finite()).collect();
    sorted.sort_unstable_by(f64::total_cmp);
    if sorted.is_empty() {
        return None;
    }
    let (median, high) = (quantile(&sorted, 0.5), quantile(&sorted, 0.99));
    let has_tail = matches!(unit, "hours" | "days" | "minor units" | "tenths of the amount");
    for value in &mut values {
        if !value.is_finite() {
            *value = median;
        } else if has_tail && *value > high && high > 0.0 {
            *value = high;
        }
    }
    sorted.clear();
    sorted.extend_from_slice(&values);
    sorted.sort_unstable_by(f64::total_cmp);
    let longest = sorted.chunk_by(|a, b| a == b).map(<[f64]>::len).max().unwrap_or(0);
    (values.len() - longest >= MIN_DIFFERING).then_some(values)
}

fn words(fact: &Fact, deviation: f64, estimated: Option<Estimated>, language: Language) -> String {
    let name = &fact.name;
    let Some(found) = estimated else {
        return match language {
            Language::En => format!("{name}: left out, the other facts already tell it"),
            Language::Zh => format!("{name}：已略去，其他因素已包含它"),
        };
    };
    // An amount has no unit in which one more would mean anything.
    let (english, scale) = match fact.unit {
        "minor units" => ("an amount larger by one standard deviation", 1.0),
        _ => (fact.words.as_str(), 1.0 / deviation),
    };
    let what = match language {
        Language::En => english,
        Language::Zh => chinese::words(name).unwrap_or(name),
    };
    let per_unit = |points: f64| (points * scale).abs();
    let shown = |points: f64| {
        let points = per_unit(points);
        if points >= 0.095 { format!("{points:.1}") } else { format!("{points:.2}") }
    };
    if found.lower <= 0.0 && found.upper >= 0.0 {
        return match language {
            Language::En => format!("{what}: no clear association with satisfaction"),
            Language::Zh => format!("{what}：与满意度没有明显关联"),
        };
    }
    let (near, far) = if found.value < 0.0 { (found.upper, found.lower) } else { (found.lower, found.upper) };
    let is_less = found.value < 0.0;
    let [value, near, far] = [found.value, near, far].map(shown);
    match language {
        Language::En => {
            let direction = if is_less { "less" } else { "more" };
            format!(
                "{what} goes with {value} points {direction} satisfaction (95 % interval {near} to {far}), other facts \
                 being equal"
            )
        }
        Language::Zh => {
            let direction = if is_less { "低" } else { "高" };
            format!("{what}：其他因素相同时，满意度{direction} {value} 分（95 % 区间 {near} 至 {far}）")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fact(name: &str, words: &str, unit: &'static str, values: Vec<f64>) -> Fact {
        Fact { name: name.to_owned(), words: words.to_owned(), unit, values }
    }

    #[test]
    fn effects_are_found_apart_and_said_in_words_with_their_interval() {
        let n = 2_000;
        let late: Vec<f64> = (0..n).map(|i| f64::from(i * 7 % 10)).collect();
        let damaged: Vec<f64> = (0..n).map(|i| f64::from(u8::from(i % 25 == 0))).collect();
        let noise = |i: i32| f64::from(i * 31 % 97) / 97.0 * 20.0 - 10.0;
        let points: Vec<f64> =
            (0..n).map(|i| 90.0 - 2.0 * late[i as usize] - 40.0 * damaged[i as usize] + noise(i)).collect();
        let facts = [
            fact("days_late", "one more day after the promised one", "counted days", late),
            fact("damage", "damage reported in transit", "yes or no", damaged),
            fact("rare", "something rare", "yes or no", (0..n).map(|i| f64::from(u8::from(i == 3))).collect()),
            fact("idle", "an idle fact", "yes or no", (0..n).map(|i| f64::from(u8::from(i * 53 % 89 < 40))).collect()),
        ];
        let rows: Vec<usize> = (0..n as usize).collect();
        let found = drivers(&facts, &rows, &points, Language::En).unwrap();
        let names: Vec<&str> = found.drivers.iter().map(|d| d.fact.as_str()).collect();
        assert_eq!(names, ["damage", "days_late", "idle"], "one order is too few to tell of `rare`");
        let of = |at: usize| (found.drivers[at].coefficient.unwrap(), found.drivers[at].deviation);
        let (late, deviation) = of(1);
        assert!((late.value / deviation + 2.0).abs() < 0.05 && late.lower < late.value && late.upper < 0.0);
        assert!(found.drivers[1].words.starts_with("one more day after the promised one goes with 2.0 points less"));
        assert_eq!(found.drivers[2].words, "an idle fact: no clear association with satisfaction");
        assert!(drivers(&facts, &rows[..100], &points[..100], Language::En).is_none());
        // The same figures in Chinese; a fact that has no name in it keeps its own.
        let chinese = drivers(&facts, &rows, &points, Language::Zh).unwrap();
        assert_eq!(chinese.drivers[1].coefficient, found.drivers[1].coefficient);
        assert!(chinese.drivers[1].words.starts_with("比承诺日每晚一天：其他因素相同时，满意度低 2.0 分（95 % 区间 "));
        assert_eq!(chinese.drivers[2].words, "idle：与满意度没有明显关联");
    }
}
