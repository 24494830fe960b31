//! Chance, in two forms: one seeded stream of draws, and traits that are hashed from a number so that nothing is held.

use crate::types::time::{DAY, HOUR, SECOND};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal};

/// The seeded stream. Everything that is drawn from it is drawn in one fixed order.
pub(super) struct Dice(ChaCha8Rng);

impl Dice {
    pub(super) fn new(seed: u64) -> Self {
        Self(ChaCha8Rng::seed_from_u64(seed))
    }

    /// Uniform in `[0, 1)`.
    pub(super) fn unit(&mut self) -> f64 {
        self.0.random::<f64>()
    }

    /// Sixty-four random bits, for keys of things that exist once.
    pub(super) fn bits(&mut self) -> u64 {
        self.0.random::<u64>()
    }

    pub(super) fn chance(&mut self, probability: f64) -> bool {
        self.unit() < probability
    }

    /// Uniform in `0..n`; 0 when `n` is 0.
    pub(super) fn below(&mut self, n: usize) -> usize {
        ((self.unit() * n as f64) as usize).min(n.saturating_sub(1))
    }

    pub(super) fn between(&mut self, low: f64, high: f64) -> f64 {
        low + (high - low) * self.unit()
    }

    pub(super) fn normal(&mut self) -> f64 {
        StandardNormal.sample(&mut self.0)
    }

    /// Log-normal by its median and the standard deviation of its logarithm.
    pub(super) fn spread(&mut self, median: f64, sigma: f64) -> f64 {
        median * (sigma * self.normal()).exp()
    }

    /// Exponential by its mean.
    pub(super) fn wait(&mut self, mean: f64) -> f64 {
        -mean * (1.0 - self.unit()).ln()
    }

    pub(super) fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len())]
    }

    /// The index drawn from running totals of weights (ascending, not empty).
    pub(super) fn index(&mut self, totals: &[f64]) -> usize {
        let at = self.unit() * totals.last().copied().unwrap_or(0.0);
        totals.partition_point(|t| *t <= at).min(totals.len() - 1)
    }
}

/// Running totals of weights, for [`Dice::index`].
pub(super) fn totals(weights: impl IntoIterator<Item = f64>) -> Vec<f64> {
    let mut sum = 0.0;
    let running = weights.into_iter().map(|w| {
        sum += w;
        sum
    });
    running.collect()
}

/// What a hashed number is about; each has its own independent numbers.
#[derive(Debug, Clone, Copy)]
pub(super) enum About {
    Activity = 1,
    ReturnHabit,
    Friendly,
    Favourite,
    Channel,
    Method,
    Basket,
    Mood,
    Contact,
    Household,
    Device,
    Card,
    Email,
    Phone,
    Address,
    Network,
    Created,
    Language,
    Sku,
    Stock,
    DayNoise,
    MobileNetwork,
    Forwarder,
}

/// A number that belongs to `key` for good (SplitMix64's finaliser over seed, subject and key).
pub(super) fn hash(seed: u64, about: About, key: u64) -> u64 {
    let step = |mut z: u64| {
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    };
    let mixed = step(seed.wrapping_add((about as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15)));
    step(mixed ^ key.wrapping_mul(0xd6e8_feb8_6659_fd93))
}

/// [`hash`] as a number in `[0, 1)`.
pub(super) fn share(seed: u64, about: About, key: u64) -> f64 {
    (hash(seed, about, key) >> 11) as f64 / (1_u64 << 53) as f64
}

/// Hours as microseconds, to the second: exports rarely know more.
pub(super) fn hours(hours: f64) -> i64 {
    (hours * (HOUR / SECOND) as f64).round() as i64 * SECOND
}

/// Days as microseconds, to the second.
pub(super) fn days(days: f64) -> i64 {
    hours(days * (DAY / HOUR) as f64)
}

/// The logistic function.
pub(super) fn logistic(x: f64) -> f64 {
    1.0 / (1.0 + (-x).exp())
}
