//! Facts of the order itself, as they stood when it was placed.

use super::tables::{Tables, float, some, values};
use super::{Feature, Terms};
use crate::error::Result;
use crate::types::time::{DAY, HOUR};
use chrono::{DateTime, Datelike, Timelike, Utc};

pub(super) fn columns(tables: &Tables, terms: &Terms) -> Result<Vec<Feature>> {
    let mut features: Vec<Feature> = Vec::new();
    let mut add = |name: &str, values: Vec<f64>| features.push((name.to_owned(), values));
    add("amount", tables.amount.iter().map(|&a| a as f64).collect());
    for name in ["item_count", "units"] {
        if let Some(values) = tables.ints("orders", name)? {
            add(name, values.into_iter().map(float).collect());
        }
    }
    // Shares of the amount, so that a dear order's freight is not taken for a dear freight.
    for (name, share) in
        [("shipping_fee", "shipping_fee_share"), ("tax_duty", "tax_duty_share"), ("discount", "discount_share")]
    {
        if let Some(values) = tables.ints("orders", name)? {
            let of_amount = |(value, &amount): (i64, &i64)| match some(value) {
                Some(value) if amount > 0 => value as f64 / amount as f64,
                _ => f64::NAN,
            };
            add(share, values.into_iter().zip(&tables.amount).map(of_amount).collect());
        }
    }
    let civil = |&t: &i64| DateTime::<Utc>::from_timestamp_micros(t).map(|t| t.with_timezone(&terms.zone));
    add("hour_of_day", tables.placed_at.iter().map(|t| civil(t).map_or(f64::NAN, |t| f64::from(t.hour()))).collect());
    let night = |t: &i64| civil(t).map_or(f64::NAN, |t| f64::from(u8::from(t.hour() < 6)));
    add("is_night", tables.placed_at.iter().map(night).collect());
    let weekend = |t: &i64| civil(t).map_or(f64::NAN, |t| f64::from(u8::from(t.weekday().number_from_monday() > 5)));
    add("is_weekend", tables.placed_at.iter().map(weekend).collect());
    if let Some(created) = tables.ints("orders", "account_created_at")? {
        let age =
            |(created, &placed): (i64, &i64)| some(created).map_or(f64::NAN, |c| (placed - c) as f64 / DAY as f64);
        add("account_age_days", created.into_iter().zip(&tables.placed_at).map(age).collect());
    }
    for (name, promised) in
        [("promised_delivery_days", "promised_delivery_at"), ("promised_ship_hours", "promised_ship_at")]
    {
        if let Some(values) = tables.ints("orders", promised)? {
            let unit = if promised == "promised_ship_at" { HOUR } else { DAY };
            let ahead = |(at, &placed): (i64, &i64)| some(at).map_or(f64::NAN, |at| (at - placed) as f64 / unit as f64);
            add(name, values.into_iter().zip(&tables.placed_at).map(ahead).collect());
        }
    }
    for (name, left, right) in [
        ("ship_billing_country_differs", "ship_country", "billing_country"),
        ("ship_ip_country_differs", "ship_country", "ip_country"),
        ("billing_ip_country_differs", "billing_country", "ip_country"),
        ("billing_payment_country_differs", "billing_country", "payment_country"),
    ] {
        if let (Some(a), Some(b)) = (tables.text_column("orders", left)?, tables.text_column("orders", right)?) {
            let differs = |pair: (Option<&str>, Option<&str>)| match pair {
                (Some(a), Some(b)) => f64::from(u8::from(!a.eq_ignore_ascii_case(b))),
                _ => f64::NAN,
            };
            add(name, values(&a).zip(values(&b)).map(differs).collect());
        }
    }
    for name in tables.own_features("orders") {
        add(&name, tables.floats("orders", &name)?);
    }
    Ok(features)
}
