//! State files that are made before the commit they count with, beside everything else: they can be large.

use super::bridge;
use super::direct::Direct;
use crate::error::{Error, Result};
use crate::memory::Mapped;
use arrow::array::RecordBatch;
use arrow::buffer::Buffer;
use arrow::error::ArrowError;
use arrow::ipc::convert::fb_to_schema;
use arrow::ipc::reader::{FileDecoder, read_footer_length};
use arrow::ipc::root_as_footer;
use arrow::ipc::writer::FileWriter;
use bytes::Bytes;
use polars::prelude::DataFrame;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A file on the disk that waits for [`Staging::adopt_state`](super::Staging::adopt_state).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MadeFile {
    pub(super) path: PathBuf,
    pub(super) size_in_bytes: u64,
    pub(super) blake3: String,
}

impl MadeFile {
    /// Writes `head`, which has to tell by a hash what comes after it, and then what `fill` puts into the file: it is known by
    /// its head, and gigabytes are not hashed twice. The folder must be there.
    ///
    /// # Errors
    /// [`Error::Environment`] when the file cannot be written.
    pub fn of_head(path: &Path, head: &[u8], fill: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> Result<Self> {
        let mut file = Direct::create(path, None)?;
        file.write_all(head).and_then(|()| fill(&mut file)).map_err(Error::io("write", path))?;
        let (size_in_bytes, _) = file.finish(path)?;
        Ok(Self { path: path.to_owned(), size_in_bytes, blake3: blake3::hash(head).to_hex().to_string() })
    }

    /// Removes it: no commit will have it.
    pub fn discard(self) {
        let _ = std::fs::remove_file(self.path);
    }

    /// Writes rows as an Arrow file, columns as polars holds them: they are read without being decoded.
    ///
    /// # Errors
    /// As [`Self::of_head`]; [`Error::Parquet`] only for defects.
    pub fn of_rows(path: &Path, rows: &DataFrame) -> Result<Self> {
        let batch = bridge::held(rows)?;
        let failed = |error: ArrowError| match error {
            ArrowError::IoError(_, source) => Error::io("write", path)(source),
            other => bridge::failed(format!("writing {}", path.display()))(other),
        };
        let file = Direct::create(path, Some(blake3::Hasher::new()))?;
        let mut writer = FileWriter::try_new(file, &batch.schema()).map_err(failed)?;
        writer.write(&batch).map_err(failed)?;
        let (size_in_bytes, blake3) = writer.into_inner().map_err(failed)?.finish(path)?;
        Ok(Self { path: path.to_owned(), size_in_bytes, blake3 })
    }
}

/// A state file of a commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommittedFile {
    /// Where it stands.
    pub path: PathBuf,
    pub(super) size_in_bytes: u64,
    pub(super) blake3: String,
}

impl CommittedFile {
    /// Maps it. That it is as long as it was committed is seen, and nothing of it is read.
    ///
    /// # Errors
    /// [`Error::Environment`] when it is not there or was cut short.
    pub fn map(&self) -> Result<Mapped> {
        let file = Mapped::of(&self.path).map_err(Error::io("read", &self.path))?;
        match file.len() as u64 == self.size_in_bytes {
            true => Ok(file),
            false => Err(self.is_damaged("is not as long as it was written")),
        }
    }

    /// Rows that [`MadeFile::of_rows`] wrote into it, of the file as [`Self::map`] gave it; they stay there.
    ///
    /// # Errors
    /// [`Error::Environment`] when they are not what was committed, [`Error::Parquet`] only for defects.
    pub fn rows(&self, file: Mapped) -> Result<DataFrame> {
        if blake3::hash(&file).to_hex().as_str() != self.blake3 {
            return Err(self.is_damaged("is not what was written: a disk that fails, or somebody's change"));
        }
        // SAFETY: the hash says that these are the bytes which `of_rows` wrote, and it writes batches that are sound.
        let batch = unsafe { batch_in(Buffer::from(Bytes::from_owner(file))) };
        bridge::frame_of(&batch.map_err(bridge::failed(format!("reading {}", self.path.display())))?)
    }

    fn is_damaged(&self, why: &str) -> Error {
        Error::io("use", &self.path)(io::Error::new(io::ErrorKind::InvalidData, why))
    }
}

/// The one batch of an Arrow file, pointing into it.
///
/// # Safety
/// The values of the batch are not checked, which for texts takes longer than everything else: a file that is whole has to be
/// one that [`MadeFile::of_rows`] wrote.
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
            let expected = (bytes.len() as u64, blake3::hash(&bytes).to_hex().to_string());
            assert_eq!((made.size_in_bytes, made.blake3.clone()), expected);
            let committed =
                CommittedFile { path: path.clone(), size_in_bytes: made.size_in_bytes, blake3: made.blake3 };
            let read = committed.rows(committed.map().unwrap()).unwrap();
            assert_eq!(read.schema(), rows.schema());
            assert!(read.equals_missing(&rows));
            // A file that was cut short is no rows, nor is one of which a bit was flipped.
            std::fs::write(&path, &bytes[..bytes.len() / 2]).unwrap();
            assert!(committed.map().is_err());
            // SAFETY: a part of a file has no footer, and is refused before any value is looked at.
            assert!(unsafe { batch_in(Buffer::from(bytes[..bytes.len() / 2].to_vec())) }.is_err());
            for bit in [3, bytes.len() * 4, bytes.len() * 8 - 1] {
                let mut bytes = bytes.clone();
                bytes[bit / 8] ^= 1 << (bit % 8);
                std::fs::write(&path, bytes).unwrap();
                assert!(committed.rows(committed.map().unwrap()).is_err());
            }
        }
        // A few rows that point into a page of many do not carry the page along.
        let many: Vec<String> = (0..5_000).map(|n| format!("a text of more than twelve bytes {n}")).collect();
        let few = df!("text" => many).unwrap().slice(17, 3);
        let made = MadeFile::of_rows(&path, &few).unwrap();
        assert!(made.size_in_bytes < 2_000, "{}", made.size_in_bytes);
        let committed = CommittedFile { path, size_in_bytes: made.size_in_bytes, blake3: made.blake3 };
        assert!(committed.rows(committed.map().unwrap()).unwrap().equals_missing(&few));
    }

    #[test]
    fn what_comes_after_a_head_is_one_file_with_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("bytes");
        let fill = |file: &mut dyn Write| file.write_all(b"b").and_then(|()| file.write_all(b"cd"));
        let made = MadeFile::of_head(&path, b"a", fill).unwrap();
        assert_eq!((std::fs::read(&path).unwrap(), made.size_in_bytes), (b"abcd".to_vec(), 4));
        assert_eq!(made.blake3, blake3::hash(b"a").to_hex().to_string());
        assert!(MadeFile::of_head(&folder.path().join("nowhere/bytes"), b"a", fill).is_err());
    }
}
