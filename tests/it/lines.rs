//! Lines of standard input: each counts once, and what is none is told.

use crate::landing::{TINY, orders, stream, tiny};
use crate::tiny::query;
use std::io::Write;
use std::process::Stdio;

#[test]
fn lines_of_standard_input_count_once_also_when_they_are_replayed() {
    let folder = tiny();
    let lines: Vec<String> = (0..40)
        .map(|n| format!(r#"{{"source":"orders","id":"o{n}","at":"2025-01-05T10:00:00Z","who":"c","amount":"5.00"}}"#))
        .collect();
    let feed = |lines: &[String], more: &[&str]| {
        let mut child = stream(folder.path(), &[&["--once", "--stdin"], more].concat())
            .stdin(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let text = lines.join("\n") + "\n{\"source\":\"nobody\"}\n";
        child.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
        let done = child.wait_with_output().unwrap();
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    };
    feed(&lines[..25], &[]);
    assert_eq!(orders(folder.path()), 25);
    feed(&lines, &["--replayed"]);
    // Line 26 of the first input was no record; of the second it is an order that was skipped.
    assert_eq!(orders(folder.path()), 39);
    feed(&lines[25..26], &[]);
    assert_eq!(orders(folder.path()), 40);
}

#[test]
fn a_line_that_is_no_record_stands_in_quarantine_with_its_number_and_its_reason() {
    let folder = tiny();
    let feed = |text: &str| {
        let mut command = stream(folder.path(), &["--once", "--stdin"]);
        let mut child = command.stdin(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        child.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
        let done = child.wait_with_output().unwrap();
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    };
    let line =
        |n: u32, at: &str| format!(r#"{{"source":"orders","id":"o{n}","at":"{at}","who":"c","amount":"5.00"}}"#) + "\n";
    let good = line(1, "2025-01-05T10:00:00Z");
    feed(&format!("{good}[1]\n{{\"source\":\"nobody\"}}\n{}", line(2, "yesterday")));
    // Nobody's record at all: that an epoch has nothing else is no reason to lose it.
    feed("{\"a\":\n");
    feed(&line(3, "2025-01-06T10:00:00Z"));
    let found = query(
        &folder.path().join("out"),
        "SELECT source, file, \"row\", reason, raw_record FROM quarantine ORDER BY file, reason, \"row\"",
    );
    let found: Vec<[String; 4]> = found
        .iter()
        .map(|row| ["source", "file", "row", "reason"].map(|name| row[name].to_string().replace('"', "")))
        .collect();
    let expected = [
        ["stdin", "stdin", "2", "not_an_object"],
        ["stdin", "stdin", "1", "not_json"],
        ["stdin", "stdin", "3", "unknown_source"],
        ["orders", "stdin-0000000001", "2", "not_a_date"],
    ];
    assert_eq!(found, expected.map(|row| row.map(str::to_owned)));
    assert_eq!(orders(folder.path()), 2);
    let status = std::fs::read_to_string(folder.path().join("out/_state/stream-status.json")).unwrap();
    let status: serde_json::Value = serde_json::from_str(&status).unwrap();
    assert_eq!((&status["lines_refused"], &status["rows_quarantined"]), (&3.into(), &4.into()));
    assert!(status["state_bytes"].as_u64() > Some(0));
}

#[test]
fn a_producer_whose_lines_are_no_records_is_refused_once_they_are_many() {
    let folder = tiny();
    let feed = |text: String| {
        let mut command = stream(folder.path(), &["--once", "--stdin"]);
        let mut child = command.stdin(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        child.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
        let done = child.wait_with_output().unwrap();
        (done.status.code(), String::from_utf8_lossy(&done.stderr).into_owned())
    };
    let line = |n: u32| {
        format!(r#"{{"source":"orders","id":"o{n}","at":"2025-01-05T10:00:00Z","who":"c","amount":"5.00"}}"#) + "\n"
    };
    let (code, said) = feed(line(1) + &"GET / HTTP/1.1\n".repeat(1_000));
    assert_eq!(code, Some(0), "{said}");
    let (code, said) = feed(line(2) + "GET / HTTP/1.1\n");
    assert_eq!(code, Some(3), "{said}");
    assert!(said.contains("1001 of 1003 lines") && said.contains("the limit is 5.0 %"), "{said}");
    assert_eq!(orders(folder.path()), 1, "nothing of that epoch counts");
    let refused = query(&folder.path().join("out"), "SELECT COUNT(*) AS n FROM quarantine");
    assert_eq!(refused[0]["n"].as_u64(), Some(1_000));
}

#[test]
fn a_column_that_no_record_has_yet_is_no_reason_to_refuse_the_first_lines() {
    let folder = tiny();
    let pipeline = TINY.replace("amount = \"amount\"", "amount = \"amount\", channel = \"via\"");
    std::fs::write(folder.path().join("tiny.toml"), pipeline).unwrap();
    let mut child =
        stream(folder.path(), &["--once", "--stdin"]).stdin(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let text =
        "{\"source\":\"orders\",\"id\":\"o1\",\"at\":\"2025-01-05T10:00:00Z\",\"who\":\"c\",\"amount\":\"5.00\"}\n";
    child.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    let done = child.wait_with_output().unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    assert_eq!(orders(folder.path()), 1);
}
