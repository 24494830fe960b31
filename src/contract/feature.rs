//! What window features are made of: entities, events, aggregates. The words with which a pipeline declares them.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Something that orders or their lines have in common, and whose past tells of the next one.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Entity {
    /// Its name in declarations and in names of features.
    pub name: &'static str,
    /// The accepted column that holds its key; empty for the whole shop. A null key is no entity.
    pub column: &'static str,
    /// The column a pipeline must map for it, with its table: another one where ingest derives the key.
    pub needs: &'static str,
    /// Whether it is one of order lines; else it is one of orders.
    pub of_line: bool,
    /// What it is called in sentences: `delivery address`.
    pub words: &'static str,
}

const fn order(name: &'static str, column: &'static str, needs: &'static str, words: &'static str) -> Entity {
    Entity { name, column, needs, of_line: false, words }
}

const fn line(name: &'static str, needs: &'static str, words: &'static str) -> Entity {
    Entity { name, column: name, needs, of_line: true, words }
}

/// Every entity.
pub static ENTITIES: &[Entity] = &[
    order("customer", "customer_id", "orders.customer_id", "customer"),
    order("device", "device_id", "orders.device_id", "device"),
    order("payment", "payment_id", "orders.payment_id", "card or account"),
    order("ip", "ip", "orders.ip", "IP address"),
    order("network", "ip_network", "orders.ip", "IP network"),
    order("email", "email", "orders.email", "e-mail address"),
    order("email_domain", "email_domain", "orders.email", "e-mail domain"),
    order("phone", "phone", "orders.phone", "phone number"),
    order("ship_address", "ship_address", "orders.ship_address", "delivery address"),
    order("ship_postcode", "ship_postcode", "orders.ship_postcode", "delivery postcode"),
    order("ship_region", "ship_region", "orders.ship_region", "delivery region"),
    order("ship_country", "ship_country", "orders.ship_country", "delivery country"),
    order("billing_country", "billing_country", "orders.billing_country", "billing country"),
    order("payment_country", "payment_country", "orders.payment_country", "country of the card"),
    order("ip_country", "ip_country", "orders.ip_country", "country of the connection"),
    order("payment_method", "payment_method", "orders.payment_method", "payment method"),
    order("service_level", "service_level", "orders.service_level", "service level"),
    order("channel", "channel", "orders.channel", "channel"),
    order("seller", "seller_id", "orders.seller_id", "seller"),
    order("warehouse", "warehouse_id", "orders.warehouse_id", "warehouse"),
    order("shop", "", "orders.order_id", "shop"),
    line("sku", "order_items.sku", "article"),
    line("category", "order_items.category", "category"),
    line("brand", "order_items.brand", "brand"),
    line("size", "order_items.size", "size"),
    line("color", "order_items.color", "color"),
];

/// The entity of this name.
pub fn entity(name: &str) -> Option<&'static Entity> {
    ENTITIES.iter().find(|entity| entity.name == name)
}

/// What happens to an entity.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub enum EventKind {
    /// An order is placed, and known at once.
    #[default]
    Order,
    /// A line of an order is placed with it.
    Line,
    /// An order turns out to be fraud: at its placement, known when the label, the chargeback or the decision came. Rates
    /// are over orders old enough to be certain either way. A decision that a later one takes back counts until then; in
    /// the time since the last one and in numbers of different others it stays.
    Fraud,
    /// An order (or line) is returned: at its placement, known when the return was. Rates are over delivered orders whose
    /// time for returning has passed.
    Return,
    /// An order (or line) arrives: at its placement, known when it did. Rates are over all that was placed: of a window
    /// that ends a `delay` before the order, the share that had arrived by now. What is out of stock shows there before
    /// anybody says so.
    Delivery,
    /// Somebody asks to return something: at the request, certain or not.
    ReturnRequest,
    /// A contact is opened.
    Contact,
    /// A dispute is opened.
    Dispute,
    /// A claim is opened.
    Claim,
    /// A chargeback comes in.
    Chargeback,
    /// Feedback with a score is received.
    Feedback,
}

/// A number of an event that can be added up.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct EventValue {
    /// Its column and its name in features.
    pub name: &'static str,
    /// Whether it is minor units of the base currency; else a plain number.
    pub is_money: bool,
}

const fn money(name: &'static str) -> EventValue {
    EventValue { name, is_money: true }
}

const fn number(name: &'static str) -> EventValue {
    EventValue { name, is_money: false }
}

/// What counts of an outcome that can be taken back: 1 when it becomes known, -1 when it turns out to be wrong. Features
/// count by its sum; it is none of the values that a pipeline can name.
pub static STANDING: EventValue = number("standing");

static ORDER_VALUES: &[EventValue] = &[
    money("amount"),
    money("shipping_fee"),
    money("tax_duty"),
    money("discount"),
    number("item_count"),
    number("units"),
];
static LINE_VALUES: &[EventValue] = &[money("unit_price"), number("quantity")];
static REQUEST_VALUES: &[EventValue] = &[money("amount"), number("quantity")];
static TICKET_VALUES: &[EventValue] = &[money("amount")];
static FEEDBACK_VALUES: &[EventValue] = &[number("score")];

impl EventKind {
    /// As it stands in declarations and in names of features.
    pub fn name(self) -> &'static str {
        match self {
            Self::Order => "order",
            Self::Line => "line",
            Self::Fraud => "fraud",
            Self::Return => "return",
            Self::Delivery => "delivery",
            Self::ReturnRequest => "return_request",
            Self::Contact => "contact",
            Self::Dispute => "dispute",
            Self::Claim => "claim",
            Self::Chargeback => "chargeback",
            Self::Feedback => "feedback",
        }
    }

    /// Several of them, in sentences.
    pub fn words(self) -> &'static str {
        match self {
            Self::Order => "orders",
            Self::Line => "order lines",
            Self::Fraud => "known frauds",
            Self::Return => "known returns",
            Self::Delivery => "known deliveries",
            Self::ReturnRequest => "return requests",
            Self::Contact => "contacts",
            Self::Dispute => "disputes",
            Self::Claim => "claims",
            Self::Chargeback => "chargebacks",
            Self::Feedback => "ratings",
        }
    }

    /// What can be added up over them.
    pub fn values(self) -> &'static [EventValue] {
        match self {
            Self::Order => ORDER_VALUES,
            Self::Line => LINE_VALUES,
            Self::ReturnRequest => REQUEST_VALUES,
            Self::Contact | Self::Dispute | Self::Claim | Self::Chargeback => TICKET_VALUES,
            Self::Feedback => FEEDBACK_VALUES,
            Self::Fraud | Self::Return | Self::Delivery => &[],
        }
    }

    /// Whether it says what became of an order, so that there is a rate of it.
    pub fn is_outcome(self) -> bool {
        matches!(self, Self::Fraud | Self::Return | Self::Delivery)
    }

    /// Whether an order asking for its features is such an event itself, with values of its own.
    pub fn is_placement(self) -> bool {
        matches!(self, Self::Order | Self::Line)
    }

    /// Whether entities of lines can have it; the others know only of whole orders.
    pub fn has_lines(self) -> bool {
        matches!(self, Self::Line | Self::Fraud | Self::Return | Self::Delivery)
    }
}

/// What is made of the events in a window.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub enum AggregateKind {
    /// Number of events.
    Count,
    /// Sum of a value.
    Sum,
    /// Mean of a value.
    Mean,
    /// Greatest value.
    Max,
    /// The order's own value as a multiple of the mean.
    Ratio,
    /// Hours since the latest event.
    SinceLast,
    /// Number of different other entities.
    Distinct,
    /// Smoothed share of orders that turned out to be frauds or returns, or that had arrived.
    Rate,
    /// The entity's share of all events of the shop: how common it is.
    Share,
    /// Whether the second entity of a pair was never seen with the first before.
    FirstUse,
}

impl AggregateKind {
    /// As it stands in declarations and in names of features.
    pub fn name(self) -> &'static str {
        match self {
            Self::Count => "count",
            Self::Sum => "sum",
            Self::Mean => "mean",
            Self::Max => "max",
            Self::Ratio => "ratio",
            Self::SinceLast => "since_last",
            Self::Distinct => "distinct",
            Self::Rate => "rate",
            Self::Share => "share",
            Self::FirstUse => "first_use",
        }
    }

    /// Whether it is of a value.
    pub fn is_of_value(self) -> bool {
        matches!(self, Self::Sum | Self::Mean | Self::Max | Self::Ratio)
    }
}
