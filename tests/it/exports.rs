//! A shop that exports every order again with what has become of it, day by day.

use crate::landing::{Landing, WAITS, done, told};
use crate::shop::differing_rows;
use std::collections::{BTreeMap, BTreeSet};

/// What becomes of an order, and what is written with it.
const FACTS: &[(&str, &[&str])] = &[
    ("paid_at", &[]),
    ("approved_at", &[]),
    ("shipped_at", &["carrier"]),
    ("delivered_at", &[]),
    ("completed_at", &[]),
    ("cancelled_at", &["cancelled_by", "cancel_reason"]),
    ("fraud_known_at", &["fraud"]),
];

/// Rows by the day on which they are exported.
type Records = BTreeMap<String, Vec<csv::StringRecord>>;

fn is_time(text: &str) -> bool {
    text.len() == 20 && text.ends_with('Z') && text.starts_with("20")
}

/// In the place of each order a row of it on every day on which anything has become of it, with what has by the end of that day.
fn export_again(landing: &Landing) -> (csv::StringRecord, Records) {
    let mut by_day = Records::new();
    let mut header = csv::StringRecord::new();
    for entry in std::fs::read_dir(&landing.folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        let Some(day) = name.strip_suffix("-orders.csv") else { continue };
        let mut reader = csv::ReaderBuilder::new().flexible(true).from_path(&path).unwrap();
        header = reader.headers().unwrap().clone();
        let at = |name: &str| header.iter().position(|column| column == name).unwrap();
        for record in reader.records().map(Result::unwrap) {
            let times: Vec<&str> = FACTS.iter().filter_map(|(fact, _)| record.get(at(fact))).collect();
            let is_sound = record.len() == header.len() && is_time(&record[at("placed_at")]);
            if !is_sound || times.iter().any(|time| !time.is_empty() && !is_time(time)) {
                by_day.entry(day.to_owned()).or_default().push(record);
                continue;
            }
            let known = times.iter().filter(|time| !time.is_empty()).map(|time| time[..10].to_owned());
            let days: BTreeSet<String> = known.chain([day.to_owned()]).collect();
            for of_day in days {
                let mut fields: Vec<&str> = record.iter().collect();
                let mut updated = &record[at("placed_at")];
                for (fact, with) in FACTS {
                    let time = &record[at(fact)];
                    if time.is_empty() || time[..10] > *of_day {
                        [&[*fact], *with].concat().iter().for_each(|column| fields[at(column)] = "");
                    } else {
                        updated = updated.max(time);
                    }
                }
                fields[at("updated_at")] = updated;
                by_day.entry(of_day.clone()).or_default().push(csv::StringRecord::from(fields));
            }
        }
        std::fs::remove_file(path).unwrap();
    }
    for (day, records) in &by_day {
        write(landing, day, &header, records);
    }
    (header, by_day)
}

fn write(landing: &Landing, day: &str, header: &csv::StringRecord, records: &[csv::StringRecord]) {
    let path = landing.folder.join(format!("{day}-orders.csv"));
    let mut writer = csv::WriterBuilder::new().flexible(true).from_path(path).unwrap();
    writer.write_record(header).unwrap();
    records.iter().for_each(|record| writer.write_record(record).unwrap());
    writer.flush().unwrap();
}

#[test]
fn orders_that_land_again_with_what_has_become_of_them_are_those_of_a_batch_and_nothing_is_counted_anew() {
    let landing = Landing::new(2_000, 31, 60);
    export_again(&landing);
    let out = landing.shop.path("out");
    let sets = ["stream.epoch_files=7", WAITS[0], WAITS[1], "quarantine.max_share=1"];
    let said = done(landing.command("stream", &out, &sets).env("ORDERSIGHT_LOG", "ordersight=info")).stderr;
    assert!(!said.contains("counted anew"), "{said}");
    let batch = landing.shop.path("batch");
    done(&mut landing.command("run", &batch, &sets[3..]));
    let batch = told(&batch);
    assert!(batch.keys().filter(|name| name.starts_with("order_features")).count() > 40);
    assert_eq!(differing_rows(&batch, &told(&out)), Vec::<String>::new());
}

/// How many orders a stream has read again, by its own account.
fn read_again(said: &str) -> u64 {
    let told = said.lines().filter(|line| line.contains("orders told of"));
    told.filter_map(|line| line.split(" read=").nth(1)?.split(' ').next()?.parse::<u64>().ok()).sum()
}

#[test]
fn rows_that_stand_in_several_exports_count_once_and_are_looked_at_once() {
    let landing = Landing::new(1_200, 33, 30);
    let (header, by_day) = export_again(&landing);
    let sets = ["stream.epoch_files=7", WAITS[0], WAITS[1], "quarantine.max_share=1"];
    let mut streams = Vec::new();
    for (name, overlap) in [("once", 0), ("three times", 2)] {
        let days: Vec<&String> = by_day.keys().collect();
        for (at, day) in days.iter().enumerate() {
            let window = &days[at.saturating_sub(overlap)..=at];
            let records: Vec<_> = window.iter().flat_map(|day| by_day[*day].clone()).collect();
            write(&landing, day, &header, &records);
        }
        let out = landing.shop.path(name);
        let said = done(landing.command("stream", &out, &sets).env("ORDERSIGHT_LOG", "ordersight=debug")).stderr;
        streams.push((told(&out), read_again(&said)));
    }
    let [(once, read), (again, read_of_again)] = &streams[..] else { unreachable!() };
    assert!(once.keys().filter(|name| name.starts_with("order_features")).count() > 20 && *read > 0);
    assert_eq!(differing_rows(once, again), Vec::<String>::new());
    assert_eq!(read, read_of_again);
}
