//! Window features as the pipeline declares them, spelt out one by one and checked.

use super::did_you_mean;
use super::raw::{Catalogue, Declared, FeatureSettings};
use crate::contract::feature::{AggregateKind, ENTITIES, Entity, EventKind, EventValue, entity};
use crate::error::Problem;
use crate::types::time::{parse_span, span_label};
use std::collections::BTreeMap;

/// One window feature: `{what}_{aggregate}_{window}`.
#[derive(Debug, Clone, PartialEq)]
pub struct FeatureSpec {
    /// Its name.
    pub name: String,
    /// Whose past it is; of a pair, the first.
    pub entity: &'static Entity,
    /// The second of a pair.
    pub with: Option<&'static Entity>,
    /// What happened to it.
    pub events: EventKind,
    /// What is made of the events.
    pub aggregate: AggregateKind,
    /// What is added up.
    pub value: Option<&'static EventValue>,
    /// The other entity that is counted.
    pub other: Option<&'static Entity>,
    /// How far back, microseconds; `None` over the whole life.
    pub span: Option<i64>,
    /// How long before the order the window ends, microseconds.
    pub delay: i64,
    /// The rate to be assumed without any event; `None`: the whole shop's.
    pub prior: Option<f64>,
    /// How many events the prior is worth.
    pub weight: f64,
}

impl FeatureSpec {
    /// The window as it stands in the name.
    pub fn window(&self) -> String {
        self.span.map_or_else(|| "lifetime".to_owned(), span_label)
    }

    /// Whether it is of a line of an order and not of the order.
    pub fn is_of_line(&self) -> bool {
        self.entity.of_line || self.with.is_some_and(|with| with.of_line)
    }
}

/// The built-in catalogue, in the grammar of a pipeline file.
const DEFAULT: &str = include_str!("default_features.toml");

/// What a prior is worth where nothing is said.
const WEIGHT: f64 = 20.0;

/// The features of a pipeline: the built-in ones that it keeps, then its own.
pub(super) fn expand(settings: &FeatureSettings, problems: &mut Vec<Problem>) -> Vec<FeatureSpec> {
    let mut specs = match settings.catalogue {
        Catalogue::Default => built_in(problems),
        Catalogue::None => Vec::new(),
    };
    for pattern in &settings.without {
        let before = specs.len();
        match glob::Pattern::new(pattern) {
            Ok(glob) => specs.retain(|spec| !glob.matches(&spec.name)),
            Err(error) => problems.push(Problem::new("features.without", format!("`{pattern}`: {error}"))),
        }
        if specs.len() == before {
            let mut problem = Problem::new("features.without", format!("no feature is called `{pattern}`"));
            problem.hint = did_you_mean(pattern, specs.iter().map(|spec| spec.name.as_str()));
            problems.push(problem);
        }
    }
    let mut own: BTreeMap<String, usize> = BTreeMap::new();
    for (index, declared) in settings.declare.iter().enumerate() {
        let key = format!("features.declare[{index}]");
        for spec in spell_out(declared, &key, problems) {
            match own.insert(spec.name.clone(), index) {
                None => {
                    specs.retain(|built_in| built_in.name != spec.name);
                    specs.push(spec);
                }
                Some(first) => problems.push(
                    Problem::new(&key, format!("`{}` was already declared by features.declare[{first}]", spec.name))
                        .hint("`what` gives one of them another name"),
                ),
            }
        }
    }
    specs
}

/// The built-in catalogue.
pub fn built_in_features() -> Vec<FeatureSpec> {
    built_in(&mut Vec::new())
}

fn built_in(problems: &mut Vec<Problem>) -> Vec<FeatureSpec> {
    #[derive(serde::Deserialize)]
    struct File {
        declare: Vec<Declared>,
    }
    match toml::from_str::<File>(DEFAULT) {
        Ok(file) => file.declare.iter().flat_map(|declared| spell_out(declared, "(catalogue)", problems)).collect(),
        Err(error) => {
            problems.push(Problem::new("(catalogue)", format!("this is a defect of ordersight: {error}")));
            Vec::new()
        }
    }
}

fn spell_out(declared: &Declared, key: &str, problems: &mut Vec<Problem>) -> Vec<FeatureSpec> {
    let before = problems.len();
    let mut wrong = |setting: &str, message: String, hint: Option<String>| {
        let mut problem = Problem::new(format!("{key}.{setting}"), message);
        problem.hint = hint;
        problems.push(problem);
    };
    let names = || ENTITIES.iter().map(|entity| entity.name);
    let find = |name: &str, setting: &str, wrong: &mut dyn FnMut(&str, String, Option<String>)| {
        let found = entity(name.trim());
        if found.is_none() {
            let hint = did_you_mean(name, names())
                .unwrap_or_else(|| format!("entities are {}", names().collect::<Vec<_>>().join(", ")));
            wrong(setting, format!("there is no entity `{name}`"), Some(hint));
        }
        found
    };
    let (first, second) = match declared.entity.split_once('+') {
        Some((first, second)) => (first, Some(second)),
        None => (declared.entity.as_str(), None),
    };
    let first = find(first, "entity", &mut wrong);
    let second = second.map(|second| find(second, "entity", &mut wrong));
    let other = declared.other.as_ref().map(|other| find(other, "other", &mut wrong));
    let (Some(first), false, false) = (first, second == Some(None), other == Some(None)) else { return Vec::new() };
    let (second, other) = (second.flatten(), other.flatten());
    let of_line = first.of_line || second.is_some_and(|second| second.of_line);
    let events = declared.events.unwrap_or(if of_line { EventKind::Line } else { EventKind::Order });
    if second == Some(first) {
        wrong("entity", format!("`{}` is paired with itself", first.name), None);
    }
    if of_line && !events.has_lines() {
        wrong(
            "events",
            format!("`{}` of a line has no `{}`", declared.entity, events.name()),
            Some("entities of order lines have `line`, `fraud`, `return` and `delivery`".to_owned()),
        );
    }
    let value = declared.value.as_ref().and_then(|name| {
        let values = events.values();
        let found = values.iter().find(|value| value.name == name);
        if found.is_none() {
            let allowed: Vec<&str> = values.iter().map(|value| value.name).collect();
            let hint = match allowed.as_slice() {
                [] => "count them instead".to_owned(),
                names => format!("there are {}", names.join(", ")),
            };
            wrong("value", format!("`{}` events have no value `{name}`", events.name()), Some(hint));
        }
        found
    });
    if other == Some(first) {
        wrong("other", format!("`{}` is counted by itself", first.name), None);
    }
    if other.is_some_and(|other| other.of_line) && events != EventKind::Line {
        wrong(
            "other",
            format!("`{}` events say nothing of lines", events.name()),
            Some("events = \"line\"".to_owned()),
        );
    }
    for aggregate in &declared.aggregates {
        if let Some((message, hint)) = misfit(*aggregate, declared, events, first, second.is_some()) {
            wrong("aggregates", format!("`{}` {message}", aggregate.name()), Some(hint.to_owned()));
        }
    }
    for (given, setting) in [(declared.prior.is_some(), "prior"), (declared.weight.is_some(), "weight")] {
        if given && !declared.aggregates.contains(&AggregateKind::Rate) {
            wrong(setting, "is for the aggregate `rate`".to_owned(), None);
        }
    }
    let mut spans = Vec::new();
    for window in &declared.windows {
        match (window.as_str(), parse_span(window)) {
            ("lifetime", _) => spans.push(None),
            (_, Some(span)) if span > 0 => spans.push(Some(span)),
            _ => {
                wrong("windows", format!("must be spans such as `24h` or `30d`, or `lifetime`, found `{window}`"), None)
            }
        }
    }
    if problems.len() > before {
        return Vec::new();
    }
    let whose = match second {
        Some(second) => format!("{}_{}", first.name, second.name),
        None => first.name.to_owned(),
    };
    let mut specs = Vec::new();
    for &span in &spans {
        for &aggregate in &declared.aggregates {
            // What a value is of is said where it is not the order itself.
            let of = match (aggregate, value, other) {
                (AggregateKind::FirstUse, ..) => None,
                (AggregateKind::Distinct, _, Some(other)) => Some(other.name.to_owned()),
                (a, Some(value), _) if a.is_of_value() && events.is_placement() => Some(value.name.to_owned()),
                (a, Some(value), _) if a.is_of_value() => Some(format!("{}_{}", events.name(), value.name)),
                _ => Some(events.name().to_owned()),
            };
            let what = declared.what.clone().unwrap_or_else(|| match of {
                Some(of) => format!("{whose}_{of}"),
                None => whose.clone(),
            });
            let window = span.map_or_else(|| "lifetime".to_owned(), span_label);
            specs.push(FeatureSpec {
                name: format!("{what}_{}_{window}", aggregate.name()),
                entity: first,
                with: second,
                events,
                aggregate,
                value: value.filter(|_| aggregate.is_of_value()),
                other: other.filter(|_| aggregate == AggregateKind::Distinct),
                span,
                delay: declared.delay.as_deref().and_then(parse_span).unwrap_or_default(),
                prior: declared.prior,
                weight: declared.weight.unwrap_or(WEIGHT),
            });
        }
    }
    specs
}

/// Why an aggregate cannot be made of what is declared, and what to do.
fn misfit(
    aggregate: AggregateKind,
    declared: &Declared,
    events: EventKind,
    entity: &Entity,
    is_pair: bool,
) -> Option<(&'static str, &'static str)> {
    use AggregateKind::{Count, Distinct, FirstUse, Rate, Ratio, Share, SinceLast};
    if aggregate.is_of_value() && declared.value.is_none() {
        return Some(("needs a `value`", "value = \"amount\""));
    }
    if events.is_outcome() && !matches!(aggregate, Count | SinceLast | Rate) {
        return Some(("is not of outcomes", "frauds, returns and deliveries have `count`, `since_last` and `rate`"));
    }
    match aggregate {
        Distinct if declared.other.is_none() => Some(("needs an `other` to count", "other = \"customer\"")),
        Ratio if !events.is_placement() => Some(("compares the order's own value", "events = \"order\" or \"line\"")),
        Rate if !events.is_outcome() => Some(("is of outcomes", "events = \"fraud\", \"return\" or \"delivery\"")),
        Share if entity.column.is_empty() => Some(("of the whole shop is always 1", "name another entity")),
        FirstUse if !is_pair => Some(("needs a pair", "entity = \"customer+device\"")),
        FirstUse if !events.is_placement() => Some(("is of placements", "events = \"order\" or \"line\"")),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(text: &str) -> FeatureSettings {
        toml::from_str(text).unwrap()
    }

    fn names(text: &str) -> Vec<String> {
        let mut problems = Vec::new();
        let specs = expand(&settings(text), &mut problems);
        assert_eq!(problems, []);
        specs.into_iter().map(|spec| spec.name).collect()
    }

    fn problems(declared: &str) -> Vec<String> {
        let mut problems = Vec::new();
        expand(&settings(&format!("catalogue = \"none\"\n[[declare]]\n{declared}")), &mut problems);
        problems.into_iter().map(|p| format!("{}: {} ({})", p.key, p.message, p.hint.unwrap_or_default())).collect()
    }

    #[test]
    fn the_built_in_catalogue_is_sound_and_names_each_feature_once() {
        let mut all = names("");
        assert!(all.len() > 80, "{}", all.len());
        for name in
            ["customer_order_count_24h", "device_customer_distinct_lifetime", "customer_device_first_use_lifetime"]
        {
            assert!(all.iter().any(|n| n == name), "{name}");
        }
        let count = all.len();
        all.sort();
        all.dedup();
        assert_eq!(all.len(), count);
    }

    #[test]
    fn each_aggregate_and_window_of_a_declaration_is_a_feature() {
        let text = r#"
            catalogue = "none"
            [[declare]]
            entity = "seller"
            value = "amount"
            aggregates = ["mean", "ratio"]
            windows = ["24h", "1d", "30d", "lifetime"]
            delay = "7d"
        "#;
        let mut problems = Vec::new();
        let specs = expand(&settings(text), &mut problems);
        assert_eq!(problems.len(), 2, "24h and 1d are the same window: {problems:?}");
        let names: Vec<&str> = specs.iter().map(|spec| spec.name.as_str()).collect();
        let expected = ["24h", "30d", "lifetime"].map(|w| ["mean", "ratio"].map(|a| format!("seller_amount_{a}_{w}")));
        assert_eq!(names, expected.as_flattened());
        assert!(specs.iter().all(|spec| spec.delay == 7 * crate::types::time::DAY));
    }

    #[test]
    fn a_declaration_replaces_the_built_in_feature_of_its_name_and_without_leaves_out() {
        let text = r#"
            without = ["network_*", "phone_order_count_24h"]
            [[declare]]
            entity = "customer"
            aggregates = ["count"]
            windows = ["24h"]
            delay = "24h"
        "#;
        let (all, mut problems) = (names(""), Vec::new());
        let specs = expand(&settings(text), &mut problems);
        assert_eq!(problems, []);
        let network = all.iter().filter(|name| name.starts_with("network_")).count();
        assert_eq!(specs.len(), all.len() - network - 1);
        let own: Vec<_> = specs.iter().filter(|spec| spec.name == "customer_order_count_24h").collect();
        assert!(matches!(own.as_slice(), [spec] if spec.delay > 0));
    }

    #[test]
    fn what_cannot_be_is_said_with_what_can() {
        for (declared, expected) in [
            (
                "entity = \"custmer\"\naggregates = [\"count\"]",
                "entity: there is no entity `custmer` (did you mean `customer`?)",
            ),
            ("entity = \"device\"\naggregates = [\"sum\"]", "aggregates: `sum` needs a `value` (value = \"amount\")"),
            (
                "entity = \"device\"\nvalue = \"weight\"\naggregates = [\"sum\"]",
                "value: `order` events have no value `weight` (there are amount, shipping_fee, tax_duty, discount, item_count, units)",
            ),
            (
                "entity = \"device\"\naggregates = [\"distinct\"]",
                "aggregates: `distinct` needs an `other` to count (other = \"customer\")",
            ),
            (
                "entity = \"device\"\naggregates = [\"rate\"]",
                "aggregates: `rate` is of outcomes (events = \"fraud\", \"return\" or \"delivery\")",
            ),
            (
                "entity = \"device\"\naggregates = [\"first_use\"]",
                "aggregates: `first_use` needs a pair (entity = \"customer+device\")",
            ),
            (
                "entity = \"sku\"\nevents = \"dispute\"\naggregates = [\"count\"]",
                "events: `sku` of a line has no `dispute` (entities of order lines have `line`, `fraud`, `return` and `delivery`)",
            ),
            (
                "entity = \"sku\"\naggregates = [\"count\"]\nwindows = [\"3w\"]",
                "windows: must be spans such as `24h` or `30d`, or `lifetime`, found `3w` ()",
            ),
            ("entity = \"sku\"\naggregates = [\"count\"]\nprior = 0.1", "prior: is for the aggregate `rate` ()"),
        ] {
            assert_eq!(problems(declared), [format!("features.declare[0].{expected}")]);
        }
        let mut problems = Vec::new();
        expand(&settings("without = [\"custmer_order_count_24h\"]"), &mut problems);
        assert_eq!(problems[0].hint.as_deref(), Some("did you mean `customer_order_count_24h`?"));
    }
}
