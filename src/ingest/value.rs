//! One text to one value, or the reason why not.

use crate::quarantine::Reason;
use crate::types::money::{self, Currencies, Excess, MoneyError, Rate};
use crate::types::time::{Resolution, resolve_local};
use chrono::{DateTime, NaiveDate, NaiveDateTime};
use chrono_tz::Tz;

/// Formats tried when a column declares none, in order.
const DEFAULT_FORMATS: &[&str] =
    &["rfc3339", "%Y-%m-%d %H:%M:%S%.f", "%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%d %H:%M", "%Y-%m-%dT%H:%M", "%Y-%m-%d"];

/// 2200-01-01: later dates in exports are placeholders (9999-12-31), not plans.
const LATEST: i64 = 7_258_118_400_000_000;

/// How a text becomes an instant.
#[derive(Debug, Clone)]
pub(super) struct TimeFormat {
    formats: Vec<String>,
    zone: Tz,
}

impl TimeFormat {
    /// Formats in the order they are tried; none means the usual ISO forms. `zone` is for times without an offset.
    pub(super) fn new(formats: &[String], zone: Tz) -> Self {
        let formats =
            if formats.is_empty() { DEFAULT_FORMATS.iter().map(|&f| f.to_owned()).collect() } else { formats.to_vec() };
        Self { formats, zone }
    }

    /// UTC microseconds of a text, and how a time without an offset was placed.
    pub(super) fn parse(&self, text: &str) -> Result<(i64, Resolution), Reason> {
        let text = text.trim();
        for format in &self.formats {
            let found = match format.as_str() {
                "rfc3339" => {
                    DateTime::parse_from_rfc3339(text).ok().map(|t| (t.timestamp_micros(), Resolution::Unique))
                }
                "unix" => unix(text, 1_000_000),
                "unix_ms" => unix(text, 1_000),
                "unix_us" => unix(text, 1),
                f if f.contains("%z") || f.contains("%:z") || f.contains("%#z") => {
                    DateTime::parse_from_str(text, f).ok().map(|t| (t.timestamp_micros(), Resolution::Unique))
                }
                f => self.local(text, f),
            };
            if let Some((micros, how)) = found {
                return if (0..LATEST).contains(&micros) { Ok((micros, how)) } else { Err(Reason::DateOutOfRange) };
            }
        }
        Err(Reason::NotADate)
    }

    /// UTC microseconds of a civil time in the column's zone.
    pub(super) fn place(&self, local: NaiveDateTime) -> Result<(i64, Resolution), Reason> {
        let (micros, how) = resolve_local(local, self.zone);
        if (0..LATEST).contains(&micros) { Ok((micros, how)) } else { Err(Reason::DateOutOfRange) }
    }

    fn local(&self, text: &str, format: &str) -> Option<(i64, Resolution)> {
        let local = NaiveDateTime::parse_from_str(text, format)
            .or_else(|e| {
                NaiveDate::parse_from_str(text, format).map(|d| d.and_time(chrono::NaiveTime::MIN)).map_err(|_| e)
            })
            .ok()?;
        Some(resolve_local(local, self.zone))
    }
}

fn unix(text: &str, scale: i64) -> Option<(i64, Resolution)> {
    text.parse::<i64>().ok()?.checked_mul(scale).map(|t| (t, Resolution::Unique))
}

/// A whole number; `12.0` is one, `12.5` is not.
pub(super) fn integer(text: &str) -> Result<i64, Reason> {
    let text = text.trim();
    let whole = match text.split_once('.') {
        Some((whole, zeros)) if !whole.is_empty() && zeros.bytes().all(|b| b == b'0') => whole,
        _ => text,
    };
    whole.parse::<i64>().map_err(|e| match e.kind() {
        std::num::IntErrorKind::PosOverflow | std::num::IntErrorKind::NegOverflow => Reason::TooLarge,
        _ => Reason::NotAnInteger,
    })
}

/// A finite number.
pub(super) fn number(text: &str, decimal: char) -> Result<f64, Reason> {
    let text = text.trim();
    let replaced;
    let text = if decimal == ',' {
        replaced = text.replace('.', "").replace(',', ".");
        &replaced
    } else {
        text
    };
    match text.parse::<f64>() {
        Ok(value) if value.is_finite() => Ok(value),
        _ => Err(Reason::NotANumber),
    }
}

/// Yes or no in the usual spellings.
pub(super) fn flag(text: &str) -> Result<bool, Reason> {
    match text.trim().to_ascii_lowercase().as_str() {
        "true" | "t" | "yes" | "y" | "1" | "1.0" => Ok(true),
        "false" | "f" | "no" | "n" | "0" | "0.0" => Ok(false),
        _ => Err(Reason::NotAFlag),
    }
}

/// Minor units of an amount in a currency, and whether digits were rounded away.
pub(super) fn minor_units(
    text: &str,
    decimal: char,
    currency: &str,
    excess: Excess,
    known: &mut Currencies,
) -> Result<(i64, bool), Reason> {
    let exponent = known.exponent(currency).map_err(reason)?;
    money::parse_minor(text, decimal, exponent, excess).map_err(reason)
}

/// An exchange rate in units of 1e-12.
pub(super) fn rate(text: &str) -> Result<i64, Reason> {
    Rate::parse(text).map(Rate::scaled).map_err(|_| Reason::NotANumber)
}

/// The reason for a money error.
pub(super) fn reason(error: MoneyError) -> Reason {
    match error {
        MoneyError::NotANumber => Reason::NotMoney,
        MoneyError::TooPrecise => Reason::TooPrecise,
        MoneyError::TooLarge => Reason::TooLarge,
        MoneyError::UnknownCurrency => Reason::UnknownCurrency,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::time::format_instant;

    #[test]
    fn formats_are_tried_in_order_and_zones_apply_only_without_an_offset() {
        let shanghai: Tz = "Asia/Shanghai".parse().unwrap();
        let default = TimeFormat::new(&[], shanghai);
        let read = |t: &str| default.parse(t).map(|(m, _)| format_instant(m));
        assert_eq!(read("2024-03-01 08:00:00").as_deref(), Ok("2024-03-01T00:00:00Z"));
        assert_eq!(read("2024-03-01T08:00:00Z").as_deref(), Ok("2024-03-01T08:00:00Z"));
        assert_eq!(read("2024-03-01").as_deref(), Ok("2024-02-29T16:00:00Z"));
        assert_eq!(read("2024-02-30"), Err(Reason::NotADate));
        assert_eq!(read("9999-12-31"), Err(Reason::DateOutOfRange));
        let several =
            TimeFormat::new(&["%d/%m/%Y %H:%M".to_owned(), "%m/%d/%y".to_owned(), "unix".to_owned()], Tz::UTC);
        let read = |t: &str| several.parse(t).map(|(m, _)| format_instant(m));
        assert_eq!(read("31/01/2024 10:00").as_deref(), Ok("2024-01-31T10:00:00Z"));
        assert_eq!(read("1/31/24").as_deref(), Ok("2024-01-31T00:00:00Z"));
        assert_eq!(read("86400").as_deref(), Ok("1970-01-02T00:00:00Z"));
        assert_eq!(read("31/02/2024 10:00"), Err(Reason::NotADate));
    }

    #[test]
    fn numbers_and_flags_are_read_strictly() {
        assert_eq!(integer("12.0"), Ok(12));
        assert_eq!(integer("12.5"), Err(Reason::NotAnInteger));
        assert_eq!(integer(".0"), Err(Reason::NotAnInteger));
        assert_eq!(integer("99999999999999999999"), Err(Reason::TooLarge));
        assert_eq!(number("1.234,5", ','), Ok(1234.5));
        assert_eq!(number("inf", '.'), Err(Reason::NotANumber));
        assert_eq!((flag("Yes"), flag("0"), flag("maybe")), (Ok(true), Ok(false), Err(Reason::NotAFlag)));
        assert_eq!(
            minor_units("12", '.', "XYZ", Excess::Refuse, &mut Currencies::default()),
            Err(Reason::UnknownCurrency)
        );
    }
}
