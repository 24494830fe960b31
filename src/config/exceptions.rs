//! What counts as an exception, and how stock is judged: sections `[exceptions]` and `[inventory]` of the pipeline file.

use super::did_you_mean;
use crate::contract::exception::ExceptionKind;
use crate::contract::input;
use crate::error::Problem;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What counts as an exception. Spans are `36h` or `10d`; something is overdue when more than its span has passed.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Exceptions {
    /// Kinds that are not looked for.
    pub without: Vec<ExceptionKind>,
    /// Exceptions that began longer ago are not listed, only counted: what nobody ended in so long is not worked on.
    #[schemars(regex(pattern = r"^[0-9]{1,5}(h|d)$"))]
    pub look_back: String,
    /// Value at risk, in units of the base currency, from which an exception is one step more severe and a return is first
    /// in line. Left out, it is the amount that 95 % of the orders of the last 90 days do not exceed.
    #[schemars(range(min = 0.0))]
    pub high_value: Option<f64>,
    /// Time to pay.
    #[schemars(regex(pattern = r"^[0-9]{1,5}(h|d)$"))]
    pub payment_overdue: String,
    /// Time from payment to approval.
    #[schemars(regex(pattern = r"^[0-9]{1,5}(h|d)$"))]
    pub audit_overdue: String,
    /// Columns of `orders` that a parcel cannot go without; of alternatives `a|b` one is enough. Those that the input does
    /// not supply are not asked for.
    pub address_needs: Vec<String>,
    /// Countries that nothing may be shipped to, written as the data has them, in any case.
    pub restricted_destinations: Vec<String>,
    /// Time from shipping to the first scan by a carrier.
    #[schemars(regex(pattern = r"^[0-9]{1,5}(h|d)$"))]
    pub no_carrier_scan: String,
    /// A parcel is stuck when it has waited longer than this share of the parcels of its lane.
    #[schemars(range(min = 0.5, max = 0.999))]
    pub lane_quantile: f64,
    /// Parcels that a lane must have for its own quantile to be taken; with fewer, a wider lane is asked.
    #[schemars(range(min = 2))]
    pub lane_min_parcels: u32,
    /// Longest silence on the road, where even all parcels together are too few to learn from.
    #[schemars(regex(pattern = r"^[0-9]{1,5}(h|d)$"))]
    pub stuck_in_transit: String,
    /// Longest stay in customs, where even all parcels together are too few to learn from.
    #[schemars(regex(pattern = r"^[0-9]{1,5}(h|d)$"))]
    pub stuck_in_customs: String,
    /// Time to answer a return.
    #[schemars(regex(pattern = r"^[0-9]{1,5}(h|d)$"))]
    pub return_answer: String,
    /// Time from receiving a return to its refund or replacement.
    #[schemars(regex(pattern = r"^[0-9]{1,5}(h|d)$"))]
    pub return_refund: String,
    /// Time to answer a dispute.
    #[schemars(regex(pattern = r"^[0-9]{1,5}(h|d)$"))]
    pub dispute_answer: String,
    /// Time to answer a claim.
    #[schemars(regex(pattern = r"^[0-9]{1,5}(h|d)$"))]
    pub claim_answer: String,
    /// Time to answer a chargeback.
    #[schemars(regex(pattern = r"^[0-9]{1,5}(h|d)$"))]
    pub chargeback_answer: String,
    /// How long before its deadline a dispute is near it.
    #[schemars(regex(pattern = r"^[0-9]{1,5}(h|d)$"))]
    pub dispute_near: String,
    /// How long after its deadline an open dispute is still listed.
    #[schemars(regex(pattern = r"^[0-9]{1,5}(h|d)$"))]
    pub dispute_lapsed: String,
    /// Smallest fall of a price, as a share of the price paid, that counts. Above the day-to-day movement of exchange
    /// rates, as prices are compared in the base currency.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub price_fall: f64,
}

impl Default for Exceptions {
    fn default() -> Self {
        let span = |text: &str| text.to_owned();
        Self {
            without: Vec::new(),
            look_back: span("180d"),
            high_value: None,
            payment_overdue: span("24h"),
            audit_overdue: span("24h"),
            address_needs: ["ship_country", "ship_postcode", "ship_address", "phone|email"].map(span).into(),
            restricted_destinations: Vec::new(),
            no_carrier_scan: span("48h"),
            lane_quantile: 0.95,
            lane_min_parcels: 50,
            stuck_in_transit: span("10d"),
            stuck_in_customs: span("5d"),
            return_answer: span("48h"),
            return_refund: span("0h"),
            // What the large platforms gave when this was written: PayPal ten days, Amazon's guarantee claims three, and
            // card networks, after the acquirer's share of it, seldom less than ten.
            dispute_answer: span("10d"),
            claim_answer: span("3d"),
            chargeback_answer: span("10d"),
            dispute_near: span("72h"),
            dispute_lapsed: span("14d"),
            price_fall: 0.05,
        }
    }
}

/// How stock is held against demand. The reorder point is `d·L + z·s·√L`: `d` the mean and `s` the standard deviation of
/// daily demand, `L` the lead time in days, `z` the normal quantile of the service level.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Inventory {
    /// Time from ordering stock to having it on the shelf.
    #[schemars(regex(pattern = r"^[0-9]{1,5}(h|d)$"))]
    pub lead_time: String,
    /// Share of lead times that the stock is to last through.
    #[schemars(range(min = 0.5, max = 0.999))]
    pub service_level: f64,
    /// A count of stock that is older says nothing about today.
    #[schemars(regex(pattern = r"^[0-9]{1,5}(h|d)$"))]
    pub count_valid_for: String,
}

impl Default for Inventory {
    fn default() -> Self {
        // Stock is mostly counted every week; ten days leave room for a count that comes late.
        Self { lead_time: "14d".to_owned(), service_level: 0.95, count_valid_for: "10d".to_owned() }
    }
}

/// Finds names that do not exist and lists that say nothing.
pub(super) fn check(settings: &Exceptions, problems: &mut Vec<Problem>) {
    let names: Vec<&str> =
        input::table("orders").into_iter().flat_map(|orders| orders.columns.iter().map(|c| c.name)).collect();
    for name in settings.address_needs.iter().flat_map(|need| need.split('|')).map(str::trim) {
        if !names.contains(&name) {
            let mut problem = Problem::new("exceptions.address_needs", format!("`{name}` is not a column of `orders`"));
            problem.hint = did_you_mean(name, names.iter().copied())
                .or_else(|| Some("alternatives of which one is enough are written `phone|email`".to_owned()));
            problems.push(problem);
        }
    }
    if settings.restricted_destinations.iter().any(|country| country.trim().is_empty()) {
        problems.push(
            Problem::new("exceptions.restricted_destinations", "holds an empty text, which is no country")
                .hint("write countries as `orders.ship_country` has them, such as `KP`"),
        );
    }
}
