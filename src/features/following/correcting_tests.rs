//! Random shops of which what was told is corrected, against what is told of all of it for the first time.

use super::*;
use crate::config::built_in_features;
use crate::features::Level;
use crate::features::matrix::Matrix;
use crate::features::tests::{TERMS, frame, instants};
use crate::types::time::HOUR;
use polars::prelude::{Column, DataFrame};
use proptest::prelude::*;

/// Kind, when it was opened, and whose it is if it says so.
type Ticket = (&'static str, i64, Option<u8>);

/// What is known of an order in the end; hours count from the beginning.
#[derive(Debug, Clone)]
struct Order {
    placed: i64,
    customer: Option<u8>,
    device: Option<u8>,
    amount: i64,
    /// Article and quantity.
    lines: Vec<(u8, i64)>,
    delivered: Option<i64>,
    fraud: Option<i64>,
    /// When it was asked back, and which line if only one.
    returned: Option<(i64, Option<u8>)>,
    ticket: Option<Ticket>,
}

fn order() -> impl Strategy<Value = Order> {
    let keys = (prop_oneof![1 => Just(None), 6 => (0..3_u8).prop_map(Some)], prop::option::of(0..3_u8), 1..60_i64);
    let lines = prop::collection::vec((0..3_u8, 1..4_i64), 1..3);
    let hours = |most: i64| prop::option::of(1..most);
    let kind = prop_oneof![Just("contact"), Just("dispute"), Just("chargeback"), Just("question")];
    let came = (hours(30), hours(50), prop::option::of((1..40_i64, prop::option::of(0..2_u8))));
    (0..STEPS as i64 * SPAN, keys, lines, came, prop::option::of((kind, 1..40_i64, prop::option::of(0..3_u8))))
        .prop_map(|(placed, (customer, device, amount), lines, (delivered, fraud, returned), ticket)| Order {
            placed,
            customer,
            device,
            amount,
            lines,
            delivered: delivered.map(|after| placed + after),
            fraud: fraud.map(|after| placed + after),
            returned: returned.map(|(after, line)| (placed + after, line)),
            ticket: ticket.map(|(kind, after, whose)| (kind, placed + after, whose)),
        })
}

/// An order, and what it is from a step on: another one, or none at all.
#[derive(Debug, Clone)]
struct Told {
    first: Order,
    then: Option<(usize, Option<Order>)>,
}

const STEPS: usize = 4;
/// Hours between two clocks.
const SPAN: i64 = 20;

fn told() -> impl Strategy<Value = Told> {
    let change = (1..STEPS, 0..9_u8, order());
    (order(), prop::option::weighted(0.35, change)).prop_map(|(first, change)| {
        let then = change.map(|(step, what, other)| {
            let of = |order: &Order| order.clone();
            let changed = match what {
                0 => Some(Order { amount: other.amount, ..of(&first) }),
                1 => Some(Order { customer: other.customer, ..of(&first) }),
                2 => Some(Order { device: other.device, ..of(&first) }),
                3 => Some(Order { lines: other.lines, ..of(&first) }),
                4 => Some(Order { fraud: other.fraud.map(|at| at.max(first.placed)), ..of(&first) }),
                5 => Some(Order {
                    returned: other.returned.or(first.returned),
                    delivered: other.delivered,
                    ..of(&first)
                }),
                // Rows of other tables become others.
                6 => Some(Order {
                    ticket: other.ticket.or(first.ticket).map(|(k, at, who)| (k, at.max(first.placed), who)),
                    ..of(&first)
                }),
                7 => Some(Order { placed: (first.placed - 3).max(0), ..of(&first) }),
                _ => None,
            };
            (step, changed)
        });
        Told { first, then }
    })
}

impl Told {
    fn at(&self, step: usize) -> Option<&Order> {
        match &self.then {
            Some((from, then)) if *from <= step => then.as_ref(),
            _ => Some(&self.first),
        }
    }

    fn has_other_outcomes(&self) -> bool {
        let of = |order: &Order| (order.placed, order.delivered, order.fraud, order.returned, order.ticket);
        matches!(&self.then, Some((_, Some(then))) if of(then) != of(&self.first))
    }

    fn version(&self, step: usize) -> u32 {
        u32::from(self.then.as_ref().is_some_and(|(from, _)| *from <= step))
    }
}

/// Tables of a step.
struct Shop {
    tables: BTreeMap<&'static str, DataFrame>,
    orders: Vec<u32>,
    gone: Vec<u32>,
    asking: usize,
    rows: BTreeMap<&'static str, Vec<u128>>,
    order_rows: BTreeMap<&'static str, Vec<u32>>,
    lines: Vec<u32>,
    replaced: Replaced,
}

fn clock(step: usize) -> i64 {
    (step as i64 + 1) * SPAN
}

impl Shop {
    /// Some orders as they are known at the clock of a step, those first that have come since the step before.
    fn at(all: &[Told], step: usize, numbers: impl Iterator<Item = u32>, asks: impl Fn(u32) -> bool) -> Self {
        let now = clock(step);
        let known = |at: Option<i64>| at.filter(|at| *at <= now).map(|at| at * HOUR);
        let (mut there, mut gone) = (Vec::new(), Vec::new());
        let mut tickets: Vec<(u32, Ticket)> = Vec::new();
        for number in numbers {
            let told = &all[number as usize];
            match told.at(step).filter(|order| order.placed <= now) {
                Some(order) => there.push((number, order)),
                None => gone.push(number),
            }
            // Those of an order that is gone stay.
            let ticket = told.at(step).map_or(told.first.ticket, |order| order.ticket);
            tickets.extend(ticket.filter(|(_, at, _)| *at <= now).map(|ticket| (number, ticket)));
        }
        there.sort_by_key(|(number, _)| !asks(*number));
        let asking = there.iter().filter(|(number, _)| asks(*number)).count();
        let ids = |numbers: &[u32]| numbers.iter().map(|n| format!("o{n}")).collect::<Vec<_>>();
        let name = |key: Option<u8>| key.map(|key| format!("k{key}"));
        let orders: Vec<u32> = there.iter().map(|(number, _)| *number).collect();
        let row_of = |number: &u32| orders.iter().position(|n| n == number).map_or(Sub::NO_ROW, |row| row as u32);
        fn of<T>(there: &[(u32, &Order)], column: impl Fn(&Order) -> T) -> Vec<T> {
            there.iter().map(|(_, order)| column(order)).collect()
        }
        let table = frame(vec![
            Column::new("order_id".into(), ids(&orders)),
            instants("placed_at", &of(&there, |o| Some(o.placed * HOUR))),
            Column::new("customer_id".into(), of(&there, |o| name(o.customer))),
            Column::new("device_id".into(), of(&there, |o| name(o.device))),
            Column::new("amount".into(), of(&there, |o| o.amount)),
            instants("delivered_at", &of(&there, |o| known(o.delivered))),
            Column::new("fraud".into(), of(&there, |o| known(o.fraud).map(|_| true))),
            instants("fraud_known_at", &of(&there, |o| known(o.fraud))),
        ]);
        let lines: Vec<(u32, usize, (u8, i64))> = there
            .iter()
            .flat_map(|(number, order)| order.lines.iter().enumerate().map(|(nth, line)| (*number, nth, *line)))
            .collect();
        let of_lines: Vec<u32> = lines.iter().map(|(number, ..)| *number).collect();
        let items = frame(vec![
            Column::new("order_id".into(), ids(&of_lines)),
            Column::new("line".into(), lines.iter().map(|(_, nth, _)| nth.to_string()).collect::<Vec<_>>()),
            Column::new("sku".into(), lines.iter().map(|(.., (sku, _))| format!("s{sku}")).collect::<Vec<_>>()),
            Column::new("quantity".into(), lines.iter().map(|(.., (_, n))| *n).collect::<Vec<_>>()),
        ]);
        let returned: Vec<(u32, i64, Option<u8>)> = there
            .iter()
            .filter_map(|(number, order)| {
                let (at, line) = order.returned.filter(|(at, _)| *at <= now)?;
                Some((*number, at, line.filter(|line| usize::from(*line) < order.lines.len())))
            })
            .collect();
        let of_returns: Vec<u32> = returned.iter().map(|(number, ..)| *number).collect();
        let returns = frame(vec![
            Column::new("order_id".into(), ids(&of_returns)),
            Column::new("return_id".into(), ids(&of_returns)),
            Column::new(
                "line".into(),
                returned.iter().map(|(.., line)| line.map(|n| n.to_string())).collect::<Vec<_>>(),
            ),
            instants("requested_at", &returned.iter().map(|(_, at, _)| Some(at * HOUR)).collect::<Vec<_>>()),
        ]);
        let of_tickets: Vec<u32> = tickets.iter().map(|(number, _)| *number).collect();
        let contacts = frame(vec![
            Column::new("order_id".into(), ids(&of_tickets)),
            Column::new("ticket_id".into(), ids(&of_tickets)),
            Column::new("customer_id".into(), tickets.iter().map(|(_, (.., who))| name(*who)).collect::<Vec<_>>()),
            Column::new("kind".into(), tickets.iter().map(|(_, (kind, ..))| *kind).collect::<Vec<_>>()),
            instants("opened_at", &tickets.iter().map(|(_, (_, at, _))| Some(at * HOUR)).collect::<Vec<_>>()),
        ]);
        let number = |of: u128| move |n: &u32| of << 32 | u128::from(*n);
        Self {
            rows: BTreeMap::from([
                ("returns", of_returns.iter().map(number(1)).collect()),
                ("tickets", of_tickets.iter().map(number(2)).collect()),
            ]),
            order_rows: BTreeMap::from([
                ("order_items", of_lines.iter().map(row_of).collect()),
                ("returns", of_returns.iter().map(row_of).collect()),
                ("tickets", of_tickets.iter().map(row_of).collect()),
            ]),
            lines: lines
                .iter()
                .map(|(number, nth, _)| (all[*number as usize].version(step) * 1_000 + number) * 4 + *nth as u32)
                .collect(),
            tables: BTreeMap::from([
                ("orders", table),
                ("order_items", items),
                ("returns", returns),
                ("tickets", contacts),
            ]),
            // Every one might have been.
            replaced: (0..all.len() as u32)
                .filter(|_| step > 0)
                .flat_map(|n| [1, 2].map(|table| (number(table)(&n), n)))
                .collect(),
            orders,
            gone,
            asking,
        }
    }

    fn sub(&self) -> Sub<'_> {
        Sub {
            tables: &self.tables,
            orders: &self.orders,
            gone: &self.gone,
            asking: self.asking,
            whole: self.orders.len(),
            rows: &self.rows,
            order_rows: &self.order_rows,
            replaced: &self.replaced,
            line_rows: Some(&self.lines),
        }
    }
}

fn bits(step: Step) -> Option<Vec<(String, Vec<u64>)>> {
    match step {
        Step::Features(features) => {
            let of_lines = features.lines.map(|lines| lines.matrix);
            let columns = |matrix: &Matrix| -> Vec<(String, Vec<u64>)> {
                let names = matrix.names.iter().cloned().enumerate();
                names.map(|(at, name)| (name, matrix.column(at).iter().map(|v| v.to_bits()).collect())).collect()
            };
            Some([Some(features.matrix), of_lines].iter().flatten().flat_map(columns).collect())
        }
        Step::Wrong(_) | Step::Anew => None,
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_is_corrected_is_as_if_it_had_never_been_told_otherwise(
        all in prop::collection::vec(told(), 1..14),
        unit in prop_oneof![Just(Level::Order), Just(Level::Line)],
        expires in prop::collection::vec(prop::option::weighted(0.3, 0..40_i64), STEPS),
    ) {
        let declared = built_in_features();
        let mut following = Following::default();
        let mut asked: Vec<u32> = Vec::new();
        let mut has_expired = false;
        for (step, expires) in expires.into_iter().enumerate() {
            let terms = Terms {
                as_of: clock(step) * HOUR,
                fraud_matures_after: 25 * HOUR,
                return_window: 30 * HOUR,
                undelivered_after: 60 * HOUR,
                return_unit: unit,
                ..TERMS
            };
            let numbers = || 0..all.len() as u32;
            let is_new = |number: u32| !asked.contains(&number);
            let shop = Shop::at(&all, step, numbers(), is_new);
            // One that comes late asks of a time of which not everything is kept.
            let mut told = following.step(&shop.sub(), &declared, &terms).unwrap();
            for _ in 0..2 {
                let Step::Wrong(orders) = &told else { break };
                prop_assert!(step > 0 && orders.iter().all(|order| !is_new(*order)));
                let wrong = |of: usize| Shop::at(&all, of, orders.iter().copied(), |_| false);
                let (before, now) = (wrong(step - 1), wrong(step));
                let is_corrected = following.correct(&before.sub(), &now.sub(), &terms).unwrap();
                prop_assert!(is_corrected || has_expired, "{orders:?}");
                told = if is_corrected { following.step(&shop.sub(), &declared, &terms).unwrap() } else { Step::Anew };
            }
            let told = bits(told);
            let afresh = Sub { gone: &[], replaced: &Replaced::default(), ..shop.sub() };
            let expected = bits(Following::default().step(&afresh, &declared, &terms).unwrap());
            match told {
                Some(told) => {
                    let expected = expected.unwrap();
                    prop_assert_eq!(told.len(), expected.len());
                    for (told, expected) in told.iter().zip(&expected) {
                        prop_assert_eq!(told, expected, "at step {}", step);
                    }
                }
                None => {
                    // An outcome that was known at another time concerns whoever comes before both.
                    prop_assert!(has_expired || all.iter().any(Told::has_other_outcomes));
                    following = Following::default();
                    following.step(&afresh, &declared, &terms).unwrap();
                }
            }
            asked.extend(&shop.orders[..shop.asking]);
            if let Some(back) = expires {
                following.expire((clock(step) - back) * HOUR, |_| true).unwrap();
                has_expired = true;
            }
        }
    }
}
