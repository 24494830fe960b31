//! The house: a layer uses only those below it.

use crate::harness::root;
use std::path::Path;

/// Layers from the top; modules of one layer may know each other.
const LAYERS: &[&[&str]] = &[
    &["cli", "report"],
    &["pipeline"],
    &["ingest", "intake", "health", "publish", "registry", "query", "synthetic"],
    &["features", "kpi", "satisfaction", "customers", "exceptions", "risk", "decision"],
    &["contract", "config", "quarantine"],
    &["types", "error", "memory", "saved"],
];

fn layer(module: &str) -> Option<usize> {
    LAYERS.iter().position(|l| l.contains(&module))
}

fn visit(folder: &Path, module: &str, seen: &mut usize, wrong: &mut Vec<String>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            visit(&path, module, seen, wrong);
            continue;
        }
        if path.extension().is_none_or(|e| e != "rs") {
            continue;
        }
        let text = std::fs::read_to_string(&path).unwrap();
        for (number, line) in text.lines().enumerate().filter(|(_, l)| !l.trim_start().starts_with("//")) {
            for rest in line.split("crate::").skip(1) {
                let used: String = rest.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
                let Some(below) = layer(&used) else { continue };
                *seen += 1;
                if below < layer(module).unwrap() {
                    wrong.push(format!("{}:{}: `{module}` looks up to `{used}`", path.display(), number + 1));
                }
            }
        }
    }
}

#[test]
fn no_layer_looks_up() {
    let source = root().join("src");
    let (mut seen, mut wrong, mut unknown) = (0, Vec::new(), Vec::new());
    for entry in std::fs::read_dir(&source).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_stem().unwrap().to_string_lossy().into_owned();
        if ["lib", "main"].contains(&name.as_str()) {
            continue;
        }
        if layer(&name).is_none() {
            unknown.push(name);
            continue;
        }
        if path.is_dir() {
            visit(&path, &name, &mut seen, &mut wrong);
        }
    }
    assert_eq!(unknown, Vec::<String>::new(), "modules that are in no layer");
    assert_eq!(wrong, Vec::<String>::new());
    assert!(seen > 100, "the test must have seen the uses: {seen}");
}

#[test]
fn compute_knows_no_clock_no_environment_and_no_files() {
    let mut wrong = Vec::new();
    for module in LAYERS[3] {
        for entry in walk(&root().join("src").join(module)) {
            let text = std::fs::read_to_string(&entry).unwrap();
            for word in
                ["std::fs", "std::env", "SystemTime", "Instant::now", "Utc::now", "Local::now", "tokio", "std::path"]
            {
                if text.contains(word) {
                    wrong.push(format!("{} uses {word}", entry.display()));
                }
            }
        }
    }
    assert_eq!(wrong, Vec::<String>::new());
}

fn walk(folder: &Path) -> Vec<std::path::PathBuf> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(walk(&path));
        } else if path.extension().is_some_and(|e| e == "rs") {
            files.push(path);
        }
    }
    files
}
