//! Dense numbers for keys.

mod filled;

use super::NO_KEY;
use crate::error::{Error, Result};
use crate::saved::{Grown, Reader, Section, damaged};
use foldhash::quality::FixedState;
use std::hash::{BuildHasher, Hasher};

/// Keys (text, or the bytes of a number or hash) and their numbers 0, 1, 2, … in the order of first sight.
///
/// All keys stand in one buffer; the table holds a number and 32 bits of the hash, so that few keys are compared in vain.
/// The place in the table is the first of those bits: it grows in one pass from front to back, without a look at a key.
#[derive(Debug, Clone, Default)]
pub struct Interner {
    bytes: Grown<u8>,
    count: u32,
    /// The length of every key, as long as `ends` is empty: ids, hashes and pairs are often alike, and then nothing has to be
    /// looked up to find one.
    width: usize,
    /// Where each key ends in `bytes`, as soon as two have different lengths.
    ends: Grown<u64>,
    /// Open addressing, a power of two: hash bits and number; a number of [`NO_KEY`] is a free place.
    slots: Vec<(u32, u32)>,
    /// By how much hash bits are shifted to give a place.
    shift: u32,
}

/// Keys looked for at once. In a table that no cache holds each look waits for memory three times; those of a block wait
/// together. The block itself stays in the nearest cache.
const BLOCK: usize = 128;

/// Three quarters of the 2³² places that hash bits tell apart.
const MOST: usize = 3 << 30;

/// What is known of a key of a block before it is compared.
#[derive(Clone, Copy)]
struct Guess {
    hash: u32,
    /// The key with these hash bits, or [`NO_KEY`].
    id: u32,
    /// Where it stands.
    start: usize,
    end: usize,
}

fn hash(key: &[u8]) -> u32 {
    // A fixed seed: the same in every run. It decides on places in the table only, never on numbers.
    let mut hasher = FixedState::with_seed(0).build_hasher();
    hasher.write(key);
    (hasher.finish() >> 32) as u32
}

impl Interner {
    /// Number of keys.
    pub fn len(&self) -> usize {
        self.count as usize
    }

    /// Whether there are no keys.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// The key of a number.
    pub fn key(&self, id: u32) -> Option<&[u8]> {
        let (start, end) = self.stands(id)?;
        self.bytes.slice(start..end)
    }

    fn stands(&self, id: u32) -> Option<(usize, usize)> {
        let at = id as usize;
        if id >= self.count {
            return None;
        }
        if self.ends.is_empty() {
            return Some((at * self.width, (at + 1) * self.width));
        }
        // Both at once, mostly: they stand beside one another.
        if let Some(&[start, end]) = at.checked_sub(1).and_then(|before| self.ends.slice(before..at + 1)) {
            return Some((start as usize, end as usize));
        }
        let start = if at == 0 { 0 } else { self.ends.get(at - 1)? };
        Some((start as usize, self.ends.get(at)? as usize))
    }

    /// Where the first `count` keys end, of one length.
    fn even_ends(&self) -> impl Iterator<Item = u64> + use<> {
        let width = self.width as u64;
        (1..=u64::from(self.count)).map(move |nth| nth * width)
    }

    fn append(&mut self, key: &[u8]) {
        if self.count == 0 {
            self.width = key.len();
        } else if self.ends.is_empty() && key.len() != self.width {
            self.ends = self.even_ends().collect::<Vec<_>>().into();
        }
        self.bytes.extend(key);
        if !self.ends.is_empty() {
            self.ends.push(self.bytes.len() as u64);
        }
        self.count += 1;
    }

    /// The number of a key, new if it was never seen.
    ///
    /// # Errors
    /// [`Error::InputRefused`] beyond 3 · 2³⁰ keys.
    pub fn intern(&mut self, key: &[u8]) -> Result<u32> {
        self.intern_hashed(hash(key), key)
    }

    fn intern_hashed(&mut self, hash: u32, key: &[u8]) -> Result<u32> {
        if (self.len() + 1) * 4 > self.slots.len() * 3 && self.len() < MOST {
            self.grow();
        }
        let mut place = self.place(hash);
        while self.slots[place].1 != NO_KEY {
            if self.slots[place].0 == hash && self.key(self.slots[place].1) == Some(key) {
                return Ok(self.slots[place].1);
            }
            place = self.after(place);
        }
        if self.len() == MOST {
            let message = "a column has more than 3,221,225,472 different keys".to_owned();
            return Err(Error::InputRefused { message, hint: None });
        }
        let id = self.len() as u32;
        self.slots[place] = (hash, id);
        self.append(key);
        Ok(id)
    }

    /// The numbers of many keys; null stays null ([`NO_KEY`]).
    ///
    /// # Errors
    /// As [`Self::intern`].
    pub fn intern_all<K: AsRef<[u8]>>(&mut self, keys: impl IntoIterator<Item = Option<K>>) -> Result<Vec<u32>> {
        let mut keys = keys.into_iter();
        let mut ids = Vec::with_capacity(keys.size_hint().0);
        let (mut block, mut guesses) = (Vec::with_capacity(BLOCK), Vec::with_capacity(BLOCK));
        loop {
            block.clear();
            block.extend(keys.by_ref().take(BLOCK));
            if block.is_empty() {
                return Ok(ids);
            }
            self.guess(&block, &mut guesses);
            for (key, guess) in block.iter().zip(&guesses) {
                ids.push(match key.as_ref().map(AsRef::as_ref) {
                    None => NO_KEY,
                    Some(key) if guess.id != NO_KEY && self.bytes.slice(guess.start..guess.end) == Some(key) => {
                        guess.id
                    }
                    Some(key) => self.intern_hashed(guess.hash, key)?,
                });
            }
        }
    }

    /// The numbers of many keys as far as they were seen; [`NO_KEY`] for others and for null.
    pub fn find_all<K: AsRef<[u8]>>(&self, keys: impl IntoIterator<Item = Option<K>>) -> Vec<u32> {
        let mut keys = keys.into_iter();
        let mut ids = Vec::with_capacity(keys.size_hint().0);
        let (mut block, mut guesses) = (Vec::with_capacity(BLOCK), Vec::with_capacity(BLOCK));
        loop {
            block.clear();
            block.extend(keys.by_ref().take(BLOCK));
            if block.is_empty() {
                return ids;
            }
            self.guess(&block, &mut guesses);
            ids.extend(block.iter().zip(&guesses).map(|(key, guess)| match key.as_ref().map(AsRef::as_ref) {
                Some(key) if guess.id != NO_KEY && self.bytes.slice(guess.start..guess.end) == Some(key) => guess.id,
                Some(key) if guess.id != NO_KEY => self.find_hashed(guess.hash, key),
                // Whoever is there has these hash bits.
                Some(_) | None => NO_KEY,
            }));
        }
    }

    /// The number of a key, if it was seen.
    pub fn find(&self, key: &[u8]) -> Option<u32> {
        if self.is_empty() {
            return None;
        }
        Some(self.find_hashed(hash(key), key)).filter(|id| *id != NO_KEY)
    }

    fn find_hashed(&self, hash: u32, key: &[u8]) -> u32 {
        let mut place = self.place(hash);
        while self.slots[place].1 != NO_KEY {
            if self.slots[place].0 == hash && self.key(self.slots[place].1) == Some(key) {
                return self.slots[place].1;
            }
            place = self.after(place);
        }
        NO_KEY
    }

    /// Where the keys of a block stand, probably. One loop a load: no load waits for that of another key.
    fn guess<K: AsRef<[u8]>>(&self, block: &[Option<K>], guesses: &mut Vec<Guess>) {
        guesses.clear();
        guesses.extend(block.iter().map(|key| {
            let hash = key.as_ref().map_or(0, |key| hash(key.as_ref()));
            Guess { hash, id: NO_KEY, start: 0, end: 0 }
        }));
        if self.is_empty() {
            return;
        }
        // Without a branch that has to wait for what is loaded.
        let touched = guesses.iter().map(|guess| self.slots[self.place(guess.hash)].1);
        std::hint::black_box(touched.fold(0, u32::wrapping_add));
        for guess in guesses.iter_mut() {
            let mut place = self.place(guess.hash);
            while self.slots[place].1 != NO_KEY && self.slots[place].0 != guess.hash {
                place = self.after(place);
            }
            guess.id = self.slots[place].1;
        }
        for guess in guesses.iter_mut() {
            if let Some((start, end)) = self.stands(guess.id) {
                (guess.start, guess.end) = (start, end);
            }
        }
        let touched = guesses.iter().map(|guess| self.bytes.get(guess.start).unwrap_or(0));
        std::hint::black_box(touched.fold(0, u8::wrapping_add));
    }

    /// Where the search for hash bits begins.
    fn place(&self, hash: u32) -> usize {
        (hash >> self.shift) as usize
    }

    fn after(&self, place: usize) -> usize {
        (place + 1) & (self.slots.len() - 1)
    }

    /// Room for so many keys without growing again.
    pub fn reserve(&mut self, keys: usize) {
        let size = (keys.min(MOST) * 4 / 3 + 1).next_power_of_two().max(64);
        if size > self.slots.len() {
            self.resize(size);
        }
    }

    /// Doubles the table.
    fn grow(&mut self) {
        self.resize((self.slots.len() * 2).max(64));
    }

    fn resize(&mut self, size: usize) {
        self.shift = 32 - size.trailing_zeros();
        let before = std::mem::replace(&mut self.slots, vec![(0, NO_KEY); size]);
        for (hash, id) in before.into_iter().filter(|&(_, id)| id != NO_KEY) {
            self.put(hash, id);
        }
    }

    /// Takes a free place for a number that has none.
    fn put(&mut self, hash: u32, id: u32) {
        let mut place = self.place(hash);
        while self.slots[place].1 != NO_KEY {
            place = self.after(place);
        }
        self.slots[place] = (hash, id);
    }

    /// Forgets all keys but the `live` ones (those beyond its end are not). The new numbers by the old ones: those kept in
    /// their order, [`NO_KEY`] for the rest; [`State::rename`](super::State::rename) takes them.
    pub fn keep(&mut self, live: &[bool]) -> Vec<u32> {
        if live.len() >= self.len() && live[..self.len()].iter().all(|&live| live) {
            return (0..self.count).collect();
        }
        let mut kept = Self::default();
        let mut renamed = vec![NO_KEY; self.len()];
        for (id, renamed) in (0..self.count).zip(&mut renamed).filter(|&(id, _)| live.get(id as usize) == Some(&true)) {
            *renamed = kept.count;
            kept.append(self.key(id).unwrap_or_default());
        }
        kept.reserve(kept.len());
        // From front to back in both tables: hash bits decide on places, and no key is looked at.
        for &(hash, id) in self.slots.iter().filter(|&&(_, id)| id != NO_KEY) {
            if renamed[id as usize] != NO_KEY {
                kept.put(hash, renamed[id as usize]);
            }
        }
        *self = kept;
        renamed
    }

    /// Appends all keys in the order of their numbers; those that were saved before are not written again.
    pub fn save_into(&mut self, to: &mut Section) {
        to.one(self.count);
        to.one(self.width as u64);
        to.grown(&mut self.ends);
        to.grown(&mut self.bytes);
    }

    /// The keys that [`Self::save_into`] wrote, with the same numbers.
    ///
    /// # Errors
    /// [`Error::InputRefused`] for bytes that are no such keys.
    pub fn read(from: &mut Reader) -> Result<Self> {
        let (count, width) = (from.one()?, usize::try_from(from.one::<u64>()?).map_err(|_| damaged())?);
        let (ends, bytes) = (from.grown()?, from.grown()?);
        Self { count, width, ends, bytes, ..Self::default() }.with_table().ok_or_else(damaged)
    }

    /// With a table of all keys; `None` if these are no keys, or one is there twice.
    fn with_table(mut self) -> Option<Self> {
        let is_even = self.ends.is_empty() && self.len().checked_mul(self.width) == Some(self.bytes.len());
        let last = self.ends.len().checked_sub(1).and_then(|last| self.ends.get(last));
        let is_uneven = self.ends.len() == self.len() && last == Some(self.bytes.len() as u64);
        if !(is_even || is_uneven) || self.len() > MOST {
            return None;
        }
        self.reserve(self.len());
        self.fill().then_some(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::saved;

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
        let mut again = read_again(&mut interner).unwrap();
        assert_eq!((again.len(), keys_of(&again)), (interner.len(), keys_of(&interner)));
        assert_eq!((again.intern(b"a").unwrap(), again.intern(&77_u64.to_le_bytes()).unwrap()), (1, 80));
        assert_eq!(again.intern(b"new").unwrap() as usize, interner.len());
        // Once more, with keys before and after what was saved.
        let more = read_again(&mut again).unwrap();
        assert_eq!((more.find(b"new"), more.find(b"a")), (Some(interner.len() as u32), Some(1)));
        let refused = |count: u32, width: usize, ends: &[u64], bytes: &[u8]| {
            let (ends, bytes) = (ends.to_vec().into(), bytes.to_vec().into());
            Interner { count, width, ends, bytes, ..Interner::default() }.with_table().is_none()
        };
        assert!(refused(2, 1, &[], b"abc"), "bytes that no key owns");
        assert!(refused(2, 1, &[], b"aa"), "a key twice");
        assert!(refused(2, 0, &[2, 1], b"a"), "a key that ends before it begins");
        assert!(!refused(2, 2, &[], b"abcd") && !refused(0, 0, &[], b""));
    }

    fn read_again(interner: &mut Interner) -> Result<Interner> {
        let mut section = Section::default();
        interner.save_into(&mut section);
        let bytes = saved::whole(&[0; 32], vec![section]);
        Interner::read(&mut saved::open(&bytes, &[0; 32])?.remove(0))
    }

    fn keys_of(interner: &Interner) -> Vec<Vec<u8>> {
        (0..interner.count).map(|id| interner.key(id).unwrap().to_vec()).collect()
    }

    #[test]
    fn many_at_once_and_one_by_one_get_the_same_numbers() {
        // Lengths from 0 on, most keys again in the same block and in later ones, nulls between.
        let keys: Vec<Option<Vec<u8>>> = (0..50_000_u64)
            .map(|n| n.wrapping_mul(n) % 7_919)
            .map(|n| (n % 13 > 0).then(|| n.to_string().repeat((n % 4) as usize).into_bytes()))
            .collect();
        let (mut whole, mut single) = (Interner::default(), Interner::default());
        let ids = whole.intern_all(keys.iter().map(Option::as_ref)).unwrap();
        let one = |key: &Option<Vec<u8>>| key.as_ref().map_or(NO_KEY, |key| single.intern(key).unwrap());
        assert_eq!(ids, keys.iter().map(one).collect::<Vec<_>>());
        assert_eq!(keys_of(&whole), keys_of(&single));
        for (key, &id) in keys.iter().zip(&ids) {
            assert_eq!(whole.key(id), key.as_deref());
        }
    }

    #[test]
    fn keys_of_one_length_stay_where_they_are_when_others_come() {
        let mut interner = Interner::default();
        let ends = |interner: &Interner| match interner.ends.is_empty() {
            true => interner.even_ends().collect(),
            false => interner.ends.iter().collect::<Vec<_>>(),
        };
        assert_eq!(interner.intern_all([Some("ab"), Some("cd"), Some("ef")]).unwrap(), [0, 1, 2]);
        assert_eq!((interner.ends.len(), ends(&interner)), (0, vec![2, 4, 6]));
        assert_eq!(interner.intern_all([Some("abc"), Some("cd"), Some(""), Some("gh")]).unwrap(), [3, 1, 4, 5]);
        assert_eq!(ends(&interner), [2, 4, 6, 9, 9, 11]);
        let keys: Vec<_> = (0..7).map(|id| interner.key(id)).collect();
        let expected = ["ab", "cd", "ef", "abc", "", "gh"].map(|key| Some(key.as_bytes()));
        assert_eq!((&keys[..6], keys[6]), (expected.as_slice(), None));
        // A first key of no length at all.
        let mut empty = Interner::default();
        assert_eq!(empty.intern_all([Some(""), Some(""), Some("a")]).unwrap(), [0, 0, 1]);
        assert_eq!((empty.key(0), empty.key(1), ends(&empty)), (Some(&b""[..]), Some(&b"a"[..]), vec![0, 1]));
    }

    #[test]
    fn keys_with_the_same_hash_bits_stay_apart() {
        // So many that some of them agree in all 32 bits, whichever way they are looked for.
        let keys: Vec<[u8; 8]> = (0..300_000_u64).map(u64::to_le_bytes).collect();
        let mut hashes: Vec<u32> = keys.iter().map(|key| hash(key)).collect();
        hashes.sort_unstable();
        assert!(hashes.windows(2).any(|pair| pair[0] == pair[1]));
        let mut interner = Interner::default();
        let all: Vec<u32> = (0..300_000).collect();
        assert_eq!(interner.intern_all(keys.iter().map(Some)).unwrap(), all);
        assert_eq!(interner.intern_all(keys.iter().map(Some)).unwrap(), all);
        assert!(keys.iter().zip(&all).all(|(key, &id)| interner.intern(key).unwrap() == id));
    }

    #[test]
    fn forgetting_keeps_the_order_of_the_rest() {
        let mut interner = Interner::default();
        interner.intern_all([Some("a"), Some("b"), Some("c")]).unwrap();
        assert_eq!(interner.keep(&[true, false, true]), [0, NO_KEY, 1]);
        assert_eq!((interner.len(), interner.intern(b"c").unwrap(), interner.intern(b"b").unwrap()), (2, 1, 2));
    }

    #[test]
    fn very_many_keys_are_found_again_once_they_were_read() {
        // More than are filled one by one, ids as texts and of other lengths between.
        let keys: Vec<String> =
            (0..700_000_u32).map(|n| format!("{}{n}", ["", "order-"][(n % 3 == 0) as usize])).collect();
        let mut interner = Interner::default();
        let ids = interner.intern_all(keys.iter().map(Some)).unwrap();
        let mut read = read_again(&mut interner).unwrap();
        assert_eq!(read.find_all(keys.iter().map(Some)), ids);
        assert!(
            keys.iter()
                .step_by(997)
                .zip(ids.iter().step_by(997))
                .all(|(key, id)| read.find(key.as_bytes()) == Some(*id))
        );
        assert_eq!(read.find_all((0..1_000_u32).map(|n| Some(format!("x{n}")))), [NO_KEY; 1_000]);
        // New ones get the next numbers, and the table grows as any other does.
        let more: Vec<String> = (0..700_000_u32).map(|n| format!("more-{n}")).collect();
        let ids = read.intern_all(more.iter().map(Some)).unwrap();
        assert!(ids.into_iter().eq(700_000..1_400_000));
        assert_eq!(read.find(b"order-699999"), Some(699_999));
    }

    #[test]
    fn a_key_that_is_there_twice_among_very_many_is_refused() {
        for (first, second) in [(0_u64, 599_999_u64), (299_999, 300_000), (7, 8)] {
            let keys: Vec<u8> =
                (0..600_000_u64).flat_map(|n| (if n == second { first } else { n }).to_le_bytes()).collect();
            let count = keys.len() as u32 / 8;
            let twice = Interner { count, width: 8, bytes: keys.into(), ..Interner::default() };
            assert!(twice.with_table().is_none(), "{first} and {second}");
        }
        // Ends that go back are none.
        let mut ends: Vec<u64> = (1..=600_000).collect();
        ends[300_000] = 5;
        let bytes = vec![0_u8; 600_000];
        assert!(
            Interner { count: 600_000, ends: ends.into(), bytes: bytes.into(), ..Interner::default() }
                .with_table()
                .is_none()
        );
    }
}
