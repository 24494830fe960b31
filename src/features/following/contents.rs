//! What of a step's tables is told, as hashes.

use super::Sub;
use super::columns::{HASH, read_of, row_hashes, told_of};
use crate::config::FeatureSpec;
use crate::error::Result;
use crate::features::tables::{Tables, values};
use rayon::prelude::*;
use std::collections::BTreeMap;
use std::hash::BuildHasher;

/// Hashes of what is told.
pub(super) struct Contents {
    /// Of the placement of each order that was read, its lines included.
    pub(super) orders: Vec<u64>,
    /// Of each row of the other tables.
    pub(super) rows: BTreeMap<&'static str, Vec<u64>>,
    /// Of the name of each line.
    pub(super) lines: Vec<u32>,
}

impl Contents {
    pub(super) fn of(specs: &[FeatureSpec], sub: &Sub<'_>, tables: &Tables, order_of_line: &[u32]) -> Result<Self> {
        let placements = ["order_items", "orders"].map(|name| (name, read_of(name, specs)));
        let told: Vec<_> =
            placements.into_iter().chain(sub.rows.keys().map(|name| (*name, told_of(name, specs)))).collect();
        let lines_whole = sub.lines_whole(order_of_line);
        let hash = |(name, columns): &(&'static str, Vec<&str>)| {
            let frame = tables.frame(name);
            let rows = match *name {
                "orders" => row_hashes(&frame.slice(0, sub.whole), columns),
                "order_items" => row_hashes(&frame.slice(0, lines_whole), columns),
                _ => row_hashes(frame, columns),
            };
            Ok((*name, rows?))
        };
        let mut rows: BTreeMap<_, _> = told.par_iter().map(hash).collect::<Result<_>>()?;
        let mut contents_of = |name: &str| rows.remove(name).unwrap_or_default();
        let (line_contents, mut orders) = (contents_of("order_items"), contents_of("orders"));
        let is_whole = |order: &u32| (*order as usize) < sub.whole;
        for (order, content) in order_of_line.iter().zip(line_contents).filter(|(order, _)| is_whole(order)) {
            // In any order of lines.
            let hash = &mut orders[*order as usize];
            *hash = hash.wrapping_add(HASH.hash_one(content));
        }
        let hash = |name: Option<&str>| HASH.hash_one(name) as u32 | 1;
        let names = tables.text_column("order_items", "line")?;
        let lines = names.map(|names| values(&names).map(hash).collect()).unwrap_or_default();
        Ok(Self { orders, rows, lines })
    }
}
