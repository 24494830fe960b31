//! What is noted under names that are hashes.

use super::Interner;
use crate::error::Result;
use crate::saved::{Paged, Reader, Section, damaged};

/// A number under each of many names of 128 bits. What was saved of them is not saved again until it changes.
#[derive(Debug, Clone, Default)]
pub struct Noted {
    names: Interner,
    /// By the number of the name.
    numbers: Paged<u64>,
}

impl Noted {
    /// What is noted under a name.
    pub fn get(&self, name: u128) -> Option<u64> {
        self.numbers.get(self.names.find(&name.to_le_bytes())? as usize)
    }

    /// Notes a number; the one that was noted before under this name.
    ///
    /// # Errors
    /// As [`Interner::intern`].
    pub fn insert(&mut self, name: u128, number: u64) -> Result<Option<u64>> {
        let at = self.names.intern(&name.to_le_bytes())? as usize;
        if at == self.numbers.len() {
            self.numbers.push(number);
            return Ok(None);
        }
        let before = self.numbers.get(at);
        if before != Some(number) {
            self.numbers.replace(at, number);
        }
        Ok(before)
    }

    /// Makes room for so many names.
    pub fn reserve(&mut self, names: usize) {
        self.names.reserve(names);
    }

    /// Every number.
    pub fn iter(&self) -> impl Iterator<Item = u64> {
        self.numbers.iter()
    }

    /// Appends all of it.
    pub fn save_into(&mut self, to: &mut Section) {
        self.names.save_into(to);
        to.paged(&mut self.numbers);
    }

    /// What [`Self::save_into`] wrote.
    ///
    /// # Errors
    /// [`crate::error::Error::InputRefused`] for bytes that are nothing of the kind.
    pub fn read(from: &mut Reader<'_>) -> Result<Self> {
        let (names, numbers) = (Interner::read(from)?, from.paged()?);
        if names.len() == numbers.len() { Ok(Self { names, numbers }) } else { Err(damaged()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::saved;
    use proptest::prelude::*;
    use std::collections::HashMap;

    proptest! {
        #[test]
        fn what_is_noted_last_stands_across_saves(steps in prop::collection::vec((0_u128..40, 0_u64..5, any::<bool>()), 0..150)) {
            let (mut noted, mut known) = (Noted::default(), HashMap::new());
            for (name, number, saves) in steps {
                let name = name << 90 | name;
                prop_assert_eq!(noted.get(name), known.get(&name).copied());
                prop_assert_eq!(noted.insert(name, number).unwrap(), known.insert(name, number));
                if saves {
                    let mut section = Section::default();
                    noted.save_into(&mut section);
                    let bytes = saved::whole(&[0; 32], vec![section]);
                    let mut reader = saved::open(&bytes, &[0; 32]).unwrap().remove(0);
                    noted = Noted::read(&mut reader).unwrap();
                    prop_assert!(reader.finish().is_ok());
                }
            }
            let (mut ours, mut theirs): (Vec<u64>, Vec<u64>) = (noted.iter().collect(), known.into_values().collect());
            ours.sort_unstable();
            theirs.sort_unstable();
            prop_assert_eq!(ours, theirs);
        }
    }
}
