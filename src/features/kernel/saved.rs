//! States as columns of a saved section.

use super::NO_KEY;
use super::declare::{Declarations, Needs};
use super::life::Life;
use super::pairs::{Pair, Pairs};
use super::run::Run;
use super::state::State;
use crate::error::Result;
use crate::saved::{Reader, Section, damaged};

impl State {
    /// Appends the state, run by run.
    pub fn save_into(&self, to: &mut Section) {
        to.one(self.horizon);
        to.one(self.runs.len() as u64);
        for run in &self.runs {
            to.frozen(&run.entity);
            to.frozen(&run.happened);
            to.frozen(&run.known);
            to.frozen(&run.value);
            to.frozen(&run.other);
            to.column(run.label.iter().copied());
        }
        for life in &self.lives {
            to.frozen(&life.count);
            to.frozen(&life.last);
            to.frozen(&life.valued);
            to.frozen(&life.sum);
            to.frozen(&life.max);
            to.frozen(&life.hits);
            to.frozen(life.others.saved());
        }
    }

    /// The state that [`Self::save_into`] wrote for the same declarations, over keys of which there are so many.
    ///
    /// # Errors
    /// [`crate::error::Error::InputRefused`] for bytes that are no such state or that name a key which is not there.
    pub fn read(declarations: Declarations, entities: usize, others: usize, from: &mut Reader) -> Result<Self> {
        let mut state = Self::new(declarations);
        state.horizon = from.one()?;
        for _ in 0..from.one::<u64>()? {
            state.runs.push(read_run(from)?);
        }
        for life in &mut state.lives {
            *life = read_life(life.needs, from)?;
        }
        if state.is_whole(entities, others) { Ok(state) } else { Err(damaged()) }
    }

    /// Whether the columns fit together; what a checksum cannot know is what another program meant.
    fn is_whole(&self, entities: usize, others: usize) -> bool {
        let needs = self.declarations.needs;
        let of = |length: usize, rows: usize, needed: bool| if needed { length == rows } else { length == 0 };
        let run_fits = |run: &Run| {
            let rows = run.len();
            rows > 0
                && run.happened.len() == rows
                && [0, rows].contains(&run.known.len())
                && of(run.value.len(), rows, needs.value())
                && of(run.other.len(), rows, needs.distinct)
                && of(run.label.len(), rows, needs.hits)
                && (1..rows).all(|at| (run.entity[at - 1], run.happened[at - 1]) <= (run.entity[at], run.happened[at]))
                && run.entity.last().is_some_and(|&id| (id as usize) < entities)
                && run.other.iter().all(|&id| id == NO_KEY || (id as usize) < others)
        };
        let pair_fits = |&[entity, other]: &Pair| (entity as usize) < entities && (other as usize) < others;
        self.runs.iter().all(run_fits)
            && self.lives.iter().all(|life| life.count.len() <= entities && life.others.iter().all(pair_fits))
    }
}

fn read_run(from: &mut Reader) -> Result<Run> {
    Ok(Run {
        entity: from.frozen()?,
        happened: from.frozen()?,
        known: from.frozen()?,
        value: from.frozen()?,
        other: from.frozen()?,
        label: from.column()?,
    })
}

fn read_life(needs: Needs, from: &mut Reader) -> Result<Life> {
    let mut life = Life {
        needs,
        count: from.frozen()?,
        last: from.frozen()?,
        valued: from.frozen()?,
        sum: from.frozen()?,
        max: from.frozen()?,
        hits: from.frozen()?,
        others: Pairs::default(),
    };
    life.others = Pairs::of_saved(from.frozen()?).ok_or_else(damaged)?;
    if life.is_whole() { Ok(life) } else { Err(damaged()) }
}
