//! Features that are declared.

use crate::contract::feature::{AggregateKind, EventKind};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

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
