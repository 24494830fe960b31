//! What can hold an order up before it leaves: payment, audit, address, destination, the promise to ship.

use super::Severity;
use super::columns::Texts;
use super::kind::MISMATCH;
use super::shop::Shop;
use super::words::{instant, said};
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
    let language = shop.terms.language;
    let method = shop.orders.payment_method.get(row).map(|m| said!(language, " by {m}", "（付款方式 {m}）"));
    let method = method.unwrap_or_default();
    let (at, after, limit) = (instant(placed), shop.span(shop.as_of() - placed), shop.span(shop.limits.payment));
    let detail = said!(
        language,
        "placed {at}, not paid{method} after {after}; the limit is {limit}",
        "{at} 下单，{after}后仍未付款{method}；时限 {limit}"
    );
    let action = shop.say(
        "remind the buyer to pay; cancel and release the stock if no payment comes",
        "提醒买家付款；若仍不付款，取消订单并释放库存",
    );
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
    let (at, after, limit) = (instant(paid), shop.span(shop.as_of() - paid), shop.span(shop.limits.audit));
    let detail = said!(
        shop.terms.language,
        "paid {at}, not approved after {after}; the limit is {limit}",
        "{at} 付款，{after}后仍未通过审核；时限 {limit}"
    );
    let action = shop.say("decide the review: approve it, or cancel and refund", "作出审核决定：通过，或取消并退款");
    shop.note(Kind::AuditOverdue, row, since, Severity::Medium, detail, action);
}

fn promise(shop: &mut Shop<'_>, row: usize) {
    let Some(promised) = shop.orders.promised_ship_at.get(row) else { return };
    // What is not paid is not due to ship; it has an exception of its own.
    if shop.as_of() <= promised || shop.orders.is_unpaid(row) {
        return;
    }
    let language = shop.terms.language;
    let from = shop.orders.warehouse.get(row).map(|w| said!(language, " from warehouse {w}", "从仓库 {w} "));
    let from = from.unwrap_or_default();
    let (by, ago) = (instant(promised), shop.span(shop.as_of() - promised));
    let detail = said!(
        language,
        "to ship{from} by {by}, {ago} ago, and not shipped",
        "应于 {by} 前{from}发货，已过 {ago}，仍未发货"
    );
    let action = shop.say(
        "ship today, or tell the buyer the new date and offer to cancel",
        "今天发货，或告知买家新的日期并允许取消",
    );
    shop.note(Kind::NotShippedByPromise, row, promised, Severity::High, detail, action);
}

fn restricted(shop: &mut Shop<'_>, row: usize) {
    let Some(country) = shop.orders.ship_country.get(row) else { return };
    let list = &shop.terms.settings.restricted_destinations;
    // Lower-casing and not ASCII alone: data may spell countries out.
    let country = country.trim().to_lowercase();
    let Some(listed) = list.iter().find(|listed| listed.trim().to_lowercase() == country) else { return };
    let (language, listed) = (shop.terms.language, listed.trim());
    let (detail, action) = match shop.orders.shipped_at.get(row).map(instant) {
        Some(at) => (
            said!(
                language,
                "shipped {at} to {listed}, which is on the list of restricted destinations",
                "已于 {at} 发往 {listed}，该目的地在受限名单上"
            ),
            shop.say(
                "have the carrier call the parcel back, and tell whoever answers for export control",
                "请承运商追回包裹，并通知出口管制负责人",
            ),
        ),
        None => (
            said!(
                language,
                "to be shipped to {listed}, which is on the list of restricted destinations",
                "将发往 {listed}，该目的地在受限名单上"
            ),
            shop.say(
                "do not ship: cancel and refund, or have export control clear it",
                "不要发货：取消并退款，或由出口管制负责人放行",
            ),
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
            .map(|any| {
                any.iter().map(|(name, _)| format!("`{name}`")).collect::<Vec<_>>().join(shop.say(" or ", " 或 "))
            })
            .collect();
        if missing.is_empty() {
            return;
        }
        let since = shop.orders.placed_at.get(row).unwrap_or_default();
        let missing = missing.join(shop.say(", ", "、"));
        let detail = said!(shop.terms.language, "waits to ship without {missing}", "待发货，缺少 {missing}");
        let action = shop.say("ask the buyer for what is missing before it ships", "发货前向买家补齐所缺信息");
        shop.note(Kind::AddressIncomplete, row, since, Severity::Medium, detail, action);
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
            "billing_country" => shop.say("the bill goes to", "账单国为"),
            "payment_country" => shop.say("the payment is from", "付款国为"),
            _ => shop.say("the order came from a network in", "下单网络所在国为"),
        };
        let others: Vec<String> = known.iter().map(|(name, place)| format!("{} {place}", word(name))).collect();
        let others = others.join(shop.say(", ", "，"));
        let detail =
            said!(shop.terms.language, "to be shipped to {country}, but {others}", "将发往 {country}，但{others}");
        let since = shop.orders.placed_at.get(row).unwrap_or_default();
        let action = shop.say("confirm the address with the buyer before it ships", "发货前与买家确认地址");
        shop.note(Kind::DestinationMismatch, row, since, Severity::Low, detail, action);
    }
}
