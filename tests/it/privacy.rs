//! What is personal comes out of no door: not in a table, not in a message, not in the cache.

use crate::harness::{Done, data_files, finish, ordersight};
use crate::tiny::{Tiny, every_file, query};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

/// What must not be found, however it is written: the owners' parts of addresses, and digits of numbers. Each occurs in the
/// inputs below, in whole rows and in broken ones.
const SECRETS: &[&str] = &[
    "ann.needle",
    "bob.needle",
    "eve.needle",
    "lea.needle",
    "zoe.needle",
    "5550177",
    "5550199",
    "5550166",
    "203.0.113.77",
    "300.77.1.2",
    "2001:db8::77",
    "198.51.100.9",
    "haystack lane",
    "rue de l'aiguille",
    "4111111111111111",
    "tok_needle",
    "5500005555555559",
];

/// What stands in columns that are said to hold texts. It comes out nowhere either; but the typed copies in the cache, which
/// only their owner can read, hold texts as they came.
const MISPLACED: &[&str] = &["mal.needle", "5550144"];

const HEADER: &str = "order_id,placed_at,customer_id,amount,currency,payment_method,payment_id,payment_country,email,phone,ip,ip_country,ship_address,ship_postcode,cancelled_by,shipped_at";

/// Orders of which every fifth or so is broken, each in another way.
fn orders() -> Vec<u8> {
    let mut text = format!("{HEADER}\n");
    let tail = |postcode: &str| format!("NL,12 Haystack Lane,{postcode},,2024-05-02T00:00:00Z");
    for at in 0..40 {
        let (name, card) = if at % 2 == 0 { ("ann", "4111111111111111") } else { ("BOB", "tok_needle_2") };
        text += &format!(
            "G-{at},2024-05-01T0{}:00:00Z,C-{},20.00,EUR,card,{card},NL,{name}.needle@mail.example,+31 20 555 0177,203.0.113.77,{}\n",
            at % 10,
            at % 7,
            tail("1011")
        );
    }
    let head = |id: &str| format!("{id},2024-05-01T00:00:00Z,C-1,20.00,EUR,card");
    for (id, rest) in [
        // One field too many (an address with a comma in it), one too few.
        ("ragged-long", "4111111111111111,NL,ann.needle@mail.example,+31 20 555 0177,203.0.113.77,NL,12 Haystack Lane, Needle Town,1011,,".to_owned()),
        ("ragged-short", "4111111111111111,NL,ann.needle@mail.example,+31 20 555 0177".to_owned()),
        // Not of their kind.
        ("no-email", format!("4111111111111111,NL,eve.needle at mail.example,+31 20 555 0177,203.0.113.77,{}", tail("1011"))),
        ("no-phone", format!("4111111111111111,NL,ann.needle@mail.example,call 555-0199,203.0.113.77,{}", tail("1011"))),
        ("no-ip", format!("4111111111111111,NL,ann.needle@mail.example,+31 20 555 0177,300.77.1.2,{}", tail("1011"))),
        // All fields one to the right, and one to the left: every value stands in its neighbour's column.
        ("right", "gift,5500005555555559,NL,zoe.needle@mail.example,0205550166,2001:db8::77,NL,rue de l'aiguille 9,,2024-05-02T00:00:00Z".to_owned()),
        ("left", "NL,zoe.needle@mail.example,0205550166,2001:db8::77,NL,rue de l'aiguille 9,1011,,,2024-05-02T00:00:00Z".to_owned()),
    ] {
        text += &format!("{},{rest}\n", head(id));
    }
    let personal = "tok_needle_3,NL,lea.needle@mail.example,+31 20 555 0177,198.51.100.9,NL,12 Haystack Lane,1011";
    for (id, placed, amount, currency, by) in [
        ("mail-as-amount", "2024-05-01", "mal.needle@mail.example", "EUR", ""),
        ("phone-as-date", "+31 20 555 0177", "1.00", "EUR", ""),
        ("phone-as-currency", "2024-05-01", "1.00", "+31 20 555 0144", ""),
        ("card-as-date", "4111 1111 1111 1111", "1.00", "EUR", ""),
        ("ip-as-amount", "2024-05-01", "198.51.100.9", "EUR", ""),
        ("mail-as-word", "2024-05-01", "1.00", "EUR", "mal.needle@mail.example"),
        ("negative", "2024-05-01", "-1.00", "EUR", ""),
        ("mal.needle@mail.example", "2024-05-01", "-2.00", "EUR", ""),
    ] {
        text += &format!("{id},{placed},C-1,{amount},{currency},card,{personal},{by},\n");
    }
    let mut bytes = text.into_bytes();
    bytes.extend(format!("{},{personal},,caf", head("latin")).into_bytes());
    bytes.extend(b"\xe9\n");
    bytes
}

/// The same as NDJSON, with broken lines of its own.
fn ndjson() -> String {
    let names: Vec<&str> = HEADER.split(',').collect();
    let plain = orders();
    let mut reader = csv::ReaderBuilder::new().flexible(true).from_reader(&plain[..]);
    let mut text = String::new();
    for record in reader.byte_records() {
        let record = record.unwrap();
        let fields = names.iter().zip(record.iter()).map(|(n, f)| ((*n).to_owned(), String::from_utf8_lossy(f).into()));
        text += &serde_json::Value::Object(fields.collect()).to_string();
        text.push('\n');
    }
    text += "{\"order_id\":\"cut\",\"email\":\"ann.needle@mail.example\",\"phone\":\"+31 20 555 01\n";
    text += "[\"list\",\"ann.needle@mail.example\",\"203.0.113.77\"]\n";
    text +=
        "{\"order_id\":\"nested\",\"email\":{\"first\":\"ann.needle@mail.example\"},\"phone\":\"+31 20 555 0177\"}\n";
    text += "ann.needle@mail.example 4111111111111111\n";
    text
}

const HEAD: &str = r#"name = "personal"
[time]
as_of = "2024-06-01T00:00:00Z"
[kpi]
segments = ["payment_method", "ship_postcode", "ip_country"]
[risk.fraud]
[quarantine]
max_share = 0.6
[sources.tickets]
path = "tickets.csv"
[tables.tickets]
source = "tickets"
columns = { ticket_id = "ticket_id", order_id = "order_id", kind = "kind", opened_at = "opened_at" }
"#;

/// Orphans and unknown words that are personal.
const TICKETS: &str = "ticket_id,order_id,kind,opened_at\n1,G-1,contact,2024-05-03\n2,G-2,chargeback,2024-05-04\n3,G-3,contact,2024-05-04\n\
    4,G-4,contact,2024-05-05\n5,G-6,contact,2024-05-05\n6,G-5,contact,2024-05-05\n\
    7,mal.needle@mail.example,contact,2024-05-03\n8,G-1,mal.needle@mail.example,2024-05-03\n9,G-1,contact,+31 20 555 0177\n";

fn columns() -> String {
    HEADER.split(',').map(|name| format!("{name} = \"{name}\"\n")).collect()
}

/// Orders by column map over a file of this name.
fn by_map(file: &str) -> String {
    format!(
        "{HEAD}[sources.orders]\npath = '{file}'\n[tables.orders]\nsource = 'orders'\n[tables.orders.columns]\n{}",
        columns()
    )
}

const DECLARED: &str = "columns.placed_at.type = 'datetime'\ncolumns.shipped_at.type = 'datetime'\ncolumns.amount.type = 'money'\n\
    columns.payment_id.type = 'payment'\ncolumns.email.type = 'email'\ncolumns.phone.type = 'phone'\ncolumns.ip.type = 'ip'\n\
    columns.ship_address.type = 'address'\n";

/// Orders by SQL: with an origin for each row, and (a union) without.
fn by_sql(union: bool) -> String {
    let select = format!("SELECT {HEADER} FROM raw");
    let sql = if union {
        format!("{select} WHERE amount > 0 UNION ALL {select} WHERE amount <= 0 OR amount IS NULL")
    } else {
        select
    };
    format!("{HEAD}[sources.raw]\npath = 'orders.csv'\n{DECLARED}[tables.orders]\nsql = \"{sql}\"\n")
}

/// A text in the ways it could be hidden from a plain search.
fn holds(text: &str, secret: &str) -> bool {
    let text = text.to_lowercase();
    text.contains(secret) || text.replace([' ', '-', '(', ')'], "").contains(&secret.replace([' ', '-'], ""))
}

#[track_caller]
fn clean(what: &str, text: &str) {
    let misplaced = if what.contains("_cache/") { &[] } else { MISPLACED };
    let found: Vec<&&str> = SECRETS.iter().chain(misplaced).filter(|s| holds(text, s)).collect();
    let lines = text.lines().filter(|l| found.iter().any(|s| holds(l, s))).take(3);
    let lines: Vec<String> = lines.map(|l| l.chars().filter(|c| !c.is_control()).take(300).collect()).collect();
    assert!(found.is_empty(), "{what} holds {found:?}: {lines:#?}");
}

/// Looks at every file below a folder: its name, its bytes, and what is packed in it.
fn clean_folder(out: &Path) {
    use polars::prelude::*;
    for (name, bytes) in every_file(out) {
        clean("a file's name", &name);
        clean(&name, &String::from_utf8_lossy(&bytes));
        if name.ends_with(".parquet") {
            let frame = ParquetReader::new(std::io::Cursor::new(bytes)).finish().unwrap();
            let mut text = String::new();
            for column in frame.columns() {
                for at in 0..frame.height() {
                    text += &format!("{} ", column.get(at).unwrap().str_value());
                }
                text.push('\n');
            }
            clean(&format!("unpacked, {name}"), &text);
        }
    }
}

fn clean_done(what: &str, done: &Done) {
    clean(&format!("standard output of {what}"), &done.stdout);
    clean(&format!("standard error of {what}"), &done.stderr);
}

/// Runs every command over a pipeline with personal data and searches all they leave behind.
fn nothing_leaks(pipeline: &str) -> Tiny {
    let tiny = Tiny::new(pipeline, &[("tickets.csv", TICKETS)]);
    tiny.write("orders.csv", orders());
    tiny.write("orders.ndjson", ndjson());
    for (code, name, more) in [
        (0, "check", &["-v", "-v", "--features"][..]),
        (0, "run", &["-v", "-v"]),
        (4, "run", &["-v", "-v", "--set", "risk.fraud.cold_start=false"]),
        (4, "train", &["-v", "-v", "--target", "fraud"]),
        (0, "run", &["-v", "-v", "--set", "risk={}"]),
        (0, "run", &["--json", "-v", "--set", "risk={}"]),
        (3, "run", &["-v", "-v", "--set", "risk={}", "--set", "quarantine.max_share=0.01"]),
        (1, "check", &["--set", "quarantine.max_share=0.01"]),
    ] {
        clean_done(&format!("{name} {more:?}"), &tiny.command(code, name, more));
    }
    let out = tiny.out();
    let out_text = out.to_str().unwrap();
    for table in query(&out, "SHOW TABLES") {
        let table = table["name"].as_str().unwrap();
        for format in ["json", "csv", "table"] {
            let done = finish(&mut ordersight(&[
                "query",
                &format!("SELECT * FROM {table}"),
                "--out",
                out_text,
                "--format",
                format,
            ]));
            assert_eq!(done.code, 0);
            clean_done(&format!("query of {table} as {format}"), &done);
        }
    }
    for (code, args) in [
        (0, vec!["explain", "G-1"]),
        (2, vec!["explain", "negative"]),
        (2, vec!["explain", "no such"]),
        (0, vec!["report"]),
    ] {
        let done = finish(ordersight(&args).args(["--out", out_text, "-v", "-v"]));
        assert_eq!(done.code, code, "{args:?} {done:?}");
        clean_done(&format!("{args:?}"), &done);
    }
    clean_folder(&tiny.path("out"));
    tiny
}

/// The order and reason of each quarantined row of orders.
fn fates(tiny: &Tiny) -> String {
    tiny.csv("SELECT order_id, \"column\", reason FROM quarantine WHERE source <> 'tickets' ORDER BY file, row")
}

#[test]
fn nothing_personal_comes_out_of_a_run_over_csv() {
    let tiny = nothing_leaks(&by_map("orders.csv"));
    // The search found nothing because it was masked, not because it was not there.
    let input = String::from_utf8_lossy(&orders()).into_owned() + TICKETS;
    for secret in SECRETS.iter().chain(MISPLACED) {
        assert!(holds(&input, secret), "no input holds {secret}");
    }
    assert_eq!(
        fates(&tiny),
        ",,ragged_row\n,,ragged_row\nno-email,email,not_an_email\nno-phone,phone,not_a_phone\nno-ip,ip,not_an_ip\n\
         right,email,not_an_email\nleft,email,not_an_email\nmail-as-amount,amount,not_money\n\
         phone-as-date,placed_at,not_a_date\nphone-as-currency,amount,unknown_currency\n\
         card-as-date,placed_at,not_a_date\nip-as-amount,amount,not_money\nmail-as-word,cancelled_by,unknown_word\n\
         negative,amount,negative\n[personal],amount,negative\n,,bad_encoding\n"
    );
}

#[test]
fn nothing_personal_comes_out_of_a_run_over_ndjson() {
    let tiny = nothing_leaks(&by_map("orders.ndjson"));
    // What is ragged in CSV is shifted here (or just shorter), and the last four lines are no records.
    assert_eq!(
        fates(&tiny),
        "ragged-long,cancelled_by,unknown_word\nno-email,email,not_an_email\nno-phone,phone,not_a_phone\n\
         no-ip,ip,not_an_ip\nright,email,not_an_email\nleft,email,not_an_email\nmail-as-amount,amount,not_money\n\
         phone-as-date,placed_at,not_a_date\nphone-as-currency,amount,unknown_currency\n\
         card-as-date,placed_at,not_a_date\nip-as-amount,amount,not_money\nmail-as-word,cancelled_by,unknown_word\n\
         negative,amount,negative\n[personal],amount,negative\nlatin,shipped_at,not_a_date\n,,not_json\n\
         ,,not_an_object\n,,nested_value\n,,not_json\n"
    );
}

#[test]
fn nothing_personal_comes_out_of_a_run_over_sql() {
    for union in [false, true] {
        let tiny = nothing_leaks(&by_sql(union));
        assert_eq!(fates(&tiny).lines().count(), 16);
    }
}

#[test]
fn a_run_that_is_refused_says_why_without_a_personal_value() {
    let refused = |code: i32, pipeline: &str, orders: &str| -> String {
        let tiny = Tiny::new(pipeline, &[("tickets.csv", TICKETS), ("orders.csv", orders)]);
        let done = tiny.run(code, &["-v", "-v"]);
        clean_done("a refused run", &done);
        done.stderr
    };
    let map = by_map("orders.csv");
    let all = String::from_utf8_lossy(&orders()).into_owned();
    let row = all.lines().nth(1).unwrap().replace("NL,ann", "BE,ann");
    // Without a header the first row is a person.
    assert!(
        refused(3, &map, &format!("{row}\n{row}\n"))
            .contains("orders.csv has none of the columns the pipeline names: `amount`, ")
    );
    let twice = row.replace(",1011,", ",12 Haystack Lane,");
    assert!(refused(3, &map, &format!("{twice}\n{row}\n")).contains("columns 13 and 14 have the same name in the first row; nothing was published\nhint: the first row must hold the names"));
    // With another delimiter the header is one long name.
    assert!(refused(3, &map, &all.replace(',', ";")).contains("check `delimiter`"));
    // A cast in SQL quotes what it cannot read.
    let cast = by_sql(false)
        .replace("columns.email.type = 'email'\n", "")
        .replace("SELECT", "SELECT CAST(email AS BIGINT) AS item_count,")
        .replace("email,phone", "phone");
    assert!(refused(2, &cast, &all).contains("conversion from `str` to `i64` failed in column 'email'"));
    let clear = by_sql(false).replace("columns.email.type = 'email'\n", "");
    assert!(refused(2, &clear, &all).contains("`email` is personal and comes out of SQL in clear"));
}

#[test]
fn what_the_pipeline_asks_to_show_is_shown_and_nothing_else() {
    let tiny = Tiny::new(&by_map("orders.csv"), &[("tickets.csv", TICKETS)]);
    tiny.write("orders.csv", orders());
    tiny.summary(&["--set", "risk={}", "--set", "privacy.show=[\"email\"]"]);
    let raw = tiny.query("SELECT raw_record FROM quarantine WHERE order_id IN ('no-ip', 'negative') ORDER BY row");
    let raw: Vec<&str> = raw.iter().map(|r| r["raw_record"].as_str().unwrap()).collect();
    let texts = |ip: &str, id: &str, more: &str| {
        format!(r#""payment_id":"[personal]",{more}"email":"{id}","phone":"[personal]","ip":"{ip}""#)
    };
    assert!(
        raw[0].contains(&texts("[personal]", "ann.needle@mail.example", r#""payment_country":"[personal]","#)),
        "{}",
        raw[0]
    );
    assert!(
        raw[1].contains(&texts("[personal]", "lea.needle@mail.example", r#""payment_country":"NL","#)),
        "{}",
        raw[1]
    );
    assert!(raw.iter().all(|r| r.contains(r#""ship_address":"[personal]""#)));
    // Shown in quarantine, and nowhere else.
    for (name, bytes) in data_files(&tiny.out()) {
        if !name.starts_with("quarantine/") {
            clean(&name, &String::from_utf8_lossy(&bytes));
        }
    }
}

fn mode(path: &Path) -> u32 {
    std::fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[test]
fn cache_and_key_are_for_their_owner_and_tables_for_everyone() {
    let tiny = Tiny::new(&by_map("orders.csv"), &[("tickets.csv", TICKETS)]);
    tiny.write("orders.csv", orders());
    let usual = tiny.path("usual");
    std::fs::create_dir(&usual).unwrap();
    // A training comes first and makes the folder.
    tiny.command(4, "train", &["--target", "fraud"]);
    tiny.summary(&["--set", "risk={}"]);
    let out = tiny.out();
    assert_eq!((mode(&out.join("_cache")), mode(&out.join("_state"))), (0o700, 0o700));
    assert_eq!(mode(&out.join("_state/personal.key")), 0o600);
    assert_eq!((mode(&out), mode(&out.join("order_scores"))), (mode(&usual), mode(&usual)));
}

#[test]
fn hashes_depend_on_the_key_and_published_data_does_not() {
    // Every output file, and the hashes in the cache, of a run under a key.
    let run = |key: Option<&str>| {
        let tiny = Tiny::new(&by_map("orders.csv"), &[("tickets.csv", TICKETS)]);
        tiny.write("orders.csv", orders());
        let mut command = ordersight(&["run", "pipeline.toml", "--out", "out", "--set", "risk={}"]);
        command.envs(key.map(|key| ("ORDERSIGHT_PII_KEY", key))).current_dir(tiny.path(""));
        assert_eq!(finish(&mut command).code, 0);
        assert_eq!(tiny.path("out/_state/personal.key").exists(), key.is_none());
        (data_files(&tiny.out()), hashes(&tiny.path("out/_cache/orders")))
    };
    let (files, hashed) = run(Some("one"));
    assert!(files.len() > 5 && hashed.iter().flatten().count() > 100);
    assert_eq!(run(Some("one")), (files.clone(), hashed.clone()));
    for key in [Some("two"), None] {
        let (other_files, other_hashed) = run(key);
        assert_eq!(other_files, files);
        assert!(hashed.iter().flatten().all(|h| !other_hashed.iter().flatten().any(|o| o == h)));
    }
    // A key in a file is the same key.
    let tiny = Tiny::new(&by_map("orders.csv"), &[("tickets.csv", TICKETS), ("key", "one\n")]);
    tiny.write("orders.csv", orders());
    tiny.summary(&["--set", "risk={}", "--pii-key-file", tiny.path("key").to_str().unwrap()]);
    assert_eq!(hashes(&tiny.path("out/_cache/orders")), hashed);
}

/// The personal columns of the typed copies below a folder.
fn hashes(folder: &Path) -> Vec<Option<String>> {
    use polars::prelude::*;
    let mut found = Vec::new();
    for (name, bytes) in every_file(folder) {
        if name.ends_with(".parquet") {
            let frame = ParquetReader::new(std::io::Cursor::new(bytes)).finish().unwrap();
            for column in ["email", "phone", "ip", "ip__network", "ship_address", "payment_id"] {
                found.extend(frame.column(column).unwrap().str().unwrap().iter().map(|v| v.map(str::to_owned)));
            }
        }
    }
    found
}
