//! The same features, obviously right and quadratic: for every query, look at every event.

use super::declare::{Aggregate, Declaration, Window};
use super::{Column, NO_VALUE, Values};
use std::collections::BTreeSet;

/// An event with everything null that may be.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Event {
    pub(super) entity: Option<u8>,
    pub(super) happened: i64,
    pub(super) known: i64,
    pub(super) value: Option<i64>,
    pub(super) other: Option<u8>,
    pub(super) label: bool,
}

/// Entity and T.
pub(super) type Query = (Option<u8>, i64);

fn seen(event: &Event, (entity, at): Query, declaration: &Declaration) -> bool {
    let (happened, known, at) = (i128::from(event.happened), i128::from(event.known), i128::from(at));
    let end = at - i128::from(declaration.delay.0);
    let in_window = match declaration.window {
        Window::Lifetime => happened < end,
        Window::Span(span) => happened < end && happened >= end - i128::from(span),
    };
    entity.is_some() && event.entity == entity && known < at && in_window
}

pub(super) fn columns(declarations: &[Declaration], events: &[Event], queries: &[Query]) -> Vec<Column> {
    let column = |declaration: &Declaration| {
        let each = queries.iter().map(|&query| {
            let seen: Vec<&Event> = events.iter().filter(|event| seen(event, query, declaration)).collect();
            (query, seen)
        });
        let values = match declaration.aggregate {
            Aggregate::Count => {
                Values::Count(each.map(|((entity, _), seen)| entity.map_or(u32::MAX, |_| seen.len() as u32)).collect())
            }
            Aggregate::Distinct => Values::Count(
                each.map(|((entity, _), seen)| {
                    let others: BTreeSet<u8> = seen.iter().filter_map(|event| event.other).collect();
                    entity.map_or(u32::MAX, |_| others.len() as u32)
                })
                .collect(),
            ),
            Aggregate::Sum => Values::Integer(
                each.map(|((entity, _), seen)| {
                    entity.map_or(NO_VALUE, |_| seen.iter().filter_map(|event| event.value).sum())
                })
                .collect(),
            ),
            Aggregate::Max => Values::Integer(
                each.map(|(_, seen)| seen.iter().filter_map(|event| event.value).max().unwrap_or(NO_VALUE)).collect(),
            ),
            Aggregate::SinceLast => Values::Integer(
                each.map(|((_, at), seen)| {
                    seen.iter().map(|event| event.happened).max().map_or(NO_VALUE, |last| at - last)
                })
                .collect(),
            ),
            Aggregate::Mean => Values::Real(
                each.map(|(_, seen)| {
                    let values: Vec<i64> = seen.iter().filter_map(|event| event.value).collect();
                    match values.len() {
                        0 => f64::NAN,
                        n => values.iter().sum::<i64>() as f64 / n as f64,
                    }
                })
                .collect(),
            ),
            Aggregate::Rate { prior, weight } => Values::Real(
                each.map(|((entity, _), seen)| {
                    let hits = seen.iter().filter(|event| event.label).count() as f64;
                    match (entity, seen.len() as f64 + weight) {
                        (None, _) | (_, 0.0) => f64::NAN,
                        (Some(_), whole) => (hits + prior * weight) / whole,
                    }
                })
                .collect(),
            ),
        };
        Column { name: declaration.name(), values }
    };
    declarations.iter().map(column).collect()
}
