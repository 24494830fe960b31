//! Sorting rows by entity and time, near the speed of memory.
//!
//! A row goes to a slot in two steps. First all rows of some thousand neighbouring entities are put together, in the order in
//! which they come: that writes and reads streams. Then each such part is sorted by itself, in cache, by whoever is free.
//! Answers go back the same way.

use super::NO_KEY;
use rayon::prelude::*;
use std::sync::Arc;

/// Rows of a part, on average: its columns stay in a core's cache.
pub(super) const PART_ROWS: usize = 16_384;

/// Rows with an entity, sorted by entity and time.
pub(super) struct Sorted {
    /// The slot of each row, `NO_KEY` without an entity; `None`: every row is its own slot.
    pub(super) slots: Option<Vec<u32>>,
    /// The slots in sorted order.
    pub(super) order: Vec<u32>,
    /// Entities in sorted order.
    pub(super) entity: Arc<Vec<u32>>,
    /// Times in sorted order.
    pub(super) time: Arc<Vec<i64>>,
    rows: usize,
}

impl Sorted {
    pub(super) fn new(entity: &[u32], time: &[i64]) -> Self {
        let rows = entity.len();
        // One more than the greatest number; `NO_KEY` wraps to none.
        let entities = entity.iter().map(|entity| entity.wrapping_add(1)).max().unwrap_or(0) as usize;
        if rows < PART_ROWS || rows < entities / 8 {
            return Self::few(entity, time);
        }
        // Entities of a part: a power of two, so that an entity's part is a shift away.
        let shift = (entities * PART_ROWS / rows).max(1).next_power_of_two().trailing_zeros();
        let part = |entity: u32| (entity >> shift) as usize;
        let mut starts = vec![0_u32; (entities >> shift) + 2];
        for &entity in entity.iter().filter(|&&entity| entity != NO_KEY) {
            starts[part(entity) + 1] += 1;
        }
        for at in 1..starts.len() {
            starts[at] += starts[at - 1];
        }
        let mut next = starts.clone();
        let slot = |&entity: &u32| {
            if entity == NO_KEY {
                return NO_KEY;
            }
            let next = &mut next[part(entity)];
            *next += 1;
            *next - 1
        };
        let slots: Vec<u32> = entity.iter().map(slot).collect();
        let taken = starts.last().map_or(0, |&taken| taken as usize);
        let (entity, (time, in_time)) =
            rayon::join(|| stage(entity, &slots, taken), || (stage(time, &slots, taken), time.is_sorted()));
        let mut order = vec![0_u32; taken];
        parts(&starts, &mut order).into_par_iter().for_each_init(Vec::new, |next, (number, start, order)| {
            sort_part(&entity[start..start + order.len()], number << shift, 1 << shift, start, order, next);
            if !in_time {
                for same in order.chunk_by_mut(|&a, &b| entity[a as usize] == entity[b as usize]) {
                    same.sort_unstable_by_key(|&slot| time[slot as usize]);
                }
            }
        });
        let (entity, time) = rayon::join(|| gather(&entity, &order), || gather(&time, &order));
        Self { slots: Some(slots), order, entity: Arc::new(entity), time: Arc::new(time), rows }
    }

    /// Too few for parts, or too few for so many entities: compared, each row as one number.
    fn few(entity: &[u32], time: &[i64]) -> Self {
        const SIGN: u64 = 1 << 63;
        let pack = |((&entity, &time), row): ((&u32, &i64), u32)| {
            u128::from(entity) << 96 | u128::from(time as u64 ^ SIGN) << 32 | u128::from(row)
        };
        let with_entity = entity.iter().zip(time).zip(0_u32..).filter(|((entity, _), _)| **entity != NO_KEY);
        let mut packed: Vec<u128> = with_entity.map(pack).collect();
        match packed.len() < PART_ROWS {
            true => packed.sort_unstable(),
            false => packed.par_sort_unstable(),
        }
        Self {
            slots: None,
            order: packed.iter().map(|&row| row as u32).collect(),
            entity: Arc::new(packed.iter().map(|&row| (row >> 96) as u32).collect()),
            time: Arc::new(packed.iter().map(|&row| ((row >> 32) as u64 ^ SIGN) as i64).collect()),
            rows: entity.len(),
        }
    }

    /// Number of slots.
    pub(super) fn taken(&self) -> usize {
        if self.slots.is_some() { self.order.len() } else { self.rows }
    }

    /// A column in sorted order; an absent (empty) one stays so.
    pub(super) fn gather<T: Copy + Default + Send + Sync>(&self, column: &[T]) -> Vec<T> {
        match &self.slots {
            Some(slots) if !column.is_empty() => gather(&stage(column, slots, self.taken()), &self.order),
            _ => gather(column, &self.order),
        }
    }
}

/// A column by slots.
fn stage<T: Copy + Default>(column: &[T], slots: &[u32], taken: usize) -> Vec<T> {
    let mut staged = vec![T::default(); taken];
    for (&value, &slot) in column.iter().zip(slots) {
        if let Some(place) = staged.get_mut(slot as usize) {
            *place = value;
        }
    }
    staged
}

/// Number, first slot and order of each part.
fn parts<'a>(starts: &[u32], mut order: &'a mut [u32]) -> Vec<(usize, usize, &'a mut [u32])> {
    let mut parts = Vec::with_capacity(starts.len());
    for (number, ends) in starts.windows(2).enumerate() {
        let (part, rest) = std::mem::take(&mut order).split_at_mut((ends[1] - ends[0]) as usize);
        parts.push((number, ends[0] as usize, part));
        order = rest;
    }
    parts
}

/// Slots of a part by entity, by counting; slots of one entity keep their order.
fn sort_part(entity: &[u32], first: usize, entities: usize, start: usize, order: &mut [u32], next: &mut Vec<u32>) {
    next.clear();
    next.resize(entities + 1, 0);
    for &entity in entity {
        next[entity as usize - first + 1] += 1;
    }
    for at in 1..next.len() {
        next[at] += next[at - 1];
    }
    for (slot, &entity) in entity.iter().enumerate() {
        let place = &mut next[entity as usize - first];
        order[*place as usize] = (start + slot) as u32;
        *place += 1;
    }
}

/// Values in an order.
pub(super) fn gather<T: Copy + Send + Sync>(column: &[T], order: &[u32]) -> Vec<T> {
    if column.is_empty() {
        return Vec::new();
    }
    order.par_iter().with_min_len(PART_ROWS).map(|&at| column[at as usize]).collect()
}
