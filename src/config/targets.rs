//! Target packs: what a marketplace or a service promise asks of each KPI. A pack is data that a merchant can edit.

use crate::error::Problem;
use serde::Deserialize;
use std::path::Path;

/// A versioned set of targets.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TargetPack {
    /// Version of the pack, stored with every KPI row held against it.
    pub version: String,
    /// Where the figures come from, in words.
    pub source: String,
    /// The targets.
    #[serde(default, rename = "target")]
    pub targets: Vec<Target>,
    /// The file's text, for the run's fingerprint.
    #[serde(skip)]
    pub text: String,
}

/// One target.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Target {
    /// KPI by its id.
    pub kpi: String,
    /// On which side of `value` the KPI has to be.
    pub op: Direction,
    /// The limit, in the KPI's unit.
    pub value: f64,
    /// Days of a trailing window, where the target is defined on one.
    #[serde(default)]
    pub window_days: Option<u32>,
    /// What the figure means, in words.
    #[serde(default)]
    pub note: Option<String>,
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
}

/// The packs that come with the program, so that a pipeline works without a `targets/` folder beside it.
const SHIPPED: &[(&str, &str)] = &[
    ("amazon", include_str!("../../pipelines/targets/amazon.toml")),
    ("ebay", include_str!("../../pipelines/targets/ebay.toml")),
    ("walmart", include_str!("../../pipelines/targets/walmart.toml")),
    ("aliexpress", include_str!("../../pipelines/targets/aliexpress.toml")),
    ("service", include_str!("../../pipelines/targets/service.toml")),
];

impl TargetPack {
    /// Finds a pack: `targets/NAME.toml` or the path `NAME` beside the pipeline file, else a shipped one.
    pub(super) fn find(name: &str, base_dir: &Path) -> Result<Self, Problem> {
        let problem = |message: String| Problem::new("kpi.targets", message);
        let candidates = [base_dir.join("targets").join(format!("{name}.toml")), base_dir.join(name)];
        let text = match candidates.iter().find(|c| c.is_file()) {
            Some(path) => {
                std::fs::read_to_string(path).map_err(|e| problem(format!("cannot read `{}`: {e}", path.display())))?
            }
            None => match SHIPPED.iter().find(|(shipped, _)| *shipped == name) {
                Some((_, text)) => (*text).to_owned(),
                None => {
                    let names: Vec<&str> = SHIPPED.iter().map(|(n, _)| *n).collect();
                    let mut p = problem(format!("there is no target pack `{name}`; shipped are {}", names.join(", ")));
                    p.hint = super::did_you_mean(name, names);
                    return Err(p);
                }
            },
        };
        let mut pack: Self =
            toml::from_str(&text).map_err(|e| problem(format!("in pack `{name}`: {}", e.message())))?;
        pack.text = text;
        Ok(pack)
    }

    /// The target of a KPI, if the pack has one.
    pub fn of(&self, kpi: &str) -> Option<&Target> {
        self.targets.iter().find(|t| t.kpi == kpi)
    }
}
