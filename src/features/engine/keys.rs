//! Numbers of keys: one for each key of an entity, the same in all states.

use crate::contract::feature::Entity;
use crate::error::Result;
use crate::features::kernel::{Interner, NO_KEY};
use crate::features::tables::values;
use polars::prelude::StringChunked;
use rayon::prelude::*;
use std::collections::BTreeMap;

/// Numbers of every entity's keys, and of pairs of them.
#[derive(Debug, Clone, Default)]
pub struct Keys {
    /// By the entity's name; a pair's is `first+second` and its keys are the two numbers.
    pub(super) of: BTreeMap<String, Interner>,
}

impl Keys {
    /// The numbers of an entity's keys, texts or bytes; null stays null.
    ///
    /// # Errors
    /// [`crate::error::Error::InputRefused`] beyond 2³² − 1 keys.
    pub fn number<K: AsRef<[u8]>>(
        &mut self,
        entity: &Entity,
        keys: impl IntoIterator<Item = Option<K>>,
    ) -> Result<Vec<u32>> {
        self.of.entry(entity.name.to_owned()).or_default().intern_all(keys)
    }

    /// As [`Self::number`] for columns of several entities, each of which is named once; a blank text is none. Entities have
    /// nothing to do with one another, so they are numbered side by side.
    pub(in crate::features) fn number_all(
        &mut self,
        columns: &[(&'static Entity, StringChunked)],
    ) -> Result<Vec<Vec<u32>>> {
        let own = |(entity, _): &(&Entity, _)| self.of.remove(entity.name).unwrap_or_default();
        let mut interners: Vec<Interner> = columns.iter().map(own).collect();
        let number =
            |(interner, (_, column)): (&mut Interner, &(_, StringChunked))| interner.intern_all(values(column));
        let numbers = interners.par_iter_mut().zip(columns).map(number).collect();
        self.of.extend(columns.iter().map(|(entity, _)| entity.name.to_owned()).zip(interners));
        numbers
    }

    /// The numbers of pairs; without one of the two there is none.
    pub(super) fn pair(&mut self, name: String, first: &[u32], second: &[u32]) -> Result<Vec<u32>> {
        let pair = |(&first, &second): (&u32, &u32)| {
            (first != NO_KEY && second != NO_KEY).then(|| Self::pair_key(first, second))
        };
        self.of.entry(name).or_default().intern_all(first.iter().zip(second).map(pair))
    }

    /// The key of a pair.
    pub(super) fn pair_key(first: u32, second: u32) -> [u8; 8] {
        let mut key = [0; 8];
        key[..4].copy_from_slice(&first.to_le_bytes());
        key[4..].copy_from_slice(&second.to_le_bytes());
        key
    }
}
