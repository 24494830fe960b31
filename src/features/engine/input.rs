//! Facts as one state of the kernel takes them.

use super::facts::{Facts, Grid, by_rows};
use super::plan::StatePlan;
use super::{Keys, absent};
use crate::contract::feature::STANDING;
use crate::error::Result;
use crate::features::kernel::{Events, NO_KEY, NO_VALUE, Queries};
use std::borrow::Cow;

/// Who asks, and when.
pub(super) struct Asked<'a> {
    entity: Cow<'a, [u32]>,
    at: Cow<'a, [i64]>,
}

impl<'a> Asked<'a> {
    pub(super) fn of(grid: &'a Grid, by_row: &'a [u32]) -> Self {
        match &grid.asking {
            // The very rows that may be the events too: then they are sorted once.
            None => Self { entity: Cow::Borrowed(by_row), at: Cow::Borrowed(&grid.placed_at) },
            Some(rows) => Self {
                entity: Cow::Owned(by_rows(by_row, rows, NO_KEY)),
                at: Cow::Owned(by_rows(&grid.placed_at, rows, 0)),
            },
        }
    }

    pub(super) fn queries(&self) -> Queries<'_> {
        Queries { entity: &self.entity, at: &self.at }
    }
}

/// The events of a state, column by column.
pub(super) struct Input<'a> {
    entity: Cow<'a, [u32]>,
    happened_at: Cow<'a, [i64]>,
    known_at: Option<&'a [i64]>,
    value: Option<Cow<'a, [i64]>>,
    other: Option<Cow<'a, [u32]>>,
}

impl<'a> Input<'a> {
    /// `asking` is the entity of every row that could ask.
    pub(super) fn of(plan: &StatePlan, facts: &'a Facts, asking: &'a [u32], keys: &mut Keys) -> Result<Self> {
        let Some(happened) = facts.events.get(&plan.stream) else {
            let nothing = || Cow::Owned(Vec::new());
            return Ok(Self {
                entity: nothing(),
                happened_at: Cow::Owned(Vec::new()),
                known_at: None,
                value: plan.value.map(|_| Cow::Owned(Vec::new())),
                other: plan.other.map(|_| nothing()),
            });
        };
        let rows = facts.grid(plan.stream.level);
        // What happens to the asking rows themselves has their keys: the same slice, so that it is sorted once.
        let same_level = plan.stream.level == plan.level;
        let by_row = if same_level { None } else { facts.keys_of(plan.stream.level, plan.who, keys)? };
        let by_row = by_row.unwrap_or(Cow::Borrowed(asking));
        // Events of their own, such as a ticket about no order, can be there where no order is.
        let is_nothing = rows.placed_at.is_empty() && happened.rows.is_none();
        let entity = if is_nothing { Cow::Owned(Vec::new()) } else { happened.keys(plan.who.0, by_row) };
        let other = match plan.other {
            Some(other) if !is_nothing => {
                let by_row = facts.keys_of(plan.stream.level, (other, None), keys)?;
                let by_row = by_row.or_else(|| rows.placed_at.is_empty().then(|| Cow::Owned(Vec::new())));
                Some(happened.keys(other, by_row.ok_or_else(|| absent("other keys"))?))
            }
            Some(_) => Some(Cow::Owned(Vec::new())),
            None => None,
        };
        let happened_at: Cow<[i64]> = match (&happened.happened_at, &happened.rows) {
            (Some(at), _) => Cow::Borrowed(at),
            (None, None) => Cow::Borrowed(&rows.placed_at),
            (None, Some(at)) => Cow::Owned(by_rows(&rows.placed_at, at, NO_VALUE)),
        };
        let value: Option<Cow<[i64]>> = match plan.value {
            Some(value) => Some(match (happened.values.get(value.name), rows.values.get(value.name), &happened.rows) {
                (Some(own), ..) => Cow::Borrowed(own),
                (None, Some(of_rows), None) => Cow::Borrowed(of_rows),
                (None, Some(of_rows), Some(at)) => Cow::Owned(by_rows(of_rows, at, NO_VALUE)),
                // Where nothing is ever taken back it need not be said that everything stands.
                (None, None, _) if value.name == STANDING.name => Cow::Owned(vec![1; happened_at.len()]),
                (None, None, _) => Cow::Owned(vec![NO_VALUE; happened_at.len()]),
            }),
            None => None,
        };
        Ok(Self { entity, happened_at, known_at: happened.known_at.as_deref(), value, other })
    }

    pub(super) fn events(&self) -> Events<'_> {
        Events {
            entity: &self.entity,
            happened_at: &self.happened_at,
            known_at: self.known_at,
            value: self.value.as_deref(),
            other: self.other.as_deref(),
            label: None,
        }
    }
}
