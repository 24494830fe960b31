//! What is sold: categories, articles with their sizes and faults, and how much of each lies where.

use super::dice::{About, Dice, hash, share, totals};
use super::places::WAREHOUSES;

/// A category of goods.
pub(super) struct Category {
    pub(super) name: &'static str,
    weight: f64,
    /// Median price in euros, and the standard deviation of its logarithm.
    price: (f64, f64),
    /// Share sent back before everything else is looked at, on the logit scale.
    pub(super) returns: f64,
    /// Sizes it is made in; empty when there are none.
    pub(super) sizes: &'static [&'static str],
    /// Share of parcels damaged on the way.
    pub(super) damage_share: f64,
}

const CLOTHES: &[&str] = &["XS", "S", "M", "L", "XL", "XXL"];
const SHOES: &[&str] = &["36", "37", "38", "39", "40", "41", "42", "43", "44", "45"];

pub(super) static CATEGORIES: [Category; 9] = [
    Category {
        name: "fashion",
        weight: 0.24,
        price: (34.0, 0.55),
        returns: -2.15,
        sizes: CLOTHES,
        damage_share: 0.002,
    },
    Category { name: "shoes", weight: 0.10, price: (62.0, 0.45), returns: -2.05, sizes: SHOES, damage_share: 0.002 },
    Category {
        name: "electronics",
        weight: 0.17,
        price: (95.0, 0.95),
        returns: -3.40,
        sizes: &[],
        damage_share: 0.012,
    },
    Category { name: "home", weight: 0.15, price: (32.0, 0.70), returns: -3.55, sizes: &[], damage_share: 0.020 },
    Category { name: "beauty", weight: 0.11, price: (19.0, 0.50), returns: -4.60, sizes: &[], damage_share: 0.007 },
    Category { name: "toys", weight: 0.08, price: (24.0, 0.60), returns: -4.00, sizes: &[], damage_share: 0.006 },
    Category { name: "sports", weight: 0.07, price: (45.0, 0.70), returns: -3.20, sizes: &[], damage_share: 0.006 },
    Category { name: "jewelry", weight: 0.05, price: (75.0, 0.85), returns: -3.10, sizes: &[], damage_share: 0.003 },
    Category { name: "auto", weight: 0.03, price: (41.0, 0.75), returns: -3.35, sizes: &[], damage_share: 0.009 },
];
/// Categories that fraud goes for: they sell on.
pub(super) const COVETED: [usize; 3] = [2, 7, 1];

const BRANDS: [&str; 18] = [
    "Aldera", "Bergwerk", "Corvo", "Delmar", "Evna", "Fjordia", "Gentry", "Hoshi", "Ilune", "Juno", "Kestrel", "Lumen",
    "Mirada", "Noma", "Orbit", "Pellin", "Quill", "Ravel",
];
const COLORS: [&str; 8] = ["black", "white", "navy", "grey", "red", "green", "beige", "blue"];

/// An article.
pub(super) struct Sku {
    pub(super) category: usize,
    pub(super) euros: f64,
    pub(super) brand: &'static str,
    /// How much oftener it is sent back than its category, on the logit scale: cut small, drawn too well.
    pub(super) misfit: f64,
    /// Share of buyers who find it not as described.
    pub(super) oversold_share: f64,
    /// Bit `w` is set when warehouse `w` keeps it.
    pub(super) kept_at: u8,
}

/// The catalogue.
pub(super) struct Catalog {
    seed: u64,
    pub(super) skus: Vec<Sku>,
    categories: Vec<f64>,
    /// By category: first article and number of them. Articles stand in order of popularity within their category.
    ranges: Vec<(usize, usize)>,
}

impl Catalog {
    /// A catalogue that grows with the shop, up to 5,000 articles.
    pub(super) fn new(seed: u64, orders: u64) -> Self {
        let size = (orders / 100).clamp(150, 5000);
        let (mut skus, mut ranges) = (Vec::new(), Vec::new());
        let mut dice = Dice::new(hash(seed, About::Sku, u64::MAX));
        for (index, category) in CATEGORIES.iter().enumerate() {
            let count = (category.weight * size as f64).round() as usize;
            ranges.push((skus.len(), count));
            for _ in 0..count {
                let misfit = dice.normal();
                let main = dice.index(&totals([0.34, 0.34, 0.18, 0.14]));
                let other = dice.below(WAREHOUSES.len());
                let third = dice.below(WAREHOUSES.len());
                skus.push(Sku {
                    category: index,
                    euros: dice.spread(category.price.0, category.price.1).clamp(2.5, 2400.0),
                    brand: dice.pick(&BRANDS),
                    misfit: 0.6 * misfit,
                    oversold_share: (0.02 * (0.9 * misfit).exp()).min(0.25),
                    kept_at: 1 << main | 1 << other | 1 << third,
                });
            }
        }
        Self { seed, skus, categories: totals(CATEGORIES.iter().map(|c| c.weight)), ranges }
    }

    /// An article for someone whose taste lies at `favourite`, at a season's push for toys.
    pub(super) fn choose(&self, favourite: f64, toys_season: bool, dice: &mut Dice) -> usize {
        let all = self.categories[self.categories.len() - 1];
        let category = if toys_season && dice.chance(0.09) {
            5
        } else if dice.chance(0.55) {
            self.categories.partition_point(|t| *t <= favourite * all).min(CATEGORIES.len() - 1)
        } else {
            dice.index(&self.categories)
        };
        self.choose_in(category, dice)
    }

    /// An article of a category; the first ones sell best.
    pub(super) fn choose_in(&self, category: usize, dice: &mut Dice) -> usize {
        let (first, count) = self.ranges[category];
        first + ((dice.unit().powf(2.2) * count as f64) as usize).min(count.saturating_sub(1))
    }

    /// Pieces on hand of an article in a warehouse in a week: filled up, sold down, now and then sold out.
    pub(super) fn on_hand(&self, sku: usize, warehouse: usize, week: i32) -> u32 {
        let place = (sku * 8 + warehouse) as u64;
        let cycle = 5 + (hash(self.seed, About::Stock, place) % 5) as i32;
        let phase = (hash(self.seed, About::Stock, place) >> 8) as i32 & 0xff;
        let (round, position) = ((week + phase).div_euclid(cycle), (week + phase).rem_euclid(cycle));
        let luck = share(self.seed, About::Stock, place ^ ((round as u64 & 0xffff) << 20));
        let full = 20.0 + 180.0 * luck;
        let sold = f64::from(position) / f64::from(cycle) * if luck < 0.22 { 1.5 } else { 0.9 };
        (full * (1.0 - sold)).max(0.0) as u32
    }

    /// Writes the name of an article.
    pub(super) fn write_sku(&self, out: &mut String, sku: usize) {
        use std::fmt::Write as _;
        let category = CATEGORIES[self.skus[sku].category].name;
        let _ = write!(out, "{}-{sku:05}", &category[..3].to_ascii_uppercase());
    }

    pub(super) fn color(dice: &mut Dice) -> &'static str {
        COLORS[((dice.unit().powi(2)) * COLORS.len() as f64) as usize]
    }
}
