//! The members of a JSON object with their values as they stand in the text.
//!
//! A number must not pass through a float on its way to exact money, so the text of each value is kept.

use std::borrow::Cow;

/// Names and value texts of an object's members, in order; `None` if the value is not an object.
///
/// The text must be valid JSON; a name that occurs twice occurs twice.
pub(super) fn members(text: &str) -> Option<Vec<(Cow<'_, str>, &str)>> {
    let bytes = text.as_bytes();
    let mut at = skip_blank(bytes, 0);
    if bytes.get(at) != Some(&b'{') {
        return None;
    }
    at = skip_blank(bytes, at + 1);
    let mut found = Vec::new();
    while bytes.get(at) == Some(&b'"') {
        let name_end = value_end(bytes, at);
        let name = string(&text[at..name_end])?;
        // Past the blank, the colon and the blank.
        let start = skip_blank(bytes, skip_blank(bytes, name_end) + 1);
        let end = value_end(bytes, start);
        found.push((name, &text[start..end]));
        at = skip_blank(bytes, end);
        if bytes.get(at) == Some(&b',') {
            at = skip_blank(bytes, at + 1);
        }
    }
    Some(found)
}

/// A JSON string, not copied where it holds no escape; `None` if it is none.
pub(super) fn string(text: &str) -> Option<Cow<'_, str>> {
    let plain = serde_json::from_str::<&str>(text).ok().map(Cow::Borrowed);
    plain.or_else(|| serde_json::from_str::<String>(text).ok().map(Cow::Owned))
}

fn skip_blank(bytes: &[u8], mut at: usize) -> usize {
    while bytes.get(at).is_some_and(u8::is_ascii_whitespace) {
        at += 1;
    }
    at
}

/// Where the value that begins at `at` ends.
fn value_end(bytes: &[u8], mut at: usize) -> usize {
    let mut depth = 0_usize;
    while let Some(&byte) = bytes.get(at) {
        match byte {
            b'"' => {
                at += 1;
                while bytes.get(at).is_some_and(|&b| b != b'"') {
                    at += if bytes[at] == b'\\' { 2 } else { 1 };
                }
                at += 1;
                if depth == 0 {
                    return at;
                }
                continue;
            }
            b'{' | b'[' => depth += 1,
            b'}' | b']' if depth == 0 => return at,
            b'}' | b']' => {
                depth -= 1;
                if depth == 0 {
                    return at + 1;
                }
            }
            b',' if depth == 0 => return at,
            b if depth == 0 && b.is_ascii_whitespace() => return at,
            _ => {}
        }
        at += 1;
    }
    at
}

#[cfg(test)]
mod tests {
    use super::members;
    use proptest::prelude::*;
    use serde_json::Value;

    #[test]
    fn numbers_keep_every_digit() {
        let found = members(r#" {"a" : 12345678901234567.10 , "b\"":"x,}\"", "c":[1,{"d":"]"}],"e":null } "#).unwrap();
        let shown: Vec<_> = found.iter().map(|(n, v)| (n.as_ref(), *v)).collect();
        assert_eq!(
            shown,
            [("a", "12345678901234567.10"), ("b\"", r#""x,}\"""#), ("c", r#"[1,{"d":"]"}]"#), ("e", "null")]
        );
        assert!(members("{}").unwrap().is_empty() && members("[1]").is_none() && members("\"{\"").is_none());
    }

    fn json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            ".*".prop_map(Value::from)
        ];
        leaf.prop_recursive(3, 24, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                prop::collection::btree_map(".{0,6}", inner, 0..4).prop_map(|m| m.into_iter().collect())
            ]
        })
    }

    proptest! {
        #[test]
        fn members_agree_with_serde_json(values in prop::collection::btree_map(".{0,8}", json(), 0..6), pretty: bool) {
            let object: Value = values.clone().into_iter().collect();
            let text = if pretty { serde_json::to_string_pretty(&object) } else { serde_json::to_string(&object) }.unwrap();
            let read: std::collections::BTreeMap<String, Value> =
                members(&text).unwrap().into_iter().map(|(n, v)| (n.into_owned(), serde_json::from_str(v).unwrap())).collect();
            prop_assert_eq!(read, values);
        }
    }
}
