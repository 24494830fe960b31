//! What is known of the rows that are tested, beside features and outcomes.

use super::Tested;
use crate::config::Pipeline;
use crate::error::{Error, Result};
use crate::features::Features;
use crate::ingest::Ingested;
use crate::pipeline::scores::placed_days;
use crate::pipeline::segments::texts;
use crate::risk::Target;
use crate::risk::daily::Scored;
use polars::prelude::*;
use std::collections::HashMap;

/// By row; rows are orders, or lines where lines are returned.
pub(super) struct Facts {
    /// The order of each row.
    pub(super) order: Vec<usize>,
    /// Calendar day of each row.
    pub(super) days: Vec<i32>,
    /// Customer of each order.
    customers: Vec<Option<u32>>,
    /// Amount of each order, minor units.
    amounts: Vec<f64>,
}

impl Facts {
    pub(super) fn new(pipeline: &Pipeline, target: Target, ingested: &Ingested, features: &Features) -> Result<Self> {
        let orders = ingested.tables.get("orders").cloned().unwrap_or_default();
        let order_days = placed_days(pipeline, features);
        let order: Vec<usize> = match (target, &features.lines) {
            (Target::Return, Some(lines)) => lines.order.iter().map(|&order| order as usize).collect(),
            _ => (0..orders.height()).collect(),
        };
        let mut numbers: HashMap<String, u32> = HashMap::new();
        let customers = texts(&orders, "customer_id")?.unwrap_or_else(|| vec![None; orders.height()]);
        let customers = customers.into_iter().map(|id| {
            let next = numbers.len() as u32;
            id.map(|id| *numbers.entry(id).or_insert(next))
        });
        let amounts = orders.column("amount").map_err(Error::frames("amounts"))?.to_physical_repr();
        let amounts = amounts.cast(&DataType::Float64).map_err(Error::frames("amounts"))?;
        let amounts = amounts.f64().map_err(Error::frames("amounts"))?;
        Ok(Self {
            days: order.iter().map(|&order| order_days.get(order).copied().unwrap_or_default()).collect(),
            customers: customers.collect(),
            amounts: amounts.iter().map(|amount| amount.unwrap_or(0.0).max(0.0)).collect(),
            order,
        })
    }

    pub(super) fn customer(&self, row: usize) -> Option<u32> {
        self.customers.get(self.order[row]).copied().flatten()
    }

    pub(super) fn scored(&self, tested: &Tested) -> Vec<Scored> {
        let rows = tested.rows.iter().zip(&tested.probabilities).zip(&tested.labels);
        rows.map(|((&row, &probability), &positive)| Scored {
            day: self.days[row],
            probability,
            positive,
            customer: self.customer(row),
            value: self.amounts.get(self.order[row]).copied().unwrap_or(0.0),
        })
        .collect()
    }
}
