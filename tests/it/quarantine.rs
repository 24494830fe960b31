//! One bad row neither stops a run nor vanishes.

use crate::harness::{data_files, expect, root};
use crate::tiny::{PIPELINE, Tiny, published, query};
use ordersight::quarantine::Reason;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::io::{Read, Write};
use std::path::Path;

/// What became of one bad row: file, row, column, reason.
type Fate = (String, u64, Option<String>, String);

/// The table in the README of the defects: what is expected is what the reader is told.
fn expected() -> BTreeSet<Fate> {
    let readme = std::fs::read_to_string(root().join("data-samples/defects/README.md")).unwrap();
    let rows = readme.lines().filter(|l| l.starts_with("| `"));
    rows.map(|line| {
        let cells: Vec<&str> = line.split('|').map(|c| c.trim().trim_matches('`')).collect();
        (
            cells[1].to_owned(),
            cells[2].parse().unwrap(),
            Some(cells[3].to_owned()).filter(|c| c != "–"),
            cells[4].to_owned(),
        )
    })
    .collect()
}

fn found(out: &Path) -> Vec<Value> {
    query(out, "SELECT * FROM quarantine ORDER BY file, row")
}

fn fate(row: &Value) -> Fate {
    let text = |key: &str| row[key].as_str().map(str::to_owned);
    (text("file").unwrap(), row["row"].as_u64().unwrap(), text("column"), text("reason").unwrap())
}

fn tally(summary: &Value, kind: &str) -> BTreeMap<String, [u64; 4]> {
    let part = |t: &Value, name: &str| t[name].as_u64().unwrap();
    summary[kind]
        .as_object()
        .unwrap()
        .iter()
        .map(|(name, t)| (name.clone(), ["read", "accepted", "quarantined", "superseded"].map(|n| part(t, n))))
        .collect()
}

/// The rows of the files of orders by file and record number, first field only, read without any of our code.
fn order_rows() -> BTreeMap<(String, u64), String> {
    let mut rows = BTreeMap::new();
    for entry in std::fs::read_dir(root().join("data-samples/defects")).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if !name.starts_with("orders_") {
            continue;
        }
        let mut bytes = std::fs::read(&path).unwrap();
        if name.ends_with(".gz") {
            let mut plain = Vec::new();
            // The file is cut short: what comes out before the error is what there is.
            assert!(flate2::read::GzDecoder::new(&bytes[..]).read_to_end(&mut plain).is_err());
            let whole = plain.iter().rposition(|b| *b == b'\n').unwrap();
            bytes = plain[..=whole].to_vec();
        }
        let mut reader = csv::ReaderBuilder::new().flexible(true).from_reader(&bytes[..]);
        for (at, record) in reader.byte_records().enumerate() {
            rows.insert((name.clone(), at as u64 + 1), String::from_utf8(record.unwrap()[0].to_vec()).unwrap());
        }
    }
    rows
}

#[test]
fn every_kind_of_dirty_row_is_found_in_its_place_and_the_clean_ones_go_through() {
    let out = tempfile::tempdir().unwrap();
    let args = ["run", "data-samples/defects.toml", "--json", "--out", out.path().to_str().unwrap()];
    let summary: Value = serde_json::from_str(&expect(0, &args).stdout).unwrap();
    let (expected, found) = (expected(), found(out.path()));

    // Each with its place and reason, and each once.
    assert_eq!(found.iter().map(fate).collect::<BTreeSet<_>>(), expected);
    assert_eq!(found.len(), expected.len());
    let reasons: BTreeSet<&str> = expected.iter().map(|(_, _, _, reason)| reason.as_str()).collect();
    // That a line names no source happens on standard input alone: `stream` has a sample of it.
    let in_files = Reason::ALL.iter().filter(|reason| **reason != Reason::UnknownSource);
    let every: BTreeSet<&str> = in_files.map(|reason| reason.code()).collect();
    assert_eq!(reasons, every, "every reason there is has a sample");
    assert!(reasons.len() > 20);
    for row in &found {
        for key in ["source", "detail", "hint", "raw_record", "run_id"] {
            assert!(row[key].as_str().is_some_and(|text| !text.is_empty()), "{key} of {row}");
        }
        // Whatever was split into columns names its order, and is shown as it came.
        let raw = row["raw_record"].as_str().unwrap();
        if row["column"].is_string() {
            let record: Value = serde_json::from_str(raw).unwrap();
            assert_eq!(record["order_id"], row["order_id"]);
            assert!(row["order_id"].is_string(), "{row}");
        }
    }
    let raw =
        |file: &str| -> &str { found.iter().find(|r| r["file"] == *file).unwrap()["raw_record"].as_str().unwrap() };
    assert_eq!(
        raw("orders_negative.csv"),
        concat!(
            r#"{"order_id":"NEG-2","placed_at":"2024-03-03T09:12:00Z","customer_id":"C-2","amount":"-22.50","currency":"EUR","#,
            r#""item_count":"3","shipping_fee":"4.95","email":"[personal]","phone":"[personal]","ip":"[personal]","#,
            r#""shipped_at":"2024-03-04T15:00:00Z","delivered_at":"2024-03-07T11:30:00Z","cancelled_by":"","cancel_reason":"","#,
            r#""updated_at":"2024-03-07T12:00:00Z","fraud":"false","x_weight_kg":"1.25"}"#
        )
    );
    assert_eq!(raw("order_events_not_json.ndjson"), r#"{"order_id":"DUP-2","event":"shipped","occurred_at":"#);
    assert_eq!(raw("orders_ragged_row.csv"), "[withheld: personal columns cannot be told apart in a broken record]");

    // Nothing is lost: by source, by table, and against the files themselves.
    let (sources, tables) = (tally(&summary, "sources"), tally(&summary, "tables"));
    for (name, [read, accepted, quarantined, superseded]) in sources.iter().chain(&tables) {
        assert_eq!(*read, accepted + quarantined + superseded, "{name}");
    }
    let rows = order_rows();
    // The rest of the file that is cut short counts as one row.
    assert_eq!(sources["orders"][0], rows.len() as u64 + 1);
    assert_eq!(sources.values().chain(tables.values()).map(|t| t[2]).sum::<u64>(), found.len() as u64);
    assert_eq!(tables["orders"][0], sources["orders"][1]);
    assert_eq!(summary["quarantined"], found.len());

    // The rest is processed, and of doubles the later one.
    let bad: BTreeSet<(String, u64)> = expected.iter().map(|(file, row, ..)| (file.clone(), *row)).collect();
    let replaced = BTreeSet::from([("orders_duplicate.csv".to_owned(), 2), ("orders_duplicate.csv".to_owned(), 6)]);
    let clean: Vec<&String> =
        rows.iter().filter(|(at, _)| !bad.contains(at) && !replaced.contains(at)).map(|(_, id)| id).collect();
    let clean: BTreeSet<&str> = clean.iter().map(|id| id.as_str()).collect();
    let scored = query(out.path(), "SELECT order_id FROM order_scores");
    assert_eq!(scored.iter().map(|r| r["order_id"].as_str().unwrap()).collect::<BTreeSet<_>>(), clean);
    assert_eq!((scored.len() as u64, tables["orders"][3]), (tables["orders"][1], 2));

    // A second run reads no file anew and says the same.
    let first = data_files(out.path());
    let again: Value = serde_json::from_str(&expect(0, &args).stdout).unwrap();
    assert_eq!(again["files_cached"], again["files"]);
    assert_eq!((tally(&again, "sources"), tally(&again, "tables")), (sources, tables));
    assert_eq!(data_files(out.path()), first);
}

/// Three orders whose customers' names need quotes, line breaks and more than ASCII.
const NAMES: [&str; 3] = ["Zoë van Dam; Jr", "one \"two\"\r\nthree", "tab\there, and comma"];

/// The three orders as delimited text.
fn delimited(delimiter: char, rows: &[usize]) -> String {
    let mut text = ["order_id", "placed_at", "customer_id", "amount"].join(&delimiter.to_string()) + "\n";
    for &at in rows {
        let name = NAMES[at].replace('"', "\"\"");
        text += &[
            format!("O-{at}"),
            format!("2024-05-0{} 10:00:00", at + 1),
            format!("\"{name}\""),
            format!("{}.50", at + 1),
        ]
        .join(&delimiter.to_string());
        text += "\n";
    }
    text
}

fn gz(text: &str) -> Vec<u8> {
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    packed.write_all(text.as_bytes()).unwrap();
    packed.finish().unwrap()
}

fn ndjson(rows: &[usize]) -> String {
    let line = |&at: &usize| {
        serde_json::json!({
            "order_id": format!("O-{at}"), "placed_at": format!("2024-05-0{}T10:00:00Z", at + 1), "customer_id": NAMES[at],
            "amount": at as f64 + 1.5, "not_mapped": {"a": [1]},
        })
        .to_string()
            + "\n"
    };
    rows.iter().map(line).collect()
}

fn parquet(rows: &[usize]) -> Vec<u8> {
    use polars::prelude::*;
    let micros: Vec<i64> = rows.iter().map(|&at| 1_714_557_600_000_000 + at as i64 * 86_400_000_000).collect();
    let columns = vec![
        Column::new("order_id".into(), rows.iter().map(|at| format!("O-{at}")).collect::<Vec<_>>()),
        Column::new("placed_at".into(), micros).cast(&DataType::Datetime(TimeUnit::Microseconds, None)).unwrap(),
        Column::new("customer_id".into(), rows.iter().map(|&at| NAMES[at]).collect::<Vec<_>>()),
        Column::new("amount".into(), rows.iter().map(|&at| at as f64 + 1.5).collect::<Vec<_>>()),
    ];
    let mut bytes = Vec::new();
    ParquetWriter::new(&mut bytes).finish(&mut DataFrame::new_infer_height(columns).unwrap()).unwrap();
    bytes
}

/// How a source names its files, what is odd about them, and the files.
type Way = (&'static str, &'static str, Vec<(&'static str, Vec<u8>)>);

#[test]
fn the_same_orders_come_out_of_every_format_and_every_way_to_name_files() {
    let all = [0, 1, 2];
    let plain = delimited(',', &all);
    let latin1: Vec<u8> = delimited(';', &all).chars().map(|c| u8::try_from(u32::from(c)).unwrap()).collect();
    let two_members = [gz(&delimited(',', &[0])), gz(delimited(',', &[1, 2]).split_once('\n').unwrap().1)].concat();
    let bom = |text: &str| [b"\xef\xbb\xbf", text.as_bytes()].concat();
    let ways: Vec<Way> = vec![
        ("path = 'o.csv'", "", vec![("o.csv", plain.clone().into_bytes())]),
        (
            "path = 'o.csv'",
            "line ends as on Windows, and a byte-order mark",
            vec![("o.csv", bom(&plain.replace(".50\n", ".50\r\n")))],
        ),
        ("path = 'o.csv'\ndelimiter = ';'", "", vec![("o.csv", delimited(';', &all).into_bytes())]),
        ("path = 'o.txt'\ndelimiter = 'tab'", "", vec![("o.txt", delimited('\t', &all).into_bytes())]),
        ("path = 'o.tsv'", "", vec![("o.tsv", delimited('\t', &all).into_bytes())]),
        ("path = 'o.csv'\ndelimiter = ';'\nencoding = 'latin1'", "", vec![("o.csv", latin1)]),
        (
            "path = 'o.csv'\ndecimal = ','\ndelimiter = ';'",
            "",
            vec![("o.csv", delimited(';', &all).replace(".50", ",50").into_bytes())],
        ),
        ("path = 'o.csv.gz'", "", vec![("o.csv.gz", gz(&plain))]),
        ("path = 'o.csv.gz'", "packed in two parts", vec![("o.csv.gz", two_members)]),
        ("path = 'o.csv.zst'", "", vec![("o.csv.zst", zstd::encode_all(plain.as_bytes(), 1).unwrap())]),
        ("path = 'o.ndjson'", "", vec![("o.ndjson", ndjson(&all).into_bytes())]),
        ("path = 'o.jsonl.gz'", "", vec![("o.jsonl.gz", gz(&ndjson(&all)))]),
        ("path = 'o.ndjson'", "a byte-order mark", vec![("o.ndjson", bom(&ndjson(&all)))]),
        ("path = 'o.parquet'", "", vec![("o.parquet", parquet(&all))]),
        ("path = 'o.export'\nformat = 'csv'", "", vec![("o.export", plain.clone().into_bytes())]),
        (
            "path = 'in/o_*.csv'",
            "a glob; another file beside them",
            vec![
                ("in/o_1.csv", delimited(',', &[0, 1]).into_bytes()),
                ("in/o_2.csv", delimited(',', &[2]).into_bytes()),
                ("in/p.csv", b"something else".to_vec()),
            ],
        ),
        (
            "path = 'in'",
            "a folder; hidden files in it",
            vec![
                ("in/a.csv", delimited(',', &[2]).into_bytes()),
                ("in/b.csv.gz", gz(&delimited(',', &[1]))),
                ("in/c.ndjson", ndjson(&[0]).into_bytes()),
                ("in/d.parquet", parquet(&[])),
                ("in/.hidden.csv", b"x".to_vec()),
                ("in/_SUCCESS", Vec::new()),
            ],
        ),
    ];
    let expected: Vec<Value> = (0..3)
        .map(|at| {
            let placed = format!("2024-05-0{}T10:00:00Z", at + 1);
            serde_json::json!({"order_id": format!("O-{at}"), "customer_id": NAMES[at], "placed_at": placed, "amount": 150 + 100 * at})
        })
        .collect();
    for (source, note, files) in ways {
        let tiny = Tiny::new(&PIPELINE.replace("path = \"orders.csv\"", source), &[]);
        for (name, bytes) in files {
            tiny.write(name, bytes);
        }
        let summary = tiny.summary(&[]);
        assert_eq!(summary["quarantined"], 0, "{source} {note}: {:?}", tiny.query("SELECT * FROM quarantine"));
        let orders = tiny.query("SELECT order_id, customer_id, placed_at, amount FROM order_scores ORDER BY order_id");
        assert_eq!(orders, expected, "{source} {note}");
    }
}

/// Orders with one column each row differs in, the others made up.
fn orders(column: &str, values: &[&str]) -> String {
    let mut text = format!("order_id,placed_at,customer_id,amount,{column}\n");
    for (at, value) in values.iter().enumerate() {
        text += &format!("O-{at},2024-05-01T00:00:00Z,C,1.00,{value}\n");
    }
    text
}

#[test]
fn date_formats_are_tried_in_order_and_each_column_has_its_own_zone() {
    let pipeline = PIPELINE.replace("placed_at = \"placed_at\"", "placed_at = \"sold\"")
        + "[sources.orders.columns]\nsold = { type = 'datetime', zone = 'Asia/Shanghai', formats = ['%d/%m/%Y %H:%M', '%m/%d/%Y', '%Y-%m-%dT%H:%M:%S%:z', 'unix_ms'] }\n";
    let dates = [
        "03/04/2024 10:00",
        "03/04/2024",
        "2024-03-04T10:00:00-05:00",
        "1709550000000",
        "31/02/2024 10:00",
        "2024-03-04",
    ];
    let tiny = Tiny::new(&pipeline, &[("orders.csv", &orders("sold", &dates))]);
    tiny.summary(&["--set", "quarantine.max_share=1"]);
    assert_eq!(
        tiny.csv("SELECT order_id, placed_at FROM order_scores ORDER BY order_id"),
        "O-0,2024-04-03T02:00:00Z\nO-1,2024-03-03T16:00:00Z\nO-2,2024-03-04T15:00:00Z\nO-3,2024-03-04T11:00:00Z\n"
    );
    assert_eq!(
        tiny.csv("SELECT row, \"column\", reason, detail FROM quarantine ORDER BY row"),
        "5,sold,not_a_date,`31/02/2024 10:00`\n6,sold,not_a_date,`2024-03-04`\n"
    );
}

#[test]
fn local_times_that_do_not_exist_or_occur_twice_are_placed_by_rule_and_counted() {
    let pipeline = PIPELINE
        .replace("as_of", "zone = \"Europe/Berlin\"\nas_of")
        .replace("placed_at = \"placed_at\"", "placed_at = \"sold\"");
    let times = [
        "2024-03-31 02:30:00",
        "2024-10-27 02:30:00",
        "2024-10-27 02:30:00+01:00",
        "2024-10-27 03:30:00",
        "2024-07-01",
    ];
    let tiny = Tiny::new(&pipeline, &[("orders.csv", &orders("sold", &times))]);
    let summary = tiny.summary(&[]);
    assert_eq!((&summary["skipped_times"], &summary["folded_times"]), (&Value::from(1), &Value::from(1)));
    assert_eq!(
        tiny.csv("SELECT order_id, placed_at FROM order_scores ORDER BY order_id"),
        "O-0,2024-03-31T01:30:00Z\nO-1,2024-10-27T00:30:00Z\nO-2,2024-10-27T01:30:00Z\nO-3,2024-10-27T02:30:00Z\nO-4,2024-06-30T22:00:00Z\n"
    );
    // Also where the typed copies are used again.
    assert_eq!(tiny.summary(&[])["folded_times"], 1);
}

/// The tiny pipeline with currencies and rates.
fn with_rates(base: &str) -> String {
    PIPELINE.replace("amount = \"amount\" }", "amount = \"amount\", currency = \"currency\" }")
        + &format!(
            "[money]\nbase = '{base}'\n[sources.fx]\npath = 'fx.csv'\n[tables.fx_rates]\nsource = 'fx'\n\
             columns = {{ currency = 'currency', valid_from = 'valid_from', rate_to_base = 'rate_to_base' }}\n"
        )
}

#[test]
fn money_has_the_decimals_of_its_currency_and_the_rate_in_force_at_its_time() {
    let fx = "currency,valid_from,rate_to_base\nUSD,2024-02-01T00:00:00Z,0.90\nUSD,2024-01-01T00:00:00Z,0.50\nJPY,2024-01-01,0.0061\nKWD,2024-01-01,3.0001\n";
    let orders = "order_id,placed_at,customer_id,amount,currency\n\
        eur,2023-06-01T00:00:00Z,C,1234.56,EUR\n\
        eur_lower,2023-06-01T00:00:00Z,C,1.20,eur\n\
        none,2023-06-01T00:00:00Z,C,3.00,\n\
        jpy,2024-01-05T00:00:00Z,C,12345,JPY\n\
        kwd,2024-01-05T00:00:00Z,C,1.234,KWD\n\
        usd_early,2024-01-31T23:59:59Z,C,0.05,USD\n\
        usd_late,2024-02-01T00:00:00Z,C,0.05,USD\n\
        usd_before_any,2023-12-31T23:59:59Z,C,10.00,USD\n\
        gbp,2024-02-01T00:00:00Z,C,10.00,GBP\n\
        jpy_half,2024-02-01T00:00:00Z,C,0.5,JPY\n\
        eur_three,2024-02-01T00:00:00Z,C,0.125,EUR\n";
    let tiny = Tiny::new(&with_rates("EUR"), &[("orders.csv", orders), ("fx.csv", fx)]);
    tiny.summary(&["--set", "quarantine.max_share=1"]);
    // 12345 × 0.0061 = 75.3045; 1.234 × 3.0001 = 3.7021…; 5 cents × 0.50 = 2.5 cents, half to even; 5 × 0.90 = 4.5.
    assert_eq!(
        tiny.csv("SELECT order_id, amount FROM order_scores ORDER BY order_id"),
        "eur,123456\neur_lower,120\njpy,7530\nkwd,370\nusd_early,2\nusd_late,4\n"
    );
    assert_eq!(
        tiny.csv("SELECT order_id, \"column\", reason, detail FROM quarantine ORDER BY row"),
        "none,amount,unknown_currency,`3.00` without a currency\n\
         usd_before_any,amount,no_fx_rate,no rate of `USD` to the base currency is in force at 2023-12-31T23:59:59Z\n\
         gbp,amount,no_fx_rate,no rate of `GBP` to the base currency is in force at 2024-02-01T00:00:00Z\n\
         jpy_half,amount,too_precise,`0.5` in currency `JPY`\n\
         eur_three,amount,too_precise,`0.125` in currency `EUR`\n"
    );

    // The base decides what a minor unit is.
    let fx = "currency,valid_from,rate_to_base\nEUR,2024-01-01,160.5\nKWD,2024-01-01,480\n";
    let orders = "order_id,placed_at,customer_id,amount,currency\na,2024-01-05,C,1.00,EUR\nb,2024-01-05,C,0.001,KWD\nc,2024-01-05,C,7,JPY\n";
    let tiny = Tiny::new(&with_rates("JPY"), &[("orders.csv", orders), ("fx.csv", fx)]);
    assert_eq!(tiny.summary(&[])["currency"], "JPY");
    assert_eq!(tiny.csv("SELECT order_id, amount FROM order_scores ORDER BY order_id"), "a,160\nb,0\nc,7\n");
}

#[test]
fn digits_too_many_are_rounded_only_where_the_pipeline_says_so_and_counted() {
    let pipeline =
        format!("{PIPELINE}[sources.orders.columns]\namount = {{ type = 'money', currency = 'EUR', round = true }}\n");
    let orders =
        "order_id,placed_at,customer_id,amount\na,2024-01-05,C,0.125\nb,2024-01-05,C,0.135\nc,2024-01-05,C,0.130\n";
    let tiny = Tiny::new(&pipeline, &[("orders.csv", orders)]);
    assert_eq!(tiny.summary(&[])["rounded_amounts"], 2);
    assert_eq!(tiny.csv("SELECT order_id, amount FROM order_scores ORDER BY order_id"), "a,12\nb,14\nc,13\n");
}

#[test]
fn of_two_rows_with_one_key_the_latest_is_kept() {
    let pipeline = PIPELINE.replace("amount = \"amount\" }", "amount = \"amount\", updated_at = \"updated_at\" }");
    let orders = "order_id,placed_at,customer_id,amount,updated_at\n\
        a,2024-01-05,C,1.00,2024-01-07\na,2024-01-05,C,2.00,2024-01-06\n\
        b,2024-01-05,C,3.00,2024-01-06\nb,2024-01-05,C,4.00,2024-01-06\n\
        c,2024-01-05,C,5.00,\nc,2024-01-05,C,6.00,2024-01-06\nc,2024-01-05,C,7.00,\n\
        d,2024-01-05,C,8.00,2024-01-06\nd,2024-01-05,C,not money,2024-01-09\n";
    let tiny = Tiny::new(&pipeline, &[("orders.csv", orders)]);
    let summary = tiny.summary(&["--set", "quarantine.max_share=1"]);
    assert_eq!(tally(&summary, "tables")["orders"], [8, 4, 0, 4]);
    assert_eq!(tally(&summary, "sources")["orders"], [9, 8, 1, 0]);
    // Of rows of one time the later in the file; a refused row replaces none.
    assert_eq!(tiny.csv("SELECT order_id, amount FROM order_scores ORDER BY order_id"), "a,100\nb,400\nc,600\nd,800\n");

    // Without `updated_at` the later one counts, over files in the order of their names.
    let tiny = Tiny::new(&PIPELINE.replace("orders.csv", "in"), &[]);
    tiny.write("in/2.csv", "order_id,placed_at,customer_id,amount\na,2024-01-05,C,2.00\n");
    tiny.write("in/1.csv", "order_id,placed_at,customer_id,amount\na,2024-01-05,C,1.00\n");
    tiny.summary(&[]);
    assert_eq!(tiny.csv("SELECT order_id, amount FROM order_scores"), "a,200\n");
}

#[test]
fn over_the_limit_nothing_is_published_and_the_last_state_stays_as_it_was() {
    let rows = |bad: usize| -> String {
        let amount = |at: usize| if at < bad { "much" } else { "1.00" };
        let lines = (0..20).map(|at| format!("O-{at},2024-05-01,C,{}\n", amount(at)));
        "order_id,placed_at,customer_id,amount\n".to_owned() + &lines.collect::<String>()
    };
    let tiny = Tiny::new(PIPELINE, &[("orders.csv", &rows(1))]);
    // One of twenty is five per cent: at the limit, not over it.
    tiny.run(0, &[]);
    let before = published(&tiny.out());
    assert!(before.len() > 5);
    tiny.write("orders.csv", rows(2));
    let done = tiny.run(3, &["--json"]);
    assert_eq!(done.stdout, "");
    assert_eq!(
        done.stderr,
        "error: 2 of 20 rows of `orders` were quarantined (10.0 %), the limit is 5.0 %:\n  \
         2 × not_money, first in orders.csv row 1, column `amount`: `much` in currency `EUR`; write plain decimals without a \
         currency sign; set `decimal` if the mark is a comma\n\
         this is over the limit; nothing was published\n\
         hint: `ordersight check` shows all of it; raise `quarantine.max_share` only if these rows are expected\n"
    );
    assert_eq!(published(&tiny.out()), before);
    // The first time too: no state is none.
    let fresh = Tiny::new(PIPELINE, &[("orders.csv", &rows(2))]);
    fresh.run(3, &[]);
    assert_eq!(published(&fresh.out()).into_keys().collect::<Vec<_>>(), Vec::<String>::new());
    fresh.run(0, &["--set", "quarantine.max_share=0.1"]);
    assert_eq!(fresh.query("SELECT row FROM quarantine").len(), 2);
}

#[test]
fn a_quote_that_is_never_closed_costs_its_own_line_and_a_broken_record_is_shown_where_nothing_is_personal() {
    let orders = "order_id,placed_at,customer_id,amount\n\
        A,2024-05-01,\"two\nlines\",1.00\nB,2024-05-01,\"open,1.00\nC,2024-05-01,C,1.00\nD,2024-05-01,C\nE,2024-05-01,\"x\"\"y\",1.00\n";
    let tiny = Tiny::new(PIPELINE, &[("orders.csv", orders)]);
    let summary = tiny.summary(&["--set", "quarantine.max_share=1"]);
    assert_eq!(tally(&summary, "sources")["orders"], [5, 3, 2, 0]);
    let rows = tiny.query("SELECT row, reason, raw_record FROM quarantine ORDER BY row");
    assert_eq!(
        rows,
        [
            serde_json::json!({"row": 2, "reason": "ragged_row", "raw_record": "B,2024-05-01,\"open,1.00"}),
            serde_json::json!({"row": 4, "reason": "ragged_row", "raw_record": "[\"D\",\"2024-05-01\",\"C\"]"}),
        ]
    );
    assert_eq!(tiny.csv("SELECT order_id FROM order_scores ORDER BY order_id"), "A\nC\nE\n");
}

/// A pipeline whose orders come from SQL over two sources.
fn by_sql(select: &str, columns: &str) -> Tiny {
    let pipeline = format!(
        "name = 'sql'\n[time]\nas_of = '2025-01-01T00:00:00Z'\n[sources.raw]\npath = 'raw.csv'\n[sources.raw.columns]\n{columns}\n\
         [sources.sent]\npath = 'sent.csv'\ncolumns.sent_at.type = 'datetime'\n[tables.orders]\nsql = \"\"\"{select}\"\"\"\n"
    );
    let raw = "id,sold,who,total,boxes\nA,2024-05-01 10:00:00,C1,5.00,1\nB,2024-05-32 10:00:00,C1,5.00,1\nC,2024-05-03 10:00:00,,5.00,two\nD,2024-05-04 10:00:00,C2,5.00,2\n";
    Tiny::new(
        &pipeline,
        &[("raw.csv", raw), ("sent.csv", "id,sent_at\nA,2024-05-02 08:00:00\nD,2024-05-01 08:00:00\n")],
    )
}

#[test]
fn rows_of_an_sql_mapping_are_checked_before_sql_and_after_it_and_keep_their_place() {
    let select = "SELECT r.id AS order_id, r.sold AS placed_at, r.who AS customer_id, r.total AS amount, s.sent_at AS shipped_at \
                  FROM raw r LEFT JOIN sent s ON r.id = s.id";
    let tiny = by_sql(select, "sold.type = 'datetime'\ntotal.type = 'money'");
    let summary = tiny.summary(&["--set", "quarantine.max_share=1"]);
    assert_eq!(tally(&summary, "sources")["raw"], [4, 3, 1, 0]);
    assert_eq!(tally(&summary, "tables")["orders"], [3, 1, 2, 0]);
    assert_eq!(tiny.csv("SELECT order_id, amount FROM order_scores"), "A,500\n");
    assert_eq!(
        tiny.csv("SELECT source, file, row, \"table\", \"column\", reason, raw_record FROM quarantine ORDER BY row"),
        "raw,raw.csv,2,,sold,not_a_date,\"{\"\"id\"\":\"\"B\"\",\"\"sold\"\":\"\"2024-05-32 10:00:00\"\",\"\"who\"\":\"\"C1\"\",\"\"total\"\":\"\"5.00\"\",\"\"boxes\"\":\"\"1\"\"}\"\n\
         raw,raw.csv,3,orders,customer_id,missing_required,\"{\"\"id\"\":\"\"C\"\",\"\"sold\"\":\"\"2024-05-03 10:00:00\"\",\"\"who\"\":\"\"\"\",\"\"total\"\":\"\"5.00\"\",\"\"boxes\"\":\"\"two\"\"}\"\n\
         raw,raw.csv,4,orders,shipped_at,time_order,\"{\"\"id\"\":\"\"D\"\",\"\"sold\"\":\"\"2024-05-04 10:00:00\"\",\"\"who\"\":\"\"C2\"\",\"\"total\"\":\"\"5.00\"\",\"\"boxes\"\":\"\"2\"\"}\"\n"
    );
}

#[test]
fn sql_cannot_turn_what_it_cannot_read_into_null() {
    let typed = "sold.type = 'datetime'\ntotal.type = 'money'";
    let select = |more: &str| {
        format!("SELECT id AS order_id, sold AS placed_at, who AS customer_id, total AS amount, {more} FROM raw")
    };
    let said = |select: &str, columns: &str| by_sql(select, columns).run(2, &[]).stderr;
    let silent = |what: &str| {
        format!(
            "error: 1 problem in pipeline.toml\n  `tables.orders.sql`: `{what}` turns what it cannot read into null without a word \
             (declare the column's type under [sources.NAME.columns]; bad rows are then quarantined)\n"
        )
    };
    assert_eq!(said(&select("TRY_CAST(boxes AS BIGINT) AS item_count"), typed), silent("try_cast"));
    assert_eq!(said(&select("STRPTIME(sold, '%Y') AS shipped_at"), typed), silent("strptime"));
    // A plain cast stops the run, and says how not to need it.
    assert_eq!(
        said(&select("CAST(boxes AS BIGINT) AS item_count"), typed),
        "error: 1 problem in pipeline.toml\n  `tables.orders.sql`: conversion from `str` to `i64` failed in column 'boxes' \
         (declare the column's type under [sources.NAME.columns] instead of a cast; bad rows are then quarantined)\n"
    );
    // A text is no timestamp, whatever it looks like.
    assert_eq!(
        said(&select("1 AS item_count"), "total.type = 'money'"),
        "error: 1 problem in pipeline.toml\n  `tables.orders.sql`: the result column `placed_at` is str, where datetime[μs, UTC] is \
         needed (declare the type of its source column under [sources.NAME.columns])\n"
    );
    // Declared, the bad value costs its row and nothing else.
    let tiny = by_sql(&select("boxes AS item_count"), &format!("{typed}\nboxes.type = 'integer'"));
    tiny.summary(&["--set", "quarantine.max_share=1"]);
    assert_eq!(
        tiny.csv("SELECT row, \"column\", reason FROM quarantine ORDER BY row"),
        "2,sold,not_a_date\n3,boxes,not_an_integer\n"
    );
}
