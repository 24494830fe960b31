//! Customers put together: the table `customer_profile`.

use super::scoring::Scored;
use crate::config::{Language, Pipeline};
use crate::customers::{Profile, Terms, by_customer, profiles};
use crate::error::{Error, Result};
use crate::exceptions::Found;
use crate::features::tables::Tables;
use crate::satisfaction::answers::Answers;
use crate::satisfaction::journey::Journeys;
use crate::types::time::{DAY, parse_span};
use polars::prelude::*;

const STAGE: &str = "customer profiles";

/// The table, first to be served first.
///
/// # Errors
/// [`Error::Frames`] only for defects.
pub(super) fn profiled(
    pipeline: &Pipeline,
    tables: &Tables,
    journeys: &Journeys,
    answers: &Answers,
    fraud: &Scored,
    stuck: &Found,
) -> Result<DataFrame> {
    let settings = &pipeline.raw.customers;
    let terms = Terms {
        as_of: journeys.as_of,
        window: parse_span(&settings.window).unwrap_or(365 * DAY),
        tiers: settings.tiers,
        waits_for_at_most: parse_span(&settings.waits_for_at_most).unwrap_or(120 * DAY),
    };
    let fraud: Vec<Option<f64>> = (0..journeys.orders()).map(|order| fraud.probability(order)).collect();
    let all = profiles(tables, journeys, answers, &fraud, by_customer(&stuck.exceptions)?, &terms)?;
    frame(&all, tables, journeys.as_of, (!stuck.counts.is_empty(), pipeline.raw.report.language))
}

/// `looked_for`: whether any kind of exception could be looked for; where none could, nobody knows how many there are.
fn frame(all: &[Profile], tables: &Tables, as_of: i64, (looked_for, language): (bool, Language)) -> Result<DataFrame> {
    let stage = || Error::frames(STAGE);
    let ids = tables.text_column("orders", "order_id")?.unwrap_or_default();
    let int = |name: &str, of: &dyn Fn(&Profile) -> Option<i64>| {
        Column::new(name.into(), all.iter().map(of).collect::<Vec<Option<i64>>>())
    };
    let float = |name: &str, of: &dyn Fn(&Profile) -> Option<f64>| {
        Column::new(name.into(), all.iter().map(of).collect::<Vec<Option<f64>>>())
    };
    let utc = DataType::Datetime(TimeUnit::Microseconds, Some(TimeZone::UTC));
    let time = |name: &str, of: &dyn Fn(&Profile) -> Option<i64>| int(name, of).cast(&utc).map_err(stage());
    fn texts<'a>(name: &str, values: impl Iterator<Item = Option<&'a str>>) -> Column {
        values.collect::<StringChunked>().with_name(name.into()).into_column()
    }
    let tickets = |kind: usize| move |p: &Profile| p.tickets.map(|t| t[kind]);
    let basis = |p: &Profile| p.risk.as_ref().map(|r| if r.is_open { "open" } else { "last" });
    let rate = |p: &Profile| {
        let (returned, delivered) = p.returned_orders.zip(p.delivered_orders)?;
        (delivered > 0).then(|| returned as f64 / delivered as f64)
    };
    let mut words = ListStringChunkedBuilder::new("service_reasons".into(), all.len(), 2 * all.len());
    for profile in all {
        let said: Vec<String> = profile
            .needs
            .iter()
            .zip(&profile.since)
            .map(|(need, since)| need.words((as_of - since).max(0) / DAY, language))
            .collect();
        words.append_values_iter(said.iter().map(String::as_str));
    }
    let columns = vec![
        int("service_rank", &|p| Some(p.service_rank)),
        texts("customer_id", all.iter().map(|p| Some(p.customer_id.as_str()))),
        int("service_priority", &|p| Some(p.service_priority)),
        words.finish().into_column(),
        time("waiting_since", &|p| p.waiting_since)?,
        texts("tier", all.iter().map(|p| Some(p.tier))),
        int("recency_score", &|p| Some(p.scores[0])),
        int("frequency_score", &|p| Some(p.scores[1])),
        int("monetary_score", &|p| Some(p.scores[2])),
        int("recency_days", &|p| Some(p.recency_days)),
        int("frequency", &|p| Some(p.frequency)),
        int("monetary", &|p| Some(p.monetary)),
        int("orders", &|p| Some(p.orders)),
        int("cancelled_orders", &|p| Some(p.cancelled_orders)),
        time("first_order_at", &|p| Some(p.first_order_at))?,
        time("last_order_at", &|p| Some(p.last_order_at))?,
        int("delivered_orders", &|p| p.delivered_orders),
        int("open_orders", &|p| p.open_orders),
        int("late_orders", &|p| p.late_orders),
        int("returned_orders", &|p| p.returned_orders),
        float("return_rate", &rate),
        int("open_returns", &|p| p.open_returns),
        int("contacts", &tickets(0)),
        int("disputes", &tickets(1)),
        int("chargebacks", &tickets(2)),
        int("open_tickets", &|p| p.open_tickets),
        int("answers", &|p| p.answers),
        float("satisfaction_mean", &|p| p.satisfaction_mean),
        float("satisfaction_last", &|p| p.satisfaction_last),
        time("satisfaction_last_at", &|p| p.satisfaction_last_at)?,
        float("fraud_probability", &|p| p.risk.as_ref().map(|r| r.probability)),
        texts("fraud_order_id", all.iter().map(|p| p.risk.as_ref().and_then(|r| ids.get(r.order as usize)))),
        texts("fraud_basis", all.iter().map(basis)),
        int("open_exceptions", &|p| looked_for.then(|| p.stuck.as_ref().map_or(0, |stuck| stuck.open))),
        texts("urgent_exception", all.iter().map(|p| p.stuck.as_ref().map(|stuck| stuck.kind.as_str()))),
        texts("urgent_severity", all.iter().map(|p| p.stuck.as_ref().map(|stuck| stuck.severity.as_str()))),
        int("lapsed_matters", &|p| Some(p.lapsed_matters)),
    ];
    DataFrame::new_infer_height(columns).map_err(stage())
}
