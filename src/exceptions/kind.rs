//! What each kind of exception means and what it needs.

use crate::config::Exceptions;
use crate::contract::exception::ExceptionKind as Kind;
use crate::kpi::Availability;

/// A kind in words.
pub fn meaning(kind: Kind) -> &'static str {
    match kind {
        Kind::PaymentOverdue => "placed, and not paid within the limit",
        Kind::AuditOverdue => "paid, and not approved within the limit",
        Kind::AddressIncomplete => "waits to ship without address or contact, or a carrier cannot find the address",
        Kind::DestinationRestricted => "goes to a country on the list of restricted destinations",
        Kind::DestinationMismatch => "goes to a country that neither billing, payment nor network point to",
        Kind::StockShort => "paid, and the stock does not cover it, served in the order of payment",
        Kind::NotShippedByPromise => "the promised time of shipping has passed and it has not left",
        Kind::NoCarrierScan => "shipped, and no carrier has scanned it within the limit",
        Kind::StuckInTransit => "on the road, and silent for longer than most parcels of its lane",
        Kind::StuckInCustoms => "in customs for longer than most parcels of its lane",
        Kind::DeliveryPromiseBroken => "the promised day has passed and it is not delivered",
        Kind::Damaged => "reported damaged and not settled",
        Kind::Lost => "reported lost and not settled",
        Kind::WrongItem => "reported as the wrong article and not settled",
        Kind::ReturnWaiting => "a return not answered within the limit, or received and not refunded or replaced",
        Kind::ReturnPriority => "a return of high value, or one that cannot wait, with the next step the shop's",
        Kind::DisputeDeadline => "a dispute, claim or chargeback open near its deadline",
        Kind::PriceFell => "something in it became cheaper before it was delivered",
    }
}

/// What the input or the settings lack for a kind; nothing if it can be looked for. Alternatives are `a or b`.
pub fn missing(kind: Kind, available: &Availability, settings: &Exceptions) -> Vec<String> {
    let mut missing = available.missing(match kind {
        Kind::PaymentOverdue => &["orders.paid_at"],
        Kind::AuditOverdue => &["orders.paid_at", "orders.approved_at"],
        Kind::AddressIncomplete => &["orders.shipped_at"],
        Kind::DestinationRestricted => &["orders.ship_country"],
        Kind::DestinationMismatch => &["orders.ship_country", "orders.shipped_at"],
        Kind::StockShort => &[
            "orders.shipped_at",
            "inventory.on_hand|order_events.event",
            // Without lines, only the warehouse's own word is left.
            "order_items.quantity|order_events.event",
        ],
        Kind::NotShippedByPromise => &["orders.promised_ship_at", "orders.shipped_at"],
        Kind::NoCarrierScan => &["orders.shipped_at", "order_events.event"],
        Kind::StuckInTransit => &["orders.shipped_at", "orders.delivered_at"],
        Kind::StuckInCustoms => &["orders.shipped_at", "order_events.event"],
        Kind::DeliveryPromiseBroken => &["orders.promised_delivery_at", "orders.delivered_at"],
        Kind::Damaged | Kind::Lost | Kind::WrongItem => &["order_events.event|tickets.topic|returns.reason"],
        Kind::ReturnWaiting | Kind::ReturnPriority => &["returns.approved_at|returns.received_at"],
        Kind::DisputeDeadline => &["tickets.kind", "tickets.solved_at"],
        Kind::PriceFell => &["order_items.unit_price", "orders.delivered_at"],
    });
    match kind {
        Kind::AddressIncomplete => {
            let columns: Vec<String> = address_columns(settings).map(|name| format!("orders.{name}")).collect();
            let any = columns.iter().any(|name| available.has(name)) || available.has("order_events.event");
            if !any {
                missing.push(format!("one of {}", columns.join(", ")));
            }
        }
        Kind::DestinationRestricted if settings.restricted_destinations.is_empty() => {
            missing.push("setting exceptions.restricted_destinations".to_owned());
        }
        Kind::DestinationMismatch => {
            let known = MISMATCH.iter().filter(|name| available.has(&format!("orders.{name}"))).count();
            if known < 2 {
                missing.push(format!("two of {}", MISMATCH.map(|name| format!("orders.{name}")).join(", ")));
            }
        }
        _ => {}
    }
    missing
}

/// Columns that say where a buyer is.
pub(super) const MISMATCH: [&str; 3] = ["billing_country", "payment_country", "ip_country"];

/// The columns that addresses are held against, alternatives one by one.
pub(super) fn address_columns(settings: &Exceptions) -> impl Iterator<Item = &str> {
    settings.address_needs.iter().flat_map(|need| need.split('|')).map(str::trim)
}
