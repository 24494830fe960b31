//! Reading a pack: from a file or the shipped ones, everything wrong with it in one go.

use super::{Direction, Target, TargetPack, Window};
use crate::config::did_you_mean;
use crate::error::Problem;
use chrono::NaiveDate;
use serde::Deserialize;
use std::path::Path;

/// The packs that come with the program, so that a pipeline works without a `targets/` folder beside it.
pub(super) const SHIPPED: &[(&str, &str)] = &[
    ("amazon", include_str!("../../../pipelines/targets/amazon.toml")),
    ("ebay", include_str!("../../../pipelines/targets/ebay.toml")),
    ("walmart", include_str!("../../../pipelines/targets/walmart.toml")),
    ("aliexpress", include_str!("../../../pipelines/targets/aliexpress.toml")),
    ("service", include_str!("../../../pipelines/targets/service.toml")),
];

/// A pack as its file has it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawPack {
    version: String,
    source: String,
    channel: Option<String>,
    #[serde(default, rename = "target")]
    targets: Vec<RawTarget>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawTarget {
    kpi: String,
    op: Direction,
    value: f64,
    window: Option<toml::Value>,
    /// How packs wrote a trailing window before windows had names.
    window_days: Option<i64>,
    #[serde(default = "yes")]
    required: bool,
    level: Option<String>,
    #[serde(default)]
    tolerated: i64,
    source: Option<String>,
    checked: Option<String>,
    note: Option<String>,
}

fn yes() -> bool {
    true
}

/// Finds a pack: `targets/NAME.toml` or the path `NAME` beside the pipeline file, else a shipped one.
pub(super) fn find(key: &str, name: &str, base_dir: &Path, problems: &mut Vec<Problem>) -> Option<TargetPack> {
    let candidates = [base_dir.join("targets").join(format!("{name}.toml")), base_dir.join(name)];
    let text = match candidates.iter().find(|c| c.is_file()) {
        Some(path) => match std::fs::read_to_string(path) {
            Ok(text) => text,
            Err(e) => {
                problems.push(Problem::new(key, format!("cannot read `{}`: {e}", path.display())));
                return None;
            }
        },
        None => match SHIPPED.iter().find(|(shipped, _)| *shipped == name) {
            Some((_, text)) => (*text).to_owned(),
            None => {
                let names: Vec<&str> = SHIPPED.iter().map(|(n, _)| *n).collect();
                let message = format!("there is no target pack `{name}`; shipped are {}", names.join(", "));
                let mut problem = Problem::new(key, message);
                problem.hint = did_you_mean(name, names);
                problems.push(problem);
                return None;
            }
        },
    };
    read_pack(key, name, text, problems)
}

/// Reads the text of a pack; everything wrong with it is reported in one go.
pub(super) fn read_pack(key: &str, name: &str, text: String, problems: &mut Vec<Problem>) -> Option<TargetPack> {
    let before = problems.len();
    let mut wrong = |message: String| problems.push(Problem::new(key, format!("in pack `{name}`: {message}")));
    let raw: RawPack = match toml::from_str(&text) {
        Ok(raw) => raw,
        Err(e) => {
            let line = e.span().map(|span| text.get(..span.start).unwrap_or_default().matches('\n').count() + 1);
            let place = line.map(|line| format!("line {line}: ")).unwrap_or_default();
            wrong(format!("{place}{}", e.message().trim_end().replace('\n', " ")));
            return None;
        }
    };
    let mut targets = Vec::with_capacity(raw.targets.len());
    for (at, target) in raw.targets.into_iter().enumerate() {
        let place = format!("target {} (`{}`)", at + 1, target.kpi);
        if !target.value.is_finite() {
            wrong(format!("{place}: `value` must be a number, found {}", target.value));
        }
        if target.tolerated < 0 {
            wrong(format!("{place}: `tolerated` must be at least 0, found {}", target.tolerated));
        }
        let checked = target.checked.as_deref().and_then(|day| {
            let read = day.parse::<NaiveDate>();
            if read.is_err() {
                wrong(format!("{place}: `checked` must be a day such as 2026-03-01, found `{day}`"));
            }
            read.ok()
        });
        let window = match (target.window, target.window_days) {
            (Some(_), Some(_)) => Err("has both `window` and `window_days`; only one can say the time".to_owned()),
            (Some(window), None) => read_window(&window),
            (None, Some(days)) => read_window(&toml::Value::String(format!("trailing_{days}d"))),
            (None, None) => Ok(Window::Month),
        };
        match window {
            Err(message) => wrong(format!("{place}: {message}")),
            Ok(window) => targets.push(Target {
                kpi: target.kpi,
                op: target.op,
                value: target.value,
                window,
                required: target.required,
                level: target.level,
                tolerated: target.tolerated,
                source: target.source,
                checked,
                note: target.note,
            }),
        }
    }
    let pack = TargetPack { version: raw.version, source: raw.source, channel: raw.channel, targets, text };
    (problems.len() == before).then_some(pack)
}

/// Days of the longest trailing window.
const LONGEST: i32 = 999;

fn read_window(value: &toml::Value) -> Result<Window, String> {
    let allowed = "`day`, `week`, `month`, `all`, `trailing_30d` (1 to 999 days) or an evaluation period such as \
                   `{ months = 3, enough = 400, otherwise = 12 }`";
    let found = |what: &str| format!("`window` must be {allowed}, found {what}");
    match value {
        toml::Value::String(text) => match text.as_str() {
            "day" => Ok(Window::Day),
            "week" => Ok(Window::Week),
            "month" => Ok(Window::Month),
            "all" => Ok(Window::All),
            other => {
                let days = other.strip_prefix("trailing_").and_then(|rest| rest.strip_suffix('d'));
                let days = days.and_then(|days| days.parse().ok()).filter(|days| (1..=LONGEST).contains(days));
                days.map(Window::Trailing).ok_or_else(|| found(&format!("`{other}`")))
            }
        },
        toml::Value::Table(table) => {
            if let Some(other) = table.keys().find(|key| !["months", "enough", "otherwise"].contains(&key.as_str())) {
                return Err(found(&format!("the key `{other}`")));
            }
            let number = |key: &str| table.get(key).and_then(toml::Value::as_integer);
            let in_range = |n: &i64| (1..=60).contains(n);
            let months = number("months").filter(in_range).and_then(|n| i32::try_from(n).ok());
            let months = months.ok_or_else(|| found("a period without `months` from 1 to 60"))?;
            let enough = number("enough").unwrap_or(0).max(0);
            let otherwise = number("otherwise").filter(in_range).and_then(|n| i32::try_from(n).ok()).unwrap_or(months);
            Ok(Window::Months { months, enough, otherwise })
        }
        other => Err(found(&format!("a {}", other.type_str()))),
    }
}
