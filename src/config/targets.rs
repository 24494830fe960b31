//! Target packs: what a marketplace or a service promise asks of each KPI. A pack is data that a merchant can edit.

use super::did_you_mean;
use super::raw::{Packs, Targets};
use crate::error::Problem;
use crate::types::time::{date_of, days_since_epoch};
use chrono::NaiveDate;
use serde::Deserialize;
use std::path::Path;

/// A versioned set of targets.
#[derive(Debug, Clone, PartialEq)]
pub struct TargetPack {
    /// Version of the pack, stored with every KPI row held against it.
    pub version: String,
    /// Where the figures come from, in words.
    pub source: String,
    /// The value of `orders.channel` that the pack is for; none: the whole shop, or as the pipeline says.
    pub channel: Option<String>,
    /// The targets.
    pub targets: Vec<Target>,
    /// The file's text, for the run's fingerprint.
    pub text: String,
}

/// One target.
#[derive(Debug, Clone, PartialEq)]
pub struct Target {
    /// KPI by its id.
    pub kpi: String,
    /// On which side of `value` the KPI has to be.
    pub op: Direction,
    /// The limit, in the KPI's unit.
    pub value: f64,
    /// The time it is judged over.
    pub window: Window,
    /// Whether missing it counts as missed; false for an aim such as a level above the standard.
    pub required: bool,
    /// The level the figure is asked for, where a marketplace has several: `top rated`.
    pub level: Option<String>,
    /// Defects that are no breach whatever the rate: marketplaces do not judge a seller by three bad orders.
    pub tolerated: i64,
    /// Where the figure is from and what was read there; none: as the pack says.
    pub source: Option<String>,
    /// The day the source was last read; none: never read by us, the figure is from memory.
    pub checked: Option<NaiveDate>,
    /// What the figure means, in words.
    pub note: Option<String>,
}

/// The time a target is judged over, by the KPI's own clock in the pipeline's zone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Window {
    /// A calendar day.
    Day,
    /// A week from Monday on.
    Week,
    /// A calendar month.
    Month,
    /// Everything there is.
    All,
    /// So many days up to and with the day of the run's clock.
    Trailing(i32),
    /// An evaluation period: the last complete calendar months.
    Months {
        /// How many.
        months: i32,
        /// Cases below the line that they have to hold for that; 0: any number.
        enough: i64,
        /// How many months are taken where they hold fewer.
        otherwise: i32,
    },
}

impl Window {
    /// Its name in tables: the grain of the `kpi` table where there is one.
    pub fn name(self) -> String {
        match self {
            Self::Day => "day".to_owned(),
            Self::Week => "week".to_owned(),
            Self::Month => "month".to_owned(),
            Self::All => "all".to_owned(),
            Self::Trailing(days) => format!("trailing_{days}d"),
            Self::Months { months, .. } => format!("months_{months}"),
        }
    }
}

/// On which side of its target a KPI has to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub enum Direction {
    /// Below.
    #[serde(rename = "<")]
    Below,
    /// At most.
    #[serde(rename = "<=")]
    AtMost,
    /// Above.
    #[serde(rename = ">")]
    Above,
    /// At least.
    #[serde(rename = ">=")]
    AtLeast,
}

impl Direction {
    /// Whether `value` misses `target`.
    pub fn breached(self, value: f64, target: f64) -> bool {
        !match self {
            Self::Below => value < target,
            Self::AtMost => value <= target,
            Self::Above => value > target,
            Self::AtLeast => value >= target,
        }
    }

    /// As it is written.
    pub fn sign(self) -> &'static str {
        match self {
            Self::Below => "<",
            Self::AtMost => "<=",
            Self::Above => ">",
            Self::AtLeast => ">=",
        }
    }

    /// Whether less is better.
    pub fn is_ceiling(self) -> bool {
        matches!(self, Self::Below | Self::AtMost)
    }
}

/// A pack and what it is held against.
#[derive(Debug, Clone, PartialEq)]
pub struct HeldPack {
    /// The value of `orders.channel`; none: the whole shop.
    pub channel: Option<String>,
    /// The pack as the pipeline names it.
    pub name: String,
    /// The pack.
    pub pack: TargetPack,
}

/// The packs that come with the program, so that a pipeline works without a `targets/` folder beside it.
const SHIPPED: &[(&str, &str)] = &[
    ("amazon", include_str!("../../pipelines/targets/amazon.toml")),
    ("ebay", include_str!("../../pipelines/targets/ebay.toml")),
    ("walmart", include_str!("../../pipelines/targets/walmart.toml")),
    ("aliexpress", include_str!("../../pipelines/targets/aliexpress.toml")),
    ("service", include_str!("../../pipelines/targets/service.toml")),
];

/// The key under which the whole shop stands among channels.
const WHOLE: &str = "all";

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

/// Finds every pack that `[kpi] targets` names, in the order in which they are held: the whole shop, then channels.
pub(super) fn find_all(targets: &Targets, base_dir: &Path, problems: &mut Vec<Problem>) -> Vec<HeldPack> {
    let mut held = Vec::new();
    let mut hold = |key: &str, channel: Option<&str>, packs: &Packs| {
        for name in packs.names() {
            match TargetPack::find(key, name, base_dir, problems) {
                Some(pack) => {
                    let channel = channel.map(str::to_owned).or_else(|| pack.channel.clone());
                    held.push(HeldPack { channel, name: name.to_owned(), pack });
                }
                None => continue,
            }
        }
    };
    match targets {
        Targets::Packs(packs) => hold("kpi.targets", None, packs),
        Targets::ByChannel(channels) => {
            for (channel, packs) in channels {
                hold(&format!("kpi.targets.{channel}"), Some(channel), packs);
            }
        }
    }
    for pack in &mut held {
        pack.channel.take_if(|channel| channel == WHOLE);
    }
    held.sort_by(|a, b| (&a.channel, &a.name).cmp(&(&b.channel, &b.name)));
    held.dedup_by(|a, b| a.channel == b.channel && a.name == b.name);
    held
}

/// What the rows of the `kpi` table are held against: the packs of the whole shop as one.
pub(super) fn of_the_shop(held: &[HeldPack]) -> Option<TargetPack> {
    let mut packs = held.iter().filter(|h| h.channel.is_none()).map(|h| &h.pack);
    let mut whole = packs.next()?.clone();
    for pack in packs {
        whole.version = format!("{} + {}", whole.version, pack.version);
        whole.source = format!("{}; {}", whole.source, pack.source);
        whole.targets.extend(pack.targets.iter().cloned());
        whole.text.push_str(&pack.text);
    }
    Some(whole)
}

impl TargetPack {
    /// Finds a pack: `targets/NAME.toml` or the path `NAME` beside the pipeline file, else a shipped one.
    fn find(key: &str, name: &str, base_dir: &Path, problems: &mut Vec<Problem>) -> Option<Self> {
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
        Self::read(key, name, text, problems)
    }

    /// Reads the text of a pack; everything wrong with it is reported in one go.
    fn read(key: &str, name: &str, text: String, problems: &mut Vec<Problem>) -> Option<Self> {
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
        let pack = Self { version: raw.version, source: raw.source, channel: raw.channel, targets, text };
        (problems.len() == before).then_some(pack)
    }

    /// The target that rows of a KPI are held against: the first required one.
    pub fn of(&self, kpi: &str) -> Option<&Target> {
        self.targets.iter().find(|t| t.kpi == kpi && t.required)
    }
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

/// Days since 1970-01-01 of the day a source was last read, as tables have it.
pub fn checked_day(target: &Target) -> Option<i32> {
    target.checked.map(days_since_epoch).filter(|day| date_of(*day).is_some())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<TargetPack, Vec<String>> {
        let mut problems = Vec::new();
        let pack = TargetPack::read("kpi.targets", "mine", text.to_owned(), &mut problems);
        pack.ok_or_else(|| problems.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn every_shipped_pack_can_be_read_and_says_of_each_figure_where_it_is_from() {
        for (name, text) in SHIPPED {
            let pack = read(text).unwrap_or_else(|problems| panic!("{name}: {problems:?}"));
            for target in &pack.targets {
                let source = target.source.as_deref().unwrap_or_default();
                let from_memory = source.contains("from memory");
                assert!(source.len() > 20, "{name}: {} has no source", target.kpi);
                // What was read has a day; what was not says so. A promise of one's own needs neither.
                let own = *name == "service";
                assert!(own || target.checked.is_some() || from_memory, "{name}: {}: {source}", target.kpi);
            }
        }
    }

    #[test]
    fn every_mistake_of_a_pack_is_reported_with_what_is_allowed() {
        let problems = read(
            "version = \"1\"\nsource = \"us\"\n\
             [[target]]\nkpi = \"a\"\nop = \"<\"\nvalue = 0.1\nwindow = \"trailing_0d\"\n\
             [[target]]\nkpi = \"b\"\nop = \"<\"\nvalue = nan\nchecked = \"soon\"\ntolerated = -1\n\
             [[target]]\nkpi = \"c\"\nop = \"<\"\nvalue = 1\nwindow = { month = 3 }\n\
             [[target]]\nkpi = \"d\"\nop = \"<\"\nvalue = 1\nwindow = \"month\"\nwindow_days = 30\n",
        )
        .unwrap_err();
        let allowed = "`window` must be `day`, `week`, `month`, `all`, `trailing_30d` (1 to 999 days) or an evaluation \
                       period such as `{ months = 3, enough = 400, otherwise = 12 }`";
        assert_eq!(
            problems,
            [
                format!("`kpi.targets`: in pack `mine`: target 1 (`a`): {allowed}, found `trailing_0d`"),
                "`kpi.targets`: in pack `mine`: target 2 (`b`): `value` must be a number, found NaN".to_owned(),
                "`kpi.targets`: in pack `mine`: target 2 (`b`): `tolerated` must be at least 0, found -1".to_owned(),
                "`kpi.targets`: in pack `mine`: target 2 (`b`): `checked` must be a day such as 2026-03-01, found `soon`"
                    .to_owned(),
                format!("`kpi.targets`: in pack `mine`: target 3 (`c`): {allowed}, found the key `month`"),
                "`kpi.targets`: in pack `mine`: target 4 (`d`): has both `window` and `window_days`; only one can say \
                 the time"
                    .to_owned(),
            ]
        );
        let problems = read("version = \"1\"\nsource = \"us\"\n\n[[target]]\nkpi = \"a\"\nop = \"=<\"\nvalue = 1\n");
        assert_eq!(
            problems.unwrap_err(),
            ["`kpi.targets`: in pack `mine`: line 6: unknown variant `=<`, expected one of `<`, `<=`, `>`, `>=`"]
        );
    }

    #[test]
    fn windows_are_read_by_name_and_old_packs_still_are() {
        let window = |text: &str| {
            let text =
                format!("version = \"1\"\nsource = \"us\"\n[[target]]\nkpi = \"a\"\nop = \"<\"\nvalue = 1\n{text}");
            read(&text).unwrap().targets[0].window
        };
        assert_eq!(window(""), Window::Month);
        assert_eq!(window("window_days = 60"), Window::Trailing(60));
        assert_eq!(window("window = \"trailing_14d\"").name(), "trailing_14d");
        assert_eq!(
            window("window = { months = 3, enough = 400, otherwise = 12 }"),
            Window::Months { months: 3, enough: 400, otherwise: 12 }
        );
    }

    #[test]
    fn packs_are_held_for_the_shop_for_channels_and_for_the_channel_a_pack_names() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("mine.toml"), "version = \"7\"\nsource = \"us\"\nchannel = \"web\"\n")
            .unwrap();
        let held = |targets: &str| {
            let targets: Targets = serde_json::from_str(targets).unwrap();
            let mut problems = Vec::new();
            let held = find_all(&targets, folder.path(), &mut problems);
            assert_eq!(problems, []);
            let shop = of_the_shop(&held).map(|pack| pack.version);
            let name = |h: &HeldPack| format!("{} {}", h.channel.as_deref().unwrap_or("-"), h.name);
            (held.iter().map(name).collect::<Vec<_>>(), shop)
        };
        let version = |name: &str| {
            let text = SHIPPED.iter().find(|(n, _)| *n == name).unwrap().1;
            read(text).unwrap().version
        };
        assert_eq!(held("\"amazon\""), (vec!["- amazon".to_owned()], Some(version("amazon"))));
        assert_eq!(held("[\"service\", \"mine.toml\"]").0, ["- service", "web mine.toml"]);
        let (names, shop) =
            held(r#"{ "ebay": "ebay", "all": ["service", "mine.toml"], "amazon": ["amazon", "service"] }"#);
        assert_eq!(names, ["- mine.toml", "- service", "amazon amazon", "amazon service", "ebay ebay"]);
        assert_eq!(shop, Some(format!("7 + {}", version("service"))));
    }
}
