//! Steps told by hand.

use super::*;
use crate::features::tests::{TERMS, declared, frame, instants};
use crate::saved;
use crate::types::time::HOUR;
use polars::prelude::{Column, DataFrame};
use std::sync::LazyLock;

const COUNTED: &str = r#"
    [[features.declare]]
    entity = "customer"
    events = "return_request"
    value = "amount"
    aggregates = ["sum"]
"#;

/// The return of `o0`, asked for at hour 1½.
fn asked_back(received: Option<i64>, amount: i64) -> DataFrame {
    frame(vec![
        Column::new("order_id".into(), ["o0"]),
        Column::new("return_id".into(), ["r0"]),
        instants("requested_at", &[Some(3 * HOUR / 2)]),
        instants("received_at", &[received]),
        Column::new("amount".into(), [amount]),
    ])
}

/// Tables of which it is not known where their rows belong.
fn by_id<'a>(
    tables: &'a BTreeMap<&'static str, DataFrame>,
    orders: &'a [u32],
    (asking, whole): (usize, usize),
    rows: &'a BTreeMap<&'static str, Vec<u128>>,
) -> Sub<'a> {
    static NOTHING: BTreeMap<&str, Vec<u32>> = BTreeMap::new();
    static NONE: LazyLock<Replaced> = LazyLock::new(Replaced::default);
    Sub { tables, orders, gone: &[], asking, whole, rows, order_rows: &NOTHING, replaced: &NONE, line_rows: None }
}

/// What was asked back before, of the orders that ask; `None` where something was told that is not so, and all is counted anew.
fn counted(following: &mut Following, sub: &Sub<'_>) -> Option<Vec<f64>> {
    match following.step(sub, &declared(COUNTED), &TERMS).unwrap() {
        Step::Wrong(_) | Step::Anew => {
            *following = Following::default();
            None
        }
        Step::Features(features) => {
            let at = features.matrix.names.iter().position(|n| n.contains("return_request")).unwrap();
            Some(features.matrix.column(at).to_vec())
        }
    }
}

/// One customer's orders at hours 1, 2 and 3, the first of which is asked back at hour 1½.
fn step(
    following: &mut Following,
    orders: std::ops::Range<usize>,
    asking: usize,
    received: Option<i64>,
    amount: i64,
) -> Option<Vec<f64>> {
    let ids: Vec<String> = orders.clone().map(|n| format!("o{n}")).collect();
    let placed: Vec<Option<i64>> = orders.clone().map(|n| Some((n as i64 + 1) * HOUR)).collect();
    let orders_table = frame(vec![
        Column::new("order_id".into(), &ids),
        instants("placed_at", &placed),
        Column::new("customer_id".into(), vec!["c"; ids.len()]),
        Column::new("amount".into(), vec![100_i64; ids.len()]),
    ]);
    let returns = asked_back(received, amount);
    let tables = BTreeMap::from([("orders", orders_table), ("returns", returns)]);
    let numbers: Vec<u32> = orders.map(|n| n as u32).collect();
    let rows = BTreeMap::from([("returns", vec![7_u128])]);
    let whole = numbers.len();
    counted(following, &by_id(&tables, &numbers, (asking, whole), &rows))
}

#[test]
fn only_what_features_count_makes_them_be_counted_anew() {
    let mut following = Following::default();
    assert_eq!(step(&mut following, 0..1, 1, None, 50), Some(vec![0.0]));
    // The parcel came back: nothing that was told has changed.
    assert_eq!(step(&mut following, 1..2, 1, Some(2 * HOUR), 50), Some(vec![50.0]));
    // Another amount: what was told was wrong.
    assert_eq!(step(&mut following, 2..3, 1, Some(2 * HOUR), 60), None);
    assert_eq!(step(&mut following, 0..3, 3, Some(2 * HOUR), 60), Some(vec![0.0, 60.0, 60.0]));
}

/// Orders by number and when they were placed, with their customer where texts were read, and what was asked back of `o0`.
fn told(
    following: &mut Following,
    orders: &[(u32, i64, Option<&str>)],
    (asking, whole): (usize, usize),
    returned: bool,
) -> Option<Vec<f64>> {
    let ids: Vec<String> = orders.iter().map(|(number, ..)| format!("o{number}")).collect();
    let placed: Vec<Option<i64>> = orders.iter().map(|(_, at, _)| Some(*at)).collect();
    let customers: Vec<Option<&str>> = orders.iter().map(|(.., customer)| *customer).collect();
    let table = frame(vec![
        Column::new("order_id".into(), &ids),
        instants("placed_at", &placed),
        Column::new("customer_id".into(), customers),
    ]);
    let returns = asked_back(None, 50);
    let returns = if returned { returns } else { returns.clear() };
    let rows = BTreeMap::from([("returns", if returned { vec![7_u128] } else { vec![] })]);
    let numbers: Vec<u32> = orders.iter().map(|(number, ..)| *number).collect();
    let tables = BTreeMap::from([("orders", table), ("returns", returns)]);
    counted(following, &by_id(&tables, &numbers, (asking, whole), &rows))
}

#[test]
fn an_order_that_was_told_need_not_be_read_again() {
    let first = [(0, HOUR, Some("c")), (1, HOUR, Some("d"))];
    let later = |customer| [(2, 2 * HOUR, Some("c")), (3, 2 * HOUR, Some("d")), (0, HOUR, customer)];
    let begun = || {
        let mut following = Following::default();
        assert_eq!(told(&mut following, &first, (2, 2), false), Some(vec![0.0, 0.0]));
        following
    };
    let (mut read, mut kept) = (begun(), begun());
    assert!(kept.keeps(0) && kept.keeps(1) && !kept.keeps(2));
    let expected = Some(vec![50.0, 0.0]);
    assert_eq!(told(&mut read, &later(Some("c")), (2, 3), true), expected);
    assert_eq!(told(&mut kept, &later(None), (2, 2), true), expected);
    // What was told can be read again, and is the same.
    assert_eq!(told(&mut kept, &[(4, 3 * HOUR, Some("c")), (0, HOUR, Some("c"))], (1, 2), true), Some(vec![50.0]));
    // Without keys it would be counted as somebody else's.
    assert_eq!(told(&mut kept, &[(5, 3 * HOUR, Some("c")), (0, HOUR, None)], (1, 2), true), None);
    // Another process goes on with them.
    let bytes = saved::whole(&[0; 32], begun().save());
    let mut again = Following::load(&declared(COUNTED), &TERMS, &saved::open(&bytes, &[0; 32]).unwrap()).unwrap();
    assert!(again.keeps(0) && again.keeps(1) && !again.keeps(2));
    assert_eq!(told(&mut again, &later(None), (2, 2), true), expected);
    // One that nobody told of has none.
    assert_eq!(told(&mut read, &[(6, 3 * HOUR, Some("c")), (7, 3 * HOUR, None)], (1, 1), true), None);
}

#[test]
fn what_was_told_goes_on_where_it_was_saved() {
    let mut following = Following::default();
    assert_eq!(step(&mut following, 0..1, 1, None, 50), Some(vec![0.0]));
    let bytes = saved::whole(&[0; 32], following.save());
    let specs = declared(COUNTED);
    let load =
        |specs: &[FeatureSpec], terms: &Terms| Following::load(specs, terms, &saved::open(&bytes, &[0; 32]).unwrap());
    let mut again = load(&specs, &TERMS).unwrap();
    assert_eq!(again.size(), following.size());
    assert!(again.knows(7) && !again.knows(8));
    // It adds to what was told, and knows what was changed of it.
    assert_eq!(step(&mut again, 1..2, 1, Some(2 * HOUR), 50), Some(vec![50.0]));
    assert_eq!(step(&mut again, 2..3, 1, Some(2 * HOUR), 60), None);
    assert!(load(&[], &TERMS).is_err(), "a feature that is declared no more");
    let nothing = saved::whole(&[0; 32], Following::default().save());
    let sections = saved::open(&nothing, &[0; 32]).unwrap();
    assert!(Following::load(&specs, &TERMS, &sections).unwrap().engine.is_none());
}

#[test]
fn rows_that_are_about_no_order_here_can_be_told_alone() {
    let mut following = Following::default();
    assert_eq!(step(&mut following, 0..1, 1, None, 50), Some(vec![0.0]));
    let mut alone = Following::default();
    assert_eq!(step(&mut alone, 0..0, 0, None, 50), Some(vec![]));
    assert_eq!(step(&mut following, 0..0, 0, None, 50), Some(vec![]));
    assert_eq!(step(&mut following, 1..2, 1, None, 50), Some(vec![50.0]));
}

const RETURNED: &str = r#"
    [[features.declare]]
    entity = "sku"
    events = "return"
    aggregates = ["count"]
    windows = ["lifetime"]
"#;

/// How many returns of their articles were known to the orders that ask. Orders by number and hour, each with one line, whose
/// article is null where it was not read.
fn returns_of_article(
    following: &mut Following,
    orders: &[(u32, i64, Option<&str>)],
    (asking, whole): (usize, usize),
    lines: Option<&[u32]>,
    returned: bool,
) -> Option<Vec<f64>> {
    let ids: Vec<String> = orders.iter().map(|(number, ..)| format!("o{number}")).collect();
    let hours = |after: i64| orders.iter().map(|(_, hour, _)| Some(hour * HOUR + after)).collect::<Vec<_>>();
    let table = frame(vec![
        Column::new("order_id".into(), &ids),
        instants("placed_at", &hours(0)),
        instants("delivered_at", &hours(HOUR / 4)),
    ]);
    let items = frame(vec![
        Column::new("order_id".into(), &ids),
        Column::new("line".into(), vec!["1"; ids.len()]),
        Column::new("sku".into(), orders.iter().map(|(.., sku)| *sku).collect::<Vec<_>>()),
    ]);
    let returns = asked_back(None, 50);
    let returns = if returned { returns } else { returns.clear() };
    let rows = BTreeMap::from([("returns", if returned { vec![7_u128] } else { vec![] })]);
    let tables = BTreeMap::from([("orders", table), ("order_items", items), ("returns", returns)]);
    let numbers: Vec<u32> = orders.iter().map(|(number, ..)| *number).collect();
    let of_first = |order: &str| ids.iter().position(|id| id == order).map_or(Sub::NO_ROW, |row| row as u32);
    let order_rows = BTreeMap::from([
        ("order_items", (0..ids.len() as u32).collect()),
        ("returns", if returned { vec![of_first("o0")] } else { vec![] }),
    ]);
    let sub = Sub { order_rows: &order_rows, line_rows: lines, ..by_id(&tables, &numbers, (asking, whole), &rows) };
    let specs = declared(RETURNED);
    match following.step(&sub, &specs, &TERMS).unwrap() {
        Step::Wrong(_) | Step::Anew => None,
        Step::Features(features) => {
            let at = features.matrix.names.iter().position(|name| name == "basket_max_sku_return_count_lifetime");
            Some(features.matrix.column(at.unwrap()).to_vec())
        }
    }
}

#[test]
fn lines_of_orders_that_were_told_need_not_be_read_again() {
    let first = [(0, 1, Some("a")), (1, 1, Some("b"))];
    let later = |sku| [(2, 3, Some("a")), (3, 3, Some("b")), (0, 1, sku)];
    let begun = |lines| {
        let mut following = Following::default();
        assert_eq!(returns_of_article(&mut following, &first, (2, 2), lines, false), Some(vec![0.0, 0.0]));
        following
    };
    let expected = Some(vec![1.0, 0.0]);
    let (mut read, mut kept) = (begun(None), begun(Some(&[40, 41])));
    assert!(!read.keeps_line(40) && kept.keeps_line(40) && kept.keeps_line(41) && !kept.keeps_line(42));
    assert_eq!(returns_of_article(&mut read, &later(Some("a")), (2, 3), None, true), expected);
    assert_eq!(returns_of_article(&mut kept, &later(None), (2, 2), Some(&[42, 43, 40]), true), expected);
    // Another process goes on with them, and so does one that let go of the keys of orders which nobody awaits.
    let bytes = saved::whole(&[0; 32], begun(Some(&[40, 41])).save());
    let load = || Following::load(&declared(RETURNED), &TERMS, &saved::open(&bytes, &[0; 32]).unwrap()).unwrap();
    assert_eq!(returns_of_article(&mut load(), &later(None), (2, 2), Some(&[42, 43, 40]), true), expected);
    let mut expired = load();
    expired.expire(2 * HOUR, |order| order == 0).unwrap();
    assert!(expired.keeps_line(40));
    assert_eq!(returns_of_article(&mut expired, &later(None), (2, 2), Some(&[42, 43, 40]), true), expected);
    // Where lines are numbered anew those of before mean nothing.
    assert_eq!(returns_of_article(&mut kept, &[(4, 4, Some("a"))], (1, 1), None, false), Some(vec![1.0]));
    assert!(!kept.keeps_line(40));
}

const FRAUDS: &str = r#"
    [[features.declare]]
    entity = "customer"
    events = "fraud"
    aggregates = ["count"]
    windows = ["lifetime"]
"#;

/// How many frauds of their customer were known to the orders that ask, placed at these hours; of `o0`, placed at hour 1, it
/// is told beside them from when on it was known to be one.
fn frauds(following: &mut Following, asking: &[(u32, i64)], known: Option<i64>) -> Option<Vec<f64>> {
    let all: Vec<(u32, i64)> =
        asking.iter().copied().chain((asking.first() != Some(&(0, 1))).then_some((0, 1))).collect();
    let ids: Vec<String> = all.iter().map(|(number, _)| format!("o{number}")).collect();
    let of_first = |is: Option<i64>| all.iter().map(|(number, _)| is.filter(|_| *number == 0)).collect::<Vec<_>>();
    let table = frame(vec![
        Column::new("order_id".into(), &ids),
        instants("placed_at", &all.iter().map(|(_, hour)| Some(hour * HOUR)).collect::<Vec<_>>()),
        Column::new("customer_id".into(), vec!["c"; ids.len()]),
        Column::new("fraud".into(), of_first(known).iter().map(|known| known.map(|_| true)).collect::<Vec<_>>()),
        instants("fraud_known_at", &of_first(known.map(|hour| hour * HOUR))),
    ]);
    let tables = BTreeMap::from([("orders", table)]);
    let numbers: Vec<u32> = all.iter().map(|(number, _)| *number).collect();
    let rows = BTreeMap::new();
    let sub = by_id(&tables, &numbers, (asking.len(), all.len()), &rows);
    match following.step(&sub, &declared(FRAUDS), &TERMS).unwrap() {
        Step::Wrong(_) | Step::Anew => None,
        Step::Features(features) => {
            let at = features.matrix.names.iter().position(|n| n.contains("fraud_count")).unwrap();
            Some(features.matrix.column(at).to_vec())
        }
    }
}

#[test]
fn that_an_outcome_was_known_at_another_time_matters_to_no_order_placed_after_both() {
    let begun = || {
        let mut following = Following::default();
        assert_eq!(frauds(&mut following, &[(0, 1)], None), Some(vec![0.0]));
        assert_eq!(frauds(&mut following, &[(1, 3), (2, 6)], Some(5)), Some(vec![0.0, 1.0]));
        following
    };
    for known in [2, 6] {
        assert_eq!(frauds(&mut begun(), &[(3, 7)], Some(known)), Some(vec![1.0]), "{known}");
        let mut following = begun();
        assert_eq!(frauds(&mut following, &[], Some(known)), Some(vec![]), "{known}");
        // One that comes late, and one that comes late to another process.
        let late = known.max(5);
        let bytes = saved::whole(&[0; 32], following.save());
        let sections = saved::open(&bytes, &[0; 32]).unwrap();
        for mut following in [following, Following::load(&declared(FRAUDS), &TERMS, &sections).unwrap()] {
            assert_eq!(frauds(&mut following, &[(4, late + 1)], Some(known)), Some(vec![1.0]), "{known}");
            assert_eq!(frauds(&mut following, &[(5, late)], Some(known)), None, "{known}");
            let of_late = f64::from(u8::from(known < late));
            assert_eq!(frauds(&mut following, &[(5, late)], Some(known)), Some(vec![of_late]), "{known}");
        }
    }
    // One among those that ask at once.
    assert_eq!(frauds(&mut begun(), &[(3, 7), (4, 6)], Some(6)), None);
    // No fraud at all: that was another thing.
    assert_eq!(frauds(&mut begun(), &[(3, 7)], None), None);
}
