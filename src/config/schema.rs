//! The JSON schema of the pipeline file, and its findings in words.

use super::{RawPipeline, did_you_mean};
use crate::error::Problem;
use jsonschema::error::ValidationErrorKind as Kind;
use schemars::generate::SchemaSettings;
use serde_json::{Map, Value, json};

/// The JSON schema of a pipeline file (draft 2020-12), for editors and for validation.
pub fn json_schema() -> Value {
    let settings = SchemaSettings::draft2020_12().with(|s| s.inline_subschemas = true);
    let mut schema = settings.into_generator().into_root_schema_for::<RawPipeline>().to_value();
    if let Some(root) = schema.as_object_mut() {
        root.insert("title".to_owned(), json!("ordersight pipeline"));
    }
    schema
}

/// A TOML document as JSON; TOML's own dates become texts.
pub(super) fn to_json(value: toml::Value) -> Value {
    match value {
        toml::Value::String(s) => Value::String(s),
        toml::Value::Integer(i) => json!(i),
        toml::Value::Float(f) => json!(f),
        toml::Value::Boolean(b) => Value::Bool(b),
        toml::Value::Datetime(d) => Value::String(d.to_string()),
        toml::Value::Array(items) => Value::Array(items.into_iter().map(to_json).collect()),
        toml::Value::Table(table) => Value::Object(table.into_iter().map(|(k, v)| (k, to_json(v))).collect()),
    }
}

/// Reports everything that does not fit the schema and removes it from the document, so that the checks behind this one
/// can look at the rest and all problems come out in one go.
pub(super) fn validate(document: &mut Value, problems: &mut Vec<Problem>) {
    let schema = json_schema();
    let Ok(validator) = jsonschema::validator_for(&schema) else {
        problems.push(Problem::new("(schema)", "the built-in schema is broken; this is a defect of ordersight"));
        return;
    };
    let mut wrong = Vec::new();
    for error in validator.iter_errors(document) {
        let pointer = error.instance_path.as_str().to_owned();
        let node = schema_at(&schema, &pointer);
        let key = dotted(&pointer);
        match &error.kind {
            Kind::AdditionalProperties { unexpected } => {
                for name in unexpected {
                    let full = join(&key, name);
                    let allowed = property_names(node);
                    let mut problem =
                        Problem::new(full, format!("there is no such setting; allowed are {}", ticked(&allowed)));
                    problem.hint = did_you_mean(name, allowed.iter().map(String::as_str));
                    problems.push(problem);
                    wrong.push(format!("{pointer}/{}", name.replace('~', "~0").replace('/', "~1")));
                }
            }
            Kind::Required { property } => {
                let name = property.as_str().unwrap_or_default();
                problems.push(Problem::new(join(&key, name), "is required and missing"));
            }
            _ => {
                let mut problem = Problem::new(key, expectation(node, &error.instance));
                if let (Some(text), words) = (error.instance.as_str(), constants(node)) {
                    problem.hint = did_you_mean(text, words.iter().map(String::as_str));
                }
                problems.push(problem);
                wrong.push(pointer);
            }
        }
    }
    for pointer in wrong {
        remove(document, &pointer);
    }
    // With these in place the rest can be read and checked even if a whole section is missing.
    if let Some(root) = document.as_object_mut() {
        root.entry("name").or_insert_with(|| json!("unnamed"));
        root.entry("sources").or_insert_with(|| Value::Object(Map::new()));
        root.entry("tables").or_insert_with(|| Value::Object(Map::new()));
    }
    complete(document);
}

/// Takes out what lost a setting it cannot be without, so that one wrong word does not hide the problems of the rest.
fn complete(document: &mut Value) {
    let sources = document.get_mut("sources").and_then(Value::as_object_mut);
    for source in sources.into_iter().flat_map(Map::values_mut).filter_map(Value::as_object_mut) {
        source.entry("path").or_insert_with(|| json!(""));
        if let Some(columns) = source.get_mut("columns").and_then(Value::as_object_mut) {
            columns.retain(|_, column| column.get("type").is_some());
        }
    }
    if let Some(declared) = document.pointer_mut("/features/declare").and_then(Value::as_array_mut) {
        declared.retain(|feature| ["entity", "aggregates"].iter().all(|key| feature.get(key).is_some()));
    }
    if let Some(rules) = document.pointer_mut("/decision/rules").and_then(Value::as_array_mut) {
        rules.retain(|rule| ["name", "when", "effect", "reason"].iter().all(|key| rule.get(key).is_some()));
    }
}

/// The patterns of the schema in words.
const FORMS: &[(&str, &str)] = &[
    (r"^[0-9]{1,5}(h|d)$", "a span such as `30d` or `36h`"),
    (r"^[A-Z]{3}$", "a three-letter ISO 4217 code such as `EUR`"),
    (r"^[A-Za-z0-9_-]+$", "made of letters, digits, `_` and `-`"),
];

fn expectation(node: Option<&Value>, found: &Value) -> String {
    let found = match found {
        Value::Object(_) => "a section".to_owned(),
        Value::Array(_) => "a list".to_owned(),
        other => format!("`{}`", other.to_string().trim_matches('"')),
    };
    let words = constants(node);
    if !words.is_empty() {
        return format!("must be one of {}, found {found}", ticked(&words));
    }
    let get = |name: &str| node.and_then(|n| n.get(name));
    if let Some(pattern) = get("pattern").and_then(Value::as_str) {
        let form = FORMS
            .iter()
            .find(|(known, _)| *known == pattern)
            .map_or_else(|| format!("of the form `{pattern}`"), |(_, words)| (*words).to_owned());
        return format!("must be {form}, found {found}");
    }
    let kind = match get("type") {
        Some(Value::Array(kinds)) => kinds.first().and_then(Value::as_str).unwrap_or("value"),
        Some(Value::String(kind)) => kind,
        _ => {
            let mut kinds = Vec::new();
            kinds_of(node, &mut kinds);
            let articles: Vec<&str> = kinds.iter().map(|kind| article(kind)).collect();
            return match articles.split_last() {
                Some((last, rest)) if !rest.is_empty() => {
                    format!("must be {} or {last}, found {found}", rest.join(", "))
                }
                _ => format!("must be a value, found {found}"),
            };
        }
    };
    let article = article(kind);
    let bound = |name: &str| get(name).and_then(Value::as_f64);
    let bounds = match (bound("minimum"), bound("maximum")) {
        (Some(least), Some(most)) => format!(" from {least} to {most}"),
        (Some(least), None) => format!(" of at least {least}"),
        (None, Some(most)) => format!(" of at most {most}"),
        (None, None) => String::new(),
    };
    format!("must be {article}{bounds}, found {found}")
}

/// A type of the schema in words.
fn article(kind: &str) -> &str {
    match kind {
        "object" => "a section",
        "array" => "a list",
        "string" => "a text",
        "integer" => "a whole number",
        "number" => "a number",
        "boolean" => "true or false",
        other => other,
    }
}

/// The types a value may have, where the schema gives a choice of several.
fn kinds_of(node: Option<&Value>, kinds: &mut Vec<String>) {
    for option in node.and_then(|n| n.get("anyOf")).and_then(Value::as_array).into_iter().flatten() {
        match option.get("type").and_then(Value::as_str) {
            Some("null") => {}
            Some(kind) if !kinds.iter().any(|k| k == kind) => kinds.push(kind.to_owned()),
            Some(_) => {}
            None => kinds_of(Some(option), kinds),
        }
    }
}

/// The words a value may be, where the schema lists them.
fn constants(node: Option<&Value>) -> Vec<String> {
    let Some(node) = node else { return Vec::new() };
    if let Some(words) = node.get("enum").and_then(Value::as_array) {
        return words.iter().filter_map(Value::as_str).map(str::to_owned).collect();
    }
    ["oneOf", "anyOf"]
        .iter()
        .filter_map(|k| node.get(*k).and_then(Value::as_array))
        .flatten()
        .flat_map(|option| match option.get("const").and_then(Value::as_str) {
            Some(word) => vec![word.to_owned()],
            None => constants(Some(option)),
        })
        .collect()
}

fn property_names(node: Option<&Value>) -> Vec<String> {
    let mut names: Vec<String> = node
        .and_then(|n| n.get("properties"))
        .and_then(Value::as_object)
        .map(|p| p.keys().cloned().collect())
        .unwrap_or_default();
    names.sort();
    names
}

/// The part of the schema that describes the value at a JSON pointer.
fn schema_at<'a>(schema: &'a Value, pointer: &str) -> Option<&'a Value> {
    let mut node = schema;
    for part in pointer.split('/').skip(1) {
        let part = part.replace("~1", "/").replace("~0", "~");
        node = step(node, &part)?;
    }
    Some(node)
}

fn step<'a>(node: &'a Value, part: &str) -> Option<&'a Value> {
    if let Some(property) = node.get("properties").and_then(|p| p.get(part)) {
        return Some(property);
    }
    if let Some(more) = node.get("additionalProperties").filter(|a| a.is_object()) {
        return Some(more);
    }
    if let Some(items) = node.get("items") {
        return Some(items);
    }
    node.get("anyOf").and_then(Value::as_array)?.iter().find_map(|option| step(option, part))
}

fn remove(document: &mut Value, pointer: &str) {
    let Some((parent, last)) = pointer.rsplit_once('/') else { return };
    let last = last.replace("~1", "/").replace("~0", "~");
    match document.pointer_mut(parent) {
        Some(Value::Object(entries)) => {
            entries.shift_remove(&last);
        }
        // Taking one out would shift the others away from their pointers; the list as a whole falls back to its default.
        Some(Value::Array(_)) => remove(document, parent),
        _ => {}
    }
}

fn dotted(pointer: &str) -> String {
    let mut key = String::new();
    for part in pointer.split('/').skip(1) {
        // A place in a list, as the checks behind this one write it.
        if part.bytes().all(|b| b.is_ascii_digit()) {
            key.push_str(&format!("[{part}]"));
        } else {
            key = join(&key, &part.replace("~1", "/").replace("~0", "~"));
        }
    }
    key
}

fn join(key: &str, name: &str) -> String {
    if key.is_empty() { name.to_owned() } else { format!("{key}.{name}") }
}

fn ticked(names: &[String]) -> String {
    names.iter().map(|n| format!("`{n}`")).collect::<Vec<_>>().join(", ")
}
