//! Records of delimited text, one after the other, with a way out of a quote that is never closed.
//!
//! Such a quote swallows every line up to the next quote or the end of the file, and would take good rows with it.

use super::text;
use crate::error::{Error, Result};
use csv::{ByteRecord, Reader, ReaderBuilder};
use std::io::{BufRead, Read};
use std::path::Path;

/// Open quotes that are looked into in one file: each costs reading up to it again.
const MAX_TORN: usize = 1_000;

/// What came next.
pub(super) enum Next {
    /// A record, in the buffer given.
    Record,
    /// A line that opens a quote and does not close it; the lines behind it are records of their own.
    Torn(Vec<u8>),
    /// The end of the file.
    End,
    /// The file cannot be read further.
    Failed(csv::Error),
}

/// The records of a file.
pub(super) struct Records<'a> {
    path: &'a Path,
    delimiter: u8,
    reader: Reader<Box<dyn BufRead>>,
    /// Bytes of the file before the reader's first.
    skipped: u64,
    /// A record that was read to see whether there is one.
    ahead: Option<ByteRecord>,
    torn: usize,
}

impl<'a> Records<'a> {
    pub(super) fn open(path: &'a Path, delimiter: u8) -> Result<Self> {
        let reader = reader(text::open(path)?, delimiter);
        Ok(Self { path, delimiter, reader, skipped: 0, ahead: None, torn: 0 })
    }

    /// Reads the next record. `fields` is how many a good one has; `None` while the header is read.
    ///
    /// # Errors
    /// When the file cannot be opened once more to look into an open quote.
    pub(super) fn next(&mut self, record: &mut ByteRecord, fields: Option<usize>) -> Result<Next> {
        if let Some(ahead) = self.ahead.take() {
            *record = ahead;
        } else {
            match self.reader.read_byte_record(record) {
                Ok(true) => {}
                Ok(false) => return Ok(Next::End),
                Err(e) => return Ok(Next::Failed(e)),
            }
        }
        let Some(fields) = fields else { return Ok(Next::Record) };
        let breaks = record.as_slice().contains(&b'\n');
        if breaks && fields > 1 && self.torn < MAX_TORN && (record.len() != fields || self.at_end()) {
            let start = self.skipped + record.position().map_or(0, csv::Position::byte);
            if let Some(line) = self.after_torn_line(start, fields)? {
                self.torn += 1;
                return Ok(Next::Torn(line));
            }
        }
        Ok(Next::Record)
    }

    /// Whether the record in hand is the last. An error that comes next is met again when it is its turn.
    fn at_end(&mut self) -> bool {
        let mut ahead = ByteRecord::new();
        match self.reader.read_byte_record(&mut ahead) {
            Ok(true) => {
                self.ahead = Some(ahead);
                false
            }
            Ok(false) => true,
            Err(_) => false,
        }
    }

    /// The first line of the record at `start`, if a whole record stands right behind it; reading then goes on there.
    fn after_torn_line(&mut self, start: u64, fields: usize) -> Result<Option<Vec<u8>>> {
        let reopen = |line: &mut Vec<u8>| -> Result<Box<dyn BufRead>> {
            let mut file = text::open(self.path)?;
            std::io::copy(&mut (&mut file).take(start), &mut std::io::sink()).map_err(Error::io("read", self.path))?;
            line.clear();
            file.read_until(b'\n', line).map_err(Error::io("read", self.path))?;
            Ok(file)
        };
        let mut line = Vec::new();
        let mut behind = ByteRecord::new();
        let whole = reader(reopen(&mut line)?, self.delimiter).read_byte_record(&mut behind);
        if !matches!(whole, Ok(true)) || behind.len() != fields {
            return Ok(None);
        }
        self.reader = reader(reopen(&mut line)?, self.delimiter);
        self.ahead = None;
        self.skipped = start + line.len() as u64;
        Ok(Some(line))
    }
}

fn reader(bytes: Box<dyn BufRead>, delimiter: u8) -> Reader<Box<dyn BufRead>> {
    ReaderBuilder::new().delimiter(delimiter).has_headers(false).flexible(true).from_reader(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Vec<String> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.csv");
        std::fs::write(&path, text).unwrap();
        let mut records = Records::open(&path, b',').unwrap();
        let mut record = ByteRecord::new();
        let mut found = Vec::new();
        loop {
            match records.next(&mut record, Some(3)).unwrap() {
                Next::Record => found.push(String::from_utf8(record.iter().collect::<Vec<_>>().join(&b'|')).unwrap()),
                Next::Torn(line) => found.push(format!("torn {}", String::from_utf8(line).unwrap().trim_end())),
                Next::End => return found,
                Next::Failed(e) => panic!("{e}"),
            }
        }
    }

    #[test]
    fn a_quote_never_closed_costs_its_line_and_no_other() {
        assert_eq!(read("1,a,b\n2,\"c,d\n3,e,f\n4,g,h\n"), ["1|a|b", "torn 2,\"c,d", "3|e|f", "4|g|h"]);
        // The swallowing field can leave the right number of fields.
        assert_eq!(read("1,a,\"b\n2,c,d\n3,e,f\n"), ["torn 1,a,\"b", "2|c|d", "3|e|f"]);
        // Up to a later quote.
        assert_eq!(read("1,\"a,b\n2,c,d\n3,\"e\",f\n"), ["torn 1,\"a,b", "2|c|d", "3|e|f"]);
    }

    #[test]
    fn line_breaks_inside_quotes_are_left_alone() {
        assert_eq!(read("1,\"a\nb\",c\n2,d,\"e\nf\"\n"), ["1|a\nb|c", "2|d|e\nf"]);
        assert_eq!(read("1,\"a\nb\"\n2,d,e\n"), ["1|a\nb", "2|d|e"]);
    }
}
