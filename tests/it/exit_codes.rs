//! What a scheduler sees: the exit code, and on standard error what to do about it.

use crate::harness::{expect, finish, ordersight};
use crate::tiny::{PIPELINE, Tiny, every_file, published};
use ordersight::publish::Publisher;
use std::path::{Path, PathBuf};
use std::process::Command;

const ORDERS: &str = "order_id,placed_at,customer_id,amount,fraud\nA,2024-05-01,C,1.00,no\nB,2024-05-02,C,2.50,yes\n";

fn tiny() -> Tiny {
    Tiny::new(PIPELINE, &[("orders.csv", ORDERS)])
}

#[test]
fn a_good_run_is_0_and_what_fail_on_names_is_1_with_everything_published() {
    let tiny = tiny();
    tiny.run(0, &[]);
    tiny.run(0, &["--set", "kpi.fail_on=[\"quarantine\", \"target\"]"]);
    // A refused row.
    tiny.write("orders.csv", format!("{ORDERS}C,someday,C,2.50,no\n"));
    let loose = ["--set", "quarantine.max_share=0.5"];
    tiny.run(0, &loose);
    let done = tiny.run(1, &[&loose[..], &["--set", "kpi.fail_on=[\"quarantine\"]"]].concat());
    assert!(done.stderr.contains("\nfail_on   1 rows were quarantined: exit code 1\n"), "{}", done.stderr);
    assert_eq!(tiny.query("SELECT * FROM quarantine").len(), 1);
    // A missed target.
    tiny.write(
        "targets/mine.toml",
        "version = \"1\"\nsource = \"us\"\n[[target]]\nkpi = \"orders\"\nop = \">=\"\nvalue = 1000\n",
    );
    let missed = ["--set", "kpi.targets=mine", "--set", "kpi.fail_on=[\"target\"]"];
    let done = tiny.run(1, &[&loose[..], &missed].concat());
    assert!(done.stderr.contains("\nfail_on   1 targets were missed: exit code 1\n"), "{}", done.stderr);
    assert!(
        done.stderr.contains("\nmissed    orders is 2.0000 over month to 2024-05-31, `mine` asks for >= 1000\n"),
        "{}",
        done.stderr
    );
    assert_eq!(tiny.query("SELECT DISTINCT targets_version FROM kpi WHERE kpi = 'orders'").len(), 1);
}

#[test]
fn a_mistake_on_the_command_line_is_2_and_says_what_there_is() {
    let tiny = tiny();
    let said = |args: &[&str]| {
        let done = finish(ordersight(args).current_dir(tiny.path("")));
        assert_eq!((done.code, done.stdout.as_str()), (2, ""), "{args:?} {}", done.stderr);
        done.stderr
    };
    for (args, words) in [
        (&["rum", "pipeline.toml"][..], "a similar subcommand exists: 'run'"),
        (&["run"], "<PIPELINE>"),
        (&["run", "pipeline.toml", "--ser", "a=b"], "a similar argument exists: '--set'"),
        (&["train", "pipeline.toml", "--target", "weather"], "[possible values: fraud, return]"),
        (
            &["run", "nothing.toml"],
            "error: there is no pipeline file `nothing.toml`\nhint: copy pipelines/template.toml and fill it in\n",
        ),
        (
            &["run", "pipeline.toml", "--as-of", "yesterday"],
            "error: --as-of `yesterday` is not an RFC 3339 instant\nhint: write it as 2024-05-01T00:00:00Z\n",
        ),
        (
            &["query", "SELECT 1", "--out", "nowhere"],
            "error: nothing was published in `nowhere`\nhint: run `ordersight run PIPELINE --out DIR` first, or name the folder of an earlier run\n",
        ),
        (&["explain", "A", "--out", "nowhere"], "error: nothing was published in `nowhere`\n"),
        (&["clean", "--out", "nowhere"], "error: there is no folder `nowhere`\n"),
        (&["generate", "--orders", "0", "--seed", "1", "--out", "shop"], "error: a shop needs at least 1 order"),
        (
            &["run", "pipeline.toml", "--pii-key-file", "pipeline.empty"],
            "error: the key file `pipeline.empty` is empty\n",
        ),
    ] {
        tiny.write("pipeline.empty", "\n");
        let said = said(args);
        assert!(said.contains(words), "{args:?}: {said}");
    }
    // None of it made an output.
    assert!(!tiny.path("nowhere").exists() && !tiny.path("shop").exists());
    expect(0, &["--help"]);
    expect(0, &["--version"]);
}

#[test]
fn input_that_cannot_be_used_is_3_and_nothing_is_published() {
    let tiny = tiny();
    tiny.run(0, &[]);
    let before = published(&tiny.out());
    let said = |more: &[&str]| tiny.run(3, more).stderr;
    let folder = tiny.path("").display().to_string();
    let folder = folder.trim_end_matches('/');
    assert_eq!(
        said(&["--set", "sources.orders.path=none_*.csv"]).replace(folder, "."),
        "error: source `orders`: no file at `none_*.csv`; nothing was published\n\
         hint: paths are relative to the pipeline file; `${VAR}` may point elsewhere\n"
    );
    assert_eq!(
        said(&["--set", "tables.orders.columns.channel=fruad", "--set", "tables.orders.columns.carrier=by"]),
        "error: source `orders`: orders.csv has no column `by`, `fruad`; it has `order_id`, `placed_at`, `customer_id`, `amount`, \
         `fraud`; nothing was published\nhint: did you mean `fraud`?\n"
    );
    for (text, words) in [
        ("", "orders.csv: is empty: not even a header row"),
        ("order_id,placed_at,customer_id,amount\n", "error: no order was accepted"),
        (
            "order_id,placed_at,customer_id,amount,amount\n",
            "columns 4 and 5 have the same name `amount` in the first row",
        ),
    ] {
        tiny.write("orders.csv", text);
        let said = said(&[]);
        assert!(said.contains(words) && said.contains("nothing was published"), "{text}: {said}");
    }
    for packed in ["orders.csv.gz", "orders.csv.zst"] {
        tiny.write(packed, "not packed at all");
        let said = said(&["--set", &format!("sources.orders.path={packed}")]);
        assert!(said.contains(&format!("{packed}: cannot be unpacked: ")) && said.contains("\nhint: "), "{said}");
    }
    tiny.write("latin1.csv", b"order_id,placed_at,customer_id,amount,caf\xe9\n");
    assert!(said(&["--set", "sources.orders.path=latin1.csv"]).contains("\nhint: set `encoding` of the source"));
    tiny.write("orders.parquet", "PAR1 and then nothing");
    assert!(
        said(&["--set", "sources.orders.path=orders.parquet"]).contains("orders.parquet: not a readable Parquet file")
    );
    tiny.write("orders.what", ORDERS);
    assert!(said(&["--set", "sources.orders.path=orders.what"]).contains("set `format` to csv, ndjson or parquet"));
    assert_eq!(published(&tiny.out()), before);
}

/// The tiny pipeline with labels.
fn labelled() -> String {
    PIPELINE.replace("amount = \"amount\" }", "amount = \"amount\", fraud = \"fraud\" }")
        + "[risk.fraud]\nfamily = \"logistic\"\n"
}

#[test]
fn a_model_that_is_not_there_or_cannot_be_is_4_and_says_what_to_run() {
    let tiny = Tiny::new(&labelled(), &[("orders.csv", ORDERS)]);
    // Too young to learn from: the run goes on and says why there is no probability, unless that is not wanted.
    assert!(tiny.run(0, &[]).stderr.contains("no probability: no model yet: not enough labels to learn `fraud`: "));
    let only_with_a_model = ["--set", "risk.fraud.cold_start=false"];
    assert_eq!(
        tiny.run(4, &only_with_a_model).stderr,
        "error: there is no fraud model in `models`\n\
         hint: run `ordersight train pipeline.toml --target fraud`, or leave out [risk.fraud] to go on without\n"
    );
    let too_few = tiny.command(4, "train", &["--target", "fraud"]).stderr;
    assert!(too_few.starts_with("error: not enough labels to learn `fraud`: "), "{too_few}");
    assert!(too_few.contains("\nhint: "), "{too_few}");
    assert_eq!(
        tiny.command(4, "train", &["--target", "return"]).stderr,
        "error: a return model cannot be trained: no return labels: `returns` and `orders.delivered_at` are not both supplied\n\
         hint: map the labels, or let the rules of the pipeline decide\n"
    );
    let models = tiny.path("models");
    let models = models.to_str().unwrap();
    for action in
        [&["show", "fraud", "v0001-00000000"][..], &["promote", "fraud", "v0001-00000000"], &["retire", "fraud", "v1"]]
    {
        let done = expect(4, &[&["models"], action, &["--models", models]].concat());
        assert!(done.stderr.contains("`ordersight models list` shows what there is"), "{}", done.stderr);
    }
    // A pointer to a model that is gone.
    tiny.write("models/fraud/champion", "v0001-00000000\n");
    let before = published(&tiny.out());
    let done = tiny.run(4, &[]);
    assert!(done.stderr.contains("v0001-00000000") && done.stderr.contains("\nhint: "), "{}", done.stderr);
    assert!(published(&tiny.out()) == before);
    // Labels asked for and not there: no model is needed, and the reason stands with the null.
    let unlabelled = Tiny::new(&format!("{PIPELINE}[risk.fraud]\n[risk.return]\n"), &[("orders.csv", ORDERS)]);
    unlabelled.run(0, &[]);
    let reasons =
        unlabelled.query("SELECT DISTINCT fraud_null_reason, return_null_reason, fraud_probability FROM order_scores");
    assert_eq!(
        reasons,
        [serde_json::json!({
            "fraud_null_reason": "no fraud labels: none of `orders.fraud`, `tickets.kind` and `review_decisions` is supplied",
            "return_null_reason": "no return labels: `returns` and `orders.delivered_at` are not both supplied",
            "fraud_probability": null,
        })]
    );
}

#[test]
fn a_demo_too_small_to_learn_from_says_so_and_shows_the_rest() {
    let out = tempfile::tempdir().unwrap();
    let folder = out.path().join("demo");
    let done = expect(0, &["demo", "--orders", "60", "--out", folder.to_str().unwrap()]);
    assert!(done.stderr.starts_with("not enough labels to learn `fraud`: "), "{}", done.stderr);
    assert!(
        done.stderr.contains("\n  a shop of 60 orders has too few; with `--orders 50000` there is a model too\n"),
        "{}",
        done.stderr
    );
    assert!(folder.join("report.html").is_file() && done.stdout.contains("review_queue"), "{}", done.stdout);
}

#[test]
fn a_machine_that_says_no_is_5() {
    let tiny = tiny();
    tiny.write("file", "in the way");
    for out in ["file", "file/below"] {
        let done = finish(ordersight(&["run", "pipeline.toml", "--out", out]).current_dir(tiny.path("")));
        assert_eq!(done.code, 5, "{}", done.stderr);
        assert!(done.stderr.starts_with(&format!("error: cannot create `{out}`: ")), "{}", done.stderr);
    }
    let done = finish(ordersight(&["run", "pipeline.toml", "--pii-key-file", "none"]).current_dir(tiny.path("")));
    assert_eq!(
        (done.code, done.stderr.as_str()),
        (5, "error: cannot read `none`: No such file or directory (os error 2)\n")
    );
    assert_eq!(std::fs::read_to_string(tiny.path("file")).unwrap(), "in the way");
}

#[test]
fn a_second_writer_is_5_and_is_told_who_the_first_is() {
    let tiny = tiny();
    tiny.run(0, &[]);
    let before = published(&tiny.out());
    let first = Publisher::open(&tiny.out()).unwrap();
    let said = tiny.run(5, &[]).stderr;
    let expected = format!("error: cannot lock `out/_lock`: it is being written by process {} on ", std::process::id());
    assert!(said.starts_with(&expected), "{said}");
    let rest = said.lines().next().unwrap().rsplit_once(" since ").unwrap().1;
    assert!(ordersight::types::time::parse_instant(rest).is_some(), "{said}");
    assert_eq!(said.lines().nth(1), Some("hint: wait until it is done, or write to another folder with --out"));
    assert_eq!(published(&tiny.out()), before);
    // Readers are not writers.
    tiny.query("SELECT * FROM order_scores");
    drop(first);
    tiny.run(0, &[]);
}

/// A small file system of its own, unmounted at the end.
pub(crate) struct SmallDisk(pub(crate) PathBuf);

impl SmallDisk {
    /// A disk of so many KiB; says so where none can be had.
    pub(crate) fn new(at: &Path, kib: u64) -> Option<Self> {
        std::fs::create_dir_all(at).unwrap();
        let size = format!("size={kib}k");
        let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", &size, "tmpfs"]).arg(at).output();
        if mounted.is_ok_and(|done| done.status.success()) {
            return Some(Self(at.to_owned()));
        }
        eprintln!("skipped: no small disk can be mounted here (that needs root)");
        None
    }

    /// Fills the disk up to so many KiB.
    pub(crate) fn leave(&self, kib: u64) {
        let filler = self.0.join("filler");
        let _ = std::fs::remove_file(&filler);
        let mut size = 64 << 20;
        while size > 0 {
            // The largest file that still fits, bit by bit.
            let mut file = std::fs::OpenOptions::new().create(true).append(true).open(&filler).unwrap();
            if std::io::Write::write_all(&mut file, &vec![0; size]).is_err() {
                size /= 2;
            }
            if size < 512 {
                break;
            }
        }
        let length = std::fs::metadata(&filler).unwrap().len();
        let file = std::fs::OpenOptions::new().write(true).open(&filler).unwrap();
        file.set_len(length.saturating_sub(kib << 10)).unwrap();
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).output();
    }
}

#[test]
fn a_full_disk_is_5_with_nothing_half_published_and_the_last_state_untouched() {
    let folder = tempfile::tempdir().unwrap();
    let Some(disk) = SmallDisk::new(&folder.path().join("disk"), 8 << 10) else { return };
    let out = disk.0.join("out");
    let run = |as_of: &str| {
        finish(&mut ordersight(&["run", "data-samples/shop.toml", "--as-of", as_of, "--out", out.to_str().unwrap()]))
    };
    assert_eq!(run("2025-03-01T00:00:00Z").code, 0);
    let before = published(&out);
    let mut refused = 0;
    for left in [0, 8, 60, 120, 240, 480, 960, 1_920, 3_840] {
        disk.leave(left);
        let _ = std::fs::remove_dir_all(out.join("_cache"));
        let done = run("2025-04-01T00:00:00Z");
        if done.code == 0 {
            break;
        }
        refused += 1;
        assert_eq!(done.code, 5, "{left} KiB left: {}", done.stderr);
        assert!(done.stderr.contains("No space left on device"), "{left} KiB left: {}", done.stderr);
        assert!(
            done.stderr.ends_with("hint: free some space and run again: what was published before is untouched\n"),
            "{left} KiB left: {}",
            done.stderr
        );
        let mut now = published(&out);
        now.retain(|name, _| !name.starts_with("_staging"));
        assert_eq!(now.keys().collect::<Vec<_>>(), before.keys().collect::<Vec<_>>(), "{left} KiB left");
        assert_eq!(now, before, "{left} KiB left");
    }
    assert!(refused >= 4, "the disk was never full: {refused}");
    // With space again it goes on as if nothing had been.
    disk.leave(6_000);
    let undisturbed = folder.path().join("undisturbed");
    let args =
        ["run", "data-samples/shop.toml", "--as-of", "2025-04-01T00:00:00Z", "--out", undisturbed.to_str().unwrap()];
    expect(0, &args);
    assert_eq!(run("2025-04-01T00:00:00Z").code, 0);
    assert_eq!(crate::harness::data_files(&out), crate::harness::data_files(&undisturbed));
    assert_eq!(every_file(&out.join("_staging")).len(), 0);
}
