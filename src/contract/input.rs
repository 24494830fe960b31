//! The input tables: what a pipeline may map its sources to.
//!
//! A table or a column that is not supplied is *absent*: no default is invented for it, and whatever needs it is
//! reported as not computable by its name.

use serde::{Deserialize, Serialize};

/// What the values of a column are, and so how text becomes one and what is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// An identifier: any text, compared byte by byte.
    Id,
    /// Any text.
    Text,
    /// One of the given words, compared without regard to case and stored in lower case.
    Word(&'static [&'static str]),
    /// A country: kept as text, ISO 3166 alpha-2 where the source has it.
    Country,
    /// ISO 4217 code.
    Currency,
    /// Integer minor units of the pipeline's base currency after ingest; never negative.
    Money,
    /// UTC microseconds after ingest.
    Instant,
    /// A whole number, not negative.
    Count,
    /// A finite number.
    Number,
    /// Yes or no.
    Flag,
    /// An exchange rate: positive exact decimal, stored in units of 1e-12.
    Rate,
    /// Something about a person: becomes a keyed hash at ingest.
    Personal(Personal),
}

/// Kinds of personal data, each with its own normal form before hashing and its own part that features may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Personal {
    /// Trimmed and lower-cased; the domain is kept.
    Email,
    /// Digits only; nothing is kept.
    Phone,
    /// IPv4 or IPv6; the network (/24 or /48) is kept as a hash of its own.
    Ip,
    /// Case, punctuation and blanks are folded; nothing is kept.
    Address,
    /// A card or account reference, byte by byte; nothing is kept.
    Payment,
}

/// A column of an input table.
#[derive(Debug, Clone, Copy)]
pub struct Column {
    /// Its name in the contract.
    pub name: &'static str,
    /// What its values are.
    pub kind: Kind,
    /// Whether a table without it, or a row with a null in it, is refused.
    pub required: bool,
}

/// An input table.
#[derive(Debug)]
pub struct Table {
    /// Its name in the contract.
    pub name: &'static str,
    /// Its columns, in the order they are shown.
    pub columns: &'static [Column],
    /// Columns that together name a row once; of rows with equal keys the latest is kept.
    pub key: &'static [&'static str],
    /// The column that says which of two rows with one key is the later one, if mapped; then the later row in the input.
    pub version: Option<&'static str>,
    /// The column of a row's own time: at its currency's rate of then, money is converted.
    pub clock: &'static str,
    /// Whether `order_id`, where not null, must name an accepted order.
    pub of_order: bool,
    /// Whether `x_NAME` columns may be mapped as model features.
    pub open: bool,
    /// Pairs of instants, earlier then later, that no real row can have the other way round.
    pub order_of_time: &'static [(&'static str, &'static str)],
}

impl Table {
    /// The column of this name.
    pub fn column(&self, name: &str) -> Option<&'static Column> {
        self.columns.iter().find(|c| c.name == name)
    }

    /// The kind of a mapped column, model features (`x_NAME`) included.
    pub fn kind_of(&self, name: &str) -> Option<Kind> {
        match self.column(name) {
            Some(column) => Some(column.kind),
            None if self.open && name.len() > 2 && name.starts_with("x_") => Some(Kind::Number),
            None => None,
        }
    }
}

/// The input table of this name.
pub fn table(name: &str) -> Option<&'static Table> {
    TABLES.iter().find(|t| t.name == name)
}

const fn req(name: &'static str, kind: Kind) -> Column {
    Column { name, kind, required: true }
}

const fn opt(name: &'static str, kind: Kind) -> Column {
    Column { name, kind, required: false }
}

use Kind::{Count, Country, Currency, Flag, Id, Instant, Text, Word};
const MONEY: Kind = Kind::Money;

/// Every event kind of `order_events`.
pub const EVENTS: &[&str] = &[
    "placed",
    "paid",
    "review_passed",
    "picked",
    "packed",
    "shipped",
    "first_scan",
    "customs_arrived",
    "customs_cleared",
    "at_local_post",
    "out_for_delivery",
    "delivered",
    "exception_delay",
    "exception_damage",
    "exception_lost",
    "exception_address",
    "stockout",
    "wrong_item",
];

/// All input tables. `orders` comes first: the others point to it.
pub static TABLES: &[Table] = &[
    Table {
        name: "orders",
        key: &["order_id"],
        version: Some("updated_at"),
        clock: "placed_at",
        of_order: false,
        open: true,
        order_of_time: &[
            ("placed_at", "paid_at"),
            ("placed_at", "approved_at"),
            ("placed_at", "shipped_at"),
            ("placed_at", "delivered_at"),
            ("placed_at", "completed_at"),
            ("placed_at", "cancelled_at"),
            ("shipped_at", "delivered_at"),
            ("account_created_at", "placed_at"),
        ],
        columns: &[
            req("order_id", Id),
            req("placed_at", Instant),
            req("customer_id", Id),
            req("amount", MONEY),
            opt("currency", Currency),
            opt("channel", Text),
            opt("seller_id", Id),
            opt("status", Text),
            opt("item_count", Count),
            opt("units", Count),
            opt("shipping_fee", MONEY),
            opt("tax_duty", MONEY),
            opt("discount", MONEY),
            opt("payment_method", Text),
            opt("payment_id", Kind::Personal(Personal::Payment)),
            opt("payment_country", Country),
            opt("email", Kind::Personal(Personal::Email)),
            opt("phone", Kind::Personal(Personal::Phone)),
            opt("ip", Kind::Personal(Personal::Ip)),
            opt("ip_country", Country),
            opt("device_id", Id),
            opt("billing_country", Country),
            opt("ship_country", Country),
            opt("ship_region", Text),
            opt("ship_postcode", Text),
            opt("ship_address", Kind::Personal(Personal::Address)),
            opt("paid_at", Instant),
            opt("approved_at", Instant),
            opt("promised_ship_at", Instant),
            opt("shipped_at", Instant),
            opt("promised_delivery_at", Instant),
            opt("delivered_at", Instant),
            opt("completed_at", Instant),
            opt("cancelled_at", Instant),
            opt("cancelled_by", Word(&["buyer", "seller", "platform", "carrier"])),
            opt("cancel_reason", Text),
            opt("warehouse_id", Id),
            opt("ship_from", Text),
            opt("carrier", Text),
            opt("service_level", Text),
            opt("account_created_at", Instant),
            opt("updated_at", Instant),
            opt("fraud", Flag),
            opt("fraud_known_at", Instant),
        ],
    },
    Table {
        name: "order_items",
        key: &["order_id", "line"],
        version: None,
        clock: "",
        of_order: true,
        open: true,
        order_of_time: &[],
        columns: &[
            req("order_id", Id),
            req("line", Id),
            req("sku", Id),
            opt("category", Text),
            opt("quantity", Count),
            opt("unit_price", MONEY),
            opt("currency", Currency),
            opt("brand", Text),
            opt("size", Text),
            opt("color", Text),
            opt("shipped_quantity", Count),
            opt("delivered_at", Instant),
        ],
    },
    Table {
        name: "order_events",
        key: &["order_id", "event", "occurred_at"],
        version: None,
        clock: "occurred_at",
        of_order: true,
        open: false,
        order_of_time: &[],
        columns: &[
            req("order_id", Id),
            req("event", Word(EVENTS)),
            req("occurred_at", Instant),
            opt("known_at", Instant),
            opt("country", Country),
            opt("detail", Text),
        ],
    },
    Table {
        name: "returns",
        key: &["return_id"],
        version: None,
        clock: "requested_at",
        of_order: true,
        open: false,
        order_of_time: &[
            ("requested_at", "approved_at"),
            ("requested_at", "rejected_at"),
            ("requested_at", "received_at"),
            ("requested_at", "refunded_at"),
            ("requested_at", "replacement_shipped_at"),
            ("requested_at", "closed_at"),
            ("replacement_shipped_at", "replacement_received_at"),
        ],
        columns: &[
            req("return_id", Id),
            req("order_id", Id),
            opt("line", Id),
            opt("kind", Word(&["refund", "exchange"])),
            req("requested_at", Instant),
            opt("known_at", Instant),
            opt("reason", Text),
            opt("approved_at", Instant),
            opt("rejected_at", Instant),
            opt("received_at", Instant),
            opt("refunded_at", Instant),
            opt("replacement_shipped_at", Instant),
            opt("replacement_received_at", Instant),
            opt("closed_at", Instant),
            opt("amount", MONEY),
            opt("currency", Currency),
            opt("quantity", Count),
        ],
    },
    Table {
        name: "tickets",
        key: &["ticket_id"],
        version: None,
        clock: "opened_at",
        of_order: true,
        open: false,
        order_of_time: &[("opened_at", "first_reply_at"), ("opened_at", "solved_at"), ("solved_at", "last_solved_at")],
        columns: &[
            req("ticket_id", Id),
            opt("order_id", Id),
            opt("customer_id", Id),
            opt("kind", Word(&["contact", "dispute", "claim", "chargeback"])),
            req("opened_at", Instant),
            opt("known_at", Instant),
            opt("first_reply_at", Instant),
            opt("solved_at", Instant),
            opt("last_solved_at", Instant),
            opt("channel", Text),
            opt("topic", Text),
            opt("language", Text),
            opt("agent_language", Text),
            opt("outcome", Text),
            opt("amount", MONEY),
            opt("currency", Currency),
        ],
    },
    Table {
        name: "feedback",
        key: &["feedback_id"],
        version: None,
        clock: "received_at",
        of_order: true,
        open: false,
        order_of_time: &[("received_at", "replied_at")],
        columns: &[
            req("feedback_id", Id),
            opt("order_id", Id),
            opt("customer_id", Id),
            req("received_at", Instant),
            opt("scale", Word(&["stars5", "csat5", "nps11", "ces7"])),
            opt("score", Count),
            opt("text", Text),
            opt("language", Text),
            opt("replied_at", Instant),
            opt("response_offered_at", Instant),
        ],
    },
    Table {
        name: "inventory",
        key: &["sku", "warehouse_id", "as_of"],
        version: None,
        clock: "as_of",
        of_order: false,
        open: false,
        order_of_time: &[],
        columns: &[req("sku", Id), opt("warehouse_id", Id), req("as_of", Instant), req("on_hand", Count)],
    },
    Table {
        name: "fx_rates",
        key: &["currency", "valid_from"],
        version: None,
        clock: "valid_from",
        of_order: false,
        open: false,
        order_of_time: &[],
        columns: &[req("currency", Currency), req("valid_from", Instant), req("rate_to_base", Kind::Rate)],
    },
    Table {
        name: "review_decisions",
        key: &["order_id", "reviewer", "decided_at"],
        version: None,
        clock: "decided_at",
        of_order: true,
        open: false,
        order_of_time: &[],
        columns: &[
            req("order_id", Id),
            req("decision", Word(&["fraud", "legit", "unsure"])),
            req("decided_at", Instant),
            opt("reviewer", Id),
        ],
    },
];
