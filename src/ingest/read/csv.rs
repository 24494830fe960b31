//! Delimited text.

use super::records::{Next, Records};
use super::{Broken, CHUNK_ROWS, Cells, Chunk, Sink, text};
use crate::error::{Error, Result};
use crate::ingest::discover::SourceFile;
use crate::ingest::plan::SourcePlan;
use crate::quarantine::Reason;
use arrow::array::StringViewBuilder;
use csv::ByteRecord;
use encoding_rs::{Encoding, UTF_8};

pub(super) fn read(file: &SourceFile, plan: &SourcePlan, sink: &mut Sink<'_>) -> Result<()> {
    let encoding = text::encoding(plan.source.encoding.as_deref());
    let mut records = Records::open(&file.path, delimiter(file, plan))?;
    let mut record = ByteRecord::new();
    match records.next(&mut record, None)? {
        Next::Failed(e) => return Err(refused(file, &format!("cannot be read: {e}"))),
        Next::End => return Err(refused(file, "is empty: not even a header row")),
        Next::Record | Next::Torn(_) => {}
    }
    let header: Vec<String> = record
        .iter()
        .map(|field| text::decode(field, encoding).map(|t| t.trim().to_owned()))
        .collect::<Option<_>>()
        .ok_or_else(|| Error::InputRefused {
            message: format!("{}: the first row is not {} text", file.path.display(), encoding.name()),
            hint: Some("set `encoding` of the source, or convert the file to UTF-8".to_owned()),
        })?;
    let twice =
        header.iter().enumerate().find_map(|(i, name)| Some((header[..i].iter().position(|n| n == name)?, i, name)));
    if let Some((first, second, name)) = twice {
        // A file without a header has data here, and nobody's data belongs into a message.
        let name = if plan.needed.contains(name) { format!(" `{name}`") } else { String::new() };
        return Err(refused(
            file,
            &format!("columns {} and {} have the same name{name} in the first row", first + 1, second + 1),
        ));
    }
    // Rows are about as long as the names above them. A guess, which saves moving what is there as rows come.
    let rows = file.path.metadata().map_or(0, |found| found.len() as usize) / record.as_slice().len().max(1);
    let builder = |_: &String| StringViewBuilder::with_capacity(rows.min(CHUNK_ROWS));
    let mut columns: Vec<StringViewBuilder> = header.iter().map(builder).collect();
    let (mut rows, mut broken) = (Vec::new(), Vec::new());
    let mut row = 0_u64;
    loop {
        match records.next(&mut record, Some(header.len()))? {
            Next::Record => row += 1,
            Next::Torn(line) => {
                row += 1;
                let detail = "a quote is opened and not closed on this line".to_owned();
                let raw = String::from_utf8_lossy(&line).trim_end().to_owned();
                broken.push(Broken { row, reason: Reason::RaggedRow, detail, raw });
                continue;
            }
            Next::End => break,
            // A packed file cut short: what was read stands, the rest is one numbered entry in quarantine.
            Next::Failed(e) => {
                let detail = format!("the file ends in the middle: {e}; nothing after record {row} could be read");
                broken.push(Broken { row: row + 1, reason: Reason::UnreadableFile, detail, raw: String::new() });
                break;
            }
        }
        if record.len() != header.len() {
            let detail = format!("{} fields where the header has {}", record.len(), header.len());
            broken.push(Broken { row, reason: Reason::RaggedRow, detail, raw: raw(&record) });
        } else if append(&record, encoding, &mut columns) {
            rows.push(row);
        } else {
            let detail = format!("bytes that are not {} text", encoding.name());
            broken.push(Broken { row, reason: Reason::BadEncoding, detail, raw: raw(&record) });
        }
        if rows.len() >= CHUNK_ROWS || broken.len() >= CHUNK_ROWS {
            sink(chunk(&header, &mut columns, &mut rows, &mut broken))?;
        }
    }
    // Also for a file without records, so that its columns are known.
    sink(chunk(&header, &mut columns, &mut rows, &mut broken))
}

/// Appends the fields of a record, each to its column; nothing, and `false`, if one of them is not in the encoding.
fn append(record: &ByteRecord, encoding: &'static Encoding, columns: &mut [StringViewBuilder]) -> bool {
    // All at once: a record is many short fields, and what is text as a whole is so between characters.
    let whole = if encoding == UTF_8 { std::str::from_utf8(record.as_slice()).ok() } else { None };
    let field = |at: usize| whole.and_then(|whole| whole.get(record.range(at)?));
    if (0..record.len()).all(|at| field(at).is_some()) {
        for (at, column) in columns.iter_mut().enumerate() {
            column.append_value(field(at).unwrap_or_default());
        }
        return true;
    }
    let Some(fields) = record.iter().map(|field| text::decode(field, encoding)).collect::<Option<Vec<_>>>() else {
        return false;
    };
    columns.iter_mut().zip(fields).for_each(|(column, field)| column.append_value(field));
    true
}

fn chunk(header: &[String], columns: &mut [StringViewBuilder], rows: &mut Vec<u64>, broken: &mut Vec<Broken>) -> Chunk {
    let finish = |column: &mut StringViewBuilder| Cells::Text(column.finish());
    let columns = header.iter().cloned().zip(columns.iter_mut().map(finish)).collect();
    Chunk { columns, rows: std::mem::take(rows), broken: std::mem::take(broken), absent: Vec::new() }
}

fn delimiter(file: &SourceFile, plan: &SourcePlan) -> u8 {
    match plan.source.delimiter.as_deref() {
        Some("tab") => b'\t',
        Some(text) => text.bytes().next().unwrap_or(b','),
        None if file.name.contains(".tsv") => b'\t',
        None => b',',
    }
}

/// A record as a JSON list of its fields, whatever their number and bytes.
fn raw(record: &ByteRecord) -> String {
    let fields: Vec<_> = record.iter().map(|f| String::from_utf8_lossy(f).into_owned()).collect();
    serde_json::to_string(&fields).unwrap_or_default()
}

fn refused(file: &SourceFile, what: &str) -> Error {
    let hint = "the first row must hold the names of the columns, each once";
    Error::InputRefused { message: format!("{}: {what}", file.path.display()), hint: Some(hint.to_owned()) }
}
