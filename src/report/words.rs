//! How numbers, days and foreign text read on the page.

use crate::kpi::{Measure, catalogue::Terms};
use crate::types::{money, time};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::fmt;

/// Text that came from data. Written out, it is escaped for HTML, so that it cannot be forgotten; control characters
/// and marks that turn the direction of what follows are replaced.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(transparent)]
pub(super) struct Foreign(String);

impl Foreign {
    /// As it came; for SQL and for decisions, never for the page.
    pub(super) fn raw(&self) -> &str {
        &self.0
    }

    /// The first `chars` characters, with an ellipsis if there were more.
    pub(super) fn cut(&self, chars: usize) -> Self {
        match self.0.char_indices().nth(chars) {
            Some((end, _)) => Self(format!("{}…", &self.0[..end])),
            None => self.clone(),
        }
    }

    /// Escaped like any other, with what stands between backticks set as code.
    pub(super) fn prose(&self) -> String {
        let parts: Vec<&str> = self.0.split('`').collect();
        // A mark without its partner is just a mark.
        if parts.len().is_multiple_of(2) {
            return self.to_string();
        }
        let set = |(at, part): (usize, &str)| {
            let part = Self::from(part);
            if at % 2 == 1 { format!("<code>{part}</code>") } else { part.to_string() }
        };
        parts.into_iter().enumerate().map(set).collect()
    }

    /// A code such as `not_a_date` in words.
    pub(super) fn spaced(&self) -> Self {
        Self(self.0.replace('_', " "))
    }
}

impl From<&str> for Foreign {
    fn from(text: &str) -> Self {
        Self(text.to_owned())
    }
}

impl fmt::Display for Foreign {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for c in self.0.chars() {
            match c {
                '&' => f.write_str("&amp;")?,
                '<' => f.write_str("&lt;")?,
                '>' => f.write_str("&gt;")?,
                '"' => f.write_str("&quot;")?,
                '\'' => f.write_str("&#39;")?,
                '\n' | '\r' | '\t' => f.write_str(" ")?,
                '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => f.write_str("\u{fffd}")?,
                c if c.is_control() => f.write_str("\u{fffd}")?,
                c => write!(f, "{c}")?,
            }
        }
        Ok(())
    }
}

/// A calendar month, counted from year 0, so that neighbours differ by one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Month(pub(super) i32);

impl Month {
    /// The month of a day such as `2018-10-01`; `None` when it is no day.
    pub(super) fn of_day(day: &str) -> Option<Self> {
        let mut parts = day.splitn(3, '-');
        let (year, month): (i32, i32) = (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?);
        (1..=12).contains(&month).then_some(Self(year * 12 + month - 1))
    }

    /// Its first day, as SQL has it.
    pub(super) fn first_day(self) -> String {
        format!("{:04}-{:02}-01", self.0.div_euclid(12), self.0.rem_euclid(12) + 1)
    }

    /// Three letters: `Oct`.
    pub(super) fn short(self) -> &'static str {
        const NAMES: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
        NAMES.get(self.0.rem_euclid(12) as usize).copied().unwrap_or("?")
    }

    /// Its year.
    pub(super) fn year(self) -> i32 {
        self.0.div_euclid(12)
    }
}

impl fmt::Display for Month {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.short(), self.year())
    }
}

/// The base currency of a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Currency {
    code: Option<Foreign>,
    exponent: Option<u32>,
}

impl Currency {
    /// By its ISO 4217 code; amounts of an unknown one stay in minor units and say so.
    pub(super) fn of(code: Option<&Foreign>) -> Self {
        let exponent = code.and_then(|code| money::exponent(code.raw()).ok());
        Self { code: code.cloned(), exponent }
    }

    /// An amount in minor units.
    pub(super) fn minor(&self, amount: i64) -> String {
        match self.exponent {
            Some(exponent) => self.named(&decimal(amount, exponent)),
            None => format!("{} minor units", count(amount)),
        }
    }

    /// An amount in units, without decimals where they no longer matter.
    pub(super) fn units(&self, amount: f64) -> String {
        let decimals = if amount.abs() >= 10_000.0 { 0 } else { self.exponent.unwrap_or(2) };
        self.named(&fixed(amount, decimals as usize))
    }

    /// An amount in units on an axis: `1.2 M`.
    pub(super) fn short(amount: f64) -> String {
        let (scaled, suffix) = match amount.abs() {
            a if a >= 1e9 => (amount / 1e9, " bn"),
            a if a >= 1e6 => (amount / 1e6, " M"),
            a if a >= 1e4 => (amount / 1e3, " k"),
            _ => (amount, ""),
        };
        format!("{}{suffix}", plain(scaled, 2))
    }

    fn named(&self, number: &str) -> String {
        match &self.code {
            Some(code) => format!("{number}\u{a0}{code}"),
            None => number.to_owned(),
        }
    }
}

/// Minor units as a decimal, exactly.
fn decimal(minor: i64, exponent: u32) -> String {
    let one = 10_u64.pow(exponent.min(18));
    let (whole, rest) = (minor.unsigned_abs() / one, minor.unsigned_abs() % one);
    let sign = if minor < 0 { "−" } else { "" };
    let whole = grouped(&whole.to_string());
    if exponent == 0 {
        format!("{sign}{whole}")
    } else {
        format!("{sign}{whole}.{rest:0width$}", width = exponent as usize)
    }
}

/// A number of things, thousands apart.
pub(super) fn count(n: i64) -> String {
    format!("{}{}", if n < 0 { "−" } else { "" }, grouped(&n.unsigned_abs().to_string()))
}

/// A number with its noun: `1 order`, `2 orders`.
pub(super) fn counted(n: i64, noun: &str) -> String {
    format!("{}\u{a0}{noun}{}", count(n), if n == 1 { "" } else { "s" })
}

/// A part of a whole as a percentage; more decimals where it is small.
pub(super) fn percent(share: f64) -> String {
    let decimals = if share != 0.0 && share.abs() < 0.0095 { 2 } else { 1 };
    format!("{}\u{a0}%", fixed(100.0 * share, decimals))
}

/// A value in the unit that its row names.
pub(super) fn value(unit: &str, v: f64, currency: &Currency) -> String {
    match unit {
        "share" => percent(v),
        "money" => currency.units(v),
        "count" => fixed(v, 0),
        "hours" if v.abs() >= 72.0 => format!("{}\u{a0}days", fixed(v / 24.0, 1)),
        "hours" => format!("{}\u{a0}h", fixed(v, 1)),
        "minutes" if v.abs() >= 120.0 => value("hours", v / 60.0, currency),
        "minutes" => format!("{}\u{a0}min", fixed(v, 1)),
        "basis_points" => format!("{}\u{a0}bps", fixed(v, 1)),
        "stars" => format!("{}\u{a0}★", fixed(v, 2)),
        "points" | "score" => fixed(v, 1),
        _ => plain(v, 4),
    }
}

/// A value on an axis: shorter than [`value`].
pub(super) fn tick(unit: &str, v: f64) -> String {
    match unit {
        "share" => format!("{} %", plain(100.0 * v, 2)),
        _ => Currency::short(v),
    }
}

/// A fixed number of decimals, thousands apart, with a true minus sign.
pub(super) fn fixed(v: f64, decimals: usize) -> String {
    if !v.is_finite() {
        return "–".to_owned();
    }
    let text = format!("{:.decimals$}", v.abs());
    let (whole, rest) = text.split_once('.').unwrap_or((&text, ""));
    let zero = text.bytes().all(|b| b == b'0' || b == b'.');
    let sign = if v < 0.0 && !zero { "−" } else { "" };
    let point = if rest.is_empty() { "" } else { "." };
    format!("{sign}{}{point}{rest}", grouped(whole))
}

/// At most so many decimals, no zeros at the end.
fn plain(v: f64, decimals: usize) -> String {
    let text = fixed(v, decimals);
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
}

fn grouped(digits: &str) -> String {
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// An RFC 3339 instant to the minute, with its zone; anything else as it came.
pub(super) fn instant(text: &Foreign) -> String {
    format!("{} UTC", minute(text))
}

/// The same where a heading says that it is UTC.
pub(super) fn minute(text: &Foreign) -> String {
    let known = time::parse_instant(text.raw()).map(time::format_instant);
    let parts = known.as_deref().and_then(|t| Some((t.get(..10)?, t.get(11..16)?)));
    parts.map_or_else(|| text.to_string(), |(day, minute)| format!("{day}\u{a0}{minute}"))
}

/// What is known of a KPI beside its numbers.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Meaning {
    /// In plain words; empty for a KPI that this version does not know.
    pub(super) text: &'static str,
    /// Whether more is better; `None` where neither is, or it is not known.
    pub(super) more_is_better: Option<bool>,
}

/// The meanings of all KPIs and satisfaction measures, by id.
#[derive(Debug)]
pub(super) struct Meanings(BTreeMap<&'static str, Meaning>);

/// What the engine adds to the id of a duration, and how it reads.
const SUFFIXES: [(&str, &str); 4] = [
    ("_p50", ", median"),
    ("_p90", ", slowest tenth above"),
    ("_mean", ", mean"),
    ("_open_share", ", share still open"),
];

impl Meanings {
    /// From the catalogues.
    pub(super) fn new() -> Self {
        // Words and directions do not depend on the terms, only formulas do.
        let terms = Terms { as_of: 0, zone: chrono_tz::UTC, return_window: 30 * time::DAY };
        let all = crate::kpi::catalogue::catalogue(&terms).into_iter().chain(crate::satisfaction::catalogue());
        let known = |m: Measure| (m.id, Meaning { text: m.meaning, more_is_better: m.more_is_better });
        let index = crate::satisfaction::table::MEANINGS
            .iter()
            .map(|(id, text)| (*id, Meaning { text, more_is_better: Some(true) }));
        Self(all.map(known).chain(index).collect())
    }

    /// What is known of the KPI `id`.
    pub(super) fn of(&self, id: &str) -> Meaning {
        let base = SUFFIXES.iter().find_map(|(suffix, _)| id.strip_suffix(suffix));
        self.0.get(id).or_else(|| self.0.get(base?)).cloned().unwrap_or_default()
    }
}

/// A KPI's id as a heading: `late_shipment_rate` is `Late shipment rate`.
pub(super) fn heading(id: &Foreign) -> Foreign {
    let split = SUFFIXES.iter().find_map(|(suffix, added)| Some((id.raw().strip_suffix(suffix)?, *added)));
    let (base, added) = split.filter(|_| id.raw() != "star_mean").unwrap_or((id.raw(), ""));
    let known = match base {
        "on_time_delivery_rate" => Some("On-time delivery rate"),
        "star_mean" => Some("Mean stars"),
        "csat" => Some("CSAT"),
        "nps" => Some("NPS"),
        "return_rate_orders" => Some("Return rate, by orders"),
        "return_rate_units" => Some("Return rate, by units"),
        "return_rate_revenue" => Some("Return rate, by value"),
        _ => None,
    };
    let mut text = match known {
        Some(known) => known.to_owned(),
        None => {
            let mut letters = base.chars().map(|c| if c == '_' { ' ' } else { c });
            letters.next().map(|c| c.to_uppercase().to_string()).unwrap_or_default() + &letters.collect::<String>()
        }
    };
    text.push_str(added);
    Foreign(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn foreign_text_cannot_leave_its_place_in_the_page() {
        let text = Foreign::from("<img src=x onerror='a()'>&\"\u{202e}\u{0}\n");
        assert_eq!(text.to_string(), "&lt;img src=x onerror=&#39;a()&#39;&gt;&amp;&quot;\u{fffd}\u{fffd} ");
        assert_eq!(Foreign::from("größer").cut(3).to_string(), "grö…");
        assert_eq!(Foreign::from("`a<b` is `").prose(), "`a&lt;b` is `");
        assert_eq!(Foreign::from("`a<b` is bad").prose(), "<code>a&lt;b</code> is bad");
    }

    #[test]
    fn amounts_follow_the_decimals_of_their_currency() {
        let of = |code: &str| Currency::of(Some(&Foreign::from(code)));
        assert_eq!(of("BRL").minor(-123_456_789), "−1,234,567.89\u{a0}BRL");
        assert_eq!(of("JPY").minor(1200), "1,200\u{a0}JPY");
        assert_eq!(of("KWD").minor(5), "0.005\u{a0}KWD");
        assert_eq!(Currency::of(None).minor(5), "5 minor units");
        assert_eq!(of("EUR").units(12.5), "12.50\u{a0}EUR");
        assert_eq!(of("EUR").units(1_234_567.8), "1,234,568\u{a0}EUR");
        assert_eq!(Currency::short(1_250_000.0), "1.25 M");
    }

    #[test]
    fn numbers_read_as_people_write_them() {
        assert_eq!(percent(0.913), "91.3\u{a0}%");
        assert_eq!(percent(0.0047), "0.47\u{a0}%");
        assert_eq!(fixed(-0.01, 1), "0.0");
        assert_eq!(fixed(-1234.56, 1), "−1,234.6");
        assert_eq!(fixed(f64::NAN, 1), "–");
        assert_eq!(counted(1, "order"), "1\u{a0}order");
        assert_eq!(instant(&Foreign::from("2018-10-18T00:00:00Z")), "2018-10-18\u{a0}00:00 UTC");
        assert_eq!(minute(&Foreign::from("<soon>")), "&lt;soon&gt;");
        assert_eq!(Month::of_day("2018-01-01").map(|m| Month(m.0 - 1).to_string()), Some("Dec 2017".to_owned()));
        assert_eq!(Month::of_day("2018-13-01"), None);
    }

    #[test]
    fn headings_are_made_from_ids_and_meanings_from_the_catalogue() {
        assert_eq!(heading(&Foreign::from("click_to_door_p50")).to_string(), "Click to door, median");
        assert_eq!(heading(&Foreign::from("some_new_rate")).to_string(), "Some new rate");
        assert_eq!(Meanings::new().of("click_to_door_p90").more_is_better, Some(false));
        assert_eq!(Meanings::new().of("some_new_rate"), Meaning::default());
    }
}
