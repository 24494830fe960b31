//! One line of standard input: which source it names, and the record without that.

use crate::quarantine::Reason;
use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, Visitor};
use std::borrow::Cow;
use std::fmt;

/// The longest line that is taken for a record; a longer one is input without line breaks.
pub const MAX_LINE_BYTES: usize = 16 << 20;

/// The member that names the source of a line.
const SOURCE: &str = "source";

/// The number of the source that a line names, and its record as a line of NDJSON without the naming member and with every
/// other byte as it came: a number must not pass through a float on its way to exact money.
///
/// `sources` must be sorted. The error says why the line is refused, and repeats no value of it.
pub(super) fn split(line: &[u8], sources: &[String]) -> Result<(usize, Vec<u8>), (Reason, String)> {
    let text = std::str::from_utf8(line)
        .map_err(|e| (Reason::BadEncoding, format!("byte {} is not UTF-8", e.valid_up_to() + 1)))?;
    let text = text.trim();
    if !text.starts_with('{') {
        return Err((Reason::NotAnObject, "it is not a JSON object".to_owned()));
    }
    let named: Named = serde_json::from_str(text)
        .map_err(|e| (Reason::NotJson, format!("it is not valid JSON at character {}", e.column())))?;
    let unknown = |why: String| Err((Reason::UnknownSource, why));
    let source = match named {
        Named { times: 1, source: Some(source) } => source,
        Named { times: 0, .. } => return unknown(format!("it has no member `{SOURCE}`")),
        Named { times: 1, source: None } => return unknown(format!("its `{SOURCE}` is not a text")),
        Named { .. } => return unknown(format!("it has more than one member `{SOURCE}`")),
    };
    let Ok(at) = sources.binary_search(&source) else {
        let known = sources.join("`, `");
        return unknown(format!("its `{SOURCE}` names no source of the pipeline; there are `{known}`"));
    };
    let (before, after) = around(text);
    let mut record = Vec::with_capacity(before.len() + after.len() + 1);
    record.extend_from_slice(before.as_bytes());
    record.extend_from_slice(after.as_bytes());
    record.push(b'\n');
    Ok((at, record))
}

/// What an object says of its source.
#[derive(Debug, Default)]
struct Named {
    times: usize,
    /// Null when the last member of the name is not a text.
    source: Option<String>,
}

impl<'de> Deserialize<'de> for Named {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Members;
        impl<'de> Visitor<'de> for Members {
            type Value = Named;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Named, A::Error> {
                let mut named = Named::default();
                while let Some(Name(name)) = map.next_key::<Name<'_>>()? {
                    if name == SOURCE {
                        named.times += 1;
                        named.source = map.next_value::<serde_json::Value>()?.as_str().map(str::to_owned);
                    } else {
                        map.next_value::<IgnoredAny>()?;
                    }
                }
                Ok(named)
            }
        }
        deserializer.deserialize_map(Members)
    }
}

/// A name that is copied only where it is written with escapes.
#[derive(serde::Deserialize)]
struct Name<'a>(#[serde(borrow)] Cow<'a, str>);

/// What stands before and after the naming member and one comma beside it. The text is a valid object that has the member.
fn around(text: &str) -> (&str, &str) {
    let bytes = text.as_bytes();
    let mut start = 1;
    loop {
        let name_start = skip_blank(bytes, start);
        let name_end = text_end(bytes, name_start);
        let end = value_end(bytes, skip_blank(bytes, name_end) + 1);
        let is_source = match text.get(name_start..name_end) {
            Some(name) if name.contains('\\') => serde_json::from_str::<String>(name).is_ok_and(|n| n == SOURCE),
            Some(name) => name.trim_matches('"') == SOURCE,
            // Cannot happen in an object that has the member; the whole text then stands as it is.
            None => return (text, ""),
        };
        match (is_source, bytes.get(end)) {
            (true, Some(b',')) => return (&text[..start], &text[end + 1..]),
            // The last member goes with the comma before it.
            (true, _) => return (text[..start].trim_end_matches(','), &text[end..]),
            (false, _) => start = end + 1,
        }
    }
}

fn skip_blank(bytes: &[u8], mut at: usize) -> usize {
    while bytes.get(at).is_some_and(u8::is_ascii_whitespace) {
        at += 1;
    }
    at
}

/// Where the text that begins with a quote at `at` ends.
fn text_end(bytes: &[u8], at: usize) -> usize {
    let mut at = at + 1;
    while let Some(&byte) = bytes.get(at) {
        match byte {
            b'"' => return at + 1,
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
    at
}

/// The comma or brace that ends the member whose value begins at or after `at`.
fn value_end(bytes: &[u8], mut at: usize) -> usize {
    let mut depth = 0_usize;
    while let Some(&byte) = bytes.get(at) {
        match byte {
            b'"' => {
                at = text_end(bytes, at);
                continue;
            }
            b'{' | b'[' => depth += 1,
            b'}' | b']' | b',' if depth == 0 => return at,
            b'}' | b']' => depth -= 1,
            _ => {}
        }
        at += 1;
    }
    at
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::Value;

    fn sources() -> Vec<String> {
        vec!["orders".to_owned(), "returns".to_owned()]
    }

    fn record(line: &str) -> Result<(usize, String), String> {
        split(line.as_bytes(), &sources())
            .map(|(at, bytes)| (at, String::from_utf8(bytes).unwrap()))
            .map_err(|(_, why)| why)
    }

    #[test]
    fn the_naming_member_goes_and_every_other_byte_stays() {
        for (line, left) in [
            (r#"{"source":"orders","a":1.10}"#, r#"{"a":1.10}"#),
            (r#"{"a":12345678901234567890.10,"source":"orders"}"#, r#"{"a":12345678901234567890.10}"#),
            (r#"{"a":"x,}","source":"orders","b":{"source":[1,2]}}"#, r#"{"a":"x,}","b":{"source":[1,2]}}"#),
            (r#"{"source":"orders"}"#, "{}"),
            (r#"{"\u0073ource":"orders","b":"\""}"#, r#"{"b":"\""}"#),
        ] {
            assert_eq!(record(line), Ok((0, format!("{left}\n"))), "{line}");
        }
        assert_eq!(record(" {\"source\" : \"returns\" , \"b\" : 2 }\r\n"), Ok((1, "{ \"b\" : 2 }\n".to_owned())));
    }

    #[test]
    fn a_line_that_cannot_be_placed_says_why_and_repeats_no_value() {
        for (line, why) in [
            ("[1]", "it is not a JSON object"),
            ("bob@example.com", "it is not a JSON object"),
            (r#"{"source":"orders","a":}"#, "it is not valid JSON at character 24"),
            (r#"{"source":"orders"} {}"#, "it is not valid JSON at character 21"),
            (r#"{"a":1}"#, "it has no member `source`"),
            (r#"{"source":1}"#, "its `source` is not a text"),
            (r#"{"source":"orders","source":"orders"}"#, "it has more than one member `source`"),
            (
                r#"{"source":"bob@example.com"}"#,
                "its `source` names no source of the pipeline; there are `orders`, `returns`",
            ),
        ] {
            assert_eq!(record(line), Err(why.to_owned()), "{line}");
        }
        assert_eq!(
            split(b"{\"source\":\"orders\",\"a\":\"\xff\"}", &sources()),
            Err((Reason::BadEncoding, "byte 25 is not UTF-8".to_owned()))
        );
    }

    fn json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![Just(Value::Null), any::<i64>().prop_map(Value::from), ".*".prop_map(Value::from)];
        leaf.prop_recursive(3, 16, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                prop::collection::btree_map(".{0,6}", inner, 0..4).prop_map(|m| m.into_iter().collect())
            ]
        })
    }

    proptest! {
        #[test]
        fn what_is_left_is_the_object_without_its_source(
            members in prop::collection::btree_map("[a-z{},\"\\\\:é]{0,5}", json(), 0..6),
            at in 0..7_usize,
        ) {
            let mut members: Vec<(String, Value)> = members.into_iter().filter(|(n, _)| n != SOURCE).collect();
            let left: Value = members.iter().cloned().collect();
            members.insert(at.min(members.len()), (SOURCE.to_owned(), Value::from("orders")));
            let whole: Value = members.into_iter().collect();
            let (source, text) = record(&whole.to_string()).unwrap();
            prop_assert_eq!(source, 0);
            prop_assert_eq!(text, format!("{left}\n"));
        }

        #[test]
        fn no_bytes_make_it_panic(line in prop::collection::vec(any::<u8>(), 0..60)) {
            let _ = split(&line, &sources());
            let _ = split(&[b"{\"source\":\"orders\",".as_slice(), &line].concat(), &sources());
        }
    }
}
