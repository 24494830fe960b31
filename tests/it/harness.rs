//! Running the program as its users do.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// The checkout.
pub(crate) fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// A command of the program, in the checkout, without the surroundings of whoever runs the tests.
pub(crate) fn ordersight(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ordersight"));
    command.args(args).current_dir(root()).env("NO_COLOR", "1");
    for name in ["ORDERSIGHT_PII_KEY", "ORDERSIGHT_DEMO_DATA", "ORDERSIGHT_LOG", "ORDERSIGHT_FAIL_AT"] {
        command.env_remove(name);
    }
    command
}

/// What a finished command said.
#[derive(Debug)]
pub(crate) struct Done {
    /// Exit code; -1 when a signal ended it.
    pub(crate) code: i32,
    /// Standard output.
    pub(crate) stdout: String,
    /// Standard error.
    pub(crate) stderr: String,
}

/// Runs a command to its end.
pub(crate) fn finish(command: &mut Command) -> Done {
    let Output { status, stdout, stderr } = command.output().expect("the program starts");
    Done {
        code: status.code().unwrap_or(-1),
        stdout: String::from_utf8(stdout).expect("standard output is text"),
        stderr: String::from_utf8(stderr).expect("standard error is text"),
    }
}

/// Runs the program and expects an exit code.
pub(crate) fn expect(code: i32, args: &[&str]) -> Done {
    let done = finish(&mut ordersight(args));
    assert_eq!(done.code, code, "ordersight {args:?}\n{}\n{}", done.stdout, done.stderr);
    done
}

/// Every file below a folder by its relative path, with its bytes; hidden state (`_cache`, `_state`, `_lock`) and what tells
/// of the time of day (`runs`, `_commits`) left out.
pub(crate) fn data_files(out: &Path) -> std::collections::BTreeMap<String, Vec<u8>> {
    fn walk(folder: &Path, base: &Path, into: &mut std::collections::BTreeMap<String, Vec<u8>>) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.strip_prefix(base).unwrap().display().to_string();
            if name.starts_with('_') || name.starts_with("runs") || name.starts_with("input") || name.ends_with(".html")
            {
                continue;
            }
            if path.is_dir() {
                walk(&path, base, into);
            } else {
                into.insert(name, std::fs::read(&path).unwrap());
            }
        }
    }
    let mut files = std::collections::BTreeMap::new();
    walk(out, out, &mut files);
    files
}

/// The public data sets, if they are there; says so where they are not.
pub(crate) fn datasets() -> Option<PathBuf> {
    let path = std::env::var_os("ORDERSIGHT_DATASETS").map_or_else(|| root().join("../shared/datasets"), PathBuf::from);
    if path.is_dir() {
        return Some(path);
    }
    eprintln!("skipped: no public data at {} (set ORDERSIGHT_DATASETS)", path.display());
    None
}

/// Python with duckdb, polars and pyarrow, if it is there; says so where it is not.
pub(crate) fn python() -> Option<String> {
    let python = std::env::var("ORDERSIGHT_PYTHON").unwrap_or_else(|_| "python3".to_owned());
    let found = Command::new(&python).args(["-c", "import duckdb, polars, pyarrow"]).output();
    if found.is_ok_and(|o| o.status.success()) {
        return Some(python);
    }
    eprintln!("skipped: {python} has no duckdb, polars and pyarrow (set ORDERSIGHT_PYTHON)");
    None
}
