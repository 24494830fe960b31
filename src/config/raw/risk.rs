//! Risk: what is scored, decided and watched.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Risk targets to score; one that is left out is not scored.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Risk {
    /// Fraud.
    #[schemars(with = "FraudRisk")]
    pub fraud: Option<FraudRisk>,
    /// Returns.
    #[serde(rename = "return")]
    #[schemars(with = "ReturnRisk")]
    pub returns: Option<ReturnRisk>,
}

/// Model families.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub enum Family {
    /// Logistic regression of linfa on standardised features.
    #[default]
    Logistic,
    /// Follow the regularised leader: a logistic model that takes orders one by one and can go on learning.
    Ftrl,
    /// Gradient boosted trees: what matters only together is found by itself.
    Boosted,
    /// The mean of logistic and boosted, which err in different ways.
    Blend,
}

/// Fraud model settings.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct FraudRisk {
    /// Model family.
    pub family: Family,
    /// Features that the model does not learn from, by name; `*` stands for anything. They are computed and published all
    /// the same.
    pub without: Vec<String>,
    /// Where the label comes from and when it can be trusted.
    pub label: FraudLabel,
    /// While there are no fraud labels: have the desk look at the most unusual orders. `order_scores.unusual_score` ranks
    /// them; it is no probability.
    pub cold_start: bool,
}

impl Default for FraudRisk {
    fn default() -> Self {
        Self { family: Family::default(), without: Vec::new(), label: FraudLabel::default(), cold_start: true }
    }
}

/// The fraud label.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct FraudLabel {
    /// The yes-or-no column of `orders` that holds it.
    pub column: String,
    /// Time after which an order with no fraud known counts as legitimate: `90d`, `36h`.
    #[schemars(regex(pattern = r"^[0-9]{1,5}(h|d)$"))]
    pub matures_after: String,
}

impl Default for FraudLabel {
    fn default() -> Self {
        Self { column: "fraud".to_owned(), matures_after: "90d".to_owned() }
    }
}

/// Return model settings.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ReturnRisk {
    /// Model family.
    pub family: Family,
    /// Features that the model does not learn from, by name; `*` stands for anything. They are computed and published all
    /// the same.
    pub without: Vec<String>,
    /// Time after delivery within which a return request makes the label: `30d`.
    #[schemars(regex(pattern = r"^[0-9]{1,5}(h|d)$"))]
    pub window: String,
    /// Predicted probability from which an order is flagged as a likely return.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub flag_at: f64,
    /// What is returned or kept, and so what a score is of.
    pub unit: ReturnUnit,
    /// Time after placement at which an order that was never delivered counts as not returned: `90d`.
    #[schemars(regex(pattern = r"^[0-9]{1,5}(h|d)$"))]
    pub undelivered_after: String,
    /// Time after placement at which an order that was delivered counts as not returned unless a return is known: `30d`,
    /// or the day of its delivery if that is later. Left out, it is the end of `window` after delivery. With it rates of
    /// returns know of newer orders, and count as kept for now what is sent back later.
    #[schemars(regex(pattern = r"^[0-9]{1,5}(h|d)$"))]
    pub matures_after: Option<String>,
}

impl Default for ReturnRisk {
    fn default() -> Self {
        Self {
            family: Family::default(),
            without: Vec::new(),
            window: "30d".to_owned(),
            flag_at: 0.5,
            unit: ReturnUnit::default(),
            undelivered_after: "90d".to_owned(),
            matures_after: None,
        }
    }
}

/// What is returned or kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub enum ReturnUnit {
    /// The order: returned if any of it is.
    #[default]
    Order,
    /// The line of an order, as in fashion. Scores and features are then per `order_id` and `line`.
    Line,
}

/// Rules, costs and review capacity. Amounts are in units of the base currency.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Decision {
    /// What it costs to have a person look at one order.
    #[schemars(range(min = 0.0))]
    pub review_cost: f64,
    /// How many orders the desk can look at in a day; none by default means all.
    pub review_capacity_per_day: Option<u32>,
    /// How long after it was placed an order that can still be stopped is put before the desk: `30d`.
    #[schemars(regex(pattern = r"^[0-9]{1,5}(h|d)$"))]
    pub review_within: String,
    /// Share of the amount that is margin, lost when a good order is refused.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub margin_share: f64,
    /// Fee of a chargeback, lost beside the amount.
    #[schemars(range(min = 0.0))]
    pub chargeback_fee: f64,
    /// What a return costs (freight, handling, markdown).
    #[schemars(range(min = 0.0))]
    pub return_cost: f64,
    /// Share of the orders the model would have looked at or stopped that pass untouched, marked in `order_scores.control`;
    /// none by default. What becomes of them says how often the model is right where nobody interferes: of stopped orders
    /// nobody ever learns it. One that a rule stops or sends to the desk is never among them.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub control_share: f64,
    /// Key of the draw of the control share: equal seeds let the same orders pass in every run.
    pub control_seed: u64,
    /// Rules, by their effect and not by their place: of those an order matches, approve wins over hold, hold over review.
    pub rules: Vec<Rule>,
}

impl Default for Decision {
    fn default() -> Self {
        Self {
            review_cost: 4.0,
            review_capacity_per_day: None,
            review_within: "30d".to_owned(),
            margin_share: 0.2,
            chargeback_fee: 20.0,
            return_cost: 12.0,
            control_share: 0.0,
            control_seed: 1,
            rules: Vec::new(),
        }
    }
}

/// What a rule does with an order it matches.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub enum Effect {
    /// Let it pass whatever the scores say.
    Approve,
    /// Have a person look.
    Review,
    /// Stop it until a person has decided.
    Hold,
}

/// Whether a rule does what it says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub enum RuleMode {
    /// It has its effect, and stands in `rule_hits`.
    #[default]
    Act,
    /// It is matched and stands in `shadow_hits`, and changes nothing: for seeing what a new rule would do.
    Shadow,
}

/// A rule of the merchant.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// Its name, as it stands in `rule_hits` or `shadow_hits`.
    pub name: String,
    /// A SQL condition over the columns of `orders` and the features of the order. Null never matches, under NOT neither;
    /// `IS NULL` asks for it. What is divided by zero is null.
    pub when: String,
    /// What it does.
    pub effect: Effect,
    /// Whether it does it: `act`, or `shadow` to only write down what it would match.
    #[serde(default)]
    pub mode: RuleMode,
    /// Why, in words for the reviewer.
    pub reason: String,
}

/// When models in service are said to have drifted: what is found has to be as large as this, and larger than chance.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Monitor {
    /// The periods that models are watched by, beside the whole time since they learnt.
    pub grain: MonitorGrain,
    /// Population stability index of a feature or of the score that is worth a look, above what chance is expected to
    /// give. 0.1 and 0.25 are conventions of credit scoring (Siddiqi 2006, Credit risk scorecards).
    #[schemars(range(min = 0.0))]
    pub psi_watch: f64,
    /// The index that is worth an alarm.
    #[schemars(range(min = 0.0))]
    pub psi_alert: f64,
    /// Change in the share of missing values of a feature that is worth an alarm.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub missing_change: f64,
    /// How many times the predicted rate the observed one may be, or the other way round, before it is worth a look.
    #[schemars(range(min = 1.0))]
    pub calibration_watch: f64,
    /// The same that is worth an alarm.
    #[schemars(range(min = 1.0))]
    pub calibration_alert: f64,
    /// Precision of flags below which there is an alarm; none by default, as it follows from the costs.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub min_precision: Option<f64>,
    /// Share of flagged orders above which there is an alarm; none by default.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub max_flag_share: Option<f64>,
    /// Chance of any false alarm of one model in one run, were all orders independent.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub chance: f64,
}

impl Default for Monitor {
    fn default() -> Self {
        Self {
            grain: MonitorGrain::default(),
            psi_watch: 0.1,
            psi_alert: 0.25,
            missing_change: 0.05,
            calibration_watch: 1.25,
            calibration_alert: 1.5,
            min_precision: None,
            max_flag_share: None,
            chance: 0.01,
        }
    }
}

/// A period that models are watched by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub enum MonitorGrain {
    /// Calendar weeks from Monday on.
    #[default]
    Week,
    /// Calendar months.
    Month,
}
