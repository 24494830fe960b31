//! Which row of a table stands for each key.

use super::{Fault, has, micros};
use crate::contract::input::Table;
use crate::error::{Error, Result};
use polars::prelude::*;
use rayon::prelude::*;
use siphasher::sip128::SipHasher13;
use std::collections::BTreeMap;

/// Whether a row was written by the run's clock, and when.
type Version = (bool, Option<i64>);

/// A row as its key has it: 96 bits of the key's hash and its position. Sixteen bytes a row, sorted once, are a tenth of what a
/// table of tens of millions of keys takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Keyed {
    first: u64,
    second: u32,
    at: u32,
}

/// Which row stands for each key: the latest version by the version column where there is one, else the last in the order
/// of reading. A version written after the run's clock stands only where there was none before.
#[derive(Default)]
pub(super) struct Keys {
    rows: Vec<Keyed>,
    /// By position; empty where the table has no column that says so.
    versions: Vec<Version>,
}

impl Keys {
    /// Looks at the sound rows of a part whose first row has the position `first`.
    ///
    /// # Errors
    /// [`Error::InputRefused`] beyond 2³² rows; [`Error::Invariant`] only for defects.
    pub(super) fn see(
        &mut self,
        table: &Table,
        frame: &DataFrame,
        faults: &BTreeMap<usize, Fault>,
        first: u64,
        as_of: i64,
    ) -> Result<()> {
        let too_many = || Error::InputRefused {
            message: format!("table `{}`: more than {} rows", table.name, u32::MAX),
            hint: Some("run it in several output folders, each over a part of the shop".to_owned()),
        };
        for (at, key) in key_hashes(table, frame)?.into_iter().enumerate().filter(|(at, _)| !faults.contains_key(at)) {
            let at = u32::try_from(first + at as u64).map_err(|_| too_many())?;
            self.rows.push(Keyed { first: (key >> 64) as u64, second: key as u32, at });
        }
        if table.version.is_some_and(|version| has(frame, version)) {
            // Parts without the column came before: their rows have no version.
            self.versions.resize(first as usize, (true, None));
            let versions = versions(table, frame)?.into_iter();
            self.versions.extend(versions.map(|version| (version.is_none_or(|v| v <= as_of), version)));
        }
        Ok(())
    }

    /// How many keys there are, and the positions of rows that another one replaced, sorted.
    pub(super) fn finish(mut self) -> (u64, Vec<u64>) {
        self.rows.par_sort_unstable();
        let (mut keys, mut replaced) = (0, Vec::new());
        for of_key in self.rows.chunk_by(|a, b| (a.first, a.second) == (b.first, b.second)) {
            keys += 1;
            if let [first, later @ ..] = of_key {
                let version = |at: u32| self.versions.get(at as usize).copied().unwrap_or((true, None));
                let mut stands = first.at;
                for row in later {
                    let gone = if version(row.at) >= version(stands) {
                        std::mem::replace(&mut stands, row.at)
                    } else {
                        row.at
                    };
                    replaced.push(u64::from(gone));
                }
            }
        }
        replaced.sort_unstable();
        (keys, replaced)
    }
}

/// When each row was written, where the table has a column that says so.
pub(in crate::ingest) fn versions(table: &Table, frame: &DataFrame) -> Result<Vec<Option<i64>>> {
    Ok(match table.version.filter(|v| has(frame, v)) {
        Some(version) => micros(frame, version)?.iter().collect(),
        None => vec![None; frame.height()],
    })
}

/// A hash of each row's key: 128 bits, in which no two keys of any shop collide unless somebody who may write its files wants
/// them to.
///
/// # Errors
/// [`Error::Invariant`] only for defects.
pub fn key_hashes(table: &Table, frame: &DataFrame) -> Result<Vec<u128>> {
    let keys: Vec<&Column> = table.key.iter().filter_map(|key| frame.column(key).ok()).collect();
    let texts: Vec<StringChunked> = keys.iter().filter_map(|c| c.str().ok().cloned()).collect();
    let times: Vec<Int64Chunked> = keys
        .iter()
        .filter(|c| !c.dtype().is_string())
        .filter_map(|c| c.to_physical_repr().i64().ok().cloned())
        .collect();
    if texts.len() + times.len() != keys.len() {
        return Err(Error::Invariant(format!("a key of `{}` is neither text nor time", table.name)));
    }
    let mut text_parts: Vec<_> = texts.iter().map(|t| t.iter()).collect();
    let mut time_parts: Vec<_> = times.iter().map(|t| t.iter()).collect();
    let (hasher, mut key) = (SipHasher13::new(), Vec::new());
    let one = |_| {
        key.clear();
        for parts in &mut text_parts {
            let part = parts.next().flatten();
            key.push(u8::from(part.is_some()));
            key.extend_from_slice(&part.map_or(0, str::len).to_le_bytes());
            key.extend_from_slice(part.unwrap_or_default().as_bytes());
        }
        for parts in &mut time_parts {
            let part = parts.next().flatten();
            key.push(u8::from(part.is_some()));
            key.extend_from_slice(&part.unwrap_or_default().to_le_bytes());
        }
        hasher.hash(&key).as_u128()
    };
    Ok((0..frame.height()).map(one).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contract::input::table;
    use proptest::prelude::*;
    use std::collections::HashMap;

    proptest! {
        /// Rows that are sorted once tell the same as a table in which each row looks its key up as it comes.
        #[test]
        fn of_rows_with_one_key_the_latest_version_stands(
            parts in prop::collection::vec(
                (prop::collection::vec((0_u8..9, prop::option::of(0_i64..5), any::<bool>()), 0..12), any::<bool>()),
                0..6,
            ),
        ) {
            let contract = table("orders").unwrap();
            let (mut keys, mut read) = (Keys::default(), 0_u64);
            let mut standing: HashMap<u8, (Version, u64)> = HashMap::new();
            let mut replaced = Vec::new();
            for (rows, has_versions) in parts {
                let ids: Vec<String> = rows.iter().map(|(id, ..)| id.to_string()).collect();
                let mut frame = df!("order_id" => ids).unwrap();
                if has_versions {
                    let written: Vec<Option<i64>> = rows.iter().map(|(_, at, _)| *at).collect();
                    frame.with_column(Column::new("updated_at".into(), written)).unwrap();
                }
                let fault: Fault = ("order_id", crate::quarantine::Reason::Orphan, String::new());
                let faulty = (0..).zip(&rows).filter(|(_, (.., is_sound))| !is_sound);
                let faults = faulty.map(|(at, _)| (at, fault.clone())).collect();
                keys.see(contract, &frame, &faults, read, 3).unwrap();
                for ((id, written, _), position) in rows.iter().zip(read..).filter(|((.., is_sound), _)| *is_sound) {
                    let written = written.filter(|_| has_versions);
                    let version = (written.is_none_or(|at| at <= 3), written);
                    match standing.get(id).copied() {
                        Some((before, _)) if version < before => replaced.push(position),
                        before => {
                            replaced.extend(before.map(|(_, older)| older));
                            standing.insert(*id, (version, position));
                        }
                    }
                }
                read += rows.len() as u64;
            }
            replaced.sort_unstable();
            prop_assert_eq!(keys.finish(), (standing.len() as u64, replaced));
        }
    }
}
