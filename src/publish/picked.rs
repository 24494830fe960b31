//! Rows of a frame by their numbers.

use polars::prelude::*;
use polars_arrow::array::{Array, ListArray};
use polars_arrow::bitmap::Bitmap;
use polars_arrow::offset::OffsetsBuffer;
use rayon::prelude::*;

/// The rows of these numbers, in their order.
///
/// # Errors
/// Those of polars for a number without a row.
pub(super) fn rows_of(frame: &DataFrame, rows: &IdxCa) -> PolarsResult<DataFrame> {
    let pick = |column: &Column| match column.list().ok().and_then(|lists| lists_of(lists, rows)) {
        Some(lists) => Ok(lists.into_column()),
        None => column.take(rows),
    };
    let columns = frame.columns().par_iter().map(pick).collect::<PolarsResult<Vec<_>>>()?;
    DataFrame::new(rows.len(), columns)
}

/// Lists, by one look at all their values: polars puts lists together from an array for each row, which for the reasons of
/// orders took as long as writing them. `None` where that is left to polars.
fn lists_of(lists: &ListChunked, rows: &IdxCa) -> Option<ListChunked> {
    let whole = lists.rechunk();
    let [array] = whole.downcast_iter().collect::<Vec<_>>()[..] else { return None };
    let ends = array.offsets().as_slice();
    let (mut offsets, mut values) = (Vec::with_capacity(rows.len() + 1), Vec::new());
    offsets.push(0);
    for row in rows.iter() {
        let row = row? as usize;
        let (start, end) = (*ends.get(row)?, *ends.get(row + 1)?);
        values.extend((start..end).map(|value| value as IdxSize));
        offsets.push(values.len() as i64);
    }
    let is_there = |validity: &Bitmap| rows.iter().flatten().map(|row| validity.get_bit(row as usize)).collect();
    let validity = array.validity().map(is_there);
    let values = whole.get_inner().take(&IdxCa::from_vec("values".into(), values)).ok()?.rechunk();
    let offsets = OffsetsBuffer::try_from(offsets).ok()?;
    let picked = ListArray::try_new(array.dtype().clone(), offsets, values.chunks().first()?.clone(), validity).ok()?;
    let picked = ListChunked::with_chunk(lists.name().clone(), picked);
    (picked.dtype() == lists.dtype()).then_some(picked)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Lists of texts and of structs, of which some are null and some are empty, and a column beside them.
    fn frame(lists: &[Option<Vec<u8>>]) -> DataFrame {
        let series = |list: &Vec<u8>| {
            let texts: Vec<String> = list.iter().map(|n| "text of some length ".repeat(*n as usize)).collect();
            Series::new("of".into(), texts)
        };
        let structs = |list: &Vec<u8>| {
            let numbers =
                Series::new("n".into(), list.iter().map(|n| (*n > 0).then_some(*n as i64)).collect::<Vec<_>>());
            let fields = [series(list).with_name("t".into()), numbers];
            StructChunked::from_series("of".into(), list.len(), fields.iter()).unwrap().into_series()
        };
        let texts: Vec<Option<Series>> = lists.iter().map(|list| list.as_ref().map(series)).collect();
        let structs: Vec<Option<Series>> = lists.iter().map(|list| list.as_ref().map(structs)).collect();
        let texts: ListChunked = texts.into_iter().collect();
        let structs: ListChunked = structs.into_iter().collect();
        let columns = vec![
            Column::new("row".into(), (0..lists.len() as i64).collect::<Vec<_>>()),
            texts.with_name("texts".into()).into_column(),
            structs.with_name("structs".into()).into_column(),
        ];
        DataFrame::new(lists.len(), columns).unwrap()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(128))]

        #[test]
        fn rows_are_those_that_polars_takes(
            lists in prop::collection::vec(prop::option::of(prop::collection::vec(0_u8..4, 0..4)), 1..12),
            rows in prop::collection::vec(any::<prop::sample::Index>(), 0..20),
            first in 0_usize..4,
            is_cut in any::<bool>(),
        ) {
            // One that has something, so that the type is known; cut, so that values begin anywhere.
            let all: Vec<Option<Vec<u8>>> = [Some(vec![1, 0, 2])].into_iter().chain(lists).collect();
            let mut frame = frame(&all);
            if is_cut {
                frame = frame.slice(first.min(all.len() - 1) as i64, all.len());
            }
            let rows: Vec<IdxSize> = rows.iter().map(|row| row.index(frame.height()) as IdxSize).collect();
            let rows = IdxCa::from_vec("rows".into(), rows);
            for name in ["texts", "structs"] {
                prop_assert!(lists_of(frame.column(name).unwrap().list().unwrap(), &rows).is_some(), "{name}");
            }
            prop_assert!(rows_of(&frame, &rows).unwrap().equals_missing(&frame.take(&rows).unwrap()));
            let beyond = IdxCa::from_vec("rows".into(), vec![frame.height() as IdxSize]);
            prop_assert!(rows_of(&frame, &beyond).is_err());
        }
    }
}
