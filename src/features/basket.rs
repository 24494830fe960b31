//! Facts of an order's lines, as they stood when it was placed: of the order as a whole, and of each line within it.

use super::Feature;
use super::tables::{NO_ROW, Tables, float, some, values};
use crate::error::Result;

/// What is read of lines.
struct Lines<'a> {
    order: &'a [u32],
    price: Option<Vec<i64>>,
    quantity: Option<Vec<i64>>,
    has_sizes: bool,
    articles: Vec<Article>,
    /// The article of each line, by its place among these; [`NO_ROW`] where it names none.
    article_of: Vec<u32>,
}

/// An article of an order.
struct Article {
    order: u32,
    lines: u32,
    /// Lines of it that name a size, and the sizes that they name.
    sized: u32,
    sizes: u32,
}

impl Article {
    /// Sizes beyond the one that is meant to be kept.
    fn spare(&self) -> u32 {
        self.sizes.saturating_sub(1)
    }
}

impl<'a> Lines<'a> {
    fn read(tables: &Tables, order: &'a [u32]) -> Result<Self> {
        let (skus, sizes) = (tables.text_column("order_items", "sku")?, tables.text_column("order_items", "size")?);
        let mut all = Self {
            order,
            price: tables.ints("order_items", "unit_price")?,
            quantity: tables.ints("order_items", "quantity")?,
            has_sizes: sizes.is_some(),
            articles: Vec::new(),
            article_of: vec![NO_ROW; order.len()],
        };
        let sizes: Vec<Option<&str>> =
            sizes.as_ref().map_or_else(|| vec![None; order.len()], |sizes| values(sizes).collect());
        let skus = skus.iter().flat_map(values).zip(order).zip(&sizes).enumerate();
        let mut named: Vec<(u32, &str, Option<&str>, u32)> = skus
            .filter_map(|(line, ((sku, &order), size))| Some((order, sku?, *size, line as u32)))
            .filter(|(order, ..)| *order != NO_ROW)
            .collect();
        named.sort_unstable();
        for lines in named.chunk_by(|a, b| (a.0, a.1) == (b.0, b.1)) {
            let sized = lines.iter().filter(|line| line.2.is_some()).count() as u32;
            let sizes = lines.chunk_by(|a, b| a.2 == b.2).filter(|of_size| of_size[0].2.is_some()).count() as u32;
            lines.iter().for_each(|line| all.article_of[line.3 as usize] = all.articles.len() as u32);
            all.articles.push(Article { order: lines[0].0, lines: lines.len() as u32, sized, sizes });
        }
        Ok(all)
    }

    fn price(&self, line: usize) -> Option<i64> {
        self.price.as_ref().and_then(|prices| some(prices[line]))
    }

    /// What a line costs: unit price by quantity; one unit where no quantity is given.
    fn cost(&self, line: usize) -> Option<f64> {
        let quantity = self.quantity.as_ref().and_then(|quantities| some(quantities[line])).unwrap_or(1);
        self.price(line).map(|price| price as f64 * quantity as f64)
    }

    fn article(&self, line: usize) -> Option<&Article> {
        self.articles.get(self.article_of[line] as usize)
    }
}

/// Lines of an order taken together.
#[derive(Default, Clone)]
struct Basket {
    lines: u32,
    price_max: Option<i64>,
    cost: f64,
    articles: u32,
    sized: u32,
    spare_sizes: u32,
}

fn baskets(lines: &Lines, orders: usize) -> Vec<Basket> {
    let mut baskets = vec![Basket::default(); orders];
    for (line, &order) in lines.order.iter().enumerate().filter(|(_, order)| **order != NO_ROW) {
        let basket = &mut baskets[order as usize];
        basket.lines += 1;
        basket.price_max = basket.price_max.max(lines.price(line));
        basket.cost += lines.cost(line).unwrap_or_default();
    }
    for article in &lines.articles {
        let basket = &mut baskets[article.order as usize];
        basket.articles += 1;
        basket.sized += article.sized;
        basket.spare_sizes += article.spare();
    }
    baskets
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
        ("basket_article_count".to_owned(), of(&|b| f64::from(b.articles))),
    ];
    if lines.price.is_some() {
        features.push(("basket_unit_price_max".to_owned(), of(&|b| b.price_max.map_or(f64::NAN, |p| p as f64))));
    }
    if lines.has_sizes {
        features.push(("basket_sized_line_count".to_owned(), of(&|b| f64::from(b.sized))));
        // One article ordered in several sizes: all but one are meant to go back.
        features.push(("basket_spare_size_count".to_owned(), of(&|b| f64::from(b.spare_sizes))));
    }
    Ok(features)
}

/// Features of lines.
pub(super) fn of_lines(tables: &Tables, order_of_line: &[u32]) -> Result<Vec<Feature>> {
    let lines = Lines::read(tables, order_of_line)?;
    let baskets = baskets(&lines, tables.orders());
    let basket = |line: usize| baskets.get(order_of_line[line] as usize);
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
    let same = |line: usize| lines.article(line).map(|article| f64::from(article.lines - 1));
    features.push(("line_same_article_count".to_owned(), of(&same)));
    if lines.has_sizes {
        let spare = |line: usize| lines.article(line).map(|article| f64::from(article.spare()));
        features.push(("line_spare_size_count".to_owned(), of(&spare)));
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
