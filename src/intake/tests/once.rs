//! Each thing once, whatever happens to it.

use super::landing::{ALL, SECOND, later, look, source};
use crate::intake::*;
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::Write;
use std::path::Path;
use std::time::{Duration, SystemTime};

/// Something that happens to one of a few files.
#[derive(Debug, Clone, Copy)]
enum Step {
    /// Written in place, with this content.
    Write(u8),
    /// Written elsewhere and renamed into place.
    Move(u8),
    Remove,
    /// Its time of change set anew.
    Touch,
    /// A restart: all that is left is what was taken.
    Restart,
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// Whatever happens to files between two looks, with or without word of it: each content under each name is given exactly
    /// once if it was there at a look.
    #[test]
    fn each_content_under_each_name_is_given_once(
        steps in prop::collection::vec(
            (0..3_usize, prop_oneof![
                (0..3_u8).prop_map(Step::Write), (0..3_u8).prop_map(Step::Move),
                Just(Step::Remove), Just(Step::Touch), Just(Step::Restart),
            ]),
            0..40,
        ),
        polls: bool,
    ) {
        let folder = tempfile::tempdir().unwrap();
        let sources = BTreeMap::from([("orders".to_owned(), source("in"))]);
        let poll = if polls { Duration::ZERO } else { SECOND * 3_600 };
        let settings = LandingSettings { stable_for: Duration::ZERO, poll };
        let start = || Landing::new(&sources, folder.path(), settings).unwrap();
        let (mut landing, mut taken, mut there) = (start(), BTreeSet::new(), BTreeSet::new());
        let input = folder.path().join("in");
        fs::create_dir(&input).unwrap();
        for (number, (file, step)) in steps.into_iter().enumerate() {
            let path = input.join(format!("{file}.csv"));
            let write = |path: &Path, content: u8| {
                let mut file = fs::File::create(path).unwrap();
                file.write_all(&[content]).unwrap();
                // Clocks of file systems tick slower than this test writes.
                file.set_modified(SystemTime::UNIX_EPOCH + SECOND * number as u32).unwrap();
            };
            match step {
                Step::Write(content) => write(&path, content),
                Step::Move(content) => {
                    let part = path.with_extension("part");
                    write(&part, content);
                    fs::rename(part, &path).unwrap();
                }
                Step::Remove => drop(fs::remove_file(&path)),
                Step::Touch => drop(fs::File::options().append(true).open(&path).map(|file| {
                    file.set_modified(SystemTime::UNIX_EPOCH + SECOND * number as u32).unwrap();
                })),
                Step::Restart => landing = start(),
            }
            for arrived in look(&mut landing, later(Duration::ZERO), &taken, ALL).files {
                prop_assert!(taken.insert(arrived.taken), "given twice");
            }
            for entry in fs::read_dir(&input).unwrap() {
                let entry = entry.unwrap();
                let content = fs::read(entry.path()).unwrap();
                there.insert((entry.file_name().into_string().unwrap(), blake3::hash(&content).to_hex().to_string()));
            }
            let given: BTreeSet<_> = taken.iter().map(|f| (f.name.clone(), f.content_hash.clone())).collect();
            prop_assert_eq!(&given, &there);
        }
    }
}
