//! Open exceptions of each customer, from the rows of `exceptions`.

use crate::error::{Error, Result};
use polars::prelude::*;
use std::collections::HashMap;

/// What is stuck of a customer's orders, returns and disputes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stuck {
    /// Open exceptions.
    pub open: i64,
    /// The smallest of their ranks: how soon the first of them should be worked on.
    pub rank: i64,
    /// The kind of that one.
    pub kind: String,
    /// Its severity.
    pub severity: String,
}

/// By customer. A row that names no customer is nobody's.
///
/// # Errors
/// [`Error::Frames`] only for defects.
pub fn by_customer(exceptions: &DataFrame) -> Result<HashMap<String, Stuck>> {
    let stage = || Error::frames("exceptions of customers");
    let text = |name: &str| exceptions.column(name).and_then(|c| c.str().cloned()).map_err(stage());
    let (customers, kinds, severities) = (text("customer_id")?, text("kind")?, text("severity")?);
    let ranks = exceptions.column("rank").and_then(|c| c.i64().cloned()).map_err(stage())?;
    let mut stuck: HashMap<String, Stuck> = HashMap::new();
    for (row, (customer, rank)) in customers.iter().zip(ranks.iter()).enumerate() {
        let (Some(customer), Some(rank)) = (customer, rank) else { continue };
        let of = |column: &StringChunked| column.get(row).unwrap_or_default().to_owned();
        if let Some(known) = stuck.get_mut(customer) {
            known.open += 1;
            if rank < known.rank {
                (known.rank, known.kind, known.severity) = (rank, of(&kinds), of(&severities));
            }
        } else {
            let first = Stuck { open: 1, rank, kind: of(&kinds), severity: of(&severities) };
            stuck.insert(customer.to_owned(), first);
        }
    }
    Ok(stuck)
}
