//! Files that are read before they are given.

use super::landing::{ALL, SECOND, later, look, source};
use crate::intake::*;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::time::Duration;

#[test]
fn what_comes_is_what_is_given_then_and_what_was_read_ahead_is_not_read_again() {
    let folder = tempfile::tempdir().unwrap();
    for (name, length) in [("a.csv", 10), ("b.csv", 20), ("c.csv", 30), ("d.csv", 5)] {
        fs::write(folder.path().join(name), "x".repeat(length)).unwrap();
    }
    let sources = BTreeMap::from([("orders".to_owned(), source("."))]);
    let settings = LandingSettings { stable_for: Duration::ZERO, poll: Duration::ZERO };
    let mut landing = Landing::new(&sources, folder.path(), settings).unwrap();
    let taken = BTreeSet::new();
    for (files, bytes) in [(1, u64::MAX), (2, u64::MAX), (usize::MAX, 30), (usize::MAX, 29), (usize::MAX, 0), ALL] {
        let mut fresh = Landing::new(&sources, folder.path(), settings).unwrap();
        let given = look(&mut fresh, later(Duration::ZERO), &taken, (files, bytes)).files;
        let coming = landing.coming(&|_| true, files, bytes).unwrap();
        let hashed = |file: &Coming| blake3::hash(&fs::read(&file.path).unwrap()).to_hex().to_string();
        let known: Vec<TakenFile> = coming.iter().map(|file| file.taken(&hashed(file))).collect();
        assert_eq!(known, given.into_iter().map(|file| file.taken).collect::<Vec<_>>(), "{files} files, {bytes} bytes");
    }
    assert_eq!(landing.hashes.made, 0, "nothing is read to be told of");
    let coming = landing.coming(&|file| file.content_hash.is_empty() && file.name != "b.csv", usize::MAX, u64::MAX);
    for file in coming.unwrap() {
        assert!(file.stands());
        landing.know(&file, &format!("hash of {}", file.name));
    }
    let given = look(&mut landing, later(Duration::ZERO), &taken, ALL).files;
    assert_eq!((given.len(), landing.hashes.made), (4, 1), "b alone was not read");
    assert_eq!(given[0].taken.content_hash, "hash of a.csv");
    // What is known is asked about by its bytes, and one that changed is not known any more.
    let is_new = |file: &TakenFile| !file.content_hash.starts_with("hash of");
    assert_eq!(landing.coming(&is_new, usize::MAX, u64::MAX).unwrap().len(), 1);
    let before = landing.coming(&|file| file.name == "c.csv", 1, 0).unwrap().remove(0);
    fs::write(folder.path().join("c.csv"), "longer than it was, by some").unwrap();
    assert!(!before.stands());
    landing.know(&before, "hash of what it was");
    let given = look(&mut landing, later(SECOND), &taken, ALL).files;
    let hash = blake3::hash(b"longer than it was, by some").to_hex().to_string();
    assert_eq!((given[2].taken.name.as_str(), &given[2].taken.content_hash), ("c.csv", &hash));
}

#[test]
fn what_still_grows_and_what_nobody_can_read_does_not_come() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("a.csv"), "x").unwrap();
    fs::write(folder.path().join("b.unknown"), "x").unwrap();
    let sources = BTreeMap::from([("orders".to_owned(), source("*"))]);
    let coming = |stable_for: Duration| {
        let settings = LandingSettings { stable_for, poll: Duration::ZERO };
        let mut landing = Landing::new(&sources, folder.path(), settings).unwrap();
        landing.coming(&|_| true, usize::MAX, u64::MAX).unwrap().into_iter().map(|f| f.name).collect::<Vec<_>>()
    };
    assert_eq!(coming(Duration::ZERO), ["a.csv"]);
    assert!(coming(SECOND * 60).is_empty());
}
