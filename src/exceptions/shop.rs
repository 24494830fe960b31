//! Orders and how far they have come.

use super::columns::{Ints, Source, Texts};
use super::words::Currency;
use super::{Severity, Terms};
use crate::config::Language;
use crate::contract::exception::ExceptionKind;
use crate::error::Result;
use crate::types::time::{DAY, parse_span};
use polars::prelude::DataFrame;
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// Words of `orders.status` that say that an order was cancelled, in lower case.
const CANCELLED: &[&str] = &["cancelled", "canceled"];
/// Words of it that say that nothing is waited for any more, for data that has no time of it.
const ENDED: &[&str] = &["delivered", "completed", "complete", "closed", "refunded", "returned"];
/// Words of it that say that the parcel has left.
const SHIPPED: &[&str] = &["shipped", "in_transit", "in transit"];

/// The columns of `orders` that exceptions ask.
pub(super) struct Orders {
    pub(super) count: usize,
    pub(super) id: Texts,
    pub(super) customer: Texts,
    pub(super) channel: Texts,
    pub(super) seller: Texts,
    pub(super) carrier: Texts,
    pub(super) service: Texts,
    pub(super) ship_from: Texts,
    pub(super) warehouse: Texts,
    pub(super) ship_country: Texts,
    pub(super) ship_region: Texts,
    pub(super) payment_method: Texts,
    pub(super) currency: Texts,
    pub(super) cancelled_by: Texts,
    pub(super) amount: Ints,
    pub(super) placed_at: Ints,
    pub(super) paid_at: Ints,
    pub(super) approved_at: Ints,
    pub(super) promised_ship_at: Ints,
    pub(super) shipped_at: Ints,
    pub(super) promised_delivery_at: Ints,
    pub(super) delivered_at: Ints,
    pub(super) completed_at: Ints,
    cancelled_at: Ints,
    status: Texts,
}

impl Orders {
    fn of(source: Source<'_>) -> Result<Self> {
        let (texts, ints) = (|name| source.texts(name), |name| source.ints(name));
        Ok(Self {
            count: source.rows(),
            id: texts("order_id")?,
            customer: texts("customer_id")?,
            channel: texts("channel")?,
            seller: texts("seller_id")?,
            carrier: texts("carrier")?,
            service: texts("service_level")?,
            ship_from: texts("ship_from")?,
            warehouse: texts("warehouse_id")?,
            ship_country: texts("ship_country")?,
            ship_region: texts("ship_region")?,
            payment_method: texts("payment_method")?,
            currency: texts("currency")?,
            cancelled_by: texts("cancelled_by")?,
            amount: ints("amount")?,
            placed_at: ints("placed_at")?,
            paid_at: ints("paid_at")?,
            approved_at: ints("approved_at")?,
            promised_ship_at: ints("promised_ship_at")?,
            shipped_at: ints("shipped_at")?,
            promised_delivery_at: ints("promised_delivery_at")?,
            delivered_at: ints("delivered_at")?,
            completed_at: ints("completed_at")?,
            cancelled_at: ints("cancelled_at")?,
            status: texts("status")?,
        })
    }

    fn says(&self, row: usize, words: &[&str]) -> bool {
        self.status.get(row).is_some_and(|status| words.iter().any(|word| status.trim().eq_ignore_ascii_case(word)))
    }

    /// Cancelled by whoever.
    pub(super) fn is_cancelled(&self, row: usize) -> bool {
        self.cancelled_at.get(row).is_some() || self.cancelled_by.get(row).is_some() || self.says(row, CANCELLED)
    }

    /// Delivered, or closed by the shop.
    pub(super) fn is_ended(&self, row: usize) -> bool {
        self.delivered_at.get(row).is_some() || self.completed_at.get(row).is_some() || self.says(row, ENDED)
    }

    /// Handed to a carrier, as far as anything says so.
    pub(super) fn is_shipped(&self, row: usize) -> bool {
        self.shipped_at.get(row).is_some() || self.is_ended(row) || self.says(row, SHIPPED)
    }

    /// Known to be unpaid: payments are supplied, there is none, and nothing was done that waits for one.
    pub(super) fn is_unpaid(&self, row: usize) -> bool {
        self.paid_at.is_supplied()
            && self.paid_at.get(row).is_none()
            && self.approved_at.get(row).is_none()
            && !self.is_shipped(row)
    }

    /// Neither cancelled, ended nor on its way.
    pub(super) fn waits_to_ship(&self, row: usize) -> bool {
        !self.is_cancelled(row) && !self.is_shipped(row)
    }

    /// When the shop could begin with it: paid, or placed where payments are not supplied.
    pub(super) fn begun_at(&self, row: usize) -> i64 {
        self.paid_at.get(row).or_else(|| self.placed_at.get(row)).unwrap_or_default()
    }
}

/// Spans of the settings in microseconds.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    pub(super) look_back: i64,
    pub(super) payment: i64,
    pub(super) audit: i64,
    pub(super) scan: i64,
    pub(super) transit: i64,
    pub(super) customs: i64,
    pub(super) return_answer: i64,
    pub(super) return_refund: i64,
    pub(super) dispute: i64,
    pub(super) claim: i64,
    pub(super) chargeback: i64,
    pub(super) near: i64,
    pub(super) lapsed: i64,
    pub(super) lead_time: i64,
    pub(super) count_valid_for: i64,
}

impl Limits {
    fn of(terms: &Terms<'_>) -> Self {
        // The schema lets nothing else through than spans.
        let span = |text: &str| parse_span(text).unwrap_or_default();
        let s = terms.settings;
        Self {
            look_back: span(&s.look_back),
            payment: span(&s.payment_overdue),
            audit: span(&s.audit_overdue),
            scan: span(&s.no_carrier_scan),
            transit: span(&s.stuck_in_transit),
            customs: span(&s.stuck_in_customs),
            return_answer: span(&s.return_answer),
            return_refund: span(&s.return_refund),
            dispute: span(&s.dispute_answer),
            claim: span(&s.claim_answer),
            chargeback: span(&s.chargeback_answer),
            near: span(&s.dispute_near),
            lapsed: span(&s.dispute_lapsed),
            lead_time: span(&terms.inventory.lead_time),
            count_valid_for: span(&terms.inventory.count_valid_for),
        }
    }
}

/// Something that is stuck.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Finding {
    pub(super) kind: ExceptionKind,
    /// Row of its order; none for a dispute that names no order.
    pub(super) order: Option<usize>,
    /// Id of the return or ticket it is about.
    pub(super) reference: Option<String>,
    /// Whose it is, where there is no order to tell.
    pub(super) customer: Option<String>,
    /// From when on it is an exception.
    pub(super) since: i64,
    /// When that could be known: later than `since` for news that came late.
    pub(super) known_at: i64,
    pub(super) severity: Severity,
    /// Minor units of the base currency.
    pub(super) value_at_risk: i64,
    pub(super) detail: String,
    pub(super) action: &'static str,
}

/// Everything that is asked, and what was found.
pub(super) struct Shop<'a> {
    pub(super) tables: &'a BTreeMap<&'static str, DataFrame>,
    pub(super) orders: Orders,
    by_id: HashMap<&'a str, u32>,
    pub(super) terms: Terms<'a>,
    pub(super) limits: Limits,
    pub(super) currency: Currency<'a>,
    /// Kinds that are wanted and can be fed.
    asked: BTreeSet<ExceptionKind>,
    /// Value at risk that is high, in minor units.
    pub(super) high_value: i64,
    pub(super) findings: Vec<Finding>,
    /// Exceptions that began too long ago, by kind.
    pub(super) left_out: BTreeMap<ExceptionKind, u64>,
}

impl<'a> Shop<'a> {
    pub(super) fn new(
        tables: &'a BTreeMap<&'static str, DataFrame>,
        terms: Terms<'a>,
        asked: BTreeSet<ExceptionKind>,
    ) -> Result<Self> {
        let source = Source::of(tables, "orders");
        let orders = Orders::of(source)?;
        let ids = source.ids("order_id")?.into_iter().flat_map(|ids| ids.iter().enumerate());
        let by_id = ids.filter_map(|(row, id)| Some((id?, row as u32))).collect();
        let high_value = high_value(&orders, &terms);
        Ok(Self {
            tables,
            orders,
            by_id,
            limits: Limits::of(&terms),
            currency: Currency { code: terms.currency, exponent: terms.exponent },
            terms,
            asked,
            high_value,
            findings: Vec::new(),
            left_out: BTreeMap::new(),
        })
    }

    pub(super) fn source(&self, name: &str) -> Source<'a> {
        Source::of(self.tables, name)
    }

    /// Whether a kind is looked for.
    pub(super) fn asks(&self, kind: ExceptionKind) -> bool {
        self.asked.contains(&kind)
    }

    pub(super) fn as_of(&self) -> i64 {
        self.terms.as_of
    }

    /// A span in words.
    pub(super) fn span(&self, micros: i64) -> String {
        super::words::span(micros, self.terms.language)
    }

    /// What stands in both languages, in that of the run.
    pub(super) fn say(&self, english: &'static str, chinese: &'static str) -> &'static str {
        match self.terms.language {
            Language::En => english,
            Language::Zh => chinese,
        }
    }

    /// The row of the order of this id.
    pub(super) fn row_of(&self, id: Option<&str>) -> Option<usize> {
        id.and_then(|id| self.by_id.get(id)).map(|row| *row as usize)
    }

    /// What an order is worth, in minor units.
    pub(super) fn amount(&self, row: usize) -> i64 {
        self.orders.amount.get(row).unwrap_or_default()
    }

    /// Notes a finding about an order as a whole, unless its kind is not asked for.
    pub(super) fn note(
        &mut self,
        kind: ExceptionKind,
        row: usize,
        since: i64,
        severity: Severity,
        detail: String,
        action: &'static str,
    ) {
        let value_at_risk = self.amount(row);
        self.add(Finding {
            kind,
            order: Some(row),
            reference: None,
            customer: None,
            since,
            known_at: since,
            severity,
            value_at_risk,
            detail,
            action,
        });
    }

    /// Keeps a finding, or counts it where it began too long ago.
    pub(super) fn add(&mut self, finding: Finding) {
        if !self.asks(finding.kind) {
            return;
        }
        if finding.since < self.as_of() - self.limits.look_back {
            *self.left_out.entry(finding.kind).or_default() += 1;
        } else {
            self.findings.push(finding);
        }
    }
}

/// Share of orders that are not of high value, where the pipeline does not say what is.
const ORDINARY: f64 = 0.95;
/// Days of orders that this is taken from: a season, so that it follows prices and does not jump from day to day.
const RECENT_DAYS: i64 = 90;

/// The value from which something is of high value, in minor units.
fn high_value(orders: &Orders, terms: &Terms<'_>) -> i64 {
    if let Some(units) = terms.settings.high_value {
        return (units * 10_f64.powi(terms.exponent as i32)).round() as i64;
    }
    let amounts = |since: i64| -> Vec<i64> {
        (0..orders.count)
            .filter(|&row| orders.placed_at.get(row).is_some_and(|at| at > since))
            .filter_map(|row| orders.amount.get(row))
            .collect()
    };
    let mut recent = amounts(terms.as_of - RECENT_DAYS * DAY);
    if recent.is_empty() {
        recent = amounts(i64::MIN);
    }
    nearest_rank(&mut recent, ORDINARY).map_or(i64::MAX, |ordinary| ordinary.saturating_add(1))
}

/// The smallest of the values that at least `share` of them do not exceed (the nearest-rank quantile).
pub(super) fn nearest_rank(values: &mut [i64], share: f64) -> Option<i64> {
    if values.is_empty() {
        return None;
    }
    // A product that is a whole number may come out a little above it.
    let rank = (share * values.len() as f64 - 1e-9).ceil().max(1.0) as usize;
    let (_, value, _) = values.select_nth_unstable(rank.min(values.len()) - 1);
    Some(*value)
}
