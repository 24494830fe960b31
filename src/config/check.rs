//! Checks that a schema cannot express: names that must exist, settings that must agree with one another.

use super::condition::{self, ConditionColumn, ORDER_FACTS, pointing_at};
use super::raw::{ColumnType, RawPipeline, Source, TableMap};
use super::{FeatureSpec, HeldPack, WorkingTime, calendar, did_you_mean, exceptions, features, sql, targets};
use crate::contract::input::{self, Kind, TABLES, Table};
use crate::contract::segment;
use crate::error::Problem;
use crate::types::{money, time};
use chrono_tz::Tz;
use std::collections::BTreeSet;
use std::path::Path;

/// Settings in the form later stages use.
pub(super) struct Checked {
    pub(super) zone: Tz,
    pub(super) as_of: Option<i64>,
    pub(super) base_exponent: u32,
    pub(super) packs: Vec<HeldPack>,
    pub(super) calendar: Option<WorkingTime>,
    pub(super) features: Vec<FeatureSpec>,
}

pub(super) fn check(raw: &RawPipeline, base_dir: &Path, problems: &mut Vec<Problem>) -> Checked {
    let zone = zone_named(&raw.time.zone, "time.zone", problems);
    let as_of = raw.time.as_of.as_ref().and_then(|text| {
        let instant = time::parse_instant(text);
        if instant.is_none() {
            problems.push(
                Problem::new("time.as_of", format!("`{text}` is not an RFC 3339 instant"))
                    .hint("write it as 2024-05-01T00:00:00Z"),
            );
        }
        instant
    });
    let base_exponent = currency_exponent(&raw.money.base, "money.base", problems);
    for (name, source) in &raw.sources {
        check_source(name, source, problems);
    }
    check_tables(raw, problems);
    check_segments(raw, problems);
    let packs = match &raw.kpi.targets {
        Some(named) => targets::find_all(named, base_dir, problems),
        None => Vec::new(),
    };
    let calendar = calendar::check(raw.calendar.as_ref(), base_dir, problems);
    let features = features::expand(&raw.features, problems);
    check_decision(raw, &features, problems);
    check_privacy(raw, problems);
    check_satisfaction(raw, problems);
    exceptions::check(&raw.exceptions, problems);
    Checked { zone, as_of, base_exponent, packs, calendar, features }
}

fn zone_named(name: &str, key: &str, problems: &mut Vec<Problem>) -> Tz {
    name.parse().unwrap_or_else(|_| {
        let mut problem = Problem::new(key, format!("`{name}` is not an IANA time zone"));
        problem.hint = did_you_mean(name, chrono_tz::TZ_VARIANTS.iter().map(|z| z.name()));
        problems.push(problem);
        Tz::UTC
    })
}

fn currency_exponent(code: &str, key: &str, problems: &mut Vec<Problem>) -> u32 {
    money::exponent(code).unwrap_or_else(|_| {
        problems.push(Problem::new(key, format!("`{code}` is not an ISO 4217 currency with a minor unit")));
        2
    })
}

fn check_source(name: &str, source: &Source, problems: &mut Vec<Problem>) {
    let key = format!("sources.{name}");
    if !name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') {
        problems.push(Problem::new(&key, "a source's name is made of letters, digits and `_`, so that SQL can use it"));
    }
    if let Some(delimiter) = &source.delimiter
        && !(delimiter == "tab" || delimiter.len() == 1 && delimiter.is_ascii())
    {
        problems.push(Problem::new(
            format!("{key}.delimiter"),
            format!("must be one ASCII character or `tab`, found `{delimiter}`"),
        ));
    }
    if let Some(label) = &source.encoding {
        let key = format!("{key}.encoding");
        match encoding_rs::Encoding::for_label(label.as_bytes()) {
            None => {
                problems.push(Problem::new(key, format!("`{label}` is not a known encoding; try `utf-8` or `latin1`")))
            }
            // Fields are cut at bytes, which such encodings do not allow.
            Some(encoding) if !encoding.is_ascii_compatible() => problems.push(
                Problem::new(key, format!("`{label}` cannot be read field by field")).hint("convert the file to UTF-8"),
            ),
            Some(_) => {}
        }
    }
    if let Some(decimal) = &source.decimal
        && !matches!(decimal.as_str(), "." | ",")
    {
        problems.push(Problem::new(format!("{key}.decimal"), format!("must be `.` or `,`, found `{decimal}`")));
    }
    for (column, spec) in &source.columns {
        let key = format!("{key}.columns.{column}");
        if let Some(zone) = &spec.zone {
            zone_named(zone, &format!("{key}.zone"), problems);
        }
        if let Some(code) = &spec.currency {
            currency_exponent(code, &format!("{key}.currency"), problems);
        }
        if spec.column_type == ColumnType::Money {
            if spec.currency.is_some() && spec.currency_column.is_some() {
                problems.push(Problem::new(
                    &key,
                    "has both `currency` and `currency_column`; only one can say the currency",
                ));
            }
        } else if spec.currency.is_some() || spec.currency_column.is_some() || spec.round {
            problems
                .push(Problem::new(&key, "`currency`, `currency_column` and `round` are for columns of type `money`"));
        }
        if spec.column_type != ColumnType::Datetime && (!spec.formats.is_empty() || spec.zone.is_some()) {
            problems.push(Problem::new(&key, "`formats` and `zone` are for columns of type `datetime`"));
        }
    }
}

fn check_tables(raw: &RawPipeline, problems: &mut Vec<Problem>) {
    if !raw.tables.contains_key("orders") {
        problems.push(Problem::new("tables.orders", "is required and missing: every pipeline needs orders"));
    }
    for (name, map) in &raw.tables {
        let key = format!("tables.{name}");
        let Some(table) = input::table(name) else {
            let names: Vec<&str> = TABLES.iter().map(|t| t.name).collect();
            let mut problem =
                Problem::new(key, format!("there is no such input table; there are {}", names.join(", ")));
            problem.hint = did_you_mean(name, names);
            problems.push(problem);
            continue;
        };
        match (&map.source, &map.sql) {
            (Some(source), None) => check_map(raw, table, map, source, problems),
            (None, Some(query)) => check_sql(raw, &key, map, query, problems),
            _ => problems.push(Problem::new(key, "needs either `source` with `columns`, or `sql`, and not both")),
        }
    }
}

fn check_map(raw: &RawPipeline, table: &Table, map: &TableMap, source: &str, problems: &mut Vec<Problem>) {
    let key = format!("tables.{}", table.name);
    let Some(spec) = raw.sources.get(source) else {
        problems.push(unknown_source(raw, &format!("{key}.source"), source));
        return;
    };
    for (name, from) in &map.columns {
        let key = format!("{key}.columns.{name}");
        let Some(kind) = table.kind_of(name) else {
            let names: Vec<&str> = table.columns.iter().map(|c| c.name).collect();
            let mut problem = Problem::new(key, format!("`{}` has no such column", table.name));
            problem.hint = did_you_mean(name, names.iter().copied()).or_else(|| {
                table.open.then(|| "a column of your own is a model feature if its name begins with `x_`".to_owned())
            });
            problems.push(problem);
            continue;
        };
        if let Some(declared) = spec.columns.get(from)
            && !agrees(declared.column_type, kind)
        {
            problems.push(Problem::new(
                key,
                format!(
                    "`{from}` is declared as `{}` in `sources.{source}`, which cannot be a `{name}`",
                    format!("{:?}", declared.column_type).to_lowercase()
                ),
            ));
        }
    }
    for column in table.columns.iter().filter(|c| c.required && !map.columns.contains_key(c.name)) {
        problems.push(Problem::new(format!("{key}.columns.{}", column.name), "is required and not mapped"));
    }
}

/// Whether a source column of a declared type can feed a contract column of a kind.
fn agrees(declared: ColumnType, kind: Kind) -> bool {
    match kind {
        Kind::Id | Kind::Text | Kind::Word(_) | Kind::Country | Kind::Currency => {
            !matches!(declared, ColumnType::Money)
        }
        Kind::Money => declared == ColumnType::Money,
        Kind::Instant => declared == ColumnType::Datetime,
        Kind::Count => declared == ColumnType::Integer,
        Kind::Number => matches!(declared, ColumnType::Number | ColumnType::Integer | ColumnType::Flag),
        Kind::Flag => declared == ColumnType::Flag,
        Kind::Rate => declared == ColumnType::Rate,
        Kind::Personal(personal) => declared.personal() == Some(personal),
    }
}

fn check_sql(raw: &RawPipeline, key: &str, map: &TableMap, query: &str, problems: &mut Vec<Problem>) {
    let key = format!("{key}.sql");
    if !map.columns.is_empty() {
        problems.push(Problem::new(
            &key,
            "`columns` goes with `source`; in SQL the result columns carry the contract's names",
        ));
    }
    match sql::inspect(query) {
        Err(message) => problems.push(Problem::new(key, message)),
        Ok(facts) => {
            for table in facts.tables.iter().filter(|t| !raw.sources.contains_key(*t)) {
                problems.push(unknown_source(raw, &key, table));
            }
            for function in &facts.silent {
                problems.push(
                    Problem::new(&key, format!("`{function}` turns what it cannot read into null without a word"))
                        .hint("declare the column's type under [sources.NAME.columns]; bad rows are then quarantined"),
                );
            }
        }
    }
}

fn unknown_source(raw: &RawPipeline, key: &str, name: &str) -> Problem {
    let mut problem = Problem::new(key, format!("there is no source `{name}`"));
    problem.hint = did_you_mean(name, raw.sources.keys().map(String::as_str));
    problem
}

fn check_segments(raw: &RawPipeline, problems: &mut Vec<Problem>) {
    let names = segment::names();
    for given in &raw.kpi.segments {
        for part in segment::parts(given).filter(|p| !names.contains(p)) {
            let mut problem = Problem::new(
                "kpi.segments",
                format!(
                    "`{part}` is neither a column of `orders` that splits it into groups nor one of {}",
                    segment::MADE.join(", ")
                ),
            );
            problem.hint = did_you_mean(part, names.iter().copied());
            problems.push(problem);
        }
    }
}

fn check_decision(raw: &RawPipeline, features: &[FeatureSpec], problems: &mut Vec<Problem>) {
    let mut seen = BTreeSet::new();
    for (index, rule) in raw.decision.rules.iter().enumerate() {
        let key = format!("decision.rules[{index}]");
        if !seen.insert(&rule.name) {
            problems.push(Problem::new(format!("{key}.name"), format!("two rules are called `{}`", rule.name)));
        }
        let (columns, mistakes) = condition::inspect(&rule.when);
        let key = format!("{key}.when");
        for mistake in mistakes {
            let mut problem = Problem::new(&key, format!("rule `{}`: {}", rule.name, mistake.message));
            problem.hint = mistake.hint;
            problems.push(problem);
        }
        for column in columns {
            if let Some((message, hint)) = unknown_to_rules(&column, raw, features) {
                let message = pointing_at(&rule.when, column.place, &format!("rule `{}`: {message}", rule.name));
                problems.push(Problem { key: key.clone(), message, hint: Some(hint) });
            }
        }
    }
    if let Some(fraud) = &raw.risk.fraud
        && fraud.label.column != "fraud"
    {
        problems.push(
            Problem::new(
                "risk.fraud.label.column",
                format!("`{}` is not a yes-or-no column of `orders`", fraud.label.column),
            )
            .hint("map your label column to `fraud`"),
        );
    }
}

/// What is wrong with a column that a rule names, and what to do; `None` if an order can have it.
fn unknown_to_rules(column: &ConditionColumn, raw: &RawPipeline, features: &[FeatureSpec]) -> Option<(String, String)> {
    let (orders, name) = (raw.tables.get("orders")?, column.name.as_str());
    let contract = input::table("orders")?;
    // What SQL gives is known only when it has run; whatever it can give counts as given.
    let is_mapped = |name: &str| orders.sql.is_some() || orders.columns.contains_key(name);
    let derived = [("email_domain", "email"), ("ip_network", "ip")];
    let source = derived.iter().find(|(derived, _)| *derived == name).map_or(name, |(_, from)| from);
    let of_orders = contract.kind_of(source).is_some();
    if of_orders && is_mapped(source) {
        return None;
    }
    if ORDER_FACTS.contains(&name) || features.iter().any(|spec| spec.name == name && !spec.is_of_line()) {
        return None;
    }
    if of_orders {
        let message = format!("`orders.{source}` is not mapped, so that no order has a `{name}`");
        return Some((message, "map it under [tables.orders.columns], or leave the rule out".to_owned()));
    }
    if name.starts_with("line_") || features.iter().any(|spec| spec.name == name) {
        let message = format!("`{name}` is of order lines, a rule looks at whole orders");
        return Some((message, "take a feature of the basket or of the customer".to_owned()));
    }
    if column.is_quoted {
        let message = format!("double quotes are for names, and there is no column `{name}`");
        return Some((message, format!("a text stands in single quotes: '{name}'")));
    }
    let mapped = contract.columns.iter().map(|c| c.name).filter(|name| is_mapped(name));
    let own = orders.columns.keys().map(String::as_str).filter(|name| name.starts_with("x_"));
    let known = mapped.chain(own).chain(ORDER_FACTS.iter().copied());
    let known = known.chain(features.iter().filter(|spec| !spec.is_of_line()).map(|spec| spec.name.as_str()));
    let hint = did_you_mean(name, known).unwrap_or_else(|| {
        "columns of `orders` and features can be named; `check --features` on the pipeline without this rule lists them"
            .to_owned()
    });
    Some((format!("neither orders nor features have a column `{name}`"), hint))
}

fn check_satisfaction(raw: &RawPipeline, problems: &mut Vec<Problem>) {
    let weights = raw.satisfaction.weights.in_order();
    if weights.iter().any(|w| !w.is_finite() || *w < 0.0) || weights.iter().sum::<f64>() <= 0.0 {
        problems.push(Problem::new("satisfaction.weights", "must be numbers from 0 up, and one of them above 0"));
    }
    let [a, b, c] = raw.customers.tiers;
    if !(0.0 < a && a < b && b < c && c < 1.0) {
        problems.push(
            Problem::new("customers.tiers", format!("must rise between 0 and 1, both exclusive, found {a}, {b}, {c}"))
                .hint("[0.1, 0.3, 0.6] makes the best tenth tier A, the next fifth B, the next three tenths C"),
        );
    }
}

fn check_privacy(raw: &RawPipeline, problems: &mut Vec<Problem>) {
    for name in &raw.privacy.show {
        let known = raw.sources.values().any(|s| s.columns.contains_key(name))
            || raw.tables.values().any(|t| t.columns.values().any(|from| from == name));
        if !known {
            problems.push(Problem::new("privacy.show", format!("no source column is called `{name}`")));
        }
    }
}
