//! Numbers of the keys of orders that were told, so that an order of which something becomes known later is not read again.

use crate::error::Result;
use crate::features::engine::{Live, Renamed};
use crate::features::kernel::NO_KEY;
use crate::memory::{AHEAD, ask_ahead};
use crate::saved::{Frozen, Reader, Section, damaged};
use rayon::prelude::*;
use std::collections::BTreeMap;

/// Orders of a page.
const PAGE_BITS: u32 = 14;

/// Pages at most, some four million orders: of one that was placed so long ago little is heard.
const MOST_PAGES: usize = 256;

/// In the place of an order's first key: nothing is kept of it. No key has this number.
const NOTHING: u32 = NO_KEY - 1;

/// In the place of an entity: the number of the order that something is of. It comes before all others.
pub(super) const OF_ORDER: &str = "";

/// By order, or by line, the number of its key of every entity.
#[derive(Default)]
pub(super) struct ToldKeys {
    entities: Vec<&'static str>,
    /// One row an order, one number an entity.
    pages: BTreeMap<u32, Frozen<u32>>,
}

/// The page of an order, and its place there.
fn place(order: u32) -> (u32, usize) {
    (order >> PAGE_BITS, (order & ((1 << PAGE_BITS) - 1)) as usize)
}

impl ToldKeys {
    /// Whether those of an order are kept.
    pub(super) fn has(&self, order: u32) -> bool {
        let (page, at) = place(order);
        self.pages.get(&page).is_some_and(|page| page[at * self.entities.len()] != NOTHING)
    }

    /// Keeps those of some orders: the first rows of columns of numbers, by entity.
    pub(super) fn keep(&mut self, orders: &[u32], columns: &BTreeMap<&'static str, Vec<u32>>) {
        if !self.entities.iter().eq(columns.keys()) {
            *self = Self { entities: columns.keys().copied().collect(), pages: BTreeMap::new() };
        }
        let width = self.entities.len();
        if width == 0 {
            return;
        }
        let columns: Vec<&[u32]> = columns.values().map(|column| &column[..orders.len()]).collect();
        // Neighbours mostly lie in one page: it is looked for once.
        let mut first = 0;
        for of_page in orders.chunk_by(|a, b| place(*a).0 == place(*b).0) {
            let number = place(of_page[0]).0;
            let page = self.pages.entry(number).or_insert_with(|| vec![NOTHING; width << PAGE_BITS].into()).edit();
            for (row, order) in (first..).zip(of_page) {
                let start = place(*order).1 * width;
                page[start..start + width].iter_mut().zip(&columns).for_each(|(key, column)| *key = column[row]);
            }
            first += of_page.len();
        }
        while self.pages.len() > MOST_PAGES {
            self.pages.pop_first();
        }
    }

    /// Those of some orders, by entity; [`NO_KEY`] of one of which nothing is kept.
    pub(super) fn of(&self, orders: &[u32]) -> BTreeMap<&'static str, Vec<u32>> {
        let width = self.entities.len();
        let row = |order: u32| {
            let (page, at) = place(order);
            self.pages.get(&page).map(|page| (&page[..], at * width))
        };
        let mut columns = vec![Vec::with_capacity(orders.len()); width];
        for (nth, order) in orders.iter().enumerate() {
            if let Some((page, start)) = orders.get(nth + AHEAD).and_then(|next| row(*next)) {
                ask_ahead(page, start);
            }
            let keys = row(*order).map(|(page, start)| &page[start..start + width]);
            let keys = keys.filter(|keys| keys.first() != Some(&NOTHING));
            for (nth, column) in columns.iter_mut().enumerate() {
                column.push(keys.map_or(NO_KEY, |keys| keys[nth]));
            }
        }
        self.entities.iter().copied().zip(columns).collect()
    }

    /// Marks the keys of those that are wanted by their number or their keys, by entity and number.
    pub(super) fn mark_live(&self, live: &mut Live, wanted: impl Fn(u32, &[u32]) -> bool + Sync) {
        let width = self.entities.len().max(1);
        let place = |(nth, entity): (usize, &'static str)| Some((nth, entity, live.remove(entity)?));
        let mut of_entities: Vec<_> = self.entities.iter().copied().enumerate().filter_map(place).collect();
        of_entities.par_iter_mut().for_each(|(nth, _, live)| {
            for (number, page) in &self.pages {
                let orders = (number << PAGE_BITS..).zip(page.chunks_exact(width));
                for (_, keys) in orders.filter(|(order, keys)| keys[0] != NOTHING && wanted(*order, keys)) {
                    if let Some(live) = live.get_mut(keys[*nth] as usize) {
                        *live = true;
                    }
                }
            }
        });
        live.extend(of_entities.into_iter().map(|(_, entity, live)| (entity.to_owned(), live)));
    }

    /// Gives keys their new numbers; nothing more is kept of an order with a key that was forgotten, which would have to be
    /// entered again.
    pub(super) fn rename(&mut self, names: &Renamed) {
        let width = self.entities.len();
        let renamed: Vec<(usize, &[u32])> = self
            .entities
            .iter()
            .enumerate()
            .filter_map(|(nth, entity)| Some((nth, names.get(*entity)?.as_slice())))
            .collect();
        if renamed.is_empty() {
            return;
        }
        let each_order = |keys: &mut [u32]| {
            for (nth, names) in &renamed {
                let new = names.get(keys[*nth] as usize).copied();
                match (keys[*nth], new) {
                    (NO_KEY, _) => {}
                    (_, Some(new)) if new != NO_KEY => keys[*nth] = new,
                    _ => keys[0] = NOTHING,
                }
            }
        };
        let pages: Vec<&mut Frozen<u32>> = self.pages.values_mut().collect();
        pages.into_par_iter().for_each(|page| {
            page.edit().chunks_exact_mut(width).filter(|keys| keys[0] != NOTHING).for_each(each_order);
        });
    }

    /// All of them, for [`Self::read`].
    pub(super) fn save(&self) -> Section {
        let mut to = Section::default();
        to.texts(self.entities.iter().copied());
        to.column(self.pages.keys().copied());
        self.pages.values().for_each(|page| to.frozen(page));
        to
    }

    /// What [`Self::save`] gave. `known` gives the name of an entity, and how many keys it has.
    ///
    /// # Errors
    /// [`crate::error::Error::InputRefused`] for a section that is not of this kind, or names keys which are not there;
    /// [`crate::error::Error::Environment`] when a page cannot be read.
    pub(super) fn read(mut from: Reader<'_>, known: impl Fn(&str) -> Option<(&'static str, usize)>) -> Result<Self> {
        let names = from.texts()?;
        let sets = names.iter().map(|name| known(name).ok_or_else(damaged)).collect::<Result<Vec<_>>>()?;
        let numbers: Vec<u32> = from.column()?;
        let pages =
            numbers.into_iter().map(|number| Ok((number, from.frozen()?))).collect::<Result<BTreeMap<_, _>>>()?;
        from.finish()?;
        let is_key = |(key, (_, count)): (&u32, &(&str, usize))| *key == NO_KEY || (*key as usize) < *count;
        let is_whole = |page: &Frozen<u32>| {
            let width = sets.len();
            let mut orders = page.chunks_exact(width.max(1));
            page.len() == width << PAGE_BITS
                && orders.all(|keys| keys[0] == NOTHING || keys.iter().zip(&sets).all(is_key))
        };
        match pages.par_iter().all(|(_, page)| is_whole(page)) {
            true => Ok(Self { entities: sets.into_iter().map(|(name, _)| name).collect(), pages }),
            false => Err(damaged()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn columns(first: &[u32], second: &[u32]) -> BTreeMap<&'static str, Vec<u32>> {
        BTreeMap::from([("customer", first.to_vec()), ("device", second.to_vec())])
    }

    #[test]
    fn keys_are_those_that_were_kept_last() {
        let mut keys = ToldKeys::default();
        assert!(!keys.has(0));
        let far = 5 << PAGE_BITS;
        keys.keep(&[3, far, 0], &columns(&[7, 8, NO_KEY], &[1, 2, 3]));
        assert_eq!([0, 1, 3, far, far + 1].map(|order| keys.has(order)), [true, false, true, true, false]);
        // Columns may be longer than what is kept of them.
        keys.keep(&[3], &columns(&[9, 9], &[4, 9]));
        assert_eq!(keys.of(&[far, 3, 0, 1]), columns(&[8, 9, NO_KEY, NO_KEY], &[2, 4, 3, NO_KEY]));
        // The second customer is forgotten, the ones after it move up; devices stay as they are.
        keys.keep(&[1, 2], &columns(&[0, 1], &[0, NO_KEY]));
        keys.rename(&BTreeMap::from([("customer".to_owned(), vec![0, NO_KEY, 1, 2, 3, 4, 5, 6, 7, 8])]));
        assert_eq!([0, 1, 2, 3, far].map(|order| keys.has(order)), [true, true, false, true, true]);
        assert_eq!(keys.of(&[0, 1, 2, 3, far]), columns(&[NO_KEY, 0, NO_KEY, 8, 7], &[3, 0, NO_KEY, 4, 2]));
    }

    #[test]
    fn keys_are_marked_of_the_orders_that_are_wanted() {
        let mut keys = ToldKeys::default();
        let far = 5 << PAGE_BITS;
        keys.keep(&[3, far, 0], &columns(&[4, 2, NO_KEY], &[1, 0, 3]));
        let mut live = Live::from([("customer".to_owned(), vec![false; 5]), ("device".to_owned(), vec![false; 4])]);
        keys.mark_live(&mut live, |order, _| order != 3);
        // A set of which orders have no key stays as it was, and nothing is wanted of orders that are not kept.
        let expected =
            [("customer", vec![false, false, true, false, false]), ("device", vec![true, false, false, true])];
        assert_eq!(live, expected.map(|(name, live)| (name.to_owned(), live)).into());
        let mut other = Live::from([("sku".to_owned(), vec![false])]);
        keys.mark_live(&mut other, |_, _| true);
        assert_eq!(other["sku"], [false]);
    }

    #[test]
    fn keys_come_back_as_they_were_saved_and_no_others_are_taken_for_them() {
        use crate::saved;
        let mut keys = ToldKeys::default();
        let bytes = |keys: &ToldKeys| saved::whole(&[0; 32], vec![keys.save()]);
        let read = |bytes: &[u8], known: &[(&'static str, usize)]| {
            let section = saved::open(bytes, &[0; 32]).unwrap().remove(0);
            ToldKeys::read(section, |name| known.iter().find(|(known, _)| *known == name).copied())
        };
        assert!(!read(&bytes(&keys), &[]).unwrap().has(0));
        let far = 5 << PAGE_BITS;
        keys.keep(&[3, far], &columns(&[7, NO_KEY], &[1, 2]));
        let saved = bytes(&keys);
        let again = read(&saved, &[("customer", 8), ("device", 3)]).unwrap();
        assert_eq!([0, 3, far].map(|order| again.has(order)), [false, true, true]);
        assert_eq!(again.of(&[3, far]), keys.of(&[3, far]));
        // An engine without the key, or without the entity.
        assert!(read(&saved, &[("customer", 7), ("device", 3)]).is_err());
        assert!(read(&saved, &[("customer", 8)]).is_err());
    }

    #[test]
    fn what_is_kept_is_bounded_and_the_oldest_goes() {
        let mut keys = ToldKeys::default();
        for page in 0..=MOST_PAGES as u32 {
            keys.keep(&[page << PAGE_BITS], &columns(&[page], &[page]));
        }
        assert!(!keys.has(0) && keys.has(1 << PAGE_BITS));
        // Other entities: nothing of before fits.
        keys.keep(&[7], &BTreeMap::from([("customer", vec![1])]));
        assert!(keys.has(7) && !keys.has(1 << PAGE_BITS));
        keys.keep(&[7], &BTreeMap::new());
        assert!(!keys.has(7));
    }
}
