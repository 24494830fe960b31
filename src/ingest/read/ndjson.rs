//! One JSON object a line.

use super::json_members::members;
use super::{Broken, CHUNK_ROWS, Cells, Chunk, Sink, text};
use crate::error::{Error, Result};
use crate::ingest::discover::SourceFile;
use crate::ingest::plan::SourcePlan;
use crate::quarantine::Reason;
use arrow::array::StringBuilder;
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::io::{BufRead, Read};

/// The longest line that is taken for a record; a longer one is a file without line breaks.
const MAX_LINE_BYTES: u64 = 16 << 20;

/// A line in hand: its record number and the text of its members, null for JSON null.
type Record = (u64, BTreeMap<String, Option<String>>);

pub(super) fn read(file: &SourceFile, plan: &SourcePlan, sink: &mut Sink<'_>) -> Result<()> {
    let encoding = text::encoding(plan.source.encoding.as_deref());
    let mut reader = text::open(&file.path)?;
    let mut names: Option<Vec<String>> = None;
    let (mut records, mut broken): (Vec<Record>, Vec<Broken>) = (Vec::new(), Vec::new());
    let (mut row, mut line) = (0_u64, Vec::new());
    let mut absent = plan.needed.clone();
    loop {
        line.clear();
        match (&mut reader).take(MAX_LINE_BYTES).read_until(b'\n', &mut line) {
            Ok(0) => break,
            Ok(n) if n as u64 == MAX_LINE_BYTES && !line.ends_with(b"\n") => {
                let message =
                    format!("{}: line {} is longer than {MAX_LINE_BYTES} bytes", file.path.display(), row + 1);
                return Err(Error::InputRefused {
                    message,
                    hint: Some("each line must be one JSON object".to_owned()),
                });
            }
            Ok(_) => {}
            Err(e) => {
                let detail = format!("the file ends in the middle: {e}; nothing after record {row} could be read");
                broken.push(Broken { row: row + 1, reason: Reason::UnreadableFile, detail, raw: String::new() });
                break;
            }
        }
        if line.iter().all(u8::is_ascii_whitespace) {
            continue;
        }
        row += 1;
        match record(&line, encoding, plan) {
            Ok(record) => {
                absent.retain(|name| !record.contains_key(name));
                records.push((row, record));
            }
            Err((reason, detail)) => {
                broken.push(Broken { row, reason, detail, raw: String::from_utf8_lossy(&line).trim_end().to_owned() });
            }
        }
        if records.len() >= CHUNK_ROWS || broken.len() >= CHUNK_ROWS {
            sink(chunk(&mut names, plan, &mut records, &mut broken))?;
        }
    }
    let last = chunk(&mut names, plan, &mut records, &mut broken);
    sink(Chunk { absent: absent.into_iter().collect(), ..last })
}

fn record(
    line: &[u8],
    encoding: &'static encoding_rs::Encoding,
    plan: &SourcePlan,
) -> Result<BTreeMap<String, Option<String>>, (Reason, String)> {
    let text = text::decode(line, encoding)
        .ok_or_else(|| (Reason::BadEncoding, format!("bytes that are not {} text", encoding.name())))?;
    // serde_json's messages say what was expected, never the text itself; their line is always 1 here.
    serde_json::from_str::<serde::de::IgnoredAny>(text.trim_end()).map_err(|e| {
        let said = e.to_string();
        let said = said.split(" at line ").next().unwrap_or_default();
        (Reason::NotJson, format!("{said}, at byte {} of the line", e.column()))
    })?;
    let found = members(&text).ok_or_else(|| (Reason::NotAnObject, "JSON, but not an object".to_owned()))?;
    let mut record = BTreeMap::new();
    for (name, value) in found {
        let text = match value.as_bytes().first() {
            Some(b'n') => None,
            Some(b'"') => serde_json::from_str::<Cow<'_, str>>(value).ok().map(Cow::into_owned),
            Some(b'{' | b'[') if plan.needed.contains(&name) => {
                return Err((Reason::NestedValue, format!("`{name}` holds a list or an object")));
            }
            _ => Some(value.to_owned()),
        };
        record.insert(name, text);
    }
    Ok(record)
}

fn chunk(
    names: &mut Option<Vec<String>>,
    plan: &SourcePlan,
    records: &mut Vec<Record>,
    broken: &mut Vec<Broken>,
) -> Chunk {
    // The first chunk decides which columns there are; a key that only turns up later and that nothing needs is left out.
    let names = names.get_or_insert_with(|| {
        let mut names: Vec<String> = plan.needed.iter().cloned().collect();
        for (_, record) in records.iter() {
            for name in record.keys() {
                if let Err(place) = names.binary_search(name) {
                    names.insert(place, name.clone());
                }
            }
        }
        names
    });
    let mut columns = Vec::with_capacity(names.len());
    for name in names.iter() {
        let mut cells = StringBuilder::new();
        for (_, record) in records.iter() {
            cells.append_option(record.get(name).and_then(Option::as_deref));
        }
        columns.push((name.clone(), Cells::Text(cells.finish())));
    }
    let rows = records.iter().map(|(row, _)| *row).collect();
    records.clear();
    Chunk { columns, rows, broken: std::mem::take(broken), absent: Vec::new() }
}
