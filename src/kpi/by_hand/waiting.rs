//! Open cases by hand.

use super::super::waiting;
use super::example::Example;
use polars::prelude::{DataFrame, DataType};

const CASES: Example = Example {
    shows: "every stage of every process that waits, by whom it waits for",
    at: "2025-05-20T00:00:00Z",
    zone: "UTC",
    by: "channel",
    tables: "
            orders: order_id channel amount
              a shop 5000
              b app  7000
              c app  9000
            returns: return_id order_id kind requested_at approved_at rejected_at received_at refunded_at replacement_shipped_at replacement_received_at closed_at amount
              r1 a refund   2025-05-19T00:00:00Z - - - - - - - 1000                     # no answer for a day
              r2 b refund   2025-05-15T00:00:00Z - - - - - - - -                        # nor for five, no amount
              r3 a refund   2025-05-01T00:00:00Z 2025-05-02T00:00:00Z - - - - - - 1000  # the parcel is on its way
              r4 a refund   2025-05-01T00:00:00Z - - 2025-05-10T00:00:00Z - - - - 2000  # back without an answer: only the money is due
              r5 b refund   2025-05-01T00:00:00Z 2025-05-02T00:00:00Z - 2025-05-18T00:00:00Z - - - - 4000
              r6 b refund   2025-05-01T00:00:00Z 2025-05-02T00:00:00Z - 2025-05-05T00:00:00Z 2025-05-06T00:00:00Z - - - 4000   # done
              r7 b refund   2025-05-01T00:00:00Z - 2025-05-02T00:00:00Z - - - - - 4000                                         # refused
              r8 b exchange 2025-05-01T00:00:00Z 2025-05-02T00:00:00Z - 2025-05-05T00:00:00Z - - - - 500
              r9 b exchange 2025-05-01T00:00:00Z 2025-05-02T00:00:00Z - 2025-05-05T00:00:00Z - 2025-05-19T12:00:00Z - - 500
              s1 b refund   2025-05-01T00:00:00Z 2025-05-02T00:00:00Z - - - - - 2025-05-09T00:00:00Z 800                       # closed
            tickets: ticket_id order_id kind opened_at solved_at last_solved_at amount
              t1 c dispute    2025-05-10T00:00:00Z - - 9000
              t2 c dispute    2025-05-12T00:00:00Z 2025-05-13T00:00:00Z 2025-05-13T00:00:00Z 9000
              t3 a chargeback 2025-05-18T00:00:00Z - - 5000
              t4 a contact    2025-05-18T00:00:00Z - - -     # a question is no process that money waits in
        ",
    expect: "",
};

/// The rows as text, without those of single channels unless asked for.
fn rows(frame: &DataFrame, segment: &str) -> Vec<String> {
    let text = |name: &str| {
        let column = frame.column(name).unwrap().cast(&DataType::String).unwrap();
        column.str().unwrap().iter().map(|v| v.unwrap_or("-").to_owned()).collect::<Vec<_>>()
    };
    let names = [
        "segment_value",
        "process",
        "stage",
        "waits_for",
        "open_cases",
        "oldest_age_hours",
        "p50_age_hours",
        "p90_age_hours",
        "amount_waiting",
        "cases_without_amount",
        "oldest_id",
        "oldest_order_id",
    ];
    let columns = names.map(text);
    let segments = text("segment");
    (0..frame.height())
        .filter(|row| segments[*row] == segment)
        .map(|row| columns.iter().map(|column| column[row].as_str()).collect::<Vec<_>>().join(" "))
        .collect()
}

#[test]
fn who_waits_longest_for_whom_and_for_how_much_is_as_by_hand() {
    let found = waiting(&CASES.tables(), &CASES.terms(), &CASES.segments()).unwrap();
    let frame = found.frame.unwrap();
    assert_eq!(
        rows(&frame, "all"),
        [
            "all chargeback decision bank 1 48.0 48.0 48.0 5000 0 t3 a",
            "all dispute decision platform 1 240.0 240.0 240.0 9000 0 t1 c",
            "all exchange delivery carrier 1 12.0 12.0 12.0 500 0 r9 b",
            "all exchange replacement shop 1 360.0 360.0 360.0 500 0 r8 b",
            "all return answer shop 2 120.0 72.0 110.4 1000 1 r2 b",
            "all return parcel customer 1 432.0 432.0 432.0 1000 0 r3 a",
            "all return refund shop 2 240.0 144.0 220.8 6000 0 r4 a",
        ]
    );
    let app = rows(&frame, "channel").into_iter().filter(|row| row.starts_with("app return answer"));
    assert_eq!(app.collect::<Vec<_>>(), ["app return answer shop 1 120.0 120.0 120.0 - 1 r2 b"]);
    // No claim was ever made here, so that none is open is not known.
    let missing: Vec<&str> = found.not_computable.iter().map(|(stage, _)| stage.as_str()).collect();
    assert_eq!(missing, ["open_cases.claim.decision"]);
}

#[test]
fn without_returns_and_tickets_there_is_no_table_of_open_cases() {
    let mut tables = CASES.tables();
    tables.retain(|name, _| *name == "orders");
    let found = waiting(&tables, &CASES.terms(), &CASES.segments()).unwrap();
    assert!(found.frame.is_none() && found.not_computable.len() == 10, "{:?}", found.not_computable);
}
