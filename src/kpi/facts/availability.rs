//! What an input supplies, by name.

use super::evidence::{self, MARKS};
use polars::prelude::*;
use std::collections::{BTreeMap, BTreeSet};

/// Which tables and columns the input supplies, as `table` and `table.column`; for columns of words that say what
/// happened also `table.column=word`, since a shop that never writes down who cancelled or what broke does not know it:
/// a side that never occurs is unknown, not innocent.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Availability(BTreeSet<String>);

/// Columns whose words are remembered as they are; reasons and topics are remembered by what they mean, see [`MARKS`].
const WORDS: [(&str, &str); 5] = [
    ("orders", "cancelled_by"),
    ("order_events", "event"),
    ("returns", "kind"),
    ("tickets", "kind"),
    ("feedback", "scale"),
];

impl Availability {
    /// What the accepted tables hold.
    pub fn of(tables: &BTreeMap<&'static str, DataFrame>) -> Self {
        let mut names = BTreeSet::new();
        for (table, frame) in tables {
            names.insert((*table).to_owned());
            names.extend(frame.get_column_names().iter().map(|c| format!("{table}.{c}")));
        }
        // Units of an order can be summed from its lines.
        if names.contains("order_items.quantity") {
            names.insert("orders.units".to_owned());
        }
        for (table, column) in WORDS {
            names.extend(distinct(tables, table, column).into_iter().map(|word| format!("{table}.{column}={word}")));
        }
        for (table, column) in evidence::TOLD_IN {
            let words = distinct(tables, table, column);
            let meant = MARKS.iter().filter(|m| words.iter().any(|w| m.is_told_by(w)));
            names.extend(meant.map(|m| format!("{table}.{column}={}", m.name)).collect::<Vec<_>>());
        }
        Self(names)
    }

    /// Adds what another part of the same input supplies.
    pub fn merge(&mut self, other: Self) {
        self.0.extend(other.0);
    }

    /// Whether it is there.
    pub fn has(&self, name: &str) -> bool {
        self.0.contains(name)
    }

    /// Those of `needs` that are missing. Alternatives are written `a|b`.
    pub fn missing(&self, needs: &[&str]) -> Vec<String> {
        needs.iter().filter(|n| !n.split('|').any(|one| self.has(one))).map(|n| n.replace('|', " or ")).collect()
    }
}

/// The words of a column.
fn distinct(tables: &BTreeMap<&'static str, DataFrame>, table: &str, column: &str) -> BTreeSet<String> {
    let column = tables.get(table).and_then(|t| t.column(column).ok()).and_then(|c| c.str().ok());
    let words = column.and_then(|c| c.unique().ok());
    words.map(|words| words.iter().flatten().map(str::to_owned).collect()).unwrap_or_default()
}
