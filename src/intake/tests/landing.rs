//! What a landing folder gives, and when.

use crate::config::{Format, Source};
use crate::intake::entry::Now;
use crate::intake::*;
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::Write;
use std::path::Path;
use std::time::{Duration, Instant, SystemTime};

pub(super) const SECOND: Duration = Duration::from_secs(1);
pub(super) const ALL: (usize, u64) = (usize::MAX, u64::MAX);

pub(super) fn source(path: &str) -> Source {
    // Through the schema, so that a new member of it needs no change here.
    let text = serde_json::json!({ "path": path });
    serde_json::from_value(text).unwrap()
}

fn landing(base: &Path, paths: &[(&str, &str)], stable_for: Duration) -> Landing {
    let sources: BTreeMap<_, _> = paths.iter().map(|(name, path)| ((*name).to_owned(), source(path))).collect();
    // A poll of zero: every look is at everything, whether or not word comes.
    Landing::new(&sources, base, LandingSettings { stable_for, poll: Duration::ZERO }).unwrap()
}

/// The clock so much later.
pub(super) fn later(by: Duration) -> Now {
    Now { wall: SystemTime::now() + by, steady: Instant::now() + by }
}

pub(super) fn look(
    landing: &mut Landing,
    now: Now,
    taken: &BTreeSet<TakenFile>,
    (files, bytes): (usize, u64),
) -> Ready {
    landing.ready_at(now, &|file| taken.contains(file), files, bytes).unwrap()
}

fn names(ready: &Ready) -> Vec<String> {
    ready.files.iter().map(|f| format!("{}/{}", f.taken.source, f.taken.name)).collect()
}

#[test]
fn a_half_written_file_waits_until_it_stays_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let mut landing = landing(folder.path(), &[("orders", ".")], SECOND);
    let none = BTreeSet::new();
    let mut file = fs::File::create(folder.path().join("a.csv")).unwrap();
    for seconds in [0, 1, 2] {
        file.write_all(b"line\n").unwrap();
        let ready = look(&mut landing, later(SECOND * seconds), &none, ALL);
        assert_eq!((names(&ready), ready.growing), (vec![], 1), "after {seconds} s");
    }
    let ready = look(&mut landing, later(SECOND * 2 + SECOND / 2), &none, ALL);
    assert_eq!(ready.growing, 1, "half a second is not long enough");
    let ready = look(&mut landing, later(SECOND * 3), &none, ALL);
    assert_eq!((names(&ready), ready.growing), (vec!["orders/a.csv".to_owned()], 0));
    let taken = &ready.files[0].taken;
    assert_eq!(taken.content_hash, blake3::hash(b"line\nline\nline\n").to_hex().to_string());
    assert_eq!((taken.size_in_bytes, ready.files[0].format), (15, Format::Csv));
}

#[test]
fn a_done_mark_makes_a_file_complete_and_is_no_data_itself() {
    let folder = tempfile::tempdir().unwrap();
    let mut orders = source(".");
    orders.format = Some(Format::Csv);
    let settings = LandingSettings { stable_for: SECOND * 60, poll: SECOND };
    let mut landing = Landing::new(&BTreeMap::from([("orders".to_owned(), orders)]), folder.path(), settings).unwrap();
    let none = BTreeSet::new();
    fs::write(folder.path().join("a.csv"), "x").unwrap();
    assert_eq!(look(&mut landing, later(Duration::ZERO), &none, ALL).growing, 1);
    fs::write(folder.path().join("a.csv.done"), "").unwrap();
    for hidden in [".b.csv", "_c.csv", "d.csv.tmp", "e.part", "f.PARTIAL", "g.crdownload"] {
        fs::write(folder.path().join(hidden), "x").unwrap();
    }
    let ready = look(&mut landing, later(Duration::ZERO), &none, ALL);
    assert_eq!((names(&ready), ready.growing), (vec!["orders/a.csv".to_owned()], 0));
}

#[test]
#[cfg(target_os = "linux")]
fn a_file_renamed_into_place_is_complete_at_once_and_one_written_in_place_is_not() {
    let folder = tempfile::tempdir().unwrap();
    let sources = BTreeMap::from([("orders".to_owned(), source("orders-*.csv"))]);
    let settings = LandingSettings { stable_for: SECOND * 60, poll: SECOND * 60 };
    let mut landing = Landing::new(&sources, folder.path(), settings).unwrap();
    let none = BTreeSet::new();
    assert_eq!(look(&mut landing, later(Duration::ZERO), &none, ALL), Ready::default());
    let (part, whole) = (folder.path().join("orders-1.csv.part"), folder.path().join("orders-1.csv"));
    fs::write(&part, "x").unwrap();
    fs::rename(&part, &whole).unwrap();
    fs::write(folder.path().join("orders-2.csv"), "y").unwrap();
    fs::write(folder.path().join("returns-1.csv"), "z").unwrap();
    let start = Instant::now();
    landing.wait(&Stop::manual());
    assert!(start.elapsed() < SECOND * 30, "the wait must end on word of the file");
    let ready = look(&mut landing, later(Duration::ZERO), &none, ALL);
    assert_eq!((names(&ready), ready.growing), (vec!["orders/orders-1.csv".to_owned()], 1));
}

#[test]
fn a_backlog_is_complete_at_first_sight_and_a_clock_ahead_delays_nothing_for_ever() {
    let folder = tempfile::tempdir().unwrap();
    let mut landing = landing(folder.path(), &[("orders", ".")], SECOND);
    let none = BTreeSet::new();
    for (name, changed_at) in
        [("old.csv", SystemTime::now() - SECOND * 61), ("new.csv", SystemTime::now() + SECOND * 3_600)]
    {
        let file = fs::File::create(folder.path().join(name)).unwrap();
        file.set_modified(changed_at).unwrap();
    }
    let ready = look(&mut landing, later(Duration::ZERO), &none, ALL);
    assert_eq!((names(&ready), ready.growing), (vec!["orders/old.csv".to_owned()], 1));
    let ready = look(&mut landing, later(SECOND), &none, ALL);
    assert_eq!(names(&ready), ["orders/new.csv", "orders/old.csv"]);
}

#[test]
fn the_same_name_with_other_content_is_another_file_and_the_same_content_is_not() {
    let folder = tempfile::tempdir().unwrap();
    let mut landing = landing(folder.path(), &[("orders", "a.csv")], Duration::ZERO);
    let (mut taken, path) = (BTreeSet::new(), folder.path().join("a.csv"));
    assert_eq!(look(&mut landing, later(Duration::ZERO), &taken, ALL), Ready::default());
    fs::write(&path, "one").unwrap();
    let first = look(&mut landing, later(Duration::ZERO), &taken, ALL).files.remove(0).taken;
    taken.insert(first.clone());
    assert_eq!(look(&mut landing, later(Duration::ZERO), &taken, ALL), Ready::default());
    fs::write(&path, "two").unwrap();
    fs::File::options().write(true).open(&path).unwrap().set_modified(SystemTime::now() + SECOND).unwrap();
    let second = look(&mut landing, later(Duration::ZERO), &taken, ALL).files.remove(0).taken;
    assert_eq!((&second.name, second.size_in_bytes), (&first.name, first.size_in_bytes));
    assert_ne!(second.content_hash, first.content_hash);
    taken.insert(second);
    // Touched, with the bytes it had: read again, and not given again.
    fs::File::options().write(true).open(&path).unwrap().set_modified(SystemTime::now() + SECOND * 2).unwrap();
    assert_eq!(look(&mut landing, later(Duration::ZERO), &taken, ALL), Ready::default());
    assert_eq!(landing.hashes.made, 3);
}

#[test]
fn what_an_earlier_process_knew_is_not_read_again_unless_it_changed() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["a.csv", "b.csv", "c.csv"] {
        fs::write(folder.path().join(name), name).unwrap();
    }
    let mut before = landing(folder.path(), &[("orders", ".")], Duration::ZERO);
    let ready = look(&mut before, later(Duration::ZERO), &BTreeSet::new(), ALL);
    let taken: BTreeSet<TakenFile> = ready.files.iter().map(|file| file.taken.clone()).collect();
    let mut after = landing(folder.path(), &[("orders", ".")], Duration::ZERO);
    for file in &ready.files {
        let since = file.arrived_at.duration_since(SystemTime::UNIX_EPOCH).unwrap();
        after.remember(&file.taken, since.as_nanos() as i64);
    }
    // Of one size, and written since.
    let path = folder.path().join("b.csv");
    fs::write(&path, "B.csv").unwrap();
    fs::File::options().write(true).open(&path).unwrap().set_modified(SystemTime::now() + SECOND).unwrap();
    assert_eq!(names(&look(&mut after, later(Duration::ZERO), &taken, ALL)), ["orders/b.csv"]);
    assert_eq!(after.hashes.made, 1);
}

#[test]
fn files_come_in_the_order_of_their_names_over_all_sources_and_within_the_limits() {
    let folder = tempfile::tempdir().unwrap();
    let sources = [("b_orders", "orders"), ("a_returns", "returns/2*.csv"), ("c_tickets", "tickets/*/t.csv")];
    let mut landing = landing(folder.path(), &sources, Duration::ZERO);
    let mut taken = BTreeSet::new();
    assert_eq!(look(&mut landing, later(Duration::ZERO), &taken, ALL), Ready::default(), "no folder is there yet");
    fs::create_dir_all(folder.path().join("tickets/x")).unwrap();
    for file in ["orders/1.csv", "orders/2.csv", "returns/2.csv", "returns/3.csv", "orders/4.csv", "tickets/x/t.csv"] {
        let path = folder.path().join(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, file.repeat(10)).unwrap();
    }
    let all = ["b_orders/1.csv", "a_returns/2.csv", "b_orders/2.csv", "b_orders/4.csv", "c_tickets/x/t.csv"];
    let ready = look(&mut landing, later(Duration::ZERO), &taken, ALL);
    assert_eq!((names(&ready), ready.more), (all.map(str::to_owned).to_vec(), false));
    // One by one by number, two by two by bytes, and at least one whatever the bytes.
    let ready = look(&mut landing, later(Duration::ZERO), &taken, (1, u64::MAX));
    assert_eq!((names(&ready), ready.more), (vec![all[0].to_owned()], true));
    let ready = look(&mut landing, later(Duration::ZERO), &taken, (9, 300));
    assert_eq!((names(&ready), ready.more), (all[..2].iter().map(|n| (*n).to_owned()).collect(), true));
    let mut seen = Vec::new();
    loop {
        let ready = look(&mut landing, later(Duration::ZERO), &taken, (9, 0));
        seen.extend(names(&ready));
        taken.extend(ready.files.into_iter().map(|f| f.taken));
        if !ready.more {
            break;
        }
    }
    assert_eq!(seen, all);
    assert_eq!(landing.hashes.made, 5, "each file is read once, however often it is given");
}

#[test]
fn what_vanishes_between_listing_and_hashing_is_forgotten_and_what_changes_is_growing() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let mut landing = landing(folder.path(), &[("orders", ".")], Duration::ZERO);
    for name in ["a.csv", "b.csv", "c.csv"] {
        fs::write(path(name), "x").unwrap();
    }
    // The look asks about `a.csv` first, after all were listed and before the others are read.
    let meddle = RefCell::new(true);
    let ready = landing
        .ready_at(
            later(Duration::ZERO),
            &|file| {
                if file.name == "a.csv" && meddle.replace(false) {
                    fs::remove_file(path("b.csv")).unwrap();
                    fs::write(path("c.csv"), "longer").unwrap();
                }
                false
            },
            9,
            u64::MAX,
        )
        .unwrap();
    assert_eq!((names(&ready), ready.growing), (vec!["orders/a.csv".to_owned()], 1));
    let ready = look(&mut landing, later(Duration::ZERO), &BTreeSet::new(), ALL);
    assert_eq!((names(&ready), ready.growing), (vec!["orders/a.csv".to_owned(), "orders/c.csv".to_owned()], 0));
}

#[test]
fn a_file_of_unknown_format_is_told_of_until_it_is_set_aside_and_never_stops_the_others() {
    let folder = tempfile::tempdir().unwrap();
    let mut landing = landing(folder.path(), &[("orders", "in*")], Duration::ZERO);
    fs::write(folder.path().join("in.xlsx"), "x").unwrap();
    fs::write(folder.path().join("in.csv"), "x").unwrap();
    let mut taken = BTreeSet::new();
    let paused = landing.ready_at(later(Duration::ZERO), &|_| Standing::Paused, 9, 9).unwrap();
    assert_eq!(paused, Ready { paused: 2, ..Ready::default() }, "they are asked about again");
    let ready = look(&mut landing, later(Duration::ZERO), &taken, ALL);
    assert_eq!((names(&ready), ready.paused), (vec!["orders/in.csv".to_owned()], 0));
    assert_eq!(
        (ready.unreadable[0].file.name.as_str(), ready.unreadable[0].file.content_hash.as_str()),
        ("in.xlsx", "")
    );
    assert!(ready.unreadable[0].why.contains("format"), "{:?}", ready.unreadable);
    taken.insert(ready.unreadable[0].file.clone());
    assert!(look(&mut landing, later(Duration::ZERO), &taken, ALL).unreadable.is_empty());
}

#[test]
fn a_glob_that_is_none_is_refused_at_the_start() {
    let sources = BTreeMap::from([("orders".to_owned(), source("in/[.csv"))]);
    let settings = LandingSettings { stable_for: SECOND, poll: SECOND };
    let error = Landing::new(&sources, Path::new("."), settings).unwrap_err();
    assert_eq!(error.exit_code(), 2);
    assert!(error.to_string().contains("source `orders`: `in/[.csv` is not a valid glob"), "{error}");
}

#[test]
#[cfg(target_os = "linux")]
fn ten_thousand_taken_files_cost_a_look_nothing_and_a_listing_one_question_each() {
    let folder = tempfile::tempdir().unwrap();
    for n in 0..10_000 {
        fs::write(folder.path().join(format!("{n:05}.csv")), n.to_string()).unwrap();
    }
    let sources = BTreeMap::from([("orders".to_owned(), source("*.csv"))]);
    let settings = LandingSettings { stable_for: Duration::ZERO, poll: SECOND * 3_600 };
    let mut landing = Landing::new(&sources, folder.path(), settings).unwrap();
    let now = later(Duration::ZERO);
    let taken: BTreeSet<_> =
        look(&mut landing, now, &BTreeSet::new(), ALL).files.into_iter().map(|f| f.taken).collect();
    assert_eq!((taken.len(), landing.hashes.made, landing.stats), (10_000, 10_000, 10_000));
    let asked = RefCell::new(0);
    let count = |landing: &mut Landing, now| {
        let (stats, made) = (landing.stats, landing.hashes.made);
        asked.replace(0);
        let is_taken = |file: &TakenFile| {
            *asked.borrow_mut() += 1;
            taken.contains(file)
        };
        let ready = landing.ready_at(now, &is_taken, 9, u64::MAX).unwrap();
        (ready.files.len(), landing.stats - stats, landing.hashes.made - made, *asked.borrow())
    };
    assert_eq!(count(&mut landing, now), (0, 0, 0, 10_000), "the caller is asked once about each");
    assert_eq!(count(&mut landing, now), (0, 0, 0, 0), "and then never again");
    fs::write(folder.path().join("new.csv"), "new").unwrap();
    assert_eq!(count(&mut landing, now), (1, 1, 1, 1), "one more file is one question, one hash");
    assert_eq!(count(&mut landing, later(SECOND * 7_200)), (1, 10_001, 0, 1), "a listing hashes nothing again");
}

#[test]
#[cfg(target_os = "linux")]
fn word_of_changes_finds_what_a_listing_finds() {
    let folder = tempfile::tempdir().unwrap();
    let sources: BTreeMap<_, _> =
        [("a", "in"), ("b", "in/x*.csv"), ("c", "in/x1.csv")].map(|(n, p)| (n.to_owned(), source(p))).into();
    let settings = LandingSettings { stable_for: Duration::ZERO, poll: SECOND * 3_600 };
    let mut quick = Landing::new(&sources, folder.path(), settings).unwrap();
    let (taken, now) = (BTreeSet::new(), later(Duration::ZERO));
    let input = folder.path().join("in");
    let step = |number: usize| match number {
        0 => fs::create_dir(&input).unwrap(),
        1..=3 => fs::write(input.join(format!("x{number}.csv")), "1").unwrap(),
        4 => fs::write(input.join("x2.csv"), "other").unwrap(),
        5 => fs::rename(input.join("x3.csv"), input.join("y.csv")).unwrap(),
        6 => fs::rename(&input, folder.path().join("out")).unwrap(),
        7 => fs::create_dir(&input).unwrap(),
        _ => fs::write(input.join("x1.csv"), "again").unwrap(),
    };
    for number in 0..9 {
        look(&mut quick, now, &taken, ALL);
        step(number);
        let found = look(&mut quick, now, &taken, ALL);
        let mut fresh = Landing::new(&sources, folder.path(), settings).unwrap();
        let all = look(&mut fresh, now, &taken, ALL);
        assert_eq!(names(&found), names(&all), "step {number}");
        assert_eq!(found, all, "step {number}");
    }
}

#[test]
fn a_wait_ends_after_the_poll_interval_and_when_asked_to_stop() {
    let folder = tempfile::tempdir().unwrap();
    let sources = BTreeMap::from([("orders".to_owned(), source("not/there/yet"))]);
    let wait = |poll: Duration, stop: &Stop| {
        let landing = Landing::new(&sources, folder.path(), LandingSettings { stable_for: SECOND, poll }).unwrap();
        let start = Instant::now();
        landing.wait(stop);
        start.elapsed()
    };
    assert!(wait(Duration::from_millis(50), &Stop::manual()) >= Duration::from_millis(50));
    let stop = Stop::manual();
    stop.set();
    assert!(wait(SECOND * 3_600, &stop) < SECOND * 60);
}
