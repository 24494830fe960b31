//! Features in words: what each counts or measures, its unit, what its null means, what it needs.

use super::chinese;
use crate::config::{FeatureSpec, Language};
use crate::contract::feature::{AggregateKind, ENTITIES, Entity, EventKind};
use crate::types::time::{DAY, HOUR};

/// A feature in words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Described {
    /// Its name.
    pub name: String,
    /// What it counts or measures, and its unit.
    pub note: FeatureNote,
    /// When it is null.
    pub null: String,
    /// The columns it is made of, with their tables.
    pub needs: Vec<String>,
    /// What the input lacks for it; empty if it is computed.
    pub missing: Vec<String>,
}

/// What a feature says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FeatureNote {
    /// What it counts or measures: `orders with this device in 24 h`, `age of the account`. Counts stand before it, other
    /// values after it.
    pub label: String,
    /// The unit of its value.
    pub unit: FeatureUnit,
}

/// Units of features.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FeatureUnit {
    /// A number of things.
    Count,
    /// Minor units of the base currency.
    Money,
    /// A part of a whole, 0 to 1.
    Share,
    /// Yes (1) or no (0).
    Flag,
    /// Hours.
    Hours,
    /// Days.
    Days,
    /// A factor: 2 is twice.
    Times,
    /// A plain number.
    Number,
}

impl FeatureUnit {
    /// As it stands in lists.
    pub fn words(self) -> &'static str {
        match self {
            Self::Count => "count",
            Self::Money => "minor units",
            Self::Share => "share, 0 to 1",
            Self::Flag => "1 yes, 0 no",
            Self::Hours => "hours",
            Self::Days => "days",
            Self::Times => "factor",
            Self::Number => "number",
        }
    }
}

/// A fact of the order or line itself: name, words, unit, when it is null, needs.
type Fact = (&'static str, &'static str, FeatureUnit, &'static str, &'static [&'static str]);

const NEVER: &str = "never";
const NOT_GIVEN: &str = "the column is null";
const NO_AMOUNT: &str = "the column is null or the amount 0";
const EITHER: &str = "one of the two countries is null";
const NO_LINE: &str = "no line of the order came in";

use FeatureUnit::{Count, Days, Flag, Hours, Money, Number, Share, Times};

static FACTS: &[Fact] = &[
    ("amount", "order amount", Money, NEVER, &["orders.amount"]),
    ("item_count", "items in the order", Count, NOT_GIVEN, &["orders.item_count"]),
    ("units", "units in the order", Count, NOT_GIVEN, &["orders.units"]),
    ("shipping_fee_share", "freight as a share of the amount", Share, NO_AMOUNT, &["orders.shipping_fee"]),
    ("tax_duty_share", "tax and duty as a share of the amount", Share, NO_AMOUNT, &["orders.tax_duty"]),
    ("discount_share", "discount as a share of the amount", Share, NO_AMOUNT, &["orders.discount"]),
    ("hour_of_day", "hour of the day when placed", Number, NEVER, &["orders.placed_at"]),
    ("is_night", "placed at night (0 to 6 h)", Flag, NEVER, &["orders.placed_at"]),
    ("is_weekend", "placed on a weekend", Flag, NEVER, &["orders.placed_at"]),
    ("account_age_days", "age of the account", Days, NOT_GIVEN, &["orders.account_created_at"]),
    ("promised_delivery_days", "time until the promised delivery", Days, NOT_GIVEN, &["orders.promised_delivery_at"]),
    ("promised_ship_hours", "time until the promised shipping", Hours, NOT_GIVEN, &["orders.promised_ship_at"]),
    (
        "ship_billing_country_differs",
        "shipping and billing country differ",
        Flag,
        EITHER,
        &["orders.ship_country", "orders.billing_country"],
    ),
    (
        "ship_ip_country_differs",
        "shipping country and country of the connection differ",
        Flag,
        EITHER,
        &["orders.ship_country", "orders.ip_country"],
    ),
    (
        "billing_ip_country_differs",
        "billing country and country of the connection differ",
        Flag,
        EITHER,
        &["orders.billing_country", "orders.ip_country"],
    ),
    (
        "billing_payment_country_differs",
        "billing country and country of the card differ",
        Flag,
        EITHER,
        &["orders.billing_country", "orders.payment_country"],
    ),
    ("basket_line_count", "lines in the basket", Count, NO_LINE, &["order_items.order_id"]),
    ("basket_article_count", "different articles in the basket", Count, NO_LINE, &["order_items.sku"]),
    ("basket_unit_price_max", "dearest item", Money, "no line has a price", &["order_items.unit_price"]),
    ("basket_sized_line_count", "lines with a size", Count, NO_LINE, &["order_items.size"]),
    (
        "basket_spare_size_count",
        "further sizes of the same item in the basket",
        Count,
        NO_LINE,
        &["order_items.sku", "order_items.size"],
    ),
    ("line_unit_price", "price of the item", Money, NOT_GIVEN, &["order_items.unit_price"]),
    (
        "line_cost_share",
        "this line as a share of the basket",
        Share,
        "the line has no price or the basket costs nothing",
        &["order_items.unit_price"],
    ),
    ("line_quantity", "quantity of the line", Count, NOT_GIVEN, &["order_items.quantity"]),
    ("line_same_article_count", "other lines with the same article", Count, NEVER, &["order_items.sku"]),
    (
        "line_spare_size_count",
        "further sizes of this article in the basket",
        Count,
        NEVER,
        &["order_items.sku", "order_items.size"],
    ),
];

/// A fact of the order or line itself; one of the pipeline's own (`x_NAME`) is called by its name.
pub(super) fn fact(name: &str) -> Described {
    let (label, unit, null, needs) = match FACTS.iter().find(|fact| fact.0 == name) {
        Some((_, label, unit, null, needs)) => ((*label).to_owned(), *unit, *null, needs.to_vec()),
        None => (name.trim_start_matches("x_").replace('_', " "), Number, NOT_GIVEN, vec![]),
    };
    let needs = needs.into_iter().map(str::to_owned).collect();
    Described {
        name: name.to_owned(),
        note: FeatureNote { label, unit },
        null: null.to_owned(),
        needs,
        missing: vec![],
    }
}

/// A declared feature.
pub(super) fn window(spec: &FeatureSpec, missing: Vec<String>) -> Described {
    let mut needs: Vec<String> = [Some(spec.entity), spec.with, spec.other]
        .into_iter()
        .flatten()
        .map(|entity| entity.needs.to_owned())
        .collect();
    needs.extend(events_need(spec.events).iter().map(|need| (*need).to_owned()));
    if let Some(value) = spec.value {
        needs.push(format!("{} of {}", value.name, spec.events.words()));
    }
    needs.dedup();
    let null = match spec.aggregate {
        AggregateKind::Count | AggregateKind::Sum | AggregateKind::Distinct => no_entity(spec),
        AggregateKind::Mean | AggregateKind::Max => "nothing in the window has such a value".to_owned(),
        AggregateKind::Ratio => "the order has no such value, or there is no mean above 0 to compare with".to_owned(),
        AggregateKind::SinceLast => "there is none in the window".to_owned(),
        AggregateKind::Rate if spec.prior.is_none() && spec.weight > 0.0 => {
            format!("{}, or nothing is known of any order of the shop yet", no_entity(spec))
        }
        AggregateKind::Rate if spec.weight == 0.0 && spec.events == EventKind::Delivery => {
            "nothing was ordered in the window".to_owned()
        }
        AggregateKind::Rate if spec.weight == 0.0 => "nothing is known of any order in the window".to_owned(),
        AggregateKind::Rate => no_entity(spec),
        AggregateKind::Share => format!("{}, or the shop has none in the window", no_entity(spec)),
        AggregateKind::FirstUse => format!("{}, or the {} has no earlier order", no_entity(spec), spec.entity.words),
    };
    Described { name: spec.name.clone(), note: note_of(spec), null, needs, missing }
}

/// A line feature over the lines of an order.
pub(super) fn over_lines(over: &str, spec: &FeatureSpec) -> Described {
    let line = window(spec, Vec::new());
    Described { name: format!("basket_{over}_{}", spec.name), note: basket(over, line.note), ..line }
}

fn basket(over: &str, note: FeatureNote) -> FeatureNote {
    let is_mean = over == "mean";
    let over = if is_mean { "mean over the basket" } else { "highest in the basket" };
    // A mean of counts is no count.
    let unit = if note.unit == Count && is_mean { Number } else { note.unit };
    FeatureNote { label: format!("{} ({over})", note.label), unit }
}

fn no_entity(spec: &FeatureSpec) -> String {
    match spec.with {
        Some(with) => format!("the order has no {} or no {}", spec.entity.words, with.words),
        None if spec.entity.column.is_empty() => NEVER.to_owned(),
        None => format!("the order has no {}", spec.entity.words),
    }
}

fn events_need(events: EventKind) -> &'static [&'static str] {
    match events {
        EventKind::Order => &["orders.placed_at"],
        EventKind::Line => &["order_items.order_id"],
        EventKind::Fraud => &["orders.fraud, tickets.kind or review_decisions.decision"],
        EventKind::Return => &["returns.requested_at", "orders.delivered_at"],
        EventKind::Delivery => &["orders.delivered_at or, of lines, order_items.delivered_at"],
        EventKind::ReturnRequest => &["returns.requested_at"],
        EventKind::Contact | EventKind::Dispute | EventKind::Claim | EventKind::Chargeback => &["tickets.kind"],
        EventKind::Feedback => &["feedback.score"],
    }
}

/// What a declared feature says.
fn note_of(spec: &FeatureSpec) -> FeatureNote {
    let whose = whose(spec.entity, spec.with);
    let when = when(spec.span, spec.delay);
    let events = spec.events.words();
    let value = spec.value.map_or_else(String::new, |value| value.name.replace('_', " "));
    let unit_of_value = if spec.value.is_some_and(|value| value.is_money) { Money } else { Number };
    let (label, unit) = match spec.aggregate {
        AggregateKind::Count => (format!("{events} {whose}{when}"), Count),
        AggregateKind::Sum => (format!("{value} of all {events} {whose}{when}"), unit_of_value),
        AggregateKind::Mean => (format!("usual {value} of {events} {whose}{when}"), unit_of_value),
        AggregateKind::Max => (format!("greatest {value} of {events} {whose}{when}"), unit_of_value),
        AggregateKind::Ratio => (format!("{value} as a multiple of the usual one {whose}{when}"), Times),
        AggregateKind::SinceLast => (format!("time since the last of the {events} {whose}"), Hours),
        AggregateKind::Distinct => {
            let other = spec.other.map_or("", |other| other.words);
            (format!("different {} {whose}{when}", plural(other)), Count)
        }
        AggregateKind::Rate if spec.events == EventKind::Delivery => {
            (format!("share delivered of what was ordered {whose}{when}"), Share)
        }
        AggregateKind::Rate => (format!("known {} rate of orders {whose}{when}", spec.events.name()), Share),
        AggregateKind::Share => (format!("share of all {events} that are {whose}{when}"), Share),
        AggregateKind::FirstUse => {
            let second = spec.with.map_or("", |with| with.words);
            (format!("first use of this {second} by a known {}", spec.entity.words), Flag)
        }
    };
    FeatureNote { label, unit }
}

fn whose(entity: &Entity, with: Option<&Entity>) -> String {
    let first = match entity.name {
        "shop" => "of the whole shop".to_owned(),
        "customer" => "by this customer".to_owned(),
        _ => format!("with this {}", entity.words),
    };
    with.map_or_else(|| first.clone(), |with| format!("{first} and this {}", with.words))
}

fn when(span: Option<i64>, delay: i64) -> String {
    let length = |span: i64| match span {
        span if span > DAY && span % DAY == 0 => format!("{} days", span / DAY),
        span => format!("{} h", span / HOUR),
    };
    let window = span.map_or_else(|| " before this one".to_owned(), |span| format!(" in {}", length(span)));
    if delay > 0 { format!("{window} up to {} ago", length(delay)) } else { window }
}

fn plural(words: &str) -> String {
    match words {
        "card or account" => "cards or accounts".to_owned(),
        words if words.ends_with("ss") => format!("{words}es"),
        words if words.ends_with("ry") => format!("{}ies", words.trim_end_matches('y')),
        words => format!("{words}s"),
    }
}

/// What a feature says, in a language. The pipeline's own columns keep their names in every language.
pub fn note_in(language: Language, name: &str, declared: &[FeatureSpec]) -> FeatureNote {
    let note = note(name, declared);
    match language {
        Language::En => note,
        Language::Zh => FeatureNote { label: chinese::label(name, declared).unwrap_or(note.label), ..note },
    }
}

/// Names of all facts of orders and lines.
#[cfg(test)]
pub(super) fn fact_names() -> impl Iterator<Item = &'static str> {
    FACTS.iter().map(|fact| fact.0)
}

/// What a feature says: one of the declared ones, a fact, or as far as its name tells, where its pipeline is not at hand.
pub fn note(name: &str, declared: &[FeatureSpec]) -> FeatureNote {
    if FACTS.iter().any(|fact| fact.0 == name) || name.starts_with("x_") {
        return fact(name).note;
    }
    if let Some(spec) = declared.iter().find(|spec| spec.name == name) {
        return note_of(spec);
    }
    for over in ["max", "mean"] {
        if let Some(line) = name.strip_prefix("basket_").and_then(|rest| rest.strip_prefix(over)?.strip_prefix('_')) {
            return basket(over, note(line, declared));
        }
    }
    if let Some(spec) = crate::config::built_in_features().into_iter().find(|spec| spec.name == name) {
        return note_of(&spec);
    }
    let unit = match name.rsplit_once('_').map(|(rest, _)| rest) {
        Some(rest) if rest.ends_with("_count") || rest.ends_with("_distinct") => Count,
        Some(rest) if rest.ends_with("_rate") || rest.ends_with("_share") => Share,
        Some(rest) if rest.ends_with("_ratio") => Times,
        Some(rest) if rest.ends_with("_since_last") => Hours,
        Some(rest) if rest.contains("amount") => Money,
        _ => Number,
    };
    let entity = ENTITIES.iter().find(|entity| name.starts_with(&format!("{}_", entity.name)));
    let label = match entity {
        Some(entity) => format!("{}{}", entity.words, name[entity.name.len()..].replace('_', " ")),
        None => name.replace('_', " "),
    };
    FeatureNote { label, unit }
}
