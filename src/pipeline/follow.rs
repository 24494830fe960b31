//! From a published figure back to the orders behind it: `ordersight explain kpi`.
//!
//! A run leaves beside its output, in the state folder, what it was made of: its settings, its clock and the names of the
//! typed copies in the cache. Copies are named after what they were read from, so the rows found again are those of the
//! run even when the sources have changed or are gone. The counts found must be those published; if not, nothing is shown.

use super::inputs::COMPUTED_ON;
use crate::config::{Pipeline, RawPipeline, did_you_mean};
use crate::contract::output::{CACHE_DIR, STATE_DIR};
use crate::contract::segment;
use crate::error::{Error, Result};
use crate::ingest::{Ingested, KeptFile, accepted_again, create_private, kept};
use crate::kpi::follow::{Cut, Followed, SegmentValue, follow, formula};
use crate::kpi::{Facts, Grain, Measure, Terms, catalogue};
use crate::publish::snapshot;
use crate::query::answer;
use crate::satisfaction;
use crate::types::time::{date_of, days_since_epoch, parse_span};
use chrono::{Datelike, Days, Months, NaiveDate, Weekday};
use polars::prelude::*;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::Path;

/// Folder of the state with what the published run was made of.
const FOLDER: &str = "made_of";

/// What a run was made of.
#[derive(Debug, Serialize, Deserialize)]
struct MadeOf {
    as_of: i64,
    /// The program that made it: another one may define a KPI otherwise.
    version: String,
    file: String,
    base_dir: std::path::PathBuf,
    settings: RawPipeline,
    sources: BTreeMap<String, Vec<KeptFile>>,
}

/// Keeps what a run is made of, before it is published.
pub(super) fn keep(out: &Path, run_id: &str, pipeline: &Pipeline, ingested: &Ingested, as_of: i64) -> Result<()> {
    let mut settings = pipeline.raw.clone();
    // Targets do not move a count, and their packs may be gone when somebody asks.
    settings.kpi.targets = None;
    let made_of = MadeOf {
        as_of,
        version: env!("CARGO_PKG_VERSION").to_owned(),
        file: pipeline.file.clone(),
        base_dir: std::path::absolute(&pipeline.base_dir).unwrap_or_else(|_| pipeline.base_dir.clone()),
        settings,
        sources: kept(ingested),
    };
    let folder = out.join(STATE_DIR).join(FOLDER);
    create_private(&out.join(STATE_DIR))?;
    create_private(&folder)?;
    let text = serde_json::to_vec(&made_of).map_err(|e| Error::Invariant(format!("what a run is made of: {e}")))?;
    let (path, new) = (folder.join(format!("{run_id}.json")), folder.join("new"));
    std::fs::write(&new, text).map_err(Error::io("write", &new))?;
    std::fs::rename(&new, &path).map_err(Error::io("write", &path))
}

/// Drops what was kept of runs that are no longer published.
pub(super) fn keep_only(out: &Path, run_id: &str) -> Result<()> {
    let folder = out.join(STATE_DIR).join(FOLDER);
    let own = format!("{run_id}.json");
    for entry in std::fs::read_dir(&folder).map_err(Error::io("list", &folder))? {
        let path = entry.map_err(Error::io("list", &folder))?.path();
        if path.file_name().is_none_or(|name| name.to_string_lossy() != own) {
            std::fs::remove_file(&path).map_err(Error::io("remove", &path))?;
        }
    }
    Ok(())
}

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
    /// How many of them are above the line.
    pub above: usize,
}

/// The row of the `kpi` or `satisfaction` table that is asked for.
struct Published {
    row: DataFrame,
    table: &'static str,
}

impl Published {
    fn text(&self, column: &str) -> Option<String> {
        match self.row.column(column).ok()?.get(0).ok()? {
            AnyValue::Null => None,
            AnyValue::Date(day) => date_of(day).map(|d| d.to_string()),
            other => Some(other.str_value().into_owned()),
        }
    }

    fn int(&self, column: &str) -> Option<i64> {
        self.row.column(column).ok()?.get(0).ok()?.extract::<i64>()
    }

    fn float(&self, column: &str) -> Option<f64> {
        self.row.column(column).ok()?.get(0).ok()?.extract::<f64>()
    }
}

/// Finds the rows behind a published figure again.
///
/// # Errors
/// [`Error::Usage`] when the figure was not published or what it was made of is no longer there; [`Error::Invariant`] when
/// the rows found do not add up to what was published.
pub fn behind(out: &Path, asked: &Asked) -> Result<Behind> {
    let published = snapshot(out)?.ok_or_else(|| Error::Usage {
        message: format!("nothing was published in `{}`", out.display()),
        hint: Some("run `ordersight run PIPELINE --out DIR` first, or name the folder of an earlier run".to_owned()),
    })?;
    let made_of = made_of(out, &published.run_id)?;
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
    let facts = Facts::new(&tables, &terms, segments)?;
    for measure in &of_kpi {
        if !facts.available.missing(measure.needs).is_empty() {
            continue;
        }
        if let Some(followed) = follow(&facts, measure, &asked.kpi, &cut)? {
            counts_agree(&row, &followed, &asked.kpi, &made_of.version)?;
            return Ok(tell(asked, measure, &row, followed, &cut, &published.run_id));
        }
    }
    Err(Error::Invariant(format!("`{}` was published, and no rows can be found behind it", asked.kpi)))
}

fn made_of(out: &Path, run_id: &str) -> Result<MadeOf> {
    let path = out.join(STATE_DIR).join(FOLDER).join(format!("{run_id}.json"));
    let old = |what: &str| Error::Usage {
        message: format!("what run {run_id} was made of {what} in `{}`", path.display()),
        hint: Some(
            "run the pipeline again: with the same inputs it publishes the same, and can then be followed".to_owned(),
        ),
    };
    match std::fs::read(&path) {
        Ok(bytes) => serde_json::from_slice(&bytes).map_err(|_| old("was written by another version")),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Err(old("is not kept")),
        Err(e) => Err(Error::io("read", &path)(e)),
    }
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

/// `carrier=DHL` as the segment and its value.
fn read_segment(asked: Option<&str>, segments: &[String]) -> Result<(String, String)> {
    let Some(asked) = asked.filter(|asked| *asked != "all") else { return Ok(("all".to_owned(), "all".to_owned())) };
    let there = || match segments {
        [] => "the pipeline splits by none".to_owned(),
        some => format!("the pipeline splits by {}", some.join(", ")),
    };
    let (name, value) = asked.split_once('=').ok_or_else(|| Error::Usage {
        message: format!("--segment `{asked}` does not say a value; {}", there()),
        hint: Some("write it as carrier=DHL, or channel+carrier=web+DHL for a pair".to_owned()),
    })?;
    let same = |s: &&String| segment::parts(s).eq(segment::parts(name));
    let known = segments.iter().find(same).ok_or_else(|| Error::Usage {
        message: format!("KPIs are not split by `{name}`; {}", there()),
        hint: did_you_mean(name, segments.iter().map(String::as_str)),
    })?;
    Ok((known.clone(), value.to_owned()))
}

fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

/// The published row that is asked for.
fn find(out: &Path, asked: &Asked, segment: &str, value: &str, of_kpi: &[&Measure]) -> Result<Published> {
    let place = format!("kpi = {} AND segment = {}", quoted(&asked.kpi), quoted(segment));
    let of_value = format!("{place} AND segment_value = {}", quoted(value));
    let (period, order) = match &asked.period {
        None => ("grain = 'month' AND mature".to_owned(), " ORDER BY period_start DESC LIMIT 1"),
        Some(period) => (read_period(period)?, ""),
    };
    for table in ["kpi", "satisfaction"] {
        let row = answer(out, &format!("SELECT * FROM {table} WHERE {of_value} AND {period}{order}"))?;
        if row.height() == 1 {
            return Ok(Published { row, table });
        }
    }
    // What there is instead.
    let list = |sql: &str, column: &str| -> Result<Vec<String>> {
        let mut found = Vec::new();
        for table in ["kpi", "satisfaction"] {
            let rows = answer(out, &sql.replace("FROM it", &format!("FROM {table}")))?;
            let texts =
                rows.column(column).and_then(|c| c.cast(&DataType::String)).map_err(Error::frames("explain"))?;
            found.extend(texts.str().map_err(Error::frames("explain"))?.iter().flatten().map(str::to_owned));
        }
        Ok(found)
    };
    let known = list(
        &format!(
            "SELECT segment_value FROM it WHERE {place} GROUP BY segment_value ORDER BY SUM(denominator) DESC, segment_value"
        ),
        "segment_value",
    )?;
    if !known.iter().any(|known| known == value) {
        let about = of_kpi.first().map_or("", |m| m.meaning);
        let message = match known.is_empty() {
            true => format!("`{}` ({about}) was not published for `{segment}`", asked.kpi),
            false => {
                let shown: Vec<&str> = known.iter().take(20).map(String::as_str).collect();
                let more = if known.len() > shown.len() { ", …" } else { "" };
                format!("`{}` has no `{segment}` = `{value}`; there are: {}{more}", asked.kpi, shown.join(", "))
            }
        };
        let hint = did_you_mean(value, known.iter().map(String::as_str))
            .or_else(|| known.is_empty().then(|| "`ordersight check` says what is missing for it".to_owned()));
        return Err(Error::Usage { message, hint });
    }
    let months = list(
        &format!("SELECT period_start FROM it WHERE {of_value} AND grain = 'month' ORDER BY period_start"),
        "period_start",
    )?;
    let months: Vec<&str> = months.iter().filter_map(|m| m.get(..7)).collect();
    let there = match (months.first(), months.last()) {
        (Some(first), Some(last)) => format!("; it has months from {first} to {last}"),
        _ => String::new(),
    };
    let what = asked.period.as_deref().map_or_else(|| "a mature month".to_owned(), |p| format!("the period `{p}`"));
    Err(Error::Usage {
        message: format!("`{}` was not counted over {what}{there}", asked.kpi),
        hint: Some(
            "periods are 2018-05, 2018-05-03, 2018-W18, trailing_30d or all, as far as `kpi.grains` has them"
                .to_owned(),
        ),
    })
}

/// A period as a condition on the table.
fn read_period(text: &str) -> Result<String> {
    let wrong = || Error::Usage {
        message: format!("--period `{text}` is not a period"),
        hint: Some(
            "write a month as 2018-05, a day as 2018-05-03, a week as 2018-W18, else trailing_30d or all".to_owned(),
        ),
    };
    match Grain::parse(text) {
        Some(grain @ (Grain::All | Grain::Trailing(_))) => return Ok(format!("grain = '{}'", grain.name())),
        Some(_) => return Err(wrong()),
        None => {}
    }
    let (grain, first) = if let Some((year, week)) = text.split_once("-W") {
        let (year, week) = (year.parse().map_err(|_| wrong())?, week.parse().map_err(|_| wrong())?);
        ("week", NaiveDate::from_isoywd_opt(year, week, Weekday::Mon).ok_or_else(wrong)?)
    } else if text.len() == 7 {
        ("month", format!("{text}-01").parse().map_err(|_| wrong())?)
    } else {
        ("day", text.parse().map_err(|_| wrong())?)
    };
    Ok(format!("grain = '{grain}' AND period_start = DATE '{first}'"))
}

/// The days of a period by its first.
fn days_of(grain: &str, first: NaiveDate) -> Option<(i32, i32)> {
    let next = match Grain::parse(grain)? {
        Grain::All => return None,
        Grain::Day => first.checked_add_days(Days::new(1)),
        Grain::Week => first.checked_add_days(Days::new(7)),
        Grain::Month => first.with_day(1)?.checked_add_months(Months::new(1)),
        Grain::Trailing(days) => first.checked_add_days(Days::new(u64::from(days))),
    };
    Some((days_since_epoch(first), days_since_epoch(next?) - 1))
}

/// The values of a segment that were counted by themselves.
fn values_of(out: &Path, table: &str, segment: &str) -> Result<Vec<String>> {
    let sql = format!("SELECT DISTINCT segment_value FROM {table} WHERE segment = {}", quoted(segment));
    let rows = answer(out, &sql)?;
    let texts = rows.column("segment_value").and_then(|c| c.str().cloned()).map_err(Error::frames("explain"))?;
    Ok(texts.iter().flatten().filter(|v| *v != "other").map(str::to_owned).collect())
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
    let value = row.float("value").map(|v| format!("{v} ({unit})")).unwrap_or_default();
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
    let above = followed
        .rows
        .column("counted_in")
        .and_then(|c| Ok(c.str()?.iter().filter(|c| *c == Some("numerator")).count()));
    Behind {
        kpi: asked.kpi.clone(),
        meaning: measure.meaning.to_owned(),
        definition,
        figure,
        above: above.unwrap_or_default(),
        rows: followed.rows,
    }
}
