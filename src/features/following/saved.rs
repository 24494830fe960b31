//! What was told, between two processes.

use super::told::ToldOrders;
use super::{Following, Terms};
use crate::config::FeatureSpec;
use crate::error::Result;
use crate::features::engine::{Engine, Units};
use crate::saved::{Reader, Section, damaged};
use std::collections::HashMap;

/// Sections before those of the engine.
const OWN: usize = 2;

impl Following {
    /// Everything that was told, for [`Self::load`].
    pub fn save(&mut self) -> Vec<Section> {
        let mut first = Section::default();
        first.texts(self.possible.iter().map(|spec| spec.name.as_str()));
        first.one(self.horizon);
        first.one(self.engine.is_some());
        let (rows, orders, engine) = (&self.rows, &mut self.orders, &mut self.engine);
        let told = || {
            first.column(rows.keys().copied());
            first.column(rows.values().copied());
            orders.save()
        };
        let (orders, engine) = rayon::join(told, || engine.as_mut().map(Engine::save).unwrap_or_default());
        [first, orders].into_iter().chain(engine).collect()
    }

    /// What [`Self::save`] gave for the same declared features and terms.
    ///
    /// # Errors
    /// [`crate::error::Error::InputRefused`] for sections that are not of this kind, or of other features.
    pub fn load(declared: &[FeatureSpec], terms: &Terms, sections: &[Reader<'_>]) -> Result<Self> {
        let (own, engine) = sections.split_at_checked(OWN).ok_or_else(damaged)?;
        let mut first = own[0].clone();
        let names = first.texts()?;
        let possible: Vec<FeatureSpec> = declared.iter().filter(|spec| names.contains(&spec.name)).cloned().collect();
        if possible.len() != names.len() {
            return Err(damaged());
        }
        let (horizon, has_engine): (_, bool) = (first.one()?, first.one()?);
        let read_rows = || {
            let (keys, contents) = (first.cells()?, first.cells()?);
            let rows: HashMap<u128, u64, _> = keys.zip(contents).collect();
            first.finish().map(|()| rows)
        };
        let units = Units { returns: terms.return_unit };
        let read_engine = || has_engine.then(|| Engine::load(&possible, units, engine)).transpose();
        let ((rows, orders), engine) =
            rayon::join(|| rayon::join(read_rows, || ToldOrders::read(own[1].clone())), read_engine);
        let (engine, orders, rows) = (engine?, orders?, rows?);
        Ok(Self { engine, orders, rows, horizon, possible, ..Self::default() })
    }
}
