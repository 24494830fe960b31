//! Facts of the order itself, as they stood when it was placed.

use super::Terms;
use super::columns::{Orders, ints, texts};
use crate::error::Result;
use crate::types::time::{DAY, HOUR};
use chrono::{DateTime, Datelike, Timelike, Utc};
use polars::prelude::DataFrame;
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// A named column of features.
pub(super) type Feature = (String, Vec<f64>);

pub(super) fn columns(
    orders: &Orders,
    tables: &BTreeMap<&'static str, DataFrame>,
    terms: &Terms,
) -> Result<Vec<Feature>> {
    let mut features: Vec<Feature> = Vec::new();
    let mut add = |name: &str, values: Vec<f64>| features.push((name.to_owned(), values));
    add("amount", orders.amount.iter().map(|&a| a as f64).collect());
    for name in ["item_count", "units"] {
        if let Some(values) = orders.ints(name)? {
            add(name, values.into_iter().map(float).collect());
        }
    }
    // Shares of the amount, so that a dear order's freight is not taken for a dear freight.
    for (name, share) in
        [("shipping_fee", "shipping_fee_share"), ("tax_duty", "tax_duty_share"), ("discount", "discount_share")]
    {
        if let Some(values) = orders.ints(name)? {
            let of_amount = |(value, &amount): (Option<i64>, &i64)| match value {
                Some(value) if amount > 0 => value as f64 / amount as f64,
                _ => f64::NAN,
            };
            add(share, values.into_iter().zip(&orders.amount).map(of_amount).collect());
        }
    }
    let civil = |&t: &i64| DateTime::<Utc>::from_timestamp_micros(t).map(|t| t.with_timezone(&terms.zone));
    add("hour_of_day", orders.placed_at.iter().map(|t| civil(t).map_or(f64::NAN, |t| f64::from(t.hour()))).collect());
    let night = |t: &i64| civil(t).map_or(f64::NAN, |t| f64::from(u8::from(t.hour() < 6)));
    add("is_night", orders.placed_at.iter().map(night).collect());
    let weekend = |t: &i64| civil(t).map_or(f64::NAN, |t| f64::from(u8::from(t.weekday().number_from_monday() > 5)));
    add("is_weekend", orders.placed_at.iter().map(weekend).collect());
    if let Some(created) = orders.ints("account_created_at")? {
        let age =
            |(created, &placed): (Option<i64>, &i64)| created.map_or(f64::NAN, |c| (placed - c) as f64 / DAY as f64);
        add("account_age_days", created.into_iter().zip(&orders.placed_at).map(age).collect());
    }
    for (name, promised) in
        [("promised_delivery_days", "promised_delivery_at"), ("promised_ship_hours", "promised_ship_at")]
    {
        if let Some(values) = orders.ints(promised)? {
            let unit = if promised == "promised_ship_at" { HOUR } else { DAY };
            let ahead =
                |(at, &placed): (Option<i64>, &i64)| at.map_or(f64::NAN, |at| (at - placed) as f64 / unit as f64);
            add(name, values.into_iter().zip(&orders.placed_at).map(ahead).collect());
        }
    }
    for (name, left, right) in [
        ("ship_billing_country_differs", "ship_country", "billing_country"),
        ("ship_ip_country_differs", "ship_country", "ip_country"),
        ("billing_ip_country_differs", "billing_country", "ip_country"),
        ("billing_payment_country_differs", "billing_country", "payment_country"),
    ] {
        if let (Some(a), Some(b)) = (orders.texts(left)?, orders.texts(right)?) {
            let differs = |pair: (&Option<String>, &Option<String>)| match pair {
                (Some(a), Some(b)) => f64::from(u8::from(!a.eq_ignore_ascii_case(b))),
                _ => f64::NAN,
            };
            add(name, a.iter().zip(&b).map(differs).collect());
        }
    }
    for name in orders.own_features() {
        add(&name, orders.floats(&name)?);
    }
    features.extend(basket(orders, tables)?);
    Ok(features)
}

fn float(value: Option<i64>) -> f64 {
    value.map_or(f64::NAN, |v| v as f64)
}

/// Facts of an order's lines.
#[derive(Default)]
struct Basket {
    lines: u32,
    price_max: Option<i64>,
    sized: u32,
    sizes: BTreeSet<(String, String)>,
    articles: BTreeSet<String>,
}

fn basket(orders: &Orders, tables: &BTreeMap<&'static str, DataFrame>) -> Result<Vec<Feature>> {
    let Some(items) = tables.get("order_items") else { return Ok(Vec::new()) };
    let ids = texts(items, "order_id")?.unwrap_or_default();
    let skus = texts(items, "sku")?.unwrap_or_default();
    let sizes = texts(items, "size")?;
    let prices = ints(items, "unit_price")?;
    let mut baskets: HashMap<&str, Basket> = HashMap::new();
    for (at, id) in ids.iter().enumerate() {
        let Some(id) = id else { continue };
        let basket = baskets.entry(id).or_default();
        basket.lines += 1;
        basket.price_max = basket.price_max.max(prices.as_ref().and_then(|p| p[at]));
        if let (Some(size), Some(sku)) = (sizes.as_ref().and_then(|s| s[at].as_ref()), &skus[at]) {
            basket.sized += 1;
            basket.articles.insert(sku.clone());
            basket.sizes.insert((sku.clone(), size.clone()));
        }
    }
    let of = |value: &dyn Fn(&Basket) -> f64| -> Vec<f64> {
        orders.order_id.iter().map(|id| baskets.get(id.as_str()).map_or(f64::NAN, value)).collect()
    };
    let mut features = vec![("basket_line_count".to_owned(), of(&|b| f64::from(b.lines)))];
    if prices.is_some() {
        features.push(("basket_unit_price_max".to_owned(), of(&|b| float(b.price_max))));
    }
    if sizes.is_some() {
        features.push(("basket_sized_line_count".to_owned(), of(&|b| f64::from(b.sized))));
        // One article ordered in several sizes: all but one are meant to go back.
        features.push(("basket_spare_size_count".to_owned(), of(&|b| (b.sizes.len() - b.articles.len()) as f64)));
    }
    Ok(features)
}
