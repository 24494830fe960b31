//! Features out of terms: the few operations after the kernel's integers, one division each.

use super::facts::{Grid, TASK_ROWS, by_rows};
use super::plan::{Formula, Prior};
use crate::features::kernel::{NO_VALUE, Values};
use crate::types::time::HOUR;
use rayon::prelude::*;

impl Formula {
    /// The feature of every row that asks; NaN where it has none. All its terms are there.
    pub(super) fn values(&self, terms: &[Option<Values>], grid: &Grid) -> Vec<f64> {
        let empty = Values::Count(Vec::new());
        let term = |at: usize| terms[at].as_ref().unwrap_or(&empty);
        let rows = |n: usize, value: &(dyn Fn(usize) -> Option<f64> + Sync)| -> Vec<f64> {
            (0..n).into_par_iter().with_min_len(TASK_ROWS).map(|row| value(row).unwrap_or(f64::NAN)).collect()
        };
        match *self {
            Self::Term(at) => term(at).reals(),
            Self::Hours(at) => rows(term(at).len(), &|row| term(at).get(row).map(|micros| micros / HOUR as f64)),
            Self::Ratio { own, mean } => {
                let own = grid.values.get(own).map(Vec::as_slice).unwrap_or_default();
                let asked = grid.asking.as_ref().map(|rows| by_rows(own, rows, NO_VALUE));
                let own = asked.as_deref().unwrap_or(own);
                rows(term(mean).len(), &|row| {
                    let own = own.get(row).filter(|&&own| own != NO_VALUE)?;
                    term(mean).get(row).filter(|&mean| mean > 0.0).map(|mean| *own as f64 / mean)
                })
            }
            Self::Share { own, shop } => rows(term(own).len(), &|row| {
                let shop = term(shop).get(row).filter(|&shop| shop > 0.0)?;
                term(own).get(row).map(|own| own / shop)
            }),
            Self::FirstUse { pair, first } => rows(term(pair).len(), &|row| {
                term(first).get(row).filter(|&before| before > 0.0)?;
                term(pair).get(row).map(|before| f64::from(u8::from(before == 0.0)))
            }),
            Self::Rate { happened, ripe, prior, weight } => rows(term(ripe).len(), &|row| {
                let (yes, all) = (term(happened).get(row)?, term(ripe).get(row)?);
                let prior = match prior {
                    Prior::Fixed(prior) => prior,
                    Prior::Shop { happened, ripe } => {
                        let ripe = term(ripe).get(row).filter(|&ripe| ripe > 0.0)?;
                        term(happened).get(row)? / ripe
                    }
                };
                (all + weight > 0.0).then(|| (yes + weight * prior) / (all + weight))
            }),
        }
    }
}
