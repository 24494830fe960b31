//! Who waits longest, for what, and what it costs: returns, exchanges, disputes, claims and chargebacks that are open at
//! the run's clock, by process, stage and segment.

use super::Terms;
use super::facts::{Availability, Facts, History};
use super::measure::Subject;
use super::segment::segment_value;
use crate::error::{Error, Result};
use crate::types::time::{HOUR, SECOND};
use polars::prelude::*;
use std::collections::BTreeMap;

type Tables = BTreeMap<&'static str, DataFrame>;

/// A stage in which a case can wait.
struct Stage {
    /// The process: kind of return or ticket.
    process: &'static str,
    /// What the case waits for.
    stage: &'static str,
    /// Who has to act.
    waits_for: &'static str,
    /// What it takes to know.
    needs: &'static [&'static str],
    /// Whose rows.
    subject: Subject,
    /// Since when a row waits here; null where it does not.
    since: Expr,
}

/// Every stage of every process.
fn stages() -> Vec<Stage> {
    let mut all = Vec::new();
    let null = || lit(NULL).cast(DataType::Datetime(TimeUnit::Microseconds, Some(TimeZone::UTC)));
    let open = || col("finished").not();
    for (process, is) in [("return", col("exchange").not()), ("exchange", col("exchange"))] {
        let mut add = |stage, waits_for, needs, begun: &str, waits: Expr| {
            let waits = is.clone().and(open()).and(waits);
            let since = when(waits).then(col(begun)).otherwise(null());
            all.push(Stage { process, stage, waits_for, needs, subject: Subject::Returns, since });
        };
        let answered = || col("answered_at").is_not_null();
        let back = || col("received_at").is_not_null();
        // What has come back needs no answer any more, whether or not one was written down.
        add(
            "answer",
            "shop",
            &["returns.approved_at|returns.rejected_at"],
            "requested_at",
            answered().or(back()).not(),
        );
        add(
            "parcel",
            "customer",
            &["returns.approved_at", "returns.received_at"],
            "approved_at",
            answered().and(back().not()),
        );
        if process == "return" {
            add("refund", "shop", &["returns.received_at", "returns.refunded_at"], "received_at", back());
        } else {
            let sent = || col("replacement_shipped_at").is_not_null();
            let needs = &["returns.received_at", "returns.replacement_shipped_at"];
            add("replacement", "shop", needs, "received_at", back().and(sent().not()));
            let needs = &["returns.replacement_shipped_at", "returns.replacement_received_at"];
            add("delivery", "carrier", needs, "replacement_shipped_at", sent());
        }
    }
    for (process, decides, needs) in [
        ("dispute", "platform", &["tickets.kind=dispute", "tickets.last_solved_at|tickets.solved_at"]),
        ("claim", "platform", &["tickets.kind=claim", "tickets.last_solved_at|tickets.solved_at"]),
        ("chargeback", "bank", &["tickets.kind=chargeback", "tickets.last_solved_at|tickets.solved_at"]),
    ] {
        let solved = col("last_solved_at").is_not_null().or(col("solved_at").is_not_null());
        let waits = col("kind").eq(lit(process)).and(solved.not());
        let since = when(waits).then(col("opened_at")).otherwise(null());
        let stage = "decision";
        all.push(Stage { process, stage, waits_for: decides, needs, subject: Subject::Tickets, since });
    }
    all
}

/// What was found.
#[derive(Debug)]
pub struct Waiting {
    /// One row per process, stage, segment and value with open cases, sorted so: `open_cases`, `oldest_since`,
    /// `oldest_age_hours`, `p50_age_hours`, `p90_age_hours`, `amount_waiting` (minor units of the base currency; null
    /// where no case says an amount), `cases_without_amount`, and `oldest_id` with its `oldest_order_id`, the case that
    /// waits longest. Where a process has no open case there is no row.
    ///
    /// `None` where the input has neither returns nor tickets.
    pub frame: Option<DataFrame>,
    /// Stages that the input cannot feed, as `open_cases.process.stage`, with what is missing.
    pub not_computable: Vec<(String, Vec<String>)>,
}

/// Tables without what is over: returns and tickets that may wait, and the orders they are of.
fn unfinished(tables: &Tables) -> Result<Tables> {
    let stage = || Error::frames("open cases");
    let open = |frame: &DataFrame, ends: &[&str]| {
        let there = ends.iter().filter(|c| frame.get_column_index(c).is_some());
        let open = there.fold(lit(true), |all, end| all.and(col(*end).is_null()));
        frame.clone().lazy().filter(open).collect().map_err(stage())
    };
    let mut left = Tables::new();
    for (name, ends) in
        [("returns", &["rejected_at", "closed_at"][..]), ("tickets", &["solved_at", "last_solved_at"][..])]
    {
        if let Some(frame) = tables.get(name) {
            left.insert(name, open(frame, ends)?);
        }
    }
    let mut orders = tables.get("orders").cloned().unwrap_or_default();
    let ids = left.values().filter(|f| f.get_column_index("order_id").is_some());
    let ids: Vec<LazyFrame> = ids.map(|f| f.clone().lazy().select([col("order_id")])).collect();
    if !ids.is_empty() {
        let ids = concat(ids, UnionArgs::default()).map_err(stage())?;
        let on = [col("order_id")];
        orders = orders.lazy().join(ids, on.clone(), on, JoinArgs::new(JoinType::Semi)).collect().map_err(stage())?;
    }
    left.insert("orders", orders);
    // A few rows in pieces of different lengths are more than polars can put together again.
    left.values_mut().for_each(|frame| {
        frame.rechunk_mut();
    });
    Ok(left)
}

/// Counts the open cases of all processes in tables as they are known at the run's clock.
///
/// # Errors
/// [`Error::Frames`] only for defects.
pub fn waiting(tables: &Tables, terms: &Terms, segments: &[String]) -> Result<Waiting> {
    let concerned = tables.iter().filter(|(name, _)| ["orders", "returns", "tickets"].contains(*name));
    let available = Availability::of(&concerned.map(|(name, frame)| (*name, frame.clone())).collect());
    let left = unfinished(tables)?;
    let history = History::of(left.get("orders").unwrap_or(&DataFrame::empty()))?;
    let facts = Facts::of_part(&left, &available, &history, terms, segments)?;
    let stage_of = || Error::frames("open cases");
    let mut not_computable = Vec::new();
    let mut rows = Vec::new();
    for segment in std::iter::once("all").chain(segments.iter().map(String::as_str)) {
        for stage in stages() {
            let mut missing = facts.available.missing(stage.needs);
            if stage.process == "exchange" {
                missing.extend(facts.available.missing(&["returns.kind=exchange"]));
            }
            if !missing.is_empty() {
                if segment == "all" {
                    not_computable.push((format!("open_cases.{}.{}", stage.process, stage.stage), missing));
                }
                continue;
            }
            let Some(frame) = facts.frame(stage.subject) else { continue };
            let Some(value) = segment_value(segment, stage.subject, &facts.available) else { continue };
            let (id, amount) = match stage.subject {
                Subject::Tickets => ("ticket_id", "ticket_amount"),
                _ => ("return_id", "return_amount"),
            };
            rows.push(frame.clone().lazy().select([
                lit(segment).alias("segment"),
                value.alias("segment_value"),
                lit(stage.process).alias("process"),
                lit(stage.stage).alias("stage"),
                lit(stage.waits_for).alias("waits_for"),
                stage.since.alias("since"),
                col(id).alias("id"),
                col("order_id"),
                col(amount).alias("amount"),
            ]));
        }
    }
    let frame = if rows.is_empty() {
        None
    } else {
        let age = (lit(terms.as_of) - col("since").to_physical()) / lit(SECOND);
        let hours = |e: Expr| e.cast(DataType::Float64) / lit((HOUR / SECOND) as f64);
        let quantile = |q: f64| hours(col("age")).quantile(lit(q), QuantileMethod::Linear);
        concat(rows, UnionArgs::default())
            .map_err(stage_of())?
            .filter(col("since").is_not_null())
            .with_column(age.alias("age"))
            // The oldest first, so that the first of a group is the one that waits longest.
            .sort(["segment", "segment_value", "process", "stage", "since", "id"], SortMultipleOptions::default())
            .group_by_stable([col("segment"), col("segment_value"), col("process"), col("stage"), col("waits_for")])
            .agg([
                len().cast(DataType::Int64).alias("open_cases"),
                col("since").first().alias("oldest_since"),
                hours(col("age").first()).alias("oldest_age_hours"),
                quantile(0.5).alias("p50_age_hours"),
                quantile(0.9).alias("p90_age_hours"),
                when(col("amount").count().gt(lit(0)))
                    .then(col("amount").sum())
                    .otherwise(lit(NULL))
                    .alias("amount_waiting"),
                col("amount").null_count().cast(DataType::Int64).alias("cases_without_amount"),
                col("id").first().alias("oldest_id"),
                col("order_id").first().alias("oldest_order_id"),
            ])
            .collect()
            .map(Some)
            .map_err(stage_of())?
    };
    Ok(Waiting { frame, not_computable })
}
