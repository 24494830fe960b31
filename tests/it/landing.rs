//! A shop whose files land in a folder, and what is told of it.

use crate::harness::{Done, finish, ordersight, root};
use crate::shop::{Shop, generate, rows};
use crate::tiny::query;
use polars::prelude::DataFrame;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

pub(crate) const CLOCK: &str = "2026-01-20T00:00:00Z";

/// A shop whose tables arrive day by day in one folder.
pub(crate) struct Landing {
    pub(crate) shop: Shop,
    pub(crate) folder: PathBuf,
    /// The registry: that of the shop, unless a test has its own.
    pub(crate) models: PathBuf,
}

impl Landing {
    /// Lines, events, stock and rates come first, as they are: lines then wait for their orders.
    pub(crate) fn new(orders: u32, seed: u32, days: u32) -> Self {
        let shop = Shop::with_models();
        let models = shop.models().to_owned();
        let (input, folder) = (shop.input(), shop.path("land"));
        generate(orders, seed, days, 0.01, &input);
        std::fs::create_dir_all(&folder).unwrap();
        for name in ["order_items.parquet", "order_events.parquet", "inventory.csv", "fx_rates.csv"] {
            std::fs::copy(input.join(name), folder.join(format!("0000-{name}"))).unwrap();
        }
        for (name, clock) in [("orders", "placed_at"), ("returns", "requested_at"), ("feedback", "received_at")] {
            let text = std::fs::read_to_string(input.join(format!("{name}.csv"))).unwrap();
            let mut reader = csv::ReaderBuilder::new().flexible(true).from_reader(text.as_bytes());
            let column = reader.headers().unwrap().iter().position(|header| header == clock).unwrap();
            let header = reader.headers().unwrap().clone();
            let mut by_day: BTreeMap<String, Vec<csv::StringRecord>> = BTreeMap::new();
            for record in reader.records().map(Result::unwrap) {
                by_day.entry(day(record.get(column).unwrap_or_default())).or_default().push(record);
            }
            for (day, records) in by_day {
                let path = folder.join(format!("{day}-{name}.csv"));
                let mut writer = csv::WriterBuilder::new().flexible(true).from_path(path).unwrap();
                writer.write_record(&header).unwrap();
                records.iter().for_each(|record| writer.write_record(record).unwrap());
                writer.flush().unwrap();
            }
        }
        let mut by_day: BTreeMap<String, String> = BTreeMap::new();
        for line in std::fs::read_to_string(input.join("tickets.ndjson")).unwrap().lines() {
            let at = line.split("\"opened_at\":\"").nth(1).unwrap_or_default();
            let text = by_day.entry(day(at)).or_default();
            text.push_str(line);
            text.push('\n');
        }
        for (day, text) in by_day {
            std::fs::write(folder.join(format!("{day}-tickets.ndjson")), text).unwrap();
        }
        let landing = Self { shop, folder, models };
        landing.write_pipeline(&landing.folder, "landing.toml");
        landing
    }

    /// The demo's pipeline over what lands in a folder.
    pub(crate) fn write_pipeline(&self, folder: &Path, name: &str) {
        let mut text = std::fs::read_to_string(root().join("pipelines/demo.toml")).unwrap();
        for file in ["orders.csv", "returns.csv", "feedback.csv", "tickets.ndjson", "inventory.csv", "fx_rates.csv"]
            .into_iter()
            .chain(["order_items.parquet", "order_events.parquet"])
        {
            let old = format!("${{ORDERSIGHT_DEMO_DATA:-../out/demo/input}}/{file}");
            assert!(text.contains(&old), "{file}");
            text = text.replace(&old, &format!("{}/*-{file}", folder.display()));
        }
        let targets = root().join("pipelines/targets");
        text = text.replace("targets/", &format!("{}/", targets.display()));
        text = text.replace("matures_after = \"90d\"", "matures_after = \"30d\"");
        std::fs::write(self.shop.path(name), text).unwrap();
    }

    pub(crate) fn command(&self, verb: &str, out: &Path, sets: &[&str]) -> Command {
        self.command_on("landing.toml", verb, out, sets)
    }

    pub(crate) fn command_on(&self, pipeline: &str, verb: &str, out: &Path, sets: &[&str]) -> Command {
        self.command_at(pipeline, verb, out, sets, CLOCK)
    }

    pub(crate) fn command_at(&self, pipeline: &str, verb: &str, out: &Path, sets: &[&str], clock: &str) -> Command {
        let mut command = self.going_on_at(pipeline, verb, out, sets, clock);
        if verb == "stream" {
            command.arg("--once");
        }
        command
    }

    /// A stream that goes on until somebody ends it.
    pub(crate) fn going_on(&self, out: &Path, sets: &[&str]) -> Command {
        self.going_on_at("landing.toml", "stream", out, sets, CLOCK)
    }

    fn going_on_at(&self, pipeline: &str, verb: &str, out: &Path, sets: &[&str], clock: &str) -> Command {
        let pipeline = self.shop.path(pipeline).display().to_string();
        let models = self.models.display().to_string();
        let mut command = ordersight(&[verb, &pipeline, "--out", &out.display().to_string(), "--models", &models]);
        command.args(["--as-of", clock, "--set", "stream.stable_for=0s"]);
        for set in sets {
            command.args(["--set", set]);
        }
        if verb == "stream" {
            // Every start takes up what the one before wrote down, but the first after a run.
            command.args(["--set", "stream.checkpoint_rows=1"]);
        }
        command.env("ORDERSIGHT_PII_KEY", "the same for all");
        command
    }

    pub(crate) fn batch(&self) -> BTreeMap<String, DataFrame> {
        let out = self.shop.path("batch");
        done(&mut self.command("run", &out, &[]));
        told(&out)
    }
}

/// The day that a time begins with; what is none is of the first.
fn day(time: &str) -> String {
    let day: String = time.chars().take(10).collect();
    let is_day = day.len() == 10
        && day.chars().enumerate().all(|(n, c)| if [4, 7].contains(&n) { c == '-' } else { c.is_ascii_digit() });
    if is_day { day } else { "0001".to_owned() }
}

pub(crate) fn done(command: &mut Command) -> Done {
    let done = finish(command);
    assert!([0, 1].contains(&done.code), "{command:?}\n{}\n{}", done.stdout, done.stderr);
    done
}

/// The rows of everything that is told of the shop; what names the run or tells of the stream itself is left out.
pub(crate) fn told(out: &Path) -> BTreeMap<String, DataFrame> {
    let mut rows = rows(out);
    rows.retain(|name, frame| {
        frame.height() > 0 && !["quarantine", "late_rows"].iter().any(|own| name.starts_with(own))
    });
    rows
}

/// Facts are told on their day: three days is more than any of them is late.
pub(crate) const WAITS: &[&str] = &["stream.lateness=3d", "stream.refresh=9d"];

/// Orders of a handful of columns that land in a folder.
pub(crate) const TINY: &str = r#"name = "tiny"
[time]
as_of = "2025-02-01T00:00:00Z"
[sources.orders]
path = "land"
format = "csv"
[tables.orders]
source = "orders"
columns = { order_id = "id", placed_at = "at", customer_id = "who", amount = "amount" }
[stream]
stable_for = "0s"
epoch = "100ms"
checkpoint_rows = 1
"#;

pub(crate) fn tiny() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir_all(folder.path().join("land")).unwrap();
    std::fs::write(folder.path().join("tiny.toml"), TINY).unwrap();
    folder
}

pub(crate) fn land(folder: &Path, name: &str, orders: std::ops::Range<u32>) {
    let mut text = "id,at,who,amount\n".to_owned();
    for n in orders {
        text.push_str(&format!("o{n},2025-01-{:02}T10:00:00Z,c{},{}.00\n", 1 + n % 28, n % 7, 10 + n));
    }
    std::fs::write(folder.join("land").join(name), text).unwrap();
}

pub(crate) fn stream(folder: &Path, more: &[&str]) -> Command {
    let mut command = ordersight(&["stream", "tiny.toml", "--out", "out"]);
    command.args(more).current_dir(folder);
    command
}

pub(crate) fn orders(folder: &Path) -> u64 {
    query(&folder.join("out"), "SELECT COUNT(*) AS n FROM order_scores")[0]["n"].as_u64().unwrap()
}
