//! The engine over random shops: any cut, any shard, any order of rows, any future gives the bits of one batch.

use super::*;
use crate::config::built_in_features;
use crate::contract::feature::{AggregateKind, ENTITIES, EventKind, entity};
use crate::features::kernel::NO_KEY;
use crate::saved;
use crate::types::time::DAY;
use proptest::prelude::*;
use std::collections::BTreeMap;

const UNITS: Units = Units { returns: Level::Order };

/// Ways of every kind, over few keys and days, so that everything meets.
fn specs() -> Vec<FeatureSpec> {
    let mut specs = built_in_features();
    let mut more = |entity_name: &str, events, aggregate, prior| {
        specs.push(FeatureSpec {
            name: format!("{entity_name}_{events:?}_{aggregate:?}_{}", specs.len()),
            entity: entity(entity_name).unwrap(),
            with: None,
            events,
            aggregate,
            value: events.values().first().filter(|_| aggregate.is_of_value()),
            other: None,
            span: Some(7 * DAY),
            delay: 2 * DAY,
            prior,
            weight: 3.0,
        });
    };
    more("seller", EventKind::Fraud, AggregateKind::Rate, Some(0.1));
    more("seller", EventKind::Order, AggregateKind::Max, None);
    more("seller", EventKind::Chargeback, AggregateKind::Sum, None);
    more("customer", EventKind::Feedback, AggregateKind::Mean, None);
    more("shop", EventKind::Order, AggregateKind::Count, None);
    more("sku", EventKind::Return, AggregateKind::SinceLast, None);
    specs
}

/// One order: when, a seed of its keys and values, and what became of it.
type Seed = (u8, u32, bool);

fn key(name: &str, seed: u32) -> Option<String> {
    let hash = name.bytes().fold(seed, |hash, byte| hash.wrapping_mul(31).wrapping_add(u32::from(byte)));
    (hash % 7 > 0).then(|| format!("{}", hash % 3))
}

/// Facts of random orders with two lines each, some outcomes and tickets.
fn facts(seeds: &[Seed], keys: &mut Keys) -> Facts {
    let hour = |quarter: u8| i64::from(quarter) * DAY / 4;
    let mut facts = Facts::default();
    let number = |n: u32| i64::from(n % 50);
    facts.orders.placed_at = seeds.iter().map(|(at, ..)| hour(*at)).collect();
    facts.order_of_line = (0..seeds.len() as u32).flat_map(|row| [row, row]).collect();
    facts.lines.placed_at = facts.order_of_line.iter().map(|&row| facts.orders.placed_at[row as usize]).collect();
    for entity in ENTITIES.iter().filter(|entity| !entity.column.is_empty()) {
        let texts: Vec<Option<String>> = match entity.of_line {
            false => seeds.iter().map(|(_, seed, _)| key(entity.name, *seed)).collect(),
            true => (0..2 * seeds.len()).map(|n| key(entity.name, seeds[n / 2].1.wrapping_add(n as u32 % 2))).collect(),
        };
        let numbers = keys.number(entity, texts.iter().map(Option::as_deref)).unwrap();
        let grid = if entity.of_line { &mut facts.lines } else { &mut facts.orders };
        grid.keys.insert(entity.name, numbers);
    }
    facts.orders.values.insert("amount", seeds.iter().map(|(_, seed, _)| number(*seed)).collect());
    facts.lines.values.insert("unit_price", (0..2 * seeds.len()).map(|n| number(seeds[n / 2].1 + n as u32)).collect());
    for (kind, level) in [(EventKind::Order, Level::Order), (EventKind::Line, Level::Line)] {
        facts.events.insert(Stream { kind, phase: Phase::Happened, level }, Happenings::default());
    }
    for (kind, after) in [(EventKind::Fraud, 3), (EventKind::Return, 5)] {
        for level in [Level::Order, Level::Line] {
            let rows = facts.grid(level).placed_at.len();
            let order = |row: usize| if level == Level::Line { row / 2 } else { row };
            let yes =
                |row: &usize| seeds[order(*row)].2 && seeds[order(*row)].1 % 2 == u32::from(kind == EventKind::Fraud);
            let known = |row: usize| facts.grid(level).placed_at[row] + i64::from(seeds[order(row)].1 % 9) * DAY;
            let ripe = |row: usize| facts.grid(level).placed_at[row] + after * DAY;
            let all: Vec<usize> = (0..rows).collect();
            let hits: Vec<usize> = (0..rows).filter(yes).collect();
            let streams = [
                (Phase::Happened, hits.clone(), hits.iter().map(|&row| known(row)).collect()),
                (Phase::Ripe, all.clone(), all.iter().map(|&row| ripe(row)).collect()),
                (Phase::RipeHappened, hits.clone(), hits.iter().map(|&row| known(row).max(ripe(row))).collect()),
            ];
            let streams: Vec<(Phase, Vec<usize>, Vec<i64>)> = streams.into();
            for (phase, rows, known) in streams {
                let rows = Some(rows.into_iter().map(|row| row as u32).collect());
                let events = Happenings { rows, known_at: Some(known), ..Happenings::default() };
                facts.events.insert(Stream { kind, phase, level }, events);
            }
        }
    }
    for kind in
        [EventKind::ReturnRequest, EventKind::Contact, EventKind::Dispute, EventKind::Chargeback, EventKind::Feedback]
    {
        let rows: Vec<u32> = (0..seeds.len() as u32).filter(|&row| seeds[row as usize].1.is_multiple_of(3)).collect();
        let happened: Vec<i64> = rows
            .iter()
            .map(|&row| facts.orders.placed_at[row as usize] + i64::from(seeds[row as usize].1 % 5) * DAY)
            .collect();
        let known = happened.iter().zip(&rows).map(|(at, row)| at + i64::from(row % 2) * DAY).collect();
        let values = kind.values().iter().map(|value| (value.name, rows.iter().map(|&row| number(row)).collect()));
        let events = Happenings {
            happened_at: Some(happened),
            known_at: Some(known),
            values: values.collect(),
            rows: Some(rows),
            ..Happenings::default()
        };
        facts.events.insert(Stream { kind, phase: Phase::Happened, level: Level::Order }, events);
    }
    facts
}

fn pick<T: Copy>(column: &[T], rows: &[usize]) -> Vec<T> {
    rows.iter().map(|&row| column[row]).collect()
}

/// The part of the facts that comes with `keep` events (stream level, row of its grid, when known) and `ask`ing rows.
fn part(facts: &Facts, ask: &dyn Fn(Level, usize) -> bool, keep: &dyn Fn(Level, u32, i64) -> bool) -> Facts {
    let mut part = facts.clone();
    for (level, grid) in [(Level::Order, &mut part.orders), (Level::Line, &mut part.lines)] {
        grid.asking = Some((0..grid.placed_at.len()).filter(|&row| ask(level, row)).map(|row| row as u32).collect());
    }
    for (stream, events) in &mut part.events {
        let placed = &facts.grid(stream.level).placed_at;
        let all: Vec<u32> = events.rows.clone().unwrap_or_else(|| (0..placed.len() as u32).collect());
        let known = |at: usize| match (&events.known_at, &events.happened_at) {
            (Some(known), _) => known[at],
            (None, Some(happened)) => happened[at],
            (None, None) => placed[all[at] as usize],
        };
        let kept: Vec<usize> = (0..all.len()).filter(|&at| keep(stream.level, all[at], known(at))).collect();
        *events = Happenings {
            happened_at: events.happened_at.as_ref().map(|column| pick(column, &kept)),
            known_at: events.known_at.as_ref().map(|column| pick(column, &kept)),
            rows: Some(pick(&all, &kept)),
            keys: events.keys.iter().map(|(name, column)| (*name, pick(column, &kept))).collect(),
            values: events.values.iter().map(|(name, column)| (*name, pick(column, &kept))).collect(),
        };
    }
    part
}

/// The part that becomes known in a stretch of time, with the orders placed in it.
fn between(facts: &Facts, from: i64, to: i64) -> Facts {
    let within = |at: i64| (from..to).contains(&at);
    part(facts, &|level, row| within(facts.grid(level).placed_at[row]), &|_, _, known| within(known))
}

/// Features by name and row of the grid, to the bit.
type Answers = BTreeMap<(usize, u32), u64>;

fn step(engine: &mut Engine, facts: &Facts, answers: &mut Answers) {
    engine
        .step(facts, &mut |feature, level, values| {
            let grid = facts.grid(level);
            let all: Vec<u32> = grid.asking.clone().unwrap_or_else(|| (0..grid.placed_at.len() as u32).collect());
            assert_eq!(all.len(), values.len());
            answers.extend(all.into_iter().zip(values).map(|(row, value)| ((feature, row), value.to_bits())));
            Ok(())
        })
        .unwrap();
}

fn batch(seeds: &[Seed]) -> Answers {
    let mut engine = Engine::new(&specs(), UNITS).unwrap();
    let facts = facts(seeds, engine.keys());
    let mut answers = Answers::new();
    step(&mut engine, &facts, &mut answers);
    answers
}

fn shops() -> impl Strategy<Value = Vec<Seed>> {
    proptest::collection::vec((0_u8..200, 0_u32..1_000, any::<bool>()), 1..40)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_cut_into_steps_saved_and_loaded_and_expired_between_them_gives_the_bits_of_one_batch(
        seeds in shops(), mut cuts in proptest::collection::vec(0_i64..60, 0..5)
    ) {
        cuts.sort_unstable();
        let mut from = i64::MIN;
        let (mut answers, mut bytes) = (Answers::new(), saved_as_bytes(&mut Engine::new(&specs(), UNITS).unwrap()));
        for to in cuts.into_iter().map(|day| day * DAY).chain([i64::MAX]) {
            let mut engine = loaded(&specs(), &bytes).unwrap();
            // Numbers of keys are void after loading and expiring: all are given anew, as a real step would for its own.
            let facts = between(&facts(&seeds, engine.keys()), from, to);
            step(&mut engine, &facts, &mut answers);
            engine.expire(to).unwrap();
            bytes = saved_as_bytes(&mut engine);
            from = to;
        }
        prop_assert_eq!(answers, batch(&seeds));
    }

    #[test]
    fn a_future_told_otherwise_changes_nothing_before_it(
        past in shops(), futures in (shops(), shops()), day in 0_i64..50
    ) {
        let cut = day * DAY;
        let answers = |future: &[Seed]| {
            // What is known at or after the cut is that of the future; the orders of the past still ask.
            let seeds: Vec<Seed> = past.iter().chain(future).copied().collect();
            let mut engine = Engine::new(&specs(), UNITS).unwrap();
            let facts = facts(&seeds, engine.keys());
            let is_past = |level: Level, row: u32| (if level == Level::Line { row / 2 } else { row } as usize) < past.len();
            let facts = part(
                &facts,
                &|level, row| is_past(level, row as u32) && facts.grid(level).placed_at[row] <= cut,
                &|level, row, known| if known < cut { is_past(level, row) } else { !is_past(level, row) },
            );
            let mut answers = Answers::new();
            step(&mut engine, &facts, &mut answers);
            answers
        };
        prop_assert_eq!(answers(&futures.0), answers(&futures.1));
    }

    #[test]
    fn shuffled_rows_give_each_order_its_own_features(seeds in shops(), turn in 0_usize..40) {
        // Distinct orders, so that each can be found again.
        let turned: Vec<Seed> = (0..seeds.len()).map(|at| seeds[(at + turn) % seeds.len()]).collect();
        let specs = specs();
        let moved = |(feature, row): (usize, u32)| {
            let (per, row) = if specs[feature].is_of_line() { (2, row / 2 * 2) } else { (1, row) };
            let order = row as usize / per;
            (order + seeds.len() - turn % seeds.len()) % seeds.len()
        };
        let (one, other) = (batch(&seeds), batch(&turned));
        for (&(feature, row), bits) in &one {
            let order = moved((feature, row));
            let at = if specs[feature].is_of_line() { order as u32 * 2 + row % 2 } else { order as u32 };
            // Lines and tickets of the random shop depend on the row they stand on; those features are left out.
            let by_row = specs[feature].is_of_line()
                || specs[feature].events == EventKind::Line
                || !matches!(specs[feature].events, EventKind::Order | EventKind::Fraud | EventKind::Return);
            if !by_row {
                prop_assert_eq!(other.get(&(feature, at)), Some(bits), "{}", specs[feature].name);
            }
        }
    }
}

#[test]
fn one_thread_gives_the_bits_of_two() {
    let seeds: Vec<Seed> =
        (0..3_000_u32).map(|n| ((n % 200) as u8, n.wrapping_mul(2_654_435_761), n.is_multiple_of(5))).collect();
    let pool = |threads| rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
    assert!(pool(1).install(|| batch(&seeds)) == pool(2).install(|| batch(&seeds)));
}

fn saved_as_bytes(engine: &mut Engine) -> Vec<u8> {
    saved::whole(&[0; 32], engine.save())
}

fn loaded(specs: &[FeatureSpec], bytes: &[u8]) -> Result<Engine> {
    Engine::load(specs, UNITS, &saved::open(bytes, &[0; 32])?)
}

#[test]
fn a_state_of_other_features_is_refused_with_a_way_forward() {
    let bytes = saved_as_bytes(&mut Engine::new(&specs(), UNITS).unwrap());
    assert!(loaded(&specs(), &bytes).is_ok());
    let error = loaded(&specs()[1..], &bytes).err().unwrap();
    let (message, hint) = (error.to_string(), error.hint().unwrap_or_default());
    assert!(
        message.contains("other feature declarations") && hint.contains("run over the whole history"),
        "{message}; {hint}"
    );
    let sections = saved::open(&bytes, &[0; 32]).unwrap();
    for some in 0..sections.len() {
        assert!(Engine::load(&specs(), UNITS, &sections[..some]).is_err(), "{some} sections");
    }
}

#[test]
fn shards_that_are_merged_go_on_as_the_whole_would() {
    let seeds: Vec<Seed> =
        (0..400_u32).map(|n| ((n % 160) as u8, n.wrapping_mul(2_654_435_761), n.is_multiple_of(5))).collect();
    let cut = 25 * DAY;
    let run = |split: bool| {
        let mut whole = Engine::new(&specs(), UNITS).unwrap();
        let mut other = Engine::new(&specs(), UNITS).unwrap();
        let mut ignored = Answers::new();
        let all = facts(&seeds, whole.keys());
        let theirs = facts(&seeds, other.keys());
        if split {
            let of = |facts: &Facts, shard: u32| {
                part(facts, &|_, _| false, &|level, row, known| {
                    known < cut && (if level == Level::Line { row / 2 } else { row }) % 2 == shard
                })
            };
            step(&mut whole, &of(&all, 0), &mut ignored);
            step(&mut other, &of(&theirs, 1), &mut ignored);
            whole.merge(other).unwrap();
        } else {
            step(&mut whole, &between(&all, i64::MIN, cut), &mut ignored);
        }
        let mut answers = Answers::new();
        let rest = facts(&seeds, whole.keys());
        step(&mut whole, &between(&rest, cut, i64::MAX), &mut answers);
        answers
    };
    let (whole, merged) = (run(false), run(true));
    assert!(!whole.is_empty() && whole == merged);
    assert!(whole.values().any(|&bits| f64::from_bits(bits) > 0.0));
}

#[test]
fn a_history_that_goes_as_it_is_answered_leaves_the_bits_and_the_state_of_a_step_and_an_expiry() {
    let seeds: Vec<Seed> =
        (0..400_u32).map(|n| ((n % 160) as u8, n.wrapping_mul(2_654_435_761), n.is_multiple_of(5))).collect();
    let mut engine = Engine::new(&specs(), UNITS).unwrap();
    let whole = facts(&seeds, engine.keys());
    let (mut going, mut last, mut expired) = (whole.clone(), whole.clone(), engine.clone());
    let finished = engine.clone();
    let [mut answers, mut while_going, mut at_last] = [Answers::new(), Answers::new(), Answers::new()];
    step(&mut engine, &whole, &mut answers);
    engine.expire(30 * DAY).unwrap();
    let into = |answers: &mut Answers, feature: usize, values: Vec<f64>| {
        answers.extend((0..).zip(values).map(|(row, value)| ((feature, row), value.to_bits())));
        Ok(())
    };
    expired.step_and_expire(&mut going, 30 * DAY, &mut |f, _, values| into(&mut while_going, f, values)).unwrap();
    assert!(answers == while_going && saved_as_bytes(&mut engine) == saved_as_bytes(&mut expired));
    assert!(going.events.is_empty() && going.orders.keys.is_empty() && going.lines.keys.is_empty());
    finished.finish(&mut last, &mut |f, _, values| into(&mut at_last, f, values)).unwrap();
    assert!(answers == at_last);
}

#[test]
fn expiring_forgets_keys_of_which_nothing_is_left() {
    let specs: Vec<FeatureSpec> = specs().into_iter().filter(|spec| spec.name == "ip_order_count_24h").collect();
    let mut engine = Engine::new(&specs, UNITS).unwrap();
    let ip = entity("ip").unwrap();
    let keys: Vec<String> = (0..1_000).map(|n| n.to_string()).collect();
    let numbers = engine.keys().number(ip, keys.iter().map(|key| Some(key.as_str()))).unwrap();
    let orders = Grid {
        placed_at: (0..1_000).map(|n| n * DAY / 100).collect(),
        keys: BTreeMap::from([("ip", numbers)]),
        ..Grid::default()
    };
    let stream = Stream { kind: EventKind::Order, phase: Phase::Happened, level: Level::Order };
    let facts = Facts { orders, events: BTreeMap::from([(stream, Happenings::default())]), ..Facts::default() };
    engine.step(&facts, &mut |_, _, _| Ok(())).unwrap();
    assert_eq!(engine.size(), (BTreeMap::from([("ip", 1_000)]), 1_000));
    engine.expire(10 * DAY).unwrap();
    assert_eq!(engine.size(), (BTreeMap::from([("ip", 100)]), 100));
    assert_eq!(engine.keys().number(ip, [Some("999"), Some("3"), None]).unwrap(), [99, 100, NO_KEY]);
}
