//! The control share: orders that pass although the model would have had them looked at or stopped.
//!
//! What is stopped never shows what it was, and what is looked at is labelled by those who look. A small share that
//! passes untouched, drawn by nothing but chance, shows how often the model is right, and by how much its threshold
//! is too low.

/// Draws orders by their id: the same order has the same answer in every run, on every machine, in any company.
///
/// A larger share has all orders of a smaller one with the same seed.
#[derive(Debug, Clone, Copy)]
pub struct ControlDraw {
    key: [u8; 32],
    share: f64,
}

impl ControlDraw {
    /// A draw of a share, 0 to 1; `seed` is the key of the hash.
    pub fn new(share: f64, seed: u64) -> Self {
        Self { key: blake3::derive_key("ordersight control share of orders", &seed.to_le_bytes()), share }
    }

    /// Whether an order is drawn.
    pub fn draws(&self, order_id: &str) -> bool {
        // 53 bits: as many as an f64 between 0 and 1 tells apart.
        const STEPS: f64 = (1_u64 << 53) as f64;
        let hash = blake3::keyed_hash(&self.key, order_id.as_bytes());
        let mut first = [0_u8; 8];
        first.copy_from_slice(&hash.as_bytes()[..8]);
        ((u64::from_le_bytes(first) >> 11) as f64) < self.share * STEPS
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_is_drawn_that_depends_on_seed_and_id_alone() {
        let ids: Vec<String> = (0..100_000).map(|n| format!("order-{n}")).collect();
        let drawn = |share, seed| -> Vec<&String> {
            let draw = ControlDraw::new(share, seed);
            ids.iter().filter(|id| draw.draws(id)).collect()
        };
        let (one, two) = (drawn(0.01, 1), drawn(0.02, 1));
        // Four standard deviations around a thousand.
        assert!((874..1_126).contains(&one.len()), "{}", one.len());
        assert!(one.iter().all(|id| two.contains(id)), "a larger share has all of a smaller one");
        assert_eq!(one, drawn(0.01, 1));
        assert_ne!(one, drawn(0.01, 2));
        assert_eq!((drawn(0.0, 1).len(), drawn(1.0, 1).len()), (0, ids.len()));
    }
}
