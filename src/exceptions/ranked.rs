//! Findings as one row an order and kind, in the order of work.

use super::shop::{Finding, Shop};
use super::words::said;
use crate::error::{Error, Result};
use crate::types::time::{HOUR, local_day};
use polars::prelude::*;
use std::cmp::Reverse;

/// Puts findings of one order and kind together, weighs them and sorts them for work: severity, then value at risk, then
/// age; equals by order, kind and reference.
pub(super) fn rank(shop: &mut Shop<'_>) -> Vec<Finding> {
    let mut findings = std::mem::take(&mut shop.findings);
    findings.sort_by(|a, b| {
        let key = |f: &Finding| (f.order, f.kind, f.severity, f.since);
        key(a).cmp(&key(b)).then_with(|| a.reference.cmp(&b.reference)).then_with(|| a.detail.cmp(&b.detail))
    });
    let mut merged: Vec<Finding> = Vec::with_capacity(findings.len());
    let mut others: Vec<Vec<String>> = Vec::with_capacity(findings.len());
    for finding in findings {
        match merged.last_mut() {
            // Those without an order have nothing in common.
            Some(first) if first.kind == finding.kind && first.order == finding.order && first.order.is_some() => {
                first.value_at_risk = first.value_at_risk.saturating_add(finding.value_at_risk);
                if let Some(others) = others.last_mut() {
                    others.push(finding.reference.unwrap_or_else(|| shop.say("no id", "无编号").to_owned()));
                }
            }
            _ => {
                merged.push(finding);
                others.push(Vec::new());
            }
        }
    }
    for (finding, others) in merged.iter_mut().zip(others) {
        if !others.is_empty() {
            let (n, ids) = (others.len(), others.join(shop.say(", ", "、")));
            let more = said!(shop.terms.language, "; {n} more of this order: {ids}", "；该订单另有 {n} 项：{ids}");
            finding.detail.push_str(&more);
        }
        if finding.value_at_risk >= shop.high_value {
            finding.severity = finding.severity.raised();
        }
    }
    let id = |finding: &Finding| finding.order.and_then(|row| shop.orders.id.get(row));
    merged.sort_by(|a, b| {
        let key = |f: &Finding| (f.severity, Reverse(f.value_at_risk), f.since);
        key(a)
            .cmp(&key(b))
            .then_with(|| id(a).cmp(&id(b)))
            .then_with(|| (a.kind, &a.reference).cmp(&(b.kind, &b.reference)))
    });
    merged
}

/// The rows of `exceptions`.
pub(super) fn frame(shop: &Shop<'_>, findings: &[Finding]) -> Result<DataFrame> {
    let stage = || Error::frames("exceptions");
    let orders = &shop.orders;
    let instants = DataType::Datetime(TimeUnit::Microseconds, Some(TimeZone::UTC));
    let time = |name: &str, pick: &dyn Fn(&Finding) -> Option<i64>| {
        Column::new(name.into(), findings.iter().map(pick).collect::<Vec<_>>()).cast(&instants).map_err(stage())
    };
    let text = |name: &str, pick: &dyn Fn(&Finding) -> Option<String>| {
        Column::new(name.into(), findings.iter().map(pick).collect::<Vec<_>>())
    };
    let of_order = |name: &str, column: &super::columns::Texts| {
        text(name, &|f| f.order.and_then(|row| column.get(row)).map(str::to_owned))
    };
    let days: Vec<Option<i32>> = findings.iter().map(|f| local_day(f.known_at.max(f.since), shop.terms.zone)).collect();
    let age = |f: &Finding| (shop.as_of() - f.since) as f64 / HOUR as f64;
    let columns = vec![
        Column::new("detected_date".into(), days).cast(&DataType::Date).map_err(stage())?,
        Column::new("rank".into(), (1..=findings.len() as i64).collect::<Vec<_>>()),
        of_order("order_id", &orders.id),
        Column::new("kind".into(), findings.iter().map(|f| f.kind.name()).collect::<Vec<_>>()),
        text("reference", &|f| f.reference.clone()),
        time("since", &|f| Some(f.since))?,
        Column::new("age_hours".into(), findings.iter().map(age).collect::<Vec<_>>()),
        Column::new("severity".into(), findings.iter().map(|f| f.severity.name()).collect::<Vec<_>>()),
        Column::new("value_at_risk".into(), findings.iter().map(|f| f.value_at_risk).collect::<Vec<_>>()),
        text("detail", &|f| Some(f.detail.clone())),
        Column::new("suggested_action".into(), findings.iter().map(|f| f.action).collect::<Vec<_>>()),
        text("customer_id", &|f| {
            f.order.and_then(|row| orders.customer.get(row)).map(str::to_owned).or_else(|| f.customer.clone())
        }),
        of_order("channel", &orders.channel),
        of_order("seller_id", &orders.seller),
        of_order("carrier", &orders.carrier),
        of_order("service_level", &orders.service),
        of_order("warehouse_id", &orders.warehouse),
        of_order("ship_country", &orders.ship_country),
        time("placed_at", &|f| f.order.and_then(|row| orders.placed_at.get(row)))?,
        Column::new(
            "amount".into(),
            findings.iter().map(|f| f.order.and_then(|row| orders.amount.get(row))).collect::<Vec<_>>(),
        ),
    ];
    DataFrame::new_infer_height(columns).map_err(stage())
}
