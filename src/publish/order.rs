//! The order of rows in files.
//!
//! Keys are texts of which few are different, as of segments and KPIs, and times. To compare them column by column took three
//! quarters of the time of writing a table of millions of rows. So each column is numbered in its own order once, a row is one
//! number made of these, and numbers are sorted.

use crate::error::{Error, Result};
use foldhash::fast::RandomState;
use polars::prelude::*;
use rayon::prelude::*;
use std::collections::HashMap;

/// Bits of a row's number that keys may take; the row itself has the others.
const KEY_BITS: u32 = 96;

/// Name of the helper column that carries row numbers through a sort; no output column is called so.
const ROW: &str = "__row";

/// Row numbers by rising keys, the first column first and nulls before everything; rows of equal keys keep their order.
///
/// # Errors
/// [`Error::Frames`] only for defects.
pub(super) fn order(keys: &DataFrame) -> Result<Vec<IdxSize>> {
    let stage = || Error::frames("the order of rows");
    match by_numbers(keys).map_err(stage())? {
        Some(rows) => Ok(rows),
        None => by_columns(keys).map_err(stage()),
    }
}

/// `None` for keys that make no such number.
fn by_numbers(keys: &DataFrame) -> PolarsResult<Option<Vec<IdxSize>>> {
    let numbers = keys.columns().par_iter().map(Numbers::of).collect::<PolarsResult<Vec<_>>>()?;
    let Some(numbers) = numbers.into_iter().collect::<Option<Vec<_>>>() else { return Ok(None) };
    if numbers.iter().map(Numbers::bits).sum::<u32>() > KEY_BITS {
        return Ok(None);
    }
    let number = |row: usize| {
        let key = numbers.iter().fold(0_u128, |key, of| key << of.bits() | u128::from(of.of_row[row]));
        key << IdxSize::BITS | row as u128
    };
    let mut rows: Vec<u128> = (0..keys.height()).into_par_iter().map(number).collect();
    // Many tables come as they are to be written.
    if !rows.is_sorted() {
        rows.par_sort_unstable();
    }
    Ok(Some(rows.into_iter().map(|row| row as IdxSize).collect()))
}

fn by_columns(keys: &DataFrame) -> PolarsResult<Vec<IdxSize>> {
    let by: Vec<String> =
        keys.get_column_names().into_iter().map(|name| name.to_string()).chain([ROW.into()]).collect();
    let sorted = keys.with_row_index(ROW.into(), None)?.sort(by, SortMultipleOptions::default())?;
    Ok(sorted.column(ROW)?.idx()?.iter().flatten().collect())
}

/// A column as numbers that rise as its values do; null is 0.
struct Numbers {
    of_row: Vec<u64>,
    greatest: u64,
}

impl Numbers {
    fn bits(&self) -> u32 {
        u64::BITS - self.greatest.leading_zeros()
    }

    /// `None` for types that are compared in another way.
    fn of(column: &Column) -> PolarsResult<Option<Self>> {
        use DataType::*;
        match column.dtype() {
            String => column.str().map(Self::of_texts).map(Some),
            Int8 | Int16 | Int32 | Int64 | UInt8 | UInt16 | UInt32 | Boolean | Date | Datetime(..) => {
                let numbers = column.to_physical_repr().cast(&Int64)?;
                Ok(Self::of_integers(numbers.i64()?))
            }
            _ => Ok(None),
        }
    }

    fn of_texts(texts: &StringChunked) -> Self {
        let (mut names, mut known) = (Vec::new(), HashMap::<&str, u64, RandomState>::default());
        let mut last: Option<(&str, u64)> = None;
        let mut of_row = Vec::with_capacity(texts.len());
        // By first sight at first.
        for text in texts.iter() {
            of_row.push(match (text, last) {
                (None, _) => 0,
                // Mostly a text follows itself.
                (Some(text), Some((before, number))) if before == text => number,
                (Some(text), _) => {
                    let number = *known.entry(text).or_insert_with(|| {
                        names.push(text);
                        names.len() as u64
                    });
                    last = Some((text, number));
                    number
                }
            });
        }
        let mut by_text: Vec<usize> = (0..names.len()).collect();
        by_text.par_sort_unstable_by_key(|name| names[*name]);
        let mut ranks = vec![0; names.len() + 1];
        by_text.iter().zip(1..).for_each(|(name, rank)| ranks[name + 1] = rank);
        of_row.iter_mut().for_each(|number| *number = ranks[*number as usize]);
        Self { of_row, greatest: names.len() as u64 }
    }

    fn of_integers(values: &Int64Chunked) -> Option<Self> {
        let (Some(least), Some(most)) = (values.min(), values.max()) else {
            return Some(Self { of_row: vec![0; values.len()], greatest: 0 });
        };
        let number = |value: i64| value.wrapping_sub(least) as u64 + 1;
        let greatest = (most.wrapping_sub(least) as u64).checked_add(1)?;
        Some(Self { of_row: values.iter().map(|value| value.map_or(0, number)).collect(), greatest })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn rows_are_in_the_order_in_which_columns_compare(
            rows in prop::collection::vec(
                (prop::option::of("[ab]{0,2}|é|order-[0-9]{1,3}"), prop::option::of(-3_i64..3), any::<Option<bool>>()),
                0..60,
            ),
            is_wide in any::<bool>(),
        ) {
            let texts: Vec<Option<String>> = rows.iter().map(|(text, ..)| text.clone()).collect();
            let numbers: Vec<Option<i64>> = rows.iter().map(|(_, n, _)| *n).collect();
            let days: Vec<Option<i32>> = numbers.iter().map(|n| n.map(|n| n as i32 * 400)).collect();
            let days = Column::new("day".into(), days).cast(&DataType::Date).unwrap();
            // Beyond what one number can hold.
            let wide: Vec<Option<i64>> = numbers.iter().map(|n| n.map(|n| if is_wide { n << 61 } else { n })).collect();
            let flags: Vec<Option<bool>> = rows.iter().map(|(.., flag)| *flag).collect();
            let columns = vec![
                Column::new("flag".into(), flags),
                Column::new("text".into(), texts),
                days,
                Column::new("wide".into(), wide.clone()),
                Column::new("again".into(), wide),
            ];
            let keys = DataFrame::new(rows.len(), columns).unwrap();
            let by_numbers = by_numbers(&keys).unwrap();
            prop_assert!(is_wide || by_numbers.is_some());
            let expected = by_columns(&keys).unwrap();
            prop_assert_eq!(order(&keys).unwrap(), expected.clone());
            prop_assert_eq!(by_numbers.unwrap_or(expected.clone()), expected);
        }
    }

    #[test]
    fn keys_that_make_no_number_are_sorted_all_the_same() {
        let columns = vec![
            Column::new("share".into(), [Some(0.5), None, Some(-1.0), Some(0.5)]),
            Column::new("far".into(), [i64::MAX, 1, 1, i64::MIN]),
        ];
        assert_eq!(order(&DataFrame::new(4, columns).unwrap()).unwrap(), [1, 2, 3, 0]);
        assert_eq!(order(&df!("text" => ["b", "a"], "n" => [i64::MIN, i64::MAX]).unwrap()).unwrap(), [1, 0]);
    }
}
