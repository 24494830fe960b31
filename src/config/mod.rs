//! The pipeline file: read, checked whole, and turned into a [`Pipeline`] that later stages can trust.

mod calendar;
mod check;
mod condition;
mod exceptions;
mod features;
mod raw;
mod schema;
mod sql;
mod stream;
mod targets;
mod variables;

pub use calendar::WorkingTime;
pub use condition::{ConditionColumn, ORDER_FACTS, Place, condition_columns, pointing_at};
pub use exceptions::{Exceptions, Inventory};
pub use features::{FeatureSpec, built_in_features};
pub use raw::*;
pub use schema::json_schema;
pub use sql::{ORIGIN, is_row_by_row, origin_source, tables_of, with_origin};
pub use stream::{Stream, stream_duration, stream_span};
pub use targets::{Direction, HeldPack, Target, TargetPack, Window, checked_day};

use crate::error::{Error, Problem, Result};
use chrono_tz::Tz;
use std::path::{Path, PathBuf};

/// A pipeline whose every setting has been checked.
#[derive(Debug, Clone)]
pub struct Pipeline {
    /// The settings as written, variables expanded and `--set` applied.
    pub raw: RawPipeline,
    /// The pipeline file as it was named, for messages.
    pub file: String,
    /// The folder that relative paths start from.
    pub base_dir: PathBuf,
    /// Zone of day boundaries and of source times without an offset.
    pub zone: Tz,
    /// The run's clock, if the file sets it; UTC microseconds.
    pub as_of: Option<i64>,
    /// Decimals of the base currency.
    pub base_exponent: u32,
    /// The targets that rows of the `kpi` table are held against: those of the whole shop.
    pub targets: Option<TargetPack>,
    /// Every target pack with what it is held against: what the scorecard is made of.
    pub packs: Vec<HeldPack>,
    /// Working time, if the file says what it is.
    pub calendar: Option<WorkingTime>,
    /// Window features, one by one.
    pub features: Vec<FeatureSpec>,
    /// Hash of the settings as written (before variables, so that it does not depend on where the data lies).
    pub fingerprint: String,
}

impl Pipeline {
    /// Reads and checks a pipeline file. `sets` are `key=value` overrides.
    ///
    /// # Errors
    /// [`Error::Config`] with every problem of the file, or [`Error::Environment`] if it cannot be read.
    pub fn load(path: &Path, sets: &[String]) -> Result<Self> {
        let text = std::fs::read_to_string(path).map_err(|e| match e.kind() {
            std::io::ErrorKind::NotFound => Error::Usage {
                message: format!("there is no pipeline file `{}`", path.display()),
                hint: Some("copy pipelines/template.toml and fill it in".to_owned()),
            },
            _ => Error::io("read", path)(e),
        })?;
        let base = path.parent().map_or_else(|| PathBuf::from("."), Path::to_owned);
        Self::parse(&text, &path.display().to_string(), &base, sets, &|name| std::env::var(name).ok())
    }

    /// Checks the text of a pipeline file; relative paths start from `base_dir`, variables come from `lookup`.
    ///
    /// # Errors
    /// [`Error::Config`] with every problem of the text.
    pub fn parse(
        text: &str,
        file: &str,
        base_dir: &Path,
        sets: &[String],
        lookup: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Self> {
        let mut problems = Vec::new();
        let fail = |mut problems: Vec<Problem>| {
            problems.sort();
            problems.dedup();
            Err(Error::Config { file: file.to_owned(), problems })
        };
        let mut document: toml::Table = match text.parse() {
            Ok(document) => document,
            Err(e) => return fail(vec![Problem::new("(syntax)", e.to_string().trim_end().replace('\n', "\n    "))]),
        };
        for set in sets {
            if let Err(problem) = variables::apply_set(&mut document, set) {
                problems.push(problem);
            }
        }
        let mut hasher = blake3::Hasher::new();
        hasher.update(document.to_string().as_bytes());
        let mut json = schema::to_json(toml::Value::Table(document));
        variables::expand(&mut json, "", lookup, &mut problems);
        schema::validate(&mut json, &mut problems);
        let raw: RawPipeline = match serde_json::from_value(json) {
            Ok(raw) => raw,
            // The schema has already said what is wrong; serde would repeat the first of it in other words.
            Err(_) if !problems.is_empty() => return fail(problems),
            Err(e) => return fail(vec![Problem::new("(file)", e.to_string())]),
        };
        let mut pipeline = match Self::of(raw, file, base_dir, &mut problems) {
            Some(pipeline) => pipeline,
            None => return fail(problems),
        };
        for held in &pipeline.packs {
            hasher.update(held.pack.text.as_bytes());
        }
        if let Some(calendar) = &pipeline.calendar {
            hasher.update(calendar.text.as_bytes());
        }
        pipeline.fingerprint = hasher.finalize().to_hex().to_string();
        Ok(pipeline)
    }

    /// The pipeline of settings that were checked before and kept, variables expanded; it has no fingerprint.
    ///
    /// # Errors
    /// [`Error::Config`] if this version no longer accepts them.
    pub fn again(raw: RawPipeline, file: &str, base_dir: &Path) -> Result<Self> {
        let mut problems = Vec::new();
        let pipeline = Self::of(raw, file, base_dir, &mut problems);
        pipeline.ok_or_else(|| Error::Config { file: file.to_owned(), problems })
    }

    fn of(raw: RawPipeline, file: &str, base_dir: &Path, problems: &mut Vec<Problem>) -> Option<Self> {
        let checked = check::check(&raw, base_dir, problems);
        problems.is_empty().then(|| Self {
            zone: checked.zone,
            as_of: checked.as_of,
            base_exponent: checked.base_exponent,
            targets: targets::of_the_shop(&checked.packs),
            packs: checked.packs,
            calendar: checked.calendar,
            features: checked.features,
            file: file.to_owned(),
            base_dir: base_dir.to_owned(),
            fingerprint: String::new(),
            raw,
        })
    }
}

/// The near name among `names`, as a hint: « did you mean `x`? ».
pub fn did_you_mean<'a>(found: &str, names: impl IntoIterator<Item = &'a str>) -> Option<String> {
    names
        .into_iter()
        .map(|name| (strsim::damerau_levenshtein(&found.to_lowercase(), &name.to_lowercase()), name))
        .filter(|(distance, name)| *distance <= 1 + name.len().min(found.len()) / 3)
        .min()
        .map(|(_, name)| format!("did you mean `{name}`?"))
}
