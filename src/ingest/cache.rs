//! Typed copies of source files: a file that has not changed is never parsed twice.

use super::at_hand::{AtHand, Room, Rows};
use super::discover::SourceFile;
use super::personal::PersonalKey;
use super::plan::SourcePlan;
use super::read;
use super::typed::{Typer, ValueCounts};
use crate::error::{Error, Result};
use crate::memory;
use crate::quarantine::Rejected;
use arrow::array::RecordBatch;
use arrow::datatypes::DataType;
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, Encoding};
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::schema::types::ColumnPath;
use serde::{Deserialize, Serialize};
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A source file in typed form.
#[derive(Debug, Clone)]
pub struct TypedFile {
    /// Its name in quarantine and inputs.
    pub name: String,
    /// Where it is and how it is read.
    pub(super) source: SourceFile,
    /// Hash of its bytes.
    pub content_hash: String,
    /// The typed Parquet copy; holds the record number as `_row`.
    pub parquet: PathBuf,
    /// What the reading found.
    pub findings: Findings,
    /// Whether an earlier run had read it already.
    pub cached: bool,
    /// Its typed rows, where they were typed a moment ago and are kept for whoever takes them in: then the copy has not to be
    /// read.
    pub(super) at_hand: Option<Arc<Rows>>,
}

impl TypedFile {
    /// The same file by its typed copy alone, for whoever holds files for long.
    pub fn laid_down(&self) -> Self {
        Self { at_hand: None, ..self.clone() }
    }

    /// Length of the file it was read from; 0 if that is gone.
    pub fn size_in_bytes(&self) -> u64 {
        std::fs::metadata(&self.source.path).map_or(0, |found| found.len())
    }
}

/// What reading a file found, kept beside its typed copy.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Findings {
    /// Records in the file.
    pub read: u64,
    /// Records whose values all had their types.
    pub typed: u64,
    /// The others.
    pub rejected: Vec<Rejected>,
    /// Needed columns that no record has, where records name their columns.
    pub absent: Vec<String>,
    /// Times and amounts that a stated rule had to decide.
    pub counts: ValueCounts,
}

/// Rejected rows of one file held at most: a file with more is not worth going through to the end.
const MAX_REJECTED: usize = 100_000;

/// Gives the typed form of a file, from the cache if its bytes and its plan have not changed. Of one that is not there yet the
/// rows are kept at hand where there is `room`.
///
/// # Errors
/// See [`read::read`]; [`Error::Environment`] if the cache cannot be written.
pub(super) fn typed(
    file: &SourceFile,
    plan: &SourcePlan,
    zone: &str,
    key: &PersonalKey,
    cache: &Path,
    room: Option<&Room>,
) -> Result<TypedFile> {
    let content_hash = content_hash(&file.path)?;
    let folder = cache.join(&plan.name);
    create_private(&folder)?;
    let fingerprint = blake3::hash(plan.fingerprint(zone, &key.fingerprint()).as_bytes()).to_hex();
    let stem = format!("{}-{}", &content_hash[..32], &fingerprint[..16]);
    let (parquet, findings_path) = (folder.join(format!("{stem}.parquet")), folder.join(format!("{stem}.json")));
    let found = |findings, at_hand, cached| TypedFile {
        name: file.name.clone(),
        source: file.clone(),
        content_hash: content_hash.clone(),
        parquet: parquet.clone(),
        findings,
        cached,
        at_hand,
    };
    // The findings are written last and by rename, so that if they are there the Parquet file is whole.
    if let Ok(text) = std::fs::read(&findings_path)
        && parquet.is_file()
        && let Ok(mut findings) = serde_json::from_slice::<Findings>(&text)
    {
        // One content may stand under several names; the cached findings carry the first.
        findings.rejected.iter_mut().for_each(|r| r.file.clone_from(&file.name));
        return Ok(found(findings, None, true));
    }
    // Files of equal content are typed side by side, each under a temporary name of its own.
    let own = blake3::hash(file.name.as_bytes()).to_hex();
    let temporary = folder.join(format!("{stem}.{}-{}.tmp", std::process::id(), &own[..16]));
    let mut at_hand = AtHand::new(room);
    let findings = parse(file, plan, key, &temporary, &mut at_hand)?;
    std::fs::rename(&temporary, &parquet).map_err(Error::io("write", &parquet))?;
    let text = serde_json::to_vec(&findings).map_err(|e| Error::Invariant(format!("findings: {e}")))?;
    std::fs::write(&temporary, text).map_err(Error::io("write", &temporary))?;
    std::fs::rename(&temporary, &findings_path).map_err(Error::io("write", &findings_path))?;
    let at_hand = at_hand.finish()?;
    if at_hand.is_some() {
        // Whoever takes the rows reads neither again soon; pages of files that have been in use before are the quickest to write
        // to next.
        [&file.path, &parquet].into_iter().for_each(|path| let_go(path));
    }
    Ok(found(findings, at_hand, false))
}

/// Lets the system use the memory for something else in which it keeps a file.
fn let_go(path: &Path) {
    if let Ok(file) = File::open(path) {
        memory::let_go(&file, 0..i64::MAX as u64);
    }
}

fn parse(
    file: &SourceFile,
    plan: &SourcePlan,
    key: &PersonalKey,
    to: &Path,
    at_hand: &mut AtHand<'_>,
) -> Result<Findings> {
    let mut typer = Typer { plan, key, file: &file.name, counts: ValueCounts::default() };
    let mut findings = Findings::default();
    let mut writer: Option<ArrowWriter<File>> = None;
    read::read(file, plan, &mut |chunk| {
        findings.read += (chunk.rows.len() + chunk.broken.len()) as u64;
        findings.absent.clone_from(&chunk.absent);
        let (batch, rejected) = typer.batch(chunk)?;
        findings.typed += batch.num_rows() as u64;
        findings.rejected.extend(rejected);
        if findings.rejected.len() > MAX_REJECTED && findings.rejected.len() as u64 > findings.typed {
            return Err(Error::InputRefused {
                message: format!(
                    "source `{}`: {} of the first {} rows of {} cannot be read, the last because of `{}`",
                    plan.name,
                    findings.rejected.len(),
                    findings.read,
                    file.name,
                    findings.rejected.last().map_or("", |r| r.reason.code())
                ),
                hint: Some("check `format`, `delimiter` and the declared types of the source".to_owned()),
            });
        }
        at_hand.push(&batch);
        write(&mut writer, &batch, to, &|column| plan.is_hash(column))
    })?;
    findings.counts = typer.counts;
    match writer {
        // On the disk before its name says that it is whole.
        Some(writer) => writer.into_inner().map_err(|e| disk(e, to))?.sync_all().map_err(Error::io("write", to))?,
        None => return Err(Error::Invariant(format!("no chunk came out of {}", file.name))),
    }
    Ok(findings)
}

pub(super) fn write(
    writer: &mut Option<ArrowWriter<File>>,
    batch: &RecordBatch,
    to: &Path,
    is_hash: &dyn Fn(&str) -> bool,
) -> Result<()> {
    if writer.is_none() {
        let file = File::create(to).map_err(Error::io("write", to))?;
        // Quick to write and read: this copy is never published, and always read as a whole.
        let mut properties = WriterProperties::builder()
            .set_compression(Compression::LZ4_RAW)
            .set_dictionary_enabled(false)
            .set_statistics_enabled(EnabledStatistics::None)
            .set_max_row_group_row_count(Some(262_144));
        let schema = batch.schema();
        for field in schema.fields() {
            let column = ColumnPath::from(vec![field.name().clone()]);
            let is_number = matches!(field.data_type(), DataType::Int64 | DataType::Timestamp(..));
            if is_number {
                // Row numbers, times and amounts: their differences are shorter than what LZ4 makes of them, and sooner written.
                properties = properties.set_column_encoding(column.clone(), Encoding::DELTA_BINARY_PACKED);
            }
            // Nothing in a hash repeats.
            if is_number || is_hash(field.name()) {
                properties = properties.set_column_compression(column, Compression::UNCOMPRESSED);
            }
        }
        *writer = Some(ArrowWriter::try_new(file, schema, Some(properties.build())).map_err(|e| disk(e, to))?);
    }
    match writer {
        Some(writer) => writer.write(batch).map_err(|e| disk(e, to)),
        None => Ok(()),
    }
}

/// A Parquet error while writing: a full disk comes out as such.
fn disk(error: parquet::errors::ParquetError, path: &Path) -> Error {
    match error {
        parquet::errors::ParquetError::External(inner) => match inner.downcast::<std::io::Error>() {
            Ok(io) => Error::io("write", path)(*io),
            Err(other) => Error::io("write", path)(std::io::Error::other(other.to_string())),
        },
        other => Error::io("write", path)(std::io::Error::other(other.to_string())),
    }
}

fn content_hash(path: &Path) -> Result<String> {
    let mut hasher = blake3::Hasher::new();
    let file = File::open(path).map_err(Error::io("read", path))?;
    hasher.update_reader(file).map_err(Error::io("read", path))?;
    Ok(hasher.finalize().to_hex().to_string())
}

/// Makes a folder that only its owner can read.
///
/// # Errors
/// [`Error::Environment`].
pub fn create_private(folder: &Path) -> Result<()> {
    // What stands above it is as open as the user's other folders: published tables are for others to read.
    if let Some(above) = folder.parent() {
        std::fs::create_dir_all(above).map_err(Error::io("make", above))?;
    }
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(folder).map_err(Error::io("make", folder))
}
