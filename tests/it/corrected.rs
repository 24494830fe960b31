//! Orders that are corrected, fall away and come again, and settings that change, while a stream goes on.

use crate::harness::{finish, ordersight};
use crate::landing::{Landing, TINY, done, land, stream, tiny, told};
use crate::shop::differing_rows;
use crate::tiny::query;
use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

#[test]
fn files_that_are_mapped_together_give_what_each_by_itself_gives_also_where_sql_leaves_rows_out() {
    let folder = tiny();
    let sql = TINY.replace(
        "source = \"orders\"\ncolumns = { order_id = \"id\", placed_at = \"at\", customer_id = \"who\", amount = \"amount\" }",
        "sql = \"SELECT id AS order_id, at AS placed_at, who AS customer_id, amount FROM orders WHERE via IS NULL OR via <> 'test'\"",
    );
    let columns = "[sources.orders.columns]\nat = { type = \"datetime\" }\namount = { type = \"money\" }\nvia = { type = \"text\" }\n";
    let sql = sql.replace("[tables.orders]", &format!("{columns}[tables.orders]"));
    assert!(sql.contains("WHERE via"), "{sql}");
    std::fs::write(folder.path().join("tiny.toml"), sql).unwrap();
    // Every order stands in two files, with another amount each; some rows are left out, and one file has nothing else.
    let mut files: Vec<(String, String)> = Vec::new();
    for file in 0..24_u32 {
        let mut text = "id,at,who,amount,via\n".to_owned();
        for n in file * 5..file * 5 + 10 {
            let via = if n % 7 == 3 || file == 9 { "test" } else { "" };
            let day = 1 + n / 5;
            text.push_str(&format!(
                "o{n},2025-01-{day:02}T{:02}:00:00Z,c{},{}.00,{via}\n",
                n % 5,
                n % 6,
                10 + n + file
            ));
        }
        files.push((format!("{file:02}.csv"), text));
    }
    for (name, text) in &files {
        std::fs::write(folder.path().join("land").join(name), text).unwrap();
    }
    let mut command = ordersight(&["run", "tiny.toml", "--out", "batch", "--set", "quarantine.max_share=1"]);
    assert_eq!(finish(command.current_dir(folder.path())).code, 0);
    let batch = told(&folder.path().join("batch"));
    assert!(batch.keys().any(|name| name.starts_with("order_features")));
    std::fs::rename(folder.path().join("land"), folder.path().join("kept")).unwrap();
    let mut random = ChaCha8Rng::seed_from_u64(3);
    for (turn, of_epoch) in [1, 5, 24].into_iter().enumerate() {
        let out = format!("out{turn}");
        std::fs::create_dir(folder.path().join("land")).unwrap();
        files.shuffle(&mut random);
        for some in files.chunks(8) {
            for (name, text) in some {
                std::fs::write(folder.path().join("land").join(name), text).unwrap();
            }
            let epoch_files = format!("stream.epoch_files={of_epoch}");
            let mut command = ordersight(&["stream", "tiny.toml", "--once", "--out", &out]);
            command.args(["--set", &epoch_files, "--set", "stream.lateness=40d", "--set", "quarantine.max_share=1"]);
            // The clock of all but the last is before what they wait for.
            if some.as_ptr() != files[16..].as_ptr() {
                command.args(["--as-of", "2024-12-31T00:00:00Z"]);
            }
            let done = finish(command.current_dir(folder.path()));
            assert_eq!(done.code, 0, "{}", done.stderr);
        }
        assert_eq!(differing_rows(&batch, &told(&folder.path().join(&out))), Vec::<String>::new(), "{of_epoch}");
        std::fs::remove_dir_all(folder.path().join("land")).unwrap();
    }
}

#[test]
fn an_order_of_several_rows_that_falls_away_and_comes_again_is_as_a_batch_has_it() {
    let folder = tiny();
    let sql = TINY.replace(
        "source = \"orders\"\ncolumns = { order_id = \"id\", placed_at = \"at\", customer_id = \"who\", amount = \"amount\" }",
        "sql = \"SELECT id AS order_id, MIN(at) AS placed_at, MIN(who) AS customer_id, SUM(amount) AS amount FROM orders \
         GROUP BY id HAVING COUNT(*) <> 2\"",
    );
    let columns = "[sources.orders.columns]\nat = { type = \"datetime\" }\namount = { type = \"money\" }\n";
    let sql = sql.replace("[tables.orders]", &format!("{columns}[tables.orders]"));
    assert!(sql.contains("HAVING"), "{sql}");
    std::fs::write(folder.path().join("tiny.toml"), sql).unwrap();
    let again = "id,at,who,amount\no3,2025-01-04T10:00:00Z,c3,1.00\n";
    for turn in 0..4 {
        match turn {
            0 => land(folder.path(), "1.csv", 0..6),
            // Gone with its second row, while its day gets another order; there again with the third.
            1 => {
                let another = "o9,2025-01-04T11:00:00Z,c3,7.00\n";
                std::fs::write(folder.path().join("land/2.csv"), format!("{again}{another}")).unwrap();
            }
            2 => std::fs::write(folder.path().join("land/3.csv"), again).unwrap(),
            _ => land(folder.path(), "4.csv", 30..34),
        }
        let done = finish(&mut stream(folder.path(), &["--once", "--set", "stream.lateness=30d"]));
        assert_eq!(done.code, 0, "{turn}: {}", done.stderr);
        let mut command = ordersight(&["run", "tiny.toml", "--out", "batch"]);
        assert_eq!(finish(command.current_dir(folder.path())).code, 0);
        let [batch, out] = ["batch", "out"].map(|out| {
            let mut rows = told(&folder.path().join(out));
            // The other order of the day came when its customer's first was not there.
            rows.retain(|name, _| turn < 2 || !name.starts_with("order_features/placed_date=2025-01-04"));
            rows
        });
        assert_eq!(differing_rows(&batch, &out), Vec::<String>::new(), "{turn}");
    }
}

#[test]
fn an_order_that_was_placed_on_another_day_than_was_told_stands_in_that_day_alone() {
    let folder = tiny();
    let land = |name: &str, rows: &[&str]| {
        let text = format!("id,at,who,amount\n{}\n", rows.join("\n"));
        std::fs::write(folder.path().join("land").join(name), text).unwrap();
    };
    land("1.csv", &["a,2025-01-05T10:00:00Z,c1,10", "b,2025-01-10T10:00:00Z,c2,20", "c,2025-01-10T11:00:00Z,c1,30"]);
    let mut child = stream(folder.path(), &["--set", "stream.refresh=9d"]);
    let mut child = child.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let out = folder.path().join("out");
    let days = |table: &str| {
        if !out.join(table).is_dir() {
            return Vec::new();
        }
        let sql = format!("SELECT order_id, CAST(placed_date AS VARCHAR) AS day FROM {table} ORDER BY order_id, day");
        let text = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
        query(&out, &sql).iter().map(|row| (text(&row["order_id"]), text(&row["day"]))).collect::<Vec<_>>()
    };
    let wait_for = |expected: &[(&str, &str)]| {
        let expected: Vec<(String, String)> =
            expected.iter().map(|(id, day)| ((*id).to_owned(), format!("2025-01-{day}"))).collect();
        let until = Instant::now() + Duration::from_secs(60);
        while ["order_scores", "order_features"].iter().any(|table| days(table) != expected) {
            assert!(Instant::now() < until, "{:?}", days("order_scores"));
            std::thread::sleep(Duration::from_millis(50));
        }
    };
    wait_for(&[("a", "05"), ("b", "10"), ("c", "10")]);
    // The only order of its day goes to another, and one of two.
    land("2.csv", &["a,2025-01-06T10:00:00Z,c1,10", "c,2025-01-06T11:00:00Z,c1,30"]);
    wait_for(&[("a", "06"), ("b", "10"), ("c", "06")]);
    // Both of a day, one of them back to where the first came from.
    land("3.csv", &["a,2025-01-05T10:00:00Z,c1,10", "c,2025-01-10T11:00:00Z,c1,30"]);
    wait_for(&[("a", "05"), ("b", "10"), ("c", "10")]);
    Command::new("kill").arg(child.id().to_string()).status().unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(0));
    // A start finds them there too.
    land("4.csv", &["d,2025-01-11T10:00:00Z,c3,40"]);
    assert_eq!(finish(&mut stream(folder.path(), &["--once"])).code, 0);
    wait_for(&[("a", "05"), ("b", "10"), ("c", "10"), ("d", "11")]);
}

#[test]
fn other_features_declared_between_two_starts_are_those_of_every_order_then() {
    let folder = tiny();
    land(folder.path(), "1.csv", 0..20);
    assert_eq!(finish(&mut stream(folder.path(), &["--once"])).code, 0);
    let more = "[features]\nwithout = [\"customer_*_7d\"]\n[[features.declare]]\nentity = \"customer\"\n\
                aggregates = [\"sum\"]\nvalue = \"amount\"\nwindows = [\"3d\", \"12d\"]\n";
    std::fs::write(folder.path().join("tiny.toml"), format!("{TINY}{more}")).unwrap();
    // Without a file first: what is there already is told anew with what is declared now.
    for orders in [None, Some(20..28)] {
        if let Some(orders) = orders {
            land(folder.path(), "2.csv", orders);
        }
        let streamed = finish(&mut stream(folder.path(), &["--once"]));
        assert_eq!(streamed.code, 0, "{}", streamed.stderr);
        let mut command = ordersight(&["run", "tiny.toml", "--out", "batch"]);
        assert_eq!(finish(command.current_dir(folder.path())).code, 0);
        let [batch, out] = ["batch", "out"].map(|out| told(&folder.path().join(out)));
        let features: Vec<&String> = batch.keys().filter(|name| name.starts_with("order_features")).collect();
        let columns = batch[features[0]].get_column_names();
        assert!(columns.iter().any(|column| column.ends_with("sum_12d")), "{columns:?}");
        assert!(!columns.iter().any(|column| column.starts_with("customer_") && column.ends_with("_7d")));
        assert_eq!(differing_rows(&batch, &out), Vec::<String>::new());
    }
}

#[test]
fn orders_of_which_none_is_from_before_the_clock_wait_quietly_and_count_when_it_moves() {
    let folder = tiny();
    land(folder.path(), "1.csv", 0..20);
    let mut child = stream(folder.path(), &["--as-of", "2024-12-01T00:00:00Z"]);
    let mut child = child.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let status = || -> Option<serde_json::Value> {
        let text = std::fs::read_to_string(folder.path().join("out/_state/stream-status.json")).ok()?;
        serde_json::from_str(&text).ok()
    };
    let until = Instant::now() + Duration::from_secs(60);
    while status().is_none_or(|status| status["files_taken"] != 1) {
        assert!(Instant::now() < until, "{:?}", status());
        std::thread::sleep(Duration::from_millis(50));
    }
    // Long enough for many epochs of a tenth of a second.
    std::thread::sleep(Duration::from_secs(2));
    Command::new("kill").arg(child.id().to_string()).status().unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(0));
    assert!(status().unwrap()["epoch"].as_u64() <= Some(2), "{:?}", status());
    assert_eq!(finish(&mut stream(folder.path(), &["--once"])).code, 0);
    let mut command = ordersight(&["run", "tiny.toml", "--out", "batch"]);
    assert_eq!(finish(command.current_dir(folder.path())).code, 0);
    let [batch, out] = ["batch", "out"].map(|out| told(&folder.path().join(out)));
    assert_eq!(differing_rows(&batch, &out), Vec::<String>::new());
}

#[test]
fn a_ticket_about_no_order_that_comes_alone_counts_like_any_other() {
    let landing = Landing::new(300, 21, 20);
    let out = landing.shop.path("out");
    done(&mut landing.command("stream", &out, &[]));
    // After the last order, so that it is not late.
    let ticket = "{\"ticket_id\":\"T-alone\",\"order_id\":null,\"customer_id\":\"C-nobody\",\"kind\":\"contact\",\
                  \"opened_at\":\"2026-01-19T02:30:45Z\",\"known_at\":\"2026-01-19T02:32:36Z\",\"first_reply_at\":null,\
                  \"solved_at\":null,\"last_solved_at\":null,\"channel\":\"email\",\"topic\":\"other\",\"language\":\"en\",\
                  \"agent_language\":\"en\",\"outcome\":null,\"amount\":null,\"currency\":null}\n";
    std::fs::write(landing.folder.join("9999-tickets.ndjson"), ticket).unwrap();
    done(&mut landing.command("stream", &out, &[]));
    assert_eq!(differing_rows(&landing.batch(), &told(&out)), Vec::<String>::new());
}
