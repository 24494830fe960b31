//! Spans, instants and amounts as a detail says them, and details in the language of the run.

use crate::config::Language;
use crate::types::time::{DAY, HOUR};
use chrono::DateTime;

/// A text in a language, English and Chinese side by side so that neither is forgotten: both take what they name from the
/// names around them, each in its own order.
macro_rules! said {
    ($language:expr, $english:literal, $chinese:literal) => {
        match $language {
            $crate::config::Language::En => format!($english),
            $crate::config::Language::Zh => format!($chinese),
        }
    };
}
pub(super) use said;

/// `40.5 h`, and from three days on `3.2 days`; whole numbers without decimals.
pub(super) fn span(micros: i64, language: Language) -> String {
    let (value, [english, chinese]) = match micros {
        m if m < 72 * HOUR => (m as f64 / HOUR as f64, ["h", "小时"]),
        m => (m as f64 / DAY as f64, ["days", "天"]),
    };
    let unit = if language == Language::Zh { chinese } else { english };
    let text = format!("{value:.1}");
    format!("{} {unit}", text.strip_suffix(".0").unwrap_or(&text))
}

/// `2026-01-20 08:00 UTC`.
pub(super) fn instant(micros: i64) -> String {
    match DateTime::from_timestamp_micros(micros) {
        Some(at) => at.format("%Y-%m-%d %H:%M UTC").to_string(),
        None => format!("{micros} µs"),
    }
}

/// A share as `95 %`.
pub(super) fn share(share: f64) -> String {
    let text = format!("{:.1}", 100.0 * share);
    format!("{} %", text.strip_suffix(".0").unwrap_or(&text))
}

/// `1 unit`, `2 units`.
pub(super) fn counted(n: i64, noun: &str) -> String {
    format!("{n} {noun}{}", if n == 1 { "" } else { "s" })
}

/// The currency that amounts are in.
#[derive(Debug, Clone, Copy)]
pub(super) struct Currency<'a> {
    pub(super) code: &'a str,
    pub(super) exponent: u32,
}

impl Currency<'_> {
    /// Minor units as `1,234.50 EUR`, exactly.
    pub(super) fn amount(self, minor: i64) -> String {
        let one = 10_u64.pow(self.exponent.min(18));
        let (whole, rest) = (minor.unsigned_abs() / one, minor.unsigned_abs() % one);
        let digits = whole.to_string();
        let mut text = if minor < 0 { "-".to_owned() } else { String::new() };
        for (at, digit) in digits.chars().enumerate() {
            if at > 0 && (digits.len() - at).is_multiple_of(3) {
                text.push(',');
            }
            text.push(digit);
        }
        if self.exponent > 0 {
            text.push_str(&format!(".{rest:0width$}", width = self.exponent as usize));
        }
        format!("{text} {}", self.code)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_amounts_and_instants_have_their_units() {
        let spans: Vec<String> =
            [0, HOUR / 2, 24 * HOUR, 72 * HOUR - 1, 72 * HOUR, 10 * DAY].map(|m| span(m, Language::En)).into();
        assert_eq!(spans, ["0 h", "0.5 h", "24 h", "72 h", "3 days", "10 days"]);
        assert_eq!([HOUR / 2, 4 * DAY].map(|m| span(m, Language::Zh)), ["0.5 小时", "4 天"]);
        let euro = Currency { code: "EUR", exponent: 2 };
        let amounts: Vec<String> = [5, -100, 123_456_789].map(|minor| euro.amount(minor)).into();
        assert_eq!(amounts, ["0.05 EUR", "-1.00 EUR", "1,234,567.89 EUR"]);
        assert_eq!(Currency { code: "JPY", exponent: 0 }.amount(1_200), "1,200 JPY");
        assert_eq!(instant(1_768_896_000_000_000), "2026-01-20 08:00 UTC");
    }
}
