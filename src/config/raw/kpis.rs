//! KPIs, satisfaction, customers and calendars, and what ends a run with exit code 1.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// KPIs, their segments and targets.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Kpi {
    /// Columns of `orders` to split KPIs by; `a+b` for a pair.
    pub segments: Vec<String>,
    /// Target packs: each a name under `targets/` beside the pipeline file, a path, or the name of a shipped one. One or a
    /// list for the whole shop (or for the channel that a pack names), or `{ amazon = "amazon", all = "service" }` by channel.
    pub targets: Option<Targets>,
    /// Time after delivery within which a return counts: `30d`.
    #[schemars(regex(pattern = r"^[0-9]{1,5}(h|d)$"))]
    pub return_window: String,
    /// Periods to count by: `day`, `week`, `month`, `all`, and windows that end with the run's clock, such as
    /// `trailing_30d`.
    #[schemars(inner(regex(pattern = r"^(day|week|month|all|trailing_[1-9][0-9]{0,2}d)$")))]
    pub grains: Vec<String>,
    /// Values of a segment with fewer orders than this are counted together as `other`. 0: every value by itself.
    pub min_segment_orders: u64,
    /// How many durations are kept one by one for exact quantiles, four bytes each; beyond it quantiles are within 0.4 %.
    pub exact_durations: u64,
    /// End a run with exit code 1 when one of these happens.
    pub fail_on: Vec<FailOn>,
}

impl Default for Kpi {
    fn default() -> Self {
        let grains = [
            "day",
            "week",
            "month",
            "all",
            "trailing_7d",
            "trailing_10d",
            "trailing_14d",
            "trailing_30d",
            "trailing_60d",
        ];
        Self {
            segments: Vec::new(),
            targets: None,
            return_window: "30d".to_owned(),
            grains: grains.map(str::to_owned).to_vec(),
            // What a pipeline does not ask for is not hidden from it.
            min_segment_orders: 0,
            exact_durations: 200_000_000,
            fail_on: Vec::new(),
        }
    }
}

/// Target packs, for the whole shop or by channel.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Targets {
    /// For the whole shop, or for the channel that a pack itself names.
    Packs(Packs),
    /// By value of `orders.channel`; `all` is the whole shop.
    ByChannel(BTreeMap<String, Packs>),
}

/// One pack or several.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Packs {
    /// One.
    One(String),
    /// Several, all of them held.
    Several(Vec<String>),
}

impl Packs {
    /// The packs as they are named.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        let names = match self {
            Self::One(name) => std::slice::from_ref(name),
            Self::Several(names) => names.as_slice(),
        };
        names.iter().map(String::as_str)
    }
}

/// The satisfaction index and the prediction of satisfaction.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Satisfaction {
    /// What each factor weighs in the index. Only their proportions count; those of factors that cannot be computed go to the
    /// others.
    pub weights: FactorWeights,
    /// Time after delivery from which an order's answers count as complete, for the prediction's training and its test: `30d`.
    #[schemars(regex(pattern = r"^[0-9]{1,5}(h|d)$"))]
    pub matures_after: String,
    /// Predict the satisfaction of delivered orders nobody answered for.
    pub predict: bool,
}

impl Default for Satisfaction {
    fn default() -> Self {
        Self { weights: FactorWeights::default(), matures_after: "30d".to_owned(), predict: true }
    }
}

/// Weights of the factors of the satisfaction index.
///
/// The default puts speed first, since a late parcel is what low ratings speak of most; then the goods, and what customers said
/// themselves, which counts no more because few answer and rather the upset ones; then what they had to do. Transparency and
/// service come last: those who never had to ask feel little of them.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct FactorWeights {
    /// Cycle time and promise kept.
    #[schemars(range(min = 0.0))]
    pub speed: f64,
    /// Tracking there, answers in time.
    #[schemars(range(min = 0.0))]
    pub transparency: f64,
    /// Contacts and reopenings, stages of returns.
    #[schemars(range(min = 0.0))]
    pub ease: f64,
    /// Reply time, resolution, language.
    #[schemars(range(min = 0.0))]
    pub service: f64,
    /// Goods as described, undamaged and kept.
    #[schemars(range(min = 0.0))]
    pub product: f64,
    /// Measured feedback.
    #[schemars(range(min = 0.0))]
    pub feedback: f64,
}

impl Default for FactorWeights {
    fn default() -> Self {
        Self { speed: 0.25, transparency: 0.10, ease: 0.15, service: 0.10, product: 0.20, feedback: 0.20 }
    }
}

impl FactorWeights {
    /// In the order of the factors.
    pub fn in_order(&self) -> [f64; 6] {
        [self.speed, self.transparency, self.ease, self.service, self.product, self.feedback]
    }
}

/// How customers are ranked.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Customers {
    /// Time before the run's clock in which orders and value count for frequency, value and tier: `365d`.
    #[schemars(regex(pattern = r"^[0-9]{1,5}(h|d)$"))]
    pub window: String,
    /// Shares of customers, from the most valuable down, where tiers A, B and C end; the rest are D. Rising, between 0 and 1.
    pub tiers: [f64; 3],
    /// A matter that began longer ago is no longer one that a customer waits for: it is counted in
    /// `customer_profile.lapsed_matters` and gives no priority.
    #[schemars(regex(pattern = r"^[0-9]{1,5}(h|d)$"))]
    pub waits_for_at_most: String,
}

impl Default for Customers {
    fn default() -> Self {
        // Banks give cardholders about four months to ask for their money: whoever still missed it has had it by then.
        Self { window: "365d".to_owned(), tiers: [0.1, 0.3, 0.6], waits_for_at_most: "120d".to_owned() }
    }
}

/// Working time of the shop, in the pipeline's zone.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Calendar {
    /// A CSV of holidays with the columns `country`, `date` (2024-12-25) and `name`.
    pub holidays: Option<String>,
    /// The country whose holidays the shop keeps, as the file writes it.
    pub country: Option<String>,
    /// Days on which nobody works: `sat`, `sun`.
    pub weekend: Vec<String>,
    /// Opening hours: `09:00-18:00`. Left out: the whole day.
    pub hours: Option<String>,
}

impl Default for Calendar {
    fn default() -> Self {
        Self { holidays: None, country: None, weekend: vec!["sat".to_owned(), "sun".to_owned()], hours: None }
    }
}

/// What ends a finished run with exit code 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub enum FailOn {
    /// Any row was quarantined.
    Quarantine,
    /// A required target was missed over the latest window that late events can no longer move much.
    Target,
    /// A model in service has an alarm in the latest whole period of `model_monitor`.
    Monitor,
}
