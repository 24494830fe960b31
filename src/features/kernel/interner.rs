//! Dense numbers for keys.

use super::NO_KEY;
use crate::error::{Error, Result};
use std::hash::{DefaultHasher, Hasher};

/// Keys (text, or the bytes of a number or hash) and their numbers 0, 1, 2, … in the order of first sight.
///
/// All keys stand in one buffer; the table holds a number and 32 bits of the hash, so that few keys are compared in vain.
#[derive(Debug, Clone, Default)]
pub struct Interner {
    bytes: Vec<u8>,
    /// Where each key ends in `bytes`.
    ends: Vec<u64>,
    /// Open addressing, a power of two: hash bits and number; a number of `NO_KEY` is a free place.
    slots: Vec<(u32, u32)>,
}

fn hash(key: &[u8]) -> u64 {
    // The standard hasher with its fixed keys: the same in every run.
    let mut hasher = DefaultHasher::new();
    hasher.write(key);
    hasher.finish()
}

impl Interner {
    /// Number of keys.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether there are no keys.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// The key of a number.
    pub fn key(&self, id: u32) -> Option<&[u8]> {
        let at = id as usize;
        let end = *self.ends.get(at)?;
        let start = if at == 0 { 0 } else { self.ends[at - 1] };
        self.bytes.get(start as usize..end as usize)
    }

    /// The number of a key, new if it was never seen.
    ///
    /// # Errors
    /// [`Error::InputRefused`] beyond 2³² − 1 keys.
    pub fn intern(&mut self, key: &[u8]) -> Result<u32> {
        if (self.len() + 1) * 4 > self.slots.len() * 3 {
            self.grow();
        }
        let hash = hash(key);
        let (tag, mask) = ((hash >> 32) as u32, self.slots.len() - 1);
        let mut place = hash as usize & mask;
        while self.slots[place].1 != NO_KEY {
            if self.slots[place].0 == tag && self.key(self.slots[place].1) == Some(key) {
                return Ok(self.slots[place].1);
            }
            place = (place + 1) & mask;
        }
        let id = u32::try_from(self.len()).ok().filter(|&id| id != NO_KEY).ok_or_else(|| Error::InputRefused {
            message: "an entity has more than 4,294,967,294 different keys".to_owned(),
            hint: None,
        })?;
        self.slots[place] = (tag, id);
        self.bytes.extend_from_slice(key);
        self.ends.push(self.bytes.len() as u64);
        Ok(id)
    }

    /// The numbers of many keys; null stays null ([`NO_KEY`]).
    ///
    /// # Errors
    /// As [`Self::intern`].
    pub fn intern_all<K: AsRef<[u8]>>(&mut self, keys: impl IntoIterator<Item = Option<K>>) -> Result<Vec<u32>> {
        keys.into_iter().map(|key| key.map_or(Ok(NO_KEY), |key| self.intern(key.as_ref()))).collect()
    }

    fn grow(&mut self) {
        let size = (self.slots.len() * 2).max(64);
        self.slots = vec![(0, NO_KEY); size];
        for id in 0..self.len() as u32 {
            let hash = hash(self.key(id).unwrap_or_default());
            let mut place = hash as usize & (size - 1);
            while self.slots[place].1 != NO_KEY {
                place = (place + 1) & (size - 1);
            }
            self.slots[place] = ((hash >> 32) as u32, id);
        }
    }

    /// Forgets all keys but the `live` ones; the others' new numbers by their old ones.
    pub(super) fn keep(&mut self, live: &[bool]) -> Result<Vec<u32>> {
        let mut kept = Self::default();
        let mut renamed = Vec::with_capacity(self.len());
        for id in 0..self.len() as u32 {
            let key = self.key(id).filter(|_| live.get(id as usize).copied().unwrap_or(false));
            renamed.push(key.map_or(Ok(NO_KEY), |key| kept.intern(key))?);
        }
        *self = kept;
        Ok(renamed)
    }

    pub(super) fn parts(&self) -> (&[u64], &[u8]) {
        (&self.ends, &self.bytes)
    }

    /// From what [`Self::parts`] gave; `None` if these are no such parts.
    pub(super) fn from_parts(ends: &[u64], bytes: &[u8]) -> Option<Self> {
        let mut interner = Self::default();
        let mut start = 0;
        for (at, &end) in ends.iter().enumerate() {
            let key = bytes.get(start..usize::try_from(end).ok()?)?;
            if interner.intern(key).ok()? as usize != at {
                return None;
            }
            start = end as usize;
        }
        (start == bytes.len()).then_some(interner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_numbered_by_first_sight_and_null_stays_null() {
        let mut interner = Interner::default();
        let ids = interner.intern_all([Some("b"), None, Some("a"), Some("b"), Some("")]).unwrap();
        assert_eq!(ids, [0, NO_KEY, 1, 0, 2]);
        for n in 0..10_000_u64 {
            assert_eq!(interner.intern(&n.to_le_bytes()).unwrap(), n as u32 + 3);
        }
        assert_eq!(interner.intern(&77_u64.to_le_bytes()).unwrap(), 80);
        assert_eq!(interner.key(1), Some(b"a".as_slice()));
        let (ends, bytes) = interner.parts();
        assert_eq!(Interner::from_parts(ends, bytes).unwrap().parts(), (ends, bytes));
        assert!(Interner::from_parts(&ends[..2], bytes).is_none(), "bytes that no key owns");
    }

    #[test]
    fn forgetting_keeps_the_order_of_the_rest() {
        let mut interner = Interner::default();
        interner.intern_all([Some("a"), Some("b"), Some("c")]).unwrap();
        assert_eq!(interner.keep(&[true, false, true]).unwrap(), [0, NO_KEY, 1]);
        assert_eq!((interner.len(), interner.intern(b"c").unwrap(), interner.intern(b"b").unwrap()), (2, 1, 2));
    }
}
