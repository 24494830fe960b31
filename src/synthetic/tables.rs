//! From the life of an order to the rows of the tables, as they stand on the day of the export: what has not happened
//! by then is not written.

use super::aftermath::Aftermath;
use super::dice::Dice;
use super::dirt::Dirt;
use super::files::{As, CsvFile, JsonFile, ParquetFile, Value};
use super::fx::{Fx, push_money};
use super::ids::{push_hex, push_id, push_number};
use super::journey::Journey;
use super::order::{Fraud, Placed, Shop};
use super::people::{region, write_address, write_customer, write_email, write_ip, write_phone, write_postcode};
use super::places::{CARRIERS, CHANNELS, COUNTRIES, WAREHOUSES};
use super::{WrittenTable, catalog::CATEGORIES, ledgers};
use crate::error::Result;
use crate::types::time::SECOND;
use std::path::Path;

/// Columns of `orders.csv`, in the order they are written.
pub(super) const ORDERS: [&str; 44] = [
    "order_id",
    "placed_at",
    "customer_id",
    "amount",
    "currency",
    "channel",
    "seller_id",
    "status",
    "item_count",
    "units",
    "shipping_fee",
    "tax_duty",
    "discount",
    "payment_method",
    "payment_id",
    "payment_country",
    "email",
    "phone",
    "ip",
    "ip_country",
    "device_id",
    "billing_country",
    "ship_country",
    "ship_region",
    "ship_postcode",
    "ship_address",
    "paid_at",
    "approved_at",
    "promised_ship_at",
    "shipped_at",
    "promised_delivery_at",
    "delivered_at",
    "completed_at",
    "cancelled_at",
    "cancelled_by",
    "cancel_reason",
    "warehouse_id",
    "ship_from",
    "carrier",
    "service_level",
    "account_created_at",
    "updated_at",
    "fraud",
    "fraud_known_at",
];
pub(super) const RETURNS: [&str; 17] = [
    "return_id",
    "order_id",
    "line",
    "kind",
    "requested_at",
    "known_at",
    "reason",
    "approved_at",
    "rejected_at",
    "received_at",
    "refunded_at",
    "replacement_shipped_at",
    "replacement_received_at",
    "closed_at",
    "amount",
    "currency",
    "quantity",
];
pub(super) const FEEDBACK: [&str; 10] = [
    "feedback_id",
    "order_id",
    "customer_id",
    "received_at",
    "scale",
    "score",
    "text",
    "language",
    "replied_at",
    "response_offered_at",
];
pub(super) const INVENTORY: [&str; 4] = ["sku", "warehouse_id", "as_of", "on_hand"];
pub(super) const ITEMS: [(&str, As); 11] = [
    ("order_id", As::Text),
    ("line", As::Text),
    ("sku", As::Text),
    ("category", As::Text),
    ("quantity", As::Integer),
    ("unit_price", As::Text),
    ("currency", As::Text),
    ("brand", As::Text),
    ("size", As::Text),
    ("color", As::Text),
    ("shipped_quantity", As::Integer),
];
pub(super) const EVENTS: [(&str, As); 6] = [
    ("order_id", As::Text),
    ("event", As::Text),
    ("occurred_at", As::Instant),
    ("known_at", As::Instant),
    ("country", As::Text),
    ("detail", As::Text),
];
const TRUTH: [(&str, As); 7] = [
    ("order_id", As::Text),
    ("fraud", As::Flag),
    ("fraud_kind", As::Text),
    ("returned", As::Flag),
    ("return_cause", As::Text),
    ("dirty_kind", As::Text),
    ("satisfaction", As::Real),
];

/// Events that carriers make.
const SCANS: [&str; 6] =
    ["first_scan", "customs_arrived", "customs_cleared", "at_local_post", "out_for_delivery", "delivered"];

/// Counts of rows that are not simply good.
#[derive(Debug, Default, Clone, Copy)]
struct Flaws {
    dirty: u64,
    orphaned: u64,
    superseded: u64,
}

/// All files of the shop, open.
pub(super) struct Tables {
    pub(super) as_of: i64,
    dirty_share: f64,
    orders: CsvFile,
    items: ParquetFile,
    events: ParquetFile,
    pub(super) returns: CsvFile,
    pub(super) tickets: JsonFile,
    pub(super) feedback: CsvFile,
    truth: ParquetFile,
    flaws: [Flaws; 6],
    /// Texts of the order in hand, kept for their room.
    pub(super) order_id: String,
    pub(super) customer_id: String,
    pub(super) text: String,
}

// Places in `Tables::flaws`.
const OF_ORDERS: usize = 0;
const OF_ITEMS: usize = 1;
const OF_EVENTS: usize = 2;
pub(super) const OF_RETURNS: usize = 3;
pub(super) const OF_TICKETS: usize = 4;
pub(super) const OF_FEEDBACK: usize = 5;

impl Tables {
    pub(super) fn create(folder: &Path, as_of: i64, dirty_share: f64) -> Result<Self> {
        Ok(Self {
            as_of,
            dirty_share,
            orders: CsvFile::create(folder, "orders.csv", &ORDERS)?,
            items: ParquetFile::create(folder, "order_items.parquet", &ITEMS)?,
            events: ParquetFile::create(folder, "order_events.parquet", &EVENTS)?,
            returns: CsvFile::create(folder, "returns.csv", &RETURNS)?,
            tickets: JsonFile::create(folder, "tickets.ndjson")?,
            feedback: CsvFile::create(folder, "feedback.csv", &FEEDBACK)?,
            truth: ParquetFile::create(folder, "truth.parquet", &TRUTH)?,
            flaws: [Flaws::default(); 6],
            order_id: String::new(),
            customer_id: String::new(),
            text: String::new(),
        })
    }

    /// Whether an instant has come by the day of the export.
    pub(super) fn past(&self, at: Option<i64>) -> Option<i64> {
        at.filter(|at| *at <= self.as_of)
    }

    /// Whether a row outside `orders` is spoilt; rarer there, as most exports trip over the order itself.
    pub(super) fn spoilt(&self, dirt: &mut Dice) -> bool {
        dirt.chance(self.dirty_share * 0.15)
    }

    /// Counts a row of a table that points to the order in hand.
    pub(super) fn count(&mut self, table: usize, spoilt: bool, orphaned: bool) {
        self.flaws[table].dirty += u64::from(spoilt);
        self.flaws[table].orphaned += u64::from(orphaned && !spoilt);
    }

    /// Writes all rows of an order.
    pub(super) fn write(
        &mut self,
        shop: &Shop,
        order: &Placed,
        way: &Journey,
        after: &Aftermath,
        spoil: Option<Dirt>,
        dirt: &mut Dice,
    ) -> Result<()> {
        self.order_id.clear();
        push_id(&mut self.order_id, 'O', order.number);
        self.customer_id.clear();
        write_customer(&mut self.customer_id, order.person.key);
        let orphaned = spoil.is_some_and(|s| s != Dirt::Duplicate);
        self.write_order(order, way, after, spoil, dirt)?;
        self.write_items(shop, order, way, orphaned, dirt)?;
        self.write_events(way, orphaned, dirt)?;
        for (i, case) in after.returns.iter().enumerate() {
            self.write_return(order, case, i, orphaned, dirt)?;
        }
        for (i, ticket) in after.tickets.iter().enumerate() {
            self.write_ticket(order, ticket, i, orphaned, dirt)?;
        }
        self.write_feedback(order, after, orphaned, dirt)?;
        let cause = after.returns.first().map(|r| r.reason);
        self.truth.row(&[
            Value::Text(Some(&self.order_id)),
            Value::Flag(order.fraud != Fraud::None),
            Value::Text(Some(order.fraud.word())),
            Value::Flag(!after.returns.is_empty()),
            Value::Text(cause),
            Value::Text(spoil.map(Dirt::word)),
            Value::Real((after.satisfaction * 10.0).round() / 10.0),
        ])
    }

    fn write_order(
        &mut self,
        order: &Placed,
        way: &Journey,
        after: &Aftermath,
        spoil: Option<Dirt>,
        dirt: &mut Dice,
    ) -> Result<()> {
        let as_of = self.as_of;
        let past = |at: Option<i64>| at.filter(|at| *at <= as_of);
        let [paid, approved, shipped, delivered, completed, cancelled, known] = [
            way.paid_at,
            way.approved_at,
            way.shipped_at,
            way.delivered_at,
            way.completed_at,
            way.cancelled_at,
            after.fraud_known_at,
        ]
        .map(past);
        let status = match () {
            () if cancelled.is_some() => "cancelled",
            () if completed.is_some() => "completed",
            () if delivered.is_some() => "delivered",
            () if shipped.is_some() => "in_transit",
            () if approved.is_some() => "processing",
            () if paid.is_some() => "in_review",
            () => "awaiting_payment",
        };
        let updated =
            [paid, approved, shipped, delivered, completed, cancelled].into_iter().flatten().max().unwrap_or(order.at);
        let country = |index: usize| COUNTRIES[index].code;
        let known_to_us = |text: &'static str| if order.anonymous { "" } else { text };
        let (row, text) = (&mut self.orders, &mut self.text);
        let mut scratch = |row: &mut CsvFile, write: &dyn Fn(&mut String)| {
            text.clear();
            write(text);
            row.text(text);
        };
        row.text(&self.order_id);
        row.instant(Some(order.at));
        row.text(&self.customer_id);
        row.money(Some(order.amount), order.exponent);
        row.text(Fx::code(order.currency));
        row.text(CHANNELS[order.channel].name);
        scratch(row, &|t| push_number(t, "S", order.seller, 3));
        row.text(status);
        row.count(Some(order.lines.len() as i64));
        row.count(Some(order.lines.iter().map(|l| l.quantity).sum()));
        for money in [order.fee, order.duty, order.discount] {
            row.money(Some(money), order.exponent);
        }
        row.text(order.method);
        scratch(row, &|t| push_hex(t, "pm_", order.card));
        row.text(country(order.card_country));
        scratch(row, &|t| write_email(t, order.email, order.throwaway_email));
        if order.anonymous {
            row.text("");
            row.text("");
        } else {
            scratch(row, &|t| write_phone(t, order.phone, order.person.home));
            scratch(row, &|t| write_ip(t, order.ip));
        }
        row.text(known_to_us(country(order.ip_country)));
        if order.anonymous {
            row.text("");
        } else {
            scratch(row, &|t| push_hex(t, "d", order.device));
        }
        row.text(country(order.billing));
        row.text(country(order.ship));
        row.text(region(order.address, order.ship));
        scratch(row, &|t| write_postcode(t, order.address, order.ship));
        scratch(row, &|t| write_address(t, order.address));
        for at in [
            paid,
            approved,
            Some(way.promised_ship_at),
            shipped,
            Some(way.promised_delivery_at),
            delivered,
            completed,
            cancelled,
        ] {
            row.instant(at);
        }
        row.text(if cancelled.is_some() { way.cancelled_by } else { "" });
        row.text(if cancelled.is_some() { way.cancel_reason } else { "" });
        row.text(WAREHOUSES[order.warehouse].id);
        row.text(country(WAREHOUSES[order.warehouse].country));
        row.text(CARRIERS[order.carrier].name);
        row.text(if order.express { "express" } else { "standard" });
        row.instant(Some(order.person.created_at));
        row.instant(Some(updated));
        // A label only where one is known: an honest order carries none and ripens with age.
        row.text(if known.is_some() { "true" } else { "" });
        row.instant(known);
        match spoil {
            None => row.end_row(),
            Some(Dirt::Duplicate) => {
                self.flaws[OF_ORDERS].superseded += 1;
                write_twice(row, order.at, updated, dirt)
            }
            Some(kind) => {
                self.flaws[OF_ORDERS].dirty += 1;
                let mut fields = row.fields();
                kind.spoil(&mut fields, &ORDERS, dirt);
                row.set_row(&fields);
                row.end_row()
            }
        }
    }

    fn write_items(
        &mut self,
        shop: &Shop,
        order: &Placed,
        way: &Journey,
        orphaned: bool,
        dirt: &mut Dice,
    ) -> Result<()> {
        let shipped = self.past(way.shipped_at).is_some();
        for (i, line) in order.lines.iter().enumerate() {
            let spoilt = self.spoilt(dirt);
            self.count(OF_ITEMS, spoilt, orphaned);
            let stray = spoilt && dirt.chance(0.5);
            let article = &shop.catalog.skus[line.sku];
            let short = i64::from(way.short && i + 1 == order.lines.len());
            let mut number = String::new();
            push_number(&mut number, "", i as u64 + 1, 1);
            self.text.clear();
            shop.catalog.write_sku(&mut self.text, line.sku);
            let mut price = Vec::with_capacity(12);
            push_money(&mut price, line.unit_price, order.exponent);
            let stray_id = stray.then(|| stray_id(order.number));
            let some = |text: &'static str| Value::Text(Some(text).filter(|t| !t.is_empty()));
            self.items.row(&[
                Value::Text(Some(stray_id.as_deref().unwrap_or(&self.order_id))),
                Value::Text(Some(&number)),
                Value::Text(Some(&self.text)),
                Value::Text(Some(CATEGORIES[article.category].name)),
                Value::Integer(Some(if spoilt && !stray { -line.quantity } else { line.quantity })),
                Value::Text(std::str::from_utf8(&price).ok()),
                Value::Text(Some(Fx::code(order.currency))),
                Value::Text(Some(article.brand)),
                some(line.size),
                some(line.color),
                Value::Integer(shipped.then_some(line.quantity - short)),
            ])?;
        }
        Ok(())
    }

    fn write_events(&mut self, way: &Journey, orphaned: bool, dirt: &mut Dice) -> Result<()> {
        for event in &way.events {
            if event.at > self.as_of || event.known_at > self.as_of || way.cancelled_at.is_some_and(|c| c < event.at) {
                continue;
            }
            let spoilt = self.spoilt(dirt);
            // After the draw, so that a parcel nobody scanned changes no other row.
            if way.untracked && SCANS.contains(&event.kind) {
                continue;
            }
            self.count(OF_EVENTS, spoilt, orphaned);
            self.events.row(&[
                Value::Text(Some(&self.order_id)),
                Value::Text(Some(if spoilt { "teleported" } else { event.kind })),
                Value::Instant(Some(event.at)),
                Value::Instant(Some(event.known_at)),
                Value::Text(Some(COUNTRIES[event.country].code)),
                Value::Text(Some(event.detail).filter(|d| !d.is_empty())),
            ])?;
        }
        Ok(())
    }

    /// Closes all files, in the order of the contract's tables and the truth last.
    pub(super) fn finish(
        self,
        folder: &Path,
        shop: &Shop,
        first_day: i32,
        last_day: i32,
        dirt: &mut Dice,
    ) -> Result<Vec<WrittenTable>> {
        let flaws = self.flaws;
        let table = |name, (path, rows), flaws: Flaws| WrittenTable {
            name,
            path,
            rows,
            dirty_rows: flaws.dirty,
            orphaned_rows: flaws.orphaned,
            superseded_rows: flaws.superseded,
        };
        Ok(vec![
            table("orders", self.orders.finish()?, flaws[OF_ORDERS]),
            table("order_items", self.items.finish()?, flaws[OF_ITEMS]),
            table("order_events", self.events.finish()?, flaws[OF_EVENTS]),
            table("returns", self.returns.finish()?, flaws[OF_RETURNS]),
            table("tickets", self.tickets.finish()?, flaws[OF_TICKETS]),
            table("feedback", self.feedback.finish()?, flaws[OF_FEEDBACK]),
            {
                let (file, dirty) =
                    ledgers::write_inventory(folder, shop, first_day, last_day, self.dirty_share, dirt)?;
                table("inventory", file, Flaws { dirty, ..Flaws::default() })
            },
            table("fx_rates", ledgers::write_rates(folder, shop, first_day)?, Flaws::default()),
            table("truth", self.truth.finish()?, Flaws::default()),
        ])
    }
}

/// Writes the row in hand and an older state of it, in either order: the later `updated_at` counts, not the later row.
fn write_twice(row: &mut CsvFile, placed_at: i64, updated: i64, dirt: &mut Dice) -> Result<()> {
    let newest = row.fields();
    let mut older = newest.clone();
    let at = |name: &str| ORDERS.iter().position(|n| *n == name).unwrap_or(0);
    for gone in [
        "paid_at",
        "approved_at",
        "shipped_at",
        "delivered_at",
        "completed_at",
        "cancelled_at",
        "cancelled_by",
        "cancel_reason",
        "fraud",
        "fraud_known_at",
    ] {
        older[at(gone)].clear();
    }
    older[at("status")] = b"awaiting_payment".to_vec();
    // An order that nothing has happened to since was exported a second before its own time stamp.
    let seen = if updated > placed_at { placed_at } else { updated - SECOND };
    let mut text = Vec::new();
    super::files::push_instant(&mut text, seen);
    older[at("updated_at")] = text;
    let (first, second) = if dirt.chance(0.3) { (newest, older) } else { (older, newest) };
    row.set_row(&first);
    row.end_row()?;
    row.set_row(&second);
    row.end_row()
}

fn stray_id(number: u64) -> String {
    let mut id = String::new();
    push_id(&mut id, 'X', number);
    id
}
