//! Bytes of a text file: unpacked, without a byte-order mark, decoded field by field.

use crate::error::{Error, Result};
use encoding_rs::{Encoding, UTF_8};
use std::borrow::Cow;
use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;

/// Opens a file for reading, unpacking `.gz` and `.zst` (several members too), past its byte-order mark.
pub(super) fn open(path: &Path) -> Result<Box<dyn BufRead>> {
    let file = File::open(path).map_err(Error::io("read", path))?;
    let (plain, packed): (Box<dyn Read>, bool) = match path.extension().and_then(|e| e.to_str()) {
        Some("gz") => (Box::new(flate2::read::MultiGzDecoder::new(file)), true),
        Some("zst") => (Box::new(zstd::stream::read::Decoder::new(file).map_err(Error::io("unpack", path))?), true),
        _ => (Box::new(file), false),
    };
    let mut reader = BufReader::with_capacity(1 << 20, plain);
    let begin = reader.fill_buf().map_err(|e| if packed { damaged(path, &e) } else { Error::io("read", path)(e) })?;
    if begin.starts_with(b"\xef\xbb\xbf") {
        reader.consume(3);
    }
    Ok(Box::new(reader))
}

/// A packed file of which not even the beginning can be unpacked: the input's fault, not the machine's.
fn damaged(path: &Path, error: &std::io::Error) -> Error {
    Error::InputRefused {
        message: format!("{}: cannot be unpacked: {error}", path.display()),
        hint: Some("the file is damaged or cut short; export it again".to_owned()),
    }
}

/// The encoding of a label that the configuration has checked.
pub(super) fn encoding(label: Option<&str>) -> &'static Encoding {
    label.and_then(|l| Encoding::for_label(l.as_bytes())).unwrap_or(UTF_8)
}

/// The text of some bytes; `None` if they are not in the encoding.
pub(super) fn decode<'a>(bytes: &'a [u8], encoding: &'static Encoding) -> Option<Cow<'a, str>> {
    if encoding == UTF_8 {
        return std::str::from_utf8(bytes).ok().map(Cow::Borrowed);
    }
    encoding.decode_without_bom_handling_and_without_replacement(bytes)
}
