//! What events tell of orders. They are most of the rows of an input, so they are gone through once, row by row.

use super::order_rows::ORDER;
use super::words::{by_word, ints, texts};
use super::{evidence, instant_type};
use crate::error::{Error, Result};
use polars::prelude::*;

/// Events that a carrier's scan makes.
const SCANS: [&str; 6] =
    ["first_scan", "customs_arrived", "customs_cleared", "at_local_post", "out_for_delivery", "delivered"];

// What an event means besides the marks of `evidence`, which are its lowest bits.
const SCAN: u16 = 1 << 8;
const ON_THE_WAY: u16 = 1 << 9;
const CUSTOMS_ARRIVED: u16 = 1 << 10;
const CUSTOMS_CLEARED: u16 = 1 << 11;
const LOCAL_POST: u16 = 1 << 12;

fn meaning(event: &str) -> u16 {
    let mut means = u16::from(evidence::of_event(event));
    if SCANS.contains(&event) {
        means |= SCAN;
        means |= if event == "delivered" { 0 } else { ON_THE_WAY };
    }
    means
        | match event {
            "customs_arrived" => CUSTOMS_ARRIVED,
            "customs_cleared" => CUSTOMS_CLEARED,
            "at_local_post" => LOCAL_POST,
            _ => 0,
        }
}

/// What events tell of orders, by order.
pub(super) struct OfEvents {
    /// `customs_arrived_at` the first and `customs_cleared_at` the last time, `local_post_at` the first, `scanned` by a
    /// carrier, and `tracked_at`, when the first scan before the door came to be known.
    pub(super) columns: Vec<Column>,
    /// The marks, see [`evidence`].
    pub(super) told: Vec<u8>,
}

/// Goes through events that know the rows of their `orders`.
pub(super) fn of_orders(events: &DataFrame, orders: usize) -> Result<OfEvents> {
    let stage = || Error::frames("events of orders");
    let rows = events.column(ORDER).and_then(|c| c.idx().cloned()).map_err(stage())?;
    let (event, detail) = (texts(events, "event")?, texts(events, "detail")?);
    let (occurred, known) = (ints(events, "occurred_at")?, ints(events, "known_at")?);
    const NEVER: i64 = i64::MAX;
    let (mut arrived, mut post, mut tracked) = (vec![NEVER; orders], vec![NEVER; orders], vec![NEVER; orders]);
    let (mut cleared, mut scanned, mut told) = (vec![i64::MIN; orders], vec![false; orders], vec![0_u8; orders]);
    let meanings = by_word(&event, 0, meaning).zip(by_word(&detail, 0, evidence::of_detail));
    let times = occurred.downcast_iter().flat_map(|a| a.iter()).zip(known.downcast_iter().flat_map(|a| a.iter()));
    let rows = rows.downcast_iter().flat_map(|a| a.iter());
    for ((order, (means, details)), (occurred, known)) in rows.zip(meanings).zip(times) {
        let Some(order) = order else { continue };
        let order = *order as usize;
        told[order] |= means as u8 | details;
        if means & SCAN == 0 {
            continue;
        }
        scanned[order] = true;
        if let Some(known) = known.filter(|_| means & ON_THE_WAY > 0) {
            tracked[order] = tracked[order].min(*known);
        }
        let Some(occurred) = occurred else { continue };
        match means & (CUSTOMS_ARRIVED | CUSTOMS_CLEARED | LOCAL_POST) {
            CUSTOMS_ARRIVED => arrived[order] = arrived[order].min(*occurred),
            CUSTOMS_CLEARED => cleared[order] = cleared[order].max(*occurred),
            LOCAL_POST => post[order] = post[order].min(*occurred),
            _ => {}
        }
    }
    let instants = |name: &str, micros: Vec<i64>, none: i64| {
        let some = micros.into_iter().map(|at| Some(at).filter(|at| *at != none));
        let column = some.collect::<Int64Chunked>().with_name(name.into()).into_column();
        column.cast(&instant_type()).map_err(stage())
    };
    let columns = vec![
        instants("customs_arrived_at", arrived, NEVER)?,
        instants("customs_cleared_at", cleared, i64::MIN)?,
        instants("local_post_at", post, NEVER)?,
        instants("tracked_at", tracked, NEVER)?,
        Column::new("scanned".into(), scanned),
    ];
    Ok(OfEvents { columns, told })
}
