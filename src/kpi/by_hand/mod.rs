//! Every KPI on a few rows, with its traps, counted by hand.

mod disputes;
mod example;
mod fulfilment;
mod parts;
mod returns;
mod satisfaction;
mod service;
mod speed;
mod volume;
mod waiting;

use super::{Availability, Facts, History, Measure, Shape, Subject, Terms, catalogue};
use crate::types::time::DAY;
use example::Example;
use polars::prelude::{DataFrame, SortMultipleOptions};
use std::collections::BTreeSet;

fn examples() -> Vec<&'static Example> {
    [
        volume::EXAMPLES,
        speed::EXAMPLES,
        fulfilment::EXAMPLES,
        returns::EXAMPLES,
        disputes::EXAMPLES,
        service::EXAMPLES,
        parts::EXAMPLES,
        satisfaction::EXAMPLES,
    ]
    .into_iter()
    .flatten()
    .collect()
}

#[test]
fn every_kpi_counts_as_it_does_by_hand() {
    let wrong: Vec<String> = examples().into_iter().flat_map(Example::differences).collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn no_kpi_is_without_an_example() {
    let terms = Terms { as_of: 0, zone: chrono_tz::UTC, return_window: 30 * DAY };
    let mut entries = catalogue::catalogue(&terms);
    entries.extend(catalogue::by_part(&terms, &["sku".to_owned(), "category".to_owned()]));
    entries.extend(crate::satisfaction::catalogue());
    let shown: BTreeSet<String> = examples().into_iter().flat_map(Example::shown).collect();
    let rows = |m: &Measure| match m.shape {
        Shape::Duration { .. } => ["p50", "p90", "mean", "open_share"]
            .iter()
            .map(|s| m.name().replace(m.id, &format!("{}_{s}", m.id)))
            .collect(),
        Shape::Total(_) | Shape::Proportion { .. } | Shape::Ratio { .. } => vec![m.name()],
    };
    let without: Vec<String> = entries.iter().flat_map(rows).filter(|name| !shown.contains(name)).collect();
    assert_eq!(without, Vec::<String>::new(), "KPIs that no example counts by hand");
}

#[test]
fn facts_of_parts_of_the_orders_are_the_parts_of_the_facts() {
    let keys = [
        (Subject::Orders, vec!["order_id"]),
        (Subject::Customers, vec!["customer_id"]),
        (Subject::Feedback, vec!["feedback_id"]),
        (Subject::Returns, vec!["return_id"]),
        (Subject::Tickets, vec!["ticket_id"]),
        (Subject::OpenOrders, vec!["order_id"]),
        (Subject::Skus, vec!["order_id", "sku"]),
        (Subject::Categories, vec!["order_id", "category"]),
    ];
    let mut compared = 0;
    for example in examples() {
        let (tables, terms, segments) = (example.tables(), example.terms(), example.segments());
        let whole = Facts::new(&tables, &terms, &segments).unwrap();
        let history = History::of(&tables["orders"]).unwrap();
        let parts: Vec<_> = (0..3).map(|part| example::part_of(&tables, part, 3)).collect();
        let mut available = Availability::default();
        parts.iter().for_each(|tables| available.merge(Availability::of(tables)));
        assert_eq!(available, whole.available, "{}", example.shows);
        let parts: Vec<_> =
            parts.iter().map(|t| Facts::of_part(t, &available, &history, &terms, &segments).unwrap()).collect();
        for (subject, key) in &keys {
            let sorted = |frame: DataFrame| frame.sort(key.clone(), SortMultipleOptions::default()).unwrap();
            let Some(all) = whole.frame(*subject) else { continue };
            let mut together: Option<DataFrame> = None;
            for part in parts.iter().filter_map(|p| p.frame(*subject)) {
                together = Some(together.map_or_else(|| part.clone(), |t| t.vstack(part).unwrap()));
            }
            let (all, together) = (sorted(all.clone()), sorted(together.unwrap()));
            assert!(all.equals_missing(&together), "{}: {subject:?}\n{all}\n{together}", example.shows);
            compared += all.height();
        }
    }
    assert!(compared > 100, "rows were compared: {compared}");
}

#[test]
fn a_kpi_that_cannot_be_fed_says_what_is_missing_and_gives_no_row() {
    let without = Example {
        shows: "orders without times, lines, events, returns or tickets",
        at: "2025-06-01T00:00:00Z",
        zone: "UTC",
        by: "sku",
        tables: "orders: order_id\n a",
        expect: "",
    };
    let counted = without.count();
    let missing = |kpi: &str| counted.not_computable.iter().find(|(id, _)| id == kpi).map(|(_, m)| m.join(" and "));
    assert_eq!(missing("time_to_pay").unwrap(), "orders.paid_at");
    assert_eq!(missing("backlog").unwrap(), "orders.paid_at or orders.approved_at and orders.shipped_at");
    assert_eq!(
        missing("damage_rate").unwrap(),
        "orders.shipped_at and order_events.event=exception_damage or returns.reason=damaged or tickets.topic=damaged"
    );
    assert_eq!(
        missing("return_rate_units by sku").unwrap(),
        "returns.line and returns.quantity and order_items.quantity and orders.delivered_at"
    );
    assert_eq!(missing("orders"), None);
    let kpis = counted.frame.column("kpi").unwrap().str().unwrap().iter().flatten().collect::<BTreeSet<_>>();
    let fed = ["average_order_value", "gross_sales", "new_customer_share", "orders"];
    assert_eq!(kpis, BTreeSet::from(fed));
}
