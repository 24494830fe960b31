//! Kinds of exceptions: what can be stuck with an order so that somebody has to act.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A kind of exception.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub enum ExceptionKind {
    /// Placed, and not paid within the limit.
    PaymentOverdue,
    /// Paid, and not approved within the limit.
    AuditOverdue,
    /// Waiting to be shipped without an address or a contact, or a carrier says that the address is wrong.
    AddressIncomplete,
    /// On its way to a country on the list of restricted destinations.
    DestinationRestricted,
    /// To be shipped to a country that is neither where the buyer pays, nor is billed, nor ordered from.
    DestinationMismatch,
    /// Paid, and the stock does not cover it.
    StockShort,
    /// Due to ship, and not shipped.
    NotShippedByPromise,
    /// Shipped, and never scanned by a carrier.
    NoCarrierScan,
    /// On the road, and silent for longer than parcels of its lane usually are.
    StuckInTransit,
    /// In customs for longer than parcels of its lane usually are.
    StuckInCustoms,
    /// The promised day has passed, and it is not delivered.
    DeliveryPromiseBroken,
    /// Reported damaged, and not settled.
    Damaged,
    /// Reported lost, and not settled.
    Lost,
    /// Reported as the wrong article, and not settled.
    WrongItem,
    /// A return that nobody answered, or that came in and was not refunded or replaced.
    ReturnWaiting,
    /// A return of high value, or one that cannot wait: first in line.
    ReturnPriority,
    /// A dispute, claim or chargeback that is open near the end of the time to answer it.
    DisputeDeadline,
    /// The price of something in the order fell before it was delivered: the difference may be owed.
    PriceFell,
}

impl ExceptionKind {
    /// Every kind, in the order of an order's life.
    pub const ALL: [Self; 18] = [
        Self::PaymentOverdue,
        Self::AuditOverdue,
        Self::AddressIncomplete,
        Self::DestinationRestricted,
        Self::DestinationMismatch,
        Self::StockShort,
        Self::NotShippedByPromise,
        Self::NoCarrierScan,
        Self::StuckInTransit,
        Self::StuckInCustoms,
        Self::DeliveryPromiseBroken,
        Self::Damaged,
        Self::Lost,
        Self::WrongItem,
        Self::ReturnWaiting,
        Self::ReturnPriority,
        Self::DisputeDeadline,
        Self::PriceFell,
    ];

    /// Its name in the output and in the pipeline file.
    pub fn name(self) -> &'static str {
        match self {
            Self::PaymentOverdue => "payment_overdue",
            Self::AuditOverdue => "audit_overdue",
            Self::AddressIncomplete => "address_incomplete",
            Self::DestinationRestricted => "destination_restricted",
            Self::DestinationMismatch => "destination_mismatch",
            Self::StockShort => "stock_short",
            Self::NotShippedByPromise => "not_shipped_by_promise",
            Self::NoCarrierScan => "no_carrier_scan",
            Self::StuckInTransit => "stuck_in_transit",
            Self::StuckInCustoms => "stuck_in_customs",
            Self::DeliveryPromiseBroken => "delivery_promise_broken",
            Self::Damaged => "damaged",
            Self::Lost => "lost",
            Self::WrongItem => "wrong_item",
            Self::ReturnWaiting => "return_waiting",
            Self::ReturnPriority => "return_priority",
            Self::DisputeDeadline => "dispute_deadline",
            Self::PriceFell => "price_fell",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::ExceptionKind;

    #[test]
    fn names_are_those_of_the_pipeline_file() {
        for kind in ExceptionKind::ALL {
            assert_eq!(serde_json::to_value(kind).unwrap(), kind.name());
        }
    }
}
