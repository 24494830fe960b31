//! Scores, reasons, decisions: the tables the review desk works from.

use super::rules::{self, Hits};
use crate::config::{Pipeline, Rule};
use crate::decision::{Action, Case, Costs, Verdict, decide, strongest};
use crate::error::{Error, Result};
use crate::features::labels::{Outcome, Outcomes};
use crate::features::{FeatureUnit, Features, note, note_of};
use crate::ingest::Ingested;
use crate::registry::{Registered, Registry};
use crate::risk::Target;
use crate::risk::reasons::{FeatureText, Reason, Unit, reasons};
use crate::types::time::{local_day, parse_span};
use polars::chunked_array::builder::AnonymousOwnedListBuilder;
use polars::prelude::*;
use rayon::prelude::*;

/// Reasons given for a flagged order.
const REASONS: usize = 5;

/// A target's scores, or why there are none.
pub(super) enum Scored {
    /// Not asked for, or impossible; the words go into the output beside the null probability.
    Absent(String),
    /// One probability an order.
    Present {
        /// The model that gave them.
        model: Box<Registered>,
        /// Probabilities in the order of `orders`.
        probabilities: Vec<f64>,
    },
}

impl Scored {
    fn probability(&self, at: usize) -> Option<f64> {
        match self {
            Self::Absent(_) => None,
            Self::Present { probabilities, .. } => probabilities.get(at).copied(),
        }
    }

    /// The model's version, if there is one.
    pub(super) fn version(&self) -> Option<&str> {
        match self {
            Self::Absent(_) => None,
            Self::Present { model, .. } => Some(&model.version),
        }
    }

    /// Why there is no probability.
    pub(super) fn absence(&self) -> Option<&str> {
        match self {
            Self::Absent(why) => Some(why),
            Self::Present { .. } => None,
        }
    }

    fn reasons(
        &self,
        features: &Features,
        at: usize,
        words: &(dyn Fn(&str) -> Option<FeatureText> + Sync),
    ) -> Vec<Reason> {
        match self {
            Self::Absent(_) => Vec::new(),
            Self::Present { model, .. } => {
                reasons(&model.model.contributions(&features.matrix.row(at)), REASONS, words)
            }
        }
    }
}

/// What an input says about a target: the words why it has no labels, or `None` if it has some.
pub(super) fn no_labels(target: Target, ingested: &Ingested) -> Option<String> {
    let has = |t: &str, c: &str| ingested.tables.get(t).is_some_and(|f| f.get_column_index(c).is_some());
    match target {
        Target::Fraud if has("orders", "fraud") || has("tickets", "kind") || has("review_decisions", "decision") => {
            None
        }
        Target::Fraud => Some(
            "no fraud labels: none of `orders.fraud`, `tickets.kind` and `review_decisions` is supplied".to_owned(),
        ),
        Target::Return if has("returns", "requested_at") && has("orders", "delivered_at") => None,
        Target::Return => {
            Some("no return labels: `returns` and `orders.delivered_at` are not both supplied".to_owned())
        }
    }
}

/// A model in service, or the words why none is needed.
pub(super) type Champion = Result<Box<Registered>, String>;

/// The model in service for a target, or why none is needed.
///
/// # Errors
/// [`Error::Model`] when the data has labels and no model was trained, or the model cannot be read.
pub(super) fn champion(
    pipeline: &Pipeline,
    target: Target,
    ingested: &Ingested,
    registry: &Registry,
) -> Result<Champion> {
    let asked = match target {
        Target::Fraud => pipeline.raw.risk.fraud.is_some(),
        Target::Return => pipeline.raw.risk.returns.is_some(),
    };
    if !asked {
        return Ok(Err(format!("not asked for: the pipeline has no [risk.{target}]")));
    }
    if let Some(why) = no_labels(target, ingested) {
        return Ok(Err(why));
    }
    let Some(model) = registry.champion(target)? else {
        return Err(Error::Model {
            message: format!("there is no {target} model in `{}`", registry.dir().display()),
            hint: Some(format!(
                "run `ordersight train {} --target {target}`, or leave out [risk.{target}] to go on without",
                pipeline.file
            )),
        });
    };
    Ok(Ok(Box::new(model)))
}

/// Scores every order with the model in service.
///
/// # Errors
/// [`Error::Model`] when the model does not fit the features.
pub(super) fn score(champion: Champion, features: &Features) -> Result<Scored> {
    Ok(match champion {
        Err(why) => Scored::Absent(why),
        Ok(model) => Scored::Present { probabilities: model.model.probabilities(&features.matrix)?, model },
    })
}

/// Everything that scoring gives.
pub(super) struct Scores {
    /// The `order_scores` table.
    pub(super) order_scores: DataFrame,
    /// The `order_features` table.
    pub(super) order_features: DataFrame,
    /// The `review_queue` table.
    pub(super) review_queue: DataFrame,
    /// Orders flagged as likely fraud, and as likely return.
    pub(super) flagged: [u64; 2],
    /// Orders by action: approve, review, hold.
    pub(super) actions: [u64; 3],
}

/// Calendar day of each order in the pipeline's zone, as days since 1970-01-01.
pub(super) fn placed_days(pipeline: &Pipeline, features: &Features) -> Vec<i32> {
    features.placed_at.iter().map(|&at| local_day(at, pipeline.zone).unwrap_or_default()).collect()
}

/// Puts scores, rules and costs together.
///
/// # Errors
/// [`Error::Config`] for a rule that cannot be matched.
pub(super) fn decide_orders(
    pipeline: &Pipeline,
    ingested: &Ingested,
    features: &Features,
    fraud: &Scored,
    returned: &Scored,
    as_of: i64,
) -> Result<Scores> {
    let orders = ingested.tables.get("orders").cloned().unwrap_or_default();
    let rules = &pipeline.raw.decision.rules;
    let hits = rules::matched(pipeline, &orders, &features.matrix)?;
    let days = placed_days(pipeline, features);
    let amounts: Vec<i64> = ints(&orders, "amount")?.into_iter().map(Option::unwrap_or_default).collect();
    let cases: Vec<Case> = (0..orders.height())
        .map(|at| Case {
            day: days[at],
            amount: amounts[at],
            fraud: fraud.probability(at),
            returned: returned.probability(at),
            rule: strongest(hits.effects(at, rules)),
        })
        .collect();
    let verdicts = decide(&cases, &costs(pipeline));
    let flag_at = pipeline.raw.risk.returns.as_ref().map_or(1.0, |r| r.flag_at);
    let return_flags: Vec<Option<bool>> =
        (0..cases.len()).map(|at| returned.probability(at).map(|p| p >= flag_at)).collect();
    let words = |name: &str| Some(words(pipeline, name));
    // Reasons cost a look at every feature: only flagged and stopped orders need them.
    let fraud_reasons: Vec<Vec<Reason>> = (0..cases.len())
        .into_par_iter()
        .map(|at| if verdicts[at].action == Action::Approve { Vec::new() } else { fraud.reasons(features, at, &words) })
        .collect();
    let return_reasons: Vec<Vec<Reason>> = (0..cases.len())
        .into_par_iter()
        .map(|at| if return_flags[at] == Some(true) { returned.reasons(features, at, &words) } else { Vec::new() })
        .collect();
    let stage = || Error::frames("order_scores");
    let constant = |name: &str, value: Option<&str>| match value {
        Some(text) => Column::new_scalar(name.into(), Scalar::from(PlSmallStr::from_str(text)), orders.height()),
        None => Column::full_null(name.into(), orders.height(), &DataType::String),
    };
    let ids = head(&orders, &days)?;
    let mut scores = ids.clone();
    let columns = [
        orders.column("amount").map_err(stage())?.clone(),
        Column::new("scored_at".into(), vec![as_of; orders.height()]).cast(&instant()).map_err(stage())?,
        Column::new("fraud_probability".into(), (0..cases.len()).map(|at| fraud.probability(at)).collect::<Vec<_>>()),
        Column::new("fraud_flag".into(), verdicts.iter().map(|v| v.fraud_flag).collect::<Vec<_>>()),
        reason_lists("fraud_reasons", &fraud_reasons)?,
        constant("fraud_null_reason", fraud.absence()),
        Column::new(
            "return_probability".into(),
            (0..cases.len()).map(|at| returned.probability(at)).collect::<Vec<_>>(),
        ),
        Column::new("return_flag".into(), return_flags.clone()),
        reason_lists("return_reasons", &return_reasons)?,
        constant("return_null_reason", returned.absence()),
        text_lists("rule_hits", (0..cases.len()).map(|at| hits.of(at, rules).map(|r| r.name.as_str()).collect())),
        Column::new("expected_loss".into(), verdicts.iter().map(|v| v.expected_loss).collect::<Vec<_>>()),
        Column::new("action".into(), verdicts.iter().map(|v| v.action.name()).collect::<Vec<_>>()),
        Column::new("priority".into(), verdicts.iter().map(|v| v.priority).collect::<Vec<_>>()),
        constant("fraud_model", fraud.version()),
        constant("return_model", returned.version()),
    ];
    for column in columns {
        scores.with_column(column).map_err(stage())?;
    }
    let queue = Queue {
        pipeline,
        orders: &orders,
        features,
        hits: &hits,
        fraud,
        verdicts: &verdicts,
        reasons: &fraud_reasons,
        as_of,
    };
    let count = |action: Action| verdicts.iter().filter(|v| v.action == action).count() as u64;
    Ok(Scores {
        review_queue: queue.frame()?,
        order_features: logged(ids, features)?,
        order_scores: scores,
        flagged: [
            verdicts.iter().filter(|v| v.fraud_flag == Some(true)).count() as u64,
            return_flags.iter().filter(|f| **f == Some(true)).count() as u64,
        ],
        actions: [count(Action::Approve), count(Action::Review), count(Action::Hold)],
    })
}

/// How many orders have a mature label, and how many of them say yes.
pub(super) fn label_counts(outcomes: &Outcomes) -> (u64, u64) {
    let labels = outcomes.ripe_labels();
    let mature = labels.iter().flatten().count() as u64;
    (mature, labels.iter().filter(|l| **l == Some(true)).count() as u64)
}

fn costs(pipeline: &Pipeline) -> Costs {
    let minor = 10_f64.powi(pipeline.base_exponent as i32);
    let settings = &pipeline.raw.decision;
    Costs {
        review: settings.review_cost * minor,
        chargeback_fee: settings.chargeback_fee * minor,
        returned: settings.return_cost * minor,
        margin_share: settings.margin_share,
        capacity_per_day: settings.review_capacity_per_day,
    }
}

fn words(pipeline: &Pipeline, feature: &str) -> FeatureText {
    let declared = pipeline.features.iter().find(|spec| spec.name == feature);
    let note = declared.map_or_else(|| note(feature), note_of);
    let unit = match note.unit {
        FeatureUnit::Count => Unit::Count,
        FeatureUnit::Money => {
            Unit::Money { currency: pipeline.raw.money.base.clone(), decimals: pipeline.base_exponent as u8 }
        }
        FeatureUnit::Share => Unit::Share,
        FeatureUnit::Flag => Unit::Flag,
        FeatureUnit::Hours => Unit::Hours,
        FeatureUnit::Days => Unit::Days,
        FeatureUnit::Times | FeatureUnit::Number => Unit::Number,
    };
    FeatureText { unit, label: note.label }
}

fn instant() -> DataType {
    DataType::Datetime(TimeUnit::Microseconds, Some(TimeZone::UTC))
}

fn ints(frame: &DataFrame, name: &str) -> Result<Vec<Option<i64>>> {
    let column = frame.column(name).map_err(Error::frames("reading orders"))?.to_physical_repr();
    Ok(column.i64().map_err(Error::frames("reading orders"))?.iter().collect())
}

/// The columns that scores and features begin with, and the partition.
fn head(orders: &DataFrame, days: &[i32]) -> Result<DataFrame> {
    let stage = || Error::frames("order ids");
    let dates = Column::new("placed_date".into(), days).cast(&DataType::Date).map_err(stage())?;
    let line = Column::full_null("line".into(), orders.height(), &DataType::String);
    let take = |name: &str| orders.column(name).cloned().map_err(stage());
    DataFrame::new_infer_height(vec![dates, take("order_id")?, line, take("customer_id")?, take("placed_at")?])
        .map_err(stage())
}

fn logged(mut ids: DataFrame, features: &Features) -> Result<DataFrame> {
    for (name, values) in features.matrix.names.iter().zip(&features.matrix.columns) {
        let values: Float64Chunked = values.iter().map(|v| (!v.is_nan()).then_some(*v)).collect();
        ids.with_column(values.with_name(name.as_str().into()).into_column())
            .map_err(Error::frames("order_features"))?;
    }
    Ok(ids)
}

/// A column of lists of reasons; an order without any has an empty list.
fn reason_lists(name: &str, lists: &[Vec<Reason>]) -> Result<Column> {
    let stage = || Error::frames("reasons");
    let flat = || lists.iter().flatten();
    let structs = StructChunked::from_columns(
        name.into(),
        flat().count(),
        &[
            Column::new("feature".into(), flat().map(|r| r.feature.as_str()).collect::<Vec<_>>()),
            Column::new("value".into(), flat().map(|r| (!r.value.is_nan()).then_some(r.value)).collect::<Vec<_>>()),
            Column::new("contribution".into(), flat().map(|r| r.contribution).collect::<Vec<_>>()),
            Column::new("text".into(), flat().map(|r| r.text.as_str()).collect::<Vec<_>>()),
        ],
    )
    .map_err(stage())?
    .into_series();
    let mut builder = AnonymousOwnedListBuilder::new(name.into(), lists.len(), Some(structs.dtype().clone()));
    let mut from = 0;
    for list in lists {
        if list.is_empty() {
            builder.append_empty();
        } else {
            builder.append_series(&structs.slice(from, list.len())).map_err(stage())?;
            from += list.len() as i64;
        }
    }
    Ok(builder.finish().into_column())
}

fn text_lists<'a>(name: &str, lists: impl Iterator<Item = Vec<&'a str>>) -> Column {
    let mut builder = ListStringChunkedBuilder::new(name.into(), 0, 0);
    for list in lists {
        builder.append_values_iter(list.into_iter());
    }
    builder.finish().into_column()
}

/// What the review desk works through today.
struct Queue<'a> {
    pipeline: &'a Pipeline,
    orders: &'a DataFrame,
    features: &'a Features,
    hits: &'a Hits,
    fraud: &'a Scored,
    verdicts: &'a [Verdict],
    reasons: &'a [Vec<Reason>],
    as_of: i64,
}

impl Queue<'_> {
    /// Orders to look at that can still be stopped: not shipped, delivered, completed or cancelled as far as is known, placed
    /// within `decision.review_within`, and not known to be fraud or legitimate already.
    ///
    /// Holds first, then what a rule asks for, then by what a look is expected to save; at most a day's capacity.
    fn frame(&self) -> Result<DataFrame> {
        let rules: &[Rule] = &self.pipeline.raw.decision.rules;
        let within = parse_span(&self.pipeline.raw.decision.review_within).unwrap_or(i64::MAX);
        let recent = self.features.placed_at.iter().map(|&at| self.as_of.saturating_sub(at) <= within);
        let undecided = self.features.fraud.known.iter().map(|outcome| *outcome == Outcome::Unknown);
        let mut open: Vec<bool> = recent.zip(undecided).map(|(recent, undecided)| recent && undecided).collect();
        for column in ["shipped_at", "delivered_at", "completed_at", "cancelled_at", "cancelled_by"] {
            if let Ok(column) = self.orders.column(column) {
                column.is_not_null().iter().zip(&mut open).for_each(|(gone, open)| *open &= gone != Some(true));
            }
        }
        if let Ok(status) = self.orders.column("status").and_then(|s| s.str().cloned()) {
            let over = |s: &str| {
                ["cancelled", "canceled", "delivered", "shipped", "completed"].contains(&s.to_lowercase().as_str())
            };
            status.iter().zip(&mut open).for_each(|(s, open)| *open &= !s.is_some_and(over));
        }
        let ids =
            self.orders.column("order_id").and_then(|c| c.str().cloned()).map_err(Error::frames("review_queue"))?;
        let mut rows: Vec<usize> =
            (0..open.len()).filter(|&at| open[at] && self.verdicts[at].action != Action::Approve).collect();
        rows.sort_by_key(|&at| {
            let verdict = &self.verdicts[at];
            let ruled = self.hits.of(at, rules).next().is_some();
            (std::cmp::Reverse((verdict.action, ruled, verdict.priority)), ids.get(at).unwrap_or_default().to_owned())
        });
        if let Some(capacity) = self.pipeline.raw.decision.review_capacity_per_day {
            rows.truncate(capacity as usize);
        }
        self.columns(&rows)
    }

    fn columns(&self, rows: &[usize]) -> Result<DataFrame> {
        let stage = || Error::frames("review_queue");
        let rules: &[Rule] = &self.pipeline.raw.decision.rules;
        let index = IdxCa::from_vec("rows".into(), rows.iter().map(|&r| r as IdxSize).collect());
        let taken = self
            .orders
            .select(["order_id", "customer_id", "placed_at", "amount"])
            .and_then(|f| f.take(&index))
            .map_err(stage())?;
        let today = local_day(self.as_of, self.pipeline.zone);
        let dates = Column::new("queue_date".into(), vec![today; rows.len()]).cast(&DataType::Date).map_err(stage())?;
        let words = |at: usize| -> Vec<&str> {
            let ruled = self.hits.of(at, rules).map(|r| r.reason.as_str());
            ruled.chain(self.reasons[at].iter().map(|r| r.text.as_str())).collect()
        };
        let verdicts = || rows.iter().map(|&at| &self.verdicts[at]);
        let mut columns = vec![dates, Column::new("rank".into(), (1..=rows.len() as i64).collect::<Vec<_>>())];
        columns.extend(taken.columns().iter().cloned());
        columns.extend([
            Column::new("action".into(), verdicts().map(|v| v.action.name()).collect::<Vec<_>>()),
            Column::new("priority".into(), verdicts().map(|v| v.priority).collect::<Vec<_>>()),
            Column::new(
                "fraud_probability".into(),
                rows.iter().map(|&at| self.fraud.probability(at)).collect::<Vec<_>>(),
            ),
            Column::new("expected_loss".into(), verdicts().map(|v| v.expected_loss).collect::<Vec<_>>()),
            text_lists("reasons", rows.iter().map(|&at| words(at))),
            text_lists("rule_hits", rows.iter().map(|&at| self.hits.of(at, rules).map(|r| r.name.as_str()).collect())),
        ]);
        DataFrame::new_infer_height(columns).map_err(stage())
    }
}
