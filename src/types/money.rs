//! Money as an integer of minor units, read from text without passing through a float.

use iso_currency::Currency;
use std::borrow::Cow;
use std::str::FromStr;

/// Why a text is not an amount of a currency.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MoneyError {
    /// Not a decimal number.
    NotANumber,
    /// More decimals than the currency has, and no rounding was asked for.
    TooPrecise,
    /// Larger than 64 bits of minor units.
    TooLarge,
    /// Not an ISO 4217 code.
    UnknownCurrency,
}

/// What to do with digits beyond the currency's minor unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Excess {
    /// They are an error, unless they are zeros.
    Refuse,
    /// Round half to even, on the whole decimal text.
    HalfEven,
}

/// Number of decimals of a currency by ISO 4217: 2 for EUR, 0 for JPY, 3 for KWD.
///
/// Codes without a minor unit (gold, special drawing rights) are unknown here.
pub fn exponent(code: &str) -> Result<u32, MoneyError> {
    let currency = Currency::from_str(code).map_err(|_| MoneyError::UnknownCurrency)?;
    currency.exponent().map(u32::from).ok_or(MoneyError::UnknownCurrency)
}

/// A currency's code as ISO 4217 writes it: without blanks around it, in capitals.
pub fn code(text: &str) -> Cow<'_, str> {
    let text = text.trim();
    match text.bytes().any(|b| b.is_ascii_lowercase()) {
        true => Cow::Owned(text.to_ascii_uppercase()),
        false => Cow::Borrowed(text),
    }
}

/// Looks up currencies, of which a shop has a few.
#[derive(Debug, Clone, Default)]
pub struct Currencies {
    found: Vec<(String, Result<u32, MoneyError>)>,
}

/// Texts that are remembered: more than the spellings of the currencies that any shop takes.
const REMEMBERED: usize = 32;

impl Currencies {
    /// The [`exponent`] of the currency that a text names, whatever its case and the blanks around it.
    pub fn exponent(&mut self, text: &str) -> Result<u32, MoneyError> {
        if let Some((_, found)) = self.found.iter().find(|(before, _)| before == text) {
            return *found;
        }
        let found = exponent(&code(text));
        // Garbage in a column of currencies is looked up anew each time, and held by nobody.
        if self.found.len() < REMEMBERED {
            self.found.push((text.to_owned(), found));
        }
        found
    }
}

/// Reads a decimal text as minor units: `"12.34"` with exponent 2 is 1234.
///
/// `decimal` is the decimal mark; the other of `.` and `,`, blanks, apostrophes and a no-break space may group thousands.
/// A leading sign, or parentheses around a negative amount, are understood; a currency sign is not.
/// The flag says whether digits were rounded away.
pub fn parse_minor(text: &str, decimal: char, exponent: u32, excess: Excess) -> Result<(i64, bool), MoneyError> {
    let mut body = text.trim();
    let mut negative = false;
    if let Some(inner) = body.strip_prefix('(').and_then(|b| b.strip_suffix(')')) {
        negative = true;
        body = inner;
    } else if let Some(rest) = body.strip_prefix('-') {
        negative = true;
        body = rest;
    } else if let Some(rest) = body.strip_prefix('+') {
        body = rest;
    }
    let (whole, fraction) = body.split_once(decimal).unwrap_or((body, ""));
    let (mut value, mut digits) = (0_i128, 0_u32);
    let mut group = None::<u32>;
    for c in whole.chars() {
        match c.to_digit(10) {
            Some(d) => {
                value = value * 10 + i128::from(d);
                digits += 1;
                group = group.map(|g| g + 1);
                if digits > 24 {
                    return Err(MoneyError::TooLarge);
                }
            }
            None if is_grouping(c, decimal) && digits > 0 && group.is_none_or(|g| g == 3) => group = Some(0),
            None => return Err(MoneyError::NotANumber),
        }
    }
    // `1,23` under a decimal point is a mistake about the mark, not one hundred and twenty-three.
    if group.is_some_and(|g| g != 3)
        || digits + fraction.len() as u32 == 0
        || !fraction.bytes().all(|b| b.is_ascii_digit())
    {
        return Err(MoneyError::NotANumber);
    }
    let kept = fraction.len().min(exponent as usize);
    let (kept, rest) = fraction.split_at(kept);
    for b in kept.bytes() {
        value = value * 10 + i128::from(b - b'0');
    }
    for _ in kept.len() as u32..exponent {
        value *= 10;
    }
    let rounded = rest.bytes().any(|b| b != b'0');
    if rounded {
        if excess == Excess::Refuse {
            return Err(MoneyError::TooPrecise);
        }
        let first = rest.as_bytes()[0];
        let beyond_half = first > b'5' || (first == b'5' && rest.bytes().skip(1).any(|b| b != b'0'));
        if beyond_half || (first == b'5' && value % 2 == 1) {
            value += 1;
        }
    }
    let value = if negative { -value } else { value };
    i64::try_from(value).map(|v| (v, rounded)).map_err(|_| MoneyError::TooLarge)
}

fn is_grouping(c: char, decimal: char) -> bool {
    matches!((c, decimal), (',', '.') | ('.', ',') | (' ' | '\u{a0}' | '\u{202f}' | '\'', _))
}

/// Digits after the point that an exchange rate keeps: 1e-12 of a unit of the base currency.
const RATE_DIGITS: u32 = 12;

/// An exchange rate to the base currency as an exact decimal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate(i64);

impl Rate {
    /// Reads a positive decimal with up to twelve digits after the point.
    pub fn parse(text: &str) -> Result<Self, MoneyError> {
        let (scaled, _) = parse_minor(text, '.', RATE_DIGITS, Excess::HalfEven)?;
        if scaled > 0 { Ok(Self(scaled)) } else { Err(MoneyError::NotANumber) }
    }

    /// The rate in units of 1e-12, as it is stored.
    pub fn scaled(self) -> i64 {
        self.0
    }

    /// A stored rate; `None` unless positive.
    pub fn from_scaled(scaled: i64) -> Option<Self> {
        (scaled > 0).then_some(Self(scaled))
    }

    /// Converts minor units of one currency to minor units of the base currency, rounding half to even once.
    pub fn convert(self, minor: i64, from_exponent: u32, base_exponent: u32) -> Result<i64, MoneyError> {
        let mut numerator = i128::from(minor) * i128::from(self.0);
        let mut denominator = 10_i128.pow(RATE_DIGITS);
        if base_exponent >= from_exponent {
            numerator =
                numerator.checked_mul(10_i128.pow(base_exponent - from_exponent)).ok_or(MoneyError::TooLarge)?;
        } else {
            denominator *= 10_i128.pow(from_exponent - base_exponent);
        }
        let (quotient, remainder) = (numerator.div_euclid(denominator), numerator.rem_euclid(denominator));
        let up = remainder * 2 > denominator || (remainder * 2 == denominator && quotient % 2 != 0);
        i64::try_from(quotient + i128::from(up)).map_err(|_| MoneyError::TooLarge)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_currency_is_found_whatever_its_case_and_whatever_was_asked_before() {
        let mut known = Currencies::default();
        for (text, found) in
            [("EUR", Ok(2)), (" jpy ", Ok(0)), ("XYZ", Err(MoneyError::UnknownCurrency)), ("EUR", Ok(2))]
        {
            assert_eq!([known.exponent(text), known.exponent(text)], [found, found], "{text}");
            assert_eq!(exponent(&code(text)), found);
        }
    }

    #[test]
    fn amounts_are_read_by_the_exponent_of_their_currency() {
        let read = |t: &str, code: &str| parse_minor(t, '.', exponent(code).unwrap(), Excess::Refuse);
        assert_eq!(read("128.45", "BRL"), Ok((12845, false)));
        assert_eq!(read("1200", "JPY"), Ok((1200, false)));
        assert_eq!(read("1200.00", "JPY"), Ok((1200, false)));
        assert_eq!(read("1200.5", "JPY"), Err(MoneyError::TooPrecise));
        assert_eq!(read("1.234", "KWD"), Ok((1234, false)));
        assert_eq!(read("-0.10", "EUR"), Ok((-10, false)));
        assert_eq!(read("(1,234.5)", "USD"), Ok((-123_450, false)));
        assert_eq!(read(".5", "USD"), Ok((50, false)));
        assert_eq!(exponent("ZZZ"), Err(MoneyError::UnknownCurrency));
    }

    #[test]
    fn a_misplaced_mark_is_an_error_not_another_amount() {
        for text in ["", "-", ".", "12,34", "1,2345", "1,23,456", "12.3.4", "abc", "1e3", "NaN", "12€", "1,234,", "--5"]
        {
            assert_eq!(parse_minor(text, '.', 2, Excess::Refuse), Err(MoneyError::NotANumber), "{text}");
        }
        assert_eq!(parse_minor("1.234,50", ',', 2, Excess::Refuse), Ok((123_450, false)));
        assert_eq!(parse_minor("99999999999999999999", '.', 2, Excess::Refuse), Err(MoneyError::TooLarge));
    }

    #[test]
    fn rounding_is_half_to_even_and_counted() {
        let round = |t: &str| parse_minor(t, '.', 2, Excess::HalfEven);
        assert_eq!(round("0.125"), Ok((12, true)));
        assert_eq!(round("0.135"), Ok((14, true)));
        assert_eq!(round("0.1250001"), Ok((13, true)));
        assert_eq!(round("119.9800034"), Ok((11998, true)));
        assert_eq!(round("1.500"), Ok((150, false)));
    }

    #[test]
    fn conversion_rounds_once_and_is_odd_symmetric() {
        let rate = Rate::parse("0.0061").unwrap();
        assert_eq!(rate.convert(12_345, 0, 2), Ok(7530)); // 12,345 yen × 0.0061 = 75.3045 → 75.30
        assert_eq!(rate.convert(-12_345, 0, 2), Ok(-7530));
        assert_eq!(Rate::parse("3.25").unwrap().convert(1000, 3, 2), Ok(325)); // 1.000 KWD
        assert_eq!(Rate::parse("0.5").unwrap().convert(1, 2, 2), Ok(0));
        assert_eq!(Rate::parse("0.5").unwrap().convert(3, 2, 2), Ok(2));
        assert!(Rate::parse("0").is_err() && Rate::parse("-1").is_err());
    }
}
