//! Exchange rates that land while a stream goes on.

use crate::harness::{Done, finish};
use crate::landing::{Landing, WAITS, told};
use crate::shop::differing_rows;
use polars::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::path::Path;

/// A shop of which lines, too, land day by day; its rates are taken away and given back.
fn shop(orders: u32, seed: u32, days: u32) -> (Landing, Vec<Rate>) {
    let landing = Landing::new(orders, seed, days);
    let all = landing.folder.join("0000-fx_rates.csv");
    let rates = csv::Reader::from_path(&all).unwrap().into_deserialize().map(Result::unwrap).collect();
    std::fs::remove_file(all).unwrap();
    let all = landing.folder.join("0000-order_items.parquet");
    let lines = ParquetReader::new(File::open(&all).unwrap()).finish().unwrap();
    std::fs::remove_file(all).unwrap();
    let mut day_of = BTreeMap::new();
    for entry in std::fs::read_dir(&landing.folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap();
        let Some(day) = name.strip_suffix("-orders.csv") else { continue };
        for record in csv::ReaderBuilder::new().flexible(true).from_path(&path).unwrap().into_records() {
            day_of.insert(record.unwrap()[0].to_owned(), day.to_owned());
        }
    }
    let of: Vec<&str> = {
        let ids = lines.column("order_id").unwrap().str().unwrap();
        ids.iter().map(|id| id.and_then(|id| day_of.get(id)).map_or("0001", String::as_str)).collect()
    };
    for day in of.iter().collect::<BTreeSet<_>>() {
        let mut some = lines.filter(&of.iter().map(|of| Some(of == day)).collect::<BooleanChunked>()).unwrap();
        let file = File::create(landing.folder.join(format!("{day}-order_items.parquet"))).unwrap();
        ParquetWriter::new(file).finish(&mut some).unwrap();
    }
    (landing, rates)
}

#[derive(Clone, serde::Serialize, serde::Deserialize)]
struct Rate {
    currency: String,
    valid_from: String,
    rate_to_base: String,
}

fn write<'r>(folder: &Path, name: &str, rates: impl Iterator<Item = &'r Rate>) {
    let mut writer = csv::Writer::from_path(folder.join(name)).unwrap();
    rates.for_each(|rate| writer.serialize(rate).unwrap());
    writer.flush().unwrap();
}

/// Streams the folder in many epochs, saying what is read again.
fn stream(landing: &Landing, out: &Path, sets: &[&str]) -> Done {
    let done = finish(landing.command("stream", out, sets).env("ORDERSIGHT_LOG", "ordersight=debug"));
    assert_eq!(done.code, 0, "{}", done.stderr);
    done
}

const READ_AGAIN: &str = "read again whole";
const TAKEN_AGAIN: &str = "taken in again";
const COUNTED_AGAIN: &str = "counted anew";

/// Files of a day sort by the names of their tables, so that rates come before the orders of their day.
#[test]
fn rates_of_every_day_that_come_before_its_orders_have_nothing_read_again() {
    let (landing, rates) = shop(1_200, 21, 24);
    let days: BTreeSet<&str> = rates.iter().map(|rate| &rate.valid_from[..10]).collect();
    for day in days {
        let of_day = rates.iter().filter(|rate| rate.valid_from.starts_with(day));
        write(&landing.folder, &format!("{day}-fx_rates.csv"), of_day);
    }
    let out = landing.shop.path("out");
    let done = stream(&landing, &out, &["stream.epoch_files=9", WAITS[0], WAITS[1]]);
    assert!(![READ_AGAIN, TAKEN_AGAIN, COUNTED_AGAIN].iter().any(|said| done.stderr.contains(said)), "{}", done.stderr);
    let batch = landing.batch();
    assert!(batch.keys().any(|name| name.starts_with("order_features")));
    assert_eq!(differing_rows(&batch, &told(&out)), Vec::<String>::new());
    assert!(!out.join("late_rows").exists());
}

/// Until then orders of the day are worth what they were by the day before, and those in a currency that had no rate yet wait
/// to be sound. All of them are waited for.
#[test]
fn rates_that_come_after_the_orders_of_their_days_change_these_orders_and_no_others() {
    let (landing, rates) = shop(1_200, 22, 30);
    let mut days: Vec<&str> = rates.iter().map(|rate| &rate.valid_from[..10]).collect();
    days.sort_unstable();
    days.dedup();
    let orders = std::fs::read_dir(&landing.folder).unwrap().map(|entry| entry.unwrap().file_name());
    let first = orders
        .filter_map(|name| Some(name.to_str()?.strip_suffix("-orders.csv")?.to_owned()))
        .filter(|day| day != "0001")
        .min();
    let first = first.unwrap();
    // A currency of which the first day knows nothing.
    let is_late = |rate: &&Rate| rate.currency == "USD";
    write(
        &landing.folder,
        "0000-fx_rates.csv",
        rates.iter().filter(|rate| rate.valid_from[..10] < *first && !is_late(rate)),
    );
    let on = days.iter().position(|day| **day >= *first).unwrap();
    for day in &days[on..] {
        // Rates of a day come after its orders, and the next day before its own.
        let of_day = rates.iter().filter(|rate| rate.valid_from.starts_with(day) && !is_late(rate));
        write(&landing.folder, &format!("{day}-zz-fx_rates.csv"), of_day);
    }
    write(&landing.folder, &format!("{}-zzz-fx_rates.csv", days[on + 1]), rates.iter().filter(is_late));
    let out = landing.shop.path("out");
    let done = stream(&landing, &out, &["stream.epoch_files=5", "stream.lateness=6d", WAITS[1]]);
    for table in ["orders", "order_items"] {
        let is_taken = |line: &str| line.contains(TAKEN_AGAIN) && line.contains(&format!("table=\"{table}\""));
        assert!(done.stderr.lines().any(is_taken), "{table}: {}", done.stderr);
    }
    assert!(!done.stderr.contains(COUNTED_AGAIN), "{}", done.stderr);
    let batch = landing.batch();
    assert_eq!(differing_rows(&batch, &told(&out)), Vec::<String>::new());
    assert!(!out.join("late_rows").exists());
}

/// Tables are read again whole, so that what was told is not there any more: features are counted anew, and scores keep what was
/// known.
#[test]
fn rates_that_correct_all_the_past_count_for_every_order_from_then_on() {
    let (landing, rates) = shop(900, 23, 30);
    let wrong: Vec<Rate> = rates
        .iter()
        .map(|rate| Rate {
            rate_to_base: format!("{:.6}", 2.0 * rate.rate_to_base.parse::<f64>().unwrap()),
            ..rate.clone()
        })
        .collect();
    write(&landing.folder, "0000-fx_rates.csv", wrong.iter());
    write(&landing.folder, "2025-12-21-aa-fx_rates.csv", rates.iter());
    let out = landing.shop.path("out");
    let done = stream(&landing, &out, &["stream.epoch_files=7", WAITS[0], WAITS[1]]);
    assert!([READ_AGAIN, COUNTED_AGAIN].iter().all(|said| done.stderr.contains(said)), "{}", done.stderr);
    let batch = landing.batch();
    let is_by_right_rates = |name: &str| match name.split_once("placed_date=") {
        Some((_, day)) => &day[..10] >= "2025-12-21",
        // These tell of scores that were given before.
        None => {
            !["model_monitor", "review_queue", "customer_profile"].iter().any(|of_scores| name.starts_with(of_scores))
        }
    };
    let [mut batch, mut told] = [batch, told(&out)];
    [&mut batch, &mut told].into_iter().for_each(|rows| rows.retain(|name, _| is_by_right_rates(name)));
    assert!(batch.keys().filter(|name| name.starts_with("order_features")).count() > 5);
    assert_eq!(differing_rows(&batch, &told), Vec::<String>::new());
}
