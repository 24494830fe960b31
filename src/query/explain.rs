//! Why a query could not be answered, in terms of the tables and columns there are.

use super::tables;
use crate::error::{Error, Result};
use crate::publish::Snapshot;
use polars::error::PolarsError;
use std::path::Path;

/// Names differ by a typing error when at most this share of the longer one has to change.
const TYPING_ERROR_SHARE: f64 = 0.34;

/// An error for SQL that cannot be parsed.
pub(super) fn syntax(error: &PolarsError) -> Error {
    Error::usage(format!("the query cannot be read: {}", first_line(error)))
}

/// An error for SQL that cannot be answered. Trouble with files stays what it is; the rest is the query's.
pub(super) fn failure(out: &Path, snapshot: &Snapshot, names: &[&str], error: PolarsError) -> Error {
    if is_io(&error) {
        return Error::Frames { stage: "answering the query".to_owned(), source: error };
    }
    let said = first_line(&error);
    let tables: Vec<String> = snapshot.tables.keys().cloned().collect();
    let missing = names.iter().find(|n| !snapshot.tables.contains_key(**n) && quoted(&said).contains(n));
    if let Some(name) = missing {
        let hint = near(name, &tables).map(|n| format!("did you mean `{n}`?"));
        return Error::Usage { message: format!("there is no table `{name}`; there are: {}", tables.join(", ")), hint };
    }
    let columns = columns(out, snapshot, names).unwrap_or_default();
    let unknown = quoted(&said).into_iter().find(|n| !columns.iter().any(|c| c == n) && !n.contains(' '));
    let named_column = matches!(root(&error), PolarsError::ColumnNotFound(_) | PolarsError::SchemaFieldNotFound(_));
    match unknown.filter(|_| named_column || said.contains("column")) {
        Some(name) if !columns.is_empty() => Error::Usage {
            message: format!("there is no column `{name}`; there are: {}", columns.join(", ")),
            hint: near(name, &columns).map(|n| format!("did you mean `{n}`?")),
        },
        _ => Error::usage(format!("the query cannot be answered: {said}")),
    }
}

/// The columns of the tables the query names, each once.
fn columns(out: &Path, snapshot: &Snapshot, names: &[&str]) -> Result<Vec<String>> {
    let mut columns: Vec<String> = Vec::new();
    for name in names {
        let Some(table) = snapshot.tables.get(*name) else { continue };
        let schema = tables::scan(out, name, table)?.collect_schema().map_err(Error::frames("reading columns"))?;
        for column in schema.iter_names() {
            if !columns.iter().any(|c| c == column.as_str()) {
                columns.push(column.to_string());
            }
        }
    }
    Ok(columns)
}

fn root(error: &PolarsError) -> &PolarsError {
    match error {
        PolarsError::Context { error, .. } | PolarsError::ExprContext { error, .. } => root(error),
        other => other,
    }
}

fn is_io(error: &PolarsError) -> bool {
    matches!(root(error), PolarsError::IO { .. })
}

/// polars appends the query plan; the first line says what is wrong.
fn first_line(error: &PolarsError) -> String {
    root(error).to_string().lines().next().unwrap_or_default().trim().to_owned()
}

/// The words a message puts in quotes.
fn quoted(message: &str) -> Vec<&str> {
    let mut words = Vec::new();
    let mut rest = message;
    while let Some(start) = rest.find(['"', '\'', '`']) {
        let quote = &rest[start..=start];
        let Some(length) = rest[start + 1..].find(quote) else { break };
        words.push(&rest[start + 1..start + 1 + length]);
        rest = &rest[start + 2 + length..];
    }
    words
}

/// The known name that is nearest to `name`, if it is near enough for a typing error.
fn near<'a>(name: &str, known: &'a [String]) -> Option<&'a str> {
    let changes = |other: &str| strsim::damerau_levenshtein(name, other);
    let best = known.iter().min_by_key(|other| changes(other))?;
    let longer = name.chars().count().max(best.chars().count()) as f64;
    (changes(best) as f64 <= TYPING_ERROR_SHARE * longer).then_some(best.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quoted_words_are_found_whatever_the_quotes() {
        assert_eq!(quoted(r#"no "a b" and 'c' or `d` it's"#), ["a b", "c", "d"]);
    }

    #[test]
    fn a_typing_error_has_a_near_name_and_another_word_has_none() {
        let known = ["order_scores".to_owned(), "kpi".to_owned()];
        assert_eq!(near("order_score", &known), Some("order_scores"));
        assert_eq!(near("kip", &known), Some("kpi"));
        assert_eq!(near("weather", &known), None);
    }
}
