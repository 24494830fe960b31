//! Learning from answers and predicting for orders without one.

use super::SatisfactionState;
use crate::config::Pipeline;
use crate::error::Result;
use crate::features::kernel::NO_VALUE;
use crate::features::tables::Tables;
use crate::risk::bootstrap::Estimate;
use crate::satisfaction::answers::Answers;
use crate::satisfaction::facts::facts;
use crate::satisfaction::held_out::{Errors, Example, HeldOut, held_out};
use crate::satisfaction::journey::Journeys;
use crate::satisfaction::predict::{MIN_ANSWERS, Prediction, Predictor, matrix};
use crate::types::time::parse_span;

/// What came of predicting.
pub(super) struct Predicted {
    /// One an order; `None` where it was not delivered, or nothing was predicted.
    pub(super) each: Vec<Option<Prediction>>,
    /// Its test on later orders; `None` when there was too little for one.
    pub(super) test: Option<HeldOut>,
    /// Orders it learnt from.
    trained_on: usize,
    /// Why nothing was predicted.
    pub(super) absent_because: Option<String>,
}

impl Predicted {
    fn none(orders: usize, why: String) -> Self {
        Self { each: vec![None; orders], test: None, trained_on: 0, absent_because: Some(why) }
    }

    /// In short, for the summary; drivers are still to come.
    pub(super) fn state(&self, answers: &Answers, orders: usize) -> SatisfactionState {
        let measured = (0..orders).filter(|&order| !answers.of(order).is_empty()).count() as u64;
        let silent = |order: &usize| answers.of(*order).is_empty() && self.each[*order].is_some();
        let of = |predictor: &str, pick: fn(&Errors) -> Estimate| {
            let errors = self.test.as_ref()?.errors.iter().find(|e| e.predictor == predictor)?;
            Some(pick(errors))
        };
        SatisfactionState {
            measured,
            predicted: (0..orders).filter(silent).count() as u64,
            absent_because: self.absent_because.clone(),
            trained_on: self.trained_on as u64,
            mae: of("model", |e| e.mae),
            rmse: of("model", |e| e.rmse),
            rmse_of_mean: of("mean", |e| e.rmse),
            rank_correlation: of("model", |e| e.rank_correlation),
            auc_low: of("model", |e| e.auc_low),
            tested_on: self.test.as_ref().map_or(0, |t| t.tested_on as u64),
            drivers: Vec::new(),
        }
    }
}

/// Predicts for every delivered order.
///
/// # Errors
/// [`crate::error::Error::Frames`] only for defects.
pub(super) fn predict(
    pipeline: &Pipeline,
    tables: &Tables,
    journeys: &Journeys,
    answers: &Answers,
) -> Result<Predicted> {
    let orders = journeys.orders();
    let none = |why: &str| Ok(Predicted::none(orders, why.to_owned()));
    if !pipeline.raw.satisfaction.predict {
        return none("`satisfaction.predict` is off");
    }
    if !answers.supplied {
        return none("the input has no feedback on orders");
    }
    let delivered: Vec<i64> = (0..orders).map(|order| journeys.at("delivered_at", order).unwrap_or(NO_VALUE)).collect();
    if delivered.iter().all(|&at| at == NO_VALUE) {
        return none("the input does not tell when orders were delivered");
    }
    let matures = parse_span(&pipeline.raw.satisfaction.matures_after).unwrap_or_default();
    let ripe = journeys.as_of.saturating_sub(matures);
    let mut examples: Vec<Example> = (0..orders)
        .filter(|&order| delivered[order] != NO_VALUE && delivered[order] <= ripe)
        .filter_map(|row| {
            // What was answered before delivery was of the waiting, and known before anything is predicted.
            let first = answers.of(row).first().filter(|first| first.at >= delivered[row])?;
            let points = answers.mean(row)?;
            Some(Example {
                row,
                delivered: delivered[row],
                day: journeys.day(delivered[row]),
                answered: first.at,
                points,
            })
        })
        .collect();
    if examples.len() < MIN_ANSWERS {
        let n = examples.len();
        return none(&format!("{n} matured answers after delivery, {MIN_ANSWERS} are needed"));
    }
    let ids = tables.texts("orders", "order_id")?.unwrap_or_default();
    examples.sort_by(|a, b| (a.delivered, &ids[a.row]).cmp(&(b.delivered, &ids[b.row])));
    let matrix = matrix(facts(tables, journeys, answers, &delivered, true)?);
    let late: Vec<Option<bool>> = (0..orders)
        .map(|order| {
            let (promised, delivered) =
                (journeys.at("promised_delivery_at", order)?, journeys.at("delivered_at", order)?);
            Some(journeys.day(delivered) > journeys.day(promised))
        })
        .collect();
    let mut points = vec![f64::NAN; orders];
    examples.iter().for_each(|e| points[e.row] = e.points);
    let rows: Vec<usize> = examples.iter().map(|e| e.row).collect();
    // A fit that cannot be solved is no reason to publish nothing.
    let (test, model) = match held_out(&matrix, &examples, &late)
        .and_then(|test| Predictor::fit(&matrix, &points, &rows).map(|model| (test, model)))
    {
        Ok(both) => both,
        Err(error) => return none(&format!("the model could not be fitted: {error}")),
    };
    let wanted: Vec<usize> = (0..orders).filter(|&order| delivered[order] != NO_VALUE).collect();
    let mut each = vec![None; orders];
    for (order, prediction) in wanted.iter().zip(model.predict(&matrix, &wanted)) {
        each[*order] = Some(prediction);
    }
    Ok(Predicted { each, test, trained_on: model.orders, absent_because: None })
}
