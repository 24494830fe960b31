//! What epochs of a stream publish: some partitions of a table, and rows that are added.

use super::*;

/// An epoch: some days of scores, one row of `runs`, some state.
fn epoch(publisher: &Publisher, number: u64, days: &[(i32, u32)], exceptions: Option<i32>) -> Result<Published> {
    let mut staging = publisher.begin_replacing(Replaces::Epoch, &format!("epoch-{number}"), BTreeMap::new())?;
    staging.write_partitions(table("order_scores"), &scores(days, number as i64))?;
    if let Some(day) = exceptions {
        let columns = vec![
            Series::new("detected_date".into(), [day]).cast(&DataType::Date).unwrap().into_column(),
            Series::new("rank".into(), [1_i64]).into_column(),
        ];
        staging.write(table("exceptions"), &DataFrame::new(1, columns).unwrap())?;
    }
    let run = DataFrame::new(1, vec![Series::new("run_id".into(), [number as i64]).into_column()]).unwrap();
    staging.append(table("runs"), &run)?;
    staging.write_state(&format!("stream/journal-{number}.json"), b"{}")?;
    if number > 1 {
        staging.keep_state(&format!("stream/journal-{}.json", number - 1));
    }
    staging.commit()
}

#[test]
fn an_epoch_replaces_the_partitions_it_writes_and_rows_that_are_added_join_the_newest_file() {
    let out = tempfile::tempdir().unwrap();
    let publisher = Publisher::open(out.path()).unwrap();
    epoch(&publisher, 1, &[(0, 4), (1, 2)], Some(0)).unwrap();
    let first = tree(out.path());
    epoch(&publisher, 2, &[(1, 2), (1, 6)], None).unwrap();
    let second = tree(out.path());
    let day = |day: &str| format!("order_scores/placed_date={day}/part-0.parquet");
    assert_eq!(first[&day("1970-01-01")], second[&day("1970-01-01")], "a day that is not written again stays");
    assert_ne!(first[&day("1970-01-02")], second[&day("1970-01-02")]);
    assert_eq!(second.keys().filter(|name| name.starts_with("runs/")).count(), 1);
    let snapshot = snapshot(out.path()).unwrap().unwrap();
    let rows = |table: &str| snapshot.tables[table].files.iter().map(|file| file.rows).sum::<u64>();
    assert_eq!((rows("order_scores"), rows("runs"), rows("exceptions")), (3, 2, 1));
    let state: Vec<String> = publisher.state().unwrap().into_keys().collect();
    assert_eq!(state, ["stream/journal-1.json", "stream/journal-2.json"]);
    assert!(!snapshot.tables.contains_key("_state"), "state is no table");
    epoch(&publisher, 3, &[], None).unwrap();
    let state: Vec<String> = publisher.state().unwrap().into_keys().collect();
    assert_eq!(state, ["stream/journal-2.json", "stream/journal-3.json"], "what is neither written nor kept goes");
}

#[test]
fn days_that_an_epoch_writes_are_packed_quickly_and_what_is_written_whole_is_packed_small() {
    use ::parquet::file::reader::{FileReader, SerializedFileReader};
    let out = tempfile::tempdir().unwrap();
    let publisher = Publisher::open(out.path()).unwrap();
    let packed = || {
        let days = tree(out.path()).into_iter().filter(|(name, _)| name.starts_with("order_scores/"));
        let of = |(_, bytes): (_, Vec<u8>)| {
            let reader = SerializedFileReader::new(bytes::Bytes::from(bytes)).unwrap();
            reader.metadata().row_group(0).column(0).compression() == ::parquet::basic::Compression::SNAPPY
        };
        days.map(of).collect::<Vec<_>>()
    };
    let days = [(0, 1), (1, 2)];
    epoch(&publisher, 1, &days, None).unwrap();
    assert_eq!(packed(), [true, true]);
    let mut staging = publisher.begin_replacing(Replaces::Epoch, "whole", BTreeMap::new()).unwrap();
    staging.write(table("order_scores"), &scores(&days, 1)).unwrap();
    staging.commit().unwrap();
    assert_eq!(packed(), [false, false]);
}

#[test]
fn a_partition_that_lost_its_rows_stays_without_them_for_readers_that_listed_it_and_goes_later() {
    let out = tempfile::tempdir().unwrap();
    let publisher = Publisher::open(out.path()).unwrap();
    epoch(&publisher, 1, &[(0, 2)], Some(4)).unwrap();
    epoch(&publisher, 2, &[(0, 2)], Some(5)).unwrap();
    let gone = out.path().join("exceptions/detected_date=1970-01-05/part-0.parquet");
    let rows = |path: &Path| ParquetReader::new(fs::File::open(path).unwrap()).finish().unwrap().height();
    assert_eq!(rows(&gone), 0, "it can be opened still");
    let mut number = 3;
    while gone.exists() {
        epoch(&publisher, number, &[(0, 2)], None).unwrap();
        number += 1;
        assert!(number < 100, "it never goes");
    }
    assert!(number > 40, "it went after {number} commits");
    run(&publisher, 1).unwrap();
    assert!(!paths(out.path()).iter().any(|path| path.contains("exceptions")), "a run takes everything else away");
}

#[test]
fn what_an_epoch_tells_again_as_it_was_is_left_alone_whatever_run_tells_it() {
    let out = tempfile::tempdir().unwrap();
    let publisher = Publisher::open(out.path()).unwrap();
    let told = |number: u64, days: &[(i32, u32)]| {
        let metadata = BTreeMap::from([("run_id".to_owned(), number.to_string())]);
        let scores = scores(days, 7);
        let prepared = Prepared::new(table("order_scores"), &scores, &metadata, 1).unwrap();
        let mut staging = publisher.begin_replacing(Replaces::Epoch, &number.to_string(), metadata).unwrap();
        staging.write_prepared(&prepared).unwrap();
        let published = staging.commit().unwrap();
        (published.files_written, published.files_kept, tree(out.path()))
    };
    let (written, _, first) = told(1, &[(0, 4), (1, 2)]);
    assert_eq!(written, 2);
    let (written, kept, second) = told(2, &[(0, 4), (1, 2), (1, 6)]);
    assert_eq!((written, kept), (1, 1));
    let day = |day: &str| format!("order_scores/placed_date={day}/part-0.parquet");
    assert_eq!(first[&day("1970-01-01")], second[&day("1970-01-01")]);
    assert_ne!(first[&day("1970-01-02")], second[&day("1970-01-02")]);
}

#[test]
fn old_files_of_a_table_that_grows_go_whole_once_their_newest_row_is_old() {
    let out = tempfile::tempdir().unwrap();
    let publisher = Publisher::open(out.path()).unwrap();
    // Three files: full ones are left, and the third is the newest.
    let rows = |first: i64, n: i64| {
        let times = Column::new("started_at".into(), (first..first + n).collect::<Vec<i64>>());
        DataFrame::new(n as usize, vec![times]).unwrap()
    };
    let commit = |frame: DataFrame, before: Option<i64>| {
        let mut staging = publisher.begin_replacing(Replaces::Epoch, "epoch", BTreeMap::new()).unwrap();
        staging.append(table("runs"), &frame).unwrap();
        if let Some(before) = before {
            staging.forget(table("runs"), "started_at", before).unwrap();
        }
        staging.commit().unwrap();
        let snapshot = snapshot(out.path()).unwrap().unwrap();
        let files = &snapshot.tables["runs"].files;
        (files.iter().map(|file| file.rows).sum::<u64>(), files.iter().filter(|file| file.rows > 0).count())
    };
    assert_eq!(commit(rows(0, 2_000), None), (2_000, 1));
    assert_eq!(commit(rows(2_000, 2_000), None), (4_000, 2));
    assert_eq!(commit(rows(4_000, 1), Some(1_999)), (4_001, 3), "a row of the first is still young");
    assert_eq!(commit(rows(4_001, 1), Some(2_500)), (2_002, 2), "the first has gone, the second has young rows");
    assert!(paths(out.path()).iter().any(|p| p == "runs/run-000001.parquet"), "readers that listed it can open it");
    assert_eq!(commit(rows(4_002, 1), Some(1_000_000)), (3, 1), "the newest file stays");
    // A run lets go of them likewise.
    let mut staging = publisher.begin("run", BTreeMap::new()).unwrap();
    staging.append(table("runs"), &rows(4_003, 2_000)).unwrap();
    staging.commit().unwrap();
    let mut staging = publisher.begin("run", BTreeMap::new()).unwrap();
    staging.append(table("runs"), &rows(9_000, 1)).unwrap();
    staging.forget(table("runs"), "started_at", 8_000).unwrap();
    staging.commit().unwrap();
    let snapshot = snapshot(out.path()).unwrap().unwrap();
    assert_eq!(snapshot.tables["runs"].files.iter().map(|file| file.rows).sum::<u64>(), 1);
}
