//! Columns gone through row by row.

use crate::error::{Error, Result};
use foldhash::fast::FixedState;
use polars::prelude::*;
use std::collections::HashMap;

/// A column of texts; nothing but null where the table does not have it.
pub(super) fn texts(frame: &DataFrame, name: &str) -> Result<StringChunked> {
    match frame.column(name) {
        Ok(column) => column.str().cloned().map_err(Error::frames("words of a table")),
        Err(_) => Ok(StringChunked::full_null(name.into(), frame.height())),
    }
}

/// A column of integers, or of instants as microseconds; nothing but null where the table does not have it.
pub(super) fn ints(frame: &DataFrame, name: &str) -> Result<Int64Chunked> {
    match frame.column(name) {
        Ok(column) => {
            let physical = column.to_physical_repr().cast(&DataType::Int64);
            physical.and_then(|c| c.i64().cloned()).map_err(Error::frames("numbers of a table"))
        }
        Err(_) => Ok(Int64Chunked::full_null(name.into(), frame.height())),
    }
}

/// What the word of each row means, `none` where there is none. Different words are few: each is looked at once.
pub(super) fn by_word<'t, T: Copy + 't>(
    texts: &'t StringChunked,
    none: T,
    meaning: impl Fn(&str) -> T + 't,
) -> impl Iterator<Item = T> + 't {
    let mut known: HashMap<&str, T, FixedState> = HashMap::default();
    let mut last: Option<(&str, T)> = None;
    texts.downcast_iter().flat_map(|array| array.iter()).map(move |text| {
        let Some(text) = text else { return none };
        match last {
            Some((same, means)) if same == text => means,
            _ => {
                let means = *known.entry(text).or_insert_with(|| meaning(text));
                last = Some((text, means));
                means
            }
        }
    })
}
