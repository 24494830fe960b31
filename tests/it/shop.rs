//! A generated shop and models for it, small enough to be run many times; and how two outputs are compared.

use crate::harness::{Done, data_files, finish, ordersight};
use polars::prelude::{DataFrame, ParquetReader, SerReader};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex, Weak};
use tempfile::TempDir;

/// Orders of a shop as small as these are known to be honest after a month instead of three: it has no three months to
/// wait.
const RIPE: &str = "risk.fraud.label.matures_after=30d";

/// A shop in a folder of its own; outputs go beside it.
pub(crate) struct Shop {
    folder: TempDir,
    models: Arc<TempDir>,
}

impl Shop {
    /// Generates a shop of `days` days that end with 2025, with `dirty` of its orders spoilt.
    pub(crate) fn new(orders: u32, seed: u32, days: u32, dirty: f64) -> Self {
        let shop = Self::with_models();
        generate(orders, seed, days, dirty, &shop.input());
        shop
    }

    /// A folder for a shop, and models of both targets.
    pub(crate) fn with_models() -> Self {
        Self { folder: tempfile::tempdir().unwrap(), models: models() }
    }

    /// Where the models are.
    pub(crate) fn models(&self) -> &Path {
        self.models.path()
    }

    /// Where its tables are.
    pub(crate) fn input(&self) -> PathBuf {
        self.path("input")
    }

    /// A path beside its tables.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The command that runs the demo's pipeline over `input` as of `as_of`.
    pub(crate) fn command(&self, input: &Path, out: &Path, as_of: &str) -> Command {
        let (out, models) = (out.display().to_string(), self.models.path().display().to_string());
        let args = [
            "run",
            "pipelines/demo.toml",
            "--out",
            &out,
            "--models",
            &models,
            "--as-of",
            as_of,
            "--set",
            RIPE,
            "--json",
        ];
        let mut command = ordersight(&args);
        command.env("ORDERSIGHT_DEMO_DATA", input);
        command
    }

    /// Runs that command; its summary.
    pub(crate) fn run(&self, input: &Path, out: &Path, as_of: &str) -> serde_json::Value {
        summary(&mut self.command(input, out, as_of))
    }
}

/// Runs a command that must end well; the JSON on its standard output.
pub(crate) fn summary(command: &mut Command) -> serde_json::Value {
    let Done { code, stdout, stderr } = finish(command);
    assert_eq!(code, 0, "{command:?}\n{stdout}\n{stderr}");
    serde_json::from_str(&stdout).unwrap()
}

/// Generates a shop into a folder.
pub(crate) fn generate(orders: u32, seed: u32, days: u32, dirty: f64, into: &Path) {
    let [orders, seed, days, dirty] = [orders.to_string(), seed.to_string(), days.to_string(), dirty.to_string()];
    let into = into.display().to_string();
    crate::harness::expect(
        0,
        &["generate", "--orders", &orders, "--seed", &seed, "--days", &days, "--dirty-share", &dirty, "--out", &into],
    );
}

/// Models of both targets, learnt from a larger shop; made once and kept while a test uses them.
fn models() -> Arc<TempDir> {
    static MADE: Mutex<Weak<TempDir>> = Mutex::new(Weak::new());
    let mut made = MADE.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    if let Some(models) = made.upgrade() {
        return models;
    }
    let (input, models) = (tempfile::tempdir().unwrap(), Arc::new(tempfile::tempdir().unwrap()));
    generate(20_000, 1, 365, 0.004, input.path());
    let (cache, registry) = (input.path().join("out").display().to_string(), models.path().display().to_string());
    for target in ["fraud", "return"] {
        let mut train = ordersight(&[
            "train",
            "pipelines/demo.toml",
            "--target",
            target,
            "--out",
            &cache,
            "--models",
            &registry,
            "--set",
            RIPE,
        ]);
        let done = finish(train.env("ORDERSIGHT_DEMO_DATA", input.path()));
        assert_eq!(done.code, 0, "{}", done.stderr);
    }
    *made = Arc::downgrade(&models);
    models
}

/// Names of the data files that are not the same, byte for byte, in both.
pub(crate) fn differing(a: &BTreeMap<String, Vec<u8>>, b: &BTreeMap<String, Vec<u8>>) -> Vec<String> {
    let names: std::collections::BTreeSet<&String> = a.keys().chain(b.keys()).collect();
    names.into_iter().filter(|name| a.get(*name) != b.get(*name)).cloned().collect()
}

/// The rows of every data file below an output folder; what the files say of their run is left out.
pub(crate) fn rows(out: &Path) -> BTreeMap<String, DataFrame> {
    let read = |bytes: Vec<u8>| ParquetReader::new(std::io::Cursor::new(bytes)).finish().unwrap();
    data_files(out).into_iter().map(|(name, bytes)| (name, read(bytes))).collect()
}

/// Names of the files whose rows are not the same, bit for bit and in the same order, in both.
pub(crate) fn differing_rows(a: &BTreeMap<String, DataFrame>, b: &BTreeMap<String, DataFrame>) -> Vec<String> {
    let names: std::collections::BTreeSet<&String> = a.keys().chain(b.keys()).collect();
    let equal = |name: &&String| matches!((a.get(*name), b.get(*name)), (Some(a), Some(b)) if a.equals_missing(b));
    names.into_iter().filter(|name| !equal(name)).cloned().collect()
}

/// Delimited records under their header, to be changed by a test.
pub(crate) struct Records {
    path: PathBuf,
    header: Vec<String>,
    /// The records; a broken one may have more or fewer fields than the header.
    pub(crate) rows: Vec<Vec<String>>,
}

impl Records {
    /// Reads a file.
    pub(crate) fn read(path: &Path) -> Self {
        let mut reader = csv::ReaderBuilder::new().has_headers(false).flexible(true).from_path(path).unwrap();
        let mut records = reader.records().map(|r| r.unwrap().iter().map(str::to_owned).collect::<Vec<_>>());
        let header = records.next().unwrap();
        let rows = records.collect();
        Self { path: path.to_owned(), header, rows }
    }

    /// Number of a column.
    pub(crate) fn column(&self, name: &str) -> usize {
        self.header.iter().position(|h| h == name).unwrap()
    }

    /// Writes it back.
    pub(crate) fn write(&self) {
        self.write_to(&self.path);
    }

    /// Writes it elsewhere.
    pub(crate) fn write_to(&self, path: &Path) {
        let mut writer = csv::WriterBuilder::new().flexible(true).from_path(path).unwrap();
        writer.write_record(&self.header).unwrap();
        self.rows.iter().for_each(|row| writer.write_record(row).unwrap());
        writer.flush().unwrap();
    }
}

/// Copies the files of a folder into a new one.
pub(crate) fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        std::fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
    }
}
