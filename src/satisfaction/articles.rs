//! Orders seen from the articles in them, or from their categories.
//!
//! An order counts once for each article it has, with the order's own factors but for the product, which is the article's:
//! a shoe that came back is no fault of the hat in the same parcel. What a ticket or an event tells of names no line and stays
//! with every article of the order; a return that names no line cannot be laid to an article and counts for none. KPIs by
//! article go by the same rules.

use super::factors::{FACTORS, Points, product_of};
use super::journey::{Journeys, is_about_goods};
use crate::error::Result;
use crate::features::tables::{NO_ROW, Tables};
use std::collections::HashMap;

/// Place of the product among [`FACTORS`].
const PRODUCT: usize = 4;
const _: () = assert!(FACTORS.len() == 6 && PRODUCT < FACTORS.len());

/// An order and an article in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Article {
    /// Row of the order.
    pub order: u32,
    /// The value of the segment, by number.
    pub value: u32,
    /// Points of the product; `None` where nothing tells of it.
    pub product: Option<u8>,
}

impl Article {
    /// Factors of the order with the article's own product.
    pub fn points(&self, of_order: &Points) -> Points {
        let mut points = *of_order;
        points[PRODUCT] = self.product;
        points
    }
}

/// Which lines of an order came back, and whether for a fault of the goods.
type Back<'a> = HashMap<u32, Vec<(&'a str, bool)>>;

/// Each order with each article in it once, by order, then number of the article; `value_of_line` has the number of every line's.
///
/// # Errors
/// [`crate::error::Error::Frames`] only for defects.
pub(crate) fn articles(tables: &Tables, journeys: &Journeys, value_of_line: &[u32]) -> Result<Vec<Article>> {
    let orders = tables.order_rows("order_items")?;
    let names = tables.text_column("order_items", "line")?.unwrap_or_default();
    let lines_back = tables.text_column("returns", "line")?;
    let mut back = Back::new();
    if let Some(lines) = &lines_back {
        let reasons = tables.text_column("returns", "reason")?;
        for (row, (order, line)) in tables.order_rows("returns")?.iter().copied().zip(lines.iter()).enumerate() {
            let Some(line) = line.filter(|_| order != NO_ROW) else { continue };
            let reason = reasons.as_ref().and_then(|reasons| reasons.get(row));
            back.entry(order).or_default().push((line, reason.is_some_and(is_about_goods)));
        }
    }
    // The article's lines that came back: none, some, some for a fault of the goods.
    let mut rows: Vec<(u32, u32, u8)> = Vec::with_capacity(orders.len());
    for (row, (&order, name)) in orders.iter().zip(names.iter()).enumerate() {
        if order == NO_ROW {
            continue;
        }
        let of_line = back.get(&order).into_iter().flatten().filter(|(line, _)| Some(*line) == name);
        let worst = of_line.map(|(_, bad)| 1 + u8::from(*bad)).max().unwrap_or(0);
        rows.push((order, value_of_line[row], worst));
    }
    // The worst line of an article comes first and stays.
    rows.sort_unstable_by(|a, b| (a.0, a.1, b.2).cmp(&(b.0, b.1, a.2)));
    rows.dedup_by_key(|row| (row.0, row.1));
    let tells = journeys.returns.is_some() && lines_back.is_some();
    let article = |(order, value, back): (u32, u32, u8)| Article {
        order,
        value,
        product: product_of(journeys, order as usize, back == 2, tells.then_some(back == 0)),
    };
    Ok(rows.into_iter().map(article).collect())
}
