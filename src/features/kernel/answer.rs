//! Answering queries: lane by lane, entities shared out to threads.

use super::apart::add_up;
use super::columns::{Sink, Spare, Values};
use super::copied::Copied;
use super::declare::Lane;
use super::heavy::{Heavies, Kept};
use super::life::LifeColumns;
use super::others::{Named, Others};
use super::run::{Places, Rows, Run};
use super::sort::Sorted;
use super::state::State;
use super::sweep::{Asked, Scratch, blank, sweep};
use crate::error::{Error, Result};
use crate::memory::AHEAD;
use rayon::prelude::*;
use std::ops::Range;

/// Events and queries that one task takes on at least: enough to be worth a task, little enough to share out evenly.
const TASK_ROWS: usize = 4_096;

/// Queries of an entity and its events: no run and no step has more rows than 32 bits count.
struct Group {
    entity: u32,
    /// Which of the entities asked it is.
    place: u32,
    queries: Range<u32>,
    /// Its rows where events are together; where they are apart, as many as there are.
    events: Range<u32>,
}

impl Group {
    fn new(entity: u32, place: usize, queries: &Range<usize>, events: &Range<usize>) -> Self {
        let short = |rows: &Range<usize>| rows.start as u32..rows.end as u32;
        Self { entity, place: place as u32, queries: short(queries), events: short(events) }
    }

    fn queries(&self) -> Range<usize> {
        self.queries.start as usize..self.queries.end as usize
    }

    fn events(&self) -> Range<usize> {
        self.events.start as usize..self.events.end as usize
    }
}

/// Neighbouring groups that one thread takes on.
struct Task<'a> {
    groups: &'a [Group],
    /// Other keys of their events, group by group.
    named: Named,
}

impl State {
    /// Answers sorted queries and hands over each column.
    pub(super) fn answer(&mut self, queries: &Sorted, each: &mut dyn FnMut(usize, Values) -> Result<()>) -> Result<()> {
        let Sorted { order, entity, time: at, .. } = queries;
        let asked: Vec<u32> = entity.chunk_by(|a, b| a == b).map(|same| same[0]).collect();
        // Many queries: all runs become one. Few: only what their entities need is put together.
        let few = order.len() < self.retained() / 2;
        if !few {
            self.heavies.clear();
            self.compact();
        }
        self.heavies.forget_behind(entity, at);
        let places = Places::of(&self.runs, &asked);
        if few {
            let kept = Kept { lanes: &self.declarations.lanes, lives: &self.lives, horizon: self.horizon };
            self.heavies.gather(kept, &self.runs, &places);
        }
        // Dropped if something goes wrong: it is made again.
        let mut heavies = std::mem::take(&mut self.heavies);
        let runs: Vec<Rows> = self.runs.iter().map(Run::rows).collect();
        // What adds up is added up where it lies: nothing has to be put together for it.
        let apart = few && self.declarations.lanes.iter().all(Lane::adds_up);
        let copied;
        let rows = match runs.as_slice() {
            [run] => *run,
            _ if apart || runs.is_empty() => Rows::default(),
            _ => {
                copied = Copied::of(&self.runs, &places, |entity| !heavies.has(entity));
                copied.rows()
            }
        };
        let Groups { groups, blank: blanks } = match apart {
            true => groups((entity, at), asked.len(), &heavies, apart_events(&runs, &places)),
            false => groups((entity, at), asked.len(), &heavies, together(&rows, &places)),
        };
        let mut tasks = tasks(&groups);
        if self.declarations.needs.distinct {
            // Once for all lanes: it takes a sort.
            tasks.par_iter_mut().for_each(|task| {
                task.groups.iter().for_each(|group| task.named.add(&rows.other[group.events()]));
            });
        }
        let mut heavy = heavies.asked(entity);
        let mut spare = Spare::default();
        for (number, (lane, life)) in self.declarations.lanes.iter().zip(&self.lives).enumerate() {
            let sinks: Vec<Sink> = lane.outputs.iter().map(|&(_, what)| Sink::new(what, queries.taken())).collect();
            let life = life.columns();
            let asked = |queries: Range<usize>| Asked {
                at: &at[queries.clone()],
                rows: &order[queries],
                sinks: &sinks,
                horizon: self.horizon,
            };
            let one = |scratch: &mut Scratch, group: &Group, others: Others| {
                let (asked, before) = (asked(group.queries()), life.before(group.entity));
                if apart {
                    let events = runs.iter().zip(places.of_entity(group.place as usize));
                    return add_up(lane, events, before.totals, asked, &mut scratch.changes);
                }
                sweep(lane, &rows, group.events(), before, others, asked, scratch)
            };
            let heavy_fits = heavy
                .par_iter_mut()
                .map(|group| group.heavy.answer(number, lane, life.before(group.entity), asked(group.queries.clone())))
                .reduce(|| true, |a, b| a && b);
            let fits = tasks
                .par_iter()
                .map_init(Scratch::default, |scratch, task| {
                    let mut others = task.named.groups();
                    let mut groups = ahead(task.groups, life);
                    groups.all(|group| one(scratch, group, others.next().unwrap_or_default()))
                })
                .reduce(|| true, |a, b| a && b);
            let blank_fits = blanks
                .par_chunks(TASK_ROWS)
                .all(|groups| ahead(groups, life).all(|it| blank(lane, life.before(it.entity), asked(it.queries()))));
            if !(fits && heavy_fits && blank_fits) {
                return Err(too_large());
            }
            for (&(column, _), sink) in lane.outputs.iter().zip(sinks) {
                each(column, sink.finish(queries.slots.as_deref(), &mut spare))?;
            }
        }
        drop(heavy);
        self.heavies = heavies;
        Ok(())
    }
}

fn too_large() -> Error {
    Error::InputRefused {
        message: "the amounts of one entity add up to more than 64 bits hold".to_owned(),
        hint: Some("amounts are minor units; check the currency and the decimal sign of the source".to_owned()),
    }
}

/// The queries of a step by entity.
struct Groups {
    groups: Vec<Group>,
    /// Those of entities without an event that could be seen, of which there are many: most keys turn up once.
    blank: Vec<Group>,
}

/// The queries by entity, with those of its events that happened before the last of them: what happened no earlier is seen by
/// none, and is the event that asks itself, mostly.
fn groups(
    (entity, time): (&[u32], &[i64]),
    entities: usize,
    heavies: &Heavies,
    mut events: impl FnMut(usize, i64) -> Range<usize>,
) -> Groups {
    // Room for all in either: what is not used is never touched.
    let mut found = Groups { groups: Vec::with_capacity(entities), blank: Vec::with_capacity(entities) };
    let mut first = 0;
    for (place, same) in entity.chunk_by(|a, b| a == b).enumerate() {
        let queries = first..first + same.len();
        first = queries.end;
        if !heavies.has(same[0]) {
            let events = events(place, time[queries.end - 1]);
            let kind = if events.is_empty() { &mut found.blank } else { &mut found.groups };
            kind.push(Group::new(same[0], place, &queries, &events));
        }
    }
    found
}

/// The events of each entity asked that happened before an instant, in a run that has the events of nobody else or of all.
fn together<'r>(rows: &'r Rows<'_>, places: &'r Places<'_>) -> impl FnMut(usize, i64) -> Range<usize> + 'r {
    let mut next = 0;
    move |place, before| {
        let events = match places.only(place) {
            Some(rows) => rows,
            None => next..next + places.events(place),
        };
        next = events.end;
        let unseen = rows.happened[events.clone()].iter().rev().take_while(|happened| **happened >= before).count();
        events.start..events.end - unseen
    }
}

/// As many numbers as there are events of an entity in all runs; none if none happened before an instant.
fn apart_events<'r>(runs: &'r [Rows<'_>], places: &'r Places<'_>) -> impl FnMut(usize, i64) -> Range<usize> + 'r {
    move |place, before| {
        let mut of_runs = runs.iter().zip(places.of_entity(place)).filter(|(_, rows)| !rows.is_empty());
        let any = of_runs.any(|(run, rows)| run.happened[rows.start] < before);
        0..if any { places.events(place) } else { 0 }
    }
}

/// Groups one after the other, with what they have from before asked for a few ahead.
fn ahead<'g>(groups: &'g [Group], life: LifeColumns<'g>) -> impl Iterator<Item = &'g Group> {
    groups.iter().enumerate().map(move |(nth, group)| {
        if let Some(next) = groups.get(nth + AHEAD) {
            life.ask_ahead(next.entity);
        }
        group
    })
}

/// Groups in stretches of about [`TASK_ROWS`]. They depend on the data alone, and no result depends on them.
fn tasks(groups: &[Group]) -> Vec<Task<'_>> {
    let (mut tasks, mut first, mut rows) = (Vec::new(), 0, 0);
    for (at, group) in groups.iter().enumerate() {
        rows += group.queries().len() + group.events().len();
        if rows >= TASK_ROWS || at + 1 == groups.len() {
            tasks.push(Task { groups: &groups[first..at + 1], named: Named::default() });
            (first, rows) = (at + 1, 0);
        }
    }
    tasks
}
