//! What the engine was told of orders: chains of outcomes, so that an order costs some bytes and no block of its own.

use crate::error::Result;
use crate::saved::{Grown, Paged, Reader, Section, damaged};

/// No outcome more.
const END: u32 = u32::MAX;

/// An order of which nothing was told.
const NOTHING: u32 = u32::MAX - 1;

/// An outcome that was told: a hash of what it is one of, and when it was known (UTC microseconds).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Told {
    pub(super) what: u32,
    pub(super) at: i64,
}

/// An outcome and the one before it as four numbers.
fn packed(told: Told, before: u32) -> [u32; 4] {
    [told.what, told.at as u32, (told.at >> 32) as u32, before]
}

fn unpacked([what, low, high, before]: [u32; 4]) -> (Told, u32) {
    (Told { what, at: i64::from(high as i32) << 32 | i64::from(low) }, before)
}

/// By the number of each order: a hash of what was told of its placement, and its outcomes.
#[derive(Default)]
pub(super) struct ToldOrders {
    contents: Paged<u64>,
    /// The outcome of each order that was told last.
    last: Paged<u32>,
    /// Outcomes, and the one of the same order before each; see [`packed`].
    outcomes: Grown<[u32; 4]>,
    /// Orders of which anything was told.
    count: usize,
}

impl ToldOrders {
    /// Orders of which anything was told.
    pub(super) fn len(&self) -> usize {
        self.count
    }

    /// The hash of what was told of an order's placement, if it was.
    pub(super) fn content(&self, order: u32) -> Option<u64> {
        let last = self.last.get(order as usize).filter(|last| *last != NOTHING);
        last.and_then(|_| self.contents.get(order as usize))
    }

    /// Enters an order of which nothing was told.
    pub(super) fn place(&mut self, order: u32, content: u64) {
        let at = order as usize;
        self.last.reach(at + 1, NOTHING);
        self.contents.reach(at + 1, 0);
        self.last.replace(at, END);
        self.contents.replace(at, content);
        self.count += 1;
    }

    /// Forgets an order and its outcomes, as if nothing had been told of it.
    pub(super) fn forget(&mut self, order: u32) {
        if self.content(order).is_some() {
            self.last.replace(order as usize, NOTHING);
            self.count -= 1;
        }
    }

    /// Adds an outcome of an order that was placed; of others there is none. Gives what [`Self::go_back`] takes.
    pub(super) fn push(&mut self, order: u32, outcome: Told) -> Option<u32> {
        let new = self.outcomes.len() as u32;
        let last = self.last.get(order as usize).filter(|last| *last != NOTHING)?;
        self.outcomes.push(packed(outcome, last));
        self.last.replace(order as usize, new)
    }

    /// Leaves the outcomes of an order as they were before [`Self::push`] gave this.
    pub(super) fn go_back(&mut self, order: u32, last: u32) {
        self.last.replace(order as usize, last);
    }

    /// All of it, for [`Self::read`].
    pub(super) fn save(&mut self) -> Section {
        let mut to = Section::default();
        to.one(self.count as u64);
        to.paged(&mut self.contents);
        to.paged(&mut self.last);
        to.grown(&mut self.outcomes);
        to
    }

    /// What [`Self::save`] gave.
    ///
    /// # Errors
    /// [`crate::error::Error::InputRefused`] for a section that is not of this kind.
    pub(super) fn read(mut from: Reader<'_>) -> Result<Self> {
        let count = from.one::<u64>()? as usize;
        let (contents, last) = (from.paged()?, from.paged::<u32>()?);
        let outcomes = from.grown()?;
        from.finish()?;
        let rows = outcomes.len();
        // Each points to one before it, so that no chain goes round.
        let points_back = |(at, [.., before]): (u32, [u32; 4])| before == END || before < at;
        let is_chain = (0..).zip(outcomes.iter()).all(points_back);
        let ends_there = |last: u32| [END, NOTHING].contains(&last) || (last as usize) < rows;
        if contents.len() != last.len() || !is_chain || !last.iter().all(ends_there) {
            return Err(damaged());
        }
        Ok(Self { contents, last, outcomes, count })
    }

    /// The outcomes of an order, the last first.
    pub(super) fn of(&self, order: u32) -> impl Iterator<Item = Told> {
        let mut next = self.last.get(order as usize).unwrap_or(NOTHING);
        std::iter::from_fn(move || {
            let (outcome, before) = unpacked(self.outcomes.get(next as usize)?);
            next = before;
            Some(outcome)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::saved;

    #[test]
    fn outcomes_are_those_of_their_order() {
        let mut orders = ToldOrders::default();
        let told = |what: u32| Told { what, at: -i64::from(what) << 33 | 5 };
        orders.push(3, told(9));
        assert_eq!((orders.len(), orders.content(3), orders.of(3).count()), (0, None, 0));
        orders.place(3, 7);
        orders.place(0, 8);
        for at in 1..4 {
            orders.push(at % 2 * 3, told(at));
        }
        assert_eq!(
            (orders.len(), orders.content(3), orders.content(0), orders.content(1)),
            (2, Some(7), Some(8), None)
        );
        assert_eq!(orders.of(3).collect::<Vec<_>>(), [3, 1].map(told));
        assert_eq!(orders.of(0).collect::<Vec<_>>(), [told(2)]);
        assert_eq!(orders.of(1).chain(orders.of(99)).count(), 0);
        // One that was pushed and one that was placed are undone; what is told of an order after that is all there is.
        let last = orders.push(3, told(20)).unwrap();
        assert_eq!(orders.of(3).collect::<Vec<_>>(), [20, 3, 1].map(told));
        orders.go_back(3, last);
        assert_eq!(orders.of(3).collect::<Vec<_>>(), [3, 1].map(told));
        for order in [5, 6] {
            orders.place(order, 9);
            assert!(orders.push(order, told(30)).is_some());
            orders.forget(order);
            orders.forget(order);
            assert_eq!((orders.len(), orders.content(order), orders.of(order).count()), (2, None, 0));
        }
        orders.place(6, 10);
        orders.push(6, told(31));
        assert_eq!((orders.content(6), orders.of(6).collect::<Vec<_>>()), (Some(10), vec![told(31)]));
        assert_eq!(orders.push(99, told(1)), None);
        let bytes = saved::whole(&[0; 32], vec![orders.save()]);
        let read = ToldOrders::read(saved::open(&bytes, &[0; 32]).unwrap().remove(0)).unwrap();
        assert!(read.outcomes.iter().eq(orders.outcomes.iter()));
        assert!(read.contents.iter().eq(orders.contents.iter()) && read.last.iter().eq(orders.last.iter()));
        assert_eq!(read.count, orders.count);
        for at in [i64::MIN, -1, 0, 1, i64::MAX] {
            assert_eq!(unpacked(packed(Told { what: END, at }, END)), (Told { what: END, at }, END));
        }
    }
}
