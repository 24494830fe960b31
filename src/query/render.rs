//! Answers as text: a table for people, CSV and NDJSON for programs.

use super::cell::{to_json, to_text};
use comfy_table::{CellAlignment, ContentArrangement, Table, TableComponent, presets};
use polars::prelude::{AnyValue, Column, DataFrame};
use serde_json::{Map, Value};
use std::io::{self, Write};

/// Rows a person is shown; the rest is counted in the last line.
const SHOWN_ROWS: usize = 200;

/// Characters of a text a person is shown.
const SHOWN_CHARS: usize = 60;

/// Aligned columns with a last line that says how many rows there are.
pub(super) fn table(frame: &DataFrame, sink: &mut dyn Write) -> io::Result<()> {
    let mut table = Table::new();
    // On a terminal, wide tables wrap inside their cells; elsewhere they are as wide as they are.
    table.load_preset(presets::UTF8_HORIZONTAL_ONLY).set_content_arrangement(ContentArrangement::Dynamic);
    for line in [
        TableComponent::HorizontalLines,
        TableComponent::MiddleIntersections,
        TableComponent::LeftBorderIntersections,
        TableComponent::RightBorderIntersections,
    ] {
        table.remove_style(line);
    }
    table.set_header(frame.get_column_names().iter().map(|n| n.as_str()));
    for (index, column) in frame.columns().iter().enumerate() {
        if let Some(shown) = table.column_mut(index).filter(|_| column.dtype().is_primitive_numeric()) {
            shown.set_cell_alignment(CellAlignment::Right);
        }
    }
    for row in 0..frame.height().min(SHOWN_ROWS) {
        table.add_row(frame.columns().iter().map(|column| shown(&value(column, row))));
    }
    writeln!(sink, "{table}")?;
    match frame.height() {
        1 => writeln!(sink, "1 row"),
        rows if rows <= SHOWN_ROWS => writeln!(sink, "{rows} rows"),
        rows => writeln!(sink, "{SHOWN_ROWS} of {rows} rows; `--format csv` or `json` writes all"),
    }
}

/// A cell for people: no line breaks, six decimals, and not too long.
fn shown(value: &AnyValue<'_>) -> String {
    let text = match value {
        AnyValue::Float64(v) => number(*v),
        AnyValue::Float32(v) => number(f64::from(*v)),
        other => to_text(other).unwrap_or_default().replace(['\n', '\r', '\t'], " "),
    };
    match text.char_indices().nth(SHOWN_CHARS) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

/// Six decimals without trailing zeros; very small and very large ones in powers of ten.
fn number(value: f64) -> String {
    if value != 0.0 && !(1e-4..1e15).contains(&value.abs()) {
        return format!("{value:.3e}");
    }
    let text = format!("{value:.6}");
    match text.contains('.') {
        true => text.trim_end_matches('0').trim_end_matches('.').to_owned(),
        false => text,
    }
}

/// CSV with a header.
pub(super) fn csv(frame: &DataFrame, sink: &mut dyn Write) -> io::Result<()> {
    let mut writer = csv::Writer::from_writer(sink);
    writer.write_record(frame.get_column_names().iter().map(|n| n.as_str()))?;
    for row in 0..frame.height() {
        writer.write_record(frame.columns().iter().map(|c| to_text(&value(c, row)).unwrap_or_default()))?;
    }
    writer.flush()
}

/// NDJSON: one object a line, its keys in the order of the columns.
pub(super) fn json(frame: &DataFrame, sink: &mut dyn Write) -> io::Result<()> {
    let mut sink = io::BufWriter::new(sink);
    for row in 0..frame.height() {
        let object: Map<String, Value> =
            frame.columns().iter().map(|c| (c.name().to_string(), to_json(&value(c, row)))).collect();
        serde_json::to_writer(&mut sink, &object)?;
        sink.write_all(b"\n")?;
    }
    sink.flush()
}

/// A row that is there always has a value.
fn value(column: &Column, row: usize) -> AnyValue<'_> {
    column.get(row).unwrap_or(AnyValue::Null)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_for_people_are_short_and_never_round_to_nothing() {
        let shown: Vec<String> = [0.0, 1.0, 0.25, 1234.5678901, 0.00001234, -3.0, 1e18, f64::NAN].map(number).to_vec();
        assert_eq!(shown, ["0", "1", "0.25", "1234.56789", "1.234e-5", "-3", "1.000e18", "NaN"]);
    }

    #[test]
    fn long_texts_are_cut_between_characters() {
        let text = "é".repeat(70);
        assert_eq!(shown(&AnyValue::String(&text)), format!("{}…", "é".repeat(60)));
        assert_eq!(shown(&AnyValue::String("a\nb")), "a b");
    }
}
