//! From a published figure back to the orders behind it: `ordersight explain kpi`.
//!
//! A run leaves beside its output, in the state folder, what it was made of: its settings, its clock and the names of the
//! typed copies in the cache. Copies are named after what they were read from, so the rows found again are those of the
//! run even when the sources have changed or are gone. The counts found must be those published; if not, nothing is shown.

mod made_of;
mod published;

pub(super) use made_of::{keep, keep_only};

use super::inputs::COMPUTED_ON;
use super::records;
use crate::config::{Pipeline, did_you_mean};
use crate::contract::output::CACHE_DIR;
use crate::error::{Error, Result};
use crate::ingest::accepted_again;
use crate::kpi::follow::{Cut, Followed, SegmentValue, follow, formula};
use crate::kpi::{Facts, Measure, Shape, Subject, Terms, catalogue};
use crate::publish::read;
use crate::satisfaction;
use crate::types::time::{date_of, parse_span};
use chrono::NaiveDate;
use made_of::made_of;
use polars::prelude::*;
use published::{Published, days_of, find, read_segment, values_of};
use std::path::Path;

/// Which figure is asked for.
#[derive(Debug, Clone, Default)]
pub struct Asked {
    /// The KPI by its published id.
    pub kpi: String,
    /// `2018-05`, `2018-05-03`, `2018-W18`, `trailing_30d` or `all`; none: the latest mature month.
    pub period: Option<String>,
    /// `carrier=DHL`; none: the whole.
    pub segment: Option<String>,
}

/// A figure and everything behind it.
#[derive(Debug)]
pub struct Behind {
    /// The KPI by its published id.
    pub kpi: String,
    /// Its definition in words.
    pub meaning: String,
    /// Lines of its definition: what, and in which words.
    pub definition: Vec<(String, String)>,
    /// Lines about the figure: period, segment, value, counts, target.
    pub figure: Vec<(String, String)>,
    /// The rows behind it, those above the line first.
    pub rows: DataFrame,
    /// What the rows marked `numerator` and `denominator` are; empty where a figure has but one kind.
    pub titles: [&'static str; 2],
}

/// Finds the rows behind a published figure again.
///
/// # Errors
/// [`Error::Usage`] when the figure was not published or what it was made of is no longer there; [`Error::Invariant`] when
/// the rows found do not add up to what was published.
pub fn behind(out: &Path, asked: &Asked) -> Result<Behind> {
    // All of it of one state, even while a run publishes.
    let found = read(out, &["kpi", "satisfaction"], |snapshot| found(out, &snapshot.run_id, asked))?;
    found.ok_or_else(|| Error::Usage {
        message: format!("nothing was published in `{}`", out.display()),
        hint: Some("run `ordersight run PIPELINE --out DIR` first, or name the folder of an earlier run".to_owned()),
    })
}

fn found(out: &Path, run_id: &str, asked: &Asked) -> Result<Behind> {
    let made_of = made_of(out, run_id)?;
    let pipeline = Pipeline::again(made_of.settings, &made_of.file, &made_of.base_dir)?;
    let return_window = parse_span(&pipeline.raw.kpi.return_window).unwrap_or_default();
    let terms = Terms { as_of: made_of.as_of, zone: pipeline.zone, return_window };
    let segments = &pipeline.raw.kpi.segments;
    let mut measures = catalogue::catalogue(&terms);
    measures.extend(catalogue::by_part(&terms, segments));
    measures.extend(satisfaction::catalogue());
    let of_kpi: Vec<&Measure> = measures.iter().filter(|m| m.publishes(&asked.kpi)).collect();
    if of_kpi.is_empty() {
        return Err(no_such_kpi(&asked.kpi, &measures));
    }
    let (segment, value) = read_segment(asked.segment.as_deref(), segments)?;
    let row = find(out, asked, &segment, &value, &of_kpi)?;
    let grain = row.text("grain").unwrap_or_default();
    let start = row.text("period_start").and_then(|d| d.parse::<NaiveDate>().ok());
    let days = start.and_then(|first| days_of(&grain, first));
    let small = pipeline.raw.kpi.min_segment_orders >= 2 && value == "other";
    let cut = Cut {
        days,
        zone: pipeline.zone,
        value: if small { SegmentValue::NoneOf(values_of(out, row.table, &segment)?) } else { SegmentValue::Is(value) },
        segment,
    };
    let mut tables = accepted_again(&pipeline, &made_of.sources, &out.join(CACHE_DIR), made_of.as_of, &|table| {
        COMPUTED_ON.contains(&table)
    })?;
    super::as_of::known_at(&mut tables, made_of.as_of)?;
    let facts = Facts::new(&*super::working_time::added(&pipeline, &tables, made_of.as_of)?, &terms, segments)?;
    for measure in &of_kpi {
        if !facts.available.missing(measure.needs).is_empty() {
            continue;
        }
        if let Some(mut followed) = follow(&facts, measure, &asked.kpi, &cut)? {
            counts_agree(&row, &followed, &asked.kpi, &made_of.version)?;
            // A return, ticket or feedback is a record itself.
            if matches!(measure.subject, Subject::Orders | Subject::OpenOrders | Subject::Skus | Subject::Categories) {
                followed.rows = records::beside(followed.rows, &tables, measure)?;
            }
            return Ok(tell(asked, measure, &row, followed, &cut, run_id));
        }
    }
    Err(Error::Invariant(format!("`{}` was published, and no rows can be found behind it", asked.kpi)))
}

fn no_such_kpi(kpi: &str, measures: &[Measure]) -> Error {
    let mut names: Vec<String> = measures.iter().flat_map(Measure::published).collect();
    names.sort();
    names.dedup();
    Error::Usage {
        message: format!("there is no KPI `{kpi}` that is counted from rows; there are: {}", names.join(", ")),
        hint: did_you_mean(kpi, names.iter().map(String::as_str)),
    }
}

fn counts_agree(row: &Published, followed: &Followed, kpi: &str, version: &str) -> Result<()> {
    let published = (row.int("numerator"), row.int("denominator"));
    let above = published.0.is_none() || followed.numerator.is_none() || published.0 == followed.numerator;
    let below = published.1.is_none_or(|below| below == followed.denominator);
    if above && below {
        return Ok(());
    }
    let own = env!("CARGO_PKG_VERSION");
    if version != own {
        return Err(Error::Usage {
            message: format!("`{kpi}` was published by version {version}, which counts otherwise than this one, {own}"),
            hint: Some("run the pipeline again with this version".to_owned()),
        });
    }
    let found = (followed.numerator, followed.denominator);
    Err(Error::Invariant(format!("`{kpi}` was published with the counts {published:?}, and the rows give {found:?}")))
}

fn tell(asked: &Asked, measure: &Measure, row: &Published, followed: Followed, cut: &Cut, run_id: &str) -> Behind {
    let line = |what: &str, words: String| (what.to_owned(), words);
    let mut definition = vec![line("counted by", format!("{}, in days of {}", measure.basis, cut.zone.name()))];
    definition.push(line(
        "matures",
        match measure.matures_after_days {
            ..0 => "at once: it is the count at the run's clock".to_owned(),
            0 => "with the end of the period".to_owned(),
            days => format!("{days} days after the end of the period: until then late events still move it"),
        },
    ));
    definition.push(line("needs", measure.needs.iter().map(|n| n.replace('|', " or ")).collect::<Vec<_>>().join(", ")));
    definition.extend(formula(measure, &asked.kpi).into_iter().map(|(what, words)| line(what, words)));
    let period = match cut.days.and_then(|(first, last)| Some((date_of(first)?, date_of(last)?))) {
        Some((first, last)) => format!("{}, {first} to {last}", row.text("grain").unwrap_or_default()),
        None => "all days".to_owned(),
    };
    let mature = row.text("mature").is_some_and(|m| m == "true");
    let mut figure =
        vec![line("period", format!("{period}, {}", if mature { "mature" } else { "not mature: still moving" }))];
    figure.push(line(
        "segment",
        match &cut.value {
            SegmentValue::Is(value) if cut.segment == "all" => format!("{value} (the whole)"),
            SegmentValue::Is(value) => format!("{} = {value}", cut.segment),
            SegmentValue::NoneOf(kept) => {
                format!("{} = other: all but {} values counted by themselves", cut.segment, kept.len())
            }
        },
    ));
    let unit = row.text("unit").unwrap_or_default();
    let short = |v: f64| format!("{v:.6}").trim_end_matches('0').trim_end_matches('.').to_owned();
    let value = row.float("value").map(|v| format!("{} ({unit})", short(v))).unwrap_or_default();
    let counts = match (row.int("numerator"), row.int("denominator")) {
        (Some(above), Some(below)) => format!(" = {above} / {below}"),
        (None, Some(below)) => format!(" over {below}"),
        (Some(above), None) => format!(" = {above} over {} rows", followed.denominator),
        (None, None) => String::new(),
    };
    let interval = match (row.float("lower"), row.float("upper")) {
        (Some(low), Some(high)) => format!(", 95 % from {low:.6} to {high:.6}"),
        _ => String::new(),
    };
    figure.push(line("value", format!("{value}{counts}{interval}")));
    if let Some(target) = row.float("target") {
        let held = if row.text("breach").is_some_and(|b| b == "true") { "missed" } else { "met" };
        let version = row.text("targets_version").unwrap_or_default();
        figure.push(line("target", format!("{target}, {held} (targets {version})")));
    }
    figure.push(line(
        "published",
        format!("in `{}` by run {run_id}; counted again from what it read, the counts are equal", row.table),
    ));
    let titles = match (&measure.shape, measure.part(&asked.kpi)) {
        (Shape::Proportion { .. }, _) | (_, "open_share") => ["in the numerator", "in the denominator only"],
        (Shape::Ratio { .. }, _) => ["that add above the line", "that add below it only"],
        (Shape::Total(_), _) => ["that add to it", ""],
        (Shape::Duration { .. }, _) => ["that came through, longest first", ""],
    };
    Behind {
        kpi: asked.kpi.clone(),
        meaning: measure.meaning.to_owned(),
        definition,
        figure,
        titles,
        rows: followed.rows,
    }
}
