//! Rows spoilt on purpose, as exports spoil them.

use super::dice::Dice;
use crate::types::money::exponent;
use crate::types::time::{DAY, format_instant, parse_instant};

/// What is wrong with a row of `orders.csv`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Dirt {
    BadDate,
    BadAmount,
    MissingId,
    NegativeAmount,
    TooManyDecimals,
    UnknownCurrency,
    ImpossibleTime,
    ExtraField,
    MissingField,
    /// Not refused: an older state of the same order stands beside it.
    Duplicate,
    UnknownWord,
    BadIp,
}

pub(super) const KINDS: [Dirt; 12] = [
    Dirt::BadDate,
    Dirt::BadAmount,
    Dirt::MissingId,
    Dirt::NegativeAmount,
    Dirt::TooManyDecimals,
    Dirt::UnknownCurrency,
    Dirt::ImpossibleTime,
    Dirt::ExtraField,
    Dirt::MissingField,
    Dirt::Duplicate,
    Dirt::UnknownWord,
    Dirt::BadIp,
];

impl Dirt {
    /// Its name in `truth.parquet`.
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::BadDate => "bad_date",
            Self::BadAmount => "bad_amount",
            Self::MissingId => "missing_id",
            Self::NegativeAmount => "negative_amount",
            Self::TooManyDecimals => "too_many_decimals",
            Self::UnknownCurrency => "unknown_currency",
            Self::ImpossibleTime => "impossible_time",
            Self::ExtraField => "extra_field",
            Self::MissingField => "missing_field",
            Self::Duplicate => "duplicate",
            Self::UnknownWord => "unknown_word",
            Self::BadIp => "bad_ip",
        }
    }

    /// Spoils the fields of a row whose columns are `names`.
    pub(super) fn spoil(self, fields: &mut Vec<Vec<u8>>, names: &[&str], dice: &mut Dice) {
        let at = |name: &str| names.iter().position(|n| *n == name).unwrap_or(0);
        let mut set = |name: &str, text: &str| fields[at(name)] = text.as_bytes().to_vec();
        match self {
            Self::BadDate => {
                let text = dice.pick(&["31/02/2025 25:10", "yesterday", "2025-13-01T00:00:00Z", "0000-00-00 00:00:00"]);
                set(dice.pick(&["placed_at", "paid_at", "promised_delivery_at"]), text);
            }
            Self::BadAmount => set("amount", dice.pick(&["twelve", "12,34,5", "1e3", "NaN", "EUR 12.00"])),
            Self::MissingId => set("order_id", ""),
            Self::NegativeAmount => fields[at("amount")].insert(0, b'-'),
            Self::TooManyDecimals => {
                let currency = String::from_utf8_lossy(&fields[at("currency")]).into_owned();
                let amount = &mut fields[at("amount")];
                amount.extend_from_slice(if exponent(&currency) == Ok(0) { b".5" } else { b"7" });
            }
            Self::UnknownCurrency => set("currency", dice.pick(&["ZZZ", "EURO", "??"])),
            Self::ImpossibleTime => {
                let placed = parse_instant(&String::from_utf8_lossy(&fields[at("placed_at")])).unwrap_or(0);
                // Delivered before it was shipped: the clock of the courier's device stood wrong.
                fields[at("shipped_at")] = format_instant(placed + 5 * DAY).into_bytes();
                fields[at("delivered_at")] = format_instant(placed + 3 * DAY).into_bytes();
            }
            Self::ExtraField => fields.insert(at("ship_region"), b"c/o reception".to_vec()),
            Self::MissingField => fields.truncate(names.len() - 3),
            Self::UnknownWord => set("cancelled_by", dice.pick(&["robot", "n/a", "Kunde"])),
            Self::BadIp => set("ip", dice.pick(&["999.12.0.300", "unknown", "10.0.0"])),
            Self::Duplicate => {}
        }
    }
}
