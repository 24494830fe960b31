//! The tables that stand beside the orders: stock week by week, exchange rates day by day.

use super::dice::Dice;
use super::files::CsvFile;
use super::fx::LEAD_DAYS;
use super::order::Shop;
use super::places::WAREHOUSES;
use crate::error::Result;
use crate::types::time::{DAY, SECOND};
use std::path::{Path, PathBuf};

/// Stock of every article in every warehouse that keeps it, on Monday mornings.
pub(super) fn write_inventory(
    folder: &Path,
    shop: &Shop,
    first_day: i32,
    last_day: i32,
    dirty_share: f64,
    dirt: &mut Dice,
) -> Result<((PathBuf, u64), u64)> {
    let mut file = CsvFile::create(folder, "inventory.csv", &super::tables::INVENTORY)?;
    let mut dirty = 0;
    let mut text = String::new();
    // 1970-01-05 was a Monday.
    let weeks = (first_day - 4).div_euclid(7)..=(last_day - 4).div_euclid(7);
    for week in weeks {
        for (sku, article) in shop.catalog.skus.iter().enumerate() {
            for warehouse in (0..WAREHOUSES.len()).filter(|w| article.kept_at >> w & 1 == 1) {
                let spoilt = dirt.chance(dirty_share * 0.05);
                dirty += u64::from(spoilt);
                text.clear();
                shop.catalog.write_sku(&mut text, sku);
                file.text(&text);
                file.text(WAREHOUSES[warehouse].id);
                file.instant(Some(i64::from(week * 7 + 4) * DAY + 5 * 3600 * SECOND));
                let on_hand = i64::from(shop.catalog.on_hand(sku, warehouse, week));
                match spoilt {
                    false => file.count(Some(on_hand)),
                    true if dirt.chance(0.5) => file.text("plenty"),
                    true => file.count(Some(-3)),
                }
                file.end_row()?;
            }
        }
    }
    Ok((file.finish()?, dirty))
}

/// Rates of every currency to the base, valid from midnight UTC.
pub(super) fn write_rates(folder: &Path, shop: &Shop, first_day: i32) -> Result<(PathBuf, u64)> {
    let mut file = CsvFile::create(folder, "fx_rates.csv", &["currency", "valid_from", "rate_to_base"])?;
    for (code, rates) in shop.fx.series() {
        for (i, rate) in rates.iter().enumerate() {
            file.text(code);
            file.instant(Some((i64::from(first_day) + i as i64 - LEAD_DAYS as i64) * DAY));
            file.text(&format!("{rate:.8}"));
            file.end_row()?;
        }
    }
    file.finish()
}
