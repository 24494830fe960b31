//! What is written comes back, and nothing else is taken for it.

use super::writing::SHARED_IN_BYTES;
use super::*;
use std::collections::BTreeSet;

const OURS: [u8; HASH] = [7; HASH];
/// Rows of a column that is shared.
const LONG: u32 = (SHARED_IN_BYTES / 4) as u32 + 7;

fn sections() -> Vec<Section> {
    let (mut numbers, mut texts) = (Section::default(), Section::default());
    numbers.one(-5_i64);
    numbers.column([1_u32, u32::MAX].into_iter());
    numbers.column([i128::MIN, 3].into_iter());
    numbers.column([true, false, true].into_iter());
    numbers.frozen(&Frozen::from(vec![5_i64, 6]));
    numbers.frozen(&Frozen::from((0..LONG).collect::<Vec<u32>>()));
    texts.texts(["", "an order", "订单"].into_iter());
    texts.bytes(&[1, 2]);
    vec![numbers, Section::default(), texts]
}

#[test]
fn columns_come_back_as_they_were() {
    let bytes = whole(&OURS, sections());
    let mut read = open(&bytes, &OURS).unwrap();
    assert_eq!(read.len(), 3);
    assert_eq!(read[0].one::<i64>().unwrap(), -5);
    assert_eq!(read[0].column::<u32>().unwrap(), [1, u32::MAX]);
    assert_eq!(read[0].column::<i128>().unwrap(), [i128::MIN, 3]);
    assert!(read[0].clone().finish().is_err(), "a column is left");
    assert_eq!(read[0].column::<bool>().unwrap(), [true, false, true]);
    assert_eq!(read[0].frozen::<i64>().unwrap()[..], [5, 6]);
    assert!(read[0].frozen::<u32>().unwrap().iter().copied().eq(0..LONG));
    assert!(read[0].one::<u8>().is_err(), "nothing is left");
    assert_eq!(read[2].texts().unwrap(), ["", "an order", "订单"]);
    assert_eq!(read[2].bytes().unwrap(), [1, 2]);
    assert!(read.into_iter().all(|section| section.finish().is_ok()));
}

/// Writes a state and its columns; the names of the files that it points to.
fn write(folder: &std::path::Path, name: &str, mut state: Vec<Section>, kept: &[String]) -> Vec<String> {
    let file = format!("columns-of-{name}");
    let mut columns = Columns::separate(&mut state, &kept.iter().cloned().collect(), &file);
    std::fs::write(folder.join(name), whole(&OURS, state)).unwrap();
    if !columns.sections.is_empty() {
        std::fs::write(folder.join(&file), whole(&OURS, std::mem::take(&mut columns.sections))).unwrap();
    }
    let files = columns.files.clone();
    columns.are_written();
    files
}

#[test]
fn frozen_columns_stay_in_their_files_until_they_are_changed_and_are_written_once() {
    let folder = tempfile::tempdir().unwrap();
    let mut long = Frozen::from((0..LONG).collect::<Vec<u32>>());
    let mut rows = Grown::default();
    (0..LONG as u64).for_each(|row| rows.push(row));
    let state = |long: &Frozen<u32>, rows: &mut Grown<u64>| {
        let mut section = Section::default();
        section.one(7_u8);
        section.frozen(long);
        section.column([1_u32].into_iter());
        section.grown(rows);
        vec![section]
    };
    let first = write(folder.path(), "a", state(&long, &mut rows), &[]);
    assert_eq!(first, ["columns-of-a"]);
    // The same again: nothing of it is written, unless the file does not count.
    assert_eq!(write(folder.path(), "b", state(&long, &mut rows), &first), first);
    let all_again = write(folder.path(), "c", state(&long, &mut rows), &[]);
    assert_eq!(all_again, ["columns-of-c"]);
    assert_eq!(write(folder.path(), "f", state(&long, &mut rows), &all_again), all_again);
    assert_eq!(write(folder.path(), "a", state(&long, &mut rows), &[]), first);
    long.edit()[3] = 9;
    (0..LONG as u64 / 8).for_each(|row| rows.push(row));
    let changed = write(folder.path(), "d", state(&long, &mut rows), &first);
    assert_eq!(changed, ["columns-of-d", "columns-of-a"]);
    let size = |name: &str| std::fs::metadata(folder.path().join(name)).unwrap().len();
    assert!(size("columns-of-d") < size("columns-of-a") * 3 / 4);
    let read = |name: &str| {
        let paths = ["a", "b", "c", "d", "e"].map(|name| format!("columns-of-{name}"));
        let paths = paths.map(|name| (folder.path().join(&name), name));
        let there = paths.iter().filter(|(path, _)| path.exists()).map(|(path, name)| (name.as_str(), path.as_path()));
        let files = Files::read(&folder.path().join(name), there.collect()).unwrap();
        let mut section = files.open(&OURS).unwrap().remove(0);
        assert_eq!(section.one::<u8>().unwrap(), 7);
        let long = section.frozen::<u32>().unwrap();
        assert_eq!(section.column::<u32>().unwrap(), [1]);
        let rows = section.grown::<u64>().unwrap();
        section.finish().unwrap();
        (long, rows)
    };
    let before = (0..LONG).collect::<Vec<_>>();
    assert!(["a", "b", "c"].iter().all(|name| *read(name).0 == before));
    let (mut long, mut rows) = read("d");
    assert_eq!((long[3], long[4], rows.len()), (9, 4, (LONG + LONG / 8) as usize));
    assert!(rows.iter().eq((0..LONG as u64).chain(0..LONG as u64 / 8)));
    assert_eq!([0, LONG as usize, rows.len()].map(|at| rows.get(at)), [Some(0), Some(0), None]);
    // What was read knows where it is.
    assert_eq!(write(folder.path(), "e", state(&long, &mut rows), &changed), changed);
    // Files that are gone: what looks at them stays.
    std::fs::remove_file(folder.path().join("columns-of-d")).unwrap();
    let other = long.clone();
    long.edit()[0] = 5;
    assert_eq!((long[0], other[0], long.len()), (5, 0, LONG as usize));
    let files = Files::read(&folder.path().join("e"), Vec::new()).unwrap();
    assert!(files.open(&OURS).is_err());
}

#[test]
fn what_is_changed_while_it_is_written_is_not_taken_for_what_was_written() {
    let mut column = Frozen::from((0..LONG).collect::<Vec<u32>>());
    let mut section = Section::default();
    section.frozen(&column);
    let mut state = vec![section];
    let columns = Columns::separate(&mut state, &BTreeSet::new(), "file");
    column.edit()[0] = 1;
    columns.are_written();
    assert!(column.place().is_none());
    assert_eq!(Columns::kept_in_bytes(&state, &BTreeSet::from(["file".to_owned()])), u64::from(LONG) * 4);
}

#[test]
fn rows_that_grow_are_in_few_pieces() {
    let mut rows = Grown::default();
    let mut all = Vec::new();
    for step in 0..300_u64 {
        for row in 0..[1, 0, 40, 3, 700][step as usize % 5] {
            rows.push(step + row);
            all.push(step + row);
        }
        assert!(rows.freeze().len() <= 8);
        assert_eq!((rows.len(), rows.get(all.len() / 2)), (all.len(), all.get(all.len() / 2).copied()));
    }
    assert!(rows.iter().eq(all));
}

#[test]
fn a_long_piece_is_never_moved_again_and_its_rows_are_found() {
    let many = 4 << 20;
    let mut rows = Grown::from((0..many).collect::<Vec<u64>>());
    let first = rows.freeze().map(|piece| piece.as_ptr()).collect::<Vec<_>>();
    for row in many..many + 40 {
        rows.push(row);
        let pieces: Vec<_> = rows.freeze().map(|piece| (piece.as_ptr(), piece.len())).collect();
        assert_eq!((pieces[0].0, pieces[0].1 as u64), (first[0], many));
        assert!(pieces.len() <= 9);
    }
    for at in [0, many - 1, many, many + 7, many + 39] {
        assert_eq!(rows.get(at as usize), Some(at));
        assert_eq!(rows.slice(at as usize..at as usize + 1), Some(&[at][..]));
    }
    assert_eq!((rows.get(many as usize + 40), rows.len() as u64), (None, many + 40));
}

#[test]
fn whatever_is_not_what_was_written_is_refused_and_says_so() {
    let bytes = whole(&OURS, sections());
    // What only fills the header up.
    let end = 8 + 4 + HASH + 8 + 3 * ENTRY + HASH;
    let is_gap = |at: usize| (end..end.next_multiple_of(ALIGNED)).contains(&at);
    let says = |bytes: &[u8], whose: &[u8; HASH]| {
        let error = open(bytes, whose).err().unwrap();
        assert!(error.hint().is_some());
        error.to_string()
    };
    for at in (12..400).chain((400..bytes.len()).step_by(997)).filter(|at| !is_gap(*at)) {
        let mut flipped = bytes.clone();
        flipped[at] ^= 1;
        assert!(says(&flipped, &OURS).contains("damaged or cut short"), "byte {at}");
    }
    for length in (8..400).chain((400..bytes.len()).step_by(997)) {
        assert!(says(&bytes[..length], &OURS).contains("damaged or cut short"), "{length} bytes");
    }
    let mut newer = bytes.clone();
    newer[8] = 9;
    assert!(says(&newer, &OURS).contains("has version 9, this program reads version 4"));
    assert!(says(b"PAR1", &OURS).contains("no state of this program"));
    assert!(says(&bytes, &[8; HASH]).contains("other settings"));
}

#[test]
fn columns_of_rows_in_a_file_are_read_once_and_when_they_are_asked_for() {
    use polars::prelude::*;
    use std::sync::{Arc, Mutex};
    let frame = df!("n" => [1_i64, 2], "text" => ["a", "b"]).unwrap();
    let reads = Arc::new(Mutex::new(Vec::new()));
    let read = || {
        let (reads, given) = (Arc::clone(&reads), frame.clone());
        move |nth: usize| {
            reads.lock().unwrap().push(nth);
            Ok(given.columns()[nth].clone())
        }
    };
    let rows = Rows::in_file(2, frame.clear(), read());
    let other = rows.clone();
    let texts = |_: &str, dtype: &DataType| *dtype == DataType::String;
    assert_eq!((rows.height(), rows.none(&texts).unwrap()), (2, df!("text" => [""; 0]).unwrap()));
    assert!(reads.lock().unwrap().is_empty());
    assert!(rows.wanted(&texts).unwrap().equals(&frame.select(["text"]).unwrap()));
    assert_eq!(*reads.lock().unwrap(), [1]);
    assert!(rows.all().unwrap().equals(&frame) && other.all().unwrap().equals(&frame));
    assert_eq!(*reads.lock().unwrap(), [1, 0]);
    // Another number of rows is another file, and so are other columns.
    assert!(Rows::in_file(3, frame.clear(), read()).all().is_err());
    assert!(Rows::in_file(2, df!("n" => [0_i64; 0], "text" => [0_i64; 0]).unwrap(), read()).all().is_err());
    assert!(Rows::from(frame.clone()).all().unwrap().equals(&frame));
}

#[test]
fn columns_that_are_saved_are_let_go_of_when_nobody_asks_for_them() {
    use polars::prelude::*;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    let frame = df!("n" => [1_i64, 2], "text" => ["a", "b"]).unwrap();
    let rows = Rows::from(frame.clone());
    let texts = |_: &str, dtype: &DataType| *dtype == DataType::String;
    // Nobody else has them: they stay, however often.
    (0..3).for_each(|_| rows.let_go());
    assert!(rows.all().unwrap().equals(&frame));
    let reads = Arc::new(AtomicUsize::new(0));
    let (counts, given) = (Arc::clone(&reads), frame.clone());
    rows.are_saved(move |nth| {
        counts.fetch_add(1, Ordering::Relaxed);
        Ok(given.columns()[nth].clone())
    });
    let read = |expected| assert_eq!(reads.swap(0, Ordering::Relaxed), expected);
    rows.let_go();
    rows.wanted(&texts).unwrap();
    // Asked for since; the number was not.
    rows.let_go();
    assert!(rows.clone().wanted(&texts).unwrap().equals(&frame.select(["text"]).unwrap()));
    read(0);
    assert!(rows.all().unwrap().equals(&frame));
    read(1);
    rows.let_go();
    assert!(rows.all().unwrap().equals(&frame));
    read(0);
    (0..2).for_each(|_| rows.let_go());
    assert!(rows.all().unwrap().equals(&frame));
    read(2);
}

#[test]
fn a_column_that_is_damaged_is_seen_by_who_points_to_it() {
    let folder = tempfile::tempdir().unwrap();
    let (one, other) = (Frozen::from(vec![1_u32; LONG as usize]), Frozen::from(vec![2_u32; LONG as usize]));
    let state = |columns: &[&Frozen<u32>]| {
        let mut section = Section::default();
        columns.iter().for_each(|column| section.frozen(column));
        vec![section]
    };
    let files = write(folder.path(), "both", state(&[&one, &other]), &[]);
    write(folder.path(), "one", state(&[&one]), &files);
    let path = folder.path().join(&files[0]);
    let mut bytes = std::fs::read(&path).unwrap();
    let last = bytes.len() - 40;
    bytes[last] ^= 1;
    std::fs::write(&path, bytes).unwrap();
    let read = |name: &str, columns: usize| {
        let there = vec![(files[0].as_str(), path.as_path())];
        let there = Files::read(&folder.path().join(name), there).unwrap();
        let mut section = there.open(&OURS).unwrap().remove(0);
        (0..columns).all(|_| section.frozen::<u32>().is_ok())
    };
    assert!(read("one", 1), "what nobody points to does not matter");
    assert!(read("both", 1) && !read("both", 2));
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig::with_cases(24))]

    /// Rows are pushed, changed and saved; what was saved stays as it was, and what stayed is not written again.
    #[test]
    fn pages_hold_what_was_put_into_them_and_only_those_that_changed_are_written_again(
        steps in proptest::collection::vec((0_usize..300_000, 0_u64..4, 0_u8..6), 1..12),
    ) {
        let folder = tempfile::tempdir().unwrap();
        let (mut rows, mut known, mut kept) = (Paged::default(), Vec::new(), Vec::<String>::new());
        for (nth, (at, value, kind)) in steps.into_iter().enumerate() {
            match kind {
                0..3 => {
                    rows.reach(at, value);
                    known.resize(at.max(known.len()), value);
                }
                3 | 4 => {
                    let before = known.get(at).copied();
                    proptest::prop_assert_eq!(rows.replace(at, value), before);
                    if before.is_some() {
                        known[at] = value;
                    }
                }
                _ => {
                    let save = |rows: &mut Paged<u64>| {
                        let mut section = Section::default();
                        section.paged(rows);
                        vec![section]
                    };
                    let name = format!("state-{nth}");
                    kept = write(folder.path(), &name, save(&mut rows), &kept);
                    // Nothing changed since: no page of its own is in a file twice.
                    let again = write(folder.path(), "again", save(&mut rows), &kept);
                    proptest::prop_assert!(again.iter().all(|file| kept.contains(file)), "{:?} {:?}", kept, again);
                    let paths: Vec<_> = kept.iter().map(|file| folder.path().join(file)).collect();
                    let columns = kept.iter().map(String::as_str).zip(paths.iter().map(|path| path.as_path()));
                    let files = Files::read(&folder.path().join(&name), columns.collect()).unwrap();
                    let mut reader = files.open(&OURS).unwrap().remove(0);
                    let read = reader.paged::<u64>().unwrap();
                    proptest::prop_assert!(reader.finish().is_ok() && read.iter().eq(known.iter().copied()));
                    if value % 2 == 0 {
                        rows = read;
                    }
                }
            }
            rows.push(value);
            known.push(value);
            proptest::prop_assert_eq!((rows.len(), rows.get(known.len()), rows.get(at)), (known.len(), None, known.get(at).copied()));
        }
        proptest::prop_assert!(rows.iter().eq(known));
    }
}
