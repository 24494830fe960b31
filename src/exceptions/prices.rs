//! Prices that fell between an order and its delivery.

use super::Severity;
use super::columns::Texts;
use super::shop::Shop;
use super::words::{instant, said, share};
use crate::contract::exception::ExceptionKind as Kind;
use crate::error::Result;
use std::collections::HashMap;

/// A line as prices are compared: only like with like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Line {
    placed_at: i64,
    order: u32,
    row: u32,
    price: i64,
    quantity: i64,
}

/// What two lines must have in common for one to be the other's price: article, size, colour, seller, channel,
/// destination, currency, as far as they are supplied.
type Article<'a> = (&'a str, [Option<&'a str>; 6]);

/// A line that is owed something.
struct Owed {
    since: i64,
    amount: i64,
    detail: String,
}

/// Notes orders on their way that hold something which became cheaper since.
///
/// A later order of the same article, size and colour, of the same seller and channel, to the same country and in the same currency,
/// shows the price. What is owed is the quantity times the fall to the lowest such price.
pub(super) fn find(shop: &mut Shop<'_>) -> Result<()> {
    if !shop.asks(Kind::PriceFell) {
        return Ok(());
    }
    let items = shop.source("order_items");
    let (orders, skus, prices) = (items.texts("order_id")?, items.texts("sku")?, items.ints("unit_price")?);
    let (quantities, size, color) = (items.ints("quantity")?, items.texts("size")?, items.texts("color")?);
    let line_of = |at_row: usize| {
        let order = shop.row_of(orders.get(at_row))?;
        let (sku, price) = (skus.get(at_row)?, prices.get(at_row)?);
        // An order that came to nothing shows no price that anybody paid.
        let placed_at = shop.orders.placed_at.get(order).filter(|_| !shop.orders.is_cancelled(order))?;
        // A line without a quantity is one piece.
        let quantity = quantities.get(at_row).unwrap_or(1);
        let line = Line { placed_at, order: order as u32, row: at_row as u32, price, quantity };
        Some((article(shop, sku, [&size, &color], at_row, order), line))
    };
    let waits = |line: &Line| !shop.orders.is_ended(line.order as usize) && !shop.orders.is_unpaid(line.order as usize);
    let mut open: HashMap<Article<'_>, Vec<Line>> = HashMap::new();
    for (article, _) in (0..items.rows()).filter_map(line_of).filter(|(_, line)| waits(line)) {
        open.entry(article).or_default();
    }
    for (article, line) in (0..items.rows()).filter_map(line_of) {
        if let Some(all) = open.get_mut(&article) {
            all.push(line);
        }
    }
    let mut owed: Vec<(usize, Owed)> = Vec::new();
    let mut open: Vec<(Article<'_>, Vec<Line>)> = open.into_iter().collect();
    open.sort_unstable_by(|a, b| a.0.cmp(&b.0));
    for ((sku, _), mut lines) in open {
        lines.sort_unstable_by_key(|line| (line.placed_at, line.order, line.row));
        for (row, found) in fallen(shop, sku, &lines) {
            owed.push((row, found));
        }
    }
    // One row an order: lines add up.
    owed.sort_by(|a, b| (a.0, a.1.since, &a.1.detail).cmp(&(b.0, b.1.since, &b.1.detail)));
    let notes: Vec<_> = owed
        .chunk_by(|a, b| a.0 == b.0)
        .filter_map(|lines| {
            let (row, first) = lines.first()?;
            let amount: i64 = lines.iter().map(|(_, owed)| owed.amount).sum();
            let details: Vec<&str> = lines.iter().map(|(_, owed)| owed.detail.as_str()).collect();
            let (details, sum) = (details.join(shop.say("; ", "；")), shop.currency.amount(amount));
            let detail = said!(shop.terms.language, "{details}; {sum} may be owed", "{details}；可能应退差价 {sum}");
            Some((*row, first.since, amount, detail))
        })
        .collect();
    for (row, since, amount, detail) in notes {
        shop.add(super::shop::Finding {
            kind: Kind::PriceFell,
            order: Some(row),
            reference: None,
            customer: None,
            since,
            known_at: since,
            severity: Severity::Low,
            value_at_risk: amount,
            detail,
            action: shop.say(
                "refund the difference if the shop promises its lowest price until delivery",
                "若店铺承诺送达前保价，退还差价",
            ),
        });
    }
    Ok(())
}

fn article<'a>(shop: &'a Shop<'_>, sku: &'a str, of_line: [&'a Texts; 2], line: usize, order: usize) -> Article<'a> {
    let [size, color] = of_line;
    let orders = &shop.orders;
    let like = [
        size.get(line),
        color.get(line),
        orders.seller.get(order),
        orders.channel.get(order),
        orders.ship_country.get(order),
        orders.currency.get(order),
    ];
    (sku, like)
}

/// The open lines of one article that later became cheaper; `lines` are in the order they were placed.
fn fallen(shop: &Shop<'_>, sku: &str, lines: &[Line]) -> Vec<(usize, Owed)> {
    let least = 1.0 - shop.terms.settings.price_fall;
    // Lowest price from each line on.
    let mut lowest = vec![i64::MAX; lines.len() + 1];
    for (at, line) in lines.iter().enumerate().rev() {
        lowest[at] = line.price.min(lowest[at + 1]);
    }
    let mut owed = Vec::new();
    for (at, line) in lines.iter().enumerate() {
        let order = line.order as usize;
        if shop.orders.is_ended(order) || shop.orders.is_unpaid(order) || line.price == 0 {
            continue;
        }
        let later = at + lines[at..].partition_point(|other| other.placed_at == line.placed_at);
        let enough = |price: i64| price < line.price && price as f64 <= line.price as f64 * least;
        if !enough(lowest[later]) {
            continue;
        }
        let Some(first) = lines[later..].iter().find(|other| enough(other.price)) else { continue };
        let fall = line.price - lowest[later];
        let amount = fall * line.quantity;
        let [paid, now] = [line.price, lowest[later]].map(|price| shop.currency.amount(price));
        let (units, less, at) = (line.quantity, share(fall as f64 / line.price as f64), instant(first.placed_at));
        let detail = said!(
            shop.terms.language,
            "{units} × `{sku}` bought at {paid} was sold at {now} ({less} less) from {at} on",
            "{units} × `{sku}` 购买价 {paid}，自 {at} 起售价 {now}（低 {less}）"
        );
        owed.push((order, Owed { since: first.placed_at, amount, detail }));
    }
    owed
}
