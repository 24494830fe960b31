//! The pipeline file as it is written. These structs are its schema: editors, the validator and the docs use one source.

use super::{Exceptions, Inventory, Stream};
use crate::contract::feature::{AggregateKind, EventKind};
use crate::contract::input::Personal;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
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

/// File formats.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub enum Format {
    /// Delimited text with a header row.
    Csv,
    /// One JSON object a line.
    Ndjson,
    /// Apache Parquet.
    Parquet,
}

/// A file, a glob or a folder of files of one shape.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Source {
    /// File, glob or folder, relative to the pipeline file. `.gz` and `.zst` are unpacked while reading.
    pub path: String,
    /// Format; left out, it follows the file name.
    #[serde(default)]
    pub format: Option<Format>,
    /// Field separator of delimited text: one character, `tab` for a tab. Default `,`.
    #[serde(default)]
    pub delimiter: Option<String>,
    /// Text encoding: `utf-8` (default), `latin1`, or any label of the WHATWG encoding standard.
    #[serde(default)]
    pub encoding: Option<String>,
    /// Decimal mark of numbers and money: `.` (default) or `,`.
    #[serde(default)]
    pub decimal: Option<String>,
    /// Texts that mean "no value" in every column. Default: the empty text only.
    #[serde(default)]
    pub null: Option<Vec<String>>,
    /// Types of columns. A column that is not named here is text, or takes the type of the contract column mapped to it.
    #[serde(default)]
    pub columns: BTreeMap<String, SourceColumn>,
}

/// Types of source columns.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub enum ColumnType {
    /// Any text.
    Text,
    /// A whole number.
    Integer,
    /// A number, as a 64-bit float.
    Number,
    /// An amount, as an integer of minor units of its currency.
    Money,
    /// An exchange rate, as an exact decimal.
    Rate,
    /// A date and time.
    Datetime,
    /// Yes or no.
    Flag,
    /// Personal: an e-mail address.
    Email,
    /// Personal: a phone number.
    Phone,
    /// Personal: an IP address.
    Ip,
    /// Personal: a street address.
    Address,
    /// Personal: a card or account reference.
    Payment,
}

impl ColumnType {
    /// The kind of personal data, if it is one.
    pub fn personal(self) -> Option<Personal> {
        match self {
            Self::Email => Some(Personal::Email),
            Self::Phone => Some(Personal::Phone),
            Self::Ip => Some(Personal::Ip),
            Self::Address => Some(Personal::Address),
            Self::Payment => Some(Personal::Payment),
            _ => None,
        }
    }
}

/// How the values of one source column are read.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SourceColumn {
    /// The type that every value must have; a row with a value that has not is quarantined.
    #[serde(rename = "type")]
    pub column_type: ColumnType,
    /// Date formats tried in order (`%Y-%m-%d %H:%M:%S`, …; also `unix`, `unix_ms`, `unix_us`). Default: RFC 3339 and ISO 8601 forms.
    #[serde(default)]
    pub formats: Vec<String>,
    /// Zone of times without an offset in this column; default `time.zone`.
    #[serde(default)]
    pub zone: Option<String>,
    /// The one currency of a money column.
    #[serde(default)]
    pub currency: Option<String>,
    /// The column that holds the currency of each row of a money column.
    #[serde(default)]
    pub currency_column: Option<String>,
    /// Round digits beyond the currency's minor unit (half to even, counted) instead of refusing the row.
    #[serde(default)]
    pub round: bool,
    /// Further texts that mean "no value" in this column.
    #[serde(default)]
    pub null: Vec<String>,
}

/// How one input table is made: a column map over one source, or SQL over the sources.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TableMap {
    /// The source whose columns are mapped.
    #[serde(default)]
    pub source: Option<String>,
    /// Contract column = source column.
    #[serde(default)]
    pub columns: BTreeMap<String, String>,
    /// A polars SQL query over the sources by their names; its result columns carry the contract's names.
    #[serde(default)]
    pub sql: Option<String>,
}

impl TableMap {
    /// The sources it reads.
    pub fn sources(&self) -> std::collections::BTreeSet<String> {
        let of_sql = self.sql.as_deref().map(super::tables_of).unwrap_or_default();
        of_sql.into_iter().chain(self.source.clone()).collect()
    }
}

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

/// Features of orders beside the facts of the order itself: what its customer, device and so on did before it.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct FeatureSettings {
    /// Where to begin: `default`, the built-in catalogue, or `none`.
    pub catalogue: Catalogue,
    /// Names of the built-in catalogue to leave out; `*` stands for anything.
    pub without: Vec<String>,
    /// Further features; one with the name of a built-in one replaces it.
    pub declare: Vec<Declared>,
}

/// The set of features to begin with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub enum Catalogue {
    /// The built-in features, as far as the input can feed them.
    #[default]
    Default,
    /// Only what is declared.
    None,
}

/// Window features of one entity over one kind of event: one for each aggregate and window.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Declared {
    /// Whose past it is: `customer`, `device`, `seller`, `sku`, …, `shop` for everything, or a pair such as `customer+device`.
    pub entity: String,
    /// What happened to it. Left out: `order`, and `line` for entities of order lines.
    #[serde(default)]
    pub events: Option<EventKind>,
    /// What is made of the events.
    pub aggregates: Vec<AggregateKind>,
    /// How far back: spans such as `24h` or `30d`, and `lifetime`, which it is if left out.
    #[serde(default = "lifetime")]
    pub windows: Vec<String>,
    /// What is added up, for `sum`, `mean`, `max` and `ratio`.
    #[serde(default)]
    pub value: Option<String>,
    /// The other entity that is counted, for `distinct`.
    #[serde(default)]
    pub other: Option<String>,
    /// Time before the order at which windows end; none if left out.
    #[serde(default)]
    #[schemars(regex(pattern = r"^[0-9]{1,5}(h|d)$"))]
    pub delay: Option<String>,
    /// The rate to be assumed without any event, for `rate`. Left out: the whole shop's, as known when the order is placed.
    #[serde(default)]
    #[schemars(range(min = 0.0, max = 1.0))]
    pub prior: Option<f64>,
    /// How many events the prior is worth, for `rate`; 20 if left out.
    #[serde(default)]
    #[schemars(range(min = 0.0))]
    pub weight: Option<f64>,
    /// First part of the names, instead of the entity's and the event's.
    #[serde(default)]
    #[schemars(regex(pattern = r"^[A-Za-z0-9_-]+$"))]
    pub what: Option<String>,
}

fn lifetime() -> Vec<String> {
    vec!["lifetime".to_owned()]
}

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
