//! `ordersight explain`: everything a run says of one order.

use super::args::ExplainArgs;
use super::{DONE, to_stdout};
use crate::error::{Error, Result};
use crate::query::answer;
use polars::prelude::*;
use std::fmt::Write;
use std::path::Path;

pub(super) fn run(args: &ExplainArgs) -> Result<u8> {
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
