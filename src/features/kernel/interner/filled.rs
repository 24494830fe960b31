//! A table of very many keys at once: part by part, each small enough for a cache, and parts side by side.

use super::{Interner, NO_KEY, hash};
use rayon::prelude::*;

/// Parts of a table. Hash bits decide on the part as on the place in it, so that parts follow one another in the table.
const PARTS: usize = 256;

/// Keys whose hashes are made at a time; tables of fewer are filled one key after the other.
const AT_ONCE: usize = 1 << 18;

/// Hash bits and number of a key.
type Slot = (u32, u32);

impl Interner {
    /// Enters all keys into the table, which is empty and has room for them; `false` if one is there twice, or is no key.
    pub(super) fn fill(&mut self) -> bool {
        let mut slots = std::mem::take(&mut self.slots);
        let is_new = match self.len() < AT_ONCE {
            true => (0..self.count).all(|id| self.key(id).is_some_and(|key| self.enter(&mut slots, (hash(key), id)))),
            false => self.fill_parts(&mut slots),
        };
        self.slots = slots;
        is_new
    }

    fn fill_parts(&self, slots: &mut [Slot]) -> bool {
        let length = slots.len() / PARTS;
        let firsts: Vec<usize> = (0..self.len()).step_by(AT_ONCE).collect();
        let sorted = firsts.into_par_iter().map(|first| self.by_part(first, length));
        let Some(sorted) = sorted.collect::<Option<Vec<_>>>() else { return false };
        let parts = slots.par_chunks_mut(length).enumerate();
        let fill = |(part, slots): (usize, &mut [Slot])| {
            let mut beyond = Vec::new();
            let keys = sorted.iter().flat_map(|parts| &parts[part]);
            let are_new = keys.copied().all(|key| self.enter_in_part(slots, part * length, key, &mut beyond));
            are_new.then_some(beyond)
        };
        // What finds no place in its part goes on in the next one, as a search for it does.
        let Some(beyond) = parts.map(fill).collect::<Option<Vec<_>>>() else { return false };
        beyond.into_iter().flatten().all(|key| self.enter(slots, key))
    }

    /// Some keys from a first one on, by the part of the table in which their places are; `None` if one is no key.
    fn by_part(&self, first: usize, length: usize) -> Option<Vec<Vec<Slot>>> {
        let mut parts: Vec<Vec<Slot>> = (0..PARTS).map(|_| Vec::with_capacity(2 * AT_ONCE / PARTS)).collect();
        for id in first..self.len().min(first + AT_ONCE) {
            let hash = hash(self.key(id as u32)?);
            parts[self.place(hash) / length].push((hash, id as u32));
        }
        Some(parts)
    }

    /// Takes the next free place of a part, or puts the key to those that are to go beyond it; `false` if it is there.
    fn enter_in_part(&self, slots: &mut [Slot], start: usize, key: Slot, beyond: &mut Vec<Slot>) -> bool {
        for slot in &mut slots[self.place(key.0) - start..] {
            if slot.1 == NO_KEY {
                *slot = key;
                return true;
            }
            if self.is_same(*slot, key) {
                return false;
            }
        }
        beyond.push(key);
        true
    }

    /// Takes the next free place of the table; `false` if the key is there.
    fn enter(&self, slots: &mut [Slot], key: Slot) -> bool {
        let mut place = self.place(key.0);
        while slots[place].1 != NO_KEY {
            if self.is_same(slots[place], key) {
                return false;
            }
            place = (place + 1) & (slots.len() - 1);
        }
        slots[place] = key;
        true
    }

    fn is_same(&self, one: Slot, other: Slot) -> bool {
        one.0 == other.0 && self.key(one.1) == self.key(other.1)
    }
}
