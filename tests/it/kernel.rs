//! The feature kernel over public data against DuckDB: see `tests/reference/window_features.py`.

use crate::harness::{datasets, python, root};
use ordersight::features::kernel::{
    Aggregate, Column, Declaration, Declarations, Events, Interner, Queries, State, Window,
};
use ordersight::types::time::DAY;
use std::path::Path;
use std::process::Command;

/// The first two of six months: enough for every window to fill, and quick.
const UNTIL: &str = "2018-06-01";

/// Card payments by column; instants in UTC microseconds, amounts in cents.
#[derive(Default)]
struct Payments {
    at: Vec<i64>,
    customer: Vec<u32>,
    terminal: Vec<u32>,
    amount: Vec<i64>,
    fraud: Vec<bool>,
}

fn read(file: &Path) -> Payments {
    let (mut customers, mut terminals) = (Interner::default(), Interner::default());
    let mut payments = Payments::default();
    let mut row = csv::StringRecord::new();
    let mut reader = csv::Reader::from_path(file).unwrap();
    while reader.read_record(&mut row).unwrap() && &row[1] < UNTIL {
        let at = chrono::NaiveDateTime::parse_from_str(&row[1], "%Y-%m-%d %H:%M:%S").unwrap();
        payments.at.push(at.and_utc().timestamp_micros());
        payments.customer.push(customers.intern(row[2].as_bytes()).unwrap());
        payments.terminal.push(terminals.intern(row[3].as_bytes()).unwrap());
        payments.amount.push((row[4].parse::<f64>().unwrap() * 100.0).round() as i64);
        payments.fraud.push(&row[5] == "1");
    }
    payments
}

fn declared(what: &str, value: &str, aggregate: Aggregate, delay: i64) -> State {
    let windows = [1, 7, 30].map(|days| Window::Span(days * DAY));
    let both = |window| {
        [(what, Aggregate::Count), (value, aggregate)].map(|(w, a)| Declaration::new(w, a, window).delayed(delay))
    };
    State::new(Declarations::new(windows.into_iter().flat_map(both).collect()).unwrap())
}

/// The twelve features of the protocol, from an empty state.
fn features(file: &Path) -> Vec<Column> {
    let mut customers = declared("customer_payment", "customer_amount", Aggregate::Mean, 0);
    let share = Aggregate::Rate { prior: 0.0, weight: 0.0 };
    let mut terminals = declared("terminal_payment", "terminal_fraud", share, 7 * DAY);
    let payments = read(file);
    let happened = Events { happened_at: &payments.at, ..Events::default() };
    let of_customer = Events { entity: &payments.customer, value: Some(&payments.amount), ..happened };
    let of_terminal = Events { entity: &payments.terminal, label: Some(&payments.fraud), ..happened };
    let mut columns = customers.step(&of_customer, &Queries { entity: &payments.customer, at: &payments.at }).unwrap();
    columns.extend(terminals.step(&of_terminal, &Queries { entity: &payments.terminal, at: &payments.at }).unwrap());
    columns
}

#[test]
fn the_twelve_window_features_of_the_handbook_equal_duckdb() {
    let (Some(datasets), Some(python)) = (datasets(), python()) else { return };
    let file = datasets.join("fraud_handbook/transactions.csv");
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("features.csv");
    let script = root().join("tests/reference/window_features.py");
    let done = Command::new(python).arg(script).arg(&file).arg(UNTIL).arg(&out).output().unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));

    let columns = features(&file);
    assert_eq!(columns.len(), 12);
    let mut rows = 0;
    let mut filled = [0_usize; 12];
    for (at, row) in csv::ReaderBuilder::new().has_headers(false).from_path(&out).unwrap().records().enumerate() {
        let row = row.unwrap();
        assert_eq!(row[0].parse(), Ok(at));
        for (number, (column, theirs)) in columns.iter().zip(row.iter().skip(1)).enumerate() {
            let (ours, theirs) = (column.values.get(at), theirs.parse::<f64>().ok());
            let same = match (ours, theirs) {
                (Some(ours), Some(theirs)) if column.name.contains("_count_") => ours == theirs,
                (Some(ours), Some(theirs)) => (ours - theirs).abs() <= 1e-9 * theirs.abs().max(1.0),
                _ => ours == theirs,
            };
            assert!(same, "row {at}, {}: {ours:?} here, {theirs:?} by DuckDB", column.name);
            filled[number] += usize::from(ours.is_some_and(|value| value > 0.0));
        }
        rows += 1;
    }
    assert_eq!(rows, columns[0].values.len());
    assert!(rows > 500_000 && filled.iter().all(|&n| n > 1_000), "{rows} rows, above 0: {filled:?}");
}
