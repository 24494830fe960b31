//! Rows of a file that was typed a moment ago, as its typed copy would be read: a stream takes them in at once, and has not to
//! read what it has just written.

use crate::error::{Error, Result};
use crate::publish::frame_of;
use arrow::array::RecordBatch;
use arrow::compute::concat_batches;
use arrow::datatypes::{DataType, TimeUnit};
use polars::prelude::DataFrame;
use std::sync::Arc;

/// Rows of one file that are kept at most; more are read from the copy, part by part.
const MOST_ROWS: usize = 500_000;

/// The typed rows of a file so far, or nothing if they are not kept.
pub(super) struct AtHand(Option<Vec<RecordBatch>>);

impl AtHand {
    pub(super) fn new(keeps: bool) -> Self {
        Self(keeps.then(Vec::new))
    }

    /// Keeps a batch, unless there are too many, or a column of it is read in another form than it was written in.
    pub(super) fn push(&mut self, batch: &RecordBatch) {
        let Some(batches) = &mut self.0 else { return };
        let rows: usize = batches.iter().map(RecordBatch::num_rows).sum();
        let is_plain = batch.schema().fields().iter().all(|field| is_read_as_it_is(field.data_type()));
        if is_plain && rows + batch.num_rows() <= MOST_ROWS {
            batches.push(batch.clone());
        } else {
            self.0 = None;
        }
    }

    /// The rows as one frame.
    ///
    /// # Errors
    /// [`Error::Invariant`], [`Error::Parquet`] and [`Error::Frames`] only for defects.
    pub(super) fn finish(self) -> Result<Option<Arc<DataFrame>>> {
        let Some(batches) = self.0.filter(|batches| !batches.is_empty()) else { return Ok(None) };
        let together = match &batches[..] {
            [only] => only.clone(),
            batches => concat_batches(&batches[0].schema(), batches)
                .map_err(|e| Error::Invariant(format!("typed rows of a file: {e}")))?,
        };
        frame_of(&together).map(|rows| Some(Arc::new(rows)))
    }
}

/// Whether a Parquet file gives a column back in the type that it had; of others that is not relied upon.
fn is_read_as_it_is(dtype: &DataType) -> bool {
    match dtype {
        DataType::Int64 | DataType::Float64 | DataType::Boolean | DataType::Utf8 => true,
        DataType::Timestamp(TimeUnit::Microsecond, Some(zone)) => &**zone == "UTC",
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ingest::cache;
    use arrow::array::{
        ArrayRef, BooleanArray, Float64Array, Int32Array, Int64Array, StringArray, TimestampMicrosecondArray,
    };
    use arrow::datatypes::{Field, Schema};
    use polars::prelude::{ParquetReader, SerReader};

    fn batch(first: i64, rows: i64) -> RecordBatch {
        let numbers = || (first..first + rows).map(|n| (n % 5 != 0).then_some(n));
        let texts = numbers().map(|n| n.map(|n| "text ".repeat(n as usize % 7) + "ä"));
        let columns: [(&str, ArrayRef); 5] = [
            ("_row", Arc::new(Int64Array::from_iter_values(first..first + rows))),
            ("text", Arc::new(texts.collect::<StringArray>())),
            ("number", Arc::new(numbers().map(|n| n.map(|n| -n as f64 / 7.0)).collect::<Float64Array>())),
            ("flag", Arc::new(numbers().map(|n| n.map(|n| n % 2 == 0)).collect::<BooleanArray>())),
            ("at", Arc::new(numbers().collect::<TimestampMicrosecondArray>().with_timezone("UTC"))),
        ];
        let field = |(name, array): &(&str, ArrayRef)| Field::new(*name, array.data_type().clone(), *name != "_row");
        let schema = Schema::new(columns.iter().map(field).collect::<Vec<_>>());
        RecordBatch::try_new(Arc::new(schema), columns.into_iter().map(|(_, array)| array).collect()).unwrap()
    }

    #[test]
    fn rows_at_hand_are_what_the_copy_reads_as() {
        let folder = tempfile::tempdir().unwrap();
        for (name, sizes) in [("none", &[0][..]), ("one", &[100]), ("three", &[40, 0, 61])] {
            let (mut at_hand, mut writer, mut first) = (AtHand::new(true), None, 0);
            let path = folder.path().join(name);
            for rows in sizes {
                let batch = batch(first, *rows);
                at_hand.push(&batch);
                cache::write(&mut writer, &batch, &path, &|name| name == "text").unwrap();
                first += rows;
            }
            writer.unwrap().close().unwrap();
            let read = ParquetReader::new(std::fs::File::open(&path).unwrap()).finish().unwrap();
            let kept = at_hand.finish().unwrap().unwrap();
            assert_eq!(kept.schema(), read.schema(), "{name}");
            assert!(kept.equals_missing(&read), "{name}: {kept} {read}");
        }
    }

    #[test]
    fn what_may_be_read_in_another_form_and_too_many_rows_are_not_kept() {
        let of = |batches: &[RecordBatch], keeps| {
            let mut at_hand = AtHand::new(keeps);
            batches.iter().for_each(|batch| at_hand.push(batch));
            at_hand.finish().unwrap().map(|rows| rows.height())
        };
        assert_eq!(of(&[batch(0, 7), batch(7, 3)], true), Some(10));
        assert_eq!(of(&[batch(0, 7)], false), None);
        assert_eq!(of(&[batch(0, MOST_ROWS as i64), batch(0, 1), batch(0, 1)], true), None);
        let short: ArrayRef = Arc::new(Int32Array::from(vec![1, 2]));
        let schema = Schema::new(vec![Field::new("n", DataType::Int32, true)]);
        let other = RecordBatch::try_new(Arc::new(schema), vec![short]).unwrap();
        assert_eq!(of(&[other], true), None);
    }
}
