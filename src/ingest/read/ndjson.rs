//! One JSON object a line.

use super::json_members::{members, string};
use super::{Broken, CHUNK_ROWS, Cells, Chunk, Sink, text};
use crate::error::{Error, Result};
use crate::ingest::discover::SourceFile;
use crate::ingest::plan::SourcePlan;
use crate::quarantine::Reason;
use arrow::array::StringViewBuilder;
use std::borrow::Cow;
use std::collections::{BTreeSet, HashMap};
use std::io::{BufRead, Read};

/// The longest line that is taken for a record; a longer one is a file without line breaks.
const MAX_LINE_BYTES: u64 = 16 << 20;

/// A line in hand: its members by the numbers of their names, each with its text, null for JSON null.
type Record = Vec<(usize, Option<String>)>;

/// The names of members, numbered. The needed ones come first; those of the first chunk follow, in the order in which they
/// turned up, and a name that only turns up later and that nothing needs is left out.
struct Names {
    names: Vec<String>,
    numbers: HashMap<String, usize>,
    needed: usize,
    /// The number that stood at each place of the records before: records are mostly alike.
    likely: Vec<usize>,
    /// The columns there are, by name; `None` in the first chunk.
    columns: Option<Vec<usize>>,
}

impl Names {
    fn new(needed: &BTreeSet<String>) -> Self {
        let names: Vec<String> = needed.iter().cloned().collect();
        let numbers = names.iter().cloned().zip(0..).collect();
        Self { needed: names.len(), names, numbers, likely: Vec::new(), columns: None }
    }

    fn needs(&self, name: &str) -> bool {
        self.numbers.get(name).is_some_and(|number| *number < self.needed)
    }

    /// The number of the name that stands at a place of a record.
    fn number(&mut self, place: usize, name: &str) -> Option<usize> {
        if let Some(&likely) = self.likely.get(place)
            && self.names[likely] == name
        {
            return Some(likely);
        }
        let number = match self.numbers.get(name) {
            Some(&known) => known,
            None if self.columns.is_some() => return None,
            None => {
                self.names.push(name.to_owned());
                self.numbers.insert(name.to_owned(), self.names.len() - 1);
                self.names.len() - 1
            }
        };
        self.likely.resize(self.likely.len().max(place + 1), number);
        self.likely[place] = number;
        Some(number)
    }
}

pub(super) fn read(file: &SourceFile, plan: &SourcePlan, sink: &mut Sink<'_>) -> Result<()> {
    let encoding = text::encoding(plan.source.encoding.as_deref());
    let mut reader = text::open(&file.path)?;
    let mut names = Names::new(&plan.needed);
    let (mut rows, mut records, mut broken) = (Vec::new(), Vec::new(), Vec::new());
    let (mut row, mut line) = (0_u64, Vec::new());
    let mut is_there = vec![false; names.needed];
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
        match record(&line, encoding, &mut names) {
            Ok(record) => {
                for (name, _) in &record {
                    if let Some(is_there) = is_there.get_mut(*name) {
                        *is_there = true;
                    }
                }
                rows.push(row);
                records.push(record);
            }
            Err((reason, detail)) => {
                broken.push(Broken { row, reason, detail, raw: String::from_utf8_lossy(&line).trim_end().to_owned() });
            }
        }
        if records.len() >= CHUNK_ROWS || broken.len() >= CHUNK_ROWS {
            sink(chunk(&mut names, &mut rows, &mut records, &mut broken))?;
        }
    }
    let last = chunk(&mut names, &mut rows, &mut records, &mut broken);
    let absent = plan.needed.iter().zip(is_there).filter(|(_, is_there)| !is_there).map(|(name, _)| name.clone());
    sink(Chunk { absent: absent.collect(), ..last })
}

fn record(
    line: &[u8],
    encoding: &'static encoding_rs::Encoding,
    names: &mut Names,
) -> Result<Record, (Reason, String)> {
    let text = text::decode(line, encoding)
        .ok_or_else(|| (Reason::BadEncoding, format!("bytes that are not {} text", encoding.name())))?;
    // serde_json's messages say what was expected, never the text itself; their line is always 1 here.
    serde_json::from_str::<serde::de::IgnoredAny>(text.trim_end()).map_err(|e| {
        let said = e.to_string();
        let said = said.split(" at line ").next().unwrap_or_default();
        (Reason::NotJson, format!("{said}, at byte {} of the line", e.column()))
    })?;
    let found = members(&text).ok_or_else(|| (Reason::NotAnObject, "JSON, but not an object".to_owned()))?;
    if let Some((name, _)) = found.iter().find(|(name, value)| value.starts_with(['{', '[']) && names.needs(name)) {
        return Err((Reason::NestedValue, format!("`{name}` holds a list or an object")));
    }
    let mut record = Vec::with_capacity(found.len());
    for (place, (name, value)) in found.into_iter().enumerate() {
        let Some(number) = names.number(place, &name) else { continue };
        let text = match value.as_bytes().first() {
            Some(b'n') => None,
            Some(b'"') => string(value).map(Cow::into_owned),
            _ => Some(value.to_owned()),
        };
        record.push((number, text));
    }
    Ok(record)
}

fn chunk(names: &mut Names, rows: &mut Vec<u64>, records: &mut Vec<Record>, broken: &mut Vec<Broken>) -> Chunk {
    let all = &names.names;
    let columns = names.columns.get_or_insert_with(|| {
        let mut columns: Vec<usize> = (0..all.len()).collect();
        columns.sort_by(|a, b| all[*a].cmp(&all[*b]));
        columns
    });
    // Member by member: a name that few records have takes no more than these.
    let mut members: Vec<Vec<(usize, Option<&str>)>> = vec![Vec::new(); all.len()];
    for (at, record) in records.iter().enumerate() {
        for (name, text) in record {
            members[*name].push((at, text.as_deref()));
        }
    }
    let cells = |number: &usize| {
        let (mut cells, mut found) = (StringViewBuilder::new(), members[*number].iter().peekable());
        for at in 0..records.len() {
            let mut text = None;
            // Of a name that occurs twice the last one counts.
            while let Some((_, here)) = found.next_if(|(row, _)| *row == at) {
                text = *here;
            }
            cells.append_option(text);
        }
        (all[*number].clone(), Cells::Text(cells.finish()))
    };
    let columns = columns.iter().map(cells).collect();
    records.clear();
    Chunk { columns, rows: std::mem::take(rows), broken: std::mem::take(broken), absent: Vec::new() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    type Members = Vec<(char, Option<u8>)>;

    fn line(members: &Members) -> String {
        let text = |value: &Option<u8>| value.map_or("null".to_owned(), |value| format!("\"{value}\""));
        let members: Vec<String> = members.iter().map(|(name, value)| format!("\"{name}\":{}", text(value))).collect();
        format!("{{{}}}", members.join(","))
    }

    /// The columns of chunks, each with its cells, from maps by name: the last of two members of one name counts, and names
    /// that turn up after the first chunk and are not needed are left out.
    fn expected(needed: &BTreeSet<String>, chunks: &[Vec<Members>]) -> Vec<BTreeMap<String, Vec<Option<String>>>> {
        let of_first = chunks.first().into_iter().flatten().flatten().map(|(name, _)| name.to_string());
        let columns: BTreeSet<String> = needed.iter().cloned().chain(of_first).collect();
        let cell = |members: &Members, column: &String| {
            let found: BTreeMap<String, Option<u8>> = members.iter().map(|(n, v)| (n.to_string(), *v)).collect();
            found.get(column).copied().flatten().map(|value| value.to_string())
        };
        let of_chunk = |chunk: &Vec<Members>| {
            let cells = |column: &String| chunk.iter().map(|members| cell(members, column)).collect();
            columns.iter().map(|column| (column.clone(), cells(column))).collect()
        };
        chunks.iter().map(of_chunk).collect()
    }

    proptest! {
        #[test]
        fn members_go_into_columns_by_name_wherever_they_stand_in_a_record(
            chunks in prop::collection::vec(
                prop::collection::vec(
                    prop::collection::vec((prop::char::range('a', 'f'), prop::option::of(0..9_u8)), 0..6), 0..5),
                1..4),
            needed in prop::collection::btree_set("[a-h]", 0..3),
        ) {
            let mut names = Names::new(&needed);
            let mut found: Vec<BTreeMap<String, Vec<Option<String>>>> = Vec::new();
            for records in &chunks {
                let record = |members| record(line(members).as_bytes(), encoding_rs::UTF_8, &mut names).unwrap();
                let mut records: Vec<Record> = records.iter().map(record).collect();
                let mut rows = (0..records.len() as u64).collect();
                let chunk = chunk(&mut names, &mut rows, &mut records, &mut Vec::new());
                let named: Vec<&String> = chunk.columns.iter().map(|(name, _)| name).collect();
                prop_assert!(named.is_sorted(), "{named:?}");
                let cells = |cells: Cells| -> Vec<Option<String>> {
                    let Cells::Text(texts) = cells else { return Vec::new() };
                    texts.iter().map(|text| text.map(str::to_owned)).collect()
                };
                found.push(chunk.columns.into_iter().map(|(name, column)| (name, cells(column))).collect());
            }
            prop_assert_eq!(found, expected(&needed, &chunks));
        }
    }

    #[test]
    fn a_list_is_refused_where_it_is_needed_and_nowhere_else() {
        let mut names = Names::new(&BTreeSet::from(["a".to_owned()]));
        let mut read =
            |text: &str| record(text.as_bytes(), encoding_rs::UTF_8, &mut names).map_err(|(reason, _)| reason);
        assert_eq!(read(r#"{"b": [1], "a": "x"}"#), Ok(vec![(1, Some("[1]".to_owned())), (0, Some("x".to_owned()))]));
        assert_eq!(read(r#"{"c": 1, "a": {}}"#), Err(Reason::NestedValue));
        // Nothing of a refused record becomes a column.
        assert_eq!(names.names, ["a", "b"]);
    }
}
