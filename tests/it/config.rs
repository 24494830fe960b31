//! The pipeline file: every problem in one go, in words that say what is allowed.

use crate::harness::{expect, finish, ordersight, root};
use crate::tiny::{PIPELINE, Tiny};
use std::path::PathBuf;

const ORDERS: &str =
    "order_id,placed_at,customer_id,amount,channel\nA,2024-05-01,C,1.00,web\nB,2024-05-02,C,2.50,app\n";

/// What a pipeline with a mistake is answered; the exit code is 2.
fn said(pipeline: &str) -> String {
    Tiny::new(pipeline, &[("orders.csv", ORDERS)]).run(2, &[]).stderr
}

#[test]
fn five_mistakes_are_five_messages_in_one_go() {
    let pipeline = r#"
name = "five"
[time]
zone = "Europe/Berlni"
[sources.orders]
path = "orders.csv"
delimeter = ";"
[tables.orders]
source = "order"
columns = { order_id = "order_id", placed_at = "placed_at", customer_id = "customer_id", amount = "amount" }
[kpi]
segments = ["chanel"]
[quarantine]
max_share = 5
"#;
    assert_eq!(
        said(pipeline),
        "error: 5 problems in pipeline.toml\n  \
         `kpi.segments`: `chanel` is neither a column of `orders` that splits it into groups nor one of lane, sku, category (did you mean `channel`?)\n  \
         `quarantine.max_share`: must be a number from 0 to 1, found `5`\n  \
         `sources.orders.delimeter`: there is no such setting; allowed are `columns`, `decimal`, `delimiter`, `encoding`, \
         `format`, `null`, `path` (did you mean `delimiter`?)\n  \
         `tables.orders.source`: there is no source `order` (did you mean `orders`?)\n  \
         `time.zone`: `Europe/Berlni` is not an IANA time zone (did you mean `Europe/Berlin`?)\n"
    );
}

#[test]
fn mistakes_of_every_sort_are_said_with_what_is_allowed() {
    let pipeline = r#"
[time]
as_of = "yesterday"
[money]
base = "EURO"
[sources."my orders"]
path = "${NO_SUCH_FOLDER}/orders.csv"
encoding = "latin9000"
delimiter = ";;"
decimal = "·"
[sources.raw]
path = "raw.csv"
[sources.raw.columns]
at = { type = "datetime", currency = "EUR" }
sum = { type = "money", currency = "XYZ", formats = ["%Y"] }
who = { type = "e-mail" }
[tables.order]
source = "raw"
[tables.orders]
source = "raw"
columns = { order_id = "id", placed_at = "sum", amount = "sum", chanel = "c", colour = "c" }
[tables.order_items]
sql = "SELECT order_id FROM rwa"
[tables.returns]
source = "raw"
sql = "SELECT 1"
[tables.tickets]
sql = "SELEC 1"
[kpi]
targets = "amazn"
fail_on = ["quarentine"]
return_window = "30"
[risk.fraud]
family = "boostd"
[decision]
review_cost = "four"
rules = [{ name = "a", when = "amount >", effect = "stop", reason = "" }]
[privacy]
show = ["email"]
"#;
    let expected = "error: 27 problems in pipeline.toml
  `decision.review_cost`: must be a number of at least 0, found `four`
  `decision.rules[0].effect`: must be one of `approve`, `review`, `hold`, found `stop`
  `kpi.fail_on[0]`: must be one of `quarantine`, `target`, `monitor`, found `quarentine` (did you mean `quarantine`?)
  `kpi.return_window`: must be a span such as `30d` or `36h`, found `30`
  `kpi.targets`: there is no target pack `amazn`; shipped are amazon, ebay, walmart, aliexpress, service (did you mean `amazon`?)
  `money.base`: must be a three-letter ISO 4217 code such as `EUR`, found `EURO`
  `name`: is required and missing
  `privacy.show`: no source column is called `email`
  `risk.fraud.family`: must be one of `logistic`, `ftrl`, `boosted`, `blend`, found `boostd` (did you mean `boosted`?)
  `sources.my orders`: a source's name is made of letters, digits and `_`, so that SQL can use it
  `sources.my orders.decimal`: must be `.` or `,`, found `·`
  `sources.my orders.delimiter`: must be one ASCII character or `tab`, found `;;`
  `sources.my orders.encoding`: `latin9000` is not a known encoding; try `utf-8` or `latin1`
  `sources.my orders.path`: the variable `NO_SUCH_FOLDER` is not set; `${NO_SUCH_FOLDER:-default}` gives a default
  `sources.raw.columns.at`: `currency`, `currency_column` and `round` are for columns of type `money`
  `sources.raw.columns.sum`: `formats` and `zone` are for columns of type `datetime`
  `sources.raw.columns.sum.currency`: `XYZ` is not an ISO 4217 currency with a minor unit
  `sources.raw.columns.who.type`: must be one of `text`, `integer`, `number`, `money`, `rate`, `datetime`, `flag`, `email`, `phone`, `ip`, `address`, `payment`, found `e-mail` (did you mean `email`?)
  `tables.order`: there is no such input table; there are orders, order_items, order_events, returns, tickets, feedback, inventory, fx_rates, review_decisions (did you mean `orders`?)
  `tables.order_items.sql`: there is no source `rwa` (did you mean `raw`?)
  `tables.orders.columns.chanel`: `orders` has no such column (did you mean `channel`?)
  `tables.orders.columns.colour`: `orders` has no such column (a column of your own is a model feature if its name begins with `x_`)
  `tables.orders.columns.customer_id`: is required and not mapped
  `tables.orders.columns.placed_at`: `sum` is declared as `money` in `sources.raw`, which cannot be a `placed_at`
  `tables.returns`: needs either `source` with `columns`, or `sql`, and not both
  `tables.tickets.sql`: sql parser error: Expected: an SQL statement, found: SELEC at Line: 1, Column: 1
  `time.as_of`: `yesterday` is not an RFC 3339 instant (write it as 2024-05-01T00:00:00Z)
";
    assert_eq!(said(pipeline), expected);
}

#[test]
fn what_is_no_toml_is_said_with_its_line() {
    assert_eq!(
        said("name = \"x\"\n[time\nzone = 'UTC'\n"),
        "error: 1 problem in pipeline.toml\n  `(syntax)`: TOML parse error at line 2, column 6\n      |\n    2 | [time\n      \
         |      ^\n    unclosed table, expected `]`\n"
    );
}

#[test]
fn a_setting_can_be_overridden_on_the_command_line() {
    let tiny = Tiny::new(PIPELINE, &[("orders.csv", ORDERS)]);
    assert_eq!(tiny.summary(&[])["currency"], "EUR");
    let sets = [
        "--set",
        "money.base=USD",
        "--set",
        "tables.orders.columns.channel=channel",
        "--set",
        "kpi.segments=[\"channel\"]",
    ];
    assert_eq!(tiny.summary(&sets)["currency"], "USD");
    assert_eq!(
        tiny.csv("SELECT segment_value, value FROM kpi WHERE kpi = 'orders' AND segment = 'channel' AND grain = 'all' ORDER BY 1"),
        "app,1.0\nweb,1.0\n"
    );
    assert_eq!(
        tiny.run(2, &["--set", "money.base", "--set", "time.zone.x=1", "--set", "time.zoen=UTC"]).stderr,
        "error: 3 problems in pipeline.toml\n  `--set`: `money.base` is not of the form key=value\n  \
         `time.zoen`: there is no such setting; allowed are `as_of`, `zone` (did you mean `zone`?)\n  \
         `time.zone`: must be a text, found a section\n"
    );
    // The same goes into the identity of a run: other settings, another id.
    assert_ne!(tiny.summary(&[])["run_id"], tiny.summary(&["--set", "decision.review_cost=5"])["run_id"]);
}

#[test]
fn variables_are_expanded_and_may_have_a_default() {
    let pipeline = PIPELINE.replace("orders.csv", "${SHOP_FOLDER:-in}/${SHOP_FILE}");
    let tiny = Tiny::new(&pipeline, &[("in/orders.csv", ORDERS), ("else/orders.csv", &ORDERS[..ORDERS.len() - 24])]);
    let run = |variables: &[(&str, &str)]| {
        let mut command = ordersight(&["run", "pipeline.toml", "--out", "out", "--json"]);
        command.env_remove("SHOP_FILE").env_remove("SHOP_FOLDER").envs(variables.iter().copied());
        finish(command.current_dir(tiny.path("")))
    };
    let orders = |done: &crate::harness::Done| -> serde_json::Value {
        serde_json::from_str::<serde_json::Value>(&done.stdout).unwrap()["tables"]["orders"]["accepted"].clone()
    };
    assert_eq!(orders(&run(&[("SHOP_FILE", "orders.csv")])), 2);
    assert_eq!(orders(&run(&[("SHOP_FILE", "orders.csv"), ("SHOP_FOLDER", "else")])), 1);
    // Where the data lies is no part of what a run is.
    let id = |done: &crate::harness::Done| {
        serde_json::from_str::<serde_json::Value>(&done.stdout).unwrap()["run_id"].clone()
    };
    tiny.write("else/orders.csv", ORDERS);
    assert_eq!(
        id(&run(&[("SHOP_FILE", "orders.csv")])),
        id(&run(&[("SHOP_FILE", "orders.csv"), ("SHOP_FOLDER", "else")]))
    );
    let unset = run(&[]);
    assert_eq!(
        (unset.code, unset.stderr.as_str()),
        (
            2,
            "error: 1 problem in pipeline.toml\n  `sources.orders.path`: the variable `SHOP_FILE` is not set; \
             `${SHOP_FILE:-default}` gives a default\n"
        )
    );
}

/// Every pipeline that comes with the program.
fn shipped() -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = ["pipelines", "data-samples"]
        .iter()
        .flat_map(|folder| std::fs::read_dir(root().join(folder)).unwrap())
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|e| e == "toml"))
        .collect();
    files.sort();
    assert!(files.len() >= 7, "{files:?}");
    files
}

#[test]
fn the_printed_schema_accepts_every_shipped_pipeline_and_refuses_a_wrong_one() {
    let schema: serde_json::Value = serde_json::from_str(&expect(0, &["check", "--schema"]).stdout).unwrap();
    assert_eq!(schema["$schema"], "https://json-schema.org/draft/2020-12/schema");
    let validator = jsonschema::draft202012::new(&schema).unwrap();
    let errors = |text: &str| -> Vec<String> {
        let document = serde_json::to_value(text.parse::<toml::Table>().unwrap()).unwrap();
        validator.iter_errors(&document).map(|e| format!("{}: {e}", e.instance_path)).collect()
    };
    for path in shipped() {
        let text = std::fs::read_to_string(&path).unwrap();
        assert_eq!(errors(&text), Vec::<String>::new(), "{}", path.display());
        ordersight::config::Pipeline::load(&path, &[]).unwrap();
    }
    assert_eq!(errors(&PIPELINE.replace("as_of", "at_of")).len(), 1);
    assert_eq!(errors(&PIPELINE.replace("name = \"tiny\"", "")).len(), 1);
    // Settings have a description: it is what an editor shows.
    for name in ["time", "sources", "tables", "kpi", "risk", "decision", "quarantine", "privacy", "output"] {
        assert!(schema["properties"][name]["description"].as_str().is_some_and(|d| d.len() > 10), "{name}");
    }
}

#[test]
fn the_template_works_as_it_stands_and_what_it_comments_out_exists() {
    let text = std::fs::read_to_string(root().join("pipelines/template.toml")).unwrap();
    let out = tempfile::tempdir().unwrap();
    expect(0, &["run", "pipelines/template.toml", "--out", out.path().to_str().unwrap()]);

    // Every commented line that is a setting, in its place. Alternatives for one setting: the last stands.
    let mut settings = std::collections::BTreeMap::new();
    let mut section = String::new();
    for line in text.lines() {
        let bare = line.strip_prefix("# ").unwrap_or(line);
        if bare.starts_with('[') && bare.split('#').next().unwrap().trim_end().ends_with(']') {
            section = bare.split('#').next().unwrap().trim().to_owned();
        } else if line.starts_with("# ")
            && bare.split_once(" = ").is_some_and(|(key, _)| key.chars().all(|c| c.is_ascii_lowercase() || c == '_'))
        {
            let (key, value) = bare.split_once(" = ").unwrap();
            if !value.starts_with("\"\"\"") {
                settings.insert((section.clone(), key.to_owned()), value.to_owned());
            }
        }
    }
    assert!(settings.len() > 50, "the template has lost its settings: {}", settings.len());
    let mut problems = Vec::new();
    let validator = jsonschema::draft202012::new(&ordersight::config::json_schema()).unwrap();
    // A rule is one of a list, and stands there uncommented.
    for ((section, key), value) in settings.iter().filter(|((section, _), _)| !section.starts_with("[[")) {
        let path = section.trim_matches(['[', ']']);
        let document: toml::Table = format!("[{path}]\n{key} = {value}").parse().unwrap();
        let mut document = serde_json::to_value(document).unwrap();
        let root = document.as_object_mut().unwrap();
        for (name, value) in
            [("name", serde_json::json!("x")), ("sources", serde_json::json!({})), ("tables", serde_json::json!({}))]
        {
            root.entry(name).or_insert(value);
        }
        for source in root["sources"].as_object_mut().unwrap().values_mut() {
            source.as_object_mut().unwrap().entry("path").or_insert(serde_json::json!("x"));
        }
        problems.extend(validator.iter_errors(&document).map(|e| format!("{path}.{key} = {value}: {e}")));
    }
    assert_eq!(problems, Vec::<String>::new());
}

/// Dotted names of all settings of a schema; a name of the user's choice is not part of them.
fn settings_of(schema: &serde_json::Value, path: &str, found: &mut Vec<String>) {
    for (name, inner) in schema["properties"].as_object().into_iter().flatten() {
        let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
        settings_of(inner, &path, found);
        found.push(path);
    }
    for inner in [&schema["additionalProperties"], &schema["items"]].into_iter().filter(|inner| inner.is_object()) {
        settings_of(inner, path, found);
    }
    for inner in ["anyOf", "oneOf", "allOf"].iter().filter_map(|kind| schema[*kind].as_array()).flatten() {
        settings_of(inner, path, found);
    }
}

#[test]
fn the_template_names_every_setting_there_is_in_its_section() {
    let text = std::fs::read_to_string(root().join("pipelines/template.toml")).unwrap();
    // Section by section, as the names under it or on one line in braces.
    let mut named = std::collections::BTreeSet::new();
    let mut section = Vec::new();
    for line in text.lines().map(|line| line.strip_prefix("# ").unwrap_or(line)) {
        let bare = line.split(" #").next().unwrap().trim_end();
        if bare.starts_with('[') && bare.ends_with(']') {
            section = bare.trim_matches(['[', ']']).split('.').map(str::to_owned).collect();
            // The user's own names of sources and tables are none of the schema's.
            if ["sources", "tables"].contains(&section[0].as_str()) {
                section.remove(1);
            }
            named.extend((1..=section.len()).map(|depth| section[..depth].join(".")));
        } else if let Some((key, value)) = bare.split_once(" = ") {
            let at = |key: &str| section.iter().map(String::as_str).chain([key]).collect::<Vec<_>>().join(".");
            named.insert(at(key));
            // `label = { column = "x" }`; under a map of columns the key is the user's.
            let under = if section.last().is_some_and(|last| last == "columns") { section.join(".") } else { at(key) };
            for inner in value.trim_matches(['{', '}', ' ']).split(", ").filter_map(|part| part.split_once(" = ")) {
                named.insert(format!("{under}.{}", inner.0));
            }
        }
    }
    let mut settings = Vec::new();
    settings_of(&ordersight::config::json_schema(), "", &mut settings);
    assert!(settings.len() > 60, "{settings:?}");
    let unnamed: Vec<&String> = settings.iter().filter(|setting| !named.contains(*setting)).collect();
    assert!(unnamed.is_empty(), "the template does not name {unnamed:?}");
}
