//! Sorting rows by entity and time, near the speed of memory.
//!
//! A row goes to a slot in two steps. First all rows of some thousand neighbouring entities are put together, in the order in
//! which they come: that writes and reads streams. Then each such part is sorted by itself, in cache, by whoever is free.
//! Answers go back the same way. Few rows stay where they are, and their order is found digit by digit.

use super::NO_KEY;
use rayon::prelude::*;
use std::sync::Arc;

/// Rows of a part, on average: its columns stay in a core's cache.
pub(super) const PART_ROWS: usize = 16_384;

/// Rows from which on it is worth to put them into parts first.
const MANY: usize = 4 * PART_ROWS;

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
        // One more than the greatest number; `NO_KEY` wraps to none.
        let entities = entity.iter().map(|entity| entity.wrapping_add(1)).max().unwrap_or(0) as usize;
        match entity.len() < MANY.max(entities / 8) {
            true => Self::few(entity, time),
            false => Self::many(entity, time, entities),
        }
    }

    /// Any rows but none, of entities that have numbers below `entities`.
    fn many(entity: &[u32], time: &[i64], entities: usize) -> Self {
        let rows = entity.len();
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

    /// Too few for parts, or too few for so many entities: each row as one number, put in order by its digits.
    fn few(entity: &[u32], time: &[i64]) -> Self {
        let with_entity = entity.iter().zip(0_u64..).filter(|(entity, _)| **entity != NO_KEY);
        let packed = by_digits(with_entity.map(|(&entity, row)| u64::from(entity) << 32 | row).collect());
        let mut order: Vec<u32> = packed.iter().map(|&row| row as u32).collect();
        if !time.is_sorted() {
            let time = |row: &u32| time[*row as usize];
            for same in order.chunk_by_mut(|&a, &b| entity[a as usize] == entity[b as usize]) {
                same.sort_by_key(time);
            }
        }
        Self {
            slots: None,
            entity: Arc::new(packed.iter().map(|&row| (row >> 32) as u32).collect()),
            time: Arc::new(order.iter().map(|&row| time[row as usize]).collect()),
            order,
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

/// Fewer numbers are compared: two or three passes go over thousands of counters, however few there are.
const COUNTED: usize = 1024;

/// Bits of a digit at most: so many counters stay in the nearest cache.
const DIGIT: u32 = 11;

/// Numbers by their upper halves; those of one upper half have to come in order, and stay so.
fn by_digits(mut numbers: Vec<u64>) -> Vec<u64> {
    if numbers.len() < COUNTED {
        numbers.sort_unstable();
        return numbers;
    }
    let bits = u64::BITS - numbers.iter().fold(0, |all, number| all | number >> 32).leading_zeros();
    let digits = bits.div_ceil(DIGIT);
    let width = bits.div_ceil(digits.max(1));
    let mut ordered = vec![0; numbers.len()];
    for digit in 0..digits {
        let of = |number: u64| (number >> (32 + digit * width)) as usize & ((1 << width) - 1);
        let mut next = vec![0_u32; 1 << width];
        numbers.iter().for_each(|number| next[of(*number)] += 1);
        let mut first = 0;
        next.iter_mut().for_each(|count| first += std::mem::replace(count, first));
        for number in &numbers {
            let place = &mut next[of(*number)];
            ordered[*place as usize] = *number;
            *place += 1;
        }
        std::mem::swap(&mut numbers, &mut ordered);
    }
    numbers
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

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        /// Either way of sorting, of any numbers of entities, against a sort by comparing.
        #[test]
        fn rows_come_by_entity_and_time(
            rows in 0..3_000_usize,
            most in prop_oneof![Just(1_u32), 1..50_u32, Just(5_000), Just(3_000_000), Just(NO_KEY)],
            spread in prop_oneof![Just(0_i64), Just(20), Just(i64::MAX)],
            in_time in any::<bool>(),
            seed in any::<u64>(),
        ) {
            let mut next = seed;
            let mut number = || {
                next = next.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                next >> 20
            };
            let entity: Vec<u32> = (0..rows)
                .map(|_| if number() % 9 == 0 { NO_KEY } else { (number() % u64::from(most)) as u32 })
                .collect();
            let mut at = || (number() as i64).checked_rem(spread).unwrap_or(0) - spread / 2;
            let mut time: Vec<i64> = (0..rows).map(|_| at()).collect();
            if in_time {
                time.sort_unstable();
            }
            let mut expected: Vec<(u32, i64, u32)> = (0..rows as u32)
                .map(|row| (entity[row as usize], time[row as usize], row))
                .filter(|(entity, ..)| *entity != NO_KEY)
                .collect();
            expected.sort_unstable();
            let few = Sorted::few(&entity, &time);
            let rows_of_few = few.order.iter().copied();
            prop_assert!(rows_of_few.eq(expected.iter().map(|(.., row)| *row)));
            let mut ways = vec![few];
            if most < 10_000 && rows > 0 {
                ways.push(Sorted::many(&entity, &time, most as usize));
            }
            for sorted in ways {
                let keys = sorted.entity.iter().copied().zip(sorted.time.iter().copied());
                prop_assert!(keys.eq(expected.iter().map(|(entity, time, _)| (*entity, *time))));
                prop_assert_eq!(sorted.gather(&entity), &sorted.entity[..]);
                prop_assert_eq!(sorted.gather(&time), &sorted.time[..]);
            }
        }
    }
}
