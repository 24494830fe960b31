//! Answering queries: lane by lane, entities shared out to threads.

use super::columns::{Sink, Spare, Values};
use super::heavy::{Heavies, Kept};
use super::others::{Named, Others};
use super::run::{Run, rows_of};
use super::sort::Sorted;
use super::state::State;
use super::sweep::{Asked, Scratch, sweep};
use crate::error::{Error, Result};
use rayon::prelude::*;
use std::borrow::Cow;
use std::ops::Range;

/// Events and queries that one task takes on at least: enough to be worth a task, little enough to share out evenly.
const TASK_ROWS: usize = 16_384;

/// Queries of an entity and its events.
struct Group {
    entity: u32,
    queries: Range<usize>,
    events: Range<usize>,
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
        // Many queries: all runs become one. Few: only what their entities need is put together.
        let few = order.len() < self.retained() / 8;
        let kept = Kept { lanes: &self.declarations.lanes, lives: &self.lives, horizon: self.horizon };
        if few {
            self.heavies.gather(kept, &self.runs, entities(entity));
        } else {
            self.heavies.clear();
            self.compact();
        }
        // Dropped if something goes wrong: it is made again.
        let mut heavies = std::mem::take(&mut self.heavies);
        let run = match self.runs.as_slice() {
            [] => Cow::Owned(Run::default()),
            [run] => Cow::Borrowed(run),
            runs => Cow::Owned(Run::of_entities(runs, entities(entity).filter(|&entity| !heavies.has(entity)))),
        };
        let groups = groups((entity, at), &run, &heavies);
        let rows = run.rows();
        let mut tasks = tasks(&groups);
        if self.declarations.needs.distinct {
            // Once for all lanes: it takes a sort.
            tasks.par_iter_mut().for_each(|task| {
                task.groups.iter().for_each(|group| task.named.add(&rows.other[group.events.clone()]));
            });
        }
        let mut heavy = heavies.asked(entity);
        let mut spare = Spare::default();
        for (number, (lane, life)) in self.declarations.lanes.iter().zip(&self.lives).enumerate() {
            let sinks: Vec<Sink> = lane.outputs.iter().map(|&(_, what)| Sink::new(what, queries.taken())).collect();
            let asked = |queries: Range<usize>| Asked {
                at: &at[queries.clone()],
                rows: &order[queries],
                sinks: &sinks,
                horizon: self.horizon,
            };
            let one = |scratch: &mut Scratch, group: &Group, others: Others| {
                let asked = asked(group.queries.clone());
                sweep(lane, &rows, group.events.clone(), life.before(group.entity), others, asked, scratch)
            };
            let heavy_fits = heavy
                .par_iter_mut()
                .map(|group| group.heavy.answer(number, lane, life.before(group.entity), asked(group.queries.clone())))
                .reduce(|| true, |a, b| a && b);
            let fits = tasks
                .par_iter()
                .map_init(Scratch::default, |scratch, task| {
                    let mut others = task.named.groups();
                    task.groups.iter().all(|group| one(scratch, group, others.next().unwrap_or_default()))
                })
                .reduce(|| true, |a, b| a && b);
            if !(fits && heavy_fits) {
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

/// Each entity of a sorted column once.
fn entities(entity: &[u32]) -> impl Iterator<Item = u32> {
    entity.chunk_by(|a, b| a == b).map(|same| same[0])
}

fn groups((entity, time): (&[u32], &[i64]), run: &Run, heavies: &Heavies) -> Vec<Group> {
    let mut groups = Vec::new();
    let happened = &run.happened[..];
    let (mut first, mut start) = (0, 0);
    for same in entity.chunk_by(|a, b| a == b) {
        if !heavies.has(same[0]) {
            let events = rows_of(&run.entity, same[0], start);
            start = events.end;
            // What happened no earlier than the last question was asked is seen by none: the event that asks itself, mostly.
            let last = time[first + same.len() - 1];
            let unseen = happened[events.clone()].iter().rev().take_while(|happened| **happened >= last).count();
            let events = events.start..events.end - unseen;
            groups.push(Group { entity: same[0], queries: first..first + same.len(), events });
        }
        first += same.len();
    }
    groups
}

/// Groups in stretches of about [`TASK_ROWS`]. They depend on the data alone, and no result depends on them.
fn tasks(groups: &[Group]) -> Vec<Task<'_>> {
    let (mut tasks, mut first, mut rows) = (Vec::new(), 0, 0);
    for (at, group) in groups.iter().enumerate() {
        rows += group.queries.len() + group.events.len();
        if rows >= TASK_ROWS || at + 1 == groups.len() {
            tasks.push(Task { groups: &groups[first..at + 1], named: Named::default() });
            (first, rows) = (at + 1, 0);
        }
    }
    tasks
}
