//! The page: sections in the order in which one asks at three in the morning, each a function from data to HTML.

mod accounts;
mod action;
mod felt;
mod kpis;
mod refused;
mod risk;
mod scorecard;
mod stuck;
mod watched;

use super::data::Data;
use super::words::{self, Currency, Foreign};

/// Renders the page. Equal data gives equal bytes.
pub(super) fn render(data: &Data) -> String {
    let currency = Currency::of(data.run.as_ref().and_then(|run| run.currency.as_ref()));
    let name =
        data.run.as_ref().and_then(|run| run.pipeline.clone()).unwrap_or_else(|| Foreign::from("Unnamed pipeline"));
    let mut page = format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"{POLICY}\">\n\
         <link rel=\"icon\" href=\"data:,\">\n<title>{name} · ordersight report</title>\n<style>\n{}</style>\n\
         </head>\n<body>\n",
        include_str!("../style.css")
    );
    page.push_str(&accounts::header(data, &name));
    page.push_str("<main>\n");
    page.push_str(&action::section(data, &currency));
    page.push_str(&stuck::section(data, &currency));
    page.push_str(&scorecard::section(data, &currency));
    page.push_str(&kpis::section(data, &currency));
    page.push_str(&felt::section(data));
    page.push_str(&risk::section(data, &currency));
    page.push_str(&watched::section(data));
    page.push_str(&refused::section(data));
    page.push_str(&accounts::section(data));
    page.push_str(&go_on(data));
    page.push_str("</main>\n</body>\n</html>\n");
    page
}

/// Nothing is loaded and nothing runs, whatever the data holds; the style sheet is inside.
const POLICY: &str =
    "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'";

/// A section with its heading; `lead` says in a sentence what it shows and may be empty.
fn section(id: &str, title: &str, lead: &str, body: &str) -> String {
    let lead = if lead.is_empty() { String::new() } else { format!("<p class=\"lead\">{lead}</p>\n") };
    format!("<section id=\"{id}\">\n<h2>{title}</h2>\n{lead}{body}</section>\n")
}

/// A sentence in place of what is not there.
fn absent(sentence: &str) -> String {
    format!("<p class=\"absent\">{sentence}</p>\n")
}

/// A table. A heading that begins with `#` is of numbers and stands on the right. Cells are HTML.
fn table(class: &str, headings: &[&str], rows: &[Vec<String>]) -> String {
    let number = |at: usize| headings.get(at).is_some_and(|h| h.starts_with('#'));
    let cell = |tag: &str, at: usize, text: &str| {
        let class = if number(at) { " class=\"n\"" } else { "" };
        format!("<{tag}{class}>{text}</{tag}>")
    };
    let head: String = headings.iter().enumerate().map(|(at, h)| cell("th", at, h.trim_start_matches('#'))).collect();
    let body: String = rows
        .iter()
        .map(|row| {
            let cells: String = row.iter().enumerate().map(|(at, text)| cell("td", at, text)).collect();
            format!("<tr>{cells}</tr>\n")
        })
        .collect();
    format!(
        "<div class=\"scroll\"><table class=\"{class}\"><thead><tr>{head}</tr></thead>\n\
         <tbody>\n{body}</tbody></table></div>\n"
    )
}

/// Text that may be missing.
fn or_dash(text: Option<&Foreign>) -> String {
    text.map_or_else(|| "–".to_owned(), Foreign::to_string)
}

/// The queries at the end of the page, each with what it answers.
pub(super) const QUERIES: [(&str, &str); 4] = [
    (
        "The days with most orders held",
        "SELECT placed_date, COUNT(*) AS held FROM order_scores WHERE action = 'hold' GROUP BY placed_date \
         ORDER BY held DESC, placed_date LIMIT 10",
    ),
    (
        "On-time delivery by month and segment",
        "SELECT segment, segment_value, period_start, value, denominator, mature FROM kpi WHERE grain = 'month' \
         AND kpi = 'on_time_delivery_rate' ORDER BY segment, segment_value, period_start",
    ),
    (
        "What is stuck, by kind and carrier",
        "SELECT kind, carrier, COUNT(*) AS open, SUM(value_at_risk) AS minor_units FROM exceptions \
         GROUP BY kind, carrier ORDER BY open DESC, kind, carrier",
    ),
    (
        "What was refused, and why",
        "SELECT source, reason, COUNT(*) AS refused FROM quarantine GROUP BY source, reason ORDER BY refused DESC",
    ),
];

fn go_on(data: &Data) -> String {
    let mut body = String::new();
    let mut line = |what: &str, command: &str| {
        body.push_str(&format!(
            "<dt>{what}</dt>\n<dd><code class=\"command\">{}</code></dd>\n",
            Foreign::from(command)
        ));
    };
    // An identifier with anything else in it could mean something to a shell.
    let plain = |id: &str| !id.is_empty() && id.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
    let order = data.queue.first().map(|q| q.order_id.raw()).filter(|id| plain(id)).unwrap_or("ORDER_ID");
    line("One order: its facts, scores, reasons and rules", &format!("ordersight explain {order} --out ."));
    for (what, sql) in QUERIES {
        line(what, &format!("ordersight query \"{sql}\" --out ."));
    }
    line(
        "The same files in DuckDB (or polars, pandas, Spark)",
        "duckdb -c \"SELECT kpi, period_start, value, numerator, denominator FROM read_parquet('kpi/*/*.parquet', \
         hive_partitioning = true) WHERE grain = 'month' AND segment = 'all' ORDER BY kpi, period_start\"",
    );
    let tables: Vec<String> = data
        .tables
        .iter()
        .map(|(name, rows)| format!("<code>{}</code> ({})", Foreign::from(name.as_str()), rows_of(*rows)))
        .collect();
    let lead = format!("Run these in the folder of this page. Published tables: {}.", tables.join(", "));
    section("go-on", "How to go on", &lead, &format!("<dl class=\"commands\">\n{body}</dl>\n"))
}

fn rows_of(rows: u64) -> String {
    words::counted(i64::try_from(rows).unwrap_or(i64::MAX), "row")
}
