use super::tables::{EVENTS, FEEDBACK, INVENTORY, ITEMS, ORDERS, RETURNS};
use super::*;
use crate::contract::input::{Table, table};
use crate::types::money::{Excess, exponent, parse_minor};
use crate::types::time::parse_instant;

const SMALL: ShopSpec = ShopSpec { orders: 2_000, seed: 5, days: 90, dirty_share: 0.02 };

fn make(spec: &ShopSpec) -> (tempfile::TempDir, ShopSummary) {
    let folder = tempfile::tempdir().unwrap();
    let summary = generate(spec, folder.path(), &mut |_| {}).unwrap();
    (folder, summary)
}

fn bytes(summary: &ShopSummary) -> Vec<Vec<u8>> {
    summary.tables.iter().map(|t| std::fs::read(&t.path).unwrap()).collect()
}

/// Rows of a file of the shop, by column name; ragged ones too.
fn rows(summary: &ShopSummary, name: &str) -> (Vec<String>, Vec<Vec<String>>) {
    let path = &summary.tables.iter().find(|t| t.name == name).unwrap().path;
    let mut reader = csv::ReaderBuilder::new().flexible(true).from_path(path).unwrap();
    let header = reader.headers().unwrap().iter().map(str::to_owned).collect();
    (header, reader.records().map(|r| r.unwrap().iter().map(str::to_owned).collect()).collect())
}

#[test]
fn one_seed_gives_the_same_bytes_and_another_seed_gives_others() {
    let (_a, first) = make(&SMALL);
    let (_b, again) = make(&SMALL);
    assert!(bytes(&first) == bytes(&again));
    let (_c, other) = make(&ShopSpec { seed: 6, ..SMALL });
    assert!(bytes(&first).iter().zip(&bytes(&other)).all(|(a, b)| a != b));
}

#[test]
fn columns_are_the_contracts() {
    let names = |t: &Table| t.columns.iter().map(|c| c.name).collect::<Vec<_>>();
    let expect = |name: &str, columns: &[&str]| {
        let mut want = names(table(name).unwrap());
        // The shop sends an order in one parcel.
        want.retain(|column| (name, *column) != ("order_items", "delivered_at"));
        let mut have = columns.to_vec();
        want.sort_unstable();
        have.sort_unstable();
        assert_eq!(have, want, "{name}");
    };
    expect("orders", &ORDERS);
    expect("returns", &RETURNS);
    expect("feedback", &FEEDBACK);
    expect("inventory", &INVENTORY);
    expect("order_items", &ITEMS.map(|(n, _)| n));
    expect("order_events", &EVENTS.map(|(n, _)| n));
}

#[test]
fn every_clean_order_parses_stands_in_time_order_and_shows_nothing_of_the_future() {
    let (_folder, summary) = make(&ShopSpec { dirty_share: 0.0, ..SMALL });
    let (header, orders) = rows(&summary, "orders");
    let at = |name: &str| header.iter().position(|h| h == name).unwrap();
    assert_eq!(orders.len(), 2_000);
    let contract = table("orders").unwrap();
    let mut before = summary.start;
    for row in &orders {
        let digits = exponent(&row[at("currency")]).unwrap();
        for money in ["amount", "shipping_fee", "tax_duty", "discount"] {
            let (minor, _) = parse_minor(&row[at(money)], '.', digits, Excess::Refuse).unwrap();
            assert!(minor >= 0, "{money} {row:?}");
        }
        let instant = |name: &str| (!row[at(name)].is_empty()).then(|| parse_instant(&row[at(name)]).unwrap());
        for (earlier, later) in contract.order_of_time {
            if let (Some(a), Some(b)) = (instant(earlier), instant(later)) {
                assert!(a <= b, "{earlier} after {later}: {row:?}");
            }
        }
        let placed = instant("placed_at").unwrap();
        assert!(before <= placed && placed < summary.end);
        before = placed;
        for fact in [
            "paid_at",
            "approved_at",
            "shipped_at",
            "delivered_at",
            "completed_at",
            "cancelled_at",
            "updated_at",
            "fraud_known_at",
        ] {
            assert!(instant(fact).is_none_or(|t| placed <= t && t <= summary.as_of), "{fact} {row:?}");
        }
        assert_eq!(row[at("fraud")] == "true", !row[at("fraud_known_at")].is_empty());
    }
}

#[test]
fn counts_of_the_summary_are_those_of_the_files() {
    let (_folder, summary) = make(&SMALL);
    for name in ["orders", "returns", "feedback", "inventory", "fx_rates"] {
        let written = summary.tables.iter().find(|t| t.name == name).unwrap();
        assert_eq!(rows(&summary, name).1.len() as u64, written.rows, "{name}");
    }
    let orders = &summary.tables[0];
    assert_eq!(orders.rows, SMALL.orders + orders.superseded_rows);
    assert!(orders.dirty_rows > 0 && orders.superseded_rows > 0);
    let tickets = std::fs::read_to_string(&summary.tables[4].path).unwrap();
    assert_eq!(tickets.lines().count() as u64, summary.tables[4].rows);
    assert!(summary.frauds > 0 && summary.returns > 50, "{summary:?}");
}

#[test]
fn dirt_spoils_rows_and_leaves_the_shop_as_it_is() {
    let (_a, clean) = make(&ShopSpec { dirty_share: 0.0, ..SMALL });
    let (_b, dirty) = make(&SMALL);
    assert!(clean.tables.iter().all(|t| t.dirty_rows + t.orphaned_rows + t.superseded_rows == 0));
    let (clean_orders, dirty_orders) = (rows(&clean, "orders").1, rows(&dirty, "orders").1);
    let unchanged = clean_orders.iter().filter(|row| dirty_orders.contains(row)).count() as u64;
    assert_eq!(unchanged, SMALL.orders - dirty.tables[0].dirty_rows);
    assert_eq!((clean.frauds, clean.returns), (dirty.frauds, dirty.returns));
}

#[test]
fn a_shop_without_orders_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let refused = generate(&ShopSpec { orders: 0, ..SMALL }, folder.path(), &mut |_| {});
    assert_eq!(refused.unwrap_err().exit_code(), 2);
}
