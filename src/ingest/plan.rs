//! For each source column: its type, taken from its declaration or from the contract column it is mapped to.

use super::personal;
use super::value::TimeFormat;
use crate::config::{ColumnType, Pipeline, Source};
use crate::contract::input::{self, Kind, Personal};
use crate::error::{Error, Problem, Result};
use crate::types::money::Excess;
use std::collections::{BTreeMap, BTreeSet};

/// How one source is read.
#[derive(Debug, Clone)]
pub(super) struct SourcePlan {
    /// Its name in the pipeline.
    pub name: String,
    /// Its settings.
    pub source: Source,
    /// Texts that mean "no value" in every column.
    pub nulls: Vec<String>,
    /// Decimal mark.
    pub decimal: char,
    /// Typed columns; every other column is text.
    pub columns: BTreeMap<String, ColumnPlan>,
    /// Columns without which a file of this source is refused.
    pub needed: BTreeSet<String>,
    /// The column that holds the order's id, so that quarantine can name the order.
    pub order_id: Option<String>,
    /// Personal columns that may be shown in clear.
    pub show: BTreeSet<String>,
}

/// How one column is read.
#[derive(Debug, Clone)]
pub(super) struct ColumnPlan {
    /// What it becomes.
    pub becomes: Becomes,
    /// Further texts that mean "no value".
    pub nulls: Vec<String>,
}

/// What a column becomes.
#[derive(Debug, Clone)]
pub(super) enum Becomes {
    /// Text as it is.
    Text,
    /// 64-bit integer.
    Integer,
    /// 64-bit float.
    Number,
    /// Minor units of a currency.
    Money {
        /// Which currency.
        currency: CurrencyOf,
        /// What becomes of digits too many.
        excess: Excess,
    },
    /// Exchange rate in units of 1e-12.
    Rate,
    /// UTC microseconds.
    Instant(TimeFormat),
    /// Boolean.
    Flag,
    /// Keyed hash, and the part features may use.
    Personal(Personal),
}

/// The currency of a money column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum CurrencyOf {
    /// One for all rows.
    Fixed(String),
    /// Another column of the same source.
    Column(String),
}

impl SourcePlan {
    /// A text that changes when, and only when, the typed form of a file would change.
    pub(super) fn fingerprint(&self, zone: &str, key: &str) -> String {
        let personal = self.columns.values().any(|c| matches!(c.becomes, Becomes::Personal(_)));
        format!(
            "v1 {zone} {:?} {:?} {:?} {:?} {:?} {:?} {}",
            self.source,
            self.nulls,
            self.decimal,
            self.columns,
            self.needed,
            self.show,
            if personal { key } else { "" }
        )
    }

    /// Whether the column holds personal data.
    pub(super) fn is_personal(&self, column: &str) -> bool {
        self.columns.get(column).is_some_and(|c| matches!(c.becomes, Becomes::Personal(_)))
    }

    /// Whether a typed column holds hashes: of personal values, or of the networks of addresses.
    pub(super) fn is_hash(&self, column: &str) -> bool {
        let network = personal::part_suffix(Personal::Ip);
        let of = column.rsplit_once("__").filter(|(_, part)| Some(*part) == network).map_or(column, |(of, _)| of);
        self.is_personal(of)
    }

    /// Whether any column holds personal data.
    pub(super) fn has_personal(&self) -> bool {
        self.columns.values().any(|c| matches!(c.becomes, Becomes::Personal(_)))
    }
}

/// Plans every source that a table uses.
///
/// # Errors
/// [`Error::Config`] with every column whose type cannot be decided.
pub(super) fn plan(pipeline: &Pipeline) -> Result<Vec<SourcePlan>> {
    let mut problems = Vec::new();
    let used = used_sources(pipeline);
    let mut plans = Vec::new();
    for (name, source) in pipeline.raw.sources.iter().filter(|(name, _)| used.contains(name.as_str())) {
        let mut plan = SourcePlan {
            name: name.clone(),
            nulls: source.null.clone().unwrap_or_else(|| vec![String::new()]),
            decimal: source.decimal.as_ref().and_then(|d| d.chars().next()).unwrap_or('.'),
            columns: BTreeMap::new(),
            needed: source.columns.keys().cloned().collect(),
            order_id: None,
            show: pipeline.raw.privacy.show.iter().cloned().collect(),
            source: source.clone(),
        };
        for (column, spec) in &source.columns {
            let becomes = match spec.column_type {
                ColumnType::Text => Becomes::Text,
                ColumnType::Integer => Becomes::Integer,
                ColumnType::Number => Becomes::Number,
                ColumnType::Rate => Becomes::Rate,
                ColumnType::Flag => Becomes::Flag,
                ColumnType::Datetime => {
                    let zone = spec.zone.as_ref().and_then(|z| z.parse().ok()).unwrap_or(pipeline.zone);
                    Becomes::Instant(TimeFormat::new(&spec.formats, zone))
                }
                ColumnType::Money => Becomes::Money {
                    currency: match (&spec.currency, &spec.currency_column) {
                        (Some(code), _) => CurrencyOf::Fixed(code.clone()),
                        (None, Some(from)) => CurrencyOf::Column(from.clone()),
                        (None, None) => mapped_currency(pipeline, name, column)
                            .map_or_else(|| CurrencyOf::Fixed(pipeline.raw.money.base.clone()), CurrencyOf::Column),
                    },
                    excess: if spec.round { Excess::HalfEven } else { Excess::Refuse },
                },
                ColumnType::Email | ColumnType::Phone | ColumnType::Ip | ColumnType::Address | ColumnType::Payment => {
                    spec.column_type.personal().map_or(Becomes::Text, Becomes::Personal)
                }
            };
            if let Becomes::Money { currency: CurrencyOf::Column(from), .. } = &becomes {
                plan.needed.insert(from.clone());
            }
            plan.columns.insert(column.clone(), ColumnPlan { becomes, nulls: spec.null.clone() });
        }
        take_types_from_maps(pipeline, &mut plan, &mut problems);
        if plan.order_id.is_none() {
            plan.order_id = Some("order_id".to_owned());
        }
        plans.push(plan);
    }
    if problems.is_empty() { Ok(plans) } else { Err(Error::Config { file: pipeline.file.clone(), problems }) }
}

fn used_sources(pipeline: &Pipeline) -> BTreeSet<String> {
    pipeline.raw.tables.values().flat_map(crate::config::TableMap::sources).collect()
}

/// The source column mapped to `currency` in the same table as `column`.
fn mapped_currency(pipeline: &Pipeline, source: &str, column: &str) -> Option<String> {
    pipeline.raw.tables.values().filter(|m| m.source.as_deref() == Some(source)).find_map(|m| {
        m.columns.values().any(|from| from == column).then(|| m.columns.get("currency").cloned()).flatten()
    })
}

fn take_types_from_maps(pipeline: &Pipeline, plan: &mut SourcePlan, problems: &mut Vec<Problem>) {
    let orders_have_currencies = pipeline.raw.tables.get("orders").is_some_and(|m| m.columns.contains_key("currency"));
    for (name, map) in pipeline.raw.tables.iter().filter(|(_, m)| m.source.as_deref() == Some(&plan.name)) {
        let Some(table) = input::table(name) else { continue };
        for (contract, from) in &map.columns {
            plan.needed.insert(from.clone());
            if contract == "order_id" {
                plan.order_id = Some(from.clone());
            }
            let Some(kind) = table.kind_of(contract) else { continue };
            let key = format!("tables.{name}.columns.{contract}");
            if kind == Kind::Money
                && orders_have_currencies
                && !map.columns.contains_key("currency")
                && !plan.columns.contains_key(from)
            {
                problems.push(
                    Problem::new(&key, "orders have several currencies, and nothing says the currency of this amount")
                        .hint(format!(
                            "map `currency`, or declare `currency` for `{from}` under [sources.{}.columns]",
                            plan.name
                        )),
                );
                continue;
            }
            let becomes = match kind {
                Kind::Id | Kind::Text | Kind::Word(_) | Kind::Country | Kind::Currency => Becomes::Text,
                Kind::Count => Becomes::Integer,
                Kind::Number => Becomes::Number,
                Kind::Rate => Becomes::Rate,
                Kind::Flag => Becomes::Flag,
                Kind::Instant => Becomes::Instant(TimeFormat::new(&[], pipeline.zone)),
                Kind::Money => Becomes::Money {
                    currency: map.columns.get("currency").map_or_else(
                        || CurrencyOf::Fixed(pipeline.raw.money.base.clone()),
                        |c| CurrencyOf::Column(c.clone()),
                    ),
                    excess: Excess::Refuse,
                },
                Kind::Personal(personal) => Becomes::Personal(personal),
            };
            match plan.columns.get(from) {
                None => {
                    plan.columns.insert(from.clone(), ColumnPlan { becomes, nulls: Vec::new() });
                }
                Some(_) if plan.source.columns.contains_key(from) => {}
                Some(taken) if std::mem::discriminant(&taken.becomes) != std::mem::discriminant(&becomes) => {
                    problems.push(
                        Problem::new(key, format!("`{from}` is also mapped to a column of another type"))
                            .hint(format!("declare the type of `{from}` under [sources.{}.columns]", plan.name)),
                    );
                }
                Some(_) => {}
            }
        }
    }
}
