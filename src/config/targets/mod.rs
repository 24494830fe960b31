//! Target packs: what a marketplace or a service promise asks of each KPI. A pack is data that a merchant can edit.

mod read;
#[cfg(test)]
mod tests;

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
    /// The day the source was last read; none: a promise of the shop's own, or a source that nobody has read.
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

/// The key under which the whole shop stands among channels.
const WHOLE: &str = "all";

/// Finds every pack that `[kpi] targets` names, in the order in which they are held: the whole shop, then channels.
pub(super) fn find_all(targets: &Targets, base_dir: &Path, problems: &mut Vec<Problem>) -> Vec<HeldPack> {
    let mut held = Vec::new();
    let mut hold = |key: &str, channel: Option<&str>, packs: &Packs| {
        for name in packs.names() {
            match read::find(key, name, base_dir, problems) {
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

/// What the rows of the `kpi` table are held against: the packs of the whole shop as one, its version that of each by name.
pub(super) fn of_the_shop(held: &[HeldPack]) -> Option<TargetPack> {
    let of_shop: Vec<&HeldPack> = held.iter().filter(|h| h.channel.is_none()).collect();
    let mut whole = of_shop.first()?.pack.clone();
    if of_shop.len() > 1 {
        let joined =
            |of: &dyn Fn(&HeldPack) -> String, by: &str| of_shop.iter().map(|h| of(h)).collect::<Vec<_>>().join(by);
        whole.version = joined(&|h| format!("{} {}", h.name, h.pack.version), " + ");
        whole.source = joined(&|h| h.pack.source.clone(), "; ");
        whole.targets = of_shop.iter().flat_map(|h| h.pack.targets.iter().cloned()).collect();
        whole.text = joined(&|h| h.pack.text.clone(), "");
    }
    Some(whole)
}

/// Days since 1970-01-01 of the day a source was last read, as tables have it.
pub fn checked_day(target: &Target) -> Option<i32> {
    target.checked.map(days_since_epoch).filter(|day| date_of(*day).is_some())
}

impl TargetPack {
    /// The target that rows of a KPI are held against: the first required one.
    pub fn of(&self, kpi: &str) -> Option<&Target> {
        self.targets.iter().find(|t| t.kpi == kpi && t.required)
    }
}
