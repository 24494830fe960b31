//! Orders, and what belongs to them, that are corrected after they were scored.

use crate::harness::finish;
use crate::landing::{CLOCK, Landing, told};
use crate::shop::differing_rows;
use std::collections::BTreeMap;
use std::path::Path;

/// Days of which files have come, in order.
fn days(folder: &Path) -> Vec<String> {
    let names = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut days: Vec<String> = names
        .filter_map(|name| Some(name.strip_suffix("-orders.csv")?.to_owned()))
        .filter(|day| day.starts_with('2'))
        .collect();
    days.sort_unstable();
    days
}

/// Every fifth order of these days once more, with another amount, another customer, no device or another time.
fn correct_orders(folder: &Path, days: &[String], name: &str) -> usize {
    let (mut corrected, mut header) = (Vec::new(), csv::StringRecord::new());
    for day in days {
        let path = folder.join(format!("{day}-orders.csv"));
        let mut reader = csv::ReaderBuilder::new().flexible(true).from_path(path).unwrap();
        header = reader.headers().unwrap().clone();
        let at = |name: &str| header.iter().position(|column| column == name).unwrap();
        let is_sound = |record: &csv::StringRecord| {
            record.len() == header.len()
                && record[at("placed_at")].ends_with('Z')
                && record[at("amount")].parse::<f64>().is_ok()
        };
        for (nth, record) in reader.records().map(Result::unwrap).filter(is_sound).step_by(5).enumerate() {
            let mut fields: Vec<String> = record.iter().map(str::to_owned).collect();
            match nth % 4 {
                0 => fields[at("amount")] = format!("1{}", &record[at("amount")]),
                1 => "C000000SOMEBODY".clone_into(&mut fields[at("customer_id")]),
                2 => fields[at("device_id")].clear(),
                _ => fields[at("placed_at")].replace_range(11..13, "00"),
            }
            corrected.push(fields);
        }
    }
    let mut writer = csv::Writer::from_path(folder.join(name)).unwrap();
    writer.write_record(&header).unwrap();
    corrected.iter().for_each(|fields| writer.write_record(fields).unwrap());
    writer.flush().unwrap();
    corrected.len()
}

/// Tickets of these days once more: of another kind, of another order, or of another customer.
fn correct_tickets(folder: &Path, days: &[String], name: &str) -> usize {
    let read = |day: &String| std::fs::read_to_string(folder.join(format!("{day}-tickets.ndjson"))).unwrap_or_default();
    let all: Vec<serde_json::Value> = days
        .iter()
        .map(read)
        .flat_map(|text| text.lines().map(str::to_owned).collect::<Vec<_>>())
        .filter_map(|line| serde_json::from_str(&line).ok())
        .collect();
    let mut text = String::new();
    for (nth, ticket) in all.iter().enumerate() {
        let mut ticket = ticket.clone();
        let is_contact = ticket["kind"] == "contact";
        match nth % 4 {
            0 => ticket["kind"] = if is_contact { ["dispute", "claim"][nth / 4 % 2] } else { "contact" }.into(),
            1 => {
                ticket["order_id"] = all[(nth + 1) % all.len()]["order_id"].clone();
                ticket["customer_id"] = serde_json::Value::Null;
            }
            2 => ticket["customer_id"] = "C000000SOMEBODY".into(),
            _ => continue,
        }
        text.push_str(&format!("{ticket}\n"));
    }
    std::fs::write(folder.join(name), text).unwrap();
    all.len() * 3 / 4
}

#[test]
fn what_is_corrected_after_it_was_scored_counts_as_it_is_from_then_on_and_nothing_else_is_counted_anew() {
    let landing = Landing::new(2_500, 41, 40);
    let all = days(&landing.folder);
    let on = all.len() - 9;
    let (before, day) = (&all[on - 12..on - 4], &all[on]);
    // What comes for the day itself comes before.
    let orders = correct_orders(&landing.folder, before, &format!("{day}-zz-orders.csv"));
    let tickets = correct_tickets(&landing.folder, before, &format!("{day}-zz-tickets.ndjson"));
    assert!(orders > 50 && tickets > 20, "{orders} orders, {tickets} tickets");
    let batch = landing.batch();
    // Scores and features keep what was known when they were given.
    let is_later = |name: &str| match name.split_once("placed_date=") {
        Some((_, of)) => of[..10] > **day,
        None => {
            !["model_monitor", "review_queue", "customer_profile"].iter().any(|of_scores| name.starts_with(of_scores))
        }
    };
    let later =
        |rows: BTreeMap<String, _>| rows.into_iter().filter(|(name, _)| is_later(name)).collect::<BTreeMap<_, _>>();
    let batch = later(batch);
    assert!(batch.keys().filter(|name| name.starts_with("order_features")).count() > 5);
    let command = |out: &Path, until_day: Option<&str>, checkpoints: &str| {
        // A stream that ends waits for nothing: what it ends before is what the next one goes on with.
        let clock = until_day.map_or(CLOCK.to_owned(), |day| format!("{day}T00:00:00Z"));
        let until = until_day.map(|day| format!("{day}-z"));
        let sets = ["stream.epoch_files=4", "stream.lateness=1d", "stream.refresh=9d"];
        let aside = landing.shop.path("aside");
        std::fs::create_dir_all(&aside).unwrap();
        let is_aside = |name: &str| until.as_ref().is_some_and(|until| name > until.as_str());
        let names = |folder: &Path| {
            let names =
                std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
            names.collect::<Vec<_>>()
        };
        for name in names(&landing.folder).into_iter().filter(|name| is_aside(name)) {
            std::fs::rename(landing.folder.join(&name), aside.join(&name)).unwrap();
        }
        let mut command = landing.command_at("landing.toml", "stream", out, &sets, &clock);
        let done = finish(command.args(["--set", checkpoints]).env("ORDERSIGHT_LOG", "ordersight=debug"));
        for name in names(&aside) {
            std::fs::rename(aside.join(&name), landing.folder.join(&name)).unwrap();
        }
        assert!([0, 1].contains(&done.code), "{}", done.stderr);
        done.stderr
    };
    // In one process; in two, the second of which begins with a correction of what the first was told; and in three, of which the
    // second leaves no checkpoint, so that the third takes back what the first was told, days after.
    let [each, never] = ["stream.checkpoint_rows=1", "stream.checkpoint_rows=1000000000"];
    let halves = [("one", vec![]), ("two", vec![(day, each)]), ("three", vec![(day, each), (&all[on + 3], never)])];
    for (name, halfway) in halves {
        let out = landing.shop.path(name);
        let mut said: Vec<String> =
            halfway.into_iter().map(|(day, checkpoints)| command(&out, Some(day), checkpoints)).collect();
        said.push(command(&out, None, each));
        assert!(said.last().is_some_and(|last| last.contains("taken back, and told as it is now")), "{name}: {said:?}");
        assert!(!said.concat().contains("counted anew"), "{name}: {said:?}");
        assert_eq!(differing_rows(&batch, &later(told(&out))), Vec::<String>::new(), "{name}");
    }
}
