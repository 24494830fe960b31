//! Micro-batches: whatever the cut, the order of arrival or the moment of a kill, what is published is what one batch publishes.

use crate::exit_codes::SmallDisk;
use crate::harness::{finish, ordersight, root};
use crate::landing::{CLOCK, Landing, WAITS, done, land, orders, stream, tiny, told};
use crate::shop::differing_rows;
use crate::tiny::query;
use ordersight::publish::{FAIL_AT, Step};
use rand::seq::SliceRandom;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

#[test]
fn whatever_the_cut_a_stream_publishes_what_a_batch_does() {
    let landing = Landing::new(2_500, 5, 40);
    let batch = landing.batch();
    assert!(batch.len() > 100 && batch.keys().any(|name| name.starts_with("order_scores")), "{}", batch.len());
    for (name, sets) in [
        ("all at once", &["stream.epoch_files=9999"][..]),
        ("a few files an epoch", &["stream.epoch_files=6", WAITS[0], WAITS[1]]),
        ("every epoch tells the whole shop", &["stream.epoch_files=40", WAITS[0]]),
    ] {
        let out = landing.shop.path(name);
        done(&mut landing.command("stream", &out, sets));
        assert_eq!(differing_rows(&batch, &told(&out)), Vec::<String>::new(), "{name}");
        assert!(!out.join("late_rows").exists(), "{name}: what came in time stands in the ledger of what came late");
    }
}

#[test]
fn files_in_any_order_give_the_same_when_they_are_waited_for_and_what_is_not_waited_for_stands_in_a_ledger() {
    let landing = Landing::new(600, 6, 20);
    let mixed = landing.shop.path("mixed");
    std::fs::create_dir_all(&mixed).unwrap();
    let mut names: Vec<String> = std::fs::read_dir(&landing.folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names.shuffle(&mut ChaCha8Rng::seed_from_u64(3));
    for (number, name) in names.iter().enumerate() {
        std::fs::copy(landing.folder.join(name), mixed.join(format!("{number:04}-{name}"))).unwrap();
    }
    landing.write_pipeline(&mixed, "mixed.toml");
    let (batch, waited, hurried) = (landing.shop.path("b"), landing.shop.path("w"), landing.shop.path("h"));
    done(&mut landing.command_on("mixed.toml", "run", &batch, &[]));
    let sets = ["stream.epoch_files=5", "stream.lateness=400d", "stream.refresh=9d"];
    done(&mut landing.command_on("mixed.toml", "stream", &waited, &sets));
    assert_eq!(differing_rows(&told(&batch), &told(&waited)), Vec::<String>::new());
    assert_eq!(query(&waited, "SELECT * FROM runs").len(), 1, "told anew once, in the end");

    done(&mut landing.command_on("mixed.toml", "stream", &hurried, &["stream.epoch_files=5", "stream.refresh=9d"]));
    let late = query(&hurried, "SELECT \"table\", COUNT(*) AS n FROM late_rows GROUP BY \"table\" ORDER BY \"table\"");
    assert!(late.len() >= 2 && late.iter().all(|row| row["n"].as_u64().unwrap() > 0), "{late:?}");
    let each_once =
        r#"SELECT "table", order_id, at, COUNT(*) AS n FROM late_rows GROUP BY "table", order_id, at HAVING n > 1"#;
    assert!(query(&hurried, each_once).is_empty(), "a row is late once");
    // KPIs are corrected whatever came late; only scores keep what was known.
    let kpis = |out: &Path| {
        let mut rows = told(out);
        rows.retain(|name, _| {
            name.starts_with("kpi") || name.starts_with("satisfaction/") || name.starts_with("exceptions")
        });
        rows
    };
    assert_eq!(differing_rows(&kpis(&batch), &kpis(&hurried)), Vec::<String>::new());
}

#[test]
fn a_table_of_which_no_sound_row_has_come_yet_is_one_without_rows() {
    let landing = Landing::new(400, 7, 12);
    let [mut header, returned] = [String::new(), String::from("R1,nobody")];
    for entry in std::fs::read_dir(&landing.folder).unwrap() {
        let path = entry.unwrap().path();
        if path.to_str().unwrap().ends_with("-returns.csv") {
            header = std::fs::read_to_string(&path).unwrap().lines().next().unwrap().to_owned();
            std::fs::remove_file(path).unwrap();
        }
    }
    for (name, text) in
        [("only a header", format!("{header}\n")), ("only a bad row", format!("{header}\n{returned}\n"))]
    {
        std::fs::write(landing.folder.join("0000-returns.csv"), text).unwrap();
        let [batch, out] = ["batch", "out"].map(|side| landing.shop.path(&format!("{name} {side}")));
        let sets = ["stream.epoch_files=9", WAITS[0], WAITS[1], "quarantine.max_share=1"];
        done(&mut landing.command("run", &batch, &sets[3..]));
        done(&mut landing.command("stream", &out, &sets));
        assert_eq!(differing_rows(&told(&batch), &told(&out)), Vec::<String>::new(), "{name}");
    }
}

#[test]
fn while_a_stream_goes_on_rules_and_features_see_every_column_that_they_name() {
    let landing = Landing::new(700, 9, 20);
    let text = std::fs::read_to_string(landing.shop.path("landing.toml")).unwrap();
    // No model has seen these features.
    let (before, risk) = text.split_once("[risk.fraud]").unwrap();
    let text = before.to_owned() + &risk[risk.find("[decision]").unwrap()..];
    // Of columns that nothing reads where nobody names them.
    let more = r#"
[[decision.rules]]
name = "named"
when = """carrier IS NOT NULL AND currency = 'EUR' AND ship_postcode IS NOT NULL AND service_level IS NOT NULL
  AND ship_from IS NOT NULL AND payment_method IS NOT NULL"""
effect = "review"
mode = "shadow"
reason = "columns of all kinds"
[[features.declare]]
entity = "service_level"
aggregates = ["count"]
windows = ["7d"]
[[features.declare]]
entity = "warehouse"
events = "return_request"
aggregates = ["sum", "mean"]
value = "amount"
windows = ["lifetime"]
[[features.declare]]
entity = "customer"
events = "claim"
aggregates = ["sum"]
value = "amount"
windows = ["lifetime"]
"#;
    std::fs::write(landing.shop.path("landing.toml"), text + more).unwrap();
    let (batch, out) = (landing.shop.path("b"), landing.shop.path("o"));
    done(&mut landing.command("run", &batch, &[]));
    let mut live = landing.going_on(&out, &["stream.refresh=9d", "stream.lateness=3d", "stream.epoch_files=9"]);
    let mut child = live.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let orders = |out: &Path| match out.join("order_scores").is_dir() {
        true => query(out, "SELECT COUNT(*) AS n FROM order_scores")[0]["n"].as_u64().unwrap(),
        false => 0,
    };
    let until = Instant::now() + Duration::from_secs(60);
    while orders(&out) < orders(&batch) || !out.join("runs").is_dir() {
        assert!(Instant::now() < until && child.try_wait().unwrap().is_none(), "{} orders", orders(&out));
        std::thread::sleep(Duration::from_millis(100));
    }
    Command::new("kill").arg(child.id().to_string()).status().unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(0));
    assert_eq!(query(&out, "SELECT * FROM runs").len(), 1, "the whole shop is told of once, beside the first epochs");
    let hits = "SELECT order_id, shadow_hits, rule_hits FROM order_scores ORDER BY order_id";
    let hits = [&batch, &out].map(|out| query(out, hits));
    let of_named = hits[0].iter().filter(|row| row["shadow_hits"].as_array().is_some_and(|hits| !hits.is_empty()));
    assert!(of_named.count() > 100);
    assert_eq!(hits[0], hits[1]);
    let features = |out: &Path| {
        let mut rows = told(out);
        rows.retain(|name, _| name.starts_with("order_features"));
        rows
    };
    let of_batch = features(&batch);
    let names: Vec<String> =
        of_batch.values().flat_map(|frame| frame.get_column_names_owned()).map(|name| name.to_string()).collect();
    for name in [
        "service_level_order_count_7d",
        "warehouse_return_request_amount_mean_lifetime",
        "customer_claim_amount_sum_lifetime",
    ] {
        assert!(names.iter().any(|known| known == name), "{name} {names:?}");
    }
    assert_eq!(differing_rows(&of_batch, &features(&out)), Vec::<String>::new());
}

#[test]
fn a_stream_goes_on_from_what_a_batch_has_read() {
    let landing = Landing::new(600, 7, 20);
    let batch = landing.batch();
    let half = landing.shop.path("half");
    std::fs::create_dir_all(&half).unwrap();
    landing.write_pipeline(&half, "half.toml");
    let mut names: Vec<PathBuf> =
        std::fs::read_dir(&landing.folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    names.sort();
    let out = landing.shop.path("on");
    for (verb, names) in [("run", &names[..names.len() / 2]), ("stream", &names[names.len() / 2..])] {
        for path in names {
            std::fs::copy(path, half.join(path.file_name().unwrap())).unwrap();
        }
        // A run's clock is where its files end.
        let last = names.last().unwrap().file_name().unwrap().to_string_lossy().into_owned();
        let clock = if verb == "run" { format!("{}T00:00:00Z", &last[..10]) } else { CLOCK.to_owned() };
        done(&mut landing.command_at("half.toml", verb, &out, &["stream.epoch_files=8"], &clock));
    }
    let differing = differing_rows(&batch, &told(&out));
    assert_eq!(differing, Vec::<String>::new());
}

/// Kills of one stream before it is let go to its end.
const KILLS_A_STREAM: u32 = 10;

/// How many streams are killed: ORDERSIGHT_KILLS asks for more than the suite has time for.
fn kills() -> u32 {
    std::env::var("ORDERSIGHT_KILLS").ok().and_then(|kills| kills.parse().ok()).unwrap_or(KILLS_A_STREAM)
}

#[test]
fn a_reader_that_polls_every_table_never_errs_and_sees_nothing_go() {
    let Some(python) = crate::harness::python() else { return };
    let landing = Landing::new(1_500, 9, 30);
    let (out, stop) = (landing.shop.path("out"), landing.shop.path("stop"));
    let script = root().join("tests/reference/polling.py");
    let poller = Command::new(python).arg(script).args([&out, &stop]).stdout(Stdio::piped()).spawn().unwrap();
    done(&mut landing.command("stream", &out, &["stream.epoch_files=4", "stream.refresh=1s"]));
    std::fs::write(stop, "").unwrap();
    let found = poller.wait_with_output().unwrap();
    let text = String::from_utf8_lossy(&found.stdout);
    eprintln!("{text}");
    assert!(found.status.success(), "{text}");
    let said: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert!(said["answers"].as_u64() > Some(50), "{text}");
    assert!(said["rows"]["order_scores"].as_u64() > Some(1_000), "{text}");
}

#[test]
fn a_stream_killed_at_any_moment_and_started_again_is_as_if_never_killed() {
    // The long form goes over some fifty epochs.
    let (days, files) = if kills() > KILLS_A_STREAM { (40, 3) } else { (20, 4) };
    let landing = Landing::new(25 * days, 8, days);
    let sets = [&format!("stream.epoch_files={files}"), WAITS[0], "stream.refresh=2s"];
    let calm = landing.shop.path("calm");
    let begun = Instant::now();
    done(&mut landing.command("stream", &calm, &sets));
    let (whole, calm) = (begun.elapsed(), told(&calm));
    let mut rng = ChaCha8Rng::seed_from_u64(15);
    let (mut alive, kills) = (0, kills());
    for round in 0..kills.div_ceil(KILLS_A_STREAM) {
        let out = landing.shop.path(&format!("out-{round}"));
        for _ in 0..KILLS_A_STREAM.min(kills - round * KILLS_A_STREAM) {
            let mut child =
                landing.command("stream", &out, &sets).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
            std::thread::sleep(whole.mul_f64(0.05 + 0.3 * rng.random::<f64>()));
            child.kill().unwrap();
            alive += u32::from(!child.wait().unwrap().success());
        }
        done(&mut landing.command("stream", &out, &sets));
        assert_eq!(differing_rows(&calm, &told(&out)), Vec::<String>::new(), "round {round}");
    }
    eprintln!("{alive} of {kills} were alive when killed");
    assert!(alive > 2 * kills / 5, "only {alive} of {kills} were alive when killed");

    // Stopped at every step of a commit, early and late in the stream.
    let out = landing.shop.path("steps");
    for step in Step::ALL {
        for time in [1, 7] {
            let at = format!("{}:{time}", step.name());
            let stopped = landing.command("stream", &out, &sets).env(FAIL_AT, &at).output().unwrap().status;
            assert!(stopped.signal() == Some(6) || stopped.success(), "{at}: {stopped}");
        }
    }
    done(&mut landing.command("stream", &out, &sets));
    assert_eq!(differing_rows(&calm, &told(&out)), Vec::<String>::new());
    let twice = "SELECT order_id FROM order_scores GROUP BY order_id HAVING COUNT(*) > 1";
    assert_eq!(query(&out, twice), Vec::<serde_json::Value>::new());
}

#[test]
fn the_whole_shop_is_told_beside_the_epochs_of_a_stream_that_goes_on() {
    let folder = tiny();
    land(folder.path(), "1.csv", 0..20);
    let mut child = stream(folder.path(), &[]).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let out = folder.path().join("out");
    let count = |table: &str| {
        let there = out.join(table).is_dir();
        let sql = format!("SELECT COUNT(*) AS n FROM {table}");
        if there { query(&out, &sql)[0]["n"].as_u64().unwrap() } else { 0 }
    };
    let wait_for = |table: &str, rows: u64| {
        let until = Instant::now() + Duration::from_secs(60);
        while count(table) < rows {
            assert!(Instant::now() < until, "{table} has {} rows, not {rows}", count(table));
            std::thread::sleep(Duration::from_millis(50));
        }
    };
    // Everything is told by a look beside the epochs, of the first one as of those after it.
    wait_for("order_satisfaction", 20);
    for (name, orders) in [("2.csv", 20..30), ("3.csv", 30..35)] {
        let last = u64::from(orders.end);
        land(folder.path(), name, orders);
        wait_for("order_scores", last);
        wait_for("order_satisfaction", last);
    }
    assert!(count("runs") >= 3);
    Command::new("kill").arg(child.id().to_string()).status().unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(0));
    // What it left is what a batch tells, but for features of orders that came later than others placed after them.
    let batch = folder.path().join("batch");
    let mut command = ordersight(&["run", "tiny.toml", "--out", "batch"]);
    assert_eq!(finish(command.current_dir(folder.path())).code, 0);
    let [batch, out] = [batch, out].map(|out| {
        let mut rows = told(&out);
        rows.retain(|name, _| !name.starts_with("order_features"));
        rows
    });
    assert!(batch.keys().any(|name| name.starts_with("kpi")));
    assert_eq!(differing_rows(&batch, &out), Vec::<String>::new());
}

#[test]
fn a_file_that_cannot_be_read_is_set_aside_and_the_rest_goes_on() {
    let folder = tiny();
    land(folder.path(), "1.csv", 0..20);
    std::fs::write(folder.path().join("land/2.csv"), "nothing,of,the,kind\n1,2,3,4\n").unwrap();
    std::fs::write(folder.path().join("land/3.csv.part"), "id,at").unwrap();
    land(folder.path(), "4.csv", 20..30);
    let done = finish(&mut stream(folder.path(), &["--once"]));
    assert_eq!(done.code, 0, "{}", done.stderr);
    assert!(done.stderr.contains("set aside: 2.csv"), "{}", done.stderr);
    assert_eq!(orders(folder.path()), 30);
    let status = finish(&mut stream(folder.path(), &["--status"]));
    assert!(status.stdout.contains("aside"), "{}", status.stdout);
    // The same files again add nothing; a good one in place of the bad counts.
    land(folder.path(), "2.csv", 30..35);
    assert_eq!(finish(&mut stream(folder.path(), &["--once"])).code, 0);
    assert_eq!(orders(folder.path()), 35);
    let status = finish(&mut stream(folder.path(), &["--status"])).stdout;
    let files = status.lines().find(|line| line.trim_start().starts_with("files")).unwrap();
    assert!(files.contains("taken") && !files.contains("waiting"), "{status}");
}

#[test]
fn a_second_stream_is_refused_and_a_signal_ends_the_first_after_its_epoch() {
    let folder = tiny();
    land(folder.path(), "1.csv", 0..20);
    let mut first = stream(folder.path(), &[]).stderr(Stdio::null()).spawn().unwrap();
    let until = Instant::now() + Duration::from_secs(30);
    while !folder.path().join("out/order_scores").is_dir() {
        assert!(Instant::now() < until, "nothing was published");
        std::thread::sleep(Duration::from_millis(50));
    }
    let second = finish(&mut stream(folder.path(), &["--once"]));
    assert_eq!(second.code, 5, "{}", second.stderr);
    assert!(second.stderr.contains(&format!("process {}", first.id())), "{}", second.stderr);
    land(folder.path(), "2.csv", 20..25);
    while orders(folder.path()) < 25 {
        assert!(Instant::now() < until, "what landed later was not taken");
        std::thread::sleep(Duration::from_millis(50));
    }
    let signalled = Command::new("kill").args(["-TERM", &first.id().to_string()]).status().unwrap();
    assert!(signalled.success());
    assert_eq!(first.wait().unwrap().code(), Some(0));
}

#[test]
fn a_full_disk_ends_a_stream_cleanly_and_it_goes_on_when_there_is_room() {
    let folder = tiny();
    let Some(disk) = SmallDisk::new(&folder.path().join("disk"), 8 << 10) else { return };
    land(folder.path(), "1.csv", 0..2_000);
    let out = disk.0.join("out");
    let run = |code: i32| {
        let mut command = ordersight(&["stream", "tiny.toml", "--once", "--out", &out.display().to_string()]);
        let done = finish(command.current_dir(folder.path()));
        assert_eq!(done.code, code, "{}", done.stderr);
    };
    for left in [0, 40, 200] {
        disk.leave(left);
        run(5);
    }
    disk.leave(7_000);
    run(0);
    assert_eq!(query(&out, "SELECT COUNT(*) AS n FROM order_scores")[0]["n"], 2_000);
}
