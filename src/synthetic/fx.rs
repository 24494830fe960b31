//! Currencies: daily rates to the euro as a random walk, list prices, and decimal text of minor units.

use super::dice::Dice;
use crate::types::money;

/// Currency, euros for one unit on the first day, daily volatility.
const CURRENCIES: [(&str, f64, f64); 16] = [
    ("EUR", 1.0, 0.0),
    ("USD", 0.92, 0.0042),
    ("GBP", 1.17, 0.0035),
    ("JPY", 0.0061, 0.0055),
    ("CNY", 0.128, 0.0035),
    ("PLN", 0.233, 0.0030),
    ("SEK", 0.088, 0.0036),
    ("CHF", 1.06, 0.0030),
    ("CZK", 0.0398, 0.0025),
    ("DKK", 0.134, 0.0001),
    ("CAD", 0.640, 0.0040),
    ("AUD", 0.570, 0.0048),
    ("KWD", 2.98, 0.0032),
    ("AED", 0.2505, 0.0042),
    ("BRL", 0.158, 0.0078),
    ("MXN", 0.0462, 0.0068),
];

/// Days of rates before the first order: whatever happened just before it has a rate too.
pub(super) const LEAD_DAYS: usize = 30;

/// Currencies and their daily rates.
pub(super) struct Fx {
    /// Decimals of each currency by ISO 4217.
    exponents: Vec<u32>,
    /// By currency, then by day since [`LEAD_DAYS`] before the start.
    rates: Vec<Vec<f64>>,
}

impl Fx {
    /// Walks the rates of `days` days.
    pub(super) fn new(dice: &mut Dice, days: usize) -> Self {
        let walk = |(_, first, volatility): &(&str, f64, f64)| {
            let mut rate = *first;
            let mut day = || {
                // A weak pull back keeps ten years of walking within reason.
                rate *= (volatility * dice.normal() + 0.01 * (first / rate).ln()).exp();
                rate
            };
            (0..days).map(|_| day()).collect()
        };
        let exponents = CURRENCIES.iter().map(|(code, ..)| money::exponent(code).unwrap_or(2)).collect();
        Self { exponents, rates: CURRENCIES.iter().map(walk).collect() }
    }

    /// The index of a currency; the euro's when it is not traded here.
    pub(super) fn index(code: &str) -> usize {
        CURRENCIES.iter().position(|(c, ..)| *c == code).unwrap_or(0)
    }

    pub(super) fn code(currency: usize) -> &'static str {
        CURRENCIES[currency].0
    }

    pub(super) fn exponent(&self, currency: usize) -> u32 {
        self.exponents[currency]
    }

    /// Every currency but the base, with its rates day by day.
    pub(super) fn series(&self) -> impl Iterator<Item = (&'static str, &[f64])> {
        CURRENCIES.iter().zip(&self.rates).skip(1).map(|((code, ..), rates)| (*code, rates.as_slice()))
    }

    /// Minor units of a currency that are worth so many euros at list rates. Price lists do not follow the daily rate.
    pub(super) fn minor_of_euros(&self, currency: usize, euros: f64) -> i64 {
        (euros / CURRENCIES[currency].1 * 10_f64.powi(self.exponents[currency] as i32)).round() as i64
    }

    /// Euros at list rates.
    pub(super) fn to_euros(&self, currency: usize, minor: i64) -> f64 {
        minor as f64 * CURRENCIES[currency].1 / 10_f64.powi(self.exponents[currency] as i32)
    }

    /// A list price near so many euros, with the ending shops like: `.99`, `.95`, whole tens of yen, `.900` dinars.
    pub(super) fn list_price(&self, currency: usize, euros: f64) -> i64 {
        let minor = self.minor_of_euros(currency, euros).max(1);
        match self.exponents[currency] {
            0 => (minor + 5) / 10 * 10,
            3 => (minor + 250) / 500 * 500 + 400,
            _ if minor >= 20_000 => minor / 100 * 100,
            _ if minor % 2 == 0 => minor / 100 * 100 + 99,
            _ => minor / 100 * 100 + 95,
        }
        .max(1)
    }
}

/// Appends minor units as decimal text with all decimals of the currency.
pub(super) fn push_money(out: &mut Vec<u8>, minor: i64, exponent: u32) {
    let mut digits = [0_u8; 20];
    let (mut rest, mut len) = (minor.unsigned_abs(), 0);
    while rest > 0 || len <= exponent as usize {
        digits[len] = b'0' + (rest % 10) as u8;
        rest /= 10;
        len += 1;
    }
    if minor < 0 {
        out.push(b'-');
    }
    for i in (0..len).rev() {
        out.push(digits[i]);
        if i > 0 && i == exponent as usize {
            out.push(b'.');
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use money::{Excess, parse_minor};

    #[test]
    fn money_text_is_read_back_as_the_same_minor_units() {
        for exponent in [0, 2, 3] {
            for minor in [0, 1, -1, 9, 10, 99, 100, 1000, 123_456, -5_000_005, i64::MAX] {
                let mut text = Vec::new();
                push_money(&mut text, minor, exponent);
                let text = String::from_utf8(text).unwrap();
                assert_eq!(parse_minor(&text, '.', exponent, Excess::Refuse), Ok((minor, false)), "{text}");
            }
        }
        let mut yen = Vec::new();
        push_money(&mut yen, 1200, 0);
        assert_eq!(yen, b"1200");
    }

    #[test]
    fn every_currency_of_a_country_is_traded() {
        for country in &super::super::places::COUNTRIES {
            assert_eq!(Fx::code(Fx::index(country.currency)), country.currency);
        }
    }
}
