//! The kernel against [`naive`], equal to the bit, over random events in a small span of time: ties, boundaries, null keys,
//! late knowledge and empty windows are the rule there and not the exception.

use super::naive::{self, Event, Query};
use super::*;
use crate::error::Result;
use crate::saved::{self, Section};
use proptest::prelude::*;
use rand::seq::SliceRandom;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// Every aggregate over every window, at three delays.
pub(super) fn declarations() -> Declarations {
    let mut all = Vec::new();
    for (delay, what) in [(0, "now"), (5, "soon"), (17, "later")] {
        for window in [Window::Span(1), Window::Span(7), Window::Span(30), Window::Lifetime] {
            for aggregate in [
                Aggregate::Count,
                Aggregate::Sum,
                Aggregate::Mean,
                Aggregate::Max,
                Aggregate::SinceLast,
                Aggregate::Distinct,
                Aggregate::Rate { prior: 0.3, weight: 2.5 },
            ] {
                all.push(Declaration::new(what, aggregate, window).delayed(delay));
            }
        }
    }
    all.push(Declaration::new("bare", Aggregate::Rate { prior: 0.0, weight: 0.0 }, Window::Span(7)));
    Declarations::new(all).unwrap()
}

/// A state with its keys, as one who uses it holds them.
#[derive(Clone)]
pub(super) struct Keyed {
    pub(super) entities: Interner,
    pub(super) others: Interner,
    pub(super) state: State,
}

impl Keyed {
    pub(super) fn new(declarations: Declarations) -> Self {
        Self { entities: Interner::default(), others: Interner::default(), state: State::new(declarations) }
    }

    pub(super) fn expire(&mut self, before: i64) {
        self.state.expire(before);
        let mut live = (vec![false; self.entities.len()], vec![false; self.others.len()]);
        self.state.mark_entities(&mut live.0);
        self.state.mark_others(&mut live.1);
        self.state.rename(&self.entities.keep(&live.0), &self.others.keep(&live.1));
    }

    pub(super) fn save(&mut self) -> Vec<u8> {
        let mut section = Section::default();
        self.entities.save_into(&mut section);
        self.others.save_into(&mut section);
        self.state.save_into(&mut section);
        saved::whole(&self.state.declarations().hash(), vec![section])
    }

    pub(super) fn load(declarations: Declarations, bytes: &[u8]) -> Result<Self> {
        let mut reader = saved::open(bytes, &declarations.hash())?.remove(0);
        let (entities, others) = (Interner::read(&mut reader)?, Interner::read(&mut reader)?);
        let state = State::read(declarations, entities.len(), others.len(), &mut reader)?;
        reader.finish()?;
        Ok(Self { entities, others, state })
    }
}

pub(super) fn step(state: &mut Keyed, events: &[Event], queries: &[Query]) -> Vec<Column> {
    let key = |key: Option<u8>| key.map(|key| [key]);
    let entity = state.entities.intern_all(events.iter().map(|e| key(e.entity))).unwrap();
    let asked = state.entities.intern_all(queries.iter().map(|q| key(q.0))).unwrap();
    let other = state.others.intern_all(events.iter().map(|e| key(e.other))).unwrap();
    let happened: Vec<i64> = events.iter().map(|e| e.happened).collect();
    let known: Vec<i64> = events.iter().map(|e| e.known).collect();
    let value: Vec<i64> = events.iter().map(|e| e.value.unwrap_or(NO_VALUE)).collect();
    let label: Vec<bool> = events.iter().map(|e| e.label).collect();
    let events = Events {
        entity: &entity,
        happened_at: &happened,
        known_at: Some(&known),
        value: Some(&value),
        other: Some(&other),
        label: Some(&label),
    };
    let at: Vec<i64> = queries.iter().map(|q| q.1).collect();
    state.state.step(&events, &Queries { entity: &asked, at: &at }).unwrap()
}

pub(super) fn batch(events: &[Event], queries: &[Query]) -> Vec<Column> {
    step(&mut Keyed::new(declarations()), events, queries)
}

pub(super) fn key(names: u8) -> impl Strategy<Value = Option<u8>> {
    prop_oneof![1 => Just(None), 7 => (0..names).prop_map(Some)]
}

pub(super) fn event() -> impl Strategy<Value = Event> {
    let lag = prop_oneof![4 => Just(0_i64), 2 => 1..40_i64, 1 => -10..0_i64];
    let value =
        prop_oneof![1 => Just(None), 6 => (-20..20_i64).prop_map(Some), 1 => any::<i32>().prop_map(|v| Some(v.into()))];
    (key(4), 0..80_i64, lag, value, key(5), any::<bool>()).prop_map(|(entity, happened, lag, value, other, label)| {
        Event { entity, happened, known: happened + lag, value, other, label }
    })
}

pub(super) fn history() -> impl Strategy<Value = (Vec<Event>, Vec<Query>)> {
    (prop::collection::vec(event(), 0..70), prop::collection::vec((key(5), 0..130_i64), 0..40))
}

/// Which rows come in which step, so that every event is there when a query may see it.
pub(super) fn cut(
    events: &[Event],
    queries: &[Query],
    steps: usize,
    dice: &mut ChaCha8Rng,
) -> (Vec<usize>, Vec<usize>) {
    let asked: Vec<usize> = queries.iter().map(|_| dice.random_range(0..steps)).collect();
    let told = events.iter().map(|event| {
        let may_see =
            queries.iter().zip(&asked).filter(|((entity, at), _)| *entity == event.entity && event.known < *at);
        dice.random_range(0..=may_see.map(|(_, &step)| step).min().unwrap_or(steps - 1))
    });
    (told.collect(), asked)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn equals_the_quadratic_one_to_the_bit((events, queries) in history()) {
        prop_assert_eq!(batch(&events, &queries), naive::columns(declarations().all(), &events, &queries));
    }

    #[test]
    fn a_rewritten_future_changes_nothing_before_it((events, queries) in history(), other in prop::collection::vec(event(), 0..70), now in 0..130_i64) {
        let queries: Vec<Query> = queries.into_iter().filter(|q| q.1 <= now).collect();
        let mut rewritten: Vec<Event> = events.iter().filter(|e| e.known < now).cloned().collect();
        rewritten.extend(other.into_iter().filter(|e| e.known >= now));
        prop_assert_eq!(batch(&events, &queries), batch(&rewritten, &queries));
    }

    #[test]
    fn any_cut_into_steps_saved_expired_and_loaded_between_equals_one_batch((events, queries) in history(), steps in 1..8_usize, seed: u64) {
        let mut dice = ChaCha8Rng::seed_from_u64(seed);
        let (told, asked) = cut(&events, &queries, steps, &mut dice);
        let whole = batch(&events, &queries);
        let mut state = Keyed::new(declarations());
        for now in 0..steps {
            let part: Vec<Event> = events.iter().zip(&told).filter(|(_, s)| **s == now).map(|(e, _)| e.clone()).collect();
            let rows: Vec<usize> = (0..queries.len()).filter(|&row| asked[row] == now).collect();
            let answers = step(&mut state, &part, &rows.iter().map(|&row| queries[row]).collect::<Vec<_>>());
            for (answer, all) in answers.iter().zip(&whole) {
                for (at, &row) in rows.iter().enumerate() {
                    prop_assert_eq!(answer.values.get(at).map(f64::to_bits), all.values.get(row).map(f64::to_bits), "{}", &all.name);
                }
            }
            let rest = queries.iter().zip(&asked).filter(|(_, s)| **s > now).map(|(q, _)| q.1).min().unwrap_or(200);
            if dice.random_bool(0.6) {
                state.expire(rest - dice.random_range(0..10));
            }
            if dice.random_bool(0.5) {
                state = Keyed::load(declarations(), &state.save()).unwrap();
            }
        }
    }

    #[test]
    fn shuffled_rows_give_the_same_answers((events, queries) in history(), seed: u64) {
        let mut shuffled = events.clone();
        shuffled.shuffle(&mut ChaCha8Rng::seed_from_u64(seed));
        let backwards: Vec<Query> = queries.iter().rev().copied().collect();
        let (straight, mut turned) = (batch(&events, &queries), batch(&shuffled, &backwards));
        for column in &mut turned {
            match &mut column.values {
                Values::Count(values) => values.reverse(),
                Values::Integer(values) => values.reverse(),
                Values::Real(values) => values.reverse(),
            }
        }
        prop_assert_eq!(straight, turned);
    }
}

/// Enough rows for the sort in parts and for several tasks: one heavy key, null keys, late knowledge, in no order.
fn crowd(rows: usize) -> (Vec<Event>, Vec<Query>) {
    let mut dice = ChaCha8Rng::seed_from_u64(3);
    let mut one = |_| {
        let entity =
            if dice.random_bool(0.3) { Some(0) } else { Some(dice.random_range(1..200)).filter(|n| n % 20 > 0) };
        let happened = dice.random_range(0..2_000_i64);
        let late = if dice.random_bool(0.1) { dice.random_range(0..60) } else { 0 };
        Event {
            entity,
            happened,
            known: happened + late,
            value: Some(dice.random_range(-500..10_000)),
            other: Some(dice.random_range(0..50)),
            label: dice.random_bool(0.1),
        }
    };
    let events: Vec<Event> = (0..rows).map(&mut one).collect();
    let queries = events.iter().map(|event| (event.entity, event.happened)).collect();
    (events, queries)
}

#[test]
fn one_thread_and_two_give_the_same_bits_and_so_do_small_steps() {
    let (mut events, mut queries) = crowd(90_000);
    let on = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| batch(&events, &queries))
    };
    let alone = on(1);
    assert_eq!(alone, on(2));
    // A sample of it is what the quadratic one says.
    let some: Vec<usize> = (0..queries.len()).step_by(997).collect();
    let slow = naive::columns(declarations().all(), &events, &some.iter().map(|&row| queries[row]).collect::<Vec<_>>());
    for (fast, slow) in alone.iter().zip(&slow) {
        for (at, &row) in some.iter().enumerate() {
            assert_eq!(fast.values.get(row).map(f64::to_bits), slow.values.get(at).map(f64::to_bits), "{}", fast.name);
        }
    }
    // In the order in which things happen, a few rows at a time: several runs, and few entities a step.
    let mut order: Vec<usize> = (0..events.len()).collect();
    order.sort_by_key(|&row| events[row].happened);
    events = order.iter().map(|&row| events[row].clone()).collect();
    queries = order.iter().map(|&row| queries[row]).collect();
    let whole = batch(&events, &queries);
    let mut state = Keyed::new(declarations());
    let mut start = 0;
    for (number, length) in [70_000, 9_000, 7, 300, 1, 1_500, 100, 9_092].into_iter().enumerate() {
        let rows = start..start + length;
        let answers = step(&mut state, &events[rows.clone()], &queries[rows.clone()]);
        for (answer, all) in answers.iter().zip(&whole) {
            for (at, row) in rows.clone().enumerate() {
                assert_eq!(
                    answer.values.get(at).map(f64::to_bits),
                    all.values.get(row).map(f64::to_bits),
                    "{}",
                    all.name
                );
            }
        }
        start += length;
        if number % 3 == 2 {
            state.expire(events[start - 1].happened);
        }
    }
    assert_eq!(start, events.len());
}

#[test]
fn rows_that_ask_about_themselves_are_sorted_once_and_get_the_same_bits() {
    let (rows, _) = crowd(70_000);
    let mut state = Keyed::new(declarations());
    let entity = state.entities.intern_all(rows.iter().map(|e| e.entity.map(|key| [key]))).unwrap();
    let other = state.others.intern_all(rows.iter().map(|e| e.other.map(|key| [key]))).unwrap();
    let happened: Vec<i64> = rows.iter().map(|e| e.happened).collect();
    let value: Vec<i64> = rows.iter().map(|e| e.value.unwrap_or(NO_VALUE)).collect();
    let label: Vec<bool> = rows.iter().map(|e| e.label).collect();
    let events = Events {
        entity: &entity,
        happened_at: &happened,
        known_at: None,
        value: Some(&value),
        other: Some(&other),
        label: Some(&label),
    };
    let (also, at) = (entity.clone(), happened.clone());
    let twice = state.state.clone().step(&events, &Queries { entity: &also, at: &at }).unwrap();
    assert_eq!(state.state.step(&events, &Queries { entity: &entity, at: &happened }).unwrap(), twice);
}

pub(super) fn plain(entity: u8, happened: i64) -> Event {
    Event { entity: Some(entity), happened, known: happened, value: Some(100), other: None, label: true }
}

fn numbers(columns: &[Column], names: &[&str], row: usize) -> Vec<Option<f64>> {
    let find = |name: &&str| columns.iter().find(|c| c.name == **name).unwrap().values.get(row);
    names.iter().map(find).collect()
}

#[test]
fn a_window_begins_with_its_first_instant_ends_before_its_last_and_ties_see_nothing() {
    let events = [plain(1, 13), plain(1, 20), Event { known: 25, value: None, ..plain(1, 19) }];
    let queries = [(Some(1), 20), (Some(1), 21), (Some(1), 25), (Some(1), 26), (None, 26), (Some(9), 26)];
    let columns = batch(&events, &queries);
    let names =
        ["now_count_7us", "now_sum_7us", "now_mean_7us", "now_since_last_7us", "soon_count_7us", "bare_rate_7us"];
    let answers: Vec<_> = (0..queries.len()).map(|row| numbers(&columns, &names, row)).collect();
    let one = |since: f64, soon: f64| vec![Some(1.0), Some(100.0), Some(100.0), Some(since), Some(soon), Some(1.0)];
    assert_eq!(
        answers,
        [
            one(7.0, 1.0),
            one(1.0, 1.0),
            one(5.0, 1.0),
            // Known at last, and without a value: it counts and is in no mean.
            vec![Some(2.0), Some(100.0), Some(100.0), Some(6.0), Some(2.0), Some(1.0)],
            vec![None; 6],
            vec![Some(0.0), Some(0.0), None, None, Some(0.0), None],
        ]
    );
}

#[test]
fn what_no_window_reaches_is_forgotten_with_its_key() {
    let window = Declaration::new("customer_order", Aggregate::Count, Window::Span(10));
    let life = Declaration::new("customer_amount", Aggregate::Sum, Window::Lifetime);
    let events: Vec<Event> = (0..100).map(|n| plain(n, i64::from(n))).collect();
    for (declared, retained, keys) in
        [(vec![window.clone()], 10, 10), (vec![window, life.clone()], 10, 100), (vec![life], 0, 100)]
    {
        let mut state = Keyed::new(Declarations::new(declared).unwrap());
        step(&mut state, &events, &[]);
        state.expire(100);
        assert_eq!((state.state.retained(), state.entities.len(), state.state.horizon()), (retained, keys, 100));
        assert!(
            state.state.step(&Events::default(), &Queries { entity: &[0], at: &[99] }).is_err(),
            "before the horizon"
        );
        let bytes = state.save();
        assert_eq!(Keyed::load(state.state.declarations().clone(), &bytes).unwrap().save(), bytes);
    }
}
