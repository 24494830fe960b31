//! Facts of an order's lines, as they stood when it was placed: of the order as a whole, and of each line within it.

use super::Feature;
use super::tables::{NO_ROW, Tables, float, some};
use crate::error::Result;
use std::collections::{BTreeMap, BTreeSet};

/// What is read of lines.
struct Lines<'a> {
    order: &'a [u32],
    sku: Vec<Option<String>>,
    size: Option<Vec<Option<String>>>,
    price: Option<Vec<i64>>,
    quantity: Option<Vec<i64>>,
}

impl<'a> Lines<'a> {
    fn read(tables: &Tables, order: &'a [u32]) -> Result<Self> {
        Ok(Self {
            order,
            sku: tables.texts("order_items", "sku")?.unwrap_or_else(|| vec![None; order.len()]),
            size: tables.texts("order_items", "size")?,
            price: tables.ints("order_items", "unit_price")?,
            quantity: tables.ints("order_items", "quantity")?,
        })
    }

    fn size(&self, line: usize) -> Option<&str> {
        self.size.as_ref().and_then(|sizes| sizes[line].as_deref())
    }

    fn price(&self, line: usize) -> Option<i64> {
        self.price.as_ref().and_then(|prices| some(prices[line]))
    }

    /// What a line costs: unit price by quantity; one unit where no quantity is given.
    fn cost(&self, line: usize) -> Option<f64> {
        let quantity = self.quantity.as_ref().and_then(|quantities| some(quantities[line])).unwrap_or(1);
        self.price(line).map(|price| price as f64 * quantity as f64)
    }
}

/// Lines of an order taken together.
#[derive(Default)]
struct Basket<'a> {
    lines: u32,
    price_max: Option<i64>,
    cost: f64,
    sized: u32,
    /// Lines by article, and the sizes it is ordered in.
    articles: BTreeMap<&'a str, (u32, BTreeSet<&'a str>)>,
}

fn baskets<'a>(lines: &'a Lines, orders: usize) -> Vec<Basket<'a>> {
    let mut baskets: Vec<Basket> = Vec::new();
    baskets.resize_with(orders, Basket::default);
    for (line, &order) in lines.order.iter().enumerate().filter(|(_, order)| **order != NO_ROW) {
        let basket = &mut baskets[order as usize];
        basket.lines += 1;
        basket.price_max = basket.price_max.max(lines.price(line));
        basket.cost += lines.cost(line).unwrap_or_default();
        if let Some(sku) = &lines.sku[line] {
            let (count, sizes) = basket.articles.entry(sku).or_default();
            *count += 1;
            if let Some(size) = lines.size(line) {
                basket.sized += 1;
                sizes.insert(size);
            }
        }
    }
    baskets
}

/// Sizes of an article beyond the one that is meant to be kept.
fn spare(sizes: &BTreeSet<&str>) -> usize {
    sizes.len().saturating_sub(1)
}

/// Features of orders.
pub(super) fn of_orders(tables: &Tables, order_of_line: &[u32]) -> Result<Vec<Feature>> {
    if !tables.has("order_items", "order_id") {
        return Ok(Vec::new());
    }
    let lines = Lines::read(tables, order_of_line)?;
    let baskets = baskets(&lines, tables.orders());
    // An order of which no line came is not an order without lines.
    let of = |value: &dyn Fn(&Basket) -> f64| -> Vec<f64> {
        baskets.iter().map(|basket| if basket.lines == 0 { f64::NAN } else { value(basket) }).collect()
    };
    let mut features = vec![
        ("basket_line_count".to_owned(), of(&|b| f64::from(b.lines))),
        ("basket_article_count".to_owned(), of(&|b| b.articles.len() as f64)),
    ];
    if lines.price.is_some() {
        features.push(("basket_unit_price_max".to_owned(), of(&|b| b.price_max.map_or(f64::NAN, |p| p as f64))));
    }
    if lines.size.is_some() {
        features.push(("basket_sized_line_count".to_owned(), of(&|b| f64::from(b.sized))));
        // One article ordered in several sizes: all but one are meant to go back.
        let spares = |b: &Basket| b.articles.values().map(|(_, sizes)| spare(sizes)).sum::<usize>() as f64;
        features.push(("basket_spare_size_count".to_owned(), of(&spares)));
    }
    Ok(features)
}

/// Features of lines.
pub(super) fn of_lines(tables: &Tables, order_of_line: &[u32]) -> Result<Vec<Feature>> {
    let lines = Lines::read(tables, order_of_line)?;
    let baskets = baskets(&lines, tables.orders());
    let basket = |line: usize| baskets.get(order_of_line[line] as usize);
    let article = |line: usize| basket(line)?.articles.get(lines.sku[line].as_deref()?);
    let of = |value: &dyn Fn(usize) -> Option<f64>| -> Vec<f64> {
        (0..order_of_line.len()).map(|line| value(line).unwrap_or(f64::NAN)).collect()
    };
    let mut features = Vec::new();
    if let Some(prices) = &lines.price {
        features.push(("line_unit_price".to_owned(), prices.iter().map(|&price| float(price)).collect()));
        let share = |line: usize| {
            basket(line).filter(|b| b.cost > 0.0).and_then(|b| lines.cost(line).map(|cost| cost / b.cost))
        };
        features.push(("line_cost_share".to_owned(), of(&share)));
    }
    if let Some(quantities) = &lines.quantity {
        features.push(("line_quantity".to_owned(), quantities.iter().map(|&quantity| float(quantity)).collect()));
    }
    features.push(("line_same_article_count".to_owned(), of(&|line| Some(f64::from(article(line)?.0 - 1)))));
    if lines.size.is_some() {
        features.push(("line_spare_size_count".to_owned(), of(&|line| Some(spare(&article(line)?.1) as f64))));
    }
    for name in tables.own_features("order_items") {
        features.push((name.clone(), tables.floats("order_items", &name)?));
    }
    Ok(features)
}

/// The greatest and the mean value of a line feature over each order's lines; lines without a value do not count.
pub(super) fn over_lines(values: &[f64], order_of_line: &[u32], orders: usize) -> [Vec<f64>; 2] {
    let (mut greatest, mut sum, mut count) = (vec![f64::NAN; orders], vec![0.0; orders], vec![0_u32; orders]);
    // In the order of size, so that the order of lines in the input does not show in the last bits of the sum.
    let mut lines: Vec<u32> = (0..values.len() as u32).filter(|&line| !values[line as usize].is_nan()).collect();
    lines.sort_by(|&a, &b| values[a as usize].total_cmp(&values[b as usize]));
    for line in lines {
        let (value, order) = (values[line as usize], order_of_line[line as usize]);
        if order != NO_ROW {
            let order = order as usize;
            greatest[order] = value;
            sum[order] += value;
            count[order] += 1;
        }
    }
    let mean = sum.iter().zip(&count).map(|(sum, &count)| sum / f64::from(count)).collect();
    [greatest, mean]
}
