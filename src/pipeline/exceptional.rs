//! What is stuck at the run's clock, and the stock against it.

use super::inputs::Inputs;
use crate::config::Pipeline;
use crate::error::Result;
use crate::exceptions::{Found, Terms, find};

/// Looks for exceptions in what was known at `as_of`.
///
/// # Errors
/// As [`find`].
pub(super) fn exceptional(pipeline: &Pipeline, inputs: &Inputs, as_of: i64) -> Result<Found> {
    let terms = Terms {
        as_of,
        zone: pipeline.zone,
        currency: &pipeline.raw.money.base,
        exponent: pipeline.base_exponent,
        settings: &pipeline.raw.exceptions,
        inventory: &pipeline.raw.inventory,
        language: pipeline.raw.report.language,
    };
    find(&inputs.ingested.tables, terms)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Exceptions, Inventory, Language};
    use crate::pipeline::as_of::known_at;
    use crate::types::time::HOUR;
    use polars::prelude::*;
    use proptest::prelude::*;
    use rand::{Rng, SeedableRng};
    use rand_chacha::ChaCha8Rng;
    use std::collections::BTreeMap;

    /// The clock, in hours like every time here.
    const NOW: i64 = 500;
    /// The last hour that a shop tells of.
    const END: i64 = 900;

    /// A row: where it points to, words and numbers, and its times; the first time is the row's own clock, the second is
    /// when it was known.
    #[derive(Debug, Clone)]
    struct Row {
        order: usize,
        word: usize,
        number: i64,
        times: Vec<Option<i64>>,
    }

    /// A table: how its times are called, and which column the word and the number are.
    struct Shape {
        name: &'static str,
        times: &'static [&'static str],
        words: (&'static str, &'static [&'static str]),
        number: &'static str,
    }

    const SHAPES: [Shape; 6] = [
        Shape {
            name: "orders",
            times: &[
                "placed_at",
                "",
                "paid_at",
                "approved_at",
                "shipped_at",
                "delivered_at",
                "cancelled_at",
                "completed_at",
            ],
            words: ("warehouse_id", &["W1", "W2"]),
            number: "amount",
        },
        Shape { name: "order_items", times: &[], words: ("sku", &["hat", "shoe"]), number: "unit_price" },
        Shape {
            name: "order_events",
            times: &["occurred_at", "known_at"],
            words: (
                "event",
                &["first_scan", "customs_arrived", "customs_cleared", "exception_damage", "exception_lost", "stockout"],
            ),
            number: "",
        },
        Shape {
            name: "returns",
            times: &["requested_at", "known_at", "approved_at", "received_at", "refunded_at", "closed_at"],
            words: ("reason", &["damaged", "size", "wrong_item"]),
            number: "amount",
        },
        Shape {
            name: "tickets",
            times: &["opened_at", "known_at", "first_reply_at", "solved_at"],
            words: ("kind", &["dispute", "claim", "chargeback", "contact"]),
            number: "amount",
        },
        Shape { name: "inventory", times: &["as_of", ""], words: ("sku", &["hat", "shoe"]), number: "on_hand" },
    ];

    type Rows = [Vec<Row>; 6];

    fn rows(shape: &'static Shape) -> impl Strategy<Value = Vec<Row>> {
        let times = prop::collection::vec(prop::option::of(0..END), shape.times.len());
        let row = (0..12_usize, 0..shape.words.1.len(), 0..40_i64, times, 0..END, 0..END).prop_map(
            |(order, word, number, mut times, own, known)| {
                // What is later by its own clock is not known before it.
                if let [first, second, ..] = times.as_mut_slice() {
                    (*first, *second) = (Some(own), Some(known.max(own)));
                }
                Row { order, word, number, times }
            },
        );
        prop::collection::vec(row, 12)
    }

    fn tables(shop: &Rows) -> BTreeMap<&'static str, DataFrame> {
        let instants = DataType::Datetime(TimeUnit::Microseconds, Some(TimeZone::UTC));
        let mut tables = BTreeMap::new();
        for (shape, rows) in SHAPES.iter().zip(shop) {
            let ids = |name: &str, pick: &dyn Fn(usize, &Row) -> String| {
                Column::new(name.into(), rows.iter().enumerate().map(|(at, row)| pick(at, row)).collect::<Vec<_>>())
            };
            let mut columns: Vec<Column> = Vec::new();
            match shape.name {
                "orders" => {
                    columns.push(ids("order_id", &|at, _| format!("O{at}")));
                    columns.push(ids("customer_id", &|at, _| format!("C{at}")));
                    for (name, ahead) in [("promised_ship_at", 48), ("promised_delivery_at", 120)] {
                        let promised = rows.iter().map(|row| row.times[0].map(|at| (at + ahead) * HOUR));
                        let column = Column::new(name.into(), promised.collect::<Vec<_>>());
                        columns.push(column.cast(&instants).unwrap());
                    }
                }
                "inventory" => columns.push(ids("warehouse_id", &|_, _| "W1".to_owned())),
                name => {
                    columns.push(ids("order_id", &|_, row| format!("O{}", row.order)));
                    let own = [("order_items", "line"), ("returns", "return_id"), ("tickets", "ticket_id")];
                    if let Some((_, id)) = own.iter().find(|(table, _)| *table == name) {
                        columns.push(ids(id, &|at, _| format!("{at}")));
                    }
                }
            }
            columns.push(ids(shape.words.0, &|_, row| shape.words.1[row.word].to_owned()));
            if !shape.number.is_empty() {
                let numbers = rows.iter().map(|row| row.number * 100).collect::<Vec<_>>();
                columns.push(Column::new(shape.number.into(), numbers));
            }
            if shape.name == "order_items" {
                columns.push(Column::new("quantity".into(), rows.iter().map(|row| row.number).collect::<Vec<_>>()));
            }
            if shape.name == "tickets" {
                // How it ended is told with the end.
                let ended = rows.iter().map(|row| row.times[3].map(|_| "withdrawn")).collect::<Vec<_>>();
                columns.push(Column::new("outcome".into(), ended));
            }
            for (at, name) in shape.times.iter().enumerate().filter(|(_, name)| !name.is_empty()) {
                let times = rows.iter().map(|row| row.times[at].map(|hour| hour * HOUR)).collect::<Vec<_>>();
                columns.push(Column::new((*name).into(), times).cast(&instants).unwrap());
            }
            tables.insert(shape.name, DataFrame::new_infer_height(columns).unwrap());
        }
        tables
    }

    /// The same shop with another future: whatever was not known at [`NOW`] is otherwise.
    fn other_future(shop: &Rows, seed: u64) -> (Rows, usize) {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let (mut shop, mut changed) = (shop.clone(), 0);
        let not_placed: Vec<bool> = shop[0].iter().map(|order| order.times[0] > Some(NOW)).collect();
        for (shape, rows) in SHAPES.iter().zip(&mut shop) {
            for row in rows {
                let clocks = shape.times.iter().zip(&row.times).take(2);
                let unknown = clocks.filter(|(name, _)| !name.is_empty()).any(|(_, time)| *time > Some(NOW))
                    || (shape.name == "order_items" && not_placed[row.order]);
                if unknown {
                    row.word = rng.random_range(0..shape.words.1.len());
                    row.number = rng.random_range(0..40);
                    changed += 1;
                }
                for (at, time) in row.times.iter_mut().enumerate() {
                    if *time > Some(NOW) {
                        let never = at > 1 && rng.random_bool(0.5);
                        *time = (!never).then(|| rng.random_range(NOW + 1..END));
                        changed += 1;
                    }
                }
                if let [Some(own), Some(known), ..] = row.times.as_mut_slice() {
                    *known = (*known).max(*own);
                }
            }
        }
        (shop, changed)
    }

    fn found(shop: &Rows) -> (DataFrame, DataFrame, usize) {
        let mut tables = tables(shop);
        known_at(&mut tables, NOW * HOUR).unwrap();
        let settings = Exceptions { lane_min_parcels: 2, high_value: Some(30.0), ..Exceptions::default() };
        let terms = Terms {
            as_of: NOW * HOUR,
            zone: chrono_tz::Europe::Berlin,
            currency: "EUR",
            exponent: 2,
            settings: &settings,
            inventory: &Inventory::default(),
            language: Language::En,
        };
        let found = find(&tables, terms).unwrap();
        let kinds = found.counts.values().filter(|(rows, _)| *rows > 0).count();
        (found.exceptions, found.inventory.unwrap(), kinds)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn what_becomes_known_after_the_clock_changes_no_exception_and_no_stock(
            shop in (rows(&SHAPES[0]), rows(&SHAPES[1]), rows(&SHAPES[2]), rows(&SHAPES[3]), rows(&SHAPES[4]), rows(&SHAPES[5])),
            seed in any::<u64>(),
        ) {
            let shop: Rows = shop.into();
            let (other, changed) = other_future(&shop, seed);
            prop_assert!(changed > 20, "the future must really be another one: {changed}");
            let ((exceptions, stock, kinds), (other_exceptions, other_stock, _)) = (found(&shop), found(&other));
            // A shop in which hardly anything is stuck shows nothing.
            prop_assume!(kinds > 2);
            prop_assert!(exceptions.equals_missing(&other_exceptions), "{exceptions}\n{other_exceptions}");
            prop_assert!(stock.equals_missing(&other_stock), "{stock}\n{other_stock}");
        }
    }
}
