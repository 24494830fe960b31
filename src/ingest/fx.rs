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
