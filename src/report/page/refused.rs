//! Quarantine: what was refused, why, one example each, and what to do.

use super::{absent, or_dash, section as wrap};
use crate::report::data::{Data, Example, REASONS_SHOWN, Refused};
use crate::report::words::{Foreign, count, counted};

/// Characters of a raw record on the page; the whole one is in the table.
const RECORD_CHARS: usize = 400;

/// Refused rows by source and reason.
pub(super) fn section(data: &Data) -> String {
    let title = "Quarantine";
    if data.refused.is_empty() {
        let sentence = match data.tables.contains_key("quarantine") {
            true => "No row was refused.",
            false => "This run published no <code>quarantine</code> table.",
        };
        return wrap("refused", title, "", &absent(sentence));
    }
    let groups: String = data.refused.iter().map(group).collect();
    let more = match data.refused_more {
        0 => String::new(),
        n => format!(
            "<p class=\"note\">The {REASONS_SHOWN} most frequent pairs of source and reason; \
             {} more in <code>quarantine</code>.</p>\n",
            count(i64::try_from(n).unwrap_or(i64::MAX))
        ),
    };
    let lead = "Rows that could not be used, by source and reason. Nothing of them is in the figures above. Personal \
                values are masked.";
    wrap("refused", title, lead, &format!("<div class=\"refused\">\n{groups}</div>\n{more}"))
}

fn group(group: &Refused) -> String {
    let reason = group.reason.as_ref().map(Foreign::spaced);
    let mut html = format!(
        "<article><h3><code>{}</code> {} <b>{}</b></h3>\n",
        or_dash(group.source.as_ref()),
        or_dash(reason.as_ref()),
        counted(group.rows, "row")
    );
    if let Some(example) = &group.example {
        html.push_str(&described(example));
    }
    html + "</article>\n"
}

fn described(example: &Example) -> String {
    let mut place = Vec::new();
    if let Some(file) = &example.file {
        place.push(format!("<code>{file}</code>"));
    }
    // Row 0 stands for a row without a single origin.
    if let Some(row) = example.row.filter(|row| *row > 0) {
        place.push(format!("row {row}"));
    }
    if let Some(column) = &example.column {
        place.push(format!("column <code>{column}</code>"));
    }
    if let Some(table) = &example.table {
        place.push(format!("for table <code>{table}</code>"));
    }
    let detail = example.detail.as_ref().map(|d| format!(": {}", d.prose())).unwrap_or_default();
    let mut html = format!("<p>For example {}{detail}</p>\n", place.join(", "));
    if let Some(hint) = &example.hint {
        html.push_str(&format!("<p class=\"hint\"><b>What to do:</b> {}</p>\n", hint.prose()));
    }
    if let Some(record) = &example.raw_record {
        html.push_str(&format!("<code class=\"record\">{}</code>\n", record.cut(RECORD_CHARS)));
    }
    html
}
