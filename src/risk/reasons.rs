//! Reasons in words: why a score is high, for people who decide on the order.

use super::isolation::Respect;
use super::model::Contribution;
use crate::config::Language;

/// Smallest contribution worth a reason: it raises the odds by a tenth when rounded to one decimal.
const LEAST: f64 = 0.048_790_164_169_432;

/// What a feature's number is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unit {
    /// A count, told before the words: `7 orders from this device in 24 h`.
    Count,
    /// A yes or no (1 or 0): the words alone, or `not: …`.
    Flag,
    /// Money in minor units: `order amount 120.00 EUR`.
    Money {
        /// ISO 4217 code.
        currency: String,
        /// How many decimals the currency has.
        decimals: u8,
    },
    /// A share from 0 to 1, told in percent.
    Share,
    /// A span of time in seconds, told in the unit that suits it.
    Seconds,
    /// A span of time in hours, told likewise.
    Hours,
    /// A span of time in days, told likewise.
    Days,
    /// Any other number.
    Number,
}

/// How to talk of a feature.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FeatureText {
    /// What its number is.
    pub unit: Unit,
    /// What it is called, such as `orders from this device in 24 h` or `order amount`.
    pub label: String,
    /// The language it is called so in, and the reason is given in.
    pub language: Language,
}

/// One reason of a score.
#[derive(Debug, Clone, PartialEq)]
pub struct Reason {
    /// The feature.
    pub feature: String,
    /// Its value; NaN when it was missing.
    pub value: f64,
    /// Calibrated log-odds it added.
    pub contribution: f64,
    /// The reason in words.
    pub text: String,
}

/// The `k` strongest contributions that raise the score, in words, strongest first.
///
/// Equal ones keep the order of the features. What raises the odds by less than 5 % is no reason. `text` looks up the
/// words of a feature; one it does not know is called by its name.
pub fn reasons<'t>(
    contributions: &[Contribution<'_>],
    k: usize,
    text: &dyn Fn(&str) -> Option<&'t FeatureText>,
) -> Vec<Reason> {
    let mut raising: Vec<&Contribution<'_>> = contributions.iter().filter(|c| c.contribution >= LEAST).collect();
    raising.sort_by(|a, b| b.contribution.total_cmp(&a.contribution));
    let top = raising.into_iter().take(k);
    top.map(|c| Reason {
        feature: c.feature.to_owned(),
        value: c.value,
        contribution: c.contribution,
        text: describe(c, text(c.feature)),
    })
    .collect()
}

/// One contribution in words: `7 orders from this device in 24 h (average 0.3), raises the odds 4.1 times`.
pub fn describe(contribution: &Contribution<'_>, text: Option<&FeatureText>) -> String {
    let fallback;
    let text = match text {
        Some(text) => text,
        None => {
            let label = contribution.feature.replace('_', " ");
            fallback = FeatureText { unit: Unit::Number, label, language: Language::En };
            &fallback
        }
    };
    let fact = fact(contribution.value, text);
    let value = |value| in_unit(value, &text.unit, text.language);
    let effect = effect(contribution.contribution, text.language);
    let is_flag = text.unit == Unit::Flag;
    match text.language {
        Language::En if is_flag => {
            format!("{fact} ({}), {effect}", share_of_orders(contribution.average, text.language))
        }
        Language::En => format!("{fact} (average {}), {effect}", value(contribution.average)),
        Language::Zh if is_flag => {
            format!("{fact}（{}），{effect}", share_of_orders(contribution.average, text.language))
        }
        Language::Zh => format!("{fact}（平均 {}），{effect}", value(contribution.average)),
    }
}

/// A value in words: `7 orders from this device in 24 h`.
fn fact(value: f64, text: &FeatureText) -> String {
    let label = &text.label;
    let is_flag = text.unit == Unit::Flag;
    match text.language {
        Language::En if value.is_nan() => format!("{label} unknown"),
        Language::Zh if value.is_nan() => format!("{label}未知"),
        _ if is_flag && value != 0.0 => label.clone(),
        Language::En if is_flag => format!("not: {label}"),
        Language::Zh if is_flag => format!("否：{label}"),
        Language::En if text.unit == Unit::Count && value == 1.0 => format!("1 {}", singular(label)),
        Language::En if text.unit == Unit::Count => format!("{} {label}", number(value)),
        _ => format!("{label} {}", in_unit(value, &text.unit, text.language)),
    }
}

/// What makes an order unusual, in words: `unusual: 7 orders with this device in 24 h, usually 0`. Its `contribution`
/// is that to `log2(2 · score)` and no log-odds of anything.
pub fn unusual_reason(feature: String, respect: &Respect, text: &FeatureText) -> Reason {
    let fact = fact(respect.value, text);
    let usual = in_unit(respect.usual, &text.unit, text.language);
    let share = share_of_orders(respect.usual, text.language);
    let words = match (text.language, &text.unit) {
        (Language::En, Unit::Flag) => format!("unusual: {fact} ({share})"),
        (Language::En, _) => format!("unusual: {fact}, usually {usual}"),
        (Language::Zh, Unit::Flag) => format!("异常：{fact}（{share}）"),
        (Language::Zh, _) => format!("异常：{fact}，通常为 {usual}"),
    };
    Reason { feature, value: respect.value, contribution: respect.contribution, text: words }
}

/// The words behind a 1: the first of the counted things loses its plural, `other customers on …` is `other customer
/// on …`.
fn singular(label: &str) -> String {
    const COUNTED: [&str; 8] = ["orders", "customers", "frauds", "returns", "items", "lines", "units", "sizes"];
    let mut words: Vec<&str> = label.split(' ').collect();
    if let Some(word) = words.iter_mut().find(|word| COUNTED.contains(word)) {
        *word = word.trim_end_matches('s');
    }
    words.join(" ")
}

fn share_of_orders(share: f64, language: Language) -> String {
    let share = in_unit(share, &Unit::Share, language);
    match language {
        Language::En => format!("{share} of orders"),
        Language::Zh => format!("占订单的 {share}"),
    }
}

fn effect(log_odds: f64, language: Language) -> String {
    let times = log_odds.abs().exp();
    let (raises, many) = (log_odds >= 0.0, times >= 1_000.0);
    let times = number(times);
    match (language, raises, many) {
        (Language::En, true, false) => format!("raises the odds {times} times"),
        (Language::En, false, false) => format!("lowers the odds {times} times"),
        (Language::En, true, true) => "raises the odds over 1000 times".to_owned(),
        (Language::En, false, true) => "lowers the odds over 1000 times".to_owned(),
        (Language::Zh, true, false) => format!("几率升至 {times} 倍"),
        (Language::Zh, false, false) => format!("几率降至 {times} 分之一"),
        (Language::Zh, true, true) => "几率升至 1000 倍以上".to_owned(),
        (Language::Zh, false, true) => "几率降至不到 1000 分之一".to_owned(),
    }
}

fn in_unit(value: f64, unit: &Unit, language: Language) -> String {
    match unit {
        Unit::Count | Unit::Flag | Unit::Number => number(value),
        Unit::Share if value != 0.0 && value.abs() < 0.001 => match language {
            Language::En => "under 0.1 %".to_owned(),
            Language::Zh => "不到 0.1 %".to_owned(),
        },
        Unit::Share => format!("{} %", number(100.0 * value)),
        Unit::Money { currency, decimals } => {
            let decimals = usize::from(*decimals);
            format!("{:.decimals$} {currency}", value / 10f64.powi(decimals as i32))
        }
        Unit::Seconds => span(value, language),
        Unit::Hours => span(value * 3_600.0, language),
        Unit::Days => span(value * 86_400.0, language),
    }
}

fn span(seconds: f64, language: Language) -> String {
    let (by, english, chinese) = match seconds.abs() {
        s if s < 60.0 => (1.0, "s", "秒"),
        s if s < 3_600.0 => (60.0, "min", "分钟"),
        s if s < 2.0 * 86_400.0 => (3_600.0, "h", "小时"),
        _ => (86_400.0, "d", "天"),
    };
    let unit = if language == Language::Zh { chinese } else { english };
    format!("{} {unit}", number(seconds / by))
}

/// A number for reading: whole ones and large ones without decimals, others with one, small ones with two digits.
fn number(value: f64) -> String {
    let size = value.abs();
    if value.fract() == 0.0 || size >= 100.0 {
        // Adding zero turns a negative zero into zero.
        format!("{:.0}", value + 0.0)
    } else if size >= 0.095 {
        let text = format!("{value:.1}");
        text.strip_suffix(".0").map_or(text.clone(), str::to_owned)
    } else {
        format!("{value:.1e}").parse::<f64>().map_or_else(|_| value.to_string(), |rounded| rounded.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn contribution(feature: &str, value: f64, average: f64, contribution: f64) -> Contribution<'_> {
        Contribution { feature, value, average, contribution }
    }

    fn text(unit: Unit, label: &str) -> Option<FeatureText> {
        Some(FeatureText { unit, label: label.to_owned(), language: Language::En })
    }

    #[test]
    fn a_reason_says_the_value_its_unit_the_average_and_the_effect() {
        let euro = Unit::Money { currency: "EUR".to_owned(), decimals: 2 };
        let cases = [
            (
                7.0,
                0.31,
                4.1_f64.ln(),
                text(Unit::Count, "orders from this device in 24 h"),
                "7 orders from this device in 24 h (average 0.3), raises the odds 4.1 times",
            ),
            (
                1.0,
                0.001,
                2f64.ln(),
                text(Unit::Count, "other customers on this card before this one"),
                "1 other customer on this card before this one (average 0.001), raises the odds 2 times",
            ),
            (
                12_000.0,
                4_051.3,
                2f64.ln(),
                text(euro, "order amount"),
                "order amount 120.00 EUR (average 40.51 EUR), raises the odds 2 times",
            ),
            (
                1.0,
                0.034,
                25f64.ln(),
                text(Unit::Flag, "ships to another country than the card's"),
                "ships to another country than the card's (3.4 % of orders), raises the odds 25 times",
            ),
            (
                0.0,
                0.9,
                0.2,
                text(Unit::Flag, "account is older than a day"),
                "not: account is older than a day (90 % of orders), raises the odds 1.2 times",
            ),
            (
                1.5,
                400.0,
                8.0,
                text(Unit::Hours, "account age"),
                "account age 1.5 h (average 16.7 d), raises the odds over 1000 times",
            ),
            (
                f64::NAN,
                3.0,
                0.5,
                text(Unit::Days, "time since the last order"),
                "time since the last order unknown (average 3 d), raises the odds 1.6 times",
            ),
            (0.0123, 0.5, -0.7, None, "some feature 0.012 (average 0.5), lowers the odds 2 times"),
        ];
        for (value, average, log_odds, text, expected) in cases {
            assert_eq!(describe(&contribution("some_feature", value, average, log_odds), text.as_ref()), expected);
        }
    }

    #[test]
    fn reasons_in_chinese_say_the_same_with_values_after_the_words() {
        let zh = |unit, label: &str| FeatureText { unit, label: label.to_owned(), language: Language::Zh };
        let euro = Unit::Money { currency: "EUR".to_owned(), decimals: 2 };
        let cases = [
            (
                7.0,
                0.31,
                4.1_f64.ln(),
                zh(Unit::Count, "该设备 24 小时内的订单数"),
                "该设备 24 小时内的订单数 7（平均 0.3），几率升至 4.1 倍",
            ),
            (
                12_000.0,
                4_051.3,
                -(2f64.ln()),
                zh(euro, "订单金额"),
                "订单金额 120.00 EUR（平均 40.51 EUR），几率降至 2 分之一",
            ),
            (
                1.0,
                0.034,
                8.0,
                zh(Unit::Flag, "收货国与账单国不同"),
                "收货国与账单国不同（占订单的 3.4 %），几率升至 1000 倍以上",
            ),
            (0.0, 0.0001, 0.2, zh(Unit::Flag, "周末下单"), "否：周末下单（占订单的 不到 0.1 %），几率升至 1.2 倍"),
            (f64::NAN, 3.0, 0.5, zh(Unit::Days, "账户年龄"), "账户年龄未知（平均 3 天），几率升至 1.6 倍"),
        ];
        for (value, average, log_odds, text, expected) in cases {
            assert_eq!(describe(&contribution("f", value, average, log_odds), Some(&text)), expected);
        }
        let respect = |value, usual| Respect { feature: 0, value, usual, contribution: 0.3 };
        let said = |respect: Respect, text: &FeatureText| unusual_reason("f".to_owned(), &respect, text).text;
        assert_eq!(said(respect(0.5, 400.0), &zh(Unit::Hours, "账户年龄")), "异常：账户年龄 30 分钟，通常为 16.7 天");
        assert_eq!(said(respect(1.0, 0.05), &zh(Unit::Flag, "夜间下单")), "异常：夜间下单（占订单的 5 %）");
        let english = text(Unit::Count, "orders with this device in 24 h").unwrap();
        assert_eq!(said(respect(7.0, 0.0), &english), "unusual: 7 orders with this device in 24 h, usually 0");
    }

    #[test]
    fn only_what_raises_the_score_is_a_reason_and_equal_ones_keep_their_order() {
        let all = [
            contribution("down", 1.0, 0.0, -2.0),
            contribution("b", 1.0, 0.0, 0.7),
            contribution("a", 1.0, 0.0, 0.7),
            contribution("top", 1.0, 0.0, 1.5),
            contribution("slight", 1.0, 0.0, 0.01),
        ];
        let named: Vec<String> = reasons(&all, 3, &|_| None).into_iter().map(|reason| reason.feature).collect();
        assert_eq!(named, ["top", "b", "a"]);
        assert_eq!(reasons(&all, 10, &|_| None).len(), 3);
    }
}
