//! Rows of a table as a state file, of which each column can be read by itself.
//!
//! `an Arrow file for each column, and one of no rows with all of them · where each begins, its length and its sum · how many
//! they are`. The file is known by the hash of that end, and each column by its sum. Arrow files hold columns as polars does,
//! so that nothing is decoded.

use super::{CommittedFile, MadeFile, bridge};
use crate::error::{Error, Result};
use crate::memory::{Reading, Writing};
use crate::saved::{Rows, SUM, Sum, Summing};
use arrow::array::RecordBatch;
use arrow::buffer::Buffer;
use arrow::error::ArrowError;
use arrow::ipc::convert::fb_to_schema;
use arrow::ipc::reader::{FileDecoder, read_footer_length};
use arrow::ipc::root_as_footer;
use arrow::ipc::writer::FileWriter;
use polars::prelude::{Column, DataFrame};
use std::io::{self, Write};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Arrow files begin at multiples of this, and so do their columns.
const ALIGNED: u64 = 64;

/// Where an Arrow file begins, its length, and its sum.
const ENTRY: usize = 2 * size_of::<u64>() + SUM;

/// How many Arrow files there are.
const COUNT: usize = size_of::<u64>();

/// More than the end of any file that is ours, but of absurdly many columns: it is read at once.
const END: u64 = 16 << 10;

impl MadeFile {
    /// Writes rows; [`CommittedFile::rows`] reads them again.
    ///
    /// # Errors
    /// [`Error::Environment`] when the file cannot be written, [`Error::Parquet`] only for defects.
    pub fn of_rows(path: &Path, rows: &DataFrame) -> Result<Self> {
        let mut file = Writing::create(path)?;
        let mut end = Vec::new();
        let alone = |column: &Column| DataFrame::new(rows.height(), vec![column.clone()]);
        for frame in rows.columns().iter().map(alone).chain([Ok(rows.clear())]) {
            let batch = bridge::held(&frame.map_err(Error::frames("rows of a state"))?)?;
            let start = file.written();
            let (length, sum) = write_arrow(&mut file, &batch, path)?;
            let gap = vec![0; (length.next_multiple_of(ALIGNED) - length) as usize];
            file.write_all(&gap).map_err(Error::io("write", path))?;
            [start, length].iter().for_each(|number| end.extend(number.to_le_bytes()));
            end.extend(sum);
        }
        end.extend((rows.width() as u64 + 1).to_le_bytes());
        file.write_all(&end).map_err(Error::io("write", path))?;
        let size_in_bytes = file.finish(path)?;
        Ok(Self { path: path.to_owned(), size_in_bytes, blake3: blake3::hash(&end).to_hex().to_string() })
    }

    /// Says to rows that this file has them, which a commit moves to `home`.
    ///
    /// # Errors
    /// As [`CommittedFile::rows`].
    pub fn has(&self, rows: &Rows, home: PathBuf) -> Result<()> {
        let file = Reading::open(&self.path).map_err(Error::io("read", &self.path))?;
        let home = CommittedFile { path: home, size_in_bytes: self.size_in_bytes, blake3: self.blake3.clone() };
        let file = Arrows::of(home, file)?;
        rows.are_saved(move |nth| file.column(nth));
        Ok(())
    }
}

/// Writes an Arrow file into another; its length and sum.
fn write_arrow(file: &mut Writing, batch: &RecordBatch, path: &Path) -> Result<(u64, Sum)> {
    let failed = |error: ArrowError| match error {
        ArrowError::IoError(_, source) => Error::io("write", path)(source),
        other => bridge::failed(format!("writing {}", path.display()))(other),
    };
    let part = Summed { file, summing: Summing::default(), length: 0 };
    let mut writer = FileWriter::try_new(part, &batch.schema()).map_err(failed)?;
    writer.write(batch).map_err(failed)?;
    let part = writer.into_inner().map_err(failed)?;
    Ok((part.length, part.summing.sum()))
}

/// Bytes on their way into a file.
struct Summed<'f> {
    file: &'f mut Writing,
    summing: Summing,
    length: u64,
}

impl Write for Summed<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let taken = self.file.write(bytes)?;
        self.summing.add(&bytes[..taken]);
        self.length += taken as u64;
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl CommittedFile {
    /// The `height` rows that [`MadeFile::of_rows`] wrote. Only what they are called is read at once: each column is when it is
    /// asked for, even if the file has gone from its folder by then. A file with a column that turns out to be damaged is removed.
    ///
    /// # Errors
    /// [`Error::Environment`] when the file is not there or its end is not what was committed, [`Error::Parquet`] only for
    /// defects.
    pub fn rows(&self, height: usize) -> Result<Rows> {
        let file = Reading::open(&self.path).map_err(self.unread())?;
        let file = Arrows::of(self.clone(), file)?;
        Ok(Rows::in_file(height, file.none()?, move |nth| file.column(nth)))
    }

    /// Where the Arrow files are in it, with their sums.
    fn entries(&self, file: &Reading) -> Result<Vec<(Range<u64>, Sum)>> {
        if file.length().map_err(self.unread())? != self.size_in_bytes {
            return Err(self.is_damaged("is not as long as it was written"));
        }
        let mut end = Vec::new();
        let mut last = |bytes: u64| {
            end.clear();
            let start = self.size_in_bytes.saturating_sub(bytes);
            file.read(start..self.size_in_bytes, &mut |piece| end.extend_from_slice(piece)).map_err(self.unread())?;
            let count = end.last_chunk().map(|count| u64::from_le_bytes(*count) as usize);
            let length = count.and_then(|count| count.checked_mul(ENTRY)?.checked_add(COUNT)).unwrap_or(usize::MAX);
            Ok((length, end.len().checked_sub(length).map(|first| end.split_off(first))))
        };
        let (length, found) = last(END)?;
        let found = match found {
            None => last(length as u64)?.1,
            found => found,
        };
        let end = found.filter(|end| blake3::hash(end).to_hex().as_str() == self.blake3);
        let end =
            end.ok_or_else(|| self.is_damaged("is not what was written: a disk that fails, or somebody's change"))?;
        let entry = |entry: &[u8]| {
            let (start, rest) = entry.split_first_chunk()?;
            let (length, sum) = rest.split_first_chunk()?;
            let [start, length] = [start, length].map(|number| u64::from_le_bytes(*number));
            Some((start..start.checked_add(length)?, sum.try_into().ok()?))
        };
        let entries = end.chunks_exact(ENTRY).map(entry).collect::<Option<_>>();
        entries.ok_or_else(|| self.is_damaged("has columns in no place"))
    }

    fn unread(&self) -> impl Fn(io::Error) -> Error {
        |error| Error::io("read", &self.path)(error)
    }

    fn is_damaged(&self, why: &str) -> Error {
        Error::io("use", &self.path)(io::Error::new(io::ErrorKind::InvalidData, why))
    }
}

/// The Arrow files in a file: one for each column, and one of no rows.
struct Arrows {
    file: Reading,
    of: CommittedFile,
    columns: Vec<(Range<u64>, Sum)>,
    none: (Range<u64>, Sum),
}

impl Arrows {
    /// Those of a file that is open: its end alone is read and checked.
    fn of(of: CommittedFile, file: Reading) -> Result<Self> {
        let mut columns = of.entries(&file)?;
        let none = columns.pop().ok_or_else(|| of.is_damaged("has no columns"))?;
        Ok(Self { file, of, columns, none })
    }

    /// No rows with all columns.
    fn none(&self) -> Result<DataFrame> {
        let none = self.frame(&self.none)?;
        match none.width() == self.columns.len() {
            true => Ok(none),
            false => Err(self.of.is_damaged("has not as many columns as it should have")),
        }
    }

    /// A column. If it is damaged the file goes, so that the next start does not fail where this one did.
    fn column(&self, nth: usize) -> Result<Column> {
        let gone = || self.of.is_damaged("has no such column");
        let read = self.columns.get(nth).ok_or_else(gone).and_then(|one| self.frame(one));
        let column = read.and_then(|frame| frame.columns().first().cloned().ok_or_else(gone));
        column.inspect_err(|_| {
            let _ = std::fs::remove_file(&self.of.path);
        })
    }

    /// The rows of one of them, checked.
    fn frame(&self, (range, sum): &(Range<u64>, Sum)) -> Result<DataFrame> {
        let bytes = (range.end - range.start) as usize;
        // The widest values, for which the others are aligned too.
        let mut held = vec![0_i128; bytes.div_ceil(size_of::<i128>())];
        let (mut summing, mut at) = (Summing::default(), 0);
        let mut take = |piece: &[u8]| {
            summing.add(piece);
            bytemuck::cast_slice_mut(&mut held)[at..at + piece.len()].copy_from_slice(piece);
            at += piece.len();
        };
        self.file.read(range.clone(), &mut take).map_err(self.of.unread())?;
        if summing.sum() != *sum {
            return Err(self.of.is_damaged("is not what was written: a disk that fails, or somebody's change"));
        }
        // SAFETY: the sum says that these are the bytes which `of_rows` wrote, and it writes batches that are sound.
        let batch = unsafe { batch_in(Buffer::from_vec(held).slice_with_length(0, bytes)) };
        bridge::frame_of(&batch.map_err(bridge::failed(format!("reading {}", self.of.path.display())))?)
    }
}

/// The one batch of an Arrow file, pointing into it.
///
/// # Safety
/// The values of the batch are not checked, which for texts takes longer than everything else: a file that is whole has to be
/// one that [`write_arrow`] wrote.
unsafe fn batch_in(file: Buffer) -> Result<RecordBatch, ArrowError> {
    let cut_short = || ArrowError::ParseError("an Arrow file that was cut short".to_owned());
    let (rest, trailer) = file.split_last_chunk::<TRAILER>().ok_or_else(cut_short)?;
    let footer = rest.len().checked_sub(read_footer_length(*trailer)?).ok_or_else(cut_short)?;
    let footer = root_as_footer(&rest[footer..]).map_err(|error| ArrowError::ParseError(error.to_string()))?;
    let schema = footer.schema().ok_or_else(cut_short)?;
    let block = footer.recordBatches().filter(|blocks| blocks.len() == 1).ok_or_else(cut_short)?.get(0);
    let [start, head, body] = [block.offset(), i64::from(block.metaDataLength()), block.bodyLength()];
    let [start, length] = [usize::try_from(start), usize::try_from(head.saturating_add(body))].map(Result::ok);
    let (start, length) = start.zip(length).ok_or_else(cut_short)?;
    if start.checked_add(length).is_none_or(|end| end > file.len()) {
        return Err(cut_short());
    }
    // SAFETY: the caller promises that these are rows as they were held.
    let decoder =
        unsafe { FileDecoder::new(Arc::new(fb_to_schema(schema)), footer.version()).with_skip_validation(true) };
    decoder.read_record_batch(block, &file.slice_with_length(start, length))?.ok_or_else(cut_short)
}

/// Length of what ends an Arrow file: the length of the footer, and the magic bytes.
const TRAILER: usize = 10;

#[cfg(test)]
mod tests {
    use super::*;
    use polars::prelude::*;

    fn committed(MadeFile { path, size_in_bytes, blake3 }: MadeFile) -> CommittedFile {
        CommittedFile { path, size_in_bytes, blake3 }
    }

    #[test]
    fn rows_come_back_as_they_were_held() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("rows");
        let instants = Int64Chunked::new("at".into(), [Some(1_i64), None, Some(3)])
            .into_datetime(TimeUnit::Microseconds, TimeZone::opt_try_new(Some("UTC")).unwrap());
        let frame = df!(
            "text" => [Some("a"), None, Some("a text of more than twelve bytes")],
            "number" => [Some(1.5), Some(f64::NAN), None],
            "money" => [Some(i64::MIN), None, Some(7)],
            "flag" => [Some(true), Some(false), None],
            "nothing" => [None::<&str>, None, None],
        )
        .unwrap()
        .hstack(&[instants.into_column()])
        .unwrap();
        let mut twice = frame.clone();
        twice.vstack_mut(&frame).unwrap();
        for rows in [frame.clone(), twice, frame.slice(1, 1), frame.clear()] {
            let made = MadeFile::of_rows(&path, &rows).unwrap();
            let bytes = std::fs::read(&path).unwrap();
            assert_eq!(made.size_in_bytes, bytes.len() as u64);
            let committed = committed(made);
            let read = committed.rows(rows.height()).unwrap();
            // It can be read without its name.
            std::fs::remove_file(&path).unwrap();
            let read = read.all().unwrap();
            assert_eq!(read.schema(), rows.schema());
            assert!(read.equals_missing(&rows));
            // A file that was cut short is no rows.
            std::fs::write(&path, &bytes[..bytes.len() / 2]).unwrap();
            assert!(committed.rows(rows.height()).is_err());
            // SAFETY: a part of a file has no footer, and is refused before any value is looked at.
            assert!(unsafe { batch_in(Buffer::from(bytes[..bytes.len() / 2].to_vec())) }.is_err());
            // Nor is one of which a bit was flipped: at once where the end was, else when the column is asked for, and the
            // other columns are as they were. The file goes.
            let end = bytes.len() - (rows.width() + 1) * ENTRY - COUNT;
            for bit in [3, 8 * end + 1, bytes.len() * 8 - 1] {
                let mut bytes = bytes.clone();
                bytes[bit / 8] ^= 1 << (bit % 8);
                std::fs::write(&path, bytes).unwrap();
                match (committed.rows(rows.height()), bit) {
                    (Ok(read), 3) => {
                        assert!(read.wanted(&|name, _| name == "number").is_ok() && path.exists());
                        assert!(read.wanted(&|name, _| name == "text").is_err() && !path.exists());
                    }
                    (read, _) => assert!(read.is_err() && bit > 3),
                }
            }
        }
        // What has rows in memory and in a file goes on with the file, wherever that is moved to.
        let (rows, made) = (Rows::from(frame.clone()), MadeFile::of_rows(&path, &frame).unwrap());
        let home = folder.path().join("home");
        made.has(&rows, home.clone()).unwrap();
        std::fs::rename(&path, &home).unwrap();
        (0..2).for_each(|_| rows.let_go());
        assert!(rows.all().unwrap().equals_missing(&frame));
        // Unless it is damaged: then it goes.
        (0..2).for_each(|_| rows.let_go());
        let mut bytes = std::fs::read(&home).unwrap();
        bytes[3] ^= 1;
        std::fs::write(&home, bytes).unwrap();
        assert!(rows.all().is_err() && !home.exists());
        // More columns than the end is guessed to have.
        let wide = (0..600).map(|n| Column::new(format!("c{n}").into(), [n])).collect();
        let wide = DataFrame::new(1, wide).unwrap();
        let read = committed(MadeFile::of_rows(&path, &wide).unwrap()).rows(1).unwrap();
        assert!(read.all().unwrap().equals(&wide));
        // A few rows that point into a page of many do not carry the page along.
        let many: Vec<String> = (0..5_000).map(|n| format!("a text of more than twelve bytes {n}")).collect();
        let few = df!("text" => many).unwrap().slice(17, 3);
        let made = MadeFile::of_rows(&path, &few).unwrap();
        assert!(made.size_in_bytes < 2_000, "{}", made.size_in_bytes);
        assert!(committed(made).rows(3).unwrap().all().unwrap().equals_missing(&few));
    }
}
