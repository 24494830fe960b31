//! `${VAR}`, `${VAR:-default}` and `--set key=value`.

use crate::error::Problem;
use serde_json::Value;

/// Expands variables in every text of the document; a variable that is not set and has no default is a problem.
pub(super) fn expand(
    value: &mut Value,
    key: &str,
    lookup: &dyn Fn(&str) -> Option<String>,
    problems: &mut Vec<Problem>,
) {
    match value {
        Value::String(text) if text.contains("${") => match expand_text(text, lookup) {
            Ok(expanded) => *text = expanded,
            Err(message) => problems.push(Problem::new(key, message)),
        },
        Value::Array(items) => {
            for (index, item) in items.iter_mut().enumerate() {
                expand(item, &format!("{key}[{index}]"), lookup, problems);
            }
        }
        Value::Object(entries) => {
            for (name, entry) in entries.iter_mut() {
                let inner = if key.is_empty() { name.clone() } else { format!("{key}.{name}") };
                expand(entry, &inner, lookup, problems);
            }
        }
        _ => {}
    }
}

fn expand_text(text: &str, lookup: &dyn Fn(&str) -> Option<String>) -> Result<String, String> {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find("${") {
        out.push_str(&rest[..start]);
        let after = &rest[start + 2..];
        let end = after.find('}').ok_or_else(|| format!("`{text}` opens a variable with `${{` and never closes it"))?;
        let (name, default) = match after[..end].split_once(":-") {
            Some((name, default)) => (name, Some(default)),
            None => (&after[..end], None),
        };
        match (lookup(name).filter(|v| !v.is_empty()), default) {
            (Some(value), _) => out.push_str(&value),
            (None, Some(default)) => out.push_str(default),
            (None, None) => {
                return Err(format!("the variable `{name}` is not set; `${{{name}:-default}}` gives a default"));
            }
        }
        rest = &after[end + 1..];
    }
    out.push_str(rest);
    Ok(out)
}

/// Overrides one setting: `decision.review_cost=5` or `time.as_of=2024-01-01T00:00:00Z`.
pub(super) fn apply_set(document: &mut toml::Table, set: &str) -> Result<(), Problem> {
    let Some((key, text)) = set.split_once('=') else {
        return Err(Problem::new("--set", format!("`{set}` is not of the form key=value")));
    };
    // Whatever reads as a TOML value is one; anything else is a text, so that quotes are not needed in a shell.
    let value = match format!("v = {text}").parse::<toml::Table>() {
        Ok(mut table) => table.remove("v").unwrap_or_else(|| toml::Value::String(text.to_owned())),
        Err(_) => toml::Value::String(text.to_owned()),
    };
    let mut parts: Vec<&str> = key.trim().split('.').collect();
    let Some(last) = parts.pop().filter(|p| !p.is_empty()) else {
        return Err(Problem::new("--set", format!("`{set}` names no key")));
    };
    let mut table = document;
    for part in parts {
        let entry = table.entry(part).or_insert_with(|| toml::Value::Table(toml::Table::new()));
        table = match entry {
            toml::Value::Table(inner) => inner,
            _ => return Err(Problem::new("--set", format!("`{part}` in `{key}` is a value, not a section"))),
        };
    }
    table.insert(last.to_owned(), value);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_take_their_value_or_default_or_are_reported() {
        let lookup = |name: &str| (name == "HOME_DIR").then(|| "/data".to_owned());
        assert_eq!(expand_text("${HOME_DIR}/a/${X:-b}", &lookup), Ok("/data/a/b".to_owned()));
        assert!(expand_text("${X}/a", &lookup).unwrap_err().contains("`X` is not set"));
        assert!(expand_text("${X", &lookup).unwrap_err().contains("never closes"));
    }

    #[test]
    fn a_set_overrides_one_value_and_keeps_the_rest() {
        let mut document: toml::Table = "[decision]\nreview_cost = 4.0\nmargin_share = 0.1".parse().unwrap();
        apply_set(&mut document, "decision.review_cost=7").unwrap();
        apply_set(&mut document, "time.zone=Europe/Berlin").unwrap();
        let expected: toml::Table =
            "[decision]\nreview_cost = 7\nmargin_share = 0.1\n[time]\nzone = 'Europe/Berlin'".parse().unwrap();
        assert_eq!(document, expected);
        assert!(apply_set(&mut document, "nonsense").is_err());
    }
}
