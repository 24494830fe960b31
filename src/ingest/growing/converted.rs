//! Which files have money in other currencies, and until when: what further exchange rates can change.

use crate::error::Result;
use crate::ingest::accept::Priced;
use crate::ingest::fx::Rates;
use crate::saved::{Reader, Section, damaged};
use std::collections::{BTreeMap, BTreeSet};

/// By currency and number of a file: the last instant at whose rate money of it was converted, or would have been if there
/// were one.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Converted(BTreeMap<String, BTreeMap<u32, i64>>);

impl Converted {
    /// Notes rows, each with its file and its place in it.
    pub(super) fn note(&mut self, priced: &Priced, places: &[(u32, u32)], rates: &Rates) {
        // Rows of one file come together, and there are few currencies.
        let mut last: BTreeMap<&str, (u32, i64)> = BTreeMap::new();
        for ((code, time), (file, _)) in priced.codes.iter().zip(&priced.times).zip(places) {
            let (Some(code), Some(time)) = (code.filter(|code| rates.converts(code)), *time) else { continue };
            match last.get_mut(code) {
                Some((of, until)) if of == file => *until = time.max(*until),
                _ => {
                    if let Some((of, until)) = last.insert(code, (*file, time)) {
                        self.enter(code, of, until);
                    }
                }
            }
        }
        last.into_iter().for_each(|(code, (file, until))| self.enter(code, file, until));
    }

    fn enter(&mut self, code: &str, file: u32, until: i64) {
        let files = match self.0.get_mut(code) {
            Some(files) => files,
            None => self.0.entry(code.to_owned()).or_default(),
        };
        let before = files.entry(file).or_insert(until);
        *before = until.max(*before);
    }

    /// The files of which money can be worth something else, if that of each of these currencies can from an instant on.
    pub(super) fn files(&self, from: &BTreeMap<String, i64>) -> BTreeSet<u32> {
        let of_code = |(code, from): (&String, &i64)| {
            let files = self.0.get(code).into_iter().flatten();
            files.filter(|(_, until)| *until >= from).map(|(file, _)| *file).collect::<Vec<_>>()
        };
        from.iter().flat_map(of_code).collect()
    }

    /// Appends all of it.
    pub(super) fn save_into(&self, to: &mut Section) {
        to.texts(self.0.keys().map(String::as_str).collect::<Vec<_>>().into_iter());
        for files in self.0.values() {
            to.column(files.keys().copied());
            to.column(files.values().copied());
        }
    }

    /// What [`Self::save_into`] wrote.
    ///
    /// # Errors
    /// [`crate::error::Error::InputRefused`] for bytes that are nothing of the kind.
    pub(super) fn read(from: &mut Reader<'_>) -> Result<Self> {
        let mut all = BTreeMap::new();
        for code in from.texts()? {
            let (files, until): (Vec<u32>, Vec<i64>) = (from.column()?, from.column()?);
            if files.len() != until.len() {
                return Err(damaged());
            }
            all.insert(code, files.into_iter().zip(until).collect());
        }
        Ok(Self(all))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::saved;
    use polars::prelude::*;

    #[test]
    fn files_are_those_with_money_of_a_currency_from_an_instant_on() {
        let priced = Priced {
            codes: StringChunked::new("c".into(), ["USD", "EUR", "USD", "PLN", "USD", "USD", "PLN"]),
            times: vec![Some(5), Some(99), Some(3), Some(7), Some(9), None, Some(2)],
        };
        let places = [(0, 0), (0, 1), (0, 2), (1, 0), (1, 1), (2, 0), (2, 1)];
        let mut converted = Converted::default();
        let rates = Rates::none("EUR", 2);
        converted.note(&priced, &places, &rates);
        // A file of which rows waited for their orders is noted more than once.
        converted.note(&Priced { codes: priced.codes.slice(0, 1), times: vec![Some(4)] }, &[(0, 3)], &rates);
        let files = |from: &[(&str, i64)]| -> Vec<u32> {
            let from = from.iter().map(|(code, at)| ((*code).to_owned(), *at)).collect();
            converted.files(&from).into_iter().collect()
        };
        assert_eq!(files(&[("USD", 5)]), [0, 1]);
        assert_eq!(files(&[("USD", 6)]), [1]);
        assert_eq!(files(&[("USD", 10)]), [0_u32; 0]);
        assert_eq!(files(&[("PLN", 2), ("GBP", 0)]), [1, 2]);
        assert_eq!(files(&[("EUR", 0)]), [0_u32; 0], "the base currency is not converted");
        let mut section = Section::default();
        converted.save_into(&mut section);
        let bytes = saved::whole(&[0; 32], vec![section]);
        let mut reader = saved::open(&bytes, &[0; 32]).unwrap().remove(0);
        assert_eq!(Converted::read(&mut reader).unwrap(), converted);
    }
}
