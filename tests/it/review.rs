//! The desk: rules it can trust, a queue it can work in, decisions that come back as labels.

use crate::harness::{Done, finish, ordersight};
use crate::shop::{self, Shop};
use crate::tiny::{Tiny, query};
use polars::prelude::{Column, ParquetReader, ParquetWriter, SerReader};

/// A shop of five orders, none of them shipped; every one above 100 is for the desk.
const SHOP: &str = r#"name = "desk"
[time]
as_of = "2025-03-10T00:00:00Z"
[sources.orders]
path = "orders.csv"
[tables.orders]
source = "orders"
columns = { order_id = "order_id", placed_at = "placed_at", customer_id = "customer_id", amount = "amount", channel = "channel", fraud = "fraud", fraud_known_at = "fraud_known_at" }
"#;

const RULE: &str = r#"
[[decision.rules]]
name = "large"
when = "amount >= 10000"
effect = "review"
reason = "above 100.00; look twice"
"#;

const ORDERS: &str = "order_id,placed_at,customer_id,amount,channel,fraud,fraud_known_at
=a1,2025-03-01T10:00:00Z,c1,150.00,web,,
a2,2025-03-02T10:00:00Z,c2,120.50,,,
a3,2025-03-03T10:00:00Z,c3,300.00,app,,
a4,2025-03-04T10:00:00Z,c1,20.00,app,,
a5,2025-03-05T10:00:00Z,c4,130.00,web,,
";

/// The shop without models: rules decide.
fn shop(rules: &str) -> Tiny {
    Tiny::new(&format!("{SHOP}{rules}"), &[("orders.csv", ORDERS)])
}

fn review(tiny: &Tiny, code: i32, args: &[&str]) -> Done {
    let mut all = vec!["review"];
    all.extend(args);
    let done = finish(ordersight(&all).args(["--out", "out"]).current_dir(tiny.path("")));
    assert_eq!(done.code, code, "ordersight {all:?}\n{}\n{}", done.stdout, done.stderr);
    done
}

fn queue(tiny: &Tiny) -> String {
    tiny.csv("SELECT rank, order_id, action FROM review_queue ORDER BY rank")
}

#[test]
fn the_queue_goes_out_as_a_sheet_and_comes_back_as_labels() {
    let tiny = shop(RULE);
    tiny.summary(&[]);
    assert_eq!(queue(&tiny), "1,a3,review\n2,=a1,review\n3,a5,review\n4,a2,review\n");
    let sheet = review(&tiny, 0, &["export"]).stdout;
    let lines: Vec<&str> = sheet.lines().collect();
    assert!(lines[0].ends_with(",decision,decided_at,reviewer,note"), "{sheet}");
    assert!(lines[1].starts_with("2025-03-10,1,a3,c3,2025-03-03T10:00:00Z,300.00,EUR,review,"), "{sheet}");
    assert!(lines[2].starts_with("2025-03-10,2,'=a1,"), "no formula for a spreadsheet: {sheet}");
    assert!(lines[1].contains("above 100.00; look twice"), "{sheet}");

    review(&tiny, 0, &["export", "--to", "desk.csv"]);
    assert_eq!(std::fs::read_to_string(tiny.path("desk.csv")).unwrap(), sheet);
    let said = review(&tiny, 2, &["export", "--to", "desk.csv"]).stderr;
    assert!(said.contains("is there already, and may have decisions in it"), "{said}");

    // Filled in: one fraud, one legitimate, one not sure, one still open.
    let filled = sheet
        .lines()
        .map(|line| match line {
            l if l.contains(",a3,") => l.replace(",,,,", ",Fraud,2025-03-08T09:00:00Z,eve,called"),
            l if l.contains(",'=a1,") => l.replace(",,,,", ",legit,2025-03-08 10:00,eve,"),
            l if l.contains(",a5,") => l.replace(",,,,", ",unsure,2025-03-08T09:30:00Z,eve,"),
            l => l.to_owned(),
        })
        .map(|line| line + "\r\n")
        .collect::<String>();
    tiny.write("filled.csv", format!("\u{feff}{filled}"));
    let said = review(&tiny, 3, &["import", "filled.csv"]).stderr;
    assert!(said.contains("row 2: order `=a1`: `decided_at` `2025-03-08 10:00` names no offset"), "{said}");
    let said = review(&tiny, 0, &["import", "filled.csv", "--zone", "Europe/Berlin"]).stderr;
    let first = "4 rows = 3 decisions taken in (1 fraud, 1 legit, 1 unsure) + 0 known before + 1 still open + 0 that cannot \
                 be used\n";
    assert!(said.starts_with(first), "{said}");
    let kept = tiny.path("out/_state/review_decisions.ndjson");
    let once = std::fs::read_to_string(&kept).unwrap();
    assert_eq!(
        once.lines().next(),
        Some(
            r#"{"order_id":"a3","decision":"fraud","decided_at":"2025-03-08T09:00:00Z","reviewer":"eve","note":"called"}"#
        )
    );
    let said = review(&tiny, 0, &["import", "filled.csv", "--zone", "Europe/Berlin"]).stderr;
    assert!(said.starts_with("4 rows = 0 decisions taken in + 3 known before"), "{said}");
    assert_eq!(std::fs::read_to_string(&kept).unwrap(), once, "importing a file twice adds nothing");
}

#[test]
fn a_decision_is_a_label_from_when_it_was_made() {
    let tiny = shop(RULE);
    let first = tiny.summary(&[]);
    tiny.write(
        "done.ndjson",
        "{\"order_id\":\"a3\",\"decision\":\"fraud\",\"decided_at\":\"2025-03-08T09:00:00Z\",\"reviewer\":\"eve\"}\n\
         {\"order_id\":\"=a1\",\"decision\":\"legit\",\"decided_at\":\"2025-03-08T09:00:00Z\"}\n",
    );
    review(&tiny, 0, &["import", "done.ndjson"]);
    let second = tiny.summary(&[]);
    assert_eq!(queue(&tiny), "1,a5,review\n2,a2,review\n");
    assert_ne!(first["run_id"], second["run_id"], "what was decided is part of what a run is made from");
    assert_eq!(
        tiny.csv("SELECT order_id, action, review_decision FROM order_scores ORDER BY order_id"),
        "=a1,review,legit\na2,review,\na3,review,fraud\na4,approve,\na5,review,\n"
    );
    assert_eq!(tiny.summary(&[])["run_id"], second["run_id"]);
    // A run as of earlier does not know it yet.
    tiny.summary(&["--as-of", "2025-03-08T08:00:00Z"]);
    assert_eq!(queue(&tiny), "1,a3,review\n2,=a1,review\n3,a5,review\n4,a2,review\n");
    // Labels to learn from wait until all are ripe; then the fraud is one of them, and the stopped order that nobody
    // decided on is none.
    let fraud = |summary: &serde_json::Value| {
        let risk = summary["risk"].as_array().unwrap().iter().find(|r| r["target"] == "fraud").unwrap().clone();
        (risk["labelled"].as_u64().unwrap(), risk["positives"].as_u64().unwrap())
    };
    assert_eq!(fraud(&tiny.summary(&["--as-of", "2025-07-01T00:00:00Z"])), (5, 1));
}

#[test]
fn a_decision_that_the_pipeline_maps_too_is_not_taken_in_twice() {
    let mapped = "[sources.decisions]\npath = \"decisions.csv\"\n[tables.review_decisions]\nsource = \"decisions\"\n\
                  columns = { order_id = \"order\", decision = \"word\", decided_at = \"at\", reviewer = \"who\" }\n";
    let tiny = shop(&format!("{mapped}{RULE}"));
    tiny.write("decisions.csv", "order,word,at,who\na3,legit,2025-03-08T09:00:00Z,eve\n");
    assert_eq!(tiny.summary(&[])["tables"]["review_decisions"]["accepted"], 1);
    let desk =
        "order_id,decision,decided_at,reviewer\na3,legit,2025-03-08T09:00:00Z,eve\na2,fraud,2025-03-08T09:00:00Z,\n";
    tiny.write("desk.csv", desk);
    review(&tiny, 0, &["import", "desk.csv"]);
    assert_eq!(tiny.summary(&[])["tables"]["review_decisions"]["accepted"], 2);
    assert_eq!(queue(&tiny), "1,=a1,review\n2,a5,review\n");
    tiny.write("out/_state/review_decisions.ndjson", "{\"order_id\":\"a1\"}\n");
    let said = tiny.run(3, &[]).stderr;
    assert!(said.contains("review_decisions.ndjson line 1 is not a decision: missing field `decision`"), "{said}");
}

#[test]
fn bad_rows_are_named_and_too_many_take_nothing_in() {
    let tiny = shop(RULE);
    tiny.summary(&[]);
    tiny.write(
        "bad.csv",
        "order_id;decision;decided_at;reviewer\n\
         a9;fraud;2025-03-08T09:00:00Z;eve\n\
         a2;frod;2025-03-08T09:00:00Z;eve\n\
         a3;fraud;yesterday;eve\n\
         a5;legit;2025-03-01T09:00:00Z;eve\n\
         =a1;fraud;2999-03-01T09:00:00Z;eve\n\
         a4;;;\n\
         a4;legit;2025-03-08T09:00:00Z;eve\n",
    );
    let said = review(&tiny, 3, &["import", "bad.csv"]).stderr;
    let expected = "error: 5 of 6 filled rows of `bad.csv` cannot be used (83.3 %), the limit is 5.0 %:
  row 1: no published order has the id `a9`; spreadsheets drop leading zeros
  row 2: order `a2`: `decision` must be one of fraud, legit, unsure, found `frod` (did you mean `fraud`?)
  row 3: order `a3`: `decided_at` `yesterday` is not an instant such as 2025-03-01T14:30:00Z or 2025-03-01 14:30
  row 4: order `a5` was placed at 2025-03-05T10:00:00Z, after its `decided_at` 2025-03-01T09:00:00Z
  row 5: order `=a1`: `decided_at` 2999-03-01T09:00:00Z is in the future
no decision was taken in; nothing was published
hint: mend the rows and import the file again; --max-share allows more
";
    assert_eq!(said, expected);
    assert!(!tiny.path("out/_state/review_decisions.ndjson").exists());
    let said = review(&tiny, 1, &["import", "bad.csv", "--max-share", "0.9"]).stderr;
    assert!(
        said.starts_with("7 rows = 1 decisions taken in (1 legit) + 0 known before + 1 still open + 5 that"),
        "{said}"
    );
    // The other way round, and the same instant with another word.
    tiny.write("more.csv", "order_id,decision,decided_at,reviewer\na4,fraud,2025-03-09T09:00:00Z,eve\n");
    assert!(
        review(&tiny, 0, &["import", "more.csv"])
            .stderr
            .contains("the later decision is the label from its time on: a4")
    );
    tiny.write("more.csv", "order_id,decision,decided_at,reviewer\na4,unsure,2025-03-09T09:00:00Z,eve\n");
    assert!(review(&tiny, 3, &["import", "more.csv"]).stderr.contains("said `fraud` at the same instant"));
    tiny.write("none.csv", "order,decision\na4,fraud\n");
    assert!(review(&tiny, 3, &["import", "none.csv"]).stderr.contains("has no column `order_id`"));
}

#[test]
fn every_format_goes_out_and_comes_back() {
    let tiny = shop(RULE);
    tiny.summary(&[]);
    for name in ["q.csv", "q.ndjson", "q.parquet"] {
        review(&tiny, 0, &["export", "--to", name]);
        let said = review(&tiny, 0, &["import", name]).stderr;
        assert!(
            said.starts_with("4 rows = 0 decisions taken in + 0 known before + 4 still open + 0 that"),
            "{name}: {said}"
        );
    }
}

#[test]
fn what_every_format_brings_back_is_learnt_from_and_what_was_only_stopped_is_not_fraud() {
    // Everything above 100 is held; of the four held orders the desk calls one fraud and one legitimate.
    let said = |order: &str| match order {
        "a3" => Some("fraud"),
        "=a1" => Some("legit"),
        _ => None,
    };
    const AT: &str = "2025-03-08T09:00:00Z";
    let mut kept = Vec::new();
    for name in ["q.csv", "q.ndjson", "q.parquet"] {
        let tiny = shop(&RULE.replace("\"review\"", "\"hold\""));
        tiny.summary(&[]);
        assert_eq!(queue(&tiny), "1,a3,hold\n2,=a1,hold\n3,a5,hold\n4,a2,hold\n");
        review(&tiny, 0, &["export", "--to", name]);
        let path = tiny.path(name);
        match name {
            "q.csv" => {
                let fill = |line: &str| {
                    let id = line.split(',').nth(2).unwrap_or_default().trim_start_matches('\'');
                    let filled = said(id).map(|word| line.replace(",,,,", &format!(",{word},{AT},eve,")));
                    filled.unwrap_or_else(|| line.to_owned()) + "\n"
                };
                let text = std::fs::read_to_string(&path).unwrap().lines().map(fill).collect::<String>();
                std::fs::write(&path, text).unwrap();
            }
            "q.ndjson" => {
                let fill = |line: &str| {
                    let mut row: serde_json::Value = serde_json::from_str(line).unwrap();
                    if let Some(word) = said(row["order_id"].as_str().unwrap()) {
                        row["decision"] = word.into();
                        row["decided_at"] = AT.into();
                        row["reviewer"] = "eve".into();
                    }
                    format!("{row}\n")
                };
                let text = std::fs::read_to_string(&path).unwrap().lines().map(fill).collect::<String>();
                std::fs::write(&path, text).unwrap();
            }
            _ => {
                let mut frame = ParquetReader::new(std::fs::File::open(&path).unwrap()).finish().unwrap();
                let ids = frame.column("order_id").unwrap().str().unwrap().clone();
                let fill = |name: &str, text: &dyn Fn(&'static str) -> &'static str| {
                    let filled = ids.iter().map(|id| id.and_then(said).map(text)).collect::<Vec<_>>();
                    Column::new(name.into(), filled)
                };
                for column in
                    [fill("decision", &|word| word), fill("decided_at", &|_| AT), fill("reviewer", &|_| "eve")]
                {
                    frame.with_column(column).unwrap();
                }
                ParquetWriter::new(std::fs::File::create(&path).unwrap()).finish(&mut frame).unwrap();
            }
        }
        let done = review(&tiny, 0, &["import", name]).stderr;
        assert!(done.starts_with("4 rows = 2 decisions taken in (1 fraud, 1 legit) + 0 known before + 2"), "{done}");
        kept.push(std::fs::read_to_string(tiny.path("out/_state/review_decisions.ndjson")).unwrap());
        // The next training sees one fraud among five orders; what was held and never decided on is none.
        let ripe = ["--target", "fraud", "--as-of", "2025-07-01T00:00:00Z"];
        let refused = tiny.command(4, "train", &ripe).stderr;
        assert!(refused.contains("(5 mature labels in all, 1 of them positive)"), "{name}: {refused}");
    }
    assert!(kept.iter().all(|text| *text == kept[0] && text.lines().count() == 2), "{kept:?}");
}

#[test]
fn a_rule_in_shadow_is_written_down_and_changes_nothing() {
    let shadow = RULE.replace("effect", "mode = \"shadow\"\neffect").replace("\"large\"", "\"try\"");
    let tiny = shop(&format!("{RULE}{}", shadow.replace("\"review\"", "\"approve\"")));
    tiny.summary(&[]);
    assert_eq!(queue(&tiny).lines().count(), 4, "an allowing rule in shadow lets nothing pass");
    assert_eq!(
        tiny.csv("SELECT order_id, rule_hits, shadow_hits, action FROM order_scores WHERE order_id IN ('a3', 'a4') ORDER BY 1"),
        "a3,\"[\"\"large\"\"]\",\"[\"\"try\"\"]\",review\na4,[],[],approve\n"
    );
    let tiny = shop(&shadow.replace("\"review\"", "\"hold\""));
    tiny.summary(&[]);
    assert_eq!(queue(&tiny), "");
}

#[test]
fn all_mistakes_of_all_rules_are_said_at_once_where_they_stand() {
    let rule = |name: &str, when: &str| {
        format!("[[decision.rules]]\nname = \"{name}\"\nwhen = '''{when}'''\neffect = \"hold\"\nreason = \"r\"\n")
    };
    let rules = [
        rule("near", "amount > 5 AND customer_order_cuont_24h = 0"),
        rule("unmapped", "device_id IS NULL OR chanel = 'web'"),
        rule("quotes", "channel = \"web\""),
        rule("all", "amount > 3 * AVG(amount)"),
        rule("cut", "amount > 5 AND"),
    ]
    .concat();
    let expected = "error: 6 problems in pipeline.toml
  `decision.rules[0].when`: rule `near`: neither orders nor features have a column `customer_order_cuont_24h`
      amount > 5 AND customer_order_cuont_24h = 0
                     ^^^^^^^^^^^^^^^^^^^^^^^^ (did you mean `customer_order_count_24h`?)
  `decision.rules[1].when`: rule `unmapped`: `orders.device_id` is not mapped, so that no order has a `device_id`
      device_id IS NULL OR chanel = 'web'
      ^^^^^^^^^ (map it under [tables.orders.columns], or leave the rule out)
  `decision.rules[1].when`: rule `unmapped`: neither orders nor features have a column `chanel`
      device_id IS NULL OR chanel = 'web'
                           ^^^^^^ (did you mean `channel`?)
  `decision.rules[2].when`: rule `quotes`: double quotes are for names, and there is no column `web`
      channel = \"web\"
                ^^^^^ (a text stands in single quotes: 'web')
  `decision.rules[3].when`: rule `all`: `avg` looks at many orders, and later ones among them
      amount > 3 * AVG(amount)
                   ^^^ (a condition is about one order; declare what it needs of the past as a feature)
  `decision.rules[4].when`: rule `cut`: cannot be read: Expected: an expression, found: EOF
      amount > 5 AND
                    ^
";
    let tiny = shop(&rules);
    assert_eq!(tiny.command(2, "check", &[]).stderr, expected);
    assert_eq!(tiny.run(2, &[]).stderr, expected, "and before the night run reads a row");
}

#[test]
fn check_says_what_each_rule_would_match_and_what_it_cannot_have() {
    let tiny =
        shop(&format!("{RULE}{}", RULE.replace("\"large\"", "\"try\"").replace("effect", "mode = \"shadow\"\neffect")));
    let said = tiny.command(0, "check", &[]).stdout;
    assert!(said.contains("rule large (review): matches 4 orders\nrule try (in shadow): matches 4 orders\n"), "{said}");
    let tiny = shop(&RULE.replace("amount >= 10000", "device_order_count_24h > 3 OR channel + 1 > 2"));
    let done = tiny.command(2, "check", &[]);
    assert!(done.stdout.contains("table orders: 5 rows"), "the data is told of all the same: {}", done.stdout);
    let expected =
        "`device_order_count_24h` is not computed: the input lacks orders.device_id\n      device_order_count_24h > 3";
    assert!(done.stderr.contains(expected), "{}", done.stderr);
}

#[test]
fn the_control_share_passes_the_same_orders_in_every_run_and_none_that_a_rule_asks_for() {
    let shop = Shop::new(3_000, 7, 120, 0.0);
    let run = |name: &str, as_of: &str, share: &str| {
        let out = shop.path(name);
        let share = format!("decision.control_share={share}");
        shop::summary(shop.command(&shop.input(), &out, as_of).args(["--set", &share]));
        out
    };
    let (early, late) = (run("early", "2025-12-01T00:00:00Z", "0.4"), run("late", "2025-12-31T00:00:00Z", "0.4"));
    let passed = |out, more: &str| {
        let sql = "SELECT order_id FROM order_scores WHERE control AND placed_at < TIMESTAMP '2025-12-01 00:00:00'";
        query(out, &format!("{sql} {more} ORDER BY 1"))
    };
    let of_late = passed(&late, "");
    assert!(of_late.len() > 3, "{of_late:?}");
    assert_eq!(passed(&early, ""), of_late);
    assert_eq!(passed(&late, "AND action = 'approve' AND fraud_flag AND fraud_reasons IS NOT NULL"), of_late);
    let count = |out, condition: &str| {
        query(out, &format!("SELECT COUNT(*) AS n FROM order_scores WHERE {condition}"))[0]["n"].as_u64().unwrap()
    };
    let acted = count(&late, "control = FALSE AND action <> 'approve'");
    assert_eq!(count(&late, "control = FALSE"), acted, "what is not drawn is acted on");
    let ruled = "control IS NOT NULL AND rule_hits IS NOT NULL AND array_length(rule_hits) > 0";
    assert_eq!(count(&late, ruled), 0);
    let queued = "SELECT q.order_id FROM review_queue q JOIN order_scores s ON q.order_id = s.order_id WHERE s.control";
    assert_eq!(query(&late, queued), Vec::<serde_json::Value>::new());
    let none = run("none", "2025-12-31T00:00:00Z", "0.0");
    assert_eq!((count(&none, "control"), count(&none, "control = FALSE") > acted), (0, true));
}

#[test]
fn a_likely_return_has_a_measure_and_no_other_order_has() {
    let shop = Shop::new(2_000, 3, 90, 0.0);
    let out = shop.path("out");
    let all = shop.command(&shop.input(), &out, "2025-12-31T00:00:00Z");
    shop::summary({ all }.args(["--set", "risk.return.flag_at=0.15"]));
    let rows =
        query(&out, "SELECT return_flag, return_measure, COUNT(*) AS n FROM order_scores GROUP BY 1, 2 ORDER BY 1, 2");
    let words = ["size_advice", "confirm_address", "confirm_item", "pack_check", "refuse_free_return"];
    let (mut flagged, mut advised) = (0, 0);
    for row in &rows {
        let n = row["n"].as_u64().unwrap();
        match (row["return_flag"].as_bool().unwrap(), row["return_measure"].as_str()) {
            (false, measure) => assert_eq!(measure, None, "{rows:?}"),
            (true, None) => flagged += n,
            (true, Some(measure)) => {
                assert!(words.contains(&measure), "{measure}");
                (flagged, advised) = (flagged + n, advised + n);
            }
        }
    }
    assert!(flagged > 50 && 2 * advised > flagged, "most have one: {rows:?}");
}
