//! How long parcels of a lane usually wait, from the data's own quantiles.
//!
//! A lane is where a parcel comes from and where it goes, by which carrier and service, as far as that is supplied. Its
//! origin is `ship_from`, else the warehouse, else the seller: the first of them that is supplied. A lane with too few parcels borrows from the
//! next wider one, and the detail of an exception says which was taken. Only waits that are over are learnt from: those of
//! parcels that are still stuck are not known yet.

use super::columns::Texts;
use super::shop::{Orders, nearest_rank};
use super::words::said;
use crate::config::Language;
use std::collections::HashMap;

/// Parts of a lane: origin, country, region, carrier, service.
type Parts = [bool; 5];
/// Codes of the parts; [`ANY`] for those a level leaves out.
type Group = [u32; 5];

const ANY: u32 = u32::MAX;

/// From the narrowest lane to all parcels.
const LEVELS: [Parts; 6] = [
    [true, true, true, true, true],
    [true, true, false, true, true],
    [true, true, false, false, false],
    [false, true, true, false, false],
    [false, true, false, false, false],
    [false, false, false, false, false],
];

/// The lanes of all orders.
pub(super) struct Lanes {
    /// Codes of each part by order; `None` for a part that is not supplied.
    codes: [Option<Vec<u32>>; 5],
    levels: Vec<Parts>,
}

impl Lanes {
    pub(super) fn of(orders: &Orders) -> Self {
        let columns = columns(orders);
        let codes = columns.map(|column| column.is_supplied().then(|| encode(column, orders.count)));
        let mut levels: Vec<Parts> = Vec::new();
        for level in LEVELS {
            // Without a column, two levels can be one.
            let level = std::array::from_fn(|part| level[part] && codes[part].is_some());
            if !levels.contains(&level) {
                levels.push(level);
            }
        }
        Self { codes, levels }
    }

    /// The group of an order at a level; `None` if a part of it is unknown.
    fn group(&self, level: usize, row: usize) -> Option<Group> {
        let mut group = [ANY; 5];
        for (part, wanted) in self.levels[level].into_iter().enumerate() {
            if let Some(codes) = self.codes[part].as_ref().filter(|_| wanted) {
                group[part] = codes[row];
                if codes[row] == ANY {
                    return None;
                }
            }
        }
        Some(group)
    }

    /// The lane of an order in words.
    fn words(&self, level: usize, row: usize, (orders, language): (&Orders, Language)) -> String {
        let before = match language {
            Language::En => [" from ", " to ", " ", " by ", " "],
            Language::Zh => ["从 ", " 到 ", " ", "，承运商 ", " "],
        };
        let mut words = String::new();
        for ((part, before), column) in before.into_iter().enumerate().zip(columns(orders)) {
            if self.levels[level][part] {
                words.push_str(before);
                words.push_str(column.get(row).unwrap_or("?"));
            }
        }
        words
    }
}

fn columns(orders: &Orders) -> [&Texts; 5] {
    let origins = [&orders.ship_from, &orders.warehouse, &orders.seller];
    let origin = origins.into_iter().find(|column| column.is_supplied()).unwrap_or(&orders.seller);
    [origin, &orders.ship_country, &orders.ship_region, &orders.carrier, &orders.service]
}

/// Numbers of a column's values in the order they come; [`ANY`] where there is none.
fn encode(column: &Texts, rows: usize) -> Vec<u32> {
    let mut numbers: HashMap<&str, u32> = HashMap::new();
    (0..rows)
        .map(|row| match column.get(row) {
            Some(text) => {
                let next = numbers.len() as u32;
                *numbers.entry(text).or_insert(next)
            }
            None => ANY,
        })
        .collect()
}

/// Waits of parcels that are through, for the lanes and steps that are asked for and no others.
pub(super) struct Waits<'a> {
    lanes: &'a Lanes,
    samples: HashMap<(usize, Group, u8), Vec<i64>>,
}

/// A lane's usual wait.
pub(super) struct Usual {
    /// Microseconds that the asked share of parcels did not exceed.
    pub(super) limit: i64,
    /// Whose: `412 parcels from CN-1 to DE`, and why no narrower lane was taken.
    pub(super) of: String,
}

impl<'a> Waits<'a> {
    /// `asked` are the orders and steps that limits will be asked for.
    pub(super) fn new(lanes: &'a Lanes, asked: impl Iterator<Item = (usize, u8)>) -> Self {
        let mut samples = HashMap::new();
        for (row, step) in asked {
            for level in 0..lanes.levels.len() {
                if let Some(group) = lanes.group(level, row) {
                    samples.entry((level, group, step)).or_default();
                }
            }
        }
        Self { lanes, samples }
    }

    /// Takes in the wait of a parcel after a step.
    pub(super) fn add(&mut self, row: usize, step: u8, wait: i64) {
        if self.samples.is_empty() {
            return;
        }
        for level in 0..self.lanes.levels.len() {
            if let Some(group) = self.lanes.group(level, row)
                && let Some(sample) = self.samples.get_mut(&(level, group, step))
            {
                sample.push(wait);
            }
        }
    }

    /// The usual wait of an order's lane after a step, from the narrowest lane with enough parcels; `None` if even all
    /// parcels are too few.
    pub(super) fn usual(
        &mut self,
        row: usize,
        step: u8,
        share: f64,
        least: usize,
        told: (&Orders, Language),
    ) -> Option<Usual> {
        for level in 0..self.lanes.levels.len() {
            let Some(group) = self.lanes.group(level, row) else { continue };
            let Some(sample) = self.samples.get_mut(&(level, group, step)) else { continue };
            if sample.len() < least {
                continue;
            }
            let parcels = sample.len();
            let limit = nearest_rank(sample, share)?;
            let narrower = match level {
                0 => String::new(),
                _ => said!(told.1, " (narrower lanes have fewer than {least})", "（更细的线路不足 {least} 件）"),
            };
            let lane = match (self.lanes.words(level, row, told), told.1) {
                (words, Language::Zh) if words.is_empty() => "全部".to_owned(),
                (words, Language::Zh) => format!("{} 的", words.trim()),
                (words, Language::En) => words,
            };
            let of = said!(told.1, "{parcels} parcels{lane}{narrower}", "{lane} {parcels} 件包裹{narrower}");
            return Some(Usual { limit, of });
        }
        None
    }
}
