//! What is kept for ever: totals over the whole life of every entity.

use super::NO_KEY;
use super::declare::{Lane, Needs};
use super::pairs::Pairs;
use super::run::{Run, selected};
use super::state::renamed;
use super::sweep::{Before, Totals};
use crate::memory::{AHEAD, ask_ahead};
use crate::saved::Frozen;

/// Totals of a lifetime lane up to the horizon; empty for a window.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Life {
    /// What the lane reads beside the number of events.
    pub(super) needs: Needs,
    /// Columns by entity, all of one length; entities beyond the end have nothing. Those that the lane does not read are
    /// empty: most lanes count, and there are as many totals as there ever were keys.
    pub(super) count: Frozen<u32>,
    pub(super) last: Frozen<i64>,
    pub(super) valued: Frozen<u32>,
    pub(super) sum: Frozen<i128>,
    pub(super) max: Frozen<i64>,
    pub(super) hits: Frozen<u32>,
    /// The other keys of every entity.
    pub(super) others: Pairs,
}

/// The columns of a [`Life`].
#[derive(Debug, Clone, Copy)]
pub(super) struct LifeColumns<'l> {
    count: &'l [u32],
    last: &'l [i64],
    valued: &'l [u32],
    sum: &'l [i128],
    max: &'l [i64],
    hits: &'l [u32],
    others: &'l Pairs,
}

impl<'l> LifeColumns<'l> {
    pub(super) fn before(&self, entity: u32) -> Before<'l> {
        // A window's, mostly: asked for each entity in each lane.
        if self.count.is_empty() {
            return Before { totals: Totals::default(), others: &[] };
        }
        Before { totals: self.totals(entity as usize), others: self.others.of(entity) }
    }

    /// Asks for what [`Self::before`] reads of an entity a few entities later: each of millions is somewhere else.
    pub(super) fn ask_ahead(&self, entity: u32) {
        if !self.count.is_empty() {
            let at = entity as usize;
            ask_ahead(self.count, at);
            ask_ahead(self.last, at);
            ask_ahead(self.valued, at);
            ask_ahead(self.sum, at);
            ask_ahead(self.max, at);
            ask_ahead(self.hits, at);
            self.others.ask_ahead(entity);
        }
    }

    fn totals(&self, entity: usize) -> Totals {
        fn at<T: Copy>(column: &[T], entity: usize, none: T) -> T {
            column.get(entity).copied().unwrap_or(none)
        }
        let none = Totals::default();
        Totals {
            count: at(self.count, entity, none.count),
            last: at(self.last, entity, none.last),
            valued: at(self.valued, entity, none.valued),
            sum: at(self.sum, entity, none.sum),
            max: at(self.max, entity, none.max),
            hits: at(self.hits, entity, none.hits),
        }
    }
}

/// The columns of a [`Life`] to be changed: that nobody else looks at them is seen once, and not for each entity.
struct EditedColumns<'l> {
    count: &'l mut [u32],
    last: &'l mut [i64],
    valued: &'l mut [u32],
    sum: &'l mut [i128],
    max: &'l mut [i64],
    hits: &'l mut [u32],
}

impl EditedColumns<'_> {
    fn ask_ahead(&self, entity: u32) {
        let at = entity as usize;
        ask_ahead(self.count, at);
        ask_ahead(self.last, at);
        ask_ahead(self.valued, at);
        ask_ahead(self.sum, at);
        ask_ahead(self.max, at);
        ask_ahead(self.hits, at);
    }

    /// Adds to the totals of an entity for which there is room.
    fn add(&mut self, entity: u32, totals: &Totals) {
        fn change<T>(column: &mut [T], entity: u32, change: impl FnOnce(&mut T)) {
            column.get_mut(entity as usize).map(change);
        }
        change(self.count, entity, |count| *count += totals.count);
        change(self.last, entity, |last| *last = totals.last.max(*last));
        change(self.valued, entity, |valued| *valued += totals.valued);
        change(self.sum, entity, |sum| *sum += totals.sum);
        change(self.max, entity, |max| *max = totals.max.max(*max));
        change(self.hits, entity, |hits| *hits += totals.hits);
    }
}

impl Life {
    /// Nothing yet, of a lane that reads so much.
    pub(super) fn new(needs: Needs) -> Self {
        Self { needs, ..Self::default() }
    }

    /// The columns, for many looks: where each lies is asked once, and not for each entity.
    pub(super) fn columns(&self) -> LifeColumns<'_> {
        LifeColumns {
            count: &self.count,
            last: &self.last,
            valued: &self.valued,
            sum: &self.sum,
            max: &self.max,
            hits: &self.hits,
            others: &self.others,
        }
    }

    fn totals(&self, entity: usize) -> Totals {
        self.columns().totals(entity)
    }

    /// The columns to be changed, with room for so many entities: copies, where others look at them.
    fn edit(&mut self, entities: usize) -> EditedColumns<'_> {
        self.reach(entities);
        EditedColumns {
            count: self.count.edit(),
            last: self.last.edit(),
            valued: self.valued.edit(),
            sum: self.sum.edit(),
            max: self.max.edit(),
            hits: self.hits.edit(),
        }
    }

    /// Puts totals in the place of those of an entity, for which there is room where any are.
    pub(super) fn put(&mut self, entity: u32, totals: &Totals) {
        fn put<T: bytemuck::Pod>(column: &mut Frozen<T>, entity: u32, total: T) {
            if !column.is_empty()
                && let Some(before) = column.edit().get_mut(entity as usize)
            {
                *before = total;
            }
        }
        put(&mut self.count, entity, totals.count);
        put(&mut self.last, entity, totals.last);
        put(&mut self.valued, entity, totals.valued);
        put(&mut self.sum, entity, totals.sum);
        put(&mut self.max, entity, totals.max);
        put(&mut self.hits, entity, totals.hits);
    }

    /// Takes in the events that entered the lane in `[from, to)`.
    pub(super) fn take(&mut self, lane: &Lane, run: &Run, from: i64, to: i64) {
        let (entity, rows) = (&run.entity[..], run.rows());
        let enters = |at: usize| (from..to).contains(&lane.enters(rows.happened[at], rows.known(at)));
        let entered = selected(run.len(), enters);
        // Events are sorted by entity: room for all at once. Mostly there is none, and what others look at stays as it is.
        let Some(last) = entered.last() else { return };
        let mut columns = self.edit(entity[*last as usize] as usize + 1);
        let mut nth = 0;
        for of_one in entered.chunk_by(|a, b| entity[*a as usize] == entity[*b as usize]) {
            if let Some(next) = entered.get(nth + AHEAD) {
                columns.ask_ahead(entity[*next as usize]);
            }
            nth += of_one.len();
            let mut totals = Totals::default();
            of_one.iter().for_each(|at| totals.add(lane, &rows, *at as usize));
            columns.add(entity[of_one[0] as usize], &totals);
        }
        if lane.needs.distinct {
            let entered = entered.iter().map(|at| *at as usize).filter(|at| rows.other[*at] != NO_KEY);
            self.others.add(entered.map(|at| [entity[at], rows.other[at]]).collect());
        }
    }

    /// Entities of which there are totals. Pairs of others are only of these.
    pub(super) fn entities(&self) -> impl Iterator<Item = u32> {
        (0..).zip(&self.count[..]).filter(|&(_, &count)| count > 0).map(|(entity, _)| entity)
    }

    /// Adds what is known of other events.
    pub(super) fn join(&mut self, other: Self) {
        let mut columns = self.edit(other.count.len());
        other.entities().for_each(|entity| columns.add(entity, &other.totals(entity as usize)));
        self.others.add(other.others.saved().to_vec());
    }

    /// Makes room for so many entities.
    fn reach(&mut self, entities: usize) {
        fn resize<T: bytemuck::Pod>(column: &mut Frozen<T>, entities: usize, none: T) {
            if column.len() != entities {
                column.edit().resize(entities, none);
            }
        }
        if self.count.len() < entities {
            let (needs, none) = (self.needs, Totals::default());
            resize(&mut self.count, entities, none.count);
            resize(&mut self.last, if needs.last { entities } else { 0 }, none.last);
            resize(&mut self.valued, if needs.value() { entities } else { 0 }, none.valued);
            resize(&mut self.sum, if needs.sum { entities } else { 0 }, none.sum);
            resize(&mut self.max, if needs.max { entities } else { 0 }, none.max);
            resize(&mut self.hits, if needs.hits { entities } else { 0 }, none.hits);
        }
    }

    /// Whether the columns are as long as the lane's needs say.
    pub(super) fn is_whole(&self) -> bool {
        let (needs, rows) = (self.needs, self.count.len());
        let fits = |length: usize, needed: bool| length == if needed { rows } else { 0 };
        fits(self.last.len(), needs.last)
            && fits(self.valued.len(), needs.value())
            && fits(self.sum.len(), needs.sum)
            && fits(self.max.len(), needs.max)
            && fits(self.hits.len(), needs.hits)
    }

    /// Gives keys new numbers; those without one go.
    pub(super) fn rename(&mut self, entities: &[u32], others: &[u32]) {
        let before = std::mem::replace(self, Self::new(self.needs));
        let named =
            || before.entities().map(|entity| (entity, renamed(entities, entity))).filter(|(_, to)| *to != NO_KEY);
        let mut columns = self.edit(named().map(|(_, to)| to as usize + 1).max().unwrap_or_default());
        named().for_each(|(entity, to)| columns.add(to, &before.totals(entity as usize)));
        self.others = before.others.renamed(entities, others);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::features::kernel::{Aggregate, Declaration, Declarations, NO_VALUE, Window};

    #[test]
    fn totals_are_kept_of_what_the_lane_reads_and_of_nothing_else() {
        let known = Totals { sum: 7, last: 5, max: 4, count: 3, valued: 2, hits: 1 };
        let none = Totals::default();
        for (aggregate, kept) in [
            (Aggregate::Count, Totals { count: 3, ..none }),
            (Aggregate::Mean, Totals { count: 3, valued: 2, sum: 7, ..none }),
            (Aggregate::Max, Totals { count: 3, valued: 2, max: 4, ..none }),
            (Aggregate::SinceLast, Totals { count: 3, last: 5, ..none }),
            (Aggregate::Rate { prior: 0.0, weight: 0.0 }, Totals { count: 3, hits: 1, ..none }),
        ] {
            let declared = Declarations::new(vec![Declaration::new("a", aggregate, Window::Lifetime)]).unwrap();
            let mut life = Life::new(declared.lanes[0].needs);
            life.edit(3).add(2, &known);
            assert_eq!((life.totals(2), life.totals(0), life.totals(9)), (kept, none, none), "{aggregate:?}");
            assert!(life.is_whole());
            life.rename(&[NO_KEY, NO_KEY, 0], &[]);
            assert_eq!((life.totals(0), life.entities().collect::<Vec<_>>()), (kept, vec![0]));
        }
        assert_eq!(none.max, NO_VALUE);
    }
}
