//! A pipeline of a few rows in a folder of its own.

use crate::harness::{Done, finish, ordersight};
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// The shortest pipeline: four columns of one CSV file.
pub(crate) const PIPELINE: &str = r#"name = "tiny"
[time]
as_of = "2025-01-01T00:00:00Z"
[sources.orders]
path = "orders.csv"
[tables.orders]
source = "orders"
columns = { order_id = "order_id", placed_at = "placed_at", customer_id = "customer_id", amount = "amount" }
"#;

/// A folder with a `pipeline.toml` and the files it reads; its output goes to `out` beside them.
pub(crate) struct Tiny(TempDir);

impl Tiny {
    /// A folder with a pipeline and some files.
    pub(crate) fn new(pipeline: &str, files: &[(&str, &str)]) -> Self {
        let tiny = Self(tempfile::tempdir().unwrap());
        tiny.write("pipeline.toml", pipeline);
        for (name, text) in files {
            tiny.write(name, text);
        }
        tiny
    }

    /// Writes a file below the folder.
    pub(crate) fn write(&self, name: &str, bytes: impl AsRef<[u8]>) {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, bytes).unwrap();
    }

    /// A path below the folder.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// The output folder.
    pub(crate) fn out(&self) -> PathBuf {
        self.path("out")
    }

    /// Runs the pipeline and expects an exit code.
    pub(crate) fn run(&self, code: i32, more: &[&str]) -> Done {
        self.command(code, "run", more)
    }

    /// A command on the pipeline with the folder's own output and models.
    pub(crate) fn command(&self, code: i32, name: &str, more: &[&str]) -> Done {
        let mut command = ordersight(&[name, "pipeline.toml"]);
        if name != "check" {
            command.args(["--out", "out", "--models", "models"]);
        }
        let done = finish(command.args(more).current_dir(self.0.path()));
        assert_eq!(done.code, code, "ordersight {name} {more:?}\n{}\n{}", done.stdout, done.stderr);
        done
    }

    /// Runs the pipeline to a good end and gives its summary.
    pub(crate) fn summary(&self, more: &[&str]) -> Value {
        let more: Vec<&str> = more.iter().copied().chain(["--json"]).collect();
        serde_json::from_str(&self.run(0, &more).stdout).unwrap()
    }

    /// The answer to a query, one JSON object a row.
    pub(crate) fn query(&self, sql: &str) -> Vec<Value> {
        query(&self.out(), sql)
    }

    /// The answer to a query as CSV without its header.
    pub(crate) fn csv(&self, sql: &str) -> String {
        let done = crate::harness::expect(0, &["query", sql, "--out", self.out().to_str().unwrap(), "--format", "csv"]);
        done.stdout.split_once('\n').unwrap().1.to_owned()
    }
}

/// The answer to a query over an output folder, one JSON object a row.
pub(crate) fn query(out: &Path, sql: &str) -> Vec<Value> {
    let done = crate::harness::expect(0, &["query", sql, "--out", out.to_str().unwrap(), "--format", "json"]);
    done.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// Every file below a folder with its bytes, whatever it is: for "nothing was touched".
pub(crate) fn every_file(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut files = BTreeMap::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for entry in std::fs::read_dir(&next).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                files.insert(path.strip_prefix(folder).unwrap().display().to_string(), std::fs::read(&path).unwrap());
            }
        }
    }
    files
}

/// What was published, commit records and `runs` included: everything that a failed run must leave as it was.
pub(crate) fn published(out: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut files = every_file(out);
    files.retain(|name, _| !["_cache", "_state", "_lock"].iter().any(|own| name.starts_with(own)));
    files
}
