//! Models of the family `ftrl` go on learning in a stream: the same bits whatever the cut or the moment of a kill, from labels
//! that are known and ripe, and without effect until somebody puts what was learnt in service.

use crate::harness::{Done, data_files, expect, finish, ordersight};
use crate::landing::{CLOCK, Landing, WAITS, done, told};
use crate::shop::{Records, copy, differing, differing_rows, generate};
use ordersight::publish::{FAIL_AT, Step};
use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Stdio;

/// A shop with a registry of its own: the challenger of fraud and the champion of returns are of the family.
fn learning(orders: u32, seed: u32, days: u32) -> Landing {
    let mut landing = Landing::new(orders, seed, days);
    let (input, models) = (landing.shop.path("taught"), landing.shop.path("models"));
    generate(20_000, 1, 365, 0.004, &input);
    for target in ["fraud", "return"] {
        copy_version(&landing.models.join(target), &models.join(target));
        let (cache, registry) = (input.join("out").display().to_string(), models.display().to_string());
        let mut train = ordersight(&["train", "pipelines/demo.toml", "--target", target, "--family", "ftrl"]);
        train.args(["--out", &cache, "--models", &registry, "--set", "risk.fraud.label.matures_after=30d"]);
        done(train.env("ORDERSIGHT_DEMO_DATA", &input));
    }
    landing.models = models;
    // Training has put it in service.
    let fraud = champion(&landing, "fraud");
    models_of(&landing, &["rollback", "fraud"]);
    models_of(&landing, &["challenge", "fraud", &fraud]);
    landing
}

/// Copies a target of a registry.
fn copy_version(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let into = to.join(path.file_name().unwrap());
        if path.is_dir() {
            copy(&path, &into);
        } else {
            std::fs::copy(&path, into).unwrap();
        }
    }
}

fn models_of(landing: &Landing, args: &[&str]) -> Done {
    expect(0, &[&["models"], args, &["--models", &landing.models.display().to_string()]].concat())
}

fn champion(landing: &Landing, target: &str) -> String {
    std::fs::read_to_string(landing.models.join(target).join("champion")).unwrap().trim().to_owned()
}

fn challenger_of(landing: &Landing) -> String {
    std::fs::read_to_string(landing.models.join("fraud/challenger")).unwrap().trim().to_owned()
}

/// The state files of learning, by name.
fn learnt(out: &Path) -> BTreeMap<String, Vec<u8>> {
    let files = std::fs::read_dir(out.join("_state/stream")).unwrap().map(|entry| entry.unwrap().path());
    let named = files.map(|path| (path.file_name().unwrap().to_string_lossy().into_owned(), path));
    let ours = named.filter(|(name, _)| name.starts_with("learning-"));
    ours.map(|(name, path)| (name, std::fs::read(path).unwrap())).collect()
}

fn state(out: &Path, target: &str) -> serde_json::Value {
    serde_json::from_slice(&learnt(out)[&format!("learning-{target}.json")]).unwrap()
}

/// A stream up to a clock that is not the shop's.
fn until(landing: &Landing, out: &Path, sets: &[&str], clock: &str) {
    done(&mut landing.command_at("landing.toml", "stream", out, sets, clock));
}

#[test]
fn whatever_the_cut_or_the_kill_the_same_is_learnt_and_no_decision_knows_of_it() {
    let landing = learning(2_500, 5, 60);
    let batch = landing.batch();
    let whole = landing.shop.path("whole");
    done(&mut landing.command("stream", &whole, &["stream.epoch_files=9999"]));
    let at_once = learnt(&whole);
    for (target, least) in [("fraud", 700), ("return", 200)] {
        let state = state(&whole, target);
        assert!(state["copy"]["examples"].as_u64().unwrap() > least, "{state}");
        assert!(state["copy"]["positives"].as_u64().unwrap() > 0, "{state}");
    }
    // A batch has the same models and learns nothing.
    assert_eq!(differing_rows(&batch, &told(&whole)), Vec::<String>::new());

    let cut = landing.shop.path("cut");
    done(&mut landing.command("stream", &cut, &["stream.epoch_files=6", WAITS[0], WAITS[1]]));
    assert_eq!(differing(&at_once, &learnt(&cut)), Vec::<String>::new(), "a few files an epoch");
    assert_eq!(differing_rows(&batch, &told(&cut)), Vec::<String>::new());

    let sets = ["stream.epoch_files=25", WAITS[0], WAITS[1]];
    let stopped = landing.shop.path("stopped");
    until(&landing, &stopped, &sets, "2025-12-05T00:00:00Z");
    for (turn, step) in Step::ALL.into_iter().enumerate() {
        let at = format!("{}:{}", step.name(), 1 + turn % 3);
        let clock = format!("2026-01-{:02}T00:00:00Z", 2 + turn);
        let mut command = landing.command_at("landing.toml", "stream", &stopped, &sets, &clock);
        drop(command.env(FAIL_AT, at).output().unwrap());
    }
    done(&mut landing.command("stream", &stopped, &sets));
    assert_eq!(differing(&at_once, &learnt(&stopped)), Vec::<String>::new(), "stopped at every step");

    // Begun when most was past, it learns from what had ripened before too.
    let (late, challenger) = (landing.shop.path("late"), challenger_of(&landing));
    models_of(&landing, &["challenge", "fraud", "none"]);
    until(&landing, &late, &sets, "2025-12-20T00:00:00Z");
    assert!(learnt(&late).keys().all(|name| !name.contains("fraud")), "nobody of the family");
    models_of(&landing, &["challenge", "fraud", &challenger]);
    done(&mut landing.command("stream", &late, &sets));
    assert_eq!(differing(&at_once, &learnt(&late)), Vec::<String>::new(), "begun late");

    let (pipeline, out) = (landing.shop.path("landing.toml"), stopped.display().to_string());
    let status = expect(0, &["stream", &pipeline.display().to_string(), "--status", "--out", &out]);
    let line = status.stdout.lines().find(|line| line.contains(&challenger)).unwrap_or_default().to_owned();
    assert!(line.contains("labels learnt from") && line.contains("until 2026-01-20"), "{}", status.stdout);
}

#[test]
fn a_label_that_ripens_or_becomes_known_after_the_watermark_teaches_nothing() {
    let landing = learning(1_500, 6, 50);
    let learn = |name: &str| {
        let out = landing.shop.path(name);
        done(&mut landing.command("stream", &out, &["stream.epoch_files=9999"]));
        learnt(&out)
    };
    let before = learn("before");
    let orders: Vec<String> = std::fs::read_to_string(landing.folder.join("2025-12-02-orders.csv"))
        .unwrap()
        .lines()
        .skip(1)
        .take(12)
        .filter_map(|line| Some(line.split(',').next()?.to_owned()))
        .collect();
    assert!(orders.len() == 12, "{orders:?}");
    let charge = |file: &str, opened_at: &str| {
        let mut into = std::fs::File::create(landing.folder.join(file)).unwrap();
        for order in &orders {
            let ticket = format!("{order}-{opened_at}");
            writeln!(
                into,
                r#"{{"ticket_id":"{ticket}","order_id":"{order}","kind":"chargeback","opened_at":"{opened_at}"}}"#
            )
            .unwrap();
        }
    };
    // Known after the clock, and known before it but only after the label was ripe: what was true then was taught.
    charge("2026-02-01-tickets.ndjson", "2026-02-01T00:00:00Z");
    charge("2026-01-10-more-tickets.ndjson", "2026-01-10T00:00:00Z");
    assert_eq!(differing(&before, &learn("after")), Vec::<String>::new());
    charge("2025-12-20-more-tickets.ndjson", "2025-12-20T00:00:00Z");
    let changed = differing(&before, &learn("in time"));
    assert!(changed.contains(&"learning-fraud.json".to_owned()), "{changed:?}");
}

/// Tells an order of the shop anew, placed on another day and with nothing of it having happened yet.
fn placed_anew(landing: &Landing, order_file: &str, placed_at: &str, updated_at: &str, into: &str) {
    let mut records = Records::read(&landing.folder.join(order_file));
    let column = |name: &str| records.column(name);
    let (placed, updated, status) = (column("placed_at"), column("updated_at"), column("status"));
    let times = ["paid_at", "approved_at", "promised_ship_at", "shipped_at", "promised_delivery_at", "delivered_at"];
    let times = [&times[..], &["completed_at", "cancelled_at", "fraud", "fraud_known_at"]].concat();
    let blank: Vec<usize> = times.into_iter().map(column).collect();
    records.rows.truncate(1);
    let row = &mut records.rows[0];
    (row[placed], row[updated], row[status]) = (placed_at.to_owned(), updated_at.to_owned(), "paid".to_owned());
    blank.into_iter().for_each(|at| row[at].clear());
    records.write_to(&landing.folder.join(into));
}

#[test]
fn an_order_of_which_a_correction_says_after_the_lesson_that_it_ripens_later_is_not_learnt_from_twice() {
    let landing = learning(1_200, 9, 50);
    let sets = ["stream.epoch_files=6", "stream.lateness=0s", WAITS[1]];
    let (never, parts, whole) = (landing.shop.path("never"), landing.shop.path("parts"), landing.shop.path("whole"));
    let end = "2026-02-20T00:00:00Z";
    until(&landing, &never, &sets, end);
    until(&landing, &parts, &sets, "2026-01-05T00:00:00Z");
    // Ripe on the 20th of December; by the correction on the 24th of January.
    placed_anew(
        &landing,
        "2025-11-20-orders.csv",
        "2025-12-25T12:00:00Z",
        "2026-01-09T00:00:00Z",
        "2026-09-orders.csv",
    );
    until(&landing, &parts, &sets, "2026-01-10T00:00:00Z");
    assert_eq!(state(&parts, "fraud")["early"].as_array().unwrap().len(), 1);
    until(&landing, &parts, &sets, "2026-01-12T00:00:00Z");
    assert_eq!(state(&parts, "fraud")["early"].as_array().unwrap().len(), 1);
    until(&landing, &parts, &sets, end);
    until(&landing, &whole, &sets, end);
    for target in ["fraud", "return"] {
        let [never, parts, whole] = [&never, &parts, &whole].map(|out| state(out, target));
        assert_eq!(never["copy"]["examples"], parts["copy"]["examples"], "{target}");
        assert_eq!(parts["copy"], whole["copy"], "{target}");
    }
    assert_eq!(state(&parts, "fraud")["early"].as_array().unwrap().len(), 0);
}

#[test]
fn what_was_learnt_is_registered_challenges_is_promoted_and_goes_on_from_where_it_was() {
    let landing = learning(2_000, 7, 60);
    let sets = ["stream.epoch_files=20", WAITS[0], WAITS[1]];
    let (out, straight) = (landing.shop.path("out"), landing.shop.path("straight"));
    done(&mut landing.command("stream", &straight, &sets));
    let nothing = landing.shop.path("nothing").display().to_string();
    let models = landing.models.display().to_string();
    let refused = expect(2, &["models", "learned", "fraud", "--out", &nothing, "--models", &models]);
    assert!(refused.stderr.contains("no stream has learnt"), "{}", refused.stderr);

    until(&landing, &out, &sets, "2025-12-28T00:00:00Z");
    let before = data_files(&out);
    let challenger = challenger_of(&landing);
    let half = state(&out, "fraud");
    let said = models_of(&landing, &["learned", "fraud", "--out", &out.display().to_string()]);
    let version = said.stdout.trim().to_owned();
    assert!(said.stderr.contains(&format!("{challenger} after {} more labels", half["copy"]["examples"])), "{said:?}");
    let card = models_of(&landing, &["show", "fraud", &version]).stdout;
    for part in [&*challenger, "2025-12-28T00:00:00Z", &format!("after {} more labels", half["copy"]["examples"])] {
        assert!(card.contains(part), "{part} is not in\n{card}");
    }
    assert_eq!(differing(&before, &data_files(&out)), Vec::<String>::new(), "registering publishes nothing");
    let listed = models_of(&landing, &["list"]).stdout;
    assert!(listed.lines().any(|line| line.contains(&version) && line.contains("challenger")), "{listed}");
    // The same again is the same version.
    let again = models_of(&landing, &["learned", "fraud", "--out", &out.display().to_string()]);
    assert_eq!(again.stdout.trim(), version);

    // Against the version it came from both were tested on the same examples; that one has to be in service for it.
    models_of(&landing, &["promote", "fraud", &challenger]);
    let promoted = models_of(&landing, &["promote", "fraud", &version]);
    // Some were placed before the version was tested in training: they are learnt from and tell nothing of its worth.
    let counts = ["tested", "examples"].map(|name| half["copy"][name].as_u64().unwrap());
    assert!(counts[0] > 500 && counts[0] <= counts[1], "{counts:?}");
    let same = format!("on the same {} orders", half["copy"]["tested"]);
    assert!(promoted.stderr.contains(&same), "{}", promoted.stderr);
    assert_eq!(champion(&landing, "fraud"), version);

    // The stream learns on from the version in service, and what it knows then is what one copy would have learnt.
    done(&mut landing.command("stream", &out, &sets));
    let (on, straight) = (state(&out, "fraud"), state(&straight, "fraud"));
    assert_eq!(on["version"], version.as_str());
    assert_eq!(on["copy"]["state"], straight["copy"]["state"]);
    let examples = |state: &serde_json::Value| state["copy"]["examples"].as_u64().unwrap();
    assert_eq!(examples(&half) + examples(&on), examples(&straight));
    let scored = ordersight::publish::snapshot(&out).unwrap().unwrap();
    assert!(scored.tables.contains_key("order_scores"));
    assert_eq!(on["until"], straight["until"], "{CLOCK}");
}

#[test]
fn what_a_stream_at_work_has_learnt_can_be_registered_again_and_again_and_it_learns_on_as_if_nobody_had() {
    let landing = learning(1_500, 11, 60);
    let sets = ["stream.epoch_files=5", WAITS[0], WAITS[1]];
    let (out, straight) = (landing.shop.path("out"), landing.shop.path("straight"));
    done(&mut landing.command("stream", &straight, &sets));
    let mut child = landing.command("stream", &out, &sets);
    let mut child = child.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let (out_text, models) = (out.display().to_string(), landing.models.display().to_string());
    let mut versions = BTreeSet::new();
    let status = loop {
        if let Some(status) = child.try_wait().unwrap() {
            break status;
        }
        let said = finish(&mut ordersight(&["models", "learned", "fraud", "--out", &out_text, "--models", &models]));
        match said.code {
            0 => drop(versions.insert(said.stdout.trim().to_owned())),
            2 => assert!(said.stderr.contains("learnt"), "{}", said.stderr),
            _ => panic!("{}", said.stderr),
        }
    };
    assert!([Some(0), Some(1)].contains(&status.code()), "{status}");
    assert!(versions.len() > 1, "{versions:?}");
    // One more epoch sees the last of them, if the stream ended before it did.
    done(&mut landing.command_at("landing.toml", "stream", &out, &sets, "2026-01-21T00:00:00Z"));
    done(&mut landing.command_at("landing.toml", "stream", &straight, &sets, "2026-01-21T00:00:00Z"));
    let (on, straight) = (state(&out, "fraud"), state(&straight, "fraud"));
    assert!(versions.contains(on["version"].as_str().unwrap()), "{on}");
    assert_eq!((&on["copy"]["state"], &on["until"]), (&straight["copy"]["state"], &straight["until"]));
}

#[test]
fn without_a_model_of_the_family_nothing_is_kept() {
    let landing = Landing::new(300, 8, 20);
    let out: PathBuf = landing.shop.path("out");
    done(&mut landing.command("stream", &out, &["stream.epoch_files=9999"]));
    assert_eq!(learnt(&out), BTreeMap::new());
}
