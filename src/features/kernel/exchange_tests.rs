//! Events exchanged for others: afterwards a state answers as one that was told nothing but the others.

use super::naive::{self, Event, Query};
use super::tests::{Keyed, declarations, event, key, step};
use super::*;
use proptest::prelude::*;

/// As [`step`], for an exchange.
fn exchange(state: &mut Keyed, gone: &[Event], new: &[Event]) -> bool {
    let key = |key: Option<u8>| key.map(|key| [key]);
    let mut columns = |events: &[Event]| {
        (
            state.entities.intern_all(events.iter().map(|e| key(e.entity))).unwrap(),
            state.others.intern_all(events.iter().map(|e| key(e.other))).unwrap(),
            events.iter().map(|e| (e.happened, e.known)).unzip::<i64, i64, Vec<_>, Vec<_>>(),
            events.iter().map(|e| e.value.unwrap_or(NO_VALUE)).collect::<Vec<_>>(),
            events.iter().map(|e| e.label).collect::<Vec<_>>(),
        )
    };
    let (gone, new) = (columns(gone), columns(new));
    let [gone, new] = [&gone, &new].map(|(entity, other, (happened, known), value, label)| Events {
        entity,
        happened_at: happened,
        known_at: Some(known),
        value: Some(value),
        other: Some(other),
        label: Some(label),
    });
    state.state.exchange(&gone, &new).unwrap()
}

/// A change of an event: another value, other keys, another time, or nothing in its place.
fn changed() -> impl Strategy<Value = Change> {
    prop_oneof![
        3 => (-20..20_i64).prop_map(|value| Change::Value(Some(value))),
        1 => Just(Change::Value(None)),
        2 => key(4).prop_map(Change::Entity),
        1 => key(5).prop_map(Change::Other),
        1 => (0..80_i64, 0..30_i64).prop_map(|(happened, lag)| Change::Time(happened, happened + lag)),
        1 => Just(Change::Gone),
        1 => Just(Change::Nothing),
    ]
}

#[derive(Debug, Clone)]
enum Change {
    Value(Option<i64>),
    Entity(Option<u8>),
    Other(Option<u8>),
    Time(i64, i64),
    Gone,
    Nothing,
}

impl Change {
    fn of(&self, event: &Event) -> Option<Event> {
        let event = event.clone();
        match *self {
            Self::Value(value) => Some(Event { value, ..event }),
            Self::Entity(entity) => Some(Event { entity, ..event }),
            Self::Other(other) => Some(Event { other, ..event }),
            Self::Time(happened, known) => Some(Event { happened, known, ..event }),
            Self::Gone => None,
            Self::Nothing => Some(event),
        }
    }
}

/// Events, of some of them a change, and at which of three steps each is told.
fn told() -> impl Strategy<Value = Vec<(Event, Option<Change>, usize)>> {
    let change = prop_oneof![4 => Just(None), 1 => changed().prop_map(Some)];
    prop::collection::vec((event(), change, 0..3_usize), 0..70)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 600, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_is_told_instead_is_as_if_nothing_else_had_been_told(
        told in told(),
        queries in prop::collection::vec((key(4), 0..130_i64), 0..40),
        horizon in prop_oneof![2 => Just(i64::MIN), 3 => 0..110_i64],
        more in prop::collection::vec(event(), 0..10),
        heavy: bool,
    ) {
        let mut state = Keyed::new(declarations());
        if heavy {
            state.state.heavies.from = 1;
        }
        let of_step = |at: usize| told.iter().filter(|(.., of)| *of == at).map(|(e, ..)| e.clone()).collect::<Vec<_>>();
        let later: Vec<Query> = queries.into_iter().filter(|(_, at)| *at >= horizon).collect();
        for at in 0..2 {
            step(&mut state, &of_step(at), &[]);
        }
        state.expire(horizon);
        // Walks and tallies that were begun are not to be gone on with.
        step(&mut state, &of_step(2), &later);
        let wrong = || told.iter().filter_map(|(event, change, _)| Some((event, change.as_ref()?)));
        let gone: Vec<Event> = wrong().map(|(event, _)| event.clone()).collect();
        let new: Vec<Event> = wrong().filter_map(|(event, change)| change.of(event)).collect();
        let is_exact = exchange(&mut state, &gone, &new);
        // What has not become totals can always be taken back.
        let floor = horizon.saturating_sub(17);
        let is_recent = |event: &Event| event.entity.is_none() || event.happened >= floor.max(i64::MIN + 100) || horizon == i64::MIN;
        let same = |(event, change): (&Event, &Change)| change.of(event).as_ref() == Some(event);
        if wrong().all(|(event, change)| is_recent(event) && event.happened >= horizon || horizon == i64::MIN || same((event, change))) {
            prop_assert!(is_exact);
        }
        if is_exact {
            let right: Vec<Event> = told.iter().filter_map(|(event, change, _)| match change {
                Some(change) => change.of(event),
                None => Some(event.clone()),
            }).chain(more.iter().cloned()).collect();
            let answers = step(&mut state, &more, &later);
            prop_assert_eq!(answers, naive::columns(declarations().all(), &right, &later));
            // And from then on.
            state.expire(horizon.max(60));
            let last: Vec<Query> = later.iter().filter(|(_, at)| *at >= horizon.max(60)).copied().collect();
            let bytes = state.save();
            let mut again = Keyed::load(declarations(), &bytes).unwrap();
            prop_assert_eq!(step(&mut again, &[], &last), naive::columns(declarations().all(), &right, &last));
        }
    }

    #[test]
    fn events_that_were_not_told_cannot_be_taken_back(events in prop::collection::vec(event(), 1..30), at in 0..30_usize) {
        let mut state = Keyed::new(declarations());
        let (missing, told): (Vec<_>, Vec<_>) = events.iter().enumerate().partition(|(nth, _)| *nth == at % events.len());
        let told: Vec<Event> = told.into_iter().map(|(_, event)| event.clone()).collect();
        step(&mut state, &told, &[]);
        let gone = [missing[0].1.clone()];
        let is_there = gone[0].entity.is_none() || told.iter().any(|event| {
            Event { known: event.known.max(event.happened), ..event.clone() } == Event { known: gone[0].known.max(gone[0].happened), ..gone[0].clone() }
        });
        prop_assert_eq!(exchange(&mut state, &gone, &[]), is_there);
    }
}

fn bought(happened: i64, value: i64, other: u8) -> Event {
    Event { entity: Some(1), happened, known: happened, value: Some(value), other: Some(other), label: false }
}

/// Totals of a lifetime after an exchange, where this is exact.
fn of_lifetime(told: &[Event], gone: &[Event], new: &[Event]) -> Option<Vec<Option<f64>>> {
    let mut state = Keyed::new(declarations());
    step(&mut state, told, &[]);
    state.expire(100);
    exchange(&mut state, gone, new).then(|| {
        let columns = step(&mut state, &[], &[(Some(1), 110)]);
        let names = ["count", "sum", "max", "since_last", "distinct"].map(|what| format!("now_{what}_lifetime"));
        names.iter().map(|name| columns.iter().find(|c| c.name == *name).unwrap().values.get(0)).collect()
    })
}

#[test]
fn of_totals_what_can_be_subtracted_is_and_the_greatest_of_them_where_it_is_told_again() {
    let told = [bought(3, 50, 7), bought(5, 20, 8), bought(5, 30, 7)];
    let some = |numbers: [f64; 5]| Some(numbers.map(Some).to_vec());
    // One of less, at the same time and with the same other key.
    assert_eq!(of_lifetime(&told, &told[2..], &[bought(5, 25, 7)]), some([3.0, 95.0, 50.0, 105.0, 2.0]));
    // The greatest, for a greater one; for a smaller one, which of the others is it?
    assert_eq!(of_lifetime(&told, &told[..1], &[bought(3, 60, 7)]), some([3.0, 110.0, 60.0, 105.0, 2.0]));
    assert_eq!(of_lifetime(&told, &told[..1], &[bought(3, 40, 7)]), None);
    // The last, for a later one; for an earlier one, was there another as late?
    assert_eq!(of_lifetime(&told, &told[1..2], &[bought(6, 20, 8)]), some([3.0, 100.0, 50.0, 104.0, 2.0]));
    assert_eq!(of_lifetime(&told, &told[1..2], &[bought(4, 20, 8)]), None);
    // Another key that may have been seen elsewhere too.
    assert_eq!(of_lifetime(&told, &told[..1], &[bought(3, 50, 9)]), None);
    // Of all there was nothing is left, whatever it was.
    let nothing = Some(vec![Some(0.0), Some(0.0), None, None, Some(0.0)]);
    assert_eq!(of_lifetime(&told, &told, &[]), nothing);
    assert_eq!(of_lifetime(&told, &told, &[bought(4, 1, 9)]), some([1.0, 1.0, 1.0, 106.0, 1.0]));
    // More than there was.
    assert_eq!(of_lifetime(&told[..1], &told, &[]), None);
}
