//! What was told, between two processes.

use super::keys::{OF_ORDER, ToldKeys};
use super::told::ToldOrders;
use super::{Following, Terms};
use crate::config::FeatureSpec;
use crate::contract::feature::entity;
use crate::error::Result;
use crate::features::engine::{Engine, Units};
use crate::features::kernel::{NO_KEY, Noted};
use crate::saved::{Reader, Section, damaged};

/// Sections before those of the engine.
const OWN: usize = 4;

impl Following {
    /// Everything that was told, for [`Self::load`].
    pub fn save(&mut self) -> Vec<Section> {
        let mut first = Section::default();
        first.texts(self.possible.iter().map(|spec| spec.name.as_str()));
        first.one(self.horizon);
        first.one(self.moved.is_some());
        first.one(self.moved.unwrap_or_default());
        first.one(self.engine.is_some());
        let (rows, orders, engine) = (&mut self.rows, &mut self.orders, &mut self.engine);
        let told = || {
            rows.save_into(&mut first);
            orders.save()
        };
        let (orders, engine) = rayon::join(told, || engine.as_mut().map(Engine::save).unwrap_or_default());
        [first, orders, self.keys.save(), self.line_keys.save()].into_iter().chain(engine).collect()
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
        let (horizon, has_moved, moved): (_, bool, i64) = (first.one()?, first.one()?, first.one()?);
        let has_engine: bool = first.one()?;
        let moved = has_moved.then_some(moved);
        let read_rows = || {
            let rows = Noted::read(&mut first)?;
            first.finish().map(|()| rows)
        };
        let units = Units { returns: terms.return_unit };
        let read_engine = || has_engine.then(|| Engine::load(&possible, units, engine)).transpose();
        let ((rows, orders), engine) =
            rayon::join(|| rayon::join(read_rows, || ToldOrders::read(own[1].clone())), read_engine);
        let (engine, orders, rows) = (engine?, orders?, rows?);
        let sizes = engine.as_ref().map(|engine| engine.size().0).unwrap_or_default();
        let known = |name: &str| Some((entity(name)?.name, *sizes.get(name)?));
        let keys = ToldKeys::read(own[2].clone(), known)?;
        let of_lines = |name: &str| if name == OF_ORDER { Some((OF_ORDER, NO_KEY as usize)) } else { known(name) };
        let line_keys = ToldKeys::read(own[3].clone(), of_lines)?;
        Ok(Self { engine, orders, rows, keys, line_keys, horizon, moved, possible })
    }
}
