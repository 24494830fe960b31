//! Exchange rates in force.

use crate::error::{Error, Result};
use crate::quarantine::Reason;
use crate::types::money::{self, Rate};
use polars::prelude::*;
use std::collections::BTreeMap;

/// Rates to the base currency by currency and time.
#[derive(Debug, Clone)]
pub(super) struct Rates {
    base: String,
    base_exponent: u32,
    /// By currency: its exponent and its rates, each from its instant on, in order.
    by_currency: BTreeMap<String, (u32, Vec<(i64, Rate)>)>,
}

impl Rates {
    /// No rates: only the base currency can be read.
    pub(super) fn none(base: &str, base_exponent: u32) -> Self {
        Self { base: base.to_owned(), base_exponent, by_currency: BTreeMap::new() }
    }

    /// Rates of an accepted `fx_rates` table.
    ///
    /// # Errors
    /// [`Error::Frames`] only for defects.
    pub(super) fn of(base: &str, base_exponent: u32, table: &DataFrame) -> Result<Self> {
        let stage = "reading fx_rates";
        let mut rates = Self::none(base, base_exponent);
        let column = |name: &str| table.column(name).map(Column::to_physical_repr).map_err(Error::frames(stage));
        let (codes, from, values) = (column("currency")?, column("valid_from")?, column("rate_to_base")?);
        let codes = codes.str().map_err(Error::frames(stage))?;
        let (from, values) = (from.i64().map_err(Error::frames(stage))?, values.i64().map_err(Error::frames(stage))?);
        for ((code, from), value) in codes.iter().zip(from.iter()).zip(values.iter()) {
            if let (Some(code), Some(from), Some(rate)) = (code, from, value.and_then(Rate::from_scaled))
                && let Ok(exponent) = money::exponent(code)
            {
                rates.by_currency.entry(code.to_owned()).or_insert_with(|| (exponent, Vec::new())).1.push((from, rate));
            }
        }
        for (_, list) in rates.by_currency.values_mut() {
            list.sort_by_key(|(from, _)| *from);
        }
        Ok(rates)
    }

    /// The instant from which on money of each currency can be worth something else by `later`; what stays as it is is left
    /// out. `None`: something that has a rate has none by `later`.
    pub(super) fn differing_from(&self, later: &Self) -> Option<BTreeMap<String, i64>> {
        let first = |rates: &Self, code: &str| Some(rates.by_currency.get(code)?.1.first()?.0);
        let is_lost = |code: &String| match (first(self, code), first(later, code)) {
            (Some(before), after) => after.is_none_or(|after| after > before),
            (None, _) => false,
        };
        if self.by_currency.keys().any(is_lost) {
            return None;
        }
        let since = later.by_currency.iter().filter_map(|(code, (_, after))| {
            let before = self.by_currency.get(code).map_or(&[][..], |(_, list)| list);
            Some((code.clone(), first_difference(in_turn(before), in_turn(after))?))
        });
        Some(since.collect())
    }

    /// Whether amounts in a currency are converted at all.
    pub(super) fn converts(&self, code: &str) -> bool {
        code != self.base
    }

    /// Minor units of the base currency for minor units of `code` at `time`, at the last rate that had begun by then.
    pub(super) fn to_base(&self, minor: i64, code: &str, time: i64) -> Result<i64, Reason> {
        if code == self.base {
            return Ok(minor);
        }
        let (exponent, list) = self.by_currency.get(code).ok_or(Reason::NoFxRate)?;
        let begun = list.partition_point(|(from, _)| *from <= time);
        let (_, rate) = begun.checked_sub(1).and_then(|at| list.get(at)).ok_or(Reason::NoFxRate)?;
        rate.convert(minor, *exponent, self.base_exponent).map_err(|_| Reason::TooLarge)
    }
}

/// The rates of a currency in the order of time, each of which is another than the one before: of several from one instant the
/// last counts.
fn in_turn(list: &[(i64, Rate)]) -> impl Iterator<Item = (i64, Rate)> + Clone + '_ {
    let last_of_instant =
        |(at, (from, _)): &(usize, &(i64, Rate))| list.get(at + 1).is_none_or(|(next, _)| next > from);
    let standing = list.iter().enumerate().filter(last_of_instant).map(|(_, rate)| *rate);
    let mut before: Option<Rate> = None;
    standing.filter(move |(_, rate)| before.replace(*rate) != Some(*rate))
}

/// The first instant at which two such lists do not say the same.
fn first_difference(
    mut one: impl Iterator<Item = (i64, Rate)>,
    mut other: impl Iterator<Item = (i64, Rate)>,
) -> Option<i64> {
    loop {
        match (one.next(), other.next()) {
            (Some(a), Some(b)) if a == b => {}
            (None, None) => return None,
            (a, b) => return a.map(|(from, _)| from).into_iter().chain(b.map(|(from, _)| from)).min(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn rates(list: &[(i64, i64)]) -> Rates {
        let mut rates = Rates::none("EUR", 2);
        let mut list: Vec<_> =
            list.iter().filter_map(|(from, rate)| Some((*from, Rate::from_scaled(*rate)?))).collect();
        list.sort_by_key(|(from, _)| *from);
        if !list.is_empty() {
            rates.by_currency.insert("USD".to_owned(), (2, list));
        }
        rates
    }

    proptest! {
        /// Before the instant that is named amounts are worth what they were, and at it they are not.
        #[test]
        fn money_is_worth_something_else_from_the_instant_that_is_named_on(
            before in prop::collection::vec((0_i64..12, 1_i64..3), 0..6),
            more in prop::collection::vec((0_i64..12, 1_i64..3), 0..6),
            adds in any::<bool>(),
        ) {
            let after = if adds { [before.clone(), more].concat() } else { more };
            let (before, after) = (rates(&before), rates(&after));
            let worth = |rates: &Rates, at| rates.to_base(1_000_000_000_000_000, "USD", at).ok();
            let is_lost = (0..14).any(|at| worth(&before, at).is_some() && worth(&after, at).is_none());
            let found = before.differing_from(&after);
            prop_assert_eq!(found.is_none(), is_lost);
            if let Some(found) = found {
                let expected = (0..14).find(|at| worth(&before, *at) != worth(&after, *at));
                prop_assert_eq!(found.get("USD").copied(), expected);
            }
        }
    }
}
