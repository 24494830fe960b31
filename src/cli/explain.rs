//! `ordersight explain`: everything a run says of one order, or of one figure.

use super::args::{ExplainArgs, FormatArg};
use super::summary::count;
use super::{DONE, to_stderr, to_stdout};
use crate::error::{Error, Result};
use crate::pipeline::{Asked, behind};
use crate::query::answer;
use polars::prelude::*;
use std::fmt::Write;
use std::path::Path;

pub(super) fn run(args: &ExplainArgs) -> Result<u8> {
    match (args.order_id.as_str(), &args.kpi) {
        ("kpi", Some(kpi)) => return figure(args, kpi),
        (_, None) => {}
        (other, Some(_)) => {
            return Err(Error::Usage {
                message: format!("`{other}` stands before a second word, and only `kpi` may"),
                hint: Some("ordersight explain ORDER_ID, or ordersight explain kpi late_shipment_rate".to_owned()),
            });
        }
    }
    let quoted = args.order_id.replace('\'', "''");
    let find = |table: &str| answer(&args.out, &format!("SELECT * FROM {table} WHERE order_id = '{quoted}'"));
    let scores = find("order_scores")?;
    if scores.height() == 0 {
        return Err(not_scored(&args.out, &args.order_id, &find("quarantine")?));
    }
    let mut text = String::new();
    for column in scores.columns() {
        let name = column.name().as_str();
        let value = column.get(0).map_err(Error::frames("explain"))?;
        if name.ends_with("_reasons") {
            let _ = writeln!(text, "{name}");
            for reason in reasons(column)? {
                let _ = writeln!(text, "  {reason}");
            }
        } else if !value.is_null() {
            let _ = writeln!(text, "{name:<22} {}", plain(&value));
        }
    }
    // An output of an earlier version has no such table.
    if let Ok(stuck) = find("exceptions") {
        text.push_str(&open_exceptions(&stuck)?);
    }
    let _ = writeln!(text, "\nfeatures, as the models saw them");
    let features = find("order_features")?;
    for column in features.columns() {
        let name = column.name().as_str();
        if ["order_id", "line", "customer_id", "placed_at", "placed_date"].contains(&name) {
            continue;
        }
        let value = column.get(0).map_err(Error::frames("explain"))?;
        let shown = if value.is_null() { "–".to_owned() } else { plain(&value) };
        let _ = writeln!(text, "  {name:<38} {shown:>16}  {}", crate::features::note(name, &[]).label);
    }
    to_stdout(&text)?;
    Ok(DONE)
}

/// Rows a person is shown of each part of a figure.
const SHOWN: usize = 20;

/// A figure: its definition, its counts and the rows behind them.
fn figure(args: &ExplainArgs, kpi: &str) -> Result<u8> {
    let asked = Asked { kpi: kpi.to_owned(), period: args.period.clone(), segment: args.segment.clone() };
    let found = behind(&args.out, &asked)?;
    let mut text = format!("{}: {}\n", found.kpi, found.meaning);
    for (what, words) in found.definition.iter().chain(&found.figure) {
        let _ = writeln!(text, "  {what:<12} {words}");
    }
    let of = |part: &str| -> Result<DataFrame> {
        let rows = found.rows.clone().lazy().filter(col("counted_in").eq(lit(part.to_owned())));
        rows.collect().map_err(Error::frames("explain"))
    };
    let (above, rest) = (of("numerator")?, of("denominator")?);
    if args.format != FormatArg::Table {
        let most = args.limit.unwrap_or(usize::MAX);
        let rows = above.head(Some(most)).vstack(&rest.head(Some(most))).map_err(Error::frames("explain"))?;
        to_stderr(&text);
        crate::query::write(rows, args.format.into(), &mut std::io::stdout().lock())?;
        return Ok(DONE);
    }
    let most = args.limit.unwrap_or(SHOWN);
    to_stdout(&text)?;
    for (title, rows) in found.titles.into_iter().zip([above, rest]) {
        if title.is_empty() {
            continue;
        }
        if rows.height() == 0 {
            to_stdout(&format!("\nno rows {title}\n"))?;
            continue;
        }
        let cut = match rows.height() > most {
            true => format!(", the first {most} of them (--limit shows more, --format csv all)"),
            false => String::new(),
        };
        to_stdout(&format!("\n{} rows {title}{cut}\n", count(rows.height() as u64)))?;
        if most > 0 {
            let rows = rows.drop("counted_in").map_err(Error::frames("explain"))?.head(Some(most));
            crate::query::write(rows, args.format.into(), &mut std::io::stdout().lock())?;
        }
    }
    Ok(DONE)
}

/// What is stuck with the order, in the order of work.
fn open_exceptions(stuck: &DataFrame) -> Result<String> {
    let stuck = stuck.sort(["rank"], SortMultipleOptions::default()).map_err(Error::frames("explain"))?;
    let texts = |name: &str| stuck.column(name).and_then(|c| c.str().cloned()).map_err(Error::frames("explain"));
    let (kinds, severities) = (texts("kind")?, texts("severity")?);
    let (details, actions) = (texts("detail")?, texts("suggested_action")?);
    let mut text = String::new();
    for ((kind, severity), (detail, action)) in
        kinds.iter().zip(severities.iter()).zip(details.iter().zip(actions.iter()))
    {
        let or_dash = |text: Option<&str>| text.unwrap_or("–").to_owned();
        let _ = writeln!(text, "  {} ({}): {}", or_dash(kind), or_dash(severity), or_dash(detail));
        let _ = writeln!(text, "    → {}", or_dash(action));
    }
    Ok(if text.is_empty() { text } else { format!("\nopen exceptions\n{text}") })
}

fn plain(value: &AnyValue<'_>) -> String {
    value.str_value().into_owned()
}

/// The words of a list of reasons.
fn reasons(column: &Column) -> Result<Vec<String>> {
    let list = column.list().map_err(Error::frames("explain"))?;
    let Some(inner) = list.get_as_series(0) else { return Ok(Vec::new()) };
    let texts = inner.struct_().and_then(|s| s.field_by_name("text")).map_err(Error::frames("explain"))?;
    Ok(texts.str().map_err(Error::frames("explain"))?.iter().flatten().map(str::to_owned).collect())
}

fn not_scored(out: &Path, order_id: &str, quarantined: &DataFrame) -> Error {
    let why = quarantined.column("reason").ok().and_then(|c| c.str().ok()?.iter().next().flatten().map(str::to_owned));
    Error::Usage {
        message: match &why {
            Some(reason) => format!("order `{order_id}` was quarantined: {reason}"),
            None => format!("there is no order `{order_id}` in `{}`", out.display()),
        },
        hint: why.map(|_| {
            format!(
                "ordersight query \"SELECT * FROM quarantine WHERE order_id = '{order_id}'\" --out {}",
                out.display()
            )
        }),
    }
}
