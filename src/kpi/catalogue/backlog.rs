//! What waits at the run's clock: paid and not shipped, arrived at customs and not cleared. Both stand in the period of the
//! clock, in all of it: a week's row is the count of now, not of the week.

use super::{known, one_where};
use crate::kpi::facts::micros;
use crate::kpi::measure::Subject::OpenOrders;
use crate::kpi::measure::{Measure, Unit};
use crate::types::time::DAY;
use polars::prelude::*;

/// A count of now is final, whatever is left of its day, week or month: no month is longer than this.
const FINAL: i64 = -31;

/// Bounds of an age in days, from (inclusive) and up to; the last has no end.
const UNDER_1: (i64, Option<i64>) = (0, Some(1));
const FROM_1: (i64, Option<i64>) = (1, Some(3));
const FROM_3: (i64, Option<i64>) = (3, Some(7));
const FROM_7: (i64, Option<i64>) = (7, None);

const TO_SHIP: &[&str] = &["orders.paid_at|orders.approved_at", "orders.shipped_at"];
const AT_CUSTOMS: &[&str] = &["order_events.event=customs_arrived", "order_events.event=customs_cleared"];

pub(super) fn entries() -> Vec<Measure> {
    let count = |id, meaning, since: &str, bounds: Option<(i64, Option<i64>)>, needs| {
        let age = || micros("as_of") - micros(since);
        let held = match bounds {
            Some((from, Some(to))) => age().gt_eq(lit(from * DAY)).and(age().lt(lit(to * DAY))),
            Some((from, None)) => age().gt_eq(lit(from * DAY)),
            None => lit(true),
        };
        let waits = known(since);
        let sum = when(waits).then(one_where(held)).otherwise(lit(NULL));
        Measure::total(OpenOrders, id, meaning, sum).needs(needs).by("as_of").matures(FINAL).less_is_better()
    };
    let money = |id, meaning, since: &str, needs: &'static [&'static str]| {
        let sum = when(known(since)).then(col("amount")).otherwise(lit(NULL));
        Measure::total(OpenOrders, id, meaning, sum)
            .needs(needs)
            .by("as_of")
            .unit(Unit::Money)
            .matures(FINAL)
            .less_is_better()
    };
    let (ship, customs) = ("waits_to_ship", "waits_at_customs");
    vec![
        count("backlog", "orders paid and neither shipped nor cancelled, now", ship, None, TO_SHIP),
        count("backlog_under_1d", "of the backlog, paid less than a day ago", ship, Some(UNDER_1), TO_SHIP),
        count("backlog_1d_to_3d", "of the backlog, paid one to three days ago", ship, Some(FROM_1), TO_SHIP),
        count("backlog_3d_to_7d", "of the backlog, paid three to seven days ago", ship, Some(FROM_3), TO_SHIP),
        count("backlog_7d_and_over", "of the backlog, paid seven days ago or earlier", ship, Some(FROM_7), TO_SHIP),
        money("backlog_amount", "amount of the orders of the backlog", ship, TO_SHIP),
        count("customs_stuck", "orders at customs, arrived and not cleared, now", customs, None, AT_CUSTOMS),
        count("customs_stuck_under_1d", "of those at customs, for less than a day", customs, Some(UNDER_1), AT_CUSTOMS),
        count(
            "customs_stuck_1d_to_3d",
            "of those at customs, for one to three days",
            customs,
            Some(FROM_1),
            AT_CUSTOMS,
        ),
        count(
            "customs_stuck_3d_to_7d",
            "of those at customs, for three to seven days",
            customs,
            Some(FROM_3),
            AT_CUSTOMS,
        ),
        count(
            "customs_stuck_7d_and_over",
            "of those at customs, for seven days or longer",
            customs,
            Some(FROM_7),
            AT_CUSTOMS,
        ),
        money("customs_stuck_amount", "amount of the orders at customs", customs, AT_CUSTOMS),
    ]
}
