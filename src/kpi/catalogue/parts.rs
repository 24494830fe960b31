//! KPIs of an order seen from what is in it: by article or by category. An order counts once for each of them that it
//! has, so these have no whole; units and amounts are those of the article.

use super::{DAMAGED, NOT_AS_DESCRIBED, Terms, WRONG_ITEM, every, known};
use crate::kpi::measure::{Measure, Subject, Unit};
use polars::prelude::*;

/// The subjects that orders are taken apart into.
pub(super) const SUBJECTS: [Subject; 2] = [Subject::Skus, Subject::Categories];

pub(super) fn entries(terms: &Terms, part: Subject) -> Vec<Measure> {
    let mature = terms.returns_mature();
    let delivered = |m: Measure, needs| m.needs(needs).by("delivered_at").matures(mature).less_is_better();
    let error = |id, meaning, mark: &str, needs| {
        Measure::share(part, id, meaning, col(mark), known("shipped_at")).needs(needs).matures(45).less_is_better()
    };
    vec![
        Measure::total(part, "orders", "orders with the article", lit(1)).needs(&["order_items"]).more_is_better(),
        Measure::total(part, "units", "units ordered of the article", col("units"))
            .needs(&["order_items.quantity"])
            .more_is_better(),
        Measure::total(part, "gross_sales", "quantity times price of the article", col("amount"))
            .needs(&["order_items.quantity", "order_items.unit_price"])
            .unit(Unit::Money)
            .more_is_better(),
        Measure::ratio(
            part,
            "fill_rate",
            "units shipped of the article, of an order's no more than were ordered / units ordered, over shipped orders",
            when(known("shipped_at")).then(col("shipped_units")).otherwise(lit(0_i64)),
            when(known("shipped_at")).then(col("known_units")).otherwise(lit(0_i64)),
        )
        .needs(&["orders.shipped_at", "order_items.quantity", "order_items.shipped_quantity"])
        .by("shipped_at")
        .more_is_better(),
        delivered(
            Measure::share(
                part,
                "return_rate_orders",
                "orders with a return of the article requested within the window after delivery / delivered orders with it",
                col("returned"),
                every(),
            ),
            &["returns.line", "orders.delivered_at"],
        ),
        delivered(
            Measure::ratio(
                part,
                "return_rate_units",
                "units of the article returned within the window / units delivered",
                col("returned_units"),
                col("units"),
            ),
            &["returns.line", "returns.quantity", "order_items.quantity", "orders.delivered_at"],
        ),
        delivered(
            Measure::ratio(
                part,
                "return_rate_revenue",
                "amount of the article returned within the window / amount delivered",
                col("returned_amount"),
                col("amount"),
            ),
            &["returns.line", "returns.amount", "order_items.unit_price", "orders.delivered_at"],
        ),
        delivered(
            Measure::share(
                part,
                "exchange_rate",
                "orders with an exchange of the article requested within the window / delivered orders with it",
                col("exchanged"),
                every(),
            ),
            &["returns.line", "returns.kind=exchange", "orders.delivered_at"],
        ),
        delivered(
            Measure::share(
                part,
                "not_as_described_rate",
                "orders whose return of the article, or a ticket on the order, says not as described / delivered orders \
                 with it",
                col("not_as_described"),
                every(),
            ),
            &["orders.delivered_at", NOT_AS_DESCRIBED],
        ),
        error(
            "wrong_item_rate",
            "orders whose return of the article, or a ticket or event of the order, says wrong article / shipped orders \
             with it",
            "wrong_item",
            &["orders.shipped_at", WRONG_ITEM],
        ),
        error(
            "damage_rate",
            "orders whose return of the article, or a ticket or event of the order, says damaged / shipped orders with it",
            "damaged",
            &["orders.shipped_at", DAMAGED],
        ),
    ]
}
