//! Rows of a file that was typed a moment ago, as its typed copy would be read: a stream takes them in at once, and has not to
//! read what it has just written.

use super::together::TOGETHER;
use crate::error::{Error, Result};
use crate::publish::frame_of;
use arrow::array::RecordBatch;
use arrow::compute::concat_batches;
use arrow::datatypes::{DataType, TimeUnit};
use polars::prelude::DataFrame;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Bytes of rows at hand at most, of all files of a room, and the share of the memory that there may be: what landed packed can be
/// many times as long. Three epochs of the default size are about as much.
const MOST_BYTES: usize = 1 << 30;
const SHARE: usize = 16;

/// How many bytes are at hand, and how many may be.
#[derive(Debug, Clone)]
pub(super) struct Room {
    taken: Arc<AtomicUsize>,
    most: usize,
}

/// Bytes of a room that are taken until this is dropped.
#[derive(Debug)]
struct Taken {
    room: Room,
    bytes: usize,
}

impl Room {
    /// Of a process that may have so much memory, bytes.
    pub(super) fn within(memory: usize) -> Self {
        Self { taken: Arc::default(), most: MOST_BYTES.min(memory / SHARE) }
    }

    fn take(&self, bytes: usize) -> Option<Taken> {
        // Counted before it is looked at: two who ask at once do not both get the last of it.
        let taken = Taken { room: self.clone(), bytes };
        let before = self.taken.fetch_add(bytes, Ordering::Relaxed);
        (before.saturating_add(bytes) <= self.most).then_some(taken)
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        self.room.taken.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

/// The typed rows of a file.
#[derive(Debug)]
pub(super) struct Rows {
    pub(super) frame: DataFrame,
    _taken: Vec<Taken>,
}

/// The typed rows of a file so far, or nothing if they are not kept.
pub(super) struct AtHand<'r>(Option<(&'r Room, Vec<(RecordBatch, Taken)>)>);

impl<'r> AtHand<'r> {
    pub(super) fn new(room: Option<&'r Room>) -> Self {
        Self(room.map(|room| (room, Vec::new())))
    }

    /// Keeps a batch, unless there are more rows than are held together, no room is left, or a column is read in another form
    /// than it was written in: then the file has to be read from its copy.
    pub(super) fn push(&mut self, batch: &RecordBatch) {
        let Some((room, batches)) = &mut self.0 else { return };
        let rows: usize = batches.iter().map(|(batch, _)| batch.num_rows()).sum();
        let is_plain = batch.schema().fields().iter().all(|field| is_read_as_it_is(field.data_type()));
        let fits = is_plain && rows + batch.num_rows() <= TOGETHER;
        match fits.then(|| room.take(batch.get_array_memory_size())).flatten() {
            Some(taken) => batches.push((batch.clone(), taken)),
            None => self.0 = None,
        }
    }

    /// The rows as one frame.
    ///
    /// # Errors
    /// [`Error::Invariant`], [`Error::Parquet`] and [`Error::Frames`] only for defects.
    pub(super) fn finish(self) -> Result<Option<Arc<Rows>>> {
        let (batches, taken): (Vec<RecordBatch>, Vec<Taken>) =
            self.0.map(|(_, batches)| batches.into_iter().unzip()).unwrap_or_default();
        let together = match &batches[..] {
            [] => return Ok(None),
            [only] => only.clone(),
            [first, ..] => concat_batches(&first.schema(), &batches)
                .map_err(|e| Error::Invariant(format!("typed rows of a file: {e}")))?,
        };
        Ok(Some(Arc::new(Rows { frame: frame_of(&together)?, _taken: taken })))
    }
}

/// Whether a Parquet file gives a column back in the type that it had; of others that is not relied upon.
fn is_read_as_it_is(dtype: &DataType) -> bool {
    match dtype {
        DataType::Int64 | DataType::Float64 | DataType::Boolean | DataType::Utf8View => true,
        DataType::Timestamp(TimeUnit::Microsecond, Some(zone)) => &**zone == "UTC",
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ingest::cache;
    use arrow::array::{
        ArrayRef, BooleanArray, Float64Array, Int32Array, Int64Array, StringViewArray, TimestampMicrosecondArray,
    };
    use arrow::buffer::NullBuffer;
    use arrow::datatypes::{Field, Schema};
    use polars::prelude::{ParquetReader, SerReader};

    fn batch(first: i64, rows: i64) -> RecordBatch {
        let numbers = || (first..first + rows).map(|n| (n % 5 != 0).then_some(n));
        // Under a null something may stand, as under a word that says that there is nothing.
        let texts =
            (first..first + rows).map(|n| Some("text ".repeat(n as usize % 7) + "ä")).collect::<StringViewArray>();
        let is_there: NullBuffer = numbers().map(|n| n.is_some()).collect();
        let texts = StringViewArray::new(texts.views().clone(), texts.data_buffers(), Some(is_there));
        let columns: [(&str, ArrayRef); 5] = [
            ("_row", Arc::new(Int64Array::from_iter_values(first..first + rows))),
            ("text", Arc::new(texts)),
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
        let (folder, room) = (tempfile::tempdir().unwrap(), Room::within(usize::MAX));
        for (name, sizes) in [("none", &[0][..]), ("one", &[100]), ("three", &[40, 0, 61])] {
            let (mut at_hand, mut writer, mut first) = (AtHand::new(Some(&room)), None, 0);
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
            assert_eq!(kept.frame.schema(), read.schema(), "{name}");
            assert!(kept.frame.equals_missing(&read), "{name}: {} {read}", kept.frame);
        }
    }

    #[test]
    fn what_may_be_read_in_another_form_and_too_many_rows_are_not_kept() {
        let room = Room::within(usize::MAX);
        let of = |batches: &[RecordBatch], room| {
            let mut at_hand = AtHand::new(room);
            batches.iter().for_each(|batch| at_hand.push(batch));
            at_hand.finish().unwrap().map(|rows| rows.frame.height())
        };
        assert_eq!(of(&[batch(0, 7), batch(7, 3)], Some(&room)), Some(10));
        assert_eq!(of(&[batch(0, 7)], None), None);
        assert_eq!(of(&[batch(0, TOGETHER as i64), batch(0, 1), batch(0, 1)], Some(&room)), None);
        let short: ArrayRef = Arc::new(Int32Array::from(vec![1, 2]));
        let schema = Schema::new(vec![Field::new("n", DataType::Int32, true)]);
        let other = RecordBatch::try_new(Arc::new(schema), vec![short]).unwrap();
        assert_eq!(of(&[other], Some(&room)), None);
        assert_eq!(room.taken.load(Ordering::Relaxed), 0, "what is gone takes no room");
    }

    #[test]
    fn where_no_room_is_left_rows_are_not_kept_until_others_are_let_go_of() {
        let (room, batch) = (Room::within(usize::MAX), batch(0, 100));
        let keep = || {
            let mut at_hand = AtHand::new(Some(&room));
            at_hand.push(&batch);
            at_hand.finish().unwrap()
        };
        let first = keep().unwrap();
        let rest = room.take(MOST_BYTES - batch.get_array_memory_size()).unwrap();
        assert!(keep().is_none());
        drop(rest);
        assert!(keep().is_some());
        drop(first);
        assert_eq!(room.taken.load(Ordering::Relaxed), 0);
    }
}
