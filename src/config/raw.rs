//! The pipeline file as it is written. These structs are its schema: editors, the validator and the docs use one source.

mod features;
mod kpis;
mod risk;
mod sources;

use super::{Exceptions, Inventory, Stream};
pub use features::*;
pub use kpis::*;
pub use risk::*;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
pub use sources::*;
use std::collections::BTreeMap;

/// An ordersight pipeline: where the data is, how it maps to the input tables, what to compute and where results go.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RawPipeline {
    /// Name of the pipeline, shown in summaries and stored with every output file.
    #[schemars(regex(pattern = r"^[A-Za-z0-9_-]+$"))]
    pub name: String,
    /// Zone and clock of the run.
    #[serde(default)]
    pub time: Time,
    /// Base currency.
    #[serde(default)]
    pub money: Money,
    /// Files to read, by a name of your choice that SQL and column maps use.
    pub sources: BTreeMap<String, Source>,
    /// Input tables of the contract, each from one source or from SQL over the sources.
    pub tables: BTreeMap<String, TableMap>,
    /// KPIs, their segments and targets.
    #[serde(default)]
    pub kpi: Kpi,
    /// The satisfaction index and the prediction of satisfaction.
    #[serde(default)]
    pub satisfaction: Satisfaction,
    /// How customers are ranked.
    #[serde(default)]
    pub customers: Customers,
    /// What counts as an exception.
    #[serde(default)]
    pub exceptions: Exceptions,
    /// How stock is held against demand.
    #[serde(default)]
    pub inventory: Inventory,
    /// Working time, for how long customers wait when nobody works at night or on Sundays.
    #[serde(default)]
    pub calendar: Option<Calendar>,
    /// Features of orders, for the models and the rules.
    #[serde(default)]
    pub features: FeatureSettings,
    /// Risk targets to score.
    #[serde(default)]
    pub risk: Risk,
    /// Rules, costs and review capacity.
    #[serde(default)]
    pub decision: Decision,
    /// When models in service are said to have drifted.
    #[serde(default)]
    pub monitor: Monitor,
    /// Micro-batches: how they are cut and when they are late.
    #[serde(default)]
    pub stream: Stream,
    /// How much bad input a run may hold.
    #[serde(default)]
    pub quarantine: Quarantine,
    /// Which personal columns may be shown.
    #[serde(default)]
    pub privacy: Privacy,
    /// How results are worded.
    #[serde(default)]
    pub report: Report,
    /// Where results go.
    #[serde(default)]
    pub output: Output,
}

/// How results are worded.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Report {
    /// Language of reasons, of `review_queue.action_words`, of `exceptions.detail` and `suggested_action`, of
    /// `satisfaction_drivers.words` and of `customer_profile.service_reasons`. Names of columns, tables, kinds and actions
    /// stay as they are.
    pub language: Language,
}

/// A language of reasons.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub enum Language {
    /// English.
    #[default]
    En,
    /// Chinese, in simplified characters.
    Zh,
}

/// Zone and clock of the run.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Time {
    /// IANA zone of source times that carry no offset, and of day boundaries in KPIs.
    pub zone: String,
    /// The run's clock, as an RFC 3339 instant. Left out, it is the start of the run.
    pub as_of: Option<String>,
}

impl Default for Time {
    fn default() -> Self {
        Self { zone: "UTC".to_owned(), as_of: None }
    }
}

/// Base currency.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Money {
    /// ISO 4217 code that every amount is converted to.
    #[schemars(regex(pattern = r"^[A-Z]{3}$"))]
    pub base: String,
}

impl Default for Money {
    fn default() -> Self {
        Self { base: "EUR".to_owned() }
    }
}

/// How much bad input a run may hold.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Quarantine {
    /// Largest share of a source's rows that may be quarantined before nothing is published.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub max_share: f64,
}

impl Default for Quarantine {
    fn default() -> Self {
        Self { max_share: 0.05 }
    }
}

/// Which personal columns may be shown in quarantined raw records.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Privacy {
    /// Source columns to show in clear.
    pub show: Vec<String>,
}

/// Where results go.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Output {
    /// Output folder, relative to the pipeline file; `--out` overrides it. Default: `out/NAME` in the working folder.
    pub dir: Option<String>,
    /// How long rows of tables that only grow are kept.
    #[serde(default)]
    pub keep: Keep,
}

/// How long rows of tables that only grow are kept, as spans like `90d`; left out, for ever. They go file by file, once the
/// newest row of a file is that old, and the newest file stays.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Keep {
    /// Rows of `runs`, since they were started.
    #[schemars(regex(pattern = r"^[0-9]{1,5}[mhd]$"))]
    pub runs: Option<String>,
    /// Rows of `late_rows`, since the watermark at which they came.
    #[schemars(regex(pattern = r"^[0-9]{1,5}[mhd]$"))]
    pub late_rows: Option<String>,
}
