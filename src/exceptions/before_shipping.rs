//! What can hold an order up before it leaves: payment, audit, address, destination, the promise to ship.

use super::Severity;
use super::columns::Texts;
use super::kind::MISMATCH;
use super::shop::Shop;
use super::words::{instant, span};
use crate::contract::exception::ExceptionKind as Kind;
use crate::error::Result;

/// Countries without postcodes, or where they are rarely used: their absence is no mistake. From the Universal Postal
/// Union's list of addressing systems, larger destinations only.
const NO_POSTCODE: &[&str] = &[
    "AE", "AG", "AO", "AW", "BF", "BI", "BJ", "BO", "BS", "BW", "BZ", "CD", "CF", "CG", "CI", "CM", "DJ", "DM", "ER",
    "FJ", "GA", "GD", "GH", "GM", "GQ", "GY", "HK", "JM", "KM", "KN", "KP", "LY", "ML", "MO", "MR", "MW", "NR", "QA",
    "RW", "SB", "SC", "SL", "SR", "ST", "SY", "TD", "TG", "TO", "TV", "UG", "VU", "YE", "ZW",
];

/// Notes what holds orders up before they leave.
pub(super) fn find(shop: &mut Shop<'_>) -> Result<()> {
    let address = Address::of(shop)?;
    let places = Places::of(shop)?;
    for row in 0..shop.orders.count {
        if shop.orders.is_cancelled(row) || shop.orders.is_ended(row) {
            continue;
        }
        restricted(shop, row);
        if shop.orders.is_shipped(row) {
            continue;
        }
        payment(shop, row);
        audit(shop, row);
        address.check(shop, row);
        places.check(shop, row);
        promise(shop, row);
    }
    Ok(())
}

fn payment(shop: &mut Shop<'_>, row: usize) {
    let Some(placed) = shop.orders.placed_at.get(row).filter(|_| shop.orders.is_unpaid(row)) else { return };
    let since = placed + shop.limits.payment;
    if shop.as_of() <= since {
        return;
    }
    let method = shop.orders.payment_method.get(row).map(|m| format!(" by {m}")).unwrap_or_default();
    let detail = format!(
        "placed {}, not paid{method} after {}; the limit is {}",
        instant(placed),
        span(shop.as_of() - placed),
        span(shop.limits.payment)
    );
    let action = "remind the buyer to pay; cancel and release the stock if no payment comes";
    shop.note(Kind::PaymentOverdue, row, since, Severity::Low, detail, action);
}

fn audit(shop: &mut Shop<'_>, row: usize) {
    let Some(paid) = shop.orders.paid_at.get(row).filter(|_| shop.orders.approved_at.get(row).is_none()) else {
        return;
    };
    let since = paid + shop.limits.audit;
    if shop.as_of() <= since {
        return;
    }
    let detail = format!(
        "paid {}, not approved after {}; the limit is {}",
        instant(paid),
        span(shop.as_of() - paid),
        span(shop.limits.audit)
    );
    shop.note(
        Kind::AuditOverdue,
        row,
        since,
        Severity::Medium,
        detail,
        "decide the review: approve it, or cancel and refund",
    );
}

fn promise(shop: &mut Shop<'_>, row: usize) {
    let Some(promised) = shop.orders.promised_ship_at.get(row) else { return };
    // What is not paid is not due to ship; it has an exception of its own.
    if shop.as_of() <= promised || shop.orders.is_unpaid(row) {
        return;
    }
    let from = shop.orders.warehouse.get(row).map(|w| format!(" from warehouse {w}")).unwrap_or_default();
    let detail =
        format!("to ship{from} by {}, {} ago, and not shipped", instant(promised), span(shop.as_of() - promised));
    let action = "ship today, or tell the buyer the new date and offer to cancel";
    shop.note(Kind::NotShippedByPromise, row, promised, Severity::High, detail, action);
}

fn restricted(shop: &mut Shop<'_>, row: usize) {
    let Some(country) = shop.orders.ship_country.get(row) else { return };
    let list = &shop.terms.settings.restricted_destinations;
    // Lower-casing and not ASCII alone: data may spell countries out.
    let country = country.trim().to_lowercase();
    let Some(listed) = list.iter().find(|listed| listed.trim().to_lowercase() == country) else { return };
    let (detail, action) = match shop.orders.shipped_at.get(row) {
        Some(at) => (
            format!("shipped {} to {}, which is on the list of restricted destinations", instant(at), listed.trim()),
            "have the carrier call the parcel back, and tell whoever answers for export control",
        ),
        None => (
            format!("to be shipped to {}, which is on the list of restricted destinations", listed.trim()),
            "do not ship: cancel and refund, or have export control clear it",
        ),
    };
    let since = shop.orders.placed_at.get(row).unwrap_or_default();
    shop.note(Kind::DestinationRestricted, row, since, Severity::Critical, detail, action);
}

/// The columns of an address that have to be filled, each with its alternatives.
struct Address {
    needs: Vec<Vec<(String, Texts)>>,
}

impl Address {
    fn of(shop: &Shop<'_>) -> Result<Self> {
        let orders = shop.source("orders");
        let mut needs = Vec::new();
        for need in &shop.terms.settings.address_needs {
            let mut alternatives = Vec::new();
            for name in need.split('|').map(str::trim) {
                let column = orders.texts(name)?;
                if column.is_supplied() {
                    alternatives.push((name.to_owned(), column));
                }
            }
            if !alternatives.is_empty() {
                needs.push(alternatives);
            }
        }
        Ok(Self { needs })
    }

    fn check(&self, shop: &mut Shop<'_>, row: usize) {
        if !shop.asks(Kind::AddressIncomplete) {
            return;
        }
        let country = shop.orders.ship_country.get(row).map(|c| c.trim().to_uppercase());
        let without_postcodes = country.is_some_and(|country| NO_POSTCODE.contains(&country.as_str()));
        let missing: Vec<String> = self
            .needs
            .iter()
            .filter(|any| any.iter().all(|(_, column)| column.get(row).is_none()))
            .filter(|any| !(without_postcodes && any.iter().any(|(name, _)| name == "ship_postcode")))
            .map(|any| any.iter().map(|(name, _)| format!("`{name}`")).collect::<Vec<_>>().join(" or "))
            .collect();
        if missing.is_empty() {
            return;
        }
        let since = shop.orders.placed_at.get(row).unwrap_or_default();
        let detail = format!("waits to ship without {}", missing.join(", "));
        shop.note(
            Kind::AddressIncomplete,
            row,
            since,
            Severity::Medium,
            detail,
            "ask the buyer for what is missing before it ships",
        );
    }
}

/// Where the buyer is, by what he pays with, where the bill goes and where he ordered from.
struct Places {
    columns: Vec<(&'static str, Texts)>,
}

impl Places {
    fn of(shop: &Shop<'_>) -> Result<Self> {
        let orders = shop.source("orders");
        let columns: Result<Vec<_>> = MISMATCH.iter().map(|name| Ok((*name, orders.texts(name)?))).collect();
        Ok(Self { columns: columns? })
    }

    /// One place that differs is a gift or a journey; that no known place agrees, of two at least, is a question.
    fn check(&self, shop: &mut Shop<'_>, row: usize) {
        let Some(country) = shop.orders.ship_country.get(row) else { return };
        let known: Vec<(&str, &str)> =
            self.columns.iter().filter_map(|(name, column)| Some((*name, column.get(row)?))).collect();
        let same = |other: &str| other.trim().to_lowercase() == country.trim().to_lowercase();
        if known.len() < 2 || known.iter().any(|(_, place)| same(place)) {
            return;
        }
        let word = |name: &str| match name {
            "billing_country" => "the bill goes to",
            "payment_country" => "the payment is from",
            _ => "the order came from a network in",
        };
        let others: Vec<String> = known.iter().map(|(name, place)| format!("{} {place}", word(name))).collect();
        let detail = format!("to be shipped to {country}, but {}", others.join(", "));
        let since = shop.orders.placed_at.get(row).unwrap_or_default();
        let action = "confirm the address with the buyer before it ships";
        shop.note(Kind::DestinationMismatch, row, since, Severity::Low, detail, action);
    }
}
