//! Rules on history: what `evaluate --rules` counts, worked out by hand.

use crate::harness::{Done, finish, ordersight};
use crate::tiny::Tiny;
use serde_json::{Value, json};

/// Orders whose labels are mature after ten days.
const SHOP: &str = r#"name = "past"
[time]
as_of = "2025-03-01T00:00:00Z"
[sources.orders]
path = "orders.csv"
[tables.orders]
source = "orders"
columns = { order_id = "id", placed_at = "at", customer_id = "who", amount = "amount", channel = "channel", delivered_at = "delivered", fraud = "fraud", fraud_known_at = "known" }
[risk.fraud]
label = { column = "fraud", matures_after = "10d" }
"#;

const ORDERS: &str = "id,at,who,amount,channel,delivered,fraud,known
j1,2025-01-05T10:00:00Z,c1,150.00,web,2025-01-09T10:00:00Z,yes,2025-01-10T10:00:00Z
j2,2025-01-06T10:00:00Z,c2,120.00,web,2025-01-09T10:00:00Z,no,2025-01-07T10:00:00Z
j3,2025-01-07T10:00:00Z,c3,20.00,app,,yes,2025-02-10T10:00:00Z
f1,2025-02-03T10:00:00Z,c1,300.00,app,2025-02-09T10:00:00Z,,
f2,2025-02-04T10:00:00Z,c4,110.00,,2025-02-09T10:00:00Z,,
f3,2025-02-25T10:00:00Z,c1,500.00,web,,,
";

fn rules(rules: &[(&str, &str, &str, &str)]) -> String {
    let one = |(name, when, effect, mode): &(&str, &str, &str, &str)| {
        format!(
            "[[decision.rules]]\nname = \"{name}\"\nwhen = \"{when}\"\neffect = \"{effect}\"\nmode = \"{mode}\"\nreason = \"r\"\n"
        )
    };
    rules.iter().map(one).collect()
}

const RULES: &[(&str, &str, &str, &str)] = &[
    ("large", "amount >= 10000", "review", "act"),
    ("known", "customer_order_count_lifetime >= 1", "approve", "act"),
    ("web", "channel = 'web'", "hold", "shadow"),
    ("gone", "delivered_at IS NOT NULL", "hold", "act"),
];

fn evaluate(tiny: &Tiny, code: i32, more: &[&str]) -> Done {
    let mut command = ordersight(&["evaluate", "pipeline.toml", "--target", "fraud", "--out", "out"]);
    let done = finish(command.args(more).current_dir(tiny.path("")));
    assert_eq!(done.code, code, "{more:?}\n{}\n{}", done.stdout, done.stderr);
    done
}

#[test]
fn rules_are_replayed_on_orders_as_they_stood_and_counted_against_mature_labels() {
    let tiny = Tiny::new(&format!("{SHOP}{}", rules(RULES)), &[("orders.csv", ORDERS)]);
    let found: Value = serde_json::from_str(&evaluate(&tiny, 0, &["--rules", "--json"]).stdout).unwrap();
    let replay = &found["rules"];
    assert_eq!([&replay["orders"], &replay["labelled"], &replay["frauds"]], [&json!(6), &json!(5), &json!(2)]);
    assert!(found["notes"][0].as_str().unwrap().starts_with("rules are replayed without a model: "), "{found:#}");
    // f1 and f3 are of a customer with an earlier order: `known` lets them pass, although they are large.
    let sql = "SELECT scope, rule, effect, mode, grain, period_start, mature, hits, decides, labelled, frauds, precision, \
               fraud_value, good_value, fraud_value_share FROM rule_replay WHERE target = 'fraud' AND hits > 0";
    let expected = [
        "rule,large,review,act,all,,false,5,3,4,1,0.25,15000,53000,0.8823529411764706",
        "rule,large,review,act,month,2025-01-01,true,2,2,2,1,0.5,15000,12000,0.8823529411764706",
        "rule,large,review,act,month,2025-02-01,false,3,1,2,0,0.0,0,41000,",
        "rule,known,approve,act,all,,false,2,2,1,0,0.0,0,30000,0.0",
        "rule,known,approve,act,month,2025-02-01,false,2,2,1,0,0.0,0,30000,",
        "rule,web,hold,shadow,all,,false,3,2,2,1,0.5,15000,12000,0.8823529411764706",
        "rule,web,hold,shadow,month,2025-01-01,true,2,2,2,1,0.5,15000,12000,0.8823529411764706",
        "rule,web,hold,shadow,month,2025-02-01,false,1,0,0,0,,0,0,",
        "effect,,approve,,all,,false,2,2,1,0,0.0,0,30000,0.0",
        "effect,,approve,,month,2025-02-01,false,2,2,1,0,0.0,0,30000,",
        "effect,,review,,all,,false,3,3,3,1,0.3333333333333333,15000,23000,0.8823529411764706",
        "effect,,review,,month,2025-01-01,true,2,2,2,1,0.5,15000,12000,0.8823529411764706",
        "effect,,review,,month,2025-02-01,false,1,1,1,0,0.0,0,11000,",
        "acting,,,,all,,false,3,3,3,1,0.3333333333333333,15000,23000,0.8823529411764706",
        "acting,,,,month,2025-01-01,true,2,2,2,1,0.5,15000,12000,0.8823529411764706",
        "acting,,,,month,2025-02-01,false,1,1,1,0,0.0,0,11000,",
        "with_shadows,,,,all,,false,3,3,3,1,0.3333333333333333,15000,23000,0.8823529411764706",
        "with_shadows,,,,month,2025-01-01,true,2,2,2,1,0.5,15000,12000,0.8823529411764706",
        "with_shadows,,,,month,2025-02-01,false,1,1,1,0,0.0,0,11000,",
    ];
    let csv = tiny.csv(sql);
    assert_eq!(csv.lines().collect::<Vec<_>>(), expected);
    let findings: Vec<&str> = replay["findings"].as_array().unwrap().iter().map(|f| f.as_str().unwrap()).collect();
    assert_eq!(
        findings,
        [
            "rule `gone` looks at `delivered_at`, which an order has only later: it is matched as the order stood when it \
             was placed, so with null unless that was before",
            "rule `gone` matches no order of history",
            "rules `known` and `large` contradict each other: the first lets pass 2 orders that the second would have \
             looked at; 0 of 1 labelled ones were fraud",
            "rules `known` and `web` contradict each other: the first lets pass 1 orders that the second would stop, if \
             both acted; 0 of 0 labelled ones were fraud",
        ]
    );
    // The terminal has a line a rule and the findings.
    let said = evaluate(&tiny, 0, &["--rules"]).stdout;
    for line in [
        "large (review) ",
        "known (approve) ",
        "web (hold, shadow) ",
        "in the end: hold or review ",
        "note: rule `gone` matches no",
    ] {
        assert!(said.contains(line), "{line}: {said}");
    }
    assert!(said.contains("33.3 % (6.1 to 79.2)"), "statsmodels: proportion_confint(1, 3, method='wilson'): {said}");
}

#[test]
fn an_evaluation_and_a_run_leave_one_another_s_tables_as_they_are() {
    let tiny = Tiny::new(&format!("{SHOP}{}", rules(RULES)), &[("orders.csv", ORDERS)]);
    // No label is mature, so that no model is needed.
    let run = || {
        tiny.run(0, &["--set", "risk.fraud.label.matures_after=900d"]);
    };
    run();
    let scores = tiny.csv("SELECT * FROM order_scores");
    evaluate(&tiny, 0, &["--rules"]);
    assert_eq!(tiny.csv("SELECT * FROM order_scores"), scores);
    let replayed = tiny.csv("SELECT * FROM rule_replay");
    run();
    assert_eq!(tiny.csv("SELECT * FROM rule_replay"), replayed);
    assert_eq!(tiny.csv("SELECT COUNT(*) AS n FROM runs"), "2\n");
    // Of other rules there are other lines, and none of the old.
    let one = [("all", "1 = 1", "review", "act")];
    tiny.write("pipeline.toml", format!("{SHOP}{}", rules(&one)));
    evaluate(&tiny, 0, &["--rules"]);
    assert_eq!(tiny.csv("SELECT DISTINCT rule FROM rule_replay WHERE rule IS NOT NULL"), "all\n");
    assert!(tiny.path("out/evaluation/fraud.json").is_file());
}

#[test]
fn what_cannot_be_replayed_is_said_before_anything_is_read() {
    let tiny = Tiny::new(SHOP, &[("orders.csv", ORDERS)]);
    assert!(evaluate(&tiny, 2, &["--rules"]).stderr.contains("has no [[decision.rules]] to replay"));
    let done = finish(
        ordersight(&["evaluate", "pipeline.toml", "--target", "return", "--rules", "--out", "out"])
            .current_dir(tiny.path("")),
    );
    assert_eq!(done.code, 2);
    assert!(done.stderr.contains("rules are about fraud") && done.stderr.contains("--target fraud"), "{}", done.stderr);
    assert!(evaluate(&tiny, 2, &["--reviewer-finds", "1.2"]).stderr.contains("must be between 0 and 1, got 1.2"));
    assert!(!tiny.out().exists());
}
