//! Small steps of entities with many events: whatever comes in between, equal to one batch.

use super::naive::{Event, Query};
use super::tests::{Keyed, cut, declarations, event, key, step};
use super::*;
use proptest::prelude::*;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// Much is kept, little is asked at once.
fn history() -> impl Strategy<Value = (Vec<Event>, Vec<Query>)> {
    (prop::collection::vec(event(), 60..160), prop::collection::vec((key(4), 0..130_i64), 0..30))
}

/// What is declared decides how small steps are answered.
#[derive(Debug, Clone, Copy)]
enum Declared {
    /// Every aggregate over every window, at three delays.
    All,
    /// Those that add up, which are counted where events lie.
    AddingUp,
    /// Counts alone, of which entities with much are kept in a way of its own.
    Counts,
}

impl Declared {
    fn declarations(self) -> Declarations {
        let wanted = |declared: &&Declaration| match self {
            Self::All => true,
            Self::AddingUp => match declared.aggregate {
                Aggregate::Distinct => false,
                Aggregate::Max => declared.window == Window::Lifetime,
                _ => true,
            },
            Self::Counts => declared.aggregate == Aggregate::Count,
        };
        Declarations::new(declarations().all().iter().filter(wanted).cloned().collect()).unwrap()
    }
}

fn declared() -> impl Strategy<Value = Declared> {
    prop_oneof![Just(Declared::All), Just(Declared::AddingUp), Just(Declared::Counts)]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn small_steps_equal_one_batch((mut events, mut queries) in history(), steps in 4..14_usize, from in prop_oneof![0..30_usize, Just(1_000)], forwards: bool, punctual: bool, declared in declared(), seed: u64) {
        let mut dice = ChaCha8Rng::seed_from_u64(seed);
        if forwards {
            queries.sort_by_key(|query| query.1);
        }
        if punctual {
            events.iter_mut().for_each(|event| event.known = event.happened);
        }
        let (mut told, mut asked) = cut(&events, &queries, steps, &mut dice);
        if forwards {
            asked.sort_unstable();
            for (event, told) in events.iter().zip(&mut told) {
                let may_see = queries.iter().zip(&asked).filter(|((entity, at), _)| *entity == event.entity && event.known < *at);
                // Half of them as early as can be, half as late: those are put among others.
                let latest = may_see.map(|(_, &step)| step).min().unwrap_or(steps - 1);
                *told = if dice.random_bool(0.5) { 0 } else { latest };
            }
        }
        let declared = || declared.declarations();
        let whole = step(&mut Keyed::new(declared()), &events, &queries);
        let mut state = Keyed::new(declared());
        state.state.heavies.from = from;
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
            if dice.random_bool(0.15) {
                state.expire(rest - dice.random_range(0..10));
            }
            if dice.random_bool(0.1) {
                state = Keyed::load(declared(), &state.save()).unwrap();
                state.state.heavies.from = from;
            }
        }
    }
}

/// Counts of one entity over its life and over seven microseconds, and whether it is kept for small steps.
fn told_and_asked(state: &mut State, happened: &[i64], known: &[i64], ask: &[i64]) -> (Vec<f64>, Vec<f64>, bool) {
    let (entity, asked) = (vec![5; happened.len()], vec![5; ask.len()]);
    let events = Events { entity: &entity, happened_at: happened, known_at: Some(known), ..Events::default() };
    let answer = state.step(&events, &Queries { entity: &asked, at: ask }).unwrap();
    let numbers = |column: &Column| (0..ask.len()).map(|row| column.values.get(row).unwrap()).collect();
    (numbers(&answer[0]), numbers(&answer[1]), state.heavies.has(5))
}

#[test]
fn an_entity_with_many_events_is_walked_over_once_and_again_after_its_totals_changed() {
    let life = Declaration::new("ip_order", Aggregate::Count, Window::Lifetime);
    let week = Declaration::new("ip_order", Aggregate::Count, Window::Span(7));
    let mut state = State::new(Declarations::new(vec![life, week]).unwrap());
    let happened: Vec<i64> = (0..2_000).collect();
    let kept = told_and_asked(&mut state, &happened, &happened, &happened).2;
    assert!(!kept, "a batch asks with as many rows, and keeps nothing twice");
    assert_eq!(told_and_asked(&mut state, &[], &[], &[2_000]), (vec![2_000.0], vec![7.0], true));
    let more = told_and_asked(&mut state, &[1_999, 2_001], &[2_000, 2_001], &[2_001, 2_002]);
    assert_eq!(more, (vec![2_001.0, 2_002.0], vec![7.0, 7.0], true));
    let earlier = told_and_asked(&mut state, &[], &[], &[1_000, 2_003]);
    assert_eq!(earlier, (vec![1_000.0, 2_002.0], vec![7.0, 6.0], true));
    // Told after a T that should have seen it: later ones do, as far back as they reach.
    let belated = told_and_asked(&mut state, &[100], &[100], &[2_003, 2_004]);
    assert_eq!(belated, (vec![2_003.0, 2_003.0], vec![6.0, 5.0], true));
    state.expire(2_004);
    assert!(state.heavies.has(5), "what only counts does not begin anew");
    state.heavies.from = 2;
    let after = told_and_asked(&mut state, &[2_005; 20], &[2_005; 20], &[2_006]);
    assert_eq!(after, (vec![2_023.0], vec![23.0], true));
    // Known before the horizon and told after it: it goes into the totals that the walk began with.
    assert!(!told_and_asked(&mut state, &[100], &[100], &[]).2);
    assert_eq!(told_and_asked(&mut state, &[], &[], &[2_006]), (vec![2_024.0], vec![23.0], true));
}

#[test]
fn walks_are_forgotten_when_keys_get_other_numbers_and_when_states_become_one() {
    let life = Declaration::new("ip_order", Aggregate::Count, Window::Lifetime);
    let week = Declaration::new("ip_order", Aggregate::Count, Window::Span(7));
    let mut state = State::new(Declarations::new(vec![life, week]).unwrap());
    state.heavies.from = 1;
    let twenty: Vec<i64> = (0..20).collect();
    assert_eq!(told_and_asked(&mut state, &twenty, &twenty, &[20]), (vec![20.0], vec![7.0], true));
    let same = [NO_KEY, NO_KEY, NO_KEY, NO_KEY, NO_KEY, 5];
    let twin = state.clone();
    state.merge(twin, &same, &[]).unwrap();
    assert!(!state.heavies.has(5));
    assert_eq!(told_and_asked(&mut state, &[], &[], &[20]), (vec![40.0], vec![14.0], true));
    state.rename(&[NO_KEY, NO_KEY, NO_KEY, NO_KEY, NO_KEY, 6], &[]);
    assert!(!state.heavies.has(5));
    let (fives, _, _) = told_and_asked(&mut state, &[], &[], &[20]);
    assert_eq!(fives, [0.0]);
    assert!(state.heavies.has(6));
    // Two that become one are counted together.
    let events = Events { entity: &[7; 5], happened_at: &[1; 5], ..Events::default() };
    let asked = Queries { entity: &[6, 7], at: &[20, 20] };
    state.step(&events, &asked).unwrap();
    assert!(state.heavies.has(6) && state.heavies.has(7));
    state.rename(&[NO_KEY, NO_KEY, NO_KEY, NO_KEY, NO_KEY, NO_KEY, 5, 5], &[]);
    assert_eq!(told_and_asked(&mut state, &[], &[], &[20]), (vec![45.0], vec![14.0], true));
}
