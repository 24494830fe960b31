//! States of shards as one, and answers lane by lane.

use super::naive::{Event, Query};
use super::tests::{Keyed, batch, cut, declarations, history, step};
use super::*;
use crate::error::{Error, Result};
use proptest::prelude::*;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

impl Keyed {
    fn merge(&mut self, mut other: Self) {
        let named =
            |from: &Interner, to: &mut Interner| to.intern_all((0..from.len() as u32).map(|id| from.key(id))).unwrap();
        let entities = named(&other.entities, &mut self.entities);
        let others = named(&other.others, &mut self.others);
        if other.state.retained() % 2 == 1 {
            other.state.compact();
        }
        self.state.merge(other.state, &entities, &others).unwrap();
    }
}

fn same(answers: &[Column], whole: &[Column], rows: &[usize]) -> Result<(), TestCaseError> {
    for (answer, all) in answers.iter().zip(whole) {
        prop_assert_eq!(answer.values.len(), rows.len());
        for (at, &row) in rows.iter().enumerate() {
            let (ours, theirs) = (answer.values.get(at), all.values.get(row));
            prop_assert_eq!(ours.map(f64::to_bits), theirs.map(f64::to_bits), "{}", &all.name);
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn shards_apart_answer_as_the_whole_and_merged_they_go_on_as_it((events, queries) in history(), shards in 1..5_usize, apart: bool, seed: u64) {
        let mut dice = ChaCha8Rng::seed_from_u64(seed);
        let (told, asked) = cut(&events, &queries, 2, &mut dice);
        let whole = batch(&events, &queries);
        // By key, each answers its own; or anyhow, and only what comes after the merge can be answered.
        let mut shard = |entity: Option<u8>| match apart {
            true => usize::from(entity.unwrap_or(9)) * 7 % shards,
            false => dice.random_range(0..shards),
        };
        let of_event: Vec<usize> = events.iter().map(|event| shard(event.entity)).collect();
        let of_query: Vec<usize> = queries.iter().map(|query| shard(query.0)).collect();
        let rest = queries.iter().zip(&asked).filter(|(_, s)| **s == 1).map(|(q, _)| q.1).min().unwrap_or(200);
        let mut states: Vec<Keyed> = (0..shards).map(|_| Keyed::new(declarations())).collect();
        for (number, state) in states.iter_mut().enumerate() {
            let part: Vec<Event> = (0..events.len()).filter(|&e| told[e] == 0 && of_event[e] == number).map(|e| events[e].clone()).collect();
            let rows: Vec<usize> = (0..queries.len()).filter(|&q| asked[q] == 0 && of_query[q] == number).collect();
            let answers = step(state, &part, &rows.iter().map(|&row| queries[row]).collect::<Vec<_>>());
            if apart {
                same(&answers, &whole, &rows)?;
            }
            if dice.random_bool(0.6) {
                state.expire(rest - dice.random_range(0..20));
            }
        }
        let mut merged = states.swap_remove(dice.random_range(0..shards));
        states.into_iter().for_each(|state| merged.merge(state));
        if dice.random_bool(0.3) {
            merged.expire(rest);
        }
        merged = Keyed::load(declarations(), &merged.save()).unwrap();
        let part: Vec<Event> = (0..events.len()).filter(|&e| told[e] == 1).map(|e| events[e].clone()).collect();
        let rows: Vec<usize> = (0..queries.len()).filter(|&q| asked[q] == 1).collect();
        let asked: Vec<Query> = rows.iter().map(|&row| queries[row]).collect();
        same(&step(&mut merged, &part, &asked), &whole, &rows)?;
    }
}

#[test]
fn states_that_do_not_fit_are_not_merged_and_stay_as_they_were() {
    let count =
        |what: &str| Declarations::new(vec![Declaration::new(what, Aggregate::Count, Window::Lifetime)]).unwrap();
    let events = Events { entity: &[3], happened_at: &[5], ..Events::default() };
    let (mut a, mut b) = (State::new(count("customer_order")), State::new(count("customer_order")));
    b.step(&events, &Queries::default()).unwrap();
    let says = |error: Error| error.to_string();
    let other = State::new(count("device_order"));
    assert!(says(a.merge(other, &[], &[]).unwrap_err()).ends_with("states of different declarations do not add up"));
    for expired in [false, true] {
        if expired {
            b.expire(10);
        }
        for names in [&[0, 1, 2][..], &[0, 1, 2, NO_KEY]] {
            let error = a.merge(b.clone(), names, &[]).unwrap_err();
            assert!(says(error).ends_with("uses keys that were not given a number"));
            assert_eq!((a.retained(), a.horizon()), (0, i64::MIN));
        }
    }
    a.merge(b, &[9, 9, 9, 0], &[]).unwrap();
    let answer = a.step(&Events::default(), &Queries { entity: &[0, 3], at: &[11, 11] }).unwrap();
    assert_eq!(answer[0].values, Values::Count(vec![1, 0]));
}

#[test]
fn columns_are_handed_over_lane_by_lane_and_an_error_stops_them() {
    let day = |what: &str, span| Declaration::new(what, Aggregate::Count, Window::Span(span));
    let all = vec![day("b", 20), day("a", 10), day("c", 20), day("d", 30)];
    let mut state = State::new(Declarations::new(all).unwrap());
    let queries = Queries { entity: &[0], at: &[5] };
    let mut places = Vec::new();
    let ok = state.step_each(&Events::default(), &queries, &mut |place, values| {
        places.push((place, values.len()));
        Ok(())
    });
    assert!(ok.is_ok());
    assert_eq!(places, [(1, 1), (0, 1), (2, 1), (3, 1)]);
    let mut calls = 0;
    let stopped = state.step_each(&Events::default(), &queries, &mut |_, _| {
        calls += 1;
        Err(Error::Invariant("the disk is full".to_owned()))
    });
    assert!(stopped.is_err() && calls == 1);
}
