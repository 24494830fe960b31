//! Scores, reasons and decisions put together: the tables `order_scores`, `order_features` and `review_queue`.

use super::cold_start::{ColdStart, sequence};
use super::reasons::{reason_lists, reasons_of, text_lists};
use super::review::{Queue, decided};
use super::rules;
use super::scoring::Scored;
use crate::config::Pipeline;
use crate::decision::{Action, Case, ControlDraw, Costs, Verdict, add_unusual, decide, measure_of, strongest};
use crate::error::{Error, Result};
use crate::features::Features;
use crate::features::matrix::Matrix;
use crate::ingest::Ingested;
use crate::types::time::local_day;
use polars::prelude::*;
use polars_arrow::bitmap::Bitmap;

/// Everything that scoring gives.
pub(super) struct Scores {
    /// The `order_scores` table.
    pub(super) order_scores: DataFrame,
    /// The `review_queue` table.
    pub(super) review_queue: DataFrame,
    /// What was known of each order when it was decided on.
    pub(super) cases: Vec<Case>,
    /// What was decided on each order.
    pub(super) verdicts: Vec<Verdict>,
    /// Whether each row is flagged as a likely return.
    pub(super) return_flags: Vec<Option<bool>>,
    /// Orders flagged as likely fraud, and orders or lines flagged as likely returns.
    pub(super) flagged: [u64; 2],
    /// Orders by action: approve, review, hold.
    pub(super) actions: [u64; 3],
}

/// Calendar day of each order in the pipeline's zone, as days since 1970-01-01.
pub(super) fn placed_days(pipeline: &Pipeline, features: &Features) -> Vec<i32> {
    features.placed_at.iter().map(|&at| local_day(at, pipeline.zone).unwrap_or_default()).collect()
}

/// What the rows of the tables are: orders, or their lines where lines are what is returned.
struct Rows {
    /// The order of each row.
    order: Vec<u32>,
    /// The lines' own names and amounts.
    lines: Option<(Column, Column)>,
}

impl Rows {
    fn new(ingested: &Ingested, features: &Features, orders: usize) -> Result<Self> {
        let Some(lines) = &features.lines else {
            return Ok(Self { order: (0..orders as u32).collect(), lines: None });
        };
        let stage = || Error::frames("order lines");
        let items = ingested.tables.get("order_items").cloned().unwrap_or_default();
        let names = items.column("line").map_err(stage())?.clone();
        let price = ints(&items, "unit_price").unwrap_or_else(|_| vec![None; items.height()]);
        let quantity = ints(&items, "quantity").unwrap_or_else(|_| vec![Some(1); items.height()]);
        // What does not fit 64 bits is no amount of a line.
        let cost = price.iter().zip(quantity).map(|(price, n)| price.and_then(|p| p.checked_mul(n.unwrap_or(1))));
        let amounts = Column::new("amount".into(), cost.collect::<Vec<_>>());
        Ok(Self { order: lines.order.clone(), lines: Some((names, amounts)) })
    }

    /// A column of orders by rows.
    fn of_orders(&self, column: &Column) -> Result<Column> {
        match self.lines {
            None => Ok(column.clone()),
            Some(_) => {
                let rows = IdxCa::from_vec("rows".into(), self.order.clone());
                column.take(&rows).map_err(Error::frames("order lines"))
            }
        }
    }

    /// The columns that both tables begin with: partition, ids, time.
    fn head(&self, orders: &DataFrame, days: &[i32]) -> Result<DataFrame> {
        let stage = || Error::frames("order ids");
        let dates = Column::new("placed_date".into(), days).cast(&DataType::Date).map_err(stage())?;
        let take = |name: &str| orders.column(name).map_err(stage()).and_then(|column| self.of_orders(column));
        let line = match &self.lines {
            Some((names, _)) => names.clone(),
            None => Column::full_null("line".into(), orders.height(), &DataType::String),
        };
        let columns = vec![self.of_orders(&dates)?, take("order_id")?, line, take("customer_id")?, take("placed_at")?];
        DataFrame::new_infer_height(columns).map_err(stage())
    }
}

/// The probability that anything of an order comes back, from those of its lines taken as independent.
fn any_returned(lines: &[f64], order: &[u32], orders: usize) -> Vec<f64> {
    let mut none = vec![1.0; orders];
    for (p, &order) in lines.iter().zip(order) {
        none[order as usize] *= 1.0 - p;
    }
    none.into_iter().map(|none| 1.0 - none).collect()
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
    let rows = Rows::new(ingested, features, orders.height())?;
    let rules = &pipeline.raw.decision.rules;
    let hits = rules::matched(pipeline, &orders, features)?;
    let days = placed_days(pipeline, features);
    let amounts: Vec<i64> = ints(&orders, "amount")?.into_iter().map(Option::unwrap_or_default).collect();
    let come_back: Option<Vec<f64>> = match (returned, &rows.lines) {
        (Scored::Absent(_), _) => None,
        (Scored::Present { probabilities, .. }, None) => Some(probabilities.clone()),
        (Scored::Present { probabilities, .. }, Some(_)) => {
            Some(any_returned(probabilities, &rows.order, orders.height()))
        }
    };
    let draw = ControlDraw::new(pipeline.raw.decision.control_share, pipeline.raw.decision.control_seed);
    let ids = texts(&orders, "order_id")?;
    let places = places(&ids);
    let cases: Vec<Case> = (0..orders.height())
        .map(|at| Case {
            day: days[at],
            amount: amounts[at],
            fraud: fraud.probability(at),
            returned: come_back.as_ref().map(|p| p[at]),
            rule: strongest(hits.effects(at, rules)),
            drawn: draw.draws(&ids[at]),
            place: places[at],
        })
        .collect();
    let mut verdicts = decide(&cases, &costs(pipeline));
    let sequence = sequence(features, &places);
    let cold_start = ColdStart::new(pipeline, features, fraud, &days, &sequence, as_of);
    add_unusual(&cases, &mut verdicts, cold_start.scores(), pipeline.raw.decision.review_capacity_per_day);
    let unusual_reasons = cold_start.reasons(&|at| verdicts[at].action != Action::Approve);
    let flag_at = pipeline.raw.risk.returns.as_ref().map_or(1.0, |r| r.flag_at);
    let return_flags: Vec<Option<bool>> =
        (0..rows.order.len()).map(|row| returned.probability(row).map(|p| p >= flag_at)).collect();
    // Only of orders that are acted on, and of those that would be if they were not the control share.
    let acted = |at: usize| verdicts[at].action != Action::Approve || verdicts[at].fraud_flag == Some(true);
    let fraud_reasons = reasons_of(pipeline, fraud, &features.matrix, orders.height(), &acted);
    // Lines have their order's features too.
    let row_matrix = features.lines.as_ref().map_or(&features.matrix, |lines| &lines.matrix);
    let return_reasons =
        reasons_of(pipeline, returned, row_matrix, rows.order.len(), &|row| return_flags[row] == Some(true));
    // The strongest reason that points to a measure leads.
    let measures = return_reasons.iter().map(|reasons| {
        let mut pointed = reasons.iter().filter_map(|reason| measure_of(&reason.feature, &pipeline.features));
        pointed.next().map(|measure| measure.name())
    });
    let measures: Vec<Option<&str>> = measures.collect();
    let stage = || Error::frames("order_scores");
    let constant = |name: &str, value: Option<&str>| match value {
        Some(text) => Column::new_scalar(name.into(), Scalar::from(PlSmallStr::from_str(text)), rows.order.len()),
        None => Column::full_null(name.into(), rows.order.len(), &DataType::String),
    };
    let of_order = |column: Column| rows.of_orders(&column);
    let head = rows.head(&orders, &days)?;
    let mut scores = head;
    let columns = [
        match &rows.lines {
            Some((_, amounts)) => amounts.clone(),
            None => orders.column("amount").map_err(stage())?.clone(),
        },
        Column::new("scored_at".into(), vec![as_of; rows.order.len()]).cast(&instant()).map_err(stage())?,
        of_order(Column::new(
            "fraud_probability".into(),
            (0..cases.len()).map(|at| fraud.probability(at)).collect::<Vec<_>>(),
        ))?,
        of_order(Column::new("fraud_flag".into(), verdicts.iter().map(|v| v.fraud_flag).collect::<Vec<_>>()))?,
        of_order(reason_lists("fraud_reasons", &fraud_reasons)?)?,
        constant("fraud_null_reason", fraud.absence()),
        of_order(Column::new("unusual_score".into(), cold_start.scores()))?,
        of_order(reason_lists("unusual_reasons", &unusual_reasons)?)?,
        Column::new(
            "return_probability".into(),
            (0..rows.order.len()).map(|row| returned.probability(row)).collect::<Vec<_>>(),
        ),
        Column::new("return_flag".into(), return_flags.clone()),
        reason_lists("return_reasons", &return_reasons)?,
        Column::new("return_measure".into(), measures),
        constant("return_null_reason", returned.absence()),
        of_order(text_lists(
            "rule_hits",
            (0..cases.len()).map(|at| hits.of(at, rules).map(|r| r.name.as_str()).collect()),
        ))?,
        of_order(text_lists(
            "shadow_hits",
            (0..cases.len()).map(|at| hits.shadows(at, rules).map(|r| r.name.as_str()).collect()),
        ))?,
        of_order(Column::new("expected_loss".into(), verdicts.iter().map(|v| v.expected_loss).collect::<Vec<_>>()))?,
        of_order(Column::new("action".into(), verdicts.iter().map(|v| v.action.name()).collect::<Vec<_>>()))?,
        of_order(Column::new("priority".into(), verdicts.iter().map(|v| v.priority).collect::<Vec<_>>()))?,
        of_order(Column::new("control".into(), verdicts.iter().map(|v| v.control).collect::<Vec<_>>()))?,
        of_order(decided(&ids, ingested.tables.get("review_decisions"))?)?,
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
        reasons: if fraud.absence().is_some() { &unusual_reasons } else { &fraud_reasons },
        unusual: cold_start.scores(),
        as_of,
    };
    let count = |action: Action| verdicts.iter().filter(|v| v.action == action).count() as u64;
    Ok(Scores {
        review_queue: queue.frame()?,
        order_scores: scores,
        flagged: [
            verdicts.iter().filter(|v| v.fraud_flag == Some(true)).count() as u64,
            return_flags.iter().filter(|f| **f == Some(true)).count() as u64,
        ],
        actions: [count(Action::Approve), count(Action::Review), count(Action::Hold)],
        cases,
        verdicts,
        return_flags,
    })
}

/// What things cost by the pipeline, in minor units, and the desk's capacity.
pub(super) fn costs(pipeline: &Pipeline) -> Costs {
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

fn instant() -> DataType {
    DataType::Datetime(TimeUnit::Microseconds, Some(TimeZone::UTC))
}

pub(super) fn ints(frame: &DataFrame, name: &str) -> Result<Vec<Option<i64>>> {
    let column = frame.column(name).map_err(Error::frames("reading orders"))?.to_physical_repr();
    Ok(column.i64().map_err(Error::frames("reading orders"))?.iter().collect())
}

pub(super) fn texts(frame: &DataFrame, name: &str) -> Result<Vec<String>> {
    let column = frame.column(name).and_then(|c| c.str().cloned()).map_err(Error::frames("reading orders"))?;
    Ok(column.iter().map(|text| text.unwrap_or_default().to_owned()).collect())
}

/// The place of each among all in the order of their ids.
pub(super) fn places(ids: &[String]) -> Vec<u32> {
    let mut sorted: Vec<u32> = (0..ids.len() as u32).collect();
    sorted.sort_unstable_by_key(|&at| (&ids[at as usize], at));
    let mut places = vec![0; ids.len()];
    for (place, &at) in sorted.iter().enumerate() {
        places[at as usize] = place as u32;
    }
    places
}

/// The `order_features` table: `values` are all that was known of each order, or line, when it was scored.
///
/// # Errors
/// [`Error::Frames`] only for defects.
pub(super) fn logged(
    pipeline: &Pipeline,
    ingested: &Ingested,
    features: &Features,
    values: Matrix,
) -> Result<DataFrame> {
    let orders = ingested.tables.get("orders").cloned().unwrap_or_default();
    let rows = Rows::new(ingested, features, orders.height())?;
    let mut table = rows.head(&orders, &placed_days(pipeline, features))?;
    // Each column goes when its copy is there: of a large shop they are as much as all its tables.
    for (name, values) in values.names.into_iter().zip(values.columns) {
        let is_known: Bitmap = values.iter().map(|v| !v.is_nan()).collect();
        let is_known = (is_known.unset_bits() > 0).then_some(is_known);
        let values = Float64Chunked::from_vec_validity(name.into(), values, is_known);
        table.with_column(values.into_column()).map_err(Error::frames("order_features"))?;
    }
    Ok(table)
}
